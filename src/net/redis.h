/*
 * redis.h - a connection to one of several Redis servers, with deadlines
 *
 *   CLOSED --connect: first address that is a primary--> OPEN --error, late, not primary any
 * more--. ^ |
 *     '------------------- back-off, 100 ms doubled up to 5 s, with jitter
 * ------------------------'
 *
 * Commands are pipelined: redis_send adds one to a bounded buffer, redis_receive moves bytes both
 * ways until the oldest unanswered one has its reply. Whoever loses the connection loses the
 * replies that were due; whether those commands ran is unknown.
 * Threads: one at a time, but redis_wake and redis_stop may be called by any. Blocks: as long as
 * each function says, on the network; looking up a host's name takes as long as the system's
 * resolver allows.
 */
#ifndef PARLEY_NET_REDIS_H
#define PARLEY_NET_REDIS_H

#include "net/redis_address.h"

struct redis;
struct redis_reply; /* of hiredis; freed by redis_reply_free */

struct redis_config {
    struct str addresses;    /* redis_address.h */
    struct str ca_file;      /* PEM, for rediss://; empty: the system's authorities */
    const char *use;         /* label of the metrics: "queue", "live", ...; static */
    int connect_ms;          /* each address, log-in included; 0: 2000 */
    size_t max_output_bytes; /* commands not sent yet; 0: 4 MB */
    size_t max_reply_bytes;  /* 0: 64 MB */
};

/* Reads the configuration; connects to nobody. ST_INVALID. */
MUST_USE enum status redis_open(const struct redis_config *config, struct redis **redis_out,
                                struct err *err);
void redis_close(struct redis **redis);

/* Nothing when it is open. Else waits for the back-off to be over, then tries each address once,
 * beginning behind the one that was lost; the connection is fresh: nothing is subscribed, nothing
 * is due. ST_UNAVAILABLE: none would have us, or redis_stop was called. */
MUST_USE enum status redis_connect(struct redis *redis, struct err *err);
bool redis_is_connected(const struct redis *redis);
/* Closes without a back-off being due. */
void redis_disconnect(struct redis *redis);
/* Closes; the next redis_connect waits as after a lost connection. */
void redis_give_up(struct redis *redis);

/* The present or the next redis_receive returns with ST_BUSY, once. */
void redis_wake(struct redis *redis);
/* From now on nothing blocks or connects any more. */
void redis_stop(struct redis *redis);
bool redis_is_stopped(const struct redis *redis);

/* ST_TOO_LARGE: the buffer is full, nothing was added. ST_UNAVAILABLE: not connected. */
MUST_USE enum status redis_send(struct redis *redis, const struct str *args, size_t count,
                                struct err *err);
#define REDIS_ARGS(...)                                                                            \
    (const struct str[]){__VA_ARGS__},                                                             \
        sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str)
/* Replies that are due. */
size_t redis_due(const struct redis *redis);
/* The next reply, or what the server pushes to a subscriber; an error of the server is a reply,
 * too. ST_BUSY: nothing until the deadline, or woken; the connection stays. ST_UNAVAILABLE: it is
 * lost. */
MUST_USE enum status redis_receive(struct redis *redis, int64_t mono_deadline_us,
                                   struct redis_reply **reply_out, struct err *err);
/* ST_OK for what is no error. NOGROUP, NOSCRIPT, a key that is gone: ST_NOT_FOUND. BUSYGROUP:
 * ST_CONFLICT. A server that cannot serve now (READONLY, LOADING, MASTERDOWN, ...): ST_UNAVAILABLE,
 * and it is left for the next. Full memory: ST_BUSY. Else ST_INTERNAL. */
MUST_USE enum status redis_check(struct redis *redis, const struct redis_reply *reply,
                                 struct err *err);
/* One command and its reply, checked, within the time; replies that were due before it are thrown
 * away. Later than that:
 * ST_UNAVAILABLE, and the connection is closed. reply_out may be NULL; NULL after a failure. */
MUST_USE enum status redis_call(struct redis *redis, int timeout_ms, const struct str *args,
                                size_t count, struct redis_reply **reply_out, struct err *err);

enum redis_kind { REDIS_NIL, REDIS_TEXT, REDIS_INTEGER, REDIS_ARRAY, REDIS_ERROR };

/* All accept NULL and the wrong kind: nil, the empty text, 0, no element. */
enum redis_kind redis_reply_kind(const struct redis_reply *reply);
struct str redis_reply_text(const struct redis_reply *reply); /* of an error, too */
int64_t redis_reply_int(const struct redis_reply *reply);     /* also a text that is a number */
size_t redis_reply_count(const struct redis_reply *reply);
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t at);
void redis_reply_free(struct redis_reply **reply);

#endif
