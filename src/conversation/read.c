/*
 * read.c - rows into structs: conversations, messages, escalations, kept events
 */
#include "conversation/conversation.h"
#include "conversation/conversation_sql.h"
#include "text/json.h"

static struct str
col_copy(struct store_rows *rows, int column, struct arena *arena)
{
    struct str value = store_col_text(rows, column);

    return value.ptr == NULL ? STR("") : arena_str(arena, value);
}

static void
read_conversation(struct store_rows *rows, struct arena *arena, struct conversation *out)
{
    out->id = STORE_COL_ID(rows, 0, conversation_id);
    out->channel_id = STORE_COL_ID(rows, 1, channel_id);
    out->contact_id = STORE_COL_ID(rows, 2, contact_id);
    out->brand_id = STORE_COL_ID(rows, 3, brand_id);
    out->user_id = STORE_COL_ID(rows, 4, user_id);
    out->source = col_copy(rows, 5, arena);
    out->external_chat_id = col_copy(rows, 6, arena);
    out->status = col_copy(rows, 7, arena);
    out->title = col_copy(rows, 8, arena);
    out->thread_id = col_copy(rows, 9, arena);
    out->contact_name = col_copy(rows, 10, arena);
    out->locale = col_copy(rows, 11, arena);
    out->hand_off_to_human = store_col_int(rows, 12) != 0;
    out->last_seq = store_col_int(rows, 13);
    out->answered_seq = store_col_int(rows, 14);
    out->last_message_at_us = store_col_int(rows, 15);
    out->created_at_us = store_col_int(rows, 16);
    out->archived_at_us = store_col_int(rows, 17);
    out->is_linked = store_col_int(rows, 18) > 0;
}

static void
read_message(struct store_rows *rows, struct arena *arena, struct message *out)
{
    out->id = STORE_COL_ID(rows, 0, message_id);
    out->conversation_id = STORE_COL_ID(rows, 1, conversation_id);
    out->seq = store_col_int(rows, 2);
    out->role = col_copy(rows, 3, arena);
    out->source = col_copy(rows, 4, arena);
    out->channel_id = STORE_COL_ID(rows, 5, channel_id);
    out->user_id = STORE_COL_ID(rows, 6, user_id);
    out->contact_id = STORE_COL_ID(rows, 7, contact_id);
    out->external_message_id = col_copy(rows, 8, arena);
    out->external_user_id = col_copy(rows, 9, arena);
    out->external_chat_id = col_copy(rows, 10, arena);
    out->body = col_copy(rows, 11, arena);
    out->metadata = col_copy(rows, 12, arena);
    out->envelope = col_copy(rows, 13, arena);
    out->delivery = col_copy(rows, 14, arena);
    out->answers_from_seq = store_col_int(rows, 15);
    out->answers_to_seq = store_col_int(rows, 16);
    out->provider_at_us = store_col_int(rows, 17);
    out->created_at_us = store_col_int(rows, 18);
    out->deleted_at_us = store_col_int(rows, 19);
}

static void
read_escalation(struct store_rows *rows, struct arena *arena, struct escalation *out)
{
    out->id = STORE_COL_ID(rows, 0, escalation_id);
    out->conversation_id = STORE_COL_ID(rows, 1, conversation_id);
    out->message_id = STORE_COL_ID(rows, 2, message_id);
    out->reason = col_copy(rows, 3, arena);
    out->draft = col_copy(rows, 4, arena);
    out->status = col_copy(rows, 5, arena);
    out->resolved_by = col_copy(rows, 6, arena);
    out->created_at_us = store_col_int(rows, 7);
    out->resolved_at_us = store_col_int(rows, 8);
}

static void
read_event(struct store_rows *rows, struct arena *arena, struct kept_event *out)
{
    struct str payload = store_col_blob(rows, 3);

    out->id = store_col_id(rows, 0);
    out->channel_id = STORE_COL_ID(rows, 1, channel_id);
    out->kind = col_copy(rows, 2, arena);
    out->payload = payload.ptr == NULL ? STR("") : arena_str(arena, payload);
    out->created_at_us = store_col_int(rows, 4);
}

