/*
 * results.c - figures made of rows; conditions on them
 */
#include "eval/results.h"

#include <math.h>
#include <stdlib.h>

#include "eval/metrics.h"

const struct eval_figure eval_figures[] = {
    {"ndcg_10", "nDCG@10", false, false,
     "how high the relevant passages stand among the first ten, by grade"},
    {"recall_5", "recall@5", false, false, "share of what is relevant among the first five"},
    {"recall_10", "recall@10", false, false, "share of what is relevant among the first ten"},
    {"mrr", "MRR", false, false, "mean of 1 / rank of the first relevant passage"},
    {"hit_1", "first is relevant", false, false, "the first passage is relevant"},
    {"hit_5", "one of five is relevant", false, false,
     "a relevant passage is among the first five"},
    {"context_precision", "context precision", false, false,
     "useful passages stand before useless ones (RAGAS)"},
    {"context_recall", "context recall", false, false,
     "claims of the reference that the passages support (RAGAS)"},
    {"faithfulness", "faithfulness", false, false,
     "claims of the answer that the passages support (RAGAS)"},
    {"answer_relevancy", "answer relevancy", false, false,
     "how near the answer is to the question; a refusal has 0 (RAGAS)"},
    {"right", "answered rightly", false, false, "the answer holds the words of a right one"},
    {"answered", "answerable: answered", false, false, "of what the documents answer"},
    {"refused_answerable", "answerable: refused", true, false, "of what the documents answer"},
    {"refused_unanswerable", "unanswerable: refused", false, false,
     "of what the documents do not answer"},
    {"calibration_error", "calibration error", true, false,
     "how far confidence is from how often the passages hold the answer"},
    {"median_ms", "question to answer, median", true, true, "milliseconds"},
    {"p99_ms", "question to answer, p99", true, true, "milliseconds"},
    {NULL, NULL, false, false, NULL},
};

const struct eval_figure *
eval_figure_find(struct str name)
{
    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++)
        if (str_eq_c(name, figure->name))
            return figure;
    return NULL;
}

/* --- figures --- */

static void
set_figure(json_t *figures, const char *name, double sum, size_t count)
{
    json_t *figure;

    if (count == 0)
        return;
    figure = json_object();
    json_set_double(figure, "value", sum / (double)count);
    json_set_int(figure, "of", (int64_t)count);
    json_set(figures, name, figure);
}

/* The mean of what rows have under that name. */
static void
set_mean(json_t *figures, const json_t *rows, const char *name)
{
    double sum = 0;
    size_t count = 0, i;
    const json_t *row;

    json_array_foreach (rows, i, row) {
        const json_t *value = json_object_get(row, name);

        if (!json_is_number(value) && !json_is_boolean(value))
            continue;
        count++;
        sum += json_is_number(value) ? json_number_value(value) : (double)json_is_true(value);
    }
    set_figure(figures, name, sum, count);
}

static void
set_ranks(json_t *figures, const json_t *rows)
{
    double reciprocal = 0;
    size_t count = 0, first = 0, five = 0, i;
    const json_t *row;

    json_array_foreach (rows, i, row) {
        int64_t rank = json_get_int(row, "first_relevant", -1);

        if (rank < 0)
            continue;
        count++;
        reciprocal += rank > 0 ? 1 / (double)rank : 0;
        first += rank == 1;
        five += rank >= 1 && rank <= 5;
    }
    set_figure(figures, "mrr", reciprocal, count);
    set_figure(figures, "hit_1", (double)first, count);
    set_figure(figures, "hit_5", (double)five, count);
}

static void
set_refusals(json_t *figures, const json_t *rows)
{
    size_t counts[2] = {0, 0}, answered[2] = {0, 0}, i;
    const json_t *row;

    json_array_foreach (rows, i, row) {
        const json_t *answerable = json_object_get(row, "answerable");
        size_t which = json_is_true(answerable);

        if (!json_is_boolean(answerable))
            continue;
        counts[which]++;
        answered[which] += str_eq_c(json_get_str(row, "kind"), "answer");
    }
    set_figure(figures, "answered", (double)answered[1], counts[1]);
    set_figure(figures, "refused_answerable", (double)(counts[1] - answered[1]), counts[1]);
    set_figure(figures, "refused_unanswerable", (double)(counts[0] - answered[0]), counts[0]);
}

