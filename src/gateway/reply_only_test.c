/*
 * reply_only_test.c - strangers on a channel that answers only those who were written to first
 */
#include "gateway/gateway_test_support.h"

#define HOUR_US (INT64_C(3600) * US_PER_S)

static struct gate *
open_gate(void **state, const char *settings)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    gate_open(gate, "recording", settings, NULL, NULL);
    *state = gate;
    return gate;
}

static int
tear_down(void **state)
{
    gate_close(*state);
    free(*state);
    return 0;
}

static void
hear(struct gate *gate, const char *id, const char *user)
{
    struct str body =
        arena_printf(gate->talk.arena,
                     "{\"id\": \"%s\", \"user\": \"%s\", \"chat\": \"%s\", \"text\": \"Hello\", "
                     "\"name\": \"Ada {channel}\"}",
                     id, user, user);

    ASSERT_OK(gate_receive(gate, body.ptr), &gate->talk.err);
}

/* Acknowledgements of what came are recorded too. */
static size_t
sends(struct gate *gate, struct channel *channel, struct fake_call *last_out)
{
    struct fake_call call;
    size_t count = 0;

    for (size_t i = 0; channel_recording_get(channel, i, gate->talk.arena, &call); i++) {
        if (call.kind != FAKE_SEND)
            continue;
        *last_out = call;
        count++;
    }
    return count;
}

/* Gives the last of them. */
static struct fake_call
assert_told(struct gate *gate, struct channel *channel, const char *name, size_t want)
{
    struct fake_call last = {.kind = FAKE_SEND};
    size_t count;

    gate_wait(gate);
    count = sends(gate, channel, &last);
    if (count != want)
        fail_msg("%s: %zu messages left, want %zu", name, count, want);
    return last;
}

static void
start(struct gate *gate)
{
    ASSERT_OK(gateway_start(gate->gateway, NULL, &gate->talk.err), &gate->talk.err);
}

static void
stranger_is_told_once_an_hour(void **state)
{
    struct gate *gate = open_gate(
        state, "{\"reply_only\": true, \"reply_only_text\": \"Sorry {name}, {channel} {x} {\"}");
    struct channel *channel = gate_channel(gate);
    struct gateway_config config = {.senders = 1};
    struct fake_call call;

    start(gate);
    hear(gate, "m1", "u1");
    call = assert_told(gate, channel, "first", 1);
    ASSERT_STR(call.text, "Sorry Ada {channel}, Test {x} {");
    ASSERT_STR(call.chat, "u1");
    /* Kept like any other message, and nothing is to answer it. */
    ASSERT_STR(talk_get(&gate->talk, gate->result.message_id).body, "Hello");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 0);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).delayed, 0);

    hear(gate, "m2", "u1");
    clock_advance_us(gate->talk.clock, HOUR_US - 2 * US_PER_S);
    hear(gate, "m3", "u1");
    (void)assert_told(gate, channel, "within the hour", 1);
    hear(gate, "n1", "u2");
    (void)assert_told(gate, channel, "another", 2);

    /* Another process knows it too. */
    gateway_stop(gate->gateway, GATE_WAIT_MS);
    gateway_close(&gate->gateway);
    gate_open_gateway(gate, &config);
    start(gate);
    hear(gate, "m4", "u1");
    (void)assert_told(gate, channel, "after a restart", 2);
    clock_advance_us(gate->talk.clock, 3 * US_PER_S);
    hear(gate, "m5", "u1");
    (void)assert_told(gate, channel, "after an hour", 3);
    hear(gate, "m6", "u1");
    (void)assert_told(gate, channel, "and no more", 3);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 0);
    channel_release(&channel);
}

static void
known_are_answered(void **state)
{
    struct gate *gate = open_gate(state, "{\"reply_only\": true, \"burst_window_ms\": 0}");
    struct channel *channel = gate_channel(gate);
    struct fake_call call;

    start(gate);
    hear(gate, "m1", "u1");
    call = assert_told(gate, channel, "stranger", 1);
    assert_true(str_starts_with(call.text, STR("Thank you for your message.")));
    (void)gate_say(gate, gate->result.conversation_id, "We write to you");
    (void)assert_told(gate, channel, "written to", 2);
    hear(gate, "m2", "u1");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1);
    assert_int_equal(sends(gate, channel, &call), 2);
    channel_release(&channel);
}

static enum status
take_over(struct store_tx *tx, void *arg, struct err *err)
{
    const struct gate *gate = arg;

    return conversation_hand_over(tx, gate->result.conversation_id, true, (struct user_id){{""}},
                                  err);
}

/* Whoever has the conversation sees what comes, and decides. */
static void
handed_over_goes_to_its_person(void **state)
{
    struct gate *gate = open_gate(state, "{\"reply_only\": true, \"burst_window_ms\": 0}");
    struct channel *channel = gate_channel(gate);
    struct fake_call call;

    start(gate);
    hear(gate, "m1", "u1");
    (void)assert_told(gate, channel, "stranger", 1);
    ASSERT_OK(talk_run(&gate->talk, 0, take_over, gate), &gate->talk.err);
    clock_advance_us(gate->talk.clock, 2 * HOUR_US);
    hear(gate, "m2", "u1");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_HANDOFF).ready, 1);
    assert_int_equal(sends(gate, channel, &call), 1);
    channel_release(&channel);
}

static void
other_channels_answer_strangers(void **state)
{
    struct gate *gate = open_gate(state, "{\"burst_window_ms\": 0}");

    hear(gate, "m1", "u1");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).ready, 0);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(stranger_is_told_once_an_hour),
        CASE(known_are_answered),
        CASE(handed_over_goes_to_its_person),
        CASE(other_channels_answer_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
