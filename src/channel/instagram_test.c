/*
 * instagram_test.c - the conformance suite, what the Instagram driver sends, and how it takes
 * answers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/drivers/instagram.h"
#include "channel/meta_test_support.h"
#include "text/json.h"

#define ACCOUNT "17841400000000001"
#define PERSON "900100200300"
#define TOKEN "IGAAtest0123456789abcdef"
#define SECRET "0123456789abcdef0123456789abcdef"
#define BARE                                                                                       \
    "\"instagram_account_id\": \"" ACCOUNT "\", \"access_token\": \"" TOKEN "\", \"app_secret\": " \
    "\"" SECRET "\""
#define CREDENTIALS "{" BARE ", \"verify_token\": \"verify-token-1\"}"
#define SENT "{\"recipient_id\":\"" PERSON "\",\"message_id\":\"aWdfS1\"}"
#define PATH "/v25.0/" ACCOUNT "/messages"

/* --- conformance --- */

#define IG_ENTRY(content)                                                                          \
    "{\"object\":\"instagram\",\"entry\":[{\"id\":\"" ACCOUNT "\",\"time\":1750000000124,"         \
    "\"messaging\":[{\"sender\":{\"id\":\"" PERSON "\"},\"recipient\":{\"id\":\"" ACCOUNT          \
    "\"},\"timestamp\":1750000000123," content "}]}]}"
#define IG_TEXT(mid) IG_ENTRY("\"message\":{\"mid\":\"" mid "\",\"text\":\"Hi\"}")
#define IG_REFUSED(code, subcode, text)                                                            \
    "{\"error\":{\"message\":\"" text "\",\"code\":" #code ",\"error_subcode\":" #subcode "}}"

static const struct conformance_outcome outcomes[] = {
    {"accepted", {200, SENT, NULL}, ST_OK},
    {"window closed", {400, IG_REFUSED(10, 2018278, "outside of window"), NULL}, ST_CONFLICT},
    {"window closed, another way", {400, IG_REFUSED(100, 2534022, "x"), NULL}, ST_CONFLICT},
    {"no such person", {400, IG_REFUSED(100, 2018001, "No matching user"), NULL}, ST_NOT_FOUND},
    {"unavailable", {400, IG_REFUSED(551, 1545041, "unavailable"), NULL}, ST_NOT_FOUND},
    {"token expired", {401, IG_REFUSED(190, 463, "Session has expired"), NULL}, ST_DENIED},
    {"restricted", {403, IG_REFUSED(10, 1893063, "restricted"), NULL}, ST_DENIED},
    {"app not live", {403, IG_REFUSED(200, 2534048, "not live"), NULL}, ST_DENIED},
    {"too fast", {400, IG_REFUSED(613, 0, "Calls to this api"), NULL}, ST_BUSY},
    {"bad parameter", {400, IG_REFUSED(100, 0, "Invalid parameter"), NULL}, ST_INVALID},
    {"trouble", {500, IG_REFUSED(2, 0, "Service temporarily unavailable"), NULL}, ST_UNAVAILABLE},
    {"bad gateway", {502, "<html>502</html>", NULL}, ST_UNAVAILABLE},
    {"accepted, unreadable", {200, "<html>ok</html>", NULL}, ST_UNCERTAIN},
    {"accepted, without id", {200, "{\"recipient_id\":\"1\"}", NULL}, ST_UNCERTAIN},
    {"the token in the words",
     {401, IG_REFUSED(190, 0, "Malformed access token " TOKEN), NULL},
     ST_DENIED},
    {NULL, {0, NULL, NULL}, ST_OK}};

