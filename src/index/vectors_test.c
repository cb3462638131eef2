/*
 * vectors_test.c - passages by vectors: the exact nearest, of those that may be seen, none stale
 */
#include "base/testing.h"

#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "index/index.h"
#include "index/index_test_sql.h"
#include "store/tenant_scope_driver.h"

#define DIMENSION 96U
#define CHUNKS 500
#define SOURCES 5
#define ENCODER STR("test-1")

struct fixture {
    char folder[64];
    struct store *store;
    struct tenant_scope scope, other;
    struct source_id sources[SOURCES];
    struct brand_id brand, other_brand;
    struct index_vectors *vectors;
    struct arena *arena;
    uint64_t random;
};

static uint32_t
next(struct fixture *fixture)
{
    fixture->random = fixture->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(fixture->random >> 33);
}

static struct index_vectors *
open_vectors(struct str encoder, size_t max_bytes, const char *kernel)
{
    const struct index_vectors_config config = {encoder, DIMENSION, max_bytes, kernel};
    struct index_vectors *vectors;
    struct err err;

    ASSERT_OK(index_vectors_create(&config, &vectors, &err), &err);
    return vectors;
}

static int
setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct store_config config = {0};
    struct err err;

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/parley-vectors-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    config.data_folder = fixture->folder;
    ASSERT_OK(store_open(&config, &fixture->store, &err), &err);
    fixture->scope = (struct tenant_scope){ID_NEW(organization_id), "operator"};
    fixture->other = (struct tenant_scope){ID_NEW(organization_id), "operator"};
    ASSERT_OK(store_tenant_create(fixture->store, &fixture->scope, &err), &err);
    ASSERT_OK(store_tenant_create(fixture->store, &fixture->other, &err), &err);
    for (size_t i = 0; i < SOURCES; i++)
        fixture->sources[i] = ID_NEW(source_id);
    fixture->brand = ID_NEW(brand_id);
    fixture->other_brand = ID_NEW(brand_id);
    fixture->vectors = open_vectors(ENCODER, (size_t)1 << 20, NULL);
    fixture->arena = arena_create((size_t)64 << 20);
    fixture->random = 5;
    *state = fixture;
    return 0;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;

    index_vectors_destroy(&fixture->vectors);
    store_close(&fixture->store);
    arena_destroy(&fixture->arena);
    assert_int_equal(nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(fixture);
    return 0;
}

static float *
new_vector(struct fixture *fixture)
{
    float *vector = ARENA_NEW_N(fixture->arena, float, DIMENSION);
    double sum = 0;

    for (unsigned i = 0; i < DIMENSION; i++) {
        vector[i] = (float)(next(fixture) % 2001) / 1000.0F - 1;
        sum += (double)vector[i] * (double)vector[i];
    }
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] /= (float)sqrt(sum);
    return vector;
}

static double
cosine(const float *a, const float *b)
{
    double sum = 0;

    for (unsigned i = 0; i < DIMENSION; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* --- putting and searching --- */

/* No two passages share a word, and no question has one of theirs: vectors alone decide. */
static struct index_entry
entry(struct fixture *fixture, int64_t chunk, size_t source, const float *vector)
{
    return (struct index_entry){
        .chunk_id = chunk,
        .source_id = fixture->sources[source],
        .version = 1,
        .audience = STR("customer"),
        .language = STR("en"),
        .text = arena_printf(fixture->arena, "xylo%lldphone", (long long)chunk),
        .vector = {ENCODER, DIMENSION, vector},
    };
}

struct put_work {
    const struct index_entry *entries;
    size_t count;
    enum status fail_after; /* ST_OK: not */
};

static enum status
put_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *one = &work->entries[i];

        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(one->chunk_id), sv_id(one->source_id), sv_int(one->version),
                             sv_text(STR("")), sv_text(one->text), sv_text(one->language)),
                        NULL, err);
    }
    if (st == ST_OK)
        st = index_put(tx, work->entries, work->count, err);
    if (st == ST_OK && work->fail_after != ST_OK)
        st = err_set(err, work->fail_after, "as the test wants");
    return st;
}

