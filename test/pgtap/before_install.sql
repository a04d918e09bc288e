-- An engine function called before install() names the remedy.
BEGIN;
SELECT plan(4);
CREATE TEMP TABLE outcome (signature text, level text, state text, message text);
SET client_min_messages TO warning;
DROP EXTENSION iaros CASCADE;
DROP SCHEMA iaros CASCADE;
CREATE EXTENSION iaros;
DO $$
DECLARE
    f record;
    message text;
    state text;
    call text;
BEGIN
    FOR f IN
        SELECT p.oid, p.proname, p.pronargs, p.pronargdefaults, a.level, a.function::text AS signature, p.proisstrict,
            CASE WHEN p.prorettype = 'record'::regtype AND p.proallargtypes IS NULL THEN ' AS t(x integer)' END AS columns,
            (SELECT string_agg(CASE
                WHEN t.typtype = 'e' THEN quote_literal((SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1))
                WHEN t.typcategory = 'N' THEN '1'
                WHEN t.typcategory = 'A' THEN '''{}'''
                WHEN t.typname IN ('json', 'jsonb') THEN '''{}'''
                WHEN t.typcategory = 'B' THEN 'true'
                WHEN t.typcategory = 'D' THEN '''2026-01-01'''
                WHEN t.typcategory = 'T' THEN '''1 day'''
                WHEN t.typname = 'record' THEN 'ROW(1)'
                WHEN t.typname = 'regclass' THEN '''pg_class'''
                WHEN t.typtype = 'r' THEN '''(,)'''
                WHEN t.typname = 'uuid' THEN '''00000000-0000-0000-0000-000000000000'''
                WHEN t.typname = 'inet' THEN '''127.0.0.1'''
                WHEN t.typname IN ('rfm_state', 'profile_state', 'audience_set', 'model', 'touch_path', 'attribution_state', 'path_set', 'funnel_state', 'retention_state') THEN 'NULL'
                WHEN t.typname = 'segment_rule' THEN '''{"segment": "x"}'''
                WHEN t.typname = 'audience' THEN '''{1,2}'''
                WHEN t.typname = 'promo_code' THEN '''SUMMER20'''
                ELSE '''x''' END || '::' || t.oid::regtype, ', ' ORDER BY u.n)
             FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(typ, n)
             JOIN pg_type t ON t.oid = u.typ) AS args
        FROM iaros.access_functions() a
        JOIN pg_proc p ON p.oid = a.function
        WHERE a.level IN ('read', 'operate', 'admin') AND p.prokind = 'f'
          -- Those that touch no table.
          AND p.proname NOT IN ('segment_similar', 'segment_kmeans', 'segment_match', 'segment_matches', 'segment_scan', 'model_scan', 'segment_rule_sql', 'segment_agg_transition', 'promo_code_generate')
          AND p.proname NOT IN ('access_functions', 'jobs_place', 'job_name', 'message_time_check', 'customer_said_at')
    LOOP
        state := 'none';
        message := NULL;
        BEGIN
            EXECUTE format('SELECT * FROM iaros.%I(%s)%s', f.proname, f.args, f.columns);
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
        END;
        INSERT INTO outcome VALUES (f.signature, f.level, state, message);
    END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM outcome), '>', 20::bigint, 'engine functions were tried');
SELECT is_empty(
    $$SELECT signature, state, message FROM outcome
      WHERE state <> '55000' OR message <> 'iaros is not installed in this database'$$,
    'each engine function says that install() was not called');
SELECT lives_ok('CALL iaros.install()', 'install() works');
SELECT lives_ok('CALL iaros.install()', 'install() works again');
SELECT * FROM finish();
ROLLBACK;
