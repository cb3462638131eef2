/*
 * openai_chat.c - any endpoint that speaks OpenAI's chat completions
 *
 *   {"driver": "openai_chat", "base_url": "https://api.openai.com/v1", "model": "…", "api_key":
 * "…", "temperature": 0.2, "max_output_tokens": 800, "max_tokens_field": "max_completion_tokens",
 *    "timeout_ms": 60000, "stall_ms": 30000, "max_retries": 2, "system_role": "system",
 *    "stream": true, "allow_private": false, "headers": {"X-Title": "…"}}
 *
 *   request --> call --> answer whole? --> reply
 *     ^           | refused a parameter: again without it, once for each, and so for later requests
 *     '---wait----| passing, and no text was shown: again by the official client's rule
 *
 * The rule is in openai_call.h.
 */
#include "model/model_driver.h"

#include <stdatomic.h>

#include "base/log.h"
#include "model/drivers/openai_call.h"
#include "model/drivers/openai_stream.h"
#include "text/json.h"

#define DEFAULT_TIMEOUT_MS 60000
#define DEFAULT_STALL_MS 30000
#define DEFAULT_MAX_RETRIES 2
#define MAX_RESPONSE_BYTES ((size_t)32 * 1024 * 1024)
#define MAX_PARAMETERS 4

struct openai_model {
    struct model base;
    struct str url, model, api_key, system_role;
    bool has_temperature;
    double temperature;
    int64_t max_output_tokens, timeout_ms, stall_ms, max_retries;
    bool stream, allow_private;
    struct openai_headers headers;
    /* enum openai_parameter: what the server refused. Only grows. */
    _Atomic unsigned refused;
};

/* --- configuration --- */

struct openai_config {
    struct str driver, base_url, model, api_key, system_role, max_tokens_field;
    double temperature;
    int64_t max_output_tokens, timeout_ms, stall_ms, max_retries;
    bool stream, allow_private;
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
    FIELD(api_key, STR, false, 4096, 0, 0),
    FIELD(system_role, STR, false, 16, 0, 0),
    FIELD(max_tokens_field, STR, false, 32, 0, 0),
    FIELD(temperature, DOUBLE, false, 0, 0, 0),
    FIELD(max_output_tokens, INT, false, 0, 1, 1000000),
    FIELD(timeout_ms, INT, false, 0, 100, 3600000),
    FIELD(stall_ms, INT, false, 0, 100, 3600000),
    FIELD(max_retries, INT, false, 0, 0, 10),
    FIELD(stream, BOOL, false, 0, 0, 0),
    FIELD(allow_private, BOOL, false, 0, 0, 0),
    FIELD(headers, OBJECT, false, 0, 0, 0),
    {NULL, JSON_FIELD_STR, false, 0, 0, 0, 0},
};

static enum status
check_words(const struct openai_config *read, struct err *err)
{
    if (!str_eq(read->system_role, STR("system")) && !str_eq(read->system_role, STR("developer")))
        return err_set(err, ST_INVALID, "\"system_role\" must be system or developer");
    if (!str_eq(read->max_tokens_field, STR("max_completion_tokens")) &&
        !str_eq(read->max_tokens_field, STR("max_tokens")))
        return err_set(err, ST_INVALID,
                       "\"max_tokens_field\" must be max_completion_tokens or max_tokens");
    if (read->temperature > 2)
        return err_set(err, ST_INVALID, "\"temperature\" must be from 0 to 2");
    if (!openai_is_printable(read->api_key))
        return err_set(err, ST_INVALID, "\"api_key\" is malformed");
    if (read->model.len == 0)
        return err_set(err, ST_INVALID, "\"model\" is empty");
    return ST_OK;
}

