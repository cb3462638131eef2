/*
 * ingest.c - the job: extract, normalise, cut into passages, and one commit that makes them
 * searched
 *
 * Everything slow happens before that commit and leaves nothing behind, so a job that was cut short
 * simply runs again. A document that cannot be read ends its ingestion, not its job's patience.
 */
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "events/events.h"
#include "index/index.h"
#include "knowledge/chunker.h"
#include "knowledge/content_type.h"
#include "knowledge/ingest_private.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"
#include "text/json.h"
#include "text/text.h"

#define NOTE_MAX_BYTES 300 /* of text too short to tell its language */

#define DEAD_SENTENCE                                                                              \
    "The document could not be read because of a fault on our side. It can be processed again."

static struct metric ingestions_total = {
    .name = "parley_ingestions_total",
    .help = "Documents that were read, by outcome.",
    .kind = METRIC_COUNTER,
    .labels = {"outcome"},
};
static struct metric ingestion_seconds = {
    .name = "parley_ingestion_seconds",
    .help = "Time from taking a document's job to its passages being searched.",
    .kind = METRIC_HISTOGRAM,
};

static struct metric step_seconds = {
    .name = "parley_ingestion_step_seconds",
    .help = "Time of one step of reading a document; one that failed there counts, too",
    .kind = METRIC_HISTOGRAM,
    .labels = {"step"},
};

/* --- telling --- */

static bool
is_cut_anew(const struct ingest *ingest)
{
    return id_is_none(&ingest->payload.ingestion_id.id);
}

struct str
ingestion_topic(struct ingestion_id id, struct arena *arena)
{
    return arena_printf(arena, "ingestion:%s", id.id.text);
}

static void
publish(struct knowledge *knowledge, const struct tenant_scope *scope,
        const struct ingest_payload *payload, const char *type, json_t *json, struct arena *arena)
{
    json_set_str(json, "ingestion_id", ID_STR(payload->ingestion_id));
    json_set_str(json, "source_id", ID_STR(payload->source_id));
    json_set_int(json, "version", payload->version);
    if (knowledge->live != NULL)
        live_publish(knowledge->live, scope, ingestion_topic(payload->ingestion_id, arena),
                     str_from_c(type), json_text(json, arena));
}

static void
publish_failed(struct knowledge *knowledge, const struct tenant_scope *scope,
               const struct ingest_payload *payload, struct str sentence, struct arena *arena)
{
    json_auto_t *json = json_object();

    json_set_str(json, "status", STR("failed"));
    json_set_str(json, "error", sentence);
    publish(knowledge, scope, payload, "failed", json, arena);
    METRIC_INC(&ingestions_total, STR("failed"));
    knowledge_tell_finished(knowledge);
}

struct stage_work {
    struct ingest *ingest;
    const char *stage;
    double progress;
};

static enum status
stage_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct stage_work *work = arg;
    struct ingest *ingest = work->ingest;

    return store_exec(tx, &SQL_INGESTION_RUNNING,
                      ARGS(sv_id(ingest->payload.ingestion_id), sv_text(str_from_c(work->stage)),
                           sv_real(work->progress),
                           sv_int(clock_wall_us(ingest->knowledge->clock))),
                      NULL, err);
}

static void
leave_stage(struct ingest *ingest)
{
    int64_t now_us = clock_mono_us(ingest->knowledge->clock);

    if (ingest->stage != NULL)
        metric_observe(&step_seconds, (double)(now_us - ingest->stage_us) / (double)US_PER_S,
                       str_from_c(ingest->stage), STR_EMPTY, STR_EMPTY);
    ingest->stage = NULL;
    ingest->stage_us = now_us;
}

