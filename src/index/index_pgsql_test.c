/*
 * index_pgsql_test.c - the index over PostgreSQL finds what it finds over SQLite, by words and by
 * vectors: the same passages, in the same order, with the same scores
 */
#include <ftw.h>
#include <math.h>
#include <stdio.h>

#include "base/testing.h"
#include "index/index.h"
#include "index/index_test_sql.h"
#include "index/index_words_test.h"
#include "store/pgsql_test_support.h"
#include "store/tenant_scope_driver.h"

#define CHUNKS 400
#define SOURCES 4
#define DIMENSION 48U
#define ENCODER STR("test")

struct side {
    struct store *store;
    struct tenant_scope scope;
};

struct fixture {
    char folder[64];
    struct side sides[2]; /* SQLite, PostgreSQL */
    struct source_id sources[SOURCES];
    struct index_vectors *vectors;
    struct arena *arena;
};

/* Common words first: passages differ in what is rare. */
static const char *const words[] = {
    "the",        "bicycle",  "shop",    "repair",    "opening",  "hours",  "return",   "receipt",
    "deposit",    "rental",   "helmet",  "warranty",  "delivery", "price",  "customer", "workshop",
    "battery",    "motor",    "brake",   "gear",      "leasing",  "gift",   "card",     "privacy",
    "course",     "saturday", "evening", "insurance", "claim",    "theft",  "police",   "report",
    "deductible", "voucher",  "invoice", "reminder",  "Grüße",    "straße", "naïve",    "世界",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static uint32_t
next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static struct str
make_text(struct arena *arena, uint64_t *state, unsigned count)
{
    struct str text = STR("");

    for (unsigned i = 0; i < count; i++) {
        uint32_t number = next(state) % 1000;
        /* Squared: low numbers come often. */
        const char *word = words[(size_t)number * number / 1000 * WORDS / 1000];

        text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), i % 9 == 8 ? ". " : " ", word);
    }
    return text;
}

static float *
make_vector(struct arena *arena, uint64_t *state)
{
    float *vector = ARENA_NEW_N(arena, float, DIMENSION), sum = 0;

    for (unsigned i = 0; i < DIMENSION; i++) {
        vector[i] = (float)(next(state) % 2001) / 1000.0F - 1;
        sum += vector[i] * vector[i];
    }
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] /= sqrtf(sum);
    return vector;
}

static enum status
describe(struct store_tx *tx, const struct fixture *fixture, struct err *err)
{
    static const char *const categories[SOURCES] = {"Hours", "Hours", "Claims", ""};
    enum status st = ST_OK;

    for (size_t i = 0; i < SOURCES && st == ST_OK; i++) {
        st = store_exec(tx, &SQL_TEST_SOURCE_INSERT,
                        ARGS(sv_id(fixture->sources[i]), sv_null(), sv_text(STR("upload")),
                             sv_text(str_from_c(categories[i])), sv_text(STR("")),
                             sv_int((int64_t)i * 1000)),
                        NULL, err);
        if (st == ST_OK)
            st = store_exec(tx, &SQL_TEST_VERSION_INSERT,
                            ARGS(sv_id(fixture->sources[i]),
                                 sv_text(i % 2 == 0 ? STR("text/plain") : STR("text/html")),
                                 sv_blob(STR(""))),
                            NULL, err);
    }
    return st;
}

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct fixture *fixture = arg;
    struct index_entry *entries =
        arena_alloc(store_tx_arena(tx), CHUNKS * sizeof(struct index_entry));
    struct arena *arena = store_tx_arena(tx);
    uint64_t state = 7;
    enum status st = describe(tx, fixture, err);

    for (int64_t i = 0; i < CHUNKS && st == ST_OK; i++) {
        struct index_entry *entry = &entries[i];

        *entry = (struct index_entry){
            .chunk_id = i + 1,
            .source_id = fixture->sources[i % SOURCES],
            .version = 1,
            .audience = i % 7 == 0 ? STR("staff") : STR("customer"),
            .language = i % 5 == 0 ? STR("de") : STR("en"),
            .title = make_text(arena, &state, 2),
            .heading_path = make_text(arena, &state, 2),
            .text = make_text(arena, &state, 20 + next(&state) % 60),
            .vector = {ENCODER, DIMENSION, make_vector(arena, &state)},
        };
        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(entry->chunk_id), sv_id(entry->source_id), sv_int(1),
                             sv_text(entry->heading_path), sv_text(entry->text),
                             sv_text(entry->language)),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, entries, CHUNKS, err) : st;
}

