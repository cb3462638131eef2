/*
 * redis.c - live events between processes through Redis
 *
 *   parley:live-meta:<key>   hash: epoch, number, generation, last event of each publisher
 *   parley:live-ring:<key>   list: the newest events, "type\ndata"
 *   parley:live:<key>        channel: "epoch-number\ntype\ndata" as it happens; "" means join again
 *   parley:live-all          channel: every topic begins anew
 *   parley:live-generation   counter: how often that was
 *
 * A script gives numbers, keeps the ring and tells the channel, so order and numbers are one for
 * all processes. There are rings only for topics that somebody listened to lately: whoever
 * subscribes makes them, and makes them live on. Two threads with a connection each: one hears the
 * channels of all topics of this process, one sends events and reads rings, many in one go. What
 * was not confirmed is sent again; the script knows it by its publisher's count.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/thread.h"
#include "live/drivers/live_tasks.h"
#include "net/redis.h"

#define CHANNEL "parley:live:"
#define META "parley:live-meta:"
#define RING "parley:live-ring:"
#define KEY_BYTES 384
#define ALL_CHANNEL STR_INIT("parley:live-all")
#define GENERATION STR_INIT("parley:live-generation")
#define BATCH 128
#define REPLY_MS 2000
#define HEARTBEAT_US (2 * US_PER_S)

/* KEYS: meta, ring, generation. ARGV: channel, publisher, its count, item, data that is not kept
 * as "1", events kept. */
#define PUBLISH_SCRIPT                                                                             \
    STR_INIT("local g = redis.call('GET', KEYS[3]) or '0' "                                        \
             "local m = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'generation', ARGV[2]) "   \
             "if not m[1] or m[3] ~= g then redis.call('PUBLISH', ARGV[1], '') return 0 end "      \
             "if m[4] and tonumber(m[4]) >= tonumber(ARGV[3]) then return 0 end "                  \
             "local n = string.format('%.0f', tonumber(m[2]) + 1) "                                \
             "redis.call('HSET', KEYS[1], 'number', n, ARGV[2], ARGV[3]) "                         \
             "if ARGV[5] == '1' then redis.call('DEL', KEYS[2]) "                                  \
             "redis.call('PUBLISH', ARGV[1], '') return 1 end "                                    \
             "redis.call('RPUSH', KEYS[2], ARGV[4]) "                                              \
             "redis.call('LTRIM', KEYS[2], -tonumber(ARGV[6]), -1) "                               \
             "redis.call('PEXPIRE', KEYS[2], math.max(1, redis.call('PTTL', KEYS[1]))) "           \
             "redis.call('PUBLISH', ARGV[1], m[1] .. '-' .. n .. '\\n' .. ARGV[4]) return 1")

/* KEYS: meta, ring, generation. ARGV: epoch for a new ring, milliseconds it lives, known epoch and
 * number. Gives {epoch, number, items behind the known}. */
#define JOIN_SCRIPT                                                                                \
    STR_INIT("local g = redis.call('GET', KEYS[3]) or '0' "                                        \
             "local m = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'generation') "            \
             "if not m[1] or m[3] ~= g then redis.call('DEL', KEYS[1], KEYS[2]) "                  \
             "redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'number', '0', 'generation', g) "      \
             "m = {ARGV[1], '0'} end "                                                             \
             "redis.call('PEXPIRE', KEYS[1], ARGV[2]) redis.call('PEXPIRE', KEYS[2], ARGV[2]) "    \
             "local from = 0 if m[1] == ARGV[3] then "                                             \
             "from = math.max(0, tonumber(ARGV[4]) - tonumber(m[2]) + "                            \
             "redis.call('LLEN', KEYS[2])) end "                                                   \
             "return {m[1], m[2], redis.call('LRANGE', KEYS[2], from, -1)}")

/* A key that the hearing thread is to subscribe to or not. */
struct wish {
    struct wish *next;
    bool leave;
    size_t key_len;
    char key[];
};

