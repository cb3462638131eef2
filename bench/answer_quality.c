/*
 * answer_quality.c - questions put to the product as customers put them; one line of JSON an answer
 *
 *   answer_quality DATA_FOLDER ORGANIZATION [WEIGHTS] < questions.jsonl > answers.jsonl
 *   answer_quality --corpus FOLDER [WEIGHTS]          < questions.jsonl > answers.jsonl
 * A question is {"ask", "before"?, "history"?, "staff"?}; history is [{"speaker": "user" | "agent",
 * "text"}]. The first form asks an organization that is there; the second puts FOLDER/corpus.jsonl
 * {"title", "heading_path"?, "text"} into an organization of its own. With WEIGHTS (parley encoder)
 * passages are found by vectors as well. An answer is {"kind", "confidence", "answer", "ms",
 * "retrieve_ms", "signals", "passages"}, passages with their line in the corpus, from 0, best
 * first; what is right is judged by who reads them.
 */
#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/retrieval_quality_sql.h"
#include "index/index.h"
#include "orchestrator/orchestrator.h"
#include "tenant/tenant.h"
#include "text/json.h"

#define PASSAGES 10
#define HISTORY_MAX 64
#define CORPUS_MAX 100000
#define EMBED_MS 600000
#define ENTRIES_A_WORK 50
#define PATH_BYTES 4096

struct bench {
    struct store *store;
    struct tenants *tenants;
    struct channel_env channel_env;
    struct channel_registry *channels;
    atomic_bool stopping;
    struct model_chain *models;
    struct orchestrator *orchestrator;
    struct embedder *embedder; /* NULL: words alone */
    struct index_vectors *vectors;
    const struct tenant_scope *scope;
    struct source_id *sources; /* of the corpus, by line */
    size_t source_count;
    struct arena *kept;  /* the organization, the corpus */
    struct arena *arena; /* of one question */
    char own_folder[64]; /* "" when the data folder is the caller's */
};

static void
fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "answer_quality: %s: %s\n", what, detail);
    exit(2);
}

static void
check(enum status st, const struct err *err)
{
    if (st != ST_OK)
        fail(status_name(st), err->detail);
}

/* The next line as JSON; NULL at the end. */
static json_t *
read_line(FILE *file)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len = getline(&line, &capacity, file);
    json_t *json = NULL;
    struct err err;

    if (len > 0 && json_parse(str_trim(str_of(line, (size_t)len)), &json, &err) != ST_OK)
        fail("bad line", err.detail);
    free(line);
    return json;
}

/* --- opening --- */

static void
open_store(struct bench *bench, const char *folder)
{
    struct store_config store = {.data_folder = folder};
    struct tenants_config tenants = {.clock = clock_system()};
    char key_file[PATH_BYTES];
    struct err err = {0};

    check(store_open(&store, &bench->store, &err), &err);
    (void)snprintf(key_file, sizeof(key_file), "%s.key", folder);
    tenants.store = bench->store;
    tenants.key_file = key_file;
    check(tenants_open(&tenants, &bench->tenants, &err), &err);
}

static void
open_orchestrator(struct bench *bench)
{
    struct model_env env = {.clock = clock_system()};
    struct orchestrator_config config = {
        .store = bench->store, .tenants = bench->tenants, .clock = clock_system()};
    json_t *none = json_array();
    struct err err = {0};

    bench->channel_env =
        (struct channel_env){.clock = clock_system(), .stopping = &bench->stopping};
    check(channel_registry_create(&bench->channel_env, bench->tenants, channel_drivers_built_in,
                                  &bench->channels, &err),
          &err);
    check(model_chain_open(&env, none, &bench->models, &err), &err);
    config.channels = bench->channels;
    config.embedder = bench->embedder;
    config.vectors = bench->vectors;
    config.models = config.extractive = bench->models;
    config.passages = PASSAGES;
    config.model_deadline_ms = 10000;
    check(orchestrator_open(&config, &bench->orchestrator, &err), &err);
    json_decref(none);
}

static void
open_encoder(struct bench *bench, const char *weights)
{
    const struct embed_env env = {.clock = clock_system()};
    struct index_vectors_config config = {.max_bytes = (size_t)1 << 30};
    json_auto_t *json = json_object();
    struct err err = {0};

    json_set_str(json, "driver", STR("minilm"));
    json_set_str(json, "weights", str_from_c(weights));
    check(embed_open(&env, json, &bench->embedder, &err), &err);
    config.encoder = embed_version(bench->embedder);
    config.dimension = embed_dimension(bench->embedder);
    check(index_vectors_create(&config, &bench->vectors, &err), &err);
}

