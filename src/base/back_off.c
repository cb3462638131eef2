/*
 * back_off.c - see the header
 */
#include "base/back_off.h"

#include "base/id.h"

void
back_off_failed(struct back_off *back_off)
{
    int64_t wait_us = BACK_OFF_FIRST_US;

    for (unsigned i = 0; i < back_off->failures && wait_us < BACK_OFF_MAX_US; i++)
        wait_us *= 2;
    if (wait_us > BACK_OFF_MAX_US)
        wait_us = BACK_OFF_MAX_US;
    back_off->failures++;
    back_off->retry_at_us =
        clock_mono_us(clock_system()) + wait_us - random_below((uint32_t)(wait_us / 2));
}

void
back_off_opened(struct back_off *back_off)
{
    back_off->opened_us = clock_mono_us(clock_system());
}

void
back_off_closed(struct back_off *back_off)
{
    if (clock_mono_us(clock_system()) - back_off->opened_us > BACK_OFF_MAX_US)
        back_off->failures = 0;
}