/* Reads at most limit rows with the reader of one kind into an array in the arena. */
#define READ_ROWS(tx, sql, args, type, reader, limit, arena, items_out, count_out, err)            \
    do {                                                                                           \
        struct store_rows *rows_ = NULL;                                                           \
        type *items_ = ARENA_NEW_N((arena), type, (limit) > 0 ? (limit) : 1);                      \
        size_t count_ = 0;                                                                         \
        enum status st_ = store_query((tx), (sql), args, &rows_, (err));                           \
        if (st_ != ST_OK)                                                                          \
            return st_;                                                                            \
        while (count_ < (limit) && store_rows_next(rows_))                                         \
            reader(rows_, (arena), &items_[count_++]);                                             \
        *(items_out) = items_;                                                                     \
        *(count_out) = count_;                                                                     \
        return store_rows_close(&rows_, (err));                                                    \
    } while (0)

static enum status
get_conversation(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
                 size_t arg_count, struct arena *arena, struct conversation *out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, sql, args, arg_count, &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such conversation");
    if (st != ST_OK)
        return st;
    read_conversation(rows, arena, out);
    return store_rows_close(&rows, err);
}

enum status
conversation_get(struct store_tx *tx, struct conversation_id id, struct arena *arena,
                 struct conversation *conversation_out, struct err *err)
{
    return get_conversation(tx, &SQL_CONVERSATION_GET, ARGS(sv_id(id)), arena, conversation_out,
                            err);
}

enum status
conversation_get_by_chat(struct store_tx *tx, struct channel_id channel_id,
                         struct str external_chat_id, struct arena *arena,
                         struct conversation *conversation_out, struct err *err)
{
    return get_conversation(tx, &SQL_CONVERSATION_BY_CHAT,
                            ARGS(sv_id(channel_id), sv_text(external_chat_id)), arena,
                            conversation_out, err);
}

enum status
conversation_list(struct store_tx *tx, const struct conversation_filter *filter, size_t limit,
                  struct arena *arena, struct conversation **conversations_out, size_t *count_out,
                  struct err *err)
{
    bool first_page = id_is_none(&filter->before_id.id);
    struct str status = filter->status.ptr == NULL ? STR("") : filter->status;
    struct str before = first_page ? STR("") : ID_STR(filter->before_id);
    struct str contact = id_is_none(&filter->contact_id.id) ? STR("") : ID_STR(filter->contact_id);
    int64_t before_us = first_page ? INT64_MAX : filter->before_last_message_us;

    READ_ROWS(tx, &SQL_CONVERSATION_LIST,
              ARGS(sv_int(before_us), sv_text(before), sv_text(status), sv_text(contact),
                   sv_int((int64_t)limit)),
              struct conversation, read_conversation, limit, arena, conversations_out, count_out,
              err);
}

enum status
message_get(struct store_tx *tx, struct message_id id, struct arena *arena,
            struct message *message_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_MESSAGE_GET, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such message");
    if (st != ST_OK)
        return st;
    read_message(rows, arena, message_out);
    return store_rows_close(&rows, err);
}

