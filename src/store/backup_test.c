/*
 * backup_test.c - copies while others write, what restore accepts and refuses
 */
#include "store/backup.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"
#include "base/thread.h"
#include "store/store_private.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

#define TENANTS 3

struct bed {
    char folder[64];
    char data[96], copy[96], target[96];
    struct store *store;
    struct tenant_scope scopes[TENANTS];
    struct channel_id channel;
    _Atomic bool stop;
    _Atomic unsigned written;
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
open_store(struct bed *bed, const char *folder)
{
    struct store_config config = {.data_folder = folder};
    struct err err;

    ASSERT_OK(store_open(&config, &bed->store, &err), &err);
}

static void
make_bed(struct bed *bed)
{
    struct err err;

    memset(bed, 0, sizeof(*bed));
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/parley-backup-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    (void)snprintf(bed->data, sizeof(bed->data), "%s/data", bed->folder);
    (void)snprintf(bed->copy, sizeof(bed->copy), "%s/copy", bed->folder);
    (void)snprintf(bed->target, sizeof(bed->target), "%s/target", bed->folder);
    bed->channel = ID_NEW(channel_id);
    open_store(bed, bed->data);
    for (int i = 0; i < TENANTS; i++) {
        bed->scopes[i] = (struct tenant_scope){ID_NEW(organization_id), "test"};
        ASSERT_OK(store_tenant_create(bed->store, &bed->scopes[i], &err), &err);
    }
}

static void
end_bed(struct bed *bed)
{
    store_close(&bed->store);
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct note {
    struct channel_id channel;
    unsigned number;
    int64_t count;
};

/* Two notes that always come together. */
static enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    char name[24];
    enum status st = ST_OK;

    for (int i = 0; i < 2 && st == ST_OK; i++) {
        int len = snprintf(name, sizeof(name), "%u-%d", note->number, i);

        st = store_exec(
            tx, &TEST_NOTE_INSERT,
            ARGS(sv_id(note->channel), sv_text(str_of(name, (size_t)len)), sv_text(STR("v"))), NULL,
            err);
    }
    return st;
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

static void *
write_on(void *arg)
{
    struct bed *bed = arg;

    for (unsigned i = 0; !atomic_load(&bed->stop); i++) {
        struct note note = {.channel = bed->channel, .number = i};
        struct err err;

        ASSERT_OK(store_run(bed->store, &bed->scopes[i % TENANTS], "test", STORE_DURABLE,
                            insert_work, &note, &err),
                  &err);
        atomic_fetch_add(&bed->written, 1);
    }
    return NULL;
}

static void
count_progress(const struct store_progress *progress, void *context)
{
    assert_true(progress->done <= progress->total);
    ++*(unsigned *)context;
}

static void
make_copy(struct bed *bed)
{
    pthread_t writer;
    unsigned calls = 0;
    struct err err;

    ASSERT_OK(thread_start("writer", write_on, bed, &writer, &err), &err);
    while (atomic_load(&bed->written) < 50)
        (void)sched_yield();
    ASSERT_OK(store_backup(bed->store, bed->copy, count_progress, &calls, &err), &err);
    atomic_store(&bed->stop, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(calls >= TENANTS + 1);
}

static void
test_there_and_back(void **state)
{
    struct bed bed;
    unsigned calls = 0;
    int64_t total = 0;
    struct err err;

    (void)state;
    make_bed(&bed);
    make_copy(&bed);
    assert_int_equal(store_backup(bed.store, bed.copy, NULL, NULL, &err), ST_CONFLICT);
    store_close(&bed.store);
    ASSERT_OK(store_restore(bed.copy, bed.target, count_progress, &calls, &err), &err);
    assert_int_equal(calls, TENANTS + 1);
    open_store(&bed, bed.target);
    for (int i = 0; i < TENANTS; i++) {
        struct note note = {.channel = bed.channel};

        ASSERT_OK(store_read(bed.store, &bed.scopes[i], "test", count_work, &note, &err), &err);
        assert_int_equal(note.count % 2, 0);
        total += note.count;
    }
    assert_true(total >= 2 * 50);
    assert_true(total <= 2 * (int64_t)atomic_load(&bed.written));
    assert_int_equal(store_restore(bed.copy, bed.target, NULL, NULL, &err), ST_CONFLICT);
    end_bed(&bed);
}

/* As another process does it that has the folder's name only, while this one serves the folder. */
static void
test_without_the_store(void **state)
{
    struct bed bed;
    int held = -1;
    struct note note;
    struct err err;

    (void)state;
    make_bed(&bed);
    note = (struct note){.channel = bed.channel};
    ASSERT_OK(store_run(bed.store, &bed.scopes[0], "test", STORE_DURABLE, insert_work, &note, &err),
              &err);
    assert_int_equal(store_backup_folder(bed.target, NULL, bed.copy, NULL, NULL, &err),
                     ST_NOT_FOUND);
    assert_int_equal(access(bed.target, F_OK), -1);
    assert_int_equal(access(bed.copy, F_OK), -1);
    ASSERT_OK(store_hold_folder(bed.data, true, &held, &err), &err);
    assert_int_equal(store_backup_folder(bed.data, NULL, bed.copy, NULL, NULL, &err), ST_BUSY);
    assert_int_equal(store_tenant_delete(bed.store, &bed.scopes[1], &err), ST_BUSY);
    assert_int_equal(close(held), 0);
    ASSERT_OK(store_backup_folder(bed.data, NULL, bed.copy, NULL, NULL, &err), &err);
    ASSERT_OK(store_tenant_delete(bed.store, &bed.scopes[1], &err), &err);
    note.number++;
    ASSERT_OK(store_run(bed.store, &bed.scopes[0], "test", STORE_DURABLE, insert_work, &note, &err),
              &err);
    store_close(&bed.store);
    ASSERT_OK(store_restore(bed.copy, bed.target, NULL, NULL, &err), &err);
    open_store(&bed, bed.target);
    ASSERT_OK(store_read(bed.store, &bed.scopes[0], "test", count_work, &note, &err), &err);
    assert_int_equal(note.count, 2);
    ASSERT_OK(store_read(bed.store, &bed.scopes[1], "test", count_work, &note, &err), &err);
    assert_int_equal(note.count, 0);
    end_bed(&bed);
}

static void
change_byte(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    int byte;

    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    byte = fgetc(file);
    assert_true(byte != EOF);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

static enum status
restore_anew(struct bed *bed)
{
    char part[128];
    struct err err;
    enum status st = store_restore(bed->copy, bed->target, NULL, NULL, &err);

    (void)snprintf(part, sizeof(part), "%s.restoring", bed->target);
    (void)nftw(part, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return st;
}

/* --- objects --- */

static void
write_file(const struct bed *bed, const char *inside, const char *text)
{
    char path[300];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/objects/%s", bed->folder, inside);
    for (size_t i = strlen(bed->folder) + 1; path[i] != '\0'; i++)
        if (path[i] == '/') {
            path[i] = '\0';
            (void)mkdir(path, 0700);
            path[i] = '/';
        }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* While the databases are copied an object goes away: whoever deletes asks .hold, as drivers do. */
static void
delete_meanwhile(const struct store_progress *progress, void *context)
{
    const struct bed *bed = context;
    char path[200];
    int fd;

    (void)progress;
    (void)snprintf(path, sizeof(path), "%s/objects/.hold", bed->folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_not_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
    assert_int_equal(close(fd), 0);
}

static bool
has_object(const struct bed *bed, const char *inside, const char *want)
{
    char path[300], text[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/blobs/%s", bed->target, inside);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    assert_non_null(fgets(text, sizeof(text), file));
    assert_int_equal(fclose(file), 0);
    return strcmp(text, want) == 0;
}

static void
test_objects(void **state)
{
    struct bed bed;
    char objects[96], one[200], two[200], unnamed[200], manifest[400];
    const char *organization;
    struct err err;

    (void)state;
    make_bed(&bed);
    organization = bed.scopes[0].organization_id.id.text;
    (void)snprintf(objects, sizeof(objects), "%s/objects", bed.folder);
    (void)snprintf(one, sizeof(one), "%s/objects/+knowledge/+a/=1", organization);
    (void)snprintf(two, sizeof(two), "%s/objects/=..two", organization);
    (void)snprintf(unnamed, sizeof(unnamed), "%s/new/0123", organization);
    write_file(&bed, one, "first");
    write_file(&bed, two, "second");
    write_file(&bed, unnamed, "half");
    write_file(&bed, "notes.txt", "not ours");
    ASSERT_OK(store_backup_folder(bed.data, objects, bed.copy, delete_meanwhile, &bed, &err), &err);
    store_close(&bed.store);
    ASSERT_OK(store_restore(bed.copy, bed.target, NULL, NULL, &err), &err);
    assert_true(has_object(&bed, one, "first"));
    assert_true(has_object(&bed, two, "second"));
    assert_false(has_object(&bed, unnamed, "half"));
    assert_false(has_object(&bed, "notes.txt", "not ours"));
    /* A changed object is refused, and an object's name leads nowhere else. */
    (void)nftw(bed.target, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)snprintf(manifest, sizeof(manifest), "%s/blobs/%s", bed.copy, one);
    change_byte(manifest, 1);
    assert_int_equal(restore_anew(&bed), ST_INVALID);
    end_bed(&bed);
}

/* The manifest is what sha256sum reads and writes. */
static void
test_manifest(void **state)
{
    struct bed bed;
    char line[256];
    char path[160];
    FILE *file;
    int lines = 0;

    (void)state;
    make_bed(&bed);
    make_copy(&bed);
    (void)snprintf(path, sizeof(path), "%s/" BACKUP_MANIFEST, bed.copy);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_int_equal(strspn(line, "0123456789abcdef"), 64);
        assert_memory_equal(line + 64, "  ", 2);
        lines++;
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lines, TENANTS + 1);
    end_bed(&bed);
}

static void
write_manifest(const struct bed *bed, const char *text)
{
    char path[160];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/" BACKUP_MANIFEST, bed->copy);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void
test_refused(void **state)
{
    static const char digest[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *const names[] = {"../data/control.db",
                                        "/etc/passwd",
                                        "tenants/../x.db",
                                        "x",
                                        "tenants/.db",
                                        "",
                                        "blobs/x/objects/=a",
                                        "blobs/01890000-0000-7000-8000-000000000000/objects/../=a",
                                        "blobs/01890000-0000-7000-8000-000000000000/objects",
                                        "blobs/01890000-0000-7000-8000-000000000000/new/=a"};
    struct bed bed;
    char path[160];
    struct stat info;

    (void)state;
    make_bed(&bed);
    make_copy(&bed);
    (void)snprintf(path, sizeof(path), "%s/control.db", bed.copy);
    change_byte(path, 5000);
    assert_int_equal(restore_anew(&bed), ST_INVALID);
    change_byte(path, 5000);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[160];

        (void)snprintf(text, sizeof(text), "%s  %s\n", digest, names[i]);
        write_manifest(&bed, text);
        assert_int_equal(restore_anew(&bed), ST_INVALID);
    }
    write_manifest(&bed, "");
    assert_int_equal(restore_anew(&bed), ST_INVALID);
    (void)snprintf(path, sizeof(path), "%s/" BACKUP_MANIFEST, bed.copy);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(restore_anew(&bed), ST_NOT_FOUND);
    assert_int_not_equal(stat(bed.target, &info), 0);
    end_bed(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_without_the_store),
        cmocka_unit_test(test_objects),        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
