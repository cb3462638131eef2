/*
 * openid_token.h - private to openid: the bytes of tokens and key sets
 *
 * Threads: any. Nothing blocks.
 */
#ifndef PARLEY_CHANNEL_OPENID_TOKEN_H
#define PARLEY_CHANNEL_OPENID_TOKEN_H

#include <jansson.h>

#include "base/arena.h"
#include "channel/openid.h"

#define OPENID_TOKEN_MAX_BYTES 8192

/* A token's parts; its claims are only what it says until the signature was checked. */
struct openid_token {
    struct str signed_text; /* header and claims as they came; borrowed */
    struct str signature;   /* raw; in the arena */
    struct str kid;         /* in the arena */
    json_t *claims;         /* object; the caller's */
};
/* ST_DENIED unless it is a compact JWT with alg RS256, a kid and no critical extension. */
MUST_USE enum status openid_token_read(struct str text, struct arena *arena,
                                       struct openid_token *token_out, struct err *err);
/* Issuer, audience and times of claims: ST_DENIED. */
MUST_USE enum status openid_claims_check(const json_t *claims, const struct openid_wanted *wanted,
                                         int64_t now_us, struct err *err);

struct openid_key {
    struct str kid;
    struct str modulus, exponent; /* big-endian */
    const json_t *endorsements;   /* array, or NULL: none are named */
};
/* Frozen and counted. */
struct openid_keys {
    _Atomic int refs;
    struct arena *arena;
    json_t *json;      /* what the keys borrow from */
    struct str issuer; /* of the metadata */
    struct openid_key *keys;
    size_t count;
};
/* ST_INVALID: not a key set, or no key of it can check RS256. Keys of other kinds are left out. */
MUST_USE enum status openid_keys_read(struct str json, struct str issuer,
                                      struct openid_keys **keys_out, struct err *err);
struct openid_keys *openid_keys_ref(struct openid_keys *keys);
void openid_keys_unref(struct openid_keys **keys); /* NULL is fine */
const struct openid_key *openid_keys_find(const struct openid_keys *keys, struct str kid);
/* Issuer and address of the keys out of metadata; both in the arena. ST_INVALID. */
MUST_USE enum status openid_metadata_read(struct str json, struct arena *arena,
                                          struct str *issuer_out, struct str *jwks_uri_out,
                                          struct err *err);

/* RSASSA-PKCS1-v1_5 with SHA-256: ST_DENIED unless key signed. */
MUST_USE enum status openid_signature_check(const struct openid_key *key,
                                            const struct openid_token *token, struct err *err);

#endif
