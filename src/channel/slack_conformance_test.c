/*
 * slack_conformance_test.c - the suite of all drivers, for Slack
 */
#include "channel/channel_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "channel/drivers/slack.h"
#include "channel/secrets.h"
#include "text/json.h"

#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define TOKEN "xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp"
#define NOW "1800000000"

static struct str
sign(struct str when, struct str body, struct str key, struct arena *arena)
{
    const struct str pieces[] = {STR("v0:"), when, STR(":"), body};
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = pieces, .piece_count = 4};

    return arena_printf(arena, "v0=%.*s", STR_ARG(hmac_sign(key, &proof, arena)));
}

static bool
prove(const struct channel_record *record, struct test_env *env, struct str body, int forge,
      struct conformance_proof *proof_out)
{
    struct str key = json_get_str(record->credentials, "signing_secret");
    struct str when = STR(NOW), valid = sign(when, body, key, env->arena);
    struct str shown = valid;
    static const struct str times[] = {
        STR_INIT("1799999699"),  STR_INIT("1800000301"),   STR_INIT(""),
        STR_INIT("now"),         STR_INIT("1800000000.0"), STR_INIT("-1"),
        STR_INIT(" 1800000000"),
    };

    *proof_out = (struct conformance_proof){.target = "/hook", .header_count = 2};
    if (forge == 1)
        proof_out->header_count = 0;
    else if (forge == 2)
        proof_out->header_count = 1; /* the time alone */
    else if (forge == 3)
        shown = sign(when, body, STR("8f742231b10e8888abcd99yyyzzz85a6"), env->arena);
    else if (forge == 4)
        shown = sign(when, STR("{}"), key, env->arena);
    else if (forge == 5)
        shown = sign(STR("1799999999"), body, key, env->arena);
    else if (forge == 6)
        shown = str_sub(valid, 3, valid.len);
    else if (forge == 7)
        shown = arena_printf(env->arena, "v1=%.*s", STR_ARG(str_sub(valid, 3, valid.len)));
    else if (forge == 8)
        shown = str_sub(valid, 0, valid.len - 1);
    else if (forge == 9)
        shown = STR("v0=");
    else if (forge >= 10 && (size_t)forge - 10 < sizeof times / sizeof times[0]) {
        when = times[forge - 10];
        shown = sign(forge == 16 ? STR(NOW) : when, body, key, env->arena);
        if (forge == 16) /* white space at a field's ends is not part of it */
            shown = STR("v0=0");
    } else if (forge != 0)
        return false;
    proof_out->headers[0] =
        (struct http_header){.name = "X-Slack-Request-Timestamp", .value = when};
    proof_out->headers[1] = (struct http_header){.name = "X-Slack-Signature", .value = shown};
    return true;
}

#define REFUSED(error)                                                                             \
    {                                                                                              \
        200, "{\"ok\":false,\"error\":\"" error "\"}", NULL                                        \
    }

static const struct conformance_outcome outcomes[] = {
    {"accepted",
     {200, "{\"ok\":true,\"channel\":\"D1\",\"ts\":\"1800000000.000100\"}", NULL},
     ST_OK},
    {"too many", {429, "{\"ok\":false,\"error\":\"ratelimited\"}", "7"}, ST_BUSY},
    {"too many, without a time", {429, "{\"ok\":false,\"error\":\"ratelimited\"}", NULL}, ST_BUSY},
    {"too many, with 200", REFUSED("ratelimited"), ST_BUSY},
    {"too many, from a proxy", {429, "slow down", "3"}, ST_BUSY},
    {"not available", REFUSED("service_unavailable"), ST_UNAVAILABLE},
    {"being moved", REFUSED("team_added_to_org"), ST_UNAVAILABLE},
    {"request time-out", REFUSED("request_timeout"), ST_UNAVAILABLE},
    {"server error", {500, "{\"ok\":false,\"error\":\"something\"}", NULL}, ST_UNAVAILABLE},
    {"bad gateway", {502, "<html>502</html>", NULL}, ST_UNAVAILABLE},
    {"refused, but not by Slack", {401, "<html>proxy</html>", NULL}, ST_UNAVAILABLE},
    {"redirect", {302, "", NULL}, ST_UNAVAILABLE},
    {"perhaps done", REFUSED("fatal_error"), ST_UNCERTAIN},
    {"perhaps done, too", REFUSED("internal_error"), ST_UNCERTAIN},
    {"no token", REFUSED("invalid_auth"), ST_DENIED},
    {"token revoked", REFUSED("token_revoked"), ST_DENIED},
    {"token expired", REFUSED("token_expired"), ST_DENIED},
    {"account gone", REFUSED("account_inactive"), ST_DENIED},
    {"scope missing", REFUSED("missing_scope"), ST_DENIED},
    {"no channel", REFUSED("channel_not_found"), ST_NOT_FOUND},
    {"not in channel", REFUSED("not_in_channel"), ST_NOT_FOUND},
    {"archived", REFUSED("is_archived"), ST_NOT_FOUND},
    {"user disabled", REFUSED("user_disabled"), ST_NOT_FOUND},
    {"restricted", REFUSED("restricted_action_read_only_channel"), ST_NOT_FOUND},
    {"thread locked", REFUSED("thread_locked"), ST_NOT_FOUND},
    {"too long", REFUSED("msg_too_long"), ST_TOO_LARGE},
    {"too large, from a proxy", {413, "<html>413</html>", NULL}, ST_TOO_LARGE},
    {"empty", REFUSED("no_text"), ST_INVALID},
    {"arguments", REFUSED("invalid_arguments"), ST_INVALID},
    {"an error that is new", REFUSED("something_new"), ST_INVALID},
    {"no such method", REFUSED("unknown_method"), ST_INTERNAL},
    {"accepted, unreadable", {200, "<html>ok</html>", NULL}, ST_UNCERTAIN},
    {"accepted, cut off", {200, "{\"ok\":true,\"chann", NULL}, ST_UNCERTAIN},
    {"accepted, without ts", {200, "{\"ok\":true,\"channel\":\"D1\"}", NULL}, ST_UNCERTAIN},
    {NULL, {0, NULL, NULL}, ST_OK}};

