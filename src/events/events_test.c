/*
 * events_test.c - telling, the schedule of tries, giving up, removing; the signature's vectors
 */
#include "events/events.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "events/events_test_sql.h"
#include "events/standard_webhooks.h"
#include "net/http_server.h"
#include "queue/queue_test_support.h"
#include "store/pgsql_test_support.h"
#include "text/json.h"

#define START_US (INT64_C(1790000000) * US_PER_S)
#define HOUR_US (INT64_C(3600) * US_PER_S)
#define DAY_US (24 * HOUR_US)
#define WAIT_MS 60000
#define SIGNATURE "webhook-signature"

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

/* A bed with events, and the endpoint's own system. */
struct scene {
    struct bed bed;
    struct clock *clock;
    struct events *events;
    struct http_server *http;
    struct arena *arena;
    atomic_int status; /* that it answers */
    atomic_uint calls;
    atomic_bool is_unsigned; /* a request came without a signature */
    struct event_endpoint_id endpoint_id;
    struct str secret;
    struct err err;
};

static void
on_event(struct http_request *req, struct http_response *resp, void *context)
{
    struct scene *scene = context;

    atomic_fetch_add(&scene->calls, 1);
    if (http_request_header(req, SIGNATURE).len == 0)
        atomic_store(&scene->is_unsigned, true);
    http_respond(resp, atomic_load(&scene->status), "text/plain", STR("noted"));
}

static void
open_http(struct scene *scene)
{
    static const struct http_route route = {HTTP_POST, "/in", on_event, 0, 0, NULL};
    struct http_server_config config = {.listen = "127.0.0.1:0", .workers = 2, .context = scene};

    ASSERT_OK(http_server_start(&config, &route, 1, &scene->http, &scene->err), &scene->err);
}

static void
open_events(struct scene *scene, const struct events_config *more)
{
    struct events_config config = *more;

    config.store = scene->bed.store;
    config.tenants = scene->bed.tenants;
    config.queue = scene->bed.queue;
    config.clock = scene->clock;
    ASSERT_OK(events_open(&config, &scene->events, &scene->err), &scene->err);
    ASSERT_OK(events_start(scene->events, &scene->err), &scene->err);
}

static void
scene_open(struct scene *scene, const struct events_config *more)
{
    struct pgsql_database database;

    if (server.pid > 0) {
        pgsql_database_make(&server, &database);
        (void)setenv("PARLEY_TEST_DATABASE_URL", database.url, 1);
    }
    *scene = (struct scene){.clock = clock_create_manual(START_US)};
    atomic_init(&scene->status, 204);
    scene->arena = arena_create((size_t)1024 * 1024);
    bed_open(&scene->bed, 2, scene->clock, NULL);
    open_http(scene);
    open_events(scene, more);
}

static void
scene_close(struct scene *scene)
{
    events_stop(scene->events, WAIT_MS);
    events_close(&scene->events);
    http_server_stop(&scene->http, 2000);
    bed_close(&scene->bed, true);
    clock_destroy(&scene->clock);
    arena_destroy(&scene->arena);
}

static void
add_endpoint(struct scene *scene, uint32_t kinds)
{
    struct event_endpoint_change spec = {
        .url = arena_printf(scene->arena, "http://127.0.0.1:%u/in", http_server_port(scene->http)),
        .kinds = kinds,
        .include_text = -1,
    };

    ASSERT_OK(event_endpoint_create(scene->bed.tenants, scene->bed.scopes[0], &spec, scene->arena,
                                    &scene->endpoint_id, &scene->secret, &scene->err),
              &scene->err);
}

static enum status
run(struct scene *scene, store_work work, void *arg)
{
    return store_run(scene->bed.store, scene->bed.scopes[0], "test", STORE_DURABLE, work, arg,
                     &scene->err);
}

/* --- telling --- */

struct telling {
    enum event_kind kind;
    enum status ends_with;
    struct event_id id;
};

static enum status
tell_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct telling *t = arg;
    json_auto_t *data = json_pack("{s:s}", "message_id", "m1");
    const struct event_telling telling = {
        .kind = t->kind, .affinity = STR("c1"), .data = data, .text = STR("What it says")};
    enum status st = events_tell(tx, &telling, &t->id, err);

    return st == ST_OK && t->ends_with != ST_OK ? err_set(err, t->ends_with, "undone") : st;
}

