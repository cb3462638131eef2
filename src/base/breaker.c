/*
 * breaker.c - the three states of a circuit breaker
 */
#include "base/breaker.h"

#define US_PER_MS_ INT64_C(1000)

bool
breaker_try(struct breaker *breaker, int64_t now_us)
{
    switch (breaker->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        if (now_us < breaker->open_until_us)
            return false;
        breaker->state = BREAKER_HALF_OPEN;
        return true;
    case BREAKER_HALF_OPEN:
        return false; /* its one trial is under way */
    }
    return false;
}

static void
open_for(struct breaker *breaker, unsigned wait_ms, int64_t now_us)
{
    int64_t until_us;

    if (wait_ms > BREAKER_MAX_WAIT_MS)
        wait_ms = BREAKER_MAX_WAIT_MS;
    until_us = now_us + (int64_t)wait_ms * US_PER_MS_;
    /* A call that began before may end after the breaker opened: it must not shorten the wait. */
    if (breaker->state != BREAKER_OPEN || until_us > breaker->open_until_us)
        breaker->open_until_us = until_us;
    breaker->wait_ms = wait_ms;
    breaker->state = BREAKER_OPEN;
}

static void
note_failure(struct breaker *breaker, enum breaker_outcome outcome, int retry_after_ms,
             int64_t now_us)
{
    bool is_enough;
    unsigned wait_ms;

    if (breaker->failures < BREAKER_FAILURES)
        breaker->failures++;
    is_enough = breaker->state == BREAKER_HALF_OPEN ||
                (breaker->state == BREAKER_CLOSED && breaker->failures >= BREAKER_FAILURES);
    if (outcome == BREAKER_REFUSED) {
        open_for(breaker, BREAKER_REFUSED_WAIT_MS, now_us);
    } else if (retry_after_ms > 0 && (outcome == BREAKER_FAILED || is_enough)) {
        open_for(breaker, (unsigned)retry_after_ms, now_us);
    } else if (is_enough) {
        wait_ms = breaker->wait_ms == 0 ? BREAKER_FIRST_WAIT_MS : breaker->wait_ms * 2;
        open_for(breaker, wait_ms, now_us);
    }
}

bool
breaker_note(struct breaker *breaker, enum breaker_outcome outcome, int retry_after_ms,
             int64_t now_us)
{
    enum breaker_state before = breaker->state;

    switch (outcome) {
    case BREAKER_WORKS:
        /* A late success of an old call does not end a wait: only the trial does. */
        if (before != BREAKER_OPEN)
            *breaker = (struct breaker){.state = BREAKER_CLOSED};
        return false;
    case BREAKER_UNKNOWN:
        if (before == BREAKER_HALF_OPEN)
            breaker->state = BREAKER_OPEN; /* its wait is over: the next one is the trial */
        return false;
    case BREAKER_FAILED:
    case BREAKER_LIMITED:
    case BREAKER_REFUSED:
        note_failure(breaker, outcome, retry_after_ms, now_us);
        break;
    }
    return before != BREAKER_OPEN && breaker->state == BREAKER_OPEN;
}

const char *
breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half_open"};

    return names[state];
}
