/*
 * tenants.c - opening and closing, secrets over all organizations, limits
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tenant/limits_driver.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"

#define PAGE 100
#define ARENA_MAX_BYTES ((size_t)8 * 1024 * 1024)

enum status
tenants_open(const struct tenants_config *config, struct tenants **tenants_out, struct err *err)
{
    struct tenants *tenants = calloc(1, sizeof(*tenants));
    enum status st;

    if (tenants == NULL)
        abort();
    tenants->store = config->store;
    tenants->clock = config->clock;
    tenants->channels = record_cache_create(CHANNEL_RECORDS_MAX);
    tenants->accounts = record_cache_create(CHANNEL_RECORDS_MAX);
    tenants->keys = record_cache_create(KEY_RECORDS_MAX);
    tenants->organizations = record_cache_create(ORGANIZATION_RECORDS_MAX);
    tenants->subscriptions = record_cache_create(ORGANIZATION_RECORDS_MAX);
    st = limits_open(&(struct limits_config){.clock = config->clock,
                                             .max_buckets = LIMIT_BUCKETS_MAX,
                                             .driver = limits_driver_find(config->limits_driver),
                                             .addresses = config->limits_addresses,
                                             .ca_file = config->limits_ca_file},
                     &tenants->limits, err);
    if (st == ST_OK)
        st = master_keys_open(config->key_file, &tenants->master_keys, err);
    if (st == ST_OK)
        st = organizations_recover(tenants, err);
    if (st == ST_OK)
        st = revisions_open(tenants, &tenants->revisions, err);
    if (st != ST_OK)
        tenants_close(&tenants);
    *tenants_out = tenants;
    return st;
}

void
tenants_close(struct tenants **tenants_ref)
{
    struct tenants *tenants = *tenants_ref;

    if (tenants == NULL)
        return;
    *tenants_ref = NULL;
    revisions_close(&tenants->revisions);
    record_cache_destroy(&tenants->channels);
    record_cache_destroy(&tenants->accounts);
    record_cache_destroy(&tenants->keys);
    record_cache_destroy(&tenants->organizations);
    record_cache_destroy(&tenants->subscriptions);
    limits_destroy(&tenants->limits);
    master_keys_close(&tenants->master_keys);
    free(tenants);
}

struct shared_record *
tenants_recall(struct tenants *tenants, struct record_cache *cache, struct str key)
{
    return records_are_trusted(tenants->revisions) ? record_cache_find(cache, key) : NULL;
}

/* --- resealing --- */

struct reseal {
    struct tenants *tenants;
    char newest[MASTER_KEY_ID_LEN + 1];
    bool found;
};

/* One secret a transaction: another process's writers are not held up by many. */
static enum status
reseal_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct reseal *reseal = arg;
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows = NULL;
    struct channel_id owner;
    struct str owner_name;
    struct str secret = STR_EMPTY;
    struct str id;
    enum status st = store_query_one(tx, &SQL_CREDENTIAL_OLD,
                                     ARGS(sv_text(str_from_c(reseal->newest))), &rows, err);

    reseal->found = st == ST_OK;
    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    id = arena_str(arena, store_col_text(rows, 0));
    owner = STORE_COL_ID(rows, 1, channel_id);
    owner_name = channel_owner_name(store_tx_scope(tx), owner, arena);
    st = master_keys_unseal(reseal->tenants->master_keys, owner_name, store_col_text(rows, 2),
                            store_col_blob(rows, 3), &secret, err);
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    else
        store_rows_drop(&rows);
    if (st == ST_OK) {
        struct sealed sealed =
            master_keys_seal(reseal->tenants->master_keys, owner_name, secret, arena);

        st =
            store_exec(tx, &SQL_CREDENTIAL_RESEAL,
                       ARGS(sv_text(id), sv_text(str_from_c(sealed.key_id)), sv_blob(sealed.bytes)),
                       NULL, err);
    }
    secret_wipe(&secret);
    return st;
}

static enum status
reseal_organization(struct tenants *tenants, struct organization_id id, struct arena *arena,
                    int64_t *resealed, struct err *err)
{
    const struct tenant_scope *scope = admission_scope(id, "operator", arena);
    struct reseal reseal = {.tenants = tenants, .found = true};
    enum status st = ST_OK;

    master_keys_newest(tenants->master_keys, reseal.newest);
    while (st == ST_OK && reseal.found) {
        st = store_run(tenants->store, scope, "reseal", STORE_DURABLE, reseal_work, &reseal, err);
        if (st == ST_OK && reseal.found)
            ++*resealed;
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "organization %s", id.id.text);
}

enum status
tenant_reseal(struct tenants *tenants, int64_t *resealed_out, struct err *err)
{
    struct arena *arena = arena_create(ARENA_MAX_BYTES);
    struct organization_id after = {{""}};
    size_t count = PAGE;
    enum status st = ST_OK;

    *resealed_out = 0;
    while (st == ST_OK && count == PAGE) {
        struct organization *organizations = NULL;

        arena_reset(arena);
        st = organization_list(tenants, after, PAGE, arena, &organizations, &count, err);
        for (size_t i = 0; st == ST_OK && i < count; i++) {
            after = organizations[i].id;
            st = reseal_organization(tenants, after, arena, resealed_out, err);
        }
    }
    arena_destroy(&arena);
    return st;
}

enum status
tenant_add_master_key(struct tenants *tenants, struct err *err)
{
    return master_keys_add(tenants->master_keys, err);
}

/* --- limits --- */

bool
tenant_limits_may_block(const struct tenants *tenants)
{
    return limits_may_block(tenants->limits);
}

enum status
tenant_limit_take(struct tenants *tenants, const struct tenant_scope *scope, struct str key,
                  unsigned per_minute, unsigned burst, struct err *err)
{
    struct organization_id id = tenant_scope_organization(scope);
    char bytes[ID_TEXT_LEN + 256];
    size_t len = ID_TEXT_LEN;

    /* A longer key shares the bucket of those it begins like. */
    memcpy(bytes, id.id.text, ID_TEXT_LEN);
    if (key.len > sizeof(bytes) - len)
        key.len = sizeof(bytes) - len;
    if (key.len > 0)
        memcpy(bytes + len, key.ptr, key.len);
    return limits_take(tenants->limits, str_of(bytes, len + key.len), per_minute, burst, err);
}

size_t
tenant_derive_keys(struct tenants *tenants, const char *purpose,
                   unsigned char (*keys_out)[TENANT_DERIVED_KEY_BYTES], size_t max)
{
    return master_keys_derive(tenants->master_keys, str_from_c(purpose), keys_out, max);
}
