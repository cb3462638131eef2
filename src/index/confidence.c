/*
 * confidence.c - one number for "do these passages answer?", the same for every organization
 *
 * A logistic regression over four figures of the result, none of which can make it less sure by
 * growing. Fitted on questions whose passage is there, the same questions with it taken out, and
 * questions on other subjects, over collections of 10 to 3,200 passages, so that the size of an
 * organization's library does not move it (docs/decisions/0002 has the figures and the
 * calibration).
 */
#include "index/index_private.h"

#include <math.h>

#define BIAS (-7.3)
/* Share of the question, by rarity, within one stretch of the best passage. */
#define WEIGHT_NEAR 1.7
/* Its score as a part of the highest that BM25 could give. */
#define WEIGHT_SCORE 4.0
/* How far the fifth stays behind: an answer stands out, a subject does not. */
#define WEIGHT_LEAD 1.3
/* How much was matched at all, counted in words that nobody wrote; its logarithm. */
#define WEIGHT_MATCHED 4.4
#define LEAD_RANK 4

double
index_confidence(const struct query_group *groups, const struct candidate *candidates, size_t count)
{
    const struct query_group *group;
    double rarest, lead, score, matched = 0;

    if (count == 0)
        return 0;
    group = &groups[candidates[0].group];
    if (group->idf_sum <= 0 || candidates[0].score <= 0)
        return 0;
    rarest = log(1 + ((double)group->chunk_count + 0.5) / 0.5);
    lead = count > LEAD_RANK ? 1 - candidates[LEAD_RANK].score / candidates[0].score : 1;
    score = candidates[0].score / (group->idf_sum * (RANK_K1 + 1));
    for (size_t i = 0; i < group->term_count; i++)
        if (candidates[0].matches[i] > 0)
            matched += group->terms[i].idf * query_term_trust(&group->terms[i]);
    return 1 / (1 + exp(-(BIAS + WEIGHT_NEAR * candidates[0].near_share + WEIGHT_SCORE * score +
                          WEIGHT_LEAD * lead + WEIGHT_MATCHED * log1p(matched / rarest))));
}
