/*
 * store_bench.c - works a second and their latency, beside raw SQLite doing the same by one thread
 *
 * usage: store_bench FOLDER [SECONDS] [TENANTS] [THREADS]
 *
 * A work is shaped like the gateway's: find the identity, find the chat, bring the conversation up
 * to date, insert the message, insert its job. The yardstick runs the same statements in
 * transactions of 64 with synchronous=FULL: no threads, no savepoints, no hand-over.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tenant/tenant.h"
#include "bench/store_bench_sql.h"

#define CONVERSATIONS 2000
#define SAMPLES_MAX 400000
#define YARDSTICK_BATCH 64

struct bench {
    struct store *store;
    struct tenants *tenants;
    struct arena *arena;
    struct organization_id organization;
    const struct tenant_scope *scope;
    struct conversation_id conversations[CONVERSATIONS];
    struct channel_id channel;
    int64_t until_us;
    unsigned next_user;
};

struct worker {
    struct bench *bench;
    unsigned number;
    uint64_t state;
    int64_t done;
    uint32_t *samples; /* microseconds */
    size_t sample_count;
};

struct step {
    struct bench *bench;
    unsigned user;
    struct message_id message;
    struct job_id job;
    int64_t now_us;
};

static void
check(enum status st, const struct err *err)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", status_name(st), err->detail);
    exit(1);
}

static struct str
name_of(char out[24], const char *kind, unsigned number)
{
    int len = snprintf(out, 24, "%s-%u", kind, number);

    return str_of(out, (size_t)len);
}

static enum status
prepare_user(struct store_tx *tx, struct bench *bench, unsigned user, struct err *err)
{
    struct contact_id contact = ID_NEW(contact_id);
    struct identity_id identity = ID_NEW(identity_id);
    struct brand_id brand = ID_NEW(brand_id);
    char external_user[24];
    char external_chat[24];
    struct str user_text = name_of(external_user, "user", user);
    struct str chat_text = name_of(external_chat, "chat", user);
    enum status st;

    bench->conversations[user] = ID_NEW(conversation_id);
    st = store_exec(tx, &BENCH_CONTACT, ARGS(sv_id(contact)), NULL, err);
    if (st == ST_OK)
        st = store_exec(
            tx, &BENCH_IDENTITY,
            ARGS(sv_id(bench->channel), sv_text(user_text), sv_id(identity), sv_id(contact)), NULL,
            err);
    if (st == ST_OK)
        st = store_exec(
            tx, &BENCH_CHAT,
            ARGS(sv_id(bench->channel), sv_text(chat_text), sv_id(bench->conversations[user])),
            NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &BENCH_CONVERSATION,
                        ARGS(sv_id(bench->conversations[user]), sv_id(bench->channel),
                             sv_text(chat_text), sv_id(contact), sv_id(brand)),
                        NULL, err);
    return st;
}

static enum status
prepare_users(struct store_tx *tx, void *arg, struct err *err)
{
    struct bench *bench = arg;
    enum status st = ST_OK;

    for (unsigned user = 0; user < CONVERSATIONS && st == ST_OK; user++)
        st = prepare_user(tx, bench, user, err);
    return st;
}

static enum status
step_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *step = arg;
    struct bench *bench = step->bench;
    struct conversation_id conversation;
    struct contact_id contact;
    struct store_rows *rows = NULL;
    char user_bytes[24];
    char chat_bytes[24];
    struct str user = name_of(user_bytes, "user", step->user);
    struct str chat = name_of(chat_bytes, "chat", step->user);
    int64_t seq = 0;
    enum status st = store_query_one(tx, &BENCH_IDENTITY_FIND,
                                     ARGS(sv_id(bench->channel), sv_text(user)), &rows, err);

    if (st != ST_OK)
        return st;
    contact = STORE_COL_ID(rows, 0, contact_id);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_query_one(tx, &BENCH_CHAT_FIND, ARGS(sv_id(bench->channel), sv_text(chat)),
                             &rows, err);
    if (st != ST_OK)
        return st;
    conversation = STORE_COL_ID(rows, 0, conversation_id);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_query_one(tx, &BENCH_INBOUND, ARGS(sv_id(conversation), sv_int(step->now_us)),
                             &rows, err);
    if (st != ST_OK)
        return st;
    seq = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_exec(
            tx, &BENCH_MESSAGE,
            ARGS(sv_id(step->message), sv_id(conversation), sv_int(seq), sv_id(bench->channel),
                 sv_id(contact), sv_text(id_str(&step->message.id)), sv_text(user), sv_text(chat),
                 sv_text(STR(BENCH_BODY)), sv_text(STR(BENCH_ENVELOPE)), sv_int(step->now_us)),
            NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &BENCH_JOB, ARGS(sv_id(step->job), sv_int(step->now_us)), NULL, err);
    return st;
}