#define CREDENTIALS(app)                                                                           \
    "{\"app_id\": \"" app "\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN                       \
    "\", \"signing_secret\": \"" SECRET "\"}"
#define MESSAGE(id, ts)                                                                            \
    "{\"type\":\"event_callback\",\"event_id\":\"" id "\",\"team_id\":\"T1\",\"event\":{"          \
    "\"type\":\"message\",\"channel\":\"D1\",\"channel_type\":\"im\",\"user\":\"U1\",\"ts\":\"" ts \
    "\",\"text\":\"Hi\"}}"

static void
test_slack(void **state)
{
    static const char *const bad_settings[] = {"{\"group_policy\": \"sometimes\"}",
                                               "{\"group_policy\": 1}",
                                               "{\"bot_user_id\": \"@bot\"}",
                                               "{\"api_base\": \"ftp://x\"}",
                                               "{\"api_base\": \"https://u@x\"}",
                                               "{\"files_base\": \"https://x?y\"}",
                                               NULL};
    static const char *const bad_credentials[] = {
        "{}",
        "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN "\"}",
        "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"signing_secret\": \"" SECRET "\"}",
        "{\"app_id\": \"A1\", \"bot_token\": \"" TOKEN "\", \"signing_secret\": \"" SECRET "\"}",
        "{\"app_id\": \"T1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN
        "\", \"signing_secret\": \"" SECRET "\"}",
        "{\"app_id\": \"A1\", \"team_id\": \"U1\", \"bot_token\": \"" TOKEN
        "\", \"signing_secret\": \"" SECRET "\"}",
        "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": "
        "\"xoxp-71828182845-90452353602\", "
        "\"signing_secret\": \"" SECRET "\"}",
        "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN
        "\", \"signing_secret\": \"short\"}",
        "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN
        "\", \"signing_secret\": \"" SECRET "\", \"previous_signing_secret\": \"\"}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_slack,
        .settings = "{\"api_base\": \"http://127.0.0.1:%u/api/\", \"bot_user_id\": \"UBOT\"}",
        .credentials = CREDENTIALS("A1"),
        .other_credentials = CREDENTIALS("A2"),
        .bare_credentials = CREDENTIALS("A1"),
        .unsafe_credentials =
            "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": \"" TOKEN "\"}",
        .account = "A1:T1",
        .secret = "71828182845",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove,
        .message = MESSAGE("Ev1", "1800000000.000001"),
        .other_message = MESSAGE("Ev2", "1800000000.000002"),
        .event = "{\"type\":\"event_callback\",\"event_id\":\"Ev3\",\"team_id\":\"T1\",\"event\":{"
                 "\"type\":\"reaction_added\",\"user\":\"U1\",\"reaction\":\"heart\",\"item\":{"
                 "\"type\":\"message\",\"channel\":\"D1\",\"ts\":\"1800000000.000001\"}}}",
        .unknown = "{\"type\":\"event_callback\",\"event_id\":\"Ev4\",\"team_id\":\"T1\","
                   "\"event\":{\"type\":\"something_new\"}}",
        .chat = "D1",
        .max_units = SLACK_PART_MAX_UNITS,
        .provider_ok = {200, "{\"ok\":true,\"channel\":\"D1\",\"ts\":\"1800000000.000100\"}", NULL},
        .outcomes = outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
