/*
 * queue_plan_test.c - every statement that serves jobs is a seek, and stays one with a large
 * backlog
 *
 * Asks SQLite for its plan, then counts the steps of its virtual machine with 50 and with 50,000
 * jobs: figures that do not depend on the machine.
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
#include <unistd.h>

#include "queue/queue_sql.h"

#define ORGANIZATION "01900000-0000-7000-8000-000000000001"

static void
run_script(sqlite3 *db, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1000000);
    char *message = NULL;

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 999999, file) > 0);
    (void)fclose(file);
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", path, message);
    free(text);
}

/* All steps there are, so that the plans are those of the schema in force. */
static sqlite3 *
open_schema(void)
{
    sqlite3 *db;
    int steps = 0;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (;; steps++) {
        char path[4096];

        (void)snprintf(path, sizeof(path), PARLEY_SCHEMA_FOLDER "/sqlite_tenant_%04d.sql",
                       steps + 1);
        if (access(path, F_OK) != 0)
            break;
        run_script(db, path);
    }
    assert_true(steps >= 3);
    return db;
}

static sqlite3_stmt *
prepare(sqlite3 *db, const char *before, const struct store_sql *sql)
{
    char text[2000];
    sqlite3_stmt *stmt;

    (void)snprintf(text, sizeof(text), "%s%s", before, sql->text != NULL ? sql->text : sql->sqlite);
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql->name, sqlite3_errmsg(db));
    return stmt;
}

static const struct {
    const struct store_sql *sql;
    const char *index; /* what the plan must name */
} serving[] = {
    {&SQL_FIND_DEDUP, "INDEX job_dedup (topic=? AND dedup_key=?)"},
    {&SQL_MOVE_DUE, "PRIMARY KEY (id=?)"},
    {&SQL_LANE_HEAD, "INDEX job_lane_head (topic=? AND lane=?)"},
    {&SQL_LANE_TAIL, "INDEX job_lane_waiting (topic=? AND lane=?)"},
    {&SQL_TAKE, "INDEX job_due (topic=? AND due_at<?)"},
    {&SQL_TAKE, "PRIMARY KEY (id=?)"},
    {&SQL_NEXT_DUE, "INDEX job_due (topic=?)"},
    {&SQL_FINISH, "PRIMARY KEY (id=?)"},
    {&SQL_PROMOTE, "INDEX job_lane_waiting (topic=? AND lane=?)"},
    {&SQL_PROMOTE, "PRIMARY KEY (id=?)"},
    {&SQL_PUT_BACK, "PRIMARY KEY (id=?)"},
    {&SQL_MERGE, "INDEX job_dedup (topic=? AND dedup_key=?)"},
    {&SQL_BURY, "PRIMARY KEY (id=?)"},
    {&SQL_RENEW, "PRIMARY KEY (id=?)"},
    {&SQL_EXPIRED, "INDEX job_leased (lease_until<?)"},
    {&SQL_REMOVE_OLD_DEAD, "INDEX job_dead_age (updated_at<?)"},
    /* The first entry of an index that holds only dead jobs. */
    {&SQL_OLDEST_DEAD, "SCAN job USING INDEX job_dead_age"},
    {&SQL_DEAD_GET, "PRIMARY KEY (id=?)"},
    {&SQL_DEAD_REVIVE, "PRIMARY KEY (id=?)"},
    {&SQL_DEAD_DISCARD, "PRIMARY KEY (id=?)"},
};

static void
test_plans(void **state)
{
    sqlite3 *db = open_schema();

    (void)state;
    for (size_t i = 0; i < sizeof(serving) / sizeof(serving[0]); i++) {
        sqlite3_stmt *stmt = prepare(db, "EXPLAIN QUERY PLAN ", serving[i].sql);
        char plan[2000] = "";

        while (sqlite3_step(stmt) == SQLITE_ROW) {
            size_t len = strlen(plan);

            (void)snprintf(plan + len, sizeof(plan) - len, "%s\n",
                           (const char *)sqlite3_column_text(stmt, 3));
        }
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
        if (strstr(plan, serving[i].index) == NULL || strstr(plan, "TEMP B-TREE") != NULL ||
            (strstr(plan, "SCAN") != NULL && strstr(serving[i].index, "SCAN") == NULL))
            fail_msg("%s:\n%s", serving[i].sql->name, plan);
    }
    sqlite3_close(db);
}

static void
bind(sqlite3_stmt *stmt, const char *name, const char *text, int64_t number)
{
    int at = sqlite3_bind_parameter_index(stmt, name);

    if (at == 0)
        return;
    if (text != NULL)
        assert_int_equal(sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT), SQLITE_OK);
    else
        assert_int_equal(sqlite3_bind_int64(stmt, at, number), SQLITE_OK);
}

/* Of each kind n jobs: due in lanes of their own, delayed, waiting behind one head, dead, leased.
 */
