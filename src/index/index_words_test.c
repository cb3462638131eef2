/*
 * index_words_test.c - synonyms of several words; words that are joined or split
 */
#include <math.h>

#include "index/index_test_support.h"
#include "index/index_words_test.h"

static void
put_passages(struct fixture *fixture)
{
    struct index_entry entries[WORDS_PASSAGES];

    for (size_t i = 0; i < WORDS_PASSAGES; i++)
        entries[i] = entry(fixture, (int64_t)i + 1, 0, "", "", words_passages[i]);
    assert_int_equal(put(fixture, entries, WORDS_PASSAGES, ST_OK), ST_OK);
}

static struct index_result
search(struct fixture *fixture, const char *synonyms, const char *question)
{
    return search_as(fixture, &fixture->scope,
                     (struct index_query){.text = str_from_c(question),
                                          .language = STR("en"),
                                          .want_best_sentence = true,
                                          .synonyms = str_from_c(synonyms)});
}

static void
test_words(void **state)
{
    struct fixture *fixture = *state;
    unsigned failed = 0;

    put_passages(fixture);
    for (size_t i = 0; i < WORDS_CASES; i++) {
        const struct words_case *c = &words_cases[i];
        struct index_result result = search(fixture, c->synonyms, c->question);
        int first = result.count == 0 ? 0 : (int)result.hits[0].chunk_id;
        int others = result.count == 0 ? 0 : (int)result.count - 1;

        if (first == c->first && others == c->others)
            continue;
        print_error("%s: passage %d and %d more, not %d and %d\n", c->name, first, others, c->first,
                    c->others);
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* In the confidence as in the evidence: the whole phrase, and no part of it. */
static void
test_phrase_counts_as_a_word_does(void **state)
{
    struct fixture *fixture = *state;
    struct index_result word, phrase, asked, part;

    put_passages(fixture);
    word = search(fixture, "velocipede, stroller\n", "velocipede");
    phrase = search(fixture, "velocipede, electric bicycle\n", "velocipede");
    asked = search(fixture, "draisine machine, stroller\n", "draisine machine");
    part = search(fixture, "velocipede, out of order\n", "velocipede");
    assert_int_equal(word.count, 1);
    assert_int_equal(phrase.count, 1);
    assert_int_equal(asked.count, 1);
    assert_true(fabs(word.hits[0].coverage - 0.9) < 1e-9);
    assert_true(phrase.hits[0].coverage == word.hits[0].coverage);
    assert_true(asked.hits[0].coverage == word.hits[0].coverage);
    assert_true(phrase.signals[INDEX_SIGNAL_NEAR] == word.signals[INDEX_SIGNAL_NEAR]);
    assert_true(phrase.signals[INDEX_SIGNAL_MATCHED] == word.signals[INDEX_SIGNAL_MATCHED]);
    assert_int_equal(phrase.hits[0].evidence[0].matches, 1);
    assert_true(phrase.hits[0].best_sentence.end > 0);
    /* "out" and "of" are in no index. */
    assert_int_equal(part.count, 1);
    assert_true(fabs(part.hits[0].coverage - 0.3) < 1e-9);
}

/* A passage that has it as it is asked for is surer; else it is as its words. */
static void
test_compounds(void **state)
{
    static const struct {
        const char *asked, *words;
        bool surer;
    } cases[] = {
        {"gift-card", "gift card", true},
        {"gift\u2010card", "gift card", true},
        {"order-of-lift", "order lift", false},
        {"out-of-order", "order", false}, /* its other words are in no index */
        {"sand-and-snow", "sand snow", true},
        {"snow-sand", "snow sand", false},
        {"card-gift", "card gift", false},
        {"gift -card", "gift card", false},
        {"wheels-velocipede", "wheels velocipede", false},
    };
    struct fixture *fixture = *state;

    put_passages(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct index_result compound = search(fixture, "", cases[i].asked);
        struct index_result words = search(fixture, "", cases[i].words);
        double more = compound.signals[INDEX_SIGNAL_MATCHED] - words.signals[INDEX_SIGNAL_MATCHED];

        if (cases[i].surer ? more < 0.1 : more != 0)
            fail_msg("%s: %f more is matched", cases[i].asked, more);
        assert_true(compound.signals[INDEX_SIGNAL_MISSING] == words.signals[INDEX_SIGNAL_MISSING]);
        assert_int_equal(compound.count, words.count);
        for (size_t h = 0; h < words.count; h++)
            assert_true(compound.hits[h].chunk_id == words.hits[h].chunk_id &&
                        compound.hits[h].score == words.hits[h].score);
    }
}

/* What no passage has, nor anything like it, may still be an everyday word. */
static void
test_everyday(void **state)
{
    struct fixture *fixture = *state;

    put_passages(fixture);
    ASSERT_STR(search(fixture, "", "garantee of a stroller").everyday, "garantee, guarantee\n");
    ASSERT_STR(search(fixture, "", "a guarantee of a stroller").everyday, "");
    ASSERT_STR(search(fixture, "", "stroler").everyday, "");
    ASSERT_STR(search(fixture, "", "a gift is valdi").everyday, "valdi, valid\n"); /* is found */
    ASSERT_STR(search(fixture, "", "frobnicate the stroller").everyday, "");
}

/* More passages than a block has, so that postings of several words meet in some blocks only. */
static void
test_phrase_in_many_blocks(void **state)
{
    enum { STEP = 1500, COUNT = 9 };
    struct fixture *fixture = *state;
    struct index_entry entries[COUNT];
    struct index_result result;

    for (size_t i = 0; i < COUNT; i++) {
        static const char *const texts[] = {"A gift.", "A card, one of a hundred.",
                                            "A gift and a card."};

        entries[i] = entry(fixture, (int64_t)(1 + i * STEP), 0, "", "", texts[i % 3]);
    }
    assert_int_equal(put(fixture, entries, COUNT, ST_OK), ST_OK);
    result = search(fixture, "velocipede, gift card\n", "velocipede");
    assert_int_equal(result.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(result.hits[i].chunk_id, 1 + (3 * i + 2) * STEP);
}

int
index_words_tests(struct test_qdrant *qdrant)
{
    const struct CMUnitTest tests[] = {
        TEST(test_words),    TEST(test_phrase_counts_as_a_word_does), TEST(test_compounds),
        TEST(test_everyday), TEST(test_phrase_in_many_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
