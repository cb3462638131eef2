/*
 * record.c - what arrives: messages with all they need, events, bytes that could not be read
 */
#include <string.h>

#include "conversation/conversation.h"
#include "conversation/conversation_sql.h"
#include "conversation/edit.h"
#include "conversation/intake.h"
#include "conversation/person.h"
#include "conversation/tell.h"
#include "text/json.h"
#include "text/text.h"

/* A contact's last_seen_at is written at most this often: it is for people, not for logic. */
#define SEEN_EVERY_US (INT64_C(300) * US_PER_S)

static struct str
text_or_empty(struct str text)
{
    return text.ptr == NULL ? STR("") : text;
}

static struct str
title_of(const struct inbound *inbound, struct arena *arena)
{
    return text_or_empty(text_ellipsis(inbound->text, CONVERSATION_TITLE_CHARS, arena));
}

/* --- who it is --- */

/* What the message proves of whoever wrote it. */
static struct str
key_of(const struct channel_record *channel, const struct inbound *inbound, struct arena *arena)
{
    return identity_match_key(channel->source, inbound->external_user_id, inbound->metadata, arena);
}

static enum status
make_contact(struct store_tx *tx, const struct channel_record *channel,
             const struct inbound *inbound, int64_t now_us, struct contact_id *contact_out,
             struct err *err)
{
    struct contact_id contact = ID_NEW(contact_id);
    struct identity_id identity = ID_NEW(identity_id);
    enum status st = store_exec(tx, &SQL_CONTACT_INSERT,
                                ARGS(sv_id(contact), sv_text(text_or_empty(inbound->display_name)),
                                     sv_text(text_or_empty(inbound->locale)), sv_int(now_us)),
                                NULL, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_IDENTITY_INSERT,
                        ARGS(sv_id(channel->id), sv_text(inbound->external_user_id),
                             sv_id(identity), sv_id(contact), sv_int(now_us),
                             sv_text(key_of(channel, inbound, store_tx_arena(tx)))),
                        NULL, err);
    *contact_out = contact;
    return st;
}

struct known_identity {
    struct contact_id contact_id;
    bool reachable;
    int64_t seen_us;
    struct str match_key;
};

static enum status
find_identity(struct store_tx *tx, struct channel_id channel_id, struct str user,
              struct known_identity *known_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_IDENTITY_FIND, ARGS(sv_id(channel_id), sv_text(user)), &rows, err);

    if (st != ST_OK)
        return st;
    *known_out = (struct known_identity){
        .contact_id = STORE_COL_ID(rows, 0, contact_id),
        .reachable = store_col_int(rows, 1) != 0,
        .seen_us = store_col_int(rows, 2),
        .match_key = arena_str(store_tx_arena(tx), store_col_text(rows, 3)),
    };
    return store_rows_close(&rows, err);
}

/* The only one who has that number on the channel. ST_NOT_FOUND: nobody has it, or more than one.
 */
static enum status
find_by_key(struct store_tx *tx, struct channel_id channel_id, struct str key, struct str *user_out,
            struct err *err)
{
    struct store_rows *rows = NULL;
    struct str user = STR_EMPTY;
    size_t count = 0;
    enum status st = key.len == 0 ? ST_NOT_FOUND
                                  : store_query(tx, &SQL_IDENTITY_BY_KEY,
                                                ARGS(sv_id(channel_id), sv_text(key)), &rows, err);

    if (st != ST_OK)
        return st;
    for (; store_rows_next(rows); count++)
        user = arena_str(store_tx_arena(tx), store_col_text(rows, 0));
    st = store_rows_close(&rows, err);
    if (st == ST_OK && count == 1)
        *user_out = user;
    return st == ST_OK && count != 1 ? ST_NOT_FOUND : st;
}

/* Whoever was known as before is known as after, and so is the chat with them. Not where after is
 * somebody already, whose chat is another; nor where before is nobody. */
static enum status
move_person(struct store_tx *tx, const struct channel_record *channel, struct str before,
            struct str after, struct str key, struct err *err)
{
    int64_t moved = 0;
    enum status st = store_exec(
        tx, &SQL_IDENTITY_MOVE,
        ARGS(sv_id(channel->id), sv_text(before), sv_text(after), sv_text(key)), &moved, err);

