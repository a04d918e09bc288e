-- 500 features of all customers of a table of events, 100 events each at
-- random: feature_records() against one FILTER aggregate a feature in one
-- statement. Variable: rows. The table is no temporary one, which workers
-- could not see.
BEGIN;
CREATE UNLOGGED TABLE public.bench_event AS
SELECT 1 + (hashint8(i) & 2147483647)::bigint % greatest(:rows / 100, 1) AS customer_id,
    timestamptz '2024-01-01Z' + (hashint8(i + 1000000000) & 2147483647)::bigint % 63072000 * interval '1 second' AS at,
    'kind' || (hashint8(i + 2000000000) & 2147483647) % 20 AS series,
    ((hashint8(i + 3000000000) & 2147483647)::bigint % 200000 / 100.0)::numeric(16,4) AS value
FROM generate_series(1::bigint, :rows) AS i;
ANALYZE public.bench_event;
CREATE UNLOGGED TABLE public.bench_customer AS
SELECT DISTINCT customer_id, timestamptz '2026-01-01Z' AS as_of FROM public.bench_event;
ANALYZE public.bench_customer;
-- 20 kinds, of each 6 windows of count, sum, max and mean, and recency.
CREATE TEMP TABLE bench_feature AS
SELECT row_number() OVER (ORDER BY k, a.no, w) AS no, format('kind%s_%s_%sd', k, a.name, w) AS name, format('kind%s %s %sd', k, a.name, w) AS expression,
    format(a.plain, format('FILTER (WHERE series = %L AND at > timestamptz ''2026-01-01Z'' - %s * interval ''24 hours'')', 'kind' || k, w)) AS plain
FROM generate_series(0, 19) k, unnest('{7,30,90,180,365,700}'::integer[]) w,
    (VALUES (1, 'count', 'count(*) %s'), (2, 'sum', 'coalesce(sum(value) %s, 0)'), (3, 'max', 'max(value) %s'), (4, 'mean', '(sum(value) %1$s)::float8 / (count(value) %1$s)')) a(no, name, plain)
UNION ALL
SELECT 481 + k, format('kind%s_recency', k), format('kind%s recency', k),
    format('extract(epoch FROM timestamptz ''2026-01-01Z'' - max(at) FILTER (WHERE series = %L))::float8 / 86400', 'kind' || k)
FROM generate_series(0, 19) k;
-- A mean of no rows is 0 / 0, which is NULL here.
UPDATE bench_feature SET plain = regexp_replace(plain, '/ (.*)$', '/ nullif(\1, 0)') WHERE name ~ '_mean_';
SELECT format('SELECT * FROM iaros.feature_records(''public.bench_event'', ''public.bench_customer'', %L) AS t(customer_id bigint, as_of timestamptz%s)',
        array_agg(expression ORDER BY no), string_agg(format(', %I float8', name), '' ORDER BY no)) AS ours,
    format('SELECT customer_id, timestamptz ''2026-01-01Z'' AS as_of%s FROM public.bench_event WHERE at <= ''2026-01-01Z'' GROUP BY customer_id',
        string_agg(format(', (%s)::float8 AS %I', plain, name), '' ORDER BY no)) AS plain
FROM bench_feature \gset
SELECT pg_temp.bench('feature matrix, 500 features', :'ours', :'plain', :rows, 1);
-- For training: three times a customer, each with what was known then.
CREATE UNLOGGED TABLE public.bench_request AS
SELECT c.customer_id, c.as_of - n * interval '5760 hours' AS as_of FROM public.bench_customer c, generate_series(0, 2) n;
ANALYZE public.bench_request;
SELECT format('SELECT * FROM iaros.feature_records(''public.bench_event'', ''public.bench_request'', %L) AS t(customer_id bigint, as_of timestamptz%s)',
        array_agg(expression ORDER BY no), string_agg(format(', %I float8', name), '' ORDER BY no)) AS ours,
    format('SELECT r.customer_id, r.as_of%s FROM public.bench_request r LEFT JOIN public.bench_event e ON e.customer_id = r.customer_id AND e.at <= r.as_of GROUP BY r.customer_id, r.as_of',
        string_agg(format(', (%s)::float8 AS %I', replace(plain, 'timestamptz ''2026-01-01Z''', 'r.as_of'), name), '' ORDER BY no)) AS plain
FROM bench_feature \gset
SELECT pg_temp.bench('features at three times a customer', :'ours', :'plain', :rows, 1);
ROLLBACK;