static json_t *
set_calibration(json_t *figures, const json_t *rows)
{
    struct eval_calibration calibration = {.bin_count = EVAL_BINS};
    size_t count = 0, i;
    const json_t *row;
    json_t *bins = json_array();

    json_array_foreach (rows, i, row) {
        const json_t *held = json_object_get(row, "held");

        if (!json_is_boolean(held))
            continue;
        count++;
        eval_calibration_add(&calibration, json_number_value(json_object_get(row, "confidence")),
                             json_is_true(held), 1);
    }
    set_figure(figures, "calibration_error", eval_calibration_error(&calibration) * (double)count,
               count);
    for (unsigned b = 0; b < EVAL_BINS; b++) {
        const struct eval_bin *bin = &calibration.bins[b];
        json_t *entry;

        if (bin->weight <= 0)
            continue;
        entry = json_object();
        json_set_double(entry, "from", (double)b / EVAL_BINS);
        json_set_double(entry, "to", (double)(b + 1) / EVAL_BINS);
        json_set_int(entry, "count", (int64_t)(bin->weight + 0.5));
        json_set_double(entry, "said", bin->said / bin->weight);
        json_set_double(entry, "true", bin->right / bin->weight);
        json_array_append_new(bins, entry);
    }
    return bins;
}

static int
compare_numbers(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static void
set_times(json_t *figures, const json_t *rows)
{
    size_t count = json_array_size(rows), i;
    double *times = calloc(count + 1, sizeof(*times));
    const json_t *row;

    if (times == NULL)
        abort();
    json_array_foreach (rows, i, row)
        times[i] = (double)(json_get_int(row, "retrieve_ms", 0) + json_get_int(row, "model_ms", 0));
    qsort(times, count, sizeof(*times), compare_numbers);
    if (count > 0) {
        set_figure(figures, "median_ms", times[count / 2] * (double)count, count);
        set_figure(figures, "p99_ms", times[(count - 1) * 99 / 100] * (double)count, count);
    }
    free(times);
}

/* Who judged: one name, or "a and b" when a model was not always there. */
static json_t *
judges_of(const json_t *rows)
{
    json_t *judges = json_array();
    const json_t *row, *known;
    size_t i, at;

    json_array_foreach (rows, i, row) {
        const json_t *judge = json_object_get(row, "judge");
        bool is_new = json_is_string(judge);

        json_array_foreach (judges, at, known)
            is_new = is_new && !json_equal(known, judge);
        if (is_new)
            json_array_append(judges, (json_t *)(uintptr_t)judge);
    }
    return judges;
}

json_t *
eval_results_make(struct str name, struct str created_at, json_t *rows)
{
    json_t *results = json_object(), *figures = json_object(), *bins;

    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++)
        set_mean(figures, rows, figure->name);
    set_ranks(figures, rows);
    set_refusals(figures, rows);
    set_times(figures, rows);
    bins = set_calibration(figures, rows);
    json_set_int(results, "parley_evaluation", 1);
    json_set_str(results, "name", name);
    json_set_str(results, "created_at", created_at);
    json_set(results, "judges", judges_of(rows));
    json_set_int(results, "questions", (int64_t)json_array_size(rows));
    json_set(results, "figures", figures);
    json_set(results, "calibration", bins);
    json_set(results, "rows", rows);
    return results;
}

enum status
eval_results_check(const json_t *results, struct err *err)
{
    if (json_get_int(results, "parley_evaluation", 0) != 1 ||
        json_get_object(results, "figures") == NULL || json_get_array(results, "rows") == NULL)
        return err_set(err, ST_INVALID, "not the results of an evaluation (parley eval --json)");
    return ST_OK;
}

/* --- conditions --- */

static enum status
check_condition(struct str condition, const json_t *figures, struct buf *missed, struct err *err)
{
    bool at_most = str_find(condition, STR("<=")) >= 0;
    ptrdiff_t at = str_find(condition, at_most ? STR("<=") : STR(">="));
    double wanted, value;
    const json_t *figure;
    struct str name;
    char key[64];

    if (at <= 0 ||
        !str_to_double(str_trim(str_sub(condition, (size_t)at + 2, condition.len)), &wanted))
        return err_set(err, ST_INVALID, "\"%.*s\": write it as ndcg_10>=0.7 or p99_ms<=50",
                       STR_ARG(condition));
    name = str_trim(str_sub(condition, 0, (size_t)at));
    (void)snprintf(key, sizeof(key), "%.*s", STR_ARG(name));
    figure = json_object_get(figures, key);
    if (figure == NULL)
        return err_set(err, ST_INVALID, "this run has no figure \"%.*s\"", STR_ARG(name));
    value = json_number_value(json_is_object(figure) ? json_object_get(figure, "value") : figure);
    if (at_most ? value > wanted : value < wanted)
        buf_printf(missed, "%.*s is %.4g, wanted %s %.4g\n", STR_ARG(name), value,
                   at_most ? "at most" : "at least", wanted);
    return ST_OK;
}

enum status
eval_require(struct str conditions, const json_t *figures, struct buf *missed, struct err *err)
{
    enum status st = ST_OK;
    struct str condition;

    while (st == ST_OK && str_split(&conditions, ',', &condition)) {
        condition = str_trim(condition);
        if (condition.len > 0)
            st = check_condition(condition, figures, missed, err);
    }
    return st;
}
