/*
 * sandbox.c - limits, namespaces and a list of permitted system calls
 */
#include "extract/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif

#if defined(WITH_ASAN)
#define LIMITS_MEMORY false
#else
#define LIMITS_MEMORY true
#endif

bool
sandbox_limits_memory(void)
{
    return LIMITS_MEMORY;
}

static enum status
limit(int resource, uint64_t soft, uint64_t hard, const char *name, struct err *err)
{
    struct rlimit value = {.rlim_cur = soft, .rlim_max = hard};

    if (setrlimit((__rlimit_resource_t)resource, &value) != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "limit %s: %s", name, strerror(errno));
    return ST_OK;
}

static enum status
set_limits(const struct sandbox_limits *limits, struct err *err)
{
    enum status st = ST_OK;

    if (LIMITS_MEMORY)
        st = limit(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes, "memory", err);
    if (st == ST_OK)
        st = limit(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1, "cpu", err);
    if (st == ST_OK)
        st = limit(RLIMIT_FSIZE, 0, 0, "file size", err);
    if (st == ST_OK)
        st = limit(RLIMIT_NOFILE, 3, 3, "open files", err);
    if (st == ST_OK)
        st = limit(RLIMIT_NPROC, 0, 0, "processes", err);
    if (st == ST_OK)
        st = limit(RLIMIT_CORE, 0, 0, "core", err);
    return st;
}

/* Nothing inherited but the pipes. Namespaces are a second wall: many systems do not permit them to
 * an ordinary user, and the filter alone suffices. */
static enum status
leave_the_rest(struct err *err)
{
    if (close_range(3, ~0U, 0) != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "close descriptors: %s", strerror(errno));
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "give up privileges: %s", strerror(errno));
    if (unshare(CLONE_NEWUSER) == 0)
        (void)!unshare(CLONE_NEWNET | CLONE_NEWIPC);
    return ST_OK;
}

static int
allow_calls(scmp_filter_ctx filter)
{
    static const int plain[] = {
        SCMP_SYS(brk),          SCMP_SYS(munmap),      SCMP_SYS(mremap),
        SCMP_SYS(madvise),      SCMP_SYS(exit),        SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(futex),       SCMP_SYS(clock_gettime),
        SCMP_SYS(getrandom),    SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack),
        SCMP_SYS(sysinfo), /* qsort asks how much memory there is */
    };
    int failed = 0;

    for (size_t i = 0; failed == 0 && i < sizeof(plain) / sizeof(plain[0]); i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain[i], 0);
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1,
                                  SCMP_A0(SCMP_CMP_EQ, STDIN_FILENO, 0));
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                                  SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO, 0));
    /* Memory, never memory that can be executed, never a file's. */
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                                  SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return failed;
}

static int
refuse_files(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(open),       SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(stat),
        SCMP_SYS(newfstatat), SCMP_SYS(statfs), SCMP_SYS(lstat),  SCMP_SYS(readlink),
        SCMP_SYS(faccessat2), SCMP_SYS(statx),
    };
    int failed = 0;

    for (size_t i = 0; failed == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), calls[i], 0);
    /* Complaints go nowhere. */
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EBADF), SCMP_SYS(write), 1,
                                  SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO, 0));
    return failed;
}

static enum status
lock(const struct sandbox_limits *limits, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int failed;

    if (filter == NULL)
        return err_set_detail(err, ST_UNAVAILABLE, "no memory for the filter");
    failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (failed == 0)
        failed = allow_calls(filter);
    if (failed == 0 && limits->files_fail)
        failed = refuse_files(filter);
    if (failed == 0)
        failed = seccomp_load(filter);
    /* The filter is not released: that would be work behind the lock for a process that ends soon.
     */
    if (failed != 0)
        return err_set_detail(err, ST_UNAVAILABLE, "load the filter: %s", strerror(-failed));
    return ST_OK;
}

enum status
sandbox_enter(const struct sandbox_limits *limits, struct err *err)
{
    enum status st = leave_the_rest(err);

    if (st == ST_OK)
        st = set_limits(limits, err);
    if (st == ST_OK)
        st = lock(limits, err);
    return st;
}
