/*
 * instagram.h - private to the Instagram driver's files: the open channel and what they share
 *
 *   instagram.c        table, settings, ids        instagram_parse.c  webhooks to inbound items
 *   instagram_send.c   what the product calls        instagram_token.c  the token's refresh
 *
 * Instagram messaging, Graph v25.0, by either of Meta's logins. Ids outside: "<account>:<mid>"
 * names a message, "<account>:postback:<mid>" a pressed button; a chat is the person's scoped id.
 * There are no groups and no delivered receipts. Threads: a channel is shared; all is frozen after
 * open.
 */
#ifndef PARLEY_CHANNEL_DRIVERS_INSTAGRAM_H
#define PARLEY_CHANNEL_DRIVERS_INSTAGRAM_H

#include "channel/meta.h"

#define INSTAGRAM_TEXT_MAX_BYTES 1000

struct instagram_channel {
    struct channel base;
    struct meta_account account;
    struct str account_id;  /* the professional account; borrowed from the record */
    bool is_facebook_login; /* a Page's token, at Facebook's host */
    bool marks_read;
};

static inline struct instagram_channel *
instagram_of(struct channel *channel)
{
    return (struct instagram_channel *)channel;
}

/* A scoped id: digits. */
bool instagram_is_person(struct str s);

enum status instagram_parse(struct channel *channel, const struct webhook *webhook,
                            struct inbound_batch *batch, struct err *err);

#define INSTAGRAM_MESSAGES_MAX 12
/* The requests that one part becomes, in order; owned. */
struct instagram_messages {
    json_t *items[INSTAGRAM_MESSAGES_MAX];
    size_t count;
};
MUST_USE enum status instagram_compose(const struct outbound *outbound, struct arena *arena,
                                       struct instagram_messages *messages_out, struct err *err);
void instagram_messages_deinit(struct instagram_messages *messages);

size_t instagram_split(struct channel *channel, struct str text, struct arena *arena,
                       struct str **parts_out);
enum status instagram_send(struct channel *channel, const struct outbound *outbound,
                           struct arena *arena, struct delivery *delivery_out, struct err *err);
void instagram_typing(struct channel *channel, struct str external_chat_id);
void instagram_acknowledge(struct channel *channel, struct str acknowledge);
enum status instagram_refresh(struct channel *channel, struct arena *arena,
                              json_t **credentials_out, int64_t *lasts_us_out, struct err *err);
enum status instagram_registered(struct channel *channel, struct arena *arena, struct str *url_out,
                                 struct str *trouble_out, struct err *err);
enum status instagram_probe(struct channel *channel, struct arena *arena, struct str *account_out,
                            struct err *err);
enum status instagram_fetch_media(struct channel *channel, const json_t *attachment,
                                  const struct media_sink *sink, struct arena *arena,
                                  struct str *mime_type_out, struct err *err);

#endif
