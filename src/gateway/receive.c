/*
 * receive.c - verified bytes to durable messages and jobs
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "conversation/delivery.h"
#include "conversation/envelope.h"
#include "conversation/view.h"
#include "gateway/gateway_private.h"
#include "net/http_problem.h"

/* A burst window is extended by each new message, up to this many times its length. */
#define BURST_EXTENSIONS 5
#define ENVELOPE_MAX_BYTES (64 * 1024)

static struct metric received_total = {
    .name = "parley_gateway_received_total",
    .help = "What webhooks and pollers brought, by source and result",
    .kind = METRIC_COUNTER,
    .labels = {"source", "result"},
};
static struct metric receive_seconds = {
    .name = "parley_gateway_receive_seconds",
    .help = "From verified bytes to durable",
    .kind = METRIC_HISTOGRAM,
    .labels = {"source"},
};

/* One item on its way into one transaction; the work sets result anew each time it runs. */
struct recording {
    struct gateway *gateway;
    const struct channel_record *record;
    const struct inbound *item;
    struct str envelope;
    struct message_id id;
    int64_t now_us, burst_window_us;
    bool has_media; /* attachments to be fetched */
    struct str content_type;
    bool reply_only; /* strangers are not answered */
    struct inbound_result result;
    struct delivery_change delivery;
};

static enum status
queue_answer(struct store_tx *tx, struct recording *r, struct err *err)
{
    const struct inbound_result *at = &r->result;
    struct arena *arena = store_tx_arena(tx);
    struct str conversation = ID_STR(at->conversation_id);
    struct job_spec job = {
        .topic = at->hand_off_to_human ? QUEUE_TOPIC_HANDOFF : QUEUE_TOPIC_INBOUND,
        .user_id = r->record->user_id,
        .lane = conversation,
        .dedup_key = conversation,
        .payload = arena_printf(arena, "{\"conversation_id\":\"%.*s\"}", STR_ARG(conversation)),
        .due_us = r->burst_window_us == 0 ? 0 : r->now_us + r->burst_window_us,
        .coalesce_max_us = 1 + r->burst_window_us * BURST_EXTENSIONS,
    };
    struct job_id job_id;

    return queue_put(r->gateway->config.queue, tx, &job, &job_id, err);
}

static enum status
record_item(struct store_tx *tx, void *arg, struct err *err)
{
    struct recording *r = arg;
    bool is_stranger = false;
    enum status st;

    if (r->item->delivery_state != DELIVERY_NONE) {
        st = conversation_record_delivery(tx, r->record, r->item, r->now_us, &r->delivery, err);
        if (st == ST_OK && !id_is_none(&r->delivery.resumed.id))
            st = sender_resume(r->gateway, tx, r->delivery.resumed, err);
        return st;
    }
    if (r->item->kind == INBOUND_EVENT)
        return conversation_record_event(tx, r->record, r->item, r->now_us, err);
    st = conversation_record_inbound(tx, r->record, r->item, r->envelope, r->id, r->now_us,
                                     &r->result, err);
    if (st == ST_OK && r->reply_only && r->item->wants_answer && !r->result.hand_off_to_human)
        st = reply_only_receive(r->gateway, tx, r->record, r->item, &r->result, r->now_us,
                                &is_stranger, err);
    if (st == ST_OK && !is_stranger && (r->item->wants_answer || r->result.hand_off_to_human))
        st = queue_answer(tx, r, err);
    if (st == ST_OK && r->has_media)
        st = media_queue(r->gateway, tx, r->id, r->record->user_id, r->content_type, err);
    FAILPOINT("gateway.in_transaction");
    return st;
}

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

struct acknowledgement {
    struct channel *channel; /* a reference of its own */
    char text[256];
};

static void
acknowledge(void *arg)
{
    struct acknowledgement *ack = arg;

    channel_acknowledge(ack->channel, str_from_c(ack->text));
    channel_release(&ack->channel);
    free(ack);
}

