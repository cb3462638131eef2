/*
 * telegram_call.c - one call of a Bot API method, and its outcome sorted
 *
 * The token stands in the URL, so the URL is a secret, and what comes back is searched for it
 * before any of it enters an error. Only an answer that is Telegram's JSON is believed about the
 * message or the recipient: an HTML page comes from something on the way, and says "later".
 */
#include "channel/drivers/telegram.h"

#include <string.h>

#include "base/buf.h"
#include "channel/secrets.h"
#include "text/json.h"

#define ANSWER_MAX_BYTES (4 * 1024 * 1024)
#define URL_MAX_BYTES 1024
#define RETRY_AFTER_MAX_MS 3600000
#define DESCRIPTION_MAX_BYTES 140

/* --- sorting --- */

static const struct sorted {
    int code;
    const char *begins; /* after "Bad Request: " and the like; "" fits all */
    enum status status;
} sorted_errors[] = {
    {400, "message is too long", ST_TOO_LARGE},
    {400, "file is too big", ST_TOO_LARGE},
    {400, "chat not found", ST_NOT_FOUND},
    {400, "user not found", ST_NOT_FOUND},
    {400, "PEER_ID_INVALID", ST_NOT_FOUND},
    {400, "USER_IS_BLOCKED", ST_NOT_FOUND},
    {400, "CHAT_WRITE_FORBIDDEN", ST_NOT_FOUND},
    {400, "have no rights to send", ST_NOT_FOUND},
    {400, "not enough rights to send", ST_NOT_FOUND},
    {400, "need administrator rights in the channel chat", ST_NOT_FOUND},
    {400, "", ST_INVALID},
    {401, "", ST_DENIED},
    {403, "", ST_NOT_FOUND},
    {404, "method not found", ST_INTERNAL},
    {404, "", ST_DENIED}, /* a token that is none */
    {409, "", ST_CONFLICT},
    {413, "", ST_TOO_LARGE},
    {429, "", ST_BUSY},
};

/* "Bad Request: chat not found" -> "chat not found" */
static struct str
without_class(struct str description)
{
    ptrdiff_t colon = str_find(description, STR(": "));

    return colon < 0 ? description : str_sub(description, (size_t)colon + 2, description.len);
}

static enum status
find_status(int code, struct str reason)
{
    for (size_t i = 0; i < sizeof sorted_errors / sizeof sorted_errors[0]; i++)
        if (sorted_errors[i].code == code) {
            struct str begins = str_from_c(sorted_errors[i].begins);

            if (str_starts_with(reason, begins))
                return sorted_errors[i].status;
        }
    return code >= 500 ? ST_UNAVAILABLE : ST_INVALID;
}

static int
wait_of(int64_t seconds, int header_ms)
{
    int64_t wait_ms = seconds > 0 && seconds < 1000000 ? seconds * 1000 : header_ms;

    if (wait_ms <= 0)
        return 1000;
    return wait_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int)wait_ms;
}

static enum status
sort_refusal(int http_status, const json_t *answer, int retry_after_ms,
             struct telegram_answer *answer_out, struct err *err)
{
    int64_t code = json_get_int(answer, "error_code", http_status);
    struct str description = json_get_str(answer, "description");
    struct str reason = without_class(description);
    const json_t *parameters = json_get_object(answer, "parameters");
    int64_t moved_to = json_get_int(parameters, "migrate_to_chat_id", 0);
    int64_t retry_after_s = json_get_int(parameters, "retry_after", 0);

    if (code < 400 || code > 599)
        code = http_status;
    enum status st = find_status((int)code, reason);
    if (code == 400 && moved_to != 0) {
        answer_out->migrated_to = moved_to;
        st = ST_CONFLICT;
    }
    /* Two pollers are a conflict too, and not one that we should settle. */
    answer_out->webhook_is_set = code == 409 && str_find(reason, STR("webhook is active")) >= 0;
    answer_out->cannot_parse = code == 400 && str_find(reason, STR("can't parse entities")) >= 0;
    /* Telegram's words are for both readers: staff sees why a message did not go out. */
    err_set(err, st, "Telegram %lld: %.*s", (long long)code,
            STR_ARG(str_sub(description, 0, str_utf8_floor(description, DESCRIPTION_MAX_BYTES))));
    if (status_is_passing(st))
        err->retry_after_ms = retry_after_s > 0 || retry_after_ms > 0 || st == ST_BUSY
                                  ? wait_of(retry_after_s, retry_after_ms)
                                  : 0;
    return st;
}

