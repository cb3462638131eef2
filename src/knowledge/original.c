/*
 * original.c - the raw documents: objects beside the rows
 *
 * An object is put before the commit that names it and removed after the commit that forgets it.
 * Its key is never used twice, so one that no row names and that is old will never be named.
 */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "index/index.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"
#include "text/json.h"

#define PREFIX "knowledge/"
#define PAGE 200
#define REMOVAL_MAX_ATTEMPTS 1000 /* nothing else removes them so soon */
#define BUSY_AGAIN_US (30 * US_PER_S)

struct str
original_new_key(struct source_id id, int64_t version, struct arena *arena)
{
    struct id_text unique = id_new();

    return arena_printf(arena, PREFIX "%s/%lld-%s", id.id.text, (long long)version, unique.text);
}

/* --- reading --- */

static enum status
find_newest(struct store_tx *tx, struct original *original, int64_t *last_out, struct err *err)
{
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_SOURCE_GET, ARGS(sv_id(original->source_id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    original->name = arena_str(original->arena, store_col_text(rows, 2));
    if (str_eq_c(store_col_text(rows, 3), "url"))
        original->web_url = arena_str(original->arena, store_col_text(rows, 4));
    *last_out = store_col_int(rows, 10);
    return store_rows_close(&rows, err);
}

enum status
original_find(struct store_tx *tx, struct original *original, struct err *err)
{
    int64_t last = 0;
    struct store_rows *rows;
    enum status st = find_newest(tx, original, &last, err);

    if (st != ST_OK)
        return st;
    if (original->version == 0)
        original->version = last;
    st = store_query_one(tx, &SQL_VERSION_CONTENT,
                         ARGS(sv_id(original->source_id), sv_int(original->version)), &rows, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document or version.");
    if (st != ST_OK)
        return st;
    original->content_type = arena_str(original->arena, store_col_text(rows, 0));
    original->object = arena_str(original->arena, store_col_text(rows, 2));
    original->charset = arena_str(original->arena, store_col_text(rows, 3));
    original->content = STR_EMPTY;
    if (original->object.len == 0)
        st = arena_try_str(original->arena, store_col_blob(rows, 1), &original->content, err);
    if (st != ST_OK) {
        store_rows_drop(&rows);
        return st;
    }
    return store_rows_close(&rows, err);
}

enum status
original_read(struct knowledge *knowledge, const struct tenant_scope *scope,
              struct original *original, struct err *err)
{
    if (original->object.len == 0)
        return ST_OK;
    return blob_get(knowledge->blobs, scope, original->object, SIZE_MAX / 4, original->arena,
                    &original->content, err);
}

struct str
original_type(const struct original *original)
{
    return original->charset.len == 0
               ? original->content_type
               : arena_printf(original->arena, "%.*s; charset=%.*s",
                              STR_ARG(original->content_type), STR_ARG(original->charset));
}

static enum status
find_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct original *wanted = arg;
    struct original original = {
        .source_id = wanted->source_id, .version = wanted->version, .arena = wanted->arena};
    enum status st = original_find(tx, &original, err);

    if (st == ST_OK)
        *wanted = original;
    return st;
}

enum status
source_content_get(struct knowledge *knowledge, const struct tenant_scope *scope,
                   struct source_id id, int64_t version, struct arena *arena,
                   struct str *content_out, struct str *content_type_out, struct err *err)
{
    struct original original = {.source_id = id, .version = version, .arena = arena};
    enum status st =
        store_read(knowledge->store, scope, "source_content_get", find_in_tx, &original, err);

    if (st == ST_OK)
        st = original_read(knowledge, scope, &original, err);
    if (st != ST_OK)
        return st;
    *content_out = original.content;
    *content_type_out = original_type(&original);
    return ST_OK;
}

/* --- links --- */

static enum status
adopt_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    const struct original *original = arg;
    int64_t changed = 0;
    enum status st = store_exec(tx, &SQL_VERSION_SET_OBJECT,
                                ARGS(sv_id(original->source_id), sv_int(original->version),
                                     sv_text(original->object), sv_blob(STR(""))),
                                &changed, err);

    if (st == ST_OK && changed == 0)
        return err_set(err, ST_BUSY, "The document changed just now: try again.");
    return st;
}

/* Gives a version from before objects its own. */
static enum status
adopt(struct knowledge *knowledge, const struct tenant_scope *scope, struct original *original,
      struct err *err)
{
    struct blob_put_spec spec = {.content_type = original->content_type, .if_absent = true};
    enum status st;

    original->object = original_new_key(original->source_id, original->version, original->arena);
    spec.key = original->object;
    st = blob_put_bytes(knowledge->blobs, scope, &spec, original->content, NULL, err);
    if (st == ST_OK)
        st = store_run(knowledge->store, scope, "original_adopt", STORE_DURABLE, adopt_in_tx,
                       original, err);
    return st;
}

/* The same of what customers may read: the version that is searched. */
static enum status
find_searched(struct store_tx *tx, void *arg, struct err *err)
{
    struct original *wanted = arg;
    struct store_rows *rows;
    bool is_theirs;
    enum status st =
        store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(wanted->source_id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    is_theirs = index_audience_may_read(store_col_text(rows, 1), false, STR_EMPTY);
    wanted->version = store_col_int(rows, 3);
    st = store_rows_close(&rows, err);
    if (st == ST_OK && (!is_theirs || wanted->version == 0))
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    return st == ST_OK ? find_in_tx(tx, wanted, err) : st;
}

enum status
source_link_make(struct knowledge *knowledge, const struct tenant_scope *scope,
                 const struct source_link_spec *spec, struct arena *arena,
                 struct source_link *link_out, struct err *err)
{
    struct original original = {.source_id = spec->id, .version = spec->version, .arena = arena};
    struct blob_link_spec link = {.expires_at_us = spec->expires_at_us,
                                  .for_customers = spec->for_customers};
    enum status st = store_read(knowledge->store, scope, "source_link",
                                spec->for_customers ? find_searched : find_in_tx, &original, err);

    if (st == ST_OK && original.object.len == 0)
        st = adopt(knowledge, scope, &original, err);
    if (st != ST_OK)
        return st;
    link.key = original.object;
    link.content_type = original.content_type;
    link.file_name =
        str_sub(original.name, 0, str_utf8_floor(original.name, BLOB_LINK_NAME_MAX_BYTES));
    *link_out = (struct source_link){.content_type = original.content_type,
                                     .version = original.version,
                                     .web_url = original.web_url};
    return blob_link_make(knowledge->blobs, scope, &link, arena, &link_out->token, err);
}

/* As original_new_key makes it. */
static bool
read_key(struct str key, struct source_id *id_out, int64_t *version_out)
{
    struct str number;
    struct err ignored;

    if (!str_starts_with(key, STR(PREFIX)) ||
        ID_PARSE(str_sub(key, sizeof(PREFIX) - 1, ID_TEXT_LEN), id_out, &ignored) != ST_OK)
        return false;
    key = str_sub(key, sizeof(PREFIX) + ID_TEXT_LEN, key.len);
    return str_split(&key, '-', &number) && str_to_i64(number, version_out);
}

enum status
source_link_redeem(struct knowledge *knowledge, const struct tenant_scope *scope,
                   const struct blob_link *link, struct source_id *source_out, int64_t *version_out,
                   struct err *err)
{
    struct original original = {.version = 0};
    int64_t version = 0;
    enum status st;

    *source_out = (struct source_id){{""}};
    if (!read_key(str_from_c(link->key), &original.source_id, &version))
        return ST_OK;
    *source_out = original.source_id;
    *version_out = version;
    if (!link->for_customers)
        return ST_OK;
    original.arena = arena_create(DOCUMENT_ARENA_MAX_BYTES);
    st = store_read(knowledge->store, scope, "source_link_redeem", find_searched, &original, err);
    arena_destroy(&original.arena);
    return st == ST_NOT_FOUND || (st == ST_OK && original.version != version)
               ? err_set(err, ST_NOT_FOUND, "There is no such link.")
               : st;
}

/* --- removing --- */

enum status
originals_queue_removal(struct knowledge *knowledge, struct store_tx *tx, struct source_id id,
                        struct err *err)
{
    struct job_spec job = {
        .topic = QUEUE_TOPIC_INGEST, .lane = ID_STR(id), .max_attempts = REMOVAL_MAX_ATTEMPTS};
    json_auto_t *json = json_object();
    struct job_id job_id;

    json_set_str(json, "remove_source_id", ID_STR(id));
    job.payload = json_text(json, store_tx_arena(tx));
    return queue_put(knowledge->queue, tx, &job, &job_id, err);
}

bool
is_removal(struct str payload, struct source_id *id_out)
{
    json_auto_t *json = NULL;
    struct err ignored;

    return json_parse(payload, &json, &ignored) == ST_OK &&
           ID_PARSE(json_get_str(json, "remove_source_id"), id_out, &ignored) == ST_OK;
}

static enum status
remove_all(struct knowledge *knowledge, const struct tenant_scope *scope, struct str prefix,
           struct err *err)
{
    bool more = true;
    enum status st = ST_OK;

    while (st == ST_OK && more) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct blob_entry *entries;
        size_t count = 0;

        st = blob_list(knowledge->blobs, scope, prefix, STR(""), PAGE, arena, &entries, &count,
                       &more, err);
        for (size_t i = 0; st == ST_OK && i < count; i++)
            st = blob_delete(knowledge->blobs, scope, entries[i].key, err);
        arena_destroy(&arena);
    }
    return st;
}

static enum status
removed_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    return queue_lease_done(tx, arg, err);
}

