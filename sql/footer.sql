-- After all domains: what the levels of access decide about EXECUTE.

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT l.function FROM iaros.access_functions() l WHERE l.level <> 'public' LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', f);
    END LOOP;
END $$;
