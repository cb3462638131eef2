/*
 * deletion.c - removes what a message said, and what others say of it
 */
#include "conversation/deletion.h"

#include "conversation/attachment_sql.h"
#include "conversation/conversation_sql.h"
#include "conversation/deletion_sql.h"
#include "conversation/person.h"
#include "conversation/tell.h"
#include "text/json.h"

#define QUOTING_MAX 100
#define QUOTATIONS_MAX_BYTES ((size_t)64 * 1024 * 1024) /* of so many */

/* How it came, and where an answer to it belongs. */
static const char *const kept_keys[] = {"raw_kind", "chat_type", "addressed", "wants_answer",
                                        "thread"};

/* What a deletion is about. */
struct target {
    struct channel_id channel_id;
    struct str source, external_message_id;
    struct inbound by; /* the person, as the event names them; may be nobody */
};

/* A row that is to be removed. */
struct found {
    struct message_id id;
    struct conversation_id conversation_id;
    int64_t seq;
    bool is_persons, had_media;
    struct str external_user_id;
    struct contact_id contact_id;
    struct str remains; /* of metadata */
};

static enum status
read_found(struct store_rows *rows, struct arena *arena, struct found *found, struct err *err)
{
    json_auto_t *metadata = NULL;
    json_auto_t *remains = json_object();
    enum status st = json_parse(store_col_text(rows, 3), &metadata, err);

    if (st != ST_OK)
        return st;
    found->id = STORE_COL_ID(rows, 0, message_id);
    found->conversation_id = STORE_COL_ID(rows, 1, conversation_id);
    found->seq = store_col_int(rows, 2);
    found->is_persons = str_eq_c(store_col_text(rows, 4), "user");
    found->external_user_id = arena_str(arena, store_col_text(rows, 5));
    found->contact_id = STORE_COL_ID(rows, 6, contact_id);
    found->had_media = json_array_size(json_get_array(metadata, "attachments")) > 0;
    for (size_t i = 0; i < sizeof kept_keys / sizeof kept_keys[0]; i++) {
        json_t *value = json_object_get(metadata, kept_keys[i]);

        if (value != NULL)
            json_set(remains, kept_keys[i], json_incref(value));
    }
    found->remains = json_text(remains, arena);
    return ST_OK;
}

/* ST_NOT_FOUND. */
static enum status
find_message(struct store_tx *tx, const struct target *target, struct found *found_out,
             struct err *err)
{
    struct store_rows *rows = NULL;
    struct err ignored;
    enum status st =
        store_query_one(tx, &SQL_DELETION_FIND,
                        ARGS(sv_text(target->source), sv_text(target->external_message_id),
                             sv_id(target->channel_id)),
                        &rows, err);

    if (st != ST_OK)
        return st;
    st = read_found(rows, store_tx_arena(tx), found_out, err);
    if (st == ST_OK)
        return store_rows_close(&rows, err);
    (void)!store_rows_close(&rows, &ignored);
    return st;
}

/* --- quotations --- */

struct quoting {
    struct message_id id;
    struct str metadata;
};

/* "" : it quotes another one. */
static struct str
without_quotation(struct str metadata, struct str external_message_id, struct arena *arena)
{
    json_auto_t *json = NULL;
    struct err ignored;

    if (json_parse(metadata, &json, &ignored) != ST_OK)
        return STR("");
    json_t *reply_to = json_get_object(json, "reply_to");

    if (!str_eq(json_get_str(reply_to, "external_message_id"), external_message_id) ||
        json_object_del(reply_to, "text") != 0)
        return STR("");
    return json_text(json, arena);
}

