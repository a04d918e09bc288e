-- lifecycle: stages of customers by ordered rules over the profile, their
-- history, and what to do in each stage.

CREATE TYPE @extschema@.lifecycle_measure_kind AS ENUM ('count', 'amount', 'share', 'age', 'span');
COMMENT ON TYPE @extschema@.lifecycle_measure_kind IS
'What a measure of a stage rule is: count, a whole number; amount, in the base currency; share, from 0 to 1; age, days from a time to as_of; span, days between two times. Days are 24 hours and have fractions.';

CREATE TYPE @extschema@.lifecycle_action_kind AS ENUM ('offer', 'campaign', 'message', 'survey');
COMMENT ON TYPE @extschema@.lifecycle_action_kind IS
'What the reference of an action names: offer, the code of an offer; campaign, a type of campaigns; message, a message template; survey, a survey of yours.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.churn_estimate(
    booking_count integer,
    first_booked_at timestamptz,
    last_booked_at timestamptz,
    as_of timestamptz,
    gap_days double precision DEFAULT 180)
    RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 1 - power(
        (gap_days * 86400 + date_part('epoch', last_booked_at - first_booked_at))
        / (gap_days * 86400 + date_part('epoch', CASE WHEN as_of < last_booked_at THEN last_booked_at ELSE as_of END - first_booked_at)),
        booking_count);
COMMENT ON FUNCTION @extschema@.churn_estimate(integer, timestamptz, timestamptz, timestamptz, double precision) IS
'Estimates, from 0 to 1, that a customer has gone: the chance that one who still books at the own pace would have booked again by as_of, 1 - ((g + b) / (g + b + t)) ^ n with n bookings, b days from the first to the last, t days since, and g = gap_days (above 0), the gap assumed of a customer of whom none is known, which weighs as one gap. It is the predictive chance of the waiting time when bookings come at random at a rate known from the n - 1 own gaps and that one (gamma and exponential, as in the NBD and Pareto/NBD models of Ehrenberg 1959 and Schmittlein, Morrison and Colombo 1987); with g = 0 it is 1 less the (T / N) ^ n of Dwyer 1997. An estimate by one formula, not a trained model. NULL when an argument is NULL. Error: 22012 gap_days 0 and nothing else known. Inlined.';

