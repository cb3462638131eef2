/*
 * upkeep.h - the thread that keeps house among the objects; of several processes that of one
 *
 * Threads: start and stop from one. Blocks: stop, until the running round sees it.
 */
#ifndef PARLEY_APP_UPKEEP_H
#define PARLEY_APP_UPKEEP_H

#include "knowledge/knowledge.h"
#include "tenant/instance.h"

struct upkeep;

MUST_USE enum status upkeep_start(struct blob_store *blobs, struct knowledge *knowledge,
                                  struct tenants *tenants, struct instance *instance,
                                  struct upkeep **upkeep_out, struct err *err);
void upkeep_stop(struct upkeep **upkeep); /* accepts NULL */

#endif
