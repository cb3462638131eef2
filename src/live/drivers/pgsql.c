/*
 * pgsql.c - live events between processes through PostgreSQL alone
 *
 *   live_topic, live_event   a topic's epoch and number, its newest events; unlogged, pruned by age
 *   channel parley_live      "epoch-number organization/topic": there is one; "": all begin anew
 *
 * A notification says that there is an event, never what: it has no 8000 bytes, and whoever may
 * LISTEN in the database reads nothing of other organizations, which the tables' policies keep
 * apart. A process that has the topic's ring reads what is behind its last number; while it does,
 * further notifications are one. So numbers, order and the ring are one for all processes, as with
 * Redis.
 *
 * One thread with one session hears, sends and reads, many statements in one go. What was not
 * confirmed is sent again; the table knows it by its publisher's count.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "live/drivers/live_tasks.h"
#include "live/drivers/pgsql_live_sql.h"
#include "store/pgsql_session.h"

#define KEY_BYTES 384
#define BATCH 128
#define REPLY_MS 2000
#define PING_US (2 * US_PER_S)
#define KEEP_LEAST_US (3 * US_PER_S)

struct pgsql_live {
    struct live_link base;
    struct pgsql_session *session; /* of the thread */
    struct live_tasks tasks;
    pthread_t thread;
    bool opened, started;
    _Atomic bool hears;
    struct id_text publisher;
    int64_t keep_us;
    char events_kept[16];
    int64_t refresh_us, ping_us; /* of the thread */
};

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

/* ---------------------------------------------------------------- for the hub */

/* The database takes no other texts. */
static bool
is_text(struct str text)
{
    return str_is_utf8(text) && str_find_byte(text, '\0') < 0;
}

static void
add_join(struct str key, void *context)
{
    struct pgsql_live *live = context;

    if (is_text(key) && live_tasks_join(&live->tasks, key))
        pgsql_session_wake(live->session);
}

static bool
pgsql_live_join(struct live_link *base, struct str key)
{
    struct pgsql_live *live = (struct pgsql_live *)base;

    if (!atomic_load(&live->hears))
        return false;
    add_join(key, live);
    return is_text(key);
}

/* All topics come through one channel. */
static void
pgsql_live_leave(struct live_link *base, struct str key)
{
    (void)base;
    (void)key;
}

static void
pgsql_live_publish(struct live_link *base, struct str key, struct str type, struct str data)
{
    struct pgsql_live *live = (struct pgsql_live *)base;

    if (is_text(key) && live_tasks_publish(&live->tasks, key, type, data))
        pgsql_session_wake(live->session);
}

/* ---------------------------------------------------------------- tasks */

/* organization, '/', topic: where the one ends and the other begins. */
static bool
split_key(struct str key, char organization_out[ID_TEXT_LEN + 1], char topic_out[KEY_BYTES])
{
    struct str organization;

    if (!str_split(&key, '/', &organization) || organization.len != ID_TEXT_LEN ||
        key.len >= KEY_BYTES)
        return false;
    (void)snprintf(organization_out, ID_TEXT_LEN + 1, "%.*s", STR_ARG(organization));
    (void)snprintf(topic_out, KEY_BYTES, "%.*s", STR_ARG(key));
    return true;
}

static enum status
send_task(struct pgsql_live *live, const struct task *task, struct err *err)
{
    char organization[ID_TEXT_LEN + 1] = "", topic[KEY_BYTES] = "";
    char number_text[24], keep[24], epoch[17] = "", fresh[17];
    struct str key = live_task_key(task);
    uint64_t number = 0;

    if (!split_key(key, organization, topic))
        return err_set_detail(err, ST_INTERNAL, "live: a key without an organization");
    if (task->kind == TASK_JOIN) {
        const char *values[] = {organization, topic, fresh, keep, epoch, number_text};

        (void)live_hub_place(live->base.hub, key, epoch, &number);
        id_span(fresh);
        (void)snprintf(number_text, sizeof(number_text), "%" PRIu64, number);
        (void)snprintf(keep, sizeof(keep), "%" PRId64, live->keep_us);
        return pgsql_session_send(live->session, "live_join", 6, values, err);
    }
    (void)snprintf(number_text, sizeof(number_text), "%" PRIu64, task->count);
    /* The task's bytes end with a NUL behind the item. */
    return pgsql_session_send(
        live->session, "live_publish", 6,
        (const char *[]){
            organization, topic, live->publisher.text, number_text,
            task->too_large || !is_text(live_task_item(task)) ? NULL : live_task_item(task).ptr,
            live->events_kept},
        err);
}

