/*
 * search.c - from a question to hits: postings, BM25, nearness, evidence
 *
 * Passages of different languages are searched side by side, each with the question's terms as its
 * own language makes them and with its own statistics. Postings are walked block by block over all
 * terms, so that scores of 4096 chunks live in one small array however large the index is.
 */
#include "index/index_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Unknown words of one question whose spelling is looked at. */
#define SEARCH_MAX_CORRECTIONS 3

/* Of what means about the same as a word that nobody wrote. */
#define ONLY_RELATED_WEIGHT 0.8
#define COMMON_MISSING_SHARE 0.3
#define LEAST_RANK_SHARE 0.4

/* Of sums of floats. */
#define ROUNDING 1e-4

/* Postings of one form of one term in one partition. */
struct walk {
    struct index_block *blocks;
    size_t count, next;
    size_t term, form;
    double most; /* no passage earns more by it */
};

static bool
may_be_seen(const struct index_query *query, const struct index_partition *partition)
{
    struct str audience = index_audience_published(partition->audience);
    bool is_draft = audience.len != partition->audience.len;

    if ((is_draft && (query->filter == NULL || !query->filter->with_drafts)) ||
        !index_audience_may_read(audience, query->for_staff, query->roles) ||
        !filter_wants_partition(query->filter, partition))
        return false;
    return id_is_none(&query->brand_id.id) || partition->brand_id.len == 0 ||
           str_eq(partition->brand_id, ID_STR(query->brand_id));
}

static enum status
choose_partitions(struct search *search, struct err *err)
{
    enum status st = index_driver_of(search->tx)
                         ->partition_list(search->tx, search->arena, &search->partitions,
                                          &search->partition_count, err);

    if (st != ST_OK)
        return st;
    search->chosen = ARENA_NEW_N(search->arena, bool, search->partition_count + 1);
    for (size_t i = 0; i < search->partition_count; i++) {
        search->chosen[i] = may_be_seen(search->query, &search->partitions[i]);
        if (search->chosen[i])
            search->chunks += search->partitions[i].chunk_count;
    }
    return filter_apply(search, err);
}

/* Of an engine beside the database there are no postings but a phrase's: how many passages have all
 * of its words is told by them alone. */
static enum status
read_form(struct search *search, size_t partition, const struct query_form *form, struct walk *walk,
          int64_t *chunks_out, struct err *err)
{
    const struct index_driver *driver = index_driver_of(search->tx);
    int64_t partition_id = search->partitions[partition].id;
    enum status st;

    *chunks_out = 0;
    if (form->phrase == NULL && !search->by_postings)
        return driver->posting_count(search->tx, partition_id, form->term, chunks_out, err);
    if (form->phrase != NULL)
        st = phrase_load(search, partition, form->phrase, &walk->blocks, &walk->count, err);
    else
        st = driver->posting_list(search->tx, partition_id, form->term, search->arena,
                                  &walk->blocks, &walk->count, err);
    for (size_t b = 0; b < walk->count && st == ST_OK; b++)
        *chunks_out += walk->blocks[b].chunk_count;
    return st;
}

/* All partitions are loaded before any is scored: rarity is counted over the whole group. */
static enum status
load_form(struct search *search, const bool *in_group, size_t term, size_t form,
          struct walk **walks, size_t *walk_counts, struct err *err)
{
    struct query_form *query_form = &search->groups[search->group_count]->terms[term].forms[form];

    for (size_t p = 0; p < search->partition_count; p++) {
        struct walk walk = {.term = term, .form = form};
        int64_t chunks;
        enum status st;

        if (!in_group[p])
            continue;
        st = read_form(search, p, query_form, &walk, &chunks, err);
        if (st != ST_OK)
            return st;
        query_form->chunk_count += chunks;
        if (walk.count > 0)
            walks[p][walk_counts[p]++] = walk;
    }
    return ST_OK;
}

static bool
is_known(const struct query_term *term)
{
    for (size_t f = 0; f < term->form_count; f++)
        if (term->forms[f].chunk_count > 0)
            return true;
    return false;
}

static enum status
load_terms(struct search *search, const bool *in_group, struct walk **walks, size_t *walk_counts,
           struct err *err)
{
    struct query_group *group = search->groups[search->group_count];
    unsigned corrections = 0;
    enum status st = query_join(search, in_group, group, err);

