/*
 * chunker_test.c - passages: where they begin and end, what they repeat, what they never mix
 */
#include "base/testing.h"

#include "base/buf.h"
#include "knowledge/chunker.h"
#include "text/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MB ((size_t)1024 * 1024)

struct made {
    struct arena *arena;
    struct plain_document document;
    struct chunk *chunks;
    size_t count;
};

static void
make_of(struct made *made, const char *title, const struct extract_block *blocks, size_t count,
        struct str language, const struct chunk_settings *settings)
{
    struct extracted extracted = {.title = str_from_c(title), .block_count = count};
    struct err err;

    made->arena = arena_create(256 * MB);
    extracted.blocks = ARENA_NEW_N(made->arena, struct extract_block, count + 1);
    memcpy(extracted.blocks, blocks, count * sizeof(*blocks));
    ASSERT_OK(plain_document_make(&extracted, made->arena, &made->document, &err), &err);
    ASSERT_OK(chunk_document(&made->document, language, settings, made->arena, &made->chunks,
                             &made->count, &err),
              &err);
    /* Of every passage: the range is in the text, and what it cites is what it says. */
    assert_true(made->count > 0);
    for (size_t i = 0; i < made->count; i++) {
        const struct chunk *chunk = &made->chunks[i];
        struct str range;

        assert_true(chunk->start < chunk->end && chunk->end <= made->document.text.len);
        range = str_sub(made->document.text, chunk->start, chunk->end - chunk->start);
        assert_true(str_ends_with(chunk->text, range));
        assert_true(str_is_utf8(chunk->text));
        assert_true(chunk_word_count(chunk->text) <= chunk_max_words(settings->words) + 50);
    }
}

static void
make(struct made *made, const char *title, const struct extract_block *blocks, size_t count,
     struct str language)
{
    static const struct chunk_settings usual = {CHUNK_DEFAULT_WORDS, CHUNK_DEFAULT_OVERLAP};

    make_of(made, title, blocks, count, language, &usual);
}

static struct extract_block
block(enum extract_frame_kind kind, unsigned level, struct str text)
{
    return (struct extract_block){.kind = kind, .level = level, .text = text};
}

/* sentences of 10 words each, told apart by their number. */
static struct str
sentences(struct made *made, unsigned from, unsigned count)
{
    struct buf text;
    struct str result;

    buf_init(&text, MB);
    for (unsigned i = from; i < from + count; i++)
        buf_printf(&text, "%sSentence %u has ten words so that counting them is easy.",
                   i == from ? "" : " ", i);
    result = arena_str(made->arena, buf_str(&text));
    buf_deinit(&text);
    return result;
}

static void
text_is_laid_out(void **state)
{
    const struct extract_block blocks[] = {
        block(EXTRACT_HEADING, 1, STR("Hire")),
        block(EXTRACT_PARAGRAPH, 0, STR("Bikes by the day.")),
        block(EXTRACT_LIST_ITEM, 1, STR("- city")),
        block(EXTRACT_LIST_ITEM, 2, STR("- cargo")),
        block(EXTRACT_TABLE_ROW, 1, STR("Bike\tDay")),
        block(EXTRACT_TABLE_ROW, 0, STR("City\t 18 ")),
        block(EXTRACT_TABLE_ROW, 0, STR("\t\tx")),
        block(EXTRACT_CODE, 0, STR("  a\n   b")),
    };
    struct made made;

    (void)state;
    make(&made, "Hire", blocks, COUNT(blocks), STR("en"));
    ASSERT_STR(made.document.text, "Hire\n\nBikes by the day.\n\n- city\n  - cargo\n\nBike | Day\n"
                                   "City | 18\n|  | x\n\n  a\n   b");
    assert_int_equal(made.count, 1);
    ASSERT_STR(made.chunks[0].heading_path, "");
    ASSERT_STR(made.chunks[0].language, "en");
    assert_int_equal(made.chunks[0].start, strlen("Hire\n\n"));
    arena_destroy(&made.arena);
}

