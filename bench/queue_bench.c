/*
 * queue_bench.c - jobs a second through put, take and done, and the time from commit to handler
 *
 * Beside each stands what the machine gives at most for the same steps: a bare hand-over through a
 * condition variable, and as many commits of one-row changes through the store without a queue.
 * Prints JSON lines {name, value, unit, yardstick, yardstick_value, ratio, note}.
 */
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "queue/queue.h"
#include "queue_bench_sql.h"

enum { LATENCY_ROUNDS = 2000, JOBS = 20000, PUTTERS = 4, WORKERS = 4, ORGANIZATIONS = 4 };

struct bench {
    char folder[64];
    struct store *store;
    struct tenants *tenants;
    struct queue *queue;
    struct arena *arena;
    const struct tenant_scope *scopes[ORGANIZATIONS];

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    int64_t begun_us; /* of the handler that ran last */
    int64_t done;
};

static void
must(enum status st, const struct err *err, const char *what)
{
    if (st == ST_OK)
        return;
    (void)fprintf(stderr, "%s: %s: %s\n", what, status_name(st), err->detail);
    exit(1);
}

static int64_t
now_us(void)
{
    return clock_mono_us(clock_system());
}

static int
compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* ---------------------------------------------------------------- set-up */

static void
bench_open(struct bench *bench)
{
    struct store_config store = {.data_folder = bench->folder};
    struct tenants_config tenants = {.clock = clock_system()};
    struct queue_config queue = {.clock = clock_system()};
    char key_file[96];
    struct err err;

    if (mkdtemp(bench->folder) == NULL)
        exit(1);
    (void)snprintf(key_file, sizeof(key_file), "%s/keys", bench->folder);
    pthread_mutex_init(&bench->lock, NULL);
    cond_init(&bench->changed);
    bench->arena = arena_create((size_t)1024 * 1024);
    must(store_open(&store, &bench->store, &err), &err, "store");
    tenants.store = bench->store;
    tenants.key_file = key_file;
    must(tenants_open(&tenants, &bench->tenants, &err), &err, "tenants");
    queue.store = bench->store;
    queue.tenants = bench->tenants;
    must(queue_open(&queue, &bench->queue, &err), &err, "queue");
    for (int i = 0; i < ORGANIZATIONS; i++) {
        struct organization organization;
        char slug[24];
        struct organization_spec spec = {.name = STR("Bench"),
                                         .owner_email = STR("owner@example.org"),
                                         .owner_name = STR("Owner")};

        (void)snprintf(slug, sizeof(slug), "bench-%d", i);
        spec.slug = str_from_c(slug);
        must(organization_create(bench->tenants, &spec, bench->arena, &organization, &err), &err,
             "organization");
        must(tenant_admit_operator(bench->tenants, ID_STR(organization.id), bench->arena,
                                   &bench->scopes[i], &err),
             &err, "admit");
        queue_add_organization(bench->queue, organization.id);
    }
}

