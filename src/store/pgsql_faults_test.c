/*
 * pgsql_faults_test.c - PostgreSQL lost, restarted, dead; deadlocks, serialization failures,
 * time-outs; several processes on one organization; hostile values
 */
#include <libpq-fe.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/testing.h"
#include "base/thread.h"
#include "store/cut_proxy_test_support.h"
#include "store/pgsql_bed_test_support.h"
#include "store/store_test_sql.h"
#include "store/tenant_scope_driver.h"

/* --- a server that goes away --- */

static void
test_restart_in_transaction(void **state)
{
    static void (*const disturb[])(void) = {restart_fast, restart_after_crash};

    (void)state;
    for (size_t i = 0; i < sizeof(disturb) / sizeof(disturb[0]); i++) {
        struct bed bed;
        struct note note = {
            .bed = &bed, .name = "a", .disturb = disturb[i], .then = &TEST_FORGOTTEN_COUNT};
        struct err err;

        make_bed(&bed);
        ASSERT_OK(insert(bed.second, &note, &err), &err);
        assert_int_equal(note.runs, 2);
        assert_int_equal(count(&bed), 1);
        end_bed(&bed);
    }
}

/* Tries until it works again: what the callers of the store do. */
static void
insert_until(struct store *store, struct note *note)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + 20 * US_PER_S;
    struct err err;

    while (insert(store, note, &err) != ST_OK) {
        assert_int_equal(err.code, ST_UNAVAILABLE);
        assert_true(clock_mono_us(clock_system()) < deadline_us);
        (void)poll(NULL, 0, 10);
    }
}

static void
test_dead_server(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a"};
    struct store_health health;
    int64_t began_us;
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    pgsql_server_command(&bed_server, "stop fast");
    began_us = clock_mono_us(clock_system());
    for (int i = 0; i < 200; i++) {
        assert_int_equal(insert(bed.second, &note, &err), ST_UNAVAILABLE);
        assert_int_equal(store_read(bed.second, &bed.scope, "test", count_work, &note, &err),
                         ST_UNAVAILABLE);
    }
    store_get_health(bed.second, &health);
    assert_false(health.writable);
    assert_true(clock_mono_us(clock_system()) - began_us < 20 * US_PER_S);
    pgsql_server_command(&bed_server, "start");
    note.name = "b";
    insert_until(bed.second, &note);
    store_get_health(bed.second, &health);
    assert_true(health.writable);
    assert_true(health.data_bytes > 1000000);
    assert_int_equal(count(&bed), 2);
    end_bed(&bed);
}

static void
kill_sessions(struct bed *bed)
{
    char answer[64];

    pgsql_run(&bed->database, PGSQL_SUPERUSER,
              "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
              "WHERE usename = 'parley_app'",
              answer);
    assert_string_not_equal(answer, "0");
}

/* The sessions die while they rest: the next who takes one does not notice. */
static void
test_killed_sessions(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a"};
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    kill_sessions(&bed);
    note.name = "b";
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    assert_int_equal(count(&bed), 2);
    end_bed(&bed);
}

/* --- what the server asks to be run again --- */

static void
make_failing_function(struct bed *bed, const char *failures)
{
    char text[512];
    char answer[64];

    (void)snprintf(text, sizeof(text),
                   "CREATE SEQUENCE test_calls; GRANT ALL ON SEQUENCE test_calls TO parley_app; "
                   "CREATE FUNCTION test_fail_some() RETURNS VOID LANGUAGE plpgsql AS $$ BEGIN "
                   "IF nextval('test_calls') <= %s THEN RAISE EXCEPTION 'as asked' "
                   "USING ERRCODE = '40001'; END IF; END $$",
                   failures);
    pgsql_run(&bed->database, PGSQL_OWNER, text, answer);
    assert_string_equal(answer, "");
}

static void
test_serialization(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a", .then = &TEST_PGSQL_FAIL_SOME};
    struct err err;

    (void)state;
    make_bed(&bed);
    make_failing_function(&bed, "2");
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    assert_int_equal(note.runs, 3);
    assert_int_equal(count(&bed), 1);
    end_bed(&bed);

    note.runs = 0;
    make_bed(&bed);
    make_failing_function(&bed, "1000");
    assert_int_equal(insert(bed.second, &note, &err), ST_BUSY);
    assert_int_equal(note.runs, 6);
    assert_int_equal(count(&bed), 0);
    end_bed(&bed);
}

struct deadlock {
    struct bed *bed;
    PGconn *outside;
    int runs;
};

static void
outside(struct deadlock *deadlock, const char *text)
{
    PGresult *result = PQexec(deadlock->outside, text);

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQresultErrorMessage(result));
    PQclear(result);
}

