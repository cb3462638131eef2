/*
 * instagram_send.c - what the product asks of Instagram: send, type, mark seen, probe, fetch
 *
 * A text has at most 1000 bytes, whatever their characters, and no formatting. Media have no
 * caption: they are messages of their own, before the text. Limits: Instagram Platform, "Send
 * messages" (2026).
 */
#include "channel/drivers/instagram.h"

#include <string.h>

#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define CALL_DEADLINE_MS 20000
#define LOSSY_DEADLINE_MS 5000
#define LOSSY_ARENA_BYTES (512 * 1024)
#define QUICK_REPLIES_MAX 13
#define TITLE_MAX_UNITS 20
#define PAYLOAD_MAX_LEN 1000
#define ADDRESSES_MAX 3
#define TEMPLATE_TEXT_MAX_UNITS 640
#define PARTS_MAX 512 /* the gateway refuses a message of far fewer */

/* --- parts --- */

struct parts {
    struct arena *arena;
    struct str *items;
    size_t count;
};

/* The limit counts bytes, and cutting counts UTF-16 units: what is still too long, because its
 * characters take more bytes than it has units, is cut again with as many units as would fit. A
 * unit takes three bytes at most, so that this ends. */
static void
add_parts(struct parts *parts, struct str text, size_t max_units)
{
    struct str *pieces;
    size_t count = markup_split(text, max_units, parts->arena, &pieces);

    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len <= INSTAGRAM_TEXT_MAX_BYTES) {
            if (parts->count < PARTS_MAX)
                parts->items[parts->count++] = pieces[i];
            continue;
        }
        size_t units = text_utf16_len(pieces[i]);
        size_t fewer = units * INSTAGRAM_TEXT_MAX_BYTES / pieces[i].len;

        add_parts(parts, pieces[i], fewer < max_units ? fewer : max_units - 1);
    }
}

size_t
instagram_split(struct channel *channel, struct str text, struct arena *arena,
                struct str **parts_out)
{
    struct parts parts = {.arena = arena, .items = ARENA_NEW_N(arena, struct str, PARTS_MAX)};

    (void)channel;
    add_parts(&parts, text, INSTAGRAM_TEXT_MAX_BYTES);
    *parts_out = parts.items;
    return parts.count;
}

/* --- composing --- */

struct composing {
    const struct outbound *outbound;
    struct arena *arena;
    struct str text;
    bool is_last;
    struct instagram_messages *messages;
};

void
instagram_messages_deinit(struct instagram_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        json_decref(messages->items[i]);
    messages->count = 0;
}

/* Takes content. */
static void
add_message(struct composing *c, json_t *content)
{
    json_t *message = json_object(), *recipient = json_object();

    json_set_str(recipient, "id", c->outbound->external_chat_id);
    json_set(message, "recipient", recipient);
    json_set(message, "message", content);
    c->messages->items[c->messages->count++] = message;
}

/* {"attachment": {"type": type, "payload": payload}}; takes payload. */
static void
add_attachment(struct composing *c, const char *type, json_t *payload)
{
    json_t *content = json_object(), *attachment = json_object();

    json_set_str(attachment, "type", str_from_c(type));
    json_set(attachment, "payload", payload);
    json_set(content, "attachment", attachment);
    add_message(c, content);
}

static enum status
add_text(struct composing *c, struct str text, json_t *quick_replies, struct err *err)
{
    json_t *content;

    if (text.len > INSTAGRAM_TEXT_MAX_BYTES) {
        json_decref(quick_replies);
        return err_set(err, ST_TOO_LARGE, "more than %d bytes for one Instagram message",
                       INSTAGRAM_TEXT_MAX_BYTES);
    }
    content = json_object();
    json_set_str(content, "text", text);
    if (quick_replies != NULL)
        json_set(content, "quick_replies", quick_replies);
    add_message(c, content);
    return ST_OK;
}

static bool
is_address(const json_t *button)
{
    struct str url = json_get_str(button, "url");

    return str_starts_with(url, STR("https://")) || str_starts_with(url, STR("http://"));
}

static bool
buttons_fit(const json_t *buttons, size_t max_count, bool are_addresses)
{
    size_t count = json_array_size(buttons);

    for (size_t i = 0; i < count; i++) {
        const json_t *button = json_array_get(buttons, i);
        struct str title = json_get_str(button, "title");

        if (title.len == 0 || text_utf16_len(title) > TITLE_MAX_UNITS ||
            json_get_str(button, "id").len > PAYLOAD_MAX_LEN || is_address(button) != are_addresses)
            return false;
    }
    return count > 0 && count <= max_count;
}

