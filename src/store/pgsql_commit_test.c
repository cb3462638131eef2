/*
 * pgsql_commit_test.c - cut off at a commit, or at the flush behind it; and what was told, after a
 * crash of PostgreSQL
 *
 * The server writes its log on its own account only every ten seconds here: what is there after a
 * crash was flushed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/testing.h"
#include "store/pgsql_bed_test_support.h"
#include "store/store_test_sql.h"

#define EITHER (-1)

struct cut_case {
    const char *name;
    enum cut cut;
    bool refuses;
    void (*on_cut)(void);
    enum status want;
    int runs;
    int64_t rows;
};

static void
test_commit_cut(void **state)
{
    static const struct cut_case table[] = {
        {"committed, answer lost", CUT_BEFORE_ANSWER, false, NULL, ST_OK, 1, 1},
        {"never arrived", CUT_BEFORE_COMMIT, false, NULL, ST_OK, 2, 1},
        {"committed, nothing to be learned", CUT_BEFORE_ANSWER, true, NULL, ST_UNCERTAIN, 1, 1},
        {"never arrived, nothing to be learned", CUT_BEFORE_COMMIT, true, NULL, ST_UNCERTAIN, 1, 0},
        {"committed, then the server restarts", CUT_BEFORE_ANSWER, false, restart_fast, ST_OK, 1,
         1},
        /* Its ids could be another transaction's by now, and it was on no disk. */
        {"committed, then the server crashes", CUT_BEFORE_ANSWER, false, restart_after_crash,
         ST_UNCERTAIN, 1, EITHER},
        {"not flushed", CUT_BEFORE_FLUSH, false, NULL, ST_OK, 1, 1},
        {"flushed, answer lost", CUT_BEFORE_FLUSH_ANSWER, false, NULL, ST_OK, 1, 1},
        {"not flushed, nothing to be learned", CUT_BEFORE_FLUSH, true, NULL, ST_UNCERTAIN, 1, 1},
        {"not flushed, then the server restarts", CUT_BEFORE_FLUSH, false, restart_fast, ST_OK, 1,
         1},
        {"not flushed, then the server crashes", CUT_BEFORE_FLUSH, false, restart_after_crash,
         ST_UNCERTAIN, 1, EITHER},
        {"flushed, then the server crashes", CUT_BEFORE_FLUSH_ANSWER, false, restart_after_crash,
         ST_UNCERTAIN, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct bed bed;
        struct note warm = {.bed = &bed, .name = "warm"};
        struct note note = {.bed = &bed, .name = table[i].name};
        struct err err;

        make_bed(&bed);
        ASSERT_OK(insert(bed.store, &warm, &err), &err);
        bed.proxy.on_cut = table[i].on_cut;
        atomic_store(&bed.proxy.refuses, table[i].refuses);
        atomic_store(&bed.proxy.next, table[i].cut);
        assert_int_equal(insert(bed.store, &note, &err), table[i].want);
        assert_int_equal(atomic_load(&bed.proxy.cuts), 1);
        assert_int_equal(note.runs, table[i].runs);
        if (table[i].rows != EITHER)
            assert_int_equal(count(&bed), table[i].rows + 1);
        end_bed(&bed);
    }
}

static enum status
known_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, &TEST_NOTE_GET, ARGS(sv_id(note->bed->channel), sv_text(str_from_c(note->name))), &rows,
        err);

    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* What was told is so after a crash: to who wrote it, and to who saw what another process wrote and
 * did not wait for. */
static void
test_told_bears_a_crash(void **state)
{
    static const struct {
        const char *name;
        enum store_durability first;
        store_work second;
        enum status want;
    } table[] = {
        {"written", STORE_DURABLE, NULL, ST_OK},
        {"a conflict", STORE_RELAXED, insert_work, ST_CONFLICT},
        {"seen", STORE_RELAXED, known_work, ST_OK},
    };
    struct bed bed;
    struct err err;

    (void)state;
    make_bed(&bed);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct note note = {.bed = &bed, .name = table[i].name};

        ASSERT_OK(store_run(bed.second, &bed.scope, "test_insert", table[i].first, insert_work,
                            &note, &err),
                  &err);
        if (table[i].second != NULL)
            assert_int_equal(store_run(bed.store, &bed.scope, "test_seen", STORE_DURABLE,
                                       table[i].second, &note, &err),
                             table[i].want);
        restart_after_crash();
        assert_int_equal(count(&bed), i + 1);
    }
    end_bed(&bed);
}

/* It is not told of what may go again. */
static void
test_seen_cannot_be_flushed(void **state)
{
    static const store_work works[] = {insert_work, known_work};

    (void)state;
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        struct bed bed;
        struct note note = {.bed = &bed, .name = "a"};
        struct err err;

        make_bed(&bed);
        ASSERT_OK(store_run(bed.second, &bed.scope, "test_insert", STORE_RELAXED, insert_work,
                            &note, &err),
                  &err);
        bed.proxy.on_cut = restart_after_crash;
        atomic_store(&bed.proxy.next, CUT_BEFORE_FLUSH);
        assert_int_equal(
            store_run(bed.store, &bed.scope, "test_seen", STORE_DURABLE, works[i], &note, &err),
            ST_UNCERTAIN);
        assert_int_equal(atomic_load(&bed.proxy.cuts), 1);
        /* The next life's are certain again. */
        note.name = "b";
        ASSERT_OK(insert(bed.store, &note, &err), &err);
        end_bed(&bed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_cut),
        cmocka_unit_test(test_told_bears_a_crash),
        cmocka_unit_test(test_seen_cannot_be_flushed),
    };
    int failed;

    if (setenv("PARLEY_TEST_POSTGRES_SETTINGS", "wal_writer_delay = 10s", 1) != 0)
        return 1;
    if (!pgsql_server_start(&bed_server)) {
        (void)fprintf(stderr, "store/pgsql_commit: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&bed_server);
    return failed;
}
