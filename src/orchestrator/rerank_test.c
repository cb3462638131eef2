/*
 * rerank_test.c - which answers of a model are an order of passages
 */
#include "base/testing.h"
#include "orchestrator/orchestrator_private.h"

static void
answers_are_read(void **state)
{
    static const struct {
        const char *answer;
        size_t count;
        const char *want; /* NULL: unusable */
    } rows[] = {
        {"{\"order\": [2, 1, 3]}", 3, "213"},
        {"```json\n{\"order\": [3]}\n```", 3, "312"},
        {"Here it is: {\"order\": [3, 2]} as you wished", 4, "3214"},
        {"{\"order\": [1, 2, 3], \"why\": \"{}\"}", 3, "123"},
        {"{\"order\": []}", 3, NULL},
        {"{\"order\": [1, 1]}", 3, NULL},
        {"{\"order\": [0]}", 3, NULL},
        {"{\"order\": [4]}", 3, NULL},
        {"{\"order\": [-1]}", 3, NULL},
        {"{\"order\": [9223372036854775807]}", 3, NULL},
        {"{\"order\": [\"2\"]}", 3, NULL},
        {"{\"order\": [1.5]}", 3, NULL},
        {"{\"order\": \"2\"}", 3, NULL},
        {"{\"order\": [2, 1]", 3, NULL},
        {"[2, 1]", 3, NULL},
        {"2, 1", 3, NULL},
        {"}{", 3, NULL},
        {"", 3, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t order[RERANK_PASSAGES];
        char got[RERANK_PASSAGES + 1] = "";
        bool usable = rerank_read(str_from_c(rows[i].answer), rows[i].count, order);

        if (usable != (rows[i].want != NULL))
            fail_msg("%s: %s", rows[i].answer, usable ? "read" : "refused");
        for (size_t at = 0; usable && at < rows[i].count; at++)
            got[at] = (char)('1' + order[at]);
        if (usable)
            assert_string_equal(got, rows[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
