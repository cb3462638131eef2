/*
 * imap_test_support.h - an IMAP server that says what a test has it say
 *
 * Dovecot stands in the system tests; what it never does on command is done here. Threads: one
 * server thread, one connection after the other; functions from the test's.
 */
#ifndef PARLEY_NET_IMAP_TEST_SUPPORT_H
#define PARLEY_NET_IMAP_TEST_SUPPORT_H

#include <stddef.h>

struct test_imap;

/* How a command is answered; "" begins a connection. */
struct test_imap_answer {
    const char *command; /* its beginning, "UID SEARCH", without tag; NULL ends the list */
    const char *answer;  /* $T: its tag; NULL: hangs up */
};

struct test_imap *test_imap_start(void);
void test_imap_stop(struct test_imap **server);
unsigned test_imap_port(const struct test_imap *server);
/* From now on, before what a mailbox with the mails 7, 8 and 9 would say. Borrowed; NULL: nothing
 * but that. */
void test_imap_say(struct test_imap *server, const struct test_imap_answer *answers);
/* How many commands began so. */
size_t test_imap_count(struct test_imap *server, const char *command);

#endif
