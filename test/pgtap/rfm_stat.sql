-- rfm_stat: what the aggregates say is what plain SQL says, in groups, in
-- windows, in parallel and merged from any split.
BEGIN;
SELECT plan(26);
SELECT setseed(0.25);

-- Purchases of many kinds: amounts with up to 4 decimals, with more, beyond
-- 64 bits, refunds, NULLs; times that are NULL or infinite.
CREATE TABLE iaros.t_purchase AS
SELECT n, n % 97 AS customer_id, (random() * 6)::integer AS split,
    CASE WHEN k[1] < 0.03 THEN NULL
         WHEN k[1] < 0.035 THEN 'infinity'
         WHEN k[1] < 0.04 THEN '-infinity'
         ELSE timestamptz '2020-01-01Z' + k[2] * interval '2200 days' END AS at,
    CASE WHEN k[3] < 0.05 THEN NULL
         WHEN k[3] < 0.7 THEN round((k[4] * 2000 - 300)::numeric, 2)
         WHEN k[3] < 0.9 THEN round((k[4] * 2000 - 300)::numeric, 4)
         WHEN k[3] < 0.97 OR n % 5 <> 0 THEN round((k[4] * 2000 - 300)::numeric, 9)
         ELSE round((k[4] * 2000 - 1000)::numeric * 1e25, 12) END AS amount
FROM (SELECT n, ARRAY[random(), random(), random(), random()] AS k FROM generate_series(1, 20000) AS n) AS r;
ANALYZE iaros.t_purchase;

-- What plain SQL says: a row with neither time nor amount is no purchase.
CREATE VIEW pg_temp.plain AS
SELECT customer_id, min(at) AS first, max(at) AS last,
    count(*) FILTER (WHERE at IS NOT NULL OR amount IS NOT NULL) AS frequency, coalesce(sum(amount), 0) AS monetary
FROM iaros.t_purchase GROUP BY customer_id;
CREATE VIEW pg_temp.direct AS
SELECT customer_id, iaros.rfm_stat(at, amount) AS stat FROM iaros.t_purchase GROUP BY customer_id;

SELECT is_empty(
    $$SELECT p.*, d.stat FROM pg_temp.plain p JOIN pg_temp.direct d USING (customer_id)
      WHERE (p.first, p.last, p.frequency, p.monetary) IS DISTINCT FROM
          (iaros.rfm_stat_first(d.stat), iaros.rfm_stat_last(d.stat), iaros.rfm_stat_frequency(d.stat), iaros.rfm_stat_monetary(d.stat))$$,
    'rfm_stat() gives what min, max, count and sum give');
SELECT ok((SELECT count(*) FILTER (WHERE abs(p.monetary) > 1e18) > 10 AND count(*) FILTER (WHERE p.monetary <> trunc(p.monetary, 4)) > 10 AND count(*) = 97 FROM pg_temp.plain p),
    'among them are sums beyond 64 bits and sums with more than 4 decimals');
SELECT is_empty(
    $$SELECT d.stat, m.stat FROM pg_temp.direct d JOIN (
          SELECT s.customer_id, iaros.rfm_stat_merge(s.stat) AS stat FROM (
              SELECT customer_id, iaros.rfm_stat(at, amount) AS stat FROM iaros.t_purchase GROUP BY customer_id, split) AS s
          GROUP BY s.customer_id) AS m USING (customer_id)
      WHERE d.stat OPERATOR(iaros.<>) m.stat OR d.stat::text <> m.stat::text OR iaros.rfm_stat_send(d.stat) <> iaros.rfm_stat_send(m.stat)$$,
    'merged from random splits it is the same, to the byte');
SELECT is_empty(
    $$SELECT customer_id, a.stat, b.stat FROM
          (SELECT customer_id, iaros.rfm_stat(at, amount ORDER BY n) AS stat FROM iaros.t_purchase GROUP BY customer_id) AS a
          JOIN (SELECT customer_id, iaros.rfm_stat(at, amount ORDER BY at DESC, amount, n) AS stat FROM iaros.t_purchase GROUP BY customer_id) AS b USING (customer_id)
      WHERE iaros.rfm_stat_send(a.stat) <> iaros.rfm_stat_send(b.stat)$$,
    'the order of the rows does not matter');
