/*
 * receive.c - verified bytes to durable messages and jobs
 */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
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
    struct inbound_result result;
};

static enum status
queue_answer(struct store_tx *tx, struct recording *r, struct err *err)
{
    const struct inbound_result *at = &r->result;
    struct arena *arena = store_tx_arena(tx);
    struct str conversation = ID_STR(at->conversation_id);
    struct job_spec job = {
        .topic = at->hand_off_to_human ? QUEUE_TOPIC_HANDOFF : QUEUE_TOPIC_INBOUND,
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
    enum status st;

    if (r->item->kind == INBOUND_EVENT)
        return conversation_record_event(tx, r->record, r->item, r->now_us, err);
    st = conversation_record_inbound(tx, r->record, r->item, r->envelope, r->id, r->now_us,
                                     &r->result, err);
    if (st == ST_OK && (r->item->wants_answer || r->result.hand_off_to_human))
        st = queue_answer(tx, r, err);
    FAILPOINT("gateway.in_transaction");
    return st;
}

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

/* Keeps unreadable bytes; the parse error stays the answer, unless even that fails. */
static enum status
keep_aside(struct gateway *gateway, const struct tenant_scope *scope,
           const struct channel_record *record, const struct webhook *webhook, struct err *err)
{
    struct quarantining q = {record->id, str_from_c(err->detail), webhook->body,
                             clock_wall_us(gateway->config.clock)};
    struct err failure;

    LOG_ERR(LOG_WARN, "gateway.unreadable", err, log_str("source", record->source),
            log_str("channel_id", ID_STR(record->id)));
    if (store_run(gateway->config.store, scope, "gateway_quarantine", STORE_DURABLE, quarantine, &q,
                  &failure) != ST_OK) {
        *err = failure;
        return err_wrap(err, "keep unreadable webhook");
    }
    return err->code;
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

static enum status
receive_item(struct gateway *gateway, const struct tenant_scope *scope, struct recording *r,
             bool streams, struct arena *arena, struct gateway_result *result, struct err *err)
{
    enum status st = store_run(gateway->config.store, scope, "gateway_receive", STORE_DURABLE,
                               record_item, r, err);

    FAILPOINT("gateway.committed");
    if (st == ST_CONFLICT) {
        result->duplicates++;
        count(r->record, "duplicate");
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    if (r->item->kind == INBOUND_EVENT) {
        result->events++;
        if (streams && str_eq_c(r->item->event_kind, "new_conversation"))
            chat_publish_reset(gateway->config.live, scope, r->record->id,
                               r->item->external_chat_id, arena);
        count(r->record, str_eq_c(r->item->event_kind, "unknown") ? "unknown" : "event");
    } else {
        result->messages++;
        result->message_id = r->result.message_id;
        result->conversation_id = r->result.conversation_id;
        count(r->record, "message");
        if (streams)
            tell_chat(gateway, scope, r, arena);
    }
    submit_acknowledgement(gateway, r->record, r->item->acknowledge);
    return ST_OK;
}

static enum status
receive_batch(struct gateway *gateway, const struct tenant_scope *scope, struct channel *channel,
              const struct inbound_batch *batch, struct envelope_origin *origin,
              struct arena *arena, struct gateway_result *result, struct err *err)
{
    const struct channel_record *record = channel_record(channel);
    bool streams = (channel_caps(channel) & CHANNEL_STREAMS) != 0;
    enum status st = ST_OK;
    size_t i;

    for (i = 0; st == ST_OK && i < batch->count; i++)
        st = take_sender_limit(gateway, scope, record, &batch->items[i], arena, err);
    for (i = 0; st == ST_OK && i < batch->count; i++) {
        struct recording r = {.gateway = gateway, .record = record, .item = &batch->items[i]};
        struct buf envelope;

        r.id = ID_NEW(message_id);
        r.now_us = clock_wall_us(gateway->config.clock);
        r.burst_window_us = channel_burst_window_ms(channel) * US_PER_MS;
        origin->queued_us = r.now_us;
        buf_init(&envelope, ENVELOPE_MAX_BYTES);
        if (r.item->kind == INBOUND_MESSAGE)
            envelope_begin(&envelope, record, r.item, r.id, origin);
        st = buf_check(&envelope, err);
        r.envelope = buf_str(&envelope);
        if (st == ST_OK)
            st = receive_item(gateway, scope, &r, streams, arena, result, err);
        buf_deinit(&envelope);
    }
    return st;
}

enum status
gateway_receive(struct gateway *gateway, const struct tenant_scope *scope,
                const struct channel_record *record, const struct webhook *webhook,
                struct str trace_id, struct arena *arena, struct gateway_result *result_out,
                struct err *err)
{
    int64_t start_us = clock_mono_us(gateway->config.clock);
    struct envelope_origin origin = {.request_id = trace_id};
    struct inbound_batch batch = {.arena = arena};
    struct channel *channel = NULL;
    enum status st;

    *result_out = (struct gateway_result){.messages = 0};
    if (str_eq_c(record->status, "disabled")) /* refused: the provider goes on trying for a while */
        return err_set(err, ST_NOT_FOUND, "this channel is switched off");
    FAILPOINT("gateway.received");
    origin.received_us = clock_wall_us(gateway->config.clock);
    st = take_limits(gateway, scope, record, arena, err);
    if (st == ST_OK)
        st = channel_acquire(gateway->config.channels, record, &channel, err);
    if (st == ST_OK) {
        st = channel_parse(channel, webhook, arena, &batch, err);
        if (st == ST_INVALID)
            st = keep_aside(gateway, scope, record, webhook, err);
    }
    origin.validated_us = clock_wall_us(gateway->config.clock);
    if (st == ST_OK)
        st = receive_batch(gateway, scope, channel, &batch, &origin, arena, result_out, err);
    if (st != ST_OK)
        count(record, status_name(st));
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    metric_observe(&receive_seconds,
                   (double)(clock_mono_us(gateway->config.clock) - start_us) / 1e6, record->source,
                   STR_EMPTY, STR_EMPTY);
    return st;
}

/* --- HTTP --- */

typedef enum status (*admit)(struct tenants *tenants, struct str source, struct str named,
                             tenant_verify verify, void *arg, struct arena *arena,
                             const struct tenant_scope **scope_out,
                             const struct channel_record **record_out, struct err *err);

static void
handle(struct gateway *gateway, admit admit_by, struct str source, struct str named,
       struct http_request *req, struct http_response *resp)
{
    struct webhook webhook = {.body = req->body, .request = req};
    struct channel_verification verification = {gateway->config.channels, &webhook};
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct gateway_result result;
    struct err err = {.code = ST_OK};
    enum status st;

    st = admit_by(gateway->config.tenants, source, named, channel_verify, &verification, req->arena,
                  &scope, &record, &err);
    if (st == ST_DENIED)
        METRIC_INC(&received_total, source, STR("denied"));
    if (st == ST_OK)
        st = gateway_receive(gateway, scope, record, &webhook, req->trace_id, req->arena, &result,
                             &err);
    channel_record_unref(&record);
    if (st != ST_OK)
        http_respond_err(req, resp, &err);
    else
        http_respond_static(resp, 200, "application/json", STR("{\"ok\":true}"));
}

void
gateway_handle_webhook(struct gateway *gateway, struct http_request *req,
                       struct http_response *resp)
{
    handle(gateway, tenant_admit_webhook, http_request_param(req, "source"),
           http_request_param(req, "channel_id"), req, resp);
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
    handle(gateway, tenant_admit_account, source, account, req, resp);
}
