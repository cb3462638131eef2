/*
 * twilio_fuzz.c - any bytes as a form of Twilio, as an answer of its API, as text to send
 *
 * What is accepted must be whole: a message has its ids, an event its kind and its form as JSON,
 * all text is UTF-8; parts are within Twilio's limit; a form written again reads the same.
 */
#include "channel/drivers/twilio.h"
#include "text/json.h"
#include "text/text.h"
#include "channel_fuzz_support.h"

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

static struct channel *
open_channel(const struct channel_driver *driver)
{
    return fuzz_channel_open(driver, "AC0123456789abcdef0123456789abcdef:+15551230000",
                             json_pack("{s:s}", "from", "+15551230000"),
                             json_pack("{s:s, s:s}", "account_sid",
                                       "AC0123456789abcdef0123456789abcdef", "auth_token",
                                       "6f1d0c5a2b7e49d38c04aa55ee120987"));
}

static void
check_item(const struct inbound *item)
{
    if (item->kind == INBOUND_MESSAGE) {
        assert(str_eq(item->external_chat_id, item->external_user_id));
    } else {
        json_t *raw = NULL;
        struct err err;

        assert(json_parse(item->raw, &raw, &err) == ST_OK && json_is_object(raw));
        json_decref(raw);
    }
}

static void
check_text(struct channel *channel, struct str text, size_t max_segments, struct arena *arena)
{
    struct str *parts;
    size_t count = channel_split(channel, text, arena, &parts);

    for (size_t i = 0; i < count; i++) {
        assert(parts[i].len > 0 && str_is_utf8(parts[i]));
        assert(count == 1 || text_utf16_len(parts[i]) <= TWILIO_BODY_MAX_UNITS);
        assert(count == 1 || max_segments == 0 || text_utf16_len(parts[i]) <= max_segments * 153);
    }
}

/* A form that is written again is the same form. */
static void
check_form(struct str body, struct arena *arena)
{
    struct form form, again;
    struct buf text;
    struct err err;

    if (form_parse(body, arena, &form, &err) != ST_OK)
        return;
    buf_init(&text, ARENA_BYTES);
    for (size_t i = 0; i < form.count; i++) {
        if (i > 0)
            buf_append_byte(&text, '&');
        form_append_encoded(&text, form.fields[i].name);
        buf_append_byte(&text, '=');
        form_append_encoded(&text, form.fields[i].value);
    }
    assert(form_parse(buf_str(&text), arena, &again, &err) == ST_OK);
    assert(again.count == form.count);
    for (size_t i = 0; i < form.count; i++)
        assert(str_eq(again.fields[i].name, form.fields[i].name) &&
               str_eq(again.fields[i].value, form.fields[i].value));
    buf_deinit(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct channel *channels[2];
    struct arena *arena = arena_create(ARENA_BYTES);
    struct str input = arena_str(arena, str_of((const char *)data, size));
    struct str url, *pieces;
    json_t *answer;
    struct err err;

    if (channels[0] == NULL) {
        channels[0] = open_channel(&channel_driver_twilio_sms);
        channels[1] = open_channel(&channel_driver_twilio_whatsapp);
    }
    for (size_t i = 0; i < 2; i++) {

        fuzz_parse(channels[i], input, arena, check_item);
        if (str_is_utf8(input))
            check_text(channels[i], input, i == 0 ? 4 : 0, arena);
    }
    check_form(input, arena);
    if (twilio_sort_answer(size % 2 == 0 ? 201 : 400, input, -1, &answer, &err) != ST_OK)
        assert(answer == NULL && err.retry_after_ms >= 0);
    json_decref(answer);
    if (str_find_byte(input, '\0') < 0) {
        url = twilio_url_without_port(twilio_url_with_port(input, arena), arena);
        assert(str_eq(url, twilio_url_without_port(input, arena)));
    }
    assert(twilio_signed_pieces(input, NULL, arena, &pieces) == 1);
    arena_destroy(&arena);
    return 0;
}
