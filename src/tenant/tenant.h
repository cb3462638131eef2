/*
 * tenant.h - organizations, users, channels, keys, credentials; and admission, the only maker of
 * scopes
 *
 *   bytes from outside -> admission proves who is allowed -> struct tenant_scope -> everything else
 *
 * Secrets are sealed with libsodium's secretbox under a master key from a file outside the
 * databases; a sealed value names its key, so that keys can be rotated. Unsealed credentials live
 * in memory only, inside a channel record, and are wiped when its last reference goes. Threads:
 * shared. Blocks: on the store, except where said. Another organization's id is ST_NOT_FOUND.
 */
#ifndef PARLEY_TENANT_TENANT_H
#define PARLEY_TENANT_TENANT_H

#include <jansson.h>

#include "base/clock.h"
#include "store/store.h"

struct tenants;

struct tenants_config {
    struct store *store;
    struct clock *clock;
    const char
        *key_file; /* made with mode 0600 when missing: lines "key_id base64", newest first */
    /* Where rates are counted together with other processes: "redis", ...; "local" or empty: by
     * each alone. These are needed only until tenants_open returns. */
    struct str limits_driver, limits_addresses, limits_ca_file;
};

MUST_USE enum status tenants_open(const struct tenants_config *config, struct tenants **tenants_out,
                                  struct err *err);
void tenants_close(struct tenants **tenants);

/* --- organizations and users --- */

struct organization {
    struct organization_id id;
    struct str name, slug, status;
    int64_t created_at_us;
};

struct organization_spec {
    struct str name, slug; /* slug: a-z 0-9 '-', 1..40 */
    struct str owner_email, owner_name;
};

/* Makes the organization, its database, its first owner and its default brand.
 * ST_CONFLICT: the slug is taken. ST_INVALID. */
MUST_USE enum status organization_create(struct tenants *tenants,
                                         const struct organization_spec *spec, struct arena *arena,
                                         struct organization *organization_out, struct err *err);
/* By id or slug. */
MUST_USE enum status organization_find(struct tenants *tenants, struct str id_or_slug,
                                       struct arena *arena, struct organization *organization_out,
                                       struct err *err);
MUST_USE enum status organization_get(struct tenants *tenants, const struct tenant_scope *scope,
                                      struct arena *arena, struct organization *organization_out,
                                      struct err *err);
/* Pages by id: pass the last id seen, or none. */
MUST_USE enum status organization_list(struct tenants *tenants, struct organization_id after,
                                       size_t limit, struct arena *arena,
                                       struct organization **organizations_out, size_t *count_out,
                                       struct err *err);
MUST_USE enum status organization_delete(struct tenants *tenants, const struct tenant_scope *scope,
                                         struct err *err);

struct user {
    struct user_id id;
    struct str email, display_name, role;
    int64_t created_at_us;
};
MUST_USE enum status user_list(struct tenants *tenants, const struct tenant_scope *scope,
                               struct arena *arena, struct user **users_out, size_t *count_out,
                               struct err *err);

/* How documents are cut into passages, in words: knowledge.h checks and follows it. */
#define PASSAGES_AS_SERVER (-1) /* as the server is set to */
struct passage_settings {
    int64_t words, overlap;
};

struct brand {
    struct brand_id id;
    struct str name;
    struct str persona;               /* JSON object: see docs/contracts/persona.md */
    struct passage_settings passages; /* the default brand's are those of all documents */
};
/* none: the default brand. */
MUST_USE enum status brand_get(struct store_tx *tx, struct brand_id id, struct arena *arena,
                               struct brand *brand_out, struct err *err);
/* persona: validated JSON text; passages: checked (passage_settings_check). */
MUST_USE enum status brand_update(struct store_tx *tx, const struct brand *brand, struct err *err);

/* --- API keys --- */

enum api_scope {
    SCOPE_ADMIN = 1, /* channels, keys, brand */
    SCOPE_CONVERSATIONS_READ = 2,
    SCOPE_CONVERSATIONS_WRITE = 4, /* replies, hand-over, approvals */
    SCOPE_KNOWLEDGE_READ = 8,
    SCOPE_KNOWLEDGE_WRITE = 16,
    SCOPE_QUERY = 32,       /* POST /v1/query as a customer */
    SCOPE_QUERY_STAFF = 64, /* the same, seeing staff documents */
    SCOPE_OPERATE = 128     /* dead letters, quarantine, jobs */
};
/* "admin conversations:read role:hr ..." -> bits; ST_INVALID names the unknown word. */
MUST_USE enum status api_scopes_parse(struct str words, unsigned *scopes_out, struct err *err);
struct str api_scopes_format(unsigned scopes, struct arena *arena);