    for (size_t i = 0; i < group->term_count && st == ST_OK; i++) {
        struct query_term *term = &group->terms[i];
        size_t related = term->form_count;

        for (size_t f = 0; f < related && st == ST_OK; f++)
            if (term->forms[f].term.len > 0 || term->forms[f].phrase != NULL)
                st = load_form(search, in_group, i, f, walks, walk_counts, err);
        if (st != ST_OK || is_known(term) || corrections == SEARCH_MAX_CORRECTIONS)
            continue;
        corrections++;
        st = query_correct(search, in_group, group, term, err);
        for (size_t f = related; f < term->form_count && st == ST_OK; f++)
            st = load_form(search, in_group, i, f, walks, walk_counts, err);
    }
    return st;
}

/* As Lucene has it: never negative. */
static double
idf_of(double chunks, double with)
{
    if (with > chunks) /* several forms in one chunk */
        with = chunks;
    return log(1 + (chunks - with + 0.5) / (with + 0.5));
}

/* A word that says little may still tell apart what is alike otherwise. */
static double
rank_share(const struct query_term *term)
{
    return fmax(term->share, LEAST_RANK_SHARE);
}

double
rank_form_share(const struct query_term *term, const struct query_form *form)
{
    return form->weight * term->frequency * rank_share(term);
}

double
rank_form_weight(const struct query_term *term, const struct query_form *form)
{
    return form->idf * rank_form_share(term, form) * (RANK_K1 + 1);
}

static void
note_beginning(struct query_group *group, struct str term)
{
    group->begins[query_beginning(term) / 64] |= UINT64_C(1) << (query_beginning(term) % 64);
}

/* A word is as rare as itself, or as all that stands for it when nobody wrote it. What stands for
 * it is never worth more than the word. */
static void
weigh_terms(struct query_group *group)
{
    double chunks = (double)group->chunk_count;

    for (size_t i = 0; i < group->term_count; i++) {
        struct query_term *term = &group->terms[i];
        double with = (double)term->forms[0].chunk_count;

        for (size_t f = 1; f < term->form_count && term->forms[0].chunk_count == 0; f++)
            with += (double)term->forms[f].chunk_count;
        term->idf = idf_of(chunks, with);
        if (with == 0 && term->is_common)
            term->share *= COMMON_MISSING_SHARE;
        for (size_t f = 0; f < term->form_count; f++) {
            struct query_form *form = &term->forms[f];

            note_beginning(group, form->term);
            for (size_t w = 0; form->phrase != NULL && w < form->phrase->count; w++)
                note_beginning(group, form->phrase->words[w]);
            form->idf = fmin(idf_of(chunks, (double)form->chunk_count), term->idf);
            /* The documents have no other word for it. */
            if (f > 0 && term->forms[0].chunk_count == 0 && !form->is_part)
                form->weight = fmax(form->weight, ONLY_RELATED_WEIGHT);
        }
        group->value_sum += query_term_value(term);
        group->rank_sum += term->idf * term->frequency * rank_share(term);
    }
}

static int
walk_compare(const void *a, const void *b)
{
    const struct walk *left = a, *right = b;

    if (left->most != right->most)
        return left->most < right->most ? 1 : -1;
    return (left->term > right->term) - (left->term < right->term);
}

/* The words that are worth most first. */
static void
order_walks(const struct query_group *group, struct walk *walks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct query_term *term = &group->terms[walks[i].term];

        walks[i].most = rank_form_weight(term, &term->forms[walks[i].form]);
    }
    if (count > 0)
        qsort(walks, count, sizeof(walks[0]), walk_compare);
}

static double
least_wanted(const struct candidate_heap *best)
{
    return best->count < best->max ? 0 : best->items[0].score;
}

/* A passage that has none of the first words is left out when all the others together could not
 * bring it among the best. */
