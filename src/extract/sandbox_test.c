/*
 * sandbox_test.c - that the sandbox holds: each forbidden thing is tried from inside, by another
 * program
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *probe;

/* The status of waitpid. out gets what it wrote. */
static int
run_probe(const char *what, char *out, size_t size)
{
    char *argv[] = {probe, (char *)(uintptr_t)what, NULL};
    char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    size_t len = 0;
    ssize_t n;
    pid_t pid;
    int status = 0;
    int pipe_fds[2];

    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1), 0);
    assert_int_equal(posix_spawn(&pid, probe, &actions, NULL, argv, no_environment), 0);
    close(pipe_fds[1]);
    while (len + 1 < size && (n = read(pipe_fds[0], out + len, size - len - 1)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(pipe_fds[0]);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
forbidden_calls_kill(void **state)
{
    static const char *const forbidden[] = {
        "open",
        "create",
        "socket",
        "fork",
        "exec",
        "kill",
        "ptrace",
        "executable-memory",
        "make-executable",
        "write-elsewhere",
        "read-elsewhere",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        char out[64];
        int status = run_probe(forbidden[i], out, sizeof(out));

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: not killed, status %#x", forbidden[i], (unsigned)status);
    }
}

static void
time_is_limited(void **state)
{
    char out[64];
    int status = run_probe("endless", out, sizeof(out));

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXCPU);
}

/* ASan reserves more address space than the limit allows: such a build cannot keep to it. */
#ifdef __SANITIZE_ADDRESS__
#define KEEPS_TO_ITS_MEMORY 0
#else
#define KEEPS_TO_ITS_MEMORY 1
#endif

static void
memory_is_limited(void **state)
{
    char out[64];
    int limits = run_probe("limits-memory", out, sizeof(out));
    int status;

    (void)state;
    assert_true(WIFEXITED(limits));
    if (!KEEPS_TO_ITS_MEMORY)
        skip(); /* a build with AddressSanitizer, which reserves more than any limit */
    assert_int_equal(WEXITSTATUS(limits), 0);
    status = run_probe("much-memory", out, sizeof(out));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void
work_is_allowed(void **state)
{
    char out[64];
    int status = run_probe("allowed", out, sizeof(out));

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(out, "still here");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_calls_kill),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(work_is_allowed),
    };

    if (argc != 2)
        return 2;
    probe = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
