-- attribution, engine: schemes, the path of every journey, credits of every
-- day, kept by what changed.

-- Kernel: sources ---------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_touch_sql(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    customer_ids bigint[] DEFAULT NULL,
    by text DEFAULT 'channel')
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
BEGIN
    RETURN format('SELECT t.customer_id, t.occurred_at AS at, %s, t.kind, t.stage
FROM iaros.touchpoint t LEFT JOIN iaros.campaign c ON c.campaign_id OPERATOR(pg_catalog.=) t.campaign_id
WHERE %s',
        CASE by WHEN 'campaign' THEN 'coalesce(c.code, t.campaign, ''no_campaign'') AS channel'
                ELSE 't.channel, coalesce(c.code, t.campaign) AS campaign' END,
        concat_ws(' AND ', 'true',
            CASE WHEN from_time > '-infinity' THEN format('t.occurred_at OPERATOR(pg_catalog.>=) %L', from_time) END,
            CASE WHEN to_time < 'infinity' THEN format('t.occurred_at OPERATOR(pg_catalog.<) %L', to_time) END,
            CASE WHEN customer_ids IS NOT NULL
                THEN format('t.customer_id OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.int8[])', customer_ids) END));
END $$;
COMMENT ON FUNCTION @extschema@.attribution_touch_sql(timestamptz, timestamptz, bigint[], text) IS
'Returns the touchpoints in [from_time, to_time), of all customers or of customer_ids, as a query for attribution_paths(): columns customer_id, at, channel, campaign (the code of ours, else the name that the source states), kind, stage. by campaign: channel is the campaign, no_campaign where there is none. Nothing is read.';

