/*
 * model_breaker.c - the three states of a circuit breaker
 */
#include "model/model_breaker.h"

#define US_PER_MS_ INT64_C(1000)

bool
model_breaker_try(struct model_breaker *breaker, int64_t now_us)
{
    switch (breaker->state) {
    case MODEL_BREAKER_CLOSED:
        return true;
    case MODEL_BREAKER_OPEN:
        if (now_us < breaker->open_until_us)
            return false;
        breaker->state = MODEL_BREAKER_HALF_OPEN;
        return true;
    case MODEL_BREAKER_HALF_OPEN:
        return false; /* its one trial is under way */
    }
    return false;
}

static void
open_for(struct model_breaker *breaker, unsigned wait_ms, int64_t now_us)
{
    int64_t until_us;

    if (wait_ms > MODEL_BREAKER_MAX_WAIT_MS)
        wait_ms = MODEL_BREAKER_MAX_WAIT_MS;
    until_us = now_us + (int64_t)wait_ms * US_PER_MS_;
    /* A call that began before may end after the breaker opened: it must not shorten the wait. */
    if (breaker->state != MODEL_BREAKER_OPEN || until_us > breaker->open_until_us)
        breaker->open_until_us = until_us;
    breaker->wait_ms = wait_ms;
    breaker->state = MODEL_BREAKER_OPEN;
}

bool
model_breaker_note(struct model_breaker *breaker, enum status st, int retry_after_ms,
                   int64_t now_us)
{
    enum model_breaker_state before = breaker->state;
    unsigned wait_ms;

    if (st == ST_OK || st == ST_INVALID || st == ST_TOO_LARGE) {
        /* A late success of an old call does not end a wait: only the trial does. */
        if (before != MODEL_BREAKER_OPEN) {
            breaker->state = MODEL_BREAKER_CLOSED;
            breaker->failures = 0;
            breaker->wait_ms = 0;
        }
        return false;
    }
    if (breaker->failures < MODEL_BREAKER_FAILURES)
        breaker->failures++;
    if (retry_after_ms > 0) {
        open_for(breaker, (unsigned)retry_after_ms, now_us);
    } else if (st == ST_DENIED) {
        open_for(breaker, MODEL_BREAKER_REFUSED_WAIT_MS, now_us);
    } else if (before == MODEL_BREAKER_HALF_OPEN ||
               (before == MODEL_BREAKER_CLOSED && breaker->failures >= MODEL_BREAKER_FAILURES)) {
        wait_ms = breaker->wait_ms == 0 ? MODEL_BREAKER_FIRST_WAIT_MS : breaker->wait_ms * 2;
        open_for(breaker, wait_ms, now_us);
    }
    return before != MODEL_BREAKER_OPEN && breaker->state == MODEL_BREAKER_OPEN;
}
