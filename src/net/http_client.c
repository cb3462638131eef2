/*
 * http_client.c - calls over libcurl, one handle with its own connections for each running call
 *
 * A handle drives its transfer itself (curl_multi with one transfer) so that the deadline and the
 * stall time are exact, and keeps its connections when it goes back to the pool; a call prefers an
 * idle handle that last spoke to the same host.
 *
 * Whether anything was sent: libcurl calls before_request when a connection (fresh or reused) is
 * ready and before the first byte of the request, so a failure without that call sent nothing. When
 * a reused connection turns out to be closed, libcurl repeats the request on a fresh one, POST too;
 * RFC 9110, section 9.2.2, forbids that for methods that are not idempotent, because the peer may
 * have acted before it closed. So the second before_request of such a call ends it: uncertain.
 */
#include "net/http_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/curl_guard.h"
#include "net/http_url.h"
#include "net/net_address.h"

#define DEFAULT_MAX_IDLE 32
#define DEFAULT_CONNECT_TIMEOUT_MS 5000
#define DEFAULT_MAX_RESPONSE_BYTES ((size_t)4 * 1024 * 1024)
/* Many servers close idle connections after 30 s and more; a younger one is rarely just closing.
 * One that says "Keep-Alive: timeout=N" closes them after N s, whatever is on its way then: what is
 * sent half as late comes well before. */
#define MAX_IDLE_CONNECTION_S 25L
#define MAX_CONNECTIONS_PER_HANDLE 4L
#define MAX_HEADER_VALUE_BYTES ((size_t)512)
#define MAX_WANTED_BYTES ((size_t)2048)
#define MAX_POLL_MS 1000
#define MAX_RETRY_AFTER_MS 86400000

struct handle {
    CURL *easy;
    CURLM *multi;
    uint64_t host_hash; /* of the last call */
    long max_idle_s;    /* of its connections; 0: none is kept */
    struct handle *next;
};

struct http_client {
    struct http_client_config config;
    char *ca_file;
    pthread_mutex_t lock; /* guards the next two */
    struct handle *idle;
    unsigned idle_count;
};

enum call_end { CALL_RUNNING, CALL_DENIED, CALL_TOO_LARGE, CALL_BY_SINK, CALL_REPEATED };

/* One running call: what the callbacks see. */
struct transfer {
    const struct http_call *call;
    CURL *easy;
    long *max_idle_s; /* the handle's */
    struct curl_guard guard;
    bool is_idempotent;
    unsigned requests; /* passes of before_request */
    enum call_end end;
    size_t max_bytes;
    size_t received_bytes;
    struct buf body;
    int retry_after_ms;
    bool retry_is_exact; /* told in milliseconds */
    int should_retry;    /* -1: not told */
    char request_id[MAX_HEADER_VALUE_BYTES];
    size_t request_id_len;
    char *location;                /* owned; NULL: not told */
    char *wanted[HTTP_WANTED_MAX]; /* owned; NULL: not told */
    int64_t last_byte_us;
    struct str host; /* of the URL, for messages */
    struct str path; /* "" when the URL is secret */
};

bool
http_address_is_private(struct str ip)
{
    struct net_address address;
    struct err err;

    return net_address_parse(ip, &address, &err) != ST_OK || net_address_is_private(&address);
}

