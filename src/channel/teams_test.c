/*
 * teams_test.c - the Teams driver: the conformance suite, proofs that must not count, what is sent
 * and with which token
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_conformance.h"
#include "channel/drivers/teams.h"
#include "channel/openid_test_support.h"
#include "text/json.h"

#define APP "11111111-2222-4333-8444-555555555555"
#define PASSWORD "Pass.word_of-the-bot"
#define TENANT "99999999-0000-4000-8000-000000000001"
#define SERVICE "https://smba.trafficmanager.net/emea/x/"
#define HEADER "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key-1\"}"
#define CREDENTIALS "{\"app_id\": \"" APP "\", \"app_password\": \"" PASSWORD "\"}"
#define BODY(type, id, more)                                                                       \
    "{\"type\":\"" type "\",\"id\":\"" id "\",\"timestamp\":\"2026-01-01T10:00:00Z\","             \
    "\"channelId\":\"msteams\",\"serviceUrl\":\"" SERVICE "\","                                    \
    "\"from\":{\"id\":\"29:1ann\",\"name\":\"Ann\"},\"recipient\":{\"id\":\"28:" APP "\"},"        \
    "\"conversation\":{\"conversationType\":\"personal\",\"tenantId\":\"" TENANT                   \
    "\",\"id\":\"a:1\"}" more "}"

static struct str
sign(struct test_issuer *issuer, struct test_env *env, const char *header, const char *issuer_name,
     const char *audience, const char *service, int64_t from_s, int64_t lasts_s)
{
    long long begins_s = clock_wall_us(env->clock) / US_PER_S + from_s;
    long long ends_s = begins_s + lasts_s;
    struct str claims = arena_printf(
        env->arena,
        "{\"iss\":\"%s\",\"aud\":\"%s\",\"serviceurl\":\"%s\",\"nbf\":%lld,\"exp\":%lld}",
        issuer_name, audience, service, begins_s, ends_s);

    return test_issuer_sign(issuer, header, claims.ptr, env->arena);
}

static struct str
good_token(struct test_issuer *issuer, struct test_env *env, const char *service)
{
    return sign(issuer, env, HEADER, TEST_ISSUER_NAME, APP, service, -60, 3600);
}

/* --- the suite --- */

static const struct forgery {
    const char *header, *issuer, *audience, *service;
    int64_t from_s, lasts_s;
} forgeries[] = {
    {HEADER, TEST_ISSUER_NAME, APP, SERVICE, -60, 3600}, /* the good one */
    {HEADER, "https://sts.windows.net/x/", APP, SERVICE, -60, 3600},
    {HEADER, TEST_ISSUER_NAME, "other", SERVICE, -60, 3600},
    {HEADER, TEST_ISSUER_NAME, APP, "https://smba.trafficmanager.net/other/", -60, 3600},
    {HEADER, TEST_ISSUER_NAME, APP, "", -60, 3600},
    {HEADER, TEST_ISSUER_NAME, APP, SERVICE, -7200, 3600},
    {HEADER, TEST_ISSUER_NAME, APP, SERVICE, 600, 3600},
    {"{\"alg\":\"none\",\"kid\":\"key-1\"}", TEST_ISSUER_NAME, APP, SERVICE, -60, 3600},
    {"{\"alg\":\"HS256\",\"kid\":\"key-1\"}", TEST_ISSUER_NAME, APP, SERVICE, -60, 3600},
    {"{\"alg\":\"RS256\",\"kid\":\"key-7\"}", TEST_ISSUER_NAME, APP, SERVICE, -60, 3600},
};
#define FORGERIES ((int)(sizeof forgeries / sizeof forgeries[0]))

static bool
prove(const struct channel_record *record, struct test_env *env, struct str body, int forge,
      struct conformance_proof *proof_out)
{
    const struct forgery *f = &forgeries[forge < FORGERIES ? forge : 0];
    /* Another account's own token is good for it. */
    struct str app = json_get_str(record->credentials, "app_id");
    const char *audience =
        strcmp(f->audience, APP) == 0 ? arena_cstr(env->arena, app) : f->audience;
    struct str token =
        sign(env->context, env, f->header, f->issuer, audience, f->service, f->from_s, f->lasts_s);
    const char *scheme = "Bearer ";

