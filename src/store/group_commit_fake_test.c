/*
 * group_commit_fake_test.c - group commit over a driver that fails on command and records
 *
 * What an engine does seldom or never in a test: commits whose outcome is unknown, syncs that fail,
 * transactions that vanish; and that nobody returns before what was asked for is on disk.
 */
#include "base/testing.h"
#include "base/thread.h"
#include "store/fake_driver_test_support.h"

#define CROWD 6

/* --- a leader that waits until a crowd is behind it, which then is one batch --- */

enum act {
    ACT_WRITE,
    ACT_WRITE_ONCE, /* the same row, whoever does it: a conflict when it is there */
    ACT_LOOK,
    ACT_FAIL_AFTER_WRITING,
    ACT_FAIL_LOOKING,
    ACT_FAIL_LATE,
    ACT_DROP
};

#define SAME_ROW 1000

struct bed {
    struct store_database fake;
    struct commit_group group;
    struct commit_counters counters;
    unsigned crowd;
    atomic_bool first_runs; /* its batch is taken: who comes now waits behind it */
    struct task_pool *committers;
};

/* Whether members wait in the group themselves, or submit and are called back. */
static enum { RUN, SUBMIT, MIXED } mode;

struct member {
    struct bed *bed;
    int number;
    enum act act;
    int asks; /* before it acts */
    enum store_durability durability;
    int runs;
    enum status got;
    int64_t settled; /* when it returned */
};

static void
add_row(struct store_database *fake, int number)
{
    fake->rows[fake->row_count++] = number;
    fake->changed++;
}

static bool
has_row(const int *rows, int count, int number)
{
    bool found = false;

    for (int i = 0; i < count; i++)
        found = found || rows[i] == number;
    return found;
}

static enum status
write_once(struct store_database *fake, struct err *err)
{
    if (has_row(fake->rows, fake->row_count, SAME_ROW) ||
        has_row(fake->committed, fake->committed_count, SAME_ROW))
        return err_set(err, ST_CONFLICT, "known already");
    add_row(fake, SAME_ROW);
    return ST_OK;
}

static enum status
ask_for(struct store_tx *tx, int64_t value, struct err *err)
{
    static const struct store_sql ten_times = {.name = "ten_times", .text = "ten times $1"};
    struct store_rows *rows;
    enum status st = store_ask(tx, &ten_times, ARGS(sv_int(value)), &rows, err);

    if (st != ST_OK)
        return st;
    assert_int_equal(store_col_int(rows, 0), 10 * value);
    return store_rows_close(&rows, err);
}

static enum status
member_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct member *member = arg;
    struct store_database *fake = fake_of(tx->connection);

    assert_true(fake->open);
    member->runs++;
    for (int i = 0; i < member->asks; i++) {
        enum status st = ask_for(tx, 100 * member->number + i, err);

        if (st != ST_OK)
            return st;
    }
    if (member->act == ACT_FAIL_LOOKING)
        return err_set(err, ST_NOT_FOUND, "nothing there");
    if (member->act == ACT_LOOK)
        return ST_OK;
    if (member->act == ACT_WRITE_ONCE)
        return write_once(fake, err);
    add_row(fake, member->number);
    if (member->act == ACT_FAIL_AFTER_WRITING)
        return err_set(err, ST_DENIED, "no");
    if (member->act == ACT_FAIL_LATE)
        fake->late = true;
    if (member->act == ACT_DROP) {
        fake->open = false;
        return err_set(err, ST_UNAVAILABLE, "dropped");
    }
    return ST_OK;
}

struct submitted {
    struct commit_work work; /* first */
    pthread_mutex_t lock;
    pthread_cond_t called;
    bool done;
};

static void
on_done(struct commit_work *work)
{
    struct submitted *submitted = (struct submitted *)work;

    pthread_mutex_lock(&submitted->lock);
    submitted->done = true;
    pthread_cond_signal(&submitted->called);
    pthread_mutex_unlock(&submitted->lock);
}

