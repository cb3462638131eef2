/*
 * local.c - the index's rows in the organization's own database, beside what they are made from
 */
#include "index/index_driver.h"

#include <string.h>

#include "index/drivers/local_sql.h"
#include "text/json.h"

/* A list that grows in an arena by doubling. */
static void *
grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    char *grown;

    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    grown = arena_alloc(arena, *capacity * size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

static enum status
partition_list(struct store_tx *tx, struct arena *arena, struct index_partition **partitions_out,
               size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_partition *list = NULL;
    enum status st = store_query(tx, &SQL_PARTITION_LIST, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_partition){
            .id = store_col_int(rows, 0),
            .brand_id = arena_str(arena, store_col_text(rows, 1)),
            .audience = arena_str(arena, store_col_text(rows, 2)),
            .language = arena_str(arena, store_col_text(rows, 3)),
            .chunk_count = store_col_int(rows, 4),
            .term_count = store_col_int(rows, 5),
        };
    }
    *partitions_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
partition_add(struct store_tx *tx, const struct index_partition *what, int64_t chunks,
              int64_t terms, int64_t *id_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_PARTITION_ADD,
                                     ARGS(sv_text(what->brand_id), sv_text(what->audience),
                                          sv_text(what->language), sv_int(chunks), sv_int(terms)),
                                     &rows, err);

    if (st != ST_OK)
        return st;
    *id_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
partition_count(struct store_tx *tx, int64_t id, int64_t chunks, int64_t terms, struct err *err)
{
    return store_exec(tx, &SQL_PARTITION_COUNT, ARGS(sv_int(id), sv_int(chunks), sv_int(terms)),
                      NULL, err);
}

static enum status
posting_list(struct store_tx *tx, int64_t partition_id, struct str term, struct arena *arena,
             struct index_block **blocks_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_block *list = NULL;
    enum status st =
        store_query(tx, &SQL_POSTING_LIST, ARGS(sv_int(partition_id), sv_text(term)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_block){store_col_int(rows, 0), store_col_int(rows, 1),
                                             arena_str(arena, store_col_blob(rows, 2))};
    }
    *blocks_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

/* The one number that a statement gives. */
static enum status
query_int(struct store_tx *tx, const struct store_sql *sql, const struct store_value *args,
          size_t arg_count, int64_t *value_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, sql, args, arg_count, &rows, err);

    if (st != ST_OK)
        return st;
    *value_out = store_col_int(rows, 0);
    return store_rows_close(&rows, err);
}

static enum status
posting_count(struct store_tx *tx, int64_t partition_id, struct str term, int64_t *chunks_out,
              struct err *err)
{
    return query_int(tx, &SQL_POSTING_COUNT, ARGS(sv_int(partition_id), sv_text(term)), chunks_out,
                     err);
}

static enum status
posting_get(struct store_tx *tx, int64_t partition_id, struct str term, int64_t block,
            struct arena *arena, struct str *postings_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query(
        tx, &SQL_POSTING_GET, ARGS(sv_int(partition_id), sv_text(term), sv_int(block)), &rows, err);

    if (st != ST_OK)
        return st;
    *postings_out = store_rows_next(rows) ? arena_str(arena, store_col_blob(rows, 0)) : STR("");
    return store_rows_close(&rows, err);
}

static enum status
posting_set(struct store_tx *tx, int64_t partition_id, struct str term,
            const struct index_block *block, struct err *err)
{
    if (block->chunk_count == 0)
        return store_exec(tx, &SQL_POSTING_REMOVE,
                          ARGS(sv_int(partition_id), sv_text(term), sv_int(block->block)), NULL,
                          err);
    return store_exec(tx, &SQL_POSTING_SET,
                      ARGS(sv_int(partition_id), sv_text(term), sv_int(block->block),
                           sv_int(block->chunk_count), sv_blob(block->postings)),
                      NULL, err);
}

static enum status
term_list(struct store_tx *tx, int64_t partition_id, struct str prefix, size_t limit,
          struct arena *arena, struct str **terms_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct str *list = NULL;
    struct str after = arena_printf(arena, "%.*s\xf4\x8f\xbf\xbf", STR_ARG(prefix));
    enum status st = store_query(
        tx, &SQL_TERM_LIST,
        ARGS(sv_int(partition_id), sv_text(prefix), sv_text(after), sv_int((int64_t)limit)), &rows,
        err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = arena_str(arena, store_col_text(rows, 0));
    }
    *terms_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
term_find(struct store_tx *tx, int64_t partition_id, const struct str *terms, size_t count,
          struct arena *arena, bool *found, struct err *err)
{
    json_auto_t *list = json_array();
    struct store_rows *rows;
    enum status st;

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_from_str(terms[i]));
    st = store_query(tx, &SQL_TERM_FIND,
                     ARGS(sv_int(partition_id), sv_text(json_text(list, arena))), &rows, err);
    if (st != ST_OK)
        return st;
    while (store_rows_next(rows))
        for (size_t i = 0; i < count; i++)
            if (str_eq(terms[i], store_col_text(rows, 0)))
                found[i] = true;
    return store_rows_close(&rows, err);
}

static enum status
chunk_add(struct store_tx *tx, const struct index_chunk *chunk, struct err *err)
{
    return store_exec(tx, &SQL_CHUNK_ADD,
                      ARGS(sv_int(chunk->chunk_id), sv_int(chunk->partition_id),
                           sv_id(chunk->source_id), sv_int(chunk->version), sv_text(chunk->title),
                           sv_int(chunk->term_count), sv_blob(chunk->terms)),
                      NULL, err);
}

static struct index_chunk
chunk_of_row(struct store_rows *rows, struct arena *arena)
{
    return (struct index_chunk){
        .chunk_id = store_col_int(rows, 0),
        .partition_id = store_col_int(rows, 1),
        .source_id = STORE_COL_ID(rows, 2, source_id),
        .version = store_col_int(rows, 3),
        .title = arena_str(arena, store_col_text(rows, 4)),
        .term_count = store_col_int(rows, 5),
        .terms = arena_str(arena, store_col_blob(rows, 6)),
    };
}

static enum status
chunk_get(struct store_tx *tx, int64_t chunk_id, struct str encoder, struct arena *arena,
          struct index_chunk *chunk_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = encoder.len == 0
                         ? store_query_one(tx, &SQL_CHUNK_GET, ARGS(sv_int(chunk_id)), &rows, err)
                         : store_query_one(tx, &SQL_CHUNK_GET_CODE,
                                           ARGS(sv_int(chunk_id), sv_text(encoder)), &rows, err);

    if (st != ST_OK)
        return st;
    *chunk_out = chunk_of_row(rows, arena);
    if (encoder.len > 0)
        chunk_out->code = arena_str(arena, store_col_blob(rows, 7));
    return store_rows_close(&rows, err);
}

static enum status
chunk_list(struct store_tx *tx, struct source_id source_id, int64_t version, struct str encoder,
           struct arena *arena, struct index_chunk **chunks_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_chunk *list = NULL;
    enum status st =
        encoder.len == 0
            ? store_query(tx, &SQL_CHUNK_LIST, ARGS(sv_id(source_id), sv_int(version)), &rows, err)
            : store_query(tx, &SQL_CHUNK_LIST_CODES,
                          ARGS(sv_id(source_id), sv_int(version), sv_text(encoder)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count] = chunk_of_row(rows, arena);
        if (encoder.len > 0)
            list[count].code = arena_str(arena, store_col_blob(rows, 7));
        count++;
    }
    *chunks_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
chunk_move(struct store_tx *tx, int64_t chunk_id, int64_t partition_id, struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_CHUNK_MOVE, ARGS(sv_int(chunk_id), sv_int(partition_id)), NULL, err);

    return st == ST_OK ? store_exec(tx, &SQL_CODE_MOVE,
                                    ARGS(sv_int(chunk_id), sv_int(partition_id)), NULL, err)
                       : st;
}

static enum status
chunk_remove(struct store_tx *tx, struct source_id source_id, int64_t version, struct err *err)
{
    return store_exec(tx, &SQL_CHUNK_REMOVE, ARGS(sv_id(source_id), sv_int(version)), NULL, err);
}

/* --- vectors --- */

static enum status
generation_get(struct store_tx *tx, int64_t *generation_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_GENERATION_GET, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *generation_out = store_rows_next(rows) ? store_col_int(rows, 0) : 0;
    return store_rows_close(&rows, err);
}

static enum status
generation_next(struct store_tx *tx, int64_t *generation_out, struct err *err)
{
    return query_int(tx, &SQL_GENERATION_NEXT, NO_ARGS, generation_out, err);
}

static enum status
batch_add(struct store_tx *tx, int64_t batch, struct str encoder, struct source_id source_id,
          int64_t version, int64_t chunk_count, struct err *err)
{
    return store_exec(tx, &SQL_BATCH_ADD,
                      ARGS(sv_int(batch), sv_text(encoder), sv_id(source_id), sv_int(version),
                           sv_int(chunk_count)),
                      NULL, err);
}

static enum status
read_batches(struct store_rows *rows, struct arena *arena, struct index_batch **batches_out,
             size_t *count_out, struct err *err)
{
    size_t capacity = 0, count = 0;
    struct index_batch *list = NULL;

    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_batch){store_col_int(rows, 0), store_col_int(rows, 1)};
    }
    *batches_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
