/*
 * curl_guard.h - keeps libcurl's connections away from private addresses; only for src/net
 *
 * The address is looked at after the name was looked up and before the connect, so that a name that
 * changes its mind does not help. Threads: a guard belongs to one handle.
 */
#ifndef PARLEY_NET_CURL_GUARD_H
#define PARLEY_NET_CURL_GUARD_H

#include <curl/curl.h>
#include <stdbool.h>

struct curl_guard {
    bool allow_private;
    bool is_refused; /* an address was refused */
};

/* The handle opens its sockets through guard, which must outlive its calls. */
void curl_guard_set(struct curl_guard *guard, CURL *easy);

#endif
