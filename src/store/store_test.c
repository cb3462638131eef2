/*
 * store_test.c - the SQLite driver: conformance, lock, cache of open files, migrations, log size,
 * kill -9, full disk, syncs that fail
 */
#include "store/store.h"

#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/testing.h"
#include "base/thread.h"
#include "store/store_conformance.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

struct bed {
    char folder[64];
    struct store *store;
    struct tenant_scope scopes[8];
};

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void
remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
open_bed(struct bed *bed, unsigned max_open)
{
    struct store_config config = {.data_folder = bed->folder, .max_open_tenants = max_open};
    struct err err;

    ASSERT_OK(store_open(&config, &bed->store, &err), &err);
}

static void
make_bed(struct bed *bed, unsigned max_open, unsigned tenants)
{
    struct err err;

    *bed = (struct bed){.folder = "/tmp/parley-store-XXXXXX"};
    assert_non_null(mkdtemp(bed->folder));
    open_bed(bed, max_open);
    for (unsigned i = 0; i < 8; i++) {
        bed->scopes[i] = (struct tenant_scope){ID_NEW(organization_id), "test"};
        if (i < tenants)
            ASSERT_OK(store_tenant_create(bed->store, &bed->scopes[i], &err), &err);
    }
}

static void
end_bed(struct bed *bed)
{
    store_close(&bed->store);
    remove_tree(bed->folder);
}

struct note {
    struct channel_id channel;
    struct str name, value;
    int64_t count;
};

static enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;

    return store_exec(tx, &TEST_NOTE_INSERT,
                      ARGS(sv_id(note->channel), sv_text(note->name), sv_text(note->value)), NULL,
                      err);
}

static enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &TEST_NOTE_COUNT, ARGS(sv_id(note->channel)), &rows, err);

    if (st != ST_OK)
        return st;
    note->count = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
insert(struct bed *bed, unsigned tenant, struct channel_id channel, unsigned number,
       struct str value, struct err *err)
{
    char name[24];
    struct note note = {.channel = channel, .value = value};

    note.name = str_of(name, (size_t)snprintf(name, sizeof(name), "%u", number));
    return store_run(bed->store, &bed->scopes[tenant], "test_insert", STORE_DURABLE, insert_work,
                     &note, err);
}

static int64_t
count(struct bed *bed, unsigned tenant, struct channel_id channel)
{
    struct note note = {.channel = channel};
    struct err err;

    ASSERT_OK(store_read(bed->store, &bed->scopes[tenant], "test_count", count_work, &note, &err),
              &err);
    return note.count;
}

static void
test_conformance(void **state)
{
    struct bed bed;
    struct store_conformance suite = {.kill = &TEST_SQLITE_KILL, .killed = ST_CONFLICT};

    (void)state;
    make_bed(&bed, 0, 2);
    suite.store = bed.store;
    suite.one = &bed.scopes[0];
    suite.other = &bed.scopes[1];
    suite.unknown = &bed.scopes[2];
    store_conformance_run(&suite);
    end_bed(&bed);
}

/* --- the folder --- */

static void
test_lock(void **state)
{
    struct bed bed;
    struct store *second = NULL;
    struct store_config config;
    struct err err;

    (void)state;
    make_bed(&bed, 0, 0);
    config = (struct store_config){.data_folder = bed.folder};
    assert_int_equal(store_open(&config, &second, &err), ST_CONFLICT);
    assert_string_equal(err.public_text,
                        "a running Parley serves this folder: use its API or stop it");
    assert_null(second);
    store_close(&bed.store);
    ASSERT_OK(store_open(&config, &bed.store, &err), &err);
    end_bed(&bed);
}

static void
test_health(void **state)
{
    struct bed bed;
    struct store_health health;
    struct err err;

    (void)state;
    make_bed(&bed, 0, 1);
    ASSERT_OK(insert(&bed, 0, ID_NEW(channel_id), 1, STR("v"), &err), &err);
    store_get_health(bed.store, &health);
    assert_true(health.writable);
    assert_true(health.free_disk_bytes > 0);
    assert_true(health.data_bytes > 100000);
    assert_int_equal(health.open_tenants, 1);
    assert_int_equal(health.works, 1);
    assert_int_equal(health.commits, 1);
    assert_int_equal(health.fsyncs, 1);
    end_bed(&bed);
}

struct visitor {
    struct bed *bed;
    struct channel_id channel;
    unsigned number;
};

