/*
 * move_rows.c - rows of one table in the order of their key, page after page: copied, and summed
 */
#include <endian.h>
#include <sodium.h>
#include <string.h>

#include "base/failpoint.h"
#include "store/move_private.h"

#define PAGE_ROWS 500
/* Characters of texts, of up to four bytes each, and bytes of blobs. One row may be larger: then it
 * is a page of its own. */
#define PAGE_SIZE ((int64_t)4 * 1024 * 1024)
#define PAGE_MAX_BYTES ((size_t)3 * 1024 * 1024 * 1024)
#define ARGS_MAX 64

void
move_pages_init(struct move_pages *pages)
{
    *pages = (struct move_pages){{arena_create(PAGE_MAX_BYTES), arena_create(PAGE_MAX_BYTES)},
                                 .current = 0};
}

void
move_pages_deinit(struct move_pages *pages)
{
    arena_destroy(&pages->arenas[0]);
    arena_destroy(&pages->arenas[1]);
}

enum status
move_read(const struct move_side *side, const char *name, store_work work, void *arg,
          struct err *err)
{
    return side->scope == NULL ? store_control_read(side->store, name, work, arg, err)
                               : store_read(side->store, side->scope, name, work, arg, err);
}

enum status
move_write(const struct move_side *side, const char *name, store_work work, void *arg,
           struct err *err)
{
    return side->scope == NULL
               ? store_control_run(side->store, name, work, arg, err)
               : store_run(side->store, side->scope, name, STORE_DURABLE, work, arg, err);
}

/* --- pages --- */

struct paging {
    const struct move_table *table;
    struct move_pages *pages;
};

static enum status
read_value(struct store_rows *rows, int column, enum store_value_kind kind, struct arena *arena,
           struct store_value *value_out, struct err *err)
{
    struct str bytes;
    enum status st;

    *value_out = sv_null();
    if (store_col_is_null(rows, column))
        return ST_OK;
    if (kind == STORE_INT) {
        *value_out = sv_int(store_col_int(rows, column));
        return ST_OK;
    }
    if (kind == STORE_REAL) {
        *value_out = sv_real(store_col_real(rows, column));
        return ST_OK;
    }
    st = arena_try_str(
        arena, kind == STORE_TEXT ? store_col_text(rows, column) : store_col_blob(rows, column),
        &bytes, err);
    *value_out = kind == STORE_TEXT ? sv_text(bytes) : sv_blob(bytes);
    return st;
}

static size_t
fill_args(const struct paging *paging, int64_t limit, struct store_value args[ARGS_MAX])
{
    size_t count = 0;

    if (paging->pages->after != NULL) {
        memcpy(args, paging->pages->after, paging->table->key_count * sizeof(*args));
        count = paging->table->key_count;
    }
    args[count++] = sv_int(limit);
    return count;
}

/* How many rows make a page. */
static enum status
measure(struct store_tx *tx, const struct paging *paging, int64_t *rows_out, struct err *err)
{
    struct store_value args[ARGS_MAX];
    size_t count = fill_args(paging, PAGE_ROWS, args);
    struct store_rows *rows = NULL;
    int64_t size = 0;
    enum status st = store_query(tx, &paging->table->sizes[paging->pages->after != NULL], args,
                                 count, &rows, err);

    *rows_out = 0;
    while (st == ST_OK && size < PAGE_SIZE && store_rows_next(rows)) {
        size += store_col_int(rows, 0);
        if (size <= PAGE_SIZE || *rows_out == 0)
            ++*rows_out;
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
page_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct paging *paging = arg;
    const struct move_table *table = paging->table;
    struct move_pages *pages = paging->pages;
    struct arena *arena = pages->arenas[pages->current];
    struct store_value args[ARGS_MAX];
    struct store_rows *rows = NULL;
    int64_t limit = 0;
    enum status st = measure(tx, paging, &limit, err);

    pages->row_count = 0;
    if (st != ST_OK || limit == 0)
        return st;
    arena_reset(arena);
    pages->values = ARENA_NEW_N(arena, struct store_value, (size_t)limit * table->column_count);
    st = store_query(tx, &table->rows[pages->after != NULL], args, fill_args(paging, limit, args),
                     &rows, err);
    if (st != ST_OK)
        return st;
    while (st == ST_OK && store_rows_next(rows)) {
        struct store_value *row = pages->values + pages->row_count++ * table->column_count;

        for (size_t i = 0; st == ST_OK && i < table->column_count; i++)
            st = read_value(rows, (int)i, table->columns[i].kind, arena, &row[i], err);
    }
    if (st != ST_OK)
        store_rows_drop(&rows);
    else
        st = store_rows_close(&rows, err);
    return st;
}

/* The next one begins after this one's last row. */
static void
turn_page(const struct move_table *table, struct move_pages *pages)
{
    const struct store_value *row = pages->values + (pages->row_count - 1) * table->column_count;

    pages->after = ARENA_NEW_N(pages->arenas[pages->current], struct store_value, table->key_count);
    for (size_t i = 0; i < table->key_count; i++)
        pages->after[i] = row[table->key[i]];
    pages->current = 1 - pages->current;
}

/* --- copying --- */

static enum status
last_key_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct paging *paging = arg;
    const struct move_table *table = paging->table;
    struct move_pages *pages = paging->pages;
    struct arena *arena = pages->arenas[pages->current];
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &table->last_key, NO_ARGS, &rows, err);

    pages->after = NULL;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    arena_reset(arena);
    pages->after = ARENA_NEW_N(arena, struct store_value, table->key_count);
    for (size_t i = 0; st == ST_OK && i < table->key_count; i++)
        st = read_value(rows, (int)i, table->columns[table->key[i]].kind, arena, &pages->after[i],
                        err);
    if (st != ST_OK)
        store_rows_drop(&rows);
    else
        st = store_rows_close(&rows, err);
    return st;
}

static enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct paging *paging = arg;
    const struct move_table *table = paging->table;
    const struct store_value *row = paging->pages->values;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < paging->pages->row_count; i++) {
        st = store_exec(tx, &table->insert, row, table->column_count, NULL, err);
        /* Which row it is, for whoever must look at it: its key, as far as it is text. */
        if (st == ST_INVALID) {
            const struct store_value *key = &row[table->key[0]];

            if (key->kind == STORE_TEXT)
                (void)err_wrap(err, "row %.*s", (int)(key->bytes.len < 80 ? key->bytes.len : 80),
                               key->bytes.ptr);
        }
        row += table->column_count;
    }
    return st;
}

enum status
move_rows_copy(const struct move_table *table, const struct move_side *from,
               const struct move_side *to, struct move_pages *pages, struct err *err)
{
    struct paging paging = {table, pages};
    enum status st;

    pages->current = 0;
    st = move_read(to, "move_last_key", last_key_work, &paging, err);
    pages->current = 1;
    while (st == ST_OK) {
        st = move_read(from, "move_page", page_work, &paging, err);
        if (st != ST_OK || pages->row_count == 0)
            break;
        st = move_write(to, "move_insert", insert_work, &paging, err);
        if (st == ST_OK)
            turn_page(table, pages);
        FAILPOINT("move.batch");
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "table %.*s", STR_ARG(table->name));
}

/* --- checksums --- */

/* One encoding of a value, whichever engine gave it: its kind, its length, its bytes. */
static void
hash_value(crypto_generichash_state *state, const struct store_value *value)
{
    struct {
        uint64_t kind, number; /* a text's or blob's length, or the number itself; little-endian */
    } head = {htole64((uint64_t)value->kind), 0};

    if (value->kind == STORE_INT) {
        head.number = htole64((uint64_t)value->integer);
    } else if (value->kind == STORE_REAL) {
        double real = value->real + 0.0; /* engines differ about the sign of zero */

        memcpy(&head.number, &real, sizeof(real));
        head.number = htole64(head.number);
    } else {
        head.number = htole64(value->bytes.len);
    }
    (void)crypto_generichash_update(state, (const unsigned char *)&head, sizeof(head));
    if ((value->kind == STORE_TEXT || value->kind == STORE_BLOB) && value->bytes.len > 0)
        (void)crypto_generichash_update(state, (const unsigned char *)value->bytes.ptr,
                                        value->bytes.len);
}

static void
add_row(struct move_sum *sum, const struct store_value *row, size_t columns)
{
    crypto_generichash_state state;
    struct move_sum one = {.rows = 1};

    (void)crypto_generichash_init(&state, NULL, 0, MOVE_HASH_BYTES);
    for (size_t i = 0; i < columns; i++)
        hash_value(&state, &row[i]);
    (void)crypto_generichash_final(&state, (unsigned char *)one.lanes, sizeof(one.lanes));
    for (size_t i = 0; i < MOVE_HASH_BYTES / 8; i++)
        one.lanes[i] = le64toh(one.lanes[i]);
    move_sum_add(sum, &one);
}

void
move_sum_add(struct move_sum *sum, const struct move_sum *more)
{
    sum->rows += more->rows;
    for (size_t i = 0; i < MOVE_HASH_BYTES / 8; i++)
        sum->lanes[i] += more->lanes[i];
}

bool
move_sum_eq(const struct move_sum *a, const struct move_sum *b)
{
    return a->rows == b->rows && memcmp(a->lanes, b->lanes, sizeof(a->lanes)) == 0;
}

struct counting {
    const struct move_table *table;
    int64_t count;
};

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct counting *counting = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &counting->table->count, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    counting->count = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

enum status
move_rows_count(const struct move_table *table, const struct move_side *side, int64_t *count_out,
                struct err *err)
{
    struct counting counting = {.table = table};
    enum status st = move_read(side, "move_count", count_work, &counting, err);

    *count_out = counting.count;
    return st;
}

enum status
move_rows_sum(const struct move_table *table, const struct move_side *side,
              struct move_pages *pages, struct move_sum *sum_out, struct err *err)
{
    struct paging paging = {table, pages};
    int64_t count = 0;
    enum status st;

    *sum_out = (struct move_sum){0};
    pages->after = NULL;
    do {
        st = move_read(side, "move_page", page_work, &paging, err);
        for (size_t i = 0; st == ST_OK && i < pages->row_count; i++)
            add_row(sum_out, pages->values + i * table->column_count, table->column_count);
        if (st == ST_OK && pages->row_count > 0)
            turn_page(table, pages);
    } while (st == ST_OK && pages->row_count > 0);
    if (st == ST_OK)
        st = move_rows_count(table, side, &count, err);
    if (st == ST_OK && count != sum_out->rows)
        st = err_set_detail(err, ST_INTERNAL, "%lld rows, of which %lld name this organization",
                            (long long)count, (long long)sum_out->rows);
    return st == ST_OK ? ST_OK : err_wrap(err, "table %.*s", STR_ARG(table->name));
}

static enum status
clear_work(struct store_tx *tx, void *arg, struct err *err)
{
    const struct move_table *const *table = arg;

    return store_exec(tx, &(*table)->clear, NO_ARGS, NULL, err);
}

enum status
move_rows_clear(const struct move_table *table, const struct move_side *side, struct err *err)
{
    return move_write(side, "move_clear", clear_work, &table, err);
}
