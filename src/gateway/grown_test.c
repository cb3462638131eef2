/*
 * grown_test.c - parts that are found at the provider, and parts that were shown while they were
 * made: which calls follow, and what is kept
 */
#include "conversation/growing.h"
#include "conversation/view.h"
#include "gateway/gateway_test_support.h"

#define SETTLED_US (CHANNEL_SETTLES_US + US_PER_S)
#define LATER_US (INT64_C(700) * US_PER_S) /* longer than any back-off */

struct bench {
    struct gate gate;
    struct channel_driver driver; /* "growing": of recording or failing */
    struct conversation_id conversation_id;
    struct message_id message_id;
    bool is_known;
};

static struct bench *
open_bench(void **state, const struct channel_driver *former, const char *settings)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    bench->driver = *former;
    bench->driver.source = "growing";
    channel_fake_grows(&bench->driver, 1000);
    gate_open(&bench->gate, "growing", settings, NULL, &bench->driver);
    bench->conversation_id =
        talk_hear(&bench->gate.talk, "m1", "u1", "u1", "Hello").conversation_id;
    bench->message_id = gate_say(&bench->gate, bench->conversation_id, "An answer");
    *state = bench;
    return bench;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;

    gate_close(&bench->gate);
    free(bench);
    return 0;
}

static void
start(struct bench *bench)
{
    ASSERT_OK(gateway_start(bench->gate.gateway, NULL, &bench->gate.talk.err),
              &bench->gate.talk.err);
    gate_wait(&bench->gate);
}

static enum status
grow_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct bench *bench = arg;
    enum status st = growing_begin(tx, bench->conversation_id, bench->message_id,
                                   clock_wall_us(bench->gate.talk.clock), err);

    if (st == ST_OK && bench->is_known)
        st = growing_known(tx, bench->message_id, bench->conversation_id, STR("shown"), err);
    return st == ST_OK ? growing_finish(tx, bench->conversation_id, bench->message_id, err) : st;
}

/* "FE": a find, an edit. */
static struct str
calls_of(struct bench *bench)
{
    static const char letters[] = {
        [FAKE_SEND] = 'S',     [FAKE_BEGIN] = 'B', [FAKE_GROW] = 'G',
        [FAKE_EDIT] = 'E',     [FAKE_FIND] = 'F',  [FAKE_TYPING] = 'T',
        [FAKE_WITHDRAW] = 'W', [FAKE_DRAFT] = 'D', [FAKE_ACKNOWLEDGE] = 'A'};
    struct channel *channel = gate_channel(&bench->gate);
    size_t count = channel_recording_count(channel);
    struct arena *arena = bench->gate.talk.arena;
    struct str calls = STR("");
    struct fake_call call;

    for (size_t i = 0; i < count; i++) {
        assert_true(channel_recording_get(channel, i, arena, &call));
        assert_true(id_eq(&call.message_id.id, &bench->message_id.id));
        ASSERT_STR(call.chat, "u1");
        if (call.kind == FAKE_EDIT)
            ASSERT_STR(call.text, "An answer");
        calls = arena_printf(arena, "%.*s%c", STR_ARG(calls), letters[call.kind]);
    }
    channel_release(&channel);
    return calls;
}

static void
assert_so(struct bench *bench, const char *name, const char *delivery, const char *part)
{
    struct message message = talk_get(&bench->gate.talk, bench->message_id);
    struct gate_part parts[8];

    assert_int_equal(gate_parts(&bench->gate, bench->message_id, parts), 1);
    if (!str_eq_c(message.delivery, delivery) || strcmp(parts[0].state, part) != 0)
        fail_msg("%s: \"%.*s\", part \"%s\"", name, STR_ARG(message.delivery), parts[0].state);
    if (strcmp(part, "sent") == 0)
        assert_true(parts[0].has_external_id);
}

