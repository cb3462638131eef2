/*
 * standard_webhooks.h - the signature of Standard Webhooks (specification, scheme v1)
 *
 * webhook-signature is a list of "v1,<base64 of HMAC-SHA256(id.timestamp.body)>" with a space
 * between, one for each key. Threads: any. Does not block.
 */
#ifndef PARLEY_EVENTS_STANDARD_WEBHOOKS_H
#define PARLEY_EVENTS_STANDARD_WEBHOOKS_H

#include "base/arena.h"

struct webhook_key {
    const unsigned char *bytes;
    size_t len;
};

/* In the arena. id has no dot. */
struct str standard_webhooks_sign(const struct webhook_key *keys, size_t key_count, struct str id,
                                  int64_t timestamp_s, struct str body, struct arena *arena);

#endif
