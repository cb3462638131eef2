/*
 * instagram_token.c - the Instagram login's token, which ends after 60 days unless it is refreshed
 *
 *   GET {base}/refresh_access_token?grant_type=ig_refresh_token&access_token=T
 *       {"access_token": "...", "token_type": "bearer", "expires_in": 5183944}
 *
 * Without a version in the path; the token must be a day old and alive (Meta, "Instagram API with
 * Instagram Login: access tokens"). The old token goes on working until it ends. The token of a
 * Facebook login is a Page's and does not end.
 */
#include "base/buf.h"
#include "channel/drivers/instagram.h"
#include "channel/form.h"
#include "channel/secrets.h"
#include "text/json.h"

#define DEADLINE_MS 20000
#define QUERY_MAX_BYTES 8192
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define LASTS_MAX_S (INT64_C(400) * 86400)

static enum status
read_answer(const json_t *answer, json_t **credentials_out, int64_t *lasts_us_out, struct err *err)
{
    struct str token = json_get_str(answer, "access_token");
    int64_t lasts_s = json_get_int(answer, "expires_in", 0);

    if (token.len == 0 || lasts_s <= 0 || lasts_s > LASTS_MAX_S)
        return err_set(err, ST_UNAVAILABLE, "Meta's answer has no fresh token");
    *credentials_out = json_object();
    json_set_str(*credentials_out, "access_token", token);
    *lasts_us_out = lasts_s * US_PER_S;
    return ST_OK;
}

enum status
instagram_refresh(struct channel *channel, struct arena *arena, json_t **credentials_out,
                  int64_t *lasts_us_out, struct err *err)
{
    const struct instagram_channel *instagram = instagram_of(channel);
    const struct meta_account *account = &instagram->account;
    json_auto_t *answer = NULL;
    struct meta_error ignored;
    struct http_reply reply;
    struct buf query;
    enum status st;

    if (instagram->is_facebook_login)
        return err_set(err, ST_NOT_FOUND, "a Page's token does not end");
    buf_init(&query, QUERY_MAX_BYTES);
    form_append(&query, "grant_type", STR("ig_refresh_token"));
    form_append(&query, "access_token", account->token);
    st = buf_check(&query, err);
    if (st == ST_OK) {
        const struct http_call call = {
            .method = "GET",
            .url = arena_printf(arena, "%.*s/refresh_access_token?%.*s", STR_ARG(account->base),
                                STR_ARG(buf_str(&query))),
            .url_is_secret = true,
            .deadline_ms = DEADLINE_MS,
            .max_response_bytes = ANSWER_MAX_BYTES,
        };

        st = http_client_call(account->http, &call, arena, &reply, err);
    }
    buf_deinit(&query);
    /* A refusal may repeat the token; the answer that is wanted is one. */
    if (st == ST_OK)
        st = meta_sort_answer(
            reply.status,
            reply.status == 200 ? reply.body : secret_masked(reply.body, account->token, arena),
            reply.retry_after_ms, &answer, &ignored, err);
    if (st == ST_OK)
        st = read_answer(answer, credentials_out, lasts_us_out, err);
    if (st == ST_UNCERTAIN) /* the old token lives on: ask again */
        st = err_set(err, ST_UNAVAILABLE, "Meta's answer did not come");
    return st == ST_OK ? ST_OK : err_wrap(err, "refresh the token");
}
