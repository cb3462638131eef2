/*
 * openid_test_support.h - an issuer of tokens on this machine: publishes keys, signs what it is
 * told
 */
#ifndef PARLEY_CHANNEL_OPENID_TEST_SUPPORT_H
#define PARLEY_CHANNEL_OPENID_TEST_SUPPORT_H

#include "base/arena.h"

#define TEST_ISSUER_NAME "https://api.botframework.com"

struct test_issuer;

/* Publishes one key, "key-1", endorsed for "msteams". */
struct test_issuer *test_issuer_start(void);
void test_issuer_stop(struct test_issuer **issuer);
unsigned test_issuer_port(const struct test_issuer *issuer);
/* "http://127.0.0.1:<port>/metadata", in the arena. */
struct str test_issuer_metadata_url(const struct test_issuer *issuer, struct arena *arena);
/* What is published from now on: the kid (a literal), and its endorsements as JSON or NULL. */
void test_issuer_publish(struct test_issuer *issuer, const char *kid, const char *endorsements);
/* Replaces a whole document from now on; NULL: the issuer's own. Literals. */
void test_issuer_say(struct test_issuer *issuer, const char *metadata, const char *keys);
/* Every request is answered with this status from now on; 200: as usual. */
void test_issuer_fail(struct test_issuer *issuer, int status);
/* Key sets that were fetched. */
unsigned test_issuer_fetches(struct test_issuer *issuer);
/* Metadata requests wait until they are let go. */
void test_issuer_hold(struct test_issuer *issuer, bool hold);
/* Returns once somebody waits in a held request. */
void test_issuer_await_held(struct test_issuer *issuer);

/* Its login: POST <test_issuer_login>/{tenant}/oauth2/v2.0/token gives "token-1", "token-2", ...
 * which last so long. Failing: the body with the status. */
struct str test_issuer_login(const struct test_issuer *issuer, struct arena *arena);
void test_issuer_login_fail(struct test_issuer *issuer, int status, const char *body);
/* How many it gave, and the body of the last request, borrowed until the next. */
unsigned test_issuer_logins(struct test_issuer *issuer);
const char *test_issuer_login_form(struct test_issuer *issuer);

/* header and claims as JSON text, signed with the issuer's key whatever the header says. */
struct str test_issuer_sign(struct test_issuer *issuer, const char *header, const char *claims,
                            struct arena *arena);

#endif
