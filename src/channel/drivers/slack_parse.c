/*
 * slack_parse.c - one delivery of the Events API becomes one inbound item
 *
 * A message and the app_mention about it name the same channel and time, so they are one message.
 * What bots say, we among them, is kept as an event and never answered. What no table knows becomes
 * an event "unknown" with its bytes.
 */
#include "channel/drivers/slack.h"

#include <sodium.h>
#include <string.h>

#include "text/json.h"

#define EVENT_ID_MAX 64

/* Kept, and nothing more: notices of the workspace, its channels and our app. */
static const char *const service_events[] = {
    "app_home_opened",
    "app_rate_limited",
    "app_requested",
    "app_uninstalled",
    "assistant_thread_context_changed",
    "assistant_thread_started",
    "call_rejected",
    "channel_archive",
    "channel_created",
    "channel_deleted",
    "channel_history_changed",
    "channel_id_changed",
    "channel_rename",
    "channel_shared",
    "channel_unarchive",
    "channel_unshared",
    "dnd_updated",
    "dnd_updated_user",
    "email_domain_changed",
    "emoji_changed",
    "file_change",
    "file_created",
    "file_deleted",
    "file_public",
    "file_shared",
    "file_unshared",
    "goodbye",
    "grid_migration_finished",
    "grid_migration_started",
    "group_archive",
    "group_close",
    "group_deleted",
    "group_history_changed",
    "group_open",
    "group_rename",
    "group_unarchive",
    "im_close",
    "im_created",
    "im_history_changed",
    "im_open",
    "invite_requested",
    "link_shared",
    "pin_added",
    "pin_removed",
    "resources_added",
    "resources_removed",
    "scope_denied",
    "scope_granted",
    "star_added",
    "star_removed",
    "subteam_created",
    "subteam_members_changed",
    "subteam_self_added",
    "subteam_self_removed",
    "subteam_updated",
    "team_access_granted",
    "team_access_revoked",
    "team_domain_change",
    "team_join",
    "team_rename",
    "tokens_revoked",
    "user_change",
    "user_huddle_changed",
    "user_profile_changed",
    "user_resource_denied",
    "user_resource_granted",
    "user_resource_removed",
    "user_status_changed",
    "workflow_deleted",
    "workflow_published",
    "workflow_step_deleted",
    "workflow_step_execute",
    "workflow_unpublished",
};
static const char *const membership_events[] = {"member_joined_channel", "member_left_channel",
                                                "channel_left", "group_left"};
/* Subtypes of messages that a person says; "" is the usual one. */
static const char *const spoken_subtypes[] = {"", "file_share", "thread_broadcast", "me_message"};

static bool
is_one_of(struct str word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_c(word, list[i]))
            return true;
    return false;
}
#define IS_ONE_OF(word, list) is_one_of((word), (list), sizeof(list) / sizeof((list)[0]))

/* --- shared with interactions --- */

struct str
slack_keep(struct slack_reading *reading, struct str s)
{
    struct str copy = STR_EMPTY;
    struct err ignored;

    if (s.len > 0 && arena_try_str(reading->arena, s, &copy, &ignored) != ST_OK)
        reading->too_large = true;
    return copy;
}

void
slack_become_event(struct slack_reading *reading, const char *kind, struct str id)
{
    struct inbound *item = reading->item;
    unsigned char hash[16];
    char text[2 * sizeof hash + 1];

    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    item->external_message_id = STR_EMPTY;
    item->wants_answer = false;
    item->starts_new_conversation = false;
    item->raw = reading->raw;
    if (item->timestamp_us == 0)
        item->timestamp_us = clock_wall_us(reading->slack->base.env->clock);
    if (id.len > 0 && id.len <= EVENT_ID_MAX) {
        item->external_event_id = slack_keep(reading, id);
        return;
    }
    crypto_generichash(hash, sizeof hash, (const unsigned char *)reading->raw.ptr, reading->raw.len,
                       NULL, 0);
    sodium_bin2hex(text, sizeof text, hash, sizeof hash);
    item->external_event_id = arena_printf(reading->arena, "bytes:%s", text);
}

