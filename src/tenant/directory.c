/*
 * directory.c - every organization's channels of one source, for pollers
 */
#include <string.h>

#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"

struct listing {
    struct str source;
    struct arena *arena;
    struct channel_entry *entries;
    size_t count, capacity;
};

static void
add(struct listing *listing, struct channel_entry entry)
{
    if (listing->count == listing->capacity) {
        struct channel_entry *more;

        listing->capacity = listing->capacity == 0 ? 16 : listing->capacity * 2;
        more = ARENA_NEW_N(listing->arena, struct channel_entry, listing->capacity);
        if (listing->count > 0)
            memcpy(more, listing->entries, listing->count * sizeof(*more));
        listing->entries = more;
    }
    listing->entries[listing->count++] = entry;
}

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct listing *listing = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_DIRECTORY_LIST, ARGS(sv_text(listing->source)), &rows, err);

    listing->count = 0;
    while (st == ST_OK && store_rows_next(rows))
        add(listing, (struct channel_entry){
                         .organization_id = STORE_COL_ID(rows, 1, organization_id),
                         .channel_id = STORE_COL_ID(rows, 0, channel_id),
                     });
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
channel_directory_list(struct tenants *tenants, struct str source, struct arena *arena,
                       struct channel_entry **entries_out, size_t *count_out, struct err *err)
{
    struct listing listing = {.source = source, .arena = arena};
    enum status st = store_control_read(tenants->store, "directory_list", list_work, &listing, err);

    *entries_out = listing.entries;
    *count_out = st == ST_OK ? listing.count : 0;
    return st;
}
