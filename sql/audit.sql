-- audit: audit log, alerts, access grants, jobs and their runs, doctor.

CREATE TYPE @extschema@.alert_severity AS ENUM ('info', 'warning', 'error');
COMMENT ON TYPE @extschema@.alert_severity IS
'How much an alert or a finding of doctor() matters; error means that something does not work.';

CREATE TYPE @extschema@.access_level AS ENUM ('read', 'operate', 'admin');
COMMENT ON TYPE @extschema@.access_level IS
'Levels of access that access_grant() gives to a role; each includes the ones before it.';

-- Audit -------------------------------------------------------------------

CREATE FUNCTION @extschema@.audit_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    key_columns text[] := TG_ARGV;
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    one jsonb := coalesce(new_row, old_row);
    object_key text;
BEGIN
    SELECT string_agg(one ->> k, ',' ORDER BY n) INTO object_key
    FROM unnest(key_columns) WITH ORDINALITY AS u(k, n);
    -- Only what changed is kept, old beside new.
    IF TG_OP = 'UPDATE' THEN
        SELECT coalesce(jsonb_object_agg(e.key, e.value) FILTER (WHERE new_row -> e.key IS DISTINCT FROM e.value), '{}'),
               coalesce(jsonb_object_agg(e.key, new_row -> e.key) FILTER (WHERE new_row -> e.key IS DISTINCT FROM e.value), '{}')
        INTO old_row, new_row
        FROM jsonb_each(old_row) e
        WHERE e.key <> 'updated_at';
        IF new_row = '{}' THEN
            RETURN NULL;
        END IF;
    END IF;
    PERFORM iaros.audit_append(
        format('%s.%s', TG_TABLE_NAME, lower(TG_OP)), TG_TABLE_NAME, object_key,
        (one ->> 'customer_id')::bigint,
        jsonb_strip_nulls(jsonb_build_object('old', old_row, 'new', new_row)));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.audit_row() IS
'Row trigger that writes an audit row for a change of its table; arguments: the columns that name the row. An update records only the columns that changed, old and new.';

CREATE FUNCTION @extschema@.ledger_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = format('cannot %s rows of ledger "%s"', lower(TG_OP), TG_TABLE_NAME),
        DETAIL = 'A ledger takes new rows only.',
        HINT = 'Record a new row that states what holds from now on.';
END $$;
COMMENT ON FUNCTION @extschema@.ledger_guard() IS
'Statement trigger that refuses UPDATE (and what else it is put on) of an append-only table.';

