/*
 * meta_test.c - signatures, handshakes and errors of Meta's platforms
 *
 * The signatures are published nowhere: they were made with another implementation of HMAC.
 */
#include "channel/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "text/json.h"

#define SETTINGS "{}"
#define TOKEN "EAAtest0123456789abcdef"
#define CREDENTIALS                                                                                \
    "{\"phone_number_id\": \"106540352242922\", \"access_token\": \"" TOKEN "\", "                 \
    "\"app_secret\": \"app_secret_example\", \"previous_app_secret\": \"app_secret_of_before\", "  \
    "\"verify_token\": \"verify-token-1\", \"previous_verify_token\": \"verify-token-0\"}"

struct fixture {
    struct test_env env;
    struct test_hook *hook;
    struct channel_record *record;
};

static void
fixture_init(struct fixture *f)
{
    test_env_init(&f->env);
    f->hook = test_hook_start(&f->env);
    f->record = test_record("whatsapp_business", SETTINGS, CREDENTIALS);
}

static void
fixture_deinit(struct fixture *f)
{
    test_record_release(&f->record);
    test_hook_stop(&f->hook);
    test_env_deinit(&f->env);
}

/* --- signatures --- */

#define EMPTY_BODY "{\"object\":\"whatsapp_business_account\",\"entry\":[]}"
#define EMPTY_SIGNED "sha256=6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf3"
#define ESCAPED_BODY "{\"text\":{\"body\":\"caf\\u00e9\"}}"
#define ESCAPED_SIGNED "sha256=0ff8151aeca4207ec2828d2f3488e110f55271b488d6e2de0cac09f02d0ac0dd"

static void
test_signatures(void **state)
{
    static const struct {
        const char *name, *body, *signature; /* NULL: no header */
        enum status want;
    } cases[] = {
        {"no entries", EMPTY_BODY, EMPTY_SIGNED, ST_OK},
        {"escaped text", ESCAPED_BODY, ESCAPED_SIGNED, ST_OK},
        {"the same text unescaped", "{\"text\":{\"body\":\"caf\xc3\xa9\"}}", ESCAPED_SIGNED,
         ST_DENIED},
        {"the secret of before", EMPTY_BODY,
         "sha256=c3cdfdf0c70f1f2586e24af4280f25346fd6eb6c878ec48c952308947e603344", ST_OK},
        {"without header", EMPTY_BODY, NULL, ST_DENIED},
        {"empty", EMPTY_BODY, "", ST_DENIED},
        {"prefix alone", EMPTY_BODY, "sha256=", ST_DENIED},
        {"without prefix", EMPTY_BODY,
         "6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf3", ST_DENIED},
        {"of another hash", EMPTY_BODY, "sha1=6eb10e0bc4192e9206e3de93178e66ea9eb262e9", ST_DENIED},
        {"cut", EMPTY_BODY,
         "sha256=6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf", ST_DENIED},
        {"longer", EMPTY_BODY,
         "sha256=6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf300", ST_DENIED},
        {"one digit off", EMPTY_BODY,
         "sha256=6eb10e0bc4192e9206e3de93178e66ea9eb262e9ea07bb66abdc83dcf8d3abf4", ST_DENIED},
        {"of another body", ESCAPED_BODY, EMPTY_SIGNED, ST_DENIED},
    };
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_header header = {.name = "X-Hub-Signature-256",
                                           .value = str_from_c(cases[i].signature)};
        struct test_hook_result result;

        test_hook_post(f.hook, f.record, "/hook", &header, cases[i].signature != NULL,
                       str_from_c(cases[i].body), &result);
        if (result.verified != cases[i].want)
            fail_msg("%s: %s (%s)", cases[i].name, status_name(result.verified), result.detail);
        json_decref(result.items);
    }
    fixture_deinit(&f);
}

/* --- the handshake --- */

