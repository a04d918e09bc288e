-- Five rule models at once, of touches and conversions in two tables: a
-- touch for each row, 50 touches to 3 customers, about 5 in the 30 days
-- before each conversion, 12 channels, against the usual statement with
-- window functions and float8, and against the bare join that needs to be
-- done either way. Behind it last touch from the tables of the engine.
-- Variable: rows. The tables are no temporary ones, which workers could not
-- see.
BEGIN;
SET LOCAL work_mem = '256MB';
CREATE UNLOGGED TABLE public.bench_touch AS
SELECT 1 + (hashint8(i) & 2147483647)::bigint % greatest(:rows * 3 / 50, 1) AS customer_id,
    timestamptz '2026-01-01Z' + (hashint8(i + 1000000000) & 2147483647)::bigint % 8640000 * interval '1 second' AS at,
    'channel_' || chr((97 + (hashint8(i + 2000000000) & 2147483647) % 12)::integer) AS channel
FROM generate_series(1::bigint, :rows) AS i;
CREATE UNLOGGED TABLE public.bench_conversion AS
SELECT i AS customer_id, timestamptz '2026-02-01Z' + (hashint8(i + 3000000000) & 2147483647)::bigint % 5961600 * interval '1 second' AS at,
    ((hashint8(i + 4000000000) & 2147483647)::bigint % 50000 / 100.0)::numeric(16,4) AS value, i AS conversion_id
FROM generate_series(1::bigint, greatest(:rows * 3 / 50, 1)) AS i;
ANALYZE public.bench_touch, public.bench_conversion;

CREATE TEMP TABLE bench_query (name text PRIMARY KEY, query text);
INSERT INTO bench_query VALUES
    ('ours', $$SELECT r.model, r.channel, r.credit
        FROM (SELECT iaros.attribution_agg(p.path, p.value, ARRAY['first', 'last', 'linear', 'time_decay(7 days)', 'u_shaped']) AS state
              FROM iaros.attribution_paths('public.bench_touch', 'public.bench_conversion') AS p) AS a, iaros.attribution_rows(a.state) AS r$$),
    ('join', $$SELECT count(*) FROM public.bench_conversion c
        JOIN public.bench_touch t ON t.customer_id = c.customer_id AND t.at < c.at AND t.at >= c.at - interval '720 hours'$$),
    ('plain', $$WITH pair AS (
          SELECT c.conversion_id, c.value::float8 AS value, t.channel, t.at, exp(-ln(2) * extract(epoch FROM c.at - t.at)::float8 / 604800) AS decay
          FROM public.bench_conversion c
          JOIN public.bench_touch t ON t.customer_id = c.customer_id AND t.at < c.at AND t.at >= c.at - interval '720 hours'
        ), touch AS (
          SELECT p.*, row_number() OVER (PARTITION BY conversion_id ORDER BY at, channel COLLATE "C") AS n,
              count(*) OVER (PARTITION BY conversion_id) AS touches, sum(decay) OVER (PARTITION BY conversion_id) AS total
          FROM pair p
        )
        SELECT channel, count(*) AS touches,
            sum(value) FILTER (WHERE n = 1) AS "first", sum(value) FILTER (WHERE n = touches) AS "last", sum(value / touches) AS linear, sum(value * decay / total) AS time_decay,
            sum(value * CASE WHEN touches <= 2 THEN 1.0::float8 / touches WHEN n = 1 OR n = touches THEN 0.4 ELSE 0.2 / (touches - 2) END) AS u_shaped
        FROM touch GROUP BY channel$$);

-- The same credits: each share of each conversion is rounded to the cent.
SELECT format('CREATE TEMP TABLE bench_%s AS %s', name, query) FROM bench_query WHERE name <> 'join' \gexec
SELECT 1 / (count(*) = 60 AND max(abs(o.credit - p.credit) / p.touches) <= 0.01 AND max(abs(o.credit - p.credit)) FILTER (WHERE o.model IN ('first', 'last')) < 0.005)::integer AS same
FROM bench_ours o
JOIN (SELECT b.channel, b.touches, m.model, m.credit FROM bench_plain b
      CROSS JOIN LATERAL (VALUES ('first', "first"), ('last', "last"), ('linear', linear), ('time_decay', time_decay), ('u_shaped', u_shaped)) AS m(model, credit)) AS p
    ON p.channel = o.channel AND p.model = split_part(o.model, '(', 1) \gset

CREATE TEMP TABLE bench_time AS
SELECT q.name, min(pg_temp.bench_ms(q.query)) AS ms FROM generate_series(1, 3) AS run, bench_query q GROUP BY q.name;
SELECT format('bench|five rule models|%s|%s|%s|%s', round(o.ms::numeric, 1), round(p.ms::numeric, 1), round((p.ms / o.ms)::numeric, 2), round((:rows / o.ms * 1000)::numeric))
FROM bench_time o, bench_time p WHERE o.name = 'ours' AND p.name = 'plain';
SELECT format('five rule models: bare join %s ms, ours %s times that; net of the join %s',
    round(j.ms::numeric, 1), round((o.ms / j.ms)::numeric, 2),
    CASE WHEN o.ms > j.ms THEN format('%s times faster than SQL', round(((p.ms - j.ms) / (o.ms - j.ms))::numeric, 1)) ELSE 'nothing is left' END)
FROM bench_time o, bench_time p, bench_time j WHERE o.name = 'ours' AND p.name = 'plain' AND j.name = 'join';
ROLLBACK;

-- Last touch before each conversion within 30 days, by channel: a touchpoint
-- for each row, a conversion for each tenth, against the usual join with
-- row_number().
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
