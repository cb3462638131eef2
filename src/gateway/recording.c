/*
 * recording.c - what one message or event needs, and whom it is told to
 */
#include "gateway/recording.h"

#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "channel/inbound_bytes.h"
#include "conversation/intake.h"
#include "conversation/view.h"
#include "gateway/window.h"

/* A burst window is extended by each new message, up to this many times its length. */
#define BURST_EXTENSIONS 5
/* One job an organization, for all that waits. */
#define INTAKE_LANE "intake"
#define INTAKE_MAX_ATTEMPTS 1000
/* A deletion whose message is not here: how soon it is looked for, and how old it may be then. */
#define SWEEP_AFTER_US US_PER_S
#define SWEEP_BACK_US (60 * US_PER_S)

static struct metric received_total = {
    .name = "parley_gateway_received_total",
    .help = "What webhooks and pollers brought, by source and result",
    .kind = METRIC_COUNTER,
    .labels = {"source", "result"},
};

void
recording_count(struct str source, const char *result)
{
    METRIC_INC(&received_total, source, str_from_c(result));
}

void
recording_init(struct recording *r, struct gateway *gateway, const struct channel_record *record,
               const struct channel *channel, const struct inbound *item, struct str envelope,
               struct arena *arena)
{
    *r = (struct recording){
        .gateway = gateway,
        .record = record,
        .item = item,
        .envelope = envelope,
        .id = ID_NEW(message_id),
        .now_us = clock_wall_us(gateway->config.clock),
        .burst_window_us = channel_burst_window_ms(channel) * US_PER_MS,
        .streams = (channel_caps(channel) & CHANNEL_STREAMS) != 0,
        .has_media = media_is_wanted(gateway, channel, item),
        .reply_only = channel_is_reply_only(channel),
        .arena = arena,
    };
    if (item->external_chat_id.len > 0) /* an event may name none */
        r->lane = str_hash(item->external_chat_id) ^ 3 * str_hash(ID_STR(record->id));
}

/* --- in the transaction --- */

/* What a chat brought first is done first, also when it waits for an answer in its batch. */
static enum status
await_lane(struct store_tx *tx, const struct recording *r, struct err *err)
{
    enum { ACTS, IS_KEPT, ASKS_FOR_KNOWN } step = ACTS;

    if (r->turn == RECORD_LATER)
        step = IS_KEPT;
    else if (r->item->kind == INBOUND_MESSAGE && !r->item->starts_new_conversation)
        step = ASKS_FOR_KNOWN;
    return store_await_lane(tx, r->lane, step, err);
}

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
put_aside(struct store_tx *tx, struct recording *r, struct err *err)
{
    struct intake_item item = {
        .id = r->id,
        .channel_id = r->record->id,
        .envelope = r->envelope.ptr == NULL ? STR("") : r->envelope,
        .accepted_at_us = r->now_us,
    };
    const struct job_spec job = {
        .topic = QUEUE_TOPIC_INTAKE,
        .lane = STR(INTAKE_LANE),
        .dedup_key = STR(INTAKE_LANE),
        .payload = STR("{}"),
        .coalesce_max_us = 1,
        .max_attempts = INTAKE_MAX_ATTEMPTS,
    };
    struct job_id job_id;
    bool is_first;
    enum status st;

    if (r->packed.ptr == NULL)
        r->packed = inbound_pack(r->item, r->arena);
    item.item = r->packed;
    st = intake_put(tx, &item, &is_first, err);
    r->waits = true;
    if (st != ST_OK || !is_first)
        return st;
    return queue_put(r->gateway->config.queue, tx, &job, &job_id, err);
}

