/*
 * members.c - what lies within a document becomes sources of their own
 *
 * A member is known by its parent and its path. Each is uploaded by itself, so a job that was cut
 * short finds those it handed over unchanged.
 */
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#include <stdlib.h>

#define LIST_ARENA_MAX_BYTES ((size_t)64 * 1024 * 1024)

enum status
member_list(struct store_tx *tx, struct source_id parent, struct arena *arena,
            struct member **members_out, size_t *count_out, struct err *err)
{
    struct member *members = NULL;
    size_t count = 0, capacity = 0;
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_MEMBER_LIST, ARGS(sv_id(parent)), &rows, err);

    *members_out = NULL;
    *count_out = 0;
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        if (count == capacity) {
            struct member *grown = ARENA_NEW_N(arena, struct member, 2 * capacity + 16);

            for (size_t i = 0; i < count; i++)
                grown[i] = members[i];
            members = grown;
            capacity = 2 * capacity + 16;
        }
        members[count++] = (struct member){.id = STORE_COL_ID(rows, 0, source_id),
                                           .name = arena_str(arena, store_col_text(rows, 1)),
                                           .ingestion_id = STORE_COL_ID(rows, 2, ingestion_id)};
    }
    *members_out = members;
    *count_out = count;
    return store_rows_close(&rows, err);
}

enum status
member_list_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct members_of *of = arg;

    return member_list(tx, of->parent, of->arena, &of->list, &of->count, err);
}

/* --- taking --- */

/* "prices.zip/2026/tea.md"; the path alone where that is too long for a name. */
static struct str
member_name(const struct source *parent, struct str path, struct arena *arena)
{
    if (parent->name.len + 1 + path.len > KNOWLEDGE_NAME_MAX_BYTES)
        return path;
    return arena_printf(arena, "%.*s/%.*s", STR_ARG(parent->name), STR_ARG(path));
}

static enum status
upload_member(struct knowledge *knowledge, const struct tenant_scope *scope,
              const struct upload_spec *spec, struct arena *arena, struct err *err)
{
    struct upload_spec failed = *spec;
    struct upload_result result;
    enum status st = knowledge_upload(knowledge, scope, spec, &result, err);

    if (st != ST_INVALID && st != ST_TOO_LARGE)
        return st;
    failed.failure = arena_str(arena, str_from_c(err->public_text));
    failed.content = STR("");
    return knowledge_upload(knowledge, scope, &failed, &result, err);
}

/* --- what is gone --- */

static int
compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum status
remove_gone(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id parent,
            struct str *names, size_t name_count, struct arena *arena, struct err *err)
{
    struct members_of found = {.parent = parent, .arena = arena};
    enum status st =
        store_read(knowledge->store, scope, "members_gone", member_list_in_tx, &found, err);

    if (name_count > 0)
        qsort(names, name_count, sizeof(*names), compare_names);
    for (size_t i = 0; st == ST_OK && i < found.count; i++) {
        if (name_count > 0 &&
            bsearch(&found.list[i].name, names, name_count, sizeof(*names), compare_names) != NULL)
            continue;
        st = knowledge_delete(knowledge, scope, found.list[i].id, err);
        if (st == ST_NOT_FOUND)
            st = ST_OK;
    }
    return st;
}

static enum status
ingest_all(struct knowledge *knowledge, const struct tenant_scope *scope,
           const struct source *parent, struct str audience, const struct extracted *extracted,
           struct arena *arena, struct err *err)
{
    struct str *names = ARENA_NEW_N(arena, struct str, extracted->member_count + 1);
    bool is_pack = str_eq_c(parent->kind, PACK_KIND);
    size_t count = 0;
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < extracted->member_count; i++) {
        const struct extract_member *member = &extracted->members[i];
        struct upload_spec spec = {
            .name = member_name(parent, member->path, arena),
            .kind = STR("member"),
            .uri = parent->uri,
            .audience = audience,
            .labels = parent->said,
            .brand_id = parent->brand_id,
            .language = parent->language,
            .content = member->failure.len > 0 ? STR("") : member->bytes,
            .parent_id = parent->id,
            .parent_audience = parent->audience,
            .failure = member->failure,
        };

        if (is_pack && pack_is_manifest(member->path))
            continue;
        names[count++] = spec.name;
        st = upload_member(knowledge, scope, &spec, arena, err);
    }
    return st == ST_OK ? remove_gone(knowledge, scope, parent->id, names, count, arena, err) : st;
}

enum status
members_ingest(struct knowledge *knowledge, const struct tenant_scope *scope,
               const struct ingest_payload *payload, const struct extracted *extracted,
               struct err *err)
{
    struct arena *arena = arena_create(LIST_ARENA_MAX_BYTES);
    struct source parent;
    enum status st = source_get(knowledge, scope, payload->source_id, arena, &parent, err);

    if (st == ST_OK && id_is_none(&parent.parent_id.id))
        st = ingest_all(knowledge, scope, &parent,
                        ingest_payload_audience(payload, parent.audience), extracted, arena, err);
    arena_destroy(&arena);
    return st == ST_NOT_FOUND ? ST_OK : st; /* deleted just now: the commit finds that, too */
}
