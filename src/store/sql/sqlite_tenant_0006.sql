-- A message by the provider's id, for providers that report afterwards what became of it. Written by the
-- report and by our record of the send, whichever comes first.
CREATE TABLE receipt (
    organization_id     TEXT NOT NULL,
    channel_id          TEXT NOT NULL,
    external_message_id TEXT NOT NULL,
    message_id          TEXT,                    -- NULL: reported, but not (yet) recorded as sent by us
    part                INTEGER,
    state               TEXT NOT NULL,           -- sent | failed | delivered | read
    reason              TEXT,                    -- of failed
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (external_message_id, channel_id, organization_id)
) STRICT, WITHOUT ROWID;
