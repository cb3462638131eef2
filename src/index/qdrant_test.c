/*
 * qdrant_test.c - Qdrant as the engine: what it finds beside the database, and what when it fails
 */
#include <ftw.h>
#include <math.h>
#include <stdio.h>

#include "base/testing.h"
#include "index/engine.h"
#include "index/index_test_sql.h"
#include "index/qdrant_test_support.h"
#include "store/tenant_scope_driver.h"
#include "text/json.h"

#define CHUNKS 400
#define SOURCES 4
#define DIMENSION 48U
#define ENCODER "test"

struct fixture {
    char folder[64];
    struct store *store;
    struct tenant_scope scope, other;
    struct source_id sources[SOURCES];
    struct test_qdrant qdrant;
    struct index_engine *engine;
    struct index_vectors *vectors; /* the database's side of a comparison */
    struct arena *arena;
    int64_t next_chunk;
    uint64_t random;
};

/* Common words first: passages differ in what is rare. */
static const char *const words[] = {
    "the",        "bicycle", "shop",    "repair",   "opening", "hours",     "return", "receipt",
    "deposit",    "rental",  "helmet",  "warranty", "price",   "workshop",  "motor",  "brake",
    "leasing",    "gift",    "card",    "privacy",  "course",  "insurance", "claim",  "police",
    "deductible", "voucher", "invoice", "reminder", "Grüße",   "straße",    "naïve",  "世界",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static uint32_t
next(struct fixture *fixture)
{
    fixture->random = fixture->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(fixture->random >> 33);
}

static struct str
make_text(struct fixture *fixture, unsigned count)
{
    struct str text = STR("");

    for (unsigned i = 0; i < count; i++) {
        uint32_t number = next(fixture) % 1000;
        /* Squared: low numbers come often. */
        const char *word = words[(size_t)number * number / 1000 * WORDS / 1000];

        text =
            arena_printf(fixture->arena, "%.*s%s%s", STR_ARG(text), i % 9 == 8 ? ". " : " ", word);
    }
    return text;
}

static float *
make_vector(struct fixture *fixture)
{
    float *vector = ARENA_NEW_N(fixture->arena, float, DIMENSION), sum = 0;

    for (unsigned i = 0; i < DIMENSION; i++) {
        vector[i] = (float)(next(fixture) % 2001) / 1000.0F - 1;
        sum += vector[i] * vector[i];
    }
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] /= sqrtf(sum);
    return vector;
}

static bool
open_fixture(struct fixture *fixture, const char *version, const char *api_key)
{
    const struct index_vectors_config vectors = {STR(ENCODER), DIMENSION, (size_t)1 << 20, NULL};
    struct store_config config = {.data_folder = fixture->folder};
    struct err err;

    *fixture =
        (struct fixture){.folder = "/tmp/parley-qdrant-XXXXXX", .random = 7, .next_chunk = 1};
    if (!test_qdrant_start(&fixture->qdrant, version, api_key))
        return false;
    assert_non_null(mkdtemp(fixture->folder));
    fixture->arena = arena_create((size_t)64 << 20);
    ASSERT_OK(store_open(&config, &fixture->store, &err), &err);
    fixture->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
    fixture->other = (struct tenant_scope){ID_NEW(organization_id), "test"};
    ASSERT_OK(store_tenant_create(fixture->store, &fixture->scope, &err), &err);
    ASSERT_OK(store_tenant_create(fixture->store, &fixture->other, &err), &err);
    ASSERT_OK(index_vectors_create(&vectors, &fixture->vectors, &err), &err);
    for (size_t i = 0; i < SOURCES; i++)
        fixture->sources[i] = ID_NEW(source_id);
    fixture->engine = test_qdrant_engine(&fixture->qdrant, fixture->store, ENCODER, DIMENSION);
    return true;
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
close_fixture(struct fixture *fixture)
{
    index_engine_close(&fixture->engine);
    index_vectors_destroy(&fixture->vectors);
    store_close(&fixture->store);
    arena_destroy(&fixture->arena);
    test_qdrant_stop(&fixture->qdrant);
    assert_int_equal(nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int
setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_true(open_fixture(fixture, NULL, NULL));
    *state = fixture;
    return 0;
}

static int
teardown(void **state)
{
    close_fixture(*state);
    free(*state);
    return 0;
}

/* --- putting, asking --- */

struct put_work {
    struct index_entry *entries;
    size_t count;
};

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct put_work *work = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < work->count && st == ST_OK; i++) {
        const struct index_entry *entry = &work->entries[i];

        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id), sv_int(1),
                             sv_text(entry->heading_path), sv_text(entry->text),
                             sv_text(entry->language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, work->entries, work->count, err) : st;
}

