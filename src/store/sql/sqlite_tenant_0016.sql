-- Documents that lie within another one: an archive's files, a mail's attachments
-- (src/knowledge/members.c).

ALTER TABLE source ADD COLUMN parent_id TEXT;    -- the archive or mail; NULL: it came by itself
DROP INDEX source_by_name;
CREATE UNIQUE INDEX source_by_name ON source (coalesce(brand_id, ''), kind, name, coalesce(parent_id, ''));
CREATE INDEX source_by_parent ON source (parent_id, id) WHERE parent_id IS NOT NULL;
