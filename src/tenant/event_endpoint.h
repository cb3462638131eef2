/*
 * event_endpoint.h - where an organization wants its events sent, and with which secrets signed
 *
 *   enabled --410, too long failing, a forbidden address, or by staff--> disabled
 *      '<----------------------- by staff ------------------------------'
 *
 * Who hears of what is kept in memory: a message of an organization without endpoints costs no
 * statement. On a server another process's change is heard of within
 * RECORDS_TRUSTED_US. Secrets are sealed as channels' credentials are. Threads: any worker.
 * Blocks: on the store. Another organization's id is ST_NOT_FOUND.
 */
#ifndef PARLEY_TENANT_EVENT_ENDPOINT_H
#define PARLEY_TENANT_EVENT_ENDPOINT_H

#include "tenant/tenant.h"

#define EVENT_ENDPOINTS_MAX 20 /* of an organization */

/* What can be told. The words are in event_kinds.c and docs/events.md. */
enum event_kind {
    EVENT_MESSAGE_RECEIVED,
    EVENT_MESSAGE_SENT,
    EVENT_MESSAGE_DELIVERED,
    EVENT_MESSAGE_READ,
    EVENT_MESSAGE_FAILED,
    EVENT_MESSAGE_UNCERTAIN,
    EVENT_MESSAGE_DELETED, /* by its writer, at the provider */
    EVENT_CONVERSATION_STATUS,
    EVENT_CONVERSATION_HANDED_OFF,
    EVENT_CONVERSATION_HANDED_BACK,
    EVENT_ESCALATION_OPENED,
    EVENT_ESCALATION_RESOLVED,
    EVENT_DOCUMENT_READY,
    EVENT_DOCUMENT_FAILED,
    EVENT_CONTACT_LINKED,
    EVENT_CONTACT_UNLINKED,
    EVENT_ENDPOINT_DISABLED, /* of another endpoint */
    EVENT_ENDPOINT_TEST,     /* to the one that is tested */
    EVENT_KINDS              /* also: none of them, which nobody hears of */
};
#define EVENT_BIT(kind) (UINT32_C(1) << (kind))
#define EVENT_KINDS_ALL (EVENT_BIT(EVENT_KINDS) - 1)

const char *event_kind_name(enum event_kind kind);
/* Array of words; "message.*" stands for all that begin so; an empty array for every kind.
 * ST_INVALID names the unknown word. */
MUST_USE enum status event_kinds_read(const json_t *words, uint32_t *kinds_out, struct err *err);
/* The same as words with spaces between them, and back; "" is every kind. Words of a newer Parley
 * are passed over. */
struct str event_kinds_format(uint32_t kinds, struct arena *arena);
uint32_t event_kinds_parse(struct str words);
json_t *event_kinds_json(uint32_t kinds);

struct event_endpoint {
    struct event_endpoint_id id;
    struct str url, description, status, status_reason;
    uint32_t kinds; /* EVENT_BIT */
    bool include_text;
    int64_t failures;                          /* tries in a row that failed */
    int64_t failing_since_us, paused_until_us; /* 0: not */
    int64_t created_at_us, updated_at_us;
};

/* Members of a change that stay as they are: a view without pointer, a negative number. */
struct event_endpoint_change {
    struct str url, description, status; /* url was checked: events_check_url */
    int64_t kinds;                       /* EVENT_BIT */
    int include_text;
};
/* secret_out: "whsec_...", in the arena. ST_TOO_LARGE: EVENT_ENDPOINTS_MAX are there. */
MUST_USE enum status event_endpoint_create(struct tenants *tenants,
                                           const struct tenant_scope *scope,
                                           const struct event_endpoint_change *spec,
                                           struct arena *arena, struct event_endpoint_id *id_out,
                                           struct str *secret_out, struct err *err);
/* Enabling forgets past failures. Told in the transaction's end by after (may be NULL), which runs
 * in the transaction. */
MUST_USE enum status event_endpoint_update(struct tenants *tenants,
                                           const struct tenant_scope *scope,
                                           struct event_endpoint_id id,
                                           const struct event_endpoint_change *change,
                                           store_work after, void *after_arg, struct err *err);
MUST_USE enum status event_endpoint_delete(struct tenants *tenants,
                                           const struct tenant_scope *scope,
                                           struct event_endpoint_id id, store_work after,
                                           void *after_arg, struct err *err);
/* A new secret; the one before signs beside it for keep_us more. */
MUST_USE enum status event_endpoint_rotate(struct tenants *tenants,
                                           const struct tenant_scope *scope,
                                           struct event_endpoint_id id, int64_t keep_us,
                                           struct arena *arena, struct str *secret_out,
                                           struct err *err);
MUST_USE enum status event_endpoint_get(struct store_tx *tx, struct event_endpoint_id id,
                                        struct arena *arena, struct event_endpoint *endpoint_out,
                                        struct err *err);
/* By id; at most EVENT_ENDPOINTS_MAX. */
MUST_USE enum status event_endpoint_list(struct store_tx *tx, struct arena *arena,
                                         struct event_endpoint **endpoints_out, size_t *count_out,
                                         struct err *err);

/* --- for src/events/ --- */

#define EVENT_KEY_BYTES 32
/* What signs now: the newest first. Wipe it. */
struct event_keys {
    unsigned char keys[2][EVENT_KEY_BYTES];
    size_t count;
};
MUST_USE enum status event_endpoint_keys(struct tenants *tenants, struct store_tx *tx,
                                         struct event_endpoint_id id, int64_t now_us,
                                         struct event_keys *keys_out, struct err *err);

/* Who hears of what in an organization; frozen, counted. */
struct event_subscriptions {
    uint32_t kinds; /* of any endpoint that is enabled */
    size_t count;
    struct event_subscription {
        struct event_endpoint_id id;
        uint32_t kinds;
        bool include_text;
    } endpoints[EVENT_ENDPOINTS_MAX];
};
/* From memory, or by one statement of the transaction. Give it back. */
MUST_USE enum status event_subscriptions_get(struct tenants *tenants, struct store_tx *tx,
                                             const struct event_subscriptions **out,
                                             struct err *err);
void event_subscriptions_unref(const struct event_subscriptions **subscriptions);

/* What a try came to, in the transaction that records it. A failure counts and pauses the endpoint
 * until pause_until_us. disable_reason: NULL, or why nothing is sent to it any more; then call
 * event_endpoint_changed after the commit. */
MUST_USE enum status event_endpoint_note_success(struct store_tx *tx, struct event_endpoint_id id,
                                                 int64_t now_us, struct err *err);
MUST_USE enum status event_endpoint_note_failure(struct tenants *tenants, struct store_tx *tx,
                                                 struct event_endpoint_id id, int64_t now_us,
                                                 int64_t pause_until_us, const char *disable_reason,
                                                 struct err *err);
void event_endpoint_changed(struct tenants *tenants, const struct tenant_scope *scope);

#endif
