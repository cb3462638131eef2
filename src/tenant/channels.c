/*
 * channels.c - connected accounts, over the control database's directory and the tenant's database
 *
 *   create: directory row (reserves the account) --> channel and sealed credentials
 *   delete: directory row away (nothing is admitted any more) --> channel, credentials, notes away
 *
 * A crash after the reservation leaves a directory row without a channel: it admits nobody, and the
 * next one to connect that account removes it.
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"
#include "text/json.h"

#define NAME_MAX_BYTES 200
#define ACCOUNT_MAX_BYTES 500
#define JSON_MAX_BYTES 65536
#define ARENA_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define ORPHAN_AGE_MS (60 * 1000)

struct change {
    struct tenants *tenants;
    struct organization_id organization_id;
    const struct channel_spec *spec;
    struct channel_id id;
    struct brand_id brand_id;
    struct user_id user_id;
    struct str account;  /* without pointer: none, or as it is */
    struct str settings; /* the same */
    bool seals;
    struct sealed sealed;
    struct str status, reason;
    int64_t now_us;
    struct arena *arena;
    /* Who has the account already. */
    struct channel_id holder_id;
    struct organization_id holder_organization;
};

static void
change_init(struct change *change, struct tenants *tenants, const struct tenant_scope *scope,
            struct channel_id id)
{
    memset(change, 0, sizeof(*change));
    change->tenants = tenants;
    change->organization_id = tenant_scope_organization(scope);
    change->id = id;
    change->now_us = clock_wall_us(tenants->clock);
    change->arena = arena_create(ARENA_MAX_BYTES);
}

static enum status
check_text(const char *what, struct str text, size_t max, struct err *err)
{
    if (text.len > max || !str_is_utf8(text) || str_find_byte(text, '\0') >= 0)
        return err_set(err, ST_INVALID, "the channel's %s has at most %zu bytes of text", what,
                       max);
    return ST_OK;
}

/* Copies what the spec says into statement values. */
static enum status
read_spec(struct change *change, const struct tenant_scope *scope, const struct channel_spec *spec,
          struct err *err)
{
    enum status st = check_text("name", spec->name, NAME_MAX_BYTES, err);

    change->spec = spec;
    change->brand_id = spec->brand_id;
    change->user_id = spec->user_id;
    if (st == ST_OK)
        st = check_text("account", spec->account, ACCOUNT_MAX_BYTES, err);
    if (st == ST_OK && spec->account.len > 0)
        change->account = spec->account;
    if (st == ST_OK && spec->settings != NULL) {
        if (!json_is_object(spec->settings))
            return err_set(err, ST_INVALID, "the channel's settings are not a JSON object");
        change->settings = json_text(spec->settings, change->arena);
        if (change->settings.len > JSON_MAX_BYTES)
            return err_set(err, ST_TOO_LARGE, "the channel's settings are too large");
    }
    if (st == ST_OK && spec->credentials != NULL && json_object_size(spec->credentials) > 0) {
        /* Heap that is wiped, not the arena: this is the secret in clear. */
        char *text = json_dumps(spec->credentials, JSON_COMPACT);
        struct str secret = str_from_c(text);

        if (text == NULL || secret.len > JSON_MAX_BYTES) {
            secret_wipe(&secret);
            return err_set(err, ST_TOO_LARGE, "the channel's credentials cannot be kept");
        }
        change->sealed = master_keys_seal(change->tenants->master_keys,
                                          channel_owner_name(scope, change->id, change->arena),
                                          secret, change->arena);
        change->seals = true;
        secret_wipe(&secret);
    }
    return st;
}

/* --- whom it belongs to --- */

/* none: the owner. ST_INVALID: nobody of this organization. */
static enum status
user_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct store_rows *rows = NULL;
    enum status st =
        id_is_none(&change->user_id.id)
            ? store_query_one(tx, &SQL_USER_OWNER, ARGS(sv_id(change->organization_id)), &rows, err)
            : store_query_one(tx, &SQL_USER_FIND,
                              ARGS(sv_id(change->organization_id), sv_id(change->user_id)), &rows,
                              err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such user");
    if (st != ST_OK)
        return st;
    change->user_id = STORE_COL_ID(rows, 0, user_id);
    return store_rows_close(&rows, err);
}

