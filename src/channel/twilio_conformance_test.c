/*
 * twilio_conformance_test.c - the suite of all drivers, for Twilio's two
 */
#include "channel/channel_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/drivers/twilio.h"
#include "channel/secrets.h"
#include "text/json.h"

#define ACCOUNT "AC0123456789abcdef0123456789abcdef"
#define OTHER_ACCOUNT "AC99999999999999999999999999999999"
#define TOKEN "6f1d0c5a2b7e49d38c04aa55ee120987"
#define SID "SM00000000000000000000000000000001"
#define HOOK_URL "https://parley.example/hook"

static struct str
sign(struct str url, struct str body, struct str key, struct arena *arena)
{
    struct hmac_proof proof = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
    struct str *pieces;
    struct form form;
    struct err err;

    assert_int_equal(form_parse(body, arena, &form, &err), ST_OK);
    proof.piece_count = twilio_signed_pieces(url, &form, arena, &pieces);
    proof.pieces = pieces;
    return hmac_sign(key, &proof, arena);
}

static struct str
forged(struct str body, struct str key, int forge, struct arena *arena)
{
    struct str valid = sign(STR(HOOK_URL), body, key, arena);
    char *copy;

    switch (forge) {
    case 1:
        return STR("");
    case 2: /* another token */
        return sign(STR(HOOK_URL), body, STR("6f1d0c5a2b7e49d38c04aa55ee120986"), arena);
    case 3: /* another address */
        return sign(STR("https://parley.example/other"), body, key, arena);
    case 4: /* another body */
        return sign(STR(HOOK_URL), STR("AccountSid=" ACCOUNT), key, arena);
    case 5: /* a query that is not there */
        return sign(STR(HOOK_URL "?a=1"), body, key, arena);
    case 6:
        return str_sub(valid, 0, valid.len - 1);
    case 7:
        return arena_printf(arena, "%.*s=", STR_ARG(valid));
    case 8:
        copy = arena_cstr(arena, valid);
        copy[0] = copy[0] == 'A' ? 'B' : 'A';
        return str_of(copy, valid.len);
    default:
        return key;
    }
}

static bool
prove(const struct channel_record *record, struct test_env *env, struct str body, int forge,
      struct conformance_proof *proof_out)
{
    struct str key = json_get_str(record->credentials, "auth_token");

