/*
 * embed_test.c - the front, with the drivers that need nothing
 */
#include "base/testing.h"

#include "base/log.h"
#include "embed/embed_conformance.h"
#include "embed/embed_driver.h"
#include "text/json.h"

static const struct embed_env *
env_of(void)
{
    static struct embed_env env;

    env.clock = clock_system();
    return &env;
}

static json_t *
json_of(const char *text)
{
    json_t *json;
    struct err err;

    ASSERT_OK(json_parse(str_from_c(text), &json, &err), &err);
    return json;
}

static void
test_conformance(void **state)
{
    static const char *const configs[] = {
        "{\"driver\":\"fake\"}",
        "{\"driver\":\"fake\",\"dimension\":300}",
        "{\"driver\":\"failing\",\"skip\":1000000}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        json_t *config = json_of(configs[i]);

        embed_conformance_run(env_of(), config);
        json_decref(config);
    }
}

/* A failure in a later batch is the failure of the call; what the driver asked for is kept. */
static void
test_failures(void **state)
{
    static const struct {
        const char *word;
        enum status want;
    } cases[] = {{"busy", ST_BUSY},           {"unavailable", ST_UNAVAILABLE},
                 {"denied", ST_DENIED},       {"invalid", ST_INVALID},
                 {"too_large", ST_TOO_LARGE}, {"internal", ST_INTERNAL}};
    struct str texts[20];
    float vectors[20 * 64];

    (void)state;
    for (size_t i = 0; i < 20; i++)
        texts[i] = STR("a few words");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *config = json_of("{\"driver\":\"failing\",\"skip\":1,\"times\":1,"
                                 "\"retry_after_ms\":1500}");
        struct embedder *embedder;
        struct err err;

        json_set_str(config, "status", str_from_c(cases[i].word));
        ASSERT_OK(embed_open(env_of(), config, &embedder, &err), &err);
        assert_int_equal(embed_texts(embedder, texts, 20, 1000, vectors, &err), cases[i].want);
        assert_int_equal(err.retry_after_ms, 1500);
        assert_non_null(strstr(err.detail, "embedder failing"));
        ASSERT_OK(embed_texts(embedder, texts, 20, 1000, vectors, &err), &err);
        embed_close(&embedder);
        json_decref(config);
    }
}

static void
test_bad_configurations(void **state)
{
    static const char *const configs[] = {
        "{}",
        "{\"driver\":\"nothing\"}",
        "{\"driver\":7}",
        "{\"driver\":\"fake\",\"dimension\":0}",
        "{\"driver\":\"fake\",\"dimension\":5000}",
        "{\"driver\":\"failing\",\"status\":\"ok\"}",
        "{\"driver\":\"openai\",\"model\":\"m\",\"dimension\":4}",
        "{\"driver\":\"minilm\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        json_t *config = json_of(configs[i]);
        struct embedder *embedder;
        struct err err;

        if (embed_open(env_of(), config, &embedder, &err) != ST_INVALID)
            fail_msg("accepted: %s", configs[i]);
        assert_null(embedder);
        json_decref(config);
    }
}

/* Texts that share words are nearer than others. */
static void
test_fake_is_near(void **state)
{
    float a[64], b[64], c[64];
    double near = 0, far = 0;

    (void)state;
    embed_fake_vector(STR("the shop opens at nine"), 64, a);
    embed_fake_vector(STR("When opens the Shop?"), 64, b);
    embed_fake_vector(STR("bicycle lamp"), 64, c);
    for (size_t i = 0; i < 64; i++) {
        near += (double)(a[i] * b[i]);
        far += (double)(a[i] * c[i]);
    }
    assert_true(near > far + 1);
}

static void
test_table_is_checked(void **state)
{
    struct embed_driver driver = embed_driver_fake;
    struct err err;

    (void)state;
    ASSERT_OK(embed_driver_check(&driver, &err), &err);
    driver.texts = NULL;
    assert_int_equal(embed_driver_check(&driver, &err), ST_INTERNAL);
    driver = embed_driver_fake;
    driver.size = 1;
    assert_int_equal(embed_driver_check(&driver, &err), ST_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_bad_configurations), cmocka_unit_test(test_fake_is_near),
        cmocka_unit_test(test_table_is_checked),
    };

    log_init(2, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
