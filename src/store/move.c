/*
 * move.c - the order of a move: mark, copy, compare, unmark
 */
#include "store/move.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "store/move_private.h"
#include "store/tenant_scope_driver.h"

/* The first character of a mark; behind it stands which source it is. */
#define COPYING 'c'
#define VERIFIED 'v'

struct places {
    struct arena *arena;
    struct id_text *ids; /* in order */
    size_t count, capacity;
};

struct move {
    const struct store_move_spec *spec;
    struct arena *arena;
    struct store *from, *to;
    char mark[STORE_MARK_SIZE]; /* as it stands in the target */
    struct places places;       /* the source's organizations */
    struct move_schema control, tenants;
    struct move_sum *sums; /* of the control's tables, then of the organizations' */
    struct move_pages pages;
    struct store_progress progress;
};

/* --- the two sides --- */

static bool
is_server(const struct store_config *config)
{
    return config->database_url != NULL && config->database_url[0] != '\0';
}

/* Opening a folder would make it. */
static enum status
check_source(const struct store_config *from, struct err *err)
{
    char *control = NULL;
    enum status st = ST_OK;

    if (is_server(from))
        return ST_OK;
    if (asprintf(&control, "%s/control.db", from->data_folder) < 0)
        abort();
    if (access(control, F_OK) != 0)
        st = err_set(err, ST_NOT_FOUND, "there is no data in the folder \"%.100s\"",
                     from->data_folder);
    free(control);
    return st;
}

/* Which source it is, without its password. */
static void
make_mark(const struct store_config *from, char mark_out[STORE_MARK_SIZE])
{
    char *real = is_server(from) ? NULL : realpath(from->data_folder, NULL);
    struct str name = str_from_c(is_server(from) ? from->database_url : real);
    unsigned char hash[MOVE_HASH_BYTES - 1];

    (void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)name.ptr, name.len, NULL,
                             0);
    mark_out[0] = COPYING;
    (void)sodium_bin2hex(mark_out + 1, STORE_MARK_SIZE - 1, hash, sizeof(hash));
    free(real);
}

static enum status
open_sides(struct move *move, struct err *err)
{
    struct store_config from = move->spec->from;
    struct store_config to = move->spec->to;
    enum status st = check_source(&from, err);

    from.alone = to.alone = true;
    to.allow_unfinished_move = true;
    if (st == ST_OK)
        st = store_open(&from, &move->from, err);
    if (st != ST_OK)
        return err_wrap(err, "the source");
    st = store_open(&to, &move->to, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "the target");
}

/* --- organizations --- */

static enum status
note_place(const struct store_place *place, void *arg, struct err *err)
{
    struct places *places = arg;

    (void)err;
    if (places->count == places->capacity) {
        struct id_text *more;

        places->capacity = places->capacity == 0 ? 64 : places->capacity * 2;
        more = ARENA_NEW_N(places->arena, struct id_text, places->capacity);
        if (places->count > 0)
            memcpy(more, places->ids, places->count * sizeof(*more));
        places->ids = more;
    }
    places->ids[places->count++] = place->organization_id;
    return ST_OK;
}

static int
compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct id_text));
}

static enum status
list_places(const struct store *store, struct arena *arena, struct places *places_out,
            struct err *err)
{
    enum status st;

    *places_out = (struct places){.arena = arena};
    st = store->driver->database_list(store->backend, note_place, places_out, err);
    if (st == ST_OK && places_out->count > 1)
        qsort(places_out->ids, places_out->count, sizeof(*places_out->ids), compare_ids);
    return st;
}

static struct tenant_scope
scope_of(const struct id_text *id)
{
    return (struct tenant_scope){{*id}, "move"};
}

static void
tell(struct move *move, const char *what, bool step)
{
    if (step)
        move->progress.done++;
    move->progress.what = what;
    if (move->spec->on_progress != NULL)
        move->spec->on_progress(&move->progress, move->spec->context);
}

/* --- before --- */

static enum status
clear_target(struct move *move, const struct places *places, struct err *err)
{
    const struct move_side control = {move->to, NULL};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < places->count; i++) {
        struct tenant_scope scope = scope_of(&places->ids[i]);

        tell(move, "clearing the target", false);
        st = store_tenant_delete(move->to, &scope, err);
    }
    for (size_t i = move->control.table_count; st == ST_OK && i > 0; i--)
        st = move_rows_clear(&move->control.tables[i - 1], &control, err);
    return st == ST_OK ? ST_OK : err_wrap(err, "clear the target");
}