SELECT is_empty(
    $$SELECT stat FROM pg_temp.direct WHERE stat::text::iaros.rfm_stat OPERATOR(iaros.<>) stat OR iaros.rfm_stat_send(stat::text::iaros.rfm_stat) <> iaros.rfm_stat_send(stat)$$,
    'the text form reads back to the same value');
SELECT is_empty(
    $$SELECT stat FROM pg_temp.direct
      WHERE iaros.rfm_stat_make(iaros.rfm_stat_first(stat), iaros.rfm_stat_last(stat), iaros.rfm_stat_frequency(stat), iaros.rfm_stat_monetary(stat)) OPERATOR(iaros.<>) stat$$,
    'made of its parts it is the same');

-- Binary.
CREATE TABLE iaros.t_stat AS SELECT customer_id, stat FROM pg_temp.direct;
CREATE TABLE iaros.t_received (LIKE iaros.t_stat);
\set file `mktemp -u /tmp/iaros_rfm_stat.XXXXXXXX`
COPY iaros.t_stat TO :'file' (FORMAT binary);
COPY iaros.t_received FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`
SELECT is_empty(
    $$SELECT * FROM iaros.t_stat s FULL JOIN iaros.t_received r USING (customer_id)
      WHERE s.stat::text IS DISTINCT FROM r.stat::text OR s.stat OPERATOR(iaros.<>) r.stat OR s.stat IS NULL$$,
    'the binary form reads back to the same value');

-- float8 and bigint: what the cast to numeric gives.
SELECT is_empty(
    $$SELECT customer_id FROM iaros.t_purchase GROUP BY customer_id
      HAVING iaros.rfm_stat(at, amount::float8) OPERATOR(iaros.<>) iaros.rfm_stat(at, amount::float8::numeric)$$,
    'a float8 amount counts as its cast to numeric');
SELECT is_empty(
    $$SELECT customer_id FROM iaros.t_purchase WHERE abs(amount) < 1e15 OR amount IS NULL GROUP BY customer_id
      HAVING iaros.rfm_stat(at, (amount * 1e3)::bigint) OPERATOR(iaros.<>) iaros.rfm_stat(at, (amount * 1e3)::bigint::numeric)$$,
    'a bigint amount counts as its cast to numeric');

-- No rows, NULLs, groups without purchases.
SELECT is((SELECT iaros.rfm_stat(at, amount) FROM iaros.t_purchase WHERE false)::text, NULL, 'no rows give NULL');
SELECT is((SELECT iaros.rfm_stat(NULL::timestamptz, NULL::numeric) FROM generate_series(1, 3))::text, NULL, 'rows without time and amount give NULL');
SELECT is((SELECT iaros.rfm_stat(NULL::timestamptz, NULL::float8) FROM generate_series(1, 3))::text, NULL, 'so do those of float8');
SELECT is((SELECT iaros.rfm_stat(NULL::timestamptz, NULL::bigint) FROM generate_series(1, 3))::text, NULL, 'and of bigint');
SELECT is((SELECT iaros.rfm_stat_merge(NULL) FROM generate_series(1, 3))::text, NULL, 'merging NULLs gives NULL');
SELECT is((SELECT iaros.rfm_stat(b.at, b.amount) FROM (VALUES (1)) AS c(id) LEFT JOIN iaros.t_purchase b ON b.customer_id = -1)::text, NULL,
    'a customer whom an outer join finds no purchase of has none');
SELECT throws_ok(
    $$SELECT iaros.rfm_stat(now(), 'NaN'::numeric)$$, '22003', 'amount "NaN" is not finite', 'NaN is refused');
SELECT throws_ok(
    $$SELECT iaros.rfm_stat(now(), a) FROM (VALUES (1e30), ('-Infinity')) AS v(a)$$, '22003', 'amount "-Infinity" is not finite', 'so is an infinite amount after a large one');

-- Windows: growing, moving, whole; without an inverse each is right.
SELECT is_empty(
    $$SELECT w.n FROM (
          SELECT n, iaros.rfm_stat(at, amount) OVER g AS stat, min(at) OVER g AS first, max(at) OVER g AS last,
              count(*) FILTER (WHERE at IS NOT NULL OR amount IS NOT NULL) OVER g AS frequency, coalesce(sum(amount) OVER g, 0) AS monetary
          FROM iaros.t_purchase WHERE customer_id < 5
          WINDOW g AS (PARTITION BY customer_id ORDER BY n)) AS w
      WHERE (w.first, w.last, w.frequency, w.monetary) IS DISTINCT FROM
          (iaros.rfm_stat_first(w.stat), iaros.rfm_stat_last(w.stat), coalesce(iaros.rfm_stat_frequency(w.stat), 0), coalesce(iaros.rfm_stat_monetary(w.stat), 0))$$,
    'as a running window it is right in every row');
-- Kept in a table, so that a value that was changed later would be seen.
CREATE TABLE iaros.t_running AS
SELECT n, lag(stat) OVER (PARTITION BY customer_id ORDER BY n) AS before, at, amount, stat
FROM (SELECT *, iaros.rfm_stat(at, amount) OVER (PARTITION BY customer_id ORDER BY n) AS stat FROM iaros.t_purchase WHERE customer_id < 5) AS r;
SELECT is_empty(
    $$SELECT n FROM iaros.t_running WHERE iaros.rfm_stat_accum_numeric(before, at, amount)::text IS DISTINCT FROM stat::text$$,
    'each row of a running window is the one before and its purchase');
SELECT is_empty(
    $$SELECT w.n FROM (
          SELECT n, iaros.rfm_stat(at, amount) OVER g AS stat, min(at) OVER g AS first, max(at) OVER g AS last,
              count(*) FILTER (WHERE at IS NOT NULL OR amount IS NOT NULL) OVER g AS frequency, coalesce(sum(amount) OVER g, 0) AS monetary
          FROM iaros.t_purchase WHERE customer_id < 5
          WINDOW g AS (PARTITION BY customer_id ORDER BY n ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW)) AS w
      WHERE (w.first, w.last, w.frequency, w.monetary) IS DISTINCT FROM
          (iaros.rfm_stat_first(w.stat), iaros.rfm_stat_last(w.stat), coalesce(iaros.rfm_stat_frequency(w.stat), 0), coalesce(iaros.rfm_stat_monetary(w.stat), 0))$$,
    'as a moving window it is right in every row');
SELECT is_empty(
    $$SELECT w.customer_id FROM (
          SELECT customer_id, iaros.rfm_stat_merge(stat) OVER (ORDER BY customer_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS merged, stat, lag(stat) OVER (ORDER BY customer_id) AS before
          FROM iaros.t_stat) AS w
      WHERE w.merged OPERATOR(iaros.<>) (w.stat OPERATOR(iaros.+) w.before)$$,
    'merging as a moving window is adding');

-- In parallel.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    whole text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        whole := whole || line || chr(10);
    END LOOP;
    RETURN whole;
END $$;
SET LOCAL parallel_setup_cost TO 0;
SET LOCAL parallel_tuple_cost TO 0;
SET LOCAL min_parallel_table_scan_size TO 0;
SET LOCAL max_parallel_workers_per_gather TO 2;
SET LOCAL parallel_leader_participation TO off;
ALTER TABLE iaros.t_purchase SET (parallel_workers = 2);
SELECT matches(pg_temp.plan_of('SELECT customer_id, iaros.rfm_stat(at, amount) FROM iaros.t_purchase GROUP BY 1'), 'Finalize.*Gather.*Partial', 'the plan is parallel');
CREATE TABLE iaros.t_parallel AS SELECT customer_id, iaros.rfm_stat(at, amount) AS stat, iaros.rfm_stat(at, amount::float8) AS stat_float8 FROM iaros.t_purchase GROUP BY 1;
SELECT is_empty(
    $$SELECT * FROM iaros.t_stat s FULL JOIN iaros.t_parallel p USING (customer_id) WHERE iaros.rfm_stat_send(s.stat) IS DISTINCT FROM iaros.rfm_stat_send(p.stat)$$,
    'a parallel plan gives the same values');
SELECT is((SELECT iaros.rfm_stat_merge(stat) FROM iaros.t_parallel)::text, (SELECT iaros.rfm_stat_merge(stat) FROM iaros.t_stat)::text, 'so does merging them all');

-- Distinct, grouped, joined by value.
SELECT is((SELECT count(DISTINCT stat) FROM iaros.t_stat), (SELECT count(DISTINCT stat::text) FROM iaros.t_stat), 'as many distinct values as texts');
SELECT is((SELECT count(*) FROM iaros.t_stat a JOIN iaros.t_parallel b ON a.stat OPERATOR(iaros.=) b.stat), 97::bigint, 'values join to their equals');
SELECT * FROM finish();
ROLLBACK;
