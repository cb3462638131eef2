/*
 * api.c - one path for every operation: admission, scopes, rate limit, body, idempotency, handler
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_idempotency.h"
#include "api/api_private.h"
#include "api/api_watch.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "blob/blob.h"
#include "channel/web_session.h"

#define PAGE_LIMIT_DEFAULT 50
#define PAGE_LIMIT_MAX 100
#define CURSOR_BYTES 256
#define STREAMERS 8
#define MAX_STREAMING_QUEUED 256

static struct metric requests_seconds = {
    .name = "parley_http_request_seconds",
    .help = "Requests by route, method and status class",
    .kind = METRIC_HISTOGRAM,
    .labels = {"route", "method", "status"},
    .max_series = 256,
};

const struct api_operation *const api_operations[] = {
    api_health_operations,     api_organization_operations,
    api_brand_operations,      api_channel_operations,
    api_key_operations,        api_conversation_operations,
    api_escalation_operations, api_knowledge_operations,
    api_blob_operations,       api_dead_letter_operations,
    api_query_operations,      api_webchat_operations,
    api_webhook_operations,    api_widget_operations,
    api_instance_operations,   api_event_endpoint_operations,
    api_contact_operations,    api_evaluation_operations,
    api_site_operations,       NULL,
};

struct api {
    struct api_config config;
    struct http_route *routes;
    size_t route_count;
    struct api_reaper *reaper;
    struct thread_pool *streamers;
    atomic_bool stopping;
};

/* --- answering --- */

enum status
api_reply_status(struct api_call *call, int status, json_t *body)
{
    struct str text = body == NULL ? STR("") : json_text(body, call->arena);

    json_decref(body);
    http_respond(call->resp, status, "application/json", text);
    api_idempotency_keep(call, status, call->kept_answer.len > 0 ? call->kept_answer : text);
    call->answered = true;
    return ST_OK;
}

enum status
api_reply(struct api_call *call, json_t *body)
{
    const struct api_operation *operation = call->req->route->extra;

    return api_reply_status(call, operation->success, body);
}

#define LINK_DEFAULT_S 300

enum status
api_link_expiry(struct api_call *call, int64_t *expires_at_us_out, struct err *err)
{
    struct str text = http_request_query(call->req, "expires_in");
    int64_t lasts_s = LINK_DEFAULT_S;

    *expires_at_us_out = 0;
    if (text.len > 0 && (!str_to_i64(text, &lasts_s) || lasts_s < 1 || lasts_s > BLOB_LINK_MAX_S))
        return err_set(err, ST_INVALID, "expires_in: 1 to %d seconds", BLOB_LINK_MAX_S);
    *expires_at_us_out = clock_wall_us(call->config->clock) + lasts_s * US_PER_S;
    return ST_OK;
}

enum status
api_reply_link(struct api_call *call, struct str token, int64_t expires_at_us)
{
    struct str base = call->config->public_url;

    while (str_ends_with(base, STR("/")))
        base.len--;
    return api_reply_url(
        call, arena_printf(call->arena, "%.*s/v1/blobs/%.*s", STR_ARG(base), STR_ARG(token)),
        expires_at_us);
}

enum status
api_reply_url(struct api_call *call, struct str url, int64_t expires_at_us)
{
    json_t *body = json_object();

    json_set_str(body, "url", url);
    json_set(body, "expires_at", api_time(expires_at_us));
    return api_reply(call, body);
}

enum status
api_query_number(const struct api_call *call, const char *name, int64_t fallback, int64_t *out,
                 struct err *err)
{
    struct str text = http_request_query(call->req, name);

    *out = fallback;
    if (text.len > 0 && (!str_to_i64(text, out) || *out < 0))
        return err_set(err, ST_INVALID, "%s: a number from 0", name);
    return ST_OK;
}

json_t *
api_time(int64_t at_us)
{
    char text[32];

    return at_us == 0 ? json_null() : json_from_str(time_format_rfc3339(at_us, text));
}

/* --- pages: a cursor is the list's own text in hexadecimal, so that nobody builds on its form ---
 */