static int
remove_entry(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void
bench_close(struct bench *bench)
{
    queue_close(&bench->queue);
    tenants_close(&bench->tenants);
    store_close(&bench->store);
    arena_destroy(&bench->arena);
    (void)nftw(bench->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---------------------------------------------------------------- through the queue */

static enum status
done_work(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, arg, err);
}

static enum status
handle(struct lease *lease, void *context, struct err *err)
{
    struct bench *bench = context;
    int64_t begun_us = now_us();
    enum status st = store_run(bench->store, lease_scope(lease), "bench_done", STORE_DURABLE,
                               done_work, lease, err);

    pthread_mutex_lock(&bench->lock);
    bench->begun_us = begun_us;
    bench->done++;
    pthread_cond_signal(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
    return st;
}

struct put {
    struct queue *queue;
    struct job_spec spec;
};

static enum status
put_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct put *put = arg;
    struct job_id id;

    return queue_put(put->queue, tx, &put->spec, &id, err);
}

static void
put(struct bench *bench, int number)
{
    struct put arg = {bench->queue, {.topic = "bench", .payload = STR("{\"n\":1}")}};
    char lane[24];
    struct err err;

    (void)snprintf(lane, sizeof(lane), "lane-%d", number);
    arg.spec.lane = str_from_c(lane);
    must(store_run(bench->store, bench->scopes[number % ORGANIZATIONS], "bench_put", STORE_DURABLE,
                   put_work, &arg, &err),
         &err, "put");
}

static void
wait_done(struct bench *bench, int64_t count)
{
    pthread_mutex_lock(&bench->lock);
    while (bench->done < count)
        pthread_cond_wait(&bench->changed, &bench->lock);
    pthread_mutex_unlock(&bench->lock);
}

/* From the return of the put's commit to the handler's first instruction, idle before. */
static void
measure_wakeup(struct bench *bench, int64_t *latencies)
{
    for (int i = 0; i < LATENCY_ROUNDS; i++) {
        int64_t committed_us;

        put(bench, 0);
        committed_us = now_us();
        wait_done(bench, i + 1);
        latencies[i] = bench->begun_us - committed_us;
    }
    qsort(latencies, LATENCY_ROUNDS, sizeof(*latencies), compare);
}

struct putter {
    struct bench *bench;
    int first;
};

static void *
put_share(void *arg)
{
    struct putter *putter = arg;

    for (int i = putter->first; i < JOBS; i += PUTTERS)
        put(putter->bench, i);
    return NULL;
}

static double
run_threads(struct bench *bench, unsigned count, void *(*run)(void *))
{
    struct putter putters[PUTTERS + WORKERS];
    pthread_t threads[PUTTERS + WORKERS];
    int64_t begun_us = now_us();
    struct err err;

    for (unsigned i = 0; i < count; i++) {
        putters[i] = (struct putter){bench, (int)i};
        must(thread_start("bench", run, &putters[i], &threads[i], &err), &err, "thread");
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return (double)(now_us() - begun_us) / 1e6;
}

/* ---------------------------------------------------------------- yardsticks */

/* One thread hands a number to another, which answers. */
static void *
answer(void *arg)
{
    struct bench *bench = arg;

    pthread_mutex_lock(&bench->lock);
    for (int64_t i = 1; i <= LATENCY_ROUNDS; i++) {
        while (bench->done != -i)
            pthread_cond_wait(&bench->changed, &bench->lock);
        bench->begun_us = now_us();
        bench->done = i;
        pthread_cond_broadcast(&bench->changed);
    }
    pthread_mutex_unlock(&bench->lock);
    return NULL;
}

static void
measure_hand_over(int64_t *latencies)
{
    struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    struct err err;

    cond_init(&bench.changed);
    must(thread_start("answer", answer, &bench, &thread, &err), &err, "thread");
    for (int64_t i = 1; i <= LATENCY_ROUNDS; i++) {
        int64_t given_us;
        struct timespec pause = {0, 200000}; /* so that the other really sleeps */

        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&bench.lock);
        given_us = now_us();
        bench.done = -i;
        pthread_cond_broadcast(&bench.changed);
        while (bench.done != i)
            pthread_cond_wait(&bench.changed, &bench.lock);
        latencies[i - 1] = bench.begun_us - given_us;
        pthread_mutex_unlock(&bench.lock);
    }
    pthread_join(thread, NULL);
    qsort(latencies, LATENCY_ROUNDS, sizeof(*latencies), compare);
}

static enum status
row_work(struct store_tx *tx, void *arg, struct err *err)
{
    const char *name = arg;

    return store_exec(tx, &SQL_ROW, ARGS(sv_text(str_from_c(name))), NULL, err);
}

/* A job's three commits (put, take, done), as one row each, two of them durable. */
static void *
commit_share(void *arg)
{
    struct putter *putter = arg;
    struct bench *bench = putter->bench;
    struct err err;

    for (int i = putter->first; i < JOBS; i += PUTTERS + WORKERS) {
        for (int step = 0; step < 3; step++) {
            char name[32];

            (void)snprintf(name, sizeof(name), "%d-%d", i, step);
            must(store_run(bench->store, bench->scopes[i % ORGANIZATIONS], "bench_row",
                           step == 1 ? STORE_RELAXED : STORE_DURABLE, row_work, name, &err),
                 &err, "row");
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- */

static void
print(const char *name, double value, const char *unit, const char *yardstick,
      double yardstick_value, const char *note)
{
    (void)printf("{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"yardstick\":\"%s\","
                 "\"yardstick_value\":%.1f,\"ratio\":%.3f,\"note\":\"%s\"}\n",
                 name, value, unit, yardstick, yardstick_value, value / yardstick_value, note);
}

int
main(void)
{
    static int64_t wakeups[LATENCY_ROUNDS];
    static int64_t hand_overs[LATENCY_ROUNDS];
    const size_t middle = LATENCY_ROUNDS / 2, late = LATENCY_ROUNDS * 99 / 100;
    struct bench bench = {.folder = "/tmp/parley-bench-XXXXXX"};
    struct queue_workers *workers;
    double commits_s;
    double seconds;
    int64_t begun_us;
    struct err err;

    log_init(2, LOG_WARN);
    measure_hand_over(hand_overs);
    bench_open(&bench);
    must(queue_workers_start(bench.queue, "bench", WORKERS, handle, NULL, &bench, &workers, &err),
         &err, "workers");
    measure_wakeup(&bench, wakeups);
    print("queue_wakeup_p50", (double)wakeups[middle], "us", "condition variable hand-over p50",
          (double)hand_overs[middle], "put committed to handler running, idle, one claim included");
    print("queue_wakeup_p99", (double)wakeups[late], "us", "condition variable hand-over p99",
          (double)hand_overs[late], "put committed to handler running, idle, one claim included");
    bench.done = 0;
    begun_us = now_us();
    (void)run_threads(&bench, PUTTERS, put_share);
    wait_done(&bench, JOBS);
    seconds = (double)(now_us() - begun_us) / 1e6;
    queue_workers_stop(&workers, 10000);
    commits_s = run_threads(&bench, PUTTERS + WORKERS, commit_share);
    print("queue_jobs_per_second", JOBS / seconds, "jobs/s", "three one-row commits a job",
          JOBS / commits_s, "4 putters, 4 workers, 4 organizations; put and done durable");
    bench_close(&bench);
    return 0;
}