/* --- create --- */

static enum status
reserve_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    enum status st = store_exec(tx, &SQL_DIRECTORY_INSERT,
                                ARGS(sv_id(change->id), sv_id(change->organization_id),
                                     sv_text(change->spec->source), sv_text(change->account)),
                                NULL, err);

    return st == ST_CONFLICT ? err_set(err, st, "that account is connected already") : st;
}

static enum status
holder_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_DIRECTORY_HOLDER,
                        ARGS(sv_text(change->spec->source), sv_text(change->account)), &rows, err);

    if (st != ST_OK)
        return st;
    change->holder_id = STORE_COL_ID(rows, 0, channel_id);
    change->holder_organization = STORE_COL_ID(rows, 1, organization_id);
    return store_rows_close(&rows, err);
}

static enum status
exists_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct channel_id *id = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_CHANNEL_EXISTS, ARGS(sv_id(*id)), &rows, err);

    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

static enum status
release_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;

    return store_exec(tx, &SQL_DIRECTORY_DELETE,
                      ARGS(sv_id(change->holder_organization), sv_id(change->holder_id)), NULL,
                      err);
}

/* Removes a reservation whose channel was never made. The age keeps off those being made now; ids
 * carry the system's time. */
static enum status
release_orphan(struct change *change, struct err *err)
{
    struct store *store = change->tenants->store;
    const struct tenant_scope *scope;
    enum status st = store_control_read(store, "directory_holder", holder_work, change, err);

    if (st == ST_NOT_FOUND)
        return ST_OK; /* given back meanwhile */
    if (st != ST_OK)
        return st;
    if (id_time_ms(&change->holder_id.id) + ORPHAN_AGE_MS >
        clock_wall_us(clock_system()) / US_PER_MS)
        return err_set(err, ST_CONFLICT, "that account is connected already");
    scope = admission_scope(change->holder_organization, "operator", change->arena);
    st = store_read(store, scope, "channel_exists", exists_work, &change->holder_id, err);
    if (st == ST_OK)
        return err_set(err, ST_CONFLICT, "that account is connected already");
    if (st != ST_NOT_FOUND)
        return st;
    return store_control_run(store, "directory_release", release_work, change, err);
}

static enum status
reserve(struct change *change, struct err *err)
{
    struct store *store = change->tenants->store;
    enum status st = store_control_run(store, "channel_reserve", reserve_work, change, err);

    if (st != ST_CONFLICT || change->account.len == 0)
        return st;
    st = release_orphan(change, err);
    if (st == ST_OK)
        st = store_control_run(store, "channel_reserve", reserve_work, change, err);
    return st;
}

static enum status
put_credentials(struct store_tx *tx, struct change *change, struct err *err)
{
    struct id_text reference = id_new();

    if (!change->seals)
        return ST_OK;
    return store_exec(tx, &SQL_CREDENTIAL_PUT,
                      ARGS(sv_text(id_str(&reference)), sv_id(change->id),
                           sv_text(str_from_c(change->sealed.key_id)),
                           sv_blob(change->sealed.bytes), sv_int(change->now_us)),
                      NULL, err);
}

static enum status
insert_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct str settings = change->settings.ptr == NULL ? STR("{}") : change->settings;
    struct brand brand;
    enum status st = brand_get(tx, change->brand_id, change->arena, &brand, err);

    if (st == ST_OK)
        st = store_exec(tx, &SQL_CHANNEL_INSERT,
                        ARGS(sv_id(change->id), sv_text(change->spec->source),
                             sv_text(change->spec->name), sv_id(brand.id), sv_id(change->user_id),
                             sv_text(change->account), sv_text(settings), sv_int(change->now_us)),
                        NULL, err);
    return st == ST_OK ? put_credentials(tx, change, err) : st;
}

