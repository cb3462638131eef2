/*
 * telegram_fuzz.c - any bytes as a Telegram update, as an answer of the Bot API, as text to send
 *
 * What is accepted must be whole: a message has its ids, an event its kind, all text is UTF-8;
 * parts are within the limit; rendered markup has as many tags opened as closed.
 */
#include <assert.h>
#include <stdlib.h>

#include "channel/drivers/telegram.h"
#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define ARENA_BYTES (64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The one record of this program lives as long as it does: counting is not needed. */
const struct channel_record *
channel_record_ref(const struct channel_record *record)
{
    return record;
}

void
channel_record_unref(const struct channel_record **record)
{
    *record = NULL;
}

static struct channel *
open_channel(void)
{
    static const struct channel_driver *const drivers[] = {&channel_driver_telegram, NULL};
    static struct channel_env env;
    static struct channel_record record;
    static struct channel_registry *registry;
    struct channel *channel = NULL;
    struct err err;

    env.clock = clock_system();
    record.id = ID_NEW(channel_id);
    record.source = STR("telegram");
    record.revision = 1;
    record.settings = json_pack("{s:s, s:[{s:s, s:s}]}", "bot_username", "parley_bot", "commands",
                                "command", "help", "description", "x");
    record.credentials =
        json_pack("{s:s, s:s}", "bot_token", "7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
                  "secret_token", "s3cr3t-Token_1");
    if (channel_registry_create(&env, NULL, drivers, &registry, &err) != ST_OK ||
        channel_acquire(registry, &record, &channel, &err) != ST_OK)
        abort();
    return channel;
}

static void
check_item(const struct inbound *item)
{
    assert(json_is_object(item->metadata));
    assert(str_is_utf8(item->text) && str_is_utf8(item->display_name));
    if (item->kind == INBOUND_MESSAGE) {
        assert(item->external_message_id.len > 0 && item->external_user_id.len > 0);
        assert(item->external_chat_id.len > 0 && item->event_kind.len == 0);
    } else {
        assert(item->event_kind.len > 0 && item->external_event_id.len > 0 && item->raw.len > 0);
        assert(!item->wants_answer && !item->starts_new_conversation);
    }
}

static void
check_text(struct channel *channel, struct str text, struct arena *arena)
{
    struct str *parts, html;
    bool has_marks;
    size_t count = channel_split(channel, text, arena, &parts);

    for (size_t i = 0; i < count; i++) {
        int open = 0;

        assert(parts[i].len > 0 && str_is_utf8(parts[i]));
        assert(count == 1 || text_utf16_len(parts[i]) <= TELEGRAM_TEXT_MAX_UNITS);
        html = markup_render(parts[i], &markup_html, arena, &has_marks);
        if (!has_marks)
            continue;
        for (size_t k = 0; k + 1 < html.len; k++)
            if (html.ptr[k] == '<')
                open += html.ptr[k + 1] == '/' ? -1 : 1;
        assert(open == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size));
    const struct webhook webhook = {.body = input};
    struct telegram_answer answer;
    struct inbound_batch batch;
    int64_t chat, topic;
    struct err err;

    if (channel == NULL)
        channel = open_channel();
    if (channel_parse(channel, &webhook, arena, &batch, &err) == ST_OK) {
        assert(batch.count == 1);
        check_item(&batch.items[0]);
    }
    inbound_batch_deinit(&batch);
    if (telegram_sort_answer(size % 2 == 0 ? 200 : 400, input, -1, &answer, &err) != ST_OK)
        assert(answer.result == NULL && err.retry_after_ms >= 0);
    json_decref(answer.result);
    if (telegram_chat_id_parse(input, &chat, &topic, &err) == ST_OK)
        assert(chat != 0 && topic >= 0);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
