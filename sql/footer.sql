-- After all domains: what the levels of access decide about EXECUTE. The
-- owner of the schema, who will own the tables, may call everything and pass
-- it on; that may be another role than the one that creates the extension.

DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(n.nspowner) FROM pg_namespace n WHERE n.nspname = 'iaros');
    f regprocedure;
BEGIN
    FOR f IN SELECT l.function FROM iaros.access_functions() l WHERE l.level <> 'public' LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', f);
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I WITH GRANT OPTION', f, owner);
    END LOOP;
END $$;
