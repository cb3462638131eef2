/*
 * transport_test.c - the conformance suite on every transport, and what stands on Redis's streams
 */
#include "queue/queue_test_support.h"

#include <stdio.h>
#include <string.h>

#include "net/redis_test_support.h"
#include "queue/transports/transport_conformance.h"

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
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_redis),
        cmocka_unit_test(test_ids_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
