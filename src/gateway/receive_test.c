/*
 * receive_test.c - verified bytes to durable messages and jobs, once
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "conversation/conversation_test_sql.h"
#include "conversation/deletion.h"
#include "conversation/envelope.h"
#include "gateway/gateway_test_support.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "text/json.h"

static struct gate *
open_gate(void **state, const char *source, const char *settings,
          const struct gateway_config *config, const struct channel_driver *extra)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    gate_open(gate, source, settings, config, extra);
    *state = gate;
    return gate;
}

static void
message_and_job_are_there_together(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);
    json_auto_t *envelope = NULL;
    struct message message;
    struct err err;

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    assert_int_equal(gate->result.messages, 1);
    assert_int_equal(gate->result.duplicates + gate->result.events, 0);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_HANDOFF).ready, 0);
    message = talk_get(&gate->talk, gate->result.message_id);
    ASSERT_STR(message.body, "Hello");
    assert_true(id_eq(&message.conversation_id.id, &gate->result.conversation_id.id));
    ASSERT_OK(json_parse(message.envelope, &envelope, &err), &err);
    ASSERT_STR(json_get_str(json_get_object(envelope, "meta"), "request_id"),
               "0af7651916cd43dd8448eb211c80319c");
    ASSERT_OK(envelope_stamp(envelope, "picked", 1, &err), &err);
}

static void
duplicate_has_no_effect(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{\"burst_window_ms\": 2000}", NULL, NULL);
    struct talk_counts before, after;

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    before = talk_count(&gate->talk, 0);
    clock_advance_us(gate->talk.clock, US_PER_S);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
        assert_int_equal(gate->result.duplicates, 1);
        assert_int_equal(gate->result.messages, 0);
    }
    after = talk_count(&gate->talk, 0);
    assert_memory_equal(&before, &after, sizeof(before));
    clock_advance_us(gate->talk.clock, US_PER_S); /* nor does it put the answer off */
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1);
}

#ifdef PARLEY_WITH_FAILPOINTS
static void
nothing_stays_of_what_could_not_be_committed(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);
    struct err err;

    ASSERT_OK(failpoint_configure("store.disk_full=error:1", &err), &err);
    assert_int_not_equal(gate_receive_message(gate, "m1"), ST_OK);
    ASSERT_OK(failpoint_configure("", &err), &err);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 0);
    assert_int_equal(gate_jobs(gate, NULL).ready, 0);
    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err); /* the provider repeats it */
    assert_int_equal(gate->result.messages, 1);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1);
}
#else
static void
nothing_stays_of_what_could_not_be_committed(void **state)
{
    (void)open_gate(state, "fake", "{}", NULL, NULL);
    skip(); /* a build without failpoints */
}
#endif

/* A webhook that brings several messages: ["m1", "m2"], all of one chat. */
static enum status
parse_list(struct channel *channel, const struct webhook *webhook, struct inbound_batch *batch,
           struct err *err)
{
    json_auto_t *list = NULL;
    enum status st = json_parse(webhook->body, &list, err);
    json_t *id;
    size_t i;

    (void)channel;
    if (st != ST_OK)
        return st;
    batch->items = ARENA_NEW_N(batch->arena, struct inbound, json_array_size(list) + 1);
    json_array_foreach (list, i, id) {
        struct str text = arena_str(batch->arena, str_from_c(json_string_value(id)));

        batch->items[batch->count++] = (struct inbound){.kind = INBOUND_MESSAGE,
                                                        .external_message_id = text,
                                                        .external_user_id = STR("u1"),
                                                        .external_chat_id = STR("c1"),
                                                        .text = text,
                                                        .metadata = json_object(),
                                                        .wants_answer = true};
    }
    return ST_OK;
}

static void
batch_is_taken_item_by_item(void **state)
{
    struct channel_driver driver = channel_driver_fake;
    struct gate *gate;

    driver.source = "batch";
    driver.parse = parse_list;
    gate = open_gate(state, "batch", "{}", NULL, &driver);
    ASSERT_OK(gate_receive(gate, "[\"m1\", \"m2\", \"m3\"]"), &gate->talk.err);
    assert_int_equal(gate->result.messages, 3);
    ASSERT_OK(gate_receive(gate, "[\"m2\", \"m4\", \"m1\"]"), &gate->talk.err);
    assert_int_equal(gate->result.messages, 1);
    assert_int_equal(gate->result.duplicates, 2);
    ASSERT_STR(talk_get(&gate->talk, gate->result.message_id).body, "m4");
    assert_int_equal(talk_count(&gate->talk, 0).messages, 4);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1); /* answered together */
    ASSERT_OK(gate_receive(gate, "[]"), &gate->talk.err);
    assert_int_equal(gate->result.messages + gate->result.duplicates, 0);
    gate_close(gate); /* before its driver goes */
    gate_open(gate, "fake", "{}", NULL, NULL);
}

