/*
 * teams_parse.c - one activity becomes one inbound item
 *
 * An activity names its conversation and service; without them it is none. Everything else becomes
 * a message or an event, unknown types too. Ids and names are copied with a check, because an
 * outsider chooses their length.
 */
#include <sodium.h>
#include <string.h>

#include "channel/drivers/teams.h"
#include "text/json.h"

#define NAME_MAX_BYTES 1024
#define THREAD_MARK ";messageid="

struct reading {
    struct teams_channel *teams;
    struct arena *arena;
    const struct webhook *webhook;
    const json_t *activity;
    struct str type, conversation_id; /* of the activity */
    struct inbound *item;
    bool too_large; /* a copy did not fit */
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
get(const struct reading *reading, const char *key)
{
    return json_get_str(reading->activity, key);
}

static bool
is_personal(const struct reading *reading)
{
    const json_t *conversation = json_get_object(reading->activity, "conversation");
    struct str type = json_get_str(conversation, "conversationType");

    if (type.len > 0)
        return str_eq_c(type, "personal");
    return !json_get_bool(conversation, "isGroup", false);
}

/* "" when the activity named by key cannot be one of ours. */
static struct str
message_id(const struct reading *reading, struct str activity_id)
{
    if (!teams_id_is_valid(activity_id) || str_find_byte(activity_id, '|') >= 0)
        return STR_EMPTY;
    return teams_message_format(reading->arena, reading->teams->app_id, reading->conversation_id,
                                activity_id);
}

static void
set_sender(struct reading *reading)
{
    struct inbound *item = reading->item;
    const json_t *from = json_get_object(reading->activity, "from");
    struct str id = json_get_str(from, "id"), name = json_get_str(from, "name");

    if (teams_id_is_valid(id))
        item->external_user_id = keep(reading, id);
    item->display_name = keep(reading, str_sub(name, 0, str_utf8_floor(name, NAME_MAX_BYTES)));
    item->locale = keep(reading, get(reading, "locale"));
    json_set_str(item->metadata, "aad_object_id", json_get_str(from, "aadObjectId"));
    if (item->locale.len > 0)
        json_set_str(item->metadata, "locale", item->locale);
}

static void
set_context(struct reading *reading)
{
    const json_t *conversation = json_get_object(reading->activity, "conversation");
    const json_t *data = json_get_object(reading->activity, "channelData");
    json_t *metadata = reading->item->metadata;
    ptrdiff_t root = str_find(reading->conversation_id, STR(THREAD_MARK));

    json_set_str(metadata, "chat_type", json_get_str(conversation, "conversationType"));
    json_set_str(metadata, "chat_title", json_get_str(conversation, "name"));
    json_set_str(metadata, "tenant_id", json_get_str(conversation, "tenantId"));
    json_set_str(metadata, "team_id", json_get_str(json_get_object(data, "team"), "id"));
    json_set_str(metadata, "teams_channel_id",
                 json_get_str(json_get_object(data, "channel"), "id"));
    if (root >= 0)
        json_set_str(metadata, "thread",
                     str_sub(reading->conversation_id, (size_t)root + strlen(THREAD_MARK),
                             reading->conversation_id.len));
}

/* --- events --- */

/* The same activity again is the same event; an edit keeps its message's id, so the time counts.
 * Without an id the bytes themselves are the name. */
static struct str
event_id(const struct reading *reading)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    char hex[2 * sizeof digest + 1];
    struct str id = get(reading, "id"), time = get(reading, "timestamp");