batch_list(struct store_tx *tx, struct str encoder, struct arena *arena,
           struct index_batch **batches_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_BATCH_LIST, ARGS(sv_text(encoder)), &rows, err);

    return st == ST_OK ? read_batches(rows, arena, batches_out, count_out, err) : st;
}

static enum status
batch_list_of(struct store_tx *tx, struct source_id source_id, struct arena *arena,
              struct index_batch **batches_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query(tx, &SQL_BATCH_LIST_OF, ARGS(sv_id(source_id)), &rows, err);

    return st == ST_OK ? read_batches(rows, arena, batches_out, count_out, err) : st;
}

static enum status
batch_renumber(struct store_tx *tx, int64_t batch, int64_t number, struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_BATCH_RENUMBER, ARGS(sv_int(batch), sv_int(number)), NULL, err);

    return st == ST_OK
               ? store_exec(tx, &SQL_CODE_RENUMBER, ARGS(sv_int(batch), sv_int(number)), NULL, err)
               : st;
}

static enum status
batch_sum(struct store_tx *tx, struct str encoder, int64_t *chunks_out, struct err *err)
{
    return query_int(tx, &SQL_BATCH_SUM, ARGS(sv_text(encoder)), chunks_out, err);
}

static enum status
code_add(struct store_tx *tx, struct str encoder, int64_t batch, const struct index_code *code,
         struct err *err)
{
    return store_exec(tx, &SQL_CODE_ADD,
                      ARGS(sv_int(code->chunk_id), sv_text(encoder), sv_int(batch),
                           sv_int(code->partition_id), sv_blob(code->code)),
                      NULL, err);
}

