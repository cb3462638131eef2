/*
 * whatsapp_test.c - the conformance suite, what the WhatsApp driver sends, and how it takes answers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel/channel_conformance.h"
#include "channel/drivers/whatsapp.h"
#include "channel/meta_test_support.h"
#include "text/json.h"
#include "text/text.h"

#define NUMBER "200100300400500"
#define TOKEN "EAAtest0123456789abcdef"
#define SECRET "0123456789abcdef0123456789abcdef"
#define BARE                                                                                       \
    "\"phone_number_id\": \"" NUMBER "\", \"access_token\": \"" TOKEN "\", \"app_secret\": "       \
    "\"" SECRET "\""
#define CREDENTIALS "{" BARE ", \"verify_token\": \"verify-token-1\"}"
#define USER "DE.10020030040050060070"
#define SENT                                                                                       \
    "{\"messaging_product\":\"whatsapp\",\"contacts\":[{\"input\":\"x\",\"user_id\":\"" USER       \
    "\"}],\"messages\":[{\"id\":\"wamid.S1\"}]}"
#define PATH "/v25.0/" NUMBER "/messages"

/* --- conformance --- */

#define WA_VALUE(content)                                                                          \
    "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\",\"changes\":[{\"field\":"  \
    "\"messages\",\"value\":{\"messaging_product\":\"whatsapp\",\"metadata\":{"                    \
    "\"display_phone_number\":\"491700000001\",\"phone_number_id\":\"" NUMBER "\"}," content       \
    "}}]}]}"
#define WA_TEXT(id)                                                                                \
    WA_VALUE("\"messages\":[{\"from_user_id\":\"" USER "\",\"id\":\"" id                           \
             "\",\"timestamp\":\"1750000000\",\"type\":\"text\",\"text\":{\"body\":\"Hi\"}}]")
#define WA_REFUSED(code, text) "{\"error\":{\"message\":\"" text "\",\"code\":" #code "}}"

static const struct conformance_outcome outcomes[] = {
    {"accepted", {200, SENT, NULL}, ST_OK},
    {"not on WhatsApp", {400, WA_REFUSED(131026, "Undeliverable"), NULL}, ST_NOT_FOUND},
    {"window closed", {400, WA_REFUSED(131047, "Re-engagement"), NULL}, ST_CONFLICT},
    {"token expired", {401, WA_REFUSED(190, "Session has expired"), NULL}, ST_DENIED},
    {"no such number", {400, WA_REFUSED(133010, "Not registered"), NULL}, ST_DENIED},
    {"too fast", {429, WA_REFUSED(130429, "Rate limit hit"), NULL}, ST_BUSY},
    {"too fast to this person", {400, WA_REFUSED(131056, "Pair rate limit hit"), NULL}, ST_BUSY},
    {"bad parameter", {400, WA_REFUSED(100, "Invalid parameter"), NULL}, ST_INVALID},
    {"no such template", {404, WA_REFUSED(132001, "No template"), NULL}, ST_INVALID},
    {"server error", {500, WA_REFUSED(131000, "Something went wrong"), NULL}, ST_UNAVAILABLE},
    {"bad gateway", {502, "<html>502</html>", NULL}, ST_UNAVAILABLE},
    {"accepted, unreadable", {200, "<html>ok</html>", NULL}, ST_UNCERTAIN},
    {"accepted, without id", {200, "{\"messages\":[]}", NULL}, ST_UNCERTAIN},
    {"the token in the words",
     {401, WA_REFUSED(190, "Malformed access token " TOKEN), NULL},
     ST_DENIED},
    {NULL, {0, NULL, NULL}, ST_OK}};

