/*
 * metrics_test.c - the text form, the bound on series, updates from several threads
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "base/metrics.h"
#include "base/testing.h"
#include "base/thread.h"

#define THREADS 4
#define UPDATES 20000

static struct metric plain = {.name = "t_plain_total", .help = "Plain.\nTwo \\ lines"};
static struct metric labelled = {
    .name = "t_labelled_total", .help = "Labelled", .labels = {"kind", "code"}};
static struct metric gauge = {.name = "t_gauge", .help = "Gauge", .kind = METRIC_GAUGE};
static struct metric histogram = {
    .name = "t_wait_seconds", .help = "Wait", .kind = METRIC_HISTOGRAM, .labels = {"step"}};
static struct metric bounded = {
    .name = "t_bounded_total", .help = "Bounded", .labels = {"who"}, .max_series = 3};
static struct metric shared = {.name = "t_shared_total", .help = "Shared", .labels = {"thread"}};
static struct metric shared_waits = {
    .name = "t_shared_seconds", .help = "Shared", .kind = METRIC_HISTOGRAM};

/* All text of the metric called name, out of metrics_write. */
static void
expect_metric(const char *name, const char *want)
{
    char head[100];
    struct buf out;
    struct err err;
    struct str text;
    ptrdiff_t start;
    ptrdiff_t end;

    buf_init(&out, 1 << 20);
    metrics_write(&out);
    ASSERT_OK(buf_check(&out, &err), &err);
    text = buf_str(&out);
    (void)snprintf(head, sizeof(head), "# HELP %s ", name);
    start = str_find(text, str_from_c(head));
    assert_true(start >= 0);
    text = str_sub(text, (size_t)start, text.len);
    end = str_find(str_sub(text, 1, text.len), STR("# HELP"));
    if (end >= 0)
        text = str_sub(text, 0, (size_t)end + 1);
    ASSERT_STR(text, want);
    buf_deinit(&out);
}

static void
counters_and_gauges(void **state)
{
    (void)state;
    metric_register(&plain);
    expect_metric("t_plain_total", "# HELP t_plain_total Plain.\\nTwo \\\\ lines\n"
                                   "# TYPE t_plain_total counter\nt_plain_total 0\n");
    METRIC_INC(&plain);
    metric_add(&plain, 1.5, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    expect_metric("t_plain_total", "# HELP t_plain_total Plain.\\nTwo \\\\ lines\n"
                                   "# TYPE t_plain_total counter\nt_plain_total 2.5\n");
    metric_set(&gauge, -7, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    metric_add(&gauge, -1, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    expect_metric("t_gauge", "# HELP t_gauge Gauge\n# TYPE t_gauge gauge\nt_gauge -8\n");
    metric_set(&gauge, HUGE_VAL, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    expect_metric("t_gauge", "# HELP t_gauge Gauge\n# TYPE t_gauge gauge\nt_gauge +Inf\n");
}

static void
labels_are_sorted_and_escaped(void **state)
{
    (void)state;
    METRIC_INC(&labelled, STR("b"), STR("2"));
    METRIC_INC(&labelled, STR("a\"\\\n"), STR("1"));
    METRIC_INC(&labelled, STR("b"), STR("2"));
    METRIC_INC(&labelled, STR("b"));
    expect_metric("t_labelled_total", "# HELP t_labelled_total Labelled\n"
                                      "# TYPE t_labelled_total counter\n"
                                      "t_labelled_total{kind=\"a\\\"\\\\\\n\",code=\"1\"} 1\n"
                                      "t_labelled_total{kind=\"b\",code=\"\"} 1\n"
                                      "t_labelled_total{kind=\"b\",code=\"2\"} 2\n");
}

static void
histograms_are_cumulative(void **state)
{
    static const double seen[] = {.0005, .0006, .02, 1, 29, 31};

    (void)state;
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
        metric_observe(&histogram, seen[i], STR("s"), STR_EMPTY, STR_EMPTY);
    expect_metric("t_wait_seconds", "# HELP t_wait_seconds Wait\n# TYPE t_wait_seconds histogram\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.0005\"} 1\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.001\"} 2\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.0025\"} 2\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.005\"} 2\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.01\"} 2\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.025\"} 3\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.05\"} 3\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.1\"} 3\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.25\"} 3\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"0.5\"} 3\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"1\"} 4\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"2.5\"} 4\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"5\"} 4\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"10\"} 4\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"30\"} 5\n"
                                    "t_wait_seconds_bucket{step=\"s\",le=\"+Inf\"} 6\n"
                                    "t_wait_seconds_sum{step=\"s\"} 61.0211\n"
                                    "t_wait_seconds_count{step=\"s\"} 6\n");
}

static void
strangers_share_one_series(void **state)
{
    char large[200];

    (void)state;
    memset(large, 'x', sizeof(large));
    METRIC_INC(&bounded, str_of(large, sizeof(large)));
    METRIC_INC(&bounded, STR("\xff"));
    for (int i = 0; i < 10; i++) {
        char who[16];

        (void)snprintf(who, sizeof(who), "w%d", i);
        METRIC_INC(&bounded, str_from_c(who));
    }
    METRIC_INC(&bounded, STR("w1"));
    expect_metric("t_bounded_total", "# HELP t_bounded_total Bounded\n"
                                     "# TYPE t_bounded_total counter\n"
                                     "t_bounded_total{who=\"other\"} 9\n"
                                     "t_bounded_total{who=\"w0\"} 1\n"
                                     "t_bounded_total{who=\"w1\"} 2\n"
                                     "t_bounded_total{who=\"w2\"} 1\n");
}

static void *
update(void *arg)
{
    struct str *name = arg;

    for (int i = 0; i < UPDATES; i++) {
        METRIC_INC(&shared, STR("all"));
        METRIC_INC(&shared, *name);
        metric_observe(&shared_waits, 0.5, STR_EMPTY, STR_EMPTY, STR_EMPTY);
    }
    return NULL;
}

static void
no_update_is_lost(void **state)
{
    struct str names[THREADS] = {STR_INIT("0"), STR_INIT("1"), STR_INIT("2"), STR_INIT("3")};
    pthread_t threads[THREADS];
    struct err err;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start("metrics", update, &names[i], &threads[i], &err), &err);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    expect_metric("t_shared_total", "# HELP t_shared_total Shared\n# TYPE t_shared_total counter\n"
                                    "t_shared_total{thread=\"0\"} 20000\n"
                                    "t_shared_total{thread=\"1\"} 20000\n"
                                    "t_shared_total{thread=\"2\"} 20000\n"
                                    "t_shared_total{thread=\"3\"} 20000\n"
                                    "t_shared_total{thread=\"all\"} 80000\n");
    buf_init(&out, 1 << 20);
    metrics_write(&out);
    assert_true(str_find(buf_str(&out), STR("t_shared_seconds_sum 40000\n")) > 0);
    assert_true(str_find(buf_str(&out), STR("t_shared_seconds_count 80000\n")) > 0);
    buf_deinit(&out);
}

static void
count_down(void *arg)
{
    metric_add(arg, -1, STR_EMPTY, STR_EMPTY, STR_EMPTY);
}

static void
counters_only_rise(void **state)
{
    (void)state;
    ASSERT_ABORTS(count_down, &plain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(labels_are_sorted_and_escaped),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(strangers_share_one_series),
        cmocka_unit_test(no_update_is_lost),
        cmocka_unit_test(counters_only_rise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
