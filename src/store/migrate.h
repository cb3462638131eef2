/*
 * migrate.h - numbered, forward-only schema changes, compiled in
 *
 * A file src/store/sql/<engine>_<control|tenant>_<NNNN>.sql brings a database from version NNNN - 1
 * to NNNN. Each is applied in one transaction together with the new version, under the writer's
 * lock: a crash leaves the version before or after. Blocks: on the database.
 */
#ifndef PARLEY_STORE_MIGRATE_H
#define PARLEY_STORE_MIGRATE_H

#include "store/store_driver.h"

/* The version this build knows. */
int store_schema_version(const struct store_driver *driver, bool control);

/* The file that leads to a version; a view without pointer when this build has none. */
struct str store_schema_step(const struct store_driver *driver, bool control, int version);

/* ST_CONFLICT: a newer Parley wrote it, and allow_newer is false. */
MUST_USE enum status store_migrate(const struct store_driver *driver,
                                   struct store_database *database, const struct store_place *place,
                                   bool allow_newer, struct err *err);

#endif
