/*
 * kernels.h - the arithmetic of the sentence encoder, once for each kind of processor
 *
 * Matrices are rows of floats. Weights stand in panels of KERNEL_PANEL columns, so that a product
 * reads them in order: float panels are [column / 32][depth][32], byte panels
 * [column / 32][depth / 4][32][4]. Columns are a multiple of 32, depths of bytes a multiple of 4;
 * nothing needs an alignment. All variants give the same bytes of a quantized row but for ties, and
 * exactly the same sums of bytes; floats differ by rounding.
 * Threads: any; nothing is kept.
 */
#ifndef PARLEY_EMBED_DRIVERS_KERNELS_H
#define PARLEY_EMBED_DRIVERS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define KERNEL_PANEL ((size_t)32)
/* Bytes of a row are 1..255 and weights -127..127: AVX2 adds two products of byte - 128 in 16 bits,
 * which 2 * 127 * 127 fits. */
#define KERNEL_MAX_WEIGHT 127
#define KERNEL_MIN_BYTE 1
#define KERNEL_MAX_BYTE 255
/* Columns of the input that stay floats beside the bytes: those whose numbers reach far. */
#define KERNEL_EXACT ((size_t)4)

struct kernel_product {
    const float *in; /* rows of depth floats, in_stride floats apart */
    size_t in_stride, rows, depth;
    const float *panels;
    const float *bias; /* columns, or NULL */
    size_t columns;
    float *out; /* rows, out_stride floats apart */
    size_t out_stride;
};

/* A row of bytes b stands for the floats scale * (b - zero). */
struct kernel_bytes_product {
    const uint8_t *in;  /* rows * depth */
    const float *scale; /* of each row */
    const int32_t *zero;
    size_t rows, depth;
    const int8_t *panels;
    const float *exact;         /* rows * KERNEL_EXACT */
    const float *exact_weights; /* KERNEL_EXACT * columns */
    const float *column_scale;  /* a weight is column_scale * its byte */
    const int32_t *column_sum;  /* of the column's bytes */
    const float *bias;
    size_t columns;
    float *out; /* rows * columns */
};

struct kernels {
    const char *name; /* "avx512", "avx2", "generic" */

    void (*product)(const struct kernel_product *product);
    void (*bytes_product)(const struct kernel_bytes_product *product);
    /* Each row times factor, as bytes: scale_out and zero_out have one value a row. */
    void (*quantize)(const float *in, size_t rows, size_t width, const float *factor,
                     uint8_t *bytes_out, float *scale_out, int32_t *zero_out);
    /* values[i] = x/2 * (1 + erf(x / sqrt(2))); count is a multiple of 32. */
    void (*gelu)(float *values, size_t count);
    /* Rows that are positive and sum to 1: exp(x - max) / sum over the first used of width values;
     * the others become 0. width is a multiple of 32. */
    void (*softmax)(float *values, size_t rows, size_t width, size_t used);
    /* out = (in + residual - mean) / deviation * gain + bias by row; out may be in or residual. */
    void (*add_norm)(const float *in, const float *residual, size_t rows, size_t width,
                     const float *gain, const float *bias, float *out);
};

/* The best that this processor has: frozen tables. */
const struct kernels *kernels_best(void);
/* NULL when there is none of that name, or this processor cannot run it. */
const struct kernels *kernels_find(struct str name);

#endif
