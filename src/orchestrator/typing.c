/*
 * typing.c - shows "typing" while an answer is made, and what there is of it already
 *
 * A few threads serve all answers, and no provider that hangs has all of them (channel/slots.h).
 * The first sign is sent only when the answer takes longer than a moment: most do not, and a
 * provider's rate limit is better kept for messages. Drafts are previews that go away by
 * themselves: a crash leaves nothing, and the answer is sent as any other.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"
#include "channel/slots.h"
#include "orchestrator/orchestrator_private.h"

#define THREADS 8
#define FIRST_SIGN_US (300 * US_PER_MS)
#define SLOT_WAIT_US (100 * US_PER_MS) /* while a provider holds all threads it may */
#define DRAFT_MAX_BYTES ((size_t)64 * 1024)

struct typing {
    struct channel *channel; /* a reference of its own: an answer never waits for a sign */
    char external_chat_id[128];
    int64_t due_us, draft_due_us; /* of the next sign; of the next draft at the earliest */
    int64_t draft_id;
    struct growth *growth; /* NULL: it does not grow */
    struct buf text;       /* of the answer, as far as it is made */
    bool has_news;         /* text that was not shown yet */
    bool is_drafting;      /* sending, and it is a draft */
    bool sending;          /* a thread uses it now, and frees it if it has ended meanwhile */
    bool ended;
    struct typing *next;
};

struct typing_keeper {
    pthread_t threads[THREADS];
    unsigned thread_count;
    struct slots *slots;
    pthread_mutex_t lock;          /* guards list, stopping */
    pthread_cond_t changed, shown; /* shown: a draft was. changed: one thread looks again */
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
    buf_deinit(&typing->text);
    free(typing);
}

/* Of those that no thread uses. */
static struct typing *
earliest(struct typing_keeper *keeper)
{
    struct typing *typing, *first = NULL;

    for (typing = keeper->list; typing != NULL; typing = typing->next)
        if (!typing->sending && (first == NULL || typing->due_us < first->due_us))
            first = typing;
    return first;
}

/* An answer that was begun before in the chat, of the conversation before, shows its drafts: of two
 * at once neither could be read. The newest stand first in the list. */
static bool
is_behind(const struct typing *typing)
{
    for (const struct typing *older = typing->next; older != NULL; older = older->next)
        if (!older->ended && strcmp(older->external_chat_id, typing->external_chat_id) == 0 &&
            id_eq(&channel_record(older->channel)->id.id, &channel_record(typing->channel)->id.id))
            return true;
    return false;
}

/* The lock is held, and let go while the provider is called. */
static void
show_now(struct typing_keeper *keeper, struct typing *typing)
{
    struct str chat = str_from_c(typing->external_chat_id);
    bool is_draft = typing->has_news;
    struct buf text;

    buf_init(&text, DRAFT_MAX_BYTES);
    if (is_draft)
        buf_append(&text, buf_str(&typing->text));
    typing->has_news = false;
    typing->sending = true;
    typing->is_drafting = is_draft;
    pthread_cond_signal(&keeper->changed); /* another thread has the next one */
    pthread_mutex_unlock(&keeper->lock);
    if (is_draft && typing->growth != NULL)
        growth_show(typing->growth, typing->channel, buf_str(&text));
    else if (is_draft)
        channel_draft(typing->channel, chat, typing->draft_id, buf_str(&text));
    else
        channel_typing(typing->channel, chat);
    buf_deinit(&text);
    pthread_mutex_lock(&keeper->lock);
    int64_t now_us = clock_mono_us(clock_system());

    typing->sending = typing->is_drafting = false;
    typing->due_us = now_us + channel_typing_interval_ms(typing->channel) * US_PER_MS;
    if (is_draft)
        typing->draft_due_us = now_us + channel_draft_interval_ms(typing->channel) * US_PER_MS;
    if (typing->has_news)
        typing->due_us = typing->draft_due_us;
    pthread_cond_broadcast(&keeper->shown);
}

