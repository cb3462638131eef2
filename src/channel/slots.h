/*
 * slots.h - how many of some threads the channels' providers may hold at a time
 *
 * A provider that does not answer holds each thread that calls it until the call's deadline. So a
 * channel takes another thread only while it holds fewer than are free: one takes half of them at
 * most, two a third each, three a quarter (one after the other a half, a quarter, an eighth), and
 * some stay free for a channel that has none. A channel is late while one of its calls, or its last
 * one, took SLOT_LATE_US: the late ones share half of the threads after the same rule. All channels
 * of one source together (a provider that is down is so for all of them) never take the last
 * quarter. What this does not hold off: as many channels as threads, of two sources or more, that
 * stop answering within the same second; they hold all until their first deadline. Threads: shared,
 * locks inside. Of this process.
 */
#ifndef PARLEY_CHANNEL_SLOTS_H
#define PARLEY_CHANNEL_SLOTS_H

#include "base/clock.h"
#include "tenant/tenant.h"

#define SLOT_LATE_US US_PER_S

struct slots;
struct slot;

/* threads: how many enter at most. clock, by which calls are late, must outlive it. */
struct slots *slots_create(unsigned threads, struct clock *clock);
void slots_destroy(struct slots **slots);
/* NULL: the channel, or its source, is late and has all it may: come again later. Waits for a slot
 * of one that is not. slots_leave must follow. */
struct slot *slots_enter(struct slots *slots, const struct channel_record *channel);
/* As slots_enter, and NULL in place of waiting. */
struct slot *slots_try(struct slots *slots, const struct channel_record *channel);
/* The call that took so long is over, and another one begins in its slot. */
void slots_renew(struct slots *slots, struct slot *slot);
void slots_leave(struct slots *slots, struct slot **slot);

#endif
