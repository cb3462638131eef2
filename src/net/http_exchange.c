/*
 * http_exchange.c - one request from its first header to the end of its answer
 *
 * The library calls http_exchange_on_request several times for one request: once with the headers,
 * then with pieces of the body, then once with nothing more to read, and again after each resume.
 * A connection is always suspended before its work is handed over: the worker may resume it before
 * the call that suspended it has returned, and the library copes with that order only.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "net/http_server_private.h"

#define ARENA_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define MAX_FREE_EXCHANGES 128
#define FIRST_BODY_BYTES ((size_t)16 * 1024)
/* What a refused client may still send before the connection is cut; beyond it no answer is owed.
 */
#define MAX_DISCARDED_BYTES ((size_t)16 * 1024 * 1024)

static struct http_exchange *
exchange_take(struct http_server *server)
{
    struct http_exchange *x;

    pthread_mutex_lock(&server->free_lock);
    x = server->free_exchanges;
    if (x != NULL) {
        server->free_exchanges = x->next_free;
        server->free_count--;
    }
    pthread_mutex_unlock(&server->free_lock);
    if (x == NULL) {
        x = calloc(1, sizeof(*x));
        if (x == NULL)
            abort();
        x->arena = arena_create(ARENA_MAX_BYTES);
    }
    return x;
}

static void
exchange_free(struct http_exchange *x)
{
    arena_destroy(&x->arena);
    free(x);
}

void
http_exchange_free_all(struct http_server *server)
{
    while (server->free_exchanges != NULL) {
        struct http_exchange *x = server->free_exchanges;

        server->free_exchanges = x->next_free;
        exchange_free(x);
    }
}

static void
uncount(struct http_exchange *x)
{
    struct http_server *server = x->server;

    if (!x->is_counted)
        return;
    x->is_counted = false;
    http_server_count_down(server, &server->active);
}

static void
exchange_give_back(struct http_exchange *x)
{
    struct http_server *server = x->server;
    struct arena *arena = x->arena;
    bool keep;

    if (x->on_end != NULL)
        x->on_end(x->on_end_context);
    http_upload_destroy(&x->upload);
    http_response_deinit(&x->resp);
    uncount(x);
    arena_reset(arena);
    *x = (struct http_exchange){.arena = arena};
    pthread_mutex_lock(&server->free_lock);
    keep = server->free_count < MAX_FREE_EXCHANGES;
    if (keep) {
        x->next_free = server->free_exchanges;
        server->free_exchanges = x;
        server->free_count++;
    }
    pthread_mutex_unlock(&server->free_lock);
    if (!keep)
        exchange_free(x);
}

static void
run_give_back(struct pool_task *work)
{
    exchange_give_back((struct http_exchange *)(void *)work);
}

void
http_exchange_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                           enum MHD_RequestTerminationCode code)
{
    struct http_exchange *x = *con_cls;
    struct http_server *server = cls;

    (void)connection;
    (void)code;
    *con_cls = NULL;
    if (x == NULL)
        return;
    if (x->upload == NULL) {
        exchange_give_back(x);
        return;
    }
    /* The client went away in the middle of an upload: removing files is a worker's business. */
    x->work.run = run_give_back;
    (void)task_pool_submit(server->workers, &x->work, true);
}

void
http_exchange_refuse(struct http_exchange *x, int status, const char *detail)
{
    if (x->refusal != 0)
        return;
    x->refusal = status;
    x->refusal_detail = detail;
}

static struct str
header(const struct http_exchange *x, struct str name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(x->connection, MHD_HEADER_KIND, name.ptr, name.len, &value,
                                      &len) == MHD_NO)
        return STR_EMPTY;
    return str_of(value == NULL ? "" : value, len);
}

static bool
is_lower_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

/* W3C Trace Context, section 3.2: version "-" trace-id "-" parent-id "-" flags. Versions after 00
 * may append fields; version ff and ids of zeros only are invalid. */
