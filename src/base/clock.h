/*
 * clock.h - time, settable in tests
 *
 * Wall times are microseconds since 1970-01-01 UTC (type int64_t, suffix _us). Durations and
 * deadlines use the monotonic clock. Code that decides by time takes a struct clock; tests give a
 * manual one. RFC 3339 at every edge. Threads: shared.
 */
#ifndef PARLEY_BASE_CLOCK_H
#define PARLEY_BASE_CLOCK_H

#include "base/err.h"
#include "base/str.h"

struct clock;

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)

/* The system's clock; static, never destroyed. */
struct clock *clock_system(void);
/* One that follows a server's clock, for processes that must agree on the time: once it was told,
 * steps of this machine's clock do not reach it. Until then it is the system's. */
struct clock *clock_create_following(void);
/* It is wall_us there now, as far as was learned within a fraction of a second. */
void clock_follow(struct clock *following, int64_t wall_us);
/* A clock that stands still until it is advanced: wall and monotonic together. */
struct clock *clock_create_manual(int64_t wall_us);
void clock_destroy(struct clock **clock); /* not the system's */
void clock_advance_us(struct clock *manual, int64_t by_us);

int64_t clock_wall_us(struct clock *clock);
int64_t clock_mono_us(struct clock *clock);

/* "2026-11-20T09:30:00.123456Z"; fraction only as far as it is not zero. out holds 32 bytes. Times
 * outside the years 0000 to 9999, which RFC 3339 cannot write, come out as the nearest it can. */
struct str time_format_rfc3339(int64_t wall_us, char out[32]);
/* Date, 'T' or space, time, optional fraction, 'Z' or offset; nothing after. Digits past the
 * microsecond are dropped; a leap second is the second after it. ST_INVALID. */
MUST_USE enum status time_parse_rfc3339(struct str s, int64_t *wall_us_out, struct err *err);

#endif
