/*
 * instance.c - a row for this process, a thread that says that it is there, and duties
 */
#include "tenant/instance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "tenant/instance_sql.h"
#include "tenant/tenant_private.h"

#define BEAT_US (3 * US_PER_S)
#define GONE_US (15 * US_PER_S)
#define FORGET_AFTER_US (3600 * US_PER_S)
#define LISTED_MAX 1000
#define HOST_BYTES 256
#define DUTY_NAME_MAX 64

struct instance {
    struct instance_config config;
    struct store *store;
    struct id_text id;
    char host[HOST_BYTES];
    struct arena *arena; /* the config's texts */
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t changed;
    bool stopping;
};

static enum status
beat_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct instance *instance = arg;
    const struct instance_config *config = &instance->config;

    return store_exec(tx, &SQL_INSTANCE_BEAT,
                      ARGS(sv_text(id_str(&instance->id)), sv_text(str_from_c(instance->host)),
                           sv_int(getpid()), sv_text(config->roles), sv_text(config->version),
                           sv_int(config->gone_us)),
                      NULL, err);
}

static enum status
register_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct instance *instance = arg;
    enum status st;

    if (store_is_shared(instance->store))
        st = store_exec(tx, &SQL_INSTANCE_FORGET, ARGS(sv_int(FORGET_AFTER_US)), NULL, err);
    else
        st = store_exec(tx, &SQL_INSTANCE_CLEAR, NO_ARGS, NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_DUTY_FORGET, NO_ARGS, NULL, err);
    return st == ST_OK ? beat_work(tx, arg, err) : st;
}

static enum status
leave_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct instance *instance = arg;
    struct store_value id = sv_text(id_str(&instance->id));
    enum status st = store_exec(tx, &SQL_DUTY_DELETE_OF, ARGS(id), NULL, err);

    return st == ST_OK ? store_exec(tx, &SQL_INSTANCE_DELETE, ARGS(id), NULL, err) : st;
}

/* --- beating --- */

static bool
sleep_until_stopped(struct instance *instance)
{
    int64_t until_us = clock_mono_us(clock_system()) + instance->config.beat_us;
    bool stopping;

    pthread_mutex_lock(&instance->lock);
    while (!instance->stopping && cond_wait_until(&instance->changed, &instance->lock, until_us))
        continue;
    stopping = instance->stopping;
    pthread_mutex_unlock(&instance->lock);
    return stopping;
}

static void *
run(void *arg)
{
    struct instance *instance = arg;
    bool failing = false;

    while (!sleep_until_stopped(instance)) {
        struct err err;
        enum status st =
            store_control_note(instance->store, "instance_beat", beat_work, instance, &err);

        if (st != ST_OK && !failing)
            LOG_ERR(LOG_ERROR, "instance.not_heard", &err);
        failing = st != ST_OK;
    }
    return NULL;
}

static void
destroy(struct instance *instance)
{
    pthread_cond_destroy(&instance->changed);
    pthread_mutex_destroy(&instance->lock);
    arena_destroy(&instance->arena);
    free(instance);
}

enum status
instance_open(const struct instance_config *config, struct instance **instance_out, struct err *err)
{
    struct instance *instance = calloc(1, sizeof(*instance));
    enum status st;

    *instance_out = NULL;
    if (instance == NULL)
        abort();
    instance->arena = arena_create((size_t)16 * 1024);
    instance->config = *config;
    instance->config.roles = arena_str(instance->arena, config->roles);
    instance->config.version = arena_str(instance->arena, config->version);
    if (config->beat_us == 0)
        instance->config.beat_us = BEAT_US;
    if (config->gone_us == 0)
        instance->config.gone_us = GONE_US;
    instance->store = config->tenants->store;
    instance->id = id_new();
    if (gethostname(instance->host, sizeof(instance->host) - 1) != 0 ||
        !str_is_utf8(str_from_c(instance->host)))
        (void)snprintf(instance->host, sizeof(instance->host), "unknown");
    pthread_mutex_init(&instance->lock, NULL);
    cond_init(&instance->changed);
    st = store_control_run(instance->store, "instance_register", register_work, instance, err);
    if (st == ST_OK)
        st = thread_start("instance", run, instance, &instance->thread, err);
    if (st != ST_OK) {
        destroy(instance);
        return err_wrap(err, "register this process");
    }
    *instance_out = instance;
    return ST_OK;
}

