/*
 * read.c - rows into structs: sources, versions, ingestions, texts
 */
#include "knowledge/knowledge_private.h"
#include "knowledge/knowledge_sql.h"

#define PAGE_MAX 500

static struct str
col_copy(struct store_rows *rows, int column, struct arena *arena)
{
    struct str value = store_col_text(rows, column);

    return value.ptr == NULL ? STR("") : arena_str(arena, value);
}

static size_t
page_size(size_t limit)
{
    return limit == 0 || limit > PAGE_MAX ? PAGE_MAX : limit;
}

/* One column holds why an ingestion failed, or what a done one could not read. */
static void
read_sentence(struct str status, struct str sentence, struct str *error, struct str *note)
{
    bool is_done = str_eq(status, STR("done"));

    *error = is_done ? STR("") : sentence;
    *note = is_done ? sentence : STR("");
}

static void
read_source(struct store_rows *rows, struct arena *arena, struct source *out)
{
    out->id = STORE_COL_ID(rows, 0, source_id);
    out->brand_id = STORE_COL_ID(rows, 1, brand_id);
    out->name = col_copy(rows, 2, arena);
    out->kind = col_copy(rows, 3, arena);
    out->uri = col_copy(rows, 4, arena);
    out->audience = col_copy(rows, 5, arena);
    out->language = col_copy(rows, 6, arena);
    out->title = col_copy(rows, 7, arena);
    out->content_type = col_copy(rows, 8, arena);
    out->current_version = store_col_int(rows, 9);
    out->last_version = store_col_int(rows, 10);
    out->size_bytes = store_col_int(rows, 11);
    out->chunk_count = store_col_int(rows, 12);
    out->status = col_copy(rows, 13, arena);
    read_sentence(out->status, col_copy(rows, 14, arena), &out->error, &out->note);
    out->created_at_us = store_col_int(rows, 15);
    out->updated_at_us = store_col_int(rows, 16);
    out->category = col_copy(rows, 17, arena);
    out->tone = col_copy(rows, 18, arena);
    out->dated_at_us = store_col_int(rows, 19);
    out->parent_id = STORE_COL_ID(rows, 20, source_id);
    out->said = labels_read(rows, 21, arena);
}

static void
read_ingestion(struct store_rows *rows, struct arena *arena, struct ingestion *out)
{
    out->id = STORE_COL_ID(rows, 0, ingestion_id);
    out->source_id = STORE_COL_ID(rows, 1, source_id);
    out->version = store_col_int(rows, 2);
    out->status = col_copy(rows, 3, arena);
    out->stage = col_copy(rows, 4, arena);
    out->progress = store_col_real(rows, 5);
    out->chunk_count = store_col_int(rows, 6);
    read_sentence(out->status, col_copy(rows, 7, arena), &out->error, &out->note);
    out->created_at_us = store_col_int(rows, 8);
    out->updated_at_us = store_col_int(rows, 9);
}

/* --- sources --- */

struct source_page {
    const struct knowledge_reader *reader;
    struct source_id id;
    size_t limit;
    struct arena *arena;
    struct source *sources;
    size_t count;
};

static enum status
source_get_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct source_page *page = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SOURCE_GET, ARGS(sv_id(page->id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    read_source(rows, page->arena, page->sources);
    return store_rows_close(&rows, err);
}

enum status
source_get(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
           struct arena *arena, struct source *source_out, struct err *err)
{
    struct source_page page = {.id = id, .arena = arena, .sources = source_out};

    return store_read(knowledge->store, scope, "source_get", source_get_in_tx, &page, err);
}

static enum status
source_list_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct source_page *page = arg;
    struct store_rows *rows;
    struct str audiences;
    enum status st = readable_audiences(tx, page->reader, &audiences, err);

    page->count = 0;
    if (st == ST_OK)
        st = store_query(tx, &SQL_SOURCE_LIST,
                         ARGS(sv_id(page->id), sv_int((int64_t)page->limit), sv_text(audiences)),
                         &rows, err);
    if (st != ST_OK)
        return st;
    while (page->count < page->limit && store_rows_next(rows))
        read_source(rows, page->arena, &page->sources[page->count++]);
    return store_rows_close(&rows, err);
}

