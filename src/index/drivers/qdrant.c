/*
 * qdrant.c - a Qdrant server as the index's engine: its collection, calls, and when it is left
 * alone
 *
 *   GET / and GET /collections/{name} --> made, with its payload indexes, or as it should be
 *   PUT points?wait=true, POST points/delete?wait=true, POST points/count    from jobs
 *   POST points/query/batch                                                  for questions
 *
 * All is idempotent: whatever ended without an answer is done again by its job. Questions go
 * through a breaker, so that a server that hangs costs a few of them their wait, not all.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/breaker.h"
#include "base/log.h"
#include "base/metrics.h"
#include "index/drivers/qdrant_wire.h"
#include "net/http_url.h"

#define WRITE_MS 60000
#define CHECK_MS 10000
#define ANSWER_MAX_BYTES ((size_t)4 << 20)
#define ARENA_BYTES ((size_t)256 << 20)
#define NAME_MAX_BYTES 100
/* The query API and the modifier idf; IDF over a corpus that the question names. */
#define VERSION_LEAST 1010
#define VERSION_CORPUS 1019
/* One more when points of the same passages become others. */
#define POINTS_FORMAT "1"

static struct metric calls = {
    .name = "parley_index_engine_calls_total",
    .help = "Calls to the engine beside the database",
    .kind = METRIC_COUNTER,
    .labels = {"operation", "outcome"},
};
static struct metric call_seconds = {
    .name = "parley_index_engine_seconds",
    .help = "How long calls to the engine beside the database take",
    .kind = METRIC_HISTOGRAM,
    .labels = {"operation"},
};

struct index_engine {
    struct index_engine_config config; /* texts in the arena */
    struct arena *arena;
    struct str base;       /* url without a slash at its end */
    struct str collection; /* whole name */
    atomic_uint version;   /* of the server, as qdrant_read_version gives it; 0: not known yet */

    pthread_mutex_t lock; /* guards breaker */
    struct breaker breaker;
};

struct store *
engine_store(const struct index_engine *engine)
{
    return engine->config.store;
}

struct clock *
engine_clock(const struct index_engine *engine)
{
    return engine->config.clock;
}

struct str
engine_encoder(const struct index_engine *engine)
{
    return engine->config.encoder;
}

unsigned
engine_dimension(const struct index_engine *engine)
{
    return engine->config.dimension;
}

struct str
index_engine_collection(const struct index_engine *engine)
{
    return engine->collection;
}

/* FNV-1a, 32 bits. */
uint32_t
engine_word(struct str term)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < term.len; i++)
        hash = (hash ^ (unsigned char)term.ptr[i]) * UINT32_C(16777619);
    return hash;
}

/* --- opening --- */

static bool
is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' &&
            c != '_')
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

static bool
is_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return true;
}

/* The settings' name and what the vectors are of: another encoder is another collection. */
static struct str
collection_name(const struct index_engine *engine)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[17];
    struct str what = arena_printf(engine->arena, POINTS_FORMAT "/%u/%.*s",
                                   engine->config.dimension, STR_ARG(engine->config.encoder));

    crypto_hash_sha256(hash, (const unsigned char *)what.ptr, what.len);
    sodium_bin2hex(hex, sizeof(hex), hash, 8);
    return arena_printf(engine->arena, "%.*s-%s", STR_ARG(engine->config.collection), hex);
}

enum status
index_engine_open(const struct index_engine_config *config, struct index_engine **engine_out,
                  struct err *err)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    struct index_engine *engine = ARENA_NEW(arena, struct index_engine);
    struct http_url url;
    enum status st = http_url_read(config->url, arena, &url, err);

    *engine_out = NULL;
    if (st == ST_OK && !is_printable(config->api_key))
        st = err_set(err, ST_INVALID, "qdrant.api_key is malformed");
    if (st == ST_OK && !is_name(config->collection))
        st = err_set(err, ST_INVALID, "qdrant.collection is letters, digits, - and _");
    if (st != ST_OK) {
        arena_destroy(&arena);
        return err_wrap(err, "qdrant");
    }
    engine->arena = arena;
    engine->config = *config;
    engine->config.api_key = arena_str(arena, config->api_key);
    engine->config.collection = arena_str(arena, config->collection);
    engine->config.encoder = arena_str(arena, config->encoder);
    engine->base = arena_str(arena, config->url);
    while (str_ends_with(engine->base, STR("/")))
        engine->base.len--;
    engine->collection = collection_name(engine);
    atomic_init(&engine->version, 0);
    pthread_mutex_init(&engine->lock, NULL);
    metric_register(&calls);
    metric_register(&call_seconds);
    *engine_out = engine;
    return ST_OK;
}

