-- Last touch before each conversion within 30 days, by channel: a touchpoint
-- for each row, a conversion for each tenth, against the usual join with
-- row_number(). Variable: rows.
BEGIN;
SELECT count(iaros.partition_ensure('2026-01-01', '2026-06-30')) AS made \gset
INSERT INTO iaros.customer (customer_id, source) SELECT i, 'crm' FROM generate_series(1, :rows / 5) AS i;
INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as)
SELECT i, i - 1, i - 1 FROM generate_series(20, :rows / 5, 20) AS i;
INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, source)
SELECT 1 + iaros.chance_int(i, 1, 1, :rows / 5), timestamptz '2026-01-01' + iaros.chance(i, 1, 2) * interval '180 days',
    (ARRAY['email', 'paid_search', 'display', 'direct', 'social', 'affiliate'])[1 + iaros.chance_int(i, 1, 3, 6)], 'click', 'web'
FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.conversion (customer_id, occurred_at, value_base, source)
SELECT 1 + iaros.chance_int(i, 2, 1, :rows / 5), timestamptz '2026-01-01' + iaros.chance(i, 2, 2) * interval '180 days',
    iaros.chance_int(i, 2, 3, 100000) / 100.0, 'web'
FROM generate_series(1, :rows / 10) AS i;
ANALYZE;

SELECT pg_temp.bench('attribution_last',
    $$SELECT key, conversions, credit FROM iaros.attribution_last('2026-01-01', '2026-07-01')$$,
    $$WITH goal AS (
        SELECT coalesce(a.master_id, c.customer_id) AS person, c.* FROM iaros.conversion c LEFT JOIN iaros.customer_alias a USING (customer_id)
        WHERE c.occurred_at >= '2026-01-01' AND c.occurred_at < '2026-07-01'
      ), touch AS (
        SELECT coalesce(a.master_id, t.customer_id) AS person, t.* FROM iaros.touchpoint t LEFT JOIN iaros.customer_alias a USING (customer_id)
      ), pair AS (
        SELECT g.conversion_id, g.value_base, t.channel,
            row_number() OVER (PARTITION BY g.customer_id, g.conversion_id ORDER BY t.occurred_at DESC NULLS LAST, t.touchpoint_id DESC) AS n
        FROM goal g
        LEFT JOIN touch t ON t.person = g.person AND t.occurred_at < g.occurred_at AND t.occurred_at >= g.occurred_at - interval '30 days'
      )
      SELECT coalesce(channel, 'none') AS key, count(*) AS conversions, sum(value_base) AS credit
      FROM pair WHERE n = 1 GROUP BY 1$$,
    :rows);
ROLLBACK;