static enum status
score_block(const struct search *search, struct walk *walks, size_t count, int64_t block,
            float *scores, uint16_t *touched, size_t *touched_count, struct err *err)
{
    const struct query_group *group = search->groups[search->group_count];
    const struct chunk_set *allowed = search->allowed;
    double rest = 0;

    for (size_t i = 0; i < count; i++)
        rest += walks[i].most;
    for (size_t i = 0; i < count; i++) {
        struct walk *walk = &walks[i];
        bool only_touched = rest * (1 + ROUNDING) < least_wanted(&search->best);
        struct postings_reader reader;
        struct posting posting;

        rest -= walk->most;

        if (walk->next == walk->count || walk->blocks[walk->next].block != block)
            continue;
        postings_reader_init(&reader, walk->blocks[walk->next++].postings);
        while (postings_next(&reader, &posting)) {
            if (scores[posting.offset] == 0.0F) {
                if (only_touched ||
                    !chunk_set_has(allowed, block * POSTINGS_BLOCK_CHUNKS + posting.offset))
                    continue;
                touched[(*touched_count)++] = (uint16_t)posting.offset;
            }
            scores[posting.offset] +=
                (float)rank_form_score(group, walk->most, posting.frequency, posting.length);
        }
        if (reader.damaged)
            return err_set_detail(err, ST_INTERNAL, "damaged postings");
    }
    return ST_OK;
}

static enum status
score_partition(struct search *search, struct walk *walks, size_t count, float *scores,
                uint16_t *touched, struct err *err)
{
    for (;;) {
        int64_t block = INT64_MAX;
        size_t touched_count = 0;
        enum status st;

        for (size_t i = 0; i < count; i++)
            if (walks[i].next < walks[i].count && walks[i].blocks[walks[i].next].block < block)
                block = walks[i].blocks[walks[i].next].block;
        if (block == INT64_MAX)
            return ST_OK;
        st = score_block(search, walks, count, block, scores, touched, &touched_count, err);
        if (st != ST_OK)
            return st;
        for (size_t i = 0; i < touched_count; i++) {
            candidate_offer(&search->best, block * POSTINGS_BLOCK_CHUNKS + touched[i],
                            (double)scores[touched[i]], search->group_count);
            scores[touched[i]] = 0.0F;
        }
    }
}

static enum status
score_group(struct search *search, struct str language, struct err *err)
{
    struct query_group *group = ARENA_NEW(search->arena, struct query_group);
    size_t partitions = search->partition_count;
    struct walk **walks = ARENA_NEW_N(search->arena, struct walk *, partitions);
    size_t *walk_counts = ARENA_NEW_N(search->arena, size_t, partitions);
    bool *in_group = ARENA_NEW_N(search->arena, bool, partitions);
    float *scores = ARENA_NEW_N(search->arena, float, POSTINGS_BLOCK_CHUNKS);
    uint16_t *touched = ARENA_NEW_N(search->arena, uint16_t, POSTINGS_BLOCK_CHUNKS);
    int64_t length = 0;
    enum status st;

    search->groups[search->group_count] = group;
    query_analyse(search->query, language, search->arena, group);
    for (size_t p = 0; p < partitions; p++) {
        in_group[p] = search->chosen[p] && str_eq(search->partitions[p].language, language);
        if (!in_group[p])
            continue;
        walks[p] = ARENA_NEW_N(search->arena, struct walk, INDEX_MAX_QUERY_TERMS * QUERY_MAX_FORMS);
        group->chunk_count += search->partitions[p].chunk_count;
        length += search->partitions[p].term_count;
    }
    group->flat = RANK_K1 * (1 - RANK_B);
    group->slope = length > 0 ? RANK_K1 * RANK_B * (double)group->chunk_count / (double)length
                              : RANK_K1 * RANK_B;
    st = load_terms(search, in_group, walks, walk_counts, err);
    if (st != ST_OK)
        return st;
    weigh_terms(group);
    for (size_t p = 0; p < partitions && st == ST_OK && search->by_postings; p++)
        if (in_group[p]) {
            order_walks(group, walks[p], walk_counts[p]);
            st = score_partition(search, walks[p], walk_counts[p], scores, touched, err);
        }
    search->group_count++;
    return st;
}

static bool
group_is_done(const struct search *search, struct str language)
{
    for (size_t i = 0; i < search->group_count; i++)
        if (str_eq(search->groups[i]->language, language))
            return true;
    return false;
}

static int
candidate_compare(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;

    if (left->score != right->score)
        return left->score < right->score ? 1 : -1;
    return (left->chunk_id > right->chunk_id) - (left->chunk_id < right->chunk_id);
}

/* --- hits --- */

