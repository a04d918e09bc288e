-- rfm, refresh: customer_rfm kept by increments, and the history of cells.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_refresh(as_of timestamptz DEFAULT now(), whole boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.rfm_apply(as_of, coalesce(whole, false));
END $$;
COMMENT ON FUNCTION @extschema@.rfm_refresh(timestamptz, boolean) IS
'Brings customer_rfm to what it was at as_of, by the scheme that setting rfm_scheme names, over counted bookings, amount_base and aliases folded in; returns how many customers got another score or segment (none counts as one). as_of: NULL or now() is the moment at which no other refresh runs any more. Only what changed since the last run is read, unless whole is true, there was no run, as_of or the start of the period is before that of the last run, brand_time_zone changed, or booking or customer_alias was truncated; the result is the same. Writes rfm_run, and rfm_history unless as_of is before that of a run that wrote there, or in the future. One refresh at a time, others wait. Body of the job iaros-rfm. Errors: those of rfm_terms(), 22023 as_of not of 1900 to 2199, 40001 under REPEATABLE READ after another refresh. Linear in what changed and the customers; whole: in the bookings.';

CREATE FUNCTION @extschema@.rfm_fold_source(
    last_since timestamptz,
    since timestamptz,
    read_from timestamptz,
    until timestamptz,
    zone text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    flow text;
BEGIN
    PERFORM iaros.install_check();
    -- New bookings. Of those that fell out of the period meanwhile the
    -- subtraction below knows too, so they are added first.
    flow := format(
        'SELECT c.customer_id, c.booked_at, CASE WHEN c.booked_at > %1$L THEN 1 ELSE 0 END AS purchases,
             CASE WHEN c.booked_at > %1$L THEN c.amount_base ELSE 0 END AS amount
         FROM iaros.rfm_change c WHERE c.booked_at <= %2$L', last_since, read_from);
    IF read_from < until THEN
        -- Bookings that were of the future, and the new ones among them.
        flow := flow || format(
            ' UNION ALL SELECT b.customer_id, b.booked_at, 1, b.amount_base
              FROM iaros.booking b
              WHERE b.booked_at > %L AND b.booked_at <= %L AND iaros.booking_counts(b.status)', read_from, until);
    END IF;
    IF last_since < since THEN
        -- Bookings that fell out of the period.
        flow := flow || format(
            ' UNION ALL SELECT b.customer_id, b.booked_at, -1, -b.amount_base
              FROM iaros.booking b
              WHERE b.booked_at > %L AND b.booked_at <= %L AND iaros.booking_counts(b.status)', last_since, since);
    END IF;
    RETURN format(
        'SELECT s.customer_id, s.last_on AS at, s.frequency AS purchases, s.monetary AS amount, s.score, false AS changed
         FROM iaros.rfm_stored s
         WHERE s.customer_id NOT IN (SELECT w.customer_id FROM iaros.rfm_anew w)
         UNION ALL
         SELECT p.customer_id, (p.booked_at AT TIME ZONE %1$L)::date, p.purchases, p.amount, NULL, true
         FROM (SELECT coalesce(a.master_id, f.customer_id) AS customer_id, f.booked_at, f.purchases, f.amount
               FROM (%2$s) f
               LEFT JOIN iaros.customer_alias a ON a.customer_id = f.customer_id) p
         WHERE p.customer_id NOT IN (SELECT w.customer_id FROM iaros.rfm_anew w)
         UNION ALL
         SELECT p.person, (b.booked_at AT TIME ZONE %1$L)::date, CASE WHEN b.booked_at > %3$L THEN 1 ELSE 0 END,
             CASE WHEN b.booked_at > %3$L THEN b.amount_base ELSE 0 END, NULL, true
         FROM (SELECT w.customer_id AS id, w.customer_id AS person
               FROM iaros.rfm_anew w
               LEFT JOIN iaros.customer_alias a ON a.customer_id = w.customer_id
               WHERE a.customer_id IS NULL
               UNION ALL
               SELECT a.customer_id, a.master_id
               FROM iaros.rfm_anew w
               JOIN iaros.customer_alias a ON a.master_id = w.customer_id) p
         JOIN iaros.booking b ON b.customer_id = p.id
         WHERE b.booked_at <= %4$L AND iaros.booking_counts(b.status)',
        zone, flow, since, until);
END $$;
COMMENT ON FUNCTION @extschema@.rfm_fold_source(timestamptz, timestamptz, timestamptz, timestamptz, text) IS
'Returns the source that an increment of rfm_refresh() computes from: the totals of rfm_stored in the window (last_since, then], and beside them what rfm_change tells, so that the sums are those of the window (since, until]. read_from: until when new bookings are all in the log; the rest up to until is read from the table. zone: of calendar days. For rfm_apply() only.';

CREATE FUNCTION @extschema@.rfm_fold(
    source text,
    whole boolean,
    every_segment boolean,
    until timestamptz,
    zone text,
    run_id bigint,
    recorded boolean)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET work_mem = '64MB'
    AS $$
#variable_conflict use_column
DECLARE
    today date;
    moved bigint;
BEGIN
    PERFORM iaros.install_check();
    today := (until AT TIME ZONE zone)::date;
    -- One statement: what is read and what is taken out of the log are of
    -- one snapshot. A mark (customer_id NULL) that came just now waits.
    WITH taken AS (
        DELETE FROM iaros.rfm_change c WHERE rfm_fold.whole OR c.customer_id IS NOT NULL
    ), fresh AS MATERIALIZED (
        SELECT n.customer_id, today - n.recency_days AS last_on, n.frequency, n.monetary, n.score, n.segment
        FROM iaros.rfm_compute(rfm_fold.source, as_of => rfm_fold.until,
            -- What fell out of the period is taken off stored totals, so all
            -- that is there counts.
            period => CASE WHEN NOT rfm_fold.whole THEN interval '1000 years' END,
            currency => iaros.setting_get('base_currency'),
            changed_only => NOT (rfm_fold.whole OR rfm_fold.every_segment)) n
        WHERE n.customer_id IS NOT NULL
    ), stored AS (
        INSERT INTO iaros.rfm_stored AS s (customer_id, last_on, frequency, monetary, score, segment, run_id)
        SELECT n.customer_id, n.last_on, n.frequency, n.monetary, n.score, n.segment,
            CASE WHEN n.score IS NOT NULL OR n.segment IS NOT NULL THEN rfm_fold.run_id END
        FROM fresh n
        -- A row that is only looked at for a conflict is locked, and so
        -- written: not all of them.
        LEFT JOIN iaros.rfm_stored o ON rfm_fold.whole AND o.customer_id = n.customer_id
        WHERE o.customer_id IS NULL OR o.last_on <> n.last_on OR o.frequency <> n.frequency OR o.monetary <> n.monetary
           OR o.score::integer IS DISTINCT FROM n.score::integer OR o.segment IS DISTINCT FROM n.segment
        ORDER BY n.customer_id
        ON CONFLICT ON CONSTRAINT rfm_stored_pkey DO UPDATE
        SET last_on = excluded.last_on, frequency = excluded.frequency, monetary = excluded.monetary,
            score = excluded.score, segment = excluded.segment,
            run_id = CASE
                WHEN s.score::integer IS DISTINCT FROM excluded.score::integer OR s.segment IS DISTINCT FROM excluded.segment
                THEN rfm_fold.run_id ELSE s.run_id END
        WHERE s.last_on <> excluded.last_on OR s.frequency <> excluded.frequency OR s.monetary <> excluded.monetary
           OR s.score::integer IS DISTINCT FROM excluded.score::integer OR s.segment IS DISTINCT FROM excluded.segment
        RETURNING s.customer_id, s.score, s.segment, s.run_id = rfm_fold.run_id AS moved
    ), gone AS (
        DELETE FROM iaros.rfm_stored s
        WHERE s.customer_id IN (
                SELECT w.customer_id FROM iaros.rfm_anew w
                UNION ALL
                SELECT x.customer_id FROM iaros.rfm_stored x WHERE rfm_fold.whole)
          AND NOT EXISTS (SELECT FROM fresh n WHERE n.customer_id = s.customer_id)
        RETURNING s.customer_id, s.score IS NOT NULL OR s.segment IS NOT NULL AS moved
    ), written AS MATERIALIZED (
        SELECT s.customer_id, s.score, s.segment FROM stored s WHERE s.moved
        UNION ALL
        SELECT g.customer_id, NULL, NULL FROM gone g WHERE g.moved
    ), kept AS (
        INSERT INTO iaros.rfm_history (customer_id, since, score, segment)
        SELECT w.customer_id, rfm_fold.until, w.score, w.segment
        FROM written w
        WHERE rfm_fold.recorded
        ORDER BY w.customer_id
    )
    SELECT count(*) INTO moved FROM written;
    RETURN moved;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_fold(text, boolean, boolean, timestamptz, text, bigint, boolean) IS
'The work of rfm_refresh(): scores the customers of a source as of until, writes the rows of rfm_stored that differ, takes the rows of rfm_change and returns how many cells changed. source: purchases, or that of rfm_fold_source(). whole: customers that are not in the source lose their row. every_segment: segments may differ where scores do not. zone: of calendar days. run_id: of this run. recorded: whether rfm_history is written. For rfm_apply() only. Linear in the rows of the source.';

CREATE FUNCTION @extschema@.rfm_fold_history(until timestamptz)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    INSERT INTO iaros.rfm_history (customer_id, since, score, segment)
    SELECT coalesce(s.customer_id, h.customer_id), until, s.score, s.segment
    FROM iaros.rfm_stored s
    FULL JOIN (
        SELECT DISTINCT ON (x.customer_id) x.customer_id, x.score, x.segment
        FROM iaros.rfm_history x
        ORDER BY x.customer_id DESC, x.since DESC) h ON h.customer_id = s.customer_id
    WHERE s.score::integer IS DISTINCT FROM h.score::integer OR s.segment IS DISTINCT FROM h.segment
    ORDER BY 1
    ON CONFLICT ON CONSTRAINT rfm_history_pkey DO UPDATE SET score = excluded.score, segment = excluded.segment;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_fold_history(timestamptz) IS
'Brings rfm_history to the cells of rfm_stored as of until, where the run before wrote none, or wrote as of the same time. For rfm_apply() only. Linear in the history.';

CREATE FUNCTION @extschema@.rfm_prune()
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    horizon timestamptz;
    pruned bigint;
    total bigint;
BEGIN
    PERFORM iaros.install_check();
    horizon := now() - make_interval(days => iaros.setting_get('rfm_history_keep_days')::integer);
    DELETE FROM iaros.rfm_history h
    WHERE h.since < horizon AND EXISTS (
        SELECT FROM iaros.rfm_history n
        WHERE n.customer_id = h.customer_id AND n.since > h.since AND n.since <= horizon);
    GET DIAGNOSTICS total = ROW_COUNT;
    DELETE FROM iaros.rfm_run r
    WHERE NOT r.is_last
      AND r.ran_at < now() - make_interval(days => iaros.setting_get('job_run_keep_days')::integer);
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN total + pruned;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_prune() IS
'Body of the job iaros-rfm_history: deletes rows of rfm_history that another row of the customer had followed rfm_history_keep_days ago, so that every cell since then is still known, and runs in rfm_run older than job_run_keep_days; returns how many rows that were. Linear in the history.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.rfm_install_refresh()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.rfm_stored (
        customer_id bigint PRIMARY KEY,
        last_on date NOT NULL,
        frequency bigint NOT NULL CHECK (frequency >= 0),
        -- Wider than an amount: sums of many of the largest must fit.
        monetary numeric(24,4) NOT NULL CHECK (monetary >= 0),
        score iaros.rfm,
        segment text,
        run_id bigint
    -- Rows change in place: no index on what changes, room for two versions.
    ) WITH (fillfactor = 75);
    COMMENT ON TABLE iaros.rfm_stored IS
        'Purchases and cell of each person who booked up to the last run of rfm_refresh(), aliases folded in: what view customer_rfm shows. Made by rfm_refresh(), never by hand. Without a foreign key, which would be checked, and lock the customer, at every second change of a row in a run: a trigger on customer deletes the rows.';
    COMMENT ON COLUMN iaros.rfm_stored.last_on IS 'Day of the last booking in brand_time_zone.';
    COMMENT ON COLUMN iaros.rfm_stored.monetary IS 'In the base currency.';
    COMMENT ON COLUMN iaros.rfm_stored.run_id IS 'The run of rfm_run that gave the cell, or took it; NULL: there never was one. Runs may be pruned.';

    CREATE SEQUENCE iaros.rfm_run_id_seq;
    CREATE TABLE iaros.rfm_run (
        run_id bigint PRIMARY KEY,
        ran_at timestamptz NOT NULL,
        is_last boolean NOT NULL,
        as_of timestamptz NOT NULL CHECK (iaros.time_valid(as_of)),
        since timestamptz NOT NULL,
        zone text NOT NULL,
        as_of_on date NOT NULL,
        scheme text NOT NULL,
        segments_hash text NOT NULL,
        next_at timestamptz,
        recorded_at timestamptz,
        whole boolean NOT NULL,
        moved bigint NOT NULL CHECK (moved >= 0),
        took interval NOT NULL
    );
    COMMENT ON TABLE iaros.rfm_run IS
        'Runs of rfm_refresh(): what rfm_stored is as of (is_last), and what the next run starts from. Old runs are deleted by rfm_prune().';
    COMMENT ON COLUMN iaros.rfm_run.since IS 'Start of the period, excluded, for frequency and monetary value.';
    COMMENT ON COLUMN iaros.rfm_run.as_of_on IS 'Day of as_of in zone.';
    COMMENT ON COLUMN iaros.rfm_run.segments_hash IS 'Hash of the segments of all cells of the scheme.';
    COMMENT ON COLUMN iaros.rfm_run.next_at IS 'Time of the first counted booking after as_of; NULL: there was none.';
    COMMENT ON COLUMN iaros.rfm_run.recorded_at IS 'as_of of the last run that wrote rfm_history.';
    COMMENT ON COLUMN iaros.rfm_run.moved IS 'How many customers got another score or segment.';
    CREATE UNIQUE INDEX rfm_run_last ON iaros.rfm_run (is_last) WHERE is_last;

    CREATE TABLE iaros.rfm_history (
        customer_id bigint NOT NULL,
        since timestamptz NOT NULL CHECK (iaros.time_valid(since)),
        score iaros.rfm,
        segment text,
        PRIMARY KEY (customer_id, since)
    );
    COMMENT ON TABLE iaros.rfm_history IS
        'Cells of customers over time: a row holds from since until the next row of the customer. NULL: no score or no segment, as before the first row. Written by rfm_refresh(), kept for rfm_history_keep_days. Without a foreign key, as rfm_stored.';

    CREATE TABLE iaros.rfm_change (
        customer_id bigint,
        booked_at timestamptz,
        amount_base numeric(16,4)
    );
    COMMENT ON TABLE iaros.rfm_change IS
        'What changed in booking and customer_alias since the last run of rfm_refresh(), written by triggers: a new counted booking; a customer to compute anew (booked_at NULL); that all is to be computed anew (customer_id NULL).';

    CREATE VIEW iaros.rfm_anew AS
        SELECT c.customer_id FROM iaros.rfm_change c
        WHERE c.booked_at IS NULL AND c.customer_id IS NOT NULL
        UNION
        SELECT a.master_id FROM iaros.rfm_change c
        JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
        WHERE c.booked_at IS NULL;
    COMMENT ON VIEW iaros.rfm_anew IS
        'Customers whom the next increment of rfm_refresh() computes from their bookings; aliases among them just go.';

    CREATE VIEW iaros.customer_rfm AS
        SELECT s.customer_id, l.as_of_on - s.last_on AS recency_days, s.frequency, s.monetary, s.score,
            iaros.rfm_r(s.score) AS r, iaros.rfm_f(s.score) AS f, iaros.rfm_m(s.score) AS m,
            s.segment, l.scheme, l.as_of
        FROM iaros.rfm_stored s
        CROSS JOIN iaros.rfm_run l
        WHERE l.is_last;
    COMMENT ON VIEW iaros.customer_rfm IS
        'RFM of each person who booked up to as_of, aliases folded in, as rfm_refresh() left it. monetary is in the base currency. score and segment are NULL where the scheme does not score the customer.';

    CREATE FUNCTION iaros.rfm_apply(as_of timestamptz, whole boolean)
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        until timestamptz := as_of;
        began timestamptz;
        last iaros.rfm_run%ROWTYPE;
        terms record;
        recorded boolean;
        astray boolean;
        run bigint := nextval('iaros.rfm_run_id_seq');
        moved bigint;
    BEGIN
        -- One refresh at a time. The present is when it is our turn: what
        -- another transaction committed while we waited is not of the future.
        PERFORM pg_advisory_xact_lock(hashtextextended('iaros.rfm_refresh', 0));
        began := clock_timestamp();
        IF until IS NULL OR until = now() THEN
            until := began;
        ELSIF NOT iaros.time_valid(until) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('RFM cannot be as of "%s"', until),
                HINT = 'Give a time from 1900 to 2199.';
        END IF;
        -- The lock is for REPEATABLE READ: an older snapshot fails here.
        SELECT * INTO last FROM iaros.rfm_run r WHERE r.is_last FOR UPDATE;
        SELECT t.scheme_name, t.since, t.zone, md5(t.segments::text) AS segments_hash INTO terms
        FROM iaros.rfm_terms(NULL, until, NULL, iaros.setting_get('base_currency')) t;
        whole := whole OR last.run_id IS NULL OR until < last.as_of OR terms.since < last.since
            OR isfinite(terms.since) <> isfinite(last.since) OR terms.zone <> last.zone
            OR EXISTS (SELECT FROM iaros.rfm_change c WHERE c.customer_id IS NULL);
        -- A look back, or ahead, leaves the history alone; the run after it,
        -- a second one as of the same time and the first cannot just add.
        recorded := until >= coalesce(last.recorded_at, '-infinity') AND until <= began;
        astray := recorded AND (last.run_id IS NULL OR last.recorded_at IS DISTINCT FROM last.as_of OR until = last.as_of);
        moved := iaros.rfm_fold(
            CASE WHEN whole THEN
                'SELECT coalesce(a.master_id, b.customer_id) AS customer_id, b.booked_at AS at, b.amount_base AS amount
                 FROM iaros.booking b
                 LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
                 WHERE iaros.booking_counts(b.status)'
            ELSE
                iaros.rfm_fold_source(last.since, terms.since,
                    CASE WHEN last.next_at <= until THEN last.as_of ELSE until END, until, terms.zone)
            END,
            whole, terms.segments_hash IS DISTINCT FROM last.segments_hash, until, terms.zone, run, recorded AND NOT astray);
        IF NOT recorded THEN
            RAISE NOTICE USING
                MESSAGE = format('rfm_history is not written as of %s', until),
                DETAIL = CASE WHEN until > began THEN 'That is in the future.'
                    ELSE format('It is written as of %s already.', last.recorded_at) END;
        END IF;
        IF astray THEN
            PERFORM iaros.rfm_fold_history(until);
        END IF;
        UPDATE iaros.rfm_run r SET is_last = false WHERE r.is_last;
        INSERT INTO iaros.rfm_run (run_id, ran_at, is_last, as_of, since, zone, as_of_on, scheme, segments_hash,
            next_at, recorded_at, whole, moved, took)
        VALUES (run, began, true, until, terms.since, terms.zone, (until AT TIME ZONE terms.zone)::date,
            terms.scheme_name, coalesce(terms.segments_hash, ''),
            (SELECT min(b.booked_at) FROM iaros.booking b
             WHERE b.booked_at > until AND iaros.booking_counts(b.status)),
            CASE WHEN recorded THEN until ELSE last.recorded_at END,
            whole, moved, clock_timestamp() - began);
        RETURN moved;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.rfm_apply(timestamptz, boolean) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.rfm_apply(timestamptz, boolean) IS
        'Gate: does the work of rfm_refresh(). SECURITY DEFINER, so that roles which operate can refresh without the right to write the log of changes or the history.';

    CREATE FUNCTION iaros.rfm_booking_log()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO iaros.rfm_change (customer_id, booked_at, amount_base)
            SELECT n.customer_id, n.booked_at, n.amount_base
            FROM new_rows n
            WHERE iaros.booking_counts(n.status);
        ELSIF TG_OP = 'UPDATE' THEN
            INSERT INTO iaros.rfm_change (customer_id)
            SELECT customer_id
            FROM (SELECT o.customer_id, o.booking_id, o.booked_at, o.amount_base
                  FROM old_rows o WHERE iaros.booking_counts(o.status)) AS o
            FULL JOIN (SELECT n.customer_id, n.booking_id, n.booked_at, n.amount_base
                  FROM new_rows n WHERE iaros.booking_counts(n.status)) AS n USING (customer_id, booking_id)
            WHERE n.booked_at IS DISTINCT FROM o.booked_at OR n.amount_base IS DISTINCT FROM o.amount_base;
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO iaros.rfm_change (customer_id)
            SELECT o.customer_id FROM old_rows o WHERE iaros.booking_counts(o.status);
        ELSE
            INSERT INTO iaros.rfm_change DEFAULT VALUES;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.rfm_booking_log() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.rfm_booking_log() IS
        'Statement trigger: notes in rfm_change which bookings that count are new, and whose others changed in what RFM reads. SECURITY DEFINER, so that who records bookings needs no right to write that log.';

    CREATE FUNCTION iaros.rfm_alias_log()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP IN ('UPDATE', 'DELETE') THEN
            INSERT INTO iaros.rfm_change (customer_id)
            SELECT unnest(ARRAY[o.customer_id, o.master_id]) FROM old_rows o;
        END IF;
        IF TG_OP IN ('INSERT', 'UPDATE') THEN
            INSERT INTO iaros.rfm_change (customer_id)
            SELECT unnest(ARRAY[n.customer_id, n.master_id]) FROM new_rows n;
        ELSIF TG_OP = 'TRUNCATE' THEN
            INSERT INTO iaros.rfm_change DEFAULT VALUES;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.rfm_alias_log() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.rfm_alias_log() IS
        'Statement trigger: notes in rfm_change whose bookings are now folded into others, or no longer. SECURITY DEFINER for the reason of rfm_booking_log().';

    CREATE FUNCTION iaros.rfm_customer_gone()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        -- A refresh that runs may be writing about them: after it.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.rfm_refresh', 0));
        IF TG_OP = 'DELETE' THEN
            DELETE FROM iaros.rfm_change c USING old_rows o WHERE c.customer_id = o.customer_id;
            DELETE FROM iaros.rfm_stored s USING old_rows o WHERE s.customer_id = o.customer_id;
            DELETE FROM iaros.rfm_history h USING old_rows o WHERE h.customer_id = o.customer_id;
        ELSE
            DELETE FROM iaros.rfm_change c WHERE c.customer_id IS NOT NULL;
            DELETE FROM iaros.rfm_stored;
            DELETE FROM iaros.rfm_history;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.rfm_customer_gone() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.rfm_customer_gone() IS
        'Statement trigger: deletes rfm_change, rfm_stored and rfm_history of customers that are deleted, and waits for a refresh that runs. SECURITY DEFINER, so that who deletes a customer needs no right on these tables.';

    CREATE TRIGGER rfm_booking_insert AFTER INSERT ON iaros.booking
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_booking_log();
    CREATE TRIGGER rfm_booking_update AFTER UPDATE ON iaros.booking
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_booking_log();
    CREATE TRIGGER rfm_booking_delete AFTER DELETE ON iaros.booking
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_booking_log();
    CREATE TRIGGER rfm_booking_truncate AFTER TRUNCATE ON iaros.booking
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_booking_log();
    CREATE TRIGGER rfm_alias_insert AFTER INSERT ON iaros.customer_alias
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_alias_log();
    CREATE TRIGGER rfm_alias_update AFTER UPDATE ON iaros.customer_alias
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_alias_log();
    CREATE TRIGGER rfm_alias_delete AFTER DELETE ON iaros.customer_alias
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_alias_log();
    CREATE TRIGGER rfm_alias_truncate AFTER TRUNCATE ON iaros.customer_alias
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_alias_log();
    CREATE TRIGGER rfm_customer_delete AFTER DELETE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_customer_gone();
    CREATE TRIGGER rfm_customer_truncate AFTER TRUNCATE ON iaros.customer
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.rfm_customer_gone();

    PERFORM iaros.setting_define('rfm_history_keep_days', 'integer', '1100',
        'For how many days the cells that customers had are kept in rfm_history.');
    PERFORM iaros.job_define('rfm', '15 * * * *', 'rfm_refresh', interval '3 hours', false,
        'Keeps RFM of every customer who booked.');
    PERFORM iaros.job_define('rfm_history', '37 3 * * *', 'rfm_prune', interval '2 days', false,
        'Deletes RFM cells and runs of long ago.');
END $install$;
COMMENT ON PROCEDURE @extschema@.rfm_install_refresh() IS
'Makes the tables, triggers and jobs of rfm_refresh(). Called by rfm_install().';
