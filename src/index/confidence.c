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

#define NEAR_TOP 3

static const double weights[INDEX_SIGNALS] = {1.44, 6.44, 0, 5.2, 0, 2.17, -.68};
#define BIAS (-2.86)

double
index_confidence(const struct query_group *groups, const struct candidate *candidates, size_t count,
                 double *signals)
{
    const struct query_group *group;
    double rarest, found = 0, near = 0, coverage = 0, named = 0, sum = BIAS;

    if (count == 0)
        return 0;
    group = &groups[candidates[0].group];
    if (group->value_sum <= 0 || candidates[0].score <= 0)
        return 0;
    rarest = log(1 + ((double)group->chunk_count + 0.5) / 0.5);
    for (size_t i = 0; i < count && i < NEAR_TOP; i++) {
        if (candidates[i].group != candidates[0].group)
            continue;
        near = fmax(near, candidates[i].near_share);
        named = fmax(named, candidates[i].named_share);
        coverage = fmax(coverage, candidates[i].coverage);
    }
    found = coverage * group->value_sum;
    signals[0] = near;
    signals[1] = candidates[0].score / (group->rank_sum * (RANK_K1 + 1));
    signals[2] = named;
    signals[3] = log1p(found / rarest);
    signals[4] = coverage;
    signals[5] = -log1p((group->value_sum - found) / rarest);
    signals[6] = log(1 + (double)group->chunk_count);
    for (size_t i = 0; i < INDEX_SIGNALS; i++)
        sum += weights[i] * signals[i];
    return 1 / (1 + exp(-sum));
}
