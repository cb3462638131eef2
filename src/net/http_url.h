/*
 * http_url.h - the parts of an http or https address
 *
 * Threads: any. Does not block.
 */
#ifndef PARLEY_NET_HTTP_URL_H
#define PARLEY_NET_HTTP_URL_H

#include "base/arena.h"

#define HTTP_URL_MAX_BYTES 8192

struct http_url {
    struct str scheme; /* "http" or "https" */
    struct str host;   /* an IPv6 address stands in brackets */
    struct str port;   /* "" when it is not named */
    struct str path;   /* at least "/" */
};

/* In the arena. ST_INVALID: it is none, names a user, or has another scheme. */
MUST_USE enum status http_url_read(struct str url, struct arena *arena, struct http_url *url_out,
                                   struct err *err);

#endif
