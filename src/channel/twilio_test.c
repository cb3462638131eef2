/*
 * twilio_test.c - what the Twilio drivers sign, cut, send and fetch
 */
#include "channel/drivers/twilio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "channel/secrets.h"
#include "text/json.h"
#include "text/text.h"

#define ACCOUNT "AC0123456789abcdef0123456789abcdef"
#define TOKEN "6f1d0c5a2b7e49d38c04aa55ee120987"
#define OLD_TOKEN "0000aaaa1111bbbb2222cccc3333dddd"
#define CREDENTIALS "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN "\"}"
#define BASIC_TOKEN                                                                                \
    "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjo2ZjFkMGM1YTJiN2U0OWQzOGMwNGFhNTVlZTEyM"  \
    "Dk4Nw=="
#define SENT "{\"sid\":\"SM00000000000000000000000000000099\",\"status\":\"queued\"}"

struct fixture {
    struct test_env env;
    struct test_provider *provider;
    struct channel_record *record;
    struct channel *channel;
    struct err err;
};

/* settings_more: ", ..." or "". The provider is at both of Twilio's addresses. */
static void
fixture_init(struct fixture *fixture, const char *source, const char *settings_more,
             const char *credentials)
{
    char settings[1024];

    test_env_init(&fixture->env);
    fixture->env.env.public_url = STR("https://parley.example");
    fixture->provider = test_provider_start((struct test_answer){201, SENT, NULL});
    unsigned port = test_provider_port(fixture->provider);
    assert_true(snprintf(settings, sizeof settings,
                         "{\"api_base\": \"http://127.0.0.1:%u\", "
                         "\"messaging_base\": \"http://127.0.0.1:%u/messaging\"%s}",
                         port, port, settings_more) < (int)sizeof settings);
    fixture->record = test_record(source, settings, credentials);
    if (channel_acquire(fixture->env.registry, fixture->record, &fixture->channel, &fixture->err) !=
        ST_OK)
        fail_msg("%s", fixture->err.detail);
}

static void
fixture_deinit(struct fixture *fixture)
{
    channel_release(&fixture->channel);
    test_record_release(&fixture->record);
    test_provider_stop(&fixture->provider);
    test_env_deinit(&fixture->env);
}

static struct test_request
got(struct fixture *fixture, size_t index)
{
    return test_provider_got(fixture->provider, index, fixture->env.arena);
}

/* The form of request number index as a JSON object; the caller's. */
static json_t *
got_form(struct fixture *fixture, size_t index)
{
    json_t *object = json_object();
    struct form form;

    assert_int_equal(form_parse(got(fixture, index).body, fixture->env.arena, &form, &fixture->err),
                     ST_OK);
    for (size_t i = 0; i < form.count; i++) {
        const char *name = arena_cstr(fixture->env.arena, form.fields[i].name);
        json_t *before = json_object_get(object, name);

        if (json_is_array(before)) {
            json_array_append_new(before, json_from_str(form.fields[i].value));
        } else if (strcmp(name, "MediaUrl") == 0) {
            json_set(object, name, json_pack("[o]", json_from_str(form.fields[i].value)));
        } else {
            assert_null(before);
            json_set_str(object, name, form.fields[i].value);
        }
    }
    return object;
}

static void
assert_form(struct fixture *fixture, const char *name, size_t index, const char *want_text)
{
    json_auto_t *want = json_loads(want_text, 0, NULL), *form = got_form(fixture, index);

    assert_non_null(want);
    test_assert_contains(name, want, form);
}

/* --- signatures --- */

