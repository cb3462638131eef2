/*
 * imap_reader_test.c - responses as servers write them, cut at every byte, and what is none
 */
#include "net/imap_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define MAX_BYTES 200

static void
where_responses_end(void **state)
{
    static const struct {
        const char *bytes;
        size_t want; /* 0: never whole */
    } rows[] = {
        {"* 3 EXISTS\r\n", 12},
        {"* 3 EXISTS\n* 4 EXISTS\n", 11},
        {"* 1 FETCH (BODY[] {5}\r\nab\r\nc UID 3)\r\n* 2 EXISTS\r\n", 37},
        {"* 1 FETCH (A {3+}\r\n{9} B {2}\r\n}\n)\r\n", 35},
        {"* 1 FETCH (A ~{1}\r\nx)\r\n", 23},
        {"* OK done {5}\r\n", 15},
        {"p1 NO [X] said {70}\r\n", 21},
        {"+ go on {7}\r\n", 13},
        {"* LIST () \"/\" {3}\r\nabc\r\n", 24},
        {"* X {}\r\n", 8},
        {"* X {-1}\r\n", 10},
        {"* X 5}\r\n", 8},
        {"* 1 FETCH (BODY[] {5}\r\nab", 0},
        {"* 3 EXISTS", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap_framing framing = {.line_at = 0};
        struct str bytes = str_from_c(rows[i].bytes);
        size_t length = 0;
        struct err err;

        for (size_t got = 0; got <= bytes.len && length == 0; got++) /* as it comes, byte by byte */
            assert_int_equal(imap_frame(str_sub(bytes, 0, got), MAX_BYTES, &framing, &length, &err),
                             ST_OK);
        if (length != rows[i].want)
            fail_msg("%s: %zu, want %zu", rows[i].bytes, length, rows[i].want);
        framing = (struct imap_framing){.line_at = 0};
        assert_int_equal(imap_frame(bytes, MAX_BYTES, &framing, &length, &err), ST_OK);
        assert_int_equal(length, rows[i].want);
    }
}

/* Nothing is waited for that would not fit. */
static void
what_is_too_long(void **state)
{
    static char line[MAX_BYTES + 1];
    const struct str rows[] = {
        STR("* 1 FETCH (BODY[] {201}\r\n"),
        STR("* 1 FETCH (BODY[] {9223372036854775807}\r\n"),
        STR("* 1 FETCH (BODY[] {190}\r\n"),
        str_of(line, sizeof line),
    };
    struct err err;
    size_t length;

    (void)state;
    memset(line, 'x', sizeof line);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap_framing framing = {.line_at = 0};

        if (imap_frame(rows[i], MAX_BYTES, &framing, &length, &err) != ST_TOO_LARGE)
            fail_msg("%zu", i);
    }
}

