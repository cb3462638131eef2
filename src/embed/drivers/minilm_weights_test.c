/*
 * minilm_weights_test.c - the published model, where its weights were set up (scripts/encoder.sh)
 *
 * Skipped by name without them. The numbers wanted are ONNX Runtime's for the same weights.
 */
#include "base/testing.h"

#include <stdio.h>

#include "base/log.h"
#include "embed/embed_conformance.h"
#include "text/json.h"

#define DIMENSION 384
#define SKIPPED 77

static const char *weights;

static struct embedder *
open_with(const char *precision)
{
    struct embed_env env = {.clock = clock_system()};
    json_t *config =
        json_pack("{s:s,s:s,s:s}", "driver", "minilm", "weights", weights, "precision", precision);
    struct embedder *embedder;
    struct err err;

    ASSERT_OK(embed_open(&env, config, &embedder, &err), &err);
    json_decref(config);
    return embedder;
}

static double
dot(const float *a, const float *b, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static const struct {
    const char *text;
    float first[6];
} wanted[] = {
    {"When does the shop open on Saturday?",
     {-0.0065628F, -0.0192459F, -0.0516970F, 0.0253069F, -0.0063091F, 0.0592164F}},
    {"Thank you!", {-0.0611566F, -0.0374013F, -0.0020558F, -0.1196152F, -0.0247862F, -0.0071348F}},
    {"Die Rechnung f\xc3\xbc"
     "r \xe6\x97\xa5"
     "\xe6\x9c\xac"
     " kostet 1.284,60 \xe2\x82\xac"
     "; see https://example.com/?a=b",
     {-0.0541369F, 0.1282545F, 0.0251553F, -0.0150160F, -0.0679740F, 0.0257651F}},
};

static void
test_numbers(void **state)
{
    struct embedder *embedder = open_with("float32");
    float vector[DIMENSION];
    struct err err;

    (void)state;
    assert_int_equal(embed_dimension(embedder), DIMENSION);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct str text = str_from_c(wanted[i].text);

        ASSERT_OK(embed_texts(embedder, &text, 1, 60000, vector, &err), &err);
        for (size_t j = 0; j < sizeof(wanted[i].first) / sizeof(wanted[i].first[0]); j++) {
            if (vector[j] - wanted[i].first[j] > 1e-5F || wanted[i].first[j] - vector[j] > 1e-5F)
                fail_msg("\"%s\": number %zu is %f, not %f", wanted[i].text, j, (double)vector[j],
                         (double)wanted[i].first[j]);
        }
    }
    embed_close(&embedder);
}

static void
test_bytes_are_near_floats(void **state)
{
    struct embedder *floats = open_with("float32"), *bytes = open_with("int8");
    float a[DIMENSION], b[DIMENSION];
    struct err err;

    (void)state;
    assert_true(str_eq(embed_version(floats), embed_version(bytes)));
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct str text = str_from_c(wanted[i].text);

        ASSERT_OK(embed_texts(floats, &text, 1, 60000, a, &err), &err);
        ASSERT_OK(embed_texts(bytes, &text, 1, 60000, b, &err), &err);
        assert_true(dot(a, b, DIMENSION) > 0.995);
    }
    embed_close(&floats);
    embed_close(&bytes);
}

/* What it is for: other words for the same thing are near. */
static void
test_meaning(void **state)
{
    const struct str texts[] = {STR("How can I get my money back?"),
                                STR("Refunds are made to the card within five days."),
                                STR("The museum is closed on Mondays.")};
    struct embedder *embedder = open_with("int8");
    float vectors[3 * DIMENSION];
    struct err err;

    (void)state;
    ASSERT_OK(embed_texts(embedder, texts, 3, 60000, vectors, &err), &err);
    assert_true(dot(vectors, vectors + DIMENSION, DIMENSION) >
                dot(vectors, vectors + (size_t)2 * DIMENSION, DIMENSION) + 0.2);
    embed_close(&embedder);
}

static void
test_conformance(void **state)
{
    struct embed_env env = {.clock = clock_system()};
    json_t *config =
        json_pack("{s:s,s:s,s:i}", "driver", "minilm", "weights", weights, "threads", 2);

    (void)state;
    embed_conformance_run(&env, config);
    json_decref(config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bytes_are_near_floats),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_conformance),
    };

    weights = getenv("PARLEY_TEST_ENCODER");
    if (weights == NULL || access(weights, R_OK) != 0) {
        (void)fprintf(stderr, "embed/minilm_weights: skipped, because scripts/encoder.sh was not "
                              "run\n");
        return SKIPPED;
    }
    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
