/*
 * local.c - wake-ups within one process: the publisher's thread delivers them at once
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