/* Roles say which documents for staff a key sees beside those for all staff: "role:hr" among the
 * words, or "role:*" for all roles. */
#define ROLE_NAME_MAX_BYTES 40
bool role_name_is_valid(struct str name); /* a-z, 0-9 and - within */
/* The roles among words that were parsed: "finance hr", sorted; "*" when all; in the arena. */
struct str api_roles_of(struct str words, struct arena *arena);
/* Both as words. */
struct str api_rights_format(unsigned scopes, struct str roles, struct arena *arena);
/* Whether whoever has roles may give wanted to others. */
bool api_roles_include(struct str roles, struct str wanted);

struct api_key {
    struct api_key_id id;
    struct str name, prefix;
    unsigned scopes;
    struct str roles; /* as api_roles_of has them */
    struct user_id user_id;
    int64_t created_at_us, expires_at_us, revoked_at_us, last_used_at_us; /* 0: none */
};
/* secret_out: "pk_<prefix>_<43 characters>", in the arena; never to be seen again. */
MUST_USE enum status api_key_create(struct tenants *tenants, const struct tenant_scope *scope,
                                    struct str name, unsigned scopes, struct str roles,
                                    int64_t expires_at_us, struct arena *arena,
                                    struct api_key *key_out, struct str *secret_out,
                                    struct err *err);
MUST_USE enum status api_key_list(struct tenants *tenants, const struct tenant_scope *scope,
                                  struct arena *arena, struct api_key **keys_out, size_t *count_out,
                                  struct err *err);
MUST_USE enum status api_key_revoke(struct tenants *tenants, const struct tenant_scope *scope,
                                    struct api_key_id id, struct err *err);

/* --- channels --- */

/* One connected account with its unsealed credentials; frozen, counted, never logged. */
struct channel_record {
    struct channel_id id;
    struct organization_id organization_id;
    struct brand_id brand_id;
    struct user_id user_id;
    struct str source, name, account, status, status_reason;
    const json_t *settings;    /* object */
    const json_t *credentials; /* object; {} when it has none */
    struct str credentials_reference;
    int64_t revision;
};
const struct channel_record *channel_record_ref(const struct channel_record *record);
void channel_record_unref(const struct channel_record **record);
/* The record as it would be with spec's account, settings and credentials; not stored, and none
 * that is: its revision is -1. The caller unrefs. */
struct channel_spec;
const struct channel_record *channel_record_draft(const struct channel_record *record,
                                                  const struct channel_spec *spec);

struct channel_spec {
    struct str source, name, account;
    struct brand_id brand_id; /* none: the default brand */
    struct user_id user_id;   /* none: the owner */
    const json_t *settings;
    const json_t *credentials;
};
/* ST_CONFLICT: that account is connected already (in any organization: the answer does not say
 * which). Drivers check settings and credentials before (channel_check_spec). */
MUST_USE enum status channel_create(struct tenants *tenants, const struct tenant_scope *scope,
                                    const struct channel_spec *spec, struct channel_id *id_out,
                                    struct err *err);
/* Members that are NULL or empty stay as they are. */
MUST_USE enum status channel_update(struct tenants *tenants, const struct tenant_scope *scope,
                                    struct channel_id id, const struct channel_spec *spec,
                                    struct err *err);
MUST_USE enum status channel_set_status(struct tenants *tenants, const struct tenant_scope *scope,
                                        struct channel_id id, struct str status, struct str reason,
                                        struct err *err);
MUST_USE enum status channel_delete(struct tenants *tenants, const struct tenant_scope *scope,
                                    struct channel_id id, struct err *err);
/* From memory when the revision is known: does not block then. Caller unrefs. */
MUST_USE enum status channel_record_get(struct tenants *tenants, const struct tenant_scope *scope,
                                        struct channel_id id,
                                        const struct channel_record **record_out, struct err *err);
MUST_USE enum status channel_list(struct tenants *tenants, const struct tenant_scope *scope,
                                  struct channel_id **ids_out, size_t *count_out,
                                  struct arena *arena, struct err *err);

/* Every organization's channels of one source, from the directory: for pollers. Channels that are
 * not active are among them. */
struct channel_entry {
    struct organization_id organization_id;
    struct channel_id channel_id;
};
MUST_USE enum status channel_directory_list(struct tenants *tenants, struct str source,
                                            struct arena *arena, struct channel_entry **entries_out,
                                            size_t *count_out, struct err *err);

/* Reads a driver's durable note in the caller's transaction: ST_NOT_FOUND. */
MUST_USE enum status channel_state_get(struct store_tx *tx, struct channel_id id, struct str name,
                                       struct arena *arena, struct str *value_out, struct err *err);