/* Lossy by contract: a full pool or a long text just leaves the button spinning a while. */
static void
submit_acknowledgement(struct gateway *gateway, const struct channel_record *record,
                       struct str text)
{
    struct acknowledgement *ack;
    struct err err;

    if (text.len == 0 || text.len >= sizeof(ack->text))
        return;
    ack = calloc(1, sizeof(*ack));
    if (ack == NULL)
        return;
    memcpy(ack->text, text.ptr, text.len);
    if (channel_acquire(gateway->config.channels, record, &ack->channel, &err) != ST_OK) {
        free(ack);
        return;
    }
    if (thread_pool_submit(gateway->acknowledgers, acknowledge, ack, &err) != ST_OK) {
        channel_release(&ack->channel);
        free(ack);
    }
}

static void
count(const struct channel_record *record, const char *result)
{
    METRIC_INC(&received_total, record->source, str_from_c(result));
}

/* Other windows of the same chat show what was written in this one. */
static void
tell_chat(struct gateway *gateway, const struct tenant_scope *scope, const struct recording *r,
          struct arena *arena)
{
    struct message message = {
        .id = r->result.message_id,
        .conversation_id = r->result.conversation_id,
        .seq = r->result.seq,
        .role = STR("user"),
        .source = r->record->source,
        .channel_id = r->record->id,
        .external_message_id = r->item->external_message_id,
        .external_chat_id = r->item->external_chat_id,
        .body = r->item->text,
        .metadata = STR("{}"),
        .created_at_us = r->now_us,
    };

    message_publish(gateway->config.live, scope, &message, arena);
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
                const struct channel_record *record, const struct webhook *webhook,
                struct str trace_id, struct arena *arena, struct err *err)
{
    enum status st;

