/*
 * intake_test.c - what is kept in a flood is recorded later: once, in order, and nothing is lost
 *
 * On SQLite; with the argument "pgsql" on a PostgreSQL server of its own.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/thread.h"
#include "channel/inbound_bytes.h"
#include "conversation/intake.h"
#include "gateway/gateway_private.h"
#include "gateway/gateway_test_support.h"
#include "gateway/recording.h"
#include "store/pgsql_test_support.h"
#include "text/json.h"

#define WRITERS 8
#define EACH 40

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

/* All that comes in turn is kept; nobody records until start() is called. */
static int
set_up(void **state)
{
    const struct gateway_config config = {.record_at_once = 0, .recorders = 2};
    struct gate *gate = calloc(1, sizeof(*gate));
    struct pgsql_database database;

    assert_non_null(gate);
    if (server.pid > 0) {
        pgsql_database_make(&server, &database);
        (void)setenv("PARLEY_TEST_DATABASE_URL", database.url, 1);
    }
    gate_open(gate, "fake", "{}", &config, NULL);
    *state = gate;
    return 0;
}

/* Until the recorders have nothing to do at this time. (The answers' jobs stay: nobody makes them.)
 */
static void
wait_recorded(struct gate *gate)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + GATE_WAIT_MS * US_PER_MS;
    struct queue_counts counts = gate_jobs(gate, QUEUE_TOPIC_INTAKE);

    while (counts.ready + counts.leased > 0) {
        assert_true(clock_mono_us(clock_system()) < deadline_us);
        counts = gate_jobs(gate, QUEUE_TOPIC_INTAKE);
    }
}

static void
start(struct gate *gate)
{
    ASSERT_OK(gateway_start(gate->gateway, NULL, &gate->talk.err), &gate->talk.err);
    wait_recorded(gate);
}

static void receive(struct gate *gate, const char *format, ...) PRINTF_LIKE(2, 3);

static void
receive(struct gate *gate, const char *format, ...)
{
    char body[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(body, sizeof(body), format, args);
    va_end(args);
    ASSERT_OK(gate_receive_in_turn(gate, body), &gate->talk.err);
}

static void
receive_message(struct gate *gate, const char *id, const char *chat)
{
    receive(gate, "{\"id\": \"%s\", \"user\": \"%s\", \"chat\": \"%s\", \"text\": \"I am %s\"}", id,
            chat, chat, id);
}

/* A chat's texts in order of seq: "I am m1,I am m2," */
struct chat_reading {
    struct gate *gate;
    const char *chat;
    struct str text;
};

static enum status
read_chat_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct chat_reading *r = arg;
    struct arena *arena = r->gate->talk.arena;
    struct conversation conversation;
    struct message *messages;
    size_t count;
    enum status st = conversation_get_by_chat(tx, r->gate->talk.records[0]->id, str_from_c(r->chat),
                                              arena, &conversation, err);

    r->text = STR("");
    if (st == ST_OK)
        st = message_list(tx, conversation.id, 0, 1000, arena, &messages, &count, err);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        assert_int_equal(messages[i].seq, i + 1);
        r->text = arena_printf(arena, "%.*s%.*s,", STR_ARG(r->text), STR_ARG(messages[i].body));
    }
    return st;
}

static struct str
texts_of(struct gate *gate, const char *chat)
{
    struct chat_reading reading = {.gate = gate, .chat = chat};

    ASSERT_OK(talk_run(&gate->talk, 0, read_chat_work, &reading), &gate->talk.err);
    return reading.text;
}

static enum status
any_work(struct store_tx *tx, void *arg, struct err *err)
{
    return intake_any(tx, arg, err);
}

static bool
any_waits(struct gate *gate)
{
    bool any = false;

    ASSERT_OK(store_read(gate->talk.bed.store, gate->talk.bed.scopes[0], "test", any_work, &any,
                         &gate->talk.err),
              &gate->talk.err);
    return any;
}

static void
end_flood(struct gate *gate)
{
    gate->gateway->config.record_at_once = 100;
    atomic_store(&gate->gateway->flooded_at_us, 0);
}

