/*
 * event_endpoints.c - endpoints of outgoing events, their sealed secrets, and who hears of what
 *
 * A secret is 32 random bytes, shown as "whsec_" and their base64, as Standard Webhooks has it. The
 * credential of an endpoint is {"secret", "previous", "previous_until"}: the last two while both
 * sign.
 */
#include "tenant/event_endpoint.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tenant/event_endpoint_sql.h"
#include "tenant/tenant_private.h"
#include "tenant/tenant_sql.h"
#include "text/json.h"

#define DESCRIPTION_MAX_BYTES 500
#define ARENA_MAX_BYTES ((size_t)1024 * 1024)
#define SECRET_PREFIX "whsec_"
#define SECRET_TEXT_BYTES 128 /* prefix, base64 of EVENT_KEY_BYTES, NUL, and room */

/* --- secrets --- */

static void
secret_of(const unsigned char key[EVENT_KEY_BYTES], char out[SECRET_TEXT_BYTES])
{
    const size_t head = sizeof(SECRET_PREFIX) - 1;

    memcpy(out, SECRET_PREFIX, head);
    (void)sodium_bin2base64(out + head, SECRET_TEXT_BYTES - head, key, EVENT_KEY_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
}

static bool
key_of(struct str secret, unsigned char key_out[EVENT_KEY_BYTES])
{
    const size_t head = sizeof(SECRET_PREFIX) - 1;
    size_t len = 0;

    return secret.len > head &&
           sodium_base642bin(key_out, EVENT_KEY_BYTES, secret.ptr + head, secret.len - head, NULL,
                             &len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == EVENT_KEY_BYTES;
}

/* Credentials have one owner's name, whatever owns them: tenant_reseal opens them all. */
static struct str
owner_name(const struct tenant_scope *scope, struct event_endpoint_id id, struct arena *arena)
{
    return channel_owner_name(scope, (struct channel_id){id.id}, arena);
}

struct change {
    struct tenants *tenants;
    struct event_endpoint_id id;
    const struct event_endpoint_change *what;
    struct str kinds; /* without pointer: as they are */
    store_work after;
    void *after_arg;
    int64_t now_us, keep_us;
    char secret[SECRET_TEXT_BYTES];
};

/* Seals and writes; previous may be empty. */
static enum status
put_secret(struct store_tx *tx, struct change *change, struct str previous, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct id_text reference = id_new();
    json_t *json = json_object();
    struct sealed sealed;
    struct str text;
    char *dumped;

    json_set_str(json, "secret", str_from_c(change->secret));
    if (previous.len > 0) {
        json_set_str(json, "previous", previous);
        json_set_int(json, "previous_until", change->now_us + change->keep_us);
    }
    dumped = json_dumps(json, JSON_COMPACT); /* heap that is wiped */
    json_decref(json);
    if (dumped == NULL)
        abort();
    text = str_from_c(dumped);
    sealed = master_keys_seal(change->tenants->master_keys,
                              owner_name(store_tx_scope(tx), change->id, arena), text, arena);
    secret_wipe(&text);
    return store_exec(tx, &SQL_CREDENTIAL_PUT,
                      ARGS(sv_text(id_str(&reference)), sv_id(change->id),
                           sv_text(str_from_c(sealed.key_id)), sv_blob(sealed.bytes),
                           sv_int(change->now_us)),
                      NULL, err);
}

/* The opened credential, a new reference. */
static enum status
open_secret(struct tenants *tenants, struct store_tx *tx, struct event_endpoint_id id,
            json_t **json_out, struct err *err)
{
    struct store_rows *rows = NULL;
    struct str secret = STR_EMPTY;
    enum status st = store_query_one(tx, &SQL_ENDPOINT_SECRET, ARGS(sv_id(id)), &rows, err);

    *json_out = NULL;
    if (st != ST_OK)
        return st;
    st = master_keys_unseal(tenants->master_keys,
                            owner_name(store_tx_scope(tx), id, store_tx_arena(tx)),
                            store_col_text(rows, 0), store_col_blob(rows, 1), &secret, err);
    if (st == ST_OK)
        st = store_rows_close(&rows, err);
    else
        store_rows_drop(&rows);
    if (st == ST_OK)
        st = json_parse(secret, json_out, err);
    secret_wipe(&secret);
    return st;
}

enum status
event_endpoint_keys(struct tenants *tenants, struct store_tx *tx, struct event_endpoint_id id,
                    int64_t now_us, struct event_keys *keys_out, struct err *err)
{
    json_auto_t *json = NULL;
    struct str previous;
    enum status st = open_secret(tenants, tx, id, &json, err);

    keys_out->count = 0;
    if (st != ST_OK)
        return st;
    if (!key_of(json_get_str(json, "secret"), keys_out->keys[0]))
        return err_set_detail(err, ST_INTERNAL, "the secret of endpoint %s is damaged", id.id.text);
    keys_out->count = 1;
    previous = json_get_str(json, "previous");
    if (json_get_int(json, "previous_until", 0) > now_us && key_of(previous, keys_out->keys[1]))
        keys_out->count = 2;
    return ST_OK;
}

/* --- changing --- */

static enum status
check(const struct event_endpoint_change *what, struct err *err)
{
    if (what->description.len > DESCRIPTION_MAX_BYTES || !str_is_utf8(what->description))
        return err_set(err, ST_INVALID, "description: at most %d bytes of text",
                       DESCRIPTION_MAX_BYTES);
    if (what->status.ptr != NULL && !str_eq_c(what->status, "enabled") &&
        !str_eq_c(what->status, "disabled"))
        return err_set(err, ST_INVALID, "status: \"enabled\" or \"disabled\"");
    return ST_OK;
}

void
event_endpoint_changed(struct tenants *tenants, const struct tenant_scope *scope)
{
    struct organization_id id = tenant_scope_organization(scope);

    record_cache_forget(tenants->subscriptions, ID_STR(id));
}

static void
make_secret(struct change *change)
{
    unsigned char key[EVENT_KEY_BYTES];

    random_bytes(key, sizeof(key));
    secret_of(key, change->secret);
    sodium_memzero(key, sizeof(key));
}

/* Other processes hear of it: an endpoint is a record like a channel, and changes as rarely. */
static enum status
finish_change(struct store_tx *tx, struct change *change, struct err *err)
{
    enum status st = revision_raise_beside(change->tenants, tx, RECORDS_CHANNELS, err);

    return st == ST_OK && change->after != NULL ? change->after(tx, change->after_arg, err) : st;
}

static enum status
create_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct str description = change->what->description;
    struct store_rows *rows = NULL;
    int64_t count;
    enum status st = store_query_one(tx, &SQL_ENDPOINT_COUNT, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    count = store_col_int(rows, 0);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && count >= EVENT_ENDPOINTS_MAX)
        return err_set(err, ST_TOO_LARGE, "an organization has at most %d endpoints",
                       EVENT_ENDPOINTS_MAX);
    if (st == ST_OK)
        st = store_exec(tx, &SQL_ENDPOINT_INSERT,
                        ARGS(sv_id(change->id), sv_text(change->what->url),
                             sv_text(description.ptr == NULL ? STR("") : description),
                             sv_text(change->kinds), sv_int(change->what->include_text > 0),
                             sv_int(change->now_us)),
                        NULL, err);
    if (st == ST_OK)
        st = put_secret(tx, change, STR_EMPTY, err);
    return st == ST_OK ? finish_change(tx, change, err) : st;
}

/* Runs a change, and forgets what was known of the organization whatever came of it. */
static enum status
run(struct change *change, const struct tenant_scope *scope, const char *name, store_work work,
    struct err *err)
{
    enum status st;

    change->now_us = clock_wall_us(change->tenants->clock);
    st = store_run(change->tenants->store, scope, name, STORE_DURABLE, work, change, err);
    event_endpoint_changed(change->tenants, scope);
    return st;
}

enum status
event_endpoint_create(struct tenants *tenants, const struct tenant_scope *scope,
                      const struct event_endpoint_change *spec, struct arena *arena,
                      struct event_endpoint_id *id_out, struct str *secret_out, struct err *err)
{
    struct change change = {.tenants = tenants, .id = ID_NEW(event_endpoint_id), .what = spec};
    enum status st = check(spec, err);

    if (st != ST_OK)
        return st;
    change.kinds =
        event_kinds_format(spec->kinds < 0 ? EVENT_KINDS_ALL : (uint32_t)spec->kinds, arena);
    make_secret(&change);
    st = run(&change, scope, "event_endpoint_create", create_work, err);
    *id_out = change.id;
    if (st == ST_OK)
        *secret_out = arena_str(arena, str_from_c(change.secret));
    sodium_memzero(change.secret, sizeof(change.secret));
    return st;
}

static enum status
update_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    const struct event_endpoint_change *what = change->what;
    int64_t changed = 0;
    enum status st =
        store_exec(tx, &SQL_ENDPOINT_UPDATE,
                   ARGS(sv_id(change->id), sv_text(what->url), sv_text(what->description),
                        sv_text(change->kinds),
                        what->include_text < 0 ? sv_null() : sv_int(what->include_text > 0),
                        sv_text(what->status), sv_int(change->now_us)),
                   &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_NOT_FOUND, "no such endpoint");
    return st == ST_OK ? finish_change(tx, change, err) : st;
}

