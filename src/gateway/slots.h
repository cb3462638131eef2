/*
 * slots.h - how many senders one channel's provider may hold at a time
 *
 * A provider that does not answer holds each sender that calls it until the call's deadline. So a
 * channel has half of the senders at most: the others' messages leave as ever, also before its
 * breaker has heard of the first failure. Threads: shared, locks inside. Of this process.
 */
#ifndef PARLEY_GATEWAY_SLOTS_H
#define PARLEY_GATEWAY_SLOTS_H

#include "base/clock.h"
#include "tenant/tenant.h"

/* After so long a call hangs: then nobody waits for the slot that it has. */
#define SLOT_HANGS_US US_PER_S

struct slots;
struct slot;

/* senders: how many threads enter at most. */
struct slots *slots_create(unsigned senders);
void slots_destroy(struct slots **slots);
/* NULL: the channel has all it may, and one of its calls hangs: come again later. Waits for a slot
 * of a provider that answers. slots_leave must follow. */
struct slot *slots_enter(struct slots *slots, struct channel_id id);
void slots_leave(struct slots *slots, struct slot **slot);

#endif
