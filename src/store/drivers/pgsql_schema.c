/*
 * pgsql_schema.c - what a server must be like to serve, and bringing its schema forward
 *
 * Steps are applied one a transaction, under a lock that only migrations take: who comes second
 * waits, then finds nothing to do. A step that cannot have a table soon gives up, so that it does
 * not make those wait that serve.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/embedded.h"
#include "store/drivers/pgsql_private.h"
#include "store/drivers/pgsql_sql.h"
#include "store/group_commit.h"
#include "store/migrate.h"

#define RERUNS_MAX 5

extern const struct embedded_file store_schema_files[];

static const char *
part(bool control)
{
    return control ? "control" : "tenant";
}

/* oldest_reader_out: what a build must know at least to work with that schema. */
static enum status
version_of(struct pgsql_connection *connection, bool control, int *version_out,
           int *oldest_reader_out, struct err *err)
{
    const char *value = part(control);
    PGresult *answer = NULL;
    enum status st = pgsql_ask(connection, PGSQL_VERSION, 1, &value, &answer, err);
    int64_t version = 0, oldest_reader = 0;

    if (st == ST_OK && PQntuples(answer) > 0 &&
        (!str_to_i64(str_from_c(PQgetvalue(answer, 0, 0)), &version) ||
         !str_to_i64(str_from_c(PQgetvalue(answer, 0, 1)), &oldest_reader)))
        st = err_set_detail(err, ST_INTERNAL, "schema_version holds no number");
    PQclear(answer);
    *version_out = (int)version;
    *oldest_reader_out = (int)oldest_reader;
    return st;
}

enum status
pgsql_version_get(struct store_connection *connection, int *version_out, struct err *err)
{
    int oldest_reader;

    return version_of((struct pgsql_connection *)connection, connection->is_control, version_out,
                      &oldest_reader, err);
}

static enum status
set_version(struct pgsql_connection *connection, bool control, int version, struct err *err)
{
    char number[16];
    const char *values[] = {part(control), number};
    PGresult *answer = NULL;
    enum status st;

    (void)snprintf(number, sizeof(number), "%d", version);
    st = pgsql_ask(connection, PGSQL_VERSION_SET, 2, values, &answer, err);
    PQclear(answer);
    return st;
}

enum status
pgsql_version_set(struct store_connection *connection, int version, struct err *err)
{
    return set_version((struct pgsql_connection *)connection, connection->is_control, version, err);
}

/* Several commands in one text are no matter for a pipeline. */
enum status
pgsql_script(struct store_connection *common, struct str text, struct err *err)
{
    struct pgsql_connection *connection = (struct pgsql_connection *)common;
    char *copy = text.ptr != NULL ? str_dup(text) : NULL;
    PGresult *answer = NULL;
    enum status st = ST_OK;

    if (copy == NULL)
        abort(); /* no memory, or a step that is not compiled in */
    if (connection->pg == NULL || PQexitPipelineMode(connection->pg) != 1)
        st = err_set_detail(err, ST_UNAVAILABLE, "the connection is lost");
    if (st == ST_OK)
        answer = PQexec(connection->pg, copy);
    if (st == ST_OK && PQresultStatus(answer) != PGRES_COMMAND_OK &&
        PQresultStatus(answer) != PGRES_TUPLES_OK) {
        const char *code = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        /* Behind locks of those who serve: for too long, or crosswise. */
        bool waited = code != NULL && (strcmp(code, "55P03") == 0 || strcmp(code, "40P01") == 0);

        st = err_set_detail(err, waited ? ST_BUSY : ST_INTERNAL, "schema script: %s",
                            PQresultErrorMessage(answer));
        connection->state = PGSQL_FAILED;
    }
    PQclear(answer);
    free(copy);
    if (connection->pg != NULL && PQenterPipelineMode(connection->pg) != 1)
        pgsql_disconnect(connection);
    return st;
}

/* --- checking --- */

