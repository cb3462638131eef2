/*
 * transport_test.c - the conformance suite on every transport, and what stands on their servers
 */
#include "queue/queue_test_support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "net/redis_test_support.h"
#include "queue/transports/transport_conformance.h"
#include "queue/transports/wakeup_list.h"
#include "store/pgsql_test_support.h"

static void
test_local(void **state)
{
    const struct transport_place place = {.driver = &queue_transport_local, .addresses = ""};

    (void)state;
    transport_conformance(&place);
}

static void
freeze(void *context)
{
    test_redis_freeze(context);
}

static void
thaw(void *context)
{
    test_redis_thaw(context);
}

static void
restart(void *context)
{
    test_redis_restart(context);
}

static void
flush(void *context)
{
    struct redis *redis = test_redis_connect(context);
    struct redis_reply *reply = test_redis_do(redis, "FLUSHALL");

    redis_reply_free(&reply);
    redis_close(&redis);
}

static void
test_redis(void **state)
{
    struct test_redis server;
    struct transport_place place = {.driver = &queue_transport_redis,
                                    .shared = true,
                                    .readers = 2,
                                    .context = &server,
                                    .freeze = freeze,
                                    .thaw = thaw,
                                    .restart = restart,
                                    .flush = flush};

    (void)state;
    if (!test_redis_installed())
        skip();
    test_redis_start(&server, NULL, NULL);
    place.addresses = server.url;
    transport_conformance(&place);
    test_redis_stop(&server);
}

static void
pgsql_freeze(void *context)
{
    struct pgsql_database *database = context;

    pgsql_server_command(database->server, "freeze");
}

static void
pgsql_thaw(void *context)
{
    struct pgsql_database *database = context;

    pgsql_server_command(database->server, "thaw");
}

static void
pgsql_restart(void *context)
{
    struct pgsql_database *database = context;

    pgsql_server_command(database->server, "stop immediate");
    pgsql_server_command(database->server, "start");
}

/* Sessions end while the server goes on. */
static void
pgsql_end_sessions(void *context)
{
    char answer[64];

    pgsql_run(context, PGSQL_SUPERUSER,
              "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <>"
              " pg_backend_pid() AND datname = current_database()",
              answer);
    assert_true(answer[0] != '!');
}

static void
test_pgsql(void **state)
{
    struct pgsql_server server;
    struct pgsql_database database;
    struct transport_place place = {.driver = &queue_transport_pgsql,
                                    .shared = true,
                                    .tells_all = true,
                                    .readers = 1,
                                    .context = &database,
                                    .freeze = pgsql_freeze,
                                    .thaw = pgsql_thaw,
                                    .restart = pgsql_restart,
                                    .flush = pgsql_end_sessions};

    (void)state;
    if (!pgsql_server_start(&server))
        skip();
    pgsql_database_make_empty(&server, &database);
    place.addresses = database.url;
    transport_conformance(&place);
    pgsql_server_stop(&server);
}

/* --- what travels through PostgreSQL --- */

struct hearer {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    unsigned gaps, heard;
    struct job_id job_id;
    char lane[WAKEUP_MAX_LANE_BYTES];
    size_t lane_len;
};

static void
note_wakeup(const struct queue_wakeup *wakeup, void *context)
{
    struct hearer *hearer = context;

    pthread_mutex_lock(&hearer->lock);
    hearer->heard++;
    hearer->job_id = wakeup->job_id;
    hearer->lane_len = wakeup->lane.len;
    if (wakeup->lane.len > 0)
        memcpy(hearer->lane, wakeup->lane.ptr, wakeup->lane.len);
    pthread_cond_broadcast(&hearer->changed);
    pthread_mutex_unlock(&hearer->lock);
}

static void
note_gap(void *context)
{
    struct hearer *hearer = context;

    pthread_mutex_lock(&hearer->lock);
    hearer->gaps++;
    pthread_cond_broadcast(&hearer->changed);
    pthread_mutex_unlock(&hearer->lock);
}

static size_t
serve_topic(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context)
{
    (void)context;
    topics[0] = (struct queue_served_topic){"topic", 1};
    return 1;
}