static void
wait_until_blocked(struct deadlock *deadlock)
{
    char answer[64] = "";

    while (strcmp(answer, "1") != 0)
        pgsql_run(&deadlock->bed->database, PGSQL_SUPERUSER,
                  "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' "
                  "AND wait_event_type = 'Lock'",
                  answer);
}

static enum status
set_note(struct store_tx *tx, struct deadlock *deadlock, const char *name, struct err *err)
{
    return store_exec(
        tx, &TEST_NOTE_SET,
        ARGS(sv_id(deadlock->bed->channel), sv_text(str_from_c(name)), sv_int(deadlock->runs)),
        NULL, err);
}

/* The outside session has b and waits for a; we have a and go for b. */
static enum status
deadlock_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct deadlock *deadlock = arg;
    enum status st;

    if (++deadlock->runs > 1) {
        PGresult *result = PQgetResult(deadlock->outside);

        assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
        PQclear(result);
        assert_null(PQgetResult(deadlock->outside));
        outside(deadlock, "ROLLBACK");
        st = set_note(tx, deadlock, "a", err);
    } else {
        st = set_note(tx, deadlock, "a", err);
        assert_int_equal(
            PQsendQuery(deadlock->outside, "UPDATE channel_state SET value = 'x' WHERE name = 'a'"),
            1);
        wait_until_blocked(deadlock);
    }
    return st == ST_OK ? set_note(tx, deadlock, "b", err) : st;
}

static void
test_deadlock(void **state)
{
    struct bed bed;
    struct deadlock deadlock = {.bed = &bed};
    struct note note = {.bed = &bed, .name = "a"};
    char url[PGSQL_URL_SIZE];
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    note.name = "b";
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    pgsql_server_url(&bed_server, PGSQL_SUPERUSER, bed.database.name, 0, url);
    deadlock.outside = PQconnectdb(url);
    outside(&deadlock, "SET deadlock_timeout = '1h'"); /* so that it is ours that is chosen */
    outside(&deadlock, "BEGIN");
    outside(&deadlock, "UPDATE channel_state SET value = 'x' WHERE name = 'b'");
    ASSERT_OK(
        store_run(bed.second, &bed.scope, "test", STORE_DURABLE, deadlock_work, &deadlock, &err),
        &err);
    assert_int_equal(deadlock.runs, 2);
    PQfinish(deadlock.outside);
    end_bed(&bed);
}

static void
test_statement_timeout(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a", .then = &TEST_PGSQL_SLEEP};
    struct err err;

    (void)state;
    make_bed(&bed);
    assert_int_equal(insert(bed.second, &note, &err), ST_UNAVAILABLE);
    assert_int_equal(note.runs, 1);
    assert_int_equal(count(&bed), 0);
    end_bed(&bed);
}

/* --- several processes --- */

struct adder {
    struct bed *bed;
    struct store *store;
    int64_t seen;
};

/* Looks, then writes what follows from it: right only when nobody writes in between. */
static enum status
add_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct adder *adder = arg;
    struct str name = STR("sum");
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &TEST_NOTE_GET,
                                     ARGS(sv_id(adder->bed->channel), sv_text(name)), &rows, err);

    if (st != ST_OK)
        return st;
    adder->seen = store_col_int(rows, 1);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = store_exec(tx, &TEST_NOTE_SET,
                        ARGS(sv_id(adder->bed->channel), sv_text(name), sv_int(adder->seen + 1)),
                        NULL, err);
    return st;
}

static void *
add_many(void *arg)
{
    struct adder *adder = arg;

    for (int i = 0; i < 50; i++) {
        struct err err;

        ASSERT_OK(store_run(adder->store, &adder->bed->scope, "test_add", STORE_DURABLE, add_work,
                            adder, &err),
                  &err);
    }
    return NULL;
}

static void
test_two_stores(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "sum"};
    struct adder adders[6];
    pthread_t threads[6];
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    for (int i = 0; i < 6; i++) {
        adders[i] = (struct adder){&bed, i % 2 == 0 ? bed.store : bed.second, 0};
        ASSERT_OK(thread_start("add", add_many, &adders[i], &threads[i], &err), &err);
    }
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    ASSERT_OK(store_run(bed.store, &bed.scope, "test", STORE_DURABLE, add_work, &adders[0], &err),
              &err);
    assert_int_equal(adders[0].seen, 6 * 50);
    end_bed(&bed);
}

/* --- other processes that stop or die --- */

static void
open_second(struct bed *bed)
{
    struct store_config config = {.database_url = bed->database.url};
    struct err err;

    if (store_open(&config, &bed->second, &err) != ST_OK)
        abort();
}

static void
stop_self(void)
{
    (void)raise(SIGSTOP);
}

