/*
 * queue_pgsql_test.c - two processes on one PostgreSQL, which tells them of work: no job twice, no
 * lane served by two, none out of order, nothing left to a sweep
 */
#include "queue/queue_test_support.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/transports/transport_driver.h"
#include "store/pgsql_test_support.h"

enum { PROCESSES = 2, THREADS = 4, LANES = 12, EACH = 12, FREE = 60 };

#define WAIT_US (60 * US_PER_S)

/* No sweep comes in time: what is served was told of. */
static struct queue_config
config_of(const struct pgsql_database *database)
{
    return (struct queue_config){.transport = &queue_transport_pgsql,
                                 .transport_addresses = str_from_c(database->url),
                                 .sweep_us = 3600 * US_PER_S};
}

static const struct store_sql SQL_LEAVE = {
    .name = "test_leave",
    .text = "DELETE FROM channel_state WHERE organization_id = $1 AND channel_id = 'busy'"
            " AND name = $2"};
static const struct store_sql SQL_ENTER = {
    .name = "test_enter",
    .text = "INSERT INTO channel_state (organization_id, channel_id, name, value, updated_at)"
            " VALUES ($1, 'busy', $2, '', 0)"};

struct server {
    struct bed bed;
    int number; /* of the process */
};

struct run {
    struct server *server;
    struct lease *lease;
};

static enum status
enter_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;

    return store_exec(tx, &SQL_ENTER, ARGS(sv_text(lease_job(run->lease)->lane)), NULL, err);
}

static enum status
done_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct run *run = arg;
    const struct job *job = lease_job(run->lease);
    enum status st = queue_lease_done(tx, run->lease, err);

    if (st == ST_OK && job->lane.len > 0)
        st = store_exec(tx, &SQL_LEAVE, ARGS(sv_text(job->lane)), NULL, err);
    if (st == ST_OK)
        st = effect_insert(tx, job->lane.len > 0 ? job->lane : STR("free"),
                           payload_number(job->payload), run->server->number, err);
    return st;
}

/* ST_CONFLICT kills the job, and the test with it: two serve the lane, or a job came twice. */
static enum status
handle(struct lease *lease, void *context, struct err *err)
{
    struct server *server = context;
    struct run run = {.server = server, .lease = lease};
    struct str lane = lease_job(lease)->lane;
    enum status st = ST_OK;

    if (lane.len > 0)
        st = store_run(server->bed.store, lease_scope(lease), "test_enter", STORE_DURABLE,
                       enter_work, &run, err);
    /* In order: all before it are there. */
    if (st == ST_OK && lane.len > 0 &&
        effects_read(&server->bed, 0, lane, NULL, NULL) !=
            (size_t)payload_number(lease_job(lease)->payload))
        return err_set(err, ST_INVALID, "out of order");
    return st == ST_OK ? store_run(server->bed.store, lease_scope(lease), "test_done",
                                   STORE_DURABLE, done_work, &run, err)
                       : st;
}

/* In a child, until it is killed. */
static void
be_server(const struct pgsql_database *database, const char *folder, int number, int ready_fd)
{
    struct queue_config config = config_of(database);
    struct server server = {.number = number};
    struct queue_workers *workers;
    struct err err;

    bed_reopen_on(&server.bed, database->url, folder, clock_system(), &config);
    if (queue_workers_start(server.bed.queue, "topic", THREADS, handle, NULL, &server, &workers,
                            &err) != ST_OK ||
        write(ready_fd, "x", 1) != 1)
        abort();
    for (;;)
        (void)pause();
}

static void
put(struct bed *bed, const char *lane, int number)
{
    char payload[32];
    struct job_spec spec = {.topic = "topic", .lane = str_from_c(lane)};

    (void)snprintf(payload, sizeof(payload), "{\"n\":%d}", number);
    spec.payload = str_from_c(payload);
    assert_int_equal(bed_put(bed, 0, &spec, NULL), ST_OK);
}

static void
count_process(int64_t number, int64_t value, void *context)
{
    unsigned *by_process = context;

    (void)number;
    assert_in_range(value, 0, PROCESSES - 1);
    by_process[value]++;
}

static void
test_two_processes(void **state)
{
    struct pgsql_server server;
    struct pgsql_database database;
    struct queue_config config;
    struct queue_counts counts;
    struct bed bed;
    char folder[sizeof(bed.folder)];
    pid_t children[PROCESSES];
    unsigned by_process[PROCESSES] = {0};
    int64_t end_us;
    int ready[2];
    char lane[24], byte;

    (void)state;
    if (!pgsql_server_start(&server))
        skip();
    pgsql_database_make(&server, &database);
    config = config_of(&database);
    bed_open_on(&bed, database.url, 1, clock_system(), &config);
    bed_close(&bed, false); /* a process with threads does not fork */
    assert_int_equal(pipe(ready), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            be_server(&database, bed.folder, i, ready[1]);
    }
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    memcpy(folder, bed.folder, sizeof(folder));
    bed_reopen_on(&bed, database.url, folder, clock_system(), &config);
    for (int i = 0; i < EACH; i++) {
        for (int l = 0; l < LANES; l++) {
            (void)snprintf(lane, sizeof(lane), "lane-%d", l);
            put(&bed, lane, i);
        }
    }
    for (int i = 0; i < FREE; i++)
        put(&bed, "", i);
    end_us = clock_mono_us(clock_system()) + WAIT_US;
    do {
        counts = bed_count(&bed, 0, "topic");
        assert_true(clock_mono_us(clock_system()) < end_us);
    } while (counts.ready + counts.delayed + counts.waiting + counts.leased > 0);
    assert_int_equal(counts.dead, 0);
    for (int l = 0; l < LANES; l++) {
        (void)snprintf(lane, sizeof(lane), "lane-%d", l);
        assert_int_equal(effects_read(&bed, 0, str_from_c(lane), count_process, by_process), EACH);
    }
    assert_int_equal(effects_read(&bed, 0, STR("free"), count_process, by_process), FREE);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(by_process[i] > 0);
        assert_int_equal(kill(children[i], SIGKILL), 0);
        assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
    }
    bed_close(&bed, true);
    (void)close(ready[0]);
    (void)close(ready[1]);
    pgsql_server_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_processes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
