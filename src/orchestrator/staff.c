/*
 * staff.c - replies, take-over, approval: what a person does with a conversation
 */
#include "conversation/view.h"
#include "orchestrator/orchestrator_private.h"
#include "text/json.h"

/* One message of a person, or a draft that a person let go. */
struct saying {
    struct orchestrator *orchestrator;
    struct conversation_id conversation_id;
    struct user_id user_id;
    struct escalation_id escalation_id; /* none: a plain reply */
    struct message_id id;
    struct str text;           /* empty: the escalation's draft */
    const json_t *attachments; /* NULL: none */
    bool close_only;
    struct arena *arena;
    struct message said; /* id none: nothing was said */
};

static enum status
is_local(struct store_tx *tx, struct saying *s, bool *local_out, struct conversation *conversation,
         struct err *err)
{
    const struct channel_driver *driver;
    enum status st = conversation_get(tx, s->conversation_id, s->arena, conversation, err);

    if (st != ST_OK)
        return st;
    driver = channel_driver_find(s->orchestrator->config.channels, conversation->source);
    if (driver == NULL)
        return err_set(err, ST_INTERNAL, "no driver for %.*s", STR_ARG(conversation->source));
    *local_out = (channel_driver_caps(driver) & CHANNEL_LOCAL) != 0;
    return ST_OK;
}

static enum status
say(struct store_tx *tx, struct saying *s, const char *role, struct err *err)
{
    const struct orchestrator_config *config = &s->orchestrator->config;
    struct outbound_spec spec = {
        .conversation_id = s->conversation_id, .id = s->id, .role = role, .body = s->text};
    json_auto_t *metadata = json_object();
    struct conversation conversation;
    bool local = false;
    int64_t seq;
    enum status st = is_local(tx, s, &local, &conversation, err);

    spec.delivery = local ? "delivered" : "queued";
    if (s->attachments != NULL) {
        json_set(metadata, "attachments", json_deep_copy(s->attachments));
        spec.metadata = json_text(metadata, store_tx_arena(tx));
    }
    if (st == ST_OK)
        st = conversation_add_outbound(tx, &spec, clock_wall_us(config->clock), &seq, err);
    if (st == ST_OK && !local)
        st = config->queue_outbound(config->queue_outbound_context, tx, spec.id,
                                    conversation.channel_id, conversation.external_chat_id, err);
    if (st == ST_OK)
        st = message_get(tx, spec.id, s->arena, &s->said, err);
    return st;
}

static enum status
reply(struct store_tx *tx, void *arg, struct err *err)
{
    return say(tx, arg, "agent", err);
}

/* Nothing waits for a person's word any more, unless a person has the whole conversation. */
static enum status
end_waiting(struct store_tx *tx, const struct saying *s, struct err *err)
{
    struct conversation conversation;
    enum status st = conversation_get(tx, s->conversation_id, s->arena, &conversation, err);

    if (st != ST_OK || conversation.hand_off_to_human ||
        (s->close_only && !str_eq_c(conversation.status, STATUS_AWAITING_APPROVAL)))
        return st;
    return conversation_set_status(tx, conversation.id, STATUS_AI_RESPONSE_SENT, err);
}

static enum status
resolve(struct store_tx *tx, void *arg, struct err *err)
{
    struct saying *s = arg;
    struct escalation escalation;
    bool approved;
    enum status st = escalation_get(tx, s->escalation_id, s->arena, &escalation, err);

    if (st != ST_OK)
        return st;
    s->said = (struct message){.seq = 0};
    s->conversation_id = escalation.conversation_id;
    approved = s->text.len == 0 || str_eq(s->text, escalation.draft);
    if (approved)
        s->text = escalation.draft;
    if (!s->close_only && s->text.len == 0)
        return err_set(err, ST_INVALID, "there is no draft to approve: send a text instead");
    st = escalation_resolve(tx, s->escalation_id,
                            s->close_only ? "closed"
                            : approved    ? "approved"
                                          : "overridden",
                            ID_STR(s->user_id), clock_wall_us(s->orchestrator->config.clock), err);
    if (st == ST_OK && !s->close_only)
        st = say(tx, s, approved ? "assistant" : "agent", err);
    return st == ST_OK ? end_waiting(tx, s, err) : st;
}

