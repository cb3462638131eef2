/*
 * telegram_test.c - what the Telegram driver sends, and how it takes the answers
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "channel/drivers/telegram.h"
#include "text/json.h"
#include "text/text.h"

#define CREDENTIALS                                                                                \
    "{\"bot_token\": \"7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\", "                          \
    "\"secret_token\": \"s3cr3t-Token_1\", \"previous_secret_token\": \"former-Token_0\"}"
#define PATH "/bot7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/"
#define SENT                                                                                       \
    "{\"ok\":true,\"result\":{\"message_id\":99,\"from\":{\"id\":7000000001,\"is_bot\":true,"      \
    "\"username\":\"parley_bot\"}}}"
#define ME                                                                                         \
    "{\"ok\":true,\"result\":{\"id\":7000000001,\"is_bot\":true,\"username\":\"parley_bot\"}}"

#define REFUSED(description)                                                                       \
    "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: " description "\"}"

struct fixture {
    struct test_env env;
    struct test_provider *provider;
    struct channel_record *record;
    struct channel *channel;
    struct err err;
};

static void
fixture_init(struct fixture *fixture, const char *settings_format)
{
    char settings[512];

    test_env_init(&fixture->env);
    fixture->provider = test_provider_start((struct test_answer){200, SENT, NULL});
    int length = snprintf(settings, sizeof settings, "{\"api_base\": \"http://127.0.0.1:%u\"%s}",
                          test_provider_port(fixture->provider), settings_format);
    assert_true(length > 0 && (size_t)length < sizeof settings);
    fixture->record = test_record("telegram", settings, CREDENTIALS);
    assert_int_equal(
        channel_acquire(fixture->env.registry, fixture->record, &fixture->channel, &fixture->err),
        ST_OK);
}

static void
fixture_deinit(struct fixture *fixture)
{
    channel_release(&fixture->channel);
    test_record_release(&fixture->record);
    test_provider_stop(&fixture->provider);
    test_env_deinit(&fixture->env);
}

static enum status
send_outbound(struct fixture *fixture, const struct outbound *outbound,
              struct delivery *delivery_out)
{
    fixture->err = (struct err){.code = ST_OK};
    return channel_send(fixture->channel, outbound, fixture->env.arena, delivery_out,
                        &fixture->err);
}

static enum status
send_to(struct fixture *fixture, const char *chat, struct delivery *delivery_out)
{
    const struct outbound outbound = {
        .external_chat_id = str_from_c(chat), .text = STR("text"), .part_count = 1};

    return send_outbound(fixture, &outbound, delivery_out);
}

static void
assert_request(struct fixture *fixture, size_t index, const char *method, const char *want)
{
    struct str path;
    json_auto_t *got = test_provider_request(fixture->provider, index, fixture->env.arena, &path);
    json_auto_t *want_json = json_loads(want, 0, NULL);

    assert_non_null(want_json);
    if (!str_starts_with(path, STR(PATH)) ||
        !str_eq_c(str_sub(path, sizeof PATH - 1, path.len), method))
        fail_msg("request %zu is %.*s, want %s", index, STR_ARG(path), method);
    test_assert_contains(method, want_json, got);
}

/* --- sending --- */

