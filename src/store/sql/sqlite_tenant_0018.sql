-- What an engine beside the database (Qdrant) has of each document; made again by marking all as changed.
CREATE TABLE index_sync (
    organization_id TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    state           TEXT NOT NULL,               -- '': changed since | collection/vectors | collection/words
    change          INTEGER NOT NULL,            -- one more with every change
    known           INTEGER NOT NULL,            -- 1: the engine may have some of it
    PRIMARY KEY (source_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_sync_by_state ON index_sync (state, source_id);
INSERT INTO index_sync (organization_id, source_id, state, change, known)
SELECT DISTINCT organization_id, source_id, '', 1, 0 FROM index_chunk;
