/*
 * slack_parse_test.c - testdata/slack_events.json: deliveries and what they become
 *
 * Each case: {name, body | form | raw, settings?, credentials?, want}. In body and form, "event"
 * stands in the usual envelope unless body has a type. want names fields of the item (metadata too)
 * that must be equal; null: must not be there; want.status: the delivery is refused.
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "channel/form.h"
#include "text/json.h"

#define CREDENTIALS                                                                                \
    "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": "                                    \
    "\"xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp\", \"signing_secret\": "                      \
    "\"8f742231b10e8888abcd99yyyzzz85a5\"}"

static struct str
envelope(const json_t *event, struct arena *arena)
{
    json_auto_t *body = json_pack("{s:s, s:s, s:i, s:s, s:s, s:[{s:s, s:s, s:b}], s:O}", "type",
                                  "event_callback", "event_id", "Ev1", "event_time", 1700000000,
                                  "team_id", "T1", "api_app_id", "A1", "authorizations", "team_id",
                                  "T1", "user_id", "UBOT", "is_bot", 1, "event", event);

    return json_text(body, arena);
}

/* raw_out: what an event keeps. */
static struct str
body_of(const json_t *test, struct arena *arena, struct str *raw_out)
{
    const json_t *event = json_get_object(test, "event"), *body = json_get_object(test, "body");
    const json_t *payload = json_get_object(test, "payload"), *form = json_get_object(test, "form");
    struct buf text;
    const char *key;
    json_t *value;

    if (event != NULL)
        return *raw_out = envelope(event, arena);
    if (body != NULL)
        return *raw_out = json_text(body, arena);
    if (payload == NULL && form == NULL)
        return *raw_out = json_get_str(test, "raw");
    buf_init(&text, 65536);
    if (payload != NULL)
        form_append(&text, "payload", *raw_out = json_text(payload, arena));
    json_object_foreach ((json_t *)(uintptr_t)form, key, value) {
        form_append(&text, key, str_of(json_string_value(value), json_string_length(value)));
    }
    if (form != NULL)
        *raw_out = json_text(form, arena);
    struct str copy = arena_str(arena, buf_str(&text));
    buf_deinit(&text);
    return copy;
}

static void
run_case(struct test_env *env, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_get_object(test, "want");
    struct str raw = STR_EMPTY, status = json_get_str(want, "status");
    const struct webhook webhook = {.body = body_of(test, env->arena, &raw)};
    json_auto_t *settings = json_object();
    struct inbound_batch batch;
    struct channel *channel;
    struct err err = {.code = ST_OK};

    json_object_update(settings, json_get_object(test, "settings"));
    struct channel_record *record =
        test_record("slack", arena_cstr(env->arena, json_text(settings, env->arena)), CREDENTIALS);

    assert_int_equal(channel_acquire(env->registry, record, &channel, &err), ST_OK);
    enum status st = channel_parse(channel, &webhook, env->arena, &batch, &err);
    if (!str_eq_c(status.ptr == NULL ? STR("ok") : status, status_name(st)))
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK) {
        assert_int_equal(batch.count, 1);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        test_assert_contains(name, want, got);
        if (batch.items[0].kind == INBOUND_EVENT && !str_eq(batch.items[0].raw, raw))
            fail_msg("%s: raw is %.*s", name, STR_ARG(batch.items[0].raw));
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_record_release(&record);
}

static void
test_events(void **state)
{
    json_error_t error;
    json_auto_t *cases = json_load_file(TESTDATA "/slack_events.json", 0, &error);
    struct test_env env;
    size_t i;
    json_t *test;

    (void)state;
    if (cases == NULL)
        fail_msg("%s:%d: %s", TESTDATA "/slack_events.json", error.line, error.text);
    test_env_init(&env);
    assert_true(json_array_size(cases) >= 60);
    json_array_foreach (cases, i, test) {
        run_case(&env, test);
    }
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
