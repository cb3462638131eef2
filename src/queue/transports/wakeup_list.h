/*
 * wakeup_list.h - wake-ups that wait for being sent; only for src/queue/transports/
 *
 * Publishers append copies and never wait; what does not fit, or is no wake-up, is dropped and
 * counted. One thread sends: the list's beginning is its own until it forgets it, so that what a
 * server has not confirmed can be sent again. Threads: shared, down to the sender's part.
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_WAKEUP_LIST_H
#define PARLEY_QUEUE_TRANSPORTS_WAKEUP_LIST_H

#include <pthread.h>

#include "queue/transports/transport_driver.h"

#define WAKEUP_MAX_LANE_BYTES 256

struct pending_wakeup {
    struct pending_wakeup *next;
    struct organization_id organization_id;
    struct user_id user_id;
    struct job_id job_id;
    int64_t due_us;
    bool later;
    char topic[TURNS_MAX_TOPIC_BYTES + 1];
    size_t lane_len;
    char lane[];
};

struct wakeup_list {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t filled;
    struct pending_wakeup *first, *last;
    size_t count;
    bool stopping;
};

void wakeup_list_init(struct wakeup_list *list);
/* With all that is still in it. */
void wakeup_list_deinit(struct wakeup_list *list);

/* True: it is the first one, so that a sender may be waiting. */
bool wakeup_list_add(struct wakeup_list *list, const struct queue_wakeup *wakeup, int64_t now_us);
/* Who waits in wakeup_list_wait returns, now and from now on. */
void wakeup_list_stop(struct wakeup_list *list);

/* --- the sender's --- */

/* The beginning, of which up to max are counted; the last one's next must not be read. NULL: there
 * is none, or, for wait, stopped. */
const struct pending_wakeup *wakeup_list_look(struct wakeup_list *list, size_t max,
                                              size_t *count_out);
const struct pending_wakeup *wakeup_list_wait(struct wakeup_list *list, size_t max,
                                              size_t *count_out);
/* The server took the first count, or refused them for good. */
void wakeup_list_forget(struct wakeup_list *list, size_t count, bool taken);

/* Counts one that came from the server: how. */
void wakeup_count_received(struct str how);
/* Counts what came and was no wake-up. */
void wakeup_count_bad(void);

/* Whether the transport's process has workers for the topic. */
bool wakeup_is_served(const struct queue_transport *transport, struct str topic);

#endif
