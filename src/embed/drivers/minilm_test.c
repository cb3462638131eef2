/*
 * minilm_test.c - a small model of the same kind, made by the test, beside its formulas in double
 *
 * The published weights are not needed: minilm_weights_test.c is for those who have them.
 */
#include "base/testing.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "embed/drivers/kernels.h"
#include "embed/drivers/minilm_make.h"
#include "embed/drivers/wordpiece_test_support.h"
#include "embed/embed_conformance.h"
#include "text/json.h"

#define HIDDEN 64
#define INNER 128
#define LAYERS 2
#define HEADS 2
#define MAX_TOKENS 256
#define POSITIONS 260
#define MAX_TENSORS (LAYERS * 16 + 8)

struct tensor {
    char name[96];
    size_t rows, columns;
    float *numbers;
};

static struct {
    char folder[64], weights[128];
    struct tensor tensors[MAX_TENSORS];
    size_t count;
    struct small_vocabulary vocabulary;
    uint32_t seed;
} model;

/* --- making it --- */

static float
next_number(float reach)
{
    model.seed = model.seed * 1664525U + 1013904223U;
    return ((float)(model.seed >> 8) / 8388608.0F - 1.0F) * reach;
}

static void
add_tensor(const char *name, size_t rows, size_t columns, float middle, float reach)
{
    struct tensor *tensor = &model.tensors[model.count++];
    size_t count = rows * (columns == 0 ? 1 : columns);

    (void)snprintf(tensor->name, sizeof(tensor->name), "%s", name);
    tensor->rows = rows;
    tensor->columns = columns;
    tensor->numbers = calloc(count, sizeof(float));
    for (size_t i = 0; i < count; i++)
        tensor->numbers[i] = middle + next_number(reach);
}

static void
add_linear(const char *prefix, const char *name, size_t depth, size_t columns)
{
    char full[96];

    (void)snprintf(full, sizeof(full), "%s%s.weight", prefix, name);
    add_tensor(full, columns, depth, 0, 0.3F);
    (void)snprintf(full, sizeof(full), "%s%s.bias", prefix, name);
    add_tensor(full, columns, 0, 0, 0.2F);
}

static void
add_norm(const char *prefix, const char *name)
{
    char full[96];

    (void)snprintf(full, sizeof(full), "%s%s.weight", prefix, name);
    add_tensor(full, HIDDEN, 0, 1, 0.5F);
    (void)snprintf(full, sizeof(full), "%s%s.bias", prefix, name);
    add_tensor(full, HIDDEN, 0, 0, 0.3F);
}

static void
add_all(void)
{
    add_tensor("embeddings.word_embeddings.weight", model.vocabulary.wordpiece.count, HIDDEN, 0, 1);
    add_tensor("embeddings.position_embeddings.weight", POSITIONS, HIDDEN, 0, 0.3F);
    add_tensor("embeddings.token_type_embeddings.weight", 2, HIDDEN, 0, 0.3F);
    add_norm("embeddings.", "LayerNorm");
    for (unsigned i = 0; i < LAYERS; i++) {
        char prefix[64];

        (void)snprintf(prefix, sizeof(prefix), "encoder.layer.%u.", i);
        add_linear(prefix, "attention.self.query", HIDDEN, HIDDEN);
        add_linear(prefix, "attention.self.key", HIDDEN, HIDDEN);
        add_linear(prefix, "attention.self.value", HIDDEN, HIDDEN);
        add_linear(prefix, "attention.output.dense", HIDDEN, HIDDEN);
        add_norm(prefix, "attention.output.LayerNorm");
        add_linear(prefix, "intermediate.dense", HIDDEN, INNER);
        add_linear(prefix, "output.dense", INNER, HIDDEN);
        add_norm(prefix, "output.LayerNorm");
    }
}

