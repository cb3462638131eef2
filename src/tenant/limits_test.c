/*
 * limits_test.c - what buckets promise, in memory and shared; and what a process gives alone
 */
#include "base/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/thread.h"
#include "net/redis_test_support.h"
#include "store/pgsql_test_support.h"
#include "tenant/limits_driver.h"

#define WAIT_US (30 * US_PER_S)

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static struct limits *
open_limits(const struct test_redis *server, int deadline_ms, int pause_ms)
{
    struct limits_config config = {.clock = clock_system(),
                                   .max_buckets = 1000,
                                   .deadline_ms = deadline_ms,
                                   .pause_ms = pause_ms};
    struct limits *limits;
    struct err err;

    if (server != NULL) {
        config.driver = &limits_redis;
        config.addresses = str_from_c(server->url);
    }
    ASSERT_OK(limits_open(&config, &limits, &err), &err);
    return limits;
}

/* A bucket that never fills again within the test: how many tokens it gives. */
static unsigned
drain(struct limits *limits, const char *key, unsigned burst)
{
    unsigned taken = 0;
    struct err err;

    while (limits_take(limits, str_from_c(key), 1, burst, &err) == ST_OK)
        taken++;
    assert_int_equal(err.code, ST_BUSY);
    assert_true(err.retry_after_ms > 0 &&
                err.retry_after_ms <= 120000); /* alone: at half the rate */
    return taken;
}

/* Until both share: a token that one took is missing to the other, and each knows of two. */
static void
wait_shared(struct limits *a, struct limits *b)
{
    int64_t end_us = now_us() + WAIT_US;

    for (int i = 0;; i++) {
        char key[40];
        struct err err;

        (void)snprintf(key, sizeof(key), "settle-%d-%d", (int)(end_us % 1000000), i);
        if (drain(a, key, 3) == 3 && limits_take(b, str_from_c(key), 1, 3, &err) == ST_BUSY)
            return;
        assert_true(now_us() < end_us);
    }
}

/* ---------------------------------------------------------------- conformance */

static void
conform(struct limits *limits)
{
    struct err err;
    int64_t end_us = now_us() + WAIT_US;

    assert_int_equal(drain(limits, "one", 5), 5);
    assert_int_equal(drain(limits, "two", 1), 1);
    assert_int_equal(drain(limits, "none", 0), 1); /* a burst is one at least */
    assert_int_equal(drain(limits, "one", 5), 0);
    assert_int_equal(drain(limits, "a long key, \x01\xff and all bytes but", 7), 7);
    for (int i = 0; i < 100; i++)
        ASSERT_OK(limits_take(limits, STR("free"), 0, 0, &err), &err);
    /* Filled again by the rate, no further than the burst. */
    for (int i = 0; i < 10; i++)
        if (limits_take(limits, STR("fast"), 600, 3, &err) == ST_UNAVAILABLE)
            fail();
    assert_int_equal(limits_take(limits, STR("fast"), 600, 3, &err), ST_BUSY);
    assert_true(err.retry_after_ms > 0 && err.retry_after_ms <= 100);
    while (limits_take(limits, STR("fast"), 600, 3, &err) != ST_OK)
        assert_true(now_us() < end_us);
}

struct takers {
    struct limits *limits[2];
    _Atomic unsigned taken;
};

static void *
take_many(void *arg)
{
    struct takers *takers = arg;
    struct err err;

    for (int i = 0; i < 400; i++) {
        if (limits_take(takers->limits[i % 2], STR("crowd"), 1, 500, &err) == ST_OK)
            atomic_fetch_add(&takers->taken, 1);
    }
    return NULL;
}

/* 1600 askers for 500 tokens get 500. */
static void
conform_in_threads(struct limits *a, struct limits *b)
{
    struct takers takers = {.limits = {a, b}};
    pthread_t threads[4];
    struct err err;

    for (int i = 0; i < 4; i++)
        ASSERT_OK(thread_start("taker", take_many, &takers, &threads[i], &err), &err);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(atomic_load(&takers.taken), 500, 501); /* one may come by in a minute */
}

static void
test_in_memory(void **state)
{
    struct limits *limits = open_limits(NULL, 0, 0);

    (void)state;
    conform(limits);
    conform_in_threads(limits, limits);
    limits_destroy(&limits);
}

static void
test_shared(void **state)
{
    struct test_redis server;
    struct limits *a, *b;

    (void)state;
    if (!test_redis_installed())
        skip();
    test_redis_start(&server, NULL, NULL);
    /* The rights that the operator's guide names are enough. */
    test_redis_limit(&server, "+@scripting +@sortedset +@hash +expire +pexpire +time");
    a = open_limits(&server, 10000, 1);
    b = open_limits(&server, 10000, 1);
    wait_shared(a, b);
    conform(a);
    conform_in_threads(a, b);
    assert_int_equal(drain(a, "common", 4), 4);
    assert_int_equal(drain(b, "common", 4), 0);
    limits_destroy(&a);
    limits_destroy(&b);
    test_redis_stop(&server);
}

/* ---------------------------------------------------------------- alone */

