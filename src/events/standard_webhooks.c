/*
 * standard_webhooks.c - HMAC over the three parts, one after the other
 */
#include "events/standard_webhooks.h"

#include <sodium.h>

static void
update(crypto_auth_hmacsha256_state *state, struct str part)
{
    (void)crypto_auth_hmacsha256_update(state, (const unsigned char *)part.ptr, part.len);
}

struct str
standard_webhooks_sign(const struct webhook_key *keys, size_t key_count, struct str id,
                       int64_t timestamp_s, struct str body, struct arena *arena)
{
    struct str head = arena_printf(arena, "%.*s.%lld.", STR_ARG(id), (long long)timestamp_s);
    struct str list = STR("");

    for (size_t i = 0; i < key_count; i++) {
        crypto_auth_hmacsha256_state state;
        unsigned char mac[crypto_auth_hmacsha256_BYTES];
        char text[sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES,
                                            sodium_base64_VARIANT_ORIGINAL)];

        (void)crypto_auth_hmacsha256_init(&state, keys[i].bytes, keys[i].len);
        update(&state, head);
        update(&state, body);
        (void)crypto_auth_hmacsha256_final(&state, mac);
        sodium_memzero(&state, sizeof(state));
        (void)sodium_bin2base64(text, sizeof(text), mac, sizeof(mac),
                                sodium_base64_VARIANT_ORIGINAL);
        list = arena_printf(arena, "%.*s%sv1,%s", STR_ARG(list), i == 0 ? "" : " ", text);
    }
    return list;
}
