/*
 * queue_test.c - every way of a job through its states, taken by hand
 */
#include "queue/queue_test_support.h"

#include <stdio.h>
#include <string.h>

#define START_US (INT64_C(1800000000) * US_PER_S)
#define LEASE_US (120 * US_PER_S)

/* ---------------------------------------------------------------- steps */

/* Takes the next due job of a topic; false when none is. */
static bool
take(struct bed *bed, unsigned organization, const char *topic, struct lease *lease)
{
    int64_t next_due_us;
    bool taken;
    struct err err;

    assert_int_equal(queue_take(bed->queue, bed->ids[organization], str_from_c(topic), bed->arena,
                                lease, &taken, &next_due_us, &err),
                     ST_OK);
    return taken;
}

static enum status
done_work(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, arg, err);
}

static enum status
done(struct bed *bed, struct lease *lease)
{
    struct err err;

    return store_run(bed->store, lease->scope, "test_done", STORE_DURABLE, done_work, lease, &err);
}

struct postpone {
    struct lease *lease;
    int64_t due_us;
};

static enum status
postpone_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct postpone *postpone = arg;

    return queue_lease_postpone(tx, postpone->lease, postpone->due_us, err);
}

static enum status
postpone(struct bed *bed, struct lease *lease, int64_t due_us)
{
    struct postpone arg = {lease, due_us};
    struct err err;

    return store_run(bed->store, lease->scope, "test_postpone", STORE_DURABLE, postpone_work, &arg,
                     &err);
}

static enum status
retry(struct lease *lease, int64_t due_us)
{
    struct err err;

    return lease_put_back(lease, "test_retry", due_us, lease->job.attempts, STR("failed"), &err);
}

static enum status
bury(struct lease *lease)
{
    struct err err;

    return lease_bury(lease, NULL, NULL, STR("hopeless"), &err);
}

static void
put(struct bed *bed, const char *topic, const char *lane, const char *dedup, int64_t due_us,
    const char *payload)
{
    struct job_spec spec = {.topic = topic,
                            .lane = str_from_c(lane),
                            .dedup_key = str_from_c(dedup),
                            .payload = str_from_c(payload),
                            .due_us = due_us};

    assert_int_equal(bed_put(bed, 0, &spec, NULL), ST_OK);
}

/* "ready delayed waiting leased dead" */
static void
expect_counts(struct bed *bed, const char *want)
{
    struct queue_counts c = bed_count(bed, 0, NULL);
    char have[64];

    (void)snprintf(have, sizeof(have), "%lld %lld %lld %lld %lld", (long long)c.ready,
                   (long long)c.delayed, (long long)c.waiting, (long long)c.leased,
                   (long long)c.dead);
    assert_string_equal(have, want);
}

static void
expect_take(struct bed *bed, const char *topic, const char *payload, struct lease *lease)
{
    assert_true(take(bed, 0, topic, lease));
    assert_true(str_eq_c(lease->job.payload, payload));
}

static void
open_manual(struct bed *bed)
{
    struct queue_config config = {.lease_us = LEASE_US, .sweep_us = 3600 * US_PER_S};

    bed_open(bed, 1, clock_create_manual(START_US), &config);
}

static void
close_manual(struct bed *bed)
{
    struct clock *clock = bed->clock;

    bed_close(bed, true);
    clock_destroy(&clock);
}

static void
sweep(struct bed *bed)
{
    struct err err;

    assert_int_equal(queue_sweep(bed->queue, &err), ST_OK);
}

/* ---------------------------------------------------------------- tests */

static void
test_order_and_delay(void **state)
{
    struct bed bed;
    struct lease a, b, none;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", NULL, NULL, START_US + 5000, "{\"n\":2}");
    put(&bed, "t", NULL, NULL, 0, "{\"n\":1}");
    put(&bed, "other", NULL, NULL, 0, "{\"n\":9}");
    expect_counts(&bed, "2 1 0 0 0");
    assert_int_equal(bed_count(&bed, 0, "t").ready, 1);
    expect_take(&bed, "t", "{\"n\":1}", &a);
    assert_int_equal(a.job.attempts, 1);
    assert_int_equal(a.job.max_attempts, 8);
    assert_false(take(&bed, 0, "t", &none));
    clock_advance_us(bed.clock, 4999);
    assert_false(take(&bed, 0, "t", &none));
    clock_advance_us(bed.clock, 1);
    assert_int_equal(bed_count(&bed, 0, "other").oldest_ready_age_us, 5000);
    expect_take(&bed, "t", "{\"n\":2}", &b);
    assert_int_equal(done(&bed, &a), ST_OK);
    assert_int_equal(a.outcome, LEASE_DONE);
    assert_int_equal(done(&bed, &a), ST_CONFLICT); /* it is gone */
    assert_int_equal(done(&bed, &b), ST_OK);
    expect_counts(&bed, "1 0 0 0 0");
    close_manual(&bed);
}