static void
test_alone(void **state)
{
    struct test_redis server;
    struct redis *redis;
    struct redis_reply *reply;
    struct limits *a, *b;
    int64_t begun_us;
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip();
    test_redis_start(&server, NULL, NULL);
    b = open_limits(&server, 2000, 1);
    a = open_limits(&server, 2000, 1);
    wait_shared(b, a); /* a's first heartbeat came last: it knows of two */

    /* Silent: one caller waits for the deadline, those after it for nothing. */
    limits_destroy(&b);
    b = open_limits(&server, 100, 60000);
    wait_shared(b, a);
    test_redis_freeze(&server);
    begun_us = now_us();
    assert_int_equal(drain(b, "alone", 10), 5); /* half: two are known */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(limits_take(b, STR("alone"), 1, 10, &err), ST_BUSY);
    assert_true(now_us() - begun_us < 2 * US_PER_S);
    assert_int_equal(drain(b, "single", 1), 1); /* never less than one */
    test_redis_thaw(&server);
    limits_destroy(&b);

    /* Flushed with its scripts, restarted: shared again. */
    b = open_limits(&server, 2000, 1);
    wait_shared(a, b);
    redis = test_redis_connect(&server);
    reply = test_redis_do(redis, "FLUSHALL");
    redis_reply_free(&reply);
    reply = test_redis_do(redis, "SCRIPT FLUSH");
    redis_reply_free(&reply);
    redis_close(&redis);
    wait_shared(a, b);
    test_redis_kill(&server);
    assert_int_not_equal(drain(a, "down", 10), 0); /* answers, whatever it knows */
    test_redis_restart(&server);
    wait_shared(a, b);
    limits_destroy(&a);
    limits_destroy(&b);
    test_redis_stop(&server);
}

/* --- PostgreSQL --- */

static struct limits *
open_pgsql(const struct pgsql_database *database, int deadline_ms, int pause_ms)
{
    struct limits_config config = {.clock = clock_system(),
                                   .max_buckets = 1000,
                                   .driver = &limits_pgsql,
                                   .addresses = str_from_c(database->url),
                                   .deadline_ms = deadline_ms,
                                   .pause_ms = pause_ms};
    struct limits *limits;
    struct err err;

    ASSERT_OK(limits_open(&config, &limits, &err), &err);
    return limits;
}

static void
test_pgsql(void **state)
{
    struct pgsql_server server;
    struct pgsql_database database;
    struct limits *a, *b;
    char answer[64];
    int64_t begun_us;
    struct err err;

    (void)state;
    if (!pgsql_server_start(&server))
        skip();
    pgsql_database_make(&server, &database);
    b = open_pgsql(&database, 10000, 1);
    a = open_pgsql(&database, 10000, 1);
    wait_shared(b, a); /* a's first heartbeat came last: it knows of two */
    conform(a);
    conform_in_threads(a, b);
    assert_int_equal(drain(a, "common +491701234567", 4), 4);
    assert_int_equal(drain(b, "common +491701234567", 4), 0);
    pgsql_run(&database, PGSQL_SUPERUSER,
              "SELECT count(*) FROM limit_bucket WHERE hash ~ '491701234567'", answer);
    assert_string_equal(answer, "0");

    /* Silent: one caller waits for the deadline, those after it for nothing. */
    limits_destroy(&b);
    b = open_pgsql(&database, 100, 60000);
    wait_shared(b, a);
    pgsql_server_command(&server, "freeze");
    begun_us = now_us();
    assert_int_equal(drain(b, "alone", 10), 5); /* half: two are known */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(limits_take(b, STR("alone"), 1, 10, &err), ST_BUSY);
    assert_true(now_us() - begun_us < 2 * US_PER_S);
    pgsql_server_command(&server, "thaw");
    limits_destroy(&b);

    /* Crashed, with all buckets: shared again. */
    b = open_pgsql(&database, 2000, 1);
    wait_shared(a, b);
    pgsql_server_command(&server, "stop immediate");
    assert_int_not_equal(drain(a, "down", 10), 0); /* answers, whatever it knows */
    pgsql_server_command(&server, "start");
    wait_shared(a, b);
    limits_destroy(&a);
    limits_destroy(&b);
    /* What is full again is removed; nobody else is just doing so. */
    pgsql_run(&database, PGSQL_SUPERUSER, "UPDATE limit_bucket SET full_at = 0", answer);
    pgsql_run(&database, PGSQL_APP, "SELECT parley_limit_seen('test', 1000000)", answer);
    assert_true(answer[0] != '!');
    pgsql_run(&database, PGSQL_SUPERUSER, "SELECT count(*) FROM limit_bucket", answer);
    assert_string_equal(answer, "0");
    pgsql_server_stop(&server);
}

/* Keys hold senders' ids, which are nobody's business. */
static void
test_nothing_of_senders(void **state)
{
    struct test_redis server;
    struct redis *redis;
    struct redis_reply *reply;
    struct limits *limits;

    (void)state;
    if (!test_redis_installed())
        skip();
    test_redis_start(&server, NULL, NULL);
    limits = open_limits(&server, 10000, 1);
    redis = test_redis_connect(&server);
    for (int64_t end_us = now_us() + WAIT_US;;) {
        (void)drain(limits, "sender:+491701234567", 3);
        reply = test_redis_do(redis, "KEYS parley:limit:*");
        if (redis_reply_count(reply) == 1)
            break;
        redis_reply_free(&reply);
        assert_true(now_us() < end_us);
    }
    assert_int_equal(str_find(redis_reply_text(redis_reply_at(reply, 0)), STR("491701234567")), -1);
    redis_reply_free(&reply);
    redis_close(&redis);
    limits_destroy(&limits);
    test_redis_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_alone),     cmocka_unit_test(test_nothing_of_senders),
        cmocka_unit_test(test_pgsql),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
