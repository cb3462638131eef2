/*
 * meta_parse_test.c - testdata/PLATFORM_webhooks.json: webhooks of Meta's platforms and what they
 * become
 *
 * Each case: {name, body | raw, settings?, want}. want is a list: each item's fields (metadata too)
 * that must be equal, null: must not be there; or the name of the status that refuses the body.
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"

static const struct platform {
    const char *source, *file, *credentials;
    size_t min_cases;
} whatsapp = {
    .source = "whatsapp_business",
    .file = TESTDATA "/whatsapp_webhooks.json",
    .credentials = "{\"phone_number_id\": \"200100300400500\", \"access_token\": "
                   "\"EAAtest0123456789abcdef\", \"app_secret\": \"app_secret_example\"}",
    .min_cases = 100,
};

static const struct platform instagram = {
    .source = "instagram",
    .file = TESTDATA "/instagram_webhooks.json",
    .credentials = "{\"instagram_account_id\": \"17841400000000001\", \"access_token\": "
                   "\"IGAAtest0123456789abcdef\", \"app_secret\": \"app_secret_example\"}",
    .min_cases = 45,
};

static struct channel *
open_channel(struct test_env *env, const struct platform *platform, const json_t *settings)
{
    struct channel *channel;
    struct err err;
    struct str text = settings == NULL ? STR("{}") : json_text(settings, env->arena);
    struct channel_record *record =
        test_record(platform->source, arena_cstr(env->arena, text), platform->credentials);

    if (channel_acquire(env->registry, record, &channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    test_record_release(&record);
    return channel;
}

static void
check_item(const char *name, const json_t *want, const struct inbound *item, struct str body)
{
    json_auto_t *got = test_inbound_json(item);

    test_assert_contains(name, want, got);
    assert_true(json_get_str(json_get_object(got, "metadata"), "raw_kind").ptr != NULL ||
                item->kind == INBOUND_EVENT);
    if (item->kind == INBOUND_MESSAGE) {
        assert_true(item->external_message_id.len > 0 && item->external_user_id.len > 0 &&
                    item->external_chat_id.len > 0);
        return;
    }
    assert_true(item->external_event_id.len > 0 && item->raw.len > 0 && item->timestamp_us > 0);
    /* The only item of a body is kept as it came. */
    if (body.len > 0 && json_object_get(want, "raw") == NULL && !str_eq(item->raw, body))
        fail_msg("%s: raw is not what came", name);
}

static void
run_case(struct test_env *env, const struct platform *platform, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_object_get(test, "want"), *given = json_object_get(test, "body");
    struct str body = given != NULL ? json_text(given, env->arena) : json_get_str(test, "raw");
    struct channel *channel = open_channel(env, platform, json_get_object(test, "settings"));
    const struct webhook webhook = {.body = body};
    struct inbound_batch batch;
    struct err err = {.code = ST_OK};
    enum status st = channel_parse(channel, &webhook, env->arena, &batch, &err);
    const char *status = json_is_array(want) ? status_name(ST_OK) : json_string_value(want);

    if (strcmp(status, status_name(st)) != 0)
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK && batch.count != json_array_size(want))
        fail_msg("%s: %zu items", name, batch.count);
    for (size_t i = 0; i < batch.count; i++)
        check_item(name, json_array_get(want, i), &batch.items[i],
                   batch.count == 1 ? body : STR_EMPTY);
    inbound_batch_deinit(&batch);
    channel_release(&channel);
}

static void
run_table(const struct platform *platform)
{
    json_error_t error;
    json_auto_t *cases = json_load_file(platform->file, 0, &error);
    struct test_env env;
    size_t i;
    json_t *test;

    if (cases == NULL)
        fail_msg("%s:%d: %s", platform->file, error.line, error.text);
    test_env_init(&env);
    assert_true(json_array_size(cases) >= platform->min_cases);
    json_array_foreach (cases, i, test) {
        run_case(&env, platform, test);
    }
    test_env_deinit(&env);
}

static void
test_whatsapp(void **state)
{
    (void)state;
    run_table(&whatsapp);
}

static void
test_instagram(void **state)
{
    (void)state;
    run_table(&instagram);
}

/* What has no id of its own is one event however often it comes, and two when it differs. */
static void
test_events_without_id(void **state)
{
    static const char *const bodies[] = {
        "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\",\"time\":1750000006,"
        "\"changes\":[{\"field\":\"account_update\",\"value\":{\"event\":\"A\"}}]}]}",
        "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\",\"time\":1750000006,"
        "\"changes\":[{\"field\":\"account_update\",\"value\":{\"event\":\"B\"}}]}]}",
        "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\",\"time\":1750000007,"
        "\"changes\":[{\"field\":\"account_update\",\"value\":{\"event\":\"A\"}}]}]}",
    };
    struct test_env env;
    struct str ids[6];
    struct err err;

    (void)state;
    test_env_init(&env);
    struct channel *channel = open_channel(&env, &whatsapp, NULL);
    for (size_t i = 0; i < 6; i++) {
        const struct webhook webhook = {.body = str_from_c(bodies[i % 3])};
        struct inbound_batch batch;

        assert_int_equal(channel_parse(channel, &webhook, env.arena, &batch, &err), ST_OK);
        assert_int_equal(batch.count, 1);
        ids[i] = batch.items[0].external_event_id;
        inbound_batch_deinit(&batch);
    }
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(str_eq(ids[i], ids[k]), i % 3 == k % 3);
    channel_release(&channel);
    test_env_deinit(&env);
}

static void
test_too_many(void **state)
{
    struct test_env env;
    struct buf body;
    struct inbound_batch batch;
    struct err err;

    (void)state;
    test_env_init(&env);
    buf_init(&body, 1024 * 1024);
    buf_append_c(&body, "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"changes\":[0");
    for (int i = 0; i < 4000; i++)
        buf_append_c(&body, ",0");
    buf_append_c(&body, "]}]}");
    struct channel *channel = open_channel(&env, &whatsapp, NULL);
    const struct webhook webhook = {.body = buf_str(&body)};

    assert_int_equal(channel_parse(channel, &webhook, env.arena, &batch, &err), ST_TOO_LARGE);
    assert_int_equal(batch.count, 0);
    channel_release(&channel);
    buf_deinit(&body);
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatsapp),
        cmocka_unit_test(test_instagram),
        cmocka_unit_test(test_events_without_id),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
