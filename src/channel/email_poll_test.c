/*
 * email_poll_test.c - a mailbox's mails one after the other: which come, in which order, and what
 * the cursor says then
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "net/imap_test_support.h"
#include "text/json.h"

#define CREDENTIALS                                                                                \
    "{\"webhook_secret\": \"s3cret-of-the-webhook\", \"username\": \"u\", \"password\": "          \
    "\"s3cret\"}"

struct box {
    struct test_env env;
    struct test_imap *imap;
    struct channel_record *record;
    struct channel *channel;
    struct channel_poll poll;
    struct str cursor;
    struct err err;
};

static struct box *
open_box(void **state, const char *since, const char *folders)
{
    struct box *box = calloc(1, sizeof *box);

    assert_non_null(box);
    (void)signal(SIGPIPE, SIG_IGN);
    test_env_init(&box->env);
    box->imap = test_imap_start();
    box->record = test_record("email",
                              arena_printf(box->env.arena,
                                           "{\"address\": \"support@shop.test\", \"smtp_host\": "
                                           "\"127.0.0.1\", \"imap_host\": \"127.0.0.1\", "
                                           "\"imap_port\": %u, \"imap_security\": \"none\", "
                                           "\"imap_since\": \"%s\", \"imap_folders\": %s}",
                                           test_imap_port(box->imap), since, folders)
                                  .ptr,
                              CREDENTIALS);
    box->record->account = STR("support@shop.test");
    box->cursor = STR("");
    if (channel_acquire(box->env.registry, box->record, &box->channel, &box->err) != ST_OK)
        fail_msg("%s", box->err.detail);
    *state = box;
    return box;
}

static int
close_box(void **state)
{
    struct box *box = *state;

    channel_release(&box->channel);
    test_record_release(&box->record);
    test_env_deinit(&box->env);
    test_imap_stop(&box->imap);
    free(box);
    return 0;
}

static enum status
poll_box(struct box *box)
{
    enum status st =
        channel_poll(box->channel, box->cursor, 50, box->env.arena, &box->poll, &box->err);

    if (st == ST_OK)
        box->cursor = box->poll.cursor;
    return st;
}

static void
assert_mail(struct box *box, const char *beginning)
{
    if (poll_box(box) != ST_OK)
        fail_msg("%s", box->err.detail);
    assert_int_equal(box->poll.count, 1);
    if (!str_starts_with(box->poll.updates[0].body, str_from_c(beginning)))
        fail_msg("%.*s", STR_ARG(box->poll.updates[0].body));
}

static void
assert_nothing(struct box *box)
{
    if (poll_box(box) != ST_OK)
        fail_msg("%s", box->err.detail);
    assert_int_equal(box->poll.count, 0);
}

static int64_t
place(struct box *box, const char *folder, const char *what)
{
    json_auto_t *cursor = NULL;

    assert_int_equal(json_parse(box->cursor, &cursor, &box->err), ST_OK);
    return json_get_int(json_get_object(cursor, folder), what, -1);
}

static void
mails_come_once_in_order(void **state)
{
    struct box *box = open_box(state, "2026-11-28T12:00:00Z", "[\"INBOX\"]");
    struct inbound_batch batch;

    assert_mail(box, "IMAP 5 7 31 1795867200000000\nFrom: a@customer.test\r\n\r\nHello\r");
    assert_int_equal(
        channel_parse(box->channel, &box->poll.updates[0], box->env.arena, &batch, &box->err),
        ST_OK);
    assert_true(str_eq_c(batch.items[0].external_chat_id, "a@customer.test"));
    assert_true(str_eq_c(batch.items[0].text, "Hello"));
    inbound_batch_deinit(&batch);
    struct str before = box->cursor;
    assert_mail(box, "IMAP 5 8 ");
    box->cursor = before; /* killed before the cursor was written */
    assert_mail(box, "IMAP 5 8 ");
    assert_mail(box, "IMAP 5 9 ");
    struct str last = box->cursor;
    assert_nothing(box);
    assert_true(str_eq(box->cursor, last));
    assert_int_equal(place(box, "INBOX", "uid"), 9);
    assert_int_equal(place(box, "INBOX", "validity"), 5);
    /* One connection for all of it. */
    assert_int_equal(test_imap_count(box->imap, "AUTHENTICATE"), 1);
    assert_int_equal(test_imap_count(box->imap, "EXAMINE"), 1);
}

static void
older_ones_are_passed_over(void **state)
{
    struct box *box = open_box(state, "2026-11-28T12:00:01Z", "[\"INBOX\"]");

    assert_nothing(box);
    assert_int_equal(place(box, "INBOX", "uid"), 9);
    assert_int_equal(test_imap_count(box->imap, "UID FETCH 7 (UID INTERNALDATE RFC822.SIZE)"), 1);
    assert_int_equal(test_imap_count(box->imap, "UID FETCH"), 3); /* no body of them */
}