static struct str
repeat(struct arena *arena, const char *piece, size_t count)
{
    struct buf out;

    buf_init(&out, 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_append_c(&out, piece);
    struct str copy = arena_str(arena, buf_str(&out));
    buf_deinit(&out);
    return copy;
}

static void
test_request(void **state)
{
    struct fixture f;
    struct delivery delivery;
    json_auto_t *metadata = json_loads("{\"buttons\":[{\"title\":\"Yes\",\"id\":\"y\"},"
                                       "{\"title\":\"Site\",\"url\":\"https://e.com\"}]}",
                                       0, NULL);
    struct outbound outbound = {.external_chat_id = STR("-1001234567890:5"),
                                .reply_to_external_id = STR("7000000001:-1001234567890:7"),
                                .text = STR("**Yes** [1] & no"),
                                .metadata = metadata,
                                .part_count = 2};

    (void)state;
    fixture_init(&f, "");
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    assert_true(str_eq_c(delivery.external_message_id, "7000000001:-1001234567890:99"));
    assert_request(&f, 0, "sendMessage",
                   "{\"chat_id\":-1001234567890,\"message_thread_id\":5,"
                   "\"text\":\"<b>Yes</b> [1] &amp; no\",\"parse_mode\":\"HTML\","
                   "\"link_preview_options\":{\"is_disabled\":true},\"reply_markup\":null,"
                   "\"reply_parameters\":{\"message_id\":7,\"allow_sending_without_reply\":true}}");

    /* The last part: buttons, and no reply. */
    outbound.part = 1;
    outbound.text = STR("a < b");
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    assert_request(&f, 1, "sendMessage",
                   "{\"text\":\"a < b\",\"parse_mode\":null,\"reply_parameters\":null,"
                   "\"reply_markup\":{\"inline_keyboard\":[[{\"text\":\"Yes\",\"callback_data\":"
                   "\"y\"}],[{\"text\":\"Site\",\"url\":\"https://e.com\"}]]}}");

    /* Ids that name no message of this chat are not replied to. */
    outbound.metadata = NULL;
    outbound.part = 0;
    outbound.reply_to_external_id = STR("7000000001:cb:77");
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    outbound.reply_to_external_id = STR("7000000001:42:7");
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    assert_request(&f, 2, "sendMessage", "{\"reply_parameters\":null}");
    assert_request(&f, 3, "sendMessage", "{\"reply_parameters\":null}");
    fixture_deinit(&f);
}

static void
test_media(void **state)
{
    static const struct {
        const char *attachments;
        size_t repeats; /* of "text " */
        const char *method, *want;
    } cases[] = {
        {"[{\"kind\":\"image\",\"url\":\"https://x/a.png\"}]", 1, "sendPhoto",
         "{\"chat_id\":42,\"photo\":\"https://x/a.png\",\"caption\":\"text \",\"text\":null}"},
        {"[{\"kind\":\"voice\",\"url\":\"https://x/a.ogg\"}]", 1, "sendVoice",
         "{\"voice\":\"https://x/a.ogg\"}"},
        {"[{\"kind\":\"hologram\",\"url\":\"https://x/a\"}]", 1, "sendMessage",
         "{\"text\":\"text \\nhttps://x/a\"}"},
        {"[{\"kind\":\"image\",\"url\":\"https://x/a\"},{\"kind\":\"image\",\"url\":\"https://x/"
         "b\"}]",
         1, "sendMessage", "{\"text\":\"text \\nhttps://x/a\\nhttps://x/b\"}"},
        {"[{\"kind\":\"image\",\"url\":\"https://x/a\"}]", 205, "sendMessage",
         "{\"caption\":null}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct delivery delivery;
        json_auto_t *metadata = json_object();

        fixture_init(&f, "");
        assert_int_equal(
            json_object_set_new(metadata, "attachments", json_loads(cases[i].attachments, 0, NULL)),
            0);
        const struct outbound outbound = {.external_chat_id = STR("42"),
                                          .text = repeat(f.env.arena, "text ", cases[i].repeats),
                                          .metadata = metadata,
                                          .part_count = 1};
        assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
        assert_int_equal(test_provider_count(f.provider), 1);
        assert_request(&f, 0, cases[i].method, cases[i].want);
        assert_true(str_eq_c(delivery.external_message_id, "7000000001:42:99"));
        fixture_deinit(&f);
    }
}

/* The address stays for the person when Telegram cannot fetch it; marks that it refuses go first.
 */
static void
test_media_refused(void **state)
{
    json_auto_t *metadata =
        json_loads("{\"attachments\":[{\"kind\":\"image\",\"url\":\"https://x/a.png\"}]}", 0, NULL);
    const struct outbound outbound = {.external_chat_id = STR("42"),
                                      .text = STR("**See**"),
                                      .metadata = metadata,
                                      .part_count = 1};
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider,
                        (struct test_answer){400, REFUSED("can't parse entities: x"), NULL});
    test_provider_queue(f.provider,
                        (struct test_answer){400, REFUSED("failed to get HTTP URL content"), NULL});
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    assert_int_equal(test_provider_count(f.provider), 3);
    assert_request(&f, 0, "sendPhoto", "{\"caption\":\"<b>See</b>\",\"parse_mode\":\"HTML\"}");
    assert_request(&f, 1, "sendPhoto", "{\"caption\":\"See\",\"parse_mode\":null}");
    assert_request(&f, 2, "sendMessage", "{\"text\":\"See\\nhttps://x/a.png\"}");
    fixture_deinit(&f);
}

static void
test_bad_requests(void **state)
{
    static const char *const chats[] = {"abc",  "",    "42:",    "42:x", "42:-1",
                                        "42:0", "1.5", "42:1:2", "0",    "9007199254740993"};
    static const char *const buttons[] = {
        "{\"buttons\":[{\"title\":\"x\"}]}", "{\"buttons\":[{\"id\":\"x\"}]}",
        "{\"buttons\":[{\"title\":\"x\",\"id\":\"d\",\"url\":\"https://e\"}]}",
        "{\"buttons\":[{\"text\":\"x\",\"data\":"
        "\"12345678901234567890123456789012345678901234567890123456789012345\"}]}",
        "{\"buttons\":[1]}"};
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof chats / sizeof chats[0]; i++)
        if (send_to(&f, chats[i], &delivery) != ST_INVALID)
            fail_msg("chat \"%s\" was accepted", chats[i]);
    for (size_t i = 0; i < sizeof buttons / sizeof buttons[0]; i++) {
        json_auto_t *metadata = json_loads(buttons[i], 0, NULL);
        char chat[8];
        (void)snprintf(chat, sizeof chat, "%zu", i + 1);
        const struct outbound outbound = {.external_chat_id = str_from_c(chat),
                                          .text = STR("x"),
                                          .metadata = metadata,
                                          .part_count = 1};

        if (send_outbound(&f, &outbound, &delivery) != ST_INVALID)
            fail_msg("%s was accepted", buttons[i]);
    }
    const struct outbound endless = {.external_chat_id = STR("42"),
                                     .text = repeat(f.env.arena, "text ", 20000),
                                     .part_count = 1};
    assert_int_equal(send_outbound(&f, &endless, &delivery), ST_TOO_LARGE);
    assert_int_equal(test_provider_count(f.provider), 0);
    fixture_deinit(&f);
}

