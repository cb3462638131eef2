/*
 * delivery_test.c - reports of providers: only forward, in any order, before and after our own
 * record
 */
#include "conversation/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "conversation/conversation_test_sql.h"
#include "conversation/talk_suite_test_support.h"
#include "conversation/envelope.h"
#include "text/json.h"

#define RACES 60

/* One thing that happens to a message on its way. */
struct step {
    struct talk *talk;
    struct message_id id;
    struct outbound_spec spec;
    struct inbound inbound;
    struct delivery_change change;
    struct str external_id;
    int64_t part;
};

static enum status
say_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *step = arg;
    int64_t seq;

    return conversation_add_outbound(tx, &step->spec, TALK_START_US, &seq, err);
}

static struct message_id
say(struct talk *talk, struct conversation_id conversation, const char *delivery)
{
    const struct envelope_origin origin = {STR("r1"), TALK_START_US, TALK_START_US, TALK_START_US};
    struct step step = {.talk = talk};
    struct buf envelope;

    buf_init(&envelope, 4096);
    envelope_begin(&envelope, &origin);
    step.spec = (struct outbound_spec){.conversation_id = conversation,
                                       .id = ID_NEW(message_id),
                                       .role = "assistant",
                                       .body = STR("An answer"),
                                       .envelope = buf_str(&envelope),
                                       .delivery = delivery};
    ASSERT_OK(talk_run(talk, 0, say_work, &step), &talk->err);
    buf_deinit(&envelope);
    return step.spec.id;
}

/* As the sender records it: the part, then its id. */
static enum status
part_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *step = arg;
    enum status st =
        store_exec(tx, &SQL_TEST_DELIVERY_PUT,
                   ARGS(sv_id(step->id), sv_int(step->part), sv_text(STR("sent"))), NULL, err);

    return st == ST_OK ? delivery_note_part(tx, step->talk->records[0]->id, step->id, step->part,
                                            step->external_id, TALK_START_US, err)
                       : st;
}

static enum status
end_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *step = arg;
    enum status st = message_set_delivery(tx, step->id, "sent", STR_EMPTY, err);

    return st == ST_OK ? delivery_settle(tx, step->id, TALK_START_US, &step->change, err) : st;
}

static enum status
report_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct step *step = arg;

    return conversation_record_delivery(tx, step->talk->records[0], &step->inbound, TALK_START_US,
                                        &step->change, err);
}

static struct str
external_id(struct talk *talk, struct message_id id, int part)
{
    return arena_printf(talk->arena, "x:%s:%d", id.id.text, part);
}

static enum status
report(struct talk *talk, struct str about, char what, struct delivery_change *change_out)
{
    static const struct {
        char letter;
        enum delivery_state state;
    } states[] = {{'s', DELIVERY_SENT},
                  {'d', DELIVERY_DELIVERED},
                  {'r', DELIVERY_READ},
                  {'f', DELIVERY_FAILED}};
    struct step step = {.talk = talk};

    step.inbound =
        talk_event("delivery", arena_printf(talk->arena, "%.*s:%c", STR_ARG(about), what).ptr, "");
    step.inbound.about_external_message_id = about;
    step.inbound.timestamp_us = TALK_START_US + 5 * US_PER_S;
    step.inbound.delivery_reason = STR("131026: not deliverable");
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (states[i].letter == what)
            step.inbound.delivery_state = states[i].state;
    enum status st = talk_run(talk, 0, report_work, &step);
    *change_out = step.change;
    return st;
}

/* "S0": part 0 is recorded as sent; "E": the end of the message; "d0": it is reported delivered. */
static void
take_step(struct talk *talk, struct message_id id, const char *what)
{
    struct step step = {.talk = talk, .id = id};
    struct delivery_change change;

    if (what[0] != 'E')
        step.part = what[1] - '0';
    step.external_id = external_id(talk, id, (int)step.part);
    if (what[0] == 'S')
        ASSERT_OK(talk_run(talk, 0, part_work, &step), &talk->err);
    else if (what[0] == 'E')
        ASSERT_OK(talk_run(talk, 0, end_work, &step), &talk->err);
    else
        ASSERT_OK(report(talk, step.external_id, what[0], &change), &talk->err);
}

