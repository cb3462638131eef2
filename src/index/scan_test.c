/*
 * scan_test.c - bytes of vectors against floats, every kernel against plain arithmetic
 */
#include "base/testing.h"

#include <math.h>

#include "index/scan.h"

#define ROUNDS 60
#define ROWS 37
#define NEARLY_ROUNDS 4000

static uint64_t seed = 11;

static uint32_t
next(void)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* Of length 1. spike: one number has nearly all of it. */
static void
random_vector(float *vector, unsigned dimension, bool spike)
{
    double sum = 0;

    for (unsigned i = 0; i < dimension; i++) {
        vector[i] = (float)(next() % 20001) / 10000.0F - 1;
        if (spike && i == dimension / 2)
            vector[i] = 1000;
        sum += (double)vector[i] * (double)vector[i];
    }
    for (unsigned i = 0; i < dimension; i++)
        vector[i] /= (float)sqrt(sum);
}

static double
dot(const float *a, const float *b, unsigned dimension)
{
    double sum = 0;

    for (unsigned i = 0; i < dimension; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* What is stored is as good as floats; what is scanned is near. */
static void
test_codes_are_near(void **state)
{
    static const unsigned dimensions[] = {1, 3, 64, 65, 384, 1536};
    struct arena *arena = arena_create((size_t)16 << 20);
    double worst_code = 0, worst_bytes = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned dimension = dimensions[round % 6];
        size_t row_bytes = scan_row_bytes(dimension);
        float *a = ARENA_NEW_N(arena, float, dimension), *b = ARENA_NEW_N(arena, float, dimension);
        int8_t *question = ARENA_NEW_N(arena, int8_t, row_bytes);
        uint8_t *row = ARENA_NEW_N(arena, uint8_t, row_bytes);
        struct str code;
        float question_step, row_step;
        int32_t sum;
        double exact, found;

        random_vector(a, dimension, round % 7 == 0);
        random_vector(b, dimension, false);
        code = scan_code(a, dimension, arena);
        exact = dot(a, b, dimension);
        assert_true(scan_code_dot(code, b, dimension, &found));
        worst_code = fmax(worst_code, fabs(found - exact));
        assert_true(scan_row(code, dimension, row, &row_step));
        scan_question(b, dimension, question, &question_step);
        scan_kernel_find(STR("generic"))->sums(question, row, row_bytes, 1, &sum);
        worst_bytes =
            fmax(worst_bytes, fabs((double)((float)sum * row_step * question_step) - exact));
        assert_false(scan_code_dot(code, b, dimension + 1, &found));
        assert_false(scan_row(str_sub(code, 0, code.len - 1), dimension, row, &row_step));
    }
    if (worst_code > 3e-5 || worst_bytes > 0.02)
        fail_msg("off by %g as stored, %g as scanned", worst_code, worst_bytes);
    arena_destroy(&arena);
}

/* What bits say is lower than the truth by more than the slack only once in thousands, also where
 * one number has nearly all of the vector. */
static void
test_bits_are_nearly_right(void **state)
{
    static const unsigned dimensions[] = {24, 64, 384, 1536};
    struct arena *arena = arena_create((size_t)1 << 20);
    unsigned too_low = 0, is_loose = 0;

    (void)state;
    for (unsigned round = 0; round < NEARLY_ROUNDS; round++) {
        unsigned dimension = dimensions[round % 4];
        float a[1536], b[1536], step, question_step, by_bits;
        int8_t question[1536];
        uint8_t row[1536], bits[1536 / 8];
        int32_t ones, total = 0;
        struct scan_nearly nearly;
        double exact;

        arena_reset(arena);
        random_vector(a, dimension, round % 7 == 0);
        random_vector(b, dimension, false);
        for (unsigned i = 0; i < dimension; i++) /* some are near */
            b[i] += (float)(round % 3) * a[i];
        exact = sqrt(dot(b, b, dimension));
        for (unsigned i = 0; i < dimension; i++)
            b[i] /= (float)exact;
        assert_true(scan_row(scan_code(a, dimension, arena), dimension, row, &step));
        scan_signs(row, step, dimension, bits, &nearly);
        scan_question(b, dimension, question, &question_step);
        for (size_t i = 0; i < scan_row_bytes(dimension); i++)
            total += question[i];
        scan_kernel_best()->signs(question, bits, scan_row_bytes(dimension), 1, &ones);
        by_bits = (float)(2 * ones - total) * question_step * nearly.stretch;
        exact = dot(a, b, dimension);
        too_low += (double)(by_bits + nearly.slack) < exact;
        is_loose += round % 7 != 0 && dimension == 384 && nearly.slack > 0.2F;
    }
    assert_true(too_low <= NEARLY_ROUNDS * 3 / 1000);
    assert_int_equal(is_loose, 0);
    arena_destroy(&arena);
}

static void
test_zero_vector(void **state)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    float zero[64] = {0}, one[64] = {1}, step;
    struct str code = scan_code(zero, 64, arena);
    struct scan_nearly nearly;
    uint8_t row[64], bits[8];
    double found = 1;

    (void)state;
    assert_true(scan_code_dot(code, one, 64, &found));
    assert_true(found == 0);
    assert_true(scan_row(code, 64, row, &step));
    scan_signs(row, step, 64, bits, &nearly);
    assert_true(nearly.stretch == 0 && nearly.slack == 0);
    arena_destroy(&arena);
}

/* Every byte value, in rows of every length, also the greatest sums. */
static void
test_kernels_are_exact(void **state)
{
    static const char *const names[] = {"generic", "avx2", "avx512"};
    static uint8_t rows[ROWS * 1536] __attribute__((aligned(64)));
    static int8_t question[1536];
    unsigned ran = 0;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        const struct scan_kernel *kernel = scan_kernel_find(str_from_c(names[k]));

        if (kernel == NULL)
            continue;
        ran++;
        for (unsigned round = 0; round < ROUNDS; round++) {
            size_t row_bytes = 64 * (size_t)(1 + round % 24), count = 1 + next() % ROWS;
            int32_t sums[ROWS], signs[ROWS];

            for (size_t i = 0; i < count * row_bytes; i++)
                rows[i] = round == 0 ? 255 : round == 1 ? 1 : (uint8_t)(1 + next() % 255);
            for (size_t i = 0; i < row_bytes; i++)
                question[i] = (int8_t)(round < 2 ? 127 - 254 * (int)(i % 2 * round)
                                                 : (int)(next() % 255) - 127);
            kernel->signs(question, rows, row_bytes, count, signs);
            kernel->sums(question, rows, row_bytes, count, sums);
            for (size_t r = 0; r < count; r++) {
                int32_t want = 0, chosen = 0;

                for (size_t i = 0; i < row_bytes; i++)
                    want += ((int32_t)rows[r * row_bytes + i] - 128) * question[i];
                for (size_t i = 0; i < row_bytes; i++)
                    if (rows[(r * row_bytes + i) / 8] >> i % 8 & 1)
                        chosen += question[i];
                if (sums[r] != want || signs[r] != chosen)
                    fail_msg("%s, %zu bytes, row %zu: %d and %d, not %d and %d", names[k],
                             row_bytes, r, sums[r], signs[r], want, chosen);
            }
        }
    }
    assert_true(ran >= 1);
    assert_non_null(scan_kernel_best());
    assert_null(scan_kernel_find(STR("abacus")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_are_near),
        cmocka_unit_test(test_bits_are_nearly_right),
        cmocka_unit_test(test_zero_vector),
        cmocka_unit_test(test_kernels_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
