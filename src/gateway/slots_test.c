/*
 * slots_test.c - a channel has its share and no more; those that answer are waited for, those that
 * hang are not
 */
#include <pthread.h>

#include "base/testing.h"
#include "base/thread.h"
#include "gateway/slots.h"

#define SENDERS 4

static void
a_hanging_channel_has_half(void **state)
{
    struct slots *slots = slots_create(SENDERS);
    struct channel_id dead = ID_NEW(channel_id), well = ID_NEW(channel_id);
    struct slot *held[SENDERS];
    int64_t start_us = clock_mono_us(clock_system());

    (void)state;
    held[0] = slots_enter(slots, dead);
    held[1] = slots_enter(slots, dead);
    assert_true(held[0] != NULL && held[1] != NULL);
    assert_null(slots_enter(slots, dead)); /* once it is known to hang */
    assert_true(clock_mono_us(clock_system()) - start_us >= SLOT_HANGS_US);
    start_us = clock_mono_us(clock_system());
    assert_null(slots_enter(slots, dead)); /* then at once */
    held[2] = slots_enter(slots, well);
    held[3] = slots_enter(slots, well);
    assert_true(held[2] != NULL && held[3] != NULL);
    assert_true(clock_mono_us(clock_system()) - start_us < SLOT_HANGS_US);
    slots_leave(slots, &held[1]);
    assert_null(held[1]);
    held[1] = slots_enter(slots, dead);
    assert_non_null(held[1]);
    for (size_t i = 0; i < SENDERS; i++)
        slots_leave(slots, &held[i]);
    slots_leave(slots, &held[0]); /* accepts none */
    slots_destroy(&slots);
    assert_null(slots);
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

    waiting->slot = slots_enter(waiting->slots, waiting->id);
    return NULL;
}

static void
who_answers_is_waited_for(void **state)
{
    struct waiting waiting = {.slots = slots_create(1), .id = ID_NEW(channel_id)};
    struct slot *first = slots_enter(waiting.slots, waiting.id);
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
        cmocka_unit_test(a_hanging_channel_has_half),
        cmocka_unit_test(who_answers_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