static bool
from_hex(char c, unsigned *value_out)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    *value_out = at == NULL ? 0 : (unsigned)(at - digits);
    return at != NULL;
}

static enum status
decode_cursor(struct str text, struct arena *arena, struct str *out, struct err *err)
{
    char *bytes = arena_alloc(arena, CURSOR_BYTES + 1);
    size_t i;

    if (text.len % 2 != 0 || text.len / 2 > CURSOR_BYTES)
        return err_set(err, ST_INVALID, "cursor: use next_cursor of the page before, unchanged");
    for (i = 0; i < text.len / 2; i++) {
        unsigned high, low;

        if (!from_hex(text.ptr[2 * i], &high) || !from_hex(text.ptr[2 * i + 1], &low))
            return err_set(err, ST_INVALID,
                           "cursor: use next_cursor of the page before, unchanged");
        bytes[i] = (char)(high * 16 + low);
    }
    *out = str_of(bytes, text.len / 2);
    return str_is_utf8(*out) ? ST_OK : err_set(err, ST_INVALID, "cursor: not one of ours");
}

enum status
api_page_read(struct api_call *call, struct api_page *page_out, struct err *err)
{
    struct str limit = http_request_query(call->req, "limit");
    struct str cursor = http_request_query(call->req, "cursor");
    int64_t number = PAGE_LIMIT_DEFAULT;

    if (limit.len > 0 && (!str_to_i64(limit, &number) || number < 1 || number > PAGE_LIMIT_MAX))
        return err_set(err, ST_INVALID, "limit: a number from 1 to %d", PAGE_LIMIT_MAX);
    page_out->limit = (size_t)number;
    page_out->cursor = STR("");
    return cursor.len == 0 ? ST_OK : decode_cursor(cursor, call->arena, &page_out->cursor, err);
}

enum status
api_reply_page(struct api_call *call, json_t *data, struct str next)
{
    json_t *body = json_object();
    struct buf hex;
    size_t i;

    json_set(body, "data", data);
    buf_init(&hex, 2 * CURSOR_BYTES);
    for (i = 0; i < next.len; i++)
        buf_printf(&hex, "%02x", (unsigned char)next.ptr[i]);
    json_set(body, "next_cursor", next.len == 0 ? json_null() : json_from_str(buf_str(&hex)));
    buf_deinit(&hex);
    return api_reply(call, body);
}

enum status
api_path_id(struct api_call *call, const char *name, struct id_text *id_out, struct err *err)
{
    if (id_parse(http_request_param(call->req, name), id_out, err) != ST_OK)
        return err_set(err, ST_NOT_FOUND, "nothing has this id");
    return ST_OK;
}

enum status
api_read(struct api_call *call, const char *name, store_work work, void *arg, struct err *err)
{
    return store_read(call->config->store, call->scope, name, work, arg, err);
}

enum status
api_write(struct api_call *call, const char *name, store_work work, void *arg, struct err *err)
{
    return store_run(call->config->store, call->scope, name, STORE_DURABLE, work, arg, err);
}

/* --- admission --- */

static enum status
admit_key(struct api_call *call, unsigned scopes, int *http_status, struct err *err)
{
    struct str header = http_request_header(call->req, "Authorization");
    const unsigned questions = SCOPE_QUERY | SCOPE_QUERY_STAFF;
    unsigned limit;
    enum status st;

    if (header.len == 0)
        return err_set(err, ST_DENIED, "an API key is needed: Authorization: Bearer pk_...");
    if (!str_eq_nocase(str_sub(header, 0, 7), STR("Bearer ")))
        return err_set(err, ST_DENIED, "Authorization must be: Bearer pk_...");
    st = tenant_admit_key(call->config->tenants, str_trim(str_sub(header, 7, header.len)),
                          call->arena, &call->principal, err);
    if (st != ST_OK)
        return st;
    call->scope = call->principal.scope;
    if ((call->principal.scopes & scopes) != scopes) {
        struct str missing = api_scopes_format(scopes & ~call->principal.scopes, call->arena);

        *http_status = 403;
        return err_set(err, ST_DENIED, "this key lacks the scope %.*s", STR_ARG(missing));
    }
    limit = (call->principal.scopes & ~questions) != 0 ? call->config->staff_per_minute
                                                       : call->config->external_per_minute;
    if (limit == 0)
        return ST_OK;
    return tenant_limit_take(call->config->tenants, call->scope,
                             arena_printf(call->arena, "api:%s", call->principal.key_id.id.text),
                             limit, limit, err);
}

