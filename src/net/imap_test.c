/*
 * imap_test.c - a mailbox read, and what becomes of it at each step at which a server can refuse,
 * hang up, or say nonsense
 */
#include "net/imap.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/imap_test_support.h"

#define DEADLINE_MS 1000
#define SINCE_US (INT64_C(1795867200) * US_PER_S) /* 28 Nov 2026, noon */

struct scene {
    struct http_client *client;
    struct test_imap *imap;
    struct mail_server server;
    struct arena *arena;
};

static int
set_up(void **state)
{
    static const struct http_client_config config = {.allow_private_addresses = true};
    struct scene *scene = calloc(1, sizeof *scene);
    struct err err;

    assert_non_null(scene);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(http_client_create(&config, &scene->client, &err), ST_OK);
    scene->imap = test_imap_start();
    scene->arena = arena_create((size_t)1024 * 1024);
    scene->server = (struct mail_server){.host = STR("127.0.0.1"),
                                         .port = test_imap_port(scene->imap),
                                         .security = MAIL_PLAIN,
                                         .user = STR("ada"),
                                         .password = STR("s3cret")};
    *state = scene;
    return 0;
}

static int
tear_down(void **state)
{
    struct scene *scene = *state;

    test_imap_stop(&scene->imap);
    http_client_destroy(&scene->client);
    arena_destroy(&scene->arena);
    free(scene);
    return 0;
}

/* All that a poll does: the last status, of whatever came to an end first. */
static enum status
read_all(struct scene *scene, uint32_t *uids_out, size_t *count_out, struct imap_fetched *mail_out,
         struct err *err)
{
    struct imap *imap = NULL;
    struct imap_mailbox mailbox;
    uint32_t *uids = NULL;
    enum status st = imap_open(scene->client, &scene->server, DEADLINE_MS, &imap, err);

    *count_out = 0;
    if (st == ST_OK)
        st = imap_examine(imap, STR("A \"b\""), &mailbox, err);
    if (st == ST_OK) {
        assert_int_equal(mailbox.uid_validity, 5);
        st = imap_search(imap, 7, SINCE_US, 10, scene->arena, &uids, count_out, err);
    }
    if (st == ST_OK && *count_out > 0) {
        memcpy(uids_out, uids, *count_out * sizeof *uids);
        st = imap_fetch(imap, uids[0], 1000, scene->arena, mail_out, err);
    }
    if (st == ST_OK)
        st = imap_wait(imap, 100, err);
    imap_close(&imap);
    return st;
}

