/*
 * drivers.c - the list of all drivers of live events
 */
#include "live/live_driver.h"

const struct live_driver *
live_driver_find(struct str name)
{
    static const struct live_driver *const drivers[] = {&live_redis, &live_pgsql};

    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (str_eq_c(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}
