/*
 * retrieval_quality.c - does the product's index find what the labelled sets say answers?
 *
 *   retrieval_quality DATA_FOLDER [--scale CHUNKS]
 *   PARLEY_DATABASE_URL=... retrieval_quality ...      on a migrated PostgreSQL
 *
 * Every set goes through index_put and index_search as it is configured for everybody. Prints a
 * line a set beside its target and the plain BM25 it is compared with; ends with 1 when a target is
 * missed. --scale instead fills one organization with that many passages, made from the sets by
 * changing words, and prints how long a search takes.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/beir.h"
#include "bench/retrieval_quality_sql.h"
#include "index/index.h"
#include "tenant/tenant.h"

#define DEPTH 10
#define CHUNKS_A_WORK 50
#define QUERIES_A_SET 2000

static const struct {
    const char *name;
    double target;
    double yardstick; /* nDCG@10 of plain BM25, k1 0.9, b 0.4, English stems; 0: none published */
} sets[] = {
    {"cranfield", 0.384, 0.351},
    {"cacm", 0.432, 0.431},
    {"xquad-en", 0.971, 0},
    {"mtrag-dev", 0.629, 0},
};
#define SET_COUNT (sizeof(sets) / sizeof(sets[0]))

struct bench {
    struct store *store;
    struct tenants *tenants;
    struct arena *arena;
    const struct tenant_scope *scope;
    struct source_id source;
    char folder[64];
    int64_t next_chunk;
};

static void
check(enum status st, const struct err *err)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "retrieval_quality: %s: %s\n", status_name(st), err->detail);
    exit(2);
}

