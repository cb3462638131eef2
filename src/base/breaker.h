/*
 * breaker.h - stops asking a server that is away, and finds out when it is back
 *
 *   CLOSED --failures in a row, or a refusal--> OPEN --wait is over--> HALF_OPEN (one trial)
 *     ^                                           ^                        |
 *     |<------------------ trial succeeds --------|------------------------|
 *                                                 '---- trial fails: waits twice as long
 *
 * A wait that the server asked for (Retry-After) is kept to.
 * Threads: one at a time: put your lock around it. Times: monotonic microseconds.
 */
#ifndef PARLEY_BASE_BREAKER_H
#define PARLEY_BASE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES 3
#define BREAKER_FIRST_WAIT_MS 5000
#define BREAKER_REFUSED_WAIT_MS 60000
#define BREAKER_MAX_WAIT_MS 300000

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

enum breaker_outcome {
    BREAKER_WORKS,   /* it answered, also when the request alone was at fault */
    BREAKER_FAILED,  /* opens at once when it asked for a wait, else after some in a row */
    BREAKER_LIMITED, /* too many requests, perhaps of one kind: the wait counts after some in a row
                      */
    BREAKER_REFUSED, /* our credentials: opens at once */
    BREAKER_UNKNOWN  /* it was not asked after all: a trial is given back */
};

/* All zero: closed. */
struct breaker {
    enum breaker_state state;
    unsigned failures;     /* in a row */
    unsigned wait_ms;      /* of the present or last OPEN */
    int64_t open_until_us; /* of OPEN */
};

/* True when the server may be asked now; then breaker_note must follow. */
bool breaker_try(struct breaker *breaker, int64_t now_us);
/* What came of it. retry_after_ms: the wait asked for by the server, 0 when none. True when this
 * opened the breaker. */
bool breaker_note(struct breaker *breaker, enum breaker_outcome outcome, int retry_after_ms,
                  int64_t now_us);
/* "closed", "open" or "half_open": the word in logs, metrics and the API. */
const char *breaker_state_name(enum breaker_state state);

#endif