static enum status
run_work(struct bed *bed, bool submit, store_work work, void *arg, enum store_durability durability)
{
    struct err err;
    struct submitted queued = {.work = {.name = "test",
                                        .work = work,
                                        .arg = arg,
                                        .durability = durability,
                                        .err = &err,
                                        .done = submit ? on_done : NULL}};

    if (!submit)
        return commit_group_run(&bed->group, &queued.work);
    pthread_mutex_init(&queued.lock, NULL);
    cond_init(&queued.called);
    commit_group_submit(&bed->group, &queued.work);
    pthread_mutex_lock(&queued.lock);
    while (!queued.done)
        pthread_cond_wait(&queued.called, &queued.lock);
    pthread_mutex_unlock(&queued.lock);
    pthread_cond_destroy(&queued.called);
    pthread_mutex_destroy(&queued.lock);
    return queued.work.status;
}

static bool
submits(int number)
{
    return mode == SUBMIT || (mode == MIXED && number % 2 == 1);
}

static void *
run_member(void *arg)
{
    struct member *member = arg;

    member->got =
        run_work(member->bed, submits(member->number), member_work, member, member->durability);
    member->settled = atomic_load(&member->bed->fake.settled);
    return NULL;
}

static enum status
wait_for_crowd(struct store_tx *tx, void *arg, struct err *err)
{
    struct bed *bed = arg;
    unsigned waiting = 0;

    (void)tx;
    (void)err;
    atomic_store(&bed->first_runs, true);
    while (waiting < bed->crowd) {
        pthread_mutex_lock(&bed->group.lock);
        waiting = bed->group.waiting;
        pthread_mutex_unlock(&bed->group.lock);
        (void)sched_yield();
    }
    return ST_OK;
}

static void *
run_first(void *arg)
{
    assert_int_equal(run_work(arg, submits(0), wait_for_crowd, arg, STORE_DURABLE), ST_OK);
    return NULL;
}

static void
make_bed(struct bed *bed)
{
    const struct store_place place = {{""}};
    struct err err;

    memset(bed, 0, sizeof(*bed));
    bed->fake.connection.driver = &store_driver_fake;
    bed->fake.connection.is_control = true;
    pthread_mutex_init(&bed->fake.lock, NULL);
    ASSERT_OK(task_pool_create("committer", 3, 0, &bed->committers, &err), &err);
    commit_group_init(&bed->group, &store_driver_fake, &bed->fake, &place, &bed->counters,
                      bed->committers);
}

static void
end_bed(struct bed *bed)
{
    task_pool_destroy(&bed->committers); /* whoever called back last may still be inside */
    commit_group_deinit(&bed->group);
    statement_cache_clear(&bed->fake.connection);
    pthread_mutex_destroy(&bed->fake.lock);
}

/* The crowd in one batch: member 0 leads it or another, as they came. */
static void
run_crowd(struct bed *bed, struct member members[CROWD])
{
    pthread_t first;
    pthread_t threads[CROWD];
    struct err err;

    bed->crowd = CROWD;
    atomic_store(&bed->first_runs, false);
    ASSERT_OK(thread_start("first", run_first, bed, &first, &err), &err);
    while (!atomic_load(&bed->first_runs))
        (void)sched_yield();
    for (int i = 0; i < CROWD; i++) {
        members[i].bed = bed;
        members[i].number = i;
        ASSERT_OK(thread_start("crowd", run_member, &members[i], &threads[i], &err), &err);
    }
    assert_int_equal(pthread_join(first, NULL), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static int
times_committed(const struct bed *bed, int number)
{
    int times = 0;

    for (int i = 0; i < bed->fake.committed_count; i++)
        times += bed->fake.committed[i] == number;
    return times;
}

static void
expect(const struct bed *bed, const struct member *member, enum status st, int times, int runs)
{
    assert_int_equal(member->got, st);
    assert_int_equal(times_committed(bed, member->number), times);
    assert_int_equal(member->runs, runs);
}

static void
test_all_succeed(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {0};

    (void)state;
    make_bed(&bed);
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) {
        expect(&bed, &members[i], ST_OK, 1, 1);
        assert_int_equal(members[i].settled, 1); /* on disk before it returned */
    }
    assert_int_equal(bed.fake.tickets, 1);
    assert_int_equal(bed.fake.savepoints, 0);
    end_bed(&bed);
}

static void
test_one_fails_after_writing(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    members[3].act = ACT_FAIL_AFTER_WRITING;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) {
        if (i == 3) {
            expect(&bed, &members[i], ST_DENIED, 0, 2);
        } else {
            assert_int_equal(members[i].got, ST_OK);
            assert_int_equal(times_committed(&bed, i), 1);
        }
    }
    assert_int_equal(bed.fake.savepoints, CROWD);
    assert_int_equal(bed.fake.tickets, 1);
    end_bed(&bed);
}

