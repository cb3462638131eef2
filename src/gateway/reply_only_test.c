/*
 * reply_only_test.c - strangers on a channel that answers only those who were written to first
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "gateway/gateway_test_support.h"
#include "store/pgsql_test_support.h"

#define HOUR_US (INT64_C(3600) * US_PER_S)

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

static struct gate *
open_gate(void **state, const char *settings)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    struct pgsql_database database;

    assert_non_null(gate);
    if (server.pid > 0) {
        pgsql_database_make(&server, &database);
        (void)setenv("PARLEY_TEST_DATABASE_URL", database.url, 1);
    }
    gate_open(gate, "recording", settings, NULL, NULL);
    *state = gate;
    return gate;
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

#define RACED 12

struct racer {
    struct gate *gate;
    char name;
    enum status failed;
};

static void *
race(void *arg)
{
    struct racer *racer = arg;
    const struct talk *talk = &racer->gate->talk;
    struct arena *arena = arena_create((size_t)4 * 1024 * 1024);
    struct gateway_result result;
    struct err err;

    for (int i = 0; i < RACED && racer->failed == ST_OK; i++) {
        const struct webhook webhook = {
            .body = arena_printf(arena,
                                 "{\"id\": \"%c%d\", \"user\": \"u1\", \"chat\": \"u1\", "
                                 "\"text\": \"Hello\"}",
                                 racer->name, i)};

        racer->failed =
            gateway_receive(racer->gate->gateway, talk->bed.scopes[0], talk->records[0], &webhook,
                            false, STR("0af7651916cd43dd8448eb211c80319c"), arena, &result, &err);
    }
    arena_destroy(&arena);
    return NULL;
}

/* Whoever receives, at the same time: the sender is told once. */
static void
told_once_by_all_together(void **state)
{
    struct gate *gate = open_gate(state, "{\"reply_only\": true}");
    struct racer racers[2] = {{gate, 'a', ST_OK}, {gate, 'b', ST_OK}};
    struct channel *channel = gate_channel(gate);
    struct err *err = &gate->talk.err;
    pthread_t threads[2];

    start(gate);
    hear(gate, "m1", "u1");
    (void)assert_told(gate, channel, "first", 1);
    clock_advance_us(gate->talk.clock, HOUR_US + US_PER_S);
    for (unsigned i = 0; i < 2; i++)
        ASSERT_OK(thread_start("racer", race, &racers[i], &threads[i], err), err);
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failed, ST_OK);
    }
    (void)assert_told(gate, channel, "together", 2);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 1 + 2 * RACED + 2);
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
main(int argc, char **argv)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(stranger_is_told_once_an_hour),
        CASE(told_once_by_all_together),
        CASE(known_are_answered),
        CASE(handed_over_goes_to_its_person),
        CASE(other_channels_answer_strangers),
    };

    bool on_server = argc > 1 && strcmp(argv[1], "pgsql") == 0;
    int failed;

    if (on_server && !pgsql_server_start(&server)) {
        (void)fprintf(stderr, "reply_only: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (on_server)
        pgsql_server_stop(&server);
    return failed;
}
