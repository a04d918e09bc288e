-- analytics: funnels and retention as aggregates against what their words say,
-- counted in plain SQL; splits, plans and windows; bytes from outside; the
-- reports over our own tables.
BEGIN;
SELECT plan(114);

-- Random events: few customers with many, close together, at the same moment,
-- some of no step, some without customer or time.
CREATE FUNCTION pg_temp.chance(n integer, draw integer, below integer) RETURNS integer LANGUAGE sql AS
$$ SELECT floor(iaros.chance(n, 4711, draw) * below)::integer $$;
CREATE TABLE iaros.t_act AS
SELECT n, CASE WHEN n % 50 = 7 THEN NULL ELSE pg_temp.chance(n, 1, 97) * 1000003 - 40000000 END::bigint AS customer_id,
    CASE WHEN n % 61 = 5 THEN NULL ELSE timestamptz '2026-01-01Z' + pg_temp.chance(n, 2, 400) * interval '1 hour'
        + CASE WHEN n % 3 = 0 THEN pg_temp.chance(n, 3, 1000000) ELSE 0 END * interval '1 microsecond' END AS at,
    nullif(pg_temp.chance(n, 4, 8) - 1, -1) AS step,
    pg_temp.chance(n, 5, 6) AS split
FROM generate_series(1, 3000) AS n;
CREATE TEMP TABLE whole AS SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM iaros.t_act;
CREATE TEMP TABLE seen AS
SELECT customer_id, at, step, row_number() OVER (PARTITION BY customer_id ORDER BY at, step) AS place
FROM (SELECT DISTINCT customer_id, at, coalesce(step, 0) AS step FROM iaros.t_act WHERE customer_id IS NOT NULL AND at IS NOT NULL) AS d;
CREATE INDEX ON seen (customer_id, step, at);
ANALYZE seen;

-- All attempts of all customers, each as the times of its steps.
CREATE FUNCTION pg_temp.ordered(n integer, span interval) RETURNS TABLE (customer_id bigint, ats timestamptz[]) LANGUAGE sql AS $$
    WITH RECURSIVE a(customer_id, ats) AS (
        SELECT s.customer_id, ARRAY[s.at] FROM seen s WHERE s.step = 1
        UNION ALL
        SELECT a.customer_id, a.ats || x.at FROM a
        CROSS JOIN LATERAL (SELECT min(s.at) AS at FROM seen s WHERE s.customer_id = a.customer_id AND s.step = cardinality(a.ats) + 1
            AND s.at >= a.ats[cardinality(a.ats)] AND s.at <= a.ats[1] + span) AS x
        WHERE x.at IS NOT NULL AND cardinality(a.ats) < n)
    SELECT * FROM a $$;
CREATE FUNCTION pg_temp.strict(n integer, span interval) RETURNS TABLE (customer_id bigint, ats timestamptz[]) LANGUAGE sql AS $$
    WITH RECURSIVE a(customer_id, ats, place) AS (
        SELECT s.customer_id, ARRAY[s.at], s.place FROM seen s WHERE s.step = 1
        UNION ALL
        SELECT a.customer_id, a.ats || s.at, s.place FROM a
        JOIN seen s ON s.customer_id = a.customer_id AND s.place = a.place + 1 AND s.step = cardinality(a.ats) + 1 AND s.at <= a.ats[1] + span
        WHERE cardinality(a.ats) < n)
    SELECT a.customer_id, a.ats FROM a $$;
CREATE FUNCTION pg_temp.unordered(n integer, span interval) RETURNS TABLE (customer_id bigint, ats timestamptz[]) LANGUAGE sql AS $$
    SELECT s.customer_id, (SELECT array_agg(l.at ORDER BY l.at) FROM (
            SELECT max(o.at) AS at FROM seen o WHERE o.customer_id = s.customer_id AND o.step BETWEEN 1 AND n AND (o.at, o.step) <= (s.at, s.step)
            GROUP BY o.step) AS l WHERE l.at >= s.at - span)
    FROM seen s WHERE s.step BETWEEN 1 AND n $$;
-- The best attempt of each customer: the furthest, the first to get there, the last to begin.
CREATE FUNCTION pg_temp.best(n integer, span interval, mode text) RETURNS TABLE (customer_id bigint, ats timestamptz[]) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT DISTINCT ON (customer_id) customer_id, ats FROM pg_temp.%I($1, $2)
        ORDER BY customer_id, cardinality(ats) DESC, ats[cardinality(ats)], ats DESC', mode) USING n, span;
END $$;
CREATE TEMP TABLE asked AS
SELECT row_number() OVER () AS id, n, span, mode FROM unnest('{1,3,6}'::integer[]) AS n, unnest('{0,1 h,26 h,4 days 3 h,900 days}'::interval[]) AS span,
    unnest('{ordered,strict,unordered}'::text[]) AS mode;
CREATE TEMP TABLE best AS SELECT a.id, b.customer_id, b.ats, cardinality(b.ats) AS level FROM asked a, pg_temp.best(a.n, a.span, a.mode) b;
CREATE FUNCTION pg_temp.microseconds(i interval) RETURNS numeric LANGUAGE sql AS $$ SELECT (extract(epoch FROM i) * 1000000)::numeric(30) $$;

