/*
 * failpoint_test.c - which pass dies or fails; in a build without failpoints, that nothing does
 */
#include "base/failpoint.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/testing.h"

struct plan {
    const char *name;
    const char *spec;
    const char *point;
    int passes;
    int want_signal;
};

#ifdef PARLEY_WITH_FAILPOINTS

static void
run_plan(void *arg)
{
    const struct plan *plan = arg;

    if (setenv("PARLEY_FAILPOINTS", plan->spec, 1) != 0)
        _exit(1);
    for (int i = 0; i < plan->passes; i++)
        failpoint_pass(plan->point);
}

static void
crashes_at_the_named_pass(void **state)
{
    static const struct plan plans[] = {
        {"nothing set", "", "queue.leased", 5, 0},
        {"first pass", "queue.leased=crash", "queue.leased", 1, SIGKILL},
        {"not yet", "queue.leased=crash:7", "queue.leased", 6, 0},
        {"seventh", "queue.leased=crash:7", "queue.leased", 7, SIGKILL},
        {"another point", "queue.leased=crash", "answer.planned", 5, 0},
        {"second of a list", "queue.leased=crash:9, answer.planned=crash", "answer.planned", 1,
         SIGKILL},
        {"by chance, in the end", "queue.leased=crash%3", "queue.leased", 10000, SIGKILL},
        {"error is not a crash", "store.commit=error:1", "store.commit", 5, 0},
        {"unlisted name in code", "", "no.such", 1, SIGABRT},
        {"unlisted name in the variable", "no.such=crash", "queue.leased", 1, SIGABRT},
        {"no action", "queue.leased", "queue.leased", 1, SIGABRT},
        {"not stopped yet", "queue.leased=stop:3", "queue.leased", 2, 0},
        {"unknown action", "queue.leased=halt", "queue.leased", 1, SIGABRT},
        {"pass zero", "queue.leased=crash:0", "queue.leased", 1, SIGABRT},
        {"not a number", "queue.leased=crash:x", "queue.leased", 1, SIGABRT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct plan plan = plans[i];
        int got = signal_of(run_plan, &plan);

        if (got != plan.want_signal)
            fail_msg("%s: signal %d, want %d", plan.name, got, plan.want_signal);
    }
}

/* Tells that it went on. */
static void *
pass_and_tell(void *arg)
{
    const int *told = arg;

    failpoint_pass("queue.leased");
    return write(*told, "on", 2) == 2 ? arg : NULL;
}

/* Passes twice, the second time in a thread beside one that waits. */
static _Noreturn void
run_stopped(int told)
{
    pthread_t thread;
    struct err err;
    void *went_on = NULL;

    if (failpoint_configure("queue.leased=stop:2", &err) != ST_OK)
        _exit(1);
    failpoint_pass("queue.leased");
    if (pthread_create(&thread, NULL, pass_and_tell, &told) != 0 ||
        pthread_join(thread, &went_on) != 0)
        _exit(1);
    _exit(went_on != NULL ? 7 : 1);
}

static void
stops_until_it_is_woken(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char text[4];
        ssize_t early;
        int ends[2];
        int status;
        pid_t child;

        assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            run_stopped(ends[1]);
        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        assert_true(WIFSTOPPED(status));
        early = read(ends[0], text, sizeof(text));
        assert_int_equal(kill(child, SIGCONT), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        assert_int_equal(early, -1); /* not even its own thread went on */
        assert_int_equal(read(ends[0], text, sizeof(text)), 2);
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
}

static void
errors_begin_at_the_named_pass(void **state)
{
    struct err err;

    (void)state;
    ASSERT_OK(failpoint_configure("store.commit=error:3", &err), &err);
    for (int pass = 1; pass <= 6; pass++)
        assert_int_equal(FAILPOINT_ERROR("store.commit", &err), pass < 3 ? ST_OK : ST_UNAVAILABLE);
    assert_int_equal(err.code, ST_UNAVAILABLE);
    assert_null(strstr(err.public_text, "failpoint"));
    ASSERT_OK(FAILPOINT_ERROR("store.disk_full", &err), &err);
    assert_int_equal(failpoint_configure("store.commit=never", &err), ST_INVALID);
    ASSERT_OK(failpoint_configure("", &err), &err);
    ASSERT_OK(FAILPOINT_ERROR("store.commit", &err), &err);
}

#else

static void
stops_until_it_is_woken(void **state)
{
    (void)state;
    FAILPOINT("queue.leased");
}

static void
crashes_at_the_named_pass(void **state)
{
    (void)state;
    assert_int_equal(setenv("PARLEY_FAILPOINTS", "queue.leased=crash", 1), 0);
    FAILPOINT("queue.leased");
}

static void
errors_begin_at_the_named_pass(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(setenv("PARLEY_FAILPOINTS", "store.commit=error:1", 1), 0);
    assert_int_equal(FAILPOINT_ERROR("store.commit", &err), ST_OK);
}

#endif

static void
names_are_listed_once(void **state)
{
    const char *const *names = failpoint_names();

    (void)state;
    assert_non_null(names[0]);
    for (size_t i = 0; names[i] != NULL; i++) {
        assert_non_null(strchr(names[i], '.'));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_at_the_named_pass),
        cmocka_unit_test(stops_until_it_is_woken),
        cmocka_unit_test(errors_begin_at_the_named_pass),
        cmocka_unit_test(names_are_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
