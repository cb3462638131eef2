/*
 * teams_grow_test.c - Teams' streams: what begins one, what goes on with it, and how it ends
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "channel/drivers/teams.h"
#include "channel/openid_test_support.h"
#include "text/json.h"

#define APP "11111111-2222-4333-8444-555555555555"
#define CREDENTIALS "{\"app_id\": \"" APP "\", \"app_password\": \"Pass.word_of-the-bot\"}"
#define ERROR(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"no\"}}"

struct scene {
    struct test_env env;
    struct test_issuer *issuer;
    struct test_provider *provider;
    struct channel_record *record;
    struct channel *channel;
    struct str chat; /* of one person */
};

static void
open_scene(struct scene *scene)
{
    struct err err;

    test_env_init(&scene->env);
    scene->issuer = test_issuer_start();
    scene->provider = test_provider_start((struct test_answer){201, "{\"id\":\"99\"}", NULL});
    unsigned port = test_provider_port(scene->provider);
    scene->record = test_record(
        "teams",
        arena_printf(scene->env.arena,
                     "{\"login_base\": \"http://127.0.0.1:%u/login/\", \"service_hosts\": "
                     "[\"http://127.0.0.1:%u\"]}",
                     test_issuer_port(scene->issuer), port)
            .ptr,
        CREDENTIALS);
    if (channel_acquire(scene->env.registry, scene->record, &scene->channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    scene->chat = arena_printf(scene->env.arena, "http://127.0.0.1:%u|a:1", port);
}

static void
close_scene(struct scene *scene)
{
    channel_release(&scene->channel);
    test_record_release(&scene->record);
    test_provider_stop(&scene->provider);
    test_issuer_stop(&scene->issuer);
    test_env_deinit(&scene->env);
}

static void
assert_request(struct scene *scene, const char *name, const char *want_text, struct str *path_out)
{
    json_auto_t *want = json_loads(want_text, 0, NULL);
    json_auto_t *got = test_provider_request(
        scene->provider, test_provider_count(scene->provider) - 1, scene->env.arena, path_out);

    assert_non_null(want);
    test_assert_contains(name, want, got);
}

#define STREAM(type, more)                                                                         \
    "\"channelData\":{\"streamType\":\"" type "\"" more                                            \
    "},\"entities\":[{\"type\":\"streaminfo\","                                                    \
    "\"streamType\":\"" type "\"" more "}]"
#define REFUSED(status, code)                                                                      \
    {                                                                                              \
        status, ERROR(code), NULL                                                                  \
    }

/* The end of a stream, and the message in its place where the stream has ended by itself. */
static void
test_stream_ends(void **state)
{
    static const struct {
        const char *name;
        struct test_answer answers[2];
        enum status want;
        size_t calls;
    } cases[] = {
        {"in time", {{200, "{}", NULL}}, ST_OK, 1},
        {"too late", {REFUSED(403, "ContentStreamNotAllowed"), {200, "{}", NULL}}, ST_OK, 2},
        {"gone",
         {REFUSED(403, "ContentStreamNotAllowed"), REFUSED(404, "ActivityNotFoundInConversation")},
         ST_CONFLICT,
         2},
        {"no conversation", {REFUSED(404, "ConversationNotFound")}, ST_NOT_FOUND, 1},
        {"busy", {REFUSED(429, "TooManyRequests")}, ST_BUSY, 1},
        {"no answer", {{200, "<html>", NULL}}, ST_UNAVAILABLE, 1},
    };
    struct scene scene;
    struct err err;

    (void)state;
    open_scene(&scene);
    const struct outbound outbound = {
        .external_chat_id = scene.chat, .text = STR("**new**"), .part_count = 1};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str path;

        test_provider_forget(scene.provider);
        for (size_t j = 0; j < cases[i].calls; j++)
            test_provider_queue(scene.provider, cases[i].answers[j]);
        enum status st = channel_edit(scene.channel, &outbound, STR(APP "|a:1|f:99"), &err);
        if (st != cases[i].want || test_provider_count(scene.provider) != cases[i].calls)
            fail_msg("%s: %s, %zu calls", cases[i].name, status_name(st),
                     test_provider_count(scene.provider));
        if (cases[i].calls == 1) {
            assert_request(
                &scene, cases[i].name,
                "{\"type\":\"message\",\"text\":\"<b>new</b>\",\"replyToId\":null," STREAM(
                    "final", ",\"streamId\":\"f:99\"") "}",
                &path);
            assert_true(str_eq_c(path, "/v3/conversations/a:1/activities"));
        } else {
            assert_request(&scene, cases[i].name,
                           "{\"type\":\"message\",\"text\":\"<b>new</b>\",\"entities\":null,"
                           "\"channelData\":null}",
                           &path);
            assert_true(str_eq_c(path, "/v3/conversations/a:1/activities/f:99"));
        }
    }
    assert_int_equal(channel_edit(scene.channel, &outbound, STR(APP "|other|99"), &err),
                     ST_INVALID);
    assert_int_equal(channel_edit(scene.channel, &outbound, STR("x"), &err), ST_INVALID);
    close_scene(&scene);
}

static void
test_stream_grows(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct err err;

    (void)state;
    open_scene(&scene);
    const struct str group =
        arena_printf(scene.env.arena, "http://127.0.0.1:%u|19:a@thread.tacv2;messageid=5",
                     test_provider_port(scene.provider));
    struct outbound outbound = {
        .external_chat_id = group, .text = STR("One **two"), .part_count = 2};
    /* Streams are for personal chats. */
    assert_false(channel_grows_in(scene.channel, outbound.external_chat_id));
    assert_int_equal(channel_begin(scene.channel, &outbound, scene.env.arena, &delivery, &err),
                     ST_INVALID);
    assert_int_equal(test_provider_count(scene.provider), 0);
    outbound.external_chat_id = scene.chat;
    assert_true(channel_grows_in(scene.channel, outbound.external_chat_id));
    assert_int_equal(channel_begin(scene.channel, &outbound, scene.env.arena, &delivery, &err),
                     ST_OK);
    assert_true(str_eq_c(delivery.external_message_id, APP "|a:1|99"));
    assert_request(
        &scene, "begin",
        "{\"type\":\"typing\",\"text\":\"...\"," STREAM("informative", ",\"streamSequence\":1") "}",
        NULL);
    channel_grow(scene.channel, &outbound, delivery.external_message_id, 1);
    assert_request(&scene, "grow",
                   "{\"type\":\"typing\",\"text\":\"One **two\"," STREAM(
                       "streaming", ",\"streamSequence\":2,\"streamId\":\"99\"") "}",
                   NULL);
    channel_grow(scene.channel, &outbound, STR("nonsense"), 2);
    assert_int_equal(test_provider_count(scene.provider), 2);
    test_provider_queue(scene.provider, (struct test_answer){200, "{}", NULL});
    assert_int_equal(channel_begin(scene.channel, &outbound, scene.env.arena, &delivery, &err),
                     ST_UNCERTAIN);
    test_provider_queue(scene.provider, (struct test_answer){200, "", NULL});
    assert_int_equal(
        channel_withdraw(scene.channel, outbound.external_chat_id, STR(APP "|a:1|99"), &err),
        ST_OK);
    struct test_request request = test_provider_got(scene.provider, 3, scene.env.arena);
    assert_true(str_eq_c(request.method, "DELETE"));
    assert_true(str_eq_c(request.path, "/v3/conversations/a:1/activities/99"));
    test_provider_queue(scene.provider,
                        (struct test_answer)REFUSED(404, "ActivityNotFoundInConversation"));
    assert_int_equal(
        channel_withdraw(scene.channel, outbound.external_chat_id, STR(APP "|a:1|99"), &err),
        ST_OK);
    close_scene(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_ends),
        cmocka_unit_test(test_stream_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
