/*
 * dataset_test.c - questions as they are written, and what is refused with which words
 */
#include "base/testing.h"

#include "eval/dataset.h"

static void
test_lines(void **state)
{
    static const char text[] =
        "{\"question\": \" How much? \"}\n\n"
        "{\"id\": \"b\", \"question\": \"And for a week?\", \"staff\": true, \"answerable\": null,"
        " \"history\": [{\"role\": \"user\", \"text\": \"A day?\"}, {\"role\": \"assistant\","
        " \"text\": \"49 \xe2\x82\xac\"}], \"answers\": [\"260 \xe2\x82\xac\"],"
        " \"reference\": \"It costs 260 \xe2\x82\xac a week.\","
        " \"relevant\": [\"rental.md\", {\"document\": \"rental.md\", \"heading\": \"Rates\","
        " \"page\": 3, \"text\": \"cargo\", \"grade\": 2.0}]}\r\n"
        "{\"question\": \"Unicycles?\", \"answerable\": false}";
    struct arena *arena = arena_create(1u << 20);
    struct eval_dataset set, again;
    json_auto_t *list = json_array();
    const struct eval_question *q;
    struct err err;

    (void)state;
    ASSERT_OK(eval_dataset_parse(str_from_c(text), arena, &set, &err), &err);
    assert_int_equal(set.count, 3);
    ASSERT_STR(set.questions[0].text, "How much?");
    ASSERT_STR(set.questions[0].id, "1");
    assert_int_equal(set.questions[0].answerable, EVAL_ANSWERABLE);
    assert_int_equal(set.questions[2].answerable, EVAL_UNANSWERABLE);
    for (size_t i = 0; i < set.count; i++)
        json_array_append_new(list, eval_question_json(&set.questions[i]));
    /* What is written is read as the same. */
    ASSERT_OK(eval_dataset_read(list, arena, &again, &err), &err);
    assert_int_equal(again.count, 3);
    assert_int_equal(again.questions[2].answerable, EVAL_UNANSWERABLE);
    q = &again.questions[1];
    ASSERT_STR(q->id, "b");
    assert_int_equal(q->answerable, EVAL_UNKNOWN);
    assert_true(q->staff);
    assert_int_equal(q->history_count, 2);
    ASSERT_STR(q->history[1].role, "assistant");
    ASSERT_STR(q->history[0].body, "A day?");
    assert_int_equal(q->gold_count, 2);
    ASSERT_STR(q->gold[0].document, "rental.md");
    assert_int_equal(q->gold[0].page, 0);
    ASSERT_STR(q->gold[1].heading, "Rates");
    ASSERT_STR(q->gold[1].text, "cargo");
    assert_int_equal(q->gold[1].page, 3);
    assert_true(q->gold[1].grade == 2);
    ASSERT_STR(q->answers[0], "260 \xe2\x82\xac");
    ASSERT_STR(q->reference, "It costs 260 \xe2\x82\xac a week.");
    arena_destroy(&arena);
}

static void
test_refusals(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "there are no questions"},
        {"[]", "there are no questions"},
        {"\n \n", "there are no questions"},
        {"{\"question\": \"a\"}\n{\"question\": \"\"}", "line 2: question: words"},
        {"{\"question\": \"a\"}\n{\"quest", "line 2: "},
        {"[{\"question\": \"a\"}, 3]", "question 2: not an object"},
        {"{\"question\": 3}", "line 1: \"question\" must"},
        {"{\"text\": \"a\"}", "line 1: "},
        {"{\"question\": \"a\", \"answerable\": \"no\"}",
         "line 1: answerable: true, false or null"},
        {"{\"question\": \"a\", \"relevant\": [{}]}", "says nothing of what is relevant"},
        {"{\"question\": \"a\", \"relevant\": [3]}", "relevant: a name or an object"},
        {"{\"question\": \"a\", \"relevant\": [{\"page\": 0}]}", "relevant: \"page\""},
        {"{\"question\": \"a\", \"relevant\": [{\"document\": \"a\", \"grade\": -1.0}]}",
         "a grade is above 0"},
        {"{\"question\": \"a\", \"answers\": [\" \"]}", "answers: words"},
        {"{\"question\": \"a\", \"history\": [{\"role\": \"system\", \"text\": \"x\"}]}",
         "history: each turn"},
        {"{\"question\": \"a\", \"extra\": 1}", "line 1: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena = arena_create(1u << 20);
        struct eval_dataset set;
        struct err err = {0};

        assert_int_equal(eval_dataset_parse(str_from_c(cases[i].text), arena, &set, &err),
                         ST_INVALID);
        if (strstr(err.public_text, cases[i].want) == NULL)
            fail_msg("%s: \"%s\", wanted \"%s\"", cases[i].text, err.public_text, cases[i].want);
        arena_destroy(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
