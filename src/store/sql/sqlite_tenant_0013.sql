-- What an organization says of a document; its passages have it through their source.
ALTER TABLE source ADD COLUMN category TEXT NOT NULL DEFAULT '';
ALTER TABLE source ADD COLUMN tone TEXT NOT NULL DEFAULT '';
ALTER TABLE source ADD COLUMN dated_at INTEGER NOT NULL DEFAULT 0; -- the document's own date; 0: not said
