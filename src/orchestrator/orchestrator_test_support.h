/*
 * orchestrator_test_support.h - a shop with documents, an orchestrator and a model that is told
 * what to say
 */
#ifndef PARLEY_ORCHESTRATOR_ORCHESTRATOR_TEST_SUPPORT_H
#define PARLEY_ORCHESTRATOR_ORCHESTRATOR_TEST_SUPPORT_H

#include <stdatomic.h>

#include "channel/drivers/fake.h"
#include "conversation/conversation_test_support.h"
#include "orchestrator/orchestrator.h"

#define DESK_WAIT_MS 60000

struct desk {
    struct talk talk;
    struct channel_env env;
    struct channel_driver streaming; /* "streaming": as fake, and streams */
    struct channel_driver local;     /* "local": as fake, delivered by the commit */
    struct channel_registry *registry;
    struct live_hub *live;
    struct model_chain *models, *extractive;
    struct orchestrator *orchestrator;
    _Atomic unsigned queued; /* outbound jobs */
    unsigned heard;          /* messages so far */
};

/* source: fake, recording, streaming or local. models: JSON, the chain's configuration. */
void desk_open(struct desk *desk, const char *source, const char *models);
void desk_close(struct desk *desk);

/* A person writes to the first organization, and the answer is queued (or the hand-off). */
struct inbound_result desk_hear(struct desk *desk, const char *text);
/* Queues the conversation's turn. */
void desk_queue(struct desk *desk, struct conversation_id id, const char *topic);
void desk_wait(struct desk *desk);
/* Writes, and waits until the answer is made. */
struct inbound_result desk_ask(struct desk *desk, const char *text);
/* All messages, oldest first. */
size_t desk_messages(struct desk *desk, struct conversation_id id, struct message **messages_out);
/* The last one, which must be ours. */
struct message desk_answer(struct desk *desk, struct conversation_id id);
/* The newest escalation; its id is none when there is none. */
struct escalation desk_escalation(struct desk *desk);

#endif