static void
put(struct fixture *fixture, const struct tenant_scope *scope, struct index_entry *entries,
    size_t count)
{
    struct put_work work = {entries, count};
    struct err err;

    ASSERT_OK(store_run(fixture->store, scope, "test_put", STORE_DURABLE, put_work, &work, &err),
              &err);
}

static struct index_entry
make_entry(struct fixture *fixture, size_t source, struct str text)
{
    return (struct index_entry){
        .chunk_id = fixture->next_chunk++,
        .source_id = fixture->sources[source],
        .version = 1,
        .audience = STR("customer"),
        .language = STR("en"),
        .title = STR("Guide"),
        .heading_path = STR(""),
        .text = text,
        .vector = {STR(ENCODER), DIMENSION, make_vector(fixture)},
    };
}

static enum status
describe_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct fixture *fixture = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < SOURCES && st == ST_OK; i++)
        st = store_exec(tx, &SQL_TEST_SOURCE_INSERT,
                        ARGS(sv_id(fixture->sources[i]), sv_null(), sv_text(STR("upload")),
                             sv_text(i < 2 ? STR("Hours") : STR("")), sv_text(STR("")), sv_int(0)),
                        NULL, err);
    return st;
}

static void
put_many(struct fixture *fixture)
{
    struct index_entry *entries = ARENA_NEW_N(fixture->arena, struct index_entry, CHUNKS);
    struct err err;

    for (size_t i = 0; i < CHUNKS; i++) {
        entries[i] =
            make_entry(fixture, i * SOURCES / CHUNKS, make_text(fixture, 20 + next(fixture) % 60));
        entries[i].title = make_text(fixture, 2);
        entries[i].audience = i % 7 == 0 ? STR("staff") : STR("customer");
        entries[i].language = i % 5 == 0 ? STR("de") : STR("en");
    }
    put(fixture, &fixture->scope, entries, CHUNKS);
    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_describe", STORE_DURABLE,
                        describe_work, fixture, &err),
              &err);
}

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    return index_delete(tx, *(struct source_id *)arg, 0, err);
}

static void
delete_source(struct fixture *fixture, size_t source)
{
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test_delete", STORE_DURABLE, delete_work,
                        &fixture->sources[source], &err),
              &err);
}

static void
sync_now(struct fixture *fixture, const struct tenant_scope *scope)
{
    struct err err;

    ASSERT_OK(index_sync_now(fixture->engine, scope, &err), &err);
}

static struct index_result
ask(struct fixture *fixture, const struct tenant_scope *scope, struct index_query query)
{
    struct index_result result;
    struct err err;

    if (query.limit == 0)
        query.limit = 10;
    ASSERT_OK(
        index_ask(fixture->engine, fixture->store, scope, &query, fixture->arena, &result, &err),
        &err);
    return result;
}

static struct index_result
ask_database(struct fixture *fixture, struct index_query query)
{
    struct index_result result;
    struct err err;

    query.vectors = fixture->vectors;
    ASSERT_OK(
        index_ask(NULL, fixture->store, &fixture->scope, &query, fixture->arena, &result, &err),
        &err);
    return result;
}

