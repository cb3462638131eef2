/*
 * instagram_fuzz.c - any bytes as a webhook of Instagram's, as metadata and as text to send
 *
 * What is accepted must be whole: a message has its ids and leads to its own sender, an event its
 * kind, all text is UTF-8; parts and composed messages are within Instagram's limit of bytes.
 */
#include "channel/drivers/instagram.h"
#include "text/json.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES (256 * 1024 * 1024)

static void
check_item(const struct inbound *item)
{
    if (item->kind == INBOUND_MESSAGE) {
        assert(instagram_is_person(item->external_user_id));
        assert(!str_eq_c(item->external_user_id, "17841400000000001"));
        assert(str_eq(item->external_chat_id, item->external_user_id));
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
        const struct outbound outbound = {
            .external_chat_id = STR("1"), .text = parts[i], .part_count = 1};
        struct instagram_messages messages;
        struct err err;

        assert(parts[i].len > 0 && str_is_utf8(parts[i]));
        assert(count == 1 || parts[i].len <= INSTAGRAM_TEXT_MAX_BYTES);
        if (instagram_compose(&outbound, arena, &messages, &err) == ST_OK)
            assert(messages.count == 1);
        else
            assert(err.code == ST_TOO_LARGE && parts[i].len > INSTAGRAM_TEXT_MAX_BYTES);
        instagram_messages_deinit(&messages);
    }
}

static void
check_metadata(struct str input, struct arena *arena)
{
    json_auto_t *metadata = NULL;
    struct instagram_messages messages;
    struct err err;

    if (json_parse(input, &metadata, &err) != ST_OK)
        return;
    const struct outbound outbound = {
        .external_chat_id = STR("1"), .text = STR("text"), .metadata = metadata, .part_count = 1};
    if (instagram_compose(&outbound, arena, &messages, &err) == ST_OK)
        assert(messages.count >= 1 && messages.count <= INSTAGRAM_MESSAGES_MAX);
    else
        assert(messages.count == 0);
    instagram_messages_deinit(&messages);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channel;
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size));

    if (channel == NULL)
        channel = fuzz_channel_open(&channel_driver_instagram, "17841400000000001", json_object(),
                                    json_pack("{s:s, s:s, s:s}", "instagram_account_id",
                                              "17841400000000001", "access_token",
                                              "IGAAtest0123456789abcdef", "app_secret",
                                              "app_secret_example"));
    fuzz_parse(channel, input, arena, check_item);
    fuzz_sort(channel, input, arena);
    check_metadata(input, arena);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
