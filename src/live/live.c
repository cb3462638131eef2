/*
 * live.c - rings of events, one lock, callbacks outside of it
 *
 * One mutex guards the whole hub: every critical section is a few pointer moves, and one lock makes
 * the limits on topics and bytes exact. Callbacks run without it. A subscription has a cursor (the
 * number it gets next) and at most one thread that serves it: whoever finds it idle marks it, takes
 * event after event out of the ring until it has caught up, and lets go. So order needs no queue
 * per subscriber, and a subscriber costs no more than its struct.
 *
 *   IDLE --publish, subscribe--> QUEUED --its turn--> RUNNING --caught up--> IDLE
 *     |                            |                     |--on_event said no--> ENDED
 *     '------- unsubscribe --------'--> gone             '--unsubscribe waits
 */
#include "live/live.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/thread.h"
#include "live/live_driver.h"

#define EPOCH_BYTES 17                          /* 16 digits and a NUL */
#define ID_BYTES (EPOCH_BYTES - 1 + 1 + 20 + 1) /* epoch, '-', number, NUL */
#define MAX_TOPIC_BYTES 256
#define FIRST_SLOTS 4
#define DEFAULT_JOIN_MS 250

struct event {
    unsigned refs; /* the ring, and every callback that reads it now */
    unsigned id_len, type_len;
    size_t data_len;
    char bytes[]; /* id, type, data */
};

struct link {
    struct link *prev, *next; /* NULL: in no list */
};

enum subscription_state { SUB_IDLE, SUB_QUEUED, SUB_RUNNING, SUB_ENDED };

struct ring {
    struct link unused;  /* in hub->unused while it has no subscriber, longest first */
    struct link holding; /* in hub->holding while it has events, longest silent first */
    struct str key;      /* owned */
    char epoch[EPOCH_BYTES];
    unsigned subscribers;
    struct live_subscription *first_subscription;
    struct event **slots; /* ring buffer; grows up to events_per_topic */
    unsigned slot_count, head, count;
    uint64_t last_number; /* of the newest event ever published; 0: none */
    uint64_t pushed;      /* newest that came while it was apart */
    bool joined;          /* without a driver: always */
    int64_t unused_since_us;
};

struct live_subscription {
    struct live_hub *hub;
    struct ring *ring; /* NULL once ended */
    struct live_subscription *prev, *next;
    struct live_subscription *next_queued; /* of the thread that will serve it */
    live_on_event on_event;
    void *context;
    uint64_t next_number;
    uint8_t state;
    bool abandoned; /* unsubscribed while queued: the server frees it */
    bool must_reset;
    bool placed; /* its cursor says something */
};

struct live_hub {
    pthread_mutex_t lock; /* guards everything below but config */
    pthread_cond_t served;
    pthread_cond_t joined;  /* a ring has, or the link is lost */
    struct live_link *link; /* NULL: no driver */
    unsigned unsubscribers; /* threads that wait for served */
    struct map rings;
    struct link unused, holding; /* heads */
    size_t bytes;
    unsigned subscribers;
    unsigned subscriptions; /* structs, ended ones too */
    struct live_config config;
};

/* ---------------------------------------------------------------- lists */

static void
list_init(struct link *head)
{
    head->prev = head->next = head;
}