    if (teams_id_is_valid(id) && time.len <= 64)
        return arena_printf(reading->arena, "%.*s:%.*s:%.*s:%.*s",
                            STR_ARG(str_sub(reading->type, 0, 64)),
                            STR_ARG(reading->conversation_id), STR_ARG(id), STR_ARG(time));
    crypto_generichash(digest, sizeof digest, (const unsigned char *)reading->webhook->body.ptr,
                       reading->webhook->body.len, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return arena_printf(reading->arena, "bytes:%s", hex);
}

static void
become_event(struct reading *reading, const char *kind)
{
    struct inbound *item = reading->item;

    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    item->external_event_id = event_id(reading);
    item->raw = reading->webhook->body;
    item->wants_answer = false;
    json_set_str(item->metadata, "raw_kind", reading->type);
    json_set_str(item->metadata, "event_type",
                 json_get_str(json_get_object(reading->activity, "channelData"), "eventType"));
}

static enum status
read_named(struct reading *reading, const char *kind, struct err *err)
{
    (void)err;
    become_event(reading, kind);
    return ST_OK;
}

static enum status
read_deletion(struct reading *reading, const char *kind, struct err *err)
{
    reading->item->about_external_message_id = message_id(reading, get(reading, "id"));
    return read_named(reading, kind, err);
}

static enum status
read_reaction(struct reading *reading, const char *kind, struct err *err)
{
    static const struct {
        const char *from, *to;
    } lists[] = {{"reactionsAdded", "added"}, {"reactionsRemoved", "removed"}};

    for (size_t i = 0; i < 2; i++) {
        json_t *list = json_get_array(reading->activity, lists[i].from);

        if (list != NULL)
            json_set(reading->item->metadata, lists[i].to, json_incref(list));
    }
    reading->item->about_external_message_id = message_id(reading, get(reading, "replyToId"));
    return read_named(reading, kind, err);
}

static enum status
read_members(struct reading *reading, const char *kind, struct err *err)
{
    static const char *const lists[] = {"membersAdded", "membersRemoved"};
    static const char *const names[] = {"added", "removed"};

    for (size_t i = 0; i < 2; i++) {
        const json_t *list = json_get_array(reading->activity, lists[i]);
        json_t *ids, *one;
        size_t k;

        if (list == NULL)
            continue;
        ids = json_array();
        json_array_foreach (list, k, one) {
            if (json_get_str(one, "id").len > 0)
                json_array_append_new(ids, json_from_str(json_get_str(one, "id")));
        }
        json_set(reading->item->metadata, names[i], ids);
    }
    return read_named(reading, kind, err);
}

/* Taken away in a chat of two, nothing can be sent to that person until it is put back. */
static enum status
read_installation(struct reading *reading, const char *kind, struct err *err)
{
    struct str action = get(reading, "action");

    json_set_str(reading->item->metadata, "action", action);
    if (is_personal(reading) && reading->item->external_user_id.len > 0) {
        if (str_starts_with(action, STR("remove")))
            kind = "blocked";
        else if (str_starts_with(action, STR("add")))
            kind = "unblocked";
    }
    return read_named(reading, kind, err);
}

static enum status
read_event(struct reading *reading, const char *kind, struct err *err)
{
    const json_t *value = json_get_object(reading->activity, "value");

    json_set_str(reading->item->metadata, "name", get(reading, "name"));
    if (str_eq_c(get(reading, "name"), "application/vnd.microsoft.readReceipt")) {
        kind = "delivery";
        reading->item->delivery_state = DELIVERY_READ;
        reading->item->about_external_message_id =
            message_id(reading, json_get_str(value, "lastReadMessageId"));
    }
    return read_named(reading, kind, err);
}

/* --- messages --- */

/* What message, messageUpdate and a button's invoke share. */
static enum status
read_content(struct reading *reading, struct teams_content *content_out, struct err *err)
{
    if (!teams_content_read(reading->teams, reading->activity, reading->conversation_id,
                            reading->item->metadata, reading->arena, content_out))
        return err_set(err, ST_TOO_LARGE, "the activity has too much text");
    reading->item->text = content_out->text;
    return ST_OK;
}

static bool
is_of_a_bot(const struct reading *reading)
{
    const json_t *from = json_get_object(reading->activity, "from");
    const json_t *recipient = json_get_object(reading->activity, "recipient");
    struct str id = json_get_str(from, "id");

    return str_starts_with(id, STR("28:")) || str_eq_c(json_get_str(from, "role"), "bot") ||
           (id.len > 0 && str_eq(id, json_get_str(recipient, "id")));
}

static enum status
read_message(struct reading *reading, const char *kind, struct err *err)
{
    struct inbound *item = reading->item;
    struct teams_content content;
    struct str id = message_id(reading, get(reading, "id"));
    enum teams_group_policy policy = reading->teams->group_policy;
    enum status st = read_content(reading, &content, err);

    (void)kind;
    if (st != ST_OK)
        return st;
    if (is_of_a_bot(reading) || id.len == 0 || item->external_user_id.len == 0) {
        item->about_external_message_id = id;
        become_event(reading, is_of_a_bot(reading) ? "bot" : "unknown");
        return ST_OK;
    }
    bool addressed = is_personal(reading) || content.mentions_us ||
                     json_object_get(item->metadata, "interactive") != NULL;

    item->external_message_id = id;
    item->wants_answer = is_personal(reading) || policy == TEAMS_GROUP_ALL ||
                         (addressed && policy == TEAMS_GROUP_ADDRESSED);
    json_set_str(item->metadata, "raw_kind", str_from_c(content.raw_kind));
    json_set_bool(item->metadata, "addressed", addressed);
    return ST_OK;
}

/* messageUpdate: a person changed a message, or took its deletion back. */
static enum status
read_edit(struct reading *reading, const char *kind, struct err *err)
{
    struct teams_content content;
    enum status st = read_content(reading, &content, err);

    if (st != ST_OK)
        return st;
    reading->item->about_external_message_id = message_id(reading, get(reading, "id"));
    become_event(reading, is_of_a_bot(reading) ? "bot" : kind);
    return ST_OK;
}

static enum status
read_invoke(struct reading *reading, const char *kind, struct err *err)
{
    struct str name = get(reading, "name");

    if (str_eq_c(name, "adaptiveCard/action"))
        return read_message(reading, kind, err);
    json_set_str(reading->item->metadata, "name", name);
    if (str_eq_c(name, "message/submitAction")) {
        kind = "feedback";
        reading->item->about_external_message_id = message_id(reading, get(reading, "replyToId"));
    }
    return read_named(reading, kind, err);
}

static const struct activity_kind {
    const char *type, *kind;
    enum status (*read)(struct reading *reading, const char *kind, struct err *err);
} activity_kinds[] = {
    {"message", "message", read_message},
    {"messageUpdate", "edit", read_edit},
    {"messageDelete", "deletion", read_deletion},
    {"messageReaction", "reaction", read_reaction},
    {"conversationUpdate", "membership", read_members},
    {"installationUpdate", "installation", read_installation},
    {"invoke", "invoke", read_invoke},
    {"event", "event", read_event},
    {"typing", "typing", read_named},
    {"contactRelationUpdate", "membership", read_named},
    {"endOfConversation", "end_of_conversation", read_named},
    {"handoff", "handoff", read_named},
    {"trace", "trace", read_named},
    {"suggestion", "suggestion", read_named},
    {"command", "command", read_named},
    {"commandResult", "command_result", read_named},
};

static enum status
read_activity(struct reading *reading, struct err *err)
{
    for (size_t i = 0; i < sizeof activity_kinds / sizeof activity_kinds[0]; i++)
        if (str_eq_c(reading->type, activity_kinds[i].type))
            return activity_kinds[i].read(reading, activity_kinds[i].kind, err);
    become_event(reading, "unknown");
    return ST_OK;
}

static enum status
read_time(struct reading *reading, struct err *err)
{
    struct str text = get(reading, "timestamp");

    if (text.ptr == NULL) {
        reading->item->timestamp_us = clock_wall_us(reading->teams->base.env->clock);
        return ST_OK;
    }
    if (time_parse_rfc3339(text, &reading->item->timestamp_us, err) != ST_OK ||
        reading->item->timestamp_us <= 0)
        return err_set(err, ST_INVALID, "the activity's timestamp is not a time");
    return ST_OK;
}

static enum status
begin(struct reading *reading, struct err *err)
{
    const json_t *settings = reading->teams->base.record->settings;
    struct teams_chat chat;

    reading->type = get(reading, "type");
    chat.conversation_id = reading->conversation_id =
        json_get_str(json_get_object(reading->activity, "conversation"), "id");
    if (reading->type.len == 0 || !teams_id_is_valid(chat.conversation_id))
        return err_set(err, ST_INVALID, "not an activity: type or conversation.id is missing");
    if (!teams_service_url(settings, get(reading, "serviceUrl"), &chat.service_url))
        return err_set(err, ST_INVALID,
                       "the activity's serviceUrl is not among the channel's service_hosts");
    reading->item->external_chat_id = teams_chat_format(reading->arena, &chat);
    enum status st = read_time(reading, err);
    if (st != ST_OK)
        return st;
    set_sender(reading);
    set_context(reading);
    return ST_OK;
}

enum status
teams_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
            struct err *err)
{
    json_auto_t *activity = NULL;
    struct reading reading = {
        .teams = teams_of(channel), .arena = batch->arena, .webhook = webhook};
    enum status st = json_parse(webhook->body, &activity, err);

    if (st != ST_OK)
        return err_wrap(err, "activity");
    if (!json_is_object(activity))
        return err_set(err, ST_INVALID, "not an activity");
    batch->items = ARENA_NEW(batch->arena, struct inbound);
    batch->count = 1;
    reading.item = batch->items;
    reading.item->metadata = json_object();
    reading.activity = activity;
    st = begin(&reading, err);
    if (st == ST_OK)
        st = read_activity(&reading, err);
    if (st == ST_OK && reading.too_large)
        st = err_set(err, ST_TOO_LARGE, "the activity has too much text");
    return st;
}