static bool
parse_traceparent(struct str text, char trace_id[33])
{
    struct str trace = str_sub(text, 3, 32);
    struct str parent = str_sub(text, 36, 16);
    bool is_first = str_starts_with(text, STR("00"));

    if (text.len < 55 || (is_first && text.len != 55) || (text.len > 55 && text.ptr[55] != '-'))
        return false;
    if (text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-')
        return false;
    if (!is_lower_hex(str_sub(text, 0, 2)) || !is_lower_hex(trace) || !is_lower_hex(parent) ||
        !is_lower_hex(str_sub(text, 53, 2)) || str_starts_with(text, STR("ff")))
        return false;
    if (str_eq(trace, STR("00000000000000000000000000000000")) ||
        str_eq(parent, STR("0000000000000000")))
        return false;
    memcpy(trace_id, trace.ptr, 32);
    trace_id[32] = '\0';
    return true;
}

/* The address nearest to us that is not a listed proxy: what stands left of it can be forged. */
static void
read_forwarded(struct http_exchange *x)
{
    struct str list = header(x, STR("x-forwarded-for"));
    struct str protocol = header(x, STR("x-forwarded-proto"));

    while (list.len > 0) {
        size_t start = list.len;
        struct net_address address;
        struct err err;
        char text[NET_ADDRESS_TEXT_BYTES];

        while (start > 0 && list.ptr[start - 1] != ',')
            start--;
        if (net_address_parse(str_trim(str_sub(list, start, list.len)), &address, &err) != ST_OK)
            break;
        x->req.client_address = arena_str(x->arena, net_address_text(&address, text));
        if (!net_list_contains(&x->server->trusted, &address))
            break;
        list.len = start > 0 ? start - 1 : 0;
    }
    if (protocol.ptr != NULL)
        x->req.is_tls = str_eq_nocase(str_trim(protocol), STR("https"));
}

static void
read_origin(struct http_exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct http_peer *peer = info == NULL ? NULL : info->socket_context;
    struct str traceparent = header(x, STR("traceparent"));

    x->req.is_tls = x->server->tls != NULL;
    if (peer != NULL) {
        x->req.client_address = str_from_c(peer->text);
        if (peer->is_trusted)
            read_forwarded(x);
    }
    if (!parse_traceparent(traceparent, x->trace_id))
        id_trace(x->trace_id);
    x->req.trace_id = str_of(x->trace_id, 32);
}

static bool
parse_method(struct str name, enum http_method *method_out)
{
    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        if (str_eq_c(name, http_method_name((enum http_method)m))) {
            *method_out = (enum http_method)m;
            return true;
        }
    }
    return false;
}

static bool
is_encoding_valid(struct str s)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '%')
            continue;
        if (s.len - i < 3 || memchr(digits, s.ptr[i + 1], 22) == NULL ||
            memchr(digits, s.ptr[i + 2], 22) == NULL ||
            (s.ptr[i + 1] == '0' && s.ptr[i + 2] == '0'))
            return false;
    }
    return true;
}

static enum MHD_Result
check_argument(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
               const char *value, size_t value_size)
{
    bool *is_valid = cls;

    (void)kind;
    *is_valid = is_encoding_valid(str_of(key, key_size)) &&
                (value == NULL || is_encoding_valid(str_of(value, value_size)));
    return *is_valid ? MHD_YES : MHD_NO;
}

static void
find_route(struct http_exchange *x, const char *url, struct str method)
{
    struct err err;
    enum http_method number = HTTP_GET;
    bool is_known = parse_method(method, &number);
    bool is_valid = true;
    const union MHD_ConnectionInfo *info;

    x->req.method = number;
    x->req.path = str_from_c(url);
    if (http_router_find(x->server->router, number, x->req.path, x->arena, &x->match, &err) !=
            ST_OK ||
        http_percent_decode(x->req.path, x->arena, &x->req.path, &err) != ST_OK) {
        http_exchange_refuse(x, 400, "The address has a broken percent-encoding.");
        return;
    }
    if (!is_known)
        x->match.route = NULL;
    x->req.route = x->match.route;
    (void)MHD_get_connection_values_n(x->connection, MHD_GET_ARGUMENT_KIND, check_argument,
                                      &is_valid);
    if (!is_valid)
        http_exchange_refuse(x, 400, "The query has a broken percent-encoding.");
    info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if ((info != NULL && info->header_size > HTTP_MAX_HEADER_BYTES) ||
        MHD_get_connection_values(x->connection, MHD_HEADER_KIND, NULL, NULL) > HTTP_MAX_HEADERS)
        http_exchange_refuse(x, 431, "The request has too many header fields.");
    if (x->match.route != NULL)
        return;
    if (is_known && number == HTTP_OPTIONS && x->match.cors != 0)
        http_exchange_refuse(x, 204, NULL);
    else if (x->match.allowed == 0)
        http_exchange_refuse(x, 404, "Nothing is at this address.");
    else
        http_exchange_refuse(x, 405, "This address does not know that method.");
}

/* True when a body will follow. */
static bool
check_body_size(struct http_exchange *x)
{
    struct str length = header(x, STR("content-length"));
    int64_t bytes = 0;
    const struct http_route *route = x->match.route;

    x->max_body_bytes = x->server->config.max_body_bytes;
    if (route != NULL && route->max_body_bytes != 0)
        x->max_body_bytes = route->max_body_bytes;
    if (length.ptr != NULL) {
        /* The library has refused what is not a number; what does not fit is too large. */
        if (!str_to_i64(str_trim(length), &bytes) || (uint64_t)bytes > x->max_body_bytes)
            http_exchange_refuse(x, 413, "The body is larger than this address accepts.");
        else
            x->body_capacity = (size_t)bytes;
        return bytes != 0;
    }
    return header(x, STR("transfer-encoding")).ptr != NULL;
}