static void
write_file(const char *name, struct str bytes)
{
    char path[160];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", model.folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void
write_tensors(void)
{
    json_t *table = json_object();
    struct arena *arena = arena_create((size_t)16 * 1024 * 1024);
    struct buf file;
    struct str text;
    size_t at = 0;

    for (size_t i = 0; i < model.count; i++) {
        const struct tensor *tensor = &model.tensors[i];
        size_t bytes = tensor->rows * (tensor->columns == 0 ? 1 : tensor->columns) * sizeof(float);
        json_t *shape = json_pack("[I]", (json_int_t)tensor->rows);

        if (tensor->columns > 0)
            (void)json_array_append_new(shape, json_integer((json_int_t)tensor->columns));
        json_set(table, tensor->name,
                 json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets",
                           (json_int_t)at, (json_int_t)at + (json_int_t)bytes));
        at += bytes;
    }
    text = json_text(table, arena);
    buf_init(&file, (size_t)16 * 1024 * 1024);
    for (size_t i = 0; i < 8; i++)
        buf_append_byte(&file, (char)(text.len >> (8 * i) & 0xff));
    buf_append(&file, text);
    for (size_t i = 0; i < model.count; i++) {
        const struct tensor *tensor = &model.tensors[i];

        buf_append(&file, str_of((const char *)tensor->numbers,
                                 tensor->rows * (tensor->columns == 0 ? 1 : tensor->columns) *
                                     sizeof(float)));
    }
    write_file("model.safetensors", buf_str(&file));
    buf_deinit(&file);
    json_decref(table);
    arena_destroy(&arena);
}

#define CONFIG(heads)                                                                              \
    "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"num_attention_heads\":" heads "}"

static int
set_up(void **state)
{
    struct err err;

    (void)state;
    model.seed = 1;
    (void)snprintf(model.folder, sizeof(model.folder), "/tmp/parley-minilm-XXXXXX");
    if (mkdtemp(model.folder) == NULL ||
        small_vocabulary_init(&model.vocabulary, STR(SMALL_VOCABULARY), &err) != ST_OK)
        return -1;
    (void)snprintf(model.weights, sizeof(model.weights), "%s/weights.bin", model.folder);
    add_all();
    write_tensors();
    write_file("vocab.txt", STR(SMALL_VOCABULARY));
    write_file("config.json", STR(CONFIG("2")));
    if (minilm_make(model.folder, model.weights, &err) != ST_OK) {
        (void)fprintf(stderr, "%s\n", err.detail);
        return -1;
    }
    return 0;
}

static int
tear_down(void **state)
{
    static const char *const names[] = {"model.safetensors", "vocab.txt", "config.json",
                                        "weights.bin", "other.bin"};
    char path[160];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", model.folder, names[i]);
        (void)unlink(path);
    }
    for (size_t i = 0; i < model.count; i++)
        free(model.tensors[i].numbers);
    return rmdir(model.folder); /* nothing else was left in it */
}

/* --- its formulas --- */

static const float *
numbers_of(const char *format, unsigned layer)
{
    char name[96];

    (void)snprintf(name, sizeof(name), "encoder.layer.%u.%s", layer, format);
    for (size_t i = 0; i < model.count; i++) {
        if (strcmp(model.tensors[i].name, name) == 0 || strcmp(model.tensors[i].name, format) == 0)
            return model.tensors[i].numbers;
    }
    fail_msg("no tensor %s", format);
    return NULL;
}

static void
linear(unsigned layer, const char *name, const double *in, size_t depth, size_t columns,
       double *out)
{
    char full[64];
    const float *weight, *bias;

    (void)snprintf(full, sizeof(full), "%s.weight", name);
    weight = numbers_of(full, layer);
    (void)snprintf(full, sizeof(full), "%s.bias", name);
    bias = numbers_of(full, layer);
    for (size_t c = 0; c < columns; c++) {
        out[c] = (double)bias[c];
        for (size_t k = 0; k < depth; k++)
            out[c] += in[k] * (double)weight[c * depth + k];
    }
}

static void
norm(unsigned layer, const char *name, const double *a, const double *b, double *out)
{
    char full[64];
    const float *gain, *bias;
    double mean = 0, variance = 0;

    (void)snprintf(full, sizeof(full), "%s.weight", name);
    gain = numbers_of(full, layer);
    (void)snprintf(full, sizeof(full), "%s.bias", name);
    bias = numbers_of(full, layer);
    for (size_t i = 0; i < HIDDEN; i++)
        mean += (a[i] + b[i]) / HIDDEN;
    for (size_t i = 0; i < HIDDEN; i++)
        variance += pow(a[i] + b[i] - mean, 2) / HIDDEN;
    for (size_t i = 0; i < HIDDEN; i++)
        out[i] = (a[i] + b[i] - mean) / sqrt(variance) * (double)gain[i] + (double)bias[i];
}

typedef double row[HIDDEN];