static void
flood_is_recorded_in_order(void **state)
{
    struct gate *gate = *state;

    receive_message(gate, "m1", "c1");
    receive_message(gate, "m2", "c2");
    receive_message(gate, "m3", "c1");
    receive_message(gate, "m4", "c1");
    assert_int_equal(gate->result.messages, 0);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 0);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INTAKE).ready, 1); /* one for all */
    clock_advance_us(gate->talk.clock, US_PER_S);
    start(gate);
    ASSERT_STR(texts_of(gate, "c1"), "I am m1,I am m3,I am m4,");
    ASSERT_STR(texts_of(gate, "c2"), "I am m2,");
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 2); /* a conversation each */
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INTAKE).ready, 0);
    assert_false(any_waits(gate));
}

/* Fewer are under way for a moment: to look whether any waits would be in vain for all of them. */
static void
flood_that_draws_breath_goes_on(void **state)
{
    struct gate *gate = *state;

    gate->gateway->config.record_at_once = 100;
    gateway_note_flood(gate->gateway);
    receive_message(gate, "m1", "c1");
    assert_int_equal(gate->result.messages, 0);
    end_flood(gate);
    start(gate);
    ASSERT_STR(texts_of(gate, "c1"), "I am m1,");
    receive_message(gate, "m2", "c1");
    assert_int_equal(gate->result.messages, 1);
}

struct newest {
    struct gate *gate;
    struct message message;
};

static enum status
newest_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct newest *newest = arg;
    struct talk *talk = &newest->gate->talk;
    struct str name = arena_printf(talk->arena, "%s:m1", talk->records[0]->id.id.text);
    struct message_id id;
    enum status st = message_find_external(tx, STR("fake"), name, &id, err);

    return st == ST_OK ? message_get(tx, id, talk->arena, &newest->message, err) : st;
}

/* When it was accepted, not when it was recorded; and who asked. */
static void
message_keeps_its_time_and_its_envelope(void **state)
{
    struct gate *gate = *state;
    struct newest newest = {.gate = gate};

    receive_message(gate, "m1", "c1");
    clock_advance_us(gate->talk.clock, 60 * US_PER_S);
    start(gate);
    ASSERT_OK(talk_run(&gate->talk, 0, newest_work, &newest), &gate->talk.err);
    assert_int_equal(newest.message.created_at_us, TALK_START_US);
    assert_true(str_find(newest.message.envelope, STR("0af7651916cd43dd8448eb211c80319c")) >= 0);
}

static void
others_wait_behind(void **state)
{
    struct gate *gate = *state;

    receive_message(gate, "m1", "c1");
    end_flood(gate);
    receive_message(gate, "m2", "c1");
    receive(gate, "{\"id\": \"e1\", \"chat\": \"c1\", \"event\": \"reaction\"}");
    assert_int_equal(gate->result.messages + gate->result.events, 0);
    assert_int_equal(talk_count(&gate->talk, 0).events, 0);
    /* One who needs the ids, as the web chat does, does not wait. */
    ASSERT_OK(gate_receive(gate, "{\"id\": \"w1\", \"user\": \"u9\", \"chat\": \"c9\"}"),
              &gate->talk.err);
    assert_int_equal(gate->result.messages, 1);
    start(gate);
    ASSERT_STR(texts_of(gate, "c1"), "I am m1,I am m2,");
    assert_int_equal(talk_count(&gate->talk, 0).events, 1);
    receive_message(gate, "m3", "c1");
    assert_int_equal(gate->result.messages, 1); /* at once again */
    receive(gate, "{\"id\": \"e2\", \"chat\": \"c1\", \"event\": \"reaction\"}");
    assert_int_equal(gate->result.events, 1);
    ASSERT_STR(texts_of(gate, "c1"), "I am m1,I am m2,I am m3,");
}

static void
duplicates_have_no_effect(void **state)
{
    struct gate *gate = *state;
    struct talk_counts counts;

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    for (int i = 0; i < 3; i++) {
        receive_message(gate, "m1", "c1");
        receive_message(gate, "m2", "c1");
        receive(gate, "{\"id\": \"e1\", \"chat\": \"c1\", \"event\": \"reaction\"}");
    }
    start(gate);
    counts = talk_count(&gate->talk, 0);
    assert_int_equal(counts.messages, 2);
    assert_int_equal(counts.events, 1);
    assert_int_equal(counts.quarantined, 0);
    ASSERT_STR(texts_of(gate, "c1"), "Hello,I am m2,");
    assert_false(any_waits(gate));
}

