/*
 * move_sql.h - what both engines tell of their tables, and the texts that statements are made from
 *
 * The lower half are formats: what is put into them are names that the engine's own catalogue gave,
 * quoted, and numbers of parameters. No value ever stands in a text.
 */
#ifndef PARLEY_STORE_MOVE_SQL_H
#define PARLEY_STORE_MOVE_SQL_H

#include "store/store.h"

/* Tables that belong to one database and not to the data: how far it is migrated, which
 * organizations it has, whether it is being filled, which processes use it and what they do. */
static const char *const MOVE_LEFT_OUT[] = {
    "schema_version", "tenant_database", "unfinished_move", "instance", "duty", "record_revision"};

/* Table, column, type, place in the primary key or 0; in order of table and column. What the engine
 * makes from other columns is none of them, and a table that a crash may empty holds no data. */
#define MOVE_COLUMNS_SQLITE                                                                        \
    "SELECT t.name, c.name, c.type, c.pk FROM sqlite_schema t, pragma_table_xinfo(t.name) c "      \
    "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND c.hidden = 0 "        \
    "ORDER BY t.name, c.name"
#define MOVE_COLUMNS_PGSQL(of_organizations)                                                       \
    "SELECT t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), "              \
    "coalesce((SELECT k.place FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY "          \
    "AS k(attnum, place) WHERE i.indrelid = t.oid AND i.indisprimary "                             \
    "AND k.attnum = a.attnum), 0) FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid "      \
    "WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') "           \
    "AND t.relpersistence = 'p' AND NOT t.relispartition AND a.attnum > 0 AND NOT a.attisdropped " \
    "AND a.attgenerated = '' "                                                                     \
    "AND t.relrowsecurity = " of_organizations                                                     \
    " ORDER BY t.relname::text COLLATE \"C\", a.attname::text COLLATE \"C\""

static const struct store_sql MOVE_CONTROL_COLUMNS = {.name = "move_control_columns",
                                                      .sqlite = MOVE_COLUMNS_SQLITE,
                                                      .pgsql = MOVE_COLUMNS_PGSQL("false")};
static const struct store_sql MOVE_TENANT_COLUMNS = {.name = "move_tenant_columns",
                                                     .sqlite = MOVE_COLUMNS_SQLITE,
                                                     .pgsql = MOVE_COLUMNS_PGSQL("true"),
                                                     .without_organization = true};

/* A table, and one that its foreign key needs. */
static const struct store_sql MOVE_REFERENCES = {
    .name = "move_references",
    .sqlite = "SELECT t.name, f.\"table\" FROM sqlite_schema t, pragma_foreign_key_list(t.name) f "
              "WHERE t.type = 'table' AND t.name <> f.\"table\"",
    .pgsql = "SELECT t.relname::text, r.relname::text FROM pg_constraint c "
             "JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid "
             "WHERE c.contype = 'f' AND t.oid <> r.oid "
             "AND t.relnamespace = current_schema()::regnamespace",
    .without_organization = true};

/* Columns, table, condition, order, number of the parameter. */
#define MOVE_PAGE_FORMAT "SELECT %.*s FROM %.*s WHERE %.*s ORDER BY %.*s LIMIT $%u"
#define MOVE_LAST_FORMAT "SELECT %.*s FROM %.*s WHERE %.*s ORDER BY %.*s LIMIT 1"
/* Table, columns, parameters. */
#define MOVE_INSERT_FORMAT "INSERT INTO %.*s (%.*s) VALUES (%.*s)"
/* Table. Without a condition: a row that names another organization than its file's is counted. */
#define MOVE_COUNT_FORMAT "SELECT count(*) FROM %.*s"
#define MOVE_CLEAR_FORMAT "DELETE FROM %.*s"
/* In characters of texts and bytes of blobs, which both engines call so. */
#define MOVE_SIZE_FORMAT " + coalesce(length(%.*s), 0)"

#endif
