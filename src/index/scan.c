/*
 * scan.c - coding vectors, and three ways of multiplying bytes
 *
 * One vector of 384 numbers costs six loads of 64 bytes: from some thousand rows on, the memory's
 * speed is the scan's.
 */
#include "index/scan.h"

#include <math.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define CODE_STEPS 32767.0F
#define BYTE_STEPS 127.0F
#define ROW_ZERO 128
#define SLACK_DEVIATIONS 3.0F

/* --- bytes --- */

static float
greatest(const float *vector, unsigned dimension)
{
    float most = 0;

    for (unsigned i = 0; i < dimension; i++)
        most = fmaxf(most, fabsf(vector[i]));
    return most;
}

struct str
scan_code(const float *vector, unsigned dimension, struct arena *arena)
{
    float most = greatest(vector, dimension), scale = most > 0 ? CODE_STEPS / most : 0;
    unsigned char *bytes = ARENA_NEW_N(arena, unsigned char, SCAN_CODE_BYTES(dimension));
    uint32_t bits;

    memcpy(&bits, &most, sizeof(bits));
    for (unsigned i = 0; i < sizeof(bits); i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    for (unsigned i = 0; i < dimension; i++) {
        uint16_t step = (uint16_t)(int16_t)lrintf(vector[i] * scale);

        bytes[sizeof(bits) + 2 * i] = (unsigned char)step;
        bytes[sizeof(bits) + 2 * i + 1] = (unsigned char)(step >> 8);
    }
    return str_of((const char *)bytes, SCAN_CODE_BYTES(dimension));
}

static bool
read_greatest(struct str code, unsigned dimension, float *greatest_out)
{
    const unsigned char *bytes = (const unsigned char *)code.ptr;
    uint32_t bits = 0;

    if (code.len != SCAN_CODE_BYTES(dimension))
        return false;
    for (unsigned i = 0; i < sizeof(bits); i++)
        bits |= (uint32_t)bytes[i] << (8 * i);
    memcpy(greatest_out, &bits, sizeof(bits));
    return true;
}

static inline int16_t
step_at(struct str code, unsigned at)
{
    const unsigned char *bytes = (const unsigned char *)code.ptr + sizeof(float) + 2 * (size_t)at;

    return (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8);
}

bool
scan_code_dot(struct str code, const float *vector, unsigned dimension, double *dot_out)
{
    float most, sum = 0;

    if (!read_greatest(code, dimension, &most))
        return false;
    for (unsigned i = 0; i < dimension; i++)
        sum += (float)step_at(code, i) * vector[i];
    *dot_out = (double)sum * (double)most / (double)CODE_STEPS;
    return true;
}

bool
scan_decode(struct str code, unsigned dimension, float *vector_out)
{
    float most;

    if (!read_greatest(code, dimension, &most))
        return false;
    for (unsigned i = 0; i < dimension; i++)
        vector_out[i] = (float)step_at(code, i) * most / CODE_STEPS;
    return true;
}

bool
scan_row(struct str code, unsigned dimension, uint8_t *row_out, float *step_out)
{
    float most;

    if (!read_greatest(code, dimension, &most))
        return false;
    memset(row_out, ROW_ZERO, scan_row_bytes(dimension));
    for (unsigned i = 0; i < dimension; i++)
        row_out[i] =
            (uint8_t)(ROW_ZERO + lrintf((float)step_at(code, i) * (BYTE_STEPS / CODE_STEPS)));
    *step_out = most / BYTE_STEPS;
    return true;
}

/* With u of length 1, |u| its sum of magnitudes and s its signs: q * s = (q * u) |u| + q' * s', the
 * parts beside u; s' is sqrt(dimension - |u|^2) long, and lies anyhow to q'. */
void
scan_signs(const uint8_t *row, float step, unsigned dimension, uint8_t *bits_out,
           struct scan_nearly *nearly_out)
{
    float sum = 0, squares = 0, beside;

    memset(bits_out, 0, scan_sign_bytes(dimension));
    for (unsigned i = 0; i < dimension; i++) {
        int steps = (int)row[i] - ROW_ZERO;

        if (steps >= 0)
            bits_out[i / 8] = (uint8_t)(bits_out[i / 8] | 1U << i % 8);
        sum += fabsf((float)steps);
        squares += (float)(steps * steps);
    }
    *nearly_out = (struct scan_nearly){0, 0};
    if (sum == 0)
        return;
    beside = sqrtf(fmaxf((float)dimension * squares - sum * sum, 0)) / sum;
    nearly_out->stretch = step * squares / sum;
    nearly_out->slack =
        SLACK_DEVIATIONS * step * sqrtf(squares) * beside / sqrtf(fmaxf((float)dimension - 1, 1));
}

void
scan_question(const float *vector, unsigned dimension, int8_t *bytes_out, float *step_out)
{
    float most = greatest(vector, dimension), scale = most > 0 ? BYTE_STEPS / most : 0;

    memset(bytes_out, 0, scan_row_bytes(dimension));
    for (unsigned i = 0; i < dimension; i++)
        bytes_out[i] = (int8_t)lrintf(vector[i] * scale);
    *step_out = most / BYTE_STEPS;
}

/* --- kernels --- */

static void
sums_generic(const int8_t *question, const uint8_t *rows, size_t row_bytes, size_t count,
             int32_t *sums_out)
{
    for (size_t i = 0; i < count; i++, rows += row_bytes) {
        int32_t sum = 0;

        for (size_t b = 0; b < row_bytes; b++)
            sum += ((int32_t)rows[b] - ROW_ZERO) * question[b];
        sums_out[i] = sum;
    }
}

static void
signs_generic(const int8_t *question, const uint8_t *bits, size_t row_bytes, size_t count,
              int32_t *sums_out)
{
    for (size_t i = 0; i < count; i++, bits += row_bytes / 8) {
        int32_t sum = 0;

        for (size_t b = 0; b < row_bytes; b++)
            sum += question[b] * (bits[b / 8] >> b % 8 & 1);
        sums_out[i] = sum;
    }
}

static const struct scan_kernel kernel_generic = {"generic", sums_generic, signs_generic};

#ifdef __x86_64__
/* Rows so far ahead are asked for: without it a scan waits for memory two thirds of its time. */
#define PREFETCH_BYTES 3072U

static inline __attribute__((always_inline)) void
prefetch(const uint8_t *row)
{
    /* May be behind the last row, where nothing is read: no pointer is made of it by addition. */
    __builtin_prefetch((const void *)((uintptr_t)row + PREFETCH_BYTES));
}

/* The instruction multiplies unsigned by signed bytes and saturates at 16 bits: with the question's
 * magnitude and the row's sign turned by the question's, two products always fit. */
__attribute__((target("avx2"))) static void
sums_avx2(const int8_t *question, const uint8_t *rows, size_t row_bytes, size_t count,
          int32_t *sums_out)
{
    const __m256i ones = _mm256_set1_epi16(1), zero = _mm256_set1_epi8((char)ROW_ZERO);

    for (size_t i = 0; i < count; i++, rows += row_bytes) {
        __m256i sum = _mm256_setzero_si256();
        __m128i half;

        for (size_t b = 0; b < row_bytes; b += 32) {
            __m256i asked = _mm256_loadu_si256((const __m256i *)(const void *)(question + b));
            __m256i row = _mm256_xor_si256(
                _mm256_loadu_si256((const __m256i *)(const void *)(rows + b)), zero);
            __m256i pairs =
                _mm256_maddubs_epi16(_mm256_abs_epi8(asked), _mm256_sign_epi8(row, asked));

            if (b % 64 == 0)
                prefetch(rows + b);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
        }
        half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        sums_out[i] = _mm_cvtsi128_si32(half);
    }
}

/* Each byte is spread over eight places, where one bit of it chooses the question's byte. Sums of
 * 16 bits hold 128 pairs: rows are shorter than 4096. */
__attribute__((target("avx2"))) static void
signs_avx2(const int8_t *question, const uint8_t *bits, size_t row_bytes, size_t count,
           int32_t *sums_out)
{
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                            2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i choose = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i ones = _mm256_set1_epi8(1), wide_ones = _mm256_set1_epi16(1);

    for (size_t i = 0; i < count; i++, bits += row_bytes / 8) {
        __m256i pairs = _mm256_setzero_si256();
        __m128i half;

        prefetch(bits);
        for (size_t b = 0; b < row_bytes; b += 32) {
            int32_t word;
            __m256i chosen;

            memcpy(&word, bits + b / 8, sizeof(word));
            chosen = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(word), spread), choose);
            chosen =
                _mm256_and_si256(_mm256_cmpeq_epi8(chosen, choose),
                                 _mm256_loadu_si256((const __m256i *)(const void *)(question + b)));
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(ones, chosen));
        }
        pairs = _mm256_madd_epi16(pairs, wide_ones);
        half = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        sums_out[i] = _mm_cvtsi128_si32(half);
    }
}

