/*
 * web_session.c - tokens of web chat visitors: HMAC-SHA256 by libsodium
 */
#include "channel/web_session.h"

#include <sodium.h>
#include <string.h>

#include "text/json.h"

#define PURPOSE "parley web chat session v1"
#define SECRET_MIN_LEN 16
#define TOKEN_MAX_LEN 160
#define CLOCK_SKEW_S 300
#define MAC_TEXT_LEN 43 /* 32 bytes in base64 without padding */

struct mac_text {
    char text[MAC_TEXT_LEN + 1];
};

static struct mac_text
sign(struct str secret, const struct channel_record *record, struct str visitor, struct str issued)
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    struct mac_text out;
    /* Each field ends in a byte that it cannot hold, so that no two lists of fields read the same.
     */
    const struct str fields[] = {STR(PURPOSE), ID_STR(record->id), visitor, issued};

    if (secret.ptr == NULL)
        secret = STR("");
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret.ptr, secret.len);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].len > 0)
            crypto_auth_hmacsha256_update(&state, (const unsigned char *)fields[i].ptr,
                                          fields[i].len);
        crypto_auth_hmacsha256_update(&state, (const unsigned char *)"\n", 1);
    }
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(out.text, sizeof out.text, mac, sizeof mac,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(&state, sizeof state);
    return out;
}

enum status
web_session_issue(const struct channel_record *record, struct visitor_id visitor,
                  struct clock *clock, struct arena *arena, struct str *token_out, struct err *err)
{
    struct str secret = json_get_str(record->credentials, "secret");

    *token_out = STR_EMPTY;
    if (secret.len < SECRET_MIN_LEN)
        return err_set_detail(err, ST_INVALID, "the channel has no secret");
    if (id_is_none(&visitor.id))
        visitor = ID_NEW(visitor_id);
    struct str issued = arena_printf(arena, "%lld", (long long)(clock_wall_us(clock) / US_PER_S));
    struct mac_text mac = sign(secret, record, ID_STR(visitor), issued);

    *token_out = arena_printf(arena, "v1.%s.%.*s.%s", visitor.id.text, STR_ARG(issued), mac.text);
    return ST_OK;
}

static bool
signed_with(struct str secret, const struct channel_record *record, struct str visitor,
            struct str issued, struct str shown)
{
    struct mac_text mac = sign(secret, record, visitor, issued);
    bool is_equal = str_eq_secret(str_from_c(mac.text), shown);

    sodium_memzero(&mac, sizeof mac);
    return is_equal && secret.len >= SECRET_MIN_LEN;
}

enum status
web_session_check(const struct channel_record *record, struct str token, struct clock *clock,
                  struct web_session *session_out, struct err *err)
{
    struct str rest = token, version, visitor, issued, mac;
    struct err ignored;
    int64_t now_s = clock_wall_us(clock) / US_PER_S;

    *session_out = (struct web_session){.issued_at_s = 0};
    bool is_whole = token.len <= TOKEN_MAX_LEN && str_split(&rest, '.', &version) &&
                    str_split(&rest, '.', &visitor) && str_split(&rest, '.', &issued) &&
                    str_split(&rest, '.', &mac) && rest.ptr == NULL && str_eq_c(version, "v1");
    if (!is_whole)
        return err_set(err, ST_DENIED, "no valid visitor token");
    bool is_signed =
        signed_with(json_get_str(record->credentials, "secret"), record, visitor, issued, mac);
    bool was_signed = signed_with(json_get_str(record->credentials, "previous_secret"), record,
                                  visitor, issued, mac);
    if (!is_signed && !was_signed)
        return err_set(err, ST_DENIED, "no valid visitor token");
    if (ID_PARSE(visitor, &session_out->visitor, &ignored) != ST_OK ||
        !str_to_i64(issued, &session_out->issued_at_s))
        return err_set(err, ST_DENIED, "no valid visitor token");
    if (session_out->issued_at_s > now_s + CLOCK_SKEW_S ||
        now_s - session_out->issued_at_s > WEB_SESSION_MAX_AGE_S)
        return err_set(err, ST_DENIED, "the visitor token has ended");
    return ST_OK;
}

struct str
web_session_token(const struct http_request *request)
{
    struct str header = http_request_header(request, "Authorization");

    if (header.len > 7 && str_eq_nocase(str_sub(header, 0, 7), STR("Bearer ")))
        return str_trim(str_sub(header, 7, header.len));
    return http_request_query(request, "token");
}

bool
web_origin_is_allowed(const struct channel_record *record, struct str origin)
{
    const json_t *allowed = json_get_array(record->settings, "allowed_origins");
    size_t i;
    json_t *entry;

    if (origin.len == 0 || json_array_size(allowed) == 0)
        return true;
    json_array_foreach (allowed, i, entry) {
        /* Schemes and hosts know no case; browsers send them in lower case. */
        if (json_is_string(entry) &&
            str_eq_nocase(str_of(json_string_value(entry), json_string_length(entry)), origin))
            return true;
    }
    return false;
}

bool
web_request_is_allowed(const struct channel_record *record, const struct http_request *request)
{
    struct str origin = http_request_header(request, "Origin");
    struct str host = http_request_header(request, "Host");
    struct str rest = origin;

    if (str_starts_with(origin, STR("https://")))
        rest = str_sub(origin, 8, origin.len);
    else if (str_starts_with(origin, STR("http://")))
        rest = str_sub(origin, 7, origin.len);
    if (rest.len > 0 && rest.len < origin.len && str_eq_nocase(rest, host))
        return true;
    return web_origin_is_allowed(record, origin);
}
