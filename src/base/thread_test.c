/*
 * thread_test.c - the pool's limit, its order of stopping, deadlines on conditions
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/testing.h"
#include "base/thread.h"

/* A gate that tasks wait at, so that a test knows what is running and what is queued. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting;
    unsigned done;
    bool open;
};

static void
gate_init(struct gate *gate)
{
    *gate = (struct gate){.open = false};
    pthread_mutex_init(&gate->lock, NULL);
    cond_init(&gate->changed);
}

static void
gate_deinit(struct gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

static void
pass_gate(void *arg)
{
    struct gate *gate = arg;

    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->done++;
    pthread_mutex_unlock(&gate->lock);
}

static void
wait_for_waiting(struct gate *gate, unsigned count)
{
    int64_t deadline = clock_mono_us(clock_system()) + 20 * US_PER_S;

    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count)
        assert_true(cond_wait_until(&gate->changed, &gate->lock, deadline));
    pthread_mutex_unlock(&gate->lock);
}

static void
open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void
a_full_queue_refuses_and_all_that_was_taken_runs(void **state)
{
    const struct thread_pool_config config = {.name = "test", .threads = 2, .max_queued = 3};
    struct thread_pool *pool;
    struct gate gate;
    struct err err;

    (void)state;
    gate_init(&gate);
    ASSERT_OK(thread_pool_create(&config, &pool, &err), &err);
    for (unsigned i = 1; i <= 2; i++) {
        ASSERT_OK(thread_pool_submit(pool, pass_gate, &gate, &err), &err);
        wait_for_waiting(&gate, i);
    }
    for (unsigned i = 1; i <= 3; i++) {
        ASSERT_OK(thread_pool_submit(pool, pass_gate, &gate, &err), &err);
        assert_int_equal(thread_pool_queued(pool), i);
    }
    assert_int_equal(thread_pool_submit(pool, pass_gate, &gate, &err), ST_BUSY);
    open_gate(&gate);
    thread_pool_destroy(&pool);
    assert_null(pool);
    assert_int_equal(gate.done, 5);
    thread_pool_destroy(&pool);
    gate_deinit(&gate);
}

static void
add_one(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void
many_tasks_through_a_small_ring(void **state)
{
    const struct thread_pool_config config = {.name = "test", .threads = 3, .max_queued = 7};
    struct thread_pool *pool;
    atomic_uint count = 0;
    unsigned accepted = 0;
    struct err err;

    (void)state;
    ASSERT_OK(thread_pool_create(&config, &pool, &err), &err);
    for (int i = 0; i < 20000; i++)
        accepted += thread_pool_submit(pool, add_one, &count, &err) == ST_OK;
    thread_pool_destroy(&pool);
    assert_true(accepted > 0);
    assert_int_equal(count, accepted);
}

struct traits {
    char name[16];
    size_t stack_bytes;
    bool signals_blocked;
};

static void *
look_at_self(void *arg)
{
    struct traits *traits = arg;
    pthread_attr_t attr;
    sigset_t blocked;

    assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
    (void)pthread_attr_getstacksize(&attr, &traits->stack_bytes);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    traits->signals_blocked = sigismember(&blocked, SIGTERM) == 1;
    return NULL;
}

static void
threads_have_small_stacks_and_no_signals(void **state)
{
    struct traits traits = {.stack_bytes = 0};
    pthread_t thread;
    sigset_t blocked;
    struct err err;

    (void)state;
    ASSERT_OK(thread_start("a-name-that-is-too-long", look_at_self, &traits, &thread, &err), &err);
    pthread_join(thread, NULL);
    assert_in_range(traits.stack_bytes, 512 * 1024, 4 * 1024 * 1024);
    assert_true(traits.signals_blocked);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

static void
a_wait_ends_at_its_deadline(void **state)
{
    int64_t start = clock_mono_us(clock_system());
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;

    (void)state;
    cond_init(&cond);
    pthread_mutex_lock(&lock);
    while (cond_wait_until(&cond, &lock, start + 30 * US_PER_MS))
        continue;
    assert_in_range(clock_mono_us(clock_system()) - start, 30 * US_PER_MS, 20 * US_PER_S);
    assert_false(cond_wait_until(&cond, &lock, 0));
    assert_false(cond_wait_until(&cond, &lock, -5));
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_and_all_that_was_taken_runs),
        cmocka_unit_test(many_tasks_through_a_small_ring),
        cmocka_unit_test(threads_have_small_stacks_and_no_signals),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