enum status
slack_check_origin(const struct slack_channel *slack, struct str app_id, struct str team_id,
                   struct err *err)
{
    if (app_id.len > 0 && !str_eq(app_id, slack->app_id))
        return err_set(err, ST_INVALID, "this is of another Slack app");
    if (team_id.len > 0 && !str_eq(team_id, slack->team_id))
        return err_set(err, ST_INVALID, "this is of another Slack workspace");
    return ST_OK;
}

bool
slack_is_direct(struct str channel_id, struct str type)
{
    return type.len > 0 ? str_eq_c(type, "im") : channel_id.len > 0 && channel_id.ptr[0] == 'D';
}

/* --- pieces --- */

static struct str
event_id(const struct slack_reading *reading)
{
    return json_get_str(reading->body, "event_id");
}

static void
read_time(struct slack_reading *reading, const json_t *event)
{
    static const char *const keys[] = {"event_ts", "ts"};
    int64_t seconds = json_get_int(reading->body, "event_time", 0);

    for (size_t i = 0; i < 2; i++)
        if (slack_ts_read(json_get_str(event, keys[i]), &reading->item->timestamp_us))
            return;
    if (seconds > 0 && seconds < INT64_C(253402300799))
        reading->item->timestamp_us = seconds * US_PER_S;
}

static struct str
user_text(struct slack_reading *reading, struct str text, bool *mentions_us_out)
{
    char ours[SLACK_ID_MAX + 1];

    pthread_mutex_lock(&reading->slack->lock);
    memcpy(ours, reading->slack->user_id, sizeof ours);
    pthread_mutex_unlock(&reading->slack->lock);
    return slack_text_read(text, str_from_c(ours), reading->arena, mentions_us_out);
}

static bool
is_of_a_bot(const struct slack_reading *reading, const json_t *message)
{
    return json_get_str(message, "bot_id").len > 0 ||
           json_get_str(json_get_object(message, "bot_profile"), "id").len > 0 ||
           str_eq_c(json_get_str(message, "subtype"), "bot_message") ||
           slack_user_is_ours(reading->slack, json_get_str(message, "user"));
}

/* Whoever did it: named by id, or told whole. */
static struct str
acting_user(const json_t *event)
{
    static const char *const keys[] = {"user", "user_id", "actor_id"};
    struct str user = json_get_str(json_get_object(event, "user"), "id");

    for (size_t i = 0; user.len == 0 && i < sizeof keys / sizeof keys[0]; i++)
        user = json_get_str(event, keys[i]);
    return user;
}

/* --- files --- */

static const char *
attachment_kind(const json_t *file)
{
    struct str mime = json_get_str(file, "mimetype");

    if (str_eq_c(json_get_str(file, "subtype"), "slack_audio"))
        return "voice";
    return str_starts_with(mime, STR("image/"))   ? "image"
           : str_starts_with(mime, STR("audio/")) ? "audio"
           : str_starts_with(mime, STR("video/")) ? "video"
                                                  : "document";
}

static size_t
set_attachments(struct slack_reading *reading, const json_t *event)
{
    json_t *attachments = json_array(), *file;
    size_t i;

    json_array_foreach (json_get_array(event, "files"), i, file) {
        struct str url = json_get_str(file, "url_private_download");
        int64_t size = json_get_int(file, "size", 0);

        if (json_get_str(file, "id").len == 0)
            continue;
        json_t *attachment = json_object();
        json_set_str(attachment, "kind", str_from_c(attachment_kind(file)));
        json_set_str(attachment, "file_id", json_get_str(file, "id"));
        if (url.len == 0)
            url = json_get_str(file, "url_private");
        if (url.len > 0)
            json_set_str(attachment, "url", url);
        json_set_str(attachment, "mime_type", json_get_str(file, "mimetype"));
        json_set_str(attachment, "file_name", json_get_str(file, "name"));
        if (size > 0)
            json_set_int(attachment, "size_bytes", size);
        json_array_append_new(attachments, attachment);
    }
    size_t count = json_array_size(attachments);
    if (count > 0)
        json_set(reading->item->metadata, "attachments", attachments);
    else
        json_decref(attachments);
    return count;
}

