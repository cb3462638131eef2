/*
 * twilio.c - the Twilio drivers: their tables, settings, addresses and verification
 *
 * Twilio signs the address that it calls, as it was entered there, together with the form, with the
 * account's token. The address is therefore put together from what the operator said, never from
 * the Host header. No time is signed: a repeated request is told by its message's sid.
 */
#include "channel/drivers/twilio.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "channel/secrets.h"
#include "text/json.h"

#define DEFAULT_API_BASE "https://api.twilio.com"
#define DEFAULT_MESSAGING_BASE "https://messaging.twilio.com"
#define TOKEN_MIN_LEN 16
#define TOKEN_MAX_LEN 128
#define SID_LEN 34 /* two letters, 32 hex digits */
#define PHONE_MAX_DIGITS 15
#define DEFAULT_SEGMENTS 4
#define LAST_MESSAGES_MAX 4096
#define WEBHOOK_URL_MAX 1000

static const struct twilio_kind kind_sms = {.prefix = ""};
static const struct twilio_kind kind_whatsapp = {.prefix = "whatsapp:", .is_whatsapp = true};

/* --- settings --- */

static const char *const sms_setting_keys[] = {
    "from", "messaging_service_sid", "max_segments", "webhook_url", "api_base", "messaging_base",
    NULL};
static const char *const whatsapp_setting_keys[] = {
    "from", "messaging_service_sid", "webhook_url", "api_base", "messaging_base", NULL};
static const char *const credential_keys[] = {
    "account_sid", "auth_token", "previous_auth_token", "api_key_sid", "api_key_secret", NULL};

static bool
is_sid(struct str s, const char *prefix)
{
    if (s.len != SID_LEN || !str_starts_with(s, str_from_c(prefix)))
        return false;
    for (size_t i = 2; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f') ||
              (s.ptr[i] >= 'A' && s.ptr[i] <= 'F')))
            return false;
    return true;
}

/* No control or space, no quote: it goes into a header field and never into a URL. */
static bool
is_token(struct str s)
{
    if (s.len < TOKEN_MIN_LEN || s.len > TOKEN_MAX_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 127 || s.ptr[i] == ':' || s.ptr[i] == '"')
            return false;
    return true;
}