static void
take_join(struct pgsql_live *live, struct str key, const PGresult *result)
{
    int rows = PQntuples(result);
    struct live_item *items = calloc((size_t)rows + 1, sizeof(*items));
    int64_t number = 0;
    size_t count = 0;

    if (items == NULL)
        abort();
    for (int row = 0; row < rows; row++) {
        if (!PQgetisnull(result, row, 2))
            items[count++] = live_item_of(
                str_of(PQgetvalue(result, row, 2), (size_t)PQgetlength(result, row, 2)));
    }
    if (rows > 0 && str_to_i64(str_from_c(PQgetvalue(result, 0, 1)), &number) &&
        !live_hub_joined(live->base.hub, key, str_from_c(PQgetvalue(result, 0, 0)),
                         (uint64_t)number, items, count))
        add_join(key, live);
    free(items);
}

/* Sends the list's beginning and takes the answers; a task goes when it has its own. */
static enum status
do_tasks(struct pgsql_live *live, const struct task *task, size_t count, struct err *err)
{
    int64_t deadline_us = now_us() + REPLY_MS * US_PER_MS;
    size_t sent = 0;
    enum status st = ST_OK;

    while (sent < count && st == ST_OK) {
        st = send_task(live, task, err);
        if (st == ST_OK && ++sent < count)
            task = task->next;
    }
    while (sent > 0 && (st == ST_OK || pgsql_session_is_connected(live->session))) {
        PGresult *result = NULL;

        st = pgsql_session_receive(live->session, deadline_us, &result, err);
        if (st == ST_BUSY && pgsql_session_due(live->session) == sent) { /* woken, or silence */
            if (now_us() >= deadline_us)
                return st;
            continue;
        }
        if (pgsql_session_is_stopped(live->session) || !pgsql_session_is_connected(live->session))
            return st == ST_OK ? ST_UNAVAILABLE : st;
        if (st == ST_OK && live->tasks.first->kind == TASK_JOIN)
            take_join(live, live_task_key(live->tasks.first), result);
        PQclear(result);
        if (st != ST_OK)
            LOG_ERR(LOG_ERROR, "live.refused", err);
        live_tasks_done(&live->tasks, st != ST_OK);
        sent--;
    }
    return pgsql_session_is_connected(live->session) ? ST_OK : st;
}

/* Events were dropped: no topic may look as if nothing had happened. */
static enum status
begin_anew(struct pgsql_live *live, struct err *err)
{
    enum status st;

    if (!live_tasks_take_lost(&live->tasks))
        return ST_OK;
    LOG(LOG_WARN, "live.events_dropped");
    st = pgsql_session_call(live->session, REPLY_MS, "live_anew", 0, NULL, NULL, err);
    if (st != ST_OK)
        live_tasks_set_lost(&live->tasks);
    return st;
}

/* ---------------------------------------------------------------- the thread */

/* "epoch-number organization/topic" */
static void
hear(struct pgsql_live *live, struct str text)
{
    struct str id, epoch;
    int64_t number;

    if (text.len == 0)
        live_hub_each(live->base.hub, add_join, live);
    else if (str_split(&text, ' ', &id) && str_split(&id, '-', &epoch) && str_to_i64(id, &number) &&
             number > 0 && !live_hub_deliver(live->base.hub, text, epoch, (uint64_t)number, NULL))
        add_join(text, live);
}

static void
hear_all(struct pgsql_live *live, PGnotify *notify)
{
    for (; notify != NULL; notify = pgsql_session_heard(live->session)) {
        hear(live, str_from_c(notify->extra));
        PQfreemem(notify);
    }
}

