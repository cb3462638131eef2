/*
 * twilio_call.c - one call of Twilio's API, and its outcome sorted
 *
 * Twilio says what is wrong by a number; the table says what each means for us. A number that is
 * not in it is judged by the HTTP status. Only an answer that is Twilio's JSON is believed about
 * the message or the recipient: an HTML page comes from something on the way, and says "later".
 */
#include "channel/drivers/twilio.h"

#include <string.h>

#include "text/json.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define RETRY_AFTER_MAX_MS 3600000
#define BUSY_WAIT_MS 1000
#define DAY_IS_FULL_WAIT_MS 3600000
#define MESSAGE_MAX_BYTES 120

/* words: for people, where Twilio gives none (status callbacks). */
static const struct sorted {
    int64_t code;
    enum status status;
    const char *words;
} sorted_codes[] = {
    /* later */
    {20429, ST_BUSY, "too many requests"},
    {14107, ST_BUSY, "sending too fast"},
    {63018, ST_BUSY, "WhatsApp's rate limit"},
    {63038, ST_BUSY, "the account's daily limit of messages"},
    {30001, ST_BUSY, "Twilio's queue is full"},
    {20500, ST_UNAVAILABLE, "Twilio's error"},
    {20503, ST_UNAVAILABLE, "Twilio is not available"},
    {30008, ST_UNAVAILABLE, "unknown error of the carrier"},
    {63010, ST_UNAVAILABLE, "internal error of the channel"},
    {63017, ST_UNAVAILABLE, "internal error of the channel"},
    /* the account: a person must look */
    {20003, ST_DENIED, "the credentials are refused"},
    {20404, ST_DENIED, "there is no such account or resource"},
    {20008, ST_DENIED, "these are test credentials"},
    {21606, ST_DENIED, "the sender is not of this account"},
    {21659, ST_DENIED, "the sender is not of this account"},
    {21660, ST_DENIED, "the sender is of another account"},
    {21703, ST_DENIED, "the messaging service has no senders"},
    {63007, ST_DENIED, "the account has no such WhatsApp sender"},
    {30002, ST_DENIED, "the account is suspended"},
    {30034, ST_DENIED, "the number is not registered for A2P 10DLC"},
    /* the recipient */
    {21211, ST_NOT_FOUND, "not a phone number"},
    {21214, ST_NOT_FOUND, "the number cannot be reached"},
    {21408, ST_NOT_FOUND, "sending to this country is not enabled"},
    {21610, ST_NOT_FOUND, "the recipient has opted out (STOP)"},
    {21612, ST_NOT_FOUND, "the number cannot be reached from this sender"},
    {21614, ST_NOT_FOUND, "not a mobile number"},
    {30003, ST_NOT_FOUND, "the handset cannot be reached"},
    {30004, ST_NOT_FOUND, "the message was blocked"},
    {30005, ST_NOT_FOUND, "unknown handset"},
    {30006, ST_NOT_FOUND, "a landline, or a carrier that cannot be reached"},
    {63003, ST_NOT_FOUND, "not a WhatsApp address"},
    {63024, ST_NOT_FOUND, "not a WhatsApp recipient"},
    {63032, ST_NOT_FOUND, "WhatsApp limits messages to this user"},
    {63049, ST_NOT_FOUND, "WhatsApp chose not to deliver"},
    /* the person wrote too long ago */
    {63016, ST_CONFLICT, "outside WhatsApp's window of 24 hours"},
    /* the message */
    {21617, ST_TOO_LARGE, "longer than 1600 characters"},
    {21620, ST_INVALID, "the media's address is not valid"},
    {12300, ST_INVALID, "the media's type is not taken"},
    {21656, ST_INVALID, "the template's variables are not valid"},
    {30007, ST_INVALID, "filtered by the carrier"},
    {63005, ST_INVALID, "WhatsApp does not take this content"},
    {63013, ST_INVALID, "against WhatsApp's policy"},
    {63021, ST_INVALID, "the content is not valid"},
    {63027, ST_INVALID, "there is no such template in this language"},
    {63028, ST_INVALID, "the template wants other parameters"},
    {63041, ST_INVALID, "the template is paused"},
    {63042, ST_INVALID, "the template is disabled"},
};

static const struct sorted *
find_code(int64_t code)
{
    for (size_t i = 0; i < sizeof sorted_codes / sizeof sorted_codes[0]; i++)
        if (sorted_codes[i].code == code)
            return &sorted_codes[i];
    return NULL;
}