static int
before_request(void *context, char *primary_ip, char *local_ip, int primary_port, int local_port)
{
    struct transfer *t = context;

    (void)local_ip;
    (void)primary_port;
    (void)local_port;
    /* A connection may have been opened by an earlier call that was allowed more. */
    if (!t->guard.allow_private && http_address_is_private(str_from_c(primary_ip))) {
        t->guard.is_refused = true;
        t->end = CALL_DENIED;
        return CURL_PREREQFUNC_ABORT;
    }
    if (t->requests++ > 0 && !t->is_idempotent) {
        t->end = CALL_REPEATED;
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static int
parse_retry_after(struct str value)
{
    int64_t seconds;
    char copy[64];
    time_t at;

    if (!str_to_i64(value, &seconds)) {
        if (value.len >= sizeof(copy) || value.len == 0)
            return -1;
        memcpy(copy, value.ptr, value.len);
        copy[value.len] = '\0';
        at = curl_getdate(copy, NULL);
        if (at == (time_t)-1)
            return -1;
        seconds = (int64_t)at - clock_wall_us(clock_system()) / US_PER_S;
        if (seconds < 0)
            seconds = 0;
    }
    if (seconds < 0)
        return -1;
    return seconds > MAX_RETRY_AFTER_MS / 1000 ? MAX_RETRY_AFTER_MS : (int)seconds * 1000;
}

static void
forget_wanted(struct transfer *t)
{
    for (size_t i = 0; i < HTTP_WANTED_MAX; i++) {
        free(t->wanted[i]);
        t->wanted[i] = NULL;
    }
}

/* By line ends, which no value has: a list may mean other things in one field than in two. */
static void
keep_wanted(struct transfer *t, struct str name, struct str value)
{
    for (size_t i = 0; i < t->call->wanted_count; i++) {
        struct str before = str_from_c(t->wanted[i]);
        struct buf joined;

        if (!str_eq_nocase(name, str_from_c(t->call->wanted[i])) ||
            before.len + 1 + value.len > MAX_WANTED_BYTES ||
            (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL))
            continue;
        buf_init(&joined, MAX_WANTED_BYTES + 1);
        buf_append(&joined, before);
        if (before.ptr != NULL)
            buf_append_byte(&joined, '\n');
        buf_append(&joined, value);
        buf_append_byte(&joined, '\0');
        free(t->wanted[i]);
        t->wanted[i] = strdup(joined.ptr);
        buf_deinit(&joined);
    }
}

/* "timeout=5, max=100", by RFC 2068, 19.7.1.1. */
static void
note_keep_alive(struct transfer *t, struct str value)
{
    struct str parameter, name;
    int64_t timeout_s;

    while (str_split(&value, ',', &parameter))
        if (str_split(&parameter, '=', &name) && str_eq_nocase(str_trim(name), STR("timeout")) &&
            str_to_i64(str_trim(parameter), &timeout_s) && timeout_s >= 0 &&
            timeout_s / 2 < *t->max_idle_s)
            *t->max_idle_s = (long)timeout_s / 2;
}

static size_t
on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct str line = str_of(bytes, size * count);
    struct str value = line;
    struct str name;
    int64_t exact_ms;

    t->last_byte_us = clock_mono_us(clock_system());
    if (str_starts_with(line, STR("HTTP/"))) { /* a new head: forget those of 1xx answers */
        t->retry_after_ms = -1;
        t->retry_is_exact = false;
        t->should_retry = -1;
        t->request_id_len = 0;
        free(t->location);
        t->location = NULL;
        forget_wanted(t);
        return line.len;
    }
    if (str_find_byte(line, ':') < 0 || !str_split(&value, ':', &name))
        return line.len;
    value = str_trim(value);
    keep_wanted(t, name, value);
    if (str_eq_nocase(name, STR("retry-after")) && !t->retry_is_exact) {
        t->retry_after_ms = parse_retry_after(value);
    } else if (str_eq_nocase(name, STR("retry-after-ms")) && str_to_i64(value, &exact_ms) &&
               exact_ms >= 0 && exact_ms <= MAX_RETRY_AFTER_MS) {
        t->retry_after_ms = (int)exact_ms;
        t->retry_is_exact = true;
    } else if (str_eq_nocase(name, STR("x-should-retry"))) {
        t->should_retry = str_eq(value, STR("true")) ? 1 : str_eq(value, STR("false")) ? 0 : -1;
    } else if (str_eq_nocase(name, STR("x-request-id")) && value.len <= sizeof(t->request_id)) {
        memcpy(t->request_id, value.ptr, value.len);
        t->request_id_len = value.len;
    } else if (str_eq_nocase(name, STR("location")) && value.len <= HTTP_URL_MAX_BYTES) {
        free(t->location);
        t->location = str_dup(value);
    } else if (str_eq_nocase(name, STR("keep-alive"))) {
        note_keep_alive(t, value);
    }
    return line.len;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct str piece = str_of(bytes, size * count);
    long status = 0;

    t->last_byte_us = clock_mono_us(clock_system());
    if (piece.len > t->max_bytes - t->received_bytes) {
        t->end = CALL_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    t->received_bytes += piece.len;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->call->sink == NULL || status < 200 || status > 299) {
        buf_append(&t->body, piece);
        if (!t->body.failed)
            return piece.len;
        t->end = CALL_TOO_LARGE;
        return CURL_WRITEFUNC_ERROR;
    }
    if (t->call->sink(piece, t->call->sink_context))
        return piece.len;
    t->end = CALL_BY_SINK;
    return CURL_WRITEFUNC_ERROR;
}

static bool
is_header_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
            return false;
    return true;
}

