/*
 * buf_test.c - growth, the maximum, remembered failure, JSON escapes
 */
#include "base/buf.h"
#include "base/testing.h"

static void
appends_grow_and_keep_content(void **state)
{
    struct buf buf;
    struct err err;

    (void)state;
    buf_init(&buf, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        buf_printf(&buf, "%04d", i);
        buf_append_byte(&buf, ';');
    }
    ASSERT_OK(buf_check(&buf, &err), &err);
    assert_int_equal(buf.len, 25000);
    for (size_t i = 0; i < 5000; i++) {
        int64_t number;

        assert_true(str_to_i64(str_sub(buf_str(&buf), i * 5, 4), &number));
        assert_int_equal(number, i);
    }
    buf_deinit(&buf);
    buf_deinit(&buf);
}

static void
the_maximum_is_exact(void **state)
{
    struct buf buf;
    struct err err;

    (void)state;
    buf_init(&buf, 10);
    buf_append_c(&buf, "0123456789");
    ASSERT_OK(buf_check(&buf, &err), &err);
    buf_append_byte(&buf, 'x');
    assert_int_equal(buf_check(&buf, &err), ST_TOO_LARGE);
    ASSERT_STR(buf_str(&buf), "0123456789");
    buf_clear(&buf);
    ASSERT_OK(buf_check(&buf, &err), &err);
    buf_printf(&buf, "%s", "0123456789");
    ASSERT_OK(buf_check(&buf, &err), &err);
    buf_clear(&buf);
    buf_append_c(&buf, "abc");
    buf_printf(&buf, "%08d", 1);
    assert_int_equal(buf_check(&buf, &err), ST_TOO_LARGE);
    ASSERT_STR(buf_str(&buf), "abc");
    buf_append_c(&buf, "d"); /* would fit, but the failure is remembered */
    ASSERT_STR(buf_str(&buf), "abc");
    buf_deinit(&buf);
}

static void
a_failed_escape_changes_nothing(void **state)
{
    struct buf buf;
    struct err err;

    (void)state;
    buf_init(&buf, 8);
    buf_append_c(&buf, "ab");
    buf_append_json_escaped(&buf, STR("12345\n"));
    assert_int_equal(buf_check(&buf, &err), ST_TOO_LARGE);
    ASSERT_STR(buf_str(&buf), "ab");
    buf_deinit(&buf);
}

static void
json_escapes(void **state)
{
    static const struct {
        struct str input;
        const char *want;
    } rows[] = {
        {STR_INIT(""), ""},
        {STR_INIT("plain"), "plain"},
        {STR_INIT("\"\\\b\f\n\r\t"), "\\\"\\\\\\b\\f\\n\\r\\t"},
        {STR_INIT("a\0b\x1f\x7f"), "a\\u0000b\\u001f\\u007f"},
        {STR_INIT("caf\xc3\xa9 \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xf0\x9f\x98\x80"},
        {STR_INIT("\xff"), "\xef\xbf\xbd"},
        {STR_INIT("a\xc3"), "a\xef\xbf\xbd"},
        {STR_INIT("\xed\xa0\x80|"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|"},
        {STR_INIT("\xc3\xa9\x80\"\xc3\xa9"), "\xc3\xa9\xef\xbf\xbd\\\"\xc3\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf buf;

        buf_init(&buf, 1000);
        buf_append_json_escaped(&buf, rows[i].input);
        ASSERT_STR(buf_str(&buf), rows[i].want);
        buf_deinit(&buf);
    }
}

static void
consume_too_much(void *arg)
{
    buf_consume(arg, 4);
}

static void
consume_cuts_the_head(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    buf_consume(&buf, 0);
    buf_append_c(&buf, "abcdef");
    buf_consume(&buf, 2);
    ASSERT_STR(buf_str(&buf), "cdef");
    buf_append_c(&buf, "g");
    buf_consume(&buf, 2);
    ASSERT_STR(buf_str(&buf), "efg");
    ASSERT_ABORTS(consume_too_much, &buf);
    buf_consume(&buf, 3);
    assert_int_equal(buf.len, 0);
    buf_deinit(&buf);
}

static void
url_escapes(void **state)
{
    static const struct {
        const char *input, *want;
    } rows[] = {
        {"", ""},
        {"AZaz09-._~", "AZaz09-._~"},
        {"19:a@thread.tacv2;messageid=5", "19%3Aa%40thread.tacv2%3Bmessageid%3D5"},
        {"a b+c/d?e&f%", "a%20b%2Bc%2Fd%3Fe%26f%25"},
        {"\xc3\xa9\xff\x01", "%C3%A9%FF%01"},
    };
    struct buf buf;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_init(&buf, 100);
        buf_append_url_escaped(&buf, str_from_c(rows[i].input));
        assert_true(str_eq_c(buf_str(&buf), rows[i].want));
        buf_deinit(&buf);
    }
    buf_init(&buf, 4);
    buf_append_url_escaped(&buf, STR("a//"));
    assert_true(buf.failed);
    buf_deinit(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_grow_and_keep_content),   cmocka_unit_test(the_maximum_is_exact),
        cmocka_unit_test(a_failed_escape_changes_nothing), cmocka_unit_test(json_escapes),
        cmocka_unit_test(consume_cuts_the_head),           cmocka_unit_test(url_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
