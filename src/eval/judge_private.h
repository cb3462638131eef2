/*
 * judge_private.h - the two kinds of judges; for src/eval/ alone
 */
#ifndef PARLEY_EVAL_JUDGE_PRIVATE_H
#define PARLEY_EVAL_JUDGE_PRIVATE_H

#include "eval/judge.h"

/* judge_text.c: by the encoder, or by words. */
enum status judge_by_text(const struct eval_judge *judge, const struct eval_case *one,
                          struct arena *arena, struct eval_verdict *verdict, struct err *err);
/* judge_model.c */
enum status judge_by_model(const struct eval_judge *judge, const struct eval_case *one,
                           struct arena *arena, struct eval_verdict *verdict, struct err *err);
/* Cosines of the first text with each of the others; 1..count-1. */
enum status judge_cosines(const struct eval_judge *judge, const struct str *texts, size_t count,
                          struct arena *arena, double *cosines_out, struct err *err);

#endif
