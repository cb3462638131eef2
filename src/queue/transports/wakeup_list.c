/*
 * wakeup_list.c - see the header; and what is counted of wake-ups, whatever carries them
 */
#include "queue/transports/wakeup_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/thread.h"

#define MAX_PENDING 20000

/* Process-wide: metrics. */
static struct metric published_metric = {.name = "parley_queue_wakeups_published_total",
                                         .help = "Wake-ups that the transport's server took",
                                         .kind = METRIC_COUNTER};
static struct metric dropped_metric = {
    .name = "parley_queue_wakeups_dropped_total",
    .help = "Wake-ups that could not be sent: sweeps find their jobs",
    .kind = METRIC_COUNTER};
static struct metric received_metric = {.name = "parley_queue_wakeups_received_total",
                                        .help = "Wake-ups that came through the transport",
                                        .kind = METRIC_COUNTER,
                                        .labels = {"how"}};
static struct metric bad_metric = {.name = "parley_queue_wakeups_bad_total",
                                   .help = "Entries of the transport that were no wake-ups",
                                   .kind = METRIC_COUNTER};

void
wakeup_list_init(struct wakeup_list *list)
{
    *list = (struct wakeup_list){.first = NULL};
    pthread_mutex_init(&list->lock, NULL);
    cond_init(&list->filled);
    metric_register(&published_metric);
    metric_register(&dropped_metric);
    metric_register(&received_metric);
    metric_register(&bad_metric);
}

static struct pending_wakeup *
take_first(struct wakeup_list *list)
{
    struct pending_wakeup *first = list->first;

    list->first = first->next;
    if (list->first == NULL)
        list->last = NULL;
    list->count--;
    return first;
}

void
wakeup_list_deinit(struct wakeup_list *list)
{
    while (list->count > 0)
        free(take_first(list));
    pthread_cond_destroy(&list->filled);
    pthread_mutex_destroy(&list->lock);
}

static struct pending_wakeup *
pack(const struct queue_wakeup *wakeup, int64_t now_us)
{
    struct pending_wakeup *packed = calloc(1, sizeof(*packed) + wakeup->lane.len);

    if (packed == NULL)
        abort();
    packed->organization_id = wakeup->organization_id;
    packed->user_id = wakeup->user_id;
    packed->job_id = wakeup->job_id;
    packed->due_us = wakeup->due_us;
    packed->later = wakeup->due_us > now_us;
    (void)snprintf(packed->topic, sizeof(packed->topic), "%.*s", STR_ARG(wakeup->topic));
    packed->lane_len = wakeup->lane.len;
    if (wakeup->lane.len > 0)
        memcpy(packed->lane, wakeup->lane.ptr, wakeup->lane.len);
    return packed;
}

bool
wakeup_list_add(struct wakeup_list *list, const struct queue_wakeup *wakeup, int64_t now_us)
{
    struct pending_wakeup *packed = NULL;
    bool is_first;

    if (wakeup->topic.len <= TURNS_MAX_TOPIC_BYTES && wakeup->lane.len <= WAKEUP_MAX_LANE_BYTES)
        packed = pack(wakeup, now_us);
    pthread_mutex_lock(&list->lock);
    is_first = packed != NULL && list->first == NULL;
    if (packed != NULL && list->count < MAX_PENDING) {
        if (list->last != NULL)
            list->last->next = packed;
        else
            list->first = packed;
        list->last = packed;
        list->count++;
        packed = NULL;
        pthread_cond_signal(&list->filled);
    } else {
        METRIC_INC(&dropped_metric);
    }
    pthread_mutex_unlock(&list->lock);
    free(packed);
    return is_first;
}

void
wakeup_list_stop(struct wakeup_list *list)
{
    pthread_mutex_lock(&list->lock);
    list->stopping = true;
    pthread_cond_broadcast(&list->filled);
    pthread_mutex_unlock(&list->lock);
}

const struct pending_wakeup *
wakeup_list_look(struct wakeup_list *list, size_t max, size_t *count_out)
{
    const struct pending_wakeup *first;

    pthread_mutex_lock(&list->lock);
    first = list->first;
    *count_out = list->count < max ? list->count : max;
    pthread_mutex_unlock(&list->lock);
    return first;
}

const struct pending_wakeup *
wakeup_list_wait(struct wakeup_list *list, size_t max, size_t *count_out)
{
    bool stopping;

    pthread_mutex_lock(&list->lock);
    while (list->count == 0 && !list->stopping)
        pthread_cond_wait(&list->filled, &list->lock);
    stopping = list->stopping;
    pthread_mutex_unlock(&list->lock);
    return stopping ? NULL : wakeup_list_look(list, max, count_out);
}

void
wakeup_list_forget(struct wakeup_list *list, size_t count, bool taken)
{
    for (size_t i = 0; i < count; i++) {
        struct pending_wakeup *gone;

        pthread_mutex_lock(&list->lock);
        gone = take_first(list);
        pthread_mutex_unlock(&list->lock);
        free(gone);
    }
    metric_add(taken ? &published_metric : &dropped_metric, (double)count, STR_EMPTY, STR_EMPTY,
               STR_EMPTY);
}

void
wakeup_count_received(struct str how)
{
    METRIC_INC(&received_metric, how);
}

void
wakeup_count_bad(void)
{
    METRIC_INC(&bad_metric);
}

bool
wakeup_is_served(const struct queue_transport *transport, struct str topic)
{
    struct queue_served_topic topics[TURNS_MAX_TOPICS];
    size_t count = transport->served(topics, transport->context);

    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(topic, topics[i].name))
            return true;
    }
    return false;
}
