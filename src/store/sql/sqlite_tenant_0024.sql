-- What the version of a document that is searched says of itself; '' and 0: nothing.
ALTER TABLE source ADD COLUMN own_category TEXT NOT NULL DEFAULT '';
ALTER TABLE source ADD COLUMN own_tone TEXT NOT NULL DEFAULT '';
ALTER TABLE source ADD COLUMN own_dated_at INTEGER NOT NULL DEFAULT 0;

-- Category, tone and date as somebody said; NULL: nobody did; '' and 0: it has none, whatever it says of itself. What was
-- empty until now had not been said.
ALTER TABLE source RENAME COLUMN category TO old_category;
ALTER TABLE source RENAME COLUMN tone TO old_tone;
ALTER TABLE source RENAME COLUMN dated_at TO old_dated_at;
ALTER TABLE source ADD COLUMN category TEXT;
ALTER TABLE source ADD COLUMN tone TEXT;
ALTER TABLE source ADD COLUMN dated_at INTEGER;
UPDATE source SET category = nullif(old_category, ''), tone = nullif(old_tone, ''), dated_at = nullif(old_dated_at, 0);
ALTER TABLE source DROP COLUMN old_category;
ALTER TABLE source DROP COLUMN old_tone;
ALTER TABLE source DROP COLUMN old_dated_at;
