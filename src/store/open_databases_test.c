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
#define ROUNDS 60

struct bed {
    char folder[64];
    struct store_backend *backend;
    struct open_databases *databases;
    struct commit_counters counters;
    struct store_place places[PLACES];
    unsigned max_open;
    _Atomic unsigned next_seed;
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

/* One in sixteen turns deletes. */
static void *
use_all(void *arg)
{
    struct bed *bed = arg;
    uint64_t state = atomic_fetch_add(&bed->next_seed, 1) + 1;

    for (int i = 0; i < ROUNDS; i++) {
        struct open_database *database = NULL;
        const struct store_place *place;
        enum status st;
        struct err err;

        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        place = &bed->places[(state >> 33) % PLACES];
        if ((state >> 40) % 16 == 0) {
            st = open_databases_delete(bed->databases, place, &err);
            assert_true(st == ST_OK || st == ST_BUSY);
            continue;
        }
        ASSERT_OK(open_database_ref(bed->databases, place, true, &database, &err), &err);
        assert_true(id_eq(&database->place.organization_id, &place->organization_id));
        read_version(database);
        open_database_unref(bed->databases, &database);
        assert_null(database);
    }
    return NULL;
}

static void
run(unsigned max_open, int64_t trim_after_us)
{
    struct bed bed;
    pthread_t threads[THREADS];
    struct err err;

    make_bed(&bed, max_open, trim_after_us);
    for (int i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start("use", use_all, &bed, &threads[i], &err), &err);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
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
        cmocka_unit_test(test_closed_under_use),
        cmocka_unit_test(test_trimmed_under_use),
        cmocka_unit_test(test_trimmed_and_closed_under_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
