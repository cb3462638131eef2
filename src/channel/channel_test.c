/*
 * channel_test.c - the registry: driver tables, cache, references; and the drivers for tests
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "channel/drivers/fake.h"

#define CREDENTIALS "{\"secret\": \"0123456789abcdef\"}"

static enum status
create_with(const struct channel_driver *driver, const struct channel_driver *second)
{
    const struct channel_driver *const drivers[] = {driver, second, NULL};
    const struct channel_env env = {.clock = clock_system()};
    struct channel_registry *registry;
    struct err err;
    enum status st = channel_registry_create(&env, NULL, drivers, &registry, &err);

    assert_int_equal(registry != NULL, st == ST_OK);
    channel_registry_destroy(&registry);
    return st;
}

static void
test_tables(void **state)
{
    struct channel_driver hole;

    (void)state;
    assert_int_equal(create_with(&channel_driver_telegram, &channel_driver_web), ST_OK);
    assert_int_equal(create_with(&channel_driver_fake, &channel_driver_fake), ST_INTERNAL);

#define ASSERT_HOLE(member)                                                                        \
    do {                                                                                           \
        hole = channel_driver_telegram;                                                            \
        hole.member = 0;                                                                           \
        assert_int_equal(create_with(&hole, NULL), ST_INTERNAL);                                   \
    } while (0)
    ASSERT_HOLE(source);
    ASSERT_HOLE(size);
    ASSERT_HOLE(setting_keys);
    ASSERT_HOLE(credential_keys);
    ASSERT_HOLE(check_spec);
    ASSERT_HOLE(open);
    ASSERT_HOLE(close);
    ASSERT_HOLE(verify);
    ASSERT_HOLE(parse);
    ASSERT_HOLE(split);
    ASSERT_HOLE(send);
    ASSERT_HOLE(probe);
    ASSERT_HOLE(typing);
    ASSERT_HOLE(typing_interval_ms);
    ASSERT_HOLE(draft);
    ASSERT_HOLE(draft_interval_ms);
    ASSERT_HOLE(registration);
    ASSERT_HOLE(poll);
    hole = channel_driver_telegram;
    hole.accepted_type = "text/xml";
    assert_int_equal(create_with(&hole, NULL), ST_INTERNAL);
#define ASSERT_HOLE_OF_SLACK(member)                                                               \
    do {                                                                                           \
        hole = channel_driver_slack;                                                               \
        hole.member = 0;                                                                           \
        assert_int_equal(create_with(&hole, NULL), ST_INTERNAL);                                   \
    } while (0)
    assert_int_equal(create_with(&channel_driver_slack, NULL), ST_OK);
    ASSERT_HOLE_OF_SLACK(begin);
    ASSERT_HOLE_OF_SLACK(grow);
    ASSERT_HOLE_OF_SLACK(edit);
    ASSERT_HOLE_OF_SLACK(withdraw);
    ASSERT_HOLE_OF_SLACK(find);
    hole = channel_driver_telegram;
    hole.fetch_media = NULL;
    assert_int_equal(create_with(&hole, NULL), ST_INTERNAL);
    ASSERT_HOLE(caps); /* functions without their capability */
#undef ASSERT_HOLE
}

