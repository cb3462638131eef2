/*
 * rotation_test.c - every provider's proofs while a secret is replaced: the new one and the one
 * before count, until that is taken out
 *
 * A row a driver and secret; whoever adds a driver adds its rows, or says why it has none.
 */
#include "channel/channel_driver.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_test_support.h"
#include "channel/drivers/twilio.h"
#include "channel/secrets.h"
#include "channel/web_session.h"
#include "text/json.h"

#define NOW "1800000000" /* TEST_WALL_US */
#define HEADERS_MAX 3
#define DER_MAX_BYTES 512

enum age { NEW, OLD, STRANGE };

/* Three secrets of one kind. */
struct secrets {
    struct str text[3];
    gnutls_privkey_t keys[3]; /* of key pairs: text is the public one */
};

struct delivery_proof {
    const char *target;
    struct http_header headers[HEADERS_MAX];
    size_t header_count;
    struct str body;
};

struct rotation {
    const char *name, *source, *settings, *credentials;
    const char *secret; /* its key among the credentials */
    const char *body;   /* what is delivered; NULL: the address is tested with a GET */
    void (*prove)(struct test_env *env, const struct secrets *secrets, enum age age,
                  struct delivery_proof *proof);
    bool by_key_pair;
};

static void
set_header(struct delivery_proof *proof, const char *name, struct str value)
{
    proof->headers[proof->header_count++] = (struct http_header){.name = name, .value = value};
}

/* --- proofs --- */

static void
prove_telegram(struct test_env *env, const struct secrets *secrets, enum age age,
               struct delivery_proof *proof)
{
    (void)env;
    set_header(proof, "X-Telegram-Bot-Api-Secret-Token", secrets->text[age]);
}

static struct str
hmac(struct test_env *env, struct str key, struct str first, struct str second)
{
    const struct str pieces[] = {first, second};
    const struct hmac_proof proof = {
        .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = pieces, .piece_count = 2};

    return hmac_sign(key, &proof, env->arena);
}

static void
prove_meta(struct test_env *env, const struct secrets *secrets, enum age age,
           struct delivery_proof *proof)
{
    set_header(proof, "X-Hub-Signature-256",
               arena_printf(env->arena, "sha256=%.*s",
                            STR_ARG(hmac(env, secrets->text[age], proof->body, STR("")))));
}

static void
prove_meta_address(struct test_env *env, const struct secrets *secrets, enum age age,
                   struct delivery_proof *proof)
{
    proof->target = arena_cstr(
        env->arena,
        arena_printf(env->arena, "/hook?hub.mode=subscribe&hub.challenge=7&hub.verify_token=%.*s",
                     STR_ARG(secrets->text[age])));
}

static void
prove_slack(struct test_env *env, const struct secrets *secrets, enum age age,
            struct delivery_proof *proof)
{
    set_header(proof, "X-Slack-Request-Timestamp", STR(NOW));
    set_header(
        proof, "X-Slack-Signature",
        arena_printf(env->arena, "v0=%.*s",
                     STR_ARG(hmac(env, secrets->text[age], STR("v0:" NOW ":"), proof->body))));
}

static void
prove_twilio(struct test_env *env, const struct secrets *secrets, enum age age,
             struct delivery_proof *proof)
{
    struct hmac_proof signature = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
    struct str *pieces = NULL;
    struct form form;
    struct err err;

    assert_int_equal(form_parse(proof->body, env->arena, &form, &err), ST_OK);
    signature.piece_count =
        twilio_signed_pieces(STR("https://parley.example/hook"), &form, env->arena, &pieces);
    signature.pieces = pieces;
    set_header(proof, "X-Twilio-Signature", hmac_sign(secrets->text[age], &signature, env->arena));
}

static void
prove_by_query(struct test_env *env, const struct secrets *secrets, enum age age,
               struct delivery_proof *proof)
{
    proof->target = arena_cstr(
        env->arena, arena_printf(env->arena, "/hook?secret=%.*s", STR_ARG(secrets->text[age])));
}

/* The webhook's own secret stays as it is. */
static void
prove_mailgun(struct test_env *env, const struct secrets *secrets, enum age age,
              struct delivery_proof *proof)
{
    proof->target = "/hook?secret=s3cret-of-the-webhook-01";
    set_header(proof, "Content-Type", STR("application/x-www-form-urlencoded"));
    proof->body = arena_printf(env->arena, "timestamp=" NOW "&token=t0ken&signature=%.*s",
                               STR_ARG(hmac(env, secrets->text[age], STR(NOW), STR("t0ken"))));
}

