/*
 * known_test.c - a text is read the same the first time, the second and the third, by many threads;
 * what is kept is bounded
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testing.h"
#include "text/text_private.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

static void
assert_same_terms(const struct text_term *a, size_t a_count, const struct text_term *b,
                  size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_true(str_eq(a[i].term, b[i].term));
        assert_int_equal(a[i].span.start, b[i].span.start);
        assert_int_equal(a[i].span.end, b[i].span.end);
        assert_int_equal(a[i].is_stop_word, b[i].is_stop_word);
    }
}

/* Reads the text three times; the third reading is one that was kept. */
static void
read_again(struct str text, struct str language, struct arena *arena)
{
    struct text_term *first, *terms;
    struct text_span *first_spans, *spans;
    size_t first_count = text_terms(text, language, arena, &first), count;
    size_t first_span_count = text_sentences(text, arena, &first_spans);
    struct str guess = text_language(text);

    for (unsigned again = 0; again < 2; again++) {
        count = text_terms(text, language, arena, &terms);
        assert_same_terms(terms, count, first, first_count);
        count = text_sentences(text, arena, &spans);
        assert_int_equal(count, first_span_count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(spans[i].start, first_spans[i].start);
            assert_int_equal(spans[i].end, first_spans[i].end);
        }
        assert_true(str_eq(text_language(text), guess));
    }
}

static void
texts_are_read_the_same_again(void **state)
{
    static const char *const texts[] = {
        "",
        "short",
        "The repairs of the bicycles are done on Tuesdays. They cost 12 € at most, e.g. a tube.",
        "Die Häuser der Straße wurden 1998 gebaut. Am 5. Mai war Dr. Müller in der Nr. 7 zu Hause.",
        "L'eau de la rivière était froide, mais les enfants nageaient. C'est l'été qui revient.",
        "東京都の図書館は、月曜日に閉まっています。本を返すときは、箱に入れてください。",
        "- one item of a list, which is long enough\n- another item of it\n\n| a | row |\n\nThe "
        "end.",
        "................................................................",
        "                                                                ",
    };
    static const char *const languages[] = {"", "en", "de", "fr", "ja", "xx"};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct buf longest;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t l = 0; l < sizeof(languages) / sizeof(languages[0]); l++)
            read_again(str_from_c(texts[i]), str_from_c(languages[l]), arena);
    buf_init(&longest, 64 * 1024);
    while (buf_str(&longest).len < (size_t)20 * 1024) {
        buf_append_c(&longest, "More of it is said here, and more. ");
        if (buf_str(&longest).len % 4096 < 35)
            read_again(buf_str(&longest), STR("en"), arena);
        arena_reset(arena);
    }
    buf_deinit(&longest);
    arena_destroy(&arena);
}

/* One text, one language, one kind of reading: none is taken for another. */
static void
each_language_has_its_own(void **state)
{
    struct str text = STR("running runners and running water, sentences die die");
    struct arena *arena = arena_create(ARENA_BYTES);
    struct text_term *terms;

    (void)state;
    for (unsigned again = 0; again < 3; again++) {
        assert_int_equal(text_terms(text, STR("en"), arena, &terms), 8);
        assert_true(str_eq_c(terms[0].term, "run"));
        assert_false(terms[6].is_stop_word);
        assert_int_equal(text_terms(text, STR("de"), arena, &terms), 8);
        assert_true(str_eq_c(terms[0].term, "running"));
        assert_true(terms[6].is_stop_word);
    }
    arena_destroy(&arena);
}

/* What a caller does with its reading is nothing to the next one. */
static void
readings_are_the_callers(void **state)
{
    struct str text = STR("Each of the readings of this text belongs to whoever asked for it.");
    struct arena *arena = arena_create(ARENA_BYTES);
    struct text_term *terms;
    struct text_span *spans;

    (void)state;
    for (unsigned again = 0; again < 4; again++) {
        size_t count = text_terms(text, STR("en"), arena, &terms);

        assert_int_equal(count, 13);
        assert_true(str_eq_c(terms[3].term, "read"));
        assert_int_equal(text_sentences(text, arena, &spans), 1);
        assert_int_equal(spans[0].end, text.len);
        memset(terms, 0xff, count * sizeof(*terms));
        memset(spans, 0xff, sizeof(*spans));
        arena_reset(arena);
    }
    arena_destroy(&arena);
}

static void *
read_many(void *arg)
{
    struct arena *arena = arena_create(ARENA_BYTES);

    (void)arg;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 500; i++) {
            struct text_term *terms;
            char number[16];
            struct str text = arena_printf(arena, "The passage with the number %u of many.", i);
            size_t count = text_terms(text, STR("en"), arena, &terms);

            (void)snprintf(number, sizeof(number), "%u", i);
            assert_int_equal(count, 8);
            assert_true(str_eq_c(terms[5].term, number));
            arena_reset(arena);
        }
    arena_destroy(&arena);
    return NULL;
}

static void
texts_are_read_by_many_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void
what_is_kept_is_bounded(void **state)
{
    enum { TEXTS = 300, READING = 200 * 1024 };
    struct arena *arena = arena_create((size_t)4 * READING);
    char *reading = malloc((size_t)300 * 1024), text[64];
    unsigned kept = 0;

    (void)state;
    assert_non_null(reading);
    for (unsigned i = 0; i < TEXTS; i++) {
        int len = snprintf(text, sizeof(text), "a text that is kept under the number %u", i);

        memset(reading, (int)(i % 256), READING);
        text_known_put(TEXT_READ_SENTENCES, str_of(text, (size_t)len), reading, READING);
    }
    for (unsigned i = 0; i < TEXTS; i++) {
        int len = snprintf(text, sizeof(text), "a text that is kept under the number %u", i);
        void *known;
        size_t known_len;

        if (!text_known_get(TEXT_READ_SENTENCES, str_of(text, (size_t)len), arena, &known,
                            &known_len))
            continue;
        kept++;
        memset(reading, (int)(i % 256), READING);
        assert_int_equal(known_len, READING);
        assert_memory_equal(known, reading, READING);
        arena_reset(arena);
    }
    assert_in_range(kept, 1, 16 * 1024 / 200);
    text_known_put(TEXT_READ_SENTENCES, STR("a text whose reading is longer than any that is kept"),
                   reading, (size_t)300 * 1024);
    free(reading);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_the_same_again),
        cmocka_unit_test(each_language_has_its_own),
        cmocka_unit_test(readings_are_the_callers),
        cmocka_unit_test(texts_are_read_by_many_threads),
        cmocka_unit_test(what_is_kept_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