static void
test_handshakes(void **state)
{
    static const struct {
        const char *target, *want; /* NULL: denied */
    } cases[] = {
        {"/hook?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-token-1",
         "1158201444"},
        {"/hook?hub.verify_token=verify-token-0&hub.challenge=7&hub.mode=subscribe", "7"},
        {"/hook?hub.mode=subscribe&hub.challenge=1&hub.verify_token=verify-token-2", NULL},
        {"/hook?hub.mode=subscribe&hub.challenge=1&hub.verify_token=", NULL},
        {"/hook?hub.mode=subscribe&hub.challenge=1", NULL},
        {"/hook?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=verify-token-1", NULL},
        {"/hook?hub.challenge=1&hub.verify_token=verify-token-1", NULL},
        {"/hook?hub.mode=subscribe&hub.verify_token=verify-token-1", NULL},
        {"/hook?hub.mode=subscribe&hub.challenge=a%20b&hub.verify_token=verify-token-1", NULL},
        {"/hook?hub.mode=subscribe&hub.challenge=%0d%0a&hub.verify_token=verify-token-1", NULL},
        {"/hook", NULL},
    };
    struct fixture f;

    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_hook_result result;

        test_hook_get(f.hook, f.record, cases[i].target, &result);
        if (result.is_handshake != (cases[i].want != NULL) ||
            result.verified != (cases[i].want != NULL ? ST_OK : ST_DENIED))
            fail_msg("%s: %s", cases[i].target, status_name(result.verified));
        if (cases[i].want == NULL)
            continue;
        assert_int_equal(result.reply.status, 200);
        assert_string_equal(result.reply.content_type, "text/plain");
        assert_true(str_eq_c(result.reply.body, cases[i].want));
    }
    fixture_deinit(&f);
}

/* --- errors --- */

#define ERROR(code) "{\"error\":{\"message\":\"m\",\"type\":\"OAuthException\",\"code\":" #code "}}"
#define SUB(code, subcode)                                                                         \
    "{\"error\":{\"message\":\"m\",\"code\":" #code ",\"error_subcode\":" #subcode "}}"

