/*
 * transport_conformance.c - the cases; a station is what a process has of a transport
 */
#include "queue/transports/transport_conformance.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/thread.h"

#define WAIT_US (30 * US_PER_S)
#define FAR_US (3600 * US_PER_S)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows transport */
static pthread_cond_t changed;

struct station {
    const struct transport_place *place;
    struct queue_transport *transport;
    bool serves;
    unsigned room;
    bool asked;  /* by the transport, since serves and room were set */
    bool stuck;  /* on_wakeup does not return */
    int note_fd; /* of a child: told when on_wakeup is called */
    unsigned gaps;
    size_t received; /* duplicates too */
    bool wrong;
    struct map jobs; /* job id -> this station */
};

static void
on_wakeup(const struct queue_wakeup *wakeup, void *context)
{
    struct station *station = context;
    void *replaced;
    struct err err;

    pthread_mutex_lock(&lock);
    if (station->note_fd >= 0 && write(station->note_fd, "x", 1) != 1)
        abort();
    while (station->stuck)
        pthread_cond_wait(&changed, &lock);
    station->received++;
    /* What the conformance publishes says itself how it must look. */
    station->wrong = station->wrong || !str_eq_c(wakeup->topic, "topic") ||
                     !str_eq(wakeup->lane, ID_STR(wakeup->job_id)) ||
                     !id_eq(&wakeup->organization_id.id, &wakeup->user_id.id);
    if (map_put(&station->jobs, ID_STR(wakeup->job_id), station, &replaced, &err) != ST_OK)
        station->wrong = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void
on_gap(void *context)
{
    struct station *station = context;

    pthread_mutex_lock(&lock);
    station->gaps++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static size_t
served(struct queue_served_topic topics[TURNS_MAX_TOPICS], void *context)
{
    struct station *station = context;
    size_t count = 0;

    pthread_mutex_lock(&lock);
    if (station->serves)
        topics[count++] = (struct queue_served_topic){"topic", station->room};
    station->asked = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return count;
}

static void
station_init(struct station *station, bool serves, unsigned room)
{
    *station = (struct station){.serves = serves, .room = room, .note_fd = -1};
    map_init(&station->jobs, 100000);
}

static void
station_open(struct station *station, const struct transport_place *place)
{
    const struct queue_transport_driver *driver = place->driver;
    struct err err;

    station->place = place;
    station->transport = calloc(1, driver->size);
    assert_non_null(station->transport);
    *station->transport = (struct queue_transport){.driver = driver,
                                                   .addresses = str_from_c(place->addresses),
                                                   .clock = clock_system(),
                                                   .on_wakeup = on_wakeup,
                                                   .on_gap = on_gap,
                                                   .served = served,
                                                   .context = station,
                                                   .claim_idle_ms = 300,
                                                   .claim_every_ms = 100};
    if (driver->open(station->transport, &err) != ST_OK)
        fail_msg("open: %s", err.detail);
}

static void
station_close(struct station *station)
{
    station->transport->driver->close(station->transport);
    free(station->transport);
    assert_false(station->wrong);
    map_deinit(&station->jobs);
}

static struct job_id
publish(struct station *station, int64_t due_us)
{
    struct queue_wakeup wakeup = {.organization_id = ID_NEW(organization_id),
                                  .topic = STR("topic"),
                                  .job_id = ID_NEW(job_id),
                                  .due_us = due_us};

    wakeup.user_id.id = wakeup.organization_id.id;
    wakeup.lane = ID_STR(wakeup.job_id);
    station->transport->driver->publish(station->transport, &wakeup);
    return wakeup.job_id;
}

static bool
has(struct station *station, const struct job_id *id)
{
    bool found;

    pthread_mutex_lock(&lock);
    found = map_find(&station->jobs, id_str(&id->id)) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

/* Either may have it; b may be a. False: not within the time. */
static bool
wait_either(struct station *a, struct station *b, const struct job_id *id, int64_t wait_us)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + wait_us;
    bool in_time = true;
    bool found;

    pthread_mutex_lock(&lock);
    while (!(found = map_find(&a->jobs, id_str(&id->id)) != NULL ||
                     map_find(&b->jobs, id_str(&id->id)) != NULL) &&
           in_time)
        in_time = cond_wait_until(&changed, &lock, deadline_us);
    pthread_mutex_unlock(&lock);
    return found;
}

static void
wait_has(struct station *station, const struct job_id *id)
{
    assert_true(wait_either(station, station, id, WAIT_US));
}

/* Of a flush only one may know: who makes the group anew; the others find it. */
static void
wait_gaps(struct station *a, struct station *b, unsigned more_than)
{
    int64_t deadline_us = clock_mono_us(clock_system()) + WAIT_US;
    bool in_time = true;

    pthread_mutex_lock(&lock);
    while (a->gaps + (a == b ? 0 : b->gaps) <= more_than && in_time)
        in_time = cond_wait_until(&changed, &lock, deadline_us);
    pthread_mutex_unlock(&lock);
    assert_true(in_time);
}

static unsigned
gaps_of(struct station *station)
{
    unsigned gaps;

    pthread_mutex_lock(&lock);
    gaps = station->gaps;
    pthread_mutex_unlock(&lock);
    return gaps;
}

/* Until the transport has looked twice at what the station serves: then it knows. */
static void
wait_asked(struct station *station)
{
    pthread_mutex_lock(&lock);
    station->asked = false;
    while (!station->asked)
        pthread_cond_wait(&changed, &lock);
    station->asked = false;
    while (!station->asked)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Waits until all connections that a station reads from stand. */
static void
settle(struct station *station)
{
    struct job_id later;

    if (station->place->shared) {
        wait_gaps(station, station, station->place->readers - 1);
        if (!station->place->tells_all)
            wait_asked(station);
    }
    later = publish(station, clock_wall_us(clock_system()) + FAR_US);
    wait_has(station, &later);
}

/* ---------------------------------------------------------------- one process */

enum { PUBLISHERS = 4, EACH = 500 };

struct publisher {
    struct station *station;
    struct job_id ids[EACH];
};

static void *
publish_many(void *arg)
{
    struct publisher *publisher = arg;

    for (int i = 0; i < EACH; i++)
        publisher->ids[i] =
            publish(publisher->station, i % 2 == 0 ? 0 : clock_wall_us(clock_system()) + FAR_US);
    return NULL;
}

static void
case_delivers(const struct transport_place *place)
{
    static struct publisher publishers[PUBLISHERS];
    pthread_t threads[PUBLISHERS];
    struct station station;
    struct err err;

    station_init(&station, true, 8);
    station_open(&station, place);
    settle(&station);
    for (int i = 0; i < PUBLISHERS; i++) {
        publishers[i].station = &station;
        assert_int_equal(thread_start("publisher", publish_many, &publishers[i], &threads[i], &err),
                         ST_OK);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PUBLISHERS; i++) {
        for (int j = 0; j < EACH; j++)
            wait_has(&station, &publishers[i].ids[j]);
    }
    station_close(&station);
}

/* What the queue would never publish breaks nothing. */
static void
case_refuses_nonsense(const struct transport_place *place)
{
    static char lane[100000];
    struct station station;
    struct queue_wakeup wakeup = {.organization_id = ID_NEW(organization_id),
                                  .topic = STR("a topic whose name is far too long for anybody"),
                                  .job_id = ID_NEW(job_id)};

    if (!place->shared)
        return; /* there it is a call */
    station_init(&station, true, 8);
    station_open(&station, place);
    settle(&station);
    station.transport->driver->publish(station.transport, &wakeup);
    wakeup.topic = STR("topic");
    wakeup.lane = str_of(lane, sizeof(lane));
    station.transport->driver->publish(station.transport, &wakeup);
    settle(&station);
    station_close(&station);
}

static void
case_closes_at_any_time(const struct transport_place *place)
{
    for (int i = 0; i < 10; i++) {
        struct station station;

        station_init(&station, true, 8);
        station_open(&station, place);
        for (int j = 0; j < i * 10; j++)
            (void)publish(&station, 0);
        if (i % 2 == 0)
            settle(&station);
        station_close(&station);
    }
}

/* ---------------------------------------------------------------- several */

static void
case_shares_and_tells_all(const struct transport_place *place)
{
    enum { COUNT = 400 };
    struct job_id now[COUNT], later[COUNT];
    struct station a, b;

    station_init(&a, true, 4);
    station_init(&b, true, 4);
    station_open(&a, place);
    station_open(&b, place);
    settle(&a);
    settle(&b);
    for (int i = 0; i < COUNT; i++) {
        now[i] = publish(i % 2 == 0 ? &a : &b, 0);
        later[i] = publish(&a, clock_wall_us(clock_system()) + FAR_US);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_has(&a, &later[i]);
        wait_has(&b, &later[i]);
    }
    for (int i = 0; i < COUNT; i++)
        assert_true(wait_either(&a, &b, &now[i], WAIT_US));
    station_close(&a);
    station_close(&b);
}

/* A busy process leaves what is due now to others; one that does not serve the topic hears nothing
 * at all. */
static void
case_leaves_to_the_idle(const struct transport_place *place)
{
    struct station busy, elsewhere, idle;
    struct job_id ids[50];

    station_init(&busy, true, 0);
    station_init(&elsewhere, false, 0);
    station_init(&idle, true, 4);
    station_open(&busy, place);
    station_open(&elsewhere, place);
    station_open(&idle, place);
    settle(&idle);
    if (place->tells_all)
        settle(&busy); /* it notes what it cannot serve yet */
    else
        wait_asked(&busy);
    for (size_t i = 0; i < 50; i++)
        ids[i] = publish(&elsewhere, 0);
    for (size_t i = 0; i < 50; i++)
        wait_has(&idle, &ids[i]);
    /* The idle one becomes busy, and the other way round. */
    pthread_mutex_lock(&lock);
    idle.room = 0;
    pthread_mutex_unlock(&lock);
    pthread_mutex_lock(&lock);
    busy.room = 4;
    pthread_mutex_unlock(&lock);
    if (!place->tells_all)
        wait_asked(&idle);
    for (size_t i = 0; i < 50; i++)
        ids[i] = publish(&elsewhere, 0);
    for (size_t i = 0; i < 50; i++)
        wait_has(&busy, &ids[i]);
    station_close(&busy);
    station_close(&elsewhere);
    station_close(&idle);
    assert_int_equal(elsewhere.received, 0);
}

/* In a child: takes one entry and never says that it has it. */
static void
be_killed(const struct transport_place *place, int note_fd)
{
    struct station station;

    station_init(&station, true, 8);
    station.note_fd = note_fd;
    station.stuck = true;
    station_open(&station, place);
    for (;;)
        (void)pause();
}

/* Where all are told, the other one has heard of it, too; there nothing is kept for a child that
 * does not listen yet, so it is told until it does. */
static void
case_claims_from_the_dead(const struct transport_place *place)
{
    struct pollfd told = {.events = POLLIN};
    struct station station;
    struct job_id id;
    int ends[2];
    char note;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork(); /* before this process has threads of its own */
    assert_true(child >= 0);
    if (child == 0)
        be_killed(place, ends[1]);
    told.fd = ends[0];
    station_init(&station, place->tells_all, place->tells_all ? 8 : 0);
    station_open(&station, place);
    if (place->tells_all)
        settle(&station);
    do
        id = publish(&station, 0);
    while (place->tells_all && poll(&told, 1, 20) == 0);
    assert_int_equal(read(ends[0], &note, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    if (!place->tells_all)
        assert_false(has(&station, &id));
    pthread_mutex_lock(&lock);
    station.serves = true;
    station.room = 8;
    pthread_mutex_unlock(&lock);
    wait_has(&station, &id);
    station_close(&station);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---------------------------------------------------------------- disturbances */

static void
case_survives_silence(const struct transport_place *place)
{
    enum { COUNT = 1000 };
    static struct job_id ids[COUNT];
    struct station station;
    int64_t begun_us;
    unsigned gaps;

    station_init(&station, true, 8);
    station_open(&station, place);
    settle(&station);
    gaps = gaps_of(&station);
    place->freeze(place->context);
    begun_us = clock_mono_us(clock_system());
    for (int i = 0; i < COUNT; i++)
        ids[i] = publish(&station, 0);
    /* A wait for the server would be seconds each time. */
    assert_true(clock_mono_us(clock_system()) - begun_us < US_PER_S);
    wait_gaps(&station, &station, gaps); /* noticed; the tables are looked at meanwhile */
    place->thaw(place->context);
    for (int i = 0; i < COUNT; i++)
        wait_has(&station, &ids[i]);
    settle(&station);
    place->freeze(place->context);
    (void)publish(&station, 0);
    begun_us = clock_mono_us(clock_system());
    station_close(&station); /* while all is blocked */
    assert_true(clock_mono_us(clock_system()) - begun_us < 2 * US_PER_S);
    place->thaw(place->context);
}

static void
case_survives_loss(const struct transport_place *place, void (*disturb)(void *context))
{
    struct station a, b;
    struct job_id id;

    station_init(&a, true, 4);
    station_init(&b, true, 4);
    station_open(&a, place);
    station_open(&b, place);
    settle(&a);
    settle(&b);
    for (int i = 0; i < 3; i++) {
        unsigned gaps = gaps_of(&a) + gaps_of(&b);

        disturb(place->context);
        wait_gaps(&a, &b, gaps);
        (void)publish(&a, 0);
    }
    station_close(&a); /* so that what follows is b's */
    settle(&b);
    id = publish(&b, 0);
    wait_has(&b, &id);
    station_close(&b);
}

void
transport_conformance(const struct transport_place *place)
{
    cond_init(&changed);
    print_message("           %s: claims from the dead\n", place->driver->name);
    if (place->shared)
        case_claims_from_the_dead(place);
    print_message("           %s: delivers\n", place->driver->name);
    case_delivers(place);
    case_refuses_nonsense(place);
    print_message("           %s: closes at any time\n", place->driver->name);
    case_closes_at_any_time(place);
    if (place->shared) {
        print_message("           %s: shares\n", place->driver->name);
        case_shares_and_tells_all(place);
        case_leaves_to_the_idle(place);
    }
    print_message("           %s: disturbances\n", place->driver->name);
    if (place->freeze != NULL)
        case_survives_silence(place);
    if (place->restart != NULL)
        case_survives_loss(place, place->restart);
    if (place->flush != NULL)
        case_survives_loss(place, place->flush);
}
