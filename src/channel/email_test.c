/*
 * email_test.c - the e-mail driver: the suite of all drivers, its providers' proofs and forms, what
 * it sends, and what a mail server's answers mean
 */
#include "channel/channel_conformance.h"

#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/drivers/email.h"
#include "channel/secrets.h"
#include "net/mail_test_support.h"
#include "text/json.h"

#define SECRET "s3cret-of-the-webhook-01"
#define OLD_SECRET "s3cret-of-the-webhook-00"
#define BASE                                                                                       \
    "\"address\": \"Support@shop.test\", \"smtp_host\": \"127.0.0.1\", \"smtp_security\": "        \
    "\"none\""
#define IMAP_SETTINGS                                                                              \
    "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"imap_host\": \"x.test\", "
#define MAILGUN_KEY "key-1234567890abcdef"
#define SENDGRID_KEY                                                                               \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/"                                  \
    "7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="

/* --- the suite, as Postmark delivers --- */

static struct str
basic(const char *password, struct arena *arena)
{
    struct str plain = arena_printf(arena, "parley:%s", password);
    char *text = arena_alloc(arena, sodium_base64_ENCODED_LEN(plain.len, 1) + 1);

    sodium_bin2base64(text, sodium_base64_ENCODED_LEN(plain.len, 1),
                      (const unsigned char *)plain.ptr, plain.len, sodium_base64_VARIANT_ORIGINAL);
    return arena_printf(arena, "Basic %s", text);
}

static bool
prove(const struct channel_record *record, struct test_env *env, struct str body, int forge,
      struct conformance_proof *proof_out)
{
    static const char *const passwords[] = {SECRET, "", "s3cret-of-the-webhook-02",
                                            "s3cret-of-the-webhook-0", OLD_SECRET "x"};
    (void)record;
    (void)body;
    *proof_out = (struct conformance_proof){.target = "/hook"};
    if (forge == 5) { /* the query's turn */
        proof_out->target = "/hook?secret=s3cret-of-the-webhook-0";
        return true;
    }
    if (forge >= 6) /* nothing at all; then no more */
        return forge == 6;
    proof_out->headers[0] =
        (struct http_header){"Authorization", basic(passwords[forge], env->arena)};
    proof_out->header_count = 1;
    return true;
}

static void
test_conformance(void **state)
{
    static const char *const bad_settings[] = {
        "{}",
        "{\"address\": \"shop\", \"smtp_host\": \"x.test\"}",
        "{\"address\": \"a b@shop.test\", \"smtp_host\": \"x.test\"}",
        "{\"address\": \"a@shop.test\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test/y\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"smtp_port\": 0}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"smtp_port\": \"25\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"smtp_security\": \"ssl\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"inbound\": \"pop3\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"inbound\": \"imap\"}",
        IMAP_SETTINGS
        "\"oauth_token_url\": \"https://a.test/token?x\", \"oauth_client_id\": \"i\"}",
        IMAP_SETTINGS "\"oauth_token_url\": \"https://a.test/token\"}",
        IMAP_SETTINGS "\"oauth_token_url\": 7}",
        IMAP_SETTINGS "\"imap_port\": 70000}",
        IMAP_SETTINGS "\"imap_security\": \"ssl\"}",
        IMAP_SETTINGS "\"imap_folders\": []}",
        IMAP_SETTINGS "\"imap_folders\": \"INBOX\"}",
        IMAP_SETTINGS "\"imap_folders\": [\"a\\nb\"]}",
        IMAP_SETTINGS "\"imap_folders\": [1]}",
        IMAP_SETTINGS "\"imap_since\": \"yesterday\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"inbound\": \"mailgun\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"inbound\": \"postmark\", "
        "\"name\": \"a\\nBcc: b\"}",
        "{\"address\": \"a@shop.test\", \"smtp_host\": \"x.test\", \"inbound\": \"postmark\", "
        "\"use_reply_to\": 1}",
        IMAP_SETTINGS "\"authserv_id\": \"our server\"}",
        IMAP_SETTINGS "\"authserv_id\": 1}",
        NULL};
    static const char *const bad_credentials[] = {"{\"webhook_secret\": \"short\"}",
                                                  "{\"oauth_refresh_token\": \"r\"}",
                                                  "{\"webhook_secret\": 7}",
                                                  "{\"verification_key\": \"no key\"}",
                                                  "{\"previous_verification_key\": \"no key\"}",
                                                  NULL};
    struct test_smtp *smtp = test_smtp_start();
    const struct channel_conformance suite = {
        .driver = &channel_driver_email,
        .settings = "{" BASE ", \"inbound\": \"postmark\", \"smtp_port\": %u}",
        .credentials = "{\"webhook_secret\": \"" SECRET "\", \"username\": \"support\", "
                       "\"password\": \"pass-of-the-account\"}",
        .other_credentials = "{\"webhook_secret\": \"" SECRET "\"}",
        .bare_credentials = "{}",
        .unsafe_credentials = "{\"username\": \"support\"}",
        .account = "support@shop.test",
        .secret = "pass-of-the-account",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = prove,
        .message = "{\"From\":\"Ada <ada@example.org>\",\"To\":\"support@shop.test\",\"Subject\":"
                   "\"Hours\",\"MessageID\":\"g1\",\"Headers\":[{\"Name\":\"Message-ID\","
                   "\"Value\":\"<m1@example.org>\"}],\"TextBody\":\"When do you open?\"}",
        .other_message = "{\"From\":\"ada@example.org\",\"MessageID\":\"g2\",\"Headers\":[],"
                         "\"TextBody\":\"And on Sundays?\"}",
        .event = "{\"RecordType\":\"Bounce\",\"ID\":42,\"MessageID\":\"g3\",\"Details\":\"full\"}",
        .unknown = "{\"RecordType\":\"SubscriptionChange\",\"MessageID\":\"g4\"}",
        .chat = "ada@example.org",
        .provider_port = test_smtp_port(smtp),
    };

    (void)state;
    channel_conformance_run(&suite);
    test_smtp_stop(&smtp);
}

