/*
 * json_test.c - what json_parse refuses, and how json_read names what is wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "text/json.h"

#define DEEP_8 "[[[[[[[["
#define DEEP_64 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8
#define FLAT_8 "]]]]]]]]"
#define FLAT_64 FLAT_8 FLAT_8 FLAT_8 FLAT_8 FLAT_8 FLAT_8 FLAT_8 FLAT_8

static const struct {
    const char *name;
    struct str input;
    enum status want;
    const char *word; /* in the public text */
} parse_cases[] = {
    {"object", STR_INIT("{\"a\":1}"), ST_OK, ""},
    {"bare value", STR_INIT("\"x\""), ST_OK, ""},
    {"white space around", STR_INIT(" \n[1]\n"), ST_OK, ""},
    {"64 levels", STR_INIT(DEEP_64 FLAT_64), ST_OK, ""},
    {"65 levels", STR_INIT("[" DEEP_64 FLAT_64 "]"), ST_INVALID, "deeper than 64"},
    {"brackets in a string do not count", STR_INIT("\"\\\"" DEEP_64 DEEP_64 "\""), ST_OK, ""},
    {"empty", STR_INIT(""), ST_INVALID, "ends too early"},
    {"nothing", {NULL, 0}, ST_INVALID, "ends too early"},
    {"cut", STR_INIT("{\"a\":"), ST_INVALID, "ends too early"},
    {"two values", STR_INIT("{} {}"), ST_INVALID, "after the value"},
    {"duplicate key", STR_INIT("{\"a\":1,\"a\":2}"), ST_INVALID, "twice"},
    {"NUL escape", STR_INIT("\"a\\u0000b\""), ST_INVALID, "NUL"},
    {"NUL byte", STR_INIT("\"a\0b\""), ST_INVALID, "invalid JSON"},
    {"broken UTF-8", STR_INIT("\"\xc3\x28\""), ST_INVALID, "UTF-8"},
    {"overlong UTF-8", STR_INIT("\"\xc0\xaf\""), ST_INVALID, "UTF-8"},
    {"lone surrogate", STR_INIT("\"\\ud800\""), ST_INVALID, "invalid JSON"},
    {"too large an integer", STR_INIT("[99999999999999999999]"), ST_INVALID, "too large"},
    {"comment", STR_INIT("{} // x"), ST_INVALID, "after the value"},
    {"NaN", STR_INIT("[NaN]"), ST_INVALID, "wrong syntax"},
};

static void
test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
        json_t *json = NULL;
        struct err err = {0};
        enum status st = json_parse(parse_cases[i].input, &json, &err);

        if (st != parse_cases[i].want ||
            (st != ST_OK && strstr(err.public_text, parse_cases[i].word) == NULL))
            fail_msg("%s: status %d, text '%s'", parse_cases[i].name, st, err.public_text);
        assert_true((json != NULL) == (st == ST_OK));
        json_decref(json);
    }
}

static void
test_parse_error_does_not_quote_the_input(void **state)
{
    json_t *json = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(json_parse(STR("{\"pin\": geheim1234}"), &json, &err), ST_INVALID);
    assert_null(strstr(err.public_text, "geheim"));
    assert_null(strstr(err.detail, "geheim"));
    assert_non_null(strstr(err.public_text, "line 1"));
}

/* As it is read, written again. */
static const struct {
    struct str input;
    const char *want;
} written_cases[] = {
    {STR_INIT(" { \"a\" : [ 1 , -2,0 ] , \"b\":{} ,\"c\":[]}"),
     "{\"a\":[1,-2,0],\"b\":{},\"c\":[]}"},
    {STR_INIT("[true,false,null]"), "[true,false,null]"},
    {STR_INIT("[0.5,1e3,-999999999999999999,9223372036854775807]"),
     "[0.5,1000.0,-999999999999999999,9223372036854775807]"},
    {STR_INIT("\"\\u041c\\u00e4\\u20ac\\ud83d\\uDE00x\""),
     "\"\xd0\x9c\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x\""},
    {STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\""), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\""},
    {STR_INIT("{\"\":\"\",\"k\\u0061\":\"\xc3\xa4\"}"), "{\"\":\"\",\"ka\":\"\xc3\xa4\"}"},
};

static void
test_written_again(void **state)
{
    struct arena *arena = arena_create(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(written_cases) / sizeof(written_cases[0]); i++) {
        json_auto_t *json = NULL;
        struct err err = {0};

        assert_int_equal(json_parse(written_cases[i].input, &json, &err), ST_OK);
        if (!str_eq_c(json_text(json, arena), written_cases[i].want))
            fail_msg("%zu: %s", i, json_text(json, arena).ptr);
    }
    arena_destroy(&arena);
}

/* Longer than what is unescaped on the stack. */
static void
test_long_string_with_escapes(void **state)
{
    char text[6002], *at = text;
    json_auto_t *json = NULL;
    struct err err = {0};

    (void)state;
    *at++ = '"';
    for (int i = 0; i < 3000; i++, at += 2)
        memcpy(at, i % 2 == 0 ? "\\n" : "ab", 2);
    *at++ = '"';
    assert_int_equal(json_parse(str_of(text, (size_t)(at - text)), &json, &err), ST_OK);
    assert_int_equal(json_string_length(json), 1500 + 3000);
    assert_memory_equal(json_string_value(json) + 4497, "\nab", 3);
}

