/*
 * events.h - what happened, told to the organization's own systems
 *
 *   events_tell: event, deliveries and jobs, in the transaction of what happened
 *        --commit--> a worker POSTs it, signed after Standard Webhooks
 *              2xx: delivered      else: again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h,
 *                                        20 h, 24 h; then failed
 *
 * Told at least once: what was sent and not yet recorded when a process died is sent again, under
 * the same id. Order is not promised. An endpoint's deliveries lie in lanes, one job each, so that
 * a slow endpoint holds no more than EVENT_LANES threads, and a failing one pauses as a whole. The
 * transaction finds the events through store_companion: layers that tell need nothing else. Where
 * no endpoint hears of a kind nothing is written, and no statement runs.
 * Threads: shared. Blocks: on the store; workers also on endpoints. Crash: what was committed is
 * sent.
 */
#ifndef PARLEY_EVENTS_EVENTS_H
#define PARLEY_EVENTS_EVENTS_H

#include <stdatomic.h>

#include "queue/queue.h"
#include "tenant/event_endpoint.h"

#define EVENT_LANES 4
#define EVENT_ID_PREFIX "msg_" /* of webhook-id, before the event's id */
#define EVENT_TEXT_MAX_BYTES 16000

struct events;

struct events_config {
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct clock *clock;
    const atomic_bool *stopping;  /* calls end when it becomes true; may be NULL */
    unsigned workers;             /* threads that call endpoints; 0: another process does */
    bool allow_private_addresses; /* the operator's choice; then http is allowed, too */
    int64_t retention_us;         /* events can be replayed so long, default 30 days */
    int64_t disable_after_us;     /* of nothing but failures, default 5 days */
};

/* Becomes the store's companion until it is closed. */
MUST_USE enum status events_open(const struct events_config *config, struct events **events_out,
                                 struct err *err);
MUST_USE enum status events_start(struct events *events, struct err *err);
void events_stop(struct events *events, int64_t deadline_ms);
void events_close(struct events **events);

/* Whether an endpoint may be called by that address. ST_INVALID says why not. */
MUST_USE enum status events_check_url(const struct events *events, struct str url, struct err *err);

/* --- telling --- */

/* Whether any endpoint hears of that kind: ask before what is told is gathered. */
MUST_USE enum status events_are_heard(struct store_tx *tx, enum event_kind kind, bool *heard_out,
                                      struct err *err);

struct event_telling {
    enum event_kind kind;
    struct str affinity; /* what belongs together goes in order while nothing fails: an id */
    const json_t *data;  /* object of ids and states, without what people wrote */
    struct str text; /* what a person or we wrote: for endpoints that include it; may be empty */
    struct message_id message_id;                     /* whose words those are; may be none */
    const struct event_endpoint_id *only_to, *not_to; /* NULL: nobody is named */
};
/* In the transaction of what happened. */
MUST_USE enum status events_tell(struct store_tx *tx, const struct event_telling *telling,
                                 struct event_id *id_out, struct err *err);
/* The words of a message go with no event any more, nor with one that is sent again. */
MUST_USE enum status events_forget_text(struct store_tx *tx, struct message_id id, struct err *err);

/* --- sent, and again --- */

struct event_delivery {
    struct event_id event_id;
    struct str kind, state; /* pending | delivered | failed */
    int64_t attempts;
    int64_t http_status; /* of the last answer; 0: none */
    struct str error, response;
    int64_t due_at_us; /* of pending: when it is tried next */
    int64_t created_at_us, updated_at_us;
};
/* Newest event first. state empty: any; before: the last id seen, or none. */
MUST_USE enum status event_delivery_list(struct store_tx *tx, struct event_endpoint_id endpoint_id,
                                         struct str state, struct event_id before, size_t limit,
                                         struct arena *arena,
                                         struct event_delivery **deliveries_out, size_t *count_out,
                                         struct err *err);

/* All lanes look for work: of an endpoint that was enabled, or removed. arg: its id. */
MUST_USE enum status events_wake_endpoint(struct store_tx *tx, void *endpoint_id, struct err *err);

/* Sends one event again, or for the first time. ST_NOT_FOUND: no such event, or it is older than
 * the retention. */
MUST_USE enum status events_replay(struct store_tx *tx, struct event_endpoint_id endpoint_id,
                                   struct event_id event_id, struct err *err);
/* A page of the events that the endpoint's subscription names, from a time on. */
struct event_replay {
    struct event_endpoint_id endpoint_id;
    int64_t since_us, until_us;
    struct event_id after; /* of since_us: those up to this one are done */
    size_t limit;
    /* What was done; since_us and after are where the next page begins. */
    size_t queued;
    bool more;
};
MUST_USE enum status events_replay_page(struct store_tx *tx, struct event_replay *replay,
                                        struct err *err);

#endif