static void
put(struct fixture *fixture, const struct index_entry *entries, size_t count)
{
    struct put_work work = {entries, count, ST_OK};
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_put", STORE_RELAXED, put_in_tx,
                        &work, &err),
              &err);
}

struct delete_work {
    struct source_id source;
    int64_t version;
};

static enum status
delete_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct delete_work *work = arg;

    return index_delete(tx, work->source, work->version, err);
}

static void
delete_source(struct fixture *fixture, size_t source, int64_t version)
{
    struct delete_work work = {fixture->sources[source], version};
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_delete", STORE_RELAXED, delete_in_tx,
                        &work, &err),
              &err);
}

struct search_work {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
};

static enum status
search_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct search_work *work = arg;

    return index_search(tx, &work->query, work->arena, &work->result, err);
}

static struct index_result
search_as(struct fixture *fixture, const struct tenant_scope *scope, struct index_query query)
{
    struct search_work work = {.query = query, .arena = fixture->arena};
    struct err err;

    work.query.limit = work.query.limit == 0 ? 10 : work.query.limit;
    if (work.query.text.ptr == NULL)
        work.query.text = STR("zebra");
    work.query.language = STR("en");
    if (work.query.vectors == NULL)
        work.query.vectors = fixture->vectors;
    ASSERT_OK(store_read(fixture->store, scope, "test_search", search_in_tx, &work, &err), &err);
    return work.result;
}

static struct index_result
search(struct fixture *fixture, const float *vector)
{
    return search_as(fixture, &fixture->scope, (struct index_query){.vector = vector});
}

static void
assert_finds(struct fixture *fixture, const float *vector, int64_t chunk)
{
    struct index_result result = search(fixture, vector);

    assert_true(result.by_vectors);
    assert_true(result.count > 0);
    assert_int_equal(result.hits[0].chunk_id, chunk);
    assert_true(result.hits[0].cosine > 0.9999 && result.hits[0].cosine < 1.0001);
}

/* --- the exact nearest --- */

struct library {
    struct index_entry entries[CHUNKS];
};

static struct library *
put_library(struct fixture *fixture)
{
    struct library *library = ARENA_NEW(fixture->arena, struct library);

    for (size_t i = 0; i < CHUNKS; i++) {
        struct index_entry *one = &library->entries[i];

        *one = entry(fixture, (int64_t)i + 1, i * SOURCES / CHUNKS, new_vector(fixture));
        if (i % 7 == 0)
            one->audience = STR("staff");
        if (i % 3 == 1)
            one->brand_id = i % 2 == 0 ? fixture->brand : fixture->other_brand;
        if (i % 11 == 0)
            one->language = STR("de");
    }
    put(fixture, library->entries, CHUNKS);
    return library;
}

static bool
is_of_query(const struct index_entry *one, const struct index_query *query)
{
    return (query->for_staff || !str_eq(one->audience, STR("staff"))) &&
           (id_is_none(&query->brand_id.id) || id_is_none(&one->brand_id.id) ||
            id_eq(&one->brand_id.id, &query->brand_id.id));
}

/* How many passages that the query may see are nearer than this one. */
static size_t
rank_of(const struct library *library, const struct index_query *query, double nearness)
{
    size_t rank = 0;

    for (size_t i = 0; i < CHUNKS; i++)
        rank += is_of_query(&library->entries[i], query) &&
                cosine(library->entries[i].vector.values, query->vector) > nearness + 1e-4;
    return rank;
}

/* Against a naive search with floats: the first ten are the ten nearest, in order, and what a
 * filter leaves out is not among them, with every kernel. */
