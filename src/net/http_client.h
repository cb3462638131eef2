/*
 * http_client.h - blocking HTTP calls with one deadline for all of a call
 *
 * Over libcurl: connections are reused, while they are idle for about half of what the server says
 * it keeps them, at most; redirects are not followed; the whole call (name look-up, connect, TLS,
 * send, receive) ends at its deadline. Unless the operator allows them, targets that resolve to
 * private, loopback, link-local, multicast or unspecified addresses are refused after the look-up
 * and before the connect, so that a name that changes its mind does not help. Only http and https.
 * Threads: shared; a call blocks its thread.
 */
#ifndef PARLEY_NET_HTTP_CLIENT_H
#define PARLEY_NET_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"

#define HTTP_WANTED_MAX 8

struct http_client;

struct http_client_config {
    bool allow_private_addresses; /* operator's choice: local models, tests */
    unsigned max_idle_handles;    /* kept for reuse, default 32 */
    unsigned connect_timeout_ms;  /* default 5000 */
    const char *ca_file;          /* PEM certificates to trust; NULL: the system's */
};

MUST_USE enum status http_client_create(const struct http_client_config *config,
                                        struct http_client **client_out, struct err *err);
void http_client_destroy(struct http_client **client);
/* What other protocols over libcurl must keep to, too. */
const struct http_client_config *http_client_config_get(const struct http_client *client);

struct http_header {
    const char *name;
    struct str value; /* free of CR and LF: otherwise ST_INVALID */
};

struct http_call {
    const char *method; /* "GET", "POST", ... */
    struct str url;
    bool url_is_secret; /* has a token in it: shown as host only, everywhere */
    const struct http_header *headers;
    size_t header_count;
    struct str body;              /* sent with Content-Length when not empty or method is POST */
    unsigned deadline_ms;         /* of the whole call; must be given */
    unsigned stall_ms;            /* gives up when no byte comes for so long; 0: only deadline */
    size_t max_response_bytes;    /* default 4 MB */
    bool allow_private_addresses; /* for this call, when the operator allowed this very target */
    const _Atomic bool *cancel;   /* may be NULL; when it becomes true the call ends within about a
                                     second with ST_UNAVAILABLE */
    /* When set, bytes of a 2xx body go here as they come instead of into reply->body. Returning
     * false ends the call (ST_OK, reply->ended_by_sink). */
    bool (*sink)(struct str bytes, void *context);
    void *sink_context;
    /* Fields of the answer that the caller wants to see, such as "etag"; at most
     * HTTP_WANTED_MAX. */
    const char *const *wanted;
    size_t wanted_count;
};

struct http_reply {
    int status;      /* 100..599 */
    struct str body; /* in the arena */
    struct str content_type;
    int retry_after_ms;    /* from retry-after-ms, else Retry-After (seconds or date); -1: absent */
    int should_retry;      /* from x-should-retry: 1 true, 0 false, -1 absent */
    struct str request_id; /* x-request-id, for the operator */
    struct str location;   /* of a redirect, which is not followed */
    bool ended_by_sink;
    size_t received_bytes; /* body bytes, also those given to the sink */
    /* In the order of call->wanted, up to 2 KB each. A view without pointer: not there; a field
     * that came several times is joined by line ends. */
    struct str wanted[HTTP_WANTED_MAX];
};

/* ST_OK whenever a complete answer came, whatever its status.
 * ST_UNAVAILABLE: nothing was sent (look-up, connect, TLS failed): safe to repeat.
 * ST_UNCERTAIN:   sent, but no complete answer within the deadline. With GET callers may repeat.
 * ST_DENIED:      the address guard refused. ST_TOO_LARGE: answer over the limit. ST_INVALID. */
MUST_USE enum status http_client_call(struct http_client *client, const struct http_call *call,
                                      struct arena *arena, struct http_reply *reply_out,
                                      struct err *err);

/* True for addresses that the guard refuses. ip is the text of an IPv4 or IPv6 address. */
bool http_address_is_private(struct str ip);

#endif
