/*
 * pgsql_sql.h - what the PostgreSQL driver itself asks the server
 */
#ifndef PARLEY_STORE_DRIVERS_PGSQL_SQL_H
#define PARLEY_STORE_DRIVERS_PGSQL_SQL_H

/* Of a session, once. $1: statement time-out, $2: lock time-out, $3: idle in a transaction, in ms;
 * $4: "share" to keep others from having the database alone while the session lives.
 * A durable commit waits for the disk whatever the role's or the database's default is. */
#define PGSQL_SET_UP                                                                               \
    "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false), "   \
    "set_config('idle_in_transaction_session_timeout', $3, false), "                               \
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' "      \
    "THEN 'on' ELSE current_setting('synchronous_commit') END, false), "                           \
    "set_config('client_min_messages', 'error', false), "                                          \
    "CASE $4 WHEN 'share' THEN pg_try_advisory_lock_shared(728193502) ELSE true END, "             \
    "(SELECT stats_reset::text FROM pg_stat_bgwriter)"

/* For the life of a session: nobody else has a session that shares, and none can come. It waits a
 * little for what a process that was killed has left. */
#define PGSQL_ALONE_SOON "SELECT set_config('lock_timeout', '3s', false)"
#define PGSQL_ALONE "SELECT pg_advisory_lock(728193502)"
/* It still has it. */
#define PGSQL_ALONE_CHECK                                                                          \
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "               \
    "AND objid = 728193502 AND mode = 'ExclusiveLock' AND granted"

/* A move into this database that is not finished. */
#define PGSQL_MARK "SELECT mark FROM unfinished_move"
#define PGSQL_MARK_SET                                                                             \
    "INSERT INTO unfinished_move (id, mark) VALUES (1, $1) "                                       \
    "ON CONFLICT (id) DO UPDATE SET mark = excluded.mark"
#define PGSQL_MARK_CLEAR "DELETE FROM unfinished_move"

#define PGSQL_NOW "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

#define PGSQL_BEGIN_WRITE "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
#define PGSQL_BEGIN_READ "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/* The third column is the server's time. A writer's commit does not wait for the disk: PGSQL_FLUSH
 * does. What it runs seeks by keys, whatever the values: planned each time for the arrays at hand,
 * a look-up would cost twice of what it does. $1: the organization. One writer of an organization
 * at a time, over all processes; the snapshots of the statements that follow are younger than the
 * lock. */
#define PGSQL_ENTER_WRITE                                                                          \
    "SELECT set_config('parley.organization_id', $1, true), "                                      \
    "pg_advisory_xact_lock(hashtextextended($1, 7281935)), " PGSQL_NOW                             \
    ", set_config('synchronous_commit', 'off', true), "                                            \
    "set_config('plan_cache_mode', 'force_generic_plan', true)"
#define PGSQL_ENTER_READ "SELECT set_config('parley.organization_id', $1, true), NULL, " PGSQL_NOW
#define PGSQL_EXISTS "SELECT 1 FROM tenant_database WHERE organization_id = $1"

/* So that what follows is planned anew. */
#define PGSQL_REPLAN "DISCARD PLANS"
#define PGSQL_TRANSACTION_ID "SELECT pg_current_xact_id_if_assigned()::text"

/* Its commit waits for the log up to itself, as the session's synchronous_commit asks for: on the
 * disk, on standbys. So it has to write to the log, which this does and a bare transaction does
 * not. */
#define PGSQL_FLUSH "SELECT pg_logical_emit_message(true, 'parley', ''::text)"

/* $1: a transaction's id, $2: the process that ran it. What still runs is ended, so that there is
 * an answer. The last column tells one life of a server from the next: after a crash the same id
 * can be given to another transaction. */
#define PGSQL_OUTCOME                                                                              \
    "SELECT pg_xact_status($1::xid8), (SELECT pg_terminate_backend(pid) FROM pg_stat_activity "    \
    "WHERE pid = $2::int AND backend_xid = $1::xid8::xid), "                                       \
    "(SELECT stats_reset::text FROM pg_stat_bgwriter)"

#define PGSQL_CREATE                                                                               \
    "INSERT INTO tenant_database (organization_id, created_at) VALUES ($1, " PGSQL_NOW             \
    ") ON CONFLICT DO NOTHING"
#define PGSQL_CLEAR "SELECT parley_tenant_clear()"
#define PGSQL_FORGET "DELETE FROM tenant_database WHERE organization_id = $1"
/* $1: the last one seen. */
#define PGSQL_LIST                                                                                 \
    "SELECT organization_id FROM tenant_database WHERE organization_id > $1 "                      \
    "ORDER BY organization_id LIMIT 1000"
#define PGSQL_PING "SELECT 1"
#define PGSQL_SIZE "SELECT pg_database_size(current_database())"

/* What may not be true of the role that serves, in the order of the checks. */
#define PGSQL_ROLE                                                                                 \
    "SELECT current_setting('server_version_num')::bigint, session_user::text, "                   \
    "(SELECT bool_or(r.rolsuper OR r.rolbypassrls) FROM pg_roles r "                               \
    "WHERE pg_has_role(session_user, r.oid, 'MEMBER')), "                                          \
    "(SELECT count(*) FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace "      \
    "AND c.relkind IN ('r', 'p') AND pg_has_role(session_user, c.relowner, 'MEMBER')), "           \
    "to_regclass('schema_version') IS NOT NULL"
#define PGSQL_VERSION "SELECT version, oldest_reader FROM schema_version WHERE part = $1"
#define PGSQL_VERSION_SET                                                                          \
    "INSERT INTO schema_version (part, version) VALUES ($1, $2::int) "                             \
    "ON CONFLICT (part) DO UPDATE SET version = excluded.version"
/* oldest_reader: a build that knows no later schema than this one still works with the newer one. A
 * step that older builds cannot bear raises it, by an UPDATE in its own text. */
#define PGSQL_VERSION_TABLE                                                                        \
    "CREATE TABLE IF NOT EXISTS schema_version "                                                   \
    "(part TEXT PRIMARY KEY, version INTEGER NOT NULL, oldest_reader INTEGER NOT NULL DEFAULT 1)"
#define PGSQL_MIGRATION_LOCK "SELECT pg_advisory_xact_lock(728193501)"
/* $1: the role that serves. */
#define PGSQL_GRANT_TO "SELECT set_config('parley.application_role', $1, true)"

#endif