static void
test_conformance(void **state)
{
    static const char *const bad_settings[] = {"{\"group_policy\": \"sometimes\"}",
                                               "{\"group_policy\": null}",
                                               "{\"mark_read\": \"yes\"}",
                                               "{\"list_label\": \"\"}",
                                               "{\"list_label\": \"more than twenty chars\"}",
                                               "{\"list_label\": 1}",
                                               "{\"waba_id\": 12}",
                                               "{\"waba_id\": \"x\"}",
                                               "{\"graph_version\": \"25\"}",
                                               "{\"api_base\": \"ftp://x\"}",
                                               NULL};
    static const char *const bad_credentials[] = {
        "{}",
        "{\"access_token\": \"" TOKEN "\", \"app_secret\": \"" SECRET "\"}",
        "{\"phone_number_id\": \"+49170\", \"access_token\": \"" TOKEN
        "\", \"app_secret\": \"" SECRET "\"}",
        "{\"phone_number_id\": 200100, \"access_token\": \"" TOKEN "\", \"app_secret\": \"" SECRET
        "\"}",
        "{\"phone_number_id\": \"" NUMBER "\", \"app_secret\": \"" SECRET "\"}",
        "{\"phone_number_id\": \"" NUMBER "\", \"access_token\": \"" TOKEN "\"}",
        "{" BARE ", \"verify_token\": \"short\"}",
        NULL};
    static const struct channel_conformance suite = {
        .driver = &channel_driver_whatsapp,
        .settings = "{\"api_base\": \"http://127.0.0.1:%u/\"}",
        .credentials = CREDENTIALS,
        .other_credentials = "{\"phone_number_id\": \"900\", \"access_token\": \"" TOKEN
                             "\", \"app_secret\": \"" SECRET "\"}",
        .bare_credentials = "{" BARE "}",
        .unsafe_credentials =
            "{\"phone_number_id\": \"" NUMBER "\", \"access_token\": \"" TOKEN "\"}",
        .account = NUMBER,
        .secret = "EAAtest0123",
        .bad_settings = bad_settings,
        .bad_credentials = bad_credentials,
        .prove = meta_test_prove,
        .message = WA_TEXT("wamid.A"),
        .other_message = WA_TEXT("wamid.B"),
        .event = WA_VALUE("\"statuses\":[{\"id\":\"wamid.A\",\"status\":\"read\",\"timestamp\":"
                          "\"1750000000\"}]"),
        .unknown = "{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\","
                   "\"changes\":[{\"field\":\"something_new\",\"value\":{\"a\":1}}]}]}",
        .chat = USER,
        .max_units = WHATSAPP_TEXT_MAX_UNITS,
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
    f->record = test_record("whatsapp_business", settings, CREDENTIALS);
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
send_with(struct fixture *f, const char *chat, const char *text, const char *metadata,
          struct delivery *delivery_out)
{
    json_auto_t *given = metadata == NULL ? NULL : json_loads(metadata, 0, NULL);
    struct outbound outbound = {.external_chat_id = str_from_c(chat),
                                .text = str_from_c(text),
                                .metadata = given,
                                .part_count = 1};

    assert_true(metadata == NULL || given != NULL);
    assert_int_equal(
        ID_PARSE(STR("01900000-0000-7000-8000-000000000001"), &outbound.message_id, &f->err),
        ST_OK);
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
    if (json_is_object(want_json))
        test_assert_contains(want_path, want_json, got);
    else
        assert_true(json_equal(want_json, got));
}

/* --- recipients --- */

static void
test_recipients(void **state)
{
    static const struct {
        const char *chat, *want; /* NULL: refused */
    } cases[] = {
        {USER, "{\"recipient\":\"" USER "\",\"to\":null,\"recipient_type\":\"individual\"}"},
        {"US.ENT.1181", "{\"recipient\":\"US.ENT.1181\",\"to\":null}"},
        {"4915112345678", "{\"to\":\"+4915112345678\",\"recipient\":null}"},
        {"group:Y2FwaQ==", "{\"to\":\"Y2FwaQ==\",\"recipient\":null,\"recipient_type\":\"group\"}"},
        {"+4915112345678", NULL},
        {"1234", NULL},
        {"us.134", NULL},
        {"USA.134", NULL},
        {"US.1/4", NULL},
        {"US.", NULL},
        {"US.1.", NULL},
        {"group:", NULL},
        {"group:a b", NULL},
        {"somebody", NULL},
    };
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t before = test_provider_count(f.provider);
        enum status st = send_with(&f, cases[i].chat, "x", NULL, &delivery);

        if (st != (cases[i].want == NULL ? ST_INVALID : ST_OK))
            fail_msg("%s: %s", cases[i].chat, status_name(st));
        assert_int_equal(test_provider_count(f.provider), before + (cases[i].want != NULL));
        if (cases[i].want != NULL)
            assert_request(&f, before, PATH, cases[i].want);
    }
    fixture_deinit(&f);
}

/* --- what is sent --- */

#define AT_IMAGE "{\"kind\":\"image\",\"url\":\"https://x.example/a.png\"}"

static const struct {
    const char *name, *chat, *text, *metadata;
    const char *want[3]; /* requests, NULL ends */
} request_cases[] = {
    {"text",
     USER,
     "**Yes** [1] & *no* `x` [Site](https://e.com)",
     NULL,
     {"{\"messaging_product\":\"whatsapp\",\"type\":\"text\",\"context\":null,"
      "\"biz_opaque_callback_data\":\"01900000-0000-7000-8000-000000000001:0\","
      "\"text\":{\"preview_url\":false,"
      "\"body\":\"*Yes* [1] & _no_ `x` Site (https://e.com)\"}}"}},
    {"three buttons",
     USER,
     "Which?",
     "{\"buttons\":[{\"id\":\"a\",\"title\":\"A\"},{\"title\":\"B\"},{\"id\":\"c\",\"title\":"
     "\"C\"}]}",
     {"{\"type\":\"interactive\",\"interactive\":{\"type\":\"button\",\"body\":{\"text\":"
      "\"Which?\"},\"action\":{\"buttons\":[{\"type\":\"reply\",\"reply\":{\"id\":\"a\","
      "\"title\":\"A\"}},{\"type\":\"reply\",\"reply\":{\"id\":\"B\",\"title\":\"B\"}},"
      "{\"type\":\"reply\",\"reply\":{\"id\":\"c\",\"title\":\"C\"}}]}}}"}},
    {"four become a list",
     USER,
     "Which?",
     "{\"buttons\":[{\"title\":\"A\"},{\"title\":\"B\"},{\"title\":\"C\"},{\"title\":\"D\"}]}",
     {"{\"type\":\"interactive\",\"interactive\":{\"type\":\"list\",\"body\":{\"text\":"
      "\"Which?\"},\"action\":{\"button\":\"Options\",\"sections\":[{\"rows\":[{\"id\":\"A\","
      "\"title\":\"A\"},{\"id\":\"B\",\"title\":\"B\"},{\"id\":\"C\",\"title\":\"C\"},{\"id\":"
      "\"D\",\"title\":\"D\"}]}]}}}"}},
    {"a title for a list only",
     USER,
     "Which?",
     "{\"buttons\":[{\"title\":\"Twenty-one characters\"}]}",
     {"{\"interactive\":{\"type\":\"list\",\"body\":{\"text\":\"Which?\"},\"action\":{"
      "\"button\":\"Options\",\"sections\":[{\"rows\":[{\"id\":\"Twenty-one characters\","
      "\"title\":\"Twenty-one characters\"}]}]}}}"}},
    {"titles too long become words",
     USER,
     "Which?",
     "{\"buttons\":[{\"title\":\"A title of some thirty characters\"},{\"title\":\"B\"}]}",
     {"{\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":"
      "\"Which?\\n\\n1. A title of some thirty characters\\n2. B\"}}"}},
    {"equal titles become words",
     USER,
     "Which?",
     "{\"buttons\":[{\"id\":\"1\",\"title\":\"B\"},{\"id\":\"2\",\"title\":\"B\"}]}",
     {"{\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":"
      "\"Which?\\n\\n1. B\\n2. B\"}}"}},
    {"an address",
     USER,
     "Look",
     "{\"buttons\":[{\"title\":\"Site\",\"url\":\"https://e.com\"}]}",
     {"{\"interactive\":{\"type\":\"cta_url\",\"body\":{\"text\":\"Look\"},\"action\":{\"name\":"
      "\"cta_url\",\"parameters\":{\"display_text\":\"Site\",\"url\":\"https://e.com\"}}}}"}},
    {"groups have no buttons",
     "group:G1",
     "Which?",
     "{\"buttons\":[{\"title\":\"A\"}]}",
     {"{\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":\"Which?\\n\\n1. A\"}}"}},
    {"a picture takes the text",
     USER,
     "**Look**",
     "{\"attachments\":[" AT_IMAGE "]}",
     {"{\"type\":\"image\",\"image\":{\"link\":\"https://x.example/a.png\",\"caption\":"
      "\"*Look*\"}}"}},
    {"a document has its name",
     USER,
     "",
     "{\"attachments\":[{\"kind\":\"document\",\"file_id\":"
     "\"77\",\"file_name\":\"a.pdf\"}]}",
     {"{\"type\":\"document\",\"document\":{\"id\":\"77\",\"filename\":\"a.pdf\"}}"}},
    {"sound takes none",
     USER,
     "Hear",
     "{\"attachments\":[{\"kind\":\"voice\",\"url\":"
     "\"https://x.example/a.ogg\"}]}",
     {"{\"type\":\"audio\",\"audio\":{\"link\":\"https://x.example/a.ogg\"}}",
      "{\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":\"Hear\"}}"}},
    {"two pictures, then the text",
     USER,
     "Look",
     "{\"attachments\":[" AT_IMAGE "," AT_IMAGE "]}",
     {"{\"type\":\"image\",\"image\":{\"link\":\"https://x.example/a.png\"}}",
      "{\"type\":\"image\",\"image\":{\"link\":\"https://x.example/a.png\"}}",
      "{\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":\"Look\"}}"}},
    {"template by position",
     USER,
     "Your order 7 is ready",
     "{\"template\":{\"name\":\"order_ok\",\"language\":\"en_US\",\"parameters\":[\"7\"]}}",
     {"{\"type\":\"template\",\"text\":null,\"template\":{\"name\":\"order_ok\",\"language\":{"
      "\"code\":\"en_US\"},\"components\":[{\"type\":\"body\",\"parameters\":[{\"type\":"
      "\"text\",\"text\":\"7\"}]}]}}"}},
    {"template by name",
     USER,
     "x",
     "{\"template\":{\"name\":\"n\",\"language\":\"de\",\"parameters\":{\"first\":\"Ada\"}}}",
     {"{\"template\":{\"name\":\"n\",\"language\":{\"code\":\"de\"},\"components\":[{\"type\":"
      "\"body\",\"parameters\":[{\"type\":\"text\",\"parameter_name\":\"first\",\"text\":"
      "\"Ada\"}]}]}}"}},
    {"template without parameters",
     USER,
     "x",
     "{\"template\":{\"name\":\"n\",\"language\":\"de\"}}",
     {"{\"template\":{\"name\":\"n\",\"language\":{\"code\":\"de\"}}}"}},
    {"template with components",
     USER,
     "x",
     "{\"template\":{\"name\":\"n\",\"language\":\"de\",\"components\":[{\"type\":"
     "\"header\"}]}}",
     {"{\"template\":{\"name\":\"n\",\"language\":{\"code\":\"de\"},\"components\":[{\"type\":"
      "\"header\"}]}}"}},
};

static void
test_requests(void **state)
{
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof request_cases / sizeof request_cases[0]; i++) {
        size_t count = 0;

        test_provider_forget(f.provider);
        enum status st = send_with(&f, request_cases[i].chat, request_cases[i].text,
                                   request_cases[i].metadata, &delivery);

        if (st != ST_OK)
            fail_msg("%s: %s (%s)", request_cases[i].name, status_name(st), f.err.detail);
        assert_true(str_eq_c(delivery.external_message_id, NUMBER ":wamid.S1"));
        for (; count < 3 && request_cases[i].want[count] != NULL; count++)
            assert_request(&f, count, PATH, request_cases[i].want[count]);
        if (test_provider_count(f.provider) != count)
            fail_msg("%s: %zu requests", request_cases[i].name, test_provider_count(f.provider));
    }
    fixture_deinit(&f);
}