static void
unreadable_bytes_are_kept_aside(void **state)
{
    static const char *const table[] = {"",        "{", "[]", "{\"id\": 1}", "{\"user\": \"u1\"}",
                                        "\xff\xfe"};
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(gate_receive(gate, table[i]), ST_INVALID);
        assert_int_equal(talk_count(&gate->talk, 0).quarantined, i + 1);
    }
    assert_int_equal(talk_count(&gate->talk, 0).messages, 0);
    assert_int_equal(talk_count(&gate->talk, 1).quarantined, 0);
    assert_int_equal(gate_jobs(gate, NULL).ready, 0);
}

static void
limits_ask_to_come_again(void **state)
{
    static const struct {
        const char *name;
        struct gateway_config config;
        const char *third; /* refused */
        const char *other; /* of another sender; NULL: refused as well */
    } table[] = {
        {"organization", {.organization_per_minute = 2, .senders = 1}, "m3", NULL},
        {"channel", {.channel_per_minute = 2, .senders = 1}, "m3", NULL},
        {"sender",
         {.sender_per_minute = 2, .senders = 1},
         "m3",
         "{\"id\": \"m4\", \"user\": \"u2\", \"chat\": \"c2\", \"text\": \"Hello\"}"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct gate *gate = open_gate(state, "fake", "{}", &table[i].config, NULL);
        int wait_ms;

        ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
        ASSERT_OK(gate_receive_message(gate, "m2"), &gate->talk.err);
        if (gate_receive_message(gate, table[i].third) != ST_BUSY)
            fail_msg("%s: not limited", table[i].name);
        wait_ms = gate->talk.err.retry_after_ms;
        assert_in_range(wait_ms, 1, 60000);
        assert_int_equal(talk_count(&gate->talk, 0).messages, 2);
        if (table[i].other != NULL)
            ASSERT_OK(gate_receive(gate, table[i].other), &gate->talk.err);
        clock_advance_us(gate->talk.clock, wait_ms * US_PER_MS);
        ASSERT_OK(gate_receive_message(gate, table[i].third), &gate->talk.err);
        assert_int_equal(gate->result.messages, 1);
        if (i + 1 < sizeof(table) / sizeof(table[0]))
            (void)gate_tear_down(state);
    }
}

/* --- through the server --- */

struct door {
    struct gateway *gateway;
    _Atomic bool on_worker; /* the last request was answered there */
};

static void
on_webhook(struct http_request *req, struct http_response *resp, void *context)
{
    struct door *door = context;

    atomic_store(&door->on_worker, req->may_block);
    gateway_handle_webhook(door->gateway, http_request_param(req, "source"), req, resp);
}

static void
knock(struct gate *gate, const struct http_server *server, struct http_client *client)
{
    const struct channel_record *record = gate->talk.records[0];
    struct arena *arena = gate->talk.arena;
    const struct http_header header = {"X-Fake-Secret",
                                       json_get_str(record->credentials, "secret")};
    const struct http_call call = {
        .method = "POST",
        .url = arena_printf(arena, "http://127.0.0.1:%u/webhooks/fake/%s", http_server_port(server),
                            record->id.id.text),
        .headers = &header,
        .header_count = 1,
        .body = STR("{\"id\": \"m1\", \"user\": \"u1\", \"chat\": \"c1\", \"text\": \"Hello\"}"),
        .deadline_ms = 30000};
    struct http_reply reply;
    struct err *err = &gate->talk.err;

    ASSERT_OK(http_client_call(client, &call, arena, &reply, err), err);
    assert_int_equal(reply.status, 200);
}

/* The epoll thread serves others, too: what may wait for a server of limits is done by a worker. */
static void
limits_that_may_block_have_a_worker(void **state)
{
    static const struct http_route routes[] = {
        {HTTP_POST, "/webhooks/{source}/{channel_id}", on_webhook, HTTP_ROUTE_INLINE, 0, NULL}};
    static const struct {
        const char *driver;
        unsigned per_minute;
        bool on_worker;
    } table[] = {{"local", 1000, false}, {"redis", 0, false}, {"redis", 1000, true}};
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);
    const struct http_client_config outward = {.allow_private_addresses = true};
    struct bed *bed = &gate->talk.bed;
    struct http_client *client;
    struct err *err = &gate->talk.err;
    char key_file[96];

    (void)snprintf(key_file, sizeof(key_file), "%s/keys", bed->folder);
    ASSERT_OK(http_client_create(&outward, &client, err), err);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tenants_config config = {.store = bed->store,
                                        .clock = bed->clock,
                                        .key_file = key_file,
                                        .limits_driver = str_from_c(table[i].driver),
                                        .limits_addresses = STR("redis://127.0.0.1:1")};
        struct gateway_config door_config = {.store = bed->store,
                                             .queue = bed->queue,
                                             .channels = gate->registry,
                                             .live = gate->live,
                                             .clock = bed->clock,
                                             .senders = 1,
                                             .sender_per_minute = table[i].per_minute};
        struct door door = {.gateway = NULL};
        struct http_server_config server_config = {
            .listen = "127.0.0.1:0", .workers = 2, .context = &door};
        struct http_server *server;
        struct tenants *tenants;

        ASSERT_OK(tenants_open(&config, &tenants, err), err);
        door_config.tenants = tenants;
        ASSERT_OK(gateway_open(&door_config, &door.gateway, err), err);
        ASSERT_OK(http_server_start(&server_config, routes, 1, &server, err), err);
        knock(gate, server, client); /* a worker looks the channel up */
        knock(gate, server, client);
        if (atomic_load(&door.on_worker) != table[i].on_worker)
            fail_msg("limits %s, %u a minute", table[i].driver, table[i].per_minute);
        http_server_stop(&server, 5000);
        gateway_close(&door.gateway);
        tenants_close(&tenants);
    }
    http_client_destroy(&client);
}

