/*
 * blob_link.c - expiring links: what they allow, signed with HMAC-SHA-256
 *
 *   token = base64url(body, signature);  body = version 1 (2: for customers), expiry in s (8 bytes,
 * big endian), organization (36), type and file name with a byte of length before each, key
 *   signature = HMAC(key, "blob-link" body)
 */
#include "blob/blob_driver.h"

#include <string.h>

#define VERSION 1
#define VERSION_CUSTOMERS 2
#define FIXED_BYTES ((size_t)1 + 8 + ID_TEXT_LEN)
#define BODY_MAX_BYTES                                                                             \
    (FIXED_BYTES + 2 + BLOB_CONTENT_TYPE_MAX_BYTES + BLOB_LINK_NAME_MAX_BYTES + BLOB_KEY_MAX_BYTES)
#define TOKEN_MAX_BYTES (BODY_MAX_BYTES + crypto_auth_hmacsha256_BYTES)
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert((TOKEN_MAX_BYTES * 4 + 2) / 3 <= BLOB_LINK_MAX_BYTES, "a token fits its maximum");

static void
sign(const unsigned char key[BLOB_LINK_KEY_BYTES], const unsigned char *body, size_t len,
     unsigned char out[crypto_auth_hmacsha256_BYTES])
{
    static const unsigned char purpose[] = "blob-link";
    crypto_auth_hmacsha256_state state;

    (void)crypto_auth_hmacsha256_init(&state, key, BLOB_LINK_KEY_BYTES);
    (void)crypto_auth_hmacsha256_update(&state, purpose, sizeof(purpose) - 1);
    (void)crypto_auth_hmacsha256_update(&state, body, len);
    (void)crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof(state));
}

static bool
is_text(struct str text, size_t max_bytes)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return text.len <= max_bytes && str_is_utf8(text);
}

static enum status
check_spec(struct blob_store *store, const struct blob_link_spec *spec, struct err *err)
{
    int64_t now_us = clock_wall_us(store->config.clock);
    enum status st = blob_key_check(spec->key, err);

    if (st != ST_OK)
        return st;
    if (store->config.link_key_count == 0)
        return err_set(err, ST_INVALID, "This server signs no links.");
    if (spec->expires_at_us <= now_us || spec->expires_at_us - now_us > BLOB_LINK_MAX_S * US_PER_S)
        return err_set(err, ST_INVALID, "A link lasts up to %d s.", BLOB_LINK_MAX_S);
    if (!is_text(spec->content_type, BLOB_CONTENT_TYPE_MAX_BYTES) ||
        !is_text(spec->file_name, BLOB_LINK_NAME_MAX_BYTES))
        return err_set(err, ST_INVALID, "The type or name of a link cannot be one.");
    return ST_OK;
}

/* With its length before it, unless it stands last. */
static size_t
put_text(unsigned char *at, struct str text, bool is_last)
{
    size_t len = 0;

    if (!is_last)
        at[len++] = (unsigned char)text.len;
    if (text.len > 0)
        memcpy(at + len, text.ptr, text.len);
    return len + text.len;
}

enum status
blob_link_make(struct blob_store *store, const struct tenant_scope *scope,
               const struct blob_link_spec *spec, struct arena *arena, struct str *token_out,
               struct err *err)
{
    struct organization_id organization_id = tenant_scope_organization(scope);
    unsigned char bytes[TOKEN_MAX_BYTES];
    uint64_t seconds = (uint64_t)((spec->expires_at_us + US_PER_S - 1) / US_PER_S);
    size_t len = 0;
    size_t room;
    char *text;
    enum status st = check_spec(store, spec, err);

