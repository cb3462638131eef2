/*
 * pgsql_test.c - the PostgreSQL driver: conformance, many threads, several stores on one server
 */
#include <stdio.h>

#include "base/testing.h"
#include "base/thread.h"
#include "store/pgsql_test_support.h"
#include "store/store_conformance.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

struct bed {
    struct pgsql_database database;
    struct store *store;
    struct tenant_scope scopes[3];
};

static void
open_store(const struct bed *bed, struct store **store_out)
{
    struct store_config config = {.database_url = bed->database.url};
    struct err err;

    ASSERT_OK(store_open(&config, store_out, &err), &err);
}

static void
make_bed(struct bed *bed, unsigned tenants)
{
    struct err err;

    memset(bed, 0, sizeof(*bed));
    pgsql_database_make(&server, &bed->database);
    open_store(bed, &bed->store);
    for (unsigned i = 0; i < 3; i++) {
        bed->scopes[i] = (struct tenant_scope){ID_NEW(organization_id), "test"};
        if (i < tenants)
            ASSERT_OK(store_tenant_create(bed->store, &bed->scopes[i], &err), &err);
    }
}

static void
test_conformance(void **state)
{
    struct bed bed;
    struct store_conformance suite = {
        .kill = &TEST_PGSQL_KILL, .killed = ST_UNAVAILABLE, .others_commit = true};

    (void)state;
    make_bed(&bed, 2);
    suite.store = bed.store;
    suite.one = &bed.scopes[0];
    suite.other = &bed.scopes[1];
    suite.unknown = &bed.scopes[2];
    store_conformance_run(&suite);
    store_close(&bed.store);
}

static void
run_threads(unsigned threads, unsigned works)
{
    struct bed bed;
    struct store_conformance suite = {.kill = &TEST_PGSQL_KILL, .killed = ST_UNAVAILABLE};
    struct store_health health;

    make_bed(&bed, 1);
    suite.store = bed.store;
    suite.one = &bed.scopes[0];
    store_conformance_threads(&suite, threads, works);
    store_get_health(bed.store, &health);
    if (threads > 8)
        assert_true(health.commits < health.works);
    store_close(&bed.store);
}

static void
test_alone(void **state)
{
    (void)state;
    run_threads(1, 60);
}

static void
test_many(void **state)
{
    (void)state;
    run_threads(16, 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_many),
    };
    int failed;

    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "store/pgsql: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&server);
    return failed;
}
