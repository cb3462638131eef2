/*
 * vectors.c - sentence vectors of passages: with the document's job, and later for those without
 *
 * A document whose vectors cannot be made is searched by its words, and so is its organization
 * until a job has made what is missing: that of the encoder's server which was away, of documents
 * from before there was an encoder, or of another one. The job works in short turns, so that
 * documents do not wait for it, and begins where passages without a vector are.
 *
 * While it makes those of another encoder, the vectors of the one before serve, if that one can
 * still be asked: then new passages get both. The job's last transaction removes the old ones.
 */
#include "base/log.h"
#include "embed/embed.h"
#include "index/index.h"
#include "knowledge/knowledge_private.h"
#include "text/json.h"

#define BATCH 32
#define BATCH_DEADLINE_MS 120000
#define TURN_US (10 * US_PER_S)
#define TURN_ARENA_BYTES ((size_t)64 << 20)
#define JOB_MAX_ATTEMPTS 20

/* --- of a document --- */

enum status
vectors_make(struct embedder *embedder, struct str title, const struct chunk *chunks, size_t count,
             struct arena *arena, float **vectors_out, struct err *err)
{
    unsigned dimension = embedder == NULL ? 0 : embed_dimension(embedder);
    struct arena *scratch;
    float *vectors;
    enum status st = ST_OK;

    *vectors_out = NULL;
    if (dimension == 0 || count == 0)
        return ST_OK;
    vectors = ARENA_NEW_N(arena, float, count *dimension);
    scratch = arena_create(TURN_ARENA_BYTES);
    for (size_t at = 0; st == ST_OK && at < count; at += BATCH) {
        size_t n = count - at < BATCH ? count - at : BATCH;
        struct str texts[BATCH];

        arena_reset(scratch);
        for (size_t i = 0; i < n; i++)
            texts[i] =
                index_vector_text(title, chunks[at + i].heading_path, chunks[at + i].text, scratch);
        st = embed_texts(embedder, texts, n, BATCH_DEADLINE_MS, vectors + at * dimension, err);
    }
    arena_destroy(&scratch);
    if (st == ST_OK)
        *vectors_out = vectors;
    return st;
}

/* --- the job --- */

enum status
vectors_queue(struct knowledge *knowledge, struct store_tx *tx, struct err *err)
{
    struct job_spec job = {.topic = QUEUE_TOPIC_INGEST,
                           .dedup_key = STR("vectors"),
                           .payload = STR("{\"missing_vectors\":true}"),
                           .coalesce_max_us = 1,
                           .max_attempts = JOB_MAX_ATTEMPTS};
    struct job_id id;

    return queue_put(knowledge->queue, tx, &job, &id, err);
}

bool
is_vectors_job(struct str payload)
{
    json_auto_t *json = NULL;
    struct err ignored;

    return json_parse(payload, &json, &ignored) == ST_OK &&
           json_is_true(json_object_get(json, "missing_vectors"));
}

struct turn {
    struct knowledge *knowledge;
    struct lease *lease;
    struct arena *arena;
    int64_t after;
    struct index_missing *missing;
    size_t count;
    bool is_more; /* the job goes on later */
};

static enum status
find_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;

    return index_vectors_missing(tx, embed_version(turn->knowledge->embedder), turn->after, BATCH,
                                 turn->arena, &turn->missing, &turn->count, err);
}

static enum status
put_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    const struct embedder *embedder = turn->knowledge->embedder;
    enum status st = queue_lease_check(tx, turn->lease, err);

    return st == ST_OK ? index_vectors_put(tx, embed_version(embedder), embed_dimension(embedder),
                                           turn->missing, turn->count, err)
                       : st;
}

static enum status
end_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;
    enum status st = ST_OK;

    if (turn->is_more)
        return queue_lease_postpone(tx, turn->lease, clock_wall_us(turn->knowledge->clock), err);
    if (turn->knowledge->embedder != NULL)
        st = index_vectors_keep_only(tx, embed_version(turn->knowledge->embedder), err);
    if (st == ST_OK)
        st = passages_changed(turn->knowledge, tx, err);
    return st == ST_OK ? queue_lease_done(tx, turn->lease, err) : st;
}

/* The next passages without a vector; none left: count is 0. */
static enum status
make_some(struct turn *turn, struct err *err)
{
    struct knowledge *knowledge = turn->knowledge;
    unsigned dimension = embed_dimension(knowledge->embedder);
    const struct tenant_scope *scope = lease_scope(turn->lease);
    struct str texts[BATCH];
    float *vectors;
    enum status st;

    arena_reset(turn->arena);
    st = store_read(knowledge->store, scope, "vectors_missing", find_in_tx, turn, err);
    if (st != ST_OK || turn->count == 0)
        return st;
    vectors = ARENA_NEW_N(turn->arena, float, turn->count *dimension);
    for (size_t i = 0; i < turn->count; i++) {
        struct index_missing *one = &turn->missing[i];

        texts[i] = index_vector_text(one->title, one->heading_path, one->text, turn->arena);
        one->values = vectors + i * dimension;
    }
    st = embed_texts(knowledge->embedder, texts, turn->count, BATCH_DEADLINE_MS, vectors, err);
    if (st == ST_OK)
        st = store_run(knowledge->store, scope, "vectors_put", STORE_DURABLE, put_in_tx, turn, err);
    turn->after = turn->missing[turn->count - 1].chunk_id;
    return st;
}

enum status
vectors_run(struct knowledge *knowledge, struct lease *lease, struct err *err)
{
    struct turn turn = {.knowledge = knowledge, .lease = lease, .count = 1};
    int64_t until_us = clock_mono_us(clock_system()) + TURN_US, made = 0;
    enum status st = ST_OK;

    turn.arena = arena_create(TURN_ARENA_BYTES);
    while (st == ST_OK && knowledge->embedder != NULL && turn.count > 0 && !turn.is_more) {
        st = make_some(&turn, err);
        made += (int64_t)turn.count;
        turn.is_more = turn.count > 0 && clock_mono_us(clock_system()) >= until_us;
    }
    if (st == ST_OK)
        st = store_run(knowledge->store, lease_scope(lease), "vectors_turn", STORE_DURABLE,
                       end_in_tx, &turn, err);
    arena_destroy(&turn.arena);
    if (st != ST_OK)
        return st;
    LOG(LOG_INFO, turn.is_more ? "vectors.made" : "vectors.complete", log_int("passages", made));
    return ST_OK;
}

/* --- looking --- */

static enum status
look_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct turn *turn = arg;

    return index_vectors_missing(tx, embed_version(turn->knowledge->embedder), 0, 1, turn->arena,
                                 &turn->missing, &turn->count, err);
}

static enum status
queue_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct turn *turn = arg;
    enum status st = turn->count == 0 ? ST_OK : vectors_queue(turn->knowledge, tx, err);

    return st == ST_OK ? passages_changed(turn->knowledge, tx, err) : st;
}

enum status
knowledge_make_missing_vectors(struct knowledge *knowledge, const struct tenant_scope *scope,
                               struct err *err)
{
    struct turn turn = {.knowledge = knowledge};
    enum status st = ST_OK;

    turn.arena = arena_create(TURN_ARENA_BYTES);
    if (knowledge->embedder != NULL)
        st = store_read(knowledge->store, scope, "vectors_look", look_in_tx, &turn, err);
    arena_destroy(&turn.arena);
    if (st != ST_OK || (turn.count == 0 && knowledge->engine == NULL))
        return st;
    return store_run(knowledge->store, scope, "vectors_queue", STORE_DURABLE, queue_in_tx, &turn,
                     err);
}
