-- Five rule models at once over paths that are ready in a table, four touches
-- of 12 channels each, against the usual SQL over the same paths as arrays.
-- Both run as the planner likes, in parallel where it does. Variable: rows,
-- the number of paths.
BEGIN;
CREATE UNLOGGED TABLE public.bench_ready AS
SELECT i, (hashint8(i + 3000000000) & 2147483647)::bigint % 50000 / 100.0 AS value,
    array_agg('channel_' || (hashint8(i * 8 + k) & 2147483647) % 12 ORDER BY k) AS channels,
    array_agg(timestamptz '2026-01-01Z' + (i % 300 + k) * interval '1 day' + (hashint8(i * 8 + k + 1000000000) & 2147483647) % 86400 * interval '1 second' ORDER BY k) AS times
FROM generate_series(1::bigint, :rows) AS i, generate_series(1, 4) AS k GROUP BY i;
CREATE UNLOGGED TABLE public.bench_ready_path AS SELECT iaros.touch_path_make(channels, times) AS path, value FROM public.bench_ready;
ANALYZE public.bench_ready, public.bench_ready_path;

CREATE TEMP TABLE bench_query (name text PRIMARY KEY, query text);
INSERT INTO bench_query VALUES
    ('ours', $$SELECT r.model, r.channel, r.credit
        FROM (SELECT iaros.attribution_agg(path, value, ARRAY['first', 'last', 'linear', 'time_decay(7 days)', 'u_shaped']) AS state FROM public.bench_ready_path) AS a,
            iaros.attribution_rows(a.state) AS r$$),
    ('plain', $$WITH touch AS (
          SELECT p.i, p.value::float8 AS value, u.channel, u.n, cardinality(p.channels) AS touches, exp(-ln(2) * extract(epoch FROM p.times[cardinality(p.times)] - u.at)::float8 / 604800) AS decay
          FROM public.bench_ready p, unnest(p.channels, p.times) WITH ORDINALITY AS u(channel, at, n)
        ), weighed AS (SELECT t.*, sum(decay) OVER (PARTITION BY i) AS total FROM touch t)
        SELECT channel, count(*) AS touches,
            sum(value) FILTER (WHERE n = 1) AS "first", sum(value) FILTER (WHERE n = touches) AS "last", sum(value / touches) AS linear, sum(value * decay / total) AS time_decay,
            sum(value * CASE WHEN n = 1 OR n = touches THEN 0.4 ELSE 0.2 / (touches - 2) END) AS u_shaped
        FROM weighed GROUP BY channel$$);

-- The same credits: each share of each conversion is rounded to the cent.
SELECT format('CREATE TEMP TABLE bench_%s AS %s', name, query) FROM bench_query \gexec
SELECT 1 / (count(*) = 60 AND max(abs(o.credit - p.credit) / p.touches) <= 0.01 AND max(abs(o.credit - p.credit)) FILTER (WHERE o.model IN ('first', 'last')) < 0.005)::integer AS same
FROM bench_ours o
JOIN (SELECT b.channel, b.touches, m.model, m.credit FROM bench_plain b
      CROSS JOIN LATERAL (VALUES ('first', "first"), ('last', "last"), ('linear', linear), ('time_decay', time_decay), ('u_shaped', u_shaped)) AS m(model, credit)) AS p
    ON p.channel = o.channel AND p.model = split_part(o.model, '(', 1) \gset

CREATE TEMP TABLE bench_time AS
SELECT q.name, min(pg_temp.bench_ms(q.query)) AS ms FROM generate_series(1, 3) AS run, bench_query q GROUP BY q.name;
SELECT format('bench|five rule models, ready paths|%s|%s|%s|%s', round(o.ms::numeric, 1), round(p.ms::numeric, 1), round((p.ms / o.ms)::numeric, 2), round((:rows / o.ms * 1000)::numeric))
FROM bench_time o, bench_time p WHERE o.name = 'ours' AND p.name = 'plain';
ROLLBACK;
