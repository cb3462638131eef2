/*
 * organizations.c - organizations over two databases, their users and brands
 *
 *   create:  row 'creating' --> file, default brand --> row 'active'
 *   delete:  row 'deleting', keys and channels gone --> file removed --> row removed
 *
 * Only 'active' and 'suspended' rows are visible. A crash leaves a row that says what to undo or to
 * finish; the next start does it.
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"
#include "text/json.h"

#define NAME_MAX_BYTES 200
/* Far more than making an organization takes. */
#define CREATING_TAKES_US (600 * US_PER_S)
#define ARENA_MAX_BYTES ((size_t)1024 * 1024)

static struct organization
read_organization(struct store_rows *rows, struct arena *arena)
{
    return (struct organization){
        .id = STORE_COL_ID(rows, 0, organization_id),
        .name = arena_str(arena, store_col_text(rows, 1)),
        .slug = arena_str(arena, store_col_text(rows, 2)),
        .status = arena_str(arena, store_col_text(rows, 3)),
        .created_at_us = store_col_int(rows, 4),
    };
}

/* --- create --- */

struct create {
    struct tenants *tenants;
    const struct organization_spec *spec;
    struct organization_id id;
    struct user_id owner_id;
    struct brand_id brand_id;
    int64_t now_us;
    struct str status;
};

static bool
is_slug(struct str slug)
{
    for (size_t i = 0; i < slug.len; i++) {
        char c = slug.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return slug.len >= 1 && slug.len <= 40;
}

static bool
is_line(struct str text)
{
    return text.len >= 1 && text.len <= NAME_MAX_BYTES && str_is_utf8(text) &&
           str_find_byte(text, '\0') < 0 && str_find_byte(text, '\n') < 0;
}

static enum status
check_spec(const struct organization_spec *spec, struct err *err)
{
    struct id_text id;
    struct err ignored;

    if (!is_slug(spec->slug))
        return err_set(err, ST_INVALID,
                       "the short name has 1 to 40 of the characters a-z, 0-9 and '-'");
    /* Both are accepted where an organization is named. */
    if (id_parse(spec->slug, &id, &ignored) == ST_OK)
        return err_set(err, ST_INVALID, "the short name must not look like an id");
    if (!is_line(spec->name))
        return err_set(err, ST_INVALID, "the name has 1 to %d bytes", NAME_MAX_BYTES);
    if (!is_line(spec->owner_email) || str_find_byte(spec->owner_email, '@') < 1)
        return err_set(err, ST_INVALID, "the owner's e-mail address is not one");
    if (!is_line(spec->owner_name))
        return err_set(err, ST_INVALID, "the owner's name has 1 to %d bytes", NAME_MAX_BYTES);
    return ST_OK;
}

static enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;
    const struct organization_spec *spec = create->spec;
    int64_t inserted; /* asked for, so that a conflict shows here */
    enum status st = store_exec(
        tx, &SQL_ORGANIZATION_INSERT,
        ARGS(sv_id(create->id), sv_text(spec->name), sv_text(spec->slug), sv_int(create->now_us)),
        &inserted, err);

    if (st == ST_CONFLICT)
        return err_set(err, ST_CONFLICT, "the short name is taken");
    if (st == ST_OK)
        st = store_exec(tx, &SQL_USER_INSERT,
                        ARGS(sv_id(create->id), sv_id(create->owner_id), sv_text(spec->owner_email),
                             sv_text(spec->owner_name), sv_int(create->now_us)),
                        NULL, err);
    return st;
}

static enum status
brand_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;

    return store_exec(
        tx, &SQL_BRAND_INSERT,
        ARGS(sv_id(create->brand_id), sv_text(create->spec->name), sv_int(create->now_us)), NULL,
        err);
}

static enum status
status_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;

    return store_exec(tx, &SQL_ORGANIZATION_SET_STATUS,
                      ARGS(sv_id(create->id), sv_text(create->status)), NULL, err);
}

static enum status
remove_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct organization_id *id = arg;

    return store_exec(tx, &SQL_ORGANIZATION_DELETE, ARGS(sv_id(*id)), NULL, err);
}

/* The file before the row: without its row nobody would find the file again. */
static enum status
remove_all(struct tenants *tenants, struct organization_id id, struct err *err)
{
    struct arena *arena = arena_create(ARENA_MAX_BYTES);
    enum status st =
        store_tenant_delete(tenants->store, admission_scope(id, "operator", arena), err);

    if (st == ST_OK)
        st = store_control_run(tenants->store, "organization_remove", remove_work, &id, err);
    arena_destroy(&arena);
    return st;
}

static enum status
make_database(struct tenants *tenants, struct create *create, struct arena *arena, struct err *err)
{
    const struct tenant_scope *scope = admission_scope(create->id, "operator", arena);
    enum status st = store_tenant_create(tenants->store, scope, err);

    if (st == ST_OK)
        st = store_run(tenants->store, scope, "brand_create", STORE_DURABLE, brand_work, create,
                       err);
    if (st == ST_OK)
        st = store_control_run(tenants->store, "organization_activate", status_work, create, err);
    return st;
}

