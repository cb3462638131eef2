/*
 * confidence.c - one number for "do these passages answer?", the same for every organization
 *
 * A logistic regression over figures of the best passages. More evidence never makes it less sure;
 * a larger library does, for among many passages some have a question's words by chance. Fitted on
 * customers' and employees' questions to small and middle-sized libraries, on questions whose
 * passage was taken out, and on questions about other subjects (docs/decisions/0006 has the figures
 * and the calibration).
 */
#include "index/index_private.h"

#include <math.h>

/* Passages that may hold the answer; a model sees more, but what comes later rarely does. */
#define BEST 3

/* Share of the question, by value, within one stretch of a passage. */
#define WEIGHT_NEAR 1.28
/* The best score as a part of the highest that BM25 could give. */
#define WEIGHT_SCORE 5.99
/* How much was matched at all, counted in words that nobody wrote; its logarithm. */
#define WEIGHT_MATCHED 5.42
/* How much was not, counted likewise. */
#define WEIGHT_MISSING (-2.18)
/* Logarithm of the library's size, as far as it was measured. */
#define WEIGHT_SIZE (-0.57)
#define SIZE_MAX_PASSAGES 4096.0
/* What went wrong for one customer stands in no document. */
#define WEIGHT_OWN_CASE (-4.15)
#define BIAS (-3.35)

double
index_confidence(struct query_group *const *groups, const struct candidate *candidates,
                 size_t count, bool is_own_case, double *signals)
{
    const struct query_group *group;
    double rarest, found, near = 0, coverage = 0;

    if (count == 0)
        return 0;
    group = groups[candidates[0].group];
    if (group->value_sum <= 0 || candidates[0].score <= 0)
        return 0;
    rarest = log(1 + ((double)group->chunk_count + 0.5) / 0.5);
    for (size_t i = 0; i < count && i < BEST; i++) {
        if (candidates[i].group != candidates[0].group)
            continue;
        near = fmax(near, candidates[i].near_share);
        coverage = fmax(coverage, candidates[i].coverage);
    }
    found = coverage * group->value_sum;
    signals[INDEX_SIGNAL_NEAR] = near;
    signals[INDEX_SIGNAL_SCORE] = candidates[0].score / (group->rank_sum * (RANK_K1 + 1));
    signals[INDEX_SIGNAL_MATCHED] = log1p(found / rarest);
    signals[INDEX_SIGNAL_MISSING] = log1p((group->value_sum - found) / rarest);
    signals[INDEX_SIGNAL_SIZE] = log1p(fmin((double)group->chunk_count, SIZE_MAX_PASSAGES));
    signals[INDEX_SIGNAL_OWN_CASE] = is_own_case;
    return 1 / (1 + exp(-(BIAS + WEIGHT_NEAR * signals[INDEX_SIGNAL_NEAR] +
                          WEIGHT_SCORE * signals[INDEX_SIGNAL_SCORE] +
                          WEIGHT_MATCHED * signals[INDEX_SIGNAL_MATCHED] +
                          WEIGHT_MISSING * signals[INDEX_SIGNAL_MISSING] +
                          WEIGHT_SIZE * signals[INDEX_SIGNAL_SIZE] +
                          WEIGHT_OWN_CASE * signals[INDEX_SIGNAL_OWN_CASE])));
}
