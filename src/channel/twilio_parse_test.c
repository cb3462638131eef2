/*
 * twilio_parse_test.c - testdata/twilio_forms.json: forms and what they become
 *
 * Each case: {name, source, form | raw, want}. want names fields of the item (metadata too) that
 * must be equal; null: must not be there; want.status: the form is refused.
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/form.h"
#include "text/json.h"

#define CREDENTIALS                                                                                \
    "{\"account_sid\": \"AC0123456789abcdef0123456789abcdef\", "                                   \
    "\"auth_token\": \"6f1d0c5a2b7e49d38c04aa55ee120987\"}"

static struct str
body_of(const json_t *test, struct arena *arena)
{
    const json_t *form = json_get_object(test, "form");
    const char *key;
    json_t *value;
    struct buf body;

    if (form == NULL)
        return json_get_str(test, "raw");
    buf_init(&body, 65536);
    json_object_foreach ((json_t *)(uintptr_t)form, key, value) {
        form_append(&body, key, str_of(json_string_value(value), json_string_length(value)));
    }
    struct str copy = arena_str(arena, buf_str(&body));
    buf_deinit(&body);
    return copy;
}

static void
run_case(struct test_env *env, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_get_object(test, "want");
    const struct webhook webhook = {.body = body_of(test, env->arena)};
    struct str status = json_get_str(want, "status");
    struct channel_record *record = test_record(json_string_value(json_object_get(test, "source")),
                                                "{\"from\": \"+15551230000\"}", CREDENTIALS);
    struct channel *channel;
    struct inbound_batch batch;
    struct err err = {.code = ST_OK};

    assert_int_equal(channel_acquire(env->registry, record, &channel, &err), ST_OK);
    enum status st = channel_parse(channel, &webhook, env->arena, &batch, &err);
    if (!str_eq_c(status.ptr == NULL ? STR("ok") : status, status_name(st)))
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK) {
        assert_int_equal(batch.count, 1);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        test_assert_contains(name, want, got);
        assert_true(batch.items[0].timestamp_us == TEST_WALL_US);
        if (batch.items[0].kind == INBOUND_EVENT) {
            json_auto_t *raw = NULL;

            /* All fields are kept. */
            assert_int_equal(json_parse(batch.items[0].raw, &raw, &err), ST_OK);
            if (!json_equal(raw, json_get_object(test, "form")))
                fail_msg("%s: raw is not the form", name);
        }
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_record_release(&record);
}

static void
test_forms(void **state)
{
    json_error_t error;
    json_auto_t *cases = json_load_file(TESTDATA "/twilio_forms.json", 0, &error);
    struct test_env env;
    size_t i;
    json_t *test;

    (void)state;
    if (cases == NULL)
        fail_msg("%s:%d: %s", TESTDATA "/twilio_forms.json", error.line, error.text);
    test_env_init(&env);
    assert_true(json_array_size(cases) >= 75);
    json_array_foreach (cases, i, test) {
        run_case(&env, test);
    }
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
