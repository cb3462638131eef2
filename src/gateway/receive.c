/*
 * receive.c - verified bytes to durable messages and jobs
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "conversation/delivery.h"
#include "conversation/envelope.h"
#include "gateway/recording.h"
#include "net/http_problem.h"

#define ENVELOPE_MAX_BYTES (64 * 1024)
#define UNPROVEN_MAX 64 /* accounts that a stranger may make us look for with one request */

static struct metric receive_seconds = {
    .name = "parley_gateway_receive_seconds",
    .help = "From verified bytes to durable",
    .kind = METRIC_HISTOGRAM,
    .labels = {"source"},
};

static struct metric reports_total = {
    .name = "parley_gateway_reports_total",
    .help = "What providers told of messages that they had taken, by source and state",
    .kind = METRIC_COUNTER,
    .labels = {"source", "state"},
};

/* Unreadable bytes, kept for the operator. */
struct quarantining {
    struct channel_id channel_id;
    struct str reason, body;
    int64_t now_us;
};

static enum status
quarantine(struct store_tx *tx, void *arg, struct err *err)
{
    const struct quarantining *q = arg;

    return conversation_quarantine(tx, q->channel_id, q->reason, q->body, q->now_us, err);
}

static enum status
take_limits(struct gateway *gateway, const struct tenant_scope *scope,
            const struct channel_record *record, struct arena *arena, struct err *err)
{
    const struct gateway_config *config = &gateway->config;
    enum status st = ST_OK;

    if (config->organization_per_minute > 0)
        st = tenant_limit_take(config->tenants, scope, STR("inbound"),
                               config->organization_per_minute, config->organization_per_minute,
                               err);
    if (st == ST_OK && config->channel_per_minute > 0)
        st = tenant_limit_take(config->tenants, scope,
                               arena_printf(arena, "channel:%s", record->id.id.text),
                               config->channel_per_minute, config->channel_per_minute, err);
    return st;
}

/* Asking for a token may mean waiting for a server, which an epoll thread must not. */
static bool
limits_may_block(const struct gateway *gateway)
{
    const struct gateway_config *config = &gateway->config;

    return tenant_limits_may_block(config->tenants) &&
           (config->organization_per_minute > 0 || config->channel_per_minute > 0 ||
            config->sender_per_minute > 0);
}

static enum status
take_sender_limit(struct gateway *gateway, const struct tenant_scope *scope,
                  const struct channel_record *record, const struct inbound *item,
                  struct arena *arena, struct err *err)
{
    unsigned limit = gateway->config.sender_per_minute;

    if (limit == 0 || item->kind != INBOUND_MESSAGE)
        return ST_OK;
    return tenant_limit_take(
        gateway->config.tenants, scope,
        arena_printf(arena, "sender:%s:%.*s", record->id.id.text, STR_ARG(item->external_user_id)),
        limit, limit, err);
}

/* --- one webhook on its way --- */

/* Item after item, each in a transaction of its own; the caller runs it and waits or does not. */
struct reception {
    struct gateway *gateway;
    const struct tenant_scope *scope;
    const struct channel_record *record;
    struct channel *channel;
    struct arena *arena;
    struct inbound_batch batch;
    size_t at;       /* of the item that is next, or being recorded */
    bool in_turn;    /* behind what waits in the intake */
    bool unreadable; /* quarantining is to be kept */
    struct envelope_origin origin;
    struct recording recording;
    struct quarantining quarantining;
    struct buf envelope;
    int64_t start_us;
    struct gateway_result result;
};

static enum status
parse(struct reception *r, const struct webhook *webhook, struct err *err)
{
    enum status st = channel_parse(r->channel, webhook, r->arena, &r->batch, err);

    if (st != ST_INVALID)
        return st;
    LOG_ERR(LOG_WARN, "gateway.unreadable", err, log_str("source", r->record->source),
            log_str("channel_id", ID_STR(r->record->id)));
    r->unreadable = true;
    r->quarantining =
        (struct quarantining){r->record->id, arena_str(r->arena, str_from_c(err->detail)),
                              webhook->body, clock_wall_us(r->gateway->config.clock)};
    return st;
}

/* Blocks only in limits that are shared: see limits_may_block. Whatever comes of it, reception_end
 * follows. */
static enum status
reception_begin(struct reception *r, struct gateway *gateway, const struct tenant_scope *scope,
                const struct channel_record *record, const struct webhook *webhook, bool in_turn,
                struct str trace_id, struct arena *arena, struct err *err)
{
    enum status st;

