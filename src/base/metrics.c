/*
 * metrics.c - series found by hash without a lock, made under one
 *
 * Each metric owns a table of atomic pointers, allocated at registration and never moved: readers
 * probe it without a lock; a new series is published with one store. Series live as long as the
 * process.
 */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SERIES 64
#define MAX_LABEL_BYTES 128

static const double bounds[] = {.0005, .001, .0025, .005, .01, .025, .05, .1,
                                .25,   .5,   1,     2.5,  5,   10,   30};
#define BOUND_COUNT (sizeof(bounds) / sizeof(bounds[0]))

struct series {
    uint64_t hash;
    struct str labels[METRIC_MAX_LABELS]; /* owned */
    _Atomic bool used;
    _Atomic uint64_t value_bits; /* a double: counter, gauge, or a histogram's sum */
    _Atomic uint64_t buckets[];  /* histogram: BOUND_COUNT and one above */
};

struct table {
    size_t mask;
    struct series *other;
    struct series *_Atomic slots[];
};

/* Process-wide: guards registration and the making of series. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Process-wide: the list of registered metrics. */
static struct metric *_Atomic registered_metrics;

static unsigned
label_count(const struct metric *metric)
{
    unsigned count = 0;

    while (count < METRIC_MAX_LABELS && metric->labels[count] != NULL)
        count++;
    return count;
}

static struct str
copy_label(struct str value)
{
    char *copy = malloc(value.len + 1);

    if (copy == NULL)
        abort();
    if (value.len > 0)
        memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    return (struct str){copy, value.len};
}

static struct series *
series_create(const struct metric *metric, uint64_t hash, const struct str *labels)
{
    size_t buckets = metric->kind == METRIC_HISTOGRAM ? BOUND_COUNT + 1 : 0;
    struct series *series = calloc(1, sizeof(*series) + buckets * sizeof(series->buckets[0]));

    if (series == NULL)
        abort();
    series->hash = hash;
    for (unsigned i = 0; i < label_count(metric); i++)
        series->labels[i] = copy_label(labels[i]);
    return series;
}

static struct table *
table_create(const struct metric *metric)
{
    static const struct str other[METRIC_MAX_LABELS] = {STR_INIT("other"), STR_INIT("other"),
                                                        STR_INIT("other")};
    unsigned max_series = metric->max_series == 0 ? DEFAULT_SERIES : metric->max_series;
    size_t slots = 4;
    struct table *table;

    while (slots < (size_t)max_series * 2)
        slots *= 2;
    table = calloc(1, sizeof(*table) + slots * sizeof(table->slots[0]));
    if (table == NULL)
        abort();
    table->mask = slots - 1;
    table->other = series_create(metric, 0, other);
    return table;
}

void
metric_register(struct metric *metric)
{
    if (atomic_load_explicit(&metric->registered, memory_order_acquire))
        return;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&metric->registered)) {
        atomic_store(&metric->series, table_create(metric));
        metric->next = atomic_load(&registered_metrics);
        atomic_store(&registered_metrics, metric);
        atomic_store_explicit(&metric->registered, 1, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t
hash_labels(const struct str *labels, unsigned count)
{
    uint64_t hash = 1;

    for (unsigned i = 0; i < count; i++)
        hash = (hash ^ str_hash(labels[i])) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 32);
}

static bool
has_labels(const struct series *series, uint64_t hash, const struct str *labels, unsigned count)
{
    if (series->hash != hash)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!str_eq(series->labels[i], labels[i]))
            return false;
    }
    return true;
}

/* The series, or NULL and the free slot where it belongs. The table is never full. */
static struct series *
probe(struct table *table, uint64_t hash, const struct str *labels, unsigned count,
      size_t *free_slot_out)
{
    size_t at = (size_t)hash & table->mask;
    struct series *series;

    while ((series = atomic_load_explicit(&table->slots[at], memory_order_acquire)) != NULL) {
        if (has_labels(series, hash, labels, count))
            return series;
        at = (at + 1) & table->mask;
    }
    *free_slot_out = at;
    return NULL;
}

