/*
 * move.h - all data from one engine to the other, whole, and verified by counts and checksums
 *
 *   (empty) --mark--> COPYING --every row is there, and the same--> VERIFIED --unmark--> may be
 * served ^   |                                         ^   |
 *                      '---'-- a second call goes on where the first stopped
 *
 * Both sides are taken alone: nobody serves them meanwhile. What is marked is served by nobody.
 * Which tables and columns there are is read from both schemas, and must be the same: a table that
 * a later version adds cannot be forgotten. Rows go in the order of their key, in batches, each a
 * transaction of one organization; memory holds two batches. Then both sides are read to their end,
 * and for each table of each organization the number of rows and the sum of the rows' hashes must
 * agree.
 *
 * The source's files are brought to this build's schema, and else only read. Threads: one.
 * Blocks: for as long as it takes. Crash: the target stays marked.
 */
#ifndef PARLEY_STORE_MOVE_H
#define PARLEY_STORE_MOVE_H

#include "store/store.h"

#define STORE_MOVE_CHECKSUM_LEN 64

typedef enum status (*store_move_visit)(struct store *to, const struct tenant_scope *scope,
                                        void *context, struct err *err);

struct store_move_spec {
    struct store_config from, to;
    /* Throw away what an earlier move left in the target, and begin anew. */
    bool restart;
    store_on_progress on_progress; /* may be NULL */
    /* Of each organization; both may be NULL, and may be called again when a call goes on. When its
     * rows are in the target: for what is kept beside the database. */
    store_move_visit on_copied;
    /* When all is verified, before the target may be served: may change rows. */
    store_move_visit on_verified;
    void *context;
};

struct store_move_table {
    struct str name;
    bool of_organizations; /* else of the control database */
    int64_t rows;          /* of all organizations */
    char checksum[STORE_MOVE_CHECKSUM_LEN + 1];
};

struct store_move_result {
    bool went_on; /* an earlier call had begun */
    size_t organization_count;
    int64_t row_count;
    struct store_move_table *tables; /* the caller's arena's */
    size_t table_count;
};

/* ST_NOT_FOUND: from is no data folder. ST_CONFLICT: one side is served, the target is not empty,
 * or holds another source's unfinished move. ST_INVALID: a row that the target cannot hold.
 * ST_INTERNAL: the schemas, or what was read back, are not the same. After any failure the target
 * is marked, or as it was. */
MUST_USE enum status store_move(const struct store_move_spec *spec, struct arena *arena,
                                struct store_move_result *result_out, struct err *err);

#endif
