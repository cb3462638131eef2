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
/* The same without a sanitizer: AddressSanitizer reserves more address space than any limit allows,
 * so that this one alone keeps to the limit of memory. */
static char *released_probe;

/* The status of waitpid. out gets what it wrote. */
static int
run_program(char *program, const char *what, char *out, size_t size)
{
    char *argv[] = {program, (char *)(uintptr_t)what, NULL};
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
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, no_environment), 0);
    close(pipe_fds[1]);
    while (len + 1 < size && (n = read(pipe_fds[0], out + len, size - len - 1)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(pipe_fds[0]);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int
run_probe(const char *what, char *out, size_t size)
{
    return run_program(probe, what, out, size);
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

static void
memory_is_limited(void **state)
{
    char out[64];
    int limits = run_program(released_probe, "limits-memory", out, sizeof(out));
    int status = run_program(released_probe, "much-memory", out, sizeof(out));

    (void)state;
    assert_true(WIFEXITED(limits));
    assert_int_equal(WEXITSTATUS(limits), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* Where its answer goes to a file by mistake, none is written. */
static void
files_do_not_grow(void **state)
{
    char name[] = "/tmp/parley-sandbox-test-XXXXXX";
    char *argv[] = {probe, (char *)(uintptr_t) "allowed", NULL};
    char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int fd = mkstemp(name), status = 0;
    pid_t pid;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, 1), 0);
    assert_int_equal(posix_spawn(&pid, probe, &actions, NULL, argv, no_environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXFSZ);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    close(fd);
    unlink(name);
}

static void
files_fail_where_wanted(void **state)
{
    char out[64];
    int status = run_probe("open-and-go-on", out, sizeof(out));

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_string_equal(out, "still here");
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
        cmocka_unit_test(forbidden_calls_kill),    cmocka_unit_test(time_is_limited),
        cmocka_unit_test(memory_is_limited),       cmocka_unit_test(files_do_not_grow),
        cmocka_unit_test(files_fail_where_wanted), cmocka_unit_test(work_is_allowed),
    };

    if (argc != 3)
        return 2;
    probe = argv[1];
    released_probe = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