/* "+" and digits (E.164); of SMS also a short code, digits alone. */
static bool
is_sender(struct str s, bool short_code)
{
    size_t digits = str_starts_with(s, STR("+")) ? s.len - 1 : s.len;
    bool is_short = digits == s.len;

    if (is_short ? !short_code || digits < 3 || digits > 8
                 : digits < 7 || digits > PHONE_MAX_DIGITS)
        return false;
    for (size_t i = s.len - digits; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

/* http or https and a host; no query, no fragment. */
static bool
is_address(struct str url)
{
    struct str rest = STR_EMPTY;

    if (str_starts_with(url, STR("https://")))
        rest = str_sub(url, 8, url.len);
    else if (str_starts_with(url, STR("http://")))
        rest = str_sub(url, 7, url.len);
    if (rest.len == 0 || url.len > WEBHOOK_URL_MAX || rest.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 127 || strchr("?#\\\"<>", rest.ptr[i]) != NULL)
            return false;
    return true;
}

static enum status
check_settings(const json_t *settings, bool short_code, struct err *err)
{
    static const char *const addresses[] = {"api_base", "messaging_base", "webhook_url"};
    const json_t *from = json_object_get(settings, "from");
    const json_t *service = json_object_get(settings, "messaging_service_sid");
    const json_t *segments = json_object_get(settings, "max_segments");

    if (from == NULL && service == NULL)
        return err_set(err, ST_INVALID,
                       "from (the number that people write to) or messaging_service_sid is needed");
    if (from != NULL && !is_sender(json_get_str(settings, "from"), short_code))
        return err_set(err, ST_INVALID, "from must be a number like +15551230000");
    if (service != NULL && !is_sid(json_get_str(settings, "messaging_service_sid"), "MG"))
        return err_set(err, ST_INVALID, "messaging_service_sid must be MG and 32 hex digits");
    if (segments != NULL && (!json_is_integer(segments) || json_integer_value(segments) < 1 ||
                             json_integer_value(segments) > TWILIO_SEGMENTS_MAX))
        return err_set(err, ST_INVALID, "max_segments must be a whole number from 1 to %d",
                       TWILIO_SEGMENTS_MAX);
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        if (json_object_get(settings, addresses[i]) != NULL &&
            !is_address(json_get_str(settings, addresses[i])))
            return err_set(err, ST_INVALID, "%s must be an http or https address without a query",
                           addresses[i]);
    return ST_OK;
}

static enum status
check_credentials(const json_t *credentials, struct err *err)
{
    const json_t *previous = json_object_get(credentials, "previous_auth_token");
    const json_t *key = json_object_get(credentials, "api_key_sid");
    const json_t *secret = json_object_get(credentials, "api_key_secret");

    if (!is_sid(json_get_str(credentials, "account_sid"), "AC"))
        return err_set(err, ST_INVALID, "account_sid must be AC and 32 hex digits");
    if (!is_token(json_get_str(credentials, "auth_token")) ||
        (previous != NULL && !is_token(json_get_str(credentials, "previous_auth_token"))))
        return err_set(err, ST_INVALID, "auth_token must be the token of Twilio's console");
    if ((key == NULL) != (secret == NULL) ||
        (key != NULL && (!is_sid(json_get_str(credentials, "api_key_sid"), "SK") ||
                         !is_token(json_get_str(credentials, "api_key_secret")))))
        return err_set(err, ST_INVALID,
                       "an API key is api_key_sid (SK and 32 hex digits) with its api_key_secret");
    return ST_OK;
}

static enum status
check_spec(struct channel_spec *spec, json_t *settings, json_t *credentials, bool is_sms,
           struct arena *arena, struct err *err)
{
    struct str from = json_get_str(settings, "from");
    enum status st = check_credentials(credentials, err);

    if (st == ST_OK)
        st = check_settings(settings, is_sms, err);
    /* Twilio's shared test numbers serve many accounts, so the number alone is not enough. */
    if (st == ST_OK)
        spec->account = arena_printf(
            arena, "%.*s:%.*s", STR_ARG(json_get_str(credentials, "account_sid")),
            STR_ARG(from.len > 0 ? from : json_get_str(settings, "messaging_service_sid")));
    return st;
}

static enum status
check_sms_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
               struct arena *arena, struct err *err)
{
    return check_spec(spec, settings, credentials, true, arena, err);
}

static enum status
check_whatsapp_spec(struct channel_spec *spec, json_t *settings, json_t *credentials,
                    struct arena *arena, struct err *err)
{
    return check_spec(spec, settings, credentials, false, arena, err);
}

/* --- addresses --- */

struct str
twilio_webhook_url(const struct channel_record *record, const struct channel_env *env,
                   struct arena *arena)
{
    struct str own = json_get_str(record->settings, "webhook_url");

    if (own.len > 0)
        return own;
    if (env->public_url.len == 0)
        return STR("");
    return arena_printf(arena, "%.*s/webhooks/%.*s/%s", STR_ARG(env->public_url),
                        STR_ARG(record->source), record->id.id.text);
}

/* Where host and port begin and end: behind user and password, before the path. */
static void
find_host(struct str url, size_t *start_out, size_t *end_out)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    size_t start = scheme < 0 ? 0 : (size_t)scheme + 3, end = start;

    while (end < url.len && strchr("/?#", url.ptr[end]) == NULL)
        end++;
    for (size_t i = start; i < end; i++)
        if (url.ptr[i] == '@')
            start = i + 1;
    *start_out = start;
    *end_out = end;
}

/* Of its port's colon, or the host's end. "[::1]" has colons of its own. */
static size_t
find_port(struct str url, size_t start, size_t end)
{
    for (size_t i = end; i > start && url.ptr[i - 1] != ']'; i--)
        if (url.ptr[i - 1] == ':')
            return i - 1;
    return end;
}

