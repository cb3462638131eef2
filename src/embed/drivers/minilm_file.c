/*
 * minilm_file.c - where everything stands in the weights' file, and whether a file is one
 */
#include "embed/drivers/minilm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "PARLEYSV"
#define FORMAT 1U
#define BYTE_ORDER_MARK 0x01020304U
#define ALIGNMENT ((size_t)64)

enum status
minilm_check_dims(const struct minilm_dims *dims, struct err *err)
{
    if (dims->layers == 0 || dims->layers > MINILM_MAX_LAYERS || dims->hidden == 0 ||
        dims->hidden % MINILM_HEAD != 0 || dims->hidden > 4096 || dims->inner == 0 ||
        dims->inner % MINILM_HEAD != 0 || dims->inner > 16384 || dims->vocabulary < 3 ||
        dims->vocabulary > WORDPIECE_MAX_PIECES || dims->vocabulary_bytes > (1U << 28))
        return err_set(err, ST_INVALID, "the encoder's sizes are not those of a MiniLM");
    return ST_OK;
}

/* The next part, or NULL when only sizes are wanted. */
static void *
take(char *base, size_t *at, size_t count, size_t size)
{
    void *part = base == NULL ? NULL : base + *at;

    *at += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return part;
}

static void
bind_linear(struct minilm_linear *linear, char *base, size_t *at, size_t depth, size_t columns)
{
    linear->depth = depth;
    linear->columns = columns;
    linear->panels = take(base, at, depth * columns, sizeof(float));
    linear->bias = take(base, at, columns, sizeof(float));
    linear->bytes = take(base, at, depth * columns, 1);
    linear->column_scale = take(base, at, columns, sizeof(float));
    linear->column_sum = take(base, at, columns, sizeof(int32_t));
    linear->factor = take(base, at, depth, sizeof(float));
    linear->exact_at = take(base, at, KERNEL_EXACT, sizeof(uint32_t));
    linear->exact_weights = take(base, at, KERNEL_EXACT * columns, sizeof(float));
}

static void
bind_norm(struct minilm_norm *norm, char *base, size_t *at, size_t width)
{
    norm->gain = take(base, at, width, sizeof(float));
    norm->bias = take(base, at, width, sizeof(float));
}

size_t
minilm_bind(const struct minilm_dims *dims, void *base, struct minilm_weights *weights_out)
{
    struct minilm_weights *w = weights_out;
    size_t hidden = dims->hidden, at = 0;
    uint32_t slots = wordpiece_slot_count(dims->vocabulary);

    memset(w, 0, sizeof(*w));
    w->header = take(base, &at, 1, sizeof(struct minilm_header));
    w->words = take(base, &at, dims->vocabulary * hidden, sizeof(float));
    w->positions = take(base, &at, MINILM_MAX_TOKENS * hidden, sizeof(float));
    w->type = take(base, &at, hidden, sizeof(float));
    bind_norm(&w->norm, base, &at, hidden);
    for (uint32_t i = 0; i < dims->layers; i++) {
        struct minilm_layer *layer = &w->layers[i];

        bind_linear(&layer->qkv, base, &at, hidden, 3 * hidden);
        bind_linear(&layer->out, base, &at, hidden, hidden);
        bind_norm(&layer->attention_norm, base, &at, hidden);
        bind_linear(&layer->up, base, &at, hidden, dims->inner);
        bind_linear(&layer->down, base, &at, dims->inner, hidden);
        bind_norm(&layer->norm, base, &at, hidden);
    }
    w->offsets = take(base, &at, (size_t)dims->vocabulary + 1, sizeof(uint32_t));
    w->slots = take(base, &at, slots, sizeof(uint32_t));
    w->pieces = take(base, &at, dims->vocabulary_bytes, 1);
    w->wordpiece = (struct wordpiece){.bytes = w->pieces,
                                      .offsets = w->offsets,
                                      .slots = w->slots,
                                      .count = dims->vocabulary,
                                      .slot_count = slots};
    if (base != NULL) {
        w->wordpiece.unknown = w->header->unknown;
        w->wordpiece.begin = w->header->begin;
        w->wordpiece.end = w->header->end;
    }
    return at;
}

void
minilm_header_init(struct minilm_header *header, const struct minilm_dims *dims)
{
    struct minilm_weights sizes;

    memset(header, 0, sizeof(*header));
    memcpy(header->magic, MAGIC, sizeof(header->magic));
    header->format = FORMAT;
    header->byte_order = BYTE_ORDER_MARK;
    header->dims = *dims;
    header->total_bytes = minilm_bind(dims, NULL, &sizes);
}

/* --- reading --- */

static enum status
check_file(const struct minilm_file *file, struct err *err)
{
    const struct minilm_header *header = file->base;
    struct minilm_weights sizes;
    enum status st;

    if (file->bytes < sizeof(*header) || memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0)
        return err_set(err, ST_INVALID, "it is no file of encoder weights");
    if (header->format != FORMAT || header->byte_order != BYTE_ORDER_MARK)
        return err_set(err, ST_INVALID, "it was made by another version of Parley: make it again");
    st = minilm_check_dims(&header->dims, err);
    if (st == ST_OK && (header->total_bytes != file->bytes ||
                        minilm_bind(&header->dims, NULL, &sizes) != file->bytes))
        st = err_set(err, ST_INVALID, "it is cut or damaged: make it again");
    return st;
}

static enum status
map_file(int fd, struct minilm_file *file, struct err *err)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return err_set(err, ST_INVALID, "it is no file of encoder weights");
    file->bytes = (size_t)status.st_size;
    file->base = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (file->base == MAP_FAILED) {
        file->base = NULL;
        return err_set_detail(err, ST_UNAVAILABLE, "cannot map it: %s", strerrordesc_np(errno));
    }
    return ST_OK;
}

enum status
minilm_file_open(const char *path, struct minilm_file *file_out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status st;

    *file_out = (struct minilm_file){0};
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ST_NOT_FOUND,
                       "the encoder's weights are not there; scripts/encoder.sh makes them");
    if (fd < 0)
        return err_set_detail(err, ST_UNAVAILABLE, "%s: %s", path, strerrordesc_np(errno));
    st = map_file(fd, file_out, err);
    (void)close(fd);
    if (st == ST_OK)
        st = check_file(file_out, err);
    if (st == ST_OK) {
        const struct minilm_header *header = file_out->base;

        (void)minilm_bind(&header->dims, file_out->base, &file_out->weights);
        st = wordpiece_check(&file_out->weights.wordpiece, header->dims.vocabulary_bytes, err);
    }
    if (st != ST_OK) {
        minilm_file_close(file_out);
        return err_wrap(err, "%s", path);
    }
    return ST_OK;
}

void
minilm_file_close(struct minilm_file *file)
{
    if (file->base != NULL)
        (void)munmap(file->base, file->bytes);
    *file = (struct minilm_file){0};
}
