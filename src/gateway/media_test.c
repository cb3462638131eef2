/*
 * media_test.c - attachments: what is kept, what is kept away, what is tried again
 */
#include <stdio.h>
#include <stdlib.h>

#include "blob/blob_driver.h"
#include "channel/channel_driver.h"
#include "conversation/attachment.h"
#include "gateway/gateway_test_support.h"
#include "net/clamd_double.h"
#include "text/json.h"

#define LATER_US (INT64_C(700) * US_PER_S) /* longer than any back-off */
#define TRIES 10
#define EICAR_PART "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"

struct shelf {
    struct gate gate;
    struct blob_store *blobs;
    struct clamd_double *clamd;
    char scanner[32];
};

#define MAILBOX                                                                                    \
    "{\"address\": \"support@shop.test\", \"inbound\": \"imap\", \"imap_host\": \"127.0.0.1\", "   \
    "\"smtp_host\": \"127.0.0.1\", \"burst_window_ms\": 0}"

static struct shelf *
open_shelf_of(void **state, const char *source, const char *settings,
              const struct channel_driver *extra, bool scans)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    struct gateway_config config = {
        .senders = 1, .media_max_bytes = 100, .media_types = STR("image/*, application/pdf")};
    const struct blob_config blobs = {.driver = &blob_driver_fake, .clock = clock_system()};
    struct err err;

    assert_non_null(shelf);
    ASSERT_OK(blob_open(&blobs, &shelf->blobs, &err), &err);
    config.blobs = shelf->blobs;
    if (scans) {
        shelf->clamd = clamd_double_start(1000);
        (void)snprintf(shelf->scanner, sizeof(shelf->scanner), "127.0.0.1:%u",
                       clamd_double_port(shelf->clamd));
        config.media_scanner = str_from_c(shelf->scanner);
    }
    gate_open(&shelf->gate, source, settings, &config, extra);
    ASSERT_OK(gateway_start(shelf->gate.gateway, NULL, &shelf->gate.talk.err),
              &shelf->gate.talk.err);
    *state = shelf;
    return shelf;
}

static struct shelf *
open_shelf(void **state, bool scans)
{
    return open_shelf_of(state, "fake", "{}", NULL, scans);
}

static int
close_shelf(void **state)
{
    struct shelf *shelf = *state;

    gate_close(&shelf->gate);
    blob_close(&shelf->blobs);
    if (shelf->clamd != NULL)
        clamd_double_stop(&shelf->clamd);
    free(shelf);
    return 0;
}

static struct message_id
receive(struct shelf *shelf, const char *id, const char *attachments)
{
    struct gate *gate = &shelf->gate;
    struct str body = arena_printf(gate->talk.arena,
                                   "{\"id\": \"%s\", \"user\": \"u1\", \"chat\": \"c1\", "
                                   "\"text\": \"See\", \"wants_answer\": false, "
                                   "\"attachments\": %s}",
                                   id, attachments);

    ASSERT_OK(gate_receive(gate, body.ptr), &gate->talk.err);
    return gate->result.message_id;
}

/* Attachment number index of the message as it stands; borrowed from *metadata_out. */
static json_t *
attachment_of(struct shelf *shelf, struct message_id id, size_t index, json_t **metadata_out)
{
    struct talk *talk = &shelf->gate.talk;
    struct message message = talk_get(talk, id);

    ASSERT_OK(json_parse(message.metadata, metadata_out, &talk->err), &talk->err);
    json_t *attachment = json_array_get(json_get_array(*metadata_out, "attachments"), index);
    assert_non_null(attachment);
    return attachment;
}