enum status
message_find_external(struct store_tx *tx, struct str source, struct str external_message_id,
                      struct message_id *id_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_MESSAGE_BY_EXTERNAL,
                        ARGS(sv_text(source), sv_text(external_message_id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such message");
    if (st != ST_OK)
        return st;
    *id_out = STORE_COL_ID(rows, 0, message_id);
    return store_rows_close(&rows, err);
}

enum status
message_count_deleted(struct store_tx *tx, struct conversation_id id, int64_t from_seq,
                      int64_t to_seq, int64_t *count_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_MESSAGE_COUNT_DELETED,
                                     ARGS(sv_id(id), sv_int(from_seq), sv_int(to_seq)), &rows, err);

    if (st != ST_OK)
        return st;
    *count_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

enum status
message_list(struct store_tx *tx, struct conversation_id id, int64_t after_seq, size_t limit,
             struct arena *arena, struct message **messages_out, size_t *count_out, struct err *err)
{
    READ_ROWS(tx, &SQL_MESSAGE_LIST, ARGS(sv_id(id), sv_int(after_seq), sv_int((int64_t)limit)),
              struct message, read_message, limit, arena, messages_out, count_out, err);
}

static bool
wants_answer(struct str metadata)
{
    json_auto_t *json = NULL;
    struct err ignored;

    return json_parse(metadata, &json, &ignored) != ST_OK ||
           json_get_bool(json, "wants_answer", json_get_bool(json, "addressed", true));
}

enum status
conversation_waits(struct store_tx *tx, struct conversation_id id, bool *waits_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_MESSAGE_WAITING, ARGS(sv_id(id)), &rows, err);

    *waits_out = false;
    if (st != ST_OK)
        return st;
    while (!*waits_out && store_rows_next(rows))
        *waits_out = wants_answer(store_col_text(rows, 0));
    return store_rows_close(&rows, err);
}

static enum status
window_newest_first(struct store_tx *tx, struct conversation_id id, int64_t up_to_seq, size_t limit,
                    struct arena *arena, struct message **messages_out, size_t *count_out,
                    struct err *err)
{
    READ_ROWS(tx, &SQL_MESSAGE_WINDOW, ARGS(sv_id(id), sv_int(up_to_seq), sv_int((int64_t)limit)),
              struct message, read_message, limit, arena, messages_out, count_out, err);
}

enum status
message_window(struct store_tx *tx, struct conversation_id id, int64_t up_to_seq, size_t limit,
               struct arena *arena, struct message **messages_out, size_t *count_out,
               struct err *err)
{
    enum status st =
        window_newest_first(tx, id, up_to_seq, limit, arena, messages_out, count_out, err);
    struct message *messages = *messages_out;
    size_t i, count = *count_out;

    for (i = 0; st == ST_OK && i < count / 2; i++) {
        struct message swap = messages[i];

        messages[i] = messages[count - 1 - i];
        messages[count - 1 - i] = swap;
    }
    return st;
}

enum status
escalation_get(struct store_tx *tx, struct escalation_id id, struct arena *arena,
               struct escalation *escalation_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_ESCALATION_GET, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such escalation");
    if (st != ST_OK)
        return st;
    read_escalation(rows, arena, escalation_out);
    return store_rows_close(&rows, err);
}

enum status
escalation_list(struct store_tx *tx, struct str status, struct escalation_id before, size_t limit,
                struct arena *arena, struct escalation **escalations_out, size_t *count_out,
                struct err *err)
{
    READ_ROWS(tx, &SQL_ESCALATION_LIST,
              ARGS(sv_text(status.ptr == NULL ? STR("") : status),
                   sv_text(id_is_none(&before.id) ? STR("") : ID_STR(before)),
                   sv_int((int64_t)limit)),
              struct escalation, read_escalation, limit, arena, escalations_out, count_out, err);
}

enum status
channel_event_list(struct store_tx *tx, struct str kind, struct id_text before, size_t limit,
                   struct arena *arena, struct kept_event **events_out, size_t *count_out,
                   struct err *err)
{
    READ_ROWS(tx, &SQL_EVENT_LIST,
              ARGS(sv_text(kind.ptr == NULL ? STR("") : kind),
                   sv_text(id_is_none(&before) ? STR("") : id_str(&before)),
                   sv_int((int64_t)limit)),
              struct kept_event, read_event, limit, arena, events_out, count_out, err);
}

enum status
quarantine_list(struct store_tx *tx, struct id_text before, size_t limit, struct arena *arena,
                struct kept_event **events_out, size_t *count_out, struct err *err)
{
    READ_ROWS(
        tx, &SQL_QUARANTINE_LIST,
        ARGS(sv_text(id_is_none(&before) ? STR("") : id_str(&before)), sv_int((int64_t)limit)),
        struct kept_event, read_event, limit, arena, events_out, count_out, err);
}
