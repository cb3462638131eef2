/*
 * window_test.c - the provider's window as a table: who closes it, when, and what becomes of the
 * text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway_test_support.h"
#include "store/pgsql_test_support.h"
#include "text/json.h"

#define LONG_TEXT "One one. Two two. Three 3."
#define TEMPLATE                                                                                   \
    "\"window_template\": {\"name\": \"we_are_back\", \"language\": \"en\", \"parameters\": "      \
    "[\"Shop\", \"{text}\"]}"

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

static struct gate *
open_gate(void **state, const char *source, const char *settings)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    struct pgsql_database database;

    assert_non_null(gate);
    if (server.pid > 0) {
        pgsql_database_make(&server, &database);
        (void)setenv("PARLEY_TEST_DATABASE_URL", database.url, 1);
    }
    gate_open(gate, source, settings, NULL, NULL);
    *state = gate;
    return gate;
}

/* parts: "replaced sent", in their order. */
static void
assert_parts(struct gate *gate, const char *name, struct message_id id, const char *want)
{
    struct gate_part parts[8];
    size_t count = gate_parts(gate, id, parts);
    struct str states = STR("");

    for (size_t i = 0; i < count; i++)
        states = arena_printf(gate->talk.arena, "%.*s%s%s", STR_ARG(states), i == 0 ? "" : " ",
                              parts[i].state);
    if (!str_eq_c(states, want))
        fail_msg("%s: parts \"%.*s\", want \"%s\"", name, STR_ARG(states), want);
}

static struct fake_call
call_at(struct gate *gate, struct channel *channel, size_t index)
{
    struct fake_call call;

    assert_true(channel_recording_get(channel, index, gate->talk.arena, &call));
    return call;
}

/* The recording driver's ids are sent:1, sent:2, ... */
static void
provider_reports(struct gate *gate, const char *event, const char *about, const char *reported)
{
    struct str body = arena_printf(gate->talk.arena,
                                   "{\"id\": \"%s\", \"event\": \"delivery\", \"about\": \"%s\", "
                                   "\"state\": \"%s\", \"reason\": \"131047: too late\"}",
                                   event, about, reported);

    ASSERT_OK(gate_receive(gate, body.ptr), &gate->talk.err);
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

static void
resend(struct gate *gate, struct message_id id)
{
    struct resending r = {gate, id};

    ASSERT_OK(talk_run(&gate->talk, 0, resend_work, &r), &gate->talk.err);
    gate_wait(gate);
}

/* How long ago the person wrote decides what may be sent. */
static void
window_closes_after_a_day(void **state)
{
    static const int64_t hour_us = INT64_C(3600) * US_PER_S;
    static const char with_template[] = "{" TEMPLATE ", \"max_units\": 9}";
    static const struct {
        const char *name, *settings;
        int64_t silence_us; /* besides the second that the message took */
        const char *text;   /* what the provider got first; NULL: nothing */
        const char *delivery;
        size_t calls;
        int64_t escalations;
    } table[] = {
        {"within", "{}", 0, "One one.\nTwo **two**", "sent", 1, 0},
        {"just within", "{}", 24 * hour_us - 62 * US_PER_S, "One one.\nTwo **two**", "sent", 1, 0},
        {"closed", "{}", 24 * hour_us, NULL, "failed", 0, 1},
        {"in the last minute", "{}", 24 * hour_us - 61 * US_PER_S, NULL, "failed", 0, 1},
        {"template", with_template, 25 * hour_us, "we_are_back(Shop|One one. Two two)", "sent", 1,
         0},
        {"open, in parts", with_template, 0, "One one.", "sent", 3, 0},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(state, "recording", table[i].settings);
        struct channel *channel = gate_channel(gate);
        struct conversation_id id = gate_begin(gate);
        struct fake_call call = {.text = STR_EMPTY};

        clock_advance_us(gate->talk.clock, table[i].silence_us);
        struct message_id message = gate_say(gate, id, "One one.\nTwo **two**");
        gate_start(gate);
        gate_assert_state(gate, table[i].name, message, table[i].delivery);
        if (channel_recording_count(channel) != table[i].calls ||
            (table[i].text != NULL &&
             (!channel_recording_get(channel, 0, gate->talk.arena, &call) ||
              !str_eq_c(call.text, table[i].text))))
            fail_msg("%s: %zu calls, \"%.*s\"", table[i].name, channel_recording_count(channel),
                     STR_ARG(call.text));
        assert_int_equal(talk_count(&gate->talk, 0).escalations, table[i].escalations);
        ASSERT_STR(talk_conversation(&gate->talk, id).status,
                   table[i].escalations > 0 ? STATUS_FAILED : STATUS_USER_REPLY_RECEIVED);
        assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
        if (table[i].escalations > 0) {
            /* Once the person has written again, staff's resend goes through. */
            assert_parts(gate, table[i].name, message, "window_closed");
            (void)talk_hear(&gate->talk, "m2", "u1", "u1", "Still there?");
            resend(gate, message);
            gate_assert_state(gate, table[i].name, message, "sent");
        }
        channel_release(&channel);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)gate_tear_down(state);
    }
}

