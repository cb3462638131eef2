/*
 * redis.c - connecting, pipelining, replies
 */
#include "net/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/back_off.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/redis_socket.h"

#define DEFAULT_CONNECT_MS 2000
#define DEFAULT_MAX_OUTPUT_BYTES ((size_t)4 * 1024 * 1024)
#define DEFAULT_MAX_REPLY_BYTES ((size_t)64 * 1024 * 1024)
#define READ_BYTES 16384

/* Process-wide: metrics. */
static struct metric connected_metric = {.name = "parley_redis_connections_count",
                                         .help = "Open connections to Redis",
                                         .kind = METRIC_GAUGE,
                                         .labels = {"use"}};
static struct metric connects_metric = {.name = "parley_redis_connects_total",
                                        .help = "Connections to Redis that were made",
                                        .kind = METRIC_COUNTER,
                                        .labels = {"use"}};
static struct metric failures_metric = {
    .name = "parley_redis_failures_total",
    .help = "Connections to Redis that were lost, and rounds of addresses without success",
    .kind = METRIC_COUNTER,
    .labels = {"use"}};

struct redis {
    struct redis_config config;
    struct redis_addresses addresses;
    struct redis_trust *trust; /* NULL: no address wants TLS */
    int wake_fd;
    _Atomic bool stopped;

    struct redis_socket *stream; /* NULL: closed */
    redisReader *reader;
    struct buf output;
    size_t due;    /* replies */
    size_t unread; /* bytes given to the reader since its last reply */
    size_t next_address;
    struct back_off back_off;
    bool told_down; /* the log knows */
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static struct str
use_of(const struct redis *redis)
{
    return str_from_c(redis->config.use);
}

/* ---------------------------------------------------------------- opening */

static bool
wants_tls(const struct redis_addresses *addresses)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (addresses->list[i].tls)
            return true;
    }
    return false;
}

enum status
redis_open(const struct redis_config *config, struct redis **redis_out, struct err *err)
{
    struct redis *redis = calloc(1, sizeof(*redis));
    char ca_file[4096];
    enum status st = ST_OK;

    *redis_out = NULL;
    if (redis == NULL)
        abort();
    redis->config = *config;
    redis->config.addresses = redis->config.ca_file = STR_EMPTY; /* the caller's */
    if (redis->config.connect_ms == 0)
        redis->config.connect_ms = DEFAULT_CONNECT_MS;
    if (redis->config.max_output_bytes == 0)
        redis->config.max_output_bytes = DEFAULT_MAX_OUTPUT_BYTES;
    if (redis->config.max_reply_bytes == 0)
        redis->config.max_reply_bytes = DEFAULT_MAX_REPLY_BYTES;
    buf_init(&redis->output, redis->config.max_output_bytes);
    redis->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (redis->wake_fd < 0)
        st = err_set_detail(err, ST_UNAVAILABLE, "eventfd: %s", strerrordesc_np(errno));
    if (st == ST_OK)
        st = redis_addresses_parse(config->addresses, &redis->addresses, err);
    (void)snprintf(ca_file, sizeof(ca_file), "%.*s", STR_ARG(config->ca_file));
    if (st == ST_OK && wants_tls(&redis->addresses))
        st = redis_trust_create(ca_file, &redis->trust, err);
    if (st != ST_OK) {
        redis_close(&redis);
        return st;
    }
    metric_register(&connected_metric);
    metric_register(&connects_metric);
    metric_register(&failures_metric);
    *redis_out = redis;
    return ST_OK;
}

void
redis_disconnect(struct redis *redis)
{
    if (redis->stream == NULL)
        return;
    redis_socket_close(&redis->stream);
    redisReaderFree(redis->reader);
    redis->reader = NULL;
    buf_clear(&redis->output);
    redis->due = redis->unread = 0;
    back_off_closed(&redis->back_off);
    metric_add(&connected_metric, -1, use_of(redis), STR_EMPTY, STR_EMPTY);
}

void
redis_close(struct redis **redis_ref)
{
    struct redis *redis = *redis_ref;

    if (redis == NULL)
        return;
    redis_disconnect(redis);
    buf_deinit(&redis->output);
    redis_trust_destroy(&redis->trust);
    redis_addresses_wipe(&redis->addresses);
    if (redis->wake_fd >= 0)
        (void)close(redis->wake_fd);
    free(redis);
    *redis_ref = NULL;
}

