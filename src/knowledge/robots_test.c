/*
 * robots_test.c - robots.txt and wishes as tables, most of them RFC 9309's rules one by one
 */
#include "base/testing.h"

#include "base/buf.h"

#include "knowledge/robots.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
what_may_be_fetched(void **state)
{
    static const struct {
        const char *name, *text, *target;
        bool want;
    } rows[] = {
        {"empty file", "", "/a", true},
        {"everybody, everything", "User-agent: *\nDisallow: /\n", "/a", false},
        {"robots.txt itself", "User-agent: *\nDisallow: /\n", "/robots.txt", true},
        {"empty disallow", "User-agent: *\nDisallow:\n", "/a", true},
        {"ours instead of everybody's",
         "User-agent: *\nDisallow: /\nUser-agent: parley\nAllow: /x\n", "/a", true},
        {"ours by another case and version", "user-AGENT: PARLEY/2.0\nDISALLOW: /a\n", "/a", false},
        {"not by a longer name", "User-agent: parleybot\nDisallow: /\n", "/a", true},
        {"not by a part of ours", "User-agent: par\nDisallow: /\n", "/a", true},
        {"two names, one group", "User-agent: a\nUser-agent: parley\nDisallow: /a\n", "/a", false},
        {"two groups of ours are one",
         "User-agent: parley\nDisallow: /a\nUser-agent: b\nDisallow: /b\nUser-agent: "
         "parley\nDisallow: "
         "/c\n",
         "/c", false},
        {"another's group", "User-agent: b\nDisallow: /\n", "/a", true},
        {"a sitemap does not end a group", "User-agent: *\nSitemap: http://x/\nDisallow: /a\n",
         "/a", false},
        {"rules before any name", "Disallow: /\nUser-agent: b\nDisallow: /b\n", "/a", true},
        {"prefix", "User-agent: *\nDisallow: /a\n", "/abc/d?e", false},
        {"not in the middle", "User-agent: *\nDisallow: /a\n", "/b/a", true},
        {"case counts", "User-agent: *\nDisallow: /A\n", "/a", true},
        {"longest wins", "User-agent: *\nDisallow: /a\nAllow: /a/b\n", "/a/b/c", true},
        {"longest wins the other way", "User-agent: *\nAllow: /a\nDisallow: /a/b\n", "/a/b/c",
         false},
        {"as long: allowed", "User-agent: *\nDisallow: /a\nAllow: /a\n", "/a", true},
        {"as long: allowed, in the other order", "User-agent: *\nAllow: /a\nDisallow: /a\n", "/a",
         true},
        {"star", "User-agent: *\nDisallow: /*/private\n", "/x/y/private/z", false},
        {"star for nothing", "User-agent: *\nDisallow: /a*b\n", "/ab", false},
        {"stars", "User-agent: *\nDisallow: *a*b*c$\n", "/xaybzcbc", false},
        {"stars that do not fit", "User-agent: *\nDisallow: *a*b*c$\n", "/xaybz", true},
        {"end", "User-agent: *\nDisallow: /*.php$\n", "/a.php", false},
        {"end with more behind", "User-agent: *\nDisallow: /*.php$\n", "/a.php?x", true},
        {"end tried again", "User-agent: *\nDisallow: /*.php$\n", "/a.php/b.php", false},
        {"dollar in the middle", "User-agent: *\nDisallow: /a$b\n", "/a$b", false},
        {"comments", "# x\nUser-agent: * # all\nDisallow: /a # that\n", "/a", false},
        {"ends of lines", "User-agent: *\r\nDisallow: /a\rDisallow: /b\r\n", "/b", false},
        {"mark at the beginning", "\xef\xbb\xbfUser-agent: *\nDisallow: /a\n", "/a", false},
        {"spaces", " User-agent :\t* \n  Disallow\t: /a  \n", "/a", false},
        {"no end of line", "User-agent: *\nDisallow: /a", "/a", false},
        {"encoded letters", "User-agent: *\nDisallow: /%61%62\n", "/ab", false},
        {"encoded slash is another", "User-agent: *\nDisallow: /a%2Fb\n", "/a/b", true},
        {"small hexadecimal", "User-agent: *\nDisallow: /a%2fb\n", "/a%2Fb", false},
        {"bytes beyond ASCII", "User-agent: *\nDisallow: /caf\xc3\xa9\n", "/caf%C3%A9", false},
        {"query", "User-agent: *\nDisallow: /*?sort=\n", "/list?sort=a", false},
        {"nonsense", "<html>\n\x01\xff: x\n:::\nUser-agent\nDisallow /\n", "/a", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct robots robots;

        robots_parse(str_from_c(rows[i].text), STR("Parley"), arena, &robots);
        if (robots_allow(&robots, str_from_c(rows[i].target), arena) != rows[i].want)
            fail_msg("%s: not %s", rows[i].name, rows[i].want ? "allowed" : "forbidden");
        arena_destroy(&arena);
    }
}

static void
delays(void **state)
{
    static const struct {
        const char *text;
        int64_t want_ms;
    } rows[] = {
        {"User-agent: *\nDisallow: /a\n", -1},
        {"User-agent: *\nCrawl-delay: 10\n", 10000},
        {"User-agent: *\nCrawl-delay: 0.5\nUser-agent: parley\nDisallow:\n", -1},
        {"User-agent: parley\nCrawl-delay: 2\nUser-agent: *\nCrawl-delay: 9\n", 2000},
        {"User-agent: *\nCrawl-delay: -1\n", -1},
        {"User-agent: *\nCrawl-delay: soon\n", -1},
        {"User-agent: *\nCrawl-delay: 1e300\n", 86400000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct robots robots;

        robots_parse(str_from_c(rows[i].text), STR("Parley"), arena, &robots);
        if (robots.delay_ms != rows[i].want_ms)
            fail_msg("%s: %lld ms", rows[i].text, (long long)robots.delay_ms);
        arena_destroy(&arena);
    }
}

/* What stands behind 500 KiB is not read; a rule that was read counts. */
static void
size_limit(void **state)
{
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);
    struct robots robots;
    struct buf text;

    (void)state;
    buf_init(&text, 2 * ROBOTS_MAX_BYTES);
    buf_append_c(&text, "User-agent: *\nDisallow: /early\n");
    while (text.len < ROBOTS_MAX_BYTES)
        buf_append_c(&text, "Disallow: /some/other/place/of/this/site\n");
    buf_append_c(&text, "Disallow: /late\n");
    robots_parse(buf_str(&text), STR("Parley"), arena, &robots);
    assert_false(robots_allow(&robots, STR("/early"), arena));
    assert_true(robots_allow(&robots, STR("/late"), arena));
    buf_deinit(&text);
    arena_destroy(&arena);
}

static void
wishes(void **state)
{
    static const struct {
        const char *lines;
        bool no_index, no_follow;
    } rows[] = {
        {"", false, false},
        {"noindex", true, false},
        {"NoIndex, nofollow", true, true},
        {"none", true, true},
        {"all, noarchive", false, false},
        {"googlebot: noindex", false, false},
        {"googlebot: noindex\nnofollow", false, true},
        {"parley: noindex", true, false},
        {"unavailable_after: 25 Jun 2030 15:00:00 PST", false, false},
        {"noindex, unavailable_after: 25 Jun 2030 15:00:00 PST", true, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct robots_wish wish = {.no_index = false};

        robots_header_read(str_from_c(rows[i].lines), STR("Parley"), &wish);
        if (wish.no_index != rows[i].no_index || wish.no_follow != rows[i].no_follow)
            fail_msg("%s: %d %d", rows[i].lines, wish.no_index, wish.no_follow);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_fetched),
        cmocka_unit_test(delays),
        cmocka_unit_test(size_limit),
        cmocka_unit_test(wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
