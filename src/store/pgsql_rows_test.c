/*
 * pgsql_rows_test.c - whose rows a transaction sees; what the role that serves may not do; the
 * shape of the schema; migrating
 */
#include <ftw.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/testing.h"
#include "base/thread.h"
#include "store/pgsql_test_support.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

struct bed {
    struct pgsql_database database;
    struct store *store;
    struct tenant_scope one, other;
};

static void
make_bed(struct bed *bed)
{
    struct store_config config = {0};
    struct err err;

    memset(bed, 0, sizeof(*bed));
    pgsql_database_make(&server, &bed->database);
    config.database_url = bed->database.url;
    ASSERT_OK(store_open(&config, &bed->store, &err), &err);
    bed->one = (struct tenant_scope){ID_NEW(organization_id), "test"};
    bed->other = (struct tenant_scope){ID_NEW(organization_id), "test"};
    ASSERT_OK(store_tenant_create(bed->store, &bed->one, &err), &err);
    ASSERT_OK(store_tenant_create(bed->store, &bed->other, &err), &err);
}

static enum status
note_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct channel_id channel = ID_NEW(channel_id);

    (void)arg;
    return store_exec(tx, &TEST_NOTE_INSERT,
                      ARGS(sv_id(channel), sv_text(STR("n")), sv_text(STR("mine"))), NULL, err);
}

/* --- a forgotten predicate --- */

struct forgotten {
    int64_t counted, updated, deleted;
    struct organization_id foreign;
    bool deletes;
};

static enum status
forgotten_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct forgotten *forgotten = arg;
    struct store_rows *rows = NULL;

    ASSERT_OK(store_query_one(tx, &TEST_FORGOTTEN_COUNT, NO_ARGS, &rows, err), err);
    forgotten->counted = store_col_int(rows, 0);
    ASSERT_OK(store_rows_close(&rows, err), err);
    ASSERT_OK(store_exec(tx, &TEST_FORGOTTEN_UPDATE, NO_ARGS, &forgotten->updated, err), err);
    ASSERT_OK(store_exec(tx, &TEST_FORGOTTEN_DELETE, NO_ARGS, &forgotten->deleted, err), err);
    return ST_OK;
}

static enum status
foreign_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct forgotten *forgotten = arg;

    return store_exec(tx, &TEST_FOREIGN_INSERT, ARGS(sv_id(forgotten->foreign)), NULL, err);
}

static void
test_forgotten_predicate(void **state)
{
    struct bed bed;
    struct forgotten forgotten = {0};
    char answer[64];
    struct err err;

    (void)state;
    make_bed(&bed);
    for (int i = 0; i < 3; i++)
        ASSERT_OK(store_run(bed.store, &bed.one, "test", STORE_DURABLE, note_work, NULL, &err),
                  &err);
    ASSERT_OK(store_run(bed.store, &bed.other, "test", STORE_DURABLE, note_work, NULL, &err), &err);
    ASSERT_OK(
        store_run(bed.store, &bed.other, "test", STORE_DURABLE, forgotten_work, &forgotten, &err),
        &err);
    assert_int_equal(forgotten.counted, 1);
    assert_int_equal(forgotten.updated, 1);
    assert_int_equal(forgotten.deleted, 1);
    pgsql_run(&bed.database, PGSQL_SUPERUSER,
              "SELECT count(*) FROM channel_state WHERE value = 'mine'", answer);
    assert_string_equal(answer, "3");
    forgotten.foreign = bed.one.organization_id;
    assert_int_equal(
        store_run(bed.store, &bed.other, "test", STORE_DURABLE, foreign_work, &forgotten, &err),
        ST_INTERNAL);
    assert_non_null(strstr(err.detail, "row-level security"));
    store_close(&bed.store);
}

/* --- the role --- */

struct attempt {
    const char *role, *text, *want;
};

