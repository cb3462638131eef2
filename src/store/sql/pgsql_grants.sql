-- Lets the role that serves work with rows, and with nothing else. Done again after every migration;
-- parley.application_role names the role.
DO $$
DECLARE
    role TEXT := current_setting('parley.application_role');
BEGIN
    IF role = current_user THEN
        RAISE EXCEPTION 'the role that serves must not be the one that owns the tables';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I',
        current_schema(), role);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON schema_version FROM %I', role);
    REVOKE ALL ON FUNCTION parley_due_work, parley_live_prune FROM PUBLIC;
    EXECUTE format('GRANT EXECUTE ON FUNCTION parley_due_work, parley_live_prune TO %I', role);
END $$;
