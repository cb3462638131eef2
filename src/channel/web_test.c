/*
 * web_test.c - visitor tokens, origins, and what a web chat's POST becomes
 */
#include "channel/channel_test_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "channel/drivers/web.h"
#include "channel/web_session.h"
#include "text/json.h"

#define VISITOR "01900000-0000-7000-8000-000000000001"

static const struct post_case {
    const char *body;
    const char *want; /* JSON fields of the item; NULL: refused */
} posts[] = {
    {"{\"client_message_id\":\"m-1\",\"text\":\"Hi\"}",
     "{\"kind\":\"message\",\"text\":\"Hi\",\"external_user_id\":\"" VISITOR
     "\",\"external_chat_id\":\"" VISITOR "\",\"wants_answer\":true,\"locale\":\"\","
     "\"starts_new_conversation\":false,\"timestamp_us\":1800000000000000,\"acknowledge\":\"\"}"},
    {"{\"client_message_id\":\"m\",\"text\":\"é😀\",\"metadata\":{\"page\":\"https://a/b\","
     "\"locale\":\"de-DE\"}}",
     "{\"text\":\"é😀\",\"locale\":\"de-DE\",\"metadata\":{\"page\":\"https://a/b\",\"locale\":"
     "\"de-DE\",\"client_message_id\":\"m\"}}"},
    {"{\"client_message_id\":\"m\",\"text\":\" spaces stay \"}", "{\"text\":\" spaces stay \"}"},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"new_conversation\":true}",
     "{\"kind\":\"message\",\"starts_new_conversation\":true}"},
    {"{\"client_message_id\":\"m\",\"new_conversation\":true}",
     "{\"kind\":\"event\",\"event_kind\":\"new_conversation\",\"external_event_id\":\"" VISITOR
     ":m\",\"starts_new_conversation\":true,\"wants_answer\":false}"},
    {"{\"new_conversation\":true}",
     "{\"kind\":\"event\",\"event_kind\":\"new_conversation\",\"starts_new_conversation\":true}"},
    {"{}", NULL},
    {"{\"new_conversation\":false}", NULL},
    {"{\"text\":\"Hi\"}", NULL},
    {"{\"client_message_id\":\"m\"}", NULL},
    {"{\"client_message_id\":\"\",\"text\":\"Hi\"}", NULL},
    {"{\"client_message_id\":\"a:b\",\"text\":\"Hi\"}", NULL},
    {"{\"client_message_id\":1,\"text\":\"Hi\"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"\"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\" \\n \"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":null}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"extra\":1}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"visitor\":\"other\"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"metadata\":{\"extra\":1}}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"metadata\":[]}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"metadata\":{\"locale\":\"<x>\"}}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"Hi\",\"text\":\"Ho\"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"a\\u0000b\"}", NULL},
    {"{\"client_message_id\":\"m\",\"text\":\"\xc3\x28\"}", NULL},
};

static struct channel_record *
web_record(const char *settings)
{
    return test_record("web", settings,
                       "{\"secret\": \"0123456789abcdef-current\", "
                       "\"previous_secret\": \"0123456789abcdef-former\"}");
}

static void
run_post(struct test_env *env, struct channel *channel, const struct post_case *post)
{
    struct inbound_batch batch = {.arena = env->arena};
    struct err err = {.code = ST_OK};
    enum status st = web_parse_body(channel, STR(VISITOR), str_from_c(post->body), &batch, &err);

    if (st != (post->want == NULL ? ST_INVALID : ST_OK))
        fail_msg("%s: %s (%s)", post->body, status_name(st), err.public_text);
    if (post->want != NULL) {
        json_auto_t *want = json_loads(post->want, 0, NULL);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        assert_non_null(want);
        test_assert_contains(post->body, want, got);
    }
    inbound_batch_deinit(&batch);
}

static void
test_posts(void **state)
{
    struct channel_record *record = web_record("{}");
    struct channel *channel;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    assert_int_equal(channel_acquire(env.registry, record, &channel, &err), ST_OK);
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++)
        run_post(&env, channel, &posts[i]);

    /* 8000 characters, however many bytes each has. */
    for (int extra = 0; extra < 2; extra++) {
        char *body = arena_alloc(env.arena, 40000);
        size_t at = (size_t)snprintf(body, 100, "{\"client_message_id\":\"m\",\"text\":\"");

        for (int i = 0; i < 8000 + extra; i++, at += 3)
            memcpy(body + at, "€", 3);
        memcpy(body + at, "\"}", 3);
        const struct post_case limit = {.body = body, .want = extra == 0 ? "{}" : NULL};
        run_post(&env, channel, &limit);
    }
    channel_release(&channel);
    test_record_release(&record);
    test_env_deinit(&env);
}