static enum status
code_list(struct store_tx *tx, int64_t batch, struct arena *arena, struct index_code **codes_out,
          size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_code *list = NULL;
    enum status st = store_query(tx, &SQL_CODE_LIST, ARGS(sv_int(batch)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_code){store_col_int(rows, 0), store_col_int(rows, 1),
                                            arena_str(arena, store_col_blob(rows, 2))};
    }
    *codes_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
code_remove(struct store_tx *tx, struct source_id source_id, int64_t version, int64_t *removed_out,
            struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_CODE_REMOVE, ARGS(sv_id(source_id), sv_int(version)), removed_out, err);

    return st == ST_OK ? store_exec(tx, &SQL_BATCH_REMOVE, ARGS(sv_id(source_id), sv_int(version)),
                                    NULL, err)
                       : st;
}

static enum status
code_remove_others(struct store_tx *tx, struct str encoder, int64_t *removed_out, struct err *err)
{
    enum status st =
        store_exec(tx, &SQL_CODE_REMOVE_OTHERS, ARGS(sv_text(encoder)), removed_out, err);

    return st == ST_OK ? store_exec(tx, &SQL_BATCH_REMOVE_OTHERS, ARGS(sv_text(encoder)), NULL, err)
                       : st;
}

static enum status
code_missing(struct store_tx *tx, struct str encoder, int64_t after, size_t limit,
             struct arena *arena, struct index_missing **missing_out, size_t *count_out,
             struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_missing *list = NULL;
    enum status st =
        store_query(tx, &SQL_CODE_MISSING,
                    ARGS(sv_text(encoder), sv_int(after), sv_int((int64_t)limit)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_missing){
            .chunk_id = store_col_int(rows, 0),
            .source_id = STORE_COL_ID(rows, 1, source_id),
            .version = store_col_int(rows, 2),
            .title = arena_str(arena, store_col_text(rows, 3)),
            .heading_path = arena_str(arena, store_col_text(rows, 4)),
            .text = arena_str(arena, store_col_text(rows, 5)),
        };
    }
    *missing_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

/* --- what an engine beside the database has --- */

static enum status
sync_mark(struct store_tx *tx, struct source_id source_id, struct err *err)
{
    return store_exec(tx, &SQL_SYNC_MARK, ARGS(sv_id(source_id)), NULL, err);
}

static enum status
sync_tidy(struct store_tx *tx, struct source_id source_id, struct err *err)
{
    return store_exec(tx, &SQL_SYNC_TIDY, ARGS(sv_id(source_id)), NULL, err);
}

static enum status
sync_mark_all(struct store_tx *tx, struct err *err)
{
    return store_exec(tx, &SQL_SYNC_MARK_ALL, NO_ARGS, NULL, err);
}

static enum status
sync_range(struct store_tx *tx, struct arena *arena, struct str *least_out,
           struct str *greatest_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_SYNC_RANGE, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *least_out = arena_str(arena, store_col_text(rows, 0));
    *greatest_out = arena_str(arena, store_col_text(rows, 1));
    return store_rows_close(&rows, err);
}

static enum status
sync_behind(struct store_tx *tx, struct str least, struct str greatest, int64_t *sources_out,
            struct err *err)
{
    return query_int(tx, &SQL_SYNC_BEHIND, ARGS(sv_text(least), sv_text(greatest)), sources_out,
                     err);
}

static enum status
sync_next(struct store_tx *tx, struct str least, struct str greatest, struct index_sync *sync_out,
          struct err *err)
{
    struct store_rows *rows;
    enum status st =
        store_query_one(tx, &SQL_SYNC_NEXT, ARGS(sv_text(least), sv_text(greatest)), &rows, err);

    if (st != ST_OK)
        return st;
    *sync_out = (struct index_sync){STORE_COL_ID(rows, 0, source_id), store_col_int(rows, 1),
                                    store_col_int(rows, 2) != 0};
    return store_rows_close(&rows, err);
}

static enum status
sync_know(struct store_tx *tx, struct source_id source_id, struct err *err)
{
    return store_exec(tx, &SQL_SYNC_KNOW, ARGS(sv_id(source_id)), NULL, err);
}

static enum status
sync_set(struct store_tx *tx, const struct index_sync *sync, struct str state, struct err *err)
{
    if (state.len == 0)
        return store_exec(tx, &SQL_SYNC_REMOVE, ARGS(sv_id(sync->source_id), sv_int(sync->change)),
                          NULL, err);
    return store_exec(tx, &SQL_SYNC_SET,
                      ARGS(sv_id(sync->source_id), sv_int(sync->change), sv_text(state)), NULL,
                      err);
}

#define FILTER_ARGS(filter)                                                                        \
    sv_text(STR(INDEX_FILTER_MARK)), sv_text(wanted_of(filter, INDEX_FILTER_SOURCE)),              \
        sv_text(wanted_of(filter, INDEX_FILTER_KIND)),                                             \
        sv_text(wanted_of(filter, INDEX_FILTER_CATEGORY)),                                         \
        sv_text(wanted_of(filter, INDEX_FILTER_TONE)),                                             \
        sv_text(wanted_of(filter, INDEX_FILTER_CONTENT_TYPE)), sv_int((filter)->has_dates),        \
        sv_int((filter)->dated_from_us), sv_int((filter)->dated_to_us),                            \
        sv_int((filter)->with_drafts)

/* "", never NULL. */
static struct str
wanted_of(const struct index_filter *filter, enum index_filter_field field)
{
    return filter->wanted[field].len == 0 ? STR("") : filter->wanted[field];
}

static enum status
filter_chunks(struct store_tx *tx, const struct index_filter *filter, struct arena *arena,
              struct index_place **places_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct index_place *list = NULL;
    enum status st = store_query(tx, &SQL_FILTER_CHUNKS, ARGS(FILTER_ARGS(filter)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = (struct index_place){store_col_int(rows, 0), store_col_int(rows, 1)};
    }
    *places_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
filter_sources(struct store_tx *tx, const struct index_filter *filter, size_t limit,
               struct arena *arena, struct str **ids_out, size_t *count_out, struct err *err)
{
    struct store_rows *rows;
    size_t capacity = 0, count = 0;
    struct str *list = NULL;
    enum status st = store_query(tx, &SQL_FILTER_SOURCES,
                                 ARGS(FILTER_ARGS(filter), sv_int((int64_t)limit + 1)), &rows, err);

    if (st != ST_OK)
        return st;
    while (store_rows_next(rows)) {
        list = grow(arena, list, count, &capacity, sizeof(*list));
        list[count++] = arena_str(arena, store_col_text(rows, 0));
    }
    *ids_out = list;
    *count_out = count;
    return store_rows_close(&rows, err);
}

static enum status
passage_get(struct store_tx *tx, int64_t chunk_id, struct arena *arena,
            struct index_passage *passage_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_PASSAGE_GET, ARGS(sv_int(chunk_id)), &rows, err);

    if (st != ST_OK)
        return st;
    *passage_out = (struct index_passage){
        .heading_path = arena_str(arena, store_col_text(rows, 0)),
        .text = arena_str(arena, store_col_text(rows, 1)),
        .start_char = store_col_int(rows, 2),
        .end_char = store_col_int(rows, 3),
        .page = store_col_int(rows, 4),
        .page_starts = arena_str(arena, store_col_text(rows, 5)),
    };
    return store_rows_close(&rows, err);
}

static enum status
health(struct store_tx *tx, struct index_health *health_out, struct err *err)
{
    struct store_rows *rows;
    enum status st = store_query_one(tx, &SQL_HEALTH, NO_ARGS, &rows, err);

    if (st != ST_OK)
        return st;
    *health_out = (struct index_health){
        .chunks = store_col_int(rows, 0),
        .partitions = store_col_int(rows, 1),
        .blocks = store_col_int(rows, 2),
        .terms = store_col_int(rows, 3),
        .bytes = store_col_int(rows, 4),
    };
    return store_rows_close(&rows, err);
}

const struct index_driver index_driver_local = {
    .name = "local",
    .partition_list = partition_list,
    .partition_add = partition_add,
    .partition_count = partition_count,
    .posting_list = posting_list,
    .posting_count = posting_count,
    .posting_get = posting_get,
    .posting_set = posting_set,
    .term_list = term_list,
    .term_find = term_find,
    .chunk_add = chunk_add,
    .chunk_get = chunk_get,
    .chunk_list = chunk_list,
    .chunk_move = chunk_move,
    .chunk_remove = chunk_remove,
    .generation_get = generation_get,
    .generation_next = generation_next,
    .batch_add = batch_add,
    .batch_list = batch_list,
    .batch_list_of = batch_list_of,
    .batch_renumber = batch_renumber,
    .batch_sum = batch_sum,
    .code_add = code_add,
    .code_list = code_list,
    .code_remove = code_remove,
    .code_remove_others = code_remove_others,
    .code_missing = code_missing,
    .sync_mark = sync_mark,
    .sync_tidy = sync_tidy,
    .sync_mark_all = sync_mark_all,
    .sync_range = sync_range,
    .sync_behind = sync_behind,
    .sync_next = sync_next,
    .sync_know = sync_know,
    .sync_set = sync_set,
    .filter_chunks = filter_chunks,
    .filter_sources = filter_sources,
    .passage_get = passage_get,
    .health = health,
};