    *r = (struct reception){
        .gateway = gateway,
        /* An e-mail's attachments are in its bytes, which the intake does not keep. */
        .in_turn = in_turn && !media_may_block(gateway, record->source),
        .scope = scope,
        .record = record,
        .arena = arena,
        .batch = {.arena = arena},
        .origin = {.request_id = trace_id, .received_us = clock_wall_us(gateway->config.clock)},
        .start_us = clock_mono_us(gateway->config.clock),
    };
    buf_init(&r->envelope, ENVELOPE_MAX_BYTES);
    atomic_fetch_add_explicit(&gateway->receiving, 1, memory_order_relaxed);
    if (str_eq_c(record->status, "disabled")) /* refused: the provider goes on trying for a while */
        return err_set(err, ST_NOT_FOUND, "this channel is switched off");
    FAILPOINT("gateway.received");
    st = take_limits(gateway, scope, record, arena, err);
    if (st == ST_OK)
        st = channel_acquire(gateway->config.channels, record, &r->channel, err);
    if (st == ST_OK)
        st = parse(r, webhook, err);
    r->origin.validated_us = clock_wall_us(gateway->config.clock);
    for (size_t i = 0; st == ST_OK && i < r->batch.count; i++)
        st = take_sender_limit(gateway, scope, record, &r->batch.items[i], arena, err);
    return st;
}

static bool
reception_has_more(const struct reception *r)
{
    return r->at < r->batch.count;
}

/* What recording_run needs for the next item. */
static enum status
reception_prepare(struct reception *r, struct err *err)
{
    struct gateway *gateway = r->gateway;
    const struct inbound *item = &r->batch.items[r->at];

    r->origin.queued_us = clock_wall_us(gateway->config.clock);
    buf_clear(&r->envelope);
    if (item->kind == INBOUND_MESSAGE)
        envelope_begin(&r->envelope, &r->origin);
    recording_init(&r->recording, gateway, r->record, r->channel, item, buf_str(&r->envelope),
                   r->arena);
    if (r->in_turn) {
        if (gateway_is_flooded(gateway))
            gateway_note_flood(gateway);
        r->recording.turn = gateway_was_just_flooded(gateway) ? RECORD_LATER : RECORD_IN_TURN;
    }
    return buf_check(&r->envelope, err);
}

/* st is what became of its transaction. */
static enum status
reception_recorded(struct reception *r, enum status st)
{
    const struct recording *recorded = &r->recording;

    FAILPOINT("gateway.committed");
    if (st != ST_OK && st != ST_CONFLICT)
        return st;
    r->at++;
    if (st == ST_CONFLICT) {
        r->result.duplicates++;
        recording_count(r->record->source, "duplicate");
    } else if (recorded->waits) {
        recording_count(r->record->source, "put_aside");
    } else {
        if (recorded->item->kind == INBOUND_EVENT) {
            r->result.events++;
            if (recorded->item->delivery_state != DELIVERY_NONE)
                METRIC_INC(&reports_total, r->record->source,
                           delivery_state_name(recorded->item->delivery_state));
        } else {
            r->result.messages++;
            r->result.message_id = recorded->result.message_id;
            r->result.conversation_id = recorded->result.conversation_id;
        }
        recording_tell(recorded, r->scope, r->arena);
    }
    return ST_OK;
}

static void
reception_end(struct reception *r, enum status st)
{
    atomic_fetch_sub_explicit(&r->gateway->receiving, 1, memory_order_relaxed);
    if (st != ST_OK)
        recording_count(r->record->source, status_name(st));
    metric_observe(&receive_seconds,
                   (double)(clock_mono_us(r->gateway->config.clock) - r->start_us) / 1e6,
                   r->record->source, STR_EMPTY, STR_EMPTY);
}

static void
reception_deinit(struct reception *r)
{
    buf_deinit(&r->envelope);
    inbound_batch_deinit(&r->batch);
    channel_release(&r->channel);
}

/* What media_fetch will read the attachments from. */
static enum status
keep_media(struct reception *r, const struct webhook *webhook, struct err *err)
{
    if (webhook->request != NULL)
        r->recording.content_type = http_request_header(webhook->request, "Content-Type");
    return media_keep(r->gateway, r->scope, r->channel, r->recording.id, webhook->body, err);
}

/* Waiting for each. The parse error stays the answer, unless even keeping the bytes fails. */
enum status
gateway_receive(struct gateway *gateway, const struct tenant_scope *scope,
                const struct channel_record *record, const struct webhook *webhook, bool in_turn,
                struct str trace_id, struct arena *arena, struct gateway_result *result_out,
                struct err *err)
{
    struct store *store = gateway->config.store;
    struct reception r;
    struct err failure;
    enum status st =
        reception_begin(&r, gateway, scope, record, webhook, in_turn, trace_id, arena, err);