    (void)body;
    switch (forge - FORGERIES) {
    case 0:
        return true; /* no header at all */
    case 1:
        scheme = "Basic ";
        break;
    case 2:
        scheme = "";
        break;
    case 3:
        token = STR("");
        break;
    case 4:
        token.len -= 8;
        break;
    case 5:
        return false;
    default:
        break;
    }
    proof_out->headers[0] =
        (struct http_header){.name = "Authorization",
                             .value = arena_printf(env->arena, "%s%.*s", scheme, STR_ARG(token))};
    proof_out->header_count = 1;
    return true;
}

#define ERROR(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"no\"}}"

static const struct conformance_outcome outcomes[] = {
    {"created", {201, "{\"id\":\"1700000000009\"}", NULL}, ST_OK},
    {"accepted without an id", {202, "", NULL}, ST_OK},
    {"success that cannot be read", {200, "<html>", NULL}, ST_UNCERTAIN},
    {"token refused once", {401, "{\"message\":\"Authorization has been denied\"}", NULL}, ST_OK},
    {"bad argument", {400, ERROR("BadArgument"), NULL}, ST_INVALID},
    {"too big", {400, ERROR("MessageSizeTooBig"), NULL}, ST_TOO_LARGE},
    {"not in the roster", {403, ERROR("BotNotInConversationRoster"), NULL}, ST_NOT_FOUND},
    {"blocked", {403, ERROR("ConversationBlockedByUser"), NULL}, ST_NOT_FOUND},
    {"writes blocked", {403, ERROR("MessageWritesBlocked"), NULL}, ST_NOT_FOUND},
    {"disabled", {403, ERROR("BotDisabledByAdmin"), NULL}, ST_NOT_FOUND},
    {"not allowed", {403, ERROR("ForbiddenOperationException"), NULL}, ST_DENIED},
    {"no permission", {403, ERROR("NotEnoughPermissions"), NULL}, ST_DENIED},
    {"unknown tenant", {403, ERROR("UnknownTenant"), NULL}, ST_DENIED},
    {"another 403", {403, ERROR("Other"), NULL}, ST_INVALID},
    {"gone", {404, ERROR("ConversationNotFound"), NULL}, ST_NOT_FOUND},
    {"404 of a proxy", {404, "<html>", NULL}, ST_UNAVAILABLE},
    {"method", {405, ERROR("MethodNotAllowed"), NULL}, ST_INVALID},
    {"edit conflict", {412, ERROR("PreconditionFailed"), NULL}, ST_BUSY},
    {"entity too large", {413, ERROR("RequestEntityTooLarge"), NULL}, ST_TOO_LARGE},
    {"throttled", {429, ERROR("TooManyRequests"), "7"}, ST_BUSY},
    {"throttled, without more", {429, "", NULL}, ST_BUSY},
    {"our secret in their mouth", {400, ERROR("token-1 " PASSWORD " " PASSWORD), NULL}, ST_INVALID},
    {"500", {500, ERROR("ServiceError"), NULL}, ST_UNAVAILABLE},
    {"502", {502, "<html>", NULL}, ST_UNAVAILABLE},
    {"503", {503, "", "3"}, ST_UNAVAILABLE},
    {"504", {504, "", NULL}, ST_UNAVAILABLE},
    {"302", {302, "", NULL}, ST_UNAVAILABLE},
    {NULL, {0, NULL, NULL}, ST_OK},
};