static void
test_role_cannot_bypass(void **state)
{
    static const struct attempt table[] = {
        {PGSQL_APP, "SELECT count(*) FROM channel_state", "0"},
        {PGSQL_APP, "SET row_security = off; SELECT count(*) FROM channel_state", "!42501"},
        {PGSQL_APP, "SET ROLE parley_owner", "!42501"},
        {PGSQL_APP, "SET ROLE postgres", "!42501"},
        {PGSQL_APP, "SET SESSION AUTHORIZATION postgres", "!42501"},
        {PGSQL_APP, "ALTER TABLE channel_state DISABLE ROW LEVEL SECURITY", "!42501"},
        {PGSQL_APP, "ALTER TABLE channel_state NO FORCE ROW LEVEL SECURITY", "!42501"},
        {PGSQL_APP, "DROP POLICY own_organization ON channel_state", "!42501"},
        {PGSQL_APP, "CREATE POLICY all_rows ON channel_state USING (true)", "!42501"},
        {PGSQL_APP, "ALTER ROLE parley_app BYPASSRLS", "!42501"},
        {PGSQL_APP, "TRUNCATE channel_state", "!42501"},
        {PGSQL_APP, "CREATE TABLE copy AS SELECT * FROM channel_state", "!42501"},
        {PGSQL_APP, "COPY channel_state TO PROGRAM 'cat'", "!42501"},
        {PGSQL_APP, "UPDATE schema_version SET version = 99", "!42501"},
        {PGSQL_APP, "SELECT count(*) FROM job", "0"},
        {PGSQL_OWNER, "SELECT count(*) FROM channel_state", "0"},
        {PGSQL_SUPERUSER, "SELECT count(*) FROM channel_state", "1"},
    };
    struct bed bed;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(store_run(bed.store, &bed.one, "test", STORE_DURABLE, note_work, NULL, &err), &err);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char answer[64];

        pgsql_run(&bed.database, table[i].role, table[i].text, answer);
        if (strcmp(answer, table[i].want) != 0)
            fail_msg("%s as %s gave %s, not %s", table[i].text, table[i].role, answer,
                     table[i].want);
    }
    store_close(&bed.store);
}

/* Work that is due is told across organizations: who has it, and nothing else of it. */
static void
test_due_work(void **state)
{
    static const struct attempt table[] = {
        {PGSQL_SUPERUSER,
         "INSERT INTO job (organization_id, id, topic, state, due_at, max_attempts, payload, "
         "created_at, updated_at) SELECT 'org' || n, 'job' || n, 'answer', 'ready', n, 3, '{}', 0, "
         "0 "
         "FROM generate_series(1, 5) n",
         ""},
        {PGSQL_APP, "SELECT count(*) FROM job", "0"},
        {PGSQL_APP, "SELECT count(*) FROM parley_due_work('answer', 3, '', 10)", "3"},
        {PGSQL_APP, "SELECT count(*) FROM parley_due_work('answer', 3, 'org1', 1)", "1"},
        {PGSQL_APP, "SELECT d.organization_id FROM parley_due_work('answer', 9, 'org4', 9) d",
         "org5"},
        {PGSQL_APP, "SELECT count(*) FROM parley_due_work('send', 9, '', 10)", "0"},
        {PGSQL_APP, "SELECT payload FROM parley_due_work('answer', 9, '', 10)", "!42703"},
    };
    struct bed bed;

    (void)state;
    make_bed(&bed);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char answer[64];

        pgsql_run(&bed.database, table[i].role, table[i].text, answer);
        if (strcmp(answer, table[i].want) != 0)
            fail_msg("%s gave %s, not %s", table[i].text, answer, table[i].want);
    }
    store_close(&bed.store);
}

/* --- the schema --- */

#define CONTROL_TABLES                                                                             \
    "('organization', 'user_account', 'channel_directory', 'api_key', 'tenant_database', "         \
    "'schema_version', 'instance', 'duty', 'record_revision', 'live_generation', "                 \
    "'limit_bucket', 'limit_instance', 'unfinished_move')"
#define TENANT_TABLES                                                                              \
    "FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "   \
    "AND c.relname NOT IN " CONTROL_TABLES " "