/* A newer schema is fine as long as it says so: others were brought forward while we serve. */
static enum status
check_schema(struct pgsql_connection *connection, bool allow_newer, struct err *err)
{
    enum status st = ST_OK;

    for (int control = 1; control >= 0 && st == ST_OK; control--) {
        int known = store_schema_version(&store_driver_pgsql, control != 0);
        int version = 0, oldest_reader = 0;

        st = version_of(connection, control != 0, &version, &oldest_reader, err);
        if (st == ST_OK && version < known)
            st = err_set(err, ST_CONFLICT,
                         "the database's schema is older than this Parley: run \"parley migrate\"");
        if (st == ST_OK && known < oldest_reader && !allow_newer)
            st = err_set(err, ST_CONFLICT,
                         "the database is of a newer Parley (schema %d; this one knows %d)",
                         version, known);
    }
    return st;
}

static enum status
check_moved(struct pgsql_connection *connection, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ask(connection, PGSQL_MARK, 0, NULL, &answer, err);

    if (st == ST_OK && PQntuples(answer) > 0)
        st = err_set(err, ST_CONFLICT, STORE_UNFINISHED_MOVE);
    PQclear(answer);
    return st;
}

enum status
pgsql_check(struct pgsql_connection *connection, const struct store_config *config, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ask(connection, PGSQL_ROLE, 0, NULL, &answer, err);
    bool migrated = false;

    if (st == ST_OK) {
        const char *role = PQgetvalue(answer, 0, 1);
        int64_t server = 0;

        (void)str_to_i64(str_from_c(PQgetvalue(answer, 0, 0)), &server);
        migrated = PQgetvalue(answer, 0, 4)[0] == 't';
        if (server < PGSQL_VERSION_MIN)
            st = err_set(err, ST_INVALID, "PostgreSQL 15 or later is needed; this is %d",
                         (int)(server / 10000));
        else if (PQgetvalue(answer, 0, 2)[0] == 't')
            st = err_set(err, ST_DENIED,
                         "role \"%.40s\" is or may become a superuser, or bypasses row security: "
                         "let database.url name one made by plain CREATE ROLE ... LOGIN",
                         role);
        else if (strcmp(PQgetvalue(answer, 0, 3), "0") != 0)
            st = err_set(err, ST_DENIED,
                         "role \"%.40s\" owns tables: let database.url name another role, and "
                         "database.migration_url this one",
                         role);
    }
    PQclear(answer);
    if (st == ST_OK && !migrated)
        st = err_set(err, ST_CONFLICT, "the database has no schema yet: run \"parley migrate\"");
    if (st == ST_OK)
        st = check_schema(connection, config->allow_newer_schema, err);
    return st == ST_OK && !config->allow_unfinished_move ? check_moved(connection, err) : st;
}

/* --- migrating --- */

struct migration {
    struct pgsql_connection *connection;
    const char *application_role;
    store_on_migration on_step;
    void *context;
};

static enum status
ask(struct pgsql_connection *connection, const char *text, unsigned count,
    const char *const *values, struct err *err)
{
    PGresult *answer = NULL;
    enum status st = pgsql_ask(connection, text, count, values, &answer, err);

    PQclear(answer);
    return st;
}

static enum status
begin_step(struct pgsql_connection *connection, struct err *err)
{
    enum status st = ask(connection, "BEGIN", 0, NULL, err);

    connection->access = STORE_WRITE;
    connection->state = PGSQL_OPEN;
    if (st == ST_OK)
        st = ask(connection, PGSQL_MIGRATION_LOCK, 0, NULL, err);
    if (st == ST_OK)
        st = ask(connection, PGSQL_VERSION_TABLE, 0, NULL, err);
    return st == ST_OK ? ask(connection, "SET LOCAL lock_timeout = '5s'", 0, NULL, err) : st;
}

static enum status
end_step(struct pgsql_connection *connection, enum status st, struct err *err)
{
    if (st == ST_OK) {
        connection->state = PGSQL_IDLE;
        return ask(connection, "COMMIT", 0, NULL, err);
    }
    pgsql_rollback(&connection->common);
    return st;
}

