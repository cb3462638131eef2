/*
 * queue_crash_test.c - a process that puts and serves is killed again and again
 *
 * The parent counts what the child's puts were told (one number for each ST_OK, through a pipe) and
 * kills it after a random number of them, or lets a timer or a failpoint do it. In the end every
 * put that was acknowledged has taken effect, none twice, in the order of its lane, and nothing is
 * stuck. PARLEY_CRASHES sets the number of kills.
 */
#include "queue/queue_test_support.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"

enum {
    CRASHES = 40,
    ORGANIZATIONS = 3,
    LANES = 4,
    WORKERS = 3,
    PUTS = 1000, /* of one life, at most */
    MAX_ACKED = 40,
    WAIT_MS = 60000
};

/* ---------------------------------------------------------------- the child */

struct effect {
    struct lease *lease;
    int64_t number;
};

static const struct store_sql SQL_NEXT_EFFECT = {
    .name = "test_next_effect",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, 'order', 'last', '', 1) ON CONFLICT (organization_id, channel_id, name)"
            " DO UPDATE SET updated_at = channel_state.updated_at + 1 RETURNING updated_at",
};

static enum status
effect_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct effect *effect = arg;
    struct store_rows *rows;
    int64_t order;
    enum status st = store_query_one(tx, &SQL_NEXT_EFFECT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    order = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = effect_insert(tx, STR("effects"), effect->number, order, err);
    return st == ST_OK ? queue_lease_done(tx, effect->lease, err) : st;
}

static enum status
handle(struct lease *lease, void *context, struct err *err)
{
    struct effect effect = {lease, payload_number(lease_job(lease)->payload)};

    (void)context;
    return store_run(lease->queue->config.store, lease_scope(lease), "test_effect",
                     random_below(2) == 0 ? STORE_DURABLE : STORE_RELAXED, effect_work, &effect,
                     err);
}

static int
lane_of(int64_t number)
{
    return (int)(number % LANES);
}

static unsigned
organization_of(int64_t number)
{
    return (unsigned)(number / LANES % ORGANIZATIONS);
}

static struct queue_workers *
start(struct bed *bed)
{
    struct queue_workers *workers;
    struct err err;

    assert_int_equal(
        queue_workers_start(bed->queue, "t", WORKERS, handle, NULL, NULL, &workers, &err), ST_OK);
    return workers;
}

/* How a life ends. */
enum end { BY_PARENT, AT_LEASED, BY_TIMER, AT_HANDLED, ENDS };

#ifdef PARLEY_WITH_FAILPOINTS
static void
crash_at(const char *spec)
{
    struct err err;

    if (failpoint_configure(spec, &err) != ST_OK)
        abort();
}
#else
static void
crash_at(const char *spec)
{
    (void)spec; /* the parent kills instead */
}
#endif

/* SIGALRM is not caught: it ends the process as abruptly as SIGKILL. */
static void
arm(enum end end)
{
    struct itimerval timer = {.it_value = {0, (suseconds_t)(1000 + random_below(60000))}};

    if (end == AT_LEASED)
        crash_at("queue.leased=crash%8");
    else if (end == AT_HANDLED)
        crash_at("queue.handled=crash%8");
    else if (end == BY_TIMER && setitimer(ITIMER_REAL, &timer, NULL) != 0)
        abort();
}

/* Never returns: somebody kills it. */
_Noreturn static void
live(const char *folder, int life, int acks_fd)
{
    struct bed bed;

    bed_reopen(&bed, folder, clock_system(), NULL);
    arm((enum end)(life % ENDS));
    (void)start(&bed);
    for (int64_t i = 0; i < PUTS; i++) {
        int64_t number = (int64_t)life * PUTS + i;
        char payload[32];
        char lane[16];
        struct job_spec spec = {.topic = "t", .max_attempts = 1000};

        (void)snprintf(payload, sizeof(payload), "{\"n\":%lld}", (long long)number);
        (void)snprintf(lane, sizeof(lane), "lane-%d", lane_of(number));
        spec.payload = str_from_c(payload);
        spec.lane = str_from_c(lane);
        if (bed_put(&bed, organization_of(number), &spec, NULL) != ST_OK ||
            write(acks_fd, &number, sizeof(number)) != sizeof(number))
            abort();
    }
    for (;;)
        (void)pause();
}

