-- RFM of all customers of a table of bookings, ten bookings each at random:
-- rfm_compute() against the usual SQL, three NTILE(5) over grouped bookings.
-- Variable: rows. The table is no temporary one, which workers could not see.
BEGIN;
CREATE UNLOGGED TABLE public.bench_booking AS
SELECT i AS booking_id, 1 + (hashint8(i) & 2147483647)::bigint % greatest(:rows / 10, 1) AS customer_id,
    timestamptz '2024-01-01' + (hashint8(i + 1000000000) & 2147483647)::bigint % 63072000 * interval '1 second' AS at,
    ((hashint8(i + 2000000000) & 2147483647)::bigint % 200000 / 100.0)::numeric(16,4) AS amount
FROM generate_series(1::bigint, :rows) AS i;
ANALYZE public.bench_booking;

SELECT pg_temp.bench('rfm_compute ntile',
    $$SELECT customer_id, recency_days, frequency, monetary, iaros.rfm_r(score)::integer AS r, iaros.rfm_f(score)::integer AS f, iaros.rfm_m(score)::integer AS m
      FROM iaros.rfm_compute('public.bench_booking', 'ntile', '2026-01-01 00:00+00')$$,
    $$WITH g AS (
          SELECT customer_id, '2026-01-01'::date - (max(at) AT TIME ZONE 'UTC')::date AS recency_days,
              count(DISTINCT booking_id) AS frequency, sum(amount) AS monetary
          FROM public.bench_booking WHERE at <= '2026-01-01 00:00+00'
          GROUP BY customer_id
      )
      SELECT customer_id, recency_days, frequency, monetary, ntile(5) OVER (ORDER BY recency_days DESC, customer_id) AS r,
          ntile(5) OVER (ORDER BY frequency, customer_id) AS f, ntile(5) OVER (ORDER BY monetary, customer_id) AS m
      FROM g$$,
    :rows);

SELECT pg_temp.bench('rfm_compute quantile, counted',
    $$SELECT count(*) FROM iaros.rfm_compute('public.bench_booking', 'quantile', '2026-01-01 00:00+00')$$,
    $$WITH g AS (
          SELECT customer_id, '2026-01-01'::date - max(at)::date AS recency_days,
              count(DISTINCT booking_id) AS frequency, sum(amount) AS monetary
          FROM public.bench_booking WHERE at <= '2026-01-01 00:00+00'
          GROUP BY customer_id
      ), s AS (
          SELECT customer_id, ntile(5) OVER (ORDER BY recency_days DESC) AS r,
              ntile(5) OVER (ORDER BY frequency) AS f, ntile(5) OVER (ORDER BY monetary) AS m
          FROM g)
      SELECT count(*) FROM s$$,
    :rows);

-- The aggregate, which makes one value of all customers, against the same
-- facts by GROUP BY.
SELECT pg_temp.bench('rfm_agg',
    $$SELECT customers, purchases, amount, last_at
      FROM iaros.rfm_summary((SELECT iaros.rfm_agg(customer_id, at, amount) FROM public.bench_booking))$$,
    $$SELECT count(*) AS customers, sum(n)::bigint AS purchases, sum(amount) AS amount, max(at) AS last_at
      FROM (SELECT customer_id, count(*) AS n, sum(amount) AS amount, max(at) AS at FROM public.bench_booking GROUP BY customer_id) g$$,
    :rows);
ROLLBACK;