/* Providers that test an address get their answer, and what they expect of a 200; who does not know
 * the secret gets neither, and nothing of it is kept. */
static void
providers_read_their_answers(void **state)
{
    static const struct http_route routes[] = {
        {HTTP_POST, "/webhooks/{source}/{channel_id}", on_webhook, HTTP_ROUTE_INLINE, 0, NULL},
        {HTTP_GET, "/webhooks/{source}/{channel_id}", on_webhook, HTTP_ROUTE_INLINE, 0, NULL}};
    struct gate *gate = open_gate(state, "recording", "{}", NULL, NULL);
    const struct channel_record *record = gate->talk.records[0];
    struct str secret = json_get_str(record->credentials, "secret");
    const struct http_client_config outward = {.allow_private_addresses = true};
    struct door door = {.gateway = gate->gateway};
    const struct http_server_config config = {
        .listen = "127.0.0.1:0", .workers = 2, .context = &door};
    const struct http_header header = {"X-Fake-Secret", secret};
    const struct {
        const char *method, *query;
        struct str shown;
        int status;
        const char *type, *body; /* NULL: whatever */
    } table[] = {
        {"GET", "challenge=a%26b&secret=", STR("a%20test%27s%20secret"), 200, "text/plain", "a&b"},
        {"GET", "challenge=a%26b&secret=", STR("wrong"), 401, NULL, NULL},
        {"GET", "x=", STR(""), 401, NULL, NULL},
        {"POST", "x=", STR(""), 200, "text/xml", "<Response/>"},
        {"GET", "challenge=2&secret=", STR("a%20test%27s%20secret"), 200, "text/plain",
         "2"}, /* by now in memory */
    };
    struct http_server *server;
    struct http_client *client;
    struct err *err = &gate->talk.err;

    ASSERT_OK(http_client_create(&outward, &client, err), err);
    ASSERT_OK(http_server_start(&config, routes, 2, &server, err), err);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        bool posts = table[i].method[0] == 'P';
        const struct http_call call = {
            .method = table[i].method,
            .url =
                arena_printf(gate->talk.arena, "http://127.0.0.1:%u/webhooks/recording/%s?%s%.*s",
                             http_server_port(server), record->id.id.text, table[i].query,
                             STR_ARG(table[i].shown)),
            .headers = &header,
            .header_count = 1,
            .body = posts ? STR("{\"id\": \"m1\", \"user\": \"u1\", \"chat\": \"c1\"}") : STR_EMPTY,
            .deadline_ms = 30000};
        struct http_reply reply;

        ASSERT_OK(http_client_call(client, &call, gate->talk.arena, &reply, err), err);
        if (reply.status != table[i].status ||
            (table[i].body != NULL && (!str_eq_c(reply.body, table[i].body) ||
                                       !str_eq_c(reply.content_type, table[i].type))))
            fail_msg("%zu: %d %.*s", i, reply.status, STR_ARG(reply.body));
    }
    http_server_stop(&server, 5000);
    http_client_destroy(&client);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 1);
    assert_int_equal(talk_count(&gate->talk, 0).events, 0);
}

