/*
 * schema_test.c - a tenant's file of the second schema, with rows in every table, becomes one of
 * the newest: every row and every unique key is found again
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embedded.h"

#define ROWS 4 /* a table */
#define TABLES_MAX 64
#define TEXT_MAX 32000

extern const struct embedded_file store_schema_files[];

struct dump {
    int count;
    struct {
        char name[64];
        char text[TEXT_MAX];
    } tables[TABLES_MAX];
};

static bool
run_step(sqlite3 *db, int version)
{
    char name[64];
    struct str text;
    char *copy;
    char *message = NULL;

    (void)snprintf(name, sizeof(name), "sqlite_tenant_%04d.sql", version);
    text = embedded_find(store_schema_files, str_from_c(name));
    if (text.ptr == NULL)
        return false;
    copy = str_dup(text);
    if (sqlite3_exec(db, copy, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", name, message);
    free(copy);
    return true;
}

static sqlite3_stmt *
prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    return stmt;
}

static void
add(char out[TEXT_MAX], const char *format, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, format);
    assert_true(vsnprintf(out + len, TEXT_MAX - len, format, args) < (int)(TEXT_MAX - len));
    va_end(args);
}

/* The rows of a query, a line each, appended. */
static void
query(sqlite3 *db, char out[TEXT_MAX], const char *text)
{
    sqlite3_stmt *stmt = prepare(db, text);

    while (sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            add(out, "%s|", sqlite3_column_text(stmt, i));
        add(out, "\n");
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

/* A value that differs from row to row where a key might ask for it; jobs are in each state. */
static void
add_value(char out[TEXT_MAX], const char *column, const char *type, int row)
{
    static const char *const states[ROWS] = {"ready", "waiting", "leased", "dead"};

    if (strcmp(column, "organization_id") == 0)
        add(out, "'the organization'");
    else if (strcmp(column, "state") == 0)
        add(out, "'%s'", states[row]);
    else if (strcmp(type, "TEXT") == 0)
        add(out, "'%s %d'", column, row);
    else if (strcmp(type, "BLOB") == 0)
        add(out, "x'00ff0%d'", row);
    else
        add(out, "%d", 7 + row);
}

static void
fill(sqlite3 *db, const char *table)
{
    char text[TEXT_MAX] = "";
    char list[200];

    (void)snprintf(list, sizeof(list), "SELECT name, type FROM pragma_table_info('%s')", table);
    for (int row = 0; row < ROWS; row++) {
        sqlite3_stmt *stmt = prepare(db, list);
        const char *between = "";

        add(text, "INSERT INTO %s VALUES (", table);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            add(text, "%s", between);
            add_value(text, (const char *)sqlite3_column_text(stmt, 0),
                      (const char *)sqlite3_column_text(stmt, 1), row);
            between = ", ";
        }
        sqlite3_finalize(stmt);
        add(text, ");");
    }
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

static void
list_tables(sqlite3 *db, struct dump *dump)
{
    sqlite3_stmt *stmt =
        prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");

    for (dump->count = 0; sqlite3_step(stmt) == SQLITE_ROW; dump->count++) {
        assert_true(dump->count < TABLES_MAX);
        (void)snprintf(dump->tables[dump->count].name, sizeof(dump->tables[0].name), "%s",
                       (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
}

/* Of each table: its columns, its rows, and its unique keys without the organization, their columns
 * in order of name, with their condition. */
static void
take_dump(sqlite3 *db, struct dump *dump)
{
    list_tables(db, dump);
    for (int i = 0; i < dump->count; i++) {
        const char *table = dump->tables[i].name;
        char text[TEXT_MAX] = "";

        add(text, "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('%s')", table);
        query(db, dump->tables[i].text, text);
        text[0] = '\0';
        add(text, "SELECT * FROM %s ORDER BY 1, 2, 3", table);
        query(db, dump->tables[i].text, text);
        text[0] = '\0';
        add(text,
            "SELECT (SELECT group_concat(coalesce(name, '(expression)')) FROM (SELECT name FROM"
            " pragma_index_xinfo(l.name) WHERE key = 1 AND name IS NOT 'organization_id'"
            " ORDER BY name)) AS columns, (SELECT trim(substr(sql, instr(sql, 'WHERE')))"
            " FROM sqlite_schema WHERE name = l.name AND l.partial = 1)"
            " FROM pragma_index_list('%s') l WHERE l.\"unique\" = 1 ORDER BY 1, 2",
            table);
        query(db, dump->tables[i].text, text);
    }
}

static void
test_rows_and_keys_stay(void **state)
{
    struct dump *before = calloc(1, sizeof(*before));
    struct dump *after = calloc(1, sizeof(*after));
    char check[TEXT_MAX] = "";
    sqlite3 *db;
    int version = 4;

    (void)state;
    assert_non_null(before);
    assert_non_null(after);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL), SQLITE_OK);
    assert_true(run_step(db, 1) && run_step(db, 2));
    list_tables(db, before);
    assert_true(before->count > 20);
    for (int i = 0; i < before->count; i++)
        fill(db, before->tables[i].name);
    take_dump(db, before);
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    assert_true(run_step(db, 3)); /* the step that rebuilds all tables */
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    take_dump(db, after);
    assert_int_equal(after->count, before->count);
    for (int i = 0; i < before->count; i++) {
        assert_string_equal(after->tables[i].name, before->tables[i].name);
        assert_string_equal(after->tables[i].text, before->tables[i].text);
    }
    while (run_step(db, version))
        version++;
    query(db, check, "PRAGMA integrity_check");
    assert_string_equal(check, "ok|\n");
    sqlite3_close(db);
    free(before);
    free(after);
}

/* What the organization's id at the head of a key costs is told in docs/decisions/0005. */
static void
test_no_key_begins_with_the_organization(void **state)
{
    char found[TEXT_MAX] = "";
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int version = 1; run_step(db, version); version++)
        continue;
    query(db, found,
          "SELECT t.name, l.name FROM sqlite_schema t, pragma_index_list(t.name) l,"
          " pragma_index_xinfo(l.name) x WHERE t.type = 'table' AND x.seqno = 0"
          " AND x.name = 'organization_id'");
    assert_string_equal(found, "");
    sqlite3_close(db);
}

/* What was kept of messages before they could be deleted is tied to them. */
static void
test_kept_events_know_their_message(void **state)
{
    static const char rows[] =
        "INSERT INTO message (organization_id, id, conversation_id, seq, role, source, channel_id,"
        " user_id, external_message_id, body, created_at)"
        " VALUES ('o', 'm', 'c', 1, 'user', 'slack', 'h', 'u', 'A:T:C:1', 'words', 1);"
        "INSERT INTO channel_event (organization_id, id, channel_id, external_event_id, kind,"
        " message_id, payload, created_at)"
        " VALUES ('o', '1', 'h', 'e1', 'edit', 'm', 'words', 1),"
        " ('o', '2', 'h', 'e2', 'edit', NULL, 'of a message that is not here', 1),"
        " ('o', '3', 'h', 'e3', 'deleted', NULL, 'deleted words', 1),"
        " ('o', '4', 'h', 'e4', 'deletion', NULL, 'deleted words', 1);"
        "INSERT INTO event (organization_id, id, kind, body, body_with_text, created_at) VALUES"
        " ('o', '1', 'message.received', '{\"data\":{\"message_id\":\"m\"}}', 'words', 1),"
        " ('o', '2', 'message.received', '{\"data\":{\"message_id\":\"n\"}}', NULL, 1),"
        " ('o', '3', 'escalation.opened', '{\"data\":{\"message_id\":\"m\"}}', 'a draft', 1),"
        " ('o', '4', 'message.received', 'damaged', 'words', 1);";
    char events[TEXT_MAX] = "", kept[TEXT_MAX] = "";
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (int version = 1; version < 22; version++)
        assert_true(run_step(db, version));
    if (sqlite3_exec(db, rows, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    for (int version = 22; run_step(db, version); version++)
        continue;
    query(db, kept,
          "SELECT id, kind, coalesce(about, '-'), payload FROM channel_event ORDER BY id");
    assert_string_equal(kept, "1|edit|A:T:C:1|words|\n"
                              "2|edit|-|of a message that is not here|\n"
                              "3|deletion|-|{}|\n"
                              "4|deletion|-|{}|\n");
    query(db, events, "SELECT id, coalesce(message_id, '-') FROM event ORDER BY id");
    assert_string_equal(events, "1|m|\n2|-|\n3|-|\n4|-|\n");
    sqlite3_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_keys_stay),
        cmocka_unit_test(test_no_key_begins_with_the_organization),
        cmocka_unit_test(test_kept_events_know_their_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