struct str
twilio_url_with_port(struct str url, struct arena *arena)
{
    size_t start, end;

    find_host(url, &start, &end);
    if (find_port(url, start, end) < end)
        return url;
    return arena_printf(arena, "%.*s:%s%.*s", (int)end, url.ptr,
                        str_starts_with(url, STR("https:")) ? "443" : "80",
                        STR_ARG(str_sub(url, end, url.len)));
}

struct str
twilio_url_without_port(struct str url, struct arena *arena)
{
    size_t start, end;

    find_host(url, &start, &end);
    size_t port = find_port(url, start, end);

    if (port == end)
        return url;
    return arena_printf(arena, "%.*s%.*s", (int)port, url.ptr, STR_ARG(str_sub(url, end, url.len)));
}

/* --- verification --- */

static int
compare_fields(const void *a, const void *b)
{
    const struct form_field *first = a, *second = b;
    int names = str_cmp(first->name, second->name);

    return names != 0 ? names : str_cmp(first->value, second->value);
}

size_t
twilio_signed_pieces(struct str url, const struct form *form, struct arena *arena,
                     struct str **pieces_out)
{
    size_t fields = form == NULL ? 0 : form->count, count = 0;
    struct str *pieces = ARENA_NEW_N(arena, struct str, 1 + 2 * fields);

    pieces[count++] = url;
    if (fields > 0) {
        struct form_field *sorted = ARENA_NEW_N(arena, struct form_field, fields);

        memcpy(sorted, form->fields, fields * sizeof *sorted);
        qsort(sorted, fields, sizeof *sorted, compare_fields);
        for (size_t i = 0; i < fields; i++) {
            if (i > 0 && compare_fields(&sorted[i - 1], &sorted[i]) == 0)
                continue;
            pieces[count++] = sorted[i].name;
            pieces[count++] = sorted[i].value;
        }
    }
    *pieces_out = pieces;
    return count;
}

/* Of a body that is no form, the address carries the SHA-256. False: it does not fit. */
static bool
body_is_signed(struct str body, struct str shown)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[2 * crypto_hash_sha256_BYTES + 1];

    crypto_hash_sha256(hash, (const unsigned char *)(body.ptr == NULL ? "" : body.ptr), body.len);
    sodium_bin2hex(text, sizeof text, hash, sizeof hash);
    return str_eq_secret(shown, str_from_c(text));
}

/* Without its query; "" when nobody said which host it is. By which path a request came is not in
 * doubt, and accounts share some. */
static struct str
called_url(const struct channel_record *record, const struct http_request *request,
           const struct channel_env *env)
{
    struct str own = json_get_str(record->settings, "webhook_url");

    if (own.len > 0 || env->public_url.len == 0)
        return own.len > 0 ? own : STR("");
    return arena_printf(request->arena, "%.*s%.*s", STR_ARG(env->public_url),
                        STR_ARG(request->path));
}

static enum status
verify(const struct channel_record *record, const struct webhook *webhook,
       const struct channel_env *env, struct err *err)
{
    const struct http_request *request = webhook->request;
    struct hmac_proof proof = {.hash = HMAC_SHA1, .text = HMAC_BASE64};
    struct form form;
    struct str *pieces;

    if (request == NULL)
        return err_set(err, ST_DENIED, "no request to verify");
    proof.shown = http_request_header(request, "X-Twilio-Signature");
    struct str url = called_url(record, request, env);
    struct str query = http_request_query_text(request);
    struct str body_hash = http_request_query(request, "bodySHA256");

    if (url.len == 0)
        return err_set_detail(err, ST_DENIED,
                              "Twilio signs its address: set http.public_url or webhook_url");
    if (query.len > 0)
        url = arena_printf(request->arena, "%.*s?%.*s", STR_ARG(url), STR_ARG(query));
    if (body_hash.ptr != NULL && !body_is_signed(webhook->body, body_hash))
        return err_set(err, ST_DENIED, "bodySHA256 is of another body");
    if (body_hash.ptr == NULL && form_parse(webhook->body, request->arena, &form, err) != ST_OK)
        return err_set(err, ST_DENIED, "too many fields for a message of Twilio");
    proof.piece_count =
        twilio_signed_pieces(url, body_hash.ptr == NULL ? &form : NULL, request->arena, &pieces);
    proof.pieces = pieces;

    const struct str forms_of_url[] = {url, twilio_url_with_port(url, request->arena),
                                       twilio_url_without_port(url, request->arena)};
    for (size_t i = 0; i < sizeof forms_of_url / sizeof forms_of_url[0]; i++) {
        if (i > 0 && str_eq(forms_of_url[i], url))
            continue;
        pieces[0] = forms_of_url[i];
        if (channel_secret_signed(record, "auth_token", TOKEN_MIN_LEN, &proof))
            return ST_OK;
    }
    return err_set(err, ST_DENIED, "wrong or missing X-Twilio-Signature");
}

