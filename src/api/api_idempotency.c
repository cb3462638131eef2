/*
 * api_idempotency.c - reservations and kept answers in the organization's own database
 */
#include "api/api_idempotency.h"

#include <sodium.h>

#include "api/api_sql.h"
#include "base/log.h"

#define KEY_MAX_BYTES 200
#define KEEP_US (INT64_C(24) * 3600 * US_PER_S)
/* Old keys are removed at one reservation in so many. */
#define CLEAN_ONE_IN 256

struct reservation {
    struct api_call *call;
    struct str hash;
    int64_t now_us;
    /* of a repetition */
    bool known;
    struct str known_hash, body;
    int64_t status;
};

static struct str
request_hash(struct api_call *call)
{
    struct str method = str_from_c(http_method_name(call->req->method));
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(hash) + 1];
    crypto_hash_sha256_state state;
    const struct str parts[] = {method,         STR("\n"),       ID_STR(call->principal.key_id),
                                STR("\n"),      call->req->path, STR("\n"),
                                call->req->body};
    size_t i;

    crypto_hash_sha256_init(&state);
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    return arena_str(call->arena, str_from_c(hex));
}

static enum status
reserve(struct store_tx *tx, void *arg, struct err *err)
{
    struct reservation *r = arg;
    struct str key = r->call->idempotency_key;
    struct store_rows *rows = NULL;
    enum status st = ST_OK;

    r->known = false;
    if (random_below(CLEAN_ONE_IN) == 0)
        st = store_exec(tx, &SQL_IDEMPOTENCY_CLEAN, ARGS(sv_int(r->now_us - KEEP_US)), NULL, err);
    if (st == ST_OK)
        st = store_query_one(tx, &SQL_IDEMPOTENCY_FIND,
                             ARGS(sv_text(key), sv_int(r->now_us - KEEP_US)), &rows, err);
    if (st == ST_NOT_FOUND)
        return store_exec(tx, &SQL_IDEMPOTENCY_RESERVE,
                          ARGS(sv_text(key), sv_text(r->hash), sv_int(r->now_us)), NULL, err);
    if (st != ST_OK)
        return st;
    r->known = true;
    r->known_hash = arena_str(r->call->arena, store_col_text(rows, 0));
    r->status = store_col_int(rows, 1);
    r->body = arena_str(r->call->arena, store_col_text(rows, 2));
    return store_rows_close(&rows, err);
}

enum status
api_idempotency_begin(struct api_call *call, bool *replayed_out, struct err *err)
{
    struct str key = http_request_header(call->req, "Idempotency-Key");
    struct reservation r = {.call = call, .now_us = clock_wall_us(call->config->clock)};
    enum status st;

    *replayed_out = false;
    if (key.len == 0 || call->req->method == HTTP_GET || id_is_none(&call->principal.key_id.id))
        return ST_OK;
    if (key.len > KEY_MAX_BYTES || !str_is_utf8(key))
        return err_set(err, ST_INVALID, "Idempotency-Key: at most %d bytes", KEY_MAX_BYTES);
    call->idempotency_key = key;
    r.hash = request_hash(call);
    st = api_write(call, "idempotency_reserve", reserve, &r, err);
    if (st != ST_OK || !r.known)
        return st;
    call->idempotency_key = STR_EMPTY; /* the kept answer stays as it is */
    if (!str_eq(r.hash, r.known_hash))
        return err_set(err, ST_CONFLICT, "this Idempotency-Key was used with another request");
    if (r.status == 0)
        return err_set(err, ST_CONFLICT,
                       "a request with this Idempotency-Key is under way, or was cut off: look "
                       "whether it had its effect, then use a new key");
    http_respond_header(call->resp, "Idempotent-Replayed", STR("true"));
    http_respond(call->resp, (int)r.status, "application/json", r.body);
    call->answered = true;
    *replayed_out = true;
    return ST_OK;
}

struct keeping {
    struct str key, body;
    int status;
};

static enum status
keep(struct store_tx *tx, void *arg, struct err *err)
{
    const struct keeping *k = arg;

    if (k->status == 0)
        return store_exec(tx, &SQL_IDEMPOTENCY_FORGET, ARGS(sv_text(k->key)), NULL, err);
    return store_exec(tx, &SQL_IDEMPOTENCY_KEEP,
                      ARGS(sv_text(k->key), sv_int(k->status), sv_text(k->body)), NULL, err);
}

static void
settle(struct api_call *call, int status, struct str body)
{
    struct keeping k = {call->idempotency_key, body, status};
    struct err err;

    if (api_write(call, "idempotency_settle", keep, &k, &err) != ST_OK)
        LOG_ERR(LOG_ERROR, "idempotency.not_kept", &err);
    call->idempotency_key = STR_EMPTY;
}

void
api_idempotency_keep(struct api_call *call, int status, struct str body)
{
    if (call->idempotency_key.len > 0)
        settle(call, status, body.ptr == NULL ? STR("") : body);
}

void
api_idempotency_end(struct api_call *call, enum status outcome)
{
    if (call->idempotency_key.len > 0 && outcome != ST_OK)
        settle(call, 0, STR(""));
}