struct target {
    struct str name;
    int64_t count;
    bool on;
    double share;
    json_t *object, *array;
};

static const struct json_field target_fields[] = {
    {"name", JSON_FIELD_STR, true, offsetof(struct target, name), 10, 0, 0},
    {"count", JSON_FIELD_INT, false, offsetof(struct target, count), 0, 1, 100},
    {"on", JSON_FIELD_BOOL, false, offsetof(struct target, on), 0, 0, 0},
    {"share", JSON_FIELD_DOUBLE, false, offsetof(struct target, share), 0, 0, 0},
    {"object", JSON_FIELD_OBJECT, false, offsetof(struct target, object), 0, 0, 0},
    {"array", JSON_FIELD_ARRAY, false, offsetof(struct target, array), 0, 0, 0},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static const struct {
    struct str input;
    const char *word; /* in the error, or NULL when it is to be read */
} read_cases[] = {
    {STR_INIT("{\"name\":\"0123456789\",\"count\":100,\"on\":true,\"share\":1}"), NULL},
    {STR_INIT("[]"), "object is expected"},
    {STR_INIT("{}"), "\"name\" is missing"},
    {STR_INIT("{\"name\":\"01234567890\"}"), "\"name\" is longer than 10"},
    {STR_INIT("{\"name\":1}"), "\"name\" must be a string"},
    {STR_INIT("{\"name\":null}"), "\"name\" must be a string"},
    {STR_INIT("{\"name\":\"a\",\"count\":0}"), "from 1 to 100"},
    {STR_INIT("{\"name\":\"a\",\"count\":101}"), "from 1 to 100"},
    {STR_INIT("{\"name\":\"a\",\"count\":1.0}"), "whole number"},
    {STR_INIT("{\"name\":\"a\",\"on\":1}"), "true or false"},
    {STR_INIT("{\"name\":\"a\",\"share\":\"1\"}"), "must be a number"},
    {STR_INIT("{\"name\":\"a\",\"object\":[]}"), "must be an object"},
    {STR_INIT("{\"name\":\"a\",\"array\":{}}"), "must be an array"},
    {STR_INIT("{\"name\":\"a\",\"nmae\":\"b\"}"), "unknown key \"nmae\""},
};

static void
test_read_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(read_cases) / sizeof(read_cases[0]); i++) {
        struct err err = {0};
        struct target target = {0};
        json_t *json = NULL;
        enum status st;

        assert_int_equal(json_parse(read_cases[i].input, &json, &err), ST_OK);
        st = json_read(json, target_fields, &target, &err);
        if ((st == ST_OK) != (read_cases[i].word == NULL) ||
            (st != ST_OK && strstr(err.public_text, read_cases[i].word) == NULL))
            fail_msg("%s: %s", read_cases[i].input.ptr, err.public_text);
        json_decref(json);
    }
}

static void
test_read_fills_what_is_there_and_leaves_the_rest(void **state)
{
    struct err err = {0};
    struct target target = {.count = 7, .share = 0.5};
    json_t *json = NULL;

    (void)state;
    assert_int_equal(json_parse(STR("{\"name\":\"Zoë\",\"on\":true,\"array\":[1,2]}"), &json, &err),
                     ST_OK);
    assert_int_equal(json_read(json, target_fields, &target, &err), ST_OK);
    assert_true(str_eq(target.name, STR("Zoë")));
    assert_int_equal(target.count, 7);
    assert_true(target.on);
    assert_true(target.share == 0.5);
    assert_null(target.object);
    assert_int_equal(json_array_size(target.array), 2);
    json_decref(json);
}

static void
test_get_and_set(void **state)
{
    struct arena *arena = arena_create(1 << 16);
    json_t *json = json_object();

    (void)state;
    json_set_str(json, "s", STR("a\"\xe2\x82\xac"));
    json_set_str(json, "none", STR_EMPTY);
    json_set_str(json, "empty", STR(""));
    json_set_int(json, "i", INT64_MIN);
    json_set_bool(json, "b", false);
    json_set_double(json, "d", 0.25);
    json_set(json, "a", json_pack("[i]", 1));
    assert_true(str_eq(json_text(json, arena),
                       STR("{\"s\":\"a\\\"\xe2\x82\xac\",\"empty\":\"\",\"i\":-9223372036854775808,"
                           "\"b\":false,\"d\":0.25,\"a\":[1]}")));
    assert_true(str_eq(json_get_str(json, "s"), STR("a\"\xe2\x82\xac")));
    assert_non_null(json_get_str(json, "empty").ptr);
    assert_null(json_get_str(json, "none").ptr);
    assert_null(json_get_str(json, "i").ptr);
    assert_true(json_get_int(json, "i", 1) == INT64_MIN);
    assert_int_equal(json_get_int(json, "s", 3), 3);
    assert_false(json_get_bool(json, "b", true));
    assert_true(json_get_bool(json, "none", true));
    assert_non_null(json_get_array(json, "a"));
    assert_null(json_get_object(json, "a"));
    assert_null(json_from_str(STR("\xff")));
    json_decref(json);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_written_again),
        cmocka_unit_test(test_long_string_with_escapes),
        cmocka_unit_test(test_parse_error_does_not_quote_the_input),
        cmocka_unit_test(test_read_cases),
        cmocka_unit_test(test_read_fills_what_is_there_and_leaves_the_rest),
        cmocka_unit_test(test_get_and_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
