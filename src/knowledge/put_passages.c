/*
 * put_passages.c - what was made of a document takes the place of what was made of it before
 */
#include "index/index.h"
#include "knowledge/ingest_private.h"
#include "knowledge/knowledge_sql.h"

static enum status
insert_chunk(struct ingest *ingest, struct store_tx *tx, size_t ordinal, int64_t *id_out,
             struct err *err)
{
    const struct chunk *chunk = &ingest->chunks[ordinal];
    const struct ingest_payload *payload = &ingest->payload;
    struct store_rows *rows;
    enum status st = store_query_one(
        tx, &SQL_CHUNK_INSERT,
        ARGS(sv_id(payload->source_id), sv_int(payload->version), sv_int((int64_t)ordinal),
             sv_text(chunk->heading_path), sv_text(chunk->text), sv_int((int64_t)chunk->start),
             sv_int((int64_t)chunk->end), sv_text(chunk->language),
             chunk->page == 0 ? sv_null() : sv_int(chunk->page), sv_text(chunk->page_starts)),
        &rows, err);

    if (st != ST_OK)
        return st;
    *id_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

/* Files are often named after what their title does not say: "2023 Q3 NVDA.pdf", titled "FORM
 * 10-Q".
 */
static struct str
file_words(struct str name)
{
    size_t start = name.len, end = name.len;

    while (start > 0 && name.ptr[start - 1] != '/')
        start--;
    for (size_t i = start + 1; i < name.len; i++)
        if (name.ptr[i] == '.')
            end = i;
    return str_sub(name, start, end - start);
}

/* Unless the new ones became complete meanwhile. */
static enum status
put_old_vectors(const struct ingest *ingest, struct store_tx *tx, const struct index_entry *entries,
                struct err *err)
{
    const struct embedder *embedder = ingest->knowledge->previous;
    struct index_missing *items;
    int64_t count = 0;
    enum status st;

    if (ingest->old_vectors == NULL)
        return ST_OK;
    st = index_vectors_count(tx, embed_version(embedder), &count, err);
    if (st != ST_OK || count == 0)
        return st;
    items = ARENA_NEW_N(ingest->arena, struct index_missing, ingest->chunk_count);
    for (size_t i = 0; i < ingest->chunk_count; i++)
        items[i] = (struct index_missing){
            .chunk_id = entries[i].chunk_id,
            .source_id = entries[i].source_id,
            .version = entries[i].version,
            .values = ingest->old_vectors + i * embed_dimension(embedder),
        };
    return index_vectors_put(tx, embed_version(embedder), embed_dimension(embedder), items,
                             ingest->chunk_count, err);
}

static enum status
put_chunks(struct ingest *ingest, struct store_tx *tx, struct str audience, struct err *err)
{
    struct index_entry *entries =
        ARENA_NEW_N(ingest->arena, struct index_entry, ingest->chunk_count);
    const struct embedder *embedder = ingest->knowledge->embedder;
    enum status st;

    if (ingest->chunk_count == 0)
        return ST_OK;
    for (size_t i = 0; i < ingest->chunk_count; i++) {
        const struct chunk *chunk = &ingest->chunks[i];

        entries[i] = (struct index_entry){
            .source_id = ingest->payload.source_id,
            .version = ingest->payload.version,
            .brand_id = ingest->brand_id,
            .audience = audience,
            .language = chunk->language,
            .title = ingest->document.title,
            .name = file_words(ingest->original.name),
            .heading_path = chunk->heading_path,
            .text = chunk->text,
        };
        if (ingest->vectors != NULL)
            entries[i].vector =
                (struct index_vector){embed_version(embedder), embed_dimension(embedder),
                                      ingest->vectors + i * embed_dimension(embedder)};
        st = insert_chunk(ingest, tx, i, &entries[i].chunk_id, err);
        if (st != ST_OK)
            return st;
    }
    st = index_put(tx, entries, ingest->chunk_count, err);
    return st == ST_OK ? put_old_vectors(ingest, tx, entries, err) : st;
}

enum status
replace_passages(struct ingest *ingest, struct store_tx *tx, struct str audience, struct err *err)
{
    const struct ingest_payload *payload = &ingest->payload;
    const struct plain_document *document = &ingest->document;
    enum status st = store_exec(tx, &SQL_VERSION_SET_TEXT,
                                ARGS(sv_id(payload->source_id), sv_int(payload->version),
                                     sv_text(document->title), sv_text(document->text)),
                                NULL, err);

    if (st == ST_OK)
        st = labels_write_own(tx, payload->source_id, &ingest->extracted, err);
    if (st == ST_OK)
        st = passages_delete(tx, payload->source_id, err);
    if (st == ST_OK)
        st = put_chunks(ingest, tx, audience, err);
    if (st == ST_OK)
        st = passages_changed(ingest->knowledge, tx, err);
    if (st == ST_OK && ingest->vectors_missing)
        st = vectors_queue(ingest->knowledge, tx, err);
    return st == ST_OK ? cut_settings_note(tx, payload->source_id, &ingest->settings, err) : st;
}
