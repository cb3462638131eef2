/*
 * telegram_content.c - what one Telegram message contains: text, media, places, people
 *
 * A table of the kinds of media makes metadata.attachments; smaller tables name what is said
 * otherwise and what is a notice of the chat. What no table knows has no raw_kind.
 */
#include "channel/drivers/telegram.h"

#include <string.h>

#include "base/buf.h"
#include "text/json.h"

#define RICH_TEXT_MAX_BYTES 65536
#define RICH_TEXT_MAX_DEPTH 32

/* Order matters: an animation also has "document" set, a live photo also "photo". */
static const struct media_kind {
    const char *key, *kind;
} media_kinds[] = {
    {"animation", "animation"},   {"live_photo", "live_photo"}, {"photo", "photo"},
    {"voice", "voice"},           {"audio", "audio"},           {"video", "video"},
    {"video_note", "video_note"}, {"sticker", "sticker"},       {"document", "document"},
};

/* Said by a person, kept whole under the same key in metadata. */
static const char *const spoken_kinds[] = {"venue", "location",  "contact", "poll",
                                           "dice",  "checklist", "story"};

/* Notices of the chat (Bot API "service message"). */
static const char *const service_kinds[] = {
    "new_chat_members",
    "left_chat_member",
    "chat_owner_left",
    "chat_owner_changed",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "pinned_message",
    "invoice",
    "successful_payment",
    "refunded_payment",
    "users_shared",
    "chat_shared",
    "gift",
    "unique_gift",
    "gift_upgrade_sent",
    "connected_website",
    "write_access_allowed",
    "passport_data",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "checklist_tasks_done",
    "checklist_tasks_added",
    "direct_message_price_changed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "giveaway_created",
    "giveaway_completed",
    "giveaway_winners",
    "giveaway",
    "paid_message_price_changed",
    "suggested_post_approved",
    "suggested_post_approval_failed",
    "suggested_post_declined",
    "suggested_post_paid",
    "suggested_post_refunded",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "web_app_data",
};

/* --- media --- */

static void
copy_int(json_t *to, const char *to_key, const json_t *from, const char *from_key)
{
    const json_t *value = json_object_get(from, from_key);

    if (json_is_integer(value))
        json_set_int(to, to_key, json_integer_value(value));
}

static void
add_attachment(json_t *metadata, const char *kind, const json_t *media)
{
    json_t *attachments = json_get_array(metadata, "attachments");
    json_t *attachment = json_object();

    if (attachments == NULL) {
        attachments = json_array();
        json_set(metadata, "attachments", attachments);
    }
    json_set_str(attachment, "kind", str_from_c(kind));
    json_set_str(attachment, "file_id", json_get_str(media, "file_id"));
    json_set_str(attachment, "file_unique_id", json_get_str(media, "file_unique_id"));
    json_set_str(attachment, "mime_type", json_get_str(media, "mime_type"));
    json_set_str(attachment, "file_name", json_get_str(media, "file_name"));
    json_set_str(attachment, "emoji", json_get_str(media, "emoji"));
    copy_int(attachment, "size_bytes", media, "file_size");
    copy_int(attachment, "width", media, "width");
    copy_int(attachment, "height", media, "height");
    copy_int(attachment, "duration_s", media, "duration");
    /* Video notes are square and name their side only. */
    if (strcmp(kind, "video_note") == 0) {
        copy_int(attachment, "width", media, "length");
        copy_int(attachment, "height", media, "length");
    }
    json_array_append_new(attachments, attachment);
}

/* The largest of a photo's sizes; Telegram lists them from small to large, which is not promised.
 */
static const json_t *
largest_photo(const json_t *sizes)
{
    const json_t *best = NULL;
    int64_t best_area = -1;
    size_t i;
    json_t *size;

    json_array_foreach (sizes, i, size) {
        int64_t width = json_get_int(size, "width", 0), height = json_get_int(size, "height", 0);
        bool sane = width >= 0 && width <= 1000000 && height >= 0 && height <= 1000000;
        int64_t area = sane ? width * height : 0;

        if (json_is_object(size) && area >= best_area) {
            best = size;
            best_area = area;
        }
    }
    return best;
}

static const json_t *
media_file(const json_t *value)
{
    if (json_is_array(value))
        return largest_photo(value);
    return json_is_object(value) ? value : NULL;
}