/* An organization named slug, in a folder of its own or on the server. */
static void
bench_open(struct bench *bench, const char *slug)
{
    const struct organization_spec spec = {STR("Measured"), str_from_c(slug), STR("a@example.com"),
                                           STR("A")};
    struct store_config config = {0};
    struct tenants_config tenants = {.clock = clock_system()};
    struct organization organization;
    char key_file[80];
    struct err err = {0};

    *bench = (struct bench){.next_chunk = 1, .arena = arena_create((size_t)1 << 20)};
    (void)snprintf(bench->folder, sizeof(bench->folder), "/tmp/parley-quality-XXXXXX");
    if (mkdtemp(bench->folder) == NULL) {
        (void)fprintf(stderr, "retrieval_quality: %s: %s\n", bench->folder, strerror(errno));
        exit(2);
    }
    config.data_folder = bench->folder;
    config.database_url = getenv("PARLEY_DATABASE_URL");
    check(store_open(&config, &bench->store, &err), &err);
    (void)snprintf(key_file, sizeof(key_file), "%s/key", bench->folder);
    tenants.store = bench->store;
    tenants.key_file = key_file;
    check(tenants_open(&tenants, &bench->tenants, &err), &err);
    check(organization_create(bench->tenants, &spec, bench->arena, &organization, &err), &err);
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
    tenants_close(&bench->tenants);
    store_close(&bench->store);
    arena_destroy(&bench->arena);
    if (nftw(bench->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        (void)fprintf(stderr, "retrieval_quality: %s stays\n", bench->folder);
}

/* --- putting --- */

struct put_work {
    struct bench *bench;
    const struct beir_document *documents;
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

static void
bench_put(struct bench *bench, const struct beir_document *documents, size_t count)
{
    struct err err = {0};

    for (size_t at = 0; at < count;) {
        struct put_work work = {bench, documents + at, count - at};

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
    struct str text;
    struct arena *arena;
    struct index_result result;
};

static enum status
search_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct search_work *work = arg;
    const struct index_query query = {
        .text = work->text, .limit = DEPTH, .want_best_sentence = true};

    arena_reset(work->arena);
    return index_search(tx, &query, work->arena, &work->result, err);
}

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

    check(store_read(bench->store, bench->scope, "bench_search", search_work, work, &err), &err);
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

/* Returns whether the target was reached. */
static bool
measure_set(const char *data, size_t number)
{
    static struct times times; /* too large for a stack */
    struct search_work work = {.arena = arena_create((size_t)64 << 20)};
    double ndcg = 0, recall = 0, reciprocal = 0, judged = 0;
    struct beir_set set;
    struct bench bench;
    struct err err = {0};
    char folder[4096];

    (void)snprintf(folder, sizeof(folder), "%s/retrieval/%s", data, sets[number].name);
    check(beir_load(folder, &set, &err), &err);
    bench_open(&bench, sets[number].name);
    bench_put(&bench, set.documents, set.document_count);
    times.count = 0;
    for (size_t i = 0; i < set.query_count; i++) {
        const struct beir_query *query = &set.queries[i];
        size_t ranked[DEPTH];

        if (query->relevant_count == 0)
            continue;
        work.text = query->text;
        times_add(&times, bench_search(&bench, &work));
        for (size_t hit = 0; hit < work.result.count; hit++)
            ranked[hit] = (size_t)work.result.hits[hit].chunk_id - 1;
        ndcg += beir_ndcg(query, ranked, work.result.count, DEPTH);
        recall += beir_recall(query, ranked, work.result.count, DEPTH);
        reciprocal += beir_reciprocal_rank(query, ranked, work.result.count);
        judged++;
    }
    ndcg /= judged;
    (void)printf("%-12s %7zu %7.0f   %.4f  %.3f   ", sets[number].name, set.document_count, judged,
                 ndcg, sets[number].target);
    if (sets[number].yardstick > 0)
        (void)printf("%.3f", sets[number].yardstick);
    else
        (void)printf("    -");
    (void)printf("      %.4f  %.4f  %6.2f  %6.2f  %6.2f  %s\n", recall / judged,
                 reciprocal / judged, quantile(times.wall_us, times.count, 0.5),
                 quantile(times.wall_us, times.count, 0.99),
                 quantile(times.cpu_us, times.count, 0.99),
                 ndcg >= sets[number].target ? "reached" : "MISSED");
    bench_close(&bench);
    beir_free(&set);
    arena_destroy(&work.arena);
    return ndcg >= sets[number].target;
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

static void
scale_put(struct bench *bench, struct beir_set *loaded, size_t chunks)
{
    struct arena *arena = arena_create((size_t)256 << 20);

    for (unsigned round = 0; (size_t)bench->next_chunk <= chunks; round++)
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
                }
                bench_put(bench, changed, count);
            }
    arena_destroy(&arena);
}

static void
measure_scale(const char *data, size_t chunks)
{
    static struct times times;
    struct search_work work = {.arena = arena_create((size_t)64 << 20)};
    struct beir_set loaded[SET_COUNT];
    struct bench bench;
    struct err err = {0};
    struct store_health health;
    int64_t start;

    for (size_t s = 0; s < SET_COUNT; s++) {
        char folder[4096];

        (void)snprintf(folder, sizeof(folder), "%s/retrieval/%s", data, sets[s].name);
        check(beir_load(folder, &loaded[s], &err), &err);
    }
    bench_open(&bench, "measured");
    start = clock_mono_us(clock_system());
    scale_put(&bench, loaded, chunks);
    store_get_health(bench.store, &health);
    (void)printf("%lld passages put in %.1f s; %.0f MB on disk\n", (long long)bench.next_chunk - 1,
                 (double)(clock_mono_us(clock_system()) - start) / 1e6,
                 (double)health.data_bytes / 1e6);
    for (int warm = 0; warm < 2; warm++)
        for (size_t s = 0; s < SET_COUNT; s++) {
            times.count = 0;
            for (size_t i = 0; i < loaded[s].query_count && i < 300; i++) {
                work.text = loaded[s].queries[i].text;
                times_add(&times, bench_search(&bench, &work));
            }
            (void)printf(
                "%-6s %-12s ms: p50 %6.2f  p99 %6.2f  max %6.2f; of a processor: p50 %6.2f"
                "  p99 %6.2f  max %6.2f\n",
                warm ? "warm" : "first", sets[s].name, quantile(times.wall_us, times.count, 0.5),
                quantile(times.wall_us, times.count, 0.99), quantile(times.wall_us, times.count, 1),
                quantile(times.cpu_us, times.count, 0.5), quantile(times.cpu_us, times.count, 0.99),
                quantile(times.cpu_us, times.count, 1));
        }
    bench_close(&bench);
    for (size_t s = 0; s < SET_COUNT; s++)
        beir_free(&loaded[s]);
    arena_destroy(&work.arena);
}

int
main(int argc, char **argv)
{
    bool all = true;
    int64_t chunks;
    struct stat info;

    if (argc == 4 && strcmp(argv[2], "--scale") == 0 && str_to_i64(str_from_c(argv[3]), &chunks) &&
        chunks > 0) {
        measure_scale(argv[1], (size_t)chunks);
        return 0;
    }
    if (argc != 2) {
        (void)fprintf(stderr, "usage: retrieval_quality DATA_FOLDER [--scale CHUNKS]\n");
        return 2;
    }
    if (stat(argv[1], &info) != 0) {
        (void)printf("retrieval_quality: no data at %s: nothing measured\n", argv[1]);
        return 0;
    }
    (void)printf("set          passages queries nDCG@10 target plain BM25 recall@10 MRR@10 p50 ms "
                 "p99 ms p99 cpu ms\n");
    for (size_t s = 0; s < SET_COUNT; s++)
        all = measure_set(argv[1], s) && all;
    return all ? 0 : 1;
}
