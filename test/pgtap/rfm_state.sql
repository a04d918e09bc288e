-- rfm_state: what rfm_agg() says is what plain SQL says, in groups, in
-- windows, in parallel and merged from any split; its forms, its size, and
-- what is no state.
BEGIN;
SELECT plan(88);
SELECT setseed(0.75);
SET LOCAL client_min_messages TO error;

-- Purchases of many kinds: amounts with up to 4 decimals, with more, such
-- that few of them are beyond 64 bits together, refunds, NULLs; without
-- customer, without time.
CREATE TABLE iaros.t_purchase AS
SELECT n, CASE WHEN k[1] >= 0.03 THEN n % 97 END::bigint AS customer_id, (random() * 6)::integer AS split,
    CASE WHEN k[1] BETWEEN 0.02 AND 0.05 THEN NULL ELSE timestamptz '2020-01-01Z' + k[2] * interval '2200 days' END AS at,
    CASE WHEN k[3] < 0.05 THEN NULL
         WHEN k[3] < 0.6 THEN round((k[4] * 2000 - 300)::numeric, 2)
         WHEN k[3] < 0.8 THEN round((k[4] * 2000 - 300)::numeric, 4)
         WHEN n % 97 < 50 THEN round((k[4] * 2000 - 300)::numeric, 3)
         WHEN k[3] < 0.95 THEN round((k[4] * 2000 - 1000)::numeric * 900000000000, 4)
         WHEN n % 97 < 90 THEN round((k[4] * 2000 - 300)::numeric, 9)
         ELSE round((k[4] * 2000 - 1000)::numeric * 1e25, 12) END AS amount
FROM (SELECT n, ARRAY[random(), random(), random(), random()] AS k FROM generate_series(1, 20000) AS n) AS r;
ANALYZE iaros.t_purchase;
CREATE VIEW pg_temp.direct AS
SELECT customer_id, iaros.rfm_agg(customer_id, at, amount) AS state FROM iaros.t_purchase GROUP BY customer_id;
CREATE TEMP TABLE whole AS SELECT iaros.rfm_agg(customer_id, at, amount) AS state FROM iaros.t_purchase;

-- The detail of the error that a statement raises.
CREATE FUNCTION pg_temp.detail_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;

-- Few rows, odd rows.
SELECT is((SELECT iaros.rfm_agg(1, now(), 1) FROM generate_series(1, 0))::text, NULL, 'no rows give NULL');
SELECT is((SELECT iaros.rfm_agg(1, now(), 1) FILTER (WHERE false))::text, NULL, 'so does a filter that passes none');
SELECT is((SELECT iaros.rfm_merge(s) FROM unnest('{NULL,NULL}'::iaros.rfm_state[]) s)::text, NULL, 'so do states that are NULL');
SELECT is(iaros.rfm_summary(NULL)::text, NULL, 'which has no summary');
SELECT is_empty($$SELECT * FROM iaros.rfm_rows(NULL)$$, 'and no rows');
SELECT results_eq(
    $$SELECT (iaros.rfm_summary(iaros.rfm_agg(7, '2026-01-01Z', 12.5))).*$$,
    $$VALUES (1::bigint, 1::bigint, 12.5, '2026-01-01Z'::timestamptz, '-infinity'::timestamptz, 'infinity'::timestamptz, 0::bigint, 0::bigint)$$, 'one row');
SELECT results_eq(
    $$SELECT (iaros.rfm_summary(iaros.rfm_agg(c, t::timestamptz, a))).*
      FROM (VALUES (1, '2026-01-01Z', NULL), (NULL, '2026-01-03Z', 5), (NULL, '2026-01-02Z', NULL), (1, NULL, 100), (NULL, NULL, 100)) AS v(c, t, a)$$,
    $$VALUES (1::bigint, 3::bigint, 5::numeric, '2026-01-03Z'::timestamptz, '-infinity'::timestamptz, 'infinity'::timestamptz, 2::bigint, 2::bigint)$$,
    'a NULL amount is a purchase, one without customer is kept apart, one without time only counted');
SELECT results_eq(
    $$SELECT (iaros.rfm_summary(iaros.rfm_agg(NULL, NULL, NULL))).*$$,
    $$VALUES (0::bigint, 0::bigint, 0::numeric, NULL::timestamptz, '-infinity'::timestamptz, 'infinity'::timestamptz, 0::bigint, 1::bigint)$$, 'nothing but NULL');