/* Refused at once, whatever our clock says. A template that is refused, too, is the end. */
static void
provider_closes_at_once(void **state)
{
    static const struct {
        const char *name, *settings, *delivery, *parts;
        int64_t escalations;
    } table[] = {
        {"template", "{\"script\": [\"conflict\", \"ok\"], " TEMPLATE "}", "sent", "replaced sent",
         0},
        {"no template", "{\"script\": [\"conflict\"]}", "failed", "window_closed", 1},
        {"template refused", "{\"script\": [\"conflict\", \"conflict\", \"ok\"], " TEMPLATE "}",
         "failed", "replaced window_closed", 1},
        {"amid the text",
         "{\"script\": [\"ok\", \"conflict\", \"ok\"], \"max_units\": 9, " TEMPLATE "}", "sent",
         "replaced replaced sent", 0},
        {"template waits for its turn",
         "{\"script\": [\"conflict\", \"unavailable\", \"ok\"], " TEMPLATE "}", "sent",
         "replaced sent", 0},
        {"template is no more", "{\"script\": [\"conflict\", \"invalid\"], " TEMPLATE "}", "failed",
         "replaced failed", 1},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(state, "failing", table[i].settings);
        struct conversation_id id = gate_begin(gate);
        struct message_id message = gate_say(gate, id, LONG_TEXT);
        bool is_dead = strcmp(table[i].name, "template is no more") == 0;

        gate_start(gate);
        gate_pass(gate, INT64_C(700) * US_PER_S); /* longer than any back-off */
        gate_assert_state(gate, table[i].name, message, table[i].delivery);
        assert_parts(gate, table[i].name, message, table[i].parts);
        assert_int_equal(talk_count(&gate->talk, 0).escalations, table[i].escalations);
        assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, is_dead);
        ASSERT_STR(talk_conversation(&gate->talk, id).status,
                   strcmp(table[i].delivery, "failed") == 0 ? STATUS_FAILED
                                                            : STATUS_USER_REPLY_RECEIVED);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)gate_tear_down(state);
    }
}

/* Taken, and refused by a report. What is still said of the text then moves nothing. */
static void
provider_closes_later(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{" TEMPLATE "}");
    struct channel *channel = gate_channel(gate);
    struct conversation_id id = gate_begin(gate);
    struct message_id message = gate_say(gate, id, LONG_TEXT);
    json_auto_t *metadata = NULL;

    gate_start(gate);
    provider_reports(gate, "e1", "sent:1", "window_closed");
    assert_parts(gate, "reported", message, "replaced sent");
    gate_assert_state(gate, "reported", message, "sent");
    assert_int_equal(channel_recording_count(channel), 2);
    ASSERT_STR(call_at(gate, channel, 1).text, "we_are_back(Shop|" LONG_TEXT ")");
    assert_int_equal(call_at(gate, channel, 1).part, 1); /* our reference of it is another */
    assert_int_equal(gate_receive(gate, "{\"id\": \"e1\", \"event\": \"delivery\", \"about\": "
                                        "\"sent:1\", \"state\": \"window_closed\"}"),
                     ST_OK);
    provider_reports(gate, "e2", "sent:1", "sent");
    provider_reports(gate, "e3", "sent:1", "failed");
    gate_assert_state(gate, "late words", message, "sent");
    provider_reports(gate, "e4", "sent:2", "delivered");
    gate_assert_state(gate, "arrived", message, "delivered");
    assert_int_equal(channel_recording_count(channel), 2);
    assert_int_equal(talk_count(&gate->talk, 0).escalations, 0);
    channel_release(&channel);

    ASSERT_OK(json_parse(talk_get(&gate->talk, message).metadata, &metadata, &gate->talk.err),
              &gate->talk.err);
    ASSERT_STR(json_get_str(json_get_object(metadata, "window"), "closed_by"), "provider");
}

