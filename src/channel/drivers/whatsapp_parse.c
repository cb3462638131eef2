/*
 * whatsapp_parse.c - one POST of Meta's becomes inbound items: messages, delivery states, the rest
 *
 * A POST carries up to 1000 updates of different kinds, and none may be lost because of another:
 * what cannot be read is kept raw as an event "unknown" beside the rest. Only a body that is no
 * notification at all is refused. Everything is bound to this channel's number: a value for another
 * number of the same business becomes an event that nobody answers. Strings are copied to the
 * batch's arena with a check, because the outsider chooses their length.
 */
#include "channel/drivers/whatsapp.h"

#include <string.h>

#include "text/json.h"

#define ITEMS_MAX 4000 /* four times what Meta puts into one POST */
#define ID_MAX_BYTES 512
#define REASON_MAX_BYTES 200
#define REFERENCE_MAX_BYTES 512

struct reading {
    struct whatsapp_channel *whatsapp;
    struct arena *arena;
    const struct webhook *webhook;
    struct inbound_batch *batch;
    size_t capacity;
    const json_t *entry, *change, *value; /* of the change being read */
    bool too_large;                       /* a copy did not fit */
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

/* An id that outsiders chose, joined to ours; empty when it is none. */
static struct str
message_id(const struct reading *reading, struct str wamid)
{
    if (wamid.len == 0 || wamid.len > ID_MAX_BYTES)
        return STR_EMPTY;
    return arena_printf(reading->arena, "%.*s:%.*s", STR_ARG(reading->whatsapp->number_id),
                        STR_ARG(wamid));
}

static struct inbound *
add_item(struct reading *reading)
{
    struct inbound *item = &reading->batch->items[reading->batch->count++];

    item->metadata = json_object();
    return item;
}

/* --- people --- */

static bool
is_person(struct str key)
{
    return whatsapp_is_user_id(key) || whatsapp_is_phone(key);
}

/* The entry of contacts about this person. Only an equal id proves that it is: a wrong one would
 * lead an answer to somebody else. */
static const json_t *
find_contact(const struct reading *reading, struct str user_id, struct str phone)
{
    const json_t *contacts = json_get_array(reading->value, "contacts");
    size_t i;
    json_t *contact;

    json_array_foreach (contacts, i, contact) {
        struct str contact_user = json_get_str(contact, "user_id");
        struct str contact_phone = json_get_str(contact, "wa_id");

        if ((user_id.len > 0 && str_eq(contact_user, user_id)) ||
            (phone.len > 0 && str_eq(contact_phone, phone)))
            return contact;
    }
    /* Nobody is named in the message itself: one contact for one message is its sender. */
    if (user_id.len == 0 && phone.len == 0 && json_array_size(contacts) == 1 &&
        json_array_size(json_get_array(reading->value, "messages")) == 1)
        return json_array_get(contacts, 0);
    return NULL;
}

/* Fills in the person behind the ids; false when there is none. */
static bool
set_person(struct reading *reading, struct inbound *item, struct str user_id, struct str phone)
{
    const json_t *contact = find_contact(reading, user_id, phone);
    const json_t *profile = json_get_object(contact, "profile");

    if (user_id.len == 0)
        user_id = json_get_str(contact, "user_id");
    if (phone.len == 0)
        phone = json_get_str(contact, "wa_id");
    struct str key = user_id.len > 0 ? user_id : phone;

    if (!is_person(key))
        return false;
    item->external_user_id = keep(reading, key);
    item->display_name = keep(reading, json_get_str(profile, "name"));
    json_set_str(item->metadata, "username", json_get_str(profile, "username"));
    if (whatsapp_is_phone(phone))
        json_set_str(item->metadata, "phone", phone);
    return true;
}

/* --- events --- */

/* subject: what the event was made of. A POST with one item is kept as it came. */
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
    if (item->timestamp_us == 0 &&
        !meta_read_time(json_object_get(subject, "timestamp"), &item->timestamp_us))
        item->timestamp_us = clock_wall_us(reading->whatsapp->base.env->clock);
}

/* --- messages --- */

static bool
is_our_number(const struct reading *reading, struct str number)
{
    const json_t *metadata = json_get_object(reading->value, "metadata");

    return number.len > 0 && (str_eq(number, json_get_str(metadata, "display_phone_number")) ||
                              str_eq(number, reading->whatsapp->number_id));
}