static bool
labels_are_acceptable(const struct str *labels, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (labels[i].len > MAX_LABEL_BYTES || !str_is_utf8(labels[i]))
            return false;
    }
    return true;
}

static struct series *
make_series(struct metric *metric, struct table *table, uint64_t hash, const struct str *labels,
            unsigned count)
{
    unsigned max_series = metric->max_series == 0 ? DEFAULT_SERIES : metric->max_series;
    struct series *series;
    size_t slot;

    if (!labels_are_acceptable(labels, count))
        return table->other;
    pthread_mutex_lock(&lock);
    series = probe(table, hash, labels, count, &slot);
    if (series == NULL && atomic_load(&metric->series_count) < max_series) {
        series = series_create(metric, hash, labels);
        atomic_store_explicit(&table->slots[slot], series, memory_order_release);
        atomic_fetch_add(&metric->series_count, 1);
    }
    pthread_mutex_unlock(&lock);
    return series == NULL ? table->other : series;
}

static struct series *
get_series(struct metric *metric, struct str label0, struct str label1, struct str label2)
{
    struct str labels[METRIC_MAX_LABELS] = {label0, label1, label2};
    unsigned count = label_count(metric);
    struct table *table;
    struct series *series;
    uint64_t hash;
    size_t slot;

    metric_register(metric);
    table = atomic_load_explicit(&metric->series, memory_order_acquire);
    hash = hash_labels(labels, count);
    series = probe(table, hash, labels, count, &slot);
    /* A full metric sends strangers to "other" without the lock: the count only grows. */
    if (series == NULL)
        series = make_series(metric, table, hash, labels, count);
    if (!atomic_load_explicit(&series->used, memory_order_relaxed))
        atomic_store_explicit(&series->used, true, memory_order_relaxed);
    return series;
}

static uint64_t
to_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double
from_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void
add_to(struct series *series, double by)
{
    uint64_t before = atomic_load_explicit(&series->value_bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&series->value_bits, &before,
                                                  to_bits(from_bits(before) + by),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

void
metric_add(struct metric *metric, double by, struct str label0, struct str label1,
           struct str label2)
{
    assert(metric->kind == METRIC_GAUGE || (metric->kind == METRIC_COUNTER && by >= 0));
    add_to(get_series(metric, label0, label1, label2), by);
}

void
metric_set(struct metric *gauge, double value, struct str label0, struct str label1,
           struct str label2)
{
    assert(gauge->kind == METRIC_GAUGE);
    atomic_store_explicit(&get_series(gauge, label0, label1, label2)->value_bits, to_bits(value),
                          memory_order_relaxed);
}

void
metric_observe(struct metric *histogram, double seconds, struct str label0, struct str label1,
               struct str label2)
{
    struct series *series = get_series(histogram, label0, label1, label2);
    size_t bucket = 0;

    assert(histogram->kind == METRIC_HISTOGRAM);
    while (bucket < BOUND_COUNT && seconds > bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    add_to(series, seconds);
}

static void
write_number(struct buf *out, double value)
{
    if (isnan(value))
        buf_append_c(out, "NaN");
    else if (isinf(value))
        buf_append_c(out, value > 0 ? "+Inf" : "-Inf");
    else if (value == floor(value) && fabs(value) < 1e15)
        buf_printf(out, "%.0f", value);
    else
        buf_printf(out, "%.15g", value);
}

/* Prometheus escapes backslash and line feed; in label values the quote too. */
static void
write_escaped(struct buf *out, struct str s, bool quote)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\' || (quote && s.ptr[i] == '"'))
            buf_append_byte(out, '\\');
        if (s.ptr[i] == '\n')
            buf_append_c(out, "\\n");
        else
            buf_append_byte(out, s.ptr[i]);
    }
}

/* {a="x",b="y",le="0.5"}; le is NULL outside of histogram buckets. */
static void
write_labels(struct buf *out, const struct metric *metric, const struct series *series,
             const char *le)
{
    unsigned count = label_count(metric);

    if (count == 0 && le == NULL)
        return;
    buf_append_byte(out, '{');
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "%s%s=\"", i == 0 ? "" : ",", metric->labels[i]);
        write_escaped(out, series->labels[i], true);
        buf_append_byte(out, '"');
    }
    if (le != NULL)
        buf_printf(out, "%sle=\"%s\"", count == 0 ? "" : ",", le);
    buf_append_byte(out, '}');
}