/* --- scenes of other kinds --- */

struct scene {
    struct test_env env;
    struct test_hook *hook;
    struct channel_record *record;
    struct clock *other_clock;
};

static void
scene_open(struct scene *scene, const char *settings, const char *credentials)
{
    scene->other_clock = NULL;
    test_env_init(&scene->env);
    scene->hook = test_hook_start(&scene->env);
    scene->record = test_record("email", settings, credentials);
    scene->record->account = STR("support@shop.test");
}

static void
scene_close(struct scene *scene)
{
    test_hook_stop(&scene->hook);
    test_record_release(&scene->record);
    test_env_deinit(&scene->env);
    if (scene->other_clock != NULL)
        clock_destroy(&scene->other_clock);
}

static void
at_second(struct scene *scene, int64_t seconds)
{
    /* The vectors are older than the test's own clock, and it only goes forward. */
    if (scene->other_clock != NULL)
        clock_destroy(&scene->other_clock);
    scene->other_clock = clock_create_manual(seconds * US_PER_S);
    scene->env.env.clock = scene->other_clock;
}

static enum status
post(struct scene *scene, const char *type, struct str body, json_t **items_out)
{
    const struct http_header headers[] = {{"Content-Type", str_from_c(type)}};
    struct test_hook_result result;

    test_hook_post(scene->hook, scene->record, "/hook?secret=" SECRET, headers, 1, body, &result);
    assert_null(strstr(result.detail, SECRET));
    if (items_out != NULL)
        *items_out = result.items;
    else
        json_decref(result.items);
    return result.verified != ST_OK ? result.verified : result.parsed;
}

/* --- Mailgun --- */

#define MAILGUN_TIME INT64_C(1700000000)
#define MAILGUN_PROOF                                                                              \
    "timestamp=1700000000&token=a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718&signature="       \
    "caa34958569d620c4393208a95d1abab6132a2677acd99f1fb49d80ad6bce6db"
#define FORM "application/x-www-form-urlencoded"
#define MAILGUN_HEADERS                                                                            \
    "message-headers=[[\"From\",\"Ada+<ada%40example.org>\"],[\"Message-Id\",\"<m1@example.org>"   \
    "\"],"                                                                                         \
    "[\"Subject\",\"Hours\"],[\"To\",\"support@shop.test\"]]"
#define MAILGUN_MAIL MAILGUN_PROOF "&" MAILGUN_HEADERS "&body-plain=When+do+you+open%3F%0D%0A"

