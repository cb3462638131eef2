/*
 * report.h - results as one HTML page that needs nothing but itself
 *
 * The page shows data that stands in it as JSON; its script writes text, never markup, so that what
 * a document or a model says cannot become part of the page. Threads: any. Blocks: nothing.
 */
#ifndef PARLEY_EVAL_REPORT_H
#define PARLEY_EVAL_REPORT_H

#include "base/buf.h"
#include "text/json.h"

#define EVAL_REPORT_MAX_BYTES ((size_t)256 << 20)

/* comparison: of eval_compare, or NULL. ST_TOO_LARGE. */
MUST_USE enum status eval_report_write(const json_t *results, const json_t *comparison,
                                       struct buf *out, struct err *err);

#endif
