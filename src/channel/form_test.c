/*
 * form_test.c - forms as browsers and providers write them, and back
 */
#include "channel/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What was read, as "[name|value]" after one another. */
static struct str
shown(struct str body, struct arena *arena)
{
    struct form form;
    struct err err;
    struct str text = STR("");

    assert_int_equal(form_parse(body, arena, &form, &err), ST_OK);
    for (size_t i = 0; i < form.count; i++)
        text = arena_printf(arena, "%.*s[%.*s|%.*s]", STR_ARG(text), STR_ARG(form.fields[i].name),
                            STR_ARG(form.fields[i].value));
    return text;
}

static void
test_reading(void **state)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"", ""},
        {"a=1&b=2", "[a|1][b|2]"},
        {"a=1&a=2&a=1", "[a|1][a|2][a|1]"},
        {"From=whatsapp%3A%2B628&Body=a+b%20c%2bd", "[From|whatsapp:+628][Body|a b c+d]"},
        {"a", "[a|]"},
        {"a=", "[a|]"},
        {"=b", "[|b]"},
        {"a=b=c", "[a|b=c]"},
        {"&&a=1&&", "[a|1]"},
        {"a%3Db=%26", "[a=b|&]"},
        {"a=%", "[a|%]"},
        {"a=%4", "[a|%4]"},
        {"a=%zz%41", "[a|%zzA]"},
        {"a=%%41", "[a|%A]"},
        {"%E4%B8%AD=%F0%9F%98%80", "[\xe4\xb8\xad|\xf0\x9f\x98\x80]"},
    };
    struct arena *arena = arena_create((size_t)1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str got = shown(str_from_c(cases[i].body), arena);

        if (!str_eq_c(got, cases[i].want))
            fail_msg("%s: %.*s", cases[i].body, STR_ARG(got));
    }
    arena_destroy(&arena);
}

static void
test_getting(void **state)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct form form;
    struct err err;

    (void)state;
    assert_int_equal(form_parse(STR("a=1&b&a=2"), arena, &form, &err), ST_OK);
    assert_true(str_eq_c(form_get(&form, "a"), "1"));
    assert_int_equal(form_get(&form, "b").len, 0);
    assert_non_null(form_get(&form, "b").ptr);
    assert_null(form_get(&form, "c").ptr);
    assert_true(form_is_text(&form));
    assert_int_equal(form_parse(STR("a=%FF"), arena, &form, &err), ST_OK);
    assert_false(form_is_text(&form));
    assert_int_equal(form_parse(STR("a%00=x"), arena, &form, &err), ST_OK);
    assert_false(form_is_text(&form));
    arena_destroy(&arena);
}

static void
test_limits(void **state)
{
    char body[2 * FORM_MAX_FIELDS + 2];
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct form form;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = i % 2 == 0 ? 'a' : '&';
    assert_int_equal(form_parse(str_of(body, 2 * FORM_MAX_FIELDS - 1), arena, &form, &err), ST_OK);
    assert_int_equal(form.count, FORM_MAX_FIELDS);
    assert_int_equal(form_parse(str_of(body, sizeof body), arena, &form, &err), ST_TOO_LARGE);
    arena_destroy(&arena);

    struct arena *small = arena_create(1024);
    char encoded[8192];

    memset(encoded, '+', sizeof encoded);
    assert_int_equal(form_parse(str_of(encoded, sizeof encoded), small, &form, &err), ST_TOO_LARGE);
    arena_destroy(&small);
}

static void
test_writing(void **state)
{
    struct buf out;
    struct arena *arena = arena_create((size_t)1024 * 1024);

    (void)state;
    buf_init(&out, 4096);
    form_append(&out, "To", STR("whatsapp:+62 85"));
    form_append(&out, "Body", STR("a&b=c%\xc3\xa9\n-._*~"));
    form_append(&out, "Empty", STR_EMPTY);
    assert_true(str_eq_c(buf_str(&out), "To=whatsapp%3A%2B62+85&Body=a%26b%3Dc%25%C3%A9%0A-._*%7E&"
                                        "Empty="));
    assert_true(str_eq_c(shown(buf_str(&out), arena),
                         "[To|whatsapp:+62 85][Body|a&b=c%\xc3\xa9\n-._*~][Empty|]"));
    buf_deinit(&out);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_getting),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
