-- Sentence vectors of passages, beside their words. What one call has put is a batch: its number is the
-- organization's generation then, which every change of its vectors makes one more, and no other has it again.
CREATE TABLE index_vector_state (
    organization_id TEXT NOT NULL,
    id              INTEGER NOT NULL,            -- 1: there is one row
    generation      INTEGER NOT NULL,
    PRIMARY KEY (id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE index_vector_batch (
    organization_id TEXT NOT NULL,
    batch           INTEGER NOT NULL,
    encoder         TEXT NOT NULL,               -- only vectors of one encoder may be compared
    source_id       TEXT NOT NULL,
    version         INTEGER NOT NULL,
    chunk_count     INTEGER NOT NULL,
    PRIMARY KEY (batch, organization_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE index_vector (
    organization_id TEXT NOT NULL,
    chunk_id        INTEGER NOT NULL,
    encoder         TEXT NOT NULL,
    batch           INTEGER NOT NULL,
    partition_id    INTEGER NOT NULL,
    vector          BLOB NOT NULL,               -- src/index/scan.h
    PRIMARY KEY (chunk_id, encoder, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX index_vector_by_batch ON index_vector (batch, chunk_id);
