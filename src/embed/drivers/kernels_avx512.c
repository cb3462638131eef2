/*
 * kernels_avx512.c - vectors of 64 bytes: AVX-512 with VNNI; 32 registers hold twelve rows of two
 * vectors
 */
#define KERNEL_LANES 16
#define KERNEL_ROWS 12
#define KERNEL_VECTORS 2
#define KERNEL_TILES(each)                                                                         \
    each(1) each(2) each(3) each(4) each(5) each(6) each(7) each(8) each(9) each(10) each(11)      \
        each(12)
#define KERNEL_BYTES_STEP bytes_step_vnni
#define KERNEL_BYTES_START 0

#include <immintrin.h>
#include <stdint.h>

typedef int32_t vi_vnni __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) vi_vnni
bytes_step_vnni(vi_vnni sum, int32_t row, const int8_t *weights)
{
    return (vi_vnni)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(row),
                                        _mm512_loadu_si512(weights));
}

#include "embed/drivers/kernels_body.h"
#include "embed/drivers/kernels_tables.h"

const struct kernels kernels_avx512 = KERNELS_TABLE("avx512");