static void
test_nearest_are_exact(void **state)
{
    static const char *const kernels[] = {"generic", "avx2", "avx512"};
    struct fixture *fixture = *state;
    const struct library *library = put_library(fixture);
    size_t compared = 0;

    for (unsigned round = 0; round < 40; round++) {
        const struct index_vectors_config config = {ENCODER, DIMENSION, (size_t)1 << 20,
                                                    kernels[round % 3]};
        struct index_query query = {.vector = new_vector(fixture),
                                    .for_staff = round % 2 == 0,
                                    .brand_id =
                                        round % 4 < 2 ? fixture->brand : (struct brand_id){{""}}};
        struct index_vectors *vectors = NULL;
        struct index_result result;
        struct err err;

        if (index_vectors_create(&config, &vectors, &err) != ST_OK)
            continue; /* not on this processor */
        query.vectors = vectors;
        result = search_as(fixture, &fixture->scope, query);
        assert_true(result.by_vectors);
        assert_int_equal(result.count, 10);
        for (size_t i = 0; i < result.count; i++) {
            const struct index_entry *one = &library->entries[result.hits[i].chunk_id - 1];
            double exact = cosine(one->vector.values, query.vector);

            assert_true(is_of_query(one, &query));
            assert_true(fabs(result.hits[i].cosine - exact) < 1e-4);
            if (rank_of(library, &query, exact) > i)
                fail_msg("%s: place %zu has the passage of rank %zu", kernels[round % 3], i,
                         rank_of(library, &query, exact));
            compared++;
        }
        index_vectors_destroy(&vectors);
    }
    assert_true(compared >= 100);
}

/* A third of it is of the subject, the rest its own. */
static const float *
vector_near(struct fixture *fixture, const float *subject)
{
    float *vector = new_vector(fixture);

    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] = (subject[i] + 2.6F * vector[i]) / 2.786F;
    return vector;
}

/* The words in one passage and the nearness in another say less than both in one. */
static void
test_confidence_is_of_one_passage(void **state)
{
    struct fixture *fixture = *state;
    const float *near = new_vector(fixture), *far = new_vector(fixture);
    const struct index_query query = {.text = STR("striped zebras"),
                                      .vector = vector_near(fixture, near)};
    struct index_entry entries[] = {entry(fixture, 1, 0, far), entry(fixture, 2, 0, near),
                                    entry(fixture, 3, 1, near)};
    struct index_result apart, together;

    entries[0].text = entries[2].text = STR("Striped zebras.");
    put(fixture, entries, 2);
    apart = search_as(fixture, &fixture->scope, query);
    assert_int_equal(apart.hits[0].chunk_id, 2);
    assert_true(apart.hits[1].coverage == 1);
    assert_true(apart.signals[INDEX_SIGNAL_MATCHED] == 0);
    put(fixture, entries + 2, 1);
    together = search_as(fixture, &fixture->scope, query);
    assert_int_equal(together.hits[0].chunk_id, 3);
    assert_true(together.signals[INDEX_SIGNAL_MATCHED] > 0);
    assert_true(together.signals[INDEX_SIGNAL_COSINE] == together.nearest);
    assert_true(together.confidence > apart.confidence);
}

/* --- who may see what --- */

static void
test_staff_passage_is_out_of_reach(void **state)
{
    struct fixture *fixture = *state;
    float *secret = new_vector(fixture), *public = new_vector(fixture);
    struct index_entry entries[] = {entry(fixture, 1, 0, secret), entry(fixture, 2, 1, public)};
    struct index_result result;

    entries[0].audience = STR("staff");
    put(fixture, entries, 2);
    result = search_as(fixture, &fixture->scope,
                       (struct index_query){.vector = secret, .text = entries[0].text});
    assert_int_equal(result.count, 1);
    assert_int_equal(result.hits[0].chunk_id, 2);
    assert_int_equal(result.chunks_searched, 1);
    /* Not even how near it is. */
    assert_true(fabs(result.nearest - cosine(public, secret)) < 1e-4);
    result = search_as(fixture, &fixture->scope,
                       (struct index_query){.vector = secret, .for_staff = true});
    assert_int_equal(result.hits[0].chunk_id, 1);
    result = search_as(fixture, &fixture->other,
                       (struct index_query){.vector = secret, .for_staff = true});
    assert_int_equal(result.count, 0);
    assert_false(result.by_vectors);
}

/* A staff passage whose vector is still missing must not show in what customers get. */
static void
test_staff_passage_without_vector(void **state)
{
    struct fixture *fixture = *state;
    float *public = new_vector(fixture);
    struct index_entry entries[] = {entry(fixture, 1, 0, public), entry(fixture, 2, 1, NULL)};

    entries[1].audience = STR("staff");
    put(fixture, entries, 2);
    assert_finds(fixture, public, 1);
    assert_false(search_as(fixture, &fixture->scope,
                           (struct index_query){.vector = public, .for_staff = true})
                     .by_vectors);
}

