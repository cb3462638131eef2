/*
 * admission.c - proofs in, scopes out; the only file that makes a scope
 */
#include <stdlib.h>

#include "store/tenant_scope_driver.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"

#define ARENA_MAX_BYTES ((size_t)64 * 1024)

const struct tenant_scope *
admission_scope(struct organization_id organization_id, const char *admitted_by,
                struct arena *arena)
{
    struct tenant_scope *scope = ARENA_NEW(arena, struct tenant_scope);

    scope->organization_id = organization_id;
    scope->admitted_by = admitted_by;
    return scope;
}

/* --- by API key --- */

static bool
is_secret_of(const struct key_record *record, struct str secret)
{
    unsigned char hash[sizeof(record->secret_hash)];

    api_key_hash(secret, hash);
    return str_eq_secret(str_of((const char *)hash, sizeof(hash)),
                         str_of((const char *)record->secret_hash, sizeof(record->secret_hash)));
}

enum status
tenant_admit_key(struct tenants *tenants, struct str presented, struct arena *arena,
                 struct principal *principal_out, struct err *err)
{
    struct key_record *record = NULL;
    struct str prefix;
    struct str secret;
    enum status st;

    if (!api_key_split(presented, &prefix, &secret))
        return err_set(err, ST_DENIED, "the API key is not valid");
    st = key_record_get(tenants, prefix, &record, err);
    if (st != ST_OK)
        return st;
    if (!is_secret_of(record, secret) ||
        (record->expires_at_us != 0 && record->expires_at_us <= clock_wall_us(tenants->clock))) {
        shared_record_unref(&record->shared);
        return err_set(err, ST_DENIED, "the API key is not valid");
    }
    *principal_out = (struct principal){
        .scope = admission_scope(record->organization_id, "key", arena),
        .key_id = record->id,
        .user_id = record->user_id,
        .scopes = record->scopes,
        .roles = arena_str(arena, str_from_c(record->roles)),
    };
    api_key_note_use(tenants, record);
    shared_record_unref(&record->shared);
    return ST_OK;
}

/* --- by webhook --- */

struct lookup {
    const struct store_sql *sql;
    struct str source, key;
    struct channel_id channel_id;
    struct organization_id organization_id;
};

static enum status
lookup_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct lookup *lookup = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query_one(
        tx, lookup->sql, ARGS(sv_text(lookup->source), sv_text(lookup->key)), &rows, err);

    if (st != ST_OK)
        return st;
    lookup->channel_id = STORE_COL_ID(rows, 0, channel_id);
    lookup->organization_id = STORE_COL_ID(rows, 1, organization_id);
    return store_rows_close(&rows, err);
}

static enum status
load_channel(struct tenants *tenants, const struct store_sql *sql, struct str source,
             struct str key, const struct channel_record **record_out, struct err *err)
{
    struct lookup lookup = {.sql = sql, .source = source, .key = key};
    struct channel_generations generations = channel_record_generations(tenants);
    struct arena *arena = arena_create(ARENA_MAX_BYTES);
    enum status st =
        store_control_read(tenants->store, "channel_lookup", lookup_work, &lookup, err);

    if (st == ST_OK)
        st = channel_record_load(tenants, admission_scope(lookup.organization_id, "webhook", arena),
                                 lookup.channel_id, record_out, err);
    if (st == ST_OK)
        channel_record_keep(tenants, *record_out, generations);
    arena_destroy(&arena);
    return st;
}

/* Gives the record on, or drops it when verify does not believe the request. */
static enum status
verify_record(const struct channel_record *record, tenant_verify verify, void *arg,
              struct arena *arena, const struct tenant_scope **scope_out,
              const struct channel_record **record_out, struct err *err)
{
    enum status st = verify(record, arg, err);

    if (st != ST_OK) {
        channel_record_unref(&record);
        return st;
    }
    *scope_out = admission_scope(record->organization_id, "webhook", arena);
    *record_out = record;
    return ST_OK;
}

/* What a request names its channel by, and whether the database may be asked. */
struct naming {
    struct str source, named;
    bool by_account, may_block;
};

static const struct channel_record *
recall(struct tenants *tenants, const struct naming *by)
{
    const struct channel_record *record;
    struct channel_id id = {{""}};
    struct err ignored;

    if (by->by_account)
        return channel_record_recall_account(tenants, by->source, by->named);
    if (ID_PARSE(by->named, &id, &ignored) != ST_OK)
        return NULL;
    record = channel_record_recall(tenants, id);
    if (record != NULL && !str_eq(record->source, by->source))
        channel_record_unref(&record); /* the database knows what that is */
    return record;
}

static bool
is_name(const struct naming *by)
{
    struct channel_id id = {{""}};
    struct err ignored;

    if (!by->by_account)
        return ID_PARSE(by->named, &id, &ignored) == ST_OK;
    return by->source.len > 0 && by->named.len > 0 && str_is_utf8(by->source) &&
           str_is_utf8(by->named);
}

