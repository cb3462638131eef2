/*
 * telegram_parse.c - one Telegram update becomes one inbound item
 *
 * Every update becomes exactly one item, a message or an event, and only deletions one a message;
 * what we do not know becomes an event "unknown" with its bytes. Strings are copied to the batch's
 * arena with a check, because the outsider chooses their length; a failed copy is remembered and
 * refused at the end.
 */
#include "channel/drivers/telegram.h"

#include <string.h>

#include "text/json.h"

#define DATE_MAX_S INT64_C(253402300799) /* end of the year 9999 */
#define QUOTED_MAX_BYTES 1000
#define COMMAND_MAX 32
#define DELETIONS_MAX 1000 /* of one update */

struct reading {
    struct telegram_channel *telegram;
    struct arena *arena;
    const struct webhook *webhook;
    struct inbound_batch *batch;
    const json_t *update;
    int64_t update_id;
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

static bool
get_id(const json_t *object, const char *key, int64_t *id_out)
{
    const json_t *value = json_object_get(object, key);

    *id_out = json_integer_value(value);
    return json_is_integer(value);
}

static struct str
id_text(struct reading *reading, int64_t id)
{
    return arena_printf(reading->arena, "%lld", (long long)id);
}

static enum status
malformed(const struct reading *reading, const char *what, struct err *err)
{
    return err_set(err, ST_INVALID, "update %lld: %s", (long long)reading->update_id, what);
}

static enum status
read_date(const struct reading *reading, const json_t *object, int64_t *wall_us_out,
          struct err *err)
{
    int64_t seconds;

    if (!get_id(object, "date", &seconds) || seconds < 0 || seconds > DATE_MAX_S)
        return malformed(reading, "date is missing or not a time", err);
    *wall_us_out = seconds * US_PER_S;
    return ST_OK;
}

/* Offsets of entities count UTF-16 code units. Empty when the range is not within text. */
static struct str
utf16_slice(struct str text, int64_t offset, int64_t length)
{
    int64_t at = 0;
    size_t start = text.len + 1;

    for (size_t i = 0; i <= text.len; i++) {
        unsigned char byte = i < text.len ? (unsigned char)text.ptr[i] : 0;

        if (i < text.len && (byte & 0xC0) == 0x80)
            continue; /* inside a character */
        if (at == offset && start > text.len)
            start = i;
        if (start <= text.len && at == offset + length)
            return str_sub(text, start, i - start);
        at += byte >= 0xF0 ? 2 : 1;
    }
    return STR_EMPTY;
}

static struct str
person_name(struct reading *reading, const json_t *person)
{
    struct str first = json_get_str(person, "first_name");
    struct str last = json_get_str(person, "last_name");
    struct str title = json_get_str(person, "title");

    if (first.len > 0 && last.len > 0 && first.len + last.len < 1024)
        return arena_printf(reading->arena, "%.*s %.*s", STR_ARG(first), STR_ARG(last));
    if (first.len > 0)
        return keep(reading, first);
    return keep(reading, title.len > 0 ? title : json_get_str(person, "username"));
}

/* --- chat and sender --- */

struct place {
    const json_t *chat;
    int64_t chat_id, topic_id;
    struct str type; /* private | group | supergroup | channel */
    bool is_group;
};

static enum status
read_place(const struct reading *reading, const json_t *message, struct place *place_out,
           struct err *err)
{
    struct place place = {.chat = json_get_object(message, "chat")};

