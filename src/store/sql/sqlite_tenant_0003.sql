-- All tables once more, with keys and indexes that begin with what differs. A file holds one
-- organization, so its id at the head of a key was 36 equal bytes in every comparison and in every
-- index entry. The column stays in the row and every statement names it: the second lock on the
-- door. In a key it stands only where an ON CONFLICT names it, and there last; an engine looks
-- for the same columns in any order. On PostgreSQL, where organizations share the tables, it is the
-- first in every key.
--
-- Gone are three indexes that no statement asked: identity_by_contact, conversation_by_contact,
-- delivery_unsettled.

-- ---------------------------------------------------------------- who and where

ALTER TABLE brand RENAME TO old_brand;
CREATE TABLE brand (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    persona         TEXT NOT NULL DEFAULT '{}',  -- JSON: voice, language, greeting, model, thresholds
    is_default      INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO brand (
    organization_id, id, name, persona, is_default, created_at)
SELECT
    organization_id, id, name, persona, is_default, created_at
FROM old_brand;
DROP TABLE old_brand;

ALTER TABLE channel RENAME TO old_channel;
CREATE TABLE channel (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    source          TEXT NOT NULL,               -- telegram | web | ...
    name            TEXT NOT NULL,
    brand_id        TEXT NOT NULL,
    user_id         TEXT NOT NULL,               -- on whose behalf Parley acts here
    account         TEXT,
    settings        TEXT NOT NULL DEFAULT '{}',  -- JSON, driver's own keys and burst_window_ms, ...
    status          TEXT NOT NULL DEFAULT 'active', -- active | disabled | broken (credentials refused)
    status_reason   TEXT,
    revision        INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO channel (
    organization_id, id, source, name, brand_id, user_id, account, settings, status,
    status_reason, revision, created_at, updated_at)
SELECT
    organization_id, id, source, name, brand_id, user_id, account, settings, status,
    status_reason, revision, created_at, updated_at
FROM old_channel;
DROP TABLE old_channel;

-- Secrets, sealed (libsodium secretbox) under a key that is not in any database.
ALTER TABLE credential RENAME TO old_credential;
CREATE TABLE credential (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,               -- what credentials_reference names
    owner_id        TEXT NOT NULL,               -- channel, brand
    key_id          TEXT NOT NULL,               -- which master key sealed it
    sealed          BLOB NOT NULL,               -- nonce, then box
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO credential (
    organization_id, id, owner_id, key_id, sealed, created_at)
SELECT
    organization_id, id, owner_id, key_id, sealed, created_at
FROM old_credential;
DROP TABLE old_credential;
CREATE UNIQUE INDEX credential_by_owner ON credential (owner_id, organization_id);

-- Small durable notes of a channel driver: polling offset and the like.
ALTER TABLE channel_state RENAME TO old_channel_state;
CREATE TABLE channel_state (
    organization_id TEXT NOT NULL,
    channel_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    value           TEXT NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (channel_id, name, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO channel_state (
    organization_id, channel_id, name, value, updated_at)
SELECT
    organization_id, channel_id, name, value, updated_at
FROM old_channel_state;
DROP TABLE old_channel_state;

-- ---------------------------------------------------------------- conversations

ALTER TABLE contact RENAME TO old_contact;
CREATE TABLE contact (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    display_name    TEXT NOT NULL DEFAULT '',
    locale          TEXT NOT NULL DEFAULT '',
    metadata        TEXT NOT NULL DEFAULT '{}',
    created_at      INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO contact (
    organization_id, id, display_name, locale, metadata, created_at, last_seen_at)
SELECT
    organization_id, id, display_name, locale, metadata, created_at, last_seen_at
FROM old_contact;
DROP TABLE old_contact;

-- Who a provider's user is.
ALTER TABLE identity RENAME TO old_identity;
CREATE TABLE identity (
    organization_id  TEXT NOT NULL,
    channel_id       TEXT NOT NULL,
    external_user_id TEXT NOT NULL,
    id               TEXT NOT NULL,
    contact_id       TEXT NOT NULL,
    reachable        INTEGER NOT NULL DEFAULT 1, -- 0: blocked us
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (channel_id, external_user_id)
) STRICT, WITHOUT ROWID;
INSERT INTO identity (
    organization_id, channel_id, external_user_id, id, contact_id, reachable, created_at)
SELECT
    organization_id, channel_id, external_user_id, id, contact_id, reachable, created_at
FROM old_identity;
DROP TABLE old_identity;

-- A provider's chat (private, group, thread) and the conversation that is open in it.
ALTER TABLE chat RENAME TO old_chat;
CREATE TABLE chat (
    organization_id  TEXT NOT NULL,
    channel_id       TEXT NOT NULL,
    external_chat_id TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (channel_id, external_chat_id, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO chat (
    organization_id, channel_id, external_chat_id, conversation_id, created_at)
SELECT
    organization_id, channel_id, external_chat_id, conversation_id, created_at
FROM old_chat;
DROP TABLE old_chat;

ALTER TABLE conversation RENAME TO old_conversation;
CREATE TABLE conversation (
    organization_id   TEXT NOT NULL,
    id                TEXT NOT NULL,
    channel_id        TEXT NOT NULL,             -- primary channel
    external_chat_id  TEXT NOT NULL,
    contact_id        TEXT NOT NULL,             -- who began it
    brand_id          TEXT NOT NULL,
    user_id           TEXT NOT NULL,             -- channel's owner, or whom it is assigned to
    status            TEXT NOT NULL,             -- the words of the envelope's conversation_status
    hand_off_to_human INTEGER NOT NULL DEFAULT 0,
    title             TEXT NOT NULL DEFAULT '',
    thread_id         TEXT,                      -- model provider's conversation, when it keeps one
    last_seq          INTEGER NOT NULL DEFAULT 0, -- of the newest message
    answered_seq      INTEGER NOT NULL DEFAULT 0, -- inbound messages up to here are dealt with
    last_message_at   INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    archived_at       INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO conversation (
    organization_id, id, channel_id, external_chat_id, contact_id, brand_id, user_id,
    status, hand_off_to_human, title, thread_id, last_seq, answered_seq, last_message_at,
    created_at, archived_at)
SELECT
    organization_id, id, channel_id, external_chat_id, contact_id, brand_id, user_id,
    status, hand_off_to_human, title, thread_id, last_seq, answered_seq, last_message_at,
    created_at, archived_at
FROM old_conversation;
DROP TABLE old_conversation;
CREATE INDEX conversation_by_time ON conversation (last_message_at, id);

-- Rows are long: in a table with row ids they lie side by side, in a key-ordered one each would hang
-- half of itself into a page of its own.
ALTER TABLE message RENAME TO old_message;
CREATE TABLE message (
    organization_id     TEXT NOT NULL,
    id                  TEXT NOT NULL,
    conversation_id     TEXT NOT NULL,
    seq                 INTEGER NOT NULL,        -- 1, 2, 3 ... within the conversation
    role                TEXT NOT NULL,           -- user | assistant | agent | system
    source              TEXT NOT NULL,
    channel_id          TEXT NOT NULL,
    user_id             TEXT NOT NULL,
    contact_id          TEXT,
    external_message_id TEXT,                    -- inbound: with source the idempotency key
    external_user_id    TEXT,
    external_chat_id    TEXT,
    body                TEXT NOT NULL,
    metadata            TEXT NOT NULL DEFAULT '{}', -- attachments, reply-to, citations, ...
    envelope            TEXT NOT NULL DEFAULT '{}',
    delivery            TEXT,                    -- outbound: queued | sending | sent | delivered | read | failed | uncertain
    answers_from_seq    INTEGER,                 -- outbound: the inbound messages it covers
    answers_to_seq      INTEGER,
    provider_at         INTEGER,                 -- the provider's timestamp
    created_at          INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;
INSERT INTO message (
    organization_id, id, conversation_id, seq, role, source, channel_id, user_id,
    contact_id, external_message_id, external_user_id, external_chat_id, body, metadata,
    envelope, delivery, answers_from_seq, answers_to_seq, provider_at, created_at)
SELECT
    organization_id, id, conversation_id, seq, role, source, channel_id, user_id,
    contact_id, external_message_id, external_user_id, external_chat_id, body, metadata,
    envelope, delivery, answers_from_seq, answers_to_seq, provider_at, created_at
FROM old_message;
DROP TABLE old_message;
CREATE UNIQUE INDEX message_by_seq ON message (conversation_id, seq);
CREATE UNIQUE INDEX message_by_external ON message (source, external_message_id)
    WHERE external_message_id IS NOT NULL;

-- Reactions, edits, receipts, blocked users, kinds we do not know: never new messages.
ALTER TABLE channel_event RENAME TO old_channel_event;
CREATE TABLE channel_event (
    organization_id   TEXT NOT NULL,
    id                TEXT NOT NULL,
    channel_id        TEXT NOT NULL,
    external_event_id TEXT NOT NULL,             -- dedup within the channel
    kind              TEXT NOT NULL,             -- edit | reaction | delivery | blocked | migrated | unknown ...
    message_id        TEXT,                      -- what it is about, when we know it
    payload           TEXT NOT NULL,             -- raw JSON
    created_at        INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO channel_event (
    organization_id, id, channel_id, external_event_id, kind, message_id, payload,
    created_at)
SELECT
    organization_id, id, channel_id, external_event_id, kind, message_id, payload,
    created_at
FROM old_channel_event;
DROP TABLE old_channel_event;
CREATE UNIQUE INDEX channel_event_by_external ON channel_event (channel_id, external_event_id);

-- Verified requests that could not be read, kept raw for the operator.
ALTER TABLE quarantine RENAME TO old_quarantine;
CREATE TABLE quarantine (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    channel_id      TEXT NOT NULL,
    reason          TEXT NOT NULL,
    body            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO quarantine (
    organization_id, id, channel_id, reason, body, created_at)
SELECT
    organization_id, id, channel_id, reason, body, created_at
FROM old_quarantine;
DROP TABLE old_quarantine;

-- Sending, one row a part of a message (long texts are split): intent, call, outcome.
ALTER TABLE delivery RENAME TO old_delivery;
CREATE TABLE delivery (
    organization_id     TEXT NOT NULL,
    message_id          TEXT NOT NULL,
    part                INTEGER NOT NULL,        -- 0, 1, 2 ...
    state               TEXT NOT NULL,           -- intent | retry | sent | failed | uncertain
    external_message_id TEXT,                    -- the provider's
    reason              TEXT,
    attempts            INTEGER NOT NULL DEFAULT 0,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (message_id, part, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery (
    organization_id, message_id, part, state, external_message_id, reason, attempts,
    updated_at)
SELECT
    organization_id, message_id, part, state, external_message_id, reason, attempts,
    updated_at
FROM old_delivery;
DROP TABLE old_delivery;

-- Answers that wait for a person.
ALTER TABLE escalation RENAME TO old_escalation;
CREATE TABLE escalation (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    message_id      TEXT,                        -- the inbound message that caused it
    reason          TEXT NOT NULL,               -- low_confidence | asked_for_person | model_failed | policy
    draft           TEXT NOT NULL DEFAULT '',
    status          TEXT NOT NULL DEFAULT 'open', -- open | approved | overridden | closed
    resolved_by     TEXT,
    created_at      INTEGER NOT NULL,
    resolved_at     INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO escalation (
    organization_id, id, conversation_id, message_id, reason, draft, status, resolved_by,
    created_at, resolved_at)
SELECT
    organization_id, id, conversation_id, message_id, reason, draft, status, resolved_by,
    created_at, resolved_at
FROM old_escalation;
DROP TABLE old_escalation;
CREATE INDEX escalation_open ON escalation (status, id);

-- ---------------------------------------------------------------- queue

-- waiting: behind another job of its lane. ready: due_at decides. A done job is deleted.
ALTER TABLE job RENAME TO old_job;
CREATE TABLE job (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    topic           TEXT NOT NULL,
    lane            TEXT,                        -- FIFO and one worker at a time; NULL: free
    place           INTEGER NOT NULL DEFAULT 0,  -- in the lane: 1, 2, 3 ...; clocks do not decide it
    dedup_key       TEXT,
    state           TEXT NOT NULL,               -- waiting | ready | leased | dead
    due_at          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    max_attempts    INTEGER NOT NULL,
    lease_holder    TEXT,                        -- process, '/', its number of the lease
    lease_until     INTEGER,
    payload         TEXT NOT NULL,               -- JSON: ids, never message text or secrets
    last_error      TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO job (
    organization_id, id, topic, lane, place, dedup_key, state, due_at, attempts,
    max_attempts, lease_holder, lease_until, payload, last_error, created_at, updated_at)
SELECT
    organization_id, id, topic, lane, place, dedup_key, state, due_at, attempts,
    max_attempts, lease_holder, lease_until, payload, last_error, created_at, updated_at
FROM old_job;
DROP TABLE old_job;
-- Each question of the queue is one seek in one of these; queue_plan_test.c holds them to it.
CREATE INDEX job_due ON job (topic, due_at, id) WHERE state = 'ready';
CREATE UNIQUE INDEX job_lane_head ON job (topic, lane)
    WHERE lane IS NOT NULL AND state IN ('ready', 'leased');
CREATE UNIQUE INDEX job_lane_waiting ON job (topic, lane, place) WHERE state = 'waiting';
CREATE INDEX job_leased ON job (lease_until) WHERE state = 'leased';
CREATE INDEX job_dead ON job (id) WHERE state = 'dead';
CREATE INDEX job_dead_age ON job (updated_at) WHERE state = 'dead';
CREATE UNIQUE INDEX job_dedup ON job (topic, dedup_key)
    WHERE dedup_key IS NOT NULL AND state IN ('waiting', 'ready');

-- ---------------------------------------------------------------- knowledge

ALTER TABLE source RENAME TO old_source;
CREATE TABLE source (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    brand_id        TEXT,                        -- NULL: every brand of the organization
    name            TEXT NOT NULL,               -- file name or title; uploading it again is a new version
    kind            TEXT NOT NULL,               -- upload | folder | url
    uri             TEXT NOT NULL DEFAULT '',
    audience        TEXT NOT NULL DEFAULT 'customer', -- customer | staff
    language        TEXT NOT NULL DEFAULT '',
    current_version INTEGER NOT NULL DEFAULT 0,  -- the one that is searched; 0: none yet
    last_version    INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO source (
    organization_id, id, brand_id, name, kind, uri, audience, language, current_version,
    last_version, created_at, updated_at)
SELECT
    organization_id, id, brand_id, name, kind, uri, audience, language, current_version,
    last_version, created_at, updated_at
FROM old_source;
DROP TABLE old_source;
CREATE UNIQUE INDEX source_by_name ON source (coalesce(brand_id, ''), kind, name);

ALTER TABLE source_version RENAME TO old_source_version;
CREATE TABLE source_version (
    organization_id TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    version         INTEGER NOT NULL,
    content_type    TEXT NOT NULL,
    content_hash    TEXT NOT NULL,               -- SHA-256, hexadecimal
    size_bytes      INTEGER NOT NULL,
    title           TEXT NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL,
    -- Long, so last: reading what stands before them does not walk through them.
    text            TEXT NOT NULL DEFAULT '',    -- normalised; citations count its bytes
    content         BLOB NOT NULL,               -- the raw document, re-processable
    PRIMARY KEY (source_id, version)
) STRICT, WITHOUT ROWID;
INSERT INTO source_version (
    organization_id, source_id, version, content_type, content_hash, size_bytes, title,
    created_at, text, content)
SELECT
    organization_id, source_id, version, content_type, content_hash, size_bytes, title,
    created_at, text, content
FROM old_source_version;
DROP TABLE old_source_version;

ALTER TABLE ingestion RENAME TO old_ingestion;
CREATE TABLE ingestion (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    version         INTEGER NOT NULL,
    status          TEXT NOT NULL,               -- queued | running | done | failed
    stage           TEXT NOT NULL DEFAULT '',    -- extract | chunk | index
    progress        REAL NOT NULL DEFAULT 0,     -- 0..1
    chunk_count     INTEGER NOT NULL DEFAULT 0,
    error           TEXT,                        -- a sentence for the uploader
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO ingestion (
    organization_id, id, source_id, version, status, stage, progress, chunk_count, error,
    created_at, updated_at)
SELECT
    organization_id, id, source_id, version, status, stage, progress, chunk_count, error,
    created_at, updated_at
FROM old_ingestion;
DROP TABLE old_ingestion;
CREATE INDEX ingestion_by_source ON ingestion (source_id, id);

-- Passages. id is the row id of the full-text index.
ALTER TABLE chunk RENAME TO old_chunk;
CREATE TABLE chunk (
    id              INTEGER PRIMARY KEY,
    organization_id TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    version         INTEGER NOT NULL,
    ordinal         INTEGER NOT NULL,            -- 0, 1, 2 ... within the version
    heading_path    TEXT NOT NULL,               -- "Travel > Expenses"
    text            TEXT NOT NULL,
    start_char      INTEGER NOT NULL,            -- bytes of source_version.text
    end_char        INTEGER NOT NULL,
    language        TEXT NOT NULL,
    UNIQUE (source_id, version, ordinal)
) STRICT;
INSERT INTO chunk (
    id, organization_id, source_id, version, ordinal, heading_path, text, start_char,
    end_char, language)
SELECT
    id, organization_id, source_id, version, ordinal, heading_path, text, start_char,
    end_char, language
FROM old_chunk;
DROP TABLE old_chunk;

-- ---------------------------------------------------------------- API

ALTER TABLE idempotency RENAME TO old_idempotency;
CREATE TABLE idempotency (
    organization_id TEXT NOT NULL,
    key             TEXT NOT NULL,
    request_hash    TEXT NOT NULL,               -- of method, path and body
    status          INTEGER NOT NULL,
    content_type    TEXT NOT NULL,
    body            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (key, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO idempotency (
    organization_id, key, request_hash, status, content_type, body, created_at)
SELECT
    organization_id, key, request_hash, status, content_type, body, created_at
FROM old_idempotency;
DROP TABLE old_idempotency;

-- What may be searched together: a brand's (or every brand's), for an audience, in one language.
ALTER TABLE index_partition RENAME TO old_index_partition;
CREATE TABLE index_partition (
    organization_id TEXT NOT NULL,
    id              INTEGER NOT NULL,
    brand_id        TEXT NOT NULL,               -- '': every brand
    audience        TEXT NOT NULL,               -- customer | staff
    language        TEXT NOT NULL,
    chunk_count     INTEGER NOT NULL DEFAULT 0,
    term_count      INTEGER NOT NULL DEFAULT 0,  -- sum of the chunks' lengths in terms
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
INSERT INTO index_partition (
    organization_id, id, brand_id, audience, language, chunk_count, term_count)
SELECT
    organization_id, id, brand_id, audience, language, chunk_count, term_count
FROM old_index_partition;
DROP TABLE old_index_partition;
CREATE UNIQUE INDEX index_partition_by_what
    ON index_partition (brand_id, audience, language, organization_id);

-- A passage by its words: for ranking candidates again, and for taking it out.
ALTER TABLE index_chunk RENAME TO old_index_chunk;
CREATE TABLE index_chunk (
    chunk_id        INTEGER PRIMARY KEY,
    organization_id TEXT NOT NULL,
    partition_id    INTEGER NOT NULL,
    source_id       TEXT NOT NULL,
    version         INTEGER NOT NULL,
    title           TEXT NOT NULL,
    term_count      INTEGER NOT NULL,
    terms           BLOB NOT NULL                -- src/index/postings.h
) STRICT;
INSERT INTO index_chunk (
    chunk_id, organization_id, partition_id, source_id, version, title, term_count, terms)
SELECT
    chunk_id, organization_id, partition_id, source_id, version, title, term_count, terms
FROM old_index_chunk;
DROP TABLE old_index_chunk;
CREATE INDEX index_chunk_by_source ON index_chunk (source_id, version);

-- A word's chunks: one row for each range of 4096 chunk ids.
ALTER TABLE index_posting RENAME TO old_index_posting;
CREATE TABLE index_posting (
    organization_id TEXT NOT NULL,
    partition_id    INTEGER NOT NULL,
    term            TEXT NOT NULL,
    block           INTEGER NOT NULL,            -- chunk_id / 4096
    chunk_count     INTEGER NOT NULL,
    postings        BLOB NOT NULL,               -- src/index/postings.h
    PRIMARY KEY (partition_id, term, block, organization_id)
) STRICT, WITHOUT ROWID;
INSERT INTO index_posting (
    organization_id, partition_id, term, block, chunk_count, postings)
SELECT
    organization_id, partition_id, term, block, chunk_count, postings
FROM old_index_posting;
DROP TABLE old_index_posting;
