/*
 * openid_token.c - what stands in a token and in a key set, and whether one signed the other
 *
 * Only RS256 is known: "none" and the HMACs, with which a public key could be turned into a secret,
 * are refused by not being it.
 */
#include "channel/openid_token.h"

#include <gnutls/abstract.h>
#include <math.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "text/json.h"

#define KEYS_MAX 256
#define MODULUS_MIN_BYTES 256 /* RFC 7518: 2048 bits or more */
#define MODULUS_MAX_BYTES 1024
#define EXPONENT_MAX_BYTES 8
#define KEY_SET_ARENA_BYTES (1024 * 1024)
#define URL_MAX_BYTES 1024
#define TIME_MAX_S 253402300799.0 /* end of the year 9999 */

/* --- tokens --- */

/* RFC 7515: no padding, no other characters, no bits left over. */
static bool
decode(struct str text, struct arena *arena, struct str *bytes_out)
{
    size_t max = text.len / 4 * 3 + 3, length = 0;
    unsigned char *bytes = arena_try_alloc(arena, max);

    if (bytes == NULL || text.len == 0 ||
        sodium_base642bin(bytes, max, text.ptr, text.len, NULL, &length, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    *bytes_out = str_of((const char *)bytes, length);
    return true;
}

static enum status
decode_object(struct str text, struct arena *arena, json_t **object_out)
{
    struct str bytes;
    struct err ignored;

    *object_out = NULL;
    if (!decode(text, arena, &bytes) || json_parse(bytes, object_out, &ignored) != ST_OK)
        return ST_DENIED;
    if (json_is_object(*object_out))
        return ST_OK;
    json_decref(*object_out);
    *object_out = NULL;
    return ST_DENIED;
}

enum status
openid_token_read(struct str text, struct arena *arena, struct openid_token *token_out,
                  struct err *err)
{
    struct str rest = text, head, body, signature;
    json_auto_t *header = NULL;

    *token_out = (struct openid_token){.claims = NULL};
    if (text.len > OPENID_TOKEN_MAX_BYTES || !str_split(&rest, '.', &head) ||
        !str_split(&rest, '.', &body) || !str_split(&rest, '.', &signature) || rest.ptr != NULL)
        return err_set(err, ST_DENIED, "the bearer token is not a signed token");
    if (decode_object(head, arena, &header) != ST_OK ||
        !str_eq_c(json_get_str(header, "alg"), "RS256") || json_get_str(header, "kid").len == 0 ||
        json_object_get(header, "crit") != NULL)
        return err_set(err, ST_DENIED, "the token is not signed with RS256 by a named key");
    if (!decode(signature, arena, &token_out->signature) ||
        decode_object(body, arena, &token_out->claims) != ST_OK)
        return err_set(err, ST_DENIED, "the token cannot be read");
    token_out->signed_text = str_of(text.ptr, head.len + 1 + body.len);
    token_out->kid = arena_str(arena, json_get_str(header, "kid"));
    return ST_OK;
}

static bool
is_audience(const json_t *claims, struct str wanted)
{
    const json_t *list = json_get_array(claims, "aud");
    size_t i;
    json_t *one;

    if (list == NULL)
        return str_eq(json_get_str(claims, "aud"), wanted);
    json_array_foreach (list, i, one) {
        if (json_is_string(one) &&
            str_eq(str_of(json_string_value(one), json_string_length(one)), wanted))
            return true;
    }
    return false;
}

/* A NumericDate; false when it is there and is none. */
static bool
read_time(const json_t *claims, const char *name, double *seconds_out)
{
    const json_t *value = json_object_get(claims, name);

    *seconds_out = json_number_value(value);
    return json_is_number(value) && isfinite(*seconds_out) && *seconds_out >= 0 &&
           *seconds_out <= TIME_MAX_S;
}

enum status
openid_claims_check(const json_t *claims, const struct openid_wanted *wanted, int64_t now_us,
                    struct err *err)
{
    double now_s = (double)now_us / 1e6, ends_s, begins_s;

    if (wanted->issuer.len == 0 || !str_eq(json_get_str(claims, "iss"), wanted->issuer))
        return err_set(err, ST_DENIED, "the token is of another issuer");
    if (wanted->audience.len == 0 || !is_audience(claims, wanted->audience))
        return err_set(err, ST_DENIED, "the token is meant for somebody else");
    if (!read_time(claims, "exp", &ends_s) || now_s >= ends_s + OPENID_SKEW_S)
        return err_set(err, ST_DENIED, "the token has expired");
    if (json_object_get(claims, "nbf") != NULL &&
        (!read_time(claims, "nbf", &begins_s) || now_s < begins_s - OPENID_SKEW_S))
        return err_set(err, ST_DENIED, "the token is not valid yet");
    return ST_OK;
}

/* --- key sets --- */

static bool
read_key(const json_t *jwk, struct arena *arena, struct openid_key *key_out)
{
    struct str use = json_get_str(jwk, "use"), alg = json_get_str(jwk, "alg");
    struct openid_key key = {.kid = json_get_str(jwk, "kid"),
                             .endorsements = json_get_array(jwk, "endorsements")};

    if (!str_eq_c(json_get_str(jwk, "kty"), "RSA") || key.kid.len == 0 ||
        (use.len > 0 && !str_eq_c(use, "sig")) || (alg.len > 0 && !str_eq_c(alg, "RS256")) ||
        !decode(json_get_str(jwk, "n"), arena, &key.modulus) ||
        !decode(json_get_str(jwk, "e"), arena, &key.exponent))
        return false;
    *key_out = key;
    return key.modulus.len >= MODULUS_MIN_BYTES && key.modulus.len <= MODULUS_MAX_BYTES &&
           key.modulus.ptr[0] != 0 && key.exponent.len <= EXPONENT_MAX_BYTES &&
           (key.exponent.ptr[key.exponent.len - 1] & 1) != 0 &&
           !(key.exponent.len == 1 && key.exponent.ptr[0] == 1);
}

enum status
openid_keys_read(struct str json, struct str issuer, struct openid_keys **keys_out, struct err *err)
{
    json_t *set = NULL;
    enum status st = json_parse(json, &set, err);
    const json_t *list = json_get_array(set, "keys");
    size_t count = json_array_size(list), i;
    json_t *jwk;

    *keys_out = NULL;
    if (st == ST_OK && (list == NULL || count > KEYS_MAX))
        st = err_set(err, ST_INVALID, "not a key set");
    if (st != ST_OK) {
        json_decref(set);
        return st;
    }
    struct openid_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL)
        abort();
    atomic_init(&keys->refs, 1);
    keys->json = set;
    keys->arena = arena_create(KEY_SET_ARENA_BYTES);
    keys->issuer = arena_str(keys->arena, issuer);
    keys->keys = ARENA_NEW_N(keys->arena, struct openid_key, count + 1);
    json_array_foreach (list, i, jwk) {
        if (read_key(jwk, keys->arena, &keys->keys[keys->count]))
            keys->count++;
    }
    if (keys->count == 0) {
        openid_keys_unref(&keys);
        return err_set(err, ST_INVALID, "the key set has no key for RS256");
    }
    *keys_out = keys;
    return ST_OK;
}

struct openid_keys *
openid_keys_ref(struct openid_keys *keys)
{
    atomic_fetch_add(&keys->refs, 1);
    return keys;
}

void
openid_keys_unref(struct openid_keys **keys_ptr)
{
    struct openid_keys *keys = *keys_ptr;

    *keys_ptr = NULL;
    if (keys == NULL || atomic_fetch_sub(&keys->refs, 1) > 1)
        return;
    json_decref(keys->json);
    arena_destroy(&keys->arena);
    free(keys);
}

const struct openid_key *
openid_keys_find(const struct openid_keys *keys, struct str kid)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++)
        if (str_eq(keys->keys[i].kid, kid))
            return &keys->keys[i];
    return NULL;
}

