/*
 * draft.c - a document's next version beside the one that is searched, until it is published
 *
 * A draft is a source of its own, of kind "draft", whose audience is one of drafts: no search finds
 * it but one that asks for drafts (index_filter). Publishing uploads its bytes under the kind of
 * the document that it stands for, which so gets its next version, and removes the draft. Cut short
 * in between, both are there, and publishing again ends it.
 */
#include "base/failpoint.h"
#include "index/index.h"
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#define DRAFT_OVERHEAD_BYTES ((size_t)1 << 20) /* beside the document itself */

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

struct publish_work {
    struct knowledge *knowledge;
    struct source_id id;
    int64_t version;
    struct arena *arena;
    struct source draft;
    struct draft_target target;
};

static enum status
find_target(struct store_tx *tx, void *arg, struct err *err)
{
    struct publish_work *work = arg;
    enum status st =
        draft_target_find(tx, work->draft.brand_id, work->draft.name, &work->target, err);

    if (st != ST_OK)
        return st;
    work->target.kind = arena_str(work->arena, work->target.kind);
    work->target.uri = arena_str(work->arena, work->target.uri);
    work->target.audience = arena_str(work->arena, work->target.audience);
    return ST_OK;
}

/* Unless it has been uploaded anew meanwhile. */
static enum status
remove_draft(struct store_tx *tx, void *arg, struct err *err)
{
    const struct publish_work *work = arg;
    struct store_rows *rows;
    int64_t version;
    enum status st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(work->id)), &rows, err);

    if (st != ST_OK)
        return st == ST_NOT_FOUND ? ST_OK : st;
    version = store_col_int(rows, 4);
    st = store_rows_close(&rows, err);
    if (st != ST_OK || version != work->version)
        return st;
    return source_delete_in_tx(work->knowledge, tx, work->id, err);
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
    const struct source *draft = &work->draft;
    struct upload_spec spec;
    enum status st;

    spec = (struct upload_spec){
        .reader = reader,
        .name = draft->name,
        .uri = draft->uri,
        .audience = index_audience_published(draft->audience),
        .labels = {.category = draft->category.len > 0 ? draft->category : STR_EMPTY,
                   .tone = draft->tone.len > 0 ? draft->tone : STR_EMPTY,
                   .has_date = draft->dated_at_us != 0,
                   .dated_at_us = draft->dated_at_us},
        .brand_id = draft->brand_id,
        .language = draft->language,
    };
    st = store_read(work->knowledge->store, scope, "draft_target", find_target, work, err);
    if (st != ST_OK)
        return st;
    if (work->target.is_there && !str_eq(work->target.audience, spec.audience))
        return err_set(
            err, ST_CONFLICT,
            "The draft is for %.*s, and the document for %.*s: change one of them first.",
            STR_ARG(spec.audience), STR_ARG(work->target.audience));
    spec.kind = work->target.kind;
    if (work->target.is_there)
        spec.audience = STR_EMPTY; /* as it is, also when it is made narrower at this moment */
    else if (str_starts_with(spec.uri, STR("file://")))
        spec.kind = STR("folder");
    if (spec.uri.len == 0 || str_eq_c(spec.kind, "folder"))
        spec.uri = work->target.is_there ? work->target.uri : draft->uri;
    work->version = draft->last_version;
    st = source_content_get(work->knowledge, scope, work->id, work->version, work->arena,
                            &spec.content, &spec.content_type, err);
    if (st == ST_OK)
        st = knowledge_upload(work->knowledge, scope, &spec, result_out, err);
    if (st != ST_OK)
        return st;
    FAILPOINT("ingest.draft_published");
    return store_run(work->knowledge->store, scope, "draft_remove", STORE_DURABLE, remove_draft,
                     work, err);
}

enum status
knowledge_publish(struct knowledge *knowledge, const struct tenant_scope *scope,
                  const struct knowledge_reader *reader, struct source_id id,
                  struct upload_result *result_out, struct err *err)
{
    struct publish_work work = {.knowledge = knowledge, .id = id};
    enum status st;

    work.arena = arena_create(2 * knowledge->max_document_bytes + DRAFT_OVERHEAD_BYTES);
    st = source_get(knowledge, scope, id, work.arena, &work.draft, err);
    if (st == ST_OK)
        st = check_draft(&work.draft, err);
    if (st == ST_OK)
        st = publish(&work, scope, reader, result_out, err);
    arena_destroy(&work.arena);
    return st;
}
