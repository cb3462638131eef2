/*
 * telegram_parse_test.c - testdata/telegram_updates.json: updates and what they become
 *
 * Each case: {name, update | raw, settings?, want}. want names fields of the item (metadata too)
 * that must be equal; null: must not be there; want.status: the update is refused.
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"

#define CREDENTIALS                                                                                \
    "{\"bot_token\": \"7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\", "                          \
    "\"secret_token\": \"s3cr3t-Token_1\"}"

static struct channel *
open_channel(struct test_env *env, const json_t *settings)
{
    json_auto_t *all = settings == NULL ? json_object() : json_deep_copy(settings);
    struct channel *channel;
    struct err err;

    json_set_str(all, "bot_username", STR("parley_bot"));
    struct str text = json_text(all, env->arena);
    struct channel_record *record =
        test_record("telegram", arena_cstr(env->arena, text), CREDENTIALS);

    if (channel_acquire(env->registry, record, &channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    test_record_release(&record);
    return channel;
}

static void
run_case(struct test_env *env, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_get_object(test, "want"), *update = json_get_object(test, "update");
    struct str body = update != NULL ? json_text(update, env->arena) : json_get_str(test, "raw");
    struct str status = json_get_str(want, "status");
    struct channel *channel = open_channel(env, json_get_object(test, "settings"));
    const struct webhook webhook = {.body = body};
    struct inbound_batch batch;
    struct err err = {.code = ST_OK};
    enum status st = channel_parse(channel, &webhook, env->arena, &batch, &err);

    if (!str_eq_c(status.ptr == NULL ? STR("ok") : status, status_name(st)))
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK) {
        assert_int_equal(batch.count, 1);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        test_assert_contains(name, want, got);
        if (batch.items[0].kind == INBOUND_EVENT && !str_eq(batch.items[0].raw, body))
            fail_msg("%s: raw is not the update", name);
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
}

static void
test_updates(void **state)
{
    json_error_t error;
    json_auto_t *cases = json_load_file(TESTDATA "/telegram_updates.json", 0, &error);
    struct test_env env;
    size_t i;
    json_t *test;

    (void)state;
    if (cases == NULL)
        fail_msg("%s:%d: %s", TESTDATA "/telegram_updates.json", error.line, error.text);
    test_env_init(&env);
    assert_true(json_array_size(cases) >= 90);
    json_array_foreach (cases, i, test) {
        run_case(&env, test);
    }
    test_env_deinit(&env);
}

/* Messages that a customer of a business deletes come together, and are events each. */
static void
test_deletions(void **state)
{
    const struct webhook webhook = {
        .body = STR_INIT("{\"update_id\":5,\"deleted_business_messages\":{"
                         "\"business_connection_id\":\"b\",\"chat\":{\"id\":42,\"type\":"
                         "\"private\"},\"message_ids\":[7,9]}}")};
    static const char *const wants[] = {
        "{\"kind\":\"event\",\"event_kind\":\"deletion\",\"external_chat_id\":\"42\","
        "\"about_external_message_id\":\"7000000001:42:7:b\","
        "\"external_event_id\":\"update:5:7\"}",
        "{\"kind\":\"event\",\"event_kind\":\"deletion\",\"external_chat_id\":\"42\","
        "\"about_external_message_id\":\"7000000001:42:9:b\","
        "\"external_event_id\":\"update:5:9\"}",
    };
    struct test_env env;
    struct inbound_batch batch;
    struct err err;

    (void)state;
    test_env_init(&env);
    struct channel *channel = open_channel(&env, NULL);

    assert_int_equal(channel_parse(channel, &webhook, env.arena, &batch, &err), ST_OK);
    assert_int_equal(batch.count, 2);
    for (size_t i = 0; i < 2; i++) {
        json_auto_t *want = json_loads(wants[i], 0, NULL);
        json_auto_t *got = test_inbound_json(&batch.items[i]);

        test_assert_contains("deletions", want, got);
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_env_deinit(&env);
}

/* Mentions are known by name; the name comes from Telegram, whenever it shows it. */
static void
test_learns_its_name(void **state)
{
    static const struct {
        const char *body;
        bool wants_answer;
    } steps[] = {
        {"{\"update_id\":1,\"message\":{\"message_id\":1,\"date\":1,\"chat\":{\"id\":-5,\"type\":"
         "\"group\"},\"from\":{\"id\":42,\"is_bot\":false},\"text\":\"@parley_bot hi\","
         "\"entities\":[{\"type\":\"mention\",\"offset\":0,\"length\":11}]}}",
         false},
        {"{\"update_id\":2,\"message\":{\"message_id\":2,\"date\":1,\"chat\":{\"id\":-5,\"type\":"
         "\"group\"},\"from\":{\"id\":42,\"is_bot\":false},\"text\":\"yes\",\"reply_to_message\":"
         "{\"message_id\":9,\"date\":1,\"chat\":{\"id\":-5,\"type\":\"group\"},\"from\":{\"id\":"
         "7000000001,\"is_bot\":true,\"username\":\"Parley_Bot\"}}}}",
         true},
        {"{\"update_id\":3,\"message\":{\"message_id\":3,\"date\":1,\"chat\":{\"id\":-5,\"type\":"
         "\"group\"},\"from\":{\"id\":42,\"is_bot\":false},\"text\":\"@parley_bot hi\","
         "\"entities\":[{\"type\":\"mention\",\"offset\":0,\"length\":11}]}}",
         true},
    };
    struct channel_record *record;
    struct channel *channel;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    record = test_record("telegram", "{}", CREDENTIALS);
    assert_int_equal(channel_acquire(env.registry, record, &channel, &err), ST_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct webhook webhook = {.body = str_from_c(steps[i].body)};
        struct inbound_batch batch;

        assert_int_equal(channel_parse(channel, &webhook, env.arena, &batch, &err), ST_OK);
        assert_int_equal(batch.items[0].wants_answer, steps[i].wants_answer);
        inbound_batch_deinit(&batch);
    }
    channel_release(&channel);
    test_record_release(&record);
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_learns_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