SELECT cmp_ok(count(DISTINCT (level, a.mode)), '>', 12::bigint, 'the random events reach many levels in each mode') FROM best JOIN asked a USING (id);
SELECT is_empty($$(SELECT a.id, f.customer_id, f.step, f.started_at, f.reached_at FROM asked a, iaros.funnel_customers((SELECT state FROM whole), a.n, a.span, a.mode) f
        EXCEPT ALL SELECT id, customer_id, level, ats[1], ats[level] FROM best)
    UNION ALL (SELECT id, customer_id, level, ats[1], ats[level] FROM best
        EXCEPT ALL SELECT a.id, f.customer_id, f.step, f.started_at, f.reached_at FROM asked a, iaros.funnel_customers((SELECT state FROM whole), a.n, a.span, a.mode) f)$$,
    'funnel_customers() gives the best of all attempts, in every mode, window and length');
SELECT is_empty($$WITH ours AS (
        SELECT a.id, f.step, f.customers, f.from_previous, f.from_first, pg_temp.microseconds(f.median_time) AS median, pg_temp.microseconds(f.mean_time) AS mean
        FROM asked a, whole w, iaros.funnel_rows(w.state, a.n, NULL, a.span, a.mode) f
    ), plain AS (
        SELECT a.id, g.step, count(*) FILTER (WHERE b.level >= g.step) AS customers,
            round(count(*) FILTER (WHERE b.level >= g.step) / nullif(count(*) FILTER (WHERE b.level >= g.step - 1), 0)::numeric, 4) AS from_previous,
            round(count(*) FILTER (WHERE b.level >= g.step) / nullif(count(*) FILTER (WHERE b.level >= 1), 0)::numeric, 4) AS from_first,
            floor(percentile_cont(0.5) WITHIN GROUP (ORDER BY pg_temp.microseconds(b.ats[g.step] - b.ats[g.step - 1])::float8))::numeric AS median,
            floor(avg(pg_temp.microseconds(b.ats[g.step] - b.ats[g.step - 1]))) AS mean
        FROM asked a CROSS JOIN LATERAL generate_series(1, a.n) AS g(step) LEFT JOIN best b ON b.id = a.id
        GROUP BY a.id, g.step
    ), plain_rows AS (
        SELECT id, step, customers, CASE WHEN step > 1 THEN from_previous END, from_first, median, mean FROM plain
    ) (TABLE ours EXCEPT ALL TABLE plain_rows) UNION ALL (TABLE plain_rows EXCEPT ALL TABLE ours)$$,
    'funnel_rows() counts them, with rates and times');
SELECT results_eq('SELECT step, name, customers FROM whole, iaros.funnel_rows(state, names => ''{a,NULL,c}'')', 'SELECT step, (ARRAY[''a'', NULL, ''c''])[step], customers FROM whole, iaros.funnel_rows(state, 3)', 'names say how many steps there are');
SELECT is(count(*), 6::bigint, 'the state too') FROM whole, iaros.funnel_rows(state);
SELECT results_eq('SELECT f.* FROM iaros.funnel_rows(NULL, 2) f', 'SELECT * FROM (VALUES (1, NULL::text, 0::bigint, NULL::numeric, NULL::numeric, NULL::interval, NULL::interval), (2, NULL, 0, NULL, NULL, NULL, NULL)) v', 'a NULL state has nobody');
SELECT is_empty('SELECT * FROM iaros.funnel_rows(NULL) UNION ALL SELECT customer_id, NULL, NULL, NULL, NULL, NULL, NULL FROM iaros.funnel_customers(NULL)', 'and no steps by itself');
SELECT results_eq($$SELECT customer_id, step FROM iaros.funnel_customers((SELECT iaros.funnel_agg(1, '2026-01-01', s) FROM unnest('{3,2,1}'::integer[]) s))$$, 'VALUES (1::bigint, 3)', 'steps at one moment follow each other');
SELECT results_eq($$SELECT customers FROM iaros.funnel_rows((SELECT iaros.funnel_agg(c, at::timestamptz, s) FROM (VALUES (1, '2026-01-01Z', 1), (1, '2026-01-08Z', 2), (2, '2026-01-01Z', 1), (2, '2026-01-08 00:00:00.000001Z', 2)) v(c, at, s)))$$,
    'VALUES (2::bigint), (1)', 'the end of the window is within it');
SELECT results_eq($$SELECT mode, customers FROM unnest('{ordered,strict}'::text[]) AS mode, iaros.funnel_rows((SELECT iaros.funnel_agg(1, '2026-01-01Z'::timestamptz + n * interval '1 h', s) FROM unnest('{1,0,2}'::integer[]) WITH ORDINALITY AS u(s, n)), 2, mode => mode) WHERE step = 2$$,
    $$VALUES ('ordered', 1::bigint), ('strict', 0)$$, 'an event of no step matters in mode strict only');
