-- Everything of every organization. organization_id leads every key and index, nothing refers over
-- organizations, so that the tables can be distributed by it; row-level security, at the end, shows a
-- transaction the rows of its own organization only. Times are microseconds since 1970 UTC. Texts are
-- compared by their bytes, as SQLite does.

-- ---------------------------------------------------------------- who and where

CREATE TABLE brand (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    persona         TEXT COLLATE "C" NOT NULL DEFAULT '{}',  -- JSON: voice, language, greeting, model, thresholds
    is_default      BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    passage_words   BIGINT,  -- of the default brand: how all documents are cut; NULL: as the server is set to
    passage_overlap BIGINT,
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE channel (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    source          TEXT COLLATE "C" NOT NULL,  -- telegram | web | ...
    name            TEXT COLLATE "C" NOT NULL,
    brand_id        TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,  -- on whose behalf Parley acts here
    account         TEXT COLLATE "C",
    settings        TEXT COLLATE "C" NOT NULL DEFAULT '{}',  -- JSON, driver's own keys and burst_window_ms, ...
    status          TEXT COLLATE "C" NOT NULL DEFAULT 'active',  -- active | disabled | broken (credentials refused)
    status_reason   TEXT COLLATE "C",
    revision        BIGINT NOT NULL DEFAULT 1,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);

-- Secrets, sealed (libsodium secretbox) under a key that is not in any database.
CREATE TABLE credential (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,  -- what credentials_reference names
    owner_id        TEXT COLLATE "C" NOT NULL,  -- channel, brand
    key_id          TEXT COLLATE "C" NOT NULL,  -- which master key sealed it
    sealed          BYTEA NOT NULL,  -- nonce, then box
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX credential_by_owner ON credential (organization_id, owner_id);

-- Small durable notes of a channel driver: polling offset and the like.
CREATE TABLE channel_state (
    organization_id TEXT COLLATE "C" NOT NULL,
    channel_id      TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    value           TEXT COLLATE "C" NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, channel_id, name)
);

-- ---------------------------------------------------------------- conversations

CREATE TABLE contact (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    display_name    TEXT COLLATE "C" NOT NULL DEFAULT '',
    locale          TEXT COLLATE "C" NOT NULL DEFAULT '',
    metadata        TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    created_at      BIGINT NOT NULL,
    last_seen_at    BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);

-- Who a provider's user is.
CREATE TABLE identity (
    organization_id  TEXT COLLATE "C" NOT NULL,
    channel_id       TEXT COLLATE "C" NOT NULL,
    external_user_id TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    contact_id       TEXT COLLATE "C" NOT NULL,
    reachable        BIGINT NOT NULL DEFAULT 1,  -- 0: blocked us
    created_at       BIGINT NOT NULL,
    match_key        TEXT COLLATE "C",  -- 'phone:<digits>' or 'email:<address>': what may be equal on two channels
    PRIMARY KEY (organization_id, channel_id, external_user_id)
);
-- channel_id is no key of it: with it a look-up by channel and user would be taken for cheap here.
CREATE INDEX identity_by_contact ON identity (organization_id, contact_id) INCLUDE (channel_id);
CREATE INDEX identity_by_match ON identity (organization_id, match_key, contact_id) WHERE match_key IS NOT NULL;

-- A provider's chat (private, group, thread) and the conversation that is open in it.
CREATE TABLE chat (
    organization_id  TEXT COLLATE "C" NOT NULL,
    channel_id       TEXT COLLATE "C" NOT NULL,
    external_chat_id TEXT COLLATE "C" NOT NULL,
    conversation_id  TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    PRIMARY KEY (organization_id, channel_id, external_chat_id)
);

CREATE TABLE conversation (
    organization_id   TEXT COLLATE "C" NOT NULL,
    id                TEXT COLLATE "C" NOT NULL,
    channel_id        TEXT COLLATE "C" NOT NULL,  -- primary channel
    external_chat_id  TEXT COLLATE "C" NOT NULL,
    contact_id        TEXT COLLATE "C" NOT NULL,  -- who began it
    brand_id          TEXT COLLATE "C" NOT NULL,
    user_id           TEXT COLLATE "C" NOT NULL,  -- channel's owner, or whom it is assigned to
    status            TEXT COLLATE "C" NOT NULL,  -- the words of the envelope's conversation_status
    hand_off_to_human BIGINT NOT NULL DEFAULT 0,
    title             TEXT COLLATE "C" NOT NULL DEFAULT '',
    thread_id         TEXT COLLATE "C",  -- model provider's conversation, when it keeps one
    last_seq          BIGINT NOT NULL DEFAULT 0,  -- of the newest message
    answered_seq      BIGINT NOT NULL DEFAULT 0,  -- inbound messages up to here are dealt with
    last_message_at   BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    archived_at       BIGINT,
    PRIMARY KEY (organization_id, id)
);
-- The id is no key of these: before a table is analyzed PostgreSQL takes any index whose keys have both for as good as
-- the primary one, and would walk over all conversations of an organization to find one.
CREATE INDEX conversation_by_time ON conversation (organization_id, last_message_at) INCLUDE (id);
CREATE INDEX conversation_by_contact ON conversation (organization_id, contact_id) INCLUDE (id);
CREATE INDEX conversation_by_chat ON conversation (organization_id, channel_id, external_chat_id) INCLUDE (id);

CREATE TABLE message (
    organization_id     TEXT COLLATE "C" NOT NULL,
    id                  TEXT COLLATE "C" NOT NULL,
    conversation_id     TEXT COLLATE "C" NOT NULL,
    seq                 BIGINT NOT NULL,  -- 1, 2, 3 ... within the conversation
    role                TEXT COLLATE "C" NOT NULL,  -- user | assistant | agent | system
    source              TEXT COLLATE "C" NOT NULL,
    channel_id          TEXT COLLATE "C" NOT NULL,
    user_id             TEXT COLLATE "C" NOT NULL,
    contact_id          TEXT COLLATE "C",
    external_message_id TEXT COLLATE "C",  -- inbound: with source the idempotency key
    external_user_id    TEXT COLLATE "C",
    external_chat_id    TEXT COLLATE "C",
    body                TEXT COLLATE "C" NOT NULL,
    metadata            TEXT COLLATE "C" NOT NULL DEFAULT '{}',  -- attachments, reply-to, citations, ...
    envelope            TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    delivery            TEXT COLLATE "C",  -- outbound: queued | sending | sent | delivered | read | failed | uncertain
    answers_from_seq    BIGINT,  -- outbound: the inbound messages it covers
    answers_to_seq      BIGINT,
    provider_at         BIGINT,  -- the provider's timestamp
    created_at          BIGINT NOT NULL,
    deleted_at          BIGINT,  -- its writer deleted it at the provider: body and metadata hold nothing of it any more
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX message_by_seq ON message (organization_id, conversation_id, seq);
CREATE UNIQUE INDEX message_by_external ON message (organization_id, source, external_message_id)
    WHERE external_message_id IS NOT NULL;

-- Reactions, edits, receipts, blocked users, kinds we do not know: never new messages.
CREATE TABLE channel_event (
    organization_id   TEXT COLLATE "C" NOT NULL,
    id                TEXT COLLATE "C" NOT NULL,
    channel_id        TEXT COLLATE "C" NOT NULL,
    external_event_id TEXT COLLATE "C" NOT NULL,  -- dedup within the channel
    kind              TEXT COLLATE "C" NOT NULL,  -- edit | reaction | delivery | blocked | migrated | unknown ...
    message_id        TEXT COLLATE "C",  -- what it is about, when we know it
    payload           TEXT COLLATE "C" NOT NULL,  -- raw JSON
    created_at        BIGINT NOT NULL,
    about             TEXT COLLATE "C",  -- the provider's id of that message, known to us or not; NULL: about none
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX channel_event_by_external
    ON channel_event (organization_id, channel_id, external_event_id);
-- What was said of a message that is deleted goes with it.
CREATE INDEX channel_event_by_about ON channel_event (organization_id, channel_id, about) WHERE about IS NOT NULL;
-- Deletions that came before their message.
CREATE INDEX channel_event_early ON channel_event (organization_id, channel_id)
    WHERE kind = 'deletion' AND message_id IS NULL;

-- What was accepted in a busy moment and is not yet recorded (src/conversation/intake.h).
CREATE TABLE intake (
    organization_id TEXT COLLATE "C" NOT NULL,
    seq             BIGINT NOT NULL,           -- in the order of acceptance
    id              TEXT COLLATE "C" NOT NULL, -- that the message will have
    channel_id      TEXT COLLATE "C" NOT NULL,
    envelope        TEXT COLLATE "C" NOT NULL,
    item            BYTEA NOT NULL,            -- src/channel/inbound_bytes.h
    accepted_at     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, seq)
);

-- Verified requests that could not be read, kept raw for the operator.
CREATE TABLE quarantine (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    channel_id      TEXT COLLATE "C" NOT NULL,
    reason          TEXT COLLATE "C" NOT NULL,
    body            BYTEA NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);

-- Sending, one row a part of a message (long texts are split): intent, call, outcome.
CREATE TABLE delivery (
    organization_id     TEXT COLLATE "C" NOT NULL,
    message_id          TEXT COLLATE "C" NOT NULL,
    part                BIGINT NOT NULL,  -- 0, 1, 2 ...
    state               TEXT COLLATE "C" NOT NULL,  -- intent | growing | retry | sent | failed | window_closed | replaced | uncertain | delivered | read
    external_message_id TEXT COLLATE "C",  -- the provider's
    reason              TEXT COLLATE "C",
    attempts            BIGINT NOT NULL DEFAULT 0,
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (organization_id, message_id, part)
);
CREATE INDEX delivery_unsettled ON delivery (organization_id, state) WHERE state IN ('intent', 'uncertain');

-- Answers that are shown while they are made, as a message that grows (src/conversation/growing.h). One a
-- conversation, until the answer is there: then its first part is 'growing' in delivery.
CREATE TABLE growing (
    organization_id     TEXT COLLATE "C" NOT NULL,
    conversation_id     TEXT COLLATE "C" NOT NULL,
    message_id          TEXT COLLATE "C" NOT NULL,  -- of the answer that is being made
    external_message_id TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the provider's; '': not known (yet)
    begun_at            BIGINT NOT NULL,
    PRIMARY KEY (organization_id, conversation_id)
);

-- A message by the provider's id, for providers that report afterwards what became of it. Written by the
-- report and by our record of the send, whichever comes first.
CREATE TABLE receipt (
    organization_id     TEXT COLLATE "C" NOT NULL,
    channel_id          TEXT COLLATE "C" NOT NULL,
    external_message_id TEXT COLLATE "C" NOT NULL,
    message_id          TEXT COLLATE "C",  -- NULL: reported, but not (yet) recorded as sent by us
    part                BIGINT,
    state               TEXT COLLATE "C" NOT NULL,  -- sent | failed | window_closed | delivered | read
    reason              TEXT COLLATE "C",  -- of failed and window_closed
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (organization_id, external_message_id, channel_id)
);
CREATE INDEX receipt_foreign ON receipt (organization_id, updated_at) WHERE message_id IS NULL;

-- Answers that wait for a person.
CREATE TABLE escalation (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    conversation_id TEXT COLLATE "C" NOT NULL,
    message_id      TEXT COLLATE "C",  -- the inbound message that caused it
    reason          TEXT COLLATE "C" NOT NULL,  -- low_confidence | asked_for_person | model_failed | policy
    draft           TEXT COLLATE "C" NOT NULL DEFAULT '',
    status          TEXT COLLATE "C" NOT NULL DEFAULT 'open',  -- open | approved | overridden | closed
    resolved_by     TEXT COLLATE "C",
    created_at      BIGINT NOT NULL,
    resolved_at     BIGINT,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX escalation_open ON escalation (organization_id, status, id);

-- ---------------------------------------------------------------- queue

-- waiting: behind another job of its lane. ready: due_at decides. A done job is deleted.
CREATE TABLE job (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    topic           TEXT COLLATE "C" NOT NULL,
    lane            TEXT COLLATE "C",  -- FIFO and one worker at a time; NULL: free
    place           BIGINT NOT NULL DEFAULT 0,  -- in the lane: 1, 2, 3 ...; clocks do not decide it
    dedup_key       TEXT COLLATE "C",
    state           TEXT COLLATE "C" NOT NULL,  -- waiting | ready | leased | dead
    due_at          BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    max_attempts    BIGINT NOT NULL,
    lease_holder    TEXT COLLATE "C",  -- process, '/', its number of the lease
    lease_until     BIGINT,
    payload         TEXT COLLATE "C" NOT NULL,  -- JSON: ids, never message text or secrets
    last_error      TEXT COLLATE "C",
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    user_id         TEXT COLLATE "C",  -- on whose behalf it runs: the conversation's or the channel's user
    PRIMARY KEY (organization_id, id)
);
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
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    brand_id        TEXT COLLATE "C",  -- NULL: every brand of the organization
    name            TEXT COLLATE "C" NOT NULL,  -- file name or title; uploading it again is a new version
    kind            TEXT COLLATE "C" NOT NULL,  -- upload | folder | url | member | site
    uri             TEXT COLLATE "C" NOT NULL DEFAULT '',
    audience        TEXT COLLATE "C" NOT NULL DEFAULT 'customer',  -- customer | staff | staff:role,role
    language        TEXT COLLATE "C" NOT NULL DEFAULT '',
    current_version BIGINT NOT NULL DEFAULT 0,  -- the one that is searched; 0: none yet
    last_version    BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    category        TEXT COLLATE "C",  -- this and the next two as somebody said; NULL: nobody did; '' and 0: it has none
    tone            TEXT COLLATE "C",
    dated_at        BIGINT,
    parent_id       TEXT COLLATE "C",  -- the archive or mail that holds it; NULL: it came by itself
    passage_words   BIGINT,  -- how the version that is searched was cut; NULL: as the server is set to
    passage_overlap BIGINT,
    own_category    TEXT COLLATE "C" NOT NULL DEFAULT '',  -- what the version that is searched says of itself
    own_tone        TEXT COLLATE "C" NOT NULL DEFAULT '',
    own_dated_at    BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX source_by_name
    ON source (organization_id, coalesce(brand_id, ''), kind, name, coalesce(parent_id, ''));
CREATE INDEX source_by_parent ON source (organization_id, parent_id, id) WHERE parent_id IS NOT NULL;

CREATE TABLE source_version (
    organization_id TEXT COLLATE "C" NOT NULL,
    source_id       TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    content_type    TEXT COLLATE "C" NOT NULL,
    content_hash    TEXT COLLATE "C" NOT NULL,  -- SHA-256, hexadecimal
    size_bytes      BIGINT NOT NULL,
    title           TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at      BIGINT NOT NULL,
-- Long, so last: reading what stands before them does not walk through them.
    text            TEXT COLLATE "C" NOT NULL DEFAULT '',  -- normalised; citations count its bytes
    content         BYTEA NOT NULL,  -- the raw document, re-processable
    object          TEXT COLLATE "C" NOT NULL DEFAULT '',  -- its raw document in src/blob/
    charset         TEXT COLLATE "C" NOT NULL DEFAULT '',  -- said beside the type; '': nothing, or UTF-8
    PRIMARY KEY (organization_id, source_id, version)
);

CREATE TABLE ingestion (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    source_id       TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,  -- queued | running | done | failed
    stage           TEXT COLLATE "C" NOT NULL DEFAULT '',  -- extract | chunk | index
    progress        DOUBLE PRECISION NOT NULL DEFAULT 0,  -- 0..1
    chunk_count     BIGINT NOT NULL DEFAULT 0,
    error           TEXT COLLATE "C",  -- a sentence for the uploader
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX ingestion_by_source ON ingestion (organization_id, source_id, id);

-- Places on the web whose pages are documents (src/knowledge/site.h). A site is also a row of source,
-- of kind 'site' and without versions: its pages' parent, which says whose they are and for whom.

CREATE TABLE site (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,               -- of its source
    kind            TEXT COLLATE "C" NOT NULL,               -- page | sitemap: what the address is of
    url             TEXT COLLATE "C" NOT NULL,
    depth           BIGINT NOT NULL,            -- links that are followed from a page, one after another
    max_pages       BIGINT NOT NULL,
    hosts           TEXT COLLATE "C" NOT NULL,               -- further ones that may be called, parted by spaces
    recrawl_hours   BIGINT NOT NULL,            -- 0: only when asked
    round           BIGINT NOT NULL,            -- of looking at all pages, from 1
    status          TEXT COLLATE "C" NOT NULL,               -- of the newest round: running | done | failed
    error           TEXT COLLATE "C",                        -- of failed
    started_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    PRIMARY KEY (organization_id, id)
);

CREATE TABLE site_page (
    organization_id TEXT COLLATE "C" NOT NULL,
    site_id         TEXT COLLATE "C" NOT NULL,
    url             TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,               -- page | sitemap
    round           BIGINT NOT NULL,            -- in which it was found last
    ordinal         BIGINT NOT NULL,            -- within that round
    depth           BIGINT NOT NULL,            -- links, or sitemaps, from the site's address
    hops            BIGINT NOT NULL,            -- redirects that led here, one after another
    status          TEXT COLLATE "C" NOT NULL,               -- pending | done | unchanged | moved | skipped | gone | failed
    reason          TEXT COLLATE "C",                        -- of the last four: a sentence
    source_id       TEXT COLLATE "C",                        -- its document; NULL: none
    etag            TEXT COLLATE "C" NOT NULL DEFAULT '',
    last_modified   TEXT COLLATE "C" NOT NULL DEFAULT '',
    fetched_at      BIGINT,
    PRIMARY KEY (organization_id, site_id, url)
);
CREATE INDEX site_page_by_round ON site_page (organization_id, site_id, round, ordinal);

-- Passages. id counts within the organization, so that its blocks of postings are full.
CREATE TABLE chunk (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              BIGINT NOT NULL,
    source_id       TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    ordinal         BIGINT NOT NULL,  -- 0, 1, 2 ... within the version
    heading_path    TEXT COLLATE "C" NOT NULL,  -- "Travel > Expenses"
    text            TEXT COLLATE "C" NOT NULL,
    start_char      BIGINT NOT NULL,  -- bytes of source_version.text
    end_char        BIGINT NOT NULL,
    language        TEXT COLLATE "C" NOT NULL,
    page            BIGINT,           -- from 1, where it begins; NULL: the document has none
-- Where it goes on to another page: "bytes-from-start_char:page" with spaces between.
    page_starts     TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, source_id, version, ordinal)
);

-- ---------------------------------------------------------------- API

CREATE TABLE idempotency (
    organization_id TEXT COLLATE "C" NOT NULL,
    key             TEXT COLLATE "C" NOT NULL,
    request_hash    TEXT COLLATE "C" NOT NULL,  -- of method, path and body
    status          BIGINT NOT NULL,
    content_type    TEXT COLLATE "C" NOT NULL,
    body            TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, key)
);

-- ---------------------------------------------------------------- persons (src/conversation/person.h)

-- Contacts keep their own identities and history: they are linked by a name above them, and apart again
-- when that is taken away.
CREATE TABLE contact_link (
    organization_id TEXT COLLATE "C" NOT NULL,
    contact_id      TEXT COLLATE "C" NOT NULL,
    person_id       TEXT COLLATE "C" NOT NULL,               -- the same for all who are one person
    linked_by       TEXT COLLATE "C" NOT NULL,               -- code | link | staff
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, contact_id)
);
CREATE INDEX contact_link_by_person ON contact_link (organization_id, person_id, contact_id);

-- Codes and one-time links under way. Only their hashes are kept.
CREATE TABLE link_code (
    organization_id TEXT COLLATE "C" NOT NULL,
    hash            TEXT COLLATE "C" NOT NULL,               -- SHA-256, hexadecimal
    kind            TEXT COLLATE "C" NOT NULL,               -- code | link
    contact_id      TEXT COLLATE "C" NOT NULL,               -- who whoever shows it is
    channel_id      TEXT COLLATE "C" NOT NULL,               -- of a link: the web chat that it opens; '' of a code
    expires_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, hash)
);

