-- A tenant's database: everything of one organization. organization_id leads every key, as it does on
-- PostgreSQL; here it is a second lock on the door. Times are microseconds since 1970 UTC.

-- ---------------------------------------------------------------- who and where

CREATE TABLE brand (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    persona         TEXT NOT NULL DEFAULT '{}',  -- JSON: voice, language, greeting, model, thresholds
    is_default      INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

-- Secrets, sealed (libsodium secretbox) under a key that is not in any database.
CREATE TABLE credential (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,               -- what credentials_reference names
    owner_id        TEXT NOT NULL,               -- channel, brand
    key_id          TEXT NOT NULL,               -- which master key sealed it
    sealed          BLOB NOT NULL,               -- nonce, then box
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credential_by_owner ON credential (organization_id, owner_id);

-- Small durable notes of a channel driver: polling offset and the like.
CREATE TABLE channel_state (
    organization_id TEXT NOT NULL,
    channel_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    value           TEXT NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, channel_id, name)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------- conversations

CREATE TABLE contact (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    display_name    TEXT NOT NULL DEFAULT '',
    locale          TEXT NOT NULL DEFAULT '',
    metadata        TEXT NOT NULL DEFAULT '{}',
    created_at      INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

-- Who a provider's user is.
CREATE TABLE identity (
    organization_id  TEXT NOT NULL,
    channel_id       TEXT NOT NULL,
    external_user_id TEXT NOT NULL,
    id               TEXT NOT NULL,
    contact_id       TEXT NOT NULL,
    reachable        INTEGER NOT NULL DEFAULT 1, -- 0: blocked us
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (organization_id, channel_id, external_user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_by_contact ON identity (organization_id, contact_id);

-- A provider's chat (private, group, thread) and the conversation that is open in it.
CREATE TABLE chat (
    organization_id  TEXT NOT NULL,
    channel_id       TEXT NOT NULL,
    external_chat_id TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (organization_id, channel_id, external_chat_id)
) STRICT, WITHOUT ROWID;

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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_by_time ON conversation (organization_id, last_message_at, id);
CREATE INDEX conversation_by_contact ON conversation (organization_id, contact_id, id);

-- Rows are long: in a table with row ids they lie side by side, in a key-ordered one each would hang
-- half of itself into a page of its own.
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
    PRIMARY KEY (organization_id, id)
) STRICT;
CREATE UNIQUE INDEX message_by_seq ON message (organization_id, conversation_id, seq);
CREATE UNIQUE INDEX message_by_external ON message (organization_id, source, external_message_id)
    WHERE external_message_id IS NOT NULL;

-- Reactions, edits, receipts, blocked users, kinds we do not know: never new messages.
CREATE TABLE channel_event (
    organization_id   TEXT NOT NULL,
    id                TEXT NOT NULL,
    channel_id        TEXT NOT NULL,
    external_event_id TEXT NOT NULL,             -- dedup within the channel
    kind              TEXT NOT NULL,             -- edit | reaction | delivery | blocked | migrated | unknown ...
    message_id        TEXT,                      -- what it is about, when we know it
    payload           TEXT NOT NULL,             -- raw JSON
    created_at        INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX channel_event_by_external
    ON channel_event (organization_id, channel_id, external_event_id);

-- Verified requests that could not be read, kept raw for the operator.
CREATE TABLE quarantine (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    channel_id      TEXT NOT NULL,
    reason          TEXT NOT NULL,
    body            BLOB NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;

-- Sending, one row a part of a message (long texts are split): intent, call, outcome.
CREATE TABLE delivery (
    organization_id     TEXT NOT NULL,
    message_id          TEXT NOT NULL,
    part                INTEGER NOT NULL,        -- 0, 1, 2 ...
    state               TEXT NOT NULL,           -- intent | retry | sent | failed | uncertain
    external_message_id TEXT,                    -- the provider's
    reason              TEXT,
    attempts            INTEGER NOT NULL DEFAULT 0,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (organization_id, message_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_unsettled ON delivery (organization_id, state) WHERE state IN ('intent', 'uncertain');

-- Answers that wait for a person.
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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX escalation_open ON escalation (organization_id, status, id);

-- ---------------------------------------------------------------- queue

-- waiting: behind another job of its lane. ready: due_at decides. A done job is deleted.
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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
-- Each question of the queue is one seek in one of these; queue_plan_test.c holds them to it.
CREATE INDEX job_due ON job (organization_id, topic, due_at, id) WHERE state = 'ready';
CREATE UNIQUE INDEX job_lane_head ON job (organization_id, topic, lane)
    WHERE lane IS NOT NULL AND state IN ('ready', 'leased');
CREATE UNIQUE INDEX job_lane_waiting ON job (organization_id, topic, lane, place) WHERE state = 'waiting';
CREATE INDEX job_leased ON job (organization_id, lease_until) WHERE state = 'leased';
CREATE INDEX job_dead ON job (organization_id, id) WHERE state = 'dead';
CREATE INDEX job_dead_age ON job (organization_id, updated_at) WHERE state = 'dead';
CREATE UNIQUE INDEX job_dedup ON job (organization_id, topic, dedup_key)
    WHERE dedup_key IS NOT NULL AND state IN ('waiting', 'ready');

-- ---------------------------------------------------------------- knowledge

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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX source_by_name ON source (organization_id, coalesce(brand_id, ''), kind, name);

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
    PRIMARY KEY (organization_id, source_id, version)
) STRICT, WITHOUT ROWID;

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
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ingestion_by_source ON ingestion (organization_id, source_id, id);

-- Passages. id is the row id of the full-text index.
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
    UNIQUE (organization_id, source_id, version, ordinal)
) STRICT;

-- ---------------------------------------------------------------- API

CREATE TABLE idempotency (
    organization_id TEXT NOT NULL,
    key             TEXT NOT NULL,
    request_hash    TEXT NOT NULL,               -- of method, path and body
    status          INTEGER NOT NULL,
    content_type    TEXT NOT NULL,
    body            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;
