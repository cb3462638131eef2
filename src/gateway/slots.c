/*
 * slots.c - one place a sender, with the channel that is called and since when
 */
#include "gateway/slots.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

struct slot {
    struct channel_id id; /* none: free */
    int64_t begun_us;
};

struct slots {
    pthread_mutex_t lock; /* guards slot */
    pthread_cond_t freed;
    unsigned count, share;
    struct slot slot[];
};

struct slots *
slots_create(unsigned senders)
{
    unsigned count = senders == 0 ? 1 : senders;
    struct slots *slots = calloc(1, sizeof(*slots) + count * sizeof(slots->slot[0]));

    if (slots == NULL)
        abort();
    pthread_mutex_init(&slots->lock, NULL);
    cond_init(&slots->freed);
    slots->count = count;
    slots->share = (count + 1) / 2;
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

/* A free place for the channel; NULL: it has its share, of which the oldest began at *oldest_out.
 */
static struct slot *
find_free(struct slots *slots, struct channel_id id, int64_t *oldest_out)
{
    struct slot *free_one = NULL;
    unsigned held = 0;

    *oldest_out = INT64_MAX;
    for (unsigned i = 0; i < slots->count; i++) {
        struct slot *slot = &slots->slot[i];

        if (slot->id.id.text[0] == '\0') {
            free_one = slot;
        } else if (id_eq(&slot->id.id, &id.id)) {
            held++;
            if (slot->begun_us < *oldest_out)
                *oldest_out = slot->begun_us;
        }
    }
    return held < slots->share ? free_one : NULL;
}

struct slot *
slots_enter(struct slots *slots, struct channel_id id)
{
    struct slot *slot = NULL;
    bool hangs = false;
    int64_t oldest_us;

    pthread_mutex_lock(&slots->lock);
    while (!hangs && (slot = find_free(slots, id, &oldest_us)) == NULL) {
        hangs = clock_mono_us(clock_system()) >= oldest_us + SLOT_HANGS_US;
        if (!hangs)
            cond_wait_until(&slots->freed, &slots->lock, oldest_us + SLOT_HANGS_US);
    }
    if (slot != NULL)
        *slot = (struct slot){.id = id, .begun_us = clock_mono_us(clock_system())};
    pthread_mutex_unlock(&slots->lock);
    return slot;
}

void
slots_leave(struct slots *slots, struct slot **slot)
{
    if (*slot == NULL)
        return;
    pthread_mutex_lock(&slots->lock);
    **slot = (struct slot){.begun_us = 0};
    pthread_cond_broadcast(&slots->freed);
    pthread_mutex_unlock(&slots->lock);
    *slot = NULL;
}
