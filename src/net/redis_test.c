/*
 * redis_test.c - addresses, log-in, deadlines, the next server, against real servers
 */
#include "base/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/thread.h"
#include "net/redis_test_support.h"

static void
test_addresses(void **state)
{
    static const struct {
        const char *text;
        const char *host, *user, *password;
        unsigned port, database;
        bool tls;
    } good[] = {
        {"redis://localhost", "localhost", "", "", 6379, 0, false},
        {"redis://:p%40ss@10.0.0.1:7000/3", "10.0.0.1", "", "p@ss", 7000, 3, false},
        {"rediss://ann:b@c@[2001:db8::1]:1/", "2001:db8::1", "ann", "b@c", 1, 0, true},
        {" redis://[::1] ", "::1", "", "", 6379, 0, false},
    };
    static const char *const bad[] = {"",
                                      " ",
                                      "localhost",
                                      "http://x",
                                      "redis://",
                                      "redis://x:0",
                                      "redis://x:65536",
                                      "redis://x:1x",
                                      "redis://x/y",
                                      "redis://x/-1",
                                      "redis://ann@x",
                                      "redis://ann:@x",
                                      "redis://:%zz@x",
                                      "redis://:%0@x",
                                      "redis://:%00@x",
                                      "redis://[::1",
                                      "redis://[::1]7",
                                      "redis://a,",
                                      "redis://a,,redis://b",
                                      "redis://:s3cret@x:y"};
    struct redis_addresses addresses;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ASSERT_OK(redis_addresses_parse(str_from_c(good[i].text), &addresses, &err), &err);
        assert_int_equal(addresses.count, 1);
        assert_string_equal(addresses.list[0].host, good[i].host);
        assert_string_equal(addresses.list[0].user, good[i].user);
        assert_string_equal(addresses.list[0].password, good[i].password);
        assert_int_equal(addresses.list[0].port, good[i].port);
        assert_int_equal(addresses.list[0].database, good[i].database);
        assert_int_equal(addresses.list[0].tls, good[i].tls);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (redis_addresses_parse(str_from_c(bad[i]), &addresses, &err) != ST_INVALID)
            fail_msg("\"%s\" passed", bad[i]);
        assert_null(strstr(err.detail, "s3cret"));
        assert_null(strstr(err.public_text, "s3cret"));
        assert_int_equal(addresses.count, 0);
    }
}

static struct redis *
open_redis(const char *addresses, int connect_ms)
{
    struct redis_config config = {
        .addresses = str_from_c(addresses), .use = "test", .connect_ms = connect_ms};
    struct redis *redis;
    struct err err;

    ASSERT_OK(redis_open(&config, &redis, &err), &err);
    return redis;
}

static void
test_commands_and_errors(void **state)
{
    struct test_redis server;
    struct redis *redis;
    struct redis_reply *reply;
    struct err err;
    static const struct {
        const char *words;
        enum status want;
    } errors[] = {{"XREADGROUP GROUP g c STREAMS none >", ST_NOT_FOUND},
                  {"EVALSHA 0000000000000000000000000000000000000000 0", ST_NOT_FOUND},
                  {"XGROUP CREATE s g 0", ST_CONFLICT},
                  {"INCR list", ST_INTERNAL},
                  {"NONSENSE", ST_INTERNAL}};

    (void)state;
    if (!test_redis_installed())
        skip(); /* redis-server is not installed */
    test_redis_start(&server, NULL, NULL);
    redis = test_redis_connect(&server);
    reply = test_redis_do(redis, "XGROUP CREATE s g 0 MKSTREAM");
    ASSERT_STR(redis_reply_text(reply), "OK");
    redis_reply_free(&reply);
    reply = test_redis_do(redis, "RPUSH list a b");
    assert_int_equal(redis_reply_int(reply), 2);
    redis_reply_free(&reply);
    reply = test_redis_do(redis, "LRANGE list 0 -1");
    assert_int_equal(redis_reply_count(reply), 2);
    ASSERT_STR(redis_reply_text(redis_reply_at(reply, 1)), "b");
    assert_null(redis_reply_at(reply, 2));
    redis_reply_free(&reply);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct str args[8];
        struct str rest = str_from_c(errors[i].words);
        size_t count = 0;

        while (count < 8 && str_split(&rest, ' ', &args[count]))
            count++;
        assert_int_equal(redis_call(redis, 5000, args, count, &reply, &err), errors[i].want);
        assert_null(reply);
        assert_true(redis_is_connected(redis));
    }
    /* Bytes of any kind, and pipelining. */
    ASSERT_OK(redis_send(redis, REDIS_ARGS(STR("SET"), STR("k"), STR("a\r\n\0$")), &err), &err);
    ASSERT_OK(redis_send(redis, REDIS_ARGS(STR("GET"), STR("k")), &err), &err);
    assert_int_equal(redis_due(redis), 2);
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(redis_receive(redis, clock_mono_us(clock_system()) + 5 * US_PER_S, &reply, &err),
                  &err);
        assert_true(i == 0 || str_eq(redis_reply_text(reply), STR("a\r\n\0$")));
        redis_reply_free(&reply);
    }
    redis_close(&redis);
    test_redis_stop(&server);
}

/* The first refuses connections, the second takes them and says nothing, the third is a replica,
 * the fourth wants another password: the last it is. */
