/*
 * dead.c - counting jobs; listing, replaying and discarding dead letters
 */
#include "queue/queue_private.h"

#include <assert.h>

#include "queue/queue_sql.h"

#define MAX_LETTERS 1000

enum status
queue_count(struct store_tx *tx, const char *topic, int64_t now_us, struct queue_counts *counts_out,
            struct err *err)
{
    struct store_rows *rows;
    int64_t oldest_us = now_us;
    enum status st = store_query(tx, &SQL_COUNT, ARGS(sv_int(now_us)), &rows, err);

    *counts_out = (struct queue_counts){0};
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        struct str state = store_col_text(rows, 0);
        int64_t count = store_col_int(rows, 2);
        int64_t due = store_col_int(rows, 3);

        if (topic != NULL && !str_eq_c(store_col_text(rows, 1), topic))
            continue;
        if (str_eq_c(state, "ready")) {
            counts_out->ready += due;
            counts_out->delayed += count - due;
            if (due > 0 && store_col_int(rows, 4) < oldest_us)
                oldest_us = store_col_int(rows, 4);
        } else if (str_eq_c(state, "waiting")) {
            counts_out->waiting += count;
        } else if (str_eq_c(state, "leased")) {
            counts_out->leased += count;
        } else {
            counts_out->dead += count;
        }
    }
    counts_out->oldest_ready_age_us = now_us - oldest_us;
    return store_rows_close(&rows, err);
}

static void
read_letter(struct store_rows *rows, struct arena *arena, struct dead_letter *letter)
{
    letter->job = (struct job){
        .id = STORE_COL_ID(rows, 0, job_id),
        .topic = arena_str(arena, store_col_text(rows, 1)),
        .lane = arena_str(arena, store_col_text(rows, 2)),
        .payload = arena_str(arena, store_col_text(rows, 3)),
        .attempts = (unsigned)store_col_int(rows, 4),
        .max_attempts = (unsigned)store_col_int(rows, 5),
        .created_at_us = store_col_int(rows, 6),
    };
    letter->reason = arena_str(arena, store_col_text(rows, 7));
    letter->died_at_us = store_col_int(rows, 8);
    letter->job.user_id = STORE_COL_ID(rows, 9, user_id);
}

enum status
queue_dead_list(struct store_tx *tx, struct job_id before, size_t limit, struct arena *arena,
                struct dead_letter **letters_out, size_t *count_out, struct err *err)
{
    /* Ids are hexadecimal: "g" stands behind them all. */
    struct str bound = id_is_none(&before.id) ? STR("g") : ID_STR(before);
    struct store_rows *rows;
    size_t count = 0;
    enum status st;

    if (limit > MAX_LETTERS)
        limit = MAX_LETTERS;
    *count_out = 0;
    *letters_out = ARENA_NEW_N(arena, struct dead_letter, limit);
    st = store_query(tx, &SQL_DEAD_LIST, ARGS(sv_text(bound), sv_int((int64_t)limit)), &rows, err);
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        assert(count < limit);
        read_letter(rows, arena, &(*letters_out)[count++]);
    }
    *count_out = count;
    return store_rows_close(&rows, err);
}

/* The job under the same key that is queued does this one's work too. ST_NOT_FOUND: none is. */
static enum status
find_twin(struct store_tx *tx, struct str topic, struct str dedup_key, struct err *err)
{
    struct store_rows *rows;
    enum status st;

    if (dedup_key.len == 0)
        return ST_NOT_FOUND;
    st = store_query_one(tx, &SQL_FIND_DEDUP, ARGS(sv_text(topic), sv_text(dedup_key)), &rows, err);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
revive(struct queue *queue, struct store_tx *tx, const struct queue_wakeup *job, struct err *err)
{
    int64_t now_us = clock_wall_us(queue->config.clock);
    int64_t place;
    bool head;
    enum status st = queue_lane_enter(tx, job->topic, job->lane, &place, &head, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_DEAD_REVIVE,
                        ARGS(sv_id(job->job_id), sv_text(head ? STR("ready") : STR("waiting")),
                             sv_int(place), sv_int(now_us)),
                        NULL, err);
    if (st == ST_OK && head)
        queue_wake_on_commit(queue, tx,
                             &(struct queue_wakeup){.user_id = job->user_id,
                                                    .topic = job->topic,
                                                    .lane = job->lane,
                                                    .job_id = job->job_id,
                                                    .due_us = now_us});
    return st;
}

enum status
queue_dead_replay(struct queue *queue, struct store_tx *tx, struct job_id id, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct queue_wakeup job = {.job_id = id};
    struct str dedup_key;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_DEAD_GET, ARGS(sv_id(id)), &rows, err);

    if (st != ST_OK)
        return st;
    job.topic = arena_str(arena, store_col_text(rows, 0));
    job.lane = arena_str(arena, store_col_text(rows, 1));
    dedup_key = arena_str(arena, store_col_text(rows, 2));
    job.user_id = STORE_COL_ID(rows, 3, user_id);
    st = store_rows_close(&rows, err);
    if (st != ST_OK)
        return st;
    st = find_twin(tx, job.topic, dedup_key, err);
    if (st == ST_OK)
        return queue_dead_discard(tx, id, err);
    if (st == ST_NOT_FOUND)
        st = revive(queue, tx, &job, err);
    return st;
}

enum status
queue_dead_discard(struct store_tx *tx, struct job_id id, struct err *err)
{
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_DEAD_DISCARD, ARGS(sv_id(id)), &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_NOT_FOUND, "there is no such dead letter");
    return st;
}
