-- audit: exact texts.
\set SHOW_CONTEXT never
SELECT iaros.access_grant('regress_iaros_nobody', 'read');
SELECT iaros.access_grant('regress_iaros_nobody', 'all');
CALL iaros.job_execute('no_such');
UPDATE iaros.audit_log SET actor = 'me';
SELECT job, schedule, function_name, repeats FROM iaros.job WHERE job IN ('partitions', 'prune') ORDER BY 1;
SELECT iaros.job_name('prune') = 'iaros-prune@' || current_database() AS named_by_database;

-- A job leaves its run behind, also when it fails.
CALL iaros.job_execute('prune');
SELECT job, finished_at >= started_at AS ended, rows_done >= 0 AS counted, error FROM iaros.job_run WHERE job = 'prune' ORDER BY run_id DESC LIMIT 1;
CREATE FUNCTION iaros.broken_job() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / 0; END $$;
SELECT iaros.job_define('broken', '0 0 * * *', 'broken_job', interval '1 day', false, 'A job that fails.');
\set VERBOSITY terse
CALL iaros.job_execute('broken');
\set VERBOSITY default
SELECT job, finished_at >= started_at AS ended, rows_done, error FROM iaros.job_run WHERE job = 'broken';
SELECT severity, subject, finding FROM iaros.doctor() WHERE subject = 'job broken';
DELETE FROM iaros.job WHERE job = 'broken';
DROP FUNCTION iaros.broken_job();

-- What the audit log keeps of a change: the columns that changed.
BEGIN;
SELECT iaros.setting_set('fx_max_age_days', '9');
SELECT action, object, object_key, detail FROM iaros.audit_list('setting.update', max_rows => 1);
ROLLBACK;

-- Levels.
SELECT level, count(*) > 0 AS some FROM iaros.access_functions() GROUP BY 1 ORDER BY 1;
-- In the private cluster pg_cron lives in a database of its own.
SELECT iaros.jobs_place();