static void
nothing_takes_its_place(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{}");
    struct channel *channel = gate_channel(gate);
    struct conversation_id id = gate_begin(gate);
    struct message_id message = gate_say(gate, id, LONG_TEXT);

    gate_start(gate);
    provider_reports(gate, "e1", "sent:1", "window_closed");
    gate_assert_state(gate, "reported", message, "failed");
    assert_parts(gate, "reported", message, "window_closed");
    ASSERT_STR(talk_conversation(&gate->talk, id).status, STATUS_FAILED);
    provider_reports(gate, "e2", "sent:1", "window_closed");
    assert_int_equal(talk_count(&gate->talk, 0).escalations, 1);
    assert_int_equal(channel_recording_count(channel), 1);
    /* That the person has it proves the provider wrong. */
    provider_reports(gate, "e3", "sent:1", "read");
    gate_assert_state(gate, "read after all", message, "read");
    channel_release(&channel);
}

/* The report is faster than our own record of the send. */
static void
provider_closes_before_we_know(void **state)
{
    static const struct {
        const char *settings, *delivery, *parts;
        int64_t escalations;
    } table[] = {{"{" TEMPLATE "}", "sent", "replaced sent", 0},
                 {"{}", "failed", "window_closed", 1}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(state, "recording", table[i].settings);
        struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);

        ASSERT_OK(gate_receive(gate,
                               "{\"id\": \"e1\", \"event\": \"delivery\", \"about\": "
                               "\"sent:1\", \"state\": \"window_closed\", \"reason\": \"x\"}"),
                  &gate->talk.err);
        gate_start(gate);
        gate_assert_state(gate, table[i].settings, message, table[i].delivery);
        assert_parts(gate, table[i].settings, message, table[i].parts);
        assert_int_equal(talk_count(&gate->talk, 0).escalations, table[i].escalations);
        if (i == 0)
            (void)gate_tear_down(state);
    }
}

/* It had the try whose answer got lost, and the next one waits: that must not leave once a person
 * was asked, whoever resends it then. */
static void
refused_try_is_the_last(void **state)
{
    static const struct {
        const char *state;
        int64_t escalations;
    } table[] = {{"window_closed", 1}, {"failed", 0}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(
            state, "failing", "{\"script\": [\"uncertain\"], \"on_uncertain\": \"resend\"}");
        struct conversation_id id = gate_begin(gate);
        struct message_id message = gate_say(gate, id, LONG_TEXT);

        gate_start(gate);
        assert_parts(gate, "waits", message, "retry");
        struct str body =
            arena_printf(gate->talk.arena,
                         "{\"id\": \"e1\", \"event\": \"delivery\", \"about\": \"lost\", "
                         "\"state\": \"%s\", \"reference\": \"%s:0\"}",
                         table[i].state, message.id.text);

        ASSERT_OK(gate_receive(gate, body.ptr), &gate->talk.err);
        gate_pass(gate, INT64_C(700) * US_PER_S); /* longer than any back-off */
        gate_assert_state(gate, table[i].state, message, "failed");
        assert_parts(gate, "refused", message, table[i].state);
        assert_int_equal(talk_count(&gate->talk, 0).escalations, table[i].escalations);
        assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
        resend(gate, message);
        gate_assert_state(gate, "resent", message, "sent");
        if (i == 0)
            (void)gate_tear_down(state);
    }
}

