/*
 * question_filter_test.c - names and values of filters, as they are asked and as they are refused
 */
#include "knowledge/question_filter.h"

#include "base/testing.h"
#include "text/json.h"

#define ID_A "01890000-0000-7000-8000-00000000000a"

static enum status
read_text(const char *text, struct arena *arena, struct index_filter *filter, struct err *err)
{
    json_auto_t *json = NULL;

    ASSERT_OK(json_parse(str_from_c(text), &json, err), err);
    return question_filter_read(json, arena, filter, err);
}

static void
what_is_asked(void **state)
{
    static const struct {
        const char *json;
        enum index_filter_field field;
        const char *want;
    } rows[] = {
        {"{}", INDEX_FILTER_CATEGORY, ""},
        {"{\"category\": \"prices\"}", INDEX_FILTER_CATEGORY, "|prices|"},
        {"{\"category\": [\"prices\", \"Öffnung\"]}", INDEX_FILTER_CATEGORY, "|prices|Öffnung|"},
        {"{\"tone\": \"\"}", INDEX_FILTER_TONE, "||"},
        {"{\"tone\": [\"\", \"dry\"]}", INDEX_FILTER_TONE, "||dry|"},
        {"{\"language\": [\"de\", \"en\"]}", INDEX_FILTER_LANGUAGE, "|de|en|"},
        {"{\"audience\": \"staff:hr,finance\"}", INDEX_FILTER_AUDIENCE, "|staff:finance,hr|"},
        {"{\"source_id\": \"" ID_A "\"}", INDEX_FILTER_SOURCE, "|" ID_A "|"},
        {"{\"brand_id\": [\"" ID_A "\"]}", INDEX_FILTER_BRAND, "|" ID_A "|"},
        {"{\"kind\": \"upload\"}", INDEX_FILTER_KIND, "|upload|"},
        {"{\"content_type\": \"text/html\"}", INDEX_FILTER_CONTENT_TYPE, "|text/html|"},
    };
    struct arena *arena = arena_create((size_t)1 << 20);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_filter filter;
        struct str got;
        struct err err;
        char shown[200] = "";

        ASSERT_OK(read_text(rows[i].json, arena, &filter, &err), &err);
        got = filter.wanted[rows[i].field];
        assert_true(got.len < sizeof(shown));
        for (size_t c = 0; c < got.len; c++)
            shown[c] = got.ptr[c] == INDEX_FILTER_MARK[0] ? '|' : got.ptr[c];
        if (strcmp(shown, rows[i].want) != 0)
            fail_msg("%s: %s, not %s", rows[i].json, shown, rows[i].want);
        assert_false(filter.has_dates);
    }
    arena_destroy(&arena);
}

static void
days_are_whole(void **state)
{
    const int64_t day_us = INT64_C(86400) * US_PER_S;
    struct arena *arena = arena_create((size_t)1 << 20);
    struct index_filter filter;
    struct err err;

    (void)state;
    ASSERT_OK(read_text("{\"dated_from\": \"1970-01-03\", \"dated_to\": \"1970-01-03\"}", arena,
                        &filter, &err),
              &err);
    assert_true(filter.has_dates);
    assert_int_equal(filter.dated_from_us, 2 * day_us);
    assert_int_equal(filter.dated_to_us, 3 * day_us - 1);
    ASSERT_OK(read_text("{\"dated_to\": \"1970-01-03T00:00:01Z\"}", arena, &filter, &err), &err);
    assert_true(filter.dated_from_us == INT64_MIN);
    assert_int_equal(filter.dated_to_us, 2 * day_us + US_PER_S);
    arena_destroy(&arena);
}

static void
refusals(void **state)
{
    static const struct {
        const char *json, *says;
    } rows[] = {
        {"{\"colour\": \"red\"}", "Filters are brand_id,"},
        {"{\"Category\": \"prices\"}", "Filters are brand_id,"},
        {"{\"\": \"prices\"}", "Filters are brand_id,"},
        {"{\"category\": 5}", "a text"},
        {"{\"category\": null}", "a text"},
        {"{\"category\": [\"a\", 5]}", "a text"},
        {"{\"category\": []}", "1 to 1000"},
        {"{\"category\": \"a\\u001fb\"}", "control characters"},
        {"{\"category\": \"a\\nb\"}", "control characters"},
        {"{\"kind\": \"\"}", "kind is empty"},
        {"{\"language\": \"german\"}", "ISO 639-1"},
        {"{\"language\": \"\"}", "ISO 639-1"},
        {"{\"audience\": \"all\"}", "audience"},
        {"{\"source_id\": \"x\"}", ""},
        {"{\"brand_id\": \"\"}", ""},
        {"{\"dated_from\": \"yesterday\"}", "2026-05-01"},
        {"{\"dated_from\": \"\"}", "empty"},
        {"{\"dated_to\": [\"2026-05-01\", \"2026-05-02\"]}", "one dated_to"},
    };
    struct arena *arena = arena_create((size_t)1 << 20);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_filter filter;
        struct err err = {.code = ST_OK};

        if (read_text(rows[i].json, arena, &filter, &err) != ST_INVALID ||
            strstr(err.public_text, rows[i].says) == NULL || err.public_text[0] == '\0')
            fail_msg("%s: %s", rows[i].json, err.public_text);
    }
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked),
        cmocka_unit_test(days_are_whole),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