static enum status
put_damaged(struct store_tx *tx, void *arg, struct err *err)
{
    const struct gate *gate = arg;
    const struct intake_item item = {.id = ID_NEW(message_id),
                                     .channel_id = gate->talk.records[0]->id,
                                     .envelope = STR(""),
                                     .item = STR("\x01 damaged")};

    bool is_first;

    return intake_put(tx, &item, &is_first, err);
}

/* What can never be recorded is kept for the operator, and keeps nobody waiting. */
static void
unrecordable_goes_to_the_quarantine(void **state)
{
    struct gate *gate = *state;

    receive_message(gate, "m1", "c1");
    ASSERT_OK(talk_run(&gate->talk, 0, put_damaged, gate), &gate->talk.err);
    receive_message(gate, "m2", "c1");
    start(gate);
    assert_int_equal(talk_count(&gate->talk, 0).quarantined, 1);
    ASSERT_STR(texts_of(gate, "c1"), "I am m1,I am m2,");
    receive_message(gate, "m3", "c1");
    ASSERT_OK(channel_delete(gate->talk.bed.tenants, gate->talk.bed.scopes[0],
                             gate->talk.records[0]->id, &gate->talk.err),
              &gate->talk.err);
    wait_recorded(gate);
    assert_false(any_waits(gate));
}

#ifdef PARLEY_WITH_FAILPOINTS
static bool
is_writable(struct gate *gate)
{
    struct store_health health;

    store_get_health(gate->talk.bed.store, &health);
    return health.writable;
}

static void
failure_of_the_store_keeps_all_in_order(void **state)
{
    struct gate *gate = *state;
    int64_t deadline_us = clock_mono_us(clock_system()) + GATE_WAIT_MS * US_PER_MS;
    struct err err;

    for (int i = 0; i < 30; i++) {
        char id[16], chat[16];

        (void)snprintf(id, sizeof(id), "m%02d", i);
        (void)snprintf(chat, sizeof(chat), "c%d", i % 3);
        receive_message(gate, id, chat);
    }
    ASSERT_OK(failpoint_configure("store.disk_full=error:2", &err), &err); /* not the claim */
    ASSERT_OK(gateway_start(gate->gateway, NULL, &err), &err);
    while (is_writable(gate))
        assert_true(clock_mono_us(clock_system()) < deadline_us);
    ASSERT_OK(failpoint_configure("", &err), &err);
    while (any_waits(gate)) { /* a lease that could not be given back ends by its time */
        assert_true(clock_mono_us(clock_system()) < deadline_us);
        clock_advance_us(gate->talk.clock, 600 * US_PER_S);
        ASSERT_OK(queue_sweep(gate->talk.bed.queue, &err), &err);
    }
    ASSERT_STR(texts_of(gate, "c0"),
               "I am m00,I am m03,I am m06,I am m09,I am m12,I am m15,I am m18,I am m21,I am m24,"
               "I am m27,");
    ASSERT_STR(texts_of(gate, "c2"),
               "I am m02,I am m05,I am m08,I am m11,I am m14,I am m17,I am m20,I am m23,I am m26,"
               "I am m29,");
    assert_false(any_waits(gate));
}
#else
SKIPPED_WITHOUT_FAILPOINTS(failure_of_the_store_keeps_all_in_order)
#endif

/* What comes while the recorder rests between two pages, when the rows before are gone. */
static void
nobody_overtakes_between_pages(void **state)
{
    struct gate *gate = *state;
    int64_t deadline_us = clock_mono_us(clock_system()) + GATE_WAIT_MS * US_PER_MS;

    gate->gateway->config.record_at_once = 2;
    atomic_store(&gate->gateway->receiving, 100); /* a flood that goes on: it rests */
    receive_message(gate, "m0", "c1");
    ASSERT_OK(gateway_start(gate->gateway, NULL, &gate->talk.err), &gate->talk.err);
    for (int i = 1; i <= 9; i += 3) {
        char id[8] = "m?";

        while (any_waits(gate))
            assert_true(clock_mono_us(clock_system()) < deadline_us);
        for (int k = 0; k < 3; k++) {
            id[1] = (char)('0' + i + k);
            receive_message(gate, id, "c1");
        }
    }
    wait_recorded(gate);
    ASSERT_STR(texts_of(gate, "c1"), "I am m0,I am m1,I am m2,I am m3,I am m4,I am m5,I am m6,"
                                     "I am m7,I am m8,I am m9,");
    atomic_store(&gate->gateway->receiving, 0);
}

