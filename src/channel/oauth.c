/*
 * oauth.c - see the header
 */
#include "channel/oauth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "text/json.h"

#define FETCH_DEADLINE_MS 20000
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define TOKEN_MAX_BYTES 16384
#define FORM_MAX_BYTES ((size_t)4 * 3 * TOKEN_MAX_BYTES)
#define EARLY_US (60 * US_PER_S) /* a login takes its time */
#define LIFE_DEFAULT_S 600       /* where the endpoint does not say */
#define LIFE_MAX_S 86400

struct oauth {
    struct oauth_client client;
    pthread_mutex_t lock; /* guards all below; held while the endpoint is asked, for one to ask */
    char *refresh_token;  /* owned; another than the client's when it was replaced */
    char *access_token;   /* owned; NULL: none */
    int64_t ends_us;
};

static void
set_secret(char **at, struct str value)
{
    char *copy = value.len == 0 ? NULL : str_dup(value);

    if (value.len > 0 && copy == NULL)
        abort();
    if (*at != NULL)
        explicit_bzero(*at, strlen(*at));
    free(*at);
    *at = copy;
}

struct oauth *
oauth_create(const struct oauth_client *client)
{
    struct oauth *oauth = calloc(1, sizeof *oauth);

    if (oauth == NULL)
        abort();
    oauth->client = *client;
    pthread_mutex_init(&oauth->lock, NULL);
    set_secret(&oauth->refresh_token, client->refresh_token);
    return oauth;
}

void
oauth_destroy(struct oauth **oauth_ref)
{
    struct oauth *oauth = *oauth_ref;

    if (oauth == NULL)
        return;
    set_secret(&oauth->refresh_token, STR_EMPTY);
    set_secret(&oauth->access_token, STR_EMPTY);
    pthread_mutex_destroy(&oauth->lock);
    free(oauth);
    *oauth_ref = NULL;
}

/* --- the endpoint --- */

static void
append_field(struct buf *form, const char *name, struct str value)
{
    if (value.len == 0)
        return;
    buf_printf(form, "%s%s=", form->len == 0 ? "" : "&", name);
    buf_append_url_escaped(form, value);
}

/* "invalid_grant" and the like: RFC 6749, section 5.2. Its words are an operator's to read. */
static enum status
sort_refusal(const struct http_reply *reply, const json_t *answer, struct err *err)
{
    struct str code = json_get_str(answer, "error");
    bool is_final = reply->status >= 400 && reply->status < 500 && reply->status != 429 &&
                    code.len > 0 && !str_eq_c(code, "temporarily_unavailable");

    if (is_final)
        return err_set(err, ST_DENIED, "the sign-in provider refuses to give a token: %.*s",
                       STR_ARG(str_sub(code, 0, str_utf8_floor(code, 60))));
    err_set(err, ST_UNAVAILABLE, "the sign-in provider gives no token now (%d)", reply->status);
    err->retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : 0;
    return ST_UNAVAILABLE;
}

static enum status
read_answer(struct oauth *oauth, const struct http_reply *reply, struct err *err)
{
    json_auto_t *answer = NULL;
    struct err ignored;
    bool is_json = json_parse(reply->body, &answer, &ignored) == ST_OK && json_is_object(answer);
    struct str access = json_get_str(answer, "access_token");
    struct str refresh = json_get_str(answer, "refresh_token");
    int64_t life_s = json_get_int(answer, "expires_in", LIFE_DEFAULT_S);

    if (reply->status != 200 || !is_json)
        return sort_refusal(reply, is_json ? answer : NULL, err);
    if (access.len == 0 || access.len > TOKEN_MAX_BYTES || refresh.len > TOKEN_MAX_BYTES)
        return err_set(err, ST_UNAVAILABLE, "the sign-in provider's answer has no token");
    for (size_t i = 0; i < access.len; i++)
        if (access.ptr[i] <= ' ' || access.ptr[i] > '~') /* it stands in a login */
            return err_set(err, ST_UNAVAILABLE, "the sign-in provider's token cannot be one");
    if (life_s < 0 || life_s > LIFE_MAX_S)
        life_s = LIFE_MAX_S;
    set_secret(&oauth->access_token, access);
    oauth->ends_us = clock_mono_us(oauth->client.clock) + life_s * US_PER_S;
    if (refresh.len > 0)
        set_secret(&oauth->refresh_token, refresh);
    return ST_OK;
}