enum status
organization_create(struct tenants *tenants, const struct organization_spec *spec,
                    struct arena *arena, struct organization *organization_out, struct err *err)
{
    struct create create = {
        .tenants = tenants,
        .spec = spec,
        .id = ID_NEW(organization_id),
        .owner_id = ID_NEW(user_id),
        .brand_id = ID_NEW(brand_id),
        .now_us = clock_wall_us(tenants->clock),
        .status = STR("active"),
    };
    enum status st = check_spec(spec, err);

    if (st == ST_OK)
        st = store_control_run(tenants->store, "organization_create", insert_work, &create, err);
    if (st != ST_OK)
        return st;
    st = make_database(tenants, &create, arena, err);
    if (st != ST_OK && st != ST_UNCERTAIN) {
        struct err undo;

        /* What cannot be undone now is undone at the next start. */
        if (remove_all(tenants, create.id, &undo) != ST_OK)
            LOG_ERR(LOG_ERROR, "organization.undo_failed", &undo);
    }
    if (st != ST_OK)
        return err_wrap(err, "create organization");
    *organization_out = (struct organization){
        .id = create.id,
        .name = arena_str(arena, spec->name),
        .slug = arena_str(arena, spec->slug),
        .status = STR("active"),
        .created_at_us = create.now_us,
    };
    return ST_OK;
}

/* --- delete --- */

static enum status
retire_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;
    enum status st = status_work(tx, create, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_DIRECTORY_CLEAR, ARGS(sv_id(create->id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_KEY_REVOKE_ALL, ARGS(sv_id(create->id), sv_int(create->now_us)),
                        NULL, err);
    for (int kind = 0; st == ST_OK && kind < RECORD_KINDS; kind++)
        st = revision_raise(create->tenants, tx, (enum record_kind)kind, err);
    return st;
}

enum status
organization_delete(struct tenants *tenants, const struct tenant_scope *scope, struct err *err)
{
    struct create create = {
        .tenants = tenants,
        .id = tenant_scope_organization(scope),
        .now_us = clock_wall_us(tenants->clock),
        .status = STR("deleting"),
    };
    struct organization organization;
    struct arena *arena = arena_create(ARENA_MAX_BYTES);
    enum status st = organization_get(tenants, scope, arena, &organization, err);

    if (st == ST_OK)
        st = store_control_run(tenants->store, "organization_retire", retire_work, &create, err);
    if (st == ST_OK) {
        /* Rare, so the caches are emptied rather than searched. */
        record_cache_forget_all(tenants->organizations);
        record_cache_forget_all(tenants->keys);
        record_cache_forget_all(tenants->channels);
        record_cache_forget_all(tenants->accounts);
        st = remove_all(tenants, create.id, err);
    }
    arena_destroy(&arena);
    return st;
}

/* --- recovery --- */

struct unfinished {
    int64_t created_by_us; /* later ones may still be in the making */
    struct organization_id id;
    bool found;
};

static enum status
unfinished_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct unfinished *unfinished = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_ORGANIZATION_UNFINISHED,
                                     ARGS(sv_int(unfinished->created_by_us)), &rows, err);

    unfinished->found = st == ST_OK;
    if (st == ST_NOT_FOUND)
        return ST_OK;
    if (st == ST_OK)
        unfinished->id = STORE_COL_ID(rows, 0, organization_id);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
organizations_recover(struct tenants *tenants, struct err *err)
{
    /* Another process may be making one this very moment. To remove one twice does no harm. */
    struct unfinished unfinished = {
        .found = true,
        .created_by_us = store_is_shared(tenants->store)
                             ? clock_wall_us(tenants->clock) - CREATING_TAKES_US
                             : INT64_MAX,
    };
    enum status st = ST_OK;

    while (st == ST_OK && unfinished.found) {
        st = store_control_read(tenants->store, "organization_unfinished", unfinished_work,
                                &unfinished, err);
        if (st == ST_OK && unfinished.found) {
            LOG(LOG_WARN, "organization.unfinished_removed",
                log_str("organization_id", ID_STR(unfinished.id)));
            st = remove_all(tenants, unfinished.id, err);
        }
    }
    return st;
}

/* --- reading --- */

struct find {
    const struct store_sql *sql;
    struct str key;
    struct arena *arena;
    struct organization organization;
};

static enum status
find_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct find *find = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, find->sql, ARGS(sv_text(find->key)), &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? err_set(err, st, "no such organization") : st;
    find->organization = read_organization(rows, find->arena);
    return store_rows_close(&rows, err);
}

enum status
organization_find(struct tenants *tenants, struct str id_or_slug, struct arena *arena,
                  struct organization *organization_out, struct err *err)
{
    struct id_text id;
    struct err ignored;
    struct find find = {&SQL_ORGANIZATION_BY_SLUG, id_or_slug, arena, {.name = STR_EMPTY}};
    enum status st;

    if (id_or_slug.len == 0)
        return err_set(err, ST_NOT_FOUND, "no such organization");
    if (id_parse(id_or_slug, &id, &ignored) == ST_OK)
        find.sql = &SQL_ORGANIZATION_BY_ID;
    st = store_control_read(tenants->store, "organization_find", find_work, &find, err);
    *organization_out = find.organization;
    return st;
}