static json_t *
quick_replies_of(const json_t *buttons)
{
    json_t *list = json_array(), *button;
    size_t i;

    json_array_foreach (buttons, i, button) {
        struct str id = json_get_str(button, "id"), title = json_get_str(button, "title");
        json_t *reply = json_object();

        json_set_str(reply, "content_type", STR("text"));
        json_set_str(reply, "title", title);
        json_set_str(reply, "payload", id.len > 0 ? id : title);
        json_array_append_new(list, reply);
    }
    return list;
}

static void
add_addresses(struct composing *c, const json_t *buttons)
{
    json_t *payload = json_object(), *list = json_array(), *button;
    size_t i;

    json_array_foreach (buttons, i, button) {
        json_t *address = json_object();

        json_set_str(address, "type", STR("web_url"));
        json_set_str(address, "title", json_get_str(button, "title"));
        json_set_str(address, "url", json_get_str(button, "url"));
        json_array_append_new(list, address);
    }
    json_set_str(payload, "template_type", STR("button"));
    json_set_str(payload, "text", c->text);
    json_set(payload, "buttons", list);
    add_attachment(c, "template", payload);
}

static enum status
add_words(struct composing *c, struct err *err)
{
    const json_t *buttons = c->is_last ? json_get_array(c->outbound->metadata, "buttons") : NULL;

    if (c->text.len > 0 && buttons_fit(buttons, QUICK_REPLIES_MAX, false))
        return add_text(c, c->text, quick_replies_of(buttons), err);
    if (c->text.len > 0 && text_utf16_len(c->text) <= TEMPLATE_TEXT_MAX_UNITS &&
        buttons_fit(buttons, ADDRESSES_MAX, true)) {
        add_addresses(c, buttons);
        return ST_OK;
    }
    return add_text(
        c,
        buttons == NULL ? c->text : channel_list_buttons(c->text, c->outbound->metadata, c->arena),
        NULL, err);
}

static enum status
add_media(struct composing *c, const json_t *attachment, struct err *err)
{
    static const struct {
        const char *kind, *type;
    } types[] = {{"image", "image"}, {"photo", "image"}, {"sticker", "image"},
                 {"video", "video"}, {"audio", "audio"}, {"voice", "audio"}};
    struct str kind = json_get_str(attachment, "kind"), url = json_get_str(attachment, "url");
    const char *type = "file";
    json_t *payload;

    if (!is_address(attachment))
        return err_set(err, ST_INVALID, "an attachment needs an http address");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (str_eq_c(kind, types[i].kind))
            type = types[i].type;
    payload = json_object();
    json_set_str(payload, "url", url);
    add_attachment(c, type, payload);
    return ST_OK;
}

enum status
instagram_compose(const struct outbound *outbound, struct arena *arena,
                  struct instagram_messages *messages_out, struct err *err)
{
    struct composing c = {
        .outbound = outbound,
        .arena = arena,
        .text = markup_render(outbound->text, &markup_plain, arena, NULL),
        .is_last = outbound->part + 1 >= outbound->part_count,
        .messages = messages_out,
    };
    const json_t *attachments =
        c.is_last ? json_get_array(outbound->metadata, "attachments") : NULL;
    enum status st = ST_OK;
    size_t i;
    json_t *attachment;

    messages_out->count = 0;
    if (!instagram_is_person(outbound->external_chat_id))
        return err_set(err, ST_INVALID, "this names nobody on Instagram");
    if (json_array_size(attachments) > INSTAGRAM_MESSAGES_MAX - 1)
        return err_set(err, ST_INVALID, "more than %d attachments", INSTAGRAM_MESSAGES_MAX - 1);
    json_array_foreach (attachments, i, attachment) {
        if (st == ST_OK)
            st = add_media(&c, attachment, err);
    }
    if (st == ST_OK && (c.text.len > 0 || json_array_size(attachments) == 0))
        st = add_words(&c, err);
    if (st != ST_OK)
        instagram_messages_deinit(messages_out);
    return st;
}

/* --- sending --- */

/* A Page's token names the Page, which stands for its account. */
static struct str
messages_path(const struct instagram_channel *instagram, struct arena *arena)
{
    if (instagram->is_facebook_login)
        return STR("me/messages");
    return arena_printf(arena, "%.*s/messages", STR_ARG(instagram->account_id));
}

static struct str
mid_of_answer(const json_t *answer)
{
    return json_get_str(answer, "message_id");
}

