/*
 * live_driver.h - events between processes; for src/live/
 *
 * Without a driver a hub numbers its own events. With one, the numbers and the ring that outlives a
 * process are kept by a server, and a hub's rings mirror what subscribers of this process need:
 *
 *   ring: APART --join, live_hub_joined--> JOINED --gap, other epoch, link lost--> APART
 *
 * While it is apart nothing is appended; when it joins again subscribers get what they missed, or a
 * reset when that is not there any more.
 */
#ifndef PARLEY_LIVE_LIVE_DRIVER_H
#define PARLEY_LIVE_LIVE_DRIVER_H

#include "live/live.h"

struct live_link {
    const struct live_driver *driver;
    struct live_hub *hub;
};

struct live_driver {
    const char *name; /* config value */
    size_t size;      /* of the struct that begins with struct live_link */

    /* ST_INVALID: the addresses are none. A server that cannot be reached is no failure. */
    enum status (*open)(struct live_link *link, const struct live_config *config, struct err *err);
    /* Afterwards no function of the hub is running. Accepts what did not open. */
    void (*close)(struct live_link *link);
    /* None of these blocks; key is borrowed. The hub's lock may be held. */
    /* False: there is no link; all rings are joined when there is one. */
    bool (*join)(struct live_link *link, struct str key);
    void (*leave)(struct live_link *link, struct str key);
    void (*publish)(struct live_link *link, struct str key, struct str type, struct str data);
};

extern const struct live_driver live_redis;
/* Rings in tables of PostgreSQL, NOTIFY: its address is the store's database.url. */
extern const struct live_driver live_pgsql;

/* The driver of that name; NULL: events of this process alone. Settings offer no other. */
const struct live_driver *live_driver_find(struct str name);

/* --- of the hub, for drivers: any thread, without a lock of the driver's --- */

struct live_item {
    struct str type, data;
};
/* What a join needs to know: the ring's epoch and number. False: nobody needs the topic. */
bool live_hub_place(struct live_hub *hub, struct str key, char epoch_out[17], uint64_t *number_out);
/* The topic's newest number, and the items up to it that the server holds and we do not. False:
 * something newer was delivered meanwhile, join again. */
bool live_hub_joined(struct live_hub *hub, struct str key, struct str epoch, uint64_t number,
                     const struct live_item *items, size_t count);
/* One event as it happens, or, without an item, that there is one. False: something is missing,
 * join. */
bool live_hub_deliver(struct live_hub *hub, struct str key, struct str epoch, uint64_t number,
                      const struct live_item *item);
/* All rings are apart. */
void live_hub_lost(struct live_hub *hub);
/* Calls visit for every topic; it must not call the hub. */
void live_hub_each(struct live_hub *hub, void (*visit)(struct str key, void *context),
                   void *context);

#endif
