/*
 * limits_redis.c - buckets in Redis, one script call a token
 */
#include <inttypes.h>
#include <stdio.h>

#include "net/redis.h"
#include "tenant/limits_questions.h"

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
    struct limits_questions questions;
    struct redis *redis; /* of the thread */
    char take_sha[41];   /* of the thread */
};

static struct redis *
redis_of(const struct limits_questions *questions)
{
    return ((const struct redis_limits *)questions)->redis;
}

/* ---------------------------------------------------------------- the server */

static bool
is_connected(const struct limits_questions *questions)
{
    return redis_is_connected(redis_of(questions));
}

static enum status
connect_redis(struct limits_questions *questions, struct err *err)
{
    struct redis_limits *limits = (struct redis_limits *)questions;
    bool fresh = !redis_is_connected(limits->redis);
    struct redis_reply *reply = NULL;
    enum status st = redis_connect(limits->redis, err);

    if (st != ST_OK || !fresh)
        return st;
    st = redis_call(limits->redis, LIMITS_REPLY_MS,
                    REDIS_ARGS(STR("SCRIPT"), STR("LOAD"), (struct str)TAKE_SCRIPT), &reply, err);
    (void)snprintf(limits->take_sha, sizeof(limits->take_sha), "%.*s",
                   STR_ARG(redis_reply_text(reply)));
    redis_reply_free(&reply);
    return st;
}

static enum status
see(struct limits_questions *questions, int64_t silent_us, int64_t *instances_out, struct err *err)
{
    struct redis_reply *reply = NULL;
    char silent[24];
    enum status st;

    (void)snprintf(silent, sizeof(silent), "%" PRId64, silent_us);
    st = redis_call(redis_of(questions), LIMITS_REPLY_MS,
                    REDIS_ARGS(STR("EVAL"), INSTANCES_SCRIPT, STR("1"), INSTANCES_KEY,
                               id_str(&questions->instance), str_from_c(silent)),
                    &reply, err);
    *instances_out = redis_reply_int(reply);
    redis_reply_free(&reply);
    return st;
}

static void
leave(struct limits_questions *questions)
{
    struct err err;

    if (redis_call(redis_of(questions), LIMITS_LEAVE_MS,
                   REDIS_ARGS(STR("ZREM"), INSTANCES_KEY, id_str(&questions->instance)), NULL,
                   &err) != ST_OK)
        redis_disconnect(redis_of(questions));
}

static enum status
send_question(struct limits_questions *questions, const struct question *question, struct err *err)
{
    const struct redis_limits *limits = (const struct redis_limits *)questions;
    char per_minute[16], burst[16], key[sizeof(KEY_PREFIX) + sizeof(question->hash)];

    (void)snprintf(key, sizeof(key), KEY_PREFIX "%s", question->hash);
    (void)snprintf(per_minute, sizeof(per_minute), "%u", question->per_minute);
    (void)snprintf(burst, sizeof(burst), "%u", question->burst);
    return redis_send(limits->redis,
                      REDIS_ARGS(STR("EVALSHA"), str_from_c(limits->take_sha), STR("1"),
                                 str_from_c(key), str_from_c(per_minute), str_from_c(burst)),
                      err);
}

static enum status
receive(struct limits_questions *questions, int64_t deadline_us, enum status *taken_out,
        double *wait_ms_out, struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st = redis_receive(redis_of(questions), deadline_us, &reply, err);

    *taken_out = ST_UNAVAILABLE;
    *wait_ms_out = 0;
    if (st == ST_OK)
        st = redis_check(redis_of(questions), reply, err);
    if (st == ST_OK && redis_reply_count(reply) == 2) {
        *taken_out = redis_reply_int(redis_reply_at(reply, 0)) == 1 ? ST_OK : ST_BUSY;
        if (!str_to_double(redis_reply_text(redis_reply_at(reply, 1)), wait_ms_out))
            *wait_ms_out = 1;
    }
    redis_reply_free(&reply);
    return st;
}

static void
give_up(struct limits_questions *questions)
{
    redis_give_up(redis_of(questions));
}

static void
stop(struct limits_questions *questions)
{
    redis_stop(redis_of(questions));
}

static const struct limits_server server = {
    .is_connected = is_connected,
    .connect = connect_redis,
    .see = see,
    .leave = leave,
    .send = send_question,
    .receive = receive,
    .give_up = give_up,
    .stop = stop,
};

/* ---------------------------------------------------------------- opening */

static enum status
redis_limits_open(struct limits_shared *base, const struct limits_config *config, struct err *err)
{
    struct redis_limits *limits = (struct redis_limits *)base;
    struct redis_config redis = {
        .addresses = config->addresses, .ca_file = config->ca_file, .use = "limits"};
    enum status st;

    limits_questions_init(&limits->questions, config, &server);
    st = redis_open(&redis, &limits->redis, err);
    if (st == ST_OK)
        st = limits_questions_start(&limits->questions, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "open shared limits");
}

static void
redis_limits_close(struct limits_shared *base)
{
    struct redis_limits *limits = (struct redis_limits *)base;

    limits_questions_stop(&limits->questions);
    redis_close(&limits->redis);
    limits_questions_deinit(&limits->questions);
}

const struct limits_driver limits_redis = {
    .name = "redis",
    .size = sizeof(struct redis_limits),
    .open = redis_limits_open,
    .close = redis_limits_close,
    .take = limits_questions_take,
    .instances = limits_questions_instances,
};
