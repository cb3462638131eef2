/*
 * judge_test.c - claims that passages bear and claims that they do not; what a model's word becomes
 */
#include "base/testing.h"

#include <math.h>

#include "eval/judge.h"

#define NEAR(value, wanted)                                                                        \
    do {                                                                                           \
        double value_ = (value);                                                                   \
        if (fabs(value_ - (wanted)) > 0.0005)                                                      \
            fail_msg("%s: %.4f, wanted %.4f", #value, value_, (double)(wanted));                   \
    } while (0)

static const struct eval_passage shop[] = {
    {STR_INIT("Prices"), STR_INIT("Repairs"),
     STR_INIT("A puncture repair costs 19 euro, tube included. Brake pads are 34 euro.")},
    {STR_INIT("Hours"), STR_INIT(""),
     STR_INIT("Day | Shop | Workshop\nSaturday | 9:00 to 16:00 | 9:00 to 13:00")},
    {STR_INIT("Privacy"), STR_INIT(""), STR_INIT("We keep messages for 24 months.")},
};

struct bench {
    struct arena *arena;
    struct eval_question question;
    struct eval_case one;
    struct eval_verdict verdict;
    struct err err;
};

static void
begin(struct bench *bench, const char *question, const char *answer)
{
    *bench = (struct bench){.arena = arena_create(8u << 20)};
    bench->question.text = str_from_c(question);
    bench->one = (struct eval_case){.question = &bench->question,
                                    .passages = shop,
                                    .passage_count = 3,
                                    .answer = str_from_c(answer)};
}

static double
faithfulness(const char *answer)
{
    const struct eval_judge words = {.models = NULL};
    struct bench bench;
    double value;

    begin(&bench, "How much is a puncture repair, and when are you open?", answer);
    ASSERT_OK(eval_judge_case(&words, &bench.one, bench.arena, &bench.verdict, &bench.err),
              &bench.err);
    ASSERT_STR(bench.verdict.judge, "words");
    assert_true(bench.verdict.relevancy == EVAL_NOT_MEASURED);
    value = bench.verdict.faithfulness;
    arena_destroy(&bench.arena);
    return value;
}

static void
test_faithfulness(void **state)
{
    (void)state;
    NEAR(faithfulness("A puncture repair costs 19 euro, tube included. [1]"), 1);
    NEAR(faithfulness("Saturday: shop 9:00 to 16:00, workshop 9:00 to 13:00. [2]"), 1);
    NEAR(faithfulness("A puncture repair costs 29 euro, tube included. [1]"), 0);
    NEAR(faithfulness("Brake pads are 34 euro [1]. We also sell unicycles to schools abroad."),
         0.5);
    NEAR(faithfulness("The workshop is open on Saturday until 17:00."), 0);
    assert_true(faithfulness("") == EVAL_NOT_MEASURED);
}

static void
test_contexts(void **state)
{
    const struct eval_judge words = {.models = NULL};
    const bool relevant[] = {false, true, false};
    struct str answers[] = {STR_INIT("24 months"), STR_INIT("two years")};
    struct bench bench;

    (void)state;
    begin(&bench, "When are you open?", "");
    bench.question.reference = STR("Brake pads are 34 euro. Shoes are 80 euro.");
    ASSERT_OK(eval_judge_case(&words, &bench.one, bench.arena, &bench.verdict, &bench.err),
              &bench.err);
    NEAR(bench.verdict.context_recall, 0.5);  /* one claim of two */
    NEAR(bench.verdict.context_precision, 1); /* the first passage has it */
    assert_true(bench.verdict.faithfulness == EVAL_NOT_MEASURED);
    bench.question.reference = STR_EMPTY;
    bench.question.answers = answers;
    bench.question.answer_count = 2;
    ASSERT_OK(eval_judge_case(&words, &bench.one, bench.arena, &bench.verdict, &bench.err),
              &bench.err);
    NEAR(bench.verdict.context_precision, 1.0 / 3);
    NEAR(bench.verdict.context_recall, 1);
    bench.one.relevant = relevant;
    bench.one.found = 0.25;
    ASSERT_OK(eval_judge_case(&words, &bench.one, bench.arena, &bench.verdict, &bench.err),
              &bench.err);
    NEAR(bench.verdict.context_precision, 0.5);
    NEAR(bench.verdict.context_recall, 0.25);
    arena_destroy(&bench.arena);
}

/* --- a model's word --- */

/* The model answers every question with the same words. */
static enum status
judge_as(const char *reply, struct bench *bench)
{
    const struct model_env env = {.clock = clock_system()};
    const struct embed_env embed_env = {.clock = clock_system()};
    json_auto_t *models = json_pack("[{s:s, s:s}]", "driver", "fake", "text", reply);
    json_auto_t *encoder = json_pack("{s:s}", "driver", "fake");
    struct eval_judge judge = {.deadline_ms = 10000};
    enum status st;

    ASSERT_OK(model_chain_open(&env, models, &judge.models, &bench->err), &bench->err);
    ASSERT_OK(embed_open(&embed_env, encoder, &judge.embedder, &bench->err), &bench->err);
    st = eval_judge_case(&judge, &bench->one, bench->arena, &bench->verdict, &bench->err);
    embed_close(&judge.embedder);
    model_chain_close(&judge.models);
    return st;
}

static void
test_model(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench, "how much is a puncture repair", "19 euro [1]");
    bench.question.reference = STR("19 euro");
    ASSERT_OK(
        judge_as("Here it is: {\"claims\": [{\"claim\": \"a\", \"supported\": true}, "
                 "{\"claim\": \"b\", \"supported\": false}], \"useful\": [true, false, true], "
                 "\"questions\": [\"how much is a puncture repair\", "
                 "\"How much is a puncture repair?\"], \"noncommittal\": false}",
                 &bench),
        &bench.err);
    NEAR(bench.verdict.faithfulness, 0.5);
    NEAR(bench.verdict.context_recall, 0.5);
    NEAR(bench.verdict.context_precision, (1 + 2.0 / 3) / 2);
    NEAR(bench.verdict.relevancy, 1);
    ASSERT_STR(bench.verdict.judge, "fake");
    ASSERT_OK(judge_as("{\"claims\": [], \"useful\": [false, false, false], "
                       "\"noncommittal\": true}",
                       &bench),
              &bench.err);
    assert_true(bench.verdict.faithfulness == EVAL_NOT_MEASURED);
    NEAR(bench.verdict.context_precision, 0);
    NEAR(bench.verdict.relevancy, 0);
    arena_destroy(&bench.arena);
}

/* What is not what was asked for is an error, not a figure. */
static void
test_model_fails(void **state)
{
    static const char *const replies[] = {
        "I cannot do that.",
        "{\"useful\": [true]}",
        "{\"useful\": [true, true, true], \"claims\": [{\"claim\": \"a\"}]}",
        "{\"useful\": [true, true, true]}",
        "{\"useful\": [true, true, true], \"claims\": [], \"questions\": []}",
        "{\"useful\": [true, true, tr",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct bench bench;

        begin(&bench, "how much", "19 euro [1]");
        if (judge_as(replies[i], &bench) != ST_UNAVAILABLE)
            fail_msg("%s was taken", replies[i]);
        arena_destroy(&bench.arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faithfulness),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