static void
test_mailgun(void **state)
{
    static const char settings[] = "{" BASE ", \"inbound\": \"mailgun\"}";
    struct scene scene;
    json_t *items;

    (void)state;
    scene_open(&scene, settings,
               "{\"webhook_secret\": \"" SECRET "\", \"signing_key\": \"" MAILGUN_KEY "\"}");
    at_second(&scene, MAILGUN_TIME);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_MAIL), &items), ST_OK);
    const json_t *item = json_array_get(items, 0);

    assert_true(str_eq_c(json_get_str(item, "text"), "When do you open?"));
    assert_true(str_eq_c(json_get_str(item, "external_user_id"), "ada@example.org"));
    assert_true(
        str_eq_c(json_get_str(item, "external_message_id"), "support@shop.test:m1@example.org"));
    json_decref(items);

    /* The signature: another token, another time, a stale one, the key before. */
    assert_int_equal(post(&scene, FORM, STR("timestamp=1700000000&token=b&signature=caa349"), NULL),
                     ST_DENIED);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_HEADERS), NULL), ST_DENIED);
    assert_int_equal(post(&scene, "text/plain", STR(MAILGUN_MAIL), NULL), ST_DENIED);
    at_second(&scene, MAILGUN_TIME + 16 * 60);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_MAIL), NULL), ST_DENIED);
    at_second(&scene, MAILGUN_TIME + 14 * 60);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_MAIL), NULL), ST_OK);
    at_second(&scene, MAILGUN_TIME - 16 * 60);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_MAIL), NULL), ST_DENIED);
    at_second(&scene, MAILGUN_TIME);

    /* Proven, but no mail. */
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_PROOF), NULL), ST_INVALID);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_PROOF "&body-mime=x"), NULL), ST_INVALID);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_PROOF "&message-headers={}"), NULL),
                     ST_INVALID);
    assert_int_equal(
        post(&scene, FORM,
             STR(MAILGUN_PROOF "&body-mime=From:+a@b.test%0D%0ASubject:+x%0D%0A%0D%0Araw"), &items),
        ST_OK);
    assert_true(str_eq_c(json_get_str(json_array_get(items, 0), "text"), "raw"));
    json_decref(items);
    scene_close(&scene);

    /* Rotation: the key that was counts beside the new one. */
    scene_open(&scene, settings,
               "{\"webhook_secret\": \"new-secret-of-the-webhook\", \"previous_webhook_secret\": "
               "\"" SECRET "\", \"signing_key\": \"key-of-tomorrow-1234\", "
               "\"previous_signing_key\": \"" MAILGUN_KEY "\"}");
    at_second(&scene, MAILGUN_TIME);
    assert_int_equal(post(&scene, FORM, STR(MAILGUN_MAIL), NULL), ST_OK);
    scene_close(&scene);
}

#define MULTIPART "multipart/form-data; boundary=xYzZY"
#define MULTI_FIELD(name, value)                                                                   \
    "--xYzZY\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define MULTI_PROOF                                                                                \
    MULTI_FIELD("timestamp", "1700000000")                                                         \
    MULTI_FIELD("token", "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718")                       \
    MULTI_FIELD("signature", "caa34958569d620c4393208a95d1abab6132a2677acd99f1fb49d80ad6bce6db")

