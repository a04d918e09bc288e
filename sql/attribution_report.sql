-- attribution, report: what each channel and campaign earned, by any model,
-- straight from touchpoints and conversions.

-- Kernel: models that are computed from all paths -------------------------

CREATE FUNCTION @extschema@.attribution_model_kind(model text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN model ~ '^markov([(][0-9]+[)])?$' THEN 'markov'
        WHEN model ~ '^shapley([(][a-z]+[)])?$' THEN 'shapley'
        WHEN model IS NOT NULL THEN 'rule' END;
COMMENT ON FUNCTION @extschema@.attribution_model_kind(text) IS
'Returns of what kind a model is: markov or shapley, which are computed from the set of all paths, or rule, which divides each conversion by itself. Whether such a rule exists is not looked at. NULL for NULL. Inlined.';

CREATE FUNCTION @extschema@.attribution_data_driven(
    paths @extschema@.path_set,
    model text,
    decimals integer DEFAULT 2)
    RETURNS TABLE (channel text, conversions numeric, credit numeric)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF iaros.attribution_model_kind(model) = 'markov' THEN
        RETURN QUERY SELECT m.channel, m.conversions, m.credit
            FROM iaros.attribution_markov(paths, coalesce(substring(model FROM '[0-9]{1,6}')::integer, 1), decimals) m;
    ELSIF iaros.attribution_model_kind(model) = 'shapley' THEN
        RETURN QUERY SELECT s.channel, s.conversions, s.credit
            FROM iaros.attribution_shapley(paths, coalesce(substring(model FROM '[(]([a-z]+)[)]'), 'conversions'), decimals => attribution_data_driven.decimals) s;
    ELSE
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('model "%s" is not computed from a set of paths', coalesce(left(model, 64), 'NULL')),
            HINT = 'Give markov, markov(2), shapley or shapley(rate).';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_data_driven(@extschema@.path_set, text, integer) IS
'Returns what a model that is computed from a set of paths credits to each channel: markov, markov(2) to markov(4) (attribution_markov, order in parentheses), shapley, shapley(rate) (attribution_shapley, worth in parentheses). channel NULL: conversions without a touch. Errors: 22023 another model, and those of the two functions.';

CREATE FUNCTION @extschema@.attribution_span(
    models text[],
    from_time timestamptz,
    to_time timestamptz,
    "window" interval,
    OUT first_time timestamptz,
    OUT touches_until timestamptz,
    OUT goals_until timestamptz)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    -- A day has 24 hours.
    SET timezone = 'UTC'
    AS $$
BEGIN
    first_time := CASE WHEN isfinite(from_time) THEN from_time - "window" ELSE from_time END;
    touches_until := to_time;
    goals_until := to_time;
    -- Whether a journey ended without a conversion shows a window later, by
    -- touches that are of no conversion a window after them.
    IF isfinite(to_time) AND EXISTS (SELECT FROM unnest(models) AS m WHERE iaros.attribution_model_kind(m) <> 'rule') THEN
        touches_until := to_time + "window";
        goals_until := touches_until + "window";
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_span(text[], timestamptz, timestamptz, interval) IS
'Returns from when to before when touches and conversions are read for what models credit in [from_time, to_time): from a window earlier; where one of the models is computed from all paths, touches to a window later and conversions to two. Days have 24 hours, whatever the time zone.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_credit_rows(
    models text[],
    touches text,
    goals text,
    from_time timestamptz,
    to_time timestamptz,
    "window" interval)
    RETURNS TABLE (model text, channel text, conversions numeric, credit numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    decimals integer;
    ruled text[];
    driven text[];
    twice text;
    credits iaros.attribution_state;
    paths iaros.path_set;
BEGIN
    PERFORM iaros.install_check();
    decimals := iaros.attribution_decimals();
    SELECT array_agg(u.m ORDER BY u.n) FILTER (WHERE k.kind = 'rule'), array_agg(u.m ORDER BY u.n) FILTER (WHERE k.kind <> 'rule')
    INTO ruled, driven
    FROM unnest(models) WITH ORDINALITY AS u(m, n)
    CROSS JOIN LATERAL (SELECT coalesce(iaros.attribution_model_kind(u.m), 'rule')) AS k(kind);
    -- attribution_agg() refuses rules that are given twice.
    SELECT u.m INTO twice FROM unnest(driven) AS u(m) GROUP BY u.m HAVING count(*) > 1 ORDER BY u.m COLLATE "C" LIMIT 1;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('model "%s" is given twice', left(twice, 64));
    END IF;
    SELECT iaros.attribution_agg(p.path, p.value, ruled, 1, decimals)
            FILTER (WHERE ruled IS NOT NULL AND p.converted_at >= from_time AND p.converted_at < to_time),
        iaros.path_agg(p.path, (p.converted_at IS NOT NULL)::integer::bigint, p.value, (p.converted_at IS NULL)::integer::bigint)
            FILTER (WHERE driven IS NOT NULL AND e.at >= from_time AND e.at < to_time)
    INTO credits, paths
    FROM iaros.attribution_paths(touches, goals, "window",
        aliases => 'SELECT a.customer_id, a.master_id FROM iaros.customer_alias a',
        nulls_until => CASE WHEN driven IS NOT NULL THEN now() END) p
    CROSS JOIN LATERAL (SELECT CASE WHEN driven IS NOT NULL THEN coalesce(p.converted_at,
        (SELECT l.at FROM iaros.touch_path_touches(iaros.touch_path_last(p.path, 1)) l)) END) AS e(at);
    RETURN QUERY
        SELECT r.model, r.channel, r.conversions, r.credit FROM iaros.attribution_rows(credits) r
        UNION ALL
        SELECT u.m, d.channel, d.conversions, d.credit
        FROM unnest(driven) AS u(m) CROSS JOIN LATERAL iaros.attribution_data_driven(paths, u.m, decimals) d;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_credit_rows(text[], text, text, timestamptz, timestamptz, interval) IS
'Returns what each model credits to each channel of the queries touches and goals (see attribution_paths), in one pass: of conversions in [from_time, to_time), and for models that are computed from all paths also of journeys that ended without one by now and whose last touch is in that time; the queries reach as far as attribution_span() says. channel NULL: conversions without a touch. Errors: 22023 a model that does not exist or is given twice, 22004 a NULL model. For attribution_compare() and analytics_cac().';

CREATE FUNCTION @extschema@.attribution_model_name(model text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF iaros.attribution_model_kind(model) <> 'rule' THEN
        RETURN model;
    END IF;
    RETURN (SELECT r.model FROM iaros.attribution_rows((
        SELECT iaros.attribution_agg(iaros.touch_path_make('{x}', '{2000-01-01}'), 1, ARRAY[attribution_model_name.model]))) r LIMIT 1);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_model_name(text) IS
'Returns the name of a model as attribution_rows() shows it; other ways to write it, with other blanks say, have the same name. Error: that of attribution_agg() for a rule that does not exist.';

CREATE FUNCTION @extschema@.attribution_model_check(model text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF model IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'a model must not be NULL';
    ELSIF (CASE iaros.attribution_model_kind(model)
        WHEN 'markov' THEN model !~ '^markov([(][1-4][)])?$'
        WHEN 'shapley' THEN model !~ '^shapley([(](conversions|rate)[)])?$'
        ELSE substring(model FROM '^ *([a-z_]*)') <> ALL ('{first,last,last_non_direct,linear,time_decay,u_shaped,w_shaped,w_shaped_stage,custom,weight}')
    END) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is not a model of attribution', left(model, 80)),
            HINT = 'Models are first, last, last_non_direct, linear, time_decay(7 days), u_shaped(0.4, 0.4), w_shaped(0.3, 0.3, 0.3), w_shaped_stage(0.3, 0.3, 0.3), custom(0.5, 0.3, 0.2), weight, markov(1) to markov(4), shapley and shapley(rate).';
    END IF;
    -- Its parameters.
    PERFORM iaros.attribution_model_name(model);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_model_check(text) IS
'Refuses what reports of attribution do not know as a model. Errors: 22023 no such model, or parameters that it does not take; 22004 NULL.';

CREATE FUNCTION @extschema@.attribution_report_check(
    models text[],
    from_time timestamptz,
    to_time timestamptz,
    "window" interval,
    by text)
    RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.attribution_model_check(m) FROM unnest(models) AS m;
    PERFORM iaros.attribution_time_check(from_time, to_time);
    PERFORM iaros.attribution_window_check("window");
    PERFORM iaros.attribution_by_check(by);
    IF date_trunc('year', "window") <> interval '0' OR date_part('month', "window") <> 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid window "%s" of attribution', "window"),
            HINT = 'Give a positive interval without months, such as 30 days; a day has 24 hours.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_report_check(text[], timestamptz, timestamptz, interval, text) IS
'Refuses arguments that reports of attribution cannot take, before anything is read. Errors: 22023 model, times, window, by; 22004 a model or time that is NULL.';

CREATE FUNCTION @extschema@.attribution_rules_check(models text[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wrong text;
BEGIN
    SELECT m INTO wrong FROM unnest(models) AS m WHERE iaros.attribution_model_kind(m) <> 'rule' LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('model "%s" is not kept by day', left(wrong, 64)),
            DETAIL = 'It is computed from all paths of a period, when it is asked for.',
            HINT = 'Leave it out: markov and shapley are always there.';
    END IF;
    PERFORM iaros.attribution_model_name(m) FROM unnest(models) AS m;
    RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_rules_check(text[]) IS
'Returns true when all models are rules that attribution_agg() takes; for a CHECK of attribution_scheme. NULL gives NULL. Errors: 22023 a model that is no rule or does not exist.';

CREATE FUNCTION @extschema@.attribution_compare(
    models text[] DEFAULT '{first,last,last_non_direct,linear,time_decay(7 days),u_shaped,w_shaped,markov,shapley}',
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, model text, conversions numeric, credit numeric, share numeric,
        cost numeric, roas numeric, roi numeric, cpa numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    span record;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_report_check(models, from_time, to_time, "window", by);
    span := iaros.attribution_span(models, from_time, to_time, "window");
    RETURN QUERY
        WITH earned AS MATERIALIZED (
            SELECT e.model, coalesce(e.channel, 'none') AS key, e.conversions, e.credit
            FROM iaros.attribution_credit_rows(models, iaros.attribution_touch_sql(span.first_time, span.touches_until, by => attribution_compare.by),
                iaros.attribution_goal_sql(span.first_time, span.goals_until), from_time, to_time, "window") e
        ), spent AS (
            SELECT k.key, k.cost FROM iaros.attribution_cost(from_time, to_time, by) k
        ), asked AS (
            SELECT min(u.n) AS n, iaros.attribution_model_name(u.m) AS model
            FROM unnest(models) WITH ORDINALITY AS u(m, n)
            GROUP BY 2
        )
        SELECT l.key, a.model, trim_scale(coalesce(sum(e.conversions), 0)), round(coalesce(sum(e.credit), 0), 4),
            round(coalesce(sum(e.credit), 0) / nullif(sum(sum(e.credit)) OVER (PARTITION BY a.n), 0), 4),
            round(coalesce(s.cost, 0), 4), round(coalesce(sum(e.credit), 0) / nullif(s.cost, 0), 4),
            round((coalesce(sum(e.credit), 0) - s.cost) / nullif(s.cost, 0), 4),
            round(nullif(s.cost, 0) / nullif(greatest(sum(e.conversions), 0), 0), 4)
        FROM (SELECT e.key FROM earned e UNION SELECT s.key FROM spent s) l
        CROSS JOIN asked a
        LEFT JOIN spent s ON s.key = l.key
        LEFT JOIN earned e ON e.key = l.key AND e.model = a.model
        GROUP BY l.key, a.model, a.n, s.cost
        ORDER BY a.n, coalesce(sum(e.credit), 0) DESC, l.key COLLATE "C";
END $$;
COMMENT ON FUNCTION @extschema@.attribution_compare(text[], timestamptz, timestamptz, interval, text) IS
'Returns what each model credits to each channel, or campaign (its code, else the name that the source states), for the conversions in [from_time, to_time), side by side: one row for each key and model, models in the order given. A path holds the touchpoints of the person in [conversion - window, conversion), aliases counted as their master. conversions may be parts; credit is their value, share the part of the value of all (NULL when that is 0), cost what was spent in the time (see attribution_cost), in the base currency; roas = credit / cost, roi = (credit - cost) / cost, both NULL without cost, cpa = cost / conversions, NULL without either. Key none: conversions without a touchpoint; no_campaign: touchpoints of none. The credits of each model add up to the value of all conversions to the minor unit. markov and shapley also read journeys that ended without a conversion by now and whose last touchpoint is in [from_time, to_time), as far back as a window before from_time. One pass for all rule models. Errors: 22023 a model that does not exist or is given twice, times, window, by; 22004 a model or time that is NULL. O(n log n) of conversions and touchpoints.';

CREATE FUNCTION @extschema@.attribution_report(
    model text DEFAULT 'last',
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY SELECT c.key, c.conversions, c.credit, c.cost, c.roas
        FROM iaros.attribution_compare(ARRAY[model], from_time, to_time, "window", by) c;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_report(text, timestamptz, timestamptz, interval, text) IS
'Returns what a model credits to each channel or campaign, with cost and roas = credit / cost: the rows of attribution_compare() for one model.';

CREATE FUNCTION @extschema@.attribution_first(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report('first', from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_first(timestamptz, timestamptz, interval, text) IS
'Returns for each channel or campaign what it earned when the first touchpoint before a conversion gets its whole value. Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_last(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report('last', from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_last(timestamptz, timestamptz, interval, text) IS
'Returns for each channel (or campaign, by its code) the conversions in [from_time, to_time) whose last touchpoint within the window before them was its own, their value (credit), its cost in the same time, and roas = credit / cost (NULL without cost). Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_linear(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report('linear', from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_linear(timestamptz, timestamptz, interval, text) IS
'Returns for each channel or campaign what it earned when all touchpoints before a conversion share its value alike. Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_time_decay(
    half_life interval DEFAULT '7 days',
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report('time_decay(' || trim_scale(extract(epoch FROM half_life)) || ' seconds)', from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_time_decay(interval, timestamptz, timestamptz, interval, text) IS
'Returns for each channel or campaign what it earned when a touchpoint half_life before another counts half as much. Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_u_shaped(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report('u_shaped', from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_u_shaped(timestamptz, timestamptz, interval, text) IS
'Returns for each channel or campaign what it earned when the first and the last touchpoint get 40 % each of the value of a conversion, those between them the rest. Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_w_shaped(
    stages boolean DEFAULT false,
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, conversions numeric, credit numeric, cost numeric, roas numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM @extschema@.attribution_report(CASE WHEN stages THEN 'w_shaped_stage' ELSE 'w_shaped' END, from_time, to_time, "window", by);
END;
COMMENT ON FUNCTION @extschema@.attribution_w_shaped(boolean, timestamptz, timestamptz, interval, text) IS
'Returns for each channel or campaign what it earned when the first touchpoint, the last and the middle one get 30 % each of the value of a conversion, the others the rest. stages: in place of the middle one, those at which a lead and an opportunity began (models w_shaped and w_shaped_stage). Rows, arguments and errors as attribution_report().';

CREATE FUNCTION @extschema@.attribution_revenue(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel',
    model text DEFAULT 'linear')
    RETURNS TABLE (key text, revenue numeric, share numeric, conversions numeric, value_per_conversion numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY SELECT c.key, c.credit, c.share, c.conversions, round(c.credit / nullif(c.conversions, 0), 4)
        FROM iaros.attribution_compare(ARRAY[model], from_time, to_time, "window", by) c
        WHERE c.conversions <> 0 OR c.credit <> 0;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_revenue(timestamptz, timestamptz, interval, text, text) IS
'Returns the revenue in [from_time, to_time), in the base currency, by the channel or campaign that earned it, as a model divides it (see attribution_compare): revenue, its share of all, the conversions, in parts, and the mean value of one. The revenues add up to the value of all conversions to the minor unit. Errors: those of attribution_compare().';

CREATE FUNCTION @extschema@.attribution_lift_compare(
    lift text,
    models text[] DEFAULT '{last,linear,markov,shapley}',
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    by text DEFAULT 'channel')
    RETURNS TABLE (key text, model text, incremental numeric, low numeric, high numeric,
        credited numeric, ratio numeric, inside boolean)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    measured jsonb;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.attribution_report_check(models, from_time, to_time, "window", by);
    EXECUTE pg_catalog.format('SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(q)) FROM (%s) AS q', iaros.source_query(lift)) INTO measured;
    RETURN QUERY SELECT * FROM iaros.attribution_lift_join(measured, models, from_time, to_time, "window", by);
END $$;
COMMENT ON FUNCTION @extschema@.attribution_lift_compare(text, text[], timestamptz, timestamptz, interval, text) IS
'Compares what models credit to channels or campaigns with what an experiment measured. lift: a relation or query, run with the caller''s path and rights, of key (channel or campaign), incremental (the conversions that would not have come without it, as a holdout or switch-off in the same time tells), low and high (its interval; may be NULL). Returns for each of its rows and each model the credited conversions in [from_time, to_time), ratio = credited / incremental (above 1: the model gives too much; NULL when incremental is 0), and whether the credit lies inside [low, high] (NULL when either is). The rest as attribution_compare(). Errors: 22023 an empty lift, a key that is NULL or, by channel, no channel; 42703 a column that its rows do not have; those of attribution_compare().';

CREATE FUNCTION @extschema@.attribution_lift_join(
    measured jsonb,
    models text[],
    from_time timestamptz,
    to_time timestamptz,
    "window" interval,
    by text)
    RETURNS TABLE (key text, model text, incremental numeric, low numeric, high numeric,
        credited numeric, ratio numeric, inside boolean)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    missing text;
    wrong record;
BEGIN
    PERFORM iaros.install_check();
    SELECT c INTO missing FROM unnest('{key,incremental,low,high}'::text[]) AS c WHERE NOT measured -> 0 ? c LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_column',
            MESSAGE = format('measured lift has no column "%s"', missing),
            HINT = 'Its columns are key, incremental, low and high: name them, as in SELECT * FROM (VALUES (...)) AS v(key, incremental, low, high).';
    END IF;
    SELECT m.key INTO wrong FROM jsonb_to_recordset(measured) AS m(key text)
    WHERE m.key IS NULL OR attribution_lift_join.by = 'channel' AND m.key NOT IN (SELECT c.channel FROM iaros.channel c)
    ORDER BY m.key COLLATE "C" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('measured lift has the key "%s", which is no %s', coalesce(left(wrong.key, 64), 'NULL'), by),
            HINT = CASE by WHEN 'channel' THEN 'Column key holds channels, as in column channel of iaros.channel; for campaigns pass by => ''campaign''.'
                ELSE 'Column key holds codes or names of campaigns.' END;
    END IF;
    RETURN QUERY
        WITH earned AS MATERIALIZED (
            SELECT c.key, c.model, c.conversions FROM iaros.attribution_compare(models, from_time, to_time, "window", by) c
        ), asked AS (
            SELECT min(u.n) AS n, iaros.attribution_model_name(u.m) AS model
            FROM unnest(models) WITH ORDINALITY AS u(m, n) GROUP BY 2
        )
        SELECT m.key, a.model, m.incremental, m.low, m.high, coalesce(e.conversions, 0),
            round(coalesce(e.conversions, 0) / nullif(m.incremental, 0), 4),
            coalesce(e.conversions, 0) BETWEEN m.low AND m.high
        FROM jsonb_to_recordset(coalesce(measured, '[]')) AS m(key text, incremental numeric, low numeric, high numeric)
        CROSS JOIN asked a
        LEFT JOIN earned e ON e.key = m.key AND e.model = a.model
        ORDER BY m.key COLLATE "C", a.n;
END $$;
COMMENT ON FUNCTION @extschema@.attribution_lift_join(jsonb, text[], timestamptz, timestamptz, interval, text) IS
'Does the work of attribution_lift_compare() with the measured rows as an array of objects, and checks their columns and keys.';