SELECT results_eq($$SELECT customers FROM iaros.funnel_rows((SELECT iaros.funnel_agg(c, '2026-01-01Z'::timestamptz + s * interval '1 s', s) FROM generate_series(1, 3) AS c, generate_series(1, 63) AS s WHERE s <= 61 + c)) WHERE step >= 62$$, 'VALUES (3::bigint), (2)', '63 steps are possible');
SELECT results_eq($$SELECT customer_id, step, started_at FROM iaros.funnel_customers((SELECT iaros.funnel_agg(c, at::timestamptz, 1)
        FROM (VALUES (9223372036854775807, '2566-01-01Z'), (-9223372036854775807 - 1, '2000-01-01Z BC'), (0, '6000-01-01Z')) v(c, at)))$$,
    $$VALUES (-9223372036854775807 - 1, 1, '2000-01-01Z BC'::timestamptz), (0, 1, '6000-01-01Z'), (9223372036854775807, 1, '2566-01-01Z')$$, 'the ends of both numbers');

-- Splits, orders, plans.
SELECT ok((SELECT iaros.funnel_merge(m.state) FROM (SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM iaros.t_act GROUP BY split) AS m) OPERATOR(iaros.=) state, 'merged from random splits it is the same') FROM whole;
SELECT ok((SELECT iaros.funnel_merge(m.state) FROM (SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM iaros.t_act GROUP BY date_trunc('day', at)) AS m) OPERATOR(iaros.=) state, 'from days') FROM whole;
SELECT ok((SELECT iaros.funnel_merge(m.state) FROM (SELECT iaros.funnel_agg(customer_id, at, step) AS state FROM iaros.t_act, generate_series(1, 3) AS i WHERE split <> i GROUP BY i) AS m) OPERATOR(iaros.=) state, 'from parts that overlap') FROM whole;
SELECT ok((SELECT iaros.funnel_agg(customer_id, at, step ORDER BY n DESC) FROM iaros.t_act) OPERATOR(iaros.=) state, 'the order of rows does not matter') FROM whole;
SELECT ok((SELECT iaros.funnel_agg(customer_id, at, step) FROM (SELECT * FROM iaros.t_act UNION ALL SELECT * FROM iaros.t_act) AS d) OPERATOR(iaros.=) state, 'nor does an event that is given twice') FROM whole;
SELECT ok(iaros.funnel_state_merge(state, NULL) OPERATOR(iaros.=) state AND iaros.funnel_state_merge(NULL, state) OPERATOR(iaros.=) state AND iaros.funnel_state_merge(NULL, NULL) IS NULL AND iaros.funnel_state_merge(state, state) OPERATOR(iaros.=) state, 'NULL adds nothing, a state nothing to itself') FROM whole;
SELECT is((SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act WHERE false)::text, NULL, 'no rows give NULL');
SELECT is((SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act WHERE customer_id IS NULL OR at IS NULL)::text, NULL, 'rows without customer or time too');
SELECT is((SELECT iaros.funnel_merge(s) FROM unnest('{NULL,NULL}'::iaros.funnel_state[]) AS s)::text, NULL, 'and states that are NULL');
SELECT ok(iaros.funnel_agg(1, '2026-01-01', NULL) OPERATOR(iaros.=) iaros.funnel_agg(1, '2026-01-01', 0), 'NULL is no step, as 0 is');
SELECT is((SELECT count(DISTINCT s::text) FROM unnest(ARRAY[(SELECT iaros.funnel_agg(1, '2026-01-01Z', 0)), (SELECT iaros.funnel_agg(1, '2026-01-01Z', 1)), (SELECT iaros.funnel_agg(1, '2026-01-02Z', 1)), (SELECT iaros.funnel_agg(2, '2026-01-02Z', 1))]) AS s), 4::bigint, 'customer, time and step make a difference');
SELECT is_empty(
    $$SELECT w.n FROM (
          SELECT n, split, iaros.funnel_agg(customer_id, at, step) OVER (PARTITION BY split ORDER BY n) AS running,
              iaros.funnel_agg(customer_id, at, step) OVER (PARTITION BY split ORDER BY n ROWS BETWEEN 5 PRECEDING AND 2 FOLLOWING) AS moving,
              array_agg(n) OVER (PARTITION BY split ORDER BY n) AS running_rows, array_agg(n) OVER (PARTITION BY split ORDER BY n ROWS BETWEEN 5 PRECEDING AND 2 FOLLOWING) AS moving_rows
          FROM iaros.t_act WHERE n <= 300) AS w
      WHERE w.running::text IS DISTINCT FROM (SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act WHERE n = ANY (w.running_rows))::text
         OR w.moving::text IS DISTINCT FROM (SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act WHERE n = ANY (w.moving_rows))::text$$, 'as a window it is the state of the rows of the frame');
SELECT is_empty(
    $$SELECT w.n FROM (SELECT n, iaros.funnel_agg(customer_id, at, step) OVER (ORDER BY n) AS state, array_agg(n) OVER (ORDER BY n) AS frame FROM iaros.t_act WHERE n <= 200) AS w
      WHERE (SELECT sum(customers) FROM iaros.funnel_rows(w.state, 6)) IS DISTINCT FROM (SELECT sum(customers) FROM iaros.funnel_rows((SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act WHERE n = ANY (w.frame)), 6))$$, 'which can be read between its rows');
