/*
 * failpoint.c - the table of failpoints, and what PARLEY_FAILPOINTS makes of them
 */
#include "base/failpoint.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/id.h"
#include "base/str.h"

/* Every FAILPOINT in the code has a line here; tools/lint.py compares. */
static const char *const names[] = {
    "gateway.received",
    "gateway.in_transaction",
    "gateway.committed",
    "queue.leased",
    "queue.handled",
    "answer.planned",
    "answer.modelled",
    "grow.intent_committed",
    "grow.begun",
    "grow.known",
    "grow.grown",
    "answer.in_transaction",
    "answer.committed",
    "send.loaded",
    "send.intent_committed",
    "send.called",
    "send.asked",
    "send.outcome_committed",
    "send.window_closed",
    "ingest.extracted",
    "ingest.committed",
    "ingest.draft_published",
    "ingest.original_put",
    "ingest.originals_removed",
    "blob.begun",
    "blob.written",
    "blob.named",
    "blob.joined",
    "blob.completed",
    "blob.organization_gone",
    "blob.disk_full",
    "event.called",
    "upkeep.organization",
    "store.commit",
    "store.disk_full",
    "store.sync",
    "move.batch",
    "move.copied",
    "move.verified",
    "move.ended",
    NULL,
};

const char *const *
failpoint_names(void)
{
    return names;
}

#ifdef PARLEY_WITH_FAILPOINTS

#define NAME_COUNT (sizeof(names) / sizeof(names[0]) - 1)

enum action {
    ACTION_NONE,
    ACTION_CRASH_AT,
    ACTION_CRASH_CHANCE,
    ACTION_STOP_AT,
    ACTION_ERROR_FROM
};

struct point {
    _Atomic int action;
    _Atomic uint32_t number; /* the pass, or one chance in so many */
    _Atomic uint32_t passes;
};

/* Process-wide: beside names, filled from the environment at the first pass. */
static struct point points[NAME_COUNT];
/* Process-wide: of "clock=", mapped once and for good. */
static _Atomic(const _Atomic int64_t *) clock_off_by;
/* Process-wide: that first pass. */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct point *
find_point(struct str name)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (str_eq_c(name, names[i]))
            return &points[i];
    }
    return NULL;
}

static enum status
map_clock(struct str path, struct err *err)
{
    char name[256];
    void *mapped = MAP_FAILED;
    int fd = -1;

    if (path.len < sizeof(name)) {
        memcpy(name, path.ptr, path.len);
        name[path.len] = '\0';
        fd = open(name, O_RDONLY | O_CLOEXEC);
    }
    if (fd >= 0) {
        mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        (void)close(fd);
    }
    if (mapped == MAP_FAILED)
        return err_set(err, ST_INVALID, "failpoint \"clock\": a file of 8 bytes");
    atomic_store(&clock_off_by, (const _Atomic int64_t *)mapped);
    return ST_OK;
}

static enum status
configure_one(struct str item, struct err *err)
{
    struct str action = item;
    struct str name;
    struct point *point;
    int64_t number = 1;
    enum action kind;

    if (str_starts_with(item, STR("clock=")))
        return map_clock(str_sub(item, 6, item.len), err);
    if (!str_split(&action, '=', &name) || (point = find_point(name)) == NULL)
        return err_set(err, ST_INVALID, "no failpoint \"%.*s\"", STR_ARG(item));
    if (str_eq(action, STR("crash"))) {
        kind = ACTION_CRASH_AT;
        action = STR("1");
    } else if (str_starts_with(action, STR("crash:"))) {
        kind = ACTION_CRASH_AT;
        action = str_sub(action, 6, action.len);
    } else if (str_starts_with(action, STR("crash%"))) {
        kind = ACTION_CRASH_CHANCE;
        action = str_sub(action, 6, action.len);
    } else if (str_starts_with(action, STR("stop:"))) {
        kind = ACTION_STOP_AT;
        action = str_sub(action, 5, action.len);
    } else if (str_starts_with(action, STR("error:"))) {
        kind = ACTION_ERROR_FROM;
        action = str_sub(action, 6, action.len);
    } else {
        return err_set(err, ST_INVALID,
                       "failpoint \"%.*s\": crash, crash:N, crash%%N, stop:N or error:N",
                       STR_ARG(item));
    }
    if (!str_to_i64(action, &number) || number < 1 || number > UINT32_MAX)
        return err_set(err, ST_INVALID, "failpoint \"%.*s\": a number from 1", STR_ARG(item));
    atomic_store(&point->number, (uint32_t)number);
    atomic_store(&point->passes, 0);
    atomic_store(&point->action, kind);
    return ST_OK;
}

static enum status
configure(const char *spec, struct err *err)
{
    struct str rest = str_from_c(spec);
    struct str item;
    enum status st = ST_OK;

    for (size_t i = 0; i < NAME_COUNT; i++)
        atomic_store(&points[i].action, ACTION_NONE);
    while (st == ST_OK && str_split(&rest, ',', &item)) {
        item = str_trim(item);
        if (item.len > 0)
            st = configure_one(item, err);
    }
    return st;
}

static void
configure_from_environment(void)
{
    struct err err;

    if (configure(getenv("PARLEY_FAILPOINTS"), &err) != ST_OK) {
        (void)fprintf(stderr, "PARLEY_FAILPOINTS: %s\n", err.detail);
        abort();
    }
}

enum status
failpoint_configure(const char *spec, struct err *err)
{
    pthread_once(&once, configure_from_environment);
    return configure(spec, err);
}

_Noreturn static void
crash(void)
{
    /* SIGKILL, because nothing may be flushed, unlinked or rolled back on the way out. */
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static enum action
pass(const char *name, uint32_t *pass_out, uint32_t *number_out)
{
    struct point *point;
    enum action action;

    pthread_once(&once, configure_from_environment);
    point = find_point(str_from_c(name));
    if (point == NULL) {
        (void)fprintf(stderr, "failpoint \"%s\" is not in the table of failpoint.c\n", name);
        abort();
    }
    action = (enum action)atomic_load(&point->action);
    *number_out = atomic_load(&point->number);
    *pass_out = action == ACTION_NONE ? 0 : atomic_fetch_add(&point->passes, 1) + 1;
    if (action == ACTION_CRASH_AT && *pass_out == *number_out)
        crash();
    if (action == ACTION_STOP_AT && *pass_out == *number_out)
        (void)raise(SIGSTOP); /* sent to the process, this thread could run on for a while */
    if (action == ACTION_CRASH_CHANCE && random_below(*number_out) == 0)
        crash();
    return action;
}

int64_t
failpoint_clock_us(void)
{
    const _Atomic int64_t *off_by;

    pthread_once(&once, configure_from_environment);
    off_by = atomic_load(&clock_off_by);
    return off_by == NULL ? 0 : atomic_load(off_by);
}

void
failpoint_pass(const char *name)
{
    uint32_t at;
    uint32_t number;

    (void)pass(name, &at, &number);
}

enum status
failpoint_error(const char *name, struct err *err)
{
    uint32_t at;
    uint32_t number;

    if (pass(name, &at, &number) == ACTION_ERROR_FROM && at >= number)
        return err_set_detail(err, ST_UNAVAILABLE, "failpoint %s", name);
    return ST_OK;
}

#endif
