/*
 * evaluations.c - question sets and runs as rows
 */
#include <stdlib.h>

#include "eval/dataset.h"
#include "eval/eval_sql.h"
#include "eval/evaluations_private.h"
#include "eval/results.h"

#define RUN_LANE STR("evaluate")
#define CHECK_BYTES ((size_t)64 << 20)

void
evaluations_open(const struct evaluations_config *config, struct evaluations **evaluations_out)
{
    struct evaluations *evaluations = calloc(1, sizeof(*evaluations));

    if (evaluations == NULL)
        abort();
    evaluations->config = *config;
    atomic_init(&evaluations->stopping, false);
    *evaluations_out = evaluations;
}

enum status
evaluations_start(struct evaluations *evaluations, struct err *err)
{
    return queue_workers_start(evaluations->config.queue, QUEUE_TOPIC_EVALUATE, 1,
                               evaluation_run_job, evaluation_on_dead, evaluations,
                               &evaluations->workers, err);
}

void
evaluations_stop(struct evaluations *evaluations, int64_t deadline_ms)
{
    atomic_store(&evaluations->stopping, true);
    queue_workers_stop(&evaluations->workers, deadline_ms);
}

void
evaluations_close(struct evaluations **evaluations)
{
    free(*evaluations);
    *evaluations = NULL;
}

static struct str
col_copy(struct store_rows *rows, int column, struct arena *arena)
{
    struct str value = store_col_text(rows, column);

    return value.ptr == NULL ? STR_EMPTY : arena_str(arena, value);
}

/* --- sets --- */

struct set_work {
    struct evaluations *evaluations;
    struct evaluation_set_id id;
    struct str name, questions;
    int64_t question_count;
    struct arena *arena;
    struct evaluation_set set, *sets;
    size_t count;
};

static void
read_set(struct store_rows *rows, struct arena *arena, struct evaluation_set *out)
{
    *out = (struct evaluation_set){.id = STORE_COL_ID(rows, 0, evaluation_set_id),
                                   .name = col_copy(rows, 1, arena),
                                   .question_count = store_col_int(rows, 2),
                                   .created_at_us = store_col_int(rows, 3),
                                   .updated_at_us = store_col_int(rows, 4)};
}

static enum status
get_set(struct store_tx *tx, void *arg, struct err *err)
{
    struct set_work *work = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EVAL_SET_GET, ARGS(sv_id(work->id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "there is no such question set");
    if (st != ST_OK)
        return st;
    read_set(rows, work->arena, &work->set);
    work->set.questions = col_copy(rows, 5, work->arena);
    return store_rows_close(&rows, err);
}

static enum status
check_count(struct store_tx *tx, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EVAL_SET_COUNT, NO_ARGS, &rows, err);
    int64_t count;

    if (st != ST_OK)
        return st;
    count = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && count >= EVALUATION_MAX_SETS)
        return err_set(err, ST_CONFLICT, "there are %d question sets, and no more may be kept",
                       EVALUATION_MAX_SETS);
    return st;
}

static enum status
put_set(struct store_tx *tx, void *arg, struct err *err)
{
    struct set_work *work = arg;
    int64_t now_us = clock_wall_us(work->evaluations->config.clock);
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EVAL_SET_FIND, ARGS(sv_text(work->name)), &rows, err);

    if (st == ST_OK) {
        work->id = STORE_COL_ID(rows, 0, evaluation_set_id);
        st = store_rows_close(&rows, err);
        if (st == ST_OK)
            st = store_exec(tx, &SQL_EVAL_SET_REPLACE,
                            ARGS(sv_id(work->id), sv_text(work->questions),
                                 sv_int(work->question_count), sv_int(now_us)),
                            NULL, err);
    } else if (st == ST_NOT_FOUND) {
        work->id = ID_NEW(evaluation_set_id);
        st = check_count(tx, err);
        if (st == ST_OK)
            st = store_exec(tx, &SQL_EVAL_SET_PUT,
                            ARGS(sv_id(work->id), sv_text(work->name), sv_text(work->questions),
                                 sv_int(work->question_count), sv_int(now_us)),
                            NULL, err);
    }
    return st == ST_OK ? get_set(tx, work, err) : st;
}