/* Marks what the term stands for in the question; returns the value that this adds. */
static double
find_term(const struct query_group *group, struct str term, double *found)
{
    double added = 0;

    for (size_t i = 0; query_may_be_form(group, term) && i < group->term_count; i++)
        for (size_t f = 0; f < group->terms[i].form_count; f++) {
            const struct query_form *form = &group->terms[i].forms[f];

            if (form->weight <= found[i] || !str_eq(term, form->term))
                continue;
            added += query_term_value(&group->terms[i]) * (form->weight - found[i]);
            found[i] = form->weight;
        }
    return added;
}

/* The same for phrases that have all their words among the terms. */
static double
find_phrases(const struct query_group *group, const struct text_term *terms, size_t count,
             double *found)
{
    double added = 0;

    for (size_t i = 0; group->phrase_count > 0 && i < group->term_count; i++)
        for (size_t f = 0; f < group->terms[i].form_count; f++) {
            const struct query_form *form = &group->terms[i].forms[f];

            if (form->phrase == NULL || form->weight <= found[i] ||
                !phrase_is_in(form->phrase, terms, count))
                continue;
            added += query_term_value(&group->terms[i]) * (form->weight - found[i]);
            found[i] = form->weight;
        }
    return added;
}

/* The sentence with the most of the question, by value; the earlier of equals. */
static struct text_span
find_best_sentence(const struct query_group *group, struct str text, struct arena *scratch)
{
    struct text_span *sentences, best = {0, 0};
    struct text_term *terms;
    size_t sentence_count = text_sentences(text, scratch, &sentences);
    size_t term_count = text_terms(text, group->language, scratch, &terms), at = 0;
    double best_sum = 0;

    for (size_t s = 0; s < sentence_count; s++) {
        double found[INDEX_MAX_QUERY_TERMS] = {0}, sum = 0;
        size_t first = at;

        for (; at < term_count && terms[at].span.start < sentences[s].end; at++)
            sum += find_term(group, terms[at].term, found);
        sum += find_phrases(group, terms + first, at - first, found);
        if (sum > best_sum) {
            best_sum = sum;
            best = sentences[s];
        }
    }
    return best;
}

/* The page on which bytes of the passage's text stand. What leads in before the range itself, such
 * as a table's column heads, counts as the range's beginning. */
static int64_t
page_of(const struct index_passage *passage, size_t at)
{
    size_t range = (size_t)(passage->end_char - passage->start_char);
    size_t lead = passage->text.len > range ? passage->text.len - range : 0;
    struct str rest = passage->page_starts, word, begins;
    int64_t page = passage->page, from;

    while (at >= lead && str_split(&rest, ' ', &word)) {
        if (!str_split(&word, ':', &begins) || !str_to_i64(begins, &from) ||
            from > (int64_t)(at - lead) || !str_to_i64(word, &page))
            break;
    }
    return page;
}

static enum status
fill_hit(struct search *search, const struct candidate *candidate, struct arena *arena,
         struct index_hit *hit, struct err *err)
{
    const struct query_group *group = search->groups[candidate->group];
    struct index_passage passage = {0};
    enum status st = index_driver_of(search->tx)
                         ->passage_get(search->tx, candidate->chunk_id, arena, &passage, err);

    if (st == ST_NOT_FOUND)
        return err_set_detail(err, ST_INTERNAL, "the index has chunk %lld, which is not there",
                              (long long)candidate->chunk_id);
    if (st != ST_OK)
        return st;
    *hit = (struct index_hit){
        .chunk_id = candidate->chunk_id,
        .source_id = candidate->chunk.source_id,
        .version = candidate->chunk.version,
        .title = arena_str(arena, candidate->chunk.title),
        .heading_path = passage.heading_path,
        .text = passage.text,
        .language = arena_str(arena, group->language),
        .start_char = passage.start_char,
        .end_char = passage.end_char,
        .score = candidate->score,
        .cosine = candidate->cosine,
        .coverage = candidate->coverage,
        .evidence = ARENA_NEW_N(arena, struct index_evidence, group->term_count),
        .evidence_count = group->term_count,
    };
    if (search->query->want_best_sentence)
        hit->best_sentence = find_best_sentence(group, passage.text, search->arena);
    hit->page = page_of(&passage, hit->best_sentence.start);
    for (size_t i = 0; i < group->term_count; i++)
        hit->evidence[i] = (struct index_evidence){
            .word = arena_str(arena, group->terms[i].word),
            .weight =
                group->value_sum > 0 ? query_term_value(&group->terms[i]) / group->value_sum : 0,
            .matches = candidate->matches[i],
        };
    return ST_OK;
}