    if (st != ST_OK)
        return st;
    bytes[len++] = spec->for_customers ? VERSION_CUSTOMERS : VERSION;
    for (int shift = 56; shift >= 0; shift -= 8)
        bytes[len++] = (unsigned char)(seconds >> shift);
    memcpy(bytes + len, organization_id.id.text, ID_TEXT_LEN);
    len += ID_TEXT_LEN;
    len += put_text(bytes + len, spec->content_type, false);
    len += put_text(bytes + len, spec->file_name, false);
    len += put_text(bytes + len, spec->key, true);
    sign(store->link_keys[0], bytes, len, bytes + len);
    len += crypto_auth_hmacsha256_BYTES;
    room = sodium_base64_ENCODED_LEN(len, VARIANT);
    text = arena_alloc(arena, room);
    (void)sodium_bin2base64(text, room, bytes, len, VARIANT);
    *token_out = str_from_c(text);
    return ST_OK;
}

/* Every key is tried, whichever fits: the time tells nothing. */
static bool
is_signed(const struct blob_store *store, const unsigned char *bytes, size_t body_len)
{
    unsigned char mine[crypto_auth_hmacsha256_BYTES];
    bool ok = false;

    for (size_t i = 0; i < store->config.link_key_count; i++) {
        sign(store->link_keys[i], bytes, body_len, mine);
        ok |= sodium_memcmp(mine, bytes + body_len, sizeof(mine)) == 0;
    }
    return ok;
}

static bool
take_text(struct str *rest, char *out, size_t max_bytes)
{
    size_t len = rest->len == 0 ? 0 : (unsigned char)rest->ptr[0];

    if (rest->len == 0 || len > max_bytes || len > rest->len - 1)
        return false;
    memcpy(out, rest->ptr + 1, len);
    *rest = str_sub(*rest, 1 + len, rest->len);
    return true;
}

/* Of bytes that we signed ourselves; false all the same for what cannot be one. */
static bool
read_body(const unsigned char *bytes, size_t len, struct blob_link *link)
{
    struct str rest = str_of((const char *)bytes + FIXED_BYTES, len - FIXED_BYTES);
    uint64_t seconds = 0;
    struct err ignored;

    if (bytes[0] != VERSION && bytes[0] != VERSION_CUSTOMERS)
        return false;
    link->for_customers = bytes[0] == VERSION_CUSTOMERS;
    for (size_t i = 1; i <= 8; i++)
        seconds = seconds << 8 | bytes[i];
    if (seconds > (uint64_t)INT64_MAX / US_PER_S ||
        id_parse(str_of((const char *)bytes + 9, ID_TEXT_LEN), &link->organization_id.id,
                 &ignored) != ST_OK)
        return false;
    link->expires_at_us = (int64_t)seconds * US_PER_S;
    if (!take_text(&rest, link->content_type, BLOB_CONTENT_TYPE_MAX_BYTES) ||
        !take_text(&rest, link->file_name, BLOB_LINK_NAME_MAX_BYTES) ||
        blob_key_check(rest, &ignored) != ST_OK)
        return false;
    memcpy(link->key, rest.ptr, rest.len);
    return true;
}

enum status
blob_link_check(struct blob_store *store, struct str token, struct blob_link *link_out,
                struct err *err)
{
    unsigned char bytes[TOKEN_MAX_BYTES];
    const char *end = NULL;
    size_t len = 0;

    memset(link_out, 0, sizeof(*link_out));
    if (token.len > BLOB_LINK_MAX_BYTES || token.len == 0 ||
        sodium_base642bin(bytes, sizeof(bytes), token.ptr, token.len, NULL, &len, &end, VARIANT) !=
            0 ||
        end != token.ptr + token.len || len < FIXED_BYTES + 3 + crypto_auth_hmacsha256_BYTES ||
        !is_signed(store, bytes, len - crypto_auth_hmacsha256_BYTES) ||
        !read_body(bytes, len - crypto_auth_hmacsha256_BYTES, link_out))
        return err_set(err, ST_NOT_FOUND, "There is no such link.");
    if (link_out->expires_at_us <= clock_wall_us(store->config.clock))
        return err_set(err, ST_DENIED, "The link has expired.");
    return ST_OK;
}
