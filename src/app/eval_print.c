/*
 * eval_print.c - tables of figures and lists of questions
 */
#include "app/eval_print.h"

#include <math.h>
#include <stdio.h>

#include "eval/results.h"

#define EXAMPLES 5
#define EXAMPLE_BYTES 90

static struct str
shortened(struct str text)
{
    return str_sub(text, 0, str_utf8_floor(text, EXAMPLE_BYTES));
}

static void
print_value(const struct eval_figure *figure, double value)
{
    if (figure->in_ms)
        printf("%9.0f", value);
    else
        printf("%9.3f", value);
}

/* Questions of one kind that went wrong: the first few. */
static void
print_examples(const json_t *rows, const char *what, bool (*is_one)(const json_t *row))
{
    const json_t *row;
    size_t i, count = 0;

    json_array_foreach (rows, i, row) {
        count += is_one(row);
    }
    if (count == 0)
        return;
    printf("\n  %s: %zu\n", what, count);
    count = 0;
    json_array_foreach (rows, i, row)
        if (is_one(row) && count++ < EXAMPLES)
            printf("    %.*s\n", STR_ARG(shortened(json_get_str(row, "question"))));
    if (count > EXAMPLES)
        printf("    ... and %zu more: --json and --html name them all\n", count - EXAMPLES);
}

static bool
was_answered(const json_t *row)
{
    return str_eq_c(json_get_str(row, "kind"), "answer");
}

static bool
is_wrong(const json_t *row)
{
    return json_is_false(json_object_get(row, "right")) && was_answered(row);
}

static bool
is_refused(const json_t *row)
{
    return json_is_true(json_object_get(row, "answerable")) && !was_answered(row);
}

static bool
is_made_up(const json_t *row)
{
    return json_is_false(json_object_get(row, "answerable")) && was_answered(row);
}

static bool
is_not_found(const json_t *row)
{
    return json_get_int(row, "first_relevant", -1) == 0;
}

static void
print_calibration(const json_t *bins)
{
    const json_t *bin;
    size_t i;

    if (json_array_size(bins) == 0)
        return;
    puts("\n  confidence     said     true   questions");
    json_array_foreach (bins, i, bin) {
        printf("    %.1f - %.1f  %7.2f  %7.2f  %10lld\n",
               json_number_value(json_object_get(bin, "from")),
               json_number_value(json_object_get(bin, "to")),
               json_number_value(json_object_get(bin, "said")),
               json_number_value(json_object_get(bin, "true")),
               (long long)json_get_int(bin, "count", 0));
    }
}

void
eval_print_results(const json_t *results)
{
    const json_t *figures = json_get_object(results, "figures"), *judge;
    const json_t *rows = json_get_array(results, "rows");
    size_t i;

    printf("%.*s: %lld questions, judged by", STR_ARG(json_get_str(results, "name")),
           (long long)json_get_int(results, "questions", 0));
    json_array_foreach (json_get_array(results, "judges"), i, judge) {
        printf("%s %s", i > 0 ? " and" : "",
               str_eq_c(str_from_c(json_string_value(judge)), "encoder")
                   ? "the sentence encoder"
                   : json_string_value(judge));
    }
    puts("\n");
    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++) {
        const json_t *value = json_get_object(figures, figure->name);

        if (value == NULL)
            continue;
        printf("  %-28s", figure->title);
        print_value(figure, json_number_value(json_object_get(value, "value")));
        printf("   of %-6lld %s\n", (long long)json_get_int(value, "of", 0), figure->name);
    }
    print_calibration(json_get_array(results, "calibration"));
    print_examples(rows, "answered, and not rightly", is_wrong);
    print_examples(rows, "refused, although the documents answer", is_refused);
    print_examples(rows, "answered, although the documents do not", is_made_up);
    print_examples(rows, "nothing relevant among the first ten", is_not_found);
}

void
eval_print_comparison(const json_t *comparison)
{
    const json_t *figures = json_get_object(comparison, "figures"), *one;
    size_t i;

    printf("%.*s -> %.*s: %lld better, %lld worse, %lld the same",
           STR_ARG(json_get_str(comparison, "before")), STR_ARG(json_get_str(comparison, "after")),
           (long long)json_get_int(comparison, "better", 0),
           (long long)json_get_int(comparison, "worse", 0),
           (long long)json_get_int(comparison, "same", 0));
    if (json_get_int(comparison, "only_before", 0) + json_get_int(comparison, "only_after", 0) > 0)
        printf("; %lld only before, %lld only after",
               (long long)json_get_int(comparison, "only_before", 0),
               (long long)json_get_int(comparison, "only_after", 0));
    puts("\n");
    for (const struct eval_figure *figure = eval_figures; figure->name != NULL; figure++) {
        const json_t *both = json_get_object(figures, figure->name);
        const json_t *was = json_object_get(both, "before"), *is = json_object_get(both, "after");

        if (was == NULL || is == NULL)
            continue;
        printf("  %-28s", figure->title);
        print_value(figure, json_number_value(was));
        print_value(figure, json_number_value(is));
        printf("  %+.3f\n", json_number_value(is) - json_number_value(was));
    }
    json_array_foreach (json_get_array(comparison, "changed"), i, one) {
        printf(
            "\n  %-6s  %.*s\n          %.*s\n", json_string_value(json_object_get(one, "change")),
            STR_ARG(shortened(json_get_str(one, "question"))), STR_ARG(json_get_str(one, "why")));
    }
}