/* The provider took the message, and says now that the person wrote too long ago. */
static enum status
close_window(struct store_tx *tx, struct recording *r, struct err *err)
{
    struct message_id id = r->delivery.window_closed;
    struct message *message = &r->closed;
    enum status st =
        window_close(tx, r->record, id, WINDOW_BY_PROVIDER, r->now_us, &r->replaced, err);

    if (st == ST_OK)
        st = message_get(tx, id, r->arena, message, err);
    if (st != ST_OK)
        return st;
    r->delivery.message_id = id;
    r->delivery.conversation_id = message->conversation_id;
    r->delivery.delivery = r->replaced ? "queued" : "failed";
    if (!r->replaced)
        return ST_OK;
    st = gateway_queue_outbound(r->gateway, tx, id, message->channel_id, message->external_chat_id,
                                err);
    return st == ST_CONFLICT ? ST_OK : st; /* its job waits already */
}

/* Whoever answers in the provider's own app has the conversation. */
static enum status
record_echo(struct store_tx *tx, struct recording *r, struct err *err)
{
    bool is_person = false;
    enum status st =
        conversation_record_echo(tx, r->record, r->item, r->id, channel_is_taken_by_echo(r->record),
                                 r->now_us, &is_person, &r->result, err);

    if (st == ST_OK && is_person && r->has_media)
        st = media_queue(r->gateway, tx, r->id, r->record->user_id, r->content_type, err);
    return st;
}

/* The message may be on its way through another process. */
static enum status
queue_sweep_of_deletions(struct store_tx *tx, const struct recording *r, struct err *err)
{
    const struct job_spec job = {
        .topic = QUEUE_TOPIC_UPKEEP,
        .dedup_key = STR("deletions"),
        .payload = STR("{}"),
        .due_us = r->now_us + SWEEP_AFTER_US,
        .coalesce_max_us = SWEEP_AFTER_US,
    };
    struct job_id job_id;

    return queue_put(r->gateway->config.queue, tx, &job, &job_id, err);
}

static enum status
record_deletion(struct store_tx *tx, struct recording *r, struct err *err)
{
    enum status st =
        conversation_record_deletion(tx, r->record, r->item, r->now_us, &r->deletion, err);

    if (st == ST_OK && id_is_none(&r->deletion.message_id.id) && !r->deletion.is_refused)
        st = queue_sweep_of_deletions(tx, r, err);
    return st == ST_OK ? media_queue_removal(r->gateway, tx, &r->deletion, err) : st;
}

static enum status
record_event(struct store_tx *tx, struct recording *r, struct err *err)
{
    enum status st = ST_OK;

    if (r->turn == RECORD_IN_TURN)
        st = intake_any(tx, &r->result.must_wait, err);
    if (st != ST_OK || r->result.must_wait)
        return st;
    if (r->item->delivery_state != DELIVERY_NONE) {
        st = conversation_record_delivery(tx, r->record, r->item, r->now_us, &r->delivery, err);
        if (st == ST_OK && !id_is_none(&r->delivery.resumed.id))
            st = sender_resume(r->gateway, tx, r->delivery.resumed, err);
        if (st == ST_OK && !id_is_none(&r->delivery.window_closed.id))
            st = close_window(tx, r, err);
        return st;
    }
    if (str_eq_c(r->item->event_kind, "deletion"))
        return record_deletion(tx, r, err);
    if (str_eq_c(r->item->event_kind, "echo"))
        return record_echo(tx, r, err);
    return conversation_record_event(tx, r->record, r->item, r->now_us, err);
}

static enum status
record_message(struct store_tx *tx, struct recording *r, struct err *err)
{
    bool is_stranger = false;
    enum status st =
        conversation_record_inbound(tx, r->record, r->item, r->envelope, r->id, r->now_us,
                                    r->turn == RECORD_IN_TURN, &r->result, err);

    if (st != ST_OK || r->result.must_wait)
        return st;
    if (r->reply_only && r->item->wants_answer && !r->result.hand_off_to_human)
        st = reply_only_receive(r->gateway, tx, r->record, r->item, &r->result, r->now_us,
                                &is_stranger, err);
    if (st == ST_OK && !is_stranger && (r->item->wants_answer || r->result.hand_off_to_human))
        st = queue_answer(tx, r, err);
    if (st == ST_OK && r->has_media)
        st = media_queue(r->gateway, tx, r->id, r->record->user_id, r->content_type, err);
    return st;
}

