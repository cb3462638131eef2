/*
 * open_databases_test.c - few open files, many threads: opened, trimmed, closed and deleted under
 * them
 */
#include "store/open_databases.h"

#include <ftw.h>
#include <stdio.h>

#include "base/testing.h"
#include "base/thread.h"

#define PLACES 6
#define THREADS 6
#define ROUNDS 25

struct bed {
    char folder[64];
    struct store_backend *backend;
    struct open_databases *databases;
    struct commit_counters counters;
    struct store_place places[PLACES];
    unsigned places_used;
    unsigned delete_one_in; /* turns */
    _Atomic unsigned next_seed;
    _Atomic bool failed;
    enum status results[THREADS]; /* each thread's last, and its error */
    struct err errors[THREADS];
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
make_bed(struct bed *bed, unsigned max_open, int64_t trim_after_us)
{
    struct store_config config;
    struct open_databases_config databases;
    struct err err;

    memset(bed, 0, sizeof(*bed));
    bed->places_used = PLACES;
    bed->delete_one_in = 16;
    (void)snprintf(bed->folder, sizeof(bed->folder), "/tmp/parley-open-XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    config = (struct store_config){.data_folder = bed->folder, .readers_per_tenant = 2};
    ASSERT_OK(store_driver_sqlite.open(&config, &bed->backend, &err), &err);
    databases = (struct open_databases_config){
        .driver = &store_driver_sqlite,
        .backend = bed->backend,
        .counters = &bed->counters,
        .max_open = max_open,
        .trim_after_us = trim_after_us,
    };
    bed->databases = open_databases_create(&databases);
    for (int i = 0; i < PLACES; i++)
        bed->places[i].organization_id = id_new();
}

static void
end_bed(struct bed *bed)
{
    open_databases_destroy(&bed->databases);
    store_driver_sqlite.close(&bed->backend);
    (void)nftw(bed->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
read_version(struct open_database *database)
{
    struct store_connection *connection = NULL;
    int version = 0;
    struct err err;

    ASSERT_OK(store_driver_sqlite.take(database->inner, STORE_READ, &connection, &err), &err);
    ASSERT_OK(store_driver_sqlite.version_get(connection, &version, &err), &err);
    assert_true(version > 0);
    store_driver_sqlite.give(database->inner, &connection);
}

static enum status
use_one(struct bed *bed, const struct store_place *place, struct err *err)
{
    struct open_database *database = NULL;
    struct store_connection *connection = NULL;
    int version = 0;
    enum status st = open_database_ref(bed->databases, place, true, &database, err);

    if (st != ST_OK)
        return st;
    if (!id_eq(&database->place.organization_id, &place->organization_id))
        st = err_set(err, ST_INTERNAL, "another place's database");
    if (st == ST_OK)
        st = store_driver_sqlite.take(database->inner, STORE_READ, &connection, err);
    if (st == ST_OK) {
        st = store_driver_sqlite.version_get(connection, &version, err);
        store_driver_sqlite.give(database->inner, &connection);
    }
    if (st == ST_OK && version <= 0)
        st = err_set(err, ST_INTERNAL, "a database without a schema");
    open_database_unref(bed->databases, &database);
    return st;
}

/* Asserts are the main thread's: what fails here is noted and stops all threads. */
static void *
use_all(void *arg)
{
    struct bed *bed = arg;
    unsigned number = atomic_fetch_add(&bed->next_seed, 1);
    uint64_t state = number + 1;
    enum status st = ST_OK;

    for (int i = 0; i < ROUNDS && !atomic_load(&bed->failed); i++) {
        const struct store_place *place;

        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        place = &bed->places[(state >> 33) % bed->places_used];
        if ((state >> 40) % bed->delete_one_in == 0) {
            st = open_databases_delete(bed->databases, place, &bed->errors[number]);
            if (st == ST_BUSY)
                st = ST_OK;
        } else {
            st = use_one(bed, place, &bed->errors[number]);
        }
        if (st != ST_OK)
            atomic_store(&bed->failed, true);
        bed->results[number] = st;
    }
    return NULL;
}

static void
run_threads(struct bed *bed)
{
    pthread_t threads[THREADS];
    struct err err;

    for (int i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start("use", use_all, bed, &threads[i], &err), &err);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ASSERT_OK(bed->results[i], &bed->errors[i]);
}

static void
run(unsigned max_open, int64_t trim_after_us)
{
    struct bed bed;

    make_bed(&bed, max_open, trim_after_us);
    run_threads(&bed);
    assert_true(open_databases_count(bed.databases) <= max_open);
    end_bed(&bed);
}

static void
test_closed_under_use(void **state)
{
    (void)state;
    run(2, 3600 * US_PER_S);
}

static void
test_trimmed_under_use(void **state)
{
    (void)state;
    run(PLACES, 0);
}

static void
test_trimmed_and_closed_under_use(void **state)
{
    (void)state;
    run(1, 0);
}

/* Everyone at one place, which is deleted as often as it is used: also while it is not there. */
static void
test_deleted_under_use(void **state)
{
    struct bed bed;

    (void)state;
    make_bed(&bed, 1, 3600 * US_PER_S);
    bed.places_used = 1;
    bed.delete_one_in = 2;
    run_threads(&bed);
    end_bed(&bed);
}

/* Process-wide: a driver's functions get nothing of the test's. */
static struct open_databases *watched;
static unsigned held_while_deleted;

static enum status
watched_delete(struct store_backend *backend, const struct store_place *place, struct err *err)
{
    held_while_deleted = open_databases_count(watched);
    return store_driver_sqlite.database_delete(backend, place, err);
}

/* Nobody can open a place while its files are deleted, even though nothing was there to close. */
static void
test_held_while_deleted(void **state)
{
    struct store_driver driver = store_driver_sqlite;
    struct open_databases_config config = {.driver = &driver, .max_open = 2};
    struct bed bed;
    struct open_database *database = NULL;
    struct err err;

    (void)state;
    make_bed(&bed, 2, 3600 * US_PER_S);
    driver.database_delete = watched_delete;
    config.backend = bed.backend;
    config.counters = &bed.counters;
    config.trim_after_us = 3600 * US_PER_S;
    watched = open_databases_create(&config);
    ASSERT_OK(open_databases_delete(watched, &bed.places[0], &err), &err);
    assert_int_equal(held_while_deleted, 1);
    assert_int_equal(open_databases_count(watched), 0);
    held_while_deleted = 0;
    ASSERT_OK(open_database_ref(watched, &bed.places[0], true, &database, &err), &err);
    open_database_unref(watched, &database);
    ASSERT_OK(open_databases_delete(watched, &bed.places[0], &err), &err);
    assert_int_equal(held_while_deleted, 1);
    assert_int_equal(open_databases_count(watched), 0);
    assert_int_equal(open_database_ref(watched, &bed.places[0], false, &database, &err),
                     ST_NOT_FOUND);
    open_databases_destroy(&watched);
    end_bed(&bed);
}

static void
test_none_there(void **state)
{
    struct bed bed;
    struct open_database *database = NULL;
    struct err err;

    (void)state;
    make_bed(&bed, 2, 0);
    assert_int_equal(open_database_ref(bed.databases, &bed.places[0], false, &database, &err),
                     ST_NOT_FOUND);
    assert_null(database);
    assert_int_equal(open_databases_count(bed.databases), 0);
    ASSERT_OK(open_databases_delete(bed.databases, &bed.places[0], &err), &err);
    end_bed(&bed);
}

/* What is trimmed says so, and works afterwards as before. */
static void
test_trimmed(void **state)
{
    struct bed bed;
    struct open_database *database = NULL;
    struct open_database *other = NULL;
    struct err err;

    (void)state;
    make_bed(&bed, 4, 0);
    ASSERT_OK(open_database_ref(bed.databases, &bed.places[0], true, &database, &err), &err);
    ASSERT_OK(open_database_ref(bed.databases, &bed.places[1], true, &other, &err), &err);
    read_version(database);
    open_database_unref(bed.databases, &other);
    ASSERT_OK(open_database_ref(bed.databases, &bed.places[1], false, &other, &err), &err);
    assert_true(other->trimmed);
    assert_false(database->trimmed);
    read_version(other);
    open_database_unref(bed.databases, &database);
    open_database_unref(bed.databases, &other);
    end_bed(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_there),
        cmocka_unit_test(test_trimmed),
        cmocka_unit_test(test_held_while_deleted),
        cmocka_unit_test(test_deleted_under_use),
        cmocka_unit_test(test_closed_under_use),
        cmocka_unit_test(test_trimmed_under_use),
        cmocka_unit_test(test_trimmed_and_closed_under_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