/* Whose statement it was shows only when each is waited for. */
static void
test_one_fails_late(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    members[3].act = ACT_FAIL_LATE;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(members[i].got, i == 3 ? ST_CONFLICT : ST_OK);
        assert_int_equal(times_committed(&bed, i), i == 3 ? 0 : 1);
        assert_int_equal(members[i].runs, 2);
    }
    assert_int_equal(bed.fake.savepoints, CROWD);
    assert_false(atomic_load(&bed.counters.refused));
    bed.fake.begins = 0;
    (void)run_member(&members[3]);
    expect(&bed, &members[3], ST_CONFLICT, 0, 3);
    assert_int_equal(bed.fake.begins, 1);
    end_bed(&bed);
}

static void
test_one_only_looked(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_FAIL_LOOKING}};

    (void)state;
    make_bed(&bed);
    run_crowd(&bed, members);
    expect(&bed, &members[0], ST_NOT_FOUND, 0, 1);
    for (int i = 1; i < CROWD; i++)
        expect(&bed, &members[i], ST_OK, 1, 1);
    assert_int_equal(bed.fake.savepoints, 0);
    end_bed(&bed);
}

static void
test_transaction_dropped(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    members[2].act = ACT_DROP;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(members[i].got, i == 2 ? ST_UNAVAILABLE : ST_OK);
        assert_int_equal(times_committed(&bed, i), i == 2 ? 0 : 1);
    }
    assert_int_equal(members[2].runs, 1);
    assert_int_equal(bed.fake.tickets, CROWD - 1); /* one by one */
    assert_int_equal(atomic_load(&bed.fake.settled), CROWD - 1);
    end_bed(&bed);
}

static void
test_commit_fails(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    bed.fake.fail_commit_at = 2; /* the first is of the one that waited */
    bed.fake.commit_fails_with = ST_UNAVAILABLE;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) {
        expect(&bed, &members[i], ST_OK, 1, 2);
        assert_int_equal(members[i].settled, CROWD);
    }
    end_bed(&bed);
}

static void
test_commit_uncertain(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    bed.fake.fail_commit_at = 2;
    bed.fake.commit_fails_with = ST_UNCERTAIN;
    members[1].act = ACT_FAIL_LOOKING;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++) /* what was seen there may not be there: it looks again */
        expect(&bed, &members[i], i == 1 ? ST_NOT_FOUND : ST_UNCERTAIN, 0, i == 1 ? 2 : 1);
    end_bed(&bed);
}

static void
test_settle_fails(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_WRITE}};

    (void)state;
    make_bed(&bed);
    bed.fake.settle_fails_with = ST_UNCERTAIN;
    members[4].durability = STORE_RELAXED;
    members[5].act = ACT_FAIL_LOOKING;
    run_crowd(&bed, members);
    for (int i = 0; i < 4; i++)
        expect(&bed, &members[i], ST_UNCERTAIN, 1, 1);
    expect(&bed, &members[4], ST_OK, 1, 1);
    expect(&bed, &members[5], ST_UNCERTAIN, 0, 1);
    end_bed(&bed);
}