/* --- moving: as if it had been put there --- */

struct move_work {
    struct source_id source;
    struct brand_id brand;
    struct str audience;
};

static enum status
move_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct move_work *work = arg;

    return index_move(tx, work->source, work->brand, work->audience, err);
}

/* Words and vectors of every reader, before and after each of many moves. */
static void
test_moved_is_where_it_was_moved(void **state)
{
    static const char *const audiences[] = {"customer", "staff", "staff:hr", "staff:finance,hr"};
    static const struct {
        bool for_staff;
        const char *roles;
    } readers[] = {{false, "hr"}, {true, ""}, {true, "finance"}, {true, "hr"}, {true, "*"}};
    struct fixture *fixture = *state;
    struct index_entry entries[SOURCES * 2];
    size_t found = 0;

    for (size_t i = 0; i < SOURCES * 2; i++)
        entries[i] = entry(fixture, (int64_t)i + 1, i / 2, new_vector(fixture));
    put(fixture, entries, SOURCES * 2);
    for (unsigned round = 0; round < 60; round++) {
        size_t source = next(fixture) % SOURCES;
        struct move_work work = {.source = fixture->sources[source],
                                 .audience = str_from_c(audiences[next(fixture) % 4])};
        struct err err;

        if (next(fixture) % 2 == 0)
            work.brand = next(fixture) % 2 == 0 ? fixture->brand : fixture->other_brand;
        for (size_t i = source * 2; i < source * 2 + 2; i++) {
            entries[i].audience = work.audience;
            entries[i].brand_id = work.brand;
        }
        ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_move", STORE_RELAXED, move_in_tx,
                            &work, &err),
                  &err);
        for (size_t i = 0; i < SOURCES * 2; i++) {
            const size_t r = (round + i) % (sizeof(readers) / sizeof(readers[0]));
            struct index_query query = {.vector = entries[i].vector.values,
                                        .text = entries[i].text,
                                        .for_staff = readers[r].for_staff,
                                        .roles = str_from_c(readers[r].roles),
                                        .brand_id = fixture->brand};
            bool wanted =
                index_audience_may_read(entries[i].audience, query.for_staff, query.roles) &&
                !id_eq(&entries[i].brand_id.id, &fixture->other_brand.id);
            struct index_result result = search_as(fixture, &fixture->scope, query);
            bool is_first = result.count > 0 && result.hits[0].chunk_id == entries[i].chunk_id;

            assert_int_equal(is_first, wanted);
            assert_true(!wanted || (result.by_vectors && result.hits[0].coverage > 0.99));
            for (size_t h = 0; h < result.count; h++)
                assert_true(index_audience_may_read(entries[result.hits[h].chunk_id - 1].audience,
                                                    query.for_staff, query.roles));
            found += wanted;
        }
    }
    assert_true(found > 100 && found < 500);
}

/* --- nothing stale --- */