/* The lock is held, as before. */
static void
show(struct typing_keeper *keeper, struct typing *typing)
{
    struct slot *slot = slots_try(keeper->slots, channel_record(typing->channel));

    if (slot == NULL) {
        typing->due_us = clock_mono_us(clock_system()) + SLOT_WAIT_US;
        return;
    }
    show_now(keeper, typing);
    slots_leave(keeper->slots, &slot);
    if (typing->ended) {
        unlink_typing(keeper, typing);
        free_typing(typing);
    }
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
        show(keeper, typing);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

enum status
typing_keeper_create(struct channel_registry *channels, struct typing_keeper **keeper_out,
                     struct err *err)
{
    struct typing_keeper *keeper = calloc(1, sizeof(*keeper));
    enum status st = ST_OK;

    *keeper_out = NULL;
    if (keeper == NULL)
        return err_set(err, ST_UNAVAILABLE, "no memory for the typing keeper");
    keeper->channels = channels;
    pthread_mutex_init(&keeper->lock, NULL);
    cond_init(&keeper->changed);
    cond_init(&keeper->shown);
    keeper->slots = slots_create(THREADS, clock_system());
    while (st == ST_OK && keeper->thread_count < THREADS) {
        st = thread_start("typing", keep_typing, keeper, &keeper->threads[keeper->thread_count],
                          err);
        keeper->thread_count += st == ST_OK;
    }
    *keeper_out = keeper;
    if (st != ST_OK)
        typing_keeper_destroy(keeper_out);
    return st;
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
    for (unsigned i = 0; i < keeper->thread_count; i++)
        pthread_join(keeper->threads[i], NULL);
    while (keeper->list != NULL) { /* ended while their sign was being sent */
        struct typing *typing = keeper->list;

        keeper->list = typing->next;
        free_typing(typing);
    }
    pthread_cond_destroy(&keeper->changed);
    pthread_cond_destroy(&keeper->shown);
    pthread_mutex_destroy(&keeper->lock);
    slots_destroy(&keeper->slots);
    free(keeper);
    *keeper_ref = NULL;
}

struct typing *
typing_begin(struct typing_keeper *keeper, struct channel *channel, struct str external_chat_id,
             int64_t draft_id, struct growth *growth)
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
    buf_init(&typing->text, DRAFT_MAX_BYTES);
    typing->draft_id = draft_id;
    typing->growth = growth;
    typing->due_us = typing->draft_due_us = clock_mono_us(clock_system()) + FIRST_SIGN_US;
    pthread_mutex_lock(&keeper->lock);
    typing->next = keeper->list;
    keeper->list = typing;
    if (earliest(keeper) == typing) /* else a thread wakes early enough */
        pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    return typing;
}

void
typing_text(struct typing_keeper *keeper, struct typing *typing, struct str piece)
{
    if (typing == NULL ||
        (typing->growth == NULL && (channel_caps(typing->channel) & CHANNEL_SHOWS_DRAFTS) == 0))
        return;
    pthread_mutex_lock(&keeper->lock);
    buf_append(&typing->text, piece);
    typing->has_news = !typing->text.failed && !is_behind(typing);
    if (typing->has_news && typing->draft_due_us < typing->due_us && !typing->sending) {
        typing->due_us = typing->draft_due_us;
        pthread_cond_signal(&keeper->changed);
    }
    pthread_mutex_unlock(&keeper->lock);
}

void
typing_restart(struct typing_keeper *keeper, struct typing *typing)
{
    if (typing == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    buf_clear(&typing->text);
    typing->has_news = false;
    pthread_mutex_unlock(&keeper->lock);
}

void
typing_end(struct typing_keeper *keeper, struct typing **typing_ref)
{
    struct typing *typing = *typing_ref;
    bool busy;

    if (typing == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    while (typing->is_drafting)
        pthread_cond_wait(&keeper->shown, &keeper->lock);
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
