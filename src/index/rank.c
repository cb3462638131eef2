/*
 * rank.c - the best candidates once more, by how the question's words stand in them
 *
 * BM25 takes a passage for a bag of words. Here each pair of words that follow each other in the
 * question, stop words left out, earns 1/distance wherever both stand within RANK_NEAR_WINDOW words
 * of each other in the passage; in the question's order the distance is one less. The sum is
 * saturated as BM25 saturates a frequency, and weighs as the pair's mean idf.
 */
#include "index/index_private.h"
#include "index/scan.h"

/* Words of a stretch that is about as long as a sentence. */
#define RANK_STRETCH 24

static bool
is_worse(const struct candidate *a, const struct candidate *b)
{
    return a->score != b->score ? a->score < b->score : a->chunk_id > b->chunk_id;
}

static void
swap(struct candidate *a, struct candidate *b)
{
    int64_t chunk_id = a->chunk_id;
    double score = a->score;
    size_t group = a->group;

    a->chunk_id = b->chunk_id;
    a->score = b->score;
    a->group = b->group;
    b->chunk_id = chunk_id;
    b->score = score;
    b->group = group;
}

static void
sift_down(struct candidate_heap *heap)
{
    for (size_t at = 0, child; (child = at * 2 + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && is_worse(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!is_worse(&heap->items[child], &heap->items[at]))
            break;
        swap(&heap->items[child], &heap->items[at]);
    }
}

void
candidate_offer(struct candidate_heap *heap, int64_t chunk_id, double score, size_t group)
{
    const struct candidate offered = {.chunk_id = chunk_id, .score = score};
    size_t at;

    if (heap->count == heap->max) {
        if (!is_worse(&heap->items[0], &offered))
            return;
        heap->items[0].chunk_id = chunk_id;
        heap->items[0].score = score;
        heap->items[0].group = group;
        sift_down(heap);
        return;
    }
    at = heap->count++;
    heap->items[at].chunk_id = chunk_id;
    heap->items[at].score = score;
    heap->items[at].group = group;
    for (; at > 0 && is_worse(&heap->items[at], &heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&heap->items[at], &heap->items[(at - 1) / 2]);
}

struct term_places {
    uint32_t at[RANK_MAX_PLACES];
    size_t count;
};

static double
nearness(const struct term_places *first, const struct term_places *second)
{
    double sum = 0;

    for (size_t i = 0; i < first->count; i++) {
        uint32_t best = UINT32_MAX;

        for (size_t j = 0; j < second->count; j++) {
            uint32_t distance = second->at[j] > first->at[i] ? second->at[j] - first->at[i]
                                                             : first->at[i] - second->at[j] + 1;

            if (distance < best)
                best = distance;
        }
        if (best <= RANK_NEAR_WINDOW)
            sum += 1.0 / best;
    }
    return sum * (RANK_NEAR_K + 1) / (sum + RANK_NEAR_K);
}

/* The greatest value that stands within one stretch: from each place of each term onwards. */
static double
best_stretch(const struct query_group *group, const struct term_places *places,
             const struct candidate *candidate)
{
    double best = 0;

    for (size_t i = 0; i < group->term_count; i++)
        for (size_t p = 0; p < places[i].count; p++) {
            uint32_t from = places[i].at[p];
            double sum = 0;

            for (size_t j = 0; j < group->term_count; j++)
                for (size_t q = 0; q < places[j].count; q++)
                    if (places[j].at[q] >= from && places[j].at[q] < from + RANK_STRETCH) {
                        sum += query_term_value(&group->terms[j]) * candidate->found[j];
                        break;
                    }
            if (sum > best)
                best = sum;
        }
    return best;
}

/* The weight of the best form counts, and the places of that. */
static void
find_form(const struct query_form *form, const struct chunk_term *term, uint32_t frequency,
          size_t i, struct term_places *places, struct candidate *candidate)
{
    candidate->matches[i] += frequency;
    if (form->weight <= candidate->found[i])
        return;
    candidate->found[i] = form->weight;
    places[i].count = chunk_term_places(term, places[i].at, RANK_MAX_PLACES);
}

/* NULL: the form is no phrase, or the passage does not have all of it. */
static const struct phrase_found *
found_of(const struct phrase_found *phrases, const struct query_form *form)
{
    const struct phrase_found *found;

    if (form->phrase == NULL)
        return NULL;
    found = &phrases[form->phrase->index];
    return found->words == form->phrase->count ? found : NULL;
}

static void
find_phrases(const struct query_group *group, struct str bytes, struct term_places *places,
             struct candidate *candidate)
{
    struct phrase_found phrases[QUERY_MAX_PHRASES];

    phrases_find(group, bytes, phrases);
    for (size_t i = 0; i < group->term_count; i++)
        for (size_t f = 0; f < group->terms[i].form_count; f++) {
            const struct query_form *form = &group->terms[i].forms[f];
            const struct phrase_found *found = found_of(phrases, form);

            if (found != NULL)
                find_form(form, &found->term, found->frequency, i, places, candidate);
        }
}

static void
find_terms(const struct query_group *group, struct str bytes, struct term_places *places,
           struct candidate *candidate)
{
    struct str rest = bytes;
    struct chunk_term term;

    while (chunk_terms_next(&rest, &term))
        for (size_t i = 0; query_may_be_form(group, term.term) && i < group->term_count; i++)
            for (size_t f = 0; f < group->terms[i].form_count; f++)
                if (str_eq(group->terms[i].forms[f].term, term.term))
                    find_form(&group->terms[i].forms[f], &term, term.frequency, i, places,
                              candidate);
    if (group->phrase_count > 0)
        find_phrases(group, bytes, places, candidate);
}

static double
score_phrases(const struct query_group *group, const struct index_chunk *chunk)
{
    struct phrase_found phrases[QUERY_MAX_PHRASES];
    double sum = 0;

    phrases_find(group, chunk->terms, phrases);
    for (size_t i = 0; i < group->term_count; i++)
        for (size_t f = 0; f < group->terms[i].form_count; f++) {
            const struct query_form *form = &group->terms[i].forms[f];
            const struct phrase_found *found = found_of(phrases, form);

            if (found != NULL)
                sum += rank_form_score(group, rank_form_weight(&group->terms[i], form),
                                       found->frequency, (double)chunk->term_count);
        }
    return sum;
}

/* BM25 of what was not found by the transaction's postings, as score_block makes it of postings. */
static double
score_words(const struct query_group *group, const struct index_chunk *chunk)
{
    struct str bytes = chunk->terms;
    struct chunk_term term;
    double sum = group->phrase_count > 0 ? score_phrases(group, chunk) : 0;

    while (chunk_terms_next(&bytes, &term))
        for (size_t i = 0; query_may_be_form(group, term.term) && i < group->term_count; i++)
            for (size_t f = 0; f < group->terms[i].form_count; f++)
                if (str_eq(group->terms[i].forms[f].term, term.term))
                    sum += rank_form_score(
                        group, rank_form_weight(&group->terms[i], &group->terms[i].forms[f]),
                        term.frequency, (double)chunk->term_count);
    return sum;
}

/* What is in memory may be of another moment than the transaction: what it may not see is out. */
static bool
may_be_seen(const struct search *search, int64_t partition_id)
{
    for (size_t p = 0; p < search->partition_count; p++)
        if (search->partitions[p].id == partition_id)
            return search->chosen[p];
    return false;
}

static size_t
group_of_partition(const struct search *search, int64_t partition_id)
{
    for (size_t p = 0; p < search->partition_count; p++)
        if (search->partitions[p].id == partition_id)
            for (size_t g = 0; g < search->group_count; g++)
                if (str_eq(search->groups[g]->language, search->partitions[p].language))
                    return g;
    return GROUP_UNREAD;
}

/* Of what was found outside of the transaction: whether it is still there, with a vector when those
 * take part, and for whoever asks. */
static bool
is_gone(const struct search *search, const struct candidate *candidate, enum status st)
{
    if (st != ST_OK)
        return st == ST_NOT_FOUND;
    return (search->nearest != NULL && candidate->chunk.code.len == 0) ||
           !may_be_seen(search, candidate->chunk.partition_id) ||
           !chunk_set_has(search->allowed, candidate->chunk_id) || candidate->group == GROUP_UNREAD;
}

static void
add_nearness(const struct query_group *group, const struct term_places *places,
             struct candidate *candidate)
{
    for (size_t i = 0; i + 1 < group->sequence_count; i++) {
        size_t first = group->sequence[i], second = group->sequence[i + 1];

        if (first != second && places[first].count > 0 && places[second].count > 0)
            candidate->score += RANK_NEAR_WEIGHT * candidate->found[first] *
                                candidate->found[second] *
                                (group->terms[first].idf + group->terms[second].idf) / 2 *
                                nearness(&places[first], &places[second]);
    }
}

static bool
has_place(const struct term_places *places, uint32_t at)
{
    for (size_t i = 0; i < places->count; i++)
        if (places->at[i] == at)
            return true;
    return false;
}

static bool
has_compound(const struct query_compound *compound, const struct term_places *places)
{
    const struct query_compound_word *first = &compound->words[0];

    for (size_t i = 0; i < places[first->term].count; i++) {
        uint32_t start = places[first->term].at[i] - first->offset;
        size_t w = 1;

        while (w < compound->count &&
               has_place(&places[compound->words[w].term], start + compound->words[w].offset))
            w++;
        if (w == compound->count)
            return true;
    }
    return false;
}

static unsigned
count_compounds(const struct query_group *group, const struct term_places *places)
{
    unsigned count = 0;

    for (size_t i = 0; i < group->compound_count; i++)
        count += has_compound(&group->compounds[i], places);
    return count;
}

enum status
rank_again(const struct search *search, struct candidate *candidate, struct err *err)
{
    const struct query_group *group;
    const struct index_query *query = search->query;
    struct term_places *places;
    struct str encoder = search->nearest == NULL ? STR_EMPTY : search->encoder;
    enum status st = index_driver_of(search->tx)
                         ->chunk_get(search->tx, candidate->chunk_id, encoder, search->arena,
                                     &candidate->chunk, err);
    double found = 0;

    if (st == ST_OK && candidate->group == GROUP_UNREAD)
        candidate->group = group_of_partition(search, candidate->chunk.partition_id);
    candidate->gone = candidate->is_unread && is_gone(search, candidate, st);
    if (candidate->gone)
        return ST_OK;
    if (st == ST_NOT_FOUND)
        return err_set_detail(err, ST_INTERNAL, "postings name chunk %lld, which is not there",
                              (long long)candidate->chunk_id);
    if (st != ST_OK)
        return st;
    group = search->groups[candidate->group];
    places = ARENA_NEW_N(search->arena, struct term_places, group->term_count);
    if (candidate->is_unread)
        candidate->score = score_words(group, &candidate->chunk);
    /* A part of a phrase, or another word of the same number. */
    candidate->gone = candidate->by_words && candidate->score == 0;
    if (candidate->gone)
        return ST_OK;
    if (candidate->chunk.code.len > 0 &&
        !scan_code_dot(candidate->chunk.code, query->vector, search->dimension, &candidate->cosine))
        return err_set_detail(err, ST_INTERNAL, "chunk %lld has a vector of another length",
                              (long long)candidate->chunk_id);
    find_terms(group, candidate->chunk.terms, places, candidate);
    for (size_t i = 0; i < group->term_count; i++)
        found += query_term_value(&group->terms[i]) * candidate->found[i];
    add_nearness(group, places, candidate);
    if (group->value_sum > 0)
        candidate->coverage = found / group->value_sum;
    candidate->compounds = count_compounds(group, places);
    return ST_OK;
}

void
rank_stretch(const struct search *search, struct candidate *candidate)
{
    const struct query_group *group = search->groups[candidate->group];
    struct term_places *places = ARENA_NEW_N(search->arena, struct term_places, group->term_count);
    struct candidate *again = ARENA_NEW(search->arena, struct candidate);

    find_terms(group, candidate->chunk.terms, places, again);
    if (group->value_sum > 0)
        candidate->near_share = best_stretch(group, places, again) / group->value_sum;
}
