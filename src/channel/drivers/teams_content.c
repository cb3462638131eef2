/*
 * teams_content.c - what an activity of type message says: words, files, a pressed button
 *
 * Teams repeats the text as an attachment of type text/html; that one is left out. Mentions stand
 * in the text as <at>name</at>, and only those that the entities list are taken for mentions.
 */
#include <string.h>

#include "base/buf.h"
#include "channel/drivers/teams.h"
#include "text/json.h"

#define MENTIONS_MAX 100
#define ATTACHMENTS_MAX 50
#define TEXT_MAX_BYTES (256 * 1024)
#define VALUE_TEXT_MAX_BYTES 1000
#define FILE_INFO "application/vnd.microsoft.teams.file.download.info"
#define CARD_PREFIX "application/vnd.microsoft.card."

/* --- text --- */

struct mention {
    struct str mark; /* "<at>Ann</at>", as it stands in the text */
    struct str name; /* "Ann" */
    bool is_us;
};

static size_t
read_mentions(const json_t *activity, struct mention mentions[MENTIONS_MAX])
{
    struct str us = json_get_str(json_get_object(activity, "recipient"), "id");
    const json_t *entities = json_get_array(activity, "entities");
    size_t count = 0, i;
    json_t *entity;

    json_array_foreach (entities, i, entity) {
        const json_t *mentioned = json_get_object(entity, "mentioned");
        struct str mark = json_get_str(entity, "text");
        struct str name = mark;
        ptrdiff_t begin, end;

        if (count == MENTIONS_MAX || !str_eq_c(json_get_str(entity, "type"), "mention"))
            continue;
        begin = str_find_byte(mark, '>');
        end = str_find(mark, STR("</at>"));
        if (str_starts_with(mark, STR("<at")) && begin > 0 && end > begin)
            name = str_sub(mark, (size_t)begin + 1, (size_t)(end - begin) - 1);
        mentions[count++] =
            (struct mention){mark, name, us.len > 0 && str_eq(json_get_str(mentioned, "id"), us)};
    }
    return count;
}

/* The mention whose mark begins here; NULL: none. Marks are tags, so that most bytes are passed at
 * a glance. */
static const struct mention *
mention_at(struct str left, const struct mention *mentions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (mentions[i].mark.len > 0 && mentions[i].mark.ptr[0] == '<' &&
            str_starts_with(left, mentions[i].mark))
            return &mentions[i];
    return NULL;
}

static bool
read_text(const json_t *activity, struct arena *arena, struct teams_content *content)
{
    struct str text = json_get_str(activity, "text");
    struct mention mentions[MENTIONS_MAX];
    size_t count = read_mentions(activity, mentions), at = 0;
    struct buf out;
    struct err ignored;

    for (size_t i = 0; i < count; i++)
        content->mentions_us = content->mentions_us || mentions[i].is_us;
    buf_init(&out, TEXT_MAX_BYTES);
    while (at < text.len) {
        struct str left = str_sub(text, at, text.len);
        const struct mention *mention =
            left.ptr[0] == '<' ? mention_at(left, mentions, count) : NULL;

        if (mention != NULL) {
            if (!mention->is_us)
                buf_append(&out, mention->name);
            at += mention->mark.len;
        } else if (left.ptr[0] == '&' && str_starts_with(left, STR("&nbsp;"))) {
            buf_append_byte(&out, ' ');
            at += 6;
        } else {
            buf_append_byte(&out, left.ptr[0]);
            at++;
        }
    }
    bool fits = buf_check(&out, &ignored) == ST_OK &&
                arena_try_str(arena, str_trim(buf_str(&out)), &content->text, &ignored) == ST_OK;
    buf_deinit(&out);
    return fits;
}

/* --- attachments --- */

static const char *
kind_of(struct str mime_type, struct str file_type)
{
    static const struct {
        const char *ending, *kind;
    } endings[] = {{"png", "image"},  {"jpg", "image"}, {"jpeg", "image"}, {"gif", "image"},
                   {"webp", "image"}, {"mp3", "audio"}, {"wav", "audio"},  {"m4a", "audio"},
                   {"ogg", "audio"},  {"mp4", "video"}, {"mov", "video"},  {"webm", "video"}};

    if (str_starts_with(mime_type, STR("image/")))
        return "image";
    if (str_starts_with(mime_type, STR("audio/")))
        return "audio";
    if (str_starts_with(mime_type, STR("video/")))
        return "video";
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (str_eq_nocase(file_type, str_from_c(endings[i].ending)))
            return endings[i].kind;
    return "document";
}

/* A message that is answered with a quotation comes as an attachment whose content is JSON text or
 * an object: {"messageId", "messagePreview"}. */
static void
read_quotation(const json_t *attachment, const struct teams_channel *teams,
               struct str conversation_id, json_t *metadata, struct arena *arena)
{
    const json_t *content = json_object_get(attachment, "content");
    json_auto_t *parsed = NULL;
    struct err ignored;

    if (json_is_string(content) &&
        json_parse(json_get_str(attachment, "content"), &parsed, &ignored) == ST_OK)
        content = parsed;
    struct str id = json_get_str(content, "messageId");
    if (!teams_id_is_valid(id) || str_find_byte(id, '|') >= 0)
        return;
    json_t *reply_to = json_object();

    json_set_str(reply_to, "external_message_id",
                 teams_message_format(arena, teams->app_id, conversation_id, id));
    json_set_str(reply_to, "text", json_get_str(content, "messagePreview"));
    json_set(metadata, "reply_to", reply_to);
}