static void
test_markup_refused(void **state)
{
    struct fixture f;
    struct delivery delivery;
    const struct outbound outbound = {
        .external_chat_id = STR("42"), .text = STR("**a** < b"), .part_count = 1};

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider,
                        (struct test_answer){400,
                                             "{\"ok\":false,\"error_code\":400,\"description\":"
                                             "\"Bad Request: can't parse entities: Unsupported "
                                             "start tag\"}",
                                             NULL});
    assert_int_equal(send_outbound(&f, &outbound, &delivery), ST_OK);
    assert_int_equal(test_provider_count(f.provider), 2);
    assert_request(&f, 0, "sendMessage", "{\"parse_mode\":\"HTML\"}");
    assert_request(&f, 1, "sendMessage", "{\"parse_mode\":null,\"text\":\"a < b\"}");
    fixture_deinit(&f);
}

#define MOVED                                                                                      \
    "{\"ok\":false,\"error_code\":400,\"description\":\"Bad Request: group chat was upgraded to "  \
    "a "                                                                                           \
    "supergroup chat\",\"parameters\":{\"migrate_to_chat_id\":-1009}}"

static void
test_migration(void **state)
{
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider, (struct test_answer){400, MOVED, NULL});
    assert_int_equal(send_to(&f, "-500:3", &delivery), ST_OK);
    assert_true(str_eq_c(delivery.new_external_chat_id, "-1009"));
    assert_true(str_eq_c(delivery.external_message_id, "7000000001:-1009:99"));
    assert_request(&f, 0, "sendMessage", "{\"chat_id\":-500,\"message_thread_id\":3}");
    assert_request(&f, 1, "sendMessage", "{\"chat_id\":-1009,\"message_thread_id\":null}");

    /* The second attempt fails: the caller learns the new place all the same. */
    test_provider_queue(f.provider, (struct test_answer){400, MOVED, NULL});
    test_provider_queue(f.provider, (struct test_answer){502, "<html>", NULL});
    assert_int_equal(send_to(&f, "-501", &delivery), ST_UNAVAILABLE);
    assert_true(str_eq_c(delivery.new_external_chat_id, "-1009"));

    /* No circles. */
    test_provider_forget(f.provider);
    test_provider_queue(f.provider, (struct test_answer){400, MOVED, NULL});
    test_provider_queue(f.provider, (struct test_answer){400, MOVED, NULL});
    assert_int_equal(send_to(&f, "-502", &delivery), ST_CONFLICT);
    assert_int_equal(test_provider_count(f.provider), 2);
    fixture_deinit(&f);
}

