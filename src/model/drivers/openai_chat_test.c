/*
 * openai_chat_test.c - the driver against a server in this process that answers from a script
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "model/drivers/openai_stream.h"
#include "model/model_conformance.h"
#include "net/http_server.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define MAX_STEPS 8
#define KEY "sk-secret-key-of-the-test"

/* One answer of the server. */
struct step {
    int status; /* 0: 200 */
    const char *content_type;
    const char *header, *header_value;
    const char *body;
    bool stall; /* sends body as a stream's beginning and then nothing */
};

static struct {
    pthread_mutex_t lock;
    const struct step *steps;
    size_t count, next;
    json_t *requests; /* bodies */
    bool key_ok;
    struct http_stream *stalled;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct http_server *server;
static struct http_client *client;

#define CHUNK(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FINISH(reason)                                                                             \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"
#define USAGE                                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,"               \
    "\"total_tokens\":15}}\n\n"
#define DONE "data: [DONE]\n\n"

static const struct step whole = {.body = CHUNK("On Saturday ") CHUNK("at nine. [1]") FINISH("stop")
                                      USAGE DONE};

static void
answer_step(const struct step *step, struct http_response *resp)
{
    if (step->stall) {
        struct http_stream *stream =
            http_respond_stream(resp, &(struct http_stream_config){.max_pending_bytes = 65536});
        struct err err;

        assert_int_equal(http_stream_send(stream, STR_EMPTY, STR_EMPTY,
                                          STR("{\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                                              "\"slow\"}}]}"),
                                          &err),
                         ST_OK);
        if (script.stalled != NULL)
            http_stream_unref(&script.stalled);
        script.stalled = stream; /* stays open until the client gives up */
        return;
    }
    if (step->header != NULL)
        http_respond_header(resp, step->header, str_from_c(step->header_value));
    http_respond(resp, step->status == 0 ? 200 : step->status,
                 step->content_type == NULL ? "text/event-stream" : step->content_type,
                 str_from_c(step->body));
}

static void
handle(struct http_request *req, struct http_response *resp, void *context)
{
    json_t *body = NULL;
    struct err err;

    (void)context;
    pthread_mutex_lock(&script.lock);
    if (json_parse(req->body, &body, &err) == ST_OK)
        (void)json_array_append_new(script.requests, body);
    if (!str_eq_c(http_request_header(req, "authorization"), "Bearer " KEY))
        script.key_ok = false;
    if (script.steps == NULL)
        answer_step(&whole, resp);
    else
        answer_step(&script.steps[script.next < script.count ? script.next : script.count - 1],
                    resp);
    script.next++;
    pthread_mutex_unlock(&script.lock);
}

static void
script_set(const struct step *steps, size_t count)
{
    pthread_mutex_lock(&script.lock);
    script.steps = steps;
    script.count = count;
    script.next = 0;
    script.key_ok = true;
    (void)json_array_clear(script.requests);
    pthread_mutex_unlock(&script.lock);
}

static int
set_up(void **state)
{
    static const struct http_route routes[] = {
        {.method = HTTP_POST, .pattern = "/v1/chat/completions", .handler = handle}};
    struct http_server_config config = {.listen = "127.0.0.1:0",
                                        .epoll_threads = 1,
                                        .workers = 4,
                                        .max_queued = 64,
                                        .max_connections = 64,
                                        .idle_timeout_s = 30,
                                        .max_body_bytes = 1 << 20,
                                        .heartbeat_ms = 60000};
    struct http_client_config client_config = {0};
    struct err err;

    (void)state;
    script.requests = json_array();
    if (http_server_start(&config, routes, 1, &server, &err) != ST_OK ||
        http_client_create(&client_config, &client, &err) != ST_OK) {
        fprintf(stderr, "%s\n", err.detail);
        return -1;
    }
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    if (script.stalled != NULL) {
        http_stream_close(script.stalled);
        http_stream_unref(&script.stalled);
    }
    http_client_destroy(&client);
    http_server_stop(&server, 2000);
    json_decref(script.requests);
    return 0;
}

/* extra: more keys, each begun with a comma. */
static json_t *
config_of(const char *extra)
{
    char text[2048];
    json_t *config;
    struct err err;

    (void)snprintf(text, sizeof(text),
                   "{\"driver\":\"openai_chat\",\"base_url\":\"http://127.0.0.1:%u/v1/\","
                   "\"model\":\"gpt-5.4-mini\",\"api_key\":\"" KEY "\",\"allow_private\":true%s}",
                   http_server_port(server), extra);
    assert_int_equal(json_parse(str_from_c(text), &config, &err), ST_OK);
    return config;
}

static struct model_env
env_of(void)
{
    return (struct model_env){.http = client, .clock = clock_system()};
}

static void
test_conformance(void **state)
{
    struct model_env env = env_of();
    json_t *config = config_of("");

    (void)state;
    script_set(NULL, 0);
    model_conformance_run(&env, config);
    assert_true(script.key_ok);
    json_decref(config);
}

static bool
gather(struct str piece, void *context)
{
    buf_append(context, piece);
    return true;
}

struct outcome {
    enum status st;
    struct model_reply reply;
    struct err err;
    struct arena *arena;
    size_t calls;
};

static struct outcome
ask(const char *extra, const struct step *steps, size_t count, unsigned deadline_ms, bool reading)
{
    static const struct model_message messages[] = {
        {MODEL_SYSTEM, STR_INIT("Be brief.")},
        {MODEL_USER, STR_INIT("Saturday?")},
        {MODEL_ASSISTANT, STR_INIT("What about it?")},
        {MODEL_USER, STR_INIT("When do you open?")},
    };
    struct model_request request = {
        .messages = messages, .message_count = 4, .deadline_ms = deadline_ms};
    struct outcome outcome = {.arena = arena_create(ARENA_BYTES)};
    struct model_env env = env_of();
    json_t *config = config_of(extra);
    struct model *model;
    struct buf seen;

    buf_init(&seen, ARENA_BYTES);
    script_set(steps, count);
    assert_int_equal(model_open(&env, config, &model, &outcome.err), ST_OK);
    outcome.st = model_complete(model, &request, reading ? gather : NULL, &seen, outcome.arena,
                                &outcome.reply, &outcome.err);
    outcome.calls = script.next;
    if (outcome.st == ST_OK && reading)
        assert_true(str_eq(buf_str(&seen), outcome.reply.text));
    if (outcome.st != ST_OK) {
        assert_null(strstr(outcome.err.detail, KEY));
        assert_null(strstr(outcome.err.public_text, KEY));
    }
    model_close(&model);
    json_decref(config);
    buf_deinit(&seen);
    return outcome;
}

#define OBJECT(content, finish)                                                                    \
    "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"     \
    "" content "},\"finish_reason\":\"" finish "\"}],\"usage\":{\"prompt_tokens\":7,"              \
    "\"completion_tokens\":3}}"

static const struct {
    const char *name;
    struct step step;
    const char *text;
    enum model_finish finish;
    int64_t prompt_tokens;
} answers[] = {
    {"whole", {.body = CHUNK("a") CHUNK("b") FINISH("stop") USAGE DONE}, "ab", 0, 10},
    {"no [DONE]", {.body = CHUNK("ab") FINISH("stop")}, "ab", 0, -1},
    {"no finish reason", {.body = CHUNK("ab") DONE}, "ab", 0, -1},
    {"last event without its blank line", {.body = CHUNK("ab") "data: [DONE]"}, "ab", 0, -1},
    {"length", {.body = CHUNK("ab") FINISH("length") DONE}, "ab", MODEL_FINISH_LENGTH, -1},
    {"filter", {.body = CHUNK("ab") FINISH("content_filter") DONE}, "ab", MODEL_FINISH_FILTER, -1},
    {"filter before any text",
     {.body = FINISH("content_filter") DONE},
     "",
     MODEL_FINISH_FILTER,
     -1},
    {"unknown finish reason", {.body = CHUNK("ab") FINISH("eos") DONE}, "ab", 0, -1},
    {"comments and empty choices",
     {.body =
          ": OPENROUTER PROCESSING\n\ndata: {\"choices\":[]}\n\n" CHUNK("ab") FINISH("stop") DONE},
     "ab",
     0,
     -1},
    {"null and empty content, other choice",
     {.body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
              "\"content\":null}}]}\n\n"
              "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}\n\n" CHUNK("")
                  CHUNK("ab") FINISH("stop") DONE},
     "ab",
     0,
     -1},
    {"CR LF",
     {.body = "data: {\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}\r\n\r\n"
              "data: [DONE]\r\n\r\n"},
     "ab",
     0,
     -1},
    {"reasoning fields",
     {.body = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\","
              "\"reasoning\":\"hm\",\"thinking\":\"hm\"}}]}\n\n" CHUNK("ab") DONE},
     "ab",
     0,
     -1},
    {"think block",
     {.body = CHUNK("<th") CHUNK("ink>so ") CHUNK("</thi") CHUNK("nk>\\n\\na") CHUNK("b") DONE},
     "ab",
     0,
     -1},
    {"no think block", {.body = CHUNK("<t") CHUNK("able>") DONE}, "<table>", 0, -1},
    {"content parts",
     {.body = "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":"
              "\"ab\"}]}}]}\n\n" DONE},
     "ab",
     0,
     -1},
    {"an object though a stream was asked for",
     {.content_type = "application/json", .body = OBJECT("\"ab\"", "stop")},
     "ab",
     0,
     7},
    {"error: null beside choices",
     {.body = "data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"ab\"}}]}\n\n" DONE},
     "ab",
     0,
     -1},
};

static void
test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct outcome got = ask("", &answers[i].step, 1, 5000, true);

