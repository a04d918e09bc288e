-- analytics, attribution: what channels and campaigns earned and cost, and
-- how customers came, from the days that attribution_refresh() keeps.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.analytics_attribution_scheme(scheme text) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    models text[];
BEGIN
    PERFORM iaros.install_check();
    SELECT s.models INTO models FROM iaros.attribution_scheme s WHERE s.scheme = analytics_attribution_scheme.scheme;
    IF models IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('attribution scheme "%s" does not exist', coalesce(left(scheme, 64), 'NULL')),
            HINT = 'List them with SELECT * FROM iaros.attribution_scheme; add your own there.';
    END IF;
    RETURN models;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution_scheme(text) IS
'Returns the models whose credits a scheme keeps. Error: 42704 no such scheme.';

CREATE FUNCTION @extschema@.analytics_attribution_earned(
    model text,
    from_day date,
    to_day date,
    by text,
    scheme text,
    daily boolean)
    RETURNS TABLE (day date, channel text, conversions numeric, credit numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    decimals integer;
    name text;
    kept boolean;
BEGIN
    PERFORM iaros.install_check();
    decimals := iaros.attribution_decimals();
    name := iaros.attribution_model_name(analytics_attribution_earned.model);
    kept := name IN (SELECT iaros.attribution_model_name(m) FROM unnest(iaros.analytics_attribution_scheme(scheme)) m);
    IF iaros.attribution_model_kind(name) <> 'rule' THEN
        RETURN QUERY
            SELECT NULL::date, d.channel, d.conversions, d.credit
            FROM iaros.attribution_driven((
                SELECT iaros.path_merge(x.paths) FROM iaros.attribution_day x
                WHERE x.scheme = analytics_attribution_earned.scheme AND x.by = analytics_attribution_earned.by
                  AND x.day >= coalesce(from_day, '-infinity') AND x.day < coalesce(to_day, 'infinity')), name, decimals) d;
    ELSIF kept THEN
        RETURN QUERY
            SELECT s.day, r.channel, r.conversions, r.credit
            FROM (SELECT g.day, iaros.attribution_merge(x.credits) AS credits FROM iaros.attribution_day x
                  CROSS JOIN LATERAL (SELECT CASE WHEN daily THEN x.day END) AS g(day)
                  WHERE x.scheme = analytics_attribution_earned.scheme AND x.by = analytics_attribution_earned.by
                    AND x.day >= coalesce(from_day, '-infinity') AND x.day < coalesce(to_day, 'infinity')
                  GROUP BY g.day) s
            CROSS JOIN LATERAL iaros.attribution_rows(s.credits) r
            WHERE r.model = name;
    ELSE
        RETURN QUERY
            SELECT s.day, r.channel, r.conversions, r.credit
            FROM (SELECT g.day, iaros.attribution_agg(CASE analytics_attribution_earned.by WHEN 'channel' THEN p.path
                      ELSE iaros.touch_path_by_campaign(p.path) END, p.value_base, ARRAY[name], 1, decimals) AS credits
                  FROM iaros.attribution_path p
                  CROSS JOIN LATERAL (SELECT CASE WHEN daily THEN p.day END) AS g(day)
                  WHERE p.scheme = analytics_attribution_earned.scheme AND p.conversion_id <> 0
                    AND p.day >= coalesce(from_day, '-infinity') AND p.day < coalesce(to_day, 'infinity')
                  GROUP BY g.day) s
            CROSS JOIN LATERAL iaros.attribution_rows(s.credits) r;
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution_earned(text, date, date, text, text, boolean) IS
'Returns what a model credits to each channel or campaign (by) for conversions of the days [from_day, to_day) of a scheme, for each day when daily: of the credits that attribution_day keeps, else, for a rule that the scheme does not keep, of attribution_path. channel NULL: conversions without a touch. For analytics_attribution().';

CREATE FUNCTION @extschema@.analytics_attribution(
    model text DEFAULT 'last',
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard')
    RETURNS TABLE (day date, key text, conversions numeric, credit numeric, share numeric,
        cost numeric, roas numeric, roi numeric, cpa numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    zone text;
    daily boolean := analytics_attribution.by = 'day';
    keyed text := CASE WHEN analytics_attribution.by = 'day' THEN 'channel' ELSE analytics_attribution.by END;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_by_check(by, '{channel,campaign,day}');
    PERFORM iaros.analytics_attribution_scheme(scheme);
    IF daily AND iaros.attribution_model_kind(model) <> 'rule' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('model "%s" does not go by day', left(model, 64)),
            DETAIL = 'It is computed from all paths of a period.',
            HINT = 'Give a rule, such as linear, or ask for a period by channel.';
    END IF;
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY
        WITH earned AS (
            SELECT e.day, coalesce(e.channel, 'none') AS key, sum(e.conversions) AS conversions, sum(e.credit) AS credit
            FROM iaros.analytics_attribution_earned(model, from_day, to_day, keyed, scheme, daily) e
            GROUP BY 1, 2
        ), spent AS (
            SELECT c.day, c.key, c.cost FROM iaros.attribution_cost(
                coalesce(from_day::timestamp AT TIME ZONE zone, '-infinity'), coalesce(to_day::timestamp AT TIME ZONE zone, 'infinity'),
                keyed, daily) c
        ), line AS (
            SELECT coalesce(e.day, s.day) AS day, coalesce(e.key, s.key) AS key, coalesce(e.conversions, 0) AS conversions,
                coalesce(e.credit, 0) AS credit, coalesce(s.cost, 0) AS cost
            FROM earned e
            FULL JOIN spent s ON s.key = e.key AND coalesce(s.day, 'infinity') = coalesce(e.day, 'infinity')
        )
        SELECT l.day, l.key, trim_scale(l.conversions), round(l.credit, 4),
            round(l.credit / nullif(sum(l.credit) OVER (PARTITION BY l.day), 0), 4), round(l.cost, 4),
            round(l.credit / nullif(l.cost, 0), 4), round((l.credit - l.cost) / nullif(l.cost, 0), 4),
            round(nullif(l.cost, 0) / nullif(greatest(l.conversions, 0), 0), 4)
        FROM line l
        ORDER BY l.day, l.credit DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution(text, date, date, text, text) IS
'Returns what a model credits to each channel or campaign for conversions of the days [from_day, to_day) of brand_time_zone (NULL: without end), as attribution_refresh() left them, with what was spent: the columns of attribution_compare(). by: channel, campaign, or day, which gives a row for each day and channel (day is NULL otherwise). model: any rule of attribution_credit(); markov, markov(2) to markov(4); shapley, shapley(rate). Paths are those of the scheme: its window, its kinds of conversions, without repetitions where it says so. The credits add up to the value of the conversions to the minor unit. Errors: 22023 by, model, a model of all paths by day; 42704 scheme. O(days) for models that the scheme keeps; costs take a scan of the touchpoints of the time.';

CREATE FUNCTION @extschema@.analytics_returns(
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    by text DEFAULT 'channel',
    model text DEFAULT 'linear',
    scheme text DEFAULT 'standard')
    RETURNS TABLE (key text, spend numeric, revenue numeric, roas numeric, roi numeric, conversions numeric, cpa numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_by_check(by);
    RETURN QUERY
        SELECT a.key, sum(a.cost), sum(a.credit), iaros.analytics_roas(sum(a.credit), sum(a.cost)),
            iaros.analytics_roi(sum(a.credit), sum(a.cost)), sum(a.conversions), round(nullif(sum(a.cost), 0) / nullif(greatest(sum(a.conversions), 0), 0), 4)
        FROM iaros.analytics_attribution(model, from_day, to_day, by, scheme) a
        WHERE a.cost > 0
        GROUP BY GROUPING SETS ((a.key), ())
        HAVING count(*) > 0
        ORDER BY a.key IS NULL, sum(a.cost) DESC, a.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_returns(date, date, text, text, text) IS
'Returns what came back of what was spent on the days [from_day, to_day) of brand_time_zone, for each channel or campaign (by) that cost something, and for all of these in a last row with key NULL: spend, revenue (the credit that a model gives, see analytics_attribution), roas = revenue / spend, roi = (revenue - spend) / spend, conversions, and cpa = spend / conversions. In the base currency. No row when nothing was spent. Errors: 22023 by, model; 42704 scheme.';

CREATE FUNCTION @extschema@.analytics_cac(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    model text DEFAULT 'last',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, new_customers numeric, share numeric, cost numeric, cac numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
#variable_conflict use_column
DECLARE
    first_time timestamptz;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_window_check("window");
    PERFORM iaros.attribution_by_check(by);
    first_time := CASE WHEN isfinite(from_time) THEN from_time - "window" ELSE from_time END;
    RETURN QUERY
        WITH won AS (
            SELECT coalesce(e.channel, 'none') AS key, e.conversions
            FROM iaros.attribution_earn(ARRAY[model], iaros.attribution_touch_sql(first_time, to_time, by => analytics_cac.by),
                format('SELECT p.customer_id, p.at FROM (
                    SELECT coalesce(a.master_id, b.customer_id) AS customer_id, min(b.booked_at) AS at
                    FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
                    WHERE iaros.booking_counts(b.status) GROUP BY 1) p WHERE p.at >= %L AND p.at < %L', first_time, to_time),
                from_time, to_time, "window") e
        ), line AS (
            SELECT l.key, sum(l.n) AS n, sum(l.cost) AS cost
            FROM (SELECT w.key, w.conversions AS n, 0 AS cost FROM won w
                  UNION ALL
                  SELECT c.key, 0, c.cost FROM iaros.attribution_cost(from_time, to_time, by) c) l
            GROUP BY GROUPING SETS ((l.key), ())
        )
        SELECT l.key, trim_scale(l.n), round(l.n / nullif(sum(l.n) OVER () / 2, 0), 4), round(l.cost, 4), round(nullif(l.cost, 0) / nullif(greatest(l.n, 0), 0), 4)
        FROM line l
        WHERE l.n IS NOT NULL
        ORDER BY l.key IS NULL, l.n DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_cac(timestamptz, timestamptz, text, interval, text) IS
'Returns what it cost to win a customer: for each channel or campaign (by) how many new customers a model credits it with (persons, aliases as their master, whose first booking that counts was made in [from_time, to_time)), the share of all, its cost in that time (see attribution_cost), in the base currency, and cac = cost / new customers (NULL without either); and the same for all in a last row with key NULL. Key none: new customers without a touchpoint in window before that booking. Errors: 22023 window, by, model. One scan of all bookings.';

CREATE FUNCTION @extschema@.analytics_journey_paths(
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    segment text DEFAULT NULL,
    customer_id bigint DEFAULT NULL,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard')
    RETURNS @extschema@.path_set
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_variable
DECLARE
    members iaros.audience;
    ids bigint[];
    paths iaros.path_set;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_by_check(by);
    PERFORM iaros.analytics_attribution_scheme(scheme);
    IF segment IS NULL AND customer_id IS NULL THEN
        SELECT iaros.path_merge(x.paths) INTO paths FROM iaros.attribution_day x
        WHERE x.scheme = analytics_journey_paths.scheme AND x.by = analytics_journey_paths.by
          AND x.day >= coalesce(from_day, '-infinity') AND x.day < coalesce(to_day, 'infinity');
        RETURN paths;
    END IF;
    IF segment IS NOT NULL THEN
        members := coalesce((SELECT a.members FROM iaros.segment_audience a WHERE a.segment_id = iaros.segment_find(segment)), '{}');
    END IF;
    IF customer_id IS NOT NULL THEN
        ids := ARRAY(SELECT iaros.customer_ids(customer_id));
    END IF;
    SELECT iaros.path_agg(CASE analytics_journey_paths.by WHEN 'channel' THEN p.path ELSE iaros.touch_path_by_campaign(p.path) END,
            (p.conversion_id <> 0)::integer::bigint, p.value_base, (p.conversion_id = 0)::integer::bigint) INTO paths
    FROM iaros.attribution_path p
    LEFT JOIN iaros.customer_alias a ON a.customer_id = p.customer_id
    WHERE p.scheme = analytics_journey_paths.scheme
      AND p.day >= coalesce(from_day, '-infinity') AND p.day < coalesce(to_day, 'infinity')
      AND (ids IS NULL OR p.customer_id = ANY (ids))
      AND (members IS NULL OR iaros.audience_contains(members, coalesce(a.master_id, p.customer_id)));
    RETURN paths;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_journey_paths(date, date, text, bigint, text, text) IS
'Returns the journeys of the days [from_day, to_day) of brand_time_zone (NULL: without end) as a set of paths over channels or campaigns (by), with conversions, journeys without one and value: of everybody, of those who are in a segment now (its name or segment_id), of one customer with all aliases, or of both; as attribution_refresh() left them. Every function over path_set reads it: path_top(), path_steps(), path_transitions(), attribution_markov(). NULL when there are none. Errors: 22023 by, 42704 scheme or segment. O(days); with a segment or customer, of the paths.';

CREATE FUNCTION @extschema@.analytics_journey(
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    segment text DEFAULT NULL,
    customer_id bigint DEFAULT NULL,
    top integer DEFAULT 20,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard')
    RETURNS TABLE (path text[], journeys bigint, conversions bigint, conversion_rate numeric, value numeric, value_per_conversion numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY
        SELECT t.path, t.conversions + t.nulls, t.conversions, iaros.analytics_rate(t.conversions, t.conversions + t.nulls),
            round(t.value, 4), round(t.value / nullif(t.conversions, 0), 4)
        FROM iaros.path_top(iaros.analytics_journey_paths(from_day, to_day, segment, customer_id, by, scheme), top) t;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_journey(date, date, text, bigint, integer, text, text) IS
'Returns the most frequent paths of customers (see analytics_journey_paths): the channels or campaigns in their order, how many journeys took it, how many of them ended with a conversion, conversion_rate = conversions / journeys, the value of these in the base currency and that of one. Errors: 22023 by or top, 42704 scheme or segment.';

CREATE FUNCTION @extschema@.analytics_journey_steps(
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    segment text DEFAULT NULL,
    customer_id bigint DEFAULT NULL,
    depth integer DEFAULT 5,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard')
    RETURNS TABLE (step integer, from_key text, to_key text, ending text, journeys bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN QUERY
        SELECT * FROM iaros.path_steps(iaros.analytics_journey_paths(from_day, to_day, segment, customer_id, by, scheme), depth);
END $$;
COMMENT ON FUNCTION @extschema@.analytics_journey_steps(date, date, text, bigint, integer, text, text) IS
'Returns how many journeys of customers (see analytics_journey_paths) go from one channel or campaign to another at each of the first depth steps, as the links of a Sankey picture: nodes are (step - 1, from_key) and (step, to_key); from_key is NULL at the start; where journeys end to_key is NULL and ending tells how: conversion or null. Columns and order as path_steps(). Errors: 22023 by or depth, 42704 scheme or segment.';
