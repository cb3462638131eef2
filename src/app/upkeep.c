/*
 * upkeep.c - a thread that keeps house, at the start and every hour
 *
 * Of every organization it removes what is kept for a time only (see conversation/retention.h),
 * removes messages that came after their own deletion (see conversation/deletion.h), refreshes
 * channels' credentials that end (see gateway/refresh.h), and has vectors made of passages that
 * have none of the encoder that is served now.
 *
 * Among the objects it looks further:
 * It removes what dead processes left: files that were being written, expired uploads, documents
 * that no row names, webhooks kept for messages that did not come about, objects of organizations
 * that are gone. Several processes may do so at once without harm; that only one of them does is
 * for thrift. The others ask now and then whether it is still there, and one of them does the whole
 * round again when it is not.
 */
#include "app/upkeep.h"

#include <stdlib.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/thread.h"
#include "conversation/retention.h"
#include "gateway/refresh.h"

#define EVERY_US (3600 * US_PER_S)
/* Another process has the duty, or a backup runs. */
#define ASK_AGAIN_US (5 * US_PER_S)
/* No upload takes so long: what is older and has no row will get none. */
#define LEFT_OVER_US (24 * 3600 * US_PER_S)

#define PAGE 100

struct upkeep {
    struct upkeep_config config;
    struct duty duty;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t changed;
    bool stopping;
};

static bool
is_stopping(struct upkeep *upkeep)
{
    bool stopping;

    pthread_mutex_lock(&upkeep->lock);
    stopping = upkeep->stopping;
    pthread_mutex_unlock(&upkeep->lock);
    return stopping;
}

/* The directory is asked, not memory: gone means that nobody can come back to it. */
static enum status
look_after(struct upkeep *upkeep, struct organization_id id, struct arena *arena, unsigned *removed,
           struct err *err)
{
    const struct tenant_scope *scope = NULL;
    enum status st = tenant_admit_erasure(upkeep->config.tenants, id, arena, &scope, err);