/* --- opening --- */

static char *
basic(struct str user, struct str password)
{
    char pair[SID_LEN + TOKEN_MAX_LEN + 2], *text;
    int length = snprintf(pair, sizeof pair, "%.*s:%.*s", STR_ARG(user), STR_ARG(password));
    size_t max =
        sizeof "Basic " + sodium_base64_ENCODED_LEN(sizeof pair, sodium_base64_VARIANT_ORIGINAL);

    if (length < 0 || (size_t)length >= sizeof pair || (text = malloc(max)) == NULL)
        abort(); /* open checked both */
    memcpy(text, "Basic ", 6);
    sodium_bin2base64(text + 6, max - 6, (const unsigned char *)pair, (size_t)length,
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(pair, sizeof pair);
    return text;
}

static struct str
read_base(const json_t *settings, const char *key, const char *otherwise)
{
    struct str base = json_get_str(settings, key);

    if (base.len == 0)
        return str_from_c(otherwise);
    if (str_ends_with(base, STR("/")))
        base.len--;
    return base;
}

static enum status
open_twilio(struct channel *channel, const struct twilio_kind *kind, struct err *err)
{
    struct twilio_channel *twilio = twilio_of(channel);
    const json_t *settings = channel->record->settings;
    const json_t *credentials = channel->record->credentials;

    pthread_mutex_init(&twilio->last_lock, NULL);
    map_init(&twilio->last_messages, LAST_MESSAGES_MAX);
    twilio->kind = kind;
    enum status st = check_credentials(credentials, err);
    if (st != ST_OK)
        return st;
    twilio->account_sid = json_get_str(credentials, "account_sid");
    twilio->from = json_get_str(settings, "from");
    twilio->service_sid = json_get_str(settings, "messaging_service_sid");
    twilio->api_base = read_base(settings, "api_base", DEFAULT_API_BASE);
    twilio->messaging_base = read_base(settings, "messaging_base", DEFAULT_MESSAGING_BASE);
    twilio->max_segments = (size_t)json_get_int(settings, "max_segments", DEFAULT_SEGMENTS);
    twilio->token_authorization =
        basic(twilio->account_sid, json_get_str(credentials, "auth_token"));
    twilio->authorization =
        json_object_get(credentials, "api_key_sid") == NULL
            ? basic(twilio->account_sid, json_get_str(credentials, "auth_token"))
            : basic(json_get_str(credentials, "api_key_sid"),
                    json_get_str(credentials, "api_key_secret"));
    return ST_OK;
}

static enum status
open_sms(struct channel *channel, struct err *err)
{
    return open_twilio(channel, &kind_sms, err);
}

static enum status
open_whatsapp(struct channel *channel, struct err *err)
{
    return open_twilio(channel, &kind_whatsapp, err);
}

static void
free_secret(char **text)
{
    if (*text != NULL)
        sodium_memzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

/* The lock is held, or nobody else is left. */
static void
forget_last_messages(struct twilio_channel *twilio)
{
    struct map_entry *entry;

    MAP_FOREACH (&twilio->last_messages, entry)
        free(entry->value);
    map_deinit(&twilio->last_messages);
}

static void
close_twilio(struct channel *channel)
{
    struct twilio_channel *twilio = twilio_of(channel);

    forget_last_messages(twilio);
    pthread_mutex_destroy(&twilio->last_lock);
    free_secret(&twilio->authorization);
    free_secret(&twilio->token_authorization);
}

/* --- the last message of a chat --- */

void
twilio_last_message_put(struct twilio_channel *twilio, struct str chat, struct str sid)
{
    char *copy = str_dup(sid);
    void *replaced = NULL;
    struct err ignored;

    if (copy == NULL)
        return;
    pthread_mutex_lock(&twilio->last_lock);
    if (map_put(&twilio->last_messages, chat, copy, &replaced, &ignored) != ST_OK) {
        /* Full: what was known of all of them is given up, which costs a few indicators. */
        forget_last_messages(twilio);
        map_init(&twilio->last_messages, LAST_MESSAGES_MAX);
        if (map_put(&twilio->last_messages, chat, copy, &replaced, &ignored) != ST_OK)
            abort(); /* an empty map has room */
    }
    pthread_mutex_unlock(&twilio->last_lock);
    free(replaced);
}

struct str
twilio_last_message_copy(struct twilio_channel *twilio, struct str chat, struct arena *arena)
{
    pthread_mutex_lock(&twilio->last_lock);
    const char *sid = map_find(&twilio->last_messages, chat);
    struct str copy = sid == NULL ? STR_EMPTY : arena_str(arena, str_from_c(sid));
    pthread_mutex_unlock(&twilio->last_lock);
    return copy;
}

static const char *
whatsapp_setup(const struct channel_record *record)
{
    (void)record;
    return "in Twilio's console, Messaging, Senders, WhatsApp senders (of the sandbox: Sandbox "
           "settings), paste as the webhook for incoming messages, method POST:\n"
           "  {url}#rc=3&rp=all";
}

/* --- tables --- */

#define ACCEPTED_TYPE "text/xml"
#define ACCEPTED_BODY "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>"

const struct channel_driver channel_driver_twilio_sms = {
    .source = "twilio_sms",
    .caps = CHANNEL_CAN_REGISTER | CHANNEL_HAS_MEDIA | CHANNEL_SENDS_MEDIA |
            CHANNEL_SENDS_TEMPLATES | CHANNEL_REPORTS_DELIVERY,
    .size = sizeof(struct twilio_channel),
    .burst_window_ms = 2000,
    .setting_keys = sms_setting_keys,
    .credential_keys = credential_keys,
    .check_spec = check_sms_spec,
    .open = open_sms,
    .close = close_twilio,
    .verify = verify,
    .parse = twilio_parse,
    .split = twilio_sms_split,
    .send = twilio_send,
    .probe = twilio_probe,
    .registration = twilio_register,
    .registered = twilio_registered,
    .fetch_media = twilio_fetch_media,
    .accepted_type = ACCEPTED_TYPE,
    .accepted_body = ACCEPTED_BODY,
};

const struct channel_driver channel_driver_twilio_whatsapp = {
    .source = "twilio_whatsapp",
    .caps = CHANNEL_CAN_TYPE | CHANNEL_HAS_MEDIA | CHANNEL_SENDS_MEDIA | CHANNEL_SENDS_TEMPLATES |
            CHANNEL_REPORTS_DELIVERY | CHANNEL_HAS_WINDOW,
    .size = sizeof(struct twilio_channel),
    .burst_window_ms = 2000,
    .typing_interval_ms = 20000, /* the indicator lasts 25 seconds */
    .setting_keys = whatsapp_setting_keys,
    .credential_keys = credential_keys,
    .check_spec = check_whatsapp_spec,
    .open = open_whatsapp,
    .close = close_twilio,
    .verify = verify,
    .parse = twilio_parse,
    .split = twilio_whatsapp_split,
    .send = twilio_send,
    .probe = twilio_probe,
    .typing = twilio_typing,
    .setup = whatsapp_setup,
    .registered = twilio_registered,
    .fetch_media = twilio_fetch_media,
    .accepted_type = ACCEPTED_TYPE,
    .accepted_body = ACCEPTED_BODY,
};
