/*
 * limits.h - token buckets in memory, bounded
 *
 * Outsiders choose the keys (senders), so each of the shards has a maximum: buckets that are full
 * again say nothing and are dropped first, then others. Threads: shared. Never blocks on I/O.
 */
#ifndef PARLEY_TENANT_LIMITS_H
#define PARLEY_TENANT_LIMITS_H

#include "base/clock.h"

struct limits;

struct limits *limits_create(struct clock *clock, size_t max_buckets);
void limits_destroy(struct limits **limits);
MUST_USE enum status limits_take(struct limits *limits, struct str key, unsigned per_minute,
                                 unsigned burst, struct err *err);

#endif