static enum status
enter_stage(struct ingest *ingest, const char *stage, double progress, struct err *err)
{
    const struct tenant_scope *scope = lease_scope(ingest->lease);
    struct stage_work work = {ingest, stage, progress};
    json_auto_t *json = json_object();
    enum status st;

    leave_stage(ingest);
    ingest->stage = stage;
    if (is_cut_anew(ingest)) /* nobody waits for it */
        return ST_OK;
    st = store_run(ingest->knowledge->store, scope, "ingestion_stage", STORE_RELAXED, stage_in_tx,
                   &work, err);

    json_set_str(json, "status", STR("running"));
    json_set_str(json, "stage", str_from_c(stage));
    json_set_double(json, "progress", progress);
    if (st == ST_OK)
        publish(ingest->knowledge, scope, &ingest->payload, "progress", json, ingest->arena);
    return st;
}

/* --- reading what is to be done --- */

/* What the brand speaks when nothing tells the language. */
static enum status
load_usual_language(struct store_tx *tx, struct ingest *ingest, struct err *err)
{
    json_auto_t *persona = NULL;
    struct str language = STR_EMPTY;
    struct brand brand;
    struct err ignored;
    enum status st = brand_get(tx, ingest->brand_id, store_tx_arena(tx), &brand, err);

    if (st == ST_OK && json_parse(brand.persona, &persona, &ignored) == ST_OK)
        language = json_get_str(persona, "language");
    ingest->usual_language =
        language.len >= 2 ? arena_str(ingest->arena, str_sub(language, 0, 2)) : STR("en");
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
load_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    const struct ingest_payload *payload = &ingest->payload;
    struct store_rows *rows;
    int64_t version = payload->version;
    enum status st =
        store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(payload->source_id)), &rows, err);

    if (st != ST_OK)
        return st;
    ingest->brand_id = STORE_COL_ID(rows, 0, brand_id);
    ingest->declared_language = arena_str(ingest->arena, store_col_text(rows, 2));
    if (is_cut_anew(ingest))
        version = ingest->payload.version = store_col_int(rows, 3);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && version == 0)
        return err_set(err, ST_NOT_FOUND, "Nothing of the document is searched.");
    ingest->original = (struct original){
        .source_id = payload->source_id, .version = version, .arena = ingest->arena};
    if (st == ST_OK)
        st = original_find(tx, &ingest->original, err);
    if (st == ST_OK)
        st = cut_settings_find(ingest->knowledge, tx, &ingest->settings, err);
    return st == ST_OK ? load_usual_language(tx, ingest, err) : st;
}

/* --- the work --- */

/* "pt-BR" declares "pt". */
static struct str
main_language(struct str tag, struct arena *arena)
{
    struct str code = arena_str(arena, tag);
    char *letters = (char *)(uintptr_t)code.ptr;

    for (size_t i = 0; i < code.len; i++) {
        if (letters[i] == '-') {
            code.len = i;
            break;
        }
        letters[i] = (char)(letters[i] | 0x20);
    }
    return code.len == 2 || code.len == 3 ? code : STR("");
}

/* A note of a line or two is in the language of the house, as far as anybody can tell; a long text
 * whose language we do not know is in one that we do not know. */
static struct str
language_of_note(const struct ingest *ingest)
{
    struct str text = ingest->document.text;

    if (text.len > NOTE_MAX_BYTES || text_language(text).len > 0)
        return STR("");
    return ingest->usual_language;
}

static enum status
count_old_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;

    return index_vectors_count(tx, embed_version(ingest->knowledge->previous), &ingest->old_count,
                               err);
}

/* One that is not to be had any more ends what its vectors are good for: words serve instead. */
static enum status
make_old_vectors(struct ingest *ingest, struct err *err)
{
    struct knowledge *knowledge = ingest->knowledge;
    struct err failure;
    enum status st = ST_OK;

    if (knowledge->previous != NULL)
        st = store_read(knowledge->store, lease_scope(ingest->lease), "old_vectors",
                        count_old_in_tx, ingest, err);
    if (st == ST_OK && ingest->old_count > 0 &&
        vectors_make(knowledge->previous, ingest->document.title, ingest->chunks,
                     ingest->chunk_count, ingest->arena, &ingest->old_vectors, &failure) != ST_OK)
        LOG_ERR(LOG_WARN, "ingestion.old_vectors_end", &failure);
    return st;
}