/* Of as many parts as a text may have. */
static void
template_replaces_the_longest(void **state)
{
    enum { PARTS = 64 };
    struct gate *gate = open_gate(state, "recording", "{\"max_units\": 9, " TEMPLATE "}");
    struct channel *channel = gate_channel(gate);
    struct str text = STR("");

    for (unsigned i = 0; i < PARTS; i++)
        text = arena_printf(gate->talk.arena, "%.*sOne one. ", STR_ARG(text));
    struct message_id message = gate_say(gate, gate_begin(gate), text.ptr);

    gate_start(gate);
    gate_assert_state(gate, "text", message, "sent");
    assert_int_equal(channel_recording_count(channel), PARTS);
    provider_reports(gate, "e1", "sent:1", "window_closed");
    assert_int_equal(channel_recording_count(channel), PARTS + 1);
    assert_int_equal(call_at(gate, channel, PARTS).part, PARTS);
    gate_assert_state(gate, "template", message, "sent");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_OUTBOUND).dead, 0);
    channel_release(&channel);
}

/* All parts of a text are refused, and told of in any order: one template leaves. */
static void
template_replaces_all_parts(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{\"max_units\": 9, " TEMPLATE "}");
    struct channel *channel = gate_channel(gate);
    struct message_id message = gate_say(gate, gate_begin(gate), LONG_TEXT);

    gate_start(gate);
    assert_int_equal(channel_recording_count(channel), 3);
    provider_reports(gate, "e2", "sent:2", "window_closed");
    provider_reports(gate, "e1", "sent:1", "window_closed");
    provider_reports(gate, "e3", "sent:3", "window_closed");
    assert_int_equal(channel_recording_count(channel), 4);
    assert_parts(gate, "refused", message, "replaced replaced replaced sent");
    provider_reports(gate, "e4", "sent:4", "read");
    gate_assert_state(gate, "read", message, "read");
    assert_int_equal(talk_count(&gate->talk, 0).escalations, 0);
    channel_release(&channel);
}

/* A template that is refused for the window ends: a person is asked, once. Their resend tries the
 * text, since the person may have written meanwhile. */
static void
refused_template_ends(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{" TEMPLATE "}");
    struct channel *channel = gate_channel(gate);
    struct conversation_id id = gate_begin(gate);
    struct message_id message = gate_say(gate, id, LONG_TEXT);

    gate_start(gate);
    provider_reports(gate, "e1", "sent:1", "window_closed");
    provider_reports(gate, "e2", "sent:2", "window_closed");
    gate_assert_state(gate, "refused", message, "failed");
    assert_parts(gate, "refused", message, "replaced window_closed");
    assert_int_equal(talk_count(&gate->talk, 0).escalations, 1);
    assert_int_equal(channel_recording_count(channel), 2);

    resend(gate, message);
    assert_int_equal(channel_recording_count(channel), 3);
    ASSERT_STR(call_at(gate, channel, 2).text, LONG_TEXT);
    gate_assert_state(gate, "resent", message, "sent");
    assert_parts(gate, "resent", message, "sent");
    ASSERT_STR(talk_get(&gate->talk, message).metadata, "{}");
    provider_reports(gate, "e3", "sent:3", "window_closed");
    assert_parts(gate, "refused again", message, "replaced sent");
    channel_release(&channel);
}

int
main(int argc, char **argv)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(window_closes_after_a_day),      CASE(provider_closes_at_once),
        CASE(provider_closes_later),          CASE(nothing_takes_its_place),
        CASE(provider_closes_before_we_know), CASE(template_replaces_all_parts),
        CASE(refused_template_ends),          CASE(refused_try_is_the_last),
        CASE(template_replaces_the_longest),
    };

    bool on_server = argc > 1 && strcmp(argv[1], "pgsql") == 0;
    int failed;

    if (on_server && !pgsql_server_start(&server)) {
        (void)fprintf(stderr, "gateway/window: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (on_server)
        pgsql_server_stop(&server);
    return failed;
}