static void *
work(void *arg)
{
    struct worker *worker = arg;
    struct bench *bench = worker->bench;
    int64_t now_us = clock_mono_us(clock_system());

    while (now_us < bench->until_us) {
        struct step step;
        struct err err;
        int64_t after_us;

        worker->state = worker->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        step.bench = bench;
        step.user = (unsigned)(worker->state >> 33) % CONVERSATIONS;
        step.message = ID_NEW(message_id);
        step.job = ID_NEW(job_id);
        step.now_us = clock_wall_us(clock_system());
        check(store_run(bench->store, bench->scope, "bench", STORE_DURABLE, step_work, &step, &err),
              &err);
        after_us = clock_mono_us(clock_system());
        if (worker->sample_count < SAMPLES_MAX)
            worker->samples[worker->sample_count++] = (uint32_t)(after_us - now_us);
        worker->done++;
        now_us = after_us;
    }
    return NULL;
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double
cpu_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double
run_threads(struct bench *bench, unsigned count, double seconds, double yardstick)
{
    struct worker *workers = calloc(count, sizeof(*workers));
    pthread_t *threads = calloc(count, sizeof(*threads));
    uint32_t *all;
    size_t middle, late;
    size_t samples = 0;
    int64_t done = 0;
    int64_t began_us = clock_mono_us(clock_system());
    double took;
    double cpu = cpu_seconds();
    struct store_health before;
    struct store_health after;
    struct err err;

    store_get_health(bench->store, &before);
    bench->until_us = began_us + (int64_t)(seconds * (double)US_PER_S);
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){bench,
                                     i,
                                     (i + 1) * UINT64_C(0x9E3779B97F4A7C15),
                                     0,
                                     malloc(SAMPLES_MAX * sizeof(uint32_t)),
                                     0};
        check(thread_start("bench", work, &workers[i], &threads[i], &err), &err);
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    took = (double)(clock_mono_us(clock_system()) - began_us) / (double)US_PER_S;
    cpu = cpu_seconds() - cpu;
    store_get_health(bench->store, &after);
    for (unsigned i = 0; i < count; i++) {
        samples += workers[i].sample_count;
        done += workers[i].done;
    }
    all = malloc((samples + 1) * sizeof(uint32_t));
    samples = 0;
    for (unsigned i = 0; i < count; i++) {
        memcpy(all + samples, workers[i].samples, workers[i].sample_count * sizeof(uint32_t));
        samples += workers[i].sample_count;
        free(workers[i].samples);
    }
    qsort(all, samples, sizeof(uint32_t), compare);
    middle = samples / 2;
    late = samples - samples / 100 - 1;
    printf("%7u %10.0f %9.2f %9.2f %9.2f %8.1f %8.1f %7.2f\n", count, (double)done / took,
           all[middle] / 1000.0, all[late] / 1000.0, all[samples - 1] / 1000.0,
           (double)(after.works - before.works) / (double)(after.commits - before.commits),
           cpu * 1e6 / (double)done, (double)done / took / yardstick);
    (void)fflush(stdout);
    free(all);
    free(workers);
    free(threads);
    return (double)done / took;
}

/* --- the yardstick --- */

struct raw {
    sqlite3 *db;
    sqlite3_stmt *statements[5];
};

static void
raw_check(struct raw *raw, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    (void)fprintf(stderr, "raw: %s\n", sqlite3_errmsg(raw->db));
    exit(1);
}

static void
raw_text(sqlite3_stmt *stmt, int number, struct str text)
{
    char name[8];

    (void)snprintf(name, sizeof(name), "$%d", number);
    (void)sqlite3_bind_text(stmt, sqlite3_bind_parameter_index(stmt, name), text.ptr, (int)text.len,
                            SQLITE_TRANSIENT);
}

static void
raw_int(sqlite3_stmt *stmt, int number, int64_t value)
{
    char name[8];

    (void)snprintf(name, sizeof(name), "$%d", number);
    (void)sqlite3_bind_int64(stmt, sqlite3_bind_parameter_index(stmt, name), value);
}

