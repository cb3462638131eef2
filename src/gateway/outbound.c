/*
 * outbound.c - jobs of the send ledger: put, put again by a person or a report, buried
 */
#include "conversation/view.h"
#include "gateway/gateway_private.h"
#include "gateway/gateway_sql.h"
#include "gateway/window.h"
#include "text/json.h"

/* What was given up: whether that is all there is to say. */
static enum status
find_outcome(struct store_tx *tx, struct message_id id, const char **outcome_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_DELIVERY_IN_FLIGHT, ARGS(sv_id(id)), &rows, err);

    *outcome_out = st == ST_OK ? "uncertain" : "failed";
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    return store_rows_close(&rows, err);
}

/* The window was closed, and what took the text's place could not be sent either. */
static enum status
ask_person(struct store_tx *tx, const struct message *message, int64_t now_us, struct err *err)
{
    struct escalation_id escalation;
    json_auto_t *metadata = NULL;
    enum status st = json_parse(message->metadata, &metadata, err);

    if (st != ST_OK || json_get_object(metadata, "window") == NULL)
        return st;
    return escalation_open(tx, message->conversation_id, (struct message_id){{""}},
                           "outside_window", message->body, now_us, &escalation, err);
}

enum status
sender_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *context,
               struct err *err)
{
    json_auto_t *payload = NULL;
    const struct gateway *gateway = context;
    struct message_id id;
    struct message message;
    const char *outcome;
    enum status st;

    (void)reason;
    st = json_parse(job->payload, &payload, err);
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "message_id"), &id, err);
    if (st == ST_OK)
        st = message_get(tx, id, store_tx_arena(tx), &message, err);
    if (st == ST_OK)
        st = find_outcome(tx, id, &outcome, err);
    if (st == ST_OK)
        st = message_set_delivery(tx, id, outcome, STR_EMPTY, err);
    if (st == ST_OK)
        st = conversation_set_status(tx, message.conversation_id, STATUS_FAILED, err);
    if (st == ST_OK)
        st = ask_person(tx, &message, clock_wall_us(gateway->config.clock), err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* the message is gone: nobody to be told */
}

/* None when the message's conversation is none. */
static enum status
find_user(struct store_tx *tx, struct message_id message_id, struct user_id *user_out,
          struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_MESSAGE_USER, ARGS(sv_id(message_id)), &rows, err);

    *user_out = (struct user_id){{""}};
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    *user_out = STORE_COL_ID(rows, 0, user_id);
    return store_rows_close(&rows, err);
}

enum status
gateway_queue_outbound(struct gateway *gateway, struct store_tx *tx, struct message_id message_id,
                       struct channel_id channel_id, struct str external_chat_id, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct job_spec job = {
        .topic = QUEUE_TOPIC_OUTBOUND,
        .lane = chat_lane(channel_id, external_chat_id, arena),
        .dedup_key = ID_STR(message_id),
        .payload = arena_printf(arena, "{\"message_id\":\"%s\"}", message_id.id.text),
    };
    struct job_id job_id;
    enum status st = find_user(tx, message_id, &job.user_id, err);

    return st == ST_OK ? queue_put(gateway->config.queue, tx, &job, &job_id, err) : st;
}

/* A person decided: the text is tried first, since the window may be open again. */
static enum status
forget_template(struct store_tx *tx, const struct message *message, struct err *err)
{
    json_auto_t *metadata = NULL;
    int64_t first_part = 0;
    enum status st = json_parse(message->metadata, &metadata, err);

    if (st != ST_OK || !window_reopen(metadata, &first_part))
        return st;
    st = store_exec(tx, &SQL_DELIVERY_REMOVE, ARGS(sv_id(message->id), sv_int(first_part)), NULL,
                    err);
    return st == ST_OK ? store_exec(tx, &SQL_MESSAGE_METADATA,
                                    ARGS(sv_id(message->id),
                                         sv_text(json_text(metadata, store_tx_arena(tx)))),
                                    NULL, err)
                       : st;
}

enum status
gateway_resend(struct gateway *gateway, struct store_tx *tx, struct message_id message_id,
               struct err *err)
{
    struct message message;
    enum status st = message_get(tx, message_id, store_tx_arena(tx), &message, err);

    if (st != ST_OK)
        return st;
    if (!str_eq_c(message.delivery, "uncertain") && !str_eq_c(message.delivery, "failed"))
        return err_set(err, ST_CONFLICT, "this message is neither uncertain nor failed");
    st = forget_template(tx, &message, err);
    /* Parts that were given up after many tries are free already. */
    if (st == ST_OK)
        st = store_exec(tx, &SQL_DELIVERY_RELEASE,
                        ARGS(sv_id(message_id), sv_int(clock_wall_us(gateway->config.clock))), NULL,
                        err);
    if (st == ST_OK)
        st = gateway_queue_outbound(gateway, tx, message_id, message.channel_id,
                                    message.external_chat_id, err);
    return st;
}

enum status
sender_resume(struct gateway *gateway, struct store_tx *tx, struct message_id message_id,
              struct err *err)
{
    struct message message;
    enum status st = message_get(tx, message_id, store_tx_arena(tx), &message, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st; /* removed since */
    sender_note_reconciled(message.source, message_id);
    st = gateway_queue_outbound(gateway, tx, message_id, message.channel_id,
                                message.external_chat_id, err);
    return st == ST_CONFLICT ? ST_OK : st; /* its job waits already */
}
