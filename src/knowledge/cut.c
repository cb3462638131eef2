/*
 * cut.c - how long an organization wants its passages, and the job that cuts documents anew
 *
 * Each document's row says how it was cut, so the job needs no list and no place in one: whatever
 * of the searched documents was cut otherwise than wanted is still to be done, after a crash as
 * after another change of mind. One that cannot be read any more is noted as if it had been cut:
 * it is not tried for ever.
 */
#include "base/log.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"
#include "text/json.h"

#define TURN_US (2 * US_PER_S) /* then whatever waits to be read comes first */
#define JOB_MAX_ATTEMPTS 20

/* --- what is wanted --- */

static enum status
check_words(const char *name, int64_t value, int64_t least, int64_t most, struct err *err)
{
    if (value == PASSAGES_AS_SERVER || (value >= least && value <= most))
        return ST_OK;
    return err_set(err, ST_INVALID, "passages.%s: a number of words, %lld to %lld", name,
                   (long long)least, (long long)most);
}

enum status
passage_settings_check(const struct passage_settings *settings, struct err *err)
{
    enum status st =
        check_words("words", settings->words, CHUNK_LEAST_WORDS, CHUNK_MOST_WORDS, err);

    if (st == ST_OK)
        st = check_words("overlap", settings->overlap, 0, CHUNK_MOST_OVERLAP, err);
    if (st == ST_OK && settings->words != PASSAGES_AS_SERVER &&
        settings->overlap > settings->words / 2)
        st = err_set(err, ST_INVALID, "passages.overlap: at most half of passages.words");
    return st;
}

enum status
cut_settings_find(struct knowledge *knowledge, struct store_tx *tx,
                  struct chunk_settings *settings_out, struct err *err)
{
    struct brand brand;
    enum status st = brand_get(tx, (struct brand_id){{""}}, store_tx_arena(tx), &brand, err);

    if (st != ST_OK)
        return st;
    *settings_out = knowledge->passages;
    if (brand.passages.words != PASSAGES_AS_SERVER)
        settings_out->words = (size_t)brand.passages.words;
    if (brand.passages.overlap != PASSAGES_AS_SERVER)
        settings_out->overlap = (size_t)brand.passages.overlap;
    return ST_OK;
}

enum status
cut_settings_note(struct store_tx *tx, struct source_id id, const struct chunk_settings *settings,
                  struct err *err)
{
    return store_exec(
        tx, &SQL_SOURCE_CUT,
        ARGS(sv_id(id), sv_int((int64_t)settings->words), sv_int((int64_t)settings->overlap)), NULL,
        err);
}

/* The arguments of SOURCE_IS_CUT_OTHERWISE. */
#define UNCUT_ARGS(knowledge, wanted)                                                              \
    sv_int((int64_t)(knowledge)->passages.words), sv_int((int64_t)(knowledge)->passages.overlap),  \
        sv_int((int64_t)(wanted).words), sv_int((int64_t)(wanted).overlap)

enum status
knowledge_count_uncut(struct knowledge *knowledge, struct store_tx *tx, int64_t *left_out,
                      struct err *err)
{
    struct chunk_settings wanted;
    struct store_rows *rows;
    enum status st = cut_settings_find(knowledge, tx, &wanted, err);

    if (st == ST_OK)
        st = store_query_one(tx, &SQL_UNCUT_COUNT, ARGS(UNCUT_ARGS(knowledge, wanted)), &rows, err);
    if (st != ST_OK)
        return st;
    *left_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

/* --- the job --- */

enum status
cut_queue(struct knowledge *knowledge, struct store_tx *tx, struct err *err)
{
    /* The lane: one that is queued while one runs comes after it, and finds what that left. */
    struct job_spec job = {.topic = QUEUE_TOPIC_INGEST,
                           .lane = STR("cut_anew"),
                           .dedup_key = STR("cut_anew"),
                           .payload = STR("{\"cut_anew\":true}"),
                           .coalesce_max_us = 1,
                           .max_attempts = JOB_MAX_ATTEMPTS};
    struct job_id id;

    return queue_put(knowledge->queue, tx, &job, &id, err);
}

enum status
knowledge_cut_anew(struct knowledge *knowledge, struct store_tx *tx, int64_t *left_out,
                   struct err *err)
{
    enum status st = knowledge_count_uncut(knowledge, tx, left_out, err);

    return st == ST_OK && *left_out > 0 ? cut_queue(knowledge, tx, err) : st;
}

bool
is_cut_job(struct str payload)
{
    json_auto_t *json = NULL;
    struct err ignored;

    return json_parse(payload, &json, &ignored) == ST_OK &&
           json_is_true(json_object_get(json, "cut_anew"));
}

struct turn {
    struct knowledge *knowledge;
    struct lease *lease;
    struct source_id id; /* the last one looked at; none: at the beginning */
    bool has_passages;
    struct chunk_settings wanted;
    bool is_found;
    bool is_more; /* the job goes on later */
};

static enum status
find_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    struct store_rows *rows;
    enum status st = cut_settings_find(turn->knowledge, tx, &turn->wanted, err);

    if (st == ST_OK)
        st = store_query_one(
            tx, &SQL_UNCUT_NEXT,
            ARGS(UNCUT_ARGS(turn->knowledge, turn->wanted), sv_text(ID_STR(turn->id))), &rows, err);
    turn->is_found = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    turn->id = STORE_COL_ID(rows, 0, source_id);
    turn->has_passages = store_col_int(rows, 1) > 0;
    return store_rows_close(&rows, err);
}

static enum status
note_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct turn *turn = arg;
    const struct chunk_settings *wanted = &turn->wanted;
    enum status st = queue_lease_check(tx, turn->lease, err);

    if (st != ST_OK)
        return st;
    return store_exec(
        tx, &SQL_SOURCE_CUT_EMPTY,
        ARGS(sv_id(turn->id), sv_int((int64_t)wanted->words), sv_int((int64_t)wanted->overlap)),
        NULL, err);
}

static enum status
end_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;

    return turn->is_more
               ? queue_lease_postpone(tx, turn->lease, clock_wall_us(turn->knowledge->clock), err)
               : queue_lease_done(tx, turn->lease, err);
}

static enum status
cut_next(struct turn *turn, struct err *err)
{
    struct store *store = turn->knowledge->store;
    const struct tenant_scope *scope = lease_scope(turn->lease);
    enum status st = store_read(store, scope, "cut_find", find_in_tx, turn, err);

    if (st != ST_OK || !turn->is_found)
        return st;
    return turn->has_passages
               ? ingest_cut_anew(turn->knowledge, turn->lease, turn->id, err)
               : store_run(store, scope, "cut_note", STORE_DURABLE, note_in_tx, turn, err);
}

enum status
cut_run(struct knowledge *knowledge, struct lease *lease, struct err *err)
{
    struct turn turn = {.knowledge = knowledge, .lease = lease, .is_found = true};
    int64_t until_us = clock_mono_us(clock_system()) + TURN_US, looked_at = 0;
    enum status st = ST_OK;

    while (st == ST_OK && turn.is_found && !turn.is_more) {
        st = cut_next(&turn, err);
        looked_at += turn.is_found;
        turn.is_more = turn.is_found && clock_mono_us(clock_system()) >= until_us;
    }
    if (st == ST_OK)
        st = store_run(knowledge->store, lease_scope(lease), "cut_turn", STORE_DURABLE, end_in_tx,
                       &turn, err);
    if (st == ST_OK)
        LOG(LOG_INFO, turn.is_more ? "passages.cut" : "passages.complete",
            log_int("documents", looked_at));
    return st;
}