static void
events_are_kept_and_cause_no_answer(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);

    ASSERT_OK(gate_receive(gate, "{\"id\": \"e1\", \"event\": \"reaction\", \"about\": \"m1\"}"),
              &gate->talk.err);
    assert_int_equal(gate->result.events, 1);
    ASSERT_OK(gate_receive(gate, "{\"id\": \"e1\", \"event\": \"reaction\", \"about\": \"m1\"}"),
              &gate->talk.err);
    assert_int_equal(gate->result.duplicates, 1);
    ASSERT_OK(gate_receive(gate, "{\"id\": \"e2\", \"event\": \"unknown\"}"), &gate->talk.err);
    assert_int_equal(talk_count(&gate->talk, 0).events, 2);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 0);
    assert_int_equal(gate_jobs(gate, NULL).ready, 0);
}

static void
what_was_taken_is_acknowledged(void **state)
{
    struct gate *gate = open_gate(state, "recording", "{}", NULL, NULL);
    struct channel *channel = gate_channel(gate);
    struct fake_call call;

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    assert_true(channel_recording_wait(channel, 1, GATE_WAIT_MS));
    assert_true(channel_recording_get(channel, 0, gate->talk.arena, &call));
    assert_int_equal(call.kind, FAKE_ACKNOWLEDGE);
    assert_true(str_ends_with(call.text, STR(":m1")));
    channel_release(&channel);
}

static enum status
take_over(struct store_tx *tx, void *arg, struct err *err)
{
    const struct gate *gate = arg;

    return conversation_hand_over(tx, gate->result.conversation_id, true, (struct user_id){{""}},
                                  err);
}

static void
person_gets_what_a_person_has(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    ASSERT_OK(talk_run(&gate->talk, 0, take_over, gate), &gate->talk.err);
    ASSERT_OK(gate_receive_message(gate, "m2"), &gate->talk.err);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready, 1); /* of m1 */
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_HANDOFF).ready, 1);
    ASSERT_OK(gate_receive(gate, "{\"id\": \"m3\", \"user\": \"u1\", \"chat\": \"c1\", "
                                 "\"text\": \"Aside\", \"wants_answer\": false}"),
              &gate->talk.err);
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_HANDOFF).ready, 1); /* seen together */
}

static void
not_addressed_is_kept_without_an_answer(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);

    ASSERT_OK(gate_receive(gate, "{\"id\": \"m1\", \"user\": \"u1\", \"chat\": \"g\", "
                                 "\"text\": \"To each other\", \"wants_answer\": false}"),
              &gate->talk.err);
    assert_int_equal(gate->result.messages, 1);
    assert_int_equal(talk_count(&gate->talk, 0).messages, 1);
    assert_int_equal(gate_jobs(gate, NULL).ready, 0);
}

static void
burst_is_answered_together(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{\"burst_window_ms\": 30000}", NULL, NULL);
    struct queue_counts counts;

    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    clock_advance_us(gate->talk.clock, 20 * US_PER_S);
    ASSERT_OK(gate_receive_message(gate, "m2"), &gate->talk.err);
    clock_advance_us(gate->talk.clock, 29 * US_PER_S); /* 49 s after the first, 29 after the last */
    counts = gate_jobs(gate, QUEUE_TOPIC_INBOUND);
    assert_int_equal(counts.delayed, 1);
    assert_int_equal(counts.ready, 0);
    clock_advance_us(gate->talk.clock, US_PER_S);
    counts = gate_jobs(gate, QUEUE_TOPIC_INBOUND);
    assert_int_equal(counts.ready, 1);
    assert_int_equal(counts.delayed, 0);
}

static void
endless_burst_is_answered_all_the_same(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{\"burst_window_ms\": 30000}", NULL, NULL);
    unsigned sent = 0;

    while (gate_jobs(gate, QUEUE_TOPIC_INBOUND).ready == 0) {
        char id[8] = {'m', (char)('a' + sent++), 0};

        assert_in_range(sent, 1, 20);
        ASSERT_OK(gate_receive_message(gate, id), &gate->talk.err);
        clock_advance_us(gate->talk.clock, 20 * US_PER_S);
    }
    assert_in_range(clock_wall_us(gate->talk.clock) - TALK_START_US, 150 * US_PER_S,
                    180 * US_PER_S);
}

/* A long night's: of DELETIONS messages the deletions came first. */
#define DELETIONS 700
struct long_night {
    const struct talk *talk;
    unsigned from;
};