/* An encoder that fails now must not keep the document from being found by its words. */
static enum status
make_vectors(struct ingest *ingest, struct err *err)
{
    enum status st = enter_stage(ingest, "embed", 0.6, err);
    struct err failure;

    if (st != ST_OK)
        return st;
    ingest->vectors_missing =
        vectors_make(ingest->knowledge->embedder, ingest->document.title, ingest->chunks,
                     ingest->chunk_count, ingest->arena, &ingest->vectors, &failure) != ST_OK;
    if (ingest->vectors_missing)
        LOG_ERR(LOG_WARN, "ingestion.vectors_later", &failure);
    return make_old_vectors(ingest, err);
}

static enum status
cut(struct ingest *ingest, struct err *err)
{
    struct str language = ingest->declared_language;
    enum status st = plain_document_make(&ingest->extracted, ingest->arena, &ingest->document, err);

    if (st != ST_OK || ingest->extracted.block_count == 0) /* an archive has no words of its own */
        return st;
    if (language.len == 0)
        language = main_language(ingest->extracted.language, ingest->arena);
    if (language.len == 0)
        language = language_of_note(ingest);
    return chunk_document(&ingest->document, language, &ingest->settings, ingest->arena,
                          &ingest->chunks, &ingest->chunk_count, err);
}

/* Before the commit that ends the ingestion: a job that was cut short hands them over again. */
static enum status
unpack(struct ingest *ingest, struct err *err)
{
    enum status st = enter_stage(ingest, "unpack", 0.5, err);

    return st == ST_OK ? members_ingest(ingest->knowledge, lease_scope(ingest->lease),
                                        &ingest->payload, &ingest->extracted, err)
                       : st;
}

static enum status
make_passages(struct ingest *ingest, struct err *err)
{
    enum status st = enter_stage(ingest, "extract", 0.1, err);

    if (st == ST_OK)
        st = extractor_run(ingest->knowledge->extractor, original_type(&ingest->original),
                           ingest->original.content, ingest->arena, &ingest->extracted, err);
    FAILPOINT("ingest.extracted");
    if (st == ST_OK)
        st = enter_stage(ingest, "chunk", 0.5, err);
    if (st == ST_OK)
        st = cut(ingest, err);
    if (st == ST_OK && content_type_is_container(ingest->original.content_type) &&
        !is_cut_anew(ingest)) /* its members are documents of their own */
        st = unpack(ingest, err);
    if (st == ST_OK && ingest->knowledge->embedder != NULL && ingest->chunk_count > 0)
        st = make_vectors(ingest, err);
    if (st == ST_OK)
        st = enter_stage(ingest, "index", 0.9, err);
    return st;
}

/* --- the commit --- */

/* To the organization's own systems. sentence: of what failed. */
static enum status
tell_systems(struct store_tx *tx, enum event_kind kind, const struct ingest_payload *payload,
             size_t chunk_count, struct str sentence, struct err *err)
{
    json_auto_t *data = json_object();
    const struct event_telling telling = {
        .kind = kind, .affinity = ID_STR(payload->source_id), .data = data};

    json_set_str(data, "source_id", ID_STR(payload->source_id));
    json_set_str(data, "ingestion_id", ID_STR(payload->ingestion_id));
    json_set_int(data, "version", payload->version);
    if (kind == EVENT_DOCUMENT_READY)
        json_set_int(data, "chunk_count", (int64_t)chunk_count);
    else
        json_set_str(data, "error", sentence);
    return events_tell(tx, &telling, NULL, err);
}

static bool
has_settings(const struct ingest *ingest, const struct chunk_settings *settings)
{
    return ingest->settings.words == settings->words &&
           ingest->settings.overlap == settings->overlap;
}

