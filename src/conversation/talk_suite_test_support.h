/*
 * talk_suite_test_support.h - a talk for each test of a program, on files or, called with "pgsql",
 * on a PostgreSQL of the program's own
 */
#ifndef PARLEY_CONVERSATION_TALK_SUITE_TEST_SUPPORT_H
#define PARLEY_CONVERSATION_TALK_SUITE_TEST_SUPPORT_H

#include "conversation/conversation_test_support.h"
#include "store/pgsql_test_support.h"

/* For cmocka: *state is a struct talk with channels of "fake". */
int talk_set_up(void **state);
int talk_tear_down(void **state);
#define TALK_CASE(fn) cmocka_unit_test_setup_teardown(fn, talk_set_up, talk_tear_down)

/* Around all tests. False: there is no PostgreSQL here; end with PGSQL_SKIPPED. */
bool talk_suite_begin(int argc, char **argv, const char *name);
void talk_suite_end(void);
bool talk_is_on_server(void);

#endif
