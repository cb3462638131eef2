/*
 * breakers_test.c - a provider that is away or refuses, and what waits for it
 */
#include "base/breaker.h"
#include "base/metrics.h"
#include "gateway/gateway_test_support.h"
#include "text/json.h"

#define LATER_US (INT64_C(700) * US_PER_S) /* longer than any wait */

static struct gate *
open_gate(void **state, const char *source, const char *settings)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    gate_open(gate, source, settings, NULL, NULL);
    *state = gate;
    return gate;
}

static enum status
read_breaker(struct store_tx *tx, void *arg, struct err *err)
{
    struct gate *gate = arg;

    return channel_breaker_get(tx, gate->talk.records[0]->id, clock_wall_us(gate->talk.clock),
                               gate->talk.arena, &gate->breaker, err);
}

static void
assert_breaker(struct gate *gate, const char *name, const char *want)
{
    ASSERT_OK(talk_run(&gate->talk, 0, read_breaker, gate), &gate->talk.err);
    if (strcmp(gate->breaker.state, want) != 0)
        fail_msg("%s: the breaker is %s, want %s", name, gate->breaker.state, want);
}

/* What open breakers show to whoever scrapes. */
static void
assert_gauge(const char *name, const char *line, bool wanted)
{
    struct buf out;

    buf_init(&out, (size_t)1024 * 1024);
    metrics_write(&out);
    if ((str_find(buf_str(&out), str_from_c(line)) >= 0) != wanted)
        fail_msg("%s: \"%s\" in the metrics: want %d", name, line, wanted);
    buf_deinit(&out);
}

/* A second channel of the first organization; from now on the helpers speak of it, and of the first
 * one again after the next call with what this one gave. */
static const struct channel_record *
turn_to(struct gate *gate, const struct channel_record *record)
{
    const struct channel_record *former = gate->talk.records[0];

    gate->talk.records[0] = record;
    return former;
}

static const struct channel_record *
add_channel(struct gate *gate)
{
    json_auto_t *settings = json_object();
    json_auto_t *credentials = json_pack("{s:s}", "secret", "a test's secret");
    const struct channel_spec spec = {.source = STR("failing"),
                                      .name = STR("Second"),
                                      .settings = settings,
                                      .credentials = credentials};
    const struct tenant_scope *scope = gate->talk.bed.scopes[0];
    const struct channel_record *record = NULL;
    struct err *err = &gate->talk.err;
    struct channel_id id;

    ASSERT_OK(channel_create(gate->talk.bed.tenants, scope, &spec, &id, err), err);
    ASSERT_OK(channel_record_get(gate->talk.bed.tenants, scope, id, &record, err), err);
    return record;
}

#define CHATS 8

/* Eight chats of a channel whose provider is away, and one of a channel that is well. */
static void
dead_provider_delays_its_own_channel(void **state)
{
    static const char open_line[] =
        "parley_gateway_breaker_channels{source=\"failing\",state=\"open\"} 1";
    struct gate *gate = open_gate(state, "failing", "{}");
    const struct channel_record *well = add_channel(gate), *dead;
    enum status away[5];
    struct message_id messages[CHATS], other;
    struct channel *channel = gate_channel(gate);
    struct gate_part parts[8];
    int64_t attempts = 0;
    unsigned sent = 0;

    for (size_t i = 0; i < 5; i++)
        away[i] = ST_UNAVAILABLE;
    channel_failing_command(channel, away, 5); /* three open it, and two trials */
    for (int i = 0; i < CHATS; i++) {
        const char *user = arena_printf(gate->talk.arena, "u%d", i).ptr;

        messages[i] = gate_say(
            gate, talk_hear(&gate->talk, user, user, user, "Hello").conversation_id, "An answer");
    }
    dead = turn_to(gate, well);
    other = gate_say(gate, talk_hear(&gate->talk, "m1", "v1", "v1", "Hello").conversation_id, "Hi");
    gate_start(gate);
    gate_assert_state(gate, "the other channel", other, "sent");
    assert_breaker(gate, "the other channel", "closed");
    (void)turn_to(gate, dead);
    assert_breaker(gate, "three failures", "open");
    assert_gauge("three failures", open_line, true);
    ASSERT_STR(gate->breaker.reason, "A part of the service does not answer; try again later");

    /* Three were tried, the others wait without having been. */
    for (int i = 0; i < CHATS; i++)
        attempts += gate_parts(gate, messages[i], parts) == 0 ? 0 : parts[0].attempts;
    assert_int_equal(attempts, BREAKER_FAILURES);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).delayed, CHATS);

    /* One goes ahead when the wait is over; it fails, so the next wait is longer. */
    gate_pass(gate, BREAKER_FIRST_WAIT_MS * US_PER_MS + US_PER_S);
    assert_breaker(gate, "trial", "open");
    gate_pass(gate, BREAKER_FIRST_WAIT_MS * US_PER_MS);
    assert_breaker(gate, "twice as long", "open");
    gate_pass(gate, LATER_US);
    attempts = 0;
    for (int i = 0; i < CHATS; i++)
        attempts += gate_parts(gate, messages[i], parts) == 0 ? 0 : parts[0].attempts;
    assert_int_equal(attempts, BREAKER_FAILURES + 2);

    /* Back: everything leaves, and nothing was lost. */
    gate_pass(gate, LATER_US);
    gate_pass(gate, LATER_US);
    for (int i = 0; i < CHATS; i++)
        sent += str_eq_c(talk_get(&gate->talk, messages[i]).delivery, "sent");
    assert_int_equal(sent, CHATS);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
    assert_breaker(gate, "back", "closed");
    assert_gauge("back", open_line, false);
    channel_release(&channel);
    channel_record_unref(&well);
}