struct later {
    struct lease *lease;
    int64_t due_us;
};

static enum status
later_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct later *later = arg;

    return queue_lease_postpone(tx, later->lease, later->due_us, err);
}

enum status
originals_remove(struct knowledge *knowledge, struct lease *lease, struct source_id id,
                 struct err *err)
{
    const struct tenant_scope *scope = lease_scope(lease);
    struct str prefix = arena_printf(lease_arena(lease), PREFIX "%s/", id.id.text);
    struct later later = {.lease = lease};
    enum status st = remove_all(knowledge, scope, prefix, err);

    if (st == ST_BUSY) {
        later.due_us = clock_wall_us(knowledge->clock) + BUSY_AGAIN_US;
        return store_run(knowledge->store, scope, "originals_later", STORE_DURABLE, later_in_tx,
                         &later, err);
    }
    FAILPOINT("ingest.originals_removed");
    if (st == ST_OK)
        st = store_run(knowledge->store, scope, "originals_removed", STORE_DURABLE, removed_in_tx,
                       lease, err);
    return st;
}

/* --- upkeep --- */

struct looking {
    const struct blob_entry *entries;
    size_t count;
    int64_t before_us;
    bool left_over[PAGE];
};

static enum status
look_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct looking *looking = arg;

    for (size_t i = 0; i < looking->count; i++) {
        struct str key = looking->entries[i].key;
        struct source_id id = {{""}};
        struct store_rows *rows = NULL;
        struct err ignored;
        enum status st;

        looking->left_over[i] = false;
        if (looking->entries[i].modified_at_us >= looking->before_us ||
            ID_PARSE(str_sub(key, sizeof(PREFIX) - 1, ID_TEXT_LEN), &id, &ignored) != ST_OK)
            continue;
        st = store_query_one(tx, &SQL_VERSION_BY_OBJECT, ARGS(sv_id(id), sv_text(key)), &rows, err);
        looking->left_over[i] = st == ST_NOT_FOUND;
        if (st == ST_OK)
            st = store_rows_close(&rows, err);
        if (st != ST_OK && st != ST_NOT_FOUND)
            return st;
    }
    return ST_OK;
}