MUST_USE enum status channel_state_put(struct store_tx *tx, struct channel_id id, struct str name,
                                       struct str value, struct err *err);

/* --- admission: the only maker of scopes --- */

/* An API key in "Authorization: Bearer". ST_DENIED: unknown, expired or revoked. */
struct principal {
    const struct tenant_scope *scope;
    struct api_key_id key_id;
    struct user_id user_id;
    unsigned scopes;
    struct str roles;
};
MUST_USE enum status tenant_admit_key(struct tenants *tenants, struct str presented,
                                      struct arena *arena, struct principal *principal_out,
                                      struct err *err);

/* A request that claims to come from a channel's provider. verify gets the record and says ST_OK
 * only when the bytes prove it. ST_NOT_FOUND: no such channel. ST_DENIED: verify said no. On ST_OK
 * the caller owns a reference in *record_out. Does not block once the channel is known. */
typedef enum status (*tenant_verify)(const struct channel_record *record, void *arg,
                                     struct err *err);
MUST_USE enum status tenant_admit_webhook(struct tenants *tenants, struct str source,
                                          struct str channel_id, tenant_verify verify, void *arg,
                                          struct arena *arena,
                                          const struct tenant_scope **scope_out,
                                          const struct channel_record **record_out,
                                          struct err *err);
/* The same, finding the channel by the addressed account. */
MUST_USE enum status tenant_admit_account(struct tenants *tenants, struct str source,
                                          struct str account, tenant_verify verify, void *arg,
                                          struct arena *arena,
                                          const struct tenant_scope **scope_out,
                                          const struct channel_record **record_out,
                                          struct err *err);

/* The same of a channel or account that is in memory: never blocks. ST_BUSY: it is not there. */
MUST_USE enum status tenant_admit_known(struct tenants *tenants, struct str source,
                                        struct str named, bool by_account, tenant_verify verify,
                                        void *arg, struct arena *arena,
                                        const struct tenant_scope **scope_out,
                                        const struct channel_record **record_out, struct err *err);

/* For src/queue/ and the gateway's poller alone: claiming work across organizations. */
MUST_USE enum status tenant_admit_lease(struct tenants *tenants,
                                        struct organization_id organization_id, struct arena *arena,
                                        const struct tenant_scope **scope_out, struct err *err);

/* A request that shows a link which this server signed. check says which organization signed it,
 * and ST_OK only when the signature proves it. ST_NOT_FOUND: that organization is gone. */
typedef enum status (*tenant_check_link)(void *arg, struct organization_id *organization_out,
                                         struct err *err);
MUST_USE enum status tenant_admit_link(struct tenants *tenants, tenant_check_link check, void *arg,
                                       struct arena *arena, const struct tenant_scope **scope_out,
                                       struct err *err);

/* For src/app/ alone: what is left of an organization that is no more. ST_CONFLICT: it is there. */
MUST_USE enum status tenant_admit_erasure(struct tenants *tenants,
                                          struct organization_id organization_id,
                                          struct arena *arena,
                                          const struct tenant_scope **scope_out, struct err *err);

/* For src/app/ alone: whoever may read the data folder and its key acts as the operator. */
MUST_USE enum status tenant_admit_operator(struct tenants *tenants, struct str id_or_slug,
                                           struct arena *arena,
                                           const struct tenant_scope **scope_out, struct err *err);

/* --- secrets --- */

/* Seals again under the newest key whatever an older one sealed; says how many. */
MUST_USE enum status tenant_reseal(struct tenants *tenants, int64_t *resealed_out, struct err *err);
/* Puts a fresh key in front of the key file. */
MUST_USE enum status tenant_add_master_key(struct tenants *tenants, struct err *err);

/* Keys for another purpose, one from each master key, newest first; at most max. Wipe them. */
#define TENANT_DERIVED_KEY_BYTES 32
size_t tenant_derive_keys(struct tenants *tenants, const char *purpose,
                          unsigned char (*keys_out)[TENANT_DERIVED_KEY_BYTES], size_t max);

/* --- limits --- */

/* Rates are counted together with other processes: tenant_limit_take may wait for their server,
 * some milliseconds. Does not change. */
bool tenant_limits_may_block(const struct tenants *tenants);
/* Token bucket: ST_BUSY with err->retry_after_ms when empty. key: "api:<id>", "channel:<id>",
 * "sender:<channel>:<id>". Blocks only where tenant_limits_may_block says so. */
MUST_USE enum status tenant_limit_take(struct tenants *tenants, const struct tenant_scope *scope,
                                       struct str key, unsigned per_minute, unsigned burst,
                                       struct err *err);

#endif