static struct event_id
tell(struct scene *scene, enum event_kind kind)
{
    struct telling t = {.kind = kind};

    ASSERT_OK(run(scene, tell_work, &t), &scene->err);
    return t.id;
}

struct counts {
    int64_t events, deliveries, jobs;
};

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct counts *counts = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_TEST_EVENT_COUNT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *counts =
        (struct counts){store_col_int(rows, 0), store_col_int(rows, 1), store_col_int(rows, 2)};
    return store_rows_close(&rows, err);
}

static struct counts
count(struct scene *scene)
{
    struct counts counts;

    ASSERT_OK(run(scene, count_work, &counts), &scene->err);
    return counts;
}

/* --- what became of it --- */

struct look {
    struct scene *scene;
    struct event_endpoint endpoint;
    struct event_delivery *deliveries;
    size_t count;
};

static enum status
look_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    struct scene *scene = look->scene;
    enum status st = event_endpoint_get(tx, scene->endpoint_id, scene->arena, &look->endpoint, err);

    return st == ST_OK
               ? event_delivery_list(tx, scene->endpoint_id, STR(""), (struct event_id){{""}}, 20,
                                     scene->arena, &look->deliveries, &look->count, err)
               : st;
}

static struct look
look(struct scene *scene)
{
    struct look look = {.scene = scene};

    ASSERT_OK(run(scene, look_work, &look), &scene->err);
    return look;
}

static void
settle(struct scene *scene)
{
    ASSERT_OK(queue_sweep(scene->bed.queue, &scene->err), &scene->err);
    ASSERT_OK(queue_wait_idle(scene->bed.queue, WAIT_MS, &scene->err), &scene->err);
}

/* --- tests --- */

static void
only_what_is_heard_and_committed_is_written(void **state)
{
    const struct events_config config = {.allow_private_addresses = true};
    struct telling undone = {.kind = EVENT_MESSAGE_SENT, .ends_with = ST_CONFLICT};
    struct scene scene;
    struct counts counts;

    (void)state;
    scene_open(&scene, &config);
    (void)tell(&scene, EVENT_MESSAGE_SENT);
    counts = count(&scene);
    assert_int_equal(counts.events + counts.deliveries + counts.jobs, 0);

    add_endpoint(&scene, EVENT_BIT(EVENT_MESSAGE_SENT));
    (void)tell(&scene, EVENT_MESSAGE_READ);
    assert_int_equal(run(&scene, tell_work, &undone), ST_CONFLICT);
    counts = count(&scene);
    assert_int_equal(counts.events + counts.deliveries + counts.jobs, 0);
    (void)tell(&scene, EVENT_MESSAGE_SENT);
    (void)tell(&scene, EVENT_MESSAGE_SENT);
    counts = count(&scene);
    assert_int_equal(counts.events, 2);
    assert_int_equal(counts.deliveries, 2);
    assert_int_equal(counts.jobs, 1); /* they belong together */
    scene_close(&scene);
}

static enum status
alter_work(struct store_tx *tx, void *arg, struct err *err)
{
    return store_exec(tx, arg, NO_ARGS, NULL, err);
}