struct writer {
    struct gate *gate;
    unsigned number;
};

static void *
write_messages(void *arg)
{
    const struct writer *w = arg;
    const struct talk *talk = &w->gate->talk;
    struct arena *arena = arena_create(1024 * 1024);

    for (unsigned i = 0; i < EACH; i++) {
        char body[200];
        struct gateway_result result;
        struct webhook webhook;
        struct err err;

        arena_reset(arena);
        (void)snprintf(
            body, sizeof(body),
            "{\"id\": \"%u-%u\", \"user\": \"u%u\", \"chat\": \"c%u\", \"text\": \"%u\"}",
            w->number, i, w->number, w->number, i);
        webhook = (struct webhook){.body = str_from_c(body)};
        ASSERT_OK(gateway_receive(w->gate->gateway, talk->bed.scopes[0], talk->records[0], &webhook,
                                  true, STR("t"), arena, &result, &err),
                  &err);
    }
    arena_destroy(&arena);
    return NULL;
}

/* The recorder at work while some wait and others do not: each chat stays in its writer's order. */
static void
order_holds_between_both_ways(void **state)
{
    struct gate *gate = *state;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];

    gate->gateway->config.record_at_once = 2;
    start(gate);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){gate, i};
        ASSERT_OK(thread_start("writer", write_messages, &writers[i], &threads[i], &gate->talk.err),
                  &gate->talk.err);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        (void)pthread_join(threads[i], NULL);
    wait_recorded(gate);
    assert_false(any_waits(gate));
    for (unsigned i = 0; i < WRITERS; i++) {
        char chat[8], expected[EACH * 4] = "";

        for (unsigned n = 0; n < EACH; n++)
            (void)snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%u,",
                           n);
        (void)snprintf(chat, sizeof(chat), "c%u", i);
        ASSERT_STR(texts_of(gate, chat), expected);
    }
}

/* --- what comes in one batch --- */

#define TOGETHER 7

struct held {
    struct gate *gate;
    atomic_bool runs, go;
};

static enum status
hold_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct held *held = arg;

    (void)tx;
    (void)err;
    atomic_store(&held->runs, true);
    while (!atomic_load(&held->go))
        (void)sched_yield();
    return ST_OK;
}

static void *
hold(void *arg)
{
    struct held *held = arg;
    const struct bed *bed = &held->gate->talk.bed;
    struct err err;

    ASSERT_OK(store_run(bed->store, bed->scopes[0], "hold", STORE_RELAXED, hold_work, held, &err),
              &err);
    return NULL;
}

struct together {
    struct inbound item;
    struct recording recording;
    atomic_bool done;
    enum status got;
};

static void
on_together(enum status st, struct err *err, void *context)
{
    struct together *one = context;

    (void)err;
    one->got = st;
    atomic_store(&one->done, true);
}

/* All items come while another's transaction holds the organization, and so are one batch. */
static void
record_together(struct gate *gate, struct together *items, size_t count)
{
    struct talk *talk = &gate->talk;
    struct channel *channel = gate_channel(gate);
    struct held held = {.gate = gate};
    pthread_t holder;

    ASSERT_OK(thread_start("holder", hold, &held, &holder, &talk->err), &talk->err);
    while (!atomic_load(&held.runs))
        (void)sched_yield();
    for (size_t i = 0; i < count; i++) {
        enum recording_turn turn = items[i].recording.turn;

        recording_init(&items[i].recording, gate->gateway, talk->records[0], channel,
                       &items[i].item, STR("{}"), talk->arena);
        items[i].recording.turn = turn;
        store_submit(talk->bed.store, talk->bed.scopes[0], "gateway_receive", STORE_DURABLE,
                     recording_run, &items[i].recording, talk->arena, on_together, &items[i]);
    }
    atomic_store(&held.go, true);
    (void)pthread_join(holder, NULL);
    for (size_t i = 0; i < count; i++) {
        while (!atomic_load(&items[i].done))
            (void)sched_yield();
        assert_int_equal(items[i].got, ST_OK);
    }
    channel_release(&channel);
}