static bool
is_token(struct str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              memchr(others, c, sizeof(others) - 1) != NULL))
            return false;
    }
    return s.len > 0;
}

static void
append(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);

    if (grown == NULL)
        abort();
    *list = grown;
}

static enum status
make_headers(const struct http_call *call, struct arena *arena, struct curl_slist **list,
             struct err *err)
{
    bool has_type = false;

    for (size_t i = 0; i < call->header_count; i++) {
        struct str name = str_from_c(call->headers[i].name);
        struct str value = str_trim(call->headers[i].value);

        if (!is_token(name) || !is_header_text(call->headers[i].value))
            return err_set(err, ST_INVALID, "header field %s is malformed", call->headers[i].name);
        has_type = has_type || str_eq_nocase(name, STR("content-type"));
        /* libcurl's spelling of a field without a value is "Name;". */
        append(list,
               value.len == 0
                   ? arena_printf(arena, "%s;", call->headers[i].name).ptr
                   : arena_printf(arena, "%s: %.*s", call->headers[i].name, STR_ARG(value)).ptr);
    }
    if (!has_type)
        append(list, "Content-Type:"); /* libcurl would claim a form */
    append(list, "Expect:");
    return ST_OK;
}

/* Host and path for messages, and proof that the URL is one. */
static enum status
read_url(struct transfer *t, struct arena *arena, char **url_out, struct err *err)
{
    const struct http_call *call = t->call;
    struct http_url url;
    enum status st;

    if (!is_header_text(call->url))
        return err_set(err, ST_INVALID, "the URL is malformed");
    st = http_url_read(call->url, arena, &url, err);
    if (st != ST_OK)
        return st;
    *url_out = arena_cstr(arena, call->url);
    t->host = arena_printf(arena, "%.*s%s%.*s", STR_ARG(url.host), url.port.len == 0 ? "" : ":",
                           STR_ARG(url.port));
    t->path = call->url_is_secret ? STR_EMPTY : url.path;
    return ST_OK;
}

static bool
is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}

static void
set_request(struct http_client *client, struct transfer *t, const char *url,
            struct curl_slist *headers)
{
    const struct http_call *call = t->call;
    CURL *easy = t->easy;
    unsigned connect_ms = client->config.connect_timeout_ms;

    curl_easy_reset(easy); /* keeps connections and look-ups */
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
    (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "Parley/" PARLEY_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->deadline_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)(connect_ms < call->deadline_ms ? connect_ms : call->deadline_ms));
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, *t->max_idle_s);
    curl_guard_set(&t->guard, easy);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    if (client->ca_file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    if (strcmp(call->method, "HEAD") == 0) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(call->method, "POST") == 0 || call->body.len > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.len == 0 ? "" : call->body.ptr);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static struct handle *
handle_take(struct http_client *client, uint64_t host_hash)
{
    struct handle *handle = NULL;

    pthread_mutex_lock(&client->lock);
    for (struct handle **at = &client->idle; *at != NULL; at = &(*at)->next) {
        /* The one for this host, else the last of the list: the longest idle. */
        if ((*at)->host_hash == host_hash || (*at)->next == NULL) {
            if ((*at)->host_hash != host_hash &&
                client->idle_count < client->config.max_idle_handles)
                break;
            handle = *at;
            *at = handle->next;
            client->idle_count--;
            break;
        }
    }
    pthread_mutex_unlock(&client->lock);
    if (handle != NULL)
        return handle;
    handle = calloc(1, sizeof(*handle));
    if (handle == NULL)
        abort();
    handle->easy = curl_easy_init();
    handle->multi = curl_multi_init();
    if (handle->easy == NULL || handle->multi == NULL)
        abort();
    handle->max_idle_s = MAX_IDLE_CONNECTION_S;
    (void)curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS_PER_HANDLE);
    return handle;
}

