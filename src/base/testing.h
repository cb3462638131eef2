/*
 * testing.h - what unit tests share: cmocka with its includes, statuses and views in asserts
 *
 * Only *_test.c may include it.
 */
#ifndef PARLEY_BASE_TESTING_H
#define PARLEY_BASE_TESTING_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

/* The call succeeds; otherwise its detail is printed. */
#define ASSERT_OK(call, err)                                                                       \
    do {                                                                                           \
        if ((call) != ST_OK)                                                                       \
            fail_msg("%s: %s: %s", #call, status_name((err)->code), (err)->detail);                \
    } while (0)

#define ASSERT_STR(view, text)                                                                     \
    do {                                                                                           \
        struct str view_ = (view);                                                                 \
        if (!str_eq_c(view_, (text)))                                                              \
            fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(view_), (text));                         \
    } while (0)

/* Runs fn(arg) in a child and gives the signal that ended it, or 0 when it returned. */
static inline int
signal_of(void (*fn)(void *arg), void *arg)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        fn(arg);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Stands for a test of a build with failpoints in one without. */
#define SKIPPED_WITHOUT_FAILPOINTS(test)                                                           \
    static void test(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        skip();                                                                                    \
    }

#define ASSERT_ABORTS(fn, arg) assert_int_equal(signal_of((fn), (arg)), SIGABRT)

#endif