static enum status
apply_next(const struct migration *migration, bool control, int known, bool *applied_out,
           struct err *err)
{
    struct pgsql_connection *connection = migration->connection;
    char step[32];
    int version = 0, oldest_reader;
    enum status st = begin_step(connection, err);

    *applied_out = false;
    if (st == ST_OK)
        st = version_of(connection, control, &version, &oldest_reader, err);
    if (st == ST_OK && version < known) {
        version++;
        *applied_out = true;
        st = pgsql_script(&connection->common,
                          store_schema_step(&store_driver_pgsql, control, version), err);
        if (st == ST_OK)
            st = set_version(connection, control, version, err);
    }
    (void)snprintf(step, sizeof(step), "%s %d", part(control), version);
    st = end_step(connection, st, err);
    if (st == ST_OK && *applied_out)
        migration->on_step(step, migration->context);
    return st == ST_OK ? ST_OK : err_wrap(err, "migrate to %s", step);
}

static enum status
grant(const struct migration *migration, struct err *err)
{
    struct pgsql_connection *connection = migration->connection;
    enum status st = begin_step(connection, err);

    if (st == ST_OK)
        st = ask(connection, PGSQL_GRANT_TO, 1, &migration->application_role, err);
    if (st == ST_OK)
        st = pgsql_script(&connection->common,
                          embedded_find(store_schema_files, STR("pgsql_grants.sql")), err);
    st = end_step(connection, st, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "grant to %s", migration->application_role);
}

/* Those who serve meanwhile had locks that a step needs. */
static bool
is_to_be_tried_again(enum status st, unsigned *reruns)
{
    if (st != ST_BUSY || *reruns == RERUNS_MAX)
        return false;
    commit_pause_before_rerun((*reruns)++);
    return true;
}

static enum status
migrate(const struct migration *migration, struct err *err)
{
    enum status st = ST_OK;
    unsigned reruns = 0;

    for (int control = 1; control >= 0; control--) {
        int known = store_schema_version(&store_driver_pgsql, control != 0);
        bool more = true;

        while (st == ST_OK && more) {
            do {
                st = apply_next(migration, control != 0, known, &more, err);
            } while (is_to_be_tried_again(st, &reruns));
        }
    }
    if (st != ST_OK)
        return st;
    do {
        st = grant(migration, err);
    } while (is_to_be_tried_again(st, &reruns));
    return st;
}

/* Who that URL logs in as: it may stand in a service file or be the system's user. */
static enum status
find_role(const struct store_config *config, char *role, size_t size, struct err *err)
{
    struct store_backend *backend = pgsql_backend_create(config, config->database_url);
    struct pgsql_connection *connection = pgsql_connection_create(backend);
    PGresult *answer = NULL;
    enum status st = pgsql_connect(connection, err);

    if (st == ST_OK)
        st = pgsql_ask(connection, PGSQL_ROLE, 0, NULL, &answer, err);
    if (st == ST_OK)
        (void)snprintf(role, size, "%s", PQgetvalue(answer, 0, 1));
    PQclear(answer);
    pgsql_connection_destroy(&connection);
    pgsql_backend_close(&backend);
    return st == ST_OK ? ST_OK : err_wrap(err, "database.url");
}

enum status
store_migrate_server(const struct store_config *config, const char *migration_url,
                     store_on_migration on_step, void *context, struct err *err)
{
    char role[80] = "";
    struct store_config patient = *config;
    struct store_backend *backend;
    struct migration migration = {.application_role = role, .on_step = on_step, .context = context};
    enum status st = find_role(config, role, sizeof(role), err);

    if (st != ST_OK)
        return st;
    patient.statement_timeout_ms = 3600 * 1000;
    backend = pgsql_backend_create(&patient, migration_url);
    migration.connection = pgsql_connection_create(backend);
    st = pgsql_connect(migration.connection, err);
    if (st != ST_OK)
        (void)err_wrap(err, "database.migration_url");
    else
        st = migrate(&migration, err);
    pgsql_connection_destroy(&migration.connection);
    pgsql_backend_close(&backend);
    return st;
}
