/*
 * reply_only.c - strangers on a channel that answers only those who were written to first
 *
 * A stranger is somebody to whom neither a person nor the assistant ever wrote on this channel.
 * Their message is kept and shown like any other, but nothing answers it: they are told so, at most
 * once an hour. What was told is the message itself, so the hour is durable and the same for all
 * processes: the conversation's row, which every arriving message changes, puts them one behind
 * another.
 */
#include "gateway/gateway_private.h"
#include "gateway/gateway_sql.h"

#define TELL_EVERY_US (INT64_C(3600) * US_PER_S)
/* By this the message is known again. */
#define TOLD_METADATA STR("{\"fallback\":\"reply_only\"}")

static enum status
exists(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
       size_t arg_count, bool *exists_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, sql, args, arg_count, &rows, err);

    *exists_out = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    return store_rows_close(&rows, err);
}

static enum status
tell(struct gateway *gateway, struct store_tx *tx, const struct channel_record *record,
     const struct inbound *item, struct conversation_id id, int64_t now_us, struct err *err)
{
    const struct outbound_spec spec = {
        .conversation_id = id,
        .id = ID_NEW(message_id),
        .role = "system",
        .body = channel_reply_only_text(record, item->display_name, store_tx_arena(tx)),
        .metadata = TOLD_METADATA,
        .delivery = "queued",
    };
    int64_t seq;
    enum status st = conversation_add_outbound(tx, &spec, now_us, &seq, err);

    return st == ST_OK ? gateway_queue_outbound(gateway, tx, spec.id, record->id,
                                                item->external_chat_id, err)
                       : st;
}

enum status
reply_only_receive(struct gateway *gateway, struct store_tx *tx,
                   const struct channel_record *record, const struct inbound *item,
                   const struct inbound_result *result, int64_t now_us, bool *stranger_out,
                   struct err *err)
{
    bool known = false, told = false;
    enum status st = exists(tx, &SQL_WRITTEN_TO, ARGS(sv_id(result->conversation_id)), &known, err);

    *stranger_out = st == ST_OK && !known;
    if (st != ST_OK || known)
        return st;
    st = exists(tx, &SQL_TOLD_SINCE,
                ARGS(sv_id(result->conversation_id), sv_text(TOLD_METADATA),
                     sv_int(now_us - TELL_EVERY_US)),
                &told, err);
    if (st == ST_OK)
        st = conversation_mark_answered(tx, result->conversation_id, result->seq, err);
    if (st == ST_OK && !told)
        st = tell(gateway, tx, record, item, result->conversation_id, now_us, err);
    return st;
}