struct redis_live {
    struct live_link base;
    struct redis *hearing, *asking;
    pthread_t threads[2];
    unsigned started;
    struct id_text publisher;
    int64_t keep_ms;
    char events_kept[16];
    char publish_sha[41], join_sha[41]; /* of the asking thread */
    int64_t refresh_us;                 /* of the asking thread */

    struct live_tasks tasks;
    pthread_mutex_t lock; /* guards the wishes */
    struct wish *wishes, *last_wish;
    _Atomic bool hears;
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static struct str
name_key(const char *prefix, struct str key, char out[KEY_BYTES])
{
    int len = snprintf(out, KEY_BYTES, "%s%.*s", prefix, STR_ARG(key));

    return str_of(out, (size_t)len);
}

/* ---------------------------------------------------------------- lists */

static void
add_join(struct str key, void *context)
{
    struct redis_live *live = context;

    (void)live_tasks_join(&live->tasks, key);
}

static void
add_wish(struct redis_live *live, struct str key, bool leave)
{
    struct wish *wish = calloc(1, sizeof(*wish) + key.len);

    if (wish == NULL)
        abort();
    wish->leave = leave;
    wish->key_len = key.len;
    memcpy(wish->key, key.ptr, key.len);
    pthread_mutex_lock(&live->lock);
    if (live->last_wish != NULL)
        live->last_wish->next = wish;
    else
        live->wishes = wish;
    live->last_wish = wish;
    pthread_mutex_unlock(&live->lock);
    redis_wake(live->hearing);
}

static struct wish *
take_wishes(struct redis_live *live)
{
    struct wish *first;

    pthread_mutex_lock(&live->lock);
    first = live->wishes;
    live->wishes = live->last_wish = NULL;
    pthread_mutex_unlock(&live->lock);
    return first;
}

/* ---------------------------------------------------------------- for the hub */

/* A key is wished while there is no link, too: then all keys are subscribed to together. */
static bool
redis_live_join(struct live_link *base, struct str key)
{
    struct redis_live *live = (struct redis_live *)base;

    if (!atomic_load(&live->hears))
        return false;
    add_wish(live, key, false);
    return true;
}

static void
redis_live_leave(struct live_link *base, struct str key)
{
    struct redis_live *live = (struct redis_live *)base;

    if (atomic_load(&live->hears))
        add_wish(live, key, true);
}

static void
redis_live_publish(struct live_link *base, struct str key, struct str type, struct str data)
{
    struct redis_live *live = (struct redis_live *)base;

    (void)live_tasks_publish(&live->tasks, key, type, data);
}

/* ---------------------------------------------------------------- asking */

static enum status
send_task(struct redis_live *live, const struct task *task, struct err *err)
{
    char meta[KEY_BYTES], ring[KEY_BYTES], channel[KEY_BYTES];
    char number_text[24], keep[24];
    char epoch[17] = "", fresh[17];
    uint64_t number = 0;
    struct str key = live_task_key(task);

    name_key(META, key, meta);
    name_key(RING, key, ring);
    name_key(CHANNEL, key, channel);
    if (task->kind == TASK_JOIN) {
        (void)live_hub_place(live->base.hub, key, epoch, &number);
        id_span(fresh);
        (void)snprintf(number_text, sizeof(number_text), "%" PRIu64, number);
        (void)snprintf(keep, sizeof(keep), "%" PRId64, live->keep_ms);
        return redis_send(live->asking,
                          REDIS_ARGS(STR("EVALSHA"), str_from_c(live->join_sha), STR("3"),
                                     str_from_c(meta), str_from_c(ring), GENERATION,
                                     str_from_c(fresh), str_from_c(keep), str_from_c(epoch),
                                     str_from_c(number_text)),
                          err);
    }
    (void)snprintf(number_text, sizeof(number_text), "%" PRIu64, task->count);
    return redis_send(
        live->asking,
        REDIS_ARGS(STR("EVALSHA"), str_from_c(live->publish_sha), STR("3"), str_from_c(meta),
                   str_from_c(ring), GENERATION, str_from_c(channel), id_str(&live->publisher),
                   str_from_c(number_text), live_task_item(task),
                   task->too_large ? STR("1") : STR("0"), str_from_c(live->events_kept)),
        err);
}

static void
take_join(struct redis_live *live, const struct task *task, const struct redis_reply *reply)
{
    const struct redis_reply *list = redis_reply_at(reply, 2);
    size_t count = redis_reply_count(list);
    struct live_item *items = calloc(count + 1, sizeof(*items));

    if (items == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        items[i] = live_item_of(redis_reply_text(redis_reply_at(list, i)));
    if (!live_hub_joined(live->base.hub, live_task_key(task),
                         redis_reply_text(redis_reply_at(reply, 0)),
                         (uint64_t)redis_reply_int(redis_reply_at(reply, 1)), items, count))
        add_join(live_task_key(task), live);
    free(items);
}

/* Sends the list's beginning and takes the replies; a task goes when it has its own. */
static enum status
do_tasks(struct redis_live *live, const struct task *task, size_t count, struct err *err)
{
    int64_t deadline_us = now_us() + REPLY_MS * US_PER_MS;
    size_t sent = 0;
    enum status st = ST_OK;

    while (sent < count && st == ST_OK) {
        st = send_task(live, task, err);
        if (st == ST_OK && ++sent < count)
            task = task->next;
    }
    if (st == ST_TOO_LARGE && sent > 0)
        st = ST_OK;
    for (size_t i = 0; i < sent && st == ST_OK; i++) {
        struct redis_reply *reply = NULL;

        st = redis_receive(live->asking, deadline_us, &reply, err);
        if (st == ST_OK)
            st = redis_check(live->asking, reply, err);
        if (st == ST_OK && live->tasks.first->kind == TASK_JOIN)
            take_join(live, live->tasks.first, reply);
        redis_reply_free(&reply);
        if (st != ST_OK && st != ST_INTERNAL)
            break;
        live_tasks_done(&live->tasks, st == ST_INTERNAL);
    }
    return st;
}

static enum status
load(struct redis_live *live, struct str script, char sha_out[41], struct err *err)
{
    struct redis_reply *reply = NULL;
    enum status st = redis_call(live->asking, REPLY_MS,
                                REDIS_ARGS(STR("SCRIPT"), STR("LOAD"), script), &reply, err);

    (void)snprintf(sha_out, 41, "%.*s", STR_ARG(redis_reply_text(reply)));
    redis_reply_free(&reply);
    return st;
}

/* Events were dropped: no topic may look as if nothing had happened. */
static enum status
begin_anew(struct redis_live *live, struct err *err)
{
    enum status st;

    if (!live_tasks_take_lost(&live->tasks))
        return ST_OK;
    LOG(LOG_WARN, "live.events_dropped");
    st = redis_call(live->asking, REPLY_MS, REDIS_ARGS(STR("INCR"), GENERATION), NULL, err);
    if (st == ST_OK)
        st = redis_call(live->asking, REPLY_MS,
                        REDIS_ARGS(STR("PUBLISH"), ALL_CHANNEL, STR("anew")), NULL, err);
    if (st != ST_OK)
        live_tasks_set_lost(&live->tasks);
    return st;
}

static void *
run_asking(void *arg)
{
    struct redis_live *live = arg;

    while (!redis_is_stopped(live->asking)) {
        bool fresh = !redis_is_connected(live->asking);
        const struct task *task;
        size_t count;
        struct err err;
        enum status st = redis_connect(live->asking, &err);

        if (st == ST_OK && fresh)
            st = load(live, (struct str)PUBLISH_SCRIPT, live->publish_sha, &err);
        if (st == ST_OK && fresh)
            st = load(live, (struct str)JOIN_SCRIPT, live->join_sha, &err);
        if (st == ST_OK)
            st = begin_anew(live, &err);
        if (st == ST_OK &&
            now_us() >= live->refresh_us) { /* rings live on; what was missed comes */
            live->refresh_us = now_us() + live->keep_ms * US_PER_MS / 3;
            live_hub_each(live->base.hub, add_join, live);
        }
        if (st == ST_OK) {
            /* None: rings must be refreshed, or it is the end. */
            task = live_tasks_wait(&live->tasks, BATCH, live->refresh_us, &count);
            st = do_tasks(live, task, count, &err);
        }
        if (st != ST_OK && redis_is_connected(live->asking)) {
            if (st != ST_NOT_FOUND && st != ST_BUSY) /* scripts flushed, late */
                LOG_ERR(LOG_ERROR, "live.failed", &err);
            redis_give_up(live->asking);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- hearing */

static enum status
say(struct redis_live *live, struct str word, struct str key, struct err *err)
{
    char channel[KEY_BYTES];
    enum status st =
        redis_send(live->hearing, REDIS_ARGS(word, name_key(CHANNEL, key, channel)), err);
    struct redis_reply *reply;

    /* Full: written out by a look at what comes, of which there may be nothing. */
    while (st == ST_TOO_LARGE) {
        st = redis_receive(live->hearing, now_us() + REPLY_MS * US_PER_MS, &reply, err);
        redis_reply_free(&reply); /* an event so lost is missed at the join */
        if (st == ST_OK || st == ST_BUSY)
            st = redis_send(live->hearing, REDIS_ARGS(word, name_key(CHANNEL, key, channel)), err);
    }
    return st;
}

static enum status
grant_wishes(struct redis_live *live, struct err *err)
{
    struct wish *wish = take_wishes(live);
    enum status st = ST_OK;

    while (wish != NULL) {
        struct wish *next = wish->next;

        if (st == ST_OK)
            st = say(live, wish->leave ? STR("UNSUBSCRIBE") : STR("SUBSCRIBE"),
                     str_of(wish->key, wish->key_len), err);
        free(wish);
        wish = next;
    }
    return st;
}

static void
wish_for(struct str key, void *context)
{
    add_wish(context, key, false);
}

/* ["message", channel, "epoch-number\ntype\ndata"] */
static void
hear_message(struct redis_live *live, struct str channel, struct str text)
{
    struct str key = str_sub(channel, sizeof(CHANNEL) - 1, channel.len);
    struct str id, epoch;
    struct live_item item;
    int64_t number = 0;

    if (str_eq(channel, (struct str)ALL_CHANNEL)) {
        live_hub_each(live->base.hub, add_join, live);
        return;
    }
    if (!str_starts_with(channel, STR(CHANNEL)))
        return;
    if (text.len > 0 && str_split(&text, '\n', &id) && str_split(&id, '-', &epoch) &&
        str_to_i64(id, &number) && number > 0) {
        item = live_item_of(text);
        if (live_hub_deliver(live->base.hub, key, epoch, (uint64_t)number, &item))
            return;
    }
    add_join(key, live);
}

static enum status
hear_reply(struct redis_live *live, const struct redis_reply *reply, struct err *err)
{
    struct str kind = redis_reply_text(redis_reply_at(reply, 0));
    struct str channel = redis_reply_text(redis_reply_at(reply, 1));
    enum status st = redis_check(live->hearing, reply, err);

    if (st != ST_OK)
        return st;
    if (str_eq_c(kind, "message"))
        hear_message(live, channel, redis_reply_text(redis_reply_at(reply, 2)));
    else if (str_eq_c(kind, "subscribe") && str_starts_with(channel, STR(CHANNEL)))
        add_join(str_sub(channel, sizeof(CHANNEL) - 1, channel.len), live);
    return ST_OK;
}

/* As long as the connection lives. A server that says nothing is asked whether it is there. */
static enum status
hear(struct redis_live *live, struct err *err)
{
    int64_t heard_us = now_us();
    int64_t ask_us = heard_us + HEARTBEAT_US;
    enum status st = ST_OK;

    while (st == ST_OK && !redis_is_stopped(live->hearing)) {
        struct redis_reply *reply = NULL;

        st = grant_wishes(live, err);
        if (st == ST_OK)
            st = redis_receive(live->hearing, ask_us, &reply, err);
        if (st == ST_OK) {
            heard_us = now_us();
            st = hear_reply(live, reply, err);
        } else if (st == ST_BUSY) { /* woken, or silence */
            st = ST_OK;
            if (now_us() - heard_us > 2 * HEARTBEAT_US)
                return err_set_detail(err, ST_UNAVAILABLE, "Redis: silent");
        }
        redis_reply_free(&reply);
        if (st == ST_OK && now_us() >= ask_us) {
            st = redis_send(live->hearing, REDIS_ARGS(STR("PING")), err);
            ask_us = now_us() + HEARTBEAT_US;
        }
    }
    return st;
}

static void *
run_hearing(void *arg)
{
    struct redis_live *live = arg;

    while (!redis_is_stopped(live->hearing)) {
        struct err err;
        enum status st = redis_connect(live->hearing, &err);

        if (st == ST_OK)
            st = redis_send(live->hearing, REDIS_ARGS(STR("SUBSCRIBE"), ALL_CHANNEL), &err);
        if (st == ST_OK) {
            atomic_store(&live->hears, true); /* before looking at who is there */
            live_hub_each(live->base.hub, wish_for, live);
            st = hear(live, &err);
        }
        atomic_store(&live->hears, false);
        live_hub_lost(live->base.hub);
        if (st != ST_OK && redis_is_connected(live->hearing)) {
            if (st != ST_UNAVAILABLE)
                LOG_ERR(LOG_ERROR, "live.failed", &err);
            redis_give_up(live->hearing);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- opening */

static enum status
redis_live_open(struct live_link *base, const struct live_config *config, struct err *err)
{
    struct redis_live *live = (struct redis_live *)base;
    struct redis_config redis = {
        .addresses = config->addresses, .ca_file = config->ca_file, .use = "live"};
    enum status st;

    live->publisher = id_new();
    live->keep_ms = config->keep_us / US_PER_MS > 3000 ? config->keep_us / US_PER_MS : 3000;
    (void)snprintf(live->events_kept, sizeof(live->events_kept), "%u", config->events_per_topic);
    pthread_mutex_init(&live->lock, NULL);
    live_tasks_init(&live->tasks);
    st = redis_open(&redis, &live->hearing, err);
    if (st == ST_OK)
        st = redis_open(&redis, &live->asking, err);
    if (st == ST_OK)
        st = thread_start("live-hear", run_hearing, live, &live->threads[0], err);
    if (st == ST_OK) {
        live->started++;
        st = thread_start("live-ask", run_asking, live, &live->threads[1], err);
    }
    if (st == ST_OK)
        live->started++;
    return st == ST_OK ? ST_OK : err_wrap(err, "open live events in Redis");
}

static void
redis_live_close(struct live_link *base)
{
    struct redis_live *live = (struct redis_live *)base;
    struct wish *wish;

    if (live->started > 1 && atomic_load(&live->hears))
        live_tasks_send_rest(&live->tasks);
    if (live->hearing != NULL)
        redis_stop(live->hearing);
    if (live->asking != NULL)
        redis_stop(live->asking);
    live_tasks_stop(&live->tasks);
    for (unsigned i = 0; i < live->started; i++)
        pthread_join(live->threads[i], NULL);
    atomic_store(&live->hears, false);
    wish = take_wishes(live);
    while (wish != NULL) {
        struct wish *next = wish->next;

        free(wish);
        wish = next;
    }
    redis_close(&live->hearing);
    redis_close(&live->asking);
    live_tasks_deinit(&live->tasks);
    pthread_mutex_destroy(&live->lock);
}

const struct live_driver live_redis = {
    .name = "redis",
    .size = sizeof(struct redis_live),
    .open = redis_live_open,
    .close = redis_live_close,
    .join = redis_live_join,
    .leave = redis_live_leave,
    .publish = redis_live_publish,
};
