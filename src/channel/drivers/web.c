/*
 * web.c - the web chat: a visitor's browser posts here, and reads the answer from our own store
 *
 * There is no provider: a message is delivered when it is committed, and the live stream shows it.
 * The visitor is proven by a signed token (web_session.h). One POST is one message:
 *   {"client_message_id": "...", "text": "...", "metadata": {"page": "...", "locale": "..."},
 *    "new_conversation": true}
 * The same client_message_id again is the same message. new_conversation without text is an event.
 */
#include "channel/channel_driver.h"

#include <sodium.h>
#include <string.h>

#include "channel/drivers/web.h"
#include "channel/web_session.h"
#include "text/json.h"

#define TEXT_MAX_CHARS 8000
#define TEXT_MAX_BYTES (4 * TEXT_MAX_CHARS)
#define CLIENT_ID_MAX 64
#define PAGE_MAX_BYTES 2048
#define LOCALE_MAX_BYTES 35 /* of RFC 5646, for most uses */
#define SECRET_MIN_LEN 16
#define SECRET_MAX_LEN 256
#define SECRET_BYTES 32
#define ORIGINS_MAX 100
#define LABEL_MAX_BYTES 200
#define GREETING_MAX_BYTES 2000
#define SUGGESTIONS_MAX 6
#define SUGGESTION_MAX_BYTES 200

/* --- settings --- */

static const char *const setting_keys[] = {"allowed_origins", "title",       "greeting", "color",
                                           "locale",          "suggestions", NULL};
static const char *const credential_keys[] = {"secret", "previous_secret", NULL};

static enum status
check_text(const json_t *object, const char *key, size_t min, size_t max, struct err *err)
{
    const json_t *value = json_object_get(object, key);
    struct str text = json_get_str(object, key);

    if (value != NULL && (!json_is_string(value) || text.len < min || text.len > max))
        return err_set(err, ST_INVALID, "%s must be text of %zu to %zu bytes", key, min, max);
    return ST_OK;
}

/* "scheme://host" or "scheme://host:port", as browsers write it: no path, no slash at the end. */
static bool
is_origin(const json_t *value)
{
    struct str s = str_of(json_string_value(value), json_string_length(value));
    struct str host = STR_EMPTY;

    if (!json_is_string(value))
        return false;
    if (str_starts_with(s, STR("https://")))
        host = str_sub(s, 8, s.len);
    else if (str_starts_with(s, STR("http://")))
        host = str_sub(s, 7, s.len);
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] <= ' ' || host.ptr[i] == 127 ||
            strchr("/?#@\\\"'<>*,", host.ptr[i]) != NULL)
            return false;
    return true;
}

static enum status
check_origins(const json_t *settings, struct err *err)
{
    const json_t *origins = json_object_get(settings, "allowed_origins");
    size_t i;
    json_t *origin;

    if (origins != NULL && (!json_is_array(origins) || json_array_size(origins) > ORIGINS_MAX))
        return err_set(err, ST_INVALID, "allowed_origins must be a list of at most %d",
                       ORIGINS_MAX);
    json_array_foreach (origins, i, origin) {
        if (!is_origin(origin))
            return err_set(err, ST_INVALID,
                           "allowed_origins: each must be like \"https://shop.example\"");
    }
    return ST_OK;
}

/* Questions that a visitor may begin with. */
static enum status
check_suggestions(const json_t *settings, struct err *err)
{
    const json_t *list = json_object_get(settings, "suggestions");
    size_t i;
    json_t *row;

    if (list != NULL && (!json_is_array(list) || json_array_size(list) > SUGGESTIONS_MAX))
        return err_set(err, ST_INVALID, "suggestions must be a list of at most %d",
                       SUGGESTIONS_MAX);
    json_array_foreach (list, i, row) {
        if (!json_is_string(row) || json_string_length(row) == 0 ||
            json_string_length(row) > SUGGESTION_MAX_BYTES)
            return err_set(err, ST_INVALID, "suggestions: each must be text of 1 to %d bytes",
                           SUGGESTION_MAX_BYTES);
    }
    return ST_OK;
}

static bool
is_color(struct str s)
{
    if ((s.len != 4 && s.len != 7) || s.ptr[0] != '#')
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (strchr("0123456789abcdefABCDEF", s.ptr[i]) == NULL)
            return false;
    return true;
}

static bool
is_locale(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';

        if (!is_letter && !(i > 0 && (is_digit || c == '-' || c == '_')))
            return false;
    }
    return s.len >= 2 && s.len <= LOCALE_MAX_BYTES;
}

