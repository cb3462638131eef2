-- A run that asks as if every draft of a document were published (src/eval/evaluations.h).
ALTER TABLE evaluation ADD COLUMN with_drafts INTEGER NOT NULL DEFAULT 0;

-- What the server or the upload said beside the type; '': nothing, or UTF-8.
ALTER TABLE source_version ADD COLUMN charset TEXT NOT NULL DEFAULT '';
