/*
 * instagram_fuzz.c - any bytes as a webhook of Instagram's, as metadata and as text to send
 *
 * What is accepted must be whole: a message has its ids and leads to its own sender, an event its
 * kind, all text is UTF-8; parts and composed messages are within Instagram's limit of bytes.
 */
#include <assert.h>
#include <stdlib.h>

#include "channel/drivers/instagram.h"
#include "text/json.h"

#define ARENA_BYTES (256 * 1024 * 1024)

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
    static const struct channel_driver *const drivers[] = {&channel_driver_instagram, NULL};
    static struct channel_env env;
    static struct channel_record record;
    static struct channel_registry *registry;
    struct channel *channel = NULL;
    struct err err;

    env.clock = clock_system();
    record.id = ID_NEW(channel_id);
    record.source = STR("instagram");
    record.revision = 1;
    record.settings = json_object();
    record.credentials =
        json_pack("{s:s, s:s, s:s}", "instagram_account_id", "17841400000000001", "access_token",
                  "IGAAtest0123456789abcdef", "app_secret", "app_secret_example");
    if (channel_registry_create(&env, NULL, drivers, &registry, &err) != ST_OK ||
        channel_acquire(registry, &record, &channel, &err) != ST_OK)
        abort();
    return channel;
}

static void
check_item(const struct inbound *item)
{
    assert(json_is_object(item->metadata) && str_is_utf8(item->text));
    if (item->kind == INBOUND_MESSAGE) {
        assert(item->external_message_id.len > 0 && item->event_kind.len == 0);
        assert(instagram_is_person(item->external_user_id));
        assert(!str_eq_c(item->external_user_id, "17841400000000001"));
        assert(str_eq(item->external_chat_id, item->external_user_id));
        return;
    }
    assert(item->event_kind.len > 0 && item->external_event_id.len > 0 && item->raw.len > 0);
    assert(!item->wants_answer && item->acknowledge.len == 0);
    assert((item->delivery_state != DELIVERY_NONE) == str_eq_c(item->event_kind, "delivery"));
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
    const struct webhook webhook = {.body = input};
    struct inbound_batch batch;
    struct err err;

    if (channel == NULL)
        channel = open_channel();
    if (channel_parse(channel, &webhook, arena, &batch, &err) == ST_OK)
        for (size_t i = 0; i < batch.count; i++)
            check_item(&batch.items[i]);
    inbound_batch_deinit(&batch);
    check_metadata(input, arena);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
