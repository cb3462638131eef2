/*
 * back_off.h - when to try for a lost server again: doubled after each failure, with jitter
 *
 * The jitter keeps the processes that lost it together from coming back together. Threads: its
 * owner's.
 */
#ifndef PARLEY_BASE_BACK_OFF_H
#define PARLEY_BASE_BACK_OFF_H

#include "base/clock.h"

#define BACK_OFF_FIRST_US (100 * US_PER_MS)
#define BACK_OFF_MAX_US (5 * US_PER_S)

struct back_off {
    unsigned failures; /* in a row */
    int64_t opened_us, retry_at_us;
};

/* Another failure: retry_at_us is when to try again. */
void back_off_failed(struct back_off *back_off);
/* There is a connection. */
void back_off_opened(struct back_off *back_off);
/* It ended: one that lasted starts the waits from the shortest again. */
void back_off_closed(struct back_off *back_off);

#endif