static void
test_refusals_of_ours(void **state)
{
    static const struct {
        const char *name, *text, *metadata;
        enum status want;
    } cases[] = {
        {"attachment without address", "x", "{\"attachments\":[{\"kind\":\"image\"}]}", ST_INVALID},
        {"attachment of another scheme", "x",
         "{\"attachments\":[{\"kind\":\"image\",\"url\":\"file:///etc/passwd\"}]}", ST_INVALID},
        {"template without language", "x", "{\"template\":{\"name\":\"n\"}}", ST_INVALID},
        {"template without name", "x", "{\"template\":{\"language\":\"de\"}}", ST_INVALID},
        {"parameter that is no text", "x",
         "{\"template\":{\"name\":\"n\",\"language\":\"de\",\"parameters\":[7]}}", ST_INVALID},
        {"empty parameter", "x",
         "{\"template\":{\"name\":\"n\",\"language\":\"de\",\"parameters\":[\"\"]}}", ST_INVALID},
    };
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (send_with(&f, USER, cases[i].text, cases[i].metadata, &delivery) != cases[i].want)
            fail_msg("%s: %s", cases[i].name, f.err.detail);
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

/* The limits are Meta's: one unit more is another message, or words instead of buttons. */
static void
test_limits(void **state)
{
    static const char buttons[] = "{\"buttons\":[{\"title\":\"A\"}]}";
    struct fixture f;
    struct delivery delivery;
    struct str *parts;

    (void)state;
    fixture_init(&f, "");
    struct arena *arena = f.env.arena;
    assert_int_equal(channel_split(f.channel, repeat(arena, "x", 4096), arena, &parts), 1);
    assert_int_equal(channel_split(f.channel, repeat(arena, "x", 4097), arena, &parts), 2);
    assert_int_equal(channel_split(f.channel, repeat(arena, "😀", 2048), arena, &parts), 1);
    assert_int_equal(channel_split(f.channel, repeat(arena, "😀", 2049), arena, &parts), 2);

    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 1024).ptr, buttons, &delivery), ST_OK);
    assert_request(&f, 0, PATH, "{\"type\":\"interactive\"}");
    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 1025).ptr, buttons, &delivery), ST_OK);
    assert_request(&f, 1, PATH, "{\"type\":\"text\"}");
    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 1024).ptr,
                               "{\"attachments\":[" AT_IMAGE "]}", &delivery),
                     ST_OK);
    assert_int_equal(test_provider_count(f.provider), 3);
    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 1025).ptr,
                               "{\"attachments\":[" AT_IMAGE "]}", &delivery),
                     ST_OK);
    assert_int_equal(test_provider_count(f.provider), 5);
    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 4097).ptr, NULL, &delivery),
                     ST_TOO_LARGE);
    assert_int_equal(send_with(&f, USER, repeat(arena, "x", 4091).ptr, buttons, &delivery),
                     ST_TOO_LARGE);
    assert_int_equal(test_provider_count(f.provider), 5);
    fixture_deinit(&f);
}

