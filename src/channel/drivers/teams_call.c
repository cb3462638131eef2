/*
 * teams_call.c - tokens for sending, one call of the connector, and their outcomes sorted
 *
 * A token lasts an hour or more; one thread fetches it, five minutes before the old one ends, and
 * the others go on with the old one or wait. Only an answer that is JSON is believed about the
 * message or the recipient: an HTML page comes from something on the way, and says "later".
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"
#include "channel/drivers/teams.h"
#include "channel/form.h"
#include "channel/secrets.h"
#include "text/json.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define TOKEN_DEADLINE_MS 10000
#define TOKEN_WAIT_US (12 * US_PER_S)
#define TOKEN_EARLY_US (300 * US_PER_S)
#define TOKEN_MAX_BYTES 16384
#define TOKEN_LASTS_MIN_S 60
#define TOKEN_LASTS_MAX_S (48 * 3600)
#define FORM_MAX_BYTES 8192
#define URL_MAX_BYTES 4096
#define RETRY_AFTER_MAX_MS 3600000
#define WORDS_MAX_BYTES 100

/* --- sorting --- */

static const struct sorted {
    int http_status;
    const char *code; /* "" fits all */
    enum status status;
} sorted_errors[] = {
    {400, "MessageSizeTooBig", ST_TOO_LARGE},
    {400, "RequestEntityTooLarge", ST_TOO_LARGE},
    {401, "", ST_DENIED},
    {403, "BotNotInConversationRoster", ST_NOT_FOUND},
    {403, "ConversationBlockedByUser", ST_NOT_FOUND},
    {403, "UserBlockedBot", ST_NOT_FOUND},
    {403, "MessageWritesBlocked", ST_NOT_FOUND},
    {403, "BotDisabledByAdmin", ST_NOT_FOUND},
    {403, "InvalidBotApiHost", ST_NOT_FOUND},
    {403, "ForbiddenOperationException", ST_DENIED},
    {403, "NotEnoughPermissions", ST_DENIED},
    {403, "UnauthorizedAccess", ST_DENIED},
    {403, "UnknownTenant", ST_DENIED},
    {403, "ContentStreamNotAllowed",
     ST_CONFLICT}, /* ended, taken too long, stopped by the person */
    {404, "ActivityNotFoundInConversation", ST_CONFLICT},
    {404, "", ST_NOT_FOUND},
    {412, "", ST_BUSY}, /* somebody else changes the conversation */
    {413, "", ST_TOO_LARGE},
    {429, "", ST_BUSY},
};

static enum status
find_status(int http_status, struct str code)
{
    for (size_t i = 0; i < sizeof sorted_errors / sizeof sorted_errors[0]; i++) {
        const struct sorted *sorted = &sorted_errors[i];

        if (sorted->http_status == http_status &&
            (sorted->code[0] == '\0' || str_eq_c(code, sorted->code)))
            return sorted->status;
    }
    return http_status >= 500 || http_status < 400 ? ST_UNAVAILABLE : ST_INVALID;
}

static void
set_wait(struct err *err, int retry_after_ms)
{
    if (!status_is_passing(err->code))
        return;
    if (retry_after_ms > 0)
        err->retry_after_ms =
            retry_after_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : retry_after_ms;
    else if (err->code == ST_BUSY)
        err->retry_after_ms = 1000;
}

/* Words of theirs that both readers may see: one line of printable text. */
static struct str
words(struct str text)
{
    size_t length = 0;

    text = str_sub(text, 0, str_utf8_floor(text, WORDS_MAX_BYTES));
    while (length < text.len && (unsigned char)text.ptr[length] >= ' ')
        length++;
    return str_sub(text, 0, length);
}

enum status
teams_sort_answer(int http_status, struct str body, int retry_after_ms, json_t **answer_out,
                  struct err *err)
{
    json_auto_t *answer = NULL;
    struct err ignored;
    bool is_success = http_status >= 200 && http_status < 300;
    bool is_json = json_parse(body, &answer, &ignored) == ST_OK && json_is_object(answer);
    const json_t *error = json_get_object(answer, "error");
    struct str code = json_get_str(error, "code");
    enum status st;

