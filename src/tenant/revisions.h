/*
 * revisions.h - tells a process what others changed of the records that it keeps in memory; only
 * for src/tenant/
 *
 * Threads: shared; open and close from one. Blocks: on the store, but records_are_trusted.
 */
#ifndef PARLEY_TENANT_REVISIONS_H
#define PARLEY_TENANT_REVISIONS_H

#include "store/store.h"

/* A record in memory is not older than this: a key revoked by one process is refused by all others
 * after this at the latest. */
#define RECORDS_TRUSTED_US (2 * US_PER_S)

enum record_kind { RECORDS_CHANNELS, RECORDS_KEYS, RECORDS_ORGANIZATIONS, RECORD_KINDS };

struct tenants;
struct revisions;

/* tenants has its store and its caches. On failure close it, too. */
MUST_USE enum status revisions_open(struct tenants *tenants, struct revisions **revisions_out,
                                    struct err *err);
void revisions_close(struct revisions **revisions); /* accepts NULL */

/* False: ask the database. */
bool records_are_trusted(const struct revisions *revisions);

/* In the control transaction, or the organization's, that changes a record of that kind. */
MUST_USE enum status revision_raise(struct tenants *tenants, struct store_tx *tx,
                                    enum record_kind kind, struct err *err);
MUST_USE enum status revision_raise_beside(struct tenants *tenants, struct store_tx *tx,
                                           enum record_kind kind, struct err *err);

#endif