    if (place.chat == NULL || !get_id(place.chat, "id", &place.chat_id))
        return malformed(reading, "chat is missing", err);
    place.type = json_get_str(place.chat, "type");
    place.is_group = str_eq_c(place.type, "group") || str_eq_c(place.type, "supergroup");
    /* Without is_topic_message the thread is only a chain of replies. */
    if (json_get_bool(message, "is_topic_message", false))
        place.topic_id = json_get_int(message, "message_thread_id", 0);
    *place_out = place;
    return ST_OK;
}

static struct str
place_text(const struct reading *reading, const struct place *place)
{
    return telegram_chat_id_format(reading->arena, place->chat_id, place->topic_id);
}

static struct str
message_text(const struct reading *reading, int64_t chat_id, int64_t message_id)
{
    return telegram_message_id_format(reading->arena, reading->telegram->bot_id_text, chat_id,
                                      message_id);
}

/* Who spoke: a person, or a chat in whose name an administrator or member writes. NULL: a bot, or
 * nobody. Telegram fills "from" of anonymous posts with a bot of its own, so sender_chat decides.
 */
static const json_t *
find_sender(const json_t *message, bool *is_bot_out)
{
    const json_t *from = json_get_object(message, "from");
    const json_t *sender_chat = json_get_object(message, "sender_chat");

    *is_bot_out = false;
    if (sender_chat != NULL)
        return sender_chat;
    if (json_get_bool(from, "is_bot", false)) {
        *is_bot_out = true;
        return NULL;
    }
    return from;
}

static void
set_sender(struct reading *reading, const json_t *sender)
{
    struct inbound *item = reading->item;
    int64_t id;

    if (sender == NULL || !get_id(sender, "id", &id))
        return;
    item->external_user_id = id_text(reading, id);
    item->display_name = person_name(reading, sender);
    item->locale = keep(reading, json_get_str(sender, "language_code"));
    json_set_str(item->metadata, "username", json_get_str(sender, "username"));
    if (item->locale.len > 0)
        json_set_str(item->metadata, "locale", item->locale);
}

/* --- events --- */

static void
become_event(struct reading *reading, const char *kind, const char *raw_kind)
{
    struct inbound *item = reading->item;

    item->kind = INBOUND_EVENT;
    item->event_kind = str_from_c(kind);
    item->external_event_id =
        arena_printf(reading->arena, "update:%lld", (long long)reading->update_id);
    item->raw = reading->webhook->body;
    item->wants_answer = false;
    item->starts_new_conversation = false;
    if (item->timestamp_us == 0)
        item->timestamp_us = clock_wall_us(reading->telegram->base.env->clock);
    if (raw_kind != NULL)
        json_set_str(item->metadata, "raw_kind", str_from_c(raw_kind));
}

/* A group became a supergroup: told once in the old chat and once in the new one. */
static bool
read_migration(struct reading *reading, const struct place *place, const json_t *message)
{
    int64_t other;

    if (get_id(message, "migrate_to_chat_id", &other)) {
        reading->item->external_chat_id = id_text(reading, place->chat_id);
        reading->item->new_external_chat_id = id_text(reading, other);
    } else if (get_id(message, "migrate_from_chat_id", &other)) {
        reading->item->external_chat_id = id_text(reading, other);
        reading->item->new_external_chat_id = id_text(reading, place->chat_id);
    } else {
        return false;
    }
    become_event(reading, "migrated", "migration");
    return true;
}

/* --- is it meant for us --- */

struct command {
    struct str name, argument;
    struct str bot; /* after '@'; empty: no bot was named */
};

static bool
is_command_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "/name", "/name@bot", then white space or the end. */
static bool
read_command(struct str text, struct command *command_out)
{
    size_t at = 1;

    if (text.len < 2 || text.ptr[0] != '/')
        return false;
    while (at < text.len && is_command_byte(text.ptr[at]))
        at++;
    struct command command = {.name = str_sub(text, 1, at - 1)};
    if (at < text.len && text.ptr[at] == '@') {
        size_t start = ++at;

        while (at < text.len && is_command_byte(text.ptr[at]))
            at++;
        command.bot = str_sub(text, start, at - start);
        if (command.bot.len == 0)
            return false;
    }
    if (command.name.len == 0 || command.name.len > COMMAND_MAX ||
        (at < text.len && text.ptr[at] != ' ' && text.ptr[at] != '\n' && text.ptr[at] != '\t'))
        return false;
    command.argument = str_trim(str_sub(text, at, text.len));
    *command_out = command;
    return true;
}

/* The channel says which commands are its own: {"command": "...", "description": "..."}. */
static bool
command_is_listed(const struct reading *reading, struct str name)
{
    const json_t *commands = json_get_array(reading->telegram->base.record->settings, "commands");
    size_t i;
    json_t *entry;

    json_array_foreach (commands, i, entry) {
        if (str_eq_nocase(json_get_str(entry, "command"), name))
            return true;
    }
    return false;
}

/* Whether the command is one for this bot: in a group other bots may hear it too. */
static bool
command_is_ours(const struct reading *reading, const struct place *place,
                const struct command *command)
{
    if (!place->is_group)
        return true;
    if (command->bot.len > 0)
        return telegram_name_is_ours(reading->telegram, command->bot);
    return command_is_listed(reading, command->name);
}

static bool
entity_addresses_us(const struct reading *reading, const struct telegram_content *content,
                    const json_t *entity)
{
    struct str type = json_get_str(entity, "type");
    int64_t offset = json_get_int(entity, "offset", -1), length = json_get_int(entity, "length", 0);
    int64_t user_id;
    struct command command;

    if (str_eq_c(type, "text_mention"))
        return get_id(json_get_object(entity, "user"), "id", &user_id) &&
               user_id == reading->telegram->bot_id;
    if (offset < 0 || length < 2 || offset > INT32_MAX || length > INT32_MAX)
        return false;
    struct str marked = utf16_slice(content->text, offset, length);
    if (str_eq_c(type, "mention"))
        return marked.len > 1 &&
               telegram_name_is_ours(reading->telegram, str_sub(marked, 1, marked.len));
    return str_eq_c(type, "bot_command") && read_command(marked, &command) && command.bot.len > 0 &&
           telegram_name_is_ours(reading->telegram, command.bot);
}

/* The first message of a topic stands as the "reply" of all that follow: that is no reply. */
static const json_t *
find_replied(const json_t *message)
{
    const json_t *replied = json_get_object(message, "reply_to_message");

    if (json_object_get(replied, "forum_topic_created") != NULL)
        return NULL;
    return replied;
}

static bool
replies_to_us(const struct reading *reading, const json_t *message)
{
    const json_t *author = json_get_object(find_replied(message), "from");
    int64_t author_id;

    telegram_learn_name(reading->telegram, author);
    return get_id(author, "id", &author_id) && author_id == reading->telegram->bot_id;
}

static bool
is_addressed(const struct reading *reading, const struct place *place, const json_t *message,
             const struct telegram_content *content)
{
    size_t i;
    json_t *entity;
    struct command command;

    if (!place->is_group || replies_to_us(reading, message))
        return true;
    json_array_foreach (content->entities, i, entity) {
        if (entity_addresses_us(reading, content, entity))
            return true;
    }
    return read_command(content->text, &command) && command_is_ours(reading, place, &command);
}

static bool
wants_answer(const struct reading *reading, const struct place *place, bool addressed)
{
    if (!place->is_group || reading->telegram->group_policy == TELEGRAM_GROUP_ALL)
        return true;
    return addressed && reading->telegram->group_policy == TELEGRAM_GROUP_ADDRESSED;
}

/* --- messages --- */

static void
set_replied(struct reading *reading, const struct place *place, const json_t *message)
{
    const json_t *replied = find_replied(message);
    struct str quote = json_get_str(json_get_object(message, "quote"), "text");
    int64_t replied_id;

    if (!get_id(replied, "message_id", &replied_id))
        return;
    json_t *reply_to = json_object();
    struct str text = json_get_str(replied, "text");

    if (text.ptr == NULL)
        text = json_get_str(replied, "caption");
    if (quote.ptr != NULL)
        text = quote;
    json_set_str(reply_to, "external_message_id",
                 message_text(reading, place->chat_id, replied_id));
    if (text.len > 0)
        json_set_str(reply_to, "text", str_sub(text, 0, str_utf8_floor(text, QUOTED_MAX_BYTES)));
    json_set_bool(reply_to, "is_ours", replies_to_us(reading, message));
    json_set(reading->item->metadata, "reply_to", reply_to);
}

static void
set_command(struct reading *reading, const struct place *place, struct str text)
{
    struct command command;

    if (!read_command(text, &command) || !command_is_ours(reading, place, &command))
        return;
    json_t *value = json_object();

    json_set_str(value, "name", command.name);
    json_set_str(value, "argument", command.argument.len > 0 ? command.argument : STR(""));
    json_set(reading->item->metadata, "command", value);
    if (str_eq_nocase(command.name, STR("start")) && command.argument.len > 0)
        json_set_str(reading->item->metadata, "start_payload", command.argument);
    reading->item->starts_new_conversation =
        str_eq_nocase(command.name, STR("new")) || str_eq_nocase(command.name, STR("reset"));
}

static void
set_context(struct reading *reading, const struct place *place, const json_t *message)
{
    json_t *metadata = reading->item->metadata;

    json_set_str(metadata, "chat_type", place->type);
    json_set_int(metadata, "update_id", reading->update_id);
    if (place->topic_id != 0)
        json_set_int(metadata, "thread", place->topic_id);
    if (place->is_group)
        json_set_str(metadata, "chat_title", json_get_str(place->chat, "title"));
    json_set_str(metadata, "media_group_id", json_get_str(message, "media_group_id"));
    if (json_object_get(message, "forward_origin") != NULL)
        json_set_bool(metadata, "forwarded", true);
}

static bool
is_via_us(const struct reading *reading, const json_t *message)
{
    int64_t via;

    return get_id(json_get_object(message, "via_bot"), "id", &via) &&
           via == reading->telegram->bot_id;
}

/* What message and edited_message share: everything but what kind of item it is. */
struct spoken {
    struct place place;
    struct telegram_content content;
    const json_t *sender;
    int64_t message_id;
    bool is_bot;
};

static enum status
read_spoken_message(struct reading *reading, const json_t *message, struct spoken *spoken_out,
                    struct err *err)
{
    struct inbound *item = reading->item;
    struct spoken spoken = {.message_id = 0};

