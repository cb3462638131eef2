/*
 * model_test.c - opening, asking, the breaker's states, the chain's order; the test drivers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/breaker.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"
#include "model/model_conformance.h"
#include "model/model_driver.h"
#include "text/json.h"

#define ARENA_BYTES ((size_t)8 * 1024 * 1024)

static const struct model_message one_message[] = {{MODEL_USER, STR_INIT("When do you open?")}};
static const struct model_passage one_passage[] = {
    {STR_INIT("Hours"), STR_INIT(""), STR_INIT("We open at nine every day but Sunday."), 1}};

static struct model_request
request_of(unsigned deadline_ms)
{
    return (struct model_request){.messages = one_message,
                                  .message_count = 1,
                                  .question = one_message[0].text,
                                  .language = STR("en"),
                                  .passages = one_passage,
                                  .passage_count = 1,
                                  .confidence = 1,
                                  .deadline_ms = deadline_ms};
}

static json_t *
parse(const char *text)
{
    json_t *json;
    struct err err;

    assert_int_equal(json_parse(str_from_c(text), &json, &err), ST_OK);
    return json;
}

/* --- drivers and configuration --- */

static void
test_drivers_are_complete(void **state)
{
    static const struct model_driver *const all[] = {
        &model_driver_openai_chat, &model_driver_extractive, &model_driver_fake,
        &model_driver_failing, &model_driver_recording};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct model_driver broken = *all[i];

        assert_int_equal(model_driver_check(all[i], &err), ST_OK);
        assert_ptr_equal(model_driver_find(str_from_c(all[i]->name)), all[i]);
        broken.complete = NULL;
        assert_int_equal(model_driver_check(&broken, &err), ST_INTERNAL);
        broken = *all[i];
        broken.size = 1;
        assert_int_equal(model_driver_check(&broken, &err), ST_INTERNAL);
        broken = *all[i];
        broken.caps = 0;
        assert_int_equal(model_driver_check(&broken, &err), ST_INTERNAL);
    }
    assert_null(model_driver_find(STR("no such driver")));
}

static void
test_bad_configurations(void **state)
{
    static const char *const configs[] = {
        "{}",
        "{\"driver\": 7}",
        "{\"driver\": \"nobody\"}",
        "{\"driver\": \"fake\", \"finish\": \"never\"}",
        "{\"driver\": \"fake\", \"text\": 3}",
        "{\"driver\": \"failing\", \"status\": \"ok\"}",
        "{\"driver\": \"failing\", \"times\": -1}",
        "{\"driver\": \"recording\"}",
        "{\"driver\": \"recording\", \"inner\": {\"driver\": \"nobody\"}}",
        "{\"driver\": \"extractive\", \"model\": \"x\"}",
    };
    struct model_env env = {.clock = clock_system()};

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        json_t *config = parse(configs[i]);
        struct model *model;
        struct err err;

        assert_int_equal(model_open(&env, config, &model, &err), ST_INVALID);
        assert_null(model);
        json_decref(config);
    }
}

static void
test_conformance(void **state)
{
    static const char *const configs[] = {
        "{\"driver\": \"fake\"}",
        "{\"driver\": \"fake\", \"text\": \"We open at nine. [1]\"}",
        "{\"driver\": \"failing\", \"skip\": 1000}",
        "{\"driver\": \"recording\", \"inner\": {\"driver\": \"fake\"}}",
        "{\"driver\": \"recording\", \"inner\": {\"driver\": \"extractive\"}}",
        "{\"driver\": \"extractive\"}",
    };
    struct model_env env = {.clock = clock_system()};

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        json_t *config = parse(configs[i]);

        model_conformance_run(&env, config);
        json_decref(config);
    }
}

static void
test_failing(void **state)
{
    struct model_env env = {.clock = clock_system()};
    json_t *config = parse("{\"driver\": \"failing\", \"status\": \"busy\", \"times\": 2, "
                           "\"retry_after_ms\": 700, \"text\": \"all is well\", "
                           "\"after_words\": 2}");
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = request_of(1000);
    struct model_reply reply;
    struct model *model;
    struct err err;

    (void)state;
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_BUSY);
        assert_int_equal(err.retry_after_ms, 700);
    }
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_OK);
    assert_true(str_eq_c(reply.text, "all is well"));
    model_close(&model);
    json_decref(config);
    arena_destroy(&arena);
}

