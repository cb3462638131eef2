/*
 * meta_call.c - one call of the Graph API, and what an error of it means
 *
 * Most refusals come as HTTP 400: error.code decides. Only Meta's own JSON is believed about the
 * message or the recipient; a page of HTML comes from something on the way, and says "later".
 * Sources: WhatsApp Cloud API "Error codes", Instagram Platform and Messenger "Error codes" (2026).
 */
#include "channel/meta.h"

#include <string.h>

#include "channel/secrets.h"
#include "text/json.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define WAIT_MAX_MS 3600000
#define WORDS_MAX_BYTES 120
#define SEND_DEADLINE_MS 20000
#define MESSAGE_ID_MAX_LEN 512
#define FETCH_DEADLINE_MS 120000
#define FETCH_STALL_MS 20000
#define NO_CODE (-1000)

/* --- sorting --- */

/* wait_s: how long a refusal for haste lasts. Meta names no time; these are its documents' rates
 * (one message in six seconds to a person) and the minutes over which it counts. */
static const struct sorted {
    int64_t code;    /* ANY: with this subcode */
    int64_t subcode; /* ANY: whatever it is */
    enum status status;
    int wait_s;
} sorted_errors[] = {
#define ANY INT64_MIN
    /* The person wrote too long ago. */
    {131047, ANY, ST_CONFLICT, 0},
    {2534022, ANY, ST_CONFLICT, 0},
    {ANY, 2534022, ST_CONFLICT, 0},
    {10, 2018278, ST_CONFLICT, 0},
    /* This recipient cannot be reached. */
    {131026, ANY, ST_NOT_FOUND, 0},
    {131030, ANY, ST_NOT_FOUND, 0},
    {130497, ANY, ST_NOT_FOUND, 0},
    {551, ANY, ST_NOT_FOUND, 0},
    {ANY, 1545041, ST_NOT_FOUND, 0},
    {100, 2018001, ST_NOT_FOUND, 0},
    {100, 2534014, ST_NOT_FOUND, 0},
    /* The account or its credentials. */
    {100, 33, ST_DENIED, 0}, /* no such object, or no right to it */
    {0, ANY, ST_DENIED, 0},
    {3, ANY, ST_DENIED, 0},
    {10, ANY, ST_DENIED, 0},
    {33, ANY, ST_DENIED, 0},
    {102, ANY, ST_DENIED, 0},
    {190, ANY, ST_DENIED, 0},
    {368, ANY, ST_DENIED, 0},
    {131005, ANY, ST_DENIED, 0},
    {131031, ANY, ST_DENIED, 0},
    {131037, ANY, ST_DENIED, 0},
    {131042, ANY, ST_DENIED, 0},
    {131045, ANY, ST_DENIED, 0},
    {133010, ANY, ST_DENIED, 0},
    /* Too fast. */
    {4, ANY, ST_BUSY, 60},
    {17, ANY, ST_BUSY, 60},
    {32, ANY, ST_BUSY, 60},
    {613, ANY, ST_BUSY, 60},
    {80002, ANY, ST_BUSY, 60},
    {80006, ANY, ST_BUSY, 60},
    {80007, ANY, ST_BUSY, 60},
    {130429, ANY, ST_BUSY, 2},
    {131048, ANY, ST_BUSY, 600},
    {131056, ANY, ST_BUSY, 6},
    {132069, ANY, ST_BUSY, 600},
    {133016, ANY, ST_BUSY, 3600},
    /* Meta's own trouble: nothing was done. */
    {-1, ANY, ST_UNAVAILABLE, 0},
    {1, ANY, ST_UNAVAILABLE, 0},
    {2, ANY, ST_UNAVAILABLE, 0},
    {1200, ANY, ST_UNAVAILABLE, 0},
    {131000, ANY, ST_UNAVAILABLE, 0},
    {131016, ANY, ST_UNAVAILABLE, 0},
    {131057, ANY, ST_UNAVAILABLE, 60}, /* under maintenance */
    {133004, ANY, ST_UNAVAILABLE, 0},
};

static const struct sorted *
find_sorted(int64_t code, int64_t subcode)
{
    for (size_t i = 0; i < sizeof sorted_errors / sizeof sorted_errors[0]; i++) {
        const struct sorted *sorted = &sorted_errors[i];

        if ((sorted->code == ANY || sorted->code == code) &&
            (sorted->subcode == ANY || sorted->subcode == subcode))
            return sorted;
    }
    return NULL;
}

/* What no row names: rights (200 to 299), then what the error and HTTP say about themselves. */
static enum status
sort_unlisted(const json_t *error, int64_t code, int http_status)
{
    if (code >= 200 && code < 300)
        return ST_DENIED;
    if (json_get_bool(error, "is_transient", false) || http_status >= 500)
        return ST_UNAVAILABLE;
    if (http_status == 401)
        return ST_DENIED;
    if (http_status == 429)
        return ST_BUSY;
    return ST_INVALID;
}

