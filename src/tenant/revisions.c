/*
 * revisions.c - what is kept in memory is not older than RECORDS_TRUSTED_US, whoever changed it
 *
 * A change raises its kind's revision in its own transaction. Each process looks at the revisions
 * several times a second and forgets the kinds that grew. Between two looks records may be used for
 * RECORDS_TRUSTED_US at most: when the database does not answer, or the process was frozen, lookups
 * go to the database until a look succeeds. With database files one process makes all changes, and
 * forgets by itself. A log of changes, with keys, was rejected: changes are rare, and what was
 * forgotten is read again one by one.
 */
#include "tenant/revisions.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "tenant/instance_sql.h"
#include "tenant/tenant_private.h"

#define LOOK_EVERY_US (RECORDS_TRUSTED_US / 4)

static const char *const kind_names[RECORD_KINDS] = {
    [RECORDS_CHANNELS] = "channel",
    [RECORDS_KEYS] = "key",
    [RECORDS_ORGANIZATIONS] = "organization",
};

struct revisions {
    struct tenants *tenants;
    _Atomic int64_t trusted_until_us; /* monotonic */
    int64_t known[RECORD_KINDS];      /* the thread's, after open */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t changed;
    bool stopping;
};

struct look {
    int64_t seen[RECORD_KINDS];
};

static enum status
look_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct look *look = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_REVISIONS, NO_ARGS, &rows, err);

    *look = (struct look){{0}};
    while (st == ST_OK && store_rows_next(rows))
        for (size_t i = 0; i < RECORD_KINDS; i++)
            if (str_eq_c(store_col_text(rows, 0), kind_names[i]))
                look->seen[i] = store_col_int(rows, 1);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static void
forget(struct tenants *tenants, enum record_kind kind)
{
    switch (kind) {
    case RECORDS_CHANNELS:
        record_cache_forget_all(tenants->channels);
        record_cache_forget_all(tenants->accounts);
        record_cache_forget_all(tenants->subscriptions);
        break;
    case RECORDS_KEYS:
        record_cache_forget_all(tenants->keys);
        break;
    case RECORDS_ORGANIZATIONS:
        record_cache_forget_all(tenants->organizations);
        break;
    case RECORD_KINDS:
        break;
    }
}

/* Trusted from before the look: what changed since then may not be seen. */
static enum status
look_once(struct revisions *revisions, struct err *err)
{
    int64_t now_us = clock_mono_us(clock_system());
    struct look look;
    enum status st =
        store_control_read(revisions->tenants->store, "record_revisions", look_work, &look, err);

    if (st != ST_OK)
        return st;
    for (size_t i = 0; i < RECORD_KINDS; i++)
        if (look.seen[i] != revisions->known[i]) {
            forget(revisions->tenants, (enum record_kind)i);
            revisions->known[i] = look.seen[i];
        }
    atomic_store(&revisions->trusted_until_us, now_us + RECORDS_TRUSTED_US);
    return ST_OK;
}

static bool
sleep_until_stopped(struct revisions *revisions)
{
    int64_t until_us = clock_mono_us(clock_system()) + LOOK_EVERY_US;
    bool stopping;

    pthread_mutex_lock(&revisions->lock);
    while (!revisions->stopping && cond_wait_until(&revisions->changed, &revisions->lock, until_us))
        continue;
    stopping = revisions->stopping;
    pthread_mutex_unlock(&revisions->lock);
    return stopping;
}

static void *
run(void *arg)
{
    struct revisions *revisions = arg;
    bool failing = false;

    while (!sleep_until_stopped(revisions)) {
        struct err err;
        enum status st = look_once(revisions, &err);

        if (st != ST_OK && !failing)
            LOG_ERR(LOG_WARN, "records.not_trusted", &err);
        failing = st != ST_OK;
    }
    return NULL;
}

enum status
revisions_open(struct tenants *tenants, struct revisions **revisions_out, struct err *err)
{
    struct revisions *revisions = calloc(1, sizeof(*revisions));
    enum status st = ST_OK;

    if (revisions == NULL)
        abort();
    revisions->tenants = tenants;
    atomic_init(&revisions->trusted_until_us, INT64_MAX);
    pthread_mutex_init(&revisions->lock, NULL);
    cond_init(&revisions->changed);
    if (store_is_shared(tenants->store)) {
        st = look_once(revisions, err);
        if (st == ST_OK)
            st = thread_start("revisions", run, revisions, &revisions->thread, err);
        revisions->started = st == ST_OK;
    }
    *revisions_out = revisions;
    return st;
}

void
revisions_close(struct revisions **revisions_ref)
{
    struct revisions *revisions = *revisions_ref;

    if (revisions == NULL)
        return;
    *revisions_ref = NULL;
    pthread_mutex_lock(&revisions->lock);
    revisions->stopping = true;
    pthread_cond_broadcast(&revisions->changed);
    pthread_mutex_unlock(&revisions->lock);
    if (revisions->started)
        (void)pthread_join(revisions->thread, NULL);
    pthread_cond_destroy(&revisions->changed);
    pthread_mutex_destroy(&revisions->lock);
    free(revisions);
}

bool
records_are_trusted(const struct revisions *revisions)
{
    int64_t until_us = atomic_load_explicit(&revisions->trusted_until_us, memory_order_relaxed);

    return until_us == INT64_MAX || clock_mono_us(clock_system()) < until_us;
}

enum status
revision_raise(struct tenants *tenants, struct store_tx *tx, enum record_kind kind, struct err *err)
{
    struct str name = str_from_c(kind_names[kind]);

    if (!store_is_shared(tenants->store))
        return ST_OK;
    return store_exec(tx, &SQL_REVISION_RAISE, ARGS(sv_text(name)), NULL, err);
}

enum status
revision_raise_beside(struct tenants *tenants, struct store_tx *tx, enum record_kind kind,
                      struct err *err)
{
    struct str name = str_from_c(kind_names[kind]);

    if (!store_is_shared(tenants->store))
        return ST_OK;
    return store_exec(tx, &SQL_REVISION_RAISE_BESIDE, ARGS(sv_text(name)), NULL, err);
}
