/*
 * err_test.c - two readers, wrapping, cutting
 */
#include "base/err.h"
#include "base/testing.h"

static void
set_speaks_to_both(void **state)
{
    struct err err = {.retry_after_ms = 7};

    (void)state;
    assert_int_equal(err_set(&err, ST_CONFLICT, "key %s exists", "k"), ST_CONFLICT);
    assert_int_equal(err.code, ST_CONFLICT);
    assert_string_equal(err.public_text, "key k exists");
    assert_string_equal(err.detail, "key k exists");
    assert_int_equal(err.retry_after_ms, 0);
}

static void
detail_stays_inside(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set_detail(&err, ST_INTERNAL, "open /secret/%d", 5), ST_INTERNAL);
    assert_string_equal(err.detail, "open /secret/5");
    assert_null(strstr(err.public_text, "secret"));
    assert_true(strlen(err.public_text) > 0);
    assert_int_equal(err_wrap(&err, "store %s", "a"), ST_INTERNAL);
    assert_string_equal(err.detail, "store a: open /secret/5");
    assert_null(strstr(err.public_text, "store"));
}

static void
arguments_may_come_from_the_err_itself(void **state)
{
    struct err err;

    (void)state;
    (void)err_set(&err, ST_BUSY, "inner");
    (void)err_set_detail(&err, ST_UNCERTAIN, "outer, was: %s", err.detail);
    assert_string_equal(err.detail, "outer, was: inner");
    (void)err_wrap(&err, "%s", err.detail);
    assert_string_equal(err.detail, "outer, was: inner: outer, was: inner");
}

static void
long_texts_are_cut_between_characters(void **state)
{
    char text[1200];
    struct err err;

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', sizeof(text));
        for (size_t i = shift; i + 4 < sizeof(text); i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        text[sizeof(text) - 5] = '\0';
        (void)err_set(&err, ST_INVALID, "%s", text);
        assert_true(str_is_utf8(str_from_c(err.public_text)));
        assert_true(str_is_utf8(str_from_c(err.detail)));
        assert_in_range(strlen(err.detail), sizeof(err.detail) - 4, sizeof(err.detail) - 1);
        (void)err_wrap(&err, "%s", text);
        assert_true(strlen(err.detail) < sizeof(err.detail));
        (void)err_set(&err, ST_INVALID, "y");
        (void)err_wrap(&err, "z%s", text);
        assert_true(str_is_utf8(str_from_c(err.detail)));
    }
}

static void
names(void **state)
{
    static const struct {
        enum status code;
        const char *name;
        bool passing;
    } rows[] = {
        {ST_OK, "ok", false},
        {ST_INVALID, "invalid", false},
        {ST_DENIED, "denied", false},
        {ST_NOT_FOUND, "not_found", false},
        {ST_CONFLICT, "conflict", false},
        {ST_TOO_LARGE, "too_large", false},
        {ST_BUSY, "busy", true},
        {ST_UNAVAILABLE, "unavailable", true},
        {ST_UNCERTAIN, "uncertain", false},
        {ST_INTERNAL, "internal", false},
        {(enum status)99, "internal", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(status_name(rows[i].code), rows[i].name);
        assert_int_equal(status_is_passing(rows[i].code), rows[i].passing);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_speaks_to_both),
        cmocka_unit_test(detail_stays_inside),
        cmocka_unit_test(arguments_may_come_from_the_err_itself),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
