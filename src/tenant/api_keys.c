/*
 * api_keys.c - keys for the API: shown once, kept as a hash
 *
 * "pk_<prefix>_<secret>": the prefix finds the row, the SHA-256 of the secret decides. The secret
 * is 256 random bits, so a slow hash would add nothing.
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"

#define PREFIX_LEN 12
#define SECRET_BYTES 32
#define SECRET_LEN 43 /* base64url without padding */
#define NAME_MAX_BYTES 200
#define NOTE_USE_EVERY_US (60 * US_PER_S)

bool
api_key_split(struct str presented, struct str *prefix_out, struct str *secret_out)
{
    if (presented.len != 3 + PREFIX_LEN + 1 + SECRET_LEN ||
        !str_starts_with(presented, STR("pk_")) || presented.ptr[3 + PREFIX_LEN] != '_')
        return false;
    *prefix_out = str_sub(presented, 3, PREFIX_LEN);
    *secret_out = str_sub(presented, 3 + PREFIX_LEN + 1, SECRET_LEN);
    return true;
}

void
api_key_hash(struct str secret, unsigned char hash_out[32])
{
    (void)crypto_hash_sha256(hash_out, (const unsigned char *)secret.ptr, secret.len);
}

/* --- create --- */

struct create {
    struct organization_id organization_id;
    struct api_key *key;
    struct str scopes, prefix, hash;
    struct user_id owner;
};

static enum status
create_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct create *create = arg;
    struct api_key *key = create->key;
    struct store_value expires = key->expires_at_us == 0 ? sv_null() : sv_int(key->expires_at_us);
    struct store_rows *rows = NULL;
    enum status st =
        store_query_one(tx, &SQL_USER_OWNER, ARGS(sv_id(create->organization_id)), &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? err_set(err, st, "no such organization") : st;
    create->owner = STORE_COL_ID(rows, 0, user_id);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st =
            store_exec(tx, &SQL_KEY_INSERT,
                       ARGS(sv_id(create->organization_id), sv_id(key->id), sv_text(create->prefix),
                            sv_blob(create->hash), sv_text(key->name), sv_text(create->scopes),
                            sv_id(create->owner), sv_int(key->created_at_us), expires),
                       NULL, err);
    return st;
}

