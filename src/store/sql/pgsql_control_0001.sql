-- What must be known before a tenant is: the same tables as control.db on SQLite.
-- Ids are UUIDv7 in text, times microseconds since 1970 UTC, JSON validated text.

CREATE TABLE organization (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    slug       TEXT COLLATE "C" NOT NULL UNIQUE,  -- short name in commands: "demo"
    status     TEXT COLLATE "C" NOT NULL DEFAULT 'active',  -- active | suspended
    settings   TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL
);

-- People of an organization. Passwords and sign-on come with src/access/.
CREATE TABLE user_account (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id              TEXT COLLATE "C" NOT NULL,
    email           TEXT COLLATE "C" NOT NULL,
    display_name    TEXT COLLATE "C" NOT NULL,
    role            TEXT COLLATE "C" NOT NULL,  -- owner | admin | agent | analyst
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, email)
);

-- From what a webhook names (a channel, an account) to the organization. The channel itself, with
-- its sealed credentials, is in the tenant's database.
CREATE TABLE channel_directory (
    channel_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    source          TEXT COLLATE "C" NOT NULL,
    account         TEXT COLLATE "C",  -- bot id, phone number, address; NULL: none
    revision        BIGINT NOT NULL DEFAULT 1,  -- grows with every change: caches compare it
    UNIQUE (source, account)
);
CREATE INDEX channel_directory_by_organization ON channel_directory (organization_id);

-- API keys: shown once, kept as a hash. The prefix finds the row; the hash decides.
CREATE TABLE api_key (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id              TEXT COLLATE "C" NOT NULL,
    prefix          TEXT COLLATE "C" NOT NULL UNIQUE,
    secret_hash     BYTEA NOT NULL,  -- SHA-256 of the secret (256 random bits)
    name            TEXT COLLATE "C" NOT NULL,
    scopes          TEXT COLLATE "C" NOT NULL,  -- space-separated
    user_id         TEXT COLLATE "C",
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    last_used_at    BIGINT,
    PRIMARY KEY (organization_id, id)
);

-- How often live events were lost, so that all topics began anew: one row, or none yet. Not durable, as
-- the events' tables: after a crash of the server all are empty together.
CREATE UNLOGGED TABLE live_generation (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    generation BIGINT NOT NULL
);

-- Which organizations have a place for their rows: what a file is on SQLite.
CREATE TABLE tenant_database (
    organization_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at      BIGINT NOT NULL
);

-- Processes that serve. Each says every few seconds that it is there; what it said is over at
-- expires_at. All times in these two tables are this database's, so that hosts need not agree.
CREATE TABLE instance (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    host         TEXT COLLATE "C" NOT NULL,
    pid          BIGINT NOT NULL,
    roles        TEXT COLLATE "C" NOT NULL,  -- "gateway,worker"
    version      TEXT COLLATE "C" NOT NULL,
    started_at   BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

-- What one process at a time does: polling a channel, upkeep. Free when its instance is no more.
CREATE TABLE duty (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- "upkeep", "poll:<channel>"
    instance_id TEXT COLLATE "C" NOT NULL,
    taken_at    BIGINT NOT NULL
);

-- Grows with every change of what processes keep in memory: they look several times a second.
CREATE TABLE record_revision (
    kind     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO record_revision (kind, revision) VALUES ('channel', 1), ('key', 1), ('organization', 1);