/* The message is a reply, was forwarded, or asks about a product. */
static bool
set_context(struct reading *reading, struct inbound *item, const json_t *message)
{
    const json_t *context = json_get_object(message, "context");
    struct str replied = message_id(reading, json_get_str(context, "id"));
    bool is_ours = is_our_number(reading, json_get_str(context, "from"));
    json_t *product = json_get_object(context, "referred_product");
    json_t *referral = json_get_object(message, "referral");

    if (json_get_bool(context, "forwarded", false) ||
        json_get_bool(context, "frequently_forwarded", false))
        json_set_bool(item->metadata, "forwarded", true);
    if (product != NULL)
        json_set(item->metadata, "referred_product", json_incref(product));
    if (referral != NULL)
        json_set(item->metadata, "referral", json_incref(referral));
    if (replied.len == 0)
        return false;
    json_t *reply_to = json_object();

    json_set_str(reply_to, "external_message_id", replied);
    json_set_bool(reply_to, "is_ours", is_ours);
    json_set(item->metadata, "reply_to", reply_to);
    return is_ours;
}

/* "@15550783881" stands in the text where a person mentioned our number. */
static bool
mentions_us(const struct reading *reading, struct str text)
{
    const json_t *metadata = json_get_object(reading->value, "metadata");
    struct str number = json_get_str(metadata, "display_phone_number");

    if (!whatsapp_is_phone(number))
        return false;
    return str_find(text, arena_printf(reading->arena, "@%.*s", STR_ARG(number))) >= 0;
}

/* False when the group's id is none. */
static bool
set_chat(struct reading *reading, struct inbound *item, const json_t *message, bool replies_to_us)
{
    struct str group = json_get_str(message, "group_id");
    enum whatsapp_group_policy policy = reading->whatsapp->group_policy;
    bool addressed = true;

    item->external_chat_id = item->external_user_id;
    if (group.ptr != NULL) {
        if (!whatsapp_is_group_id(group))
            return false;
        item->external_chat_id = arena_printf(reading->arena, "group:%.*s", STR_ARG(group));
        addressed = replies_to_us || mentions_us(reading, item->text);
        json_set_str(item->metadata, "chat_type", STR("group"));
    }
    item->wants_answer = group.ptr == NULL || policy == WHATSAPP_GROUP_ALL ||
                         (addressed && policy == WHATSAPP_GROUP_ADDRESSED);
    json_set_bool(item->metadata, "addressed", addressed);
    return true;
}

static void
read_reaction(struct reading *reading, struct inbound *item, const json_t *message)
{
    const json_t *reaction = json_get_object(message, "reaction");
    struct str emoji = json_get_str(reaction, "emoji");

    item->about_external_message_id = message_id(reading, json_get_str(reaction, "message_id"));
    json_set_str(item->metadata, "emoji", emoji.len > 0 ? emoji : STR("")); /* "": taken back */
    become_event(reading, item, "reaction", message);
}

static void
read_edit(struct reading *reading, struct inbound *item, const json_t *message)
{
    const json_t *edit = json_get_object(message, "edit");
    struct whatsapp_content content;

    item->about_external_message_id =
        message_id(reading, json_get_str(edit, "original_message_id"));
    whatsapp_content_read(json_get_object(edit, "message"), item->metadata, &content);
    item->text = keep(reading, content.text);
    become_event(reading, item, "edit", message);
}

static void
read_revoke(struct reading *reading, struct inbound *item, const json_t *message)
{
    item->about_external_message_id = message_id(
        reading, json_get_str(json_get_object(message, "revoke"), "original_message_id"));
    become_event(reading, item, "deletion", message);
}

/* "User Ada changed from US.1349 to US.2481": the old id stands nowhere else. */
static struct str
former_user_id(const json_t *system)
{
    static const struct str from = STR_INIT(" changed from "), to = STR_INIT(" to ");
    struct str body = json_get_str(system, "body"),
               given = json_get_str(system, "previous_user_id");
    ptrdiff_t at = str_find(body, from);

    if (given.len > 0)
        return given;
    while (at >= 0) { /* a name may hold the same words: what stands last counts */
        body = str_sub(body, (size_t)at + from.len, body.len);
        at = str_find(body, from);
    }
    at = str_find(body, to);
    struct str word = at < 0 ? STR_EMPTY : str_sub(body, 0, (size_t)at);
    return whatsapp_is_user_id(word) ? word : STR_EMPTY;
}