static enum status
admit_named(struct tenants *tenants, const struct naming *by, tenant_verify verify, void *arg,
            struct arena *arena, const struct tenant_scope **scope_out,
            const struct channel_record **record_out, struct err *err)
{
    const struct channel_record *record;
    enum status st = ST_OK;

    *scope_out = NULL;
    *record_out = NULL;
    if (!is_name(by))
        return err_set(err, ST_NOT_FOUND, "no such channel");
    record = recall(tenants, by);
    if (record == NULL && !by->may_block)
        return err_set(err, ST_BUSY, "the channel is not in memory");
    if (record == NULL)
        st = load_channel(tenants,
                          by->by_account ? &SQL_DIRECTORY_BY_ACCOUNT : &SQL_DIRECTORY_BY_CHANNEL,
                          by->source, by->named, &record, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such channel");
    if (st != ST_OK)
        return st;
    return verify_record(record, verify, arg, arena, scope_out, record_out, err);
}

enum status
tenant_admit_webhook(struct tenants *tenants, struct str source, struct str channel_id,
                     tenant_verify verify, void *arg, struct arena *arena,
                     const struct tenant_scope **scope_out,
                     const struct channel_record **record_out, struct err *err)
{
    const struct naming by = {source, channel_id, .may_block = true};

    return admit_named(tenants, &by, verify, arg, arena, scope_out, record_out, err);
}

enum status
tenant_admit_account(struct tenants *tenants, struct str source, struct str account,
                     tenant_verify verify, void *arg, struct arena *arena,
                     const struct tenant_scope **scope_out,
                     const struct channel_record **record_out, struct err *err)
{
    const struct naming by = {source, account, .by_account = true, .may_block = true};

    return admit_named(tenants, &by, verify, arg, arena, scope_out, record_out, err);
}

enum status
tenant_admit_known(struct tenants *tenants, struct str source, struct str named, bool by_account,
                   tenant_verify verify, void *arg, struct arena *arena,
                   const struct tenant_scope **scope_out, const struct channel_record **record_out,
                   struct err *err)
{
    const struct naming by = {source, named, .by_account = by_account, .may_block = false};

    return admit_named(tenants, &by, verify, arg, arena, scope_out, record_out, err);
}

/* --- by lease, and as the operator --- */

static void
destroy_mark(struct shared_record *shared)
{
    free(shared);
}

/* In memory only the fact that the organization is active. */
static enum status
check_active(struct tenants *tenants, struct organization_id id, struct arena *arena,
             struct err *err)
{
    uint64_t generation = record_cache_generation(tenants->organizations);
    struct shared_record *mark = tenants_recall(tenants, tenants->organizations, ID_STR(id));
    struct organization organization;
    enum status st;

    if (mark != NULL) {
        shared_record_unref(mark);
        return ST_OK;
    }
    st = organization_find(tenants, ID_STR(id), arena, &organization, err);
    if (st == ST_OK && !str_eq_c(organization.status, "active"))
        st = err_set(err, ST_NOT_FOUND, "no such organization");
    if (st != ST_OK)
        return st;
    mark = malloc(sizeof(*mark));
    if (mark == NULL)
        abort();
    shared_record_init(mark, destroy_mark);
    record_cache_offer(tenants->organizations, ID_STR(id), mark, generation);
    shared_record_unref(mark);
    return ST_OK;
}

enum status
tenant_admit_lease(struct tenants *tenants, struct organization_id organization_id,
                   struct arena *arena, const struct tenant_scope **scope_out, struct err *err)
{
    enum status st = check_active(tenants, organization_id, arena, err);

    *scope_out = st == ST_OK ? admission_scope(organization_id, "lease", arena) : NULL;
    return st;
}

enum status
tenant_admit_link(struct tenants *tenants, tenant_check_link check, void *arg, struct arena *arena,
                  const struct tenant_scope **scope_out, struct err *err)
{
    struct organization_id organization_id = {{""}};
    enum status st = check(arg, &organization_id, err);

    if (st == ST_OK)
        st = check_active(tenants, organization_id, arena, err);
    *scope_out = st == ST_OK ? admission_scope(organization_id, "link", arena) : NULL;
    return st;
}

enum status
tenant_admit_erasure(struct tenants *tenants, struct organization_id organization_id,
                     struct arena *arena, const struct tenant_scope **scope_out, struct err *err)
{
    struct organization organization;
    enum status st = organization_find(tenants, ID_STR(organization_id), arena, &organization, err);

    *scope_out = NULL;
    if (st == ST_OK)
        return err_set(err, ST_CONFLICT, "that organization is there");
    if (st != ST_NOT_FOUND)
        return st;
    *scope_out = admission_scope(organization_id, "erasure", arena);
    return ST_OK;
}

enum status
tenant_admit_operator(struct tenants *tenants, struct str id_or_slug, struct arena *arena,
                      const struct tenant_scope **scope_out, struct err *err)
{
    struct organization organization;
    enum status st = organization_find(tenants, id_or_slug, arena, &organization, err);

    *scope_out = st == ST_OK ? admission_scope(organization.id, "operator", arena) : NULL;
    return st;
}
