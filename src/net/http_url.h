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
    struct str path;   /* at least "/"; without query */
};

/* In the arena. ST_INVALID: it is none, names a user, or has another scheme. */
MUST_USE enum status http_url_read(struct str url, struct arena *arena, struct http_url *url_out,
                                   struct err *err);
/* What a reference ("../a", "//host/b", a whole address) means on the page at base, in one
 * spelling: scheme and host in small letters, the usual port and the fragment left out, dots
 * resolved, spaces and bytes beyond ASCII encoded. base may be empty: then the reference is a whole
 * address. In the arena. ST_INVALID, as http_url_read. */
MUST_USE enum status http_url_resolve(struct str base, struct str reference, struct arena *arena,
                                      struct str *url_out, struct err *err);
/* Path and query, at least "/": what a request asks for. The url is of http_url_resolve. */
struct str http_url_target(struct str url);

#endif
