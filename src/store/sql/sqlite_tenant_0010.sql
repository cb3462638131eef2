-- Outgoing events: what happened, told to the organization's own systems (src/events/).

-- Where they are sent. The signing secrets are a sealed credential, owned by the endpoint.
CREATE TABLE event_endpoint (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    url             TEXT NOT NULL,
    description     TEXT NOT NULL DEFAULT '',
    kinds           TEXT NOT NULL,               -- words with spaces; '': every kind
    include_text    INTEGER NOT NULL DEFAULT 0,  -- 1: what people wrote goes along
    status          TEXT NOT NULL DEFAULT 'enabled', -- enabled | disabled
    status_reason   TEXT NOT NULL DEFAULT '',    -- of disabled: gone | failing | address | by_staff
    failures        INTEGER NOT NULL DEFAULT 0,  -- tries in a row that failed
    failing_since   INTEGER,
    paused_until    INTEGER NOT NULL DEFAULT 0,  -- nothing is sent before
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;

-- Written in the transaction of what it tells. Rows are long, so with row ids.
CREATE TABLE event (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,               -- webhook-id is msg_ and this
    kind            TEXT NOT NULL,
    body            TEXT NOT NULL,               -- the bytes that are signed and sent
    body_with_text  TEXT,                        -- the same for endpoints that include texts; NULL: no text
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT;
CREATE INDEX event_by_time ON event (created_at, id);

CREATE TABLE event_delivery (
    organization_id TEXT NOT NULL,
    endpoint_id     TEXT NOT NULL,
    event_id        TEXT NOT NULL,
    lane            INTEGER NOT NULL,            -- one job at a time sends a lane's
    state           TEXT NOT NULL,               -- pending | delivered | failed
    due_at          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,  -- since it was queued or replayed
    http_status     INTEGER,                     -- of the last answer; NULL: there was none
    error           TEXT,                        -- why the last try failed
    response        TEXT,                        -- the beginning of its answer
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, event_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_delivery_due ON event_delivery (endpoint_id, lane, due_at, event_id)
    WHERE state = 'pending';
