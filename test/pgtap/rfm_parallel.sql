-- rfm_compute() with parallel workers: the same rows as in one process and as
-- plain SQL, with tables large enough for rows to wait in batches.
BEGIN;
SELECT plan(17);
SET LOCAL client_min_messages TO error;
SELECT setseed(0.25);

-- 30,000 customers with ids from all of bigint; amounts that fit 64 bits,
-- that do not together, and that do not at all; without customer, amount or
-- time; times at both ends of the window.
CREATE TABLE public.t_sale AS
SELECT n, CASE WHEN k[1] >= 0.01 THEN hashint8extended((k[2] * 30000)::bigint, 7) END AS customer_id,
    CASE WHEN k[1] BETWEEN 0.005 AND 0.02 THEN NULL ELSE timestamptz '2024-01-01Z' + (k[3] * 1000)::integer * interval '1 day' END AS at,
    CASE WHEN k[4] < 0.02 THEN NULL WHEN k[4] < 0.9 THEN round((k[5] * 500 - 20)::numeric, 2)
         WHEN k[4] < 0.95 THEN round((k[5] * 2000 - 1000)::numeric * 900000000000, 4)
         ELSE round((k[5] * 2000 - 300)::numeric, 9) END AS amount
FROM (SELECT n, ARRAY[random(), random(), random(), random(), random()] AS k FROM generate_series(1, 120000) AS n) AS r;
ALTER TABLE public.t_sale SET (parallel_workers = 2);
ANALYZE public.t_sale;

-- How many workers helped a statement with one computation.
CREATE FUNCTION pg_temp.workers(statement text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
        IF line ~ 'Workers Launched' THEN
            RETURN substring(line FROM '[0-9]+$')::integer;
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION pg_temp.computed(source text) RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric, score iaros.rfm)
    LANGUAGE sql AS $$ SELECT c.customer_id, c.recency_days, c.frequency, c.monetary, c.score FROM iaros.rfm_compute(source, 'ntile', '2026-01-01Z', '1 year') AS c $$;
CREATE TEMP TABLE t_source (what text, source text);
INSERT INTO t_source VALUES
    ('a relation', 'public.t_sale'),
    ('a condition', 'SELECT customer_id, at, amount FROM public.t_sale WHERE n % 3 = 0'),
    ('a value of a subselect', 'SELECT customer_id, at, amount FROM public.t_sale WHERE n < (SELECT max(n) / 2 FROM public.t_sale)'),
    ('a join', 'SELECT s.customer_id, s.at, s.amount FROM public.t_sale s JOIN (SELECT n FROM public.t_sale WHERE n % 2 = 0) o USING (n)'),
    ('parts', 'SELECT customer_id, at, amount FROM public.t_sale WHERE n < 40000 UNION ALL SELECT customer_id, at, amount FROM public.t_sale WHERE n > 50000'),
    ('several purchases a row', 'SELECT customer_id, at, amount, (1 + n % 3) AS purchases FROM public.t_sale');

SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE t_serial AS SELECT s.source, c.* FROM t_source s CROSS JOIN LATERAL pg_temp.computed(s.source) AS c;
-- How many rows of a source are other than in one process.
CREATE FUNCTION pg_temp.differ(source text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM ((SELECT * FROM pg_temp.computed(source) EXCEPT ALL SELECT customer_id, recency_days, frequency, monetary, score FROM pg_temp.t_serial WHERE t_serial.source = differ.source)
        UNION ALL (SELECT customer_id, recency_days, frequency, monetary, score FROM pg_temp.t_serial WHERE t_serial.source = differ.source EXCEPT ALL SELECT * FROM pg_temp.computed(source))) AS d
$$;
CREATE TEMP TABLE t_plain AS
SELECT customer_id, date '2026-01-01' - max(at AT TIME ZONE 'UTC')::date AS recency_days, count(*) FILTER (WHERE at > '2025-01-01Z') AS frequency,
    coalesce(sum(amount) FILTER (WHERE at > '2025-01-01Z'), 0) AS monetary
FROM public.t_sale WHERE at <= '2026-01-01Z' GROUP BY customer_id;
CREATE TEMP TABLE t_ours AS SELECT customer_id, recency_days, frequency, monetary FROM t_serial WHERE source = 'public.t_sale';
SELECT is_empty('(TABLE t_ours EXCEPT ALL TABLE t_plain) UNION ALL (TABLE t_plain EXCEPT ALL TABLE t_ours)', 'in one process it is plain SQL');
SELECT cmp_ok((SELECT count(*) FROM t_serial WHERE source = 'public.t_sale'), '>', 25000::bigint, 'for many customers');
SELECT is(pg_temp.workers('SELECT count(*) FROM iaros.rfm_compute(''public.t_sale'', ''ntile'')'), 0, 'without a worker');

SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT cmp_ok(pg_temp.workers('SELECT count(*) FROM iaros.rfm_compute(''public.t_sale'', ''ntile'')'), '>', 0, 'in parallel there are workers');
SELECT is(pg_temp.differ(source), 0::bigint, 'workers do not change the rows: ' || what) FROM t_source;
SET LOCAL parallel_leader_participation = off;
SELECT is(pg_temp.differ('public.t_sale'), 0::bigint, 'nor where the leader reads nothing');
SELECT is((SELECT sum(frequency) FROM pg_temp.computed('SELECT customer_id, at, amount FROM public.t_sale WHERE n < 0')), NULL, 'nor where there is nothing');
RESET parallel_leader_participation;
SET LOCAL max_parallel_workers = 0;
SELECT is(pg_temp.differ('public.t_sale'), 0::bigint, 'nor where no worker is left');
RESET max_parallel_workers;
SELECT throws_ok($$SELECT * FROM pg_temp.computed('SELECT customer_id, at, 1 / (n - 119999) FROM public.t_sale')$$, '22012', NULL, 'an error in a worker is one here');
SELECT throws_ok($$SELECT * FROM pg_temp.computed('SELECT customer_id, at, CASE WHEN n = 119999 THEN ''NaN'' ELSE amount END FROM public.t_sale')$$, '22003', NULL, 'so is one of the kernel');
SELECT is(pg_temp.workers('SELECT count(*) FROM iaros.rfm_compute(''SELECT customer_id, max(at) AS at, sum(amount) AS amount FROM public.t_sale GROUP BY customer_id'', ''ntile'')'), 0, 'a source that groups last runs in one process');

SELECT throws_ok($$SELECT * FROM iaros.rfm_compute('SELECT NULL::bigint AS customer_id, now() AS at, 1 AS amount, -2 AS purchases', 'ntile')$$, '22003', 'frequency of a customer is negative', 'without customer, too, no more can be taken back than there is');
SELECT * FROM finish();
ROLLBACK;