static void
make_secret(json_t *credentials)
{
    unsigned char bytes[SECRET_BYTES];
    char text[sodium_base64_ENCODED_LEN(SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

    random_bytes(bytes, sizeof bytes);
    sodium_bin2base64(text, sizeof text, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    json_set_str(credentials, "secret", str_from_c(text));
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(text, sizeof text);
}

static enum status
web_check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
               struct arena *arena, struct err *err)
{
    enum status st;

    (void)arena;
    if (json_object_get(credentials, "secret") == NULL)
        make_secret(credentials);
    spec->account = STR_EMPTY; /* an address of ours, not of a provider */
    st = check_text(credentials, "secret", SECRET_MIN_LEN, SECRET_MAX_LEN, err);
    if (st == ST_OK)
        st = check_text(credentials, "previous_secret", SECRET_MIN_LEN, SECRET_MAX_LEN, err);
    if (st == ST_OK)
        st = check_text(settings, "title", 1, LABEL_MAX_BYTES, err);
    if (st == ST_OK)
        st = check_text(settings, "greeting", 1, GREETING_MAX_BYTES, err);
    if (st == ST_OK)
        st = check_origins(settings, err);
    if (st == ST_OK)
        st = check_suggestions(settings, err);
    if (st != ST_OK)
        return st;
    if (json_object_get(settings, "color") != NULL && !is_color(json_get_str(settings, "color")))
        return err_set(err, ST_INVALID, "color must be like \"#1a73e8\"");
    if (json_object_get(settings, "locale") != NULL && !is_locale(json_get_str(settings, "locale")))
        return err_set(err, ST_INVALID, "locale must be a language tag like \"en-GB\"");
    return ST_OK;
}

/* --- verification --- */

static enum status
web_verify(const struct channel_record *record, const struct webhook *webhook,
           const struct channel_env *env, struct err *err)
{
    struct web_session session;

    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    if (!web_request_is_allowed(record, webhook->request))
        return err_set(err, ST_DENIED, "pages of this origin may not use the channel");
    return web_session_check(record, web_session_token(webhook->request), env->clock, &session,
                             err);
}

/* --- parsing --- */

struct web_post {
    struct str client_message_id, text;
    json_t *metadata;
    bool new_conversation;
    struct str page, locale;
};

static bool
is_client_id(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.len >= 1 && s.len <= CLIENT_ID_MAX;
}

static size_t
count_chars(struct str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

static enum status
read_post(const json_t *body, struct web_post *post, struct err *err)
{
    static const struct json_field fields[] = {
        {.key = "client_message_id",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct web_post, client_message_id),
         .max_len = CLIENT_ID_MAX},
        {.key = "text",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct web_post, text),
         .max_len = TEXT_MAX_BYTES},
        {.key = "metadata",
         .kind = JSON_FIELD_OBJECT,
         .offset = offsetof(struct web_post, metadata)},
        {.key = "new_conversation",
         .kind = JSON_FIELD_BOOL,
         .offset = offsetof(struct web_post, new_conversation)},
        {.key = NULL}};
    static const struct json_field metadata_fields[] = {
        {.key = "page",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct web_post, page),
         .max_len = PAGE_MAX_BYTES},
        {.key = "locale",
         .kind = JSON_FIELD_STR,
         .offset = offsetof(struct web_post, locale),
         .max_len = LOCALE_MAX_BYTES},
        {.key = NULL}};
    enum status st = json_read(body, fields, post, err);

    if (st == ST_OK && post->metadata != NULL)
        st = json_read(post->metadata, metadata_fields, post, err);
    if (st != ST_OK)
        return st;
    if (post->client_message_id.ptr != NULL && !is_client_id(post->client_message_id))
        return err_set(err, ST_INVALID, "client_message_id must be 1 to %d of A-Z a-z 0-9 _ -",
                       CLIENT_ID_MAX);
    if (post->locale.ptr != NULL && !is_locale(post->locale))
        return err_set(err, ST_INVALID, "metadata.locale must be a language tag like \"en-GB\"");
    if (post->text.ptr == NULL && !post->new_conversation)
        return err_set(err, ST_INVALID, "text is missing");
    if (post->text.ptr == NULL)
        return ST_OK;
    if (post->client_message_id.ptr == NULL)
        return err_set(err, ST_INVALID, "client_message_id is missing");
    if (str_trim(post->text).len == 0 || count_chars(post->text) > TEXT_MAX_CHARS)
        return err_set(err, ST_INVALID, "text must have 1 to %d characters", TEXT_MAX_CHARS);
    return ST_OK;
}

