-- The inverted file over the passages. All of it can be made again from chunk and source_version.

-- What may be searched together: a brand's (or every brand's), for an audience, in one language.
CREATE TABLE index_partition (
    organization_id TEXT NOT NULL,
    id              INTEGER NOT NULL,
    brand_id        TEXT NOT NULL,               -- '': every brand
    audience        TEXT NOT NULL,               -- customer | staff
    language        TEXT NOT NULL,
    chunk_count     INTEGER NOT NULL DEFAULT 0,
    term_count      INTEGER NOT NULL DEFAULT 0,  -- sum of the chunks' lengths in terms
    PRIMARY KEY (organization_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX index_partition_by_what
    ON index_partition (organization_id, brand_id, audience, language);

-- A passage by its words: for ranking candidates again, and for taking it out.
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
CREATE INDEX index_chunk_by_source ON index_chunk (organization_id, source_id, version);

-- A word's chunks: one row for each range of 4096 chunk ids.
CREATE TABLE index_posting (
    organization_id TEXT NOT NULL,
    partition_id    INTEGER NOT NULL,
    term            TEXT NOT NULL,
    block           INTEGER NOT NULL,            -- chunk_id / 4096
    chunk_count     INTEGER NOT NULL,
    postings        BLOB NOT NULL,               -- src/index/postings.h
    PRIMARY KEY (organization_id, partition_id, term, block)
) STRICT, WITHOUT ROWID;