static void
prove_mailgun_address(struct test_env *env, const struct secrets *secrets, enum age age,
                      struct delivery_proof *proof)
{
    prove_by_query(env, secrets, age, proof);
    set_header(proof, "Content-Type", STR("application/x-www-form-urlencoded"));
    proof->body =
        arena_printf(env->arena, "timestamp=" NOW "&token=t0ken&signature=%.*s",
                     STR_ARG(hmac(env, STR("key-1234567890abcdef"), STR(NOW), STR("t0ken"))));
}

static struct str
base64(struct test_env *env, const gnutls_datum_t *bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes->size, sodium_base64_VARIANT_ORIGINAL);
    char *text = arena_alloc(env->arena, size);

    sodium_bin2base64(text, size, bytes->data, bytes->size, sodium_base64_VARIANT_ORIGINAL);
    return str_from_c(text);
}

static void
prove_sendgrid(struct test_env *env, const struct secrets *secrets, enum age age,
               struct delivery_proof *proof)
{
    struct str text = arena_printf(env->arena, NOW "%.*s", STR_ARG(proof->body));
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len};
    gnutls_datum_t signature;

    assert_int_equal(
        gnutls_privkey_sign_data(secrets->keys[age], GNUTLS_DIG_SHA256, 0, &data, &signature), 0);
    set_header(proof, "X-Twilio-Email-Event-Webhook-Timestamp", STR(NOW));
    set_header(proof, "X-Twilio-Email-Event-Webhook-Signature", base64(env, &signature));
    gnutls_free(signature.data);
}

/* --- drivers --- */

#define META_CREDENTIALS "\"access_token\": \"EAAtest0123456789abcdef\""
#define WHATSAPP_CREDENTIALS "{\"phone_number_id\": \"200100300400500\", " META_CREDENTIALS
#define INSTAGRAM_CREDENTIALS "{\"instagram_account_id\": \"17841400000000001\", " META_CREDENTIALS
#define META_APP ", \"app_secret\": \"app_secret_example\"}"
#define META_VERIFY ", \"verify_token\": \"verify-token-1\"}"
#define TWILIO_CREDENTIALS "{\"account_sid\": \"AC0123456789abcdef0123456789abcdef\"}"
#define TWILIO_SETTINGS "{\"from\": \"+15551230000\"}"
#define TWILIO_BODY                                                                                \
    "AccountSid=AC0123456789abcdef0123456789abcdef&MessageSid=SM0123456789abcdef0123456789abcdef"  \
    "&From=%2B15557650001&To=%2B15551230000&Body=Hi"
#define MAIL(inbound)                                                                              \
    "{\"address\": \"a@shop.test\", \"smtp_host\": \"127.0.0.1\", \"smtp_security\": \"none\", "   \
    "\"inbound\": \"" inbound "\"}"
#define MAIL_CREDENTIALS "{\"webhook_secret\": \"s3cret-of-the-webhook-01\"}"

