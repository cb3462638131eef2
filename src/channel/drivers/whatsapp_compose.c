/*
 * whatsapp_compose.c - one outbound part as the messages that the Cloud API takes
 *
 * A part is one message wherever that is possible, because each is paid for: a single picture takes
 * the text as its caption, up to three buttons or ten rows stand under the text. What does not fit
 * becomes plain text: a numbered list. Limits: Cloud API, "Messages" (2026).
 */
#include "channel/drivers/whatsapp.h"

#include <string.h>

#include "channel/markup.h"
#include "text/json.h"
#include "text/text.h"

#define BUTTONS_MAX 3
#define BUTTON_TITLE_MAX_UNITS 20
#define BUTTON_ID_MAX_LEN 256
#define ROWS_MAX 10
#define ROW_TITLE_MAX_UNITS 24
#define ROW_ID_MAX_LEN 200
#define TEMPLATE_NAME_MAX_LEN 512
#define PARAMETERS_MAX 50

struct composing {
    const struct whatsapp_channel *whatsapp;
    const struct outbound *outbound;
    struct arena *arena;
    struct whatsapp_chat chat;
    struct str text; /* as WhatsApp shows it */
    bool is_last;    /* of the message's parts: attachments and buttons belong to it */
    struct whatsapp_messages *messages;
};

void
whatsapp_messages_deinit(struct whatsapp_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        json_decref(messages->items[i]);
    messages->count = 0;
}

/* --- the frame of every message --- */

/* Takes content; it stands under a key that is called as the type is. */
static void
add_message(struct composing *c, const char *type, json_t *content)
{
    json_t *message = json_object();

    json_set_str(message, "messaging_product", STR("whatsapp"));
    json_set_str(message, "recipient_type",
                 c->chat.group_id.len > 0 ? STR("group") : STR("individual"));
    if (c->chat.user_id.len > 0)
        json_set_str(message, "recipient", c->chat.user_id);
    else if (c->chat.group_id.len > 0)
        json_set_str(message, "to", c->chat.group_id);
    else
        json_set_str(message, "to", arena_printf(c->arena, "+%.*s", STR_ARG(c->chat.phone)));
    struct str quoted = whatsapp_wamid_of(c->whatsapp, c->outbound->reply_to_external_id);

    if (quoted.len > 0 && c->outbound->part == 0 && c->messages->count == 0) {
        json_t *context = json_object();

        json_set_str(context, "message_id", quoted);
        json_set(message, "context", context);
    }
    json_set_str(message, "type", str_from_c(type));
    json_set(message, type, content);
    c->messages->items[c->messages->count++] = message;
}

static enum status
add_text(struct composing *c, struct str text, struct err *err)
{
    json_t *content;

    if (text_utf16_len(text) > WHATSAPP_TEXT_MAX_UNITS)
        return err_set(err, ST_TOO_LARGE, "more than %d characters for one WhatsApp message",
                       WHATSAPP_TEXT_MAX_UNITS);
    content = json_object();
    json_set_bool(content, "preview_url", false);
    json_set_str(content, "body", text);
    add_message(c, "text", content);
    return ST_OK;
}

/* --- buttons --- */

static json_t *
text_object(struct str text)
{
    json_t *object = json_object();

    json_set_str(object, "text", text);
    return object;
}

/* {"type": type, "body": {"text": ...}, "action": action}; takes action. */
static void
add_interactive(struct composing *c, const char *type, json_t *action)
{
    json_t *interactive = json_object();

    json_set_str(interactive, "type", str_from_c(type));
    json_set(interactive, "body", text_object(c->text));
    json_set(interactive, "action", action);
    add_message(c, "interactive", interactive);
}

/* Each has a title and perhaps an id within these lengths, no address, and no title comes twice. */
static bool
buttons_fit(const json_t *buttons, size_t max_count, size_t max_title_units, size_t max_id_len)
{
    size_t count = json_array_size(buttons);

    if (count == 0 || count > max_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *button = json_array_get(buttons, i);
        struct str title = json_get_str(button, "title");

        if (title.len == 0 || text_utf16_len(title) > max_title_units ||
            json_get_str(button, "id").len > max_id_len || json_get_str(button, "url").len > 0)
            return false;
        for (size_t k = 0; k < i; k++)
            if (str_eq(title, json_get_str(json_array_get(buttons, k), "title")))
                return false;
    }
    return true;
}

/* {"id", "title"}; a button without an id says its title when it is pressed. */
static json_t *
choice_of(const json_t *button)
{
    struct str id = json_get_str(button, "id"), title = json_get_str(button, "title");
    json_t *choice = json_object();

    json_set_str(choice, "id", id.len > 0 ? id : title);
    json_set_str(choice, "title", title);
    return choice;
}

