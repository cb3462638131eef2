/*
 * channel_conformance_test.c - the suite, run for every driver
 */
#include "channel/channel_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "channel/web_session.h"
#include "text/json.h"

/* --- telegram --- */

#define TG_TOKEN "7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
#define TG_SECRET "s3cr3t-Token_1"

static bool
prove_by_header(const struct channel_record *record, const char *name, const char *key, int forge,
                struct conformance_proof *proof_out)
{
    static const struct str wrong[] = {
        STR_INIT(""),
        STR_INIT("s3cr3t-Token_"),
        STR_INIT("s3cr3t-Token_11"),
        STR_INIT("S3CR3T-TOKEN_1"),
        STR_INIT("0123456789012345678901234567890123456789012"),
        STR_INIT("null"),
    };

    *proof_out = (struct conformance_proof){
        .target = "/hook", .headers = {{.name = name}}, .header_count = 1};
    if (forge == 0) {
        proof_out->headers[0].value = json_get_str(record->credentials, key);
        /* The record without a secret: prove with what a forger would try first. */
        if (proof_out->headers[0].value.ptr == NULL)
            proof_out->headers[0].value = STR("");
    } else if (forge == 1) {
        proof_out->header_count = 0;
    } else if ((size_t)forge - 2 < sizeof wrong / sizeof wrong[0]) {
        proof_out->headers[0].value = wrong[forge - 2];
    } else {
        return false;
    }
    return true;
}

static bool
prove_telegram(const struct channel_record *record, struct test_env *env, struct str body,
               int forge, struct conformance_proof *proof_out)
{
    (void)env;
    (void)body;
    return prove_by_header(record, "X-Telegram-Bot-Api-Secret-Token", "secret_token", forge,
                           proof_out);
}

#define TG_CHAT "\"chat\":{\"id\":42,\"type\":\"private\"},\"from\":{\"id\":42,\"is_bot\":false}"
#define TG_REFUSED(code, text)                                                                     \
    "{\"ok\":false,\"error_code\":" #code ",\"description\":\"" text "\"}"

static const struct conformance_outcome telegram_outcomes[] = {
    {"blocked",
     {403, TG_REFUSED(403, "Forbidden: bot was blocked by the user"), NULL},
     ST_NOT_FOUND},
    {"deactivated", {403, TG_REFUSED(403, "Forbidden: user is deactivated"), NULL}, ST_NOT_FOUND},
    {"kicked",
     {403, TG_REFUSED(403, "Forbidden: bot was kicked from the group chat"), NULL},
     ST_NOT_FOUND},
    {"no chat", {400, TG_REFUSED(400, "Bad Request: chat not found"), NULL}, ST_NOT_FOUND},
    {"restricted",
     {400, TG_REFUSED(400, "Bad Request: not enough rights to send text messages to the chat"),
      NULL},
     ST_NOT_FOUND},
    {"empty", {400, TG_REFUSED(400, "Bad Request: message text is empty"), NULL}, ST_INVALID},
    {"too long", {400, TG_REFUSED(400, "Bad Request: message is too long"), NULL}, ST_TOO_LARGE},
    {"no topic", {400, TG_REFUSED(400, "Bad Request: message thread not found"), NULL}, ST_INVALID},
    {"button", {400, TG_REFUSED(400, "Bad Request: BUTTON_DATA_INVALID"), NULL}, ST_INVALID},
    {"revoked", {401, TG_REFUSED(401, "Unauthorized"), NULL}, ST_DENIED},
    {"no such token", {404, TG_REFUSED(404, "Not Found"), NULL}, ST_DENIED},
    {"method", {404, TG_REFUSED(404, "Not Found: method not found"), NULL}, ST_INTERNAL},
    {"conflict", {409, TG_REFUSED(409, "Conflict: something"), NULL}, ST_CONFLICT},
    {"body too large", {413, TG_REFUSED(413, "Request Entity Too Large"), NULL}, ST_TOO_LARGE},
    {"body too large, from a proxy", {413, "<html>413</html>", NULL}, ST_TOO_LARGE},
    {"too many",
     {429,
      "{\"ok\":false,\"error_code\":429,\"description\":\"Too Many Requests: retry after 7\","
      "\"parameters\":{\"retry_after\":7}}",
      "7"},
     ST_BUSY},
    {"too many, from a proxy", {429, "slow down", "3"}, ST_BUSY},
    {"too many, without a time", {429, TG_REFUSED(429, "Too Many Requests"), NULL}, ST_BUSY},
    {"server error", {500, TG_REFUSED(500, "Internal Server Error"), NULL}, ST_UNAVAILABLE},
    {"bad gateway", {502, "<html>502 Bad Gateway</html>", NULL}, ST_UNAVAILABLE},
    {"gateway time-out", {504, "<html>504</html>", NULL}, ST_UNAVAILABLE},
    {"unauthorized, but not by Telegram", {401, "<html>proxy</html>", NULL}, ST_UNAVAILABLE},
    {"redirect", {302, "", NULL}, ST_UNAVAILABLE},
    {"accepted, unreadable", {200, "<html>ok</html>", NULL}, ST_UNCERTAIN},
    {"accepted, cut off", {200, "{\"ok\":true,\"result\":{\"mess", NULL}, ST_UNCERTAIN},
    {"accepted, without id", {200, "{\"ok\":true,\"result\":{}}", NULL}, ST_UNCERTAIN},
    {"accepted, without result", {200, "{\"ok\":true}", NULL}, ST_UNCERTAIN},
    {"the token in the description",
     {400, TG_REFUSED(400, "Bad Request: no " TG_TOKEN " here, really no " TG_TOKEN), NULL},
     ST_INVALID},
    {"the token where the text is cut",
     {400,
      TG_REFUSED(400, "Bad Request: a long text that ends within the token when it is cut to the "
                      "length of an error, which is not much, to be found at " TG_TOKEN),
      NULL},
     ST_INVALID},
    {"accepted", {200, "{\"ok\":true,\"result\":{\"message_id\":1}}", NULL}, ST_OK},
    {NULL, {0, NULL, NULL}, ST_OK}};