struct put_work {
    struct index_entry entries[ENTRIES_A_WORK];
    size_t count;
};

static enum status
put_entries(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *entry = &work->entries[i];

        st = store_exec(tx, &SQL_BENCH_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id),
                             sv_int(entry->chunk_id), sv_text(entry->text),
                             sv_int((int64_t)entry->text.len), sv_text(entry->language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, work->entries, work->count, err) : st;
}

static void
put_work(struct bench *bench, struct put_work *work)
{
    struct err err = {0};

    for (size_t i = 0; bench->embedder != NULL && i < work->count; i++) {
        struct index_entry *entry = &work->entries[i];
        unsigned dimension = embed_dimension(bench->embedder);
        float *values = ARENA_NEW_N(bench->arena, float, dimension);
        struct str text =
            index_vector_text(entry->title, entry->heading_path, entry->text, bench->arena);

        check(embed_texts(bench->embedder, &text, 1, EMBED_MS, values, &err), &err);
        entry->vector = (struct index_vector){embed_version(bench->embedder), dimension, values};
    }
    if (work->count > 0)
        check(store_run(bench->store, bench->scope, "bench_put", STORE_RELAXED, put_entries, work,
                        &err),
              &err);
    work->count = 0;
    arena_reset(bench->arena);
}

static void
put_corpus(struct bench *bench, const char *folder)
{
    static struct put_work work; /* too large for a stack */
    int64_t next_chunk = 1;
    char path[PATH_BYTES];
    FILE *file;
    json_t *json;

    (void)snprintf(path, sizeof(path), "%s/corpus.jsonl", folder);
    file = fopen(path, "re");
    if (file == NULL)
        fail(path, strerror(errno));
    bench->sources = ARENA_NEW_N(bench->kept, struct source_id, CORPUS_MAX);
    while ((json = read_line(file)) != NULL && bench->source_count < CORPUS_MAX) {
        struct source_id *source = &bench->sources[bench->source_count++];
        struct str text = arena_str(bench->kept, json_get_str(json, "text"));
        struct str language = text_language(text);

        *source = ID_NEW(source_id);
        work.entries[work.count++] = (struct index_entry){
            .chunk_id = next_chunk++,
            .source_id = *source,
            .version = 1,
            .audience = STR("customer"),
            .language = language.len == 0 ? STR("en") : language,
            .title = arena_str(bench->kept, json_get_str(json, "title")),
            .heading_path = arena_str(bench->kept, json_get_str(json, "heading_path")),
            .text = text,
        };
        json_decref(json);
        if (work.count == ENTRIES_A_WORK)
            put_work(bench, &work);
    }
    put_work(bench, &work);
    (void)fclose(file);
}

