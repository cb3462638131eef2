/*
 * confidence.c - one number for "do these passages answer?", the same for every organization
 *
 * A logistic regression over figures of what ranks first. More evidence never makes it less sure; a
 * larger library does, for among many passages some have a question's words by chance. Fitted on
 * questions of customers and to encyclopedias of several sizes, on questions whose passage was
 * taken out, and on questions about other subjects. docs/decisions/0006 has the figures of words
 * alone, 0019 those with vectors, measured on libraries and questions that had no part in the fit.
 */
#include "index/index_private.h"

#include <math.h>

#define SIZE_MAX_PASSAGES 4096.0

static const double weights_by_words[INDEX_SIGNALS] = {
    /* Share of the question, by value, within one stretch of a passage. */
    [INDEX_SIGNAL_NEAR] = 1.28,
    /* The best score as a part of the highest that BM25 could give. */
    [INDEX_SIGNAL_SCORE] = 5.99,
    /* How much was matched at all, counted in words that nobody wrote; its logarithm. A compound of
     * the question that stands there as it is asked for counts as one, beside its words. */
    [INDEX_SIGNAL_MATCHED] = 5.42,
    /* How much was not, counted likewise. */
    [INDEX_SIGNAL_MISSING] = -2.18,
    /* Logarithm of the library's size, as far as it was measured. */
    [INDEX_SIGNAL_SIZE] = -0.57,
    /* What went wrong for one customer stands in no document. */
    [INDEX_SIGNAL_OWN_CASE] = -4.15,
};
#define BIAS_BY_WORDS (-3.35)

/* With vectors, of the one passage that ranks first: what its words lack its own nearness may have,
 * not another passage's. Stretch and score add nothing to these. */
static const double weights_by_vectors[INDEX_SIGNALS] = {
    [INDEX_SIGNAL_MATCHED] = 3.59,   [INDEX_SIGNAL_MISSING] = -4.14, [INDEX_SIGNAL_SIZE] = -0.47,
    [INDEX_SIGNAL_OWN_CASE] = -3.85, [INDEX_SIGNAL_COSINE] = 8.04,
};
#define BIAS_BY_VECTORS (-0.84)

static double
logistic(const double *weights, double bias, const double *signals)
{
    double sum = bias;

    for (size_t i = 0; i < INDEX_SIGNALS; i++)
        sum += weights[i] * signals[i];
    return 1 / (1 + exp(-sum));
}

double
index_confidence(const struct search *search, bool is_own_case, double *signals)
{
    const struct candidate *candidates = search->candidates;
    const struct query_group *group;
    bool by_vectors = search->nearest != NULL;
    size_t looked_at = by_vectors ? 1 : CONFIDENCE_BEST;
    double rarest, found, near = 0, coverage = 0, words = 0, compounds = 0;

    if (search->candidate_count == 0)
        return 0;
    group = search->groups[candidates[0].group];
    if (!by_vectors && (group->value_sum <= 0 || candidates[0].score <= 0))
        return 0;
    rarest = log(1 + ((double)group->chunk_count + 0.5) / 0.5);
    for (size_t i = 0; i < search->candidate_count && i < looked_at; i++) {
        if (candidates[i].group != candidates[0].group)
            continue;
        near = fmax(near, candidates[i].near_share);
        coverage = fmax(coverage, candidates[i].coverage);
        words = fmax(words, candidates[i].words_share);
        compounds = fmax(compounds, (double)candidates[i].compounds);
    }
    found = coverage * group->value_sum;
    signals[INDEX_SIGNAL_NEAR] = near;
    signals[INDEX_SIGNAL_SCORE] = words;
    signals[INDEX_SIGNAL_MATCHED] = log1p(found / rarest + compounds);
    signals[INDEX_SIGNAL_MISSING] = log1p((group->value_sum - found) / rarest);
    signals[INDEX_SIGNAL_SIZE] = log1p(fmin((double)group->chunk_count, SIZE_MAX_PASSAGES));
    signals[INDEX_SIGNAL_OWN_CASE] = is_own_case;
    signals[INDEX_SIGNAL_COSINE] = candidates[0].cosine;
    return by_vectors ? logistic(weights_by_vectors, BIAS_BY_VECTORS, signals)
                      : logistic(weights_by_words, BIAS_BY_WORDS, signals);
}
