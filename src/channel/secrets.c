/*
 * secrets.c - HMACs by GnuTLS, which uses the processor's own instructions for SHA
 */
#include "channel/secrets.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "text/json.h"

#define MAC_MAX_BYTES 32
#define MAC_TEXT_MAX 64
#define NAME_MAX_LEN 64

struct mac_text {
    char text[MAC_TEXT_MAX + 1];
};

static struct mac_text
sign(struct str key, const struct hmac_proof *proof)
{
    gnutls_mac_algorithm_t algorithm =
        proof->hash == HMAC_SHA256 ? GNUTLS_MAC_SHA256 : GNUTLS_MAC_SHA1;
    size_t length = proof->hash == HMAC_SHA256 ? 32 : 20;
    unsigned char mac[MAC_MAX_BYTES];
    gnutls_hmac_hd_t state = NULL;
    struct mac_text out;

    /* It fails without memory alone. */
    if (gnutls_hmac_init(&state, algorithm, key.ptr == NULL ? "" : key.ptr, key.len) != 0)
        abort();
    for (size_t i = 0; i < proof->piece_count; i++)
        if (proof->pieces[i].len > 0 &&
            gnutls_hmac(state, proof->pieces[i].ptr, proof->pieces[i].len) != 0)
            abort();
    gnutls_hmac_deinit(state, mac);
    if (proof->text == HMAC_HEX)
        sodium_bin2hex(out.text, sizeof out.text, mac, length);
    else
        sodium_bin2base64(out.text, sizeof out.text, mac, length, sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(mac, sizeof mac);
    return out;
}

void
secret_make(char out[SECRET_MADE_LEN + 1])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    unsigned char bytes[SECRET_MADE_LEN];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < SECRET_MADE_LEN; i++)
        out[i] = alphabet[bytes[i] & 63];
    out[SECRET_MADE_LEN] = '\0';
    sodium_memzero(bytes, sizeof bytes);
}

struct str
hmac_sign(struct str key, const struct hmac_proof *proof, struct arena *arena)
{
    struct mac_text text = sign(key, proof);

    return arena_str(arena, str_from_c(text.text));
}

/* Both are always compared: the time says nothing about which one was meant. A channel without its
 * present secret is not served by its former one. */
static bool
either(const struct channel_record *record, const char *name, size_t min_len,
       bool (*matches)(struct str secret, const void *arg), const void *arg)
{
    char previous_name[NAME_MAX_LEN];
    bool found = false;

    (void)snprintf(previous_name, sizeof previous_name, "previous_%s", name);
    const char *const names[] = {name, previous_name};
    for (size_t i = 0; i < 2; i++) {
        struct str secret = json_get_str(record->credentials, names[i]);

        if (secret.len >= min_len && secret.len > 0)
            found = matches(secret, arg) || found;
        else if (i == 0)
            return false;
    }
    return found;
}

static bool
is_shown(struct str secret, const void *arg)
{
    return str_eq_secret(*(const struct str *)arg, secret);
}

bool
channel_secret_is(const struct channel_record *record, const char *name, size_t min_len,
                  struct str shown)
{
    return either(record, name, min_len, is_shown, &shown);
}

static bool
has_signed(struct str secret, const void *arg)
{
    const struct hmac_proof *proof = arg;
    struct mac_text mac = sign(secret, proof);
    bool is_equal = str_eq_secret(str_from_c(mac.text), proof->shown);

    sodium_memzero(&mac, sizeof mac);
    return is_equal;
}

bool
channel_secret_signed(const struct channel_record *record, const char *name, size_t min_len,
                      const struct hmac_proof *proof)
{
    return either(record, name, min_len, has_signed, proof);
}

struct str
secret_masked(struct str text, struct str secret, struct arena *arena)
{
    ptrdiff_t at = str_find(text, secret);

    if (secret.len == 0 || at < 0)
        return text;
    char *copy = arena_try_alloc(arena, text.len);
    if (copy == NULL)
        return STR_EMPTY;
    struct str left = str_of(copy, text.len);

    memcpy(copy, text.ptr, text.len);
    for (char *from = copy; (at = str_find(left, secret)) >= 0;) {
        from += at;
        memset(from, '*', secret.len);
        from += secret.len;
        left = str_sub(left, (size_t)at + secret.len, left.len);
    }
    return str_of(copy, text.len);
}