static size_t
points(struct fixture *fixture)
{
    struct str text = test_qdrant_tell(&fixture->qdrant, "/test/points", STR_EMPTY, fixture->arena);
    json_auto_t *json = NULL;
    struct err err;

    ASSERT_OK(json_parse(text, &json, &err), &err);
    return json_array_size(json);
}

static void
fail_next(struct fixture *fixture, const char *fault)
{
    (void)test_qdrant_tell(&fixture->qdrant, "/test/fail", str_from_c(fault), fixture->arena);
}

/* --- the same as the database --- */

static bool
has_hit(const struct index_result *result, const struct index_hit *hit)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->hits[i].chunk_id == hit->chunk_id) {
            assert_true(fabs(result->hits[i].score - hit->score) < 1e-5);
            assert_true(result->hits[i].cosine == hit->cosine);
            return true;
        }
    return false;
}

static void
compare(struct fixture *fixture, struct index_query query, size_t *same, size_t *all)
{
    struct index_result engine = ask(fixture, &fixture->scope, query);
    struct index_result database = ask_database(fixture, query);

    assert_int_equal(engine.count, database.count);
    assert_int_equal(engine.chunks_searched, database.chunks_searched);
    assert_true(engine.by_vectors == database.by_vectors);
    for (size_t i = 0; i < database.count; i++)
        *same += has_hit(&engine, &database.hits[i]);
    *all += database.count;
}

static void
compare_all(struct fixture *fixture)
{
    struct index_filter filter = {.has_dates = false};
    size_t same = 0, all = 0;

    index_filter_add(&filter, INDEX_FILTER_CATEGORY, STR("Hours"), fixture->arena);
    for (unsigned i = 0; i < 60; i++) {
        struct index_query query = {.text = make_text(fixture, 1 + i % 6),
                                    .for_staff = i % 2 == 0,
                                    .want_best_sentence = true,
                                    .limit = 10};

        compare(fixture, query, &same, &all);
        query.vector = make_vector(fixture);
        compare(fixture, query, &same, &all);
        query.filter = &filter;
        compare(fixture, query, &same, &all);
    }
    assert_true(all > 300);
    /* Of so few words nearly every passage has some: what differs stands at the border of the fifty
     * that are ranked again, where rounding decides. */
    if (same * 100 < all * 99)
        fail_msg("%zu of %zu hits are the database's", same, all);
}

static void
test_same_ranking(void **state)
{
    struct fixture *fixture = *state;

    put_many(fixture);
    sync_now(fixture, &fixture->scope);
    assert_int_equal(points(fixture), CHUNKS);
    compare_all(fixture);
    delete_source(fixture, 1);
    sync_now(fixture, &fixture->scope);
    assert_int_equal(points(fixture), CHUNKS - CHUNKS / SOURCES);
    compare_all(fixture);
}

/* --- in step, and not --- */

static void
test_found_at_once_while_behind(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry one;
    struct index_result result;
    struct index_query query = {.text = STR("submarine")};

    put_many(fixture);
    sync_now(fixture, &fixture->scope);
    one = make_entry(fixture, 2, STR("The submarine leaves at noon."));
    query.vector = one.vector.values;
    put(fixture, &fixture->scope, &one, 1);
    result = ask(fixture, &fixture->scope, query);
    assert_int_equal(result.hits[0].chunk_id, one.chunk_id);
    assert_true(result.by_vectors && result.hits[0].cosine > 0.99);
    delete_source(fixture, 2);
    result = ask(fixture, &fixture->scope, query); /* its points are there still */
    for (size_t i = 0; i < result.count; i++)
        assert_false(id_eq(&result.hits[i].source_id.id, &fixture->sources[2].id));
    sync_now(fixture, &fixture->scope);
    assert_int_equal(points(fixture), CHUNKS - CHUNKS / SOURCES);
}

