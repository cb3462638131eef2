/*
 * minilm_make.c - reading the published files, laying out panels, choosing bytes
 */
#include "embed/drivers/minilm_make.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "embed/drivers/minilm_net.h"
#include "embed/drivers/minilm_samples.h"
#include "embed/drivers/safetensors.h"
#include "text/json.h"

#define MAX_VOCABULARY_BYTES ((size_t)64 * 1024 * 1024)
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

struct maker {
    struct arena *arena;
    const char *folder;
    struct str weights, vocabulary; /* mapped */
    struct safetensors tensors;
    struct minilm_dims dims;
    void *image; /* of the file that is made */
    size_t image_bytes;
    struct minilm_weights out;
    enum status status; /* of the copies below: the first failure stays */
    struct err *err;
};

/* --- the published files --- */

static enum status
map_input(struct maker *maker, const char *name, struct str *bytes_out)
{
    struct str path = arena_printf(maker->arena, "%s/%s", maker->folder, name);
    int fd = open(path.ptr, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *base = MAP_FAILED;

    if (fd < 0)
        return err_set(maker->err, errno == ENOENT ? ST_NOT_FOUND : ST_UNAVAILABLE, "%s: %s",
                       path.ptr, strerrordesc_np(errno));
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        base = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (base == MAP_FAILED)
        return err_set(maker->err, ST_INVALID, "%s is no file with bytes in it", path.ptr);
    *bytes_out = str_of(base, (size_t)status.st_size);
    return ST_OK;
}

static void
unmap_input(struct str bytes)
{
    if (bytes.ptr != NULL)
        (void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
}

static enum status
read_config(struct maker *maker, size_t hidden)
{
    struct str bytes = {0};
    json_auto_t *config = NULL;
    enum status st = map_input(maker, "config.json", &bytes);

    if (st == ST_OK)
        st = json_parse(bytes, &config, maker->err);
    if (st == ST_OK &&
        json_get_int(config, "num_attention_heads", 0) * (int64_t)MINILM_HEAD != (int64_t)hidden)
        st = err_set(maker->err, ST_INVALID, "its attention heads are not %zu wide", MINILM_HEAD);
    if (st == ST_OK && (!str_eq(json_get_str(config, "model_type"), STR("bert")) ||
                        !str_eq(json_get_str(config, "hidden_act"), STR("gelu"))))
        st = err_set(maker->err, ST_INVALID, "config.json tells of another kind of model");
    unmap_input(bytes);
    return st;
}

static const char *
layer_name(struct maker *maker, uint32_t layer, const char *part)
{
    return arena_printf(maker->arena, "encoder.layer.%u.%s", layer, part).ptr;
}

/* A piece a line; the line's number is the piece's. */
static bool
next_piece(struct str *left, struct str *piece_out)
{
    bool is_there = left->len > 0 && str_split(left, '\n', piece_out);

    if (is_there)
        *piece_out = str_trim(*piece_out);
    return is_there;
}

static enum status
read_dims(struct maker *maker)
{
    size_t vocabulary, hidden, inner, width;
    struct minilm_dims *dims = &maker->dims;
    enum status st = safetensors_shape(&maker->tensors, "embeddings.word_embeddings.weight",
                                       &vocabulary, &hidden, maker->err);

    if (st == ST_OK)
        st = safetensors_shape(&maker->tensors, "encoder.layer.0.intermediate.dense.weight", &inner,
                               &width, maker->err);
    if (st != ST_OK)
        return st;
    while (dims->layers <= MINILM_MAX_LAYERS &&
           safetensors_has(&maker->tensors,
                           layer_name(maker, dims->layers, "intermediate.dense.weight")))
        dims->layers++;
    dims->vocabulary = (uint32_t)vocabulary;
    dims->hidden = (uint32_t)hidden;
    dims->inner = (uint32_t)inner;
    st = read_config(maker, hidden);
    if (st != ST_OK)
        return st;
    if (maker->vocabulary.len > MAX_VOCABULARY_BYTES)
        return err_set(maker->err, ST_INVALID, "vocab.txt is too long");
    for (struct str left = maker->vocabulary, piece; next_piece(&left, &piece);)
        dims->vocabulary_bytes += (uint32_t)piece.len;
    return minilm_check_dims(dims, maker->err);
}

/* --- floats --- */

static void
copy_tensor(struct maker *maker, const char *name, size_t rows, size_t columns, float *out)
{
    const char *numbers;

    if (maker->status == ST_OK)
        maker->status = safetensors_get(&maker->tensors, name, rows, columns, &numbers, maker->err);
    if (maker->status == ST_OK)
        memcpy(out, numbers, (columns == 0 ? rows : rows * columns) * sizeof(float));
}

/* Where weight (k, column) stands in panels of floats. */
static size_t
panel_at(size_t depth, size_t k, size_t column)
{
    return column / KERNEL_PANEL * KERNEL_PANEL * depth + k * KERNEL_PANEL + column % KERNEL_PANEL;
}

/* Published weights are [column][k]; they become columns first.. of the linear part. */
static void
copy_linear(struct maker *maker, const char *name, struct minilm_linear *linear, size_t first,
            size_t columns)
{
    const char *weight = arena_printf(maker->arena, "%s.weight", name).ptr;
    const char *bias = arena_printf(maker->arena, "%s.bias", name).ptr;
    const char *numbers;

    copy_tensor(maker, bias, columns, 0, linear->bias + first);
    if (maker->status == ST_OK)
        maker->status =
            safetensors_get(&maker->tensors, weight, columns, linear->depth, &numbers, maker->err);
    if (maker->status != ST_OK)
        return;
    for (size_t column = 0; column < columns; column++) {
        for (size_t k = 0; k < linear->depth; k++)
            memcpy(&linear->panels[panel_at(linear->depth, k, first + column)],
                   numbers + (column * linear->depth + k) * sizeof(float), sizeof(float));
    }
}

static void
copy_norm(struct maker *maker, const char *name, struct minilm_norm *norm)
{
    size_t hidden = maker->dims.hidden;

    copy_tensor(maker, arena_printf(maker->arena, "%s.weight", name).ptr, hidden, 0, norm->gain);
    copy_tensor(maker, arena_printf(maker->arena, "%s.bias", name).ptr, hidden, 0, norm->bias);
}

static void
copy_layer(struct maker *maker, uint32_t i)
{
    struct minilm_layer *layer = &maker->out.layers[i];
    size_t hidden = maker->dims.hidden;
    static const char *const parts[] = {"attention.self.query", "attention.self.key",
                                        "attention.self.value"};

    for (size_t part = 0; part < 3; part++)
        copy_linear(maker, layer_name(maker, i, parts[part]), &layer->qkv, part * hidden, hidden);
    copy_linear(maker, layer_name(maker, i, "attention.output.dense"), &layer->out, 0, hidden);
    copy_norm(maker, layer_name(maker, i, "attention.output.LayerNorm"), &layer->attention_norm);
    copy_linear(maker, layer_name(maker, i, "intermediate.dense"), &layer->up, 0,
                maker->dims.inner);
    copy_linear(maker, layer_name(maker, i, "output.dense"), &layer->down, 0, hidden);
    copy_norm(maker, layer_name(maker, i, "output.LayerNorm"), &layer->norm);
}

static void
copy_embeddings(struct maker *maker)
{
    struct minilm_weights *out = &maker->out;
    size_t hidden = maker->dims.hidden, rows, columns;
    const char *numbers;

    copy_tensor(maker, "embeddings.word_embeddings.weight", maker->dims.vocabulary, hidden,
                out->words);
    copy_norm(maker, "embeddings.LayerNorm", &out->norm);
    /* Of positions and types only the first are ever used. */
    for (size_t i = 0; i < 2 && maker->status == ST_OK; i++) {
        const char *name = i == 0 ? "embeddings.position_embeddings.weight"
                                  : "embeddings.token_type_embeddings.weight";
        size_t used = i == 0 ? MINILM_MAX_TOKENS : 1;

        maker->status = safetensors_shape(&maker->tensors, name, &rows, &columns, maker->err);
        if (maker->status == ST_OK && rows < used)
            maker->status = err_set(maker->err, ST_INVALID, "%s has too few rows", name);
        if (maker->status == ST_OK)
            maker->status =
                safetensors_get(&maker->tensors, name, rows, hidden, &numbers, maker->err);
        if (maker->status == ST_OK)
            memcpy(i == 0 ? out->positions : out->type, numbers, used * hidden * sizeof(float));
    }
}

/* --- vocabulary --- */

static enum status
copy_vocabulary(struct maker *maker)
{
    struct minilm_weights *out = &maker->out;
    uint32_t count = 0, at = 0;
    enum status st;

    for (struct str left = maker->vocabulary, piece; next_piece(&left, &piece); count++) {
        if (count == maker->dims.vocabulary)
            return err_set(maker->err, ST_INVALID, "vocab.txt has more lines than vectors");
        memcpy(out->pieces + at, piece.ptr, piece.len);
        out->offsets[count] = at;
        at += (uint32_t)piece.len;
    }
    if (count != maker->dims.vocabulary)
        return err_set(maker->err, ST_INVALID, "vocab.txt has %u lines for %u vectors", count,
                       maker->dims.vocabulary);
    out->offsets[count] = at;
    st = wordpiece_index(&out->wordpiece, out->slots, maker->err);
    out->header->unknown = out->wordpiece.unknown;
    out->header->begin = out->wordpiece.begin;
    out->header->end = out->wordpiece.end;
    return st;
}

/* --- bytes --- */

/* factor holds, until the bytes are made, the largest input of each column. */
static void
watch_range(const struct minilm_linear *linear, const float *in, size_t rows, void *context)
{
    (void)context;
    for (size_t row = 0; row < rows; row++) {
        for (size_t k = 0; k < linear->depth; k++)
            linear->factor[k] = fmaxf(linear->factor[k], fabsf(in[row * linear->depth + k]));
    }
}

static void
measure_ranges(struct maker *maker)
{
    struct minilm_net net = {
        .weights = &maker->out, .kernels = kernels_best(), .watch = watch_range};
    struct minilm_scratch *scratch = minilm_scratch_create(&maker->dims);
    float *vector = ARENA_NEW_N(maker->arena, float, maker->dims.hidden);
    uint32_t tokens[MINILM_MAX_TOKENS];

    for (const char *const *sample = minilm_samples; *sample != NULL; sample++) {
        size_t length =
            wordpiece_tokens(&maker->out.wordpiece, str_from_c(*sample), tokens, MINILM_MAX_TOKENS);

        minilm_net_run(&net, scratch, tokens, &length, 1, vector);
    }
    minilm_scratch_destroy(&scratch);
}

static bool
is_exact(const struct minilm_linear *linear, size_t k)
{
    bool found = false;

    for (size_t i = 0; i < KERNEL_EXACT; i++)
        found = found || linear->exact_at[i] == k;
    return found;
}

/* By how much each input column's range goes over to its weights. */
static void
choose_factors(struct minilm_linear *linear, float strength)
{
    for (size_t k = 0; k < linear->depth; k++) {
        float input = fmaxf(linear->factor[k], 1e-5F), weight = 1e-5F;

        for (size_t column = 0; column < linear->columns; column++)
            weight = fmaxf(weight, fabsf(linear->panels[panel_at(linear->depth, k, column)]));
        if (!is_exact(linear, k))
            linear->factor[k] = powf(weight, 1 - strength) / powf(input, strength);
    }
}

/* The columns that reach farthest stay floats: one number far out would make the steps of its row
 * coarse, and the rounding of its weights counts as often as it is large. */
static void
choose_exact(struct minilm_linear *linear)
{
    for (size_t i = 0; i < KERNEL_EXACT; i++) {
        size_t farthest = 0;

        for (size_t k = 1; k < linear->depth; k++) {
            if (linear->factor[k] > linear->factor[farthest])
                farthest = k;
        }
        linear->exact_at[i] = (uint32_t)farthest;
        linear->factor[farthest] = 0;
        for (size_t column = 0; column < linear->columns; column++)
            linear->exact_weights[i * linear->columns + column] =
                linear->panels[panel_at(linear->depth, farthest, column)];
    }
}

/* As bytes are to hold it: 0 where the column stays exact. */
static float
even_weight(const struct minilm_linear *linear, size_t k, size_t column)
{
    float weight = linear->panels[panel_at(linear->depth, k, column)];

    return linear->factor[k] > 0 ? weight / linear->factor[k] : 0;
}

static void
make_bytes(struct minilm_linear *linear, float strength)
{
    choose_exact(linear);
    choose_factors(linear, strength);
    for (size_t column = 0; column < linear->columns; column++) {
        float most = 0;
        int32_t sum = 0;

        for (size_t k = 0; k < linear->depth; k++)
            most = fmaxf(most, fabsf(even_weight(linear, k, column)));
        linear->column_scale[column] = most > 0 ? most / KERNEL_MAX_WEIGHT : 1;
        for (size_t k = 0; k < linear->depth; k++) {
            int32_t byte =
                (int32_t)lrintf(even_weight(linear, k, column) / linear->column_scale[column]);
            size_t at = panel_at(linear->depth, k - k % 4, column - column % KERNEL_PANEL) +
                        column % KERNEL_PANEL * 4 + k % 4;

            linear->bytes[at] = (int8_t)byte;
            sum += byte;
        }
        linear->column_sum[column] = sum;
    }
}

/* How far the evening out goes was measured on sentences other than ours; see the decision's page.
 */
#define STRENGTH 0.5F
#define STRENGTH_DOWN 0.5F

static void
make_all_bytes(struct maker *maker)
{
    measure_ranges(maker);
    for (uint32_t i = 0; i < maker->dims.layers; i++) {
        make_bytes(&maker->out.layers[i].qkv, STRENGTH);
        make_bytes(&maker->out.layers[i].out, STRENGTH);
        make_bytes(&maker->out.layers[i].up, STRENGTH);
        make_bytes(&maker->out.layers[i].down, STRENGTH_DOWN);
    }
}

/* --- the file --- */

static void
set_digest(struct maker *maker)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char text[sizeof(digest) * 2 + 1];

    crypto_hash_sha256(digest, (const unsigned char *)maker->weights.ptr, maker->weights.len);
    sodium_bin2hex(text, sizeof(text), digest, sizeof(digest));
    memcpy(maker->out.header->digest, text, MINILM_DIGEST_CHARS);
}

static enum status
write_image(struct maker *maker, const char *file)
{
    struct str part = arena_printf(maker->arena, "%s.part", file);
    int fd = open(part.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t done = 0;
    bool is_good = fd >= 0;

    while (is_good && done < maker->image_bytes) {
        ssize_t n = write(fd, (const char *)maker->image + done, maker->image_bytes - done);

        is_good = n > 0;
        done += is_good ? (size_t)n : 0;
    }
    is_good = is_good && fsync(fd) == 0;
    if (fd >= 0)
        is_good = close(fd) == 0 && is_good;
    if (is_good && rename(part.ptr, file) == 0)
        return ST_OK;
    (void)err_set(maker->err, ST_UNAVAILABLE, "%s cannot be written: %s", file,
                  strerrordesc_np(errno));
    (void)unlink(part.ptr);
    return ST_UNAVAILABLE;
}

static enum status
make_image(struct maker *maker)
{
    enum status st;

    maker->image_bytes = minilm_bind(&maker->dims, NULL, &maker->out);
    maker->image =
        mmap(NULL, maker->image_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (maker->image == MAP_FAILED) {
        maker->image = NULL;
        return err_set(maker->err, ST_UNAVAILABLE, "there is not enough memory");
    }
    minilm_header_init(maker->image, &maker->dims);
    (void)minilm_bind(&maker->dims, maker->image, &maker->out);
    set_digest(maker);
    st = copy_vocabulary(maker);
    if (st != ST_OK)
        return st;
    copy_embeddings(maker);
    for (uint32_t i = 0; i < maker->dims.layers; i++)
        copy_layer(maker, i);
    if (maker->status == ST_OK)
        make_all_bytes(maker);
    return maker->status;
}

enum status
minilm_make(const char *folder, const char *file, struct err *err)
{
    struct maker maker = {.arena = arena_create(ARENA_BYTES), .folder = folder, .err = err};
    enum status st = map_input(&maker, "model.safetensors", &maker.weights);

    if (st == ST_OK)
        st = map_input(&maker, "vocab.txt", &maker.vocabulary);
    if (st == ST_OK)
        st = safetensors_open(maker.weights, &maker.tensors, err);
    if (st == ST_OK)
        st = read_dims(&maker);
    if (st == ST_OK)
        st = make_image(&maker);
    if (st == ST_OK)
        st = write_image(&maker, file);

    if (maker.image != NULL)
        (void)munmap(maker.image, maker.image_bytes);
    safetensors_close(&maker.tensors);
    unmap_input(maker.vocabulary);
    unmap_input(maker.weights);
    arena_destroy(&maker.arena);
    return st;
}