CREATE FUNCTION @extschema@.lifecycle_measures()
    RETURNS TABLE (measure text, kind @extschema@.lifecycle_measure_kind, expression text, lasts interval, description text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.measure, m.kind::@extschema@.lifecycle_measure_kind, m.expression, m.lasts::interval, m.description
    FROM (VALUES
        ('days_since_first_booking', 'age', 'p.first_booked_at', NULL, 'Days since the first booking'),
        ('days_since_last_booking', 'age', 'p.last_booked_at', NULL, 'Days since the last booking'),
        ('gap_days', 'span', 'p.last_booked_at - p.prev_booked_at', NULL, 'Days between the last booking and the one before it'),
        ('booking_count', 'count', 'p.booking_count', NULL, 'Bookings ever'),
        ('booking_count_30d', 'count', 'p.booking_count_30d', '30 days', 'Bookings in 30 days'),
        ('booking_count_90d', 'count', 'p.booking_count_90d', '90 days', 'Bookings in 90 days'),
        ('booking_count_180d', 'count', 'p.booking_count_180d', '180 days', 'Bookings in 180 days'),
        ('booking_count_12m', 'count', 'p.booking_count_12m', '12 months', 'Bookings in 12 months'),
        ('spend_total', 'amount', 'p.spend_total', NULL, 'Spend ever'),
        ('spend_90d', 'amount', 'p.spend_90d', '90 days', 'Spend in 90 days'),
        ('spend_12m', 'amount', 'p.spend_12m', '12 months', 'Spend in 12 months'),
        ('cancelled_count', 'count', 'p.cancelled_count', NULL, 'Bookings cancelled'),
        ('ancillary_count', 'count', 'p.ancillary_count', NULL, 'Ancillaries bought'),
        ('churn_estimate', 'share', 'churn', NULL, 'Estimate of having gone, see churn_estimate()'),
        ('email_open_90d', 'count', 'p.email_open_90d', NULL, 'E-mails opened in 90 days'),
        ('email_click_90d', 'count', 'p.email_click_90d', NULL, 'Links in e-mails followed in 90 days'),
        ('session_30d', 'count', 'p.session_30d', NULL, 'Sessions in 30 days'),
        ('search_30d', 'count', 'p.search_30d', NULL, 'Flights searched in 30 days'),
        ('complaint_90d', 'count', 'p.complaint_90d', NULL, 'Complaints in 90 days'),
        ('nps_score', 'count', 'p.nps_score', NULL, 'Last answer to the recommendation question, 0 to 10'),
        ('days_since_last_event', 'age', 'p.last_event_at', NULL, 'Days since the last event of any kind'),
        ('days_since_last_complaint', 'age', 'p.last_complaint_at', NULL, 'Days since the last complaint')
    ) AS m(measure, kind, expression, lasts, description);
END;
COMMENT ON FUNCTION @extschema@.lifecycle_measures() IS
'Returns what stage rules can ask for, a closed list: name, kind, SQL over profile p, and for windows over bookings how long a booking counts (NULL: no such window). The rules of stages are data; their SQL is only ever made of these expressions and of quoted numbers.';

CREATE FUNCTION @extschema@.lifecycle_range_refuse(measure text, range jsonb, problem text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('invalid range for measure "%s": %s', left(measure, 64), left(coalesce(range::text, 'NULL'), 64)),
        DETAIL = problem,
        HINT = 'Example: {"min": 90, "below": 180} holds from 90 on and below 180.';
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_range_refuse(text, jsonb, text) IS
'Raises 22023 for the range of a measure in a stage rule, with the problem as detail.';

CREATE FUNCTION @extschema@.lifecycle_range_check(measure text, range jsonb)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bound record;
    low numeric;
BEGIN
    IF jsonb_typeof(range) IS DISTINCT FROM 'object' OR range = '{}' THEN
        PERFORM iaros.lifecycle_range_refuse(measure, range, 'A range is an object with at least one bound.');
    END IF;
    FOR bound IN SELECT b.key, b.value FROM jsonb_each(range) b LOOP
        IF bound.key NOT IN ('min', 'above', 'below') THEN
            PERFORM iaros.lifecycle_range_refuse(measure, range,
                format('"%s" is none of the bounds min, above and below.', left(bound.key, 64)));
        ELSIF jsonb_typeof(bound.value) <> 'number' OR (bound.value #>> '{}')::numeric NOT BETWEEN 0 AND 1e15 THEN
            PERFORM iaros.lifecycle_range_refuse(measure, range,
                format('The bound "%s" is not a number from 0 to 1e15.', bound.key));
        END IF;
    END LOOP;
    IF range ? 'min' AND range ? 'above' THEN
        PERFORM iaros.lifecycle_range_refuse(measure, range, 'It has both min and above.');
    END IF;
    low := coalesce(range ->> 'min', range ->> 'above', '0')::numeric;
    IF (range ->> 'below')::numeric <= low THEN
        PERFORM iaros.lifecycle_range_refuse(measure, range, 'Nothing lies in it.');
    ELSIF greatest(low, (range ->> 'below')::numeric) > 100000
        AND EXISTS (SELECT FROM iaros.lifecycle_measures() m
            WHERE m.measure = lifecycle_range_check.measure AND m.kind IN ('age', 'span')) THEN
        PERFORM iaros.lifecycle_range_refuse(measure, range, 'A bound in days is at most 100000.');
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_range_check(text, jsonb) IS
'Checks the range of a measure in a stage rule: an object with min (from it on) or above (beyond it), below (short of it), or a lower and the upper bound, numbers from 0 to 1e15, days to 100000. Error: 22023.';

CREATE FUNCTION @extschema@.lifecycle_condition_sql(measure text, range jsonb, gap_days numeric)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    m record;
    form text;
BEGIN
    SELECT l.kind, l.expression INTO m FROM iaros.lifecycle_measures() l
    WHERE l.measure = lifecycle_condition_sql.measure;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('measure "%s" does not exist', left(measure, 64)),
            HINT = coalesce(iaros.name_hint(measure, ARRAY(SELECT l.measure FROM iaros.lifecycle_measures() l)),
                'List them with SELECT * FROM iaros.lifecycle_measures().');
    END IF;
    PERFORM iaros.lifecycle_range_check(measure, range);
    IF m.kind = 'age' THEN
        m.expression := format('n.as_of - %s', m.expression);
    ELSIF m.expression = 'churn' THEN
        m.expression := format('iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, n.as_of, %L::float8)', gap_days);
    END IF;
    -- Days are compared as seconds, so that no time zone has a say.
    form := CASE WHEN m.kind IN ('age', 'span') THEN '(%s) %s make_interval(secs => 86400 * %L::float8)'
        WHEN m.kind = 'share' THEN '%s %s %L::float8'
        ELSE '%s %s %L::numeric' END;
    RETURN (SELECT string_agg(format(
            -- Whole numbers as such: integer columns are then compared fast.
            CASE WHEN m.kind = 'count' AND b.value ~ '^[0-9]{1,9}$' THEN '%s %s %L::integer' ELSE form END, m.expression,
            CASE b.key WHEN 'min' THEN '>=' WHEN 'above' THEN '>' ELSE '<' END, b.value), ' AND ' ORDER BY b.key DESC)
        FROM jsonb_each_text(range) b);
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_condition_sql(text, jsonb, numeric) IS
'Returns one condition of a stage rule as SQL over profile p and n.as_of, every number quoted. gap_days is that of churn_estimate(). A measure that is not known of a customer lies in no range. Errors: 42704 no such measure, with the nearest names as hint; 22023 range.';

CREATE FUNCTION @extschema@.lifecycle_rule_sql(conditions jsonb, gap_days numeric)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF jsonb_typeof(conditions) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('conditions of a stage must be a JSON object, not %s', coalesce(jsonb_typeof(conditions), 'nothing')),
            HINT = 'Example: {"days_since_last_booking": {"min": 90, "below": 180}}; {} holds for everybody.';
    END IF;
    RETURN coalesce((
        SELECT string_agg(iaros.lifecycle_condition_sql(c.key, c.value, gap_days), ' AND ' ORDER BY c.key)
        FROM jsonb_each(conditions) c), 'true');
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_rule_sql(jsonb, numeric) IS
'Returns the conditions of a stage rule, all of which must hold, as SQL over profile p and n.as_of; {} is true. Errors: 22023 no object, and those of lifecycle_condition_sql.';

-- Engine: schemes ---------------------------------------------------------

CREATE FUNCTION @extschema@.lifecycle_rule_check() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.lifecycle_rule_sql(NEW.conditions, 1);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_rule_check() IS
'Trigger of lifecycle_rule: refuses conditions that lifecycle_rule_sql() refuses.';

CREATE FUNCTION @extschema@.lifecycle_scheme_find(scheme text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text;
BEGIN
    PERFORM iaros.install_check();
    wanted := coalesce(scheme, iaros.setting_get('lifecycle_scheme'));
    IF NOT EXISTS (SELECT FROM iaros.lifecycle_scheme s WHERE s.scheme = wanted) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('scheme of stages "%s" does not exist', left(wanted, 64)),
            HINT = format('Schemes: %s.', (SELECT string_agg(s.scheme, ', ' ORDER BY s.scheme) FROM iaros.lifecycle_scheme s));
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_scheme_find(text) IS
'Returns the scheme of stages of a name; NULL: that of setting lifecycle_scheme. Error: 42704 no such scheme.';

CREATE FUNCTION @extschema@.lifecycle_stage_find(stage text, scheme text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text := iaros.lifecycle_scheme_find(scheme);
    found_stage text;
BEGIN
    SELECT d.stage INTO found_stage FROM iaros.lifecycle_stage_def d
    WHERE d.scheme = chosen AND (d.stage = lifecycle_stage_find.stage OR lifecycle_stage_find.stage = ANY (d.aliases))
    ORDER BY d.stage = lifecycle_stage_find.stage DESC, d.position LIMIT 1;
    IF found_stage IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('stage "%s" does not exist in scheme "%s"', left(coalesce(stage, 'NULL'), 64), chosen),
            HINT = format('Stages: %s.', (SELECT string_agg(d.stage, ', ' ORDER BY d.position)
                                         FROM iaros.lifecycle_stage_def d WHERE d.scheme = chosen));
    END IF;
    RETURN found_stage;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_stage_find(text, text) IS
'Returns the stage of a scheme (NULL: that of setting lifecycle_scheme) that a name means: its own, or one of its aliases, as churn_risk, which is at_risk in scheme standard and churn in scheme clm. Error: 42704 no such scheme or stage.';

CREATE FUNCTION @extschema@.lifecycle_stage_translate(stage text, from_scheme text, to_scheme text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    own text := iaros.lifecycle_stage_find(stage, from_scheme);
    source text := iaros.lifecycle_scheme_find(from_scheme);
    target text := iaros.lifecycle_scheme_find(to_scheme);
BEGIN
    RETURN CASE WHEN source = target THEN own ELSE (
        SELECT m.to_stage FROM iaros.lifecycle_stage_map m
        WHERE m.scheme = source AND m.stage = own AND m.to_scheme = target) END;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_stage_translate(text, text, text) IS
'Returns the stage of another scheme that a stage corresponds to by lifecycle_stage_map; NULL when none is stated. Errors: those of lifecycle_stage_find.';

CREATE FUNCTION @extschema@.lifecycle_case_sql(scheme text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text := iaros.lifecycle_scheme_find(scheme);
    gap_days numeric := iaros.setting_get('churn_gap_days')::numeric;
BEGIN
    RETURN coalesce((
        SELECT format('CASE %s END', string_agg(
            format('WHEN %s THEN %L', iaros.lifecycle_rule_sql(r.conditions, gap_days), r.stage), ' ' ORDER BY r.rank))
        FROM iaros.lifecycle_rule r WHERE r.scheme = chosen), 'NULL::text');
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_case_sql(text) IS
'Returns the rules of a scheme (NULL: that of setting lifecycle_scheme) as one CASE expression over profile p and n.as_of: the stage of the first rule, by rank, whose conditions hold. Error: 42704 no such scheme.';

CREATE FUNCTION @extschema@.lifecycle_stage(
    customer_id bigint,
    as_of timestamptz DEFAULT now(),
    scheme text DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    stage text;
BEGIN
    PERFORM iaros.install_check();
    EXECUTE format('SELECT %s FROM iaros.profile_at($2) p CROSS JOIN (VALUES ($2)) AS n(as_of) WHERE p.customer_id = $1',
            iaros.lifecycle_case_sql(scheme))
        INTO stage USING iaros.customer_resolve(customer_id), coalesce(as_of, now());
    RETURN stage;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_stage(bigint, timestamptz, text) IS
'Returns the stage of a person, given any of the ids, as of a time (NULL: now) by a scheme (NULL: that of setting lifecycle_scheme), computed from the profile as of that time; nothing stored is asked. NULL for NULL or an unknown customer. Error: 42704 no such scheme. One profile.';

-- Engine: stages kept -----------------------------------------------------

CREATE FUNCTION @extschema@.lifecycle_offsets()
    RETURNS interval[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN ARRAY(
        SELECT interval '0'
        UNION
        SELECT m.lasts
        FROM iaros.lifecycle_scheme s
        JOIN iaros.lifecycle_rule r ON r.scheme = s.scheme
        CROSS JOIN LATERAL jsonb_each(r.conditions) AS c(measure, range)
        JOIN iaros.lifecycle_measures() m ON m.measure = c.measure
        WHERE s.enabled AND m.lasts IS NOT NULL
        UNION
        SELECT make_interval(secs => 86400 * b.value::float8) + CASE b.key WHEN 'above' THEN interval '1 microsecond' ELSE interval '0' END
        FROM iaros.lifecycle_scheme s
        JOIN iaros.lifecycle_rule r ON r.scheme = s.scheme
        CROSS JOIN LATERAL jsonb_each(r.conditions) AS c(measure, range)
        CROSS JOIN LATERAL jsonb_each_text(c.range) AS b(key, value)
        WHERE s.enabled AND c.measure IN ('days_since_first_booking', 'days_since_last_booking')
        ORDER BY 1);
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_offsets() IS
'Returns how long after a booking it can move a customer to another stage, by the rules of the enabled schemes: at once, when it leaves a window, when its age passes a bound.';

CREATE FUNCTION @extschema@.lifecycle_write_sql() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    pairs text;
    schemes text[];
    stages text;
BEGIN
    PERFORM iaros.install_check();
    SELECT string_agg(format('(%L::text, %s)', k.scheme, k.stage), ', ' ORDER BY k.scheme),
        array_agg(k.scheme ORDER BY k.scheme), string_agg(k.stage, ', ' ORDER BY k.scheme)
    INTO pairs, schemes, stages
    FROM (SELECT s.scheme, iaros.lifecycle_case_sql(s.scheme) AS stage
          FROM iaros.lifecycle_scheme s WHERE s.enabled) k;
    RETURN CASE WHEN pairs IS NOT NULL THEN format($q$
        WITH run AS (
            SELECT s.scheme, r.as_of AS since
            FROM iaros.lifecycle_scheme s
            LEFT JOIN iaros.lifecycle_refreshed r ON r.subject = 'stage' AND r.scheme = s.scheme
            WHERE s.enabled
        ), stored AS (
            SELECT o.customer_id, o.scheme, o.stage, o.entered_at
            FROM iaros.customer_lifecycle_stage o
            WHERE o.exited_at IS NULL AND ($2 IS NULL OR o.customer_id = ANY ($2))
              AND o.scheme IN (SELECT run.scheme FROM run)
        ), differs AS MATERIALIZED (
            SELECT customer_id, scheme, o.stage AS was, c.stage
            FROM (SELECT p.customer_id, unnest(%2$L::text[]) AS scheme, unnest(ARRAY[%3$s]) AS stage
                  FROM iaros.profile_at($1) p
                  CROSS JOIN (VALUES ($1)) AS n(as_of)
                  WHERE $2 IS NULL OR p.customer_id = ANY ($2)) AS c
            FULL JOIN stored o USING (customer_id, scheme)
            WHERE c.stage IS DISTINCT FROM o.stage AND coalesce(o.entered_at, '-infinity') < $1
        ), moment AS MATERIALIZED (
            -- When bookings can have moved someone since the last run.
            SELECT DISTINCT m.customer_id, m.at
            FROM (SELECT coalesce(a.master_id, b.customer_id) AS customer_id, b.booked_at + d.after AS at
                  FROM (SELECT i.after, $4 - i.after - k.slack AS from_time, $1 - i.after + k.slack AS to_time
                        FROM unnest($3) AS i(after)
                        -- Months are not as long as each other.
                        CROSS JOIN LATERAL (SELECT CASE WHEN date_part('month', i.after) + date_part('year', i.after) = 0
                            THEN interval '0' ELSE interval '4 days' END) AS k(slack)) AS d
                  JOIN iaros.booking b ON b.booked_at > d.from_time AND b.booked_at <= d.to_time
                  LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
                  WHERE iaros.booking_counts(b.status)
                    AND ($5 IS NULL OR b.customer_id = ANY ($5))) AS m
            WHERE m.at > $4 AND m.at <= $1 AND ($2 IS NULL OR m.customer_id = ANY ($2))
        ), base AS MATERIALIZED (
            SELECT k.customer_id, run.scheme, o.stage AS was,
                greatest(run.since, o.entered_at, (
                    SELECT max(h.exited_at) FROM iaros.customer_lifecycle_stage h
                    WHERE h.customer_id = k.customer_id AND h.scheme = run.scheme)) AS since
            FROM (SELECT DISTINCT m.customer_id FROM moment m) AS k
            JOIN run ON run.since IS NOT NULL
            LEFT JOIN stored o ON o.customer_id = k.customer_id AND o.scheme = run.scheme
        ), trusted AS MATERIALIZED (
            -- Whose stored stage is what it should have been then.
            SELECT b.customer_id, b.scheme, b.was, b.since
            FROM base b
            -- One by one, by index.
            CROSS JOIN LATERAL (
                SELECT x.stage, p.booking_count
                FROM iaros.profile_at(b.since) p
                CROSS JOIN LATERAL (VALUES (b.since)) AS n(as_of)
                CROSS JOIN LATERAL (VALUES %1$s) AS x(scheme, stage)
                WHERE p.customer_id = b.customer_id AND x.scheme = b.scheme
                OFFSET 0) AS x
            WHERE x.stage = b.was OR b.was IS NULL AND x.booking_count = 0
        ), step AS (
            SELECT t.customer_id, t.scheme, t.was, m.at, x.stage
            FROM trusted t
            JOIN moment m ON m.customer_id = t.customer_id AND m.at > t.since
            CROSS JOIN LATERAL (
                SELECT x.stage
                FROM iaros.profile_at(m.at) p
                CROSS JOIN LATERAL (VALUES (m.at)) AS n(as_of)
                CROSS JOIN LATERAL (VALUES %1$s) AS x(scheme, stage)
                WHERE p.customer_id = m.customer_id AND x.scheme = t.scheme
                OFFSET 0) AS x
            UNION ALL
            SELECT d.customer_id, d.scheme, d.was, $1, d.stage FROM differs d
            UNION ALL
            SELECT t.customer_id, t.scheme, t.was, $1, t.was
            FROM trusted t
            WHERE t.was IS NOT NULL AND t.since < $1 AND NOT EXISTS (
                SELECT FROM differs d WHERE d.customer_id = t.customer_id AND d.scheme = t.scheme)
        ), turn AS MATERIALIZED (
            SELECT l.customer_id, l.scheme, l.stage, l.at AS entered_at,
                lead(l.at) OVER (PARTITION BY l.customer_id, l.scheme ORDER BY l.at) AS exited_at,
                row_number() OVER (PARTITION BY l.customer_id, l.scheme ORDER BY l.at) AS n
            FROM (SELECT s.*, lag(s.stage, 1, s.was) OVER (PARTITION BY s.customer_id, s.scheme ORDER BY s.at) AS before FROM step s) AS l
            WHERE l.stage IS DISTINCT FROM l.before
        ), closed AS (
            UPDATE iaros.customer_lifecycle_stage c SET exited_at = t.entered_at
            FROM turn t
            WHERE t.n = 1 AND c.customer_id = t.customer_id AND c.scheme = t.scheme AND c.exited_at IS NULL
            RETURNING c.customer_id
        ), entered AS (
            -- After the rows that they follow are closed.
            INSERT INTO iaros.customer_lifecycle_stage (customer_id, scheme, stage, entered_at, exited_at)
            SELECT t.customer_id, t.scheme, t.stage, t.entered_at, t.exited_at
            FROM (SELECT count(*) FROM closed) AS k, turn t
            WHERE t.stage IS NOT NULL
        )
        SELECT count(*) FROM turn$q$, pairs, schemes, stages) END;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_write_sql() IS
'Returns the one statement of lifecycle_write(): $1 as_of, $2 customers or NULL, $3 lifecycle_offsets(), $4 as_of of the last run, $5 all ids of these customers or NULL. NULL when no scheme is enabled.';

CREATE FUNCTION @extschema@.lifecycle_undo(until timestamptz, customer_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    cases text;
    undone bigint;
BEGIN
    PERFORM iaros.install_check();
    SELECT string_agg(format('(%L::text, %s)', s.scheme, iaros.lifecycle_case_sql(s.scheme)), ', ' ORDER BY s.scheme) INTO cases
    FROM iaros.lifecycle_scheme s WHERE s.enabled;
    IF cases IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format(
        'DELETE FROM iaros.customer_lifecycle_stage o
         WHERE o.exited_at IS NULL AND o.entered_at = $1 AND ($2 IS NULL OR o.customer_id = ANY ($2))
           AND o.scheme IN (SELECT s.scheme FROM iaros.lifecycle_scheme s WHERE s.enabled)
           AND (o.customer_id, o.scheme, o.stage) NOT IN (
               SELECT p.customer_id, x.scheme, x.stage
               FROM iaros.profile_at($1) p CROSS JOIN (VALUES ($1)) AS n(as_of) CROSS JOIN LATERAL (VALUES %s) AS x(scheme, stage)
               WHERE x.stage IS NOT NULL)', cases) USING until, customer_ids;
    GET DIAGNOSTICS undone = ROW_COUNT;
    UPDATE iaros.customer_lifecycle_stage c SET exited_at = NULL
    WHERE c.exited_at = until AND (customer_ids IS NULL OR c.customer_id = ANY (customer_ids))
      AND NOT EXISTS (SELECT FROM iaros.customer_lifecycle_stage o
          WHERE o.customer_id = c.customer_id AND o.scheme = c.scheme AND o.exited_at IS NULL);
    RETURN undone;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_undo(timestamptz, bigint[]) IS
'Takes back stages entered at the very time as of which a second run computes, where what is known now gives another stage, so that no stage lasts for no time, and returns how many. NULL: of all customers. For lifecycle_write().';

CREATE FUNCTION @extschema@.lifecycle_write(customer_ids bigint[], as_of timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    until timestamptz := as_of;
    since timestamptz;
    newest timestamptz;
    statement text;
    stored_ids bigint[];
    undone bigint := 0;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    -- The last run: locked, so that an older snapshot fails here.
    PERFORM FROM iaros.lifecycle_refreshed r WHERE r.subject = 'stage' ORDER BY r.scheme FOR SHARE;
    SELECT min(r.as_of), max(r.as_of) INTO since, newest
    FROM iaros.lifecycle_refreshed r JOIN iaros.lifecycle_scheme s ON s.scheme = r.scheme
    WHERE r.subject = 'stage' AND s.enabled;
    IF until IS NULL OR until = now() THEN
        until := clock_timestamp();
    END IF;
    IF until < newest OR until > clock_timestamp() OR NOT iaros.time_valid(until) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('stages cannot be kept as of "%s"', until),
            DETAIL = CASE WHEN until < newest THEN format('They are kept as of %s already.', newest)
                ELSE 'The history only has what has happened.' END,
            HINT = 'lifecycle_stage() computes the stage of a customer as of any time.';
    END IF;
    statement := iaros.lifecycle_write_sql();
    IF statement IS NULL THEN
        RETURN 0;
    END IF;
    IF until = newest OR EXISTS (
        SELECT FROM iaros.customer_lifecycle_stage o
        WHERE o.customer_id = ANY (customer_ids) AND o.exited_at IS NULL AND o.entered_at = until) THEN
        undone := iaros.lifecycle_undo(until, customer_ids);
    END IF;
    IF customer_ids IS NOT NULL THEN
        stored_ids := customer_ids || ARRAY(
            SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (customer_ids));
    END IF;
    EXECUTE statement INTO done USING until, customer_ids, iaros.lifecycle_offsets(), since, stored_ids;
    IF customer_ids IS NULL THEN
        INSERT INTO iaros.lifecycle_refreshed AS r (subject, scheme, as_of, ran_at, changed)
        SELECT 'stage', s.scheme, until, clock_timestamp(), done
        FROM iaros.lifecycle_scheme s WHERE s.enabled
        ON CONFLICT (subject, scheme) DO UPDATE SET as_of = excluded.as_of, ran_at = excluded.ran_at, changed = excluded.changed;
    END IF;
    RETURN undone + done;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_write(bigint[], timestamptz) IS
'Brings customer_lifecycle_stage, of the customers given or of all when the array is NULL, to what it should be at as_of, and returns how many times someone entered or left a stage. For lifecycle_refresh() and lifecycle_apply(), which lock.';

CREATE FUNCTION @extschema@.lifecycle_refresh(as_of timestamptz DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- One refresh at a time: the next one starts from what this one wrote.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.lifecycle_refresh', 0));
    RETURN iaros.lifecycle_write(NULL, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_refresh(timestamptz) IS
'Brings the stages of all customers in customer_lifecycle_stage, in all enabled schemes, to what they are as of a time (NULL or now(): the moment at which no other refresh runs any more), and returns how many times someone entered a stage or left the last one. Only changes are written. A stage that a booking or the clock brought since the last run is entered at its moment, also one entered and left in between; any other at as_of: at the first run, and when bookings came late or were cancelled, customers merged or rules changed. Errors: 22023 as_of in the future or before the last run. One scan of the profiles, and one profile for each moment since the last run.';

CREATE FUNCTION @extschema@.lifecycle_apply(customer_ids bigint[], as_of timestamptz DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    -- Beside other calls for other customers, but not beside a refresh.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.lifecycle_refresh', 0));
    ids := iaros.customer_lock(customer_ids);
    RETURN iaros.lifecycle_write(ids, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_apply(bigint[], timestamptz) IS
'As lifecycle_refresh(), for some customers: ids that are aliases count for their master, ids of nobody are passed over, a NULL array is none. To be called after an event of theirs. Errors: those of lifecycle_refresh(). A few profiles for each customer.';

CREATE FUNCTION @extschema@.lifecycle_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN CASE WHEN iaros.setting_get('clm_enabled')::boolean THEN iaros.lifecycle_refresh() ELSE 0 END;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_run() IS
'Body of the job iaros-lifecycle: lifecycle_refresh() as of now, unless setting clm_enabled is false; returns how many changes that were.';

CREATE FUNCTION @extschema@.lifecycle_prune() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    oldest timestamptz;
    stages bigint;
    segments bigint;
BEGIN
    PERFORM iaros.install_check();
    oldest := now() - make_interval(days => iaros.setting_get('lifecycle_history_keep_days')::integer);
    DELETE FROM iaros.customer_lifecycle_stage c WHERE c.exited_at < oldest;
    GET DIAGNOSTICS stages = ROW_COUNT;
    DELETE FROM iaros.customer_value_history h
    WHERE h.since < oldest AND EXISTS (
        SELECT FROM iaros.customer_value_history l
        WHERE l.customer_id = h.customer_id AND l.scheme = h.scheme AND l.since > h.since AND l.since < oldest);
    GET DIAGNOSTICS segments = ROW_COUNT;
    RETURN stages + segments;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_prune() IS
'Body of the job iaros-lifecycle_history: deletes stages left, and value segments no longer held, more than lifecycle_history_keep_days ago; returns how many. Stages and segments that still hold stay, however old.';

CREATE FUNCTION @extschema@.lifecycle_moves(from_at timestamptz, to_at timestamptz, scheme text DEFAULT NULL)
    RETURNS TABLE (from_stage text, to_stage text, customers bigint, share numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    chosen text := iaros.lifecycle_scheme_find(scheme);
BEGIN
    IF from_at IS NULL OR to_at IS NULL OR from_at > to_at THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a migration cannot go from "%s" to "%s"', coalesce(from_at::text, 'NULL'), coalesce(to_at::text, 'NULL')),
            HINT = 'Give two times, the earlier one first.';
    END IF;
    RETURN QUERY
        WITH moved AS (
            SELECT max(c.stage) FILTER (WHERE c.entered_at <= from_at AND coalesce(c.exited_at > from_at, true)) AS from_stage,
                max(c.stage) FILTER (WHERE c.entered_at <= to_at AND coalesce(c.exited_at > to_at, true)) AS to_stage
            FROM iaros.customer_lifecycle_stage c
            WHERE c.scheme = chosen
            GROUP BY c.customer_id)
        SELECT m.from_stage, m.to_stage, count(*),
            round(count(*) / sum(count(*)) OVER (PARTITION BY m.from_stage), 4)
        FROM moved m
        WHERE m.from_stage IS NOT NULL OR m.to_stage IS NOT NULL
        GROUP BY m.from_stage, m.to_stage
        ORDER BY m.from_stage, m.to_stage;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_moves(timestamptz, timestamptz, text) IS
'Returns how many customers went from which stage of a scheme (NULL: that of setting lifecycle_scheme) to which between two times, and their share of those who were in the first; NULL on a side: in none then. Read from customer_lifecycle_stage. Errors: 22023 times not in order, 42704 no such scheme. Linear in the history of the scheme.';

CREATE FUNCTION @extschema@.lifecycle_actions(
    customer_id bigint,
    as_of timestamptz DEFAULT now(),
    scheme text DEFAULT NULL)
    RETURNS TABLE (stage text, kind @extschema@.lifecycle_action_kind, reference text, priority integer, description text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    chosen text := iaros.lifecycle_scheme_find(lifecycle_actions.scheme);
    held text := iaros.lifecycle_stage(lifecycle_actions.customer_id, lifecycle_actions.as_of, chosen);
BEGIN
    RETURN QUERY
        SELECT a.stage, a.kind, a.reference, a.priority, a.description
        FROM iaros.lifecycle_action a
        WHERE a.scheme = chosen AND a.stage = held AND a.enabled
        ORDER BY a.priority, a.kind, a.reference;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_actions(bigint, timestamptz, text) IS
'Returns what is recommended for a customer in the stage that lifecycle_stage() gives, by the enabled rows of lifecycle_action, the strongest (lowest priority) first. reference names an offer, a type of campaigns, a message template or a survey; whether it is live is for that domain to say. No row for NULL or an unknown customer. Error: 42704 no such scheme. One profile.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.lifecycle_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'setting ' || k.name, format('the scheme "%s" does not exist', iaros.setting_get(k.name)),
            format('Choose one with iaros.setting_set(%L, ...).', k.name)
        FROM (SELECT 'lifecycle_scheme'::text, EXISTS (SELECT FROM iaros.lifecycle_scheme s WHERE s.scheme = iaros.setting_get('lifecycle_scheme'))
              UNION ALL
              SELECT 'value_scheme', EXISTS (SELECT FROM iaros.value_scheme s WHERE s.scheme = iaros.setting_get('value_scheme'))) AS k(name, is_there)
        WHERE NOT k.is_there;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('scheme of stages %s', s.scheme), 'some customers may be in no stage',
            'Add a rule of the last rank with the conditions {}.'
        FROM iaros.lifecycle_scheme s
        WHERE NOT EXISTS (SELECT FROM iaros.lifecycle_rule r WHERE r.scheme = s.scheme AND r.conditions = '{}')
        ORDER BY s.scheme;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('scheme of stages %s', r.scheme),
            format('its rule %s (%s) is never reached', r.rank, r.stage), 'An earlier rule has the conditions {}.'
        FROM iaros.lifecycle_rule r
        WHERE EXISTS (SELECT FROM iaros.lifecycle_rule e WHERE e.scheme = r.scheme AND e.rank < r.rank AND e.conditions = '{}')
        ORDER BY r.scheme, r.rank;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('scheme of values %s', s.scheme), 'some customers may be in no value segment',
            'Add a row to value_segment_def with the lower_bound 0.'
        FROM iaros.value_scheme s
        WHERE NOT EXISTS (SELECT FROM iaros.value_segment_def d WHERE d.scheme = s.scheme AND d.lower_bound <= 0)
        ORDER BY s.scheme;
END $$;
COMMENT ON FUNCTION @extschema@.lifecycle_doctor() IS
'Findings of doctor() about stages and values: settings that name no scheme, schemes that leave customers without stage or segment, rules that are never reached.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.lifecycle_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('lifecycle', 1) THEN
    CREATE TABLE iaros.lifecycle_scheme (
        scheme text PRIMARY KEY CHECK (scheme ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.lifecycle_scheme IS
        'Ways to divide customers into stages; enabled: lifecycle_refresh() keeps its stages. Add your own.';
    INSERT INTO iaros.lifecycle_scheme (scheme, description, shipped_hash) VALUES
        ('standard', 'Six stages by recency and number of bookings, one for the hole between them, one for those who never booked', 'new'),
        ('clm', 'Customer lifecycle management: from acquisition to churn', 'new');
    PERFORM iaros.shipped_seal('iaros.lifecycle_scheme');

    CREATE TABLE iaros.lifecycle_stage_def (
        scheme text NOT NULL REFERENCES iaros.lifecycle_scheme ON UPDATE CASCADE ON DELETE CASCADE,
        stage text NOT NULL CHECK (stage ~ '^[a-z][a-z0-9_]{0,40}$'),
        position integer NOT NULL,
        aliases text[] NOT NULL DEFAULT '{}',
        description text NOT NULL,
        strategy text NOT NULL,
        shipped_hash text,
        PRIMARY KEY (scheme, stage)
    );
    COMMENT ON TABLE iaros.lifecycle_stage_def IS
        'The stages of each scheme in the order of a customer''s life, with other names for them, what they are and what to do.';
    INSERT INTO iaros.lifecycle_stage_def (scheme, stage, position, aliases, description, strategy, shipped_hash) VALUES
        ('standard', 'prospect', 1, '{lead}', 'Never booked', 'Win the first booking', 'new'),
        ('standard', 'new', 2, '{}', 'First booking in the last 30 days', 'Welcome, onboarding', 'new'),
        ('standard', 'active', 3, '{}', 'Two or more bookings in the last 90 days', 'Engagement, rewards', 'new'),
        ('standard', 'engaged', 4, '{}', 'Five or more bookings in the last 180 days', 'VIP treatment, early access', 'new'),
        ('standard', 'occasional', 5, '{}', 'Booked in the last 90 days, but is in no other stage', 'Encourage the next booking', 'new'),
        ('standard', 'at_risk', 6, '{churn_risk}', 'Last booking 90 to 180 days ago', 'Win-back offers', 'new'),
        ('standard', 'churned', 7, '{}', 'Last booking 180 or more days ago', 'Survey, aggressive offers', 'new'),
        ('standard', 'reactivated', 8, '{}', 'Booked again in the last 90 days, after 180 or more days without', 'Onboard again', 'new'),
        ('clm', 'acquisition', 1, '{}', 'Never booked', 'Win the first booking', 'new'),
        ('clm', 'onboarding', 2, '{}', 'First booking in the last 30 days, or the first in 90 days after 180 without', 'Welcome, explain what is there', 'new'),
        ('clm', 'growth', 3, '{}', 'Booked in the last 90 days', 'Sell more and other things', 'new'),
        ('clm', 'retention', 4, '{}', 'Last booking 90 to 180 days ago', 'Keep, before the customer is gone', 'new'),
        ('clm', 'win_back', 5, '{}', 'Last booking 180 to 365 days ago', 'Win-back offers', 'new'),
        ('clm', 'churn', 6, '{churn_risk}', 'Last booking a year or more ago, or the estimate of having gone is above 0.7', 'Last offers, survey', 'new');
    PERFORM iaros.shipped_seal('iaros.lifecycle_stage_def');

    CREATE TABLE iaros.lifecycle_rule (
        scheme text NOT NULL,
        rank integer NOT NULL,
        stage text NOT NULL,
        conditions jsonb NOT NULL,
        shipped_hash text,
        PRIMARY KEY (scheme, rank),
        CONSTRAINT lifecycle_rule_stage FOREIGN KEY (scheme, stage)
            REFERENCES iaros.lifecycle_stage_def ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.lifecycle_rule IS
        'Rules of a scheme: the first by rank whose conditions all hold gives the stage.';
    COMMENT ON COLUMN iaros.lifecycle_rule.conditions IS
        'Range of each measure of lifecycle_measures(): {"days_since_last_booking": {"min": 90, "below": 180}}; {} holds for everybody. Checked when it is written.';
    CREATE INDEX lifecycle_rule_by_stage ON iaros.lifecycle_rule (scheme, stage);
    CREATE TRIGGER lifecycle_rule_check
        BEFORE INSERT OR UPDATE ON iaros.lifecycle_rule
        FOR EACH ROW EXECUTE FUNCTION iaros.lifecycle_rule_check();
    INSERT INTO iaros.lifecycle_rule (scheme, rank, stage, conditions, shipped_hash) VALUES
        ('standard', 1, 'prospect', '{"booking_count": {"below": 1}}', 'new'),
        ('standard', 2, 'new', '{"days_since_first_booking": {"below": 30}}', 'new'),
        ('standard', 3, 'at_risk', '{"days_since_last_booking": {"min": 90, "below": 180}}', 'new'),
        ('standard', 4, 'churned', '{"days_since_last_booking": {"min": 180}}', 'new'),
        ('standard', 5, 'engaged', '{"booking_count_180d": {"min": 5}}', 'new'),
        ('standard', 6, 'active', '{"booking_count_90d": {"min": 2}}', 'new'),
        ('standard', 7, 'reactivated', '{"gap_days": {"min": 180}}', 'new'),
        ('standard', 8, 'occasional', '{}', 'new'),
        ('clm', 1, 'acquisition', '{"booking_count": {"below": 1}}', 'new'),
        ('clm', 2, 'onboarding', '{"days_since_first_booking": {"below": 30}}', 'new'),
        ('clm', 3, 'onboarding', '{"gap_days": {"min": 180}, "days_since_last_booking": {"below": 90}}', 'new'),
        ('clm', 4, 'churn', '{"days_since_last_booking": {"min": 365}}', 'new'),
        ('clm', 5, 'win_back', '{"days_since_last_booking": {"min": 180}}', 'new'),
        ('clm', 6, 'churn', '{"churn_estimate": {"above": 0.7}}', 'new'),
        ('clm', 7, 'retention', '{"days_since_last_booking": {"min": 90}}', 'new'),
        ('clm', 8, 'growth', '{}', 'new');
    PERFORM iaros.shipped_seal('iaros.lifecycle_rule');

    CREATE TABLE iaros.lifecycle_stage_map (
        scheme text NOT NULL,
        stage text NOT NULL,
        to_scheme text NOT NULL CHECK (to_scheme <> scheme),
        to_stage text NOT NULL,
        shipped_hash text,
        PRIMARY KEY (scheme, stage, to_scheme),
        CONSTRAINT lifecycle_stage_map_from FOREIGN KEY (scheme, stage)
            REFERENCES iaros.lifecycle_stage_def ON UPDATE CASCADE ON DELETE CASCADE,
        CONSTRAINT lifecycle_stage_map_to FOREIGN KEY (to_scheme, to_stage)
            REFERENCES iaros.lifecycle_stage_def (scheme, stage) ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.lifecycle_stage_map IS
        'Which stage of another scheme a stage corresponds to.';
    CREATE INDEX lifecycle_stage_map_by_target ON iaros.lifecycle_stage_map (to_scheme, to_stage);
    INSERT INTO iaros.lifecycle_stage_map (scheme, stage, to_scheme, to_stage, shipped_hash) VALUES
        ('standard', 'prospect', 'clm', 'acquisition', 'new'),
        ('standard', 'new', 'clm', 'onboarding', 'new'),
        ('standard', 'active', 'clm', 'growth', 'new'),
        ('standard', 'engaged', 'clm', 'growth', 'new'),
        ('standard', 'occasional', 'clm', 'growth', 'new'),
        ('standard', 'at_risk', 'clm', 'retention', 'new'),
        ('standard', 'churned', 'clm', 'win_back', 'new'),
        ('standard', 'reactivated', 'clm', 'onboarding', 'new'),
        ('clm', 'acquisition', 'standard', 'prospect', 'new'),
        ('clm', 'onboarding', 'standard', 'new', 'new'),
        ('clm', 'growth', 'standard', 'active', 'new'),
        ('clm', 'retention', 'standard', 'at_risk', 'new'),
        ('clm', 'win_back', 'standard', 'churned', 'new'),
        ('clm', 'churn', 'standard', 'churned', 'new');
    PERFORM iaros.shipped_seal('iaros.lifecycle_stage_map');

    CREATE TABLE iaros.lifecycle_action (
        scheme text NOT NULL,
        stage text NOT NULL,
        kind iaros.lifecycle_action_kind NOT NULL,
        reference text NOT NULL CHECK (reference <> ''),
        priority integer NOT NULL CHECK (priority > 0),
        description text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text,
        PRIMARY KEY (scheme, stage, kind, reference),
        CONSTRAINT lifecycle_action_stage FOREIGN KEY (scheme, stage)
            REFERENCES iaros.lifecycle_stage_def ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.lifecycle_action IS
        'What is recommended in a stage: an offer, a type of campaigns, a message template or a survey, by its key; lower priority is stronger.';
    INSERT INTO iaros.lifecycle_action (scheme, stage, kind, reference, priority, description, shipped_hash) VALUES
        ('standard', 'prospect', 'offer', 'WELCOME_DISCOUNT', 1, 'A reason for the first booking', 'new'),
        ('standard', 'new', 'message', 'welcome-1', 1, 'Welcome', 'new'),
        ('standard', 'new', 'campaign', 'onboarding', 2, 'First steps', 'new'),
        ('standard', 'new', 'offer', 'WELCOME_DISCOUNT', 3, 'A reason for the second booking', 'new'),
        ('standard', 'active', 'offer', 'DOUBLE_POINTS', 1, 'Reward', 'new'),
        ('standard', 'active', 'campaign', 'nurture', 2, 'Engagement', 'new'),
        ('standard', 'engaged', 'offer', 'LOUNGE_ACCESS', 1, 'VIP treatment', 'new'),
        ('standard', 'engaged', 'campaign', 'limited_offer', 2, 'Early access to sales', 'new'),
        ('standard', 'engaged', 'offer', 'BUSINESS_UPGRADE', 3, 'VIP treatment', 'new'),
        ('standard', 'occasional', 'offer', 'EXTRA_LEGROOM', 1, 'Something new to try', 'new'),
        ('standard', 'occasional', 'campaign', 'seasonal', 2, 'A reason for the next booking', 'new'),
        ('standard', 'at_risk', 'offer', 'WINBACK_DISCOUNT', 1, 'Win back before the customer is gone', 'new'),
        ('standard', 'at_risk', 'campaign', 'winback', 2, 'Win back before the customer is gone', 'new'),
        ('standard', 'churned', 'survey', 'why-did-you-leave', 1, 'Ask for the reason', 'new'),
        ('standard', 'churned', 'offer', 'WINBACK_DISCOUNT', 2, 'Aggressive offer', 'new'),
        ('standard', 'churned', 'message', 'winback-1', 3, 'Remind of the last trip', 'new'),
        ('standard', 'reactivated', 'campaign', 'onboarding', 1, 'Onboard again', 'new'),
        ('standard', 'reactivated', 'offer', 'DOUBLE_POINTS', 2, 'Reward the return', 'new'),
        ('clm', 'acquisition', 'offer', 'WELCOME_DISCOUNT', 1, 'A reason for the first booking', 'new'),
        ('clm', 'onboarding', 'message', 'welcome-1', 1, 'Welcome', 'new'),
        ('clm', 'onboarding', 'campaign', 'onboarding', 2, 'First steps', 'new'),
        ('clm', 'growth', 'offer', 'DOUBLE_POINTS', 1, 'Reward', 'new'),
        ('clm', 'growth', 'offer', 'EXTRA_LEGROOM', 2, 'Sell something beside the seat', 'new'),
        ('clm', 'retention', 'offer', 'WINBACK_DISCOUNT', 1, 'Keep the customer', 'new'),
        ('clm', 'retention', 'campaign', 'nurture', 2, 'Keep in touch', 'new'),
        ('clm', 'win_back', 'offer', 'WINBACK_DISCOUNT', 1, 'Win back', 'new'),
        ('clm', 'win_back', 'campaign', 'winback', 2, 'Win back', 'new'),
        ('clm', 'churn', 'survey', 'why-did-you-leave', 1, 'Ask for the reason', 'new'),
        ('clm', 'churn', 'campaign', 'reactivation', 2, 'Last offers', 'new');
    PERFORM iaros.shipped_seal('iaros.lifecycle_action');

    CREATE TABLE iaros.lifecycle_refreshed (
        subject text NOT NULL CHECK (subject IN ('stage', 'value')),
        scheme text NOT NULL,
        as_of timestamptz NOT NULL CHECK (iaros.time_valid(as_of)),
        ran_at timestamptz NOT NULL,
        changed bigint NOT NULL,
        PRIMARY KEY (subject, scheme)
    );
    COMMENT ON TABLE iaros.lifecycle_refreshed IS
        'As of when the stages and values of each scheme were last kept, and how many changes that run made in all schemes.';

    CREATE TABLE iaros.customer_lifecycle_stage (
        customer_id bigint NOT NULL,
        scheme text NOT NULL,
        stage text NOT NULL,
        entered_at timestamptz NOT NULL CHECK (iaros.time_valid(entered_at)),
        exited_at timestamptz,
        duration_days numeric(12,4) GENERATED ALWAYS AS (date_part('epoch', exited_at - entered_at)::numeric / 86400) STORED,
        PRIMARY KEY (customer_id, scheme, entered_at),
        CONSTRAINT customer_lifecycle_stage_order CHECK (exited_at > entered_at)
    );
    COMMENT ON TABLE iaros.customer_lifecycle_stage IS
        'Stages of each person in each scheme over time; exited_at NULL: still in it. Written by lifecycle_refresh() and lifecycle_apply(), closed rows are kept for lifecycle_history_keep_days. Without a foreign key, which would be checked at each of millions of rows: a trigger on customer deletes them.';
    COMMENT ON COLUMN iaros.customer_lifecycle_stage.entered_at IS
        'The moment of the booking, or of the clock, that brought the stage; the as_of of the run where it was learned late, see lifecycle_refresh().';
    COMMENT ON COLUMN iaros.customer_lifecycle_stage.duration_days IS 'Days of 24 hours from entered_at to exited_at; NULL: still in it.';
    CREATE UNIQUE INDEX customer_lifecycle_stage_now ON iaros.customer_lifecycle_stage (customer_id, scheme) WHERE exited_at IS NULL;

    CREATE VIEW iaros.lifecycle_dashboard AS
        SELECT d.scheme, d.stage, d.position, coalesce(n.customers, 0) AS customers,
            round(coalesce(n.customers, 0) / nullif(sum(n.customers) OVER (PARTITION BY d.scheme), 0), 4) AS share,
            coalesce(n.entered_30d, 0) AS entered_30d, coalesce(n.left_30d, 0) AS left_30d,
            round(n.days_in_stage, 2) AS days_in_stage, round(n.duration_days, 2) AS duration_days, r.as_of
        FROM iaros.lifecycle_stage_def d
        LEFT JOIN iaros.lifecycle_refreshed r ON r.subject = 'stage' AND r.scheme = d.scheme
        LEFT JOIN (
            SELECT c.scheme, c.stage, count(*) FILTER (WHERE c.exited_at IS NULL) AS customers,
                count(*) FILTER (WHERE l.as_of < c.entered_at + interval '30 days') AS entered_30d,
                count(*) FILTER (WHERE l.as_of < c.exited_at + interval '30 days') AS left_30d,
                avg(date_part('epoch', l.as_of - c.entered_at)::numeric / 86400) FILTER (WHERE c.exited_at IS NULL) AS days_in_stage,
                avg(c.duration_days) AS duration_days
            FROM iaros.customer_lifecycle_stage c
            JOIN iaros.lifecycle_refreshed l ON l.subject = 'stage' AND l.scheme = c.scheme
            GROUP BY c.scheme, c.stage) n ON n.scheme = d.scheme AND n.stage = d.stage;
    COMMENT ON VIEW iaros.lifecycle_dashboard IS
        'Each stage of each scheme: how many customers are in it as of the last run and their share, how many entered and left it in 30 days, for how many days those in it are in it, and how long it took those who left, on average.';

    CREATE VIEW iaros.lifecycle_migration AS
        SELECT f.scheme, date_trunc('month', t.entered_at AT TIME ZONE 'UTC')::date AS month,
            f.stage AS from_stage, t.stage AS to_stage, count(*) AS moves
        FROM iaros.customer_lifecycle_stage t
        JOIN iaros.customer_lifecycle_stage f ON f.customer_id = t.customer_id AND f.scheme = t.scheme AND f.exited_at = t.entered_at
        GROUP BY f.scheme, 2, f.stage, t.stage;
    COMMENT ON VIEW iaros.lifecycle_migration IS
        'How many times in each month (UTC) someone went from one stage of a scheme straight to another.';

    CREATE FUNCTION iaros.lifecycle_customer_gone()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        -- A refresh that runs may be writing about them: after it.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.lifecycle_refresh', 0));
        IF TG_OP = 'DELETE' THEN
            DELETE FROM iaros.customer_lifecycle_stage c USING old_rows o WHERE c.customer_id = o.customer_id;
            DELETE FROM iaros.customer_value_segment c USING old_rows o WHERE c.customer_id = o.customer_id;
            DELETE FROM iaros.customer_value_history c USING old_rows o WHERE c.customer_id = o.customer_id;
        ELSE
            DELETE FROM iaros.customer_lifecycle_stage;
            DELETE FROM iaros.customer_value_segment;
            DELETE FROM iaros.customer_value_history;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.lifecycle_customer_gone() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.lifecycle_customer_gone() IS
        'Statement trigger: deletes stages and values of customers that are deleted, and waits for a refresh that runs. SECURITY DEFINER, so that who deletes a customer needs no right on these tables.';
    CREATE TRIGGER lifecycle_customer_delete AFTER DELETE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.lifecycle_customer_gone();
    CREATE TRIGGER lifecycle_customer_truncate AFTER TRUNCATE ON iaros.customer
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.lifecycle_customer_gone();

    PERFORM iaros.setting_define('clm_enabled', 'boolean', 'true',
        'Whether the job lifecycle keeps the stages of customers.');
    PERFORM iaros.setting_define('lifecycle_scheme', 'text', 'standard',
        'The scheme of stages where none is named.');
    PERFORM iaros.setting_define('lifecycle_history_keep_days', 'integer', '1100',
        'For how many days stages and value segments are kept that customers have left.');
    PERFORM iaros.setting_define('churn_gap_days', 'integer', '180',
        'Days between two bookings that churn_estimate() assumes of a customer of whom none is known.');
    PERFORM iaros.job_define('lifecycle', '25 * * * *', 'lifecycle_run', interval '3 hours', false,
        'Keeps the stages of all customers, with history.');
    PERFORM iaros.job_define('lifecycle_history', '47 3 * * *', 'lifecycle_prune', interval '2 days', false,
        'Deletes stages and value segments that customers left long ago.');
    CALL iaros.lifecycle_install_value();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.lifecycle_install() IS
'Makes the tables of the domain lifecycle. Called by install().';
