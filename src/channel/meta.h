/*
 * meta.h - what the channels of Meta's platforms share: credentials, the webhook's handshake and
 * signature, calls of the Graph API and their errors
 *
 *   GET  ?hub.mode=subscribe&hub.challenge=N&hub.verify_token=T   answered with N
 *   POST X-Hub-Signature-256: sha256=hex(HMAC-SHA256(app secret, raw bytes))   no time in it
 *   call {base}/{version}/{path}, bearer token   {"error": {code, error_subcode, message, ...}}
 *
 * Source: Meta, "Webhooks: Getting started" and "Graph API: error handling" (v25.0). An account is
 * frozen after meta_open and borrows from the record. Threads: any; meta_call and meta_fetch block.
 */
#ifndef PARLEY_CHANNEL_META_H
#define PARLEY_CHANNEL_META_H

#include "channel/channel_driver.h"

/* For a driver's tables. verify_token is made when it is left out. */
#define META_SETTING_KEYS "api_base", "graph_version", "appsecret_proof"
#define META_CREDENTIAL_KEYS                                                                       \
    "access_token", "app_secret", "previous_app_secret", "verify_token", "previous_verify_token"

/* ST_INVALID says what to change. Completes credentials. */
MUST_USE enum status meta_check_spec(const json_t *settings, json_t *credentials, struct err *err);
/* Whether it is 1 to max_len decimal digits. */
bool meta_is_number(struct str s, size_t max_len);
/* Whole object values of a table of settings: true or false, and absent. */
MUST_USE enum status meta_check_bool(const json_t *settings, const char *key, struct err *err);

/* The hooks of the same names in struct channel_driver. */
enum status meta_handshake(const struct channel_record *record, const struct webhook *webhook,
                           const struct channel_env *env, struct arena *arena,
                           struct webhook_reply *reply_out, struct err *err);
enum status meta_verify(const struct channel_record *record, const struct webhook *webhook,
                        const struct channel_env *env, struct err *err);

/* For hooks "sort". account_of: whose a change of an entry is, "" when it is nobody's; change NULL:
 * the whole entry's. A handshake names the account before its token: "<account>:<verify token>". */
typedef struct str (*meta_account_of)(const json_t *entry, const json_t *change);
MUST_USE enum status meta_sort(const struct webhook *webhook, meta_account_of account_of,
                               struct arena *arena, struct channel_share **shares_out,
                               size_t *count_out, struct err *err);

/* An id for what has none of its own: Meta repeats a POST to the letter, so the bytes name it. at:
 * the entry's time. In the arena. */
struct str meta_event_id(struct arena *arena, const json_t *entry, struct str raw);
/* A time of Meta's, in seconds or, over 10^11, in
 * milliseconds, as a number or as text. False: it is none. */
bool meta_read_time(const json_t *value, int64_t *wall_us_out);

/* --- the Graph API --- */

#define META_PROOF_LEN 64
struct meta_account {
    struct http_client *http;
    struct str base; /* without a slash at the end */
    struct str version, token;
    char proof[META_PROOF_LEN + 1]; /* HMAC of the token; "" when the app wants none */
};

/* base: where the driver's API is unless settings say otherwise. */
MUST_USE enum status meta_open(struct meta_account *account, const struct channel *channel,
                               const char *base, struct err *err);

/* What an error of the Graph API says, beside its status. */
struct meta_error {
    int64_t code, subcode;
    bool window_is_closed; /* of ST_CONFLICT: the person wrote too long ago */
};

/* One call. path: "<id>/messages", may have a query. body NULL: GET, which is never uncertain. On
 * ST_OK *answer_out is a JSON object, the caller's. Errors as channel_send promises them;
 * ST_CONFLICT means that the provider's window for free answers is closed. */
MUST_USE enum status meta_call(const struct meta_account *account, struct str path,
                               const json_t *body, unsigned deadline_ms, struct arena *arena,
                               json_t **answer_out, struct meta_error *error_out, struct err *err);
/* Sorts one complete HTTP answer: the part of meta_call that needs no network. */
MUST_USE enum status meta_sort_answer(int http_status, struct str body, int retry_after_ms,
                                      json_t **answer_out, struct meta_error *error_out,
                                      struct err *err);
/* The status of {code, error_subcode, title or message, error_data.details, is_transient}, the
 * object of a refused call and of a failed delivery. Never ST_OK. http_status 0: it came by
 * webhook. */
enum status meta_sort_error(const json_t *error, int http_status, struct meta_error *error_out,
                            struct err *err);

/* Sends the messages that one part of an answer became, in order. id_of: where an accepted
 * message's id stands in the answer. *id_out: the last one's, in the arena. ST_UNCERTAIN when only
 * some of them left, because repeating the part would repeat those. */
MUST_USE enum status meta_send(const struct meta_account *account, struct str path,
                               json_t *const *messages, size_t count,
                               struct str (*id_of)(const json_t *answer), struct arena *arena,
                               struct str *id_out, struct err *err);

/* Streams the file at url into the sink. The token goes along only over https to a host of Meta's,
 * or to api_base's own host. ST_NOT_FOUND: it is there no longer. Never ST_UNCERTAIN. */
MUST_USE enum status meta_fetch(const struct meta_account *account, struct str url, bool with_token,
                                const struct media_sink *sink, struct arena *arena,
                                struct str *mime_type_out, struct err *err);

#endif
