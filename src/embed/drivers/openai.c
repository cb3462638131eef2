/*
 * openai.c - any endpoint that speaks OpenAI's embeddings
 *
 *   {"driver": "openai", "base_url": "https://api.openai.com/v1", "model":
 * "text-embedding-3-small", "dimension": 1536, "send_dimension": false, "api_key": "…", "batch":
 * 64, "max_chars": 24000, "max_retries": 2, "allow_private": false, "headers": {"X-Title": "…"}}
 *
 *   texts -> one request -> answer whole, every index once, every vector of "dimension" numbers
 *                ^    | passing: again by the official client's rule (model/drivers/openai_call.h)
 *
 * send_dimension asks the server for vectors of that many numbers, for models that can be cut;
 * without it the server's own number must be "dimension". Texts are cut at max_chars bytes, since
 * servers refuse what is over their limit (8,192 tokens at OpenAI). Vectors may come in any order
 * and length.
 */
#include "embed/embed_driver.h"

#include <math.h>
#include <stdlib.h>

#include "model/drivers/openai_call.h"
#include "model/drivers/openai_error.h"
#include "text/json.h"

#define DEFAULT_BATCH 64
#define DEFAULT_MAX_CHARS 24000
#define DEFAULT_MAX_RETRIES 2
#define MAX_RESPONSE_BYTES ((size_t)256 * 1024 * 1024)
#define CALL_ARENA_BYTES ((size_t)1024 * 1024 * 1024)

struct openai_embedder {
    struct embedder base;
    struct str url, model, api_key;
    bool send_dimension, allow_private;
    int64_t max_chars, max_retries;
    struct openai_headers headers;
};

struct openai_config {
    struct str driver, base_url, model, api_key;
    int64_t dimension, batch, max_chars, max_retries;
    bool send_dimension, allow_private;
    json_t *headers;
};

#define FIELD(key, kind, required, max_len, min, max)                                              \
    {                                                                                              \
#key, JSON_FIELD_##kind, required, offsetof(struct openai_config, key), max_len, min, max  \
    }

static const struct json_field openai_fields[] = {
    FIELD(driver, STR, true, 64, 0, 0),
    FIELD(base_url, STR, true, 1024, 0, 0),
    FIELD(model, STR, true, 256, 0, 0),
    FIELD(dimension, INT, true, 0, 1, EMBED_MAX_DIMENSION),
    FIELD(send_dimension, BOOL, false, 0, 0, 0),
    FIELD(api_key, STR, false, 4096, 0, 0),
    FIELD(batch, INT, false, 0, 1, 2048),
    FIELD(max_chars, INT, false, 0, 100, (int64_t)EMBED_MAX_TEXT_BYTES),
    FIELD(max_retries, INT, false, 0, 0, 10),
    FIELD(allow_private, BOOL, false, 0, 0, 0),
    FIELD(headers, OBJECT, false, 0, 0, 0),
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static enum status
openai_open(struct embedder *embedder, const json_t *config, struct err *err)
{
    struct openai_embedder *openai = (struct openai_embedder *)embedder;
    struct arena *arena = embedder->arena;
    struct openai_config read = {
        .batch = DEFAULT_BATCH, .max_chars = DEFAULT_MAX_CHARS, .max_retries = DEFAULT_MAX_RETRIES};
    enum status st = json_read(config, openai_fields, &read, err);

    if (st == ST_OK && read.model.len == 0)
        st = err_set(err, ST_INVALID, "\"model\" is empty");
    if (st == ST_OK && !openai_is_printable(read.api_key))
        st = err_set(err, ST_INVALID, "\"api_key\" is malformed");
    if (st == ST_OK)
        st = openai_take_url(read.base_url, "embeddings", arena, &openai->url, err);
    if (st != ST_OK)
        return st;
    if (embedder->env.http == NULL)
        return err_set_detail(err, ST_INTERNAL, "openai needs an HTTP client");
    openai->model = arena_str(arena, read.model);
    openai->api_key = arena_str(arena, read.api_key);
    openai->send_dimension = read.send_dimension;
    openai->allow_private = read.allow_private;
    openai->max_chars = read.max_chars;
    openai->max_retries = read.max_retries;
    embedder->dimension = (unsigned)read.dimension;
    embedder->max_batch = (size_t)read.batch;
    embedder->version =
        arena_printf(arena, "openai/%.*s/%u", STR_ARG(openai->model), embedder->dimension);
    return openai_take_headers(read.headers, STR("application/json"), openai->api_key, arena,
                               &openai->headers, err);
}

static void
openai_close(struct embedder *embedder)
{
    (void)embedder;
}

/* --- one call --- */

static struct str
body_text(const struct openai_embedder *openai, const struct str *texts, size_t count,
          struct arena *arena)
{
    json_t *body = json_object(), *input = json_array();
    struct str text;

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            input, json_from_str(
                       str_sub(texts[i], 0, str_utf8_floor(texts[i], (size_t)openai->max_chars))));
    json_set_str(body, "model", openai->model);
    json_set(body, "input", input);
    json_set_str(body, "encoding_format", STR("float"));
    if (openai->send_dimension)
        json_set_int(body, "dimensions", openai->base.dimension);
    text = json_text(body, arena);
    json_decref(body);
    return text;
}

