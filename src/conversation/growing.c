/*
 * growing.c - one row a conversation, from the first words that are shown to the answer's commit
 */
#include "conversation/growing.h"

#include "conversation/growing_sql.h"

enum status
growing_get(struct store_tx *tx, struct conversation_id conversation_id, struct arena *arena,
            struct growing *growing_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_GROWING_GET, ARGS(sv_id(conversation_id)), &rows, err);

    if (st != ST_OK)
        return st;
    *growing_out = (struct growing){
        .message_id = STORE_COL_ID(rows, 0, message_id),
        .external_message_id = arena_str(arena, store_col_text(rows, 1)),
        .begun_at_us = store_col_int(rows, 2),
    };
    return store_rows_close(&rows, err);
}

enum status
growing_begin(struct store_tx *tx, struct conversation_id conversation_id,
              struct message_id message_id, int64_t now_us, struct err *err)
{
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_GROWING_BEGIN,
                   ARGS(sv_id(conversation_id), sv_id(message_id), sv_int(now_us)), &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_CONFLICT, "another answer grows in this chat");
    return st;
}

enum status
growing_known(struct store_tx *tx, struct message_id message_id,
              struct conversation_id conversation_id, struct str external_message_id,
              struct err *err)
{
    return store_exec(tx, &SQL_GROWING_KNOWN,
                      ARGS(sv_id(conversation_id), sv_id(message_id), sv_text(external_message_id)),
                      NULL, err);
}

enum status
growing_finish(struct store_tx *tx, struct conversation_id conversation_id,
               struct message_id message_id, struct err *err)
{
    int64_t taken = 0;
    enum status st = store_exec(tx, &SQL_GROWING_FINISH,
                                ARGS(sv_id(conversation_id), sv_id(message_id)), &taken, err);

    return st == ST_OK && taken > 0 ? growing_forget(tx, conversation_id, err) : st;
}

enum status
growing_forget(struct store_tx *tx, struct conversation_id conversation_id, struct err *err)
{
    return store_exec(tx, &SQL_GROWING_FORGET, ARGS(sv_id(conversation_id)), NULL, err);
}
