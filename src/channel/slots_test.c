/*
 * slots_test.c - no channel, no source, and no number of late channels has all the threads; those
 * that answer are waited for, those that are late are not
 */
#include <pthread.h>

#include "base/testing.h"
#include "base/thread.h"
#include "channel/slots.h"

#define THREADS 16
#define HALF (THREADS / 2)

/* Stands still, so that what happens between two calls takes no time. */
static struct clock *still_clock;

static int
make_clock(void **state)
{
    (void)state;
    still_clock = clock_create_manual(0);
    return 0;
}

static int
free_clock(void **state)
{
    (void)state;
    clock_destroy(&still_clock);
    return 0;
}

/* Of a source of its own. */
static struct channel_record
alone(const struct channel_id *id)
{
    return (struct channel_record){.id = *id, .source = str_from_c(id->id.text)};
}

static struct slot *
try_one(struct slots *slots, struct channel_id id)
{
    const struct channel_record channel = alone(&id);

    return slots_try(slots, &channel);
}

static struct slot *
enter_one(struct slots *slots, struct channel_id id)
{
    const struct channel_record channel = alone(&id);

    return slots_enter(slots, &channel);
}

static unsigned
take_all(struct slots *slots, struct channel_id id, struct slot **held)
{
    unsigned count = 0;

    while ((held[count] = try_one(slots, id)) != NULL)
        count++;
    return count;
}

static void
leave_all(struct slots *slots, struct slot **held, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        slots_leave(slots, &held[i]);
        assert_null(held[i]);
    }
}

static void
a_late_channel_has_half(void **state)
{
    struct slots *slots = slots_create(THREADS, clock_system());
    struct channel_id dead = ID_NEW(channel_id), well = ID_NEW(channel_id);
    struct slot *held[THREADS], *others[THREADS];
    int64_t start_us = clock_mono_us(clock_system());
    unsigned count = take_all(slots, dead, held);

    (void)state;
    assert_int_equal(count, HALF);
    assert_null(enter_one(slots, dead)); /* once it is known to be late */
    assert_true(clock_mono_us(clock_system()) - start_us >= SLOT_LATE_US);
    assert_null(enter_one(slots, dead)); /* then at once */
    assert_int_equal(take_all(slots, well, others), HALF / 2);
    leave_all(slots, others, HALF / 2);
    leave_all(slots, held, count);
    slots_leave(slots, &held[0]); /* accepts none */
    slots_destroy(&slots);
    assert_null(slots);
}

/* At the same moment, before anybody knows of any of them. */
static void
many_at_once_leave_turns(void **state)
{
    static const struct {
        unsigned channels, most, fewest_free;
    } cases[] = {{1, 8, 8}, {2, 6, 5}, {3, 5, 4}, {7, 4, 2}, {THREADS - 1, THREADS, 0}};

    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct slots *slots = slots_create(THREADS, still_clock);
        struct slot *held[THREADS];
        struct channel_id ids[THREADS];
        unsigned count = 0, before, own[THREADS] = {0};

        for (unsigned i = 0; i < cases[c].channels; i++)
            ids[i] = ID_NEW(channel_id);
        do { /* one each in turn, until none has another */
            before = count;
            for (unsigned i = 0; i < cases[c].channels && count < THREADS; i++) {
                held[count] = try_one(slots, ids[i]);
                own[i] += held[count] != NULL;
                count += held[count] != NULL;
            }
        } while (count > before && count < THREADS);
        for (unsigned i = 0; i < cases[c].channels; i++)
            assert_in_range(own[i], 1, cases[c].most);
        assert_true(THREADS - count >= cases[c].fewest_free);
        leave_all(slots, held, count);
        slots_destroy(&slots);
    }
}

