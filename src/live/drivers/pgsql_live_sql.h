/*
 * pgsql_live_sql.h - what the session of live events runs on PostgreSQL; the functions stand in
 * src/store/sql/pgsql_tenant_0001.sql
 */
#ifndef PARLEY_LIVE_DRIVERS_PGSQL_LIVE_SQL_H
#define PARLEY_LIVE_DRIVERS_PGSQL_LIVE_SQL_H

/* Events are lost with the server anyway: no commit waits for a disk. LISTEN comes last, so that
 * what follows it is heard. */
#define PGSQL_LIVE_SET_UP                                                                          \
    "SET synchronous_commit = off; SET statement_timeout = '2s'; SET client_min_messages = error;" \
    "PREPARE live_publish (text, text, text, bigint, text, bigint) AS "                            \
    "SELECT parley_live_publish($1, $2, $3, $4, $5, $6);"                                          \
    "PREPARE live_join (text, text, text, bigint, text, bigint) AS "                               \
    "SELECT epoch, number, item FROM parley_live_join($1, $2, $3, $4, $5, $6);"                    \
    "PREPARE live_anew AS SELECT parley_live_anew();"                                              \
    "PREPARE live_prune AS SELECT parley_live_prune();"                                            \
    "PREPARE live_ping AS SELECT 1;"                                                               \
    "LISTEN parley_live"

#endif