    *proof_out = (struct conformance_proof){.target = "/hook", .header_count = 1};
    proof_out->headers[0].name = "X-Twilio-Signature";
    if (forge == 0)
        proof_out->headers[0].value = sign(STR(HOOK_URL), body, key, env->arena);
    else if (forge == 10) /* no header at all */
        proof_out->header_count = 0;
    else if (forge == 11) { /* the body's hash instead of its fields, of another body */
        proof_out->target = "/hook?bodySHA256="
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        proof_out->headers[0].value =
            sign(STR(HOOK_URL "?bodySHA256="
                              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                 STR(""), key, env->arena);
    } else
        proof_out->headers[0].value = forged(body, key, forge, env->arena);
    return forge <= 11;
}

#define REFUSED(status, code)                                                                      \
    {                                                                                              \
        status,                                                                                    \
            "{\"code\":" #code ",\"message\":\"m\",\"more_info\":\"i\",\"status\":" #status "}",   \
            NULL                                                                                   \
    }

static const struct conformance_outcome outcomes[] = {
    {"accepted", {201, "{\"sid\":\"" SID "\",\"status\":\"queued\"}", NULL}, ST_OK},
    {"too many", {429, "{\"code\":20429,\"message\":\"m\",\"status\":429}", "7"}, ST_BUSY},
    {"too many, without a time", REFUSED(429, 20429), ST_BUSY},
    {"too many, from a proxy", {429, "slow down", "3"}, ST_BUSY},
    {"429 with another number", REFUSED(429, 21617), ST_BUSY},
    {"sending too fast", REFUSED(400, 14107), ST_BUSY},
    {"WhatsApp's rate", REFUSED(400, 63018), ST_BUSY},
    {"daily limit", REFUSED(400, 63038), ST_BUSY},
    {"queue is full", REFUSED(400, 30001), ST_BUSY},
    {"server error", REFUSED(500, 20500), ST_UNAVAILABLE},
    {"not available", REFUSED(503, 20503), ST_UNAVAILABLE},
    {"server error, HTML", {500, "<html>500</html>", NULL}, ST_UNAVAILABLE},
    {"bad gateway", {502, "", NULL}, ST_UNAVAILABLE},
    {"refused, but not by Twilio", {401, "<html>proxy</html>", NULL}, ST_UNAVAILABLE},
    {"redirect", {302, "", NULL}, ST_UNAVAILABLE},
    {"credentials", REFUSED(401, 20003), ST_DENIED},
    {"no account", REFUSED(404, 20404), ST_DENIED},
    {"test credentials", REFUSED(403, 20008), ST_DENIED},
    {"sender not ours", REFUSED(400, 21606), ST_DENIED},
    {"sender not allowed", REFUSED(400, 21659), ST_DENIED},
    {"no WhatsApp sender", REFUSED(400, 63007), ST_DENIED},
    {"not registered", REFUSED(400, 30034), ST_DENIED},
    {"unknown number, forbidden", REFUSED(403, 99999), ST_DENIED},
    {"no number", REFUSED(400, 21211), ST_NOT_FOUND},
    {"opted out", REFUSED(400, 21610), ST_NOT_FOUND},
    {"no mobile", REFUSED(400, 21614), ST_NOT_FOUND},
    {"country disabled", REFUSED(400, 21408), ST_NOT_FOUND},
    {"no WhatsApp recipient", REFUSED(400, 63024), ST_NOT_FOUND},
    {"too long", REFUSED(400, 21617), ST_TOO_LARGE},
    {"media", REFUSED(400, 21620), ST_INVALID},
    {"window", REFUSED(400, 63016), ST_CONFLICT},
    {"template's variables", REFUSED(400, 21656), ST_INVALID},
    {"unknown number", REFUSED(400, 99999), ST_INVALID},
    {"too large, from a proxy", {413, "<html>413</html>", NULL}, ST_TOO_LARGE},
    {"accepted, unreadable", {201, "<html>ok</html>", NULL}, ST_UNCERTAIN},
    {"accepted, cut off", {201, "{\"sid\":\"SM0", NULL}, ST_UNCERTAIN},
    {"accepted, without sid", {201, "{\"status\":\"queued\"}", NULL}, ST_UNCERTAIN},
    {NULL, {0, NULL, NULL}, ST_OK}};

static const char *const bad_credentials[] = {
    "{}",
    "{\"account_sid\": \"" ACCOUNT "\"}",
    "{\"account_sid\": \"AC12\", \"auth_token\": \"" TOKEN "\"}",
    "{\"account_sid\": \"SK0123456789abcdef0123456789abcdef\", \"auth_token\": \"" TOKEN "\"}",
    "{\"account_sid\": \"AC0123456789abcdef0123456789abcdeg\", \"auth_token\": \"" TOKEN "\"}",
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"short\"}",
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"with a space in its middle\"}",
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN
    "\", \"previous_auth_token\": \"\"}",
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN
    "\", \"api_key_sid\": \"SK0123456789abcdef0123456789abcdef\"}",
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN
    "\", \"api_key_sid\": \"SK01\", \"api_key_secret\": \"" TOKEN "\"}",
    NULL};

#define BASES                                                                                      \
    "\"webhook_url\": \"" HOOK_URL "\", \"messaging_base\": \"http://127.0.0.1:1\", "              \
    "\"api_base\": \"http://127.0.0.1:%u/\""
#define CREDENTIALS(account) "{\"account_sid\": \"" account "\", \"auth_token\": \"" TOKEN "\"}"

static void
test_sms(void **state)
{
    static const char *const bad_settings[] = {
        "{}",
        "{\"from\": \"\"}",
        "{\"from\": 15551230000}",
        "{\"from\": \"+1555\"}",
        "{\"from\": \"+1555123000012345\"}",
        "{\"from\": \"+1 555 123 0000\"}",
        "{\"from\": \"whatsapp:+15551230000\"}",
        "{\"from\": \"12\"}",
        "{\"from\": \"123456789\"}",
        "{\"messaging_service_sid\": \"MG12\"}",
        "{\"from\": \"+15551230000\", \"messaging_service_sid\": null}",
        "{\"from\": \"+15551230000\", \"max_segments\": 0}",
        "{\"from\": \"+15551230000\", \"max_segments\": 11}",
        "{\"from\": \"+15551230000\", \"max_segments\": \"4\"}",
        "{\"from\": \"+15551230000\", \"webhook_url\": \"parley.example\"}",
        "{\"from\": \"+15551230000\", \"webhook_url\": \"https://parley.example/?a=1\"}",
        "{\"from\": \"+15551230000\", \"api_base\": \"https://\"}",
        "{\"from\": \"+15551230000\", \"messaging_base\": 1}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_twilio_sms,
        .settings = "{\"from\": \"+15551230000\", \"max_segments\": 4, " BASES "}",
        .credentials = CREDENTIALS(ACCOUNT),
        .other_credentials = CREDENTIALS(OTHER_ACCOUNT),
        .bare_credentials = CREDENTIALS(ACCOUNT),
        .unsafe_credentials = "{\"account_sid\": \"" ACCOUNT "\"}",
        .account = ACCOUNT ":+15551230000",
        .secret = "6f1d0c5a",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove,
        .message = "AccountSid=" ACCOUNT "&MessageSid=" SID
                   "&From=%2B15557654321&To=%2B15551230000&Body=Hi&NumMedia=0&SmsStatus=received",
        .other_message =
            "AccountSid=" ACCOUNT "&MessageSid=SM00000000000000000000000000000002"
            "&From=%2B15557654321&To=%2B15551230000&Body=Hi&NumMedia=0&SmsStatus=received",
        .is_form = true,
        .event = "AccountSid=" ACCOUNT "&MessageSid=" SID
                 "&MessageStatus=delivered&To=%2B15557654321&From=%2B15551230000",
        .chat = "+15557654321",
        .max_units = 612, /* four segments of 153 septets */
        .provider_ok = {201, "{\"sid\":\"" SID "\",\"status\":\"queued\"}", NULL},
        .outcomes = outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
}

static void
test_whatsapp(void **state)
{
    static const char *const bad_settings[] = {
        "{}",
        "{\"from\": \"12345\"}",
        "{\"from\": \"whatsapp:+15551230000\"}",
        "{\"messaging_service_sid\": \"XX0123456789abcdef0123456789abcdef\"}",
        "{\"from\": \"+15551230000\", \"max_segments\": 4}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_twilio_whatsapp,
        .settings =
            "{\"messaging_service_sid\": \"MG0123456789abcdef0123456789abcdef\", " BASES "}",
        .credentials = CREDENTIALS(ACCOUNT),
        .other_credentials = CREDENTIALS(OTHER_ACCOUNT),
        .bare_credentials = CREDENTIALS(ACCOUNT),
        .unsafe_credentials = "{\"account_sid\": \"" ACCOUNT "\"}",
        .account = ACCOUNT ":MG0123456789abcdef0123456789abcdef",
        .secret = "6f1d0c5a",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove,
        .message = "AccountSid=" ACCOUNT "&MessageSid=" SID
                   "&From=whatsapp%3A%2B15557654321&To=whatsapp%3A%2B15551230000&Body=Hi"
                   "&MessageType=text&ProfileName=Ada&WaId=15557654321",
        .other_message = "AccountSid=" ACCOUNT "&MessageSid=SM00000000000000000000000000000002"
                         "&From=whatsapp%3A%2B15557654321&To=whatsapp%3A%2B15551230000&Body=Hi",
        .is_form = true,
        .event = "AccountSid=" ACCOUNT "&MessageSid=" SID
                 "&MessageStatus=read&To=whatsapp%3A%2B15557654321&From=whatsapp%3A%2B15551230000",
        .chat = "+15557654321",
        .max_units = TWILIO_BODY_MAX_UNITS,
        .provider_ok = {201, "{\"sid\":\"" SID "\",\"status\":\"queued\"}", NULL},
        .outcomes = outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sms),
        cmocka_unit_test(test_whatsapp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