SELECT results_eq(
    $$SELECT split, iaros.funnel_agg(customer_id, at, step)::text, iaros.funnel_agg(DISTINCT customer_id, at, step)::text, iaros.funnel_agg(customer_id, at, step) FILTER (WHERE n % 2 = 0)::text
      FROM iaros.t_act GROUP BY ROLLUP (split) ORDER BY split$$,
    $$SELECT x.split, s.state, s.state, (SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act t WHERE (x.split IS NULL OR t.split = x.split) AND n % 2 = 0)::text
      FROM (SELECT DISTINCT split FROM iaros.t_act UNION ALL SELECT NULL) AS x(split)
      CROSS JOIN LATERAL (SELECT iaros.funnel_agg(customer_id, at, step)::text AS state FROM iaros.t_act t WHERE x.split IS NULL OR t.split = x.split) AS s ORDER BY x.split$$, 'with ROLLUP, DISTINCT and FILTER');
CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || statement; END $$;
CREATE TEMP TABLE grouped AS SELECT split, iaros.funnel_agg(customer_id, at, step)::text AS state, iaros.retention_agg(customer_id, n)::text AS retention FROM iaros.t_act GROUP BY split;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SELECT is((SELECT count(*) FROM pg_temp.plan_of('SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act') AS line WHERE line ~ 'Partial Aggregate|Finalize Aggregate'), 2::bigint, 'the aggregate can run in parallel');
SELECT ok((SELECT iaros.funnel_agg(customer_id, at, step) FROM iaros.t_act) OPERATOR(iaros.=) state, 'and gives the same') FROM whole;
SELECT is_empty('SELECT split, iaros.funnel_agg(customer_id, at, step)::text, iaros.retention_agg(customer_id, n)::text FROM iaros.t_act GROUP BY split EXCEPT ALL TABLE grouped', 'also in groups, as retention does');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- Many events of one customer, in an order that is none, in all modes.
CREATE TEMP TABLE one AS
SELECT iaros.funnel_agg(7, timestamptz '2026-01-01Z' + (n * 48271::bigint % 100003) * interval '1 second', 1 + n % 2) AS state FROM generate_series(1, 100000) AS n;
SELECT results_eq('SELECT mode, customers FROM one, unnest(''{ordered,strict,unordered}''::text[]) AS mode, iaros.funnel_rows(state, 2, mode => mode) WHERE step = 2', $$VALUES ('ordered', 1::bigint), ('strict', 1), ('unordered', 1)$$, '100,000 events of one customer');
SELECT cmp_ok(pg_column_size(state), '<', 200100, 'take 2 bytes each') FROM one;
SELECT ok((SELECT iaros.funnel_merge(s) FROM (SELECT iaros.funnel_agg(7, timestamptz '2026-01-01Z' + (n * 48271::bigint % 100003) * interval '1 second', 1 + n % 2) AS s FROM generate_series(1, 100000) AS n GROUP BY n % 300) AS m) OPERATOR(iaros.=) state, 'merged from 300 parts they are the same') FROM one;
SELECT cmp_ok(pg_column_size(state), '<', 8 * (SELECT count(*) FROM seen)::integer, 'a random event takes less than 8') FROM whole;

-- Retention.
CREATE TABLE iaros.t_period AS
SELECT n, CASE WHEN n % 50 = 7 THEN NULL ELSE pg_temp.chance(n, 6, 150) END::bigint AS customer_id,
    CASE WHEN n % 61 = 5 THEN NULL ELSE 100 + pg_temp.chance(n, 7, 5 + pg_temp.chance(n, 6, 150) / 6) END AS period,
    (ARRAY[true, false, false, NULL])[1 + pg_temp.chance(n, 8, 4)] AS starts, pg_temp.chance(n, 9, 5) AS split
FROM generate_series(1, 1500) AS n;
CREATE TEMP TABLE kept AS SELECT iaros.retention_agg(customer_id, period) AS first, iaros.retention_agg(customer_id, period, starts) AS started FROM iaros.t_period;
CREATE FUNCTION pg_temp.retention(periods integer, later boolean, last integer, by_start boolean) RETURNS TABLE (cohort integer, period integer, customers bigint, retained bigint, rate numeric) LANGUAGE sql AS $$
    WITH a AS (SELECT DISTINCT customer_id, period, NOT by_start OR starts IS TRUE AS starts FROM iaros.t_period WHERE period <= last AND customer_id IS NOT NULL),
    c AS (SELECT customer_id, min(period) AS cohort FROM a WHERE starts GROUP BY customer_id)
    SELECT c.cohort, g.nth, count(*), count(*) FILTER (WHERE r.back), round(count(*) FILTER (WHERE r.back)::numeric / count(*), 4)
    FROM c CROSS JOIN LATERAL generate_series(0, least(periods - 1, last - c.cohort)) AS g(nth)
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM a WHERE a.customer_id = c.customer_id
        AND CASE WHEN later THEN a.period >= c.cohort + g.nth ELSE a.period = c.cohort + g.nth END) AS back) AS r
    GROUP BY c.cohort, g.nth $$;