-- Suggestions that a person of the team refused: contact_id is the lesser id.
CREATE TABLE link_dismissed (
    organization_id TEXT COLLATE "C" NOT NULL,
    contact_id      TEXT COLLATE "C" NOT NULL,
    other_id        TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, contact_id, other_id)
);

-- ---------------------------------------------------------------- outgoing events (src/events/)

-- Where they are sent. The signing secrets are a sealed credential, owned by the endpoint.
CREATE TABLE event_endpoint (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    url             TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C" NOT NULL DEFAULT '',
    kinds           TEXT COLLATE "C" NOT NULL,               -- words with spaces; '': every kind
    include_text    BIGINT NOT NULL DEFAULT 0,  -- 1: what people wrote goes along
    status          TEXT COLLATE "C" NOT NULL DEFAULT 'enabled', -- enabled | disabled
    status_reason   TEXT COLLATE "C" NOT NULL DEFAULT '',    -- of disabled: gone | failing | address | by_staff
    failures        BIGINT NOT NULL DEFAULT 0,  -- tries in a row that failed
    failing_since   BIGINT,
    paused_until    BIGINT NOT NULL DEFAULT 0,  -- nothing is sent before
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);

-- Written in the transaction of what it tells.
CREATE TABLE event (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,               -- webhook-id is msg_ and this
    kind            TEXT COLLATE "C" NOT NULL,
    body            TEXT COLLATE "C" NOT NULL,               -- the bytes that are signed and sent
    body_with_text  TEXT COLLATE "C",                        -- the same for endpoints that include texts; NULL: no text
    created_at      BIGINT NOT NULL,
    message_id      TEXT COLLATE "C",                        -- whose words those are; NULL: no message's
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX event_by_time ON event (organization_id, created_at, id);
CREATE INDEX event_by_message ON event (organization_id, message_id) WHERE body_with_text IS NOT NULL;

CREATE TABLE event_delivery (
    organization_id TEXT COLLATE "C" NOT NULL,
    endpoint_id     TEXT COLLATE "C" NOT NULL,
    event_id        TEXT COLLATE "C" NOT NULL,
    lane            BIGINT NOT NULL,            -- one job at a time sends a lane's
    state           TEXT COLLATE "C" NOT NULL,               -- pending | delivered | failed
    due_at          BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,  -- since it was queued or replayed
    http_status     BIGINT,                     -- of the last answer; NULL: there was none
    error           TEXT COLLATE "C",                        -- why the last try failed
    response        TEXT COLLATE "C",                        -- the beginning of its answer
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id, event_id)
);
CREATE INDEX event_delivery_due ON event_delivery (organization_id, endpoint_id, lane, due_at, event_id)
    WHERE state = 'pending';

