/*
 * sender.c - the send ledger: intent committed, provider called, outcome committed
 *
 * A part found with its intent but without an outcome was in flight when a process died. Nobody can
 * know whether the provider has it, unless the provider can be asked: that is "uncertain", and the
 * channel's policy decides. A part that was shown while the answer was made ("growing") is made
 * whole in its place, which may be done again and again: it needs no intent. Every
 * step first makes sure of the lease: a process that stood still must not send what another has
 * dealt with.
 */
#include "base/failpoint.h"
#include "base/log.h"
#include "channel/slots.h"
#include "conversation/delivery.h"
#include "conversation/envelope.h"
#include "gateway/breakers.h"
#include "gateway/gateway_private.h"
#include "gateway/gateway_sql.h"
#include "gateway/window.h"
#include "text/json.h"

#define MAX_PARTS 64
#define BUSY_WAIT_MS 1000 /* when the provider does not say how long */

enum part_state { PART_NEW, PART_INTENT, PART_GROWING, PART_SENT, PART_UNCERTAIN };

static struct metric sent_total = {
    .name = "parley_gateway_sent_total",
    .help = "Parts handed to providers, by source and result",
    .kind = METRIC_COUNTER,
    .labels = {"source", "result"},
};
static struct metric send_seconds = {
    .name = "parley_gateway_send_seconds",
    .help = "Time of the provider's call",
    .kind = METRIC_HISTOGRAM,
    .labels = {"source", "result"},
};

/* One message on its way out; belongs to the worker that holds the lease. */
struct sending {
    struct gateway *gateway;
    struct lease *lease;
    struct channel *channel;
    struct slot *slot; /* NULL: a local channel's */
    struct message_id message_id;
    struct message message;
    struct str reply_to, answers;
    struct str answers_metadata; /* JSON */
    enum part_state states[MAX_PARTS];
    int64_t since_us[MAX_PARTS]; /* when the intent was committed, or the call began */
    struct str grown;            /* the id of what is PART_GROWING; "": not known */
    struct str *parts;
    size_t part_count, next;
    int64_t now_us;
    /* The outcome of parts[next] that the next transaction records. */
    const char *state;
    struct delivery delivery;
    const char *reason;
    int64_t postponed_to_us;
    json_t *template;                /* takes the text's place; NULL: the text is sent. Owned */
    struct delivery_change reported; /* by the provider, before the message's end was recorded */
};

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

        if (part < 0 || part >= MAX_PARTS)
            continue;
        s->since_us[part] = store_col_int(rows, 3);
        if (str_eq_c(state, "sent") || str_eq_c(state, "delivered") || str_eq_c(state, "read"))
            s->states[part] = PART_SENT;
        else if (str_eq_c(state, "intent"))
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

static enum status
load(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = message_get(tx, s->message_id, lease_arena(s->lease), &s->message, err);
    size_t i;

    for (i = 0; i < MAX_PARTS; i++)
        s->states[i] = PART_NEW;
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

static enum status
begin(struct store_tx *tx, void *arg, struct err *err)
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
        envelope_set_processing(envelope, "sent_response", s->message.body, &err) != ST_OK ||
        envelope_stamp(envelope, "sent", s->now_us, &err) != ST_OK)
        return STR_EMPTY; /* messages of people begin without an envelope */
    return json_text(envelope, arena);
}

/* The provider asks for patience: nothing failed, so no attempt counts. */
static enum status
record_postponed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st =
        put_part(tx, s, s->next, "retry", STR_EMPTY, "the provider asked to wait", err);

    return st == ST_OK ? queue_lease_postpone(tx, s->lease, s->postponed_to_us, err) : st;
}

/* The whole message has left. */
static enum status
finish(struct store_tx *tx, struct sending *s, struct err *err)
{
    enum status st = message_set_delivery(tx, s->message_id, "sent",
                                          stamped_envelope(s, store_tx_arena(tx)), err);

    if (st == ST_OK)
        st = conversation_note_sent(tx, s->message.conversation_id, err);
    s->reported.delivery = NULL;
    if (st == ST_OK && is_reported(s))
        st = delivery_settle(tx, s->message_id, s->now_us, &s->reported, err);
    if (st == ST_OK)
        st = queue_lease_done(tx, s->lease, err);
    return st;
}