    if (!get_id(message, "message_id", &spoken.message_id))
        return malformed(reading, "message_id is missing", err);
    enum status st = read_place(reading, message, &spoken.place, err);
    if (st == ST_OK)
        st = read_date(reading, message, &item->timestamp_us, err);
    if (st != ST_OK)
        return st;
    spoken.sender = find_sender(message, &spoken.is_bot);
    telegram_content_read(message, item->metadata, reading->arena, &spoken.content);
    item->external_chat_id = place_text(reading, &spoken.place);
    item->text = keep(reading, spoken.content.text);
    if (item->text.ptr == NULL)
        item->text = STR("");
    set_sender(reading, spoken.sender);
    set_context(reading, &spoken.place, message);
    *spoken_out = spoken;
    return ST_OK;
}

static enum status
read_message(struct reading *reading, const char *key, const json_t *message, struct err *err)
{
    struct inbound *item = reading->item;
    struct spoken spoken;
    enum status st = read_spoken_message(reading, message, &spoken, err);

    (void)key;
    if (st != ST_OK || read_migration(reading, &spoken.place, message))
        return st;
    struct str id = message_text(reading, spoken.place.chat_id, spoken.message_id);

    item->about_external_message_id = id;
    if (spoken.is_bot || is_via_us(reading, message))
        become_event(reading, "bot", spoken.content.raw_kind);
    else if (str_eq_c(spoken.place.type, "channel") ||
             json_get_bool(message, "is_automatic_forward", false))
        become_event(reading, "channel_post", spoken.content.raw_kind);
    else if (spoken.content.is_service)
        become_event(reading, "service", spoken.content.raw_kind);
    else if (spoken.content.raw_kind == NULL || item->external_user_id.len == 0)
        become_event(reading, "unknown", spoken.content.raw_kind);
    if (item->kind == INBOUND_EVENT)
        return ST_OK;

    bool addressed = is_addressed(reading, &spoken.place, message, &spoken.content);

    item->about_external_message_id = STR_EMPTY;
    item->external_message_id = id;
    item->wants_answer = wants_answer(reading, &spoken.place, addressed);
    json_set_str(item->metadata, "raw_kind", str_from_c(spoken.content.raw_kind));
    json_set_bool(item->metadata, "addressed", addressed);
    set_replied(reading, &spoken.place, message);
    set_command(reading, &spoken.place, item->text);
    return ST_OK;
}

/* The person changed a message, or Telegram changed something nobody sees: whoever keeps the
 * message compares the text. A live location that moves comes this way too. */
static enum status
read_edit(struct reading *reading, const char *key, const json_t *message, struct err *err)
{
    struct spoken spoken;
    enum status st = read_spoken_message(reading, message, &spoken, err);

    (void)key;
    if (st != ST_OK)
        return st;
    reading->item->about_external_message_id =
        message_text(reading, spoken.place.chat_id, spoken.message_id);
    become_event(reading, spoken.is_bot ? "bot" : "edit", spoken.content.raw_kind);
    return ST_OK;
}

/* --- pressed buttons --- */

/* What stood on the button: the person's answer in the person's words. */
static struct str
button_label(const json_t *message, struct str data)
{
    const json_t *rows =
        json_get_array(json_get_object(message, "reply_markup"), "inline_keyboard");
    size_t i, k;
    json_t *row, *button;

    json_array_foreach (rows, i, row) {
        json_array_foreach (row, k, button) {
            struct str button_data = json_get_str(button, "callback_data");

            if (button_data.ptr != NULL && str_eq(button_data, data))
                return json_get_str(button, "text");
        }
    }
    return STR_EMPTY;
}

static void
set_interactive(struct reading *reading, const json_t *message, const struct place *place,
                struct str data)
{
    json_t *interactive = json_object();
    struct str label = button_label(message, data);
    int64_t message_id;