static void
test_mailgun_with_files_and_events(void **state)
{
    static const char mail[] = MULTI_PROOF MULTI_FIELD("message-headers",
                                                       "[[\"From\", \"ada@example.org\"]]")
        MULTI_FIELD("body-plain", "Grüße\r\nSee the file.")
            MULTI_FIELD("attachment-count",
                        "1") "--xYzZY\r\nContent-Disposition: form-data; name=\"attachment-1\"; "
                             "filename=\"bill.pdf\"\r\nContent-Type: "
                             "application/pdf\r\n\r\n%PDF\r\n--xYzZY--\r\n";
    static const char event[] =
        "{\"signature\":{\"timestamp\":\"1700000000\",\"token\":"
        "\"a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718\",\"signature\":"
        "\"caa34958569d620c4393208a95d1abab6132a2677acd99f1fb49d80ad6bce6db\"},\"event-data\":"
        "{\"event\":\"failed\",\"severity\":\"%s\",\"id\":\"e1\",\"timestamp\":1700000000.5,"
        "\"message\":{\"headers\":{\"message-id\":\"parley.x.0@shop.test\"}},"
        "\"delivery-status\":{\"code\":550,\"message\":\"5.1.1 nobody\"}}}";
    struct scene scene;
    json_t *items;

    (void)state;
    scene_open(&scene, "{" BASE ", \"inbound\": \"mailgun\"}",
               "{\"webhook_secret\": \"" SECRET "\", \"signing_key\": \"" MAILGUN_KEY "\"}");
    at_second(&scene, MAILGUN_TIME);
    assert_int_equal(post(&scene, MULTIPART, str_from_c(mail), &items), ST_OK);
    const json_t *item = json_array_get(items, 0);
    const json_t *file =
        json_array_get(json_get_array(json_get_object(item, "metadata"), "attachments"), 0);

    assert_true(str_eq_c(json_get_str(item, "text"), "Grüße\nSee the file."));
    assert_true(str_eq_c(json_get_str(file, "file_name"), "bill.pdf"));
    assert_int_equal(json_get_int(file, "size_bytes", 0), 4);
    json_decref(items);
    /* Cut anywhere it is refused, and never half a mail. */
    for (size_t cut = 1; cut + 4 < sizeof mail; cut += 7)
        assert_int_not_equal(post(&scene, MULTIPART, str_of(mail, cut), NULL), ST_OK);

    struct str permanent = arena_printf(scene.env.arena, event, "permanent");
    struct str temporary = arena_printf(scene.env.arena, event, "temporary");
    assert_int_equal(post(&scene, "application/json", permanent, &items), ST_OK);
    item = json_array_get(items, 0);
    assert_true(str_eq_c(json_get_str(item, "event_kind"), "delivery"));
    assert_int_equal(json_get_int(item, "delivery_state", 0), DELIVERY_FAILED);
    assert_true(str_eq_c(json_get_str(item, "delivery_reason"), "5.1.1 nobody"));
    assert_true(str_eq_c(json_get_str(item, "about_external_message_id"),
                         "support@shop.test:parley.x.0@shop.test"));
    json_decref(items);
    assert_int_equal(post(&scene, "application/json", temporary, &items), ST_OK);
    assert_true(str_eq_c(json_get_str(json_array_get(items, 0), "event_kind"), "delayed"));
    json_decref(items);
    scene_close(&scene);
}

/* --- SendGrid --- */

#define SENDGRID_TIME INT64_C(1600112502)
#define SENDGRID_SIGNATURE                                                                         \
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+"                      \
    "luQAbPIqHh89M15TluLtEZ"                                                                       \
    "tM="

static enum status
post_signed(struct scene *scene, const char *timestamp, const char *signature, const char *type,
            struct str body, json_t **items_out)
{
    const struct http_header headers[] = {
        {"Content-Type", str_from_c(type)},
        {"X-Twilio-Email-Event-Webhook-Timestamp", str_from_c(timestamp)},
        {"X-Twilio-Email-Event-Webhook-Signature", str_from_c(signature)}};
    struct test_hook_result result;

    test_hook_post(scene->hook, scene->record, "/hook", headers, 3, body, &result);
    if (items_out != NULL)
        *items_out = result.items;
    else
        json_decref(result.items);
    return result.verified != ST_OK ? result.verified : result.parsed;
}

static void
test_sendgrid_signature(void **state)
{
    static const char body[] =
        "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced "
        "Address\",\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_"
        "message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9."
        "0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":"
        "1600112492}]\r\n";
    struct scene scene;
    json_t *items;

    (void)state;
    scene_open(&scene, "{" BASE ", \"inbound\": \"sendgrid\"}",
               "{\"webhook_secret\": \"" SECRET "\", \"verification_key\": \"" SENDGRID_KEY "\"}");
    at_second(&scene, SENDGRID_TIME);
    assert_int_equal(post_signed(&scene, "1600112502", SENDGRID_SIGNATURE, "application/json",
                                 str_from_c(body), &items),
                     ST_OK);
    const json_t *item = json_array_get(items, 0);

    assert_int_equal(json_get_int(item, "delivery_state", 0), DELIVERY_FAILED);
    assert_true(str_eq_c(json_get_str(item, "delivery_reason"), "Bounced Address"));
    json_decref(items);

    assert_int_equal(post_signed(&scene, "1600112503", SENDGRID_SIGNATURE, "application/json",
                                 str_from_c(body), NULL),
                     ST_DENIED);
    assert_int_equal(post_signed(&scene, "1600112502", SENDGRID_SIGNATURE, "application/json",
                                 str_sub(str_from_c(body), 0, sizeof body - 3), NULL),
                     ST_DENIED);
    assert_int_equal(
        post_signed(&scene, "1600112502", "", "application/json", str_from_c(body), NULL),
        ST_DENIED);
    assert_int_equal(
        post_signed(&scene, "1600112502", "AAAA", "application/json", str_from_c(body), NULL),
        ST_DENIED);
    /* Where signatures are expected, the secret alone is not enough. */
    assert_int_equal(post(&scene, "application/json", str_from_c(body), NULL), ST_DENIED);
    at_second(&scene, SENDGRID_TIME + 16 * 60);
    assert_int_equal(post_signed(&scene, "1600112502", SENDGRID_SIGNATURE, "application/json",
                                 str_from_c(body), NULL),
                     ST_DENIED);
    scene_close(&scene);
}

