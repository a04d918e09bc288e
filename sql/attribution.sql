-- attribution: which contact of a customer with us gets the credit for what
-- the customer did.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_window_check("window" interval) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF "window" IS NULL OR "window" <= interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid window "%s" of attribution', coalesce("window"::text, 'NULL')),
            HINT = 'Give a positive interval, such as 30 days.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_window_check(interval) IS
'Refuses a window of attribution that is NULL or not positive with 22023.';

CREATE FUNCTION @extschema@.attribution_last_touch(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days')
    RETURNS TABLE (customer_id bigint, conversion_id bigint, occurred_at timestamptz, value_base numeric,
        channel text, campaign_id bigint, message_id bigint, touched_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    -- A day of window has 24 hours.
    SET timezone = 'UTC'
    SET plan_cache_mode = force_custom_plan
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_time_check(from_time, to_time);
    PERFORM iaros.attribution_window_check("window");
    RETURN QUERY
        WITH goal AS MATERIALIZED (
            SELECT coalesce(a.master_id, c.customer_id) AS person, c.customer_id, c.conversion_id,
                c.occurred_at, c.value_base
            FROM iaros.conversion c
            LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
            WHERE c.occurred_at >= from_time AND c.occurred_at < to_time
        ), stored AS (
            -- The person's touchpoints are stored under any of its ids.
            SELECT g.*, g.person AS id FROM goal g
            UNION ALL
            SELECT g.*, l.customer_id FROM goal g
            JOIN iaros.customer_alias l ON l.master_id = g.person
        ), last_touch AS (
            SELECT DISTINCT ON (s.customer_id, s.conversion_id)
                s.customer_id, s.conversion_id,
                t.channel, t.campaign_id, t.message_id, t.occurred_at AS touched_at
            FROM stored s
            JOIN iaros.touchpoint t ON t.customer_id = s.id
                AND t.occurred_at < s.occurred_at AND t.occurred_at >= s.occurred_at - "window"
            LEFT JOIN iaros.campaign c ON c.campaign_id = t.campaign_id
            WHERE t.occurred_at < to_time
              AND t.occurred_at >= CASE WHEN isfinite(from_time) THEN from_time - "window" ELSE from_time END
            -- As in a path: at one moment by channel, then campaign.
            ORDER BY s.customer_id, s.conversion_id, t.occurred_at DESC, t.channel COLLATE "C" DESC,
                coalesce(c.code, t.campaign) COLLATE "C" DESC NULLS LAST, t.touchpoint_id DESC
        )
        SELECT g.customer_id, g.conversion_id, g.occurred_at, g.value_base,
            l.channel, l.campaign_id, l.message_id, l.touched_at
        FROM goal g
        LEFT JOIN last_touch l ON l.customer_id = g.customer_id AND l.conversion_id = g.conversion_id;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_last_touch(timestamptz, timestamptz, interval) IS
'Returns each conversion in [from_time, to_time) with the last touchpoint of the same person in [conversion - window, conversion): its channel, campaign, message and time, NULL where there is none. Aliases count as their master; of touchpoints at the same moment the last by channel, then campaign, byte by byte, counts, as in a path. A day of window has 24 hours. Errors: 22023 window, times; 22004 a time that is NULL. O(n log n) of conversions and touchpoints.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.attribution_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    -- Touchpoints and conversions belong to the domain customer.
    IF iaros.schema_step('attribution', 1) THEN
        CALL iaros.attribution_install_engine();
    END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.attribution_install() IS
'Makes the tables of the domain attribution. Called by install().';
