/*
 * upkeep.h - the thread that keeps house: what is old, what was left over; of several processes
 * that of one
 *
 * Threads: start and stop from one. Blocks: stop, until the running round sees it.
 */
#ifndef PARLEY_APP_UPKEEP_H
#define PARLEY_APP_UPKEEP_H

#include "gateway/gateway.h"
#include "knowledge/knowledge.h"
#include "tenant/instance.h"

struct upkeep;

struct upkeep_config {
    struct store *store;
    struct blob_store *blobs;
    struct knowledge *knowledge;
    struct tenants *tenants;
    struct instance *instance;
    struct gateway *gateway;
    struct index_engine *engine;      /* NULL: none */
    int64_t events_us, quarantine_us; /* how long they are kept */
};

MUST_USE enum status upkeep_start(const struct upkeep_config *config, struct upkeep **upkeep_out,
                                  struct err *err);
void upkeep_stop(struct upkeep **upkeep); /* accepts NULL */

#endif
