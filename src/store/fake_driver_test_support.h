/*
 * fake_driver_test_support.h - an engine that fails on command and records; for tests of group
 * commit
 *
 * Its rows are numbers; its one statement gives ten times what is bound. Threads: as an engine's
 * writer, but settle, which may be called by many.
 */
#ifndef PARLEY_STORE_FAKE_DRIVER_TEST_SUPPORT_H
#define PARLEY_STORE_FAKE_DRIVER_TEST_SUPPORT_H

#include <pthread.h>

#include "store/store_private.h"

struct store_database {
    struct store_connection connection;
    pthread_mutex_t lock;
    bool open;
    int rows[64]; /* of the open transaction */
    int row_count, kept;
    int committed[64];
    int committed_count;
    int64_t changed, tickets;
    _Atomic int64_t settled;
    int begins, savepoints, settles;
    bool late;                        /* a statement failed, which keep or commit will tell */
    int commit_calls, fail_commit_at; /* 0: never */
    int64_t asked[64];                /* in the open transaction */
    unsigned asked_count, answered;   /* the first of them have answers */
    int collects, fail_collect_at;    /* 0: never */
    bool collect_drops;               /* and the transaction goes with it */
    enum status commit_fails_with, settle_fails_with, take_fails_with, begin_fails_with;
};

struct store_database *fake_of(struct store_connection *connection);

extern const struct store_driver store_driver_fake;

#endif
