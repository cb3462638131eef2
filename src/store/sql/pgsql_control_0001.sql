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

CREATE FUNCTION parley_now() RETURNS BIGINT LANGUAGE sql VOLATILE
    RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT;

-- Buckets of tokens, for rates that processes count together (limits.shared = pgsql); the hash is of
-- organization and key. Not durable, and gone when they are full again.
CREATE UNLOGGED TABLE limit_bucket (
    hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tokens  DOUBLE PRECISION NOT NULL,
    at      BIGINT NOT NULL,  -- when tokens was right
    full_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Processes that take part.
CREATE UNLOGGED TABLE limit_instance (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- Takes a token: 0, or how many milliseconds to wait for one. What it reads of the clock is younger than
-- the row's lock, so that time does not go back for a bucket.
CREATE FUNCTION parley_limit_take(of_hash TEXT, per_minute BIGINT, burst BIGINT) RETURNS DOUBLE PRECISION
    LANGUAGE plpgsql
    SET search_path FROM CURRENT
    AS $$
DECLARE
    rate DOUBLE PRECISION := per_minute / 60000000.0;  -- tokens a microsecond
    bucket limit_bucket;
    wait_ms DOUBLE PRECISION;
    now_us BIGINT := parley_now();
BEGIN
    INSERT INTO limit_bucket (hash, tokens, at, full_at)
        VALUES (of_hash, burst - 1, now_us, now_us + (1 / rate)::BIGINT)
        ON CONFLICT (hash) DO NOTHING;
    IF FOUND THEN
        RETURN 0;
    END IF;
    SELECT * INTO bucket FROM limit_bucket b WHERE b.hash = of_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;  -- it was full, and was removed at this moment
    END IF;
    now_us := parley_now();
    bucket.tokens := least(burst, bucket.tokens + greatest(0, now_us - bucket.at) * rate);
    wait_ms := CASE WHEN bucket.tokens >= 1 THEN 0 ELSE (1 - bucket.tokens) / rate / 1000 END;
    IF wait_ms = 0 THEN
        bucket.tokens := bucket.tokens - 1;
    END IF;
    UPDATE limit_bucket b SET tokens = bucket.tokens, at = now_us,
        full_at = now_us + ((burst - bucket.tokens) / rate)::BIGINT
        WHERE b.hash = of_hash;
    RETURN wait_ms;
END $$;

-- This process is alive; how many are. Removes those that are not, and buckets that are full.
CREATE FUNCTION parley_limit_seen(of_instance TEXT, dead_after BIGINT) RETURNS BIGINT
    LANGUAGE plpgsql
    SET search_path FROM CURRENT
    AS $$
BEGIN
    INSERT INTO limit_instance AS i (id, seen_at) VALUES (of_instance, parley_now())
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at;
    DELETE FROM limit_instance i WHERE i.id IN (SELECT d.id FROM limit_instance d
        WHERE d.seen_at < parley_now() - dead_after FOR UPDATE SKIP LOCKED);
    DELETE FROM limit_bucket b WHERE b.hash IN (SELECT f.hash FROM limit_bucket f
        WHERE f.full_at < parley_now() FOR UPDATE SKIP LOCKED);
    RETURN (SELECT count(*) FROM limit_instance);
END $$;