    if (r.unreadable && store_run(store, scope, "gateway_quarantine", STORE_DURABLE, quarantine,
                                  &r.quarantining, &failure) != ST_OK) {
        *err = failure;
        st = err_wrap(err, "keep unreadable webhook");
    }
    while (st == ST_OK && reception_has_more(&r)) {
        st = reception_prepare(&r, err);
        if (st == ST_OK && r.recording.has_media)
            st = keep_media(&r, webhook, err);
        if (st != ST_OK)
            break;
        st = store_run(store, scope, "gateway_receive", STORE_DURABLE, recording_run, &r.recording,
                       err);
        if (st == ST_CONFLICT && r.recording.has_media)
            media_forget(gateway, scope, r.channel, r.recording.id);
        st = reception_recorded(&r, st);
    }
    *result_out = r.result;
    reception_end(&r, st);
    reception_deinit(&r);
    return st;
}

/* --- HTTP --- */

/* A reception that nobody waits for: its transactions call back, and the last answers. */
struct answering {
    struct reception reception;
    struct webhook webhook;
    struct channel_verification verification;
    struct http_request *req;
    struct http_response *resp;
    struct err parse_err;
};

static void
answer(struct http_request *req, struct http_response *resp, struct err *err, enum status st,
       const struct webhook_reply *reply)
{
    if (st != ST_OK)
        http_respond_err(req, resp, err);
    else
        http_respond(resp, (int)reply->status, reply->content_type, reply->body);
}

/* Everything of it may be gone afterwards. */
static void
answering_end(struct answering *a, enum status st, struct err *err)
{
    struct webhook_reply reply = {.status = 0};

    reception_end(&a->reception, st);
    if (st == ST_OK)
        reply = channel_accepted(a->reception.channel);
    answer(a->req, a->resp, err, st, &reply);
    http_finish(a->resp);
}

static void
answering_deinit(void *context)
{
    struct answering *a = context;

    reception_deinit(&a->reception);
    channel_record_unref(&a->reception.record);
}

static void go_on(struct answering *a, enum status st, struct err *err);

static void
on_recorded(enum status st, struct err *err, void *context)
{
    struct answering *a = context;

    log_context_set(a->req->trace_id, STR_EMPTY);
    go_on(a, reception_recorded(&a->reception, st), err);
    log_context_clear();
}

static void
on_quarantined(enum status st, struct err *err, void *context)
{
    struct answering *a = context;

    log_context_set(a->req->trace_id, STR_EMPTY);
    if (st == ST_OK)
        answering_end(a, a->parse_err.code, &a->parse_err);
    else
        answering_end(a, err_wrap(err, "keep unreadable webhook"), err);
    log_context_clear();
}

static void
go_on(struct answering *a, enum status st, struct err *err)
{
    struct reception *r = &a->reception;
    struct store *store = r->gateway->config.store;

    if (st == ST_OK && reception_has_more(r)) {
        st = reception_prepare(r, err);
        if (st == ST_OK) {
            store_submit(store, r->scope, "gateway_receive", STORE_DURABLE, recording_run,
                         &r->recording, r->arena, on_recorded, a);
            return;
        }
    }
    answering_end(a, st, err);
}

/* Never blocks. False: the channel has to be looked up first, and nothing was done. */
static bool
receive_at_once(struct gateway *gateway, struct str source, struct str named, bool by_account,
                struct http_request *req, struct http_response *resp)
{
    struct answering *a = ARENA_NEW(req->arena, struct answering);
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct err err = {.code = ST_OK};
    enum status st;

    a->webhook = (struct webhook){.body = req->body, .request = req};
    a->verification = (struct channel_verification){
        .registry = gateway->config.channels, .webhook = &a->webhook, .arena = req->arena};
    a->req = req;
    a->resp = resp;
    st = tenant_admit_known(gateway->config.tenants, source, named, by_account, channel_verify,
                            &a->verification, req->arena, &scope, &record, &err);
    if (st == ST_BUSY)
        return false;
    if (st == ST_DENIED)
        recording_count(source, "denied");
    if (st != ST_OK) {
        answer(req, resp, &err, st, NULL);
        return true;
    }
    if (a->verification.is_handshake) {
        recording_count(source, "handshake");
        answer(req, resp, &err, st, &a->verification.reply);
        channel_record_unref(&record);
        return true;
    }
    http_defer(resp);
    http_request_on_end(req, answering_deinit, a);
    st = reception_begin(&a->reception, gateway, scope, record, &a->webhook, true, req->trace_id,
                         req->arena, &err);
    if (a->reception.unreadable) {
        a->parse_err = err;
        store_submit(gateway->config.store, scope, "gateway_quarantine", STORE_DURABLE, quarantine,
                     &a->reception.quarantining, req->arena, on_quarantined, a);
    } else {
        go_on(a, st, &err);
    }
    return true;
}

