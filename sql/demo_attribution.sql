-- demo, attribution: the models of attribution against the planted truth.

CREATE FUNCTION @extschema@.demo_attribution_truth("window" interval DEFAULT '3 days')
    RETURNS TABLE (channel text, journeys bigint, bookings_lost float8, share numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH journey AS MATERIALIZED (
            SELECT row_number() OVER () AS n, p.converted_at IS NOT NULL AS booked, t.email_consent,
                ARRAY(SELECT DISTINCT u.c FROM unnest(iaros.touch_path_channels(p.path)) AS u(c)) AS channels
            FROM iaros.attribution_paths(iaros.attribution_touch_sql(), iaros.attribution_goal_sql(), "window",
                nulls_until => now()) p
            JOIN iaros.demo_truth t ON t.customer_id = p.customer_id
        ), effect AS (
            SELECT g.email_consent, c.channel, c.presence AS q, c.odds_ratio
            FROM iaros.demo_truth_channels() c
            CROSS JOIN (VALUES (false), (true)) AS g(email_consent)
            WHERE c.channel <> 'email' OR g.email_consent
        ), base AS (
            -- Journeys that met no channel and ended without a booking left no
            -- trace; how many there were follows from the planted chances.
            SELECT j.email_consent, ln(count(*) FILTER (WHERE j.booked)
                    / nullif(count(*) FILTER (WHERE NOT j.booked) / (1 - e.untouched), 0)) - e.norm AS log_odds
            FROM journey j
            JOIN (SELECT x.email_consent, exp(sum(ln(1 - x.q))) AS untouched, sum(ln(1 - x.q + x.q * x.odds_ratio)) AS norm
                  FROM effect x GROUP BY 1) e ON e.email_consent = j.email_consent
            GROUP BY j.email_consent, e.untouched, e.norm
        ), met AS (
            SELECT e.channel, e.odds_ratio, exp(b.log_odds + sum(ln(e.odds_ratio)) OVER (PARTITION BY j.n)) AS odds
            FROM journey j
            JOIN base b ON b.email_consent = j.email_consent
            CROSS JOIN LATERAL unnest(j.channels) AS u(c)
            JOIN effect e ON e.email_consent = j.email_consent AND e.channel = u.c
            WHERE j.booked
        ), lost AS (
            -- 1 - p(booking without the channel) / p(booking with it)
            SELECT m.channel, count(*) AS journeys, sum((m.odds_ratio - 1) / (m.odds_ratio + m.odds)) AS bookings
            FROM met m GROUP BY m.channel
        )
        SELECT l.channel, l.journeys, l.bookings, round((l.bookings / nullif(sum(l.bookings) OVER (), 0))::numeric, 4)
        FROM lost l
        ORDER BY l.bookings DESC, l.channel;
END $$;
COMMENT ON FUNCTION @extschema@.demo_attribution_truth(interval) IS
'Returns what each channel really brought in the data of demo_generate(): in how many journeys with a booking it was met, how many of these bookings would not have been made without it, by the logistic model that was planted (demo_truth_channels), and its share of what all channels brought. The odds of a booking with no channel follow from the journeys seen. A channel taken from a journey with odds o of a booking divides them by its odds ratio r: of such bookings (r - 1) / (r + o) are lost. window: the length of a journey. Linear in touchpoints.';

CREATE FUNCTION @extschema@.demo_attribution(
    models text[] DEFAULT '{first,last,last_non_direct,linear,time_decay(1 day),u_shaped,w_shaped,markov,markov(2),shapley,shapley(rate)}',
    "window" interval DEFAULT '3 days')
    RETURNS TABLE (model text, channel text, truth numeric, share numeric, difference numeric)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH earned AS MATERIALIZED (
            SELECT c.model, c.key, c.conversions / nullif(sum(c.conversions) OVER (PARTITION BY c.model), 0) AS share
            FROM iaros.attribution_compare(models, "window" => demo_attribution."window") c
            WHERE c.key <> 'none'
        ), asked AS (
            SELECT min(u.n) AS n, iaros.attribution_model_name(u.m) AS model
            FROM unnest(models) WITH ORDINALITY AS u(m, n) GROUP BY 2
        )
        SELECT a.model, t.channel, t.share, round(coalesce(e.share, 0), 4), round(coalesce(e.share, 0), 4) - t.share
        FROM asked a
        CROSS JOIN iaros.demo_attribution_truth("window") t
        LEFT JOIN earned e ON e.model = a.model AND e.key = t.channel
        ORDER BY a.n, t.share DESC, t.channel;
END $$;
COMMENT ON FUNCTION @extschema@.demo_attribution(text[], interval) IS
'Judges models of attribution by the truth that demo_generate() planted: for each model and channel the share of what channels really brought (see demo_attribution_truth), the share of conversions with a touch that the model credits it with, and the difference. avg(abs(difference)) by model is the error of a model. Errors: those of attribution_compare().';