struct search_work {
    struct index_query query;
    struct arena *arena;
    struct index_result result;
};

static enum status
search_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct search_work *work = arg;

    return index_search(tx, &work->query, work->arena, &work->result, err);
}

static void
compare(struct fixture *fixture, struct index_query query, size_t *hits)
{
    struct search_work work[2] = {{query, fixture->arena, {0}}, {query, fixture->arena, {0}}};

    for (int i = 0; i < 2; i++) {
        struct side *side = &fixture->sides[i];
        struct err err;

        ASSERT_OK(store_read(side->store, &side->scope, "test", search_work, &work[i], &err), &err);
    }
    assert_int_equal(work[0].result.count, work[1].result.count);
    assert_true(work[0].result.confidence == work[1].result.confidence);
    assert_int_equal(work[0].result.chunks_searched, work[1].result.chunks_searched);
    for (int i = 0; i < 2; i++)
        assert_true(work[i].result.by_vectors == (query.vector != NULL));
    for (size_t i = 0; i < work[0].result.count; i++) {
        const struct index_hit *one = &work[0].result.hits[i];
        const struct index_hit *other = &work[1].result.hits[i];

        assert_int_equal(one->chunk_id, other->chunk_id);
        assert_true(one->score == other->score);
        assert_true(one->coverage == other->coverage);
        assert_true(one->cosine == other->cosine);
        assert_true(str_eq(one->text, other->text));
    }
    *hits += work[0].result.count;
}

static void
compare_all(struct fixture *fixture)
{
    static const char *const own[] = {"",
                                      "the",
                                      "insurence deductble",
                                      "reciept for the rentl",
                                      "Grüße straße",
                                      "世界",
                                      "nothing of that"};
    struct index_filter filters[4] = {{.has_dates = false},
                                      {.has_dates = true, .dated_to_us = 2000},
                                      {.has_dates = false},
                                      {.has_dates = false}};
    uint64_t state = 99;
    size_t hits = 0;

    index_filter_add(&filters[0], INDEX_FILTER_CATEGORY, STR("Hours"), fixture->arena);
    index_filter_add(&filters[2], INDEX_FILTER_SOURCE, ID_STR(fixture->sources[3]), fixture->arena);
    index_filter_add(&filters[3], INDEX_FILTER_CONTENT_TYPE, STR("text/html"), fixture->arena);
    index_filter_add(&filters[3], INDEX_FILTER_LANGUAGE, STR("de"), fixture->arena);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        compare(fixture, (struct index_query){.text = str_from_c(own[i]), .limit = 20}, &hits);
    for (unsigned i = 0; i < 60; i++) {
        struct index_query query = {.text = make_text(fixture->arena, &state, 1 + i % 6),
                                    .for_staff = i % 2 == 0,
                                    .want_best_sentence = true,
                                    .limit = 1 + i % INDEX_MAX_HITS};

        compare(fixture, query, &hits);
        query.vectors = fixture->vectors;
        query.vector = make_vector(fixture->arena, &state);
        compare(fixture, query, &hits);
        query.filter = &filters[i % 4];
        compare(fixture, query, &hits);
    }
    assert_true(hits > 300);
}

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    return index_delete(tx, *(struct source_id *)arg, 0, err);
}

