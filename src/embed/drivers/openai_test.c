/*
 * openai_test.c - the driver against a server in this process that answers from a script
 *
 * Its vectors are those of the fake embedder, of DIMENSION numbers, and not of length 1.
 */
#include "base/testing.h"

#include <pthread.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "embed/embed_conformance.h"
#include "embed/embed_driver.h"
#include "net/http_server.h"
#include "text/json.h"

#define DIMENSION 32
#define KEY "sk-secret-key-of-the-test"
#define DEADLINE_MS 20000

/* One answer of the server. body NULL: vectors of the request's texts. */
struct step {
    int status; /* 0: 200 */
    const char *header, *header_value;
    const char *body;
    int twist; /* 1: backwards, 2: one too few, 3: an index twice, 4: short vectors, 5: words */
};

static struct {
    pthread_mutex_t lock;
    const struct step *steps;
    size_t count, next;
    json_t *requests;
    bool key_ok;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct http_server *server;
static struct http_client *client;

static json_t *
vector_json(struct str text, unsigned dimension)
{
    float vector[DIMENSION];
    json_t *numbers = json_array();

    embed_fake_vector(text, DIMENSION, vector);
    for (unsigned i = 0; i < dimension; i++)
        (void)json_array_append_new(numbers, json_real((double)vector[i] * 3));
    return numbers;
}

static json_t *
answer_json(const json_t *request, int twist)
{
    const json_t *input = json_get_array(request, "input");
    size_t count = json_array_size(input);
    json_t *data = json_array(), *answer = json_object();

    for (size_t i = 0; i < count - (twist == 2); i++) {
        size_t at = twist == 1 ? count - 1 - i : i;
        const json_t *text = json_array_get(input, at);
        json_t *entry = json_object();

        json_set_int(entry, "index", twist == 3 ? 0 : (int64_t)at);
        json_set(entry, "embedding",
                 twist == 5 ? json_pack("[s]", "nought")
                            : vector_json(str_of(json_string_value(text), json_string_length(text)),
                                          twist == 4 ? DIMENSION - 1 : DIMENSION));
        (void)json_array_append_new(data, entry);
    }
    json_set(answer, "data", data);
    return answer;
}

static void
handle(struct http_request *req, struct http_response *resp, void *context)
{
    static const struct step good = {0};
    const struct step *step = &good;
    struct arena *arena = arena_create((size_t)64 * 1024 * 1024);
    json_t *body = NULL, *answer = NULL;
    struct err err;

    (void)context;
    pthread_mutex_lock(&script.lock);
    if (json_parse(req->body, &body, &err) == ST_OK)
        (void)json_array_append(script.requests, body);
    if (!str_eq_c(http_request_header(req, "authorization"), "Bearer " KEY))
        script.key_ok = false;
    if (script.next < script.count)
        step = &script.steps[script.next];
    script.next++;
    pthread_mutex_unlock(&script.lock);

    if (step->header != NULL)
        http_respond_header(resp, step->header, str_from_c(step->header_value));
    if (step->body == NULL)
        answer = answer_json(body, step->twist);
    http_respond(resp, step->status == 0 ? 200 : step->status, "application/json",
                 answer != NULL ? json_text(answer, arena) : str_from_c(step->body));
    json_decref(answer);
    json_decref(body);
    arena_destroy(&arena);
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
        {.method = HTTP_POST, .pattern = "/v1/embeddings", .handler = handle}};
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
        http_client_create(&client_config, &client, &err) != ST_OK)
        return -1;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    http_client_destroy(&client);
    http_server_stop(&server, 2000);
    json_decref(script.requests);
    return 0;
}

/* extra: more keys, each begun with a comma. */
static json_t *
config_of(const char *extra)
{
    char text[1024];
    json_t *config;
    struct err err;

    (void)snprintf(text, sizeof(text),
                   "{\"driver\":\"openai\",\"base_url\":\"http://127.0.0.1:%u/v1/\","
                   "\"model\":\"small\",\"dimension\":%d,\"api_key\":\"" KEY
                   "\",\"allow_private\":true%s}",
                   http_server_port(server), DIMENSION, extra);
    ASSERT_OK(json_parse(str_from_c(text), &config, &err), &err);
    return config;
}

