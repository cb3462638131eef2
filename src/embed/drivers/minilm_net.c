/*
 * minilm_net.c - the layers, over kernels.h
 */
#include "embed/drivers/minilm_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of the wide middle of a layer at a time, so that it stays in the second cache. */
#define WIDE_ROWS ((size_t)96)

struct minilm_scratch {
    float *x, *y, *part; /* rows * hidden */
    float *wide;         /* rows * 3 hidden, or WIDE_ROWS * inner */
    float *scores;       /* tokens * tokens: of one head and one text */
    float *keys;         /* panels of 32 keys of one head */
    float *values;       /* of one head */
    uint8_t *bytes;      /* rows * hidden, or WIDE_ROWS * inner */
    float scale[MINILM_MAX_ROWS];
    int32_t zero[MINILM_MAX_ROWS];
    float exact[MINILM_MAX_ROWS * KERNEL_EXACT];
};

static void *
allocate(size_t count, size_t size)
{
    /* Whole lines of the cache: a vector that lies across two costs a second read. */
    void *part = aligned_alloc(64, (count * size + 63) / 64 * 64);

    if (part == NULL)
        abort();
    memset(part, 0, count * size);
    return part;
}

static size_t
larger_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

struct minilm_scratch *
minilm_scratch_create(const struct minilm_dims *dims)
{
    size_t rows = MINILM_MAX_ROWS, hidden = dims->hidden;
    size_t wide = larger_of(rows * 3 * hidden, WIDE_ROWS * dims->inner);
    struct minilm_scratch *s = allocate(1, sizeof(*s));

    s->x = allocate(rows * hidden, sizeof(float));
    s->y = allocate(rows * hidden, sizeof(float));
    s->part = allocate(rows * hidden, sizeof(float));
    s->wide = allocate(wide, sizeof(float));
    s->scores = allocate(MINILM_MAX_TOKENS * MINILM_MAX_TOKENS, sizeof(float));
    s->keys = allocate(MINILM_MAX_TOKENS * MINILM_HEAD, sizeof(float));
    s->values = allocate(MINILM_MAX_TOKENS * MINILM_HEAD, sizeof(float));
    s->bytes = allocate(larger_of(rows * hidden, WIDE_ROWS * dims->inner), 1);
    return s;
}

void
minilm_scratch_destroy(struct minilm_scratch **scratch)
{
    struct minilm_scratch *s = *scratch;

    if (s == NULL)
        return;
    free(s->x);
    free(s->y);
    free(s->part);
    free(s->wide);
    free(s->scores);
    free(s->keys);
    free(s->values);
    free(s->bytes);
    free(s);
    *scratch = NULL;
}

/* --- parts --- */

static void
take_exact(const struct minilm_linear *linear, const float *in, size_t rows, float *exact)
{
    for (size_t row = 0; row < rows; row++, in += linear->depth) {
        for (size_t i = 0; i < KERNEL_EXACT; i++)
            *exact++ = in[linear->exact_at[i]];
    }
}

static void
run_linear(const struct minilm_net *net, const struct minilm_linear *linear,
           struct minilm_scratch *s, const float *in, size_t rows, float *out)
{
    if (net->watch != NULL)
        net->watch(linear, in, rows, net->watch_context);
    if (net->uses_bytes) {
        take_exact(linear, in, rows, s->exact);
        net->kernels->quantize(in, rows, linear->depth, linear->factor, s->bytes, s->scale,
                               s->zero);
        net->kernels->bytes_product(&(struct kernel_bytes_product){
            .in = s->bytes,
            .scale = s->scale,
            .zero = s->zero,
            .rows = rows,
            .depth = linear->depth,
            .panels = linear->bytes,
            .exact = s->exact,
            .exact_weights = linear->exact_weights,
            .column_scale = linear->column_scale,
            .column_sum = linear->column_sum,
            .bias = linear->bias,
            .columns = linear->columns,
            .out = out,
        });
        return;
    }
    net->kernels->product(&(struct kernel_product){
        .in = in,
        .in_stride = linear->depth,
        .rows = rows,
        .depth = linear->depth,
        .panels = linear->panels,
        .bias = linear->bias,
        .columns = linear->columns,
        .out = out,
        .out_stride = linear->columns,
    });
}

/* Keys become panels of columns, already times 1 / sqrt(32); those past the last are 0. */
static void
take_keys(const float *keys, size_t stride, size_t tokens, float *panels)
{
    float scale = 1.0F / sqrtf((float)MINILM_HEAD);
    size_t padded = (tokens + KERNEL_PANEL - 1) / KERNEL_PANEL * KERNEL_PANEL;

    for (size_t token = 0; token < padded; token++) {
        float *panel =
            panels + token / KERNEL_PANEL * KERNEL_PANEL * MINILM_HEAD + token % KERNEL_PANEL;

        for (size_t i = 0; i < MINILM_HEAD; i++)
            panel[i * KERNEL_PANEL] = token < tokens ? keys[token * stride + i] * scale : 0;
    }
}