static void
what_grew_is_made_whole(void **state)
{
    static const struct {
        const char *name;
        bool is_known; /* the provider's id */
        const char *settings, *calls, *delivery, *part;
        int64_t later_us;
        const char *later_calls, *later_delivery;
    } table[] = {
        {"whole at once", true, "{}", "E", "sent", "sent", LATER_US, "E", "sent"},
        {"busy", true, "{\"script\": [\"busy\"]}", "E", "queued", "growing", LATER_US, "EE",
         "sent"},
        {"away", true, "{\"script\": [\"unavailable\"]}", "E", "queued", "growing", LATER_US, "EE",
         "sent"},
        {"no answer", true, "{\"script\": [\"uncertain\"]}", "E", "queued", "growing", LATER_US,
         "EE", "sent"},
        {"taken away by somebody", true, "{\"script\": [\"conflict\"]}", "ES", "sent", "sent",
         LATER_US, "ES", "sent"},
        {"refused", true, "{\"script\": [\"invalid\"]}", "E", "failed", "failed", LATER_US, "E",
         "failed"},
        {"found", false, "{}", "FE", "sent", "sent", LATER_US, "FE", "sent"},
        {"found late", false, "{\"script\": [\"not_found\"]}", "F", "queued", "growing", SETTLED_US,
         "FFE", "sent"},
        {"not there", false, "{\"script\": [\"not_found\", \"not_found\"]}", "F", "queued",
         "growing", SETTLED_US, "FFS", "sent"},
        {"search is busy", false, "{\"script\": [\"busy\"]}", "F", "queued", "growing", SETTLED_US,
         "FFE", "sent"},
        {"search is away", false, "{\"script\": [\"unavailable\"]}", "F", "queued", "growing",
         LATER_US, "FFE", "sent"},
        {"search is refused", false, "{\"script\": [\"denied\"]}", "F", "uncertain", "uncertain",
         LATER_US, "F", "uncertain"},
        {"search is refused, resent", false,
         "{\"script\": [\"invalid\"], \"on_uncertain\": \"resend\"}", "FS", "sent", "sent",
         LATER_US, "FS", "sent"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct bench *bench = open_bench(state, &channel_driver_recording, table[i].settings);
        struct channel *channel = gate_channel(&bench->gate); /* keeps what was recorded */

        bench->is_known = table[i].is_known;
        ASSERT_OK(talk_run(&bench->gate.talk, 0, grow_work, bench), &bench->gate.talk.err);
        start(bench);
        if (!str_eq_c(calls_of(bench), table[i].calls))
            fail_msg("%s: %.*s", table[i].name, STR_ARG(calls_of(bench)));
        assert_so(bench, table[i].name, table[i].delivery, table[i].part);
        gate_pass(&bench->gate, table[i].later_us);
        if (!str_eq_c(calls_of(bench), table[i].later_calls))
            fail_msg("%s, later: %.*s", table[i].name, STR_ARG(calls_of(bench)));
        assert_so(bench, table[i].name, table[i].later_delivery, table[i].later_delivery);
        channel_release(&channel);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)tear_down(state);
    }
}

/* The call's answer got lost: the provider is asked. */
static void
uncertain_is_asked_for(void **state)
{
    static const struct {
        const char *name, *settings, *delivery, *part;
        int64_t later_us;
        const char *later;
    } table[] = {
        {"arrived", "{\"script\": [\"uncertain\"]}", "sent", "sent", LATER_US, "sent"},
        {"seen late", "{\"script\": [\"uncertain\", \"not_found\"]}", "sending", "intent",
         SETTLED_US, "sent"},
        {"not arrived", "{\"script\": [\"uncertain\", \"not_found\", \"not_found\", \"invalid\"]}",
         "sending", "intent", SETTLED_US, "failed"},
        {"busy", "{\"script\": [\"uncertain\", \"busy\"]}", "sending", "intent", SETTLED_US,
         "sent"},
        {"away", "{\"script\": [\"uncertain\", \"unavailable\"]}", "sending", "intent", LATER_US,
         "sent"},
        {"refused", "{\"script\": [\"uncertain\", \"denied\"]}", "uncertain", "uncertain", LATER_US,
         "uncertain"},
        {"refused, resent",
         "{\"script\": [\"uncertain\", \"denied\"], \"on_uncertain\": \"resend\"}", "sending",
         "retry", LATER_US, "sent"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct bench *bench = open_bench(state, &channel_driver_failing, table[i].settings);

        start(bench);
        assert_so(bench, table[i].name, table[i].delivery, table[i].part);
        gate_pass(&bench->gate, table[i].later_us);
        assert_so(bench, table[i].name, table[i].later, table[i].later);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)tear_down(state);
    }
}