/* Buttons and attachments stand under the last part, the quoted message over the first. */
static void
test_parts(void **state)
{
    json_auto_t *metadata = json_loads("{\"buttons\":[{\"title\":\"A\"}]}", 0, NULL);
    struct outbound outbound = {.external_chat_id = STR("group:G1"),
                                .reply_to_external_id = STR(NUMBER ":wamid.Q1"),
                                .text = STR("one"),
                                .metadata = metadata,
                                .part_count = 2};
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    assert_int_equal(channel_send(f.channel, &outbound, f.env.arena, &delivery, &f.err), ST_OK);
    assert_request(&f, 0, PATH,
                   "{\"context\":{\"message_id\":\"wamid.Q1\"},"
                   "\"text\":{\"preview_url\":false,\"body\":\"one\"}}");
    outbound.part = 1;
    outbound.text = STR("two");
    assert_int_equal(channel_send(f.channel, &outbound, f.env.arena, &delivery, &f.err), ST_OK);
    assert_request(&f, 1, PATH,
                   "{\"context\":null,"
                   "\"text\":{\"preview_url\":false,\"body\":\"two\\n\\n1. A\"}}");
    /* A message of another number cannot be quoted. */
    outbound.part = 0;
    outbound.reply_to_external_id = STR("900:wamid.Q1");
    assert_int_equal(channel_send(f.channel, &outbound, f.env.arena, &delivery, &f.err), ST_OK);
    assert_request(&f, 2, PATH, "{\"context\":null}");
    fixture_deinit(&f);
}

