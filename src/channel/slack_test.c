/*
 * slack_test.c - Slack's proofs and tests of the address, and what the driver sends, edits, fetches
 */
#include "channel/drivers/slack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "channel/secrets.h"
#include "text/json.h"

#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define OLD_SECRET "0000aaaa1111bbbb2222cccc3333dddd"
#define TOKEN "xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp"
#define CREDENTIALS                                                                                \
    "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN                            \
    "\", \"signing_secret\": \"" SECRET "\", \"previous_signing_secret\": \"" OLD_SECRET "\"}"
#define SENT "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1800000000.000100\"}"

struct fixture {
    struct test_env env;
    struct test_provider *provider;
    struct channel_record *record;
    struct channel *channel;
    struct err err;
};

static void
fixture_init(struct fixture *fixture)
{
    char settings[256];

    test_env_init(&fixture->env);
    fixture->provider = test_provider_start((struct test_answer){200, SENT, NULL});
    unsigned port = test_provider_port(fixture->provider);
    (void)snprintf(settings, sizeof settings,
                   "{\"api_base\": \"http://127.0.0.1:%u/api\", "
                   "\"files_base\": \"http://127.0.0.1:%u/files\"}",
                   port, port);
    fixture->record = test_record("slack", settings, CREDENTIALS);
    if (channel_acquire(fixture->env.registry, fixture->record, &fixture->channel, &fixture->err) !=
        ST_OK)
        fail_msg("%s", fixture->err.detail);
}

static void
fixture_deinit(struct fixture *fixture)
{
    channel_release(&fixture->channel);
    test_record_release(&fixture->record);
    test_provider_stop(&fixture->provider);
    test_env_deinit(&fixture->env);
}

static void
assert_request(struct fixture *fixture, const char *name, size_t index, const char *path,
               const char *want_text)
{
    json_auto_t *want = json_loads(want_text, 0, NULL);
    struct str got_path;
    json_auto_t *got =
        test_provider_request(fixture->provider, index, fixture->env.arena, &got_path);

    assert_non_null(want);
    if (!str_eq_c(got_path, path))
        fail_msg("%s: %.*s", name, STR_ARG(got_path));
    test_assert_contains(name, want, got);
    struct test_request request = test_provider_got(fixture->provider, index, fixture->env.arena);
    assert_true(str_eq_c(request.authorization, "Bearer " TOKEN));
    assert_true(str_eq_c(request.content_type, "application/json; charset=utf-8"));
}

static void
assert_form(struct fixture *fixture, size_t index, const char *path, const char *want)
{
    struct test_request request = test_provider_got(fixture->provider, index, fixture->env.arena);

    if (!str_eq_c(request.path, path) || !str_eq_c(request.body, want))
        fail_msg("%.*s: %.*s", STR_ARG(request.path), STR_ARG(request.body));
    assert_true(str_eq_c(request.method, "POST"));
    assert_true(str_eq_c(request.authorization, "Bearer " TOKEN));
    assert_true(str_eq_c(request.content_type, "application/x-www-form-urlencoded"));
}

/* --- proofs --- */

static struct str
sign(struct str when, struct str body, const char *key, struct arena *arena)
{
    const struct str pieces[] = {STR("v0:"), when, STR(":"), body};
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = pieces, .piece_count = 4};

    return arena_printf(arena, "v0=%.*s", STR_ARG(hmac_sign(str_from_c(key), &proof, arena)));
}

