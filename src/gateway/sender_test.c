/*
 * sender_test.c - the send ledger as a table: what the provider says, what is kept, what follows
 */
#include "gateway/gateway_test_support.h"

#define LONG_TEXT "One one. Two two. Three 3."
#define IN_PARTS "\"max_units\": 9"
#define PARTS 3
#define LATER_US (INT64_C(700) * US_PER_S) /* longer than any back-off */

static struct gate *
open_gate(void **state, const char *source, const char *settings)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    gate_open(gate, source, settings, NULL, NULL);
    *state = gate;
    return gate;
}

static void
outcome_decides_what_follows(void **state)
{
    static const struct {
        const char *name, *settings;
        const char *first, *conversation; /* after the provider's first answer */
        const char *part;
        int64_t dead, delayed;
        bool reachable, broken;
        const char *later; /* once time has passed */
    } table[] = {
        {"ok", "{\"script\": [\"ok\"]}", "sent", STATUS_USER_REPLY_RECEIVED, "sent", 0, 0, true,
         false, "sent"},
        {"busy", "{\"script\": [\"busy\"]}", "sending", STATUS_USER_REPLY_RECEIVED, "retry", 0, 1,
         true, false, "sent"},
        {"unavailable", "{\"script\": [\"unavailable\"]}", "sending", STATUS_USER_REPLY_RECEIVED,
         "retry", 0, 1, true, false, "sent"},
        {"uncertain, held", "{\"script\": [\"uncertain\"]}", "uncertain",
         STATUS_USER_REPLY_RECEIVED, "uncertain", 0, 0, true, false, "uncertain"},
        {"uncertain, resent", "{\"script\": [\"uncertain\"], \"on_uncertain\": \"resend\"}",
         "sending", STATUS_USER_REPLY_RECEIVED, "retry", 0, 1, true, false, "sent"},
        {"invalid", "{\"script\": [\"invalid\"]}", "failed", STATUS_FAILED, "failed", 1, 0, true,
         false, "failed"},
        {"too large", "{\"script\": [\"too_large\"]}", "failed", STATUS_FAILED, "failed", 1, 0,
         true, false, "failed"},
        {"denied", "{\"script\": [\"denied\"]}", "failed", STATUS_FAILED, "failed", 1, 0, true,
         true, "failed"},
        {"not found", "{\"script\": [\"not_found\"]}", "failed", STATUS_FAILED, "failed", 1, 0,
         false, false, "failed"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(state, "failing", table[i].settings);
        struct conversation_id id = gate_begin(gate);
        struct message_id message = gate_say(gate, id, "An answer");
        struct gate_part parts[8];
        struct queue_counts counts;
        struct channel *channel;

        print_message("           %s\n", table[i].name);
        gate_start(gate);
        counts = gate_jobs(gate, QUEUE_TOPIC_OUTBOUND);
        gate_assert_state(gate, table[i].name, message, table[i].first);
        ASSERT_STR(talk_conversation(&gate->talk, id).status, table[i].conversation);
        assert_int_equal(gate_parts(gate, message, parts), 1);
        assert_string_equal(parts[0].state, table[i].part);
        assert_int_equal(parts[0].has_external_id, strcmp(table[i].part, "sent") == 0);
        assert_int_equal(counts.dead, table[i].dead);
        assert_int_equal(counts.delayed, table[i].delayed);
        assert_int_equal(talk_reachable(&gate->talk, "u1"), table[i].reachable);
        channel = gate_channel(gate);
        ASSERT_STR(channel_record(channel)->status, table[i].broken ? "broken" : "active");
        channel_release(&channel);
        gate_pass(gate, LATER_US);
        gate_assert_state(gate, table[i].name, message, table[i].later);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)gate_tear_down(state);
    }
}

static void
answer_that_left_is_noted(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{}");
    struct conversation_id id = gate_begin(gate);
    struct message_id message = gate_say(gate, id, LONG_TEXT);
    struct channel *channel = gate_channel(gate);
    struct fake_call call;

    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), 1);
    assert_true(channel_recording_get(channel, 0, gate->talk.arena, &call));
    assert_int_equal(call.kind, FAKE_SEND);
    ASSERT_STR(call.text, LONG_TEXT);
    ASSERT_STR(call.chat, "u1");
    ASSERT_STR(call.reply_to, ""); /* between two people nothing is quoted */
    assert_true(id_eq(&call.message_id.id, &message.id));
    gate_assert_state(gate, "sent", message, "sent");
    channel_release(&channel);
}

