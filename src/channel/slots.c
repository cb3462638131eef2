/*
 * slots.c - one place a thread, with the channel that is called and since when
 */
#include "channel/slots.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

/* Channels known to be late without a call under way; the one noted first makes room. */
#define MAX_LATE 64

#define SOURCE_BYTES 32

struct slot {
    struct channel_id id; /* none: free */
    char source[SOURCE_BYTES];
    int64_t begun_us;
};

struct slots {
    struct clock *clock;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t freed;
    struct channel_id late[MAX_LATE]; /* whose last call was */
    size_t late_count, late_next;     /* the next to be overwritten */
    unsigned count, late_share, source_share;
    struct slot slot[];
};

struct slots *
slots_create(unsigned threads, struct clock *clock)
{
    unsigned count = threads == 0 ? 1 : threads;
    struct slots *slots = calloc(1, sizeof(*slots) + count * sizeof(slots->slot[0]));

    if (slots == NULL)
        abort();
    slots->clock = clock;
    pthread_mutex_init(&slots->lock, NULL);
    cond_init(&slots->freed);
    slots->count = count;
    slots->late_share = (count + 1) / 2;
    slots->source_share = count - count / 4;
    return slots;
}

void
slots_destroy(struct slots **slots_ref)
{
    struct slots *slots = *slots_ref;

    *slots_ref = NULL;
    if (slots == NULL)
        return;
    pthread_cond_destroy(&slots->freed);
    pthread_mutex_destroy(&slots->lock);
    free(slots);
}

/* --- who is late; the lock is held --- */

/* late_count: none. */
static size_t
find_late(const struct slots *slots, struct channel_id id)
{
    size_t i;

    for (i = 0; i < slots->late_count && !id_eq(&slots->late[i].id, &id.id); i++)
        ;
    return i;
}

static void
note_late(struct slots *slots, struct channel_id id, bool is_late)
{
    size_t at = find_late(slots, id);

    if (!is_late && at < slots->late_count) {
        slots->late[at] = slots->late[--slots->late_count];
    } else if (is_late && at == slots->late_count) {
        if (at == MAX_LATE)
            at = slots->late_next++ % MAX_LATE;
        else
            slots->late_count++;
        slots->late[at] = id;
    }
}

static bool
is_late(const struct slots *slots, struct channel_id id, int64_t now_us)
{
    for (unsigned i = 0; i < slots->count; i++)
        if (id_eq(&slots->slot[i].id.id, &id.id) &&
            now_us >= slots->slot[i].begun_us + SLOT_LATE_US)
            return true;
    return find_late(slots, id) < slots->late_count;
}

/* --- entering; the lock is held --- */

struct room {
    struct slot *free_one; /* NULL: the channel may not have it */
    bool is_late;          /* what keeps it out is */
    int64_t oldest_us;     /* when the oldest call of that began */
};

/* The calls of a channel, or of a source. */
struct held {
    unsigned count;
    int64_t oldest_us;
};

static void
count_held(struct held *held, const struct slot *slot)
{
    if (held->count++ == 0 || slot->begun_us < held->oldest_us)
        held->oldest_us = slot->begun_us;
}

static struct room
look_for_room(struct slots *slots, const struct channel_record *channel, int64_t now_us)
{
    struct room room = {.is_late = is_late(slots, channel->id, now_us)};
    struct held own = {.oldest_us = now_us}, of_source = {.oldest_us = now_us};
    unsigned late_held = 0, free_count = 0, late_left;

    for (unsigned i = 0; i < slots->count; i++) {
        struct slot *slot = &slots->slot[i];

        if (id_is_none(&slot->id.id)) {
            free_count++;
            room.free_one = slot;
            continue;
        }
        late_held += is_late(slots, slot->id, now_us);
        if (str_eq_c(channel->source, slot->source))
            count_held(&of_source, slot);
        if (id_eq(&slot->id.id, &channel->id.id))
            count_held(&own, slot);
    }
    late_left = slots->late_share > late_held ? slots->late_share - late_held : 0;
    room.oldest_us = own.oldest_us;
    if (own.count >= (room.is_late && late_left < free_count ? late_left : free_count)) {
        room.free_one = NULL;
    } else if (of_source.count >= slots->source_share) {
        room.free_one = NULL;
        room.oldest_us = of_source.oldest_us;
        room.is_late = now_us >= room.oldest_us + SLOT_LATE_US;
    }
    return room;
}

static void
take(struct slot *slot, const struct channel_record *channel, int64_t now_us)
{
    size_t len = channel->source.len < SOURCE_BYTES ? channel->source.len : SOURCE_BYTES - 1;

    *slot = (struct slot){.id = channel->id, .begun_us = now_us};
    if (len > 0)
        memcpy(slot->source, channel->source.ptr, len);
}

static struct slot *
enter(struct slots *slots, const struct channel_record *channel, bool waits)
{
    struct room room;

    pthread_mutex_lock(&slots->lock);
    room = look_for_room(slots, channel, clock_mono_us(slots->clock));
    while (waits && room.free_one == NULL && !room.is_late) {
        int64_t late_us = room.oldest_us + SLOT_LATE_US - clock_mono_us(slots->clock);

        cond_wait_until(&slots->freed, &slots->lock, clock_mono_us(clock_system()) + late_us);
        room = look_for_room(slots, channel, clock_mono_us(slots->clock));
    }
    if (room.free_one != NULL)
        take(room.free_one, channel, clock_mono_us(slots->clock));
    pthread_mutex_unlock(&slots->lock);
    return room.free_one;
}

struct slot *
slots_enter(struct slots *slots, const struct channel_record *channel)
{
    return enter(slots, channel, true);
}

struct slot *
slots_try(struct slots *slots, const struct channel_record *channel)
{
    return enter(slots, channel, false);
}

void
slots_renew(struct slots *slots, struct slot *slot)
{
    int64_t now_us = clock_mono_us(slots->clock);

    if (slot == NULL)
        return;
    pthread_mutex_lock(&slots->lock);
    note_late(slots, slot->id, now_us >= slot->begun_us + SLOT_LATE_US);
    slot->begun_us = now_us;
    pthread_mutex_unlock(&slots->lock);
}

void
slots_leave(struct slots *slots, struct slot **slot)
{
    if (*slot == NULL)
        return;
    slots_renew(slots, *slot);
    pthread_mutex_lock(&slots->lock);
    **slot = (struct slot){.begun_us = 0};
    pthread_cond_broadcast(&slots->freed);
    pthread_mutex_unlock(&slots->lock);
    *slot = NULL;
}