CREATE FUNCTION @extschema@.audit_list(
    only_action text DEFAULT NULL,
    only_customer bigint DEFAULT NULL,
    since timestamptz DEFAULT '-infinity',
    max_rows integer DEFAULT 100)
    RETURNS TABLE (at timestamptz, actor text, action text, object text, object_key text, customer_id bigint, detail jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT l.at, l.actor, l.action, l.object, l.object_key, l.customer_id, l.detail
        FROM iaros.audit_log l
        WHERE (only_action IS NULL OR l.action = only_action)
          AND (only_customer IS NULL OR l.customer_id = only_customer)
          AND l.at >= since
        ORDER BY l.at DESC, l.audit_id DESC
        LIMIT max_rows;
END $$;
COMMENT ON FUNCTION @extschema@.audit_list(text, bigint, timestamptz, integer) IS
'Returns the newest audit rows, newest first: of one action (NULL: all), about one customer (NULL: all), since a time, at most max_rows.';

-- Alerts ------------------------------------------------------------------

CREATE FUNCTION @extschema@.alert_raise(
    kind text,
    severity @extschema@.alert_severity,
    object text,
    message text,
    detail jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    fresh boolean;
BEGIN
    PERFORM iaros.install_check();
    INSERT INTO iaros.alert AS a (kind, severity, object, message, detail)
    VALUES (alert_raise.kind, alert_raise.severity, alert_raise.object,
            alert_raise.message, alert_raise.detail)
    ON CONFLICT (kind, object) WHERE resolved_at IS NULL
    DO UPDATE SET last_raised_at = now(), times = a.times + 1,
        severity = excluded.severity, message = excluded.message, detail = excluded.detail
    RETURNING a.alert_id, a.times = 1 INTO id, fresh;
    IF fresh THEN
        PERFORM pg_notify('iaros_alert', id::text);
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.alert_raise(text, @extschema@.alert_severity, text, text, jsonb) IS
'Raises an alert and returns its id. While an alert of the same kind about the same object is open it is counted there instead of making another. NOTIFY iaros_alert is sent for a new one only.';

CREATE FUNCTION @extschema@.alert_resolve(alert_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    UPDATE iaros.alert a SET resolved_at = now()
    WHERE a.alert_id = alert_resolve.alert_id AND a.resolved_at IS NULL;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.alert_resolve(bigint) IS
'Closes an open alert; returns false when there is no open alert of that id.';

-- Access ------------------------------------------------------------------

CREATE FUNCTION @extschema@.access_functions()
    RETURNS TABLE (function regprocedure, level text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.oid::regprocedure,
        CASE
            WHEN right(p.proname, 8) = '_install' OR p.proname IN (
                'install', 'schema_step', 'shipped_seal', 'setting_define',
                'partition_add', 'partition_ensure', 'partition_run',
                'access_grant', 'access_revoke', 'access_apply', 'job_define',
                'outbox_prune', 'rfm_install_refresh', 'rfm_prune', 'profile_install_keep',
                'profile_install_feature',
                'customer_install_attach', 'customer_install_touch', 'source_attach', 'source_detach', 'source_refresh',
                'source_map_check', 'lifecycle_install_value',
                'segment_install_refresh', 'segment_install_shipped', 'segment_field_add',
                'model_file_remove', 'model_file_prune',
                'promo_install_redemption', 'promo_install_gates', 'promo_install_price', 'promo_store', 'promo_again', 'promo_person', 'promo_held', 'promo_take_back', 'promo_make_room',
                'promo_counter_open', 'promo_counter_take', 'promo_counter_wait', 'promo_counter_give', 'promo_give_back', 'promo_customer_recount',
                'attribution_install_engine',
                'customer_install_provenance', 'customer_claim_store', 'customer_claim_keep')
                OR starts_with(p.proname, 'rfm_fold')
                OR starts_with(p.proname, 'profile_keep')
                OR starts_with(p.proname, 'demo_') AND p.provolatile = 'v'
                THEN 'owner'
            WHEN p.prokind = 'a' OR p.provolatile = 'i' THEN 'public'
            -- Kernels that are stable because texts of some types of columns are.
            WHEN p.proname IN ('model_score', 'model_predict', 'model_scores')
                AND p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'c')
                THEN 'public'
            WHEN p.proname IN (
                'setting_set', 'jobs_schedule', 'jobs_unschedule',
                'job_execute', 'job_prune', 'customer_erase', 'model_import')
                THEN 'admin'
            WHEN p.provolatile = 'v' OR right(p.proname, 7) = '_doctor' OR p.proname IN (
                'customer_timeline', 'customer_segments', 'customer_said', 'customer_said_base', 'customer_provenance',
                'customer_provenance_check', 'profile_check', 'source_check', 'profile_states',
                'message_recipients', 'message_tokens', 'message_preview')
                THEN 'operate'
            ELSE 'read'
        END
    FROM pg_proc p
    WHERE p.pronamespace = 'iaros'::regnamespace
      AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    $$;
COMMENT ON FUNCTION @extschema@.access_functions() IS
'Returns each function of iaros with the level of access that may call it. Kernel functions (immutable, aggregates) are public; those that only read need read, those that write, or read personal columns, operate; the ones named in this function need admin, or belong to the owner of the tables.';

CREATE FUNCTION @extschema@.access_apply(role name, level @extschema@.access_level)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    t record;
    f record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA iaros TO %I', role);
    FOR t IN
        SELECT x.rel,
               CASE WHEN x.is_table THEN r.access END AS access,
               bool_or(pc.attribute IS NOT NULL) AS personal,
               string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                   FILTER (WHERE pc.attribute IS NULL) AS open_columns
        FROM iaros.table_roles() r
        -- doctor() looks into default partitions themselves.
        CROSS JOIN LATERAL (
            SELECT to_regclass(format('iaros.%I', r.relation)), true
            UNION ALL
            SELECT l.partition, false FROM iaros.partition_list() l
            WHERE l.parent = to_regclass(format('iaros.%I', r.relation)) AND l.is_default) AS x(rel, is_table)
        JOIN pg_attribute a ON a.attrelid = x.rel AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN iaros.personal_columns() pc
            ON pc.relation = r.relation AND pc.attribute = a.attname
        GROUP BY x.rel, x.is_table, r.access
    LOOP
        IF level = 'read' AND t.personal THEN
            EXECUTE format('GRANT SELECT (%s) ON %s TO %I', t.open_columns, t.rel, role);
        ELSE
            EXECUTE format('GRANT SELECT ON %s TO %I', t.rel, role);
        END IF;
        IF (t.access = 'open' AND level >= 'operate') OR (t.access = 'config' AND level = 'admin') THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO %I', t.rel, role);
        ELSIF t.access = 'kept' AND level >= 'operate' THEN
            EXECUTE format('GRANT INSERT, UPDATE ON %s TO %I', t.rel, role);
        END IF;
    END LOOP;
    FOR t IN
        SELECT c.oid::regclass AS rel, c.relkind
        FROM pg_class c
        WHERE c.relnamespace = 'iaros'::regnamespace AND c.relkind IN ('v', 'm', 'S')
    LOOP
        IF t.relkind <> 'S' THEN
            EXECUTE format('GRANT SELECT ON %s TO %I', t.rel, role);
        ELSIF level >= 'operate' THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', t.rel, role);
        END IF;
    END LOOP;
    FOR f IN
        SELECT l.function FROM iaros.access_functions() l
        WHERE l.level NOT IN ('public', 'owner')
          AND l.level::iaros.access_level <= access_apply.level
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', f.function, role);
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.access_apply(name, @extschema@.access_level) IS
'Gives a role the rights of a level on everything that exists now. Called by access_grant() and, for roles granted before, by install().';

CREATE FUNCTION @extschema@.access_revoke(role name) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    one record;
BEGIN
    PERFORM iaros.install_check();
    DELETE FROM iaros.access_role a WHERE a.role = access_revoke.role;
    FOR one IN
        SELECT c.oid::regclass AS rel FROM pg_class c
        WHERE c.relnamespace = 'iaros'::regnamespace
          AND c.relkind IN ('r', 'p', 'v', 'm')
          AND (NOT c.relispartition OR c.oid IN (SELECT l.partition FROM iaros.partition_list() l WHERE l.is_default))
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', one.rel, role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA iaros FROM %I', role);
    FOR f IN SELECT l.function FROM iaros.access_functions() l WHERE l.level <> 'public' LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM %I', f.function, role);
    END LOOP;
    EXECUTE format('REVOKE USAGE ON SCHEMA iaros FROM %I', role);
    PERFORM iaros.audit_append('access.revoke', 'role', role);
END $$;
COMMENT ON FUNCTION @extschema@.access_revoke(name) IS
'Takes back from a role all rights in schema iaros that it was granted directly. Writes an audit row. For the owner of the tables. Error: 42704 when the role does not exist.';

CREATE FUNCTION @extschema@.access_grant(role name, level @extschema@.access_level)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF to_regrole(quote_ident(role)) IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('role "%s" does not exist', role),
            HINT = format('Create it first: CREATE ROLE %I.', role);
    END IF;
    PERFORM iaros.access_revoke(role);
    INSERT INTO iaros.access_role (role, level) VALUES (role, level);
    PERFORM iaros.access_apply(role, level);
    PERFORM iaros.audit_append('access.grant', 'role', role,
        detail => jsonb_build_object('level', level));
END $$;
COMMENT ON FUNCTION @extschema@.access_grant(name, @extschema@.access_level) IS
'Gives a role one of the three levels in place of the one it had. read: every table without its personal columns, every view, functions that read. operate: also personal columns, writes to open tables (kept ones without DELETE, which would take ledgers along), and the gates of the ledgers. admin: also settings, rates, jobs and other configuration. Writes an audit row. For the owner of the tables. Error: 42704 when the role does not exist.';

-- Jobs --------------------------------------------------------------------

CREATE FUNCTION @extschema@.job_define(
    job text,
    schedule text,
    function_name name,
    max_late interval,
    repeats boolean,
    comment text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    INSERT INTO iaros.job (job, schedule, function_name, max_late, repeats, comment, shipped_hash)
    VALUES (job, schedule, function_name, max_late, repeats, comment, 'new');
    PERFORM iaros.shipped_seal('iaros.job');
END $$;
COMMENT ON FUNCTION @extschema@.job_define(text, text, name, interval, boolean, text) IS
'Adds a job: its name, its cron schedule, the function of schema iaros without arguments that does the work and returns how many rows it did, how late it may be before doctor() complains, whether to call the function again until nothing is left, and what it is for. For <domain>_install().';

CREATE PROCEDURE @extschema@.job_execute(job text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    -- No SET clause, since the procedure commits: every name is qualified.
    work record;
    run bigint;
    lock_key bigint := pg_catalog.hashtextextended(pg_catalog.concat('iaros.job.', job), 0);
    began timestamptz := pg_catalog.clock_timestamp();
    done bigint;
    total bigint := 0;
    state text;
    failure text;
BEGIN
    PERFORM iaros.install_check();
    SELECT j.function_name, j.repeats INTO work
    FROM iaros.job j WHERE j.job OPERATOR(pg_catalog.=) job_execute.job;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = pg_catalog.format('job "%s" does not exist', job),
            HINT = 'List the jobs with SELECT * FROM iaros.job.';
    END IF;
    -- Inside a transaction block this fails, before anything is held.
    COMMIT;
    IF NOT pg_catalog.pg_try_advisory_lock(lock_key) THEN
        RAISE NOTICE 'job "%" is running in another session', job;
        RETURN;
    END IF;
    INSERT INTO iaros.job_run (job, started_at) VALUES (job, began)
    RETURNING run_id INTO run;
    COMMIT;
    LOOP
        BEGIN
            EXECUTE pg_catalog.format('SELECT iaros.%I()', work.function_name) INTO done;
        EXCEPTION WHEN OTHERS OR query_canceled THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, failure = MESSAGE_TEXT;
        END;
        COMMIT;
        EXIT WHEN failure IS NOT NULL;
        total := total OPERATOR(pg_catalog.+) coalesce(done, 0);
        EXIT WHEN NOT work.repeats OR coalesce(done, 0) OPERATOR(pg_catalog.=) 0
            OR pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) (began OPERATOR(pg_catalog.+) '50 s'::interval);
    END LOOP;
    UPDATE iaros.job_run r
    SET finished_at = pg_catalog.clock_timestamp(), rows_done = total, error = failure
    WHERE r.run_id OPERATOR(pg_catalog.=) run;
    COMMIT;
    PERFORM pg_catalog.pg_advisory_unlock(lock_key);
    IF failure IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = state, MESSAGE = failure,
            DETAIL = pg_catalog.format('Job "%s", run %s of iaros.job_run.', job, run);
    END IF;
END $$;
COMMENT ON PROCEDURE @extschema@.job_execute(text) IS
'Runs a job now: what pg_cron calls, and what to call by hand where there is no pg_cron. Leaves one row in job_run (rows done, duration, error), commits between batches, stops after 50 seconds of batches, and does nothing while the same job runs elsewhere. Cannot run inside a transaction block. Errors: 42704 no such job; an error of the job is raised again after it was recorded.';

CREATE FUNCTION @extschema@.job_prune() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    keep interval := make_interval(days => iaros.setting_get('job_run_keep_days')::integer);
    pruned bigint;
    total bigint := 0;
BEGIN
    DELETE FROM iaros.job_run r WHERE r.started_at < now() - keep;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    total := total + pruned;
    DELETE FROM iaros.alert a WHERE a.resolved_at < now() - keep;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    total := total + pruned;
    IF to_regclass('cron.job_run_details') IS NOT NULL THEN
        EXECUTE 'DELETE FROM cron.job_run_details
                 WHERE database = $1 AND command LIKE ''CALL iaros.job_execute(%''
                   AND start_time < now() - $2'
            USING current_database(), keep;
        GET DIAGNOSTICS pruned = ROW_COUNT;
        total := total + pruned;
    END IF;
    RETURN total;
END $$;
COMMENT ON FUNCTION @extschema@.job_prune() IS
'Body of the job iaros-prune: deletes runs of jobs, closed alerts and pg_cron''s own records of our jobs that are older than job_run_keep_days, and returns how many rows that were.';

CREATE FUNCTION @extschema@.jobs_place() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RETURN 'here';
    ELSIF current_setting('cron.database_name', true) IS NOT NULL THEN
        RETURN 'elsewhere';
    END IF;
    RETURN 'nowhere';
EXCEPTION WHEN insufficient_privilege THEN
    -- The setting exists, but only roles with pg_read_all_settings see it.
    RETURN 'elsewhere';
END $$;
COMMENT ON FUNCTION @extschema@.jobs_place() IS
'Tells where pg_cron is: here (in this database), elsewhere (in another database of this server), or nowhere.';

CREATE FUNCTION @extschema@.job_name(job text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN 'iaros-' || job || '@' || current_database();
COMMENT ON FUNCTION @extschema@.job_name(text) IS
'Returns the name under which pg_cron knows a job of this database; names are unique per user in pg_cron, so the database is part of them.';

CREATE FUNCTION @extschema@.jobs_schedule()
    RETURNS TABLE (job text, schedule text, command text, outcome text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    place text := iaros.jobs_place();
    one record;
BEGIN
    PERFORM iaros.install_check();
    IF place = 'nowhere' THEN
        RAISE NOTICE USING
            MESSAGE = 'pg_cron is not loaded in this server, so nothing was scheduled',
            HINT = 'Install pg_cron, or run the commands from another scheduler.';
    ELSIF place = 'elsewhere' THEN
        RAISE NOTICE USING
            MESSAGE = 'pg_cron lives in another database of this server, so nothing was scheduled here',
            HINT = 'Run the statements in column command in the database that cron.database_name names.';
    END IF;
    FOR one IN SELECT j.job, j.schedule FROM iaros.job j WHERE j.enabled ORDER BY j.job LOOP
        job := one.job;
        schedule := one.schedule;
        command := format('CALL iaros.job_execute(%L)', one.job);
        IF place = 'here' THEN
            EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING iaros.job_name(one.job), one.schedule, command;
            outcome := 'scheduled';
        ELSIF place = 'elsewhere' THEN
            command := format('SELECT cron.schedule_in_database(%L, %L, %L, %L, %L);',
                              iaros.job_name(one.job), one.schedule, command, current_database(), current_user);
            outcome := 'run command in pg_cron''s database';
        ELSE
            outcome := 'run command by hand';
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM iaros.audit_append('jobs.schedule', 'job', place);
END $$;
COMMENT ON FUNCTION @extschema@.jobs_schedule() IS
'Registers the enabled jobs with pg_cron under the names iaros-<job>@<database>, replacing earlier registrations, and returns them. Where pg_cron lives in another database of the server it returns the statements to run there; where there is none, the commands to run by hand. Writes an audit row.';

CREATE FUNCTION @extschema@.jobs_unschedule()
    RETURNS TABLE (job text, command text, outcome text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    place text := iaros.jobs_place();
    one record;
    known boolean;
BEGIN
    PERFORM iaros.install_check();
    FOR one IN SELECT j.job FROM iaros.job j ORDER BY j.job LOOP
        job := one.job;
        command := format('SELECT cron.unschedule(%L);', iaros.job_name(one.job));
        IF place = 'here' THEN
            EXECUTE 'SELECT EXISTS (SELECT FROM cron.job WHERE jobname = $1)'
                INTO known USING iaros.job_name(one.job);
            CONTINUE WHEN NOT known;
            EXECUTE 'SELECT cron.unschedule($1)' USING iaros.job_name(one.job);
            outcome := 'unscheduled';
        ELSIF place = 'elsewhere' THEN
            outcome := 'run command in pg_cron''s database';
        ELSE
            CONTINUE;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM iaros.audit_append('jobs.unschedule', 'job', place);
END $$;
COMMENT ON FUNCTION @extschema@.jobs_unschedule() IS
'Takes the jobs of this database out of pg_cron and returns them; where pg_cron lives in another database it returns the statements to run there. Writes an audit row.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    domain text;
BEGIN
    PERFORM iaros.install_check();
    FOREACH domain IN ARRAY iaros.domains() LOOP
        IF to_regproc(format('iaros.%I', domain || '_doctor')) IS NOT NULL THEN
            BEGIN
                RETURN QUERY EXECUTE format('SELECT * FROM iaros.%I()', domain || '_doctor');
            EXCEPTION WHEN insufficient_privilege THEN
                severity := 'info';
                subject := 'domain ' || domain;
                finding := 'it was not looked at: ' || SQLERRM;
                hint := 'Ask a role with access level operate, or the owner.';
                RETURN NEXT;
            END;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.doctor() IS
'Returns what is wrong with this installation, domain by domain (functions <domain>_doctor()); no row means nothing is. Each finding has a severity, its subject, what was found, and what to do. What the caller has no right to look at is named.';

CREATE FUNCTION @extschema@.audit_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    stray record;
    late boolean;
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'version',
            format('extension is version %s, the newest schema step was made by %s', e.extversion, v.newest),
            'Run CALL iaros.install().'
        FROM pg_extension e
        CROSS JOIN (SELECT max(s.extension_version) AS newest FROM iaros.schema_version s) v
        WHERE e.extname = 'iaros' AND e.extversion <> v.newest;
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'domain ' || d,
            'its tables were never made', 'Run CALL iaros.install().'
        FROM unnest(iaros.domains()) AS d
        WHERE NOT EXISTS (SELECT FROM iaros.schema_version s WHERE s.domain = d);
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'table ' || r.relation,
            'it does not exist', 'Restore it, or reinstall into a fresh database.'
        FROM iaros.table_roles() r
        WHERE to_regclass(format('iaros.%I', r.relation)) IS NULL;
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, format('trigger %s on %s', t.trigger, t.relation),
            CASE WHEN g.oid IS NULL THEN 'it does not exist' ELSE 'it is disabled' END,
            format('ALTER TABLE iaros.%I ENABLE TRIGGER %I.', t.relation, t.trigger)
        FROM iaros.trigger_roles() t
        LEFT JOIN pg_trigger g
            ON g.tgrelid = to_regclass(format('iaros.%I', t.relation)) AND g.tgname = t.trigger
        WHERE g.oid IS NULL OR g.tgenabled = 'D';
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'table ' || p.oid::regclass::text,
            format('no partition for %s', to_char(m, 'YYYY-MM')),
            'Run CALL iaros.job_execute(''partitions'').'
        FROM pg_class p
        CROSS JOIN generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
                                   date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month',
                                   interval '1 month') AS m
        WHERE p.relnamespace = 'iaros'::regnamespace AND p.relkind = 'p'
          AND NOT EXISTS (SELECT FROM iaros.partition_list() l
                          WHERE l.parent = p.oid AND l.lower_bound = m::date);
    FOR stray IN SELECT l.partition FROM iaros.partition_list() l WHERE l.is_default LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', stray.partition) INTO late;
        IF late THEN
            severity := 'warning';
            subject := 'table ' || stray.partition;
            finding := 'rows wait in the default partition';
            hint := 'Run CALL iaros.job_execute(''partitions'').';
            RETURN NEXT;
        END IF;
    END LOOP;
    RETURN QUERY
        SELECT CASE WHEN coalesce(r.started_at, i.installed_at) < now() - j.max_late
                    THEN 'warning' ELSE 'info' END::iaros.alert_severity,
            'job ' || j.job,
            CASE WHEN r.started_at IS NULL THEN 'it never ran'
                 ELSE format('it last ran at %s', r.started_at) END,
            'Schedule it with SELECT * FROM iaros.jobs_schedule(), or run CALL iaros.job_execute().'
        FROM iaros.job j
        CROSS JOIN (SELECT max(v.installed_at) AS installed_at FROM iaros.schema_version v) i
        LEFT JOIN LATERAL (
            SELECT max(x.started_at) AS started_at FROM iaros.job_run x WHERE x.job = j.job) r ON true
        WHERE j.enabled AND (r.started_at IS NULL OR r.started_at < now() - j.max_late);
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'job ' || j.job,
            format('its last run failed: %s', r.error),
            format('See SELECT * FROM iaros.job_run WHERE job = %L.', j.job)
        FROM iaros.job j
        CROSS JOIN LATERAL (
            SELECT x.error FROM iaros.job_run x
            WHERE x.job = j.job ORDER BY x.started_at DESC LIMIT 1) r
        WHERE r.error IS NOT NULL;
END $$;
COMMENT ON FUNCTION @extschema@.audit_doctor() IS
'Findings of doctor() about the installation itself: versions, missing tables, disabled triggers, partitions, jobs.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.audit_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('audit', 1) THEN
    CREATE SEQUENCE iaros.audit_id_seq;
    CREATE TABLE iaros.audit_log (
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        audit_id bigint NOT NULL DEFAULT nextval('iaros.audit_id_seq'),
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        actor text NOT NULL,
        action text NOT NULL,
        object text NOT NULL,
        object_key text,
        customer_id bigint,
        detail jsonb NOT NULL DEFAULT '{}',
        PRIMARY KEY (at, audit_id)
    ) PARTITION BY RANGE (at);
    COMMENT ON TABLE iaros.audit_log IS
        'Who did what to which object, written in the transaction that did it by audit_append(). Takes new rows only. Partitioned by month. Read a log below pg_snapshot_xmin(pg_current_snapshot()), never by id > last.';
    CREATE TABLE iaros.audit_log_default PARTITION OF iaros.audit_log DEFAULT;
    CREATE INDEX audit_log_customer ON iaros.audit_log (customer_id, at) WHERE customer_id IS NOT NULL;
    CREATE INDEX audit_log_action ON iaros.audit_log (action, at);
    CREATE TRIGGER audit_log_guard
        BEFORE UPDATE ON iaros.audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.ledger_guard();

    CREATE FUNCTION iaros.audit_append(
        action text,
        object text,
        object_key text,
        customer_id bigint DEFAULT NULL,
        detail jsonb DEFAULT '{}')
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        id bigint;
    BEGIN
        INSERT INTO iaros.audit_log (actor, action, object, object_key, customer_id, detail)
        VALUES (coalesce(nullif(current_setting('role'), 'none'), session_user),
                action, object, object_key, customer_id, detail)
        RETURNING audit_id INTO id;
        RETURN id;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.audit_append(text, text, text, bigint, jsonb) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.audit_append(text, text, text, bigint, jsonb) IS
        'Gate: writes an audit row in the caller''s transaction and returns its id. SECURITY DEFINER, so that roles which operate can add to the log without the right to change it; the actor is the role in force outside.';

    CREATE SEQUENCE iaros.alert_id_seq;
    CREATE TABLE iaros.alert (
        alert_id bigint PRIMARY KEY DEFAULT nextval('iaros.alert_id_seq'),
        kind text NOT NULL,
        severity iaros.alert_severity NOT NULL,
        object text NOT NULL,
        message text NOT NULL,
        detail jsonb NOT NULL DEFAULT '{}',
        raised_at timestamptz NOT NULL DEFAULT now(),
        last_raised_at timestamptz NOT NULL DEFAULT now(),
        times integer NOT NULL DEFAULT 1,
        resolved_at timestamptz
    );
    COMMENT ON TABLE iaros.alert IS
        'What needs a person: raised by alert_raise(), closed by alert_resolve(). One open alert for each kind and object.';
    CREATE UNIQUE INDEX alert_open ON iaros.alert (kind, object) WHERE resolved_at IS NULL;

    CREATE TABLE iaros.access_role (
        role name PRIMARY KEY,
        level iaros.access_level NOT NULL,
        granted_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE iaros.access_role IS
        'Roles that access_grant() gave a level; install() gives them the rights on what it adds.';

    CREATE TABLE iaros.job (
        job text PRIMARY KEY CHECK (job ~ '^[a-z][a-z0-9_]{0,40}$'),
        schedule text NOT NULL,
        function_name name NOT NULL,
        max_late interval NOT NULL CHECK (max_late > interval '0'),
        repeats boolean NOT NULL,
        comment text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.job IS
        'Scheduled work: one function a job. jobs_schedule() registers the enabled ones with pg_cron.';

    CREATE SEQUENCE iaros.job_run_id_seq;
    CREATE TABLE iaros.job_run (
        run_id bigint PRIMARY KEY DEFAULT nextval('iaros.job_run_id_seq'),
        job text NOT NULL REFERENCES iaros.job ON DELETE CASCADE,
        started_at timestamptz NOT NULL,
        finished_at timestamptz,
        rows_done bigint,
        error text
    );
    COMMENT ON TABLE iaros.job_run IS
        'One row for each run of a job: when, how many rows it did, its error. finished_at NULL: it runs, or its server process died.';
    CREATE INDEX job_run_job ON iaros.job_run (job, started_at);

    CREATE TRIGGER setting_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.setting
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('name');
    CREATE TRIGGER fx_rate_audit
        AFTER UPDATE OR DELETE ON iaros.fx_rate
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('currency', 'day');
    PERFORM iaros.setting_define('job_run_keep_days', 'integer', '30',
        'For how many days the runs of jobs and closed alerts are kept.');
    PERFORM iaros.job_define('partitions', '17 3 * * *', 'partition_run', interval '2 days', false,
        'Makes monthly partitions three months ahead and empties the default partitions.');
    PERFORM iaros.job_define('prune', '47 3 * * *', 'job_prune', interval '2 days', false,
        'Deletes old runs of jobs and closed alerts.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.audit_install() IS
'Makes the tables and gates of the domain audit. Called by install().';