enum status
source_list(struct knowledge *knowledge, const struct tenant_scope *scope,
            const struct knowledge_reader *reader, struct source_id before, size_t limit,
            struct arena *arena, struct source **sources_out, size_t *count_out, struct err *err)
{
    struct source_page page = {
        .reader = reader, .id = before, .limit = page_size(limit), .arena = arena};
    enum status st;

    page.sources = ARENA_NEW_N(arena, struct source, page.limit);
    st = store_read(knowledge->store, scope, "source_list", source_list_in_tx, &page, err);
    *sources_out = page.sources;
    *count_out = st == ST_OK ? page.count : 0;
    return st;
}

/* --- versions --- */

struct version_page {
    struct source_id id;
    int64_t before;
    size_t limit;
    struct arena *arena;
    struct source_version *versions;
    size_t count;
};

/* ST_NOT_FOUND in words; the version that is searched and the newest. */
static enum status
find_versions(struct store_tx *tx, struct source_id id, int64_t *current_out, int64_t *last_out,
              struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SOURCE_FIND, ARGS(sv_id(id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document.");
    if (st != ST_OK)
        return st;
    *current_out = store_col_int(rows, 3);
    *last_out = store_col_int(rows, 4);
    return store_rows_close(&rows, err);
}

static enum status
version_list_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct version_page *page = arg;
    int64_t current = 0, last = 0;
    struct store_rows *rows;
    enum status st = find_versions(tx, page->id, &current, &last, err);

    page->count = 0;
    if (st == ST_OK)
        st = store_query(tx, &SQL_VERSION_LIST,
                         ARGS(sv_id(page->id), sv_int(page->before > 0 ? page->before : last + 1),
                              sv_int((int64_t)page->limit)),
                         &rows, err);
    if (st != ST_OK)
        return st;
    while (page->count < page->limit && store_rows_next(rows)) {
        struct source_version *version = &page->versions[page->count++];

        version->version = store_col_int(rows, 0);
        version->content_type = col_copy(rows, 1, page->arena);
        version->content_hash = col_copy(rows, 2, page->arena);
        version->title = col_copy(rows, 3, page->arena);
        version->size_bytes = store_col_int(rows, 4);
        version->created_at_us = store_col_int(rows, 5);
        version->is_current = version->version == current;
    }
    return store_rows_close(&rows, err);
}

enum status
source_version_list(struct knowledge *knowledge, const struct tenant_scope *scope,
                    struct source_id id, int64_t before_version, size_t limit, struct arena *arena,
                    struct source_version **versions_out, size_t *count_out, struct err *err)
{
    struct version_page page = {
        .id = id, .before = before_version, .limit = page_size(limit), .arena = arena};
    enum status st;

    page.versions = ARENA_NEW_N(arena, struct source_version, page.limit);
    st = store_read(knowledge->store, scope, "source_version_list", version_list_in_tx, &page, err);
    *versions_out = page.versions;
    *count_out = st == ST_OK ? page.count : 0;
    return st;
}

/* --- text --- */

struct text_read {
    struct source_id id;
    int64_t version, start, end;
    struct arena *arena;
    struct str text;
};

/* Inward to the borders of characters. */
static enum status
copy_range(struct text_read *read, struct str text, struct err *err)
{
    size_t start, end;

    if (read->start < 0 || read->end < read->start || (uint64_t)read->start > text.len)
        return err_set(err, ST_INVALID, "The document's text has no such range.");
    start = (size_t)read->start;
    end = (uint64_t)read->end < text.len ? str_utf8_floor(text, (size_t)read->end) : text.len;
    while (start < end && ((unsigned char)text.ptr[start] & 0xc0) == 0x80)
        start++;
    text = start < end ? str_sub(text, start, end - start) : STR("");
    return arena_try_str(read->arena, text, &read->text, err);
}

static enum status
text_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct text_read *read = arg;
    int64_t current = 0, last = 0;
    struct store_rows *rows;
    struct err closing;
    enum status st = find_versions(tx, read->id, &current, &last, err);
    enum status closed;

    if (st == ST_OK)
        st = store_query_one(
            tx, &SQL_VERSION_TEXT,
            ARGS(sv_id(read->id), sv_int(read->version > 0 ? read->version : current)), &rows, err);
    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such document or version.");
    if (st != ST_OK)
        return st;
    st = copy_range(read, store_col_text(rows, 0), err);
    closed = store_rows_close(&rows, &closing);
    if (st == ST_OK && closed != ST_OK) {
        *err = closing;
        return closed;
    }
    return st;
}