bool
redis_is_connected(const struct redis *redis)
{
    return redis->stream != NULL;
}

/* ---------------------------------------------------------------- waking */

void
redis_wake(struct redis *redis)
{
    const uint64_t one = 1;

    /* Full means that it is readable already. */
    if (write(redis->wake_fd, &one, sizeof(one)) < 0)
        return;
}

void
redis_stop(struct redis *redis)
{
    atomic_store(&redis->stopped, true);
    redis_wake(redis);
}

bool
redis_is_stopped(const struct redis *redis)
{
    return atomic_load(&redis->stopped);
}

static void
clear_wake(struct redis *redis)
{
    uint64_t count;

    if (read(redis->wake_fd, &count, sizeof(count)) < 0)
        return;
}

/* ---------------------------------------------------------------- replies */

static const redisReply *
inside(const struct redis_reply *reply)
{
    return (const redisReply *)reply;
}

enum redis_kind
redis_reply_kind(const struct redis_reply *reply)
{
    if (reply == NULL)
        return REDIS_NIL;
    switch (inside(reply)->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return REDIS_TEXT;
    case REDIS_REPLY_ARRAY:
        return REDIS_ARRAY;
    case REDIS_REPLY_INTEGER:
        return REDIS_INTEGER;
    case REDIS_REPLY_ERROR:
        return REDIS_ERROR;
    default:
        return REDIS_NIL;
    }
}

struct str
redis_reply_text(const struct redis_reply *reply)
{
    enum redis_kind kind = redis_reply_kind(reply);

    if (kind != REDIS_TEXT && kind != REDIS_ERROR)
        return STR_EMPTY;
    return str_of(inside(reply)->str, (size_t)inside(reply)->len);
}

int64_t
redis_reply_int(const struct redis_reply *reply)
{
    int64_t number = 0;

    if (redis_reply_kind(reply) == REDIS_INTEGER)
        return inside(reply)->integer;
    return str_to_i64(redis_reply_text(reply), &number) ? number : 0;
}

size_t
redis_reply_count(const struct redis_reply *reply)
{
    return redis_reply_kind(reply) == REDIS_ARRAY ? inside(reply)->elements : 0;
}

const struct redis_reply *
redis_reply_at(const struct redis_reply *reply, size_t at)
{
    if (at >= redis_reply_count(reply))
        return NULL;
    return (const struct redis_reply *)inside(reply)->element[at];
}

void
redis_reply_free(struct redis_reply **reply)
{
    freeReplyObject(*reply);
    *reply = NULL;
}

static void
count_failure(struct redis *redis)
{
    METRIC_INC(&failures_metric, use_of(redis));
    back_off_failed(&redis->back_off);
}

void
redis_give_up(struct redis *redis)
{
    redis_disconnect(redis);
    count_failure(redis);
}

/* The connection is over by no wish of ours. */
static enum status
lose(struct redis *redis, struct err *err, const char *why)
{
    redis_give_up(redis);
    return err_set_detail(err, ST_UNAVAILABLE, "Redis: %s", why);
}

enum status
redis_check(struct redis *redis, const struct redis_reply *reply, struct err *err)
{
    static const struct {
        const char *word;
        enum status code;
    } words[] = {{"NOGROUP", ST_NOT_FOUND},
                 {"UNBLOCKED", ST_NOT_FOUND},
                 {"NOSCRIPT", ST_NOT_FOUND},
                 {"BUSYGROUP", ST_CONFLICT},
                 {"OOM", ST_BUSY},
                 {"READONLY", ST_UNAVAILABLE},
                 {"LOADING", ST_UNAVAILABLE},
                 {"MASTERDOWN", ST_UNAVAILABLE},
                 {"TRYAGAIN", ST_UNAVAILABLE},
                 {"BUSY", ST_UNAVAILABLE},
                 {"CLUSTERDOWN", ST_UNAVAILABLE},
                 {"NOREPLICAS", ST_UNAVAILABLE}};
    struct str text = redis_reply_text(reply);
    struct str rest = text;
    struct str word = STR_EMPTY;
    enum status st = ST_INTERNAL;

    if (redis_reply_kind(reply) != REDIS_ERROR)
        return ST_OK;
    (void)str_split(&rest, ' ', &word);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq_c(word, words[i].word))
            st = words[i].code;
    }
    if (str_eq_c(text, "ERR no such key"))
        st = ST_NOT_FOUND;
    /* The server's words may hold bytes that we sent, but no secret: those go with AUTH only. */
    (void)err_set_detail(err, st, "Redis: %.*s", STR_ARG(str_sub(text, 0, 200)));
    if (st == ST_UNAVAILABLE && redis->stream != NULL)
        redis_give_up(redis);
    return st;
}