static struct together
message_of(struct gate *gate, const char *id, const char *chat, enum recording_turn turn)
{
    return (struct together){.item = talk_message(&gate->talk, id, chat, chat, id),
                             .recording = {.turn = turn}};
}

/* A stranger's first messages ask the server twice: are they known; then all that are not, of which
 * it takes the first. The others come a turn later than what asks once: the word that starts anew,
 * an edit. */
static void
nobody_overtakes_in_a_batch(void **state)
{
    struct gate *gate = *state;
    struct together items[TOGETHER];
    struct conversation_id first, second;

    items[0] = message_of(gate, "m0", "c1", RECORD_IN_TURN);
    items[1] = message_of(gate, "m1", "c1", RECORD_IN_TURN);
    items[2] = message_of(gate, "m2", "c1", RECORD_IN_TURN);
    items[2].item.starts_new_conversation = true;
    items[3] = message_of(gate, "m3", "c1", RECORD_IN_TURN);
    items[4] = message_of(gate, "m4", "c2", RECORD_IN_TURN);
    items[5] = message_of(gate, "m5", "c2", RECORD_IN_TURN);
    items[6] = (struct together){.item = talk_event("edit", "e1", "m5"),
                                 .recording = {.turn = RECORD_IN_TURN}};
    items[6].item.external_chat_id = STR("c2");
    items[6].item.external_user_id = STR("c2");
    items[6].item.text = STR("better");
    record_together(gate, items, TOGETHER);
    first = items[0].recording.result.conversation_id;
    second = items[2].recording.result.conversation_id;
    assert_true(id_eq(&items[1].recording.result.conversation_id.id, &first.id));
    assert_false(id_eq(&second.id, &first.id));
    assert_true(id_eq(&items[3].recording.result.conversation_id.id, &second.id));
    assert_int_not_equal(talk_conversation(&gate->talk, first).archived_at_us, 0);
    ASSERT_STR(texts_of(gate, "c1"), "m2,m3,");
    ASSERT_STR(texts_of(gate, "c2"), "m4,better,");
}

static void
nobody_overtakes_into_the_intake(void **state)
{
    struct gate *gate = *state;
    struct together items[] = {
        message_of(gate, "m0", "c1", RECORD_IN_TURN), message_of(gate, "m1", "c1", RECORD_LATER),
        message_of(gate, "m2", "c1", RECORD_IN_TURN), message_of(gate, "m3", "c1", RECORD_LATER)};

    record_together(gate, items, 4);
    assert_false(items[0].recording.waits);
    assert_true(items[1].recording.waits && items[2].recording.waits && items[3].recording.waits);
    start(gate);
    ASSERT_STR(texts_of(gate, "c1"), "m0,m1,m2,m3,");
}

/* --- the bytes --- */

struct row_number {
    bool first;
    int64_t seq; /* the last one's */
};

static enum status
put_row(struct store_tx *tx, void *arg, struct err *err)
{
    const struct intake_item item = {.id = ID_NEW(message_id),
                                     .channel_id = ID_NEW(channel_id),
                                     .envelope = STR(""),
                                     .item = STR("bytes"),
                                     .accepted_at_us = clock_wall_us(clock_system())};
    struct row_number *number = arg;

    return intake_put(tx, &item, &number->first, err);
}

static enum status
list_rows(struct store_tx *tx, void *arg, struct err *err)
{
    struct row_number *number = arg;
    struct intake_item *items;
    size_t count;
    enum status st = intake_list(tx, 10, store_tx_arena(tx), &items, &count, err);

    if (st == ST_OK)
        number->seq = items[count - 1].seq;
    return st;
}

