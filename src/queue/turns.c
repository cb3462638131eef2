/*
 * turns.c - a rotation and a heap for each topic, under one lock
 *
 * Of a topic's idle workers one, the timer, sleeps until the earliest hint; the others sleep until
 * they are called. So a due time wakes one thread, and so does a wake-up.
 */
#include "queue/turns.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/thread.h"

enum entry_state { ENTRY_IDLE, ENTRY_TIMED, ENTRY_LINED_UP };

struct organization {
    struct organization_id id;
    bool removed;
    unsigned taken; /* claims under way */
    struct turns_entry *entries;
};

struct turns_entry {
    struct organization *organization;
    struct turns_topic *topic;
    struct turns_entry *next_of_organization;
    struct turns_entry *prev, *next; /* while lined up */
    size_t heap_at;                  /* while timed */
    int64_t due_us;                  /* TURNS_NEVER while idle */
    enum entry_state state;
};

struct turns_topic {
    char name[TURNS_MAX_TOPIC_BYTES + 1];
    struct turns_entry *first, *last; /* the rotation */
    struct turns_entry **heap;
    size_t heap_count, heap_capacity;
    unsigned workers, idle, busy, lined_up;
    bool has_timer; /* an idle worker beside those counted in idle */
    pthread_cond_t called;
    pthread_cond_t timer_called;
};

struct turns {
    pthread_mutex_t lock;   /* guards everything */
    pthread_cond_t changed; /* for those who wait for idleness, and for claims to end */
    unsigned watchers;
    uint64_t happened;
    struct clock *clock;
    int64_t max_wait_us;
    struct map organizations;
    struct turns_topic *topics[TURNS_MAX_TOPICS];
    size_t topic_count;
    bool stopped; /* nobody takes a turn any more */
};

static void *
must_alloc(size_t size)
{
    void *made = calloc(1, size);

    if (made == NULL)
        abort();
    return made;
}

/* ---------------------------------------------------------------- heap by due time */

static void
heap_set(struct turns_topic *topic, size_t at, struct turns_entry *entry)
{
    topic->heap[at] = entry;
    entry->heap_at = at;
}