SELECT throws_ok(format('SELECT iaros.rfm_agg(1, %L, 1)', t), '22003', 'time of a purchase is not finite', t || ' is no time') FROM unnest('{infinity,-infinity}'::text[]) t;
SELECT throws_ok(format('SELECT iaros.rfm_agg(1, now(), %L)', a), '22003', 'amount of a purchase is not finite', a || ' is no amount') FROM unnest('{NaN,Infinity,-Infinity}'::text[]) a;
SELECT is((SELECT amount FROM iaros.rfm_summary((SELECT iaros.rfm_agg(1, now(), x) FROM unnest(ARRAY[1e131071, -1e131071, 1e-16383]) x))), 1e-16383, 'the largest and the smallest amounts');
SELECT results_eq(
    $$SELECT customer_id, recency_days FROM iaros.rfm_rows((SELECT iaros.rfm_agg(c, t::timestamptz, 1) FROM (VALUES
          (9223372036854775807, '294276-12-31 23:59:59.999999Z'), (-9223372036854775808, '4714-11-24 00:00:00Z BC'), (0, '2000-01-01Z')) AS v(c, t)),
      'ntile', '294276-12-31 23:59:59.999999Z') ORDER BY 1$$,
    $$VALUES (-9223372036854775808, 109203527), (0, 106751982), (9223372036854775807, 0)$$, 'the ends of customers and times');

-- Sums of 64 bits that overflow, on both sides, with and without customer.
SELECT is((SELECT array_agg(s.amount ORDER BY v.n) FROM (VALUES
        (1, '{600000000000000,600000000000000,1}'::numeric[]), (2, '{-600000000000000,-600000000000000,-1}'),
        (3, '{922337203685477.5807,0.0001,-922337203685477.5807}'), (4, '{-922337203685477.5808,-0.0001,0.0001,922337203685477.5808}')) AS v(n, amounts),
    LATERAL (SELECT iaros.rfm_agg(customer, '2026-01-01', x) AS state FROM unnest(v.amounts) x) AS a, iaros.rfm_summary(a.state) AS s),
    '{1200000000000001,-1200000000000001,0.0001,0}', format('sums beyond 64 bits, customer %s', coalesce(customer::text, 'NULL')))
FROM unnest('{1,NULL}'::integer[]) AS customer;
SELECT is((SELECT monetary FROM iaros.rfm_compute('SELECT 1, timestamptz ''2026-01-01'', x FROM unnest(''{600000000000000,600000000000000,1}''::numeric[]) x', 'ntile', '2026-01-01')),
    1200000000000001::numeric, 'also in rfm_compute()');
SELECT results_eq(
    $$SELECT (iaros.rfm_agg(1, '2026-01-01', x))::text FROM unnest('{922337203685477.5807,1,-1}'::numeric[]) x$$,
    $$SELECT (iaros.rfm_agg(1, '2026-01-01', x))::text FROM unnest('{922337203685477.5807,0,0}'::numeric[]) x$$, 'an amount that comes back into 64 bits is written as if it had never left them');

-- Against plain SQL.
SELECT is_empty(
    $$SELECT p.*, s FROM (
          SELECT customer_id, count(at) AS purchases, coalesce(sum(amount) FILTER (WHERE at IS NOT NULL), 0) AS amount, max(at) AS last_at, count(*) - count(at) AS without_time
          FROM iaros.t_purchase GROUP BY customer_id) AS p
      JOIN pg_temp.direct d ON d.customer_id IS NOT DISTINCT FROM p.customer_id CROSS JOIN iaros.rfm_summary(d.state) AS s
      WHERE (p.purchases, p.amount, p.last_at, p.without_time) IS DISTINCT FROM (s.purchases, s.amount, s.last_at, s.without_time)
         OR s.customers <> (p.customer_id IS NOT NULL)::integer OR s.without_customer <> CASE WHEN p.customer_id IS NULL THEN p.purchases ELSE 0 END$$,
    'rfm_agg() gives what count, sum and max give');
SELECT ok((SELECT count(*) = 98 AND count(*) FILTER (WHERE abs(s.amount) > 922337203685477) > 20 AND count(*) FILTER (WHERE abs(s.amount) < 922337203685477) > 20 FROM pg_temp.direct d, iaros.rfm_summary(d.state) s),
    'among them are many sums within 64 bits and many beyond');
