/*
 * teams.h - private to the Microsoft Teams driver's files: the open channel and what they share
 *
 *   teams.c        table, settings, verification     teams_parse.c    activities to inbound items
 *   teams_call.c   tokens, one call, errors sorted   teams_content.c  what a message contains
 *   teams_send.c   what the product calls            teams_ids.c      addresses and ids
 *   teams_grow.c   answers that are streamed
 *
 * Ids outside: a chat is "<service URL>|<conversation id>", the whole conversation reference that a
 * later message needs; a message is "<app id>|<conversation id>|<activity id>". Protocol: Bot
 * Connector v3, Activity schema, as Azure Bot Service speaks it. Threads: a channel is shared; the
 * token has a lock inside, the rest is frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_TEAMS_H
#define PARLEY_CHANNEL_DRIVERS_TEAMS_H

#include <pthread.h>

#include "channel/channel_driver.h"
#include "channel/openid.h"

#define TEAMS_TEXT_MAX_UNITS 8000 /* 100 kB of UTF-16 with all that escapes may add */
#define TEAMS_SERVICE_URL_MAX 300

enum teams_group_policy {
    TEAMS_GROUP_ADDRESSED, /* answer what mentions us */
    TEAMS_GROUP_ALL,
    TEAMS_GROUP_NEVER
};

/* Where a bot of these settings is at home; all borrowed from settings or literals. */
struct teams_home {
    struct str metadata_url, issuer, login_base, authority, scope;
};

struct teams_channel {
    struct channel base;
    struct str app_id, app_password; /* borrowed from the record */
    struct teams_home home;
    enum teams_group_policy group_policy;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t fetched;
    char *token;           /* of the connector; NULL: none yet */
    int64_t token_ends_us; /* monotonic */
    bool is_fetching;
};

static inline struct teams_channel *
teams_of(struct channel *channel)
{
    return (struct teams_channel *)channel;
}

/* --- ids --- */

/* "HTTPS://host/path/" without slashes at its end; false unless it is an address that a token may
 * be sent to: https to a host that settings.service_hosts (or the default) lists, or an origin that
 * is listed as a whole. */
bool teams_service_url(const json_t *settings, struct str given, struct str *url_out);
/* Whether any address lies on such a host. */
bool teams_url_is_of_service(const json_t *settings, struct str url);
/* An entry of service_hosts: "host", "*.domain" or "http://host:port". */
bool teams_service_host_is_valid(struct str entry);
bool teams_id_is_valid(struct str id); /* of a conversation, user or activity */

struct teams_chat {
    struct str service_url, conversation_id;
};
struct str teams_chat_format(struct arena *arena, const struct teams_chat *chat);
/* ST_INVALID: it is none, or its service is not one of settings. */
MUST_USE enum status teams_chat_parse(const json_t *settings, struct str external_chat_id,
                                      struct teams_chat *chat_out, struct err *err);
struct str teams_message_format(struct arena *arena, struct str app_id, struct str conversation_id,
                                struct str activity_id);
bool teams_message_parse(struct str external_message_id, struct str *conversation_id_out,
                         struct str *activity_id_out);

/* --- inbound --- */

enum status teams_parse(struct channel *channel, const struct webhook *webhook,
                        struct inbound_batch *batch, struct err *err);

struct teams_content {
    const char *raw_kind; /* "text", "attachment", "button", "empty" */
    struct str text;      /* without our own mention; in the arena */
    bool mentions_us;
};
/* Reads what a message says and carries; attachments, interactive and reply_to are set in metadata.
 * False: the arena has no room for it. */
bool teams_content_read(const struct teams_channel *teams, const json_t *activity,
                        struct str conversation_id, json_t *metadata, struct arena *arena,
                        struct teams_content *content_out);

/* --- outbound --- */

/* One call of the connector; path begins with "/v3/". Errors are sorted as channel_send promises.
 * answer_out (the caller's) is NULL when a success had no JSON. */
struct teams_call {
    const char *method;
    struct str service_url, path;
    const json_t *body; /* NULL: none */
    unsigned deadline_ms;
};
MUST_USE enum status teams_call(struct teams_channel *teams, const struct teams_call *call,
                                struct arena *arena, json_t **answer_out, struct err *err);
/* Sorts one complete answer of the connector: the part of teams_call that needs no network. */
MUST_USE enum status teams_sort_answer(int http_status, struct str body, int retry_after_ms,
                                       json_t **answer_out, struct err *err);
/* The same of an answer with a token: both in the arena. */
MUST_USE enum status teams_sort_token(int http_status, struct str body, int retry_after_ms,
                                      struct arena *arena, struct str *token_out,
                                      int64_t *lasts_us_out, struct err *err);
/* A token for the connector, kept or fetched; in the arena. former: one that was refused. */
MUST_USE enum status teams_token(struct teams_channel *teams, struct str former,
                                 struct arena *arena, struct str *token_out, struct err *err);
enum status teams_send(struct channel *channel, const struct outbound *outbound,
                       struct arena *arena, struct delivery *delivery_out, struct err *err);
/* One message on its way. */
struct teams_sending {
    struct teams_channel *teams;
    const struct outbound *outbound;
    struct arena *arena;
    struct teams_chat chat;
    struct str activity_id; /* that is replaced; empty: a new one */
    struct str stream_id;   /* that it ends; empty: none */
    bool is_plain, has_marks;
};
MUST_USE enum status teams_post(struct teams_sending *sending, json_t **answer_out,
                                struct err *err);
/* "/v3/conversations/.../activities", and "/<activity>" unless that is empty. */
struct str teams_path_of(struct str conversation_id, struct str activity_id, struct arena *arena);
/* type: informative, streaming, final. Empty id: the stream's first; sequence 0: its last. */
void teams_mark_stream(json_t *activity, const char *type, struct str stream_id, unsigned sequence);

bool teams_grows_in(struct str external_chat_id);
enum status teams_begin(struct channel *channel, const struct outbound *outbound,
                        struct arena *arena, struct delivery *delivery_out, struct err *err);
void teams_grow(struct channel *channel, const struct outbound *outbound,
                struct str external_message_id, unsigned step);
enum status teams_edit(struct channel *channel, const struct outbound *outbound,
                       struct str external_message_id, struct err *err);
enum status teams_withdraw(struct channel *channel, struct str external_chat_id,
                           struct str external_message_id, struct err *err);
void teams_typing(struct channel *channel, struct str external_chat_id);
size_t teams_split(struct channel *channel, struct str text, struct arena *arena,
                   struct str **parts_out);
enum status teams_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                        struct err *err);
enum status teams_fetch_media(struct channel *channel, const json_t *attachment,
                              const struct media_sink *sink, struct arena *arena,
                              struct str *mime_type_out, struct err *err);

/* What a channel's tokens must say, from its record. */
void teams_home_of(const json_t *settings, struct teams_home *home_out);
struct openid_wanted teams_wanted(const struct channel_record *record);

#endif
