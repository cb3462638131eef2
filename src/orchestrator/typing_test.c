/*
 * typing_test.c - signs while an answer is made: none for quick ones, none after the end
 */
#include <sched.h>

#include "base/testing.h"

#include "channel/channel_driver.h"
#include "channel/drivers/fake.h"
#include "conversation/conversation_test_support.h"
#include "orchestrator/orchestrator_private.h"

#define WAIT_MS 60000
#define DRAFT_MS 50
#define SOON_MS 2500 /* well below the interval of 4 s at which signs are repeated */

#define STUCK 20 /* answers, more than there are threads */

/* Where signs to chats of a "stuck" channel that begin with "stuck" wait. */
static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting;
    bool is_open;
} gate; /* lint-allow(globals): a hook has no context of its own */

struct bench {
    struct talk talk;
    struct channel_env env;
    struct channel_driver quick;    /* "quick": as recording, with a sign every 20 ms */
    struct channel_driver mute;     /* "mute": cannot type */
    struct channel_driver drafting; /* "drafting": shows drafts, one in 50 ms */
    struct channel_driver stuck;    /* "stuck": does not answer, in some chats */
    struct channel_registry *registry;
    struct channel *channel;
    struct typing_keeper *keeper;
};

static void
stuck_typing(struct channel *channel, struct str external_chat_id)
{
    if (!str_starts_with(external_chat_id, STR("stuck"))) {
        channel_driver_recording.typing(channel, external_chat_id);
        return;
    }
    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static struct bench *
open_bench(void **state, const char *source)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    const struct channel_driver *drivers[] = {
        &channel_driver_recording, &bench->quick, &bench->mute,
        &bench->drafting,          &bench->stuck, NULL};
    struct err *err;

    assert_non_null(bench);
    err = &bench->talk.err;
    bench->quick = channel_driver_recording;
    bench->quick.source = "quick";
    bench->quick.typing_interval_ms = 20;
    bench->mute = channel_driver_recording;
    bench->mute.source = "mute";
    bench->mute.caps &= ~(unsigned)CHANNEL_CAN_TYPE;
    bench->mute.typing = NULL;
    bench->mute.typing_interval_ms = 0;
    bench->drafting = channel_driver_recording;
    bench->drafting.source = "drafting";
    bench->drafting.caps |= CHANNEL_SHOWS_DRAFTS;
    bench->drafting.draft = channel_recording_draft;
    bench->drafting.draft_interval_ms = DRAFT_MS;
    bench->stuck = channel_driver_recording;
    bench->stuck.source = "stuck";
    bench->stuck.typing = stuck_typing;
    talk_open(&bench->talk, source, "{}", clock_system());
    bench->env.clock = clock_system();
    ASSERT_OK(channel_registry_create(&bench->env, bench->talk.bed.tenants, drivers,
                                      &bench->registry, err),
              err);
    ASSERT_OK(channel_acquire(bench->registry, bench->talk.records[0], &bench->channel, err), err);
    ASSERT_OK(typing_keeper_create(bench->registry, &bench->keeper, err), err);
    *state = bench;
    return bench;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;

    typing_keeper_destroy(&bench->keeper);
    channel_release(&bench->channel);
    channel_registry_destroy(&bench->registry);
    talk_close(&bench->talk);
    free(bench);
    return 0;
}

static void
slow_answer_shows_signs(void **state)
{
    struct bench *bench = open_bench(state, "recording");
    int64_t start_us = clock_mono_us(clock_system());
    struct typing *typing = typing_begin(bench->keeper, bench->channel, STR("c1"), 7, NULL);
    struct fake_call call;

    assert_non_null(typing);
    assert_true(channel_recording_wait(bench->channel, 1, WAIT_MS));
    assert_true(clock_mono_us(clock_system()) - start_us >= 300 * US_PER_MS);
    assert_true(channel_recording_get(bench->channel, 0, bench->talk.arena, &call));
    assert_int_equal(call.kind, FAKE_TYPING);
    ASSERT_STR(call.chat, "c1");
    typing_end(bench->keeper, &typing);
    assert_null(typing);
}