enum status
instagram_send(struct channel *channel, const struct outbound *outbound, struct arena *arena,
               struct delivery *delivery_out, struct err *err)
{
    struct instagram_channel *instagram = instagram_of(channel);
    struct instagram_messages messages;
    struct str mid;
    enum status st = instagram_compose(outbound, arena, &messages, err);

    if (st != ST_OK)
        return st;
    st = meta_send(&instagram->account, messages_path(instagram, arena), messages.items,
                   messages.count, mid_of_answer, arena, &mid, err);
    if (st == ST_OK)
        delivery_out->external_message_id =
            arena_printf(arena, "%.*s:%.*s", STR_ARG(instagram->account_id), STR_ARG(mid));
    instagram_messages_deinit(&messages);
    return st;
}

/* --- lossy calls: what fails is forgotten, the next one comes soon --- */

static void
tell(struct instagram_channel *instagram, struct str person, const char *action)
{
    struct arena *arena = arena_create(LOSSY_ARENA_BYTES);
    json_auto_t *body = json_object();
    json_t *answer = NULL, *recipient = json_object();
    struct meta_error error;
    struct err ignored;

    json_set_str(recipient, "id", person);
    json_set(body, "recipient", recipient);
    json_set_str(body, "sender_action", str_from_c(action));
    if (instagram_is_person(person) &&
        meta_call(&instagram->account, messages_path(instagram, arena), body, LOSSY_DEADLINE_MS,
                  arena, &answer, &error, &ignored) == ST_OK)
        json_decref(answer);
    arena_destroy(&arena);
}

void
instagram_typing(struct channel *channel, struct str external_chat_id)
{
    tell(instagram_of(channel), external_chat_id, "typing_on");
}

void
instagram_acknowledge(struct channel *channel, struct str acknowledge)
{
    tell(instagram_of(channel), acknowledge, "mark_seen");
}

/* --- the account, files --- */

enum status
instagram_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                struct err *err)
{
    struct instagram_channel *instagram = instagram_of(channel);
    json_t *answer = NULL;
    struct meta_error ignored;
    struct str path = arena_printf(arena, "%.*s?fields=username", STR_ARG(instagram->account_id));
    enum status st =
        meta_call(&instagram->account, path, NULL, CALL_DEADLINE_MS, arena, &answer, &ignored, err);

    if (st != ST_OK)
        return st;
    struct str username = json_get_str(answer, "username");

    if (username.len == 0)
        st = err_set(err, ST_INVALID, "instagram_account_id names no Instagram account");
    else
        *account_out = arena_printf(arena, "@%.*s", STR_ARG(username));
    json_decref(answer);
    return st;
}

/* Whether some app hears of messages to the account: Meta tells fields, and no address. Of a
 * Facebook login it is the Page that is subscribed, whose id nobody gave. */
enum status
instagram_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                     struct str *trouble_out, struct err *err)
{
    struct instagram_channel *instagram = instagram_of(channel);
    json_auto_t *answer = NULL;
    struct meta_error ignored;
    json_t *app;
    bool hears = false;
    enum status st;
    size_t i;

    *url_out = STR_EMPTY;
    *trouble_out = STR("");
    if (instagram->is_facebook_login)
        return ST_OK;
    st = meta_call(&instagram->account,
                   arena_printf(arena, "%.*s/subscribed_apps", STR_ARG(instagram->account_id)),
                   NULL, CALL_DEADLINE_MS, arena, &answer, &ignored, err);
    if (st != ST_OK)
        return st;
    json_array_foreach (json_get_array(answer, "data"), i, app) {
        const json_t *fields = json_get_array(app, "subscribed_fields");
        json_t *field;
        size_t j;

        json_array_foreach (fields, j, field) {
            hears |=
                str_eq_c(STR("messages"), json_is_string(field) ? json_string_value(field) : "");
        }
    }
    if (!hears)
        *trouble_out = STR("no app is subscribed to the account's messages: nothing comes");
    return ST_OK;
}

/* The address is a key that ends soon; no token goes along. */
enum status
instagram_fetch_media(struct channel *channel, const json_t *attachment,
                      const struct media_sink *sink, struct arena *arena, struct str *mime_type_out,
                      struct err *err)
{
    struct str url = json_get_str(attachment, "url");

    *mime_type_out = STR_EMPTY;
    if (!is_address(attachment))
        return err_set(err, ST_INVALID, "the attachment has no address");
    return meta_fetch(&instagram_of(channel)->account, url, false, sink, arena, mime_type_out, err);
}
