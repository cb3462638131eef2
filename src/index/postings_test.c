/*
 * postings_test.c - the index's bytes: changes, ends, damage
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "index/postings.h"

static size_t
read_all(struct str bytes, struct posting *out, size_t max, bool *damaged)
{
    struct postings_reader reader;
    size_t count = 0;

    postings_reader_init(&reader, bytes);
    while (count < max && postings_next(&reader, &out[count]))
        count++;
    *damaged = reader.damaged;
    return count;
}

static void
test_random_changes_against_a_plain_array(void **state)
{
    uint32_t frequency[POSTINGS_BLOCK_CHUNKS] = {0};
    struct arena *arena = arena_create((size_t)256 << 20);
    struct str bytes = STR("");
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 300; round++) {
        bool removing = round % 3 == 2;
        struct posting change[40], all[POSTINGS_BLOCK_CHUNKS];
        size_t count = 0, want = 0, got;
        struct err err = {0};
        bool damaged;

        for (uint32_t offset = 0; offset < POSTINGS_BLOCK_CHUNKS && count < 40; offset++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if ((seed >> 40) % 97 != 0 || (frequency[offset] > 0) != removing)
                continue;
            frequency[offset] = removing ? 0 : (uint32_t)(seed >> 33) % 100000 + 1;
            change[count++] = (struct posting){offset, frequency[offset], offset * 3};
        }
        assert_int_equal(postings_change(bytes, change, count, removing, arena, &bytes, &got, &err),
                         ST_OK);
        for (size_t i = 0; i < POSTINGS_BLOCK_CHUNKS; i++)
            want += frequency[i] > 0;
        assert_int_equal(got, want);
        assert_int_equal(read_all(bytes, all, POSTINGS_BLOCK_CHUNKS, &damaged), want);
        assert_false(damaged);
        for (size_t i = 0; i < want; i++) {
            assert_int_equal(all[i].frequency, frequency[all[i].offset]);
            assert_int_equal(all[i].length, all[i].offset * 3);
            assert_true(i == 0 || all[i].offset > all[i - 1].offset);
        }
    }
    arena_destroy(&arena);
}

static void
test_refusals(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    const struct posting one = {5, 1, 9}, last = {POSTINGS_BLOCK_CHUNKS - 1, 1, 1};
    struct str bytes = STR(""), after;
    size_t count;
    struct err err = {0};

    (void)state;
    assert_int_equal(postings_change(bytes, &one, 1, false, arena, &bytes, &count, &err), ST_OK);
    assert_int_equal(postings_change(bytes, &one, 1, false, arena, &after, &count, &err),
                     ST_CONFLICT);
    assert_int_equal(postings_change(bytes, &last, 1, true, arena, &after, &count, &err),
                     ST_INTERNAL);
    assert_int_equal(postings_change(bytes, &last, 1, false, arena, &after, &count, &err), ST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(postings_change(bytes, &one, 1, true, arena, &after, &count, &err), ST_OK);
    assert_int_equal(count, 0);
    assert_int_equal(after.len, 0);
    arena_destroy(&arena);
}

static const struct {
    const char *name;
    struct str bytes;
} damaged_cases[] = {
    {"cut after the id", STR_INIT("\x01")},
    {"cut in a number", STR_INIT("\x01\x02\x83")},
    {"a number without end", STR_INIT("\x80\x80\x80\x80\x80\x80\x01\x01\x01")},
    {"outside the block", STR_INIT("\x80\x20\x01\x01")},
    {"two that add up to outside", STR_INIT("\xff\x1f\x01\x01\x00\x01\x01")},
    {"near the end of 32 bits", STR_INIT("\xff\xff\xff\xff\x0f\x01\x01")},
};

static void
test_damage_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(damaged_cases) / sizeof(damaged_cases[0]); i++) {
        struct posting all[8];
        bool damaged;

        (void)read_all(damaged_cases[i].bytes, all, 8, &damaged);
        if (!damaged)
            fail_msg("%s: taken for good", damaged_cases[i].name);
    }
}

static void
test_chunk_terms(void **state)
{
    const uint32_t places[] = {0, 1, 300, 70000};
    struct buf buf;
    struct str rest;
    struct chunk_term term;
    uint32_t read[8];

    (void)state;
    buf_init(&buf, 4096);
    chunk_terms_append(&buf, &(struct chunk_term){STR("alpha"), 7, 4, STR_EMPTY}, places);
    chunk_terms_append(&buf, &(struct chunk_term){STR("größe"), 1, 1, STR_EMPTY}, places + 3);
    rest = buf_str(&buf);
    assert_true(chunk_terms_next(&rest, &term));
    assert_true(str_eq(term.term, STR("alpha")));
    assert_int_equal(term.frequency, 7);
    assert_int_equal(chunk_term_places(&term, read, 8), 4);
    assert_memory_equal(read, places, sizeof(places));
    assert_int_equal(chunk_term_places(&term, read, 2), 2);
    assert_true(chunk_terms_next(&rest, &term));
    assert_true(str_eq(term.term, STR("größe")));
    assert_false(chunk_terms_next(&rest, &term));
    assert_int_equal(rest.len, 0);

    /* Cut anywhere: never read beyond, and what is left says that it is not the end. */
    for (size_t len = 1; len < buf.len; len++) {
        char *copy = test_malloc(len);
        size_t terms = 0;

        memcpy(copy, buf.ptr, len);
        rest = str_of(copy, len);
        while (chunk_terms_next(&rest, &term))
            terms++;
        assert_true(terms <= 1);
        test_free(copy);
    }
    buf_deinit(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes_against_a_plain_array),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage_is_told),
        cmocka_unit_test(test_chunk_terms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
