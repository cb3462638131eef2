/*
 * move_schema.c - which tables and columns both sides have, and the statements that move them
 */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "store/move_private.h"
#include "store/move_sql.h"

#define STATEMENT_MAX_BYTES ((size_t)64 * 1024)

struct reading {
    bool of_organizations;
    struct arena *arena;
    struct move_schema *schema;
    /* Of references: pairs of a table and one that it needs. */
    struct str (*references)[2];
    size_t reference_count, reference_capacity;
};

/* Room for one more of an array in an arena. */
static void *
grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size)
{
    void *more;

    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    more = arena_alloc_n(arena, size, *capacity);
    if (count > 0 && array != NULL)
        memcpy(more, array, count * size);
    return more;
}

/* As an identifier, whatever its bytes are. */
static struct str
quote(struct arena *arena, struct str name)
{
    struct buf buf;
    struct str quoted;

    buf_init(&buf, STATEMENT_MAX_BYTES);
    buf_append_byte(&buf, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"')
            buf_append_byte(&buf, '"');
        buf_append_byte(&buf, name.ptr[i]);
    }
    buf_append_byte(&buf, '"');
    quoted = arena_str(arena, buf_str(&buf));
    buf_deinit(&buf);
    return quoted;
}

static bool
is_left_out(struct str table)
{
    for (size_t i = 0; i < sizeof(MOVE_LEFT_OUT) / sizeof(MOVE_LEFT_OUT[0]); i++) {
        if (str_eq_c(table, MOVE_LEFT_OUT[i]))
            return true;
    }
    return false;
}

static enum status
kind_of(struct str type, enum store_value_kind *kind_out, struct err *err)
{
    static const struct {
        const char *type;
        enum store_value_kind kind;
    } kinds[] = {{"bigint", STORE_INT}, {"integer", STORE_INT}, {"text", STORE_TEXT},
                 {"bytea", STORE_BLOB}, {"blob", STORE_BLOB},   {"double precision", STORE_REAL},
                 {"real", STORE_REAL}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (str_eq_nocase(type, str_from_c(kinds[i].type))) {
            *kind_out = kinds[i].kind;
            return ST_OK;
        }
    }
    return err_set_detail(err, ST_INTERNAL, "no way to move a column of type %.*s", STR_ARG(type));
}

static enum status
add_column(struct reading *reading, struct str table_name, struct store_rows *rows, struct err *err)
{
    struct move_schema *schema = reading->schema;
    struct move_table *table =
        schema->table_count == 0 ? NULL : &schema->tables[schema->table_count - 1];
    struct str name = store_col_text(rows, 1);
    struct move_column *column;
    enum status st;

    if (table == NULL || !str_eq(table->name, table_name)) {
        schema->tables = grow(reading->arena, schema->tables, schema->table_count,
                              &schema->table_capacity, sizeof(*schema->tables));
        table = &schema->tables[schema->table_count++];
        *table = (struct move_table){.name = arena_str(reading->arena, table_name),
                                     .quoted = quote(reading->arena, table_name)};
    }
    if (schema->of_organizations && str_eq_c(name, "organization_id"))
        return ST_OK;
    table->columns = grow(reading->arena, table->columns, table->column_count,
                          &table->column_capacity, sizeof(*table->columns));
    column = &table->columns[table->column_count++];
    *column = (struct move_column){.name = arena_str(reading->arena, name),
                                   .quoted = quote(reading->arena, name),
                                   .key = (unsigned)store_col_int(rows, 3)};
    st = kind_of(store_col_text(rows, 2), &column->kind, err);
    return st == ST_OK ? ST_OK
                       : err_wrap(err, "%.*s.%.*s", STR_ARG(table_name), STR_ARG(column->name));
}

static enum status
read_references(struct store_tx *tx, struct reading *reading, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &MOVE_REFERENCES, NO_ARGS, &rows, err);

    reading->reference_count = 0;
    while (st == ST_OK && store_rows_next(rows)) {
        reading->references = grow(reading->arena, reading->references, reading->reference_count,
                                   &reading->reference_capacity, sizeof(*reading->references));
        for (int i = 0; i < 2; i++)
            reading->references[reading->reference_count][i] =
                arena_str(reading->arena, store_col_text(rows, i));
        reading->reference_count++;
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
read_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct reading *reading = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, reading->of_organizations ? &MOVE_TENANT_COLUMNS : &MOVE_CONTROL_COLUMNS,
                    NO_ARGS, &rows, err);

    *reading->schema = (struct move_schema){.of_organizations = reading->of_organizations};
    if (st != ST_OK)
        return st;
    while (st == ST_OK && store_rows_next(rows)) {
        struct str table = store_col_text(rows, 0);

        if (!is_left_out(table))
            st = add_column(reading, table, rows, err);
    }
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    else
        store_rows_drop(&rows);
    return st == ST_OK ? read_references(tx, reading, err) : st;
}

/* --- the same on both sides --- */

