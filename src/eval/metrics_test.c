/*
 * metrics_test.c - figures that were worked out by hand
 */
#include "base/testing.h"

#include <math.h>

#include "eval/metrics.h"

#define NEAR(value, wanted)                                                                        \
    do {                                                                                           \
        double value_ = (value);                                                                   \
        if (fabs(value_ - (wanted)) > 0.00005)                                                     \
            fail_msg("%s: %.5f, wanted %.5f", #value, value_, (double)(wanted));                   \
    } while (0)

static void
test_ndcg(void **state)
{
    /* Gain 3 + 2/log2(3) + 0 + 1/log2(5), ideal 3 + 2/log2(3) + 1/log2(4). */
    const double gains[] = {3, 2, 0, 1}, grades[] = {1, 3, 2};
    const double one[] = {0, 0, 1}, grade[] = {1};

    (void)state;
    NEAR(eval_ndcg(gains, 4, grades, 3, 10), (3 + 1.26186 + 0.43068) / (3 + 1.26186 + 0.5));
    NEAR(eval_ndcg(gains, 4, grades, 3, 1), 1);
    NEAR(eval_ndcg(one, 3, grade, 1, 10), 0.5);
    NEAR(eval_ndcg(one, 3, grade, 1, 2), 0);
    NEAR(eval_ndcg(one, 3, NULL, 0, 10), 0);
    NEAR(eval_ndcg(NULL, 0, grades, 3, 10), 0);
}

static void
test_recall_and_rank(void **state)
{
    const double gains[] = {0, 1, 0, 2};
    const size_t found[] = {0, 1, 0, 2};

    (void)state;
    NEAR(eval_recall(found, 4, 4, 10), 0.75);
    NEAR(eval_recall(found, 4, 4, 2), 0.25);
    NEAR(eval_recall(found, 4, 0, 10), 0);
    NEAR(eval_reciprocal_rank(gains, 4), 0.5);
    NEAR(eval_reciprocal_rank(gains, 1), 0);
    NEAR(eval_reciprocal_rank(NULL, 0), 0);
}

static void
test_context_precision(void **state)
{
    /* Useful at ranks 1 and 3: (1/1 + 2/3) / 2. */
    const bool useful[] = {true, false, true, false}, late[] = {false, true}, none[] = {false};

    (void)state;
    NEAR(eval_context_precision(useful, 4), 0.83333);
    NEAR(eval_context_precision(late, 2), 0.5);
    NEAR(eval_context_precision(none, 1), 0);
    NEAR(eval_context_precision(NULL, 0), 0);
}

static void
test_calibration(void **state)
{
    struct eval_calibration c = {.bin_count = 5}, equal = {.bin_count = 5};

    (void)state;
    NEAR(eval_calibration_error(&c), 0);
    eval_calibration_add(&c, 0.9, true, 1);
    eval_calibration_add(&c, 1.0, false, 1); /* the last bin has its upper border */
    eval_calibration_add(&c, 0.1, false, 1);
    eval_calibration_add(&c, 0.0, false, 1);
    /* |1.9 - 1| + |0.1 - 0| over four. */
    NEAR(eval_calibration_error(&c), 0.25);
    NEAR(c.bins[4].weight, 2);
    NEAR(c.bins[0].said, 0.1);
    /* A set of one weighs as much as a set of three. */
    eval_calibration_add(&equal, 0.5, true, 1);
    for (int i = 0; i < 3; i++)
        eval_calibration_add(&equal, 0.5, false, 1.0 / 3);
    NEAR(eval_calibration_error(&equal), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ndcg),
        cmocka_unit_test(test_recall_and_rank),
        cmocka_unit_test(test_context_precision),
        cmocka_unit_test(test_calibration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
