/*
 * retrieval_quality.c - does the product's index find what the labelled sets say answers?
 *
 *   retrieval_quality DATA_FOLDER [WEIGHTS] [--scale FOLDER CHUNKS...]
 *   PARLEY_DATABASE_URL=... retrieval_quality ...      on a migrated PostgreSQL
 *   QDRANT_URL=... retrieval_quality ...               with candidates from that server
 *
 * Every set goes through index_put and index_search as it is configured for everybody. Prints a
 * line a set beside its target and the plain BM25 it is compared with; with WEIGHTS (parley
 * encoder) one by words, one by vectors alone (here, with floats) and one by both. Ends with 1 when
 * a target is missed, or when both together are not better than the better of the two. --scale
 * instead fills one organization with that many passages, made from the sets by changing words (and
 * numbers of the vectors), and prints how long a search takes; then with more. They stay in FOLDER,
 * so that another run finds them, and the yardsticks: with questions.txt and questions.f32, a line
 * and a vector a question.
 */
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/retrieval_quality_sql.h"
#include "embed/embed.h"
#include "eval/beir.h"
#include "eval/metrics.h"
#include "index/engine.h"
#include "tenant/tenant.h"
#include "text/json.h"

#define DEPTH 10
#define EMBED_MS 600000
#define CHUNKS_A_WORK 500
#define QUERIES_A_SET 2000
#define SCALE_QUESTIONS 300 /* of a set */

static const struct {
    const char *name;
    double target;    /* by words */
    double together;  /* by words and vectors */
    double yardstick; /* nDCG@10 of plain BM25, k1 0.9, b 0.4, English stems; 0: none published */
} sets[] = {
    {"cranfield", 0.384, 0.42, 0.351},
    {"cacm", 0.432, 0.47, 0.431},
    {"xquad-en", 0.971, 0.975, 0},
    {"mtrag-dev", 0.629, 0.70, 0},
};
#define SET_COUNT (sizeof(sets) / sizeof(sets[0]))

struct bench {
    struct store *store;
    struct tenants *tenants;
    struct arena *arena;
    const struct tenant_scope *scope;
    struct source_id source;
    char folder[256];
    bool stays;
    int64_t next_chunk;
    struct embedder *embedder; /* NULL: by words alone */
    struct index_vectors *vectors;
    struct http_client *http;
    struct index_engine *engine; /* NULL: the database */
};

static void
check(enum status st, const struct err *err)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "retrieval_quality: %s: %s\n", status_name(st), err->detail);
    exit(2);
}

static void
bench_folder(struct bench *bench, const char *folder)
{
    bench->stays = folder != NULL;
    (void)snprintf(bench->folder, sizeof(bench->folder), "%s",
                   folder == NULL ? "/tmp/parley-quality-XXXXXX" : folder);
    if (folder == NULL ? mkdtemp(bench->folder) == NULL
                       : mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)fprintf(stderr, "retrieval_quality: %s: %s\n", bench->folder, strerror(errno));
        exit(2);
    }
}

