-- Every function is called as each level and as a role with none: who may
-- call it gets past the rights, inside it too; who may not is refused.
BEGIN;
SELECT plan(4);
SET client_min_messages TO error;
CREATE ROLE iaros_t_read;
CREATE ROLE iaros_t_operate;
CREATE ROLE iaros_t_admin;
CREATE ROLE iaros_t_none;
SELECT iaros.access_grant('iaros_t_read', 'read');
SELECT iaros.access_grant('iaros_t_operate', 'operate');
SELECT iaros.access_grant('iaros_t_admin', 'admin');
-- Something to find: customers 1 and 2 with a booking, a message, a campaign.
INSERT INTO iaros.customer (customer_id, first_name) VALUES (1, 'Ada'), (2, 'Bob');
INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary) VALUES (1, 'email', 'ada@example.com', true);
SELECT iaros.booking_record(1, 100, 'USD', '2026-01-01');
SELECT iaros.event_record(1, 'login', '2026-01-01');
SELECT iaros.profile_refresh();
SELECT iaros.rfm_refresh();
SELECT iaros.segment_refresh();

CREATE TEMP TABLE outcome (role name, signature text, level text, state text, message text);
GRANT INSERT, SELECT ON outcome TO PUBLIC;
DO $$
DECLARE
    f record;
    who text;
    state text;
    message text;
BEGIN
    FOR f IN
        SELECT p.proname, a.function::text AS signature, a.level,
            CASE WHEN p.prorettype = 'record'::regtype AND p.proallargtypes IS NULL THEN ' AS t(x integer)' END AS columns,
            (SELECT string_agg(CASE
                WHEN u.name = 'customer_ids' THEN '''{1,2}'''
                WHEN u.name = 'source' AND p.proname ~ '^(consent_filter|recommend_offers)$' THEN '''SELECT 1'''
                WHEN u.name = 'source' AND p.proname ~ '^rfm_(grid|heatmap)$'
                    THEN '''iaros.customer_rfm'''
                WHEN u.name IN ('source', 'query') AND p.proname ~ '^rfm_(compute|migration)$'
                    THEN '''SELECT 1::bigint AS customer_id, now() AS at, 1::numeric AS amount'''
                WHEN u.name = 'channel' THEN '''email'''
                WHEN u.name = 'purpose' THEN '''marketing'''
                WHEN u.name = 'currency' THEN '''USD'''
                WHEN u.name IN ('as_of', 'at') THEN 'now()'
                WHEN u.name = 'segment' THEN '''Champions'''
                WHEN u.name = 'template' THEN '''winback-1'''
                WHEN u.name IN ('origin') THEN '''JFK'''
                WHEN u.name IN ('destination') THEN '''LHR'''
                WHEN t.typtype = 'e' THEN quote_literal((SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1))
                WHEN t.typcategory = 'N' THEN '1'
                WHEN t.typcategory = 'A' THEN '''{}'''
                WHEN t.typname IN ('json', 'jsonb') THEN '''{}'''
                WHEN t.typcategory = 'B' THEN 'true'
                WHEN t.typcategory = 'D' THEN '''2026-01-01'''
                WHEN t.typcategory = 'T' THEN '''1 day'''
                WHEN t.typtype = 'r' THEN '''(,)'''
                WHEN t.typname = 'record' THEN 'ROW(1)'
                WHEN t.typname = 'regclass' THEN '''pg_class'''
                WHEN t.typname = 'inet' THEN '''127.0.0.1'''
                WHEN t.typname IN ('rfm_state', 'profile_state', 'audience_set', 'model', 'touch_path', 'attribution_state', 'path_set', 'funnel_state', 'retention_state') THEN 'NULL'
                WHEN t.typname = 'segment_rule' THEN '''{"segment": "x"}'''
                WHEN t.typname = 'audience' THEN '''{1,2}'''
                WHEN t.typname = 'promo_code' THEN '''SUMMER20'''
                ELSE '''x''' END || '::' || t.oid::regtype, ', ' ORDER BY u.n)
             FROM unnest(p.proargtypes::oid[], p.proargnames[1:p.pronargs]) WITH ORDINALITY AS u(typ, name, n)
             JOIN pg_type t ON t.oid = u.typ) AS args
        FROM iaros.access_functions() a
        JOIN pg_proc p ON p.oid = a.function
        WHERE p.prokind = 'f'
    LOOP
        FOREACH who IN ARRAY '{iaros_t_none,iaros_t_read,iaros_t_operate,iaros_t_admin}'::text[] LOOP
            state := 'done';
            message := NULL;
            BEGIN
                EXECUTE format('SET LOCAL ROLE %I', who);
                EXECUTE format('SELECT * FROM iaros.%I(%s)%s', f.proname, f.args, f.columns);
                RAISE EXCEPTION USING ERRCODE = 'ZZ999', MESSAGE = 'undo';
            EXCEPTION WHEN OTHERS OR query_canceled THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            END;
            RESET ROLE;
            INSERT INTO outcome VALUES (who, f.signature, f.level, state, message);
        END LOOP;
    END LOOP;
END $$;

SELECT cmp_ok((SELECT count(*) FROM outcome), '>', 400::bigint, 'every function was tried by four roles');
SELECT is_empty(
    $$SELECT role, signature, level, message FROM outcome
      WHERE state = '42501' AND (level = 'public'
          OR level = 'read' AND role <> 'iaros_t_none'
          OR level = 'operate' AND role IN ('iaros_t_operate', 'iaros_t_admin')
          OR level = 'admin' AND role = 'iaros_t_admin')$$,
    'who may call a function has the rights that it needs inside');
SELECT is_empty(
    $$SELECT role, signature, level, state, message FROM outcome
      WHERE state <> '42501' AND level <> 'public' AND (role = 'iaros_t_none'
          OR level = 'owner'
          OR level = 'operate' AND role = 'iaros_t_read'
          OR level = 'admin' AND role IN ('iaros_t_read', 'iaros_t_operate'))$$,
    'who may not is refused');
SELECT is_empty(
    $$SELECT role, signature, state, message FROM outcome WHERE state ~ '^(XX|58|57P)'$$,
    'no call ends in an internal error');
SELECT * FROM finish();
ROLLBACK;