enum status
channel_create(struct tenants *tenants, const struct tenant_scope *scope,
               const struct channel_spec *spec, struct channel_id *id_out, struct err *err)
{
    struct change change;
    enum status st;

    change_init(&change, tenants, scope, ID_NEW(channel_id));
    st = read_spec(&change, scope, spec, err);
    if (st == ST_OK && (spec->source.len == 0 || spec->name.len == 0))
        st = err_set(err, ST_INVALID, "a channel has a source and a name");
    if (st == ST_OK)
        st = store_control_read(tenants->store, "channel_user", user_work, &change, err);
    if (st == ST_OK)
        st = reserve(&change, err);
    if (st == ST_OK) {
        st = store_run(tenants->store, scope, "channel_create", STORE_DURABLE, insert_work, &change,
                       err);
        if (st != ST_OK && st != ST_UNCERTAIN) {
            struct err undo;

            change.holder_id = change.id;
            change.holder_organization = change.organization_id;
            /* Otherwise a reservation without a channel stays; see the head. */
            if (store_control_run(tenants->store, "directory_release", release_work, &change,
                                  &undo) != ST_OK)
                LOG_ERR(LOG_WARN, "channel.undo_failed", &undo);
        }
    }
    if (st == ST_OK)
        *id_out = change.id;
    arena_destroy(&change.arena);
    return st;
}

/* --- change --- */

static enum status
redirect_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    enum status st = store_exec(
        tx, &SQL_DIRECTORY_UPDATE,
        ARGS(sv_id(change->organization_id), sv_id(change->id), sv_text(change->account)), NULL,
        err);

    if (st == ST_OK)
        st = revision_raise(change->tenants, tx, RECORDS_CHANNELS, err);
    return st == ST_CONFLICT ? err_set(err, st, "that account is connected already") : st;
}

static enum status
update_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct str name = change->spec->name.len == 0 ? STR_EMPTY : change->spec->name;
    struct brand brand;
    int64_t changed = 0;
    enum status st = ST_OK;

    if (!id_is_none(&change->brand_id.id))
        st = brand_get(tx, change->brand_id, change->arena, &brand, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_CHANNEL_UPDATE,
                        ARGS(sv_id(change->id), sv_text(name), sv_text(change->account),
                             sv_id(change->brand_id), sv_id(change->user_id),
                             sv_text(change->settings), sv_int(change->now_us)),
                        &changed, err);
    if (st == ST_OK && changed == 0)
        st = err_set(err, ST_NOT_FOUND, "no such channel");
    if (st == ST_OK)
        st = put_credentials(tx, change, err);
    return st == ST_OK ? revision_raise_beside(change->tenants, tx, RECORDS_CHANNELS, err) : st;
}

enum status
channel_update(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id id,
               const struct channel_spec *spec, struct err *err)
{
    struct change change;
    enum status st;

    change_init(&change, tenants, scope, id);
    st = read_spec(&change, scope, spec, err);
    if (st == ST_OK)
        st = store_read(tenants->store, scope, "channel_exists", exists_work, &id, err);
    if (st == ST_NOT_FOUND)
        (void)err_set(err, st, "no such channel");
    if (st == ST_OK && !id_is_none(&spec->user_id.id))
        st = store_control_read(tenants->store, "channel_user", user_work, &change, err);
    /* The directory first: it says whether the new account is free. */
    if (st == ST_OK)
        st = store_control_run(tenants->store, "channel_redirect", redirect_work, &change, err);
    if (st == ST_OK)
        st = store_run(tenants->store, scope, "channel_update", STORE_DURABLE, update_work, &change,
                       err);
    channel_record_forget(tenants, id);
    arena_destroy(&change.arena);
    return st;
}

