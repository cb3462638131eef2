/*
 * http_server.h - HTTP/1.1 server and router; handlers are plain blocking code on workers
 *
 *   bytes -> epoll thread parses -> route found, limits checked -> body read (memory or file)
 *         -> connection suspended -> handler runs on a worker -> connection resumed -> answer
 *
 * The epoll threads (libmicrohttpd) never wait for anything. What a handler needs stands in struct
 * http_request; it answers by filling struct http_response exactly once, or by opening an event
 * stream; a deferred answer is filled after the handler returned, by whoever finishes the work.
 * Refused before any handler: unknown path 404, wrong method 405 with Allow, body over the route's
 * limit 413, too many headers 431, all workers busy 503 with Retry-After. Threads: server functions
 * from the thread that created it; request and response belong to the worker until the handler
 * returns, deferred ones to whoever has to call http_finish; a stream is shared.
 */
#ifndef PARLEY_NET_HTTP_SERVER_H
#define PARLEY_NET_HTTP_SERVER_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

struct http_server;
struct http_response;
struct http_stream;

enum http_method {
    HTTP_GET,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_HEAD
};

const char *http_method_name(enum http_method method);

/* One part of an uploaded form, or the whole body of a non-form upload (name ""). */
struct http_part {
    struct str name;
    struct str file_name;    /* as the client gave it: never a path to open; "" for plain fields */
    struct str content_type; /* "" when not given */
    struct str text;         /* of plain fields */
    const char *file_path;   /* of files: removed when the request ends; NULL for plain fields */
    size_t size_bytes;
    struct http_part *next;
};

struct http_request {
    enum http_method method;
    struct str path;         /* decoded, without query */
    struct str body;         /* complete; empty on upload routes */
    struct http_part *parts; /* on upload routes */
    struct str
        client_address;  /* of the peer, or the forwarded one when the peer is a listed proxy */
    bool is_tls;         /* or so said a listed proxy */
    struct str trace_id; /* 32 hex digits, from traceparent or fresh */
    const struct http_route *route;
    struct arena *arena; /* ends with the request */
    int64_t received_mono_us;
    bool may_block;   /* false: the handler runs on an epoll thread */
    void *connection; /* private to the server */
};

/* Borrowed until the request ends; the empty view with NULL ptr when absent. */
struct str http_request_header(const struct http_request *req, const char *name);
struct str http_request_query(const struct http_request *req, const char *name); /* decoded */
/* All of it as it came, without '?', in the arena: for proofs over the address. "" when absent. */
struct str http_request_query_text(const struct http_request *req);
struct str http_request_cookie(const struct http_request *req, const char *name);
/* Value of {name} in the route's pattern, decoded; the name must be in the pattern. */
struct str http_request_param(const struct http_request *req, const char *name);

typedef void (*http_handler)(struct http_request *req, struct http_response *resp, void *context);

enum http_route_flags {
    HTTP_ROUTE_UPLOAD =
        1,               /* body streams to temporary files: multipart/form-data, or as one part */
    HTTP_ROUTE_CORS = 2, /* answers preflight and lets any origin read (web chat, never cookies) */
    /* The handler is called on the epoll thread first, where it must not block: it answers, defers
     * its answer, or returns after http_need_worker and is called again on a worker. */
    HTTP_ROUTE_INLINE = 4
};

struct http_route {
    enum http_method method;
    const char
        *pattern; /* "/v1/conversations/{conversation_id}"; a last "{path*}" takes the rest */
    http_handler handler;
    unsigned flags;
    size_t max_body_bytes; /* 0: the server's default */
    const void *extra;     /* of the folder that declared the route */
};

