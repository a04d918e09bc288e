-- A funnel of five steps over a table of events, ten a customer at random
-- times of 60 days, window 7 days: funnel_agg() against both ways in which it
-- is usually written in SQL, with the same result; and monthly retention.
-- Variable: rows.
BEGIN;
CREATE UNLOGGED TABLE public.bench_event AS
SELECT 1 + (hashint8(i) & 2147483647)::bigint % greatest(:rows / 10, 1) AS customer_id,
    timestamptz '2026-01-01Z' + i * interval '60 days' / :rows + (hashint8(i + 1000000000) & 1048575) * interval '1 microsecond' AS at,
    (('{1,1,1,1,1,1,1,1,2,2,2,2,2,3,3,3,4,4,5,5}'::integer[])[1 + (hashint8(i + 2000000000) & 2147483647) % 20]) AS step
FROM generate_series(1::bigint, :rows) AS i;
ANALYZE public.bench_event;

-- For each event of step n the latest start of an attempt that has just
-- reached it, step by step in one pass each.
SELECT pg_temp.bench('funnel_agg, 5 steps (window functions)',
    $$SELECT f.step, f.customers FROM (SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM public.bench_event) s, iaros.funnel_rows(s.state) f$$,
    $$WITH s1 AS (SELECT customer_id, at, step, max(at) FILTER (WHERE step = 1) OVER w AS start1 FROM public.bench_event
                  WINDOW w AS (PARTITION BY customer_id ORDER BY at, step ROWS UNBOUNDED PRECEDING)),
      s2 AS (SELECT customer_id, at, step, start1, max(start1) FILTER (WHERE step = 2 AND at <= start1 + interval '7 days') OVER w AS start2 FROM s1
                  WINDOW w AS (PARTITION BY customer_id ORDER BY at, step ROWS UNBOUNDED PRECEDING)),
      s3 AS (SELECT customer_id, at, step, start1, start2, max(start2) FILTER (WHERE step = 3 AND at <= start2 + interval '7 days') OVER w AS start3 FROM s2
                  WINDOW w AS (PARTITION BY customer_id ORDER BY at, step ROWS UNBOUNDED PRECEDING)),
      s4 AS (SELECT customer_id, at, step, start1, start2, start3, max(start3) FILTER (WHERE step = 4 AND at <= start3 + interval '7 days') OVER w AS start4 FROM s3
                  WINDOW w AS (PARTITION BY customer_id ORDER BY at, step ROWS UNBOUNDED PRECEDING)),
      c AS (SELECT customer_id, max(CASE WHEN step = 5 AND at <= start4 + interval '7 days' THEN 5 WHEN start4 IS NOT NULL THEN 4
                  WHEN start3 IS NOT NULL THEN 3 WHEN start2 IS NOT NULL THEN 2 WHEN start1 IS NOT NULL THEN 1 ELSE 0 END) AS level
            FROM s4 GROUP BY customer_id)
      SELECT n AS step, count(*) FILTER (WHERE level >= n) AS customers FROM c, generate_series(1, 5) AS n GROUP BY n$$,
    :rows);

-- For each start the first event of each step after the one before.
SELECT pg_temp.bench('funnel_agg, 5 steps (self-joins)',
    $$SELECT f.step, f.customers FROM (SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM public.bench_event) s, iaros.funnel_rows(s.state) f$$,
    $$WITH s1 AS (SELECT DISTINCT customer_id, at AS start, at FROM public.bench_event WHERE step = 1),
      s2 AS (SELECT s.customer_id, s.start, min(e.at) AS at FROM s1 s JOIN public.bench_event e ON e.customer_id = s.customer_id AND e.step = 2
                  AND e.at >= s.at AND e.at <= s.start + interval '7 days' GROUP BY s.customer_id, s.start),
      s3 AS (SELECT s.customer_id, s.start, min(e.at) AS at FROM s2 s JOIN public.bench_event e ON e.customer_id = s.customer_id AND e.step = 3
                  AND e.at >= s.at AND e.at <= s.start + interval '7 days' GROUP BY s.customer_id, s.start),
      s4 AS (SELECT s.customer_id, s.start, min(e.at) AS at FROM s3 s JOIN public.bench_event e ON e.customer_id = s.customer_id AND e.step = 4
                  AND e.at >= s.at AND e.at <= s.start + interval '7 days' GROUP BY s.customer_id, s.start),
      s5 AS (SELECT s.customer_id, s.start, min(e.at) AS at FROM s4 s JOIN public.bench_event e ON e.customer_id = s.customer_id AND e.step = 5
                  AND e.at >= s.at AND e.at <= s.start + interval '7 days' GROUP BY s.customer_id, s.start)
      SELECT 1 AS step, count(DISTINCT customer_id) AS customers FROM s1 UNION ALL SELECT 2, count(DISTINCT customer_id) FROM s2
      UNION ALL SELECT 3, count(DISTINCT customer_id) FROM s3 UNION ALL SELECT 4, count(DISTINCT customer_id) FROM s4
      UNION ALL SELECT 5, count(DISTINCT customer_id) FROM s5$$,
    :rows);

SELECT pg_temp.bench('retention_agg, 9 weeks',
    $$SELECT r.cohort, r.period, r.customers, r.retained
      FROM (SELECT iaros.retention_agg(customer_id, iaros.analytics_period(at::date, 'week')) AS state FROM public.bench_event) s, iaros.retention_rows(s.state, 9) r$$,
    $$WITH a AS (SELECT DISTINCT customer_id, iaros.analytics_period(at::date, 'week') AS period FROM public.bench_event),
      c AS (SELECT customer_id, period, min(period) OVER (PARTITION BY customer_id) AS cohort FROM a),
      n AS (SELECT cohort, period - cohort AS period, count(*) AS retained FROM c GROUP BY 1, 2)
      SELECT f.cohort, g.period, f.retained AS customers, coalesce(n.retained, 0) AS retained
      FROM n AS f CROSS JOIN LATERAL generate_series(0, least(8, (SELECT max(period) FROM a) - f.cohort)) AS g(period)
      LEFT JOIN n ON n.cohort = f.cohort AND n.period = g.period WHERE f.period = 0$$,
    :rows);
ROLLBACK;