static void
test_message_id(void **state)
{
    struct channel_record *record = web_record("{}");
    struct inbound_batch batch;
    struct channel *channel;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    batch = (struct inbound_batch){.arena = env.arena};
    assert_int_equal(channel_acquire(env.registry, record, &channel, &err), ST_OK);
    assert_int_equal(web_parse_body(channel, STR(VISITOR), str_from_c(posts[0].body), &batch, &err),
                     ST_OK);
    struct str want = arena_printf(env.arena, "%s:%s:m-1", record->id.id.text, VISITOR);
    assert_true(str_eq(batch.items[0].external_message_id, want));
    inbound_batch_deinit(&batch);
    channel_release(&channel);
    test_record_release(&record);
    test_env_deinit(&env);
}

static void
test_sessions(void **state)
{
    struct channel_record *record = web_record("{}");
    struct channel_record *former =
        test_record("web", "{}", "{\"secret\": \"0123456789abcdef-former\"}");
    struct visitor_id none = {.id = {.text = ""}};
    struct web_session session, again;
    struct str token, other;
    struct test_env env;
    struct err err;

    (void)state;
    test_env_init(&env);
    former->id = record->id;
    assert_int_equal(web_session_issue(record, none, env.clock, env.arena, &token, &err), ST_OK);
    assert_int_equal(web_session_check(record, token, env.clock, &session, &err), ST_OK);
    assert_int_equal(session.issued_at_s, TEST_WALL_US / US_PER_S);
    assert_false(id_is_none(&session.visitor.id));

    /* Another visitor each time; the same one on request, and then the same token. */
    assert_int_equal(web_session_issue(record, none, env.clock, env.arena, &other, &err), ST_OK);
    assert_int_equal(web_session_check(record, other, env.clock, &again, &err), ST_OK);
    assert_false(id_eq(&session.visitor.id, &again.visitor.id));
    assert_int_equal(web_session_issue(record, session.visitor, env.clock, env.arena, &other, &err),
                     ST_OK);
    assert_true(str_eq(token, other));

    /* Signed before the secret was replaced: counts while the former secret is kept. */
    assert_int_equal(web_session_issue(former, none, env.clock, env.arena, &other, &err), ST_OK);
    assert_int_equal(web_session_check(record, other, env.clock, &again, &err), ST_OK);
    assert_int_equal(web_session_check(former, token, env.clock, &again, &err), ST_DENIED);

    /* Its time: the last second counts, the next does not. */
    clock_advance_us(env.clock, WEB_SESSION_MAX_AGE_S * US_PER_S);
    assert_int_equal(web_session_check(record, token, env.clock, &again, &err), ST_OK);
    clock_advance_us(env.clock, US_PER_S);
    assert_int_equal(web_session_check(record, token, env.clock, &again, &err), ST_DENIED);

    /* Every byte counts. */
    struct clock *then = clock_create_manual(TEST_WALL_US);
    char *copy = arena_cstr(env.arena, token);
    for (size_t i = 0; i < token.len; i++) {
        char kept = copy[i];

        copy[i] = kept == '1' ? '2' : '1';
        assert_int_equal(web_session_check(record, str_of(copy, token.len), then, &again, &err),
                         ST_DENIED);
        copy[i] = kept;
        assert_int_equal(web_session_check(record, str_of(copy, i), then, &again, &err), ST_DENIED);
    }
    assert_int_equal(web_session_check(record, str_of(copy, token.len), then, &again, &err), ST_OK);
    clock_destroy(&then);
    test_record_release(&record);
    test_record_release(&former);
    test_env_deinit(&env);
}

/* What anybody can compute: the signature under an empty key. */
static void
test_channel_without_secret(void **state)
{
    static const char *const credentials[] = {"{}", "{\"secret\": \"\"}",
                                              "{\"previous_secret\": \"\"}"};
    struct test_env env;

    (void)state;
    test_env_init(&env);
    for (size_t i = 0; i < sizeof credentials / sizeof credentials[0]; i++) {
        struct channel_record *record = test_record("web", "{}", credentials[i]);
        unsigned char mac[crypto_auth_hmacsha256_BYTES];
        char mac_text[64];
        crypto_auth_hmacsha256_state hmac;
        struct web_session session;
        struct err err;
        struct str text =
            arena_printf(env.arena, "parley web chat session v1\n%s\n%s\n1800000000\n",
                         record->id.id.text, VISITOR);

        crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)"", 0);
        crypto_auth_hmacsha256_update(&hmac, (const unsigned char *)text.ptr, text.len);
        crypto_auth_hmacsha256_final(&hmac, mac);
        sodium_bin2base64(mac_text, sizeof mac_text, mac, sizeof mac,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        struct str token = arena_printf(env.arena, "v1.%s.1800000000.%s", VISITOR, mac_text);
        assert_int_equal(web_session_check(record, token, env.clock, &session, &err), ST_DENIED);
        test_record_release(&record);
    }
    test_env_deinit(&env);
}

