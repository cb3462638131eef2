/*
 * passages_test.c - neighbours joined, the documents' words put in
 */
#include "base/testing.h"

#include "orchestrator/passages.h"

static struct arena *arena;

static int
set_up(void **state)
{
    (void)state;
    arena = arena_create((size_t)16 * 1024 * 1024);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

#define TEXT "0123456 alpha beta gamma delta. The second sentence stands here. A third one ends it."

/* Of the text above, as a chunk of it. */
static struct index_hit
slice(const struct source_id *source, size_t start, size_t end, const char *heading)
{
    return (struct index_hit){.source_id = *source,
                              .version = 1,
                              .heading_path = str_from_c(heading),
                              .language = STR("en"),
                              .text = str_sub(STR(TEXT), start, end - start),
                              .start_char = (int64_t)start,
                              .end_char = (int64_t)end,
                              .best_sentence = {1, 4}};
}

static struct index_hit
text_hit(const char *text)
{
    const struct source_id source = ID_NEW(source_id);

    return (struct index_hit){
        .source_id = source, .version = 1, .text = str_from_c(text), .language = STR("en")};
}

static void
neighbours_become_one(void **state)
{
    const struct source_id source = ID_NEW(source_id), other = ID_NEW(source_id);
    static const struct {
        const char *name;
        size_t first[2], second[2];
        bool same_source, same_heading;
        const char *want; /* NULL: they stay two */
    } rows[] = {
        {"in order",
         {0, 31},
         {32, 64},
         true,
         true,
         "0123456 alpha beta gamma delta.\n\nThe second sentence stands here."},
        {"the better comes later",
         {32, 64},
         {0, 31},
         true,
         true,
         "0123456 alpha beta gamma delta.\n\nThe second sentence stands here."},
        {"overlapping",
         {0, 40},
         {32, 64},
         true,
         true,
         "0123456 alpha beta gamma delta. The second sentence stands here."},
        {"far apart", {0, 31}, {65, 85}, true, true, NULL},
        {"of two documents", {0, 31}, {32, 64}, false, true, NULL},
        {"under two headings", {0, 31}, {32, 64}, true, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_hit hits[] = {
            slice(&source, rows[i].first[0], rows[i].first[1], "A"),
            slice(rows[i].same_source ? &source : &other, rows[i].second[0], rows[i].second[1],
                  rows[i].same_heading ? "A" : "B"),
        };
        struct str best = str_sub(hits[0].text, 1, 3);
        struct index_result result = {.hits = hits, .count = 2};
        const struct index_hit *first = &result.hits[0];

        print_message("           %s\n", rows[i].name);
        passages_join(&result, arena);
        assert_int_equal(result.count, rows[i].want == NULL ? 2 : 1);
        if (rows[i].want == NULL)
            continue;
        ASSERT_STR(first->text, rows[i].want);
        assert_true(str_eq(str_sub(first->text, first->best_sentence.start, 3), best));
        assert_int_equal(first->start_char, 0);
        assert_int_equal(first->end_char, 64);
    }
}

static void
three_neighbours_in_any_order(void **state)
{
    const struct source_id source = ID_NEW(source_id);
    struct index_hit hits[] = {slice(&source, 65, 85, "A"), slice(&source, 0, 31, "A"),
                               slice(&source, 32, 64, "A")};
    struct index_result result = {.hits = hits, .count = 3};

    (void)state;
    passages_join(&result, arena);
    assert_int_equal(result.count, 1);
    ASSERT_STR(result.hits[0].text, "0123456 alpha beta gamma delta.\n\nThe second sentence stands "
                                    "here.\n\nA third one ends it.");
}

static void
documents_words_are_put_in(void **state)
{
    struct index_hit hit =
        text_hit("A stroller costs 12 euros a day. Bikes cost 20 euros. Electric "
                 "bicycles cost 30. The handbook and the RMA are free.");
    const struct {
        const char *name, *question, *synonyms, *spellings, *want;
        size_t hits;
    } rows[] = {
        {"a word", "What do prams cost?", "pram, buggy, stroller\nbike, velo\n", "",
         "What do stroller cost?", 1},
        {"one that is there", "What does a bike cost?", "bike, velo, stroller\n", "",
         "What does a bike cost?", 1},
        {"none", "What do prams cost?", "", "", "What do prams cost?", 1},
        {"no passages", "What do prams cost?", "pram, stroller\n", "", "What do prams cost?", 0},
        {"a phrase for a word", "What do pedelecs cost?", "pedelec, Electric Bicycle\n", "",
         "What do Electric bicycles cost?", 1},
        {"a word for a phrase", "Is return merchandise authorization free?",
         "RMA, return merchandise authorization\n", "", "Is RMA free?", 1},
        {"a phrase for a phrase", "What do e-rads cost?", "e-rad, electric bicycle\n", "",
         "What do Electric bicycles cost?", 1},
        {"words apart are no phrase", "What does a day cost?", "day, bikes free\n", "",
         "What does a day cost?", 1},
        {"two in the question's order", "Prams or e-rads?",
         "e-rad, electric bicycle\npram, stroller\n", "", "stroller or Electric bicycles?", 1},
        {"one within another", "An electric pram?", "electric pram, stroller\npram, RMA\n", "",
         "An stroller?", 1},
        {"a heading has it", "When is the shop open? Openingtimes?", "",
         "Openingtimes, Opening times\n", "When is the shop open? Opening times?", 1},
        {"two words that are one", "Is a hand book free?", "", "hand book, handbook\n",
         "Is a handbook free?", 1},
        {"one that is two", "An electricbicycle?", "pram, stroller\n",
         "electricbicycle, electric bicycle\n", "An Electric bicycles?", 1},
        {"letters that are wrong, as the passage writes the word",
         "What does an electrik bycicle do?", "", "electrik, electr\nbycicle, bicycl\n",
         "What does an Electric bicycles do?", 1},
    };

    (void)state;
    hit.heading_path = STR("Shop > Opening times");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct index_result result = {
            .hits = &hit, .count = rows[i].hits, .spellings = str_from_c(rows[i].spellings)};

        print_message("           %s\n", rows[i].name);
        ASSERT_STR(passages_reword(str_from_c(rows[i].question), str_from_c(rows[i].synonyms),
                                   &result, arena),
                   rows[i].want);
    }
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(neighbours_become_one),
        CASE(three_neighbours_in_any_order),
        CASE(documents_words_are_put_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
