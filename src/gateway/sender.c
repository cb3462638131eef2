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
#include "gateway/breakers.h"
#include "gateway/ledger.h"
#include "gateway/window.h"
#include "text/json.h"

#define BUSY_WAIT_MS 1000 /* when the provider does not say how long */

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
    st = run(s, "send_outcome", STORE_DURABLE, ledger_outcome, err);
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
    enum status st = run(s, "send_held", STORE_DURABLE, ledger_held, err);
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
wait_until(struct sending *s, int64_t wall_us, bool *done_out, struct err *err)
{
    s->postponed_to_us = wall_us;
    *done_out = true;
    return run(s, "send_waits", STORE_DURABLE, ledger_delayed, err);
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
                                ledger_find_known, s, err);
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
settle_refused(struct sending *s, const char *reason, bool *done_out, struct err *err)
{
    enum status st;

    s->reason = reason;
    st = run(s, "send_window_closed", STORE_DURABLE, ledger_refused, err);
    FAILPOINT("send.window_closed");
    *done_out = true;
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
             failure == ST_NOT_FOUND ? ledger_unreachable : ledger_outcome, &err);
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
    return run(s, "send_delayed", STORE_DURABLE, ledger_delayed, err);
}

static enum status
postpone(struct sending *s, struct err *err)
{
    int64_t wait_ms = err->retry_after_ms > 0 ? err->retry_after_ms : BUSY_WAIT_MS;

    s->postponed_to_us = clock_wall_us(s->gateway->config.clock) + wait_ms * US_PER_MS;
    return run(s, "send_postponed", STORE_DURABLE,
               s->states[s->next] == PART_GROWING ? ledger_delayed : ledger_postponed, err);
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
        st = run(s, "send_intent", STORE_DURABLE, ledger_begin, err);
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
    struct err failed;
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
    if (st == ST_CONFLICT && (channel_caps(s->channel) & CHANNEL_HAS_WINDOW) != 0) {
        failed = *err;
        return settle_refused(s, failed.public_text, done_out, err);
    }
    if (st != ST_OK)
        return settle_failure(s, st, err);
    return record_sent(s, done_out, err);
}

/* What leaves: the text's parts; or a template, behind those of the text that it replaces. */
static enum status
list_parts(struct sending *s, struct err *err)
{
    bool takes = (channel_caps(s->channel) & CHANNEL_SENDS_TEMPLATES) != 0;
    struct arena *arena = lease_arena(s->lease);
    json_auto_t *metadata = NULL;
    size_t template_part = 0;
    enum status st = json_parse(s->message.metadata, &metadata, err);

    if (st != ST_OK)
        return err_wrap(err, "metadata of message %s", s->message_id.id.text);
    if (!takes || !window_template_part(metadata, &template_part)) {
        s->part_count = channel_split(s->channel, s->message.body, arena, &s->parts);
    } else {
        s->part_count = template_part + 1;
        s->next = template_part;
    }
    if (s->part_count > MAX_PARTS + (template_part > 0))
        return err_set(err, ST_TOO_LARGE, "the message has more than %d parts", MAX_PARTS);
    if (s->parts == NULL) {
        s->parts = ARENA_NEW_N(arena, struct str, s->part_count);
        s->parts[template_part] = s->message.body;
    }
    return ST_OK;
}

static enum status
send_all(struct sending *s, struct err *err)
{
    bool done = false;
    enum status st = list_parts(s, err);

    for (; st == ST_OK && !done && s->next < s->part_count; s->next++) {
        if (s->states[s->next] == PART_SENT)
            continue;
        s->reason = "held"; /* a late second job changes nothing */
        st = s->states[s->next] == PART_UNCERTAIN ? hold(s, &done, err) : send_part(s, &done, err);
    }
    if (st == ST_OK && !done) /* every part had left before, or there was nothing to say */
        st = run(s, "send_finished", STORE_DURABLE, ledger_finished, err);
    return st;
}

/* An answer that waited while a person answered in the provider's own app, where it is not to be
 * seen, does not leave behind theirs; unless a person resends it. */
static enum status
look_for_person(struct sending *s, struct err *err)
{
    if ((channel_caps(s->channel) & CHANNEL_ECHOES) == 0 || s->states[0] != PART_NEW ||
        s->message.answers_to_seq == 0 || str_eq_c(s->message.delivery, "failed"))
        return ST_OK;
    return store_read(s->gateway->config.store, lease_scope(s->lease), "send_overtaken",
                      ledger_find_overtaken, s, err);
}

/* A message that has begun to leave goes on as it began. */
static enum status
send_if_open(struct sending *s, struct err *err)
{
    enum window_verdict verdict = WINDOW_OPEN;
    enum status st = look_for_person(s, err);

    if (st == ST_OK && s->is_overtaken)
        return run(s, "send_overtaken", STORE_DURABLE, ledger_overtaken, err);
    if (st == ST_OK && s->states[0] == PART_NEW)
        st =
            window_check(s->gateway, lease_scope(s->lease), s->channel, &s->message, &verdict, err);
    if (st == ST_OK && verdict != WINDOW_OPEN) {
        s->reason = verdict == WINDOW_TEMPLATE
                        ? NULL
                        : "more than 24 hours since the person wrote, and no window_template";
        st = run(s, "send_closed", STORE_DURABLE, ledger_closed, err);
        FAILPOINT("send.window_closed");
        if (st == ST_OK)
            window_tell(s->gateway, lease_scope(s->lease), &s->message, s->replaced,
                        lease_arena(s->lease));
        if (st != ST_OK || !s->replaced)
            return st;
        s->window_closed = false;
    }
    st = st == ST_OK ? send_all(s, err) : st;
    if (st == ST_OK && s->window_closed)
        window_tell(s->gateway, lease_scope(s->lease), &s->message, s->replaced,
                    lease_arena(s->lease));
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
        return run(s, "send_delayed", STORE_RELAXED, ledger_delayed, err);
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
        st = store_read(s.gateway->config.store, scope, "send_load", ledger_load, &s, err);
    if (st == ST_OK && s.is_refused)
        return run(&s, "send_ended", STORE_DURABLE, ledger_ended, err);
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
