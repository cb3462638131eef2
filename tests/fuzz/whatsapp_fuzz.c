/*
 * whatsapp_fuzz.c - any bytes as a webhook of WhatsApp's, as an answer of the Graph API, as text
 * and as a chat to send to
 *
 * What is accepted must be whole: a message has its ids and leads to its own sender or group, an
 * event its kind, all text is UTF-8; parts and composed messages are within WhatsApp's limits.
 */
#include <assert.h>
#include <stdlib.h>

#include "channel/drivers/whatsapp.h"
#include "text/json.h"
#include "text/text.h"

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
    static const struct channel_driver *const drivers[] = {&channel_driver_whatsapp, NULL};
    static struct channel_env env;
    static struct channel_record record;
    static struct channel_registry *registry;
    struct channel *channel = NULL;
    struct err err;

    env.clock = clock_system();
    record.id = ID_NEW(channel_id);
    record.source = STR("whatsapp_business");
    record.revision = 1;
    record.settings = json_object();
    record.credentials =
        json_pack("{s:s, s:s, s:s}", "phone_number_id", "200100300400500", "access_token",
                  "EAAtest0123456789abcdef", "app_secret", "app_secret_example");
    if (channel_registry_create(&env, NULL, drivers, &registry, &err) != ST_OK ||
        channel_acquire(registry, &record, &channel, &err) != ST_OK)
        abort();
    return channel;
}

static void
check_item(const struct inbound *item)
{
    struct whatsapp_chat chat;
    struct err err;

    assert(json_is_object(item->metadata));
    assert(str_is_utf8(item->text) && str_is_utf8(item->display_name));
    if (item->kind == INBOUND_MESSAGE) {
        assert(item->external_message_id.len > 0 && item->event_kind.len == 0);
        assert(whatsapp_chat_parse(item->external_chat_id, &chat, &err) == ST_OK);
        assert(chat.group_id.len > 0 || str_eq(item->external_chat_id, item->external_user_id));
        return;
    }
    assert(item->event_kind.len > 0 && item->external_event_id.len > 0 && item->raw.len > 0);
    assert(!item->wants_answer && !item->starts_new_conversation);
    assert(str_is_utf8(item->delivery_reason) && item->acknowledge.len == 0);
    assert((item->delivery_state != DELIVERY_NONE) == str_eq_c(item->event_kind, "delivery"));
}

static void
check_parse(struct channel *channel, struct str input, struct arena *arena)
{
    const struct webhook webhook = {.body = input};
    struct inbound_batch batch;
    struct err err;

    if (channel_parse(channel, &webhook, arena, &batch, &err) == ST_OK)
        for (size_t i = 0; i < batch.count; i++)
            check_item(&batch.items[i]);
    inbound_batch_deinit(&batch);
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
        channel = open_channel();
    check_parse(channel, input, arena);
    check_metadata(channel, input, arena);
    if (meta_sort_answer(size % 2 == 0 ? 200 : 400, input, -1, &answer, &error, &err) != ST_OK)
        assert(answer == NULL && err.retry_after_ms >= 0 && err.code != ST_OK);
    json_decref(answer);
    if (str_is_utf8(input))
        check_text(channel, input, arena);
    arena_destroy(&arena);
    return 0;
}
