/*
 * evaluation_job.c - a run: the next question that has no row, until there is none
 *
 * The job gives its lane back every few minutes, and when the process stops; it then goes on at the
 * next question. What was deleted meanwhile is done.
 */
#include "base/log.h"
#include "eval/ask.h"
#include "eval/eval_sql.h"
#include "eval/evaluations_private.h"
#include "eval/results.h"

#define TURN_US (INT64_C(120) * US_PER_S)
#define QUESTION_BYTES ((size_t)64 << 20)
#define JUDGE_MS 60000

struct run {
    struct evaluations *evaluations;
    struct lease *lease;
    struct evaluation_id id;
    struct arena *arena;
    struct str name, status, questions, persona;
    int64_t done;
    bool with_drafts;
    bool is_gone;   /* deleted, or finished before */
    struct str row; /* the next one */
    json_t *rows;   /* all of them */
    struct str figures;
};

static enum status
payload_id(const struct job *job, struct evaluation_id *id_out, struct err *err)
{
    json_auto_t *payload = NULL;
    enum status st = json_parse(job->payload, &payload, err);

    if (st == ST_OK)
        st = ID_PARSE(json_get_str(payload, "evaluation_id"), id_out, err);
    return st == ST_OK ? ST_OK
                       : err_set_detail(err, ST_INTERNAL, "job's payload: no evaluation_id");
}

/* --- in transactions --- */

static enum status
load(struct store_tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_EVALUATION_WORK, ARGS(sv_id(run->id)), &rows, err);

    run->is_gone = st == ST_NOT_FOUND;
    if (run->is_gone)
        return ST_OK;
    if (st != ST_OK)
        return st;
    run->name = arena_str(run->arena, store_col_text(rows, 0));
    run->persona =
        store_col_is_null(rows, 1) ? STR_EMPTY : arena_str(run->arena, store_col_text(rows, 1));
    run->questions = arena_str(run->arena, store_col_text(rows, 2));
    run->done = store_col_int(rows, 3);
    run->is_gone = str_eq_c(store_col_text(rows, 4), "done");
    run->with_drafts = store_col_int(rows, 5) != 0;
    return store_rows_close(&rows, err);
}

static enum status
keep_row(struct store_tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    int64_t changed = 0;
    enum status st = queue_lease_check(tx, run->lease, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_EVALUATION_RUNNING, ARGS(sv_id(run->id), sv_int(run->done + 1)),
                        &changed, err);
    run->is_gone = st == ST_OK && changed == 0;
    if (st != ST_OK || run->is_gone)
        return st;
    return store_exec(tx, &SQL_EVALUATION_ROW_INSERT,
                      ARGS(sv_id(run->id), sv_int(run->done), sv_text(run->row)), NULL, err);
}

static enum status
give_way(struct store_tx *tx, void *arg, struct err *err)
{
    const struct run *run = arg;

    return queue_lease_postpone(tx, run->lease, clock_wall_us(run->evaluations->config.clock), err);
}

static enum status
finish(struct store_tx *tx, void *arg, struct err *err)
{
    const struct run *run = arg;
    enum status st = ST_OK;

    if (!run->is_gone)
        st = store_exec(tx, &SQL_EVALUATION_DONE,
                        ARGS(sv_id(run->id), sv_text(run->figures),
                             sv_int(clock_wall_us(run->evaluations->config.clock))),
                        NULL, err);
    return st == ST_OK ? queue_lease_done(tx, run->lease, err) : st;
}

enum status
evaluation_rows_read(struct store_tx *tx, struct evaluation_id id, json_t **rows_out,
                     struct err *err)
{
    struct store_rows *rows;
    json_t *list;
    enum status st = store_query(tx, &SQL_EVALUATION_ROWS, ARGS(sv_id(id)), &rows, err);

    *rows_out = NULL;
    if (st != ST_OK)
        return st;
    list = json_array();
    while (st == ST_OK && store_rows_next(rows)) {
        json_t *row = NULL;

        st = json_parse(store_col_text(rows, 0), &row, err);
        if (st == ST_OK)
            json_array_append_new(list, row);
    }
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    else
        store_rows_drop(&rows);
    if (st == ST_OK)
        *rows_out = list;
    else
        json_decref(list);
    return st;
}

static enum status
read_rows(struct store_tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;

    json_decref(run->rows);
    run->rows = NULL;
    return evaluation_rows_read(tx, run->id, &run->rows, err);
}

/* --- a turn --- */

