-- control.db: what must be known before a tenant is.
-- Ids are UUIDv7 in text, times microseconds since 1970 UTC, JSON validated text.

CREATE TABLE organization (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    slug       TEXT NOT NULL UNIQUE,             -- short name in commands: "demo"
    status     TEXT NOT NULL DEFAULT 'active',   -- active | suspended
    settings   TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People of an organization. Passwords and sign-on come with src/access/.
CREATE TABLE user_account (
    organization_id TEXT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    email           TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    role            TEXT NOT NULL,               -- owner | admin | agent | analyst
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, email)
) STRICT, WITHOUT ROWID;

-- From what a webhook names (a channel, an account) to the organization. The channel itself, with
-- its sealed credentials, is in the tenant's database.
CREATE TABLE channel_directory (
    channel_id      TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    source          TEXT NOT NULL,
    account         TEXT,                        -- bot id, phone number, address; NULL: none
    revision        INTEGER NOT NULL DEFAULT 1,  -- grows with every change: caches compare it
    UNIQUE (source, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_directory_by_organization ON channel_directory (organization_id);

-- API keys: shown once, kept as a hash. The prefix finds the row; the hash decides.
CREATE TABLE api_key (
    organization_id TEXT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    prefix          TEXT NOT NULL UNIQUE,
    secret_hash     BLOB NOT NULL,               -- SHA-256 of the secret (256 random bits)
    name            TEXT NOT NULL,
    scopes          TEXT NOT NULL,               -- space-separated
    user_id         TEXT,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    revoked_at      INTEGER,
    last_used_at    INTEGER,
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