static void
assert_ends(struct talk *talk, struct message_id id, const char *steps, const char *want)
{
    struct message message = talk_get(talk, id);

    if (!str_eq_c(message.delivery, want))
        fail_msg("%s: \"%.*s\", want \"%s\"", steps, STR_ARG(message.delivery), want);
}

static void
states_move_forward_only(void **state)
{
    static const struct {
        const char *steps, *want;
    } table[] = {
        {"S0 E", "sent"},
        {"S0 E s0", "sent"},
        {"S0 E d0", "delivered"},
        {"S0 E r0", "read"},
        {"S0 E d0 r0", "read"},
        {"S0 E r0 d0", "read"},
        {"S0 E f0", "failed"},
        {"S0 E d0 f0", "delivered"},
        {"S0 E f0 d0", "delivered"},
        {"S0 E f0 s0", "failed"},
        {"d0 S0 E", "delivered"},
        {"r0 S0 E", "read"},
        {"f0 S0 E", "failed"},
        {"r0 d0 S0 E s0", "read"},
        {"S0 d0", "sending"},
        {"S0 S1 E d0", "sent"},
        {"S0 S1 E d0 d1", "delivered"},
        {"S0 S1 E d0 d1 r1", "delivered"},
        {"S0 S1 E r0 r1", "read"},
        {"S0 d0 S1 E", "sent"},
        {"S0 d0 d1 S1 E", "delivered"},
        {"S0 S1 E d0 f1", "failed"},
        {"S0 S1 E f1 r0", "failed"},
    };
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct message_id id = say(talk, conversation, "sending");

        for (const char *at = table[i].steps; at != NULL;) {
            take_step(talk, id, at);
            at = strchr(at, ' ');
            at = at == NULL ? NULL : at + 1;
        }
        assert_ends(talk, id, table[i].steps, table[i].want);
    }
}

/* Every order of two parts' records and four reports comes to the same end. */
static void
order_does_not_matter(void **state)
{
    static const char *const steps[] = {"S0", "S1", "d0", "r0", "f1", "d1"};
    enum { COUNT = sizeof(steps) / sizeof(steps[0]) };
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    unsigned orders = 720;

    if (talk_is_on_server()) /* a journey each; the table above and the race below have the rest */
        orders = 24;
    for (unsigned number = 0; number < orders; number++) {
        struct message_id id = say(talk, conversation, "sending");
        const char *left[COUNT];
        char taken[64];
        int length = 0;
        unsigned rest = number, sent = 0;

        memcpy(left, steps, sizeof(steps));
        for (unsigned count = COUNT; count > 0; count--) {
            unsigned pick = rest % count;
            const char *step = left[pick];

            rest /= count;
            left[pick] = left[count - 1];
            take_step(talk, id, step);
            length += snprintf(taken + length, sizeof(taken) - (size_t)length, "%s ", step);
            if (step[0] == 'S' && ++sent == 2)
                take_step(talk, id, "E");
        }
        assert_ends(talk, id, taken, "delivered");
    }
}

static void
what_is_known_is_kept(void **state)
{
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    struct message_id id = say(talk, conversation, "sending");
    struct str about = external_id(talk, id, 0);
    struct delivery_change change;

    take_step(talk, id, "S0");
    take_step(talk, id, "E");
    ASSERT_OK(report(talk, about, 'd', &change), &talk->err);
    assert_true(id_eq(&change.message_id.id, &id.id));
    assert_true(id_eq(&change.conversation_id.id, &conversation.id));
    assert_string_equal(change.delivery, "delivered");
    /* The same report again; another one that says less; one of a message that we never sent. */
    assert_int_equal(report(talk, about, 'd', &change), ST_CONFLICT);
    ASSERT_OK(report(talk, about, 's', &change), &talk->err);
    assert_null(change.delivery);
    ASSERT_OK(report(talk, STR("x:somebody-else"), 'r', &change), &talk->err);
    assert_null(change.delivery);
    ASSERT_OK(report(talk, STR(""), 'r', &change), &talk->err);
    assert_null(change.delivery);
    assert_int_equal(talk_count(talk, 0).events, 4);

    json_auto_t *envelope = NULL;
    struct message message = talk_get(talk, id);
    ASSERT_OK(json_parse(message.envelope, &envelope, &talk->err), &talk->err);
    const json_t *times =
        json_get_object(json_get_object(envelope, "processing"), "processing_timestamps");
    ASSERT_STR(json_get_str(times, "delivered"), "2026-09-21T14:13:25Z");
    assert_true(json_object_get(times, "received") != NULL);
}

