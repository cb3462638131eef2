/*
 * oauth_test.c - a token endpoint's answers: which tokens come of them, how often it is asked, and
 * what each refusal means
 */
#include "channel/oauth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"

#define GIVEN "{\"access_token\":\"a-1\",\"token_type\":\"Bearer\",\"expires_in\":3600}"
#define REPLACED "{\"access_token\":\"a-2\",\"refresh_token\":\"r/2+x\",\"expires_in\":3600}"
#define SECRET "c-secret"

struct scene {
    struct test_env env;
    struct test_provider *provider;
    struct oauth_client client;
    struct oauth *oauth;
    struct str token;
    struct err err;
};

static int
set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    test_env_init(&scene->env);
    scene->provider = test_provider_start((struct test_answer){200, GIVEN, NULL});
    scene->client = (struct oauth_client){
        .http = scene->env.http,
        .clock = scene->env.clock,
        .token_url = arena_printf(scene->env.arena, "http://127.0.0.1:%u/token",
                                  test_provider_port(scene->provider)),
        .client_id = STR("id of it"),
        .client_secret = STR(SECRET),
        .scope = STR("mail offline"),
        .refresh_token = STR("r&1"),
    };
    scene->oauth = oauth_create(&scene->client);
    *state = scene;
    return 0;
}

static int
tear_down(void **state)
{
    struct scene *scene = *state;

    oauth_destroy(&scene->oauth);
    test_provider_stop(&scene->provider);
    test_env_deinit(&scene->env);
    free(scene);
    return 0;
}

static void
assert_token(struct scene *scene, const char *refused, const char *want, size_t asked)
{
    if (oauth_token(scene->oauth, str_from_c(refused), scene->env.arena, &scene->token,
                    &scene->err) != ST_OK)
        fail_msg("%s", scene->err.detail);
    assert_true(str_eq_c(scene->token, want));
    assert_int_equal(test_provider_count(scene->provider), asked);
}

static void
a_token_serves_until_a_minute_before_its_end(void **state)
{
    struct scene *scene = *state;
    struct str refresh;

    assert_token(scene, "", "a-1", 1);
    struct test_request request = test_provider_got(scene->provider, 0, scene->env.arena);
    assert_true(str_eq_c(request.method, "POST"));
    assert_true(str_eq_c(request.path, "/token"));
    assert_true(str_eq_c(request.content_type, "application/x-www-form-urlencoded"));
    assert_true(str_eq_c(request.body,
                         "grant_type=refresh_token&refresh_token=r%261&client_id="
                         "id%20of%20it&client_secret=" SECRET "&scope=mail%20offline"));
    assert_token(scene, "", "a-1", 1);
    clock_advance_us(scene->env.clock, 3539 * US_PER_S);
    assert_token(scene, "", "a-1", 1);
    clock_advance_us(scene->env.clock, 1 * US_PER_S);
    assert_token(scene, "", "a-1", 2);
    assert_token(scene, "another, which is no longer ours", "a-1", 2);
    assert_token(scene, "a-1", "a-1", 3); /* refused: not given again without asking */
    assert_false(oauth_new_refresh_token(scene->oauth, scene->env.arena, &refresh));
}

static void
a_new_refresh_token_counts_from_then_on(void **state)
{
    struct scene *scene = *state;
    struct oauth_client stored = scene->client, other = scene->client;
    struct str refresh;

    test_provider_queue(scene->provider, (struct test_answer){200, REPLACED, NULL});
    assert_token(scene, "", "a-2", 1);
    assert_true(oauth_new_refresh_token(scene->oauth, scene->env.arena, &refresh));
    assert_true(str_eq_c(refresh, "r/2+x"));
    assert_token(scene, "a-2", "a-1", 2);
    struct test_request request = test_provider_got(scene->provider, 1, scene->env.arena);
    assert_true(str_find(request.body, STR("refresh_token=r%2F2%2Bx&")) >= 0);

    /* The channel is opened anew with what was stored: its token goes on; another's does not. */
    stored.refresh_token = refresh;
    struct oauth *next = oauth_create(&stored);
    oauth_inherit(next, scene->oauth);
    oauth_destroy(&scene->oauth);
    scene->oauth = next;
    assert_token(scene, "", "a-1", 2);
    assert_false(oauth_new_refresh_token(next, scene->env.arena, &refresh));
    other.refresh_token = STR("r-9");
    scene->oauth = oauth_create(&other);
    oauth_inherit(scene->oauth, next);
    oauth_destroy(&next);
    assert_token(scene, "", "a-1", 3);
}

static void
each_answer_is_sorted(void **state)
{
    static const struct {
        struct test_answer answer;
        enum status want;
    } rows[] = {
        {{400, "{\"error\":\"invalid_grant\",\"error_description\":\"revoked\"}", NULL}, ST_DENIED},
        {{401, "{\"error\":\"invalid_client\"}", NULL}, ST_DENIED},
        {{400, "{\"error\":\"temporarily_unavailable\"}", NULL}, ST_UNAVAILABLE},
        {{429, "{\"error\":\"slow_down\"}", "7"}, ST_UNAVAILABLE},
        {{500, "{\"error\":\"server_error\"}", NULL}, ST_UNAVAILABLE},
        {{503, "<html>", NULL}, ST_UNAVAILABLE},
        {{404, "<html>", NULL}, ST_UNAVAILABLE},
        {{400, "[]", NULL}, ST_UNAVAILABLE},
        {{200, "<html>", NULL}, ST_UNAVAILABLE},
        {{200, "{}", NULL}, ST_UNAVAILABLE},
        {{200, "{\"access_token\":\"\"}", NULL}, ST_UNAVAILABLE},
        {{200, "{\"access_token\":7}", NULL}, ST_UNAVAILABLE},
        {{200, "{\"access_token\":\"a\\u0001b\"}", NULL}, ST_UNAVAILABLE},
        {{302, "{\"access_token\":\"x\"}", NULL}, ST_UNAVAILABLE},
        {{200, "{\"access_token\":\"a\",\"expires_in\":\"soon\"}", NULL}, ST_OK},
        {{200, "{\"access_token\":\"a\",\"expires_in\":-5}", NULL}, ST_OK},
    };
    struct scene *scene = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oauth *oauth = oauth_create(&scene->client);

        test_provider_queue(scene->provider, rows[i].answer);
        enum status st = oauth_token(oauth, STR(""), scene->env.arena, &scene->token, &scene->err);
        if (st != rows[i].want)
            fail_msg("%s: %s (%s)", rows[i].answer.body, status_name(st), scene->err.detail);
        if (st != ST_OK) {
            assert_int_equal(scene->err.code, st);
            assert_null(strstr(scene->err.detail, SECRET));
            assert_int_equal(scene->err.retry_after_ms, rows[i].answer.retry_after ? 7000 : 0);
        }
        oauth_destroy(&oauth);
    }
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_token_serves_until_a_minute_before_its_end),
        CASE(a_new_refresh_token_counts_from_then_on),
        CASE(each_answer_is_sorted),
    };

    return cmocka_run_group_tests_name("oauth", tests, NULL, NULL);
}
