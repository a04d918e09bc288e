-- analytics, attribution: what channels and campaigns earned and cost, and
-- how customers came, from the days that attribution_refresh() keeps.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.analytics_attribution_check(
    from_day date,
    to_day date,
    by text,
    scheme text,
    grain text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_by_check(by);
    IF from_day > to_day THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attribution cannot go from "%s" to "%s"', from_day, to_day),
            HINT = 'Give the earlier day first; NULL is no limit.';
    ELSIF grain NOT IN ('day', 'week', 'month', 'quarter', 'year') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is not a period of the calendar', left(grain, 64)),
            HINT = 'Give day, week, month, quarter or year; NULL: all days as one.';
    END IF;
    PERFORM iaros.attribution_scheme_models(scheme);
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution_check(date, date, text, text, text) IS
'Refuses arguments that reports over the days of a scheme cannot take, before these are read. Errors: 22023 days, by, grain; 42704 no such scheme, 55000 one that was never refreshed.';

CREATE FUNCTION @extschema@.analytics_attribution_earned(
    model text,
    from_day date,
    to_day date,
    by text,
    scheme text,
    grain text)
    RETURNS TABLE (period date, channel text, conversions numeric, credit numeric)
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
    -- Until the refresh after a change of the scheme its days are of the
    -- models before.
    kept := name IN (SELECT iaros.attribution_model_name(m) FROM unnest(iaros.attribution_scheme_models(scheme)) m)
        AND EXISTS (SELECT FROM iaros.attribution_run r
            WHERE r.scheme = analytics_attribution_earned.scheme AND r.terms = iaros.attribution_terms(r.scheme));
    IF iaros.attribution_model_kind(name) <> 'rule' THEN
        RETURN QUERY
            SELECT s.period, d.channel, d.conversions, d.credit
            FROM (SELECT g.period, iaros.path_merge(x.paths) AS paths FROM iaros.attribution_day x
                  CROSS JOIN LATERAL (SELECT iaros.analytics_period_start(iaros.analytics_period(x.day, grain), grain)) AS g(period)
                  WHERE x.scheme = analytics_attribution_earned.scheme AND x.by = analytics_attribution_earned.by
                    AND x.day >= coalesce(from_day, '-infinity') AND x.day < coalesce(to_day, 'infinity')
                  GROUP BY g.period) s
            CROSS JOIN LATERAL iaros.attribution_data_driven(s.paths, name, decimals) d;
    ELSIF kept THEN
        RETURN QUERY
            SELECT s.period, r.channel, r.conversions, r.credit
            FROM (SELECT g.period, iaros.attribution_merge(x.credits) AS credits FROM iaros.attribution_day x
                  CROSS JOIN LATERAL (SELECT iaros.analytics_period_start(iaros.analytics_period(x.day, grain), grain)) AS g(period)
                  WHERE x.scheme = analytics_attribution_earned.scheme AND x.by = analytics_attribution_earned.by
                    AND x.day >= coalesce(from_day, '-infinity') AND x.day < coalesce(to_day, 'infinity')
                  GROUP BY g.period) s
            CROSS JOIN LATERAL iaros.attribution_rows(s.credits) r
            WHERE r.model = name;
    ELSE
        RETURN QUERY
            SELECT s.period, r.channel, r.conversions, r.credit
            FROM (SELECT g.period, iaros.attribution_agg(CASE analytics_attribution_earned.by WHEN 'channel' THEN p.path
                      ELSE iaros.touch_path_by_campaign(p.path) END, p.value_base, ARRAY[name], 1, decimals) AS credits
                  FROM iaros.attribution_path p
                  CROSS JOIN LATERAL (SELECT iaros.analytics_period_start(iaros.analytics_period(p.day, grain), grain)) AS g(period)
                  WHERE p.scheme = analytics_attribution_earned.scheme AND p.conversion_id <> 0
                    AND p.day >= coalesce(from_day, '-infinity') AND p.day < coalesce(to_day, 'infinity')
                  GROUP BY g.period) s
            CROSS JOIN LATERAL iaros.attribution_rows(s.credits) r;
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution_earned(text, date, date, text, text, text) IS
'Returns what a model credits to each channel or campaign (by) for conversions of the days [from_day, to_day) of a scheme, for each period of the calendar (grain; NULL: all days as one): of the credits that attribution_day keeps, else, for a rule that the scheme did not keep when it was last refreshed, or where it changed since, of attribution_path. channel NULL: conversions without a touch. For analytics_attribution().';

CREATE FUNCTION @extschema@.analytics_attribution_line(
    model text,
    from_day date,
    to_day date,
    by text,
    scheme text,
    grain text)
    RETURNS TABLE (period date, key text, conversions numeric, credit numeric, cost numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    zone text;
BEGIN
    PERFORM iaros.install_check();
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY
        WITH earned AS (
            SELECT e.period, coalesce(e.channel, 'none') AS key, sum(e.conversions) AS conversions, sum(e.credit) AS credit
            FROM iaros.analytics_attribution_earned(model, from_day, to_day, by, scheme, grain) e
            GROUP BY 1, 2
        ), spent AS (
            SELECT iaros.analytics_period_start(iaros.analytics_period(c.day, grain), grain) AS period, c.key, sum(c.cost) AS cost
            FROM iaros.attribution_cost(
                coalesce(from_day::timestamp AT TIME ZONE zone, '-infinity'), coalesce(to_day::timestamp AT TIME ZONE zone, 'infinity'),
                by, grain IS NOT NULL) c
            GROUP BY 1, 2
        )
        SELECT coalesce(e.period, s.period), coalesce(e.key, s.key), coalesce(e.conversions, 0), coalesce(e.credit, 0), coalesce(s.cost, 0)
        FROM earned e
        FULL JOIN spent s ON s.key = e.key AND coalesce(s.period, 'infinity') = coalesce(e.period, 'infinity');
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution_line(text, date, date, text, text, text) IS
'Returns for each period and channel or campaign the conversions, the credit and the cost of analytics_attribution(), exact and in no order. Its callers check the arguments.';

CREATE FUNCTION @extschema@.analytics_attribution(
    model text DEFAULT 'last',
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard',
    grain text DEFAULT NULL)
    RETURNS TABLE (period date, key text, conversions numeric, credit numeric, share numeric,
        cost numeric, roas numeric, roi numeric, cpa numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_model_check(model);
    PERFORM iaros.analytics_attribution_check(from_day, to_day, by, scheme, grain);
    RETURN QUERY
        SELECT l.period, l.key, trim_scale(l.conversions), round(l.credit, 4),
            round(l.credit / nullif(sum(l.credit) OVER (PARTITION BY l.period), 0), 4), round(l.cost, 4),
            iaros.analytics_roas(l.credit, l.cost), iaros.analytics_roi(l.credit, l.cost), iaros.analytics_cpa(l.cost, l.conversions)
        FROM iaros.analytics_attribution_line(model, from_day, to_day, by, scheme, grain) l
        ORDER BY l.period, l.credit DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_attribution(text, date, date, text, text, text) IS
'Returns what a model credits to each channel or campaign (by) for conversions of the days [from_day, to_day) of brand_time_zone (NULL: without end), as attribution_refresh() left them, with what was spent: the columns of attribution_compare(). grain: day, week (from Monday), month, quarter or year gives a row for each period of the calendar, whose first day is period, and key, with share of the period; NULL: all days as one, period is NULL. A period counts the days in [from_day, to_day) only. model: any rule of attribution_credit(); markov, markov(2) to markov(4); shapley, shapley(rate); these are computed of each period by itself. Paths are those of the scheme: its window, its kinds of conversions, without repetitions where it says so. The credits add up to the value of the conversions to the minor unit, in each period and in all; costs are rounded to 4 decimals at the end. Errors: 22023 model, days, by, grain; 42704 no such scheme, 55000 one that was never refreshed. O(days) for models that the scheme keeps; costs take a scan of the touchpoints of the time.';

CREATE FUNCTION @extschema@.analytics_returns(
    model text DEFAULT 'linear',
    from_day date DEFAULT NULL,
    to_day date DEFAULT NULL,
    by text DEFAULT 'channel',
    scheme text DEFAULT 'standard',
    grain text DEFAULT NULL)
    RETURNS TABLE (period date, key text, spend numeric, revenue numeric, roas numeric, roi numeric, conversions numeric, cpa numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_model_check(model);
    PERFORM iaros.analytics_attribution_check(from_day, to_day, by, scheme, grain);
    RETURN QUERY
        SELECT l.period, l.key, round(sum(l.cost), 4), round(sum(l.credit), 4), iaros.analytics_roas(sum(l.credit), sum(l.cost)),
            iaros.analytics_roi(sum(l.credit), sum(l.cost)), trim_scale(sum(l.conversions)),
            iaros.analytics_cpa(sum(l.cost), sum(l.conversions))
        FROM iaros.analytics_attribution_line(model, from_day, to_day, by, scheme, grain) l
        WHERE l.cost > 0
        GROUP BY GROUPING SETS ((l.period, l.key), (l.period))
        ORDER BY l.period, l.key IS NULL, sum(l.cost) DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_returns(text, date, date, text, text, text) IS
'Returns what came back of what was spent on the days [from_day, to_day) of brand_time_zone, for each channel or campaign (by) that cost something, and for all of these in a last row with key NULL: spend, revenue (the credit that a model gives, see analytics_attribution), roas = revenue / spend, roi = (revenue - spend) / spend, conversions, and cpa = spend / conversions. In the base currency. grain: the same for each period of the calendar, see analytics_attribution; NULL: for all days as one. No row where nothing was spent. Errors: those of analytics_attribution().';

CREATE FUNCTION @extschema@.analytics_cac(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel',
    model text DEFAULT 'last')
    RETURNS TABLE (key text, new_customers numeric, share numeric, cost numeric, cac numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
#variable_conflict use_column
DECLARE
    span record;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_report_check(ARRAY[model], from_time, to_time, "window", by);
    span := iaros.attribution_span(ARRAY[model], from_time, to_time, "window");
    RETURN QUERY
        WITH won AS (
            SELECT coalesce(e.channel, 'none') AS key, e.conversions
            FROM iaros.attribution_credit_rows(ARRAY[model], iaros.attribution_touch_sql(span.first_time, span.touches_until, by => analytics_cac.by),
                format('SELECT p.customer_id, p.at FROM (
                    SELECT coalesce(a.master_id, b.customer_id) AS customer_id, min(b.booked_at) AS at
                    FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
                    WHERE iaros.booking_counts(b.status) GROUP BY 1) p WHERE p.at >= %L AND p.at < %L', span.first_time, span.goals_until),
                from_time, to_time, "window") e
        ), line AS (
            SELECT l.key, sum(l.n) AS n, sum(l.cost) AS cost
            FROM (SELECT w.key, w.conversions AS n, 0 AS cost FROM won w
                  UNION ALL
                  SELECT c.key, 0, c.cost FROM iaros.attribution_cost(from_time, to_time, by) c) l
            GROUP BY GROUPING SETS ((l.key), ())
        )
        SELECT l.key, trim_scale(l.n), round(l.n / nullif(sum(l.n) OVER () / 2, 0), 4), round(l.cost, 4), iaros.analytics_cpa(l.cost, l.n)
        FROM line l
        WHERE l.n IS NOT NULL
        ORDER BY l.key IS NULL, l.n DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.analytics_cac(timestamptz, timestamptz, interval, text, text) IS
'Returns what it cost to win a customer: for each channel or campaign (by) how many new customers a model credits it with (persons, aliases as their master, whose first booking that counts was made in [from_time, to_time)), the share of all, its cost in that time (see attribution_cost), in the base currency, and cac = cost / new customers (NULL without either); and the same for all in a last row with key NULL. Key none: new customers without a touchpoint in window before that booking. Errors: 22023 model, times, window, by; 22004 a model or time that is NULL. One scan of all bookings.';

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
    PERFORM iaros.analytics_attribution_check(from_day, to_day, by, scheme);
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
'Returns the journeys of the days [from_day, to_day) of brand_time_zone (NULL: without end) as a set of paths over channels or campaigns (by), with conversions, journeys without one and value: of everybody, of those who are in a segment now (its name or segment_id), of one customer with all aliases, or of both; as attribution_refresh() left them. Every function over path_set reads it: path_top(), path_steps(), path_transitions(), attribution_markov(). NULL when there are none. Errors: 22023 days or by, 42704 no such scheme or segment, 55000 a scheme that was never refreshed. O(days); with a segment or customer, of the paths.';

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
'Returns the most frequent paths of customers (see analytics_journey_paths): the channels or campaigns in their order, how many journeys took it, how many of them ended with a conversion, conversion_rate = conversions / journeys, the value of these in the base currency and that of one. Errors: 22023 top, and those of analytics_journey_paths().';

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
'Returns how many journeys of customers (see analytics_journey_paths) go from one channel or campaign to another at each of the first depth steps, as the links of a Sankey picture: nodes are (step - 1, from_key) and (step, to_key); from_key is NULL at the start; where journeys end to_key is NULL and ending tells how: conversion or null. Columns and order as path_steps(). Errors: 22023 depth, and those of analytics_journey_paths().';