static void
patience_is_no_attempt(void **state)
{
    struct gate *gate = open_gate(
        state, "failing",
        "{\"script\": [\"busy\", \"busy\", \"busy\", \"busy\", \"busy\", \"busy\", \"busy\", "
        "\"busy\", \"busy\", \"busy\", \"busy\", \"busy\"]}");
    struct message_id message = gate_say(gate, gate_begin(gate), "An answer");

    gate_start(gate);
    for (int i = 0; i < 11; i++) {
        gate_assert_state(gate, "busy", message, "sending");
        gate_pass(gate, 2 * US_PER_S);
    }
    gate_assert_state(gate, "busy", message, "sending");
    gate_pass(gate, 2 * US_PER_S);
    gate_assert_state(gate, "at last", message, "sent");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
}

static enum status
replay_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct gate *gate = arg;
    struct dead_letter *letters = NULL;
    size_t count = 0;
    enum status st =
        queue_dead_list(tx, (struct job_id){{""}}, 10, store_tx_arena(tx), &letters, &count, err);

    if (st != ST_OK)
        return st;
    assert_int_equal(count, 1);
    return queue_dead_replay(gate->talk.bed.queue, tx, letters[0].job.id, err);
}

static void
replay(struct gate *gate)
{
    ASSERT_OK(talk_run(&gate->talk, 0, replay_work, gate), &gate->talk.err);
    gate_wait(gate);
}

struct resending {
    struct gate *gate;
    struct message_id id;
};

static enum status
resend_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct resending *r = arg;

    return gateway_resend(r->gate->gateway, tx, r->id, err);
}

static enum status
resend(struct gate *gate, unsigned organization, struct message_id id)
{
    struct resending r = {gate, id};

    return talk_run(&gate->talk, organization, resend_work, &r);
}

/* The provider is away for longer than we try. */
static struct message_id
give_up(struct gate *gate)
{
    enum status away[16];
    struct message_id message = gate_say(gate, gate_begin(gate), "An answer");
    struct channel *channel = gate_channel(gate);

    for (size_t i = 0; i < 16; i++)
        away[i] = ST_UNAVAILABLE;
    channel_failing_command(channel, away, 16);
    gate_start(gate);
    for (int i = 0; i < 16 && gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead == 0; i++)
        gate_pass(gate, LATER_US);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 1);
    gate_assert_state(gate, "given up", message, "failed");
    channel_failing_command(channel, away, 0);
    channel_release(&channel);
    clock_advance_us(gate->talk.clock, LATER_US); /* the breaker's wait is over */
    return message;
}

static void
given_up_is_sent_by_replay(void **state)
{
    struct gate *gate = open_gate(state, "failing", "{}");
    struct message_id message = give_up(gate);

    replay(gate);
    gate_assert_state(gate, "replayed", message, "sent");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
}

static void
given_up_is_sent_by_a_person(void **state)
{
    struct gate *gate = open_gate(state, "failing", "{}");
    struct message_id message = give_up(gate);
    struct gate_part parts[8];

    ASSERT_OK(resend(gate, 0, message), &gate->talk.err);
    gate_wait(gate);
    gate_assert_state(gate, "resent", message, "sent");
    assert_int_equal(gate_parts(gate, message, parts), 1);
    replay(gate); /* the dead letter that stayed finds nothing left to do */
    assert_int_equal(gate_parts(gate, message, parts), 1);
    assert_int_equal(parts[0].attempts, 9); /* eight tries, then the person's */
}

static void
held_is_sent_by_a_person(void **state)
{
    struct gate *gate = open_gate(state, "failing", "{\"script\": [\"uncertain\"]}");
    struct message_id message = gate_say(gate, gate_begin(gate), "An answer");
    struct gate_part parts[8];

    assert_int_equal(resend(gate, 0, message), ST_CONFLICT); /* queued, nothing wrong yet */
    gate_start(gate);
    gate_assert_state(gate, "held", message, "uncertain");
    assert_int_equal(resend(gate, 1, message), ST_NOT_FOUND);
    gate_assert_state(gate, "held", message, "uncertain");
    ASSERT_OK(resend(gate, 0, message), &gate->talk.err);
    gate_wait(gate);
    gate_assert_state(gate, "resent", message, "sent");
    assert_int_equal(gate_parts(gate, message, parts), 1);
    assert_string_equal(parts[0].state, "sent");
    assert_int_equal(resend(gate, 0, message), ST_CONFLICT);
}

