/*
 * kernels_body.h - the kernels, written once over vectors of KERNEL_LANES floats
 *
 * kernels_generic.c, kernels_avx2.c and kernels_avx512.c define the width, the tile and the byte
 * product's step, then include this file; the compiler's flags differ. A tile is as many rows and
 * columns of a product as the registers hold. Vectors are those of GCC and clang, so that the same
 * text serves every width; see docs/decisions/0009-sentence-vectors.md for what it is worth.
 */
#ifndef PARLEY_EMBED_DRIVERS_KERNELS_BODY_H
#define PARLEY_EMBED_DRIVERS_KERNELS_BODY_H

#include <math.h>
#include <string.h>

#include "embed/drivers/kernels.h"

#ifndef KERNEL_LANES /* so that this header compiles alone */
#define KERNEL_LANES 4
#define KERNEL_ROWS 4
#define KERNEL_VECTORS 2
#define KERNEL_TILES(each) each(1) each(2) each(3) each(4)
#endif

#define KERNEL_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define KERNEL_UNROLL _Pragma("unroll")
#else
#define KERNEL_UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vf __attribute__((vector_size(KERNEL_LANES * 4)));
typedef int32_t vi __attribute__((vector_size(KERNEL_LANES * 4)));
typedef uint8_t vb __attribute__((vector_size(KERNEL_LANES)));
/* The same in memory, where nothing is aligned. */
typedef float vf_memory __attribute__((vector_size(KERNEL_LANES * 4), aligned(4), may_alias));
typedef int32_t vi_memory __attribute__((vector_size(KERNEL_LANES * 4), aligned(1), may_alias));
typedef uint8_t vb_memory __attribute__((vector_size(KERNEL_LANES), aligned(1), may_alias));

KERNEL_INLINE vf
load(const float *from)
{
    return *(const vf_memory *)from;
}

KERNEL_INLINE void
store(float *to, vf value)
{
    *(vf_memory *)to = value;
}

KERNEL_INLINE vf
splat(float value)
{
    return value - (vf){0};
}

KERNEL_INLINE vf
choose(vi mask, vf yes, vf no)
{
    return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

KERNEL_INLINE vf
larger(vf a, vf b)
{
    return choose(a > b, a, b);
}

KERNEL_INLINE vf
smaller(vf a, vf b)
{
    return choose(a < b, a, b);
}

KERNEL_INLINE vi
within(vi value, int32_t least, int32_t most)
{
    vi low = least - (vi){0}, high = most - (vi){0};

    value = ((value < low) & low) | (~(value < low) & value);
    return ((value > high) & high) | (~(value > high) & value);
}

KERNEL_INLINE float
sum_of(vf value)
{
    float sum = 0;

    for (unsigned i = 0; i < KERNEL_LANES; i++)
        sum += value[i];
    return sum;
}

/* 1.5 * 2^23: adding it leaves the nearest integer in the low bits. */
#define ROUNDER 12582912.0F

KERNEL_INLINE vi
nearest(vf value)
{
    return (vi)(value + ROUNDER) - (vi)splat(ROUNDER);
}

/* exp(x) for x in -87..88, by 2^n * exp(r) with |r| <= ln(2)/2 and seven terms of its series:
 * within 2e-7 of the value. */
KERNEL_INLINE vf
exp_of(vf x)
{
    vf n, r, p;

    x = smaller(larger(x, splat(-87.0F)), splat(88.0F));
    n = (x * 1.44269504F + ROUNDER) - ROUNDER;
    r = x - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    p = r * (1.0F / 720.0F) + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return (vf)((vi)p + (nearest(n) << 23));
}

/* erf(x) within 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
KERNEL_INLINE vf
gelu_of(vf x)
{
    vf z = (vf)((vi)x & 0x7fffffff) * 0.707106781F;
    vf t = 1.0F / (z * 0.3275911F + 1.0F);
    vf p = t * 1.061405429F - 1.453152027F;
    vf tail, half = x * 0.5F;

    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    tail = p * t * exp_of(-z * z);
    /* x/2 (1 + sign(x) (1 - tail)): above 0 that is x - tail x/2, below 0 it is tail x/2. */
    return choose(x > 0, x - half * tail, half * tail);
}

/* --- products --- */

