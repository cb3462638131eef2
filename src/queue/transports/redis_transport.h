/*
 * redis_transport.h - inside of the Redis transport; only for src/queue/transports/
 *
 *   parley:wakeup:<topic>   due now; consumer group "parley", a consumer a process
 *   parley:wakeup-later     due later; every process reads all of it from where it was
 *
 * Three threads with a connection each: redis.c sends, redis_reader.c has the two that read.
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_REDIS_TRANSPORT_H
#define PARLEY_QUEUE_TRANSPORTS_REDIS_TRANSPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "net/redis.h"
#include "queue/transports/wakeup_list.h"

#define REDIS_WAKEUP_KEY "parley:wakeup:"
#define REDIS_LATER_KEY STR_INIT("parley:wakeup-later")
#define REDIS_GROUP STR_INIT("parley")
#define REDIS_FIELDS 6

/* The fields of an entry, in the order of the array that follows. */
enum redis_field {
    FIELD_ORGANIZATION,
    FIELD_USER,
    FIELD_TOPIC,
    FIELD_LANE,
    FIELD_JOB,
    FIELD_DUE,
};
extern const struct str redis_field_names[REDIS_FIELDS];

struct redis_transport {
    struct queue_transport base;
    struct id_text consumer; /* this process */

    struct redis *sending, *sharing, *hearing; /* each of the thread of its name */
    pthread_t threads[3];
    unsigned started;

    struct wakeup_list list;
    _Atomic bool connected; /* the sender is */

    /* Of the sharing thread. */
    char known_topics[TURNS_MAX_TOPICS][TURNS_MAX_TOPIC_BYTES + 1]; /* whose group is there */
    size_t known_count;
    int64_t claim_at_us;
    /* Of the hearing thread. */
    char heard[48]; /* id of the last entry */
};

/* Entries due now: taken by one process each. */
void *redis_transport_share(void *transport);
/* Entries due later: heard by all. */
void *redis_transport_hear(void *transport);

#endif