/* --- messages --- */

static void
set_context(struct slack_reading *reading, const json_t *event, const struct slack_chat *chat,
            bool addressed)
{
    json_t *metadata = reading->item->metadata;
    struct str subtype = json_get_str(event, "subtype"), ts = json_get_str(event, "ts");
    struct str root = json_get_str(event, "thread_ts");

    json_set_str(metadata, "raw_kind", subtype.len > 0 ? subtype : STR("text"));
    if (json_get_str(event, "channel_type").len > 0)
        json_set_str(metadata, "chat_type", json_get_str(event, "channel_type"));
    json_set_bool(metadata, "addressed", addressed);
    if (chat->thread_ts.len > 0)
        json_set_str(metadata, "thread", chat->thread_ts);
    if (root.len > 0 && !str_eq(root, ts)) {
        json_t *reply_to = json_object();

        json_set_str(reply_to, "external_message_id",
                     slack_message_format(reading->slack, reading->arena, chat->channel_id, root));
        json_set_bool(reply_to, "is_ours",
                      slack_user_is_ours(reading->slack, json_get_str(event, "parent_user_id")));
        json_set(metadata, "reply_to", reply_to);
    }
}

static enum status
read_spoken(struct slack_reading *reading, const json_t *event, struct err *err)
{
    struct inbound *item = reading->item;
    struct slack_chat chat = {.channel_id = json_get_str(event, "channel")};
    struct str user = json_get_str(event, "user"), ts = json_get_str(event, "ts");
    struct str root = json_get_str(event, "thread_ts");
    int64_t when_us, ignored_us;
    bool mentions_us;

    /* Posted to, a user's id (U, W) would be that user's direct channel. */
    if (!slack_id_is_valid(chat.channel_id) || strchr("UW", chat.channel_id.ptr[0]) != NULL ||
        !slack_id_is_valid(user) || !slack_ts_read(ts, &when_us) ||
        (root.len > 0 && !slack_ts_read(root, &ignored_us)))
        return err_set(err, ST_INVALID, "a message without channel, user or ts");
    bool is_direct = slack_is_direct(chat.channel_id, json_get_str(event, "channel_type"));

    /* Between two people there is one conversation, unless one of them opened a thread. */
    chat.thread_ts = root.len > 0 ? root : is_direct ? STR("") : ts;
    item->external_message_id =
        slack_message_format(reading->slack, reading->arena, chat.channel_id, ts);
    item->external_user_id = slack_keep(reading, user);
    item->external_chat_id = slack_chat_format(reading->arena, &chat);
    item->timestamp_us = when_us;
    item->text = user_text(reading, json_get_str(event, "text"), &mentions_us);
    bool addressed = is_direct || mentions_us ||
                     str_eq_c(json_get_str(event, "type"), "app_mention") ||
                     slack_user_is_ours(reading->slack, json_get_str(event, "parent_user_id"));
    item->wants_answer = is_direct || reading->slack->group_policy == SLACK_GROUP_ALL ||
                         (addressed && reading->slack->group_policy == SLACK_GROUP_ADDRESSED);
    set_context(reading, event, &chat, addressed);
    if (set_attachments(reading, event) == 0 && item->text.len == 0 && !mentions_us)
        slack_become_event(reading, "unknown", event_id(reading));
    return ST_OK;
}

/* The message as it was tells whose it was. */
static enum status
read_deletion(struct slack_reading *reading, const json_t *event, struct str ts)
{
    const json_t *before = json_get_object(event, "previous_message");
    struct str channel_id = json_get_str(event, "channel");

    json_set_str(reading->item->metadata, "raw_kind", json_get_str(event, "subtype"));
    reading->item->external_user_id = slack_keep(reading, json_get_str(before, "user"));
    if (channel_id.len > 0 && ts.len > 0)
        reading->item->about_external_message_id =
            slack_message_format(reading->slack, reading->arena, channel_id, ts);
    slack_become_event(reading, is_of_a_bot(reading, before) ? "bot" : "deletion",
                       event_id(reading));
    return ST_OK;
}