    json_set_str(interactive, "type", STR("button"));
    json_set_str(interactive, "data", data);
    json_set_str(interactive, "label", label);
    if (get_id(message, "message_id", &message_id))
        json_set_str(interactive, "external_message_id",
                     message_text(reading, place->chat_id, message_id));
    json_set(reading->item->metadata, "interactive", interactive);
    reading->item->text = keep(reading, label.len > 0 ? label : data);
}

static enum status
read_callback(struct reading *reading, const char *key, const json_t *query, struct err *err)
{
    struct inbound *item = reading->item;
    const json_t *from = json_get_object(query, "from");
    const json_t *message = json_get_object(query, "message");
    struct str id = json_get_str(query, "id"), data = json_get_str(query, "data");
    struct place place;

    (void)key;
    if (id.len == 0 || from == NULL)
        return malformed(reading, "callback_query has no id or sender", err);
    item->timestamp_us = clock_wall_us(reading->telegram->base.env->clock);
    item->acknowledge = keep(reading, id);
    set_sender(reading, from);
    if (message == NULL || data.len == 0 || item->external_user_id.len == 0) {
        /* A game, or a button of a message sent through us into a chat that we do not see. */
        become_event(reading, "callback", "callback_query");
        return ST_OK;
    }
    enum status st = read_place(reading, message, &place, err);
    if (st != ST_OK)
        return st;
    telegram_learn_name(reading->telegram, json_get_object(message, "from"));
    item->external_chat_id = place_text(reading, &place);
    item->external_message_id =
        arena_printf(reading->arena, "%.*s:cb:%.*s", STR_ARG(reading->telegram->bot_id_text),
                     STR_ARG(str_sub(id, 0, 64)));
    item->wants_answer = wants_answer(reading, &place, true);
    set_context(reading, &place, query);
    set_interactive(reading, message, &place, data);
    json_set_str(item->metadata, "raw_kind", STR("callback_query"));
    json_set_bool(item->metadata, "addressed", true);
    return ST_OK;
}

/* --- events about chats --- */

static enum status
read_membership(struct reading *reading, const char *key, const json_t *change, struct err *err)
{
    struct place place;
    struct str now = json_get_str(json_get_object(change, "new_chat_member"), "status");
    const char *kind = "membership";
    enum status st = read_place(reading, change, &place, err);

    if (st == ST_OK)
        st = read_date(reading, change, &reading->item->timestamp_us, err);
    if (st != ST_OK)
        return st;
    set_sender(reading, json_get_object(change, "from"));
    reading->item->external_chat_id = place_text(reading, &place);
    json_set_str(reading->item->metadata, "status", now);
    if (strcmp(key, "my_chat_member") == 0 && str_eq_c(place.type, "private")) {
        /* In a private chat the chat is the person: true whoever is named as the actor. */
        reading->item->external_user_id = id_text(reading, place.chat_id);
        if (str_eq_c(now, "kicked"))
            kind = "blocked";
        else if (str_eq_c(now, "member"))
            kind = "unblocked";
    }
    become_event(reading, kind, key);
    return ST_OK;
}

static enum status
read_reaction(struct reading *reading, const char *key, const json_t *reaction, struct err *err)
{
    struct inbound *item = reading->item;
    struct place place;
    int64_t message_id;
    const json_t *actor = json_get_object(reaction, "user");
    enum status st = read_place(reading, reaction, &place, err);

    if (st == ST_OK)
        st = read_date(reading, reaction, &item->timestamp_us, err);
    if (st != ST_OK)
        return st;
    if (!get_id(reaction, "message_id", &message_id))
        return malformed(reading, "message_id is missing", err);
    set_sender(reading, actor != NULL ? actor : json_get_object(reaction, "actor_chat"));
    item->external_chat_id = place_text(reading, &place);
    item->about_external_message_id = message_text(reading, place.chat_id, message_id);
    json_t *before = json_get_array(reaction, "old_reaction");
    json_t *after = json_get_array(reaction, "new_reaction");
    if (before != NULL)
        json_set(item->metadata, "old_reaction", json_incref(before));
    if (after != NULL)
        json_set(item->metadata, "new_reaction", json_incref(after));
    become_event(reading, "reaction", key);
    return ST_OK;
}

/* Known, kept, and of no further concern to a conversation: the event is called as Telegram does.
 */
static enum status
read_other(struct reading *reading, const char *key, const json_t *value, struct err *err)
{
    const json_t *from = json_get_object(value, "from");
    int64_t chat_id;

    (void)err;
    if (get_id(json_get_object(value, "chat"), "id", &chat_id))
        reading->item->external_chat_id = id_text(reading, chat_id);
    set_sender(reading, from != NULL ? from : json_get_object(value, "user"));
    become_event(reading, key, key);
    return ST_OK;
}

static struct str
business_text(const struct reading *reading, const json_t *value, int64_t chat, int64_t message)
{
    return telegram_business_message_id_format(reading->arena, reading->telegram->bot_id_text, chat,
                                               message,
                                               json_get_str(value, "business_connection_id"));
}

/* What people write to an account of a business that lent it to the bot: kept, and by its message,
 * so that it can be removed when that is deleted. */
static enum status
read_business_message(struct reading *reading, const char *key, const json_t *value,
                      struct err *err)
{
    int64_t chat_id, message_id;
    enum status st = read_other(reading, key, value, err);

