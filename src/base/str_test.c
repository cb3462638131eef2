/*
 * str_test.c - views, numbers, UTF-8
 */
#include <math.h>

#include "base/str.h"
#include "base/testing.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void
comparing(void **state)
{
    static const struct {
        struct str a;
        struct str b;
        int order;
        bool eq_nocase;
    } rows[] = {
        {STR_INIT(""), {NULL, 0}, 0, true},
        {STR_INIT("a"), STR_INIT("a"), 0, true},
        {STR_INIT("a"), STR_INIT("A"), 1, true},
        {STR_INIT("a"), STR_INIT("ab"), -1, false},
        {STR_INIT("b"), STR_INIT("ab"), 1, false},
        {STR_INIT("\xff"), STR_INIT("a"), 1, false},
        {STR_INIT("a\0b"), STR_INIT("a\0c"), -1, false},
        {STR_INIT("@"), STR_INIT("`"), -1, false},
        {STR_INIT("Z["), STR_INIT("z["), -1, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int order = str_cmp(rows[i].a, rows[i].b);

        assert_int_equal((order > 0) - (order < 0), rows[i].order);
        order = str_cmp(rows[i].b, rows[i].a);
        assert_int_equal((order > 0) - (order < 0), -rows[i].order);
        assert_int_equal(str_eq(rows[i].a, rows[i].b), rows[i].order == 0);
        assert_int_equal(str_eq_secret(rows[i].a, rows[i].b), rows[i].order == 0);
        assert_int_equal(str_eq_nocase(rows[i].a, rows[i].b), rows[i].eq_nocase);
        if (rows[i].order == 0)
            assert_int_equal(str_hash(rows[i].a), str_hash(rows[i].b));
        else
            assert_int_not_equal(str_hash(rows[i].a), str_hash(rows[i].b));
    }
}

static void
searching(void **state)
{
    static const struct {
        struct str s;
        struct str needle;
        ptrdiff_t want;
        bool starts;
        bool ends;
    } rows[] = {
        {STR_INIT("abcabc"), STR_INIT("abc"), 0, true, true},
        {STR_INIT("abcabd"), STR_INIT("abd"), 3, false, true},
        {STR_INIT("abc"), STR_INIT("abcd"), -1, false, false},
        {STR_INIT("abc"), STR_INIT(""), 0, true, true},
        {{NULL, 0}, {NULL, 0}, 0, true, true},
        {{NULL, 0}, STR_INIT("a"), -1, false, false},
        {STR_INIT("a\0b"), STR_INIT("\0b"), 1, false, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(str_find(rows[i].s, rows[i].needle), rows[i].want);
        assert_int_equal(str_starts_with(rows[i].s, rows[i].needle), rows[i].starts);
        assert_int_equal(str_ends_with(rows[i].s, rows[i].needle), rows[i].ends);
    }
    assert_int_equal(str_find_byte(STR("a\0b"), '\0'), 1);
    assert_int_equal(str_find_byte(STR("ab"), 'c'), -1);
    assert_int_equal(str_find_byte(STR_EMPTY, 'c'), -1);
}

static void
copying(void **state)
{
    static const char text[] = {'a', 'b', 'c'}; /* no end behind it */
    const struct str rows[] = {str_of(text, 3), str_of(text, 1), STR_EMPTY};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *copy = str_dup(rows[i]);

        assert_non_null(copy);
        assert_int_equal(strlen(copy), rows[i].len);
        assert_true(str_eq_c(rows[i], copy));
        free(copy);
    }
}

static void
cutting(void **state)
{
    (void)state;
    ASSERT_STR(str_sub(STR("abc"), 1, 1), "b");
    ASSERT_STR(str_sub(STR("abc"), 1, SIZE_MAX), "bc");
    ASSERT_STR(str_sub(STR("abc"), 3, 1), "");
    ASSERT_STR(str_sub(STR("abc"), SIZE_MAX, SIZE_MAX), "");
    ASSERT_STR(str_trim(STR(" \t\r\n\v\fa b\n")), "a b");
    ASSERT_STR(str_trim(STR(" \t ")), "");
    ASSERT_STR(str_trim(STR_EMPTY), "");
    ASSERT_STR(str_from_c(NULL), "");
}

static void
splitting(void **state)
{
    static const struct {
        struct str s;
        const char *parts[5];
    } rows[] = {
        {STR_INIT("a,b"), {"a", "b"}},  {STR_INIT("a,"), {"a", ""}}, {STR_INIT(",a"), {"", "a"}},
        {STR_INIT("a"), {"a"}},         {STR_INIT(""), {""}},        {{NULL, 0}, {NULL}},
        {STR_INIT(",,"), {"", "", ""}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str rest = rows[i].s;
        struct str head;
        size_t n = 0;

        while (str_split(&rest, ',', &head)) {
            assert_non_null(rows[i].parts[n]);
            ASSERT_STR(head, rows[i].parts[n]);
            n++;
        }
        assert_null(rows[i].parts[n]);
    }
}

static void
whole_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t value = 42;

        if (str_to_i64(str_from_c(rows[i].text), &value) != rows[i].good)
            fail_msg("\"%s\"", rows[i].text);
        assert_int_equal(value, rows[i].good ? rows[i].want : 42);
    }
}