static enum status
count_left(struct store_tx *tx, void *arg, struct err *err)
{
    struct store_rows *rows;
    int64_t *left = arg;
    enum status st = store_query_one(tx, &SQL_TEST_VECTORS_LEFT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *left = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static int64_t
rows_left(struct fixture *fixture)
{
    int64_t left = -1;
    struct err err;

    ASSERT_OK(store_read(fixture->store, &fixture->scope, "test_left", count_left, &left, &err),
              &err);
    return left;
}

static void
test_changes_are_seen_at_once(void **state)
{
    struct fixture *fixture = *state;
    float *old = new_vector(fixture), *new = new_vector(fixture), *other = new_vector(fixture);
    struct index_entry entries[] = {entry(fixture, 1, 0, old), entry(fixture, 2, 1, other)};
    struct index_entry next_version = entry(fixture, 3, 0, new);
    struct put_work undone = {&next_version, 1, ST_CONFLICT};
    struct err err;

    put(fixture, entries, 2);
    assert_finds(fixture, old, 1);
    assert_finds(fixture, other, 2);
    next_version.version = 2;
    assert_int_equal(store_run(fixture->store, &fixture->scope, "test_put", STORE_RELAXED,
                               put_in_tx, &undone, &err),
                     ST_CONFLICT);
    assert_int_equal(search(fixture, new).count, 2);
    delete_source(fixture, 0, 1);
    put(fixture, &next_version, 1);
    assert_finds(fixture, new, 3);
    for (size_t i = 0; i < search(fixture, old).count; i++)
        assert_int_not_equal(search(fixture, old).hits[i].chunk_id, 1);
    assert_int_equal(rows_left(fixture), 4); /* two batches, two vectors */
    delete_source(fixture, 0, 0);
    delete_source(fixture, 1, 0);
    assert_int_equal(rows_left(fixture), 0);
    assert_int_equal(search(fixture, new).count, 0);
    assert_true(index_vectors_bytes(fixture->vectors) == 0);
}

/* --- encoders --- */

struct missing_work {
    struct str encoder;
    const float *const *values; /* by chunk, from 1; NULL: only count */
    struct arena *arena;
    bool keep_only;
    size_t count;
};

static enum status
fill_missing(struct store_tx *tx, void *arg, struct err *err)
{
    struct missing_work *work = arg;
    struct index_missing *missing = NULL;
    enum status st =
        index_vectors_missing(tx, work->encoder, 0, 100, work->arena, &missing, &work->count, err);

    for (size_t i = 0; st == ST_OK && work->values != NULL && i < work->count; i++)
        missing[i].values = work->values[missing[i].chunk_id - 1];
    if (st == ST_OK && work->values != NULL)
        st = index_vectors_put(tx, work->encoder, DIMENSION, missing, work->count, err);
    /* A second time nothing is missing any more. */
    if (st == ST_OK && work->values != NULL)
        st = index_vectors_put(tx, work->encoder, DIMENSION, missing, work->count, err);
    return st == ST_OK && work->keep_only ? index_vectors_keep_only(tx, work->encoder, err) : st;
}

static size_t
missing(struct fixture *fixture, struct str encoder, const float *const *values, bool keep_only)
{
    struct missing_work work = {encoder, values, fixture->arena, keep_only, 0};
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_missing", STORE_RELAXED,
                        fill_missing, &work, &err),
              &err);
    return work.count;
}

/* Passages without vectors, or with another encoder's: by words until the last one has its own;
 * the old encoder's serve meanwhile whoever has that encoder. */
static void
test_another_encoder(void **state)
{
    struct fixture *fixture = *state;
    const float *old[] = {new_vector(fixture), new_vector(fixture)};
    const float *new[] = {new_vector(fixture), new_vector(fixture)};
    struct index_entry entries[] = {entry(fixture, 1, 0, old[0]), entry(fixture, 2, 1, old[1])};
    struct index_vectors *next_vectors = open_vectors(STR("test-2"), (size_t)1 << 20, NULL);
    struct index_query query = {.vector = new[1], .vectors = next_vectors, .text = STR("")};
    struct index_result result;

    entries[1].vector.values = NULL;
    put(fixture, entries, 2);
    assert_false(search(fixture, old[0]).by_vectors);
    assert_int_equal(missing(fixture, ENCODER, NULL, false), 1);
    assert_int_equal(missing(fixture, ENCODER, old, false), 1);
    assert_int_equal(missing(fixture, ENCODER, NULL, false), 0);
    assert_finds(fixture, old[1], 2);

    assert_false(search_as(fixture, &fixture->scope, query).by_vectors);
    query.text = entries[1].text;
    assert_int_equal(search_as(fixture, &fixture->scope, query).hits[0].chunk_id, 2);
    assert_int_equal(missing(fixture, STR("test-2"), new, false), 2);
    result = search_as(fixture, &fixture->scope, query);
    assert_true(result.by_vectors);
    assert_true(result.hits[0].chunk_id == 2 && result.hits[0].cosine > 0.9999);
    assert_finds(fixture, old[1], 2);
    missing(fixture, STR("test-2"), NULL, true);
    assert_false(search(fixture, old[1]).by_vectors);
    assert_true(search_as(fixture, &fixture->scope, query).by_vectors);
    delete_source(fixture, 0, 0);
    delete_source(fixture, 1, 0);
    assert_int_equal(rows_left(fixture), 0);
    index_vectors_destroy(&next_vectors);
}