struct handing_over {
    struct orchestrator *orchestrator;
    struct conversation_id id;
    struct user_id user_id;
    bool on;
    struct arena *arena;
    struct conversation conversation;
};

/* The assistant goes on with what nobody has answered. */
static enum status
queue_missed(struct store_tx *tx, const struct handing_over *h, struct err *err)
{
    const struct job_spec job = {
        .topic = QUEUE_TOPIC_INBOUND,
        .user_id = h->conversation.user_id,
        .lane = ID_STR(h->id),
        .dedup_key = ID_STR(h->id),
        .payload = arena_printf(store_tx_arena(tx), "{\"conversation_id\":\"%s\"}", h->id.id.text),
        .coalesce_max_us = 1,
    };
    struct job_id job_id;
    bool missed = false;
    enum status st = conversation_waits(tx, h->id, &missed, err);

    return st == ST_OK && missed ? queue_put(h->orchestrator->config.queue, tx, &job, &job_id, err)
                                 : st;
}

static enum status
hand_over(struct store_tx *tx, void *arg, struct err *err)
{
    struct handing_over *h = arg;
    enum status st = conversation_get(tx, h->id, h->arena, &h->conversation, err);

    if (st != ST_OK || (!h->on && !h->conversation.hand_off_to_human))
        return st;
    st = conversation_hand_over(tx, h->id, h->on, h->user_id, err);
    if (st == ST_OK)
        st = conversation_get(tx, h->id, h->arena, &h->conversation, err);
    if (st != ST_OK || h->on || h->conversation.archived_at_us != 0)
        return st;
    return queue_missed(tx, h, err);
}

/* One id however often the transaction runs. */
static struct message_id
id_of(const struct staff_words *words)
{
    return id_is_none(&words->id.id) ? ID_NEW(message_id) : words->id;
}

enum status
orchestrator_staff_reply(struct orchestrator *orchestrator, const struct tenant_scope *scope,
                         struct conversation_id id, struct user_id user_id,
                         const struct staff_words *words, struct arena *arena,
                         struct message *message_out, struct err *err)
{
    struct saying s = {.orchestrator = orchestrator,
                       .conversation_id = id,
                       .user_id = user_id,
                       .id = id_of(words),
                       .text = words->text,
                       .attachments = words->attachments,
                       .arena = arena};
    enum status st =
        store_run(orchestrator->config.store, scope, "staff_reply", STORE_DURABLE, reply, &s, err);

    if (st != ST_OK)
        return st;
    message_publish(orchestrator->config.live, scope, &s.said, arena);
    *message_out = s.said;
    return ST_OK;
}

enum status
orchestrator_hand_over(struct orchestrator *orchestrator, const struct tenant_scope *scope,
                       struct conversation_id id, struct user_id user_id, bool on,
                       struct arena *arena, struct err *err)
{
    struct handing_over h = {
        .orchestrator = orchestrator, .id = id, .user_id = user_id, .on = on, .arena = arena};
    enum status st = store_run(orchestrator->config.store, scope, "hand_over", STORE_DURABLE,
                               hand_over, &h, err);

    if (st == ST_OK)
        chat_publish_reset(orchestrator->config.live, scope, h.conversation.channel_id,
                           h.conversation.external_chat_id, arena);
    return st;
}

enum status
orchestrator_resolve(struct orchestrator *orchestrator, const struct tenant_scope *scope,
                     struct escalation_id id, struct user_id user_id,
                     const struct staff_words *words, bool close_only, struct arena *arena,
                     struct err *err)
{
    struct saying s = {.orchestrator = orchestrator,
                       .escalation_id = id,
                       .user_id = user_id,
                       .id = id_of(words),
                       .text = words->text,
                       .attachments = words->attachments,
                       .close_only = close_only,
                       .arena = arena};
    enum status st = store_run(orchestrator->config.store, scope, "escalation_resolve",
                               STORE_DURABLE, resolve, &s, err);

    if (st == ST_OK && s.said.seq > 0)
        message_publish(orchestrator->config.live, scope, &s.said, arena);
    return st;
}
