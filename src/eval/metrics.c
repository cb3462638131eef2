/*
 * metrics.c - nDCG, recall, reciprocal rank, context precision, calibration
 */
#include "eval/metrics.h"

#include <assert.h>
#include <math.h>

double
eval_ndcg(const double *gains, size_t count, const double *grades, size_t grade_count, size_t k)
{
    double gain = 0, ideal = 0;

    for (size_t i = 0; i < count && i < k; i++)
        gain += gains[i] / log2((double)i + 2);
    for (size_t i = 0; i < grade_count; i++) {
        size_t rank = 0; /* among the grades, earlier ones first */

        for (size_t j = 0; j < grade_count; j++)
            rank += grades[j] > grades[i] || (j < i && grades[j] == grades[i]);
        if (rank < k)
            ideal += grades[i] / log2((double)rank + 2);
    }
    if (ideal <= 0)
        return 0;
    return gain < ideal ? gain / ideal : 1;
}

double
eval_recall(const size_t *found, size_t count, size_t relevant, size_t k)
{
    size_t sum = 0;

    for (size_t i = 0; i < count && i < k; i++)
        sum += found[i];
    return relevant > 0 ? (double)sum / (double)relevant : 0;
}

double
eval_reciprocal_rank(const double *gains, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (gains[i] > 0)
            return 1.0 / (double)(i + 1);
    return 0;
}

double
eval_context_precision(const bool *useful, size_t count)
{
    double sum = 0;
    size_t seen = 0;

    for (size_t i = 0; i < count; i++)
        if (useful[i]) {
            seen++;
            sum += (double)seen / (double)(i + 1);
        }
    return seen > 0 ? sum / (double)seen : 0;
}

void
eval_calibration_add(struct eval_calibration *calibration, double confidence, bool right,
                     double weight)
{
    unsigned at = (unsigned)(confidence * calibration->bin_count);
    struct eval_bin *bin;

    assert(calibration->bin_count > 0 && calibration->bin_count <= EVAL_BINS_MAX);
    bin = &calibration->bins[at < calibration->bin_count ? at : calibration->bin_count - 1];
    bin->weight += weight;
    bin->said += confidence * weight;
    bin->right += right ? weight : 0;
}

double
eval_calibration_error(const struct eval_calibration *calibration)
{
    double error = 0, weight = 0;

    for (unsigned i = 0; i < calibration->bin_count; i++) {
        error += fabs(calibration->bins[i].said - calibration->bins[i].right);
        weight += calibration->bins[i].weight;
    }
    return weight > 0 ? error / weight : 0;
}