SELECT is_empty(
    format($$(SELECT customer_id, recency_days, frequency, monetary, score::text, segment FROM iaros.rfm_rows((SELECT state FROM whole), %1$L, '2027-01-01')
      EXCEPT ALL SELECT customer_id, recency_days, frequency, monetary, score::text, segment FROM iaros.rfm_compute('iaros.t_purchase', %1$L, '2027-01-01', '100 years'))
      UNION ALL (SELECT customer_id, recency_days, frequency, monetary, score::text, segment FROM iaros.rfm_compute('iaros.t_purchase', %1$L, '2027-01-01', '100 years')
      EXCEPT ALL SELECT customer_id, recency_days, frequency, monetary, score::text, segment FROM iaros.rfm_rows((SELECT state FROM whole), %1$L, '2027-01-01'))$$, scheme),
    format('rfm_rows() gives what rfm_compute() gives, scheme %s', scheme))
FROM unnest('{threshold,quantile,ntile}'::text[]) AS scheme;

-- Splits and orders.
SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_merge(m.state) FROM (
        SELECT iaros.rfm_agg(customer_id, at, amount) AS state FROM iaros.t_purchase GROUP BY split) AS m)) = iaros.rfm_state_send(state),
    'merged from random splits it is the same, to the byte') FROM whole;
SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_merge(state) FROM pg_temp.direct)) = iaros.rfm_state_send(state), 'from a state a customer too') FROM whole;
SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_agg(customer_id, at, amount ORDER BY amount DESC, at, n) FROM iaros.t_purchase)) = iaros.rfm_state_send(state), 'the order of rows does not matter') FROM whole;
SELECT is_empty(
    $$SELECT a.n, b.n FROM (SELECT row_number() OVER () AS n, state FROM pg_temp.direct) a JOIN (SELECT row_number() OVER () AS n, state FROM pg_temp.direct) b ON a.n < b.n AND b.n < 12
      WHERE iaros.rfm_state_merge(a.state, b.state) OPERATOR(iaros.<>) iaros.rfm_state_merge(b.state, a.state)$$, 'nor does that of states');
SELECT ok(iaros.rfm_state_merge(state, NULL) OPERATOR(iaros.=) state AND iaros.rfm_state_merge(NULL, state) OPERATOR(iaros.=) state AND iaros.rfm_state_merge(NULL, NULL) IS NULL,
    'NULL adds nothing') FROM whole;
SELECT results_eq(
    $$SELECT t.purchases, t.amount, t.customers, t.without_time FROM whole, iaros.rfm_summary(iaros.rfm_state_merge(state, state)) t$$,
    $$SELECT 2 * t.purchases, 2 * t.amount, t.customers, 2 * t.without_time FROM whole, iaros.rfm_summary(state) t$$, 'a state merged with itself doubles');
SELECT ok(iaros.rfm_state_send(state) = iaros.rfm_state_send((SELECT iaros.rfm_agg(customer_id, at, amount) FROM iaros.t_purchase)), 'and is not changed by it') FROM whole;
CREATE TEMP TABLE sizes AS SELECT iaros.rfm_agg(n, '2026-01-01', 1) FILTER (WHERE n < 10) AS small, iaros.rfm_agg(n, '2026-01-01', 1) AS large FROM generate_series(1, 700000) AS n;
CREATE FUNCTION pg_temp.merged_in_time() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iaros.rfm_summary(iaros.rfm_state_merge(s.small, s.large)) FROM sizes s;
    RETURN true;
EXCEPTION WHEN query_canceled THEN
    RETURN false;
END $$;
SET LOCAL statement_timeout = '6s';
SELECT ok(pg_temp.merged_in_time(), 'a small state takes a large one as soon as a large one a small one');
SET LOCAL statement_timeout = 0;

