/*
 * gateway_private.h - inside of the gateway; for src/gateway/ alone
 */
#ifndef PARLEY_GATEWAY_GATEWAY_PRIVATE_H
#define PARLEY_GATEWAY_GATEWAY_PRIVATE_H

#include "base/metrics.h"
#include "base/thread.h"
#include "gateway/gateway.h"

struct poller;

/* Frozen after gateway_open, but for senders and poller, which gateway_start sets. */
struct gateway {
    struct gateway_config config;
    struct queue_workers *senders;
    struct thread_pool *acknowledgers; /* tells providers what they want to know at once; lossy */
    struct poller *poller;
};

/* sender.c */
enum status sender_deliver(struct lease *lease, void *gateway, struct err *err);
enum status sender_on_dead(struct store_tx *tx, const struct job *job, struct str reason,
                           void *gateway, struct err *err);

/* poller.c */
enum status poller_start(struct gateway *gateway, struct instance *instance,
                         struct poller **poller_out, struct err *err);
void poller_stop(struct poller **poller);

#endif
