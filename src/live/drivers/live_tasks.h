/*
 * live_tasks.h - what a driver is still to do at its server: events to publish, rings to join; only
 * for src/live/drivers/
 *
 * Anybody adds and never waits; one thread does them in order, and drops each when the server has
 * answered: what was not is done again on the next connection, and the server knows an event by its
 * publisher's count. Bounded: when there is no room the newest event is dropped, and everybody will
 * be told that something was. Threads: shared; the list's beginning is that one thread's.
 */
#ifndef PARLEY_LIVE_DRIVERS_LIVE_TASKS_H
#define PARLEY_LIVE_DRIVERS_LIVE_TASKS_H

#include <pthread.h>

#include "live/live_driver.h"

#define LIVE_MAX_EVENT_BYTES ((size_t)256 * 1024)

enum task_kind { TASK_PUBLISH, TASK_JOIN };

struct task {
    struct task *next;
    enum task_kind kind;
    bool too_large;           /* an event without its data: everybody reads anew */
    uint64_t count;           /* of the publisher */
    size_t key_len, item_len; /* the item: type, '\n', data */
    char bytes[];             /* key, item, NUL */
};

struct live_tasks {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t filled, drained;
    struct task *first, *last;
    size_t count, bytes;
    uint64_t published; /* the count of the newest event */
    bool lost;          /* events were dropped: all topics begin anew */
    bool stopping;
};

void live_tasks_init(struct live_tasks *tasks);
/* With all that is still in it. */
void live_tasks_deinit(struct live_tasks *tasks);

/* True: it is the first one, so that the thread may be waiting for it. */
bool live_tasks_publish(struct live_tasks *tasks, struct str key, struct str type, struct str data);
/* Needs no room: without it subscribers would wait for ever. */
bool live_tasks_join(struct live_tasks *tasks, struct str key);
/* Nobody waits in live_tasks_wait any more. */
void live_tasks_stop(struct live_tasks *tasks);
/* What was published last reaches other processes, if that takes no time. */
void live_tasks_send_rest(struct live_tasks *tasks);

struct str live_task_key(const struct task *task);
struct str live_task_item(const struct task *task);
/* "type\ndata" */
struct live_item live_item_of(struct str text);

/* --- the thread's --- */

/* Up to max tasks; the last one's next must not be read. NULL: none until the deadline, or
 * stopping. A deadline of 0: only looks. */
const struct task *live_tasks_wait(struct live_tasks *tasks, size_t max, int64_t mono_deadline_us,
                                   size_t *count_out);
/* The first is done, or was refused: it would be again. */
void live_tasks_done(struct live_tasks *tasks, bool refused);
/* Whether events were dropped since the last call. */
bool live_tasks_take_lost(struct live_tasks *tasks);
/* Nobody could be told: again. */
void live_tasks_set_lost(struct live_tasks *tasks);

#endif
