/*
 * queue.c - opening, organizations, putting, wake-ups
 */
#include "queue/queue_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "queue/queue_sql.h"

#define DEFAULT_LEASE_US (120 * US_PER_S)
#define DEFAULT_RETENTION_US (14 * 24 * 3600 * US_PER_S)
#define DEFAULT_SWEEP_US (30 * US_PER_S)
#define DEFAULT_MAX_RUN_US (3600 * US_PER_S)
#define DEFAULT_MAX_ATTEMPTS 8
#define MAX_ATTEMPTS 1000
#define MAX_KEY_BYTES 256
#define MAX_PAYLOAD_BYTES ((size_t)64 * 1024)
#define MAX_ORGANIZATIONS 1000000
#define MAX_CLOCK_TRUST_US (60 * US_PER_S)
#define COALESCE_STEPS 32
#define PAGE 256
#define LIST_ARENA_BYTES ((size_t)1024 * 1024)

/* ---------------------------------------------------------------- wake-ups */

/* A wake-up as bytes, for the time between the transaction and its commit. */
struct packed_wakeup {
    int64_t due_us;
    struct user_id user_id;
    struct job_id job_id;
    size_t topic_len, lane_len;
    char bytes[]; /* topic, lane */
};

void
queue_publish(struct queue *queue, const struct queue_wakeup *wakeup)
{
    queue->transport->driver->publish(queue->transport, wakeup);
}

static void
publish_after_commit(const struct tenant_scope *scope, struct str payload, void *context)
{
    struct packed_wakeup packed;
    const char *bytes = payload.ptr + sizeof(packed);
    struct queue_wakeup wakeup;

    memcpy(&packed, payload.ptr, sizeof(packed));
    wakeup = (struct queue_wakeup){.organization_id = tenant_scope_organization(scope),
                                   .user_id = packed.user_id,
                                   .topic = str_of(bytes, packed.topic_len),
                                   .lane = str_of(bytes + packed.topic_len, packed.lane_len),
                                   .job_id = packed.job_id,
                                   .due_us = packed.due_us};
    queue_publish(context, &wakeup);
}

void
queue_wake_on_commit(struct queue *queue, struct store_tx *tx, const struct queue_wakeup *wakeup)
{
    size_t size = sizeof(struct packed_wakeup) + wakeup->topic.len + wakeup->lane.len;
    struct packed_wakeup *packed = arena_alloc(store_tx_arena(tx), size);

    packed->due_us = wakeup->due_us;
    packed->job_id = wakeup->job_id;
    packed->user_id = wakeup->user_id;
    packed->topic_len = wakeup->topic.len;
    packed->lane_len = wakeup->lane.len;
    memcpy(packed->bytes, wakeup->topic.ptr, wakeup->topic.len);
    if (wakeup->lane.len > 0)
        memcpy(packed->bytes + wakeup->topic.len, wakeup->lane.ptr, wakeup->lane.len);
    store_tx_on_commit(tx, publish_after_commit, queue, str_of((const char *)packed, size));
}

static void
deliver(const struct queue_wakeup *wakeup, void *context)
{
    struct queue *queue = context;

    turns_wake(queue->turns, wakeup->organization_id, wakeup->topic, wakeup->due_us);
}

static void
sweep_after_gap(void *context)
{
    queue_sweep_soon(context);
}

static size_t
served_topics(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context)
{
    struct queue *queue = context;

    return turns_served(queue->turns, topics);
}

/* ---------------------------------------------------------------- organizations */

enum status
queue_admit(struct queue *queue, struct organization_id organization_id, struct arena *arena,
            const struct tenant_scope **scope_out, struct err *err)
{
    return tenant_admit_lease(queue->config.tenants, organization_id, arena, scope_out, err);
}

enum status
queue_each_organization(struct queue *queue, queue_visit visit, void *context, struct err *err)
{
    struct arena *arena = arena_create(LIST_ARENA_BYTES);
    struct organization_id after = {0};
    struct organization *organizations;
    size_t count = PAGE;
    enum status st = ST_OK;

    while (st == ST_OK && count == PAGE) {
        arena_reset(arena);
        st = organization_list(queue->config.tenants, after, PAGE, arena, &organizations, &count,
                               err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = organizations[i].id;
            visit(queue, organizations[i].id, context);
        }
    }
    arena_destroy(&arena);
    return st;
}

