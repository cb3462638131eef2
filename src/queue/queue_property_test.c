/*
 * queue_property_test.c - random puts, failures, postponements and stolen leases on many threads
 *
 * Whatever happens: a lane's jobs take effect in the order of put, by one worker at a time, each
 * job once, none is lost, and every job under a dedup key is either done or went into one that was.
 */
#include "queue/queue_test_support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"

enum {
    ORGANIZATIONS = 3,
    LANES = 5,
    PUTTERS = 3,
    PUTS = 400, /* each */
    WORKERS = 4,
    JOBS = PUTTERS * PUTS,
    WAIT_MS = 120000
};

/* What a job did, by its number in {"n":...}. */
struct fate {
    unsigned organization;
    int lane;      /* -1: free */
    int64_t place; /* order of put in the lane, given in the transaction of the put */
    bool put;      /* committed, as a job of its own or in another */
    bool has_key;
    unsigned runs; /* how often its handler began */
};

struct world {
    struct bed bed;
    pthread_mutex_t lock; /* guards what follows */
    struct fate fates[JOBS];
    int64_t next_effect[ORGANIZATIONS]; /* order of effects, given in the transaction */
    bool lane_busy[ORGANIZATIONS][LANES];
    unsigned overlaps, unordered, merged;
    int64_t last_place[ORGANIZATIONS][LANES];
    unsigned failed, postponed, stolen, refused;
};

static struct str
lane_name(int lane, char out[16])
{
    if (lane < 0)
        return STR_EMPTY;
    (void)snprintf(out, 16, "lane-%d", lane);
    return str_from_c(out);
}

/* ---------------------------------------------------------------- putting */

struct put {
    struct world *world;
    int64_t number;
    struct job_spec spec;
    struct job_id id;
    int64_t place;
};

/* Places are given by a row in the tenant's own table, so they follow the order of commits. */
static const struct store_sql SQL_NEXT_PLACE = {
    .name = "test_next_place",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, 'places', 'last', '', 1) ON CONFLICT (organization_id, channel_id, name)"
            " DO UPDATE SET updated_at = channel_state.updated_at + 1 RETURNING updated_at",
};

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct put *put = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_NEXT_PLACE, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    put->place = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    return st == ST_OK ? queue_put(put->world->bed.queue, tx, &put->spec, &put->id, err) : st;
}

static void
put_one(struct world *world, int64_t number)
{
    struct fate *fate = &world->fates[number];
    struct put put = {.world = world, .number = number};
    char lane[16];
    char key[24];
    char payload[32];
    enum status st;
    struct err err;

    pthread_mutex_lock(&world->lock);
    fate->organization = random_below(ORGANIZATIONS);
    fate->lane = (int)random_below(LANES + 1) - 1;
    pthread_mutex_unlock(&world->lock);
    (void)snprintf(payload, sizeof(payload), "{\"n\":%lld}", (long long)number);
    put.spec = (struct job_spec){.topic = "t",
                                 .lane = lane_name(fate->lane, lane),
                                 .payload = str_from_c(payload),
                                 .max_attempts = 1000};
    if (random_below(3) == 0)
        put.spec.due_us = clock_wall_us(world->bed.clock) + random_below(20000);
    if (random_below(4) == 0) {
        (void)snprintf(key, sizeof(key), "key-%d", fate->lane);
        put.spec.dedup_key = str_from_c(key);
        put.spec.coalesce_max_us = random_below(2) * 5000;
    }
    st = store_run(world->bed.store, world->bed.scopes[fate->organization], "test_put",
                   STORE_RELAXED, put_work, &put, &err);
    pthread_mutex_lock(&world->lock);
    /* Refused: another job under the key is queued, and does its work. */
    if (st == ST_CONFLICT && put.spec.dedup_key.len > 0 && put.spec.coalesce_max_us == 0)
        world->refused++;
    else if (st != ST_OK)
        abort();
    fate->place = put.place;
    fate->put = st == ST_OK;
    fate->has_key = put.spec.dedup_key.len > 0;
    pthread_mutex_unlock(&world->lock);
}

