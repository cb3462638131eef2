/*
 * scan.h - the bytes of sentence vectors, and their dot products with a question's
 *
 * A vector of length 1 is stored as a float, the greatest of its numbers' magnitudes, and after it
 * the numbers as little-endian int16 with 32767 for that magnitude: as good as floats. Scanned are
 * bytes of the same, 127 for the magnitude, plus 128, a row a vector, filled up with 128 (zero) to
 * a multiple of 64. Sums of products of bytes are exact, and the same with every kernel. Before
 * them, a bit a number says whether it is at least zero: an eighth of the memory, from which a
 * cosine is nearly known (docs/decisions/0012).
 */
#ifndef PARLEY_INDEX_SCAN_H
#define PARLEY_INDEX_SCAN_H

#include "base/arena.h"

#define SCAN_ROW_ALIGNMENT 64U
#define SCAN_CODE_BYTES(dimension) (sizeof(float) + (size_t)(dimension) * sizeof(int16_t))

static inline size_t
scan_row_bytes(unsigned dimension)
{
    return ((size_t)dimension + SCAN_ROW_ALIGNMENT - 1) / SCAN_ROW_ALIGNMENT * SCAN_ROW_ALIGNMENT;
}

/* As stored, in the arena. */
struct str scan_code(const float *vector, unsigned dimension, struct arena *arena);
/* The dot product with floats. False: the code has not this dimension. */
bool scan_code_dot(struct str code, const float *vector, unsigned dimension, double *dot_out);
/* Back to numbers. False: as above. */
bool scan_decode(struct str code, unsigned dimension, float *vector_out);
/* A row to be scanned, and what one of its steps stands for. False: as above. */
bool scan_row(struct str code, unsigned dimension, uint8_t *row_out, float *step_out);

/* What a row's bits, the first number lowest, are good for: (the question's sum where they are one
 * - its sum where not) * the question's step * stretch is about the dot product with a question of
 * length 1, and below it by slack or more only once in thousands. */
struct scan_nearly {
    float stretch, slack;
};
static inline size_t
scan_sign_bytes(unsigned dimension)
{
    return scan_row_bytes(dimension) / 8;
}
void scan_signs(const uint8_t *row, float step, unsigned dimension, uint8_t *bits_out,
                struct scan_nearly *nearly_out);

/* The question's side: steps of bytes, filled up with 0. */
void scan_question(const float *vector, unsigned dimension, int8_t *bytes_out, float *step_out);

struct scan_kernel {
    const char *name;
    /* sums_out[i] is the sum of (row i - 128) * question; row_bytes is a multiple of 64, rows are
     * aligned to 64 bytes. */
    void (*sums)(const int8_t *question, const uint8_t *rows, size_t row_bytes, size_t count,
                 int32_t *sums_out);
    /* sums_out[i] is the sum of the question where row i of bits, row_bytes / 8 long, has one. */
    void (*signs)(const int8_t *question, const uint8_t *bits, size_t row_bytes, size_t count,
                  int32_t *sums_out);
};
/* The fastest that this processor runs: "avx512" (with VNNI), "avx2" or "generic". */
const struct scan_kernel *scan_kernel_best(void);
/* NULL: there is none of that name, or not on this processor. */
const struct scan_kernel *scan_kernel_find(struct str name);

#endif