/* An organization named slug, on the server or in a folder: NULL: its own, removed at the end. */
static void
bench_open(struct bench *bench, const char *slug, const char *folder)
{
    const struct organization_spec spec = {STR("Measured"), str_from_c(slug), STR("a@example.com"),
                                           STR("A")};
    struct store_config config = {0};
    struct tenants_config tenants = {.clock = clock_system()};
    struct organization organization;
    char key_file[300];
    struct err err = {0};
    enum status st;

    *bench = (struct bench){.next_chunk = 1, .arena = arena_create((size_t)1 << 20)};
    bench_folder(bench, folder);
    config.data_folder = bench->folder;
    config.database_url = getenv("PARLEY_DATABASE_URL");
    check(store_open(&config, &bench->store, &err), &err);
    (void)snprintf(key_file, sizeof(key_file), "%s/key", bench->folder);
    tenants.store = bench->store;
    tenants.key_file = key_file;
    check(tenants_open(&tenants, &bench->tenants, &err), &err);
    st = organization_create(bench->tenants, &spec, bench->arena, &organization, &err);
    check(bench->stays && st == ST_CONFLICT ? ST_OK : st, &err);
    check(tenant_admit_operator(bench->tenants, spec.slug, bench->arena, &bench->scope, &err),
          &err);
    bench->source = ID_NEW(source_id);
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
    index_engine_close(&bench->engine);
    http_client_destroy(&bench->http);
    index_vectors_destroy(&bench->vectors);
    embed_close(&bench->embedder);
    tenants_close(&bench->tenants);
    store_close(&bench->store);
    arena_destroy(&bench->arena);
    if (!bench->stays && nftw(bench->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        (void)fprintf(stderr, "retrieval_quality: %s stays\n", bench->folder);
}

/* --- vectors --- */

static void
bench_encoder(struct bench *bench, const char *weights)
{
    const struct embed_env env = {.clock = clock_system()};
    struct index_vectors_config config = {.max_bytes = (size_t)4 << 30};
    json_auto_t *json = json_object();
    struct err err = {0};

    if (weights == NULL)
        return;
    json_set_str(json, "driver", STR("minilm"));
    json_set_str(json, "weights", str_from_c(weights));
    check(embed_open(&env, json, &bench->embedder, &err), &err);
    config.encoder = embed_version(bench->embedder);
    config.dimension = embed_dimension(bench->embedder);
    check(index_vectors_create(&config, &bench->vectors, &err), &err);
}

/* After the encoder. */
static void
bench_engine(struct bench *bench)
{
    const struct http_client_config http = {.allow_private_addresses = true};
    const struct source_id unique = ID_NEW(source_id);
    struct index_engine_config config = {
        .store = bench->store,
        .clock = clock_system(),
        .collection = ID_STR(unique),
        .question_ms = EMBED_MS,
        .allow_private = true,
    };
    const char *url = getenv("QDRANT_URL");
    struct err err = {0};

    if (url == NULL)
        return;
    check(http_client_create(&http, &bench->http, &err), &err);
    config.http = bench->http;
    config.url = str_from_c(url);
    if (bench->embedder != NULL) {
        config.encoder = embed_version(bench->embedder);
        config.dimension = embed_dimension(bench->embedder);
    }
    check(index_engine_open(&config, &bench->engine, &err), &err);
}

static struct index_vector
bench_vector(const struct bench *bench, const float *values)
{
    return (struct index_vector){embed_version(bench->embedder), embed_dimension(bench->embedder),
                                 values};
}

static void
bench_embed(const struct bench *bench, struct str text, float *vector_out)
{
    struct err err = {0};

    if (str_trim(text).len == 0)
        text = STR("nothing"); /* the sets have documents without words */
    check(embed_texts(bench->embedder, &text, 1, EMBED_MS, vector_out, &err), &err);
}

/* On the heap; NULL without an encoder. */
static float *
bench_embed_documents(const struct bench *bench, const struct beir_set *set)
{
    struct arena *arena;
    float *vectors;
    unsigned dimension;

    if (bench->embedder == NULL)
        return NULL;
    dimension = embed_dimension(bench->embedder);
    vectors = calloc(set->document_count * dimension, sizeof(float));
    arena = arena_create((size_t)64 << 20);
    if (vectors == NULL)
        abort();
    for (size_t i = 0; i < set->document_count; i++) {
        arena_reset(arena);
        bench_embed(
            bench,
            index_vector_text(set->documents[i].title, STR_EMPTY, set->documents[i].text, arena),
            vectors + i * dimension);
    }
    arena_destroy(&arena);
    return vectors;
}

/* --- putting --- */

struct put_work {
    struct bench *bench;
    const struct beir_document *documents;
    const float *vectors; /* of the documents; NULL: none */
    size_t count;
};

static enum status
put_documents(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_work *work = arg;
    struct index_entry entries[CHUNKS_A_WORK];
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        entries[i] = (struct index_entry){
            .chunk_id = work->bench->next_chunk + (int64_t)i,
            .source_id = work->bench->source,
            .version = 1,
            .audience = STR("customer"),
            .language = STR("en"), /* all of the sets */
            .title = work->documents[i].title,
            .text = work->documents[i].text,
        };
        if (work->vectors != NULL)
            entries[i].vector = bench_vector(
                work->bench, work->vectors + i * embed_dimension(work->bench->embedder));
        st = store_exec(tx, &SQL_BENCH_CHUNK_INSERT,
                        ARGS(sv_int(entries[i].chunk_id), sv_id(entries[i].source_id),
                             sv_int(entries[i].chunk_id), sv_text(entries[i].text),
                             sv_int((int64_t)entries[i].text.len), sv_text(entries[i].language)),
                        NULL, err);
    }
    if (st == ST_OK)
        st = index_put(tx, entries, work->count, err);
    return st;
}

/* vectors may be NULL. */
static void
bench_put(struct bench *bench, const struct beir_document *documents, const float *vectors,
          size_t count)
{
    struct err err = {0};

    for (size_t at = 0; at < count;) {
        struct put_work work = {bench, documents + at, NULL, count - at};

        if (vectors != NULL)
            work.vectors = vectors + at * embed_dimension(bench->embedder);

        if (work.count > CHUNKS_A_WORK)
            work.count = CHUNKS_A_WORK;
        check(store_run(bench->store, bench->scope, "bench_put", STORE_RELAXED, put_documents,
                        &work, &err),
              &err);
        bench->next_chunk += (int64_t)work.count;
        at += work.count;
    }
}

/* --- searching --- */

struct search_work {
    struct bench *bench;
    struct str text;
    const float *vector; /* NULL: by words alone */
    struct arena *arena;
    struct index_result result;
};

/* What this thread has used of a processor: on a busy machine the clock tells of the others. */
static int64_t
cpu_us(void)
{
    struct timespec used;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * US_PER_S + used.tv_nsec / 1000;
}

struct took {
    int64_t wall_us, cpu_us;
};

static struct took
bench_search(struct bench *bench, struct search_work *work)
{
    int64_t start = clock_mono_us(clock_system()), cpu_start = cpu_us();
    struct err err = {0};
    const struct index_query query = {.text = work->text,
                                      .limit = DEPTH,
                                      .want_best_sentence = true,
                                      .vectors = bench->vectors,
                                      .vector = work->vector};

    arena_reset(work->arena);
    check(index_ask(bench->engine, bench->store, bench->scope, &query, work->arena, &work->result,
                    &err),
          &err);
    return (struct took){clock_mono_us(clock_system()) - start, cpu_us() - cpu_start};
}

static int
compare_times(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

struct times {
    int64_t wall_us[QUERIES_A_SET], cpu_us[QUERIES_A_SET];
    size_t count;
};

static void
times_add(struct times *times, struct took took)
{
    if (times->count == QUERIES_A_SET)
        return;
    times->wall_us[times->count] = took.wall_us;
    times->cpu_us[times->count++] = took.cpu_us;
}

/* Milliseconds. */
static double
quantile(int64_t *us, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(us, count, sizeof(us[0]), compare_times);
    return (double)us[(size_t)((double)(count - 1) * share)] / 1000;
}

/* One way of finding, over a set. */
struct way {
    const char *name;
    double ndcg, recall, reciprocal, judged;
    struct times *times; /* NULL: not the product's */
};

static void
way_add(struct way *way, const struct beir_query *query, const size_t *ranked, size_t count)
{
    double gains[DEPTH];
    size_t found[DEPTH];

    for (size_t i = 0; i < count; i++) {
        gains[i] = beir_grade(query, ranked[i]);
        found[i] = gains[i] > 0;
    }
    way->ndcg += eval_ndcg(gains, count, query->grades, query->relevant_count, DEPTH);
    way->recall += eval_recall(found, count, query->relevant_count, DEPTH);
    way->reciprocal += eval_reciprocal_rank(gains, count);
    way->judged++;
}

static void
ask(struct search_work *work, struct way *way, const struct beir_query *query)
{
    size_t ranked[DEPTH];

    times_add(way->times, bench_search(work->bench, work));
    if (work->vector != NULL && !work->result.by_vectors) {
        (void)fprintf(stderr, "retrieval_quality: vectors took no part\n");
        exit(2);
    }
    for (size_t hit = 0; hit < work->result.count; hit++)
        ranked[hit] = (size_t)work->result.hits[hit].chunk_id - 1;
    way_add(way, query, ranked, work->result.count);
}

/* The nearest by floats, one after the other: the leg alone, and what the scan must come near. */
static void
ask_naively(const float *vectors, size_t count, unsigned dimension, const float *vector,
            struct way *way, const struct beir_query *query)
{
    double best[DEPTH] = {0};
    size_t ranked[DEPTH], found = 0;

    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        size_t at = found;

        for (unsigned d = 0; d < dimension; d++)
            sum += vectors[i * dimension + d] * vector[d];
        for (; at > 0 && best[at - 1] < (double)sum; at--)
            if (at < DEPTH) {
                best[at] = best[at - 1];
                ranked[at] = ranked[at - 1];
            }
        if (at < DEPTH) {
            best[at] = (double)sum;
            ranked[at] = i;
            found += found < DEPTH;
        }
    }
    way_add(way, query, ranked, found);
}

static double
print_way(size_t number, const struct way *way, size_t documents, double target, bool reached)
{
    double ndcg = way->ndcg / way->judged;

    (void)printf("%-12s %-8s %7zu %7.0f   %.4f  %.3f   ", sets[number].name, way->name, documents,
                 way->judged, ndcg, target);
    if (sets[number].yardstick > 0)
        (void)printf("%.3f", sets[number].yardstick);
    else
        (void)printf("    -");
    (void)printf("      %.4f  %.4f", way->recall / way->judged, way->reciprocal / way->judged);
    if (way->times != NULL)
        (void)printf("  %6.2f  %6.2f  %6.2f", quantile(way->times->wall_us, way->times->count, 0.5),
                     quantile(way->times->wall_us, way->times->count, 0.99),
                     quantile(way->times->cpu_us, way->times->count, 0.99));
    (void)printf("  %s\n", target == 0 ? "" : reached ? "reached" : "MISSED");
    return ndcg;
}

/* Returns whether the targets were reached. */
static bool
measure_set(const char *data, const char *weights, size_t number)
{
    static struct times times[2]; /* too large for a stack */
    struct way words = {.name = "words", .times = &times[0]};
    struct way vectors_alone = {.name = "vectors"}, both = {.name = "both", .times = &times[1]};
    struct bench bench;
    struct search_work work = {.bench = &bench, .arena = arena_create((size_t)64 << 20)};
    struct beir_set set;
    struct err err = {0};
    double by_words, by_vectors, together;
    char folder[4096];
    float *vectors, vector[EMBED_MAX_DIMENSION];
    bool reached;

    (void)snprintf(folder, sizeof(folder), "%s/retrieval/%s", data, sets[number].name);
    check(beir_load(folder, &set, &err), &err);
    bench_open(&bench, sets[number].name, NULL);
    bench_encoder(&bench, weights);
    vectors = bench_embed_documents(&bench, &set);
    bench_engine(&bench);
    bench_put(&bench, set.documents, vectors, set.document_count);
    if (bench.engine != NULL)
        check(index_sync_now(bench.engine, bench.scope, &err), &err);
    times[0].count = times[1].count = 0;
    for (size_t i = 0; i < set.query_count; i++) {
        const struct beir_query *query = &set.queries[i];

        if (query->relevant_count == 0)
            continue;
        work.text = query->text;
        work.vector = NULL;
        ask(&work, &words, query);
        if (vectors == NULL)
            continue;
        bench_embed(&bench, query->text, vector);
        ask_naively(vectors, set.document_count, embed_dimension(bench.embedder), vector,
                    &vectors_alone, query);
        work.vector = vector;
        ask(&work, &both, query);
    }
    reached = words.ndcg / words.judged >= sets[number].target;
    by_words = print_way(number, &words, set.document_count, sets[number].target, reached);
    if (vectors != NULL) {
        by_vectors = print_way(number, &vectors_alone, set.document_count, 0, true);
        together = both.ndcg / both.judged;
        reached = reached && together >= sets[number].together && together > by_words &&
                  together > by_vectors;
        print_way(number, &both, set.document_count, sets[number].together, reached);
    }
    free(vectors);
    bench_close(&bench);
    beir_free(&set);
    arena_destroy(&work.arena);
    return reached;
}

/* --- many passages --- */

/* The text with one long word in four made another word, the same in the whole round: so that a
 * round has its own rare words and shares the frequent ones. */
static struct str
change_words(struct str text, unsigned round, struct arena *arena)
{
    struct text_span *words;
    size_t count = text_words(text, arena, &words), at = 0;
    struct buf changed;
    struct str copy;

    buf_init(&changed, (size_t)16 << 20);
    for (size_t i = 0; i < count; i++) {
        struct str word = str_sub(text, words[i].start, words[i].end - words[i].start);
        uint32_t hash = 2166136261u ^ (round * 0x9e3779b9u);

        for (size_t b = 0; b < word.len; b++)
            hash = (hash ^ (unsigned char)word.ptr[b]) * 16777619u;
        buf_append(&changed, str_sub(text, at, words[i].end - at));
        at = words[i].end;
        if (round > 0 && word.len > 6 && (hash >> 16) % 4 == 0)
            buf_printf(&changed, "%c%c", 'a' + (int)(hash % 23), 'a' + (int)(round % 23));
    }
    buf_append(&changed, str_sub(text, at, text.len));
    copy = arena_str(arena, buf_str(&changed));
    buf_deinit(&changed);
    return copy;
}

/* The document's, with one number in four another one, and of length 1 again. */
static void
change_vector(const float *vector, unsigned dimension, unsigned round, uint64_t *random,
              float *changed_out)
{
    double sum = 0;

    for (unsigned i = 0; i < dimension; i++) {
        *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        changed_out[i] = vector[i];
        if (round > 0 && *random >> 62 == 0)
            changed_out[i] += ((float)(*random >> 40 & 0xffff) / 65536.0F - 0.5F) / 4;
        sum += (double)changed_out[i] * (double)changed_out[i];
    }
    for (unsigned i = 0; i < dimension; i++)
        changed_out[i] /= (float)sqrt(sum);
}

static void
scale_put(struct bench *bench, struct beir_set *loaded, float *const *vectors, size_t chunks)
{
    struct arena *arena = arena_create((size_t)256 << 20);
    unsigned dimension = bench->embedder == NULL ? 0 : embed_dimension(bench->embedder);
    float *changed_vectors = calloc(CHUNKS_A_WORK, (dimension + 1) * sizeof(float));
    uint64_t random = 3 + (uint64_t)bench->next_chunk;
    size_t documents = 0;

    for (size_t s = 0; s < SET_COUNT; s++)
        documents += loaded[s].document_count;
    for (unsigned round = (unsigned)((size_t)bench->next_chunk / documents);
         (size_t)bench->next_chunk <= chunks; round++)
        for (size_t s = 0; s < SET_COUNT; s++)
            for (size_t at = 0; at < loaded[s].document_count; at += CHUNKS_A_WORK) {
                struct beir_document changed[CHUNKS_A_WORK];
                size_t count = 0;

                arena_reset(arena);
                for (; count < CHUNKS_A_WORK && at + count < loaded[s].document_count &&
                       (size_t)bench->next_chunk + count <= chunks;
                     count++) {
                    changed[count] = loaded[s].documents[at + count];
                    changed[count].text = change_words(changed[count].text, round, arena);
                    if (dimension > 0)
                        change_vector(vectors[s] + (at + count) * dimension, dimension, round,
                                      &random, changed_vectors + count * dimension);
                }
                bench_put(bench, changed, dimension > 0 ? changed_vectors : NULL, count);
            }
    free(changed_vectors);
    arena_destroy(&arena);
}

static enum status
read_health(struct store_tx *tx, void *arg, struct err *err)
{
    return index_get_health(tx, arg, err);
}

static int64_t
count_chunks(struct bench *bench)
{
    struct index_health health;
    struct err err = {0};

    check(store_read(bench->store, bench->scope, "bench_health", read_health, &health, &err), &err);
    return health.chunks;
}

struct scale {
    struct bench bench;
    struct beir_set loaded[SET_COUNT];
    float *vectors[SET_COUNT];
};

static void
print_times(const char *name, const char *set, struct times *times)
{
    (void)printf(
        "%-12s %-12s ms: p50 %6.2f  p99 %6.2f  max %6.2f; of a processor: p50 %6.2f"
        "  p99 %6.2f  max %6.2f\n",
        name, set, quantile(times->wall_us, times->count, 0.5),
        quantile(times->wall_us, times->count, 0.99), quantile(times->wall_us, times->count, 1),
        quantile(times->cpu_us, times->count, 0.5), quantile(times->cpu_us, times->count, 0.99),
        quantile(times->cpu_us, times->count, 1));
    (void)fflush(stdout);
}

/* One round of questions by words, or by both; the encoder's time is not in it. */
static void
scale_round(struct scale *scale, struct search_work *work, const char *name, bool by_both)
{
    static struct times times, all;
    float vector[EMBED_MAX_DIMENSION];

    all.count = 0;
    for (size_t s = 0; s < SET_COUNT; s++) {
        struct took took;

        times.count = 0;
        for (size_t i = 0; i < scale->loaded[s].query_count && i < SCALE_QUESTIONS; i++) {
            work->text = scale->loaded[s].queries[i].text;
            work->vector = NULL;
            if (by_both) {
                bench_embed(&scale->bench, work->text, vector);
                work->vector = vector;
            }
            took = bench_search(&scale->bench, work);
            times_add(&times, took);
            times_add(&all, took);
        }
        print_times(name, sets[s].name, &times);
        if (by_both && !work->result.by_vectors)
            (void)printf("WITHOUT VECTORS\n");
    }
    print_times(name, "all", &all);
}
/* Fills the organization up to so many passages; what is there already is not made again. */
static void
scale_fill(struct scale *scale, size_t chunks)
{
    int64_t start = clock_mono_us(clock_system());
    struct store_health health;

    scale->bench.next_chunk = count_chunks(&scale->bench) + 1;
    if ((size_t)scale->bench.next_chunk <= chunks) {
        for (size_t s = 0; s < SET_COUNT && scale->vectors[s] == NULL; s++)
            scale->vectors[s] = bench_embed_documents(&scale->bench, &scale->loaded[s]);
        start = clock_mono_us(clock_system());
        scale_put(&scale->bench, scale->loaded, scale->vectors, chunks);
    }
    store_get_health(scale->bench.store, &health);
    (void)printf(
        "%lld passages put in %.1f s; %.0f MB on disk\n", (long long)scale->bench.next_chunk - 1,
        (double)(clock_mono_us(clock_system()) - start) / 1e6, (double)health.data_bytes / 1e6);
}

/* For the yardsticks: what scale_round asks, a line a question, and the vectors of them. */
static void
scale_write_questions(struct scale *scale)
{
    char texts_path[300], vectors_path[300];
    FILE *texts, *vectors;
    float vector[EMBED_MAX_DIMENSION];
    size_t dimension = embed_dimension(scale->bench.embedder);
    bool failed = false;

    (void)snprintf(texts_path, sizeof(texts_path), "%s/questions.txt", scale->bench.folder);
    (void)snprintf(vectors_path, sizeof(vectors_path), "%s/questions.f32", scale->bench.folder);
    texts = fopen(texts_path, "w");
    vectors = fopen(vectors_path, "wb");
    for (size_t s = 0; s < SET_COUNT && texts != NULL && vectors != NULL; s++)
        for (size_t i = 0; i < scale->loaded[s].query_count && i < SCALE_QUESTIONS; i++) {
            struct str text = scale->loaded[s].queries[i].text;

            bench_embed(&scale->bench, text, vector);
            failed |= fwrite(vector, sizeof(float), dimension, vectors) != dimension;
            for (size_t b = 0; b < text.len; b++)
                (void)fputc(text.ptr[b] == '\n' ? ' ' : text.ptr[b], texts);
            (void)fputc('\n', texts);
        }
    if (failed || texts == NULL || vectors == NULL || fclose(texts) != 0 || fclose(vectors) != 0) {
        (void)fprintf(stderr, "retrieval_quality: %s: %s\n", texts_path, strerror(errno));
        exit(2);
    }
}

/* Of the whole process, in MB: now, and the most that there was. */
static void
print_memory(const struct bench *bench)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];

    (void)printf("vectors in memory: %.1f MB", (double)index_vectors_bytes(bench->vectors) / 1e6);
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmHWM:", 6) == 0)
            (void)printf("; %.5s %.1f MB", line, strtod(line + 6, NULL) * 1024 / 1e6);
    (void)printf("\n");
    if (status != NULL)
        (void)fclose(status);
}

