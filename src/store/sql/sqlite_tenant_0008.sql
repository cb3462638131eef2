-- Reports of messages that are not ours, by age: they are removed after a while.
CREATE INDEX receipt_foreign ON receipt (updated_at) WHERE message_id IS NULL;
