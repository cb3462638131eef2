/*
 * store_private.h - what the files of the store's front share
 *
 *   store.c --> open_databases.c (which files are open) --> group_commit.c (who runs when)
 *                                                                 |
 *   store_statement.c (what a work may call) <--------------------'
 */
#ifndef PARLEY_STORE_STORE_PRIVATE_H
#define PARLEY_STORE_STORE_PRIVATE_H

#include <stdatomic.h>

#include "store/group_commit.h"
#include "store/open_databases.h"
#include "store/store_driver.h"

#define TX_ARENA_MAX_BYTES ((size_t)64 * 1024 * 1024)

struct store {
    const struct store_driver *driver; /* frozen, like all down to the counters */
    struct store_backend *backend;
    struct task_pool *committers; /* for works that were submitted */
    struct open_databases *databases;
    struct open_database *control;
    bool allow_newer_schema;
    char *data_folder;
    int lock_fd; /* on <data folder>/parley.lock while open */
    struct commit_counters counters;
    void *companion; /* store_set_companion */
};

/* A backup, by this process or another, and the deletion of an organization exclude each other:
 * backups hold the folder alone, deletions share it. ST_BUSY: not now. Closing *fd_out ends it. */
enum status store_hold_folder(const char *data_folder, bool alone, int *fd_out, struct err *err);

/* On the stack of whoever runs a work. */
struct store_tx {
    struct store *store;
    struct store_connection *connection;
    const struct tenant_scope *scope; /* NULL: control */
    struct commit_hooks *hooks;       /* NULL: reading */
    struct arena **arena_ref;         /* of whoever runs works; made when first asked for */
    struct store_asks *asks;          /* NULL: nothing is asked together with other works */
    struct commit_work *work;         /* with asks: whose run it is, */
    struct commit_work *const *batch; /* and those that it runs with, it among them */
    unsigned asked;                   /* by this run of the work */
    bool ran;                         /* something that was not asked */
    const char *name;
};

/* Runs the work with the transaction's memory emptied; aborts when it left a cursor open. */
enum status store_tx_run(struct store_tx *tx, store_work work, void *arg, struct err *err);

#endif