static void
test_relaxed_do_not_wait(void **state)
{
    struct bed bed;
    struct member members[CROWD];

    (void)state;
    make_bed(&bed);
    for (int i = 0; i < CROWD; i++)
        members[i] = (struct member){.durability = STORE_RELAXED};
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++)
        expect(&bed, &members[i], ST_OK, 1, 1);
    assert_int_equal(bed.fake.settles, 0);
    end_bed(&bed);
}

/* A durable work that failed does not make the relaxed ones wait for what it saw. */
static void
test_failed_durable_waits_alone(void **state)
{
    struct bed bed;
    struct member members[CROWD];

    (void)state;
    make_bed(&bed);
    for (int i = 0; i < CROWD; i++)
        members[i] = (struct member){.durability = STORE_RELAXED};
    members[0] = (struct member){.durability = STORE_DURABLE, .act = ACT_FAIL_LOOKING};
    bed.fake.settle_fails_with = ST_UNCERTAIN;
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++)
        expect(&bed, &members[i], i == 0 ? ST_UNCERTAIN : ST_OK, i == 0 ? 0 : 1, 1);
    assert_int_equal(bed.fake.settles, 1);
    end_bed(&bed);
}

/* --- what was seen --- */

static const struct {
    enum act act;
    enum status want;
} seeing[] = {{ACT_LOOK, ST_OK}, {ACT_WRITE_ONCE, ST_CONFLICT}, {ACT_FAIL_LOOKING, ST_NOT_FOUND}};

#define SEEING (sizeof(seeing) / sizeof(seeing[0]))

/* A commit that nobody waited for: it is there to be seen, and not on disk. */
static void
commit_unsettled(struct bed *bed)
{
    struct member before = {.bed = bed, .act = ACT_WRITE_ONCE, .durability = STORE_RELAXED};

    (void)run_member(&before);
    assert_int_equal(before.got, ST_OK);
    assert_int_equal(before.settled, 0);
    assert_int_equal(bed->fake.tickets, 1);
}

/* Who is told something goes on as if it were so for good: it is on disk before. */
static void
test_what_was_seen_is_on_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < SEEING; i++) {
        struct bed bed;
        struct member member = {.bed = &bed, .number = 1, .act = seeing[i].act};

        make_bed(&bed);
        commit_unsettled(&bed);
        (void)run_member(&member);
        expect(&bed, &member, seeing[i].want, 0, 1);
        assert_int_equal(member.settled, 1);
        assert_int_equal(bed.fake.settles, 1);
        (void)run_member(&member); /* now there is nothing to wait for */
        expect(&bed, &member, seeing[i].want, 0, 2);
        assert_int_equal(bed.fake.settles, 1);
        end_bed(&bed);
    }
}

static void
test_crowd_waits_for_what_it_saw(void **state)
{
    (void)state;
    for (size_t act = 0; act < SEEING; act++) {
        for (unsigned writers = 0; writers < 2; writers++) {
            struct bed bed;
            struct member members[CROWD];

            make_bed(&bed);
            commit_unsettled(&bed);
            for (int i = 0; i < CROWD; i++)
                members[i] = (struct member){.act = seeing[act].act};
            if (writers == 1)
                members[2] = (struct member){.act = ACT_WRITE};
            members[4] = (struct member){.act = ACT_FAIL_LOOKING, .durability = STORE_RELAXED};
            run_crowd(&bed, members);
            for (int i = 0; i < CROWD; i++) {
                if (i != 4 && (writers == 0 || i != 2))
                    expect(&bed, &members[i], seeing[act].want, 0, 1);
                if (i != 4)
                    assert_int_equal(members[i].settled, 1 + writers);
            }
            assert_int_equal(times_committed(&bed, 2), writers);
            assert_int_equal(bed.fake.savepoints, 0);
            end_bed(&bed);
        }
    }
}