static enum status
bring_deleted(struct store_tx *tx, void *arg, struct err *err)
{
    const struct long_night *night = arg;
    struct arena *arena = store_tx_arena(tx);
    struct inbound_result result;
    struct deletion deletion;
    enum status st = ST_OK;

    for (unsigned i = night->from; st == ST_OK && i < night->from + DELETIONS_AT_ONCE; i++) {
        struct str id = arena_printf(arena, "m%u", i);
        struct inbound event = {.kind = INBOUND_EVENT,
                                .event_kind = STR("deletion"),
                                .external_event_id = arena_printf(arena, "e%u", i),
                                .about_external_message_id = id};
        struct inbound message = {.external_message_id = id,
                                  .external_user_id = STR("u1"),
                                  .external_chat_id = STR("c1"),
                                  .text = STR("the secret words")};

        st = conversation_record_deletion(tx, night->talk->records[0], &event, 1, &deletion, err);
        if (st == ST_OK)
            st =
                conversation_record_inbound(tx, night->talk->records[0], &message, STR("{}"),
                                            ID_NEW(message_id), TALK_START_US, false, &result, err);
    }
    return st;
}

static enum status
count_with_words(struct store_tx *tx, void *arg, struct err *err)
{
    int64_t *count_out = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_TEST_WITH_WORDS, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *count_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static void
many_deletions_are_applied_at_once(void **state)
{
    struct gate *gate = open_gate(state, "fake", "{}", NULL, NULL);
    struct long_night night = {.talk = &gate->talk};
    int64_t with_words = -1;
    struct err err;

    for (; night.from < DELETIONS; night.from += DELETIONS_AT_ONCE)
        ASSERT_OK(talk_run(&gate->talk, 0, bring_deleted, &night), &gate->talk.err);
    assert_int_equal(talk_count(&gate->talk, 0).messages, DELETIONS);
    ASSERT_OK(gateway_apply_deletions(gate->gateway, gate->talk.bed.scopes[0], &err), &err);
    ASSERT_OK(talk_run(&gate->talk, 0, count_with_words, &with_words), &gate->talk.err);
    assert_int_equal(with_words, 0);
}

static void
wait_until_swept(struct gate *gate)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + GATE_WAIT_MS * US_PER_MS;
    struct queue_counts counts = gate_jobs(gate, QUEUE_TOPIC_UPKEEP);

    while (counts.ready + counts.leased + counts.delayed > 0) {
        assert_true(clock_mono_us(clock_system()) < deadline_us);
        counts = gate_jobs(gate, QUEUE_TOPIC_UPKEEP);
    }
}

/* As when another process took the message a moment later. */
static void
overtaken_message_is_removed_soon(void **state)
{
    const struct gateway_config config = {.record_at_once = 16, .recorders = 1};
    struct gate *gate = open_gate(state, "fake", "{}", &config, NULL);
    struct message_id id;

    for (int i = 0; i < 2; i++) { /* the second joins the first's search */
        char body[80];

        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"e%d\",\"event\":\"deletion\",\"about\":\"m%d\"}", i, i + 1);
        ASSERT_OK(gate_receive(gate, body), &gate->talk.err);
    }
    assert_int_equal(gate_jobs(gate, QUEUE_TOPIC_UPKEEP).delayed, 1);
    ASSERT_OK(gate_receive_message(gate, "m1"), &gate->talk.err);
    id = gate->result.message_id;
    ASSERT_STR(talk_get(&gate->talk, id).body, "Hello");
    ASSERT_OK(gateway_start(gate->gateway, NULL, &gate->talk.err), &gate->talk.err);
    clock_advance_us(gate->talk.clock, US_PER_S);
    ASSERT_OK(queue_sweep(gate->talk.bed.queue, &gate->talk.err), &gate->talk.err);
    wait_until_swept(gate);
    ASSERT_STR(talk_get(&gate->talk, id).body, "");
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, gate_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(message_and_job_are_there_together),
        CASE(duplicate_has_no_effect),
        CASE(nothing_stays_of_what_could_not_be_committed),
        CASE(batch_is_taken_item_by_item),
        CASE(unreadable_bytes_are_kept_aside),
        CASE(limits_ask_to_come_again),
        CASE(limits_that_may_block_have_a_worker),
        CASE(providers_read_their_answers),
        CASE(events_are_kept_and_cause_no_answer),
        CASE(what_was_taken_is_acknowledged),
        CASE(person_gets_what_a_person_has),
        CASE(not_addressed_is_kept_without_an_answer),
        CASE(burst_is_answered_together),
        CASE(endless_burst_is_answered_all_the_same),
        CASE(many_deletions_are_applied_at_once),
        CASE(overtaken_message_is_removed_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