static void
test_conformance(void **state)
{
    static const char *const bad_settings[] = {
        "{\"login\": \"google\"}",     "{\"login\": null}",           "{\"mark_read\": 1}",
        "{\"graph_version\": \"25\"}", "{\"api_base\": \"ftp://x\"}", NULL};
    static const char *const bad_credentials[] = {
        "{}",
        "{\"access_token\": \"" TOKEN "\", \"app_secret\": \"" SECRET "\"}",
        "{\"instagram_account_id\": \"@shop\", \"access_token\": \"" TOKEN
        "\", \"app_secret\": \"" SECRET "\"}",
        "{\"instagram_account_id\": \"" ACCOUNT "\", \"app_secret\": \"" SECRET "\"}",
        "{\"instagram_account_id\": \"" ACCOUNT "\", \"access_token\": \"" TOKEN "\"}",
        "{" BARE ", \"verify_token\": \"short\"}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_instagram,
        .settings = "{\"api_base\": \"http://127.0.0.1:%u/\"}",
        .credentials = CREDENTIALS,
        .other_credentials = "{\"instagram_account_id\": \"900\", \"access_token\": \"" TOKEN
                             "\", \"app_secret\": \"" SECRET "\"}",
        .bare_credentials = "{" BARE "}",
        .unsafe_credentials =
            "{\"instagram_account_id\": \"" ACCOUNT "\", \"access_token\": \"" TOKEN "\"}",
        .account = ACCOUNT,
        .secret = "IGAAtest0123",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = meta_test_prove,
        .message = IG_TEXT("aWdfA"),
        .other_message = IG_TEXT("aWdfB"),
        .event = IG_ENTRY("\"read\":{\"mid\":\"aWdfA\"}"),
        .unknown = IG_ENTRY("\"something_new\":{\"a\":1}"),
        .chat = PERSON,
        .max_units = INSTAGRAM_TEXT_MAX_BYTES,
        .provider_ok = {200, SENT, NULL},
        .outcomes = outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
}

/* --- the fixture of the rest --- */

struct fixture {
    struct test_env env;
    struct test_provider *provider;
    struct channel_record *record;
    struct channel *channel;
    struct err err;
};

static void
fixture_init(struct fixture *f, const char *more_settings)
{
    char settings[512];

    test_env_init(&f->env);
    f->provider = test_provider_start((struct test_answer){200, SENT, NULL});
    int length = snprintf(settings, sizeof settings, "{\"api_base\": \"http://127.0.0.1:%u\"%s}",
                          test_provider_port(f->provider), more_settings);
    assert_true(length > 0 && (size_t)length < sizeof settings);
    f->record = test_record("instagram", settings, CREDENTIALS);
    assert_int_equal(channel_acquire(f->env.registry, f->record, &f->channel, &f->err), ST_OK);
}

static void
fixture_deinit(struct fixture *f)
{
    channel_release(&f->channel);
    test_record_release(&f->record);
    test_provider_stop(&f->provider);
    test_env_deinit(&f->env);
}

static enum status
send_with(struct fixture *f, const char *chat, struct str text, const char *metadata,
          struct delivery *delivery_out)
{
    json_auto_t *given = metadata == NULL ? NULL : json_loads(metadata, 0, NULL);
    const struct outbound outbound = {
        .external_chat_id = str_from_c(chat), .text = text, .metadata = given, .part_count = 1};

    assert_true(metadata == NULL || given != NULL);
    f->err = (struct err){.code = ST_OK};
    return channel_send(f->channel, &outbound, f->env.arena, delivery_out, &f->err);
}

static void
assert_request(struct fixture *f, size_t index, const char *want_path, const char *want)
{
    struct str path;
    json_auto_t *got = test_provider_request(f->provider, index, f->env.arena, &path);
    json_auto_t *want_json = json_loads(want, JSON_DECODE_ANY, NULL);

    assert_non_null(want_json);
    if (!str_eq_c(path, want_path))
        fail_msg("request %zu went to %.*s, want %s", index, STR_ARG(path), want_path);
    if (!json_equal(want_json, got))
        fail_msg("request %zu is %.*s", index, STR_ARG(json_text(got, f->env.arena)));
}

/* --- what is sent --- */

#define TO "\"recipient\":{\"id\":\"" PERSON "\"}"
#define AT_IMAGE "{\"kind\":\"image\",\"url\":\"https://x.example/a.png\"}"

static const struct request_case {
    const char *name, *text, *metadata;
    const char *want[3]; /* requests, NULL ends */
} request_cases[] = {
    {"text has no marks",
     "**Yes** `x` [Site](https://e.com)",
     NULL,
     {"{" TO ",\"message\":{\"text\":\"Yes x Site (https://e.com)\"}}"}},
    {"quick replies",
     "Which?",
     "{\"buttons\":[{\"id\":\"a\",\"title\":\"A\"},{\"title\":\"B\"}]}",
     {"{" TO ",\"message\":{\"text\":\"Which?\",\"quick_replies\":[{\"content_type\":\"text\","
      "\"title\":\"A\",\"payload\":\"a\"},{\"content_type\":\"text\",\"title\":\"B\",\"payload\":"
      "\"B\"}]}}"}},
    {"a title too long becomes words",
     "Which?",
     "{\"buttons\":[{\"title\":\"Twenty-one characters\"}]}",
     {"{" TO ",\"message\":{\"text\":\"Which?\\n\\n1. Twenty-one characters\"}}"}},
    {"addresses",
     "Look",
     "{\"buttons\":[{\"title\":\"Site\",\"url\":\"https://e.com\"}]}",
     {"{" TO ",\"message\":{\"attachment\":{\"type\":\"template\",\"payload\":{\"template_type\":"
      "\"button\",\"text\":\"Look\",\"buttons\":[{\"type\":\"web_url\",\"title\":\"Site\",\"url\":"
      "\"https://e.com\"}]}}}}"}},
    {"an address beside a reply becomes words",
     "Look",
     "{\"buttons\":[{\"title\":\"Site\",\"url\":\"https://e.com\"},{\"title\":\"B\"}]}",
     {"{" TO ",\"message\":{\"text\":\"Look\\n\\n1. Site: https://e.com\\n2. B\"}}"}},
    {"a picture, then the text",
     "Look",
     "{\"attachments\":[" AT_IMAGE "]}",
     {"{" TO ",\"message\":{\"attachment\":{\"type\":\"image\",\"payload\":{\"url\":"
      "\"https://x.example/a.png\"}}}}",
      "{" TO ",\"message\":{\"text\":\"Look\"}}"}},
    {"a document alone",
     "",
     "{\"attachments\":[{\"kind\":\"document\",\"url\":\"https://x.example/a.pdf\"}]}",
     {"{" TO ",\"message\":{\"attachment\":{\"type\":\"file\",\"payload\":{\"url\":"
      "\"https://x.example/a.pdf\"}}}}"}},
};

static void
test_requests(void **state)
{
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof request_cases / sizeof request_cases[0]; i++) {
        const struct request_case *one = &request_cases[i];
        size_t count = 0;

        test_provider_forget(f.provider);
        enum status st = send_with(&f, PERSON, str_from_c(one->text), one->metadata, &delivery);

        if (st != ST_OK)
            fail_msg("%s: %s (%s)", one->name, status_name(st), f.err.detail);
        assert_true(str_eq_c(delivery.external_message_id, ACCOUNT ":aWdfS1"));
        for (; count < 3 && one->want[count] != NULL; count++)
            assert_request(&f, count, PATH, one->want[count]);
        assert_int_equal(test_provider_count(f.provider), count);
    }
    fixture_deinit(&f);
}

