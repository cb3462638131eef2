/*
 * limits.h - token buckets, of this process or shared by several; bounded
 *
 * Outsiders choose the keys (senders), so each of the shards in memory has a maximum: buckets that
 * are full again say nothing and are dropped first, then others. Shared buckets are kept by a
 * driver; when it cannot decide in time, this process gives its share of the rate (divided by the
 * processes known, at least one token a burst) from buckets in memory.
 * Threads: shared. Blocks: in memory never on I/O; shared at most deadline_ms.
 */
#ifndef PARLEY_TENANT_LIMITS_H
#define PARLEY_TENANT_LIMITS_H

#include "base/clock.h"

struct limits;
struct limits_driver;

struct limits_config {
    struct clock *clock;
    size_t max_buckets;                 /* in memory */
    const struct limits_driver *driver; /* NULL: only in memory */
    struct str addresses, ca_file;      /* of the driver's servers */
    int deadline_ms;                    /* of a shared decision; 0: 5 */
    int pause_ms;                       /* in memory after one that came too late; 0: 3000 */
};

MUST_USE enum status limits_open(const struct limits_config *config, struct limits **limits_out,
                                 struct err *err);
/* In memory. */
struct limits *limits_create(struct clock *clock, size_t max_buckets);
void limits_destroy(struct limits **limits);
/* Buckets are shared: limits_take may wait for a server. */
bool limits_may_block(const struct limits *limits);
MUST_USE enum status limits_take(struct limits *limits, struct str key, unsigned per_minute,
                                 unsigned burst, struct err *err);

#endif