/* Also told when Slack adds a preview of a link: then nobody has edited anything; and when a
 * message is deleted that has a thread, in whose place a notice stays. */
static enum status
read_change(struct slack_reading *reading, const json_t *event)
{
    const json_t *message = json_get_object(event, "message");
    struct str channel_id = json_get_str(event, "channel"), ts = json_get_str(message, "ts");
    struct str before = json_get_str(json_get_object(event, "previous_message"), "text");
    const char *kind = "service";
    bool mentions_us;

    if (str_eq_c(json_get_str(message, "subtype"), "tombstone"))
        return read_deletion(reading, event, ts);
    if (is_of_a_bot(reading, message))
        kind = "bot";
    else if (json_get_object(message, "edited") != NULL &&
             !str_eq(before, json_get_str(message, "text")))
        kind = "edit";
    json_set_str(reading->item->metadata, "raw_kind", json_get_str(event, "subtype"));
    reading->item->text = user_text(reading, json_get_str(message, "text"), &mentions_us);
    reading->item->external_user_id = slack_keep(reading, json_get_str(message, "user"));
    if (channel_id.len > 0 && ts.len > 0)
        reading->item->about_external_message_id =
            slack_message_format(reading->slack, reading->arena, channel_id, ts);
    slack_become_event(reading, kind, event_id(reading));
    return ST_OK;
}

static enum status
read_message(struct slack_reading *reading, const json_t *event, struct err *err)
{
    struct str subtype = json_get_str(event, "subtype");

    if (str_eq_c(subtype, "message_changed"))
        return read_change(reading, event);
    if (str_eq_c(subtype, "message_deleted"))
        return read_deletion(reading, event, json_get_str(event, "deleted_ts"));
    if (is_of_a_bot(reading, event))
        slack_become_event(reading, "bot", event_id(reading));
    else if (subtype.len > 0 && !IS_ONE_OF(subtype, spoken_subtypes))
        slack_become_event(reading, "service", event_id(reading));
    else
        return read_spoken(reading, event, err);
    reading->item->external_user_id = slack_keep(reading, acting_user(event));
    json_set_str(reading->item->metadata, "raw_kind", subtype.len > 0 ? subtype : STR("message"));
    return ST_OK;
}

static enum status
read_reaction(struct slack_reading *reading, const json_t *event, struct err *err)
{
    const json_t *about = json_get_object(event, "item");
    struct str channel_id = json_get_str(about, "channel"), ts = json_get_str(about, "ts");

    (void)err;
    reading->item->external_user_id = slack_keep(reading, json_get_str(event, "user"));
    reading->item->text = slack_keep(reading, json_get_str(event, "reaction"));
    if (channel_id.len > 0 && ts.len > 0)
        reading->item->about_external_message_id =
            slack_message_format(reading->slack, reading->arena, channel_id, ts);
    json_set_str(reading->item->metadata, "raw_kind", json_get_str(event, "type"));
    json_set_bool(reading->item->metadata, "removed",
                  str_eq_c(json_get_str(event, "type"), "reaction_removed"));
    /* Our own, too, but nobody else did it. */
    slack_become_event(reading,
                       slack_user_is_ours(reading->slack, json_get_str(event, "user")) ? "bot"
                                                                                       : "reaction",
                       event_id(reading));
    return ST_OK;
}

/* --- envelopes --- */

