-- Evaluations: questions with known answers, and what came of asking them (src/eval/evaluations.h).

CREATE TABLE evaluation_set (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL,
    questions       TEXT NOT NULL,               -- JSON array: docs/contracts/evaluation.md
    question_count  INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX evaluation_set_by_name ON evaluation_set (name);

-- A run. The questions are those of the set when it was begun.
CREATE TABLE evaluation (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,
    set_id          TEXT NOT NULL,
    name            TEXT NOT NULL,
    persona         TEXT,                        -- JSON, tried instead of the brand's; NULL: the brand's
    questions       TEXT NOT NULL,
    question_count  INTEGER NOT NULL,
    done_count      INTEGER NOT NULL DEFAULT 0,  -- rows that there are
    status          TEXT NOT NULL,               -- queued | running | done | failed
    figures         TEXT,                        -- JSON, of done
    error           TEXT,                        -- of failed
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX evaluation_by_set ON evaluation (set_id, id);

CREATE TABLE evaluation_row (
    organization_id TEXT NOT NULL,
    evaluation_id   TEXT NOT NULL,
    ordinal         INTEGER NOT NULL,            -- of the question, from 0
    body            TEXT NOT NULL,               -- JSON: src/eval/ask.h
    PRIMARY KEY (evaluation_id, ordinal)
) STRICT, WITHOUT ROWID;