static enum status
read_vector(const json_t *entry, unsigned dimension, float *vector, struct err *err)
{
    const json_t *numbers = json_get_array(entry, "embedding");

    if (json_array_size(numbers) != dimension)
        return err_set_detail(err, ST_INVALID, "a vector of the server has %zu numbers, not %u",
                              json_array_size(numbers), dimension);
    for (unsigned i = 0; i < dimension; i++) {
        const json_t *number = json_array_get(numbers, i);

        if (!json_is_number(number))
            return err_set_detail(err, ST_UNAVAILABLE, "a vector of the server holds no numbers");
        vector[i] = (float)json_number_value(number);
    }
    return ST_OK;
}

static enum status
read_answer(const struct openai_embedder *openai, const json_t *answer, size_t count,
            float *vectors_out, struct err *err)
{
    const json_t *data = json_get_array(answer, "data");
    unsigned dimension = openai->base.dimension;
    bool *is_there = calloc(count, sizeof(*is_there));
    enum status st = ST_OK;

    if (is_there == NULL)
        abort();
    if (json_array_size(data) != count)
        st = err_set_detail(err, ST_UNAVAILABLE, "the server gave %zu vectors for %zu texts",
                            json_array_size(data), count);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        const json_t *entry = json_array_get(data, i);
        int64_t index = json_get_int(entry, "index", (int64_t)i);

        if (index < 0 || index >= (int64_t)count || is_there[index]) {
            st = err_set_detail(err, ST_UNAVAILABLE, "the server's vectors are numbered wrongly");
        } else {
            is_there[index] = true;
            st = read_vector(entry, dimension, vectors_out + (size_t)index * dimension, err);
        }
    }
    free(is_there);
    return st;
}

static void
call_once(const struct openai_embedder *openai, const struct str *texts, size_t count,
          unsigned left_ms, struct arena *arena, float *vectors_out, struct openai_attempt *attempt,
          struct err *err)
{
    struct http_reply answer = {0};
    struct http_call call = {
        .method = "POST",
        .url = openai->url,
        .headers = openai->headers.list,
        .header_count = openai->headers.count,
        .body = body_text(openai, texts, count, arena),
        .deadline_ms = left_ms,
        .max_response_bytes = MAX_RESPONSE_BYTES,
        .allow_private_addresses = openai->allow_private,
    };
    json_auto_t *json = NULL;
    enum status st = http_client_call(openai->base.env.http, &call, arena, &answer, err);

    *attempt = (struct openai_attempt){.retry_after_ms = -1};
    if (st != ST_OK) {
        openai_note_transport(st, "embeddings", attempt, err);
        return;
    }
    if (answer.status >= 200 && answer.status <= 299 &&
        json_parse(answer.body, &json, err) != ST_OK) {
        attempt->status = err_set_detail(err, ST_UNAVAILABLE, "the server's answer is no JSON");
        attempt->may_retry = true;
    } else if (json == NULL || openai_error_is(json)) {
        openai_note_refusal(&answer, openai->api_key, attempt, err);
    } else {
        attempt->status = read_answer(openai, json, count, vectors_out, err);
        attempt->may_retry = attempt->status == ST_UNAVAILABLE;
    }
}

static enum status
openai_texts(struct embedder *embedder, const struct str *texts, size_t count, int64_t deadline_us,
             float *vectors_out, struct err *err)
{
    struct openai_embedder *openai = (struct openai_embedder *)embedder;
    struct arena *arena = arena_create(CALL_ARENA_BYTES);
    struct openai_attempt attempt = {.status = ST_UNAVAILABLE, .may_retry = true};
    int64_t left_ms = openai_left_ms(deadline_us);

    (void)err_set_detail(err, ST_UNAVAILABLE, "the deadline came first");
    for (unsigned tries = 0; left_ms > 0; tries++) {
        int64_t pause_ms;

        call_once(openai, texts, count, (unsigned)left_ms, arena, vectors_out, &attempt, err);
        arena_reset(arena);
        left_ms = openai_left_ms(deadline_us);
        if (attempt.status == ST_OK || !attempt.may_retry || (int64_t)tries >= openai->max_retries)
            break;
        pause_ms = openai_retry_wait_ms(&attempt, tries, left_ms);
        if (pause_ms < 0)
            break;
        openai_wait_ms(pause_ms);
        left_ms = openai_left_ms(deadline_us);
    }
    arena_destroy(&arena);
    /* Nothing was written anywhere: after a call without an answer another one does no harm. */
    return attempt.status == ST_UNCERTAIN
               ? err_set_detail(err, ST_UNAVAILABLE, "no answer came before the deadline")
               : attempt.status;
}

const struct embed_driver embed_driver_openai = {
    .name = "openai",
    .size = sizeof(struct openai_embedder),
    .open = openai_open,
    .close = openai_close,
    .texts = openai_texts,
};