enum status
event_endpoint_update(struct tenants *tenants, const struct tenant_scope *scope,
                      struct event_endpoint_id id, const struct event_endpoint_change *what,
                      store_work after, void *after_arg, struct err *err)
{
    struct change change = {
        .tenants = tenants, .id = id, .what = what, .after = after, .after_arg = after_arg};
    struct arena *arena = arena_create(ARENA_MAX_BYTES);
    enum status st = check(what, err);

    if (st == ST_OK && what->kinds >= 0)
        change.kinds = event_kinds_format((uint32_t)what->kinds, arena);
    if (st == ST_OK)
        st = run(&change, scope, "event_endpoint_update", update_work, err);
    arena_destroy(&arena);
    return st;
}

static enum status
delete_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_ENDPOINT_DELETE, ARGS(sv_id(change->id)), &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_NOT_FOUND, "no such endpoint");
    if (st == ST_OK)
        st = store_exec(tx, &SQL_CREDENTIAL_DELETE, ARGS(sv_id(change->id)), NULL, err);
    return st == ST_OK ? finish_change(tx, change, err) : st;
}

enum status
event_endpoint_delete(struct tenants *tenants, const struct tenant_scope *scope,
                      struct event_endpoint_id id, store_work after, void *after_arg,
                      struct err *err)
{
    struct change change = {.tenants = tenants, .id = id, .after = after, .after_arg = after_arg};