static void
attend(const row *q, const row *k, const row *v, size_t tokens, size_t at, double *out)
{
    for (size_t head = 0; head < HIDDEN; head += HIDDEN / HEADS) {
        double weights[MAX_TOKENS], sum = 0;

        for (size_t j = 0; j < tokens; j++) {
            double dot = 0;

            for (size_t i = head; i < head + HIDDEN / HEADS; i++)
                dot += q[at][i] * k[j][i];
            weights[j] = exp(dot / sqrt((double)HIDDEN / HEADS));
            sum += weights[j];
        }
        for (size_t i = head; i < head + HIDDEN / HEADS; i++) {
            out[i] = 0;
            for (size_t j = 0; j < tokens; j++)
                out[i] += weights[j] / sum * v[j][i];
        }
    }
}

static void
run_layer(unsigned layer, row *x, size_t tokens)
{
    static row q[MAX_TOKENS], k[MAX_TOKENS], v[MAX_TOKENS];

    for (size_t t = 0; t < tokens; t++) {
        linear(layer, "attention.self.query", x[t], HIDDEN, HIDDEN, q[t]);
        linear(layer, "attention.self.key", x[t], HIDDEN, HIDDEN, k[t]);
        linear(layer, "attention.self.value", x[t], HIDDEN, HIDDEN, v[t]);
    }
    for (size_t t = 0; t < tokens; t++) {
        double seen[HIDDEN], part[HIDDEN], y[HIDDEN], wide[INNER];

        attend(q, k, v, tokens, t, seen);
        linear(layer, "attention.output.dense", seen, HIDDEN, HIDDEN, part);
        norm(layer, "attention.output.LayerNorm", part, x[t], y);
        linear(layer, "intermediate.dense", y, HIDDEN, INNER, wide);
        for (size_t i = 0; i < INNER; i++)
            wide[i] = wide[i] / 2 * (1 + erf(wide[i] / sqrt(2)));
        linear(layer, "output.dense", wide, INNER, HIDDEN, part);
        norm(layer, "output.LayerNorm", part, y, x[t]);
    }
}

static void
reference(struct str text, double *out)
{
    static row x[MAX_TOKENS];
    uint32_t tokens[MAX_TOKENS];
    size_t count = wordpiece_tokens(&model.vocabulary.wordpiece, text, tokens, MAX_TOKENS);
    const float *words = numbers_of("embeddings.word_embeddings.weight", 0);
    const float *positions = numbers_of("embeddings.position_embeddings.weight", 0);
    const float *types = numbers_of("embeddings.token_type_embeddings.weight", 0);
    double length = 0;

    for (size_t t = 0; t < count; t++) {
        double a[HIDDEN], b[HIDDEN];

        for (size_t i = 0; i < HIDDEN; i++) {
            a[i] = (double)words[tokens[t] * HIDDEN + i];
            b[i] = (double)positions[t * HIDDEN + i] + (double)types[i];
        }
        norm(0, "embeddings.LayerNorm", a, b, x[t]);
    }
    for (unsigned layer = 0; layer < LAYERS; layer++)
        run_layer(layer, x, count);
    memset(out, 0, HIDDEN * sizeof(*out));
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < HIDDEN; i++)
            out[i] += x[t][i];
    }
    for (size_t i = 0; i < HIDDEN; i++)
        length += out[i] * out[i];
    for (size_t i = 0; i < HIDDEN; i++)
        out[i] /= sqrt(length);
}

/* --- tests --- */

static json_t *
config_of(const char *precision, const char *kernels)
{
    json_t *config = json_object();

    json_set_str(config, "driver", STR("minilm"));
    json_set_str(config, "weights", str_from_c(model.weights));
    json_set_str(config, "precision", str_from_c(precision));
    json_set_int(config, "threads", 2);
    if (kernels != NULL)
        json_set_str(config, "kernels", str_from_c(kernels));
    return config;
}

static const struct embed_env *
env_of(void)
{
    static struct embed_env env;

    env.clock = clock_system();
    return &env;
}

static void
test_conformance(void **state)
{
    static const char *const precisions[] = {"int8", "float32"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        json_t *config = config_of(precisions[i], NULL);

        embed_conformance_run(env_of(), config);
        json_decref(config);
    }
}

