/*
 * queue_shared_test.c - two processes' queues on one PostgreSQL: a lease holds against both until
 * its time is over, and a result that comes after that does not count
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/testing.h"
#include "queue/queue_test_support.h"
#include "store/pgsql_test_support.h"

#define START_US INT64_C(1780000000000000)
#define LEASE_US (120 * US_PER_S)

static struct pgsql_server server; /* lint-allow(globals): one server for the tests of a program */

struct scene {
    struct pgsql_database database;
    char key_file[64];
    struct clock *clock; /* manual, of all processes */
    struct bed one, other;
};

static void
open_process(struct scene *scene, struct bed *bed)
{
    struct store_config store = {.database_url = scene->database.url};
    struct tenants_config tenants = {.clock = scene->clock, .key_file = scene->key_file};
    struct queue_config queue = {.clock = scene->clock, .lease_us = LEASE_US};
    struct err err;

    *bed = (struct bed){.clock = scene->clock, .organization_count = 1};
    bed->arena = arena_create((size_t)4 * 1024 * 1024);
    ASSERT_OK(store_open(&store, &bed->store, &err), &err);
    tenants.store = queue.store = bed->store;
    ASSERT_OK(tenants_open(&tenants, &bed->tenants, &err), &err);
    queue.tenants = bed->tenants;
    ASSERT_OK(queue_open(&queue, &bed->queue, &err), &err);
}

static void
admit(struct bed *bed)
{
    struct err err;

    ASSERT_OK(tenant_admit_operator(bed->tenants, STR("firm"), bed->arena, &bed->scopes[0], &err),
              &err);
    bed->ids[0] = tenant_scope_organization(bed->scopes[0]);
}

static void
open_scene(struct scene *scene)
{
    struct organization_spec spec = {.name = STR("Firm"),
                                     .slug = STR("firm"),
                                     .owner_email = STR("owner@example.org"),
                                     .owner_name = STR("Owner")};
    struct organization organization;
    struct err err;

    memset(scene, 0, sizeof(*scene));
    (void)snprintf(scene->key_file, sizeof(scene->key_file), "/tmp/parley-keys-%d", (int)getpid());
    pgsql_database_make(&server, &scene->database);
    scene->clock = clock_create_manual(START_US);
    open_process(scene, &scene->one);
    ASSERT_OK(organization_create(scene->one.tenants, &spec, scene->one.arena, &organization, &err),
              &err);
    admit(&scene->one);
    open_process(scene, &scene->other);
    admit(&scene->other);
}

static void
close_scene(struct scene *scene)
{
    bed_close(&scene->one, false);
    bed_close(&scene->other, false);
    clock_destroy(&scene->clock);
    (void)unlink(scene->key_file);
}

static bool
take(struct bed *bed, struct lease *lease)
{
    int64_t next_due_us;
    bool taken;
    struct err err;

    ASSERT_OK(queue_take(bed->queue, bed->ids[0], STR("t"), bed->arena, lease, &taken, &next_due_us,
                         &err),
              &err);
    return taken;
}

static void
put(struct bed *bed, const char *payload)
{
    struct job_spec spec = {.topic = "t", .lane = STR("x"), .payload = str_from_c(payload)};

    assert_int_equal(bed_put(bed, 0, &spec, NULL), ST_OK);
}

static void
sweep(struct bed *bed)
{
    struct err err;

    ASSERT_OK(queue_sweep(bed->queue, &err), &err);
}

struct result {
    struct lease *lease;
    int64_t number;
};

static enum status
effect_and_done(struct store_tx *tx, void *arg, struct err *err)
{
    struct result *result = arg;
    enum status st = effect_insert(tx, STR("once"), result->number, 0, err);

    return st == ST_OK ? queue_lease_done(tx, result->lease, err) : st;
}

static enum status
settle(struct bed *bed, struct lease *lease, int64_t number)
{
    struct result result = {lease, number};
    struct err err;

    return store_run(bed->store, lease->scope, "test", STORE_DURABLE, effect_and_done, &result,
                     &err);
}

static void
see_number(int64_t number, int64_t value, void *context)
{
    (void)value;
    *(int64_t *)context = number;
}

static void
test_frozen_process(void **state)
{
    struct scene scene;
    struct lease frozen, next, third;
    int64_t number = 0;
    struct err err;

    (void)state;
    open_scene(&scene);
    put(&scene.one, "{\"n\":1}");
    put(&scene.one, "{\"n\":2}");
    assert_true(take(&scene.one, &frozen));
    /* Neither the other one's sweep nor a process that starts releases what is held in time. */
    clock_advance_us(scene.clock, LEASE_US - 1);
    sweep(&scene.other);
    assert_false(take(&scene.other, &next));
    bed_close(&scene.other, false);
    open_process(&scene, &scene.other);
    admit(&scene.other);
    assert_false(take(&scene.other, &next));
    clock_advance_us(scene.clock, 1);
    sweep(&scene.other);
    assert_true(take(&scene.other, &next));
    assert_int_equal(payload_number(next.job.payload), 1);
    assert_int_equal(next.job.attempts, 2);
    assert_string_not_equal(next.holder, frozen.holder);

    /* It wakes up: what it did is undone, and nothing of it reaches the job. */
    assert_int_equal(settle(&scene.one, &frozen, 1), ST_CONFLICT);
    assert_int_equal(frozen.outcome, LEASE_LOST);
    assert_int_equal(lease_renew(&frozen, &err), ST_CONFLICT);
    assert_int_equal(lease_put_back(&frozen, "test", START_US, 1, STR("failed"), &err),
                     ST_CONFLICT);
    assert_int_equal(effects_read(&scene.one, 0, STR("once"), NULL, NULL), 0);
    assert_false(take(&scene.one, &third)); /* the lane is the other's */

    assert_int_equal(settle(&scene.other, &next, 2), ST_OK);
    assert_int_equal(effects_read(&scene.one, 0, STR("once"), see_number, &number), 1);
    assert_int_equal(number, 2);
    assert_true(take(&scene.one, &third));
    assert_int_equal(payload_number(third.job.payload), 2);
    assert_int_equal(settle(&scene.one, &third, 3), ST_OK);
    close_scene(&scene);
}

/* Renewed by its holder, a lease holds beyond its first time. */
static void
test_renewed(void **state)
{
    struct scene scene;
    struct lease held, next;
    struct err err;

    (void)state;
    open_scene(&scene);
    put(&scene.one, "{\"n\":1}");
    assert_true(take(&scene.one, &held));
    clock_advance_us(scene.clock, LEASE_US / 2);
    ASSERT_OK(lease_renew(&held, &err), &err);
    clock_advance_us(scene.clock, LEASE_US - 1);
    sweep(&scene.other);
    assert_false(take(&scene.other, &next));
    assert_int_equal(settle(&scene.one, &held, 1), ST_OK);
    sweep(&scene.other);
    assert_false(take(&scene.other, &next));
    close_scene(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frozen_process),
                                       cmocka_unit_test(test_renewed)};
    int failed;

    if (!pgsql_server_start(&server)) {
        (void)fprintf(stderr, "queue/shared: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&server);
    return failed;
}