        if (got.st != ST_OK)
            fail_msg("%s: %s", answers[i].name, got.err.detail);
        if (!str_eq_c(got.reply.text, answers[i].text) || got.reply.finish != answers[i].finish ||
            got.reply.prompt_tokens != answers[i].prompt_tokens || got.calls != 1)
            fail_msg("%s: \"%.*s\"", answers[i].name, STR_ARG(got.reply.text));
        arena_destroy(&got.arena);
    }
}

#define ERROR(fields) "{\"error\":{" fields "}}"
#define JSON_TYPE .content_type = "application/json"

static const struct {
    const char *name;
    struct step step;
    enum status want;
    size_t calls; /* with at most one retry */
} failures[] = {
    {"wrong key",
     {401, JSON_TYPE,
      .body = ERROR("\"message\":\"bad key " KEY "\",\"code\":\"invalid_api_key\"")},
     ST_DENIED,
     1},
    {"credits", {402, JSON_TYPE, .body = ERROR("\"code\":402,\"message\":\"pay\"")}, ST_DENIED, 1},
    {"country", {403, JSON_TYPE, .body = "{}"}, ST_DENIED, 1},
    {"no such model",
     {404, JSON_TYPE, .body = ERROR("\"code\":\"model_not_found\"")},
     ST_DENIED,
     1},
    {"quota", {429, JSON_TYPE, .body = ERROR("\"code\":\"insufficient_quota\"")}, ST_DENIED, 1},
    {"quota by type",
     {429, JSON_TYPE, .body = ERROR("\"type\":\"insufficient_quota\"")},
     ST_DENIED,
     1},
    {"rate",
     {429, JSON_TYPE, "Retry-After", "0", ERROR("\"code\":\"rate_limit_exceeded\"")},
     ST_BUSY,
     2},
    {"rate with a wait beyond the deadline",
     {429, JSON_TYPE, "Retry-After", "100", "{}"},
     ST_BUSY,
     1},
    {"rate with a wait beyond reason", {429, JSON_TYPE, "Retry-After", "1000", "{}"}, ST_BUSY, 1},
    {"overflow",
     {400, JSON_TYPE, .body = ERROR("\"code\":\"context_length_exceeded\"")},
     ST_TOO_LARGE,
     1},
    {"overflow of llama.cpp",
     {400, JSON_TYPE, .body = ERROR("\"code\":400,\"type\":\"exceed_context_size_error\"")},
     ST_TOO_LARGE,
     1},
    {"overflow in words, code 500",
     {500, JSON_TYPE,
      .body = ERROR("\"code\":500,\"message\":\"the request exceeds the "
                    "available context size\"")},
     ST_TOO_LARGE,
     1},
    {"body too large", {413, JSON_TYPE, .body = "{}"}, ST_TOO_LARGE, 1},
    {"bad request", {400, JSON_TYPE, .body = ERROR("\"message\":\"no\"")}, ST_INVALID, 1},
    {"plain string", {400, JSON_TYPE, .body = "{\"error\":\"model is required\"}"}, ST_INVALID, 1},
    {"redirect", {302, "text/html", "Location", "/v2", "", false}, ST_INVALID, 1},
    {"server error, no JSON",
     {500, "text/html", "Retry-After", "0", "<h1>oops</h1>", false},
     ST_UNAVAILABLE,
     2},
    {"told not to", {500, JSON_TYPE, "x-should-retry", "false", "{}"}, ST_UNAVAILABLE, 1},
    {"told to", {400, JSON_TYPE, "x-should-retry", "true", "{}"}, ST_INVALID, 2},
    {"a wait in milliseconds", {503, JSON_TYPE, "retry-after-ms", "3", "{}"}, ST_UNAVAILABLE, 2},
    {"loading",
     {503, JSON_TYPE, "Retry-After", "0", ERROR("\"code\":503,\"type\":\"unavailable_error\"")},
     ST_UNAVAILABLE,
     2},
    {"200 with an error",
     {200, JSON_TYPE, "Retry-After", "0", ERROR("\"code\":502,\"message\":\"provider is down\"")},
     ST_UNAVAILABLE,
     2},
    {"200 with credits error", {200, JSON_TYPE, .body = ERROR("\"code\":402")}, ST_DENIED, 1},
    {"200 with a string",
     {200, JSON_TYPE, "Retry-After", "0", "{\"error\":\"model crashed\"}"},
     ST_UNAVAILABLE,
     2},
    {"200 with rate limit",
     {200, JSON_TYPE, "Retry-After", "0", ERROR("\"code\":429")},
     ST_BUSY,
     2},
    {"detail", {422, JSON_TYPE, .body = "{\"detail\":\"unprocessable\"}"}, ST_INVALID, 1},
    {"tokens used up before text", {.body = FINISH("length") DONE}, ST_INVALID, 1},
};