static void
fill_message(struct inbound *item, const struct web_post *post, const char *channel_id,
             struct str visitor, struct arena *arena)
{
    item->kind = INBOUND_MESSAGE;
    item->external_message_id = arena_printf(arena, "%s:%.*s:%.*s", channel_id, STR_ARG(visitor),
                                             STR_ARG(post->client_message_id));
    item->wants_answer = true;
    json_set_str(item->metadata, "raw_kind", STR("text"));
    json_set_bool(item->metadata, "addressed", true);
    json_set_str(item->metadata, "client_message_id", post->client_message_id);
}

static void
fill_event(struct inbound *item, const struct web_post *post, struct str body, struct str visitor,
           struct arena *arena)
{
    struct id_text fresh = id_new();
    struct str id = post->client_message_id.ptr != NULL ? post->client_message_id : id_str(&fresh);

    item->kind = INBOUND_EVENT;
    item->event_kind = STR("new_conversation");
    item->external_event_id = arena_printf(arena, "%.*s:%.*s", STR_ARG(visitor), STR_ARG(id));
    item->raw = body;
}

enum status
web_parse_body(struct channel *channel, struct str visitor, struct str body,
               struct inbound_batch *batch, struct err *err)
{
    json_auto_t *json = NULL;
    struct web_post post = {.text = STR_EMPTY};
    struct arena *arena = batch->arena;
    struct str text = STR_EMPTY;
    enum status st = json_parse(body, &json, err);

    if (st == ST_OK && !json_is_object(json))
        st = err_set(err, ST_INVALID, "the body must be a JSON object");
    if (st == ST_OK)
        st = read_post(json, &post, err);
    if (st == ST_OK)
        st = arena_try_str(arena, post.text, &text, err);
    if (st != ST_OK)
        return st;
    struct inbound *item = ARENA_NEW(arena, struct inbound);

    batch->items = item;
    batch->count = 1;
    item->metadata = json_object();
    item->external_user_id = arena_str(arena, visitor);
    item->external_chat_id = item->external_user_id;
    item->timestamp_us = clock_wall_us(channel->env->clock);
    item->starts_new_conversation = post.new_conversation;
    item->text = post.text.ptr != NULL ? text : STR("");
    item->locale = arena_str(arena, post.locale);
    json_set_str(item->metadata, "page", post.page);
    json_set_str(item->metadata, "locale", post.locale);
    if (post.text.ptr != NULL)
        fill_message(item, &post, channel->record->id.id.text, visitor, arena);
    else
        fill_event(item, &post, body, visitor, arena);
    return ST_OK;
}

static enum status
web_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
          struct err *err)
{
    struct web_session session;

    if (webhook->request == NULL)
        return err_set(err, ST_INVALID, "a web chat is not polled");
    /* The visitor's name is in the proof alone. */
    enum status st = web_session_check(channel->record, web_session_token(webhook->request),
                                       channel->env->clock, &session, err);
    if (st != ST_OK)
        return st;
    return web_parse_body(channel, ID_STR(session.visitor), webhook->body, batch, err);
}

/* --- the rest is ours already --- */

static enum status
web_open(struct channel *channel, struct err *err)
{
    if (json_get_str(channel->record->credentials, "secret").len < SECRET_MIN_LEN)
        return err_set(err, ST_INVALID, "the channel has no valid secret");
    return ST_OK;
}

static void
web_close(struct channel *channel)
{
    (void)channel; /* it holds nothing */
}

static size_t
web_split(struct channel *channel, struct str text, struct arena *arena, struct str **parts_out)
{
    (void)channel;
    *parts_out = ARENA_NEW(arena, struct str);
    (*parts_out)[0] = text;
    return 1;
}

static enum status
web_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
         struct delivery *delivery_out, struct err *err)
{
    (void)err;
    delivery_out->external_message_id = arena_printf(arena, "%s:%s:%u", channel->record->id.id.text,
                                                     outbound->message_id.id.text, outbound->part);
    return ST_OK;
}

static enum status
web_probe(struct channel *channel, struct arena *arena, struct str *account_out, struct err *err)
{
    struct str title = json_get_str(channel->record->settings, "title");

    (void)err;
    *account_out = arena_str(arena, title.len > 0 ? title : channel->record->name);
    return ST_OK;
}

const struct channel_driver channel_driver_web = {
    .source = "web",
    .caps = CHANNEL_LOCAL | CHANNEL_STREAMS,
    .size = sizeof(struct channel),
    .burst_window_ms = 0,
    .setting_keys = setting_keys,
    .credential_keys = credential_keys,
    .check_spec = web_check_spec,
    .open = web_open,
    .close = web_close,
    .verify = web_verify,
    .parse = web_parse,
    .split = web_split,
    .send = web_send,
    .probe = web_probe,
};