/* One account's share of a webhook, waiting for it; the whole request is to prove it. */
static enum status
receive_share(struct gateway *gateway, struct str source, const struct channel_share *share,
              bool by_account, struct http_request *req, struct webhook_reply *reply_out,
              struct err *err)
{
    const struct webhook whole = {.body = req->body, .request = req};
    const struct webhook own = {.body = share->body, .request = req};
    struct channel_verification verification = {
        .registry = gateway->config.channels, .webhook = &whole, .arena = req->arena};
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct channel *channel = NULL;
    struct gateway_result result;
    enum status st = (by_account ? tenant_admit_account : tenant_admit_webhook)(
        gateway->config.tenants, source, share->account, channel_verify, &verification, req->arena,
        &scope, &record, err);

    if (st == ST_DENIED)
        recording_count(source, "denied");
    if (st == ST_OK && verification.is_handshake) {
        recording_count(source, "handshake");
        *reply_out = verification.reply;
    } else if (st == ST_OK) {
        st = gateway_receive(gateway, scope, record, &own, true, req->trace_id, req->arena, &result,
                             err);
        if (st == ST_OK) /* what the answer says is the driver's */
            st = channel_acquire(gateway->config.channels, record, &channel, err);
        if (st == ST_OK)
            *reply_out = channel_accepted(channel);
    }
    channel_release(&channel);
    channel_record_unref(&record);
    return st;
}

static void
receive_waiting(struct gateway *gateway, struct str source, struct str named, bool by_account,
                struct http_request *req, struct http_response *resp)
{
    const struct channel_share whole = {named, req->body};
    struct webhook_reply reply = {.status = 0};
    struct err err;
    enum status st = receive_share(gateway, source, &whole, by_account, req, &reply, &err);

    answer(req, resp, &err, st, &reply);
}

static void
receive(struct gateway *gateway, struct str source, struct str named, bool by_account,
        struct http_request *req, struct http_response *resp)
{
    if (req->may_block)
        receive_waiting(gateway, source, named, by_account, req, resp);
    else if (limits_may_block(gateway) || media_may_block(gateway, source) ||
             !receive_at_once(gateway, source, named, by_account, req, resp))
        http_need_worker(resp);
}

void
gateway_handle_webhook(struct gateway *gateway, struct str source, struct http_request *req,
                       struct http_response *resp)
{
    receive(gateway, source, http_request_param(req, "channel_id"), false, req, resp);
}

/* Of a webhook for several accounts: what its provider is told. Whose account is not connected, or
 * not proven by this webhook, is nobody's here; another failure makes the provider come again, and
 * what was recorded is then known. */
static bool
is_worse(enum status st, enum status than)
{
    static const enum status order[] = {ST_NOT_FOUND, ST_DENIED, ST_OK};
    size_t count = sizeof order / sizeof order[0], a = 0, b = 0;

    while (a < count && order[a] != st)
        a++;
    while (b < count && order[b] != than)
        b++;
    return a > b;
}

static void
receive_shares(struct gateway *gateway, struct str source, const struct channel_share *shares,
               size_t count, struct http_request *req, struct http_response *resp)
{
    struct webhook_reply reply = {.status = 0};
    enum status st = ST_NOT_FOUND;
    struct err err;
    size_t unproven = 0;
    bool is_proven = false;

    err_set(&err, ST_NOT_FOUND, "no such channel");
    for (size_t i = 0; i < count && unproven < UNPROVEN_MAX; i++) {
        struct err failure;
        enum status one = receive_share(gateway, source, &shares[i], true, req, &reply, &failure);

        is_proven |= one != ST_NOT_FOUND && one != ST_DENIED;
        unproven += is_proven ? 0 : 1;
        if (is_worse(one, st)) {
            st = one;
            err = failure;
        }
    }
    answer(req, resp, &err, st, &reply);
}

void
gateway_handle_shared(struct gateway *gateway, struct str source, struct http_request *req,
                      struct http_response *resp)
{
    const struct webhook webhook = {.body = req->body, .request = req};
    struct str account = http_request_query(req, "account");
    struct channel_share *shares = NULL;
    size_t count = 0;
    struct err err;
    enum status st = ST_OK;

    if (account.len > 0) {
        receive(gateway, source, account, true, req, resp);
        return;
    }
    st =
        channel_sort(gateway->config.channels, source, &webhook, req->arena, &shares, &count, &err);
    if (st == ST_OK && count == 0)
        st = err_set(&err, ST_NOT_FOUND,
                     "neither the address nor what came names an account: ?account=...");
    if (st != ST_OK)
        http_respond_err(req, resp, &err);
    else if (count == 1 && shares[0].body.ptr == req->body.ptr)
        receive(gateway, source, shares[0].account, true, req, resp);
    else if (req->may_block)
        receive_shares(gateway, source, shares, count, req, resp);
    else
        http_need_worker(resp);
}
