/*
 * scan_bench.c - the exact scan alone: time, and whether it finds the nearest
 *
 * usage: scan_bench make COUNT SEED OUT.f32             vectors of length 1 about a thousand
 * subjects scan_bench scan VECTORS.f32 QUESTIONS.f32 OUT  one line of JSON; OUT: ten ids a question
 *
 * Vectors have 384 numbers. What is timed is what a search does: signs of all vectors, bytes of
 * those that may be among the nearest RANK_NEAREST, these scored again as they are stored, the
 * first ten.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/index_private.h"
#include "index/scan.h"

#define DIMENSION 384U
#define SUBJECTS 1000U
#define FIRST 10U
#define BLOCK 256U
#define QUESTIONS_MAX 10000U

static void
give_up(const char *what)
{
    (void)fprintf(stderr, "scan_bench: %s\n", what);
    exit(1);
}

static void *
allocate(size_t size)
{
    void *memory = NULL;

    if (posix_memalign(&memory, SCAN_ROW_ALIGNMENT, size) != 0)
        give_up("no memory");
    return memory;
}

/* About normal: the sum of four. */
static float
random_float(uint64_t *random)
{
    float sum = 0;

    for (int i = 0; i < 4; i++) {
        *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        sum += (float)(*random >> 40) / (float)(1 << 24) - 0.5F;
    }
    return sum;
}

static void
make_unit(float *vector)
{
    float sum = 0;

    for (unsigned i = 0; i < DIMENSION; i++)
        sum += vector[i] * vector[i];
    for (unsigned i = 0; i < DIMENSION; i++)
        vector[i] /= sqrtf(sum);
}

static int
make(size_t count, uint64_t seed, const char *path)
{
    float *subjects = allocate(sizeof(float) * SUBJECTS * DIMENSION), vector[DIMENSION];
    uint64_t random = 1; /* the same subjects whatever the seed */
    FILE *file = fopen(path, "wb");

    if (file == NULL)
        give_up(path);
    for (size_t i = 0; i < (size_t)SUBJECTS * DIMENSION; i++)
        subjects[i] = random_float(&random);
    random = seed;
    for (size_t i = 0; i < count; i++) {
        const float *subject;

        (void)random_float(&random);
        subject = subjects + (random >> 33) % SUBJECTS * DIMENSION;
        for (unsigned d = 0; d < DIMENSION; d++)
            vector[d] = subject[d] + random_float(&random);
        make_unit(vector);
        if (fwrite(vector, sizeof(vector), 1, file) != 1)
            give_up(path);
    }
    free(subjects);
    return fclose(file) == 0 ? 0 : 1;
}

/* --- scanning --- */

struct library {
    size_t count;
    uint8_t *rows, *signs;
    float *steps;
    struct scan_nearly *nearly;
    char *codes;
};

static void
load(const char *path, struct library *library)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    FILE *file = fopen(path, "rb");
    float vector[DIMENSION];
    size_t row_bytes = scan_row_bytes(DIMENSION), code_bytes = SCAN_CODE_BYTES(DIMENSION);

    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        give_up(path);
    library->count = (size_t)ftell(file) / sizeof(vector);
    rewind(file);
    library->rows = allocate(library->count * row_bytes);
    library->steps = allocate(library->count * sizeof(float));
    library->signs = allocate(library->count * scan_sign_bytes(DIMENSION));
    library->nearly = allocate(library->count * sizeof(*library->nearly));
    library->codes = allocate(library->count * code_bytes);
    for (size_t i = 0; i < library->count; i++) {
        struct str code;

        if (fread(vector, sizeof(vector), 1, file) != 1)
            give_up(path);
        arena_reset(arena);
        code = scan_code(vector, DIMENSION, arena);
        memcpy(library->codes + i * code_bytes, code.ptr, code.len);
        if (!scan_row(code, DIMENSION, library->rows + i * row_bytes, &library->steps[i]))
            give_up("a code that cannot be");
        scan_signs(library->rows + i * row_bytes, library->steps[i], DIMENSION,
                   library->signs + i * scan_sign_bytes(DIMENSION), &library->nearly[i]);
    }
    arena_destroy(&arena);
    (void)fclose(file);
}

static int
compare(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;

    if (left->cosine != right->cosine)
        return left->cosine < right->cosine ? 1 : -1;
    return (left->chunk_id > right->chunk_id) - (left->chunk_id < right->chunk_id);
}

