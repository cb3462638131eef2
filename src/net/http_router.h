/*
 * http_router.h - from method and path to a route; compiled once, then frozen
 *
 * Patterns are split at '/'; a literal segment wins over "{name}", which wins over a last
 * "{path*}". Paths are matched as they came, segment by segment, and decoded after the split, so
 * that "%2F" is a byte of a value and never a border. "{name}" does not match an empty segment.
 * Threads: any.
 */
#ifndef PARLEY_NET_HTTP_ROUTER_H
#define PARLEY_NET_HTTP_ROUTER_H

#include "net/http_server.h"

#define HTTP_METHOD_COUNT 7
#define HTTP_MAX_PARAMS 8
#define HTTP_MAX_SEGMENTS 32

struct http_router;

struct http_match {
    const struct http_route *route; /* NULL: none for this method */
    unsigned allowed;               /* bit per enum http_method that has a route for this path */
    unsigned cors;                  /* those of them with HTTP_ROUTE_CORS */
    struct str params[HTTP_MAX_PARAMS]; /* decoded, in the order of the pattern */
};

/* Borrows routes for its life. ST_INVALID: a malformed pattern or two routes for the same place. */
MUST_USE enum status http_router_create(const struct http_route *routes, size_t route_count,
                                        struct http_router **router_out, struct err *err);
void http_router_destroy(struct http_router **router);

/* A path that no pattern matches leaves allowed 0. ST_INVALID: broken percent-encoding or NUL. */
MUST_USE enum status http_router_find(const struct http_router *router, enum http_method method,
                                      struct str raw_path, struct arena *arena,
                                      struct http_match *match_out, struct err *err);
/* Index of {name} in the pattern, or -1. */
int http_route_param_index(const struct http_route *route, struct str name);

/* Decodes %XX; returns raw itself when it has none. ST_INVALID: broken, or decodes to NUL. */
MUST_USE enum status http_percent_decode(struct str raw, struct arena *arena,
                                         struct str *decoded_out, struct err *err);

#endif