-- Kinds of aggregates.
SELECT is_empty(
    $$SELECT w.n FROM (
          SELECT n, split, customer_id, at, amount, iaros.rfm_agg(customer_id, at, amount) OVER (PARTITION BY split ORDER BY n) AS running,
              iaros.rfm_agg(customer_id, at, amount) OVER (PARTITION BY split ORDER BY n ROWS BETWEEN 5 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW) AS moving
          FROM iaros.t_purchase WHERE n <= 200) AS w
      CROSS JOIN LATERAL (
          SELECT iaros.rfm_agg(p.customer_id, p.at, p.amount) FILTER (WHERE p.n <= w.n) AS running, iaros.rfm_agg(p.customer_id, p.at, p.amount) FILTER (WHERE p.place BETWEEN w2.place - 5 AND w2.place + 2 AND p.n <> w.n) AS moving
          FROM (SELECT *, row_number() OVER (ORDER BY n) AS place FROM iaros.t_purchase p WHERE p.n <= 200 AND p.split = w.split) AS p
          CROSS JOIN (SELECT count(*) AS place FROM iaros.t_purchase p WHERE p.n <= w.n AND p.split = w.split) AS w2) AS x
      WHERE w.running::text <> x.running::text OR w.moving::text IS DISTINCT FROM x.moving::text$$, 'as a window it is the state of the rows of the frame');
SELECT results_eq(
    $$SELECT split, iaros.rfm_agg(customer_id, at, amount)::text, iaros.rfm_agg(DISTINCT customer_id, at, amount)::text, iaros.rfm_agg(customer_id, at, amount) FILTER (WHERE n % 2 = 0)::text
      FROM iaros.t_purchase GROUP BY ROLLUP (split) ORDER BY split$$,
    $$SELECT x.split, (SELECT iaros.rfm_agg(customer_id, at, amount) FROM iaros.t_purchase t WHERE x.split IS NULL OR t.split = x.split)::text,
          (SELECT iaros.rfm_agg(customer_id, at, amount) FROM (SELECT DISTINCT customer_id, at, amount FROM iaros.t_purchase t WHERE x.split IS NULL OR t.split = x.split) AS d)::text,
          (SELECT iaros.rfm_agg(customer_id, at, amount) FROM iaros.t_purchase t WHERE (x.split IS NULL OR t.split = x.split) AND n % 2 = 0)::text
      FROM (SELECT DISTINCT split FROM iaros.t_purchase UNION ALL SELECT NULL) AS x(split) ORDER BY x.split$$, 'with ROLLUP, DISTINCT and FILTER');
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || statement; END $$;
SELECT is((SELECT count(*) FROM pg_temp.plan_of('SELECT iaros.rfm_agg(customer_id, at, amount) FROM iaros.t_purchase') AS line WHERE line ~ 'Partial Aggregate|Finalize Aggregate'), 2::bigint, 'the aggregate can run in parallel');
SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_agg(customer_id, at, amount) FROM iaros.t_purchase)) = iaros.rfm_state_send(state), 'and gives the same bytes') FROM whole;
SELECT is_empty($$SELECT customer_id FROM (SELECT customer_id, iaros.rfm_agg(customer_id, at, amount) AS state FROM iaros.t_purchase GROUP BY customer_id) AS p JOIN
    (SELECT customer_id, iaros.rfm_agg(customer_id, at, amount ORDER BY n) AS state FROM iaros.t_purchase GROUP BY customer_id) AS d USING (customer_id) WHERE p.state::text <> d.state::text$$, 'also in groups');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- Forms.
