/*
 * secrets.h - proofs made with a channel's secret, for drivers
 *
 * A secret stands in the record's credentials as "<name>"; while it is being replaced the one
 * before it stands there as "previous_<name>", and both count: requests under way still carry it.
 * Compared in constant time. A secret shorter than min_len proves nothing. Threads: any; does not
 * block.
 */
#ifndef PARLEY_CHANNEL_SECRETS_H
#define PARLEY_CHANNEL_SECRETS_H

#include "tenant/tenant.h"

/* Whether shown is the secret itself. */
bool channel_secret_is(const struct channel_record *record, const char *name, size_t min_len,
                       struct str shown);

enum hmac_hash { HMAC_SHA256, HMAC_SHA1 };
enum hmac_text { HMAC_HEX, HMAC_BASE64 }; /* lower case; with padding */

/* HMAC(secret, the pieces one after the other), as the provider wrote it. */
struct hmac_proof {
    enum hmac_hash hash;
    enum hmac_text text;
    const struct str *pieces;
    size_t piece_count;
    struct str shown;
};
bool channel_secret_signed(const struct channel_record *record, const char *name, size_t min_len,
                           const struct hmac_proof *proof);

/* A fresh secret of 258 random bits in A-Z a-z 0-9 _ -. */
#define SECRET_MADE_LEN 43
void secret_make(char out[SECRET_MADE_LEN + 1]);

/* The text of the HMAC with this key, in the arena: for tests, and for what we sign ourselves. */
struct str hmac_sign(struct str key, const struct hmac_proof *proof, struct arena *arena);

/* text with every secret in it turned into asterisks: a provider's own words may repeat what it was
 * shown. Before it is cut to length: half a secret would not be found. text itself when there is
 * nothing to hide, "" when the arena has no room. */
struct str secret_masked(struct str text, struct str secret, struct arena *arena);

#endif
