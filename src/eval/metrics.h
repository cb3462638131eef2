/*
 * metrics.h - how good a ranking, an answer and a confidence are: the only place where it is
 * counted
 *
 * nDCG and recall as trec_eval and BEIR have them (linear gain, log2 discount, ideal over all
 * grades). Context precision as RAGAS defines it: the mean of precision@k over the ranks k whose
 * passage is useful (docs.ragas.io, "Context Precision"). Calibration error as Guo et al. (2017),
 * "On Calibration of Modern Neural Networks", with bins of equal width. Threads: any. Blocks:
 * nothing.
 */
#ifndef PARLEY_EVAL_METRICS_H
#define PARLEY_EVAL_METRICS_H

#include <stdbool.h>
#include <stddef.h>

/* gains[i]: the grade of what stands at rank i + 1, 0 for what is beside the point. grades: of
 * all that is relevant, found or not. 0..1; 0 when nothing is relevant. */
double eval_ndcg(const double *gains, size_t count, const double *grades, size_t grade_count,
                 size_t k);
/* Share of the relevant that is among the first k; found[i]: how many of it rank i + 1 brings. */
double eval_recall(const size_t *found, size_t count, size_t relevant, size_t k);
/* 1 / rank of the first relevant one, or 0. */
double eval_reciprocal_rank(const double *gains, size_t count);
/* 0 when no passage is useful. */
double eval_context_precision(const bool *useful, size_t count);

#define EVAL_BINS_MAX 20
struct eval_bin {
    double weight, said, right; /* sums: said / weight is the mean confidence */
};
struct eval_calibration {
    unsigned bin_count; /* 1..EVAL_BINS_MAX; set by the caller, all else 0 */
    struct eval_bin bins[EVAL_BINS_MAX];
};
/* confidence: 0..1. weight: 1, or 1 / n so that a set of n weighs as much as any other. */
void eval_calibration_add(struct eval_calibration *calibration, double confidence, bool right,
                          double weight);
/* Expected calibration error; 0 without any. */
double eval_calibration_error(const struct eval_calibration *calibration);

#endif
