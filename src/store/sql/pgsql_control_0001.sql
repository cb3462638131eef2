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

-- At most one row: `parley move` has begun to fill this database and has not verified it yet. Nobody may
-- serve what is not whole.
CREATE TABLE unfinished_move (
    id   BIGINT NOT NULL PRIMARY KEY,
    mark TEXT COLLATE "C" NOT NULL  -- of what is moved
);

-- Which organizations have a place for their rows: what a file is on SQLite.
CREATE TABLE tenant_database (
    organization_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at      BIGINT NOT NULL
);
