/*
 * whatsapp_content.c - what one WhatsApp message contains: text, media, places, people, choices
 *
 * One row a type. Kinds of media become metadata.attachments, what a person chose becomes
 * metadata.interactive; the rest is kept whole under its own key. What no row knows has no
 * raw_kind.
 */
#include "channel/drivers/whatsapp.h"

#include <sodium.h>
#include <string.h>

#include "text/json.h"

#define SHA256_BYTES 32

/* --- media --- */

/* The webhook says it in base64, the API in hex: hex is what we keep. */
static void
set_sha256(json_t *attachment, struct str base64)
{
    unsigned char bytes[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    size_t length = 0;

    if (base64.len == 0 ||
        sodium_base642bin(bytes, sizeof bytes, base64.ptr, base64.len, NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length != SHA256_BYTES)
        return;
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    json_set_str(attachment, "sha256", str_from_c(hex));
}

static void
read_media(const char *kind, json_t *media, json_t *metadata, struct whatsapp_content *content)
{
    if (strcmp(kind, "audio") == 0 && json_get_bool(media, "voice", false))
        kind = "voice";
    content->raw_kind = str_from_c(kind);
    if (media == NULL)
        return;
    json_t *attachments = json_array(), *attachment = json_object();

    json_set_str(attachment, "kind", str_from_c(kind));
    json_set_str(attachment, "file_id", json_get_str(media, "id"));
    json_set_str(attachment, "mime_type", json_get_str(media, "mime_type"));
    json_set_str(attachment, "file_name", json_get_str(media, "filename"));
    set_sha256(attachment, json_get_str(media, "sha256"));
    if (json_get_bool(media, "animated", false))
        json_set_bool(attachment, "animated", true);
    json_array_append_new(attachments, attachment);
    json_set(metadata, "attachments", attachments);
    content->text = json_get_str(media, "caption");
}

/* --- what a person chose --- */

static json_t *
set_interactive(json_t *metadata, const char *type, struct str data, struct str label)
{
    json_t *interactive = json_object();

    json_set_str(interactive, "type", str_from_c(type));
    json_set_str(interactive, "data", data);
    json_set_str(interactive, "label", label);
    json_set(metadata, "interactive", interactive);
    return interactive;
}

/* A form that was filled in: its answers are JSON within a string. */
static void
read_flow(const json_t *reply, json_t *metadata, struct whatsapp_content *content)
{
    json_t *interactive =
        set_interactive(metadata, "flow", json_get_str(reply, "name"), json_get_str(reply, "body"));
    json_t *response = NULL;
    struct err ignored;

    if (json_parse(json_get_str(reply, "response_json"), &response, &ignored) == ST_OK)
        json_set(interactive, "response", response);
    else
        json_set_str(interactive, "response_text", json_get_str(reply, "response_json"));
    content->text = json_get_str(reply, "body");
}

/* The object may be absent altogether: then the person is asked to say it in words. */
static void
read_interactive(const char *kind, json_t *object, json_t *metadata,
                 struct whatsapp_content *content)
{
    const json_t *button = json_get_object(object, "button_reply");
    const json_t *row = json_get_object(object, "list_reply");
    const json_t *flow = json_get_object(object, "nfm_reply");
    const json_t *chosen = button != NULL ? button : row;

    content->raw_kind = str_from_c(kind);
    if (chosen != NULL) {
        json_t *interactive =
            set_interactive(metadata, button != NULL ? "button" : "list",
                            json_get_str(chosen, "id"), json_get_str(chosen, "title"));

        json_set_str(interactive, "description", json_get_str(chosen, "description"));
        content->text = json_get_str(chosen, "title");
    } else if (flow != NULL) {
        read_flow(flow, metadata, content);
    } else if (object != NULL) {
        json_set(metadata, "interactive", json_incref(object));
    }
}

/* A quick reply of a template. */
static void
read_button(const char *kind, json_t *object, json_t *metadata, struct whatsapp_content *content)
{
    struct str text = json_get_str(object, "text"), payload = json_get_str(object, "payload");

    content->raw_kind = str_from_c(kind);
    (void)set_interactive(metadata, "button", payload, text);
    content->text = text.len > 0 ? text : payload;
}

/* --- the rest --- */

static void
read_text(const char *kind, json_t *object, json_t *metadata, struct whatsapp_content *content)
{
    (void)metadata;
    content->raw_kind = str_from_c(kind);
    content->text = json_get_str(object, "body");
}

/* A place, an order: kept as it is. */
static void
read_whole(const char *kind, json_t *object, json_t *metadata, struct whatsapp_content *content)
{
    content->raw_kind = str_from_c(kind);
    content->text = json_get_str(object, "text");
    if (object != NULL)
        json_set(metadata, kind, json_incref(object));
}

/* Polls, view-once media and the like: something was said, and we cannot know what. */
static void
read_unsupported(const char *kind, json_t *object, json_t *metadata,
                 struct whatsapp_content *content)
{
    content->raw_kind = str_from_c(kind);
    json_set_str(metadata, "unsupported", json_get_str(object, "type"));
}

static const struct content_kind {
    const char *type;
    void (*read)(const char *kind, json_t *object, json_t *metadata,
                 struct whatsapp_content *content);
} content_kinds[] = {
    {"text", read_text},
    {"image", read_media},
    {"video", read_media},
    {"audio", read_media},
    {"document", read_media},
    {"sticker", read_media},
    {"location", read_whole},
    {"interactive", read_interactive},
    {"button", read_button},
    {"order", read_whole},
    {"unsupported", read_unsupported},
};

void
whatsapp_content_read(const json_t *message, json_t *metadata, struct whatsapp_content *content_out)
{
    struct str type = json_get_str(message, "type");
    struct whatsapp_content content = {.raw_kind = STR_EMPTY};
    json_t *contacts = json_get_array(message, "contacts");

    for (size_t i = 0; i < sizeof content_kinds / sizeof content_kinds[0]; i++)
        if (str_eq_c(type, content_kinds[i].type))
            content_kinds[i].read(content_kinds[i].type, json_get_object(message, type.ptr),
                                  metadata, &content);
    if (str_eq_c(type, "contacts")) {
        content.raw_kind = STR("contacts");
        if (contacts != NULL)
            json_set(metadata, "contacts", json_incref(contacts));
    }
    *content_out = content;
}
