/*
 * metrics.h - counters, gauges and histograms in Prometheus text form
 *
 * A metric is a static struct registered once at start; a series is one combination of label
 * values, at most max_series per metric: what comes beyond goes to the series whose label values
 * are all "other", so that an outsider cannot grow memory; so do values over 128 bytes or not
 * UTF-8. Names follow Prometheus: base units, _total, _seconds. Threads: shared; updates are atomic
 * and lock-free once the series exists.
 */
#ifndef PARLEY_BASE_METRICS_H
#define PARLEY_BASE_METRICS_H

#include "base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_MAX_LABELS 3

struct metric {
    const char *name;
    const char *help;
    enum metric_kind kind;
    const char *labels[METRIC_MAX_LABELS]; /* names; NULL ends the list */
    unsigned max_series;                   /* 0 means 64 */
    /* Private to metrics.c: leave zero. */
    struct metric *next;
    void *_Atomic series;
    _Atomic unsigned series_count;
    _Atomic int registered;
};

/* Makes metrics_write show it even before its first use; using it registers it too. */
void metric_register(struct metric *metric);

/* Label values in the order of metric->labels; too few count as "". */
void metric_add(struct metric *metric, double by, struct str label0, struct str label1,
                struct str label2);
void metric_set(struct metric *gauge, double value, struct str label0, struct str label1,
                struct str label2);
/* Seconds into buckets .0005 .001 .0025 .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10 30. */
void metric_observe(struct metric *histogram, double seconds, struct str label0, struct str label1,
                    struct str label2);
#define METRIC_INC(metric, ...)                                                                    \
    METRIC_INC_((metric), ##__VA_ARGS__, STR_EMPTY, STR_EMPTY, STR_EMPTY)
#define METRIC_INC_(metric, a, b, c, ...) metric_add((metric), 1.0, (a), (b), (c))

/* Every registered metric in Prometheus text format 0.0.4. */
void metrics_write(struct buf *out);

#endif