/* A new number or a new id: the chat goes on under it. */
static void
read_system(struct reading *reading, struct inbound *item, const json_t *message)
{
    const json_t *system = json_get_object(message, "system");
    struct str type = json_get_str(system, "type");
    struct str before = former_user_id(system), after = json_get_str(system, "user_id");

    if (before.len == 0)
        before = item->external_user_id;
    if (after.len == 0)
        after = json_get_str(system, "wa_id");
    json_set_str(item->metadata, "system", type);
    item->text = keep(reading, json_get_str(system, "body"));
    if ((str_eq_c(type, "user_changed_number") || str_eq_c(type, "user_changed_user_id")) &&
        is_person(before) && is_person(after)) {
        item->external_user_id = item->external_chat_id = keep(reading, before);
        item->new_external_chat_id = keep(reading, after);
        become_event(reading, item, "migrated", message);
    } else {
        become_event(reading, item, "service", message);
    }
}

static bool
is_call_permission(const json_t *message)
{
    return str_eq_c(json_get_str(json_get_object(message, "interactive"), "type"),
                    "call_permission_reply");
}

/* What is in messages[] and yet nothing that a person said. */
static const struct other_kind {
    const char *type;
    void (*read)(struct reading *reading, struct inbound *item, const json_t *message);
} other_kinds[] = {
    {"reaction", read_reaction},
    {"edit", read_edit},
    {"revoke", read_revoke},
    {"system", read_system},
};

static bool
read_other(struct reading *reading, struct inbound *item, const json_t *message)
{
    struct str type = json_get_str(message, "type");

    for (size_t i = 0; i < sizeof other_kinds / sizeof other_kinds[0]; i++)
        if (str_eq_c(type, other_kinds[i].type)) {
            json_set_str(item->metadata, "raw_kind", type);
            other_kinds[i].read(reading, item, message);
            return true;
        }
    return false;
}

static void
read_message(struct reading *reading, const json_t *message)
{
    struct inbound *item = add_item(reading);
    struct str wamid = json_get_str(message, "id");
    struct str id = message_id(reading, wamid);
    bool has_time = meta_read_time(json_object_get(message, "timestamp"), &item->timestamp_us);
    bool has_person = set_person(reading, item, json_get_str(message, "from_user_id"),
                                 json_get_str(message, "from"));
    bool replies_to_us = set_context(reading, item, message);
    struct whatsapp_content content;

    if (id.len > 0)
        item->external_event_id = arena_printf(reading->arena, "message:%.*s", STR_ARG(wamid));
    item->external_chat_id = item->external_user_id;
    if (read_other(reading, item, message))
        return;
    whatsapp_content_read(message, item->metadata, &content);
    item->text = keep(reading, content.text);
    if (item->text.ptr == NULL)
        item->text = STR("");
    json_set_str(item->metadata, "raw_kind", content.raw_kind);
    if (!set_chat(reading, item, message, replies_to_us) || !has_time || !has_person ||
        id.len == 0 || content.raw_kind.len == 0) {
        item->about_external_message_id = id;
        become_event(reading, item, "unknown", message);
        return;
    }
    if (is_call_permission(message)) {
        become_event(reading, item, "call_permission", message);
        return;
    }
    item->external_message_id = id;
    item->external_event_id = STR_EMPTY;
    if (reading->whatsapp->marks_read && json_get_str(message, "group_id").ptr == NULL)
        item->acknowledge = keep(reading, wamid);
    whatsapp_heard_put(&reading->whatsapp->heard, item->external_chat_id, wamid);
}

/* --- delivery --- */

static enum delivery_state
delivery_state_of(struct str word)
{
    static const struct {
        const char *word;
        enum delivery_state state;
    } words[] = {{"sent", DELIVERY_SENT},
                 {"delivered", DELIVERY_DELIVERED},
                 {"read", DELIVERY_READ},
                 {"played", DELIVERY_READ}, /* a voice note was listened to */
                 {"failed", DELIVERY_FAILED}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_eq_c(word, words[i].word))
            return words[i].state;
    return DELIVERY_NONE;
}

/* "131047: Message failed to send because ..." */
static void
read_failure(struct reading *reading, struct inbound *item, const json_t *status)
{
    const json_t *error = json_array_get(json_get_array(status, "errors"), 0);
    struct meta_error sorted;
    struct err words;

    item->delivery_reason = STR("WhatsApp did not say why");
    if (!json_is_object(error))
        return;
    (void)meta_sort_error(error, 0, &sorted, &words);
    item->delivery_reason = keep(reading, str_from_c(words.public_text));
    if (sorted.window_is_closed)
        item->delivery_state = DELIVERY_WINDOW_CLOSED;
}