static enum status
admit_visitor(struct api_call *call, struct err *err)
{
    struct webhook webhook = {.request = call->req};
    struct channel_verification verification = {.registry = call->config->channels,
                                                .webhook = &webhook};
    struct web_session session;
    unsigned limit = call->config->external_per_minute;
    enum status st = tenant_admit_webhook(
        call->config->tenants, STR("web"), http_request_param(call->req, "channel_id"),
        channel_verify, &verification, call->arena, &call->scope, &call->channel, err);

    if (st == ST_OK && str_eq_c(call->channel->status, "disabled"))
        st = err_set(err, ST_NOT_FOUND, "this chat is switched off");
    if (st == ST_OK)
        st = web_session_check(call->channel, web_session_token(call->req), call->config->clock,
                               &session, err);
    if (st != ST_OK)
        return st;
    call->visitor_id = arena_str(call->arena, ID_STR(session.visitor));
    if (limit == 0)
        return ST_OK;
    return tenant_limit_take(call->config->tenants, call->scope,
                             arena_printf(call->arena, "visitor:%.*s", STR_ARG(call->visitor_id)),
                             limit, limit, err);
}

static enum status
admit(struct api_call *call, const struct api_operation *operation, int *http_status,
      struct err *err)
{
    switch (operation->access) {
    case ACCESS_KEY:
        return admit_key(call, operation->scopes, http_status, err);
    case ACCESS_VISITOR:
        return admit_visitor(call, err);
    case ACCESS_PUBLIC:
    case ACCESS_PROVIDER:
        break;
    }
    return ST_OK;
}

/* --- dispatch --- */

static enum status
parse_body(struct api_call *call, const struct api_operation *operation, json_t **body_out,
           struct err *err)
{
    enum status st;

    *body_out = NULL;
    if (operation->request_schema == NULL || (operation->route_flags & HTTP_ROUTE_UPLOAD) != 0)
        return ST_OK;
    if (call->req->body.len == 0) {
        *body_out = json_object();
        return ST_OK;
    }
    st = json_parse(call->req->body, body_out, err);
    if (st == ST_OK && !json_is_object(*body_out))
        return err_set(err, ST_INVALID, "the body must be a JSON object");
    return st;
}

static enum status
run_operation(struct api_call *call, const struct api_operation *operation, int *http_status,
              struct err *err)
{
    json_t *body = NULL;
    bool replayed = false;
    enum status st = admit(call, operation, http_status, err);

    if (st == ST_OK)
        st = parse_body(call, operation, &body, err);
    call->body = body;
    if (st == ST_OK)
        st = api_idempotency_begin(call, &replayed, err);
    if (st == ST_OK && !replayed) {
        st = operation->handler(call, err);
        api_idempotency_end(call, st);
    }
    json_decref(body);
    return st;
}

static void
dispatch(struct http_request *req, struct http_response *resp, void *context)
{
    struct api *api = context;
    const struct api_operation *operation = req->route->extra;
    struct api_call call = {
        .api = api, .config = &api->config, .req = req, .resp = resp, .arena = req->arena};
    struct err err = {.code = ST_OK};
    int http_status = 0;
    enum status st;

    log_context_set(req->trace_id, STR_EMPTY);
    st = run_operation(&call, operation, &http_status, &err);
    if (st != ST_OK && !call.answered)
        http_respond_err_status(req, resp, http_status != 0 ? http_status : http_status_of(st),
                                &err);
    channel_record_unref(&call.channel);
    log_context_clear();
}