/* Each counts what must not be. */
static void
test_schema(void **state)
{
    static const struct attempt table[] = {
        {"tables", "SELECT count(*) >= 22 " TENANT_TABLES, "t"},
        {"row security is forced",
         "SELECT count(*) " TENANT_TABLES "AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
         "0"},
        {"a policy of all commands",
         "SELECT count(*) " TENANT_TABLES "AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE "
         "p.polrelid = c.oid AND p.polname = 'own_organization' AND p.polcmd = '*' "
         "AND p.polwithcheck IS NOT NULL)",
         "0"},
        {"no other policy that the role that serves is under",
         "SELECT count(*) FROM pg_policy p WHERE p.polname <> 'own_organization' "
         "AND p.polroles <> ARRAY['parley_owner'::regrole::oid]",
         "0"},
        {"every index and key begins with the organization",
         "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
         "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
         "WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT IN " CONTROL_TABLES
         " AND a.attname IS DISTINCT FROM 'organization_id'",
         "0"},
        {"every table has a key",
         "SELECT count(*) " TENANT_TABLES
         "AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)",
         "0"},
        {"nothing refers to another table",
         "SELECT count(*) " TENANT_TABLES "AND EXISTS (SELECT 1 FROM pg_constraint k WHERE "
         "k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid))",
         "0"},
        {"texts are compared by bytes",
         "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' "
         "AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' "
         "AND table_name <> 'schema_version'",
         "0"},
    };
    struct pgsql_database database;

    (void)state;
    pgsql_database_make(&server, &database);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char answer[64];

        pgsql_run(&database, PGSQL_SUPERUSER, table[i].text, answer);
        if (strcmp(answer, table[i].want) != 0)
            fail_msg("%s: %s", table[i].role, answer);
    }
}

/* --- the schema of the other engine --- */

struct column_type {
    const char *sqlite, *pgsql;
};

static const char *
pgsql_type(const char *sqlite)
{
    static const struct column_type types[] = {
        {"TEXT", "text"}, {"INTEGER", "bigint"}, {"BLOB", "bytea"}, {"REAL", "double precision"}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].sqlite, sqlite) == 0)
            return types[i].pgsql;
    }
    fail_msg("no type %s", sqlite);
    return NULL;
}