static void
observe(struct http_exchange *x)
{
    const struct http_server_config *config = &x->server->config;
    int64_t now_us;

    if (config->observe == NULL)
        return;
    now_us = clock_mono_us(clock_system());
    config->observe(&x->req, x->resp.status, (double)(now_us - x->req.received_mono_us) / 1e6,
                    config->context);
}

static enum MHD_Result
answer(struct http_exchange *x, void **con_cls)
{
    enum MHD_Result result;
    bool is_stream;

    if (!x->resp.is_answered) {
        http_respond_problem(x, x->refusal == 0 ? 500 : x->refusal, x->refusal_detail);
        observe(x);
    }
    x->state = HTTP_EXCHANGE_SENDING;
    is_stream = x->resp.kind == HTTP_BODY_STREAM;
    result = http_response_queue(x);
    if (is_stream) {
        /* Streams live long: nothing of the request stays with them. */
        *con_cls = NULL;
        exchange_give_back(x);
    }
    return result;
}

static enum MHD_Result
begin(struct http_server *server, struct MHD_Connection *connection, const char *url,
      const char *method, const char *version, void **con_cls)
{
    struct http_exchange *x = exchange_take(server);
    bool has_body;

    *con_cls = x;
    x->server = server;
    x->connection = connection;
    x->state = HTTP_EXCHANGE_READING;
    x->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    x->req.arena = x->arena;
    x->req.connection = x;
    x->req.received_mono_us = clock_mono_us(clock_system());
    read_origin(x);
    find_route(x, url, str_from_c(method));
    has_body = check_body_size(x);
    if (atomic_load_explicit(&server->is_stopping, memory_order_relaxed))
        http_exchange_refuse(x, 503, "The server is stopping.");
    /* With a body on its way, answering now makes the library close the connection instead of
     * reading on; without one, the answer comes in the final call and the connection is kept. */
    if (x->refusal != 0 && has_body)
        return answer(x, con_cls);
    return MHD_YES;
}

static void
append_body(struct http_exchange *x, struct str bytes)
{
    size_t needed = x->req.body.len + bytes.len;
    size_t capacity;
    char *grown;

    if (needed > x->max_body_bytes) {
        http_exchange_refuse(x, 413, "The body is larger than this address accepts.");
        return;
    }
    if (x->req.body.ptr == NULL || needed > x->body_capacity) {
        if (x->req.body.ptr == NULL)
            capacity = x->body_capacity != 0 && x->body_capacity < FIRST_BODY_BYTES
                           ? x->body_capacity
                           : FIRST_BODY_BYTES;
        else
            capacity = x->body_capacity * 2;
        if (capacity < needed)
            capacity = needed;
        grown = arena_try_alloc(x->arena, capacity + 1);
        if (grown == NULL) {
            http_exchange_refuse(x, 413, "The body is larger than this address accepts.");
            return;
        }
        if (x->req.body.ptr != NULL)
            memcpy(grown, x->req.body.ptr, x->req.body.len);
        x->req.body.ptr = grown;
        x->body_capacity = capacity;
    }
    memcpy((char *)(uintptr_t)x->req.body.ptr + x->req.body.len, bytes.ptr, bytes.len);
    x->req.body.len = needed;
}

static void
resume(struct http_exchange *x, enum http_exchange_state state)
{
    struct http_server *server = x->server;
    struct MHD_Connection *connection = x->connection;

    x->state = state;
    /* From here on the exchange belongs to the epoll thread. */
    MHD_resume_connection(connection);
    http_server_count_down(server, &server->suspended);
}

/* By the last who held the exchange while it was answered. */
static void
release(struct http_exchange *x)
{
    if (atomic_fetch_sub_explicit(&x->held, 1, memory_order_acq_rel) != 1)
        return;
    if (!x->resp.is_answered)
        http_respond_problem(x, x->refusal, x->refusal_detail);
    observe(x);
    resume(x, HTTP_EXCHANGE_DONE);
}

void
http_defer(struct http_response *resp)
{
    struct http_exchange *x = http_exchange_of(resp);

    assert(!x->is_deferred);
    x->is_deferred = true;
    atomic_fetch_add_explicit(&x->held, 1, memory_order_relaxed);
}

void
http_finish(struct http_response *resp)
{
    release(http_exchange_of(resp));
}