static enum status
put_words(struct store_tx *tx, void *arg, struct err *err)
{
    const struct source_id source = *(struct source_id *)arg;
    struct index_entry entries[WORDS_PASSAGES];
    enum status st = ST_OK;

    for (size_t i = 0; i < WORDS_PASSAGES && st == ST_OK; i++) {
        entries[i] = (struct index_entry){
            .chunk_id = (int64_t)i + 1,
            .source_id = source,
            .version = 1,
            .audience = STR("customer"),
            .language = STR("en"),
            .text = str_from_c(words_passages[i]),
        };
        st = store_exec(tx, &SQL_TEST_CHUNK_INSERT,
                        ARGS(sv_int(entries[i].chunk_id), sv_id(source), sv_int(1),
                             sv_text(STR("")), sv_text(entries[i].text), sv_text(STR("en"))),
                        NULL, err);
    }
    return st == ST_OK ? index_put(tx, entries, WORDS_PASSAGES, err) : st;
}

/* What index_words_test asks, of organizations of their own. */
static void
test_same_words(void **state)
{
    struct fixture own = *(struct fixture *)*state;
    struct source_id source = ID_NEW(source_id);

    for (int i = 0; i < 2; i++) {
        struct side *side = &own.sides[i];
        struct err err;

        side->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
        ASSERT_OK(store_tenant_create(side->store, &side->scope, &err), &err);
        ASSERT_OK(
            store_run(side->store, &side->scope, "test", STORE_DURABLE, put_words, &source, &err),
            &err);
    }
    for (size_t i = 0; i < WORDS_CASES; i++) {
        const struct words_case *c = &words_cases[i];
        struct search_work work = {.query = {.text = str_from_c(c->question),
                                             .language = STR("en"),
                                             .limit = 20,
                                             .synonyms = str_from_c(c->synonyms)},
                                   .arena = own.arena};
        size_t hits = 0;
        struct err err;

        compare(&own, work.query, &hits);
        ASSERT_OK(
            store_read(own.sides[1].store, &own.sides[1].scope, "test", search_work, &work, &err),
            &err);
        if (hits != (size_t)(c->first > 0 ? 1 + c->others : 0) ||
            (hits > 0 && work.result.hits[0].chunk_id != c->first))
            fail_msg("%s: %zu passages", c->name, hits);
    }
}

static void
test_same_ranking(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        struct side *side = &fixture->sides[i];
        struct err err;

        ASSERT_OK(
            store_run(side->store, &side->scope, "test", STORE_DURABLE, put_work, fixture, &err),
            &err);
    }
    compare_all(fixture);
    for (int i = 0; i < 2; i++) {
        struct side *side = &fixture->sides[i];
        struct err err;

        ASSERT_OK(store_run(side->store, &side->scope, "test", STORE_DURABLE, delete_work,
                            &fixture->sources[1], &err),
                  &err);
    }
    compare_all(fixture);
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
run_all(struct pgsql_server *server)
{
    struct fixture fixture = {.folder = "/tmp/parley-index-XXXXXX"};
    struct pgsql_database database;
    struct store_config configs[2] = {{.data_folder = fixture.folder},
                                      {.database_url = database.url}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_same_ranking, &fixture),
        cmocka_unit_test_prestate(test_same_words, &fixture),
    };
    const struct index_vectors_config vectors = {ENCODER, DIMENSION, (size_t)1 << 20, NULL};
    struct err failure;
    int failed;

    if (mkdtemp(fixture.folder) == NULL)
        abort();
    pgsql_database_make(server, &database);
    fixture.arena = arena_create((size_t)64 << 20);
    if (index_vectors_create(&vectors, &fixture.vectors, &failure) != ST_OK)
        abort();
    for (size_t i = 0; i < SOURCES; i++)
        fixture.sources[i] = ID_NEW(source_id);
    for (int i = 0; i < 2; i++) {
        struct side *side = &fixture.sides[i];
        struct err err;

        side->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
        if (store_open(&configs[i], &side->store, &err) != ST_OK ||
            store_tenant_create(side->store, &side->scope, &err) != ST_OK)
            abort();
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    index_vectors_destroy(&fixture.vectors);
    for (int i = 0; i < 2; i++)
        store_close(&fixture.sides[i].store);
    arena_destroy(&fixture.arena);
    (void)nftw(fixture.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed;
}

int
main(void)
{
    struct pgsql_server server;
    int failed;

    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "index/index_pgsql: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = run_all(&server);
    pgsql_server_stop(&server);
    return failed;
}
