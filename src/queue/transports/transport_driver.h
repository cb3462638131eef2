/*
 * transport_driver.h - how wake-ups travel; for src/queue/ and its transports
 *
 * A transport tells processes that a job became ready or will be due. It carries no job: the table
 * does, with its delay, lease, retry, order and dead letters, so all transports behave the same. A
 * wake-up may come late, twice, out of order, to one process or to several, or never: a sweep finds
 * what was lost.
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_TRANSPORT_DRIVER_H
#define PARLEY_QUEUE_TRANSPORTS_TRANSPORT_DRIVER_H

#include "base/id.h"

struct queue_wakeup {
    struct organization_id organization_id;
    struct str topic;
    struct str lane; /* empty: none */
    struct job_id job_id;
    int64_t due_us; /* wall */
};

/* Never blocks; any thread. The wake-up is borrowed. */
typedef void (*queue_on_wakeup)(const struct queue_wakeup *wakeup, void *context);

struct queue_transport {
    const struct queue_transport_driver *driver;
    queue_on_wakeup on_wakeup;
    void *context;
};

struct queue_transport_driver {
    const char *name; /* config key and log field */
    size_t size;      /* of the struct that begins with struct queue_transport */

    /* From here on on_wakeup may be called. */
    enum status (*open)(struct queue_transport *transport, struct err *err);
    /* Afterwards on_wakeup is not running. Accepts a transport whose open failed. */
    void (*close)(struct queue_transport *transport);
    /* Never blocks, never fails: what cannot be sent now is dropped, and counted by the transport.
     */
    void (*publish)(struct queue_transport *transport, const struct queue_wakeup *wakeup);
};

/* One process: publishing is delivering. */
extern const struct queue_transport_driver queue_transport_local;

#endif