/* Whose installation the event is for: in shared channels the sender's workspace is another. */
static enum status
read_origin(struct slack_reading *reading, struct err *err)
{
    const json_t *authorizations = json_get_array(reading->body, "authorizations");
    const json_t *first = json_array_get(authorizations, 0);
    struct str team = json_get_str(first, "team_id");
    size_t i;
    json_t *authorization;

    if (team.len == 0)
        team = json_get_str(reading->body, "team_id");
    if (reading->slack->team_id.ptr[0] == 'E')
        team = json_get_str(first != NULL ? first : reading->body, "enterprise_id");
    enum status st =
        slack_check_origin(reading->slack, json_get_str(reading->body, "api_app_id"), team, err);
    if (st != ST_OK)
        return st;
    json_array_foreach (authorizations, i, authorization) {
        if (json_get_bool(authorization, "is_bot", false))
            slack_learn_user(reading->slack, json_get_str(authorization, "user_id"));
    }
    return ST_OK;
}

static enum status
read_envelope(struct slack_reading *reading, struct err *err)
{
    const json_t *event = json_get_object(reading->body, "event");
    struct str type = json_get_str(reading->body, "type"), kind = json_get_str(event, "type");
    const char *named = "unknown";

    if (type.len == 0)
        return err_set(err, ST_INVALID, "this is no event of Slack");
    enum status st = read_origin(reading, err);
    if (st != ST_OK)
        return st;
    read_time(reading, event);
    if (!str_eq_c(type, "event_callback"))
        kind = type;
    if (str_eq_c(kind, "message") || str_eq_c(kind, "app_mention"))
        return read_message(reading, event, err);
    if (str_eq_c(kind, "reaction_added") || str_eq_c(kind, "reaction_removed"))
        return read_reaction(reading, event, err);
    if (IS_ONE_OF(kind, service_events))
        named = "service";
    else if (IS_ONE_OF(kind, membership_events))
        named = "membership";
    reading->item->external_user_id = slack_keep(reading, acting_user(event));
    if (kind.len > 0)
        json_set_str(reading->item->metadata, "raw_kind", kind);
    slack_become_event(reading, named, event_id(reading));
    return ST_OK;
}

/* --- the bytes --- */

static struct str
form_json(const struct form *form, struct arena *arena)
{
    json_auto_t *object = json_object();

    for (size_t i = 0; i < form->count; i++)
        json_set(object, arena_cstr(arena, form->fields[i].name),
                 json_from_str(form->fields[i].value));
    return json_text(object, arena);
}

static enum status
read_form(struct slack_reading *reading, struct str body, struct err *err)
{
    struct form form;
    struct str payload;
    json_auto_t *json = NULL;
    enum status st = form_parse(body, reading->arena, &form, err);

    if (st != ST_OK)
        return st;
    if (!form_is_text(&form))
        return err_set(err, ST_INVALID, "the form is no text");
    payload = form_get(&form, "payload");
    if (payload.len == 0 && form_get(&form, "command").len > 0) {
        reading->raw = form_json(&form, reading->arena);
        return slack_read_command(reading, &form, err);
    }
    st = json_parse(payload, &json, err);
    if (st == ST_OK && !json_is_object(json))
        st = err_set(err, ST_INVALID, "the payload is no object");
    if (st != ST_OK)
        return st;
    reading->body = json;
    reading->raw = payload;
    return slack_read_interaction(reading, err);
}

static enum status
read_json(struct slack_reading *reading, struct str body, struct err *err)
{
    json_auto_t *json = NULL;
    enum status st = json_parse(body, &json, err);

    if (st == ST_OK && !json_is_object(json))
        st = err_set(err, ST_INVALID, "this is no event of Slack");
    if (st != ST_OK)
        return st;
    reading->body = json;
    reading->raw = body;
    return read_envelope(reading, err);
}

enum status
slack_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
            struct err *err)
{
    struct slack_reading reading = {.slack = slack_of(channel), .arena = batch->arena};

    batch->items = ARENA_NEW(batch->arena, struct inbound);
    batch->count = 1;
    reading.item = batch->items;
    reading.item->metadata = json_object();
    enum status st = str_starts_with(webhook->body, STR("{"))
                         ? read_json(&reading, webhook->body, err)
                         : read_form(&reading, webhook->body, err);
    if (st == ST_OK && reading.too_large)
        st = err_set(err, ST_TOO_LARGE, "the event is too large");
    return st;
}