/* What a process left behind that was killed within the second of three parts. */
static struct message_id
leave_behind(struct gate *gate)
{
    struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);

    gate_leave_part(gate, message, 0, "sent");
    gate_leave_part(gate, message, 1, "intent");
    return message;
}

static void
part_in_flight_is_held(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{" IN_PARTS "}");
    struct channel *channel = gate_channel(gate);
    struct message_id message = leave_behind(gate);
    struct gate_part parts[8];

    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), 0);
    gate_assert_state(gate, "held", message, "uncertain");
    assert_int_equal(gate_parts(gate, message, parts), 2);
    assert_string_equal(parts[0].state, "sent");
    assert_string_equal(parts[1].state, "uncertain");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
    ASSERT_OK(resend(gate, 0, message), &gate->talk.err);
    gate_wait(gate);
    assert_int_equal(channel_recording_count(channel), PARTS - 1);
    gate_assert_state(gate, "resent", message, "sent");
    channel_release(&channel);
}

static void
part_in_flight_is_resent_where_told_so(void **state)
{
    struct gate *gate =
        open_gate(state, "recording", "{" IN_PARTS ", \"on_uncertain\": \"resend\"}");
    struct channel *channel = gate_channel(gate);
    struct message_id message = leave_behind(gate);
    struct gate_part parts[8];
    struct fake_call call;

    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), PARTS - 1);
    for (unsigned i = 0; i < PARTS - 1; i++) {
        assert_true(channel_recording_get(channel, i, gate->talk.arena, &call));
        assert_int_equal(call.part, i + 1);
        assert_int_equal(call.part_count, PARTS);
    }
    gate_assert_state(gate, "resent", message, "sent");
    assert_int_equal(gate_parts(gate, message, parts), PARTS);
    for (size_t i = 1; i < PARTS; i++)
        assert_true(strcmp(parts[i].state, "sent") == 0 && parts[i].has_external_id);
    channel_release(&channel);
}

static void
replay_goes_on_where_it_ended(void **state)
{
    struct gate *gate =
        open_gate(state, "failing", "{" IN_PARTS ", \"script\": [\"ok\", \"invalid\"]}");
    struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);
    struct gate_part parts[8];

    gate_start(gate);
    gate_assert_state(gate, "failed", message, "failed");
    assert_int_equal(gate_parts(gate, message, parts), 2);
    assert_string_equal(parts[0].state, "sent");
    assert_string_equal(parts[1].state, "failed");
    replay(gate);
    gate_assert_state(gate, "replayed", message, "sent");
    assert_int_equal(gate_parts(gate, message, parts), PARTS);
    assert_int_equal(parts[0].attempts, 1); /* not said twice */
    assert_int_equal(parts[1].attempts, 2);
    assert_int_equal(parts[2].attempts, 1);
}

static void
second_job_changes_nothing(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{" IN_PARTS "}");
    struct channel *channel = gate_channel(gate);
    struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);

    for (int64_t i = 0; i < PARTS; i++)
        gate_leave_part(gate, message, i, "sent");
    gate_start(gate); /* killed between the last outcome and the job's end */
    assert_int_equal(channel_recording_count(channel), 0);
    gate_assert_state(gate, "sent", message, "sent");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).ready, 0);
    channel_release(&channel);
}

static void
chat_hears_in_order(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{}");
    struct channel *channel = gate_channel(gate);
    struct conversation_id id = gate_begin(gate);
    struct fake_call call;

    for (unsigned i = 0; i < 5; i++) {
        char text[] = {(char)('1' + i), 0};

        (void)gate_say(gate, id, text);
    }
    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), 5);
    for (unsigned i = 0; i < 5; i++) {
        char text[] = {(char)('1' + i), 0};

        assert_true(channel_recording_get(channel, i, gate->talk.arena, &call));
        ASSERT_STR(call.text, text);
    }
    channel_release(&channel);
}