static void
test_telegram(void **state)
{
    static const char *const bad_settings[] = {
        "{\"api_base\": \"ftp://x\"}",
        "{\"api_base\": \"https://\"}",
        "{\"api_base\": \"https://x?y\"}",
        "{\"api_base\": \"https://u@x\"}",
        "{\"api_base\": 1}",
        "{\"group_policy\": \"sometimes\"}",
        "{\"group_policy\": null}",
        "{\"commands\": {}}",
        "{\"commands\": [{\"command\": \"Up\", \"description\": \"x\"}]}",
        "{\"commands\": [{\"command\": \"up\"}]}",
        "{\"commands\": [\"up\"]}",
        "{\"bot_username\": \"@x\"}",
        "{\"bot_per_second\": 0}",
        "{\"chat_per_minute\": 1.5}",
        "{\"group_per_minute\": \"20\"}",
        NULL};
    static const char *const bad_credentials[] = {
        "{}",
        "{\"bot_token\": \"\"}",
        "{\"bot_token\": \"abc\"}",
        "{\"bot_token\": \"1:short\"}",
        "{\"bot_token\": \"x1:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"}",
        "{\"bot_token\": \"-1:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"}",
        "{\"bot_token\": \"7000000001:AAHdqTcvCH1vGWJxfSe/../AAAAAAA\"}",
        "{\"bot_token\": \"" TG_TOKEN "\", \"secret_token\": \"short\"}",
        "{\"bot_token\": \"" TG_TOKEN "\", \"secret_token\": \"with space in it\"}",
        "{\"bot_token\": \"" TG_TOKEN "\", \"secret_token\": 12345678}",
        "{\"bot_token\": \"" TG_TOKEN "\", \"previous_secret_token\": \"\"}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_telegram,
        .settings = "{\"api_base\": \"http://127.0.0.1:%u/\"}",
        .credentials = "{\"bot_token\": \"" TG_TOKEN "\", \"secret_token\": \"" TG_SECRET "\"}",
        .other_credentials = "{\"bot_token\": \"7000000002:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\", "
                             "\"secret_token\": \"" TG_SECRET "\"}",
        .bare_credentials = "{\"bot_token\": \"" TG_TOKEN "\"}",
        .unsafe_credentials = "{\"bot_token\": \"" TG_TOKEN "\"}",
        .account = "7000000001",
        .secret = "AAHdqTcv", /* the beginning: also a part of it is too much */
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove_telegram,
        .message = "{\"update_id\":1,\"message\":{\"message_id\":1,\"date\":1700000000," TG_CHAT
                   ",\"text\":\"Hi\"}}",
        .other_message =
            "{\"update_id\":2,\"message\":{\"message_id\":2,\"date\":1700000000," TG_CHAT
            ",\"text\":\"Hi\"}}",
        .event =
            "{\"update_id\":3,\"edited_message\":{\"message_id\":2,\"date\":1700000000," TG_CHAT
            ",\"text\":\"Ho\"}}",
        .unknown = "{\"update_id\":4,\"something_new\":{\"a\":1}}",
        .chat = "42",
        .max_units = 4096,
        .provider_ok = {200, "{\"ok\":true,\"result\":{\"message_id\":99}}", NULL},
        .outcomes = telegram_outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
}