static void
heap_rise(struct turns_topic *topic, size_t at)
{
    struct turns_entry *entry = topic->heap[at];

    while (at > 0 && topic->heap[(at - 1) / 2]->due_us > entry->due_us) {
        heap_set(topic, at, topic->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(topic, at, entry);
}

static void
heap_sink(struct turns_topic *topic, size_t at)
{
    struct turns_entry *entry = topic->heap[at];
    size_t child;

    while ((child = 2 * at + 1) < topic->heap_count) {
        if (child + 1 < topic->heap_count &&
            topic->heap[child + 1]->due_us < topic->heap[child]->due_us)
            child++;
        if (topic->heap[child]->due_us >= entry->due_us)
            break;
        heap_set(topic, at, topic->heap[child]);
        at = child;
    }
    heap_set(topic, at, entry);
}

static void
heap_add(struct turns_topic *topic, struct turns_entry *entry)
{
    if (topic->heap_count == topic->heap_capacity) {
        topic->heap_capacity = topic->heap_capacity == 0 ? 16 : topic->heap_capacity * 2;
        topic->heap = reallocarray(topic->heap, topic->heap_capacity, sizeof(*topic->heap));
        if (topic->heap == NULL)
            abort();
    }
    heap_set(topic, topic->heap_count++, entry);
    heap_rise(topic, entry->heap_at);
}

static void
heap_remove(struct turns_topic *topic, struct turns_entry *entry)
{
    size_t at = entry->heap_at;
    struct turns_entry *last = topic->heap[--topic->heap_count];

    if (last == entry)
        return;
    heap_set(topic, at, last);
    heap_rise(topic, at);
    heap_sink(topic, last->heap_at);
}

/* ---------------------------------------------------------------- rotation */

static void
line_up(struct turns_topic *topic, struct turns_entry *entry)
{
    entry->state = ENTRY_LINED_UP;
    entry->next = NULL;
    entry->prev = topic->last;
    if (topic->last != NULL)
        topic->last->next = entry;
    else
        topic->first = entry;
    topic->last = entry;
    topic->lined_up++;
}

static void
line_leave(struct turns_topic *topic, struct turns_entry *entry)
{
    if (entry->prev != NULL)
        entry->prev->next = entry->next;
    else
        topic->first = entry->next;
    if (entry->next != NULL)
        entry->next->prev = entry->prev;
    else
        topic->last = entry->prev;
    entry->prev = entry->next = NULL;
    topic->lined_up--;
}

/* Wakes one worker that sleeps, if any does. */
static void
call_worker(struct turns_topic *topic)
{
    if (topic->idle > 0)
        pthread_cond_signal(&topic->called);
    else if (topic->has_timer)
        pthread_cond_signal(&topic->timer_called);
}

/* Puts an entry that is in no container where its due time belongs. */
static void
entry_place(struct turns *turns, struct turns_entry *entry, int64_t due_us)
{
    struct turns_topic *topic = entry->topic;

    entry->due_us = due_us;
    if (due_us == TURNS_NEVER) {
        entry->state = ENTRY_IDLE;
    } else if (due_us <= clock_wall_us(turns->clock)) {
        line_up(topic, entry);
        call_worker(topic);
    } else {
        entry->state = ENTRY_TIMED;
        heap_add(topic, entry);
        if (topic->heap[0] != entry)
            return;
        if (topic->has_timer)
            pthread_cond_signal(&topic->timer_called);
        else
            call_worker(topic);
    }
}

static void
entry_withdraw(struct turns_entry *entry)
{
    if (entry->state == ENTRY_TIMED)
        heap_remove(entry->topic, entry);
    else if (entry->state == ENTRY_LINED_UP)
        line_leave(entry->topic, entry);
    entry->state = ENTRY_IDLE;
    entry->due_us = TURNS_NEVER;
}

static void
entry_wake(struct turns *turns, struct turns_entry *entry, int64_t due_us)
{
    if (due_us >= entry->due_us || entry->state == ENTRY_LINED_UP)
        return;
    entry_withdraw(entry);
    entry_place(turns, entry, due_us);
}

static struct turns_entry *
get_entry(struct organization *organization, struct turns_topic *topic)
{
    struct turns_entry *entry = organization->entries;

    while (entry != NULL && entry->topic != topic)
        entry = entry->next_of_organization;
    if (entry == NULL) {
        entry = must_alloc(sizeof(*entry));
        entry->organization = organization;
        entry->topic = topic;
        entry->due_us = TURNS_NEVER;
        entry->next_of_organization = organization->entries;
        organization->entries = entry;
    }
    return entry;
}

static void
note_change(struct turns *turns)
{
    turns->happened++;
    if (turns->watchers > 0)
        pthread_cond_broadcast(&turns->changed);
}

/* ---------------------------------------------------------------- topics and organizations */

struct turns *
turns_create(struct clock *clock, size_t max_organizations, int64_t max_wait_us)
{
    struct turns *turns = must_alloc(sizeof(*turns));

    pthread_mutex_init(&turns->lock, NULL);
    cond_init(&turns->changed);
    map_init(&turns->organizations, max_organizations);
    turns->clock = clock;
    turns->max_wait_us = max_wait_us;
    return turns;
}

void
turns_destroy(struct turns **turns_ref)
{
    struct turns *turns = *turns_ref;
    struct map_entry *at;

    if (turns == NULL)
        return;
    MAP_FOREACH (&turns->organizations, at) {
        struct organization *organization = at->value;

        while (organization->entries != NULL) {
            struct turns_entry *entry = organization->entries;

            organization->entries = entry->next_of_organization;
            free(entry);
        }
        free(organization);
    }
    for (size_t i = 0; i < turns->topic_count; i++) {
        struct turns_topic *topic = turns->topics[i];

        assert(topic->workers == 0);
        pthread_cond_destroy(&topic->called);
        pthread_cond_destroy(&topic->timer_called);
        free(topic->heap);
        free(topic);
    }
    map_deinit(&turns->organizations);
    pthread_cond_destroy(&turns->changed);
    pthread_mutex_destroy(&turns->lock);
    free(turns);
    *turns_ref = NULL;
}

static struct turns_topic *
get_topic(struct turns *turns, struct str name)
{
    struct turns_topic *topic;
    struct map_entry *at;

    for (size_t i = 0; i < turns->topic_count; i++) {
        if (str_eq_c(name, turns->topics[i]->name))
            return turns->topics[i];
    }
    if (turns->topic_count == TURNS_MAX_TOPICS || name.len > TURNS_MAX_TOPIC_BYTES)
        return NULL;
    topic = must_alloc(sizeof(*topic));
    memcpy(topic->name, name.ptr, name.len);
    cond_init(&topic->called);
    cond_init(&topic->timer_called);
    turns->topics[turns->topic_count++] = topic;
    MAP_FOREACH (&turns->organizations, at) {
        struct organization *organization = at->value;

        if (!organization->removed)
            entry_wake(turns, get_entry(organization, topic), 0);
    }
    return topic;
}

struct turns_topic *
turns_get_topic(struct turns *turns, struct str name)
{
    struct turns_topic *topic;

    pthread_mutex_lock(&turns->lock);
    topic = get_topic(turns, name);
    pthread_mutex_unlock(&turns->lock);
    return topic;
}

size_t
turns_topics(struct turns *turns, char names[TURNS_MAX_TOPICS][TURNS_MAX_TOPIC_BYTES + 1])
{
    size_t count;

    pthread_mutex_lock(&turns->lock);
    count = turns->topic_count;
    for (size_t i = 0; i < count; i++)
        memcpy(names[i], turns->topics[i]->name, sizeof(names[i]));
    pthread_mutex_unlock(&turns->lock);
    return count;
}

size_t
turns_served(struct turns *turns, struct queue_served_topic topics[TURNS_MAX_TOPICS])
{
    size_t count = 0;

    pthread_mutex_lock(&turns->lock);
    for (size_t i = 0; i < turns->topic_count; i++) {
        const struct turns_topic *topic = turns->topics[i];
        unsigned taken = topic->busy + topic->lined_up;

        if (topic->workers == 0)
            continue;
        memcpy(topics[count].name, topic->name, sizeof(topic->name));
        topics[count++].room = topic->workers > taken ? topic->workers - taken : 0;
    }
    pthread_mutex_unlock(&turns->lock);
    return count;
}

static struct organization *
add_organization(struct turns *turns, const struct organization_id *id)
{
    struct organization *organization = must_alloc(sizeof(*organization));
    void *replaced;
    struct err err;

    organization->id = *id;
    if (map_put(&turns->organizations, id_str(&id->id), organization, &replaced, &err) != ST_OK) {
        LOG_ERR(LOG_ERROR, "queue.too_many_organizations", &err);
        free(organization);
        return NULL;
    }
    for (size_t i = 0; i < turns->topic_count; i++)
        entry_wake(turns, get_entry(organization, turns->topics[i]), 0);
    return organization;
}

static void
see_organization(struct turns *turns, struct organization_id id, bool add_removed)
{
    struct organization *organization;

    pthread_mutex_lock(&turns->lock);
    organization = map_find(&turns->organizations, id_str(&id.id));
    if (organization == NULL) {
        (void)add_organization(turns, &id);
    } else if (organization->removed && add_removed) {
        organization->removed = false;
        for (size_t i = 0; i < turns->topic_count; i++)
            entry_wake(turns, get_entry(organization, turns->topics[i]), 0);
    }
    pthread_mutex_unlock(&turns->lock);
}

void
turns_add_organization(struct turns *turns, struct organization_id id)
{
    see_organization(turns, id, true);
}

void
turns_see_organization(struct turns *turns, struct organization_id id)
{
    see_organization(turns, id, false);
}

/* What stays of it is its id, so that a wake-up on its way does not bring it back. */
void
turns_remove_organization(struct turns *turns, struct organization_id id)
{
    struct organization *organization;

    pthread_mutex_lock(&turns->lock);
    organization = map_find(&turns->organizations, id_str(&id.id));
    if (organization == NULL)
        organization = add_organization(turns, &id);
    if (organization != NULL) {
        organization->removed = true;
        for (struct turns_entry *e = organization->entries; e != NULL; e = e->next_of_organization)
            entry_withdraw(e);
        turns->watchers++;
        while (organization->taken > 0)
            pthread_cond_wait(&turns->changed, &turns->lock);
        turns->watchers--;
    }
    pthread_mutex_unlock(&turns->lock);
}

void
turns_wake(struct turns *turns, struct organization_id id, struct str name, int64_t due_us)
{
    struct organization *organization;
    struct turns_topic *topic;

    pthread_mutex_lock(&turns->lock);
    organization = map_find(&turns->organizations, id_str(&id.id));
    if (organization == NULL)
        organization = add_organization(turns, &id);
    topic = get_topic(turns, name);
    if (organization != NULL && !organization->removed && topic != NULL)
        entry_wake(turns, get_entry(organization, topic), due_us);
    note_change(turns);
    pthread_mutex_unlock(&turns->lock);
}

void
turns_wake_all(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    for (size_t i = 0; i < turns->topic_count; i++) {
        pthread_cond_broadcast(&turns->topics[i]->called);
        pthread_cond_broadcast(&turns->topics[i]->timer_called);
    }
    note_change(turns);
    pthread_mutex_unlock(&turns->lock);
}

/* ---------------------------------------------------------------- workers */

void
turns_enter(struct turns *turns, struct turns_topic *topic)
{
    pthread_mutex_lock(&turns->lock);
    topic->workers++;
    pthread_mutex_unlock(&turns->lock);
}

void
turns_leave(struct turns *turns, struct turns_topic *topic)
{
    pthread_mutex_lock(&turns->lock);
    topic->workers--;
    note_change(turns);
    pthread_mutex_unlock(&turns->lock);
}

static void
line_up_due(struct turns_topic *topic, int64_t now_us)
{
    while (topic->heap_count > 0 && topic->heap[0]->due_us <= now_us) {
        struct turns_entry *entry = topic->heap[0];

        heap_remove(topic, entry);
        line_up(topic, entry);
    }
}

static void
wait_for_turn(struct turns *turns, struct turns_topic *topic, int64_t now_us)
{
    if (topic->heap_count > 0 && !topic->has_timer) {
        int64_t wait_us = topic->heap[0]->due_us - now_us;

        if (wait_us > turns->max_wait_us)
            wait_us = turns->max_wait_us;
        topic->has_timer = true;
        /* Always on the system's clock: a manual one does not wake anybody. */
        (void)cond_wait_until(&topic->timer_called, &turns->lock,
                              clock_mono_us(clock_system()) + wait_us);
        topic->has_timer = false;
    } else {
        topic->idle++;
        pthread_cond_wait(&topic->called, &turns->lock);
        topic->idle--;
    }
}

bool
turns_take(struct turns *turns, struct turns_topic *topic, const bool *stop, struct turn *turn_out)
{
    struct turns_entry *entry;
    bool taken = false;

    pthread_mutex_lock(&turns->lock);
    while (!*stop && !turns->stopped && !taken) {
        int64_t now_us = clock_wall_us(turns->clock);

        line_up_due(topic, now_us);
        entry = topic->first;
        taken = entry != NULL;
        if (!taken) {
            wait_for_turn(turns, topic, now_us);
            continue;
        }
        line_leave(topic, entry);
        entry->state = ENTRY_IDLE; /* for the next wake-up, though this look has only begun */
        entry->due_us = TURNS_NEVER;
        entry->organization->taken++;
        topic->busy++;
        *turn_out = (struct turn){entry->organization->id, entry};
    }
    /* Who leaves with a turn hands the watch on: others may be lined up, or due soon. A stopping
     * worker too, because the call that woke it may have been meant for a worker of another group.
     */
    if (topic->first != NULL || (topic->heap_count > 0 && !topic->has_timer))
        call_worker(topic);
    pthread_mutex_unlock(&turns->lock);
    return taken;
}

void
turns_finish(struct turns *turns, const struct turn *turn, int64_t next_due_us)
{
    struct turns_entry *entry = turn->entry;

    pthread_mutex_lock(&turns->lock);
    entry->organization->taken--;
    if (!entry->organization->removed)
        entry_wake(turns, entry, next_due_us);
    note_change(turns);
    pthread_mutex_unlock(&turns->lock);
}

void
turns_end(struct turns *turns, struct turns_topic *topic)
{
    pthread_mutex_lock(&turns->lock);
    topic->busy--;
    note_change(turns);
    pthread_mutex_unlock(&turns->lock);
}

void
turns_stop(struct turns *turns, struct turns_topic *topic, bool *stop)
{
    pthread_mutex_lock(&turns->lock);
    *stop = true;
    pthread_cond_broadcast(&topic->called);
    pthread_cond_broadcast(&topic->timer_called);
    pthread_mutex_unlock(&turns->lock);
}

void
turns_stop_all(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->stopped = true;
    for (size_t i = 0; i < turns->topic_count; i++) {
        pthread_cond_broadcast(&turns->topics[i]->called);
        pthread_cond_broadcast(&turns->topics[i]->timer_called);
    }
    pthread_mutex_unlock(&turns->lock);
}

/* ---------------------------------------------------------------- idleness */

static bool
is_idle(const struct turns *turns)
{
    int64_t now_us = clock_wall_us(turns->clock);

    for (size_t i = 0; i < turns->topic_count; i++) {
        const struct turns_topic *topic = turns->topics[i];

        if (topic->busy > 0)
            return false;
        if (topic->workers > 0 &&
            (topic->first != NULL || (topic->heap_count > 0 && topic->heap[0]->due_us <= now_us)))
            return false;
    }
    return true;
}

bool
turns_wait_idle(struct turns *turns, int64_t mono_deadline_us, uint64_t *happened_out)
{
    bool in_time = true;
    bool idle;

    pthread_mutex_lock(&turns->lock);
    turns->watchers++;
    while (!(idle = is_idle(turns)) && in_time)
        in_time = cond_wait_until(&turns->changed, &turns->lock, mono_deadline_us);
    turns->watchers--;
    *happened_out = turns->happened;
    pthread_mutex_unlock(&turns->lock);
    return idle;
}

bool
turns_wait_change(struct turns *turns, uint64_t happened, int64_t mono_deadline_us)
{
    bool in_time = true;
    bool changed;

    pthread_mutex_lock(&turns->lock);
    turns->watchers++;
    while (!(changed = turns->happened != happened) && in_time)
        in_time = cond_wait_until(&turns->changed, &turns->lock, mono_deadline_us);
    turns->watchers--;
    pthread_mutex_unlock(&turns->lock);
    return changed;
}