/* It is not known to stay. */
static void
test_what_was_seen_cannot_be_settled(void **state)
{
    (void)state;
    for (size_t i = 0; i < SEEING; i++) {
        struct bed bed;
        struct member member = {.bed = &bed, .number = 1, .act = seeing[i].act};

        make_bed(&bed);
        commit_unsettled(&bed);
        bed.fake.settle_fails_with = ST_UNCERTAIN;
        (void)run_member(&member);
        expect(&bed, &member, ST_UNCERTAIN, 0, 1);
        member.durability = STORE_RELAXED;
        (void)run_member(&member);
        expect(&bed, &member, seeing[i].want, 0, 2);
        end_bed(&bed);
    }
}

/* One of them writes the row, and the others find it in a transaction that is not kept: they are
 * not told of a row that is not there. */
static void
test_what_was_seen_is_undone(void **state)
{
    enum how { COMMIT_FAILS, COMMIT_UNCERTAIN, DROPPED, HOW_COUNT };

    (void)state;
    for (int how = 0; how < HOW_COUNT; how++) {
        struct bed bed;
        struct member members[CROWD];
        int written = 0;

        make_bed(&bed);
        for (int i = 0; i < CROWD; i++)
            members[i] = (struct member){.act = ACT_WRITE_ONCE};
        if (how == DROPPED)
            members[3].act = ACT_DROP;
        else
            bed.fake.fail_commit_at = 2; /* the first is of the one that waited */
        bed.fake.commit_fails_with = how == COMMIT_FAILS ? ST_UNAVAILABLE : ST_UNCERTAIN;
        run_crowd(&bed, members);
        for (int i = 0; i < CROWD; i++)
            written += members[i].got == ST_OK;
        assert_int_equal(times_committed(&bed, SAME_ROW), 1);
        assert_int_equal(written, 1);
        for (int i = 0; i < CROWD; i++)
            if (members[i].got != ST_OK && members[i].act == ACT_WRITE_ONCE)
                assert_true(members[i].got == ST_CONFLICT ||
                            (how == COMMIT_UNCERTAIN && members[i].got == ST_UNCERTAIN));
        end_bed(&bed);
    }
}

/* Each is run again with its answer, and as often as it asks: one wait serves all. What is more
 * than may be asked together is looked up at once. */
static void
test_asks_are_answered_together(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {
        {.asks = 1}, {.asks = STORE_ASKS_MAX}, {.asks = STORE_ASKS_MAX + 1}, {.asks = 0},
        {.asks = 1}, {.asks = STORE_ASKS_MAX}};

    (void)state;
    make_bed(&bed);
    run_crowd(&bed, members);
    for (int i = 0; i < CROWD; i++)
        expect(&bed, &members[i], ST_OK, 1,
               1 + (members[i].asks < STORE_ASKS_MAX ? members[i].asks : STORE_ASKS_MAX));
    assert_int_equal(bed.fake.collects, STORE_ASKS_MAX);
    assert_int_equal(bed.fake.savepoints, 0);
    assert_int_equal(bed.fake.tickets, 1);
    end_bed(&bed);
}

/* What it did with its answer is undone, and nobody else's; what it had asked might have changed
 * something, so that one that only looks is no exception. */
static void
test_one_fails_with_its_answer(void **state)
{
    static const struct {
        enum act act;
        enum status want;
    } table[] = {{ACT_FAIL_AFTER_WRITING, ST_DENIED}, {ACT_FAIL_LOOKING, ST_NOT_FOUND}};

    (void)state;
    for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++) {
        struct bed bed;
        struct member members[CROWD] = {{.asks = 1}, {.asks = 1}, {.asks = 1},
                                        {.asks = 1}, {.asks = 1}, {.asks = 1}};

        make_bed(&bed);
        members[3].act = table[row].act;
        run_crowd(&bed, members);
        for (int i = 0; i < CROWD; i++) {
            assert_int_equal(members[i].got, i == 3 ? table[row].want : ST_OK);
            assert_int_equal(times_committed(&bed, i), i == 3 ? 0 : 1);
        }
        assert_int_equal(bed.fake.savepoints, CROWD);
        end_bed(&bed);
    }
}

