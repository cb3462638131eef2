/*
 * master_keys.h - the keys that seal secrets, from a file outside the databases
 *
 * The file has a line "key_id base64" for each key, newest first; the newest seals, any opens. A
 * sealed value is a nonce and a secretbox over the owner's name and the secret, so that a row that
 * was moved to another owner does not open. Threads: shared. Blocks: on the file.
 */
#ifndef PARLEY_TENANT_MASTER_KEYS_H
#define PARLEY_TENANT_MASTER_KEYS_H

#include "base/arena.h"
#include "base/buf.h"

struct master_keys;

#define MASTER_KEY_ID_LEN 16

/* Makes the file with a first key when it is missing. ST_DENIED: others than its owner may read it.
 */
MUST_USE enum status master_keys_open(const char *path, struct master_keys **keys_out,
                                      struct err *err);
void master_keys_close(struct master_keys **keys); /* wipes them */
/* A fresh key in front, durable before it is used. */
MUST_USE enum status master_keys_add(struct master_keys *keys, struct err *err);

struct sealed {
    char key_id[MASTER_KEY_ID_LEN + 1];
    struct str bytes;
};
/* In the arena. */
struct sealed master_keys_seal(struct master_keys *keys, struct str owner, struct str secret,
                               struct arena *arena);
/* secret_out is heap, to be given back with secret_wipe. ST_INTERNAL: the key is not in the file,
 * or the bytes are not what was sealed for this owner. */
MUST_USE enum status master_keys_unseal(struct master_keys *keys, struct str owner,
                                        struct str key_id, struct str sealed,
                                        struct str *secret_out, struct err *err);
/* HMAC-SHA-256 of the purpose under each key, newest first; at most max. How many. */
size_t master_keys_derive(struct master_keys *keys, struct str purpose, unsigned char (*out)[32],
                          size_t max);
void secret_wipe(struct str *secret);
/* Of the key that seals now. */
void master_keys_newest(struct master_keys *keys, char key_id_out[MASTER_KEY_ID_LEN + 1]);

#endif