static void
quick_answers_show_none(void **state)
{
    struct bench *bench = open_bench(state, "recording");
    struct typing *slow;
    struct fake_call call;

    for (int i = 0; i < 100; i++) {
        struct typing *quick = typing_begin(bench->keeper, bench->channel, STR("quick"), 7, NULL);

        typing_end(bench->keeper, &quick);
    }
    /* A later one's sign comes after theirs would have come: what came until then is all. */
    slow = typing_begin(bench->keeper, bench->channel, STR("slow"), 7, NULL);
    assert_true(channel_recording_wait(bench->channel, 1, WAIT_MS));
    typing_end(bench->keeper, &slow);
    assert_int_equal(channel_recording_count(bench->channel), 1);
    assert_true(channel_recording_get(bench->channel, 0, bench->talk.arena, &call));
    ASSERT_STR(call.chat, "slow");
}

/* An answer that waits for its next sign in seconds does not hold up another one's first. */
static void
each_has_its_own_time(void **state)
{
    struct bench *bench = open_bench(state, "recording");
    struct typing *first = typing_begin(bench->keeper, bench->channel, STR("first"), 7, NULL);
    struct typing *second;

    assert_true(channel_recording_wait(bench->channel, 1, WAIT_MS));
    second = typing_begin(bench->keeper, bench->channel, STR("second"), 7, NULL);
    assert_true(channel_recording_wait(bench->channel, 2, SOON_MS));
    typing_end(bench->keeper, &second);
    typing_end(bench->keeper, &first);
}

/* A provider that does not answer has half of the threads at most. */
static void
who_hangs_delays_nobody_else(void **state)
{
    struct bench *bench = open_bench(state, "stuck");
    struct typing *stuck[STUCK], *well;
    struct channel *other = NULL;
    int64_t start_us;

    gate = (struct gate){.is_open = false};
    pthread_mutex_init(&gate.lock, NULL);
    pthread_cond_init(&gate.changed, NULL);
    ASSERT_OK(channel_acquire(bench->registry, bench->talk.records[1], &other, &bench->talk.err),
              &bench->talk.err);
    for (size_t i = 0; i < STUCK; i++)
        stuck[i] = typing_begin(bench->keeper, bench->channel, STR("stuck"), 7, NULL);
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < 4)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    start_us = clock_mono_us(clock_system());
    for (size_t i = 1; i <= 3; i++) {
        well = typing_begin(bench->keeper, other, STR("c1"), 7, NULL);
        while (channel_recording_count(other) < i &&
               clock_mono_us(clock_system()) - start_us < WAIT_MS * US_PER_MS)
            sched_yield();
        assert_int_equal(channel_recording_count(other), i);
        typing_end(bench->keeper, &well);
    }
    pthread_mutex_lock(&gate.lock);
    assert_int_equal(gate.waiting, 4);
    gate.is_open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < STUCK; i++)
        typing_end(bench->keeper, &stuck[i]);
    channel_release(&other);
    typing_keeper_destroy(&bench->keeper);
    pthread_cond_destroy(&gate.changed);
    pthread_mutex_destroy(&gate.lock);
}

static void
signs_are_repeated_until_the_end(void **state)
{
    struct bench *bench = open_bench(state, "quick");
    struct channel *channel = bench->channel;
    struct typing *typing = typing_begin(bench->keeper, channel, STR("c1"), 7, NULL);

    /* channel_recording_wait is for its own driver; the last sign tells of those before it. */
    while (channel_recording_count(channel) < 4)
        sched_yield();
    typing_end(bench->keeper, &typing); /* also in the middle of a sign */
    assert_true(channel_recording_count(channel) >= 4);
}

static void
channel_that_cannot_shows_nothing(void **state)
{
    struct bench *bench = open_bench(state, "mute");
    struct typing *typing = typing_begin(bench->keeper, bench->channel, STR("c1"), 7, NULL);

    assert_null(typing);
    typing_end(bench->keeper, &typing); /* accepts it */
}

static void
many_begin_and_end_at_once(void **state)
{
    struct bench *bench = open_bench(state, "quick");
    struct typing *typings[64];

    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 64; i++)
            typings[i] = typing_begin(bench->keeper, bench->channel, STR("c1"), 7, NULL);
        if (round == 0)
            while (channel_recording_count(bench->channel) < 64)
                sched_yield();
        for (size_t i = 0; i < 64; i++)
            typing_end(bench->keeper, &typings[i]);
    }
    assert_true(channel_recording_count(bench->channel) >= 64);
}

static void
long_chat_ids_are_left_alone(void **state)
{
    struct bench *bench = open_bench(state, "recording");
    char chat[200];

    memset(chat, 'x', sizeof(chat));
    assert_null(typing_begin(bench->keeper, bench->channel, str_of(chat, sizeof(chat)), 7, NULL));
}