static enum status
status_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct str reason = change->reason.len == 0 ? STR_EMPTY : change->reason;
    int64_t changed = 0;
    enum status st = store_exec(
        tx, &SQL_CHANNEL_SET_STATUS,
        ARGS(sv_id(change->id), sv_text(change->status), sv_text(reason), sv_int(change->now_us)),
        &changed, err);

    if (st == ST_OK && changed == 0)
        st = err_set(err, ST_NOT_FOUND, "no such channel");
    return st == ST_OK ? revision_raise_beside(change->tenants, tx, RECORDS_CHANNELS, err) : st;
}

enum status
channel_set_status(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id id,
                   struct str status, struct str reason, struct err *err)
{
    struct change change;
    enum status st;

    if (!str_eq_c(status, "active") && !str_eq_c(status, "disabled") && !str_eq_c(status, "broken"))
        return err_set(err, ST_INVALID, "a channel is active, disabled or broken");
    change_init(&change, tenants, scope, id);
    change.status = status;
    change.reason = reason;
    st = store_run(tenants->store, scope, "channel_set_status", STORE_DURABLE, status_work, &change,
                   err);
    channel_record_forget(tenants, id);
    arena_destroy(&change.arena);
    return st;
}

/* --- delete --- */

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_CHANNEL_DELETE, ARGS(sv_id(change->id)), &changed, err);

    if (st == ST_OK && changed == 0)
        st = err_set(err, ST_NOT_FOUND, "no such channel");
    if (st == ST_OK)
        st = store_exec(tx, &SQL_CREDENTIAL_DELETE, ARGS(sv_id(change->id)), NULL, err);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_CHANNEL_STATE_CLEAR, ARGS(sv_id(change->id)), NULL, err);
    return st == ST_OK ? revision_raise_beside(change->tenants, tx, RECORDS_CHANNELS, err) : st;
}

enum status
channel_delete(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id id,
               struct err *err)
{
    struct change change;
    enum status st;

    change_init(&change, tenants, scope, id);
    change.holder_id = id;
    change.holder_organization = change.organization_id;
    st = store_control_run(tenants->store, "directory_release", release_work, &change, err);
    if (st == ST_OK)
        st = store_run(tenants->store, scope, "channel_delete", STORE_DURABLE, delete_work, &change,
                       err);
    channel_record_forget(tenants, id);
    arena_destroy(&change.arena);
    return st;
}

/* --- lists and notes --- */

struct list {
    struct arena *arena;
    struct channel_id *ids;
    size_t count, capacity;
};

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct list *list = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_CHANNEL_LIST, NO_ARGS, &rows, err);

    list->count = 0;
    while (st == ST_OK && store_rows_next(rows)) {
        if (list->count == list->capacity) {
            struct channel_id *more;

            list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
            more = ARENA_NEW_N(list->arena, struct channel_id, list->capacity);
            if (list->count > 0)
                memcpy(more, list->ids, list->count * sizeof(*more));
            list->ids = more;
        }
        list->ids[list->count++] = STORE_COL_ID(rows, 0, channel_id);
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
channel_list(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id **ids_out,
             size_t *count_out, struct arena *arena, struct err *err)
{
    struct list list = {.arena = arena};
    enum status st = store_read(tenants->store, scope, "channel_list", list_work, &list, err);

    *ids_out = list.ids;
    *count_out = st == ST_OK ? list.count : 0;
    return st;
}

enum status
channel_state_get(struct store_tx *tx, struct channel_id id, struct str name, struct arena *arena,
                  struct str *value_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_CHANNEL_STATE_GET, ARGS(sv_id(id), sv_text(name)), &rows, err);

    if (st != ST_OK)
        return st;
    *value_out = arena_str(arena, store_col_text(rows, 0));
    return store_rows_close(&rows, err);
}

enum status
channel_state_put(struct store_tx *tx, struct channel_id id, struct str name, struct str value,
                  struct err *err)
{
    int64_t now_us = clock_wall_us(clock_system());
    struct str text = value.ptr == NULL ? STR("") : value;

    return store_exec(tx, &SQL_CHANNEL_STATE_PUT,
                      ARGS(sv_id(id), sv_text(name), sv_text(text), sv_int(now_us)), NULL, err);
}
