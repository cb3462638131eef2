/*
 * view.h - a message as customers and browsers see it, the same in API answers and live events
 */
#ifndef PARLEY_CONVERSATION_VIEW_H
#define PARLEY_CONVERSATION_VIEW_H

#include "conversation/conversation.h"
#include "live/live.h"

/* {"id", "conversation_id", "seq", "role", "text", "created_at", "citations", "client_message_id",
 * "delivery", "answers_to_seq", "attachments": [{"number", "kind", "mime_type", "file_name",
 * "size_bytes"}]}: what the person in the chat may see, and nothing else. A new
 * reference. */
json_t *message_view(const struct message *message);

/* "chat:<channel>:<chat>": what happens in one chat, for the person in it. */
struct str chat_topic(struct channel_id channel_id, struct str external_chat_id,
                      struct arena *arena);
/* The lane, in QUEUE_TOPIC_OUTBOUND, of all that is sent to the chat. */
struct str chat_lane(struct channel_id channel_id, struct str external_chat_id,
                     struct arena *arena);
/* Tells the chat's listeners of a message, as event "message". */
void message_publish(struct live_hub *hub, const struct tenant_scope *scope,
                     const struct message *message, struct arena *arena);

/* Tells them, as event "reset", to read the chat anew: it was handed over or back, or ended. */
void chat_publish_reset(struct live_hub *hub, const struct tenant_scope *scope,
                        struct channel_id channel_id, struct str external_chat_id,
                        struct arena *arena);

#endif