static sqlite3 *
fill(int n)
{
    sqlite3 *db = open_schema();
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "INSERT INTO job (organization_id, id, topic, lane, place, dedup_key, state, due_at,"
            " max_attempts, lease_holder, lease_until, payload, created_at, updated_at) VALUES "
            "('" ORGANIZATION "', ?1, 't', ?2, ?3, ?4, ?5, ?6, 8, ?7, ?8, '{}', 1, 1)",
            -1, &stmt, NULL),
        SQLITE_OK);
    for (int i = 0; i < 5 * n; i++) {
        static const char *const states[] = {"ready", "ready", "waiting", "dead", "leased"};
        int kind = i % 5;
        char id[40];
        char own_lane[24];
        char key[24];

        (void)snprintf(id, sizeof(id), "%036d", i);
        (void)snprintf(own_lane, sizeof(own_lane), "lane-%d", i);
        (void)snprintf(key, sizeof(key), "key-%d", i);
        sqlite3_bind_text(stmt, 1, id, -1, SQLITE_TRANSIENT);
        /* The first delayed job is the head of the long lane. */
        if (kind == 2)
            (void)snprintf(own_lane, sizeof(own_lane), "%s", i / 5 % 2 == 0 ? "long" : "freed");
        sqlite3_bind_text(stmt, 2, i == 1 ? "long" : own_lane, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int(stmt, 3, i + 1);
        sqlite3_bind_text(stmt, 4, key, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(stmt, 5, states[kind], -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 6, kind == 1 ? 1000000 + i : i);
        if (kind == 4) {
            sqlite3_bind_text(stmt, 7, "h", -1, SQLITE_STATIC);
            sqlite3_bind_int64(stmt, 8, 1000000);
        } else {
            sqlite3_bind_null(stmt, 7);
            sqlite3_bind_null(stmt, 8);
        }
        assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_reset(stmt);
    }
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

/* Runs a statement that must find something, undoes it, and tells its steps. */
static int
steps(sqlite3 *db, const struct store_sql *sql, const char *const *texts, const int64_t *numbers)
{
    static const char *const names[] = {"$2", "$3", "$4", "$5", "$6", "$7"};
    sqlite3_stmt *stmt = prepare(db, "", sql);
    int rows = 0;
    int changed;
    int count;
    int rc;

    bind(stmt, "$1", ORGANIZATION, 0);
    for (int i = 0; i < 6; i++)
        bind(stmt, names[i], texts[i], numbers[i]);
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    changed = sqlite3_total_changes(db);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        rows++;
    if (rc != SQLITE_DONE)
        fail_msg("%s: %s", sql->name, sqlite3_errmsg(db));
    if (rows + sqlite3_total_changes(db) - changed == 0)
        fail_msg("%s found nothing", sql->name);
    count = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    return count;
}

static void
test_steps_do_not_grow(void **state)
{
    enum { N = 10000 };
    static const struct {
        const struct store_sql *sql;
        const char *texts[6]; /* from $2 on; NULL: the number */
        int64_t numbers[6];
    } runs[] = {
        {&SQL_FIND_DEDUP, {"t", "key-10"}, {0}},
        {&SQL_LANE_HEAD, {"t", "long"}, {0}},
        {&SQL_LANE_TAIL, {"t", "long"}, {0}},
        {&SQL_TAKE, {"t", NULL, "me"}, {0, 500000, 0, 600000}},
        {&SQL_NEXT_DUE, {"t"}, {0}},
        {&SQL_PROMOTE, {"t", "freed"}, {0}},
        {&SQL_MERGE, {"t", "key-10"}, {0}},
        {&SQL_EXPIRED, {NULL}, {2000000}},
        {&SQL_OLDEST_DEAD, {NULL}, {0}},
        {&SQL_FINISH, {"000000000000000000000000000000000004", "h"}, {0}},
        {&SQL_PUT_BACK,
         {"000000000000000000000000000000000004", "h", NULL, NULL, "why"},
         {0, 0, 7, 1, 0, 8}},
        {&SQL_BURY, {"000000000000000000000000000000000004", "h", "why"}, {0, 0, 0, 9}},
        {&SQL_RENEW, {"000000000000000000000000000000000004", "h"}, {0, 0, 2000000}},
    };
    sqlite3 *small = fill(10);
    sqlite3 *large = fill(N);

    (void)state;
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        int few = steps(small, runs[i].sql, runs[i].texts, runs[i].numbers);
        int many = steps(large, runs[i].sql, runs[i].texts, runs[i].numbers);

        print_message("           %-16s %4d steps among 50 jobs, %4d among 50,000\n",
                      runs[i].sql->name, few, many);
        assert_true(many <= few + 2);
    }
    sqlite3_close(small);
    sqlite3_close(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_steps_do_not_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