/* Rings live on, what was missed comes, what nobody listens to goes. */
static enum status
refresh(struct pgsql_live *live, struct err *err)
{
    if (now_us() < live->refresh_us)
        return ST_OK;
    live->refresh_us = now_us() + live->keep_us / 3;
    live_hub_each(live->base.hub, add_join, live);
    return pgsql_session_call(live->session, REPLY_MS, "live_prune", 0, NULL, NULL, err);
}

static enum status
serve(struct pgsql_live *live, struct err *err)
{
    PGnotify *notify = NULL;
    const struct task *first;
    size_t count;
    enum status st = begin_anew(live, err);

    if (st == ST_OK)
        st = refresh(live, err);
    while (st == ST_OK && (first = live_tasks_wait(&live->tasks, BATCH, 0, &count)) != NULL) {
        st = do_tasks(live, first, count, err);
        hear_all(live, pgsql_session_heard(live->session));
    }
    if (st == ST_OK)
        st = pgsql_session_hear(live->session,
                                live->ping_us < live->refresh_us ? live->ping_us : live->refresh_us,
                                &notify, err);
    if (st == ST_OK)
        hear_all(live, notify);
    if (st == ST_BUSY) /* woken, or silence */
        st = ST_OK;
    if (st == ST_OK && now_us() >= live->ping_us) { /* a server that says nothing: is it there? */
        st = pgsql_session_call(live->session, REPLY_MS, "live_ping", 0, NULL, NULL, err);
        live->ping_us = now_us() + PING_US;
    }
    return st;
}

static void *
run(void *arg)
{
    struct pgsql_live *live = arg;

    while (!pgsql_session_is_stopped(live->session)) {
        struct err err;
        enum status st = pgsql_session_connect(live->session, &err);

        if (st != ST_OK)
            continue;
        atomic_store(&live->hears, true); /* before looking at who is there */
        live->refresh_us = 0;
        live->ping_us = now_us() + PING_US;
        while (st == ST_OK && !pgsql_session_is_stopped(live->session))
            st = serve(live, &err);
        atomic_store(&live->hears, false);
        live_hub_lost(live->base.hub);
        if (pgsql_session_is_stopped(live->session))
            break;
        if (st != ST_UNAVAILABLE && st != ST_BUSY)
            LOG_ERR(LOG_ERROR, "live.failed", &err);
        if (pgsql_session_is_connected(live->session))
            pgsql_session_give_up(live->session);
    }
    return NULL;
}

/* ---------------------------------------------------------------- opening */

static enum status
pgsql_live_open(struct live_link *base, const struct live_config *config, struct err *err)
{
    struct pgsql_live *live = (struct pgsql_live *)base;
    struct pgsql_session_config session = {
        .url = config->addresses, .use = "live", .set_up = PGSQL_LIVE_SET_UP};
    enum status st;

    live->publisher = id_new();
    live->keep_us = config->keep_us > KEEP_LEAST_US ? config->keep_us : KEEP_LEAST_US;
    (void)snprintf(live->events_kept, sizeof(live->events_kept), "%u", config->events_per_topic);
    live_tasks_init(&live->tasks);
    live->opened = true;
    st = pgsql_session_open(&session, &live->session, err);
    if (st == ST_OK)
        st = thread_start("live", run, live, &live->thread, err);
    live->started = st == ST_OK;
    return st == ST_OK ? ST_OK : err_wrap(err, "open live events in PostgreSQL");
}

static void
pgsql_live_close(struct live_link *base)
{
    struct pgsql_live *live = (struct pgsql_live *)base;

    if (!live->opened)
        return;
    if (live->started) {
        if (atomic_load(&live->hears))
            live_tasks_send_rest(&live->tasks);
        live_tasks_stop(&live->tasks);
        pgsql_session_stop(live->session);
        pthread_join(live->thread, NULL);
    }
    pgsql_session_close(&live->session);
    live_tasks_deinit(&live->tasks);
    live->opened = live->started = false;
}

const struct live_driver live_pgsql = {
    .name = "pgsql",
    .size = sizeof(struct pgsql_live),
    .open = pgsql_live_open,
    .close = pgsql_live_close,
    .join = pgsql_live_join,
    .leave = pgsql_live_leave,
    .publish = pgsql_live_publish,
};