static void
nobody_is_asked_again_who_hears(void **state)
{
    const struct events_config config = {.allow_private_addresses = true};
    struct telling again = {.kind = EVENT_MESSAGE_SENT};
    struct scene scene;

    (void)state;
    if (server.pid > 0)
        skip(); /* the role that serves cannot rename a table */
    scene_open(&scene, &config);
    (void)tell(&scene, EVENT_MESSAGE_SENT);
    ASSERT_OK(run(&scene, alter_work, (void *)(uintptr_t)&SQL_TEST_HIDE_ENDPOINTS), &scene.err);
    for (int i = 0; i < 100; i++)
        (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    event_endpoint_changed(scene.bed.tenants, scene.bed.scopes[0]);
    assert_int_not_equal(run(&scene, tell_work, &again),
                         ST_OK); /* so it would have failed before */
    ASSERT_OK(run(&scene, alter_work, (void *)(uintptr_t)&SQL_TEST_SHOW_ENDPOINTS), &scene.err);
    scene_close(&scene);
}

static void
tries_follow_the_schedule_and_end(void **state)
{
    static const int64_t waits_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    const struct events_config config = {
        .workers = 1, .allow_private_addresses = true, .disable_after_us = 100 * DAY_US};
    struct scene scene;
    struct look seen;

    (void)state;
    scene_open(&scene, &config);
    add_endpoint(&scene, EVENT_KINDS_ALL);
    atomic_store(&scene.status, 503);
    (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    for (size_t i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
        int64_t wait_us;

        settle(&scene);
        seen = look(&scene);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.deliveries[0].attempts, i + 1);
        assert_int_equal(atomic_load(&scene.calls), i + 1);
        ASSERT_STR(seen.deliveries[0].state, "pending");
        assert_int_equal(seen.deliveries[0].http_status, 503);
        ASSERT_STR(seen.deliveries[0].response, "noted");
        wait_us = seen.deliveries[0].due_at_us - clock_wall_us(scene.clock);
        assert_in_range(wait_us, waits_s[i] * US_PER_S, waits_s[i] * US_PER_S / 10 * 11);
        clock_advance_us(scene.clock, wait_us - 1); /* not a moment before */
        settle(&scene);
        assert_int_equal(atomic_load(&scene.calls), i + 1);
        clock_advance_us(scene.clock, 1);
    }
    settle(&scene);
    seen = look(&scene);
    ASSERT_STR(seen.deliveries[0].state, "failed");
    assert_int_equal(seen.deliveries[0].attempts, 10);
    assert_int_equal(seen.endpoint.failures, 10);
    ASSERT_STR(seen.endpoint.status, "enabled");
    assert_false(atomic_load(&scene.is_unsigned));

    /* The endpoint is well again, and tells so by the next event. */
    atomic_store(&scene.status, 200);
    (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    clock_advance_us(scene.clock, HOUR_US);
    settle(&scene);
    seen = look(&scene);
    ASSERT_STR(seen.deliveries[0].state, "delivered");
    assert_int_equal(seen.endpoint.failures, 0);
    assert_int_equal(seen.endpoint.failing_since_us, 0);
    scene_close(&scene);
}

static void
long_failure_disables(void **state)
{
    const struct events_config config = {
        .workers = 1, .allow_private_addresses = true, .disable_after_us = HOUR_US};
    struct scene scene;
    struct look seen;

    (void)state;
    scene_open(&scene, &config);
    add_endpoint(&scene, EVENT_KINDS_ALL);
    atomic_store(&scene.status, 500);
    for (int i = 0; i < 2; i++) {
        (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
        settle(&scene);
        ASSERT_STR(look(&scene).endpoint.status, "enabled");
        clock_advance_us(scene.clock, HOUR_US / 2);
        settle(&scene);
    }
    seen = look(&scene);
    ASSERT_STR(seen.endpoint.status, "disabled");
    ASSERT_STR(seen.endpoint.status_reason, "failing");
    assert_int_equal(seen.endpoint.failing_since_us, START_US);
    (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    assert_int_equal(look(&scene).count, 2); /* nothing is thrown away, and nothing added */
    scene_close(&scene);
}

static void
old_events_are_removed(void **state)
{
    const struct events_config config = {
        .workers = 1, .allow_private_addresses = true, .retention_us = 10 * DAY_US};
    struct scene scene;
    struct counts counts;

    (void)state;
    scene_open(&scene, &config);
    add_endpoint(&scene, EVENT_KINDS_ALL);
    (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    settle(&scene);
    clock_advance_us(scene.clock, DAY_US);
    (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    settle(&scene);
    assert_int_equal(count(&scene).events, 2);
    clock_advance_us(scene.clock, 9 * DAY_US + 1);
    settle(&scene);
    counts = count(&scene);
    assert_int_equal(counts.events, 1);
    assert_int_equal(counts.deliveries, 1);
    clock_advance_us(scene.clock, DAY_US);
    settle(&scene);
    counts = count(&scene);
    assert_int_equal(counts.events + counts.deliveries + counts.jobs, 0);
    scene_close(&scene);
}

static void
removed_endpoint_leaves_nothing(void **state)
{
    const struct events_config config = {.workers = 1, .allow_private_addresses = true};
    struct scene scene;
    struct counts counts;

    (void)state;
    scene_open(&scene, &config);
    add_endpoint(&scene, EVENT_KINDS_ALL);
    atomic_store(&scene.status, 500);
    for (int i = 0; i < 30; i++)
        (void)tell(&scene, EVENT_MESSAGE_RECEIVED);
    settle(&scene);
    assert_int_equal(count(&scene).deliveries, 30);
    ASSERT_OK(event_endpoint_delete(scene.bed.tenants, scene.bed.scopes[0], scene.endpoint_id,
                                    events_wake_endpoint, &scene.endpoint_id, &scene.err),
              &scene.err);
    settle(&scene);
    counts = count(&scene);
    assert_int_equal(counts.events + counts.deliveries + counts.jobs, 0);
    assert_int_equal(event_endpoint_delete(scene.bed.tenants, scene.bed.scopes[0],
                                           scene.endpoint_id, NULL, NULL, &scene.err),
                     ST_NOT_FOUND);
    scene_close(&scene);
}

/* --- the signature --- */

static void
signature_vectors(void **state)
{
    static const unsigned char official[] = {0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a,
                                             0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
                                             0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0};
    unsigned char counting[24];
    const struct webhook_key keys[] = {{counting, sizeof(counting)}, {official, sizeof(official)}};
    static const struct {
        size_t first_key, key_count;
        const char *id;
        int64_t timestamp_s;
        const char *body, *want;
    } rows[] = {
        {1, 1, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
         "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {0, 2, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
         "v1,/485aUtxlie+TIScVpHggMfqOB4so2KWb7+Gf727B44= "
         "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {0, 1, "msg_2Yw3aB5cD7eF9gH1iJ3kL5mN7oP", 1767261600,
         "{\"type\":\"message.created\",\"timestamp\":\"2026-01-01T10:00:00.123456Z\",\"data\":{"
         "\"id\":\"m_1\",\"text\":\"gr\xc3\xbc\xc3\x9f"
         "e\"}}\n",
         "v1,puM2qy2WQRM/S6eDbBNVvizACSgb+T58Ib2x8pc9IEE="},
        {0, 1, "msg_2Yw3aB5cD7eF9gH1iJ3kL5mN7oP", 1767261600, "",
         "v1,osvMp//Vb8gcVgh2K4HnlFEiut4Ze5qM/eMKbxGMZXI="},
    };
    struct arena *arena = arena_create(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ASSERT_STR(standard_webhooks_sign(keys + rows[i].first_key, rows[i].key_count,
                                          str_from_c(rows[i].id), rows[i].timestamp_s,
                                          str_from_c(rows[i].body), arena),
                   rows[i].want);
    arena_destroy(&arena);
}

static void
kinds_by_their_words(void **state)
{
    static const struct {
        const char *words;
        uint32_t want; /* 0: refused */
        const char *stored;
    } rows[] = {
        {"[]", EVENT_KINDS_ALL, ""},
        {"[\"message.sent\"]", EVENT_BIT(EVENT_MESSAGE_SENT), "message.sent"},
        {"[\"escalation.*\"]",
         EVENT_BIT(EVENT_ESCALATION_OPENED) | EVENT_BIT(EVENT_ESCALATION_RESOLVED),
         "escalation.opened escalation.resolved"},
        {"[\"message\"]", 0, NULL},
        {"[\"*\"]", 0, NULL},
        {"[\".*\"]", 0, NULL},
        {"[3]", 0, NULL},
        {"[\"message.sent\",\"nothing.*\"]", 0, NULL},
    };
    struct arena *arena = arena_create(65536);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_auto_t *words = json_loads(rows[i].words, 0, NULL);
        uint32_t kinds = 0;
        struct err err;
        enum status st = event_kinds_read(words, &kinds, &err);

        assert_int_equal(st, rows[i].want == 0 ? ST_INVALID : ST_OK);
        if (rows[i].want == 0)
            continue;
        assert_int_equal(kinds, rows[i].want);
        ASSERT_STR(event_kinds_format(kinds, arena), rows[i].stored);
        assert_int_equal(event_kinds_parse(event_kinds_format(kinds, arena)), kinds);
    }
    assert_int_equal(event_kinds_parse(STR("message.sent of.a.newer.version")),
                     EVENT_BIT(EVENT_MESSAGE_SENT));
    arena_destroy(&arena);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_heard_and_committed_is_written),
        cmocka_unit_test(nobody_is_asked_again_who_hears),
        cmocka_unit_test(tries_follow_the_schedule_and_end),
        cmocka_unit_test(long_failure_disables),
        cmocka_unit_test(old_events_are_removed),
        cmocka_unit_test(removed_endpoint_leaves_nothing),
        cmocka_unit_test(signature_vectors),
        cmocka_unit_test(kinds_by_their_words),
    };
    bool on_server = argc > 1 && strcmp(argv[1], "pgsql") == 0;
    int failed;

    if (on_server && !pgsql_server_start(&server)) {
        (void)fprintf(stderr, "events: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (on_server)
        pgsql_server_stop(&server);
    return failed;
}