static void
test_cache(void **state)
{
    struct channel_record *record = test_record("fake", "{}", CREDENTIALS);
    struct channel_record *newer = test_record("fake", "{}", CREDENTIALS);
    struct channel *first, *second, *third, *old;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    newer->id = record->id;
    newer->revision = 2;
    assert_int_equal(channel_acquire(env.registry, record, &first, &err), ST_OK);
    assert_int_equal(channel_acquire(env.registry, record, &second, &err), ST_OK);
    assert_ptr_equal(first, second);
    channel_release(&second);
    assert_null(second);

    /* A newer record opens anew; the old channel lives until its last holder lets it go. */
    assert_int_equal(channel_acquire(env.registry, newer, &third, &err), ST_OK);
    assert_ptr_not_equal(first, third);
    assert_int_equal(channel_record(first)->revision, 1);
    /* Somebody who still holds the old record does not push the newer channel out. */
    assert_int_equal(channel_acquire(env.registry, record, &old, &err), ST_OK);
    assert_int_equal(channel_record(old)->revision, 1);
    assert_int_equal(channel_acquire(env.registry, newer, &second, &err), ST_OK);
    assert_ptr_equal(second, third);
    channel_release(&old);
    channel_release(&first);
    channel_release(&second);
    channel_release(&third);
    test_record_release(&record);
    assert_int_equal(test_records_alive(), 1);
    test_record_release(&newer);

    struct channel_record *stranger = test_record("pigeon", "{}", "{}");
    assert_int_equal(channel_acquire(env.registry, stranger, &first, &err), ST_NOT_FOUND);
    assert_null(first);
    test_record_release(&stranger);
    test_env_deinit(&env);
}

static void
test_cache_is_bounded(void **state)
{
    enum { RECORDS = 20, LIMIT = 3 };
    struct channel_record *records[RECORDS];
    struct channel *held, *channel;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    channel_registry_limit(env.registry, LIMIT);
    for (int i = 0; i < RECORDS; i++)
        records[i] = test_record("fake", "{}", CREDENTIALS);
    assert_int_equal(channel_acquire(env.registry, records[0], &held, &err), ST_OK);
    for (int i = 1; i < RECORDS; i++) {
        assert_int_equal(channel_acquire(env.registry, records[i], &channel, &err), ST_OK);
        channel_release(&channel);
    }
    for (int i = 0; i < RECORDS; i++)
        test_record_release(&records[i]);
    /* What stays: the last ones used, and what is held. */
    assert_int_equal(test_records_alive(), LIMIT + 1);
    assert_int_equal(channel_caps(held), channel_driver_fake.caps);
    channel_release(&held);
    assert_int_equal(test_records_alive(), LIMIT);
    test_env_deinit(&env);
}

/* What a driver without buttons writes in their place. */
static void
test_listed_buttons(void **state)
{
    static const struct {
        const char *text, *metadata, *want;
    } cases[] = {
        {"Which?", NULL, "Which?"},
        {"Which?", "{\"buttons\": []}", "Which?"},
        {"Which?", "{\"buttons\": 3}", "Which?"},
        {"Which?", "{\"buttons\": [{\"title\": \"Red\", \"id\": \"r\"}]}", "Which?\n\n1. Red"},
        {"Which?",
         "{\"buttons\": [{\"title\": \"Red\", \"id\": \"r\"}, {\"title\": \"Our page\", "
         "\"url\": \"https://e.com\"}]}",
         "Which?\n\n1. Red\n2. Our page: https://e.com"},
        {"", "{\"buttons\": [{\"title\": \"Red\"}, {\"title\": \"Blue\"}]}", "1. Red\n2. Blue"},
    };
    struct arena *arena = arena_create(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *metadata =
            cases[i].metadata == NULL ? NULL : json_loads(cases[i].metadata, 0, NULL);
        struct str got = channel_list_buttons(str_from_c(cases[i].text), metadata, arena);

        if (!str_eq_c(got, cases[i].want))
            fail_msg("%zu: %.*s", i, STR_ARG(got));
    }
    arena_destroy(&arena);
}