enum status
recording_run(struct store_tx *tx, void *arg, struct err *err)
{
    struct recording *r = arg;
    enum status st = await_lane(tx, r, err);

    r->waits = false;
    r->result = (struct inbound_result){.seq = 0};
    if (st != ST_OK)
        return st;
    if (r->turn == RECORD_LATER)
        st = put_aside(tx, r, err);
    else if (r->item->kind == INBOUND_EVENT)
        st = record_event(tx, r, err);
    else
        st = record_message(tx, r, err);
    if (st == ST_OK && r->result.must_wait)
        st = put_aside(tx, r, err);
    FAILPOINT("gateway.in_transaction");
    return st;
}

struct early_deletions {
    struct gateway *gateway;
    int64_t since_us;
    struct deletion *deletions;
    size_t count;
};

static enum status
apply_early(struct store_tx *tx, void *arg, struct err *err)
{
    struct early_deletions *early = arg;
    enum status st =
        deletion_apply_early(tx, early->since_us, early->deletions, &early->count, err);

    for (size_t i = 0; st == ST_OK && i < early->count; i++)
        st = media_queue_removal(early->gateway, tx, &early->deletions[i], err);
    return st;
}

static enum status
apply_deletions(struct gateway *gateway, const struct tenant_scope *scope, int64_t since_us,
                struct err *err)
{
    struct deletion deletions[DELETIONS_AT_ONCE];
    struct early_deletions early = {
        .gateway = gateway, .since_us = since_us, .deletions = deletions};
    struct arena *arena = arena_create((size_t)64 * 1024);
    enum status st;

    do {
        st = store_run(gateway->config.store, scope, "deletions_apply", STORE_DURABLE, apply_early,
                       &early, err);
        for (size_t i = 0; st == ST_OK && i < early.count; i++)
            deletion_publish(gateway->config.live, scope, &deletions[i], arena);
        arena_reset(arena);
    } while (st == ST_OK && early.count == DELETIONS_AT_ONCE);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "deletions that came before their message");
}

enum status
gateway_apply_deletions(struct gateway *gateway, const struct tenant_scope *scope, struct err *err)
{
    return apply_deletions(gateway, scope, 0, err);
}

static enum status
end_sweep(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, arg, err);
}

enum status
deletions_sweep(struct lease *lease, void *context, struct err *err)
{
    struct gateway *gateway = context;
    const struct tenant_scope *scope = lease_scope(lease);
    enum status st =
        apply_deletions(gateway, scope, clock_wall_us(gateway->config.clock) - SWEEP_BACK_US, err);

    return st == ST_OK ? store_run(gateway->config.store, scope, "deletions_end", STORE_RELAXED,
                                   end_sweep, lease, err)
                       : st;
}

/* --- afterwards --- */

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

/* Other windows of the same chat show what was written in this one. */
static void
tell_chat(const struct recording *r, const struct tenant_scope *scope, struct arena *arena)
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

    message_publish(r->gateway->config.live, scope, &message, arena);
}

void
recording_tell(const struct recording *r, const struct tenant_scope *scope, struct arena *arena)
{
    struct live_hub *live = r->gateway->config.live;
    const struct inbound *item = r->item;

    if (item->kind == INBOUND_EVENT) {
        delivery_publish(live, scope, &r->delivery, arena);
        deletion_publish(live, scope, &r->deletion, arena);
        if (!id_is_none(&r->delivery.window_closed.id))
            window_tell(r->gateway, scope, &r->closed, r->replaced, arena);
        if (r->streams && str_eq_c(item->event_kind, "new_conversation"))
            chat_publish_reset(live, scope, r->record->id, item->external_chat_id, arena);
        recording_count(r->record->source,
                        str_eq_c(item->event_kind, "unknown") ? "unknown" : "event");
    } else {
        recording_count(r->record->source, "message");
        if (r->streams)
            tell_chat(r, scope, arena);
    }
    submit_acknowledgement(r->gateway, r->record, item->acknowledge);
}
