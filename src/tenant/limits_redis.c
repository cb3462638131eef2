/*
 * limits_redis.c - buckets in Redis, one script call a token
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/id.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/redis.h"
#include "tenant/limits_questions.h"

#define REPLY_MS 1000
#define GOODBYE_MS 200
#define HEARTBEAT_US (5 * US_PER_S)
#define DEAD_AFTER_US (20 * US_PER_S)
#define KEY_PREFIX "parley:limit:"
#define INSTANCES_KEY STR_INIT("parley:instances")

/* The bucket: tokens, and the microsecond at which that was right. The server's clock, so that
 * processes need not agree. Gives {1 taken, 0 not; milliseconds to wait, as text}. */
#define TAKE_SCRIPT                                                                                \
    STR_INIT("local rate = tonumber(ARGV[1]) / 60000000 local burst = tonumber(ARGV[2]) "          \
             "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "                     \
             "local b = redis.call('HMGET', KEYS[1], 'tokens', 'at') "                             \
             "local tokens = tonumber(b[1]) or burst local at = tonumber(b[2]) or now "            \
             "tokens = math.min(burst, tokens + math.max(0, now - at) * rate) "                    \
             "local taken = 0 local wait = 0 "                                                     \
             "if tokens >= 1 then tokens = tokens - 1 taken = 1 "                                  \
             "else wait = (1 - tokens) / rate / 1000 end "                                         \
             "redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), "               \
             "'at', string.format('%.0f', now)) "                                                  \
             "redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate / 1000) + 1000) "   \
             "return {taken, string.format('%.3f', wait)}")

/* This process is alive; how many are. */
#define INSTANCES_SCRIPT                                                                           \
    STR_INIT("local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] "                     \
             "redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1]) "                   \
             "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', "                                    \
             "string.format('%.0f', now - tonumber(ARGV[2]))) "                                    \
             "redis.call('EXPIRE', KEYS[1], 3600) return redis.call('ZCARD', KEYS[1])")

struct redis_limits {
    struct limits_shared base;
    struct redis *redis;
    struct id_text instance;
    pthread_t thread;
    bool started;
    /* Of the thread. */
    char take_sha[41];
    int64_t heartbeat_us;

    struct limits_questions questions;
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static enum status
redis_limits_take(struct limits_shared *base, struct str key, unsigned per_minute, unsigned burst,
                  struct err *err)
{
    struct redis_limits *limits = (struct redis_limits *)base;

