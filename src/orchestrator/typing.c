/*
 * typing.c - shows "typing" while an answer is made
 *
 * One thread serves all answers. The first sign is sent only when the answer takes longer than a
 * moment: most do not, and a provider's rate limit is better kept for messages.
 */
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "orchestrator/orchestrator_private.h"

#define FIRST_SIGN_US (300 * US_PER_MS)

struct typing {
    struct channel *channel; /* a reference of its own: an answer never waits for a sign */
    char external_chat_id[128];
    int64_t due_us;
    bool sending; /* the thread uses it now, and frees it if it has ended meanwhile */
    bool ended;
    struct typing *next;
};

struct typing_keeper {
    pthread_t thread;
    pthread_mutex_t lock; /* guards list, stopping */
    pthread_cond_t changed;
    struct typing *list;
    struct channel_registry *channels;
    bool stopping;
};

/* The lock is held. */
static void
unlink_typing(struct typing_keeper *keeper, struct typing *typing)
{
    struct typing **link;

    for (link = &keeper->list; *link != typing; link = &(*link)->next)
        ;
    *link = typing->next;
}

static void
free_typing(struct typing *typing)
{
    channel_release(&typing->channel);
    free(typing);
}

static struct typing *
earliest(struct typing_keeper *keeper)
{
    struct typing *typing, *first = NULL;

    for (typing = keeper->list; typing != NULL; typing = typing->next)
        if (first == NULL || typing->due_us < first->due_us)
            first = typing;
    return first;
}

static void *
keep_typing(void *arg)
{
    struct typing_keeper *keeper = arg;

    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stopping) {
        struct typing *typing = earliest(keeper);

        if (typing == NULL) {
            pthread_cond_wait(&keeper->changed, &keeper->lock);
            continue;
        }
        if (typing->due_us > clock_mono_us(clock_system())) {
            cond_wait_until(&keeper->changed, &keeper->lock, typing->due_us);
            continue;
        }
        typing->sending = true;
        pthread_mutex_unlock(&keeper->lock);
        channel_typing(typing->channel, str_from_c(typing->external_chat_id));
        pthread_mutex_lock(&keeper->lock);
        typing->sending = false;
        typing->due_us =
            clock_mono_us(clock_system()) + channel_typing_interval_ms(typing->channel) * US_PER_MS;
        if (typing->ended) {
            unlink_typing(keeper, typing);
            free_typing(typing);
        }
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

enum status
typing_keeper_create(struct channel_registry *channels, struct typing_keeper **keeper_out,
                     struct err *err)
{
    struct typing_keeper *keeper = calloc(1, sizeof(*keeper));
    enum status st;

    *keeper_out = NULL;
    if (keeper == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for the typing keeper");
    keeper->channels = channels;
    pthread_mutex_init(&keeper->lock, NULL);
    cond_init(&keeper->changed);
    st = thread_start("typing", keep_typing, keeper, &keeper->thread, err);
    if (st != ST_OK) {
        free(keeper);
        return st;
    }
    *keeper_out = keeper;
    return ST_OK;
}

void
typing_keeper_destroy(struct typing_keeper **keeper_ref)
{
    struct typing_keeper *keeper = *keeper_ref;

    if (keeper == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    while (keeper->list != NULL) { /* ended while their sign was being sent */
        struct typing *typing = keeper->list;

        keeper->list = typing->next;
        free_typing(typing);
    }
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
    *keeper_ref = NULL;
}

struct typing *
typing_begin(struct typing_keeper *keeper, struct channel *channel, struct str external_chat_id)
{
    struct typing *typing;
    struct err err;

    if ((channel_caps(channel) & CHANNEL_CAN_TYPE) == 0 ||
        external_chat_id.len >= sizeof(typing->external_chat_id))
        return NULL;
    typing = calloc(1, sizeof(*typing));
    if (typing == NULL)
        return NULL;
    if (channel_acquire(keeper->channels, channel_record(channel), &typing->channel, &err) !=
        ST_OK) {
        free(typing);
        return NULL;
    }
    memcpy(typing->external_chat_id, external_chat_id.ptr, external_chat_id.len);
    typing->due_us = clock_mono_us(clock_system()) + FIRST_SIGN_US;
    pthread_mutex_lock(&keeper->lock);
    typing->next = keeper->list;
    keeper->list = typing;
    if (earliest(keeper) == typing) /* else the thread wakes early enough */
        pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    return typing;
}

void
typing_end(struct typing_keeper *keeper, struct typing **typing_ref)
{
    struct typing *typing = *typing_ref;
    bool busy;

    if (typing == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    busy = typing->sending;
    if (busy)
        typing->ended = true;
    else
        unlink_typing(keeper, typing);
    pthread_mutex_unlock(&keeper->lock);
    if (!busy)
        free_typing(typing);
    *typing_ref = NULL;
}