static void
handle_destroy(struct handle *handle)
{
    curl_easy_cleanup(handle->easy);
    (void)curl_multi_cleanup(handle->multi);
    free(handle);
}

static void
handle_give(struct http_client *client, struct handle *handle, uint64_t host_hash)
{
    bool keep;

    handle->host_hash = host_hash;
    pthread_mutex_lock(&client->lock);
    keep = handle->max_idle_s > 0 && client->idle_count < client->config.max_idle_handles;
    if (keep) {
        handle->next = client->idle;
        client->idle = handle;
        client->idle_count++;
    }
    pthread_mutex_unlock(&client->lock);
    if (!keep)
        handle_destroy(handle);
}

static CURLcode
drive(struct handle *handle, struct transfer *t)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + t->call->deadline_ms * US_PER_MS;
    CURLcode result = CURLE_OPERATION_TIMEDOUT;
    bool is_done = false;

    t->last_byte_us = clock_mono_us(clock_system());
    if (curl_multi_add_handle(handle->multi, handle->easy) != CURLM_OK)
        abort();
    while (!is_done) {
        int64_t now_us;
        int64_t end_us = deadline_us;
        int64_t wait_ms;
        int running;
        int queued;
        CURLMsg *message;

        if (curl_multi_perform(handle->multi, &running) != CURLM_OK)
            break;
        while ((message = curl_multi_info_read(handle->multi, &queued)) != NULL) {
            if (message->msg == CURLMSG_DONE) {
                result = message->data.result;
                is_done = true;
            }
        }
        if (is_done)
            break;
        if (t->call->stall_ms != 0 && t->last_byte_us + t->call->stall_ms * US_PER_MS < end_us)
            end_us = t->last_byte_us + t->call->stall_ms * US_PER_MS;
        now_us = clock_mono_us(clock_system());
        if (now_us >= end_us)
            break;
        wait_ms = (end_us - now_us + 999) / US_PER_MS;
        if (curl_multi_poll(handle->multi, NULL, 0,
                            (int)(wait_ms < MAX_POLL_MS ? wait_ms : MAX_POLL_MS), NULL) != CURLM_OK)
            break;
    }
    (void)curl_multi_remove_handle(handle->multi, handle->easy);
    return result;
}

static enum status
finish(struct transfer *t, CURLcode code, struct arena *arena, struct http_reply *reply,
       struct err *err)
{
    long status = 0;
    char *type = NULL;
    enum status st;

    if (t->end == CALL_DENIED || (t->guard.is_refused && t->requests == 0))
        return err_set_detail(err, ST_DENIED, "%.*s is a private address", STR_ARG(t->host));
    if (t->end == CALL_TOO_LARGE)
        return err_set_detail(err, ST_TOO_LARGE, "%.*s%.*s: answer over %zu bytes",
                              STR_ARG(t->host), STR_ARG(t->path), t->max_bytes);
    /* After the request the same codes mean that the peer does not speak HTTP. */
    if (t->requests == 0 && (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL))
        return err_set(err, ST_INVALID, "the URL is malformed");
    if (code != CURLE_OK && t->end != CALL_BY_SINK)
        /* libcurl's longer text may quote the URL. */
        return err_set_detail(err, t->requests == 0 ? ST_UNAVAILABLE : ST_UNCERTAIN,
                              "%s %.*s%.*s: %s", t->call->method, STR_ARG(t->host),
                              STR_ARG(t->path),
                              t->end == CALL_REPEATED ? "the connection ended before the answer"
                                                      : curl_easy_strerror(code));
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    reply->status = (int)status;
    reply->retry_after_ms = t->retry_after_ms;
    reply->should_retry = t->should_retry;
    reply->ended_by_sink = t->end == CALL_BY_SINK;
    reply->received_bytes = t->received_bytes;
    st = arena_try_str(arena, buf_str(&t->body), &reply->body, err);
    if (st == ST_OK)
        st = arena_try_str(arena, str_from_c(type), &reply->content_type, err);
    if (st == ST_OK)
        st =
            arena_try_str(arena, str_of(t->request_id, t->request_id_len), &reply->request_id, err);
    if (st == ST_OK)
        st = arena_try_str(arena, str_from_c(t->location), &reply->location, err);
    for (size_t i = 0; st == ST_OK && i < t->call->wanted_count; i++)
        if (t->wanted[i] != NULL)
            st = arena_try_str(arena, str_from_c(t->wanted[i]), &reply->wanted[i], err);
    return st;
}