    return limits_ask(&limits->questions, key, per_minute, burst, err);
}

static unsigned
redis_limits_instances(struct limits_shared *base)
{
    struct redis_limits *limits = (struct redis_limits *)base;

    return atomic_load(&limits->questions.instances);
}

/* ---------------------------------------------------------------- the thread */

static enum status
send_question(struct redis_limits *limits, const struct question *question, struct err *err)
{
    char per_minute[16], burst[16], key[sizeof(KEY_PREFIX) + sizeof(question->hash)];

    (void)snprintf(key, sizeof(key), KEY_PREFIX "%s", question->hash);
    (void)snprintf(per_minute, sizeof(per_minute), "%u", question->per_minute);
    (void)snprintf(burst, sizeof(burst), "%u", question->burst);
    return redis_send(limits->redis,
                      REDIS_ARGS(STR("EVALSHA"), str_from_c(limits->take_sha), STR("1"),
                                 str_from_c(key), str_from_c(per_minute), str_from_c(burst)),
                      err);
}

/* One reply; what it says. */
static enum status
take_answer(struct redis_limits *limits, int64_t deadline_us, enum status *taken_out,
            double *wait_ms_out, struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st = redis_receive(limits->redis, deadline_us, &reply, err);

    *taken_out = ST_UNAVAILABLE;
    *wait_ms_out = 0;
    if (st == ST_OK)
        st = redis_check(limits->redis, reply, err);
    if (st == ST_OK && redis_reply_count(reply) == 2) {
        *taken_out = redis_reply_int(redis_reply_at(reply, 0)) == 1 ? ST_OK : ST_BUSY;
        if (!str_to_double(redis_reply_text(redis_reply_at(reply, 1)), wait_ms_out))
            *wait_ms_out = 1;
    }
    redis_reply_free(&reply);
    return st;
}

static enum status
ask_all(struct redis_limits *limits, struct question *first, struct err *err)
{
    int64_t deadline_us = now_us() + REPLY_MS * US_PER_MS;
    enum status st = ST_OK;

    for (struct question *q = first; q != NULL && st == ST_OK; q = q->next)
        st = send_question(limits, q, err);
    while (first != NULL) {
        enum status taken = ST_UNAVAILABLE;
        double wait_ms = 0;

        if (st == ST_OK)
            st = take_answer(limits, deadline_us, &taken, &wait_ms, err);
        first = limits_answer(&limits->questions, first, taken, wait_ms);
    }
    return st;
}

static enum status
load_script(struct redis_limits *limits, struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st =
        redis_call(limits->redis, REPLY_MS,
                   REDIS_ARGS(STR("SCRIPT"), STR("LOAD"), (struct str)TAKE_SCRIPT), &reply, err);

    (void)snprintf(limits->take_sha, sizeof(limits->take_sha), "%.*s",
                   STR_ARG(redis_reply_text(reply)));
    redis_reply_free(&reply);
    return st;
}

static enum status
heartbeat(struct redis_limits *limits, struct err *err)
{
    struct redis_reply *reply = NULL;
    char dead_after[24];
    enum status st;

    if (now_us() < limits->heartbeat_us)
        return ST_OK;
    limits->heartbeat_us = now_us() + HEARTBEAT_US;
    (void)snprintf(dead_after, sizeof(dead_after), "%" PRId64, DEAD_AFTER_US);
    st = redis_call(limits->redis, REPLY_MS,
                    REDIS_ARGS(STR("EVAL"), INSTANCES_SCRIPT, STR("1"), INSTANCES_KEY,
                               id_str(&limits->instance), str_from_c(dead_after)),
                    &reply, err);
    if (st == ST_OK && redis_reply_int(reply) > 0)
        atomic_store(&limits->questions.instances, (unsigned)redis_reply_int(reply));
    redis_reply_free(&reply);
    return st;
}

/* The others' shares grow at once, not only when this process counts as dead. */
static void
say_goodbye(struct redis_limits *limits)
{
    struct err err;

    if (redis_is_connected(limits->redis) &&
        redis_call(limits->redis, GOODBYE_MS,
                   REDIS_ARGS(STR("ZREM"), INSTANCES_KEY, id_str(&limits->instance)), NULL,
                   &err) != ST_OK)
        redis_disconnect(limits->redis);
}

static void *
run(void *arg)
{
    struct redis_limits *limits = arg;

    while (!limits_questions_stopping(&limits->questions)) {
        bool fresh = !redis_is_connected(limits->redis);
        struct err err;
        enum status st = redis_connect(limits->redis, &err);

        if (st == ST_OK && fresh) {
            limits->heartbeat_us = 0;
            st = load_script(limits, &err);
        }
        if (st == ST_OK)
            st = heartbeat(limits, &err);
        atomic_store(&limits->questions.connected, st == ST_OK);
        if (st == ST_OK)
            st = ask_all(limits, limits_questions_take(&limits->questions, limits->heartbeat_us),
                         &err);
        if (st == ST_OK)
            continue;
        atomic_store(&limits->questions.connected, false);
        limits_refuse_all(&limits->questions);
        if (st != ST_UNAVAILABLE && st != ST_BUSY && st != ST_NOT_FOUND)
            LOG_ERR(LOG_ERROR, "limits.refused", &err);
        if (redis_is_connected(limits->redis))
            redis_give_up(limits->redis);
    }
    say_goodbye(limits);
    limits_refuse_all(&limits->questions);
    return NULL;
}

/* ---------------------------------------------------------------- opening */

static enum status
redis_limits_open(struct limits_shared *base, const struct limits_config *config, struct err *err)
{
    struct redis_limits *limits = (struct redis_limits *)base;
    struct redis_config redis = {
        .addresses = config->addresses, .ca_file = config->ca_file, .use = "limits"};
    enum status st;

    limits->instance = id_new();
    limits_questions_init(&limits->questions, config);
    st = redis_open(&redis, &limits->redis, err);
    if (st == ST_OK)
        st = thread_start("limits", run, limits, &limits->thread, err);
    limits->started = st == ST_OK;
    return st == ST_OK ? ST_OK : err_wrap(err, "open shared limits");
}

static void
redis_limits_close(struct limits_shared *base)
{
    struct redis_limits *limits = (struct redis_limits *)base;

    if (limits->started) {
        limits_questions_stop(&limits->questions);
        if (!atomic_load(&limits->questions.connected)) /* else it ends in its own time, soon */
            redis_stop(limits->redis);
        pthread_join(limits->thread, NULL);
    }
    redis_close(&limits->redis);
    limits_questions_deinit(&limits->questions);
}

const struct limits_driver limits_redis = {
    .name = "redis",
    .size = sizeof(struct redis_limits),
    .open = redis_limits_open,
    .close = redis_limits_close,
    .take = redis_limits_take,
    .instances = redis_limits_instances,
};