static void
set_channel(struct gate *gate, struct str status)
{
    struct talk *talk = &gate->talk;

    ASSERT_OK(channel_set_status(talk->bed.tenants, talk->bed.scopes[0], talk->records[0]->id,
                                 status, STR("a test"), &talk->err),
              &talk->err);
}

static void
disabled_channel_sends_nothing(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}");
    struct message_id message = gate_say(gate, gate_begin(gate), "An answer");
    struct gate_part parts[8];

    set_channel(gate, STR("disabled"));
    gate_start(gate);
    gate_assert_state(gate, "disabled", message, "failed");
    assert_int_equal(gate_parts(gate, message, parts), 0);
    set_channel(gate, STR("active"));
    replay(gate);
    gate_assert_state(gate, "enabled", message, "sent");
}

static void
too_many_parts_are_refused(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{\"max_units\": 2}");
    struct message_id message = gate_say(
        gate, gate_begin(gate),
        "This text is far too long for a provider that takes two letters at a time, "
        "and goes on and on until nobody can follow it any more, as this one does, I am afraid.");
    struct gate_part parts[8];

    gate_start(gate);
    gate_assert_state(gate, "too long", message, "failed");
    assert_int_equal(gate_parts(gate, message, parts), 0);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 1);
}

struct answering {
    struct gate *gate;
    struct outbound_spec spec;
};

static enum status
answer_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct answering *a = arg;
    int64_t seq;
    enum status st =
        conversation_add_outbound(tx, &a->spec, clock_wall_us(a->gate->talk.clock), &seq, err);

    return st == ST_OK ? gateway_queue_outbound(a->gate->gateway, tx, a->spec.id,
                                                a->gate->talk.records[0]->id, STR("u1"), err)
                       : st;
}

static enum status
take_work(struct store_tx *tx, void *arg, struct err *err)
{
    return conversation_hand_over(tx, *(struct conversation_id *)arg, true, (struct user_id){{""}},
                                  err);
}

static struct channel_driver echoing; /* lint-allow(globals): a copy with a bit more */

/* What waits to leave while a person answers in the provider's own app. */
static void
person_overtakes_an_answer(void **state)
{
    static const struct {
        const char *name, *settings;
        bool is_answer, is_echoed; /* else: an agent's word; the team takes it here */
        const char *want;
    } table[] = {
        {"answered there", "{}", true, true, "failed"},
        {"they do not take over", "{\"on_person_echo\": \"ignore\"}", true, true, "sent"},
        {"taken here, where it is seen", "{}", true, false, "sent"},
        {"a colleague's word", "{}", false, true, "sent"},
    };

    echoing = channel_driver_recording;
    echoing.source = "echoing";
    echoing.caps |= CHANNEL_ECHOES;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = calloc(1, sizeof(*gate));
        struct answering a = {.gate = gate};

        assert_non_null(gate);
        *state = gate;
        gate_open(gate, "echoing", table[i].settings, NULL, &echoing);
        a.spec = (struct outbound_spec){.conversation_id = gate_begin(gate),
                                        .id = ID_NEW(message_id),
                                        .role = table[i].is_answer ? "assistant" : "agent",
                                        .body = STR("We open at nine."),
                                        .delivery = "queued",
                                        .answers_from_seq = table[i].is_answer,
                                        .answers_to_seq = table[i].is_answer};
        ASSERT_OK(talk_run(&gate->talk, 0, answer_work, &a), &gate->talk.err);
        if (table[i].is_echoed)
            ASSERT_OK(gate_receive(gate, "{\"id\": \"e1\", \"event\": \"echo\", \"about\": "
                                         "\"theirs\", \"user\": \"u1\", \"chat\": \"u1\", "
                                         "\"text\": \"Come at ten today\"}"),
                      &gate->talk.err);
        else
            ASSERT_OK(talk_run(&gate->talk, 0, take_work, &a.spec.conversation_id),
                      &gate->talk.err);
        gate_start(gate);
        gate_assert_state(gate, table[i].name, a.spec.id, table[i].want);
        if (strcmp(table[i].want, "failed") == 0) {
            ASSERT_OK(resend(gate, 0, a.spec.id), &gate->talk.err);
            gate_wait(gate);
            gate_assert_state(gate, "resent", a.spec.id, "sent");
        }
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)gate_tear_down(state);
    }
}

struct inbox {
    struct arena *arena;
    struct str last; /* the newest event's data */
    int count;
};

