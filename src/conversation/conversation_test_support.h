/*
 * conversation_test_support.h - two organizations with a channel each, and people who write to them
 */
#ifndef PARLEY_CONVERSATION_CONVERSATION_TEST_SUPPORT_H
#define PARLEY_CONVERSATION_CONVERSATION_TEST_SUPPORT_H

#include "base/testing.h"

#include "conversation/conversation.h"
#include "queue/queue_test_support.h"

#define TALK_START_US (INT64_C(1790000000) * US_PER_S)

/* A bed with a channel in each organization. */
struct talk {
    struct bed bed;
    struct clock *clock; /* manual where talk_open made it */
    struct arena *arena;
    const struct channel_record *records[2];
    struct err err; /* of the last call */
};

/* clock NULL: a manual one at TALK_START_US. settings: JSON, the same for both channels. */
void talk_open(struct talk *talk, const char *source, const char *settings, struct clock *clock);
void talk_close(struct talk *talk);

/* Runs work in a transaction of an organization; the failure stays in talk->err. */
enum status talk_run(struct talk *talk, unsigned organization, store_work work, void *arg);

/* A message that a person writes now. */
struct inbound talk_message(struct talk *talk, const char *id, const char *user, const char *chat,
                            const char *text);
struct inbound talk_event(const char *kind, const char *id, const char *about);
enum status talk_receive(struct talk *talk, const struct inbound *inbound,
                         struct inbound_result *result_out);
/* The same, which must succeed. */
struct inbound_result talk_hear(struct talk *talk, const char *id, const char *user,
                                const char *chat, const char *text);
enum status talk_receive_event(struct talk *talk, const struct inbound *event);

struct conversation talk_conversation(struct talk *talk, struct conversation_id id);
struct message talk_get(struct talk *talk, struct message_id id);
bool talk_reachable(struct talk *talk, const char *user);

struct talk_counts {
    int64_t contacts, identities, chats, conversations, messages, events, quarantined, escalations;
};
struct talk_counts talk_count(struct talk *talk, unsigned organization);

#endif
