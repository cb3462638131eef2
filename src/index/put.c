/*
 * put.c - chunks into postings, and out of them again
 *
 * All chunks of a call are analysed first and sorted by term, so that each row of postings is read
 * and written once. Taking out works from index_chunk.terms, never from the text: analysis may have
 * changed since.
 */
#include "index/index_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

#define ANALYSE_MAX_TERM_BYTES 200
#define PUT_MAX_TERMS 1000000 /* that are kept once each */

/* --- analysis --- */

struct place {
    struct str term;
    uint32_t at;
    uint32_t weight;
};

struct place_list {
    struct place *items;
    size_t count, capacity;
    uint32_t next_at;
};

static void
place_add(struct place_list *list, struct arena *arena, const struct place *place)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        struct place *grown = ARENA_NEW_N(arena, struct place, capacity);

        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof(*grown));
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = *place;
}

static bool
has_term(const struct place_list *list, struct str term)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->items[i].term, term))
            return true;
    return false;
}

/* only_new: words that stand in the title already are not counted again for a name or a heading. */
static void
places_of(struct str text, struct str language, uint32_t weight, bool only_new, struct arena *arena,
          struct place_list *list)
{
    struct text_term *terms;
    size_t count = text_terms(text, language, arena, &terms);
    const struct place_list before = *list;

    for (size_t i = 0; i < count; i++) {
        struct place place = {terms[i].term, list->next_at++, weight};

        if (terms[i].is_stop_word || (only_new && has_term(&before, place.term)))
            continue;
        place.term.len = str_utf8_floor(place.term, ANALYSE_MAX_TERM_BYTES);
        place_add(list, arena, &place);
    }
    list->next_at += RANK_FIELD_GAP;
}

static int
place_compare(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    int order = str_cmp(left->term, right->term);

    return order != 0 ? order : (left->at > right->at) - (left->at < right->at);
}

static void
collect_terms(const struct place_list *list, struct arena *arena, struct analysed_entry *out)
{
    out->terms = ARENA_NEW_N(arena, struct analysed_term, list->count + 1);
    for (size_t i = 0; i < list->count;) {
        struct analysed_term *term = &out->terms[out->count++];
        size_t start = i;

        term->term = list->items[i].term;
        while (i < list->count && str_eq(list->items[i].term, term->term))
            term->frequency += list->items[i++].weight;
        term->place_count = (uint32_t)(i - start);
        if (term->place_count > RANK_MAX_PLACES)
            term->place_count = RANK_MAX_PLACES;
        term->places = ARENA_NEW_N(arena, uint32_t, term->place_count);
        for (uint32_t p = 0; p < term->place_count; p++)
            term->places[p] = list->items[start + p].at;
        out->length += term->frequency;
    }
}

enum status
index_analyse(const struct index_entry *entry, struct arena *arena,
              struct analysed_entry *analysed_out, struct err *err)
{
    struct place_list list = {0};
    struct buf bytes;
    enum status st;

    *analysed_out = (struct analysed_entry){0};
    if (!str_is_utf8(entry->text) || !str_is_utf8(entry->title) || !str_is_utf8(entry->name) ||
        !str_is_utf8(entry->heading_path))
        return err_set(err, ST_INVALID, "the passage is not valid UTF-8");
    places_of(entry->title, entry->language, RANK_CONTEXT_WEIGHT, false, arena, &list);
    places_of(entry->name, entry->language, RANK_CONTEXT_WEIGHT, true, arena, &list);
    places_of(entry->heading_path, entry->language, RANK_CONTEXT_WEIGHT, true, arena, &list);
    places_of(entry->text, entry->language, 1, false, arena, &list);
    if (list.count > 0)
        qsort(list.items, list.count, sizeof(*list.items), place_compare);
    collect_terms(&list, arena, analysed_out);

    buf_init(&bytes, PUT_MAX_BYTES);
    for (size_t i = 0; i < analysed_out->count; i++) {
        const struct analysed_term *term = &analysed_out->terms[i];

        chunk_terms_append(
            &bytes, &(struct chunk_term){term->term, term->frequency, term->place_count, STR_EMPTY},
            term->places);
    }
    st = buf_check(&bytes, err);
    if (st == ST_OK)
        analysed_out->bytes = arena_str(arena, buf_str(&bytes));
    buf_deinit(&bytes);
    return st;
}

