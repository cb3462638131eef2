/*
 * twilio_parse.c - one form of Twilio becomes one inbound item
 *
 * A form with MessageStatus tells what became of a message of ours; one with a message's sid and a
 * sender is a message; anything else that is Twilio's (it names an account) is kept as an event.
 * The form has no time: it is the time of its arrival. Raw is the form as a JSON object.
 */
#include "channel/drivers/twilio.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "text/json.h"

#define MEDIA_MAX 10
#define ID_MAX_LEN 128
#define REASON_MAX_BYTES 200

struct reading {
    struct twilio_channel *twilio;
    struct arena *arena;
    struct form form;
    struct inbound *item;
    struct str reference; /* of the address that was called */
    bool too_large;
};

/* --- pieces --- */

static struct str
keep(struct reading *reading, struct str s)
{
    struct str copy = STR_EMPTY;
    struct err ignored;

    if (s.len > 0 && arena_try_str(reading->arena, s, &copy, &ignored) != ST_OK)
        reading->too_large = true;
    return copy;
}

static struct str
get(const struct reading *reading, const char *name)
{
    return form_get(&reading->form, name);
}

static struct str
message_id(struct reading *reading, struct str sid)
{
    return arena_printf(reading->arena, "%.*s:%.*s", STR_ARG(reading->twilio->account_sid),
                        STR_ARG(str_sub(sid, 0, ID_MAX_LEN)));
}

/* The address without this driver's prefix. ST_INVALID: it is of another of Twilio's channels, and
 * an answer to it would go to somebody else. */
static enum status
read_address(const struct reading *reading, const char *name, struct str *address_out,
             struct err *err)
{
    struct str address = get(reading, name);
    struct str prefix = str_from_c(reading->twilio->kind->prefix);

    if (address.len == 0 || address.len > ID_MAX_LEN)
        return err_set(err, ST_INVALID, "%s is missing or too long", name);
    if (prefix.len > 0 ? !str_starts_with(address, prefix) : str_find_byte(address, ':') >= 0)
        return err_set(err, ST_INVALID, "%s is not of %s", name,
                       reading->twilio->base.driver->source);
    *address_out = str_sub(address, prefix.len, address.len);
    return address_out->len > 0 ? ST_OK : err_set(err, ST_INVALID, "%s is empty", name);
}

static void
copy_field(json_t *to, const char *key, const struct reading *reading, const char *name)
{
    struct str value = get(reading, name);

    if (value.len > 0)
        json_set_str(to, key, value);
}

static void
set_object(json_t *metadata, const char *key, json_t *value)
{
    if (json_object_size(value) > 0)
        json_set(metadata, key, value);
    else
        json_decref(value);
}

static struct str
raw_json(struct reading *reading)
{
    json_auto_t *object = json_object();

    for (size_t i = 0; i < reading->form.count; i++) {
        struct str name = reading->form.fields[i].name;

        if (json_object_setn_new(object, name.ptr == NULL ? "" : name.ptr, name.len,
                                 json_from_str(reading->form.fields[i].value)) != 0)
            reading->too_large = true;
    }
    return json_text(object, reading->arena);
}

static void
become_event(struct reading *reading, const char *kind, struct str id)
{
    struct inbound *item = reading->item;

    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    item->external_event_id = id;
    item->external_message_id = STR_EMPTY;
    item->wants_answer = false;
    item->raw = raw_json(reading);
}

/* --- what became of a message of ours --- */

static const struct state_word {
    const char *word;
    enum delivery_state state;
} state_words[] = {
    {"sent", DELIVERY_SENT},          {"delivered", DELIVERY_DELIVERED},
    {"read", DELIVERY_READ},          {"partially_delivered", DELIVERY_DELIVERED},
    {"undelivered", DELIVERY_FAILED}, {"failed", DELIVERY_FAILED},
    {"canceled", DELIVERY_FAILED},
};