/* Also between two calls, and until one of them is quick. */
static void
late_ones_share_half(void **state)
{
    struct slots *slots = slots_create(THREADS, still_clock);
    struct channel_id late[THREADS], well = ID_NEW(channel_id);
    struct slot *held[THREADS], *others[THREADS];
    unsigned count = 0, i;

    (void)state;
    for (i = 0; i < THREADS - 1; i++)
        late[i] = ID_NEW(channel_id);
    for (i = 0; i < THREADS - 1; i++)
        assert_non_null(held[i] = try_one(slots, late[i]));
    clock_advance_us(still_clock, SLOT_LATE_US); /* now all are late */
    assert_null(enter_one(slots, late[0]));
    leave_all(slots, held, THREADS - 1);
    for (i = 0; i < THREADS - 1; i++)
        if ((held[count] = enter_one(slots, late[i])) != NULL)
            count++;
    assert_int_equal(count, HALF);
    assert_int_equal(take_all(slots, well, others), HALF / 2);
    leave_all(slots, others, HALF / 2);
    leave_all(slots, held, count);
    /* Eight of them answered; the others are late as before. */
    assert_int_equal(take_all(slots, late[THREADS - 2], held), HALF / 2);
    leave_all(slots, held, HALF / 2);
    assert_int_equal(take_all(slots, late[THREADS - 2], held), HALF);
    leave_all(slots, held, HALF);
    slots_destroy(&slots);
}

/* As many channels as threads hang in the same second: their provider is down. */
static void
a_source_leaves_a_quarter(void **state)
{
    const struct str source = STR("telegram");
    struct slots *slots = slots_create(THREADS, still_clock);
    struct channel_record channels[THREADS];
    struct slot *held[THREADS], *other;
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        channels[i] = (struct channel_record){.id = ID_NEW(channel_id), .source = source};
        if ((held[count] = slots_try(slots, &channels[i])) != NULL)
            count++;
    }
    assert_int_equal(count, THREADS - THREADS / 4);
    assert_non_null(other = try_one(slots, ID_NEW(channel_id)));
    slots_leave(slots, &other);
    clock_advance_us(still_clock, SLOT_LATE_US);
    assert_null(slots_enter(slots, &channels[THREADS - 1])); /* at once, though it never was late */
    slots_leave(slots, &held[0]);
    assert_non_null(held[0] = slots_enter(slots, &channels[THREADS - 1]));
    leave_all(slots, held, count);
    slots_destroy(&slots);
}

/* A message of several parts is one slot; only a part can be late. */
static void
each_call_has_its_own_time(void **state)
{
    struct slots *slots = slots_create(THREADS, still_clock);
    struct channel_id id = ID_NEW(channel_id);
    struct slot *held[THREADS];
    unsigned count = take_all(slots, id, held);

    (void)state;
    clock_advance_us(still_clock, SLOT_LATE_US);
    assert_null(enter_one(slots, id)); /* late */
    for (unsigned i = 0; i < count; i++)
        slots_renew(slots, held[i]); /* the part took long, */
    leave_all(slots, held, count - 1);
    assert_non_null(held[0] = try_one(slots, id));
    slots_renew(slots, held[count - 1]); /* the next one did not */
    leave_all(slots, held, 1);
    slots_leave(slots, &held[count - 1]);
    assert_int_equal(take_all(slots, id, held), HALF);
    leave_all(slots, held, HALF);
    slots_renew(slots, NULL);
    slots_destroy(&slots);
}

struct waiting {
    struct slots *slots;
    struct channel_id id;
    struct slot *slot;
};

static void *
enter(void *arg)
{
    struct waiting *waiting = arg;

    waiting->slot = enter_one(waiting->slots, waiting->id);
    return NULL;
}

static void
who_answers_is_waited_for(void **state)
{
    struct waiting waiting = {.slots = slots_create(1, clock_system()), .id = ID_NEW(channel_id)};
    struct slot *first = enter_one(waiting.slots, waiting.id);
    pthread_t thread;
    struct err err;

    (void)state;
    assert_non_null(first);
    ASSERT_OK(thread_start("waiting", enter, &waiting, &thread, &err), &err);
    slots_leave(waiting.slots, &first);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(waiting.slot);
    slots_leave(waiting.slots, &waiting.slot);
    slots_destroy(&waiting.slots);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_channel_has_half),   cmocka_unit_test(many_at_once_leave_turns),
        cmocka_unit_test(late_ones_share_half),      cmocka_unit_test(each_call_has_its_own_time),
        cmocka_unit_test(a_source_leaves_a_quarter), cmocka_unit_test(who_answers_is_waited_for),
    };

    return cmocka_run_group_tests(tests, make_clock, free_clock);
}