static const char *
read_media(const json_t *message, json_t *metadata)
{
    for (size_t i = 0; i < sizeof media_kinds / sizeof media_kinds[0]; i++) {
        const json_t *file = media_file(json_object_get(message, media_kinds[i].key));

        if (file != NULL) {
            add_attachment(metadata, media_kinds[i].kind, file);
            return media_kinds[i].kind;
        }
    }
    return NULL;
}

/* paid_media{star_count, paid_media[{type, photo|video}]}: only bought or previewed parts have
 * files. */
static const char *
read_paid_media(const json_t *message, json_t *metadata)
{
    const json_t *paid = json_get_object(message, "paid_media");
    size_t i;
    json_t *item;

    if (paid == NULL)
        return NULL;
    json_array_foreach (json_get_array(paid, "paid_media"), i, item) {
        if (json_is_object(item))
            (void)read_media(item, metadata);
    }
    return "paid_media";
}

/* --- rich messages (Bot API 10.1): blocks of text within blocks --- */

/* What a block holds stands on a line of its own; what a text holds runs on. */
static void
collect_rich_text(const json_t *node, struct buf *out, bool is_block, int depth)
{
    static const struct {
        const char *key;
        bool holds_blocks;
    } inner[] = {{"label", false},   {"summary", false}, {"text", false},
                 {"blocks", true},   {"items", true},    {"cells", true},
                 {"caption", false}, {"credit", false},  {"expression", false}};
    size_t i;
    json_t *item;

    if (depth > RICH_TEXT_MAX_DEPTH || node == NULL)
        return;
    if (json_is_string(node)) {
        buf_append(out, str_of(json_string_value(node), json_string_length(node)));
    } else if (json_is_array(node)) {
        json_array_foreach (node, i, item) {
            collect_rich_text(item, out, is_block, depth + 1);
        }
    } else if (json_is_object(node)) {
        for (i = 0; i < sizeof inner / sizeof inner[0]; i++)
            collect_rich_text(json_object_get(node, inner[i].key), out, inner[i].holds_blocks,
                              depth + 1);
        if (is_block && out->len > 0 && out->ptr[out->len - 1] != '\n')
            buf_append_byte(out, '\n');
    }
}

static bool
read_rich_message(const json_t *message, struct arena *arena, struct str *text_out)
{
    const json_t *rich = json_get_object(message, "rich_message");
    struct buf text;

    if (rich == NULL)
        return false;
    buf_init(&text, RICH_TEXT_MAX_BYTES);
    collect_rich_text(json_get_array(rich, "blocks"), &text, true, 0);
    *text_out = arena_str(arena, str_trim(buf_str(&text)));
    buf_deinit(&text);
    return true;
}

/* --- the rest --- */

static const char *
read_spoken(const json_t *message, json_t *metadata, struct telegram_content *content)
{
    for (size_t i = 0; i < sizeof spoken_kinds / sizeof spoken_kinds[0]; i++) {
        json_t *value = json_get_object(message, spoken_kinds[i]);

        if (value == NULL)
            continue;
        json_set(metadata, spoken_kinds[i], json_incref(value));
        if (strcmp(spoken_kinds[i], "poll") == 0)
            content->text = json_get_str(value, "question");
        return spoken_kinds[i];
    }
    return NULL;
}

static const char *
find_service(const json_t *message)
{
    for (size_t i = 0; i < sizeof service_kinds / sizeof service_kinds[0]; i++)
        if (json_object_get(message, service_kinds[i]) != NULL)
            return service_kinds[i];
    return NULL;
}

void
telegram_content_read(const json_t *message, json_t *metadata, struct arena *arena,
                      struct telegram_content *content_out)
{
    struct telegram_content content = {.raw_kind = NULL};

    content.text = json_get_str(message, "text");
    if (content.text.ptr != NULL) {
        content.raw_kind = "text";
        content.entities = json_get_array(message, "entities");
    } else if (read_rich_message(message, arena, &content.text)) {
        content.raw_kind = "rich_message";
    } else {
        content.raw_kind = read_media(message, metadata);
        if (content.raw_kind == NULL)
            content.raw_kind = read_paid_media(message, metadata);
        if (content.raw_kind != NULL) {
            content.text = json_get_str(message, "caption");
            content.entities = json_get_array(message, "caption_entities");
        } else {
            content.raw_kind = read_spoken(message, metadata, &content);
        }
    }
    if (content.raw_kind == NULL) {
        content.raw_kind = find_service(message);
        content.is_service = content.raw_kind != NULL;
    }
    *content_out = content;
}