static void
raw_step(struct raw *raw, struct bench *bench, unsigned user_number)
{
    struct message_id message = ID_NEW(message_id);
    struct job_id job = ID_NEW(job_id);
    struct str organization = ID_STR(bench->organization);
    struct str conversation = ID_STR(bench->conversations[user_number]);
    char user_bytes[24];
    char chat_bytes[24];
    struct str user = name_of(user_bytes, "user", user_number);
    struct str chat = name_of(chat_bytes, "chat", user_number);
    int64_t now_us = clock_wall_us(clock_system());
    int64_t seq;

    for (int i = 0; i < 5; i++)
        raw_text(raw->statements[i], 1, organization);
    raw_text(raw->statements[0], 2, ID_STR(bench->channel));
    raw_text(raw->statements[0], 3, user);
    raw_check(raw, sqlite3_step(raw->statements[0]));
    raw_text(raw->statements[1], 2, ID_STR(bench->channel));
    raw_text(raw->statements[1], 3, chat);
    raw_check(raw, sqlite3_step(raw->statements[1]));
    raw_text(raw->statements[2], 2, conversation);
    raw_int(raw->statements[2], 3, now_us);
    raw_check(raw, sqlite3_step(raw->statements[2]));
    seq = sqlite3_column_int64(raw->statements[2], 0);
    raw_check(raw, sqlite3_reset(raw->statements[2]));
    raw_text(raw->statements[3], 2, ID_STR(message));
    raw_text(raw->statements[3], 3, conversation);
    raw_int(raw->statements[3], 4, seq);
    raw_text(raw->statements[3], 5, ID_STR(bench->channel));
    raw_text(raw->statements[3], 6, conversation);
    raw_text(raw->statements[3], 7, ID_STR(message));
    raw_text(raw->statements[3], 8, user);
    raw_text(raw->statements[3], 9, chat);
    raw_text(raw->statements[3], 10, STR(BENCH_BODY));
    raw_text(raw->statements[3], 11, STR(BENCH_ENVELOPE));
    raw_int(raw->statements[3], 12, now_us);
    raw_check(raw, sqlite3_step(raw->statements[3]));
    raw_text(raw->statements[4], 2, ID_STR(job));
    raw_int(raw->statements[4], 3, now_us);
    raw_check(raw, sqlite3_step(raw->statements[4]));
    for (int i = 0; i < 5; i++)
        raw_check(raw, sqlite3_reset(raw->statements[i]));
}

/* On a copy of the same database, made by the store's own backup; default page cache. */
static double
run_yardstick(struct bench *bench, const char *path, double seconds)
{
    static const struct store_sql *const sql[] = {&BENCH_IDENTITY_FIND, &BENCH_CHAT_FIND,
                                                  &BENCH_INBOUND, &BENCH_MESSAGE, &BENCH_JOB};
    struct raw raw = {0};
    uint64_t state = 1;
    int64_t began_us = clock_mono_us(clock_system());
    int64_t done = 0;

    raw_check(&raw, sqlite3_open(path, &raw.db));
    raw_check(&raw, sqlite3_exec(raw.db, BENCH_PRAGMAS, NULL, NULL, NULL));
    for (int i = 0; i < 5; i++)
        raw_check(&raw, sqlite3_prepare_v2(raw.db, sql[i]->text, -1, &raw.statements[i], NULL));
    while ((double)(clock_mono_us(clock_system()) - began_us) < seconds * (double)US_PER_S) {
        raw_check(&raw, sqlite3_exec(raw.db, BENCH_BEGIN, NULL, NULL, NULL));
        for (int i = 0; i < YARDSTICK_BATCH; i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            raw_step(&raw, bench, (unsigned)(state >> 33) % CONVERSATIONS);
        }
        raw_check(&raw, sqlite3_exec(raw.db, BENCH_COMMIT, NULL, NULL, NULL));
        done += YARDSTICK_BATCH;
    }
    seconds = (double)(clock_mono_us(clock_system()) - began_us) / (double)US_PER_S;
    for (int i = 0; i < 5; i++)
        (void)sqlite3_finalize(raw.statements[i]);
    (void)sqlite3_close(raw.db);
    return (double)done / seconds;
}