static enum status
check_set(struct str name, const json_t *questions, struct str text, struct err *err)
{
    struct arena *arena;
    struct eval_dataset dataset;
    enum status st;

    if (str_trim(name).len == 0 || name.len > EVALUATION_NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "name: 1 to %d bytes", EVALUATION_NAME_MAX_BYTES);
    if (json_array_size(questions) > EVALUATION_MAX_QUESTIONS || text.len > EVALUATION_MAX_BYTES)
        return err_set(err, ST_TOO_LARGE, "at most %d questions and %zu MB",
                       EVALUATION_MAX_QUESTIONS, EVALUATION_MAX_BYTES >> 20);
    arena = arena_create(CHECK_BYTES);
    st = eval_dataset_read(questions, arena, &dataset, err);
    arena_destroy(&arena);
    return st;
}

enum status
evaluation_set_put(struct evaluations *evaluations, const struct tenant_scope *scope,
                   struct str name, const json_t *questions, struct arena *arena,
                   struct evaluation_set *set_out, struct err *err)
{
    struct set_work work = {.evaluations = evaluations,
                            .name = name,
                            .questions = json_text(questions, arena),
                            .question_count = (int64_t)json_array_size(questions),
                            .arena = arena};
    enum status st = check_set(name, questions, work.questions, err);

    if (st == ST_OK)
        st = store_run(evaluations->config.store, scope, "evaluation_set_put", STORE_DURABLE,
                       put_set, &work, err);
    *set_out = work.set;
    return st;
}

enum status
evaluation_set_get(struct evaluations *evaluations, const struct tenant_scope *scope,
                   struct evaluation_set_id id, struct arena *arena, struct evaluation_set *set_out,
                   struct err *err)
{
    struct set_work work = {.id = id, .arena = arena};
    enum status st =
        store_read(evaluations->config.store, scope, "evaluation_set_get", get_set, &work, err);

    *set_out = work.set;
    return st;
}

static enum status
list_sets(struct store_tx *tx, void *arg, struct err *err)
{
    struct set_work *work = arg;
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_EVAL_SET_LIST, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    work->sets = ARENA_NEW_N(work->arena, struct evaluation_set, EVALUATION_MAX_SETS);
    work->count = 0;
    while (work->count < EVALUATION_MAX_SETS && store_rows_next(rows))
        read_set(rows, work->arena, &work->sets[work->count++]);
    return store_rows_close(&rows, err);
}

enum status
evaluation_set_list(struct evaluations *evaluations, const struct tenant_scope *scope,
                    struct arena *arena, struct evaluation_set **sets_out, size_t *count_out,
                    struct err *err)
{
    struct set_work work = {.arena = arena};
    enum status st =
        store_read(evaluations->config.store, scope, "evaluation_set_list", list_sets, &work, err);

    *sets_out = work.sets;
    *count_out = work.count;
    return st;
}