static void
test_recording(void **state)
{
    struct model_env env = {.clock = clock_system()};
    json_t *config = parse(
        "{\"driver\": \"recording\", \"inner\": {\"driver\": \"failing\", \"status\": \"denied\","
        " \"times\": 1, \"text\": \"now\"}}");
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = request_of(1234);
    struct model_record record;
    struct model_reply reply;
    struct model *model;
    struct err err;

    (void)state;
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_DENIED);
    request.max_output_tokens = 9;
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_OK);
    assert_int_equal(model_recording_count(model), 2);
    assert_true(model_recording_get(model, 0, &record));
    assert_int_equal(record.status, ST_DENIED);
    assert_int_equal(record.text.len, 0);
    assert_true(model_recording_get(model, 1, &record));
    assert_true(str_eq_c(record.prompt, "user: When do you open?\n"));
    assert_true(str_eq_c(record.text, "now"));
    assert_int_equal(record.deadline_ms, 1234);
    assert_int_equal(record.max_output_tokens, 9);
    assert_int_equal(record.passage_count, 1);
    assert_false(model_recording_get(model, 2, &record));
    model_close(&model);
    json_decref(config);
    arena_destroy(&arena);
}

static void
test_counts_tokens_and_time(void **state)
{
    struct model_env env = {.clock = clock_system()};
    json_t *config = parse("{\"driver\": \"fake\", \"text\": \"12345\"}");
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = request_of(1000);
    struct model_reply reply;
    struct model *model;
    struct buf out;
    struct err err;

    (void)state;
    assert_int_equal(model_open(&env, config, &model, &err), ST_OK);
    assert_int_equal(model_complete(model, &request, NULL, NULL, arena, &reply, &err), ST_OK);
    buf_init(&out, ARENA_BYTES);
    metrics_write(&out);
    assert_true(str_find(buf_str(&out), STR("parley_model_seconds_count{model=\"fake\"")) >= 0);
    assert_true(str_find(buf_str(&out), STR("parley_model_tokens_total{model=\"fake\"")) >= 0);
    buf_deinit(&out);
    model_close(&model);
    json_decref(config);
    arena_destroy(&arena);
}

/* --- chain --- */

struct listener {
    struct buf text;
    unsigned restarts;
};

static bool
listen(struct str piece, void *context)
{
    buf_append(&((struct listener *)context)->text, piece);
    return true;
}

static void
void_text(void *context)
{
    struct listener *listener = context;

    listener->restarts++;
    buf_clear(&listener->text);
}

static void
test_chain_falls_back(void **state)
{
    static const struct {
        const char *name, *configs, *model, *text;
        unsigned restarts;
    } cases[] = {
        {"empty: extractive alone", "[]", "extractive", "We open at nine every day but Sunday. [1]",
         0},
        {"first answers", "[{\"driver\":\"fake\",\"text\":\"Nine.\"}]", "fake", "Nine.", 0},
        {"first is away", "[{\"driver\":\"failing\"},{\"driver\":\"fake\",\"text\":\"Nine.\"}]",
         "fake", "Nine.", 0},
        {"all are away",
         "[{\"driver\":\"failing\"},{\"driver\":\"failing\",\"status\":\"denied\"}]", "extractive",
         "We open at nine every day but Sunday. [1]", 0},
        {"the prompt is too long for it",
         "[{\"driver\":\"failing\",\"status\":\"too_large\"},{\"driver\":\"extractive\"}]",
         "extractive", "We open at nine every day but Sunday. [1]", 0},
        {"fails in the middle",
         "[{\"driver\":\"failing\",\"after_words\":2,\"text\":\"We open at\"},"
         "{\"driver\":\"fake\",\"text\":\"Nine.\"}]",
         "fake", "Nine.", 1},
    };
    struct model_env env = {.clock = clock_system()};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *configs = parse(cases[i].configs);
        struct arena *arena = arena_create(ARENA_BYTES);
        struct model_request request = request_of(1000);
        struct listener listener = {0};
        struct model_chain *chain;
        struct model_reply reply;
        struct err err;

        buf_init(&listener.text, ARENA_BYTES);
        assert_int_equal(model_chain_open(&env, configs, &chain, &err), ST_OK);
        assert_int_equal(model_chain_complete(chain, &request, listen, void_text, &listener, arena,
                                              &reply, &err),
                         ST_OK);
        if (!str_eq_c(reply.text, cases[i].text) || !str_eq_c(reply.model_name, cases[i].model))
            fail_msg("%s: %.*s", cases[i].name, STR_ARG(reply.text));
        assert_true(str_eq(buf_str(&listener.text), reply.text));
        assert_int_equal(listener.restarts, cases[i].restarts);
        assert_int_equal(model_chain_streams(chain), json_array_size(configs) > 0);
        model_chain_close(&chain);
        model_chain_close(&chain);
        buf_deinit(&listener.text);
        json_decref(configs);
        arena_destroy(&arena);
    }
}

