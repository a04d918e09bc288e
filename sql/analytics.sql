-- analytics: what campaigns and channels achieved, in one query.

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
