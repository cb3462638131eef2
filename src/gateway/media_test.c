/*
 * media_test.c - attachments: what is kept, what is kept away, what is tried again
 */
#include <stdio.h>
#include <stdlib.h>

#include "blob/blob_driver.h"
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

static struct shelf *
open_shelf(void **state, bool scans)
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
    gate_open(&shelf->gate, "fake", "{}", &config, NULL);
    ASSERT_OK(gateway_start(shelf->gate.gateway, NULL, &shelf->gate.talk.err),
              &shelf->gate.talk.err);
    *state = shelf;
    return shelf;
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

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, close_shelf)
    const struct CMUnitTest tests[] = {
        CASE(fate_of_each),
        CASE(what_passes_is_tried_again),
        CASE(what_never_comes_is_said_so),
        CASE(messages_without_have_no_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
