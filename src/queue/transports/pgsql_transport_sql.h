/*
 * pgsql_transport_sql.h - what the transport's session runs on PostgreSQL
 */
#ifndef PARLEY_QUEUE_TRANSPORTS_PGSQL_TRANSPORT_SQL_H
#define PARLEY_QUEUE_TRANSPORTS_PGSQL_TRANSPORT_SQL_H

#define PGSQL_WAKEUP_CHANNEL "parley_wakeup"

/* A notification's commit need not wait for a disk: it is lost with the server anyway. Channels are
 * the database's: LISTEN comes last, so that what follows it is heard. */
#define PGSQL_WAKEUP_SET_UP                                                                        \
    "SET synchronous_commit = off; SET statement_timeout = '2s'; SET client_min_messages = error;" \
    "PREPARE parley_wakeup (text) AS SELECT pg_notify('" PGSQL_WAKEUP_CHANNEL "', $1);"            \
    "PREPARE parley_ping AS SELECT 1;"                                                             \
    "LISTEN " PGSQL_WAKEUP_CHANNEL

#endif