static enum status
upkeep_page(struct knowledge *knowledge, const struct tenant_scope *scope, struct looking *looking,
            unsigned *removed, struct err *err)
{
    enum status st =
        store_read(knowledge->store, scope, "originals_look", look_in_tx, looking, err);

    for (size_t i = 0; st == ST_OK && i < looking->count; i++) {
        if (!looking->left_over[i])
            continue;
        st = blob_delete(knowledge->blobs, scope, looking->entries[i].key, err);
        *removed += st == ST_OK;
    }
    return st;
}

enum status
knowledge_upkeep(struct knowledge *knowledge, const struct tenant_scope *scope, int64_t age_us,
                 unsigned *removed_out, struct err *err)
{
    struct looking looking = {.before_us = clock_wall_us(knowledge->clock) - age_us};
    char last[BLOB_KEY_MAX_BYTES];
    struct str after = STR("");
    bool more = true;
    enum status st = ST_OK;

    *removed_out = 0;
    while (st == ST_OK && more) {
        struct arena *arena = arena_create((size_t)1024 * 1024);
        struct blob_entry *entries = NULL;

        st = blob_list(knowledge->blobs, scope, STR(PREFIX), after, PAGE, arena, &entries,
                       &looking.count, &more, err);
        looking.entries = entries;
        if (st == ST_OK && looking.count > 0) {
            after = str_of(last, entries[looking.count - 1].key.len);
            memcpy(last, entries[looking.count - 1].key.ptr, after.len);
            st = upkeep_page(knowledge, scope, &looking, removed_out, err);
        }
        arena_destroy(&arena);
    }
    return st;
}
