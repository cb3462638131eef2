/*
 * openid_test_support.c - the issuer: one RSA key made at its start, two documents, a signature
 */
#include "channel/openid_test_support.h"

#include <gnutls/abstract.h>
#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_server.h"

#define DOCUMENT_ARENA_BYTES (64 * 1024)

struct test_issuer {
    struct http_server *server;
    gnutls_privkey_t key;
    char *modulus, *exponent; /* base64url */
    pthread_mutex_t lock;     /* guards all below */
    pthread_cond_t changed;
    const char *kid, *endorsements, *metadata, *keys;
    int status, login_status;
    const char *login_body;
    char *login_form;
    unsigned fetches, logins;
    bool is_held, somebody_waits;
};

static char *
encode(const void *bytes, size_t length)
{
    size_t max = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *out = malloc(max);

    assert_non_null(out);
    sodium_bin2base64(out, max, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return out;
}

static void
answer_metadata(struct http_request *request, struct http_response *response, void *context)
{
    struct test_issuer *issuer = context;

    pthread_mutex_lock(&issuer->lock);
    while (issuer->is_held) {
        issuer->somebody_waits = true;
        pthread_cond_broadcast(&issuer->changed);
        pthread_cond_wait(&issuer->changed, &issuer->lock);
    }
    issuer->somebody_waits = false;
    int status = issuer->status;
    struct str body = issuer->metadata != NULL
                          ? str_from_c(issuer->metadata)
                          : arena_printf(request->arena,
                                         "{\"issuer\":\"" TEST_ISSUER_NAME
                                         "\",\"jwks_uri\":\"http://127.0.0.1:%u/keys\","
                                         "\"id_token_signing_alg_values_supported\":[\"RS256\"]}",
                                         http_server_port(issuer->server));
    pthread_mutex_unlock(&issuer->lock);
    http_respond(response, status, "application/json", body);
}

static void
answer_keys(struct http_request *request, struct http_response *response, void *context)
{
    struct test_issuer *issuer = context;

    pthread_mutex_lock(&issuer->lock);
    int status = issuer->status;
    struct str body =
        issuer->keys != NULL
            ? str_from_c(issuer->keys)
            : arena_printf(
                  request->arena,
                  "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"%s\",\"n\":\"%s\","
                  "\"e\":\"%s\"%s%s}]}",
                  issuer->kid, issuer->modulus, issuer->exponent,
                  issuer->endorsements == NULL ? "" : ",\"endorsements\":",
                  issuer->endorsements == NULL ? "" : issuer->endorsements);
    issuer->fetches++;
    pthread_mutex_unlock(&issuer->lock);
    http_respond(response, status, "application/json", body);
}

static void
answer_login(struct http_request *request, struct http_response *response, void *context)
{
    struct test_issuer *issuer = context;

    pthread_mutex_lock(&issuer->lock);
    free(issuer->login_form);
    issuer->login_form = str_dup(request->body);
    int status = issuer->login_status;
    struct str body = status != 200 ? str_from_c(issuer->login_body)
                                    : arena_printf(request->arena,
                                                   "{\"token_type\":\"Bearer\",\"expires_in\":3600,"
                                                   "\"access_token\":\"token-%u\"}",
                                                   ++issuer->logins);
    pthread_mutex_unlock(&issuer->lock);
    http_respond(response, status, "application/json", body);
}

static void
make_key(struct test_issuer *issuer)
{
    gnutls_datum_t modulus, exponent;

    assert_true(gnutls_privkey_init(&issuer->key) >= 0);
    assert_true(gnutls_privkey_generate(issuer->key, GNUTLS_PK_RSA, 2048, 0) >= 0);
    assert_true(gnutls_privkey_export_rsa_raw2(issuer->key, &modulus, &exponent, NULL, NULL, NULL,
                                               NULL, NULL, NULL, GNUTLS_EXPORT_FLAG_NO_LZ) >= 0);
    issuer->modulus = encode(modulus.data, modulus.size);
    issuer->exponent = encode(exponent.data, exponent.size);
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
}

struct test_issuer *
test_issuer_start(void)
{
    static const struct http_route routes[] = {
        {.method = HTTP_GET, .pattern = "/metadata", .handler = answer_metadata},
        {.method = HTTP_GET, .pattern = "/keys", .handler = answer_keys},
        {.method = HTTP_POST,
         .pattern = "/login/{tenant}/oauth2/v2.0/token",
         .handler = answer_login}};
    struct test_issuer *issuer = calloc(1, sizeof *issuer);
    struct err err;

    assert_non_null(issuer);
    make_key(issuer);
    pthread_mutex_init(&issuer->lock, NULL);
    pthread_cond_init(&issuer->changed, NULL);
    issuer->status = issuer->login_status = 200;
    test_issuer_publish(issuer, "key-1", "[\"msteams\"]");
    const struct http_server_config config = {.listen = "127.0.0.1:0",
                                              .epoll_threads = 1,
                                              .workers = 4,
                                              .max_queued = 16,
                                              .max_connections = 16,
                                              .idle_timeout_s = 30,
                                              .max_body_bytes = 65536,
                                              .context = issuer};
    if (http_server_start(&config, routes, 3, &issuer->server, &err) != ST_OK)
        fail_msg("test issuer: %s", err.detail);
    return issuer;
}

void
test_issuer_stop(struct test_issuer **issuer_ptr)
{
    struct test_issuer *issuer = *issuer_ptr;

    *issuer_ptr = NULL;
    http_server_stop(&issuer->server, 5000);
    gnutls_privkey_deinit(issuer->key);
    free(issuer->modulus);
    free(issuer->exponent);
    free(issuer->login_form);
    pthread_mutex_destroy(&issuer->lock);
    pthread_cond_destroy(&issuer->changed);
    free(issuer);
}

unsigned
test_issuer_port(const struct test_issuer *issuer)
{
    return http_server_port(issuer->server);
}

struct str
test_issuer_metadata_url(const struct test_issuer *issuer, struct arena *arena)
{
    return arena_printf(arena, "http://127.0.0.1:%u/metadata", test_issuer_port(issuer));
}

struct str
test_issuer_login(const struct test_issuer *issuer, struct arena *arena)
{
    return arena_printf(arena, "http://127.0.0.1:%u/login", test_issuer_port(issuer));
}

void
test_issuer_login_fail(struct test_issuer *issuer, int status, const char *body)
{
    pthread_mutex_lock(&issuer->lock);
    issuer->login_status = status;
    issuer->login_body = body;
    pthread_mutex_unlock(&issuer->lock);
}

unsigned
test_issuer_logins(struct test_issuer *issuer)
{
    pthread_mutex_lock(&issuer->lock);
    unsigned logins = issuer->logins;
    pthread_mutex_unlock(&issuer->lock);
    return logins;
}

const char *
test_issuer_login_form(struct test_issuer *issuer)
{
    pthread_mutex_lock(&issuer->lock);
    const char *form = issuer->login_form;
    pthread_mutex_unlock(&issuer->lock);
    return form;
}

void
test_issuer_publish(struct test_issuer *issuer, const char *kid, const char *endorsements)
{
    pthread_mutex_lock(&issuer->lock);
    issuer->kid = kid;
    issuer->endorsements = endorsements;
    pthread_mutex_unlock(&issuer->lock);
}

void
test_issuer_say(struct test_issuer *issuer, const char *metadata, const char *keys)
{
    pthread_mutex_lock(&issuer->lock);
    issuer->metadata = metadata;
    issuer->keys = keys;
    pthread_mutex_unlock(&issuer->lock);
}

void
test_issuer_fail(struct test_issuer *issuer, int status)
{
    pthread_mutex_lock(&issuer->lock);
    issuer->status = status;
    pthread_mutex_unlock(&issuer->lock);
}

unsigned
test_issuer_fetches(struct test_issuer *issuer)
{
    pthread_mutex_lock(&issuer->lock);
    unsigned fetches = issuer->fetches;
    pthread_mutex_unlock(&issuer->lock);
    return fetches;
}

void
test_issuer_hold(struct test_issuer *issuer, bool hold)
{
    pthread_mutex_lock(&issuer->lock);
    issuer->is_held = hold;
    pthread_cond_broadcast(&issuer->changed);
    pthread_mutex_unlock(&issuer->lock);
}

void
test_issuer_await_held(struct test_issuer *issuer)
{
    pthread_mutex_lock(&issuer->lock);
    while (!issuer->somebody_waits)
        pthread_cond_wait(&issuer->changed, &issuer->lock);
    pthread_mutex_unlock(&issuer->lock);
}

struct str
test_issuer_sign(struct test_issuer *issuer, const char *header, const char *claims,
                 struct arena *arena)
{
    char *head = encode(header, strlen(header)), *body = encode(claims, strlen(claims));
    struct str text = arena_printf(arena, "%s.%s", head, body);
    const gnutls_datum_t to_sign = {.data = (unsigned char *)(uintptr_t)text.ptr,
                                    .size = (unsigned)text.len};
    gnutls_datum_t signature;

    assert_true(gnutls_privkey_sign_data2(issuer->key, GNUTLS_SIGN_RSA_SHA256, 0, &to_sign,
                                          &signature) >= 0);
    char *tail = encode(signature.data, signature.size);

    text = arena_printf(arena, "%.*s.%s", STR_ARG(text), tail);
    gnutls_free(signature.data);
    free(head);
    free(body);
    free(tail);
    return text;
}