static void
read_failure(struct reading *reading, struct inbound *item, struct str word)
{
    struct str code = get(reading, "ErrorCode"), words = get(reading, "ErrorMessage");
    int64_t number = 0;

    item->delivery_reason =
        arena_printf(reading->arena, "Twilio: %.*s", STR_ARG(str_sub(word, 0, 40)));
    if (code.len == 0 || code.len > 20 || !str_to_i64(code, &number))
        return;
    enum status st = ST_OK;
    const char *known = twilio_code_words(number, &st);

    if (words.len == 0)
        words = str_from_c(known);
    words = str_sub(words, 0, str_utf8_floor(words, REASON_MAX_BYTES));
    item->delivery_reason = arena_printf(reading->arena, "Twilio %lld%s%.*s", (long long)number,
                                         words.len > 0 ? ": " : "", STR_ARG(words));
    if (st == ST_CONFLICT)
        item->delivery_state = DELIVERY_WINDOW_CLOSED;
}

static enum status
read_status(struct reading *reading, struct str sid, struct str word, struct err *err)
{
    struct inbound *item = reading->item;

    if (sid.len == 0 || sid.len > ID_MAX_LEN || word.len > ID_MAX_LEN)
        return err_set(err, ST_INVALID, "a status without its message");
    item->about_external_message_id = message_id(reading, sid);
    for (size_t i = 0; i < sizeof state_words / sizeof state_words[0]; i++)
        if (str_eq_c(word, state_words[i].word))
            item->delivery_state = state_words[i].state;
    /* WhatsApp's older callbacks say "delivered" a second time, with the type of the event. */
    if (str_eq_c(get(reading, "EventType"), "READ")) {
        item->delivery_state = DELIVERY_READ;
        word = STR("read");
    }
    if (item->delivery_state == DELIVERY_FAILED)
        read_failure(reading, item, word);
    item->reference = keep(reading, str_sub(reading->reference, 0, ID_MAX_LEN));
    json_set_str(item->metadata, "raw_kind", STR("status"));
    json_set_str(item->metadata, "status", word);
    become_event(reading, "delivery",
                 arena_printf(reading->arena, "status:%.*s:%.*s", STR_ARG(sid), STR_ARG(word)));
    return ST_OK;
}

/* --- messages --- */

static const char *
attachment_kind(const struct reading *reading, struct str mime, struct str message_type)
{
    if (str_eq_c(message_type, "sticker"))
        return "sticker";
    if (str_starts_with(mime, STR("image/")))
        return "image";
    if (str_starts_with(mime, STR("video/")))
        return "video";
    /* WhatsApp's voice notes are Opus in Ogg; files of sound come in other formats. */
    if (str_starts_with(mime, STR("audio/")))
        return reading->twilio->kind->is_whatsapp && str_starts_with(mime, STR("audio/ogg"))
                   ? "voice"
                   : "audio";
    return "document";
}

/* How many there were. */
static size_t
set_attachments(struct reading *reading, struct str message_type)
{
    json_t *attachments = json_array();
    int64_t count = 0;

    if (!str_to_i64(get(reading, "NumMedia"), &count) || count < 0 || count > MEDIA_MAX)
        count = count > MEDIA_MAX ? MEDIA_MAX : 0;
    for (int64_t i = 0; i < count; i++) {
        char url_name[32], mime_name[32];

        (void)snprintf(url_name, sizeof url_name, "MediaUrl%d", (int)i);
        (void)snprintf(mime_name, sizeof mime_name, "MediaContentType%d", (int)i);
        struct str url = get(reading, url_name), mime = get(reading, mime_name);
        json_t *attachment;

        if (url.len == 0)
            continue;
        attachment = json_object();
        json_set_str(attachment, "kind", str_from_c(attachment_kind(reading, mime, message_type)));
        json_set_str(attachment, "url", url);
        if (mime.len > 0)
            json_set_str(attachment, "mime_type", mime);
        json_array_append_new(attachments, attachment);
    }
    size_t found = json_array_size(attachments);
    if (found > 0)
        json_set(reading->item->metadata, "attachments", attachments);
    else
        json_decref(attachments);
    return found;
}

