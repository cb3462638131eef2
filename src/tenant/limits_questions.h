/*
 * limits_questions.h - questions about buckets that a server keeps; only for the drivers of limits
 *
 * Callers put their questions into a list and wait, but no longer than the deadline; one thread
 * sends what is in it, all together, and hands the answers out. Who waited in vain leaves the
 * question to the thread, and for a while nobody asks. A driver brings its server's connection.
 */
#ifndef PARLEY_TENANT_LIMITS_QUESTIONS_H
#define PARLEY_TENANT_LIMITS_QUESTIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/id.h"
#include "tenant/limits_driver.h"

#define LIMITS_HASH_BYTES 16

enum question_state { QUESTION_ASKED, QUESTION_ANSWERED, QUESTION_ABANDONED };

struct question {
    struct question *next;
    enum question_state state;
    char hash[2 * LIMITS_HASH_BYTES + 1]; /* of the key, which holds senders' ids */
    unsigned per_minute, burst;
    enum status st; /* the answer */
    double wait_ms;
};

struct limits_questions;

/* What a driver adds: a connection to its server, for one thread. All are set. */
struct limits_server {
    bool (*is_connected)(const struct limits_questions *questions);
    /* Waits for the back-off, tries once. Nothing when it is connected. */
    enum status (*connect)(struct limits_questions *questions, struct err *err);
    /* This process is there; instances_out: how many are, not silent for longer than that. */
    enum status (*see)(struct limits_questions *questions, int64_t silent_us,
                       int64_t *instances_out, struct err *err);
    /* It no longer is: the others' shares grow at once. */
    void (*leave)(struct limits_questions *questions);
    enum status (*send)(struct limits_questions *questions, const struct question *question,
                        struct err *err);
    /* The oldest question's answer. taken_out: ST_OK, ST_BUSY, else ST_UNAVAILABLE. */
    enum status (*receive)(struct limits_questions *questions, int64_t mono_deadline_us,
                           enum status *taken_out, double *wait_ms_out, struct err *err);
    void (*give_up)(struct limits_questions *questions);
    void (*stop)(struct limits_questions *questions); /* any thread: nothing blocks any more */
};

#define LIMITS_REPLY_MS 1000 /* for what is no question */
#define LIMITS_LEAVE_MS 200

/* A driver's struct begins with it. */
struct limits_questions {
    struct limits_shared base;
    const struct limits_server *server; /* frozen, as the next two */
    int64_t deadline_us, pause_us;
    struct id_text instance;
    pthread_t thread;
    bool opened, started;
    int64_t heartbeat_us; /* of the thread */
    pthread_mutex_t lock; /* guards what follows, and questions */
    pthread_cond_t asked, answered;
    struct question *first, *last;
    size_t count;
    bool stopping;
    _Atomic bool connected; /* set by the thread */
    _Atomic int64_t paused_until_us;
    _Atomic unsigned instances; /* set by the thread */
};

/* Before the driver opens its connection. */
void limits_questions_init(struct limits_questions *questions, const struct limits_config *config,
                           const struct limits_server *server);
/* Behind it. */
MUST_USE enum status limits_questions_start(struct limits_questions *questions, struct err *err);
/* Before the driver closes its connection. Accepts what did not start. */
void limits_questions_stop(struct limits_questions *questions);
void limits_questions_deinit(struct limits_questions *questions);

/* For the driver's table. */
enum status limits_questions_take(struct limits_shared *shared, struct str key, unsigned per_minute,
                                  unsigned burst, struct err *err);
unsigned limits_questions_instances(struct limits_shared *shared);

#endif
