/*
 * slack_fuzz.c - any bytes as a delivery of Slack, as an answer of its API, as text both ways
 *
 * What is accepted must be whole: a message has its ids, and its chat is one that can be sent to;
 * an event has its kind; all text is UTF-8; parts are within the limit; rendered text holds no bare
 * '<' but those of links.
 */
#include "channel/drivers/slack.h"
#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

static void
check_item(const struct inbound *item)
{
    struct slack_chat chat;
    struct err err;

    if (item->kind == INBOUND_MESSAGE)
        assert(slack_chat_parse(item->external_chat_id, &chat, &err) == ST_OK);
}

static void
check_text(struct channel *channel, struct str text, struct arena *arena)
{
    struct str *parts;
    size_t count = channel_split(channel, text, arena, &parts);
    bool mentions_us;

    for (size_t i = 0; i < count; i++) {
        struct str rendered = markup_render(parts[i], &slack_mrkdwn, arena, NULL);
        int open = 0;

        assert(parts[i].len > 0 && str_is_utf8(parts[i]) && str_is_utf8(rendered));
        assert(count == 1 || text_utf16_len(parts[i]) <= SLACK_PART_MAX_UNITS);
        for (size_t k = 0; count > 1 && k < rendered.len; k++) {
            open += rendered.ptr[k] == '<' ? 1 : rendered.ptr[k] == '>' ? -1 : 0;
            assert(open == 0 || open == 1);
        }
        assert(open == 0);
    }
    assert(str_is_utf8(slack_text_read(text, STR("UBOT"), arena, &mentions_us)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size)), channel_id, ts;
    struct slack_chat chat;
    bool blocks_refused;
    json_t *answer;
    struct err err;

    if (channel == NULL)
        channel = fuzz_channel_open(
            &channel_driver_slack, "A1:T1", json_pack("{s:s}", "bot_user_id", "UBOT"),
            json_pack("{s:s, s:s, s:s, s:s}", "app_id", "A1", "team_id", "T1", "bot_token",
                      "xoxb-71828182845-90452353602", "signing_secret",
                      "8f742231b10e8888abcd99yyyzzz85a5"));
    fuzz_parse(channel, input, arena, check_item);
    if (slack_sort_answer(size % 2 == 0 ? 200 : 429, input, -1, &answer, &blocks_refused, &err) !=
        ST_OK)
        assert(answer == NULL && err.retry_after_ms >= 0);
    json_decref(answer);
    if (slack_chat_parse(input, &chat, &err) == ST_OK)
        assert(str_eq(slack_chat_format(arena, &chat), input));
    if (slack_message_parse(input, &channel_id, &ts))
        assert(slack_id_is_valid(channel_id) && ts.len > 0);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