/* Another organization has the same passages; and what it has is not even counted. */
static void
test_tenants_do_not_meet(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry mine = make_entry(fixture, 0, STR("Our submarine is yellow."));
    struct index_entry theirs = make_entry(fixture, 1, STR("Their submarine is secret."));
    struct index_query query = {.text = STR("submarine"), .vector = theirs.vector.values};
    struct index_result result;
    struct err err;

    put(fixture, &fixture->scope, &mine, 1);
    put(fixture, &fixture->other, &theirs, 1);
    sync_now(fixture, &fixture->scope);
    sync_now(fixture, &fixture->other);
    assert_int_equal(points(fixture), 2);
    result = ask(fixture, &fixture->scope, query);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.hits[0].chunk_id, mine.chunk_id);
    assert_int_equal(result.chunks_searched, 1);
    ASSERT_OK(index_engine_forget(fixture->engine, &fixture->other, &err), &err);
    assert_int_equal(points(fixture), 1);
    assert_int_equal(ask(fixture, &fixture->scope, query).count, 1);
}

static void
test_staff_is_not_for_customers(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry entries[2] = {make_entry(fixture, 0, STR("The submarine is for sale.")),
                                     make_entry(fixture, 0, STR("The submarine leaks."))};
    struct index_query query = {.text = STR("submarine"), .vector = entries[1].vector.values};
    struct index_result result;

    entries[1].audience = STR("staff");
    put(fixture, &fixture->scope, entries, 2);
    for (int in_step = 0; in_step < 2; in_step++) {
        query.for_staff = false;
        result = ask(fixture, &fixture->scope, query);
        assert_int_equal(result.count, 1);
        assert_int_equal(result.hits[0].chunk_id, entries[0].chunk_id);
        query.for_staff = true;
        assert_int_equal(ask(fixture, &fixture->scope, query).count, 2);
        sync_now(fixture, &fixture->scope);
    }
}

/* A collection that somebody removed is made and filled again. */
static void
test_repairs_itself(void **state)
{
    struct fixture *fixture = *state;
    struct index_query query = {.text = STR("submarine")};
    struct index_entry one;

    put_many(fixture);
    one = make_entry(fixture, 2, STR("The submarine leaves at noon."));
    put(fixture, &fixture->scope, &one, 1);
    sync_now(fixture, &fixture->scope);
    (void)test_qdrant_tell(&fixture->qdrant, "/test/forget", STR("{}"), fixture->arena);
    assert_int_equal(points(fixture), 0);
    assert_int_equal(ask(fixture, &fixture->scope, query).hits[0].chunk_id, one.chunk_id);
    sync_now(fixture, &fixture->scope);
    assert_int_equal(points(fixture), CHUNKS + 1);
    assert_int_equal(ask(fixture, &fixture->scope, query).hits[0].chunk_id, one.chunk_id);
}

/* --- faults --- */

static void
test_a_batch_that_was_cut_short(void **state)
{
    static const char *const faults[] = {
        /* Twice: the client asks again when a connection that was kept ends without a word. */
        "{\"path\":\"/points\",\"times\":2,\"hang\":true}",
        "{\"path\":\"/points\",\"times\":2,\"hang\":true,\"accepted\":true}",
        "{\"path\":\"/points\",\"times\":1,\"status\":503}",
        "{\"path\":\"/points\",\"times\":1,\"status\":429,\"headers\":{\"Retry-After\":\"7\"}}",
        "{\"path\":\"/"
        "points\",\"times\":1,\"status\":200,\"body\":\"{\\\"result\\\":{\\\"status\\\":"
        "\\\"acknowledged\\\"},\\\"status\\\":\\\"ok\\\"}\"}",
        "{\"path\":\"/points/delete\",\"times\":1,\"status\":500}",
        "{\"path\":\"/points/count\",\"times\":1,\"status\":200,\"body\":\"<html>\"}",
    };
    struct fixture *fixture = *state;
    struct err err;

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct index_entry entries[200];

        for (size_t c = 0; c < 200; c++)
            entries[c] = make_entry(fixture, 0, make_text(fixture, 8));
        put(fixture, &fixture->scope, entries, 200);
        fail_next(fixture, faults[i]);
        assert_int_equal(index_sync_now(fixture->engine, &fixture->scope, &err), ST_UNAVAILABLE);
        if (i == 3 && err.retry_after_ms != 7000)
            fail_msg("waits %d ms: %s", err.retry_after_ms, err.detail);
        sync_now(fixture, &fixture->scope);
        assert_int_equal(points(fixture), 200);
        delete_source(fixture, 0);
    }
    sync_now(fixture, &fixture->scope);
    assert_int_equal(points(fixture), 0);
}