static const struct rotation rotations[] = {
    {.name = "telegram",
     .source = "telegram",
     .credentials = "{\"bot_token\": \"7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"}",
     .secret = "secret_token",
     .body = "{\"update_id\": 1}",
     .prove = prove_telegram},
    {.name = "whatsapp",
     .source = "whatsapp_business",
     .credentials = WHATSAPP_CREDENTIALS META_VERIFY,
     .secret = "app_secret",
     .body = "{\"object\": \"whatsapp_business_account\", \"entry\": []}",
     .prove = prove_meta},
    {.name = "whatsapp's address",
     .source = "whatsapp_business",
     .credentials = WHATSAPP_CREDENTIALS META_APP,
     .secret = "verify_token",
     .prove = prove_meta_address},
    {.name = "instagram",
     .source = "instagram",
     .credentials = INSTAGRAM_CREDENTIALS META_VERIFY,
     .secret = "app_secret",
     .body = "{\"object\": \"instagram\", \"entry\": []}",
     .prove = prove_meta},
    {.name = "instagram's address",
     .source = "instagram",
     .credentials = INSTAGRAM_CREDENTIALS META_APP,
     .secret = "verify_token",
     .prove = prove_meta_address},
    {.name = "sms",
     .source = "twilio_sms",
     .settings = TWILIO_SETTINGS,
     .credentials = TWILIO_CREDENTIALS,
     .secret = "auth_token",
     .body = TWILIO_BODY,
     .prove = prove_twilio},
    {.name = "twilio's whatsapp",
     .source = "twilio_whatsapp",
     .settings = TWILIO_SETTINGS,
     .credentials = TWILIO_CREDENTIALS,
     .secret = "auth_token",
     .body = TWILIO_BODY,
     .prove = prove_twilio},
    {.name = "slack",
     .source = "slack",
     .credentials = "{\"app_id\": \"A1\", \"team_id\": \"T1\", \"bot_token\": "
                    "\"xoxb-71828182845-90452353602-AbCdEfGhIjKlMnOp\"}",
     .secret = "signing_secret",
     .body = "{\"type\": \"event_callback\"}",
     .prove = prove_slack},
    {.name = "postmark",
     .source = "email",
     .settings = MAIL("postmark"),
     .credentials = "{}",
     .secret = "webhook_secret",
     .body = "{}",
     .prove = prove_by_query},
    {.name = "sendgrid without its key",
     .source = "email",
     .settings = MAIL("sendgrid"),
     .credentials = "{}",
     .secret = "webhook_secret",
     .body = "{}",
     .prove = prove_by_query},
    {.name = "sendgrid",
     .source = "email",
     .settings = MAIL("sendgrid"),
     .credentials = MAIL_CREDENTIALS,
     .secret = "verification_key",
     .body = "[]",
     .prove = prove_sendgrid,
     .by_key_pair = true},
    {.name = "mailgun",
     .source = "email",
     .settings = MAIL("mailgun"),
     .credentials = MAIL_CREDENTIALS,
     .secret = "signing_key",
     .body = "",
     .prove = prove_mailgun},
    {.name = "mailgun's address",
     .source = "email",
     .settings = MAIL("mailgun"),
     .credentials = "{\"signing_key\": \"key-1234567890abcdef\"}",
     .secret = "webhook_secret",
     .body = "",
     .prove = prove_mailgun_address},
};
#define ROTATIONS (sizeof rotations / sizeof rotations[0])

/* Drivers without a row, and why. */
static const char *const others[] = {
    "teams", /* Microsoft's tokens prove it, by keys that Microsoft publishes and replaces */
    "web",   /* its sessions: test_web_sessions */
};

/* --- secrets --- */

static void
make_secrets(struct test_env *env, const struct rotation *rotation, struct secrets *secrets)
{
    static const char *const texts[] = {"5ecret0000000000000000000000new1",
                                        "5ecret0000000000000000000000old0",
                                        "5ecret00000000000000000000other2"};

    *secrets = (struct secrets){.keys = {NULL}};
    for (size_t i = 0; i < 3; i++) {
        gnutls_pubkey_t public_key;
        gnutls_datum_t der;

        secrets->text[i] = str_from_c(texts[i]);
        if (!rotation->by_key_pair)
            continue;
        assert_int_equal(gnutls_privkey_init(&secrets->keys[i]), 0);
        assert_int_equal(gnutls_privkey_generate(secrets->keys[i], GNUTLS_PK_ECDSA,
                                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                                 0),
                         0);
        assert_int_equal(gnutls_pubkey_init(&public_key), 0);
        assert_int_equal(gnutls_pubkey_import_privkey(public_key, secrets->keys[i], 0, 0), 0);
        assert_int_equal(gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &der), 0);
        secrets->text[i] = base64(env, &der);
        gnutls_free(der.data);
        gnutls_pubkey_deinit(public_key);
    }
}

static void
free_secrets(struct secrets *secrets)
{
    for (size_t i = 0; i < 3; i++)
        if (secrets->keys[i] != NULL)
            gnutls_privkey_deinit(secrets->keys[i]);
}

/* The row's channel with these secrets; an empty previous one: there is none. Its driver takes
 * them, as a person would give them. */
static struct channel_record *
record_with(struct test_env *env, const struct rotation *rotation, struct str current,
            struct str previous)
{
    json_auto_t *credentials = json_loads(rotation->credentials, 0, NULL);
    json_auto_t *settings =
        json_loads(rotation->settings == NULL ? "{}" : rotation->settings, 0, NULL);
    struct str previous_name = arena_printf(env->arena, "previous_%s", rotation->secret);
    struct channel_spec spec = {.source = str_from_c(rotation->source), .name = STR("A channel")};
    struct err err;

    assert_non_null(credentials);
    json_set_str(credentials, rotation->secret, current);
    if (previous.len > 0)
        json_set_str(credentials, arena_cstr(env->arena, previous_name), previous);
    spec.settings = settings;
    spec.credentials = credentials;
    if (channel_check_spec(env->registry, &spec, env->arena, &err) != ST_OK)
        fail_msg("%s: %s", rotation->name, err.public_text);
    struct channel_record *record =
        test_record(rotation->source, arena_cstr(env->arena, json_text(spec.settings, env->arena)),
                    arena_cstr(env->arena, json_text(spec.credentials, env->arena)));
    channel_spec_deinit(&spec);
    return record;
}

