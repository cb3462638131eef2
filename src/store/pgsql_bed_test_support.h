/*
 * pgsql_bed_test_support.h - two stores on one organization of a private PostgreSQL, one of them
 * through a proxy that cuts; notes in it
 */
#ifndef PARLEY_STORE_PGSQL_BED_TEST_SUPPORT_H
#define PARLEY_STORE_PGSQL_BED_TEST_SUPPORT_H

#include "store/cut_proxy_test_support.h"
#include "store/pgsql_test_support.h"
#include "store/tenant_scope_driver.h"

extern struct pgsql_server bed_server; /* the program starts and stops it */

struct bed {
    struct pgsql_database database;
    struct cut_proxy proxy;
    struct store *store, *second;
    struct tenant_scope scope;
    struct channel_id channel;
};

struct note {
    struct bed *bed;
    const char *name;
    int runs;
    int64_t count;
    void (*disturb)(void);        /* after the first statement, when it runs first */
    const struct store_sql *then; /* without values */
};

void make_bed(struct bed *bed);
void end_bed(struct bed *bed);

/* The note named so is written; ST_CONFLICT: it is there. */
enum status insert_work(struct store_tx *tx, void *note, struct err *err);
MUST_USE enum status insert(struct store *store, struct note *note, struct err *err);
/* How many there are, into its count. */
enum status count_work(struct store_tx *tx, void *note, struct err *err);
/* Notes that are there, as the second store sees them. */
int64_t count(struct bed *bed);

void restart_fast(void);
void restart_after_crash(void);

#endif