/* --- changes of postings --- */

void
change_add(struct change_list *list, struct arena *arena, const struct change *change)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
        struct change *grown = ARENA_NEW_N(arena, struct change, capacity);

        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof(*grown));
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = *change;
}

static int
change_compare(const void *a, const void *b)
{
    const struct change *left = a, *right = b;
    int order =
        (left->partition_id > right->partition_id) - (left->partition_id < right->partition_id);

    if (order == 0)
        order = str_cmp(left->term, right->term);
    if (order == 0)
        order = (left->chunk_id > right->chunk_id) - (left->chunk_id < right->chunk_id);
    return order;
}

static bool
same_row(const struct change *a, const struct change *b)
{
    return a->partition_id == b->partition_id &&
           postings_block_of(a->chunk_id) == postings_block_of(b->chunk_id) &&
           str_eq(a->term, b->term);
}

/* One row: all changes have its term and block. */
static enum status
change_row(struct store_tx *tx, const struct change *changes, size_t count, bool removing,
           struct arena *scratch, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    int64_t block = postings_block_of(changes[0].chunk_id);
    struct posting *postings = ARENA_NEW_N(scratch, struct posting, count);
    struct index_block row = {.block = block};
    struct str before = STR_EMPTY;
    size_t chunk_count = 0;
    enum status st;

    for (size_t i = 0; i < count; i++)
        postings[i] =
            (struct posting){(uint32_t)(changes[i].chunk_id - block * POSTINGS_BLOCK_CHUNKS),
                             changes[i].frequency, changes[i].length};
    st = driver->posting_get(tx, changes[0].partition_id, changes[0].term, block, scratch, &before,
                             err);
    if (st == ST_OK)
        st = postings_change(before, postings, count, removing, scratch, &row.postings,
                             &chunk_count, err);
    row.chunk_count = (int64_t)chunk_count;
    if (st == ST_OK)
        st = driver->posting_set(tx, changes[0].partition_id, changes[0].term, &row, err);
    return st;
}

enum status
change_postings(struct store_tx *tx, struct change_list *list, bool removing, struct err *err)
{
    struct arena *scratch = arena_create(PUT_MAX_BYTES);
    enum status st = ST_OK;

    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), change_compare);
    for (size_t i = 0, end; i < list->count && st == ST_OK; i = end) {
        for (end = i + 1; end < list->count && same_row(&list->items[i], &list->items[end]);)
            end++;
        arena_reset(scratch);
        st = change_row(tx, &list->items[i], end - i, removing, scratch, err);
    }
    arena_destroy(&scratch);
    return st;
}

/* --- putting --- */

struct putting {
    struct store_tx *tx;
    struct arena *arena;   /* of the call */
    struct arena *scratch; /* of an entry: its analysis is ten times its text */
    struct map terms;      /* term -> struct str in the arena: each once, however many have it */
    struct change_list changes;
};

static struct str
keep_term(struct putting *putting, struct str term)
{
    struct str *kept = map_find(&putting->terms, term);
    void *replaced;
    struct err ignored;

    if (kept == NULL) {
        kept = ARENA_NEW(putting->arena, struct str);
        *kept = arena_str(putting->arena, term);
        if (map_put(&putting->terms, term, kept, &replaced, &ignored) != ST_OK)
            return *kept; /* full: the next one has it again */
    }
    return *kept;
}

static enum status
put_one(struct putting *putting, const struct index_entry *entry, int64_t *partition_id_out,
        struct err *err)
{
    struct arena *arena = putting->scratch;
    struct store_tx *tx = putting->tx;
    const struct index_driver *driver = index_driver_of(tx);
    struct index_partition what = {.audience = entry->audience};
    struct analysed_entry analysed;
    struct index_chunk chunk;
    int64_t partition_id = 0;
    struct str audience, published = index_audience_published(entry->audience);
    enum status st = index_audience_parse(published, arena, &audience, err);