static void
test_lanes(void **state)
{
    struct bed bed;
    struct lease a, b, none;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", "x", NULL, 0, "{\"n\":1}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":2}");
    put(&bed, "t", "y", NULL, 0, "{\"n\":3}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":4}");
    put(&bed, "u", "x", NULL, 0, "{\"n\":5}"); /* another topic's lane is another lane */
    expect_counts(&bed, "3 0 2 0 0");
    expect_take(&bed, "t", "{\"n\":1}", &a);
    expect_take(&bed, "t", "{\"n\":3}", &b);
    assert_false(take(&bed, 0, "t", &none));
    assert_int_equal(done(&bed, &b), ST_OK);
    /* A retry keeps the head of the lane, also while it is not due. */
    assert_int_equal(retry(&a, START_US + 1000), ST_OK);
    assert_false(take(&bed, 0, "t", &none));
    clock_advance_us(bed.clock, 1000);
    expect_take(&bed, "t", "{\"n\":1}", &a);
    assert_int_equal(a.job.attempts, 2);
    /* Postponing does not count, and keeps the place. */
    assert_int_equal(postpone(&bed, &a, START_US + 2000), ST_OK);
    assert_int_equal(a.outcome, LEASE_POSTPONED);
    assert_false(take(&bed, 0, "t", &none));
    clock_advance_us(bed.clock, 1000);
    expect_take(&bed, "t", "{\"n\":1}", &a);
    assert_int_equal(a.job.attempts, 2);
    /* A dead job frees its lane. */
    assert_int_equal(bury(&a), ST_OK);
    expect_take(&bed, "t", "{\"n\":2}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_take(&bed, "t", "{\"n\":4}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    put(&bed, "t", "x", NULL, 0, "{\"n\":6}"); /* an empty lane begins anew */
    expect_take(&bed, "t", "{\"n\":6}", &a);
    expect_counts(&bed, "1 0 0 1 1");
    close_manual(&bed);
}

static void
test_lane_order_outlives_a_clock_set_back(void **state)
{
    struct bed bed;
    struct lease a;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", "x", NULL, START_US, "{\"n\":1}");
    put(&bed, "t", "x", NULL, START_US - 10, "{\"n\":2}"); /* as if put by an earlier clock */
    put(&bed, "t", "x", NULL, START_US - 20, "{\"n\":3}");
    for (int n = 1; n <= 3; n++) {
        char payload[24];

        (void)snprintf(payload, sizeof(payload), "{\"n\":%d}", n);
        expect_take(&bed, "t", payload, &a);
        assert_int_equal(done(&bed, &a), ST_OK);
    }
    close_manual(&bed);
}

static enum status
put_coalescing(struct bed *bed, int64_t due_us, int64_t max_us, struct job_id *id_out)
{
    struct job_spec spec = {.topic = "t",
                            .lane = STR("x"),
                            .dedup_key = STR("k"),
                            .payload = STR("{\"n\":7}"),
                            .due_us = due_us,
                            .coalesce_max_us = max_us};

    return bed_put(bed, 0, &spec, id_out);
}

static void
test_dedup_and_burst_window(void **state)
{
    struct bed bed;
    struct lease a, none;
    struct job_id first, second;

    (void)state;
    open_manual(&bed);
    assert_int_equal(put_coalescing(&bed, START_US + 100, 250, &first), ST_OK);
    assert_int_equal(put_coalescing(&bed, START_US + 100, 0, NULL), ST_CONFLICT);
    clock_advance_us(bed.clock, 90);
    assert_int_equal(put_coalescing(&bed, START_US + 190, 250, &second), ST_OK);
    assert_true(id_eq(&first.id, &second.id));
    clock_advance_us(bed.clock, 99);
    assert_false(take(&bed, 0, "t", &none)); /* 189: the window was moved */
    assert_int_equal(put_coalescing(&bed, START_US + 289, 250, NULL), ST_OK);
    clock_advance_us(bed.clock, 60);
    assert_false(take(&bed, 0, "t", &none)); /* 249 */
    expect_counts(&bed, "0 1 0 0 0");
    clock_advance_us(bed.clock, 1);
    assert_true(take(&bed, 0, "t", &a)); /* 250: its longest */
    assert_int_equal(done(&bed, &a), ST_OK);

    /* "Now" moves it to now. */
    assert_int_equal(put_coalescing(&bed, START_US + 5000, 250, NULL), ST_OK);
    assert_false(take(&bed, 0, "t", &none));
    assert_int_equal(put_coalescing(&bed, 0, 250, NULL), ST_OK);
    assert_true(take(&bed, 0, "t", &a));
    /* Failed: a new message does not cut its back-off short. */
    assert_int_equal(retry(&a, START_US + 9000), ST_OK);
    assert_int_equal(put_coalescing(&bed, 0, 250, NULL), ST_OK);
    clock_advance_us(bed.clock, 9000 - 250 - 1);
    assert_false(take(&bed, 0, "t", &none));
    clock_advance_us(bed.clock, 1);
    assert_true(take(&bed, 0, "t", &a));
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_counts(&bed, "0 0 0 0 0");
    close_manual(&bed);
}

/* A flood moves the job in steps of a 32nd of the window, not with every message. */
static void
test_burst_window_in_a_flood(void **state)
{
    struct bed bed;
    struct lease a, none;

    (void)state;
    open_manual(&bed);
    assert_int_equal(put_coalescing(&bed, START_US + 3200, 100000, NULL), ST_OK);
    clock_advance_us(bed.clock, 99);
    assert_int_equal(put_coalescing(&bed, START_US + 3299, 100000, NULL), ST_OK);
    clock_advance_us(bed.clock, 3101);
    assert_true(take(&bed, 0, "t", &a)); /* 3200: it has not moved */
    assert_int_equal(done(&bed, &a), ST_OK);

    assert_int_equal(put_coalescing(&bed, START_US + 6400, 100000, NULL), ST_OK);
    clock_advance_us(bed.clock, 100);
    assert_int_equal(put_coalescing(&bed, START_US + 6500, 100000, NULL), ST_OK);
    clock_advance_us(bed.clock, 3199);
    assert_false(take(&bed, 0, "t", &none)); /* 6499: it has */
    clock_advance_us(bed.clock, 1);
    assert_true(take(&bed, 0, "t", &a));
    assert_int_equal(done(&bed, &a), ST_OK);
    close_manual(&bed);
}

/* The job with the key runs while another with the key is put: how they end. */
static void
test_dedup_beside_a_running_one(void **state)
{
    enum how { DONE, RETRIED, POSTPONED, BURIED, EXPIRED };
    static const struct {
        const char *name;
        const char *lane;
        enum how how;
        int64_t back_us;    /* for RETRIED and POSTPONED: due after */
        int64_t younger_us; /* the new one's due time after */
        const char *counts;
        int64_t due_us; /* when the one that is left can be taken */
        const char *payload;
        unsigned attempts;
    } table[] = {
        {"done", "x", DONE, 0, 50, "0 1 0 0 0", 50, "{\"n\":7}", 1},
        {"done, free", NULL, DONE, 0, 50, "0 1 0 0 0", 50, "{\"n\":7}", 1},
        {"retry, later", "x", RETRIED, 900, 50, "0 1 0 0 0", 900, "{\"n\":1}", 2},
        {"retry, sooner", "x", RETRIED, 20, 50, "0 1 0 0 0", 50, "{\"n\":1}", 2},
        {"retry, free", NULL, RETRIED, 900, 50, "0 1 0 0 0", 900, "{\"n\":1}", 2},
        {"postponed", "x", POSTPONED, 900, 50, "0 1 0 0 0", 50, "{\"n\":1}", 1},
        {"postponed, free", NULL, POSTPONED, 900, 50, "0 1 0 0 0", 50, "{\"n\":1}", 1},
        {"buried", "x", BURIED, 0, 50, "0 1 0 0 1", 50, "{\"n\":7}", 1},
        {"expired", "x", EXPIRED, 0, LEASE_US + 50, "0 1 0 0 0", LEASE_US + 50, "{\"n\":1}", 2},
        {"expired, free", NULL, EXPIRED, 0, LEASE_US + 50, "0 1 0 0 0", LEASE_US + 50, "{\"n\":1}",
         2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct bed bed;
        struct lease a, none;
        int64_t passed_us = 0;

        print_message("           %s\n", table[i].name);
        open_manual(&bed);
        put(&bed, "t", table[i].lane, "k", 0, "{\"n\":1}");
        expect_take(&bed, "t", "{\"n\":1}", &a);
        put(&bed, "t", table[i].lane, "k", START_US + table[i].younger_us, "{\"n\":7}");
        expect_counts(&bed, table[i].lane == NULL ? "0 1 0 1 0" : "0 0 1 1 0");
        switch (table[i].how) {
        case DONE:
            assert_int_equal(done(&bed, &a), ST_OK);
            break;
        case RETRIED:
            assert_int_equal(retry(&a, START_US + table[i].back_us), ST_OK);
            break;
        case POSTPONED:
            assert_int_equal(postpone(&bed, &a, START_US + table[i].back_us), ST_OK);
            break;
        case BURIED:
            assert_int_equal(bury(&a), ST_OK);
            break;
        case EXPIRED:
            clock_advance_us(bed.clock, LEASE_US);
            passed_us = LEASE_US;
            sweep(&bed);
            assert_int_equal(done(&bed, &a), ST_CONFLICT);
            break;
        }
        expect_counts(&bed, table[i].counts);
        clock_advance_us(bed.clock, table[i].due_us - passed_us - 1);
        assert_false(take(&bed, 0, "t", &none));
        clock_advance_us(bed.clock, 1);
        expect_take(&bed, "t", table[i].payload, &a);
        assert_int_equal(a.job.attempts, table[i].attempts);
        assert_int_equal(done(&bed, &a), ST_OK);
        assert_false(take(&bed, 0, "t", &none));
        close_manual(&bed);
    }
}

/* A merge keeps the order of the others, and leaves no lane without a head. */
static void
test_merging_and_lanes(void **state)
{
    struct bed bed;
    struct lease a, b, none;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", "x", "k", 0, "{\"n\":1}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":2}");
    expect_take(&bed, "t", "{\"n\":1}", &a);
    put(&bed, "t", "x", "k", 0, "{\"n\":3}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":4}");
    assert_int_equal(retry(&a, START_US), ST_OK); /* takes 3 in */
    expect_counts(&bed, "1 0 2 0 0");
    expect_take(&bed, "t", "{\"n\":1}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_take(&bed, "t", "{\"n\":2}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_take(&bed, "t", "{\"n\":4}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);

    /* The younger one is the head of another lane: that goes on with its next. */
    put(&bed, "t", "x", "k", 0, "{\"n\":1}");
    expect_take(&bed, "t", "{\"n\":1}", &a);
    put(&bed, "t", "y", "k", 0, "{\"n\":2}");
    put(&bed, "t", "y", NULL, 0, "{\"n\":3}");
    assert_int_equal(retry(&a, START_US), ST_OK);
    expect_counts(&bed, "2 0 0 0 0");
    assert_true(take(&bed, 0, "t", &a));
    assert_true(take(&bed, 0, "t", &b));
    assert_false(take(&bed, 0, "t", &none));
    assert_int_equal(done(&bed, &a), ST_OK);
    assert_int_equal(done(&bed, &b), ST_OK);

    /* Both run (no lane), both are put back: one is left. */
    put(&bed, "t", NULL, "k", 0, "{\"n\":1}");
    assert_true(take(&bed, 0, "t", &a));
    put(&bed, "t", NULL, "k", 0, "{\"n\":2}");
    assert_true(take(&bed, 0, "t", &b));
    assert_int_equal(retry(&a, START_US), ST_OK);
    assert_int_equal(retry(&b, START_US), ST_OK);
    expect_counts(&bed, "1 0 0 0 0");
    close_manual(&bed);
}

struct once {
    struct lease *lease;
    int64_t number;
};

static enum status
effect_and_done(struct store_tx *tx, void *arg, struct err *err)
{
    struct once *once = arg;
    enum status st = effect_insert(tx, STR("once"), once->number, 0, err);

    return st == ST_OK ? queue_lease_done(tx, once->lease, err) : st;
}

static enum status
effect_when_held(struct store_tx *tx, void *arg, struct err *err)
{
    struct once *once = arg;
    enum status st = queue_lease_check(tx, once->lease, err);

    return st == ST_OK ? effect_insert(tx, STR("once"), once->number, 0, err) : st;
}

static void
test_a_frozen_worker_does_nothing(void **state)
{
    struct bed bed;
    struct lease frozen, next;
    struct once step = {&frozen, 3};
    struct once late = {&frozen, 1};
    struct once in_time = {&next, 2};
    struct err err;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", "x", NULL, 0, "{\"n\":1}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":2}");
    expect_take(&bed, "t", "{\"n\":1}", &frozen);
    clock_advance_us(bed.clock, LEASE_US - 1);
    sweep(&bed);
    assert_false(take(&bed, 0, "t", &next));
    clock_advance_us(bed.clock, 1);
    sweep(&bed);
    expect_take(&bed, "t", "{\"n\":1}", &next);
    assert_int_equal(next.job.attempts, 2);

    assert_int_equal(
        store_run(bed.store, frozen.scope, "test", STORE_DURABLE, effect_when_held, &step, &err),
        ST_CONFLICT);
    assert_int_equal(frozen.outcome, LEASE_LOST);
    frozen.outcome = LEASE_OPEN;
    assert_int_equal(queue_lease_hold(&frozen, &err), ST_CONFLICT);
    assert_int_equal(frozen.outcome, LEASE_LOST);
    frozen.outcome = LEASE_OPEN;
    assert_int_equal(queue_lease_hold(&next, &err), ST_OK);
    clock_advance_us(bed.clock, LEASE_US); /* late, but nobody has looked: renewed */
    assert_int_equal(queue_lease_hold(&next, &err), ST_OK);
    sweep(&bed);
    assert_int_equal(
        store_run(bed.store, frozen.scope, "test", STORE_DURABLE, effect_and_done, &late, &err),
        ST_CONFLICT);
    assert_int_equal(frozen.outcome, LEASE_LOST);
    assert_int_equal(effects_read(&bed, 0, STR("once"), NULL, NULL), 0);
    assert_int_equal(retry(&frozen, START_US), ST_CONFLICT);
    assert_int_equal(bury(&frozen), ST_CONFLICT);
    assert_int_equal(postpone(&bed, &frozen, START_US), ST_CONFLICT);
    assert_int_equal(lease_renew(&frozen, &err), ST_CONFLICT);
    expect_counts(&bed, "0 0 1 1 0");

    assert_int_equal(
        store_run(bed.store, next.scope, "test", STORE_DURABLE, effect_and_done, &in_time, &err),
        ST_OK);
    assert_int_equal(effects_read(&bed, 0, STR("once"), NULL, NULL), 1);
    expect_counts(&bed, "1 0 0 0 0");
    close_manual(&bed);
}

static void
test_renewal(void **state)
{
    struct bed bed;
    struct lease lease, none;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", NULL, NULL, 0, "{\"n\":1}");
    expect_take(&bed, "t", "{\"n\":1}", &lease);
    lease_begin(&lease);
    for (int i = 0; i < 29; i++) { /* 58 minutes */
        clock_advance_us(bed.clock, LEASE_US - 1);
        queue_renew_due(bed.queue);
        clock_advance_us(bed.clock, 1);
        sweep(&bed);
        assert_false(take(&bed, 0, "t", &none));
    }
    /* After an hour nobody believes in it any more. */
    clock_advance_us(bed.clock, LEASE_US);
    queue_renew_due(bed.queue);
    clock_advance_us(bed.clock, LEASE_US);
    sweep(&bed);
    lease_end(&lease);
    assert_true(take(&bed, 0, "t", &none));
    assert_int_equal(done(&bed, &lease), ST_CONFLICT);
    close_manual(&bed);
}

static void
test_a_predecessors_leases(void **state)
{
    struct queue_config config = {.lease_us = LEASE_US, .sweep_us = 3600 * US_PER_S};
    struct bed bed;
    struct lease a, b;
    struct err err;

    (void)state;
    open_manual(&bed);
    config.store = bed.store;
    config.tenants = bed.tenants;
    config.clock = bed.clock;
    for (int i = 0; i < 150; i++) /* more than one transaction puts back */
        put(&bed, "t", NULL, NULL, 0, "{\"n\":1}");
    put(&bed, "u", "x", "k", 0, "{\"n\":2}");
    for (int i = 0; i < 150; i++)
        assert_true(take(&bed, 0, "t", &a));
    expect_take(&bed, "u", "{\"n\":2}", &b);
    put(&bed, "u", "x", "k", 0, "{\"n\":3}");
    expect_counts(&bed, "0 0 1 151 0");
    queue_close(&bed.queue);
    assert_int_equal(queue_open(&config, &bed.queue, &err), ST_OK);
    expect_counts(&bed, "151 0 0 0 0");
    assert_int_equal(done(&bed, &a), ST_CONFLICT);
    expect_take(&bed, "u", "{\"n\":2}", &b);
    assert_int_equal(b.job.attempts, 2); /* it may have been what ended the process */
    close_manual(&bed);
}

/* ---------------------------------------------------------------- dead letters */

struct letters {
    struct arena *arena;
    struct job_id before;
    size_t limit;
    struct dead_letter *list;
    size_t count;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct letters *letters = arg;

    return queue_dead_list(tx, letters->before, letters->limit, letters->arena, &letters->list,
                           &letters->count, err);
}

static struct letters
list(struct bed *bed, struct job_id before, size_t limit)
{
    struct letters letters = {.arena = bed->arena, .before = before, .limit = limit};
    struct err err;

    assert_int_equal(store_read(bed->store, bed->scopes[0], "test_list", list_work, &letters, &err),
                     ST_OK);
    return letters;
}

struct repair {
    struct queue *queue;
    struct job_id id;
};

static enum status
replay_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct repair *repair = arg;

    return queue_dead_replay(repair->queue, tx, repair->id, err);
}

static enum status
discard_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct repair *repair = arg;

    return queue_dead_discard(tx, repair->id, err);
}

static enum status
repair(struct bed *bed, store_work work, struct job_id id)
{
    struct repair arg = {bed->queue, id};
    struct err err;

    return store_run(bed->store, bed->scopes[0], "test_repair", STORE_DURABLE, work, &arg, &err);
}

static void
test_dead_letters(void **state)
{
    struct bed bed;
    struct lease a;
    struct job_id none = {{""}};
    struct letters page;

    (void)state;
    open_manual(&bed);
    for (int i = 1; i <= 5; i++) {
        char payload[24];

        (void)snprintf(payload, sizeof(payload), "{\"n\":%d}", i);
        put(&bed, "t", "x", NULL, 0, payload);
        assert_true(take(&bed, 0, "t", &a));
        assert_int_equal(bury(&a), ST_OK);
    }
    page = list(&bed, none, 2);
    assert_int_equal(page.count, 2);
    assert_true(str_eq_c(page.list[0].job.payload, "{\"n\":5}"));
    assert_true(str_eq_c(page.list[0].job.lane, "x"));
    assert_true(str_eq_c(page.list[0].reason, "hopeless"));
    assert_int_equal(page.list[0].died_at_us, START_US);
    page = list(&bed, page.list[1].job.id, 10);
    assert_int_equal(page.count, 3);
    assert_true(str_eq_c(page.list[0].job.payload, "{\"n\":3}"));
    assert_true(str_eq_c(page.list[2].job.payload, "{\"n\":1}"));

    /* Replay: to the end of its lane, attempts from zero. */
    put(&bed, "t", "x", NULL, 0, "{\"n\":6}");
    put(&bed, "t", "x", NULL, 0, "{\"n\":7}");
    assert_int_equal(repair(&bed, replay_work, page.list[2].job.id), ST_OK);
    assert_int_equal(repair(&bed, replay_work, page.list[2].job.id), ST_NOT_FOUND);
    assert_int_equal(repair(&bed, discard_work, page.list[0].job.id), ST_OK);
    assert_int_equal(repair(&bed, discard_work, page.list[0].job.id), ST_NOT_FOUND);
    expect_counts(&bed, "1 0 2 0 3");
    expect_take(&bed, "t", "{\"n\":6}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_take(&bed, "t", "{\"n\":7}", &a);
    assert_int_equal(done(&bed, &a), ST_OK);
    expect_take(&bed, "t", "{\"n\":1}", &a);
    assert_int_equal(a.job.attempts, 1);
    assert_int_equal(done(&bed, &a), ST_OK);
    close_manual(&bed);
}

static void
test_replay_beside_its_twin(void **state)
{
    struct bed bed;
    struct lease a;
    struct job_id none = {{""}};
    struct letters page;

    (void)state;
    open_manual(&bed);
    put(&bed, "t", "x", "k", 0, "{\"n\":1}");
    assert_true(take(&bed, 0, "t", &a));
    assert_int_equal(bury(&a), ST_OK);
    put(&bed, "t", "x", "k", 0, "{\"n\":2}");
    page = list(&bed, none, 10);
    assert_int_equal(repair(&bed, replay_work, page.list[0].job.id), ST_OK);
    expect_counts(&bed, "1 0 0 0 0"); /* the one that is queued does both */
    close_manual(&bed);
}

static void
test_retention(void **state)
{
    const int64_t day_us = 24 * 3600 * US_PER_S;
    struct bed bed;
    struct lease a;

    (void)state;
    open_manual(&bed);
    for (int i = 0; i < 3; i++) {
        put(&bed, "t", NULL, NULL, 0, "{\"n\":1}");
        assert_true(take(&bed, 0, "t", &a));
        assert_int_equal(bury(&a), ST_OK);
        clock_advance_us(bed.clock, day_us);
    }
    clock_advance_us(bed.clock, 11 * day_us);
    sweep(&bed);
    expect_counts(&bed, "0 0 0 0 3"); /* the oldest is 14 days old, not older */
    clock_advance_us(bed.clock, 1);
    sweep(&bed);
    expect_counts(&bed, "0 0 0 0 2");
    clock_advance_us(bed.clock, 14 * day_us);
    sweep(&bed);
    expect_counts(&bed, "0 0 0 0 0");
    close_manual(&bed);
}

/* ---------------------------------------------------------------- what is refused */

static enum status
put_raw(struct store_tx *tx, void *arg, struct err *err)
{
    struct repair *with = ((void **)arg)[0];
    struct job_id id;

    return queue_put(with->queue, tx, ((void **)arg)[1], &id, err);
}

static void
test_bad_specs(void **state)
{
    static char big[70000];
    struct job_spec specs[] = {
        {.topic = "", .payload = STR("{}")},
        {.topic = "a-topic-that-is-longer-than-32-bytes", .payload = STR("{}")},
        {.topic = "t"},
        {.topic = "t", .payload = STR("[1]")},
        {.topic = "t", .payload = STR("{\"n\":\"\xff\"}")},
        {.topic = "t", .payload = STR("{}"), .lane = {big, 257}},
        {.topic = "t", .payload = STR("{}"), .dedup_key = {big, 257}},
        {.topic = "t", .payload = STR("{}"), .max_attempts = 1001},
        {.topic = "t", .payload = {big, sizeof(big)}},
    };
    struct bed bed;
    struct repair with;

    (void)state;
    memset(big, ' ', sizeof(big));
    big[0] = '{';
    open_manual(&bed);
    with.queue = bed.queue;
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        void *arg[] = {&with, &specs[i]};
        struct err err;
        enum status st =
            store_run(bed.store, bed.scopes[0], "test_put", STORE_DURABLE, put_raw, arg, &err);

        assert_int_equal(st, specs[i].payload.ptr == big ? ST_TOO_LARGE : ST_INVALID);
    }
    expect_counts(&bed, "0 0 0 0 0");
    close_manual(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_delay),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_lane_order_outlives_a_clock_set_back),
        cmocka_unit_test(test_dedup_and_burst_window),
        cmocka_unit_test(test_burst_window_in_a_flood),
        cmocka_unit_test(test_dedup_beside_a_running_one),
        cmocka_unit_test(test_merging_and_lanes),
        cmocka_unit_test(test_a_frozen_worker_does_nothing),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_a_predecessors_leases),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_replay_beside_its_twin),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_bad_specs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