static void
test_refusals_of_ours(void **state)
{
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    assert_int_equal(send_with(&f, "somebody", STR("x"), NULL, &delivery), ST_INVALID);
    assert_int_equal(
        send_with(&f, PERSON, STR("x"), "{\"attachments\":[{\"kind\":\"image\"}]}", &delivery),
        ST_INVALID);
    assert_int_equal(send_with(&f, PERSON, STR("x"),
                               "{\"attachments\":[{\"url\":\"file:///etc/passwd\"}]}", &delivery),
                     ST_INVALID);
    assert_int_equal(test_provider_count(f.provider), 0);
    fixture_deinit(&f);
}

static struct str
repeat(struct arena *arena, const char *piece, size_t count)
{
    char *out = arena_alloc(arena, strlen(piece) * count + 1);

    for (size_t i = 0; i < count; i++)
        memcpy(out + i * strlen(piece), piece, strlen(piece));
    return str_of(out, strlen(piece) * count);
}

/* 1000 bytes, whatever the characters: one more is another message. */
static void
test_limits(void **state)
{
    static const struct {
        const char *piece;
        size_t fit;
    } cases[] = {{"x", 1000}, {"ä", 500}, {"語", 333}, {"😀", 250}};
    struct fixture f;
    struct delivery delivery;
    struct str *parts;

    (void)state;
    fixture_init(&f, "");
    struct arena *arena = f.env.arena;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str most = repeat(arena, cases[i].piece, cases[i].fit);
        struct str more = repeat(arena, cases[i].piece, cases[i].fit + 1);

        assert_int_equal(channel_split(f.channel, most, arena, &parts), 1);
        assert_int_equal(channel_split(f.channel, more, arena, &parts), 2);
        assert_int_equal(send_with(&f, PERSON, most, NULL, &delivery), ST_OK);
        assert_int_equal(send_with(&f, PERSON, more, NULL, &delivery), ST_TOO_LARGE);
    }
    struct str words = repeat(arena, "Ein Satz mit Umlauten äöü und 語 darin. ", 200);
    size_t count = channel_split(f.channel, words, arena, &parts);
    for (size_t i = 0; i < count; i++) {
        assert_true(parts[i].len <= INSTAGRAM_TEXT_MAX_BYTES);
        assert_true(str_ends_with(parts[i], STR("darin.")));
    }
    fixture_deinit(&f);
}

/* --- typing, the account, files --- */