/* What was pressed or chosen: its label is the text. */
static bool
set_interactive(struct reading *reading)
{
    bool is_list = get(reading, "ListId").len > 0;
    struct str data = get(reading, is_list ? "ListId" : "ButtonPayload");
    struct str label = get(reading, is_list ? "ListTitle" : "ButtonText");

    if (data.len == 0 && label.len == 0)
        return false;
    json_t *interactive = json_object();

    json_set_str(interactive, "type", is_list ? STR("list") : STR("button"));
    json_set_str(interactive, "data", data.len > 0 ? data : label);
    json_set_str(interactive, "label", label.len > 0 ? label : data);
    if (is_list)
        copy_field(interactive, "description", reading, "ListDescription");
    struct str about = get(reading, "OriginalRepliedMessageSid");
    if (about.len > 0)
        json_set_str(interactive, "external_message_id", message_id(reading, about));
    json_set(reading->item->metadata, "interactive", interactive);
    if (reading->item->text.len == 0)
        reading->item->text = keep(reading, label.len > 0 ? label : data);
    return true;
}

static bool
set_location(struct reading *reading)
{
    double latitude, longitude;

    if (!str_to_double(get(reading, "Latitude"), &latitude) ||
        !str_to_double(get(reading, "Longitude"), &longitude))
        return false;
    json_t *location = json_object();

    json_set_double(location, "latitude", latitude);
    json_set_double(location, "longitude", longitude);
    copy_field(location, "title", reading, "Label");
    copy_field(location, "address", reading, "Address");
    json_set(reading->item->metadata, "location", location);
    return true;
}

static void
set_context(struct reading *reading)
{
    static const struct {
        const char *name, *key;
    } referral_fields[] = {
        {"ReferralBody", "body"},          {"ReferralHeadline", "headline"},
        {"ReferralSourceId", "source_id"}, {"ReferralSourceType", "source_type"},
        {"ReferralSourceUrl", "url"},      {"ReferralMediaUrl", "media_url"},
        {"ReferralCtwaClid", "click_id"},
    };
    json_t *metadata = reading->item->metadata, *referral = json_object();
    json_t *reply_to = json_object();
    struct str replied = get(reading, "OriginalRepliedMessageSid");

    for (size_t i = 0; i < sizeof referral_fields / sizeof referral_fields[0]; i++)
        copy_field(referral, referral_fields[i].key, reading, referral_fields[i].name);
    set_object(metadata, "referral", referral);
    if (replied.len > 0)
        json_set_str(reply_to, "external_message_id", message_id(reading, replied));
    set_object(metadata, "reply_to", reply_to);
    if (str_eq_c(get(reading, "Forwarded"), "true") ||
        str_eq_c(get(reading, "FrequentlyForwarded"), "true"))
        json_set_bool(metadata, "forwarded", true);
    copy_field(metadata, "country", reading, "FromCountry");
    copy_field(metadata, "to", reading, "To");
}

/* STOP and START, as the carriers' rules have them: Twilio itself blocks and unblocks, says so to
 * the person, and refuses what is sent meanwhile. Yes is an answer to too many questions to be
 * START. */
static const char *
opt_out_event(const struct reading *reading)
{
    static const char *const stops[] = {"stop", "stopall", "unsubscribe", "cancel",
                                        "end",  "quit",    "revoke",      "optout"};
    static const char *const starts[] = {"start", "unstop"};
    struct str type = get(reading, "OptOutType"), text = str_trim(reading->item->text);

    if (type.len > 0)
        return str_eq_c(type, "STOP") ? "blocked" : str_eq_c(type, "START") ? "unblocked" : NULL;
    if (reading->twilio->kind->is_whatsapp)
        return NULL;
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        if (str_eq_nocase(text, str_from_c(stops[i])))
            return "blocked";
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (str_eq_nocase(text, str_from_c(starts[i])))
            return "unblocked";
    return NULL;
}

static const char *
raw_kind_of(struct str message_type, size_t attachments, bool has_location)
{
    if (attachments > 0 && message_type.len == 0)
        return "media";
    return has_location ? "location" : "text";
}

