/*
 * directory_test.c - the directory driver: its suite, several processes at once, what is left over
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "blob/blob_conformance.h"
#include "blob/drivers/directory_private.h"

#include "base/failpoint.h"
#include "base/testing.h"
#include "store/tenant_scope_driver.h"

#define NOW_US (INT64_C(1800000000) * US_PER_S)
#define PROCESSES 6
#define ROUNDS 40
#define OBJECT_BYTES ((size_t)40000)

struct bed {
    char folder[64];
    struct clock *clock;
    struct blob_store *store;
    struct tenant_scope one, other;
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
open_store(struct bed *bed)
{
    struct blob_config config = {.clock = bed->clock,
                                 .folder = bed->folder,
                                 .max_object_bytes = BLOB_TEST_MAX_OBJECT,
                                 .min_part_bytes = BLOB_TEST_MIN_PART};
    struct err err;

    ASSERT_OK(blob_open(&config, &bed->store, &err), &err);
}

static void
open_bed(struct bed *bed)
{
    *bed = (struct bed){.clock = clock_create_manual(NOW_US)};
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/parley-blob-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    bed->one = (struct tenant_scope){ID_NEW(organization_id), "test"};
    bed->other = (struct tenant_scope){ID_NEW(organization_id), "test"};
    open_store(bed);
}

static void
close_bed(struct bed *bed)
{
    blob_close(&bed->store);
    clock_destroy(&bed->clock);
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum status
put(struct bed *bed, const char *key, struct str bytes, bool if_absent)
{
    struct blob_put_spec spec = {.key = str_from_c(key), .if_absent = if_absent};
    struct err err;

    return blob_put_bytes(bed->store, &bed->one, &spec, bytes, NULL, &err);
}

/* Files below a folder of the organization's. */
static unsigned
count_files(struct bed *bed, const char *inside)
{
    char path[256];
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", bed->folder, bed->one.organization_id.id.text,
                   inside);
    dir = opendir(path);
    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static void
test_suite(void **state)
{
    struct blob_conformance suite;
    struct bed bed;

    (void)state;
    open_bed(&bed);
    suite = (struct blob_conformance){bed.store, bed.clock, &bed.one, &bed.other};
    blob_conformance_run(&suite);
    assert_int_equal(count_files(&bed, NEW), 0);
    close_bed(&bed);
}

/* --- processes --- */

