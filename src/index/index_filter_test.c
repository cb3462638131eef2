/*
 * index_filter_test.c - what a filter by documents leaves; a part of index_test
 */
#include "base/testing.h"
#include "index/index_test_sql.h"
#include "index/index_test_support.h"

static enum status
describe_work(struct store_tx *tx, void *arg, struct err *err)
{
    static const struct {
        const char *kind, *category, *tone, *content_type;
        int64_t dated_at;
    } rows[] = {{"upload", "shop", "friendly", "text/markdown", 1000},
                {"member", "insurance", "", "application/pdf", 0},
                {"folder", "shop", "dry", "text/markdown", 2000}};
    const struct fixture *fixture = arg;
    enum status st = ST_OK;

    for (size_t i = 0; i < 3 && st == ST_OK; i++) {
        st = store_exec(
            tx, &SQL_TEST_SOURCE_INSERT,
            ARGS(sv_id(fixture->sources[i]), i == 1 ? sv_id(fixture->sources[2]) : sv_null(),
                 sv_text(str_from_c(rows[i].kind)), sv_text(str_from_c(rows[i].category)),
                 sv_text(str_from_c(rows[i].tone)), sv_int(rows[i].dated_at)),
            NULL, err);
        if (st == ST_OK)
            st = store_exec(tx, &SQL_TEST_VERSION_INSERT,
                            ARGS(sv_id(fixture->sources[i]),
                                 sv_text(str_from_c(rows[i].content_type)), sv_blob(STR(""))),
                            NULL, err);
    }
    return st;
}

/* Chunks are numbers below ten. */
static struct str
found(struct fixture *fixture, const struct index_query *query)
{
    struct index_result result = search_as(fixture, &fixture->scope, *query);
    struct str list = STR("");

    for (int64_t chunk = 1; chunk < 10; chunk++)
        for (size_t i = 0; i < result.count; i++)
            if (result.hits[i].chunk_id == chunk)
                list = arena_printf(fixture->arena, "%.*s%lld", STR_ARG(list), (long long)chunk);
    return list;
}

static void
test_filter(void **state)
{
    static const struct {
        const char *name, *values; /* with commas between */
        enum index_filter_field field;
        const char *want;
    } rows[] = {
        {"kind", "upload", INDEX_FILTER_KIND, "23"},
        {"one of two", "upload,folder", INDEX_FILTER_KIND, "236"},
        {"category", "shop", INDEX_FILTER_CATEGORY, "236"},
        {"another case is another", "Shop", INDEX_FILTER_CATEGORY, ""},
        {"a part is not the whole", "sho,hop", INDEX_FILTER_CATEGORY, ""},
        {"two tones", "friendly,dry", INDEX_FILTER_TONE, "236"},
        {"no tone", "", INDEX_FILTER_TONE, "45"},
        {"content type", "application/pdf", INDEX_FILTER_CONTENT_TYPE, "45"},
        {"language", "en", INDEX_FILTER_LANGUAGE, "2345"},
        {"two languages", "de,en", INDEX_FILTER_LANGUAGE, "23456"},
        {"no such language", "fr", INDEX_FILTER_LANGUAGE, ""},
        {"audience", "customer", INDEX_FILTER_AUDIENCE, "23456"},
        {"nothing opens", "staff", INDEX_FILTER_AUDIENCE, ""},
        {"what staff reads stays theirs", "upload,member,folder", INDEX_FILTER_KIND, "23456"},
    };
    struct fixture *fixture = *state;
    struct index_entry more[2] = {
        entry(fixture, 6, 2, "Rad", "", "Das bicycle steht im Laden."),
        entry(fixture, 7, 2, "Secret bicycle", "", "A bicycle for members of staff."),
    };
    struct err err;

    more[0].language = STR("de");
    more[1].audience = STR("staff");
    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test", STORE_RELAXED, describe_work,
                        fixture, &err),
              &err);
    put_shop(fixture);
    assert_int_equal(put(fixture, more, 2, ST_OK), ST_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_filter filter = {.has_dates = false};
        struct index_query query = {.text = STR("bicycle"), .filter = &filter};
        struct str rest = str_from_c(rows[i].values), value, got;

        if (rest.len == 0)
            index_filter_add(&filter, rows[i].field, rest, fixture->arena);
        while (str_split(&rest, ',', &value))
            index_filter_add(&filter, rows[i].field, value, fixture->arena);
        got = found(fixture, &query);
        if (!str_eq_c(got, rows[i].want))
            fail_msg("%s: %.*s, not %s", rows[i].name, STR_ARG(got), rows[i].want);
    }
}