static const char *const bad_settings[] = {"{\"tenant_id\": \"contoso.example\"}",
                                           "{\"tenant_id\": 1}",
                                           "{\"allowed_tenants\": []}",
                                           "{\"allowed_tenants\": \"" TENANT "\"}",
                                           "{\"allowed_tenants\": [\"x\"]}",
                                           "{\"group_policy\": \"sometimes\"}",
                                           "{\"cloud\": \"china\"}",
                                           "{\"cloud\": null}",
                                           "{\"openid_metadata\": \"ftp://x\"}",
                                           "{\"login_base\": \"https://\"}",
                                           "{\"login_base\": \"https://u@x\"}",
                                           "{\"issuer\": 5}",
                                           "{\"service_hosts\": []}",
                                           "{\"service_hosts\": [\"https://x/path\"]}",
                                           "{\"service_hosts\": [\"*\"]}",
                                           "{\"service_hosts\": [\"*.\"]}",
                                           "{\"service_hosts\": [\"a b\"]}",
                                           "{\"service_hosts\": [\"https://x:123456\"]}",
                                           NULL};
static const char *const bad_credentials[] = {
    "{}",
    "{\"app_id\": \"" APP "\"}",
    "{\"app_password\": \"" PASSWORD "\"}",
    "{\"app_id\": \"x\", \"app_password\": \"" PASSWORD "\"}",
    "{\"app_id\": \"" APP "0\", \"app_password\": \"" PASSWORD "\"}",
    "{\"app_id\": \"" APP "\", \"app_password\": \"short\"}",
    "{\"app_id\": \"" APP "\", \"app_password\": \"with space in it\"}",
    "{\"app_id\": \"" APP "\", \"app_password\": 12345678}",
    NULL};

static char *
settings_for(const struct test_issuer *issuer, const char *more)
{
    char *out = NULL;

    assert_true(asprintf(&out,
                         "{\"openid_metadata\": \"http://127.0.0.1:%u/metadata\", \"login_base\": "
                         "\"http://127.0.0.1:%u/login/\", \"service_hosts\": "
                         "[\"smba.trafficmanager.net\", \"http://127.0.0.1:%%u\"]%s}",
                         test_issuer_port(issuer), test_issuer_port(issuer), more) > 0);
    return out;
}

static void
test_conformance(void **state)
{
    struct test_issuer *issuer = test_issuer_start();
    char *settings = settings_for(issuer, "");
    const struct channel_conformance suite = {
        .driver = &channel_driver_teams,
        .settings = settings,
        .credentials = CREDENTIALS,
        .other_credentials = "{\"app_id\": \"22222222-2222-4333-8444-555555555555\", "
                             "\"app_password\": \"" PASSWORD "\"}",
        .bare_credentials = CREDENTIALS,
        .unsafe_credentials = "{\"app_id\": \"" APP "\"}",
        .account = APP,
        .secret = PASSWORD,
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove,
        .message = BODY("message", "1", ",\"text\":\"Hi\""),
        .other_message = BODY("message", "2", ",\"text\":\"Hi\""),
        .event = BODY("messageUpdate", "2", ",\"text\":\"Ho\""),
        .unknown = BODY("hologram", "3", ""),
        .chat = "http://127.0.0.1:%u|a:1",
        .context = issuer,
        .max_units = TEAMS_TEXT_MAX_UNITS,
        .provider_ok = {201, "{\"id\":\"1700000000009\"}", NULL},
        .outcomes = outcomes,
    };

    (void)state;
    channel_conformance_run(&suite);
    free(settings);
    test_issuer_stop(&issuer);
}

/* --- one channel --- */

struct scene {
    struct test_env env;
    struct test_issuer *issuer;
    struct test_provider *provider;
    struct test_hook *hook;
    struct channel_record *record;
    struct channel *channel;
    const char *chat;
};

