/*
 * ledger.c - the rows of the send ledger, each step one transaction
 */
#include "gateway/ledger.h"

#include "conversation/envelope.h"
#include "gateway/gateway_sql.h"
#include "gateway/window.h"
#include "text/json.h"

/* Whether the provider will tell what became of it. */
static bool
is_reported(const struct sending *s)
{
    return (channel_caps(s->channel) & CHANNEL_REPORTS_DELIVERY) != 0;
}

static enum status
read_states(struct store_tx *tx, struct sending *s, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_DELIVERY_LIST, ARGS(sv_id(s->message_id)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        int64_t part = store_col_int(rows, 0);
        struct str state = store_col_text(rows, 1);

        if (part < 0 || part > MAX_PARTS)
            continue;
        s->since_us[part] = store_col_int(rows, 3);
        if (str_eq_c(state, "sent") || str_eq_c(state, "delivered") || str_eq_c(state, "read") ||
            str_eq_c(state, DELIVERY_REPLACED))
            s->states[part] = PART_SENT;
        else if (str_eq_c(state, "window_closed") ||
                 (str_eq_c(state, "failed") && store_col_text(rows, 2).len > 0)) {
            s->states[part] = PART_SENT; /* the provider had it, and may be asked no more */
            s->is_refused = s->is_refused || str_eq_c(s->message.delivery, "failed");
        } else if (str_eq_c(state, "intent"))
            s->states[part] = PART_INTENT;
        else if (str_eq_c(state, "growing")) {
            s->states[part] = PART_GROWING;
            s->grown = arena_str(lease_arena(s->lease), store_col_text(rows, 2));
        } else if (str_eq_c(state, "uncertain"))
            s->states[part] = PART_UNCERTAIN;
    }
    return store_rows_close(&rows, err);
}

/* In groups an answer quotes what it answers; between two people that is noise. */
static enum status
read_reply_target(struct store_tx *tx, struct sending *s, struct err *err)
{
    struct message *answered = NULL;
    size_t count = 0;
    enum status st;

    s->reply_to = s->answers = s->answers_metadata = STR_EMPTY;
    if (s->message.answers_to_seq == 0)
        return ST_OK;
    st = message_window(tx, s->message.conversation_id, s->message.answers_to_seq, 1,
                        lease_arena(s->lease), &answered, &count, err);
    if (st != ST_OK || count != 1)
        return st;
    s->answers = answered->external_message_id;
    s->answers_metadata = answered->metadata;
    if (!str_eq(answered->external_user_id, answered->external_chat_id))
        s->reply_to = answered->external_message_id;
    return st;
}

enum status
ledger_load(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = message_get(tx, s->message_id, lease_arena(s->lease), &s->message, err);
    size_t i;

    for (i = 0; i <= MAX_PARTS; i++)
        s->states[i] = PART_NEW;
    s->is_refused = false;
    if (st == ST_OK)
        st = read_states(tx, s, err);
    if (st == ST_OK)
        st = read_reply_target(tx, s, err);
    return st;
}

static enum status
put_part(struct store_tx *tx, struct sending *s, size_t part, const char *state,
         struct str external_id, const char *reason, struct err *err)
{
    return store_exec(tx, &SQL_DELIVERY_PUT,
                      ARGS(sv_id(s->message_id), sv_int((int64_t)part), sv_text(str_from_c(state)),
                           sv_text(external_id), sv_text(str_from_c(reason)), sv_int(s->now_us)),
                      NULL, err);
}

enum status
ledger_begin(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = queue_lease_check(tx, s->lease, err);

    if (st == ST_OK)
        st = message_set_delivery(tx, s->message_id, "sending", STR_EMPTY, err);
    return st == ST_OK ? put_part(tx, s, s->next, "intent", STR_EMPTY, NULL, err) : st;
}

static struct str
stamped_envelope(struct sending *s, struct arena *arena)
{
    json_auto_t *envelope = NULL;
    struct err err;

    if (json_parse(s->message.envelope, &envelope, &err) != ST_OK ||
        envelope_set_processing(envelope, "sent_response", window_sent_words(&s->message, arena),
                                &err) != ST_OK ||
        envelope_stamp(envelope, "sent", s->now_us, &err) != ST_OK)
        return STR_EMPTY; /* messages of people ledger_begin without an envelope */
    return json_text(envelope, arena);
}

/* The provider asks for patience: nothing failed, so no attempt counts. */
enum status
ledger_postponed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st =
        put_part(tx, s, s->next, "retry", STR_EMPTY, "the provider asked to wait", err);

    return st == ST_OK ? queue_lease_postpone(tx, s->lease, s->postponed_to_us, err) : st;
}

/* The provider does not take the message any more: at once, or its report was faster than our own
 * record. What is sent now begins with a job of its own. */
static enum status
close_window(struct store_tx *tx, struct sending *s, struct err *err)
{
    enum status st = window_close(tx, channel_record(s->channel), s->message_id, WINDOW_BY_PROVIDER,
                                  s->now_us, &s->replaced, err);

    s->window_closed = true;
    if (st != ST_OK)
        return st;
    return s->replaced ? queue_lease_postpone(tx, s->lease, s->now_us, err)
                       : queue_lease_done(tx, s->lease, err);
}