/* Slack's own example ("Verifying requests from Slack"). */
static void
test_signature_vector(void **state)
{
    static const char body[] =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
        "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        "803a0bc887a14d10d2c447fce8b6703c";
    struct arena *arena = arena_create((size_t)64 * 1024);

    (void)state;
    assert_true(str_eq_c(sign(STR("1531420618"), str_from_c(body), SECRET, arena),
                         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"));
    arena_destroy(&arena);
}

static void
post_signed(struct fixture *fixture, struct test_hook *hook, const char *when, const char *body,
            const char *key, struct test_hook_result *result_out)
{
    const struct http_header headers[] = {
        {.name = "X-Slack-Request-Timestamp", .value = str_from_c(when)},
        {.name = "X-Slack-Signature",
         .value = sign(str_from_c(when), str_from_c(body), key, fixture->env.arena)}};

    test_hook_post(hook, fixture->record, "/hook", headers, 2, str_from_c(body), result_out);
}

static void
test_times_and_secrets(void **state)
{
    static const struct {
        const char *when, *key;
        enum status want;
    } cases[] = {
        {"1800000000", SECRET, ST_OK},     {"1800000300", SECRET, ST_OK},
        {"1799999700", SECRET, ST_OK},     {"1800000301", SECRET, ST_DENIED},
        {"1799999699", SECRET, ST_DENIED}, {"1800000000", OLD_SECRET, ST_OK},
        {"1800000000", TOKEN, ST_DENIED},
    };
    struct fixture fixture;
    struct test_hook_result result;

    (void)state;
    fixture_init(&fixture);
    struct test_hook *hook = test_hook_start(&fixture.env);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        post_signed(&fixture, hook, cases[i].when, "{\"type\":\"x\"}", cases[i].key, &result);
        if (result.verified != cases[i].want)
            fail_msg("%zu: %s", i, status_name(result.verified));
        json_decref(result.items);
    }
    test_hook_stop(&hook);
    fixture_deinit(&fixture);
}

static void
test_handshake(void **state)
{
    static const char challenge[] =
        "{\"token\":\"x\",\"challenge\":\"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P\","
        "\"type\":\"url_verification\"}";
    struct fixture fixture;
    struct test_hook_result result;

    (void)state;
    fixture_init(&fixture);
    struct test_hook *hook = test_hook_start(&fixture.env);
    post_signed(&fixture, hook, "1800000000", challenge, SECRET, &result);
    assert_int_equal(result.verified, ST_OK);
    assert_true(result.is_handshake);
    assert_int_equal(result.reply.status, 200);
    assert_true(
        str_eq_c(result.reply.body, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"));
    post_signed(&fixture, hook, "1800000000", "ssl_check=1&token=x", SECRET, &result);
    assert_true(result.is_handshake);
    assert_int_equal(result.reply.body.len, 0);
    /* Only the signed one, and no message that only speaks of it. */
    post_signed(&fixture, hook, "1800000000", challenge, TOKEN, &result);
    assert_int_equal(result.verified, ST_DENIED);
    assert_false(result.is_handshake);
    post_signed(&fixture, hook, "1800000000",
                "{\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":{\"type\":\"message\","
                "\"channel\":\"D1\",\"user\":\"U1\",\"ts\":\"1800000000.000001\",\"text\":"
                "\"url_verification\"}}",
                SECRET, &result);
    assert_int_equal(result.verified, ST_OK);
    assert_false(result.is_handshake);
    assert_int_equal(json_array_size(result.items), 1);
    json_decref(result.items);
    test_hook_get(hook, fixture.record, "/hook?challenge=x", &result);
    assert_int_equal(result.verified, ST_DENIED);
    test_hook_stop(&hook);
    fixture_deinit(&fixture);
}

/* --- sending --- */

static enum status
send_one(struct fixture *fixture, const char *chat, const char *text, const char *metadata_text,
         unsigned part, unsigned part_count, struct delivery *delivery_out)
{
    json_auto_t *metadata = metadata_text == NULL ? NULL : json_loads(metadata_text, 0, NULL);
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = str_from_c(chat),
                                      .text = str_from_c(text),
                                      .metadata = metadata,
                                      .part = part,
                                      .part_count = part_count};

    fixture->err = (struct err){.code = ST_OK};
    return channel_send(fixture->channel, &outbound, fixture->env.arena, delivery_out,
                        &fixture->err);
}

#define BUTTONS                                                                                    \
    "\"buttons\": [{\"id\": \"yes\", \"title\": \"Yes\"}, "                                        \
    "{\"url\": \"https://x.example\", \"title\": \"More\"}]"

static void
test_sending(void **state)
{
    static const struct {
        const char *name, *chat, *text, *metadata, *want;
        unsigned part, part_count;
    } cases[] = {
        {"direct", "D1", "Hi", NULL,
         "{\"channel\": \"D1\", \"text\": \"Hi\", \"thread_ts\": null, \"blocks\": null, "
         "\"unfurl_links\": false}",
         0, 1},
        {"in a thread", "C1:1700000000.000100", "Hi", NULL,
         "{\"channel\": \"C1\", \"thread_ts\": \"1700000000.000100\"}", 0, 1},
        {"markup and escapes", "D1",
         "**Open** *today* at `9:00` [here](https://x.example/?a=1&b=2) <now> & then\n- one", NULL,
         "{\"text\": \"*Open* _today_ at `9:00` <https://x.example/?a=1&amp;b=2|here> &lt;now&gt; "
         "&amp; then\\n\xe2\x80\xa2 one\"}",
         0, 1},
        {"buttons, with plain text beside them", "D1", "**Sure?** a < b", "{" BUTTONS "}",
         "{\"text\": \"Sure? a < b\", \"mrkdwn\": false, \"blocks\": [{\"type\": \"section\", "
         "\"text\": {\"type\": \"mrkdwn\", \"text\": \"*Sure?* a &lt; b\"}}, {\"type\": "
         "\"actions\", \"elements\": [{\"type\": \"button\", \"action_id\": \"button_0\", "
         "\"text\": "
         "{\"type\": \"plain_text\", \"text\": \"Yes\"}, \"value\": \"yes\"}, {\"type\": "
         "\"button\", \"action_id\": \"button_1\", \"text\": {\"type\": \"plain_text\", \"text\": "
         "\"More\"}, \"url\": \"https://x.example\"}]}]}",
         0, 1},
        {"buttons under the last part", "D1", "First", "{" BUTTONS "}",
         "{\"text\": \"First\", \"blocks\": null}", 0, 2},
        {"a button too long becomes a list", "D1", "Which?",
         "{\"buttons\": [{\"id\": \"a\", \"title\": \"A title of more than the seventy-five "
         "characters that Slack takes, so it will not do\"}]}",
         "{\"text\": \"Which?\\n\\n1. A title of more than the seventy-five characters that Slack "
         "takes, so it will not do\", \"blocks\": null}",
         0, 1},
        {"a picture and a file", "D1", "See",
         "{\"attachments\": [{\"kind\": \"image\", \"url\": \"https://f.example/a.png\", "
         "\"file_name\": \"a.png\"}, {\"kind\": \"document\", \"url\": "
         "\"https://f.example/b.pdf\"}]}",
         "{\"blocks\": [{\"type\": \"section\", \"text\": {\"type\": \"mrkdwn\", \"text\": "
         "\"See\\nhttps://f.example/b.pdf\"}}, {\"type\": \"image\", \"image_url\": "
         "\"https://f.example/a.png\", \"alt_text\": \"a.png\"}]}",
         0, 1},
        {"a file alone", "D1", "See",
         "{\"attachments\": [{\"kind\": \"document\", \"url\": \"https://f.example/b.pdf\"}]}",
         "{\"text\": \"See\\nhttps://f.example/b.pdf\", \"blocks\": null}", 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        struct delivery delivery;

        fixture_init(&fixture);
        if (send_one(&fixture, cases[i].chat, cases[i].text, cases[i].metadata, cases[i].part,
                     cases[i].part_count, &delivery) != ST_OK)
            fail_msg("%s: %s", cases[i].name, fixture.err.detail);
        assert_true(str_eq_c(delivery.external_message_id, "A1:T1:C1:1800000000.000100"));
        assert_request(&fixture, cases[i].name, 0, "/api/chat.postMessage", cases[i].want);
        fixture_deinit(&fixture);
    }
}

/* Blocks are given up once; the text stays, with the buttons as a list. */
static void
test_refused_blocks(void **state)
{
    static const char *const errors[] = {"invalid_blocks", "invalid_blocks_format",
                                         "msg_blocks_too_long"};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct fixture fixture;
        struct delivery delivery;
        char answer[100];

        fixture_init(&fixture);
        (void)snprintf(answer, sizeof answer, "{\"ok\":false,\"error\":\"%s\"}", errors[i]);
        test_provider_queue(fixture.provider, (struct test_answer){200, answer, NULL});
        assert_int_equal(send_one(&fixture, "D1", "**Sure?**", "{" BUTTONS "}", 0, 1, &delivery),
                         ST_OK);
        assert_request(&fixture, errors[i], 1, "/api/chat.postMessage",
                       "{\"text\": \"*Sure?*\\n\\n1. Yes\\n2. More: https://x.example\", "
                       "\"blocks\": null}");
        test_provider_forget(fixture.provider);
        test_provider_queue(fixture.provider, (struct test_answer){200, answer, NULL});
        test_provider_queue(fixture.provider, (struct test_answer){200, answer, NULL});
        assert_int_equal(send_one(&fixture, "D1", "**Sure?**", "{" BUTTONS "}", 0, 1, &delivery),
                         ST_INVALID);
        assert_int_equal(test_provider_count(fixture.provider), 2);
        fixture_deinit(&fixture);
    }
}

static void
test_refused_before_sending(void **state)
{
    static const char *const chats[] = {"D 1", "D1:", "D1:now", ":1.000000", "D1:1.000000:x"};
    struct fixture fixture;
    struct delivery delivery;

    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < sizeof chats / sizeof chats[0]; i++)
        assert_int_equal(send_one(&fixture, chats[i], "x", NULL, 0, 1, &delivery), ST_INVALID);
    assert_int_equal(send_one(&fixture, "D1", " ", NULL, 0, 1, &delivery), ST_INVALID);
    assert_int_equal(test_provider_count(fixture.provider), 0);
    fixture_deinit(&fixture);
}

static void
test_editing(void **state)
{
    const struct outbound outbound = {.text = STR("**new**"), .part_count = 1};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(
        channel_edit(fixture.channel, &outbound, STR("A1:T1:C1:1800000000.000100"), &fixture.err),
        ST_OK);
    assert_request(&fixture, "edit", 0, "/api/chat.update",
                   "{\"channel\": \"C1\", \"ts\": \"1800000000.000100\", \"text\": \"*new*\"}");
    assert_int_equal(
        channel_edit(fixture.channel, &outbound, STR("A1:T1:act:U1:1.0:x"), &fixture.err),
        ST_INVALID);
    test_provider_queue(
        fixture.provider,
        (struct test_answer){200, "{\"ok\":false,\"error\":\"edit_window_closed\"}", NULL});
    assert_int_equal(
        channel_edit(fixture.channel, &outbound, STR("A1:T1:C1:1800000000.000100"), &fixture.err),
        ST_CONFLICT);
    test_provider_queue(
        fixture.provider,
        (struct test_answer){200, "{\"ok\":false,\"error\":\"fatal_error\"}", NULL});
    assert_int_equal(
        channel_edit(fixture.channel, &outbound, STR("A1:T1:C1:1800000000.000100"), &fixture.err),
        ST_UNAVAILABLE); /* done again, nothing is doubled */
    fixture_deinit(&fixture);
}

static void
test_growing(void **state)
{
    const struct str id = STR("A1:T1:D1:1800000000.000100");
    struct outbound outbound = {.message_id = ID_NEW(message_id),
                                .external_chat_id = STR("D1:1700000000.000100"),
                                .text = STR("One **two"),
                                .part_count = 2};
    struct fixture fixture;
    struct delivery delivery;

    (void)state;
    fixture_init(&fixture);
    assert_true(channel_grows_in(fixture.channel, outbound.external_chat_id));
    assert_int_equal(
        channel_begin(fixture.channel, &outbound, fixture.env.arena, &delivery, &fixture.err),
        ST_OK);
    assert_true(delivery.external_message_id.len > 0);
    struct str want = arena_printf(
        fixture.env.arena,
        "{\"channel\":\"D1\",\"thread_ts\":\"1700000000.000100\",\"text\":\"One **two\","
        "\"metadata\":{\"event_type\":\"parley_message\",\"event_payload\":{\"id\":\"%s\","
        "\"part\":0}}}",
        outbound.message_id.id.text);
    assert_request(&fixture, "begin", 0, "/api/chat.postMessage", want.ptr);
    outbound.text = STR("One **two** three");
    channel_grow(fixture.channel, &outbound, id, 1);
    assert_request(&fixture, "grow", 1, "/api/chat.update",
                   "{\"channel\": \"D1\", \"ts\": \"1800000000.000100\", \"text\": "
                   "\"One *two* three\"}");
    channel_grow(fixture.channel, &outbound, id, 2); /* too soon for the workspace */
    channel_grow(fixture.channel, &outbound, STR("A1:T1:D2:1800000000.000200"), 1);
    assert_int_equal(test_provider_count(fixture.provider), 2);
    clock_advance_us(fixture.env.clock, 1500 * US_PER_MS);
    test_provider_queue(
        fixture.provider,
        (struct test_answer){429, "{\"ok\":false,\"error\":\"ratelimited\"}", "30"});
    channel_grow(fixture.channel, &outbound, id, 3);
    clock_advance_us(fixture.env.clock, 29 * US_PER_S);
    channel_grow(fixture.channel, &outbound, id, 4);
    assert_int_equal(test_provider_count(fixture.provider), 3);
    clock_advance_us(fixture.env.clock, US_PER_S);
    channel_grow(fixture.channel, &outbound, id, 5);
    assert_int_equal(test_provider_count(fixture.provider), 4);
    assert_int_equal(channel_withdraw(fixture.channel, outbound.external_chat_id, id, &fixture.err),
                     ST_OK);
    assert_request(&fixture, "withdraw", 4, "/api/chat.delete",
                   "{\"channel\": \"D1\", \"ts\": \"1800000000.000100\"}");
    test_provider_queue(
        fixture.provider,
        (struct test_answer){200, "{\"ok\":false,\"error\":\"message_not_found\"}", NULL});
    assert_int_equal(channel_withdraw(fixture.channel, outbound.external_chat_id, id, &fixture.err),
                     ST_OK);
    assert_int_equal(
        channel_withdraw(fixture.channel, outbound.external_chat_id, STR("x"), &fixture.err),
        ST_INVALID);
    fixture_deinit(&fixture);
}

#define MESSAGE(id, part, ts)                                                                      \
    "{\"type\":\"message\",\"ts\":\"" ts "\",\"metadata\":{\"event_type\":\"parley_message\","     \
    "\"event_payload\":{\"id\":\"" id "\",\"part\":" part "}}}"
#define OURS "0192f0c1-2345-7abc-8def-0123456789ab"

static const struct {
    const char *name, *chat;
    struct test_answer answers[3]; /* until one without a body */
    const char *path, *form;       /* of the last */
    enum status want;
    const char *found;
} searches[] = {
    {"in the channel",
     "D1",
     {{200,
       "{\"ok\":true,\"messages\":[" MESSAGE("x", "1", "1800000003.000100") "," MESSAGE(
           OURS, "0", "1800000002.000100") "," MESSAGE(OURS, "1", "1800000001.000100") "]}",
       NULL}},
     "/api/conversations.history",
     "channel=D1&oldest=1799999700.000007&include_all_metadata=true&limit=100",
     ST_OK,
     "A1:T1:D1:1800000001.000100"},
    {"in the thread",
     "C1:1700000000.000100",
     {{200, "{\"ok\":true,\"messages\":[" MESSAGE(OURS, "1", "1800000001.000100") "]}", NULL}},
     "/api/conversations.replies",
     "channel=C1&ts=1700000000.000100&oldest=1799999700.000007&include_all_metadata=true&"
     "limit=100",
     ST_OK,
     "A1:T1:C1:1800000001.000100"},
    {"on the second page",
     "D1",
     {{200, "{\"ok\":true,\"messages\":[],\"response_metadata\":{\"next_cursor\":\"bm=\"}}", NULL},
      {200, "{\"ok\":true,\"messages\":[" MESSAGE(OURS, "1", "1800000001.000100") "]}", NULL}},
     "/api/conversations.history",
     "channel=D1&oldest=1799999700.000007&include_all_metadata=true&limit=100&cursor=bm%3D",
     ST_OK,
     "A1:T1:D1:1800000001.000100"},
    {"somebody else's",
     "D1",
     {{200,
       "{\"ok\":true,\"messages\":[{\"ts\":\"1800000001.000100\",\"metadata\":{"
       "\"event_type\":\"other\",\"event_payload\":{\"id\":\"" OURS
       "\",\"part\":1}}},{\"ts\":\"1800000002.000100\"}],\"response_metadata\":{"
       "\"next_cursor\":\"\"}}",
       NULL}},
     NULL,
     NULL,
     ST_NOT_FOUND,
     NULL},
    {"busy",
     "D1",
     {{429, "{\"ok\":false,\"error\":\"ratelimited\"}", "60"}},
     NULL,
     NULL,
     ST_BUSY,
     NULL},
    {"no right",
     "D1",
     {{200, "{\"ok\":false,\"error\":\"missing_scope\"}", NULL}},
     NULL,
     NULL,
     ST_DENIED,
     NULL},
    {"not a member",
     "D1",
     {{200, "{\"ok\":false,\"error\":\"not_in_channel\"}", NULL}},
     NULL,
     NULL,
     ST_INVALID,
     NULL},
    {"away", "D1", {{502, "<html>", NULL}}, NULL, NULL, ST_UNAVAILABLE, NULL},
};

static void
test_finding(void **state)
{
    struct outbound outbound = {.part = 1, .part_count = 2};
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    assert_int_equal(ID_PARSE(STR(OURS), &outbound.message_id, &fixture.err), ST_OK);
    for (size_t i = 0; i < sizeof searches / sizeof searches[0]; i++) {
        struct delivery delivery;
        size_t count = 0;

        test_provider_forget(fixture.provider);
        for (; count < 3 && searches[i].answers[count].body != NULL; count++)
            test_provider_queue(fixture.provider, searches[i].answers[count]);
        outbound.external_chat_id = str_from_c(searches[i].chat);
        enum status st = channel_find(fixture.channel, &outbound, 1800000000 * US_PER_S + 7,
                                      fixture.env.arena, &delivery, &fixture.err);
        if (st != searches[i].want)
            fail_msg("%s: %s (%s)", searches[i].name, status_name(st), fixture.err.detail);
        assert_int_equal(test_provider_count(fixture.provider), count);
        if (searches[i].form != NULL)
            assert_form(&fixture, count - 1, searches[i].path, searches[i].form);
        if (searches[i].found != NULL)
            assert_true(str_eq_c(delivery.external_message_id, searches[i].found));
    }
    fixture_deinit(&fixture);
}

static void
test_typing(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_init(&fixture);
    channel_typing(fixture.channel, STR("D1"));
    channel_typing(fixture.channel, STR("C1:1700000000.000100"));
    channel_typing(fixture.channel, STR("nonsense:"));
    assert_int_equal(test_provider_count(fixture.provider), 0);
    channel_typing(fixture.channel, STR("D1:1700000000.000100"));
    assert_request(&fixture, "typing", 0, "/api/assistant.threads.setStatus",
                   "{\"channel_id\": \"D1\", \"thread_ts\": \"1700000000.000100\", \"status\": "
                   "\"is typing...\"}");
    fixture_deinit(&fixture);
}

/* --- the account --- */

static void
test_probe(void **state)
{
    struct fixture fixture;
    struct str account;

    (void)state;
    fixture_init(&fixture);
    test_provider_queue(fixture.provider,
                        (struct test_answer){200,
                                             "{\"ok\":true,\"team\":\"Harbour\",\"team_id\":\"T1\","
                                             "\"user\":\"parley\",\"user_id\":\"UBOT\"}",
                                             NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_OK);
    assert_true(str_eq_c(account, "@parley in Harbour"));
    assert_form(&fixture, 0, "/api/auth.test", "");
    struct slack_channel *slack = (struct slack_channel *)fixture.channel;
    assert_true(slack_user_is_ours(slack, STR("UBOT")));
    assert_false(slack_user_is_ours(slack, STR("")));
    test_provider_queue(fixture.provider,
                        (struct test_answer){200, "{\"ok\":true,\"team_id\":\"T2\"}", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_INVALID);
    test_provider_queue(fixture.provider, (struct test_answer){200, "<html>", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_UNAVAILABLE);
    test_provider_queue(
        fixture.provider,
        (struct test_answer){200, "{\"ok\":false,\"error\":\"invalid_auth\"}", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_DENIED);
    /* What was learned is not forgotten with new settings. */
    struct channel_record *newer = test_record("slack", "{}", CREDENTIALS);
    struct channel *reopened;

    newer->id = fixture.record->id;
    newer->revision = fixture.record->revision + 1;
    assert_int_equal(channel_acquire(fixture.env.registry, newer, &reopened, &fixture.err), ST_OK);
    assert_true(slack_user_is_ours((struct slack_channel *)reopened, STR("UBOT")));
    channel_release(&reopened);
    test_record_release(&newer);
    fixture_deinit(&fixture);
}

/* --- files --- */

static bool
collect(struct str bytes, void *context)
{
    buf_append(context, bytes);
    return true;
}

static enum status
fetch(struct fixture *fixture, const char *attachment_text, size_t max_bytes, struct buf *bytes)
{
    const struct media_sink sink = {.max_bytes = max_bytes, .write = collect, .context = bytes};
    json_auto_t *attachment = json_loads(attachment_text, 0, NULL);
    struct str mime_type;

    assert_non_null(attachment);
    buf_clear(bytes);
    fixture->err = (struct err){.code = ST_OK};
    return channel_fetch_media(fixture->channel, attachment, &sink, fixture->env.arena, &mime_type,
                               &fixture->err);
}

static void
test_files(void **state)
{
    static const struct {
        int status;
        enum status want;
    } errors[] = {{404, ST_NOT_FOUND}, {302, ST_DENIED},      {403, ST_DENIED},
                  {429, ST_BUSY},      {500, ST_UNAVAILABLE}, {503, ST_UNAVAILABLE}};
    struct fixture fixture;
    struct buf bytes;
    char attachment[200], answer[200];

    (void)state;
    fixture_init(&fixture);
    buf_init(&bytes, 4096);
    unsigned port = test_provider_port(fixture.provider);
    (void)snprintf(attachment, sizeof attachment,
                   "{\"kind\": \"image\", \"file_id\": \"F1\", \"url\": "
                   "\"http://127.0.0.1:%u/files/a.png\", \"mime_type\": \"image/png\"}",
                   port);
    test_provider_queue(fixture.provider, (struct test_answer){200, "the picture", NULL});
    assert_int_equal(fetch(&fixture, attachment, 100, &bytes), ST_OK);
    assert_true(str_eq_c(buf_str(&bytes), "the picture"));
    struct test_request request = test_provider_got(fixture.provider, 0, fixture.env.arena);
    assert_true(str_eq_c(request.method, "GET"));
    assert_true(str_eq_c(request.authorization, "Bearer " TOKEN));
    test_provider_queue(fixture.provider, (struct test_answer){200, "the picture", NULL});
    assert_int_equal(fetch(&fixture, attachment, 5, &bytes), ST_TOO_LARGE);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        test_provider_queue(fixture.provider, (struct test_answer){errors[i].status, "{}", NULL});
        assert_int_equal(fetch(&fixture, attachment, 100, &bytes), errors[i].want);
    }
    /* By its id alone. */
    test_provider_forget(fixture.provider);
    (void)snprintf(answer, sizeof answer,
                   "{\"ok\":true,\"file\":{\"url_private\":\"http://127.0.0.1:%u/files/b\"}}",
                   port);
    test_provider_queue(fixture.provider, (struct test_answer){200, answer, NULL});
    test_provider_queue(fixture.provider, (struct test_answer){200, "b", NULL});
    assert_int_equal(fetch(&fixture, "{\"kind\": \"document\", \"file_id\": \"F2\"}", 100, &bytes),
                     ST_OK);
    assert_form(&fixture, 0, "/api/files.info", "file=F2");
    assert_true(str_eq_c(buf_str(&bytes), "b"));
    /* The token goes nowhere else. */
    test_provider_forget(fixture.provider);
    (void)snprintf(attachment, sizeof attachment,
                   "{\"kind\": \"image\", \"file_id\": \"F1\", \"url\": "
                   "\"http://127.0.0.1:%u/elsewhere/a.png\"}",
                   port);
    assert_int_equal(fetch(&fixture, attachment, 100, &bytes), ST_NOT_FOUND);
    assert_int_equal(fetch(&fixture, "{\"kind\": \"image\"}", 100, &bytes), ST_INVALID);
    assert_int_equal(test_provider_count(fixture.provider), 0);
    buf_deinit(&bytes);
    fixture_deinit(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_vector),
        cmocka_unit_test(test_times_and_secrets),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_sending),
        cmocka_unit_test(test_refused_blocks),
        cmocka_unit_test(test_refused_before_sending),
        cmocka_unit_test(test_editing),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
