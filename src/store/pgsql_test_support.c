/*
 * pgsql_test_support.c - talks to the script that keeps the server
 */
#include "store/pgsql_test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
die(const char *what)
{
    (void)fprintf(stderr, "pgsql_test_support: %s\n", what);
    abort();
}

static void
read_line(struct pgsql_server *server, char *line, int size)
{
    if (fgets(line, size, server->from) == NULL)
        die("the server's script ended");
    line[strcspn(line, "\n")] = '\0';
}

static void
take_value(const char *line, const char *key, char *value, size_t size)
{
    size_t len = strlen(key);

    if (strncmp(line, key, len) == 0 && line[len] == ' ')
        (void)snprintf(value, size, "%s", line + len + 1);
}

bool
pgsql_server_start(struct pgsql_server *server)
{
    int to[2];
    int from[2];
    char line[256];
    char port[16] = "";

    *server = (struct pgsql_server){.pid = -1};
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("pipe");
    server->pid = fork();
    if (server->pid == 0) {
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)execl(PARLEY_TEST_POSTGRES, "postgres.sh", (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    server->to = fdopen(to[1], "w");
    server->from = fdopen(from[0], "r");
    if (server->pid < 0 || server->to == NULL || server->from == NULL)
        die("start the server's script");
    do {
        read_line(server, line, sizeof(line));
        if (strcmp(line, "missing") == 0) {
            pgsql_server_stop(server);
            return false;
        }
        take_value(line, "folder", server->folder, sizeof(server->folder));
        take_value(line, "port", port, sizeof(port));
        take_value(line, "password", server->password, sizeof(server->password));
        if (strncmp(line, "failed", 6) == 0)
            die(line);
    } while (strcmp(line, "ready") != 0);
    server->port = (unsigned)strtoul(port, NULL, 10);
    return true;
}

void
pgsql_server_stop(struct pgsql_server *server)
{
    int status;

    (void)fclose(server->to);
    (void)fclose(server->from);
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

void
pgsql_server_command(struct pgsql_server *server, const char *command)
{
    char line[256];

    if (fprintf(server->to, "%s\n", command) < 0 || fflush(server->to) != 0)
        die("write to the server's script");
    read_line(server, line, sizeof(line));
    if (strcmp(line, "ok") != 0)
        die(line);
}

void
pgsql_server_url(const struct pgsql_server *server, const char *role, const char *database,
                 unsigned port, char url_out[PGSQL_URL_SIZE])
{
    (void)snprintf(url_out, PGSQL_URL_SIZE, "postgresql://%s:%s@127.0.0.1:%u/%s", role,
                   server->password, port != 0 ? port : server->port, database);
}

/* A copy of that one, or "": an empty one. */
static void
make_database(struct pgsql_server *server, const char *of, struct pgsql_database *database)
{
    char command[128];

    database->server = server;
    (void)snprintf(database->name, sizeof(database->name), "test_%u", ++server->databases);
    (void)snprintf(command, sizeof(command), "database %s %s", database->name, of);
    pgsql_server_command(server, command);
    pgsql_server_url(server, PGSQL_APP, database->name, 0, database->url);
    pgsql_server_url(server, PGSQL_OWNER, database->name, 0, database->migration_url);
}

void
pgsql_database_make_empty(struct pgsql_server *server, struct pgsql_database *database)
{
    make_database(server, "", database);
}

static void
ignore_step(const char *step, void *context)
{
    (void)step;
    (void)context;
}

void
pgsql_database_make(struct pgsql_server *server, struct pgsql_database *database)
{
    struct store_config config = {0};
    struct err err;

    if (server->migrated[0] == '\0') {
        pgsql_database_make_empty(server, database);
        config.database_url = database->url;
        if (store_migrate_server(&config, database->migration_url, ignore_step, NULL, &err) !=
            ST_OK)
            die(err.detail);
        (void)snprintf(server->migrated, sizeof(server->migrated), "%s", database->name);
    }
    make_database(server, server->migrated, database);
}

void
pgsql_run(const struct pgsql_database *database, const char *role, const char *text,
          char answer_out[64])
{
    char url[PGSQL_URL_SIZE];
    PGconn *pg;
    PGresult *result;
    ExecStatusType status;

    pgsql_server_url(database->server, role, database->name, 0, url);
    pg = PQconnectdb(url);
    result = PQexec(pg, text);
    status = PQresultStatus(result);
    answer_out[0] = '\0';
    if (status == PGRES_TUPLES_OK && PQntuples(result) > 0)
        (void)snprintf(answer_out, 64, "%s", PQgetvalue(result, 0, 0));
    else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        (void)snprintf(answer_out, 64, "!%s",
                       PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL
                           ? PQresultErrorField(result, PG_DIAG_SQLSTATE)
                           : PQerrorMessage(pg));
    PQclear(result);
    PQfinish(pg);
}
