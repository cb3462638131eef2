/*
 * mail_test_support.h - an SMTP server that refuses, stalls and hangs up where it is told to
 *
 * Real servers stand in the system tests; what they never do on command is done here: each answer
 * at each step. Threads: one server thread; functions from the test's.
 */
#ifndef PARLEY_NET_MAIL_TEST_SUPPORT_H
#define PARLEY_NET_MAIL_TEST_SUPPORT_H

#include <stddef.h>

struct test_smtp;

/* At its step the server answers with this instead of yes. */
struct test_smtp_answer {
    const char *step;   /* "greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "end", "NOOP" */
    const char *answer; /* "550 5.1.1 nobody"; NULL: hangs up without a word */
};

struct test_smtp *test_smtp_start(void);
void test_smtp_stop(struct test_smtp **server);
unsigned test_smtp_port(const struct test_smtp *server);
/* Of the next connection alone; step NULL: all is well. */
void test_smtp_next(struct test_smtp *server, struct test_smtp_answer answer);
/* The last mail as it was received, dots unstuffed, and its envelope; strings until the next mail.
 * "" when none came. */
const char *test_smtp_mail(struct test_smtp *server);
const char *test_smtp_sender(struct test_smtp *server);
const char *test_smtp_recipient(struct test_smtp *server);
size_t test_smtp_count(struct test_smtp *server);
void test_smtp_forget(struct test_smtp *server);

#endif
