/*
 * put_vectors.c - vectors of passages into the database, and which are missing
 */
#include "index/index_private.h"
#include "index/scan.h"

#define CODES_MAX_BYTES ((size_t)1 << 30)

struct str
index_vector_text(struct str title, struct str heading_path, struct str text, struct arena *arena)
{
    if (heading_path.len == 0 || str_eq(title, heading_path))
        heading_path = STR_EMPTY;
    return arena_printf(arena, "%.*s%s%.*s%s%.*s", STR_ARG(title), title.len > 0 ? "\n" : "",
                        STR_ARG(heading_path), heading_path.len > 0 ? "\n" : "", STR_ARG(text));
}

static bool
same_batch(const struct vector_item *a, const struct vector_item *b)
{
    return a->version == b->version && str_eq(ID_STR(a->source_id), ID_STR(b->source_id)) &&
           str_eq(a->vector.encoder, b->vector.encoder);
}

/* One batch: all items have its source, version and encoder. */
static enum status
put_batch(struct store_tx *tx, const struct vector_item *items, size_t count, struct arena *scratch,
          struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    int64_t batch = 0;
    enum status st = driver->generation_next(tx, &batch, err);

    if (st == ST_OK)
        st = driver->batch_add(tx, batch, items[0].vector.encoder, items[0].source_id,
                               items[0].version, (int64_t)count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const struct index_vector *vector = &items[i].vector;
        struct index_code code = {.chunk_id = items[i].chunk_id,
                                  .partition_id = items[i].partition_id};

        arena_reset(scratch);
        code.code = scan_code(vector->values, vector->dimension, scratch);
        st = driver->code_add(tx, vector->encoder, batch, &code, err);
    }
    return st;
}

enum status
put_vectors(struct store_tx *tx, const struct vector_item *items, size_t count, struct err *err)
{
    struct arena *scratch = arena_create(CODES_MAX_BYTES);
    enum status st = ST_OK;

    for (size_t i = 0, end; i < count && st == ST_OK; i = end) {
        for (end = i + 1; end < count && same_batch(&items[i], &items[end]);)
            end++;
        st = put_batch(tx, &items[i], end - i, scratch, err);
    }
    arena_destroy(&scratch);
    return st;
}

enum status
delete_vectors(struct store_tx *tx, struct source_id source_id, int64_t version, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    int64_t removed = 0, generation;
    enum status st = driver->code_remove(tx, source_id, version, &removed, err);

    return st == ST_OK && removed > 0 ? driver->generation_next(tx, &generation, err) : st;
}

enum status
index_vectors_missing(struct store_tx *tx, struct str encoder, int64_t after, size_t limit,
                      struct arena *arena, struct index_missing **missing_out, size_t *count_out,
                      struct err *err)
{
    return index_driver_of(tx)->code_missing(tx, encoder, after, limit, arena, missing_out,
                                             count_out, err);
}

enum status
index_vectors_put(struct store_tx *tx, struct str encoder, unsigned dimension,
                  const struct index_missing *items, size_t count, struct err *err)
{
    struct arena *arena = arena_create(CODES_MAX_BYTES);
    struct vector_item *found = ARENA_NEW_N(arena, struct vector_item, count + 1);
    size_t found_count = 0;
    enum status st = ST_OK;

    for (size_t i = 0; i < count && st == ST_OK; i++) {
        struct index_chunk chunk;

        st = index_driver_of(tx)->chunk_get(tx, items[i].chunk_id, encoder, arena, &chunk, err);
        if (st == ST_OK && chunk.code.len == 0 && chunk.version == items[i].version &&
            str_eq(ID_STR(chunk.source_id), ID_STR(items[i].source_id)))
            found[found_count++] = (struct vector_item){chunk.chunk_id,
                                                        chunk.partition_id,
                                                        chunk.source_id,
                                                        chunk.version,
                                                        {encoder, dimension, items[i].values}};
        if (st == ST_NOT_FOUND)
            st = ST_OK;
    }
    if (st == ST_OK)
        st = put_vectors(tx, found, found_count, err);
    for (size_t i = 0; i < found_count && st == ST_OK; i++)
        if (i == 0 || !str_eq(ID_STR(found[i].source_id), ID_STR(found[i - 1].source_id)))
            st = index_driver_of(tx)->sync_mark(tx, found[i].source_id, err);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "put vectors into the index");
}

enum status
index_vectors_count(struct store_tx *tx, struct str encoder, int64_t *count_out, struct err *err)
{
    return index_driver_of(tx)->batch_sum(tx, encoder, count_out, err);
}

enum status
index_vectors_keep_only(struct store_tx *tx, struct str encoder, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    int64_t removed = 0, generation;
    enum status st = driver->code_remove_others(tx, encoder, &removed, err);

    return st == ST_OK && removed > 0 ? driver->generation_next(tx, &generation, err) : st;
}