    return st == ST_OK && moved > 0 ? conversation_move_chat(tx, channel->id, before, after, err)
                                    : st;
}

/* A provider may name a person by an id, by their number (metadata.phone), or by both. Somebody
 * whose id is new was known by the number alone; from now on it is the id that counts. Somebody who
 * comes with the number alone may be known by an id: inbound is changed to it. Two who are known
 * already stay two. ST_NOT_FOUND: nobody is known. */
static enum status
know_by_phone(struct store_tx *tx, const struct channel_record *channel, struct inbound *inbound,
              struct known_identity *known_out, struct err *err)
{
    struct str phone = json_get_str(inbound->metadata, "phone"), user = inbound->external_user_id;
    struct str key = key_of(channel, inbound, store_tx_arena(tx));
    struct str chat = inbound->external_chat_id;
    enum status st;

    if (phone.len == 0)
        return ST_NOT_FOUND;
    if (str_eq(phone, user)) {
        st = find_by_key(tx, channel->id, key, &inbound->external_user_id, err);
        if (st == ST_OK && str_eq(chat, user))
            inbound->external_chat_id = inbound->external_user_id;
        return st == ST_OK
                   ? find_identity(tx, channel->id, inbound->external_user_id, known_out, err)
                   : st;
    }
    st = find_identity(tx, channel->id, phone, known_out, err);
    if (st == ST_OK)
        st = move_person(tx, channel, phone, user, key, err);
    known_out->match_key = key;
    return st;
}

/* Under the ids by which the person is known, to which inbound is changed. ST_NOT_FOUND. */
static enum status
know(struct store_tx *tx, const struct channel_record *channel, struct inbound *inbound,
     struct known_identity *known_out, struct err *err)
{
    enum status st = find_identity(tx, channel->id, inbound->external_user_id, known_out, err);

    return st == ST_NOT_FOUND ? know_by_phone(tx, channel, inbound, known_out, err) : st;
}

/* The contact behind a provider's user; made at the first message. */
static enum status
find_contact(struct store_tx *tx, const struct channel_record *channel, struct inbound *inbound,
             int64_t now_us, struct contact_id *contact_out, struct err *err)
{
    struct known_identity known;
    struct str key;
    enum status st = know(tx, channel, inbound, &known, err);

    if (st == ST_NOT_FOUND)
        return make_contact(tx, channel, inbound, now_us, contact_out, err);
    if (st != ST_OK)
        return st;
    *contact_out = known.contact_id;
    if (!known.reachable) /* whoever writes to us can be written to */
        st = conversation_set_reachable(tx, channel->id, inbound->external_user_id, true, err);
    key = key_of(channel, inbound, store_tx_arena(tx));
    if (st == ST_OK && key.len > 0 && !str_eq(key, known.match_key))
        st = store_exec(tx, &SQL_IDENTITY_SET_KEY,
                        ARGS(sv_id(channel->id), sv_text(inbound->external_user_id), sv_text(key)),
                        NULL, err);
    if (st == ST_OK && now_us - known.seen_us > SEEN_EVERY_US)
        st =
            store_exec(tx, &SQL_CONTACT_SEEN, ARGS(sv_id(*contact_out), sv_int(now_us)), NULL, err);
    return st;
}

enum status
contact_of_known(struct store_tx *tx, const struct channel_record *channel,
                 const struct inbound *inbound, struct contact_id *contact_out, struct err *err)
{
    struct inbound person = *inbound;
    struct known_identity known;
    enum status st = know(tx, channel, &person, &known, err);

    if (st == ST_OK)
        *contact_out = known.contact_id;
    return st;
}

