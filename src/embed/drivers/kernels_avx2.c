/*
 * kernels_avx2.c - vectors of 32 bytes: AVX2 with FMA; sixteen registers hold six rows of two
 * vectors
 */
#define KERNEL_LANES 8
#define KERNEL_ROWS 6
#define KERNEL_VECTORS 2
#define KERNEL_TILES(each) each(1) each(2) each(3) each(4) each(5) each(6)
#define KERNEL_BYTES_STEP bytes_step_avx2
#define KERNEL_BYTES_START 128

#include <immintrin.h>
#include <stdint.h>

typedef int32_t vi_avx2 __attribute__((vector_size(32)));

/* The instruction multiplies unsigned by signed bytes and saturates at 16 bits. With byte - 128 and
 * the weight's sign moved to it, two products always fit: |weight| * (byte - 128) * sign(weight).
 */
static inline __attribute__((always_inline)) vi_avx2
bytes_step_avx2(vi_avx2 sum, int32_t row, const int8_t *weights)
{
    __m256i weight = _mm256_loadu_si256((const __m256i *)weights);
    __m256i signed_row = _mm256_set1_epi32(row ^ (int32_t)0x80808080);
    __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8(weight), _mm256_sign_epi8(signed_row, weight));

    return sum + (vi_avx2)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#include "embed/drivers/kernels_body.h"
#include "embed/drivers/kernels_tables.h"

const struct kernels kernels_avx2 = KERNELS_TABLE("avx2");