    return run(&change, scope, "event_endpoint_delete", delete_work, err);
}

static enum status
rotate_work(struct store_tx *tx, void *arg, struct err *err)
{
    struct change *change = arg;
    struct event_endpoint endpoint;
    json_auto_t *known = NULL;
    enum status st = event_endpoint_get(tx, change->id, store_tx_arena(tx), &endpoint, err);

    if (st == ST_OK)
        st = open_secret(change->tenants, tx, change->id, &known, err);
    return st == ST_OK ? put_secret(tx, change, json_get_str(known, "secret"), err) : st;
}

enum status
event_endpoint_rotate(struct tenants *tenants, const struct tenant_scope *scope,
                      struct event_endpoint_id id, int64_t keep_us, struct arena *arena,
                      struct str *secret_out, struct err *err)
{
    struct change change = {.tenants = tenants, .id = id, .keep_us = keep_us};
    enum status st;

    make_secret(&change);
    st = run(&change, scope, "event_endpoint_rotate", rotate_work, err);
    if (st == ST_OK)
        *secret_out = arena_str(arena, str_from_c(change.secret));
    sodium_memzero(change.secret, sizeof(change.secret));
    return st;
}

/* --- reading --- */

static void
read_endpoint(struct store_rows *rows, struct arena *arena, struct event_endpoint *out)
{
    *out = (struct event_endpoint){
        .id = STORE_COL_ID(rows, 0, event_endpoint_id),
        .url = arena_str(arena, store_col_text(rows, 1)),
        .description = arena_str(arena, store_col_text(rows, 2)),
        .kinds = event_kinds_parse(store_col_text(rows, 3)),
        .include_text = store_col_int(rows, 4) != 0,
        .status = arena_str(arena, store_col_text(rows, 5)),
        .status_reason = arena_str(arena, store_col_text(rows, 6)),
        .failures = store_col_int(rows, 7),
        .failing_since_us = store_col_int(rows, 8),
        .paused_until_us = store_col_int(rows, 9),
        .created_at_us = store_col_int(rows, 10),
        .updated_at_us = store_col_int(rows, 11),
    };
}

enum status
event_endpoint_get(struct store_tx *tx, struct event_endpoint_id id, struct arena *arena,
                   struct event_endpoint *endpoint_out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st = store_query_one(tx, &SQL_ENDPOINT_GET, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "no such endpoint");
    if (st != ST_OK)
        return st;
    read_endpoint(rows, arena, endpoint_out);
    return store_rows_close(&rows, err);
}