enum status
person_wrote(struct store_tx *tx, const struct channel_record *channel,
             const struct inbound *inbound, struct str external_user_id, struct contact_id contact,
             bool *wrote_out, struct err *err)
{
    struct contact_id found;
    enum status st;

    *wrote_out = str_eq(inbound->external_user_id, external_user_id);
    if (*wrote_out)
        return ST_OK;
    st = contact_of_known(tx, channel, inbound, &found, err);
    *wrote_out = st == ST_OK && id_eq(&found.id, &contact.id);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
contact_of_user(struct store_tx *tx, const struct channel_record *channel,
                struct str external_user_id, int64_t now_us, struct contact_id *contact_out,
                struct err *err)
{
    struct inbound user = {.external_user_id = external_user_id};

    return find_contact(tx, channel, &user, now_us, contact_out, err);
}

/* --- where it belongs --- */

static enum status
make_conversation(struct store_tx *tx, const struct channel_record *channel,
                  const struct inbound *inbound, struct contact_id contact, int64_t now_us,
                  struct conversation_id *id_out, struct err *err)
{
    struct conversation_id id = ID_NEW(conversation_id);
    enum status st =
        store_exec(tx, &SQL_CONVERSATION_INSERT,
                   ARGS(sv_id(id), sv_id(channel->id), sv_text(inbound->external_chat_id),
                        sv_id(contact), sv_id(channel->brand_id), sv_id(channel->user_id),
                        sv_text(title_of(inbound, store_tx_arena(tx))), sv_int(now_us)),
                   NULL, err);

    if (st == ST_OK)
        st = store_exec(
            tx, &SQL_CHAT_PUT,
            ARGS(sv_id(channel->id), sv_text(inbound->external_chat_id), sv_id(id), sv_int(now_us)),
            NULL, err);
    *id_out = id;
    return st;
}

/* The conversation that is open in the chat, with this message counted; a new one after long
 * silence or when asked for. Its row is read once: RETURNING would cost SQLite a table of its own.
 */
static enum status
enter_conversation(struct store_tx *tx, const struct channel_record *channel,
                   const struct inbound *inbound, struct contact_id contact, int64_t now_us,
                   struct inbound_result *at, struct err *err)
{
    struct store_rows *rows = NULL;
    struct conversation_id open;
    bool archived, stale;
    enum status st;

    at->is_new_conversation = true;
    at->seq = 1;
    st = store_query_one(tx, &SQL_CHAT_FIND,
                         ARGS(sv_id(channel->id), sv_text(inbound->external_chat_id)), &rows, err);
    if (st == ST_NOT_FOUND)
        return make_conversation(tx, channel, inbound, contact, now_us, &at->conversation_id, err);
    if (st != ST_OK)
        return st;
    open = STORE_COL_ID(rows, 0, conversation_id);
    stale = now_us - store_col_int(rows, 1) > CONVERSATION_SILENCE_US;
    archived = !store_col_is_null(rows, 2);
    if (!archived && !stale && !inbound->starts_new_conversation) {
        at->is_new_conversation = false;
        at->conversation_id = open;
        at->seq = store_col_int(rows, 3) + 1;
        at->hand_off_to_human = store_col_int(rows, 4) != 0;
    }
    st = store_rows_close(&rows, err);
    if (st == ST_OK && !at->is_new_conversation)
        return store_exec(tx, &SQL_CONVERSATION_INBOUND,
                          ARGS(sv_id(open), sv_int(now_us), sv_int(at->seq)), NULL, err);
    if (st == ST_OK && !archived)
        st = conversation_archive(tx, open, now_us, err);
    return st == ST_OK
               ? make_conversation(tx, channel, inbound, contact, now_us, &at->conversation_id, err)
               : st;
}

/* With "wants_answer" where "addressed" does not say it: what a person had is asked for it when it
 * is given back. */
static struct str
metadata_of(const struct inbound *inbound, struct arena *arena)
{
    bool addressed = json_get_bool(inbound->metadata, "addressed", true);
    json_auto_t *more = NULL;

    if (inbound->kind == INBOUND_MESSAGE && inbound->wants_answer != addressed) {
        more = inbound->metadata == NULL ? json_object() : json_copy(inbound->metadata);
        json_set_bool(more, "wants_answer", inbound->wants_answer);
        return json_text(more, arena);
    }
    if (inbound->metadata != NULL && json_object_size(inbound->metadata) > 0)
        return json_text(inbound->metadata, arena);
    return STR("{}");
}

static bool
is_asked_for(struct store_tx *tx, const struct inbound *inbound)
{
    return !inbound->starts_new_conversation && store_is_shared(store_tx_store(tx));
}

/* ST_NOT_FOUND: not known, or not only that is to be done. Others are before it: must_wait. */
static enum status
record_of_known(struct store_tx *tx, const struct channel_record *channel,
                const struct inbound *inbound, struct str envelope, int64_t now_us, bool in_turn,
                struct inbound_result *at, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st;

    if (!is_asked_for(tx, inbound))
        return ST_NOT_FOUND;
    st = store_ask(tx, &SQL_MESSAGE_OF_KNOWN,
                   ARGS(sv_id(channel->id), sv_text(inbound->external_user_id),
                        sv_text(inbound->external_chat_id), sv_int(now_us),
                        sv_int(now_us - SEEN_EVERY_US), sv_int(now_us - CONVERSATION_SILENCE_US),
                        sv_text(channel->source), sv_text(inbound->external_message_id),
                        sv_id(at->message_id), sv_id(channel->user_id),
                        sv_text(text_or_empty(inbound->text)),
                        sv_text(metadata_of(inbound, store_tx_arena(tx))), sv_text(envelope),
                        sv_int(inbound->timestamp_us), sv_int(in_turn),
                        sv_text(key_of(channel, inbound, store_tx_arena(tx)))),
                   &rows, err);
    if (st != ST_OK)
        return st;
    at->must_wait = store_col_is_null(rows, 0);
    if (!at->must_wait) {
        at->conversation_id = STORE_COL_ID(rows, 0, conversation_id);
        at->seq = store_col_int(rows, 1);
        at->hand_off_to_human = store_col_int(rows, 2) != 0;
    }
    return store_rows_close(&rows, err);
}

/* ST_NOT_FOUND: person or chat is known, or another message of theirs comes first. */
static enum status
record_of_new(struct store_tx *tx, const struct channel_record *channel,
              const struct inbound *inbound, struct str envelope, int64_t now_us,
              struct inbound_result *at, struct err *err)
{
    struct contact_id contact = ID_NEW(contact_id);
    struct identity_id identity = ID_NEW(identity_id);
    struct conversation_id conversation = ID_NEW(conversation_id);
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows = NULL;
    enum status st;

    if (!is_asked_for(tx, inbound))
        return ST_NOT_FOUND;
    st = store_ask(
        tx, &SQL_MESSAGE_OF_NEW,
        ARGS(sv_id(channel->id), sv_text(inbound->external_user_id),
             sv_text(inbound->external_chat_id), sv_int(now_us), sv_text(channel->source),
             sv_text(inbound->external_message_id), sv_id(at->message_id), sv_id(channel->user_id),
             sv_text(text_or_empty(inbound->text)), sv_text(metadata_of(inbound, arena)),
             sv_text(envelope), sv_int(inbound->timestamp_us), sv_id(contact), sv_id(identity),
             sv_id(conversation), sv_text(text_or_empty(inbound->display_name)),
             sv_text(text_or_empty(inbound->locale)), sv_id(channel->brand_id),
             sv_text(title_of(inbound, arena)), sv_text(key_of(channel, inbound, arena))),
        &rows, err);
    if (st != ST_OK)
        return st;
    at->is_new_conversation = true;
    at->conversation_id = STORE_COL_ID(rows, 0, conversation_id);
    at->seq = 1;
    return store_rows_close(&rows, err);
}

/* said_by: "user", or of an echo "agent". */
static enum status
insert_inbound(struct store_tx *tx, const struct channel_record *channel,
               const struct inbound *inbound, const char *said_by, struct str envelope,
               int64_t now_us, const struct inbound_result *at, struct contact_id contact,
               struct err *err)
{
    bool is_echo = inbound->kind == INBOUND_EVENT;

    return store_exec(
        tx, &SQL_MESSAGE_INSERT,
        ARGS(sv_id(at->message_id), sv_id(at->conversation_id), sv_int(at->seq),
             sv_text(str_from_c(said_by)), sv_text(channel->source), sv_id(channel->id),
             sv_id(channel->user_id), sv_id(contact),
             sv_text(is_echo ? inbound->about_external_message_id : inbound->external_message_id),
             is_echo ? sv_null() : sv_text(inbound->external_user_id),
             sv_text(inbound->external_chat_id), sv_text(text_or_empty(inbound->text)),
             sv_text(metadata_of(inbound, store_tx_arena(tx))), sv_text(envelope),
             is_echo ? sv_text(STR("sent")) : sv_null(), sv_null(), sv_null(),
             sv_int(inbound->timestamp_us), sv_int(now_us)),
        NULL, err);
}

enum status
conversation_record_inbound(struct store_tx *tx, const struct channel_record *channel,
                            const struct inbound *inbound, struct str envelope,
                            struct message_id id, int64_t now_us, bool in_turn,
                            struct inbound_result *result_out, struct err *err)
{
    struct inbound_result result = {.message_id = id};
    struct inbound by = *inbound; /* under the ids by which the person is known */
    struct contact_id contact;
    enum status st = record_of_known(tx, channel, inbound, envelope, now_us, in_turn, &result, err);

    if (st == ST_NOT_FOUND)
        st = record_of_new(tx, channel, inbound, envelope, now_us, &result, err);
    *result_out = result;
    if (st == ST_OK && !result.must_wait)
        return tell_message(tx, EVENT_MESSAGE_RECEIVED, id, err);
    if (st != ST_NOT_FOUND)
        return st;
    st = ST_OK;
    /* Who was asked for with others was told. */
    if (in_turn && !is_asked_for(tx, inbound))
        st = intake_any(tx, &result_out->must_wait, err);
    if (st != ST_OK || result_out->must_wait)
        return st;
    st = find_contact(tx, channel, &by, now_us, &contact, err);
    if (st == ST_OK)
        st = enter_conversation(tx, channel, &by, contact, now_us, &result, err);
    if (st == ST_OK)
        st = insert_inbound(tx, channel, &by, "user", envelope, now_us, &result, contact, err);
    *result_out = result;
    return st == ST_OK ? tell_message(tx, EVENT_MESSAGE_RECEIVED, id, err) : st;
}

/* The person wants to begin anew: the next message finds no open conversation. */
static enum status
end_open_conversation(struct store_tx *tx, const struct channel_record *channel,
                      const struct inbound *inbound, int64_t now_us, struct err *err)
{
    struct conversation open;
    enum status st = conversation_get_by_chat(tx, channel->id, inbound->external_chat_id,
                                              store_tx_arena(tx), &open, err);

    if (st == ST_NOT_FOUND || (st == ST_OK && open.archived_at_us != 0))
        return ST_OK;
    return st == ST_OK ? conversation_archive(tx, open.id, now_us, err) : st;
}

/* A group that moved is a chat under a new id; a person who did (the chat is the person) is known
 * under it too. Whoever is not known as the provider says may be so by the number, or the id that
 * has it. */
static enum status
follow_migration(struct store_tx *tx, const struct channel_record *channel,
                 const struct inbound *inbound, struct err *err)
{
    struct str before = inbound->external_chat_id, after = inbound->new_external_chat_id;
    struct inbound person = *inbound;
    struct known_identity known;
    enum status st;

    if (!str_eq(before, inbound->external_user_id) || str_eq(before, after))
        return conversation_move_chat(tx, channel->id, before, after, err);
    st = find_identity(tx, channel->id, before, &known, err);
    if (st == ST_NOT_FOUND)
        st = know_by_phone(tx, channel, &person, &known, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    return move_person(tx, channel, person.external_chat_id, after,
                       identity_match_key(channel->source, after, NULL, store_tx_arena(tx)), err);
}

/* Providers bring an event late, and with the words of the message that it is about. */
static enum status
is_about_deleted(struct store_tx *tx, const struct channel_record *channel,
                 const struct inbound *inbound, bool *deleted_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st;

    *deleted_out = false;
    if (inbound->about_external_message_id.len == 0)
        return ST_OK;
    st = store_query_one(tx, &SQL_EVENT_DELETION,
                         ARGS(sv_id(channel->id), sv_text(inbound->about_external_message_id)),
                         &rows, err);
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    *deleted_out = true;
    return store_rows_close(&rows, err);
}

enum status
conversation_record_event(struct store_tx *tx, const struct channel_record *channel,
                          const struct inbound *inbound, int64_t now_us, struct err *err)
{
    struct message_id about = {{""}};
    struct str payload = inbound->raw;
    struct id_text id = id_new();
    bool is_late = false;
    enum status st = is_about_deleted(tx, channel, inbound, &is_late, err);

    if (st != ST_OK)
        return st;
    if (str_eq_c(inbound->event_kind, "edit"))
        st = message_apply_edit(tx, channel, inbound, now_us, &about, err);
    else if (str_eq_c(inbound->event_kind, "blocked"))
        st = conversation_set_reachable(tx, channel->id, inbound->external_user_id, false, err);
    else if (str_eq_c(inbound->event_kind, "unblocked"))
        st = conversation_set_reachable(tx, channel->id, inbound->external_user_id, true, err);
    else if (str_eq_c(inbound->event_kind, "migrated") && inbound->new_external_chat_id.len > 0)
        st = follow_migration(tx, channel, inbound, err);
    else if (str_eq_c(inbound->event_kind, "new_conversation"))
        st = end_open_conversation(tx, channel, inbound, now_us, err);
    if (st != ST_OK)
        return st;
    if (is_late)
        payload = STR("{}");
    return store_exec(tx, &SQL_EVENT_INSERT,
                      ARGS(sv_text(id_str(&id)), sv_id(channel->id),
                           sv_text(inbound->external_event_id), sv_text(inbound->event_kind),
                           sv_id(about), sv_text(payload), sv_int(now_us),
                           sv_text(text_or_empty(inbound->about_external_message_id))),
                      NULL, err);
}

/* --- echoes --- */

#define OWN_MESSAGES_MAX 16 /* that may be on their way, or lost on it, at a time */
#define OWN_PIECE_MIN_LEN 24
#define OWN_IN_PARTS_MIN_LEN 300 /* what is shorter leaves as one */
#define OWN_END_MIN_LEN 8
#define OWN_FILES_US (INT64_C(600) * US_PER_S) /* so long they may take to be echoed */

/* Letters and digits alone: providers change marks and spaces. */
static struct str
bare(struct str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            out[len++] = text.ptr[i];
    }
    return str_of(out, len);
}

/* Whether an echo may be of what we said: the whole, perhaps with buttons listed under it, or a
 * part; without words, of its files or buttons. */
static bool
may_be_of(struct str echo, const struct message *said, int64_t now_us, struct arena *arena)
{
    struct str own = bare(said->body, arena);

    if (echo.len == 0)
        return now_us - said->created_at_us < OWN_FILES_US &&
               (str_find(said->metadata, STR("\"attachments\"")) >= 0 ||
                str_find(said->metadata, STR("\"buttons\"")) >= 0);
    if (str_eq(echo, own) || (own.len >= OWN_PIECE_MIN_LEN && str_starts_with(echo, own)))
        return true;
    if (own.len >= OWN_IN_PARTS_MIN_LEN && echo.len >= OWN_END_MIN_LEN && str_ends_with(own, echo))
        return true;
    return echo.len >= OWN_PIECE_MIN_LEN && str_find(own, echo) >= 0;
}

/* The last words of ours in the chat that have no id of the provider's in their row: an agent's
 * that came as an echo has. */
static enum status
is_by_words(struct store_tx *tx, const struct channel_record *channel,
            const struct inbound *inbound, int64_t now_us, bool *own_out, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct str echo = bare(text_or_empty(inbound->text), arena);
    struct conversation conversation;
    struct message *messages = NULL;
    size_t count = 0;
    enum status st = conversation_get_by_chat(tx, channel->id, inbound->external_chat_id, arena,
                                              &conversation, err);

    if (st == ST_OK)
        st = message_window(tx, conversation.id, INT64_MAX, OWN_MESSAGES_MAX, arena, &messages,
                            &count, err);
    for (size_t i = 0; st == ST_OK && i < count && !*own_out; i++)
        *own_out = !str_eq_c(messages[i].role, "user") &&
                   messages[i].external_message_id.len == 0 &&
                   may_be_of(echo, &messages[i], now_us, arena);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
is_our_own(struct store_tx *tx, const struct channel_record *channel, const struct inbound *inbound,
           int64_t now_us, bool *own_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_RECEIPT_OWN, ARGS(sv_id(channel->id), sv_text(inbound->about_external_message_id)),
        &rows, err);

    *own_out = st == ST_OK;
    if (st == ST_NOT_FOUND)
        return is_by_words(tx, channel, inbound, now_us, own_out, err);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* As the person in the chat would, but it is an agent's, and what was asked before is answered. */
static enum status
add_echo(struct store_tx *tx, const struct channel_record *channel, struct inbound *inbound,
         bool takes_over, int64_t now_us, struct inbound_result *at, struct err *err)
{
    struct contact_id contact;
    enum status st = find_contact(tx, channel, inbound, now_us, &contact, err);

    if (st == ST_OK)
        st = enter_conversation(tx, channel, inbound, contact, now_us, at, err);
    if (st == ST_OK)
        st = insert_inbound(tx, channel, inbound, "agent", STR("{}"), now_us, at, contact, err);
    if (st == ST_OK)
        st = conversation_mark_answered(tx, at->conversation_id, at->seq, err);
    if (st == ST_OK)
        st = tell_message(tx, EVENT_MESSAGE_SENT, at->message_id, err);
    if (st == ST_OK && takes_over && !at->hand_off_to_human)
        return conversation_hand_over(tx, at->conversation_id, true, (struct user_id){{""}}, err);
    return st == ST_OK ? conversation_note_sent(tx, at->conversation_id, err) : st;
}

enum status
conversation_record_echo(struct store_tx *tx, const struct channel_record *channel,
                         const struct inbound *inbound, struct message_id id, bool takes_over,
                         int64_t now_us, bool *person_out, struct inbound_result *result_out,
                         struct err *err)
{
    struct inbound by = *inbound; /* under the ids by which the person is known */
    struct id_text event_id = id_new();
    struct known_identity known;
    bool own = true;
    enum status st = ST_OK;

    *person_out = false;
    *result_out = (struct inbound_result){.message_id = id};
    if (inbound->external_chat_id.len > 0 && inbound->about_external_message_id.len > 0) {
        st = know(tx, channel, &by, &known, err);
        if (st == ST_OK || st == ST_NOT_FOUND)
            st = is_our_own(tx, channel, &by, now_us, &own, err);
    }
    *person_out = st == ST_OK && !own;
    if (*person_out)
        st = add_echo(tx, channel, &by, takes_over, now_us, result_out, err);
    if (st != ST_OK)
        return st;
    return store_exec(tx, &SQL_EVENT_INSERT,
                      ARGS(sv_text(id_str(&event_id)), sv_id(channel->id),
                           sv_text(inbound->external_event_id), sv_text(inbound->event_kind),
                           own ? sv_null() : sv_id(id), sv_text(inbound->raw), sv_int(now_us),
                           sv_text(inbound->about_external_message_id)),
                      NULL, err);
}

enum status
conversation_quarantine(struct store_tx *tx, struct channel_id channel_id, struct str reason,
                        struct str body, int64_t now_us, struct err *err)
{
    struct id_text id = id_new();

    return store_exec(tx, &SQL_QUARANTINE_INSERT,
                      ARGS(sv_text(id_str(&id)), sv_id(channel_id), sv_text(reason),
                           sv_blob(body.ptr == NULL ? STR("") : body), sv_int(now_us)),
                      NULL, err);
}

enum status
conversation_move_chat(struct store_tx *tx, struct channel_id channel_id, struct str old_chat_id,
                       struct str new_chat_id, struct err *err)
{
    int64_t copied = 0;
    enum status st;

    if (str_eq(old_chat_id, new_chat_id))
        return ST_OK;
    st = store_exec(tx, &SQL_CHAT_COPY,
                    ARGS(sv_id(channel_id), sv_text(old_chat_id), sv_text(new_chat_id)), &copied,
                    err);
    if (st == ST_OK && copied > 0)
        st = store_exec(tx, &SQL_CHAT_REMOVE, ARGS(sv_id(channel_id), sv_text(old_chat_id)), NULL,
                        err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_CONVERSATION_MOVE,
                        ARGS(sv_id(channel_id), sv_text(old_chat_id), sv_text(new_chat_id)), NULL,
                        err);
    return st;
}

enum status
conversation_set_reachable(struct store_tx *tx, struct channel_id channel_id,
                           struct str external_user_id, bool reachable, struct err *err)
{
    return store_exec(tx, &SQL_IDENTITY_REACHABLE,
                      ARGS(sv_id(channel_id), sv_text(external_user_id), sv_int(reachable)), NULL,
                      err);
}