static void
test_sendgrid_forms(void **state)
{
    static const char parsed[] =
        MULTI_FIELD("headers", "From: Ada <ada@example.org>\nTo: support@shop.test\nSubject: "
                               "=?utf-8?Q?=C3=84pfel?=\nMessage-ID: <m9@example.org>\nIn-Reply-To: "
                               "<parley.x.0@shop.test>") MULTI_FIELD("text", "Gr\xfc\xdf"
                                                                             "e")
            MULTI_FIELD("charsets", "{\"text\":\"iso-8859-1\"}") "--xYzZY--\r\n";
    static const char raw[] = MULTI_FIELD(
        "email",
        "From: ada@example.org\r\nAuto-Submitted: auto-replied\r\n\r\nAway.") "--xYzZY--\r\n";
    struct scene scene;
    json_t *items;

    (void)state;
    scene_open(&scene, "{" BASE ", \"inbound\": \"sendgrid\"}",
               "{\"webhook_secret\": \"" SECRET "\"}");
    assert_int_equal(post(&scene, MULTIPART, str_from_c(parsed), &items), ST_OK);
    const json_t *item = json_array_get(items, 0);
    const json_t *about = json_get_object(json_get_object(item, "metadata"), "email");

    assert_true(str_eq_c(json_get_str(item, "text"), "Grüße"));
    assert_true(str_eq_c(json_get_str(about, "subject"), "Äpfel"));
    assert_true(str_eq_c(json_get_str(about, "in_reply_to"), "parley.x.0@shop.test"));
    json_decref(items);
    assert_int_equal(post(&scene, MULTIPART, str_from_c(raw), &items), ST_OK);
    assert_true(str_eq_c(json_get_str(json_array_get(items, 0), "event_kind"), "auto_reply"));
    json_decref(items);
    assert_int_equal(post(&scene, MULTIPART, STR(MULTI_FIELD("x", "y") "--xYzZY--\r\n"), NULL),
                     ST_INVALID);
    assert_int_equal(post(&scene, "application/json", STR("[]"), &items), ST_OK);
    assert_int_equal(json_array_size(items), 0);
    json_decref(items);
    assert_int_equal(post(&scene, "application/json", STR("[{\"event\":\"open\"}]"), NULL),
                     ST_INVALID);
    scene_close(&scene);
}

/* --- Postmark --- */

static void
test_postmark_records(void **state)
{
    static const struct {
        const char *body, *event_kind;
        int delivery_state;
    } cases[] = {
        {"{\"RecordType\":\"Delivery\",\"MessageID\":\"g\",\"DeliveredAt\":\"2026-11-20T20:08:"
         "17Z\","
         "\"Metadata\":{\"parley\":\"parley.x.0@shop.test\"}}",
         "delivery", DELIVERY_DELIVERED},
        {"{\"RecordType\":\"Open\",\"MessageID\":\"g\",\"ReceivedAt\":\"2026-11-20T20:08:17Z\"}",
         "delivery", DELIVERY_READ},
        {"{\"RecordType\":\"SpamComplaint\",\"ID\":7,\"MessageID\":\"g\"}", "complaint", 0},
        {"{\"RecordType\":\"Click\",\"MessageID\":\"g\"}", "unknown", 0},
    };
    static const char mail[] =
        "{\"From\":\"ada@example.org\",\"Headers\":[],\"MessageID\":\"guid\",\"HtmlBody\":"
        "\"<p>Hi</p>\",\"Attachments\":[{\"Name\":\"a.txt\",\"Content\":\"aGk=\",\"ContentType\":"
        "\"text/plain\",\"ContentID\":\"\"}]}";
    struct scene scene;
    json_t *items;

    (void)state;
    scene_open(&scene, "{" BASE ", \"inbound\": \"postmark\"}",
               "{\"webhook_secret\": \"" SECRET "\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(post(&scene, "application/json", str_from_c(cases[i].body), &items),
                         ST_OK);
        const json_t *item = json_array_get(items, 0);

        assert_true(str_eq_c(json_get_str(item, "event_kind"), cases[i].event_kind));
        assert_int_equal(json_get_int(item, "delivery_state", -1), cases[i].delivery_state);
        if (i == 0)
            assert_true(str_eq_c(json_get_str(item, "about_external_message_id"),
                                 "support@shop.test:parley.x.0@shop.test"));
        json_decref(items);
    }
    assert_int_equal(post(&scene, "application/json", str_from_c(mail), &items), ST_OK);
    const json_t *item = json_array_get(items, 0);

    assert_true(str_eq_c(json_get_str(item, "text"), "Hi"));
    assert_true(str_eq_c(json_get_str(item, "external_message_id"),
                         "support@shop.test:guid@inbound.postmarkapp.com"));
    assert_int_equal(
        json_array_size(json_get_array(json_get_object(item, "metadata"), "attachments")), 1);
    json_decref(items);
    scene_close(&scene);
}