static void
measure_scale(const char *data, const char *weights, const char *folder, char *const *sizes)
{
    static struct scale scale;
    struct search_work work = {.bench = &scale.bench, .arena = arena_create((size_t)64 << 20)};
    struct err err = {0};
    int64_t chunks;

    bench_open(&scale.bench, "measured", folder);
    bench_encoder(&scale.bench, weights);
    for (size_t s = 0; s < SET_COUNT; s++) {
        char set[4096];

        (void)snprintf(set, sizeof(set), "%s/retrieval/%s", data, sets[s].name);
        check(beir_load(set, &scale.loaded[s], &err), &err);
    }
    if (weights != NULL)
        scale_write_questions(&scale);
    for (; *sizes != NULL && str_to_i64(str_from_c(*sizes), &chunks); sizes++) {
        scale_fill(&scale, (size_t)chunks);
        scale_round(&scale, &work, "first, words", false);
        scale_round(&scale, &work, "warm, words", false);
        if (weights != NULL) {
            scale_round(&scale, &work, "first, both", true);
            scale_round(&scale, &work, "warm, both", true);
            print_memory(&scale.bench);
        }
    }
    bench_close(&scale.bench);
    for (size_t s = 0; s < SET_COUNT; s++) {
        beir_free(&scale.loaded[s]);
        free(scale.vectors[s]);
    }
    arena_destroy(&work.arena);
}

int
main(int argc, char **argv)
{
    bool all = true;
    const char *weights = NULL;
    struct stat info;
    int at = 2;

    if (argc > at && strcmp(argv[at], "--scale") != 0)
        weights = argv[at++];
    if (argc >= at + 3 && strcmp(argv[at], "--scale") == 0) {
        measure_scale(argv[1], weights, argv[at + 1], argv + at + 2);
        return 0;
    }
    if (argc < 2 || argc != at) {
        (void)fprintf(
            stderr, "usage: retrieval_quality DATA_FOLDER [WEIGHTS] [--scale FOLDER CHUNKS...]\n");
        return 2;
    }
    if (stat(argv[1], &info) != 0) {
        (void)printf("retrieval_quality: no data at %s: nothing measured\n", argv[1]);
        return 0;
    }
    (void)printf(
        "set          by     passages queries nDCG@10 target plain BM25 recall@10 MRR@10 p50 "
        "ms p99 ms p99 cpu ms\n");
    for (size_t s = 0; s < SET_COUNT; s++)
        all = measure_set(argv[1], weights, s) && all;
    return all ? 0 : 1;
}