/* A provider that is away until all tries are over has not told that it has nothing. */
static void
uncertain_stays_so_when_given_up(void **state)
{
#define AWAY "\"unavailable\", \"unavailable\", \"unavailable\", \"unavailable\""
    struct bench *bench =
        open_bench(state, &channel_driver_failing,
                   "{\"script\": [\"uncertain\", " AWAY ", " AWAY ", \"unavailable\"]}");
    struct gate *gate = &bench->gate;

    start(bench);
    for (unsigned i = 0; i < 16 && gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead == 0; i++)
        gate_pass(gate, LATER_US);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 1);
    assert_so(bench, "given up", "uncertain", "intent");
}

static void
part_in_flight_is_found(void **state)
{
    struct bench *bench = open_bench(state, &channel_driver_recording, "{}");
    struct channel *channel = gate_channel(&bench->gate);

    gate_leave_part(&bench->gate, bench->message_id, 0, "intent");
    start(bench);
    ASSERT_STR(calls_of(bench), "F");
    assert_so(bench, "found", "sent", "sent");
    channel_release(&channel);
}

struct beginning {
    struct conversation_id conversation_id;
    struct str chat;
    struct channel_id channel_id;
    bool busy;
};

static enum status
begin_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct beginning *b = arg;

    return growing_begin(tx, b->conversation_id, ID_NEW(message_id), TALK_START_US, err);
}

static enum status
forget_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct beginning *b = arg;

    return growing_forget(tx, b->conversation_id, err);
}

static enum status
lane_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct beginning *b = arg;

    return queue_lane_is_busy(tx, QUEUE_TOPIC_OUTBOUND,
                              chat_lane(b->channel_id, b->chat, store_tx_arena(tx)), &b->busy, err);
}

/* Also when the one before is of another conversation. */
static void
one_grows_in_a_chat_at_a_time(void **state)
{
    struct bench *bench = open_bench(state, &channel_driver_recording, "{}");
    struct talk *talk = &bench->gate.talk;
    struct inbound anew = talk_message(talk, "anew", "p1", "chat", "Hello");
    struct beginning old = {.conversation_id =
                                talk_hear(talk, "old", "p1", "chat", "Hello").conversation_id};
    struct beginning next,
        other = {.conversation_id = talk_hear(talk, "o", "p2", "other", "Hello").conversation_id};
    struct inbound_result heard;

    anew.starts_new_conversation = true;
    ASSERT_OK(talk_receive(talk, &anew, &heard), &talk->err);
    next = (struct beginning){.conversation_id = heard.conversation_id};
    assert_false(id_eq(&next.conversation_id.id, &old.conversation_id.id));
    ASSERT_OK(talk_run(talk, 0, begin_work, &old), &talk->err);
    assert_int_equal(talk_run(talk, 0, begin_work, &old), ST_CONFLICT);
    assert_int_equal(talk_run(talk, 0, begin_work, &next), ST_CONFLICT);
    ASSERT_OK(talk_run(talk, 0, begin_work, &other), &talk->err);
    ASSERT_OK(talk_run(talk, 0, forget_work, &old), &talk->err);
    ASSERT_OK(talk_run(talk, 0, begin_work, &next), &talk->err);
}

/* Until then nothing grows there: it would be read above it. */
static void
lane_is_busy_until_all_is_sent(void **state)
{
    struct bench *bench = open_bench(state, &channel_driver_recording, "{}");
    struct talk *talk = &bench->gate.talk;
    const struct conversation c = talk_conversation(talk, bench->conversation_id);
    struct beginning at = {.channel_id = c.channel_id, .chat = c.external_chat_id};
    struct beginning elsewhere = {.channel_id = c.channel_id, .chat = STR("elsewhere")};

    ASSERT_OK(talk_run(talk, 0, lane_work, &at), &talk->err);
    ASSERT_OK(talk_run(talk, 0, lane_work, &elsewhere), &talk->err);
    assert_true(at.busy && !elsewhere.busy);
    start(bench);
    ASSERT_OK(talk_run(talk, 0, lane_work, &at), &talk->err);
    assert_false(at.busy);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_grew_is_made_whole),          CASE(uncertain_is_asked_for),
        CASE(uncertain_stays_so_when_given_up), CASE(part_in_flight_is_found),
        CASE(one_grows_in_a_chat_at_a_time),    CASE(lane_is_busy_until_all_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