static void
read_status(struct reading *reading, const json_t *status)
{
    struct inbound *item = add_item(reading);
    struct str wamid = json_get_str(status, "id"), word = json_get_str(status, "status");
    struct str participant = json_get_str(status, "recipient_participant_user_id");
    struct str reference = json_get_str(status, "biz_opaque_callback_data");
    struct str id = message_id(reading, wamid);
    enum delivery_state state = delivery_state_of(word);
    json_t *pricing = json_get_object(status, "pricing");

    if (participant.len == 0)
        participant = json_get_str(status, "recipient_participant_id");
    item->about_external_message_id = id;
    json_set_str(item->metadata, "raw_kind", word);
    if (reference.len <= REFERENCE_MAX_BYTES)
        json_set_str(item->metadata, "reference", reference);
    if (pricing != NULL)
        json_set(item->metadata, "pricing", json_incref(pricing));
    if (id.len == 0 || state == DELIVERY_NONE || participant.len > ID_MAX_BYTES) {
        become_event(reading, item, "unknown", status);
        return;
    }
    item->delivery_state = state;
    if (reference.len <= REFERENCE_MAX_BYTES)
        item->reference = keep(reading, reference);
    if (state == DELIVERY_FAILED)
        read_failure(reading, item, status);
    item->external_event_id =
        arena_printf(reading->arena, "status:%.*s:%.*s%s%.*s", STR_ARG(wamid), STR_ARG(word),
                     participant.len > 0 ? ":" : "", STR_ARG(participant));
    become_event(reading, item, "delivery", status);
}

/* --- what else comes --- */

/* A person of the business wrote from the phone's app, or changed or took back what was written
 * there. */
static void
read_echo(struct reading *reading, const json_t *echo)
{
    struct inbound *item = add_item(reading);
    struct str wamid = json_get_str(echo, "id");
    struct whatsapp_content content;

    (void)set_person(reading, item, json_get_str(echo, "to_user_id"), json_get_str(echo, "to"));
    item->external_chat_id = item->external_user_id;
    if (message_id(reading, wamid).len > 0)
        item->external_event_id = arena_printf(reading->arena, "echo:%.*s", STR_ARG(wamid));
    if (read_other(reading, item, echo)) /* of a message that was written there before */
        return;
    item->about_external_message_id = message_id(reading, wamid);
    whatsapp_content_read(echo, item->metadata, &content);
    item->text = keep(reading, content.text);
    json_set_str(item->metadata, "raw_kind", json_get_str(echo, "type"));
    become_event(reading, item, "echo", echo);
}

static void
read_user_id_update(struct reading *reading, const json_t *update)
{
    struct inbound *item = add_item(reading);
    const json_t *ids = json_get_object(update, "user_id");
    struct str before = json_get_str(ids, "previous"), after = json_get_str(ids, "current");
    bool is_known = whatsapp_is_user_id(before) && whatsapp_is_user_id(after);

    json_set_str(item->metadata, "raw_kind", STR("user_id_update"));
    if (is_known) {
        item->external_user_id = item->external_chat_id = keep(reading, before);
        item->new_external_chat_id = keep(reading, after);
    }
    become_event(reading, item, is_known ? "migrated" : "unknown", update);
}

/* Wants marketing messages, or no longer. */
static void
read_preference(struct reading *reading, const json_t *preference)
{
    struct inbound *item = add_item(reading);

    (void)set_person(reading, item, json_get_str(preference, "user_id"),
                     json_get_str(preference, "wa_id"));
    item->external_chat_id = item->external_user_id;
    json_set_str(item->metadata, "raw_kind", STR("user_preferences"));
    json_set_str(item->metadata, "category", json_get_str(preference, "category"));
    json_set_str(item->metadata, "value", json_get_str(preference, "value"));
    become_event(reading, item, "preference", preference);
}

/* Known, kept, and of no concern to a conversation: the event is called as Meta does. */
static const char *const account_fields[] = {
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_status_update",
    "calls",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "template_category_update",
    "tracking_events",
};

/* NULL: it is not one of them. */
static const char *
account_kind(const json_t *change)
{
    struct str field = json_get_str(change, "field");

    for (size_t i = 0; i < sizeof account_fields / sizeof account_fields[0]; i++)
        if (str_eq_c(field, account_fields[i]))
            return account_fields[i];
    return NULL;
}

static void
read_whole_change(struct reading *reading, const char *kind)
{
    struct inbound *item = add_item(reading);

    json_set_str(item->metadata, "raw_kind", json_get_str(reading->change, "field"));
    become_event(reading, item, kind, reading->change);
}

/* Another number of the business, perhaps another organization's: what was said there is not kept.
 */