struct http_server_config {
    const char *listen;     /* "127.0.0.1:8080", "[::]:8443"; port 0 picks a free one */
    unsigned epoll_threads; /* default 2 */
    unsigned workers;       /* threads that run handlers */
    unsigned max_queued;    /* requests that may wait for a worker */
    unsigned max_connections;
    unsigned max_connections_per_address; /* 0: no limit */
    unsigned idle_timeout_s;
    size_t max_body_bytes;                           /* default for routes that name none */
    const char *upload_folder;                       /* for streaming uploads */
    const char *tls_certificate_file, *tls_key_file; /* both or none; reread when they change */
    const char *trusted_proxies; /* "10.0.0.1, 192.168.0.0/16": whose X-Forwarded-For counts */
    unsigned heartbeat_ms;       /* comment line on idle event streams, default 15000 */
    /* After each request; for refusals on an epoll thread, so it must not block; req->route may be
     * NULL. Event streams: when they begin. */
    void (*observe)(const struct http_request *req, int status, double seconds, void *context);
    void *context; /* given to handlers and observe */
};

MUST_USE enum status http_server_start(const struct http_server_config *config,
                                       const struct http_route *routes, size_t route_count,
                                       struct http_server **server_out, struct err *err);
unsigned http_server_port(const struct http_server *server);
unsigned http_server_open_streams(const struct http_server *server);
/* No new requests; running ones finish within the deadline; streams get event "reconnect"; joins.
 */
void http_server_stop(struct http_server **server, int64_t deadline_ms);

/* --- answering --- */

/* Copies body. content_type is a literal. Calling twice is a bug and aborts. */
void http_respond(struct http_response *resp, int status, const char *content_type,
                  struct str body);
/* Borrows body for the life of the process: files compiled into the binary. */
void http_respond_static(struct http_response *resp, int status, const char *content_type,
                         struct str body);
/* Sends a file from disk; the server keeps the descriptor. ST_NOT_FOUND. */
MUST_USE enum status http_respond_file(struct http_response *resp, const char *content_type,
                                       const char *path, struct err *err);
/* Sends length bytes of an open file from offset; takes fd. content_type lives as long as the
 * request. ST_UNAVAILABLE: it could not be read. */
MUST_USE enum status http_respond_fd(struct http_response *resp, int status,
                                     const char *content_type, int fd, uint64_t offset,
                                     uint64_t length, struct err *err);
/* Before or after http_respond, while the handler runs. The value must be free of CR and LF. */
void http_respond_header(struct http_response *resp, const char *name, struct str value);

/* While the handler runs, instead of answering: request and response stay alive until somebody, on
 * any thread, has answered and called http_finish. */
void http_defer(struct http_response *resp);
/* Once for each http_defer, after http_respond; also before the handler has returned. */
void http_finish(struct http_response *resp);
/* From a handler of HTTP_ROUTE_INLINE while !req->may_block: to be called again on a worker. */
void http_need_worker(struct http_response *resp);

/* Called on the epoll thread once the answer was sent, or its client has gone; must not block. What
 * an inline handler allocated there is best freed there. One for each request. */
void http_request_on_end(struct http_request *req, void (*on_end)(void *context), void *context);

/* --- event streams (text/event-stream) --- */

struct http_stream_config {
    size_t max_pending_bytes; /* a reader slower than this is dropped; default 256 kB */
    /* Called once when the client is gone, the stream was closed, or it was too slow; on any
     * thread, but never inside http_stream_send or http_stream_close; must not block. Afterwards
     * sends do nothing. */
    void (*on_close)(void *context);
    void *context;
};

/* Turns the response into an event stream with one reference, which is the caller's. */
struct http_stream *http_respond_stream(struct http_response *resp,
                                        const struct http_stream_config *config);
/* Queues one event and returns at once. id and event may be empty; data may have several lines.
 * ST_UNAVAILABLE: the stream is closed. ST_TOO_LARGE: the reader was too slow and is now dropped.
 */
MUST_USE enum status http_stream_send(struct http_stream *stream, struct str id, struct str event,
                                      struct str data, struct err *err);
/* What is queued still goes out, then the connection ends. */
void http_stream_close(struct http_stream *stream);
struct http_stream *http_stream_ref(struct http_stream *stream);
void http_stream_unref(struct http_stream **stream);

#endif