/* ---------------------------------------------------------------- commands */

size_t
redis_due(const struct redis *redis)
{
    return redis->due;
}

enum status
redis_send(struct redis *redis, const struct str *args, size_t count, struct err *err)
{
    size_t before = redis->output.len;

    if (redis->stream == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "Redis: not connected");
    buf_printf(&redis->output, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&redis->output, "$%zu\r\n", args[i].len);
        buf_append(&redis->output, args[i]);
        buf_append_c(&redis->output, "\r\n");
    }
    if (redis->output.failed) {
        redis->output.failed = false;
        redis->output.len = before;
        return err_set_detail(err, ST_TOO_LARGE, "Redis: over %zu bytes not sent yet",
                              redis->config.max_output_bytes);
    }
    redis->due++;
    return ST_OK;
}

/* Writes what can be written now. False: the connection is over. */
static bool
write_some(struct redis *redis)
{
    ssize_t moved = 1;

    while (redis->output.len > 0 && moved > 0) {
        moved = redis_socket_write(redis->stream, redis->output.ptr, redis->output.len);
        if (moved > 0)
            buf_consume(&redis->output, (size_t)moved);
    }
    return moved >= 0;
}

static bool
read_some(struct redis *redis)
{
    char bytes[READ_BYTES];
    ssize_t moved = redis_socket_read(redis->stream, bytes, sizeof(bytes));

    if (moved <= 0)
        return moved == 0;
    redis->unread += (size_t)moved;
    return redis->unread <= redis->config.max_reply_bytes &&
           redisReaderFeed(redis->reader, bytes, (size_t)moved) == REDIS_OK;
}

enum status
redis_receive(struct redis *redis, int64_t mono_deadline_us, struct redis_reply **reply_out,
              struct err *err)
{
    void *reply = NULL;

    *reply_out = NULL;
    while (redis->stream != NULL && !redis_is_stopped(redis)) {
        enum socket_wait waited;

        if (!write_some(redis))
            return lose(redis, err, "the connection ended");
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK)
            return lose(redis, err, redis->reader->errstr);
        if (reply != NULL) {
            redis->unread = 0;
            if (redis->due > 0)
                redis->due--;
            *reply_out = reply;
            return ST_OK;
        }
        waited = redis_socket_wait(redis->stream, redis->output.len > 0, redis->wake_fd,
                                   mono_deadline_us);
        if (waited == SOCKET_WOKEN)
            clear_wake(redis);
        if (redis_is_stopped(redis))
            break;
        if (waited != SOCKET_READY)
            return err_set_detail(err, ST_BUSY, "Redis: no reply yet");
        if (!read_some(redis))
            return lose(redis, err, "the connection ended");
    }
    return err_set_detail(err, ST_UNAVAILABLE, "Redis: not connected");
}

enum status
redis_call(struct redis *redis, int timeout_ms, const struct str *args, size_t count,
           struct redis_reply **reply_out, struct err *err)
{
    int64_t deadline_us = now_us() + timeout_ms * US_PER_MS;
    struct redis_reply *reply = NULL;
    enum status st = redis_send(redis, args, count, err);

    if (reply_out != NULL)
        *reply_out = NULL;
    if (st == ST_OK)
        st = redis_receive(redis, deadline_us, &reply, err);
    /* Woken, or a reply of something before. */
    while (((st == ST_BUSY && now_us() < deadline_us) || (st == ST_OK && redis->due > 0)) &&
           !redis_is_stopped(redis)) {
        redis_reply_free(&reply);
        st = redis_receive(redis, deadline_us, &reply, err);
    }
    if (st == ST_BUSY)
        return lose(redis, err, "no reply within the time");
    if (st == ST_OK)
        st = redis_check(redis, reply, err);
    if (st == ST_OK && reply_out != NULL)
        *reply_out = reply;
    else
        redis_reply_free(&reply);
    return st;
}

/* ---------------------------------------------------------------- connecting */

static int
left_ms(int64_t deadline_us)
{
    int64_t left = (deadline_us - now_us()) / US_PER_MS;

    return left > 0 ? (int)left : 0;
}

