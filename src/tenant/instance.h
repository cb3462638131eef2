/*
 * instance.h - the processes that serve one database: who is there, and who has which duty
 *
 *   open --> there: a heartbeat every beat_us --> close: its row and its duties are gone at once
 *                     '-- killed, frozen or cut off --> gone after gone_us; its duties are free
 *
 * A duty is what one process does at a time: polling a channel, upkeep. It is its taker's as long
 * as that one's heartbeat has not expired. Whoever was frozen beyond that finds out by asking
 * again, which it does before each round and before it uses a round's result. Times are the
 * database's: hosts need not agree on them. With database files there is one process, and it always
 * gets a duty. Threads: shared. Blocks: on the store. Crash: what is said above.
 */
#ifndef PARLEY_TENANT_INSTANCE_H
#define PARLEY_TENANT_INSTANCE_H

#include "tenant/tenant.h"

struct instance;

struct instance_config {
    struct tenants *tenants;
    struct str roles;   /* "gateway,worker", for people to read */
    struct str version; /* the build's */
    int64_t beat_us;    /* default 3 s */
    int64_t gone_us;    /* default 15 s; several beats */
};

/* Registers this process, and beats from then on. */
MUST_USE enum status instance_open(const struct instance_config *config,
                                   struct instance **instance_out, struct err *err);
/* Takes leave. Accepts NULL. */
void instance_close(struct instance **instance);
struct str instance_id(const struct instance *instance);

/* A duty that this process wants or has; zero at first, its taker's thread alone. */
struct duty {
    struct str name;  /* of at most 64 bytes; the caller's */
    int64_t asked_us; /* monotonic: when it was last known to be ours; 0: it is not */
};
/* Takes or keeps it. Asks the database, unless it did so less than a heartbeat ago. ST_BUSY:
 * another process has it. */
MUST_USE enum status instance_keep_duty(struct instance *instance, struct duty *duty,
                                        struct err *err);
/* Another may take it. */
void instance_give_duty(struct instance *instance, struct duty *duty);

struct instance_row {
    struct id_text id;
    struct str host, roles, version;
    int64_t pid;
    int64_t started_at_us, heartbeat_at_us, duties;
    bool gone; /* it stopped saying that it is there */
};
/* The oldest first. Those that have been gone for an hour are no longer listed. */
MUST_USE enum status instance_list(struct tenants *tenants, struct arena *arena,
                                   struct instance_row **rows_out, size_t *count_out,
                                   struct err *err);

#endif
