/*
 * encoder_bench.c - the sentence encoder alone: vectors to compare, speed beside the yardstick
 *
 * usage: encoder_bench make FOLDER WEIGHTS
 *        encoder_bench vectors CONFIG TEXTS.json OUT.f32      in batches of 32
 *        encoder_bench tokens WEIGHTS TEXTS.json              JSON array of token ids a text
 *        encoder_bench speed CONFIG TEXTS.json BATCH SECONDS  texts a second and the best call's
 * time
 *
 * CONFIG is that of embed_open: {"driver": "minilm", "weights": …}. TEXTS is a JSON array.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/drivers/minilm_make.h"
#include "embed/drivers/minilm_file.h"
#include "embed/embed.h"
#include "text/json.h"

#define DEADLINE_MS 600000
#define MAX_FILE_BYTES ((size_t)64 * 1024 * 1024)

static void
give_up(const struct err *err)
{
    fprintf(stderr, "encoder_bench: %s\n", err->detail);
    exit(1);
}

static json_t *
read_texts(const char *path, struct str **texts_out)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(MAX_FILE_BYTES);
    json_t *json, *text;
    struct err err;
    size_t length, i;

    if (file == NULL || bytes == NULL)
        exit(1);
    length = fread(bytes, 1, MAX_FILE_BYTES, file);
    if (fclose(file) != 0 || json_parse(str_trim(str_of(bytes, length)), &json, &err) != ST_OK)
        give_up(&err);
    free(bytes);
    *texts_out = calloc(json_array_size(json) + 1, sizeof(**texts_out));
    json_array_foreach (json, i, text)
        (*texts_out)[i] = str_of(json_string_value(text), json_string_length(text));
    return json;
}

static struct embedder *
open_embedder(const char *config)
{
    struct embed_env env = {.clock = clock_system()};
    struct embedder *embedder;
    json_t *json;
    struct err err;

    if (json_parse(str_from_c(config), &json, &err) != ST_OK ||
        embed_open(&env, json, &embedder, &err) != ST_OK)
        give_up(&err);
    json_decref(json);
    return embedder;
}

static void
embed(struct embedder *embedder, const struct str *texts, size_t count, float *vectors)
{
    struct err err;

    if (embed_texts(embedder, texts, count, DEADLINE_MS, vectors, &err) != ST_OK)
        give_up(&err);
}

static void
write_vectors(const char *config, const char *path, const char *out)
{
    struct embedder *embedder = open_embedder(config);
    struct str *texts;
    json_t *json = read_texts(path, &texts);
    size_t count = json_array_size(json), floats = count * embed_dimension(embedder);
    float *vectors = malloc(floats * sizeof(*vectors));
    FILE *file = fopen(out, "wb");

    if (vectors == NULL || file == NULL)
        exit(1);
    for (size_t i = 0; i < count; i += 32)
        embed(embedder, texts + i, count - i < 32 ? count - i : 32,
              vectors + i * embed_dimension(embedder));
    if (fwrite(vectors, sizeof(*vectors), floats, file) != floats || fclose(file) != 0)
        exit(1);
    free(vectors);
    free(texts);
    json_decref(json);
    embed_close(&embedder);
}

static void
print_tokens(const char *weights, const char *path)
{
    struct minilm_file file;
    struct str *texts;
    json_t *json = read_texts(path, &texts);
    struct err err;

    if (minilm_file_open(weights, &file, &err) != ST_OK)
        give_up(&err);
    for (size_t i = 0; i < json_array_size(json); i++) {
        uint32_t tokens[MINILM_MAX_TOKENS];
        size_t count =
            wordpiece_tokens(&file.weights.wordpiece, texts[i], tokens, MINILM_MAX_TOKENS);

        for (size_t j = 0; j < count; j++)
            printf("%s%u", j > 0 ? "," : i > 0 ? ",\n[" : "[[", tokens[j]);
        printf("]");
    }
    puts("]");
    minilm_file_close(&file);
    free(texts);
    json_decref(json);
}

static void
measure(const char *config, const char *path, size_t batch, double seconds)
{
    struct embedder *embedder = open_embedder(config);
    struct str *texts;
    json_t *json = read_texts(path, &texts);
    size_t count = json_array_size(json), done = 0;
    float *vectors = malloc(batch * embed_dimension(embedder) * sizeof(*vectors));
    int64_t began_us, best_us = INT64_MAX;
    double took;

    if (vectors == NULL || batch > count)
        exit(1);
    embed(embedder, texts, batch, vectors);
    began_us = clock_mono_us(clock_system());
    do {
        for (size_t i = 0; i < count; i += batch) {
            size_t some = count - i < batch ? count - i : batch;
            int64_t at_us = clock_mono_us(clock_system()), took_us;

            embed(embedder, texts + i, some, vectors);
            took_us = clock_mono_us(clock_system()) - at_us;
            best_us = took_us < best_us ? took_us : best_us;
            done += some;
        }
        took = (double)(clock_mono_us(clock_system()) - began_us) / (double)US_PER_S;
    } while (took < seconds);
    printf("{\"texts_per_s\": %.2f, \"best_call_ms\": %.4f}\n", (double)done / took,
           (double)best_us / 1000);
    free(vectors);
    free(texts);
    json_decref(json);
    embed_close(&embedder);
}

int
main(int argc, char **argv)
{
    struct err err;

    if (argc == 4 && strcmp(argv[1], "make") == 0) {
        if (minilm_make(argv[2], argv[3], &err) != ST_OK)
            give_up(&err);
    } else if (argc == 5 && strcmp(argv[1], "vectors") == 0) {
        write_vectors(argv[2], argv[3], argv[4]);
    } else if (argc == 4 && strcmp(argv[1], "tokens") == 0) {
        print_tokens(argv[2], argv[3]);
    } else if (argc == 6 && strcmp(argv[1], "speed") == 0) {
        measure(argv[2], argv[3], strtoul(argv[4], NULL, 10), strtod(argv[5], NULL));
    } else {
        fputs("encoder_bench: make, vectors, tokens or speed; see the top of encoder_bench.c\n",
              stderr);
        return 2;
    }
    return 0;
}