/* Records the part's outcome together with what follows from it: the next part's intent, or the
 * end. */
static enum status
record_outcome(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    struct str moved_to = s->delivery.new_external_chat_id;
    enum status st = queue_lease_check(tx, s->lease, err);

    if (st == ST_OK)
        st = put_part(tx, s, s->next, s->state, s->delivery.external_message_id, s->reason, err);
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

static enum status
record_finished(struct store_tx *tx, void *arg, struct err *err)
{
    return finish(tx, arg, err);
}

/* What the provider called the part, if it told of it while nobody here knew that it has it. */
static enum status
find_known(struct store_tx *tx, void *arg, struct err *err)
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
static enum status
record_held(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    const char *reason = s->reason;
    enum status st = find_known(tx, s, err);

    s->state = "uncertain";
    if (st == ST_OK && s->delivery.external_message_id.len > 0) {
        s->state = "sent";
        s->reason = NULL;
        st = record_outcome(tx, s, err);
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

static enum status
run(struct sending *s, const char *name, enum store_durability durability, store_work work,
    struct err *err)
{
    s->now_us = clock_wall_us(s->gateway->config.clock);
    return store_run(s->gateway->config.store, lease_scope(s->lease), name, durability, work, s,
                     err);
}

/* The part has left. */
static enum status
record_sent(struct sending *s, bool *done_out, struct err *err)
{
    enum status st;

    s->state = "sent";
    s->reason = NULL;
    slots_renew(s->gateway->slots, s->slot);
    st = run(s, "send_outcome", STORE_DURABLE, record_outcome, err);
    FAILPOINT("send.outcome_committed");
    *done_out = st == ST_OK && s->next + 1 == s->part_count;
    return st;
}

void
sender_note_reconciled(struct str source, struct message_id message_id)
{
    METRIC_INC(&sent_total, source, STR("reconciled"));
    LOG(LOG_INFO, "send.reconciled", log_str("message_id", ID_STR(message_id)));
}

/* done_out: the message's job is over, and the lease done. */
static enum status
hold(struct sending *s, bool *done_out, struct err *err)
{
    enum status st = run(s, "send_held", STORE_DURABLE, record_held, err);
    bool has_left = st == ST_OK && str_eq_c(str_from_c(s->state), "sent");

    if (has_left)
        sender_note_reconciled(s->message.source, s->message_id);
    *done_out = st == ST_OK && (!has_left || s->next + 1 == s->part_count);
    return st;
}

static void
note_uncertain(const struct sending *s, bool resend)
{
    METRIC_INC(&sent_total, s->message.source,
               resend ? STR("uncertain_resent") : STR("uncertain_held"));
    LOG(LOG_WARN, "send.uncertain", log_str("message_id", ID_STR(s->message_id)),
        log_int("part", (int64_t)s->next), log_cstr("policy", resend ? "resend" : "hold"));
}

static enum status
record_delayed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;

    /* A part in flight when a process died stays so; of a later part the intent is there already,
     * and known to have come to nothing. */
    if (s->next > 0 && s->states[s->next] == PART_NEW)
        return record_postponed(tx, s, err);
    return queue_lease_postpone(tx, s->lease, s->postponed_to_us, err);
}

static enum status
wait_until(struct sending *s, int64_t wall_us, bool *done_out, struct err *err)
{
    s->postponed_to_us = wall_us;
    *done_out = true;
    return run(s, "send_waits", STORE_DURABLE, record_delayed, err);
}

/* Asks the provider whether it has the part. ST_OK: it has, and s->delivery says under which id; or
 * done_out, that is to be asked again later. ST_NOT_FOUND: it has not. */
static enum status
ask_provider(struct sending *s, bool *done_out, struct err *err)
{
    const struct outbound outbound = {.message_id = s->message_id,
                                      .external_chat_id = s->message.external_chat_id,
                                      .part = (unsigned)s->next};
    int64_t settled_us = s->since_us[s->next] + CHANNEL_SETTLES_US;
    int64_t now_us;
    enum status st = channel_find(s->channel, &outbound, s->since_us[s->next],
                                  lease_arena(s->lease), &s->delivery, err);

    now_us = clock_wall_us(s->gateway->config.clock);
    FAILPOINT("send.asked");
    if (st == ST_NOT_FOUND && now_us < settled_us)
        return wait_until(s, settled_us, done_out, err);
    if (st == ST_BUSY)
        return wait_until(
            s, now_us + (err->retry_after_ms > 0 ? err->retry_after_ms : BUSY_WAIT_MS) * US_PER_MS,
            done_out, err);
    return st;
}

/* The provider knew of it, or is asked and knows. settled_out: nothing is uncertain any more, and
 * goes_on says whether it is to be sent. */
static enum status
settle_by_asking(struct sending *s, bool *settled_out, bool *goes_on, bool *done_out,
                 struct err *err)
{
    enum status st = store_read(s->gateway->config.store, lease_scope(s->lease), "send_known",
                                find_known, s, err);
    bool is_known = st == ST_OK && s->delivery.external_message_id.len > 0;

    *settled_out = true;
    *goes_on = false;
    if (st == ST_OK && !is_known && (channel_caps(s->channel) & CHANNEL_FINDS) != 0) {
        st = ask_provider(s, done_out, err);
        if (st == ST_OK && *done_out)
            return ST_OK;
        is_known = st == ST_OK;
        *goes_on = st == ST_NOT_FOUND;
        if (*goes_on || (st != ST_OK && status_is_passing(st)))
            return *goes_on ? ST_OK : st;
        st = ST_OK; /* it may not be asked */
    }
    if (is_known) {
        sender_note_reconciled(s->message.source, s->message_id);
        return record_sent(s, done_out, err);
    }
    *settled_out = false;
    return st;
}

/* goes_on: nobody knows, and the part is to be sent again; or it is known not to have left. Else it
 * is dealt with: it has left, it is held, which ends the message's job, or asked for later. */
static enum status
resolve_uncertain(struct sending *s, const char *reason, bool *goes_on, bool *done_out,
                  struct err *err)
{
    bool resend = channel_resends_uncertain(s->channel);
    bool is_settled = false;
    enum status st = settle_by_asking(s, &is_settled, goes_on, done_out, err);

    if (st != ST_OK || is_settled)
        return st;
    note_uncertain(s, resend); /* before it is held: a kill between the two must not hide it */
    s->reason = reason;
    *goes_on = resend;
    return resend ? ST_OK : hold(s, done_out, err);
}

static enum status
call_provider(struct sending *s, struct err *err)
{
    struct arena *arena = lease_arena(s->lease);
    json_auto_t *metadata = NULL;
    json_auto_t *answers_metadata = NULL;
    struct outbound outbound = {
        .message_id = s->message_id,
        .external_chat_id = s->message.external_chat_id,
        .reply_to_external_id = s->next == 0 ? s->reply_to : STR_EMPTY,
        .answers_external_id = s->answers,
        .text = s->parts[s->next],
        .part = (unsigned)s->next,
        .part_count = (unsigned)s->part_count,
    };
    int64_t start_us = clock_mono_us(s->gateway->config.clock);
    bool grows = s->states[s->next] == PART_GROWING;
    enum status st = json_parse(s->message.metadata, &metadata, err);

    if (st == ST_OK && s->answers_metadata.len > 0)
        st = json_parse(s->answers_metadata, &answers_metadata, err);
    if (st != ST_OK)
        return err_wrap(err, "metadata of message %s", s->message_id.id.text);
    if (s->template != NULL)
        json_set(metadata, "template", json_incref(s->template));
    outbound.metadata = metadata;
    outbound.answers_metadata = answers_metadata;
    /* What grew is there, also where this fails. */
    s->delivery = (struct delivery){.external_message_id = grows ? s->grown : STR_EMPTY};
    s->since_us[s->next] = clock_wall_us(s->gateway->config.clock);
    st = media_attach(s->gateway, lease_scope(s->lease), s->channel, metadata, arena,
                      &outbound.files, err);
    if (st == ST_OK && grows)
        st = channel_edit(s->channel, &outbound, s->grown, err);
    else if (st == ST_OK)
        st = channel_send(s->channel, &outbound, arena, &s->delivery, err);
    gateway_keep_credentials(s->gateway, lease_scope(s->lease), s->channel);
    metric_observe(&send_seconds,
                   (double)(clock_mono_us(s->gateway->config.clock) - start_us) / 1e6,
                   s->message.source, str_from_c(status_name(st)), STR_EMPTY);
    METRIC_INC(&sent_total, s->message.source, str_from_c(status_name(st)));
    return st;
}

/* What the call says about the provider, beyond this message. */
static void
note_provider(struct sending *s, enum status st, const struct err *said)
{
    const struct gateway_config *config = &s->gateway->config;
    struct channel_id id = s->message.channel_id;
    struct breaker_change change;
    struct err err;

    if ((channel_caps(s->channel) & CHANNEL_LOCAL) != 0)
        return;
    change = breakers_note(s->gateway->breakers, id, s->message.source, st, said,
                           clock_mono_us(config->clock));
    if (!change.changed)
        return;
    if (change.state == BREAKER_OPEN)
        LOG(LOG_WARN, "send.breaker_opened", log_str("source", s->message.source),
            log_str("channel_id", ID_STR(id)), log_int("wait_ms", change.wait_ms));
    else
        LOG(LOG_INFO, "send.breaker_closed", log_str("source", s->message.source),
            log_str("channel_id", ID_STR(id)));
    if (breakers_tell(config, lease_scope(s->lease), id, change,
                      str_from_c(st == ST_OK ? "" : said->public_text), &err) != ST_OK)
        LOG_ERR(LOG_WARN, "send.breaker_untold", &err, log_str("channel_id", ID_STR(id)));
}

/* What a failure means beyond this message. */
static enum status
note_failure(struct sending *s, enum status failure, const struct err *failed, struct err *err)
{
    struct gateway *gateway = s->gateway;
    const struct tenant_scope *scope = lease_scope(s->lease);

    if (failure == ST_DENIED)
        return channel_set_status(gateway->config.tenants, scope, s->message.channel_id,
                                  STR("broken"), str_from_c(failed->public_text), err);
    return ST_OK;
}

static enum status
record_unreachable(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    enum status st = record_outcome(tx, s, err);

    /* In a private chat the chat is the person; elsewhere nothing matches. */
    if (st == ST_OK)
        st = conversation_set_reachable(tx, s->message.channel_id, s->message.external_chat_id,
                                        false, err);
    return st;
}

static enum status
settle_failure(struct sending *s, enum status failure, struct err *failed)
{
    bool passing = status_is_passing(failure);
    struct err err;
    enum status st;

    s->state = !passing ? "failed" : s->states[s->next] == PART_GROWING ? "growing" : "retry";
    s->reason = failed->public_text;
    st = run(s, "send_failed", STORE_DURABLE,
             failure == ST_NOT_FOUND ? record_unreachable : record_outcome, &err);
    if (st == ST_OK)
        st = note_failure(s, failure, failed, &err);
    if (st != ST_OK) {
        *failed = err;
        return st;
    }
    return failure;
}

/* The provider is left alone for a while, and the message waits without having been tried. */
static enum status
delay_if_broken(struct sending *s, bool *delayed_out, struct err *err)
{
    struct clock *clock = s->gateway->config.clock;
    int64_t wait_ms = 0;

    if ((channel_caps(s->channel) & CHANNEL_LOCAL) == 0)
        wait_ms = breakers_wait_ms(s->gateway->breakers, s->message.channel_id,
                                   str_eq_c(channel_record(s->channel)->status, "broken"),
                                   clock_mono_us(clock));
    *delayed_out = wait_ms > 0;
    if (wait_ms == 0)
        return ST_OK;
    METRIC_INC(&sent_total, s->message.source, STR("delayed"));
    s->postponed_to_us = clock_wall_us(clock) + wait_ms * US_PER_MS;
    return run(s, "send_delayed", STORE_DURABLE, record_delayed, err);
}

static enum status
postpone(struct sending *s, struct err *err)
{
    int64_t wait_ms = err->retry_after_ms > 0 ? err->retry_after_ms : BUSY_WAIT_MS;

    s->postponed_to_us = clock_wall_us(s->gateway->config.clock) + wait_ms * US_PER_MS;
    return run(s, "send_postponed", STORE_DURABLE,
               s->states[s->next] == PART_GROWING ? record_delayed : record_postponed, err);
}

/* Intent, unless the previous outcome carried it, and call. called_out: st is the provider's. */
static enum status
try_part(struct sending *s, bool *called_out, struct err *err)
{
    enum status st = ST_OK;

    *called_out = false;
    if (s->states[s->next] == PART_GROWING)
        st = ST_OK;
    else if (s->next == 0 || s->states[s->next - 1] == PART_SENT ||
             s->states[s->next] == PART_INTENT)
        st = run(s, "send_intent", STORE_DURABLE, begin, err);
    FAILPOINT("send.intent_committed");
    if (st == ST_OK)
        st = queue_lease_hold(s->lease, err);
    *called_out = st == ST_OK;
    if (st != ST_OK) {
        breakers_give_back(s->gateway->breakers, s->message.channel_id);
        return st;
    }
    st = call_provider(s, err);
    FAILPOINT("send.called");
    note_provider(s, st, err);
    return st;
}

/* Somebody took away what was shown of it, or it can no longer be changed: it is sent. */
static enum status
send_anew(struct sending *s, bool *called_out, struct err *err)
{
    s->states[s->next] = PART_NEW;
    return try_part(s, called_out, err);
}

/* Of what grew and whose id got lost. goes_on: it is to be made whole, or sent. */
static enum status
find_grown(struct sending *s, bool *goes_on_out, bool *done_out, struct err *err)
{
    enum status st = ST_NOT_FOUND;

    *goes_on_out = true;
    if ((channel_caps(s->channel) & CHANNEL_FINDS) != 0)
        st = ask_provider(s, done_out, err);
    if (st == ST_OK && *done_out)
        *goes_on_out = false;
    else if (st == ST_OK)
        s->grown = s->delivery.external_message_id;
    else if (st == ST_NOT_FOUND)
        s->states[s->next] = PART_NEW; /* nothing is there, or nothing that stays */
    else if (!status_is_passing(st)) {
        s->reason = "what was shown of it cannot be looked for";
        note_uncertain(s, channel_resends_uncertain(s->channel));
        s->states[s->next] = PART_NEW;
        if (channel_resends_uncertain(s->channel))
            return ST_OK;
        *goes_on_out = false;
        return hold(s, done_out, err);
    } else
        return st;
    return ST_OK;
}

/* One part: intent, call, outcome. done_out: the whole message is settled and the lease is done. */
static enum status
send_part(struct sending *s, bool *done_out, struct err *err)
{
    bool goes_on = true, called = false;
    enum status st = ST_OK;

    *done_out = false;
    if (s->states[s->next] == PART_GROWING && s->grown.len == 0) {
        st = find_grown(s, &goes_on, done_out, err);
        if (st != ST_OK || !goes_on)
            return st;
    }
    if (s->states[s->next] == PART_INTENT) {
        st = resolve_uncertain(s, "a process died while it was sent", &goes_on, done_out, err);
        if (st != ST_OK || !goes_on)
            return st;
    }
    st = delay_if_broken(s, done_out, err);
    if (st != ST_OK || *done_out)
        return st;
    st = try_part(s, &called, err);
    if (called && st == ST_CONFLICT && s->states[s->next] == PART_GROWING)
        st = send_anew(s, &called, err);
    if (!called)
        return st;
    if (st == ST_UNCERTAIN) {
        s->states[s->next] = PART_INTENT;
        st = resolve_uncertain(s, err->public_text, &goes_on, done_out, err);
        if (st != ST_OK || !goes_on)
            return st;
        st = err_set(err, ST_UNAVAILABLE, "the provider's answer did not come; sending again");
    }
    if (st == ST_BUSY) {
        *done_out = true;
        return postpone(s, err);
    }
    if (st != ST_OK)
        return settle_failure(s, st, err);
    return record_sent(s, done_out, err);
}

static enum status
send_all(struct sending *s, struct err *err)
{
    bool done = false;
    enum status st = ST_OK;

    if (s->template != NULL) {
        s->parts = &s->message.body;
        s->part_count = 1;
    } else {
        s->part_count =
            channel_split(s->channel, s->message.body, lease_arena(s->lease), &s->parts);
    }
    if (s->part_count > MAX_PARTS)
        return err_set(err, ST_TOO_LARGE, "the message has more than %d parts", MAX_PARTS);
    for (s->next = 0; st == ST_OK && !done && s->next < s->part_count; s->next++) {
        if (s->states[s->next] == PART_SENT)
            continue;
        s->reason = "held"; /* a late second job changes nothing */
        st = s->states[s->next] == PART_UNCERTAIN ? hold(s, &done, err) : send_part(s, &done, err);
    }
    if (st == ST_OK && !done) /* every part had left before, or there was nothing to say */
        st = run(s, "send_finished", STORE_DURABLE, record_finished, err);
    return st;
}

/* Nothing may be sent: said at the message, and to a person, who knows another way. */
static enum status
record_closed(struct store_tx *tx, void *arg, struct err *err)
{
    struct sending *s = arg;
    struct escalation_id escalation;
    enum status st = queue_lease_check(tx, s->lease, err);

    if (st == ST_OK)
        st = put_part(tx, s, 0, "failed", STR_EMPTY,
                      "more than 24 hours since the person wrote, and no window_template", err);
    if (st == ST_OK)
        st = message_set_delivery(tx, s->message_id, "failed", STR_EMPTY, err);
    if (st == ST_OK)
        st = conversation_set_status(tx, s->message.conversation_id, STATUS_FAILED, err);
    if (st == ST_OK)
        st = escalation_open(tx, s->message.conversation_id, (struct message_id){{""}},
                             "outside_window", s->message.body, s->now_us, &escalation, err);
    return st == ST_OK ? queue_lease_done(tx, s->lease, err) : st;
}

static enum status
give_to_person(struct sending *s, struct err *err)
{
    enum status st = run(s, "send_closed", STORE_DURABLE, record_closed, err);

    METRIC_INC(&sent_total, s->message.source, STR("outside_window"));
    if (st == ST_OK)
        live_publish(s->gateway->config.live, lease_scope(s->lease), STR("inbox"),
                     STR("waiting_for_person"),
                     arena_printf(lease_arena(s->lease), "{\"conversation_id\":\"%s\"}",
                                  s->message.conversation_id.id.text));
    return st;
}

/* A message that has begun to leave goes on as it began. */
static enum status
send_if_open(struct sending *s, struct err *err)
{
    enum window_verdict verdict = WINDOW_OPEN;
    enum status st = ST_OK;

    if (s->states[0] == PART_NEW)
        st = window_check(s->gateway, lease_scope(s->lease), s->channel, &s->message,
                          lease_arena(s->lease), &verdict, &s->template, err);
    if (st == ST_OK)
        st = verdict == WINDOW_CLOSED ? give_to_person(s, err) : send_all(s, err);
    json_decref(s->template);
    return st;
}

/* A provider that does not answer holds its channel's share of the senders, and no more. */
static enum status
send_in_turn(struct sending *s, struct err *err)
{
    struct slots *slots = s->gateway->slots;
    bool is_local = (channel_caps(s->channel) & CHANNEL_LOCAL) != 0;

    if (!is_local && (s->slot = slots_enter(slots, channel_record(s->channel))) == NULL) {
        METRIC_INC(&sent_total, s->message.source, STR("delayed"));
        s->postponed_to_us = clock_wall_us(s->gateway->config.clock) + SLOT_WAIT_US;
        return run(s, "send_delayed", STORE_RELAXED, record_delayed, err);
    }
    enum status st = send_if_open(s, err);

    slots_leave(slots, &s->slot);
    return st;
}

enum status
sender_deliver(struct lease *lease, void *context, struct err *err)
{
    struct sending s = {.gateway = context, .lease = lease};
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = lease_scope(lease);
    json_auto_t *payload = NULL;
    enum status st;

    st = json_parse(lease_job(lease)->payload, &payload, err);
    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "message_id"), &s.message_id, err);
    if (st == ST_OK)
        st = store_read(s.gateway->config.store, scope, "send_load", load, &s, err);
    if (st == ST_OK)
        st = channel_record_get(s.gateway->config.tenants, scope, s.message.channel_id, &record,
                                err);
    if (st == ST_OK && str_eq_c(record->status, "disabled"))
        st = err_set(err, ST_INVALID, "the channel is disabled: enable it, then replay");
    if (st == ST_OK)
        st = channel_acquire(s.gateway->config.channels, record, &s.channel, err);
    FAILPOINT("send.loaded");
    if (st == ST_OK)
        st = send_in_turn(&s, err);
    if (st == ST_OK)
        delivery_publish(s.gateway->config.live, scope, &s.reported, lease_arena(lease));
    channel_release(&s.channel);
    channel_record_unref(&record);
    return st == ST_OK ? ST_OK : err_wrap(err, "send");
}
