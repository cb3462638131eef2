/*
 * channel_record.c - channels in memory with their open credentials; wiped with the last reference
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"
#include "text/json.h"

#define RECORD_MAX_BYTES ((size_t)1024 * 1024)
#define ACCOUNT_KEY_MAX 600

/* The record callers see, and what it is made of. */
struct kept_record {
    struct shared_record shared; /* first */
    struct channel_record record;
    struct arena *arena; /* the texts */
    json_t *settings, *credentials;
};

static struct kept_record *
kept(const struct channel_record *record)
{
    return (struct kept_record *)((char *)(uintptr_t)record - offsetof(struct kept_record, record));
}

static void
wipe_json(json_t *json)
{
    const char *key;
    json_t *value;
    size_t at;

    if (json_is_string(json))
        sodium_memzero((char *)(uintptr_t)json_string_value(json), json_string_length(json));
    json_array_foreach (json, at, value) {
        wipe_json(value);
    }
    if (json_is_object(json)) {
        json_object_foreach (json, key, value) {
            wipe_json(value);
        }
    }
}

static void
destroy_record(struct shared_record *shared)
{
    struct kept_record *self = (struct kept_record *)shared;

    wipe_json(self->credentials);
    json_decref(self->credentials);
    json_decref(self->settings);
    arena_destroy(&self->arena);
    free(self);
}

const struct channel_record *
channel_record_ref(const struct channel_record *record)
{
    shared_record_ref(&kept(record)->shared);
    return record;
}

void
channel_record_unref(const struct channel_record **record)
{
    if (*record == NULL)
        return;
    shared_record_unref(&kept(*record)->shared);
    *record = NULL;
}

const struct channel_record *
channel_record_draft(const struct channel_record *record, const struct channel_spec *spec)
{
    struct kept_record *self = calloc(1, sizeof(*self));

    if (self == NULL)
        abort();
    shared_record_init(&self->shared, destroy_record);
    self->arena = arena_create(RECORD_MAX_BYTES);
    self->settings = json_deep_copy(spec->settings);
    self->credentials = json_deep_copy(spec->credentials);
    self->record = (struct channel_record){
        .id = record->id,
        .organization_id = record->organization_id,
        .brand_id = record->brand_id,
        .user_id = record->user_id,
        .source = arena_str(self->arena, record->source),
        .name = arena_str(self->arena, record->name),
        .account = arena_str(self->arena, spec->account),
        .status = arena_str(self->arena, record->status),
        .status_reason = arena_str(self->arena, record->status_reason),
        .settings = self->settings,
        .credentials = self->credentials,
        .credentials_reference = arena_str(self->arena, record->credentials_reference),
        .revision = -1,
    };
    return &self->record;
}

struct str
channel_owner_name(const struct tenant_scope *scope, struct channel_id id, struct arena *arena)
{
    return arena_printf(arena, "%s channel %s", tenant_scope_organization(scope).id.text,
                        id.id.text);
}

/* --- loading --- */

struct load {
    struct tenants *tenants;
    struct channel_id id;
    struct kept_record *self;
};

static enum status
open_credentials(struct tenants *tenants, struct kept_record *self, struct str owner,
                 struct str key_id, struct str sealed, struct err *err)
{
    struct str secret = STR_EMPTY;
    enum status st = master_keys_unseal(tenants->master_keys, owner, key_id, sealed, &secret, err);

    if (st == ST_OK)
        st = json_parse(secret, &self->credentials, err);
    secret_wipe(&secret);
    return st;
}

static struct str
keep_text(struct kept_record *self, struct store_rows *rows, int column)
{
    struct str text = store_col_text(rows, column);

    return text.ptr == NULL ? STR_EMPTY : arena_str(self->arena, text);
}

static enum status
read_record(struct load *load, struct kept_record *self, struct store_rows *rows,
            const struct tenant_scope *scope, struct err *err)
{
    struct channel_record *record = &self->record;
    enum status st;

    record->id = STORE_COL_ID(rows, 0, channel_id);
    record->organization_id = tenant_scope_organization(scope);
    record->source = keep_text(self, rows, 1);
    record->name = keep_text(self, rows, 2);
    record->brand_id = STORE_COL_ID(rows, 3, brand_id);
    record->user_id = STORE_COL_ID(rows, 4, user_id);
    record->account = keep_text(self, rows, 5);
    record->status = keep_text(self, rows, 7);
    record->status_reason = keep_text(self, rows, 8);
    record->revision = store_col_int(rows, 9);
    record->credentials_reference = keep_text(self, rows, 10);
    st = json_parse(store_col_text(rows, 6), &self->settings, err);
    if (st == ST_OK && !store_col_is_null(rows, 12))
        st = open_credentials(load->tenants, self,
                              channel_owner_name(scope, record->id, self->arena),
                              store_col_text(rows, 11), store_col_blob(rows, 12), err);
    if (self->credentials == NULL)
        self->credentials = json_object();
    record->settings = self->settings;
    record->credentials = self->credentials;
    return st;
}