/* Frozen with a transaction open, then woken: what it had done is gone, so it does it again. */
static void
run_frozen(struct bed *bed)
{
    struct note note = {
        .bed = bed, .name = "frozen", .disturb = stop_self, .then = &TEST_FORGOTTEN_COUNT};
    struct err err;
    enum status st;

    open_second(bed);
    st = insert(bed->second, &note, &err);
    _exit(st == ST_OK && note.runs == 2 ? 0 : 1);
}

static void
test_frozen_process(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a"};
    int64_t start_us, waited_us;
    int status;
    pid_t child;
    struct err err;

    (void)state;
    make_bed(&bed);
    store_close(&bed.second);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_frozen(&bed);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    /* The server ends the frozen transaction: until then everybody of this organization waits. */
    open_second(&bed);
    start_us = clock_mono_us(clock_system());
    ASSERT_OK(insert(bed.second, &note, &err), &err);
    waited_us = clock_mono_us(clock_system()) - start_us;
    print_message("a frozen writer held up the others for %lld ms\n", (long long)waited_us / 1000);
    assert_in_range(waited_us, 0, 4 * US_PER_S);
    assert_int_equal(count(&bed), 1);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(count(&bed), 2);
    end_bed(&bed);
}

/* Says each number after it is durable, until it is killed. */
static void
run_until_killed(struct bed *bed, int pipe_fd, unsigned round)
{
    open_second(bed);
    for (unsigned i = 0;; i++) {
        char name[32];
        struct note note = {.bed = bed, .name = name};
        struct err err;

        (void)snprintf(name, sizeof(name), "%u-%u", round, i);
        if (insert(bed->second, &note, &err) != ST_OK || write(pipe_fd, "x", 1) != 1)
            abort();
    }
}

/* Gives how many it said. */
static int64_t
kill_one(struct bed *bed, unsigned round)
{
    unsigned kill_after = 1 + random_below(60);
    int64_t told = 0;
    int fds[2];
    int status;
    char byte;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_until_killed(bed, fds[1], round);
    (void)close(fds[1]);
    while (read(fds[0], &byte, 1) == 1) {
        if (++told == kill_after)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
    (void)close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return told;
}

/* What was told to be durable is there, and of each process at most one that it could not tell. */
static void
test_killed_process(void **state)
{
    enum { ROUNDS = 5 };
    struct bed bed;
    struct note after = {.bed = &bed, .name = "after"};
    int64_t told = 0;
    struct err err;

    (void)state;
    make_bed(&bed);
    store_close(&bed.second);
    for (unsigned round = 0; round < ROUNDS; round++)
        told += kill_one(&bed, round);
    open_second(&bed);
    /* Waits for whatever the last one left open. */
    ASSERT_OK(insert(bed.second, &after, &err), &err);
    assert_in_range(count(&bed) - 1, told, told + ROUNDS);
    end_bed(&bed);
}

/* Another process deletes what this one has open. */
static void
test_deleted_elsewhere(void **state)
{
    struct bed bed;
    struct note note = {.bed = &bed, .name = "a"};
    struct err err;

    (void)state;
    make_bed(&bed);
    ASSERT_OK(insert(bed.store, &note, &err), &err);
    ASSERT_OK(store_tenant_delete(bed.second, &bed.scope, &err), &err);
    assert_int_equal(insert(bed.store, &note, &err), ST_NOT_FOUND);
    assert_int_equal(store_read(bed.store, &bed.scope, "test", count_work, &note, &err),
                     ST_NOT_FOUND);
    end_bed(&bed);
}

/* --- a batch, which does not wait to hear of its begin --- */

#define FOLLOWERS 2

struct follower {
    struct note note;
    enum status got;
    atomic_bool done;
};

struct crowd {
    struct bed bed;
    void (*disturb)(struct bed *bed);
    atomic_bool leads, all_wait;
    struct follower followers[FOLLOWERS];
};

/* Holds the organization until the others are the next batch. */
static enum status
lead_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct crowd *crowd = arg;

    (void)tx;
    (void)err;
    atomic_store(&crowd->leads, true);
    while (!atomic_load(&crowd->all_wait))
        (void)sched_yield();
    return ST_OK;
}

/* Behind its transaction, and before that of the others. */
static void
on_led(enum status st, struct err *err, void *context)
{
    struct crowd *crowd = context;

    ASSERT_OK(st, err);
    crowd->disturb(&crowd->bed);
}

static void
on_followed(enum status st, struct err *err, void *context)
{
    struct follower *follower = context;

    (void)err;
    follower->got = st;
    atomic_store(&follower->done, true);
}

static void
delete_elsewhere(struct bed *bed)
{
    struct err err;

    ASSERT_OK(store_tenant_delete(bed->second, &bed->scope, &err), &err);
}