static enum status
log_in(struct redis *redis, const struct redis_address *address, int64_t deadline_us,
       struct err *err)
{
    struct str user = str_from_c(address->user);
    struct str password = str_from_c(address->password);
    char database[16];
    enum status st = ST_OK;

    if (user.len > 0)
        st = redis_call(redis, left_ms(deadline_us), REDIS_ARGS(STR("AUTH"), user, password), NULL,
                        err);
    else if (password.len > 0)
        st = redis_call(redis, left_ms(deadline_us), REDIS_ARGS(STR("AUTH"), password), NULL, err);
    if (st == ST_OK && address->database > 0) {
        (void)snprintf(database, sizeof(database), "%u", address->database);
        st = redis_call(redis, left_ms(deadline_us),
                        REDIS_ARGS(STR("SELECT"), str_from_c(database)), NULL, err);
    }
    return st;
}

/* A replica answers questions and refuses writes. Whether it is one may be a secret to us: then the
 * first write will tell. */
static enum status
check_primary(struct redis *redis, int64_t deadline_us, struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st = redis_call(redis, left_ms(deadline_us), REDIS_ARGS(STR("ROLE")), &reply, err);

    if (st == ST_INTERNAL && strstr(err->detail, "NOPERM") != NULL)
        return ST_OK;
    if (st == ST_OK && !str_eq_c(redis_reply_text(redis_reply_at(reply, 0)), "master"))
        st = err_set_detail(err, ST_UNAVAILABLE, "Redis: a replica, which takes no writes");
    redis_reply_free(&reply);
    return st;
}

static enum status
try_address(struct redis *redis, const struct redis_address *address, struct err *err)
{
    int64_t deadline_us = now_us() + redis->config.connect_ms * US_PER_MS;
    enum status st;

    do {
        clear_wake(redis);
        if (redis_is_stopped(redis))
            return err_set_detail(err, ST_UNAVAILABLE, "Redis: stopping");
        st = redis_socket_open(address, redis->trust, redis->wake_fd, deadline_us, &redis->stream,
                               err);
    } while (st == ST_BUSY); /* woken for something else: again, within the same time */
    if (st != ST_OK)
        return st;
    redis->reader = redisReaderCreate();
    if (redis->reader == NULL)
        abort();
    back_off_opened(&redis->back_off);
    metric_add(&connected_metric, 1, use_of(redis), STR_EMPTY, STR_EMPTY);
    st = log_in(redis, address, deadline_us, err);
    if (st == ST_OK)
        st = check_primary(redis, deadline_us, err);
    if (st != ST_OK)
        redis_disconnect(redis);
    return st;
}

static void
wait_back_off(struct redis *redis)
{
    while (!redis_is_stopped(redis) &&
           redis_socket_wait(NULL, false, redis->wake_fd, redis->back_off.retry_at_us) ==
               SOCKET_WOKEN)
        clear_wake(redis);
}

enum status
redis_connect(struct redis *redis, struct err *err)
{
    enum status st = ST_UNAVAILABLE;

    if (redis->stream != NULL)
        return ST_OK;
    wait_back_off(redis);
    for (size_t i = 0; i < redis->addresses.count && st != ST_OK; i++) {
        const struct redis_address *address = &redis->addresses.list[redis->next_address];

        if (redis_is_stopped(redis))
            return err_set_detail(err, ST_UNAVAILABLE, "Redis: stopping");
        /* Behind this one, should it be lost. */
        redis->next_address = (redis->next_address + 1) % redis->addresses.count;
        st = try_address(redis, address, err);
        if (st != ST_OK)
            (void)err_wrap(err, "%s:%u", address->host, address->port);
    }
    if (st != ST_OK) {
        count_failure(redis);
        if (!redis->told_down && !redis_is_stopped(redis))
            LOG_ERR(LOG_ERROR, "redis.unavailable", err, log_str("use", use_of(redis)));
        redis->told_down = true;
        err->code = ST_UNAVAILABLE;
        return ST_UNAVAILABLE;
    }
    if (redis->told_down || redis->back_off.failures > 0)
        LOG(LOG_INFO, "redis.reconnected", log_str("use", use_of(redis)));
    redis->told_down = false;
    back_off_opened(&redis->back_off);
    METRIC_INC(&connects_metric, use_of(redis));
    return ST_OK;
}
