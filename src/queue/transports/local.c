/*
 * local.c - wake-ups within one process: the publisher's thread delivers them at once; and the list
 * of all transports
 */
#include "queue/transports/transport_driver.h"

static enum status
local_open(struct queue_transport *transport, struct err *err)
{
    (void)transport;
    (void)err;
    return ST_OK;
}

static void
local_close(struct queue_transport *transport)
{
    (void)transport;
}

static void
local_publish(struct queue_transport *transport, const struct queue_wakeup *wakeup)
{
    transport->on_wakeup(wakeup, transport->context);
}

const struct queue_transport_driver queue_transport_local = {
    .name = "local",
    .size = sizeof(struct queue_transport),
    .open = local_open,
    .close = local_close,
    .publish = local_publish,
};

const struct queue_transport_driver *
queue_transport_find(struct str name)
{
    static const struct queue_transport_driver *const drivers[] = {
        &queue_transport_local, &queue_transport_redis, &queue_transport_pgsql};

    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (str_eq_c(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}
