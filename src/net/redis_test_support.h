/*
 * redis_test_support.h - a real redis-server for tests, on a free port, with a password
 *
 * It lives in a folder of its own, keeps nothing on disk, and ends with the test, also when that
 * dies. Threads: one.
 */
#ifndef PARLEY_NET_REDIS_TEST_SUPPORT_H
#define PARLEY_NET_REDIS_TEST_SUPPORT_H

#include <sys/types.h>

#include "net/redis.h"

#define TEST_REDIS_PASSWORD "s3cret:@/%"
#define TEST_REDIS_PASSWORD_ENCODED "s3cret%3A%40%2F%25"

struct test_redis {
    pid_t pid; /* 0: not running */
    unsigned port;
    char folder[64];
    char url[128]; /* for redis_config.addresses */
};

/* False where there is no redis-server: then the test calls skip(). */
bool test_redis_installed(void);
/* option and value may be NULL: one more of the server's. Returns when it answers. */
void test_redis_start(struct test_redis *server, const char *option, const char *value);
/* The same again, on the same port, empty. */
void test_redis_restart(struct test_redis *server);
void test_redis_kill(struct test_redis *server);
/* Unreachable without a word, and back. */
void test_redis_freeze(struct test_redis *server);
void test_redis_thaw(struct test_redis *server);
void test_redis_stop(struct test_redis *server);

/* A connection of the test's own. */
struct redis *test_redis_connect(const struct test_redis *server);
/* From now on server->url is that of a user with these rights only, and of all that Parley needs
 * of connections. */
void test_redis_limit(struct test_redis *server, const char *rights);
/* Words separated by spaces; the reply is the caller's. */
struct redis_reply *test_redis_do(struct redis *redis, const char *words);

#endif