enum status
source_text_get(struct knowledge *knowledge, const struct tenant_scope *scope, struct source_id id,
                int64_t version, int64_t start, int64_t end, struct arena *arena,
                struct str *text_out, struct err *err)
{
    struct text_read read = {
        .id = id, .version = version, .start = start, .end = end, .arena = arena};
    enum status st = store_read(knowledge->store, scope, "source_text_get", text_in_tx, &read, err);

    if (st == ST_OK)
        *text_out = read.text;
    return st;
}

/* --- ingestions --- */

struct ingestion_page {
    const struct knowledge_reader *reader;
    struct ingestion_id id;
    struct source_id source_id;
    size_t limit;
    struct arena *arena;
    struct ingestion *ingestions;
    size_t count;
};

static enum status
ingestion_get_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingestion_page *page = arg;
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_INGESTION_GET, ARGS(sv_id(page->id)), &rows, err);

    if (st == ST_NOT_FOUND)
        return err_set(err, ST_NOT_FOUND, "There is no such ingestion.");
    if (st != ST_OK)
        return st;
    read_ingestion(rows, page->arena, page->ingestions);
    return store_rows_close(&rows, err);
}

enum status
ingestion_get(struct knowledge *knowledge, const struct tenant_scope *scope, struct ingestion_id id,
              struct arena *arena, struct ingestion *ingestion_out, struct err *err)
{
    struct ingestion_page page = {.id = id, .arena = arena, .ingestions = ingestion_out};

    return store_read(knowledge->store, scope, "ingestion_get", ingestion_get_in_tx, &page, err);
}

static enum status
ingestion_list_in_tx(struct store_tx *tx, void *arg, struct err *err)
{
    struct ingestion_page *page = arg;
    int64_t current = 0, last = 0;
    struct store_rows *rows;
    struct str audiences;
    enum status st = readable_audiences(tx, page->reader, &audiences, err);

    page->count = 0;
    if (st != ST_OK)
        return st;
    if (id_is_none(&page->source_id.id)) {
        st = store_query(tx, &SQL_INGESTION_LIST,
                         ARGS(sv_id(page->id), sv_int((int64_t)page->limit), sv_text(audiences)),
                         &rows, err);
    } else {
        st = find_versions(tx, page->source_id, &current, &last, err);
        if (st == ST_OK)
            st = store_query(tx, &SQL_INGESTION_LIST_SOURCE,
                             ARGS(sv_id(page->id), sv_int((int64_t)page->limit), sv_text(audiences),
                                  sv_id(page->source_id)),
                             &rows, err);
    }
    if (st != ST_OK)
        return st;
    while (page->count < page->limit && store_rows_next(rows))
        read_ingestion(rows, page->arena, &page->ingestions[page->count++]);
    return store_rows_close(&rows, err);
}

enum status
ingestion_list(struct knowledge *knowledge, const struct tenant_scope *scope,
               const struct knowledge_reader *reader, struct source_id source_id,
               struct ingestion_id before, size_t limit, struct arena *arena,
               struct ingestion **ingestions_out, size_t *count_out, struct err *err)
{
    struct ingestion_page page = {.reader = reader,
                                  .id = before,
                                  .source_id = source_id,
                                  .limit = page_size(limit),
                                  .arena = arena};
    enum status st;

    page.ingestions = ARENA_NEW_N(arena, struct ingestion, page.limit);
    st = store_read(knowledge->store, scope, "ingestion_list", ingestion_list_in_tx, &page, err);
    *ingestions_out = page.ingestions;
    *count_out = st == ST_OK ? page.count : 0;
    return st;
}
