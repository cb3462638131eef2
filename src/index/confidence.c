/*
 * confidence.c - one number for "do these passages answer?", the same for every organization
 */
#include "index/index_private.h"

#include <math.h>

double
index_confidence(const struct query_group *groups, const struct candidate *candidates, size_t count)
{
    double near = 0, coverage = 0;

    (void)groups;
    for (size_t i = 0; i < count && i < 3; i++) {
        near = fmax(near, candidates[i].near_share);
        coverage = fmax(coverage, candidates[i].coverage);
    }
    return count == 0 ? 0 : 1 / (1 + exp(-(4 * near + 4 * coverage - 5)));
}