static void
passages_know_where_they_begin(void **state)
{
    struct made made = {.arena = arena_create(MB)};
    struct extract_block blocks[] = {
        block(EXTRACT_HEADING, 1, STR("Hire")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 0, 15)),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 15, 15)),
        block(EXTRACT_HEADING, 1, STR("Sale")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 30, 12)),
    };
    struct arena *texts = made.arena;
    size_t crossings = 0;

    (void)state;
    blocks[0].page = blocks[1].page = 2;
    blocks[2].page = 3;
    blocks[3].page = blocks[4].page = 7;
    make(&made, "Shop", blocks, COUNT(blocks), STR("en"));
    assert_int_equal(made.chunks[0].page, 2);
    assert_int_equal(made.chunks[made.count - 2].page, 3);
    assert_int_equal(made.chunks[made.count - 1].page, 7);
    for (size_t i = 0; i < made.count; i++) {
        const struct chunk *chunk = &made.chunks[i];
        struct str rest = chunk->page_starts, page = STR_EMPTY, at = STR_EMPTY;
        int64_t start = 0, number = 0;

        /* Only a passage that goes on from page 2 to 3 has another page, where the second block
         * begins. */
        if (chunk->page != 2 || chunk->text.ptr == NULL ||
            chunk->end <= made.document.pieces[2].start) {
            assert_int_equal(rest.len, 0);
            continue;
        }
        assert_true(str_split(&rest, ' ', &page) && str_split(&page, ':', &at));
        assert_true(str_to_i64(at, &start) && str_to_i64(page, &number));
        assert_int_equal(chunk->start + (size_t)start, made.document.pieces[2].start);
        assert_int_equal(number, 3);
        crossings++;
    }
    assert_int_equal(crossings, 1);
    arena_destroy(&made.arena);
    arena_destroy(&texts);
}

/* A table whose first cell is empty begins the text. */
static void
text_may_begin_with_a_row(void **state)
{
    const struct extract_block blocks[] = {block(EXTRACT_TABLE_ROW, 1, STR("\tDay"))};
    struct made made;

    (void)state;
    make(&made, "", blocks, COUNT(blocks), STR(""));
    ASSERT_STR(made.document.text, "| Day");
    arena_destroy(&made.arena);
}

static void
headings_part_passages(void **state)
{
    const struct extract_block blocks[] = {
        block(EXTRACT_PARAGRAPH, 0, STR("Before.")),
        block(EXTRACT_HEADING, 2, STR("Rates")),
        block(EXTRACT_PARAGRAPH, 0, STR("Rates are low.")),
        block(EXTRACT_HEADING, 3, STR("Deposit")),
        block(EXTRACT_PARAGRAPH, 0, STR("Fifty.")),
        block(EXTRACT_HEADING, 3, STR("Groups")),
        block(EXTRACT_PARAGRAPH, 0, STR("Ten or more.")),
        block(EXTRACT_HEADING, 2, STR("Returns")),
        block(EXTRACT_HEADING, 3, STR("Late")),
        block(EXTRACT_PARAGRAPH, 0, STR("Costs more.")),
    };
    struct made made;

    (void)state;
    make(&made, "Hire", blocks, COUNT(blocks), STR(""));
    assert_int_equal(made.count, 3);
    ASSERT_STR(made.chunks[0].heading_path, "");
    ASSERT_STR(made.chunks[0].text, "Before.");
    ASSERT_STR(made.chunks[1].heading_path, "Rates");
    ASSERT_STR(made.chunks[1].text,
               "Rates are low.\n\nDeposit\n\nFifty.\n\nGroups\n\nTen or more.");
    ASSERT_STR(made.chunks[2].heading_path, "Returns");
    ASSERT_STR(made.chunks[2].text, "Late\n\nCosts more.");
    arena_destroy(&made.arena);
}

static void
large_sections_stand_alone(void **state)
{
    struct made made = {.arena = arena_create(MB)};
    struct arena *words = made.arena;
    const struct extract_block blocks[] = {
        block(EXTRACT_HEADING, 2, STR("Rates")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 0, 3)),
        block(EXTRACT_HEADING, 3, STR("Deposit")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 10, 9)),
        block(EXTRACT_HEADING, 3, STR("Groups")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&made, 20, 2)),
    };

    (void)state;
    make(&made, "Hire", blocks, COUNT(blocks), STR("en"));
    assert_int_equal(made.count, 3);
    ASSERT_STR(made.chunks[0].heading_path, "Rates");
    ASSERT_STR(made.chunks[1].heading_path, "Rates > Deposit");
    ASSERT_STR(made.chunks[2].heading_path, "Rates > Groups");
    arena_destroy(&made.arena);
    arena_destroy(&words);
}