static enum status
openai_open(struct model *model, const json_t *config, struct err *err)
{
    struct openai_model *openai = (struct openai_model *)model;
    struct openai_config read = {.system_role = STR("system"),
                                 .max_tokens_field = STR("max_completion_tokens"),
                                 .temperature = -1,
                                 .timeout_ms = DEFAULT_TIMEOUT_MS,
                                 .stall_ms = DEFAULT_STALL_MS,
                                 .max_retries = DEFAULT_MAX_RETRIES,
                                 .stream = true};
    enum status st = json_read(config, openai_fields, &read, err);

    if (st == ST_OK)
        st = check_words(&read, err);
    if (st == ST_OK)
        st = openai_take_url(read.base_url, "chat/completions", model->arena, &openai->url, err);
    if (st != ST_OK)
        return st;
    if (model->env.http == NULL)
        return err_set_detail(err, ST_INTERNAL, "openai_chat needs an HTTP client");
    openai->model = arena_str(model->arena, read.model);
    openai->api_key = arena_str(model->arena, read.api_key);
    openai->system_role = arena_str(model->arena, read.system_role);
    openai->has_temperature = json_object_get(config, "temperature") != NULL;
    openai->temperature = read.temperature;
    if (openai->has_temperature && read.temperature < 0)
        return err_set(err, ST_INVALID, "\"temperature\" must be from 0 to 2");
    openai->max_output_tokens = read.max_output_tokens;
    openai->timeout_ms = read.timeout_ms;
    openai->stall_ms = read.stall_ms;
    openai->max_retries = read.max_retries;
    openai->stream = read.stream;
    openai->allow_private = read.allow_private;
    /* A name for one of the two fields is the refusal of the other, known in advance. */
    atomic_init(&openai->refused, str_eq(read.max_tokens_field, STR("max_tokens"))
                                      ? OPENAI_MAX_COMPLETION_TOKENS
                                      : 0U);
    model->name = str_sub(openai->model, 0, str_utf8_floor(openai->model, MODEL_MAX_NAME_BYTES));
    return openai_take_headers(read.headers,
                               openai->stream ? STR("text/event-stream, application/json")
                                              : STR("application/json"),
                               openai->api_key, model->arena, &openai->headers, err);
}

static void
openai_close(struct model *model)
{
    (void)model;
}

/* --- one call --- */

static json_t *
messages_json(const struct openai_model *openai, const struct model_request *request)
{
    json_t *messages = json_array();

    for (size_t i = 0; i < request->message_count; i++) {
        const struct model_message *from = &request->messages[i];
        json_t *message = json_object();
        struct str role = STR("user");

        if (from->role == MODEL_SYSTEM)
            role = openai->system_role;
        else if (from->role == MODEL_ASSISTANT)
            role = STR("assistant");
        json_set_str(message, "role", role);
        json_set(message, "content", json_from_str(from->text));
        (void)json_array_append_new(messages, message);
    }
    return messages;
}

static struct str
body_text(const struct openai_model *openai, const struct model_request *request, unsigned refused,
          struct arena *arena)
{
    json_t *body = json_object();
    int64_t max_tokens =
        request->max_output_tokens > 0 ? request->max_output_tokens : openai->max_output_tokens;
    struct str text;

    json_set_str(body, "model", openai->model);
    json_set(body, "messages", messages_json(openai, request));
    if (openai->has_temperature && (refused & OPENAI_TEMPERATURE) == 0)
        json_set_double(body, "temperature", openai->temperature);
    if (max_tokens > 0 && (refused & OPENAI_MAX_COMPLETION_TOKENS) == 0)
        json_set_int(body, "max_completion_tokens", max_tokens);
    else if (max_tokens > 0 && (refused & OPENAI_MAX_TOKENS) == 0)
        json_set_int(body, "max_tokens", max_tokens);
    json_set_bool(body, "stream", openai->stream);
    if (openai->stream && (refused & OPENAI_STREAM_OPTIONS) == 0) {
        json_t *options = json_object();

        json_set_bool(options, "include_usage", true);
        json_set(body, "stream_options", options);
    }
    text = json_text(body, arena);
    json_decref(body);
    return text;
}

static bool
on_bytes(struct str bytes, void *context)
{
    return openai_stream_push(context, bytes);
}