/* Once the first message of a part is with the person, nobody may simply repeat the part. */
static void
test_half_sent(void **state)
{
    static const char two[] = "{\"attachments\":[" AT_IMAGE "," AT_IMAGE "]}";
    struct fixture f;
    struct delivery delivery;

    (void)state;
    fixture_init(&f, "");
    test_provider_queue(f.provider, (struct test_answer){429, WA_REFUSED(130429, "x"), NULL});
    assert_int_equal(send_with(&f, USER, "x", two, &delivery), ST_BUSY);
    assert_int_equal(test_provider_count(f.provider), 1);
    test_provider_queue(f.provider, (struct test_answer){200, SENT, NULL});
    test_provider_queue(f.provider, (struct test_answer){429, WA_REFUSED(130429, "x"), NULL});
    assert_int_equal(send_with(&f, USER, "x", two, &delivery), ST_UNCERTAIN);
    assert_string_equal(f.err.public_text, "only 1 of 3 messages were sent");
    assert_int_equal(delivery.external_message_id.len, 0);
    assert_int_equal(test_provider_count(f.provider), 3);
    fixture_deinit(&f);
}

/* --- typing, marks --- */

static void
hear(struct fixture *f, const char *body)
{
    const struct webhook webhook = {.body = str_from_c(body)};
    struct inbound_batch batch;

    assert_int_equal(channel_parse(f->channel, &webhook, f->env.arena, &batch, &f->err), ST_OK);
    inbound_batch_deinit(&batch);
}