static void
test_batch_cannot_begin(void **state)
{
    static const struct {
        void (*disturb)(struct bed *bed);
        enum status want;
        const char *rows;
    } table[] = {{delete_elsewhere, ST_NOT_FOUND, "0"}, {kill_sessions, ST_OK, "2"}};
    static const char *const names[FOLLOWERS] = {"b", "c"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct crowd crowd = {.disturb = table[i].disturb};
        struct arena *arena = arena_create(65536);
        char answer[64];

        make_bed(&crowd.bed);
        store_submit(crowd.bed.store, &crowd.bed.scope, "test_lead", STORE_RELAXED, lead_work,
                     &crowd, arena, on_led, &crowd);
        while (!atomic_load(&crowd.leads)) /* else they would be in its batch */
            (void)sched_yield();
        for (size_t k = 0; k < FOLLOWERS; k++) {
            struct follower *follower = &crowd.followers[k];

            follower->note = (struct note){.bed = &crowd.bed, .name = names[k]};
            store_submit(crowd.bed.store, &crowd.bed.scope, "test_insert", STORE_DURABLE,
                         insert_work, &follower->note, arena, on_followed, follower);
        }
        atomic_store(&crowd.all_wait, true);
        for (size_t k = 0; k < FOLLOWERS; k++) {
            while (!atomic_load(&crowd.followers[k].done))
                (void)sched_yield();
            assert_int_equal(crowd.followers[k].got, table[i].want);
        }
        pgsql_run(&crowd.bed.database, PGSQL_SUPERUSER, "SELECT count(*) FROM channel_state",
                  answer);
        assert_string_equal(answer, table[i].rows);
        end_bed(&crowd.bed);
        arena_destroy(&arena);
    }
}

/* --- values --- */

struct hostile {
    struct str text;
    enum status want;
};

static enum status
hostile_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct hostile *hostile = arg;
    struct channel_id id = ID_NEW(channel_id);

    return store_exec(tx, &TEST_NOTE_INSERT,
                      ARGS(sv_id(id), sv_text(STR("n")), sv_text(hostile->text)), NULL, err);
}

static void
test_hostile_text(void **state)
{
    static const struct hostile table[] = {
        {STR_INIT("a\0b"), ST_INVALID},    {STR_INIT("\0"), ST_INVALID},
        {STR_INIT("\xff"), ST_INVALID},    {STR_INIT("\xc3"), ST_INVALID},
        {STR_INIT("$1 '; --"), ST_OK},     {STR_INIT("\\x00 \\000 \\"), ST_OK},
        {STR_INIT("\xef\xbf\xbf"), ST_OK},
    };
    struct bed bed;

    (void)state;
    make_bed(&bed);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hostile hostile = table[i];
        struct err err;

        assert_int_equal(
            store_run(bed.second, &bed.scope, "test", STORE_DURABLE, hostile_work, &hostile, &err),
            table[i].want);
    }
    end_bed(&bed);
}

#define BIG_BYTES ((size_t)20 * 1024 * 1024)

static enum status
big_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct str bytes = str_of(arg, BIG_BYTES);
    struct ingestion_id id = ID_NEW(ingestion_id);
    struct store_rows *rows = NULL;
    enum status st =
        store_exec(tx, &TEST_QUARANTINE_INSERT,
                   ARGS(sv_id(id), sv_text(STR("")), sv_blob(bytes), sv_int(-1)), NULL, err);

    if (st == ST_OK)
        st = store_query_one(tx, &TEST_QUARANTINE_GET, ARGS(sv_id(id)), &rows, err);
    if (st != ST_OK)
        return st;
    assert_true(str_eq(store_col_blob(rows, 1), bytes));
    assert_int_equal(store_col_int(rows, 2), -1);
    return store_rows_close(&rows, err);
}

static void
test_big_value(void **state)
{
    unsigned char *bytes = malloc(BIG_BYTES);
    struct bed bed;
    struct err err;

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    make_bed(&bed);
    ASSERT_OK(store_run(bed.store, &bed.scope, "test", STORE_DURABLE, big_work, bytes, &err), &err);
    end_bed(&bed);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_in_transaction),
        cmocka_unit_test(test_dead_server),
        cmocka_unit_test(test_killed_sessions),
        cmocka_unit_test(test_serialization),
        cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_statement_timeout),
        cmocka_unit_test(test_two_stores),
        cmocka_unit_test(test_deleted_elsewhere),
        cmocka_unit_test(test_batch_cannot_begin),
        cmocka_unit_test(test_frozen_process),
        cmocka_unit_test(test_killed_process),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_big_value),
    };
    int failed;

    if (!pgsql_server_start(&bed_server)) {
        (void)fprintf(stderr, "store/pgsql_faults: skipped, because PostgreSQL is not installed\n");
        return PGSQL_SKIPPED;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    pgsql_server_stop(&bed_server);
    return failed;
}