/* The vectors of Twilio's own libraries; their token is "12345". */
static void
test_signature_vectors(void **state)
{
    static const char call[] =
        "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
        "&Caller=%2B14158675309";
    static const struct {
        const char *url, *form, *signature; /* form NULL: the address alone */
    } cases[] = {
        {"https://mycompany.com/myapp.php?foo=1&bar=2", call, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        {"https://mycompany.com:443/myapp.php?foo=1&bar=2", call, "kvajT1Ptam85bY51eRf/AJRuM3w="},
        {"http://mycompany.com:80/myapp.php?foo=1&bar=2", call, "0ZXoZLH/DfblKGATFgpif+LLRf4="},
        {"https://mycompany.com/myapp.php?foo=1&bar=2",
         "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
         "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
        {"https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256="
         "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
         NULL, "a9nBmqA0ju/hNViExpshrM61xv4="},
    };
    struct arena *arena = arena_create((size_t)1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hmac_proof proof = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
        struct form form;
        struct str *pieces;
        struct err err;

        if (cases[i].form != NULL)
            assert_int_equal(form_parse(str_from_c(cases[i].form), arena, &form, &err), ST_OK);
        proof.piece_count = twilio_signed_pieces(
            str_from_c(cases[i].url), cases[i].form == NULL ? NULL : &form, arena, &pieces);
        proof.pieces = pieces;
        struct str signature = hmac_sign(STR("12345"), &proof, arena);
        if (!str_eq_c(signature, cases[i].signature))
            fail_msg("%zu: %.*s", i, STR_ARG(signature));
    }
    arena_destroy(&arena);
}

static void
test_ports(void **state)
{
    static const struct {
        const char *url, *with, *without;
    } cases[] = {
        {"https://a.example/x", "https://a.example:443/x", "https://a.example/x"},
        {"http://a.example/x?y=1:2", "http://a.example:80/x?y=1:2", "http://a.example/x?y=1:2"},
        {"https://a.example:443/x", "https://a.example:443/x", "https://a.example/x"},
        {"https://a.example:8443", "https://a.example:8443", "https://a.example"},
        {"https://a.example", "https://a.example:443", "https://a.example"},
        {"https://u:p@a.example/x", "https://u:p@a.example:443/x", "https://u:p@a.example/x"},
        {"https://u:p@a.example:1/x", "https://u:p@a.example:1/x", "https://u:p@a.example/x"},
        {"https://[::1]/x", "https://[::1]:443/x", "https://[::1]/x"},
        {"https://[::1]:5/x", "https://[::1]:5/x", "https://[::1]/x"},
    };
    struct arena *arena = arena_create((size_t)1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str url = str_from_c(cases[i].url);

        if (!str_eq_c(twilio_url_with_port(url, arena), cases[i].with) ||
            !str_eq_c(twilio_url_without_port(url, arena), cases[i].without))
            fail_msg("%s", cases[i].url);
    }
    arena_destroy(&arena);
}

#define BODY "AccountSid=" ACCOUNT "&MessageSid=SM1&From=%2B15557654321&To=%2B15551230000&Body=Hi"
#define JSON_BODY "{\"AccountSid\":\"" ACCOUNT "\"}"
#define JSON_HASH "cc05c44a95b212ecc35fb961c907e4d16e8dd4219674e24ce9357600ec75b03e"

static enum status
verify(struct fixture *fixture, struct test_hook *hook, const char *target, const char *body,
       const char *signed_url, const char *signed_form, const char *key)
{
    struct arena *arena = fixture->env.arena;
    struct hmac_proof proof = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
    struct http_header header = {.name = "X-Twilio-Signature"};
    struct test_hook_result result;
    struct str *pieces;
    struct form form;

    assert_int_equal(form_parse(str_from_c(signed_form), arena, &form, &fixture->err), ST_OK);
    proof.piece_count = twilio_signed_pieces(str_from_c(signed_url), &form, arena, &pieces);
    proof.pieces = pieces;
    header.value = hmac_sign(str_from_c(key), &proof, arena);
    test_hook_post(hook, fixture->record, target, &header, 1, str_from_c(body), &result);
    json_decref(result.items);
    return result.verified;
}

static void
test_verification(void **state)
{
    struct fixture fixture;
    struct arena *arena;
    struct str url, hash_url, hash_target;

    (void)state;
    fixture_init(&fixture, "twilio_sms", ", \"from\": \"+15551230000\"",
                 "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN
                 "\", \"previous_auth_token\": \"" OLD_TOKEN "\"}");
    struct test_hook *hook = test_hook_start(&fixture.env);
    arena = fixture.env.arena;
    /* The host is what the operator said, never the request's. */
    url = STR("https://parley.example/hook");
    const struct {
        const char *name, *target, *body, *signed_url, *signed_form, *key;
        enum status want;
    } cases[] = {
        {"as it is", "/hook", BODY, url.ptr, BODY, TOKEN, ST_OK},
        {"by the token before", "/hook", BODY, url.ptr, BODY, OLD_TOKEN, ST_OK},
        {"with the port", "/hook", BODY, twilio_url_with_port(url, arena).ptr, BODY, TOKEN, ST_OK},
        {"with a query", "/hook?a=1&b=%20x", BODY,
         arena_printf(arena, "%s?a=1&b=%%20x", url.ptr).ptr, BODY, TOKEN, ST_OK},
        {"without its query", "/hook?a=1", BODY, url.ptr, BODY, TOKEN, ST_DENIED},
        {"fields in another order", "/hook", BODY, url.ptr,
         "Body=Hi&To=%2B15551230000&From=%2B15557654321&MessageSid=SM1&AccountSid=" ACCOUNT, TOKEN,
         ST_OK},
        {"a field more", "/hook", BODY "&X=1", url.ptr, BODY, TOKEN, ST_DENIED},
        {"at another address", "/hook", BODY, "http://127.0.0.1/hook", BODY, TOKEN, ST_DENIED},
        {"by another token", "/hook", BODY, url.ptr, BODY, "ffffffffffffffffffffffffffffffff",
         ST_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status st = verify(&fixture, hook, cases[i].target, cases[i].body, cases[i].signed_url,
                                cases[i].signed_form, cases[i].key);

        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].name, status_name(st));
    }
    /* A body that is no form stands in the address by its hash. */
    hash_target = STR("/hook?bodySHA256=" JSON_HASH);
    hash_url = arena_printf(arena, "%s?bodySHA256=" JSON_HASH, url.ptr);
    assert_int_equal(verify(&fixture, hook, hash_target.ptr, JSON_BODY, hash_url.ptr, "", TOKEN),
                     ST_OK);
    assert_int_equal(verify(&fixture, hook, hash_target.ptr, BODY, hash_url.ptr, "", TOKEN),
                     ST_DENIED);
    /* Without a public address nothing can be proven. */
    fixture.env.env.public_url = STR("");
    assert_int_equal(verify(&fixture, hook, "/hook", BODY, url.ptr, BODY, TOKEN), ST_DENIED);
    test_hook_stop(&hook);
    fixture_deinit(&fixture);
}

/* --- parts --- */

static struct str
repeated(struct arena *arena, const char *unit, size_t count)
{
    struct str out = STR("");

    for (size_t i = 0; i < count; i++)
        out = arena_printf(arena, "%.*s%s", STR_ARG(out), unit);
    return out;
}

static void
test_segments(void **state)
{
    static const struct {
        const char *unit;
        size_t count, segments;
    } cases[] = {
        {"", 0, 0},    {"a", 1, 1},          {"a", 160, 1}, {"a", 161, 2},  {"a", 306, 2},
        {"a", 307, 3}, {"é", 160, 1},        {"[", 80, 1},  {"[", 81, 2},   {"€", 80, 1},
        {"€", 81, 2},  {"Ω", 160, 1},        {"ê", 70, 1},  {"ê", 71, 2},   {"ê", 134, 2},
        {"ê", 135, 3}, {"😀", 35, 1},         {"😀", 36, 2},  {"“", 160, 1},  {"’", 161, 2},
        {"…", 53, 1},  {"…", 54, 2},         {"中", 70, 1}, {"\n", 160, 1}, {"\t", 71, 2},
        {"`", 71, 2},  {"\xc2\xa0", 160, 1},
    };
    struct arena *arena = arena_create((size_t)16 * 1024 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t segments = twilio_segments(repeated(arena, cases[i].unit, cases[i].count));

        if (segments != cases[i].segments)
            fail_msg("%zu of \"%s\": %zu segments", cases[i].count, cases[i].unit, segments);
    }
    arena_destroy(&arena);
}

static void
test_splitting(void **state)
{
    static const struct {
        const char *source, *settings, *unit;
        size_t count, parts, segments; /* segments 0: WhatsApp has none */
    } cases[] = {
        {"twilio_sms", "", "Nine words of text stand in this one sentence. ", 13, 1, 4},
        {"twilio_sms", "", "Nine words of text stand in this one sentence. ", 14, 2, 4},
        {"twilio_sms", "", "Neun Wörter stehen in diesem Satz, sagt Renê. ", 10, 2, 4},
        {"twilio_sms", ", \"max_segments\": 1", "Short and plain. ", 9, 1, 1},
        {"twilio_sms", ", \"max_segments\": 1", "Short and plain. ", 20, 3, 1},
        {"twilio_sms", ", \"max_segments\": 1", "Kürz ê. ", 12, 2, 1},
        {"twilio_sms", ", \"max_segments\": 10", "Nine words of text stand in this sentence. ", 60,
         2, 10},
        {"twilio_sms", "", "{[{[{[ ", 300, 10, 4},
        {"twilio_whatsapp", "", "Nine words of text stand in this sentence ê. ", 60, 2, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        struct str *parts;
        char more[200];

        (void)snprintf(more, sizeof more, ", \"from\": \"+15551230000\"%s", cases[i].settings);
        fixture_init(&fixture, cases[i].source, more, CREDENTIALS);
        struct str text = repeated(fixture.env.arena, cases[i].unit, cases[i].count);
        size_t count = channel_split(fixture.channel, text, fixture.env.arena, &parts);

        if (count != cases[i].parts)
            fail_msg("%zu: %zu parts", i, count);
        for (size_t k = 0; k < count; k++) {
            assert_true(text_utf16_len(parts[k]) <= TWILIO_BODY_MAX_UNITS);
            if (cases[i].segments > 0)
                assert_true(twilio_segments(parts[k]) <= cases[i].segments);
        }
        fixture_deinit(&fixture);
    }
}

/* --- sending --- */

struct send_case {
    const char *name, *source, *settings, *text, *metadata, *want;
    unsigned part, part_count;
};

static const struct send_case send_cases[] = {
    {"SMS", "twilio_sms", ", \"from\": \"+15551230000\"", "**Open** until `18:30` [1]", NULL,
     "{\"To\": \"+15557654321\", \"From\": \"+15551230000\", \"Body\": \"Open until 18:30 [1]\", "
     "\"SmartEncoded\": \"true\", \"MessagingServiceSid\": null, \"MediaUrl\": null, "
     "\"ContentSid\": null}",
     0, 1},
    {"WhatsApp", "twilio_whatsapp", ", \"from\": \"+15551230000\"", "**Open** until 18:30", NULL,
     "{\"To\": \"whatsapp:+15557654321\", \"From\": \"whatsapp:+15551230000\", "
     "\"Body\": \"*Open* until 18:30\", \"SmartEncoded\": null}",
     0, 1},
    {"by a service", "twilio_sms",
     ", \"messaging_service_sid\": \"MG0123456789abcdef0123456789abcdef\"", "Hi", NULL,
     "{\"From\": null, \"MessagingServiceSid\": \"MG0123456789abcdef0123456789abcdef\"}", 0, 1},
    {"buttons as a list", "twilio_whatsapp", ", \"from\": \"+15551230000\"", "Which?",
     "{\"buttons\": [{\"id\": \"a\", \"title\": \"Red\"}, {\"id\": \"b\", \"title\": \"Blue\"}]}",
     "{\"Body\": \"Which?\\n\\n1. Red\\n2. Blue\"}", 0, 1},
    {"buttons under the last part alone", "twilio_whatsapp", ", \"from\": \"+15551230000\"",
     "Which?", "{\"buttons\": [{\"id\": \"a\", \"title\": \"Red\"}]}", "{\"Body\": \"Which?\"}", 0,
     2},
    {"media by MMS", "twilio_sms", ", \"from\": \"+15551230000\"", "See",
     "{\"attachments\": [{\"kind\": \"image\", \"url\": \"https://f.example/a\"}, "
     "{\"kind\": \"image\", \"url\": \"https://f.example/b\"}]}",
     "{\"Body\": \"See\", \"MediaUrl\": [\"https://f.example/a\", \"https://f.example/b\"]}", 0, 1},
    {"WhatsApp takes one, the others are addresses", "twilio_whatsapp",
     ", \"from\": \"+15551230000\"", "See",
     "{\"attachments\": [{\"kind\": \"image\", \"url\": \"https://f.example/a\"}, "
     "{\"kind\": \"image\", \"url\": \"https://f.example/b\"}]}",
     "{\"Body\": \"See\\nhttps://f.example/b\", \"MediaUrl\": [\"https://f.example/a\"]}", 0, 1},
    {"media alone", "twilio_whatsapp", ", \"from\": \"+15551230000\"", "",
     "{\"attachments\": [{\"kind\": \"image\", \"url\": \"https://f.example/a\"}]}",
     "{\"Body\": null, \"MediaUrl\": [\"https://f.example/a\"]}", 0, 1},
    {"a template", "twilio_whatsapp", ", \"from\": \"+15551230000\"", "fallback",
     "{\"template\": {\"name\": \"HX0123456789abcdef0123456789abcdef\", \"language\": \"en\", "
     "\"parameters\": [\"Ann\", \"9:00\"]}}",
     "{\"Body\": null, \"ContentSid\": \"HX0123456789abcdef0123456789abcdef\", "
     "\"ContentVariables\": \"{\\\"1\\\":\\\"Ann\\\",\\\"2\\\":\\\"9:00\\\"}\"}",
     0, 1},
};

static enum status
send_one(struct fixture *fixture, const char *text, const char *metadata_text, unsigned part,
         unsigned part_count, struct delivery *delivery_out)
{
    json_auto_t *metadata = metadata_text == NULL ? NULL : json_loads(metadata_text, 0, NULL);
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = STR("+15557654321"),
                                      .text = str_from_c(text),
                                      .metadata = metadata,
                                      .part = part,
                                      .part_count = part_count};

    fixture->err = (struct err){.code = ST_OK};
    return channel_send(fixture->channel, &outbound, fixture->env.arena, delivery_out,
                        &fixture->err);
}

static void
test_sending(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof send_cases / sizeof send_cases[0]; i++) {
        const struct send_case *test = &send_cases[i];
        struct fixture fixture;
        struct delivery delivery;

        fixture_init(&fixture, test->source, test->settings, CREDENTIALS);
        if (send_one(&fixture, test->text, test->metadata, test->part, test->part_count,
                     &delivery) != ST_OK)
            fail_msg("%s: %s", test->name, fixture.err.detail);
        assert_true(
            str_eq_c(delivery.external_message_id, ACCOUNT ":SM00000000000000000000000000000099"));
        assert_form(&fixture, test->name, 0, test->want);
        struct test_request request = got(&fixture, 0);
        assert_true(str_eq_c(request.method, "POST"));
        assert_true(str_eq_c(request.path, "/2010-04-01/Accounts/" ACCOUNT "/Messages.json"));
        assert_true(str_eq_c(request.content_type, "application/x-www-form-urlencoded"));
        assert_true(str_eq_c(request.authorization, BASIC_TOKEN));
        json_auto_t *form = got_form(&fixture, 0);
        struct str callback = json_get_str(form, "StatusCallback");
        assert_true(str_starts_with(
            callback, arena_printf(fixture.env.arena,
                                   "https://parley.example/webhooks/%s/%s?reference=", test->source,
                                   fixture.record->id.id.text)));
        assert_true(str_ends_with(callback, arena_printf(fixture.env.arena, ":%u", test->part)));
        fixture_deinit(&fixture);
    }
}

