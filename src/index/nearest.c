/*
 * nearest.c - the passages whose vectors are nearest, and one score of words and vectors
 */
#include "base/clock.h"
#include "index/vectors.h"

static size_t
group_of_language(const struct search *search, struct str language)
{
    for (size_t g = 0; g < search->group_count; g++)
        if (str_eq(search->groups[g]->language, language))
            return g;
    return VECTOR_NO_GROUP;
}

enum status
nearest_find(struct search *search, struct err *err)
{
    const struct index_query *query = search->query;
    struct vector_view *view = NULL;
    size_t *group_of, group_count = 0;
    int64_t chunks = 0, seen = 0;
    int64_t start_us = clock_mono_us(clock_system());
    bool is_later = false;
    enum status st;

    if (query->vectors == NULL || query->vector == NULL)
        return ST_OK;
    for (size_t p = 0; p < search->partition_count; p++) {
        chunks += search->partitions[p].chunk_count;
        if ((size_t)search->partitions[p].id >= group_count)
            group_count = (size_t)search->partitions[p].id + 1;
    }
    st = vectors_acquire(query->vectors, search->tx, chunks, &view, &is_later, err);
    if (st != ST_OK || view == NULL)
        return st;
    group_of = ARENA_NEW_N(search->arena, size_t, group_count + 1);
    for (size_t i = 0; i < group_count; i++)
        group_of[i] = VECTOR_NO_GROUP;
    for (size_t p = 0; p < search->partition_count; p++) {
        const struct index_partition *partition = &search->partitions[p];
        size_t group =
            search->chosen[p] ? group_of_language(search, partition->language) : VECTOR_NO_GROUP;

        group_of[partition->id] = group;
        seen += group == VECTOR_NO_GROUP ? 0 : partition->chunk_count;
    }
    if (search->group_count > 0 &&
        vector_view_is_complete(view, is_later, group_of, group_count, seen)) {
        search->nearest = ARENA_NEW(search->arena, struct candidate_heap);
        search->nearest->max = RANK_NEAREST;
        search->encoder = vectors_encoder(query->vectors);
        search->dimension = vectors_dimension(query->vectors);
        vector_view_scan(query->vectors, view, query->vector, group_of, group_count,
                         search->allowed, search->nearest);
    }
    vector_view_unref(&view);
    search->timings.vectors_us = clock_mono_us(clock_system()) - start_us;
    return ST_OK;
}

void
candidates_join(struct search *search)
{
    const struct candidate_heap *best = &search->best, *nearest = search->nearest;

    search->candidates = ARENA_NEW_N(search->arena, struct candidate,
                                     best->count + (nearest == NULL ? 0 : nearest->count) + 1);
    search->candidate_count = 0;
    for (size_t i = 0; i < best->count; i++) {
        struct candidate *candidate = &search->candidates[search->candidate_count++];

        *candidate = best->items[i];
        candidate->is_unread = candidate->by_words = !search->by_postings;
    }
    for (size_t i = 0; nearest != NULL && i < nearest->count; i++) {
        size_t b = 0;

        while (b < best->count && best->items[b].chunk_id != nearest->items[i].chunk_id)
            b++;
        if (b < best->count) {
            search->candidates[b].by_words = false;
            continue;
        }
        search->candidates[search->candidate_count] = nearest->items[i];
        search->candidates[search->candidate_count++].is_unread = true;
    }
}

/* A share of the most that the words could earn, and the cosine: both mean the same for every
 * question, so that one weight serves all. */
void
candidates_fuse(struct search *search)
{
    size_t left = 0;

    for (size_t i = 0; i < search->candidate_count; i++)
        if (!search->candidates[i].gone)
            search->candidates[left++] = search->candidates[i];
    search->candidate_count = left;
    for (size_t i = 0; i < left; i++) {
        struct candidate *candidate = &search->candidates[i];

        candidate->words_share =
            rank_share_of_bound(search->groups[candidate->group], candidate->score);
        if (search->nearest != NULL)
            candidate->score = candidate->words_share + RANK_COSINE_WEIGHT * candidate->cosine;
    }
}
