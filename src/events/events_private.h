/*
 * events_private.h - inside of the events; for src/events/ alone
 */
#ifndef PARLEY_EVENTS_EVENTS_PRIVATE_H
#define PARLEY_EVENTS_EVENTS_PRIVATE_H

#include "events/events.h"
#include "net/http_client.h"

#define EVENT_REPLAY_LANE (EVENT_LANES - 1) /* so that it holds up nothing new */

/* Frozen after events_open, but for the workers, which events_start sets. */
struct events {
    struct events_config config;
    struct http_client *http;
    struct queue_workers *workers;
};

/* Puts the job that sends what waits in the lane, or moves the one that is queued: to due_us, 0:
 * now. One that was to come sooner does. */
enum status events_queue_lane(struct events *events, struct store_tx *tx,
                              struct event_endpoint_id endpoint_id, int lane, int64_t due_us,
                              struct err *err);
/* deliver.c */
enum status events_deliver(struct lease *lease, void *events, struct err *err);

#endif