/* Whoever changed the settings after they were read here has had only what was searched then cut
 * anew. */
static enum status
look_at_settings(struct ingest *ingest, struct store_tx *tx, struct err *err)
{
    struct chunk_settings now;
    enum status st = cut_settings_find(ingest->knowledge, tx, &now, err);

    return st == ST_OK && !has_settings(ingest, &now) ? cut_queue(ingest->knowledge, tx, err) : st;
}

static enum status
set_searched(struct ingest *ingest, struct store_tx *tx, struct str audience, struct err *err)
{
    const struct ingest_payload *payload = &ingest->payload;
    int64_t now_us = clock_wall_us(ingest->knowledge->clock);
    enum status st = replace_passages(ingest, tx, audience, err);

    if (st == ST_OK)
        st = look_at_settings(ingest, tx, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_SOURCE_SEARCHED,
                        ARGS(sv_id(payload->source_id), sv_int(payload->version), sv_text(audience),
                             sv_int(now_us)),
                        NULL, err);
    if (st == ST_OK)
        st = store_exec(
            tx, &SQL_INGESTION_DONE,
            ARGS(sv_id(payload->ingestion_id), sv_int((int64_t)ingest->chunk_count), sv_int(now_us),
                 ingest->extracted.note.len > 0 ? sv_text(ingest->extracted.note) : sv_null()),
            NULL, err);
    return st == ST_OK ? tell_systems(tx, EVENT_DOCUMENT_READY, payload, ingest->chunk_count,
                                      STR_EMPTY, err)
                       : st;
}

enum status
ingestion_fail(struct knowledge *knowledge, struct store_tx *tx,
               const struct ingest_payload *payload, struct str sentence, struct err *err)
{
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_INGESTION_FAILED,
                                ARGS(sv_id(payload->ingestion_id), sv_text(sentence),
                                     sv_int(clock_wall_us(knowledge->clock))),
                                &changed, err);

    if (st != ST_OK || changed == 0)
        return st;
    return tell_systems(tx, EVENT_DOCUMENT_FAILED, payload, 0, sentence, err);
}

static enum status
finish_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    struct str audience;
    int64_t current_version;
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(ingest->payload.source_id)), &rows, err);

    ingest->gone = st == ST_NOT_FOUND;
    ingest->failure = STR_EMPTY;
    if (ingest->gone)
        return queue_lease_done(tx, ingest->lease, err);
    if (st != ST_OK)
        return st;
    audience = ingest_payload_audience(&ingest->payload,
                                       arena_str(store_tx_arena(tx), store_col_text(rows, 1)));
    current_version = store_col_int(rows, 3);
    st = store_rows_close(&rows, err);
    if (st != ST_OK)
        return st;
    /* A dead job that was replayed late: what is searched is never replaced by something older. */
    if (current_version > ingest->payload.version) {
        ingest->failure = STR("A newer version of the document is searched already.");
        st = ingestion_fail(ingest->knowledge, tx, &ingest->payload, ingest->failure, err);
    } else {
        st = set_searched(ingest, tx, audience, err);
    }
    return st == ST_OK ? queue_lease_done(tx, ingest->lease, err) : st;
}

static enum status
fail_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    enum status st = ingestion_fail(ingest->knowledge, tx, &ingest->payload, ingest->failure, err);

    return st == ST_OK ? queue_lease_done(tx, ingest->lease, err) : st;
}

static enum status
gone_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;

    return queue_lease_done(tx, ingest->lease, err);
}

/* --- the handler --- */

