/*
 * http_server_private.h - what the server's files share; nobody else includes it
 *
 * An exchange is one request and its answer:
 *
 *   READING --body complete--> RUNNING (worker) --answered--> DONE --answer sent--> (reused)
 *      |  ^ |  +-- STEP (worker writes a piece of an upload to its file)
 *      +----- refused: answered without a worker
 *
 * It belongs to its epoll thread while READING and DONE, to a worker while STEP and RUNNING (with
 * HTTP_ROUTE_INLINE to the epoll thread first), and then to whoever finishes a deferred answer;
 * the pool's lock and the library's resume lock order the two.
 */
#ifndef PARLEY_NET_HTTP_SERVER_PRIVATE_H
#define PARLEY_NET_HTTP_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/http_router.h"
#include "net/http_server.h"
#include "base/task_pool.h"
#include "net/net_address.h"

#define HTTP_MAX_HEADERS 64
#define HTTP_CONNECTION_POOL_BYTES ((size_t)8192)
#define HTTP_MAX_HEADER_BYTES ((size_t)6144)

struct http_upload;
struct http_tls;
struct http_tls_credentials;
struct http_streams;

enum http_body_kind {
    HTTP_BODY_ARENA,  /* in the exchange's arena */
    HTTP_BODY_HEAP,   /* malloc; owned */
    HTTP_BODY_STATIC, /* borrowed for ever */
    HTTP_BODY_FILE,   /* fd; owned */
    HTTP_BODY_STREAM  /* stream; one reference owned */
};

struct http_response_header {
    struct http_response_header *next;
    const char *name, *value; /* in the arena */
};

struct http_response {
    bool is_answered;
    int status;
    const char *content_type;
    enum http_body_kind kind;
    struct str body;
    int fd;
    uint64_t file_offset, file_bytes;
    struct http_stream *stream;
    struct http_response_header *headers;
};

enum http_exchange_state {
    HTTP_EXCHANGE_READING,
    HTTP_EXCHANGE_STEP,
    HTTP_EXCHANGE_RUNNING,
    HTTP_EXCHANGE_DONE,
    HTTP_EXCHANGE_SENDING
};

struct http_exchange {
    struct pool_task work; /* first: the pool hands this back */
    struct http_request req;
    struct http_response resp;
    struct http_server *server;
    struct MHD_Connection *connection;
    struct arena *arena;
    enum http_exchange_state state;
    bool is_counted; /* in server->active */
    bool is_http_1_0;
    bool is_deferred;  /* the handler's thread alone reads and writes it */
    bool needs_worker; /* likewise */
    void (*on_end)(void *context);
    void *on_end_context;
    _Atomic unsigned held; /* by the handler, and by whoever finishes a deferred answer */
    struct http_match match;
    int refusal; /* HTTP status, or 0 */
    const char *refusal_detail;
    size_t body_capacity;
    size_t max_body_bytes;
    size_t discarded_bytes;
    struct http_upload *upload;
    char trace_id[33];
    struct http_exchange *next_free;
};

/* One per TCP connection. */
struct http_peer {
    struct net_address address;
    char text[NET_ADDRESS_TEXT_BYTES];
    bool is_trusted;
    bool is_counted; /* in server->address_counts */
    struct http_tls_credentials *tls;
};

struct http_server {
    struct http_server_config config;
    struct http_router *router;
    struct task_pool *workers;
    struct MHD_Daemon *daemon;
    struct http_tls *tls; /* NULL without */
    struct http_streams *streams;
    struct net_list trusted;
    unsigned port;
    int listen_fd; /* used by the library while it runs */
    char *upload_folder;

    pthread_mutex_t free_lock; /* guards the next two */
    struct http_exchange *free_exchanges;
    unsigned free_count;

    struct http_address_counts *address_counts; /* NULL without a limit; locks inside */

    _Atomic bool is_stopping;
    _Atomic unsigned active; /* exchanges between hand-over and the end of their answer */
    _Atomic unsigned open_streams;
    _Atomic unsigned suspended; /* exchanges that a worker has or will have */
    pthread_mutex_t drain_lock;
    pthread_cond_t drained; /* signalled when one of the three falls to 0 while stopping */
};

/* --- http_server.c --- */

/* Of active, suspended, open_streams: tells http_server_stop when one reaches 0. */
void http_server_count_down(struct http_server *server, _Atomic unsigned *counter);

/* --- http_exchange.c --- */

enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection,
                                         const char *url, const char *method, const char *version,
                                         const char *upload_data, size_t *upload_data_size,
                                         void **con_cls);
void http_exchange_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                                enum MHD_RequestTerminationCode code);
void http_exchange_free_all(struct http_server *server);
/* Refuses the request unless it was refused before; detail is a literal. */
void http_exchange_refuse(struct http_exchange *exchange, int status, const char *detail);

/* --- http_response.c --- */

struct http_exchange *http_exchange_of(struct http_response *resp);
/* application/problem+json for a refusal. */
void http_respond_problem(struct http_exchange *exchange, int status, const char *detail);
/* Queues what the exchange answered; epoll thread only. */
enum MHD_Result http_response_queue(struct http_exchange *exchange);
/* Gives back what was never handed to the library. */
void http_response_deinit(struct http_response *resp);

/* --- http_upload.c: the epoll thread collects, a worker parses and writes --- */

/* Epoll thread: true when the bytes were taken, false when a step must run first. */
bool http_upload_collect(struct http_exchange *exchange, struct str bytes);
/* Worker: parses and writes what was collected. A failure becomes the exchange's refusal. */
void http_upload_step(struct http_exchange *exchange, bool is_last);
void http_upload_destroy(struct http_upload **upload); /* removes its files: may block */

/* --- http_stream.c --- */

/* Starts the timer thread: heartbeats, hang-ups, certificate files. */
MUST_USE enum status http_streams_create(struct http_server *server,
                                         struct http_streams **streams_out, struct err *err);
/* Every stream gets the event "reconnect" and ends. */
void http_streams_close_all(struct http_streams *streams);
/* Every stream ends now, whatever is pending. */
void http_streams_drop_all(struct http_streams *streams);
void http_streams_destroy(struct http_streams **streams);
struct http_stream *http_stream_create(struct http_streams *streams,
                                       const struct http_stream_config *config);
/* The library's response over the stream; takes one reference. */
struct MHD_Response *http_stream_response(struct http_stream *stream,
                                          struct MHD_Connection *connection, bool is_http_1_0);
/* The same for a stream whose connection ended before the answer began. */
void http_stream_abandon(struct http_stream *stream);

/* --- http_tls.c --- */

MUST_USE enum status http_tls_create(const char *certificate_file, const char *key_file,
                                     struct http_tls **tls_out, struct err *err);
void http_tls_destroy(struct http_tls **tls);
/* Options for the library's start; ended. */
void http_tls_options(const struct http_tls *tls, struct MHD_OptionItem options_out[4]);
/* The library has read them: forgets the key's text. */
void http_tls_started(struct http_tls *tls);
/* The credentials in force, for one new connection; released when it has ended. */
struct http_tls_credentials *http_tls_attach(struct http_tls *tls,
                                             struct MHD_Connection *connection);
void http_tls_release(struct http_tls_credentials *credentials); /* NULL is fine */
/* Rereads the files when they changed; keeps the old certificate and logs when they are bad. */
void http_tls_check_files(struct http_tls *tls);

#endif
