/*
 * transport_conformance.h - what every transport of wake-ups must do
 *
 * A driver's test fills in how its servers are disturbed and calls transport_conformance. Members
 * that are NULL leave out the cases that need them: a transport within one process has no server.
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_TRANSPORT_CONFORMANCE_H
#define PARLEY_QUEUE_TRANSPORTS_TRANSPORT_CONFORMANCE_H

#include "queue/transports/transport_driver.h"

struct transport_place {
    const struct queue_transport_driver *driver;
    const char *addresses;
    bool shared;      /* between processes */
    bool tells_all;   /* also of what is due now; then nothing is kept for whoever comes later */
    unsigned readers; /* connections for reading; on_gap tells that one stands */
    void *context;
    void (*freeze)(void *context); /* unreachable without a word */
    void (*thaw)(void *context);
    void (*restart)(void *context); /* all that the server had is lost */
    void (*flush)(void *context);   /* the same, while connections stay */
};

/* Asserts, one line of output a case. */
void transport_conformance(const struct transport_place *place);

#endif