static enum status
check_empty(struct move *move, const struct places *places, struct err *err)
{
    const struct move_side control = {move->to, NULL};
    bool empty = places->count == 0;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < move->control.table_count; i++) {
        int64_t count = 0;

        st = move_rows_count(&move->control.tables[i], &control, &count, err);
        empty = empty && count == 0;
    }
    if (st == ST_OK && !empty)
        st = err_set(err, ST_CONFLICT, "the target is not empty: a move fills an empty one only");
    return st;
}

/* Of the progress: how often each table's rows are gone through. */
static unsigned
passes(const struct move *move)
{
    return move->mark[0] == VERIFIED ? 1 : 2;
}

/* The target's mark decides what there is to do. */
static enum status
begin(struct move *move, bool *went_on_out, struct err *err)
{
    const struct store_driver *driver = move->to->driver;
    char own[STORE_MARK_SIZE];
    struct places there;
    enum status st = driver->mark_get(move->to->backend, move->mark, err);

    make_mark(&move->spec->from, own);
    if (st == ST_OK)
        st = list_places(move->to, move->arena, &there, err);
    if (st != ST_OK)
        return st;
    *went_on_out = move->mark[0] != '\0' && !move->spec->restart;
    if (*went_on_out)
        return strcmp(move->mark + 1, own + 1) == 0
                   ? ST_OK
                   : err_set(
                         err, ST_CONFLICT,
                         "the target holds an unfinished move from elsewhere: name that source, "
                         "or throw away what was moved with --restart");
    if (move->mark[0] == '\0')
        st = check_empty(move, &there, err);
    memcpy(move->mark, own, sizeof(own));
    if (st == ST_OK)
        st = driver->mark_set(move->to->backend, move->mark, err);
    return st == ST_OK && move->spec->restart ? clear_target(move, &there, err) : st;
}

/* --- copying --- */

static enum status
copy_tables(struct move *move, const struct move_schema *schema, const struct tenant_scope *scope,
            struct err *err)
{
    const struct move_side from = {move->from, scope};
    const struct move_side to = {move->to, scope};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < schema->table_count; i++) {
        tell(move, schema->tables[i].name.ptr, true);
        st = move_rows_copy(&schema->tables[i], &from, &to, &move->pages, err);
    }
    return st;
}

/* Both sides' tables of organizations are looked at in the first one's database. */
static enum status
read_tenant_schema(struct move *move, const struct tenant_scope *scope, struct err *err)
{
    const struct move_side from = {move->from, scope};
    const struct move_side to = {move->to, scope};
    enum status st;

    if (move->tenants.table_count > 0)
        return ST_OK;
    st = move_schema_read(&from, &to, move->arena, &move->tenants, err);
    move->progress.total +=
        passes(move) * (unsigned)(move->tenants.table_count * move->places.count);
    return st;
}

static enum status
copy(struct move *move, struct err *err)
{
    enum status st = ST_OK;

    if (move->mark[0] == COPYING)
        st = copy_tables(move, &move->control, NULL, err);
    for (size_t i = 0; st == ST_OK && i < move->places.count; i++) {
        struct tenant_scope scope = scope_of(&move->places.ids[i]);

        st = store_tenant_create(move->to, &scope, err);
        if (st == ST_OK)
            st = read_tenant_schema(move, &scope, err);
        if (st == ST_OK && move->mark[0] == COPYING)
            st = copy_tables(move, &move->tenants, &scope, err);
        if (st == ST_OK && move->spec->on_copied != NULL)
            st = move->spec->on_copied(move->to, &scope, move->spec->context, err);
        if (st != ST_OK)
            return err_wrap(err, "organization %s", move->places.ids[i].text);
    }
    return st;
}

/* --- comparing --- */

static enum status
compare_tables(struct move *move, const struct move_schema *schema, struct move_sum *sums,
               const struct tenant_scope *scope, struct err *err)
{
    const struct move_side from = {move->from, scope};
    const struct move_side to = {move->to, scope};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < schema->table_count; i++) {
        const struct move_table *table = &schema->tables[i];
        struct move_sum sum, copied;

        tell(move, table->name.ptr, true);
        st = move_rows_sum(table, &from, &move->pages, &sum, err);
        /* What was verified may have been changed since, as on_verified may. */
        if (st != ST_OK || move->mark[0] == VERIFIED) {
            copied = sum;
        } else {
            st = move_rows_sum(table, &to, &move->pages, &copied, err);
        }
        if (st == ST_OK && !move_sum_eq(&sum, &copied))
            st = err_set_detail(err, ST_INTERNAL,
                                "table %.*s is not the same: %lld rows in the source, %lld in the "
                                "target; --restart throws away what was moved and begins anew",
                                STR_ARG(table->name), (long long)sum.rows, (long long)copied.rows);
        if (st == ST_OK)
            move_sum_add(&sums[i], &sum);
    }
    return st;
}