static void
fate_of_each(void **state)
{
    static const struct {
        const char *attachment, *kept, *type, *refused, *signature;
    } table[] = {
        {"{\"kind\": \"image\", \"mime_type\": \"image/png\", \"content\": \"a picture\"}",
         "a picture", "image/png", "", ""},
        {"{\"content\": \"unnamed\"}", "unnamed", "", "", ""},
        {"{\"content\": \"told later\", \"real_type\": \"Image/JPEG; q=1\"}", "told later",
         "Image/JPEG", "", ""},
        {"{\"mime_type\": \"image/png\", \"content\": \"\"}", "", "image/png", "", ""},
        {"{\"mime_type\": \"application/x-msdownload\", \"content\": \"MZ\"}", NULL,
         "application/x-msdownload", "type", ""},
        {"{\"mime_type\": \"image/png\", \"real_type\": \"text/html\", \"content\": \"<\"}", NULL,
         "image/png", "type", ""},
        {"{\"size_bytes\": 101, \"content\": \"said to be large\"}", NULL, "", "too_large", ""},
        {"{\"content\": \"is larger than it said, is larger than it said, is larger than it said, "
         "is larger than it said, indeed\"}",
         NULL, "", "too_large", ""},
        {"{\"fail\": \"not_found\"}", NULL, "", "gone", ""},
        {"{\"fail\": \"denied\"}", NULL, "", "denied", ""},
        {"{\"kind\": \"image\"}", NULL, "", "gone", ""},
        {"{\"content\": \"xx" EICAR_PART "xx\"}", NULL, "", "infected", "Eicar-Signature"},
    };
    enum { COUNT = sizeof(table) / sizeof(table[0]) };
    struct shelf *shelf = open_shelf(state, true);
    struct talk *talk = &shelf->gate.talk;
    struct buf all;

    buf_init(&all, 65536);
    for (size_t i = 0; i < COUNT; i++)
        buf_printf(&all, "%s%s", i == 0 ? "[" : ", ", table[i].attachment);
    buf_append_c(&all, "]");
    buf_append_byte(&all, '\0');
    struct message_id id = receive(shelf, "m1", all.ptr);
    buf_deinit(&all);
    gate_wait(&shelf->gate);
    assert_int_equal(gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA).ready, 0);
    assert_int_equal(gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA).dead, 0);
    for (size_t i = 0; i < COUNT; i++) {
        json_t *metadata = NULL, *attachment = attachment_of(shelf, id, i, &metadata);
        struct str key = arena_printf(talk->arena, "media/%s/%zu", id.id.text, i), bytes;

        if (!str_eq_c(json_get_str(attachment, "refused"), table[i].refused) ||
            !str_eq_c(json_get_str(attachment, "signature"), table[i].signature) ||
            !str_eq_c(json_get_str(attachment, "mime_type"), table[i].type))
            fail_msg("%zu: %s", i, json_text(attachment, talk->arena).ptr);
        enum status st =
            blob_get(shelf->blobs, talk->bed.scopes[0], key, 1000, talk->arena, &bytes, &talk->err);
        assert_int_equal(st, table[i].kept == NULL ? ST_NOT_FOUND : ST_OK);
        assert_true(
            str_eq(json_get_str(attachment, "object"), table[i].kept == NULL ? STR_EMPTY : key));
        if (table[i].kept != NULL) {
            ASSERT_STR(bytes, table[i].kept);
            assert_int_equal(json_get_int(attachment, "size_bytes", -1), bytes.len);
            assert_int_equal(json_get_str(attachment, "sha256").len, BLOB_SHA256_LEN);
        }
        json_decref(metadata);
    }
}

/* A provider, or a scanner, that is away: the message is there, its attachment comes later. */
static void
what_passes_is_tried_again(void **state)
{
    struct shelf *shelf = open_shelf(state, true);
    json_t *metadata = NULL;

    clamd_double_say(shelf->clamd, NULL);
    struct message_id id =
        receive(shelf, "m1",
                "[{\"fail\": \"not_found\"}, {\"content\": \"x\", \"mime_type\": \"image/png\"}]");
    gate_wait(&shelf->gate);
    assert_int_equal(gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA).delayed, 1);
    assert_false(attachment_is_settled(attachment_of(shelf, id, 1, &metadata)));
    json_decref(metadata);
    /* The first one's end is recorded already. */
    assert_true(attachment_is_settled(attachment_of(shelf, id, 0, &metadata)));
    json_decref(metadata);
    clamd_double_be_honest(shelf->clamd);
    gate_pass(&shelf->gate, LATER_US);
    assert_true(json_get_str(attachment_of(shelf, id, 1, &metadata), "object").len > 0);
    json_decref(metadata);
    assert_int_equal(gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA).delayed, 0);
}

