/*
 * turns_test.c - rotation, hints and what a wake-up does at every moment, step by step
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "base/thread.h"
#include "queue/turns.h"

#define START_US (INT64_C(1800000000) * US_PER_S)
#define ORGANIZATIONS 3

struct table {
    struct clock *clock;
    struct turns *turns;
    struct turns_topic *topic;
    struct organization_id ids[ORGANIZATIONS];
    bool stop;
};

static void
table_open(struct table *table)
{
    *table = (struct table){.clock = clock_create_manual(START_US)};
    table->turns = turns_create(table->clock, 10, US_PER_S);
    table->topic = turns_get_topic(table->turns, STR("t"));
    assert_non_null(table->topic);
    for (int i = 0; i < ORGANIZATIONS; i++)
        table->ids[i] = ID_NEW(organization_id);
}

static void
table_close(struct table *table)
{
    turns_destroy(&table->turns);
    clock_destroy(&table->clock);
}

static void
wake(struct table *table, int organization, int64_t after_us)
{
    turns_wake(table->turns, table->ids[organization], STR("t"), START_US + after_us);
}

static bool
is_idle(struct table *table)
{
    uint64_t happened;

    turns_enter(table->turns, table->topic);
    if (!turns_wait_idle(table->turns, 0, &happened)) {
        turns_leave(table->turns, table->topic);
        return false;
    }
    turns_leave(table->turns, table->topic);
    return true;
}

/* Whose turn it is; -1 when it is nobody's. */
static int
take(struct table *table, struct turn *turn)
{
    if (is_idle(table))
        return -1;
    assert_true(turns_take(table->turns, table->topic, &table->stop, turn));
    for (int i = 0; i < ORGANIZATIONS; i++) {
        if (id_eq(&turn->organization_id.id, &table->ids[i].id))
            return i;
    }
    fail();
    return -1;
}

static void
finish(struct table *table, const struct turn *turn, int64_t next_due_us)
{
    turns_finish(table->turns, turn, next_due_us);
    turns_end(table->turns, table->topic);
}

static void
test_rotation(void **state)
{
    struct table table;
    struct turn turn;
    struct turn other;

    (void)state;
    table_open(&table);
    for (int i = 0; i < ORGANIZATIONS; i++)
        wake(&table, i, 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < ORGANIZATIONS; i++) {
            assert_int_equal(take(&table, &turn), i);
            finish(&table, &turn, START_US); /* there is more */
            wake(&table, i, 0);              /* does not give a second place */
        }
    }
    /* Who is being looked at is not in the line by itself; who returns stands at its end. */
    assert_int_equal(take(&table, &turn), 0);
    assert_true(turns_take(table.turns, table.topic, &table.stop, &other));
    assert_true(id_eq(&other.organization_id.id, &table.ids[1].id));
    finish(&table, &turn, START_US);
    finish(&table, &other, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), 2);
    finish(&table, &turn, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), 0);
    finish(&table, &turn, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), -1);
    table_close(&table);
}

/* A wake-up while a worker looks is joined with what the worker finds. */
static void
test_wake_while_taken(void **state)
{
    static const struct {
        int64_t woken, found, advance;
        bool due;
    } table_of[] = {
        {0, TURNS_NEVER, 0, true},       {0, START_US + 100, 0, true},
        {100, TURNS_NEVER, 99, false},   {100, TURNS_NEVER, 100, true},
        {100, START_US + 50, 49, false}, {100, START_US + 50, 50, true},
        {50, START_US + 100, 49, false}, {50, START_US + 100, 50, true},
        {100, START_US, 0, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table_of) / sizeof(table_of[0]); i++) {
        struct table table;
        struct turn turn;

        table_open(&table);
        wake(&table, 0, 0);
        assert_int_equal(take(&table, &turn), 0);
        wake(&table, 0, table_of[i].woken);
        finish(&table, &turn, table_of[i].found);
        clock_advance_us(table.clock, table_of[i].advance);
        assert_int_equal(take(&table, &turn), table_of[i].due ? 0 : -1);
        if (table_of[i].due)
            finish(&table, &turn, TURNS_NEVER);
        table_close(&table);
    }
}

/* A wake-up does not wait for a look that is under way. */
static void
test_looks_side_by_side(void **state)
{
    struct table table;
    struct turn first;
    struct turn second;

    (void)state;
    table_open(&table);
    wake(&table, 0, 0);
    wake(&table, 1, 0);
    assert_int_equal(take(&table, &first), 0);
    wake(&table, 0, 0); /* after those who wait already */
    assert_int_equal(take(&table, &second), 1);
    finish(&table, &second, TURNS_NEVER);
    assert_int_equal(take(&table, &second), 0);
    finish(&table, &second, START_US + 100);
    finish(&table, &first, TURNS_NEVER); /* knew less: the hint stays */
    assert_int_equal(take(&table, &first), -1);
    clock_advance_us(table.clock, 100);
    assert_int_equal(take(&table, &first), 0);
    finish(&table, &first, TURNS_NEVER);
    assert_int_equal(take(&table, &first), -1);
    table_close(&table);
}

