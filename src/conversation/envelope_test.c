/*
 * envelope_test.c - written at the gateway, enriched, completed, read back: nothing is lost
 */
#include "base/testing.h"

#include "conversation/envelope.h"
#include "text/json.h"

#define AT_US (INT64_C(1790000000) * US_PER_S)

static const char *const hostile[] = {
    "plain",
    "",
    "quote \" backslash \\ slash / brace } bracket ]",
    "new\nline\ttab\rreturn\x01\x1f\x7f",
    "\",\"injected\":\"yes",
    "</script><script>alert(1)</script>",
    "\xe2\x80\xa8 line separator, \xf0\x9f\x98\x80 emoji, \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
    "{{name}} ${HOME} %s %n $(id)",
};

static void
begin(struct buf *out, struct str request)
{
    const struct envelope_origin origin = {request, AT_US, AT_US + 1, AT_US + 2};

    buf_init(out, (size_t)1024 * 1024);
    envelope_begin(out, &origin);
}

static struct envelope_rows
make_rows(struct str body)
{
    return (struct envelope_rows){.channel_type = STR("telegram"),
                                  .primary_channel = STR("web"),
                                  .conversation_id = STR("c"),
                                  .conversation_status = STR("user_reply_received"),
                                  .thread_id = STR(""),
                                  .from = STR("u1"),
                                  .to = STR("@shop_bot"),
                                  .body = body,
                                  .message_id = STR("m"),
                                  .company_id = STR("o"),
                                  .project_id = STR("b"),
                                  .company_name = STR("Shop"),
                                  .credentials_reference = STR("credential:1"),
                                  .timestamp_us = AT_US - 5,
                                  .hand_off_to_human = true};
}

static void
any_text_comes_back(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct str text = str_from_c(hostile[i]);
        struct envelope_rows rows = make_rows(text);
        struct arena *arena = arena_create((size_t)1024 * 1024);
        json_auto_t *complete = NULL, *parsed = NULL;
        struct buf stored;
        struct err err;

        rows.channel_type = rows.from = rows.to = rows.conversation_id = rows.company_name = text;
        begin(&stored, text);
        ASSERT_OK(buf_check(&stored, &err), &err);
        ASSERT_OK(envelope_complete(buf_str(&stored), &rows, &complete, &err), &err);
        ASSERT_OK(envelope_parse(json_text(complete, arena), &parsed, &err), &err);
        assert_true(json_equal(complete, parsed));
        assert_true(str_eq(json_get_str(json_get_object(parsed, "message"), "from"), text));
        assert_true(str_eq(json_get_str(json_get_object(parsed, "message"), "to"), text));
        assert_true(str_eq(json_get_str(json_get_object(parsed, "message"), "body"), text));
        assert_true(str_eq(json_get_str(json_get_object(parsed, "meta"), "request_id"), text));
        buf_deinit(&stored);
        arena_destroy(&arena);
    }
}