static void *
visit_all(void *arg)
{
    struct visitor *visitor = arg;
    struct err err;

    for (unsigned i = 0; i < 40; i++)
        ASSERT_OK(insert(visitor->bed, (visitor->number + i) % 6, visitor->channel,
                         visitor->number * 1000 + i, STR("v"), &err),
                  &err);
    return NULL;
}

static void
test_bounded_open_files(void **state)
{
    struct bed bed;
    struct visitor visitors[6];
    pthread_t threads[6];
    struct channel_id channel = ID_NEW(channel_id);
    struct store_health health;
    int64_t total = 0;
    struct err err;

    (void)state;
    make_bed(&bed, 2, 6);
    for (unsigned i = 0; i < 6; i++) {
        visitors[i] = (struct visitor){&bed, channel, i};
        ASSERT_OK(thread_start("visit", visit_all, &visitors[i], &threads[i], &err), &err);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    store_get_health(bed.store, &health);
    assert_true(health.open_tenants <= 2);
    for (unsigned i = 0; i < 6; i++)
        total += count(&bed, i, channel);
    assert_int_equal(total, 6 * 40);
    end_bed(&bed);
}

/* --- schema versions --- */

static void
set_version(struct bed *bed, const char *pragma)
{
    char path[160];
    sqlite3 *db = NULL;

    (void)snprintf(path, sizeof(path), "%s/tenants/%s.db", bed->folder,
                   bed->scopes[0].organization_id.id.text);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
test_newer_schema(void **state)
{
    struct bed bed;
    struct store_config config = {.allow_newer_schema = true};
    struct channel_id channel = ID_NEW(channel_id);
    struct err err;

    (void)state;
    make_bed(&bed, 0, 1);
    store_close(&bed.store);
    set_version(&bed, "PRAGMA user_version = 999");
    open_bed(&bed, 0);
    assert_int_equal(insert(&bed, 0, channel, 1, STR("v"), &err), ST_CONFLICT);
    assert_non_null(strstr(err.public_text, "newer Parley"));
    store_close(&bed.store);
    config.data_folder = bed.folder;
    ASSERT_OK(store_open(&config, &bed.store, &err), &err);
    ASSERT_OK(insert(&bed, 0, channel, 1, STR("v"), &err), &err);
    end_bed(&bed);
}

/* A crash inside a migration leaves the version before: the next start does it again. */
static void
test_half_made_file(void **state)
{
    struct bed bed;
    char path[160];
    int fd;
    struct err err;

    (void)state;
    make_bed(&bed, 0, 0);
    (void)snprintf(path, sizeof(path), "%s/tenants/%s.db", bed.folder,
                   bed.scopes[0].organization_id.id.text);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    ASSERT_OK(insert(&bed, 0, ID_NEW(channel_id), 1, STR("v"), &err), &err);
    end_bed(&bed);
}

static void
test_damaged_file(void **state)
{
    struct bed bed;
    char path[160];
    FILE *file;
    struct err err;

    (void)state;
    make_bed(&bed, 0, 2);
    store_close(&bed.store);
    (void)snprintf(path, sizeof(path), "%s/tenants/%s.db", bed.folder,
                   bed.scopes[0].organization_id.id.text);
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++)
        assert_true(fputs("this is not a database ", file) >= 0);
    assert_int_equal(fclose(file), 0);
    open_bed(&bed, 0);
    assert_int_equal(insert(&bed, 0, ID_NEW(channel_id), 1, STR("v"), &err), ST_INTERNAL);
    ASSERT_OK(insert(&bed, 1, ID_NEW(channel_id), 1, STR("v"), &err), &err);
    end_bed(&bed);
}

/* --- the log --- */

static void
test_log_stays_short(void **state)
{
    static char value[20000];
    struct bed bed;
    struct channel_id channel = ID_NEW(channel_id);
    char path[160];
    off_t longest = 0;
    struct err err;

    (void)state;
    memset(value, 'v', sizeof(value));
    make_bed(&bed, 0, 1);
    (void)snprintf(path, sizeof(path), "%s/tenants/%s.db-wal", bed.folder,
                   bed.scopes[0].organization_id.id.text);
    for (unsigned i = 0; i < 5000; i++) { /* 100 MB */
        struct stat info;

        ASSERT_OK(insert(&bed, 0, channel, i, str_of(value, sizeof(value)), &err), &err);
        assert_int_equal(stat(path, &info), 0);
        if (info.st_size > longest)
            longest = info.st_size;
    }
    assert_true(longest < 64 * 1024 * 1024);
    assert_int_equal(count(&bed, 0, channel), 5000);
    end_bed(&bed);
}

/* --- kill -9 --- */

struct killed {
    struct bed *bed;
    struct channel_id channel;
    unsigned number;
    int pipe_fd;
};

/* Says the number of each note after it is durable. */
static void *
write_and_tell(void *arg)
{
    struct killed *killed = arg;

    for (unsigned i = 0;; i++) {
        uint32_t number = killed->number * 1000000 + i;
        struct err err;

        if (insert(killed->bed, 0, killed->channel, number, STR("v"), &err) != ST_OK ||
            write(killed->pipe_fd, &number, sizeof(number)) != sizeof(number))
            abort();
    }
    return NULL;
}

static void
run_until_killed(struct bed *bed, struct channel_id channel, unsigned round, int pipe_fd)
{
    struct killed killed[4];
    pthread_t threads[4];
    struct err err;

    open_bed(bed, 0);
    for (unsigned i = 0; i < 4; i++) {
        killed[i] = (struct killed){bed, channel, round * 4 + i, pipe_fd};
        if (thread_start("writer", write_and_tell, &killed[i], &threads[i], &err) != ST_OK)
            abort();
    }
    for (;;)
        (void)pause();
}

static enum status
note_exists(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &TEST_NOTE_GET,
                                     ARGS(sv_id(note->channel), sv_text(note->name)), &rows, err);

    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static bool
is_there(struct bed *bed, struct channel_id channel, uint32_t number)
{
    char name[24];
    struct note note = {.channel = channel};
    enum status st;
    struct err err;

    note.name = str_of(name, (size_t)snprintf(name, sizeof(name), "%u", number));
    st = store_read(bed->store, &bed->scopes[0], "test_exists", note_exists, &note, &err);
    if (st != ST_NOT_FOUND)
        ASSERT_OK(st, &err);
    return st == ST_OK;
}

/* Kills after a number of reports, not after a time: on a slow machine as many commits are cut. */
static void
kill_one(struct bed *bed, struct channel_id channel, unsigned round)
{
    uint32_t *told = calloc(65536, sizeof(*told));
    unsigned kill_after = 1 + random_below(200);
    unsigned count = 0;
    uint32_t number;
    int fds[2];
    int status;
    pid_t child;

    assert_non_null(told);
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        run_until_killed(bed, channel, round, fds[1]);
    }
    (void)close(fds[1]);
    while (count < 65536 && read(fds[0], &number, sizeof(number)) == sizeof(number)) {
        told[count++] = number;
        if (count == kill_after)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(count >= kill_after);
    open_bed(bed, 0);
    for (unsigned i = 0; i < count; i++)
        assert_true(is_there(bed, channel, told[i]));
    store_close(&bed->store);
    free(told);
}

static void
test_kill(void **state)
{
    struct bed bed;
    struct channel_id channel = ID_NEW(channel_id);

    (void)state;
    make_bed(&bed, 0, 1);
    store_close(&bed.store);
    for (unsigned round = 0; round < 15; round++)
        kill_one(&bed, channel, round);
    open_bed(&bed, 0);
    end_bed(&bed);
}

/* --- full disk --- */

static void
limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No file may grow over a limit: what a full disk looks like to SQLite. */
static void
test_disk_full(void **state)
{
    static char value[8000];
    struct bed bed;
    struct channel_id channel = ID_NEW(channel_id);
    struct store_health health;
    unsigned accepted = 0;
    unsigned refused = 0;
    struct err err;

    (void)state;
    memset(value, 'v', sizeof(value));
    make_bed(&bed, 0, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files((rlim_t)1024 * 1024);
    for (unsigned i = 0; i < 400; i++) {
        enum status st = insert(&bed, 0, channel, i, str_of(value, sizeof(value)), &err);

        if (st == ST_OK) {
            accepted++;
        } else {
            refused++;
            assert_int_equal(st, ST_UNAVAILABLE);
        }
    }
    assert_true(accepted > 10);
    assert_true(refused > 10);
    store_get_health(bed.store, &health);
    assert_false(health.writable);
    assert_int_equal(count(&bed, 0, channel), accepted);
    limit_files(RLIM_INFINITY);
    ASSERT_OK(insert(&bed, 0, channel, 1000, STR("v"), &err), &err);
    store_get_health(bed.store, &health);
    assert_true(health.writable);
    store_close(&bed.store);
    open_bed(&bed, 0);
    assert_int_equal(count(&bed, 0, channel), accepted + 1);
    end_bed(&bed);
}

#ifdef PARLEY_WITH_FAILPOINTS
/* --- what is told before it is on disk --- */

static enum status
insert_relaxed(struct bed *bed, struct note *note, struct err *err)
{
    return store_run(bed->store, &bed->scopes[0], "test_insert", STORE_RELAXED, insert_work, note,
                     err);
}

/* What a durable work tells that wrote nothing, when syncs fail, and when they work again. */
static void
expect_waits(struct bed *bed, store_work work, struct note *note, enum status want)
{
    struct store_health before;
    struct store_health after;
    struct err err;

    ASSERT_OK(failpoint_configure("store.sync=error:1", &err), &err);
    assert_int_equal(
        store_run(bed->store, &bed->scopes[0], "test_seen", STORE_DURABLE, work, note, &err),
        ST_UNCERTAIN);
    ASSERT_OK(failpoint_configure("", &err), &err);
    store_get_health(bed->store, &before);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            store_run(bed->store, &bed->scopes[0], "test_seen", STORE_DURABLE, work, note, &err),
            want);
    store_get_health(bed->store, &after);
    assert_int_equal(after.fsyncs, before.fsyncs + 1); /* then nothing is new */
}

struct seen_case {
    const char *name;
    store_work work;
    const char *note;
    enum status want;
};

static const struct seen_case seen_cases[] = {
    {"it is there already", insert_work, "a", ST_CONFLICT},
    {"it is there", note_exists, "a", ST_OK},
    {"another is not", note_exists, "b", ST_NOT_FOUND},
};

static void
test_seen_is_synced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(seen_cases) / sizeof(seen_cases[0]); i++) {
        struct bed bed;
        struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("v")};
        struct err err;

        make_bed(&bed, 0, 1);
        ASSERT_OK(insert_relaxed(&bed, &note, &err), &err);
        note.name = str_from_c(seen_cases[i].note);
        expect_waits(&bed, seen_cases[i].work, &note, seen_cases[i].want);
        assert_int_equal(count(&bed, 0, note.channel), 1);
        end_bed(&bed);
    }
}

