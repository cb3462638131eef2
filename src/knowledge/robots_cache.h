/*
 * robots_cache.h - robots.txt of hosts, fetched once a round of a site
 *
 * Threads: shared. Blocks: robots_ask, on the network.
 */
#ifndef PARLEY_KNOWLEDGE_ROBOTS_CACHE_H
#define PARLEY_KNOWLEDGE_ROBOTS_CACHE_H

#include "knowledge/robots.h"
#include "net/http_client.h"

/* Our product token. */
#define ROBOTS_TOKEN "Parley"

struct robots_cache;

struct robots_cache *robots_cache_create(struct http_client *http);
void robots_cache_destroy(struct robots_cache **cache);

/* Whether the url (of http_url_resolve) may be fetched, and the delay that the host asks for (-1:
 * none). for_round: what the answer is kept for. ST_UNAVAILABLE: the host cannot tell now, which is
 * a no that may pass (RFC 9309, section 2.3.1.4). ST_DENIED: a private address. */
MUST_USE enum status robots_ask(struct robots_cache *cache, struct str for_round, struct str url,
                                struct arena *arena, bool *allowed_out, int64_t *delay_ms_out,
                                struct err *err);

#endif
