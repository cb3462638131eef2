/*
 * slack.h - private to the Slack driver's files: the open channel and what they share
 *
 *   slack.c         table, settings, ids, verification   slack_parse.c        events to items
 *   slack_call.c    one call, its errors sorted          slack_interactive.c  buttons, commands
 *   slack_send.c    what the product calls               slack_text.c         mrkdwn both ways
 *   slack_grow.c    answers that grow; what has arrived
 *
 * Ids outside: "<app>:<team>:<channel>:<ts>" names a message; a chat is "<channel>", or
 * "<channel>:<ts of its root>" for a thread, and every message that begins something in a channel
 * roots one. Protocol: Events API, interactivity, Web API. Threads: a channel is shared; our user's
 * name has a lock inside, the rest is frozen after open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_SLACK_H
#define PARLEY_CHANNEL_DRIVERS_SLACK_H

#include <pthread.h>

#include "channel/channel_driver.h"
#include "channel/form.h"

#define SLACK_PART_MAX_UNITS 3500
#define SLACK_ID_MAX 32

enum slack_group_policy {
    SLACK_GROUP_ADDRESSED, /* answer what mentions us or follows a message of ours */
    SLACK_GROUP_ALL,
    SLACK_GROUP_NEVER
};

struct slack_channel {
    struct channel base;
    struct str app_id, team_id;      /* borrowed from the record */
    struct str api_base, files_base; /* without a slash at the end; borrowed */
    enum slack_group_policy group_policy;
    char *authorization;            /* header value; owned */
    pthread_mutex_t lock;           /* guards user_id */
    char user_id[SLACK_ID_MAX + 1]; /* our bot's user; "" until Slack told it */
    _Atomic int64_t grow_due_us;    /* monotonic: no growing message is changed before */
};

static inline struct slack_channel *
slack_of(struct channel *channel)
{
    return (struct slack_channel *)channel;
}

/* Remembers which user we are. Mentions are recognised from then on. */
void slack_learn_user(struct slack_channel *slack, struct str user_id);
bool slack_user_is_ours(struct slack_channel *slack, struct str user_id);

/* --- ids --- */

struct slack_chat {
    struct str channel_id;
    struct str thread_ts; /* "" for none */
};
struct str slack_chat_format(struct arena *arena, const struct slack_chat *chat);
/* ST_INVALID. */
MUST_USE enum status slack_chat_parse(struct str external_chat_id, struct slack_chat *chat_out,
                                      struct err *err);
struct str slack_message_format(const struct slack_channel *slack, struct arena *arena,
                                struct str channel_id, struct str ts);
/* False for ids that name no message (a pressed button). */
bool slack_message_parse(struct str external_message_id, struct str *channel_id_out,
                         struct str *ts_out);
/* Letters and digits, at most SLACK_ID_MAX. */
bool slack_id_is_valid(struct str id);
/* "1355517523.000005"; false when it is none. */
bool slack_ts_read(struct str ts, int64_t *wall_us_out);

/* --- inbound --- */

struct slack_reading {
    struct slack_channel *slack;
    struct arena *arena;
    const json_t *body; /* the envelope, or the payload of an interaction */
    struct str raw;     /* the same as text; of a command, its form as a JSON object */
    struct inbound *item;
    bool too_large; /* a copy did not fit */
};

enum status slack_parse(struct channel *channel, const struct webhook *webhook,
                        struct inbound_batch *batch, struct err *err);
struct str slack_keep(struct slack_reading *reading, struct str s);
/* id: of the event; empty: the bytes' own. Raw is the body. */
void slack_become_event(struct slack_reading *reading, const char *kind, struct str id);
/* ST_INVALID: it is of another app or workspace. Empty ones are not compared. */
MUST_USE enum status slack_check_origin(const struct slack_channel *slack, struct str app_id,
                                        struct str team_id, struct err *err);
/* Whether the channel is one between a person and us. type: "im", ..., or empty. */
bool slack_is_direct(struct str channel_id, struct str type);
/* payload=... of interactivity; a slash command's form. */
enum status slack_read_interaction(struct slack_reading *reading, struct err *err);
enum status slack_read_command(struct slack_reading *reading, const struct form *form,
                               struct err *err);

/* --- text --- */

/* What a person wrote, without Slack's escapes and tokens; a mention of user ours is left out. */
struct str slack_text_read(struct str text, struct str ours, struct arena *arena,
                           bool *mentions_us_out);
/* Slack's own: *bold*, _italic_, `code`, <url|label>. */
extern const struct markup_style slack_mrkdwn;

/* --- outbound --- */

/* On ST_OK *answer_out is the caller's. Errors are sorted as channel_send promises;
 * blocks_refused_out (may be NULL): of ST_INVALID, the blocks are to blame. */
MUST_USE enum status slack_call(struct slack_channel *slack, const char *method,
                                const json_t *parameters, unsigned deadline_ms, struct arena *arena,
                                json_t **answer_out, bool *blocks_refused_out, struct err *err);
/* The same for methods that read, which take a form; never ST_UNCERTAIN. */
MUST_USE enum status slack_read(struct slack_channel *slack, const char *method, struct buf *form,
                                struct arena *arena, json_t **answer_out, struct err *err);
/* Sorts one complete HTTP answer: the part of slack_call that needs no network. */
MUST_USE enum status slack_sort_answer(int http_status, struct str body, int retry_after_ms,
                                       json_t **answer_out, bool *blocks_refused_out,
                                       struct err *err);

enum status slack_send(struct channel *channel, const struct outbound *outbound,
                       struct arena *arena, struct delivery *delivery_out, struct err *err);
/* Text, and blocks unless as_plain; the two say the same. */
MUST_USE enum status slack_add_content(json_t *parameters, const struct outbound *outbound,
                                       bool as_plain, struct arena *arena, struct err *err);
/* slack_send with a deadline. */
MUST_USE enum status slack_post(struct slack_channel *slack, const struct outbound *outbound,
                                unsigned deadline_ms, struct arena *arena,
                                struct delivery *delivery_out, struct err *err);
enum status slack_begin(struct channel *channel, const struct outbound *outbound,
                        struct arena *arena, struct delivery *delivery_out, struct err *err);
void slack_grow(struct channel *channel, const struct outbound *outbound,
                struct str external_message_id, unsigned step);
enum status slack_edit(struct channel *channel, const struct outbound *outbound,
                       struct str external_message_id, struct err *err);
enum status slack_withdraw(struct channel *channel, struct str external_chat_id,
                           struct str external_message_id, struct err *err);
enum status slack_find(struct channel *channel, const struct outbound *outbound, int64_t sent_us,
                       struct arena *arena, struct delivery *delivery_out, struct err *err);
void slack_typing(struct channel *channel, struct str external_chat_id);
enum status slack_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                        struct err *err);
enum status slack_fetch_media(struct channel *channel, const json_t *attachment,
                              const struct media_sink *sink, struct arena *arena,
                              struct str *mime_type_out, struct err *err);

#endif