static void
test_mailboxes_take_no_webhooks(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, "{" BASE ", \"imap_host\": \"127.0.0.1\"}",
               "{\"webhook_secret\": \"" SECRET "\", \"username\": \"u\", \"password\": \"p\"}");
    assert_int_equal(post(&scene, "application/json",
                          STR("{\"From\":\"ada@example.org\",\"Headers\":[]}"), NULL),
                     ST_DENIED);
    scene_close(&scene);
}

/* --- what is sent --- */

static void
assert_line(const char *mail, const char *line)
{
    struct arena *arena = arena_create(65536);
    const char *whole = arena_printf(arena, "\r\n%s\r\n", line).ptr;

    if (strstr(mail, whole) == NULL && strncmp(mail, whole + 2, strlen(whole) - 2) != 0)
        fail_msg("no line \"%s\" in:\n%s", line, mail);
    arena_destroy(&arena);
}

static struct channel *
open_sender(struct scene *scene, struct test_smtp *smtp, const char *name)
{
    struct channel *channel;
    struct err err;

    scene->other_clock = NULL;
    test_env_init(&scene->env);
    scene->hook = test_hook_start(&scene->env);
    scene->record = test_record(
        "email",
        arena_printf(scene->env.arena,
                     "{" BASE ", \"inbound\": \"postmark\", \"smtp_port\": %u, \"name\": \"%s\"}",
                     test_smtp_port(smtp), name)
            .ptr,
        "{\"webhook_secret\": \"" SECRET "\"}");
    scene->record->account = STR("support@shop.test");
    if (channel_acquire(scene->env.registry, scene->record, &channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    return channel;
}

static void
test_an_answer_as_a_mail(void **state)
{
    struct test_smtp *smtp = test_smtp_start();
    struct scene scene;
    struct channel *channel = open_sender(&scene, smtp, "Käthe's Räder");
    json_auto_t *answers = json_loads(
        "{\"email\": {\"message_id\": \"m2@example.org\", \"subject\": \"Re: AW: Öffnungszeiten\", "
        "\"references\": \"m0@example.org m1@example.org\"}}",
        0, NULL);
    json_auto_t *metadata =
        json_loads("{\"buttons\": [{\"id\": \"a\", \"title\": \"Yes\"}]}", 0, NULL);
    struct outbound outbound = {
        .external_chat_id = STR("ada@example.org"),
        .answers_external_id = STR("support@shop.test:m2@example.org"),
        .answers_metadata = answers,
        .metadata = metadata,
        .text = STR("**Nine** to five.\n.dot\n\nSee [our page](https://shop.test/h) & <more> – ok"),
        .part_count = 1,
    };
    struct delivery delivery, again;
    struct err err;
    struct email sent;

    (void)state;
    assert_int_equal(
        ID_PARSE(STR("0198c0de-0000-7000-8000-000000000001"), &outbound.message_id, &err), ST_OK);
    if (channel_send(channel, &outbound, scene.env.arena, &delivery, &err) != ST_OK)
        fail_msg("%s", err.detail);
    assert_true(
        str_eq_c(delivery.external_message_id,
                 "support@shop.test:parley.0198c0de-0000-7000-8000-000000000001.0@shop.test"));
    const char *mail = strdup(test_smtp_mail(smtp));

    assert_string_equal(test_smtp_sender(smtp), "Support@shop.test");
    assert_string_equal(test_smtp_recipient(smtp), "ada@example.org");
    assert_line(mail, "To: ada@example.org");
    assert_line(mail, "In-Reply-To: <m2@example.org>");
    assert_line(mail, "Auto-Submitted: auto-replied");
    assert_line(mail, "X-Auto-Response-Suppress: All");
    assert_line(mail, "Date: Fri, 15 Jan 2027 08:00:00 +0000");
    assert_line(mail, "MIME-Version: 1.0");
    assert_line(mail, "Message-Id: <parley.0198c0de-0000-7000-8000-000000000001.0@shop.test>");
    for (const char *line = mail; (line = strchr(line, '\n')) != NULL; line++)
        assert_true(line > mail && line[-1] == '\r');

    /* As a reader would read it. */
    assert_int_equal(email_mime_read(str_from_c(mail), scene.env.arena, &sent, &err), ST_OK);
    assert_true(str_eq_c(sent.subject, "Re: Öffnungszeiten"));
    assert_true(str_eq_c(sent.from_name, "Käthe's Räder"));
    assert_true(str_eq_c(sent.references, "m0@example.org m1@example.org m2@example.org"));
    assert_true(str_eq_c(sent.text, "Nine to five.\n.dot\n\nSee our page (https://shop.test/h) & "
                                    "<more> – ok\n\n1. Yes"));
    assert_non_null(strstr(mail, "<b>Nine</b>"));
    assert_non_null(strstr(mail, "&lt;more&gt;"));
    /* Nothing that we send is answered when it comes back. */
    assert_string_equal(email_header_automatic(&sent, STR("support@shop.test")), "own");

    /* Sent again it is the same mail, byte for byte. */
    assert_int_equal(channel_send(channel, &outbound, scene.env.arena, &again, &err), ST_OK);
    assert_string_equal(test_smtp_mail(smtp), mail);
    assert_true(str_eq(again.external_message_id, delivery.external_message_id));
    free((char *)(uintptr_t)mail);
    channel_release(&channel);
    scene_close(&scene);
    test_smtp_stop(&smtp);
}

static void
test_files_are_enclosed(void **state)
{
    static const struct {
        const char *name, *type, *read_as;
        struct str bytes;
        bool is_linked;
    } cases[] = {
        {"wheel.png", "image/png", "image/png", STR("\x89PNG\r\n\x1a\n\0\n.\r\n"), false},
        {"Rechnung f\u00fcr \u201eAda\u201c; 1.pdf", "application/pdf", "application/pdf",
         STR("%PDF-1.4 \r\n.\r\n--=-parley-files"), false},
        {"film.mp4", "video/mp4", "video/mp4", STR(""), true},
        {"old.eml", "message/rfc822", "application/octet-stream",
         STR("From: eve@example.org\r\nSubject: Hours\r\n\r\nx"), false},
        {"", "multipart/mixed", "application/octet-stream", STR("--\n"), false},
        {"x", "", "application/octet-stream", STR("y"), false},
    };
    struct test_smtp *smtp = test_smtp_start();
    struct scene scene;
    struct channel *channel = open_sender(&scene, smtp, "Shop");
    struct str files[sizeof cases / sizeof cases[0]];
    json_auto_t *metadata = json_object();
    json_t *attachments = json_array();
    struct outbound outbound = {.message_id = ID_NEW(message_id),
                                .external_chat_id = STR("ada@example.org"),
                                .text = STR("Here you are"),
                                .metadata = metadata,
                                .part_count = 1};
    struct delivery delivery;
    struct email sent;
    struct err err;
    size_t at = 0;

    (void)state;
    json_set(metadata, "attachments", attachments);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *one = json_object();

        json_set_str(one, "file_name", str_from_c(cases[i].name));
        json_set_str(one, "mime_type", str_from_c(cases[i].type));
        if (cases[i].is_linked)
            json_set_str(one, "url", STR("https://shop.test/v1/blobs/x"));
        json_array_append_new(attachments, one);
        files[i] = cases[i].bytes;
    }
    /* Of none, the mail is what it was. */
    assert_int_equal(channel_send(channel, &outbound, scene.env.arena, &delivery, &err), ST_OK);
    assert_null(strstr(test_smtp_mail(smtp), "multipart/mixed"));
    outbound.files = files;
    assert_int_equal(channel_send(channel, &outbound, scene.env.arena, &delivery, &err), ST_OK);
    assert_int_equal(
        email_mime_read(str_from_c(test_smtp_mail(smtp)), scene.env.arena, &sent, &err), ST_OK);
    assert_true(str_eq_c(sent.text, "Here you are\nfilm.mp4: https://shop.test/v1/blobs/x"));
    assert_int_equal(sent.file_count, sizeof cases / sizeof cases[0] - 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].is_linked)
            continue;
        const struct email_file *file = &sent.files[at++];

        assert_true(str_eq_c(file->name, cases[i].name));
        assert_true(str_eq_c(file->mime_type, cases[i].read_as));
        assert_true(str_eq(file->bytes, cases[i].bytes));
        assert_false(file->is_inline);
    }
    channel_release(&channel);
    scene_close(&scene);
    test_smtp_stop(&smtp);
}