static void
long_text_overlaps(void **state)
{
    struct made made = {.arena = arena_create(MB)};
    struct arena *words = made.arena;
    struct extract_block blocks[13];

    (void)state;
    blocks[0] = block(EXTRACT_HEADING, 1, STR("Story"));
    for (unsigned i = 0; i < 12; i++)
        blocks[1 + i] = block(EXTRACT_PARAGRAPH, 0, sentences(&made, 5 * i, 5));
    make(&made, "Story", blocks, COUNT(blocks), STR("en"));
    assert_true(made.count >= 3);
    for (size_t i = 0; i < made.count; i++) {
        const struct chunk *chunk = &made.chunks[i];

        assert_true(str_starts_with(chunk->text, STR("Sentence ")));
        assert_true(str_ends_with(chunk->text, STR("easy.")));
        if (i > 0) {
            assert_true(chunk->start < made.chunks[i - 1].end);
            assert_true(made.chunks[i - 1].end - chunk->start < 200);
        }
    }
    assert_int_equal(made.chunks[made.count - 1].end, made.document.text.len);
    arena_destroy(&made.arena);
    arena_destroy(&words);
}

static void
lists_and_tables_keep_their_lead(void **state)
{
    struct made made = {.arena = arena_create(MB)};
    struct arena *words = made.arena;
    struct extract_block list[41], table[42];

    (void)state;
    list[0] = block(EXTRACT_PARAGRAPH, 0, STR("We repair many things. These need an appointment:"));
    for (unsigned i = 0; i < 40; i++)
        list[1 + i] = block(EXTRACT_LIST_ITEM, 1,
                            arena_printf(words, "- item %u is a thing that takes a while", i));
    make(&made, "Repairs", list, COUNT(list), STR("en"));
    assert_true(made.count >= 2);
    assert_true(str_starts_with(made.chunks[0].text, STR("We repair many things.")));
    for (size_t i = 1; i < made.count; i++)
        assert_true(
            str_starts_with(made.chunks[i].text, STR("These need an appointment:\n- item ")));
    arena_destroy(&made.arena);

    table[0] = block(EXTRACT_PARAGRAPH, 0, STR("Prices:"));
    table[1] = block(EXTRACT_TABLE_ROW, 1, STR("Work\tPrice"));
    for (unsigned i = 0; i < 40; i++)
        table[2 + i] = block(EXTRACT_TABLE_ROW, 0,
                             arena_printf(words, "Work number %u on the bike\t%u euro", i, 10 + i));
    make(&made, "Prices", table, COUNT(table), STR("en"));
    assert_true(made.count >= 2);
    for (size_t i = 1; i < made.count; i++)
        assert_true(str_starts_with(made.chunks[i].text, STR("Work | Price\nWork number ")));
    arena_destroy(&made.arena);
    arena_destroy(&words);
}

static void
endless_words_are_cut(void **state)
{
    struct arena *words = arena_create(4 * MB);
    struct buf spaced, solid;
    struct extract_block blocks[2];
    struct made made;

    (void)state;
    buf_init(&spaced, MB);
    buf_init(&solid, MB);
    for (unsigned i = 0; i < 2000; i++)
        buf_printf(&spaced, "w%u ", i);
    for (unsigned i = 0; i < 3000; i++)
        buf_append_c(&solid, "\xe5\xad\x97");
    blocks[0] = block(EXTRACT_PARAGRAPH, 0, buf_str(&spaced));
    blocks[1] = block(EXTRACT_PARAGRAPH, 0, buf_str(&solid));
    make(&made, "", blocks, COUNT(blocks), STR(""));
    assert_true(made.count >= 2000 / chunk_max_words(CHUNK_DEFAULT_WORDS) +
                                  2000 / chunk_max_words(CHUNK_DEFAULT_WORDS));
    buf_deinit(&spaced);
    buf_deinit(&solid);
    arena_destroy(&made.arena);
    arena_destroy(&words);
}

/* Smaller ones are more; that none is too long, make_of sees to. */
static void
passages_are_as_long_as_wanted(void **state)
{
    static const struct {
        struct chunk_settings settings;
        size_t fewest, most;
    } cases[] = {{{CHUNK_LEAST_WORDS, CHUNK_DEFAULT_OVERLAP}, 8, 16},
                 {{CHUNK_DEFAULT_WORDS, CHUNK_DEFAULT_OVERLAP}, 4, 7},
                 {{CHUNK_MOST_WORDS, CHUNK_DEFAULT_OVERLAP}, 2, 3}};
    struct made texts = {.arena = arena_create(MB)}, made;
    const struct extract_block blocks[] = {
        block(EXTRACT_HEADING, 1, STR("Hire")),
        block(EXTRACT_PARAGRAPH, 0, sentences(&texts, 0, 25)),
        block(EXTRACT_PARAGRAPH, 0, sentences(&texts, 25, 25)),
        block(EXTRACT_PARAGRAPH, 0, sentences(&texts, 50, 25)),
        block(EXTRACT_PARAGRAPH, 0, sentences(&texts, 75, 25)),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_of(&made, "Hire", blocks, COUNT(blocks), STR("en"), &cases[i].settings);
        assert_in_range(made.count, cases[i].fewest, cases[i].most);
        arena_destroy(&made.arena);
    }
    arena_destroy(&texts.arena);
}