static void
what_responses_say(void **state)
{
    static const struct {
        const char *bytes;
        enum status st;
        enum imap_kind kind;
        enum imap_condition condition;
        const char *tag, *code, *text, *name, *rest;
        uint32_t number;
    } rows[] = {
        {"* OK [UIDVALIDITY 7] fine\r\n", ST_OK, IMAP_UNTAGGED, IMAP_OK, "", "UIDVALIDITY 7",
         "fine", "", "", 0},
        {"* ok fine\r\n", ST_OK, IMAP_UNTAGGED, IMAP_OK, "", "", "fine", "", "", 0},
        {"p2 NO [AUTHENTICATIONFAILED] no\r\n", ST_OK, IMAP_TAGGED, IMAP_NO, "p2",
         "AUTHENTICATIONFAILED", "no", "", "", 0},
        {"p3 BAD [open\r\n", ST_OK, IMAP_TAGGED, IMAP_BAD, "p3", "", "[open", "", "", 0},
        {"p3 OK\r\n", ST_OK, IMAP_TAGGED, IMAP_OK, "p3", "", "", "", "", 0},
        {"* BYE\r\n", ST_OK, IMAP_UNTAGGED, IMAP_BYE, "", "", "", "", "", 0},
        {"+ idling\r\n", ST_OK, IMAP_CONTINUE, IMAP_NONE, "", "", "idling", "", "", 0},
        {"+\r\n", ST_OK, IMAP_CONTINUE, IMAP_NONE, "", "", "", "", "", 0},
        {"* 23 EXISTS\r\n", ST_OK, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "EXISTS", "", 23},
        {"* 4294967295 EXPUNGE\r\n", ST_OK, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "EXPUNGE", "",
         UINT32_MAX},
        {"* SEARCH 1 2\r\n", ST_OK, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "SEARCH", "1 2", 0},
        {"* 4294967296 EXISTS\r\n", ST_OK, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "4294967296",
         "EXISTS", 0},
        {"* \r\n", ST_INVALID, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "", "", 0},
        {"* 5\r\n", ST_INVALID, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "", "", 0},
        {"HTTP/1.1 400 Bad Request\r\n", ST_INVALID, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "", "",
         0},
        {" OK\r\n", ST_INVALID, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "", "", 0},
        {"\r\n", ST_INVALID, IMAP_UNTAGGED, IMAP_NONE, "", "", "", "", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap_response r;
        struct err err;

        if (imap_response_read(str_from_c(rows[i].bytes), &r, &err) != rows[i].st)
            fail_msg("%s", rows[i].bytes);
        if (rows[i].st != ST_OK)
            continue;
        if (r.kind != rows[i].kind || r.condition != rows[i].condition ||
            r.number != rows[i].number || !str_eq_c(r.tag, rows[i].tag) ||
            !str_eq_c(r.code, rows[i].code) || !str_eq_c(r.text, rows[i].text) ||
            !str_eq_c(r.name, rows[i].name) || !str_eq_c(r.rest, rows[i].rest))
            fail_msg("%s: %d %d tag %.*s code %.*s text %.*s name %.*s rest %.*s", rows[i].bytes,
                     r.kind, r.condition, STR_ARG(r.tag), STR_ARG(r.code), STR_ARG(r.text),
                     STR_ARG(r.name), STR_ARG(r.rest));
    }
}

static void
numbers_and_words(void **state)
{
    struct str rest = STR(" 7  4294967295 12");
    enum status st;
    uint32_t number = 0;

    (void)state;
    assert_true(imap_code_number(STR("UIDVALIDITY 3857529045"), "uidvalidity", &number));
    assert_int_equal(number, UINT32_C(3857529045));
    assert_false(imap_code_number(STR("UIDVALIDITY"), "UIDVALIDITY", &number));
    assert_false(imap_code_number(STR("UIDNEXT 4"), "UIDVALIDITY", &number));
    assert_false(imap_code_number(STR("UIDNEXT -4"), "UIDNEXT", &number));
    assert_true(imap_has_word(STR("IMAP4rev1 idle"), "IDLE"));
    assert_false(imap_has_word(STR("IMAP4rev1 IDLERS"), "IDLE"));
    for (size_t i = 0; i < 3; i++) {
        static const uint32_t want[] = {7, UINT32_MAX, 12};

        assert_true(imap_search_next(&rest, &number, &st));
        assert_int_equal(number, want[i]);
    }
    assert_false(imap_search_next(&rest, &number, &st));
    assert_int_equal(st, ST_OK);
    rest = STR("(MODSEQ 9)");
    assert_false(imap_search_next(&rest, &number, &st));
    assert_int_equal(st, ST_OK);
    static const char *const bad[] = {"x", "0", "-1", "4294967296", "1,2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rest = str_from_c(bad[i]);
        assert_false(imap_search_next(&rest, &number, &st));
        assert_int_equal(st, ST_INVALID);
    }
}

static void
what_a_fetch_says(void **state)
{
    static const struct {
        const char *rest;
        bool is_good, has_body;
        uint32_t uid;
        int64_t size, date_s;
        const char *body;
    } rows[] = {
        {"(UID 7 RFC822.SIZE 44 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[]<0> {3}\r\na)b)",
         true, true, 7, 44, 837596665, "a)b"},
        {"(BODY[] \"a b\" UID 7)", true, true, 7, 0, 0, "a b"},
        {"(BODY[] {0}\r\n UID 7)", true, true, 7, 0, 0, ""},
        {"(BODY[] ~{2}\r\nab UID 7)", true, true, 7, 0, 0, "ab"},
        {"(body[] NIL uid 7)", true, false, 7, 0, 0, ""},
        {"(FLAGS (\\Seen (a \")\") $x) UID 9)", true, false, 9, 0, 0, ""},
        {"(BODY[HEADER.FIELDS (DATE FROM)]<0> {2}\r\nxx UID 9)", true, false, 9, 0, 0, ""},
        {"(X-GM-LABELS (\"\\\\Important\" \"a \\\" b\") UID 3)", true, false, 3, 0, 0, ""},
        {"(INTERNALDATE \" 1-feb-2026 00:00:00 +0000\" UID 1)", true, false, 1, 0, 1769904000, ""},
        {"()", true, false, 0, 0, 0, ""},
        {"", false, false, 0, 0, 0, ""},
        {"UID 7", false, false, 0, 0, 0, ""},
        {"(UID 7", false, false, 0, 0, 0, ""},
        {"(UID)", false, false, 0, 0, 0, ""},
        {"(UID 0)", false, false, 0, 0, 0, ""},
        {"(UID \"7\")", false, false, 0, 0, 0, ""},
        {"(UID 4294967296)", false, false, 0, 0, 0, ""},
        {"(RFC822.SIZE -1 UID 1)", false, false, 0, 0, 0, ""},
        {"(INTERNALDATE \"31-Xxx-1996 02:44:25 -0700\")", false, false, 0, 0, 0, ""},
        {"(INTERNALDATE \"1996-07-17T02:44:25Z\")", false, false, 0, 0, 0, ""},
        {"(INTERNALDATE NIL)", false, false, 0, 0, 0, ""},
        {"(BODY[] {4}\r\nab)", false, false, 0, 0, 0, ""},
        {"(BODY[] {2} ab)", false, false, 0, 0, 0, ""},
        {"(BODY[] \"ab)", false, false, 0, 0, 0, ""},
        {"(FLAGS (((((((((((((((((((((((((()))))))))))))))))))))))))) UID 1)", false, false, 0, 0,
         0, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap_fetched got = {.uid = 0};
        struct err err;
        bool is_good = imap_fetch_read(str_from_c(rows[i].rest), &got, &err) == ST_OK;

        if (is_good != rows[i].is_good)
            fail_msg("%s: %d", rows[i].rest, is_good);
        if (is_good && (got.uid != rows[i].uid || got.size_bytes != rows[i].size ||
                        got.date_us != rows[i].date_s * US_PER_S ||
                        got.has_body != rows[i].has_body || !str_eq_c(got.body, rows[i].body)))
            fail_msg("%s: uid %u size %lld date %lld body %d %.*s", rows[i].rest, got.uid,
                     (long long)got.size_bytes, (long long)got.date_us, got.has_body,
                     STR_ARG(got.body));
    }
}

static void
what_a_list_says(void **state)
{
    static const struct {
        const char *rest;
        bool is_good, is_sent;
        const char *name;
    } rows[] = {
        {"(\\HasNoChildren \\Sent) \"/\" \"Sent Mail\"", true, true, "Sent Mail"},
        {"(\\sent) NIL Sent", true, true, "Sent"},
        {"() \"/\" {6}\r\nSent a", true, false, "Sent a"},
        {"(\\Sentinel) \".\" INBOX.Sent", true, false, "INBOX.Sent"},
        {"(\\Sent) \"\\\\\" \"[Gmail]/Gesendete &AOQ-\" (\"CHILDINFO\" (\"x\"))", true, true,
         "[Gmail]/Gesendete &AOQ-"},
        {"(\\Sent) \"/\" \"a \\\" b\"", true, true, ""},
        {"", false, false, ""},
        {"\\Sent \"/\" Sent", false, false, ""},
        {"(\\Sent \"/\" Sent", false, false, ""},
        {"(\\Sent)", false, false, ""},
        {"(\\Sent) \"/\"", false, false, ""},
        {"(\\Sent) \"/\" \"Sent", false, false, ""},
        {"(\\Sent) \"/\" ()", false, false, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str name;
        struct err err;
        bool is_sent;
        bool is_good = imap_list_read(str_from_c(rows[i].rest), &is_sent, &name, &err) == ST_OK;

        if (is_good != rows[i].is_good ||
            (is_good && (is_sent != rows[i].is_sent || !str_eq_c(name, rows[i].name))))
            fail_msg("%s: %d %d %.*s", rows[i].rest, is_good, is_sent, STR_ARG(name));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_responses_end), cmocka_unit_test(what_is_too_long),
        cmocka_unit_test(what_responses_say),  cmocka_unit_test(numbers_and_words),
        cmocka_unit_test(what_a_fetch_says),   cmocka_unit_test(what_a_list_says),
    };

    return cmocka_run_group_tests_name("imap_reader", tests, NULL, NULL);
}