static void
test_references_are_bounded(void **state)
{
    struct test_smtp *smtp = test_smtp_start();
    struct scene scene;
    struct channel *channel = open_sender(&scene, smtp, "");
    struct buf references;
    json_auto_t *answers = json_object();
    json_t *about = json_object();
    struct email sent;
    struct delivery delivery;
    struct err err;

    (void)state;
    buf_init(&references, 10000);
    for (int i = 0; i < 100; i++)
        buf_printf(&references, "%sm%d@example.org", i == 0 ? "" : " ", i);
    json_set_str(about, "message_id", STR("last@example.org"));
    json_set_str(about, "references", buf_str(&references));
    json_set(answers, "email", about);
    const struct outbound outbound = {.message_id = ID_NEW(message_id),
                                      .external_chat_id = STR("ada@example.org"),
                                      .answers_external_id = STR("x"),
                                      .answers_metadata = answers,
                                      .text = STR("x")};
    assert_int_equal(channel_send(channel, &outbound, scene.env.arena, &delivery, &err), ST_OK);
    assert_int_equal(
        email_mime_read(str_from_c(test_smtp_mail(smtp)), scene.env.arena, &sent, &err), ST_OK);
    assert_true(str_starts_with(sent.references, STR("m0@example.org m81@example.org ")));
    assert_true(str_ends_with(sent.references, STR("m99@example.org last@example.org")));
    buf_deinit(&references);
    channel_release(&channel);
    scene_close(&scene);
    test_smtp_stop(&smtp);
}