enum status
event_endpoint_list(struct store_tx *tx, struct arena *arena, struct event_endpoint **endpoints_out,
                    size_t *count_out, struct err *err)
{
    struct event_endpoint *list = ARENA_NEW_N(arena, struct event_endpoint, EVENT_ENDPOINTS_MAX);
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_ENDPOINT_LIST, ARGS(sv_int(EVENT_ENDPOINTS_MAX)), &rows, err);

    *endpoints_out = list;
    *count_out = 0;
    while (st == ST_OK && *count_out < EVENT_ENDPOINTS_MAX && store_rows_next(rows))
        read_endpoint(rows, arena, &list[(*count_out)++]);
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* --- who hears of what --- */

struct kept {
    struct shared_record shared; /* first */
    struct event_subscriptions subscriptions;
};

static void
destroy_kept(struct shared_record *shared)
{
    free(shared);
}

static enum status
load(struct store_tx *tx, struct event_subscriptions *out, struct err *err)
{
    struct store_rows *rows = NULL;
    enum status st =
        store_query(tx, &SQL_ENDPOINT_SUBSCRIPTIONS, ARGS(sv_int(EVENT_ENDPOINTS_MAX)), &rows, err);

    while (st == ST_OK && out->count < EVENT_ENDPOINTS_MAX && store_rows_next(rows)) {
        struct event_subscription *one = &out->endpoints[out->count++];

        *one = (struct event_subscription){
            .id = STORE_COL_ID(rows, 0, event_endpoint_id),
            .kinds = event_kinds_parse(store_col_text(rows, 1)),
            .include_text = store_col_int(rows, 2) != 0,
        };
        out->kinds |= one->kinds;
    }
    return st == ST_OK ? store_rows_close(&rows, err) : st;
}

/* Of a transaction that is undone, or of one before it in its group that is, something may be kept
 * that never came to be: whoever changes endpoints forgets afterwards, whatever came of it. */
enum status
event_subscriptions_get(struct tenants *tenants, struct store_tx *tx,
                        const struct event_subscriptions **out, struct err *err)
{
    struct organization_id id = tenant_scope_organization(store_tx_scope(tx));
    struct kept *kept = (struct kept *)tenants_recall(tenants, tenants->subscriptions, ID_STR(id));
    uint64_t generation;
    enum status st = ST_OK;

    if (kept == NULL) {
        generation = record_cache_generation(tenants->subscriptions);
        kept = calloc(1, sizeof(*kept));
        if (kept == NULL)
            abort();
        shared_record_init(&kept->shared, destroy_kept);
        st = load(tx, &kept->subscriptions, err);
        if (st == ST_OK)
            record_cache_offer(tenants->subscriptions, ID_STR(id), &kept->shared, generation);
    }
    *out = st == ST_OK ? &kept->subscriptions : NULL;
    if (st != ST_OK)
        shared_record_unref(&kept->shared);
    return st;
}

void
event_subscriptions_unref(const struct event_subscriptions **subscriptions)
{
    if (*subscriptions == NULL)
        return;
    shared_record_unref((struct shared_record *)((char *)(uintptr_t)*subscriptions -
                                                 offsetof(struct kept, subscriptions)));
    *subscriptions = NULL;
}

/* --- what tries come to --- */

enum status
event_endpoint_note_success(struct store_tx *tx, struct event_endpoint_id id, int64_t now_us,
                            struct err *err)
{
    return store_exec(tx, &SQL_ENDPOINT_SUCCESS, ARGS(sv_id(id), sv_int(now_us)), NULL, err);
}

enum status
event_endpoint_note_failure(struct tenants *tenants, struct store_tx *tx,
                            struct event_endpoint_id id, int64_t now_us, int64_t pause_until_us,
                            const char *disable_reason, struct err *err)
{
    struct str reason = disable_reason == NULL ? STR("") : str_from_c(disable_reason);
    enum status st = store_exec(
        tx, &SQL_ENDPOINT_FAILURE,
        ARGS(sv_id(id), sv_int(now_us), sv_int(pause_until_us), sv_text(reason)), NULL, err);

    if (st == ST_OK && disable_reason != NULL)
        st = revision_raise_beside(tenants, tx, RECORDS_CHANNELS, err);
    return st;
}
