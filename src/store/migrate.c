/*
 * migrate.c - finds the steps among the compiled-in files and applies those that are missing
 */
#include "store/migrate.h"

#include <stdio.h>

#include "base/embedded.h"
#include "base/log.h"

extern const struct embedded_file store_schema_files[];

struct str
store_schema_step(const struct store_driver *driver, bool control, int version)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s_%s_%04d.sql", driver->name,
                   control ? "control" : "tenant", version);
    return embedded_find(store_schema_files, str_from_c(name));
}

int
store_schema_version(const struct store_driver *driver, bool control)
{
    int version = 0;

    while (store_schema_step(driver, control, version + 1).ptr != NULL)
        version++;
    return version;
}

static bool
is_control(const struct store_place *place)
{
    return id_is_none(&place->organization_id);
}

/* The version is read again inside: another process may have migrated in between. */
static enum status
apply_next(const struct store_driver *driver, struct store_connection *connection,
           const struct store_place *place, int known, int *version_out, struct err *err)
{
    int64_t ticket;
    int version = 0;
    enum status st = driver->begin(connection, STORE_WRITE, place, err);

    if (st != ST_OK)
        return st;
    st = driver->version_get(connection, &version, err);
    if (st == ST_OK && version < known) {
        version++;
        st = driver->script(connection, store_schema_step(driver, is_control(place), version), err);
        if (st == ST_OK)
            st = driver->version_set(connection, version, err);
    }
    if (st != ST_OK) {
        driver->rollback(connection);
        return err_wrap(err, "migrate to version %d", version);
    }
    *version_out = version;
    return driver->commit(connection, STORE_DURABLE, &ticket, err);
}

enum status
store_migrate(const struct store_driver *driver, struct store_database *database,
              const struct store_place *place, bool allow_newer, struct err *err)
{
    struct store_connection *connection = NULL;
    int known = store_schema_version(driver, is_control(place));
    int version = 0;
    int before;
    enum status st = driver->take(database, STORE_WRITE, &connection, err);

    if (st != ST_OK)
        return st;
    st = driver->version_get(connection, &version, err);
    before = version;
    while (st == ST_OK && version < known)
        st = apply_next(driver, connection, place, known, &version, err);
    driver->give(database, &connection);
    if (st == ST_OK && version > known && !allow_newer)
        st = err_set(err, ST_CONFLICT,
                     "the data was written by a newer Parley (schema %d; this one knows %d)",
                     version, known);
    if (st == ST_OK && before != version && before > 0)
        LOG(LOG_INFO, "store.migrated", log_int("from", before), log_int("to", version));
    return st;
}
