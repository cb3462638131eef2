/*
 * results.h - a run as one document: its rows, the figures made of them, two runs beside each other
 *
 *   {"parley_evaluation": 1, "name", "created_at", "judges", "questions", "figures": {"ndcg_10":
 *    {"value", "of"}, ...}, "calibration": [{"from", "to", "count", "said", "true"}], "rows"}
 *
 * A figure is there when at least one question has it; "of" says how many have. Threads: any.
 * Blocks: nothing.
 */
#ifndef PARLEY_EVAL_RESULTS_H
#define PARLEY_EVAL_RESULTS_H

#include "base/buf.h"
#include "text/json.h"

#define EVAL_BINS 10

struct eval_figure {
    const char *name, *title;
    bool at_most;     /* the less the better */
    bool in_ms;       /* milliseconds, not a share */
    const char *what; /* a line that explains it */
};
/* All that there are, in the order in which they are told; ended by a name of NULL. */
extern const struct eval_figure eval_figures[];
/* NULL: there is none of that name. */
const struct eval_figure *eval_figure_find(struct str name);

/* rows: an array, which is taken. created_at: RFC 3339. A new reference. */
json_t *eval_results_make(struct str name, struct str created_at, json_t *rows);
/* ST_INVALID: not such a document. */
MUST_USE enum status eval_results_check(const json_t *results, struct err *err);

/* Two runs, question by question:
 *   {"before": name, "after": name, "figures": {"ndcg_10": {"before", "after"}}, "better",
 *    "worse", "same", "only_before", "only_after", "changed": [{"id", "question", "change":
 *    "better" | "worse", "why", "won": [passage], "lost": [passage], "before": {...}, "after":
 *    {...}}]}
 * A question's outcome is better when a wrong or missing answer became right, an unanswerable one
 * is refused now, or, with that unchanged, what is relevant stands higher. A new reference. */
json_t *eval_compare(const json_t *before, const json_t *after);

/* "ndcg_10>=0.7, refused_answerable<=0.05": each that does not hold is written as a line. Figures
 * of a comparison besides: better, worse. ST_INVALID: not such a list, or a figure that the run
 * does not have. */
MUST_USE enum status eval_require(struct str conditions, const json_t *figures, struct buf *missed,
                                  struct err *err);

#endif