/* The row is read, then the object: whoever deletes removes them in the same order. */
static enum status
load(struct ingest *ingest, struct err *err)
{
    struct store *store = ingest->knowledge->store;
    const struct tenant_scope *scope = lease_scope(ingest->lease);
    enum status st = store_read(store, scope, "ingestion_load", load_in_tx, ingest, err);

    ingest->gone = st == ST_NOT_FOUND;
    if (st != ST_OK)
        return st;
    st = original_read(ingest->knowledge, scope, &ingest->original, err);
    if (st != ST_NOT_FOUND)
        return st;
    st = store_read(store, scope, "ingestion_load", load_in_tx, ingest, err);
    ingest->gone = st == ST_NOT_FOUND;
    return st == ST_OK ? err_set(err, ST_INVALID, "The original document is no longer there.") : st;
}

static void
tell_outcome(struct ingest *ingest, double seconds)
{
    const struct tenant_scope *scope = lease_scope(ingest->lease);
    json_auto_t *json = json_object();

    if (ingest->gone) {
        knowledge_tell_finished(ingest->knowledge);
        return;
    }
    if (ingest->failure.len > 0) {
        LOG(LOG_WARN, "ingestion.failed",
            log_str("ingestion_id", ID_STR(ingest->payload.ingestion_id)),
            log_str("source_id", ID_STR(ingest->payload.source_id)),
            log_str("reason", ingest->failure));
        publish_failed(ingest->knowledge, scope, &ingest->payload, ingest->failure, ingest->arena);
        return;
    }
    json_set_str(json, "status", STR("done"));
    json_set_double(json, "progress", 1);
    json_set_int(json, "chunk_count", (int64_t)ingest->chunk_count);
    if (ingest->extracted.note.len > 0)
        json_set_str(json, "note", ingest->extracted.note);
    publish(ingest->knowledge, scope, &ingest->payload, "done", json, ingest->arena);
    METRIC_INC(&ingestions_total, STR("done"));
    metric_observe(&ingestion_seconds, seconds, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    LOG(LOG_INFO, "ingestion.done", log_str("ingestion_id", ID_STR(ingest->payload.ingestion_id)),
        log_str("source_id", ID_STR(ingest->payload.source_id)),
        log_int("chunks", (int64_t)ingest->chunk_count), log_double("seconds", seconds));
    knowledge_tell_finished(ingest->knowledge);
}

static enum status
run_ingest(struct ingest *ingest, struct err *err)
{
    struct store *store = ingest->knowledge->store;
    const struct tenant_scope *scope = lease_scope(ingest->lease);
    int64_t start_us = clock_mono_us(ingest->knowledge->clock);
    enum status st = load(ingest, err);

    if (ingest->gone)
        return store_run(store, scope, "ingestion_gone", STORE_DURABLE, gone_in_tx, ingest, err);
    if (st == ST_OK)
        st = make_passages(ingest, err);
    if (st == ST_OK) {
        st = store_run(store, scope, "ingestion_finish", STORE_DURABLE, finish_in_tx, ingest, err);
        FAILPOINT("ingest.committed");
    } else if (st == ST_INVALID || st == ST_TOO_LARGE) {
        ingest->failure = arena_str(ingest->arena, str_from_c(err->public_text));
        st = store_run(store, scope, "ingestion_fail", STORE_DURABLE, fail_in_tx, ingest, err);
    }
    leave_stage(ingest);
    if (st == ST_OK)
        tell_outcome(ingest,
                     (double)(clock_mono_us(ingest->knowledge->clock) - start_us) / US_PER_S);
    return st;
}

enum status
knowledge_handle_job(struct lease *lease, void *context, struct err *err)
{
    struct ingest ingest = {
        .knowledge = context, .lease = lease, .arena = arena_create(DOCUMENT_ARENA_MAX_BYTES)};
    struct str payload = lease_job(lease)->payload;
    struct source_id gone;
    enum status st;

    if (is_removal(payload, &gone)) {
        st = originals_remove(context, lease, gone, err);
    } else if (is_vectors_job(payload)) {
        st = vectors_run(context, lease, err);
    } else if (is_cut_job(payload)) {
        st = cut_run(context, lease, err);
    } else {
        st = ingest_payload_parse(payload, ingest.arena, &ingest.payload, err);
        if (st == ST_OK)
            st = run_ingest(&ingest, err);
    }
    arena_destroy(&ingest.arena);
    return st;
}

/* --- what is searched, cut anew --- */

/* The document as the commit finds it; replaced_out: gone, or another version is searched. */
static enum status
find_searched(struct ingest *ingest, struct store_tx *tx, struct str *audience_out,
              bool *replaced_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = queue_lease_check(tx, ingest->lease, err);

    if (st == ST_OK)
        st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(ingest->payload.source_id)), &rows,
                             err);
    *replaced_out = st == ST_NOT_FOUND;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    *audience_out = arena_str(store_tx_arena(tx), store_col_text(rows, 1));
    *replaced_out = store_col_int(rows, 3) != ingest->payload.version;
    return store_rows_close(&rows, err);
}