static void
test_the_next_address(void **state)
{
    struct test_redis primary, replica;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char urls[512], primary_at[32];
    struct redis *redis;
    struct redis_reply *reply;
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip(); /* redis-server is not installed */
    assert_int_equal(bind(silent, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(silent, 4), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &size), 0);
    test_redis_start(&primary, NULL, NULL);
    (void)snprintf(primary_at, sizeof(primary_at), "127.0.0.1 %u", primary.port);
    test_redis_start(&replica, "--replicaof", primary_at);
    (void)snprintf(urls, sizeof(urls),
                   "redis://127.0.0.1:1,redis://127.0.0.1:%u,%s,redis://:wrong@127.0.0.1:%u,%s",
                   ntohs(address.sin_port), replica.url, primary.port, primary.url);
    redis = open_redis(urls, 300);
    ASSERT_OK(redis_connect(redis, &err), &err);
    reply = test_redis_do(redis, "SET k v");
    redis_reply_free(&reply);
    redis_close(&redis);

    /* Nobody: said within the time, and the password in no message. */
    (void)snprintf(urls, sizeof(urls), "%s,redis://:wrong@127.0.0.1:%u", replica.url, primary.port);
    redis = open_redis(urls, 300);
    assert_int_equal(redis_connect(redis, &err), ST_UNAVAILABLE);
    assert_null(strstr(err.detail, "wrong"));
    assert_null(strstr(err.detail, TEST_REDIS_PASSWORD));
    redis_close(&redis);
    test_redis_stop(&replica);
    test_redis_stop(&primary);
    (void)close(silent);
}

static void
test_deadlines_hold(void **state)
{
    struct test_redis server;
    struct redis *redis;
    struct redis_reply *reply;
    struct err err;
    int64_t begun_us;

    (void)state;
    if (!test_redis_installed())
        skip(); /* redis-server is not installed */
    test_redis_start(&server, NULL, NULL);
    redis = open_redis(server.url, 10000);
    ASSERT_OK(redis_connect(redis, &err), &err);
    begun_us = clock_mono_us(clock_system());
    /* A block that ends before the reply leaves the connection as it is. */
    ASSERT_OK(redis_send(redis, REDIS_ARGS(STR("BLPOP"), STR("none"), STR("0.2")), &err), &err);
    assert_int_equal(redis_receive(redis, begun_us + 20 * US_PER_MS, &reply, &err), ST_BUSY);
    ASSERT_OK(redis_receive(redis, begun_us + 20 * US_PER_S, &reply, &err), &err);
    assert_int_equal(redis_reply_kind(reply), REDIS_NIL);
    redis_reply_free(&reply);
    test_redis_freeze(&server);
    begun_us = clock_mono_us(clock_system());
    assert_int_equal(redis_call(redis, 50, REDIS_ARGS(STR("PING")), NULL, &err), ST_UNAVAILABLE);
    assert_true(clock_mono_us(clock_system()) - begun_us < 5 * US_PER_S);
    assert_false(redis_is_connected(redis));
    test_redis_thaw(&server);
    ASSERT_OK(redis_connect(redis, &err), &err);
    test_redis_kill(&server);
    assert_int_equal(redis_call(redis, 5000, REDIS_ARGS(STR("PING")), NULL, &err), ST_UNAVAILABLE);
    test_redis_restart(&server);
    ASSERT_OK(redis_connect(redis, &err), &err);
    redis_close(&redis);
    test_redis_stop(&server);
}

static void *
stop_it(void *arg)
{
    redis_stop(arg);
    return NULL;
}

static void
test_stop_ends_a_block(void **state)
{
    struct test_redis server;
    struct redis *redis;
    struct redis_reply *reply;
    pthread_t thread;
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip(); /* redis-server is not installed */
    test_redis_start(&server, NULL, NULL);
    redis = test_redis_connect(&server);
    redis_wake(redis);
    assert_int_equal(redis_receive(redis, INT64_MAX, &reply, &err), ST_BUSY);
    ASSERT_OK(thread_start("stopper", stop_it, redis, &thread, &err), &err);
    while (!redis_is_stopped(redis))
        assert_int_not_equal(redis_receive(redis, INT64_MAX, &reply, &err), ST_OK);
    pthread_join(thread, NULL);
    redis_disconnect(redis);
    assert_int_equal(redis_connect(redis, &err), ST_UNAVAILABLE);
    redis_close(&redis);
    test_redis_stop(&server);
}

static void
test_the_buffer_is_bounded(void **state)
{
    struct test_redis server;
    static char data[100000];
    struct redis_config config = {.use = "test", .max_output_bytes = 250000};
    struct redis *redis;
    struct err err;

    (void)state;
    if (!test_redis_installed())
        skip(); /* redis-server is not installed */
    test_redis_start(&server, NULL, NULL);
    config.addresses = str_from_c(server.url);
    ASSERT_OK(redis_open(&config, &redis, &err), &err);
    ASSERT_OK(redis_connect(redis, &err), &err);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            redis_send(redis, REDIS_ARGS(STR("ECHO"), str_of(data, sizeof(data))), &err),
            i < 2 ? ST_OK : ST_TOO_LARGE);
    for (int i = 0; i < 2; i++) {
        struct redis_reply *reply;

        ASSERT_OK(redis_receive(redis, clock_mono_us(clock_system()) + 5 * US_PER_S, &reply, &err),
                  &err);
        assert_int_equal(redis_reply_text(reply).len, sizeof(data));
        redis_reply_free(&reply);
    }
    redis_close(&redis);
    test_redis_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),         cmocka_unit_test(test_commands_and_errors),
        cmocka_unit_test(test_the_next_address),  cmocka_unit_test(test_deadlines_hold),
        cmocka_unit_test(test_stop_ends_a_block), cmocka_unit_test(test_the_buffer_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