static const struct {
    const char *name;
    int http_status;
    const char *body;
    enum status want;
    int wait_ms; /* at least */
} sorted_cases[] = {
    {"accepted", 200, "{\"messages\":[{\"id\":\"wamid.X\"}]}", ST_OK, 0},
    {"window closed", 400, ERROR(131047), ST_CONFLICT, 0},
    {"window closed, Instagram", 400, SUB(10, 2018278), ST_CONFLICT, 0},
    {"window closed, Instagram, another way", 400, SUB(100, 2534022), ST_CONFLICT, 0},
    {"not on WhatsApp", 400, ERROR(131026), ST_NOT_FOUND, 0},
    {"not in the test list", 400, ERROR(131030), ST_NOT_FOUND, 0},
    {"country", 403, ERROR(130497), ST_NOT_FOUND, 0},
    {"unavailable person", 400, ERROR(551), ST_NOT_FOUND, 0},
    {"unavailable person, by subcode", 400, SUB(200, 1545041), ST_NOT_FOUND, 0},
    {"no such person", 400, SUB(100, 2018001), ST_NOT_FOUND, 0},
    {"token expired", 401, ERROR(190), ST_DENIED, 0},
    {"token expired, with subcode", 401, SUB(190, 463), ST_DENIED, 0},
    {"not authenticated", 401, ERROR(0), ST_DENIED, 0},
    {"permission", 403, ERROR(10), ST_DENIED, 0},
    {"restricted page", 403, SUB(10, 1893063), ST_DENIED, 0},
    {"permission of the range", 403, ERROR(200), ST_DENIED, 0},
    {"permission of the range's end", 403, ERROR(299), ST_DENIED, 0},
    {"after the range", 400, ERROR(300), ST_INVALID, 0},
    {"no such object", 400, SUB(100, 33), ST_DENIED, 0},
    {"policy", 400, ERROR(368), ST_DENIED, 0},
    {"locked", 403, ERROR(131031), ST_DENIED, 0},
    {"billing", 400, ERROR(131042), ST_DENIED, 0},
    {"not registered", 400, ERROR(133010), ST_DENIED, 0},
    {"app's rate", 400, ERROR(4), ST_BUSY, 60000},
    {"account's rate", 400, ERROR(80007), ST_BUSY, 60000},
    {"throughput", 429, ERROR(130429), ST_BUSY, 2000},
    {"spam", 400, ERROR(131048), ST_BUSY, 600000},
    {"pair rate", 400, ERROR(131056), ST_BUSY, 6000},
    {"Instagram's rate", 400, ERROR(613), ST_BUSY, 60000},
    {"temporary", 500, ERROR(1), ST_UNAVAILABLE, 0},
    {"temporary, as 400", 400, ERROR(2), ST_UNAVAILABLE, 0},
    {"unknown to Meta", 500, ERROR(131000), ST_UNAVAILABLE, 0},
    {"maintenance", 400, ERROR(131057), ST_UNAVAILABLE, 60000},
    {"transient by its own word", 400, "{\"error\":{\"code\":999999,\"is_transient\":true}}",
     ST_UNAVAILABLE, 0},
    {"bad parameter", 400, ERROR(100), ST_INVALID, 0},
    {"no template", 404, ERROR(132001), ST_INVALID, 0},
    {"paused template", 400, ERROR(132015), ST_INVALID, 0},
    {"experiment", 400, ERROR(130472), ST_INVALID, 0},
    {"opted out", 400, ERROR(131050), ST_INVALID, 0},
    {"marketing limit", 400, ERROR(131049), ST_INVALID, 0},
    {"user id not allowed", 400, ERROR(131062), ST_INVALID, 0},
    {"unlisted", 400, ERROR(139999), ST_INVALID, 0},
    {"unlisted, theirs", 503, ERROR(139999), ST_UNAVAILABLE, 0},
    {"unlisted, too many", 429, ERROR(139999), ST_BUSY, 1000},
    {"error without code", 400, "{\"error\":{}}", ST_INVALID, 0},
    {"error with 200", 200, ERROR(999999), ST_UNAVAILABLE, 0},
    {"accepted, unreadable", 200, "<html>", ST_UNCERTAIN, 0},
    {"accepted, cut off", 200, "{\"messages\":[", ST_UNCERTAIN, 0},
    {"accepted, a list", 200, "[]", ST_UNCERTAIN, 0},
    {"proxy", 502, "<html>502</html>", ST_UNAVAILABLE, 0},
    {"proxy says unauthorized", 401, "<html>401</html>", ST_UNAVAILABLE, 0},
    {"proxy says too many", 429, "slow down", ST_BUSY, 1000},
    {"too large", 413, "<html>413</html>", ST_TOO_LARGE, 0},
    {"redirect", 302, "", ST_UNAVAILABLE, 0},
};

static void
test_sorting(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof sorted_cases / sizeof sorted_cases[0]; i++) {
        json_t *answer = NULL;
        struct meta_error error;
        struct err err = {.code = ST_OK};
        enum status st =
            meta_sort_answer(sorted_cases[i].http_status, str_from_c(sorted_cases[i].body), -1,
                             &answer, &error, &err);

        if (st != sorted_cases[i].want)
            fail_msg("%s: %s (%s)", sorted_cases[i].name, status_name(st), err.detail);
        assert_int_equal(answer != NULL, st == ST_OK);
        assert_int_equal(error.window_is_closed, st == ST_CONFLICT);
        if (err.retry_after_ms < sorted_cases[i].wait_ms ||
            (sorted_cases[i].wait_ms == 0 && err.retry_after_ms != 0))
            fail_msg("%s: waits %d ms", sorted_cases[i].name, err.retry_after_ms);
        json_decref(answer);
    }
}

/* A told wait counts when it is longer than ours, up to an hour; words reach a person, cut whole.
 */