static void
what_never_comes_is_said_so(void **state)
{
    struct shelf *shelf = open_shelf(state, false);
    json_t *metadata = NULL;
    struct message_id id = receive(shelf, "m1", "[{\"content\": \"x\"}, {\"fail\": \"busy\"}]");

    gate_wait(&shelf->gate);
    for (int i = 0; i < TRIES; i++)
        gate_pass(&shelf->gate, LATER_US);
    assert_int_equal(gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA).dead, 1);
    ASSERT_STR(json_get_str(attachment_of(shelf, id, 1, &metadata), "refused"), "unavailable");
    json_decref(metadata);
    assert_true(json_get_str(attachment_of(shelf, id, 0, &metadata), "object").len > 0);
    json_decref(metadata);
}

static void
messages_without_have_no_job(void **state)
{
    struct shelf *shelf = open_shelf(state, false);

    (void)receive(shelf, "m1", "[]");
    ASSERT_OK(gate_receive_message(&shelf->gate, "m2"), &shelf->gate.talk.err);
    struct queue_counts counts = gate_jobs(&shelf->gate, QUEUE_TOPIC_MEDIA);
    assert_int_equal(counts.ready + counts.delayed + counts.dead + counts.leased, 0);
    assert_int_equal(talk_count(&shelf->gate.talk, 0).messages, 2);
}

/* --- attachments within the webhook: a mail --- */

#define MAIL(id, picture)                                                                          \
    "IMAP 5 7 900 1000000\nFrom: ada@customer.test\r\nCc: support@shop.test\r\nMessage-ID: <" id   \
    "@x.test>\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nSee "                 \
    "these\r\n--B\r\nContent-Type: image/png\r\nContent-Disposition: attachment; "                 \
    "filename=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\n" picture                          \
    "\r\n--B\r\nContent-Type: application/pdf; name=b.pdf\r\n\r\n%PDF- b\r\n--B\r\nContent-Type: " \
    "application/x-msdownload; name=c.exe\r\n\r\nMZ\r\n--B--\r\n"

static size_t
kept_webhooks(struct shelf *shelf)
{
    struct talk *talk = &shelf->gate.talk;
    struct blob_entry *entries;
    size_t count;
    bool more;

    ASSERT_OK(blob_list(shelf->blobs, talk->bed.scopes[0], STR("incoming/"), STR(""), 10,
                        talk->arena, &entries, &count, &more, &talk->err),
              &talk->err);
    return count;
}

static void
assert_attachment(struct shelf *shelf, struct message_id id, size_t index, const char *kept,
                  const char *refused)
{
    struct talk *talk = &shelf->gate.talk;
    json_t *metadata = NULL, *attachment = attachment_of(shelf, id, index, &metadata);
    struct str bytes;

    if (!str_eq_c(json_get_str(attachment, "refused"), refused))
        fail_msg("%zu: %s", index, json_text(attachment, talk->arena).ptr);
    if (kept != NULL) {
        ASSERT_OK(blob_get(shelf->blobs, talk->bed.scopes[0], json_get_str(attachment, "object"),
                           1000, talk->arena, &bytes, &talk->err),
                  &talk->err);
        ASSERT_STR(bytes, kept);
    }
    json_decref(metadata);
}