/* Its commits are in the log, which nobody had synced. */
static void
commit_and_die(struct bed *bed, struct note *note)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct err err;

        open_bed(bed, 0);
        if (insert_relaxed(bed, note, &err) == ST_OK)
            (void)kill(getpid(), SIGKILL);
        abort();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
test_seen_of_killed_is_synced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(seen_cases) / sizeof(seen_cases[0]); i++) {
        struct bed bed;
        struct note note = {.channel = ID_NEW(channel_id), .name = STR("a"), .value = STR("v")};

        make_bed(&bed, 0, 1);
        store_close(&bed.store);
        commit_and_die(&bed, &note);
        open_bed(&bed, 0);
        note.name = str_from_c(seen_cases[i].note);
        expect_waits(&bed, seen_cases[i].work, &note, seen_cases[i].want);
        assert_int_equal(count(&bed, 0, note.channel), 1);
        end_bed(&bed);
    }
}

static void
test_disk_full_on_command(void **state)
{
    struct bed bed;
    struct channel_id channel = ID_NEW(channel_id);
    struct err err;

    (void)state;
    make_bed(&bed, 0, 1);
    ASSERT_OK(failpoint_configure("store.disk_full=error:1", &err), &err);
    assert_int_equal(insert(&bed, 0, channel, 1, STR("v"), &err), ST_UNAVAILABLE);
    ASSERT_OK(failpoint_configure("", &err), &err);
    assert_int_equal(count(&bed, 0, channel), 0);
    ASSERT_OK(insert(&bed, 0, channel, 1, STR("v"), &err), &err);
    end_bed(&bed);
}
#else
SKIPPED_WITHOUT_FAILPOINTS(test_disk_full_on_command)
SKIPPED_WITHOUT_FAILPOINTS(test_seen_is_synced)
SKIPPED_WITHOUT_FAILPOINTS(test_seen_of_killed_is_synced)
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_bounded_open_files),
        cmocka_unit_test(test_newer_schema),
        cmocka_unit_test(test_half_made_file),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_log_stays_short),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_full_on_command),
        cmocka_unit_test(test_seen_is_synced),
        cmocka_unit_test(test_seen_of_killed_is_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