static void
test_words_and_waits(void **state)
{
    static const char details[] =
        "{\"error\":{\"message\":\"(#131047) Re-engagement\",\"code\":131047,\"error_data\":"
        "{\"messaging_product\":\"whatsapp\",\"details\":\"More than 24 hours have passed\"}}}";
    struct arena *arena = arena_create(1024 * 1024);
    struct str many = arena_printf(arena, "{\"error\":{\"code\":1,\"message\":\"%s%s%s%s\"}}",
                                   "ääääääääääääääääääääääääääääää", "ääääääääääääääääääääääääää",
                                   "ääääääääääääääääääääääääääääää", "ääääääääääääääääääääääääää");
    json_t *answer;
    struct meta_error error;
    struct err err;

    (void)state;
    assert_int_equal(meta_sort_answer(400, str_from_c(details), -1, &answer, &error, &err),
                     ST_CONFLICT);
    assert_string_equal(err.public_text, "Meta 131047: More than 24 hours have passed");
    assert_int_equal(error.code, 131047);
    assert_int_equal(meta_sort_answer(429, STR(ERROR(130429)), 9000, &answer, &error, &err),
                     ST_BUSY);
    assert_int_equal(err.retry_after_ms, 9000);
    assert_int_equal(meta_sort_answer(429, STR(ERROR(4)), 86400000, &answer, &error, &err),
                     ST_BUSY);
    assert_int_equal(err.retry_after_ms, 3600000);
    assert_int_equal(meta_sort_answer(500, many, -1, &answer, &error, &err), ST_UNAVAILABLE);
    assert_true(str_is_utf8(str_from_c(err.public_text)));
    assert_true(strlen(err.public_text) > 100);
    arena_destroy(&arena);
}

/* --- credentials --- */

static enum status
check(const char *settings, const char *credentials, json_t **credentials_out)
{
    json_auto_t *settings_json = json_loads(settings, 0, NULL);
    struct err err;

    *credentials_out = json_loads(credentials, 0, NULL);
    assert_non_null(settings_json);
    assert_non_null(*credentials_out);
    return meta_check_spec(settings_json, *credentials_out, &err);
}

static void
test_credentials(void **state)
{
#define BARE "\"access_token\": \"" TOKEN "\", \"app_secret\": \"app_secret_example\""
    static const struct {
        const char *settings, *credentials;
        enum status want;
    } cases[] = {
        {"{}", "{" BARE "}", ST_OK},
        {"{}", CREDENTIALS, ST_OK},
        {"{\"api_base\": \"https://graph.example\", \"graph_version\": \"v26.0\"}", "{" BARE "}",
         ST_OK},
        {"{\"appsecret_proof\": true}", "{" BARE "}", ST_OK},
        {"{}", "{\"app_secret\": \"app_secret_example\"}", ST_INVALID},
        {"{}", "{\"access_token\": \"" TOKEN "\"}", ST_INVALID},
        {"{}", "{\"access_token\": \"short\", \"app_secret\": \"app_secret_example\"}", ST_INVALID},
        {"{}", "{" BARE ", \"previous_app_secret\": \"x\"}", ST_INVALID},
        {"{}", "{" BARE ", \"verify_token\": \"x\"}", ST_INVALID},
        {"{}", "{" BARE ", \"verify_token\": \"with a space\"}", ST_INVALID},
        {"{}", "{" BARE ", \"previous_verify_token\": 12345678}", ST_INVALID},
        {"{\"graph_version\": \"25\"}", "{" BARE "}", ST_INVALID},
        {"{\"graph_version\": \"v25\"}", "{" BARE "}", ST_INVALID},
        {"{\"graph_version\": \"v25.0/x\"}", "{" BARE "}", ST_INVALID},
        {"{\"api_base\": \"graph.example\"}", "{" BARE "}", ST_INVALID},
        {"{\"api_base\": \"https://graph.example?x\"}", "{" BARE "}", ST_INVALID},
        {"{\"api_base\": \"https://a@graph.example\"}", "{" BARE "}", ST_INVALID},
        {"{\"appsecret_proof\": 1}", "{" BARE "}", ST_INVALID},
    };
    json_t *first, *second;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (check(cases[i].settings, cases[i].credentials, &first) != cases[i].want)
            fail_msg("%s %s", cases[i].settings, cases[i].credentials);
        json_decref(first);
    }
    assert_int_equal(check("{}", "{" BARE "}", &first), ST_OK);
    assert_int_equal(check("{}", "{" BARE "}", &second), ST_OK);
    assert_int_equal(json_get_str(first, "verify_token").len, 43);
    assert_false(str_eq(json_get_str(first, "verify_token"), json_get_str(second, "verify_token")));
    json_decref(first);
    json_decref(second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),  cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_sorting),     cmocka_unit_test(test_words_and_waits),
        cmocka_unit_test(test_credentials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