void
instance_close(struct instance **instance_ref)
{
    struct instance *instance = *instance_ref;
    struct err err;

    if (instance == NULL)
        return;
    *instance_ref = NULL;
    pthread_mutex_lock(&instance->lock);
    instance->stopping = true;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
    (void)pthread_join(instance->thread, NULL);
    /* Otherwise it is seen to be gone when its heartbeat has expired. */
    if (store_control_run(instance->store, "instance_leave", leave_work, instance, &err) != ST_OK)
        LOG_ERR(LOG_WARN, "instance.not_left", &err);
    destroy(instance);
}

struct str
instance_id(const struct instance *instance)
{
    return id_str(&instance->id);
}

/* --- duties --- */

struct duty_look {
    struct instance *instance;
    struct str name;
    int64_t changed;
};

static enum status
held_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct duty_look *look = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &SQL_DUTY_HELD, ARGS(sv_text(look->name), sv_text(id_str(&look->instance->id))), &rows,
        err);

    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    return st == ST_OK ? err_set(err, ST_BUSY, "another process does it") : st;
}

static enum status
take_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct duty_look *look = arg;

    return store_exec(tx, &SQL_DUTY_TAKE,
                      ARGS(sv_text(look->name), sv_text(id_str(&look->instance->id))),
                      &look->changed, err);
}

enum status
instance_keep_duty(struct instance *instance, struct duty *duty, struct err *err)
{
    struct duty_look look = {instance, duty->name, 0};
    int64_t now_us = clock_mono_us(clock_system());
    enum status st = ST_OK;

    if (duty->name.len == 0 || duty->name.len > DUTY_NAME_MAX)
        return err_set(err, ST_INVALID, "a duty's name has 1 to %d bytes", DUTY_NAME_MAX);
    if (duty->asked_us != 0 && now_us - duty->asked_us < instance->config.beat_us)
        return ST_OK;
    /* Most that ask do not have it: they only read. */
    if (duty->asked_us == 0)
        st = store_control_read(instance->store, "duty_held", held_work, &look, err);
    duty->asked_us = 0;
    if (st == ST_OK)
        st = store_control_note(instance->store, "duty_take", take_work, &look, err);
    if (st == ST_OK && look.changed == 0)
        st = err_set(err, ST_BUSY, "another process does it");
    if (st == ST_OK)
        duty->asked_us = now_us;
    return st;
}

static enum status
give_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct duty_look *look = arg;

    return store_exec(tx, &SQL_DUTY_GIVE,
                      ARGS(sv_text(look->name), sv_text(id_str(&look->instance->id))), NULL, err);
}

void
instance_give_duty(struct instance *instance, struct duty *duty)
{
    struct duty_look look = {instance, duty->name, 0};
    struct err err;

    if (duty->asked_us == 0)
        return;
    duty->asked_us = 0;
    /* Otherwise it is free when this process ends. */
    if (store_control_note(instance->store, "duty_give", give_work, &look, &err) != ST_OK)
        LOG_ERR(LOG_WARN, "instance.duty_not_given", &err);
}

/* --- looking --- */

struct list {
    struct arena *arena;
    struct instance_row *rows;
    size_t count;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct list *list = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_INSTANCE_LIST, ARGS(sv_int(LISTED_MAX)), &rows, err);

    list->count = 0;
    while (st == ST_OK && list->count < LISTED_MAX && store_rows_next(rows))
        list->rows[list->count++] = (struct instance_row){
            .id = store_col_id(rows, 0),
            .host = arena_str(list->arena, store_col_text(rows, 1)),
            .pid = store_col_int(rows, 2),
            .roles = arena_str(list->arena, store_col_text(rows, 3)),
            .version = arena_str(list->arena, store_col_text(rows, 4)),
            .started_at_us = store_col_int(rows, 5),
            .heartbeat_at_us = store_col_int(rows, 6),
            .gone = store_col_int(rows, 7) != 0,
            .duties = store_col_int(rows, 8),
        };
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
instance_list(struct tenants *tenants, struct arena *arena, struct instance_row **rows_out,
              size_t *count_out, struct err *err)
{
    struct list list = {arena, ARENA_NEW_N(arena, struct instance_row, LISTED_MAX), 0};
    enum status st = store_control_read(tenants->store, "instance_list", list_work, &list, err);

    *rows_out = list.rows;
    *count_out = st == ST_OK ? list.count : 0;
    return st;
}