static enum status
compare_places(struct move *move, struct err *err)
{
    struct places there;
    enum status st = list_places(move->to, move->arena, &there, err);

    if (st == ST_OK && (there.count != move->places.count ||
                        (there.count > 0 && memcmp(there.ids, move->places.ids,
                                                   there.count * sizeof(*there.ids)) != 0)))
        st = err_set_detail(err, ST_INTERNAL,
                            "the target has %zu organizations, not the source's %zu; --restart "
                            "throws away what was moved and begins anew",
                            there.count, move->places.count);
    return st;
}

static enum status
compare(struct move *move, struct err *err)
{
    size_t tables = move->control.table_count + move->tenants.table_count;
    enum status st = compare_places(move, err);

    move->sums = ARENA_NEW_N(move->arena, struct move_sum, tables + 1);
    if (st == ST_OK)
        st = compare_tables(move, &move->control, move->sums, NULL, err);
    for (size_t i = 0; st == ST_OK && i < move->places.count; i++) {
        struct tenant_scope scope = scope_of(&move->places.ids[i]);

        st = compare_tables(move, &move->tenants, move->sums + move->control.table_count, &scope,
                            err);
        if (st != ST_OK)
            return err_wrap(err, "organization %s", move->places.ids[i].text);
    }
    return st;
}

/* --- the end --- */

static enum status
check_alone(const struct move *move, struct err *err)
{
    enum status st = move->from->driver->alone_check(move->from->backend, err);

    return st == ST_OK ? move->to->driver->alone_check(move->to->backend, err) : st;
}

static enum status
end(struct move *move, struct err *err)
{
    const struct store_driver *driver = move->to->driver;
    enum status st = check_alone(move, err);

    move->mark[0] = VERIFIED;
    if (st == ST_OK)
        st = driver->mark_set(move->to->backend, move->mark, err);
    FAILPOINT("move.verified");
    for (size_t i = 0; st == ST_OK && i < move->places.count; i++) {
        struct tenant_scope scope = scope_of(&move->places.ids[i]);

        if (move->spec->on_verified != NULL)
            st = move->spec->on_verified(move->to, &scope, move->spec->context, err);
    }
    FAILPOINT("move.ended");
    return st == ST_OK ? driver->mark_set(move->to->backend, "", err) : st;
}

static void
tell_schema(const struct move *move, const struct move_schema *schema, const struct move_sum *sums,
            struct store_move_result *result)
{
    for (size_t i = 0; i < schema->table_count; i++) {
        struct store_move_table *table = &result->tables[result->table_count++];
        unsigned char bytes[MOVE_HASH_BYTES];

        /* Of the sum's bytes in a fixed order, so that it reads alike everywhere. */
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (unsigned char)(sums[i].lanes[at / 8] >> (at % 8 * 8));
        *table = (struct store_move_table){.name = arena_str(move->arena, schema->tables[i].name),
                                           .of_organizations = schema->of_organizations,
                                           .rows = sums[i].rows};
        (void)sodium_bin2hex(table->checksum, sizeof(table->checksum), bytes, sizeof(bytes));
        result->row_count += sums[i].rows;
    }
}

static enum status
run(struct move *move, struct store_move_result *result, struct err *err)
{
    const struct move_side from = {move->from, NULL};
    const struct move_side to = {move->to, NULL};
    enum status st = move_schema_read(&from, &to, move->arena, &move->control, err);

    if (st == ST_OK)
        st = list_places(move->from, move->arena, &move->places, err);
    if (st == ST_OK)
        st = begin(move, &result->went_on, err);
    move->progress.total = passes(move) * (unsigned)move->control.table_count;
    if (st == ST_OK)
        st = copy(move, err);
    FAILPOINT("move.copied");
    if (st == ST_OK)
        st = compare(move, err);
    if (st == ST_OK)
        st = end(move, err);
    if (st != ST_OK)
        return st;
    result->organization_count = move->places.count;
    result->tables = ARENA_NEW_N(move->arena, struct store_move_table,
                                 move->control.table_count + move->tenants.table_count + 1);
    tell_schema(move, &move->control, move->sums, result);
    tell_schema(move, &move->tenants, move->sums + move->control.table_count, result);
    return ST_OK;
}

enum status
store_move(const struct store_move_spec *spec, struct arena *arena,
           struct store_move_result *result_out, struct err *err)
{
    struct move move = {.spec = spec, .arena = arena};
    enum status st;

    *result_out = (struct store_move_result){0};
    if (sodium_init() < 0)
        return err_set(err, ST_INTERNAL, "no cryptography");
    move_pages_init(&move.pages);
    st = open_sides(&move, err);
    if (st == ST_OK)
        st = run(&move, result_out, err);
    store_close(&move.to);
    store_close(&move.from);
    move_pages_deinit(&move.pages);
    return st;
}