static enum status
read_message(struct reading *reading, struct str sid, struct err *err)
{
    struct inbound *item = reading->item;
    struct str from, to, type = get(reading, "MessageType");
    enum status st = read_address(reading, "From", &from, err);

    if (st == ST_OK)
        st = read_address(reading, "To", &to, err);
    if (st != ST_OK)
        return st;
    item->external_user_id = item->external_chat_id = keep(reading, from);
    item->external_message_id = message_id(reading, sid);
    item->text = keep(reading, get(reading, "Body"));
    item->display_name = keep(reading, get(reading, "ProfileName"));
    item->wants_answer = true;
    set_context(reading);
    size_t attachments = set_attachments(reading, type);
    bool is_pressed = set_interactive(reading);
    bool has_location = set_location(reading);

    if (type.len > 0)
        json_set_str(item->metadata, "raw_kind", type);
    else
        json_set_str(item->metadata, "raw_kind",
                     str_from_c(raw_kind_of(type, attachments, has_location)));
    const char *opt_out = opt_out_event(reading);
    struct str event_id =
        arena_printf(reading->arena, "message:%.*s", STR_ARG(str_sub(sid, 0, ID_MAX_LEN)));
    if (opt_out != NULL) {
        become_event(reading, opt_out, event_id);
    } else if (str_eq_c(type, "reaction")) {
        struct str about = get(reading, "OriginalRepliedMessageSid");

        if (about.len > 0)
            item->about_external_message_id = message_id(reading, about);
        become_event(reading, "reaction", event_id);
    } else if (item->text.len == 0 && attachments == 0 && !is_pressed && !has_location) {
        become_event(reading, "unknown", event_id);
    } else if (str_eq_c(get(reading, "OptOutType"), "HELP")) {
        item->wants_answer = false; /* Twilio has answered */
    }
    return ST_OK;
}

/* Twilio's, and nothing that we know: the same bytes are the same event. */
static void
read_unknown(struct reading *reading, struct str body)
{
    unsigned char hash[16];
    char text[2 * sizeof hash + 1];

    crypto_generichash(hash, sizeof hash, (const unsigned char *)body.ptr, body.len, NULL, 0);
    sodium_bin2hex(text, sizeof text, hash, sizeof hash);
    become_event(reading, "unknown", arena_printf(reading->arena, "form:%s", text));
}

enum status
twilio_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
             struct err *err)
{
    struct reading reading = {.twilio = twilio_of(channel), .arena = batch->arena};

    if (webhook->request != NULL)
        reading.reference = http_request_query(webhook->request, TWILIO_REFERENCE);
    enum status st = form_parse(webhook->body, batch->arena, &reading.form, err);

    if (st != ST_OK)
        return st;
    if (!form_is_text(&reading.form) || get(&reading, "AccountSid").len == 0)
        return err_set(err, ST_INVALID, "this is no form of Twilio");
    struct str sid = get(&reading, "MessageSid"), word = get(&reading, "MessageStatus");

    if (sid.len == 0)
        sid = get(&reading, "SmsSid");
    if (sid.len > ID_MAX_LEN)
        return err_set(err, ST_INVALID, "MessageSid is too long");
    batch->items = ARENA_NEW(batch->arena, struct inbound);
    batch->count = 1;
    reading.item = batch->items;
    reading.item->metadata = json_object();
    reading.item->timestamp_us = clock_wall_us(channel->env->clock);
    if (word.len > 0 && !str_eq_c(word, "received"))
        st = read_status(&reading, sid, word, err);
    else if (sid.len > 0 && get(&reading, "From").len > 0)
        st = read_message(&reading, sid, err);
    else
        read_unknown(&reading, webhook->body);
    if (st == ST_OK && reading.too_large)
        st = err_set(err, ST_TOO_LARGE, "the form is too large");
    if (st == ST_OK && reading.item->kind == INBOUND_MESSAGE &&
        (channel->driver->caps & CHANNEL_CAN_TYPE) != 0)
        twilio_last_message_put(reading.twilio, reading.item->external_chat_id, sid);
    return st;
}
