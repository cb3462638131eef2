/*
 * meta.c - credentials, handshake and signature of Meta's webhooks
 *
 * The signature is over the bytes as they came: Meta escapes text before it signs, so nothing is
 * parsed first. It carries no time, so a replay is refused by the message's id alone.
 */
#include "channel/meta.h"

#include <sodium.h>
#include <string.h>

#include "channel/secrets.h"
#include "text/json.h"

#define SECRET_MIN_LEN 16
#define SECRET_MAX_LEN 256
#define TOKEN_MIN_LEN 20
#define TOKEN_MAX_LEN 2048
#define VERIFY_TOKEN_MIN_LEN 8
#define CHALLENGE_MAX_LEN 256
#define DIGEST_BYTES 16
#define MS_FROM INT64_C(100000000000)        /* as seconds: the year 5138 */
#define TIME_MAX_MS INT64_C(253402300799000) /* end of the year 9999 */

/* --- settings --- */

static bool
is_visible(struct str s, size_t min, size_t max)
{
    if (s.len < min || s.len > max)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

bool
meta_is_number(struct str s, size_t max_len)
{
    if (s.len == 0 || s.len > max_len)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

enum status
meta_check_bool(const json_t *settings, const char *key, struct err *err)
{
    const json_t *value = json_object_get(settings, key);

    if (value != NULL && !json_is_boolean(value))
        return err_set(err, ST_INVALID, "%s must be true or false", key);
    return ST_OK;
}

/* "v25.0" */
static bool
is_version(struct str s)
{
    struct str rest = str_sub(s, 1, s.len), major = STR_EMPTY;

    return str_starts_with(s, STR("v")) && str_split(&rest, '.', &major) &&
           meta_is_number(major, 3) && meta_is_number(rest, 2);
}

static enum status
check_settings(const json_t *settings, struct err *err)
{
    if (json_object_get(settings, "api_base") != NULL &&
        !channel_is_api_base(json_get_str(settings, "api_base")))
        return err_set(err, ST_INVALID, "api_base must be an http or https address");
    if (json_object_get(settings, "graph_version") != NULL &&
        !is_version(json_get_str(settings, "graph_version")))
        return err_set(err, ST_INVALID, "graph_version must be like \"v25.0\"");
    return meta_check_bool(settings, "appsecret_proof", err);
}

static void
make_verify_token(json_t *credentials)
{
    char token[SECRET_MADE_LEN + 1];

    secret_make(token);
    json_set_str(credentials, "verify_token", str_from_c(token));
    explicit_bzero(token, sizeof token);
}

static enum status
check_secret(const json_t *credentials, const char *key, bool must_be, size_t min, size_t max,
             struct err *err)
{
    if (!must_be && json_object_get(credentials, key) == NULL)
        return ST_OK;
    if (!is_visible(json_get_str(credentials, key), min, max))
        return err_set(err, ST_INVALID, "%s must be %zu to %zu characters without spaces", key, min,
                       max);
    return ST_OK;
}

enum status
meta_check_spec(const json_t *settings, json_t *credentials, struct err *err)
{
    enum status st =
        check_secret(credentials, "access_token", true, TOKEN_MIN_LEN, TOKEN_MAX_LEN, err);

    if (st == ST_OK)
        st = check_secret(credentials, "app_secret", true, SECRET_MIN_LEN, SECRET_MAX_LEN, err);
    if (st == ST_OK)
        st = check_secret(credentials, "previous_app_secret", false, SECRET_MIN_LEN, SECRET_MAX_LEN,
                          err);
    if (st == ST_OK && json_object_get(credentials, "verify_token") == NULL)
        make_verify_token(credentials);
    if (st == ST_OK)
        st = check_secret(credentials, "verify_token", true, VERIFY_TOKEN_MIN_LEN, SECRET_MAX_LEN,
                          err);
    if (st == ST_OK)
        st = check_secret(credentials, "previous_verify_token", false, VERIFY_TOKEN_MIN_LEN,
                          SECRET_MAX_LEN, err);
    return st == ST_OK ? check_settings(settings, err) : st;
}

/* --- webhooks --- */

/* At an address that several accounts share the token names one of them. */
static struct str
without_account(struct str account, struct str token)
{
    struct str rest = token, named = STR_EMPTY;

    if (str_find_byte(token, ':') < 0 || !str_split(&rest, ':', &named) || !str_eq(named, account))
        return STR_EMPTY;
    return rest;
}

enum status
meta_handshake(const struct channel_record *record, const struct webhook *webhook,
               const struct channel_env *env, struct arena *arena, struct webhook_reply *reply_out,
               struct err *err)
{
    const struct http_request *request = webhook->request;

    (void)env;
    (void)arena;
    if (request == NULL || request->method != HTTP_GET)
        return ST_NOT_FOUND;
    struct str challenge = http_request_query(request, "hub.challenge");

    if (!str_eq_c(http_request_query(request, "hub.mode"), "subscribe") ||
        !is_visible(challenge, 1, CHALLENGE_MAX_LEN))
        return err_set(err, ST_DENIED, "this is not the test of a callback address");
    struct str token = http_request_query(request, "hub.verify_token");

    if (!channel_secret_is(record, "verify_token", VERIFY_TOKEN_MIN_LEN, token) &&
        !channel_secret_is(record, "verify_token", VERIFY_TOKEN_MIN_LEN,
                           without_account(record->account, token)))
        return err_set(err, ST_DENIED, "wrong or missing hub.verify_token");
    *reply_out = (struct webhook_reply){200, "text/plain", challenge};
    return ST_OK;
}

enum status
meta_verify(const struct channel_record *record, const struct webhook *webhook,
            const struct channel_env *env, struct err *err)
{
    static const struct str prefix = STR_INIT("sha256=");

    (void)env;
    if (webhook->request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    struct str header = http_request_header(webhook->request, "X-Hub-Signature-256");
    const struct hmac_proof proof = {.hash = HMAC_SHA256,
                                     .text = HMAC_HEX,
                                     .pieces = &webhook->body,
                                     .piece_count = 1,
                                     .shown = str_sub(header, prefix.len, header.len)};

    if (!str_starts_with(header, prefix) ||
        !channel_secret_signed(record, "app_secret", SECRET_MIN_LEN, &proof))
        return err_set(err, ST_DENIED, "wrong or missing X-Hub-Signature-256");
    return ST_OK;
}

struct str
meta_event_id(struct arena *arena, const json_t *entry, struct str raw)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];

    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)raw.ptr, raw.len, NULL,
                             0);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    return arena_printf(arena, "bytes:%lld:%s", (long long)json_get_int(entry, "time", 0), hex);
}

