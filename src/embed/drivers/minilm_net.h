/*
 * minilm_net.h - from tokens to one vector a text: embeddings, transformer layers, mean
 *
 *   x = norm(words + positions + type)
 *   for each layer:  y = norm(x + out(attention(qkv(x))));  x = norm(y + down(gelu(up(y))))
 *   vector of a text = mean of its rows of x
 *
 * As in Vaswani et al., "Attention is all you need", and BERT, which normalises after each sum.
 * Texts stand one after the other without padding; attention alone looks at them one by one.
 * Threads: weights and kernels are shared, a scratch belongs to one thread at a time.
 */
#ifndef PARLEY_EMBED_DRIVERS_MINILM_NET_H
#define PARLEY_EMBED_DRIVERS_MINILM_NET_H

#include "embed/drivers/kernels.h"
#include "embed/drivers/minilm_file.h"

/* Rows that one run may have: as many as the longest text. */
#define MINILM_MAX_ROWS MINILM_MAX_TOKENS

struct minilm_scratch;

struct minilm_net {
    const struct minilm_weights *weights;
    const struct kernels *kernels;
    bool uses_bytes;
    /* May be NULL: sees what goes into each linear part, for measuring ranges. */
    void (*watch)(const struct minilm_linear *linear, const float *in, size_t rows, void *context);
    void *watch_context;
};

/* Heap; never NULL. */
struct minilm_scratch *minilm_scratch_create(const struct minilm_dims *dims);
void minilm_scratch_destroy(struct minilm_scratch **scratch);

/* tokens: count texts of lengths[i] tokens each (1..MINILM_MAX_TOKENS, together at most
 * MINILM_MAX_ROWS), one after the other. vectors_out: count * hidden floats. */
void minilm_net_run(const struct minilm_net *net, struct minilm_scratch *scratch,
                    const uint32_t *tokens, const size_t *lengths, size_t count,
                    float *vectors_out);

#endif