enum status
organization_get(struct tenants *tenants, const struct tenant_scope *scope, struct arena *arena,
                 struct organization *organization_out, struct err *err)
{
    struct organization_id id = tenant_scope_organization(scope);

    return organization_find(tenants, ID_STR(id), arena, organization_out, err);
}

struct list {
    struct str after;
    size_t limit;
    struct arena *arena;
    size_t count;
    struct organization *organizations;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct list *list = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_ORGANIZATION_LIST,
                    ARGS(sv_text(list->after), sv_int((int64_t)list->limit)), &rows, err);

    list->count = 0;
    while (st == ST_OK && store_rows_next(rows))
        list->organizations[list->count++] = read_organization(rows, list->arena);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
organization_list(struct tenants *tenants, struct organization_id after, size_t limit,
                  struct arena *arena, struct organization **organizations_out, size_t *count_out,
                  struct err *err)
{
    struct list list = {
        .after = str_of(after.id.text, strlen(after.id.text)), /* "" is before every id */
        .limit = limit > 1000 ? 1000 : limit,
        .arena = arena,
    };
    enum status st;

    list.organizations = ARENA_NEW_N(arena, struct organization, list.limit + 1);
    st = store_control_read(tenants->store, "organization_list", list_work, &list, err);
    *organizations_out = list.organizations;
    *count_out = st == ST_OK ? list.count : 0;
    return st;
}

struct users {
    struct organization_id organization_id;
    struct arena *arena;
    struct user *users;
    size_t count, capacity;
};

static enum status
users_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct users *users = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_USER_LIST, ARGS(sv_id(users->organization_id)), &rows, err);

    users->count = 0;
    while (st == ST_OK && store_rows_next(rows)) {
        if (users->count == users->capacity) {
            struct user *more;

            users->capacity = users->capacity == 0 ? 8 : users->capacity * 2;
            more = ARENA_NEW_N(users->arena, struct user, users->capacity);
            if (users->count > 0)
                memcpy(more, users->users, users->count * sizeof(*more));
            users->users = more;
        }
        users->users[users->count++] = (struct user){
            .id = STORE_COL_ID(rows, 0, user_id),
            .email = arena_str(users->arena, store_col_text(rows, 1)),
            .display_name = arena_str(users->arena, store_col_text(rows, 2)),
            .role = arena_str(users->arena, store_col_text(rows, 3)),
            .created_at_us = store_col_int(rows, 4),
        };
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
user_list(struct tenants *tenants, const struct tenant_scope *scope, struct arena *arena,
          struct user **users_out, size_t *count_out, struct err *err)
{
    struct users users = {.organization_id = tenant_scope_organization(scope), .arena = arena};
    enum status st = store_control_read(tenants->store, "user_list", users_work, &users, err);

    *users_out = users.users;
    *count_out = st == ST_OK ? users.count : 0;
    return st;
}

/* --- brands --- */

static int64_t
passage_setting(struct store_rows *rows, int column)
{
    return store_col_is_null(rows, column) ? PASSAGES_AS_SERVER : store_col_int(rows, column);
}

static struct store_value
passage_value(int64_t setting)
{
    return setting == PASSAGES_AS_SERVER ? sv_null() : sv_int(setting);
}

enum status
brand_get(struct store_tx *tx, struct brand_id id, struct arena *arena, struct brand *brand_out,
          struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = id_is_none(&id.id)
                         ? store_query_one(tx, &SQL_BRAND_DEFAULT, NO_ARGS, &rows, err)
                         : store_query_one(tx, &SQL_BRAND_GET, ARGS(sv_id(id)), &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? err_set(err, st, "no such brand") : st;
    brand_out->id = STORE_COL_ID(rows, 0, brand_id);
    brand_out->name = arena_str(arena, store_col_text(rows, 1));
    brand_out->persona = arena_str(arena, store_col_text(rows, 2));
    brand_out->passages =
        (struct passage_settings){passage_setting(rows, 3), passage_setting(rows, 4)};
    return store_rows_close(&rows, err);
}

enum status
brand_update(struct store_tx *tx, const struct brand *brand, struct err *err)
{
    int64_t changed = 0;
    json_auto_t *persona = NULL;
    enum status st = json_parse(brand->persona, &persona, err);

    if (st == ST_OK && !json_is_object(persona))
        st = err_set(err, ST_INVALID, "the persona is not a JSON object");
    if (st == ST_OK && !is_line(brand->name))
        st = err_set(err, ST_INVALID, "the name has 1 to %d bytes", NAME_MAX_BYTES);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_BRAND_UPDATE,
                        ARGS(sv_id(brand->id), sv_text(brand->name), sv_text(brand->persona),
                             passage_value(brand->passages.words),
                             passage_value(brand->passages.overlap)),
                        &changed, err);
    if (st == ST_OK && changed == 0)
        st = err_set(err, ST_NOT_FOUND, "no such brand");
    return st;
}
