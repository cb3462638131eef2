/*
 * fake.c - an embedder for tests that needs nothing: vectors from the words themselves
 *
 *   {"driver": "fake", "dimension": 64, "version": "1"}
 * Every word of ASCII letters and digits adds to one place of the vector that its bytes choose, so
 * that texts that share words are near, in every process alike.
 */
#include "embed/embed_driver.h"

#include <string.h>

#include "text/json.h"

#define DEFAULT_DIMENSION 64
#define MAX_BATCH ((size_t)32)

struct fake_config {
    struct str driver, version;
    int64_t dimension;
};

static const struct json_field fake_fields[] = {
    {"driver", JSON_FIELD_STR, true, offsetof(struct fake_config, driver), 64, 0, 0},
    {"version", JSON_FIELD_STR, false, offsetof(struct fake_config, version), 64, 0, 0},
    {"dimension", JSON_FIELD_INT, false, offsetof(struct fake_config, dimension), 0, 1,
     EMBED_MAX_DIMENSION},
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static bool
is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void
embed_fake_vector(struct str text, unsigned dimension, float *vector_out)
{
    uint32_t hash = 2166136261U;
    bool in_word = false;

    memset(vector_out, 0, dimension * sizeof(*vector_out));
    vector_out[0] = 0.001F; /* a text without a word has a direction too */
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && is_word_byte(text.ptr[i])) {
            hash = (hash ^ ((uint8_t)text.ptr[i] | 0x20U)) * 16777619U;
            in_word = true;
        } else if (in_word) {
            vector_out[hash % dimension] += 1;
            hash = 2166136261U;
            in_word = false;
        }
    }
}

static enum status
fake_open(struct embedder *embedder, const json_t *config, struct err *err)
{
    struct fake_config read = {.version = STR("1"), .dimension = DEFAULT_DIMENSION};
    enum status st = json_read(config, fake_fields, &read, err);

    if (st != ST_OK)
        return st;
    embedder->dimension = (unsigned)read.dimension;
    embedder->max_batch = MAX_BATCH;
    embedder->version = arena_printf(embedder->arena, "fake/%.*s", STR_ARG(read.version));
    return ST_OK;
}

static void
fake_close(struct embedder *embedder)
{
    (void)embedder;
}

static enum status
fake_texts(struct embedder *embedder, const struct str *texts, size_t count, int64_t deadline_us,
           float *vectors_out, struct err *err)
{
    (void)deadline_us;
    (void)err;
    for (size_t i = 0; i < count; i++)
        embed_fake_vector(texts[i], embedder->dimension, vectors_out + i * embedder->dimension);
    return ST_OK;
}

const struct embed_driver embed_driver_fake = {
    .name = "fake",
    .size = sizeof(struct embedder),
    .open = fake_open,
    .close = fake_close,
    .texts = fake_texts,
};