/* At most QUOTING_MAX, behind *seq, which is moved to the last. */
static enum status
remove_some_quotations(struct store_tx *tx, const struct target *target, struct str conversation_id,
                       int64_t *seq, bool *more_out, struct arena *arena, struct err *err)
{
    json_auto_t *id = json_from_str(target->external_message_id);
    struct quoting quoting[QUOTING_MAX];
    struct store_rows *rows = NULL;
    size_t count = 0;
    enum status st = store_query(
        tx, &SQL_DELETION_QUOTING,
        ARGS(sv_text(conversation_id), sv_text(json_text(id, arena)), sv_int(*seq)), &rows, err);

    if (st != ST_OK)
        return st;
    while (count < QUOTING_MAX && store_rows_next(rows)) {
        quoting[count].id = STORE_COL_ID(rows, 0, message_id);
        quoting[count++].metadata =
            without_quotation(store_col_text(rows, 1), target->external_message_id, arena);
        *seq = store_col_int(rows, 2);
    }
    *more_out = count == QUOTING_MAX;
    st = store_rows_close(&rows, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        if (quoting[i].metadata.len > 0)
            st = store_exec(tx, &SQL_MESSAGE_SET_METADATA,
                            ARGS(sv_id(quoting[i].id), sv_text(quoting[i].metadata)), NULL, err);
    return st;
}

/* The next one of the chat; ST_NOT_FOUND. */
static enum status
next_conversation(struct store_tx *tx, const struct found *found, struct id_text *at,
                  struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_DELETION_CONVERSATION,
                        ARGS(sv_id(found->conversation_id), sv_text(id_str(at))), &rows, err);

    if (st != ST_OK)
        return st;
    *at = store_col_id(rows, 0);
    return store_rows_close(&rows, err);
}

/* In all conversations of the chat. */
static enum status
remove_quotations(struct store_tx *tx, const struct target *target, const struct found *found,
                  struct err *err)
{
    struct arena *arena = arena_create(QUOTATIONS_MAX_BYTES);
    struct id_text at = {""};
    enum status st;

    while ((st = next_conversation(tx, found, &at, err)) == ST_OK) {
        int64_t seq = 0;
        bool more = true;

        for (; st == ST_OK && more; arena_reset(arena))
            st = remove_some_quotations(tx, target, id_str(&at), &seq, &more, arena, err);
        if (st != ST_OK)
            break;
    }
    arena_destroy(&arena);
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* --- the message --- */

static bool
only_own_are_deleted(struct str source)
{
    return str_eq_c(source, "whatsapp_business") || str_eq_c(source, "instagram");
}

static enum status
may_be_deleted(struct store_tx *tx, const struct target *target, const struct found *found,
               bool *may_out, struct err *err)
{
    const struct channel_record channel = {.id = target->channel_id, .source = target->source};

    *may_out = !found->is_persons || !only_own_are_deleted(target->source) ||
               target->by.external_user_id.len == 0;
    return *may_out ? ST_OK
                    : person_wrote(tx, &channel, &target->by, found->external_user_id,
                                   found->contact_id, may_out, err);
}

static enum status
remove_found(struct store_tx *tx, const struct target *target, const struct found *found,
             int64_t deleted_us, struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_DELETION_MESSAGE,
                   ARGS(sv_id(found->id), sv_text(found->remains), sv_int(deleted_us)), NULL, err);

    if (st == ST_OK && found->seq == 1) /* it is the first message's */
        st = store_exec(tx, &SQL_DELETION_TITLE, ARGS(sv_id(found->conversation_id)), NULL, err);
    if (st == ST_OK)
        st = remove_quotations(tx, target, found, err);
    if (st == ST_OK)
        st = events_forget_text(tx, found->id, err);
    return st == ST_OK ? tell_message(tx, EVENT_MESSAGE_DELETED, found->id, err) : st;
}

/* Of a message that we do not have, events may yet tell. */
static enum status
remove_message(struct store_tx *tx, const struct target *target, int64_t deleted_us,
               struct deletion *deletion_out, struct err *err)
{
    struct found found;
    bool may = true, is_here;
    enum status st = find_message(tx, target, &found, err);

    *deletion_out = (struct deletion){.had_media = false};
    is_here = st == ST_OK;
    if (is_here)
        st = may_be_deleted(tx, target, &found, &may, err);
    if (st != ST_OK && st != ST_NOT_FOUND)
        return st;
    deletion_out->is_refused = !may;
    if (!may)
        return ST_OK;
    st = store_exec(tx, &SQL_DELETION_EVENTS,
                    ARGS(sv_id(target->channel_id), sv_text(target->external_message_id)), NULL,
                    err);
    if (st != ST_OK || !is_here)
        return st;
    *deletion_out = (struct deletion){.message_id = found.id,
                                      .conversation_id = found.conversation_id,
                                      .had_media = found.had_media};
    return remove_found(tx, target, &found, deleted_us, err);
}