static void
test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct outcome got = ask(",\"max_retries\":1", &failures[i].step, 1, 5000, true);

        if (got.st != failures[i].want || got.err.code != failures[i].want ||
            got.calls != failures[i].calls)
            fail_msg("%s: %s after %zu calls: %s", failures[i].name, status_name(got.st), got.calls,
                     got.err.detail);
        arena_destroy(&got.arena);
    }
}

/* Failures in the stream: repeated while nobody has seen text, never after. */
static void
test_broken_streams(void **state)
{
    static const struct {
        const char *name;
        const char *body;
        enum status want;
    } cases[] = {
        {"error event", CHUNK("a") "data: {\"error\":{\"message\":\"x\",\"code\":502}}\n\n",
         ST_UNAVAILABLE},
        {"finish reason error", CHUNK("a") FINISH("error"), ST_UNAVAILABLE},
        {"string error", CHUNK("a") "data: {\"error\":\"x\"}\n\n", ST_UNAVAILABLE},
        {"no end", CHUNK("a"), ST_UNAVAILABLE},
        {"not JSON", CHUNK("a") "data: {\"choices\n\n", ST_UNAVAILABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct step steps[] = {{.header = "Retry-After", .header_value = "0"}, whole};
        struct outcome got;

        steps[0].body = cases[i].body;
        got = ask("", steps, 2, 8000, true);
        if (got.st != cases[i].want || got.calls != 1)
            fail_msg("%s, seen: %s after %zu calls", cases[i].name, status_name(got.st), got.calls);
        arena_destroy(&got.arena);
        got = ask("", steps, 2, 8000, false);
        if (got.st != ST_OK || got.calls != 2 ||
            !str_eq_c(got.reply.text, "On Saturday at nine. [1]"))
            fail_msg("%s, not seen: %s after %zu calls", cases[i].name, status_name(got.st),
                     got.calls);
        arena_destroy(&got.arena);
    }
}

static void
test_empty_answer_is_repeated(void **state)
{
    struct step steps[] = {{.header = "Retry-After", .header_value = "0", .body = DONE}, whole};
    struct outcome got = ask("", steps, 2, 8000, true);

    (void)state;
    assert_int_equal(got.st, ST_OK);
    assert_int_equal(got.calls, 2);
    arena_destroy(&got.arena);
}

static const json_t *
request_body(size_t index)
{
    return json_array_get(script.requests, index);
}

static void
test_request_body(void **state)
{
    struct outcome got = ask(",\"temperature\":0.25,\"max_output_tokens\":99,"
                             "\"system_role\":\"developer\",\"headers\":{\"X-Title\":\"Parley\"}",
                             &whole, 1, 5000, true);
    const json_t *body = request_body(0), *messages;

    (void)state;
    assert_int_equal(got.st, ST_OK);
    assert_int_equal(got.reply.completion_tokens, 5);
    assert_true(str_eq_c(got.reply.model_name, "gpt-5.4-mini"));
    assert_true(str_eq_c(json_get_str(body, "model"), "gpt-5.4-mini"));
    assert_true(json_real_value(json_object_get(body, "temperature")) == 0.25);
    assert_int_equal(json_get_int(body, "max_completion_tokens", 0), 99);
    assert_null(json_object_get(body, "max_tokens"));
    assert_true(json_get_bool(body, "stream", false));
    assert_true(json_get_bool(json_get_object(body, "stream_options"), "include_usage", false));
    messages = json_get_array(body, "messages");
    assert_int_equal(json_array_size(messages), 4);
    assert_true(str_eq_c(json_get_str(json_array_get(messages, 0), "role"), "developer"));
    assert_true(str_eq_c(json_get_str(json_array_get(messages, 2), "role"), "assistant"));
    assert_true(
        str_eq_c(json_get_str(json_array_get(messages, 3), "content"), "When do you open?"));
    arena_destroy(&got.arena);
}

static void
test_without_stream(void **state)
{
    static const struct step step = {JSON_TYPE, .body = OBJECT("\"At nine.\"", "stop")};
    struct outcome got = ask(",\"stream\":false,\"max_tokens_field\":\"max_tokens\","
                             "\"max_output_tokens\":50",
                             &step, 1, 5000, true);

    (void)state;
    assert_int_equal(got.st, ST_OK);
    assert_true(str_eq_c(got.reply.text, "At nine."));
    assert_int_equal(got.reply.prompt_tokens, 7);
    assert_false(json_get_bool(request_body(0), "stream", true));
    assert_null(json_object_get(request_body(0), "stream_options"));
    assert_int_equal(json_get_int(request_body(0), "max_tokens", 0), 50);
    assert_null(json_object_get(request_body(0), "max_completion_tokens"));
    arena_destroy(&got.arena);
}

static void
test_rejected_parameters(void **state)
{
    static const struct step steps[] = {
        {400, JSON_TYPE,
         .body = ERROR("\"message\":\"Unsupported parameter: 'max_completion_tokens'\","
                       "\"type\":\"invalid_request_error\",\"param\":\"max_completion_tokens\","
                       "\"code\":\"unsupported_parameter\"")},
        {400, JSON_TYPE,
         .body = ERROR("\"message\":\"temperature does not support 0.5 with this model\","
                       "\"param\":\"temperature\",\"code\":\"unsupported_value\"")},
        {.body = CHUNK("fine") DONE},
    };
    struct outcome got = ask(",\"temperature\":0.5,\"max_output_tokens\":40,\"max_retries\":0",
                             steps, 3, 5000, true);

    (void)state;
    assert_int_equal(got.st, ST_OK);
    assert_int_equal(got.calls, 3);
    assert_int_equal(json_get_int(request_body(1), "max_tokens", 0), 40);
    assert_null(json_object_get(request_body(1), "max_completion_tokens"));
    assert_non_null(json_object_get(request_body(1), "temperature"));
    assert_null(json_object_get(request_body(2), "temperature"));
    arena_destroy(&got.arena);

    /* A server that refuses it again is not asked for ever. */
    got = ask(",\"temperature\":0.5", &steps[1], 1, 5000, true);
    assert_int_equal(got.st, ST_INVALID);
    assert_int_equal(got.calls, 2);
    arena_destroy(&got.arena);
}

static void
test_waits_no_longer_than_asked(void **state)
{
    static const struct step slow = {.stall = true};
    struct outcome got = ask(",\"stall_ms\":200,\"max_retries\":0", &slow, 1, 20000, true);

    (void)state;
    assert_int_equal(got.st, ST_UNCERTAIN);
    assert_true(got.reply.latency_ms < 10000); /* the stall guard, not the deadline */
    arena_destroy(&got.arena);

    got = ask(",\"stall_ms\":20000,\"max_retries\":2", &slow, 1, 300, true);
    assert_int_equal(got.st, ST_UNCERTAIN);
    assert_true(got.reply.latency_ms >= 290 && got.reply.latency_ms < 10000);
    assert_int_equal(got.calls, 1);
    arena_destroy(&got.arena);
}

static void
test_nobody_listens(void **state)
{
    struct model_env env = env_of();
    json_t *config = config_of(",\"max_retries\":0");
    struct model_message message = {MODEL_USER, STR("hello")};
    struct model_request request = {.messages = &message, .message_count = 1, .deadline_ms = 2000};
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_reply reply;
    struct model *model;
    struct err err;

    (void)state;
    json_set_str(config, "base_url", STR("http://127.0.0.1:1/v1"));
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err),
                     ST_UNAVAILABLE);
    model_close(&model);

    /* Private targets need the operator's word. */
    json_set_bool(config, "allow_private", false);
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_DENIED);
    model_close(&model);
    json_decref(config);
    arena_destroy(&arena);
}

