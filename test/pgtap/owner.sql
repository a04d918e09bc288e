-- The owner of schema iaros need not be a superuser.
BEGIN;
SELECT plan(9);
SET client_min_messages TO error;
DROP EXTENSION iaros CASCADE;
DROP SCHEMA iaros CASCADE;
CREATE ROLE iaros_t_owner;
CREATE ROLE iaros_t_bi;
CREATE SCHEMA iaros AUTHORIZATION iaros_t_owner;
CREATE EXTENSION iaros;

SELECT throws_ok('CALL iaros.install()', '42501', NULL, 'a superuser who does not own the schema is told who does');
SET LOCAL ROLE iaros_t_owner;
CALL iaros.install();
SELECT iaros.setting_set('fx_max_age_days', '9');
SELECT iaros.customer_create(first_name => 'Ada') AS ada \gset
SELECT iaros.booking_record(:ada, 10, 'USD') AS booking \gset
SELECT iaros.consent_record(:ada, 'email', 'marketing', true, 'web') AS consent \gset
SELECT iaros.access_grant('iaros_t_bi', 'operate');
CALL iaros.install();
RESET ROLE;
SELECT is_empty(
    $$SELECT relname FROM pg_class WHERE relnamespace = 'iaros'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
      AND pg_get_userbyid(relowner) <> 'iaros_t_owner'$$, 'every table belongs to the owner of the schema');
SELECT is_empty(
    $$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'iaros'::regnamespace AND prosecdef
      AND pg_get_userbyid(proowner) <> 'iaros_t_owner'$$, 'so does every gate');
SELECT is((SELECT actor FROM iaros.audit_log WHERE object = 'consent' ORDER BY audit_id LIMIT 1), 'iaros_t_owner', 'the owner acts as itself');

SET LOCAL ROLE iaros_t_bi;
SELECT iaros.consent_record(:ada, 'email', 'marketing', false, 'web') AS withdrawn \gset
SELECT count(*) AS seen FROM iaros.booking \gset
RESET ROLE;
SELECT is(:seen::integer, 1, 'a role that the owner let in sees the bookings');
SELECT is((SELECT count(*) FROM iaros.consent), 2::bigint, 'and may use the gates');
SELECT ok(NOT has_table_privilege('iaros_t_bi', 'iaros.consent', 'INSERT'), 'but not go around them');
SELECT ok(NOT has_function_privilege('iaros_t_bi', 'iaros.setting_set(text, text)', 'EXECUTE'), 'nor beyond its level');
SELECT is(iaros.setting_get('fx_max_age_days'), '9', 'settings of the owner hold');
SELECT * FROM finish();
ROLLBACK;
