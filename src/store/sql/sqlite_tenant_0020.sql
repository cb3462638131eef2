-- A run that asks as if every draft of a document were published (src/eval/evaluations.h).
ALTER TABLE evaluation ADD COLUMN with_drafts INTEGER NOT NULL DEFAULT 0;