/* Runs fn(bed, number) in PROCESSES children; each must end well. */
static void
in_processes(struct bed *bed, bool (*fn)(struct bed *bed, int number))
{
    pid_t children[PROCESSES];

    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            open_store(bed); /* as a process of its own has it */
            _exit(fn(bed, i) ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Whoever reads sees all of one writer's bytes, never a mixture, never nothing. */
static bool
put_and_read_same_key(struct bed *bed, int number)
{
    char *bytes = malloc(OBJECT_BYTES);
    struct arena *arena = arena_create(BLOB_TEST_MAX_OBJECT);
    bool good = bytes != NULL;

    if (bytes != NULL)
        memset(bytes, 'a' + number, OBJECT_BYTES);
    for (int round = 0; good && round < ROUNDS; round++) {
        struct str found;
        struct err err;

        if (put(bed, "deep/er/same", str_of(bytes, OBJECT_BYTES), false) != ST_OK ||
            blob_get(bed->store, &bed->one, STR("deep/er/same"), OBJECT_BYTES, arena, &found,
                     &err) != ST_OK ||
            found.len != OBJECT_BYTES)
            good = false;
        for (size_t i = 1; good && i < found.len; i++)
            good = found.ptr[i] == found.ptr[0];
        arena_reset(arena);
    }
    arena_destroy(&arena);
    free(bytes);
    return good;
}

/* Folders come and go under the feet of those who put. */
static bool
put_and_delete(struct bed *bed, int number)
{
    char key[32];
    struct err err;

    (void)snprintf(key, sizeof(key), "come/and/go/%d", number);
    for (int round = 0; round < ROUNDS; round++) {
        struct blob_info info;

        if (put(bed, key, STR("x"), true) != ST_OK ||
            blob_stat(bed->store, &bed->one, str_from_c(key), &info, &err) != ST_OK ||
            blob_delete(bed->store, &bed->one, str_from_c(key), &err) != ST_OK)
            return false;
    }
    return true;
}

static bool
put_if_absent(struct bed *bed, int number)
{
    for (int round = 0; round < ROUNDS; round++) {
        char key[32], won[32];
        enum status st;

        (void)snprintf(key, sizeof(key), "once/%d", round);
        (void)snprintf(won, sizeof(won), "won/%d/%d", round, number);
        st = put(bed, key, STR("x"), true);
        if (st == ST_OK ? put(bed, won, STR("x"), true) != ST_OK : st != ST_CONFLICT)
            return false;
    }
    return true;
}

static void
test_same_key(void **state)
{
    struct bed bed;
    struct err err;

    (void)state;
    open_bed(&bed);
    in_processes(&bed, put_and_read_same_key);
    ASSERT_OK(blob_verify(bed.store, &bed.one, STR("deep/er/same"), &err), &err);
    in_processes(&bed, put_and_delete);
    assert_int_equal(count_files(&bed, OBJECTS "/+come"), 0);
    assert_int_equal(count_files(&bed, NEW), 0);
    close_bed(&bed);
}

static void
test_if_absent(void **state)
{
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct blob_entry *entries;
    size_t count;
    bool more;
    struct bed bed;
    struct err err;

    (void)state;
    open_bed(&bed);
    in_processes(&bed, put_if_absent);
    ASSERT_OK(blob_list(bed.store, &bed.one, STR("won/"), STR(""), BLOB_LIST_MAX, arena, &entries,
                        &count, &more, &err),
              &err);
    assert_int_equal(count, ROUNDS);
    close_bed(&bed);
    arena_destroy(&arena);
}

/* --- parts from several processes --- */

static void
part_bytes(char *bytes, unsigned number)
{
    memset(bytes, 'A' + (int)number, BLOB_TEST_MIN_PART);
}

static bool
upload_own_part(struct bed *bed, int number)
{
    char path[128], bytes[BLOB_TEST_MIN_PART];
    struct blob_upload_id id = {{0}};
    struct blob_part part;
    struct err err;
    bool read_it;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/id", bed->folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    read_it = fd >= 0 && read(fd, id.text, 32) == 32;
    if (fd >= 0)
        (void)close(fd);
    part_bytes(bytes, (unsigned)number);
    return read_it && blob_upload_part(bed->store, &bed->one, &id, (unsigned)number + 1,
                                       str_of(bytes, sizeof(bytes)), &part, &err) == ST_OK;
}

static void
test_parts_of_processes(void **state)
{
    char path[128], bytes[BLOB_TEST_MIN_PART];
    struct arena *arena = arena_create((size_t)1024 * 1024);
    struct blob_part parts[PROCESSES];
    struct blob_upload_id id;
    struct str found;
    struct bed bed;
    struct err err;
    int fd;

    (void)state;
    open_bed(&bed);
    ASSERT_OK(blob_upload_begin(bed.store, &bed.one, STR("joined"), STR(""), NOW_US + US_PER_S, &id,
                                &err),
              &err);
    (void)snprintf(path, sizeof(path), "%s/id", bed.folder);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, id.text, 32), 32);
    assert_int_equal(close(fd), 0);
    in_processes(&bed, upload_own_part);
    /* The checksums are known to whoever has the bytes. */
    for (unsigned i = 0; i < PROCESSES; i++) {
        crypto_hash_sha256_state hash;

        part_bytes(bytes, i);
        (void)crypto_hash_sha256_init(&hash);
        (void)crypto_hash_sha256_update(&hash, (const unsigned char *)bytes, sizeof(bytes));
        parts[i].number = i + 1;
        blob_hash_text(&hash, parts[i].etag);
    }
    ASSERT_OK(blob_upload_complete(bed.store, &bed.one, &id, parts, PROCESSES, NULL, &err), &err);
    ASSERT_OK(
        blob_get(bed.store, &bed.one, STR("joined"), BLOB_TEST_MAX_OBJECT, arena, &found, &err),
        &err);
    assert_int_equal(found.len, PROCESSES * BLOB_TEST_MIN_PART);
    for (size_t i = 0; i < found.len; i++)
        assert_int_equal(found.ptr[i], 'A' + (int)(i / BLOB_TEST_MIN_PART));
    assert_int_equal(count_files(&bed, PARTS), 0);
    close_bed(&bed);
    arena_destroy(&arena);
}

/* --- what is left over --- */

static void
make_old(struct bed *bed, const char *inside)
{
    char path[300];
    struct timespec old[2] = {{.tv_sec = NOW_US / US_PER_S - 7200},
                              {.tv_sec = NOW_US / US_PER_S - 7200}};
    struct dirent *entry;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/%s/%s", bed->folder, bed->one.organization_id.id.text,
                   inside);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            assert_int_equal(utimensat(dirfd(dir), entry->d_name, old, 0), 0);
    (void)closedir(dir);
}

