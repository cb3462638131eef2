-- The second step: the process that serves, and what one process at a time does. With files there is
-- one; the tables are those of PostgreSQL, where there may be many.

CREATE TABLE instance (
    id           TEXT NOT NULL PRIMARY KEY,
    host         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    roles        TEXT NOT NULL,                  -- "gateway,worker"
    version      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE duty (
    name        TEXT NOT NULL PRIMARY KEY,       -- "upkeep", "poll:<channel>"
    instance_id TEXT NOT NULL,
    taken_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Grows with every change of what processes keep in memory.
CREATE TABLE record_revision (
    kind     TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO record_revision (kind, revision) VALUES ('channel', 1), ('key', 1), ('organization', 1);