-- ---------------------------------------------------------------- evaluations (src/eval/)

-- Questions with known answers.
CREATE TABLE evaluation_set (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    questions       TEXT COLLATE "C" NOT NULL,               -- JSON array: docs/contracts/evaluation.md
    question_count  BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX evaluation_set_by_name ON evaluation_set (organization_id, name);

-- A run. The questions are those of the set when it was begun.
CREATE TABLE evaluation (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    set_id          TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    persona         TEXT COLLATE "C",                        -- JSON, tried instead of the brand's; NULL: the brand's
    questions       TEXT COLLATE "C" NOT NULL,
    question_count  BIGINT NOT NULL,
    done_count      BIGINT NOT NULL DEFAULT 0,  -- rows that there are
    status          TEXT COLLATE "C" NOT NULL,               -- queued | running | done | failed
    figures         TEXT COLLATE "C",                        -- JSON, of done
    error           TEXT COLLATE "C",                        -- of failed
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    with_drafts     BIGINT NOT NULL DEFAULT 0,  -- 1: as if drafts of documents were published
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX evaluation_by_set ON evaluation (organization_id, set_id, id);

CREATE TABLE evaluation_row (
    organization_id TEXT COLLATE "C" NOT NULL,
    evaluation_id   TEXT COLLATE "C" NOT NULL,
    ordinal         BIGINT NOT NULL,            -- of the question, from 0
    body            TEXT COLLATE "C" NOT NULL,               -- JSON: src/eval/ask.h
    PRIMARY KEY (organization_id, evaluation_id, ordinal)
);

-- The inverted file over the passages. All of it can be made again from chunk and source_version.

-- What may be searched together: a brand's (or every brand's), for an audience, in one language.
CREATE TABLE index_partition (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              BIGINT NOT NULL,
    brand_id        TEXT COLLATE "C" NOT NULL,  -- '': every brand
    audience        TEXT COLLATE "C" NOT NULL,  -- customer | staff | staff:role,role
    language        TEXT COLLATE "C" NOT NULL,
    chunk_count     BIGINT NOT NULL DEFAULT 0,
    term_count      BIGINT NOT NULL DEFAULT 0,  -- sum of the chunks' lengths in terms
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX index_partition_by_what
    ON index_partition (organization_id, brand_id, audience, language);

-- A passage by its words: for ranking candidates again, and for taking it out.
CREATE TABLE index_chunk (
    organization_id TEXT COLLATE "C" NOT NULL,
    chunk_id        BIGINT NOT NULL,
    partition_id    BIGINT NOT NULL,
    source_id       TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    title           TEXT COLLATE "C" NOT NULL,
    term_count      BIGINT NOT NULL,
    terms           BYTEA NOT NULL,  -- src/index/postings.h
    PRIMARY KEY (organization_id, chunk_id)
);
CREATE INDEX index_chunk_by_source ON index_chunk (organization_id, source_id, version);

-- A word's chunks: one row for each range of 4096 chunk ids.
CREATE TABLE index_posting (
    organization_id TEXT COLLATE "C" NOT NULL,
    partition_id    BIGINT NOT NULL,
    term            TEXT COLLATE "C" NOT NULL,
    block           BIGINT NOT NULL,  -- chunk_id / 4096
    chunk_count     BIGINT NOT NULL,
    postings        BYTEA NOT NULL,  -- src/index/postings.h
    PRIMARY KEY (organization_id, partition_id, term, block)
);

-- Sentence vectors of passages, beside their words. What one call has put is a batch: its number is the
-- organization's generation then, which every change of its vectors makes one more, and no other has it again.
CREATE TABLE index_vector_state (
    organization_id TEXT COLLATE "C" NOT NULL,
    id              BIGINT NOT NULL,  -- 1: there is one row
    generation      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE TABLE index_vector_batch (
    organization_id TEXT COLLATE "C" NOT NULL,
    batch           BIGINT NOT NULL,
    encoder         TEXT COLLATE "C" NOT NULL,  -- only vectors of one encoder may be compared
    source_id       TEXT COLLATE "C" NOT NULL,
    version         BIGINT NOT NULL,
    chunk_count     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, batch)
);
CREATE TABLE index_vector (
    organization_id TEXT COLLATE "C" NOT NULL,
    chunk_id        BIGINT NOT NULL,
    encoder         TEXT COLLATE "C" NOT NULL,
    batch           BIGINT NOT NULL,
    partition_id    BIGINT NOT NULL,
    vector          BYTEA NOT NULL,  -- src/index/scan.h
    PRIMARY KEY (organization_id, chunk_id, encoder)
);
CREATE INDEX index_vector_by_batch ON index_vector (organization_id, batch, chunk_id);

-- What an engine beside the database (Qdrant) has of each document; made again by marking all as changed.
CREATE TABLE index_sync (
    organization_id TEXT COLLATE "C" NOT NULL,
    source_id       TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,  -- '': changed since | collection/vectors | collection/words
    change          BIGINT NOT NULL,            -- one more with every change
    known           BIGINT NOT NULL,            -- 1: the engine may have some of it
    PRIMARY KEY (organization_id, source_id)
);
CREATE INDEX index_sync_by_state ON index_sync (organization_id, state, source_id);

-- ---------------------------------------------------------------- live events

-- What connected browsers are told, for processes on this server: docs/contracts/live.md. Not durable:
-- a crash of the server empties both tables, and browsers read the state anew. Rows are there for topics
-- that somebody listened to lately.
CREATE UNLOGGED TABLE live_topic (
    organization_id TEXT COLLATE "C" NOT NULL,
    topic           TEXT COLLATE "C" NOT NULL,
    epoch           TEXT COLLATE "C" NOT NULL,
    number          BIGINT NOT NULL,  -- of the newest event
    generation      BIGINT NOT NULL,  -- of another one: begins anew
    publishers      JSONB NOT NULL,   -- the last event of each, by its own count: what is sent again is known
    expires_at      BIGINT NOT NULL,  -- by the server's clock; whoever listens moves it on
    PRIMARY KEY (organization_id, topic)
) WITH (fillfactor = 50);

-- The newest events of a topic.
CREATE UNLOGGED TABLE live_event (
    organization_id TEXT COLLATE "C" NOT NULL,
    topic           TEXT COLLATE "C" NOT NULL,
    number          BIGINT NOT NULL,
    item            TEXT COLLATE "C" NOT NULL,  -- type, newline, data
    PRIMARY KEY (organization_id, topic, number)
);

-- ---------------------------------------------------------------- row-level security

-- The driver sets parley.organization_id in each transaction. Without it, or with '', no row is seen
-- and none can be added. Also for the tables' owner.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'brand',
        'channel',
        'credential',
        'channel_state',
        'contact',
        'identity',
        'chat',
        'conversation',
        'message',
        'channel_event',
        'intake',
        'quarantine',
        'delivery',
        'growing',
        'receipt',
        'escalation',
        'job',
        'source',
        'source_version',
        'ingestion',
        'chunk',
        'idempotency',
        'contact_link',
        'link_code',
        'link_dismissed',
        'event_endpoint',
        'event',
        'event_delivery',
        'evaluation_set',
        'evaluation',
        'evaluation_row',
        'index_partition',
        'index_chunk',
        'index_posting',
        'index_vector_state',
        'index_vector_batch',
        'index_vector',
        'index_sync',
        'site',
        'site_page',
        'live_topic',
        'live_event'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_organization ON %I USING '
            '(organization_id = current_setting(''parley.organization_id'', true)) WITH CHECK '
            '(organization_id = current_setting(''parley.organization_id'', true))', name);
    END LOOP;
END $$;

-- Removes all rows of the transaction's organization, from every table that has such rows: those with
-- row-level security, which a test holds to be all that have an organization_id.
CREATE FUNCTION parley_tenant_clear() RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace
            AND c.relkind IN ('r', 'p') AND c.relrowsecurity
    LOOP
        EXECUTE 'DELETE FROM ' || name
            || ' WHERE organization_id = current_setting(''parley.organization_id'')';
    END LOOP;
END $$;

-- Which organizations have work that is due: what whoever claims work must know before it can act for
-- one of them. The function's owner sees the jobs of all, and whoever calls it these three columns.
CREATE POLICY due_work ON job FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION parley_due_work(of_topic TEXT, due_by BIGINT, after_organization TEXT, at_most INTEGER)
    RETURNS TABLE (organization_id TEXT, topic TEXT, due_at BIGINT)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path FROM CURRENT
    AS $$
        SELECT j.organization_id, j.topic, min(j.due_at) FROM job j
        WHERE j.state = 'ready' AND j.topic = of_topic AND j.due_at <= due_by
            AND j.organization_id > after_organization
        GROUP BY j.organization_id, j.topic ORDER BY j.organization_id LIMIT at_most
    $$;

-- ---------------------------------------------------------------- live events, continued

-- Adds an event and tells all processes that there is one; a NULL item is one that cannot be kept.
-- Nothing when nobody listened lately, or when the publisher's event of that count is there already. The
-- topic's row is locked until the commit, so numbers grow in the order in which they can be seen.
CREATE FUNCTION parley_live_publish(of_organization TEXT, of_topic TEXT, publisher TEXT, of_count BIGINT,
    new_item TEXT, kept BIGINT) RETURNS VOID LANGUAGE plpgsql
    SET search_path FROM CURRENT
    AS $$
#variable_conflict use_column
DECLARE
    ring live_topic;
BEGIN
    PERFORM set_config('parley.organization_id', of_organization, true);
    UPDATE live_topic l SET number = l.number + 1,
        publishers = l.publishers || jsonb_build_object(publisher, of_count)
        WHERE l.organization_id = of_organization AND l.topic = of_topic AND l.expires_at > parley_now()
            AND l.generation = coalesce((SELECT g.generation FROM live_generation g), 0)
            AND coalesce((l.publishers ->> publisher)::BIGINT, 0) < of_count
        RETURNING * INTO ring;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM live_event e WHERE e.organization_id = of_organization AND e.topic = of_topic
        AND (new_item IS NULL OR e.number <= ring.number - kept);
    IF new_item IS NOT NULL THEN
        INSERT INTO live_event (organization_id, topic, number, item)
            VALUES (of_organization, of_topic, ring.number, new_item);
    END IF;
    PERFORM pg_notify('parley_live', ring.epoch || '-' || ring.number || ' ' || of_organization || '/' || of_topic);
END $$;

-- The topic's ring, made when there is none: epoch, number, and the items behind what the caller knows,
-- the newest last; one row without an item when there are none. Makes it live on when half its time is
-- over; else nothing is written.
CREATE FUNCTION parley_live_join(of_organization TEXT, of_topic TEXT, fresh_epoch TEXT, keep_us BIGINT,
    known_epoch TEXT, known_number BIGINT)
    RETURNS TABLE (epoch TEXT, number BIGINT, item TEXT) LANGUAGE plpgsql
    SET search_path FROM CURRENT
    AS $$
#variable_conflict use_column
DECLARE
    ring live_topic;
    now_us BIGINT := parley_now();
    current_generation BIGINT := coalesce((SELECT g.generation FROM live_generation g), 0);
BEGIN
    PERFORM set_config('parley.organization_id', of_organization, true);
    SELECT * INTO ring FROM live_topic l WHERE l.organization_id = of_organization AND l.topic = of_topic
        AND l.generation = current_generation AND l.expires_at > now_us + keep_us / 2;
    IF NOT FOUND THEN
        INSERT INTO live_topic AS l
            (organization_id, topic, epoch, number, generation, publishers, expires_at)
            VALUES (of_organization, of_topic, fresh_epoch, 0, current_generation, '{}', now_us + keep_us)
            ON CONFLICT (organization_id, topic) DO UPDATE SET
                epoch = CASE WHEN l.generation = excluded.generation AND l.expires_at > now_us
                    THEN l.epoch ELSE excluded.epoch END,
                number = CASE WHEN l.generation = excluded.generation AND l.expires_at > now_us
                    THEN l.number ELSE 0 END,
                -- Of processes that are no more, too: not for ever.
                publishers = CASE WHEN l.generation = excluded.generation AND l.expires_at > now_us
                        AND length(l.publishers::TEXT) < 10000
                    THEN l.publishers ELSE '{}' END,
                generation = excluded.generation, expires_at = excluded.expires_at
            RETURNING * INTO ring;
        IF ring.epoch = fresh_epoch THEN
            DELETE FROM live_event e WHERE e.organization_id = of_organization AND e.topic = of_topic;
        END IF;
    END IF;
    -- What came after the look at the ring is told of by itself.
    RETURN QUERY SELECT ring.epoch, ring.number, e.item
        FROM (VALUES (1)) AS one LEFT JOIN live_event e
            ON e.organization_id = of_organization AND e.topic = of_topic AND e.number <= ring.number
            AND (ring.epoch <> known_epoch OR e.number > known_number)
        ORDER BY e.number;
END $$;

-- Events were lost before they could be added: every topic begins anew, and all processes hear of it.
CREATE FUNCTION parley_live_anew() RETURNS VOID LANGUAGE sql
    SET search_path FROM CURRENT
    AS $$
        INSERT INTO live_generation AS g (id, generation) VALUES (1, 1)
            ON CONFLICT (id) DO UPDATE SET generation = g.generation + 1;
        SELECT pg_notify('parley_live', '')
    $$;

-- Removes topics that nobody listens to any more, of all organizations: the function's owner sees them,
-- and whoever calls it only that they go.
CREATE POLICY prune_look ON live_topic FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY prune_look ON live_event FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY prune ON live_topic FOR DELETE TO CURRENT_USER USING (expires_at < parley_now());
CREATE POLICY prune ON live_event FOR DELETE TO CURRENT_USER USING (true);
CREATE FUNCTION parley_live_prune() RETURNS VOID LANGUAGE sql SECURITY DEFINER
    SET search_path FROM CURRENT
    AS $$
        WITH gone AS (DELETE FROM live_topic t WHERE t.expires_at < parley_now()
            RETURNING t.organization_id, t.topic)
        DELETE FROM live_event e USING gone g
            WHERE e.organization_id = g.organization_id AND e.topic = g.topic
    $$;
