/*
 * format_test.c - what each format's reader makes of documents, good and bad
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "extract/format_test_support.h"

static void
html(void **state)
{
    static const struct sample samples[] = {
        {"page",
         "<!doctype html><html lang=en-GB><head><title>Returns | "
         "Shop</title><style>p{}</style></head>"
         "<body><nav><a href=/>Home</a></nav><h1>Returns</h1><p>Within <b>30</b> days,\n see "
         "<a href='/x'>how</a>.</p><script>alert(1)</script></body></html>",
         "L en-GB\nT Returns\nH1 Returns\nP Within 30 days, see how.\n"},
        {"title without h1", "<title>A\n  b</title><p>x", "T A b\nP x\n"},
        {"labels",
         "<head><meta name=author content=x><meta property='article:section' content=' Trips &amp; "
         "tours '>"
         "<meta name=date content=soon><meta property=article:published_time "
         "content=2026-05-01T08:00:00Z><meta name=date content=2026-06-01><meta name=audience "
         "content=staff></head><p>x",
         "G Trips & tours\nD 2026-05-01T08:00:00Z\nP x\n"},
        {"labels below the head", "<p>x<meta name=date content=2026-05-01>", "P x\n"},
        {"label of two lines", "<meta property=article:section content='a\nb'><p>x", "P x\n"},
        {"two h1", "<title>T</title><h1>A</h1><h1>B</h1>", "T T\nH1 A\nH1 B\n"},
        {"entities", "<p>Fish &amp; chips &lt;5&euro;&gt; &#233;&nosuch; &#0;x",
         "P Fish & chips <5€> é&nosuch; \xef\xbf\xbdx\n"},
        {"wrapping reference", "<p>a&#xffffffe9;b &#55296; &#x110000;",
         "P a\xef\xbf\xbd"
         "b \xef\xbf\xbd \xef\xbf\xbd\n"},
        {"hidden", "<p hidden>a<p style='Display : NONE'>b<p aria-hidden=true>c<p>d", "P d\n"},
        {"lists", "<ul><li>a<ul><li>b</ul><li>c</ul><ol start=3><li>d<li><p>e</p><p>f</p></ol>",
         "I1 - a\nI2 - b\nI1 - c\nI1 3. d\nI1 4. e\nP f\n"},
        {"table",
         "<table><caption>Prices</caption><tr><th>What<th>Price</tr><tr><td>Tube<td>9 "
         "<i>EUR</i></tr><tr><td>Full<br>service<td><ul><li>89<li>99</ul></table>after",
         "P Prices\nR1 What|Price\nR Tube|9 EUR\nR Full service|89 99\nP after\n"},
        {"layout table", "<table><tr><td><h2>A</h2><p>x<td><table><tr><td>1<td>2</table></table>",
         "H2 A\nP x\nR 1|2\n"},
        {"pre", "<pre>\n  a\n   b &lt;\n</pre>", "C   a\\n   b <\n"},
        {"breaks", "<p>1 Quay St<br>Harbour<br/>", "P 1 Quay St\\nHarbour\n"},
        {"picture", "<p>See <img src=x alt='the map'> here", "P See the map here\n"},
        {"definitions", "<dl><dt>Tube<dd>Air holder</dl>", "P Tube\nI1 - Air holder\n"},
        {"unclosed", "<div><p>a<b>c<h2>d", "P ac\nH2 d\n"},
        {"empty", "", ""},
        {"stray", "</p></td></li>x</table>", "P x\n"},
        {"heading in list", "<ul><li><h3>A</h3>b</ul>", "H3 A\nP b\n"},
        {"latin-1", "<p>caf\xe9 \x93q\x94 \x80", "S windows-1252\nP café “q” €\n"},
        {"other charset", "<meta charset=shift_jis><p>\x83\x41", "S shift_jis\nP ア\n"},
        {"unknown charset", "<meta charset=utf-7><p>\x83\x41",
         "X1 The file uses the character set utf-7, which cannot be read: save it as UTF-8.\n"},
        {"false utf-8", "<meta charset=\"utf-8\"><p>\xff",
         "X1 The file says it is UTF-8 but is not, near byte 25.\n"},
    };

    (void)state;
    check_samples("text/html", samples, COUNT(samples));
}

static void
links(void **state)
{
    static const struct sample samples[] = {
        {"nothing", "", "H1 robots:\n"},
        {"page",
         "<base href=' /x/ '><meta name=Robots content='noindex, nofollow'><meta name=parley "
         "content=none><a href=' a?b=1&amp;c=2 '>x</a><a rel='noopener NOFOLLOW' href=b>y</a>"
         "<nav><a href=//h/c></a></nav><a>none</a><area href=d>",
         "H1 robots:noindex, nofollow,none\nH2 /x/\nP a?b=1&c=2\nP //h/c\n"},
        {"another robot", "<meta name=googlebot content=noindex><a href=x>", "H1 robots:\nP x\n"},
        {"in a comment", "<!-- <a href=x> --><script>'<a href=y>'</script>", "H1 robots:\n"},
    };

    (void)state;
    check_samples("application/vnd.parley.links+html", samples, COUNT(samples));
}

static void
sitemap(void **state)
{
    static const struct sample samples[] = {
        {"pages",
         "<?xml version='1.0'?><urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9' "
         "xmlns:i='x'><url><lastmod>2026</lastmod><loc> http://a/?x&amp;y </loc><i:image><i:loc>"
         "http://a/p.png</i:loc></i:image></url><url><loc/></url><loc>http://no/</loc></urlset>",
         "H1 sitemap\nP http://a/?x&y\n"},
        {"index", "<sitemapindex><sitemap><loc>http://a/1</loc></sitemap></sitemapindex>",
         "H1 sitemap\nH3 http://a/1\n"},
        {"lines", "\xef\xbb\xbfhttp://a/1\r\n\n http://a/2",
         "H1 sitemap\nP http://a/1\nP http://a/2\n"},
        {"empty", "", "H1 sitemap\n"},
        {"not well formed", "<urlset><url><loc>http://a/</loc></urlset>",
         "X1 It is damaged: a part of it is no proper XML.\n"},
        {"entities", "<!DOCTYPE x [<!ENTITY a 'b'>]><urlset/>",
         "X1 It defines entities of its own, which is not safe.\n"},
        {"neither", "\xff\xfe\xfd", "X1 It is neither XML nor lines of text.\n"},
        {"cut off gzip", "\x1f\x8b\x08", "X1 It is damaged: it cannot be unpacked.\n"},
    };

    (void)state;
    check_samples("application/vnd.parley.links+sitemap", samples, COUNT(samples));
}

/* 60 MB of spaces in 60 KB. */
static void
sitemap_bomb(void **state)
{
    struct buf bomb, printed;
    struct err err;
    unsigned char piece[65536], spaces[65536];
    z_stream stream = {.next_in = spaces};

    (void)state;
    memset(spaces, ' ', sizeof(spaces));
    buf_init(&bomb, MB);
    buf_init(&printed, MB);
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (size_t i = 0; i < 960; i++) {
        stream.next_in = spaces;
        stream.avail_in = sizeof(spaces);
        do {
            stream.next_out = piece;
            stream.avail_out = sizeof(piece);
            (void)deflate(&stream, i == 959 ? Z_FINISH : Z_NO_FLUSH);
            buf_append(&bomb, str_of((const char *)piece, sizeof(piece) - stream.avail_out));
        } while (stream.avail_out == 0);
    }
    (void)deflateEnd(&stream);
    assert_int_equal(read_document("application/vnd.parley.links+sitemap", buf_str(&bomb), 64 * MB,
                                   MB, &printed, &err),
                     ST_TOO_LARGE);
    buf_deinit(&bomb);
    buf_deinit(&printed);
}

