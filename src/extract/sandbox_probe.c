/*
 * sandbox_probe.c - enters the sandbox and tries one forbidden thing: for sandbox_test.c
 *
 * Ends with 0 when the thing succeeded, 1 when it was refused, 2 when the sandbox could not be
 * entered.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extract/sandbox.h"

#define MB ((size_t)1024 * 1024)

static int
try_open(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static int
try_create(void)
{
    return open("/tmp/parley-sandbox-probe", O_WRONLY | O_CREAT, 0600) >= 0;
}

static int
try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int
try_fork(void)
{
    return fork() >= 0;
}

static int
try_exec(void)
{
    char *const none[] = {NULL};

    execve("/bin/true", none, none);
    return 0;
}

static int
try_kill(void)
{
    return kill(getppid(), 0) == 0;
}

static int
try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static int
try_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

static int
try_make_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int
try_write_elsewhere(void)
{
    return write(STDERR_FILENO, "x", 1) == 1;
}

static int
try_read_elsewhere(void)
{
    char byte;

    return read(STDOUT_FILENO, &byte, 1) >= 0;
}

static int
try_much_memory(void)
{
    void *p = mmap(NULL, 1024 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p != MAP_FAILED;
}

/* Fails instead of ending the process, for libraries that can do without. */
static int
try_open_and_go_on(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES ||
           write(STDERR_FILENO, "x", 1) == 1 || write(STDOUT_FILENO, "still here", 10) != 10;
}

static int
try_endless(void)
{
    for (volatile unsigned n = 0; n != UINT32_MAX; n++)
        continue;
    return 1;
}

/* What a reader does: memory up and down, its own two descriptors. */
static int
try_allowed(void)
{
    for (size_t size = 1; size < 32 * MB; size *= 3) {
        char *p = malloc(size), *grown;

        if (p == NULL)
            return 0;
        memset(p, 'x', size);
        grown = realloc(p, 2 * size);
        free(grown == NULL ? p : grown);
        if (grown == NULL)
            return 0;
    }
    return write(STDOUT_FILENO, "still here", 10) == 10;
}

static const struct {
    const char *name;
    int (*attempt)(void);
    bool files_fail;
} attempts[] = {
    {"open", try_open, false},
    {"create", try_create, false},
    {"socket", try_socket, false},
    {"fork", try_fork, false},
    {"exec", try_exec, false},
    {"kill", try_kill, false},
    {"ptrace", try_ptrace, false},
    {"executable-memory", try_executable_memory, false},
    {"make-executable", try_make_executable, false},
    {"write-elsewhere", try_write_elsewhere, false},
    {"read-elsewhere", try_read_elsewhere, false},
    {"open-and-go-on", try_open_and_go_on, true},
    {"much-memory", try_much_memory, false},
    {"endless", try_endless, false},
    {"allowed", try_allowed, false},
};

int
main(int argc, char **argv)
{
    struct sandbox_limits limits = {.memory_bytes = 256 * MB, .cpu_seconds = 1};
    struct err err;

    if (argc != 2)
        return 2;
    /* Says whether the limit of memory is one of this build's. */
    if (strcmp(argv[1], "limits-memory") == 0)
        return sandbox_limits_memory() ? 0 : 1;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        if (strcmp(argv[1], attempts[i].name) != 0)
            continue;
        limits.files_fail = attempts[i].files_fail;
        if (sandbox_enter(&limits, &err) != ST_OK)
            return 2;
        _exit(attempts[i].attempt() ? 0 : 1);
    }
    return 2;
}
