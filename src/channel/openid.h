/*
 * openid.h - bearer tokens signed with keys that their issuer publishes: OpenID metadata, JWT,
 * RS256
 *
 *   token --read--> claims --issuer, audience, times--> key of its kid --signature--> struct proof
 *
 *   keys of one metadata address:   NONE --fetched--> FRESH --24 h--> STALE --fetched--> FRESH
 *
 * STALE keys count until fresh ones have come. A kid that is not among the keys has them fetched
 * again, at most once in five minutes; a fetch that failed is repeated after ten seconds at the
 * earliest. Tokens are read and their claims checked before any key is fetched for them. A token
 * that was proven is remembered until it ends or the keys are replaced: senders show the same token
 * many times. Sources: RFC 7515, 7517, 7518, 7519, OpenID Connect Discovery 1.0. Threads: shared.
 * Blocks: openid_check, only if it may. Crash: nothing is kept.
 */
#ifndef PARLEY_CHANNEL_OPENID_H
#define PARLEY_CHANNEL_OPENID_H

#include "base/clock.h"
#include "net/http_client.h"

#define OPENID_KEYS_FRESH_US (INT64_C(24) * 3600 * US_PER_S)
#define OPENID_UNKNOWN_KEY_US (INT64_C(300) * US_PER_S)
#define OPENID_RETRY_US (INT64_C(10) * US_PER_S)
#define OPENID_SKEW_S 300

struct openid;

/* http and clock outlive it. */
struct openid *openid_create(struct http_client *http, struct clock *clock);
/* Proofs still held outside live on. */
void openid_destroy(struct openid **openid);

struct openid_wanted {
    struct str metadata_url; /* https, or http for a server of one's own */
    struct str issuer;       /* "iss" of tokens, and of the metadata */
    struct str audience;     /* "aud", or one of its list */
    bool may_block;          /* whether keys may be fetched now */
};

/* A token that is true. Frozen; counted. */
struct openid_proof;

/* ST_DENIED: not a token of this issuer for this audience at this time. ST_BUSY, only without
 * may_block: keys must be fetched, ask again where that is allowed. ST_UNAVAILABLE: they cannot be
 * had now (retry_after_ms). The caller unrefs *proof_out. */
MUST_USE enum status openid_check(struct openid *openid, const struct openid_wanted *wanted,
                                  struct str token, const struct openid_proof **proof_out,
                                  struct err *err);
/* Fetches the keys unless they are fresh: whether the address is right and within reach. Blocks. */
MUST_USE enum status openid_prefetch(struct openid *openid, const struct openid_wanted *wanted,
                                     struct err *err);
/* A claim that is a string; borrowed, empty when there is none. */
struct str openid_claim(const struct openid_proof *proof, const char *name);
/* Whether the key that signed may speak for this channel: keys without "endorsements" may for all.
 */
bool openid_is_endorsed(const struct openid_proof *proof, struct str channel);
void openid_proof_unref(const struct openid_proof **proof);

#endif