static void
test_typing(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "");
    channel_typing(f.channel, STR(USER)); /* nothing was heard: nothing to hang it on */
    assert_int_equal(test_provider_count(f.provider), 0);
    hear(&f, WA_TEXT("wamid.A"));
    hear(&f, WA_TEXT("wamid.B"));
    channel_typing(f.channel, STR(USER));
    assert_request(&f, 0, PATH,
                   "{\"messaging_product\":\"whatsapp\",\"status\":\"read\",\"message_id\":"
                   "\"wamid.B\",\"typing_indicator\":{\"type\":\"text\"}}");
    channel_acknowledge(f.channel, STR("wamid.A"));
    assert_request(&f, 1, PATH,
                   "{\"messaging_product\":\"whatsapp\",\"status\":\"read\",\"message_id\":"
                   "\"wamid.A\",\"typing_indicator\":null}");
    channel_typing(f.channel, STR("group:G1"));
    channel_typing(f.channel, STR("DE.999"));
    assert_int_equal(test_provider_count(f.provider), 2);
    fixture_deinit(&f);
}

/* The table of heard messages has an end. */
static void
test_heard(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f, "");
    struct whatsapp_heard *heard = &whatsapp_of(f.channel)->heard;
    for (unsigned i = 0; i < 20000; i++)
        whatsapp_heard_put(heard, arena_printf(f.env.arena, "US.%u", i), STR("wamid.A"));
    assert_true(heard->last.count <= 8192);
    assert_int_equal(whatsapp_heard_get(heard, STR("US.0"), f.env.arena).len, 0);
    assert_true(str_eq_c(whatsapp_heard_get(heard, STR("US.19999"), f.env.arena), "wamid.A"));
    whatsapp_heard_put(heard, STR("US.19999"), STR("wamid.B"));
    assert_true(str_eq_c(whatsapp_heard_get(heard, STR("US.19999"), f.env.arena), "wamid.B"));
    fixture_deinit(&f);
}