static void
a_mailbox_is_read(void **state)
{
    struct scene *scene = *state;
    struct imap_fetched mail = {.uid = 0};
    uint32_t uids[10] = {0};
    size_t count;
    struct err err;

    assert_int_equal(read_all(scene, uids, &count, &mail, &err), ST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(uids[0], 8);
    assert_int_equal(uids[1], 9);
    assert_int_equal(mail.uid, 8);
    assert_int_equal(mail.size_bytes, 31);
    assert_int_equal(mail.date_us, SINCE_US);
    assert_true(str_eq_c(mail.body, "From: a@customer.test\r\n\r\nHello\r"));
    assert_int_equal(test_imap_count(scene->imap, "EXAMINE \"A \\\"b\\\"\""), 1);
    /* Days are compared, in whatever time zone: one more. */
    assert_int_equal(test_imap_count(scene->imap, "UID SEARCH UID 8:* SINCE 27-Nov-2026"), 1);
    assert_int_equal(
        test_imap_count(scene->imap,
                        "UID FETCH 8 (UID INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.1000>)"),
        1);
    assert_int_equal(test_imap_count(scene->imap, "DONE"), 1);
}

static void
each_answer_is_sorted(void **state)
{
    static const struct {
        struct test_imap_answer answers[2];
        enum status want;
    } rows[] = {
        {{{"", NULL}}, ST_UNAVAILABLE},
        {{{"", "* BYE full\r\n"}}, ST_UNAVAILABLE},
        {{{"", "220 smtp.test ESMTP\r\n"}}, ST_UNAVAILABLE},
        {{{"AUTHENTICATE", "$T NO [AUTHENTICATIONFAILED] no\r\n"}}, ST_DENIED},
        {{{"AUTHENTICATE", "$T NO [UNAVAILABLE] later\r\n"}}, ST_UNAVAILABLE},
        {{{"AUTHENTICATE", "$T NO [ALERT] Too many simultaneous connections\r\n"}}, ST_UNAVAILABLE},
        {{{"AUTHENTICATE", NULL}}, ST_UNAVAILABLE},
        {{{"EXAMINE", "$T NO no such mailbox\r\n"}}, ST_NOT_FOUND},
        {{{"EXAMINE", "$T NO [INUSE] later\r\n"}}, ST_UNAVAILABLE},
        {{{"EXAMINE", "* 3 EXISTS\r\n$T OK without a word on UIDs\r\n"}}, ST_UNAVAILABLE},
        {{{"EXAMINE", "* BYE I go\r\n"}}, ST_UNAVAILABLE},
        {{{"EXAMINE", NULL}}, ST_UNAVAILABLE},
        {{{"EXAMINE", "<html>\r\n"}}, ST_UNAVAILABLE},
        {{{"UID SEARCH", "* SEARCH one\r\n$T OK done\r\n"}}, ST_UNAVAILABLE},
        {{{"UID SEARCH", "$T BAD what\r\n"}}, ST_INVALID},
        {{{"UID SEARCH", "* SEARCH\r\n$T OK done\r\n"}}, ST_OK},
        {{{"UID SEARCH", "$T OK none\r\n"}}, ST_OK},
        {{{"UID FETCH", "$T OK gone\r\n"}}, ST_NOT_FOUND},
        {{{"UID FETCH", "* 2 FETCH (UID 8 BODY[] NIL)\r\n$T OK gone\r\n"}}, ST_NOT_FOUND},
        {{{"UID FETCH", "* 3 FETCH (UID 9 BODY[] {1}\r\nx)\r\n$T OK another\r\n"}}, ST_NOT_FOUND},
        {{{"UID FETCH", "* 3 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n* 2 FETCH (UID 8 BODY[] "
                        "{1}\r\nx)\r\n$T OK among others\r\n"}},
         ST_OK},
        {{{"UID FETCH", "$T NO damaged\r\n"}}, ST_INVALID},
        {{{"UID FETCH", "$T NO [SERVERBUG] later\r\n"}}, ST_UNAVAILABLE},
        {{{"UID FETCH", "* 2 FETCH (UID 8 BODY[] {99999999}\r\n"}}, ST_UNAVAILABLE},
        {{{"UID FETCH", "* 2 FETCH (UID 8 BODY[] {99999999999999999999}\r\n$T OK x\r\n"}},
         ST_UNAVAILABLE},
        {{{"UID FETCH", "* 2 FETCH UID 8\r\n$T OK done\r\n"}}, ST_UNAVAILABLE},
        {{{"UID FETCH", NULL}}, ST_UNAVAILABLE},
        {{{"IDLE", "$T NO not now\r\n"}}, ST_INVALID},
        {{{"IDLE", "+ idling\r\n* BYE restart\r\n"}}, ST_UNAVAILABLE},
        {{{"IDLE", "+ idling\r\n* OK still here\r\n"}}, ST_OK}, /* until the time has passed */
        {{{"DONE", NULL}}, ST_UNAVAILABLE},
        {{{"CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n$T OK done\r\n"}}, ST_OK},
    };
    struct scene *scene = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {.code = ST_OK};
        struct imap_fetched mail = {.uid = 0};
        uint32_t uids[10] = {0};
        size_t count;

        arena_reset(scene->arena);
        test_imap_say(scene->imap, rows[i].answers);
        enum status st = read_all(scene, uids, &count, &mail, &err);

        if (st != rows[i].want)
            fail_msg("%zu: %s %s: %s (%s)", i, rows[i].answers[0].command,
                     rows[i].answers[0].answer == NULL ? "hangs up" : rows[i].answers[0].answer,
                     status_name(st), err.detail);
        if (st != ST_OK)
            assert_int_equal(err.code, st);
        assert_null(strstr(err.detail, "s3cret"));
    }
    /* The last one has no IDLE. */
    assert_int_equal(test_imap_count(scene->imap, "IDLE"), 0);
    assert_int_equal(test_imap_count(scene->imap, "NOOP"), 1);
}

