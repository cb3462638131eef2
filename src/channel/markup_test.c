/*
 * markup_test.c - light markup: rendered in each style, and cut into parts
 */
#include "channel/markup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/text.h"

#define PART_UNITS 4096

static void
test_rendering(void **state)
{
    static const struct {
        const char *text, *html, *plain, *whatsapp; /* html NULL: nothing to mark; whatsapp NULL: as
                                                       plain */
    } cases[] = {
        {"plain", NULL, "plain", NULL},
        {"a < b & c > d [1]", NULL, "a < b & c > d [1]", NULL},
        {"**bold** [1]", "<b>bold</b> [1]", "bold [1]", "*bold* [1]"},
        {"x **a<b** & `c&d` y", "x <b>a&lt;b</b> &amp; <code>c&amp;d</code> y", "x a<b & c&d y",
         "x *a<b* & `c&d` y"},
        {"**a `b` c**", "<b>a <code>b</code> c</b>", "a b c", "*a `b` c*"},
        {"`**not bold**`", "<code>**not bold**</code>", "**not bold**", "`**not bold**`"},
        {"2 ** 3 ** 4", NULL, "2 ** 3 ** 4", NULL},
        {"** no** **no **", NULL, "** no** **no **", NULL},
        {"****", NULL, "****", NULL},
        {"``", NULL, "``", NULL},
        {"`a", NULL, "`a", NULL},
        {"**a", NULL, "**a", NULL},
        {"**a\nb**", NULL, "**a\nb**", NULL},
        {"**a** and **b**", "<b>a</b> and <b>b</b>", "a and b", "*a* and *b*"},
        {"**ä😀**", "<b>ä😀</b>", "ä😀", "*ä😀*"},
        {"<b>typed</b>", NULL, "<b>typed</b>", NULL},
        {"`<i>`", "<code>&lt;i&gt;</code>", "<i>", "`<i>`"},
        {"", NULL, "", NULL},
        {"*soft* and _soft_", "<i>soft</i> and <i>soft</i>", "soft and soft", "_soft_ and _soft_"},
        {"snake_case_name 2*3*4 a*b* *c*d", NULL, "snake_case_name 2*3*4 a*b* *c*d", NULL},
        {"*a **b** c*", "<i>a <b>b</b> c</i>", "a b c", "_a *b* c_"},
        {"**a** **_b_**", "<b>a</b> <b><i>b</i></b>", "a b", "*a* *_b_*"},
        {"**a *b* c**", "<b>a <i>b</i> c</b>", "a b c", "*a _b_ c*"},
        {"(*a*), \"_b_\"!", "(<i>a</i>), &quot;<i>b</i>&quot;!", "(a), \"b\"!", "(_a_), \"_b_\"!"},
        {"* no* _no _", NULL, "* no* _no _", NULL},
        {"see [the page](https://e.com/a?b=1&c=\"2\")!",
         "see <a href=\"https://e.com/a?b=1&amp;c=&quot;2&quot;\">the page</a>!",
         "see the page (https://e.com/a?b=1&c=\"2\")!", NULL},
        {"[a **b**](https://e.com/x_(y))", "<a href=\"https://e.com/x_(y)\">a <b>b</b></a>",
         "a b (https://e.com/x_(y))", "a *b* (https://e.com/x_(y))"},
        {"[**b** a](https://e.com)", "<a href=\"https://e.com\"><b>b</b> a</a>",
         "b a (https://e.com)", "*b* a (https://e.com)"},
        {"**[a](https://e.com) b**", "<b><a href=\"https://e.com\">a</a> b</b>",
         "a (https://e.com) b", "*a (https://e.com) b*"},
        {"[a](https://e.com)[b](https://e.org)",
         "<a href=\"https://e.com\">a</a><a href=\"https://e.org\">b</a>",
         "a (https://e.com)b (https://e.org)", NULL},
        {"[https://e.com](https://e.com)", NULL, "https://e.com", NULL},
        {"[x](javascript:alert(1)) [x](/etc) [](https://e.com) [x] (https://e.com)", NULL,
         "[x](javascript:alert(1)) [x](/etc) [](https://e.com) [x] (https://e.com)", NULL},
        {"[x](https://e.com", NULL, "[x](https://e.com", NULL},
        {"[x](https://)", NULL, "[x](https://)", NULL},
        {"- one\n- **two**\n  * three", "- one\n- <b>two</b>\n  * three", "- one\n- two\n  * three",
         "- one\n- *two*\n  * three"},
    };
    struct arena *arena = arena_create(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str text = str_from_c(cases[i].text);
        const char *whatsapp = cases[i].whatsapp == NULL ? cases[i].plain : cases[i].whatsapp;
        bool has_marks;
        struct str html = markup_render(text, &markup_html, arena, &has_marks);

        if (has_marks != (cases[i].html != NULL) || (has_marks && !str_eq_c(html, cases[i].html)))
            fail_msg("%s: %.*s", cases[i].text, STR_ARG(html));
        struct str plain = markup_render(text, &markup_plain, arena, NULL);
        if (!str_eq_c(plain, cases[i].plain))
            fail_msg("%s: plain is %.*s", cases[i].text, STR_ARG(plain));
        struct str own = markup_render(text, &markup_whatsapp, arena, NULL);
        if (!str_eq_c(own, whatsapp))
            fail_msg("%s: WhatsApp's is %.*s", cases[i].text, STR_ARG(own));
    }
    arena_destroy(&arena);
}

