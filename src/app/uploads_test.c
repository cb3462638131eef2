/*
 * uploads_test.c - several processes on one data folder keep each other's uploads; what a dead one
 * left is removed
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/uploads.h"
#include "base/testing.h"

static void
put_file(const char *folder, char path_out[UPLOADS_PATH_BYTES + 8])
{
    int fd;

    (void)snprintf(path_out, UPLOADS_PATH_BYTES + 8, "%s/part", folder);
    fd = open(path_out, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static bool
is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void
test_several(void **state)
{
    char folder[] = "/tmp/parley-uploads-XXXXXX", base[64], stray[UPLOADS_PATH_BYTES + 8];
    char file_of_one[UPLOADS_PATH_BYTES + 8], file_of_dead[UPLOADS_PATH_BYTES + 8];
    struct uploads one, dead, third;
    struct err err;

    (void)state;
    assert_non_null(mkdtemp(folder));
    ASSERT_OK(uploads_open(str_from_c(folder), &one, &err), &err);
    ASSERT_OK(uploads_open(str_from_c(folder), &dead, &err), &err);
    assert_string_not_equal(one.path, dead.path);
    put_file(one.path, file_of_one);
    put_file(dead.path, file_of_dead);
    (void)snprintf(base, sizeof(base), "%s/uploads", folder);
    put_file(base, stray);
    assert_int_equal(close(dead.lock_fd), 0); /* as the kernel does when a process ends */
    ASSERT_OK(uploads_open(str_from_c(folder), &third, &err), &err);
    assert_true(is_there(file_of_one));
    assert_false(is_there(file_of_dead));
    assert_false(is_there(dead.path));
    assert_false(is_there(stray));
    assert_true(is_there(third.path));
    uploads_close(&third);
    uploads_close(&third);
    assert_false(is_there(third.path));
    uploads_close(&one);
    assert_false(is_there(one.path));
    assert_int_equal(rmdir(base), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void
test_no_folder(void **state)
{
    struct uploads uploads;
    struct err err;

    (void)state;
    assert_int_equal(uploads_open(STR("/proc/no/such/folder"), &uploads, &err), ST_UNAVAILABLE);
    uploads_close(&uploads);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_several),
                                       cmocka_unit_test(test_no_folder)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