static void
a_new_uidvalidity_begins_anew(void **state)
{
    static const struct {
        const char *cursor;
        int64_t from_us;
    } rows[] = {
        /* Two days before the newest one that came. */
        {"{\"INBOX\": {\"validity\": 4, \"uid\": 900, \"newest_us\": 1795867200000000}}",
         INT64_C(1795694400000000)},
        /* Never before the channel. */
        {"{\"INBOX\": {\"validity\": 4, \"uid\": 900, \"newest_us\": 1600000000000000}}",
         INT64_C(1767225600000000)},
        {"{\"INBOX\": {\"validity\": 4, \"uid\": 900}}", INT64_C(1767225600000000)},
        {"{}", INT64_C(1767225600000000)},
    };
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\"]");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        box->cursor = str_from_c(rows[i].cursor);
        assert_mail(box, "IMAP 5 7 ");
        assert_int_equal(place(box, "INBOX", "validity"), 5);
        assert_int_equal(place(box, "INBOX", "from_us"), rows[i].from_us);
    }
}

static void
what_has_gone_leaves_no_hole(void **state)
{
    static const struct test_imap_answer answers[] = {{"UID FETCH 7 ", "$T OK gone\r\n"},
                                                      {NULL, NULL}};
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\"]");

    test_imap_say(box->imap, answers);
    assert_mail(box, "IMAP 5 8 ");
}

/* A mail that the server cannot give must not keep the others back for ever. */
static void
what_is_refused_too_often_counts_as_unreadable(void **state)
{
    static const struct test_imap_answer answers[] = {
        {"UID FETCH 7 (UID INTERNALDATE RFC822.SIZE BODY", "$T NO damaged\r\n"}, {NULL, NULL}};
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\"]");
    struct inbound_batch batch;

    test_imap_say(box->imap, answers);
    for (int i = 0; i < 4; i++)
        assert_int_equal(poll_box(box), ST_UNAVAILABLE);
    assert_mail(box, "IMAP 5 7 31 1795867200000000\n");
    assert_int_equal(
        channel_parse(box->channel, &box->poll.updates[0], box->env.arena, &batch, &box->err),
        ST_INVALID);
    assert_mail(box, "IMAP 5 8 ");
}

static void
a_connection_that_ends_is_made_anew(void **state)
{
    static const struct test_imap_answer hangs_up[] = {{"UID FETCH 8 ", NULL}, {NULL, NULL}};
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\"]");

    assert_mail(box, "IMAP 5 7 ");
    test_imap_say(box->imap, hangs_up);
    assert_int_equal(poll_box(box), ST_UNAVAILABLE);
    assert_int_equal(poll_box(box), ST_UNAVAILABLE);
    test_imap_say(box->imap, NULL);
    assert_mail(box, "IMAP 5 8 ");
    assert_int_equal(test_imap_count(box->imap, "AUTHENTICATE"), 1);
}

static void
folders_have_places_of_their_own(void **state)
{
    static const struct test_imap_answer answers[] = {
        {"EXAMINE \"M&APw-ll\"", "* 1 EXISTS\r\n* OK [UIDVALIDITY 6] x\r\n$T OK done\r\n"},
        {NULL, NULL}};
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\", \"M\\u00fcll\"]");

    test_imap_say(box->imap, answers);
    for (int i = 0; i < 3; i++)
        assert_mail(box, "IMAP 5 ");
    for (int i = 0; i < 3; i++)
        assert_mail(box, "IMAP 6 ");
    assert_nothing(box);
    assert_int_equal(place(box, "INBOX", "uid"), 9);
    assert_int_equal(place(box, "M\xc3\xbcll", "uid"), 9);
    box->cursor = STR("{\"INBOX\": {\"validity\": 5, \"uid\": 8}, \"Old\": {\"uid\": 1}}");
    assert_mail(box, "IMAP 5 9 ");
    assert_int_equal(place(box, "Old", "uid"), -1);
}

static void
logins_and_folders_that_are_refused(void **state)
{
    static const struct {
        struct test_imap_answer answers[2];
        enum status want;
    } rows[] = {
        {{{"AUTHENTICATE", "$T NO [AUTHENTICATIONFAILED] no\r\n"}}, ST_DENIED},
        {{{"EXAMINE", "$T NO no such mailbox\r\n"}}, ST_UNAVAILABLE},
    };
    struct box *box = open_box(state, "2026-01-01T00:00:00Z", "[\"INBOX\"]");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_imap_say(box->imap, rows[i].answers);
        assert_int_equal(poll_box(box), rows[i].want);
        assert_null(strstr(box->err.detail, "s3cret"));
    }
    test_imap_say(box->imap, NULL);
    box->cursor = STR("no cursor");
    assert_int_equal(poll_box(box), ST_INVALID);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, close_box)
    const struct CMUnitTest tests[] = {
        CASE(mails_come_once_in_order),
        CASE(older_ones_are_passed_over),
        CASE(a_new_uidvalidity_begins_anew),
        CASE(what_has_gone_leaves_no_hole),
        CASE(what_is_refused_too_often_counts_as_unreadable),
        CASE(a_connection_that_ends_is_made_anew),
        CASE(folders_have_places_of_their_own),
        CASE(logins_and_folders_that_are_refused),
    };

    return cmocka_run_group_tests_name("email_poll", tests, NULL, NULL);
}
