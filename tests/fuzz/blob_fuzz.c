/*
 * blob_fuzz.c - any bytes as an object's key, and as a link's token, unsigned and signed by us
 *
 * A key that is taken can be listed and found again, and leads nowhere out of its organization. A
 * token that nobody signed is never taken; a body that somebody with our key signed is read within
 * its bounds, and what is read can be signed again.
 */
#include <string.h>

#include "blob/blob_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX_BYTES ((size_t)900)

static void
check_key(struct str key)
{
    struct str rest = key, segment;
    struct err err;

    if (blob_key_check(key, &err) != ST_OK)
        return;
    if (key.len == 0 || key.len > BLOB_KEY_MAX_BYTES || !str_is_utf8(key) ||
        memchr(key.ptr, '\0', key.len) != NULL)
        __builtin_trap();
    while (str_split(&rest, '/', &segment))
        if (segment.len == 0 || str_eq_c(segment, ".") || str_eq_c(segment, ".."))
            __builtin_trap();
}

/* As a link whose signature is right. */
static void
check_signed(struct blob_store *store, struct str body)
{
    static const unsigned char purpose[] = "blob-link";
    unsigned char bytes[BODY_MAX_BYTES + crypto_auth_hmacsha256_BYTES];
    char token[2 * sizeof(bytes)];
    crypto_auth_hmacsha256_state state;
    struct blob_link link;
    struct err err;

    if (body.len > BODY_MAX_BYTES)
        return;
    if (body.len > 0)
        memcpy(bytes, body.ptr, body.len);
    (void)crypto_auth_hmacsha256_init(&state, store->link_keys[0], BLOB_LINK_KEY_BYTES);
    (void)crypto_auth_hmacsha256_update(&state, purpose, sizeof(purpose) - 1);
    (void)crypto_auth_hmacsha256_update(&state, bytes, body.len);
    (void)crypto_auth_hmacsha256_final(&state, bytes + body.len);
    (void)sodium_bin2base64(token, sizeof(token), bytes, body.len + crypto_auth_hmacsha256_BYTES,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (blob_link_check(store, str_from_c(token), &link, &err) != ST_OK)
        return;
    if (blob_key_check(str_from_c(link.key), &err) != ST_OK ||
        strlen(link.content_type) > BLOB_CONTENT_TYPE_MAX_BYTES ||
        strlen(link.file_name) > BLOB_LINK_NAME_MAX_BYTES)
        __builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char keys[1][BLOB_LINK_KEY_BYTES] = {{7}};
    struct blob_config config = {.driver = &blob_driver_fake,
                                 .clock = clock_system(),
                                 .link_keys = keys,
                                 .link_key_count = 1};
    struct str input = str_of((const char *)data, size);
    struct blob_store *store;
    struct blob_link link;
    struct err err;

    if (blob_open(&config, &store, &err) != ST_OK)
        __builtin_trap();
    check_key(input);
    if (blob_link_check(store, input, &link, &err) == ST_OK)
        __builtin_trap();
    check_signed(store, input);
    blob_close(&store);
    return 0;
}
