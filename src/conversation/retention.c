/*
 * retention.c - removes what is older than its time, in small transactions
 */
#include "conversation/retention.h"

#include "conversation/retention_sql.h"

struct removal {
    const struct store_sql *sql;
    int64_t before_us, removed;
};

static enum status
remove_batch(struct store_tx *tx, void *arg, struct err *err)
{
    struct removal *removal = arg;

    return store_exec(tx, removal->sql, ARGS(sv_int(removal->before_us)), &removal->removed, err);
}

enum status
conversation_retention(struct store *store, const struct tenant_scope *scope,
                       const struct retention *retention, int64_t *removed_out, struct err *err)
{
    struct removal removals[] = {
        {.sql = &SQL_EVENTS_REMOVE_OLD, .before_us = retention->events_before_us},
        {.sql = &SQL_QUARANTINE_REMOVE_OLD, .before_us = retention->quarantine_before_us},
        {.sql = &SQL_RECEIPTS_REMOVE_OLD, .before_us = retention->receipts_before_us},
    };
    enum status st = ST_OK;

    *removed_out = 0;
    for (size_t i = 0; st == ST_OK && i < sizeof(removals) / sizeof(removals[0]); i++) {
        do {
            st = store_run(store, scope, "retention", STORE_RELAXED, remove_batch, &removals[i],
                           err);
            if (st == ST_OK)
                *removed_out += removals[i].removed;
        } while (st == ST_OK && removals[i].removed > 0);
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "remove what is old");
}