enum status
http_client_call(struct http_client *client, const struct http_call *call, struct arena *arena,
                 struct http_reply *reply_out, struct err *err)
{
    struct transfer t = {.call = call, .retry_after_ms = -1, .should_retry = -1};
    struct curl_slist *headers = NULL;
    struct handle *handle;
    uint64_t host_hash;
    char *url = NULL;
    enum status st;

    *reply_out = (struct http_reply){.retry_after_ms = -1, .should_retry = -1};
    if (call->deadline_ms == 0 || call->method == NULL || !is_token(str_from_c(call->method)))
        return err_set(err, ST_INVALID, "an HTTP call needs a method and a deadline");
    if (call->wanted_count > HTTP_WANTED_MAX)
        return err_set(err, ST_INVALID, "an HTTP call wants at most %d fields", HTTP_WANTED_MAX);
    t.guard.allow_private = client->config.allow_private_addresses || call->allow_private_addresses;
    t.is_idempotent = is_idempotent(call->method);
    t.max_bytes =
        call->max_response_bytes == 0 ? DEFAULT_MAX_RESPONSE_BYTES : call->max_response_bytes;
    st = read_url(&t, arena, &url, err);
    if (st == ST_OK)
        st = make_headers(call, arena, &headers, err);
    if (st == ST_OK) {
        host_hash = str_hash(t.host);
        buf_init(&t.body, t.max_bytes);
        handle = handle_take(client, host_hash);
        t.easy = handle->easy;
        t.max_idle_s = &handle->max_idle_s;
        set_request(client, &t, url, headers);
        st = finish(&t, drive(handle, &t), arena, reply_out, err);
        curl_easy_reset(handle->easy); /* nothing of the call stays behind */
        handle_give(client, handle, host_hash);
        buf_deinit(&t.body);
        free(t.location);
        forget_wanted(&t);
    }
    curl_slist_free_all(headers);
    return st;
}

const struct http_client_config *
http_client_config_get(const struct http_client *client)
{
    return &client->config;
}

enum status
http_client_create(const struct http_client_config *config, struct http_client **client_out,
                   struct err *err)
{
    struct http_client *client = calloc(1, sizeof(*client));

    *client_out = NULL;
    if (client == NULL)
        abort();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(client);
        return err_set_detail(err, ST_UNAVAILABLE, "start libcurl");
    }
    client->config = *config;
    if (client->config.max_idle_handles == 0)
        client->config.max_idle_handles = DEFAULT_MAX_IDLE;
    if (client->config.connect_timeout_ms == 0)
        client->config.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
    if (config->ca_file != NULL)
        client->ca_file = strdup(config->ca_file);
    client->config.ca_file = client->ca_file;
    pthread_mutex_init(&client->lock, NULL);
    *client_out = client;
    return ST_OK;
}

void
http_client_destroy(struct http_client **client_in)
{
    struct http_client *client = *client_in;

    if (client == NULL)
        return;
    while (client->idle != NULL) {
        struct handle *handle = client->idle;

        client->idle = handle->next;
        handle_destroy(handle);
    }
    pthread_mutex_destroy(&client->lock);
    free(client->ca_file);
    free(client);
    curl_global_cleanup();
    *client_in = NULL;
}
