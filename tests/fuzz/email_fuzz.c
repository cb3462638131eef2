/*
 * email_fuzz.c - any bytes as a mail, as each provider's webhook, as HTML, as a mail's text
 *
 * The first byte chooses the way. What is accepted must be whole: a message has its ids, an event
 * its kind, all text is UTF-8; an answer to it can be written, and goes to the address that the
 * mail came from; nothing that a machine wrote is answered.
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "channel/drivers/email.h"
#include "channel/html_text.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)128 * 1024 * 1024)
#define FORM_TYPE STR("multipart/form-data; boundary=xYzZY")
#define URLENCODED STR("application/x-www-form-urlencoded")
#define JSON STR("application/json")

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
open_channel(const char *inbound)
{
    static const struct channel_driver *const drivers[] = {&channel_driver_email, NULL};
    static struct channel_env env;
    struct channel_record *record = calloc(1, sizeof *record);
    static struct channel_registry *registry;
    struct channel *channel = NULL;
    struct err err;

    assert(record != NULL);
    env.clock = clock_system();
    record->id = ID_NEW(channel_id);
    record->source = STR("email");
    record->account = STR("support@shop.test");
    record->revision = 1;
    record->settings =
        json_pack("{s:s, s:s, s:s, s:s}", "address", "support@shop.test", "smtp_host", "127.0.0.1",
                  "imap_host", "127.0.0.1", "inbound", inbound);
    record->credentials =
        json_pack("{s:s, s:s, s:s, s:s}", "webhook_secret", "0123456789abcdef0", "signing_key",
                  "0123456789abcdef0", "username", "u", "password", "p");
    if ((registry == NULL &&
         channel_registry_create(&env, NULL, drivers, &registry, &err) != ST_OK) ||
        channel_acquire(registry, record, &channel, &err) != ST_OK)
        abort();
    return channel;
}

static void
check_answer(struct channel *channel, const struct inbound *item, struct arena *arena)
{
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = item->external_chat_id,
                                      .answers_external_id = item->external_message_id,
                                      .answers_metadata = item->metadata,
                                      .text = item->text,
                                      .part_count = 1};
    struct email answer;
    struct str bytes;
    struct err err;

    if (email_build(email_of(channel), &outbound, 0, arena, &bytes, &err) != ST_OK)
        abort();
    for (size_t i = 0; i < bytes.len; i++)
        assert((unsigned char)bytes.ptr[i] < 128);
    if (email_mime_read(bytes, arena, &answer, &err) != ST_OK)
        abort();
    assert(str_eq(answer.from, STR("support@shop.test")));
    assert(email_header_addresses(&answer, "To", item->external_chat_id, arena));
    assert(email_header_get(&answer, "Bcc").ptr == NULL &&
           email_header_get(&answer, "Cc").ptr == NULL);
    assert(email_header_automatic(&answer, STR("nobody@else.test")) != NULL);
}

/* What a mail carries is read from the same bytes again, as many as were described. */
static void
check_carried(struct channel *channel, struct str input, const struct inbound *item)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str *files;
    size_t count;
    struct err err;

    if (channel_read_carried(
            channel, STR(""),
            arena_printf(arena, "IMAP 1 2 %zu 3000000\n%.*s", input.len, STR_ARG(input)), arena,
            &files, &count, &err) != ST_OK)
        abort();
    assert(item->kind != INBOUND_MESSAGE ||
           count == json_array_size(json_get_array(item->metadata, "attachments")));
    arena_destroy(&arena);
}

static void
check_item(struct channel *channel, const struct inbound *item, struct arena *arena)
{
    assert(json_is_object(item->metadata) && item->timestamp_us > 0);
    assert(str_is_utf8(item->text) && str_is_utf8(item->display_name));
    assert(item->text.len <= EMAIL_TEXT_MAX_BYTES);
    if (item->kind == INBOUND_MESSAGE) {
        assert(item->external_message_id.len > 0 && item->event_kind.len == 0);
        assert(email_address_is_valid(item->external_user_id));
        assert(str_eq(item->external_user_id, item->external_chat_id));
        check_answer(channel, item, arena);
    } else {
        assert(item->event_kind.len > 0 && item->external_event_id.len > 0 && item->raw.len > 0);
        assert(!item->wants_answer && item->external_chat_id.len == 0);
    }
}

static enum status
parse(struct channel *const channels[4], unsigned way, struct str input, struct arena *arena,
      struct inbound_batch *batch, struct err *err)
{
    static const enum email_inbound forms[] = {EMAIL_MAILGUN, EMAIL_MAILGUN, EMAIL_SENDGRID};
    struct email email;

    *batch = (struct inbound_batch){.arena = arena};
    if (way == 0) {
        const struct webhook webhook = {
            .body = arena_printf(arena, "IMAP 1 2 %zu 3000000\n%.*s", input.len, STR_ARG(input))};

        return channel_parse(channels[0], &webhook, arena, batch, err);
    }
    if (way <= 3)
        return email_form_to_email(forms[way - 1], way == 1 ? URLENCODED : FORM_TYPE, input, arena,
                                   &email, err);
    if (way == 4)
        return email_form_to_email(EMAIL_POSTMARK, JSON, input, arena, &email, err);
    return email_event_parse(email_of(channels[way % 3 + 1]), JSON, input, batch, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channels[4];
    struct arena *arena;
    struct inbound_batch batch;
    struct err err;

    if (size == 0)
        return 0;
    if (channels[0] == NULL) {
        static const char *const words[] = {"imap", "mailgun", "sendgrid", "postmark"};

        for (size_t i = 0; i < 4; i++)
            channels[i] = open_channel(words[i]);
    }
    arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data + 1, size - 1));
    unsigned way = data[0] % 9;

    if (way < 8) {
        if (parse(channels, way, input, arena, &batch, &err) == ST_OK)
            for (size_t i = 0; i < batch.count; i++) {
                check_item(channels[0], &batch.items[i], arena);
                if (way == 0)
                    check_carried(channels[0], input, &batch.items[i]);
            }
        inbound_batch_deinit(&batch);
    } else {
        struct str text = email_clean(input, EMAIL_TEXT_MAX_BYTES, arena, NULL);
        struct email_text parts;

        assert(str_is_utf8(text));
        assert(str_is_utf8(html_text(text, 1000, arena, NULL)));
        email_quote_strip(text, arena, &parts);
        assert(parts.visible.len + parts.quoted.len + parts.signature.len <= text.len + 1);
        assert(parts.visible.len > 0 || str_trim(text).len == 0);
    }
    arena_destroy(&arena);
    return 0;
}