static void
what_a_mail_carries_is_kept(void **state)
{
    struct shelf *shelf = open_shelf_of(state, "email", MAILBOX, &channel_driver_email, true);
    struct gate *gate = &shelf->gate;

    clamd_double_say(shelf->clamd, NULL);
    ASSERT_OK(gate_receive(gate, MAIL("m1", "YSBwaWN0dXJl")), &gate->talk.err);
    struct message_id id = gate->result.message_id;
    gate_wait(gate);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_MEDIA).delayed, 1);
    assert_int_equal(kept_webhooks(shelf), 1); /* until the scanner is there */
    /* The same mail again leaves nothing behind. */
    ASSERT_OK(gate_receive(gate, MAIL("m1", "Zm9yZ2Vk")), &gate->talk.err);
    assert_int_equal(gate->result.duplicates, 1);
    assert_int_equal(kept_webhooks(shelf), 1);
    clamd_double_be_honest(shelf->clamd);
    gate_pass(gate, LATER_US);
    assert_attachment(shelf, id, 0, "a picture", "");
    assert_attachment(shelf, id, 1, "%PDF- b", "");
    assert_attachment(shelf, id, 2, NULL, "type");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_MEDIA).delayed, 0);
    assert_int_equal(kept_webhooks(shelf), 0);
}

static void
limits_hold_for_mails_too(void **state)
{
    struct shelf *shelf = open_shelf_of(state, "email", MAILBOX, &channel_driver_email, true);
    struct gate *gate = &shelf->gate;

    ASSERT_OK(gate_receive(gate, MAIL("m1", /* the scanner's test file */
                                      "RUlDQVItU1RBTkRBUkQtQU5USVZJUlVTLVRFU1QtRklMRQ==")),
              &gate->talk.err);
    struct message_id infected = gate->result.message_id;
    ASSERT_OK(
        gate_receive(gate, MAIL("m2", /* 108 bytes: 100 are allowed */
                                "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
                                "\r\n"
                                "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
                                "\r\nYWFhYWFhYWFhYWFh")),
        &gate->talk.err);
    struct message_id large = gate->result.message_id;
    gate_wait(gate);
    assert_attachment(shelf, infected, 0, NULL, "infected");
    assert_attachment(shelf, infected, 1, "%PDF- b", "");
    assert_attachment(shelf, large, 0, NULL, "too_large");
    assert_int_equal(kept_webhooks(shelf), 0);
}

/* Killed between keeping the webhook, or staff's file, and committing its message: nobody comes
 * back for it. */
static void
what_is_left_over_goes(void **state)
{
    struct shelf *shelf = open_shelf_of(state, "email", MAILBOX, &channel_driver_email, true);
    struct gate *gate = &shelf->gate;
    struct talk *talk = &gate->talk;
    struct message_id id = ID_NEW(message_id);
    const struct blob_put_spec spec = {.key = arena_printf(talk->arena, "incoming/%s", id.id.text)};
    const struct blob_put_spec file = {.key = gateway_media_key(id, 0, talk->arena)};
    unsigned removed = 0;

    clamd_double_say(shelf->clamd, NULL);
    ASSERT_OK(gate_receive(gate, MAIL("m1", "YSBwaWN0dXJl")), &talk->err);
    ASSERT_OK(blob_put_bytes(shelf->blobs, talk->bed.scopes[0], &spec, STR("x"), NULL, &talk->err),
              &talk->err);
    ASSERT_OK(blob_put_bytes(shelf->blobs, talk->bed.scopes[0], &file, STR("x"), NULL, &talk->err),
              &talk->err);
    assert_int_equal(kept_webhooks(shelf), 2);
    int64_t age_us = clock_wall_us(talk->clock) - clock_wall_us(clock_system());
    ASSERT_OK(gateway_upkeep(gate->gateway, talk->bed.scopes[0], age_us + 3600 * US_PER_S, &removed,
                             &talk->err),
              &talk->err);
    assert_int_equal(removed, 0); /* it may still be on its way */
    ASSERT_OK(gateway_upkeep(gate->gateway, talk->bed.scopes[0], age_us - 10 * US_PER_S, &removed,
                             &talk->err),
              &talk->err);
    assert_int_equal(removed, 2);
    assert_int_equal(kept_webhooks(shelf), 1); /* of the message that is there */
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, close_shelf)
    const struct CMUnitTest tests[] = {
        CASE(fate_of_each),
        CASE(what_passes_is_tried_again),
        CASE(what_never_comes_is_said_so),
        CASE(messages_without_have_no_job),
        CASE(what_a_mail_carries_is_kept),
        CASE(limits_hold_for_mails_too),
        CASE(what_is_left_over_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