static void
call_once(struct openai_model *openai, const struct model_request *request, unsigned left_ms,
          unsigned refused, struct model_sink *sink, struct arena *arena, struct model_reply *reply,
          struct openai_attempt *attempt, struct err *err)
{
    struct openai_stream stream;
    struct http_reply answer = {0};
    struct http_call call = {
        .method = "POST",
        .url = openai->url,
        .headers = openai->headers.list,
        .header_count = openai->headers.count,
        .body = body_text(openai, request, refused, arena),
        .deadline_ms = left_ms,
        /* Without a stream nothing comes until all is made: only the deadline tells. */
        .stall_ms = openai->stream ? (unsigned)openai->stall_ms : 0,
        .max_response_bytes = MAX_RESPONSE_BYTES,
        .allow_private_addresses = openai->allow_private,
        .sink = on_bytes,
        .sink_context = &stream,
    };
    enum status st;

    *attempt = (struct openai_attempt){.retry_after_ms = -1};
    openai_stream_init(&stream, sink, openai->api_key);
    st = http_client_call(openai->base.env.http, &call, arena, &answer, err);
    if (st == ST_OK && (answer.status < 200 || answer.status > 299)) {
        openai_note_refusal(&answer, openai->api_key, attempt, err);
    } else if (st != ST_OK && !(st == ST_UNCERTAIN && stream.is_done)) {
        openai_note_transport(st, "chat completion", attempt, err);
    } else {
        attempt->status = openai_stream_end(&stream, reply, err);
        attempt->may_retry = attempt->status == ST_UNAVAILABLE || attempt->status == ST_BUSY;
        if (stream.has_error) {
            attempt->may_retry = stream.error.may_retry;
            attempt->refused = stream.error.refused;
            attempt->retry_after_ms = answer.retry_after_ms;
        }
    }
    openai_stream_deinit(&stream);
}

/* --- all of a request --- */

static enum status
openai_complete(struct model *model, const struct model_request *request, struct model_sink *sink,
                struct arena *arena, struct model_reply *reply, struct err *err)
{
    struct openai_model *openai = (struct openai_model *)model;
    int64_t allowed_ms =
        request->deadline_ms < openai->timeout_ms ? request->deadline_ms : openai->timeout_ms;
    /* The network lives by the system's clock, also when a test stands still. */
    int64_t deadline_us = clock_mono_us(clock_system()) + allowed_ms * US_PER_MS;
    int64_t left_ms = allowed_ms, pause_ms;
    unsigned retries = 0, parameters = 0;
    struct openai_attempt attempt = {.status = ST_INVALID};

    if (request->message_count == 0)
        return err_set_detail(err, ST_INVALID, "no messages to send");
    for (size_t i = 0; i < request->message_count; i++) {
        if (!str_is_utf8(request->messages[i].text))
            return err_set_detail(err, ST_INVALID, "message %zu is not UTF-8", i);
    }
    while (left_ms > 0) {
        unsigned refused = atomic_load(&openai->refused);

        call_once(openai, request, (unsigned)left_ms, refused, sink, arena, reply, &attempt, err);
        if (attempt.status == ST_OK || !model_sink_restart(sink))
            return attempt.status;
        left_ms = openai_left_ms(deadline_us);
        if ((attempt.refused & ~refused) != 0 && parameters++ < MAX_PARAMETERS) {
            atomic_fetch_or(&openai->refused, attempt.refused);
            LOG(LOG_INFO, "model.parameter_refused", log_str("model", model->name),
                log_int("parameters", attempt.refused));
            continue;
        }
        if (!attempt.may_retry || (int64_t)retries >= openai->max_retries)
            return attempt.status;
        pause_ms = openai_retry_wait_ms(&attempt, retries++, left_ms);
        if (pause_ms < 0)
            return attempt.status;
        openai_wait_ms(pause_ms);
        left_ms = openai_left_ms(deadline_us);
    }
    return attempt.status;
}

const struct model_driver model_driver_openai_chat = {
    .name = "openai_chat",
    .caps = MODEL_READS_MESSAGES | MODEL_CAN_BE_AWAY,
    .size = sizeof(struct openai_model),
    .open = openai_open,
    .close = openai_close,
    .complete = openai_complete,
};