static void
test_refused_before_sending(void **state)
{
    static const struct {
        const char *text, *metadata;
        enum status want;
    } cases[] = {
        {"", NULL, ST_INVALID},
        {" \n", NULL, ST_INVALID},
        {"x", "{\"template\": {\"name\": \"welcome\"}}", ST_INVALID},
        {"x", "{\"template\": {\"name\": \"HX01\", \"parameters\": [1]}}", ST_INVALID},
        {"", "{\"attachments\": [{\"kind\": \"image\", \"file_id\": \"a\"}]}", ST_INVALID},
    };
    struct fixture fixture;
    struct delivery delivery;

    (void)state;
    fixture_init(&fixture, "twilio_whatsapp", ", \"from\": \"+15551230000\"", CREDENTIALS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(send_one(&fixture, cases[i].text, cases[i].metadata, 0, 1, &delivery),
                         cases[i].want);
    char *long_text = malloc(40000);
    memset(long_text, 'a', 39999);
    long_text[39999] = '\0';
    assert_int_equal(send_one(&fixture, long_text, NULL, 0, 1, &delivery), ST_TOO_LARGE);
    free(long_text);
    assert_int_equal(test_provider_count(fixture.provider), 0);
    fixture_deinit(&fixture);
}

/* The daily limit is not gone a second later; other waits are Twilio's own or short. */
static void
test_waits(void **state)
{
    static const struct {
        int status;
        const char *body;
        int retry_after_ms, want_ms;
    } cases[] = {
        {429, "{\"code\":20429,\"message\":\"\"}", 7000, 7000},
        {429, "{\"code\":20429,\"message\":\"\"}", -1, 1000},
        {429, "no", 2000, 2000},
        {429, "no", 999999999, 3600000},
        {400, "{\"code\":63038,\"message\":\"\"}", -1, 3600000},
        {503, "{\"code\":20503,\"message\":\"\"}", 5000, 5000},
        {503, "{\"code\":20503,\"message\":\"\"}", -1, 0},
        {503, "no", 4000, 4000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {.code = ST_OK};
        json_t *answer;

        assert_int_not_equal(twilio_sort_answer(cases[i].status, str_from_c(cases[i].body),
                                                cases[i].retry_after_ms, &answer, &err),
                             ST_OK);
        assert_int_equal(err.retry_after_ms, cases[i].want_ms);
    }
}

/* --- typing --- */

static void
test_typing(void **state)
{
    struct fixture fixture;
    struct inbound_batch batch;
    const struct webhook webhook = {
        .body = STR("AccountSid=" ACCOUNT "&MessageSid=SM0000000000000000000000000000000a"
                    "&From=whatsapp%3A%2B15557654321&To=whatsapp%3A%2B15551230000&Body=Hi")};

    (void)state;
    fixture_init(&fixture, "twilio_whatsapp", ", \"from\": \"+15551230000\"", CREDENTIALS);
    /* It answers a message, so there must have been one. */
    channel_typing(fixture.channel, STR("+15557654321"));
    assert_int_equal(test_provider_count(fixture.provider), 0);
    assert_int_equal(
        channel_parse(fixture.channel, &webhook, fixture.env.arena, &batch, &fixture.err), ST_OK);
    inbound_batch_deinit(&batch);
    channel_typing(fixture.channel, STR("+15557654321"));
    channel_typing(fixture.channel, STR("+15550000000"));
    assert_int_equal(test_provider_count(fixture.provider), 1);
    assert_true(str_eq_c(got(&fixture, 0).path, "/messaging/v2/Indicators/Typing.json"));
    assert_form(&fixture, "typing", 0,
                "{\"messageId\": \"SM0000000000000000000000000000000a\", "
                "\"channel\": \"whatsapp\"}");
    /* Bounded, and the latest is known in any case. */
    struct twilio_channel *twilio = (struct twilio_channel *)fixture.channel;
    for (int i = 0; i < 5000; i++) {
        struct arena *arena = arena_create(4096);
        struct str chat = arena_printf(arena, "+%d", i);

        twilio_last_message_put(twilio, chat, STR("SM1"));
        assert_true(str_eq_c(twilio_last_message_copy(twilio, chat, arena), "SM1"));
        arena_destroy(&arena);
    }
    assert_true(twilio->last_messages.count <= 4096);
    fixture_deinit(&fixture);
}

/* --- the account --- */

#define ACTIVE "{\"friendly_name\":\"Harbour\",\"status\":\"active\"}"
#define WITH_KEY                                                                                   \
    "{\"account_sid\": \"" ACCOUNT "\", \"auth_token\": \"" TOKEN                                  \
    "\", \"api_key_sid\": \"SK0123456789abcdef0123456789abcdef\", "                                \
    "\"api_key_secret\": \"secret-of-the-api-key\"}"

static void
test_probe(void **state)
{
    struct fixture fixture;
    struct delivery delivery;
    struct str account;

    (void)state;
    fixture_init(&fixture, "twilio_sms", ", \"from\": \"+15551230000\"", WITH_KEY);
    test_provider_queue(fixture.provider, (struct test_answer){200, ACTIVE, NULL});
    test_provider_queue(fixture.provider, (struct test_answer){200, "{\"messages\":[]}", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_OK);
    assert_true(str_eq_c(account, "Harbour (+15551230000)"));
    /* The token, which signs, and the key, which sends: both. */
    assert_true(str_eq_c(got(&fixture, 0).method, "GET"));
    assert_true(str_eq_c(got(&fixture, 0).path, "/2010-04-01/Accounts/" ACCOUNT ".json"));
    assert_true(str_eq_c(got(&fixture, 0).authorization, BASIC_TOKEN));
    assert_true(str_eq_c(got(&fixture, 1).query, "PageSize=1"));
    assert_true(str_starts_with(got(&fixture, 1).authorization, STR("Basic U0swMTIz")));
    test_provider_forget(fixture.provider);
    assert_int_equal(send_one(&fixture, "Hi", NULL, 0, 1, &delivery), ST_OK);
    assert_true(str_starts_with(got(&fixture, 0).authorization, STR("Basic U0swMTIz")));

    test_provider_queue(fixture.provider,
                        (struct test_answer){200, "{\"status\":\"suspended\"}", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_DENIED);
    test_provider_queue(fixture.provider,
                        (struct test_answer){401, "{\"code\":20003,\"message\":\"\"}", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_DENIED);
    /* Reading may always be repeated. */
    test_provider_queue(fixture.provider, (struct test_answer){200, "<html>", NULL});
    assert_int_equal(channel_probe(fixture.channel, fixture.env.arena, &account, &fixture.err),
                     ST_UNAVAILABLE);
    fixture_deinit(&fixture);
}

static void
test_register(void **state)
{
    static const struct {
        const char *settings, *found, *search, *query, *target, *want;
    } cases[] = {
        {", \"from\": \"+15551230000\"",
         "{\"incoming_phone_numbers\":[{\"sid\":\"PN0000000000000000000000000000000a\"}]}",
         "/2010-04-01/Accounts/" ACCOUNT "/IncomingPhoneNumbers.json", "PhoneNumber=%2B15551230000",
         "/2010-04-01/Accounts/" ACCOUNT
         "/IncomingPhoneNumbers/PN0000000000000000000000000000000a.json",
         "{\"SmsUrl\": \"https://parley.example/w#rc=3&rp=all\", \"SmsMethod\": \"POST\"}"},
        {", \"from\": \"12345\"",
         "{\"short_codes\":[{\"sid\":\"SC0000000000000000000000000000000a\"}]}",
         "/2010-04-01/Accounts/" ACCOUNT "/SMS/ShortCodes.json", "ShortCode=12345",
         "/2010-04-01/Accounts/" ACCOUNT "/SMS/ShortCodes/SC0000000000000000000000000000000a.json",
         "{\"SmsUrl\": \"https://parley.example/w#rc=3&rp=all\", \"SmsMethod\": \"POST\"}"},
        {", \"messaging_service_sid\": \"MG0123456789abcdef0123456789abcdef\"", NULL, NULL, NULL,
         "/messaging/v1/Services/MG0123456789abcdef0123456789abcdef",
         "{\"InboundRequestUrl\": \"https://parley.example/w#rc=3&rp=all\", "
         "\"InboundMethod\": \"POST\"}"},
        {", \"messaging_service_sid\": \"MG0123456789abcdef0123456789abcdef\", "
         "\"webhook_url\": \"https://edge.example/in\"",
         NULL, NULL, NULL, "/messaging/v1/Services/MG0123456789abcdef0123456789abcdef",
         "{\"InboundRequestUrl\": \"https://edge.example/in#rc=3&rp=all\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        size_t last = cases[i].found == NULL ? 0 : 1;

        fixture_init(&fixture, "twilio_sms", cases[i].settings, CREDENTIALS);
        if (cases[i].found != NULL)
            test_provider_queue(fixture.provider, (struct test_answer){200, cases[i].found, NULL});
        if (channel_register(fixture.channel, STR("https://parley.example/w"), &fixture.err) !=
            ST_OK)
            fail_msg("%zu: %s", i, fixture.err.detail);
        if (cases[i].found != NULL) {
            assert_true(str_eq_c(got(&fixture, 0).path, cases[i].search));
            assert_true(str_eq_c(got(&fixture, 0).query, cases[i].query));
        }
        assert_true(str_eq_c(got(&fixture, last).path, cases[i].target));
        assert_form(&fixture, "register", last, cases[i].want);
        fixture_deinit(&fixture);
    }

    struct fixture fixture;

    fixture_init(&fixture, "twilio_sms", ", \"from\": \"+15551230000\"", CREDENTIALS);
    test_provider_queue(fixture.provider,
                        (struct test_answer){200, "{\"incoming_phone_numbers\":[]}", NULL});
    assert_int_equal(
        channel_register(fixture.channel, STR("https://parley.example/w"), &fixture.err),
        ST_INVALID);
    assert_non_null(strstr(fixture.err.public_text, "+15551230000"));
    fixture_deinit(&fixture);
}

/* --- media --- */

static bool
collect(struct str bytes, void *context)
{
    buf_append(context, bytes);
    return true;
}

static bool
refuse(struct str bytes, void *context)
{
    (void)bytes;
    (void)context;
    return false;
}

static enum status
fetch(struct fixture *fixture, unsigned port, size_t max_bytes,
      bool (*write)(struct str bytes, void *context), struct buf *bytes)
{
    const struct media_sink sink = {.max_bytes = max_bytes, .write = write, .context = bytes};
    json_auto_t *attachment = json_object();
    struct str mime_type;

    buf_clear(bytes);
    fixture->err = (struct err){.code = ST_OK};
    json_set_str(attachment, "url",
                 arena_printf(fixture->env.arena, "http://127.0.0.1:%u/Media/ME1", port));
    enum status st = channel_fetch_media(fixture->channel, attachment, &sink, fixture->env.arena,
                                         &mime_type, &fixture->err);
    if (st == ST_OK)
        assert_true(str_eq_c(mime_type, "application/json"));
    return st;
}

static void
test_media(void **state)
{
    static const struct {
        struct test_answer answer;
        enum status want;
    } errors[] = {
        {{404, "{}", NULL}, ST_NOT_FOUND},   {{410, "{}", NULL}, ST_NOT_FOUND},
        {{401, "{}", NULL}, ST_DENIED},      {{429, "{}", "3"}, ST_BUSY},
        {{500, "{}", NULL}, ST_UNAVAILABLE}, {{400, "{}", NULL}, ST_UNAVAILABLE},
    };
    struct fixture fixture;
    struct buf bytes;
    char location[64];

    (void)state;
    fixture_init(&fixture, "twilio_whatsapp", ", \"from\": \"+15551230000\"", CREDENTIALS);
    struct test_provider *store =
        test_provider_start((struct test_answer){200, "the picture", NULL});
    unsigned port = test_provider_port(fixture.provider), store_port = test_provider_port(store);

    buf_init(&bytes, 4096);
    (void)snprintf(location, sizeof location, "http://127.0.0.1:%u/signed?x=1", store_port);
    test_provider_header(fixture.provider, "Location", location);
    test_provider_queue(fixture.provider, (struct test_answer){302, "", NULL});
    assert_int_equal(fetch(&fixture, port, 100, collect, &bytes), ST_OK);
    assert_true(str_eq_c(buf_str(&bytes), "the picture"));
    /* Credentials go to Twilio, and nowhere else. */
    assert_true(str_eq_c(got(&fixture, 0).authorization, BASIC_TOKEN));
    struct test_request second = test_provider_got(store, 0, fixture.env.arena);
    assert_int_equal(second.authorization.len, 0);
    assert_true(str_eq_c(second.query, "x=1"));
    assert_int_equal(fetch(&fixture, store_port, 100, collect, &bytes), ST_OK);
    assert_int_equal(test_provider_got(store, 1, fixture.env.arena).authorization.len, 0);

    assert_int_equal(fetch(&fixture, store_port, 5, collect, &bytes), ST_TOO_LARGE);
    assert_int_equal(fetch(&fixture, store_port, 100, refuse, &bytes), ST_INVALID);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        test_provider_queue(fixture.provider, errors[i].answer);
        assert_int_equal(fetch(&fixture, port, 100, collect, &bytes), errors[i].want);
    }
    /* In a circle. */
    (void)snprintf(location, sizeof location, "http://127.0.0.1:%u/again", port);
    for (int i = 0; i < 8; i++)
        test_provider_queue(fixture.provider, (struct test_answer){302, "", NULL});
    test_provider_header(fixture.provider, "Location", location);
    assert_int_equal(fetch(&fixture, port, 100, collect, &bytes), ST_UNAVAILABLE);
    assert_int_equal(fetch(&fixture, test_closed_port(), 100, collect, &bytes), ST_UNAVAILABLE);
    buf_deinit(&bytes);
    test_provider_stop(&store);
    fixture_deinit(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_vectors),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_splitting),
        cmocka_unit_test(test_sending),
        cmocka_unit_test(test_refused_before_sending),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_media),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
