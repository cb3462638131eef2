/*
 * blob_crash_test.c - killed between every two durable steps: the object is whole or not there
 *
 * What is left over goes by upkeep, and the same work done again succeeds.
 */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "blob/blob_conformance.h"
#include "blob/blob_driver.h"

#include "base/failpoint.h"
#include "base/testing.h"
#include "store/tenant_scope_driver.h"

#define BYTES ((size_t)5000)

#ifdef PARLEY_WITH_FAILPOINTS

struct bed {
    char folder[64];
    struct blob_store *store;
    struct tenant_scope scope;
    struct blob_upload_id upload;
    struct blob_part parts[2];
};

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static enum status
do_put(struct bed *bed)
{
    struct blob_put_spec spec = {.key = STR("a/b")};
    char bytes[BYTES];
    struct err err;

    memset(bytes, 'n', sizeof(bytes));
    return blob_put_bytes(bed->store, &bed->scope, &spec, str_of(bytes, sizeof(bytes)), NULL, &err);
}

static enum status
do_put_absent(struct bed *bed)
{
    struct blob_put_spec spec = {.key = STR("a/b"), .if_absent = true};
    char bytes[BYTES];
    struct err err;
    enum status st;

    memset(bytes, 'n', sizeof(bytes));
    st = blob_put_bytes(bed->store, &bed->scope, &spec, str_of(bytes, sizeof(bytes)), NULL, &err);
    return st == ST_CONFLICT ? ST_OK : st; /* done before the crash */
}

static enum status
do_complete(struct bed *bed)
{
    struct err err;
    enum status st =
        blob_upload_complete(bed->store, &bed->scope, &bed->upload, bed->parts, 2, NULL, &err);

    return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status
do_erase(struct bed *bed)
{
    struct err err;

    return blob_delete_all(bed->store, &bed->scope, &err);
}

static void
open_bed(struct bed *bed, bool replaces)
{
    struct blob_config config = {.clock = clock_system(), .min_part_bytes = 1};
    struct blob_put_spec spec = {.key = STR("a/b")};
    char bytes[BYTES / 2];
    struct err err;

    memset(bytes, 'n', sizeof(bytes));
    *bed = (struct bed){.scope = {ID_NEW(organization_id), "test"}};
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/parley-blobcrash-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    config.folder = bed->folder;
    ASSERT_OK(blob_open(&config, &bed->store, &err), &err);
    if (replaces)
        ASSERT_OK(blob_put_bytes(bed->store, &bed->scope, &spec, STR("old"), NULL, &err), &err);
    ASSERT_OK(blob_upload_begin(bed->store, &bed->scope, STR("a/b"), STR(""),
                                clock_wall_us(clock_system()) + 3600 * US_PER_S, &bed->upload,
                                &err),
              &err);
    for (unsigned i = 0; i < 2; i++)
        ASSERT_OK(blob_upload_part(bed->store, &bed->scope, &bed->upload, i + 1,
                                   str_of(bytes, sizeof(bytes)), &bed->parts[i], &err),
                  &err);
}

/* Whether the object is what the work makes. What it is instead must be what was there before. */
static bool
is_done(struct bed *bed, bool replaces, bool erases)
{
    struct arena *arena = arena_create((size_t)65536);
    struct str found = STR_EMPTY;
    bool done;
    struct err err;
    enum status st = blob_get(bed->store, &bed->scope, STR("a/b"), 65536, arena, &found, &err);

    if (st == ST_NOT_FOUND) {
        assert_true(erases || !replaces);
        done = erases;
    } else {
        ASSERT_OK(st, &err);
        done = !erases && found.len == BYTES;
        assert_true(done || (replaces && str_eq_c(found, "old")));
    }
    arena_destroy(&arena);
    return done;
}

static unsigned
count_left(struct bed *bed)
{
    char path[256];
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/%s/new", bed->folder,
                   bed->scope.organization_id.id.text);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    dir = opendir(bed->folder);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strncmp(entry->d_name, ".gone-", 6) == 0;
    (void)closedir(dir);
    return count;
}

static const struct step {
    const char *failpoint;
    enum status (*work)(struct bed *bed);
    bool replaces, erases, done; /* done: at this point it counts already */
    unsigned left;
} steps[] = {
    {"blob.begun", do_put, false, false, false, 1},
    {"blob.begun", do_put, true, false, false, 1},
    {"blob.written", do_put, false, false, false, 1},
    {"blob.written", do_put, true, false, false, 1},
    {"blob.named", do_put, false, false, true, 0},
    {"blob.named", do_put, true, false, true, 0},
    {"blob.written", do_put_absent, false, false, false, 1},
    {"blob.named", do_put_absent, false, false, true, 1},
    {"blob.begun", do_complete, false, false, false, 1},
    {"blob.joined", do_complete, true, false, false, 1},
    {"blob.written", do_complete, true, false, false, 1},
    {"blob.named", do_complete, false, false, true, 0},
    {"blob.completed", do_complete, true, false, true, 0},
    {"blob.organization_gone", do_erase, true, true, true, 1},
};

static void
crash_in(struct bed *bed, const struct step *step)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        char spec[64];
        struct err err;

        (void)snprintf(spec, sizeof(spec), "%s=crash", step->failpoint);
        if (failpoint_configure(spec, &err) == ST_OK)
            (void)step->work(bed);
        _exit(1); /* it was not reached */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s was not reached", step->failpoint);
}

static void
test_crashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const struct step *step = &steps[i];
        unsigned removed = 0;
        struct bed bed;
        struct err err;

        open_bed(&bed, step->replaces);
        crash_in(&bed, step);
        if (is_done(&bed, step->replaces, step->erases) != step->done)
            fail_msg("killed at %s (%zu): done is not %d", step->failpoint, i, step->done);
        assert_int_equal(count_left(&bed), step->left);
        /* Negative: what was written this very second is old enough. */
        ASSERT_OK(blob_upkeep(bed.store, -10 * US_PER_S, &removed, &err), &err);
        assert_int_equal(removed, step->left);
        assert_int_equal(count_left(&bed), 0);
        assert_int_equal(step->work(&bed), ST_OK);
        assert_true(is_done(&bed, step->replaces, step->erases));
        assert_int_equal(count_left(&bed), 0);
        blob_close(&bed.store);
        (void)nftw(bed.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

static void
test_disk_full(void **state)
{
    struct bed bed;
    struct err err;

    (void)state;
    open_bed(&bed, true);
    ASSERT_OK(failpoint_configure("blob.disk_full=error:1", &err), &err);
    assert_int_equal(do_put(&bed), ST_UNAVAILABLE);
    ASSERT_OK(failpoint_configure("", &err), &err);
    assert_false(is_done(&bed, true, false));
    assert_int_equal(count_left(&bed), 0);
    assert_int_equal(do_put(&bed), ST_OK);
    assert_true(is_done(&bed, true, false));
    blob_close(&bed.store);
    (void)nftw(bed.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#else
SKIPPED_WITHOUT_FAILPOINTS(test_crashes)
SKIPPED_WITHOUT_FAILPOINTS(test_disk_full)
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crashes),
                                       cmocka_unit_test(test_disk_full)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