void
index_engine_close(struct index_engine **engine_ref)
{
    struct arena *arena;

    if (*engine_ref == NULL)
        return;
    arena = (*engine_ref)->arena; /* it lies in it */
    pthread_mutex_destroy(&(*engine_ref)->lock);
    arena_destroy(&arena);
    *engine_ref = NULL;
}

/* --- one call --- */

struct call {
    const char *operation; /* in metrics */
    const char *method;
    struct str path;
    const json_t *body; /* NULL: none */
    unsigned deadline_ms;
    int status; /* of the answer; 0: none came */
};

/* Short, and numbers of vectors as exact as floats are. */
static struct str
body_text(const json_t *body, struct arena *arena)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(9));
    struct str copy;

    if (text == NULL)
        abort();
    copy = arena_str(arena, str_from_c(text));
    free(text);
    return copy;
}

static enum status
refusal(const struct http_reply *reply, struct arena *arena, struct err *err)
{
    struct str said = qdrant_read_error(reply->body, arena);
    enum status st = ST_INTERNAL;

    if (reply->status == 401 || reply->status == 403)
        return err_set_detail(err, ST_DENIED, "Qdrant refuses the API key (qdrant.api_key)");
    if (reply->status == 404)
        st = ST_NOT_FOUND;
    else if (reply->status == 409)
        st = ST_CONFLICT;
    else if (reply->status == 408 || reply->status == 429 || reply->status >= 500)
        st = ST_UNAVAILABLE;
    (void)err_set_detail(err, st, "Qdrant answers %d%s%.*s", reply->status,
                         said.len > 0 ? ": " : "", STR_ARG(said));
    if (st == ST_UNAVAILABLE && reply->retry_after_ms > 0)
        err->retry_after_ms = reply->retry_after_ms;
    return st;
}

static enum status
call_engine(struct index_engine *engine, struct call *call, struct arena *arena,
            struct str *body_out, struct err *err)
{
    const struct http_header headers[] = {
        {"content-type", STR("application/json")},
        {"api-key", engine->config.api_key},
    };
    const struct http_call http = {
        .method = call->method,
        .url = arena_printf(arena, "%.*s%.*s", STR_ARG(engine->base), STR_ARG(call->path)),
        .headers = headers,
        .header_count = engine->config.api_key.len > 0 ? 2 : 1,
        .body = call->body == NULL ? STR_EMPTY : body_text(call->body, arena),
        .deadline_ms = call->deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
        .allow_private_addresses = engine->config.allow_private,
        .cancel = engine->config.stopping,
    };
    int64_t start_us = clock_mono_us(clock_system());
    struct http_reply reply = {0};
    enum status st = http_client_call(engine->config.http, &http, arena, &reply, err);

    call->status = st == ST_OK ? reply.status : 0;
    if (st == ST_OK && (reply.status < 200 || reply.status > 299))
        st = refusal(&reply, arena, err);
    else if (st == ST_UNCERTAIN) /* whatever was done is done again without harm */
        st = err_set_detail(err, ST_UNAVAILABLE, "Qdrant gave no answer within %u ms",
                            call->deadline_ms);
    *body_out = reply.body;
    METRIC_INC(&calls, str_from_c(call->operation), st == ST_OK ? STR("ok") : STR("failed"));
    metric_observe(&call_seconds, (double)(clock_mono_us(clock_system()) - start_us) / US_PER_S,
                   str_from_c(call->operation), STR_EMPTY, STR_EMPTY);
    return st;
}

/* /collections/{name} and what comes after it. */
static struct str
path_of(const struct index_engine *engine, const char *after, struct arena *arena)
{
    return arena_printf(arena, "/collections/%.*s%s", STR_ARG(engine->collection), after);
}

/* --- the collection --- */