void
api_observe(const struct http_request *req, int status, double seconds, void *context)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *route = req->route == NULL ? "none" : req->route->pattern;
    int class = status / 100;

    (void)context;
    metric_observe(&requests_seconds, seconds, str_from_c(route),
                   str_from_c(http_method_name(req->method)),
                   str_from_c(class >= 1 && class <= 5 ? classes[class - 1] : "other"));
}

/* --- life --- */

static size_t
count_operations(void)
{
    size_t count = 0, t, i;

    for (t = 0; api_operations[t] != NULL; t++)
        for (i = 0; api_operations[t][i].path != NULL; i++)
            count++;
    return count;
}

/* Health and the description are everywhere. */
static bool
is_served(const struct api_config *config, const struct api_operation *table)
{
    if (table == api_health_operations)
        return true;
    if (table == api_webhook_operations || table == api_webchat_operations)
        return !config->without_gateway;
    return !config->without_rest;
}

static void
refuse_elsewhere(struct http_request *req, struct http_response *resp, void *context)
{
    struct err err;

    (void)context;
    (void)err_set(&err, ST_NOT_FOUND, "another process serves this: this one has not that role");
    http_respond_err_status(req, resp, 421, &err);
}

static void
make_routes(struct api *api)
{
    size_t t, i;

    for (t = 0; api_operations[t] != NULL; t++)
        for (i = 0; api_operations[t][i].path != NULL; i++) {
            const struct api_operation *operation = &api_operations[t][i];

            if (!is_served(&api->config, api_operations[t])) {
                api->routes[api->route_count++] = (struct http_route){
                    .method = operation->method,
                    .pattern = operation->path,
                    .handler = refuse_elsewhere,
                    .flags = operation->route_flags & HTTP_ROUTE_CORS,
                };
                continue;
            }

            api->routes[api->route_count++] = (struct http_route){
                .method = operation->method,
                .pattern = operation->path,
                .handler = dispatch,
                .flags = operation->route_flags,
                .max_body_bytes = (operation->route_flags & HTTP_ROUTE_UPLOAD) != 0
                                      ? api->config.max_upload_bytes
                                      : operation->max_body_bytes,
                .extra = operation,
            };
        }
}

enum status
api_open(const struct api_config *config, struct api **api_out, struct err *err)
{
    const struct thread_pool_config pool = {
        .name = "stream", .threads = STREAMERS, .max_queued = MAX_STREAMING_QUEUED};
    const size_t operations = count_operations();
    struct api *api = calloc(1, sizeof(*api));
    enum status st = ST_OK;

    *api_out = NULL;
    assert(operations > 0);
    if (api != NULL)
        api->routes = calloc(operations, sizeof(*api->routes));
    if (api == NULL || api->routes == NULL) {
        free(api);
        return err_set(err, ST_UNAVAILABLE, "no memory for the API");
    }
    api->config = *config;
    atomic_init(&api->stopping, false);
    make_routes(api);
    st = api_reaper_create(&api->reaper, err);
    if (st == ST_OK)
        st = thread_pool_create(&pool, &api->streamers, err);
    if (st != ST_OK) {
        api_close(&api);
        return err_wrap(err, "open API");
    }
    *api_out = api;
    return ST_OK;
}

void
api_close(struct api **api_ref)
{
    if (*api_ref == NULL)
        return;
    thread_pool_destroy(&(*api_ref)->streamers);
    api_reaper_destroy(&(*api_ref)->reaper);
    free((*api_ref)->routes);
    free(*api_ref);
    *api_ref = NULL;
}

const struct http_route *
api_routes(const struct api *api, size_t *count_out)
{
    *count_out = api->route_count;
    return api->routes;
}

void
api_set_stopping(struct api *api)
{
    atomic_store(&api->stopping, true);
}

struct api_reaper *
api_reaper_of(const struct api *api)
{
    return api->reaper;
}

struct thread_pool *
api_streamers_of(const struct api *api)
{
    return api->streamers;
}

bool
api_is_stopping(const struct api *api)
{
    return atomic_load(&api->stopping);
}
