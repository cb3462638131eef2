-- What was accepted in a busy moment and is not yet recorded (src/conversation/intake.h).
CREATE TABLE intake (
    seq             INTEGER PRIMARY KEY,         -- in the order of acceptance
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,               -- that the message will have
    channel_id      TEXT NOT NULL,
    envelope        TEXT NOT NULL,
    item            BLOB NOT NULL,               -- src/channel/inbound_bytes.h
    accepted_at     INTEGER NOT NULL
) STRICT;
