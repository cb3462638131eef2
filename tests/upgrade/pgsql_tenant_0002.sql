-- What a later version may do while this one serves, for tests/system/upgrade.test.mjs alone: columns with a
-- default in the busiest tables, a table, an index.
ALTER TABLE message ADD COLUMN mood TEXT COLLATE "C" NOT NULL DEFAULT 'unknown';
ALTER TABLE job ADD COLUMN origin TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX message_by_mood ON message (organization_id, mood);
CREATE TABLE mood (
    organization_id TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, name)
);
ALTER TABLE mood ENABLE ROW LEVEL SECURITY;
ALTER TABLE mood FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON mood USING (organization_id = current_setting('parley.organization_id', true))
    WITH CHECK (organization_id = current_setting('parley.organization_id', true));