static enum status
remove_rows(struct store_tx *tx, void *arg, struct err *err)
{
    struct intake_item *items;
    size_t count;
    enum status st = intake_list(tx, 10, store_tx_arena(tx), &items, &count, err);

    (void)arg;
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = intake_remove(tx, items[i].seq, err);
    return st;
}

static struct row_number
put_one(struct gate *gate)
{
    struct row_number number = {.seq = 0};

    ASSERT_OK(talk_run(&gate->talk, 0, put_row, &number), &gate->talk.err);
    ASSERT_OK(talk_run(&gate->talk, 0, list_rows, &number), &gate->talk.err);
    return number;
}

/* The first of those that wait is told so, each time. On a server its number is behind all that
 * ever waited: the index is not searched through those that were removed. */
static void
first_is_told_and_numbers_go_on(void **state)
{
    struct gate *gate = *state;
    struct row_number first = put_one(gate);
    struct row_number second = put_one(gate);
    struct row_number again;

    assert_true(first.first && !second.first);
    assert_int_equal(second.seq, first.seq + 1);
    ASSERT_OK(talk_run(&gate->talk, 0, remove_rows, NULL), &gate->talk.err);
    again = put_one(gate);
    assert_true(again.first);
    assert_true(server.pid > 0 ? again.seq > second.seq : again.seq == first.seq);
}

static void
bytes_give_back_what_was_packed(void **state)
{
    struct gate *gate = *state;
    struct arena *arena = gate->talk.arena;
    json_auto_t *metadata = json_object();
    struct inbound in = {.kind = INBOUND_EVENT,
                         .external_user_id = STR("u"),
                         .text = str_of("a\0b\xff", 4),
                         .timestamp_us = -5,
                         .metadata = metadata,
                         .wants_answer = true,
                         .event_kind = STR(""),
                         .raw = STR("{}"),
                         .delivery_state = DELIVERY_READ,
                         .acknowledge = STR("ack")};
    struct inbound out;
    struct err *err = &gate->talk.err;
    struct str bytes;

    json_set_str(metadata, "locale", STR("en"));
    bytes = inbound_pack(&in, arena);
    ASSERT_OK(inbound_unpack(bytes, &out, err), err);
    assert_int_equal(out.kind, INBOUND_EVENT);
    assert_null(out.external_message_id.ptr);
    assert_non_null(out.event_kind.ptr);
    assert_int_equal(out.event_kind.len, 0);
    assert_true(str_eq(out.text, in.text) && str_eq(out.raw, in.raw));
    assert_true(str_eq(out.acknowledge, in.acknowledge));
    assert_int_equal(out.timestamp_us, -5);
    assert_int_equal(out.delivery_state, DELIVERY_READ);
    assert_true(out.wants_answer && !out.starts_new_conversation);
    assert_true(json_equal(out.metadata, in.metadata));
    json_decref(out.metadata);
    for (size_t cut = 0; cut < bytes.len; cut++) { /* damage is found, wherever it is cut */
        assert_int_equal(inbound_unpack(str_sub(bytes, 0, cut), &out, err), ST_INVALID);
        json_decref(out.metadata);
    }
    assert_int_equal(inbound_unpack(STR("\x02newer than this build"), &out, err), ST_INVALID);
}

int
main(int argc, char **argv)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(flood_is_recorded_in_order),
        CASE(flood_that_draws_breath_goes_on),
        CASE(message_keeps_its_time_and_its_envelope),
        CASE(others_wait_behind),
        CASE(duplicates_have_no_effect),
        CASE(unrecordable_goes_to_the_quarantine),
        CASE(failure_of_the_store_keeps_all_in_order),
        CASE(nobody_overtakes_between_pages),
        CASE(order_holds_between_both_ways),
        CASE(nobody_overtakes_in_a_batch),
        CASE(nobody_overtakes_into_the_intake),
        CASE(first_is_told_and_numbers_go_on),
        CASE(bytes_give_back_what_was_packed),
    };
    bool on_server = argc > 1 && strcmp(argv[1], "pgsql") == 0;
    int failed;

    if (on_server && !pgsql_server_start(&server)) {
        (void)fprintf(stderr, "intake: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (on_server)
        pgsql_server_stop(&server);
    return failed;
}