    if (st == ST_OK && get_id(json_get_object(value, "chat"), "id", &chat_id) &&
        get_id(value, "message_id", &message_id))
        reading->item->about_external_message_id =
            business_text(reading, value, chat_id, message_id);
    return st;
}

/* Several messages of one chat: an event each. */
static enum status
read_deletions(struct reading *reading, const char *key, const json_t *value, struct err *err)
{
    const json_t *ids = json_get_array(value, "message_ids");
    struct inbound_batch *batch = reading->batch;
    size_t count = json_array_size(ids), i;
    int64_t chat_id;
    json_t *id;

    if (!get_id(json_get_object(value, "chat"), "id", &chat_id) || count == 0 ||
        count > DELETIONS_MAX)
        return malformed(reading, "which messages were deleted is not said", err);
    json_array_foreach (ids, i, id)
        if (!json_is_integer(id))
            return malformed(reading, "the id of a deleted message is no number", err);
    json_decref(batch->items[0].metadata);
    batch->items = ARENA_NEW_N(batch->arena, struct inbound, count);
    batch->count = count;
    json_array_foreach (ids, i, id) {
        reading->item = &batch->items[i];
        reading->item->metadata = json_object();
        reading->item->external_chat_id = id_text(reading, chat_id);
        reading->item->about_external_message_id =
            business_text(reading, value, chat_id, json_integer_value(id));
        become_event(reading, "deletion", key);
        reading->item->external_event_id =
            arena_printf(reading->arena, "update:%lld:%lld", (long long)reading->update_id,
                         (long long)json_integer_value(id));
    }
    return ST_OK;
}

static const struct update_kind {
    const char *key;
    enum status (*read)(struct reading *reading, const char *key, const json_t *value,
                        struct err *err);
} update_kinds[] = {
    {"message", read_message},
    {"edited_message", read_edit},
    {"callback_query", read_callback},
    {"my_chat_member", read_membership},
    {"chat_member", read_membership},
    {"message_reaction", read_reaction},
    {"message_reaction_count", read_other},
    {"channel_post", read_other},
    {"edited_channel_post", read_other},
    {"business_connection", read_other},
    {"business_message", read_business_message},
    {"edited_business_message", read_business_message},
    {"deleted_business_messages", read_deletions},
    {"guest_message", read_other},
    {"managed_bot", read_other},
    {"inline_query", read_other},
    {"chosen_inline_result", read_other},
    {"shipping_query", read_other},
    {"pre_checkout_query", read_other},
    {"purchased_paid_media", read_other},
    {"poll", read_other},
    {"poll_answer", read_other},
    {"chat_join_request", read_other},
    {"chat_boost", read_other},
    {"removed_chat_boost", read_other},
};

static enum status
read_update(struct reading *reading, struct err *err)
{
    for (size_t i = 0; i < sizeof update_kinds / sizeof update_kinds[0]; i++) {
        const struct update_kind *kind = &update_kinds[i];
        const json_t *value = json_object_get(reading->update, kind->key);

        if (value == NULL)
            continue;
        if (!json_is_object(value))
            return malformed(reading, "its content is not an object", err);
        return kind->read(reading, kind->key, value, err);
    }
    become_event(reading, "unknown", NULL);
    return ST_OK;
}

enum status
telegram_parse(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
               struct err *err)
{
    json_auto_t *update = NULL;
    struct reading reading = {.telegram = telegram_of(channel),
                              .arena = batch->arena,
                              .webhook = webhook,
                              .batch = batch};
    enum status st = json_parse(webhook->body, &update, err);

    if (st != ST_OK)
        return err_wrap(err, "update");
    if (!json_is_object(update) || !get_id(update, "update_id", &reading.update_id))
        return err_set(err, ST_INVALID, "not an update: update_id is missing");
    batch->items = ARENA_NEW(batch->arena, struct inbound);
    batch->count = 1;
    reading.item = batch->items;
    reading.item->metadata = json_object();
    reading.update = update;
    st = read_update(&reading, err);
    if (st == ST_OK && reading.too_large)
        st = err_set(err, ST_TOO_LARGE, "update %lld has too much text",
                     (long long)reading.update_id);
    return st;
}
