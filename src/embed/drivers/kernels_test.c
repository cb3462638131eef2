/*
 * kernels_test.c - every variant that this processor can run, against sums in double
 */
#include "base/testing.h"

#include <math.h>

#include "embed/drivers/kernels.h"

#define MAX_ROWS ((size_t)29)
#define MAX_DEPTH ((size_t)132)
#define COLUMNS ((size_t)96)

static const char *const names[] = {"avx512", "avx2", "generic"};

/* The same numbers in every run: from -1 to 1. */
static float
next_number(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (float)(*seed >> 8) / 8388608.0F - 1.0F;
}

static size_t
panel_at(size_t depth, size_t k, size_t column)
{
    return column / KERNEL_PANEL * KERNEL_PANEL * depth + k * KERNEL_PANEL + column % KERNEL_PANEL;
}

static void
check_product(const struct kernels *kernels, size_t rows, size_t depth, bool has_bias)
{
    size_t in_stride = depth + 3, out_stride = COLUMNS + 5;
    float *in = calloc(rows * in_stride, sizeof(float));
    float *panels = calloc(COLUMNS * depth, sizeof(float));
    float *out = calloc(rows * out_stride, sizeof(float));
    float bias[COLUMNS];
    uint32_t seed = (uint32_t)(rows * 1000 + depth);

    for (size_t i = 0; i < rows * in_stride; i++)
        in[i] = next_number(&seed);
    for (size_t i = 0; i < COLUMNS * depth; i++)
        panels[i] = next_number(&seed);
    for (size_t i = 0; i < COLUMNS; i++)
        bias[i] = next_number(&seed);
    kernels->product(&(struct kernel_product){in, in_stride, rows, depth, panels,
                                              has_bias ? bias : NULL, COLUMNS, out, out_stride});
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            double want = has_bias ? (double)bias[c] : 0;

            for (size_t k = 0; k < depth; k++)
                want += (double)in[r * in_stride + k] * (double)panels[panel_at(depth, k, c)];
            if (fabs((double)out[r * out_stride + c] - want) > 1e-4)
                fail_msg("%s: %zu rows, depth %zu: (%zu, %zu) is %f, not %f", kernels->name, rows,
                         depth, r, c, (double)out[r * out_stride + c], want);
        }
        for (size_t c = COLUMNS; c < out_stride; c++)
            assert_true(out[r * out_stride + c] == 0);
    }
    free(in);
    free(panels);
    free(out);
}

/* Extremes of bytes and weights as well: nothing may saturate. The sums are exact. */
static void
check_bytes(const struct kernels *kernels, size_t rows, size_t depth, bool extreme)
{
    uint8_t *in = calloc(rows * depth, 1);
    int8_t *panels = calloc(COLUMNS * depth, 1);
    float *out = calloc(rows * COLUMNS, sizeof(float));
    float scale[MAX_ROWS], exact[MAX_ROWS * KERNEL_EXACT], exact_weights[KERNEL_EXACT * COLUMNS];
    float column_scale[COLUMNS], bias[COLUMNS];
    int32_t zero[MAX_ROWS], column_sum[COLUMNS] = {0};
    uint32_t seed = (uint32_t)(rows + depth);

    for (size_t i = 0; i < rows * depth; i++)
        in[i] = extreme ? (i / 4 % 2 == 0 ? KERNEL_MAX_BYTE : KERNEL_MIN_BYTE)
                        : (uint8_t)(128 + (int)(next_number(&seed) * 127));
    for (size_t c = 0; c < COLUMNS; c++) {
        for (size_t k = 0; k < depth; k++) {
            size_t at =
                panel_at(depth, k - k % 4, c - c % KERNEL_PANEL) + c % KERNEL_PANEL * 4 + k % 4;

            panels[at] = (int8_t)(extreme ? (c % 2 == 0 ? KERNEL_MAX_WEIGHT : -KERNEL_MAX_WEIGHT)
                                          : (int)(next_number(&seed) * 127));
            column_sum[c] += panels[at];
        }
        column_scale[c] = 1;
        bias[c] = (float)c;
    }
    for (size_t r = 0; r < rows; r++) {
        scale[r] = 1;
        zero[r] = (int32_t)r * 7;
        for (size_t i = 0; i < KERNEL_EXACT; i++)
            exact[r * KERNEL_EXACT + i] = (float)(r + i);
    }
    for (size_t i = 0; i < KERNEL_EXACT * COLUMNS; i++)
        exact_weights[i] = (float)(i % 5);
    kernels->bytes_product(&(struct kernel_bytes_product){in, scale, zero, rows, depth, panels,
                                                          exact, exact_weights, column_scale,
                                                          column_sum, bias, COLUMNS, out});
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            int64_t want = (int64_t)c;

            for (size_t k = 0; k < depth; k++)
                want += (in[r * depth + k] - zero[r]) *
                        panels[panel_at(depth, k - k % 4, c - c % KERNEL_PANEL) +
                               c % KERNEL_PANEL * 4 + k % 4];
            for (size_t i = 0; i < KERNEL_EXACT; i++)
                want += (int64_t)((r + i) * ((i * COLUMNS + c) % 5));
            if ((int64_t)out[r * COLUMNS + c] != want)
                fail_msg("%s: %zu rows, depth %zu: (%zu, %zu) is %f, not %lld", kernels->name, rows,
                         depth, r, c, (double)out[r * COLUMNS + c], (long long)want);
        }
    }
    free(in);
    free(panels);
    free(out);
}

