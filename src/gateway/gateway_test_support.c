/*
 * gateway_test_support.c - see the header
 */
#include "gateway/gateway_test_support.h"

#include <stdlib.h>

#include "conversation/conversation_test_sql.h"

static void
open_services(struct gate *gate, const struct channel_driver *extra)
{
    const struct channel_driver *drivers[] = {&channel_driver_fake, &channel_driver_failing,
                                              &channel_driver_recording, extra, NULL};
    const struct live_config live = {.clock = gate->talk.clock,
                                     .max_topics = 100,
                                     .events_per_topic = 100,
                                     .max_bytes = (size_t)1024 * 1024,
                                     .keep_us = 600 * US_PER_S};
    struct err *err = &gate->talk.err;

    gate->env.clock = gate->talk.clock;
    ASSERT_OK(
        channel_registry_create(&gate->env, gate->talk.bed.tenants, drivers, &gate->registry, err),
        err);
    ASSERT_OK(live_hub_create(&live, &gate->live, err), err);
}

void
gate_open_gateway(struct gate *gate, const struct gateway_config *config)
{
    struct gateway_config own = *config;
    struct err *err = &gate->talk.err;

    own.store = gate->talk.bed.store;
    own.tenants = gate->talk.bed.tenants;
    own.queue = gate->talk.bed.queue;
    own.channels = gate->registry;
    own.live = gate->live;
    own.clock = gate->talk.clock;
    ASSERT_OK(gateway_open(&own, &gate->gateway, err), err);
}

void
gate_open(struct gate *gate, const char *source, const char *settings,
          const struct gateway_config *config, const struct channel_driver *extra)
{
    const struct gateway_config usual = {.senders = 1, .record_at_once = 16};

    *gate = (struct gate){.env = {.clock = NULL}};
    talk_open(&gate->talk, source, settings, NULL);
    open_services(gate, extra);
    gate_open_gateway(gate, config == NULL ? &usual : config);
}

void
gate_close(struct gate *gate)
{
    gateway_stop(gate->gateway, GATE_WAIT_MS);
    gateway_close(&gate->gateway);
    channel_registry_destroy(&gate->registry);
    live_hub_destroy(&gate->live);
    talk_close(&gate->talk);
}

static enum status
receive(struct gate *gate, const char *body, bool in_turn)
{
    const struct webhook webhook = {.body = str_from_c(body)};
    struct talk *talk = &gate->talk;

    return gateway_receive(gate->gateway, talk->bed.scopes[0], talk->records[0], &webhook, in_turn,
                           STR("0af7651916cd43dd8448eb211c80319c"), talk->arena, &gate->result,
                           &talk->err);
}

enum status
gate_receive(struct gate *gate, const char *body)
{
    return receive(gate, body, false);
}

enum status
gate_receive_in_turn(struct gate *gate, const char *body)
{
    return receive(gate, body, true);
}

enum status
gate_receive_message(struct gate *gate, const char *id)
{
    struct str body = arena_printf(
        gate->talk.arena,
        "{\"id\": \"%s\", \"user\": \"u1\", \"chat\": \"c1\", \"text\": \"Hello\"}", id);

    return gate_receive(gate, body.ptr);
}

struct queue_counts
gate_jobs(struct gate *gate, const char *topic)
{
    return bed_count(&gate->talk.bed, 0, topic);
}

struct channel *
gate_channel(struct gate *gate)
{
    struct talk *talk = &gate->talk;
    const struct channel_record *record;
    struct channel *channel;

    ASSERT_OK(channel_record_get(talk->bed.tenants, talk->bed.scopes[0], talk->records[0]->id,
                                 &record, &talk->err),
              &talk->err);
    ASSERT_OK(channel_acquire(gate->registry, record, &channel, &talk->err), &talk->err);
    channel_record_unref(&record);
    return channel;
}

struct saying {
    struct gate *gate;
    struct outbound_spec spec;
    struct message_id id;
    int64_t part;
    const char *state;
    struct gate_part *parts;
    size_t count;
};