/* Words of the database answer, at once after a few; and vectors again when it is back. */
static void
test_questions_while_it_is_away(void **state)
{
    static const char *const faults[] = {
        "{\"path\":\"/query/batch\",\"times\":1,\"status\":503}",
        "{\"path\":\"/query/batch\",\"times\":1,\"status\":429}",
        "{\"path\":\"/query/batch\",\"times\":1,\"hang\":true}",
        "{\"path\":\"/query/batch\",\"times\":1,\"status\":200,\"body\":\"[]\"}",
        "{\"path\":\"/query/batch\",\"times\":1,\"status\":404,\"body\":\"{}\"}",
    };
    struct fixture *fixture = *state;
    struct index_query query = {.text = STR("submarine")};
    struct index_entry one;

    put_many(fixture);
    one = make_entry(fixture, 2, STR("The submarine leaves at noon."));
    query.vector = one.vector.values;
    put(fixture, &fixture->scope, &one, 1);
    sync_now(fixture, &fixture->scope);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct index_result result;

        fail_next(fixture, faults[i]);
        result = ask(fixture, &fixture->scope, query);
        assert_false(result.by_vectors);
        assert_int_equal(result.hits[0].chunk_id, one.chunk_id);
        result = ask(fixture, &fixture->scope, query);
        assert_true(result.by_vectors);
        assert_int_equal(result.hits[0].chunk_id, one.chunk_id);
    }
}

/* Each question waits as long as is set, until the engine is left alone: then none does. */
static void
test_a_server_that_hangs(void **state)
{
    const struct source_id unique = ID_NEW(source_id);
    struct fixture *fixture = *state;
    struct index_engine_config config = {
        .store = fixture->store,
        .http = fixture->qdrant.http,
        .clock = clock_system(),
        .url = str_from_c(fixture->qdrant.url),
        .collection = ID_STR(unique),
        .encoder = STR(ENCODER),
        .dimension = DIMENSION,
        .question_ms = 50,
        .allow_private = true,
    };
    struct index_query query = {.text = STR("submarine")};
    struct index_entry one = make_entry(fixture, 2, STR("The submarine leaves at noon."));
    int64_t start_us;
    struct err err;

    index_engine_close(&fixture->engine);
    ASSERT_OK(index_engine_open(&config, &fixture->engine, &err), &err);
    query.vector = one.vector.values;
    put(fixture, &fixture->scope, &one, 1);
    sync_now(fixture, &fixture->scope);
    test_qdrant_freeze(&fixture->qdrant);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(fixture, &fixture->scope, query).count, 1);
    start_us = clock_mono_us(clock_system());
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(fixture, &fixture->scope, query).count, 1);
    /* 100 waits would be 5 seconds. */
    assert_true(clock_mono_us(clock_system()) - start_us < 4 * US_PER_S);
    test_qdrant_thaw(&fixture->qdrant);
}

/* --- the collection --- */