static void
test_chain_refuses_configuration(void **state)
{
    static const char *const bad[] = {
        "{}", "[7]", "[{\"driver\":\"fake\"},{\"driver\":\"nobody\"}]",
        "[{\"driver\":\"fake\"},{\"driver\":\"fake\"},{\"driver\":\"fake\"},{\"driver\":\"fake\"},"
        "{\"driver\":\"fake\"},{\"driver\":\"fake\"},{\"driver\":\"fake\"},{\"driver\":\"fake\"},"
        "{\"driver\":\"fake\"}]"};
    struct model_env env = {.clock = clock_system()};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *configs = parse(bad[i]);
        struct model_chain *chain;
        struct err err;

        assert_int_equal(model_chain_open(&env, configs, &chain, &err), ST_INVALID);
        assert_null(chain);
        json_decref(configs);
    }
}

static void
expect_answer_of(struct model_chain *chain, const char *model)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct model_request request = request_of(1000);
    struct model_reply reply;
    struct err err;

    assert_int_equal(model_chain_complete(chain, &request, NULL, NULL, NULL, arena, &reply, &err),
                     ST_OK);
    if (!str_eq_c(reply.model_name, model))
        fail_msg("answered by %.*s, not %s", STR_ARG(reply.model_name), model);
    arena_destroy(&arena);
}

/* The first model fails three times, so its breaker opens; it would be well at once, but is asked
 * again only when the wait is over. */
static void
test_chain_keeps_to_breaker(void **state)
{
    struct clock *clock = clock_create_manual(INT64_C(1700000000) * US_PER_S);
    struct model_env env = {.clock = clock};
    json_t *configs = parse("[{\"driver\":\"failing\",\"times\":3},{\"driver\":\"fake\"}]");
    struct model_chain *chain;
    struct err err;

    (void)state;
    assert_int_equal(model_chain_open(&env, configs, &chain, &err), ST_OK);
    for (int i = 0; i < 4; i++)
        expect_answer_of(chain, "fake");
    clock_advance_us(clock, (BREAKER_FIRST_WAIT_MS - 1) * US_PER_MS);
    expect_answer_of(chain, "fake");
    clock_advance_us(clock, US_PER_MS);
    expect_answer_of(chain, "failing");
    expect_answer_of(chain, "failing");
    model_chain_close(&chain);
    json_decref(configs);
    clock_destroy(&clock);
}

static void
test_chain_respects_retry_after(void **state)
{
    struct clock *clock = clock_create_manual(INT64_C(1700000000) * US_PER_S);
    struct model_env env = {.clock = clock};
    json_t *configs = parse("[{\"driver\":\"failing\",\"status\":\"busy\",\"times\":1,"
                            "\"retry_after_ms\":20000},{\"driver\":\"fake\"}]");
    struct model_chain *chain;
    struct err err;

    (void)state;
    assert_int_equal(model_chain_open(&env, configs, &chain, &err), ST_OK);
    expect_answer_of(chain, "fake");
    clock_advance_us(clock, 19999 * US_PER_MS);
    expect_answer_of(chain, "fake");
    clock_advance_us(clock, US_PER_MS);
    expect_answer_of(chain, "failing");
    model_chain_close(&chain);
    json_decref(configs);
    clock_destroy(&clock);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers_are_complete),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_failing),
        cmocka_unit_test(test_recording),
        cmocka_unit_test(test_counts_tokens_and_time),
        cmocka_unit_test(test_chain_falls_back),
        cmocka_unit_test(test_chain_refuses_configuration),
        cmocka_unit_test(test_chain_keeps_to_breaker),
        cmocka_unit_test(test_chain_respects_retry_after),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