static void
test_own_signs(void **state)
{
    const struct markup_style style = {
        .bullet = "• ", .line_break = "<br>", .text = markup_escape_html};
    struct arena *arena = arena_create(1024 * 1024);
    bool has_marks;
    struct str got = markup_render(STR("a:\n- <b>\n* c - d\n-e"), &style, arena, &has_marks);

    (void)state;
    assert_true(has_marks);
    if (!str_eq_c(got, "a:<br>• &lt;b&gt;<br>• c - d<br>-e"))
        fail_msg("%.*s", STR_ARG(got));
    /* What would be too long is sent as it was written. */
    struct str huge = str_of(arena_alloc(arena, 300000), 300000);
    memset((char *)(uintptr_t)huge.ptr, '<', huge.len);
    got = markup_render(huge, &markup_html, arena, &has_marks);
    assert_false(has_marks);
    assert_true(str_eq(got, huge));
    arena_destroy(&arena);
}

static struct str
repeat(struct arena *arena, const char *piece, size_t count)
{
    struct buf out;

    buf_init(&out, 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_append_c(&out, piece);
    struct str copy = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return copy;
}

static void
test_splitting(void **state)
{
    static const struct {
        const char *open, *close;
    } runs[] = {{"**", "**"}, {"_", "_"}, {"`", "`"}, {"**_", "_**"}};
    struct arena *arena = arena_create(16 * 1024 * 1024);
    struct str *parts;

    (void)state;
    assert_int_equal(markup_split(repeat(arena, "x", 4096), PART_UNITS, arena, &parts), 1);
    assert_int_equal(markup_split(repeat(arena, "x", 4097), PART_UNITS, arena, &parts), 2);
    /* Two units each: 2048 fit. */
    assert_int_equal(markup_split(repeat(arena, "😀", 2048), PART_UNITS, arena, &parts), 1);
    assert_int_equal(markup_split(repeat(arena, "😀", 2049), PART_UNITS, arena, &parts), 2);
    /* Whole sentences: none is cut although one more would begin to fit. */
    size_t count = markup_split(repeat(arena, "This is a sentence of the answer. ", 300),
                                PART_UNITS, arena, &parts);
    assert_true(count >= 3);
    for (size_t i = 0; i < count; i++)
        assert_true(str_ends_with(parts[i], STR("answer.")));

    /* A marked line longer than a part is marked in each of them. */
    for (size_t k = 0; k < sizeof runs / sizeof runs[0]; k++) {
        struct str words = repeat(arena, "word ", 1000);
        struct str line =
            arena_printf(arena, "%s%.*send%s", runs[k].open, STR_ARG(words), runs[k].close);

        count = markup_split(line, PART_UNITS, arena, &parts);
        assert_int_equal(count, 2);
        for (size_t i = 0; i < count; i++) {
            struct markup_span *spans;

            assert_true(text_utf16_len(parts[i]) <= PART_UNITS);
            assert_true(str_starts_with(parts[i], str_from_c(runs[k].open)));
            assert_true(str_ends_with(parts[i], str_from_c(runs[k].close)));
            assert_int_equal(markup_parse(parts[i], arena, &spans), 1);
            assert_true(str_starts_with(spans[0].text, STR("word")));
        }
    }
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rendering),
        cmocka_unit_test(test_own_signs),
        cmocka_unit_test(test_splitting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