SELECT is_empty($$SELECT state FROM pg_temp.direct WHERE state::text::iaros.rfm_state::text <> state::text OR state::text::iaros.rfm_state OPERATOR(iaros.<>) state$$, 'the text form reads back to the same value');
CREATE TABLE iaros.t_state AS SELECT customer_id, state FROM pg_temp.direct;
CREATE TABLE iaros.t_state_copy (LIKE iaros.t_state);
\set file `mktemp -u /tmp/iaros_rfm_state.XXXXXXXX`
COPY iaros.t_state TO :'file' (FORMAT binary);
COPY iaros.t_state_copy FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`
SELECT set_eq('SELECT customer_id, state::text FROM iaros.t_state_copy', 'SELECT customer_id, state::text FROM iaros.t_state', 'so does the binary form');
SELECT is((SELECT count(*) FROM iaros.t_state_copy), 98::bigint, 'of all of them');
CREATE TEMP TABLE large AS
SELECT iaros.rfm_agg(((n * 982451653::numeric * 1000003 * 7919) % 9223372036854775783)::bigint, timestamptz '2024-01-01Z' + random() * interval '730 days', round((random() * 5000)::numeric, 2)) AS state
FROM generate_series(1, 30000) AS n WHERE n % 3 = 0;
SELECT results_eq($$SELECT s.customers, s.purchases FROM large, iaros.rfm_summary(state) s$$, $$VALUES (10000::bigint, 10000::bigint)$$, '10,000 customers with random numbers and times to the microsecond');
SELECT cmp_ok(pg_column_size(state), '<=', 24 * 10000, 'take 24 bytes each at most') FROM large;
SELECT cmp_ok(pg_column_size((SELECT iaros.rfm_agg(n, date '2026-01-01' - n % 300, n % 50) FROM generate_series(1, 10000) AS n)), '<', 7 * 10000, 'and less than 7 with round times and amounts');
SELECT throws_ok(format('SELECT %L::iaros.rfm_state', t), '22P02', 'invalid input syntax for type rfm_state', format('"%s" is no form of a state', t)) FROM unnest('{"",01,\\x,x}'::text[]) t WHERE t <> '\x';
SELECT throws_ok(format('SELECT %L::iaros.rfm_state', '\x' || replace(t, ' ', '')), '22P03', 'invalid rfm_state', format('%s: %s', t, why))
FROM (VALUES
    ('', 'no byte'),
    ('02 8000000000000000 7fffffffffffffff 00 00 00', 'another version'),
    ('01 7fffffffffffffff 8000000000000000 00 00 00', 'an empty window'),
    ('01 8000000000000000 7fffffffffffffff 00 02 00', 'a flag that is none'),
    ('01 8000000000000000 7fffffffffffffff 00 00 00 00', 'a byte too many'),
    ('01 8000000000000000 7fffffffffffffff 00 00 ffffffff7f', 'more customers than bytes'),
    ('01 8000000000000000 7fffffffffffffff ffffffffffffffffff01 00 00', 'more purchases without time than a number holds'),
    ('01 8000000000000000 7fffffffffffffff 00 01 0000000000000000 01 03 612e31 00', 'an amount that is no number'),
    ('01 8000000000000000 7fffffffffffffff 00 01 0000000000000000 01 03 4e614e 00', 'an amount that is not finite'),
    ('01 8000000000000000 7fffffffffffffff 00 00 01 0000000000000001 7fffffffffffffff 01 00 00 00 02 02', 'an infinite time'),
    ('01 8000000000000000 0000000000000000 00 00 01 0000000000000001 0000000000000001 01 00 00 00 02 02', 'a time after the window'),
    ('01 0000000000000001 7fffffffffffffff 00 00 01 0000000000000001 0000000000000001 01 00 00 00 02 02', 'purchases before the window'),
    ('01 8000000000000000 7fffffffffffffff 00 00 01 0000000000000001 0000000000000001 00 00 00 00 02 02', 'no unit of time'),
    ('01 8000000000000000 7fffffffffffffff 00 00 01 0000000000000001 0000000000000001 01 05 00 00 02 02', 'too many decimals'),
    ('01 8000000000000000 7fffffffffffffff 00 00 02 0000000000000001 0000000000000001 01 00 00 00 02 02 00 00 02 02', 'a customer twice'),
    ('01 8000000000000000 7fffffffffffffff 00 00 02 7fffffffffffffff 0000000000000001 01 00 00 00 02 02 01 00 02 02', 'a customer beyond 64 bits')) AS v(t, why);
SELECT lives_ok($$SELECT '\x0180000000000000007fffffffffffffff00000100000000000000010000000000000001010000000202'::iaros.rfm_state$$, 'and these but for their faults are taken');
SELECT throws_ok($$SELECT iaros.rfm_state_merge(s, s) FROM (SELECT '\x0180000000000000007fffffffffffffffffffffffffffffff7f0000'::iaros.rfm_state AS s) AS x$$, '22003', NULL, 'purchases without time beyond 64 bits are an error');

-- Equality.
SELECT ok(state OPERATOR(iaros.=) state AND NOT state OPERATOR(iaros.<>) state, 'a state is equal to itself') FROM whole;
SELECT ok(iaros.rfm_agg(1, '2026-01-01', 5.00) OPERATOR(iaros.=) iaros.rfm_agg(1, '2026-01-01', 5) AND iaros.rfm_agg(1, '2026-01-01', 1e20) OPERATOR(iaros.=) iaros.rfm_agg(1, '2026-01-01', '100000000000000000000.000000'),
    'decimals that are zero make no difference');
SELECT is((SELECT count(DISTINCT s::text) FROM unnest(ARRAY[
        (SELECT iaros.rfm_agg(1, '2026-01-01', 5)), (SELECT iaros.rfm_agg(2, '2026-01-01', 5)), (SELECT iaros.rfm_agg(1, '2026-01-02', 5)), (SELECT iaros.rfm_agg(1, '2026-01-01', 5.0001)), (SELECT iaros.rfm_agg(1, '2026-01-01', 5.00001)),
        (SELECT iaros.rfm_agg(NULL, '2026-01-01', 5)), (SELECT iaros.rfm_agg(1, NULL, 5)), (SELECT iaros.rfm_agg(1, '2026-01-01', 5, NULL, '2027-01-01'))]) AS s), 8::bigint, 'all else does');

-- Windows.
SELECT results_eq(
    $$SELECT (iaros.rfm_summary(iaros.rfm_agg(c, t::timestamptz, 1, '2026-01-01Z', '2026-02-01Z'))).*
      FROM (VALUES (1, '2026-01-01Z'), (1, '2026-01-01 00:00:00.000001Z'), (1, '2026-02-01Z'), (1, '2026-02-01 00:00:00.000001Z'), (2, '2025-01-01Z'), (3, '2026-03-01Z'), (NULL, '2025-06-01Z')) AS v(c, t)$$,
    $$VALUES (2::bigint, 2::bigint, 2::numeric, '2026-02-01Z'::timestamptz, '2026-01-01Z'::timestamptz, '2026-02-01Z'::timestamptz, 0::bigint, 0::bigint)$$,
    'a window is (since, until]; purchases before it count for the last one only, those after not at all');
SELECT results_eq(
    $$SELECT customer_id, recency_days, frequency, monetary FROM iaros.rfm_rows((SELECT iaros.rfm_agg(c, t::timestamptz, 1, '2026-01-01Z', '2026-02-01Z')
      FROM (VALUES (1, '2026-01-11Z'), (2, '2025-02-01Z'), (NULL, '2025-06-01Z')) AS v(c, t)), 'ntile', '2026-02-01Z') ORDER BY 1$$,
    $$VALUES (1::bigint, 21, 1::bigint, 1::numeric), (2, 365, 0, 0), (NULL, 245, 0, 0)$$, 'as its rows say');
SELECT throws_ok($$SELECT iaros.rfm_agg(1, 'infinity', 1, '2026-01-01Z', '2026-02-01Z')$$, '22003', NULL, 'an infinite time is no time after the window');
SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_merge(iaros.rfm_state_since(d.state, '2024-03-01Z')) FROM (
        SELECT iaros.rfm_agg(customer_id, at, amount) AS state FROM iaros.t_purchase GROUP BY date_trunc('day', at AT TIME ZONE 'UTC' - interval '1 microsecond')) AS d))
    = iaros.rfm_state_send((SELECT iaros.rfm_agg(customer_id, at, amount, '2024-03-01Z', NULL) FROM iaros.t_purchase)),
    'states of days whose window is made to begin later add up to the aggregate with that window');
SELECT throws_ok($$SELECT iaros.rfm_state_since(iaros.rfm_agg(1, '2026-01-01', 1, '2025-01-01', '2026-02-01'), '2024-12-31')$$, '22023', NULL, 'not earlier');
SELECT throws_ok($$SELECT iaros.rfm_state_since(iaros.rfm_agg(1, '2026-01-01', 1, '2025-01-01', '2026-02-01'), '2026-02-01')$$, '22023', NULL, 'and not at the end');
SELECT is(iaros.rfm_state_send(iaros.rfm_state_merge(iaros.rfm_state_since(iaros.rfm_agg(1, '2025-01-01', 1e30), '2025-06-01'), iaros.rfm_agg(1, '2026-01-01', 1e-9, '2025-06-01', NULL))),
    iaros.rfm_state_send(iaros.rfm_agg(1, '2026-01-01', 1e-9, '2025-06-01', NULL)), 'of a wide amount before the window nothing is left');

-- Rows that take back, times that are none, columns that are not asked for.
SELECT results_eq($$SELECT customer_id, recency_days, frequency, monetary FROM iaros.rfm_compute(
        $q$SELECT * FROM (VALUES (1, timestamptz '2025-12-01', 500, 1), (1, '2025-12-20', -500, -1), (1, '2025-11-01', 70, 1)) AS v(customer_id, at, amount, purchases)$q$, 'ntile', '2026-01-01')$$,
    $$VALUES (1::bigint, 31, 1::bigint, 70::numeric)$$, 'a purchase that is taken back is none, and to take it back is not to buy');
SELECT throws_ok($$SELECT * FROM iaros.rfm_compute($q$SELECT 1 AS customer_id, now() AS at, 5 AS amount, -1 AS purchases$q$, 'ntile_12_months')$$, '22003', NULL, 'there must be one to take back');
SELECT throws_ok($$SELECT * FROM iaros.rfm_compute($q$SELECT 1, 'infinity'::timestamptz, 5$q$, 'ntile', '2026-01-01')$$, '22003', NULL, 'infinity is no time after as_of');
SELECT throws_ok($$SELECT * FROM iaros.rfm_compute($q$SELECT 1, 'infinity'::date, 5$q$, 'ntile', '2026-01-01')$$, '22003', NULL, 'nor as a date');
SELECT results_eq($$SELECT frequency FROM iaros.rfm_compute($q$SELECT 1 AS id, now() AS paid, 5 AS total, 'x'::text AS purchases, 7 AS score$q$, 'ntile', columns => '{id, paid, total}', changed_only => true)$$,
    $$VALUES (1::bigint)$$, 'a column of our names means nothing where columns are named');

-- A condition that changes does not compute the rows again.
CREATE FUNCTION pg_temp.counted() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('iaros.t_calls');
    RETURN true;
END $$;
CREATE SEQUENCE iaros.t_calls;
SELECT ok((SELECT bool_and((SELECT count(*) FROM iaros.rfm_compute('SELECT customer_id, at, amount FROM iaros.t_purchase WHERE pg_temp.counted() LIMIT 10', 'ntile', '2026-01-01') c WHERE c.customer_id >= x.x) <= 10)
        FROM generate_series(1, 5) AS x(x)) AND (SELECT last_value FROM iaros.t_calls) = 10, 'rows are computed once for all values of a condition');

SELECT ok(iaros.rfm_state_send((SELECT iaros.rfm_merge(m.state) FROM (SELECT iaros.rfm_agg(customer_id, at, amount, '2022-01-01Z', '2024-01-01Z') AS state FROM iaros.t_purchase GROUP BY split) AS m))
    = iaros.rfm_state_send((SELECT iaros.rfm_agg(customer_id, at, amount, '2022-01-01Z', '2024-01-01Z') FROM iaros.t_purchase)), 'states of one window can be merged');
SELECT throws_ok($$SELECT iaros.rfm_agg(1, '2026-01-01', 1, '2026-01-01', t) FROM unnest('{2026-02-01,2026-03-01}'::timestamptz[]) t$$, '22023', 'the window of an rfm_state must not change', 'a window cannot change from row to row');
SELECT throws_ok($$SELECT iaros.rfm_agg(1, '2026-01-01', 1, '2026-02-01', '2026-02-01')$$, '22023', 'the window of an rfm_state is empty', 'nor be empty');
SELECT throws_ok($$SELECT iaros.rfm_state_merge(iaros.rfm_agg(1, '2026-01-01', 1), iaros.rfm_agg(1, '2026-01-01', 1, NULL, '2027-01-01'))$$, '22023', 'rfm_state values of different windows cannot be merged', 'states of different windows cannot be merged');
SELECT matches(pg_temp.detail_of(format('SELECT iaros.rfm_state_merge(iaros.rfm_agg(1, ''2026-01-01'', 1, %L, %L), iaros.rfm_agg(1, ''2026-01-01'', 1, %L, %L))', w[1], w[2], w[3], w[4])), format('%s.*%s', w[5], w[6]), format('the error tells of %s and %s', w[5], w[6]))
FROM (VALUES ('{2025-01-01,2027-01-01,2024-01-01,2027-01-01,2025-01-01,2024-01-01}'::text[]), ('{2025-01-01,2027-01-01,2025-01-01,2028-01-01,2027-01-01,2028-01-01}')) AS v(w);

-- Reading.
SELECT throws_like($$SELECT * FROM iaros.rfm_rows((SELECT iaros.rfm_agg(1, '2026-01-02Z', 1)), 'ntile', '2026-01-01Z')$$, 'the rfm_state holds purchases after 2026-01-01 %', 'purchases after as_of are an error');
SELECT throws_like($$SELECT * FROM iaros.rfm_rows((SELECT iaros.rfm_agg(NULL, '2026-01-02Z', 1)), 'ntile', '2026-01-01Z')$$, 'the rfm_state holds purchases after 2026-01-01 %', 'also those without customer');
SELECT * FROM finish();
ROLLBACK;
