/*
 * intake.c - rows that wait to be recorded
 */
#include "conversation/intake.h"

#include "conversation/intake_sql.h"

#define ROW(item)                                                                                  \
    ARGS(sv_id((item)->id), sv_id((item)->channel_id), sv_text((item)->envelope),                  \
         sv_blob((item)->item), sv_int((item)->accepted_at_us))

/* Numbers begin at 1 again whenever none is left; on a server see SQL_INTAKE_PUT. */
#define FIRST_SEQ 1

static enum status
put_at_once(struct store_tx *tx, const struct intake_item *item, bool *first_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_exec(tx, &SQL_INTAKE_PUT, ROW(item), NULL, err);

    if (st == ST_OK)
        st = store_query_one(tx, &SQL_INTAKE_SEQ, NO_ARGS, &rows, err);
    if (st != ST_OK)
        return st;
    *first_out = store_col_int(rows, 0) == FIRST_SEQ;
    return store_rows_close(&rows, err);
}

static enum status
put_asked(struct store_tx *tx, const struct intake_item *item, bool *first_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_ask(tx, &SQL_INTAKE_PUT, ROW(item), &rows, err);

    *first_out = st == ST_OK;
    if (st == ST_NOT_FOUND)
        return ST_OK;
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
intake_put(struct store_tx *tx, const struct intake_item *item, bool *first_out, struct err *err)
{
    return (store_is_shared(store_tx_store(tx)) ? put_asked : put_at_once)(tx, item, first_out,
                                                                           err);
}

enum status
intake_any(struct store_tx *tx, bool *any_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_ask(tx, &SQL_INTAKE_ANY, NO_ARGS, &rows, err);

    *any_out = st == ST_OK;
    if (st == ST_NOT_FOUND)
        return ST_OK;
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
intake_list(struct store_tx *tx, size_t limit, struct arena *arena, struct intake_item **items_out,
            size_t *count_out, struct err *err)
{
    struct intake_item *items = ARENA_NEW_N(arena, struct intake_item, limit);
    struct store_rows *rows = NULL;
    size_t count = 0;
    enum status st = store_query(tx, &SQL_INTAKE_LIST, ARGS(sv_int((int64_t)limit)), &rows, err);

    *items_out = items;
    *count_out = 0;
    if (st != ST_OK)
        return st;
    while (count < limit && store_rows_next(rows))
        items[count++] = (struct intake_item){.seq = store_col_int(rows, 0),
                                              .id = STORE_COL_ID(rows, 1, message_id),
                                              .channel_id = STORE_COL_ID(rows, 2, channel_id),
                                              .envelope = arena_str(arena, store_col_text(rows, 3)),
                                              .item = arena_str(arena, store_col_blob(rows, 4)),
                                              .accepted_at_us = store_col_int(rows, 5)};
    *count_out = count;
    return store_rows_close(&rows, err);
}

enum status
intake_remove(struct store_tx *tx, int64_t seq, struct err *err)
{
    return store_exec(tx, &SQL_INTAKE_REMOVE, ARGS(sv_int(seq)), NULL, err);
}