static enum status
deliver(struct test_env *env, struct test_hook *hook, const struct channel_record *record,
        const struct rotation *rotation, const struct secrets *secrets, enum age age)
{
    struct delivery_proof proof = {.target = "/hook", .body = str_from_c("")};
    struct test_hook_result result;

    if (rotation->body != NULL)
        proof.body = str_from_c(rotation->body);
    rotation->prove(env, secrets, age, &proof);
    if (rotation->body == NULL)
        test_hook_get(hook, record, proof.target, &result);
    else
        test_hook_post(hook, record, proof.target, proof.headers, proof.header_count, proof.body,
                       &result);
    json_decref(result.items);
    return result.verified;
}

static void
assert_proven(struct test_env *env, struct test_hook *hook, const struct rotation *rotation,
              const struct secrets *secrets, struct str previous, const bool want[3])
{
    struct channel_record *record = record_with(env, rotation, secrets->text[NEW], previous);

    for (int age = NEW; age <= STRANGE; age++) {
        enum status st = deliver(env, hook, record, rotation, secrets, (enum age)age);

        if (st != (want[age] ? ST_OK : ST_DENIED))
            fail_msg("%s: secret %d, %zu before: %s", rotation->name, age, previous.len,
                     status_name(st));
    }
    test_record_release(&record);
}

static void
test_two_secrets(void **state)
{
    static const bool while_replaced[] = {true, true, false}, afterwards[] = {true, false, false};
    struct test_env env;
    struct test_hook *hook;

    (void)state;
    test_env_init(&env);
    env.env.public_url = STR("https://parley.example");
    hook = test_hook_start(&env);
    for (size_t i = 0; i < ROTATIONS; i++) {
        struct secrets secrets;

        make_secrets(&env, &rotations[i], &secrets);
        assert_proven(&env, hook, &rotations[i], &secrets, secrets.text[OLD], while_replaced);
        assert_proven(&env, hook, &rotations[i], &secrets, STR(""), afterwards);
        free_secrets(&secrets);
    }
    test_hook_stop(&hook);
    test_env_deinit(&env);
}

/* The same channel each time. */
static struct channel_record *
web_record(const char *credentials)
{
    struct channel_record *record = test_record("web", "{}", credentials);
    struct str id = STR("0198c0de-0000-7000-8000-000000000001");

    memcpy(record->id.id.text, id.ptr, id.len + 1);
    return record;
}

static enum status
check_session(struct test_env *env, const char *credentials, struct str token)
{
    struct channel_record *record = web_record(credentials);
    struct web_session session;
    struct err err;
    enum status st = web_session_check(record, token, env->clock, &session, &err);

    test_record_release(&record);
    return st;
}

static void
test_web_sessions(void **state)
{
    static const char old[] = "{\"secret\": \"0123456789abcdef-old\"}";
    static const char both[] = "{\"secret\": \"0123456789abcdef-new\", \"previous_secret\": "
                               "\"0123456789abcdef-old\"}";
    static const char new[] = "{\"secret\": \"0123456789abcdef-new\"}";
    static const struct {
        const char *issued, *checked;
        enum status want;
    } cases[] = {
        {old, both, ST_OK},    {both, both, ST_OK},    {both, new, ST_OK},
        {old, new, ST_DENIED}, {both, old, ST_DENIED},
    };
    struct test_env env;

    (void)state;
    test_env_init(&env);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_record *record = web_record(cases[i].issued);
        struct str token;
        struct err err;

        assert_int_equal(web_session_issue(record, (struct visitor_id){{""}}, env.clock, env.arena,
                                           &token, &err),
                         ST_OK);
        test_record_release(&record);
        assert_int_equal(check_session(&env, cases[i].checked, token), cases[i].want);
    }
    test_env_deinit(&env);
}

static void
test_no_driver_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; channel_drivers_built_in[i] != NULL; i++) {
        const char *source = channel_drivers_built_in[i]->source;
        bool found = false;

        for (size_t k = 0; k < ROTATIONS; k++)
            found = found || strcmp(rotations[k].source, source) == 0;
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            found = found || strcmp(others[k], source) == 0;
        if (!found)
            fail_msg("%s: how is its secret replaced?", source);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_secrets),
        cmocka_unit_test(test_web_sessions),
        cmocka_unit_test(test_no_driver_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