struct reading {
    struct message_id id;
    struct arena *arena;
    struct delivery_part *parts;
    size_t count;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct reading *r = arg;

    return delivery_list(tx, r->id, r->arena, &r->parts, &r->count, err);
}

static void
failure_has_its_reason(void **state)
{
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    struct reading r = {.id = say(talk, conversation, "sending"), .arena = talk->arena};

    take_step(talk, r.id, "S0");
    take_step(talk, r.id, "S1");
    take_step(talk, r.id, "E");
    take_step(talk, r.id, "d0");
    take_step(talk, r.id, "f1");
    ASSERT_OK(talk_run(talk, 0, list_work, &r), &talk->err);
    assert_int_equal(r.count, 2);
    ASSERT_STR(r.parts[0].state, "delivered");
    ASSERT_STR(r.parts[0].reason, "");
    ASSERT_STR(r.parts[1].state, "failed");
    ASSERT_STR(r.parts[1].reason, "131026: not deliverable");
    ASSERT_STR(talk_conversation(talk, conversation).status, STATUS_FAILED);
    /* The proof of the contrary takes the reason away. */
    take_step(talk, r.id, "r1");
    ASSERT_OK(talk_run(talk, 0, list_work, &r), &talk->err);
    ASSERT_STR(r.parts[1].state, "read");
    ASSERT_STR(r.parts[1].reason, "");
    assert_ends(talk, r.id, "d0 f1 r1", "delivered");
}

/* Another channel's provider, and another organization's, have ids of their own. */
static void
ids_are_the_channels_own(void **state)
{
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    struct message_id id = say(talk, conversation, "sending");
    struct step step = {.talk = talk, .id = id};

    take_step(talk, id, "S0");
    take_step(talk, id, "E");
    step.inbound = talk_event("delivery", "e1", "");
    step.inbound.about_external_message_id = external_id(talk, id, 0);
    step.inbound.delivery_state = DELIVERY_READ;
    const struct channel_record *own = talk->records[0];
    talk->records[0] = talk->records[1];
    ASSERT_OK(talk_run(talk, 1, report_work, &step), &talk->err); /* there */
    ASSERT_OK(talk_run(talk, 0, report_work, &step), &talk->err); /* here, of another channel */
    talk->records[0] = own;
    assert_null(step.change.delivery);
    assert_ends(talk, id, "elsewhere", "sent");
}

static enum status
put_state_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct step *step = arg;

    return store_exec(tx, &SQL_TEST_DELIVERY_PUT,
                      ARGS(sv_id(step->id), sv_int(step->part), sv_text(step->external_id)), NULL,
                      err);
}