    *answer_out = NULL;
    if (is_success) {
        if (!is_json && str_trim(body).len > 0)
            return err_set_detail(err, ST_UNCERTAIN, "teams %d: the answer cannot be read",
                                  http_status);
        *answer_out = is_json ? json_incref(answer) : NULL;
        return ST_OK;
    }
    st = find_status(http_status, code);
    if (is_json)
        err_set(err, st, "Teams %d %.*s%s%.*s", http_status, STR_ARG(words(code)),
                code.len > 0 ? ": " : "", STR_ARG(words(json_get_str(error, "message"))));
    else if (st == ST_TOO_LARGE || st == ST_BUSY || st == ST_DENIED)
        err_set_detail(err, st, "teams: http %d without JSON", http_status);
    else
        err_set_detail(err, ST_UNAVAILABLE, "teams: http %d without JSON", http_status);
    set_wait(err, retry_after_ms);
    return err->code;
}

enum status
teams_sort_token(int http_status, struct str body, int retry_after_ms, struct arena *arena,
                 struct str *token_out, int64_t *lasts_us_out, struct err *err)
{
    json_auto_t *answer = NULL;
    struct err ignored;

    (void)!json_parse(body, &answer, &ignored); /* what is none has none of the members below */
    struct str token = json_get_str(answer, "access_token"), error = json_get_str(answer, "error");
    int64_t lasts_s = json_get_int(answer, "expires_in", 0);

    if (http_status == 200 && token.len > 0 && token.len <= TOKEN_MAX_BYTES) {
        for (size_t i = 0; i < token.len; i++)
            if (token.ptr[i] <= ' ' || token.ptr[i] >= 127)
                return err_set_detail(err, ST_UNAVAILABLE, "the access token has odd bytes");
        lasts_s = lasts_s < TOKEN_LASTS_MIN_S   ? TOKEN_LASTS_MIN_S
                  : lasts_s > TOKEN_LASTS_MAX_S ? TOKEN_LASTS_MAX_S
                                                : lasts_s;
        *lasts_us_out = lasts_s * US_PER_S;
        *token_out = arena_str(arena, token);
        return ST_OK;
    }
    if ((http_status == 400 || http_status == 401 || http_status == 403) && error.len > 0)
        return err_set(err, ST_DENIED,
                       "Microsoft refuses the app id or password: %.*s (AADSTS%lld)",
                       STR_ARG(words(error)),
                       (long long)json_integer_value(
                           json_array_get(json_get_array(answer, "error_codes"), 0)));
    err_set_detail(err, http_status == 429 ? ST_BUSY : ST_UNAVAILABLE, "login: http %d %.*s",
                   http_status, STR_ARG(words(error)));
    set_wait(err, retry_after_ms);
    return err->code;
}

/* --- tokens --- */

static enum status
fetch_token(struct teams_channel *teams, struct arena *arena, struct str *token_out,
            int64_t *lasts_us_out, struct err *err)
{
    static const struct http_header headers[] = {
        {.name = "Content-Type", .value = STR_INIT("application/x-www-form-urlencoded")}};
    struct http_reply reply;
    struct buf form;

    buf_init(&form, FORM_MAX_BYTES);
    form_append(&form, "grant_type", STR("client_credentials"));
    form_append(&form, "client_id", teams->app_id);
    form_append(&form, "client_secret", teams->app_password);
    form_append(&form, "scope", teams->home.scope);
    const struct http_call call = {
        .method = "POST",
        .url = arena_printf(arena, "%.*s/%.*s/oauth2/v2.0/token", STR_ARG(teams->home.login_base),
                            STR_ARG(teams->home.authority)),
        .headers = headers,
        .header_count = 1,
        .body = buf_str(&form),
        .deadline_ms = TOKEN_DEADLINE_MS,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };
    enum status st = buf_check(&form, err);
    if (st == ST_OK)
        st = http_client_call(teams->base.env->http, &call, arena, &reply, err);
    if (form.ptr != NULL)
        explicit_bzero(form.ptr, form.len);
    buf_deinit(&form);
    if (st == ST_OK)
        st = teams_sort_token(reply.status, reply.body, reply.retry_after_ms, arena, token_out,
                              lasts_us_out, err);
    else if (st == ST_UNCERTAIN || st == ST_TOO_LARGE)
        /* Whatever became of it, no message was sent. */
        st = err_set_detail(err, ST_UNAVAILABLE, "the login did not answer");
    return st == ST_OK ? ST_OK : err_wrap(err, "teams token");
}

