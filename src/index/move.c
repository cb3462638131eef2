/*
 * move.c - passages to another partition: who may read a document, or whose it is, has changed
 *
 * Works from index_chunk.terms, as taking out does: nothing is read or analysed again. Vectors keep
 * their bytes; their batches get new numbers, because what is in memory under a number never
 * changes.
 */
#include "index/index_private.h"

static const struct index_partition *
find_partition(const struct index_partition *partitions, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (partitions[i].id == id)
            return &partitions[i];
    return NULL;
}

/* Both lists get the chunk's words. */
static enum status
collect_terms(const struct index_chunk *chunk, int64_t to, struct change_list *out,
              struct change_list *in, struct arena *arena, struct err *err)
{
    struct str rest = chunk->terms;
    struct chunk_term term;

    while (chunk_terms_next(&rest, &term)) {
        struct change change = {chunk->partition_id, term.term, chunk->chunk_id, term.frequency,
                                (uint32_t)chunk->term_count};

        change_add(out, arena, &change);
        change.partition_id = to;
        change_add(in, arena, &change);
    }
    if (rest.len > 0)
        return err_set_detail(err, ST_INTERNAL, "damaged terms of chunk %lld",
                              (long long)chunk->chunk_id);
    return ST_OK;
}

struct moving {
    struct store_tx *tx;
    struct arena *arena;
    struct str brand_id, audience;
    struct index_partition *partitions;
    size_t partition_count;
    struct change_list out, in;
};

static enum status
move_chunk(struct moving *m, const struct index_chunk *chunk, struct err *err)
{
    const struct index_driver *driver = index_driver_of(m->tx);
    const struct index_partition *from =
        find_partition(m->partitions, m->partition_count, chunk->partition_id);
    struct index_partition what = {.brand_id = m->brand_id, .audience = m->audience};
    int64_t to = 0;
    enum status st;

    if (from == NULL)
        return err_set_detail(err, ST_INTERNAL, "chunk %lld is in no partition",
                              (long long)chunk->chunk_id);
    if (str_eq(from->brand_id, what.brand_id) && str_eq(from->audience, what.audience))
        return ST_OK;
    what.language = from->language;
    st = driver->partition_add(m->tx, &what, 1, chunk->term_count, &to, err);
    if (st == ST_OK)
        st = driver->partition_count(m->tx, from->id, -1, -chunk->term_count, err);
    if (st == ST_OK)
        st = driver->chunk_move(m->tx, chunk->chunk_id, to, err);
    return st == ST_OK ? collect_terms(chunk, to, &m->out, &m->in, m->arena, err) : st;
}

static enum status
renumber_batches(struct store_tx *tx, struct source_id source_id, struct arena *arena,
                 struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    struct index_batch *batches = NULL;
    size_t count = 0;
    enum status st = driver->batch_list_of(tx, source_id, arena, &batches, &count, err);

    for (size_t i = 0; i < count && st == ST_OK; i++) {
        int64_t number = 0;

        st = driver->generation_next(tx, &number, err);
        if (st == ST_OK)
            st = driver->batch_renumber(tx, batches[i].batch, number, err);
    }
    return st;
}

enum status
index_move(struct store_tx *tx, struct source_id source_id, struct brand_id brand_id,
           struct str audience, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    struct moving m = {
        .tx = tx,
        .arena = arena_create(PUT_MAX_BYTES),
        .brand_id = id_is_none(&brand_id.id) ? STR("") : ID_STR(brand_id),
        .audience = audience,
    };
    struct index_chunk *chunks = NULL;
    size_t count = 0;
    enum status st = driver->partition_list(tx, m.arena, &m.partitions, &m.partition_count, err);

    if (st == ST_OK)
        st = driver->chunk_list(tx, source_id, 0, STR_EMPTY, m.arena, &chunks, &count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = move_chunk(&m, &chunks[i], err);
    if (st == ST_OK && m.out.count > 0) {
        st = change_postings(tx, &m.out, true, err);
        if (st == ST_OK)
            st = change_postings(tx, &m.in, false, err);
        if (st == ST_OK)
            st = renumber_batches(tx, source_id, m.arena, err);
        if (st == ST_OK)
            st = driver->sync_mark(tx, source_id, err);
    }
    arena_destroy(&m.arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "move within the index");
}
