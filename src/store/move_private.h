/*
 * move_private.h - what the files of a move share: the tables as both schemas have them, and pages
 */
#ifndef PARLEY_STORE_MOVE_PRIVATE_H
#define PARLEY_STORE_MOVE_PRIVATE_H

#include "store/move.h"
#include "store/store_private.h"

#define MOVE_HASH_BYTES 32

struct move_column {
    struct str name, quoted;
    enum store_value_kind kind;
    unsigned key; /* place in the primary key, from 1; 0: no part of it */
};

struct move_table {
    struct str name, quoted;
    struct move_column *columns; /* by name; without an organization's organization_id */
    size_t column_count, column_capacity;
    size_t *key; /* indexes of columns, in the key's order */
    size_t key_count;
    /* Of the rows from the first, and of those after a key: their sizes, and themselves. */
    struct store_sql sizes[2], rows[2];
    struct store_sql last_key, insert, count, clear;
};

struct move_schema {
    bool of_organizations;
    struct move_table *tables; /* those that others need first */
    size_t table_count, table_capacity;
};

/* A sum of hashes: no order of rows matters. */
struct move_sum {
    int64_t rows;
    uint64_t lanes[MOVE_HASH_BYTES / 8];
};

/* One of the two sides, and whose rows: scope NULL means the control database's. */
struct move_side {
    struct store *store;
    const struct tenant_scope *scope;
};

/* The memory of a batch, and of the one before it, whose last key tells where it begins. */
struct move_pages {
    struct arena *arenas[2];
    unsigned current;
    size_t row_count;
    struct store_value *values; /* row after row, column after column */
    struct store_value *after;  /* the key it begins after; NULL: at the first row */
};

/* A work with the names that a struct store_work's caller sees. */
enum status move_read(const struct move_side *side, const char *name, store_work work, void *arg,
                      struct err *err);
enum status move_write(const struct move_side *side, const char *name, store_work work, void *arg,
                       struct err *err);

/* move_schema.c. Reads both sides' tables; ST_INTERNAL: they are not the same. */
MUST_USE enum status move_schema_read(const struct move_side *from, const struct move_side *to,
                                      struct arena *arena, struct move_schema *schema_out,
                                      struct err *err);

/* move_rows.c */
void move_pages_init(struct move_pages *pages);
void move_pages_deinit(struct move_pages *pages);
/* All that the target has not got yet. */
MUST_USE enum status move_rows_copy(const struct move_table *table, const struct move_side *from,
                                    const struct move_side *to, struct move_pages *pages,
                                    struct err *err);
/* ST_INTERNAL: the database of an organization holds rows that name another. */
MUST_USE enum status move_rows_sum(const struct move_table *table, const struct move_side *side,
                                   struct move_pages *pages, struct move_sum *sum_out,
                                   struct err *err);
void move_sum_add(struct move_sum *sum, const struct move_sum *more);
bool move_sum_eq(const struct move_sum *a, const struct move_sum *b);
/* Rows of a table; *count_out of what the side sees. */
MUST_USE enum status move_rows_count(const struct move_table *table, const struct move_side *side,
                                     int64_t *count_out, struct err *err);
MUST_USE enum status move_rows_clear(const struct move_table *table, const struct move_side *side,
                                     struct err *err);

#endif