static void
test_what_a_mail_server_says(void **state)
{
    static const struct {
        struct test_smtp_answer answer;
        enum status want;
    } cases[] = {
        {{"RCPT", "550 5.1.1 nobody"}, ST_NOT_FOUND}, {{"RCPT", "451 4.7.1 later"}, ST_UNAVAILABLE},
        {{"end", "554 5.7.1 spam"}, ST_INVALID},      {{"end", NULL}, ST_UNCERTAIN},
        {{"greeting", NULL}, ST_UNAVAILABLE},
    };
    struct test_smtp *smtp = test_smtp_start();
    struct scene scene;
    struct channel *channel = open_sender(&scene, smtp, "Shop");
    struct outbound outbound = {.message_id = ID_NEW(message_id),
                                .external_chat_id = STR("ada@example.org"),
                                .text = STR("x")};
    struct delivery delivery;
    struct str account;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_smtp_next(smtp, cases[i].answer);
        enum status st = channel_send(channel, &outbound, scene.env.arena, &delivery, &err);

        if (st != cases[i].want)
            fail_msg("%s: %s (%s)", cases[i].answer.step, status_name(st), err.detail);
        assert_int_equal(delivery.external_message_id.len, 0);
    }
    outbound.external_chat_id = STR("ada@example.org>\r\nRCPT TO:<eve@example.org");
    assert_int_equal(channel_send(channel, &outbound, scene.env.arena, &delivery, &err),
                     ST_INVALID);
    assert_int_equal(channel_probe(channel, scene.env.arena, &account, &err), ST_OK);
    assert_true(str_eq_c(account, "Support@shop.test"));
    channel_release(&channel);
    scene_close(&scene);
    test_smtp_stop(&smtp);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_mailgun),
        cmocka_unit_test(test_mailgun_with_files_and_events),
        cmocka_unit_test(test_sendgrid_signature),
        cmocka_unit_test(test_sendgrid_forms),
        cmocka_unit_test(test_postmark_records),
        cmocka_unit_test(test_mailboxes_take_no_webhooks),
        cmocka_unit_test(test_an_answer_as_a_mail),
        cmocka_unit_test(test_files_are_enclosed),
        cmocka_unit_test(test_references_are_bounded),
        cmocka_unit_test(test_what_a_mail_server_says),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("email", tests, NULL, NULL);
}
