/*
 * email_parse_test.c - testdata/email_mails.json: mails of a mailbox and what they become
 *
 * Each case: {name, mail: [lines], settings?, want}. want names fields of the item (metadata too)
 * that must be equal; null: must not be there; want.status: the mail is refused.
 */
#include "channel/channel_test_support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "channel/drivers/email.h"
#include "channel/html_text.h"
#include "text/json.h"

#define CREDENTIALS                                                                                \
    "{\"username\": \"support\", \"password\": \"p\", "                                            \
    "\"webhook_secret\": \"0123456789abcdef0123\"}"
#define MAIL_MAX_BYTES ((size_t)8 * 1024 * 1024)

static struct channel *
open_channel(struct test_env *env, const json_t *settings)
{
    json_auto_t *all = settings == NULL ? json_object() : json_deep_copy(settings);
    struct channel *channel;
    struct err err;

    json_set_str(all, "address", STR("support@shop.test"));
    json_set_str(all, "smtp_host", STR("127.0.0.1"));
    json_set_str(all, "imap_host", STR("127.0.0.1"));
    struct str text = json_text(all, env->arena);
    struct channel_record *record = test_record("email", arena_cstr(env->arena, text), CREDENTIALS);

    record->account = STR("support@shop.test");
    if (channel_acquire(env->registry, record, &channel, &err) != ST_OK)
        fail_msg("%s", err.detail);
    test_record_release(&record);
    return channel;
}

static struct str
mail_of(const json_t *lines, struct arena *arena)
{
    struct buf mail;
    size_t i;
    json_t *line;

    buf_init(&mail, MAIL_MAX_BYTES);
    json_array_foreach (lines, i, line) {
        buf_append_c(&mail, json_string_value(line));
        buf_append_c(&mail, "\r\n");
    }
    struct str body = buf_str(&mail);
    struct str whole =
        arena_printf(arena, "IMAP 7 42 %zu 1799053200000000\n%.*s", body.len, STR_ARG(body));
    buf_deinit(&mail);
    return whole;
}

static enum status
parse(struct test_env *env, struct channel *channel, struct str body, struct inbound_batch *batch,
      struct err *err)
{
    const struct webhook webhook = {.body = body};

    *err = (struct err){.code = ST_OK};
    return channel_parse(channel, &webhook, env->arena, batch, err);
}

static void
run_case(struct test_env *env, const json_t *test)
{
    const char *name = json_string_value(json_object_get(test, "name"));
    const json_t *want = json_get_object(test, "want");
    struct str status = json_get_str(want, "status");
    struct channel *channel = open_channel(env, json_get_object(test, "settings"));
    struct inbound_batch batch;
    struct err err;
    enum status st =
        parse(env, channel, mail_of(json_get_array(test, "mail"), env->arena), &batch, &err);

    if (!str_eq_c(status.ptr == NULL ? STR("ok") : status, status_name(st)))
        fail_msg("%s: %s (%s)", name, status_name(st), err.detail);
    if (st == ST_OK) {
        assert_int_equal(batch.count, 1);
        json_auto_t *got = test_inbound_json(&batch.items[0]);

        test_assert_contains(name, want, got);
    }
    inbound_batch_deinit(&batch);
    channel_release(&channel);
}

static void
test_mails(void **state)
{
    json_error_t where;
    json_auto_t *cases = json_load_file(TESTDATA "/email_mails.json", 0, &where);
    struct test_env env;
    size_t i;
    json_t *test;

    (void)state;
    if (cases == NULL)
        fail_msg("%s:%d: %s", where.source, where.line, where.text);
    test_env_init(&env);
    json_array_foreach (cases, i, test) {
        run_case(&env, test);
    }
    test_env_deinit(&env);
    assert_true(i >= 50);
}

/* --- what a table cannot hold --- */

/* SendGrid's verdict about DKIM counts when the good signature is of the sender's domain. */
static void
test_sendgrid_proves_senders(void **state)
{
    static const struct {
        const char *dkim, *from;
        bool is_proven;
    } cases[] = {
        {"{@example.org : pass}", "ada@example.org", true},
        {"{@Example.org : pass}", "ada@example.org", true},
        {"{@other.test : fail, @example.org : pass}", "ada@example.org", true},
        {"{@example.org : pass}", "ada@mail.example.org", true},
        {"{@mail.example.org : pass}", "ada@example.org", false},
        {"{@example.org : fail}", "ada@example.org", false},
        {"{@other.test : pass}", "ada@example.org", false},
        {"{@ample.org : pass}", "ada@example.org", false},
        {"{@org : pass}", "ada@example.org", false},
        {"{@ : pass}", "ada@example.org", false},
        {"{@example.org : pass", "ada@example.org", false},
        {"none", "ada@example.org", false},
        {"", "ada@example.org", false},
        {"{@example.org : pass}", "ada@example.org, bo@example.org", false},
    };
    static const struct email_channel channel = {.inbound = EMAIL_SENDGRID};
    static const char *const fields[] = {"headers", "email"};
    struct test_env env;
    char form[1000];

    (void)state;
    test_env_init(&env);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct email email;
        struct err err;

        (void)snprintf(form, sizeof form,
                       "--x\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\nFrom: "
                       "%s\r\n\r\nHello\r\n--x\r\nContent-Disposition: form-data; "
                       "name=\"dkim\"\r\n\r\n%s\r\n--x--\r\n",
                       fields[i % 2], cases[i / 2].from, cases[i / 2].dkim);
        assert_int_equal(email_form_to_email(EMAIL_SENDGRID, STR("multipart/form-data; boundary=x"),
                                             str_from_c(form), env.arena, &email, &err),
                         ST_OK);
        if (email_sender_is_proven(&channel, &email, env.arena) != cases[i / 2].is_proven)
            fail_msg("%s of %s", cases[i / 2].dkim, cases[i / 2].from);
    }
    test_env_deinit(&env);
}