static void
markdown(void **state)
{
    static const struct sample samples[] = {
        {"page", "# Hire\n\nBikes *by* the [day](http://x).\nAnd `week`.\n\n- a\n- b\n  1. c\n",
         "T Hire\nH1 Hire\nP Bikes by the day. And week.\nI1 - a\nI1 - b\nI2 1. c\n"},
        {"front matter", "---\ntitle: \"Sick: leave\"\nlang: de\ntags: [a]\n---\nText\n",
         "T Sick: leave\nL de\nP Text\n"},
        {"no front matter", "---\n\nText\n", "P Text\n"},
        {"labels",
         "---\ncategory: Returns & refunds # for the shop\ntone: 'dry # not warm'\ndate: "
         "2026-05-01\n"
         "audience: staff\nbrand: other\n---\nx",
         "G Returns & refunds\nO dry # not warm\nD 2026-05-01\nP x\n"},
        {"first of a list",
         "---\ncategories: [\"Trips, long\", Money]\ndate: 2026-05-01T08:00:00+02:00\n---\nx",
         "G Trips, long\nD 2026-05-01T08:00:00+02:00\nP x\n"},
        {"first of lines",
         "---\ncategory: # of two\n\n  # this one\n  - Travel\n  - Money\ntone:\ndate: 2026-05-01 "
         "10:00:00 +0200\n---\nx",
         "G Travel\nD 2026-05-01\nP x\n"},
        {"lists in a list", "---\ncategories:\n- [Diary, Games]\n- [Life]\n---\nx",
         "G Diary\nP x\n"},
        {"the first of two keys", "---\ncategory: a\ncategories: [b]\n---\nx", "G a\nP x\n"},
        {"no labels",
         "---\ncategory: ~\ncategories: []\n  tone: nested\ntone: |\n  long\ndate: "
         "2026-13-01\n---\nx",
         "P x\n"},
        {"no dates", "---\ndate: 2026-05-01 or so\n---\nx", "P x\n"},
        {"a list that ends with the head", "---\ncategory:\n---\n- x", "I1 - x\n"},
        {"template tags",
         "---\nt: 1\n---\n{% alert \"info\" %}\nSee [HR]({% page \"/hr/\" %}) or {% chat "
         "\"people\" %} "
         "now.\n{% endalert %}\n\n{% comment %}\nnot this\n{% endcomment %}\n## Rate {#rate}\n"
         "```\n{{ kept }}\n```\n",
         "P See HR or people now.\nH2 Rate\nC {{ kept }}\n"},
        {"tags without front matter", "a {{ b }} c", "P a {{ b }} c\n"},
        {"table", "| A | B |\n|---|---|\n| 1 | 2 &amp; 3 |\n", "R1 A|B\nR 1|2 & 3\n"},
        {"short table rule", "| A | B |\n|:-|--|\n| 1 | 2 |\n", "R1 A|B\nR 1|2\n"},
        {"empty cells", "| | B | |\n|---|---|---|\n| | | |\n| 1 | | 3 |\n", "R1 |B|\nR 1||3\n"},
        {"title with entities", "---\ntitle: A &amp; &#39;B&#39; &nosuch;\n---\nx",
         "T A & 'B' &nosuch;\nP x\n"},
        {"code", "```c\nint x; // <b>\n\n\treturn;\n```\n", "C int x; // <b>\\n\\n    return;\n"},
        {"raw html",
         "<table>\n<tr>\n<td>a</td>\n\n    <td>b</td>\n</tr>\n</table>\n\nx<br>y &copy;",
         "R a|b\nP x\\ny ©\n"},
        {"comment", "a\n\n<!-- no -->\n\nb", "P a\nP b\n"},
        {"escapes", "1 \\* 2 &lt; 3 < 4\n", "P 1 * 2 < 3 < 4\n"},
        {"setext", "Rates\n=====\n\nx", "T Rates\nH1 Rates\nP x\n"},
        {"tasks", "- [x] done\n- [ ] open", "I1 - done\nI1 - open\n"},
    };

    (void)state;
    check_samples("text/markdown", samples, COUNT(samples));
}