static long
resident_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[128] = "", *rest;
    long resident;

    if (file == NULL)
        return 0;
    if (fgets(line, sizeof(line), file) == NULL)
        line[0] = '\0';
    (void)fclose(file);
    (void)strtol(line, &rest, 10); /* of the whole address space */
    resident = strtol(rest, NULL, 10);
    return resident * 4;
}

static void
open_all(struct bench *bench, const char *folder)
{
    struct store_config store = {.data_folder = folder};
    struct tenants_config tenants = {.clock = clock_system()};
    char key_file[4200];
    struct err err;

    (void)snprintf(key_file, sizeof(key_file), "%s/keys", folder);
    check(store_open(&store, &bench->store, &err), &err);
    tenants.store = bench->store;
    tenants.key_file = key_file;
    check(tenants_open(&tenants, &bench->tenants, &err), &err);
}

static void
close_all(struct bench *bench)
{
    tenants_close(&bench->tenants);
    store_close(&bench->store);
}

static struct organization_id
make_organization(struct bench *bench, unsigned number)
{
    char slug[24];
    struct organization_spec spec = {.name = STR("Bench"),
                                     .slug = name_of(slug, "bench", number),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Owner")};
    struct organization organization;
    struct err err;

    check(organization_create(bench->tenants, &spec, bench->arena, &organization, &err), &err);
    return organization.id;
}

static const struct tenant_scope *
scope_of(struct bench *bench, struct organization_id id)
{
    const struct tenant_scope *scope = NULL;
    struct err err;

    check(tenant_admit_operator(bench->tenants, ID_STR(id), bench->arena, &scope, &err), &err);
    return scope;
}

/* What a start with that many organizations costs the store: each file opened once. */
static void
open_many(struct bench *bench, const char *folder, unsigned tenants)
{
    struct organization_id *ids = calloc(tenants, sizeof(*ids));
    int64_t began_us;
    long before_kb;
    struct err err;

    for (unsigned i = 0; i < tenants; i++)
        ids[i] = make_organization(bench, i + 1);
    close_all(bench);
    before_kb = resident_kb();
    began_us = clock_mono_us(clock_system());
    open_all(bench, folder);
    for (unsigned i = 0; i < tenants; i++)
        check(store_tenant_create(bench->store, scope_of(bench, ids[i]), &err), &err);
    printf("%u tenants opened in %.1f ms, %ld kB\n", tenants,
           (double)(clock_mono_us(clock_system()) - began_us) / 1000.0, resident_kb() - before_kb);
    free(ids);
}

int
main(int argc, char **argv)
{
    static const unsigned counts[] = {1, 8, 32, 64};
    struct bench bench = {.channel = ID_NEW(channel_id)};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
    unsigned tenants = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 100;
    double yardstick;
    char copy[4096];
    char file[4200];
    struct err err;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: store_bench FOLDER [SECONDS] [TENANTS] [THREADS]\n");
        return 2;
    }
    bench.arena = arena_create((size_t)16 * 1024 * 1024);
    open_all(&bench, argv[1]);
    bench.organization = make_organization(&bench, 0);
    bench.scope = scope_of(&bench, bench.organization);
    check(
        store_run(bench.store, bench.scope, "prepare", STORE_DURABLE, prepare_users, &bench, &err),
        &err);
    (void)snprintf(copy, sizeof(copy), "%s/yardstick", argv[1]);
    (void)snprintf(file, sizeof(file), "%s/tenants/%s.db", copy, bench.organization.id.text);
    check(store_backup(bench.store, copy, NULL, NULL, &err), &err);
    yardstick = run_yardstick(&bench, file, seconds);
    printf("yardstick: raw SQLite, one thread, %d a transaction: %.0f works/s\n", YARDSTICK_BATCH,
           yardstick);
    printf("%7s %10s %9s %9s %9s %8s %8s %7s\n", "threads", "works/s", "p50 ms", "p99 ms", "max ms",
           "a commit", "us cpu", "ratio");
    if (argc > 4)
        (void)run_threads(&bench, (unsigned)strtoul(argv[4], NULL, 10), seconds, yardstick);
    for (size_t i = 0; argc <= 4 && i < sizeof(counts) / sizeof(counts[0]); i++)
        (void)run_threads(&bench, counts[i], seconds, yardstick);
    open_many(&bench, argv[1], tenants);
    close_all(&bench);
    arena_destroy(&bench.arena);
    return 0;
}