static void
add_reply_buttons(struct composing *c, const json_t *buttons)
{
    json_t *action = json_object(), *list = json_array(), *button;
    size_t i;

    json_array_foreach (buttons, i, button) {
        json_t *entry = json_object();

        json_set_str(entry, "type", STR("reply"));
        json_set(entry, "reply", choice_of(button));
        json_array_append_new(list, entry);
    }
    json_set(action, "buttons", list);
    add_interactive(c, "button", action);
}

static void
add_list(struct composing *c, const json_t *buttons)
{
    json_t *action = json_object(), *sections = json_array(), *section = json_object();
    json_t *rows = json_array(), *button;
    size_t i;

    json_array_foreach (buttons, i, button) {
        json_array_append_new(rows, choice_of(button));
    }
    json_set(section, "rows", rows);
    json_array_append_new(sections, section);
    json_set_str(action, "button", c->whatsapp->list_label);
    json_set(action, "sections", sections);
    add_interactive(c, "list", action);
}

static bool
is_one_address(const json_t *buttons)
{
    const json_t *button = json_array_get(buttons, 0);
    struct str title = json_get_str(button, "title"), url = json_get_str(button, "url");

    return json_array_size(buttons) == 1 && title.len > 0 &&
           text_utf16_len(title) <= BUTTON_TITLE_MAX_UNITS &&
           (str_starts_with(url, STR("https://")) || str_starts_with(url, STR("http://")));
}

static void
add_address(struct composing *c, const json_t *button)
{
    json_t *action = json_object(), *parameters = json_object();

    json_set_str(parameters, "display_text", json_get_str(button, "title"));
    json_set_str(parameters, "url", json_get_str(button, "url"));
    json_set_str(action, "name", STR("cta_url"));
    json_set(action, "parameters", parameters);
    add_interactive(c, "cta_url", action);
}

static enum status
add_words(struct composing *c, struct err *err)
{
    const json_t *buttons = json_get_array(c->outbound->metadata, "buttons");
    bool may_be_interactive = c->is_last && c->chat.group_id.len == 0 && c->text.len > 0 &&
                              text_utf16_len(c->text) <= WHATSAPP_BODY_MAX_UNITS;

    if (may_be_interactive &&
        buttons_fit(buttons, BUTTONS_MAX, BUTTON_TITLE_MAX_UNITS, BUTTON_ID_MAX_LEN))
        add_reply_buttons(c, buttons);
    else if (may_be_interactive &&
             buttons_fit(buttons, ROWS_MAX, ROW_TITLE_MAX_UNITS, ROW_ID_MAX_LEN))
        add_list(c, buttons);
    else if (may_be_interactive && is_one_address(buttons))
        add_address(c, json_array_get(buttons, 0));
    else
        return add_text(c,
                        c->is_last ? channel_list_buttons(c->text, c->outbound->metadata, c->arena)
                                   : c->text,
                        err);
    return ST_OK;
}

/* --- media --- */

/* As the API calls it; "document" for what it has no word for. */
static const char *
media_type(struct str kind)
{
    static const struct {
        const char *kind, *type;
    } types[] = {{"image", "image"}, {"photo", "image"}, {"video", "video"},
                 {"audio", "audio"}, {"voice", "audio"}, {"sticker", "sticker"}};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (str_eq_c(kind, types[i].kind))
            return types[i].type;
    return "document";
}

static bool
has_caption(const char *type)
{
    return strcmp(type, "audio") != 0 && strcmp(type, "sticker") != 0;
}

static enum status
add_media(struct composing *c, const json_t *attachment, struct str caption, struct err *err)
{
    const char *type = media_type(json_get_str(attachment, "kind"));
    struct str id = json_get_str(attachment, "file_id"), url = json_get_str(attachment, "url");

    if (id.len == 0 && !str_starts_with(url, STR("https://")) &&
        !str_starts_with(url, STR("http://")))
        return err_set(err, ST_INVALID, "an attachment needs a file_id or an http address");
    json_t *media = json_object();

    json_set_str(media, id.len > 0 ? "id" : "link", id.len > 0 ? id : url);
    if (caption.len > 0)
        json_set_str(media, "caption", caption);
    if (strcmp(type, "document") == 0)
        json_set_str(media, "filename", json_get_str(attachment, "file_name"));
    add_message(c, type, media);
    return ST_OK;
}

/* True when the only attachment can carry the text. */
static bool
text_is_caption(const struct composing *c, const json_t *attachments)
{
    return json_array_size(attachments) == 1 && c->text.len > 0 &&
           json_array_size(json_get_array(c->outbound->metadata, "buttons")) == 0 &&
           text_utf16_len(c->text) <= WHATSAPP_BODY_MAX_UNITS &&
           has_caption(media_type(json_get_str(json_array_get(attachments, 0), "kind")));
}