static void
open_scene(struct scene *scene, const char *more)
{
    struct err err;

    test_env_init(&scene->env);
    scene->issuer = test_issuer_start();
    scene->provider = test_provider_start((struct test_answer){201, "{\"id\":\"99\"}", NULL});
    scene->hook = test_hook_start(&scene->env);
    char *settings = settings_for(scene->issuer, more);
    struct str text =
        arena_printf(scene->env.arena, "%.*s%u%s", (int)(strstr(settings, "%u") - settings),
                     settings, test_provider_port(scene->provider), strstr(settings, "%u") + 2);

    free(settings);
    scene->record = test_record("teams", arena_cstr(scene->env.arena, text), CREDENTIALS);
    if (channel_acquire(scene->env.registry, scene->record, &scene->channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    scene->chat =
        arena_printf(scene->env.arena, "http://127.0.0.1:%u|19:a@thread.tacv2;messageid=5",
                     test_provider_port(scene->provider))
            .ptr;
}

static void
close_scene(struct scene *scene)
{
    channel_release(&scene->channel);
    test_record_release(&scene->record);
    test_hook_stop(&scene->hook);
    test_provider_stop(&scene->provider);
    test_issuer_stop(&scene->issuer);
    test_env_deinit(&scene->env);
}

static enum status
post(struct scene *scene, struct str token, const char *body)
{
    const struct http_header header = {
        .name = "Authorization",
        .value = arena_printf(scene->env.arena, "bearer %.*s", STR_ARG(token))};
    struct test_hook_result result;

    test_hook_post(scene->hook, scene->record, "/hook", &header, 1, str_from_c(body), &result);
    json_decref(result.items);
    return result.verified != ST_OK ? result.verified : result.parsed;
}

/* --- proofs --- */

static void
test_token_and_activity_agree(void **state)
{
    static const struct {
        const char *name, *more, *service, *body;
        enum status want;
    } cases[] = {
        {"the same", "", SERVICE, BODY("message", "1", ",\"text\":\"x\""), ST_OK},
        {"a slash less", "", "https://smba.trafficmanager.net/emea/x",
         BODY("message", "1", ",\"text\":\"x\""), ST_OK},
        {"another path", "", "https://smba.trafficmanager.net/emea/y",
         BODY("message", "1", ",\"text\":\"x\""), ST_DENIED},
        {"no service URL", "", SERVICE,
         "{\"type\":\"message\",\"id\":\"1\",\"conversation\":{\"id\":\"a:1\"}}", ST_INVALID},
        {"a channel that the key may not speak for", "", SERVICE,
         "{\"type\":\"message\",\"id\":\"1\",\"channelId\":\"webchat\",\"serviceUrl\":\"" SERVICE
         "\",\"conversation\":{\"id\":\"a:1\"},\"from\":{\"id\":\"x\"}}",
         ST_DENIED},
        {"no channel", "", SERVICE,
         "{\"type\":\"message\",\"id\":\"1\",\"serviceUrl\":\"" SERVICE
         "\",\"conversation\":{\"id\":\"a:1\"},\"from\":{\"id\":\"x\"}}",
         ST_DENIED},
        {"our own tenant", ",\"tenant_id\":\"" TENANT "\"", SERVICE,
         BODY("message", "1", ",\"text\":\"x\""), ST_OK},
        {"not our tenant", ",\"tenant_id\":\"00000000-0000-4000-8000-000000000009\"", SERVICE,
         BODY("message", "1", ",\"text\":\"x\""), ST_DENIED},
        {"a listed tenant",
         ",\"tenant_id\":\"00000000-0000-4000-8000-000000000009\",\"allowed_tenants\":[\"" TENANT
         "\"]",
         SERVICE, BODY("message", "1", ",\"text\":\"x\""), ST_OK},
        {"a tenant that is not listed",
         ",\"allowed_tenants\":[\"00000000-0000-4000-8000-000000000009\"]", SERVICE,
         BODY("message", "1", ",\"text\":\"x\""), ST_DENIED},
        {"channelData names the tenant", ",\"tenant_id\":\"" TENANT "\"", SERVICE,
         BODY("message", "1",
              ",\"channelData\":{\"tenant\":{\"id\":\"00000000-0000-4000-8000-000000000009\"}}"),
         ST_DENIED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene scene;

        open_scene(&scene, cases[i].more);
        enum status st =
            post(&scene, good_token(scene.issuer, &scene.env, cases[i].service), cases[i].body);
        if (st != cases[i].want)
            fail_msg("%s: %s", cases[i].name, status_name(st));
        close_scene(&scene);
    }
}

static void
test_keys_cannot_be_had(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, "");
    struct str token = good_token(scene.issuer, &scene.env, SERVICE);

    test_issuer_fail(scene.issuer, 500);
    assert_int_equal(post(&scene, token, BODY("message", "1", "")), ST_UNAVAILABLE);
    test_issuer_fail(scene.issuer, 200);
    clock_advance_us(scene.env.clock, OPENID_RETRY_US);
    assert_int_equal(post(&scene, token, BODY("message", "1", "")), ST_OK);
    close_scene(&scene);
}

/* --- sending --- */

static enum status
send(struct scene *scene, const char *text, const char *metadata, unsigned part, unsigned count,
     struct delivery *delivery_out, struct err *err)
{
    json_auto_t *parsed = metadata == NULL ? NULL : json_loads(metadata, 0, NULL);
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = str_from_c(scene->chat),
                                      .reply_to_external_id =
                                          STR(APP "|19:a@thread.tacv2;messageid=5|1700000000001"),
                                      .text = str_from_c(text),
                                      .metadata = parsed,
                                      .part = part,
                                      .part_count = count};

    *err = (struct err){.code = ST_OK};
    return channel_send(scene->channel, &outbound, scene->env.arena, delivery_out, err);
}

static json_t *
last_request(struct scene *scene, struct str *path_out)
{
    return test_provider_request(scene->provider, test_provider_count(scene->provider) - 1,
                                 scene->env.arena, path_out);
}

static void
assert_request(struct scene *scene, const char *name, const char *want_text)
{
    json_auto_t *want = json_loads(want_text, 0, NULL), *got = last_request(scene, NULL);

    assert_non_null(want);
    test_assert_contains(name, want, got);
}

static void
test_activities_out(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct str path;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    assert_int_equal(send(&scene, "Hello & **you**", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_true(str_eq_c(delivery.external_message_id, APP "|19:a@thread.tacv2;messageid=5|99"));
    json_decref(last_request(&scene, &path));
    assert_true(str_eq_c(path, "/v3/conversations/19:a@thread.tacv2;messageid=5/activities"));
    assert_request(&scene, "marked",
                   "{\"type\":\"message\",\"textFormat\":\"xml\",\"text\":\"Hello &amp; "
                   "<b>you</b>\",\"replyToId\":\"1700000000001\",\"from\":{\"id\":\"28:" APP
                   "\"},\"conversation\":{\"id\":\"19:a@thread.tacv2;messageid=5\"},"
                   "\"attachments\":null}");
    assert_string_equal(test_provider_authorization(scene.provider, 0), "Bearer token-1");
    assert_string_equal(test_issuer_login_form(scene.issuer),
                        "grant_type=client_credentials&client_id=" APP "&client_secret=" PASSWORD
                        "&scope=https%3A%2F%2Fapi.botframework.com%2F.default");

    assert_int_equal(send(&scene, "a < b\nnext", NULL, 1, 2, &delivery, &err), ST_OK);
    assert_request(&scene, "plain",
                   "{\"textFormat\":\"plain\",\"text\":\"a < b\\nnext\",\"replyToId\":null}");
    assert_int_equal(send(&scene, "**x** [our page](https://x.example/?a=1&b=2)\n- one\n`c`", NULL,
                          0, 1, &delivery, &err),
                     ST_OK);
    assert_request(
        &scene, "all marks",
        "{\"text\":\"<b>x</b> <a href=\\\"https://x.example/?a=1&amp;b=2\\\">our page</a>"
        "<br/>\xe2\x80\xa2 one<br/><code>c</code>\"}");
    /* One login for all of them. */
    assert_int_equal(test_issuer_logins(scene.issuer), 1);
    close_scene(&scene);
}

static void
test_refused_marks_go_plain(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    test_provider_queue(scene.provider, (struct test_answer){400, ERROR("BadSyntax"), NULL});
    assert_int_equal(send(&scene, "**x** & y", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_int_equal(test_provider_count(scene.provider), 2);
    assert_request(&scene, "plain", "{\"textFormat\":\"plain\",\"text\":\"x & y\"}");
    close_scene(&scene);
}

static void
test_buttons_and_files(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    const char *buttons = "{\"buttons\":[{\"id\":\"h\",\"title\":\"Hours\"},"
                          "{\"url\":\"https://x.example\",\"title\":\"Page\"}]}";

    assert_int_equal(send(&scene, "Pick", buttons, 0, 2, &delivery, &err), ST_OK);
    assert_request(&scene, "not under the first part", "{\"attachments\":null}");
    assert_int_equal(send(&scene, "Pick", buttons, 1, 2, &delivery, &err), ST_OK);
    assert_request(
        &scene, "card",
        "{\"text\":\"Pick\",\"attachments\":[{\"contentType\":\"application/"
        "vnd.microsoft.card.adaptive\",\"content\":{\"type\":\"AdaptiveCard\",\"version\":\"1.4\","
        "\"body\":[{\"type\":\"ActionSet\",\"actions\":[{\"type\":\"Action.Submit\",\"title\":"
        "\"Hours\",\"data\":{\"id\":\"h\",\"msteams\":{\"type\":\"messageBack\",\"text\":\"Hours\","
        "\"displayText\":\"Hours\",\"value\":{\"id\":\"h\"}}}},{\"type\":\"Action.OpenUrl\","
        "\"title\":\"Page\",\"url\":\"https://x.example\"}]}]}}]}");
    assert_int_equal(
        send(&scene, "See",
             "{\"attachments\":[{\"kind\":\"image\",\"url\":\"https://x.example/a.png\","
             "\"mime_type\":\"image/png\",\"file_name\":\"a.png\"},{\"kind\":\"document\","
             "\"url\":\"https://x.example/b.pdf\",\"file_name\":\"b.pdf\"}]}",
             0, 1, &delivery, &err),
        ST_OK);
    assert_request(&scene, "files",
                   "{\"text\":\"See<br/><a href=\\\"https://x.example/b.pdf\\\">b.pdf</a>\","
                   "\"attachments\":[{\"contentType\":\"image/png\",\"contentUrl\":"
                   "\"https://x.example/a.png\",\"name\":\"a.png\"}]}");
    size_t before = test_provider_count(scene.provider);

    assert_int_equal(send(&scene, "x", "{\"buttons\":[{\"title\":\"x\"}]}", 0, 1, &delivery, &err),
                     ST_INVALID);
    assert_int_equal(send(&scene, "x", "{\"buttons\":[{\"id\":\"x\"}]}", 0, 1, &delivery, &err),
                     ST_INVALID);
    assert_int_equal(
        send(&scene, "x", "{\"attachments\":[{\"kind\":\"image\"}]}", 0, 1, &delivery, &err),
        ST_INVALID);
    assert_int_equal(test_provider_count(scene.provider), before);
    close_scene(&scene);
}

/* More than a card holds are listed in words; sets hold six. */
static void
test_many_buttons(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct err err;
    static const struct {
        size_t count, sets;
    } cases[] = {{6, 1}, {7, 2}, {30, 5}, {31, 0}};

    (void)state;
    open_scene(&scene, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *buttons = json_array(), *metadata = json_object();

        for (size_t k = 0; k < cases[i].count; k++)
            json_array_append_new(buttons, json_pack("{s:s, s:s}", "id", "i", "title", "Choice"));
        json_set(metadata, "buttons", json_incref(buttons));
        struct str text = json_text(metadata, scene.env.arena);

        assert_int_equal(
            send(&scene, "x", arena_cstr(scene.env.arena, text), 0, 1, &delivery, &err), ST_OK);
        json_auto_t *got = last_request(&scene, NULL);
        const json_t *card = json_array_get(json_get_array(got, "attachments"), 0);
        const json_t *body = json_get_array(json_get_object(card, "content"), "body");

        assert_int_equal(json_array_size(body), cases[i].sets);
        assert_true((cases[i].sets == 0) == (str_find(json_get_str(got, "text"), STR("31. ")) > 0));
    }
    close_scene(&scene);
}

static void
test_tokens(void **state)
{
    struct scene scene;
    struct delivery delivery;
    struct err err;

    (void)state;
    open_scene(&scene, ",\"tenant_id\":\"" TENANT "\"");
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    clock_advance_us(scene.env.clock, INT64_C(3299) * US_PER_S);
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_int_equal(test_issuer_logins(scene.issuer), 1);

    /* Five minutes before its end it is replaced, or goes on if that cannot be. */
    clock_advance_us(scene.env.clock, US_PER_S);
    test_issuer_login_fail(scene.issuer, 503, "");
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_string_equal(test_provider_authorization(scene.provider, 2), "Bearer token-1");
    test_issuer_login_fail(scene.issuer, 200, NULL);
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_string_equal(test_provider_authorization(scene.provider, 3), "Bearer token-2");

    /* Refused before its time: one new token, one more try. */
    test_provider_queue(scene.provider, (struct test_answer){401, "{}", NULL});
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_int_equal(test_provider_count(scene.provider), 6);
    assert_string_equal(test_provider_authorization(scene.provider, 5), "Bearer token-3");
    test_provider_queue(scene.provider, (struct test_answer){401, "{}", NULL});
    test_provider_queue(scene.provider, (struct test_answer){401, "{}", NULL});
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_DENIED);
    assert_int_equal(test_provider_count(scene.provider), 8);

    /* A reopened channel goes on with the token. */
    unsigned logins = test_issuer_logins(scene.issuer);
    struct str settings = json_text(scene.record->settings, scene.env.arena);
    struct channel_record *newer =
        test_record("teams", arena_cstr(scene.env.arena, settings), CREDENTIALS);

    newer->id = scene.record->id;
    newer->revision = scene.record->revision + 1;
    channel_release(&scene.channel);
    test_record_release(&scene.record);
    scene.record = newer;
    assert_int_equal(channel_acquire(scene.env.registry, newer, &scene.channel, &err), ST_OK);
    assert_int_equal(send(&scene, "x", NULL, 0, 1, &delivery, &err), ST_OK);
    assert_int_equal(test_issuer_logins(scene.issuer), logins);
    close_scene(&scene);
}

static void
test_logins_that_fail(void **state)
{
    static const struct {
        const char *name, *body;
        int status;
        enum status want;
    } cases[] = {
        {"wrong secret",
         "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215\",\"error_codes\":"
         "[7000215]}",
         401, ST_DENIED},
        {"unknown app", "{\"error\":\"unauthorized_client\",\"error_codes\":[700016]}", 400,
         ST_DENIED},
        {"a page of somebody else", "<html>", 401, ST_UNAVAILABLE},
        {"throttled", "{\"error\":\"temporarily_unavailable\"}", 429, ST_BUSY},
        {"broken", "{}", 503, ST_UNAVAILABLE},
    };
    struct scene scene;
    struct delivery delivery;
    struct str account;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_issuer_login_fail(scene.issuer, cases[i].status, cases[i].body);
        enum status st = send(&scene, "x", NULL, 0, 1, &delivery, &err);
        if (st != cases[i].want)
            fail_msg("%s: %s (%s)", cases[i].name, status_name(st), err.detail);
        assert_null(strstr(err.detail, PASSWORD));
        assert_true(st != ST_BUSY || err.retry_after_ms > 0);
    }
    assert_int_equal(test_provider_count(scene.provider), 0);
    test_issuer_login_fail(scene.issuer, 401, cases[0].body);
    assert_int_equal(channel_probe(scene.channel, scene.env.arena, &account, &err), ST_DENIED);
    assert_non_null(strstr(err.public_text, "AADSTS7000215"));
    test_issuer_login_fail(scene.issuer, 200, NULL);
    assert_int_equal(channel_probe(scene.channel, scene.env.arena, &account, &err), ST_OK);
    assert_true(str_eq_c(account, "bot " APP));
    assert_int_equal(test_issuer_fetches(scene.issuer), 1); /* the keys were tried too */
    close_scene(&scene);
}

static void
test_typing(void **state)
{
    struct scene scene;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    channel_typing(scene.channel, str_from_c(scene.chat));
    assert_request(&scene, "typing", "{\"type\":\"typing\",\"text\":null}");
    assert_int_equal(test_provider_count(scene.provider), 1);
    /* A chat at a place that is not listed gets neither message nor token. */
    channel_typing(scene.channel, STR("https://evil.example|a:1"));
    const struct outbound astray = {
        .external_chat_id = STR("https://evil.example|a:1"), .text = STR("x"), .part_count = 1};
    struct delivery delivery;

    assert_int_equal(channel_send(scene.channel, &astray, scene.env.arena, &delivery, &err),
                     ST_INVALID);
    assert_int_equal(test_provider_count(scene.provider), 1);
    close_scene(&scene);
}

/* --- attachments --- */

static bool
collect(struct str bytes, void *context)
{
    buf_append(context, bytes);
    return true;
}

static void
test_fetching(void **state)
{
    struct scene scene;
    struct buf got;
    struct str mime_type;
    struct err err;

    (void)state;
    open_scene(&scene, "");
    buf_init(&got, 1024);
    struct media_sink sink = {.max_bytes = 100, .write = collect, .context = &got};
    json_auto_t *picture = json_pack(
        "{s:s, s:s}", "kind", "image", "url",
        arena_printf(scene.env.arena, "http://127.0.0.1:%u/v3/attachments/1/views/original?x=1",
                     test_provider_port(scene.provider))
            .ptr);
    json_auto_t *elsewhere = json_pack("{s:s}", "url", "http://127.0.0.1:1/x");

    test_provider_queue(scene.provider, (struct test_answer){200, "bytes of a picture", NULL});
    assert_int_equal(
        channel_fetch_media(scene.channel, picture, &sink, scene.env.arena, &mime_type, &err),
        ST_OK);
    assert_true(str_eq_c(buf_str(&got), "bytes of a picture"));
    assert_true(str_eq_c(mime_type, "application/json"));
    assert_string_equal(test_provider_authorization(scene.provider, 0), "Bearer token-1");
    test_provider_queue(scene.provider, (struct test_answer){404, "{}", NULL});
    assert_int_equal(
        channel_fetch_media(scene.channel, picture, &sink, scene.env.arena, &mime_type, &err),
        ST_NOT_FOUND);
    test_provider_queue(scene.provider, (struct test_answer){429, "{}", NULL});
    assert_int_equal(
        channel_fetch_media(scene.channel, picture, &sink, scene.env.arena, &mime_type, &err),
        ST_BUSY);
    sink.max_bytes = 5;
    test_provider_queue(scene.provider, (struct test_answer){200, "more than five", NULL});
    assert_int_equal(
        channel_fetch_media(scene.channel, picture, &sink, scene.env.arena, &mime_type, &err),
        ST_TOO_LARGE);
    assert_int_equal(
        channel_fetch_media(scene.channel, elsewhere, &sink, scene.env.arena, &mime_type, &err),
        ST_INVALID);
    assert_int_equal(
        channel_fetch_media(scene.channel, NULL, &sink, scene.env.arena, &mime_type, &err),
        ST_INVALID);
    buf_deinit(&got);
    close_scene(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_token_and_activity_agree),
        cmocka_unit_test(test_keys_cannot_be_had),
        cmocka_unit_test(test_activities_out),
        cmocka_unit_test(test_refused_marks_go_plain),
        cmocka_unit_test(test_buttons_and_files),
        cmocka_unit_test(test_many_buttons),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_logins_that_fail),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_fetching),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
