/*
 * telegram_fuzz.c - any bytes as a Telegram update, as an answer of the Bot API, as text to send
 *
 * What is accepted must be whole: a message has its ids, an event its kind, all text is UTF-8;
 * parts are within the limit; rendered markup has as many tags opened as closed.
 */
#include "channel/drivers/telegram.h"
#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES (64 * 1024 * 1024)

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
    struct telegram_answer answer;
    int64_t chat, topic;
    struct err err;

    if (channel == NULL)
        channel = fuzz_channel_open(&channel_driver_telegram, "7000000001",
                                    json_pack("{s:s, s:[{s:s, s:s}]}", "bot_username", "parley_bot",
                                              "commands", "command", "help", "description", "x"),
                                    json_pack("{s:s, s:s}", "bot_token",
                                              "7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
                                              "secret_token", "s3cr3t-Token_1"));
    fuzz_parse(channel, input, arena, NULL);
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
