-- Answers that are shown while they are made, as a message that grows (src/conversation/growing.h). One a
-- conversation, until the answer is there: then its first part is 'growing' in delivery.
CREATE TABLE growing (
    organization_id     TEXT NOT NULL,
    conversation_id     TEXT NOT NULL,
    message_id          TEXT NOT NULL,           -- of the answer that is being made
    external_message_id TEXT NOT NULL DEFAULT '', -- the provider's; '': not known (yet)
    begun_at            INTEGER NOT NULL,
    PRIMARY KEY (conversation_id)
) STRICT, WITHOUT ROWID;