static void
check_quantize(const struct kernels *kernels)
{
    enum { ROWS = 4, WIDTH = 96 };
    float in[ROWS * WIDTH], factor[WIDTH], scale[ROWS];
    uint8_t bytes[ROWS * WIDTH];
    int32_t zero[ROWS];
    uint32_t seed = 9;

    for (size_t i = 0; i < ROWS * WIDTH; i++)
        in[i] = next_number(&seed) * (i < WIDTH ? 1.0F : 30.0F);
    for (size_t i = 0; i < WIDTH; i++) {
        factor[i] = 0.5F + (float)(i % 3);
        in[2 * WIDTH + i] = fabsf(in[2 * WIDTH + i]); /* nothing below 0 */
        in[3 * WIDTH + i] = 0;
    }
    kernels->quantize(in, ROWS, WIDTH, factor, bytes, scale, zero);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < WIDTH; i++) {
            double want = (double)in[r * WIDTH + i] * (double)factor[i];
            double got = (double)scale[r] * (bytes[r * WIDTH + i] - zero[r]);

            assert_true(bytes[r * WIDTH + i] >= KERNEL_MIN_BYTE);
            assert_true(fabs(got - want) <= (double)scale[r] * 1.01);
        }
    }
}

static void
check_rows(const struct kernels *kernels)
{
    enum { WIDTH = 96, USED = 70 };
    float values[2 * WIDTH], gain[WIDTH], bias[WIDTH], residual[WIDTH], out[WIDTH];
    uint32_t seed = 4;
    double sum = 0, mean = 0, variance = 0;

    for (size_t i = 0; i < 2 * WIDTH; i++)
        values[i] = next_number(&seed) * 9;
    kernels->gelu(values, WIDTH);
    seed = 4;
    for (size_t i = 0; i < WIDTH; i++) {
        double x = (double)(next_number(&seed) * 9);

        assert_true(fabs((double)values[i] - x / 2 * (1 + erf(x / sqrt(2)))) < 2e-6);
    }

    for (size_t i = 0; i < WIDTH; i++)
        values[i] = values[WIDTH + i] = (float)i * 0.25F - 90;
    kernels->softmax(values, 2, WIDTH, USED);
    for (size_t i = 0; i < USED; i++)
        sum += exp((double)i * 0.25);
    for (size_t i = 0; i < 2 * WIDTH; i++) {
        double want = i % WIDTH < USED ? exp((double)(i % WIDTH) * 0.25) / sum : 0;

        assert_true(fabs((double)values[i] - want) < 1e-6);
    }

    for (size_t i = 0; i < WIDTH; i++) {
        values[i] = next_number(&seed);
        residual[i] = next_number(&seed) + 3;
        gain[i] = (float)(i % 4);
        bias[i] = (float)i;
        mean += ((double)values[i] + (double)residual[i]) / WIDTH;
    }
    for (size_t i = 0; i < WIDTH; i++)
        variance += pow((double)values[i] + (double)residual[i] - mean, 2) / WIDTH;
    kernels->add_norm(values, residual, 1, WIDTH, gain, bias, out);
    for (size_t i = 0; i < WIDTH; i++) {
        double want =
            ((double)values[i] + (double)residual[i] - mean) / sqrt(variance) * (double)gain[i] +
            (double)bias[i];

        assert_true(fabs((double)out[i] - want) < 1e-4);
    }
}

static void
test_variants(void **state)
{
    static const size_t depths[] = {4, 32, 100, MAX_DEPTH};
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct kernels *kernels = kernels_find(str_from_c(names[i]));

        if (kernels == NULL)
            continue;
        if (found++ == 0)
            assert_ptr_equal(kernels, kernels_best());
        for (size_t rows = 1; rows <= MAX_ROWS; rows++) {
            for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
                check_product(kernels, rows, depths[d], rows % 2 == 0);
                check_bytes(kernels, rows, depths[d], false);
                check_bytes(kernels, rows, depths[d], true);
            }
            check_product(kernels, rows, 1 + rows % 3, false);
        }
        check_quantize(kernels);
        check_rows(kernels);
    }
    assert_true(found >= 1);
    assert_null(kernels_find(STR("nothing")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variants)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
