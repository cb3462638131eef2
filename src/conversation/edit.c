/*
 * edit.c - a message whose words were changed where it was written
 */
#include "conversation/edit.h"

#include "conversation/conversation_sql.h"
#include "conversation/person.h"
#include "text/json.h"

/* A message that is edited. */
struct edited {
    struct message_id id;
    struct str body, metadata, external_user_id, external_chat_id;
    struct contact_id contact_id;
    bool is_deleted, is_persons;
};

/* ST_NOT_FOUND. */
static enum status
find_edited(struct store_tx *tx, const struct channel_record *channel,
            struct str external_message_id, struct edited *edited_out, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_MESSAGE_EDITED,
        ARGS(sv_text(channel->source), sv_text(external_message_id), sv_id(channel->id)), &rows,
        err);

    if (st != ST_OK)
        return st;
    *edited_out = (struct edited){
        .id = STORE_COL_ID(rows, 0, message_id),
        .body = arena_str(arena, store_col_text(rows, 1)),
        .metadata = arena_str(arena, store_col_text(rows, 2)),
        .is_deleted = !store_col_is_null(rows, 3),
        .is_persons = str_eq_c(store_col_text(rows, 4), "user"),
        .external_user_id = arena_str(arena, store_col_text(rows, 5)),
        .external_chat_id = arena_str(arena, store_col_text(rows, 6)),
        .contact_id = STORE_COL_ID(rows, 7, contact_id),
    };
    return store_rows_close(&rows, err);
}

/* What a person wrote they alone edit; what the organization did is edited in its own chat. */
static enum status
may_be_edited(struct store_tx *tx, const struct channel_record *channel,
              const struct inbound *inbound, const struct edited *edited, bool *may_out,
              struct err *err)
{
    if (edited->is_persons)
        return person_wrote(tx, channel, inbound, edited->external_user_id, edited->contact_id,
                            may_out, err);
    *may_out = str_eq(inbound->external_chat_id, edited->external_chat_id);
    return ST_OK;
}

enum status
message_apply_edit(struct store_tx *tx, const struct channel_record *channel,
                   const struct inbound *inbound, int64_t now_us, struct message_id *message_out,
                   struct err *err)
{
    json_auto_t *metadata = NULL;
    struct edited edited;
    json_t *edits, *edit;
    bool may = false;
    enum status st = find_edited(tx, channel, inbound->about_external_message_id, &edited, err);

    if (st == ST_NOT_FOUND)
        return ST_OK; /* an edit of something older than us: the event alone is kept */
    if (st == ST_OK)
        st = may_be_edited(tx, channel, inbound, &edited, &may, err);
    if (st != ST_OK || !may)
        return st;
    *message_out = edited.id;
    if (edited.is_deleted || inbound->text.ptr == NULL || str_eq(edited.body, inbound->text))
        return ST_OK;
    st = json_parse(edited.metadata, &metadata, err);
    if (st != ST_OK)
        return st;
    edits = json_get_array(metadata, "edits");
    if (edits == NULL) {
        edits = json_array();
        json_set(metadata, "edits", edits);
    }
    edit = json_object();
    json_set_str(edit, "body", edited.body);
    json_set_int(edit, "replaced_at", now_us);
    json_array_append_new(edits, edit);
    return store_exec(tx, &SQL_MESSAGE_EDIT,
                      ARGS(sv_id(edited.id), sv_text(inbound->text),
                           sv_text(json_text(metadata, store_tx_arena(tx)))),
                      NULL, err);
}
