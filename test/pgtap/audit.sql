-- audit: the log, alerts, jobs, and what each level of access may do.
BEGIN;
SELECT plan(39);
SET client_min_messages TO error;

-- The log.
SELECT lives_ok($$SELECT iaros.audit_append('test.action', 'thing', 'k1', 42, '{"a": 1}')$$, 'audit_append writes');
SELECT results_eq(
    $$SELECT actor, action, object, object_key, customer_id, detail FROM iaros.audit_list('test.action')$$,
    format($$VALUES (%L::text, 'test.action', 'thing', 'k1', 42::bigint, '{"a": 1}'::jsonb)$$, session_user),
    'audit_list reads it back with its actor');
SELECT throws_ok($$UPDATE iaros.audit_log SET action = 'x'$$, '55000', NULL, 'the log takes no update');
SELECT is((SELECT xid::text FROM iaros.audit_log WHERE action = 'test.action'), pg_current_xact_id()::text,
    'a row carries the transaction that wrote it');
SELECT is((SELECT count(*) FROM iaros.audit_list(only_customer => 42)), 1::bigint, 'rows of one customer are found');

-- Alerts.
SELECT is(iaros.alert_raise('late', 'warning', 'segment x', 'late'),
          iaros.alert_raise('late', 'error', 'segment x', 'very late'), 'an open alert is raised once');
SELECT results_eq($$SELECT times, severity::text, message FROM iaros.alert WHERE kind = 'late'$$,
    $$VALUES (2, 'error', 'very late')$$, 'and counts');
SELECT ok(iaros.alert_resolve((SELECT alert_id FROM iaros.alert WHERE kind = 'late')), 'an alert is resolved');
SELECT ok(NOT iaros.alert_resolve((SELECT alert_id FROM iaros.alert WHERE kind = 'late')), 'only once');
SELECT isnt(iaros.alert_raise('late', 'warning', 'segment x', 'late again'),
    (SELECT min(alert_id) FROM iaros.alert WHERE kind = 'late'), 'then it can be raised anew');

-- Jobs.
SELECT is((SELECT array_agg(function_name ORDER BY job) FROM iaros.job
           WHERE to_regproc('iaros.' || function_name) IS NULL), NULL, 'every job has its function');
SELECT is((SELECT array_agg(job) FROM iaros.job WHERE shipped_hash = 'new' OR shipped_hash IS NULL), NULL,
    'shipped jobs are sealed');
SELECT ok((SELECT bool_and(j.shipped_hash = iaros.row_hash(to_jsonb(j))) FROM iaros.job j),
    'an untouched shipped row still hashes to its seal');
UPDATE iaros.job SET schedule = '1 1 1 1 1' WHERE job = 'prune';
SELECT ok((SELECT j.shipped_hash <> iaros.row_hash(to_jsonb(j)) FROM iaros.job j WHERE job = 'prune'),
    'a row that a user changed does not');
SELECT is((SELECT count(*) FROM iaros.jobs_schedule()), (SELECT count(*) FROM iaros.job WHERE enabled),
    'jobs_schedule answers for every enabled job, wherever pg_cron is');
SELECT ok((SELECT bool_and(command ~ 'iaros.job_execute') FROM iaros.jobs_schedule()),
    'and gives the command to run');
INSERT INTO iaros.job_run (job, started_at, finished_at, rows_done) VALUES
    ('prune', now() - interval '40 days', now() - interval '40 days', 1), ('prune', now(), now(), 1);
SELECT is(iaros.job_prune(), 1::bigint, 'old runs are pruned');
INSERT INTO iaros.job_run (job, started_at, finished_at, error) VALUES ('prune', now() + interval '1 s', now(), 'broken');
SELECT isnt_empty($$SELECT FROM iaros.doctor() WHERE subject = 'job prune' AND finding ~ 'broken'$$,
    'doctor() tells of a job that failed');
SELECT throws_ok($$CALL iaros.job_execute('prune')$$, '2D000', NULL, 'a job does not run inside a transaction');
SELECT is_empty(
    $$SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
      AND (classid::bigint << 32 | objid::bigint) = hashtextextended('iaros.job.prune', 0)$$, 'and leaves no lock behind');
SELECT throws_ok($$CALL iaros.job_execute('no_such')$$, '42704', NULL, 'an unknown job is an error');

-- Levels of access.
CREATE ROLE iaros_t_read;
CREATE ROLE iaros_t_operate;
CREATE ROLE iaros_t_admin;
CREATE ROLE iaros_t_none;
GRANT iaros_t_read, iaros_t_operate, iaros_t_admin, iaros_t_none TO CURRENT_USER;
SELECT throws_ok($$SELECT iaros.access_grant('iaros_t_no_such', 'read')$$, '42704', NULL, 'a role must exist');
SELECT iaros.access_grant('iaros_t_read', 'read'), iaros.access_grant('iaros_t_operate', 'operate'),
       iaros.access_grant('iaros_t_admin', 'admin');
