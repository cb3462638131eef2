/*
 * results_test.c - figures of rows, two runs beside each other, conditions, the page
 */
#include "base/testing.h"

#include <math.h>

#include "eval/report.h"
#include "eval/results.h"

/* Three questions that the documents answer, one that they do not, one that nobody judged. */
#define RUN                                                                                        \
    "[{'id':'a','question':'A','answerable':true,'kind':'answer','confidence':0.9,'answer':'x',"   \
    "'judge':'words','right':true,'held':true,'first_relevant':1,'ndcg_10':1.0,'recall_5':1.0,"    \
    "'retrieve_ms':1,'model_ms':1,'passages':[{'document':'p','start':0,'heading':'H',"            \
    "'relevant':true},{'document':'q','start':0,'relevant':false}]},"                              \
    "{'id':'b','question':'B','answerable':true,'kind':'answer','confidence':0.7,'answer':'y',"    \
    "'judge':'words','right':false,'held':false,'first_relevant':4,'ndcg_10':0.5,'recall_5':1.0,"  \
    "'retrieve_ms':3,'model_ms':0,'passages':[]},"                                                 \
    "{'id':'c','question':'C','answerable':true,'kind':'no_answer','confidence':0.1,'answer':'-'," \
    "'judge':'m','held':true,'first_relevant':0,'ndcg_10':0.0,'recall_5':0.0,"                     \
    "'retrieve_ms':100,'model_ms':0,'passages':[]},"                                               \
    "{'id':'d','question':'D','answerable':false,'kind':'no_answer','confidence':0.1,"             \
    "'answer':'-','judge':'words','held':false,'retrieve_ms':2,'model_ms':0,'passages':[]},"       \
    "{'id':'e','question':'E','answerable':null,'kind':'answer','confidence':0.6,'answer':'z',"    \
    "'judge':'words','retrieve_ms':2,'model_ms':0,'passages':[]}]"

static json_t *
rows_of(const char *text)
{
    char *copy = strdup(text);
    json_t *rows = NULL;
    struct err err;

    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    ASSERT_OK(json_parse(str_from_c(copy), &rows, &err), &err);
    free(copy);
    return rows;
}

static json_t *
run_of(const char *name, const char *text)
{
    return eval_results_make(str_from_c(name), STR("2026-01-01T00:00:00Z"), rows_of(text));
}

static void
check_figure(const json_t *results, const char *name, double value, int64_t of)
{
    const json_t *figure = json_object_get(json_object_get(results, "figures"), name);

    if (fabs(json_number_value(json_object_get(figure, "value")) - value) > 0.0005 ||
        json_get_int(figure, "of", -1) != of)
        fail_msg("%s: %.4f of %lld, wanted %.4f of %lld", name,
                 json_number_value(json_object_get(figure, "value")),
                 (long long)json_get_int(figure, "of", -1), value, (long long)of);
}

static void
test_figures(void **state)
{
    json_auto_t *results = run_of("one", RUN);
    struct err err;

    (void)state;
    ASSERT_OK(eval_results_check(results, &err), &err);
    check_figure(results, "ndcg_10", 0.5, 3);
    check_figure(results, "mrr", (1 + 0.25) / 3, 3);
    check_figure(results, "hit_1", 1.0 / 3, 3);
    check_figure(results, "hit_5", 2.0 / 3, 3);
    check_figure(results, "right", 0.5, 2);
    check_figure(results, "answered", 2.0 / 3, 3);
    check_figure(results, "refused_answerable", 1.0 / 3, 3);
    check_figure(results, "refused_unanswerable", 1, 1);
    /* Bins: .9 true; .7 false; .1 one of two. */
    check_figure(results, "calibration_error", (0.1 + 0.7 + fabs(0.2 - 1)) / 4, 4);
    check_figure(results, "median_ms", 2, 5);
    check_figure(results, "p99_ms", 3, 5);
    assert_null(json_object_get(json_object_get(results, "figures"), "faithfulness"));
    assert_int_equal(json_array_size(json_get_array(results, "judges")), 2);
    assert_int_equal(json_get_int(results, "questions", 0), 5);
    assert_int_equal(json_array_size(json_get_array(results, "calibration")), 3);
}