static void
what_was_sent_is_looked_for(void **state)
{
#define SENT "* LIST (\\Sent) \"/\" \"S t\"\r\n"
    static const struct {
        struct test_imap_answer answers[3];
        enum status want;
        bool found;
    } rows[] = {
        {{{"LIST", "* LIST () \"/\" INBOX\r\n* LIST (\\Sent) \"/\" \"S t\"\r\n$T OK\r\n"},
          {"UID SEARCH HEADER Message-ID \"<parley.1.0@shop.test>\"", "* SEARCH 4\r\n$T OK\r\n"}},
         ST_OK,
         true},
        {{{"LIST", SENT "$T OK\r\n"}, {"UID SEARCH", "* SEARCH\r\n$T OK\r\n"}}, ST_OK, false},
        {{{"LIST", SENT "$T OK\r\n"}, {"UID SEARCH", "$T NO x\r\n"}}, ST_INVALID, false},
        {{{"LIST", SENT "$T OK\r\n"}, {"EXAMINE", "$T NO x\r\n"}}, ST_NOT_FOUND, false},
        {{{"LIST", "* LIST () \"/\" INBOX\r\n$T OK\r\n"}}, ST_NOT_FOUND, false},
        {{{"LIST", "* LIST what\r\n$T OK\r\n"}}, ST_UNAVAILABLE, false},
        {{{"LIST", "$T BAD x\r\n"}}, ST_INVALID, false},
        {{{"LIST", NULL}}, ST_UNAVAILABLE, false},
    };
    static const char *const bad[] = {"", "a b", "a\"", "a\\", "a\r\nLOGOUT", "gr\xc3\xbc\xc3\x9f"};
    struct scene *scene = *state;
    bool found;
    struct err err;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap *imap = NULL;
        struct imap_mailbox mailbox;
        struct str name;

        found = false;
        test_imap_say(scene->imap, rows[i].answers);
        enum status st = imap_open(scene->client, &scene->server, DEADLINE_MS, &imap, &err);
        if (st == ST_OK)
            st = imap_find_sent(imap, scene->arena, &name, &err);
        if (st == ST_OK)
            st = imap_examine(imap, name, &mailbox, &err);
        if (st == ST_OK)
            st = imap_has_mail(imap, STR("parley.1.0@shop.test"), &found, &err);
        if (st != rows[i].want || found != rows[i].found)
            fail_msg("%zu: %s %d (%s)", i, status_name(st), found, err.detail);
        for (size_t j = 0; st == ST_OK && j < sizeof bad / sizeof bad[0]; j++)
            assert_int_equal(imap_has_mail(imap, str_from_c(bad[j]), &found, &err), ST_INVALID);
        if (st == ST_OK)
            assert_int_equal(test_imap_count(scene->imap, "EXAMINE \"S t\""), 1);
        imap_close(&imap);
    }
}

/* "4 EXISTS" with the answer to a command: IDLE would not say it again. */
static void
news_during_a_command_are_not_waited_for(void **state)
{
    static const struct test_imap_answer answers[] = {
        {"UID SEARCH", "* SEARCH 8\r\n* 4 EXISTS\r\n$T OK done\r\n"}, {NULL, NULL}};
    struct scene *scene = *state;
    struct imap_fetched mail = {.uid = 0};
    uint32_t uids[10] = {0};
    size_t count;
    struct err err;

    test_imap_say(scene->imap, answers);
    assert_int_equal(read_all(scene, uids, &count, &mail, &err), ST_OK);
    assert_int_equal(test_imap_count(scene->imap, "IDLE"), 0);
}

static void
what_is_not_connected_to(void **state)
{
    static const struct http_client_config config = {.allow_private_addresses = false};
    static const _Atomic bool stopping = true;
    struct scene *scene = *state;
    struct mail_server server = scene->server;
    struct http_client *client;
    struct imap *imap = NULL;
    struct err err;

    assert_int_equal(http_client_create(&config, &client, &err), ST_OK);
    assert_int_equal(imap_open(client, &server, DEADLINE_MS, &imap, &err), ST_UNAVAILABLE);
    assert_non_null(strstr(err.public_text, "private address"));
    assert_null(imap);
    http_client_destroy(&client);
    server.security = MAIL_STARTTLS;
    assert_int_equal(imap_open(scene->client, &server, DEADLINE_MS, &imap, &err), ST_UNAVAILABLE);
    assert_non_null(strstr(err.public_text, "STARTTLS"));
    assert_int_equal(test_imap_count(scene->imap, "AUTHENTICATE"), 0);
    server.security = MAIL_PLAIN;
    server.cancel = &stopping;
    assert_int_equal(imap_open(scene->client, &server, DEADLINE_MS, &imap, &err), ST_UNAVAILABLE);
    server.host = STR("evil.test/path?x");
    assert_int_equal(imap_open(scene->client, &server, DEADLINE_MS, &imap, &err), ST_INVALID);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_mailbox_is_read),           CASE(each_answer_is_sorted),
        CASE(what_was_sent_is_looked_for), CASE(news_during_a_command_are_not_waited_for),
        CASE(what_is_not_connected_to),
    };

    return cmocka_run_group_tests_name("imap", tests, NULL, NULL);
}