#define TOO_MANY                                                                                   \
    "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 7\","       \
    "\"parameters\":{\"retry_after\":7}}"

static void
test_too_many(void **state)
{
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider, (struct test_answer){429, TOO_MANY, "7"});
    assert_int_equal(send_to(&f, "42", &delivery), ST_BUSY);
    assert_int_equal(f.err.retry_after_ms, 7000);

    /* The chat rests, without asking Telegram again; others are served. */
    clock_advance_us(f.env.clock, 3 * US_PER_S);
    assert_int_equal(send_to(&f, "42", &delivery), ST_BUSY);
    assert_int_equal(f.err.retry_after_ms, 4000);
    assert_int_equal(test_provider_count(f.provider), 1);
    assert_int_equal(send_to(&f, "43", &delivery), ST_OK);

    /* A second chat is told the same: it is the bot that was too fast. */
    test_provider_queue(f.provider, (struct test_answer){429, TOO_MANY, "7"});
    assert_int_equal(send_to(&f, "44", &delivery), ST_BUSY);
    assert_int_equal(send_to(&f, "45", &delivery), ST_BUSY);
    assert_int_equal(f.err.retry_after_ms, 7000);
    clock_advance_us(f.env.clock, 7 * US_PER_S);
    assert_int_equal(send_to(&f, "45", &delivery), ST_OK);
    assert_int_equal(send_to(&f, "42", &delivery), ST_OK);
    fixture_deinit(&f);
}

/* --- pacing --- */

/* Sends as often as allowed for `seconds`, looking every 10 ms; the most within any `window_s`. */
static unsigned
busiest_window(struct telegram_pace *pace, int64_t first_chat, unsigned chats, unsigned seconds,
               unsigned window_s, unsigned *total_out)
{
    unsigned steps = seconds * 100, window = window_s * 100, best = 0, sum = 0;
    unsigned *sent = calloc(steps, sizeof *sent);

    assert_non_null(sent);
    *total_out = 0;
    for (unsigned step = 0; step < steps; step++) {
        for (unsigned chat = 0; chat < chats; chat++)
            while (telegram_pace_take(pace, first_chat + chat,
                                      1000 * US_PER_S + step * 10 * US_PER_MS) == 0)
                sent[step]++;
        sum += sent[step];
        *total_out += sent[step];
        if (step >= window)
            sum -= sent[step - window];
        if (sum > best)
            best = sum;
    }
    free(sent);
    return best;
}