enum status
search_prepare(struct search *search, struct err *err)
{
    int64_t start_us = clock_mono_us(clock_system());
    enum status st = choose_partitions(search, err);

    for (size_t i = 0; i < search->partition_count && st == ST_OK; i++)
        if (search->chosen[i] && search->group_count < SEARCH_MAX_LANGUAGES &&
            !group_is_done(search, search->partitions[i].language))
            st = score_group(search, search->partitions[i].language, err);
    search->timings.words_us = clock_mono_us(clock_system()) - start_us;
    return st;
}

enum status
search_finish(struct search *search, struct arena *arena, struct index_result *result,
              struct err *err)
{
    int64_t start_us = clock_mono_us(clock_system());
    struct candidate *candidates;
    enum status st = ST_OK;

    candidates_join(search);
    candidates = search->candidates;
    for (size_t i = 0; i < search->candidate_count && st == ST_OK; i++)
        st = rank_again(search, &candidates[i], err);
    if (st != ST_OK)
        return st;
    candidates_fuse(search);
    if (search->candidate_count > 0)
        qsort(candidates, search->candidate_count, sizeof(*candidates), candidate_compare);
    result->by_vectors = search->nearest != NULL;
    result->chunks_searched = search->chunks;
    result->count = search->candidate_count < search->query->limit ? search->candidate_count
                                                                   : search->query->limit;
    result->hits = ARENA_NEW_N(arena, struct index_hit, result->count);
    for (size_t i = 0; i < result->count && st == ST_OK; i++)
        st = fill_hit(search, &candidates[i], arena, &result->hits[i], err);
    for (size_t i = 0; !result->by_vectors && i < search->candidate_count && i < CONFIDENCE_BEST;
         i++)
        rank_stretch(search, &candidates[i]);
    for (size_t i = 0; i < search->candidate_count; i++)
        result->nearest = fmax(result->nearest, candidates[i].cosine);
    result->confidence = index_confidence(
        search, text_is_own_case(search->query->text, search->query->language), result->signals);
    if (search->candidate_count > 0)
        result->spellings = arena_str(arena, search->groups[candidates[0].group]->spellings);
    for (size_t i = 0; i < search->group_count && result->everyday.len == 0; i++)
        result->everyday = arena_str(arena, search->groups[i]->everyday);
    result->timings = search->timings;
    result->timings.rank_us = clock_mono_us(clock_system()) - start_us;
    return st;
}

enum status
search_take_query(const struct index_query *query, struct index_query *asked_out, struct err *err)
{
    if (query->limit < 1 || query->limit > INDEX_MAX_HITS)
        return err_set(err, ST_INVALID, "a search gives 1 to %d passages", INDEX_MAX_HITS);
    if (!str_is_utf8(query->text))
        return err_set(err, ST_INVALID, "the question is not valid UTF-8");
    *asked_out = *query;
    if (query->language.len == 0)
        asked_out->language = text_language(query->text);
    return ST_OK;
}

struct search *
search_new(struct store_tx *tx, const struct index_query *asked, bool by_postings,
           struct arena *arena)
{
    struct search *search = ARENA_NEW(arena, struct search);

    search->tx = tx;
    search->query = asked;
    search->arena = arena;
    search->by_postings = by_postings;
    search->best.max = RANK_CANDIDATES;
    return search;
}

enum status
index_search(struct store_tx *tx, const struct index_query *query, struct arena *arena,
             struct index_result *result_out, struct err *err)
{
    struct arena *work;
    struct search *search;
    struct index_query asked;
    enum status st = search_take_query(query, &asked, err);

    *result_out = (struct index_result){0};
    if (st != ST_OK)
        return st;
    work = arena_create(SEARCH_MAX_BYTES);
    search = search_new(tx, &asked, true, work);
    st = search_prepare(search, err);
    if (st == ST_OK)
        st = nearest_find(search, err);
    if (st == ST_OK)
        st = search_finish(search, arena, result_out, err);
    arena_destroy(&work);
    return st == ST_OK ? ST_OK : err_wrap(err, "search");
}

enum status
index_get_health(struct store_tx *tx, struct index_health *health_out, struct err *err)
{
    return index_driver_of(tx)->health(tx, health_out, err);
}
