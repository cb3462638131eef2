/*
 * whatsapp_fuzz.c - any bytes as a webhook of WhatsApp's, as an answer of the Graph API, as text
 * and as a chat to send to
 *
 * What is accepted must be whole: a message has its ids and leads to its own sender or group, an
 * event its kind, all text is UTF-8; parts and composed messages are within WhatsApp's limits.
 */
#include "channel/drivers/whatsapp.h"
#include "text/json.h"
#include "text/text.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES (256 * 1024 * 1024)

static void
check_item(const struct inbound *item)
{
    struct whatsapp_chat chat;
    struct err err;

    if (item->kind == INBOUND_MESSAGE) {
        assert(whatsapp_chat_parse(item->external_chat_id, &chat, &err) == ST_OK);
        assert(chat.group_id.len > 0 || str_eq(item->external_chat_id, item->external_user_id));
    } else {
        assert(item->acknowledge.len == 0);
    }
}

static void
check_text(struct channel *channel, struct str text, struct arena *arena)
{
    struct str *parts;
    size_t count = channel_split(channel, text, arena, &parts);

    for (size_t i = 0; i < count; i++) {
        struct outbound outbound = {.external_chat_id = STR("US.1"),
                                    .text = parts[i],
                                    .part = (unsigned)i,
                                    .part_count = (unsigned)count};
        struct whatsapp_messages messages;
        struct err err;

        assert(parts[i].len > 0 && str_is_utf8(parts[i]));
        assert(whatsapp_compose(whatsapp_of(channel), &outbound, arena, &messages, &err) == ST_OK);
        assert(messages.count == 1);
        struct str body = json_get_str(json_get_object(messages.items[0], "text"), "body");
        assert(text_utf16_len(body) <= WHATSAPP_TEXT_MAX_UNITS);
        whatsapp_messages_deinit(&messages);
    }
}

/* The input as metadata of an outbound message: composed within the limits, or refused. */
static void
check_metadata(struct channel *channel, struct str input, struct arena *arena)
{
    json_auto_t *metadata = NULL;
    struct whatsapp_messages messages;
    struct err err;

    if (json_parse(input, &metadata, &err) != ST_OK)
        return;
    const struct outbound outbound = {.external_chat_id = STR("US.1"),
                                      .text = STR("text"),
                                      .metadata = metadata,
                                      .part_count = 1};
    if (whatsapp_compose(whatsapp_of(channel), &outbound, arena, &messages, &err) == ST_OK)
        assert(messages.count >= 1 && messages.count <= WHATSAPP_MESSAGES_MAX);
    else
        assert(messages.count == 0);
    whatsapp_messages_deinit(&messages);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size));
    json_t *answer = NULL;
    struct meta_error error;
    struct err err;

    if (channel == NULL)
        channel = fuzz_channel_open(
            &channel_driver_whatsapp, "200100300400500", json_object(),
            json_pack("{s:s, s:s, s:s}", "phone_number_id", "200100300400500", "access_token",
                      "EAAtest0123456789abcdef", "app_secret", "app_secret_example"));
    fuzz_parse(channel, input, arena, check_item);
    fuzz_sort(channel, input, arena);
    check_metadata(channel, input, arena);
    if (meta_sort_answer(size % 2 == 0 ? 200 : 400, input, -1, &answer, &error, &err) != ST_OK)
        assert(answer == NULL && err.retry_after_ms >= 0 && err.code != ST_OK);
    json_decref(answer);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