/* ---------------------------------------------------------------- the parent */

struct tally {
    bool *acked; /* by number */
    bool *seen;
    size_t numbers;
    int64_t *orders;
};

static void
one_life(const char *folder, int life, struct tally *tally)
{
    /* Who waits for the timer reads until the child is gone. */
    unsigned wanted = life % ENDS == BY_TIMER ? UINT_MAX : 1 + random_below(MAX_ACKED);
    int64_t number;
    int status;
    int fds[2];
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        live(folder, life, fds[1]);
    }
    (void)close(fds[1]);
    while (wanted > 0 && read(fds[0], &number, sizeof(number)) == sizeof(number)) {
        tally->acked[number] = true;
        wanted--;
    }
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), life % ENDS == BY_TIMER ? SIGALRM : SIGKILL);
    while (read(fds[0], &number, sizeof(number)) == sizeof(number))
        tally->acked[number] = true;
    (void)close(fds[0]);
}

static void
note_effect(int64_t number, int64_t order, void *context)
{
    struct tally *tally = context;

    assert_true(number >= 0 && (size_t)number < tally->numbers);
    assert_false(tally->seen[number]);
    tally->seen[number] = true;
    tally->orders[number] = order;
}

static void
check_order(const struct tally *tally)
{
    int64_t last[ORGANIZATIONS][LANES] = {{0}};

    for (size_t n = 0; n < tally->numbers; n++) {
        int64_t *before = &last[organization_of((int64_t)n)][lane_of((int64_t)n)];

        if (!tally->seen[n])
            continue;
        assert_true(tally->orders[n] > *before);
        *before = tally->orders[n];
    }
}

static void
test_kills(void **state)
{
    const char *wanted = getenv("PARLEY_CRASHES");
    int64_t crashes = CRASHES;
    struct tally tally = {0};
    struct bed bed;
    char folder[64];
    struct queue_workers *workers;
    size_t acked = 0;
    size_t done = 0;
    struct err err;

    (void)state;
    if (wanted != NULL)
        assert_true(str_to_i64(str_from_c(wanted), &crashes) && crashes > 0);
    tally.numbers = (size_t)crashes * PUTS;
    tally.acked = calloc(tally.numbers, sizeof(bool));
    tally.seen = calloc(tally.numbers, sizeof(bool));
    tally.orders = calloc(tally.numbers, sizeof(int64_t));
    assert_true(tally.acked != NULL && tally.seen != NULL && tally.orders != NULL);
    bed_open(&bed, ORGANIZATIONS, clock_system(), NULL);
    memcpy(folder, bed.folder, sizeof(folder));
    bed_close(&bed, false);
    for (int life = 0; life < crashes; life++)
        one_life(folder, life, &tally);

    bed_reopen(&bed, folder, clock_system(), NULL);
    assert_int_equal(bed.organization_count, ORGANIZATIONS);
    workers = start(&bed);
    if (queue_wait_idle(bed.queue, WAIT_MS, &err) != ST_OK)
        fail_msg("%s", err.detail);
    queue_workers_stop(&workers, WAIT_MS);
    for (unsigned i = 0; i < ORGANIZATIONS; i++) {
        struct queue_counts left = bed_count(&bed, i, NULL);

        assert_int_equal(left.ready + left.delayed + left.waiting + left.leased + left.dead, 0);
        (void)effects_read(&bed, i, STR("effects"), note_effect, &tally);
    }
    for (size_t n = 0; n < tally.numbers; n++) {
        acked += tally.acked[n];
        done += tally.seen[n];
        if (tally.acked[n] && !tally.seen[n])
            fail_msg("job %zu was acknowledged and is lost", n);
    }
    check_order(&tally);
    print_message("           %lld kills, %zu puts acknowledged, %zu effects\n", (long long)crashes,
                  acked, done);
    assert_true(acked > 0);
    bed_close(&bed, true);
    free(tally.orders);
    free(tally.seen);
    free(tally.acked);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