CREATE FUNCTION @extschema@.attribution_goal_sql(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    customer_ids bigint[] DEFAULT NULL,
    kinds text[] DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
BEGIN
    RETURN format('SELECT c.customer_id, c.occurred_at AS at, c.conversion_id, c.value_base AS value
FROM iaros.conversion c
WHERE %s',
        concat_ws(' AND ', 'true',
            CASE WHEN from_time > '-infinity' THEN format('c.occurred_at OPERATOR(pg_catalog.>=) %L', from_time) END,
            CASE WHEN to_time < 'infinity' THEN format('c.occurred_at OPERATOR(pg_catalog.<) %L', to_time) END,
            CASE WHEN kinds IS NOT NULL
                THEN format('c.kind OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.text[])', kinds) END,
            CASE WHEN customer_ids IS NOT NULL
                THEN format('c.customer_id OPERATOR(pg_catalog.=) ANY (%L::pg_catalog.int8[])', customer_ids) END));
END $$;
COMMENT ON FUNCTION @extschema@.attribution_goal_sql(timestamptz, timestamptz, bigint[], text[]) IS
'Returns the conversions in [from_time, to_time), of all customers or of customer_ids, of all kinds or of kinds, as a query for attribution_paths(): columns customer_id, at, conversion_id, value in the base currency. Nothing is read.';

CREATE FUNCTION @extschema@.attribution_length_valid(length interval) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN length > interval '0' AND length <= interval '36500 days'
        AND date_part('year', length) = 0 AND date_part('month', length) = 0;
COMMENT ON FUNCTION @extschema@.attribution_length_valid(interval) IS
'Tells whether an interval may be one of a scheme of attribution: positive, at most 36,500 days and without months and years, whose length is not known. NULL for NULL. Inlined.';

CREATE FUNCTION @extschema@.attribution_decimals() RETURNS integer
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN coalesce(iaros.currency_minor_unit(iaros.setting_get('base_currency')), 2);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_decimals() IS
'Returns the decimals of the base currency, to which credits are divided.';

CREATE FUNCTION @extschema@.attribution_scheme_models(scheme text) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    s record;
BEGIN
    PERFORM iaros.install_check();
    SELECT x.models, x.enabled, r.scheme IS NOT NULL AS refreshed INTO s
    FROM iaros.attribution_scheme x
    LEFT JOIN iaros.attribution_run r ON r.scheme = x.scheme
    WHERE x.scheme = attribution_scheme_models.scheme;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('attribution scheme "%s" does not exist', coalesce(left(attribution_scheme_models.scheme, 64), 'NULL')),
            HINT = 'List them with SELECT * FROM iaros.attribution_scheme; add your own there.';
    ELSIF NOT s.refreshed THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('attribution scheme "%s" was never refreshed', attribution_scheme_models.scheme),
            HINT = CASE WHEN s.enabled THEN 'Run SELECT iaros.attribution_refresh(), as job iaros-attribution does.'
                ELSE 'It is switched off: set enabled in iaros.attribution_scheme, then run SELECT iaros.attribution_refresh().' END;
    END IF;
    RETURN s.models;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_scheme_models(text) IS
'Returns the models whose credits a scheme keeps. Errors: 42704 no such scheme, 55000 one that was never refreshed.';

CREATE FUNCTION @extschema@.attribution_terms(scheme text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET intervalstyle = 'postgres'
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (
        SELECT md5(concat_ws('|', to_jsonb(s) - '{description,enabled,shipped_hash}'::text[],
            iaros.setting_get('brand_time_zone'), iaros.setting_get('base_currency')))
        FROM iaros.attribution_scheme s WHERE s.scheme = attribution_terms.scheme);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_terms(text) IS
'Returns the hash of what the rows of a scheme depend on beside the data: its terms and models, brand_time_zone and base_currency. It is that of the rows in attribution_run when these are of the terms of now. NULL: no such scheme.';

-- Engine: refresh ---------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_family(customer_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    masters bigint[];
BEGIN
    PERFORM iaros.install_check();
    masters := ARRAY(
        SELECT coalesce(a.master_id, u.id) FROM unnest(customer_ids) AS u(id)
        LEFT JOIN iaros.customer_alias a ON a.customer_id = u.id
        WHERE u.id IS NOT NULL);
    RETURN ARRAY(
        SELECT u.id FROM unnest(customer_ids || masters) AS u(id) WHERE u.id IS NOT NULL
        UNION
        SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (masters)
        ORDER BY 1);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_family(bigint[]) IS
'Returns some customers with all who are one person with one of them, in order. NULL is nobody. O(customers).';

CREATE FUNCTION @extschema@.attribution_due(
    from_time timestamptz,
    to_time timestamptz,
    "window" interval)
    RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET plan_cache_mode = force_custom_plan
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT DISTINCT t.customer_id
        FROM iaros.touchpoint t
        WHERE t.occurred_at > from_time - "window" AND t.occurred_at <= to_time - "window";
END $$;
COMMENT ON FUNCTION @extschema@.attribution_due(timestamptz, timestamptz, interval) IS
'Returns the customers who have a touchpoint whose window ended in (from_time, to_time]: journeys of theirs may have ended without a conversion. For attribution_refresh(). One scan of the touchpoints of that time.';

CREATE FUNCTION @extschema@.attribution_write(
    scheme text,
    customer_ids bigint[],
    as_of timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    s record;
    zone text;
    gone bigint;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    SELECT * INTO s FROM iaros.attribution_scheme x WHERE x.scheme = attribution_write.scheme;
    zone := iaros.setting_get('brand_time_zone');
    IF to_regclass('pg_temp.iaros_attribution_made') IS NOT NULL THEN
        DROP TABLE pg_temp.iaros_attribution_made;
    END IF;
    CREATE TEMPORARY TABLE iaros_attribution_made ON COMMIT DROP AS
    SELECT p.customer_id, t.at, coalesce(p.conversion_id, 0) AS conversion_id,
        (t.at AT TIME ZONE zone)::date AS day, p.value AS value_base, p.path
    FROM iaros.attribution_paths(
        iaros.attribution_touch_sql(customer_ids => attribution_write.customer_ids),
        iaros.attribution_goal_sql(customer_ids => attribution_write.customer_ids, kinds => s.conversion_kinds),
        s."window", s.view_window, s.dedupe, s.click_over_view, s.restart,
        'SELECT a.customer_id, a.master_id FROM iaros.customer_alias a', as_of) p
    CROSS JOIN LATERAL (SELECT coalesce(p.converted_at,
        (SELECT l.at FROM iaros.touch_path_touches(iaros.touch_path_last(p.path, 1)) l))) AS t(at);
    ANALYZE pg_temp.iaros_attribution_made;
    DELETE FROM iaros.attribution_path o
    WHERE o.scheme = attribution_write.scheme
      AND (attribution_write.customer_ids IS NULL OR o.customer_id = ANY (attribution_write.customer_ids))
      AND NOT EXISTS (SELECT FROM pg_temp.iaros_attribution_made m
          WHERE m.customer_id = o.customer_id AND m.at = o.at AND m.conversion_id = o.conversion_id);
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO iaros.attribution_path AS o (customer_id, scheme, at, conversion_id, day, value_base, path)
    SELECT m.customer_id, attribution_write.scheme, m.at, m.conversion_id, m.day, m.value_base, m.path
    FROM pg_temp.iaros_attribution_made m
    LEFT JOIN iaros.attribution_path e ON e.customer_id = m.customer_id AND e.scheme = attribution_write.scheme
        AND e.at = m.at AND e.conversion_id = m.conversion_id
    WHERE e.customer_id IS NULL OR e.day <> m.day OR e.value_base IS DISTINCT FROM m.value_base
       OR e.path OPERATOR(iaros.<>) m.path
    ORDER BY m.customer_id, m.at, m.conversion_id
    ON CONFLICT (customer_id, scheme, at, conversion_id) DO UPDATE
        SET day = excluded.day, value_base = excluded.value_base, path = excluded.path;
    GET DIAGNOSTICS done = ROW_COUNT;
    DROP TABLE pg_temp.iaros_attribution_made;
    RETURN gone + done;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_write(text, bigint[], timestamptz) IS
'Brings attribution_path of a scheme, of all customers or of customer_ids, which must hold whole persons, to what touchpoints and conversions say, and returns how many rows changed. For attribution_refresh().';

CREATE FUNCTION @extschema@.attribution_roll(scheme text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    stale date[];
    ruled text[];
    decimals integer;
BEGIN
    PERFORM iaros.install_check();
    decimals := iaros.attribution_decimals();
    WITH taken AS (
        DELETE FROM iaros.attribution_stale d WHERE d.scheme = attribution_roll.scheme RETURNING d.day)
    SELECT array_agg(DISTINCT t.day) INTO stale FROM taken t;
    IF stale IS NULL THEN
        RETURN 0;
    END IF;
    SELECT x.models INTO ruled FROM iaros.attribution_scheme x WHERE x.scheme = attribution_roll.scheme;
    DELETE FROM iaros.attribution_day d WHERE d.scheme = attribution_roll.scheme AND d.day = ANY (stale);
    INSERT INTO iaros.attribution_day (scheme, by, day, credits, paths)
    SELECT attribution_roll.scheme, b.by, p.day,
        iaros.attribution_agg(k.path, p.value_base, ruled, 1, decimals) FILTER (WHERE p.conversion_id <> 0),
        iaros.path_agg(k.path, (p.conversion_id <> 0)::integer::bigint, p.value_base, (p.conversion_id = 0)::integer::bigint)
    FROM iaros.attribution_path p
    CROSS JOIN (VALUES ('channel'), ('campaign')) AS b(by)
    CROSS JOIN LATERAL (SELECT CASE b.by WHEN 'channel' THEN p.path ELSE iaros.touch_path_by_campaign(p.path) END) AS k(path)
    WHERE p.scheme = attribution_roll.scheme AND p.day = ANY (stale)
    GROUP BY b.by, p.day;
    RETURN cardinality(stale);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_roll(text) IS
'Adds up the paths of the days of a scheme on which one changed into attribution_day, and returns how many days these were. For attribution_refresh().';

CREATE FUNCTION @extschema@.attribution_refresh_scheme(
    scheme text,
    changed bigint[],
    whole boolean,
    as_of timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
    last record;
    ids bigint[];
    written bigint := 0;
BEGIN
    PERFORM iaros.install_check();
    SELECT r.as_of, r.terms, s."window", iaros.attribution_terms(s.scheme) AS now_terms
    INTO last
    FROM iaros.attribution_scheme s
    LEFT JOIN iaros.attribution_run r ON r.scheme = s.scheme
    WHERE s.scheme = attribution_refresh_scheme.scheme;
    whole := whole OR last.terms IS DISTINCT FROM last.now_terms OR as_of < last.as_of;
    IF NOT whole THEN
        ids := iaros.attribution_family(changed || ARRAY(SELECT iaros.attribution_due(last.as_of, as_of, last."window")));
        -- By index, so many take longer than all of them in one scan.
        whole := cardinality(ids) > (SELECT greatest(c.reltuples, 1000) / 10 FROM pg_class c WHERE c.oid = 'iaros.customer'::regclass);
    END IF;
    IF whole THEN
        written := iaros.attribution_write(scheme, NULL, as_of);
        INSERT INTO iaros.attribution_stale (scheme, day)
        SELECT d.scheme, d.day FROM iaros.attribution_day d WHERE d.scheme = attribution_refresh_scheme.scheme
        UNION
        SELECT p.scheme, p.day FROM iaros.attribution_path p WHERE p.scheme = attribution_refresh_scheme.scheme;
    ELSIF ids <> '{}' THEN
        written := iaros.attribution_write(scheme, ids, as_of);
    END IF;
    PERFORM iaros.attribution_roll(scheme);
    INSERT INTO iaros.attribution_run AS r (scheme, as_of, terms, ran_at, whole, written, took)
    VALUES (scheme, attribution_refresh_scheme.as_of, last.now_terms, began,
        whole, written, clock_timestamp() - began)
    ON CONFLICT (scheme) DO UPDATE SET as_of = excluded.as_of, terms = excluded.terms, ran_at = excluded.ran_at,
        whole = excluded.whole, written = excluded.written, took = excluded.took;
    RETURN written;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_refresh_scheme(text, bigint[], boolean, timestamptz) IS
'Does the work of attribution_refresh() for one scheme: the customers who changed and those with a journey that ended by the clock since the last run, or all. For attribution_refresh().';

CREATE FUNCTION @extschema@.attribution_drop(schemes text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF schemes <> '{}' THEN
        DELETE FROM iaros.attribution_path p WHERE p.scheme = ANY (schemes);
        DELETE FROM iaros.attribution_day d WHERE d.scheme = ANY (schemes);
        DELETE FROM iaros.attribution_run r WHERE r.scheme = ANY (schemes);
        DELETE FROM iaros.attribution_stale e WHERE e.scheme = ANY (schemes);
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_drop(text[]) IS
'Deletes what attribution_refresh() made of some schemes. NULL is none. O(paths of these).';

CREATE FUNCTION @extschema@.attribution_refresh(
    as_of timestamptz DEFAULT now(),
    whole boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    changed bigint[];
    anybody boolean;
    one record;
    failure text;
    written bigint := 0;
BEGIN
    PERFORM iaros.install_check();
    IF iaros.time_valid(as_of) IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attribution cannot be as of "%s"', coalesce(as_of::text, 'NULL')),
            HINT = 'Give a time from 1900 to 2199.';
    END IF;
    -- One refresh at a time; the rows are locked for REPEATABLE READ, where
    -- an older snapshot fails here.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.attribution_refresh', 0));
    PERFORM FROM iaros.attribution_run r ORDER BY r.scheme FOR UPDATE;
    PERFORM iaros.attribution_drop(ARRAY(
        SELECT k.scheme FROM (SELECT r.scheme FROM iaros.attribution_run r UNION SELECT d.scheme FROM iaros.attribution_day d) k
        WHERE k.scheme NOT IN (SELECT s.scheme FROM iaros.attribution_scheme s WHERE s.enabled)));
    -- What commits after this is left, with its row of the log, for the next
    -- run; what these rows tell of is seen by the statements that follow.
    WITH taken AS (
        DELETE FROM iaros.attribution_change c RETURNING c.customer_id)
    SELECT array_agg(DISTINCT t.customer_id), coalesce(bool_or(t.customer_id IS NULL), false)
    INTO changed, anybody FROM taken t;
    FOR one IN SELECT s.scheme FROM iaros.attribution_scheme s WHERE s.enabled ORDER BY s.scheme LOOP
        BEGIN
            written := written + iaros.attribution_refresh_scheme(one.scheme, changed, coalesce(whole, false) OR anybody, as_of);
        EXCEPTION WHEN data_exception OR program_limit_exceeded OR out_of_memory THEN
            GET STACKED DIAGNOSTICS failure = MESSAGE_TEXT;
            PERFORM iaros.alert_raise('attribution_failed', 'error', one.scheme,
                format('attribution scheme "%s" could not be refreshed: %s', one.scheme, failure));
            -- The changes are taken: next time everything is computed anew.
            UPDATE iaros.attribution_run r SET terms = '' WHERE r.scheme = one.scheme;
        END;
    END LOOP;
    RETURN written;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_refresh(timestamptz, boolean) IS
'Brings attribution_path and attribution_day of every enabled scheme up to date and returns how many paths changed: those of customers with new, changed, late or deleted touchpoints, conversions or aliases (attribution_change), and journeys whose window ended without a conversion up to as_of; or of all customers when whole, when the scheme, the zone or the base currency changed, when as_of is before that of the last run, and when so many changed that it is faster. An increment adds up only the days of paths that changed. Both ways give the same rows. Refreshes take turns. A scheme that fails (more rows than iaros.group_memory holds, say) raises alert attribution_failed, keeps its rows and does not hold up the others; the next refresh computes it anew. Error: 22023 as_of before 1900 or after 2199. O(changed touchpoints + paths of their days).';

CREATE FUNCTION @extschema@.attribution_job() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.attribution_refresh();
END $$;
COMMENT ON FUNCTION @extschema@.attribution_job() IS
'Body of the job iaros-attribution: attribution_refresh() as of now.';

-- Engine: spend -----------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_spend_record(
    day date,
    channel text,
    amount numeric,
    currency text DEFAULT NULL,
    campaign text DEFAULT NULL,
    source text DEFAULT 'manual')
    RETURNS numeric
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    base text;
    spent numeric;
BEGIN
    PERFORM iaros.install_check();
    base := iaros.setting_get('base_currency');
    spent := iaros.fx_convert(amount, coalesce(currency, base), day);
    INSERT INTO iaros.attribution_spend AS s (day, channel, campaign, source, amount, currency, amount_base)
    VALUES (attribution_spend_record.day, attribution_spend_record.channel, coalesce(attribution_spend_record.campaign, ''),
        attribution_spend_record.source, amount, coalesce(currency, base), spent)
    ON CONFLICT (day, channel, campaign, source) DO UPDATE
        SET amount = excluded.amount, currency = excluded.currency, amount_base = excluded.amount_base;
    RETURN spent;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_spend_record(date, text, numeric, text, text, text) IS
'Records what a channel, or one campaign (its code or name) in it, cost on a day, as a source tells it, and returns the amount in the base currency at the rate of the day. A second call for the same day, channel, campaign and source replaces the first, so that a bill can be loaded again. For costs that are not those of single touchpoints (cost_base) or messages (message_cost_base of campaigns). Errors: 23503 unknown channel or source, 23514 negative amount, 22023 amount with more decimals than the currency has, P0002 no rate.';

CREATE FUNCTION @extschema@.attribution_cost(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    by text DEFAULT 'channel',
    daily boolean DEFAULT false)
    RETURNS TABLE (day date, key text, cost numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    zone text;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_by_check(by);
    PERFORM iaros.attribution_time_check(from_time, to_time);
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY
        WITH spent AS (
            SELECT CASE WHEN daily THEN (t.occurred_at AT TIME ZONE zone)::date END AS day, t.channel, t.campaign_id, t.campaign, sum(t.cost_base) AS cost
            FROM iaros.touchpoint t
            WHERE t.occurred_at >= from_time AND t.occurred_at < to_time AND t.cost_base > 0
            GROUP BY 1, 2, 3, 4
            UNION ALL
            SELECT CASE WHEN daily THEN (e.occurred_at AT TIME ZONE zone)::date END, e.channel, e.campaign_id, NULL, sum(c.message_cost_base)
            FROM iaros.message_event e
            JOIN iaros.campaign c ON c.campaign_id = e.campaign_id AND c.message_cost_base > 0
            WHERE e.kind = 'sent' AND e.occurred_at >= from_time AND e.occurred_at < to_time
            GROUP BY 1, 2, 3
            UNION ALL
            SELECT CASE WHEN daily THEN s.day END, s.channel, NULL, nullif(s.campaign, ''), s.amount_base
            FROM iaros.attribution_spend s
            WHERE s.amount_base > 0
              AND (s.day::timestamp AT TIME ZONE zone) >= from_time AND (s.day::timestamp AT TIME ZONE zone) < to_time
        )
        SELECT s.day, k.key, trim_scale(sum(s.cost))
        FROM spent s
        LEFT JOIN iaros.campaign c ON c.campaign_id = s.campaign_id
        CROSS JOIN LATERAL (SELECT CASE attribution_cost.by WHEN 'channel' THEN s.channel
            ELSE coalesce(c.code, s.campaign, 'no_campaign') END) AS k(key)
        GROUP BY 1, 2;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_cost(timestamptz, timestamptz, text, boolean) IS
'Returns what was spent in [from_time, to_time), in the base currency, for each channel or campaign (by; its code or name, no_campaign), and for each day of brand_time_zone when daily, else with day NULL: the cost of touchpoints, of messages sent (message_cost_base of their campaign), and what attribution_spend tells of days that begin in that time. The sums are exact, not rounded. Errors: 22023 by, times. One scan of the touchpoints and messages of the time.';

CREATE FUNCTION @extschema@.attribution_by_check(by text, known text[] DEFAULT '{channel,campaign}') RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF by = ANY (known) IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attribution by "%s" does not exist', coalesce(left(by, 64), 'NULL')),
            HINT = format('Credit goes by %s.', array_to_string(known, ' or by '));
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_by_check(text, text[]) IS
'Refuses with 22023 what is not among the known ways to divide credit by.';

CREATE FUNCTION @extschema@.attribution_time_check(from_time timestamptz, to_time timestamptz) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
BEGIN
    IF from_time IS NULL OR to_time IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'null_value_not_allowed',
            MESSAGE = format('%s of attribution must not be NULL', CASE WHEN from_time IS NULL THEN 'from_time' ELSE 'to_time' END),
            HINT = '-infinity and infinity are no limit.';
    ELSIF from_time > to_time THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attribution cannot go from "%s" to "%s"', from_time, to_time),
            HINT = 'Give the earlier time first; -infinity and infinity are no limit.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_time_check(timestamptz, timestamptz) IS
'Refuses a time of attribution that ends before it begins with 22023, NULL with 22004.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'attribution scheme ' || s.scheme, CASE WHEN r.scheme IS NULL THEN 'it was never refreshed'
                ELSE 'it was last refreshed at ' || r.ran_at || ', and customers changed since' END,
            'Look at job iaros-attribution, or run SELECT iaros.attribution_refresh().'
        FROM iaros.attribution_scheme s
        LEFT JOIN iaros.attribution_run r ON r.scheme = s.scheme
        -- The job runs every hour; triggers write the log of changes.
        WHERE s.enabled AND (r.scheme IS NULL OR r.ran_at < now() - interval '3 hours')
          AND (EXISTS (SELECT FROM iaros.attribution_change) OR r.scheme IS NULL AND EXISTS (SELECT FROM iaros.conversion))
        ORDER BY s.scheme;
    RETURN QUERY
        SELECT 'info'::iaros.alert_severity, 'channel ' || t.channel,
            'it is paid, but nothing it did in 30 days has a cost',
            'Load touchpoints with their cost, or call iaros.attribution_spend_record().'
        FROM (SELECT DISTINCT p.channel FROM iaros.touchpoint p
              WHERE p.occurred_at >= now() - interval '30 days') t
        JOIN iaros.channel c ON c.channel = t.channel AND c.paid
        WHERE t.channel NOT IN (SELECT k.key FROM iaros.attribution_cost(now() - interval '30 days', now()) k)
        ORDER BY t.channel;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'conversions',
            'setting conversion_from_booking is on, but bookings of the last 30 days have no conversion',
            'Run SELECT iaros.conversion_apply().'
        WHERE iaros.setting_get('conversion_from_booking')::boolean AND EXISTS (
            SELECT FROM iaros.booking b
            WHERE b.booked_at >= now() - interval '30 days' AND iaros.booking_counts(b.status)
              AND NOT EXISTS (SELECT FROM iaros.conversion c
                  WHERE c.customer_id = b.customer_id AND c.booking_id = b.booking_id AND c.kind = 'booking'));
END $$;
COMMENT ON FUNCTION @extschema@.attribution_doctor() IS
'Findings of doctor() about attribution: enabled schemes that were never refreshed, or not for three hours though customers changed; paid channels without costs; bookings without the conversion that they should have.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.attribution_install_engine()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
DECLARE
    t record;
BEGIN
    CREATE TABLE iaros.attribution_scheme (
        scheme text PRIMARY KEY CHECK (scheme ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        "window" interval NOT NULL DEFAULT '30 days' CHECK (iaros.attribution_length_valid("window")),
        view_window interval CHECK (iaros.attribution_length_valid(view_window) AND view_window <= "window"),
        dedupe interval CHECK (iaros.attribution_length_valid(dedupe)),
        click_over_view boolean NOT NULL DEFAULT false,
        restart boolean NOT NULL DEFAULT false,
        conversion_kinds text[],
        models text[] NOT NULL CHECK (cardinality(models) BETWEEN 1 AND 64 AND iaros.attribution_rules_check(models)),
        enabled boolean NOT NULL DEFAULT true,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.attribution_scheme IS
        'How touchpoints become paths (see attribution_paths) and which models are kept of them: attribution_refresh() keeps attribution_path and attribution_day of every enabled scheme. Add your own.';
    COMMENT ON COLUMN iaros.attribution_scheme.conversion_kinds IS 'Kinds of conversions that count; NULL: all.';
    COMMENT ON COLUMN iaros.attribution_scheme.models IS 'Rule models whose credits are kept by day. Others are computed from the paths when asked for.';
    INSERT INTO iaros.attribution_scheme (scheme, description, "window", dedupe, models, shipped_hash) VALUES
        ('standard', 'Touchpoints of 30 days, one of a channel and campaign in half an hour', '30 days', '30 minutes',
            '{first,last,last_non_direct,linear,time_decay(7 days),"u_shaped","w_shaped"}', 'new');
    PERFORM iaros.shipped_seal('iaros.attribution_scheme');

    CREATE TABLE iaros.attribution_path (
        customer_id bigint NOT NULL,
        scheme text NOT NULL,
        at timestamptz NOT NULL,
        conversion_id bigint NOT NULL,
        day date NOT NULL,
        value_base numeric(16,4),
        path iaros.touch_path NOT NULL,
        PRIMARY KEY (customer_id, scheme, at, conversion_id)
    );
    COMMENT ON TABLE iaros.attribution_path IS
        'The journeys of customers as attribution_refresh() left them: one for each conversion, with the touches before it, and one for each journey that ended without. Made by attribution_refresh(), never by hand. Without a foreign key, which would be checked, and lock the customer, for every row: a trigger on customer deletes the rows.';
    COMMENT ON COLUMN iaros.attribution_path.at IS 'Time of the conversion; of the last touch where there is none.';
    COMMENT ON COLUMN iaros.attribution_path.conversion_id IS '0: the journey ended without a conversion.';
    COMMENT ON COLUMN iaros.attribution_path.day IS 'Day of at in brand_time_zone.';
    COMMENT ON COLUMN iaros.attribution_path.path IS 'Empty: a conversion without a touch.';
    CREATE INDEX attribution_path_day ON iaros.attribution_path (scheme, day);

    CREATE TABLE iaros.attribution_day (
        scheme text NOT NULL,
        by text NOT NULL CHECK (by IN ('channel', 'campaign')),
        day date NOT NULL,
        credits iaros.attribution_state,
        paths iaros.path_set,
        PRIMARY KEY (scheme, by, day)
    );
    COMMENT ON TABLE iaros.attribution_day IS
        'What the paths of a day add up to, by channel and by campaign: the credits of the models of the scheme, and the set of paths, from which data-driven models are computed. Days merge into any period. Made by attribution_refresh().';

    CREATE TABLE iaros.attribution_change (
        customer_id bigint
    );
    COMMENT ON TABLE iaros.attribution_change IS
        'Customers whose touchpoints, conversions, aliases or codes of campaigns changed since the last attribution_refresh(), written by triggers; NULL: anybody may have.';
    CREATE TABLE iaros.attribution_stale (
        scheme text NOT NULL,
        day date NOT NULL
    );
    COMMENT ON TABLE iaros.attribution_stale IS
        'Days whose paths changed and that attribution_refresh() has still to add up, written by triggers on attribution_path.';

    CREATE TABLE iaros.attribution_run (
        scheme text PRIMARY KEY,
        as_of timestamptz NOT NULL CHECK (iaros.time_valid(as_of)),
        terms text NOT NULL,
        ran_at timestamptz NOT NULL,
        whole boolean NOT NULL,
        written bigint NOT NULL CHECK (written >= 0),
        took interval NOT NULL
    );
    COMMENT ON TABLE iaros.attribution_run IS
        'The last attribution_refresh() of each scheme: what its rows are as of, and what the next one starts from.';
    COMMENT ON COLUMN iaros.attribution_run.terms IS 'Hash of the scheme, brand_time_zone and base_currency (attribution_terms): when it changes everything is computed anew. Empty: the refresh after it failed.';

    CREATE TABLE iaros.attribution_spend (
        day date NOT NULL CHECK (day BETWEEN '1900-01-01' AND '2199-12-31'),
        channel text NOT NULL REFERENCES iaros.channel,
        campaign text NOT NULL DEFAULT '' CHECK (length(campaign) <= 200),
        source text NOT NULL REFERENCES iaros.data_source,
        amount numeric(16,4) NOT NULL CHECK (amount >= 0),
        currency char(3) NOT NULL REFERENCES iaros.currency,
        amount_base numeric(16,4) NOT NULL CHECK (amount_base >= 0),
        PRIMARY KEY (day, channel, campaign, source),
        CONSTRAINT attribution_spend_money CHECK (iaros.money_check(amount, currency))
    );
    COMMENT ON TABLE iaros.attribution_spend IS
        'What channels and campaigns cost by day, beside the cost of single touchpoints and messages: bills of advertising networks and agencies. Written by attribution_spend_record().';
    COMMENT ON COLUMN iaros.attribution_spend.campaign IS 'Code or name of the campaign; empty: the channel as a whole.';

    CREATE FUNCTION iaros.attribution_note()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO iaros.attribution_change DEFAULT VALUES;
        ELSE
            INSERT INTO iaros.attribution_change (customer_id) SELECT DISTINCT r.customer_id FROM rows r;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.attribution_note() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.attribution_note() IS
        'Statement trigger: notes in attribution_change the customers of the rows of the statement; anybody after TRUNCATE. SECURITY DEFINER, so that who records touchpoints needs no right to write that log.';

    CREATE FUNCTION iaros.attribution_note_alias()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        INSERT INTO iaros.attribution_change (customer_id)
        SELECT DISTINCT unnest(ARRAY[r.customer_id, r.master_id]) FROM rows r;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.attribution_note_alias() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.attribution_note_alias() IS
        'Statement trigger: notes in attribution_change who is now one person with another, or no longer. SECURITY DEFINER for the reason of attribution_note().';

    CREATE FUNCTION iaros.attribution_note_campaign()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET plan_cache_mode = force_custom_plan
        AS $gate$
    DECLARE
        ids bigint[];
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            ids := ARRAY(SELECT coalesce(o.campaign_id, n.campaign_id) FROM old_rows o
                FULL JOIN new_rows n ON n.campaign_id = o.campaign_id WHERE n.code IS DISTINCT FROM o.code);
        ELSE
            ids := ARRAY(SELECT o.campaign_id FROM old_rows o);
        END IF;
        IF ids <> '{}' THEN
            INSERT INTO iaros.attribution_change (customer_id)
            SELECT DISTINCT t.customer_id FROM iaros.touchpoint t WHERE t.campaign_id = ANY (ids);
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.attribution_note_campaign() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.attribution_note_campaign() IS
        'Statement trigger: notes in attribution_change the customers with touchpoints of campaigns whose code changed or that are deleted, since paths name campaigns by their code; one scan of the touchpoints. SECURITY DEFINER for the reason of attribution_note().';
    CREATE TRIGGER attribution_note_update AFTER UPDATE ON iaros.campaign
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.attribution_note_campaign();
    CREATE TRIGGER attribution_note_delete AFTER DELETE ON iaros.campaign
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.attribution_note_campaign();
    CREATE TRIGGER attribution_note_truncate AFTER TRUNCATE ON iaros.campaign
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.attribution_note();

    CREATE FUNCTION iaros.attribution_path_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO iaros.attribution_stale (scheme, day) SELECT DISTINCT d.scheme, d.day FROM iaros.attribution_day d;
        ELSE
            INSERT INTO iaros.attribution_stale (scheme, day) SELECT DISTINCT r.scheme, r.day FROM rows r;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.attribution_path_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.attribution_path_changed() IS
        'Statement trigger: notes in attribution_stale the days of paths that came, changed or went. SECURITY DEFINER, so that who deletes a customer needs no right to write that log.';

    CREATE FUNCTION iaros.attribution_customer_gone()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        -- A refresh that runs may be writing about them: after it.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.attribution_refresh', 0));
        IF TG_OP = 'DELETE' THEN
            DELETE FROM iaros.attribution_path p USING old_rows o WHERE p.customer_id = o.customer_id;
        ELSE
            DELETE FROM iaros.attribution_path;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.attribution_customer_gone() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.attribution_customer_gone() IS
        'Statement trigger: deletes attribution_path of customers that are deleted, and waits for a refresh that runs. SECURITY DEFINER, so that who deletes a customer needs no right on that table.';

    FOR t IN
        SELECT format('CREATE TRIGGER attribution_note_%s AFTER %s ON iaros.%I %s FOR EACH STATEMENT EXECUTE FUNCTION iaros.%I()',
            o.name, o.operation, r.relation, o.tables,
            CASE WHEN o.operation = 'TRUNCATE' AND r.relation = 'customer_alias' THEN 'attribution_note' ELSE r.function_name END) AS command
        FROM (VALUES ('touchpoint', 'attribution_note'), ('conversion', 'attribution_note'),
            ('customer_alias', 'attribution_note_alias'), ('attribution_path', 'attribution_path_changed')) AS r(relation, function_name)
        CROSS JOIN (VALUES ('insert', 'INSERT', 'REFERENCING NEW TABLE AS rows'), ('update_old', 'UPDATE', 'REFERENCING OLD TABLE AS rows'),
            ('update_new', 'UPDATE', 'REFERENCING NEW TABLE AS rows'), ('delete', 'DELETE', 'REFERENCING OLD TABLE AS rows'),
            ('truncate', 'TRUNCATE', '')) AS o(name, operation, tables)
    LOOP
        EXECUTE t.command;
    END LOOP;
    CREATE TRIGGER attribution_customer_delete AFTER DELETE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.attribution_customer_gone();
    CREATE TRIGGER attribution_customer_truncate AFTER TRUNCATE ON iaros.customer
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.attribution_customer_gone();

    PERFORM iaros.job_define('attribution', '25 * * * *', 'attribution_job', interval '3 hours', false,
        'Keeps the paths of journeys and the credits of each day.');
END $install$;
COMMENT ON PROCEDURE @extschema@.attribution_install_engine() IS
'Makes the tables, triggers and job of attribution_refresh(). Called by attribution_install().';
