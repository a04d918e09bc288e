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
    SET plan_cache_mode = force_custom_plan
    AS $$
BEGIN
    PERFORM iaros.install_check();
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
            WHERE t.occurred_at < to_time
              AND t.occurred_at >= CASE WHEN isfinite(from_time) THEN from_time - "window" ELSE from_time END
            ORDER BY s.customer_id, s.conversion_id, t.occurred_at DESC, t.touchpoint_id DESC
        )
        SELECT g.customer_id, g.conversion_id, g.occurred_at, g.value_base,
            l.channel, l.campaign_id, l.message_id, l.touched_at
        FROM goal g
        LEFT JOIN last_touch l ON l.customer_id = g.customer_id AND l.conversion_id = g.conversion_id;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_last_touch(timestamptz, timestamptz, interval) IS
'Returns each conversion in [from_time, to_time) with the last touchpoint of the same person in [conversion - window, conversion): its channel, campaign, message and time, NULL where there is none. Aliases count as their master; of touchpoints at the same moment the one recorded last counts. Error: 22023 window. O(n log n) of conversions and touchpoints.';

CREATE FUNCTION @extschema@.attribution_last(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions bigint, credit numeric, cost numeric, roas numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF by IS NULL OR by NOT IN ('channel', 'campaign') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attribution by "%s" does not exist', coalesce(by, 'NULL')),
            HINT = 'Credit goes by channel or by campaign.';
    END IF;
    RETURN QUERY
        WITH earned AS (
            SELECT l.channel, l.campaign_id, l.touched_at IS NULL AS untouched,
                count(*) AS conversions, sum(l.value_base) AS credit
            FROM iaros.attribution_last_touch(from_time, to_time, "window") l
            GROUP BY 1, 2, 3
        ), spent AS (
            SELECT t.channel, t.campaign_id, sum(t.cost_base) AS cost
            FROM iaros.touchpoint t
            WHERE t.occurred_at >= from_time AND t.occurred_at < to_time AND t.cost_base > 0
            GROUP BY 1, 2
        ), line AS (
            SELECT CASE WHEN e.untouched THEN 'none' WHEN by = 'channel' THEN e.channel
                        ELSE coalesce(c.code, 'no_campaign') END AS key,
                e.conversions, e.credit, 0::numeric AS cost
            FROM earned e LEFT JOIN iaros.campaign c ON c.campaign_id = e.campaign_id
            UNION ALL
            SELECT CASE WHEN by = 'channel' THEN s.channel ELSE coalesce(c.code, 'no_campaign') END,
                0, 0, s.cost
            FROM spent s LEFT JOIN iaros.campaign c ON c.campaign_id = s.campaign_id
        )
        SELECT l.key, sum(l.conversions)::bigint, sum(l.credit), sum(l.cost),
            round(sum(l.credit) / nullif(sum(l.cost), 0), 4)
        FROM line l
        GROUP BY l.key
        ORDER BY sum(l.credit) DESC, l.key;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_last(timestamptz, timestamptz, interval, text) IS
'Returns for each channel (or campaign, by its code) the conversions in [from_time, to_time) whose last touchpoint within the window before them was its own, their value (credit), the cost of its touchpoints in the same time, all in the base currency, and roas = credit / cost (NULL without cost). Key none: conversions without a touchpoint; key no_campaign: touchpoints of no campaign. The credits add up to the value of all conversions to the minor unit. Errors: 22023 window, by. O(n log n).';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.attribution_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    -- Touchpoints and conversions belong to the domain customer.
    PERFORM iaros.schema_step('attribution', 1);
END $install$;
COMMENT ON PROCEDURE @extschema@.attribution_install() IS
'The domain attribution has no tables of its own. Called by install().';