static enum status
cut_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    struct chunk_settings now = {0};
    struct str audience;
    bool replaced;
    enum status st = find_searched(ingest, tx, &audience, &replaced, err);

    if (st == ST_OK && !replaced)
        st = cut_settings_find(ingest->knowledge, tx, &now, err);
    if (st != ST_OK || replaced || !has_settings(ingest, &now))
        return st; /* whoever changed the settings queued the job once more */
    return replace_passages(ingest, tx, audience, err);
}

static enum status
keep_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    struct str audience;
    bool replaced;
    enum status st = find_searched(ingest, tx, &audience, &replaced, err);

    if (st != ST_OK || replaced)
        return st;
    return cut_settings_note(tx, ingest->payload.source_id, &ingest->settings, err);
}

enum status
ingest_cut_anew(struct knowledge *knowledge, struct lease *lease, struct source_id id,
                struct err *err)
{
    struct ingest ingest = {.knowledge = knowledge,
                            .lease = lease,
                            .arena = arena_create(DOCUMENT_ARENA_MAX_BYTES),
                            .payload = {.source_id = id}};
    const struct tenant_scope *scope = lease_scope(lease);
    enum status st = load(&ingest, err);

    if (st == ST_OK)
        st = make_passages(&ingest, err);
    if (ingest.gone) {
        st = ST_OK;
    } else if (st == ST_OK) {
        st = store_run(knowledge->store, scope, "cut_finish", STORE_DURABLE, cut_in_tx, &ingest,
                       err);
    } else if (st == ST_INVALID || st == ST_TOO_LARGE) {
        LOG_ERR(LOG_WARN, "passages.kept", err);
        st =
            store_run(knowledge->store, scope, "cut_keep", STORE_DURABLE, keep_in_tx, &ingest, err);
    }
    leave_stage(&ingest);
    arena_destroy(&ingest.arena);
    return st;
}

/* --- burying --- */

static void
tell_dead(const struct tenant_scope *scope, struct str payload_text, void *context)
{
    struct arena *arena = arena_create((size_t)65536);
    struct ingest_payload payload;
    struct err err;

    if (ingest_payload_parse(payload_text, arena, &payload, &err) == ST_OK)
        publish_failed(context, scope, &payload, STR(DEAD_SENTENCE), arena);
    arena_destroy(&arena);
}

enum status
knowledge_on_dead(struct store_tx *tx, const struct job *job, struct str reason, void *context,
                  struct err *err)
{
    struct knowledge *knowledge = context;
    struct ingest_payload payload;
    enum status st = ingest_payload_parse(job->payload, store_tx_arena(tx), &payload, err);

    (void)reason; /* for the operator, with the dead letter */
    if (st != ST_OK)
        return ST_OK; /* it names no ingestion that could be told */
    st = ingestion_fail(knowledge, tx, &payload, STR(DEAD_SENTENCE), err);
    if (st == ST_OK)
        store_tx_on_commit(tx, tell_dead, knowledge, job->payload);
    return st;
}