static void
test_actions(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, ", \"login\": \"facebook\"");
    channel_typing(f.channel, STR(PERSON));
    channel_acknowledge(f.channel, STR(PERSON));
    channel_typing(f.channel, STR("somebody"));
    assert_request(&f, 0, "/v25.0/me/messages", "{" TO ",\"sender_action\":\"typing_on\"}");
    assert_request(&f, 1, "/v25.0/me/messages", "{" TO ",\"sender_action\":\"mark_seen\"}");
    assert_int_equal(test_provider_count(f.provider), 2);
    fixture_deinit(&f);
}

static void
test_probe(void **state)
{
    struct fixture f;
    struct str account;

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider, (struct test_answer){200, "{\"username\":\"shop\"}", NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_OK);
    assert_true(str_eq_c(account, "@shop"));
    assert_request(&f, 0, "/v25.0/" ACCOUNT, "null");
    test_provider_queue(f.provider, (struct test_answer){200, "{\"id\":\"1\"}", NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_INVALID);
    test_provider_queue(f.provider, (struct test_answer){401, IG_REFUSED(190, 0, "x"), NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_DENIED);
    fixture_deinit(&f);
}

static bool
collect(struct str bytes, void *context)
{
    buf_append(context, bytes);
    return true;
}

static void
test_media(void **state)
{
    static const struct {
        int status;
        enum status want;
    } cases[] = {{200, ST_OK}, {403, ST_NOT_FOUND}, {404, ST_NOT_FOUND}, {500, ST_UNAVAILABLE}};
    struct fixture f;
    struct buf bytes;
    struct str mime_type;

    (void)state;
    fixture_init(&f, "");
    buf_init(&bytes, 4096);
    struct media_sink sink = {.max_bytes = 1000, .write = collect, .context = &bytes};
    json_auto_t *attachment = json_object();

    assert_int_equal(
        channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err),
        ST_INVALID);
    json_set_str(
        attachment, "url",
        arena_printf(f.env.arena, "http://127.0.0.1:%u/cdn/a.jpg", test_provider_port(f.provider)));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_provider_forget(f.provider);
        buf_clear(&bytes);
        test_provider_queue(f.provider, (struct test_answer){cases[i].status, "bytes", NULL});
        assert_int_equal(
            channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err),
            cases[i].want);
        /* The token stays here: the file's address may be anybody's. */
        assert_int_equal(test_provider_got(f.provider, 0, f.env.arena).authorization.len, 0);
    }
    sink.max_bytes = 4;
    test_provider_queue(f.provider, (struct test_answer){200, "bytes", NULL});
    assert_int_equal(
        channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err),
        ST_TOO_LARGE);
    buf_deinit(&bytes);
    fixture_deinit(&f);
}

static void
test_refresh(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum status want;
    } cases[] = {
        {200,
         "{\"access_token\": \"IGAAnew\", \"token_type\": \"bearer\", \"expires_in\": 5183944}",
         ST_OK},
        {200, "{\"token_type\": \"bearer\", \"expires_in\": 5183944}", ST_UNAVAILABLE},
        {200, "{\"access_token\": \"IGAAnew\", \"expires_in\": 0}", ST_UNAVAILABLE},
        {200, "{\"access_token\": \"IGAAnew\", \"expires_in\": 9999999999999}", ST_UNAVAILABLE},
        {200, "not JSON", ST_UNAVAILABLE},
        {400, "{\"error\": {\"code\": 190, \"message\": \"Error validating access token\"}}",
         ST_DENIED},
        {500, "{}", ST_UNAVAILABLE},
    };
    struct fixture f;
    int64_t lasts_us = 0;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *fresh = NULL;
        enum status st;

        test_provider_forget(f.provider);
        test_provider_queue(f.provider, (struct test_answer){cases[i].status, cases[i].body, NULL});
        st = channel_refresh(f.channel, f.env.arena, &fresh, &lasts_us, &f.err);
        if (st != cases[i].want)
            fail_msg("%s: %s, %s", cases[i].body, status_name(st), f.err.detail);
        if (st != ST_OK)
            continue;
        assert_int_equal(lasts_us, INT64_C(5183944) * US_PER_S);
        assert_true(str_eq_c(json_get_str(fresh, "access_token"), "IGAAnew"));
        assert_int_equal(json_object_size(fresh), 1);
    }
    fixture_deinit(&f);

    json_auto_t *none = NULL;

    fixture_init(&f, ", \"login\": \"facebook\"");
    assert_int_equal(channel_refresh(f.channel, f.env.arena, &none, &lasts_us, &f.err),
                     ST_NOT_FOUND);
    fixture_deinit(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refusals_of_ours),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_refresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
