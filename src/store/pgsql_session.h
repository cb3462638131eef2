/*
 * pgsql_session.h - a session of its own on the PostgreSQL server, beside the store's pool: for
 * what processes tell each other
 *
 *   CLOSED --connect--> OPEN --error, late, became a standby--. back-off, 100 ms doubled up to 5 s,
 *     '--------------------------------------------------------'  with jitter
 *
 * It stands here and not in net/ because it shares with the store's driver how to reach a server
 * and what its codes mean. It knows no tenants: what it runs are statements that its user prepares,
 * each a transaction of its own. Whoever loses the session loses the answers that were due; whether
 * those statements ran is unknown. Threads: one at a time, but pgsql_session_wake and _stop may be
 * called by any. Blocks: as long as each function says; connecting as long as a new connection may
 * take (2 s for each of the URL's hosts, and the system's resolver), which nothing ends earlier.
 */
#ifndef PARLEY_STORE_PGSQL_SESSION_H
#define PARLEY_STORE_PGSQL_SESSION_H

#include <libpq-fe.h>

#include "base/err.h"
#include "base/str.h"

struct pgsql_session;

struct pgsql_session_config {
    struct str url;     /* as database.url; copied */
    const char *use;    /* label of the metrics: "queue", "live", ...; static */
    const char *set_up; /* what each new session runs first: SET, PREPARE, LISTEN; static */
};

/* Connects to nobody. ST_INVALID: that is no URL. */
MUST_USE enum status pgsql_session_open(const struct pgsql_session_config *config,
                                        struct pgsql_session **session_out, struct err *err);
void pgsql_session_close(struct pgsql_session **session);

/* Nothing when it is open. Else waits for the back-off to be over and tries once. ST_UNAVAILABLE:
 * the server would not have us, or pgsql_session_stop was called. */
MUST_USE enum status pgsql_session_connect(struct pgsql_session *session, struct err *err);
bool pgsql_session_is_connected(const struct pgsql_session *session);
/* Closes; the next connect waits as after a lost connection. */
void pgsql_session_give_up(struct pgsql_session *session);

/* The present or the next function that waits for the server returns with ST_BUSY, once;
 * pgsql_session_call goes on. */
void pgsql_session_wake(struct pgsql_session *session);
/* From now on nothing blocks or connects any more. */
void pgsql_session_stop(struct pgsql_session *session);
bool pgsql_session_is_stopped(const struct pgsql_session *session);

/* Sends a prepared statement with values in text, behind those without answer. The caller bounds
 * how many. */
MUST_USE enum status pgsql_session_send(struct pgsql_session *session, const char *name,
                                        unsigned count, const char *const *values, struct err *err);
/* Statements without answer. */
unsigned pgsql_session_due(const struct pgsql_session *session);
/* The oldest one's answer (PQclear it), or why it failed, which leaves the session open: then
 * pgsql_session_is_connected says so. ST_BUSY: also nothing until the deadline, or woken; due is
 * the same then. ST_UNAVAILABLE: the session is lost. */
MUST_USE enum status pgsql_session_receive(struct pgsql_session *session, int64_t mono_deadline_us,
                                           PGresult **result_out, struct err *err);
/* One statement and its answer, within the time; nothing is due. Later than that: ST_UNAVAILABLE,
 * and the session is lost. result_out may be NULL; NULL after a failure. */
MUST_USE enum status pgsql_session_call(struct pgsql_session *session, int timeout_ms,
                                        const char *name, unsigned count, const char *const *values,
                                        PGresult **result_out, struct err *err);
/* The next notification (PQfreemem it). ST_BUSY: none until the deadline, or woken.
 * ST_UNAVAILABLE: the session is lost. */
MUST_USE enum status pgsql_session_hear(struct pgsql_session *session, int64_t mono_deadline_us,
                                        PGnotify **notify_out, struct err *err);
/* One that is here already, or NULL. */
PGnotify *pgsql_session_heard(struct pgsql_session *session);

#endif