/* --- web --- */

#define WEB_SECRET "a-secret-of-the-web-channel-0001"
#define VISITOR "01900000-0000-7000-8000-000000000001"

static struct str
web_token(const struct channel_record *record, struct test_env *env, int64_t issued_us)
{
    struct clock *clock = clock_create_manual(issued_us);
    struct visitor_id visitor;
    struct str token;
    struct err err;

    assert_int_equal(ID_PARSE(STR(VISITOR), &visitor, &err), ST_OK);
    if (web_session_issue(record, visitor, clock, env->arena, &token, &err) != ST_OK)
        token = STR("v1." VISITOR ".1800000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    clock_destroy(&clock);
    return token;
}

static struct str
changed(struct test_env *env, struct str token, size_t at)
{
    char *copy = arena_cstr(env->arena, token);

    copy[at] = copy[at] == 'A' ? 'B' : 'A';
    return str_of(copy, token.len);
}

static struct str
forged_token(const struct channel_record *record, struct test_env *env, int forge)
{
    const int64_t day_us = INT64_C(86400) * US_PER_S;
    struct channel_record other = *record;
    struct str token = web_token(record, env, TEST_WALL_US);

    other.id = ID_NEW(channel_id);
    switch (forge) {
    case 1:
        return STR("");
    case 2:
        return web_token(&other, env, TEST_WALL_US);
    case 3:
        return web_token(record, env, TEST_WALL_US - 401 * day_us);
    case 4:
        return web_token(record, env, TEST_WALL_US + day_us);
    case 5:
        return str_sub(token, 0, token.len - 1);
    case 6:
        return arena_printf(env->arena, "%.*s.", STR_ARG(token));
    case 7:
        return STR(WEB_SECRET);
    case 8:
        return changed(env, token, 1);
    case 9:
        return changed(env, token, 38); /* the visitor's last digit */
    case 10:
        return changed(env, token, 45); /* the time */
    default:                            /* every second character of the signature */
        return changed(env, token, token.len - 1 - 2 * (size_t)(forge - 11));
    }
}

static bool
prove_web(const struct channel_record *record, struct test_env *env, struct str body, int forge,
          struct conformance_proof *proof_out)
{
    struct str token = forge == 0 ? web_token(record, env, TEST_WALL_US)
                                  : forged_token(record, env, forge > 30 ? 1 : forge);

    (void)body;
    *proof_out = (struct conformance_proof){.target = "/hook"};
    if (forge == 31) /* no header at all */
        return true;
    if (forge == 32) { /* another scheme */
        proof_out->header_count = 1;
        proof_out->headers[0] = (struct http_header){
            .name = "Authorization",
            .value = arena_printf(env->arena, "Basic %.*s",
                                  STR_ARG(web_token(record, env, TEST_WALL_US)))};
        return true;
    }
    if (forge > 32)
        return false;
    /* Even forgeries, and the valid one, by header; odd ones in the query. */
    if (forge % 2 == 1)
        proof_out->target = arena_printf(env->arena, "/hook?token=%.*s", STR_ARG(token)).ptr;
    else
        proof_out->header_count = 1;
    proof_out->headers[0] = (struct http_header){
        .name = "Authorization", .value = arena_printf(env->arena, "Bearer %.*s", STR_ARG(token))};
    return true;
}

static void
test_web(void **state)
{
    static const char *const bad_settings[] = {"{\"title\": 1}",
                                               "{\"title\": \"\"}",
                                               "{\"greeting\": []}",
                                               "{\"color\": \"red\"}",
                                               "{\"color\": \"#12345\"}",
                                               "{\"color\": \"#12345g\"}",
                                               "{\"locale\": \"x\"}",
                                               "{\"locale\": \"en GB\"}",
                                               "{\"allowed_origins\": \"https://x\"}",
                                               "{\"allowed_origins\": [1]}",
                                               "{\"allowed_origins\": [\"shop.example\"]}",
                                               "{\"allowed_origins\": [\"https://x/\"]}",
                                               "{\"allowed_origins\": [\"https://*.x\"]}",
                                               "{\"suggestions\": \"When?\"}",
                                               "{\"suggestions\": [\"\"]}",
                                               "{\"suggestions\": [7]}",
                                               NULL};
    static const char *const bad_credentials[] = {"{\"secret\": \"short\"}", "{\"secret\": 1}",
                                                  "{\"secret\": null}",
                                                  "{\"previous_secret\": \"short\"}", NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_web,
        .settings = "{\"title\": \"Help\", \"color\": \"#1a73e8\", \"locale\": \"en-GB\", "
                    "\"greeting\": \"Hello!\", \"allowed_origins\": [\"https://shop.example\"]}",
        .credentials = "{\"secret\": \"" WEB_SECRET "\"}",
        .other_credentials = "{\"secret\": \"" WEB_SECRET "\"}",
        .bare_credentials = "{}",
        .unsafe_credentials = "{}",
        .account = "",
        .secret = WEB_SECRET,
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove_web,
        .message = "{\"client_message_id\":\"m-1\",\"text\":\"Hi\","
                   "\"metadata\":{\"page\":\"https://shop.example/a\",\"locale\":\"en\"}}",
        .other_message = "{\"client_message_id\":\"m-2\",\"text\":\"Hi\"}",
        .event = "{\"client_message_id\":\"m-3\",\"new_conversation\":true}",
        .chat = VISITOR,
    };

    (void)state;
    channel_conformance_run(&suite);
}

/* --- the drivers for tests --- */

static bool
prove_fake(const struct channel_record *record, struct test_env *env, struct str body, int forge,
           struct conformance_proof *proof_out)
{
    (void)env;
    (void)body;
    return prove_by_header(record, "X-Fake-Secret", "secret", forge, proof_out);
}

static void
run_fake(const struct channel_driver *driver)
{
    static const char *const bad_settings[] = {
        "{\"account\": 1}",       "{\"max_units\": 0}",
        "{\"script\": \"busy\"}", "{\"script\": [\"nonsense\"]}",
        "{\"script\": [1]}",      NULL};
    static const char *const bad_credentials[] = {"{\"secret\": \"short\"}", "{\"secret\": 1}",
                                                  NULL};
    const struct channel_conformance suite = {
        .driver = driver,
        .settings = "{\"account\": \"acc\", \"max_units\": 100}",
        .credentials = "{\"secret\": \"" TG_SECRET "\"}",
        .other_credentials = "{\"secret\": \"" TG_SECRET "\"}",
        .bare_credentials = "{}",
        .unsafe_credentials = "{}",
        .account = "acc",
        .secret = TG_SECRET,
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove_fake,
        .message = "{\"id\":\"m1\",\"user\":\"u1\",\"chat\":\"c1\",\"text\":\"Hi\"}",
        .other_message = "{\"id\":\"m2\",\"user\":\"u1\",\"chat\":\"c1\",\"text\":\"Hi\"}",
        .event = "{\"id\":\"e1\",\"event\":\"reaction\",\"about\":\"m1\"}",
        .chat = "c1",
        .max_units = 100,
    };

    channel_conformance_run(&suite);
}

static void
test_fake(void **state)
{
    (void)state;
    run_fake(&channel_driver_fake);
}

static void
test_failing(void **state)
{
    (void)state;
    run_fake(&channel_driver_failing);
}

static void
test_recording(void **state)
{
    (void)state;
    run_fake(&channel_driver_recording);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telegram),  cmocka_unit_test(test_web),
        cmocka_unit_test(test_fake),      cmocka_unit_test(test_failing),
        cmocka_unit_test(test_recording),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