    if (st == ST_OK) {
        if (upkeep->config.engine != NULL)
            st = index_engine_forget(upkeep->config.engine, scope, err);
        if (st == ST_OK)
            st = blob_delete_all(upkeep->config.blobs, scope, err);
        *removed += st == ST_OK;
        return st;
    }
    if (st != ST_CONFLICT)
        return st;
    st = tenant_admit_operator(upkeep->config.tenants, ID_STR(id), arena, &scope, err);
    if (st == ST_OK)
        st = knowledge_upkeep(upkeep->config.knowledge, scope, LEFT_OVER_US, removed, err);
    if (st == ST_OK)
        st = gateway_upkeep(upkeep->config.gateway, scope, LEFT_OVER_US, removed, err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* it is being removed just now */
}

static enum status
look_after_all(struct upkeep *upkeep, unsigned *removed, struct err *err)
{
    struct organization_id id = {{""}};
    enum status st = blob_upkeep(upkeep->config.blobs, LEFT_OVER_US, removed, err);

    while (st == ST_OK && !is_stopping(upkeep)) {
        struct arena *arena;
        unsigned of_one = 0;

        st = blob_organization_next(upkeep->config.blobs, id, &id, err);
        if (st != ST_OK)
            return st == ST_NOT_FOUND ? ST_OK : st;
        arena = arena_create((size_t)1024 * 1024);
        st = look_after(upkeep, id, arena, &of_one, err);
        *removed += of_one;
        arena_destroy(&arena);
        FAILPOINT("upkeep.organization");
    }
    return st;
}

static enum status
remove_old(struct upkeep *upkeep, struct organization_id id, struct arena *arena, struct err *err)
{
    const struct upkeep_config *config = &upkeep->config;
    int64_t now_us = clock_wall_us(clock_system()), removed = 0;
    const struct retention retention = {
        .events_before_us = now_us - config->events_us,
        .quarantine_before_us = now_us - config->quarantine_us,
        .receipts_before_us = now_us - config->events_us,
    };
    const struct tenant_scope *scope = NULL;
    enum status st = tenant_admit_operator(config->tenants, ID_STR(id), arena, &scope, err);

    if (st == ST_OK)
        st = conversation_retention(config->store, scope, &retention, &removed, err);
    if (removed > 0)
        LOG(LOG_INFO, "retention.removed", log_str("organization_id", ID_STR(id)),
            log_int("rows", removed));
    if (st == ST_OK)
        st = gateway_apply_deletions(config->gateway, scope, err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* it is being removed just now */
}

static enum status
make_missing_vectors(struct upkeep *upkeep, struct organization_id id, struct arena *arena,
                     struct err *err)
{
    const struct tenant_scope *scope = NULL;
    enum status st = tenant_admit_operator(upkeep->config.tenants, ID_STR(id), arena, &scope, err);

    if (st == ST_OK)
        st = knowledge_make_missing_vectors(upkeep->config.knowledge, scope, err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* it is being removed just now */
}

static enum status
refresh_credentials(struct upkeep *upkeep, struct organization_id id, struct arena *arena,
                    struct err *err)
{
    const struct tenant_scope *scope = NULL;
    enum status st = tenant_admit_operator(upkeep->config.tenants, ID_STR(id), arena, &scope, err);

    if (st == ST_OK)
        st = gateway_refresh_credentials(upkeep->config.gateway, scope, arena, err);
    return st == ST_NOT_FOUND ? ST_OK : st; /* it is being removed just now */
}

/* One organization's trouble is its own. */
static enum status
look_after_rows(struct upkeep *upkeep, struct err *err)
{
    struct organization_id after = {{""}};
    size_t count = PAGE;
    enum status st = ST_OK;

    while (st == ST_OK && count == PAGE && !is_stopping(upkeep)) {
        struct arena *arena = arena_create((size_t)4 * 1024 * 1024);
        struct organization *page = NULL;

        st = organization_list(upkeep->config.tenants, after, PAGE, arena, &page, &count, err);
        for (size_t i = 0; st == ST_OK && i < count && !is_stopping(upkeep); i++) {
            struct err failed;

            after = page[i].id;
            if (remove_old(upkeep, page[i].id, arena, &failed) != ST_OK)
                LOG_ERR(LOG_WARN, "retention.failed", &failed,
                        log_str("organization_id", ID_STR(page[i].id)));
            if (refresh_credentials(upkeep, page[i].id, arena, &failed) != ST_OK)
                LOG_ERR(LOG_WARN, "channel.upkeep_failed", &failed,
                        log_str("organization_id", ID_STR(page[i].id)));
            if (make_missing_vectors(upkeep, page[i].id, arena, &failed) != ST_OK)
                LOG_ERR(LOG_WARN, "vectors.upkeep_failed", &failed,
                        log_str("organization_id", ID_STR(page[i].id)));
        }
        arena_destroy(&arena);
    }
    return st;
}

/* Gives when to do it again. */
static int64_t
run_once(struct upkeep *upkeep)
{
    unsigned removed = 0;
    struct err err;
    enum status st = instance_keep_duty(upkeep->config.instance, &upkeep->duty, &err);

    if (st == ST_OK)
        st = look_after_rows(upkeep, &err);
    if (st == ST_OK)
        st = look_after_all(upkeep, &removed, &err);

    if (st != ST_OK && st != ST_BUSY)
        LOG_ERR(LOG_WARN, "objects.upkeep_failed", &err);
    if (removed > 0)
        LOG(LOG_INFO, "objects.left_over_removed", log_int("count", removed));
    return clock_mono_us(clock_system()) + (st == ST_BUSY ? ASK_AGAIN_US : EVERY_US);
}

static void *
run(void *arg)
{
    struct upkeep *upkeep = arg;
    bool stopping = false;

    while (!stopping) {
        int64_t until_us = run_once(upkeep);

        pthread_mutex_lock(&upkeep->lock);
        while (!upkeep->stopping && cond_wait_until(&upkeep->changed, &upkeep->lock, until_us))
            continue;
        stopping = upkeep->stopping;
        pthread_mutex_unlock(&upkeep->lock);
    }
    return NULL;
}

enum status
upkeep_start(const struct upkeep_config *config, struct upkeep **upkeep_out, struct err *err)
{
    struct upkeep *upkeep = calloc(1, sizeof(*upkeep));
    enum status st;

    if (upkeep == NULL)
        abort();
    upkeep->config = *config;
    upkeep->duty.name = STR("upkeep");
    pthread_mutex_init(&upkeep->lock, NULL);
    cond_init(&upkeep->changed);
    st = thread_start("upkeep", run, upkeep, &upkeep->thread, err);
    if (st != ST_OK) {
        pthread_cond_destroy(&upkeep->changed);
        pthread_mutex_destroy(&upkeep->lock);
        free(upkeep);
        upkeep = NULL;
    }
    *upkeep_out = upkeep;
    return st;
}

void
upkeep_stop(struct upkeep **upkeep_ref)
{
    struct upkeep *upkeep = *upkeep_ref;

    if (upkeep == NULL)
        return;
    *upkeep_ref = NULL;
    pthread_mutex_lock(&upkeep->lock);
    upkeep->stopping = true;
    pthread_cond_broadcast(&upkeep->changed);
    pthread_mutex_unlock(&upkeep->lock);
    (void)pthread_join(upkeep->thread, NULL);
    pthread_cond_destroy(&upkeep->changed);
    pthread_mutex_destroy(&upkeep->lock);
    free(upkeep);
}