/* Calls are told one after the other, so the last one seen tells of those before it. */
static struct fake_call
wait_for_call(struct bench *bench, size_t index)
{
    struct fake_call call;

    while (channel_recording_count(bench->channel) <= index)
        sched_yield();
    assert_true(channel_recording_get(bench->channel, index, bench->talk.arena, &call));
    return call;
}

static void
text_is_shown_as_it_grows(void **state)
{
    struct bench *bench = open_bench(state, "drafting");
    int64_t start_us = clock_mono_us(clock_system()), first_us;
    struct typing *typing = typing_begin(bench->keeper, bench->channel, STR("c1"), 7, NULL);
    struct fake_call call;
    size_t count;

    typing_text(bench->keeper, typing, STR("One "));
    typing_text(bench->keeper, typing, STR("two"));
    call = wait_for_call(bench, 0);
    first_us = clock_mono_us(clock_system());
    assert_true(first_us - start_us >= 300 * US_PER_MS);
    assert_int_equal(call.kind, FAKE_DRAFT);
    assert_int_equal(call.part, 7);
    ASSERT_STR(call.chat, "c1");
    ASSERT_STR(call.text, "One two");
    for (size_t i = 1; i < 5; i++) {
        typing_text(bench->keeper, typing, STR("."));
        (void)wait_for_call(bench, i);
    }
    /* The fifth began at the earliest four intervals after the first. */
    assert_true(clock_mono_us(clock_system()) - first_us >= 3 * DRAFT_MS * US_PER_MS);
    call = wait_for_call(bench, 4);
    assert_true(str_starts_with(call.text, STR("One two.")));
    typing_restart(bench->keeper, typing);
    count = channel_recording_count(bench->channel);
    typing_text(bench->keeper, typing, STR("Anew"));
    do
        call = wait_for_call(bench, count++);
    while (str_starts_with(call.text, STR("One")));
    ASSERT_STR(call.text, "Anew");
    typing_text(bench->keeper, typing, STR(", and never shown"));
    typing_end(bench->keeper, &typing);
    count = channel_recording_count(bench->channel);
    typing = typing_begin(bench->keeper, bench->channel, STR("c2"), 8, NULL);
    ASSERT_STR(wait_for_call(bench, count).chat, "c2");
    typing_end(bench->keeper, &typing);
}

/* Two conversations in one chat: the second was begun while the first is being answered. */
static void
one_draft_at_a_time_in_a_chat(void **state)
{
    struct bench *bench = open_bench(state, "drafting");
    struct typing *first = typing_begin(bench->keeper, bench->channel, STR("c1"), 7, NULL);
    struct typing *second = typing_begin(bench->keeper, bench->channel, STR("c1"), 8, NULL);
    struct typing *other = typing_begin(bench->keeper, bench->channel, STR("c2"), 9, NULL);
    size_t drafts[10] = {0};
    size_t seen = 0;

    typing_text(bench->keeper, second, STR("Second"));
    typing_text(bench->keeper, first, STR("First"));
    typing_text(bench->keeper, other, STR("Other"));
    while (drafts[7] < 3 || drafts[9] < 3) {
        struct fake_call call = wait_for_call(bench, seen++);

        if (call.kind == FAKE_DRAFT)
            drafts[call.part]++;
        typing_text(bench->keeper, second, STR("."));
        typing_text(bench->keeper, first, STR("."));
        typing_text(bench->keeper, other, STR("."));
    }
    assert_int_equal(drafts[8], 0);
    typing_end(bench->keeper, &first);
    seen = channel_recording_count(bench->channel);
    typing_text(bench->keeper, second, STR("."));
    for (struct fake_call call = wait_for_call(bench, seen++);
         call.kind != FAKE_DRAFT || call.part != 8;)
        call = wait_for_call(bench, seen++);
    typing_end(bench->keeper, &second);
    typing_end(bench->keeper, &other);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_teardown(fn, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(slow_answer_shows_signs),
        CASE(quick_answers_show_none),
        CASE(each_has_its_own_time),
        CASE(who_hangs_delays_nobody_else),
        CASE(signs_are_repeated_until_the_end),
        CASE(channel_that_cannot_shows_nothing),
        CASE(many_begin_and_end_at_once),
        CASE(long_chat_ids_are_left_alone),
        CASE(text_is_shown_as_it_grows),
        CASE(one_draft_at_a_time_in_a_chat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
