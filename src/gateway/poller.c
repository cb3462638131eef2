/*
 * poller.c - asks providers for what came: bots where no public address is set, so that a laptop
 * serves a real one at once; mailboxes always
 *
 * One thread watches the channel directory; each channel that can be polled gets a thread of its
 * own, at most config.pollers, as long as polling it is this process's duty: providers refuse two
 * that ask at once. The cursor is committed after the updates it covers: a kill between the two
 * makes the provider repeat them, and repetition has no effect. For the same reason one that was
 * frozen in between and lost its duty does no harm.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "gateway/gateway_private.h"

#define WATCH_EVERY_US (5 * US_PER_S)
#define POLL_WAIT_MS 25000
/* From one poll without news to the next, at least: of a server that does not wait for news. */
#define EMPTY_POLL_US (200 * US_PER_MS)
#define BACKOFF_MIN_US (1 * US_PER_S)
#define BACKOFF_MAX_US (60 * US_PER_S)
#define POLL_ARENA_BYTES (64u * 1024 * 1024)
#define CURSOR_NAME STR("poll_cursor")

struct polled {
    struct poller *poller;
    struct channel_entry entry;
    char duty_name[64];
    struct duty duty; /* the watcher's until the thread runs, then the thread's */
    int64_t pause_us; /* the thread's: before it asks again */
    atomic_bool ended;
    pthread_t thread;
    struct polled *next;
};

struct poller {
    struct gateway *gateway;
    struct instance *instance;
    pthread_t watcher;
    pthread_mutex_t lock; /* guards stopping, and wakes sleepers through changed */
    pthread_cond_t changed;
    bool stopping;
    struct polled *polled; /* the watcher's alone */
    unsigned count;
};

static bool
sleep_until_stopped(struct poller *poller, int64_t for_us)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + for_us;
    bool stopping;

    pthread_mutex_lock(&poller->lock);
    while (!poller->stopping && cond_wait_until(&poller->changed, &poller->lock, deadline_us))
        ;
    stopping = poller->stopping;
    pthread_mutex_unlock(&poller->lock);
    return stopping;
}

struct cursor {
    struct channel_id channel_id;
    struct arena *arena;
    struct str value;
};

static enum status
read_cursor(struct store_tx *tx, void *arg, struct err *err)
{
    struct cursor *cursor = arg;
    enum status st =
        channel_state_get(tx, cursor->channel_id, CURSOR_NAME, cursor->arena, &cursor->value, err);

    if (st == ST_NOT_FOUND) {
        cursor->value = STR("");
        return ST_OK;
    }
    return st;
}

static enum status
write_cursor(struct store_tx *tx, void *arg, struct err *err)
{
    const struct cursor *cursor = arg;

    return channel_state_put(tx, cursor->channel_id, CURSOR_NAME, cursor->value, err);
}

static enum status
take_updates(struct gateway *gateway, const struct tenant_scope *scope,
             const struct channel_record *record, const struct channel_poll *poll,
             struct arena *arena, struct err *err)
{
    enum status st = ST_OK;
    size_t i;

    for (i = 0; st == ST_OK && i < poll->count; i++) {
        struct gateway_result result;
        char trace_id[33];

        id_trace(trace_id);
        st = gateway_receive(gateway, scope, record, &poll->updates[i], true, str_from_c(trace_id),
                             arena, &result, err);
        if (st == ST_INVALID) /* kept in quarantine: the next ones must not wait for it */
            st = ST_OK;
    }
    return st;
}

static enum status
keep_duty(struct polled *polled, struct err *err)
{
    enum status st = instance_keep_duty(polled->poller->instance, &polled->duty, err);

    return st == ST_BUSY ? err_set(err, ST_CONFLICT, "another process polls the channel") : st;
}

/* One long poll. ST_NOT_FOUND: the channel is gone or not to be polled. ST_CONFLICT: another
 * process polls it now. */