KERNEL_INLINE void
tile(const struct kernel_product *p, const float *in, const float *panel, const float *bias,
     float *out, const unsigned rows)
{
    vf sum[KERNEL_ROWS][KERNEL_VECTORS];

    KERNEL_UNROLL
    for (unsigned r = 0; r < rows; r++) {
        KERNEL_UNROLL
        for (unsigned c = 0; c < KERNEL_VECTORS; c++)
            sum[r][c] = bias == NULL ? splat(0) : load(bias + c * KERNEL_LANES);
    }
    for (size_t k = 0; k < p->depth; k++, panel += KERNEL_PANEL) {
        vf weights[KERNEL_VECTORS];

        KERNEL_UNROLL
        for (unsigned c = 0; c < KERNEL_VECTORS; c++)
            weights[c] = load(panel + c * KERNEL_LANES);
        KERNEL_UNROLL
        for (unsigned r = 0; r < rows; r++) {
            vf value = splat(in[r * p->in_stride + k]);

            KERNEL_UNROLL
            for (unsigned c = 0; c < KERNEL_VECTORS; c++)
                sum[r][c] += value * weights[c];
        }
    }
    KERNEL_UNROLL
    for (unsigned r = 0; r < rows; r++) {
        KERNEL_UNROLL
        for (unsigned c = 0; c < KERNEL_VECTORS; c++)
            store(out + r * p->out_stride + c * KERNEL_LANES, sum[r][c]);
    }
}

#define TILE_CASE(rows_)                                                                           \
    case rows_:                                                                                    \
        tile(p, in, panel, bias, out, rows_);                                                      \
        break;

/* A panel stays in the cache while the rows go by. */
static void
product(const struct kernel_product *p)
{
    for (size_t column = 0; column < p->columns; column += KERNEL_VECTORS * KERNEL_LANES) {
        const float *panel =
            p->panels + column / KERNEL_PANEL * KERNEL_PANEL * p->depth + column % KERNEL_PANEL;
        const float *bias = p->bias == NULL ? NULL : p->bias + column;

        for (size_t row = 0; row < p->rows; row += KERNEL_ROWS) {
            const float *in = p->in + row * p->in_stride;
            float *out = p->out + row * p->out_stride + column;

            switch (p->rows - row < KERNEL_ROWS ? p->rows - row : KERNEL_ROWS) {
                KERNEL_TILES(TILE_CASE)
            default:
                __builtin_unreachable();
            }
        }
    }
}

#ifndef KERNEL_BYTES_STEP
#define KERNEL_BYTES_STEP bytes_step
#define KERNEL_BYTES_START                                                                         \
    0 /* what is added, times the column's sum, to come to the sum of products */
/* sum[i] += four bytes of a row times four weights of column i. */
KERNEL_INLINE vi
bytes_step(vi sum, int32_t row, const int8_t *weights)
{
    uint8_t bytes[4];

    memcpy(bytes, &row, sizeof(bytes));
    for (unsigned i = 0; i < KERNEL_LANES; i++)
        sum[i] += bytes[0] * weights[4 * i] + bytes[1] * weights[4 * i + 1] +
                  bytes[2] * weights[4 * i + 2] + bytes[3] * weights[4 * i + 3];
    return sum;
}
#endif

KERNEL_INLINE void
bytes_tile(const struct kernel_bytes_product *p, size_t row, size_t column, const unsigned rows)
{
    const uint8_t *in = p->in + row * p->depth;
    const int8_t *panel =
        p->panels + column / KERNEL_PANEL * KERNEL_PANEL * p->depth + column % KERNEL_PANEL * 4;
    vi sum[KERNEL_ROWS][KERNEL_VECTORS];

    KERNEL_UNROLL
    for (unsigned r = 0; r < rows; r++) {
        KERNEL_UNROLL
        for (unsigned c = 0; c < KERNEL_VECTORS; c++)
            sum[r][c] = *(const vi_memory *)(p->column_sum + column + c * KERNEL_LANES) *
                        KERNEL_BYTES_START;
    }
    for (size_t k = 0; k < p->depth; k += 4, panel += KERNEL_PANEL * 4) {
        KERNEL_UNROLL
        for (unsigned r = 0; r < rows; r++) {
            int32_t four;

            memcpy(&four, in + r * p->depth + k, sizeof(four));
            KERNEL_UNROLL
            for (unsigned c = 0; c < KERNEL_VECTORS; c++)
                sum[r][c] = KERNEL_BYTES_STEP(sum[r][c], four, panel + c * KERNEL_LANES * 4);
        }
    }
    KERNEL_UNROLL
    for (unsigned r = 0; r < rows; r++) {
        KERNEL_UNROLL
        for (unsigned c = 0; c < KERNEL_VECTORS; c++) {
            size_t at = column + c * KERNEL_LANES;
            vi column_sum = *(const vi_memory *)(p->column_sum + at);
            vi whole = sum[r][c] - p->zero[row + r] * column_sum;
            vf value = __builtin_convertvector(whole, vf) *
                           (load(p->column_scale + at) * p->scale[row + r]) +
                       load(p->bias + at);

            for (size_t i = 0; i < KERNEL_EXACT; i++)
                value += p->exact[(row + r) * KERNEL_EXACT + i] *
                         load(p->exact_weights + i * p->columns + at);
            store(p->out + (row + r) * p->columns + at, value);
        }
    }
}