void
queue_add_organization(struct queue *queue, struct organization_id organization_id)
{
    turns_add_organization(queue->turns, organization_id);
}

void
queue_remove_organization(struct queue *queue, struct organization_id organization_id)
{
    turns_remove_organization(queue->turns, organization_id);
}

/* The data folder's lock says that no other process serves it: whatever is leased was leased by one
 * that is no more. A database server says nothing of the kind: there leases end by their time. */
static void
take_over(struct queue *queue, struct organization_id organization_id, void *context)
{
    struct arena *arena = arena_create(LIST_ARENA_BYTES);
    const struct tenant_scope *scope;
    int64_t released = 0;
    struct err err;
    enum status st = queue_admit(queue, organization_id, arena, &scope, &err);

    (void)context;
    if (st == ST_OK)
        st = queue_release_expired(
            queue, scope,
            store_is_shared(queue->config.store) ? clock_wall_us(queue->config.clock) : INT64_MAX,
            &released, &err);
    /* One damaged organization must not keep the others from being served; the sweep tries again.
     */
    if (st != ST_OK)
        LOG_ERR(LOG_ERROR, "queue.take_over_failed", &err,
                log_str("organization_id", ID_STR(organization_id)));
    if (released > 0)
        LOG(LOG_INFO, "queue.leases_released", log_int("jobs", released),
            log_str("organization_id", ID_STR(organization_id)));
    turns_add_organization(queue->turns, organization_id);
    arena_destroy(&arena);
}

/* ---------------------------------------------------------------- opening */

static void
set_defaults(struct queue_config *config)
{
    if (config->lease_us == 0)
        config->lease_us = DEFAULT_LEASE_US;
    if (config->retention_us == 0)
        config->retention_us = DEFAULT_RETENTION_US;
    if (config->sweep_us == 0)
        config->sweep_us = DEFAULT_SWEEP_US;
    if (config->max_run_us == 0)
        config->max_run_us = DEFAULT_MAX_RUN_US;
}

static enum status
transport_open(struct queue *queue, const struct queue_transport_driver *driver, struct err *err)
{
    assert(driver->open != NULL && driver->close != NULL && driver->publish != NULL &&
           driver->size >= sizeof(struct queue_transport));
    queue->transport = calloc(1, driver->size);
    if (queue->transport == NULL)
        abort();
    queue->transport->driver = driver;
    queue->transport->addresses = queue->config.transport_addresses;
    queue->transport->ca_file = queue->config.transport_ca_file;
    queue->transport->on_wakeup = deliver;
    queue->transport->on_gap = sweep_after_gap;
    queue->transport->served = served_topics;
    queue->transport->clock = queue->config.clock;
    queue->transport->context = queue;
    return driver->open(queue->transport, err);
}

/* Without organizations and threads. */
static struct queue *
queue_create(const struct queue_config *config)
{
    struct queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL)
        abort();
    queue->config = *config;
    set_defaults(&queue->config);
    queue->holder = id_new();
    pthread_mutex_init(&queue->lock, NULL);
    cond_init(&queue->unpinned);
    cond_init(&queue->wake_renewal);
    cond_init(&queue->wake_sweep);
    queue->turns = turns_create(config->clock, MAX_ORGANIZATIONS, MAX_CLOCK_TRUST_US);
    return queue;
}

enum status
queue_open(const struct queue_config *config, struct queue **queue_out, struct err *err)
{
    struct queue *queue = queue_create(config);
    enum status st;

    *queue_out = NULL;
    st = transport_open(
        queue, config->transport == NULL ? &queue_transport_local : config->transport, err);
    if (st == ST_OK)
        st = queue_each_organization(queue, take_over, NULL, err);
    if (st == ST_OK)
        st = queue_upkeep_start(queue, err);
    if (st != ST_OK) {
        queue_close(&queue);
        return err_wrap(err, "open the queue");
    }
    *queue_out = queue;
    return ST_OK;
}