/* Nobody has an answer: all are run again, without asking together. */
static void
test_answers_do_not_come(void **state)
{
    (void)state;
    for (int drops = 0; drops < 2; drops++) {
        struct bed bed;
        struct member members[CROWD] = {{.asks = 1}, {.asks = 2}, {.asks = 0},
                                        {.asks = 1}, {.asks = 1}, {.asks = 1}};

        make_bed(&bed);
        bed.fake.fail_collect_at = 1;
        bed.fake.collect_drops = drops == 1;
        run_crowd(&bed, members);
        for (int i = 0; i < CROWD; i++)
            expect(&bed, &members[i], ST_OK, 1, 2);
        assert_int_equal(bed.fake.collects, 1);
        end_bed(&bed);
    }
}

static void
test_engine_away(void **state)
{
    struct bed bed;
    struct member member = {.durability = STORE_DURABLE};

    (void)state;
    make_bed(&bed);
    member.bed = &bed;
    bed.fake.take_fails_with = ST_UNAVAILABLE;
    (void)run_member(&member);
    expect(&bed, &member, ST_UNAVAILABLE, 0, 0);
    bed.fake.take_fails_with = ST_OK;
    bed.fake.begin_fails_with = ST_BUSY;
    (void)run_member(&member);
    expect(&bed, &member, ST_BUSY, 0, 0);
    bed.fake.begin_fails_with = ST_OK;
    (void)run_member(&member);
    expect(&bed, &member, ST_OK, 1, 1);
    end_bed(&bed);
}

/* Savepoints are given up again after a while without failures. */
static void
test_carefulness_ends(void **state)
{
    struct bed bed;
    struct member members[CROWD] = {{.act = ACT_FAIL_AFTER_WRITING}};
    int before = 0;
    int rounds = 0;

    (void)state;
    make_bed(&bed);
    run_crowd(&bed, members);
    do {
        before = bed.fake.savepoints;
        bed.fake.committed_count = 0;
        memset(members, 0, sizeof(members));
        run_crowd(&bed, members);
        assert_true(++rounds < 1000);
    } while (bed.fake.savepoints > before);
    assert_true(rounds > 1);
    end_bed(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_succeed),
        cmocka_unit_test(test_one_fails_after_writing),
        cmocka_unit_test(test_one_fails_late),
        cmocka_unit_test(test_one_only_looked),
        cmocka_unit_test(test_transaction_dropped),
        cmocka_unit_test(test_commit_fails),
        cmocka_unit_test(test_commit_uncertain),
        cmocka_unit_test(test_settle_fails),
        cmocka_unit_test(test_relaxed_do_not_wait),
        cmocka_unit_test(test_failed_durable_waits_alone),
        cmocka_unit_test(test_what_was_seen_is_on_disk),
        cmocka_unit_test(test_crowd_waits_for_what_it_saw),
        cmocka_unit_test(test_what_was_seen_cannot_be_settled),
        cmocka_unit_test(test_what_was_seen_is_undone),
        cmocka_unit_test(test_asks_are_answered_together),
        cmocka_unit_test(test_one_fails_with_its_answer),
        cmocka_unit_test(test_answers_do_not_come),
        cmocka_unit_test(test_engine_away),
        cmocka_unit_test(test_carefulness_ends),
    };

    int failed = cmocka_run_group_tests_name("threads that wait", tests, NULL, NULL);

    mode = SUBMIT;
    failed += cmocka_run_group_tests_name("submitted works", tests, NULL, NULL);
    mode = MIXED;
    failed += cmocka_run_group_tests_name("both", tests, NULL, NULL);
    return failed;
}
