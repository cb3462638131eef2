/*
 * open_databases.h - which databases are open: a bounded cache, least recently used closed first
 *
 *   (absent) --get--> OPENING --> OPEN <--users: 1..n / idle: 0--> CLOSING --> (absent)
 *                                   ^  |
 *                                   '--'-- TRIMMING, after a while of idleness
 *
 * A database in use is never closed: while every one is in use there can be more than the maximum,
 * at most one for each thread inside the store. What was idle for a while gives back its caches.
 * Opening and closing happen outside the lock; who asks meanwhile waits. Threads: shared. Blocks:
 * on opening and closing files.
 */
#ifndef PARLEY_STORE_OPEN_DATABASES_H
#define PARLEY_STORE_OPEN_DATABASES_H

#include "store/group_commit.h"

struct open_databases;

struct open_database {
    struct store_place place;
    struct store_database *inner;
    struct commit_group group;
    /* Private to open_databases.c. */
    int state;
    unsigned users;
    int64_t idle_since_us;
    bool trimmed;                        /* since it became idle */
    struct open_database *older, *newer; /* among the idle */
};

struct open_databases_config {
    const struct store_driver *driver;
    struct store_backend *backend;
    struct commit_counters *counters;
    struct task_pool *committers;
    unsigned max_open;
    int64_t trim_after_us; /* of idleness */
    bool allow_newer_schema;
};

struct open_databases *open_databases_create(const struct open_databases_config *config);
/* Nobody uses any. */
void open_databases_destroy(struct open_databases **databases);

/* Opens and migrates unless it is open. ST_NOT_FOUND: there is none and create is false. */
MUST_USE enum status open_database_ref(struct open_databases *databases,
                                       const struct store_place *place, bool create,
                                       struct open_database **database_out, struct err *err);
/* The same for one that is open, else NULL: never blocks. */
struct open_database *open_database_find(struct open_databases *databases,
                                         const struct store_place *place);
void open_database_unref(struct open_databases *databases, struct open_database **database);

/* Waits until nobody uses it, closes it and deletes it; who asks for it meanwhile waits. None
 * there: ST_OK. ST_BUSY after ten seconds. */
MUST_USE enum status open_databases_delete(struct open_databases *databases,
                                           const struct store_place *place, struct err *err);
unsigned open_databases_count(struct open_databases *databases);

#endif