static void
test_failing(void **state)
{
    static const enum status wanted[] = {ST_BUSY, ST_UNCERTAIN, ST_OK, ST_NOT_FOUND};
    static const enum status commanded[] = {ST_UNAVAILABLE, ST_DENIED};
    struct channel_record *record = test_record(
        "failing", "{\"script\": [\"busy\", \"uncertain\", \"ok\", \"not_found\"]}", CREDENTIALS);
    const struct outbound outbound = {.external_chat_id = STR("c"), .text = STR("x")};
    struct delivery delivery;
    struct channel *channel;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    assert_int_equal(channel_acquire(env.registry, record, &channel, &err), ST_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(channel_send(channel, &outbound, env.arena, &delivery, &err), wanted[i]);
        assert_int_equal(delivery.external_message_id.len > 0, wanted[i] == ST_OK);
    }
    assert_int_equal(channel_send(channel, &outbound, env.arena, &delivery, &err), ST_OK);
    channel_failing_command(channel, commanded, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(channel_send(channel, &outbound, env.arena, &delivery, &err),
                         commanded[i]);
    assert_int_equal(channel_send(channel, &outbound, env.arena, &delivery, &err), ST_OK);
    channel_release(&channel);
    test_record_release(&record);
    test_env_deinit(&env);
}

static void *
type_later(void *arg)
{
    channel_typing(arg, STR("chat-1"));
    return NULL;
}

static void
test_recording(void **state)
{
    struct channel_record *record = test_record("recording", "{}", CREDENTIALS);
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = STR("chat-1"),
                                      .reply_to_external_id = STR("m1"),
                                      .text = STR("text"),
                                      .part = 1,
                                      .part_count = 2};
    struct delivery delivery;
    struct fake_call call;
    struct channel *channel;
    struct test_env env;
    pthread_t thread;
    struct err err;

    (void)state;
    test_env_init(&env);
    assert_int_equal(channel_acquire(env.registry, record, &channel, &err), ST_OK);
    assert_false(channel_recording_wait(channel, 1, 1));
    assert_int_equal(channel_send(channel, &outbound, env.arena, &delivery, &err), ST_OK);
    channel_acknowledge(channel, STR("cb"));
    assert_int_equal(thread_start("typing", type_later, channel, &thread, &err), ST_OK);
    assert_true(channel_recording_wait(channel, 3, 10000));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(channel_recording_count(channel), 3);

    assert_true(channel_recording_get(channel, 0, env.arena, &call));
    assert_int_equal(call.kind, FAKE_SEND);
    assert_true(id_eq(&call.message_id.id, &outbound.message_id.id));
    assert_true(str_eq_c(call.chat, "chat-1") && str_eq_c(call.text, "text") &&
                str_eq_c(call.reply_to, "m1"));
    assert_int_equal(call.part, 1);
    assert_true(channel_recording_get(channel, 1, env.arena, &call));
    assert_true(call.kind == FAKE_ACKNOWLEDGE && str_eq_c(call.text, "cb"));
    assert_true(channel_recording_get(channel, 2, env.arena, &call));
    assert_true(call.kind == FAKE_TYPING && str_eq_c(call.chat, "chat-1"));
    assert_false(channel_recording_get(channel, 3, env.arena, &call));
    channel_release(&channel);
    test_record_release(&record);
    test_env_deinit(&env);
}

static void
test_reply_only_settings(void **state)
{
    static const struct {
        const char *source, *settings;
        enum status want;
    } table[] = {
        {"fake", "{\"reply_only\": true, \"reply_only_text\": \"Sorry, {name}\"}", ST_OK},
        {"fake", "{\"reply_only\": false}", ST_OK},
        {"fake", "{\"reply_only\": \"yes\"}", ST_INVALID},
        {"fake", "{\"reply_only\": true, \"reply_only_text\": \"\"}", ST_INVALID},
        {"fake", "{\"reply_only\": true, \"reply_only_text\": 1}", ST_INVALID},
        {"web", "{\"reply_only\": true}", ST_INVALID},
    };
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        json_auto_t *settings = json_loads(table[i].settings, 0, NULL);
        json_auto_t *credentials = json_loads(CREDENTIALS, 0, NULL);
        struct channel_spec spec = {.source = str_from_c(table[i].source),
                                    .name = STR("Test"),
                                    .settings = settings,
                                    .credentials = i < 5 ? credentials : NULL};
        enum status st = channel_check_spec(env.registry, &spec, env.arena, &err);

        if (st != table[i].want)
            fail_msg("%s: %s", table[i].settings, err.public_text);
        if (st == ST_OK)
            channel_spec_deinit(&spec);
    }
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_listed_buttons),
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_recording),
        cmocka_unit_test(test_reply_only_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
