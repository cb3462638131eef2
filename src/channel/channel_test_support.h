/*
 * channel_test_support.h - for the tests of this folder: records without a store, a place where
 * webhooks arrive, a provider that says what it is told to
 */
#ifndef PARLEY_CHANNEL_CHANNEL_TEST_SUPPORT_H
#define PARLEY_CHANNEL_CHANNEL_TEST_SUPPORT_H

#include "channel/channel_driver.h"

#define TEST_WALL_US (INT64_C(1800000000) * US_PER_S)

/* --- records --- */

/* A record with these JSON objects; one reference. Its fields may be changed until it is shared. */
struct channel_record *test_record(const char *source, const char *settings,
                                   const char *credentials);
/* Gives the test's own reference back. */
void test_record_release(struct channel_record **record);
/* Records not yet freed: 0 at a test's end. */
int test_records_alive(void);

/* --- everything a channel needs --- */

struct test_env {
    struct clock *clock; /* manual, at TEST_WALL_US */
    struct http_client *http;
    struct openid *openid;
    struct channel_env env;
    struct channel_registry *registry; /* all drivers */
    struct arena *arena;
    void *context; /* the test's own */
};
void test_env_init(struct test_env *env);
void test_env_deinit(struct test_env *env);

/* The item as JSON, with empty strings where nothing is set. The caller's. */
json_t *test_inbound_json(const struct inbound *item);
/* Fails the test unless all that stands in want stands in got; null in want: not in got. */
void test_assert_contains(const char *name, const json_t *want, const json_t *got);

/* --- a place where webhooks arrive: verifies and parses what is posted, as the gateway would ---
 */

struct test_hook;
struct test_hook *test_hook_start(struct test_env *env);
void test_hook_stop(struct test_hook **hook);
struct test_hook_result {
    enum status verified, parsed; /* parsed: ST_INTERNAL when it was not tried */
    char detail[400];
    json_t *items;              /* the caller's; NULL unless parsed */
    bool is_handshake;          /* then parsed stays ST_INTERNAL */
    struct webhook_reply reply; /* of a handshake; its body in the environment's arena */
};
/* target: path and query, "/hook?token=..."; headers may be NULL. */
void test_hook_post(struct test_hook *hook, const struct channel_record *record, const char *target,
                    const struct http_header *headers, size_t header_count, struct str body,
                    struct test_hook_result *result_out);

/* The same with GET: how providers test an address. */
void test_hook_get(struct test_hook *hook, const struct channel_record *record, const char *target,
                   struct test_hook_result *result_out);

/* --- a provider --- */

struct test_answer {
    int status;
    const char *body;
    const char *retry_after; /* NULL: no header */
};
struct test_provider;
/* Answers every request with the default until others are queued. Strings are borrowed. */
struct test_provider *test_provider_start(struct test_answer otherwise);
void test_provider_stop(struct test_provider **provider);
unsigned test_provider_port(const struct test_provider *provider);
void test_provider_queue(struct test_provider *provider, struct test_answer answer);
size_t test_provider_count(struct test_provider *provider);
void test_provider_forget(struct test_provider *provider);
/* Request number index: its path and its JSON body (null when it has none), which is the caller's.
 */
json_t *test_provider_request(struct test_provider *provider, size_t index, struct arena *arena,
                              struct str *path_out);

/* "" when it showed none; borrowed until test_provider_forget. */
const char *test_provider_authorization(struct test_provider *provider, size_t index);
/* Request number index as it came, in the arena. */
struct test_request {
    struct str method, path, query, body, authorization, content_type;
};
struct test_request test_provider_got(struct test_provider *provider, size_t index,
                                      struct arena *arena);
/* A header field of all answers from now on, once each name; strings are borrowed. */
void test_provider_header(struct test_provider *provider, const char *name, const char *value);

/* A listener that takes one request at a time and hangs up without an answer. */
struct test_hanger;
struct test_hanger *test_hanger_start(void);
unsigned test_hanger_port(const struct test_hanger *hanger);
void test_hanger_stop(struct test_hanger **hanger);
/* A port at which nobody listens. */
unsigned test_closed_port(void);

#endif
