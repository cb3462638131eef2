/*
 * http_url_test.c - references on a page, in one spelling
 */
#include "base/testing.h"

#include "net/http_url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE "http://example.com/a/b?c=d"

static void
resolving(void **state)
{
    static const struct {
        const char *base, *reference, *want; /* NULL: ST_INVALID */
    } rows[] = {
        {"", "http://example.com", "http://example.com/"},
        {"", "HTTPS://Example.COM:443/A?b=C#d", "https://example.com/A?b=C"},
        {"", "http://example.com:80/", "http://example.com/"},
        {"", "http://example.com:8080/", "http://example.com:8080/"},
        {"", " http://example.com/a/../b/./c ", "http://example.com/b/c"},
        {"", "http://example.com/a b", "http://example.com/a%20b"},
        {"", "http://example.com/caf\xc3\xa9", "http://example.com/caf%c3%a9"},
        {"", "http://[::1]:81/", "http://[::1]:81/"},
        {BASE, "e", "http://example.com/a/e"},
        {BASE, "/e?f#g", "http://example.com/e?f"},
        {BASE, "?x", "http://example.com/a/b?x"},
        {BASE, "#x", BASE},
        {BASE, "", BASE},
        {BASE, "../../../e", "http://example.com/e"},
        {BASE, "//other.example/e", "http://other.example/e"},
        {BASE, "https://other.example/", "https://other.example/"},
        {BASE, "mailto:a@example.com", NULL},
        {BASE, "javascript:alert(1)", NULL},
        {BASE, "ftp://example.com/", NULL},
        {BASE, "data:text/html,x", NULL},
        {BASE, "http://me:secret@example.com/", NULL},
        {BASE, "//me@example.com/", NULL},
        {"", "", NULL},
        {"", "/e", NULL},
        {"", "http://", NULL},
        {"", "http://exa mple.com/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct str url = STR_EMPTY;
        struct err err;
        enum status st = http_url_resolve(str_from_c(rows[i].base), str_from_c(rows[i].reference),
                                          arena, &url, &err);

        if (rows[i].want == NULL ? st != ST_INVALID : st != ST_OK || !str_eq_c(url, rows[i].want))
            fail_msg("%s on %s: %s, %.*s", rows[i].reference, rows[i].base, status_name(st),
                     STR_ARG(url));
        arena_destroy(&arena);
    }
}

static void
targets(void **state)
{
    (void)state;
    assert_true(str_eq_c(http_url_target(STR("http://example.com/a?b")), "/a?b"));
    assert_true(str_eq_c(http_url_target(STR("http://example.com/")), "/"));
    assert_true(str_eq_c(http_url_target(STR("http://example.com")), "/"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(resolving), cmocka_unit_test(targets)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