enum status
telegram_sort_answer(int http_status, struct str body, int retry_after_ms,
                     struct telegram_answer *answer_out, struct err *err)
{
    json_auto_t *answer = NULL;
    struct err parse_err;
    bool is_success = http_status >= 200 && http_status < 300;
    bool is_telegram = json_parse(body, &answer, &parse_err) == ST_OK &&
                       json_is_boolean(json_object_get(answer, "ok"));

    *answer_out = (struct telegram_answer){.result = NULL};
    if (!is_telegram && is_success)
        return err_set_detail(err, ST_UNCERTAIN, "telegram %d: the answer cannot be read",
                              http_status);
    if (!is_telegram) {
        /* Not Telegram's words: something between us and Telegram. Only "too large" is plain. */
        enum status st = http_status == 413   ? ST_TOO_LARGE
                         : http_status == 429 ? ST_BUSY
                                              : ST_UNAVAILABLE;

        err_set_detail(err, st, "http %d without Telegram's JSON", http_status);
        if (st != ST_TOO_LARGE && (st == ST_BUSY || retry_after_ms > 0))
            err->retry_after_ms = wait_of(0, retry_after_ms);
        return st;
    }
    if (!json_get_bool(answer, "ok", false))
        return sort_refusal(is_success ? 500 : http_status, answer, retry_after_ms, answer_out,
                            err);
    json_t *result = json_object_get(answer, "result");
    if (result == NULL || !is_success)
        return err_set_detail(err, ST_UNCERTAIN, "telegram %d: an answer without result",
                              http_status);
    answer_out->result = json_incref(result);
    return ST_OK;
}

/* --- calling --- */

/* The provider's own words could repeat the URL, and the URL holds the token. */
static struct str
without_token(const struct telegram_channel *telegram, struct str body, struct arena *arena)
{
    return secret_masked(
        body, str_sub(telegram->token, telegram->bot_id_text.len + 1, telegram->token.len), arena);
}

enum status
telegram_call(struct telegram_channel *telegram, const char *method, const json_t *parameters,
              unsigned deadline_ms, struct arena *arena, struct telegram_answer *answer_out,
              struct err *err)
{
    static const struct http_header headers[] = {
        {.name = "Content-Type", .value = STR_INIT("application/json")}};
    char url[URL_MAX_BYTES];
    struct http_reply reply;

    *answer_out = (struct telegram_answer){.result = NULL};
    int length = snprintf(url, sizeof url, "%.*s/bot%.*s/%s", STR_ARG(telegram->api_base),
                          STR_ARG(telegram->token), method);
    if (length < 0 || (size_t)length >= sizeof url)
        return err_set(err, ST_INVALID, "api_base is too long");
    const struct http_call call = {
        .method = "POST",
        .url = str_of(url, (size_t)length),
        .url_is_secret = true,
        .headers = headers,
        .header_count = 1,
        .body = json_text(parameters, arena),
        .deadline_ms = deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };
    enum status st = http_client_call(telegram->base.env->http, &call, arena, &reply, err);
    explicit_bzero(url, sizeof url);
    if (st == ST_OK) {
        struct str body = reply.status >= 200 && reply.status < 300
                              ? reply.body
                              : without_token(telegram, reply.body, arena);
        st = telegram_sort_answer(reply.status, body, reply.retry_after_ms, answer_out, err);
    } else if (st == ST_TOO_LARGE)
        /* It answered, at length: whatever was asked has been done. */
        st = err_set_detail(err, ST_UNCERTAIN, "the answer was too large");
    if (st == ST_OK)
        return ST_OK;
    return err_wrap(err, "telegram %s", method);
}
