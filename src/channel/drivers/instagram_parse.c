/*
 * instagram_parse.c - one POST of Instagram's becomes inbound items
 *
 * An entry is one account's: entry.messaging[] as a rule, entry.changes[] or a flat field and value
 * for the same, entry.standby[] while another app has the thread, which nobody here answers. What
 * cannot be read is kept raw as an event "unknown" beside the rest. Echoes of what the account
 * itself sent, by us or by a person in the app, are events: never answered.
 */
#include "channel/drivers/instagram.h"

#include <string.h>

#include "text/json.h"

#define ITEMS_MAX 4000
#define MID_MAX_BYTES 512

struct reading {
    struct instagram_channel *instagram;
    struct arena *arena;
    const struct webhook *webhook;
    struct inbound_batch *batch;
    size_t capacity;
    const json_t *entry;
    bool counts;    /* only how many there are */
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

static bool
is_mid(struct str mid)
{
    return mid.len > 0 && mid.len <= MID_MAX_BYTES;
}

static struct str
message_id(const struct reading *reading, struct str mid)
{
    if (!is_mid(mid))
        return STR_EMPTY;
    return arena_printf(reading->arena, "%.*s:%.*s", STR_ARG(reading->instagram->account_id),
                        STR_ARG(mid));
}

static bool
set_time(const json_t *event, struct inbound *item)
{
    return meta_read_time(json_object_get(event, "timestamp"), &item->timestamp_us);
}

/* The person on the other side: the sender, of an echo the recipient. */
static bool
set_person(struct reading *reading, struct inbound *item, const json_t *event, const char *side)
{
    struct str id = json_get_str(json_get_object(event, side), "id");

    if (!instagram_is_person(id))
        return false;
    item->external_user_id = item->external_chat_id = keep(reading, id);
    return true;
}

static void
become_event(struct reading *reading, struct inbound *item, const char *kind, const json_t *subject)
{
    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    item->external_message_id = STR_EMPTY;
    item->wants_answer = false;
    item->acknowledge = STR_EMPTY;
    item->raw =
        reading->capacity == 1 ? reading->webhook->body : json_text(subject, reading->arena);
    if (item->external_event_id.len == 0)
        item->external_event_id = meta_event_id(reading->arena, reading->entry, item->raw);
    if (item->timestamp_us == 0 && !set_time(subject, item))
        item->timestamp_us = clock_wall_us(reading->instagram->base.env->clock);
}

/* --- messages --- */

static void
set_whole(struct inbound *item, const char *key, json_t *value)
{
    if (value != NULL)
        json_set(item->metadata, key, json_incref(value));
}

/* image, video, audio, file, and what was shared: posts, reels, stories. */
static struct str
set_attachments(struct inbound *item, const json_t *message)
{
    json_t *list = json_array(), *given;
    struct str first = STR_EMPTY;
    size_t i;

    json_array_foreach (json_get_array(message, "attachments"), i, given) {
        struct str type = json_get_str(given, "type");
        json_t *payload = json_get_object(given, "payload"), *attachment;

        if (first.len == 0)
            first = type;
        /* A story ends after a day, and may not be kept for longer: it is no file to fetch. */
        if (str_find(type, STR("story")) >= 0) {
            set_whole(item, "story", payload);
            continue;
        }
        attachment = json_object();
        json_set_str(attachment, "kind", str_eq_c(type, "file") ? STR("document") : type);
        json_set_str(attachment, "url", json_get_str(payload, "url"));
        json_array_append_new(list, attachment);
    }
    if (json_array_size(list) > 0)
        json_set(item->metadata, "attachments", list);
    else
        json_decref(list);
    return first;
}

static void
set_interactive(struct inbound *item, const char *type, struct str data, struct str label)
{
    json_t *interactive = json_object();

    json_set_str(interactive, "type", str_from_c(type));
    json_set_str(interactive, "data", data);
    json_set_str(interactive, "label", label);
    json_set(item->metadata, "interactive", interactive);
}

static void
set_context(struct reading *reading, struct inbound *item, const json_t *message)
{
    const json_t *reply = json_get_object(message, "reply_to");
    const json_t *quick = json_get_object(message, "quick_reply");
    struct str replied = message_id(reading, json_get_str(reply, "mid"));

    set_whole(item, "story", json_get_object(reply, "story"));
    set_whole(item, "referral", json_get_object(message, "referral"));
    if (quick != NULL)
        set_interactive(item, "quick_reply", json_get_str(quick, "payload"),
                        json_get_str(message, "text"));
    if (replied.len == 0)
        return;
    json_t *reply_to = json_object();

    json_set_str(reply_to, "external_message_id", replied);
    json_set(item->metadata, "reply_to", reply_to);
}

static bool
is_from_us(const struct reading *reading, const json_t *event)
{
    return str_eq(json_get_str(json_get_object(event, "sender"), "id"),
                  reading->instagram->account_id);
}

/* What makes of a message something else; false: it is one. */
static bool
read_other_message(struct reading *reading, struct inbound *item, const json_t *event,
                   const json_t *message)
{
    bool is_echo = json_get_bool(message, "is_echo", false) || is_from_us(reading, event);
    struct str mid = json_get_str(message, "mid");

    item->about_external_message_id = message_id(reading, mid);
    if (is_echo)
        (void)set_person(reading, item, event, "recipient");
    if (is_echo && !json_get_bool(message, "is_deleted", false)) {
        item->external_event_id =
            is_mid(mid) ? arena_printf(reading->arena, "echo:%.*s", STR_ARG(mid)) : STR_EMPTY;
        become_event(reading, item, "echo", event);
    } else if (json_get_bool(message, "is_deleted", false)) {
        item->text = STR_EMPTY;
        item->external_event_id =
            is_mid(mid) ? arena_printf(reading->arena, "deleted:%.*s", STR_ARG(mid)) : STR_EMPTY;
        become_event(reading, item, "deletion", event);
    }
    return item->kind == INBOUND_EVENT;
}

static void
read_message(struct reading *reading, struct inbound *item, const json_t *event,
             const json_t *message)
{
    struct str mid = json_get_str(message, "mid"), text = json_get_str(message, "text");
    bool is_whole = set_person(reading, item, event, "sender") && set_time(event, item);
    struct str first = set_attachments(item, message);
    struct str kind = text.ptr != NULL || first.len == 0 ? STR("text") : first;

    item->text = keep(reading, text);
    if (item->text.ptr == NULL)
        item->text = STR("");
    if (json_get_bool(message, "is_unsupported", false))
        kind = STR("unsupported");
    json_set_str(item->metadata, "raw_kind", kind);
    if (read_other_message(reading, item, event, message))
        return;
    set_context(reading, item, message);
    if (!is_whole || !is_mid(mid)) {
        become_event(reading, item, "unknown", event);
        return;
    }
    item->external_message_id = item->about_external_message_id;
    item->about_external_message_id = STR_EMPTY;
    item->wants_answer = true;
    json_set_bool(item->metadata, "addressed", true);
    if (reading->instagram->marks_read)
        item->acknowledge = item->external_chat_id;
}

/* An ice breaker or a button: the person's answer in the words on it. */
static void
read_postback(struct reading *reading, struct inbound *item, const json_t *event,
              const json_t *postback)
{
    struct str mid = json_get_str(postback, "mid"), title = json_get_str(postback, "title");
    struct str payload = json_get_str(postback, "payload");

    json_set_str(item->metadata, "raw_kind", STR("postback"));
    set_interactive(item, "button", payload, title);
    set_whole(item, "referral", json_get_object(postback, "referral"));
    item->text = keep(reading, title.len > 0 ? title : payload);
    if (!set_person(reading, item, event, "sender") || !set_time(event, item) || !is_mid(mid) ||
        item->text.len == 0 || is_from_us(reading, event)) {
        become_event(reading, item, "unknown", event);
        return;
    }
    item->external_message_id = arena_printf(reading->arena, "%.*s:postback:%.*s",
                                             STR_ARG(reading->instagram->account_id), STR_ARG(mid));
    item->wants_answer = true;
    json_set_bool(item->metadata, "addressed", true);
}

/* --- events --- */

static void
read_reaction(struct reading *reading, struct inbound *item, const json_t *event,
              const json_t *reaction)
{
    struct str emoji = json_get_str(reaction, "emoji");

    (void)set_person(reading, item, event, "sender");
    item->about_external_message_id = message_id(reading, json_get_str(reaction, "mid"));
    json_set_str(item->metadata, "raw_kind", STR("reaction"));
    json_set_str(item->metadata, "action", json_get_str(reaction, "action"));
    json_set_str(item->metadata, "emoji", emoji.len > 0 ? emoji : STR("")); /* "": taken back */
    become_event(reading, item, "reaction", event);
}

static void
read_seen(struct reading *reading, struct inbound *item, const json_t *event, const json_t *seen)
{
    struct str mid = json_get_str(seen, "mid");

    (void)set_person(reading, item, event, "sender");
    json_set_str(item->metadata, "raw_kind", STR("read"));
    if (!is_mid(mid)) {
        become_event(reading, item, "unknown", event);
        return;
    }
    item->about_external_message_id = message_id(reading, mid);
    item->delivery_state = DELIVERY_READ;
    item->external_event_id = arena_printf(reading->arena, "read:%.*s", STR_ARG(mid));
    become_event(reading, item, "delivery", event);
}

static void
read_edit(struct reading *reading, struct inbound *item, const json_t *event, const json_t *edit)
{
    struct str mid = json_get_str(edit, "mid");

    (void)set_person(reading, item, event, "sender");
    item->about_external_message_id = message_id(reading, mid);
    item->text = keep(reading, json_get_str(edit, "text"));
    json_set_str(item->metadata, "raw_kind", STR("message_edit"));
    if (is_mid(mid))
        item->external_event_id = arena_printf(reading->arena, "edit:%.*s:%lld", STR_ARG(mid),
                                               (long long)json_get_int(edit, "num_edit", 0));
    become_event(reading, item, "edit", event);
}

/* An open thread was entered by a link or an ad: nothing was said yet. */
static void
read_referral(struct reading *reading, struct inbound *item, const json_t *event,
              const json_t *referral)
{
    (void)set_person(reading, item, event, "sender");
    json_set_str(item->metadata, "raw_kind", STR("referral"));
    json_set(item->metadata, "referral", json_deep_copy(referral));
    become_event(reading, item, "referral", event);
}

static void
read_thread_control(struct reading *reading, struct inbound *item, const json_t *event,
                    const json_t *control)
{
    (void)control;
    (void)set_person(reading, item, event, "sender");
    become_event(reading, item, "thread_control", event);
}

static const struct event_kind {
    const char *key;
    void (*read)(struct reading *reading, struct inbound *item, const json_t *event,
                 const json_t *content);
} event_kinds[] = {
    {"message", read_message},
    {"postback", read_postback},
    {"reaction", read_reaction},
    {"read", read_seen},
    {"message_edit", read_edit},
    {"referral", read_referral},
    {"pass_thread_control", read_thread_control},
    {"take_thread_control", read_thread_control},
    {"request_thread_control", read_thread_control},
    {"app_roles", read_thread_control},
};

/* NULL: room was only counted. */
static struct inbound *
add_item(struct reading *reading)
{
    if (reading->counts) {
        reading->capacity++;
        return NULL;
    }
    struct inbound *item = &reading->batch->items[reading->batch->count++];

    item->metadata = json_object();
    return item;
}

static void
read_event(struct reading *reading, const json_t *event)
{
    struct inbound *item = add_item(reading);

    if (item == NULL)
        return;
    for (size_t i = 0; i < sizeof event_kinds / sizeof event_kinds[0]; i++) {
        const json_t *content = json_get_object(event, event_kinds[i].key);

        if (content != NULL) {
            event_kinds[i].read(reading, item, event, content);
            return;
        }
    }
    become_event(reading, item, "unknown", event);
}

/* Another app has the thread: seen, never answered. */
static void
read_standby(struct reading *reading, const json_t *event)
{
    struct inbound *item = add_item(reading);

    if (item == NULL)
        return;
    (void)set_person(reading, item, event, "sender");
    become_event(reading, item, "standby", event);
}

/* Comments, mentions and the like are events of their own names; the rest is a messaging event in
 * another dress. */
static void
read_field(struct reading *reading, const json_t *change)
{
    static const char *const public_fields[] = {"comments", "live_comments", "mentions",
                                                "story_insights"};
    struct str field = json_get_str(change, "field");
    const json_t *value = json_get_object(change, "value");

    if (json_get_object(value, "sender") != NULL) {
        read_event(reading, value);
        return;
    }
    struct inbound *item = add_item(reading);
    const char *kind = "unknown";

    if (item == NULL)
        return;
    for (size_t i = 0; i < sizeof public_fields / sizeof public_fields[0]; i++)
        if (str_eq_c(field, public_fields[i]))
            kind = public_fields[i];
    json_set_str(item->metadata, "raw_kind", field);
    become_event(reading, item, kind, change);
}

/* --- the POST --- */

static void
read_list(struct reading *reading, const json_t *list,
          void (*read)(struct reading *reading, const json_t *element))
{
    size_t i;
    json_t *element;

    json_array_foreach (list, i, element) {
        read(reading, element);
    }
}

/* Another account of the same app, perhaps another organization's: what was said there is not kept.
 */
static void
read_other_account(struct reading *reading)
{
    struct inbound *item = add_item(reading);
    json_auto_t *remains = json_object();

    if (item == NULL)
        return;
    json_set_str(remains, "id", json_get_str(reading->entry, "id"));
    item->external_event_id =
        meta_event_id(reading->arena, reading->entry, json_text(reading->entry, reading->arena));
    become_event(reading, item, "other_account", remains);
    item->raw = json_text(remains, reading->arena);
}

static void
read_entry(struct reading *reading, const json_t *entry)
{
    reading->entry = entry;
    if (!str_eq(json_get_str(entry, "id"), reading->instagram->account_id)) {
        read_other_account(reading);
        return;
    }
    read_list(reading, json_get_array(entry, "messaging"), read_event);
    read_list(reading, json_get_array(entry, "changes"), read_field);
    read_list(reading, json_get_array(entry, "standby"), read_standby);
    if (json_get_str(entry, "field").ptr != NULL)
        read_field(reading, entry);
}

enum status
instagram_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
                struct err *err)
{
    json_auto_t *body = NULL;
    struct reading reading = {.instagram = instagram_of(channel),
                              .arena = batch->arena,
                              .webhook = webhook,
                              .batch = batch,
                              .counts = true};
    enum status st = json_parse(webhook->body, &body, err);

    if (st != ST_OK)
        return err_wrap(err, "webhook");
    const json_t *entries = json_get_array(body, "entry");

    if (!str_eq_c(json_get_str(body, "object"), "instagram") || entries == NULL)
        return err_set(err, ST_INVALID, "not a notification of an Instagram account");
    read_list(&reading, entries, read_entry);
    if (reading.capacity == 0)
        return ST_OK;
    if (reading.capacity > ITEMS_MAX)
        return err_set(err, ST_TOO_LARGE, "more than %d updates in one webhook", ITEMS_MAX);
    batch->items = ARENA_NEW_N(batch->arena, struct inbound, reading.capacity);
    reading.counts = false;
    read_list(&reading, entries, read_entry);
    if (reading.too_large)
        return err_set(err, ST_TOO_LARGE, "the webhook has too much text");
    return ST_OK;
}