/* The names are a contract: exactly these, no more, no fewer. */
static void
fields_are_those_of_the_contract(void **state)
{
    static const struct {
        const char *part, *keys[6];
    } contract[] = {
        {"meta", {"request_id", "channel_type", "timestamp", "version", NULL}},
        {"conversation",
         {"conversation_id", "primary_channel", "conversation_status", "hand_off_to_human",
          "thread_id", NULL}},
        {"message", {"from", "to", "body", "message_id", "timestamp", NULL}},
        {"company", {"company_id", "project_id", "company_name", "credentials_reference", NULL}},
        {"processing",
         {"validation_status", "ai_response", "sent_response", "processing_timestamps", NULL}},
    };
    struct envelope_rows rows = make_rows(STR("Hello"));
    json_auto_t *envelope = NULL;
    struct buf stored;
    struct err err;
    json_t *times;

    (void)state;
    begin(&stored, STR("trace"));
    assert_int_equal(str_find(buf_str(&stored), STR("Hello")), -1);
    ASSERT_OK(envelope_complete(buf_str(&stored), &rows, &envelope, &err), &err);
    assert_int_equal(json_object_size(envelope), sizeof(contract) / sizeof(contract[0]));
    for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
        json_t *part = json_get_object(envelope, contract[i].part);
        size_t count = 0;

        for (; contract[i].keys[count] != NULL; count++)
            if (json_object_get(part, contract[i].keys[count]) == NULL)
                fail_msg("%s.%s is missing", contract[i].part, contract[i].keys[count]);
        assert_int_equal(json_object_size(part), count);
    }
    ASSERT_STR(json_get_str(json_get_object(envelope, "meta"), "version"), "1.0");
    ASSERT_STR(json_get_str(json_get_object(envelope, "meta"), "timestamp"),
               "2026-09-21T14:13:20Z");
    ASSERT_STR(json_get_str(json_get_object(envelope, "meta"), "channel_type"), "telegram");
    ASSERT_STR(json_get_str(json_get_object(envelope, "conversation"), "primary_channel"), "web");
    ASSERT_STR(json_get_str(json_get_object(envelope, "company"), "company_id"), "o");
    ASSERT_STR(json_get_str(json_get_object(envelope, "company"), "project_id"), "b");
    ASSERT_STR(json_get_str(json_get_object(envelope, "message"), "timestamp"),
               "2026-09-21T14:13:19.999995Z");
    assert_true(json_is_true(
        json_object_get(json_get_object(envelope, "conversation"), "hand_off_to_human")));
    assert_true(
        json_is_null(json_object_get(json_get_object(envelope, "conversation"), "thread_id")));
    times = json_get_object(json_get_object(envelope, "processing"), "processing_timestamps");
    ASSERT_STR(json_get_str(times, "validated"), "2026-09-21T14:13:20.000001Z");
    ASSERT_STR(json_get_str(times, "queued"), "2026-09-21T14:13:20.000002Z");
    assert_int_equal(json_object_size(times), 3);
    buf_deinit(&stored);
}

static void
what_is_not_there_is_null(void **state)
{
    struct envelope_rows rows = make_rows(STR("x"));
    json_auto_t *envelope = NULL;
    struct buf stored;
    struct err err;

    (void)state;
    rows.credentials_reference = STR_EMPTY;
    rows.thread_id = STR("thread_1");
    begin(&stored, STR("trace"));
    ASSERT_OK(envelope_complete(buf_str(&stored), &rows, &envelope, &err), &err);
    ASSERT_STR(json_get_str(json_get_object(envelope, "conversation"), "thread_id"), "thread_1");
    assert_true(json_is_null(
        json_object_get(json_get_object(envelope, "company"), "credentials_reference")));
    assert_true(
        json_is_null(json_object_get(json_get_object(envelope, "processing"), "ai_response")));
    buf_deinit(&stored);
}

static void
steps_enrich_it(void **state)
{
    struct envelope_rows rows = make_rows(STR("Hello"));
    struct arena *arena = arena_create((size_t)1024 * 1024);
    json_auto_t *envelope = NULL, *complete = NULL, *stranger = json_object();
    json_t *processing;
    struct buf stored;
    struct err err;

    (void)state;
    begin(&stored, STR("trace"));
    ASSERT_OK(json_parse(buf_str(&stored), &envelope, &err), &err);
    ASSERT_OK(envelope_stamp(envelope, "answered", AT_US + 7, &err), &err);
    ASSERT_OK(envelope_stamp(envelope, "answered", AT_US + 8, &err), &err); /* the last counts */
    ASSERT_OK(envelope_set_processing(envelope, "ai_response", STR("Yes. [1]"), &err), &err);
    ASSERT_OK(envelope_complete(json_text(envelope, arena), &rows, &complete, &err), &err);
    processing = json_get_object(complete, "processing");
    ASSERT_STR(json_get_str(processing, "ai_response"), "Yes. [1]");
    ASSERT_STR(json_get_str(json_get_object(processing, "processing_timestamps"), "answered"),
               "2026-09-21T14:13:20.000008Z");
    assert_int_equal(envelope_stamp(stranger, "sent", AT_US, &err), ST_INVALID);
    assert_int_equal(envelope_set_processing(stranger, "ai_response", STR("x"), &err), ST_INVALID);
    json_set(stranger, "processing", json_object());
    assert_int_equal(envelope_stamp(stranger, "sent", AT_US, &err), ST_INVALID);
    buf_deinit(&stored);
    arena_destroy(&arena);
}

