/*
 * growth.c - an answer that is shown while it is made, as one message that grows
 *
 * Its row is durable before the provider is called, its id before the text grows. So whoever makes
 * the answer after a crash knows of the message: the sender makes it whole in place of sending, or
 * it is withdrawn because there is no answer.
 */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "conversation/growing.h"
#include "conversation/view.h"
#include "orchestrator/orchestrator_private.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

static struct outbound
outbound_of(const struct growth *growth)
{
    /* The first of several parts, as far as drivers know: what belongs under the last one is not
     * there yet. */
    return (struct outbound){.message_id = growth->message_id,
                             .external_chat_id = growth->external_chat_id,
                             .part = 0,
                             .part_count = 2};
}

static enum status
run(struct growth *growth, const char *name, store_work work, struct err *err)
{
    growth->now_us = clock_wall_us(growth->orchestrator->config.clock);
    return store_run(growth->orchestrator->config.store, lease_scope(growth->lease), name,
                     STORE_DURABLE, work, growth, err);
}

/* --- showing --- */

static enum status
intend(struct store_tx *tx, void *arg, struct err *err)
{
    struct growth *growth = arg;
    bool busy = false;
    enum status st = queue_lease_check(tx, growth->lease, err);

    if (st == ST_OK)
        st = queue_lane_is_busy(
            tx, QUEUE_TOPIC_OUTBOUND,
            chat_lane(growth->channel_id, growth->external_chat_id, store_tx_arena(tx)), &busy,
            err);
    if (st == ST_OK && busy)
        st = err_set(err, ST_CONFLICT, "something is still to be sent to this chat");
    return st == ST_OK
               ? growing_begin(tx, growth->conversation_id, growth->message_id, growth->now_us, err)
               : st;
}

static enum status
note_known(struct store_tx *tx, void *arg, struct err *err)
{
    struct growth *growth = arg;

    return growing_known(tx, growth->message_id, growth->conversation_id,
                         str_from_c(growth->external_message_id), err);
}

static enum status
forget(struct store_tx *tx, void *arg, struct err *err)
{
    struct growth *growth = arg;

    return growing_forget(tx, growth->conversation_id, err);
}

/* ST_UNCERTAIN: something may be shown, and its id is not known. */
static enum status
call_provider(struct growth *growth, struct channel *channel, const struct outbound *outbound,
              struct arena *arena, struct err *err)
{
    struct delivery delivery;
    enum status st = channel_begin(channel, outbound, arena, &delivery, err);

    FAILPOINT("grow.begun");
    if (st == ST_OK && (delivery.external_message_id.len == 0 ||
                        delivery.external_message_id.len >= sizeof(growth->external_message_id)))
        st = err_set(err, ST_UNCERTAIN, "the provider's id cannot be kept");
    if (st == ST_OK) {
        memcpy(growth->external_message_id, delivery.external_message_id.ptr,
               delivery.external_message_id.len);
        st = run(growth, "growing_known", note_known, err);
        if (st != ST_OK)
            st = err_set(err, ST_UNCERTAIN, "the provider's id could not be kept");
    }
    FAILPOINT("grow.known");
    return st;
}

static enum status
begin(struct growth *growth, struct channel *channel, const struct outbound *outbound,
      struct arena *arena, struct err *err)
{
    struct err ignored;
    enum status st = run(growth, "growing_begin", intend, err);

    FAILPOINT("grow.intent_committed");
    if (st != ST_OK)
        return st;
    st = queue_lease_hold(growth->lease, err);
    if (st == ST_OK)
        st = call_provider(growth, channel, outbound, arena, err);
    if (st != ST_OK && st != ST_UNCERTAIN && st != ST_CONFLICT &&
        run(growth, "growing_forget", forget, &ignored) != ST_OK)
        LOG_ERR(LOG_WARN, "answer.growth_kept", &ignored,
                log_str("conversation_id", ID_STR(growth->conversation_id)));
    return st;
}

