/*
 * transport_driver.h - how wake-ups travel; for src/queue/ and its transports
 *
 * A transport tells processes that a job became ready or will be due. It carries no job: the table
 * does, with its delay, lease, retry, order and dead letters, so all transports behave the same. A
 * wake-up may come late, twice, out of order, to one process or to several, or never: a sweep finds
 * what was lost, every sweep_us of every process.
 *
 * Who hears of what, where there are several processes:
 *   due now    at least one process that serves the topic and has a worker free for it
 *   due later  every process that serves the topic: when the time has come one of them may be dead
 *              and another busy, and who looks in vain has read one row of an index
 * docs/contracts/transport.md has the reasons. transport_conformance.h holds every transport to it.
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_TRANSPORT_DRIVER_H
#define PARLEY_QUEUE_TRANSPORTS_TRANSPORT_DRIVER_H

#include "base/clock.h"
#include "base/id.h"
#include "queue/turns.h"

/* Ids only: never message text or credentials. */
struct queue_wakeup {
    struct organization_id organization_id;
    struct user_id user_id; /* may be none */
    struct str topic;
    struct str lane; /* empty: none */
    struct job_id job_id;
    int64_t due_us; /* wall */
};

/* Never blocks; any thread. The wake-up is borrowed. */
typedef void (*queue_on_wakeup)(const struct queue_wakeup *wakeup, void *context);
/* Wake-ups may have been lost: the tables must be looked at. Never blocks; any thread. */
typedef void (*queue_on_gap)(void *context);
/* Topics with workers in this process, and how many of them are free. Never blocks; any thread. */
typedef size_t (*queue_served)(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context);

struct queue_transport {
    const struct queue_transport_driver *driver;
    struct str addresses; /* of its servers; both only until open returns */
    struct str ca_file;   /* PEM; empty: the system's authorities */
    struct clock *clock;
    queue_on_wakeup on_wakeup;
    queue_on_gap on_gap;
    queue_served served;
    void *context;
    /* Times that tests shorten; 0: the driver's own. */
    int claim_idle_ms, claim_every_ms;
};

struct queue_transport_driver {
    const char *name; /* config key and log field */
    size_t size;      /* of the struct that begins with struct queue_transport */

    /* From here on the callbacks may be called. A server that cannot be reached is no failure: it
     * is tried for again in the background. ST_INVALID: the addresses are none. */
    enum status (*open)(struct queue_transport *transport, struct err *err);
    /* Afterwards no callback is running. Accepts a transport whose open failed. */
    void (*close)(struct queue_transport *transport);
    /* Never blocks, never fails: what cannot be sent now is kept, within a bound, and then dropped
     * and counted by the transport. */
    void (*publish)(struct queue_transport *transport, const struct queue_wakeup *wakeup);
};

/* One process: publishing is delivering. */
extern const struct queue_transport_driver queue_transport_local;
/* Redis streams: transports/redis.c. */
extern const struct queue_transport_driver queue_transport_redis;
/* LISTEN and NOTIFY on PostgreSQL: transports/pgsql.c. Its address is the store's database.url. */
extern const struct queue_transport_driver queue_transport_pgsql;

/* The driver of that name, or NULL: settings offer no other. */
const struct queue_transport_driver *queue_transport_find(struct str name);

#endif