/* --- the event --- */

static struct str
payload_of(const struct inbound *inbound, struct arena *arena)
{
    json_auto_t *payload = json_object();

    json_set_str(payload, "external_message_id", inbound->about_external_message_id);
    if (inbound->external_user_id.len > 0)
        json_set_str(payload, "external_user_id", inbound->external_user_id);
    return json_text(payload, arena);
}

enum status
conversation_record_deletion(struct store_tx *tx, const struct channel_record *channel,
                             const struct inbound *inbound, int64_t now_us,
                             struct deletion *deletion_out, struct err *err)
{
    const struct target target = {channel->id, channel->source, inbound->about_external_message_id,
                                  *inbound};
    struct str about = target.external_message_id;
    struct id_text id = id_new();
    enum status st = ST_OK;

    *deletion_out = (struct deletion){.had_media = false};
    if (target.external_message_id.len > 0)
        st = remove_message(tx, &target, now_us, deletion_out, err);
    if (st != ST_OK)
        return st;
    if (deletion_out->is_refused)
        about = STR("");
    return store_exec(
        tx, &SQL_EVENT_INSERT,
        ARGS(sv_text(id_str(&id)), sv_id(channel->id), sv_text(inbound->external_event_id),
             sv_text(inbound->event_kind), sv_id(deletion_out->message_id),
             sv_text(payload_of(inbound, store_tx_arena(tx))), sv_int(now_us), sv_text(about)),
        NULL, err);
}

/* --- before its message --- */

struct early {
    struct id_text event_id;
    struct target target;
    int64_t at_us;
};

static struct str
user_of_payload(struct str payload, struct arena *arena)
{
    json_auto_t *json = NULL;
    struct err ignored;

    if (json_parse(payload, &json, &ignored) != ST_OK)
        return STR_EMPTY;
    return arena_str(arena, json_get_str(json, "external_user_id"));
}

static enum status
read_early(struct store_tx *tx, int64_t since_us, struct early *early, size_t *count_out,
           struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_DELETION_EARLY,
                                 ARGS(sv_int(DELETIONS_AT_ONCE), sv_int(since_us)), &rows, err);

    *count_out = 0;
    if (st != ST_OK)
        return st;
    while (*count_out < DELETIONS_AT_ONCE && store_rows_next(rows)) {
        struct early *one = &early[(*count_out)++];

        one->event_id = store_col_id(rows, 0);
        one->target.channel_id = STORE_COL_ID(rows, 1, channel_id);
        one->target.source = arena_str(arena, store_col_text(rows, 2));
        one->target.external_message_id = arena_str(arena, store_col_text(rows, 3));
        one->at_us = store_col_int(rows, 4);
        one->target.by =
            (struct inbound){.external_user_id = user_of_payload(store_col_text(rows, 5), arena)};
    }
    return store_rows_close(&rows, err);
}

enum status
deletion_apply_early(struct store_tx *tx, int64_t since_us, struct deletion *deletions_out,
                     size_t *count_out, struct err *err)
{
    struct early early[DELETIONS_AT_ONCE];
    enum status st = read_early(tx, since_us, early, count_out, err);

    for (size_t i = 0; st == ST_OK && i < *count_out; i++) {
        st = remove_message(tx, &early[i].target, early[i].at_us, &deletions_out[i], err);
        if (st == ST_OK && deletions_out[i].is_refused)
            st = store_exec(tx, &SQL_DELETION_REFUSED, ARGS(sv_text(id_str(&early[i].event_id))),
                            NULL, err);
        else if (st == ST_OK)
            st = store_exec(
                tx, &SQL_DELETION_APPLIED,
                ARGS(sv_text(id_str(&early[i].event_id)), sv_id(deletions_out[i].message_id)), NULL,
                err);
    }
    return st;
}

void
deletion_publish(struct live_hub *hub, const struct tenant_scope *scope,
                 const struct deletion *deletion, struct arena *arena)
{
    if (id_is_none(&deletion->message_id.id))
        return;
    live_publish(hub, scope, STR("inbox"), STR("deletion"),
                 arena_printf(arena, "{\"message_id\":\"%s\",\"conversation_id\":\"%s\"}",
                              deletion->message_id.id.text, deletion->conversation_id.id.text));
}
