-- RFM of all customers of a table of bookings, ten bookings each, scores and
-- segment: rfm_compute() against aggregates and CASE. Variable: rows.
BEGIN;
CREATE TEMP TABLE bench_rfm ON COMMIT DROP AS
SELECT 1 + i * 7919::bigint % greatest(:rows / 10, 1) AS customer_id,
    '2024-01-01'::timestamptz + i * 37::bigint % 63072000 * interval '1 second' AS at,
    (i * 31::bigint % 200000 / 100.0)::numeric(16,4) AS amount
FROM generate_series(1, :rows) AS i;
ANALYZE bench_rfm;

SELECT pg_temp.bench('rfm_compute',
    $$SELECT customer_id, recency_days, frequency, monetary, r, f, m, segment
      FROM iaros.rfm_compute('bench_rfm', '2026-01-01 00:00+00')$$,
    $$WITH g AS (
          SELECT customer_id, '2026-01-01'::date - (max(at) AT TIME ZONE 'UTC')::date AS recency_days,
              count(*) FILTER (WHERE at > '2025-01-01 00:00+00') AS frequency,
              coalesce(sum(amount) FILTER (WHERE at > '2025-01-01 00:00+00'), 0) AS monetary
          FROM bench_rfm WHERE at <= '2026-01-01 00:00+00'
          GROUP BY customer_id
      ), s AS (
          SELECT g.*,
              (CASE WHEN recency_days < 31 THEN 5 WHEN recency_days < 91 THEN 4 WHEN recency_days < 181 THEN 3 WHEN recency_days < 365 THEN 2 ELSE 1 END)::smallint AS r,
              (CASE WHEN frequency >= 10 THEN 5 WHEN frequency >= 5 THEN 4 WHEN frequency >= 3 THEN 3 WHEN frequency >= 2 THEN 2 ELSE 1 END)::smallint AS f,
              (CASE WHEN monetary >= 5000 THEN 5 WHEN monetary >= 2501 THEN 4 WHEN monetary >= 1001 THEN 3 WHEN monetary >= 501 THEN 2 ELSE 1 END)::smallint AS m
          FROM g)
      SELECT s.*, c.segment FROM s LEFT JOIN iaros.rfm_cell c ON (c.r, c.f, c.m) = (s.r, s.f, s.m)$$,
    :rows);
ROLLBACK;
