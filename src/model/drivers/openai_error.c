/*
 * openai_error.c - sorting refusals by status, code and words
 */
#include "model/drivers/openai_error.h"

#include <string.h>

#include "text/json.h"

static struct str
error_field(const json_t *json, const char *key)
{
    const json_t *error = json_object_get(json, "error");

    if (json_is_object(error))
        return json_get_str(error, key);
    if (json_is_string(error) && strcmp(key, "message") == 0)
        return json_get_str(json, "error");
    if (error == NULL && strcmp(key, "message") == 0 && json_get_str(json, "message").len == 0)
        return json_get_str(json, "detail");
    return json_get_str(json, key);
}

static int64_t
error_number(const json_t *json)
{
    const json_t *error = json_object_get(json, "error");
    int64_t code = json_get_int(json_is_object(error) ? error : json, "code", 0);

    return code >= 400 && code <= 599 ? code : 0;
}

bool
openai_error_is(const json_t *json)
{
    const json_t *error = json_object_get(json, "error");

    if (error != NULL && !json_is_null(error))
        return true;
    return str_eq(json_get_str(json, "object"), STR("error")) ||
           (json_object_get(json, "choices") == NULL && json_object_get(json, "detail") != NULL);
}

/* Case does not count; ASCII alone. */
static bool
mentions(struct str text, const char *phrase)
{
    size_t len = strlen(phrase);

    for (size_t i = 0; i + len <= text.len; i++) {
        if (str_eq_nocase(str_sub(text, i, len), str_of(phrase, len)))
            return true;
    }
    return false;
}

static bool
mentions_any(struct str text, const char *const *phrases)
{
    for (; *phrases != NULL; phrases++) {
        if (mentions(text, *phrases))
            return true;
    }
    return false;
}

static bool
is_overflow(struct str code, struct str type, struct str message)
{
    static const char *const phrases[] = {"maximum context length", "context length exceeded",
                                          "context_length",         "context size",
                                          "context window",         "exceeds the available context",
                                          "prompt is too long",     "too many tokens",
                                          "input is too long",      NULL};

    return str_eq(code, STR("context_length_exceeded")) ||
           str_eq(type, STR("exceed_context_size_error")) || mentions_any(message, phrases);
}

/* The account cannot pay or is not allowed: waiting a second does not help. */
static bool
is_account(struct str code, struct str type)
{
    static const char *const words[] = {"insufficient_quota",
                                        "billing_hard_limit_reached",
                                        "billing_not_active",
                                        "account_deactivated",
                                        "insufficient_credits",
                                        "access_terminated",
                                        NULL};

    return mentions_any(code, words) || mentions_any(type, words);
}

static unsigned
refused_parameters(struct str code, struct str param, struct str message)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"temperature", OPENAI_TEMPERATURE},
                 {"max_completion_tokens", OPENAI_MAX_COMPLETION_TOKENS},
                 {"max_tokens", OPENAI_MAX_TOKENS},
                 {"stream_options", OPENAI_STREAM_OPTIONS}};
    static const char *const signs[] = {
        "unsupported",  "not supported",   "unrecognized",     "unknown",    "not permitted",
        "extra inputs", "extra_forbidden", "does not support", "unexpected", NULL};

    if (!mentions(code, "unsupported") && !mentions(code, "unknown_parameter") &&
        !mentions_any(message, signs))
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq_c(param, names[i].name))
            return names[i].bit;
    }
    /* "Use 'max_completion_tokens' instead" names the good one too: the first named is refused. */
    if (param.len == 0) {
        ptrdiff_t first = -1;
        unsigned bit = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            ptrdiff_t at = str_find(message, str_from_c(names[i].name));

            if (at >= 0 && (first < 0 || at < first)) {
                first = at;
                bit = names[i].bit;
            }
        }
        return bit;
    }
    return 0;
}

static void
copy_word(struct str word, char *out, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < word.len && kept + 1 < size; i++) {
        char c = word.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '_' || c == '-' || c == '.')
            out[kept++] = c;
    }
    out[kept] = '\0';
}

static void
copy_text(struct str text, struct str secret, char *out, size_t size)
{
    ptrdiff_t at = secret.len == 0 ? -1 : str_find(text, secret);
    size_t len;

    if (at >= 0)
        text.len = (size_t)at;
    len = str_utf8_floor(text, size - 1);
    if (len > 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static void
sort_by_status(struct openai_error *error)
{
    int status = error->http_status;

    if (status == 401 || status == 402 || status == 403 || status == 404) {
        error->status = ST_DENIED; /* key, credits, region, model: as configured it will not work */
    } else if (status == 413) {
        error->status = ST_TOO_LARGE;
    } else if (status == 429) {
        error->status = ST_BUSY;
        error->may_retry = true;
    } else if (status == 408 || status == 409 || status >= 500) {
        error->status = ST_UNAVAILABLE;
        error->may_retry = true;
    } else if (status >= 300) {
        error->status = ST_INVALID;
    } else {
        error->status = ST_UNAVAILABLE; /* a 200 that tells of an error and no more */
        error->may_retry = true;
    }
}

void
openai_error_read(int http_status, const json_t *json, struct str secret,
                  struct openai_error *error_out)
{
    struct str code = error_field(json, "code"), type = error_field(json, "type");
    struct str message = error_field(json, "message"), param = error_field(json, "param");
    int64_t number = error_number(json);

    *error_out = (struct openai_error){.http_status = http_status};
    if (http_status >= 200 && http_status <= 299)
        error_out->http_status = (int)number;
    copy_word(code.len > 0 ? code : type, error_out->code, sizeof(error_out->code));
    sort_by_status(error_out);
    if (error_out->http_status != 401 && error_out->http_status != 403)
        copy_text(message, secret, error_out->text, sizeof(error_out->text));

    if (is_overflow(code, type, message)) {
        error_out->status = ST_TOO_LARGE;
        error_out->may_retry = false;
    } else if (is_account(code, type)) {
        error_out->status = ST_DENIED;
        error_out->may_retry = false;
    } else if (error_out->http_status == 0 && mentions(code, "rate_limit")) {
        error_out->status = ST_BUSY;
    } else if (error_out->http_status == 0 && str_eq(type, STR("invalid_request_error"))) {
        error_out->status = ST_INVALID;
        error_out->may_retry = false;
    } else if (error_out->http_status == 0 &&
               (mentions(code, "invalid_api_key") || mentions(type, "authentication"))) {
        error_out->status = ST_DENIED;
        error_out->may_retry = false;
        error_out->text[0] = '\0';
    }
    if (error_out->status == ST_INVALID)
        error_out->refused = refused_parameters(code, param, message);
}