struct putter {
    struct world *world;
    int64_t first;
};

static void *
put_all(void *arg)
{
    struct putter *putter = arg;

    for (int64_t i = 0; i < PUTS; i++)
        put_one(putter->world, putter->first + i);
    return NULL;
}

/* ---------------------------------------------------------------- serving */

struct effect {
    struct lease *lease;
    int64_t number;
    int64_t order;
};

static const struct store_sql SQL_NEXT_EFFECT = {
    .name = "test_next_effect",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, 'order', 'last', '', 1) ON CONFLICT (organization_id, channel_id, name)"
            " DO UPDATE SET updated_at = channel_state.updated_at + 1 RETURNING updated_at",
};

/* The effect's key is the job's number: a second one would be a conflict. */
static enum status
effect_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct effect *effect = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_NEXT_EFFECT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    effect->order = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = effect_insert(tx, STR("effects"), effect->number, effect->order, err);
    return st == ST_OK ? queue_lease_done(tx, effect->lease, err) : st;
}

static enum status
postpone_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct lease *lease = arg;

    return queue_lease_postpone(tx, lease, clock_wall_us(lease->queue->config.clock) + 2000, err);
}

static void
lane_enter(struct world *world, unsigned organization, int lane, bool enter)
{
    if (lane < 0)
        return;
    pthread_mutex_lock(&world->lock);
    if (enter && world->lane_busy[organization][lane])
        world->overlaps++;
    world->lane_busy[organization][lane] = enter;
    pthread_mutex_unlock(&world->lock);
}

static enum status
handle(struct lease *lease, void *context, struct err *err)
{
    struct world *world = context;
    struct effect effect = {.lease = lease, .number = payload_number(lease_job(lease)->payload)};
    struct fate *fate = &world->fates[effect.number];
    struct store *store = world->bed.store;
    unsigned dice = random_below(20);
    unsigned organization;
    enum status st;
    int lane;

    pthread_mutex_lock(&world->lock);
    fate->runs++;
    organization = fate->organization;
    lane = fate->lane;
    pthread_mutex_unlock(&world->lock);
    lane_enter(world, organization, lane, true);
    if (random_below(4) == 0)
        sched_yield();
    if (dice == 0) {
        /* As the sweep does after an expiry: the job is ready again while we still run. It may be
         * taken at once, so we are out of the lane from here on. */
        struct err ignored;

        lane_enter(world, organization, lane, false);
        if (lease_put_back(lease, "test_steal", clock_wall_us(world->bed.clock),
                           lease_job(lease)->attempts, STR_EMPTY, &ignored) != ST_OK)
            abort();
        __atomic_fetch_add(&world->stolen, 1, __ATOMIC_RELAXED);
        return store_run(store, lease_scope(lease), "test_late", STORE_RELAXED, effect_work,
                         &effect, err);
    }
    lane_enter(world, organization, lane, false);
    if (dice <= 2) {
        __atomic_fetch_add(&world->postponed, 1, __ATOMIC_RELAXED);
        return store_run(store, lease_scope(lease), "test_postpone", STORE_RELAXED, postpone_work,
                         lease, err);
    }
    if (dice == 3 && lease_job(lease)->attempts == 1) {
        __atomic_fetch_add(&world->failed, 1, __ATOMIC_RELAXED);
        st = ST_UNAVAILABLE;
        return err_set_detail(err, st, "as the dice want it");
    }
    return store_run(store, lease_scope(lease), "test_effect", STORE_RELAXED, effect_work, &effect,
                     err);
}

/* ---------------------------------------------------------------- checking */

struct ordered {
    int64_t number, order;
};

struct collected {
    struct ordered *list;
    size_t count;
};

static void
collect(int64_t number, int64_t value, void *context)
{
    struct collected *collected = context;

    collected->list[collected->count++] = (struct ordered){number, value};
}

static int
by_order(const void *a, const void *b)
{
    const struct ordered *left = a;
    const struct ordered *right = b;

    return (left->order > right->order) - (left->order < right->order);
}

/* Goes through an organization's effects in their order; counts those of each lane that came before
 * one put earlier. */