/* One head of one text: out = softmax(queries * keys / sqrt(32)) * values. */
static void
run_head(const struct minilm_net *net, struct minilm_scratch *s, const float *qkv, size_t hidden,
         size_t tokens, float *out)
{
    size_t stride = 3 * hidden;
    size_t width = (tokens + KERNEL_PANEL - 1) / KERNEL_PANEL * KERNEL_PANEL;

    take_keys(qkv + hidden, stride, tokens, s->keys);
    for (size_t token = 0; token < tokens; token++)
        memcpy(s->values + token * MINILM_HEAD, qkv + 2 * hidden + token * stride,
               MINILM_HEAD * sizeof(float));
    net->kernels->product(&(struct kernel_product){
        .in = qkv,
        .in_stride = stride,
        .rows = tokens,
        .depth = MINILM_HEAD,
        .panels = s->keys,
        .columns = width,
        .out = s->scores,
        .out_stride = width,
    });
    net->kernels->softmax(s->scores, tokens, width, tokens);
    net->kernels->product(&(struct kernel_product){
        .in = s->scores,
        .in_stride = width,
        .rows = tokens,
        .depth = tokens,
        .panels = s->values,
        .columns = MINILM_HEAD,
        .out = out,
        .out_stride = hidden,
    });
}

/* wide holds queries, keys and values; the result goes to part. */
static void
run_attention(const struct minilm_net *net, struct minilm_scratch *s, size_t hidden,
              const size_t *lengths, size_t count)
{
    size_t row = 0;

    for (size_t text = 0; text < count; text++) {
        for (size_t head = 0; head < hidden; head += MINILM_HEAD)
            run_head(net, s, s->wide + row * 3 * hidden + head, hidden, lengths[text],
                     s->part + row * hidden + head);
        row += lengths[text];
    }
}

static void
run_layer(const struct minilm_net *net, const struct minilm_layer *layer, struct minilm_scratch *s,
          const size_t *lengths, size_t count, size_t rows)
{
    size_t hidden = layer->out.columns, inner = layer->up.columns;

    run_linear(net, &layer->qkv, s, s->x, rows, s->wide);
    run_attention(net, s, hidden, lengths, count);
    run_linear(net, &layer->out, s, s->part, rows, s->y);
    net->kernels->add_norm(s->y, s->x, rows, hidden, layer->attention_norm.gain,
                           layer->attention_norm.bias, s->y);
    for (size_t row = 0; row < rows; row += WIDE_ROWS) {
        size_t some = rows - row < WIDE_ROWS ? rows - row : WIDE_ROWS;
        float *y = s->y + row * hidden;

        run_linear(net, &layer->up, s, y, some, s->wide);
        net->kernels->gelu(s->wide, some * inner);
        run_linear(net, &layer->down, s, s->wide, some, s->part);
        net->kernels->add_norm(s->part, y, some, hidden, layer->norm.gain, layer->norm.bias,
                               s->x + row * hidden);
    }
}

/* The sum of word and type goes to part, the position to y: add_norm takes the sum of two. */
static void
start(const struct minilm_net *net, struct minilm_scratch *s, const uint32_t *tokens,
      const size_t *lengths, size_t count)
{
    const struct minilm_weights *w = net->weights;
    size_t hidden = w->header->dims.hidden, row = 0;

    for (size_t text = 0; text < count; text++) {
        for (size_t i = 0; i < lengths[text]; i++, row++) {
            const float *word = w->words + tokens[row] * hidden;

            for (size_t j = 0; j < hidden; j++)
                s->part[row * hidden + j] = word[j] + w->type[j];
            memcpy(s->y + row * hidden, w->positions + i * hidden, hidden * sizeof(float));
        }
    }
    net->kernels->add_norm(s->part, s->y, row, hidden, w->norm.gain, w->norm.bias, s->x);
}

void
minilm_net_run(const struct minilm_net *net, struct minilm_scratch *scratch, const uint32_t *tokens,
               const size_t *lengths, size_t count, float *vectors_out)
{
    const struct minilm_weights *w = net->weights;
    size_t hidden = w->header->dims.hidden, rows = 0, row = 0;

    for (size_t text = 0; text < count; text++)
        rows += lengths[text];
    start(net, scratch, tokens, lengths, count);
    for (uint32_t i = 0; i < w->header->dims.layers; i++)
        run_layer(net, &w->layers[i], scratch, lengths, count, rows);
    for (size_t text = 0; text < count; text++, vectors_out += hidden) {
        memset(vectors_out, 0, hidden * sizeof(float));
        for (size_t i = 0; i < lengths[text]; i++, row++) {
            for (size_t j = 0; j < hidden; j++)
                vectors_out[j] += scratch->x[row * hidden + j] / (float)lengths[text];
        }
    }
}
