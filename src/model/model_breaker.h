/*
 * model_breaker.h - stops asking a model that is away, and finds out when it is back
 *
 *   CLOSED --failures in a row, or a refusal--> OPEN --wait is over--> HALF_OPEN (one trial)
 *     ^                                           ^                        |
 *     |<------------------ trial succeeds --------|------------------------|
 *                                                 '---- trial fails: waits twice as long
 *
 * A wait that the server asked for (Retry-After) is kept to, and opens at once. What only the
 * request is at fault for (ST_INVALID, ST_TOO_LARGE) says nothing about the model.
 * Threads: one at a time: the chain's lock. Times: monotonic microseconds.
 */
#ifndef PARLEY_MODEL_MODEL_BREAKER_H
#define PARLEY_MODEL_MODEL_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define MODEL_BREAKER_FAILURES 3
#define MODEL_BREAKER_FIRST_WAIT_MS 5000
#define MODEL_BREAKER_REFUSED_WAIT_MS 60000
#define MODEL_BREAKER_MAX_WAIT_MS 300000

enum model_breaker_state { MODEL_BREAKER_CLOSED, MODEL_BREAKER_OPEN, MODEL_BREAKER_HALF_OPEN };

struct model_breaker {
    enum model_breaker_state state;
    unsigned failures;     /* in a row */
    unsigned wait_ms;      /* of the present or last OPEN */
    int64_t open_until_us; /* of OPEN */
};

/* True when the model may be asked now; then model_breaker_note must follow. */
bool model_breaker_try(struct model_breaker *breaker, int64_t now_us);
/* What came of it. retry_after_ms: the wait asked for by the server, 0 when none. True when this
 * opened the breaker. */
bool model_breaker_note(struct model_breaker *breaker, enum status st, int retry_after_ms,
                        int64_t now_us);

#endif
