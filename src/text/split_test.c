/*
 * split_test.c - lengths, pieces, ellipsis, direction, normalising
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "text/text.h"

static void
test_utf16_len(void **state)
{
    (void)state;
    assert_int_equal(text_utf16_len(STR("")), 0);
    assert_int_equal(text_utf16_len(STR("abc")), 3);
    assert_int_equal(text_utf16_len(STR("é€你")), 3);
    assert_int_equal(text_utf16_len(STR("👍")), 2);
    assert_int_equal(text_utf16_len(STR("👍🏽")), 4);
}

static const struct {
    const char *name, *text;
    size_t max_units;
    const char *want; /* pieces joined by '|' */
} split_cases[] = {
    {"fits", "abc", 3, "abc"},
    {"empty", "  ", 3, ""},
    {"trimmed", " ab \n", 5, "ab"},
    {"paragraph first", "One. Two.\nThree.\n\nFour.", 20, "One. Two.\nThree.|Four."},
    {"then line", "One. Two.\nThree. Four.", 15, "One. Two.|Three. Four."},
    {"then sentence", "One is. Two is. Three is.", 17, "One is. Two is.|Three is."},
    {"then word", "alpha beta gamma", 12, "alpha beta|gamma"},
    {"then character", "abcdefgh", 3, "abc|def|gh"},
    {"border at the very limit", "abc\n\ndef", 3, "abc|def"},
    {"emoji is whole", "ab👍🏽cd", 5, "ab|👍🏽|cd"},
    {"family is whole", "a👩‍👩‍👧b", 8, "a|👩‍👩‍👧|b"},
    {"combining mark stays", "ae\xcc\x81x", 2, "a|e\xcc\x81|x"},
    {"too long a character is cut at code points", "👩‍👩‍👧", 3, "👩‍|👩‍|👧"},
    {"Chinese words", "你好世界你好世界", 5, "你好世界|你好世界"},
};

static void
test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(split_cases) / sizeof(split_cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str text = str_from_c(split_cases[i].text), *pieces;
        size_t count = text_split_utf16(text, split_cases[i].max_units, arena, &pieces);
        struct buf joined;

        buf_init(&joined, 1 << 16);
        for (size_t p = 0; p < count; p++) {
            assert_true(pieces[p].len > 0);
            assert_true(text_utf16_len(pieces[p]) <= split_cases[i].max_units);
            assert_true(pieces[p].ptr >= text.ptr &&
                        pieces[p].ptr + pieces[p].len <= text.ptr + text.len);
            if (p > 0)
                buf_append_byte(&joined, '|');
            buf_append(&joined, pieces[p]);
        }
        if (!str_eq_c(buf_str(&joined), split_cases[i].want))
            fail_msg("%s: '%.*s'", split_cases[i].name, STR_ARG(buf_str(&joined)));
        buf_deinit(&joined);
        arena_destroy(&arena);
    }
}

static void
test_split_of_long_text_loses_nothing(void **state)
{
    struct arena *arena = arena_create(1 << 24);
    struct buf text;
    struct str *pieces;
    size_t count, letters = 0, kept = 0;

    (void)state;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 2000; i++)
        buf_printf(&text, "Sentence number %d says é and 👍 to all.%s", i,
                   i % 40 == 39 ? "\n\n" : " ");
    count = text_split_utf16(buf_str(&text), 4096, arena, &pieces);
    assert_true(count >= text_utf16_len(buf_str(&text)) / 4096);
    for (size_t i = 0; i < text.len; i++)
        letters += text.ptr[i] > ' ';
    for (size_t p = 0; p < count; p++) {
        assert_true(text_utf16_len(pieces[p]) <= 4096);
        assert_int_equal(pieces[p].ptr[pieces[p].len - 1], '.');
        for (size_t i = 0; i < pieces[p].len; i++)
            kept += pieces[p].ptr[i] > ' ';
    }
    assert_int_equal(letters, kept);
    buf_deinit(&text);
    arena_destroy(&arena);
}

static const struct {
    const char *text;
    size_t max_chars;
    const char *want;
} ellipsis_cases[] = {
    {"short", 10, "short"},
    {" two\n\nlines ", 20, "two lines"},
    {"exactly ten", 11, "exactly ten"},
    {"one two three four", 10, "one two…"},
    {"one, two three", 8, "one…"},
    {"abcdefghij", 5, "abcd…"},
    {"👍🏽👍🏽👍🏽 👍🏽", 4, "👍🏽👍🏽👍🏽…"},
    {"", 5, ""},
    {"abc", 1, "…"},
    {" \t\r\n\n ", 5, ""},
    {"\n\n\u2028\u00a0\u3000Hello\u00a0\n\n\n there ", 20, "Hello there"},
    /* A word that fills everything behind a short one: nothing is gained by leaving it out. */
    {"Hi abcdefghijklmnopqrstuvwxyz", 12, "Hi abcdefgh…"},
    {"你好世界你好世界你好世界", 8, "你好世界你好…"},
    {"Hi 你好世界你好世界你好世界", 10, "Hi 你好世界你好…"},
    {"これは東京タワーです。とても高いです。", 10, "これは東京タワー…"},
    {"متى يفتح المتجر يوم السبت وكم يكلف", 20, "متى يفتح المتجر يوم…"},
    {"مَتَى يَفْتَحُ المَتْجَرُ", 12, "مَتَى يَفْتَحُ…"}, /* a mark is of its letter */
    {"Wörter mit Ümlauten äöü", 12, "Wörter mit…"},
    {"👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 3,
     "👩‍👩‍👧👩‍👩‍👧…"},
    {"🇩🇪🇫🇷🇪🇸🇮🇹", 3, "🇩🇪🇫🇷…"},
    {"👍👍👍", 3, "👍👍👍"},
};