static void
read_other_account(struct reading *reading)
{
    struct inbound *item = add_item(reading);
    json_auto_t *remains = json_object();
    json_t *numbers = json_get_object(reading->value, "metadata");

    json_set_str(remains, "field", json_get_str(reading->change, "field"));
    if (numbers != NULL)
        json_set(remains, "metadata", json_incref(numbers));
    item->external_event_id =
        meta_event_id(reading->arena, reading->entry, json_text(reading->change, reading->arena));
    become_event(reading, item, "other_account", remains);
    item->raw = json_text(remains, reading->arena);
}

/* --- the POST --- */

/* The arrays of a value whose elements are items of their own. */
static const struct list_kind {
    const char *key;
    void (*read)(struct reading *reading, const json_t *element);
} list_kinds[] = {
    {"messages", read_message},
    {"statuses", read_status},
    {"message_echoes", read_echo},
    {"user_id_update", read_user_id_update},
    {"user_preferences", read_preference},
};
#define LIST_KINDS (sizeof list_kinds / sizeof list_kinds[0])

static struct str
number_of(const struct reading *reading)
{
    return json_get_str(json_get_object(reading->value, "metadata"), "phone_number_id");
}

static size_t
count_elements(const json_t *value)
{
    size_t count = 0;

    for (size_t i = 0; i < LIST_KINDS; i++)
        count += json_array_size(json_get_array(value, list_kinds[i].key));
    return count;
}

/* The change in hand holds items of its own, and they are ours. */
static bool
has_elements(const struct reading *reading)
{
    return str_eq(number_of(reading), reading->whatsapp->number_id) &&
           account_kind(reading->change) == NULL && count_elements(reading->value) > 0;
}

/* How many items it makes: read_change makes as many. */
static size_t
count_change(const struct reading *reading)
{
    return has_elements(reading) ? count_elements(reading->value) : 1;
}

static void
read_elements(struct reading *reading)
{
    for (size_t kind = 0; kind < LIST_KINDS; kind++) {
        const json_t *list = json_get_array(reading->value, list_kinds[kind].key);
        size_t i;
        json_t *element;

        json_array_foreach (list, i, element) {
            list_kinds[kind].read(reading, element);
        }
    }
}

static void
read_change(struct reading *reading)
{
    struct str number = number_of(reading);
    const char *kind = account_kind(reading->change);
    bool is_elsewhere = number.ptr != NULL && !str_eq(number, reading->whatsapp->number_id);

    if (has_elements(reading))
        read_elements(reading);
    else if (is_elsewhere || (kind == NULL && count_elements(reading->value) > 0))
        read_other_account(reading);
    else if (kind != NULL)
        read_whole_change(reading, kind);
    else if (json_get_array(reading->value, "errors") != NULL)
        read_whole_change(reading, "account_error");
    else
        read_whole_change(reading, "unknown");
}

static size_t
for_each_change(struct reading *reading, const json_t *entries, bool counts)
{
    size_t count = 0, i, k;
    json_t *entry, *change;

    json_array_foreach (entries, i, entry) {
        reading->entry = entry;
        json_array_foreach (json_get_array(entry, "changes"), k, change) {
            reading->change = change;
            reading->value = json_get_object(change, "value");
            if (counts)
                count += count_change(reading);
            else
                read_change(reading);
        }
    }
    return count;
}

enum status
whatsapp_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
               struct err *err)
{
    json_auto_t *body = NULL;
    struct reading reading = {.whatsapp = whatsapp_of(channel),
                              .arena = batch->arena,
                              .webhook = webhook,
                              .batch = batch};
    enum status st = json_parse(webhook->body, &body, err);

    if (st != ST_OK)
        return err_wrap(err, "webhook");
    const json_t *entries = json_get_array(body, "entry");

    if (!str_eq_c(json_get_str(body, "object"), "whatsapp_business_account") || entries == NULL)
        return err_set(err, ST_INVALID, "not a notification of a WhatsApp Business account");
    reading.capacity = for_each_change(&reading, entries, true);
    if (reading.capacity == 0)
        return ST_OK;
    if (reading.capacity > ITEMS_MAX)
        return err_set(err, ST_TOO_LARGE, "more than %d updates in one webhook", ITEMS_MAX);
    batch->items = ARENA_NEW_N(batch->arena, struct inbound, reading.capacity);
    (void)for_each_change(&reading, entries, false);
    if (reading.too_large)
        return err_set(err, ST_TOO_LARGE, "the webhook has too much text");
    return ST_OK;
}
