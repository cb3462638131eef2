/*
 * arena_test.c - alignment, zeroing, maximum, reuse
 */
#include "base/arena.h"
#include "base/testing.h"

#define MANY 2000

static void
allocations_are_aligned_zeroed_and_apart(void **state)
{
    struct arena *arena = arena_create(64 << 20);
    unsigned char *taken[MANY];
    size_t sizes[MANY];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            /* Some larger than a block, some empty. */
            sizes[i] = i % 97 == 0 ? i * 50 : i % 61;
            taken[i] = arena_alloc(arena, sizes[i]);
            assert_int_equal((uintptr_t)taken[i] % 16, 0);
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(taken[i][at], 0);
            memset(taken[i], (int)(i & 0xff), sizes[i]);
        }
        for (size_t i = 0; i < MANY; i++) {
            for (size_t at = 0; at < sizes[i]; at++)
                assert_int_equal(taken[i][at], i & 0xff);
        }
        arena_reset(arena);
        assert_int_equal(arena_used_bytes(arena), 0);
    }
    arena_destroy(&arena);
    assert_null(arena);
    arena_destroy(&arena);
}

static void
try_alloc_stops_at_the_maximum(void **state)
{
    static const struct {
        const char *name;
        size_t max;
        size_t first;
        size_t second;
        bool second_fits;
    } rows[] = {
        {"exactly", 64, 32, 32, true},
        {"one byte over", 64, 32, 33, false},
        {"rounding counts", 64, 33, 17, false},
        {"more than there is", 64, 16, SIZE_MAX, false},
        {"near overflow", SIZE_MAX, 16, SIZE_MAX - 8, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_create(rows[i].max);
        void *second;

        assert_non_null(arena_try_alloc(arena, rows[i].first));
        second = arena_try_alloc(arena, rows[i].second);
        if ((second != NULL) != rows[i].second_fits)
            fail_msg("%s", rows[i].name);
        assert_true(arena_used_bytes(arena) <= rows[i].max);
        /* A refusal changes nothing: after a reset the whole is there again. */
        arena_reset(arena);
        assert_non_null(arena_try_alloc(arena, rows[i].max < 4096 ? rows[i].max : 4096));
        arena_destroy(&arena);
    }
}

static void
alloc_beyond(void *arg)
{
    (void)arena_alloc(arg, 1000);
}

static void
product_overflows(void *arg)
{
    (void)arena_alloc_n(arg, SIZE_MAX / 2, 3);
}

static void
embedded_nul(void *arg)
{
    (void)arena_cstr(arg, STR("a\0b"));
}

static void
wrong_uses_abort(void **state)
{
    struct arena *arena = arena_create(100);

    (void)state;
    ASSERT_ABORTS(alloc_beyond, arena);
    ASSERT_ABORTS(product_overflows, arena);
    ASSERT_ABORTS(embedded_nul, arena);
    arena_destroy(&arena);
}

static void
copies_end_in_a_nul(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct err err;
    struct str copy;

    (void)state;
    copy = arena_str(arena, STR("caf\xc3\xa9"));
    ASSERT_STR(copy, "caf\xc3\xa9");
    assert_int_equal(copy.ptr[copy.len], '\0');
    copy = arena_str(arena, STR_EMPTY);
    assert_int_equal(copy.len, 0);
    assert_int_equal(copy.ptr[0], '\0');
    assert_string_equal(arena_cstr(arena, STR("path")), "path");
    copy = arena_str(arena, STR("a\0b"));
    assert_true(str_eq(copy, STR("a\0b")));
    ASSERT_OK(arena_try_str(arena, STR("short"), &copy, &err), &err);
    ASSERT_STR(copy, "short");
    assert_int_equal(arena_try_str(arena, str_of("x", (size_t)2 << 20), &copy, &err), ST_TOO_LARGE);
    arena_destroy(&arena);
}

static void
printf_takes_any_length(void **state)
{
    struct arena *arena = arena_create(1 << 20);

    (void)state;
    for (int len = 0; len < 1200; len += 7) {
        struct str text = arena_printf(arena, "%*s|%d", len, "", len);

        assert_int_equal(text.len, (size_t)len + 1 +
                                       (len > 999  ? 4
                                        : len > 99 ? 3
                                        : len > 9  ? 2
                                                   : 1));
        assert_int_equal(text.ptr[len], '|');
        assert_int_equal(text.ptr[text.len], '\0');
    }
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_zeroed_and_apart),
        cmocka_unit_test(try_alloc_stops_at_the_maximum),
        cmocka_unit_test(wrong_uses_abort),
        cmocka_unit_test(copies_end_in_a_nul),
        cmocka_unit_test(printf_takes_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