static void
test_pacing(void **state)
{
    const struct telegram_pace_limits limits = {
        .bot_per_second = 30, .chat_per_minute = 60, .group_per_minute = 20};
    struct telegram_pace pace;
    unsigned total;

    (void)state;
    /* A private chat: a burst of five, then one a second. */
    telegram_pace_init(&pace, &limits);
    assert_true(busiest_window(&pace, 42, 1, 300, 60, &total) <= 65);
    assert_in_range(total, 300, 305);
    telegram_pace_deinit(&pace);

    /* A group: never more than 20 in any minute, and little less on the whole. */
    telegram_pace_init(&pace, &limits);
    assert_true(busiest_window(&pace, -42, 1, 600, 60, &total) <= 20);
    assert_in_range(total, 160, 200);
    telegram_pace_deinit(&pace);

    /* The bot: 30 a second over many chats, with a third of that as a burst. */
    telegram_pace_init(&pace, &limits);
    assert_true(busiest_window(&pace, 1, 500, 10, 1, &total) <= 42);
    assert_in_range(total, 300, 312);
    telegram_pace_deinit(&pace);

    /* The wait that is named is enough, and nothing is counted by asking. */
    telegram_pace_init(&pace, &limits);
    int64_t now_us = 1000 * US_PER_S;
    while (telegram_pace_take(&pace, 42, now_us) == 0)
        ;
    int wait_ms = telegram_pace_take(&pace, 42, now_us);
    assert_int_equal(wait_ms, 1000);
    assert_int_equal(telegram_pace_take(&pace, 42, now_us), wait_ms);
    assert_int_equal(telegram_pace_take(&pace, 42, now_us + wait_ms * US_PER_MS), 0);
    telegram_pace_deinit(&pace);

    /* Those whom the bot's limit holds up are called back at its rate, not all at once. */
    telegram_pace_init(&pace, &limits);
    int64_t chat = 1;
    while ((wait_ms = telegram_pace_take(&pace, chat, now_us)) == 0)
        chat++;
    for (int i = 1; i < 100; i++) {
        int next_ms = telegram_pace_take(&pace, chat + i, now_us);

        assert_in_range(next_ms - wait_ms, 33, 34);
        wait_ms = next_ms;
    }
    assert_int_equal(telegram_pace_take(&pace, chat, now_us + wait_ms * US_PER_MS), 0);
    telegram_pace_deinit(&pace);

    /* More chats than are remembered: those at rest are forgotten. */
    telegram_pace_init(&pace, &limits);
    for (chat = 1; chat <= 20000; chat++)
        assert_int_equal(telegram_pace_take(&pace, chat, now_us + chat * US_PER_S), 0);
    assert_true(pace.chats.count <= 8192);
    telegram_pace_deinit(&pace);
}

/* --- the other calls --- */

static void
test_lossy_calls(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "");
    channel_typing(f.channel, STR("-1001:5"));
    channel_acknowledge(f.channel, STR("4382bf"));
    channel_typing(f.channel, STR("nonsense"));
    channel_typing(f.channel, STR(""));
    channel_acknowledge(f.channel, STR(""));
    assert_int_equal(test_provider_count(f.provider), 2);
    assert_request(&f, 0, "sendChatAction",
                   "{\"chat_id\":-1001,\"message_thread_id\":5,\"action\":\"typing\"}");
    assert_request(&f, 1, "answerCallbackQuery", "{\"callback_query_id\":\"4382bf\"}");
    fixture_deinit(&f);
}

/* In private chats, until the server says that it knows no drafts. */
static void
test_drafts(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "");
    channel_draft(f.channel, STR("42:5"), 9, STR("**So** far"));
    channel_draft(f.channel, STR("-1001"), 9, STR("In a group"));
    channel_draft(f.channel, STR("42"), 9, STR(" "));
    channel_draft(f.channel, STR("42"), 9, repeat(f.env.arena, "1234", 1025));
    assert_int_equal(test_provider_count(f.provider), 1);
    assert_request(&f, 0, "sendMessageDraft",
                   "{\"chat_id\":42,\"message_thread_id\":5,\"draft_id\":9,\"text\":\"So far\"}");
    test_provider_queue(f.provider, (struct test_answer){502, "<html>", NULL});
    channel_draft(f.channel, STR("42"), 9, STR("So"));
    channel_draft(f.channel, STR("42"), 9, STR("So far"));
    assert_int_equal(test_provider_count(f.provider), 3);
    test_provider_queue(
        f.provider,
        (struct test_answer){404,
                             "{\"ok\":false,\"error_code\":404,\"description\":\"Not Found: method "
                             "not found\"}",
                             NULL});
    channel_draft(f.channel, STR("42"), 9, STR("So"));
    channel_draft(f.channel, STR("42"), 9, STR("So far"));
    assert_int_equal(test_provider_count(f.provider), 4);
    fixture_deinit(&f);
}

