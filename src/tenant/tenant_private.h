/*
 * tenant_private.h - what the files of src/tenant/ share
 */
#ifndef PARLEY_TENANT_TENANT_PRIVATE_H
#define PARLEY_TENANT_TENANT_PRIVATE_H

#include "tenant/limits.h"
#include "tenant/master_keys.h"
#include "tenant/record_cache.h"
#include "tenant/revisions.h"
#include "tenant/tenant.h"

#define CHANNEL_RECORDS_MAX 4096
#define KEY_RECORDS_MAX 4096
#define ORGANIZATION_RECORDS_MAX 16384
#define LIMIT_BUCKETS_MAX ((size_t)128 * 1024)

struct tenants {
    struct store *store; /* frozen, like all here */
    struct clock *clock;
    struct master_keys *master_keys;
    struct limits *limits;
    struct record_cache *channels;      /* by channel id */
    struct record_cache *accounts;      /* the same records by "source\naccount" */
    struct record_cache *keys;          /* by prefix */
    struct record_cache *organizations; /* by id: those that are active */
    struct record_cache *subscriptions; /* by organization: event_endpoint.h */
    struct revisions *revisions;
};

/* A scope for code that the caller's own check admitted; admission.c is the only maker. */
const struct tenant_scope *admission_scope(struct organization_id organization_id,
                                           const char *admitted_by, struct arena *arena);

/* What a cache has of a key, unless another process may have changed it; a reference of the
 * caller's, or NULL. */
struct shared_record *tenants_recall(struct tenants *tenants, struct record_cache *cache,
                                     struct str key);

/* --- channel_record.c --- */

/* Reads a channel and opens its credentials. The caller owns a reference. */
MUST_USE enum status channel_record_load(struct tenants *tenants, const struct tenant_scope *scope,
                                         struct channel_id id,
                                         const struct channel_record **record_out, struct err *err);
/* Puts it where lookups find it, unless something changed since the generations were noted. */
struct channel_generations {
    uint64_t channels, accounts;
};
struct channel_generations channel_record_generations(struct tenants *tenants);
void channel_record_keep(struct tenants *tenants, const struct channel_record *record,
                         struct channel_generations generations);
/* From memory; NULL when it is not there. */
const struct channel_record *channel_record_recall(struct tenants *tenants, struct channel_id id);
const struct channel_record *channel_record_recall_account(struct tenants *tenants,
                                                           struct str source, struct str account);
/* After a change: the next lookup reads the database. */
void channel_record_forget(struct tenants *tenants, struct channel_id id);
/* The name under which a channel's secrets are sealed. */
struct str channel_owner_name(const struct tenant_scope *scope, struct channel_id id,
                              struct arena *arena);

/* --- api_keys.c --- */

struct key_record {
    struct shared_record shared; /* first */
    struct organization_id organization_id;
    struct api_key_id id;
    struct user_id user_id;
    unsigned scopes;
    char *roles;           /* as api_roles_of has them */
    int64_t expires_at_us; /* 0: never */
    unsigned char secret_hash[32];
    _Atomic int64_t used_noted_us;
};

/* Reads the key of a prefix, or takes it from memory. ST_DENIED: none. The caller owns a reference.
 */
MUST_USE enum status key_record_get(struct tenants *tenants, struct str prefix,
                                    struct key_record **record_out, struct err *err);
/* Cuts "pk_<prefix>_<secret>"; false when it is not of that form. */
bool api_key_split(struct str presented, struct str *prefix_out, struct str *secret_out);
void api_key_hash(struct str secret, unsigned char hash_out[32]);
/* Notes the use, at most once a minute for each key. */
void api_key_note_use(struct tenants *tenants, struct key_record *record);

/* --- organizations.c --- */

/* Completes what a crash left of organizations being made or deleted. */
MUST_USE enum status organizations_recover(struct tenants *tenants, struct err *err);

#endif
