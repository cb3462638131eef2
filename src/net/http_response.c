/*
 * http_response.c - what handlers say, and how it is given to the library
 *
 * Handlers fill struct http_response on a worker; the library's response is made from it on the
 * epoll thread, which also frees it, so that its small allocations never change threads.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "net/http_server_private.h"

#define ARENA_BODY_BYTES ((size_t)64 * 1024)
/* Smaller files are read by the worker, so that the epoll thread never waits for the disk. */
#define READ_FILE_BYTES ((size_t)1024 * 1024)

struct http_exchange *
http_exchange_of(struct http_response *resp)
{
    return (struct http_exchange *)(void *)((char *)resp - offsetof(struct http_exchange, resp));
}

static void
mark_answered(struct http_response *resp, int status, const char *content_type)
{
    if (resp->is_answered) {
        (void)fprintf(stderr, "http: answered twice\n");
        abort();
    }
    assert(status >= 200 && status <= 599);
    resp->is_answered = true;
    resp->status = status;
    resp->content_type = content_type;
}

void
http_respond(struct http_response *resp, int status, const char *content_type, struct str body)
{
    struct http_exchange *x = http_exchange_of(resp);
    char *copy;

    mark_answered(resp, status, content_type);
    resp->body = STR_EMPTY;
    resp->kind = HTTP_BODY_ARENA;
    if (body.len == 0)
        return;
    copy = body.len <= ARENA_BODY_BYTES ? arena_try_alloc(x->arena, body.len) : NULL;
    if (copy == NULL) {
        resp->kind = HTTP_BODY_HEAP;
        copy = malloc(body.len);
        if (copy == NULL)
            abort();
    }
    memcpy(copy, body.ptr, body.len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed with the response */
    resp->body = str_of(copy, body.len);
}

void
http_respond_static(struct http_response *resp, int status, const char *content_type,
                    struct str body)
{
    mark_answered(resp, status, content_type);
    resp->kind = HTTP_BODY_STATIC;
    resp->body = body;
}

static enum status
read_whole(int fd, uint64_t offset, size_t size, char **bytes_out, struct err *err)
{
    char *bytes = malloc(size + 1);
    size_t done = 0;

    if (bytes == NULL)
        abort();
    while (done < size) {
        ssize_t got = pread(fd, bytes + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            int failed = errno;

            free(bytes);
            return err_set_detail(err, ST_UNAVAILABLE, "read file: %s",
                                  got == 0 ? "it became shorter" : strerrordesc_np(failed));
        }
        done += (size_t)got;
    }
    *bytes_out = bytes;
    return ST_OK;
}

enum status
http_respond_file(struct http_response *resp, const char *content_type, const char *path,
                  struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    char *bytes = NULL;
    enum status st = ST_OK;

    if (fd < 0)
        return err_set_detail(err,
                              errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_UNAVAILABLE,
                              "open %s: %s", path, strerrordesc_np(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        st = err_set_detail(err, ST_NOT_FOUND, "%s is not a file", path);
    else if ((size_t)info.st_size <= READ_FILE_BYTES)
        st = read_whole(fd, 0, (size_t)info.st_size, &bytes, err);
    else
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (st != ST_OK || bytes != NULL)
        (void)close(fd);
    if (st != ST_OK)
        return st;
    mark_answered(resp, 200, content_type);
    if (bytes != NULL) {
        resp->kind = HTTP_BODY_HEAP;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed with the response */
        resp->body = str_of(bytes, (size_t)info.st_size);
    } else {
        resp->kind = HTTP_BODY_FILE;
        resp->fd = fd;
        resp->file_bytes = (uint64_t)info.st_size;
    }
    return ST_OK;
}

enum status
http_respond_fd(struct http_response *resp, int status, const char *content_type, int fd,
                uint64_t offset, uint64_t length, struct err *err)
{
    char *bytes = NULL;
    enum status st = ST_OK;

    if (length <= READ_FILE_BYTES)
        st = read_whole(fd, offset, (size_t)length, &bytes, err);
    if (st != ST_OK || bytes != NULL)
        (void)close(fd);
    if (st != ST_OK)
        return st;
    mark_answered(resp, status, content_type);
    if (bytes != NULL) {
        resp->kind = HTTP_BODY_HEAP;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed with the response */
        resp->body = str_of(bytes, (size_t)length);
    } else {
        resp->kind = HTTP_BODY_FILE;
        resp->fd = fd;
        resp->file_offset = offset;
        resp->file_bytes = length;
    }
    return ST_OK;
}

static bool
is_header_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return false;
    return true;
}

void
http_respond_header(struct http_response *resp, const char *name, struct str value)
{
    struct http_exchange *x = http_exchange_of(resp);
    struct http_response_header *added;
    struct http_response_header **end = &resp->headers;

    /* The value may hold an outsider's bytes: better a field less than a forged answer. */
    if (!is_header_value(value)) {
        LOG(LOG_ERROR, "http.bad_header", log_cstr("name", name));
        return;
    }
    added = ARENA_NEW(x->arena, struct http_response_header);
    added->name = name;
    added->value = arena_cstr(x->arena, value);
    while (*end != NULL)
        end = &(*end)->next;
    *end = added;
}

struct http_stream *
http_respond_stream(struct http_response *resp, const struct http_stream_config *config)
{
    struct http_exchange *x = http_exchange_of(resp);

    mark_answered(resp, 200, "text/event-stream");
    resp->kind = HTTP_BODY_STREAM;
    resp->stream = http_stream_create(x->server->streams, config);
    return http_stream_ref(resp->stream);
}

static const char *
status_title(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Content Too Large";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static void
add_method_list(struct http_exchange *x, const char *name, unsigned methods)
{
    struct str list = STR_EMPTY;

    for (unsigned m = 0; m < HTTP_METHOD_COUNT; m++) {
        bool is_in =
            (methods & (1U << m)) != 0 || (m == HTTP_HEAD && (methods & (1U << HTTP_GET)) != 0);

        if (is_in)
            list = arena_printf(x->arena, "%.*s%s%s", STR_ARG(list), list.len == 0 ? "" : ", ",
                                http_method_name((enum http_method)m));
    }
    http_respond_header(&x->resp, name, list);
}

void
http_respond_problem(struct http_exchange *x, int status, const char *detail)
{
    struct buf body;

    if (status == 204) { /* the answer to a preflight */
        add_method_list(x, "Access-Control-Allow-Methods", x->match.cors);
        http_respond_header(&x->resp, "Access-Control-Allow-Headers",
                            STR("authorization, content-type, last-event-id, idempotency-key"));
        http_respond_header(&x->resp, "Access-Control-Max-Age", STR("86400"));
        http_respond(&x->resp, 204, NULL, STR_EMPTY);
        return;
    }
    if (status == 405)
        add_method_list(x, "Allow", x->match.allowed);
    if (status == 503)
        http_respond_header(&x->resp, "Retry-After", STR("1"));
    buf_init(&body, 4096);
    buf_append_c(&body, "{\"type\":\"about:blank\",\"title\":\"");
    buf_append_json_escaped(&body, str_from_c(status_title(status)));
    buf_printf(&body, "\",\"status\":%d,\"detail\":\"", status);
    buf_append_json_escaped(&body, str_from_c(detail == NULL ? "" : detail));
    buf_append_c(&body, "\",\"trace_id\":\"");
    buf_append_json_escaped(&body, x->req.trace_id);
    buf_append_c(&body, "\"}");
    http_respond(&x->resp, status, "application/problem+json", buf_str(&body));
    buf_deinit(&body);
}

/* Takes the body over from resp where it is owned. */
static struct MHD_Response *
make_response(struct http_exchange *x)
{
    struct http_response *resp = &x->resp;
    struct MHD_Response *made = NULL;
    void *bytes = (void *)(uintptr_t)(resp->body.ptr == NULL ? "" : resp->body.ptr);

    switch (resp->kind) {
    case HTTP_BODY_ARENA: /* the arena lives until the answer is sent */
    case HTTP_BODY_STATIC:
        made = MHD_create_response_from_buffer(resp->body.len, bytes, MHD_RESPMEM_PERSISTENT);
        break;
    case HTTP_BODY_HEAP:
        made = MHD_create_response_from_buffer(resp->body.len, bytes, MHD_RESPMEM_MUST_FREE);
        break;
    case HTTP_BODY_FILE:
        made =
            MHD_create_response_from_fd_at_offset64(resp->file_bytes, resp->fd, resp->file_offset);
        break;
    case HTTP_BODY_STREAM:
        made = http_stream_response(resp->stream, x->connection, x->is_http_1_0);
        break;
    }
    if (made != NULL)
        resp->kind = HTTP_BODY_STATIC;
    return made;
}

enum MHD_Result
http_response_queue(struct http_exchange *x)
{
    struct http_response *resp = &x->resp;
    bool is_stream = resp->kind == HTTP_BODY_STREAM;
    bool is_cors = x->match.route != NULL ? (x->match.route->flags & HTTP_ROUTE_CORS) != 0
                                          : x->match.cors != 0;
    struct MHD_Response *made = make_response(x);
    enum MHD_Result result;

    if (made == NULL)
        return MHD_NO;
    if (resp->content_type != NULL)
        (void)MHD_add_response_header(made, "Content-Type", resp->content_type);
    (void)MHD_add_response_header(made, "X-Content-Type-Options", "nosniff");
    if (is_stream) {
        (void)MHD_add_response_header(made, "Cache-Control", "no-store");
        /* Asks nginx and its kin not to hold events back. */
        (void)MHD_add_response_header(made, "X-Accel-Buffering", "no");
    }
    if (is_cors) {
        (void)MHD_add_response_header(made, "Access-Control-Allow-Origin", "*");
        if (!is_stream)
            (void)MHD_add_response_header(made, "Access-Control-Expose-Headers",
                                          "location, retry-after");
    }
    for (const struct http_response_header *h = resp->headers; h != NULL; h = h->next)
        (void)MHD_add_response_header(made, h->name, h->value);
    if (atomic_load_explicit(&x->server->is_stopping, memory_order_relaxed))
        (void)MHD_add_response_header(made, "Connection", "close");
    result = MHD_queue_response(x->connection, (unsigned)resp->status, made);
    MHD_destroy_response(made);
    return result;
}

void
http_response_deinit(struct http_response *resp)
{
    if (resp->kind == HTTP_BODY_HEAP)
        free((void *)(uintptr_t)resp->body.ptr);
    else if (resp->kind == HTTP_BODY_FILE)
        (void)close(resp->fd);
    else if (resp->kind == HTTP_BODY_STREAM)
        http_stream_abandon(resp->stream);
    resp->kind = HTTP_BODY_STATIC;
}