/* No letter that could be mistaken for the separator. */
static void
make_prefix(char out[PREFIX_LEN + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (int i = 0; i < PREFIX_LEN; i++)
        out[i] = letters[random_below(sizeof(letters) - 1)];
    out[PREFIX_LEN] = '\0';
}

enum status
api_key_create(struct tenants *tenants, const struct tenant_scope *scope, struct str name,
               unsigned scopes, struct str roles, int64_t expires_at_us, struct arena *arena,
               struct api_key *key_out, struct str *secret_out, struct err *err)
{
    unsigned char secret[SECRET_BYTES];
    unsigned char hash[32];
    char text[SECRET_LEN + 1];
    char prefix[PREFIX_LEN + 1];
    struct create create = {.organization_id = tenant_scope_organization(scope), .key = key_out};
    enum status st;

    if (name.len == 0 || name.len > NAME_MAX_BYTES || !str_is_utf8(name))
        return err_set(err, ST_INVALID, "a key's name has 1 to %d bytes", NAME_MAX_BYTES);
    if (scopes == 0)
        return err_set(err, ST_INVALID, "a key has at least one scope");
    make_prefix(prefix);
    random_bytes(secret, sizeof(secret));
    (void)sodium_bin2base64(text, sizeof(text), secret, sizeof(secret),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    api_key_hash(str_of(text, SECRET_LEN), hash);
    *key_out = (struct api_key){
        .id = ID_NEW(api_key_id),
        .name = arena_str(arena, name),
        .prefix = arena_str(arena, str_of(prefix, PREFIX_LEN)),
        .scopes = scopes,
        .roles = roles,
        .created_at_us = clock_wall_us(tenants->clock),
        .expires_at_us = expires_at_us,
    };
    create.scopes = api_rights_format(scopes, roles, arena);
    create.prefix = key_out->prefix;
    create.hash = str_of((const char *)hash, sizeof(hash));
    st = store_control_run(tenants->store, "api_key_create", create_work, &create, err);
    if (st == ST_OK) {
        key_out->user_id = create.owner;
        *secret_out = arena_printf(arena, "pk_%s_%s", prefix, text);
    }
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(text, sizeof(text));
    return st;
}

/* --- list, revoke --- */

struct list {
    struct organization_id organization_id;
    struct arena *arena;
    struct api_key *keys;
    size_t count, capacity;
};

/* A key with a scope that only a newer Parley knows grants nothing here. */
static unsigned
granted(struct str words)
{
    unsigned scopes = 0;
    struct err ignored;

    return api_scopes_parse(words, &scopes, &ignored) == ST_OK ? scopes : 0;
}

static void
read_key(struct store_rows *rows, struct arena *arena, struct api_key *key_out)
{
    *key_out = (struct api_key){
        .id = STORE_COL_ID(rows, 0, api_key_id),
        .name = arena_str(arena, store_col_text(rows, 1)),
        .prefix = arena_str(arena, store_col_text(rows, 2)),
        .user_id = STORE_COL_ID(rows, 4, user_id),
        .created_at_us = store_col_int(rows, 5),
        .expires_at_us = store_col_int(rows, 6),
        .revoked_at_us = store_col_int(rows, 7),
        .last_used_at_us = store_col_int(rows, 8),
    };
    key_out->scopes = granted(store_col_text(rows, 3));
    key_out->roles = api_roles_of(store_col_text(rows, 3), arena);
}

static enum status
list_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct list *list = arg;
    struct store_rows *rows = NULL;
    enum status st = store_query(tx, &SQL_KEY_LIST, ARGS(sv_id(list->organization_id)), &rows, err);

    list->count = 0;
    while (st == ST_OK && store_rows_next(rows)) {
        if (list->count == list->capacity) {
            struct api_key *more;

            list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
            more = ARENA_NEW_N(list->arena, struct api_key, list->capacity);
            if (list->count > 0)
                memcpy(more, list->keys, list->count * sizeof(*more));
            list->keys = more;
        }
        read_key(rows, list->arena, &list->keys[list->count++]);
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

enum status
api_key_list(struct tenants *tenants, const struct tenant_scope *scope, struct arena *arena,
             struct api_key **keys_out, size_t *count_out, struct err *err)
{
    struct list list = {.organization_id = tenant_scope_organization(scope), .arena = arena};
    enum status st = store_control_read(tenants->store, "api_key_list", list_work, &list, err);

    *keys_out = list.keys;
    *count_out = st == ST_OK ? list.count : 0;
    return st;
}

struct revoke {
    struct tenants *tenants;
    struct organization_id organization_id;
    struct api_key_id id;
    int64_t now_us;
    char prefix[PREFIX_LEN + 1];
};

static enum status
revoke_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct revoke *revoke = arg;
    struct store_rows *rows = NULL;
    struct str prefix;
    enum status st = store_query_one(
        tx, &SQL_KEY_REVOKE,
        ARGS(sv_id(revoke->organization_id), sv_id(revoke->id), sv_int(revoke->now_us)), &rows,
        err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? err_set(err, st, "no such key") : st;
    prefix = store_col_text(rows, 0);
    assert(prefix.len <= PREFIX_LEN);
    memcpy(revoke->prefix, prefix.ptr, prefix.len);
    revoke->prefix[prefix.len] = '\0';
    st = store_rows_close(&rows, err);
    return st == ST_OK ? revision_raise(revoke->tenants, tx, RECORDS_KEYS, err) : st;
}

enum status
api_key_revoke(struct tenants *tenants, const struct tenant_scope *scope, struct api_key_id id,
               struct err *err)
{
    struct revoke revoke = {
        .tenants = tenants,
        .organization_id = tenant_scope_organization(scope),
        .id = id,
        .now_us = clock_wall_us(tenants->clock),
    };
    enum status st = store_control_run(tenants->store, "api_key_revoke", revoke_work, &revoke, err);

    if (st == ST_OK)
        record_cache_forget(tenants->keys, str_from_c(revoke.prefix));
    return st;
}

/* --- looking up --- */

struct lookup {
    struct str prefix;
    struct key_record *record;
};

static void
destroy_record(struct shared_record *shared)
{
    struct key_record *record = (struct key_record *)shared; /* its first member */

    free(record->roles);
    free(record);
}

static enum status
lookup_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct lookup *lookup = arg;
    struct store_rows *rows = NULL;
    struct key_record *record;
    struct str hash, roles;
    enum status st =
        store_query_one(tx, &SQL_KEY_BY_PREFIX, ARGS(sv_text(lookup->prefix)), &rows, err);

    if (st != ST_OK)
        return st;
    record = calloc(1, sizeof(*record));
    if (record == NULL)
        abort();
    shared_record_init(&record->shared, destroy_record);
    record->organization_id = STORE_COL_ID(rows, 0, organization_id);
    record->id = STORE_COL_ID(rows, 1, api_key_id);
    hash = store_col_blob(rows, 2);
    assert(hash.len == sizeof(record->secret_hash));
    memcpy(record->secret_hash, hash.ptr, hash.len);
    record->scopes = granted(store_col_text(rows, 3));
    roles = api_roles_of(store_col_text(rows, 3), store_tx_arena(tx));
    record->roles = str_dup(roles);
    if (record->roles == NULL)
        abort();
    record->user_id = STORE_COL_ID(rows, 4, user_id);
    record->expires_at_us = store_col_int(rows, 5);
    atomic_init(&record->used_noted_us, store_col_int(rows, 6));
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        lookup->record = record;
    else
        destroy_record(&record->shared);
    return st;
}

enum status
key_record_get(struct tenants *tenants, struct str prefix, struct key_record **record_out,
               struct err *err)
{
    struct lookup lookup = {.prefix = prefix};
    uint64_t generation = record_cache_generation(tenants->keys);
    enum status st;

    *record_out = (struct key_record *)tenants_recall(tenants, tenants->keys, prefix);
    if (*record_out != NULL)
        return ST_OK;
    st = store_control_read(tenants->store, "api_key_lookup", lookup_work, &lookup, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_DENIED, "the API key is not valid");
    if (st != ST_OK)
        return st;
    record_cache_offer(tenants->keys, prefix, &lookup.record->shared, generation);
    *record_out = lookup.record;
    return ST_OK;
}

struct note {
    struct organization_id organization_id;
    struct api_key_id id;
    int64_t now_us;
};

static enum status
note_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct note *note = arg;

    return store_exec(tx, &SQL_KEY_USED,
                      ARGS(sv_id(note->organization_id), sv_id(note->id), sv_int(note->now_us)),
                      NULL, err);
}

void
api_key_note_use(struct tenants *tenants, struct key_record *record)
{
    struct note note = {record->organization_id, record->id, clock_wall_us(tenants->clock)};
    int64_t noted_us = atomic_load_explicit(&record->used_noted_us, memory_order_relaxed);
    struct err err;

    /* One of many threads notes it. That a mark could not be written harms nobody's request. */
    if (note.now_us - noted_us < NOTE_USE_EVERY_US ||
        !atomic_compare_exchange_strong(&record->used_noted_us, &noted_us, note.now_us))
        return;
    if (store_control_note(tenants->store, "api_key_used", note_work, &note, &err) != ST_OK)
        LOG_ERR(LOG_WARN, "api_key.use_not_noted", &err);
}