static void
test_refuses_what_is_not_its_own(void **state)
{
    static const struct {
        const char *collection, *says;
    } cases[] = {
        {"{\"vectors\":{\"dense\":{\"size\":64,\"distance\":\"Cosine\"}},\"sparse_vectors\":{"
         "\"bm25\":{"
         "\"modifier\":\"idf\"}}}",
         "another size"},
        {"{\"vectors\":{\"dense\":{\"size\":48,\"distance\":\"Dot\"}},\"sparse_vectors\":{\"bm25\":"
         "{"
         "\"modifier\":\"idf\"}}}",
         "another distance"},
        {"{\"vectors\":{\"dense\":{\"size\":48,\"distance\":\"Cosine\"}},\"sparse_vectors\":{"
         "\"bm25\":"
         "{}}}",
         "without the modifier idf"},
        {"{\"vectors\":{},\"sparse_vectors\":{\"bm25\":{\"modifier\":\"idf\"}}}",
         "no vectors named"},
        {"{\"vectors\":{\"dense\":{\"size\":48,\"distance\":\"Cosine\"}}}", "no sparse vectors"},
        {"{\"vectors\":{\"dense\":{\"size\":48,\"distance\":\"Cosine\"}},\"sparse_vectors\":{"
         "\"bm25\":{"
         "\"modifier\":\"idf\"}},\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}",
         "as int8"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct index_engine *engine =
            test_qdrant_engine(&fixture->qdrant, fixture->store, ENCODER, DIMENSION);
        struct http_call call = {
            .method = "PUT",
            .url = arena_printf(fixture->arena, "%s/collections/%.*s", fixture->qdrant.url,
                                STR_ARG(index_engine_collection(engine))),
            .body = str_from_c(cases[i].collection),
            .deadline_ms = 10000,
        };
        struct http_reply reply;
        struct err err;

        ASSERT_OK(http_client_call(fixture->qdrant.http, &call, fixture->arena, &reply, &err),
                  &err);
        assert_int_equal(reply.status, 200);
        assert_int_equal(index_engine_check(engine, &err), ST_CONFLICT);
        if (strstr(err.detail, cases[i].says) == NULL || strstr(err.detail, "rebuild") == NULL)
            fail_msg("%s: %s", cases[i].says, err.detail);
        index_engine_close(&engine);
    }
}

static void
test_versions_and_keys(void **state)
{
    static const struct {
        const char *version;
        enum status want;
    } cases[] = {
        {"1.9.7", ST_CONFLICT}, {"1.10.0", ST_OK}, {"2.0.1", ST_OK}, {"dev", ST_UNAVAILABLE}};
    struct fixture fixture = {.random = 0};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(open_fixture(&fixture, cases[i].version, NULL));
        assert_int_equal(index_engine_check(fixture.engine, &err), cases[i].want);
        if (cases[i].want == ST_OK) { /* IDF over everybody: found all the same */
            struct index_entry one = make_entry(&fixture, 2, STR("The submarine leaves at noon."));

            put_many(&fixture);
            put(&fixture, &fixture.scope, &one, 1);
            sync_now(&fixture, &fixture.scope);
            assert_int_equal(
                ask(&fixture, &fixture.scope,
                    (struct index_query){.text = STR("submarine"), .vector = one.vector.values})
                    .hits[0]
                    .chunk_id,
                one.chunk_id);
        }
        close_fixture(&fixture);
    }
    assert_true(open_fixture(&fixture, NULL, "the-key"));
    assert_int_equal(index_engine_check(fixture.engine, &err), ST_DENIED);
    assert_non_null(strstr(err.detail, "qdrant.api_key"));
    assert_null(strstr(err.detail, "the-key"));
    close_fixture(&fixture);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_same_ranking),
        TEST(test_found_at_once_while_behind),
        TEST(test_tenants_do_not_meet),
        TEST(test_staff_is_not_for_customers),
        TEST(test_repairs_itself),
        TEST(test_a_batch_that_was_cut_short),
        TEST(test_questions_while_it_is_away),
        TEST(test_a_server_that_hangs),
        TEST(test_refuses_what_is_not_its_own),
        cmocka_unit_test(test_versions_and_keys),
    };
    struct test_qdrant qdrant;

    if (!test_qdrant_start(&qdrant, NULL, NULL)) {
        (void)fprintf(stderr, "index/qdrant: skipped, because node is not installed\n");
        return QDRANT_SKIPPED;
    }
    test_qdrant_stop(&qdrant);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