void
http_request_on_end(struct http_request *req, void (*on_end)(void *context), void *context)
{
    struct http_exchange *x = req->connection;

    assert(x->on_end == NULL);
    x->on_end = on_end;
    x->on_end_context = context;
}

void
http_need_worker(struct http_response *resp)
{
    struct http_exchange *x = http_exchange_of(resp);

    assert(!x->req.may_block);
    x->needs_worker = true;
}

static void
call_handler(struct http_exchange *x, bool may_block)
{
    const struct http_route *route = x->match.route;

    x->req.may_block = may_block;
    x->needs_worker = false;
    log_context_set(x->req.trace_id, STR_EMPTY);
    route->handler(&x->req, &x->resp, x->server->config.context);
    if (!x->is_deferred && !x->needs_worker && !x->resp.is_answered) {
        LOG(LOG_ERROR, "http.no_answer", log_cstr("route", route->pattern));
        http_exchange_refuse(x, 500, "The server failed to answer.");
    }
    log_context_clear();
}

static void
run_handler(struct pool_task *work)
{
    struct http_exchange *x = (struct http_exchange *)(void *)work;

    if (x->upload != NULL)
        http_upload_step(x, true);
    if (x->refusal == 0)
        call_handler(x, true);
    http_upload_destroy(&x->upload);
    release(x);
}

static void
run_upload_step(struct pool_task *work)
{
    struct http_exchange *x = (struct http_exchange *)(void *)work;

    http_upload_step(x, false);
    uncount(x); /* a stopping server does not wait for the rest: it would be refused anyway */
    resume(x, HTTP_EXCHANGE_READING);
}

/* False when the server stops: nothing was begun. Otherwise the connection is suspended. */
static bool
leave_epoll(struct http_exchange *x, enum http_exchange_state state)
{
    struct http_server *server = x->server;

    /* First counted, then asked: http_server_stop sets the flag first and then reads the count, so
     * that one of the two sees the other. */
    atomic_fetch_add(&server->suspended, 1);
    if (atomic_load(&server->is_stopping)) {
        http_server_count_down(server, &server->suspended);
        http_exchange_refuse(x, 503, "The server is stopping.");
        return false;
    }
    if (!x->is_counted) {
        x->is_counted = true;
        atomic_fetch_add(&server->active, 1);
    }
    x->state = state;
    atomic_store_explicit(&x->held, 1, memory_order_relaxed);
    MHD_suspend_connection(x->connection);
    return true;
}

/* The connection is suspended. */
static void
hand_over(struct http_exchange *x, void (*run)(struct pool_task *))
{
    x->work.run = run;
    if (task_pool_submit(x->server->workers, &x->work, x->state == HTTP_EXCHANGE_STEP))
        return;
    http_exchange_refuse(x, 503, "The server is busy.");
    resume(x, HTTP_EXCHANGE_DONE);
}

/* False when the server stops. */
static bool
run(struct http_exchange *x)
{
    if (!leave_epoll(x, HTTP_EXCHANGE_RUNNING))
        return false;
    if ((x->match.route->flags & HTTP_ROUTE_INLINE) != 0)
        call_handler(x, false);
    else
        x->needs_worker = true;
    if (x->needs_worker)
        hand_over(x, run_handler);
    else
        release(x);
    return true;
}

static enum MHD_Result
read_body(struct http_exchange *x, const char *data, size_t *size)
{
    struct str bytes = str_of(data, *size);

    if (x->refusal == 0 && x->match.route->flags & HTTP_ROUTE_UPLOAD) {
        if (!http_upload_collect(x, bytes)) {
            /* The bytes stay with the library until the step has made room. */
            if (leave_epoll(x, HTTP_EXCHANGE_STEP)) {
                hand_over(x, run_upload_step);
                return MHD_YES;
            }
        }
    } else if (x->refusal == 0) {
        append_body(x, bytes);
    }
    if (x->refusal != 0) {
        x->discarded_bytes += bytes.len;
        if (x->discarded_bytes > MAX_DISCARDED_BYTES)
            return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
}

enum MHD_Result
http_exchange_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                         const char *method, const char *version, const char *upload_data,
                         size_t *upload_data_size, void **con_cls)
{
    struct http_exchange *x = *con_cls;

    if (x == NULL)
        return begin(cls, connection, url, method, version, con_cls);
    if (x->state == HTTP_EXCHANGE_DONE)
        return answer(x, con_cls);
    if (x->state != HTTP_EXCHANGE_READING)
        return MHD_YES;
    if (*upload_data_size > 0)
        return read_body(x, upload_data, upload_data_size);
    if (x->refusal == 0 && run(x))
        return MHD_YES;
    return answer(x, con_cls);
}
