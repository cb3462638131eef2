/*
 * move_test.c - random rows in every table go from files to PostgreSQL and back and are the same;
 * damage, a kill in the middle, and whatever must not be moved are noticed
 *
 * What the files hold is read by SQLite itself here, not by what a move is made of.
 */
#include <ftw.h>
#include <math.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/testing.h"
#include "store/move.h"
#include "store/pgsql_test_support.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

#define ORGANIZATIONS 2
#define DUMP_MAX ((size_t)512 * 1024 * 1024)
#define TABLES_MAX 64

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

struct bed {
    char folder[64];
    char one[96], two[96]; /* data folders in it */
    struct pgsql_database database;
    struct tenant_scope scopes[ORGANIZATIONS];
    unsigned serial;
};

/* --- files --- */

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static sqlite3 *
open_file(const char *folder, const struct tenant_scope *scope)
{
    char path[256];
    sqlite3 *db = NULL;

    if (scope == NULL)
        (void)snprintf(path, sizeof(path), "%s/control.db", folder);
    else
        (void)snprintf(path, sizeof(path), "%s/tenants/%s.db", folder,
                       scope->organization_id.id.text);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
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
run(const char *folder, const struct tenant_scope *scope, const char *text)
{
    sqlite3 *db = open_file(folder, scope);

    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* --- random rows --- */

/* Not in an index: PostgreSQL's hold a third of a page at most. */
static bool
is_long(const char *column)
{
    static const char *const names[] = {"body",  "metadata", "envelope", "payload",
                                        "draft", "text",     "settings", "persona"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(column, names[i]) == 0)
            return true;
    }
    return false;
}

static void
bind_text(struct bed *bed, sqlite3_stmt *stmt, int at, const char *column)
{
    static const char *const samples[] = {"",
                                          "plain",
                                          "it's \"quoted\" \\ $1 %s",
                                          "Grüße, 日本語, العربية",
                                          "👩‍👩‍👧‍👦 e\xCC\x81",
                                          "line\nline\ttab\r",
                                          "\x01\x7F\xC2\x80\xEF\xBF\xBF",
                                          "NULL"};
    static const char *const states[] = {"ready", "waiting", "leased", "dead"};
    struct buf buf;

    buf_init(&buf, DUMP_MAX);
    if (strcmp(column, "state") == 0) {
        buf_append_c(&buf, states[random_below(4)]);
    } else {
        buf_append_c(&buf, samples[random_below(8)]);
        if (is_long(column) && random_below(10) == 0) {
            for (int i = 0; i < 1000; i++) /* more than a page */
                buf_append_c(&buf, "long text, länger ");
        }
        if (random_below(4) > 0)
            buf_printf(&buf, " %u", ++bed->serial);
    }
    sqlite3_bind_text64(stmt, at, buf.ptr == NULL ? "" : buf.ptr, buf.len, SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    buf_deinit(&buf);
}

static void
bind_blob(sqlite3_stmt *stmt, int at)
{
    static const size_t sizes[] = {0, 1, 24, 4096, 30000};
    size_t size = sizes[random_below(5)];
    char *bytes = malloc(size + 1);

    assert_non_null(bytes);
    random_bytes(bytes, size);
    sqlite3_bind_blob64(stmt, at, bytes, size, SQLITE_TRANSIENT);
    free(bytes);
}

static void
bind_number(sqlite3_stmt *stmt, int at, bool real)
{
    static const double reals[] = {0.0, -0.0, 0.1, 1.0 / 3, 1e308, 5e-324, -12345.678, 1.0};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1780000000000000};
    int64_t integer;

    if (real) {
        sqlite3_bind_double(stmt, at, reals[random_below(8)]);
        return;
    }
    random_bytes(&integer, sizeof(integer));
    sqlite3_bind_int64(stmt, at, random_below(3) == 0 ? integers[random_below(6)] : integer);
}

struct columns {
    int count;
    char names[40][64], types[40][16];
    bool required[40];
};

static void
read_columns(sqlite3 *db, const char *table, struct columns *columns_out)
{
    char text[200];
    sqlite3_stmt *stmt;

    (void)snprintf(text, sizeof(text),
                   "SELECT name, type, \"notnull\" OR pk FROM pragma_table_info('%s')", table);
    stmt = prepare(db, text);
    for (columns_out->count = 0; sqlite3_step(stmt) == SQLITE_ROW; columns_out->count++) {
        int i = columns_out->count;

        assert_true(i < 40);
        (void)snprintf(columns_out->names[i], 64, "%s", (const char *)sqlite3_column_text(stmt, 0));
        (void)snprintf(columns_out->types[i], 16, "%s", (const char *)sqlite3_column_text(stmt, 1));
        columns_out->required[i] = sqlite3_column_int(stmt, 2) != 0;
    }
    sqlite3_finalize(stmt);
}

/* False: a unique key had these values already. */
static bool
add_row(struct bed *bed, sqlite3 *db, const char *table, const struct columns *columns,
        const char *organization)
{
    char text[4096] = "";
    sqlite3_stmt *stmt;
    int code;
    int len = snprintf(text, sizeof(text), "INSERT INTO %s VALUES (", table);

    for (int i = 0; i < columns->count; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s?%d", i > 0 ? ", " : "", i + 1);
    (void)snprintf(text + len, sizeof(text) - (size_t)len, ")");
    stmt = prepare(db, text);
    for (int i = 0; i < columns->count; i++) {
        const char *name = columns->names[i], *type = columns->types[i];
        bool is_organization = strcmp(name, "organization_id") == 0 ||
                               (strcmp(table, "organization") == 0 && strcmp(name, "id") == 0);

        if (is_organization)
            sqlite3_bind_text(stmt, i + 1, organization, -1, SQLITE_STATIC);
        else if (!columns->required[i] && random_below(3) == 0)
            sqlite3_bind_null(stmt, i + 1);
        else if (strcmp(type, "TEXT") == 0)
            bind_text(bed, stmt, i + 1, name);
        else if (strcmp(type, "BLOB") == 0)
            bind_blob(stmt, i + 1);
        else
            bind_number(stmt, i + 1, strcmp(type, "REAL") == 0);
    }
    code = sqlite3_step(stmt);
    if (code != SQLITE_DONE && code != SQLITE_CONSTRAINT)
        fail_msg("%s: %s", table, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    return code == SQLITE_DONE;
}

static int
list_tables(sqlite3 *db, char names[TABLES_MAX][64])
{
    sqlite3_stmt *stmt =
        prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND "
                    "name NOT GLOB 'sqlite_*' AND name NOT IN "
                    "('instance', 'duty', 'record_revision') ORDER BY name <> 'organization', "
                    "name");
    int count = 0;

    for (; sqlite3_step(stmt) == SQLITE_ROW; count++) {
        assert_true(count < TABLES_MAX);
        (void)snprintf(names[count], 64, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    return count;
}

static void
fill_table(struct bed *bed, sqlite3 *db, const char *table, const char *organization, int rows)
{
    struct columns columns;
    int added = 0;

    read_columns(db, table, &columns);
    for (int i = 0; added < rows; i++) {
        assert_true(i < rows * 50);
        added += add_row(bed, db, table, &columns, organization) ? 1 : 0;
    }
}

static void
fill_file(struct bed *bed, const struct tenant_scope *scope, const char *organization, int rows)
{
    char names[TABLES_MAX][64];
    sqlite3 *db = open_file(bed->one, scope);
    int count = list_tables(db, names);

    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < count; i++)
        fill_table(bed, db, names[i], organization,
                   strcmp(names[i], "organization") == 0 ? 1 : rows);
    if (scope != NULL && rows > 1) /* more than a page, and more than a page's size */
        fill_table(bed, db, "contact", organization, 1300);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
add_large_rows(struct bed *bed)
{
    for (int i = 0; i < 4; i++) {
        char text[400];

        (void)snprintf(text, sizeof(text),
                       "INSERT INTO quarantine (organization_id, id, channel_id, reason, body, "
                       "created_at) VALUES ('%s', 'large %d', '', '', randomblob(3000000), 0)",
                       bed->scopes[0].organization_id.id.text, i);
        run(bed->one, &bed->scopes[0], text);
    }
}

/* rows: of every table of every organization. */
static void
make_bed(struct bed *bed, int rows)
{
    struct store_config config = {.data_folder = NULL};
    struct store *store = NULL;
    struct err err;

    *bed = (struct bed){.folder = "/tmp/parley-move-XXXXXX"};
    config.data_folder = bed->one;
    assert_non_null(mkdtemp(bed->folder));
    (void)snprintf(bed->one, sizeof(bed->one), "%s/one", bed->folder);
    (void)snprintf(bed->two, sizeof(bed->two), "%s/two", bed->folder);
    ASSERT_OK(store_open(&config, &store, &err), &err);
    for (int i = 0; i < ORGANIZATIONS; i++) {
        bed->scopes[i] = (struct tenant_scope){ID_NEW(organization_id), "test"};
        ASSERT_OK(store_tenant_create(store, &bed->scopes[i], &err), &err);
    }
    store_close(&store);
    for (int i = 0; i < ORGANIZATIONS; i++) {
        const char *organization = bed->scopes[i].organization_id.id.text;

        fill_file(bed, NULL, organization, rows);
        fill_file(bed, &bed->scopes[i], organization, rows);
    }
    pgsql_database_make(&server, &bed->database);
}

static void
end_bed(struct bed *bed)
{
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- what a folder holds, as SQLite writes it down --- */

static void
dump_table(sqlite3 *db, const char *table, struct buf *out)
{
    struct columns columns;
    struct buf text;
    sqlite3_stmt *stmt;

    read_columns(db, table, &columns);
    buf_init(&text, 65536);
    for (int i = 0; i < columns.count; i++)
        buf_printf(&text, "%squote(%s)", i > 0 ? " || ',' || " : "SELECT ", columns.names[i]);
    buf_printf(&text, " FROM %s ORDER BY 1", table);
    buf_append_byte(&text, '\0');
    stmt = prepare(db, text.ptr);
    buf_printf(out, "%s\n", table);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_printf(out, "%s\n", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    buf_deinit(&text);
}

static void
dump(const struct bed *bed, const char *folder, struct buf *out)
{
    char names[TABLES_MAX][64];

    buf_init(out, DUMP_MAX);
    for (int i = -1; i < ORGANIZATIONS; i++) {
        sqlite3 *db = open_file(folder, i < 0 ? NULL : &bed->scopes[i]);
        int count = list_tables(db, names);

        for (int t = 0; t < count; t++)
            dump_table(db, names[t], out);
        sqlite3_close(db);
    }
    assert_false(out->failed);
}

static void
expect_same(const struct bed *bed)
{
    struct buf one, two;

    dump(bed, bed->one, &one);
    dump(bed, bed->two, &two);
    assert_true(one.len > 10000);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.ptr, two.ptr, one.len);
    buf_deinit(&one);
    buf_deinit(&two);
}

/* --- moving --- */

enum direction { TO_SERVER, TO_FOLDER };

struct moving {
    struct bed *bed;
    enum direction direction;
    bool restart;
    const char *failpoints;
    enum status status;
    struct err err;
    struct store_move_result result;
    unsigned progress_last, progress_total;
    unsigned copied, verified;
};

static void
on_progress(const struct store_progress *progress, void *context)
{
    struct moving *moving = context;

    assert_true(progress->done >= moving->progress_last);
    moving->progress_last = progress->done;
    moving->progress_total = progress->total;
}

static enum status
on_copied(struct store *to, const struct tenant_scope *scope, void *context, struct err *err)
{
    (void)to;
    (void)scope;
    (void)err;
    ((struct moving *)context)->copied++;
    return ST_OK;
}

static enum status
note_work(struct store_tx *tx, void *arg, struct err *err)
{
    (void)arg;
    return store_exec(tx, &TEST_NOTE_SET,
                      ARGS(sv_text(STR("changed")), sv_text(STR("changed")), sv_int(7)), NULL, err);
}

/* May write: it is the target's last change before it is served. */
static enum status
on_verified(struct store *to, const struct tenant_scope *scope, void *context, struct err *err)
{
    ((struct moving *)context)->verified++;
    return store_run(to, scope, "test", STORE_DURABLE, note_work, NULL, err);
}

static void
move_once(struct moving *moving)
{
    struct bed *bed = moving->bed;
    struct store_move_spec spec = {.restart = moving->restart,
                                   .on_progress = on_progress,
                                   .on_copied = on_copied,
                                   .on_verified = on_verified,
                                   .context = moving};
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);

    if (moving->direction == TO_SERVER) {
        spec.from.data_folder = bed->one;
        spec.to.database_url = bed->database.url;
    } else {
        spec.from.database_url = bed->database.url;
        spec.to.data_folder = bed->two;
    }
    moving->progress_last = 0;
    moving->status = store_move(&spec, arena, &moving->result, &moving->err);
    moving->result.tables = NULL;
    arena_destroy(&arena);
}

static void
move_and_die(void *arg)
{
    struct moving *moving = arg;

    if (failpoint_configure(moving->failpoints, &moving->err) == ST_OK)
        move_once(moving);
}

static struct moving
move(struct bed *bed, enum direction direction, bool restart)
{
    struct moving moving = {.bed = bed, .direction = direction, .restart = restart};

    move_once(&moving);
    return moving;
}

static void
expect_moved(struct bed *bed, enum direction direction)
{
    struct moving moving = move(bed, direction, false);

    ASSERT_OK(moving.status, &moving.err);
    assert_int_equal(moving.result.organization_count, ORGANIZATIONS);
    assert_int_equal(moving.copied, ORGANIZATIONS);
    assert_int_equal(moving.verified, ORGANIZATIONS);
    assert_int_equal(moving.progress_last, moving.progress_total);
}

static void
kill_at(struct bed *bed, enum direction direction, const char *failpoints)
{
    struct moving moving = {.bed = bed, .direction = direction, .failpoints = failpoints};

    assert_int_equal(signal_of(move_and_die, &moving), SIGKILL);
}

static void
expect_restarted(struct bed *bed)
{
    struct moving moving = move(bed, TO_SERVER, true);

    ASSERT_OK(moving.status, &moving.err);
    assert_false(moving.result.went_on);
}

/* --- tests --- */

static void
test_there_and_back(void **state)
{
    struct bed bed = {.one = ""};
    char answer[64];

    (void)state;
    make_bed(&bed, 16);
    add_large_rows(&bed);
    expect_moved(&bed, TO_SERVER);
    pgsql_run(&bed.database, PGSQL_SUPERUSER, "SELECT count(*) FROM contact", answer);
    assert_string_equal(answer, "2632");
    pgsql_run(&bed.database, PGSQL_SUPERUSER, "SELECT count(*) FROM api_key", answer);
    assert_string_equal(answer, "32");
    expect_moved(&bed, TO_FOLDER);
    expect_same(&bed);
    end_bed(&bed);
}

static void
expect_refused(struct bed *bed, enum direction direction, enum status want, const char *words)
{
    struct moving moving = move(bed, direction, false);

    if (moving.status != want)
        fail_msg("%s instead of \"%s\": %s", status_name(moving.status), words, moving.err.detail);
    if (want != ST_OK && strstr(moving.err.detail, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", moving.err.detail, words);
}

static void
test_refused(void **state)
{
    struct bed bed = {.serial = 0};
    struct store_config folder = {.data_folder = bed.one};
    struct store_config database = {.database_url = bed.database.url};
    struct store *store = NULL;
    struct err err;

    (void)state;
    make_bed(&bed, 1);
    expect_refused(&bed, TO_FOLDER, ST_OK, ""); /* nothing, to a folder that is new */
    ASSERT_OK(store_open(&folder, &store, &err), &err);
    expect_refused(&bed, TO_SERVER, ST_CONFLICT, "serves this folder");
    store_close(&store);
    ASSERT_OK(store_open(&database, &store, &err), &err);
    expect_refused(&bed, TO_SERVER, ST_CONFLICT, "other Parley processes");
    store_close(&store);
    database.alone = true;
    ASSERT_OK(store_open(&database, &store, &err), &err);
    expect_refused(&bed, TO_SERVER, ST_CONFLICT, "other Parley processes");
    database.alone = false;
    {
        struct store *second = NULL;

        assert_int_equal(store_open(&database, &second, &err), ST_UNAVAILABLE);
        assert_non_null(strstr(err.public_text, "parley move"));
    }
    store_close(&store);
    expect_moved(&bed, TO_SERVER);
    expect_refused(&bed, TO_SERVER, ST_CONFLICT, "not empty");
    (void)snprintf(bed.two, sizeof(bed.two), "%s", bed.one);
    expect_refused(&bed, TO_FOLDER, ST_CONFLICT, "not empty");
    (void)snprintf(bed.one, sizeof(bed.one), "%s/nothing", bed.folder);
    expect_refused(&bed, TO_SERVER, ST_NOT_FOUND, "no data");
    assert_int_not_equal(access(bed.one, F_OK), 0);
    end_bed(&bed);
}

static void
test_row_that_cannot_be(void **state)
{
    struct bed bed = {.one = ""};
    char text[300];

    (void)state;
    make_bed(&bed, 1);
    (void)snprintf(text, sizeof(text),
                   "INSERT INTO brand (organization_id, id, name, created_at) "
                   "VALUES ('%s', 'the row', CAST(x'610062' AS TEXT), 0)",
                   bed.scopes[0].organization_id.id.text);
    run(bed.one, &bed.scopes[0], text);
    expect_refused(&bed, TO_SERVER, ST_INVALID, "the row");
    run(bed.one, &bed.scopes[0], "UPDATE brand SET name = 'ab' WHERE id = 'the row'");
    run(bed.one, &bed.scopes[0], "UPDATE brand SET organization_id = 'x' WHERE id = 'the row'");
    expect_refused(&bed, TO_SERVER, ST_INTERNAL, "name this organization");
    run(bed.one, &bed.scopes[0], "DELETE FROM brand WHERE id = 'the row'");
    expect_moved(&bed, TO_SERVER);
    end_bed(&bed);
}

static void
expect_not_served(const struct bed *bed, enum direction direction)
{
    struct store_config config = {.data_folder = bed->two};
    struct store *store = NULL;
    struct err err;

    if (direction == TO_SERVER)
        config.database_url = bed->database.url;
    assert_int_equal(store_open(&config, &store, &err), ST_CONFLICT);
    assert_non_null(strstr(err.public_text, "did not come to its end"));
}

/* Wherever it is killed, nobody serves what is not whole, and the next call brings it to its end.
 */
static void
test_killed(void **state)
{
    static const char *const points[] = {"move.batch=crash:2",  "move.batch=crash:15",
                                         "move.batch=crash:33", "move.copied=crash",
                                         "move.verified=crash", "move.ended=crash"};
    struct bed bed = {.one = ""};

    (void)state;
    make_bed(&bed, 3);
    for (int direction = TO_SERVER; direction <= TO_FOLDER; direction++) {
        for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
            kill_at(&bed, direction, points[i]);
            expect_not_served(&bed, direction);
        }
        expect_moved(&bed, direction);
    }
    expect_same(&bed);
    end_bed(&bed);
}

/* A source that changed between two calls is noticed, too. */
static void
test_damage(void **state)
{
    static const struct {
        bool control;
        const char *text, *want;
    } table[] = {
        {false,
         "UPDATE quarantine SET body = set_byte(body, 7, get_byte(body, 7) # 1) WHERE id = 'x'",
         "quarantine is not the same"},
        {false, "UPDATE message SET body = body || ' ' WHERE seq = (SELECT min(seq) FROM message)",
         "message is not the same"},
        {false, "DELETE FROM contact WHERE id = (SELECT min(id) FROM contact)",
         "contact is not the same"},
        {false, "UPDATE job SET lease_until = NULL WHERE id = 'x'", "job is not the same"},
        {false,
         "INSERT INTO idempotency SELECT organization_id, 'damage', '', 0, '', '', 0 FROM "
         "idempotency LIMIT 1",
         "idempotency is not the same"},
        {true, "UPDATE api_key SET secret_hash = '\\x00' WHERE prefix = 'x'",
         "api_key is not the same"},
        {true, "DELETE FROM user_account WHERE id = (SELECT min(id) FROM user_account)",
         "user_account is not the same"},
        {true, "INSERT INTO tenant_database VALUES ('00000000-0000-7000-8000-000000000000', 0)",
         "has 3 organizations"},
    };
    struct bed bed = {.one = ""};
    char text[400], answer[64];
    const char *organization;

    (void)state;
    make_bed(&bed, 3);
    organization = bed.scopes[0].organization_id.id.text;
    (void)snprintf(text, sizeof(text),
                   "INSERT INTO quarantine VALUES ('%s', 'x', '', '', randomblob(90), 0)",
                   organization);
    run(bed.one, &bed.scopes[0], text);
    (void)snprintf(text, sizeof(text),
                   "INSERT INTO job (organization_id, id, topic, state, due_at, max_attempts, "
                   "payload, created_at, updated_at, lease_until) VALUES ('%s', 'x', '', 'leased', "
                   "0, 1, '{}', 0, 0, 0)",
                   organization);
    run(bed.one, &bed.scopes[0], text);
    (void)snprintf(text, sizeof(text),
                   "INSERT INTO api_key (organization_id, id, prefix, secret_hash, name, scopes, "
                   "created_at) VALUES ('%s', 'x', 'x', x'01', '', '', 0)",
                   organization);
    run(bed.one, NULL, text);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        kill_at(&bed, TO_SERVER, "move.copied=crash");
        pgsql_run(&bed.database, PGSQL_SUPERUSER, table[i].text, answer);
        assert_string_equal(answer, "");
        expect_refused(&bed, TO_SERVER, ST_INTERNAL, table[i].want);
        expect_not_served(&bed, TO_SERVER);
        if (i == 0)
            expect_restarted(&bed);
        pgsql_database_make(&server, &bed.database);
    }
    end_bed(&bed);
}

/* The copy would be of two sources. */
static void
test_another_source(void **state)
{
    struct bed bed, other;
    struct pgsql_database database;

    (void)state;
    make_bed(&bed, 1);
    make_bed(&other, 1);
    kill_at(&bed, TO_SERVER, "move.batch=crash:9");
    database = other.database;
    other.database = bed.database;
    expect_refused(&other, TO_SERVER, ST_CONFLICT, "from elsewhere");
    expect_restarted(&other);
    expect_moved(&other, TO_FOLDER);
    expect_same(&other);
    other.database = database;
    end_bed(&bed);
    end_bed(&other);
}

/* A table or column that one engine has and the other has not. */
static void
test_schemas_differ(void **state)
{
    static const struct {
        const char *make, *undo, *want;
    } table[] = {
        {"CREATE TABLE forgotten (id TEXT PRIMARY KEY); GRANT ALL ON forgotten TO parley_app",
         "DROP TABLE forgotten", "forgotten is a table of one side only"},
        {"CREATE TABLE forgotten (organization_id TEXT, id TEXT PRIMARY KEY); "
         "ALTER TABLE forgotten ENABLE ROW LEVEL SECURITY",
         "DROP TABLE forgotten", "forgotten is a table of one side only"},
        {"ALTER TABLE chunk ADD COLUMN forgotten TEXT", "ALTER TABLE chunk DROP COLUMN forgotten",
         "chunk.forgotten is a column of one side only"},
        {"ALTER TABLE chunk ALTER COLUMN ordinal TYPE TEXT",
         "ALTER TABLE chunk ALTER COLUMN ordinal TYPE BIGINT USING ordinal::bigint",
         "chunk.ordinal is of two types"},
        {"ALTER TABLE chat ADD COLUMN at TIMESTAMPTZ", "ALTER TABLE chat DROP COLUMN at",
         "no way to move a column"},
    };
    struct bed bed = {.one = ""};
    char answer[64];

    (void)state;
    make_bed(&bed, 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        pgsql_run(&bed.database, PGSQL_OWNER, table[i].make, answer);
        assert_string_equal(answer, "");
        expect_refused(&bed, TO_SERVER, ST_INTERNAL, table[i].want);
        pgsql_run(&bed.database, PGSQL_OWNER, table[i].undo, answer);
        assert_string_equal(answer, "");
    }
    expect_moved(&bed, TO_SERVER);
    end_bed(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_row_that_cannot_be),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_another_source),
        cmocka_unit_test(test_schemas_differ),
    };
    int failed;

    if (sodium_init() < 0)
        return 1;
    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "store/move: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&server);
    return failed;
}