static void
test_ellipsis(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ellipsis_cases) / sizeof(ellipsis_cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got =
            text_ellipsis(str_from_c(ellipsis_cases[i].text), ellipsis_cases[i].max_chars, arena);

        if (!str_eq_c(got, ellipsis_cases[i].want))
            fail_msg("'%s': '%.*s'", ellipsis_cases[i].text, STR_ARG(got));
        arena_destroy(&arena);
    }
}

/* What is longer than anything that is looked at, and a character that is. */
static void
test_ellipsis_of_much(void **state)
{
    static const struct {
        const char *name, *head, *piece, *tail;
        int times;
        const char *begins, *ends; /* of what comes out */
        size_t max_len;
    } rows[] = {
        {"one word of 10 kB", "", "w", "", 10000, "wwwwwwwww", "www…", 62},
        {"white space between", "One", " \n", "two", 10000, "One two", "One two", 7},
        {"white space before", "", "\n", "two", 10000, "two", "two", 3},
        {"emoji without an end", "", "👩‍👩‍👧", "", 1000,
         "👩‍👩‍👧👩‍👩‍👧", "👩‍👩‍👧…", 59 * 18 + 3},
        {"marks without an end", "e", "\xcc\x81", "", 5000, "…", "…", 3},
        {"marks without an end, then words", "e", "\xcc\x81", " and words", 5000, "…", "…", 3},
        {"words, then marks without an end", "Two words", "\xcc\x81", "", 5000, "Two…", "Two…", 6},
        {"letters with many marks", "", "e\xcc\x81\xcc\x82\xcc\x83\xcc\x84 ", "", 1000,
         "e\xcc\x81\xcc\x82", "\xcc\x84…", 59 * 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_create(1 << 24);
        struct buf text;
        struct str got, same;
        struct err err;

        buf_init(&text, 1 << 20);
        buf_append_c(&text, rows[i].head);
        for (int n = 0; n < rows[i].times; n++)
            buf_append_c(&text, rows[i].piece);
        buf_append_c(&text, rows[i].tail);
        got = text_ellipsis(buf_str(&text), 60, arena);
        if (!str_starts_with(got, str_from_c(rows[i].begins)) ||
            !str_ends_with(got, str_from_c(rows[i].ends)) || got.len > rows[i].max_len)
            fail_msg("%s: %zu bytes, '%.*s'", rows[i].name, got.len, STR_ARG(got));
        assert_int_equal(text_normalise(got, arena, &same, &err), ST_OK); /* whole UTF-8 */
        buf_deinit(&text);
        arena_destroy(&arena);
    }
}

static void
test_rtl(void **state)
{
    (void)state;
    assert_false(text_is_rtl(STR("")));
    assert_false(text_is_rtl(STR("123 !")));
    assert_false(text_is_rtl(STR("abc مرحبا")));
    assert_true(text_is_rtl(STR("12 مرحبا abc")));
    assert_true(text_is_rtl(STR("שלום")));
}

static const struct {
    const char *name;
    struct str text;
    const char *want; /* NULL: refused */
} normalise_cases[] = {
    {"plain", STR_INIT("a\tb\nc"), "a\tb\nc"},
    {"line ends",
     STR_INIT("a\r\nb\rc\xe2\x80\xa8"
              "d"),
     "a\nb\nc\nd"},
    {"controls", STR_INIT("a\x01\x7f\xc2\x9f\0b"), "ab"},
    {"composed", STR_INIT("cafe\xcc\x81"), "café"},
    {"zero width space", STR_INIT("pass\xe2\x80\x8bword"), "password"},
    {"byte order mark",
     STR_INIT("\xef\xbb\xbf"
              "a"),
     "a"},
    {"soft hyphen", STR_INIT("co\xc2\xadop"), "coop"},
    {"override",
     STR_INIT("a\xe2\x80\xae"
              "b"),
     "ab"},
    {"tag characters",
     STR_INIT("a\xf3\xa0\x81\xa1\xf3\xa0\x81\xa2"
              "b"),
     "ab"},
    {"joiner in a word",
     STR_INIT("a\xe2\x80\x8d"
              "b"),
     "ab"},
    {"joiner in emoji", STR_INIT("👩‍👧"), "👩‍👧"},
    {"joiner in Persian", STR_INIT("می‌روم"), "می‌روم"},
    {"not UTF-8", STR_INIT("a\xff"), NULL},
};

static void
test_normalise(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(normalise_cases) / sizeof(normalise_cases[0]); i++) {
        struct arena *arena = arena_create(1 << 20);
        struct str got = STR_EMPTY;
        struct err err = {0};
        enum status st = text_normalise(normalise_cases[i].text, arena, &got, &err);

        if (normalise_cases[i].want == NULL)
            assert_int_equal(st, ST_INVALID);
        else if (st != ST_OK || !str_eq_c(got, normalise_cases[i].want))
            fail_msg("%s: %d '%.*s'", normalise_cases[i].name, st, STR_ARG(got));
        arena_destroy(&arena);
    }
}

static void
test_normalise_in_too_small_an_arena(void **state)
{
    struct arena *arena = arena_create(1000);
    struct err err = {0};
    struct str got;
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(text_normalise(str_of(text, sizeof(text)), arena, &got, &err), ST_TOO_LARGE);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf16_len),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_of_long_text_loses_nothing),
        cmocka_unit_test(test_ellipsis),
        cmocka_unit_test(test_ellipsis_of_much),
        cmocka_unit_test(test_rtl),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_normalise_in_too_small_an_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