static void
test_probe_and_register(void **state)
{
    struct fixture f;
    struct str account;

    (void)state;
    fixture_init(&f, ",\"commands\":[{\"command\":\"new\",\"description\":\"Start over\"}]");
    test_provider_queue(f.provider, (struct test_answer){200, ME, NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_OK);
    assert_true(str_eq_c(account, "@parley_bot"));
    test_provider_queue(
        f.provider,
        (struct test_answer){200, "{\"ok\":true,\"result\":{\"id\":5,\"username\":\"x\"}}", NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_INVALID);

    test_provider_forget(f.provider);
    test_provider_queue(f.provider, (struct test_answer){200, ME, NULL});
    test_provider_queue(f.provider,
                        (struct test_answer){200, "{\"ok\":true,\"result\":true}", NULL});
    test_provider_queue(f.provider,
                        (struct test_answer){200, "{\"ok\":true,\"result\":true}", NULL});
    assert_int_equal(
        channel_register(f.channel, STR("https://p.example/webhooks/telegram/1"), &f.err), ST_OK);
    assert_request(&f, 0, "getMe", "{}");
    assert_request(&f, 1, "setWebhook",
                   "{\"url\":\"https://p.example/webhooks/telegram/1\","
                   "\"secret_token\":\"s3cr3t-Token_1\",\"max_connections\":40,"
                   "\"allowed_updates\":[\"message\",\"edited_message\",\"callback_query\","
                   "\"my_chat_member\",\"message_reaction\"]}");
    assert_request(&f, 2, "setMyCommands",
                   "{\"commands\":[{\"command\":\"new\",\"description\":\"Start over\"}]}");

    test_provider_queue(f.provider,
                        (struct test_answer){401,
                                             "{\"ok\":false,\"error_code\":401,\"description\":"
                                             "\"Unauthorized\"}",
                                             NULL});
    assert_int_equal(channel_register(f.channel, STR("https://x"), &f.err), ST_DENIED);
    fixture_deinit(&f);
}

#define WEBHOOK_SET                                                                                \
    "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: can't use getUpdates method "    \
    "while webhook is active; use deleteWebhook to delete the webhook first\"}"
#define OTHER_POLLER                                                                               \
    "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated by other getUpdates " \
    "request; make sure that only one bot instance is running\"}"

static enum status
poll_once(struct fixture *f, struct str cursor, struct channel_poll *poll_out)
{
    return channel_poll(f->channel, cursor, 50, f->env.arena, poll_out, &f->err);
}

static void
test_polling(void **state)
{
    struct fixture f;
    struct channel_poll poll;
    struct inbound_batch batch;

    (void)state;
    fixture_init(&f, "");
    /* First the name, then updates; a webhook that is in the way is taken down. */
    test_provider_queue(f.provider, (struct test_answer){200, ME, NULL});
    test_provider_queue(f.provider, (struct test_answer){409, WEBHOOK_SET, NULL});
    test_provider_queue(f.provider,
                        (struct test_answer){200, "{\"ok\":true,\"result\":true}", NULL});
    test_provider_queue(
        f.provider,
        (struct test_answer){
            200,
            "{\"ok\":true,\"result\":[{\"update_id\":10,\"message\":{\"message_id\":1,\"date\":1,"
            "\"chat\":{\"id\":42,\"type\":\"private\"},\"from\":{\"id\":42,\"is_bot\":false},"
            "\"text\":\"Hi\"}},{\"update_id\":11,\"telepathy\":{}}]}",
            NULL});
    assert_int_equal(poll_once(&f, STR(""), &poll), ST_OK);
    assert_int_equal(poll.count, 2);
    assert_true(str_eq_c(poll.cursor, "12"));
    assert_null(poll.updates[0].request);
    assert_int_equal(channel_parse(f.channel, &poll.updates[0], f.env.arena, &batch, &f.err),
                     ST_OK);
    assert_true(str_eq_c(batch.items[0].text, "Hi"));
    inbound_batch_deinit(&batch);
    assert_request(&f, 0, "getMe", "{}");
    assert_request(&f, 1, "getUpdates", "{\"offset\":null,\"limit\":100,\"timeout\":0}");
    assert_request(&f, 2, "deleteWebhook", "{}");
    assert_request(&f, 3, "getUpdates", "{}");

    /* Nothing new: the cursor stays, and confirms what came before. */
    test_provider_forget(f.provider);
    test_provider_queue(f.provider, (struct test_answer){200, "{\"ok\":true,\"result\":[]}", NULL});
    assert_int_equal(poll_once(&f, poll.cursor, &poll), ST_OK);
    assert_int_equal(poll.count, 0);
    assert_true(str_eq_c(poll.cursor, "12"));
    assert_request(&f, 0, "getUpdates", "{\"offset\":12}");

    /* Another process polls: that is not settled by taking turns at breaking each other. */
    test_provider_forget(f.provider);
    test_provider_queue(f.provider, (struct test_answer){409, OTHER_POLLER, NULL});
    assert_int_equal(poll_once(&f, STR("12"), &poll), ST_CONFLICT);
    assert_int_equal(test_provider_count(f.provider), 1);

    test_provider_queue(f.provider, (struct test_answer){200, "{\"ok\":true,\"result\":{}}", NULL});
    assert_int_equal(poll_once(&f, STR("12"), &poll), ST_UNAVAILABLE);
    test_provider_queue(f.provider,
                        (struct test_answer){200, "{\"ok\":true,\"result\":[{}]}", NULL});
    assert_int_equal(poll_once(&f, STR("12"), &poll), ST_UNAVAILABLE);
    test_provider_queue(f.provider, (struct test_answer){200, "cut", NULL});
    assert_int_equal(poll_once(&f, STR("12"), &poll), ST_UNAVAILABLE);
    assert_int_equal(poll_once(&f, STR("x"), &poll), ST_INVALID);
    fixture_deinit(&f);
}

/* --- a record that changes --- */

static void
test_reopening(void **state)
{
    struct fixture f;
    struct delivery delivery;
    struct channel_record *newer;
    struct channel *reopened;

    (void)state;
    fixture_init(&f, "");
    assert_int_equal(send_to(&f, "42", &delivery), ST_OK); /* the answer names the bot */
    test_provider_queue(f.provider, (struct test_answer){429, TOO_MANY, "7"});
    assert_int_equal(send_to(&f, "43", &delivery), ST_BUSY);
    test_provider_queue(f.provider, (struct test_answer){429, TOO_MANY, "7"});
    assert_int_equal(send_to(&f, "44", &delivery), ST_BUSY); /* now the whole bot rests */

    newer = test_record("telegram", "{\"group_policy\": \"all\"}", CREDENTIALS);
    newer->id = f.record->id;
    newer->revision = f.record->revision + 1;
    assert_int_equal(channel_acquire(f.env.registry, newer, &reopened, &f.err), ST_OK);
    assert_ptr_not_equal(reopened, f.channel);
    assert_true(telegram_name_is_ours(telegram_of(reopened), STR("Parley_Bot")));
    assert_true(telegram_pace_take(&telegram_of(reopened)->pace, 45, clock_mono_us(f.env.clock)) >=
                7000);
    channel_release(&reopened);
    test_record_release(&newer);
    fixture_deinit(&f);
}

/* --- verification --- */

static void
test_two_secrets(void **state)
{
    static const struct {
        const char *value;
        enum status want;
    } cases[] = {{"s3cr3t-Token_1", ST_OK},
                 {"former-Token_0", ST_OK},
                 {"former-Token_1", ST_DENIED},
                 {"s3cr3t-Token_1former-Token_0", ST_DENIED}};
    struct fixture f;
    struct test_hook *hook;

    (void)state;
    fixture_init(&f, "");
    hook = test_hook_start(&f.env);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_header header = {.name = "x-telegram-bot-api-secret-token",
                                           .value = str_from_c(cases[i].value)};
        struct test_hook_result result;

        test_hook_post(hook, f.record, "/hook", &header, 1, STR("{\"update_id\":1}"), &result);
        if (result.verified != cases[i].want)
            fail_msg("%s: %s", cases[i].value, status_name(result.verified));
        json_decref(result.items);
    }
    test_hook_stop(&hook);
    fixture_deinit(&f);
}

/* --- files --- */

static bool
collect(struct str bytes, void *context)
{
    buf_append(context, bytes);
    return true;
}

static enum status
fetch(struct fixture *f, const char *attachment_text, size_t max_bytes, struct buf *bytes,
      struct str *mime_type_out)
{
    const struct media_sink sink = {.max_bytes = max_bytes, .write = collect, .context = bytes};
    json_auto_t *attachment = json_loads(attachment_text, 0, NULL);

    assert_non_null(attachment);
    buf_clear(bytes);
    f->err = (struct err){.code = ST_OK};
    return channel_fetch_media(f->channel, attachment, &sink, f->env.arena, mime_type_out, &f->err);
}

#define FILE_AT(path) "{\"ok\":true,\"result\":{\"file_id\":\"F1\",\"file_path\":\"" path "\"}}"
static void
test_files(void **state)
{
    static const struct {
        const char *what;
        struct test_answer told, file; /* file.status 0: nothing is fetched */
        enum status want;
    } cases[] = {
        {"a photo", {200, FILE_AT("photos/file_7.jpg"), NULL}, {200, "pixels", NULL}, ST_OK},
        {"too large", {200, FILE_AT("a"), NULL}, {200, "more than ten bytes", NULL}, ST_TOO_LARGE},
        {"over 20 MB", {400, REFUSED("file is too big"), NULL}, {0}, ST_TOO_LARGE},
        {"unknown", {400, REFUSED("invalid file_id"), NULL}, {0}, ST_NOT_FOUND},
        {"no path", {200, "{\"ok\":true,\"result\":{}}", NULL}, {0}, ST_NOT_FOUND},
        {"of a disk", {200, FILE_AT("/var/lib/a"), NULL}, {0}, ST_NOT_FOUND},
        {"elsewhere", {200, FILE_AT("a/../../botX/getMe"), NULL}, {0}, ST_NOT_FOUND},
        {"getFile is garbled", {200, "{", NULL}, {0}, ST_UNAVAILABLE},
        {"gone", {200, FILE_AT("a"), NULL}, {404, "{}", NULL}, ST_NOT_FOUND},
        {"busy", {200, FILE_AT("a"), NULL}, {429, "{}", NULL}, ST_BUSY},
    };
    struct fixture f;
    struct buf bytes;
    struct str mime_type;

    (void)state;
    fixture_init(&f, "");
    buf_init(&bytes, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_provider_forget(f.provider);
        test_provider_queue(f.provider, cases[i].told);
        if (cases[i].file.status != 0)
            test_provider_queue(f.provider, cases[i].file);
        enum status st =
            fetch(&f, "{\"kind\": \"photo\", \"file_id\": \"F1\"}", 10, &bytes, &mime_type);

        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].what, status_name(st));
        assert_true(strstr(f.err.detail, "AAHdqTcv") == NULL);
        assert_request(&f, 0, "getFile", "{\"file_id\": \"F1\"}");
    }
    test_provider_forget(f.provider);
    test_provider_queue(f.provider, cases[0].told);
    test_provider_queue(f.provider, cases[0].file);
    assert_int_equal(fetch(&f, "{\"file_id\": \"F1\"}", 10, &bytes, &mime_type), ST_OK);
    assert_true(str_eq_c(buf_str(&bytes), "pixels"));
    assert_true(str_eq_c(mime_type, "image/jpeg"));
    struct test_request request = test_provider_got(f.provider, 1, f.env.arena);
    assert_true(str_eq_c(request.method, "GET"));
    assert_true(str_eq_c(request.path, "/file" PATH "photos/file_7.jpg"));
    assert_int_equal(fetch(&f, "{}", 10, &bytes, &mime_type), ST_INVALID);
    buf_deinit(&bytes);
    fixture_deinit(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_media_refused),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_markup_refused),
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_pacing),
        cmocka_unit_test(test_lossy_calls),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_probe_and_register),
        cmocka_unit_test(test_polling),
        cmocka_unit_test(test_reopening),
        cmocka_unit_test(test_two_secrets),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