static enum status
poll_once(struct polled *polled, struct arena *arena, struct err *err)
{
    struct gateway *gateway = polled->poller->gateway;
    const struct gateway_config *config = &gateway->config;
    struct cursor cursor = {.channel_id = polled->entry.channel_id, .arena = arena};
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct channel *channel = NULL;
    struct channel_poll poll = {.count = 0};
    int64_t begun_us = clock_mono_us(clock_system());
    bool is_new;
    enum status st;

    polled->pause_us = 0;
    st = keep_duty(polled, err);
    if (st == ST_OK)
        st = tenant_admit_lease(config->tenants, polled->entry.organization_id, arena, &scope, err);
    if (st == ST_OK)
        st = channel_record_get(config->tenants, scope, polled->entry.channel_id, &record, err);
    if (st == ST_OK &&
        !(str_eq_c(record->status, "active") && channel_is_polled(config->channels, record)))
        st = err_set(err, ST_NOT_FOUND, "the channel is not active, or not to be polled");
    if (st == ST_OK)
        st = channel_acquire(config->channels, record, &channel, err);
    if (st == ST_OK)
        st = store_read(config->store, scope, "poll_cursor_read", read_cursor, &cursor, err);
    if (st == ST_OK)
        st = channel_poll(channel, cursor.value, POLL_WAIT_MS, arena, &poll, err);
    if (channel != NULL)
        gateway_keep_credentials(gateway, scope, channel);
    if (st == ST_DENIED &&
        channel_set_status(config->tenants, scope, polled->entry.channel_id, STR("broken"),
                           str_from_c(err->public_text), err) == ST_OK)
        st = err_set(err, ST_NOT_FOUND, "the provider refuses the channel's credentials");
    if (st == ST_OK)
        st = keep_duty(polled, err);
    if (st == ST_OK)
        st = take_updates(gateway, scope, record, &poll, arena, err);
    is_new = !str_eq(poll.cursor, cursor.value);
    cursor.value = poll.cursor;
    if (st == ST_OK && is_new)
        st = store_run(config->store, scope, "poll_cursor_write", STORE_DURABLE, write_cursor,
                       &cursor, err);
    if (st == ST_OK && poll.count == 0 && !is_new)
        polled->pause_us = begun_us + EMPTY_POLL_US - clock_mono_us(clock_system());
    channel_release(&channel);
    channel_record_unref(&record);
    return st;
}

static void *
poll_channel(void *arg)
{
    struct polled *polled = arg;
    struct arena *arena = arena_create(POLL_ARENA_BYTES);
    int64_t backoff_us = BACKOFF_MIN_US;

    while (!sleep_until_stopped(polled->poller, polled->pause_us)) {
        struct err err;
        enum status st = poll_once(polled, arena, &err);

        arena_reset(arena);
        if (st == ST_OK) {
            backoff_us = BACKOFF_MIN_US;
            continue;
        }
        if (st == ST_CONFLICT && polled->duty.asked_us == 0)
            break;                /* the watcher takes it again when nobody has it */
        if (st == ST_NOT_FOUND) { /* ... when it is to be polled again */
            LOG_ERR(LOG_INFO, "poll.ended", &err,
                    log_str("channel_id", ID_STR(polled->entry.channel_id)));
            break;
        }
        if (err.retry_after_ms * US_PER_MS > backoff_us)
            backoff_us = err.retry_after_ms * US_PER_MS;
        if (sleep_until_stopped(polled->poller, backoff_us))
            break;
        LOG_ERR(LOG_WARN, "poll.failed", &err,
                log_str("channel_id", ID_STR(polled->entry.channel_id)),
                log_int("next_try_ms", backoff_us / US_PER_MS));
        backoff_us = backoff_us * 2 < BACKOFF_MAX_US ? backoff_us * 2 : BACKOFF_MAX_US;
    }
    arena_destroy(&arena);
    instance_give_duty(polled->poller->instance, &polled->duty);
    atomic_store(&polled->ended, true);
    return NULL;
}

/* Waits for the thread. */
static void
end_polling(struct poller *poller, struct polled *polled)
{
    (void)pthread_join(polled->thread, NULL);
    free(polled);
    poller->count--;
}

static void
forget_ended(struct poller *poller)
{
    struct polled **at = &poller->polled;

    while (*at != NULL) {
        struct polled *polled = *at;

        if (!atomic_load(&polled->ended)) {
            at = &polled->next;
            continue;
        }
        *at = polled->next;
        end_polling(poller, polled);
    }
}

static bool
is_polled(const struct poller *poller, const struct channel_entry *entry)
{
    const struct polled *polled;

    for (polled = poller->polled; polled != NULL; polled = polled->next)
        if (id_eq(&polled->entry.channel_id.id, &entry->channel_id.id))
            return true;
    return false;
}