static struct embedder *
open_with(const char *extra)
{
    struct embed_env env = {.http = client, .clock = clock_system()};
    json_t *config = config_of(extra);
    struct embedder *embedder;
    struct err err;

    ASSERT_OK(embed_open(&env, config, &embedder, &err), &err);
    json_decref(config);
    return embedder;
}

static void
test_conformance(void **state)
{
    struct embed_env env = {.http = client, .clock = clock_system()};
    json_t *config = config_of(",\"batch\":7");

    (void)state;
    script_set(NULL, 0);
    embed_conformance_run(&env, config);
    assert_true(script.key_ok);
    json_decref(config);
}

#define TRANSIENT "{\"error\":{\"message\":\"later\",\"type\":\"server_error\"}}"
#define OVERLONG                                                                                   \
    "{\"error\":{\"message\":\"maximum context length is 8192 tokens\",\"type\":"                  \
    "\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}"
#define QUOTA "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}"
#define NOW "retry-after-ms", "1"

/* Answers in turn; after them the server is well. calls: how many it saw. */
static void
test_answers(void **state)
{
    static const struct {
        const char *name;
        struct step steps[3];
        size_t count;
        enum status want;
        size_t calls;
    } cases[] = {
        {"at once", {{0}}, 1, ST_OK, 1},
        {"vectors in another order", {{.twist = 1}}, 1, ST_OK, 1},
        {"a passing failure", {{503, NOW, TRANSIENT, 0}}, 1, ST_OK, 2},
        {"too many requests", {{429, NOW, TRANSIENT, 0}, {429, NOW, TRANSIENT, 0}}, 2, ST_OK, 3},
        {"busy for long",
         {{429, NOW, TRANSIENT, 0}, {429, NOW, TRANSIENT, 0}, {429, NOW, TRANSIENT, 0}},
         3,
         ST_BUSY,
         3},
        {"a wait that is too long",
         {{503, "retry-after", "3600", TRANSIENT, 0}},
         1,
         ST_UNAVAILABLE,
         1},
        {"told not to try again",
         {{503, "x-should-retry", "false", TRANSIENT, 0}},
         1,
         ST_UNAVAILABLE,
         1},
        {"an error with 200", {{200, NOW, TRANSIENT, 0}}, 1, ST_OK, 2},
        {"no JSON", {{200, NOW, "<html>", 0}}, 1, ST_OK, 2},
        {"one vector too few", {{200, NULL, NULL, NULL, 2}}, 1, ST_OK, 2},
        {"an index twice", {{200, NULL, NULL, NULL, 3}}, 1, ST_OK, 2},
        {"vectors of another length", {{200, NULL, NULL, NULL, 4}}, 1, ST_INVALID, 1},
        {"vectors of words", {{200, NULL, NULL, NULL, 5}}, 1, ST_INVALID, 1},
        {"the key is refused", {{401, NULL, NULL, TRANSIENT, 0}}, 1, ST_DENIED, 1},
        {"no money", {{429, NOW, QUOTA, 0}}, 1, ST_DENIED, 1},
        {"too long", {{400, NULL, NULL, OVERLONG, 0}}, 1, ST_TOO_LARGE, 1},
        {"another bad request", {{400, NULL, NULL, "{}", 0}}, 1, ST_INVALID, 1},
    };
    const struct str texts[] = {STR("the shop"), STR("opening hours"), STR("bicycles")};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct embedder *embedder = open_with("");
        float vectors[3 * DIMENSION], want[DIMENSION];
        struct err err;
        enum status st;

        script_set(cases[i].steps, cases[i].count);
        st = embed_texts(embedder, texts, 3, DEADLINE_MS, vectors, &err);
        if (st != cases[i].want || script.next != cases[i].calls)
            fail_msg("%s: %s after %zu calls: %s", cases[i].name, status_name(st), script.next,
                     st == ST_OK ? "" : err.detail);
        if (st != ST_OK)
            assert_null(strstr(err.detail, KEY));
        for (size_t t = 0; st == ST_OK && t < 3; t++) {
            double cosine = 0, length = 0;

            embed_fake_vector(texts[t], DIMENSION, want);
            for (size_t j = 0; j < DIMENSION; j++) {
                cosine += (double)(want[j] * vectors[t * DIMENSION + j]);
                length += (double)(want[j] * want[j]);
            }
            assert_true(cosine * cosine > 0.9999 * length);
        }
        embed_close(&embedder);
    }
}