/* The second run: b became right and stands first, d is answered, a lost its passage. */
static void
test_comparison(void **state)
{
    json_auto_t *before = run_of("before", RUN), *after = run_of("after", RUN), *same, *result;
    json_t *rows = json_get_array(after, "rows");
    const json_t *changed, *one;

    (void)state;
    same = eval_compare(before, after);
    assert_int_equal(json_get_int(same, "same", 0), 5);
    assert_int_equal(json_array_size(json_get_array(same, "changed")), 0);
    json_set(json_array_get(rows, 0), "passages", json_array());
    json_set_int(json_array_get(rows, 0), "first_relevant", 0);
    json_set_bool(json_array_get(rows, 1), "right", true);
    json_set_int(json_array_get(rows, 1), "first_relevant", 1);
    json_set_str(json_array_get(rows, 3), "kind", STR("answer"));
    json_set_str(json_array_get(rows, 4), "question", STR("Another"));
    result = eval_compare(before, after);
    assert_int_equal(json_get_int(result, "better", 0), 1);
    assert_int_equal(json_get_int(result, "worse", 0), 2);
    assert_int_equal(json_get_int(result, "same", 0), 1);
    assert_int_equal(json_get_int(result, "only_before", 0), 1);
    assert_int_equal(json_get_int(result, "only_after", 0), 1);
    changed = json_get_array(result, "changed");
    one = json_array_get(changed, 0);
    ASSERT_STR(json_get_str(one, "change"), "worse");
    ASSERT_STR(json_get_str(one, "why"),
               "first relevant passage: 1, now not found; lost \"p > H\"");
    one = json_array_get(changed, 1);
    ASSERT_STR(json_get_str(one, "change"), "better");
    ASSERT_STR(json_get_str(one, "why"),
               "was answered wrongly, is answered rightly; first relevant passage: 4, now 1");
    one = json_array_get(changed, 2);
    ASSERT_STR(json_get_str(one, "why"), "was refused, is answered wrongly");
}

static void
test_conditions(void **state)
{
    static const struct {
        const char *text;
        enum status want;
        const char *missed;
    } cases[] = {
        {"", ST_OK, ""},
        {"ndcg_10>=0.5, p99_ms<=50", ST_OK, ""},
        {"ndcg_10>=0.51", ST_OK, "ndcg_10 is 0.5, wanted at least 0.51\n"},
        {"refused_answerable<=0.05,p99_ms<=2", ST_OK,
         "refused_answerable is 0.3333, wanted at most 0.05\np99_ms is 3, wanted at most 2\n"},
        {"faithfulness>=0.5", ST_INVALID, NULL},
        {"nonsense>=0.5", ST_INVALID, NULL},
        {"ndcg_10=0.5", ST_INVALID, NULL},
        {"ndcg_10>=much", ST_INVALID, NULL},
        {">=0.5", ST_INVALID, NULL},
    };
    json_auto_t *results = run_of("one", RUN);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf missed;
        struct err err = {0};

        buf_init(&missed, 4096);
        assert_int_equal(eval_require(str_from_c(cases[i].text),
                                      json_object_get(results, "figures"), &missed, &err),
                         cases[i].want);
        if (cases[i].missed != NULL)
            ASSERT_STR(buf_str(&missed), cases[i].missed);
        buf_deinit(&missed);
    }
}

/* What a document says cannot end the element that holds the data. */
static void
test_page(void **state)
{
    json_auto_t *results = run_of("</script><script>alert(1)</script>", RUN);
    struct buf page;
    struct err err;
    struct str text;

    (void)state;
    buf_init(&page, EVAL_REPORT_MAX_BYTES);
    ASSERT_OK(eval_report_write(results, NULL, &page, &err), &err);
    text = buf_str(&page);
    assert_true(str_starts_with(text, STR("<!doctype html>")));
    assert_true(str_find(text, STR("alert(1)")) > 0);
    assert_true(str_find(text, STR("<script>alert")) < 0);
    assert_true(str_find(text, STR("{{")) < 0);
    buf_deinit(&page);
    buf_init(&page, 1000);
    assert_int_equal(eval_report_write(results, NULL, &page, &err), ST_TOO_LARGE);
    buf_deinit(&page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