static enum status
delete_set(struct store_tx *tx, void *arg, struct err *err)
{
    const struct set_work *work = arg;
    int64_t deleted = 0;
    enum status st =
        store_exec(tx, &SQL_EVALUATION_ROWS_DELETE_OF_SET, ARGS(sv_id(work->id)), NULL, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_EVALUATION_DELETE_OF_SET, ARGS(sv_id(work->id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_EVAL_SET_DELETE, ARGS(sv_id(work->id)), &deleted, err);
    return st == ST_OK && deleted == 0 ? err_set(err, ST_NOT_FOUND, "there is no such question set")
                                       : st;
}

enum status
evaluation_set_delete(struct evaluations *evaluations, const struct tenant_scope *scope,
                      struct evaluation_set_id id, struct err *err)
{
    struct set_work work = {.id = id};

    return store_run(evaluations->config.store, scope, "evaluation_set_delete", STORE_DURABLE,
                     delete_set, &work, err);
}

/* --- runs --- */

struct run_work {
    struct evaluations *evaluations;
    struct evaluation_id id;
    struct evaluation_set_id set_id;
    const struct evaluation_spec *spec;
    size_t limit;
    struct arena *arena;
    struct evaluation run, *runs;
    size_t count;
    json_t *rows;
};

static void
read_run(struct store_rows *rows, struct arena *arena, struct evaluation *out)
{
    *out = (struct evaluation){.id = STORE_COL_ID(rows, 0, evaluation_id),
                               .set_id = STORE_COL_ID(rows, 1, evaluation_set_id),
                               .name = col_copy(rows, 2, arena),
                               .has_persona = store_col_int(rows, 3) != 0,
                               .question_count = store_col_int(rows, 4),
                               .done_count = store_col_int(rows, 5),
                               .status = col_copy(rows, 6, arena),
                               .figures = col_copy(rows, 7, arena),
                               .error = col_copy(rows, 8, arena),
                               .created_at_us = store_col_int(rows, 9),
                               .finished_at_us = store_col_int(rows, 10),
                               .with_drafts = store_col_int(rows, 11) != 0};
}

static enum status
get_run(struct store_tx *tx, void *arg, struct err *err)
{
    struct run_work *work = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EVALUATION_GET, ARGS(sv_id(work->id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "there is no such evaluation");
    if (st != ST_OK)
        return st;
    read_run(rows, work->arena, &work->run);
    return store_rows_close(&rows, err);
}

static enum status
queue_run(struct store_tx *tx, const struct run_work *work, struct err *err)
{
    struct job_spec job = {.topic = QUEUE_TOPIC_EVALUATE,
                           .lane = RUN_LANE,
                           .payload = arena_printf(store_tx_arena(tx), "{\"evaluation_id\":\"%s\"}",
                                                   work->id.id.text)};
    struct job_id job_id;

    return queue_put(work->evaluations->config.queue, tx, &job, &job_id, err);
}

static enum status
remove_old_runs(struct store_tx *tx, const struct run_work *work, struct err *err)
{
    enum status st = store_exec(tx, &SQL_EVALUATION_ROWS_DELETE_OLD,
                                ARGS(sv_id(work->set_id), sv_int(EVALUATION_RUNS_KEPT)), NULL, err);

    return st == ST_OK
               ? store_exec(tx, &SQL_EVALUATION_DELETE_OLD,
                            ARGS(sv_id(work->set_id), sv_int(EVALUATION_RUNS_KEPT)), NULL, err)
               : st;
}

static enum status
start_run(struct store_tx *tx, void *arg, struct err *err)
{
    struct run_work *work = arg;
    struct set_work set = {.id = work->set_id, .arena = work->arena};
    enum status st = get_set(tx, &set, err);

    if (st != ST_OK)
        return st;
    work->id = ID_NEW(evaluation_id);
    st = store_exec(tx, &SQL_EVALUATION_INSERT,
                    ARGS(sv_id(work->id), sv_id(work->set_id),
                         sv_text(work->spec->name.len > 0 ? work->spec->name : set.set.name),
                         sv_text(work->spec->persona), sv_text(set.set.questions),
                         sv_int(set.set.question_count),
                         sv_int(clock_wall_us(work->evaluations->config.clock)),
                         sv_int(work->spec->with_drafts)),
                    NULL, err);
    if (st == ST_OK)
        st = remove_old_runs(tx, work, err);
    if (st == ST_OK)
        st = queue_run(tx, work, err);
    return st == ST_OK ? get_run(tx, work, err) : st;
}

enum status
evaluation_start(struct evaluations *evaluations, const struct tenant_scope *scope,
                 const struct evaluation_spec *spec, struct arena *arena,
                 struct evaluation *evaluation_out, struct err *err)
{
    struct run_work work = {
        .evaluations = evaluations, .set_id = spec->set_id, .spec = spec, .arena = arena};
    enum status st;

    if (spec->name.len > EVALUATION_NAME_MAX_BYTES)
        return err_set(err, ST_INVALID, "name: at most %d bytes", EVALUATION_NAME_MAX_BYTES);
    st = store_run(evaluations->config.store, scope, "evaluation_start", STORE_DURABLE, start_run,
                   &work, err);
    *evaluation_out = work.run;
    return st;
}

enum status
evaluation_get(struct evaluations *evaluations, const struct tenant_scope *scope,
               struct evaluation_id id, struct arena *arena, struct evaluation *evaluation_out,
               struct err *err)
{
    struct run_work work = {.id = id, .arena = arena};
    enum status st =
        store_read(evaluations->config.store, scope, "evaluation_get", get_run, &work, err);

    *evaluation_out = work.run;
    return st;
}

static enum status
list_runs(struct store_tx *tx, void *arg, struct err *err)
{
    struct run_work *work = arg;
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_EVALUATION_LIST,
                                 ARGS(sv_text(ID_STR(work->set_id)), sv_text(ID_STR(work->id)),
                                      sv_int((int64_t)work->limit)),
                                 &rows, err);

    if (st != ST_OK)
        return st;
    work->runs = ARENA_NEW_N(work->arena, struct evaluation, work->limit + 1);
    work->count = 0;
    while (work->count < work->limit && store_rows_next(rows))
        read_run(rows, work->arena, &work->runs[work->count++]);
    return store_rows_close(&rows, err);
}

enum status
evaluation_list(struct evaluations *evaluations, const struct tenant_scope *scope,
                struct evaluation_set_id set_id, struct evaluation_id before, size_t limit,
                struct arena *arena, struct evaluation **evaluations_out, size_t *count_out,
                struct err *err)
{
    struct run_work work = {.id = before, .set_id = set_id, .limit = limit, .arena = arena};
    enum status st =
        store_read(evaluations->config.store, scope, "evaluation_list", list_runs, &work, err);

    *evaluations_out = work.runs;
    *count_out = work.count;
    return st;
}

static enum status
read_results(struct store_tx *tx, void *arg, struct err *err)
{
    struct run_work *work = arg;
    enum status st = get_run(tx, work, err);

    json_decref(work->rows);
    work->rows = NULL;
    if (st == ST_OK && !str_eq_c(work->run.status, "done"))
        return err_set(err, ST_CONFLICT, "the evaluation is %.*s: there are no results yet",
                       STR_ARG(work->run.status));
    return st == ST_OK ? evaluation_rows_read(tx, work->id, &work->rows, err) : st;
}

enum status
evaluation_results(struct evaluations *evaluations, const struct tenant_scope *scope,
                   struct evaluation_id id, struct arena *arena, json_t **results_out,
                   struct err *err)
{
    struct run_work work = {.id = id, .arena = arena};
    char time[32];
    enum status st = store_read(evaluations->config.store, scope, "evaluation_results",
                                read_results, &work, err);

    *results_out = NULL;
    if (st == ST_OK)
        *results_out = eval_results_make(
            work.run.name, time_format_rfc3339(work.run.created_at_us, time), work.rows);
    else
        json_decref(work.rows);
    return st;
}

static enum status
delete_run(struct store_tx *tx, void *arg, struct err *err)
{
    const struct run_work *work = arg;
    int64_t deleted = 0;
    enum status st = store_exec(tx, &SQL_EVALUATION_ROWS_DELETE, ARGS(sv_id(work->id)), NULL, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_EVALUATION_DELETE, ARGS(sv_id(work->id)), &deleted, err);
    return st == ST_OK && deleted == 0 ? err_set(err, ST_NOT_FOUND, "there is no such evaluation")
                                       : st;
}

enum status
evaluation_delete(struct evaluations *evaluations, const struct tenant_scope *scope,
                  struct evaluation_id id, struct err *err)
{
    struct run_work work = {.id = id};

    return store_run(evaluations->config.store, scope, "evaluation_delete", STORE_DURABLE,
                     delete_run, &work, err);
}
