-- analytics: what campaigns and channels achieved, how segments and those who
-- entered them fare, each in one query.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.analytics_rate(part numeric, whole numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(part / nullif(whole, 0), 4);
COMMENT ON FUNCTION @extschema@.analytics_rate(numeric, numeric) IS
'Returns part / whole rounded to four decimals (0.246 is 24.6 %); NULL when whole is 0 or an argument is NULL. Inlined.';

CREATE FUNCTION @extschema@.analytics_roas(revenue numeric, cost numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(revenue / nullif(cost, 0), 4);
COMMENT ON FUNCTION @extschema@.analytics_roas(numeric, numeric) IS
'Returns the return on advertising spend, revenue / cost, rounded to four decimals: 6.15 for 123,000 on 20,000. NULL when cost is 0 or an argument is NULL. Inlined.';

CREATE FUNCTION @extschema@.analytics_roi(revenue numeric, cost numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round((revenue - cost) / nullif(cost, 0), 4);
COMMENT ON FUNCTION @extschema@.analytics_roi(numeric, numeric) IS
'Returns the return on investment, (revenue - cost) / cost, rounded to four decimals: 5.15 for 123,000 on 20,000. NULL when cost is 0 or an argument is NULL. Inlined.';

CREATE FUNCTION @extschema@.analytics_cpa(cost numeric, conversions numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN round(nullif(cost, 0) / nullif(greatest(conversions, 0), 0), 4);
COMMENT ON FUNCTION @extschema@.analytics_cpa(numeric, numeric) IS
'Returns the cost of an acquisition, cost / conversions, rounded to four decimals: 25 for 20,000 and 800 conversions. NULL when either is 0, conversions are negative, or an argument is NULL. Inlined.';

CREATE FUNCTION @extschema@.analytics_period(day date, grain text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE grain
        WHEN 'day' THEN day - '0001-01-01'::date
        WHEN 'week' THEN (day - '0001-01-01'::date) / 7
        WHEN 'month' THEN date_part('year', day)::integer * 12 + date_part('month', day)::integer - 13
        WHEN 'quarter' THEN (date_part('year', day)::integer * 12 + date_part('month', day)::integer - 13) / 3
        WHEN 'year' THEN date_part('year', day)::integer - 1
    END;
COMMENT ON FUNCTION @extschema@.analytics_period(date, text) IS
'Returns the number of the day, week (from Monday), month, quarter or year (grain) that a day of our era is in, counted from 0 for the one that begins on 0001-01-01, so that the difference of two numbers is the periods between them. NULL for another grain and for NULL. Inlined.';

CREATE FUNCTION @extschema@.analytics_period_start(period integer, grain text) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE grain
        WHEN 'day' THEN '0001-01-01'::date + period
        WHEN 'week' THEN '0001-01-01'::date + period * 7
        WHEN 'month' THEN make_date(period / 12 + 1, period % 12 + 1, 1)
        WHEN 'quarter' THEN make_date(period / 4 + 1, period % 4 * 3 + 1, 1)
        WHEN 'year' THEN make_date(period + 1, 1, 1)
    END;
COMMENT ON FUNCTION @extschema@.analytics_period_start(integer, text) IS
'Returns the first day of a period that analytics_period() numbered. NULL for another grain than day, week, month, quarter and year, and for NULL. Error: 22008 number out of range. Inlined.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.analytics_dashboard(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days')
    RETURNS TABLE (campaign text, channel text, sent bigint, delivered bigint, opened bigint, clicked bigint,
        converted bigint, bounced bigint, unsubscribed bigint, revenue numeric, cost numeric,
        delivery_rate numeric, open_rate numeric, open_rate_sent numeric, click_rate numeric, click_rate_sent numeric,
        conversion_rate numeric, conversion_rate_sent numeric, roas numeric, roi numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH message AS (
            SELECT e.customer_id, e.message_id, min(e.campaign_id) AS campaign_id, min(e.channel) AS channel,
                bool_or(e.kind IN ('delivered', 'opened', 'clicked')) AS delivered,
                bool_or(e.kind IN ('opened', 'clicked')) AS opened,
                bool_or(e.kind = 'clicked') AS clicked,
                bool_or(e.kind = 'converted') AS converted,
                bool_or(e.kind IN ('bounced_soft', 'bounced_hard')) AS bounced,
                bool_or(e.kind = 'unsubscribed') AS unsubscribed
            FROM iaros.message_event e
            WHERE e.occurred_at >= from_time
            GROUP BY e.customer_id, e.message_id
            HAVING bool_or(e.kind = 'sent' AND e.occurred_at < to_time)
        ), earned AS (
            SELECT l.message_id, sum(l.value_base) AS revenue
            FROM iaros.attribution_last_touch(from_time, 'infinity', "window") l
            WHERE l.message_id IS NOT NULL
            GROUP BY l.message_id
        ), line AS (
            SELECT m.campaign_id, m.channel, count(*) AS sent,
                count(*) FILTER (WHERE m.delivered) AS delivered,
                count(*) FILTER (WHERE m.opened) AS opened,
                count(*) FILTER (WHERE m.clicked) AS clicked,
                count(*) FILTER (WHERE m.converted OR r.message_id IS NOT NULL) AS converted,
                count(*) FILTER (WHERE m.bounced) AS bounced,
                count(*) FILTER (WHERE m.unsubscribed) AS unsubscribed,
                coalesce(sum(r.revenue), 0) AS revenue
            FROM message m
            LEFT JOIN earned r ON r.message_id = m.message_id
            GROUP BY m.campaign_id, m.channel
        )
        SELECT c.code, l.channel, l.sent, l.delivered, l.opened, l.clicked, l.converted, l.bounced, l.unsubscribed,
            l.revenue, l.sent * c.message_cost_base,
            iaros.analytics_rate(l.delivered, l.sent),
            iaros.analytics_rate(l.opened, l.delivered), iaros.analytics_rate(l.opened, l.sent),
            iaros.analytics_rate(l.clicked, l.delivered), iaros.analytics_rate(l.clicked, l.sent),
            iaros.analytics_rate(l.converted, l.delivered), iaros.analytics_rate(l.converted, l.sent),
            iaros.analytics_roas(l.revenue, l.sent * c.message_cost_base),
            iaros.analytics_roi(l.revenue, l.sent * c.message_cost_base)
        FROM line l
        LEFT JOIN iaros.campaign c ON c.campaign_id = l.campaign_id
        ORDER BY l.revenue DESC, l.sent DESC, c.code, l.channel;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_dashboard(timestamptz, timestamptz, interval) IS
'Returns one row for each campaign (code; NULL: messages of none) and channel: how many messages were sent in [from_time, to_time), and how many of these have since been delivered, opened, clicked, followed by a conversion, bounced, unsubscribed from. An open implies delivery, a click implies an open. revenue: value of the conversions whose last touchpoint within the window was one of these messages; cost: messages sent times message_cost_base of the campaign; both in the base currency. delivery_rate is of sent; open_rate, click_rate and conversion_rate are of delivered, those ending in _sent of sent. roas = revenue / cost, roi = (revenue - cost) / cost. Error: 22023 window. O(message events + touchpoints since from_time).';

CREATE FUNCTION @extschema@.analytics_segments(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity')
    RETURNS TABLE (segment text, kind @extschema@.segment_kind, customers bigint, share numeric, entered bigint, departed bigint,
        spend_12m_avg numeric, spend_12m numeric, bookings_12m bigint, suggested_action text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH member AS (
            SELECT m.customer_id, m.segment_ids
            FROM iaros.segment_membership m
            WHERE NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = m.customer_id)
            UNION ALL
            -- What a person is in under an alias only.
            SELECT a.master_id, array_agg(DISTINCT i.id)
            FROM iaros.customer_alias a
            JOIN iaros.segment_membership m ON m.customer_id = a.customer_id
            LEFT JOIN iaros.segment_membership o ON o.customer_id = a.master_id
            CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
            WHERE i.id <> ALL (coalesce(o.segment_ids, '{}'))
            GROUP BY a.master_id
        ), inside AS (
            SELECT i.id, count(*) AS customers, sum(p.spend_12m) AS spend, sum(p.booking_count_12m) AS bookings
            FROM member m
            -- OFFSET 0: the figures of a person are made once, not for each segment.
            JOIN (SELECT x.customer_id, x.spend_12m, x.booking_count_12m FROM iaros.profile x OFFSET 0) p
                ON p.customer_id = m.customer_id
            CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
            GROUP BY i.id
        ), moved AS (
            SELECT e.segment_id, count(*) FILTER (WHERE e.entered) AS entered, count(*) FILTER (WHERE NOT e.entered) AS departed
            FROM iaros.segment_event e
            WHERE e.at >= from_time AND e.at < to_time
            GROUP BY e.segment_id
        )
        SELECT s.name, s.kind, coalesce(i.customers, 0), iaros.analytics_rate(coalesce(i.customers, 0), n.persons),
            coalesce(m.entered, 0), coalesce(m.departed, 0),
            round(i.spend / i.customers, 4), coalesce(i.spend, 0.0000), coalesce(i.bookings, 0), s.suggested_action
        FROM iaros.segment s
        CROSS JOIN (SELECT count(*) AS persons FROM iaros.profile) n
        LEFT JOIN inside i ON i.id = s.segment_id
        LEFT JOIN moved m ON m.segment_id = s.segment_id
        ORDER BY i.customers DESC NULLS LAST, s.name;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_segments(timestamptz, timestamptz) IS
'Returns one row for each segment, largest first: the customers who are in it now, by segment_membership, aliases as their master; their share of all customers (0.25 is 25 %; NULL when there are none); how often somebody entered and left in [from_time, to_time), by segment_event; what its customers spent in 12 months in the base currency, on average (NULL when there are none) and in total, and how many bookings they made in 12 months, by profile as of now; what to do with them. One scan of each of the three.';

CREATE FUNCTION @extschema@.analytics_cohort(
    segment text,
    grain text DEFAULT 'month',
    periods integer DEFAULT 12,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (cohort date, customers bigint, period integer, starts_on date, complete boolean,
        active bigint, members bigint, revenue numeric)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    zone text;
    last_period integer;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.analytics_cohort_check(grain, periods, as_of);
    id := iaros.segment_find(analytics_cohort.segment);
    zone := iaros.setting_get('brand_time_zone');
    last_period := iaros.analytics_period(timezone(zone, as_of)::date, grain);
    RETURN QUERY
        WITH noted AS MATERIALIZED (
            SELECT coalesce(a.master_id, e.customer_id) AS person, e.customer_id, e.at, e.segment_event_id, e.entered,
                iaros.analytics_period(timezone(zone, e.at)::date, grain) AS period
            FROM iaros.segment_event e
            LEFT JOIN iaros.customer_alias a ON a.customer_id = e.customer_id
            WHERE e.segment_id = id AND e.at <= as_of AND iaros.time_valid(e.at)
        ), entrant AS MATERIALIZED (
            SELECT n.person, min(n.at) AS entered_at, min(n.period) AS cohort
            FROM noted n WHERE n.entered GROUP BY n.person
        ), stood AS (
            -- How each id stood at the end of the periods in which it moved.
            SELECT DISTINCT ON (n.customer_id, n.period) n.person, n.customer_id, n.period, n.entered
            FROM noted n
            ORDER BY n.customer_id, n.period, n.at DESC, n.segment_event_id DESC
        ), spell AS (
            -- At the ends of which periods a person was in, under any id.
            SELECT t.person, unnest(range_agg(int4range(t.period, t.until))) AS span
            FROM (SELECT s.person, s.entered, s.period,
                      lead(s.period) OVER (PARTITION BY s.customer_id ORDER BY s.period) AS until
                  FROM stood s) t
            WHERE t.entered
            GROUP BY t.person
        ), inside AS (
            SELECT x.cohort, g.period, count(*) AS members
            FROM spell s
            JOIN entrant x ON x.person = s.person
            CROSS JOIN LATERAL generate_series(lower(s.span),
                least(upper(s.span) - 1, x.cohort + periods - 1, last_period)) AS g(period)
            GROUP BY x.cohort, g.period
        ), bought AS (
            SELECT x.cohort, x.person, sum(b.amount_base) AS revenue,
                -- Clocks that are set back at midnight make a day begin twice.
                greatest(iaros.analytics_period(timezone(zone, b.booked_at)::date, grain), x.cohort) AS period
            FROM (SELECT y.person, y.person AS customer_id FROM entrant y
                  UNION ALL
                  SELECT a.master_id, a.customer_id FROM iaros.customer_alias a) i
            JOIN entrant x ON x.person = i.person
            JOIN iaros.booking b ON b.customer_id = i.customer_id
            WHERE iaros.booking_counts(b.status) AND b.booked_at >= x.entered_at AND b.booked_at <= as_of
            GROUP BY x.cohort, x.person, 4
        ), active AS (
            SELECT b.cohort, b.period, count(*) AS customers, sum(b.revenue) AS revenue
            FROM bought b GROUP BY b.cohort, b.period
        )
        SELECT iaros.analytics_period_start(c.cohort, grain), c.customers, g.nth,
            iaros.analytics_period_start(c.cohort + g.nth, grain),
            timezone(zone, iaros.analytics_period_start(c.cohort + g.nth + 1, grain)::timestamp) <= as_of,
            coalesce(a.customers, 0), coalesce(i.members, 0), coalesce(a.revenue, 0.0000)
        FROM (SELECT x.cohort, count(*) AS customers FROM entrant x GROUP BY x.cohort) c
        CROSS JOIN LATERAL generate_series(0, least(periods - 1, last_period - c.cohort)) AS g(nth)
        LEFT JOIN inside i ON i.cohort = c.cohort AND i.period = c.cohort + g.nth
        LEFT JOIN active a ON a.cohort = c.cohort AND a.period = c.cohort + g.nth
        ORDER BY c.cohort, g.nth;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_cohort(text, text, integer, timestamptz) IS
'Follows those who entered a segment, given by name or segment_id. A cohort is the customers, aliases as their master, who first entered it in one day, week, month, quarter or year (grain) of the calendar in brand_time_zone, by segment_event; cohort is its first day. One row for each cohort and each of its periods 0 (that in which they entered) to periods - 1 that has begun by as_of: how many of them were active (made a booking that counts, after they entered), how many were members, still or again, at its end, and the revenue of these bookings in the base currency. complete: the period is over; one that is not shows how things stand as of as_of. NULL gives no row. Errors: 42704 no such segment, 22023 grain, periods outside 1 to 1000, as_of before 1900 or after 2199. One scan of the entries of the segment and of the bookings of those who entered; O(customers * periods).';

CREATE FUNCTION @extschema@.analytics_cohort_check(grain text, periods integer, as_of timestamptz) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF grain IS NULL OR grain NOT IN ('day', 'week', 'month', 'quarter', 'year') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is not a period of the calendar', left(grain, 64)),
            HINT = 'Give day, week, month, quarter or year.';
    ELSIF periods IS NULL OR periods NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot follow a cohort for %s periods', coalesce(periods::text, 'NULL')),
            HINT = 'Give a number from 1 to 1000.';
    ELSIF iaros.time_valid(as_of) IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot count cohorts as of "%s"', as_of),
            HINT = 'Give a time from 1900 to 2199.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_cohort_check(text, integer, timestamptz) IS
'Refuses with 22023 what analytics_cohort() cannot count by: a grain other than day, week, month, quarter and year, periods outside 1 to 1000, a time before 1900 or after 2199.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.analytics_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    -- Roll-ups come later; the dashboard reads message_event itself.
    PERFORM iaros.schema_step('analytics', 1);
END $install$;
COMMENT ON PROCEDURE @extschema@.analytics_install() IS
'The domain analytics has no tables of its own. Called by install().';