static void
test_bad_configurations(void **state)
{
    static const char *const extras[] = {
        ",\"system_role\":\"user\"",
        ",\"max_tokens_field\":\"tokens\"",
        ",\"temperature\":3",
        ",\"temperature\":-0.5",
        ",\"timeout_ms\":1",
        ",\"stream\":\"yes\"",
        ",\"headers\":{\"A\":\"b\\r\\nc\"}",
        ",\"headers\":{\"A\":7}",
        ",\"organisation\":\"x\"",
    };
    static const char *const urls[] = {"", "ftp://x/v1", "api.openai.com/v1",
                                       "https://user:pw@x/v1", "https://x/v1?key=1"};
    struct model_env env = env_of();
    struct model *model;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        json_t *config = config_of(extras[i]);

        if (model_open(&env, config, &model, &err) != ST_INVALID)
            fail_msg("accepted: %s", extras[i]);
        json_decref(config);
    }
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        json_t *config = config_of("");

        json_set_str(config, "base_url", str_from_c(urls[i]));
        if (model_open(&env, config, &model, &err) != ST_INVALID)
            fail_msg("accepted: %s", urls[i]);
        json_decref(config);
    }
}

/* However the bytes are cut, the text is the same. */
static void
test_bytes_cut_anywhere(void **state)
{
    static const char body[] = "\xef\xbb\xbf: ping\r\n\r\n" CHUNK("Gr\xc3\xbc\xc3\x9f")
        CHUNK("e \xf0\x9f\x8e\x89") FINISH("stop") USAGE DONE;

    (void)state;
    for (size_t size = 1; size < sizeof(body); size++) {
        struct model_sink *sink = model_sink_create(clock_system(), NULL, NULL);
        struct model_reply reply = {0};
        struct openai_stream stream;
        struct err err;

        openai_stream_init(&stream, sink, STR_EMPTY);
        for (size_t at = 0; at < sizeof(body) - 1; at += size)
            assert_true(
                openai_stream_push(&stream, str_sub(str_of(body, sizeof(body) - 1), at, size)));
        assert_int_equal(openai_stream_end(&stream, &reply, &err), ST_OK);
        assert_true(str_eq_c(model_sink_so_far(sink), "Gr\xc3\xbc\xc3\x9f"
                                                      "e \xf0\x9f\x8e\x89"));
        assert_int_equal(reply.prompt_tokens, 10);
        openai_stream_deinit(&stream);
        model_sink_destroy(&sink);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_broken_streams),
        cmocka_unit_test(test_empty_answer_is_repeated),
        cmocka_unit_test(test_request_body),
        cmocka_unit_test(test_without_stream),
        cmocka_unit_test(test_rejected_parameters),
        cmocka_unit_test(test_waits_no_longer_than_asked),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_bytes_cut_anywhere),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