/* --- the limit --- */

static void
test_what_does_not_fit(void **state)
{
    struct fixture *fixture = *state;
    struct index_vectors *small = open_vectors(ENCODER, (size_t)1 << 12, NULL);
    const struct library *library = put_library(fixture);
    struct index_query query = {.vector = library->entries[1].vector.values,
                                .vectors = small,
                                .text = library->entries[1].text};
    struct index_result result = search_as(fixture, &fixture->scope, query);

    assert_false(result.by_vectors);
    assert_int_equal(result.hits[0].chunk_id, 2); /* by its words */
    assert_true(index_vectors_bytes(small) == 0);
    index_vectors_destroy(&small);
    assert_finds(fixture, query.vector, 2);
}

/* What was searched longest ago goes; it is read again when it is asked for. */
static void
test_organizations_give_way(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_scope scopes[3] = {
        fixture->scope, fixture->other, {ID_NEW(organization_id), "operator"}};
    const float *vector = new_vector(fixture);
    const struct index_entry one = entry(fixture, 1, 0, vector);
    struct index_vectors *small = open_vectors(ENCODER, 300, NULL); /* two of 140 bytes */
    struct err err;

    ASSERT_OK(store_tenant_create(fixture->store, &scopes[2], &err), &err);
    for (size_t i = 0; i < 3; i++) {
        struct put_work work = {&one, 1, ST_OK};

        ASSERT_OK(store_run(fixture->store, &scopes[i], "test_put", STORE_RELAXED, put_in_tx, &work,
                            &err),
                  &err);
    }
    for (size_t i = 0; i < 9; i++) {
        struct index_result result = search_as(
            fixture, &scopes[i % 3], (struct index_query){.vector = vector, .vectors = small});

        assert_true(result.by_vectors && result.count == 1);
        assert_true(index_vectors_bytes(small) <= 300);
    }
    assert_true(index_vectors_bytes(small) > 150);
    index_vectors_destroy(&small);
}

/* --- at once --- */

struct racing {
    struct fixture *fixture;
    const float *vector;
    atomic_bool stop;
    atomic_uint searched, wrong;
};

static void *
search_again(void *arg)
{
    struct racing *racing = arg;
    struct arena *arena = arena_create((size_t)16 << 20);
    struct err err;

    while (!atomic_load(&racing->stop)) {
        struct search_work work = {.query = {.text = STR("zebra"),
                                             .language = STR("en"),
                                             .limit = 10,
                                             .vectors = racing->fixture->vectors,
                                             .vector = racing->vector},
                                   .arena = arena};

        arena_reset(arena);
        if (store_read(racing->fixture->store, &racing->fixture->scope, "test_search", search_in_tx,
                       &work, &err) != ST_OK ||
            work.result.count == 0 || work.result.hits[0].chunk_id != 1)
            atomic_fetch_add(&racing->wrong, 1);
        atomic_fetch_add(&racing->searched, 1);
    }
    arena_destroy(&arena);
    return NULL;
}

/* Documents come and go while others search: always what was committed, and always the nearest. */
static void
test_searching_while_documents_change(void **state)
{
    struct fixture *fixture = *state;
    struct racing racing = {.fixture = fixture, .vector = new_vector(fixture)};
    struct index_entry kept = entry(fixture, 1, 0, racing.vector);
    pthread_t threads[3];

    put(fixture, &kept, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_again, &racing), 0);
    for (int64_t i = 0; i < 40 || atomic_load(&racing.searched) < 100; i++) {
        struct index_entry comes = entry(fixture, 2 + i, 1, new_vector(fixture));

        comes.version = i + 1;
        put(fixture, &comes, 1);
        delete_source(fixture, 1, i); /* version 0, the first time: all, so also this one */
        if (i == 0)
            assert_int_equal(rows_left(fixture), 2);
    }
    atomic_store(&racing.stop, true);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&racing.wrong), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nearest_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_confidence_is_of_one_passage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_staff_passage_is_out_of_reach, setup, teardown),
        cmocka_unit_test_setup_teardown(test_staff_passage_without_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved_is_where_it_was_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_are_seen_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_encoder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_organizations_give_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_searching_while_documents_change, setup, teardown),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
