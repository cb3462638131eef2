/*
 * sync.c - the engine is brought into step with the database, a document at a time
 *
 *   job:  next document that is behind --read, marked as known--> points put --> others of it
 *         removed --> in step, unless it was changed meanwhile;  none behind: points are counted
 *
 * Each put carries the document's count of changes, and what has another one is removed by filter:
 * no list of what was there before is needed, so nothing stays, whenever a process died. One job of
 * an organization runs at a time (its lane), so that an older state never overwrites a newer.
 */
#include "base/log.h"
#include "index/engine_private.h"

/* A document of a thousand pages, its words and vectors. */
#define SYNC_MAX_BYTES ((size_t)1 << 30)
#define BATCH 128
#define TURN_US (10 * US_PER_S)
#define JOB_MAX_ATTEMPTS 20

enum status
index_sync_queue(struct queue *queue, struct store_tx *tx, struct err *err)
{
    const struct job_spec job = {.topic = QUEUE_TOPIC_INDEX,
                                 .lane = STR("index"),
                                 .dedup_key = STR("index"),
                                 .payload = STR("{}"),
                                 .coalesce_max_us = 1,
                                 .max_attempts = JOB_MAX_ATTEMPTS};
    struct job_id id;

    return queue_put(queue, tx, &job, &id, err);
}

enum status
index_sync_mark_all(struct store_tx *tx, struct err *err)
{
    return index_driver_of(tx)->sync_mark_all(tx, err);
}

struct turn {
    struct index_engine *engine;
    const struct tenant_scope *scope;
    struct lease *lease; /* NULL: no job */
    struct arena *arena;
    struct index_sync sync;
    struct engine_point *points;
    size_t count;
    bool is_more;
    bool was_counted;    /* what did not agree was marked once */
    int64_t chunk_count; /* of the organization */
    int64_t behind;      /* of its documents */
};

static struct str
state_of(const struct index_engine *engine, const char *kind, struct arena *arena)
{
    return arena_printf(arena, "%.*s%s", STR_ARG(index_engine_collection(engine)), kind);
}

enum status
index_sync_behind(const struct index_engine *engine, struct store_tx *tx, int64_t *sources_out,
                  struct err *err)
{
    struct arena *arena = store_tx_arena(tx);

    return index_driver_of(tx)->sync_behind(tx, state_of(engine, SYNC_VECTORS, arena),
                                            state_of(engine, SYNC_WORDS, arena), sources_out, err);
}

static enum status
check_lease(const struct turn *turn, struct store_tx *tx, struct err *err)
{
    return turn->lease == NULL ? ST_OK : queue_lease_check(tx, turn->lease, err);
}

/* --- reading --- */

/* Of the passages in a partition's language. */
static double
mean_length(const struct index_partition *partitions, size_t count, struct str language)
{
    int64_t chunks = 0, terms = 0;

    for (size_t p = 0; p < count; p++)
        if (str_eq(partitions[p].language, language)) {
            chunks += partitions[p].chunk_count;
            terms += partitions[p].term_count;
        }
    return chunks > 0 && terms > 0 ? (double)terms / (double)chunks : 1;
}

static enum status
read_points(struct turn *turn, struct store_tx *tx, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    struct index_partition *partitions = NULL;
    struct index_chunk *chunks = NULL;
    size_t partition_count = 0;
    enum status st = driver->partition_list(tx, turn->arena, &partitions, &partition_count, err);

    if (st == ST_OK)
        st = driver->chunk_list(tx, turn->sync.source_id, 0, engine_encoder(turn->engine),
                                turn->arena, &chunks, &turn->count, err);
    if (st != ST_OK)
        return st;
    turn->points = ARENA_NEW_N(turn->arena, struct engine_point, turn->count + 1);
    for (size_t i = 0; i < turn->count; i++)
        for (size_t p = 0; p < partition_count; p++)
            if (partitions[p].id == chunks[i].partition_id)
                turn->points[i] = (struct engine_point){
                    &chunks[i], partitions[p].audience,
                    mean_length(partitions, partition_count, partitions[p].language)};
    return ST_OK;
}

static enum status
next_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    const struct index_driver *driver = index_driver_of(tx);
    enum status st = check_lease(turn, tx, err);

    arena_reset(turn->arena);
    turn->count = 0;
    if (st == ST_OK)
        st = driver->sync_next(tx, state_of(turn->engine, SYNC_VECTORS, turn->arena),
                               state_of(turn->engine, SYNC_WORDS, turn->arena), &turn->sync, err);
    turn->is_more = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    if (!turn->sync.known)
        st = driver->sync_know(tx, turn->sync.source_id, err);
    return st == ST_OK ? read_points(turn, tx, err) : st;
}

/* --- one document --- */

static enum status
set_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct turn *turn = arg;
    struct str state = STR_EMPTY;
    bool complete = engine_encoder(turn->engine).len > 0;
    enum status st = check_lease(turn, tx, err);

    for (size_t i = 0; i < turn->count; i++)
        complete = complete && turn->points[i].chunk->code.len > 0;
    if (turn->count > 0)
        state = state_of(turn->engine, complete ? SYNC_VECTORS : SYNC_WORDS, store_tx_arena(tx));
    return st == ST_OK ? index_driver_of(tx)->sync_set(tx, &turn->sync, state, err) : st;
}

