/*
 * blob_link.c - expiring links: what they allow, signed with HMAC-SHA-256
 *
 *   token = base64url(body, signature);  body = version 1, expiry in s (8 bytes, big endian),
 *   organization (36), length of the type (1), type, key;  signature = HMAC(key, "blob-link" body)
 */
#include "blob/blob_driver.h"

#include <string.h>

#define VERSION 1
#define FIXED_BYTES ((size_t)1 + 8 + ID_TEXT_LEN + 1)
#define BODY_MAX_BYTES (FIXED_BYTES + BLOB_CONTENT_TYPE_MAX_BYTES + BLOB_KEY_MAX_BYTES)
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

static enum status
check_what(struct blob_store *store, struct str key, struct str type, int64_t expires_at_us,
           struct err *err)
{
    int64_t now_us = clock_wall_us(store->config.clock);
    enum status st = blob_key_check(key, err);

    if (st != ST_OK)
        return st;
    if (store->config.link_key_count == 0)
        return err_set(err, ST_INVALID, "This server signs no links.");
    if (expires_at_us <= now_us || expires_at_us - now_us > BLOB_LINK_MAX_S * US_PER_S)
        return err_set(err, ST_INVALID, "A link lasts up to %d s.", BLOB_LINK_MAX_S);
    if (type.len > BLOB_CONTENT_TYPE_MAX_BYTES || !str_is_utf8(type))
        return err_set(err, ST_INVALID, "The content type cannot be one.");
    for (size_t i = 0; i < type.len; i++)
        if ((unsigned char)type.ptr[i] < 0x20 || type.ptr[i] == 0x7f)
            return err_set(err, ST_INVALID, "The content type cannot be one.");
    return ST_OK;
}

enum status
blob_link_make(struct blob_store *store, const struct tenant_scope *scope, struct str key,
               struct str content_type, int64_t expires_at_us, struct arena *arena,
               struct str *token_out, struct err *err)
{
    struct organization_id organization_id = tenant_scope_organization(scope);
    unsigned char bytes[TOKEN_MAX_BYTES];
    uint64_t seconds = (uint64_t)((expires_at_us + US_PER_S - 1) / US_PER_S);
    size_t len = 0;
    size_t room;
    char *text;
    enum status st = check_what(store, key, content_type, expires_at_us, err);

    if (st != ST_OK)
        return st;
    bytes[len++] = VERSION;
    for (int shift = 56; shift >= 0; shift -= 8)
        bytes[len++] = (unsigned char)(seconds >> shift);
    memcpy(bytes + len, organization_id.id.text, ID_TEXT_LEN);
    len += ID_TEXT_LEN;
    bytes[len++] = (unsigned char)content_type.len;
    if (content_type.len > 0)
        memcpy(bytes + len, content_type.ptr, content_type.len);
    len += content_type.len;
    memcpy(bytes + len, key.ptr, key.len);
    len += key.len;
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

/* Of bytes that we signed ourselves; false all the same for what cannot be one. */
static bool
read_body(const unsigned char *bytes, size_t len, struct blob_link *link)
{
    const char *text = (const char *)bytes;
    uint64_t seconds = 0;
    size_t type_len, key_len;
    struct err ignored;

    if (bytes[0] != VERSION)
        return false;
    for (size_t i = 1; i <= 8; i++)
        seconds = seconds << 8 | bytes[i];
    if (seconds > (uint64_t)INT64_MAX / US_PER_S ||
        id_parse(str_of(text + 9, ID_TEXT_LEN), &link->organization_id.id, &ignored) != ST_OK)
        return false;
    link->expires_at_us = (int64_t)seconds * US_PER_S;
    type_len = bytes[FIXED_BYTES - 1];
    if (type_len > BLOB_CONTENT_TYPE_MAX_BYTES || type_len > len - FIXED_BYTES)
        return false;
    key_len = len - FIXED_BYTES - type_len;
    if (blob_key_check(str_of(text + FIXED_BYTES + type_len, key_len), &ignored) != ST_OK)
        return false;
    memcpy(link->content_type, text + FIXED_BYTES, type_len);
    memcpy(link->key, text + FIXED_BYTES + type_len, key_len);
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
        end != token.ptr + token.len || len < FIXED_BYTES + 1 + crypto_auth_hmacsha256_BYTES ||
        !is_signed(store, bytes, len - crypto_auth_hmacsha256_BYTES) ||
        !read_body(bytes, len - crypto_auth_hmacsha256_BYTES, link_out))
        return err_set(err, ST_NOT_FOUND, "There is no such link.");
    if (link_out->expires_at_us <= clock_wall_us(store->config.clock))
        return err_set(err, ST_DENIED, "The link has expired.");
    return ST_OK;
}