/* Looked up in memory, mostly. */
static bool
is_wanted(const struct poller *poller, const struct channel_entry *entry, struct arena *arena)
{
    const struct gateway_config *config = &poller->gateway->config;
    const struct channel_record *record = NULL;
    const struct tenant_scope *scope = NULL;
    struct err err;
    bool wanted = false;

    if (tenant_admit_lease(config->tenants, entry->organization_id, arena, &scope, &err) == ST_OK &&
        channel_record_get(config->tenants, scope, entry->channel_id, &record, &err) == ST_OK)
        wanted = str_eq_c(record->status, "active") && channel_is_polled(config->channels, record);
    channel_record_unref(&record);
    return wanted;
}

static void
start_polling(struct poller *poller, const struct channel_entry *entry)
{
    struct polled *polled;
    struct err err;
    enum status st;

    if (poller->count >= poller->gateway->config.pollers) {
        LOG(LOG_ERROR, "poll.too_many", log_int("limit", poller->count),
            log_str("channel_id", ID_STR(entry->channel_id)));
        return;
    }
    polled = calloc(1, sizeof(*polled));
    if (polled == NULL)
        return;
    polled->poller = poller;
    polled->entry = *entry;
    (void)snprintf(polled->duty_name, sizeof(polled->duty_name), "poll:%s",
                   entry->channel_id.id.text);
    polled->duty.name = str_from_c(polled->duty_name);
    st = instance_keep_duty(poller->instance, &polled->duty, &err);
    if (st != ST_OK) {
        if (st != ST_BUSY)
            LOG_ERR(LOG_WARN, "poll.no_duty", &err);
        free(polled);
        return;
    }
    if (thread_start("poll", poll_channel, polled, &polled->thread, &err) != ST_OK) {
        LOG_ERR(LOG_ERROR, "poll.no_thread", &err);
        instance_give_duty(poller->instance, &polled->duty);
        free(polled);
        return;
    }
    polled->next = poller->polled;
    poller->polled = polled;
    poller->count++;
}

static void
watch_once(struct poller *poller, struct arena *arena)
{
    const struct gateway_config *config = &poller->gateway->config;
    const struct channel_driver *driver;
    size_t d, i;

    for (d = 0; (driver = channel_driver_at(config->channels, d)) != NULL; d++) {
        struct channel_entry *entries = NULL;
        size_t count = 0;
        struct err err;

        if (!channel_driver_is_polled(config->channels, driver))
            continue;
        if (channel_directory_list(config->tenants, str_from_c(channel_driver_source(driver)),
                                   arena, &entries, &count, &err) != ST_OK) {
            LOG_ERR(LOG_ERROR, "poll.no_directory", &err);
            continue;
        }
        for (i = 0; i < count; i++)
            if (!is_polled(poller, &entries[i]) && is_wanted(poller, &entries[i], arena))
                start_polling(poller, &entries[i]);
    }
}

static void *
watch(void *arg)
{
    struct poller *poller = arg;
    struct arena *arena = arena_create(POLL_ARENA_BYTES);

    do {
        forget_ended(poller);
        watch_once(poller, arena);
        arena_reset(arena);
    } while (!sleep_until_stopped(poller, WATCH_EVERY_US));
    arena_destroy(&arena);
    return NULL;
}

enum status
poller_start(struct gateway *gateway, struct instance *instance, struct poller **poller_out,
             struct err *err)
{
    struct poller *poller = calloc(1, sizeof(*poller));
    enum status st;

    if (poller == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for the poller");
    poller->gateway = gateway;
    poller->instance = instance;
    pthread_mutex_init(&poller->lock, NULL);
    cond_init(&poller->changed);
    st = thread_start("poll-watch", watch, poller, &poller->watcher, err);
    if (st != ST_OK) {
        free(poller);
        return st;
    }
    *poller_out = poller;
    return ST_OK;
}

void
poller_stop(struct poller **poller_ref)
{
    struct poller *poller = *poller_ref;

    if (poller == NULL)
        return;
    pthread_mutex_lock(&poller->lock);
    poller->stopping = true;
    pthread_cond_broadcast(&poller->changed);
    pthread_mutex_unlock(&poller->lock);
    pthread_join(poller->watcher, NULL);
    while (poller->polled != NULL) {
        struct polled *polled = poller->polled;

        poller->polled = polled->next;
        end_polling(poller, polled);
    }
    pthread_cond_destroy(&poller->changed);
    pthread_mutex_destroy(&poller->lock);
    free(poller);
    *poller_ref = NULL;
}