/* The whole message has left. */
static enum status
finish(struct store_tx *tx, struct sending *s, struct err *err)
{
    enum status st = message_set_delivery(tx, s->message_id, "sent",
                                          stamped_envelope(s, store_tx_arena(tx)), err);

    if (st == ST_OK)
        st = conversation_note_sent(tx, s->message.conversation_id, err);
    s->reported = (struct delivery_change){.delivery = NULL};
    s->window_closed = false;
    if (st == ST_OK && is_reported(s))
        st = delivery_settle(tx, s->message_id, s->now_us, &s->reported, err);
    if (st == ST_OK && s->reported.delivery == NULL && !id_is_none(&s->reported.window_closed.id))
        return close_window(tx, s, err);
    if (st == ST_OK)
        st = queue_lease_done(tx, s->lease, err);
    return st;
}

/* Records the part's outcome together with what follows from it: the next part's intent, or the
 * end. */
enum status
ledger_outcome(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    struct str moved_to = s->delivery.new_external_chat_id;
    bool is_failed = str_eq_c(str_from_c(s->state), "failed"); /* then the provider has nothing */
    enum status st = queue_lease_check(tx, s->lease, err);

    if (st == ST_OK)
        st = put_part(tx, s, s->next, s->state,
                      is_failed ? STR_EMPTY : s->delivery.external_message_id, s->reason, err);
    if (st == ST_OK && moved_to.len > 0)
        st = conversation_move_chat(tx, s->message.channel_id, s->message.external_chat_id,
                                    moved_to, err);
    if (st != ST_OK || !str_eq_c(str_from_c(s->state), "sent"))
        return st;
    if (is_reported(s) && s->delivery.external_message_id.len > 0)
        st = delivery_note_part(tx, s->message.channel_id, s->message_id, (int64_t)s->next,
                                s->delivery.external_message_id, s->now_us, err);
    if (st != ST_OK)
        return st;
    if (s->next + 1 < s->part_count && s->states[s->next + 1] == PART_NEW)
        return put_part(tx, s, s->next + 1, "intent", STR_EMPTY, NULL, err);
    return s->next + 1 == s->part_count ? finish(tx, s, err) : ST_OK;
}

enum status
ledger_finished(struct store_tx *tx, void *arg, struct err *err)
{
    return finish(tx, arg, err);
}

enum status
ledger_find_overtaken(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_MESSAGE_OVERTAKEN, ARGS(sv_id(s->message.conversation_id), sv_int(s->message.seq)),
        &rows, err);

    s->is_overtaken = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    return store_rows_close(&rows, err);
}

enum status
ledger_overtaken(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = put_part(tx, s, 0, "failed", STR_EMPTY,
                              "a person answered first, in the provider's own app", err);

    if (st == ST_OK)
        st = message_set_delivery(tx, s->message_id, "failed", STR_EMPTY, err);
    s->reported = (struct delivery_change){
        s->message_id, s->message.conversation_id, "failed", {{""}}, {{""}}};
    return st == ST_OK ? queue_lease_done(tx, s->lease, err) : st;
}

enum status
ledger_ended(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, ((struct sending *)arg)->lease, err);
}

/* What the provider called the part, if it told of it while nobody here knew that it has it. */
enum status
ledger_find_known(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_DELIVERY_KNOWN, ARGS(sv_id(s->message_id), sv_int((int64_t)s->next)), &rows, err);

    s->delivery = (struct delivery){.external_message_id = STR_EMPTY};
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    s->delivery.external_message_id = arena_str(lease_arena(s->lease), store_col_text(rows, 0));
    return store_rows_close(&rows, err);
}

/* Held: nothing is sent again by itself; staff sees it and may resend. Unless the provider told of
 * the part until now: then it has left, and s->state says so. */
enum status
ledger_held(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    const char *reason = s->reason;
    enum status st = ledger_find_known(tx, s, err);

    s->state = "uncertain";
    if (st == ST_OK && s->delivery.external_message_id.len > 0) {
        s->state = "sent";
        s->reason = NULL;
        st = ledger_outcome(tx, s, err);
        s->reason = reason; /* the work may run again */
        return st;
    }
    if (st == ST_OK)
        st = put_part(tx, s, s->next, s->state, STR_EMPTY, reason, err);
    if (st == ST_OK)
        st = message_set_delivery(tx, s->message_id, "uncertain", STR_EMPTY, err);
    if (st == ST_OK)
        st = queue_lease_done(tx, s->lease, err);
    return st;
}

enum status
ledger_delayed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;

    /* A part in flight when a process died stays so; of a later part the intent is there already,
     * and known to have come to nothing. */
    if (s->next > 0 && s->states[s->next] == PART_NEW)
        return ledger_postponed(tx, s, err);
    return queue_lease_postpone(tx, s->lease, s->postponed_to_us, err);
}

enum status
ledger_unreachable(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = ledger_outcome(tx, s, err);

    /* In a private chat the chat is the person; elsewhere nothing matches. */
    if (st == ST_OK)
        st = conversation_set_reachable(tx, s->message.channel_id, s->message.external_chat_id,
                                        false, err);
    return st;
}

enum status
ledger_refused(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = queue_lease_check(tx, s->lease, err);

    if (st == ST_OK)
        st = put_part(tx, s, s->next, "window_closed", STR_EMPTY, s->reason, err);
    return st == ST_OK ? close_window(tx, s, err) : st;
}

/* By our own clock. What goes on is what stands there now. */
enum status
ledger_closed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = queue_lease_check(tx, s->lease, err);

    s->window_closed = true;
    if (st == ST_OK && s->reason != NULL)
        st = put_part(tx, s, 0, "window_closed", STR_EMPTY, s->reason, err);
    if (st == ST_OK)
        st = window_close(tx, channel_record(s->channel), s->message_id, WINDOW_BY_CLOCK, s->now_us,
                          &s->replaced, err);
    if (st == ST_OK && s->replaced)
        return ledger_load(tx, s, err);
    return st == ST_OK ? queue_lease_done(tx, s->lease, err) : st;
}