    *r = (struct reception){
        .gateway = gateway,
        .scope = scope,
        .record = record,
        .arena = arena,
        .batch = {.arena = arena},
        .origin = {.request_id = trace_id, .received_us = clock_wall_us(gateway->config.clock)},
        .start_us = clock_mono_us(gateway->config.clock),
    };
    buf_init(&r->envelope, ENVELOPE_MAX_BYTES);
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

/* What record_item needs for the next item. */
static enum status
reception_prepare(struct reception *r, struct err *err)
{
    int64_t now_us = clock_wall_us(r->gateway->config.clock);
    struct recording *recording = &r->recording;

    *recording = (struct recording){
        .gateway = r->gateway,
        .record = r->record,
        .item = &r->batch.items[r->at],
        .id = ID_NEW(message_id),
        .now_us = now_us,
        .burst_window_us = channel_burst_window_ms(r->channel) * US_PER_MS,
    };
    recording->has_media = media_is_wanted(r->gateway, r->channel, recording->item);
    recording->reply_only = channel_is_reply_only(r->channel);
    r->origin.queued_us = now_us;
    buf_clear(&r->envelope);
    if (recording->item->kind == INBOUND_MESSAGE)
        envelope_begin(&r->envelope, &r->origin);
    recording->envelope = buf_str(&r->envelope);
    return buf_check(&r->envelope, err);
}

/* st is what became of its transaction. */
static enum status
reception_recorded(struct reception *r, enum status st)
{
    const struct inbound *item = r->recording.item;
    const struct inbound_result *recorded = &r->recording.result;
    bool streams = (channel_caps(r->channel) & CHANNEL_STREAMS) != 0;

    FAILPOINT("gateway.committed");
    if (st != ST_OK && st != ST_CONFLICT)
        return st;
    r->at++;
    if (st == ST_CONFLICT) {
        r->result.duplicates++;
        count(r->record, "duplicate");
        return ST_OK;
    }
    if (item->kind == INBOUND_EVENT) {
        r->result.events++;
        delivery_publish(r->gateway->config.live, r->scope, &r->recording.delivery, r->arena);
        if (streams && str_eq_c(item->event_kind, "new_conversation"))
            chat_publish_reset(r->gateway->config.live, r->scope, r->record->id,
                               item->external_chat_id, r->arena);
        count(r->record, str_eq_c(item->event_kind, "unknown") ? "unknown" : "event");
    } else {
        r->result.messages++;
        r->result.message_id = recorded->message_id;
        r->result.conversation_id = recorded->conversation_id;
        count(r->record, "message");
        if (streams)
            tell_chat(r->gateway, r->scope, &r->recording, r->arena);
    }
    submit_acknowledgement(r->gateway, r->record, item->acknowledge);
    return ST_OK;
}

static void
reception_end(struct reception *r, enum status st)
{
    if (st != ST_OK)
        count(r->record, status_name(st));
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
                const struct channel_record *record, const struct webhook *webhook,
                struct str trace_id, struct arena *arena, struct gateway_result *result_out,
                struct err *err)
{
    struct store *store = gateway->config.store;
    struct reception r;
    struct err failure;
    enum status st = reception_begin(&r, gateway, scope, record, webhook, trace_id, arena, err);

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
        st = store_run(store, scope, "gateway_receive", STORE_DURABLE, record_item, &r.recording,
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
       const struct channel *channel)
{
    if (st != ST_OK) {
        http_respond_err(req, resp, err);
        return;
    }
    struct webhook_reply accepted = channel_accepted(channel);
    http_respond_static(resp, (int)accepted.status, accepted.content_type, accepted.body);
}

static void
answer_handshake(struct http_response *resp, const struct channel_record *record,
                 const struct webhook_reply *reply)
{
    assert(record != NULL); /* who proves itself has been found */
    count(record, "handshake");
    http_respond(resp, (int)reply->status, reply->content_type, reply->body);
}

/* Everything of it may be gone afterwards. */
static void
answering_end(struct answering *a, enum status st, struct err *err)
{
    reception_end(&a->reception, st);
    answer(a->req, a->resp, err, st, a->reception.channel);
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
            store_submit(store, r->scope, "gateway_receive", STORE_DURABLE, record_item,
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
        METRIC_INC(&received_total, source, STR("denied"));
    if (st != ST_OK) {
        answer(req, resp, &err, st, NULL);
        return true;
    }
    if (a->verification.is_handshake) {
        answer_handshake(resp, record, &a->verification.reply);
        channel_record_unref(&record);
        return true;
    }
    http_defer(resp);
    http_request_on_end(req, answering_deinit, a);
    st = reception_begin(&a->reception, gateway, scope, record, &a->webhook, req->trace_id,
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

static void
receive_waiting(struct gateway *gateway, struct str source, struct str named, bool by_account,
                struct http_request *req, struct http_response *resp)
{
    struct webhook webhook = {.body = req->body, .request = req};
    struct channel_verification verification = {
        .registry = gateway->config.channels, .webhook = &webhook, .arena = req->arena};
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct channel *channel = NULL;
    struct gateway_result result;
    struct err err = {.code = ST_OK};
    enum status st = (by_account ? tenant_admit_account : tenant_admit_webhook)(
        gateway->config.tenants, source, named, channel_verify, &verification, req->arena, &scope,
        &record, &err);

    if (st == ST_DENIED)
        METRIC_INC(&received_total, source, STR("denied"));
    if (st == ST_OK && verification.is_handshake) {
        answer_handshake(resp, record, &verification.reply);
        channel_record_unref(&record);
        return;
    }
    if (st == ST_OK)
        st = gateway_receive(gateway, scope, record, &webhook, req->trace_id, req->arena, &result,
                             &err);
    if (st == ST_OK) /* what the answer says is the driver's */
        st = channel_acquire(gateway->config.channels, record, &channel, &err);
    answer(req, resp, &err, st, channel);
    channel_release(&channel);
    channel_record_unref(&record);
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

void
gateway_handle_shared(struct gateway *gateway, struct str source, struct http_request *req,
                      struct http_response *resp)
{
    struct str account = http_request_query(req, "account");
    struct err err;

    if (account.len == 0) {
        err_set(&err, ST_NOT_FOUND, "the address must name the account: ?account=...");
        http_respond_err(req, resp, &err);
        return;
    }
    receive(gateway, source, account, true, req, resp);
}