static void
real_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        double want;
    } rows[] = {
        {"0", true, 0},    {"-1.5", true, -1.5},    {"1e3", true, 1000}, {"1E-2", true, .01},
        {"0.1", true, .1}, {"12.50e+1", true, 125}, {"1e-400", true, 0}, {"1e400", false, 0},
        {"inf", false, 0}, {"nan", false, 0},       {"0x1p3", false, 0}, {"1.", false, 0},
        {".5", false, 0},  {"1,5", false, 0},       {"+1", false, 0},    {"1e", false, 0},
        {"1e+", false, 0}, {"", false, 0},          {"-", false, 0},     {"1 ", false, 0},
        {" 1", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = 42;

        if (str_to_double(str_from_c(rows[i].text), &value) != rows[i].good)
            fail_msg("\"%s\"", rows[i].text);
        assert_true(value == (rows[i].good ? rows[i].want : 42));
    }
    assert_false(str_to_double(STR("1\0"), &(double){0}));
}

static void
utf8(void **state)
{
    static const struct {
        struct str s;
        size_t valid;
    } rows[] = {
        {STR_INIT(""), 0},
        {STR_INIT("plain ascii, longer than a word"), 31},
        {STR_INIT("a\0b"), 3},
        {STR_INIT("12345678\xc3\xa9"), 10},
        {STR_INIT("\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), 18},
        {STR_INIT("\xed\x9f\xbf\xee\x80\x80"), 6},
        {STR_INIT("12345678\x80"), 8},
        {STR_INIT("\xc0\x80"), 0},
        {STR_INIT("\xc1\xbf"), 0},
        {STR_INIT("\xe0\x9f\xbf"), 0},
        {STR_INIT("\xed\xa0\x80"), 0},
        {STR_INIT("\xf0\x8f\xbf\xbf"), 0},
        {STR_INIT("\xf4\x90\x80\x80"), 0},
        {STR_INIT("\xf5\x80\x80\x80"), 0},
        {STR_INIT("ab\xc3"), 2},
        {STR_INIT("ab\xe2\x82"), 2},
        {STR_INIT("ab\xf0\x9f\x98"), 2},
        {STR_INIT("ab\xe2\x28\xa1"), 2},
        {STR_INIT("ab\xf0\x9f\x28\x80"), 2},
        {STR_INIT("ab\xf0\x9f\x98\x28"), 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (str_utf8_valid_prefix(rows[i].s) != rows[i].valid)
            fail_msg("row %zu: %zu", i, str_utf8_valid_prefix(rows[i].s));
        assert_int_equal(str_is_utf8(rows[i].s), rows[i].valid == rows[i].s.len);
    }
}

static void
utf8_floor_never_cuts_a_character(void **state)
{
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    struct str s = STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");

    (void)state;
    for (size_t max = 0; max < COUNT(want); max++)
        assert_int_equal(str_utf8_floor(s, max), want[max]);
    assert_int_equal(str_utf8_floor(STR_EMPTY, 5), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),
        cmocka_unit_test(searching),
        cmocka_unit_test(copying),
        cmocka_unit_test(cutting),
        cmocka_unit_test(splitting),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(utf8),
        cmocka_unit_test(utf8_floor_never_cuts_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