static enum status
fetch(struct oauth *oauth, struct arena *arena, struct err *err)
{
    static const struct http_header headers[] = {
        {.name = "Content-Type", .value = STR_INIT("application/x-www-form-urlencoded")},
        {.name = "Accept", .value = STR_INIT("application/json")}};
    const struct oauth_client *client = &oauth->client;
    struct http_reply reply;
    struct buf form;
    enum status st;

    buf_init(&form, FORM_MAX_BYTES);
    append_field(&form, "grant_type", STR("refresh_token"));
    append_field(&form, "refresh_token", str_from_c(oauth->refresh_token));
    append_field(&form, "client_id", client->client_id);
    append_field(&form, "client_secret", client->client_secret);
    append_field(&form, "scope", client->scope);
    const struct http_call call = {.method = "POST",
                                   .url = client->token_url,
                                   .headers = headers,
                                   .header_count = 2,
                                   .body = buf_str(&form),
                                   .deadline_ms = FETCH_DEADLINE_MS,
                                   .max_response_bytes = ANSWER_MAX_BYTES};
    st = buf_check(&form, err);
    if (st == ST_OK)
        st = http_client_call(client->http, &call, arena, &reply, err);
    if (st == ST_UNCERTAIN || st == ST_DENIED || st == ST_TOO_LARGE) /* not the provider's word */
        st = err->code = ST_UNAVAILABLE;
    if (form.len > 0)
        explicit_bzero(form.ptr, form.len);
    buf_deinit(&form);
    return st == ST_OK ? read_answer(oauth, &reply, err) : st;
}

/* --- tokens --- */

enum status
oauth_token(struct oauth *oauth, struct str refused, struct arena *arena, struct str *token_out,
            struct err *err)
{
    enum status st = ST_OK;

    *token_out = STR_EMPTY;
    pthread_mutex_lock(&oauth->lock);
    if (oauth->access_token == NULL ||
        clock_mono_us(oauth->client.clock) >= oauth->ends_us - EARLY_US ||
        (refused.len > 0 && str_eq_secret(str_from_c(oauth->access_token), refused)))
        st = fetch(oauth, arena, err);
    if (st == ST_OK)
        *token_out = arena_str(arena, str_from_c(oauth->access_token));
    pthread_mutex_unlock(&oauth->lock);
    return st == ST_OK ? ST_OK : err_wrap(err, "oauth");
}

bool
oauth_new_refresh_token(struct oauth *oauth, struct arena *arena, struct str *token_out)
{
    bool is_new;

    pthread_mutex_lock(&oauth->lock);
    *token_out = arena_str(arena, str_from_c(oauth->refresh_token));
    is_new = !str_eq_secret(*token_out, oauth->client.refresh_token);
    pthread_mutex_unlock(&oauth->lock);
    return is_new;
}

void
oauth_inherit(struct oauth *oauth, struct oauth *former)
{
    struct str mine = oauth->client.refresh_token;

    /* The new one is not shared yet: only the former one's lock counts. */
    pthread_mutex_lock(&former->lock);
    if (str_eq_secret(mine, former->client.refresh_token) ||
        str_eq_secret(mine, str_from_c(former->refresh_token))) {
        set_secret(&oauth->refresh_token, str_from_c(former->refresh_token));
        set_secret(&oauth->access_token, str_from_c(former->access_token));
        oauth->ends_us = former->ends_us;
    }
    pthread_mutex_unlock(&former->lock);
}