bool
meta_read_time(const json_t *value, int64_t *wall_us_out)
{
    int64_t time = json_integer_value(value);

    if (!json_is_integer(value) &&
        !str_to_i64(str_of(json_string_value(value), json_string_length(value)), &time))
        return false;
    if (time < 0 || time > TIME_MAX_MS)
        return false;
    *wall_us_out = time > MS_FROM ? time * US_PER_MS : time * US_PER_S;
    return true;
}

/* --- opening --- */

enum status
meta_open(struct meta_account *account, const struct channel *channel, const char *base,
          struct err *err)
{
    const json_t *settings = channel->record->settings;
    const json_t *credentials = channel->record->credentials;
    struct str secret = json_get_str(credentials, "app_secret");

    account->http = channel->env->http;
    account->token = json_get_str(credentials, "access_token");
    account->version = json_get_str(settings, "graph_version");
    account->base = json_get_str(settings, "api_base");
    if (account->version.len == 0)
        account->version = STR("v25.0");
    if (account->base.len == 0)
        account->base = str_from_c(base);
    if (str_ends_with(account->base, STR("/")))
        account->base.len--;
    if (!is_visible(account->token, TOKEN_MIN_LEN, TOKEN_MAX_LEN))
        return err_set(err, ST_INVALID, "the channel has no valid access_token");
    if (!is_visible(secret, SECRET_MIN_LEN, SECRET_MAX_LEN))
        return err_set(err, ST_INVALID, "the channel has no valid app_secret");
    if (json_get_bool(settings, "appsecret_proof", false)) {
        struct arena *arena = arena_create(4096);
        const struct hmac_proof proof = {
            .hash = HMAC_SHA256, .text = HMAC_HEX, .pieces = &account->token, .piece_count = 1};
        struct str text = hmac_sign(secret, &proof, arena);

        memcpy(account->proof, text.ptr, META_PROOF_LEN);
        arena_destroy(&arena);
    }
    return ST_OK;
}
