/*
 * pgsql_test_support.h - a private PostgreSQL for a test program, through tests/support/postgres.sh
 *
 * One server a program; each test makes a database of its own in it. It ends with the program,
 * however that ends. Without PostgreSQL the program says so and is skipped.
 */
#ifndef PARLEY_STORE_PGSQL_TEST_SUPPORT_H
#define PARLEY_STORE_PGSQL_TEST_SUPPORT_H

#include <stdio.h>
#include <sys/types.h>

#include "store/store.h"

#define PGSQL_URL_SIZE 256
#define PGSQL_OWNER "parley_owner"
#define PGSQL_APP "parley_app"
#define PGSQL_SUPERUSER "postgres"
/* What meson takes for "skipped". */
#define PGSQL_SKIPPED 77

struct pgsql_server {
    pid_t pid;
    FILE *to, *from;
    char folder[64], password[64];
    unsigned port;
    unsigned databases;
    char migrated[32]; /* the name of one that is migrated and nobody uses; "": none is */
};

/* False: there is no PostgreSQL here. */
bool pgsql_server_start(struct pgsql_server *server);
void pgsql_server_stop(struct pgsql_server *server);
/* "stop fast", "stop immediate", "start", "freeze", "thaw", "database <name> <of>": aborts when it
 * fails. */
void pgsql_server_command(struct pgsql_server *server, const char *command);
void pgsql_server_url(const struct pgsql_server *server, const char *role, const char *database,
                      unsigned port, char url_out[PGSQL_URL_SIZE]);

struct pgsql_database {
    struct pgsql_server *server;
    char name[32];
    char url[PGSQL_URL_SIZE];           /* of the application's role */
    char migration_url[PGSQL_URL_SIZE]; /* of the owner */
};

/* A new one, migrated. */
void pgsql_database_make(struct pgsql_server *server, struct pgsql_database *database_out);
/* A new one, empty. */
void pgsql_database_make_empty(struct pgsql_server *server, struct pgsql_database *database_out);
/* Runs SQL text as a role; what it gives in its first row and column, "" for nothing. The SQLSTATE
 * of a failure, with a "!" in front. */
void pgsql_run(const struct pgsql_database *database, const char *role, const char *text,
               char answer_out[64]);

#endif