/* Each column of a SQLite file is there on PostgreSQL with its type; how many there are. */
static int
compare_file(const struct pgsql_database *database, const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *columns = NULL;
    int count = 0;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "SELECT m.name, c.name, c.type, c.\"notnull\" OR (c.pk > 0 AND c.type = 'INTEGER') "
            "FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' "
            "AND m.name NOT LIKE 'sqlite%'",
            -1, &columns, NULL),
        SQLITE_OK);
    while (sqlite3_step(columns) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(columns, 0);
        const char *column = (const char *)sqlite3_column_text(columns, 1);
        char text[512];
        char answer[64];

        (void)snprintf(
            text, sizeof(text),
            "SELECT count(*) FROM information_schema.columns WHERE table_name = '%s' AND "
            "column_name = '%s' AND data_type = '%s' AND is_nullable = '%s'",
            table, column, pgsql_type((const char *)sqlite3_column_text(columns, 2)),
            sqlite3_column_int(columns, 3) != 0 ? "NO" : "YES");
        pgsql_run(database, PGSQL_SUPERUSER, text, answer);
        if (strcmp(answer, "1") != 0)
            fail_msg("%s.%s is not on PostgreSQL as it is on SQLite", table, column);
        count++;
    }
    assert_int_equal(sqlite3_finalize(columns), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return count;
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

/* The same tables and columns on both engines, in their newest versions. */
static void
test_same_columns(void **state)
{
    char folder[] = "/tmp/parley-columns-XXXXXX";
    struct store_config config = {.data_folder = folder};
    struct tenant_scope scope = {ID_NEW(organization_id), "test"};
    struct pgsql_database database;
    struct store *store = NULL;
    char path[160];
    char answer[64];
    char total[16];
    int columns;
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    ASSERT_OK(store_open(&config, &store, &err), &err);
    ASSERT_OK(store_tenant_create(store, &scope, &err), &err);
    store_close(&store);
    pgsql_database_make(&server, &database);
    (void)snprintf(path, sizeof(path), "%s/control.db", folder);
    columns = compare_file(&database, path);
    (void)snprintf(path, sizeof(path), "%s/tenants/%s.db", folder, scope.organization_id.id.text);
    columns += compare_file(&database, path);
    assert_true(columns > 150);
    pgsql_run(&database, PGSQL_SUPERUSER,
              "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' "
              "AND table_name NOT IN ('schema_version', 'tenant_database', 'unfinished_move') "
              "AND (SELECT relpersistence FROM pg_class WHERE oid = table_name::regclass) = 'p'",
              answer);
    (void)snprintf(total, sizeof(total), "%d", columns);
    assert_string_equal(answer, total); /* and no others */
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- opening and migrating --- */

struct migrator {
    struct pgsql_database *database;
    _Atomic int steps;
};

static void
count_step(const char *step, void *context)
{
    assert_true(strncmp(step, "control ", 8) == 0 || strncmp(step, "tenant ", 7) == 0);
    atomic_fetch_add(&((struct migrator *)context)->steps, 1);
}

static void
expect_refusal(const struct pgsql_database *database, const char *role, enum status want,
               const char *words)
{
    char url[PGSQL_URL_SIZE];
    struct store_config config = {.database_url = url};
    struct store *store = NULL;
    struct err err;

    pgsql_server_url(&server, role, database->name, 0, url);
    assert_int_equal(store_open(&config, &store, &err), want);
    assert_null(store);
    if (strstr(err.public_text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", err.public_text, words);
}

static void
test_opening(void **state)
{
    struct pgsql_database database;
    struct store_config config = {.database_url = database.url, .allow_newer_schema = true};
    struct store_config strict = {.database_url = database.url};
    struct store *store = NULL;
    char answer[64];
    struct err err;

    (void)state;
    pgsql_database_make_empty(&server, &database);
    expect_refusal(&database, PGSQL_APP, ST_CONFLICT, "parley migrate");
    pgsql_database_make(&server, &database);
    expect_refusal(&database, PGSQL_SUPERUSER, ST_DENIED, "superuser");
    expect_refusal(&database, PGSQL_OWNER, ST_DENIED, "owns tables");
    pgsql_run(&database, PGSQL_SUPERUSER, "ALTER ROLE parley_app BYPASSRLS", answer);
    expect_refusal(&database, PGSQL_APP, ST_DENIED, "row security");
    pgsql_run(&database, PGSQL_SUPERUSER,
              "ALTER ROLE parley_app NOBYPASSRLS; GRANT parley_owner TO parley_app", answer);
    expect_refusal(&database, PGSQL_APP, ST_DENIED, "owns tables");
    pgsql_run(&database, PGSQL_SUPERUSER, "REVOKE parley_owner FROM parley_app", answer);
    pgsql_run(&database, PGSQL_OWNER, "UPDATE schema_version SET version = version - 1", answer);
    expect_refusal(&database, PGSQL_APP, ST_CONFLICT, "parley migrate");
    /* Newer, but made so that this build can work with it: nothing keeps it from serving. */
    pgsql_run(&database, PGSQL_OWNER, "UPDATE schema_version SET version = version + 900", answer);
    ASSERT_OK(store_open(&strict, &store, &err), &err);
    store_close(&store);
    pgsql_run(&database, PGSQL_OWNER, "UPDATE schema_version SET oldest_reader = version", answer);
    expect_refusal(&database, PGSQL_APP, ST_CONFLICT, "newer Parley");
    ASSERT_OK(store_open(&config, &store, &err), &err);
    store_close(&store);
}

/* A newer version migrates while this one serves: it goes on, also on new connections. */
static void
test_migrated_beside(void **state)
{
    struct bed bed;
    char answer[64];
    enum status st = ST_UNAVAILABLE;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(store_run(bed.store, &bed.one, "before", STORE_DURABLE, note_work, NULL, &err), &err);
    pgsql_run(&bed.database, PGSQL_OWNER,
              "ALTER TABLE channel_state ADD COLUMN newer BIGINT NOT NULL DEFAULT 7; "
              "ALTER TABLE job ADD COLUMN newer TEXT; CREATE TABLE newer (id TEXT PRIMARY KEY); "
              "UPDATE schema_version SET version = version + 1",
              answer);
    assert_string_equal(answer, "");
    ASSERT_OK(store_run(bed.store, &bed.one, "after", STORE_DURABLE, note_work, NULL, &err), &err);
    pgsql_server_command(&server, "stop fast");
    pgsql_server_command(&server, "start");
    while (st == ST_UNAVAILABLE) /* until it has connected again */
        st = store_run(bed.store, &bed.one, "again", STORE_DURABLE, note_work, NULL, &err);
    ASSERT_OK(st, &err);
    pgsql_run(&bed.database, PGSQL_SUPERUSER, "SELECT count(*) FROM channel_state WHERE newer = 7",
              answer);
    assert_string_equal(answer, "3");
    store_close(&bed.store);
}

static void *
migrate_beside(void *arg)
{
    struct migrator *migrator = arg;
    struct store_config config = {.database_url = migrator->database->url};
    struct err err;

    ASSERT_OK(store_migrate_server(&config, migrator->database->migration_url, count_step, migrator,
                                   &err),
              &err);
    return NULL;
}

static void
test_migrate(void **state)
{
    struct pgsql_database database;
    struct store_config config = {.database_url = database.url};
    struct migrator migrator = {.database = &database};
    pthread_t threads[4];
    struct err err;

    (void)state;
    pgsql_database_make_empty(&server, &database);
    for (int i = 0; i < 4; i++)
        ASSERT_OK(thread_start("migrate", migrate_beside, &migrator, &threads[i], &err), &err);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&migrator.steps), 2); /* each step once, whoever did it */
    ASSERT_OK(store_migrate_server(&config, database.migration_url, count_step, &migrator, &err),
              &err);
    assert_int_equal(atomic_load(&migrator.steps), 2);
    /* The role that serves cannot migrate. */
    assert_int_equal(store_migrate_server(&config, database.url, count_step, &migrator, &err),
                     ST_INTERNAL);
}

/* --- migrating while others hold locks --- */

static PGconn *
superuser(const struct pgsql_database *database)
{
    char url[PGSQL_URL_SIZE];
    PGconn *pg;

    pgsql_server_url(&server, PGSQL_SUPERUSER, database->name, server.port, url);
    pg = PQconnectdb(url);
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    return pg;
}

static void
succeed(PGconn *pg, const char *text)
{
    PGresult *answer = PQexec(pg, text);

    if (PQresultStatus(answer) != PGRES_COMMAND_OK && PQresultStatus(answer) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(pg));
    PQclear(answer);
}

#define MIGRATION_LOCK "SELECT pg_advisory_xact_lock(728193501)"

static void
wait_for_waiters(const struct pgsql_database *database, const char *count)
{
    char answer[64] = "";

    while (strcmp(answer, count) != 0)
        pgsql_run(database, PGSQL_SUPERUSER,
                  "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                  "AND objid = 728193501 AND database = "
                  "(SELECT oid FROM pg_database WHERE datname = current_database())",
                  answer);
}

/* One holds the table that a migration needs and wants the migration's own lock. It gets that only
 * when the migration was refused; then it lets go, and the migration that goes again succeeds. */
static void
migrate_against_locks(struct pgsql_database *database)
{
    struct migrator migrator = {.database = database};
    PGconn *gate = superuser(database), *holder = superuser(database);
    PGresult *answer;
    pthread_t thread;
    struct err err;

    succeed(gate, "BEGIN");
    succeed(gate, MIGRATION_LOCK);
    succeed(holder, "SET deadlock_timeout = '1h'"); /* not this one is to be refused */
    succeed(holder, "BEGIN");
    succeed(holder, "LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE");
    ASSERT_OK(thread_start("migrate", migrate_beside, &migrator, &thread, &err), &err);
    wait_for_waiters(database, "1");
    assert_int_equal(PQsendQuery(holder, MIGRATION_LOCK), 1);
    wait_for_waiters(database, "2"); /* behind the migration */
    succeed(gate, "COMMIT");
    answer = PQgetResult(holder);
    assert_int_equal(PQresultStatus(answer), PGRES_TUPLES_OK);
    PQclear(answer);
    assert_null(PQgetResult(holder));
    succeed(holder, "COMMIT");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&migrator.steps), 0);
    PQfinish(holder);
    PQfinish(gate);
}

static void
test_migrate_against_locks(void **state)
{
    struct pgsql_database database;
    char answer[64];

    (void)state;
    pgsql_database_make(&server, &database);
    migrate_against_locks(&database); /* refused as the victim of a deadlock */
    pgsql_run(&database, PGSQL_SUPERUSER, "ALTER ROLE parley_owner SET deadlock_timeout = '1h'",
              answer);
    assert_string_equal(answer, "");
    migrate_against_locks(&database); /* refused by its lock_timeout */
    pgsql_run(&database, PGSQL_SUPERUSER, "ALTER ROLE parley_owner RESET deadlock_timeout", answer);
    assert_string_equal(answer, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forgotten_predicate),
        cmocka_unit_test(test_role_cannot_bypass),
        cmocka_unit_test(test_due_work),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_same_columns),
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_migrate),
        cmocka_unit_test(test_migrate_against_locks),
        cmocka_unit_test(test_migrated_beside),
    };
    int failed;

    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "store/pgsql_rows: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&server);
    return failed;
}