/* Unsigned rows by the signed question: what the 128 in every row adds is the same for all. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void
sums_avx512(const int8_t *question, const uint8_t *rows, size_t row_bytes, size_t count,
            int32_t *sums_out)
{
    int32_t shift = 0;

    for (size_t b = 0; b < row_bytes; b++)
        shift += question[b];
    shift *= ROW_ZERO;
    for (size_t i = 0; i < count; i++, rows += row_bytes) {
        __m512i sum = _mm512_setzero_si512(), second = _mm512_setzero_si512();
        size_t b = 0;

        for (; b + 128 <= row_bytes; b += 128) {
            prefetch(rows + b);
            prefetch(rows + b + 64);
            sum = _mm512_dpbusd_epi32(sum, _mm512_load_si512(rows + b),
                                      _mm512_loadu_si512(question + b));
            second = _mm512_dpbusd_epi32(second, _mm512_load_si512(rows + b + 64),
                                         _mm512_loadu_si512(question + b + 64));
        }
        if (b < row_bytes)
            sum = _mm512_dpbusd_epi32(sum, _mm512_load_si512(rows + b),
                                      _mm512_loadu_si512(question + b));
        sums_out[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(sum, second)) - shift;
    }
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static inline __m512i
add_chosen(__m512i sum, const uint8_t *bits, __m512i asked)
{
    uint64_t chosen;

    memcpy(&chosen, bits, sizeof(chosen));
    return _mm512_dpbusd_epi32(sum, _mm512_maskz_mov_epi8(chosen, _mm512_set1_epi8(1)), asked);
}

/* Four sums, of sixteen numbers each. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static inline __m128i
add_up_four(const __m512i *sums)
{
    __m512i low = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[0], sums[1]),
                                   _mm512_unpackhi_epi32(sums[0], sums[1]));
    __m512i high = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[2], sums[3]),
                                    _mm512_unpackhi_epi32(sums[2], sums[3]));
    __m512i all =
        _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));

    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void
signs_avx512(const int8_t *question, const uint8_t *bits, size_t row_bytes, size_t count,
             int32_t *sums_out)
{
    size_t bits_bytes = row_bytes / 8, i = 0;

    for (; i + 4 <= count; i += 4, bits += 4 * bits_bytes) {
        __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                           _mm512_setzero_si512()};

        for (size_t b = 0; b < 4 * bits_bytes; b += 64)
            prefetch(bits + b);
        for (size_t b = 0; b < bits_bytes; b += 8) {
            __m512i asked = _mm512_loadu_si512(question + 8 * b);

            for (size_t r = 0; r < 4; r++)
                sums[r] = add_chosen(sums[r], bits + r * bits_bytes + b, asked);
        }
        _mm_storeu_si128((__m128i *)(void *)(sums_out + i), add_up_four(sums));
    }
    for (; i < count; i++, bits += bits_bytes) {
        __m512i sum = _mm512_setzero_si512();

        for (size_t b = 0; b < bits_bytes; b += 8)
            sum = add_chosen(sum, bits + b, _mm512_loadu_si512(question + 8 * b));
        sums_out[i] = _mm512_reduce_add_epi32(sum);
    }
}

static const struct scan_kernel kernel_avx2 = {"avx2", sums_avx2, signs_avx2};
static const struct scan_kernel kernel_avx512 = {"avx512", sums_avx512, signs_avx512};

static bool
has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool
has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

static bool
always(void)
{
    return true;
}

/* The best first. */
static const struct {
    const struct scan_kernel *kernel;
    bool (*can_run)(void);
} variants[] = {
#ifdef __x86_64__
    {&kernel_avx512, has_avx512},
    {&kernel_avx2, has_avx2},
#endif
    {&kernel_generic, always},
};

const struct scan_kernel *
scan_kernel_best(void)
{
    size_t i = 0;

    while (!variants[i].can_run())
        i++;
    return variants[i].kernel;
}

const struct scan_kernel *
scan_kernel_find(struct str name)
{
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        if (str_eq_c(name, variants[i].kernel->name) && variants[i].can_run())
            return variants[i].kernel;
    return NULL;
}