void
growth_show(struct growth *growth, struct channel *channel, struct str text)
{
    struct outbound outbound = outbound_of(growth);
    struct str *parts = NULL;
    enum status st = ST_OK;
    struct err err;

    if (growth->is_over)
        return;
    struct arena *arena = arena_create(ARENA_BYTES);

    if (channel_split(channel, text, arena, &parts) > 0)
        outbound.text = parts[0];
    if (outbound.text.len > 0 && growth->external_message_id[0] == '\0')
        st = begin(growth, channel, &outbound, arena, &err);
    else if (outbound.text.len > 0) {
        channel_grow(channel, &outbound, str_from_c(growth->external_message_id), ++growth->step);
        FAILPOINT("grow.grown");
    }
    if (st != ST_OK) {
        growth->is_over = true; /* the answer comes all the same */
        LOG_ERR(LOG_INFO, "answer.growth_ended", &err,
                log_str("conversation_id", ID_STR(growth->conversation_id)));
    }
    arena_destroy(&arena);
}

/* --- what an earlier run left --- */

struct looking {
    struct growth *growth;
    struct growing found;
    bool is_there;
};

static enum status
look(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *l = arg;
    enum status st = queue_lease_check(tx, l->growth->lease, err);

    if (st == ST_OK)
        st = growing_get(tx, l->growth->conversation_id, lease_arena(l->growth->lease), &l->found,
                         err);
    l->is_there = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
look_up(struct growth *growth, struct looking *looking_out, struct err *err)
{
    *looking_out = (struct looking){.growth = growth};
    return store_read(growth->orchestrator->config.store, lease_scope(growth->lease),
                      "growing_look", look, looking_out, err);
}

enum status
growth_take_over(struct growth *growth, struct err *err)
{
    struct looking l;
    enum status st = look_up(growth, &l, err);

    if (st == ST_OK && l.is_there) {
        growth->message_id = l.found.message_id;
        growth->is_over = true; /* it is made whole, and does not grow again */
    }
    return st;
}

/* Of a message whose id is not known. *id_out stays "" when there is none. */
static enum status
find_id(struct growth *growth, struct channel *channel, int64_t begun_at_us, struct str *id_out,
        struct err *err)
{
    const struct outbound outbound = outbound_of(growth);
    int64_t age_us = clock_wall_us(growth->orchestrator->config.clock) - begun_at_us;
    struct delivery delivery;
    enum status st;

    if ((channel_caps(channel) & CHANNEL_FINDS) == 0)
        return ST_OK; /* such a beginning leaves nothing behind */
    st = channel_find(channel, &outbound, begun_at_us, lease_arena(growth->lease), &delivery, err);
    if (st == ST_OK)
        *id_out = delivery.external_message_id;
    if (st == ST_NOT_FOUND && age_us < CHANNEL_SETTLES_US) {
        err_set(err, ST_BUSY, "the provider may show it yet");
        err->retry_after_ms = (int)((CHANNEL_SETTLES_US - age_us) / US_PER_MS) + 1;
        return ST_BUSY;
    }
    return st;
}

enum status
growth_withdraw(struct growth *growth, struct channel *channel, struct err *err)
{
    struct looking l;
    struct str id = STR("");
    enum status st = look_up(growth, &l, err);

    if (st != ST_OK || !l.is_there)
        return st;
    growth->message_id = l.found.message_id;
    id = l.found.external_message_id;
    if (id.len == 0)
        st = find_id(growth, channel, l.found.begun_at_us, &id, err);
    if (st == ST_OK && id.len > 0)
        st = channel_withdraw(channel, growth->external_chat_id, id, err);
    if (st != ST_OK && status_is_passing(st))
        return st;
    if (st != ST_OK && st != ST_NOT_FOUND)
        LOG_ERR(LOG_WARN, "answer.growth_kept", err,
                log_str("conversation_id", ID_STR(growth->conversation_id)));
    return ST_OK;
}