const char *
twilio_code_words(int64_t code, enum status *status_out)
{
    const struct sorted *found = find_code(code);

    *status_out = found == NULL ? ST_INVALID : found->status;
    return found == NULL ? "" : found->words;
}

static enum status
status_of_http(int http_status)
{
    switch (http_status) {
    case 401:
    case 403:
    case 404:
        return ST_DENIED;
    case 413:
        return ST_TOO_LARGE;
    case 429:
        return ST_BUSY;
    default:
        return http_status >= 400 && http_status < 500 ? ST_INVALID : ST_UNAVAILABLE;
    }
}

static void
set_wait(struct err *err, enum status st, int retry_after_ms, int at_least_ms)
{
    if (!status_is_passing(st))
        return;
    err->retry_after_ms = retry_after_ms > at_least_ms ? retry_after_ms : at_least_ms;
    if (err->retry_after_ms > RETRY_AFTER_MAX_MS)
        err->retry_after_ms = RETRY_AFTER_MAX_MS;
}

static enum status
sort_refusal(int http_status, const json_t *answer, int retry_after_ms, struct err *err)
{
    int64_t code = json_get_int(answer, "code", 0);
    struct str message = json_get_str(answer, "message");
    const struct sorted *found = find_code(code);
    enum status st = found != NULL ? found->status : status_of_http(http_status);

    /* Whatever the number: the whole account is asked to slow down. */
    if (http_status == 429)
        st = ST_BUSY;
    message = str_sub(message, 0, str_utf8_floor(message, MESSAGE_MAX_BYTES));
    if (message.len == 0 && found != NULL)
        message = str_from_c(found->words);
    err_set(err, st, "Twilio %lld: %.*s", (long long)(code != 0 ? code : http_status),
            STR_ARG(message));
    set_wait(err, st, retry_after_ms,
             st != ST_BUSY   ? 0
             : code == 63038 ? DAY_IS_FULL_WAIT_MS
                             : BUSY_WAIT_MS);
    return st;
}

enum status
twilio_sort_answer(int http_status, struct str body, int retry_after_ms, json_t **answer_out,
                   struct err *err)
{
    json_auto_t *answer = NULL;
    struct err parse_err;
    bool is_success = http_status >= 200 && http_status < 300;
    bool is_json = json_parse(body, &answer, &parse_err) == ST_OK && json_is_object(answer);

    *answer_out = NULL;
    if (is_success && !is_json)
        return err_set_detail(err, ST_UNCERTAIN, "twilio %d: the answer cannot be read",
                              http_status);
    if (is_success) {
        *answer_out = json_incref(answer);
        return ST_OK;
    }
    if (is_json && json_is_integer(json_object_get(answer, "code")))
        return sort_refusal(http_status, answer, retry_after_ms, err);
    /* Not Twilio's words: something between us and Twilio. Only "too large" is plain. */
    enum status st = http_status == 413   ? ST_TOO_LARGE
                     : http_status == 429 ? ST_BUSY
                                          : ST_UNAVAILABLE;

    err_set_detail(err, st, "http %d without Twilio's JSON", http_status);
    set_wait(err, st, retry_after_ms, st == ST_BUSY ? BUSY_WAIT_MS : 0);
    return st;
}

enum status
twilio_call(struct twilio_channel *twilio, struct str url, enum twilio_credentials credentials,
            struct str form, unsigned deadline_ms, struct arena *arena, json_t **answer_out,
            struct err *err)
{
    const struct http_header headers[] = {
        {.name = "Authorization",
         .value = str_from_c(credentials == TWILIO_BY_TOKEN ? twilio->token_authorization
                                                            : twilio->authorization)},
        {.name = "Content-Type", .value = STR("application/x-www-form-urlencoded")}};
    const struct http_call call = {
        .method = form.len > 0 ? "POST" : "GET",
        .url = url,
        .headers = headers,
        .header_count = form.len > 0 ? 2 : 1,
        .body = form,
        .deadline_ms = deadline_ms,
        .max_response_bytes = ANSWER_MAX_BYTES,
    };
    struct http_reply reply;

    *answer_out = NULL;
    enum status st = http_client_call(twilio->base.env->http, &call, arena, &reply, err);
    if (st == ST_OK)
        st = twilio_sort_answer(reply.status, reply.body, reply.retry_after_ms, answer_out, err);
    else if (st == ST_TOO_LARGE)
        /* It answered, at length: whatever was asked has been done. */
        st = err_set_detail(err, ST_UNCERTAIN, "the answer was too large");
    return st == ST_OK ? ST_OK : err_wrap(err, "twilio %.*s", STR_ARG(url));
}