SELECT is_empty(format($$(SELECT * FROM iaros.retention_rows((SELECT %1$I FROM kept), %2$s, %3$L, %4$s) EXCEPT ALL SELECT * FROM pg_temp.retention(%2$s, %5$s, %6$s, %7$s))
        UNION ALL (SELECT * FROM pg_temp.retention(%2$s, %5$s, %6$s, %7$s) EXCEPT ALL SELECT * FROM iaros.retention_rows((SELECT %1$I FROM kept), %2$s, %3$L, %4$s))$$,
        f.name, p, m, coalesce(u::text, 'NULL'), (m = 'on_or_after')::text, coalesce(u, (SELECT max(period) FROM iaros.t_period WHERE customer_id IS NOT NULL)), (f.name = 'started')::text),
    format('retention_rows() is what SQL counts: %s, %s periods, mode %s, until %s', f.name, p, m, u))
FROM (VALUES ('first'), ('started')) AS f(name), unnest('{1,5,40}'::integer[]) AS p, unnest('{on,on_or_after}'::text[]) AS m, unnest('{NULL,104}'::integer[]) AS u;
SELECT cmp_ok(count(*), '>', 20::bigint, 'among the rows are many that are neither 0 nor 1') FROM kept, iaros.retention_rows(kept.started, 40) WHERE rate > 0 AND rate < 1;
SELECT is_empty('SELECT * FROM kept, iaros.retention_rows(first, 5, until => 99) UNION ALL SELECT NULL, NULL, r.* FROM iaros.retention_rows(NULL) r', 'nothing happened before the first period, or in a NULL state');
SELECT ok((SELECT iaros.retention_merge(m.state) FROM (SELECT iaros.retention_agg(customer_id, period, starts ORDER BY n DESC) AS state FROM iaros.t_period GROUP BY split) AS m) OPERATOR(iaros.=) started, 'merged from random splits a state is the same') FROM kept;
SELECT ok((SELECT iaros.retention_agg(customer_id, period) FROM iaros.t_period WHERE false) IS NULL AND (SELECT iaros.retention_agg(customer_id, period) FROM iaros.t_period WHERE customer_id IS NULL OR period IS NULL) IS NULL
    AND iaros.retention_state_merge(NULL, NULL) IS NULL, 'no rows give NULL, as those without customer or period');
SELECT ok(iaros.retention_agg(1, 5, NULL) OPERATOR(iaros.=) iaros.retention_agg(1, 5, false) AND iaros.retention_agg(1, 5, true) OPERATOR(iaros.=) iaros.retention_agg(1, 5) AND iaros.retention_agg(1, 5) OPERATOR(iaros.<>) iaros.retention_agg(1, 5, false), 'NULL starts nothing');
SELECT results_eq('SELECT * FROM iaros.retention_rows((SELECT iaros.retention_agg(c, p) FROM (VALUES (1, 2147483647), (2, -2147483648), (2, 2147483647)) v(c, p)), 2, ''on_or_after'')',
    'VALUES (-2147483648, 0, 1::bigint, 1::bigint, 1.0000), (-2147483648, 1, 1, 1, 1.0000), (2147483647, 0, 1, 1, 1.0000)', 'the ends of periods');
SELECT is(count(*), 100000::bigint, '100,000 cohorts') FROM (SELECT iaros.retention_agg(c, (c * 7919::bigint % 100003)::integer) AS state FROM generate_series(1, 100000) AS c) s, iaros.retention_rows(s.state, 1);
SELECT is_empty($$SELECT w.n FROM (SELECT n, iaros.retention_agg(customer_id, period) OVER (ORDER BY n ROWS 9 PRECEDING) AS state, array_agg(n) OVER (ORDER BY n ROWS 9 PRECEDING) AS frame FROM iaros.t_period WHERE n <= 200) AS w
      WHERE w.state::text IS DISTINCT FROM (SELECT iaros.retention_agg(customer_id, period) FROM iaros.t_period WHERE n = ANY (w.frame))::text$$, 'as a window it is the state of the rows of the frame');