/* Parts within parts: on a stack as small as the server's threads have. */
static void *
parse_deep(void *arg)
{
    struct buf mail;
    struct arena *arena = arena_create(MAIL_MAX_BYTES);
    struct email email;
    struct err err;
    const unsigned *levels = arg;

    buf_init(&mail, MAIL_MAX_BYTES);
    buf_append_c(&mail, "From: a@b.test\r\n");
    for (unsigned i = 0; i < *levels; i++)
        buf_printf(&mail, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
    buf_append_c(&mail, "Content-Type: text/plain\r\n\r\ndeep\r\n");
    enum status st = email_mime_read(buf_str(&mail), arena, &email, &err);
    arena_destroy(&arena);
    buf_deinit(&mail);
    return (void *)(uintptr_t)st;
}

static void
test_deep_nesting_costs_no_stack(void **state)
{
    static unsigned levels[] = {19, 99, 20000};
    static const enum status want[] = {ST_OK, ST_OK, ST_INVALID};
    struct test_env env;

    (void)state;
    test_env_init(&env);
    for (size_t i = 0; i < 3; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        void *st;

        assert_int_equal(pthread_attr_init(&attributes), 0);
        assert_int_equal(pthread_attr_setstacksize(&attributes, (size_t)512 * 1024), 0);
        assert_int_equal(pthread_create(&thread, &attributes, parse_deep, &levels[i]), 0);
        assert_int_equal(pthread_join(thread, &st), 0);
        assert_int_equal((enum status)(uintptr_t)st, want[i]);
        pthread_attr_destroy(&attributes);
    }
    test_env_deinit(&env);
}

static void
test_long_texts_are_cut_and_say_so(void **state)
{
    struct test_env env;
    struct buf mail;
    struct inbound_batch batch;
    struct err err;

    (void)state;
    test_env_init(&env);
    struct channel *channel = open_channel(&env, NULL);

    buf_init(&mail, MAIL_MAX_BYTES);
    buf_append_c(&mail, "IMAP 7 42 9 0\nFrom: a@b.test\r\nContent-Type: text/plain; "
                        "charset=utf-8\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        buf_append_c(&mail, "ä€ \xff words\r\n");
    assert_int_equal(parse(&env, channel, buf_str(&mail), &batch, &err), ST_OK);
    assert_true(batch.items[0].text.len <= EMAIL_TEXT_MAX_BYTES);
    assert_true(batch.items[0].text.len > EMAIL_TEXT_MAX_BYTES - 100);
    assert_true(str_is_utf8(batch.items[0].text));
    assert_true(
        json_get_bool(json_get_object(batch.items[0].metadata, "email"), "truncated", false));
    inbound_batch_deinit(&batch);
    buf_deinit(&mail);
    channel_release(&channel);
    test_env_deinit(&env);
}

static void
test_html(void **state)
{
    static const struct {
        const char *html, *want;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a<br>b<br/>c", "a\nb\nc"},
        {"<p>a</p><p>b</p>", "a\n\nb"},
        {"<div>a</div><div>b</div>", "a\nb"},
        {"a  \n b\t c", "a b c"},
        {"&lt;b&gt; &#228;&#xE4;&auml; &nope; &amp;amp; &", "<b> äää &nope; &amp; &"},
        {"&#0;&#xD800;&#99999999;x", "x"},
        {"<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n3"},
        {"<blockquote>a<br>b</blockquote>c", "> a\n> b\n\nc"},
        {"<pre>a\n  b</pre>", "a\nb"},
        {"<!-- <p>no</p> -->yes", "yes"},
        {"<style>a</style><STYLE>b</STYLE>c", "c"},
        {"<script>if (a</script>b", "b"},
        {"<script>never ends", ""},
        {"<a href=\"https://x.test/\">x</a>", "x (https://x.test/)"},
        {"<a href=\"https://x.test/\">https://x.test/</a>", "https://x.test/"},
        {"<a href=\"javascript:x\">y</a>", "y"},
        {"1 < 2 <3", "1 < 2 <3"},
        {"<b title=\"a>b\">x</b>", "x"},
        {"<b", ""},
        {"a<br><br><br><br><br><br>b", "a\n\n\nb"},
    };
    struct arena *arena = arena_create(MAIL_MAX_BYTES);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_cut = false;
        struct str got = html_text(str_from_c(cases[i].html), 1000, arena, &is_cut);

        if (!str_eq_c(got, cases[i].want))
            fail_msg("%s: \"%.*s\"", cases[i].html, STR_ARG(got));
        assert_false(is_cut);
    }
    bool is_cut = false;
    assert_int_equal(html_text(STR("words words"), 5, arena, &is_cut).len, 5);
    assert_true(is_cut);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mails),
        cmocka_unit_test(test_sendgrid_proves_senders),
        cmocka_unit_test(test_deep_nesting_costs_no_stack),
        cmocka_unit_test(test_long_texts_are_cut_and_say_so),
        cmocka_unit_test(test_html),
    };

    return cmocka_run_group_tests_name("email_parse", tests, NULL, NULL);
}