static void
test_requests(void **state)
{
    struct embedder *embedder = open_with(",\"batch\":2,\"send_dimension\":true,\"max_chars\":100");
    char text[400];
    const struct str texts[] = {str_of(text, sizeof(text)), STR("b"), STR("c")};
    float vectors[3 * DIMENSION];
    const json_t *first, *input;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2) { /* a cut must not go through a character */
        text[i] = '\xc3';
        text[i + 1] = '\xa9';
    }
    script_set(NULL, 0);
    ASSERT_OK(embed_texts(embedder, texts, 3, DEADLINE_MS, vectors, &err), &err);
    assert_int_equal(json_array_size(script.requests), 2);
    first = json_array_get(script.requests, 0);
    input = json_get_array(first, "input");
    ASSERT_STR(json_get_str(first, "model"), "small");
    ASSERT_STR(json_get_str(first, "encoding_format"), "float");
    assert_int_equal(json_get_int(first, "dimensions", 0), DIMENSION);
    assert_int_equal(json_array_size(input), 2);
    assert_int_equal(json_string_length(json_array_get(input, 0)), 100);
    ASSERT_STR(embed_version(embedder), "openai/small/32");
    embed_close(&embedder);

    embedder = open_with("");
    script_set(NULL, 0);
    ASSERT_OK(embed_texts(embedder, texts + 1, 1, DEADLINE_MS, vectors, &err), &err);
    assert_null(json_object_get(json_array_get(script.requests, 0), "dimensions"));
    embed_close(&embedder);
}

static void
test_nobody_listens(void **state)
{
    struct embed_env env = {.http = client, .clock = clock_system()};
    json_t *config = config_of(",\"max_retries\":0");
    const struct str text = STR("a");
    float vector[DIMENSION];
    struct embedder *embedder;
    struct err err;

    (void)state;
    json_set_str(config, "base_url", STR("http://127.0.0.1:1/v1"));
    ASSERT_OK(embed_open(&env, config, &embedder, &err), &err);
    assert_int_equal(embed_texts(embedder, &text, 1, DEADLINE_MS, vector, &err), ST_UNAVAILABLE);
    embed_close(&embedder);
    json_set_bool(config, "allow_private", false);
    ASSERT_OK(embed_open(&env, config, &embedder, &err), &err);
    assert_int_equal(embed_texts(embedder, &text, 1, DEADLINE_MS, vector, &err), ST_DENIED);
    embed_close(&embedder);
    json_decref(config);
}

static void
test_bad_configurations(void **state)
{
    static const char *const extras[] = {
        ",\"dimension\":0", ",\"dimension\":5000",       ",\"model\":\"\"",
        ",\"batch\":0",     ",\"batch\":3000",           ",\"max_retries\":11",
        ",\"max_chars\":1", ",\"api_key\":\"a\\nb\"",    ",\"headers\":{\"X\":7}",
        ",\"headers\":[]",  ",\"base_url\":\"ftp://x\"",
    };
    struct embed_env env = {.http = client, .clock = clock_system()};

    (void)state;
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++) {
        json_t *config = config_of(""), *extra;
        char text[128];
        struct embedder *embedder;
        struct err err;

        (void)snprintf(text, sizeof(text), "{%s}", extras[i] + 1);
        ASSERT_OK(json_parse(str_from_c(text), &extra, &err), &err);
        assert_int_equal(json_object_update(config, extra), 0);
        if (embed_open(&env, config, &embedder, &err) != ST_INVALID)
            fail_msg("accepted: %s", extras[i]);
        json_decref(extra);
        json_decref(config);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_requests),           cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bad_configurations),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