void
queue_close(struct queue **queue_ref)
{
    struct queue *queue = *queue_ref;

    if (queue == NULL)
        return;
    queue_upkeep_stop(queue);
    assert(queue->leases == NULL);
    queue->transport->driver->close(queue->transport);
    free(queue->transport);
    turns_destroy(&queue->turns);
    pthread_cond_destroy(&queue->wake_sweep);
    pthread_cond_destroy(&queue->wake_renewal);
    pthread_cond_destroy(&queue->unpinned);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
    *queue_ref = NULL;
}

enum status
queue_end_leases(struct store *store, const struct tenant_scope *scope, int64_t *ended_out,
                 struct err *err)
{
    const struct queue_config config = {.store = store, .clock = clock_system()};
    struct queue *queue = queue_create(&config);
    enum status st = transport_open(queue, &queue_transport_local, err);

    *ended_out = 0;
    if (st == ST_OK)
        st = queue_release_expired(queue, scope, INT64_MAX, ended_out, err);
    queue_close(&queue);
    return st == ST_OK ? ST_OK : err_wrap(err, "end leases");
}

/* ---------------------------------------------------------------- putting */

struct store_value
queue_sv_optional(struct str text)
{
    return text.len == 0 ? sv_null() : sv_text(text);
}

static enum status
check_spec(const struct job_spec *spec, struct err *err)
{
    size_t topic_len = strlen(spec->topic);

    if (topic_len == 0 || topic_len > TURNS_MAX_TOPIC_BYTES)
        return err_set_detail(err, ST_INVALID, "job: topic of %zu bytes", topic_len);
    if (spec->lane.len > MAX_KEY_BYTES || spec->dedup_key.len > MAX_KEY_BYTES)
        return err_set_detail(err, ST_INVALID, "job: lane or dedup key over %d bytes",
                              MAX_KEY_BYTES);
    if (spec->payload.len > MAX_PAYLOAD_BYTES)
        return err_set_detail(err, ST_TOO_LARGE, "job: payload of %zu bytes", spec->payload.len);
    if (!str_starts_with(spec->payload, STR("{")) || !str_is_utf8(spec->payload))
        return err_set_detail(err, ST_INVALID, "job: payload is no JSON object");
    if (spec->max_attempts > MAX_ATTEMPTS)
        return err_set_detail(err, ST_INVALID, "job: over %d attempts", MAX_ATTEMPTS);
    return ST_OK;
}

static enum status
read_place(struct store_tx *tx, const struct store_sql *sql, struct str topic, struct str lane,
           int64_t *place_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, sql, ARGS(sv_text(topic), sv_text(lane)), &rows, err);

    if (st != ST_OK)
        return st;
    *place_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