enum status
openid_metadata_read(struct str json, struct arena *arena, struct str *issuer_out,
                     struct str *jwks_uri_out, struct err *err)
{
    json_auto_t *metadata = NULL;
    enum status st = json_parse(json, &metadata, err);
    struct str issuer = json_get_str(metadata, "issuer");
    struct str jwks_uri = json_get_str(metadata, "jwks_uri");

    if (st != ST_OK)
        return st;
    if (issuer.len == 0 || issuer.len > URL_MAX_BYTES || jwks_uri.len == 0 ||
        jwks_uri.len > URL_MAX_BYTES)
        return err_set(err, ST_INVALID, "not OpenID metadata: no issuer or jwks_uri");
    *issuer_out = arena_str(arena, issuer);
    *jwks_uri_out = arena_str(arena, jwks_uri);
    return ST_OK;
}

/* --- signatures --- */

static gnutls_datum_t
datum(struct str s)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)s.ptr, .size = (unsigned)s.len};
}

enum status
openid_signature_check(const struct openid_key *key, const struct openid_token *token,
                       struct err *err)
{
    const gnutls_datum_t modulus = datum(key->modulus), exponent = datum(key->exponent);
    const gnutls_datum_t data = datum(token->signed_text), signature = datum(token->signature);
    gnutls_pubkey_t public_key;

    /* Made anew each time: whether one may be shared between threads GnuTLS does not promise. */
    if (gnutls_pubkey_init(&public_key) < 0)
        abort();
    int rc = gnutls_pubkey_import_rsa_raw(public_key, &modulus, &exponent);
    if (rc >= 0)
        rc = gnutls_pubkey_verify_data2(public_key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature);
    gnutls_pubkey_deinit(public_key);
    return rc >= 0 ? ST_OK : err_set(err, ST_DENIED, "the token's signature is wrong");
}