/* A process died while a part was in flight: that it waits for the provider changes nothing of it.
 */
static void
delay_keeps_a_part_uncertain(void **state)
{
    struct gate *gate = open_gate(state, "failing", "{\"on_uncertain\": \"resend\"}");
    const enum status refusal = ST_DENIED;
    struct channel *channel = gate_channel(gate);
    struct conversation_id id = gate_begin(gate);
    struct message_id refused = gate_say(gate, id, "First"), in_flight;
    struct gate_part parts[8];

    channel_failing_command(channel, &refusal, 1);
    gate_start(gate);
    channel_release(&channel);
    gate_assert_state(gate, "refused", refused, "failed");
    assert_breaker(gate, "refused", "open");
    in_flight = gate_say(gate, id, "Second");
    gate_leave_part(gate, in_flight, 0, "intent");
    gate_wait(gate);
    assert_int_equal(gate_parts(gate, in_flight, parts), 1);
    assert_string_equal(parts[0].state, "intent");
    gate_pass(gate, (BREAKER_REFUSED_WAIT_MS + 1000) * US_PER_MS);
    gate_assert_state(gate, "sent again", in_flight, "sent");
    assert_breaker(gate, "works", "closed");
}

/* Once somebody has mended the credentials nothing waits any more. */
static void
mended_channel_sends_at_once(void **state)
{
    struct gate *gate = open_gate(state, "failing", "{}");
    struct conversation_id id = gate_begin(gate);
    const enum status refusal = ST_DENIED;
    struct channel *channel = gate_channel(gate);
    struct message_id second, third;
    struct err *err = &gate->talk.err;

    (void)gate_say(gate, id, "First");
    channel_failing_command(channel, &refusal, 1);
    gate_start(gate);
    channel_release(&channel);
    second = gate_say(gate, id, "Second");
    gate_wait(gate);
    gate_assert_state(gate, "waits", second, "queued");
    assert_breaker(gate, "refused", "open");
    ASSERT_OK(channel_set_status(gate->talk.bed.tenants, gate->talk.bed.scopes[0],
                                 gate->talk.records[0]->id, STR("active"), STR_EMPTY, err),
              err);
    id = talk_hear(&gate->talk, "m2", "u2", "u2", "Hi").conversation_id;
    third = gate_say(gate, id, "Third");
    gate_wait(gate);
    gate_assert_state(gate, "mended", third, "sent");
    assert_breaker(gate, "mended", "closed");
    gate_pass(gate, BREAKER_REFUSED_WAIT_MS * US_PER_MS + US_PER_S);
    gate_assert_state(gate, "the one that waited", second, "sent");
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(dead_provider_delays_its_own_channel),
        CASE(delay_keeps_a_part_uncertain),
        CASE(mended_channel_sends_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