enum status
queue_lane_enter(struct store_tx *tx, struct str topic, struct str lane, int64_t *place_out,
                 bool *head_out, struct err *err)
{
    int64_t last = 0;
    enum status st;

    *place_out = 0;
    *head_out = true;
    if (lane.len == 0)
        return ST_OK;
    st = read_place(tx, &SQL_LANE_HEAD, topic, lane, &last, err);
    if (st == ST_OK) {
        *head_out = false;
        st = read_place(tx, &SQL_LANE_TAIL, topic, lane, &last, err);
    }
    *place_out = last + 1;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status
queue_lane_is_busy(struct store_tx *tx, const char *topic, struct str lane, bool *busy_out,
                   struct err *err)
{
    int64_t place;
    enum status st = read_place(tx, &SQL_LANE_HEAD, str_from_c(topic), lane, &place, err);

    *busy_out = st == ST_OK;
    return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The job with that dedup key, found, takes the new one in. */
static enum status
coalesce(struct queue *queue, struct store_tx *tx, const struct job_spec *spec, int64_t now_us,
         struct store_rows *rows, struct job_id *id_out, struct err *err)
{
    struct str topic = str_from_c(spec->topic);
    int64_t due_us;
    int64_t new_due_us = spec->due_us == 0 ? now_us : spec->due_us;
    int64_t limit_us;
    bool ready;
    enum status st;

    *id_out = STORE_COL_ID(rows, 0, job_id);
    ready = str_eq_c(store_col_text(rows, 1), "ready");
    due_us = store_col_int(rows, 2);
    limit_us = store_col_int(rows, 4) + spec->coalesce_max_us;
    if (new_due_us > limit_us)
        new_due_us = limit_us;
    /* In a flood not each message moves the job: its row and its place among the due ones would be
     * written again every time, to be due a moment later. */
    if (new_due_us > due_us && new_due_us - due_us < (new_due_us - now_us) / COALESCE_STEPS)
        new_due_us = due_us;
    /* A job that failed keeps the distance that its back-off asks for. */
    if (store_col_int(rows, 3) > 0 && new_due_us < due_us)
        new_due_us = due_us;
    st = store_rows_close(&rows, err);
    if (st == ST_OK && spec->coalesce_max_us == 0)
        return err_set_detail(err, ST_CONFLICT, "job: dedup key is queued");
    if (st == ST_OK && new_due_us != due_us)
        st = store_exec(tx, &SQL_MOVE_DUE, ARGS(sv_id(*id_out), sv_int(new_due_us), sv_int(now_us)),
                        NULL, err);
    if (st == ST_OK && ready && new_due_us != due_us)
        queue_wake_on_commit(queue, tx,
                             &(struct queue_wakeup){.user_id = spec->user_id,
                                                    .topic = topic,
                                                    .lane = spec->lane,
                                                    .job_id = *id_out,
                                                    .due_us = new_due_us});
    return st;
}

static struct metric put_metric = {.name = "parley_queue_put_total",
                                   .help = "Jobs that were put, once they were durable",
                                   .kind = METRIC_COUNTER,
                                   .labels = {"topic"}};

static void
count_put(const struct tenant_scope *scope, struct str topic, void *context)
{
    (void)scope;
    (void)context;
    METRIC_INC(&put_metric, topic);
}

/* ST_NOT_FOUND: something is in its way, or it is not that kind of a job. */
static enum status
put_free(struct queue *queue, struct store_tx *tx, const struct job_spec *spec, int64_t now_us,
         struct job_id *id_out, struct err *err)
{
    struct str topic = str_from_c(spec->topic);
    struct job_id id = ID_NEW(job_id);
    struct store_rows *rows;
    int64_t due_us;
    enum status st;

    if (spec->lane.len == 0 || !store_is_shared(store_tx_store(tx)))
        return ST_NOT_FOUND;
    st = store_ask(tx, &SQL_INSERT_FREE,
                   ARGS(sv_id(id), sv_text(topic), sv_text(spec->lane), sv_text(spec->dedup_key),
                        sv_int(spec->due_us == 0 ? now_us : spec->due_us),
                        sv_int(spec->max_attempts == 0 ? DEFAULT_MAX_ATTEMPTS : spec->max_attempts),
                        sv_text(spec->payload), sv_int(now_us),
                        queue_sv_optional(ID_STR(spec->user_id))),
                   &rows, err);
    if (st != ST_OK)
        return st;
    *id_out = STORE_COL_ID(rows, 0, job_id);
    due_us = store_col_int(rows, 1);
    st = store_rows_close(&rows, err);
    if (st != ST_OK)
        return st;
    store_tx_on_commit(tx, count_put, NULL, topic);
    queue_wake_on_commit(queue, tx,
                         &(struct queue_wakeup){.user_id = spec->user_id,
                                                .topic = topic,
                                                .lane = spec->lane,
                                                .job_id = *id_out,
                                                .due_us = due_us});
    return ST_OK;
}

/* ST_NOT_FOUND: no job has that dedup key, and this one was not put either. */
static enum status
put_once(struct queue *queue, struct store_tx *tx, const struct job_spec *spec, int64_t now_us,
         struct job_id *id_out, struct err *err)
{
    struct str topic = str_from_c(spec->topic);
    struct store_rows *rows;
    enum status st =
        store_ask(tx, &SQL_FIND_DEDUP, ARGS(sv_text(topic), sv_text(spec->dedup_key)), &rows, err);

    if (st == ST_NOT_FOUND) {
        st = put_free(queue, tx, spec, now_us, id_out, err);
        if (st != ST_NOT_FOUND)
            return st;
        /* A work beside this one may have asked the same, and put one meanwhile. */
        if (store_is_shared(store_tx_store(tx)))
            st = store_query_one(tx, &SQL_FIND_DEDUP,
                                 ARGS(sv_text(topic), sv_text(spec->dedup_key)), &rows, err);
    }
    return st == ST_OK ? coalesce(queue, tx, spec, now_us, rows, id_out, err) : st;
}

enum status
queue_put(struct queue *queue, struct store_tx *tx, const struct job_spec *spec,
          struct job_id *id_out, struct err *err)
{
    struct str topic = str_from_c(spec->topic);
    int64_t now_us = clock_wall_us(queue->config.clock);
    int64_t due_us = spec->due_us == 0 ? now_us : spec->due_us;
    struct job_id id = ID_NEW(job_id);
    unsigned max_attempts = spec->max_attempts == 0 ? DEFAULT_MAX_ATTEMPTS : spec->max_attempts;
    int64_t place;
    bool head;
    enum status st = check_spec(spec, err);

    if (st == ST_OK && spec->dedup_key.len > 0) {
        st = put_once(queue, tx, spec, now_us, id_out, err);
        if (st != ST_NOT_FOUND)
            return st;
        st = ST_OK;
    }
    if (st == ST_OK)
        st = queue_lane_enter(tx, topic, spec->lane, &place, &head, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_INSERT,
                        ARGS(sv_id(id), sv_text(topic), queue_sv_optional(spec->lane),
                             sv_int(place), queue_sv_optional(spec->dedup_key),
                             sv_text(head ? STR("ready") : STR("waiting")), sv_int(due_us),
                             sv_int(max_attempts), sv_text(spec->payload), sv_int(now_us),
                             queue_sv_optional(ID_STR(spec->user_id))),
                        NULL, err);
    if (st != ST_OK)
        return err_wrap(err, "put job %s", spec->topic);
    store_tx_on_commit(tx, count_put, NULL, topic);
    if (head)
        queue_wake_on_commit(queue, tx,
                             &(struct queue_wakeup){.user_id = spec->user_id,
                                                    .topic = topic,
                                                    .lane = spec->lane,
                                                    .job_id = id,
                                                    .due_us = due_us});
    *id_out = id;
    return ST_OK;
}

/* ---------------------------------------------------------------- waiting for idleness */

struct idle_check {
    struct queue *queue;
    bool busy;
    enum status st;
    struct err *err;
};

static enum status
look_for_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct idle_check *check = arg;
    struct queue_counts counts;
    enum status st = queue_count(tx, NULL, clock_wall_us(check->queue->config.clock), &counts, err);

    check->busy = st == ST_OK && counts.ready + counts.leased > 0;
    return st;
}

static void
check_organization(struct queue *queue, struct organization_id organization_id, void *context)
{
    struct idle_check *all = context;
    struct idle_check one = {.queue = queue};
    struct arena *arena;
    const struct tenant_scope *scope;

    if (all->busy || all->st != ST_OK)
        return;
    arena = arena_create(LIST_ARENA_BYTES);
    all->st = queue_admit(queue, organization_id, arena, &scope, all->err);
    if (all->st == ST_OK)
        all->st =
            store_read(queue->config.store, scope, "queue_idle", look_for_work, &one, all->err);
    all->busy = one.busy;
    if (all->st == ST_NOT_FOUND) /* deleted since it was listed */
        all->st = ST_OK;
    arena_destroy(&arena);
}

enum status
queue_wait_idle(struct queue *queue, int64_t deadline_ms, struct err *err)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + deadline_ms * US_PER_MS;
    struct idle_check check;
    uint64_t happened;
    enum status st = ST_OK;

    do {
        if (!turns_wait_idle(queue->turns, deadline_us, &happened))
            return err_set(err, ST_BUSY, "jobs are still running");
        check = (struct idle_check){.queue = queue, .err = err};
        st = queue_each_organization(queue, check_organization, &check, err);
        if (st == ST_OK)
            st = check.st;
        if (st != ST_OK || !check.busy)
            return st;
    } while (turns_wait_change(queue->turns, happened, deadline_us));
    return err_set(err, ST_BUSY, "jobs are still waiting to be run");
}