/* False: not something to fetch. */
static bool
read_file(const json_t *attachment, json_t *attachments)
{
    struct str type = json_get_str(attachment, "contentType");
    const json_t *content = json_get_object(attachment, "content");
    bool is_info = str_eq_c(type, FILE_INFO);
    struct str url =
        is_info ? json_get_str(content, "downloadUrl") : json_get_str(attachment, "contentUrl");
    struct str file_type = is_info ? json_get_str(content, "fileType") : STR_EMPTY;

    if (url.len == 0 || json_array_size(attachments) >= ATTACHMENTS_MAX)
        return false;
    json_t *file = json_object();

    json_set_str(file, "kind", str_from_c(kind_of(is_info ? STR_EMPTY : type, file_type)));
    json_set_str(file, "url", url);
    json_set_str(file, "file_id", json_get_str(content, "uniqueId"));
    json_set_str(file, "file_name", json_get_str(attachment, "name"));
    if (!is_info)
        json_set_str(file, "mime_type", type);
    json_array_append_new(attachments, file);
    return true;
}

static void
read_attachments(const struct teams_channel *teams, const json_t *activity,
                 struct str conversation_id, json_t *metadata, struct arena *arena)
{
    json_t *attachments = json_array();
    const json_t *list = json_get_array(activity, "attachments");
    int64_t cards = 0;
    size_t i;
    json_t *one;

    json_array_foreach (list, i, one) {
        struct str type = json_get_str(one, "contentType");

        if (str_eq_c(type, "text/html"))
            continue;
        if (str_eq_c(type, "messageReference"))
            read_quotation(one, teams, conversation_id, metadata, arena);
        else if (str_starts_with(type, STR(CARD_PREFIX)) || !read_file(one, attachments))
            cards++;
    }
    if (json_array_size(attachments) > 0)
        json_set(metadata, "attachments", json_incref(attachments));
    if (cards > 0)
        json_set_int(metadata, "cards", cards);
    json_decref(attachments);
}

/* --- buttons --- */

static struct str
first_of(const json_t *object, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (json_get_str(object, *keys).len > 0)
            return json_get_str(object, *keys);
    return STR_EMPTY;
}

/* The beginning of a value as JSON. */
static struct str
value_text(const json_t *value, struct arena *arena)
{
    char *out = arena_alloc(arena, VALUE_TEXT_MAX_BYTES);
    size_t length = json_dumpb(value, out, VALUE_TEXT_MAX_BYTES, JSON_COMPACT | JSON_ENCODE_ANY);

    length = length > VALUE_TEXT_MAX_BYTES ? VALUE_TEXT_MAX_BYTES : length;
    return str_sub(str_of(out, length), 0, str_utf8_valid_prefix(str_of(out, length)));
}

/* What a card sends back: an object of its maker's. Ours is {"id": ...}, and its text is the
 * button's; of others the first words are taken that a person would recognise. */
static bool
read_value(const struct teams_channel *teams, const json_t *activity, struct str conversation_id,
           json_t *metadata, struct arena *arena, struct teams_content *content)
{
    static const char *const words[] = {"text", "title", "label", "displayText", NULL};
    static const char *const names[] = {"id", "verb", "action", "value", "data", NULL};
    const json_t *value = json_object_get(activity, "value");
    struct str data, card = json_get_str(activity, "replyToId");

    if (json_is_object(json_get_object(value, "action"))) /* Action.Execute */
        value = json_get_object(value, "action");
    if (!json_is_object(value) && !json_is_string(value))
        return false;
    const json_t *sent =
        json_get_object(value, "data") != NULL ? json_get_object(value, "data") : value;
    data = json_is_string(value) ? json_get_str(activity, "value") : first_of(value, names);
    if (data.len == 0)
        data = first_of(sent, names);
    if (data.len == 0)
        data = value_text(value, arena);
    data = arena_str(arena, str_sub(data, 0, str_utf8_floor(data, VALUE_TEXT_MAX_BYTES)));
    if (content->text.len == 0) {
        struct str label = first_of(sent, words);

        label = label.len > 0 ? label : first_of(value, words);
        label = str_sub(label, 0, str_utf8_floor(label, VALUE_TEXT_MAX_BYTES));
        content->text = label.len > 0 ? arena_str(arena, label) : data;
    }
    json_t *interactive = json_object();

    json_set_str(interactive, "type", STR("button"));
    json_set_str(interactive, "data", data);
    json_set_str(interactive, "label",
                 str_sub(content->text, 0, str_utf8_floor(content->text, VALUE_TEXT_MAX_BYTES)));
    if (teams_id_is_valid(card) && str_find_byte(card, '|') < 0)
        json_set_str(interactive, "external_message_id",
                     teams_message_format(arena, teams->app_id, conversation_id, card));
    json_set(metadata, "interactive", interactive);
    return true;
}

bool
teams_content_read(const struct teams_channel *teams, const json_t *activity,
                   struct str conversation_id, json_t *metadata, struct arena *arena,
                   struct teams_content *content_out)
{
    struct teams_content content = {.raw_kind = "empty"};

    if (!read_text(activity, arena, &content))
        return false;
    read_attachments(teams, activity, conversation_id, metadata, arena);
    if (read_value(teams, activity, conversation_id, metadata, arena, &content))
        content.raw_kind = "button";
    else if (content.text.len > 0)
        content.raw_kind = "text";
    else if (json_object_get(metadata, "attachments") != NULL)
        content.raw_kind = "attachment";
    if (content.text.ptr == NULL)
        content.text = STR("");
    *content_out = content;
    return true;
}