static void
check_vectors(const char *precision, const char *kernels, double least)
{
    static const char longest[] = "the shop opened a b c "
                                  "the the the the the the the the the the the the the the the the "
                                  "shop shop shop shop shop shop shop shop shop shop shop shop a a "
                                  "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a";
    const struct str texts[] = {STR("?"), STR("the shop opened"), STR("Caf\xc3\xa9, 24!"),
                                str_from_c(longest), STR("shopping's b")};
    enum { TEXTS = 5 };
    json_t *config = config_of(precision, kernels);
    float vectors[TEXTS * HIDDEN];
    struct embedder *embedder;
    struct err err;

    ASSERT_OK(embed_open(env_of(), config, &embedder, &err), &err);
    assert_int_equal(embed_dimension(embedder), HIDDEN);
    ASSERT_OK(embed_texts(embedder, texts, TEXTS, 60000, vectors, &err), &err);
    for (size_t i = 0; i < TEXTS; i++) {
        double want[HIDDEN], cosine = 0;

        reference(texts[i], want);
        for (size_t j = 0; j < HIDDEN; j++)
            cosine += want[j] * (double)vectors[i * HIDDEN + j];
        if (cosine < least)
            fail_msg("%s %s: text %zu: cosine %f", precision, kernels, i, cosine);
    }
    embed_close(&embedder);
    json_decref(config);
}

static void
test_formulas(void **state)
{
    static const char *const names[] = {"avx512", "avx2", "generic"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (kernels_find(str_from_c(names[i])) == NULL)
            continue;
        check_vectors("float32", names[i], 0.99999);
        check_vectors("int8", names[i], 0.998);
    }
}

static void
assert_refused(const char *what, enum status want)
{
    json_t *config = config_of("int8", NULL);
    struct embedder *embedder;
    struct err err;

    json_set_str(config, "weights",
                 str_from_c(strcmp(what, "absent") == 0 ? "/nowhere/weights.bin" : model.weights));
    if (strcmp(what, "precision") == 0)
        json_set_str(config, "precision", STR("int4"));
    if (strcmp(what, "kernels") == 0)
        json_set_str(config, "kernels", STR("abacus"));
    if (strcmp(what, "threads") == 0)
        json_set_int(config, "threads", 0);
    if (embed_open(env_of(), config, &embedder, &err) != want)
        fail_msg("%s: %s: %s", what, status_name(err.code), err.detail);
    assert_null(embedder);
    if (strcmp(what, "absent") == 0)
        assert_non_null(strstr(err.detail, "scripts/encoder.sh"));
    json_decref(config);
}

/* Every beginning of the file's head, and a byte changed in each field that is checked. */
static void
test_damaged_file(void **state)
{
    struct stat whole;
    int fd = open(model.weights, O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &whole), 0);
    for (off_t at = 0; at < 56; at++) {
        char byte, changed;

        if (at >= 36 && at < 48) /* the vocabulary's three marks: any number within it is one */
            continue;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = (char)(byte ^ 0x41);
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        assert_refused("damaged", ST_INVALID);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(ftruncate(fd, whole.st_size - 1), 0);
    assert_refused("cut", ST_INVALID);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_refused("cut short", ST_INVALID);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_refused("empty", ST_INVALID);
    assert_int_equal(close(fd), 0);
}

static void
test_bad_configurations(void **state)
{
    (void)state;
    assert_refused("absent", ST_NOT_FOUND);
    assert_refused("precision", ST_INVALID);
    assert_refused("kernels", ST_INVALID);
    assert_refused("threads", ST_INVALID);
}

/* Nothing is written when the published files are not what they should be. */
static void
test_bad_published_files(void **state)
{
    static const struct {
        const char *file, *bytes;
    } cases[] = {
        {"config.json", CONFIG("4")},
        {"config.json",
         "{\"model_type\":\"t5\",\"hidden_act\":\"gelu\",\"num_attention_heads\":2}"},
        {"config.json", "no json"},
        {"vocab.txt", "[UNK]\n[CLS]\n[SEP]\n"},
        {"vocab.txt", SMALL_VOCABULARY "one too many\n"},
        {"model.safetensors", "\x02\0\0"},
        {"model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}"},
    };
    char other[160];
    struct err err;

    (void)state;
    (void)snprintf(other, sizeof(other), "%s/other.bin", model.folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(cases[i].file, i == 5 ? STR("\x02\0\0") : str_from_c(cases[i].bytes));
        if (minilm_make(model.folder, other, &err) != ST_INVALID)
            fail_msg("made from a bad %s (case %zu)", cases[i].file, i);
        assert_int_not_equal(access(other, F_OK), 0);
        write_file("vocab.txt", STR(SMALL_VOCABULARY));
        write_file("config.json", STR(CONFIG("2")));
        write_tensors();
    }
    model.tensors[4].numbers[3] = NAN;
    write_tensors();
    assert_int_equal(minilm_make(model.folder, other, &err), ST_INVALID);
    assert_int_equal(minilm_make("/nowhere", other, &err), ST_NOT_FOUND);
    assert_int_not_equal(access(other, F_OK), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),         cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_bad_configurations),  cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_bad_published_files),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