static void
test_upkeep(void **state)
{
    struct blob_put_spec spec = {.key = STR("slow")};
    struct blob_put *slow = NULL;
    unsigned removed;
    char path[256];
    struct bed bed;
    struct err err;
    int fd;

    (void)state;
    open_bed(&bed);
    ASSERT_OK(blob_put_begin(bed.store, &bed.one, &spec, &slow, &err), &err);
    ASSERT_OK(blob_put_write(slow, STR("slow"), &err), &err);
    (void)snprintf(path, sizeof(path), "%s/%s/" NEW "/dead", bed.folder,
                   bed.one.organization_id.id.text);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(count_files(&bed, NEW), 2);
    make_old(&bed, NEW);
    /* Too young; then old: but only what nobody writes. */
    ASSERT_OK(blob_upkeep(bed.store, 3 * 3600 * US_PER_S, &removed, &err), &err);
    assert_int_equal(removed, 0);
    ASSERT_OK(blob_upkeep(bed.store, 3600 * US_PER_S, &removed, &err), &err);
    assert_int_equal(removed, 1);
    assert_int_equal(count_files(&bed, NEW), 1);
    ASSERT_OK(blob_put_commit(&slow, NULL, &err), &err);
    ASSERT_OK(blob_verify(bed.store, &bed.one, STR("slow"), &err), &err);
    assert_int_equal(count_files(&bed, NEW), 0);
    close_bed(&bed);
}

/* A backup holds the folder: nothing goes meanwhile, but what is put comes. */
static void
test_hold(void **state)
{
    char path[128];
    unsigned removed;
    struct bed bed;
    struct err err;
    int fd;

    (void)state;
    open_bed(&bed);
    assert_int_equal(put(&bed, "a", STR("x"), false), ST_OK);
    (void)snprintf(path, sizeof(path), "%s/" HOLD, bed.folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(blob_delete(bed.store, &bed.one, STR("a"), &err), ST_BUSY);
    assert_int_equal(blob_delete_all(bed.store, &bed.one, &err), ST_BUSY);
    assert_int_equal(blob_upkeep(bed.store, 0, &removed, &err), ST_BUSY);
    assert_int_equal(put(&bed, "b", STR("x"), false), ST_OK);
    assert_int_equal(close(fd), 0);
    ASSERT_OK(blob_delete(bed.store, &bed.one, STR("a"), &err), &err);
    close_bed(&bed);
}

/* --- disks --- */

/* A byte that turned on the disk is found; a file cut short, too. */
static void
test_damage(void **state)
{
    char path[256];
    struct blob_info info;
    struct bed bed;
    struct err err;
    int fd;

    (void)state;
    open_bed(&bed);
    assert_int_equal(put(&bed, "a", STR("hello"), false), ST_OK);
    (void)snprintf(path, sizeof(path), "%s/%s/" OBJECTS "/=a", bed.folder,
                   bed.one.organization_id.id.text);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "j", 1, 0), 1);
    assert_int_equal(blob_verify(bed.store, &bed.one, STR("a"), &err), ST_INTERNAL);
    assert_int_equal(ftruncate(fd, 200), 0);
    assert_int_equal(blob_stat(bed.store, &bed.one, STR("a"), &info, &err), ST_INTERNAL);
    assert_int_equal(ftruncate(fd, 300), 0);
    assert_int_equal(blob_stat(bed.store, &bed.one, STR("a"), &info, &err), ST_INTERNAL);
    assert_int_equal(close(fd), 0);
    close_bed(&bed);
}

/* The limit of a file's size stands in for a full disk: write fails, with the disk's own way. */
static void
test_full(void **state)
{
    struct rlimit before, low = {.rlim_cur = 8192};
    char *bytes = calloc(1, OBJECT_BYTES);
    struct blob_info info;
    struct bed bed;
    struct err err;

    (void)state;
    assert_non_null(bytes);
    open_bed(&bed);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(put(&bed, "big", str_of(bytes, OBJECT_BYTES), false), ST_UNAVAILABLE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(blob_stat(bed.store, &bed.one, STR("big"), &info, &err), ST_NOT_FOUND);
    assert_int_equal(count_files(&bed, NEW), 0);
    assert_int_equal(put(&bed, "big", str_of(bytes, OBJECT_BYTES), false), ST_OK);
    close_bed(&bed);
    free(bytes);
}

static void
test_no_folder(void **state)
{
    struct blob_config config = {.clock = clock_system(), .folder = "/dev/null/blobs"};
    struct blob_store *store;
    struct err err;

    (void)state;
    assert_int_equal(blob_open(&config, &store, &err), ST_UNAVAILABLE);
    assert_null(store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),     cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_if_absent), cmocka_unit_test(test_parts_of_processes),
        cmocka_unit_test(test_upkeep),    cmocka_unit_test(test_hold),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