static void
test_filter_by_documents_and_dates(void **state)
{
    struct fixture *fixture = *state;
    struct index_filter filter = {.has_dates = true, .dated_to_us = INT64_MAX};
    struct index_query query = {.text = STR("bicycle"), .filter = &filter};
    struct index_entry more = entry(fixture, 6, 2, "Bicycle", "", "Whatever.");
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test", STORE_RELAXED, describe_work,
                        fixture, &err),
              &err);
    put_shop(fixture);
    assert_int_equal(put(fixture, &more, 1, ST_OK), ST_OK);
    ASSERT_STR(found(fixture, &query), "236"); /* 4 and 5 do not say their date */
    filter.dated_to_us = 1000;
    ASSERT_STR(found(fixture, &query), "23");
    filter.dated_from_us = 1000;
    ASSERT_STR(found(fixture, &query), "23");
    filter.dated_from_us = 1001;
    ASSERT_STR(found(fixture, &query), "");
    filter = (struct index_filter){.has_dates = false};
    index_filter_add(&filter, INDEX_FILTER_SOURCE, ID_STR(fixture->sources[2]), fixture->arena);
    ASSERT_STR(found(fixture, &query), "456"); /* with what lies within it */
    index_filter_add(&filter, INDEX_FILTER_SOURCE, ID_STR(fixture->sources[0]), fixture->arena);
    ASSERT_STR(found(fixture, &query), "23456");
    index_filter_add(&filter, INDEX_FILTER_CATEGORY, STR("insurance"), fixture->arena);
    ASSERT_STR(found(fixture, &query), "45"); /* all must agree */
    assert_int_equal(search_as(fixture, &fixture->scope, query).chunks_searched, 2);
    assert_int_equal(search_as(fixture, &fixture->other, query).count, 0);
}

/* No key but that of drafts opens them, and it opens only those for whoever asks. */
static void
test_drafts(void **state)
{
    static const struct {
        bool with_drafts, for_staff;
        const char *want;
    } rows[] = {{false, false, "6"}, {false, true, "6"}, {true, false, "67"}, {true, true, "678"}};
    struct fixture *fixture = *state;
    struct index_entry entries[3] = {
        entry(fixture, 6, 0, "Bicycle", "", "Whatever."),
        entry(fixture, 7, 1, "Bicycle", "", "A draft for customers."),
        entry(fixture, 8, 2, "Bicycle", "", "A draft for members of staff."),
    };
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test", STORE_RELAXED, describe_work,
                        fixture, &err),
              &err);
    entries[1].audience = index_audience_of_draft(STR("customer"), fixture->arena);
    entries[2].audience = STR("draft:staff");
    assert_int_equal(put(fixture, entries, 3, ST_OK), ST_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_filter filter = {.with_drafts = rows[i].with_drafts};
        struct index_query query = {
            .text = STR("bicycle"), .for_staff = rows[i].for_staff, .filter = &filter};

        ASSERT_STR(found(fixture, &query), rows[i].want);
        index_filter_add(&filter, INDEX_FILTER_AUDIENCE, STR("customer"), fixture->arena);
        ASSERT_STR(found(fixture, &query), rows[i].with_drafts ? "67" : "6");
    }
    entries[0].chunk_id = 9;
    entries[0].audience = STR("draft:everybody");
    assert_int_equal(put(fixture, entries, 1, ST_OK), ST_INVALID);
}

/* A hundred passages of another document are better. */
static void
test_filter_comes_before_the_best_are_chosen(void **state)
{
    struct fixture *fixture = *state;
    struct index_filter filter = {.has_dates = false};
    struct index_query query = {.text = STR("bicycle"), .filter = &filter};
    struct index_entry entries[101];
    struct index_result result;
    struct err err;

    ASSERT_OK(store_run(fixture->store, &fixture->scope, "test", STORE_RELAXED, describe_work,
                        fixture, &err),
              &err);
    for (int64_t i = 0; i < 101; i++)
        entries[i] = i == 50 ? entry(fixture, i + 1, 1, "", "",
                                     "Of all the things in the long list one is a bicycle, too.")
                             : entry(fixture, i + 1, 0, "Bicycle", "Bicycle", "Bicycle, bicycle.");
    assert_int_equal(put(fixture, entries, 101, ST_OK), ST_OK);
    index_filter_add(&filter, INDEX_FILTER_CATEGORY, STR("insurance"), fixture->arena);
    result = search_as(fixture, &fixture->scope, query);
    assert_int_equal(result.count, 1);
    assert_int_equal(result.hits[0].chunk_id, 51);
    assert_int_equal(result.chunks_searched, 1);
}

int
index_filter_tests(struct test_qdrant *qdrant)
{
    const struct CMUnitTest tests[] = {
        TEST(test_filter),
        TEST(test_filter_by_documents_and_dates),
        TEST(test_drafts),
        TEST(test_filter_comes_before_the_best_are_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
