/*
 * record_bench.c - what the statements of a webhook cost: processor time and bytes written a
 * message
 *
 * usage: record_bench [MESSAGES [BATCH]]   (ninja -C build src/conversation/record_bench)
 *
 * The gateway's own work without HTTP, JSON and threads: conversation_record_inbound and queue_put
 * in transactions of BATCH (32, what 64 connections make of a commit), over 5,000 conversations in
 * turn whose answers wait in their burst window, as bench/load.c asks for them. The first round
 * makes the conversations and is not counted. Bytes are those handed to the system: the log's, and
 * the checkpoints'.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "conversation/conversation.h"
#include "queue/queue.h"

#define CONVERSATIONS 5000
#define BATCH_MAX 1024
#define WINDOW_US (600 * US_PER_S)
#define ENVELOPE                                                                                   \
    "{\"meta\":{\"request_id\":\"0193d1f2a7b84c1e9f3a5b6c7d8e9f00\"},\"processing\":"              \
    "{\"processing_timestamps\":{\"received\":\"2026-11-20T09:30:00.123456Z\",\"validated\":"      \
    "\"2026-11-20T09:30:00.123461Z\",\"queued\":\"2026-11-20T09:30:00.123472Z\"}}}"

struct bench {
    char folder[64];
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct arena *arena;
    const struct tenant_scope *scope;
    const struct channel_record *channel;
    int64_t next;
    int64_t count; /* of the next batch */
};

static void
must(enum status st, const struct err *err, const char *what)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, status_name(st), err->detail);
    exit(1);
}

static void
bench_open(struct bench *bench)
{
    struct store_config store = {.data_folder = bench->folder};
    struct tenants_config tenants = {.clock = clock_system()};
    struct queue_config queue = {.clock = clock_system()};
    struct organization_spec spec = {.name = STR("Bench"),
                                     .slug = STR("bench"),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Owner")};
    json_auto_t *nothing = json_object();
    struct channel_spec channel = {.source = STR("telegram"),
                                   .name = STR("Bench"),
                                   .settings = nothing,
                                   .credentials = nothing};
    struct organization organization;
    struct channel_id id;
    char key_file[96];
    struct err err;

    if (mkdtemp(bench->folder) == NULL)
        exit(1);
    (void)snprintf(key_file, sizeof(key_file), "%s/keys", bench->folder);
    bench->arena = arena_create((size_t)1024 * 1024);
    must(store_open(&store, &bench->store, &err), &err, "store");
    tenants.store = bench->store;
    tenants.key_file = key_file;
    must(tenants_open(&tenants, &bench->tenants, &err), &err, "tenants");
    queue.store = bench->store;
    queue.tenants = bench->tenants;
    must(queue_open(&queue, &bench->queue, &err), &err, "queue");
    must(organization_create(bench->tenants, &spec, bench->arena, &organization, &err), &err,
         "organization");
    must(tenant_admit_operator(bench->tenants, ID_STR(organization.id), bench->arena, &bench->scope,
                               &err),
         &err, "admit");
    must(channel_create(bench->tenants, bench->scope, &channel, &id, &err), &err, "channel");
    must(channel_record_get(bench->tenants, bench->scope, id, &bench->channel, &err), &err,
         "channel's record");
}

static void
bench_close(struct bench *bench)
{
    channel_record_unref(&bench->channel);
    queue_close(&bench->queue);
    tenants_close(&bench->tenants);
    store_close(&bench->store);
    arena_destroy(&bench->arena);
}

static enum status
record_one(struct bench *bench, struct store_tx *tx, int64_t number, struct err *err)
{
    char message[48], chat[24];
    struct str conversation;
    struct inbound_result at;
    struct job_id job_id;
    int64_t now_us = clock_wall_us(clock_system());
    int message_len = snprintf(message, sizeof(message), "7000000001:%lld:%lld",
                               (long long)(1000000 + number % CONVERSATIONS), (long long)number);
    int chat_len =
        snprintf(chat, sizeof(chat), "%lld", (long long)(1000000 + number % CONVERSATIONS));
    struct inbound inbound = {.kind = INBOUND_MESSAGE,
                              .external_message_id = str_of(message, (size_t)message_len),
                              .external_user_id = str_of(chat, (size_t)chat_len),
                              .external_chat_id = str_of(chat, (size_t)chat_len),
                              .text = STR("When are you open on Saturdays?"),
                              .display_name = STR("Ann"),
                              .locale = STR("en"),
                              .timestamp_us = now_us};
    struct job_spec job = {.topic = QUEUE_TOPIC_INBOUND,
                           .due_us = now_us + WINDOW_US,
                           .coalesce_max_us = 1 + 5 * WINDOW_US};
    enum status st = conversation_record_inbound(tx, bench->channel, &inbound, STR(ENVELOPE),
                                                 ID_NEW(message_id), now_us, true, &at, err);

    if (st != ST_OK)
        return st;
    conversation = ID_STR(at.conversation_id);
    job.lane = conversation;
    job.dedup_key = conversation;
    job.payload =
        arena_printf(store_tx_arena(tx), "{\"conversation_id\":\"%.*s\"}", STR_ARG(conversation));
    return queue_put(bench->queue, tx, &job, &job_id, err);
}

static enum status
record_batch(struct store_tx *tx, void *arg, struct err *err)
{
    struct bench *bench = arg;
    enum status st = ST_OK;

    for (int64_t i = 0; i < bench->count && st == ST_OK; i++)
        st = record_one(bench, tx, bench->next + i, err);
    return st;
}

static void
record(struct bench *bench, int64_t messages, int64_t batch)
{
    struct err err;

    while (messages > 0) {
        bench->count = messages < batch ? messages : batch;
        must(store_run(bench->store, bench->scope, "record", STORE_DURABLE, record_batch, bench,
                       &err),
             &err, "record");
        bench->next += bench->count;
        messages -= bench->count;
    }
}

static double
cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double
written_bytes(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    char line[128];
    double bytes = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "wchar: ", 7) == 0)
            bytes = strtod(line + 7, NULL);
    if (file != NULL)
        (void)fclose(file);
    return bytes;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.folder = "/tmp/record-bench-XXXXXX"};
    int64_t messages = argc > 1 ? strtoll(argv[1], NULL, 10) : 50000;
    int64_t batch = argc > 2 ? strtoll(argv[2], NULL, 10) : 32;
    struct store_health before, after;
    double cpu, bytes;

    if (messages < 1 || batch < 1 || batch > BATCH_MAX) {
        (void)fprintf(stderr, "usage: record_bench [MESSAGES [BATCH]]\n");
        return 2;
    }
    bench_open(&bench);
    record(&bench, CONVERSATIONS, batch);
    store_get_health(bench.store, &before);
    cpu = cpu_us();
    bytes = written_bytes();
    record(&bench, messages, batch);
    cpu = cpu_us() - cpu;
    bytes = written_bytes() - bytes;
    store_get_health(bench.store, &after);
    printf("%lld messages, %lld a commit: %.2f us of processor, %.0f bytes written, %.0f bytes of "
           "data each\n",
           (long long)messages, (long long)batch, cpu / (double)messages, bytes / (double)messages,
           (double)(after.data_bytes - before.data_bytes) / (double)messages);
    bench_close(&bench);
    return nftw(bench.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