static enum status
differ(struct err *err, struct str table, struct str column, const char *how)
{
    return err_set_detail(err, ST_INTERNAL,
                          "%.*s%s%.*s %s: the two schemas are not of one version of Parley",
                          STR_ARG(table), column.len > 0 ? "." : "", STR_ARG(column), how);
}

/* Of two names at the same place of two lists in order, the one that the other list has not got;
 * empty when they are the same. An empty name stands for the end of a list. */
static struct str
odd_one(struct str a, struct str b)
{
    if (str_eq(a, b))
        return STR_EMPTY;
    if (a.len == 0 || b.len == 0)
        return a.len == 0 ? b : a;
    return str_cmp(a, b) < 0 ? a : b;
}

static enum status
compare_columns(const struct move_table *a, const struct move_table *b, struct err *err)
{
    for (size_t i = 0; i < a->column_count || i < b->column_count; i++) {
        struct str odd = odd_one(i < a->column_count ? a->columns[i].name : STR_EMPTY,
                                 i < b->column_count ? b->columns[i].name : STR_EMPTY);

        if (odd.len > 0)
            return differ(err, a->name, odd, "is a column of one side only");
        if (a->columns[i].kind != b->columns[i].kind)
            return differ(err, a->name, a->columns[i].name, "is of two types");
    }
    if (a->key_count != b->key_count)
        return differ(err, a->name, STR_EMPTY, "has two keys");
    for (size_t i = 0; i < a->key_count; i++) {
        if (a->key[i] != b->key[i])
            return differ(err, a->name, STR_EMPTY, "has two keys");
    }
    return ST_OK;
}

static enum status
compare(const struct move_schema *a, const struct move_schema *b, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && (i < a->table_count || i < b->table_count); i++) {
        struct str odd = odd_one(i < a->table_count ? a->tables[i].name : STR_EMPTY,
                                 i < b->table_count ? b->tables[i].name : STR_EMPTY);

        st = odd.len > 0 ? differ(err, odd, STR_EMPTY, "is a table of one side only")
                         : compare_columns(&a->tables[i], &b->tables[i], err);
    }
    return st;
}

/* The engines count the places of a key's columns differently around organization_id: only their
 * order counts. */
static enum status
find_key(struct move_table *table, struct arena *arena, struct err *err)
{
    unsigned last = 0;

    table->key = ARENA_NEW_N(arena, size_t, table->column_count + 1);
    for (;;) {
        size_t next = table->column_count;

        for (size_t i = 0; i < table->column_count; i++) {
            unsigned place = table->columns[i].key;

            if (place > last && (next == table->column_count || place < table->columns[next].key))
                next = i;
        }
        if (next == table->column_count)
            break;
        table->key[table->key_count++] = next;
        last = table->columns[next].key;
    }
    if (table->key_count == 0)
        return err_set_detail(err, ST_INTERNAL, "%.*s has no primary key", STR_ARG(table->name));
    return ST_OK;
}

/* --- in which order --- */

static bool
needs_another(const struct reading *reading, const struct move_schema *schema, size_t placed,
              struct str table)
{
    for (size_t i = 0; i < reading->reference_count; i++) {
        if (!str_eq(reading->references[i][0], table))
            continue;
        for (size_t left = placed; left < schema->table_count; left++) {
            if (str_eq(schema->tables[left].name, reading->references[i][1]))
                return true;
        }
    }
    return false;
}

static enum status
put_in_order(const struct reading *reading, struct move_schema *schema, struct err *err)
{
    for (size_t placed = 0; placed < schema->table_count; placed++) {
        size_t next = placed;
        struct move_table table;

        while (next < schema->table_count &&
               needs_another(reading, schema, placed, schema->tables[next].name))
            next++;
        if (next == schema->table_count)
            return err_set_detail(err, ST_INTERNAL, "tables refer to each other in a circle");
        table = schema->tables[next];
        memmove(&schema->tables[placed + 1], &schema->tables[placed],
                (next - placed) * sizeof(table));
        schema->tables[placed] = table;
    }
    return ST_OK;
}

/* --- statements: see move_sql.h on why putting these texts together is safe --- */

struct making {
    const struct move_schema *schema;
    struct move_table *table;
    struct arena *arena;
    struct buf columns, key, descending, after, from_first, sizes, marks;
    unsigned first; /* number of the caller's first parameter */
};