static void
check_organization(struct world *world, unsigned organization, bool *seen)
{
    struct collected collected = {calloc(JOBS, sizeof(struct ordered)), 0};

    assert_non_null(collected.list);
    (void)effects_read(&world->bed, organization, STR("effects"), collect, &collected);
    qsort(collected.list, collected.count, sizeof(struct ordered), by_order);
    for (size_t i = 0; i < collected.count; i++) {
        struct fate *fate = &world->fates[collected.list[i].number];

        assert_int_equal(fate->organization, organization);
        assert_true(fate->runs > 0);
        seen[collected.list[i].number] = true;
        if (fate->lane < 0)
            continue;
        if (fate->place <= world->last_place[organization][fate->lane])
            world->unordered++;
        world->last_place[organization][fate->lane] = fate->place;
    }
    free(collected.list);
}

static void
walk(const struct queue_config *config)
{
    struct world *world = calloc(1, sizeof(*world));
    struct putter putters[PUTTERS];
    pthread_t threads[PUTTERS];
    struct queue_workers *workers;
    bool seen[JOBS] = {false};
    unsigned done = 0;
    int64_t deadline_us;
    int64_t left;
    uint64_t happened;
    struct err err;

    assert_non_null(world);
    pthread_mutex_init(&world->lock, NULL);
    bed_open(&world->bed, ORGANIZATIONS, clock_system(), config);
    assert_int_equal(
        queue_workers_start(world->bed.queue, "t", WORKERS, handle, NULL, world, &workers, &err),
        ST_OK);
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){world, (int64_t)i * PUTS};
        assert_int_equal(thread_start("putter", put_all, &putters[i], &threads[i], &err), ST_OK);
    }
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(threads[i], NULL);
    deadline_us = clock_mono_us(clock_system()) + WAIT_MS * US_PER_MS;
    /* Retried jobs are delayed, and a delayed head delays its lane: until nothing at all is left.
     */
    do {
        left = 0;
        assert_true(turns_wait_idle(world->bed.queue->turns, deadline_us, &happened));
        for (unsigned i = 0; i < ORGANIZATIONS; i++) {
            struct queue_counts counts = bed_count(&world->bed, i, NULL);

            assert_int_equal(counts.dead, 0);
            left += counts.ready + counts.delayed + counts.waiting + counts.leased;
        }
    } while (left > 0 && turns_wait_change(world->bed.queue->turns, happened, deadline_us));
    assert_int_equal(left, 0);
    queue_workers_stop(&workers, WAIT_MS);
    for (unsigned i = 0; i < ORGANIZATIONS; i++)
        check_organization(world, i, seen);
    for (int i = 0; i < JOBS; i++) {
        done += seen[i];
        assert_true(world->fates[i].put || !seen[i]);
        if (!world->fates[i].put || seen[i])
            continue;
        assert_true(world->fates[i].has_key); /* went into another under its key */
        world->merged++;
    }
    print_message("           %d put, %u done, %u merged, %u refused; %u failed, %u postponed, %u "
                  "stolen\n",
                  JOBS, done, world->merged, world->refused, world->failed, world->postponed,
                  world->stolen);
    assert_int_equal(world->overlaps, 0);
    assert_int_equal(world->unordered, 0);
    assert_true(world->failed > 0 && world->postponed > 0 && world->stolen > 0);
    bed_close(&world->bed, true);
    pthread_mutex_destroy(&world->lock);
    free(world);
}

/* Sweeps run into everything. */
static void
test_random_walk_with_sweeps(void **state)
{
    struct queue_config config = {.sweep_us = 20 * US_PER_MS};

    (void)state;
    walk(&config);
}

/* No sweep ever: a wake-up that was lost would be a job that is never run. */
static void
test_random_walk_without_sweeps(void **state)
{
    struct queue_config config = {.sweep_us = 3600 * US_PER_S};

    (void)state;
    walk(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_walk_with_sweeps),
        cmocka_unit_test(test_random_walk_without_sweeps),
    };

    log_init(2, LOG_ERROR); /* a thousand retries are the point here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