    if (st != ST_OK || !str_eq(audience, published))
        return err_set(err, ST_INVALID, "no such audience");
    what.brand_id = id_is_none(&entry->brand_id.id) ? STR("") : ID_STR(entry->brand_id);
    what.language = entry->language.ptr == NULL ? STR("") : entry->language;
    st = index_analyse(entry, arena, &analysed, err);
    if (st == ST_OK)
        st = driver->partition_add(tx, &what, 1, analysed.length, &partition_id, err);
    *partition_id_out = partition_id;
    if (st != ST_OK)
        return st;
    chunk = (struct index_chunk){
        .chunk_id = entry->chunk_id,
        .partition_id = partition_id,
        .source_id = entry->source_id,
        .version = entry->version,
        .title = entry->title.ptr == NULL ? STR("") : entry->title,
        .term_count = analysed.length,
        .terms = analysed.bytes,
    };
    for (size_t i = 0; i < analysed.count; i++)
        change_add(&putting->changes, putting->arena,
                   &(struct change){partition_id, keep_term(putting, analysed.terms[i].term),
                                    entry->chunk_id, analysed.terms[i].frequency, analysed.length});
    return driver->chunk_add(tx, &chunk, err);
}

enum status
index_put(struct store_tx *tx, const struct index_entry *entries, size_t count, struct err *err)
{
    struct putting putting = {
        .tx = tx, .arena = arena_create(PUT_MAX_BYTES), .scratch = arena_create(PUT_MAX_BYTES)};
    struct vector_item *items = ARENA_NEW_N(putting.arena, struct vector_item, count + 1);
    size_t item_count = 0;
    enum status st = ST_OK;

    map_init(&putting.terms, PUT_MAX_TERMS);
    for (size_t i = 0; i < count && st == ST_OK; i++) {
        const struct index_entry *entry = &entries[i];
        int64_t partition_id = 0;

        arena_reset(putting.scratch);
        st = put_one(&putting, entry, &partition_id, err);
        if (entry->vector.values != NULL)
            items[item_count++] = (struct vector_item){
                entry->chunk_id, partition_id, entry->source_id, entry->version, entry->vector};
    }
    if (st == ST_OK)
        st = change_postings(tx, &putting.changes, false, err);
    if (st == ST_OK)
        st = put_vectors(tx, items, item_count, err);
    for (size_t i = 0; i < count && st == ST_OK; i++)
        if (i == 0 || !str_eq(ID_STR(entries[i].source_id), ID_STR(entries[i - 1].source_id)))
            st = index_driver_of(tx)->sync_mark(tx, entries[i].source_id, err);
    map_deinit(&putting.terms);
    arena_destroy(&putting.scratch);
    arena_destroy(&putting.arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "put into the index");
}

/* --- taking out --- */

static enum status
collect_removals(struct store_tx *tx, const struct index_chunk *chunk, struct change_list *changes,
                 struct arena *arena, struct err *err)
{
    struct str rest = chunk->terms;
    struct chunk_term term;

    while (chunk_terms_next(&rest, &term))
        change_add(changes, arena,
                   &(struct change){chunk->partition_id, term.term, chunk->chunk_id, 0, 0});
    if (rest.len > 0)
        return err_set_detail(err, ST_INTERNAL, "damaged terms of chunk %lld",
                              (long long)chunk->chunk_id);
    return index_driver_of(tx)->partition_count(tx, chunk->partition_id, -1, -chunk->term_count,
                                                err);
}

enum status
index_delete(struct store_tx *tx, struct source_id source_id, int64_t version, struct err *err)
{
    const struct index_driver *driver = index_driver_of(tx);
    struct arena *arena = arena_create(PUT_MAX_BYTES);
    struct change_list changes = {0};
    struct index_chunk *chunks = NULL;
    size_t count = 0;
    enum status st =
        driver->chunk_list(tx, source_id, version, STR_EMPTY, arena, &chunks, &count, err);

    for (size_t i = 0; i < count && st == ST_OK; i++)
        st = collect_removals(tx, &chunks[i], &changes, arena, err);
    if (st == ST_OK)
        st = change_postings(tx, &changes, true, err);
    if (st == ST_OK)
        st = delete_vectors(tx, source_id, version, err);
    if (st == ST_OK)
        st = driver->chunk_remove(tx, source_id, version, err);
    if (st == ST_OK && count > 0)
        st = driver->sync_mark(tx, source_id, err);
    if (st == ST_OK)
        st = driver->sync_tidy(tx, source_id, err);
    arena_destroy(&arena);
    return st == ST_OK ? ST_OK : err_wrap(err, "take out of the index");
}