static enum status
load_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct load *load = arg;
    struct store_rows *rows = NULL;
    struct kept_record *self;
    enum status st = store_query_one(tx, &SQL_CHANNEL_GET, ARGS(sv_id(load->id)), &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? err_set(err, st, "no such channel") : st;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        abort();
    shared_record_init(&self->shared, destroy_record);
    self->arena = arena_create(RECORD_MAX_BYTES);
    st = read_record(load, self, rows, store_tx_scope(tx), err);
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    else
        store_rows_drop(&rows);
    if (st == ST_OK)
        load->self = self;
    else
        shared_record_unref(&self->shared);
    return st;
}

enum status
channel_record_load(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id id,
                    const struct channel_record **record_out, struct err *err)
{
    struct load load = {.tenants = tenants, .id = id};
    enum status st = store_read(tenants->store, scope, "channel_load", load_work, &load, err);

    *record_out = st == ST_OK ? &load.self->record : NULL;
    return st;
}

/* --- the caches --- */

static struct str
account_key(char bytes[ACCOUNT_KEY_MAX], struct str source, struct str account)
{
    if (account.len == 0 || source.len + 1 + account.len > ACCOUNT_KEY_MAX)
        return STR_EMPTY;
    memcpy(bytes, source.ptr, source.len);
    bytes[source.len] = '\n';
    memcpy(bytes + source.len + 1, account.ptr, account.len);
    return str_of(bytes, source.len + 1 + account.len);
}

struct channel_generations
channel_record_generations(struct tenants *tenants)
{
    return (struct channel_generations){record_cache_generation(tenants->channels),
                                        record_cache_generation(tenants->accounts)};
}

void
channel_record_keep(struct tenants *tenants, const struct channel_record *record,
                    struct channel_generations generations)
{
    char bytes[ACCOUNT_KEY_MAX];
    struct str key = account_key(bytes, record->source, record->account);

    record_cache_offer(tenants->channels, ID_STR(record->id), &kept(record)->shared,
                       generations.channels);
    if (key.len > 0)
        record_cache_offer(tenants->accounts, key, &kept(record)->shared, generations.accounts);
}

static const struct channel_record *
recall(struct tenants *tenants, struct record_cache *cache, struct str key)
{
    struct shared_record *shared = tenants_recall(tenants, cache, key);

    return shared == NULL ? NULL : &((struct kept_record *)shared)->record;
}

const struct channel_record *
channel_record_recall(struct tenants *tenants, struct channel_id id)
{
    return recall(tenants, tenants->channels, ID_STR(id));
}

const struct channel_record *
channel_record_recall_account(struct tenants *tenants, struct str source, struct str account)
{
    char bytes[ACCOUNT_KEY_MAX];
    struct str key = account_key(bytes, source, account);

    return key.len == 0 ? NULL : recall(tenants, tenants->accounts, key);
}

/* A change may have been of the account, whose old name is not known here: those are all forgotten,
 * and found again one by one. Channels change rarely. */
void
channel_record_forget(struct tenants *tenants, struct channel_id id)
{
    record_cache_forget(tenants->channels, ID_STR(id));
    record_cache_forget_all(tenants->accounts);
}

enum status
channel_record_get(struct tenants *tenants, const struct tenant_scope *scope, struct channel_id id,
                   const struct channel_record **record_out, struct err *err)
{
    struct organization_id organization = tenant_scope_organization(scope);
    const struct channel_record *record = channel_record_recall(tenants, id);
    struct channel_generations generations;
    enum status st;

    *record_out = NULL;
    if (record != NULL && !id_eq(&record->organization_id.id, &organization.id)) {
        channel_record_unref(&record);
        return err_set(err, ST_NOT_FOUND, "no such channel");
    }
    if (record == NULL) {
        generations = channel_record_generations(tenants);
        st = channel_record_load(tenants, scope, id, &record, err);
        if (st != ST_OK)
            return st;
        channel_record_keep(tenants, record, generations);
    }
    *record_out = record;
    return ST_OK;
}