static struct str
short_words(struct str words)
{
    return str_sub(words, 0, str_utf8_floor(words, WORDS_MAX_BYTES));
}

enum status
meta_sort_error(const json_t *error, int http_status, struct meta_error *error_out, struct err *err)
{
    int64_t code = json_get_int(error, "code", http_status > 0 ? http_status : NO_CODE);
    int64_t subcode = json_get_int(error, "error_subcode", 0);
    const struct sorted *sorted = find_sorted(code, subcode);
    enum status st = sorted != NULL ? sorted->status : sort_unlisted(error, code, http_status);
    struct str words = json_get_str(json_get_object(error, "error_data"), "details");

    if (words.len == 0)
        words = json_get_str(error, "message");
    if (words.len == 0)
        words = json_get_str(error, "title");
    *error_out = (struct meta_error){
        .code = code,
        .subcode = subcode,
        .window_is_closed = st == ST_CONFLICT,
    };
    /* Meta's words are for both readers: staff sees why a message did not go out. */
    err_set(err, st, "Meta %lld: %.*s", (long long)code, STR_ARG(short_words(words)));
    err->retry_after_ms = sorted != NULL ? sorted->wait_s * 1000 : 0;
    if (st == ST_BUSY && err->retry_after_ms == 0)
        err->retry_after_ms = 1000;
    return st;
}

static int
longer_wait(int wait_ms, int told_ms)
{
    int longer = told_ms > wait_ms ? told_ms : wait_ms;

    return longer > WAIT_MAX_MS ? WAIT_MAX_MS : longer;
}

enum status
meta_sort_answer(int http_status, struct str body, int retry_after_ms, json_t **answer_out,
                 struct meta_error *error_out, struct err *err)
{
    json_auto_t *answer = NULL;
    struct err parse_err;
    bool is_success = http_status >= 200 && http_status < 300;
    bool is_object = json_parse(body, &answer, &parse_err) == ST_OK && json_is_object(answer);
    const json_t *error = json_get_object(answer, "error");
    enum status st;

    *answer_out = NULL;
    *error_out = (struct meta_error){.code = 0};
    if (is_success && is_object && error == NULL) {
        *answer_out = json_incref(answer);
        return ST_OK;
    }
    if (is_success && !is_object)
        return err_set_detail(err, ST_UNCERTAIN, "meta %d: the answer cannot be read", http_status);
    if (error != NULL) {
        st = meta_sort_error(error, is_success ? 500 : http_status, error_out, err);
    } else {
        /* Not Meta's words: something between us and Meta. Only "too large" is plain. */
        st = http_status == 413 ? ST_TOO_LARGE : http_status == 429 ? ST_BUSY : ST_UNAVAILABLE;
        err_set_detail(err, st, "http %d without Meta's JSON", http_status);
        err->retry_after_ms = st == ST_BUSY ? 1000 : 0;
    }
    if (status_is_passing(st))
        err->retry_after_ms = longer_wait(err->retry_after_ms, retry_after_ms);
    return st;
}

/* --- calling --- */

static struct str
call_url(const struct meta_account *account, struct str path, struct arena *arena)
{
    bool has_query = str_find_byte(path, '?') >= 0;

    return arena_printf(arena, "%.*s/%.*s/%.*s%s%s", STR_ARG(account->base),
                        STR_ARG(account->version), STR_ARG(path),
                        account->proof[0] == '\0' ? ""
                        : has_query               ? "&appsecret_proof="
                                                  : "?appsecret_proof=",
                        account->proof);
}

static struct http_header
bearer(const struct meta_account *account, struct arena *arena)
{
    return (struct http_header){.name = "Authorization",
                                .value =
                                    arena_printf(arena, "Bearer %.*s", STR_ARG(account->token))};
}

enum status
meta_call(const struct meta_account *account, struct str path, const json_t *body,
          unsigned deadline_ms, struct arena *arena, json_t **answer_out,
          struct meta_error *error_out, struct err *err)
{
    const struct http_header headers[] = {
        bearer(account, arena), {.name = "Content-Type", .value = STR_INIT("application/json")}};
    const struct http_call call = {
        .method = body == NULL ? "GET" : "POST",
        .url = call_url(account, path, arena),
        .url_is_secret = account->proof[0] != '\0',
        .headers = headers,
        .header_count = body == NULL ? 1 : 2,
        .body = body == NULL ? STR_EMPTY : json_text(body, arena),
        .deadline_ms = deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };
    struct http_reply reply;
    enum status st = http_client_call(account->http, &call, arena, &reply, err);

