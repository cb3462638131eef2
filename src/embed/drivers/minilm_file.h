/*
 * minilm_file.h - the encoder's weights in one file of ours, mapped and used where they lie
 *
 *   header | word, position and type vectors | layers: floats in panels, bytes in panels |
 * vocabulary
 *
 * Made once by minilm_make from the published files; the layout is minilm_bind's, for writer and
 * reader alike. Numbers are little-endian. The file holds float32 and byte weights; what is not
 * used is never read from the disk. Threads: a mapped file is frozen.
 */
#ifndef PARLEY_EMBED_DRIVERS_MINILM_FILE_H
#define PARLEY_EMBED_DRIVERS_MINILM_FILE_H

#include "embed/drivers/kernels.h"
#include "embed/drivers/wordpiece.h"

#define MINILM_MAX_LAYERS 48U
#define MINILM_HEAD ((size_t)32) /* floats of one head: hidden / heads */
#define MINILM_MAX_TOKENS ((size_t)256)
#define MINILM_DIGEST_CHARS ((size_t)64)

struct minilm_dims {
    uint32_t layers, hidden, inner; /* hidden and inner are multiples of 32 */
    uint32_t vocabulary, vocabulary_bytes;
};

struct minilm_header {
    char magic[8];
    uint32_t format, byte_order;
    struct minilm_dims dims;
    uint32_t unknown, begin, end; /* marks of the vocabulary */
    uint64_t total_bytes;
    char digest[MINILM_DIGEST_CHARS]; /* SHA-256 of the published weights, in hexadecimal */
};

/* out = in * weights + bias, as floats, or as bytes after in * factor (kernels.h); the columns
 * exact_at of the input have factor 0 and weights of their own. Read-only when mapped. */
struct minilm_linear {
    size_t depth, columns;
    float *panels, *bias;
    int8_t *bytes;
    float *column_scale, *factor;
    int32_t *column_sum;
    uint32_t *exact_at;   /* KERNEL_EXACT */
    float *exact_weights; /* KERNEL_EXACT * columns */
};

struct minilm_norm {
    float *gain, *bias;
};

struct minilm_layer {
    struct minilm_linear qkv, out, up, down; /* qkv: queries, keys, values side by side */
    struct minilm_norm attention_norm, norm;
};

struct minilm_weights {
    struct minilm_header *header;
    float *words;     /* vocabulary * hidden */
    float *positions; /* MINILM_MAX_TOKENS * hidden */
    float *type;      /* hidden */
    struct minilm_norm norm;
    struct minilm_layer layers[MINILM_MAX_LAYERS];
    struct wordpiece wordpiece;
    uint32_t *offsets, *slots; /* of wordpiece, for the writer */
    char *pieces;
};

/* ST_INVALID: sizes that no model of this kind has. */
MUST_USE enum status minilm_check_dims(const struct minilm_dims *dims, struct err *err);
/* Points into base, which may be NULL to learn the size: returned. dims are checked. */
size_t minilm_bind(const struct minilm_dims *dims, void *base, struct minilm_weights *weights_out);

struct minilm_file {
    void *base;
    size_t bytes;
    struct minilm_weights weights;
};

/* ST_NOT_FOUND: no such file. ST_INVALID: it is not of ours, of another version, or cut. */
MUST_USE enum status minilm_file_open(const char *path, struct minilm_file *file_out,
                                      struct err *err);
void minilm_file_close(struct minilm_file *file); /* accepts a file whose open failed */

/* Writes an empty file's header, given that base holds minilm_bind's bytes for dims. */
void minilm_header_init(struct minilm_header *header, const struct minilm_dims *dims);

#endif