static void
replace_token(struct teams_channel *teams, struct str token, int64_t ends_us)
{
    if (teams->token != NULL)
        explicit_bzero(teams->token, strlen(teams->token));
    free(teams->token);
    assert(token.ptr != NULL);
    teams->token = str_dup(token);
    if (teams->token == NULL)
        abort();
    teams->token_ends_us = ends_us;
}

/* With the lock. Whether the token at hand counts for so long still, and is not the refused one. */
static bool
has_token(const struct teams_channel *teams, struct str former, int64_t early_us)
{
    return teams->token != NULL && !str_eq_c(former, teams->token) &&
           clock_mono_us(teams->base.env->clock) + early_us < teams->token_ends_us;
}

enum status
teams_token(struct teams_channel *teams, struct str former, struct arena *arena,
            struct str *token_out, struct err *err)
{
    int64_t give_up_us = clock_mono_us(clock_system()) + TOKEN_WAIT_US, lasts_us = 0;
    enum status st = ST_OK;

    pthread_mutex_lock(&teams->lock);
    while (teams->is_fetching && !has_token(teams, former, 0) && st == ST_OK)
        if (!cond_wait_until(&teams->fetched, &teams->lock, give_up_us))
            st = err_set_detail(err, ST_UNAVAILABLE, "another thread waits for the login");
    if (st == ST_OK && !teams->is_fetching && !has_token(teams, former, TOKEN_EARLY_US)) {
        struct str fresh = STR_EMPTY;

        teams->is_fetching = true;
        pthread_mutex_unlock(&teams->lock);
        st = fetch_token(teams, arena, &fresh, &lasts_us, err);
        pthread_mutex_lock(&teams->lock);
        teams->is_fetching = false;
        if (st == ST_OK)
            replace_token(teams, fresh, clock_mono_us(teams->base.env->clock) + lasts_us);
        else if (has_token(teams, former, 0))
            st = ST_OK; /* the old one will do a little longer */
        pthread_cond_broadcast(&teams->fetched);
    }
    if (st == ST_OK)
        *token_out = arena_str(arena, str_from_c(teams->token));
    pthread_mutex_unlock(&teams->lock);
    return st;
}

/* --- calling --- */

static enum status
call_once(struct teams_channel *teams, const struct teams_call *call, struct str token,
          struct arena *arena, struct http_reply *reply_out, struct err *err)
{
    const struct http_header headers[] = {
        {.name = "Authorization", .value = arena_printf(arena, "Bearer %.*s", STR_ARG(token))},
        {.name = "Content-Type", .value = STR("application/json")}};
    const struct http_call http = {
        .method = call->method,
        .url = arena_printf(arena, "%.*s%.*s", STR_ARG(call->service_url), STR_ARG(call->path)),
        .headers = headers,
        .header_count = call->body != NULL ? 2 : 1,
        .body = call->body != NULL ? json_text(call->body, arena) : STR_EMPTY,
        .deadline_ms = call->deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };

    if (http.url.len > URL_MAX_BYTES)
        return err_set(err, ST_INVALID, "the conversation's address is too long");
    return http_client_call(teams->base.env->http, &http, arena, reply_out, err);
}

enum status
teams_call(struct teams_channel *teams, const struct teams_call *call, struct arena *arena,
           json_t **answer_out, struct err *err)
{
    struct str token = STR_EMPTY, former;
    struct http_reply reply = {.status = 401};
    enum status st = ST_OK;

    *answer_out = NULL;
    /* A refused token is replaced once: it may have been withdrawn before its time. */
    for (int attempt = 0; attempt < 2 && st == ST_OK && reply.status == 401; attempt++) {
        former = token;
        st = teams_token(teams, former, arena, &token, err);
        if (st == ST_OK)
            st = call_once(teams, call, token, arena, &reply, err);
        else
            return st; /* nothing was sent */
    }
    if (st == ST_TOO_LARGE) /* it answered, at length: whatever was asked has been done */
        st = err_set_detail(err, ST_UNCERTAIN, "the answer was too large");
    else if (st == ST_OK) {
        struct str body = secret_masked(reply.body, token, arena);

        body = secret_masked(body, teams->app_password, arena);
        st = teams_sort_answer(reply.status, body, reply.retry_after_ms, answer_out, err);
    }
    return st == ST_OK ? ST_OK : err_wrap(err, "teams %s", call->method);
}
