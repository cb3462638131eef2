/*
 * smtp_test.c - what becomes of a mail at each step at which a server can refuse or hang up
 */
#include "net/smtp.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/mail_test_support.h"

#define DEADLINE_MS 10000
#define MESSAGE "From: a@x.test\r\nTo: b@y.test\r\n\r\nHello\r\n.a dot\r\n..two\r\n"

struct scene {
    struct http_client *client;
    struct test_smtp *smtp;
    struct mail_server server;
};

static int
set_up(void **state)
{
    static const struct http_client_config config = {.allow_private_addresses = true};
    struct scene *scene = calloc(1, sizeof *scene);
    struct err err;

    assert_non_null(scene);
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(http_client_create(&config, &scene->client, &err), ST_OK);
    scene->smtp = test_smtp_start();
    scene->server = (struct mail_server){.host = STR("127.0.0.1"),
                                         .port = test_smtp_port(scene->smtp),
                                         .security = MAIL_PLAIN,
                                         .user = STR("ada"),
                                         .password = STR("s3cret")};
    *state = scene;
    return 0;
}

static int
tear_down(void **state)
{
    struct scene *scene = *state;

    test_smtp_stop(&scene->smtp);
    http_client_destroy(&scene->client);
    free(scene);
    return 0;
}

static enum status
send_one(struct scene *scene, struct err *err)
{
    const struct smtp_mail mail = {STR("a@x.test"), STR("b@y.test"), STR(MESSAGE)};

    return smtp_send(scene->client, &scene->server, &mail, DEADLINE_MS, err);
}

static void
test_mail_arrives_as_it_was(void **state)
{
    struct scene *scene = *state;
    struct err err;

    assert_int_equal(send_one(scene, &err), ST_OK);
    assert_string_equal(test_smtp_mail(scene->smtp), MESSAGE);
    assert_string_equal(test_smtp_sender(scene->smtp), "a@x.test");
    assert_string_equal(test_smtp_recipient(scene->smtp), "b@y.test");
    assert_int_equal(smtp_probe(scene->client, &scene->server, DEADLINE_MS, &err), ST_OK);
    assert_int_equal(test_smtp_count(scene->smtp), 1);
}

static void
test_errors_are_sorted(void **state)
{
    static const struct {
        struct test_smtp_answer answer;
        enum status want;
        bool arrives;
    } cases[] = {
        {{"greeting", "421 4.3.2 closing"}, ST_UNAVAILABLE, false},
        {{"greeting", "554 5.3.2 no service"}, ST_INVALID, false},
        {{"greeting", NULL}, ST_UNAVAILABLE, false},
        {{"EHLO", NULL}, ST_UNAVAILABLE, false},
        {{"AUTH", "535 5.7.8 bad credentials"}, ST_DENIED, false},
        {{"AUTH", "534 5.7.9 an application password is needed"}, ST_DENIED, false},
        {{"AUTH", "454 4.7.0 later"}, ST_UNAVAILABLE, false},
        {{"AUTH", NULL}, ST_UNAVAILABLE, false},
        {{"MAIL", "530 5.7.0 authentication required"}, ST_DENIED, false},
        {{"MAIL", "451 4.3.0 later"}, ST_UNAVAILABLE, false},
        {{"MAIL", "550 5.7.1 not your address"}, ST_INVALID, false},
        {{"MAIL", "552 5.3.4 too big"}, ST_TOO_LARGE, false},
        {{"MAIL", NULL}, ST_UNAVAILABLE, false},
        {{"RCPT", "450 4.2.0 greylisted"}, ST_UNAVAILABLE, false},
        {{"RCPT", "452 4.2.2 mailbox full"}, ST_UNAVAILABLE, false},
        {{"RCPT", "550 5.1.1 nobody"}, ST_NOT_FOUND, false},
        {{"RCPT", "553 nobody"}, ST_NOT_FOUND, false},
        {{"RCPT", NULL}, ST_UNAVAILABLE, false},
        {{"DATA", "451 4.3.0 later"}, ST_UNAVAILABLE, false},
        {{"DATA", "554 5.7.1 no"}, ST_INVALID, false},
        {{"DATA", NULL}, ST_UNAVAILABLE, false},
        {{"end", "451 4.3.0 later"}, ST_UNAVAILABLE, true},
        {{"end", "421 4.3.2 closing"}, ST_UNAVAILABLE, true},
        {{"end", "554 5.7.1 spam"}, ST_INVALID, true},
        {{"end", "552 5.3.4 too big"}, ST_TOO_LARGE, true},
        {{"end", "550 5.1.1 nobody after all"}, ST_NOT_FOUND, true},
        {{"end", NULL}, ST_UNCERTAIN, true},
    };
    struct scene *scene = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {.code = ST_OK};

        test_smtp_forget(scene->smtp);
        test_smtp_next(scene->smtp, cases[i].answer);
        enum status st = send_one(scene, &err);

        if (st != cases[i].want)
            fail_msg("%s %s: %s (%s)", cases[i].answer.step,
                     cases[i].answer.answer == NULL ? "hangs up" : cases[i].answer.answer,
                     status_name(st), err.detail);
        assert_int_equal(err.code, st);
        assert_int_equal(test_smtp_count(scene->smtp), cases[i].arrives);
        assert_null(strstr(err.detail, "s3cret"));
        assert_true(strlen(err.public_text) > 0);
    }
}

static void
test_what_is_refused_before_the_connection(void **state)
{
    struct scene *scene = *state;
    struct err err;
    static const struct smtp_mail bad[] = {
        {STR_INIT("a@x.test"), STR_INIT("b@y.test>\r\nRCPT TO:<c@z.test"), STR_INIT("x")},
        {STR_INIT("a@x.test"), STR_INIT(""), STR_INIT("x")},
        {STR_INIT("a b@x.test"), STR_INIT("b@y.test"), STR_INIT("x")},
        {STR_INIT("a@x.test"), STR_INIT("b@y.test"), STR_INIT("")},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(smtp_send(scene->client, &scene->server, &bad[i], DEADLINE_MS, &err),
                         ST_INVALID);
    assert_int_equal(test_smtp_count(scene->smtp), 0);

    struct mail_server server = scene->server;
    server.host = STR("evil.test/path?x");
    assert_int_equal(smtp_probe(scene->client, &server, DEADLINE_MS, &err), ST_INVALID);
}

static void
test_private_addresses_are_refused(void **state)
{
    static const struct http_client_config config = {.allow_private_addresses = false};
    struct scene *scene = *state;
    struct http_client *client;
    struct err err;

    assert_int_equal(http_client_create(&config, &client, &err), ST_OK);
    assert_int_equal(smtp_probe(client, &scene->server, DEADLINE_MS, &err), ST_UNAVAILABLE);
    assert_non_null(strstr(err.public_text, "private address"));
    http_client_destroy(&client);
}

/* A server that offers no TLS is told neither the login nor the mail. */
static void
test_starttls_is_required(void **state)
{
    struct scene *scene = *state;
    struct mail_server server = scene->server;
    struct err err;

    server.security = MAIL_STARTTLS;
    assert_int_equal(smtp_probe(scene->client, &server, DEADLINE_MS, &err), ST_UNAVAILABLE);
    assert_non_null(strstr(err.public_text, "STARTTLS"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mail_arrives_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_are_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_refused_before_the_connection, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_private_addresses_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_starttls_is_required, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