    *answer_out = NULL;
    *error_out = (struct meta_error){.code = 0};
    if (st == ST_OK)
        /* Some errors repeat the token. */
        st = meta_sort_answer(reply.status, secret_masked(reply.body, account->token, arena),
                              reply.retry_after_ms, answer_out, error_out, err);
    else if (st == ST_TOO_LARGE)
        /* It answered, at length: whatever was asked has been done. */
        st = err_set_detail(err, ST_UNCERTAIN, "the answer was too large");
    if (st == ST_OK)
        return ST_OK;
    /* Asking changes nothing, so it may simply be done again. */
    if (st == ST_UNCERTAIN && body == NULL)
        (void)err_set_detail(err, ST_UNAVAILABLE, "the question was not answered");
    return err_wrap(err, "meta");
}

enum status
meta_send(const struct meta_account *account, struct str path, json_t *const *messages,
          size_t count, struct str (*id_of)(const json_t *answer), struct arena *arena,
          struct str *id_out, struct err *err)
{
    enum status st = ST_OK;

    *id_out = STR_EMPTY;
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        json_t *answer = NULL;
        struct meta_error ignored;

        st = meta_call(account, path, messages[i], SEND_DEADLINE_MS, arena, &answer, &ignored, err);
        struct str id = st == ST_OK ? id_of(answer) : STR_EMPTY;

        if (st == ST_OK && (id.len == 0 || id.len > MESSAGE_ID_MAX_LEN))
            st = err_set_detail(err, ST_UNCERTAIN, "meta accepted without a message id");
        if (st == ST_OK)
            *id_out = arena_str(arena, id);
        json_decref(answer);
        /* The first ones are with the person: repeating the whole would repeat them. */
        if (st != ST_OK && i > 0)
            st = err_set(err, ST_UNCERTAIN, "only %zu of %zu messages were sent", i, count);
    }
    return st;
}

/* --- files --- */

/* "https://host:port/..." -> "host:port"; empty unless it is https or http. */
static struct str
host_of(struct str url)
{
    struct str rest = STR_EMPTY, host = STR_EMPTY;

    if (str_starts_with(url, STR("https://")))
        rest = str_sub(url, 8, url.len);
    else if (str_starts_with(url, STR("http://")))
        rest = str_sub(url, 7, url.len);
    (void)str_split(&rest, '/', &host);
    return host;
}

/* Where the token may go: where it goes anyway, and to the hosts that Meta keeps files on. */
static bool
may_have_token(const struct meta_account *account, struct str url)
{
    static const struct str suffixes[] = {STR_INIT(".fbsbx.com"), STR_INIT(".facebook.com"),
                                          STR_INIT(".fbcdn.net"), STR_INIT(".whatsapp.net"),
                                          STR_INIT(".instagram.com")};
    struct str host = host_of(url);

    if (host.len > 0 && str_eq(host, host_of(account->base)) &&
        str_starts_with(url, STR("https://")) == str_starts_with(account->base, STR("https://")))
        return true;
    if (!str_starts_with(url, STR("https://")) || str_find_byte(host, '@') >= 0 ||
        str_find_byte(host, '\\') >= 0 || str_find_byte(host, '?') >= 0 ||
        str_find_byte(host, '#') >= 0)
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (str_ends_with(host, suffixes[i]))
            return true;
    return false;
}

enum status
meta_fetch(const struct meta_account *account, struct str url, bool with_token,
           const struct media_sink *sink, struct arena *arena, struct str *mime_type_out,
           struct err *err)
{
    const struct http_header headers[] = {bearer(account, arena)};
    const struct http_call call = {
        .method = "GET",
        .url = url,
        .url_is_secret = true, /* it is a key to the file */
        .headers = headers,
        .header_count = with_token ? 1 : 0,
        .deadline_ms = FETCH_DEADLINE_MS,
        .stall_ms = FETCH_STALL_MS,
        .max_response_bytes = sink->max_bytes,
        .sink = sink->write,
        .sink_context = sink->context,
    };
    struct http_reply reply;

    *mime_type_out = STR_EMPTY;
    if (with_token && !may_have_token(account, url))
        return err_set(err, ST_INVALID, "the file's address is not one of Meta's");
    enum status st = http_client_call(account->http, &call, arena, &reply, err);
    if (st == ST_UNCERTAIN)
        return err_set_detail(err, ST_UNAVAILABLE, "the file did not come whole");
    if (st != ST_OK)
        return err_wrap(err, "fetch a file");
    if (reply.ended_by_sink)
        return err_set(err, ST_INVALID, "the file was not wanted");
    if (reply.status == 404 || reply.status == 410 || reply.status == 403)
        return err_set(err, ST_NOT_FOUND, "Meta has the file no longer");
    if (reply.status == 401)
        return err_set(err, ST_DENIED, "Meta refuses the access token");
    if (reply.status == 429 || reply.status >= 500) {
        st = err_set_detail(err, ST_UNAVAILABLE, "http %d instead of the file", reply.status);
        err->retry_after_ms = longer_wait(0, reply.retry_after_ms);
        return st;
    }
    if (reply.status < 200 || reply.status > 299)
        return err_set(err, ST_INVALID, "http %d instead of the file", reply.status);
    *mime_type_out = arena_str(arena, reply.content_type);
    return ST_OK;
}
