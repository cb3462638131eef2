/*
 * model_conformance.c - the promises of model.h, held against one driver
 */
#include "model/model_conformance.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
#define THREADS 4
#define CALLS 5

static const struct model_message messages[] = {
    {MODEL_SYSTEM, STR_INIT("Answer from the passages.")},
    {MODEL_USER, STR_INIT("When does the shop open on Saturday?")},
};
static const struct model_passage passages[] = {
    {STR_INIT("Opening hours"), STR_INIT("Shop"),
     STR_INIT("On weekdays the shop opens at eight. On Saturday the shop opens at nine and closes "
              "at noon. It stays closed on Sunday."),
     3.0},
    {STR_INIT("Parking"), STR_INIT(""), STR_INIT("Cars can be parked behind the house."), 0.4},
};

static struct model_request
ordinary_request(void)
{
    return (struct model_request){
        .messages = messages,
        .message_count = 2,
        .question = messages[1].text,
        .language = STR("en"),
        .passages = passages,
        .passage_count = 2,
        .confidence = 0.9,
        .min_confidence = 0.2,
        .deadline_ms = 20000,
    };
}

struct reader {
    struct buf text;
    unsigned pieces, stop_after; /* 0: never */
    bool called_after_stop;
};

static bool
read_piece(struct str piece, void *context)
{
    struct reader *reader = context;

    assert_true(piece.len > 0);
    assert_true(str_is_utf8(piece));
    if (reader->stop_after > 0 && reader->pieces >= reader->stop_after)
        reader->called_after_stop = true;
    buf_append(&reader->text, piece);
    reader->pieces++;
    return reader->stop_after == 0 || reader->pieces < reader->stop_after;
}

static void
check_streams(struct model *model)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = ordinary_request();
    struct model_reply reply;
    struct reader reader = {0};
    struct err err;

    buf_init(&reader.text, ARENA_BYTES);
    assert_int_equal(model_complete(model, &request, read_piece, &reader, arena, &reply, &err),
                     ST_OK);
    assert_true(reader.pieces > 0);
    assert_true(str_eq(buf_str(&reader.text), reply.text));
    assert_true(reply.text.len > 0);
    assert_true(reply.model_name.len > 0);
    assert_true(reply.first_text_ms <= reply.latency_ms);
    assert_true(reply.finish != MODEL_FINISH_STOPPED);
    buf_deinit(&reader.text);
    arena_destroy(&arena);
}

static void
check_stops(struct model *model)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = ordinary_request();
    struct model_reply reply;
    struct reader reader = {.stop_after = 1};
    struct err err;

    buf_init(&reader.text, ARENA_BYTES);
    assert_int_equal(model_complete(model, &request, read_piece, &reader, arena, &reply, &err),
                     ST_OK);
    assert_int_equal(reply.finish, MODEL_FINISH_STOPPED);
    assert_int_equal(reader.pieces, 1);
    assert_false(reader.called_after_stop);
    assert_true(str_eq(buf_str(&reader.text), reply.text));
    buf_deinit(&reader.text);
    arena_destroy(&arena);
}

/* Without a reader the text is the same; it belongs to the caller's arena, not to the model. */
static void
check_outlives(const struct model_env *env, const json_t *config)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = ordinary_request();
    struct model_reply first, second;
    struct model *model;
    struct err err;

    assert_int_equal(model_open(env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &first, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &second, &err), ST_OK);
    model_close(&model);
    assert_null(model);
    model_close(&model);
    assert_true(str_is_utf8(first.text));
    assert_true(first.text.len > 0 && second.text.len > 0);
    assert_true(first.model_name.len > 0 && str_eq(first.model_name, second.model_name));
    assert_true(first.prompt_tokens >= -1 && first.completion_tokens >= -1);
    arena_destroy(&arena);
}

static void
check_refuses(const struct model_env *env, const json_t *config, struct model *model)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = ordinary_request();
    json_t *unknown = json_deep_copy(config);
    struct model_reply reply;
    struct model *refused;
    struct err err;

    json_set_bool(unknown, "no_such_key", true);
    assert_int_equal(model_open(env, unknown, &refused, &err), ST_INVALID);
    assert_null(refused);
    json_decref(unknown);

    request.deadline_ms = 0;
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_INVALID);
    arena_destroy(&arena);
}

struct caller {
    struct model *model;
    unsigned answered;
};

static void *
call_often(void *arg)
{
    struct caller *caller = arg;
    struct model_request request = ordinary_request();

    for (unsigned i = 0; i < CALLS; i++) {
        struct arena *arena = arena_create(ARENA_BYTES);
        struct model_reply reply;
        struct err err;

        if (model_complete(caller->model, &request, NULL, NULL, arena, &reply, &err) == ST_OK &&
            reply.text.len > 0)
            caller->answered++;
        arena_destroy(&arena);
    }
    return NULL;
}

static void
check_threads(struct model *model)
{
    struct caller callers[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.model = model};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].answered, CALLS);
    }
}

/* Odd but allowed: empty strings, no passages, texts that look like markup or citations. */
static void
check_odd_input(struct model *model)
{
    static const struct model_passage odd[] = {
        {STR_INIT(""), STR_INIT(""), STR_INIT(""), 0},
        {STR_INIT("["), STR_INIT("{{"), STR_INIT("](<![|\n- \n1. \n#\n```\n**"), -1},
        {STR_INIT("\xe2\x80\x8f"), STR_INIT("\xf0\x9f\x98\x80"),
         STR_INIT("\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82 [1] [2] [shop](opens)"), 1e300},
    };
    static const struct str questions[] = {STR_INIT(""), STR_INIT("?"), STR_INIT("shop opens"),
                                           STR_INIT("\xe4\xb8\x96\xe7\x95\x8c"),
                                           STR_INIT("the of and")};
    struct err err;

    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        for (size_t count = 0; count <= 3; count++) {
            struct arena *arena = arena_create(ARENA_BYTES);
            struct model_request request = ordinary_request();
            struct model_reply reply;

            request.question = questions[i];
            request.passages = count == 0 ? NULL : odd;
            request.passage_count = count;
            assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err),
                             ST_OK);
            assert_true(str_is_utf8(reply.text));
            arena_destroy(&arena);
        }
    }
}

void
model_conformance_run(const struct model_env *env, const json_t *config)
{
    struct model *model;
    struct err err;

    assert_int_equal(model_open(env, config, &model, &err), ST_OK);
    check_streams(model);
    check_stops(model);
    check_refuses(env, config, model);
    check_threads(model);
    check_odd_input(model);
    model_close(&model);
    check_outlives(env, config);
}