static enum status
add_content(struct composing *c, struct err *err)
{
    const json_t *attachments =
        c->is_last ? json_get_array(c->outbound->metadata, "attachments") : NULL;
    enum status st = ST_OK;
    size_t i;
    json_t *attachment;

    if (json_array_size(attachments) > WHATSAPP_MESSAGES_MAX - 1)
        return err_set(err, ST_INVALID, "more than %d attachments", WHATSAPP_MESSAGES_MAX - 1);
    if (text_is_caption(c, attachments))
        return add_media(c, json_array_get(attachments, 0), c->text, err);
    json_array_foreach (attachments, i, attachment) {
        if (st == ST_OK)
            st = add_media(c, attachment, STR_EMPTY, err);
    }
    /* The text comes last: it is what should stand at the bottom. */
    if (st == ST_OK && (c->text.len > 0 || json_array_size(attachments) == 0))
        st = add_words(c, err);
    return st;
}

/* --- templates --- */

/* [text, ...] by position, {name: text, ...} by name. */
static enum status
add_parameters(json_t *list, const json_t *parameters, struct err *err)
{
    bool has_names = json_is_object(parameters);
    size_t count = has_names ? json_object_size(parameters) : json_array_size(parameters), i = 0;
    void *iter = has_names ? json_object_iter((json_t *)(uintptr_t)parameters) : NULL;

    if (count > PARAMETERS_MAX)
        return err_set(err, ST_INVALID, "a template takes at most %d parameters", PARAMETERS_MAX);
    for (; i < count; i++) {
        const json_t *value =
            has_names ? json_object_iter_value(iter) : json_array_get(parameters, i);
        json_t *parameter = json_object();

        json_array_append_new(list, parameter);
        json_set_str(parameter, "type", STR("text"));
        if (has_names)
            json_set_str(parameter, "parameter_name", str_from_c(json_object_iter_key(iter)));
        if (!json_is_string(value) || json_string_length(value) == 0)
            return err_set(err, ST_INVALID, "the template's parameters must be texts");
        json_set_str(parameter, "text",
                     str_of(json_string_value(value), json_string_length(value)));
        if (has_names)
            iter = json_object_iter_next((json_t *)(uintptr_t)parameters, iter);
    }
    return ST_OK;
}

/* template.components: more than the body's parameters, as Meta's API takes it. */
static enum status
add_template(struct composing *c, const json_t *given, struct err *err)
{
    struct str name = json_get_str(given, "name"), language = json_get_str(given, "language");
    json_t *components = json_get_array(given, "components");
    const json_t *parameters = json_object_get(given, "parameters");

    if (name.len == 0 || name.len > TEMPLATE_NAME_MAX_LEN || language.len == 0)
        return err_set(err, ST_INVALID, "a template needs a name and a language");
    json_t *template = json_object(), *code = json_object();

    json_set_str(template, "name", name);
    json_set_str(code, "code", language);
    json_set(template, "language", code);
    add_message(c, "template", template);
    if (components != NULL) {
        json_set(template, "components", json_incref(components));
        return ST_OK;
    }
    if (parameters == NULL)
        return ST_OK;
    json_t *list = json_array(), *body = json_object();

    components = json_array();
    json_set(template, "components", components);
    json_array_append_new(components, body);
    json_set_str(body, "type", STR("body"));
    json_set(body, "parameters", list);
    return add_parameters(list, parameters, err);
}

enum status
whatsapp_compose(const struct whatsapp_channel *whatsapp, const struct outbound *outbound,
                 struct arena *arena, struct whatsapp_messages *messages_out, struct err *err)
{
    struct composing c = {
        .whatsapp = whatsapp,
        .outbound = outbound,
        .arena = arena,
        .is_last = outbound->part + 1 >= outbound->part_count,
        .messages = messages_out,
    };
    const json_t *template = json_get_object(outbound->metadata, "template");
    enum status st = whatsapp_chat_parse(outbound->external_chat_id, &c.chat, err);

    messages_out->count = 0;
    if (st == ST_OK && template != NULL) {
        st = add_template(&c, template, err);
    } else if (st == ST_OK) {
        c.text = markup_render(outbound->text, &markup_whatsapp, arena, NULL);
        st = add_content(&c, err);
    }
    /* Comes back with each delivery state: says that the part was sent when nobody else knows. Of
     * several messages the last one, which is not sent without the others. */
    if (st == ST_OK && messages_out->count > 0)
        json_set_str(messages_out->items[messages_out->count - 1], "biz_opaque_callback_data",
                     channel_reference(outbound, arena));
    if (st != ST_OK)
        whatsapp_messages_deinit(messages_out);
    return st;
}