-- Bytes from outside.
CREATE TABLE iaros.t_state AS SELECT state, first, started FROM whole, kept;
CREATE TABLE iaros.t_state_copy (LIKE iaros.t_state);
\set file `mktemp -u /tmp/iaros_track.XXXXXXXX`
COPY iaros.t_state TO :'file' (FORMAT binary);
COPY iaros.t_state_copy FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`
SELECT set_eq('SELECT state::text, first::text, started::text FROM iaros.t_state_copy', 'SELECT state::text, first::text, started::text FROM iaros.t_state', 'the binary form reads back to the same value');
SELECT ok(state::text::iaros.funnel_state OPERATOR(iaros.=) state AND first::text::iaros.retention_state OPERATOR(iaros.=) first, 'so does the text form') FROM iaros.t_state;
-- Reads bytes, and those that are taken once more by their events.
CREATE FUNCTION pg_temp.taken(kind text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    same boolean;
BEGIN
    IF kind = 'funnel' THEN
        SELECT iaros.funnel_merge(s) OPERATOR(iaros.=) bytes::text::iaros.funnel_state INTO same
        FROM unnest(ARRAY[bytes::text::iaros.funnel_state, bytes::text::iaros.funnel_state]) AS s;
        PERFORM iaros.funnel_rows(bytes::text::iaros.funnel_state);
    ELSE
        SELECT iaros.retention_merge(s) OPERATOR(iaros.=) bytes::text::iaros.retention_state INTO same
        FROM unnest(ARRAY[bytes::text::iaros.retention_state, bytes::text::iaros.retention_state]) AS s;
        PERFORM iaros.retention_rows(bytes::text::iaros.retention_state, 3);
    END IF;
    RETURN CASE WHEN same THEN 'taken' ELSE 'changed' END;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
    RETURN state;
END $$;
CREATE TEMP TABLE seed AS
SELECT 'funnel' AS kind, iaros.funnel_state_send(iaros.funnel_agg(n * 40 - 70, timestamptz '2026-01-01Z' + n * n * interval '90 seconds', n % 3)) AS bytes FROM generate_series(1, 7) AS n
UNION ALL SELECT 'funnel', iaros.funnel_state_send(iaros.funnel_agg(n / 3, timestamptz '1999-01-01Z' + n * interval '1.234567 seconds', 61 + n % 3)) FROM generate_series(1, 7) AS n
UNION ALL SELECT 'funnel', '\x0100'
UNION ALL SELECT 'retention', iaros.retention_state_send(iaros.retention_agg(n / 3, n * 5 - 13, n % 2 = 0)) FROM generate_series(1, 9) AS n;
CREATE TEMP TABLE tried AS
SELECT s.kind, c.bytes, pg_temp.taken(s.kind, c.bytes) AS outcome FROM seed s
CROSS JOIN LATERAL (
    SELECT set_byte(s.bytes, at, byte) AS bytes FROM generate_series(0, length(s.bytes) - 1) AS at, generate_series(0, 255) AS byte WHERE get_byte(s.bytes, at) <> byte
    UNION ALL SELECT substr(s.bytes, 1, size) FROM generate_series(0, length(s.bytes) - 1) AS size
    UNION ALL SELECT s.bytes || set_byte('\x00', 0, byte) FROM generate_series(0, 255) AS byte) AS c;
SELECT cmp_ok(count(*), '>', 30000::bigint, 'many changes of single bytes and truncations') FROM tried;
SELECT is_empty($$SELECT * FROM tried WHERE outcome NOT IN ('22P03', 'taken') LIMIT 5$$, 'are refused as such, or are states that come back as they are');
SELECT cmp_ok(count(*) FILTER (WHERE outcome = 'taken'), '>', 1000::bigint, 'some are taken') FROM tried;
SELECT is(count(DISTINCT pg_temp.taken(kind, bytes)), 1::bigint, 'the seeds too') FROM seed;
SELECT throws_ok(format('SELECT %L::iaros.funnel_state', '\x' || replace(t, ' ', '')), '22P03', 'invalid funnel_state', format('%s: %s', t, why))
FROM (VALUES
    ('', 'no byte'), ('02 00', 'another version'), ('01', 'cut off'), ('01 00 00', 'a byte too many'), ('01 8000', 'a number longer than it need be'),
    ('01 01 01 0000000000000000 0000000000000000 02 01 00 00 01', 'a unit that is not needed'),
    ('01 01 01 0000000000000000 0000000000000000 01 02 00 00 01', 'more bits than steps need'),
    ('01 01 01 0000000000000000 0000000000000000 01 01 00 00 03', 'an earliest time that nobody has'),
    ('01 01 01 0000000000000000 0000000000000080 01 01 00 00 01', 'a time out of range'),
    ('01 02 02 ffffffffffffff7f 0000000000000000 01 01 00 00 01 01 00 01', 'a customer beyond 64 bits')) AS v(t, why);
SELECT lives_ok($$SELECT '\x010101000000000000000000000000000000000101000001'::iaros.funnel_state$$, 'but for their faults they are taken');
SELECT throws_ok($$SELECT '\x010101000000000000000000000000000000000102000002'::iaros.retention_state$$, '22P03', 'invalid retention_state', 'a step of a funnel is none of retention');

-- The reports over our own tables: visitors by chance, one in four recognised
-- as another; half a year of events and bookings.
SELECT iaros.setting_set('brand_time_zone', 'Asia/Tokyo');
SELECT iaros.customer_create('crm', 'v' || i) FROM generate_series(1, 80) AS i;
CREATE TEMP TABLE visitor AS
SELECT k.customer_id, substr(k.external_id, 2)::integer AS n FROM iaros.customer_key k WHERE k.external_id ~ '^v[0-9]+$';
SELECT count(iaros.event_record(customer_id, (ARRAY['page_view', 'cart_add', 'cart_add', 'login'])[1 + pg_temp.chance(n, 100 + i, 4)],
    timestamptz '2026-01-01Z' + pg_temp.chance(n, 200 + i, 180 * 24) * interval '1 hour')) FROM visitor, generate_series(1, 20) AS i;
SELECT count(iaros.booking_record(customer_id, 100, 'USD', timestamptz '2026-01-01Z' + pg_temp.chance(n, 300 + i, 180 * 24) * interval '1 hour',
    status => (ARRAY['flown', 'confirmed', 'cancelled', 'held'])[1 + pg_temp.chance(n, 400 + i, 4)]::iaros.booking_status)) FROM visitor, generate_series(1, 5) AS i;
SELECT count(iaros.customer_recognise(a.customer_id, m.customer_id)) FROM visitor a JOIN visitor m ON m.n = a.n - 1 WHERE a.n % 4 = 2;
SELECT iaros.segment_create('crowd');
SELECT iaros.segment_member_add('crowd', ARRAY(SELECT customer_id FROM visitor WHERE n % 3 = 0));
CREATE TEMP VIEW act AS
SELECT iaros.customer_resolve(customer_id) AS person, kind, occurred_at AS at FROM iaros.event
UNION ALL SELECT iaros.customer_resolve(customer_id), 'booking', booked_at FROM iaros.booking WHERE status IN ('confirmed', 'flown');
SELECT results_eq(format('SELECT * FROM iaros.analytics_funnel(''{page_view,cart_add,booking}'', %L, %L, %L, %L, %s)', since, until, span, mode, segment),
    format('SELECT * FROM iaros.funnel_rows((SELECT iaros.funnel_agg(person, at, CASE kind WHEN ''page_view'' THEN 1 WHEN ''cart_add'' THEN 2 WHEN ''booking'' THEN 3 END) FROM act
        WHERE at >= %L AND at < %L AND (%s IS NULL OR person IN (SELECT iaros.customer_resolve(customer_id) FROM visitor WHERE n %% 3 = 0))), 3, ''{page_view,cart_add,booking}'', %L, %L)', since, until, segment, span, mode),
    format('analytics_funnel(): %s, %s, of %s', mode, span, segment))
FROM (VALUES ('ordered', '30 days', '-infinity', 'infinity', 'NULL'), ('strict', '20 days', '2026-02-01', '2026-06-01', 'NULL'), ('unordered', '5 days', '2026-02-01', 'infinity', '''crowd'''), ('strict', '90 days', '-infinity', '2026-05-05', '''crowd'''))
    AS v(mode, span, since, until, segment);
SELECT cmp_ok(min(customers), '>', 3::bigint, 'which some finish') FROM iaros.analytics_funnel('{page_view,cart_add,booking}', "window" => '30 days');
SELECT results_eq($$SELECT name, customers FROM iaros.analytics_funnel('{login,booking}', '2030-01-01')$$, $$VALUES ('login', 0::bigint), ('booking', 0)$$, 'of no events there are rows too');
SELECT throws_ok(format('SELECT * FROM iaros.analytics_funnel(%s)', args), state, message, message) FROM (VALUES
    ('NULL', '22023', 'cannot follow "NULL" as steps'), ('''{}''', '22023', 'cannot follow "{}" as steps'), ('''{login,booking,login}''', '22023', 'step "login" is given twice'),
    ('''{login,NULL}''', '42704', 'event kind "NULL" does not exist'), ('''{login,nothing}''', '42704', 'event kind "nothing" does not exist'),
    ('''{login}'', segment => ''nobody''', '42704', 'segment "nobody" does not exist'), ('''{login}'', mode => ''x''', '22023', 'invalid mode "x" of a funnel')) AS v(args, state, message);
CREATE FUNCTION pg_temp.returned(grain text, periods integer, later boolean, start_kind text, return_kind text, as_of timestamptz, since timestamptz) RETURNS TABLE (cohort date, customers bigint, period integer, starts_on date,
    complete boolean, retained bigint, rate numeric) LANGUAGE sql AS $$
    WITH first AS (
        SELECT person, date_trunc(grain, timezone('Asia/Tokyo', min(at))) AS cohort FROM act WHERE kind = start_kind AND at <= as_of GROUP BY person
    ), grid AS (
        SELECT f.cohort, g.nth, f.cohort + g.nth * step.size AS starts, f.cohort + (g.nth + 1) * step.size AS ends
        FROM (SELECT DISTINCT cohort FROM first) f, generate_series(0, periods - 1) AS g(nth), (SELECT CASE grain WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || grain)::interval END AS size) AS step
    ), counted AS (
        SELECT g.cohort, (SELECT count(*) FROM first f WHERE f.cohort = g.cohort) AS customers, g.nth, g.starts, timezone('Asia/Tokyo', g.ends) <= as_of AS complete,
            (SELECT count(*) FROM first f WHERE f.cohort = g.cohort AND (g.nth = 0 OR EXISTS (SELECT FROM act a WHERE a.person = f.person AND a.kind = return_kind AND a.at <= as_of
                AND a.at >= timezone('Asia/Tokyo', g.starts) AND (later OR a.at < timezone('Asia/Tokyo', g.ends))))) AS retained
        FROM grid g WHERE timezone('Asia/Tokyo', g.starts) <= as_of)
    SELECT cohort::date, customers, nth, starts::date, complete, retained, round(retained::numeric / customers, 4) FROM counted
    WHERE cohort >= date_trunc(grain, timezone('Asia/Tokyo', since)) ORDER BY 1, 3 $$;
SELECT results_eq(format('SELECT * FROM iaros.analytics_retention(%L, %s, %L, %L, %L, NULL, %L, %L)', grain, periods, mode, s, r, since, as_of),
    format('SELECT * FROM pg_temp.returned(%L, %s, %s, %L, %L, %L, %L)', grain, periods, (mode = 'on_or_after')::text, s, r, as_of, since),
    format('analytics_retention(): %s, %s, from %s to %s', grain, mode, s, r))
FROM (VALUES ('month', 4, 'on', 'booking', 'booking', '2026-06-09 22:10Z', '-infinity'), ('week', 9, 'on_or_after', 'page_view', 'booking', '2026-05-03 15:00Z', '2026-02-01'),
    ('day', 30, 'on', 'booking', 'cart_add', '2026-04-01', '2026-03-01'), ('quarter', 3, 'on_or_after', 'login', 'login', '2026-07-01', '-infinity')) AS v(grain, periods, mode, s, r, as_of, since);
SELECT is((SELECT sum(customers) FROM iaros.analytics_retention('year', 1, segment => 'crowd', as_of => '2027-01-01')), (SELECT count(DISTINCT person)::numeric FROM act WHERE kind = 'booking' AND person IN (SELECT iaros.segment_customers('crowd'))), 'of a segment');
SELECT throws_ok(format('SELECT * FROM iaros.analytics_retention(%s)', args), state, message, message) FROM (VALUES
    ('''hour''', '22023', '"hour" is not a period of the calendar'), ('start_kind => NULL', '42704', 'event kind "NULL" does not exist'), ('return_kind => ''x''', '42704', 'event kind "x" does not exist'),
    ('mode => ''x''', '22023', 'invalid mode "x" of retention')) AS v(args, state, message);

-- The engagement of a campaign that ran.
SELECT results_eq('SELECT * FROM iaros.analytics_engagement()', $$VALUES (1, 'sent', 0::bigint, NULL::numeric, NULL::numeric, NULL::numeric), (2, 'delivered', 0, NULL, NULL, NULL),
    (3, 'opened', 0, NULL, NULL, NULL), (4, 'clicked', 0, NULL, NULL, NULL), (5, 'converted', 0, NULL, NULL, NULL)$$, 'nothing was sent yet');
SELECT iaros.customer_create('crm', 'd' || i, email => 'd' || i || '@example.org') FROM generate_series(1, 20) AS i;
SELECT count(iaros.consent_record(iaros.customer_find('crm', 'd' || i), 'email', 'marketing', true, 'form', recorded_at => '2026-01-01')) FROM generate_series(1, 20) AS i;
SELECT iaros.segment_create('dash');
SELECT iaros.segment_member_add('dash', ARRAY(SELECT iaros.customer_find('crm', 'd' || i) FROM generate_series(1, 20) AS i));
SELECT iaros.campaign_launch(iaros.campaign_create('DASH', 'Dash', 'email', 'promotional', segment => 'dash', schedule_at => '2026-03-01 09:00Z', message_cost_base => 0.05));
SELECT iaros.campaign_tick('2026-03-01 09:00Z');
SELECT count(iaros.outbox_ack(message_id, token, '2026-03-01 09:05Z')) FROM iaros.outbox_claim('email', as_of => '2026-03-01 09:01Z');
CREATE TEMP VIEW message AS SELECT message_id, row_number() OVER (ORDER BY message_id)::integer AS n, customer_id FROM iaros.outbox;
SELECT count(iaros.message_event_record(message_id, 'delivered', '2026-03-01 09:06Z')) FROM message WHERE n <= 18;
SELECT count(iaros.message_event_record(message_id, 'opened', '2026-03-01 10:00Z')) FROM message WHERE n <= 9;
SELECT count(iaros.message_event_record(message_id, 'clicked', '2026-03-01 10:01Z')) FROM message WHERE n <= 4;
SELECT count(iaros.conversion_record(customer_id, 99.99, '2026-03-03')) FROM message WHERE n <= 2;
SELECT results_eq(format('SELECT * FROM iaros.analytics_engagement(%s)', args), $$VALUES (1, 'sent', 20::bigint, 1.0000, NULL::numeric, NULL::numeric), (2, 'delivered', 18, 0.9000, 1.0000, 0.9000),
    (3, 'opened', 9, 0.4500, 0.5000, 0.5000), (4, 'clicked', 4, 0.2000, 0.2222, 0.4444), (5, 'converted', 2, 0.1000, 0.1111, 0.5000)$$, 'each level has both bases')
FROM unnest(ARRAY['', 'campaign => ''DASH''', 'channel => ''email'', from_time => ''2026-03-01'', to_time => ''2026-03-02''']) AS args;
SELECT is(sum(messages), 0::numeric, 'of another channel or time') FROM (SELECT messages FROM iaros.analytics_engagement(channel => 'sms') UNION ALL SELECT messages FROM iaros.analytics_engagement('2026-03-02')) AS e;
SELECT throws_ok(format('SELECT * FROM iaros.analytics_engagement(%s)', args), state, message, message) FROM (VALUES
    ('campaign => ''x''', '42704', 'campaign "x" does not exist'), ('channel => ''x''', '42704', 'channel "x" does not exist'), ('"window" => ''0 days''', '22023', 'invalid window "00:00:00" of attribution')) AS v(args, state, message);
CREATE ROLE analytics_read;
SELECT iaros.access_grant('analytics_read', 'read');
SET LOCAL ROLE analytics_read;
SELECT cmp_ok((SELECT count(*) FROM iaros.analytics_funnel('{page_view,booking}')) + (SELECT count(*) FROM iaros.analytics_retention()) + (SELECT count(*) FROM iaros.analytics_engagement()), '>', 8::bigint, 'read sees all three');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