static enum status
check_version(struct index_engine *engine, unsigned deadline_ms, struct arena *arena,
              struct err *err)
{
    struct call call = {
        .operation = "check", .method = "GET", .path = STR("/"), .deadline_ms = deadline_ms};
    struct str body;
    unsigned version = 0;
    enum status st = call_engine(engine, &call, arena, &body, err);

    if (st == ST_OK)
        st = qdrant_read_version(body, &version, err);
    if (st == ST_OK && version < VERSION_LEAST)
        st =
            err_set(err, ST_CONFLICT,
                    "the Qdrant server is version %u.%u: 1.10 or later is needed, 1.19 or later is "
                    "better",
                    version / 1000, version % 1000);
    if (st == ST_OK)
        atomic_store(&engine->version, version);
    return st;
}

static enum status
make_collection(struct index_engine *engine, const struct qdrant_shape *shape, struct arena *arena,
                struct err *err)
{
    json_auto_t *body = qdrant_collection_json(shape);
    struct call call = {.operation = "check",
                        .method = "PUT",
                        .path = path_of(engine, "", arena),
                        .body = body,
                        .deadline_ms = WRITE_MS};
    struct str answer;
    enum status st = call_engine(engine, &call, arena, &answer, err);

    if (st == ST_CONFLICT) /* another process was first */
        return ST_OK;
    if (st == ST_OK)
        LOG(LOG_INFO, "index.collection_made", log_str("collection", shape->name));
    return st;
}

static enum status
make_fields(struct index_engine *engine, const bool *has, struct arena *arena, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; qdrant_fields[i].name != NULL && st == ST_OK; i++) {
        json_auto_t *body = has[i] ? NULL : qdrant_field_json(&qdrant_fields[i]);
        struct call call = {.operation = "check",
                            .method = "PUT",
                            .path = path_of(engine, "/index?wait=true", arena),
                            .body = body,
                            .deadline_ms = WRITE_MS};
        struct str answer;

        if (has[i])
            continue;
        st = call_engine(engine, &call, arena, &answer, err);
        if (st == ST_OK)
            st = qdrant_read_write(answer, err);
    }
    return st;
}

static enum status
check_collection(struct index_engine *engine, struct arena *arena, struct err *err)
{
    const struct qdrant_shape shape = {engine->collection, engine->config.dimension,
                                       engine->config.quantized};
    struct call call = {.operation = "check",
                        .method = "GET",
                        .path = path_of(engine, "", arena),
                        .deadline_ms = CHECK_MS};
    bool has[QDRANT_FIELDS];
    struct str body;
    enum status st = call_engine(engine, &call, arena, &body, err);

    if (st == ST_NOT_FOUND) {
        st = make_collection(engine, &shape, arena, err);
        if (st == ST_OK)
            st = call_engine(engine, &call, arena, &body, err);
    }
    if (st == ST_OK)
        st = qdrant_read_collection(body, &shape, has, err);
    return st == ST_OK ? make_fields(engine, has, arena, err) : st;
}

enum status
index_engine_check(struct index_engine *engine, struct err *err)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    enum status st = check_version(engine, CHECK_MS, arena, err);

    if (st == ST_OK)
        st = check_collection(engine, arena, err);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "index engine");
}

/* --- writing, counting --- */

/* Takes body. */
static enum status
write_points(struct index_engine *engine, const char *operation, const char *method,
             const char *after, json_t *body, struct err *err)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct call call = {.operation = operation,
                        .method = method,
                        .path = path_of(engine, after, arena),
                        .body = body,
                        .deadline_ms = WRITE_MS};
    struct str answer;
    enum status st = call_engine(engine, &call, arena, &answer, err);

    if (st == ST_OK)
        st = qdrant_read_write(answer, err);
    json_decref(body);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "index engine: %s", operation);
}

enum status
engine_put(struct index_engine *engine, const struct tenant_scope *scope,
           const struct engine_point *points, size_t count, int64_t change, struct err *err)
{
    json_t *body = NULL;
    enum status st =
        qdrant_points_json(scope, points, count, engine->config.dimension, change, &body, err);

    return st == ST_OK ? write_points(engine, "put", "PUT", "/points?wait=true", body, err) : st;
}