/* Asks until all is asked, the turn is over, the process stops, or the run is gone. */
static enum status
ask_on(struct run *run, const struct eval_dataset *dataset, struct eval_asker *asker,
       struct err *err)
{
    const struct evaluations_config *config = &run->evaluations->config;
    int64_t until_us = clock_mono_us(clock_system()) + TURN_US;
    struct arena *arena = arena_create(QUESTION_BYTES);
    enum status st = ST_OK;

    while (st == ST_OK && !run->is_gone && run->done < (int64_t)dataset->count &&
           clock_mono_us(clock_system()) < until_us && !atomic_load(&run->evaluations->stopping)) {
        json_t *row = NULL;

        arena_reset(arena);
        st = eval_ask(asker, &dataset->questions[run->done], arena, &row, err);
        if (st != ST_OK)
            break;
        run->row = json_text(row, arena);
        json_decref(row);
        st = store_run(config->store, lease_scope(run->lease), "evaluation_row", STORE_DURABLE,
                       keep_row, run, err);
        run->done += st == ST_OK;
    }
    arena_destroy(&arena);
    return st;
}

static enum status
make_figures(struct run *run, struct err *err)
{
    json_auto_t *results = NULL;
    enum status st = store_read(run->evaluations->config.store, lease_scope(run->lease),
                                "evaluation_rows", read_rows, run, err);

    if (st != ST_OK)
        return st;
    results = eval_results_make(run->name, STR(""), run->rows);
    run->rows = NULL;
    run->figures = json_text(json_object_get(results, "figures"), run->arena);
    return ST_OK;
}

static enum status
ask_questions(struct run *run, bool *is_more_out, struct err *err)
{
    const struct evaluations_config *config = &run->evaluations->config;
    json_auto_t *list = NULL, *persona = NULL;
    struct eval_dataset dataset;
    struct eval_asker asker;
    enum status st = json_parse(run->questions, &list, err);

    if (st == ST_OK)
        st = eval_dataset_read(list, run->arena, &dataset, err);
    if (st == ST_OK && run->persona.len > 0)
        st = json_parse(run->persona, &persona, err);
    if (st != ST_OK)
        return err_wrap(err, "stored evaluation");
    eval_asker_init(&asker);
    asker.orchestrator = config->orchestrator;
    asker.knowledge = config->knowledge;
    asker.scope = lease_scope(run->lease);
    asker.judge = (struct eval_judge){config->models, config->embedder, JUDGE_MS};
    asker.persona = persona;
    asker.with_drafts = run->with_drafts;
    st = ask_on(run, &dataset, &asker, err);
    eval_asker_deinit(&asker);
    *is_more_out = st == ST_OK && !run->is_gone && run->done < (int64_t)dataset.count;
    return st;
}

enum status
evaluation_run_job(struct lease *lease, void *evaluations, struct err *err)
{
    struct run run = {.evaluations = evaluations, .lease = lease, .arena = lease_arena(lease)};
    struct store *store = run.evaluations->config.store;
    bool is_more = false;
    enum status st = payload_id(lease_job(lease), &run.id, err);

    if (st == ST_OK)
        st = store_read(store, lease_scope(lease), "evaluation_load", load, &run, err);
    if (st == ST_OK && !run.is_gone)
        st = ask_questions(&run, &is_more, err);
    if (st == ST_OK && is_more)
        return store_run(store, lease_scope(lease), "evaluation_turn", STORE_DURABLE, give_way,
                         &run, err);
    if (st == ST_OK && !run.is_gone)
        st = make_figures(&run, err);
    if (st == ST_OK)
        st = store_run(store, lease_scope(lease), "evaluation_done", STORE_DURABLE, finish, &run,
                       err);
    json_decref(run.rows);
    if (st == ST_OK)
        LOG(LOG_INFO, "evaluation.done", log_str("evaluation_id", ID_STR(run.id)),
            log_int("questions", run.done));
    return st;
}

enum status
evaluation_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *evaluations,
                   struct err *err)
{
    const struct evaluations *e = evaluations;
    struct evaluation_id id;
    enum status st = payload_id(job, &id, err);

    (void)reason; /* the operator's: in the log and beside the dead letter */
    return st == ST_OK
               ? store_exec(tx, &SQL_EVALUATION_FAILED,
                            ARGS(sv_id(id),
                                 sv_text(STR("the questions could not be asked; the dead letter "
                                             "says why")),
                                 sv_int(clock_wall_us(e->config.clock))),
                            NULL, err)
               : st;
}
