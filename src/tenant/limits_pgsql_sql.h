/*
 * limits_pgsql_sql.h - what the session of shared limits runs on PostgreSQL; the functions stand in
 * src/store/sql/pgsql_control_0001.sql
 */
#ifndef PARLEY_TENANT_LIMITS_PGSQL_SQL_H
#define PARLEY_TENANT_LIMITS_PGSQL_SQL_H

/* Buckets are lost with the server anyway: no commit waits for a disk. */
#define PGSQL_LIMITS_SET_UP                                                                        \
    "SET synchronous_commit = off; SET statement_timeout = '1s'; SET client_min_messages = error;" \
    "PREPARE limit_take (text, bigint, bigint) AS SELECT parley_limit_take($1, $2, $3);"           \
    "PREPARE limit_seen (text, bigint) AS SELECT parley_limit_seen($1, $2);"                       \
    "PREPARE limit_goodbye (text) AS DELETE FROM limit_instance WHERE id = $1"

#endif
