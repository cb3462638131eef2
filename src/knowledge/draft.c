/*
 * draft.c - a document's next version beside the one that is searched, until it is published
 *
 * A draft is a source of its own, of kind "draft", whose audience is one of drafts: no search finds
 * it but one that asks for drafts (index_filter). Publishing uploads its bytes under the kind of
 * the document that it stands for, which so gets its next version; the same commit removes the
 * draft, and refuses when either is no longer what was read before.
 */
#include "base/failpoint.h"
#include "index/index.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#define DRAFT_OVERHEAD_BYTES ((size_t)1 << 20) /* beside the document itself */
#define PUBLISH_TRIES 8                        /* of one that others change at the same time */

enum status
draft_target_find(struct store_tx *tx, struct brand_id brand_id, struct str name,
                  struct draft_target *target_out, struct err *err)
{
    struct arena *arena = store_tx_arena(tx);
    struct store_rows *rows;
    enum status st = store_query_one(
        tx, &SQL_DRAFT_TARGET,
        ARGS(sv_text(id_is_none(&brand_id.id) ? STR("") : ID_STR(brand_id)), sv_text(name)), &rows,
        err);

    if (st == ST_NOT_FOUND) {
        *target_out = (struct draft_target){STR("upload"), STR(""), STR("customer"), false};
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    target_out->kind = arena_str(arena, store_col_text(rows, 0));
    target_out->uri = arena_str(arena, store_col_text(rows, 1));
    target_out->audience = arena_str(arena, store_col_text(rows, 2));
    target_out->is_there = true;
    return store_rows_close(&rows, err);
}

enum status
draft_publishing_check(struct store_tx *tx, const struct draft_publishing *publishing,
                       struct err *err)
{
    const struct source *draft = &publishing->draft;
    struct draft_target target;
    struct source_labels said;
    struct store_rows *rows;
    struct brand_id brand;
    bool same;
    enum status st = store_query_one(tx, &SQL_DRAFT_GET, ARGS(sv_id(draft->id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    brand = STORE_COL_ID(rows, 0, brand_id);
    said = labels_read(rows, 5, store_tx_arena(tx));
    same = id_eq(&brand.id, &draft->brand_id.id) &&
           str_eq(store_col_text(rows, 1), draft->audience) &&
           str_eq(store_col_text(rows, 2), draft->language) &&
           store_col_int(rows, 3) == draft->last_version &&
           str_eq(store_col_text(rows, 4), draft->uri) && labels_eq(&said, &draft->said);
    st = store_rows_close(&rows, err);
    if (st == ST_OK)
        st = draft_target_find(tx, draft->brand_id, draft->name, &target, err);
    if (st != ST_OK)
        return st;
    if (!same || target.is_there != publishing->target.is_there ||
        !str_eq(target.kind, publishing->target.kind) ||
        !str_eq(target.audience, publishing->target.audience))
        return err_set(err, ST_BUSY, "The draft is being changed by others: publish it again.");
    return ST_OK;
}

struct publish_work {
    struct knowledge *knowledge;
    struct arena *arena;
    struct draft_publishing publishing;
};

static enum status
find_target(struct store_tx *tx, void *arg, struct err *err)
{
    struct publish_work *work = arg;
    struct draft_target *target = &work->publishing.target;
    const struct source *draft = &work->publishing.draft;
    enum status st = draft_target_find(tx, draft->brand_id, draft->name, target, err);

    if (st != ST_OK)
        return st;
    target->kind = arena_str(work->arena, target->kind);
    target->uri = arena_str(work->arena, target->uri);
    target->audience = arena_str(work->arena, target->audience);
    return ST_OK;
}

static enum status
check_draft(const struct source *draft, struct err *err)
{
    if (!str_eq_c(draft->kind, DRAFT_KIND))
        return err_set(err, ST_INVALID, "The document is no draft: what is searched is published.");
    if (str_eq_c(draft->status, "failed"))
        return err_set(err, ST_CONFLICT, "The draft could not be read: %.*s",
                       STR_ARG(draft->error));
    if (!str_eq_c(draft->status, "done"))
        return err_set(err, ST_CONFLICT, "The draft is still being read.");
    return ST_OK;
}

static enum status
publish(struct publish_work *work, const struct tenant_scope *scope,
        const struct knowledge_reader *reader, struct upload_result *result_out, struct err *err)
{
    const struct source *draft = &work->publishing.draft;
    const struct draft_target *target = &work->publishing.target;
    struct upload_spec spec;
    enum status st;

    spec = (struct upload_spec){
        .reader = reader,
        .name = draft->name,
        .uri = draft->uri,
        .audience = index_audience_published(draft->audience),
        .labels = draft->said,
        .brand_id = draft->brand_id,
        .language = draft->language,
        .publishing = &work->publishing,
    };
    st = store_read(work->knowledge->store, scope, "draft_target", find_target, work, err);
    if (st != ST_OK)
        return st;
    if (target->is_there && !str_eq(target->audience, spec.audience))
        return err_set(
            err, ST_CONFLICT,
            "The draft is for %.*s, and the document for %.*s: change one of them first.",
            STR_ARG(spec.audience), STR_ARG(target->audience));
    spec.kind = target->kind;
    if (!target->is_there && str_starts_with(spec.uri, STR("file://")))
        spec.kind = STR("folder");
    if (spec.uri.len == 0 || str_eq_c(spec.kind, "folder"))
        spec.uri = target->is_there ? target->uri : draft->uri;
    st = source_content_get(work->knowledge, scope, draft->id, draft->last_version, work->arena,
                            &spec.content, &spec.content_type, err);
    return st == ST_OK ? knowledge_upload(work->knowledge, scope, &spec, result_out, err) : st;
}

static enum status
publish_once(struct knowledge *knowledge, const struct tenant_scope *scope,
             const struct knowledge_reader *reader, struct source_id id,
             struct upload_result *result_out, struct err *err)
{
    struct publish_work work = {.knowledge = knowledge};
    struct source *draft = &work.publishing.draft;
    enum status st;

    work.arena = arena_create(2 * knowledge->max_document_bytes + DRAFT_OVERHEAD_BYTES);
    st = source_get(knowledge, scope, id, work.arena, draft, err);
    if (st == ST_OK)
        st = check_draft(draft, err);
    if (st == ST_OK)
        st = publish(&work, scope, reader, result_out, err);
    arena_destroy(&work.arena);
    return st;
}

enum status
knowledge_publish(struct knowledge *knowledge, const struct tenant_scope *scope,
                  const struct knowledge_reader *reader, struct source_id id,
                  struct upload_result *result_out, struct err *err)
{
    enum status st = ST_BUSY;

    for (int i = 0; i < PUBLISH_TRIES && st == ST_BUSY; i++)
        st = publish_once(knowledge, scope, reader, id, result_out, err);
    if (st == ST_OK)
        FAILPOINT("ingest.draft_published");
    return st;
}
