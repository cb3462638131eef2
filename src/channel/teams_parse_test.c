/*
 * teams_parse_test.c - testdata/teams_activities.json: activities and what they become
 *
 * Each case: {name, activity, settings?, want}. want names fields of the item (metadata too) that
 * must be equal; null: must not be there; want.status: the activity is refused.
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/json.h"

#define CASES TESTDATA "/teams_activities.json"
#define CREDENTIALS                                                                                \
    "{\"app_id\": \"11111111-2222-4333-8444-555555555555\", \"app_password\": \"pass-word-1\"}"

static void
run_case(struct test_env *env, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_get_object(test, "want");
    const json_t *settings = json_get_object(test, "settings");
    struct str body = json_text(json_get_object(test, "activity"), env->arena);
    struct str status = json_get_str(want, "status");
    struct str text = settings == NULL ? STR("{}") : json_text(settings, env->arena);
    struct channel_record *record = test_record("teams", arena_cstr(env->arena, text), CREDENTIALS);
    const struct webhook webhook = {.body = body};
    struct inbound_batch batch;
    struct channel *channel;
    struct err err = {.code = ST_OK};

    if (channel_acquire(env->registry, record, &channel, &err) != ST_OK)
        fail_msg("%s: %s", name, err.detail);
    enum status st = channel_parse(channel, &webhook, env->arena, &batch, &err);
    if (!str_eq_c(status.ptr == NULL ? STR("ok") : status, status_name(st)))
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK) {
        assert_int_equal(batch.count, 1);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        test_assert_contains(name, want, got);
        if (batch.items[0].kind == INBOUND_EVENT) {
            assert_true(batch.items[0].external_event_id.len > 0);
            if (!str_eq(batch.items[0].raw, body))
                fail_msg("%s: raw is not the activity", name);
        }
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_record_release(&record);
}

static void
test_activities(void **state)
{
    json_error_t error;
    json_auto_t *cases = json_load_file(CASES, 0, &error);
    struct test_env env;
    size_t i;
    json_t *test;

    (void)state;
    if (cases == NULL)
        fail_msg("%s:%d: %s", CASES, error.line, error.text);
    test_env_init(&env);
    assert_true(json_array_size(cases) >= 90);
    json_array_foreach (cases, i, test) {
        run_case(&env, test);
    }
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_activities)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