static void
write_sample(struct buf *out, const struct metric *metric, const char *suffix,
             const struct series *series, const char *le, double value)
{
    buf_printf(out, "%s%s", metric->name, suffix);
    write_labels(out, metric, series, le);
    buf_append_byte(out, ' ');
    write_number(out, value);
    buf_append_byte(out, '\n');
}

static void
write_series(struct buf *out, const struct metric *metric, struct series *series)
{
    double value = from_bits(atomic_load_explicit(&series->value_bits, memory_order_relaxed));
    uint64_t below = 0;

    if (metric->kind != METRIC_HISTOGRAM) {
        write_sample(out, metric, "", series, NULL, value);
        return;
    }
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        struct buf le;

        buf_init(&le, 32);
        if (i < BOUND_COUNT)
            write_number(&le, bounds[i]);
        else
            buf_append_c(&le, "+Inf");
        buf_append_byte(&le, '\0');
        below += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        write_sample(out, metric, "_bucket", series, le.ptr, (double)below);
        buf_deinit(&le);
    }
    write_sample(out, metric, "_sum", series, NULL, value);
    write_sample(out, metric, "_count", series, NULL, (double)below);
}

static int
compare_series(const void *a, const void *b)
{
    const struct series *left = *(struct series *const *)a;
    const struct series *right = *(struct series *const *)b;
    int order = 0;

    for (unsigned i = 0; order == 0 && i < METRIC_MAX_LABELS; i++)
        order = str_cmp(left->labels[i], right->labels[i]);
    return order;
}

static void
write_metric(struct buf *out, struct metric *metric)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct table *table = atomic_load(&metric->series);
    struct series **sorted = calloc(table->mask + 2, sizeof(struct series *));
    size_t count = 0;

    if (sorted == NULL)
        abort();
    for (size_t i = 0; i <= table->mask; i++) {
        struct series *series = atomic_load_explicit(&table->slots[i], memory_order_acquire);

        if (series != NULL)
            sorted[count++] = series;
    }
    if (atomic_load(&table->other->used))
        sorted[count++] = table->other;
    qsort(sorted, count, sizeof(struct series *), compare_series);
    buf_printf(out, "# HELP %s ", metric->name);
    write_escaped(out, str_from_c(metric->help), false);
    buf_printf(out, "\n# TYPE %s %s\n", metric->name, kinds[metric->kind]);
    for (size_t i = 0; i < count; i++)
        write_series(out, metric, sorted[i]);
    /* A counter without labels is known to be zero before its first use. */
    if (count == 0 && metric->kind != METRIC_HISTOGRAM && label_count(metric) == 0)
        buf_printf(out, "%s 0\n", metric->name);
    free(sorted);
}

static int
compare_metrics(const void *a, const void *b)
{
    const struct metric *left = *(struct metric *const *)a;
    const struct metric *right = *(struct metric *const *)b;

    return strcmp(left->name, right->name);
}

void
metrics_write(struct buf *out)
{
    struct metric *first = atomic_load(&registered_metrics);
    struct metric **sorted;
    size_t count = 0;

    for (struct metric *metric = first; metric != NULL; metric = metric->next)
        count++;
    sorted = calloc(count + 1, sizeof(struct metric *));
    if (sorted == NULL)
        abort();
    count = 0;
    for (struct metric *metric = first; metric != NULL; metric = metric->next)
        sorted[count++] = metric;
    qsort(sorted, count, sizeof(struct metric *), compare_metrics);
    for (size_t i = 0; i < count; i++)
        write_metric(out, sorted[i]);
    free(sorted);
}