static enum status
remove_filtered(struct index_engine *engine, json_t *filter, struct err *err)
{
    json_t *body = json_object();

    json_set(body, "filter", filter);
    return write_points(engine, "remove", "POST", "/points/delete?wait=true", body, err);
}

enum status
engine_remove(struct index_engine *engine, const struct tenant_scope *scope,
              struct source_id source_id, int64_t but_change, struct err *err)
{
    return remove_filtered(engine, qdrant_source_filter(scope, source_id, but_change), err);
}

enum status
index_engine_forget(struct index_engine *engine, const struct tenant_scope *scope, struct err *err)
{
    return remove_filtered(engine, qdrant_filter_begin(scope), err);
}

/* Takes filter; NULL: of everybody. */
static enum status
count_points(struct index_engine *engine, json_t *filter, int64_t *points_out, struct err *err)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    json_auto_t *body = json_object();
    struct call call = {.operation = "count",
                        .method = "POST",
                        .path = path_of(engine, "/points/count", arena),
                        .body = body,
                        .deadline_ms = WRITE_MS};
    struct str answer;
    enum status st;

    if (filter != NULL)
        json_set(body, "filter", filter);
    json_set_bool(body, "exact", true);
    *points_out = 0;
    st = call_engine(engine, &call, arena, &answer, err);
    if (st == ST_OK)
        st = qdrant_read_count(answer, points_out, err);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "index engine: count");
}

enum status
engine_count(struct index_engine *engine, const struct tenant_scope *scope, int64_t *points_out,
             struct err *err)
{
    return count_points(engine, qdrant_filter_begin(scope), points_out, err);
}

enum status
index_engine_count(struct index_engine *engine, int64_t *points_out, struct err *err)
{
    return count_points(engine, NULL, points_out, err);
}

/* --- questions --- */

static enum breaker_outcome
outcome_of(enum status st, const struct call *call)
{
    if (st == ST_DENIED)
        return BREAKER_REFUSED;
    if (call->status == 429)
        return BREAKER_LIMITED;
    return st == ST_OK || (call->status >= 400 && call->status < 500 && call->status != 408)
               ? BREAKER_WORKS
               : BREAKER_FAILED;
}

static enum status
may_ask(struct index_engine *engine, struct err *err)
{
    bool may;

    pthread_mutex_lock(&engine->lock);
    may = breaker_try(&engine->breaker, clock_mono_us(clock_system()));
    pthread_mutex_unlock(&engine->lock);
    if (may)
        return ST_OK;
    METRIC_INC(&calls, STR("find"), STR("skipped"));
    return err_set_detail(err, ST_BUSY, "Qdrant failed again and again, and is left alone");
}

static void
note(struct index_engine *engine, enum breaker_outcome outcome, const struct err *err)
{
    bool opened;

    pthread_mutex_lock(&engine->lock);
    opened =
        breaker_note(&engine->breaker, outcome, outcome == BREAKER_WORKS ? 0 : err->retry_after_ms,
                     clock_mono_us(clock_system()));
    pthread_mutex_unlock(&engine->lock);
    if (opened)
        LOG_ERR(LOG_WARN, "index.engine_left_alone", err);
}

enum status
engine_find(struct index_engine *engine, const struct tenant_scope *scope,
            const struct engine_search *searches, size_t count, struct arena *arena,
            struct engine_hits *hits_out, struct err *err)
{
    struct call call = {.operation = "find",
                        .method = "POST",
                        .path = path_of(engine, "/points/query/batch", arena),
                        .deadline_ms = engine->config.question_ms};
    json_auto_t *body = NULL;
    struct str answer;
    enum status st = may_ask(engine, err);

    if (st != ST_OK)
        return st;
    *err = (struct err){0};
    if (atomic_load(&engine->version) == 0) /* it was away when this process began */
        st = check_version(engine, engine->config.question_ms, arena, err);
    body = qdrant_searches_json(scope, searches, count, engine->config.dimension,
                                atomic_load(&engine->version) >= VERSION_CORPUS);
    call.body = body;
    if (st == ST_OK)
        st = call_engine(engine, &call, arena, &answer, err);
    if (st == ST_OK)
        st = qdrant_read_hits(answer, searches, count, arena, hits_out, err);
    note(engine, outcome_of(st, &call), err);
    return st == ST_OK ? ST_OK : err_wrap(err, "index engine: find");
}