static void
search(const struct library *library, const float *question, struct candidate_heap *nearest)
{
    const struct scan_kernel *kernel = scan_kernel_best();
    size_t row_bytes = scan_row_bytes(DIMENSION), code_bytes = SCAN_CODE_BYTES(DIMENSION);
    int8_t bytes[DIMENSION];
    int32_t sums[BLOCK], sum, total = 0;
    float step;

    nearest->count = 0;
    nearest->max = RANK_NEAREST;
    scan_question(question, DIMENSION, bytes, &step);
    for (unsigned i = 0; i < DIMENSION; i++)
        total += bytes[i];
    for (size_t at = 0; at < library->count; at += BLOCK) {
        size_t count = library->count - at < BLOCK ? library->count - at : BLOCK;

        kernel->signs(bytes, library->signs + at * scan_sign_bytes(DIMENSION), row_bytes, count,
                      sums);
        for (size_t i = 0; i < count; i++) {
            const struct scan_nearly *nearly = &library->nearly[at + i];
            double cosine = (double)((float)(2 * sums[i] - total) * step * nearly->stretch);
            bool full = nearest->count == nearest->max;

            if (full && cosine + (double)nearly->slack < nearest->items[0].score)
                continue;
            kernel->sums(bytes, library->rows + (at + i) * row_bytes, row_bytes, 1, &sum);
            cosine = (double)((float)sum * library->steps[at + i] * step);
            if (!full || cosine >= nearest->items[0].score)
                candidate_offer(nearest, (int64_t)(at + i), cosine, 0);
        }
    }
    for (size_t i = 0; i < nearest->count; i++)
        if (!scan_code_dot(str_of(library->codes + (size_t)nearest->items[i].chunk_id * code_bytes,
                                  code_bytes),
                           question, DIMENSION, &nearest->items[i].cosine))
            give_up("a code that cannot be");
    qsort(nearest->items, nearest->count, sizeof(nearest->items[0]), compare);
}

static double
now_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int
compare_ms(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static int
scan(const char *vectors, const char *questions, const char *out)
{
    static struct candidate_heap nearest; /* too large for a stack */
    static double wall[QUESTIONS_MAX], processor[QUESTIONS_MAX];
    struct library library;
    float question[DIMENSION];
    FILE *file = fopen(questions, "rb"), *found = fopen(out, "w");
    size_t count = 0;

    if (file == NULL || found == NULL)
        give_up(questions);
    load(vectors, &library);
    while (count < QUESTIONS_MAX && fread(question, sizeof(question), 1, file) == 1) {
        double wall_ms = now_ms(CLOCK_MONOTONIC), own_ms = now_ms(CLOCK_THREAD_CPUTIME_ID);

        search(&library, question, &nearest);
        wall[count] = now_ms(CLOCK_MONOTONIC) - wall_ms;
        processor[count++] = now_ms(CLOCK_THREAD_CPUTIME_ID) - own_ms;
        for (size_t i = 0; i < FIRST && i < nearest.count; i++)
            (void)fprintf(found, "%lld ", (long long)nearest.items[i].chunk_id);
        (void)fputc('\n', found);
    }
    if (count == 0 || fclose(found) != 0)
        give_up("no questions");
    (void)fclose(file);
    qsort(wall, count, sizeof(wall[0]), compare_ms);
    qsort(processor, count, sizeof(processor[0]), compare_ms);
    (void)printf("{\"kernel\": \"%s\", \"vectors\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
                 "\"processor_p50_ms\": %.3f, \"processor_p99_ms\": %.3f, \"memory_mb\": %.1f}\n",
                 scan_kernel_best()->name, library.count, wall[count / 2], wall[count * 99 / 100],
                 processor[count / 2], processor[count * 99 / 100],
                 (double)(library.count * (scan_row_bytes(DIMENSION) + scan_sign_bytes(DIMENSION) +
                                           sizeof(float) + sizeof(struct scan_nearly) + 8)) /
                     1e6);
    free(library.rows);
    free(library.signs);
    free(library.steps);
    free(library.nearly);
    free(library.codes);
    return 0;
}

int
main(int argc, char **argv)
{
    int64_t count, seed;

    if (argc == 5 && strcmp(argv[1], "make") == 0 && str_to_i64(str_from_c(argv[2]), &count) &&
        str_to_i64(str_from_c(argv[3]), &seed))
        return make((size_t)count, (uint64_t)seed, argv[4]);
    if (argc == 5 && strcmp(argv[1], "scan") == 0)
        return scan(argv[2], argv[3], argv[4]);
    give_up("usage: scan_bench make COUNT SEED OUT | scan VECTORS QUESTIONS OUT");
    return 1;
}
