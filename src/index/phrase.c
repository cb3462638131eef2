/*
 * phrase.c - several words that stand for one, and which passages have all of them
 *
 * Postings tell which words a passage has, not in which order: a passage has a phrase when it has
 * each of its words, as often as the one that it has least often. One word alone is nothing. The
 * postings of a phrase are made from its words' when a question has it, so that it is counted,
 * weighed and scored as any other term.
 */
#include "index/index_private.h"

#include <string.h>

struct phrase_rows {
    struct index_block *blocks;
    size_t count;
    bool is_read;
};

static bool
is_phrase(const struct query_phrase *phrase, const struct str *words, size_t count)
{
    if (phrase->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!str_eq(phrase->words[i], words[i]))
            return false;
    return true;
}

struct query_phrase *
query_phrase_get(struct query_group *group, const struct str *words, size_t count,
                 struct arena *arena)
{
    struct query_phrase *phrase;

    for (size_t i = 0; i < group->phrase_count; i++)
        if (is_phrase(group->phrases[i], words, count))
            return group->phrases[i];
    if (group->phrase_count == QUERY_MAX_PHRASES)
        return NULL;
    phrase = ARENA_NEW(arena, struct query_phrase);
    memcpy(phrase->words, words, count * sizeof(*words));
    phrase->count = count;
    phrase->index = group->phrase_count;
    group->phrases[group->phrase_count++] = phrase;
    return phrase;
}

/* --- in postings --- */

/* Of one block, a row for each word: the passages that are in all. both has room for a block. */
static enum status
meet(const struct index_block *const *rows, size_t count, struct posting *both, struct arena *arena,
     struct index_block *block_out, struct err *err)
{
    struct postings_reader readers[INDEX_SYNONYM_TERMS];
    struct posting at[INDEX_SYNONYM_TERMS] = {{0}};
    size_t found = 0, written;
    uint32_t wanted = 0; /* the least offset that may still be in all */
    bool more = true, damaged = false;

    for (size_t w = 0; w < count; w++) {
        postings_reader_init(&readers[w], rows[w]->postings);
        more = more && postings_next(&readers[w], &at[w]);
    }
    while (more) {
        uint32_t least = UINT32_MAX;

        for (size_t w = 0; w < count; w++) {
            while (more && at[w].offset < wanted)
                more = postings_next(&readers[w], &at[w]);
            wanted = at[w].offset > wanted ? at[w].offset : wanted;
            least = at[w].offset < least ? at[w].offset : least;
        }
        if (!more || least < wanted)
            continue;
        both[found] = at[0];
        for (size_t w = 1; w < count; w++)
            if (at[w].frequency < both[found].frequency)
                both[found].frequency = at[w].frequency;
        found++;
        wanted++;
    }
    for (size_t w = 0; w < count; w++)
        damaged = damaged || readers[w].damaged;
    if (damaged)
        return err_set_detail(err, ST_INTERNAL, "damaged postings");
    *block_out = (struct index_block){.block = rows[0]->block, .chunk_count = (int64_t)found};
    return postings_change(STR_EMPTY, both, found, false, arena, &block_out->postings, &written,
                           err);
}

/* lists: of each word, ascending by block. */
static enum status
meet_all(struct index_block *const *lists, const size_t *counts, size_t words, struct arena *arena,
         struct phrase_rows *rows, struct err *err)
{
    struct posting *both = ARENA_NEW_N(arena, struct posting, POSTINGS_BLOCK_CHUNKS);
    size_t at[INDEX_SYNONYM_TERMS] = {0};
    enum status st = ST_OK;

    rows->blocks = ARENA_NEW_N(arena, struct index_block, counts[0]);
    for (; at[0] < counts[0] && st == ST_OK; at[0]++) {
        const struct index_block *same[INDEX_SYNONYM_TERMS];
        int64_t block = lists[0][at[0]].block;
        struct index_block *one = &rows->blocks[rows->count];
        size_t w;

        for (w = 0; w < words; w++) {
            while (at[w] < counts[w] && lists[w][at[w]].block < block)
                at[w]++;
            if (at[w] == counts[w] || lists[w][at[w]].block != block)
                break;
            same[w] = &lists[w][at[w]];
        }
        if (w < words)
            continue;
        st = meet(same, words, both, arena, one, err);
        rows->count += one->chunk_count > 0;
    }
    return st;
}

enum status
phrase_load(const struct search *search, size_t partition, struct query_phrase *phrase,
            struct index_block **blocks_out, size_t *count_out, struct err *err)
{
    struct index_block *lists[INDEX_SYNONYM_TERMS] = {NULL};
    size_t counts[INDEX_SYNONYM_TERMS] = {0}, w = 0;
    struct phrase_rows *rows;
    enum status st = ST_OK;

    if (phrase->rows == NULL)
        phrase->rows = ARENA_NEW_N(search->arena, struct phrase_rows, search->partition_count);
    rows = &phrase->rows[partition];
    for (; !rows->is_read && w < phrase->count && st == ST_OK && (w == 0 || counts[w - 1] > 0); w++)
        st = index_driver_of(search->tx)
                 ->posting_list(search->tx, search->partitions[partition].id, phrase->words[w],
                                search->arena, &lists[w], &counts[w], err);
    if (st == ST_OK && w == phrase->count && counts[w - 1] > 0)
        st = meet_all(lists, counts, w, search->arena, rows, err);
    rows->is_read = true;
    *blocks_out = rows->blocks;
    *count_out = rows->count;
    return st;
}

/* --- in a passage --- */

void
phrases_find(const struct query_group *group, struct str chunk_terms, struct phrase_found *found)
{
    struct chunk_term term;

    memset(found, 0, group->phrase_count * sizeof(*found));
    while (group->phrase_count > 0 && chunk_terms_next(&chunk_terms, &term)) {
        if (!query_may_be_form(group, term.term))
            continue;
        for (size_t p = 0; p < group->phrase_count; p++)
            for (size_t w = 0; w < group->phrases[p]->count; w++) {
                if (!str_eq(group->phrases[p]->words[w], term.term))
                    continue;
                if (found[p].words++ == 0 || term.frequency < found[p].frequency)
                    found[p].frequency = term.frequency;
                if (w == 0)
                    found[p].term = term;
            }
    }
}

bool
phrase_is_in(const struct query_phrase *phrase, const struct text_term *terms, size_t count)
{
    for (size_t w = 0; w < phrase->count; w++) {
        size_t at = 0;

        while (at < count && !str_eq(terms[at].term, phrase->words[w]))
            at++;
        if (at == count)
            return false;
    }
    return true;
}