static void
make_parts(struct making *making)
{
    const struct move_table *table = making->table;
    const char *between = "";

    if (making->schema->of_organizations) {
        buf_append_c(&making->from_first, "organization_id = $1");
    } else {
        buf_append_c(&making->from_first, "1 = 1");
    }
    buf_append_c(&making->sizes, "0");
    for (size_t i = 0; i < table->column_count; i++, between = ", ") {
        struct str name = table->columns[i].quoted;

        buf_printf(&making->columns, "%s%.*s", between, STR_ARG(name));
        buf_printf(&making->marks, "%s$%zu", between, making->first + i);
        if (table->columns[i].kind == STORE_TEXT || table->columns[i].kind == STORE_BLOB)
            buf_printf(&making->sizes, MOVE_SIZE_FORMAT, STR_ARG(name));
    }
    between = "";
    for (size_t i = 0; i < table->key_count; i++, between = ", ") {
        struct str name = table->columns[table->key[i]].quoted;

        buf_printf(&making->key, "%s%.*s", between, STR_ARG(name));
        buf_printf(&making->descending, "%s%.*s DESC", between, STR_ARG(name));
    }
    buf_printf(&making->after, "%.*s AND (%.*s) > (", STR_ARG(buf_str(&making->from_first)),
               STR_ARG(buf_str(&making->key)));
    for (size_t i = 0; i < table->key_count; i++)
        buf_printf(&making->after, "%s$%zu", i > 0 ? ", " : "", making->first + i);
    buf_append_byte(&making->after, ')');
}

static struct store_sql
statement(const struct making *making, struct str text, bool without_organization)
{
    return (struct store_sql){.name = making->table->name.ptr,
                              .text = arena_str(making->arena, text).ptr,
                              .without_organization = without_organization};
}

static struct store_sql
page(const struct making *making, const struct buf *columns, bool after)
{
    const struct move_table *table = making->table;
    const struct buf *condition = after ? &making->after : &making->from_first;
    struct str text = arena_printf(making->arena, MOVE_PAGE_FORMAT, STR_ARG(buf_str(columns)),
                                   STR_ARG(table->quoted), STR_ARG(buf_str(condition)),
                                   STR_ARG(buf_str(&making->key)),
                                   making->first + (after ? (unsigned)table->key_count : 0));

    return statement(making, text, false);
}

static void
make_statements(const struct making *making)
{
    struct move_table *table = making->table;
    struct arena *arena = making->arena;
    bool tenant = making->schema->of_organizations;

    for (int after = 0; after < 2; after++) {
        table->sizes[after] = page(making, &making->sizes, after == 1);
        table->rows[after] = page(making, &making->columns, after == 1);
    }
    table->last_key =
        statement(making,
                  arena_printf(arena, MOVE_LAST_FORMAT, STR_ARG(buf_str(&making->key)),
                               STR_ARG(table->quoted), STR_ARG(buf_str(&making->from_first)),
                               STR_ARG(buf_str(&making->descending))),
                  false);
    table->insert = statement(
        making,
        arena_printf(arena, MOVE_INSERT_FORMAT, STR_ARG(table->quoted),
                     STR_ARG(arena_printf(arena, "%s%.*s", tenant ? "organization_id, " : "",
                                          STR_ARG(buf_str(&making->columns)))),
                     STR_ARG(arena_printf(arena, "%s%.*s", tenant ? "$1, " : "",
                                          STR_ARG(buf_str(&making->marks))))),
        false);
    table->count =
        statement(making, arena_printf(arena, MOVE_COUNT_FORMAT, STR_ARG(table->quoted)), true);
    table->clear =
        statement(making, arena_printf(arena, MOVE_CLEAR_FORMAT, STR_ARG(table->quoted)), true);
}

static void
make(const struct move_schema *schema, struct move_table *table, struct arena *arena)
{
    struct making making = {.schema = schema,
                            .table = table,
                            .arena = arena,
                            .first = schema->of_organizations ? 2 : 1};
    struct buf *const bufs[] = {&making.columns, &making.key,        &making.descending,
                                &making.after,   &making.from_first, &making.sizes,
                                &making.marks};
    const size_t count = sizeof(bufs) / sizeof(bufs[0]);
    struct err err;

    for (size_t i = 0; i < count; i++)
        buf_init(bufs[i], STATEMENT_MAX_BYTES);
    make_parts(&making);
    for (size_t i = 0; i < count; i++)
        assert(buf_check(bufs[i], &err) == ST_OK); /* our own schema's names */
    make_statements(&making);
    for (size_t i = 0; i < count; i++)
        buf_deinit(bufs[i]);
}

static enum status
read_side(const struct move_side *side, struct reading *reading, struct err *err)
{
    enum status st = move_read(side, "move_schema", read_work, reading, err);

    for (size_t i = 0; st == ST_OK && i < reading->schema->table_count; i++)
        st = find_key(&reading->schema->tables[i], reading->arena, err);
    return st;
}

enum status
move_schema_read(const struct move_side *from, const struct move_side *to, struct arena *arena,
                 struct move_schema *schema_out, struct err *err)
{
    struct move_schema target = {0};
    struct reading reading = {
        .of_organizations = from->scope != NULL, .arena = arena, .schema = &target};
    enum status st = read_side(to, &reading, err);

    if (st == ST_OK) {
        reading.schema = schema_out;
        st = read_side(from, &reading, err);
    }
    if (st == ST_OK)
        st = compare(schema_out, &target, err);
    if (st == ST_OK)
        st = put_in_order(&reading, schema_out, err);
    for (size_t i = 0; st == ST_OK && i < schema_out->table_count; i++)
        make(schema_out, &schema_out->tables[i], arena);
    return st;
}
