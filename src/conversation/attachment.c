/*
 * attachment.c - facts about attachments, added to the message's metadata
 */
#include "conversation/attachment.h"

#include <stdlib.h>

#include "conversation/attachment_sql.h"
#include "text/json.h"

bool
attachment_is_settled(const json_t *attachment)
{
    return json_get_str(attachment, "object").len > 0 ||
           json_get_str(attachment, "refused").len > 0;
}

enum status
attachment_note(struct store_tx *tx, struct message_id id, size_t index, const json_t *facts,
                struct err *err)
{
    struct store_rows *rows = NULL;
    json_auto_t *metadata = NULL;
    struct err ignored;
    enum status st = store_query_one(tx, &SQL_MESSAGE_METADATA, ARGS(sv_id(id)), &rows, err);

    if (st != ST_OK)
        return st;
    st = json_parse(store_col_text(rows, 0), &metadata, err);
    if (st != ST_OK)
        (void)!store_rows_close(&rows, &ignored);
    else
        st = store_rows_close(&rows, err);
    if (st != ST_OK)
        return st;
    json_t *attachment = json_array_get(json_get_array(metadata, "attachments"), index);
    if (!json_is_object(attachment))
        return err_set(err, ST_NOT_FOUND, "the message has no such attachment");
    /* jansson's parameter may change; nothing is changed. */
    if (json_object_update(attachment, (json_t *)(uintptr_t)facts) != 0)
        abort();
    return store_exec(tx, &SQL_MESSAGE_SET_METADATA,
                      ARGS(sv_id(id), sv_text(json_text(metadata, store_tx_arena(tx)))), NULL, err);
}