static void
open_corpus(struct bench *bench, const char *folder)
{
    const struct organization_spec spec = {STR("Measured"), STR("measured"), STR("a@example.com"),
                                           STR("A")};
    struct organization organization;
    char data[80];
    struct err err = {0};

    (void)snprintf(bench->own_folder, sizeof(bench->own_folder), "/tmp/parley-quality-XXXXXX");
    if (mkdtemp(bench->own_folder) == NULL)
        fail(bench->own_folder, strerror(errno));
    (void)snprintf(data, sizeof(data), "%s/data", bench->own_folder);
    open_store(bench, data);
    check(organization_create(bench->tenants, &spec, bench->kept, &organization, &err), &err);
    check(tenant_admit_operator(bench->tenants, spec.slug, bench->kept, &bench->scope, &err), &err);
    put_corpus(bench, folder);
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void
bench_close(struct bench *bench)
{
    orchestrator_close(&bench->orchestrator);
    model_chain_close(&bench->models);
    channel_registry_destroy(&bench->channels);
    index_vectors_destroy(&bench->vectors);
    embed_close(&bench->embedder);
    tenants_close(&bench->tenants);
    store_close(&bench->store);
    arena_destroy(&bench->kept);
    arena_destroy(&bench->arena);
    if (bench->own_folder[0] != '\0' &&
        nftw(bench->own_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        (void)fprintf(stderr, "answer_quality: %s stays\n", bench->own_folder);
}

/* --- asking --- */

struct search_work {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
};

static enum status
search_again(struct store_tx *tx, void *arg, struct err *err)
{
    struct search_work *work = arg;

    return index_search(tx, &work->query, work->arena, &work->result, err);
}

/* Of the question alone. */
static void
add_signals(struct bench *bench, const struct question *question, json_t *row)
{
    struct search_work work = {.query = {.text = question->text,
                                         .limit = PASSAGES,
                                         .for_staff = question->staff,
                                         .vectors = bench->vectors},
                               .arena = bench->arena};
    json_t *list = json_array();
    struct err err = {0};

    if (bench->embedder != NULL) {
        float *values = ARENA_NEW_N(bench->arena, float, embed_dimension(bench->embedder));

        check(embed_texts(bench->embedder, &question->text, 1, EMBED_MS, values, &err), &err);
        work.query.vector = values;
    }

    check(store_read(bench->store, bench->scope, "bench_search", search_again, &work, &err), &err);
    for (size_t i = 0; i < INDEX_SIGNALS; i++)
        json_array_append_new(list, json_real(work.result.signals[i]));
    json_set(row, "signals", list);
    if (work.result.count > 0)
        json_set_str(row, "first", work.result.hits[0].text);
}

static void
add_passages(const struct bench *bench, const struct answer *answer, json_t *row)
{
    json_t *list = json_array();

    for (size_t i = 0; i < answer->passage_count; i++)
        for (size_t line = 0; line < bench->source_count; line++)
            if (str_eq(ID_STR(answer->passages[i].source_id), ID_STR(bench->sources[line])))
                json_array_append_new(list, json_integer((json_int_t)line));
    json_set(row, "passages", list);
}

static size_t
read_history(const json_t *asked, struct message *history)
{
    const json_t *list = json_object_get(asked, "history"), *turn;
    struct str before = json_get_str(asked, "before");
    size_t count = 0, i;

    json_array_foreach (list, i, turn)
        if (count < HISTORY_MAX)
            history[count++] = (struct message){
                .role = str_eq_c(json_get_str(turn, "speaker"), "user") ? STR("user")
                                                                        : STR("assistant"),
                .body = json_get_str(turn, "text")};
    if (before.len > 0 && count < HISTORY_MAX)
        history[count++] = (struct message){.role = STR("user"), .body = before};
    return count;
}

static void
ask(struct bench *bench, const json_t *asked)
{
    struct message history[HISTORY_MAX];
    struct question question = {.text = json_get_str(asked, "ask"),
                                .staff = json_is_true(json_object_get(asked, "staff"))};
    static const char *const kinds[] = {"grounded", "courtesy", "unsure", "person", "unreadable"};
    struct answer answer;
    struct err err = {0};
    json_t *row = json_object();
    int64_t start_us;

    question.history = history;
    question.history_count = read_history(asked, history);
    start_us = clock_mono_us(clock_system());
    check(orchestrator_answer(bench->orchestrator, bench->scope, &question, NULL, bench->arena,
                              &answer, &err),
          &err);
    json_set_double(row, "ms", (double)(clock_mono_us(clock_system()) - start_us) / 1e3);
    json_set_double(row, "retrieve_ms", answer.retrieve_ms);
    json_set_str(row, "kind", str_from_c(kinds[answer.kind]));
    json_set_double(row, "confidence", answer.confidence);
    json_set_str(row, "answer", answer.text);
    add_signals(bench, &question, row);
    add_passages(bench, &answer, row);
    (void)json_dumpf(row, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(row);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.kept = arena_create((size_t)1 << 31),
                          .arena = arena_create((size_t)1 << 28)};
    struct err err = {0};
    json_t *asked;

    if (argc != 3 && argc != 4)
        fail("usage", "answer_quality DATA_FOLDER ORGANIZATION [WEIGHTS] | --corpus FOLDER "
                      "[WEIGHTS]");
    if (argc == 4)
        open_encoder(&bench, argv[3]);
    if (strcmp(argv[1], "--corpus") == 0) {
        open_corpus(&bench, argv[2]);
    } else {
        open_store(&bench, argv[1]);
        check(tenant_admit_operator(bench.tenants, str_from_c(argv[2]), bench.kept, &bench.scope,
                                    &err),
              &err);
    }
    open_orchestrator(&bench);
    while ((asked = read_line(stdin)) != NULL) {
        ask(&bench, asked);
        json_decref(asked);
        arena_reset(bench.arena);
    }
    bench_close(&bench);
    return 0;
}
