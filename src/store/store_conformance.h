/*
 * store_conformance.h - what every driver of the store passes
 *
 * A driver's test opens a fresh store, gives two scopes of organizations that have databases, and
 * runs the list. No test leaves a note that another would find: each uses a channel id of its own.
 */
#ifndef PARLEY_STORE_STORE_CONFORMANCE_H
#define PARLEY_STORE_STORE_CONFORMANCE_H

#include "store/store.h"

struct store_conformance {
    struct store *store;
    const struct tenant_scope *one, *other;
    const struct tenant_scope *unknown; /* no database was made for it */
    /* Ends the whole transaction, not the statement alone, when it is run a second time. $2:
     * channel. What the work's caller gets then. */
    const struct store_sql *kill;
    enum status killed;
    /* Others may have committed what a work sees, so that one that only reads waits for the disk,
     * too. */
    bool others_commit;
};

/* Aborts in the manner of cmocka's assertions. */
void store_conformance_run(const struct store_conformance *suite);

/* N threads, random works: some fail, some kill the transaction, some are relaxed; each effect
 * exactly once. */
void store_conformance_threads(const struct store_conformance *suite, unsigned threads,
                               unsigned works);

#endif
