-- A message that its writer deleted at the provider: then body and metadata hold nothing of it any more.
ALTER TABLE message ADD COLUMN deleted_at INTEGER;

-- The provider's id of the message that an event is about, known to us or not; NULL: about none. What was said of a
-- message that is deleted goes with it.
ALTER TABLE channel_event ADD COLUMN about TEXT;
CREATE INDEX channel_event_by_about ON channel_event (channel_id, about) WHERE about IS NOT NULL;
-- Deletions that came before their message.
CREATE INDEX channel_event_early ON channel_event (channel_id) WHERE kind = 'deletion' AND message_id IS NULL;

-- A message that is deleted may be quoted in later conversations of its chat.
CREATE INDEX conversation_by_chat ON conversation (channel_id, external_chat_id);

-- The message whose words the event's second body holds.
ALTER TABLE event ADD COLUMN message_id TEXT;
CREATE INDEX event_by_message ON event (message_id) WHERE body_with_text IS NOT NULL;

-- What was kept before goes with its message, too. An event named its message only where that was known; a deletion
-- brought the deleted words along.
UPDATE channel_event SET about = (SELECT m.external_message_id FROM message m WHERE m.id = channel_event.message_id)
WHERE message_id IS NOT NULL;
UPDATE channel_event SET kind = 'deletion', payload = '{}' WHERE kind IN ('deleted', 'deletion');
UPDATE event SET message_id = json_extract(body, '$.data.message_id')
WHERE body_with_text IS NOT NULL AND kind LIKE 'message.%' AND json_valid(body);