static void
test_origins(void **state)
{
    static const struct {
        const char *settings, *origin;
        bool want;
    } cases[] = {
        {"{}", "https://any.example", true},
        {"{\"allowed_origins\":[]}", "https://any.example", true},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "https://shop.example", true},
        {"{\"allowed_origins\":[\"https://Shop.example\"]}", "https://shop.example", true},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "https://shop.example.evil", false},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "http://shop.example", false},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "https://shop.example:8443", false},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "null", false},
        {"{\"allowed_origins\":[\"https://shop.example\"]}", "", true},
        {"{\"allowed_origins\":[\"https://a\",\"https://b\"]}", "https://b", true},
    };
    struct test_env env;
    struct test_hook *hook;

    (void)state;
    test_env_init(&env);
    hook = test_hook_start(&env);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_record *record = web_record(cases[i].settings);
        struct visitor_id none = {.id = {.text = ""}};
        struct test_hook_result result;
        struct str token;
        struct err err;

        if (web_origin_is_allowed(record, str_from_c(cases[i].origin)) != cases[i].want)
            fail_msg("%s %s", cases[i].settings, cases[i].origin);
        /* verify asks the same. */
        assert_int_equal(web_session_issue(record, none, env.clock, env.arena, &token, &err),
                         ST_OK);
        const struct http_header headers[] = {
            {.name = "Authorization",
             .value = arena_printf(env.arena, "bearer %.*s", STR_ARG(token))},
            {.name = "Origin", .value = str_from_c(cases[i].origin)}};
        test_hook_post(hook, record, "/hook", headers, cases[i].origin[0] == '\0' ? 1 : 2,
                       str_from_c(posts[0].body), &result);
        assert_int_equal(result.verified, cases[i].want ? ST_OK : ST_DENIED);
        json_decref(result.items);
        test_record_release(&record);
    }
    test_hook_stop(&hook);
    test_env_deinit(&env);
}

/* The page at /chat/{channel} is of the address that was asked, whatever the list says. */
static void
test_own_page(void **state)
{
    static const struct {
        const char *host, *origin;
        enum status want;
    } cases[] = {
        {"chat.example", "https://chat.example", ST_OK},
        {"chat.example:8443", "https://Chat.example:8443", ST_OK},
        {"chat.example:8443", "https://chat.example", ST_DENIED},
        {"chat.example", "https://chat.example.evil", ST_DENIED},
        {"chat.example", "ftp://chat.example", ST_DENIED},
        {"chat.example", "chat.example", ST_DENIED},
        {"chat.example", "null", ST_DENIED},
    };
    struct channel_record *record = web_record("{\"allowed_origins\":[\"https://shop.example\"]}");
    struct visitor_id none = {.id = {.text = ""}};
    struct test_env env;
    struct test_hook *hook;
    struct str token;
    struct err err;

    (void)state;
    test_env_init(&env);
    hook = test_hook_start(&env);
    assert_int_equal(web_session_issue(record, none, env.clock, env.arena, &token, &err), ST_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_header headers[] = {
            {.name = "Authorization",
             .value = arena_printf(env.arena, "Bearer %.*s", STR_ARG(token))},
            {.name = "Host", .value = str_from_c(cases[i].host)},
            {.name = "Origin", .value = str_from_c(cases[i].origin)}};
        struct test_hook_result result;

        test_hook_post(hook, record, "/hook", headers, 3, str_from_c(posts[0].body), &result);
        if (result.verified != cases[i].want)
            fail_msg("%s at %s", cases[i].origin, cases[i].host);
        json_decref(result.items);
    }
    test_hook_stop(&hook);
    test_record_release(&record);
    test_env_deinit(&env);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts),    cmocka_unit_test(test_message_id),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_channel_without_secret),
        cmocka_unit_test(test_origins),  cmocka_unit_test(test_own_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