SELECT is((SELECT count(*) FROM iaros.audit_list('access.grant')), 3::bigint, 'grants are audited');

-- A level includes those before it; functions of the owner are for nobody else.
CREATE TEMP VIEW may AS
SELECT r.role, f.function, f.level,
    has_function_privilege(r.role, f.function::oid, 'EXECUTE') AS can,
    coalesce(array_position('{public,read,operate,admin}', f.level) <= r.reach, false) AS should
FROM (VALUES ('iaros_t_none', 1), ('iaros_t_read', 2), ('iaros_t_operate', 3), ('iaros_t_admin', 4)) AS r(role, reach)
CROSS JOIN iaros.access_functions() f;
SELECT is_empty($$SELECT role, function, level, can FROM may WHERE can <> should$$,
    'every function may be called by exactly the levels it is for');
SELECT is_empty(
    $$SELECT l.role, p.relation, p.attribute FROM iaros.personal_columns() p
      CROSS JOIN (VALUES ('iaros_t_read'), ('iaros_t_none')) AS l(role)
      WHERE has_column_privilege(l.role, 'iaros.' || p.relation, p.attribute, 'SELECT')$$,
    'read sees no personal column');
SELECT is_empty(
    $$SELECT relation FROM iaros.table_roles()
      WHERE has_any_column_privilege('iaros_t_none', 'iaros.' || relation, 'SELECT')$$,
    'a role without a level sees no table');
SELECT is_empty(
    $$SELECT relation FROM iaros.table_roles()
      WHERE NOT has_any_column_privilege('iaros_t_read', 'iaros.' || relation, 'SELECT')$$,
    'read sees something of every table');
SELECT is_empty(
    $$SELECT relation, access FROM iaros.table_roles() t
      WHERE has_table_privilege('iaros_t_operate', 'iaros.' || relation, 'INSERT') <> (access IN ('open', 'kept'))
         OR has_table_privilege('iaros_t_operate', 'iaros.' || relation, 'UPDATE') <> (access IN ('open', 'kept'))
         OR has_table_privilege('iaros_t_operate', 'iaros.' || relation, 'DELETE') <> (access = 'open')
         OR has_table_privilege('iaros_t_admin', 'iaros.' || relation, 'INSERT') <> (access <> 'ledger')
         OR has_table_privilege('iaros_t_admin', 'iaros.' || relation, 'UPDATE') <> (access <> 'ledger')
         OR has_table_privilege('iaros_t_admin', 'iaros.' || relation, 'DELETE') <> (access IN ('open', 'config'))
         OR has_table_privilege('iaros_t_read', 'iaros.' || relation, 'INSERT')
         OR has_table_privilege('iaros_t_read', 'iaros.' || relation, 'UPDATE')
         OR has_table_privilege('iaros_t_read', 'iaros.' || relation, 'DELETE')$$,
    'operate writes open tables, admin also configuration, nobody a ledger, and customers are not deleted');

SET LOCAL ROLE iaros_t_read;
SELECT throws_ok('SELECT first_name FROM iaros.customer', '42501', NULL, 'read: personal column refused');
SELECT lives_ok('SELECT * FROM iaros.customer_masked', 'read: masked view');
SELECT throws_ok($$SELECT iaros.event_record(1, 'login')$$, '42501', NULL, 'read: no writing');
SET LOCAL ROLE iaros_t_operate;
SELECT lives_ok($$SELECT iaros.event_record(iaros.customer_create(first_name => 'Ada'), 'login')$$, 'operate: records');
SELECT throws_ok($$INSERT INTO iaros.audit_log (actor, action, object) VALUES ('x', 'x', 'x')$$, '42501', NULL,
    'operate: no direct write to a ledger');
SELECT lives_ok($$SELECT iaros.audit_append('operate.test', 'thing', 'k')$$, 'operate: the gate is open');
SELECT throws_ok($$SELECT iaros.setting_set('fx_max_age_days', '9')$$, '42501', NULL, 'operate: no settings');
SET LOCAL ROLE iaros_t_admin;
SELECT lives_ok($$SELECT iaros.setting_set('fx_max_age_days', '9')$$, 'admin: settings');
SET LOCAL ROLE iaros_t_none;
SELECT throws_ok($$SELECT iaros.setting_get('fx_max_age_days')$$, '42501', NULL, 'none: not even settings');
SELECT is(iaros.currency_minor_unit('JPY'), 0, 'none: kernels are for everybody');
RESET ROLE;
SELECT is((SELECT actor FROM iaros.audit_log WHERE action = 'operate.test'), 'iaros_t_operate',
    'the actor in the log is the role that acted');

SELECT * FROM finish();
ROLLBACK;