static enum status
say_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct saying *s = arg;
    const struct channel_record *record = s->gate->talk.records[0];
    struct conversation conversation;
    int64_t seq;
    enum status st =
        conversation_add_outbound(tx, &s->spec, clock_wall_us(s->gate->talk.clock), &seq, err);

    if (st == ST_OK)
        st = conversation_get(tx, s->spec.conversation_id, store_tx_arena(tx), &conversation, err);
    if (st == ST_OK)
        st = gateway_queue_outbound(s->gate->gateway, tx, s->spec.id, record->id,
                                    conversation.external_chat_id, err);
    return st;
}

struct message_id
gate_say(struct gate *gate, struct conversation_id id, const char *text)
{
    struct saying s = {.gate = gate};

    s.spec = (struct outbound_spec){.conversation_id = id,
                                    .id = ID_NEW(message_id),
                                    .role = "agent",
                                    .body = str_from_c(text),
                                    .delivery = "queued"};
    ASSERT_OK(talk_run(&gate->talk, 0, say_work, &s), &gate->talk.err);
    return s.spec.id;
}

void
gate_wait(struct gate *gate)
{
    struct err *err = &gate->talk.err;

    ASSERT_OK(queue_wait_idle(gate->talk.bed.queue, GATE_WAIT_MS, err), err);
}

void
gate_pass(struct gate *gate, int64_t by_us)
{
    struct err *err = &gate->talk.err;

    clock_advance_us(gate->talk.clock, by_us);
    ASSERT_OK(queue_sweep(gate->talk.bed.queue, err), err);
    gate_wait(gate);
}

static enum status
parts_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct saying *s = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_TEST_DELIVERIES, ARGS(sv_id(s->id)), &rows, err);

    s->count = 0;
    while (st == ST_OK && store_rows_next(rows)) {
        struct gate_part *part = &s->parts[s->count];
        struct str state = store_col_text(rows, 1);

        assert_true(s->count < 8 && state.len < sizeof(part->state));
        assert_int_equal(store_col_int(rows, 0), s->count++);
        *part = (struct gate_part){.attempts = store_col_int(rows, 2)};
        memcpy(part->state, state.ptr, state.len);
        part->has_external_id = !store_col_is_null(rows, 3);
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

size_t
gate_parts(struct gate *gate, struct message_id id, struct gate_part *parts)
{
    struct saying s = {.id = id, .parts = parts};

    ASSERT_OK(talk_run(&gate->talk, 0, parts_work, &s), &gate->talk.err);
    return s.count;
}

static enum status
leave_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct saying *s = arg;

    return store_exec(tx, &SQL_TEST_DELIVERY_PUT,
                      ARGS(sv_id(s->id), sv_int(s->part), sv_text(str_from_c(s->state))), NULL,
                      err);
}

void
gate_leave_part(struct gate *gate, struct message_id id, int64_t part, const char *state)
{
    struct saying s = {.id = id, .part = part, .state = state};

    ASSERT_OK(talk_run(&gate->talk, 0, leave_work, &s), &gate->talk.err);
}

int
gate_tear_down(void **state)
{
    gate_close(*state);
    free(*state);
    return 0;
}

void
gate_start(struct gate *gate)
{
    ASSERT_OK(gateway_start(gate->gateway, NULL, &gate->talk.err), &gate->talk.err);
    gate_wait(gate);
}

struct conversation_id
gate_begin(struct gate *gate)
{
    return talk_hear(&gate->talk, "m1", "u1", "u1", "Hello").conversation_id;
}

void
gate_assert_state(struct gate *gate, const char *name, struct message_id id, const char *delivery)
{
    struct message message = talk_get(&gate->talk, id);

    if (!str_eq_c(message.delivery, delivery))
        fail_msg("%s: \"%.*s\", want \"%s\"", name, STR_ARG(message.delivery), delivery);
}