static bool
on_inbox(const struct live_event *event, void *context)
{
    struct inbox *inbox = context;

    assert_true(str_eq_c(event->type, "delivery"));
    inbox->last = arena_str(inbox->arena, event->data);
    inbox->count++;
    return true;
}

static void
provider_reports(struct gate *gate, const char *event, const char *about, const char *reported)
{
    struct str body = arena_printf(gate->talk.arena,
                                   "{\"id\": \"%s\", \"event\": \"delivery\", \"about\": \"%s\", "
                                   "\"state\": \"%s\", \"reason\": \"131026: unknown number\"}",
                                   event, about, reported);

    ASSERT_OK(gate_receive(gate, body.ptr), &gate->talk.err);
}

/* The recording driver's ids are sent:1, sent:2, ... */
static void
reports_move_what_was_sent(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{}");
    struct conversation_id id = gate_begin(gate);
    struct message_id first = gate_say(gate, id, "An answer");
    struct channel *channel = gate_channel(gate); /* keeps count of what was sent */
    struct inbox inbox = {.arena = gate->talk.arena};
    struct live_subscription *subscription;
    struct gate_part parts[8];
    struct err *err = &gate->talk.err;

    ASSERT_OK(live_subscribe(gate->live, gate->talk.bed.scopes[0], STR("inbox"), STR_EMPTY,
                             on_inbox, &inbox, &subscription, err),
              err);
    gate_start(gate);
    gate_assert_state(gate, "before", first, "sent");
    provider_reports(gate, "e1", "sent:1", "delivered");
    gate_assert_state(gate, "reported", first, "delivered");
    assert_int_equal(inbox.count, 1);
    ASSERT_STR(inbox.last, arena_printf(gate->talk.arena,
                                        "{\"message_id\":\"%s\",\"conversation_id\":\"%s\","
                                        "\"delivery\":\"delivered\"}",
                                        first.id.text, id.id.text)
                               .ptr);

    /* The provider is faster than our own record. */
    provider_reports(gate, "e2", "sent:2", "read");
    assert_int_equal(inbox.count, 1);
    struct message_id second = gate_say(gate, id, "Another");
    gate_wait(gate);
    gate_assert_state(gate, "early", second, "read");
    assert_int_equal(inbox.count, 2);

    /* What failed after all is sent again when somebody says so, under another id. */
    struct message_id third = gate_say(gate, id, "A third");
    gate_wait(gate);
    provider_reports(gate, "e3", "sent:3", "failed");
    gate_assert_state(gate, "failed", third, "failed");
    ASSERT_STR(talk_conversation(&gate->talk, id).status, STATUS_FAILED);
    assert_int_equal(inbox.count, 3);
    ASSERT_OK(resend(gate, 0, third), err);
    gate_wait(gate);
    gate_assert_state(gate, "sent again", third, "sent");
    assert_int_equal(channel_recording_count(channel), 4);
    assert_int_equal(gate_parts(gate, third, parts), 1);
    assert_int_equal(parts[0].attempts, 2);
    provider_reports(gate, "e4", "sent:4", "delivered");
    gate_assert_state(gate, "at last", third, "delivered");
    live_unsubscribe(&subscription);
    channel_release(&channel);
}

/* A part that was delivered already is not sent again with the others. */
static void
replay_knows_what_was_delivered(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{" IN_PARTS "}");
    struct channel *channel = gate_channel(gate);
    struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);

    gate_leave_part(gate, message, 0, "read");
    gate_leave_part(gate, message, 1, "delivered");
    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), PARTS - 2);
    gate_assert_state(gate, "the rest", message, "sent");
    channel_release(&channel);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(outcome_decides_what_follows),  CASE(answer_that_left_is_noted),
        CASE(patience_is_no_attempt),        CASE(given_up_is_sent_by_replay),
        CASE(given_up_is_sent_by_a_person),  CASE(held_is_sent_by_a_person),
        CASE(part_in_flight_is_held),        CASE(part_in_flight_is_resent_where_told_so),
        CASE(replay_goes_on_where_it_ended), CASE(second_job_changes_nothing),
        CASE(chat_hears_in_order),           CASE(disabled_channel_sends_nothing),
        CASE(too_many_parts_are_refused),    CASE(person_overtakes_an_answer),
        CASE(reports_move_what_was_sent),    CASE(replay_knows_what_was_delivered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