#define BYTES_TILE_CASE(rows_)                                                                     \
    case rows_:                                                                                    \
        bytes_tile(p, row, column, rows_);                                                         \
        break;

static void
bytes_product(const struct kernel_bytes_product *p)
{
    for (size_t column = 0; column < p->columns; column += KERNEL_VECTORS * KERNEL_LANES) {
        for (size_t row = 0; row < p->rows; row += KERNEL_ROWS) {
            switch (p->rows - row < KERNEL_ROWS ? p->rows - row : KERNEL_ROWS) {
                KERNEL_TILES(BYTES_TILE_CASE)
            default:
                __builtin_unreachable();
            }
        }
    }
}

/* --- rows --- */

static void
quantize(const float *in, size_t rows, size_t width, const float *factor, uint8_t *bytes_out,
         float *scale_out, int32_t *zero_out)
{
    for (size_t r = 0; r < rows; r++, in += width, bytes_out += width) {
        vf low = {0}, high = {0};
        float least = 0, most = 0, scale;
        int32_t zero;

        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            vf value = load(in + i) * load(factor + i);

            low = smaller(low, value);
            high = larger(high, value);
        }
        for (unsigned i = 0; i < KERNEL_LANES; i++) {
            least = low[i] < least ? low[i] : least;
            most = high[i] > most ? high[i] : most;
        }
        scale = most - least > 1e-20F ? (most - least) / (float)(KERNEL_MAX_BYTE - KERNEL_MIN_BYTE)
                                      : 1.0F;
        zero = (int32_t)lrintf(-least / scale) + KERNEL_MIN_BYTE;
        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            vi value = nearest(load(in + i) * load(factor + i) * (1.0F / scale)) + zero;

            /* rounding may pass an end by one */
            value = within(value, KERNEL_MIN_BYTE, KERNEL_MAX_BYTE);
            *(vb_memory *)(bytes_out + i) = __builtin_convertvector(value, vb);
        }
        scale_out[r] = scale;
        zero_out[r] = zero;
    }
}

static void
gelu(float *values, size_t count)
{
    for (size_t i = 0; i < count; i += KERNEL_LANES)
        store(values + i, gelu_of(load(values + i)));
}

static void
softmax(float *values, size_t rows, size_t width, size_t used)
{
    for (size_t r = 0; r < rows; r++, values += width) {
        vf most = splat(-INFINITY), sum = {0};
        float top = -INFINITY, scale;

        for (size_t i = used; i < width; i++)
            values[i] = -INFINITY;
        for (size_t i = 0; i < width; i += KERNEL_LANES)
            most = larger(most, load(values + i));
        for (unsigned i = 0; i < KERNEL_LANES; i++)
            top = most[i] > top ? most[i] : top;
        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            vf value = exp_of(load(values + i) - top);

            store(values + i, value);
            sum += value;
        }
        scale = 1.0F / sum_of(sum);
        for (size_t i = 0; i < width; i += KERNEL_LANES)
            store(values + i, load(values + i) * scale);
        for (size_t i = used; i < width; i++)
            values[i] = 0;
    }
}

#define NORM_EPSILON 1e-12F

static void
add_norm(const float *in, const float *residual, size_t rows, size_t width, const float *gain,
         const float *bias, float *out)
{
    for (size_t r = 0; r < rows; r++, in += width, residual += width, out += width) {
        vf sum = {0}, squares = {0};
        float mean, scale;

        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            vf value = load(in + i) + load(residual + i);

            store(out + i, value);
            sum += value;
        }
        mean = sum_of(sum) / (float)width;
        for (size_t i = 0; i < width; i += KERNEL_LANES) {
            vf value = load(out + i) - mean;

            squares += value * value;
        }
        scale = 1.0F / sqrtf(sum_of(squares) / (float)width + NORM_EPSILON);
        for (size_t i = 0; i < width; i += KERNEL_LANES)
            store(out + i, (load(out + i) - mean) * scale * load(gain + i) + load(bias + i));
    }
}

#define KERNELS_TABLE(table_name)                                                                  \
    {                                                                                              \
        .name = (table_name), .product = product, .bytes_product = bytes_product,                  \
        .quantize = quantize, .gelu = gelu, .softmax = softmax, .add_norm = add_norm               \
    }

#endif