static void
plain_text(void **state)
{
    static const struct sample samples[] = {
        {"letter",
         "Returns policy\r\n\r\nYou may return a bike within thirty days of buying it,\r\nwith "
         "its receipt.\r\n\r\nCONTACT\r\n\r\n1 Quay Street\r\nHarbour\r\n",
         "T Returns policy\nH1 Returns policy\nP You may return a bike within thirty days of "
         "buying it, "
         "with its receipt.\nH2 CONTACT\nP 1 Quay Street\\nHarbour\n"},
        {"underlined", "Hours\n-----\nMon-Fri   9-18\nSat       9-13\n",
         "T Hours\nH1 Hours\nP Mon-Fri   9-18\\nSat       9-13\n"},
        {"list", "We do:\n* brakes\n* gears, all of\n  them\n\n2) second\n",
         "P We do:\nI1 - brakes\nI1 - gears, all of them\nI1 2) second\n"},
        {"numbered", "x y.\n\n2.1 Deposits\n\nFifty.\n",
         "P x y.\nT 2.1 Deposits\nH1 2.1 Deposits\n"},
        {"empty", "", ""},
        {"rules", "one.\n-----------\ntwo.\n", "T one.\nH1 one.\nP two.\n"},
        {"pdf", "%PDF-1.7 x", "X1 This is a PDF document, not a text file.\n"},
        {"latin-1",
         "Stra\xdf"
         "e 5",
         "S windows-1252\nP Straße 5\n"},
        {"byte order mark",
         "\xef\xbb\xbf"
         "a b c",
         "P a b c\n"},
    };
    static const struct sample numbered = {"numbered", "x y.\n\n2.1 Deposits\n\nFifty.\n",
                                           "P x y.\nH3 2.1 Deposits\nP Fifty.\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++)
        check_samples("text/plain", i == 3 ? &numbered : &samples[i], 1);
}

static void
utf16_and_binary(void **state)
{
    static const struct {
        const char *name;
        struct str input;
        const char *want;
    } samples[] = {
        {"little", STR_INIT("\xff\xfe\xe9\0 \0\x3d\xd8\x00\xde"), "S utf-16le\nP é 😀\n"},
        {"big", STR_INIT("\xfe\xff\0a\0b"), "S utf-16be\nP ab\n"},
        {"odd",
         STR_INIT("\xff\xfe"
                  "a"),
         "X1 The UTF-16 text ends in the middle of a character.\n"},
        {"half pair", STR_INIT("\xff\xfe\x3d\xd8"),
         "X1 The UTF-16 text ends in the middle of a character.\n"},
        {"lone low", STR_INIT("\xff\xfe\x00\xde"), "X1 The UTF-16 text is damaged near byte 0.\n"},
        {"nul", STR_INIT("abc\0def"), "X1 This is not a text file: it holds binary data.\n"},
        {"controls", STR_INIT("\1\2\3\4\5\6\7\x10\x11\x12 ab"),
         "X1 This is not a text file: it holds binary data.\n"},
        {"zip", STR_INIT("PK\x03\x04zip"),
         "X1 This is a ZIP archive or an Office document, not a text file.\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct buf printed;
        struct err err;

        buf_init(&printed, MB);
        (void)!read_document("text/plain", samples[i].input, MB, MB, &printed, &err);
        buf_append_byte(&printed, '\0');
        if (strcmp(printed.ptr, samples[i].want) != 0)
            fail_msg("%s: got\n%swant\n%s", samples[i].name, printed.ptr, samples[i].want);
        buf_deinit(&printed);
    }
}

struct bomb {
    const char *name, *content_type, *head, *piece;
    size_t times;
    enum status want;
};

/* Bounded time and memory, whatever comes. The seconds are far above what is measured and far below
 * what an unbounded reader takes. */
static void
bombs(void **state)
{
    static const struct bomb table[] = {
        {"deep html", "text/html", "", "<div>", 100000, ST_TOO_LARGE},
        {"deep list", "text/html", "", "<ul><li>", 100000, ST_TOO_LARGE},
        {"as deep as allowed", "text/html", "", "<div>x", 3900, ST_OK},
        {"bold", "text/html", "", "<b>x", 3900, ST_OK},
        {"bold paragraphs", "text/html", "", "<p><b><i><u>x", 1300, ST_OK},
        {"many elements", "text/html", "", "<br>x", 2000000, ST_TOO_LARGE},
        {"nested tables", "text/html", "", "<table><tr><td>", 1300, ST_INVALID},
        {"entities", "text/html", "<p>", "&amp;", 200000, ST_OK},
        {"attributes", "text/html", "<p ", "a=1 ", 20000, ST_OK},
        {"quotes", "text/markdown", "", "> ", 100000, ST_TOO_LARGE},
        {"brackets", "text/markdown", "", "[", 100000, ST_OK},
        {"emphasis", "text/markdown", "", "*a_", 100000, ST_OK},
        {"lists", "text/markdown", "", "1. ", 100000, ST_TOO_LARGE},
        {"one line", "text/plain", "", "word ", 2000000, ST_OK},
        {"many lines", "text/plain", "", "a\n\n", 1000000, ST_OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct bomb *bomb = &table[i];
        struct buf input, printed;
        struct err err = {.code = ST_OK};
        int64_t start_us = clock_mono_us(clock_system());
        enum status st;
        double seconds;

        buf_init(&input, 16 * MB);
        buf_init(&printed, 64 * MB);
        buf_append_c(&input, bomb->head);
        for (size_t n = 0; n < bomb->times; n++)
            buf_append_c(&input, bomb->piece);
        assert_false(input.failed);
        st = read_document(bomb->content_type, buf_str(&input), 128 * MB, 16 * MB, &printed, &err);
        seconds = (double)(clock_mono_us(clock_system()) - start_us) / 1e6;
        print_message("%-20s %-9s %6.2f s  %s\n", bomb->name, status_name(st), seconds,
                      st == ST_OK ? "" : err.public_text);
        buf_deinit(&input);
        buf_deinit(&printed);
        assert_true(seconds < 30);
        if (bomb->want != ST_INVALID) /* ST_INVALID stands for: either, as long as it ends */
            assert_int_equal(st, bomb->want);
    }
}

static void
output_is_limited(void **state)
{
    struct buf printed;
    struct err err;

    (void)state;
    buf_init(&printed, MB);
    assert_int_equal(
        read_document("text/plain", STR("a long line of text"), MB, 10, &printed, &err),
        ST_TOO_LARGE);
    assert_true(str_starts_with(buf_str(&printed), STR("X2 The document holds more text")));
    buf_deinit(&printed);
}

static void
unknown_format(void **state)
{
    (void)state;
    assert_null(format_find(STR("application/x-tar")));
    assert_null(format_find(STR("")));
    assert_non_null(format_find(STR("TEXT/Html")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html),
        cmocka_unit_test(links),
        cmocka_unit_test(sitemap),
        cmocka_unit_test(sitemap_bomb),
        cmocka_unit_test(markdown),
        cmocka_unit_test(plain_text),
        cmocka_unit_test(utf16_and_binary),
        cmocka_unit_test(bombs),
        cmocka_unit_test(output_is_limited),
        cmocka_unit_test(unknown_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
