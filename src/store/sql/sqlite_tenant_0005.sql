-- Raw documents live in the objects' store (src/blob/). '': this version is older than that, and its bytes
-- stand in content.
ALTER TABLE source_version ADD COLUMN object TEXT NOT NULL DEFAULT '';
