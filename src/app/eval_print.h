/*
 * eval_print.h - an evaluation's results for people at a terminal
 */
#ifndef PARLEY_APP_EVAL_PRINT_H
#define PARLEY_APP_EVAL_PRINT_H

#include <jansson.h>

/* Figures, calibration, and some of the questions that went wrong. */
void eval_print_results(const json_t *results);
/* Figures beside each other, and every question that changed, with the reason. */
void eval_print_comparison(const json_t *comparison);

#endif
