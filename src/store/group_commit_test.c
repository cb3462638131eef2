/*
 * group_commit_test.c - random works from many threads, each effect exactly once
 */
#include <ftw.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/testing.h"
#include "store/store_conformance.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void
run_threads(unsigned threads, unsigned works)
{
    char folder[] = "/tmp/parley-group-XXXXXX";
    struct tenant_scope scope = {ID_NEW(organization_id), "test"};
    struct store_conformance suite = {
        .one = &scope, .kill = &TEST_SQLITE_KILL, .killed = ST_CONFLICT};
    struct store_config config = {.data_folder = folder};
    struct store_health health;
    struct err err;

    assert_non_null(mkdtemp(folder));
    ASSERT_OK(store_open(&config, &suite.store, &err), &err);
    ASSERT_OK(store_tenant_create(suite.store, &scope, &err), &err);
    store_conformance_threads(&suite, threads, works);
    store_get_health(suite.store, &health);
    /* They were grouped: fewer commits than works, and fewer waits for the disk. */
    if (threads > 8)
        assert_true(health.fsyncs < health.works);
    store_close(&suite.store);
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
test_alone(void **state)
{
    (void)state;
    run_threads(1, 200);
}

static void
test_few(void **state)
{
    (void)state;
    run_threads(3, 300);
}

static void
test_many(void **state)
{
    (void)state;
    run_threads(32, 150);
}

/* More than fit into one batch. */
static void
test_crowd(void **state)
{
    (void)state;
    run_threads(160, 12);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
