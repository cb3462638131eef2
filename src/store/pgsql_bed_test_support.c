/*
 * pgsql_bed_test_support.c - see the header
 */
#include "store/pgsql_bed_test_support.h"

#include "base/testing.h"
#include "store/store_test_sql.h"

struct pgsql_server bed_server; /* lint-allow(globals): one server for the tests of a program */

/* store goes through the proxy, second does not. */
void
make_bed(struct bed *bed)
{
    char url[PGSQL_URL_SIZE];
    struct store_config config = {
        .database_url = url, .connect_timeout_ms = 2000, .statement_timeout_ms = 60000};
    struct err err;

    memset(bed, 0, sizeof(*bed));
    pgsql_database_make(&bed_server, &bed->database);
    cut_proxy_start(&bed->proxy, bed_server.port);
    pgsql_server_url(&bed_server, PGSQL_APP, bed->database.name, bed->proxy.port, url);
    ASSERT_OK(store_open(&config, &bed->store, &err), &err);
    config.database_url = bed->database.url;
    config.statement_timeout_ms = 3000;
    ASSERT_OK(store_open(&config, &bed->second, &err), &err);
    bed->scope = (struct tenant_scope){ID_NEW(organization_id), "test"};
    bed->channel = ID_NEW(channel_id);
    ASSERT_OK(store_tenant_create(bed->store, &bed->scope, &err), &err);
}

void
end_bed(struct bed *bed)
{
    store_close(&bed->store);
    store_close(&bed->second);
    cut_proxy_stop(&bed->proxy);
}

enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct str name = str_from_c(note->name);
    struct store_rows *rows = NULL;
    enum status st =
        store_exec(tx, &TEST_NOTE_INSERT,
                   ARGS(sv_id(note->bed->channel), sv_text(name), sv_text(name)), NULL, err);

    note->runs++;
    if (st == ST_OK && note->runs == 1 && note->disturb != NULL)
        note->disturb();
    if (st == ST_OK && note->then != NULL) {
        st = store_query(tx, note->then, NO_ARGS, &rows, err);
        while (st == ST_OK && store_rows_next(rows))
            continue;
        if (st == ST_OK)
            st = store_rows_close(&rows, err);
    }
    return st;
}

enum status
insert(struct store *store, struct note *note, struct err *err)
{
    return store_run(store, &note->bed->scope, "test_insert", STORE_DURABLE, insert_work, note,
                     err);
}

enum status
count_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &TEST_NOTE_COUNT, ARGS(sv_id(note->bed->channel)), &rows, err);

    if (st != ST_OK)
        return st;
    note->count = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

int64_t
count(struct bed *bed)
{
    struct note note = {.bed = bed};
    struct err err;

    ASSERT_OK(store_read(bed->second, &bed->scope, "test_count", count_work, &note, &err), &err);
    return note.count;
}

void
restart_fast(void)
{
    pgsql_server_command(&bed_server, "stop fast");
    pgsql_server_command(&bed_server, "start");
}

void
restart_after_crash(void)
{
    pgsql_server_command(&bed_server, "stop immediate");
    pgsql_server_command(&bed_server, "start");
}
