/*
 * limits_driver.h - where buckets of tokens are kept together; for src/tenant/limits.c
 *
 * A shared store of buckets decides for all processes at once, or says that it cannot within its
 * deadline: then limits.c decides alone, with this process's share. limits_test.c holds both to
 * the same promises.
 */
#ifndef PARLEY_TENANT_LIMITS_DRIVER_H
#define PARLEY_TENANT_LIMITS_DRIVER_H

#include "tenant/limits.h"

struct limits_shared {
    const struct limits_driver *driver;
};

struct limits_driver {
    const char *name; /* config value */
    size_t size;      /* of the struct that begins with struct limits_shared */

    /* A server that cannot be reached is no failure. ST_INVALID: the addresses are none. */
    enum status (*open)(struct limits_shared *shared, const struct limits_config *config,
                        struct err *err);
    /* Nobody is in take. Accepts what did not open. */
    void (*close)(struct limits_shared *shared);
    /* ST_BUSY with err->retry_after_ms: no token. ST_UNAVAILABLE: not decided; after a failure at
     * once, for some seconds. Never blocks longer than the config's deadline. */
    enum status (*take)(struct limits_shared *shared, struct str key, unsigned per_minute,
                        unsigned burst, struct err *err);
    /* Processes that took part lately, this one among them. */
    unsigned (*instances)(struct limits_shared *shared);
};

extern const struct limits_driver limits_redis;
extern const struct limits_driver limits_pgsql; /* its address is the store's database.url */

/* The driver of that name; NULL: in memory. Settings offer no other. */
const struct limits_driver *limits_driver_find(struct str name);

/* Fills err for a refusal. */
enum status limits_refuse(double wait_ms, struct err *err);

#endif