static enum status
put_document(struct turn *turn, struct err *err)
{
    const struct tenant_scope *scope = turn->scope;
    enum status st = ST_OK;

    for (size_t at = 0; at < turn->count && st == ST_OK; at += BATCH) {
        size_t n = turn->count - at < BATCH ? turn->count - at : BATCH;

        st = engine_put(turn->engine, scope, turn->points + at, n, turn->sync.change, err);
    }
    if (st == ST_OK)
        st = engine_remove(turn->engine, scope, turn->sync.source_id,
                           turn->count == 0 ? 0 : turn->sync.change, err);
    return st == ST_OK ? store_run(engine_store(turn->engine), scope, "index_sync_set",
                                   STORE_DURABLE, set_in_tx, turn, err)
                       : st;
}

/* --- counting --- */

static enum status
chunks_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    struct index_partition *partitions = NULL;
    size_t count = 0;
    enum status st =
        index_driver_of(tx)->partition_list(tx, store_tx_arena(tx), &partitions, &count, err);

    if (st == ST_OK)
        st = index_sync_behind(turn->engine, tx, &turn->behind, err);
    turn->chunk_count = 0;
    for (size_t p = 0; p < count; p++)
        turn->chunk_count += partitions[p].chunk_count;
    return st;
}

static enum status
mark_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    enum status st = check_lease(turn, tx, err);

    return st == ST_OK ? index_sync_mark_all(tx, err) : st;
}

/* A collection that somebody removed, or a database of another day: what the engine has is not what
 * it was given. */
static enum status
count_points(struct turn *turn, struct err *err)
{
    struct store *store = engine_store(turn->engine);
    const struct tenant_scope *scope = turn->scope;
    const struct organization_id id = tenant_scope_organization(scope);
    int64_t points = 0;
    enum status st = engine_count(turn->engine, scope, &points, err);

    if (st == ST_OK)
        st = store_read(store, scope, "index_chunks", chunks_in_tx, turn, err);
    turn->is_more = st == ST_OK && turn->behind > 0; /* changed meanwhile: counted later */
    if (st != ST_OK || turn->is_more || points == turn->chunk_count || turn->was_counted)
        return st;
    LOG(LOG_WARN, "index.engine_differs", log_str("organization_id", ID_STR(id)),
        log_int("points", points), log_int("passages", turn->chunk_count));
    turn->was_counted = true;
    turn->is_more = true;
    return store_run(store, scope, "index_sync_mark", STORE_DURABLE, mark_in_tx, turn, err);
}

/* --- the job --- */

static enum status
end_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;

    return turn->is_more ? queue_lease_postpone(tx, turn->lease,
                                                clock_wall_us(engine_clock(turn->engine)), err)
                         : queue_lease_done(tx, turn->lease, err);
}

static enum status
one_step(struct turn *turn, struct err *err)
{
    enum status st = store_run(engine_store(turn->engine), turn->scope, "index_sync_next",
                               STORE_DURABLE, next_in_tx, turn, err);

    if (st != ST_OK)
        return st;
    return turn->is_more ? put_document(turn, err) : count_points(turn, err);
}

/* Until nothing is behind, or until_us. */
static enum status
run(struct turn *turn, int64_t until_us, struct err *err)
{
    enum status st = ST_OK;

    turn->is_more = true;
    while (st == ST_OK && turn->is_more && clock_mono_us(clock_system()) < until_us)
        st = one_step(turn, err);
    return st;
}

enum status
index_sync_now(struct index_engine *engine, const struct tenant_scope *scope, struct err *err)
{
    struct turn turn = {.engine = engine, .scope = scope};
    enum status st = index_engine_check(engine, err);

    turn.arena = arena_create(SYNC_MAX_BYTES);
    if (st == ST_OK)
        st = run(&turn, INT64_MAX, err);
    arena_destroy(&turn.arena);
    return st;
}

enum status
index_sync_job(struct lease *lease, void *engine, struct err *err)
{
    struct turn turn = {.engine = engine, .scope = lease_scope(lease), .lease = lease};
    enum status st = index_engine_check(engine, err);

    /* A key or a collection that is not as it should be is put right without the job: it waits. */
    if (st != ST_OK)
        return err->code = ST_UNAVAILABLE;
    turn.arena = arena_create(SYNC_MAX_BYTES);
    st = run(&turn, clock_mono_us(clock_system()) + TURN_US, err);
    if (st == ST_OK)
        st = store_run(engine_store(engine), turn.scope, "index_sync_turn", STORE_DURABLE,
                       end_in_tx, &turn, err);
    arena_destroy(&turn.arena);
    /* The collection was removed just now: the next run makes it again. */
    if (st == ST_NOT_FOUND || st == ST_DENIED)
        st = err->code = ST_UNAVAILABLE;
    return st;
}