/* --- the account --- */

static void
test_probe_and_registration(void **state)
{
    struct fixture f;
    struct str account;

    (void)state;
    fixture_init(&f, ", \"waba_id\": \"777\", \"graph_version\": \"v26.0\"");
    test_provider_queue(f.provider, (struct test_answer){200,
                                                         "{\"display_phone_number\":\"+49 170 1\","
                                                         "\"verified_name\":\"Shop\"}",
                                                         NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_OK);
    assert_true(str_eq_c(account, "+49 170 1 (Shop)"));
    assert_request(&f, 0, "/v26.0/" NUMBER, "null");
    test_provider_queue(f.provider, (struct test_answer){200, "{\"id\":\"1\"}", NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_INVALID);
    test_provider_queue(f.provider, (struct test_answer){401, WA_REFUSED(190, "x"), NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_DENIED);
    test_provider_queue(f.provider, (struct test_answer){200, "<html>", NULL});
    assert_int_equal(channel_probe(f.channel, f.env.arena, &account, &f.err), ST_UNAVAILABLE);

    test_provider_forget(f.provider);
    test_provider_queue(f.provider, (struct test_answer){200, "{\"success\":true}", NULL});
    test_provider_queue(f.provider, (struct test_answer){200, "{\"success\":true}", NULL});
    assert_int_equal(channel_register(f.channel, STR("https://p.example/hook"), &f.err), ST_OK);
    assert_request(&f, 0, "/v26.0/777/subscribed_apps", "{}");
    assert_request(&f, 1, "/v26.0/" NUMBER,
                   "{\"webhook_configuration\":{\"override_callback_uri\":"
                   "\"https://p.example/hook\",\"verify_token\":\"verify-token-1\"}}");
    test_provider_queue(f.provider,
                        (struct test_answer){400, WA_REFUSED(100, "no callback"), NULL});
    assert_int_equal(channel_register(f.channel, STR("https://p.example/hook"), &f.err),
                     ST_INVALID);
    fixture_deinit(&f);
}

/* --- files --- */

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

/* Of "bytes", and of another file. */
#define RIGHT "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
#define WRONG "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct {
    const char *name, *file_id, *sha256, *url; /* url: "%u" is the provider's port */
    int size, file_status;
    enum status want;
    size_t requests;
} media_cases[] = {
    {"whole", "900", RIGHT, "http://127.0.0.1:%u/file", 5, 200, ST_OK, 2},
    {"without hash", "900", NULL, "http://127.0.0.1:%u/file", 5, 200, ST_OK, 2},
    {"another file", "900", WRONG, "http://127.0.0.1:%u/file", 5, 200, ST_UNAVAILABLE, 2},
    {"too large, told before", "900", RIGHT, "http://127.0.0.1:%u/file", 1001, 200, ST_TOO_LARGE,
     1},
    {"gone", "900", RIGHT, "http://127.0.0.1:%u/file", 5, 404, ST_NOT_FOUND, 2},
    {"trouble", "900", RIGHT, "http://127.0.0.1:%u/file", 5, 503, ST_UNAVAILABLE, 2},
    {"token refused", "900", RIGHT, "http://127.0.0.1:%u/file", 5, 401, ST_DENIED, 2},
    {"an address of somebody else", "900", RIGHT, "http://127.0.0.2:%u/file", 5, 200, ST_INVALID,
     1},
    {"an address that only looks like Meta's", "900", RIGHT, "https://evil.example/.fbsbx.com?%u",
     5, 200, ST_INVALID, 1},
    {"an address with a user", "900", RIGHT, "https://x@a.fbsbx.com?%u", 5, 200, ST_INVALID, 1},
    {"no id", "../900", RIGHT, "", 5, 200, ST_INVALID, 0},
};

static void
test_media(void **state)
{
    struct fixture f;
    struct buf bytes;
    struct str mime_type;

    (void)state;
    fixture_init(&f, "");
    buf_init(&bytes, 4096);
    for (size_t i = 0; i < sizeof media_cases / sizeof media_cases[0]; i++) {
        const struct media_sink sink = {.max_bytes = 1000, .write = collect, .context = &bytes};
        json_auto_t *attachment = json_object();
        char url[128], found[256];

        test_provider_forget(f.provider);
        buf_clear(&bytes);
        json_set_str(attachment, "file_id", str_from_c(media_cases[i].file_id));
        json_set_str(attachment, "sha256", str_from_c(media_cases[i].sha256));
        struct str address = str_from_c(media_cases[i].url);
        ptrdiff_t mark = str_find(address, STR("%u"));
        if (mark >= 0)
            (void)snprintf(url, sizeof url, "%.*s%u%s", (int)mark, address.ptr,
                           test_provider_port(f.provider), address.ptr + mark + 2);
        else
            url[0] = '\0';
        (void)snprintf(found, sizeof found, "{\"url\":\"%s\",\"file_size\":%d,\"id\":\"900\"}", url,
                       media_cases[i].size);
        test_provider_queue(f.provider, (struct test_answer){200, found, NULL});
        test_provider_queue(f.provider,
                            (struct test_answer){media_cases[i].file_status, "bytes", NULL});
        enum status st =
            channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err);

        if (st != media_cases[i].want || test_provider_count(f.provider) != media_cases[i].requests)
            fail_msg("%s: %s (%s), %zu requests", media_cases[i].name, status_name(st),
                     f.err.detail, test_provider_count(f.provider));
        if (st == ST_OK) {
            assert_true(str_eq_c(buf_str(&bytes), "bytes"));
            assert_true(str_eq_c(mime_type, "application/json"));
        }
    }
    test_provider_forget(f.provider);
    /* An id of more than seven days, and somebody who wants no more. */
    json_auto_t *attachment = json_loads("{\"file_id\":\"900\"}", 0, NULL);
    const struct media_sink sink = {.max_bytes = 1000, .write = refuse};
    char found[256];

    test_provider_queue(f.provider, (struct test_answer){400, WA_REFUSED(100, "no object"), NULL});
    assert_int_equal(
        channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err),
        ST_NOT_FOUND);
    (void)snprintf(found, sizeof found, "{\"url\":\"http://127.0.0.1:%u/file\"}",
                   test_provider_port(f.provider));
    test_provider_queue(f.provider, (struct test_answer){200, found, NULL});
    test_provider_queue(f.provider, (struct test_answer){200, "bytes", NULL});
    assert_int_equal(
        channel_fetch_media(f.channel, attachment, &sink, f.env.arena, &mime_type, &f.err),
        ST_INVALID);
    buf_deinit(&bytes);
    fixture_deinit(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_requests),    cmocka_unit_test(test_refusals_of_ours),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_parts),
        cmocka_unit_test(test_half_sent),   cmocka_unit_test(test_typing),
        cmocka_unit_test(test_heard),       cmocka_unit_test(test_probe_and_registration),
        cmocka_unit_test(test_media),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