/* Until count is more. */
static void
wait_more(struct hearer *hearer, const unsigned *count, unsigned more_than)
{
    int64_t end_us = clock_mono_us(clock_system()) + 30 * US_PER_S;
    bool in_time = true;

    pthread_mutex_lock(&hearer->lock);
    while (*count <= more_than && in_time)
        in_time = cond_wait_until(&hearer->changed, &hearer->lock, end_us);
    pthread_mutex_unlock(&hearer->lock);
    assert_true(in_time);
}

/* What anybody in the database could send; the last is a wake-up with a field more. */
static const char *const rubbish[] = {
    "NOTIFY parley_wakeup",
    "NOTIFY parley_wakeup, 'no wake-up at all'",
    "SELECT pg_notify('parley_wakeup', repeat(E'a b c d e f\\n', 600))",
    "NOTIFY parley_wakeup, '01890000-0000-7000-8000-000000000000  topic %0"
    " 01890000-0000-7000-8000-000000000000 0'",
    "NOTIFY parley_wakeup, '01890000-0000-7000-8000-000000000000  topic %ZZ"
    " 01890000-0000-7000-8000-000000000000 0'",
    "NOTIFY parley_wakeup, '01890000-0000-7000-8000-000000000000  topic l"
    " 01890000-0000-7000-8000-000000000000 -5'",
    "SELECT pg_notify('parley_wakeup', '01890000-0000-7000-8000-000000000000  topic ' ||"
    " repeat('%41', 300) || ' 01890000-0000-7000-8000-000000000000 0')",
    "NOTIFY parley_wakeup, '01890000-0000-7000-8000-000000000000  topic last"
    " 01890000-0000-7000-8000-00000000000f 0 more'",
};

/* Lanes hold what outsiders chose. */
static const struct str lanes[] = {
    STR_INIT(""),
    STR_INIT("plain"),
    STR_INIT("a b\nc%41\t'\"\\"),
    STR_INIT("\xff\x00\x01"),
    STR_INIT("\xd0\x9f\xd1\x80"),
};

static void
test_pgsql_bytes(void **state)
{
    static struct hearer hearer = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct pgsql_server server;
    struct pgsql_database database;
    struct queue_transport *transport = calloc(1, queue_transport_pgsql.size);
    struct queue_wakeup wakeup = {.organization_id = ID_NEW(organization_id),
                                  .topic = STR("topic")};
    char answer[64];
    struct err err;

    (void)state;
    assert_non_null(transport);
    if (!pgsql_server_start(&server))
        skip();
    pgsql_database_make_empty(&server, &database);
    cond_init(&hearer.changed);
    *transport = (struct queue_transport){.driver = &queue_transport_pgsql,
                                          .addresses = str_from_c(database.url),
                                          .clock = clock_system(),
                                          .on_wakeup = note_wakeup,
                                          .on_gap = note_gap,
                                          .served = serve_topic,
                                          .context = &hearer};
    assert_int_equal(transport->driver->open(transport, &err), ST_OK);
    wait_more(&hearer, &hearer.gaps, 0);
    for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
        wakeup.lane = lanes[i];
        wakeup.job_id = ID_NEW(job_id);
        transport->driver->publish(transport, &wakeup);
        wait_more(&hearer, &hearer.heard, (unsigned)i);
        assert_true(id_eq(&hearer.job_id.id, &wakeup.job_id.id));
        assert_int_equal(hearer.lane_len, lanes[i].len);
        assert_memory_equal(hearer.lane, lanes[i].ptr, lanes[i].len);
    }
    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        pgsql_run(&database, PGSQL_APP, rubbish[i], answer);
        assert_true(answer[0] != '!');
    }
    wait_more(&hearer, &hearer.heard, sizeof(lanes) / sizeof(lanes[0]));
    assert_string_equal(hearer.job_id.id.text, "01890000-0000-7000-8000-00000000000f");
    assert_int_equal(hearer.heard, sizeof(lanes) / sizeof(lanes[0]) + 1);
    assert_int_equal(hearer.gaps, 1);
    transport->driver->close(transport);
    free(transport);
    pgsql_server_stop(&server);
}

static enum status
done_work(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, arg, err);
}