static void
list_remove(struct link *link)
{
    if (link->next == NULL)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

static void
list_move_to_end(struct link *head, struct link *link)
{
    list_remove(link);
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static struct ring *
ring_of_unused(struct link *link)
{
    return (struct ring *)((char *)link - offsetof(struct ring, unused));
}

static struct ring *
ring_of_holding(struct link *link)
{
    return (struct ring *)((char *)link - offsetof(struct ring, holding));
}

/* ---------------------------------------------------------------- events and rings, under the lock
 */

static void *
must_alloc(size_t size)
{
    void *made = calloc(1, size);

    if (made == NULL)
        abort();
    return made;
}

static size_t
event_bytes(const struct event *event)
{
    return sizeof(*event) + event->id_len + event->type_len + event->data_len;
}

static void
event_unref(struct event *event)
{
    if (--event->refs == 0)
        free(event);
}

static void
ring_drop_oldest(struct live_hub *hub, struct ring *ring)
{
    struct event *event = ring->slots[ring->head];

    assert(ring->count > 0 && ring->slot_count > 0);
    ring->head = (ring->head + 1) % ring->slot_count;
    ring->count--;
    hub->bytes -= event_bytes(event);
    event_unref(event);
    if (ring->count == 0)
        list_remove(&ring->holding);
}

static void
ring_drop_all(struct live_hub *hub, struct ring *ring)
{
    while (ring->count > 0)
        ring_drop_oldest(hub, ring);
    hub->bytes -= ring->slot_count * sizeof(struct event *);
    free(ring->slots);
    ring->slots = NULL;
    ring->slot_count = ring->head = 0;
}

static void
ring_destroy(struct live_hub *hub, struct ring *ring)
{
    assert(ring->subscribers == 0);
    if (hub->link != NULL)
        hub->link->driver->leave(hub->link, ring->key);
    ring_drop_all(hub, ring);
    list_remove(&ring->unused);
    (void)map_remove(&hub->rings, ring->key);
    free((void *)(uintptr_t)ring->key.ptr); // NOLINT(performance-no-int-to-ptr)
    free(ring);
}

static void
ring_lost_subscriber(struct live_hub *hub, struct ring *ring)
{
    if (--ring->subscribers > 0)
        return;
    ring->unused_since_us = clock_mono_us(hub->config.clock);
    list_move_to_end(&hub->unused, &ring->unused);
}

static void
drop_stale_rings(struct live_hub *hub)
{
    int64_t oldest_us = clock_mono_us(hub->config.clock) - hub->config.keep_us;

    while (hub->unused.next != &hub->unused) {
        struct ring *ring = ring_of_unused(hub->unused.next);

        if (ring->unused_since_us > oldest_us)
            break;
        ring_destroy(hub, ring);
    }
}

/* The number of the oldest event held; one past the last when none is. */
static uint64_t
ring_first_number(const struct ring *ring)
{
    return ring->last_number - ring->count + 1;
}

static void
ring_make_slot(struct live_hub *hub, struct ring *ring)
{
    unsigned wanted = ring->slot_count == 0 ? FIRST_SLOTS : ring->slot_count * 2;
    struct event **slots;

    if (ring->count == hub->config.events_per_topic)
        ring_drop_oldest(hub, ring);
    if (ring->count < ring->slot_count)
        return;
    if (wanted > hub->config.events_per_topic)
        wanted = hub->config.events_per_topic;
    assert(ring->count == 0 || ring->slot_count > 0);
    slots = must_alloc(wanted * sizeof(struct event *));
    for (unsigned i = 0; i < ring->count; i++)
        slots[i] = ring->slots[(ring->head + i) % ring->slot_count];
    hub->bytes += (wanted - ring->slot_count) * sizeof(struct event *);
    free(ring->slots);
    ring->slots = slots;
    ring->slot_count = wanted;
    ring->head = 0;
}

/* Whoever has no subscriber pays first, then the topic that grows, then the longest silent one. May
 * drop even the newest event: its subscribers are then sent a reset. */
static void
enforce_max_bytes(struct live_hub *hub, struct ring *ring)
{
    bool gone = false;

    while (hub->bytes > hub->config.max_bytes && hub->unused.next != &hub->unused) {
        struct ring *victim = ring_of_unused(hub->unused.next);

        gone = gone || victim == ring;
        ring_destroy(hub, victim);
    }
    while (!gone && hub->bytes > hub->config.max_bytes && ring->count > 1)
        ring_drop_oldest(hub, ring);
    while (hub->bytes > hub->config.max_bytes && hub->holding.next != &hub->holding)
        ring_drop_all(hub, ring_of_holding(hub->holding.next));
}

static void
ring_append(struct live_hub *hub, struct ring *ring, struct str type, struct str data)
{
    char id[ID_BYTES];
    size_t id_len;
    struct event *event;

    ring->last_number++;
    id_len = (size_t)snprintf(id, sizeof(id), "%s-%" PRIu64, ring->epoch, ring->last_number);
    if (data.len > hub->config.max_bytes || type.len > MAX_TOPIC_BYTES) {
        /* It cannot be held; what is older must not look as if nothing followed. */
        ring_drop_all(hub, ring);
        return;
    }
    ring_make_slot(hub, ring);
    event = must_alloc(sizeof(*event) + id_len + type.len + data.len);
    event->refs = 1;
    event->id_len = (unsigned)id_len;
    event->type_len = (unsigned)type.len;
    event->data_len = data.len;
    memcpy(event->bytes, id, id_len);
    if (type.len > 0)
        memcpy(event->bytes + id_len, type.ptr, type.len);
    if (data.len > 0)
        memcpy(event->bytes + id_len + type.len, data.ptr, data.len);
    ring->slots[(ring->head + ring->count) % ring->slot_count] = event;
    ring->count++;
    hub->bytes += event_bytes(event);
    list_move_to_end(&hub->holding, &ring->holding);
    enforce_max_bytes(hub, ring);
}

/* ---------------------------------------------------------------- subscriptions */

static void
subscription_unlink(struct live_subscription *subscription)
{
    struct ring *ring = subscription->ring;

    if (ring == NULL)
        return;
    if (subscription->prev != NULL)
        subscription->prev->next = subscription->next;
    else
        ring->first_subscription = subscription->next;
    if (subscription->next != NULL)
        subscription->next->prev = subscription->prev;
    subscription->ring = NULL;
    subscription->hub->subscribers--;
    ring_lost_subscriber(subscription->hub, ring);
}

static void
subscription_free(struct live_subscription *subscription)
{
    subscription->hub->subscriptions--;
    free(subscription);
}

/* Calls on_event with the lock released. */
static bool
call(struct live_subscription *subscription, const struct live_event *event)
{
    pthread_mutex_t *lock = &subscription->hub->lock;
    bool goes_on;

    pthread_mutex_unlock(lock);
    goes_on = subscription->on_event(event, subscription->context);
    pthread_mutex_lock(lock);
    return goes_on;
}

static bool
call_with_reset(struct live_subscription *subscription)
{
    struct ring *ring = subscription->ring;
    char id[ID_BYTES];
    int id_len = snprintf(id, sizeof(id), "%s-%" PRIu64, ring->epoch, ring->last_number);
    struct live_event event = {
        .id = str_of(id, (size_t)id_len), .type = STR("reset"), .data = STR("{}")};

    subscription->must_reset = false;
    subscription->next_number = ring->last_number + 1;
    return call(subscription, &event);
}

static bool
call_with_next(struct live_subscription *subscription)
{
    struct ring *ring = subscription->ring;
    uint64_t behind = subscription->next_number - ring_first_number(ring);
    struct event *event = ring->slots[(ring->head + behind) % ring->slot_count];
    const char *type = event->bytes + event->id_len;
    struct live_event view = {.id = str_of(event->bytes, event->id_len),
                              .type = str_of(type, event->type_len),
                              .data = str_of(type + event->type_len, event->data_len)};
    bool goes_on;

    event->refs++;
    subscription->next_number++;
    goes_on = call(subscription, &view);
    event_unref(event);
    return goes_on;
}

/* Brings the subscription up to date. Called and returns with the lock held; the subscription may
 * be gone afterwards. */
static void
serve(struct live_subscription *subscription)
{
    struct live_hub *hub = subscription->hub;
    bool goes_on = true;

    if (subscription->abandoned) {
        subscription_free(subscription);
        return;
    }
    subscription->state = SUB_RUNNING;
    while (goes_on && subscription->ring != NULL) {
        if (subscription->next_number < ring_first_number(subscription->ring))
            subscription->must_reset = true;
        if (subscription->must_reset)
            goes_on = call_with_reset(subscription);
        else if (subscription->next_number <= subscription->ring->last_number)
            goes_on = call_with_next(subscription);
        else
            break;
    }
    if (!goes_on)
        subscription_unlink(subscription);
    subscription->state = subscription->ring == NULL ? SUB_ENDED : SUB_IDLE;
    if (hub->unsubscribers > 0)
        pthread_cond_broadcast(&hub->served);
}

/* ---------------------------------------------------------------- public */

static enum status
open_link(struct live_hub *hub, const struct live_config *config, struct err *err)
{
    const struct live_driver *driver = config->driver;

    assert(driver->open != NULL && driver->close != NULL && driver->join != NULL &&
           driver->leave != NULL && driver->publish != NULL &&
           driver->size >= sizeof(struct live_link));
    hub->link = must_alloc(driver->size);
    hub->link->driver = driver;
    hub->link->hub = hub;
    return driver->open(hub->link, config, err);
}

enum status
live_hub_create(const struct live_config *config, struct live_hub **hub_out, struct err *err)
{
    struct live_hub *hub;
    enum status st;

    *hub_out = NULL;
    if (config->max_topics == 0 || config->events_per_topic == 0 || config->keep_us < 0)
        return err_set_detail(err, ST_INVALID, "live hub: limits must be above zero");
    hub = must_alloc(sizeof(*hub));
    hub->config = *config;
    pthread_mutex_init(&hub->lock, NULL);
    cond_init(&hub->served);
    cond_init(&hub->joined);
    map_init(&hub->rings, config->max_topics);
    list_init(&hub->unused);
    list_init(&hub->holding);
    st = config->driver == NULL ? ST_OK : open_link(hub, config, err);
    if (st != ST_OK)
        live_hub_destroy(&hub);
    *hub_out = hub;
    return st;
}

void
live_hub_destroy(struct live_hub **hub_ref)
{
    struct live_hub *hub = *hub_ref;

    if (hub == NULL)
        return;
    assert(hub->subscriptions == 0);
    if (hub->link != NULL)
        hub->link->driver->close(hub->link);
    free(hub->link);
    hub->link = NULL;
    while (hub->unused.next != &hub->unused)
        ring_destroy(hub, ring_of_unused(hub->unused.next));
    assert(hub->rings.count == 0 && hub->bytes == 0);
    map_deinit(&hub->rings);
    pthread_cond_destroy(&hub->joined);
    pthread_cond_destroy(&hub->served);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
    *hub_ref = NULL;
}

/* organization, '/', topic. Organization ids have one length, so no two pairs share a key. */
static struct str
make_key(const struct tenant_scope *scope, struct str topic, char *out)
{
    struct organization_id organization = tenant_scope_organization(scope);

    memcpy(out, organization.id.text, ID_TEXT_LEN);
    out[ID_TEXT_LEN] = '/';
    if (topic.len > 0)
        memcpy(out + ID_TEXT_LEN + 1, topic.ptr, topic.len);
    return str_of(out, ID_TEXT_LEN + 1 + topic.len);
}

/* The ring's subscribers that nobody serves: the caller will. */
static struct live_subscription *
queue_idle(struct ring *ring)
{
    struct live_subscription *queued = NULL;
    struct live_subscription **end = &queued;

    for (struct live_subscription *s = ring->first_subscription; s != NULL; s = s->next) {
        if (s->state != SUB_IDLE)
            continue; /* whoever serves it will find the new event */
        s->state = SUB_QUEUED;
        s->next_queued = NULL;
        *end = s;
        end = &s->next_queued;
    }
    return queued;
}

static void
serve_queued(struct live_subscription *queued)
{
    while (queued != NULL) {
        struct live_subscription *subscription = queued;

        queued = subscription->next_queued;
        serve(subscription);
    }
}

void
live_publish(struct live_hub *hub, const struct tenant_scope *scope, struct str topic,
             struct str type, struct str data)
{
    char key[ID_TEXT_LEN + 1 + MAX_TOPIC_BYTES];
    struct live_subscription *queued;
    struct ring *ring;

    if (topic.len > MAX_TOPIC_BYTES)
        return; /* nobody can have subscribed */
    if (hub->link != NULL) {
        hub->link->driver->publish(hub->link, make_key(scope, topic, key), type, data);
        return;
    }
    pthread_mutex_lock(&hub->lock);
    drop_stale_rings(hub);
    ring = map_find(&hub->rings, make_key(scope, topic, key));
    if (ring == NULL) {
        pthread_mutex_unlock(&hub->lock);
        return;
    }
    queued = queue_idle(ring);
    /* Appending may drop the ring itself when nobody subscribes to it: not used below. */
    ring_append(hub, ring, type, data);
    serve_queued(queued);
    pthread_mutex_unlock(&hub->lock);
}

/* The topic's ring, made when missing. Under the lock. */
static enum status
get_ring(struct live_hub *hub, struct str key, struct ring **ring_out, struct err *err)
{
    struct ring *ring = map_find(&hub->rings, key);
    char *own_key;
    void *replaced;
    enum status st;

    *ring_out = ring;
    if (ring != NULL)
        return ST_OK;
    if (hub->rings.count == hub->config.max_topics && hub->unused.next != &hub->unused)
        ring_destroy(hub, ring_of_unused(hub->unused.next));
    if (hub->rings.count == hub->config.max_topics)
        return err_set(err, ST_BUSY, "too many conversations are being watched; try again later");
    ring = must_alloc(sizeof(*ring));
    own_key = must_alloc(key.len);
    memcpy(own_key, key.ptr, key.len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the ring's own */
    ring->key = str_of(own_key, key.len);
    id_span(ring->epoch);
    ring->joined = hub->link == NULL;
    st = map_put(&hub->rings, ring->key, ring, &replaced, err);
    assert(st == ST_OK && replaced == NULL);
    *ring_out = ring;
    return st;
}

/* Where a subscriber that saw last_event_id goes on. False: it must be reset. */
static bool
find_place(const struct ring *ring, struct str last_event_id, uint64_t *next_number_out)
{
    struct str number = last_event_id;
    struct str epoch;
    int64_t seen;

    *next_number_out = ring->last_number + 1;
    if (last_event_id.len == 0)
        return true;
    if (!str_split(&number, '-', &epoch) || !str_eq_c(epoch, ring->epoch) ||
        !str_to_i64(number, &seen) || seen < 0)
        return false;
    if ((uint64_t)seen > ring->last_number || (uint64_t)seen + 1 < ring_first_number(ring))
        return false;
    *next_number_out = (uint64_t)seen + 1;
    return true;
}

/* Until the ring mirrors the server's: not long, and not at all when there is no link. Under the
 * lock, which is let go meanwhile; the ring has a subscriber, so that it stays. */
static void
wait_joined(struct live_hub *hub, struct ring *ring)
{
    int64_t deadline_us =
        clock_mono_us(clock_system()) +
        (hub->config.join_ms == 0 ? DEFAULT_JOIN_MS : hub->config.join_ms) * US_PER_MS;
    bool in_time = true;

    if (ring->joined)
        return;
    in_time = hub->link->driver->join(hub->link, ring->key);
    while (!ring->joined && in_time)
        in_time = cond_wait_until(&hub->joined, &hub->lock, deadline_us);
}

enum status
live_subscribe(struct live_hub *hub, const struct tenant_scope *scope, struct str topic,
               struct str last_event_id, live_on_event on_event, void *context,
               struct live_subscription **subscription_out, struct err *err)
{
    char key[ID_TEXT_LEN + 1 + MAX_TOPIC_BYTES];
    struct live_subscription *subscription;
    struct ring *ring;
    enum status st;

    *subscription_out = NULL;
    if (topic.len == 0 || topic.len > MAX_TOPIC_BYTES)
        return err_set(err, ST_INVALID, "a topic has 1 to %d bytes", MAX_TOPIC_BYTES);
    pthread_mutex_lock(&hub->lock);
    drop_stale_rings(hub);
    st = get_ring(hub, make_key(scope, topic, key), &ring, err);
    if (st != ST_OK) {
        pthread_mutex_unlock(&hub->lock);
        return st;
    }
    subscription = must_alloc(sizeof(*subscription));
    *subscription = (struct live_subscription){.hub = hub,
                                               .ring = ring,
                                               .next = ring->first_subscription,
                                               .on_event = on_event,
                                               .context = context,
                                               .state = SUB_QUEUED};
    if (subscription->next != NULL)
        subscription->next->prev = subscription;
    ring->first_subscription = subscription;
    ring->subscribers++;
    list_remove(&ring->unused);
    hub->subscribers++;
    hub->subscriptions++;
    /* Before serving: on_event may tell another thread about the subscription. */
    *subscription_out = subscription;
    wait_joined(hub, ring);
    subscription->must_reset = !find_place(ring, last_event_id, &subscription->next_number);
    subscription->placed = true;
    serve(subscription);
    pthread_mutex_unlock(&hub->lock);
    return ST_OK;
}

void
live_unsubscribe(struct live_subscription **subscription_ref)
{
    struct live_subscription *subscription = *subscription_ref;
    struct live_hub *hub;

    if (subscription == NULL)
        return;
    hub = subscription->hub;
    pthread_mutex_lock(&hub->lock);
    subscription_unlink(subscription); /* no further event */
    hub->unsubscribers++;
    while (subscription->state == SUB_RUNNING)
        pthread_cond_wait(&hub->served, &hub->lock);
    hub->unsubscribers--;
    if (subscription->state == SUB_QUEUED)
        subscription->abandoned = true;
    else
        subscription_free(subscription);
    pthread_mutex_unlock(&hub->lock);
    *subscription_ref = NULL;
}

unsigned
live_subscriber_count(const struct live_hub *hub_const)
{
    /* The lock changes, the hub does not. */
    struct live_hub *hub = (struct live_hub *)(uintptr_t)hub_const; // NOLINT
    unsigned count;

    pthread_mutex_lock(&hub->lock);
    count = hub->subscribers;
    pthread_mutex_unlock(&hub->lock);
    return count;
}

/* ---------------------------------------------------------------- for drivers */

bool
live_hub_place(struct live_hub *hub, struct str key, char epoch_out[17], uint64_t *number_out)
{
    struct ring *ring;

    pthread_mutex_lock(&hub->lock);
    ring = map_find(&hub->rings, key);
    if (ring != NULL) {
        memcpy(epoch_out, ring->epoch, EPOCH_BYTES);
        *number_out = ring->last_number;
        ring->pushed = 0;
    }
    pthread_mutex_unlock(&hub->lock);
    return ring != NULL;
}

/* What the ring holds is not what stands before the items: it begins anew with them. */
static void
ring_begin_anew(struct live_hub *hub, struct ring *ring, struct str epoch, uint64_t last_number)
{
    if (!str_eq_c(epoch, ring->epoch) || last_number < ring->last_number) {
        for (struct live_subscription *s = ring->first_subscription; s != NULL; s = s->next)
            s->must_reset = s->placed;
        (void)snprintf(ring->epoch, sizeof(ring->epoch), "%.*s", STR_ARG(epoch));
    }
    ring_drop_all(hub, ring);
    ring->last_number = last_number;
}

bool
live_hub_joined(struct live_hub *hub, struct str key, struct str epoch, uint64_t number,
                const struct live_item *items, size_t count)
{
    uint64_t before = number - count; /* the items begin behind this one */
    struct live_subscription *queued;
    struct ring *ring;
    bool whole = true;

    if (epoch.len != EPOCH_BYTES - 1 || count > number)
        return true; /* not ours: leave it apart */
    pthread_mutex_lock(&hub->lock);
    ring = map_find(&hub->rings, key);
    if (ring != NULL && ring->joined && str_eq_c(epoch, ring->epoch) && number <= ring->last_number)
        ring = NULL; /* known already */
    if (ring != NULL) {
        queued = queue_idle(ring);
        list_remove(&ring->unused); /* so that appending does not drop it */
        if (!str_eq_c(epoch, ring->epoch) || before > ring->last_number ||
            ring->last_number > number)
            ring_begin_anew(hub, ring, epoch, before);
        for (size_t i = (size_t)(ring->last_number - before); i < count; i++)
            ring_append(hub, ring, items[i].type, items[i].data);
        if (ring->subscribers == 0)
            list_move_to_end(&hub->unused, &ring->unused);
        whole = ring->pushed <= number;
        ring->joined = whole;
        if (whole)
            pthread_cond_broadcast(&hub->joined);
        serve_queued(queued);
    }
    pthread_mutex_unlock(&hub->lock);
    return whole;
}

bool
live_hub_deliver(struct live_hub *hub, struct str key, struct str epoch, uint64_t number,
                 const struct live_item *item)
{
    struct ring *ring;
    bool next = true;

    pthread_mutex_lock(&hub->lock);
    drop_stale_rings(hub);
    ring = map_find(&hub->rings, key);
    if (ring != NULL && !ring->joined) { /* a join is under way: it must not be older than this */
        if (number > ring->pushed)
            ring->pushed = number;
    } else if (ring != NULL && (!str_eq_c(epoch, ring->epoch) || number > ring->last_number + 1 ||
                                (item == NULL && number > ring->last_number))) {
        ring->joined = false;
        ring->pushed = 0;
        next = false;
    } else if (ring != NULL && item != NULL && number == ring->last_number + 1) {
        struct live_subscription *queued = queue_idle(ring);

        ring_append(hub, ring, item->type, item->data);
        serve_queued(queued);
    }
    pthread_mutex_unlock(&hub->lock);
    return next;
}

void
live_hub_lost(struct live_hub *hub)
{
    struct map_entry *at;

    pthread_mutex_lock(&hub->lock);
    MAP_FOREACH (&hub->rings, at)
        ((struct ring *)at->value)->joined = false;
    pthread_mutex_unlock(&hub->lock);
}

void
live_hub_each(struct live_hub *hub, void (*visit)(struct str key, void *context), void *context)
{
    struct map_entry *at;

    pthread_mutex_lock(&hub->lock);
    MAP_FOREACH (&hub->rings, at)
        visit(at->key, context);
    pthread_mutex_unlock(&hub->lock);
}