/* Of one long paragraph, in sentences of ten or eleven words. */
static void
passages_overlap_as_wanted(void **state)
{
    static const struct {
        struct chunk_settings settings;
        size_t sentences;
    } cases[] = {
        {{CHUNK_DEFAULT_WORDS, 0}, 0},
        {{CHUNK_DEFAULT_WORDS, 8}, 0},
        {{CHUNK_DEFAULT_WORDS, 20}, 1},
        {{CHUNK_DEFAULT_WORDS, CHUNK_DEFAULT_OVERLAP}, 2},
        {{CHUNK_DEFAULT_WORDS, CHUNK_MOST_OVERLAP}, 5},
        {{CHUNK_LEAST_WORDS, CHUNK_MOST_OVERLAP}, 2}, /* half of 80 words */
    };
    struct made texts = {.arena = arena_create(MB)}, made;
    const struct extract_block blocks[] = {block(EXTRACT_PARAGRAPH, 0, sentences(&texts, 0, 100))};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_of(&made, "Hire", blocks, COUNT(blocks), STR("en"), &cases[i].settings);
        assert_true(made.count > 2);
        for (size_t c = 1; c < made.count; c++) {
            struct str text = made.document.text;
            struct text_span *spans;
            size_t start = made.chunks[c].start, end = made.chunks[c - 1].end, count = 0;

            if (start < end)
                count = text_sentences(str_sub(text, start, end - start), made.arena, &spans);
            if (count != cases[i].sentences)
                fail_msg("%zu of %zu: %zu sentences, want %zu", cases[i].settings.overlap,
                         cases[i].settings.words, count, cases[i].sentences);
        }
        arena_destroy(&made.arena);
    }
    arena_destroy(&texts.arena);
}

static void
nothing_is_lost(void **state)
{
    const struct extract_block lone_heading[] = {block(EXTRACT_HEADING, 1, STR("Closed"))};
    const struct extract_block bare[] = {
        block(EXTRACT_HEADING, 2, STR("We are closed on Mondays")),
        block(EXTRACT_HEADING, 2, STR("Open")),
        block(EXTRACT_PARAGRAPH, 0, STR("All other days.")),
    };
    struct made made;

    (void)state;
    make(&made, "Closed", lone_heading, 1, STR(""));
    assert_int_equal(made.count, 1);
    ASSERT_STR(made.chunks[0].text, "Closed");
    arena_destroy(&made.arena);
    make(&made, "Hours", bare, COUNT(bare), STR(""));
    assert_int_equal(made.count, 2);
    ASSERT_STR(made.chunks[0].text, "We are closed on Mondays");
    ASSERT_STR(made.chunks[1].heading_path, "Open");
    arena_destroy(&made.arena);
}

static void
words_are_counted(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } table[] = {
        {"", 0},
        {"one", 1},
        {"one two\nthree", 3},
        {"- item", 1},
        {"a | b", 2},
        {"stra\xc3\x9f"
         "e",
         1},
        {"\xc3\xa9t\xc3\xa9 ici", 2},
        {"\xe5\xad\x97\xe5\xad\x97\xe5\xad\x97", 2},
        {"e-mail", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        size_t got = chunk_word_count(str_from_c(table[i].text));

        if (got != table[i].want)
            fail_msg("\"%s\": %zu, want %zu", table[i].text, got, table[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_laid_out),
        cmocka_unit_test(passages_know_where_they_begin),
        cmocka_unit_test(text_may_begin_with_a_row),
        cmocka_unit_test(headings_part_passages),
        cmocka_unit_test(large_sections_stand_alone),
        cmocka_unit_test(long_text_overlaps),
        cmocka_unit_test(lists_and_tables_keep_their_lead),
        cmocka_unit_test(endless_words_are_cut),
        cmocka_unit_test(passages_are_as_long_as_wanted),
        cmocka_unit_test(passages_overlap_as_wanted),
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(words_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