/* Every field in turn is taken out, then made a number: neither passes for an envelope. */
static void
each_field_is_required(void **state)
{
    struct envelope_rows rows = make_rows(STR("x"));
    struct arena *arena = arena_create((size_t)4 * 1024 * 1024);
    json_auto_t *whole = NULL;
    const char *part, *key;
    json_t *object, *value;
    struct buf stored;
    struct err err;

    (void)state;
    begin(&stored, STR("trace"));
    ASSERT_OK(envelope_complete(buf_str(&stored), &rows, &whole, &err), &err);
    json_object_foreach (whole, part, object) {
        json_object_foreach (object, key, value) {
            json_auto_t *copy = json_deep_copy(whole);
            json_t *parsed = NULL;

            json_object_del(json_object_get(copy, part), key);
            assert_int_equal(envelope_parse(json_text(copy, arena), &parsed, &err), ST_INVALID);
            assert_null(parsed);
            json_object_set_new(json_object_get(copy, part), key, json_integer(1));
            assert_int_equal(envelope_parse(json_text(copy, arena), &parsed, &err), ST_INVALID);
            assert_null(parsed);
        }
    }
    buf_deinit(&stored);
    arena_destroy(&arena);
}

static void
what_is_no_envelope_is_refused(void **state)
{
    static const char *const table[] = {"",
                                        "null",
                                        "[]",
                                        "{}",
                                        "{\"meta\":1}",
                                        "{\"meta\":{}}",
                                        "{\"meta\":{\"request_id\":\"x\"}} trailing"};
    struct envelope_rows rows = make_rows(STR("x"));
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        json_t *envelope = NULL;

        if (envelope_parse(str_from_c(table[i]), &envelope, &err) != ST_INVALID)
            fail_msg("accepted: %s", table[i]);
        assert_null(envelope);
        if (envelope_complete(str_from_c(table[i]), &rows, &envelope, &err) == ST_OK)
            fail_msg("completed: %s", table[i]);
        assert_null(envelope);
    }
}

static void
version_and_times_are_checked(void **state)
{
    static const struct {
        const char *version;
        enum status want;
    } versions[] = {{"1.0", ST_OK},       {"1.1", ST_OK},       {"1.12", ST_OK},
                    {"2.0", ST_INVALID},  {"1", ST_INVALID},    {"1.", ST_INVALID},
                    {"1.00", ST_INVALID}, {"1.1a", ST_INVALID}, {"1.1.1", ST_INVALID},
                    {"11.0", ST_INVALID}, {"", ST_INVALID},     {"1.12345", ST_INVALID}};
    struct envelope_rows rows = make_rows(STR("x"));
    struct arena *arena = arena_create((size_t)1024 * 1024);
    json_auto_t *envelope = NULL;
    json_t *times, *parsed = NULL;
    struct buf stored;
    struct err err;

    (void)state;
    begin(&stored, STR("trace"));
    ASSERT_OK(envelope_complete(buf_str(&stored), &rows, &envelope, &err), &err);
    times = json_get_object(json_get_object(envelope, "processing"), "processing_timestamps");
    json_set_str(times, "sent", STR("yesterday"));
    assert_int_equal(envelope_parse(json_text(envelope, arena), &parsed, &err), ST_INVALID);
    json_set_int(times, "sent", 3);
    assert_int_equal(envelope_parse(json_text(envelope, arena), &parsed, &err), ST_INVALID);
    json_object_del(times, "sent");
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        json_set_str(json_get_object(envelope, "meta"), "version", str_from_c(versions[i].version));
        if (envelope_parse(json_text(envelope, arena), &parsed, &err) != versions[i].want)
            fail_msg("version \"%s\"", versions[i].version);
        if (versions[i].want == ST_OK)
            json_decref(parsed);
        else
            assert_non_null(strstr(err.public_text, "1.x"));
    }
    buf_deinit(&stored);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_text_comes_back),
        cmocka_unit_test(fields_are_those_of_the_contract),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(steps_enrich_it),
        cmocka_unit_test(each_field_is_required),
        cmocka_unit_test(what_is_no_envelope_is_refused),
        cmocka_unit_test(version_and_times_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