/* By our own reference the provider tells of a part whose answer was lost. */
static void
reference_tells_what_arrived(void **state)
{
    static const struct {
        const char *part, *message; /* before */
        const char *reference;      /* behind the message's id; NULL: none */
        enum delivery_state report;
        bool elsewhere; /* another channel's report */
        const char *want_part, *want_message;
        bool knows_id, resumed;
    } table[] = {
        {"uncertain", "uncertain", ":0", DELIVERY_SENT, false, "sent", "uncertain", true, true},
        {"uncertain", "uncertain", ":0", DELIVERY_READ, false, "read", "uncertain", true, true},
        {"uncertain", "uncertain", ":0", DELIVERY_FAILED, false, "failed", "failed", true, false},
        {"retry", "sending", ":0", DELIVERY_SENT, false, "sent", "sending", true, true},
        {"intent", "sending", ":0", DELIVERY_SENT, false, "intent", "sending", true, false},
        {"intent", "sending", ":0", DELIVERY_READ, false, "intent", "sending", true, false},
        {"sent", "sent", ":0", DELIVERY_READ, false, "sent", "sent", false, false},
        {"failed", "failed", ":0", DELIVERY_READ, false, "failed", "failed", false, false},
        {"uncertain", "uncertain", NULL, DELIVERY_SENT, false, "uncertain", "uncertain", false,
         false},
        {"uncertain", "uncertain", "", DELIVERY_SENT, false, "uncertain", "uncertain", false,
         false},
        {"uncertain", "uncertain", ":1", DELIVERY_SENT, false, "uncertain", "uncertain", false,
         false},
        {"uncertain", "uncertain", ":-1", DELIVERY_SENT, false, "uncertain", "uncertain", false,
         false},
        {"uncertain", "uncertain", "x:0", DELIVERY_SENT, false, "uncertain", "uncertain", false,
         false},
        {"uncertain", "uncertain", ":0", DELIVERY_SENT, true, "uncertain", "uncertain", false,
         false},
    };
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    const struct channel_record *own = talk->records[0];

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct message_id id = say(talk, conversation, table[i].message);
        struct step step = {.talk = talk, .id = id, .external_id = str_from_c(table[i].part)};
        struct reading r = {.id = id, .arena = talk->arena};
        char reference[80];

        ASSERT_OK(talk_run(talk, 0, put_state_work, &step), &talk->err);
        (void)snprintf(reference, sizeof reference, "%s%s", id.id.text,
                       table[i].reference == NULL ? "" : table[i].reference);
        step.inbound = talk_event("delivery", reference, "");
        step.inbound.external_event_id = external_id(talk, id, 9);
        step.inbound.about_external_message_id = external_id(talk, id, 0);
        if (table[i].reference != NULL)
            step.inbound.reference = str_from_c(reference);
        step.inbound.delivery_state = table[i].report;
        talk->records[0] = table[i].elsewhere ? talk->records[1] : own;
        ASSERT_OK(talk_run(talk, 0, report_work, &step), &talk->err);
        talk->records[0] = own;
        assert_ends(talk, id, table[i].part, table[i].want_message);
        ASSERT_OK(talk_run(talk, 0, list_work, &r), &talk->err);
        assert_int_equal(r.count, 1);
        if (!str_eq_c(r.parts[0].state, table[i].want_part) ||
            (r.parts[0].external_message_id.len > 0) != table[i].knows_id ||
            id_is_none(&step.change.resumed.id) == table[i].resumed)
            fail_msg("case %zu: the part is \"%.*s\", resumed \"%s\"", i, STR_ARG(r.parts[0].state),
                     step.change.resumed.id.text);
    }
}

struct racer {
    struct talk *talk;
    struct message_id *ids;
    bool records; /* else it reports */
    enum status failed;
};

/* Threads take no part in the talk's own arena and error. */
static void *
race(void *arg)
{
    struct racer *racer = arg;
    struct talk mine = *racer->talk;

    mine.arena = arena_create(4 * 1024 * 1024);
    for (unsigned i = 0; i < RACES; i++)
        for (int part = 0; part < 2; part++) {
            struct step step = {.talk = &mine, .id = racer->ids[i], .part = part};
            struct delivery_change change;
            enum status st;

            step.external_id = external_id(&mine, step.id, part);
            if (racer->records) {
                st = talk_run(&mine, 0, part_work, &step);
                if (st == ST_OK && part == 1)
                    st = talk_run(&mine, 0, end_work, &step);
            } else {
                st = report(&mine, step.external_id, 'r', &change);
            }
            if (st != ST_OK)
                racer->failed = st;
        }
    arena_destroy(&mine.arena);
    return NULL;
}

static void
reports_race_with_our_record(void **state)
{
    struct talk *talk = *state;
    struct conversation_id conversation = talk_hear(talk, "m1", "u1", "c1", "Hi").conversation_id;
    struct message_id ids[RACES];
    struct racer racers[2] = {{talk, ids, true, ST_OK}, {talk, ids, false, ST_OK}};
    pthread_t threads[2];

    for (unsigned i = 0; i < RACES; i++)
        ids[i] = say(talk, conversation, "sending");
    for (unsigned i = 0; i < 2; i++)
        ASSERT_OK(thread_start("racer", race, &racers[i], &threads[i], &talk->err), &talk->err);
    for (unsigned i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failed, ST_OK);
    }
    for (unsigned i = 0; i < RACES; i++)
        assert_ends(talk, ids[i], "race", "read");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TALK_CASE(states_move_forward_only),     TALK_CASE(order_does_not_matter),
        TALK_CASE(what_is_known_is_kept),        TALK_CASE(failure_has_its_reason),
        TALK_CASE(ids_are_the_channels_own),     TALK_CASE(reports_race_with_our_record),
        TALK_CASE(reference_tells_what_arrived),
    };
    int failed;

    if (!talk_suite_begin(argc, argv, "delivery"))
        return PGSQL_SKIPPED;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    talk_suite_end();
    return failed;
}