struct ids_test {
    struct bed *bed;
    struct user_id user_id;
};

static enum status
handle(struct lease *lease, void *context, struct err *err)
{
    struct ids_test *test = context;
    struct bed *bed = test->bed;

    if (!id_eq(&lease_job(lease)->user_id.id, &test->user_id.id))
        return err_set(err, ST_INVALID, "another user"); /* buried: the test waits for no dead */
    return store_run(bed->store, lease_scope(lease), "test_done", STORE_DURABLE, done_work, lease,
                     err);
}

/* All texts of an answer, one after the other. */
static void
collect(const struct redis_reply *reply, struct buf *out)
{
    buf_append(out, redis_reply_text(reply));
    buf_append_byte(out, ' ');
    for (size_t i = 0; i < redis_reply_count(reply); i++)
        collect(redis_reply_at(reply, i), out);
}

/* Jobs through the whole queue; then nothing of their payload is on the server, and all ids are. */
static void
test_ids_only(void **state)
{
    struct test_redis server;
    struct queue_config config = {.transport = &queue_transport_redis};
    struct job_spec now = {.topic = "topic",
                           .lane = STR("the-lane"),
                           .user_id = ID_NEW(user_id),
                           .payload = STR("{\"text\":\"XYZZY my secret\"}")};
    struct job_spec later = now;
    struct queue_workers *workers;
    struct bed bed;
    struct ids_test test = {&bed, now.user_id};
    struct redis *redis;
    struct redis_reply *reply;
    struct job_id now_id, later_id;
    struct buf all;
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip();
    test_redis_start(&server, NULL, NULL);
    redis = test_redis_connect(&server);
    test_redis_limit(&server, "+@stream"); /* as the operator's guide names them */
    config.transport_addresses = str_from_c(server.url);
    bed_open(&bed, 1, clock_system(), &config);
    later.lane = STR_EMPTY;
    later.due_us = clock_wall_us(clock_system()) + 200 * US_PER_MS;
    assert_int_equal(
        queue_workers_start(bed.queue, "topic", 2, handle, NULL, &test, &workers, &err), ST_OK);
    assert_int_equal(bed_put(&bed, 0, &now, &now_id), ST_OK);
    assert_int_equal(bed_put(&bed, 0, &later, &later_id), ST_OK);
    buf_init(&all, 1000000);
    for (int64_t end_us = clock_mono_us(clock_system()) + 30 * US_PER_S;;) {
        buf_clear(&all);
        reply = test_redis_do(redis, "XRANGE parley:wakeup:topic - +");
        collect(reply, &all);
        redis_reply_free(&reply);
        reply = test_redis_do(redis, "XRANGE parley:wakeup-later - +");
        collect(reply, &all);
        redis_reply_free(&reply);
        if (str_find(buf_str(&all), ID_STR(now_id)) >= 0 &&
            str_find(buf_str(&all), ID_STR(later_id)) >= 0)
            break;
        assert_true(clock_mono_us(clock_system()) < end_us);
    }
    assert_int_equal(str_find(buf_str(&all), STR("XYZZY")), -1);
    assert_int_equal(str_find(buf_str(&all), STR("secret")), -1);
    assert_true(str_find(buf_str(&all), ID_STR(bed.ids[0])) >= 0);
    assert_true(str_find(buf_str(&all), ID_STR(now.user_id)) >= 0);
    assert_true(str_find(buf_str(&all), STR("the-lane")) >= 0);
    /* Both run: the delayed one when its time has come, long before a sweep. */
    for (int64_t end_us = clock_mono_us(clock_system()) + 20 * US_PER_S;
         bed_count(&bed, 0, "topic").ready + bed_count(&bed, 0, "topic").delayed > 0;)
        assert_true(clock_mono_us(clock_system()) < end_us);
    buf_deinit(&all);
    redis_close(&redis);
    queue_workers_stop(&workers, 10000);
    assert_int_equal(bed_count(&bed, 0, "topic").dead, 0);
    bed_close(&bed, true);
    test_redis_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),    cmocka_unit_test(test_redis),
        cmocka_unit_test(test_pgsql),    cmocka_unit_test(test_pgsql_bytes),
        cmocka_unit_test(test_ids_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
