/*
 * live.h - events to connected browsers, resumable
 *
 *   publish(topic) -> ring of the topic -> every subscriber's callback
 *   subscribe(last id) -> what the ring holds after it -> then live; or first a "reset"
 *
 * A topic belongs to an organization and is named by its kind and an id ("conversation:<id>").
 * Every event gets an id "<epoch>-<number>", growing by one within its topic. A subscriber that
 * names the last id it saw gets exactly what followed; when the ring no longer holds that, or the
 * id is from another epoch, it gets one event of type "reset" and must read the state anew. Events
 * are not durable: what must survive is in the store, events only say so.
 *
 * With a driver an event reaches the subscribers of all processes, and an id is good in any of
 * them. While its server is away, subscribers wait for what comes after, and get it, or a reset.
 * Threads: shared. Blocks: nothing, but live_subscribe with a driver: up to join_ms.
 */
#ifndef PARLEY_LIVE_LIVE_H
#define PARLEY_LIVE_LIVE_H

#include "base/clock.h"
#include "store/tenant_scope.h"

struct live_hub;
struct live_subscription;
struct live_driver;

struct live_config {
    struct clock *clock;
    unsigned max_topics; /* rings kept; the longest unused without subscriber goes first */
    unsigned events_per_topic;
    size_t max_bytes;                 /* of all rings together */
    int64_t keep_us;                  /* rings without subscribers are dropped after this */
    const struct live_driver *driver; /* live_driver.h; NULL: events of this process alone */
    struct str addresses, ca_file;    /* of the driver's servers */
    int join_ms;                      /* a subscriber waits so long for the server; 0: 250 */
};

struct live_event {
    struct str id, type, data; /* data: JSON */
};

MUST_USE enum status live_hub_create(const struct live_config *config, struct live_hub **hub_out,
                                     struct err *err);
void live_hub_destroy(struct live_hub **hub);

/* Does nothing when nobody listened to the topic lately. */
void live_publish(struct live_hub *hub, const struct tenant_scope *scope, struct str topic,
                  struct str type, struct str data);

/* Called in order for one subscription, on the publisher's thread or
 * one of the driver's, with no lock of the hub that
 * publishing needs held; must not block. Returning false ends the subscription. */
typedef bool (*live_on_event)(const struct live_event *event, void *context);

/* Missed events are given to on_event before the call returns. last_event_id may be empty: then
 * from now on. ST_BUSY: too many topics. */
MUST_USE enum status live_subscribe(struct live_hub *hub, const struct tenant_scope *scope,
                                    struct str topic, struct str last_event_id,
                                    live_on_event on_event, void *context,
                                    struct live_subscription **subscription_out, struct err *err);
/* After it returns on_event is not running and will not be called. Not from inside on_event. */
void live_unsubscribe(struct live_subscription **subscription);

unsigned live_subscriber_count(const struct live_hub *hub);

#endif