static void
test_hints(void **state)
{
    struct table table;
    struct turn turn;

    (void)state;
    table_open(&table);
    for (int i = 0; i < ORGANIZATIONS; i++) {
        wake(&table, i, 400); /* unknown until now: a turn at once, to look */
        assert_int_equal(take(&table, &turn), i);
        finish(&table, &turn, TURNS_NEVER);
    }
    wake(&table, 0, 300);
    wake(&table, 1, 200);
    wake(&table, 2, 100);
    wake(&table, 0, 50);  /* earlier counts */
    wake(&table, 1, 900); /* later does not */
    assert_int_equal(take(&table, &turn), -1);
    clock_advance_us(table.clock, 50);
    assert_int_equal(take(&table, &turn), 0);
    finish(&table, &turn, START_US + 150);
    assert_int_equal(take(&table, &turn), -1);
    clock_advance_us(table.clock, 150); /* 200: all three, by their times */
    assert_int_equal(take(&table, &turn), 2);
    finish(&table, &turn, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), 0);
    finish(&table, &turn, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), 1);
    finish(&table, &turn, TURNS_NEVER);
    assert_int_equal(take(&table, &turn), -1);
    table_close(&table);
}

static void
test_who_comes_and_goes(void **state)
{
    struct table table;
    struct turn turn;
    struct turns_topic *topic;

    (void)state;
    table_open(&table);
    turns_add_organization(table.turns, table.ids[0]); /* new: a turn to look */
    assert_int_equal(take(&table, &turn), 0);
    finish(&table, &turn, TURNS_NEVER);
    turns_add_organization(table.turns, table.ids[0]); /* known: nothing */
    assert_int_equal(take(&table, &turn), -1);
    wake(&table, 0, 0);
    turns_remove_organization(table.turns, table.ids[0]);
    wake(&table, 0, 0);
    turns_see_organization(table.turns, table.ids[0]);
    assert_int_equal(take(&table, &turn), -1);
    turns_add_organization(table.turns, table.ids[0]);
    assert_int_equal(take(&table, &turn), 0);
    finish(&table, &turn, TURNS_NEVER);

    /* Another topic is another table; a new one gives everybody a turn, to look. */
    topic = turns_get_topic(table.turns, STR("u"));
    assert_true(topic != table.topic);
    assert_true(turns_get_topic(table.turns, STR("u")) == topic);
    assert_int_equal(take(&table, &turn), -1);
    assert_true(turns_take(table.turns, topic, &table.stop, &turn));
    turns_finish(table.turns, &turn, TURNS_NEVER);
    turns_end(table.turns, topic);
    assert_null(turns_get_topic(table.turns, STR("a-name-that-is-over-32-bytes-long")));
    for (int i = 2; i < TURNS_MAX_TOPICS; i++) {
        char name[2] = {(char)('A' + i), '\0'};

        assert_non_null(turns_get_topic(table.turns, str_from_c(name)));
    }
    assert_null(turns_get_topic(table.turns, STR("one too many")));
    table_close(&table);
}

static void *
remove_first(void *arg)
{
    struct table *table = arg;

    turns_remove_organization(table->turns, table->ids[0]);
    return NULL;
}

static void
test_removal_waits_for_a_claim(void **state)
{
    struct table table;
    struct turn turn;
    pthread_t thread;
    struct err err;

    (void)state;
    table_open(&table);
    wake(&table, 0, 0);
    assert_int_equal(take(&table, &turn), 0);
    assert_int_equal(thread_start("remover", remove_first, &table, &thread, &err), ST_OK);
    assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
    finish(&table, &turn, START_US); /* what it found is not served any more */
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(take(&table, &turn), -1);
    table_close(&table);
}

struct waiting {
    struct table *table;
    bool taken;
};

static void *
wait_for_turn(void *arg)
{
    struct waiting *waiting = arg;
    struct turn turn;

    turns_enter(waiting->table->turns, waiting->table->topic);
    waiting->taken =
        turns_take(waiting->table->turns, waiting->table->topic, &waiting->table->stop, &turn);
    turns_leave(waiting->table->turns, waiting->table->topic);
    return NULL;
}

/* Who waits returns, and what is due then is nobody's any more, of any topic. */
static void
test_all_stopped(void **state)
{
    struct table table;
    struct waiting waiting = {.table = &table, .taken = true};
    pthread_t thread;
    struct turn turn;
    struct err err;

    (void)state;
    table_open(&table);
    assert_int_equal(thread_start("waiting", wait_for_turn, &waiting, &thread, &err), ST_OK);
    turns_stop_all(table.turns);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(waiting.taken);
    wake(&table, 0, 0);
    assert_false(turns_take(table.turns, table.topic, &table.stop, &turn));
    table_close(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),           cmocka_unit_test(test_wake_while_taken),
        cmocka_unit_test(test_looks_side_by_side), cmocka_unit_test(test_hints),
        cmocka_unit_test(test_who_comes_and_goes), cmocka_unit_test(test_removal_waits_for_a_claim),
        cmocka_unit_test(test_all_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
