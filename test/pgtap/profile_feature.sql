-- Features: feature_compute() against slow and obvious SQL on random rows,
-- requests and definitions, in one process and in parallel; then the
-- registry over the tables of iaros.
BEGIN;
SELECT plan(41);
SET LOCAL client_min_messages TO error;

-- Random rows of customers with few and many of them: series of up to three
-- parts, values that are exact and that are not, items, times that coincide,
-- rows of nobody. Aliases of some.
CREATE TABLE public.t_row (customer_id bigint, at timestamptz, series text, value numeric, item text);
CREATE TABLE public.t_alias (customer_id bigint, master_id bigint);
CREATE TABLE public.t_request (customer_id bigint, as_of timestamptz);
ALTER TABLE public.t_row SET (parallel_workers = 2);
ALTER TABLE public.t_request SET (parallel_workers = 2);
CREATE TEMP TABLE t_feature (name text, expression text, series text, aggregate text, days integer, by_series text, by_aggregate text, by_days integer);

CREATE TEMP TABLE t_person (person bigint, at timestamptz, series text, value numeric, item text);
CREATE TEMP TABLE t_slow (customer_id bigint, as_of timestamptz, name text, value float8);

CREATE FUNCTION pg_temp.one(choices text[]) RETURNS text LANGUAGE sql AS $$
    SELECT choices[1 + floor(random() * cardinality(choices))] $$;
CREATE FUNCTION pg_temp.what(series text, aggregate text, days integer) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', series, aggregate, CASE WHEN aggregate IN ('recency', 'tenure') THEN NULL WHEN days = 0 THEN 'lifetime' ELSE days || 'd' END) $$;
CREATE FUNCTION pg_temp.scene(seed integer, rows integer, customers integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text[] := '{a,a.b,a.b.c,a.bb,a.b.c.d,z,ab,.,a.,é.ü,"with space"}';
    aggregates text[] := '{count,sum,mean,min,max,days,recency,tenure}';
    wide integer := 1 + seed % 3;
BEGIN
    PERFORM setseed(seed / 100.0);
    TRUNCATE public.t_row, public.t_alias, public.t_request, t_feature;
    INSERT INTO public.t_row
    SELECT CASE WHEN random() < 0.01 THEN NULL ELSE floor(customers * random() ^ 3)::bigint - 5 END,
        CASE WHEN random() < 0.01 THEN NULL ELSE timestamptz '2025-01-01Z' + floor(random() * 400 * 24) * interval '1 hour' END,
        CASE WHEN random() < 0.01 THEN NULL ELSE pg_temp.one(names) END,
        CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.8 THEN round((random() * 1000 - 200)::numeric, 2)
             WHEN random() < 0.5 THEN round((random() * 1000)::numeric, 9) ELSE round((random() * 1000)::numeric * 900000000000, 4) END,
        CASE WHEN random() < 0.2 THEN 'item' || floor(random() * 40) END
    FROM generate_series(1, rows);
    INSERT INTO public.t_alias
    SELECT i * 3, i * 3 + 1 + i % 2 FROM generate_series(1, customers / 10) AS i;
    INSERT INTO public.t_request
    SELECT floor(random() * (customers + 10))::bigint - 10, timestamptz '2025-01-01Z' + floor(random() * 420 * 24) * interval '1 hour'
    FROM generate_series(1, 60);
    INSERT INTO public.t_request SELECT * FROM public.t_request LIMIT 10;
    INSERT INTO t_feature
    SELECT 'f' || n, format('%sf%s%s%s%s', repeat(' ', n % 3), n, repeat(' ', n % 2), '=', pg_temp.what(quote_ident(f.series), f.aggregate, f.days))
            || CASE WHEN f.by_series IS NULL THEN '' ELSE '/' || pg_temp.what(quote_ident(f.by_series), f.by_aggregate, f.by_days) END,
        f.series, f.aggregate, f.days, f.by_series, f.by_aggregate, f.by_days
    FROM (SELECT n, pg_temp.one(names[1:8] || '{é.ü,"with space"}') AS series, pg_temp.one(aggregates) AS aggregate,
            CASE WHEN random() < 0.2 THEN 0 ELSE floor(random() ^ wide * 300)::integer + 1 END AS days,
            CASE WHEN random() < 0.3 THEN pg_temp.one(names[1:7]) END AS by_series, pg_temp.one('{count,sum,days,recency}') AS by_aggregate,
            floor(random() * 100)::integer AS by_days
          FROM generate_series(1, 60) AS n) f;
END $$;

-- A part of a feature, as the documents define it.
CREATE FUNCTION pg_temp.slow(person bigint, as_of timestamptz, series text, aggregate text, days integer) RETURNS float8 LANGUAGE sql AS $$
    SELECT CASE aggregate
        WHEN 'count' THEN count(*)
        WHEN 'sum' THEN coalesce(sum(r.value) FILTER (WHERE r.item IS NULL), 0)
        WHEN 'mean' THEN avg(r.value) FILTER (WHERE r.item IS NULL)
        WHEN 'min' THEN min(r.value) FILTER (WHERE r.item IS NULL)
        WHEN 'max' THEN max(r.value) FILTER (WHERE r.item IS NULL)
        WHEN 'days' THEN count(DISTINCT floor(extract(epoch FROM slow.as_of - r.at) / 86400))
        WHEN 'recency' THEN extract(epoch FROM slow.as_of - max(r.at)) / 86400
        ELSE extract(epoch FROM slow.as_of - min(r.at)) / 86400 END::float8
    FROM pg_temp.t_person r
    WHERE r.person = slow.person AND r.at <= slow.as_of
      AND (slow.days = 0 OR slow.aggregate IN ('recency', 'tenure') OR slow.as_of < r.at + slow.days * interval '24 hours')
      AND (r.series = slow.series OR starts_with(r.series, slow.series || '.')) $$;
CREATE FUNCTION pg_temp.slow_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE t_person, t_slow;
    INSERT INTO t_person
    SELECT p.person, p.at, p.series, p.value, p.item
    FROM (SELECT coalesce(a.master_id, r.customer_id) AS person, r.*,
              row_number() OVER (PARTITION BY coalesce(a.master_id, r.customer_id), r.series, r.item ORDER BY r.at) AS nth
          FROM public.t_row r LEFT JOIN public.t_alias a USING (customer_id)) p
    WHERE p.item IS NULL OR p.nth = 1;
    CREATE INDEX IF NOT EXISTS t_person_person ON t_person (person);
    INSERT INTO t_slow
    SELECT r.customer_id, r.as_of, f.name, CASE WHEN f.by_series IS NULL THEN x.value ELSE x.value / nullif(y.value, 0) END
    FROM (SELECT t.*, coalesce(a.master_id, t.customer_id) AS person FROM public.t_request t LEFT JOIN public.t_alias a USING (customer_id)) r
    CROSS JOIN t_feature f
    CROSS JOIN LATERAL pg_temp.slow(r.person, r.as_of, f.series, f.aggregate, f.days) AS x(value)
    CROSS JOIN LATERAL pg_temp.slow(r.person, r.as_of, f.by_series, f.by_aggregate, f.by_days) AS y(value);
END $$;
-- Ours, and how many values are other than those of slow SQL.
CREATE FUNCTION pg_temp.ours(requests text DEFAULT 'public.t_request', source text DEFAULT 'public.t_row')
    RETURNS TABLE (customer_id bigint, as_of timestamptz, name text, value float8) LANGUAGE sql AS $$
    SELECT c.customer_id, c.as_of, f.name, f.value
    FROM iaros.feature_compute(source, requests, ARRAY(SELECT expression FROM t_feature ORDER BY name), 'public.t_alias') c
    CROSS JOIN LATERAL unnest(ARRAY(SELECT name FROM t_feature ORDER BY name), c."values") AS f(name, value) $$;
CREATE FUNCTION pg_temp.differ() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM
        (SELECT o.*, row_number() OVER (PARTITION BY o.customer_id, o.as_of, o.name) AS n FROM pg_temp.ours() o) o
        FULL JOIN (SELECT s.*, row_number() OVER (PARTITION BY s.customer_id, s.as_of, s.name) AS n FROM t_slow s) s
            USING (customer_id, as_of, name, n)
    WHERE o.name IS NULL OR s.name IS NULL OR (o.value IS NULL) <> (s.value IS NULL)
       OR abs(o.value - s.value) > 1e-9 * greatest(abs(s.value), 1) $$;
CREATE FUNCTION pg_temp.hash(requests text DEFAULT 'public.t_request') RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(o::text, ' ' ORDER BY o.customer_id, o.as_of, o.name, o.value)) FROM pg_temp.ours(requests) o $$;
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
-- Serial, parallel, from rows in another order, and with all ids in a table.
CREATE FUNCTION pg_temp.try(seed integer, rows integer, customers integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    first text;
    apart bigint;
BEGIN
    PERFORM pg_temp.scene(seed, rows, customers);
    PERFORM pg_temp.slow_all();
    SET LOCAL max_parallel_workers_per_gather = 0;
    SELECT pg_temp.differ() INTO apart;
    RETURN NEXT is(apart, 0::bigint, format('seed %s: it is slow SQL', seed));
    first := pg_temp.hash();
    SET LOCAL max_parallel_workers_per_gather = 2;
    SET LOCAL parallel_setup_cost = 0;
    SET LOCAL min_parallel_table_scan_size = 0;
    RETURN NEXT is(pg_temp.hash(), first, format('seed %s: with workers it is the same to the bit', seed));
    CREATE TABLE public.t_copy AS SELECT * FROM public.t_row ORDER BY random();
    DROP TABLE public.t_row;
    ALTER TABLE public.t_copy RENAME TO t_row;
    ALTER TABLE public.t_row SET (parallel_workers = 2);
    RETURN NEXT is(pg_temp.hash(), first, format('seed %s: rows in another order are the same to the bit', seed));
    CREATE TEMP TABLE t_many AS SELECT g AS customer_id, timestamptz '2025-06-01Z' AS as_of FROM generate_series(1000000, 1003000) g;
    RETURN NEXT is((SELECT md5(string_agg(o::text, ' ' ORDER BY o.customer_id, o.as_of, o.name, o.value))
                    FROM pg_temp.ours('TABLE public.t_request UNION ALL TABLE pg_temp.t_many') o WHERE o.customer_id < 1000000), first,
        format('seed %s: with thousands of other customers it is the same', seed));
    DROP TABLE t_many;
END $$;
SELECT pg_temp.try(1, 300, 10);
SELECT pg_temp.try(2, 3000, 100);
SELECT pg_temp.try(3, 3000, 20);
SELECT pg_temp.try(4, 20000, 300);
SELECT is(pg_temp.workers($$SELECT count(*) FROM iaros.feature_compute('public.t_row', 'public.t_request', '{a count 30d}')$$), 1, 'a worker helped');

-- What time may be known: nothing after as_of, the boundaries of a window.
CREATE FUNCTION pg_temp.at(at timestamptz, as_of timestamptz, feature text) RETURNS float8 LANGUAGE sql AS $$
    SELECT c."values"[1] FROM iaros.feature_compute(format('SELECT 7 AS customer_id, %L::timestamptz AS at, ''s''::text AS series, 2.5 AS value', at),
        format('SELECT 7 AS customer_id, %L::timestamptz AS as_of', as_of), ARRAY[feature]) c $$;
SELECT is(pg_temp.at('2025-01-01Z', '2025-01-01Z', 's count 1d'), 1::float8, 'a row at as_of counts');
SELECT is(pg_temp.at('2025-01-01 00:00:00.000001Z', '2025-01-01Z', 's count lifetime'), 0::float8, 'one after it does not');
SELECT is(pg_temp.at('2025-01-01Z', '2025-01-31Z', 's sum 30d'), 0::float8, 'one that is as old as the window does not');
SELECT is(pg_temp.at('2025-01-01 00:00:00.000001Z', '2025-01-31Z', 's sum 30d'), 2.5::float8, 'one that is younger does');
SELECT is(pg_temp.at('2025-03-30 12:00 Europe/Paris', '2025-03-31 12:30 Europe/Paris', 's count 1d'), 0::float8, 'a day has 24 hours');
SELECT is(pg_temp.at('4713-01-01 00:00Z BC', '294276-01-01Z', 's recency'), (date '294276-01-01' - date '4713-01-01 BC')::float8,
    'times may be as far apart as there are');
SELECT ok(pg_temp.at('2025-01-02Z', '2025-01-01Z', 's mean lifetime') IS NULL, 'without rows a mean is NULL');
SELECT is((SELECT "values" FROM iaros.feature_compute('SELECT 1 AS customer_id, now() AS at, ''s''::text AS series', 'SELECT 1 AS customer_id, now() AS as_of',
        '{s count 1d,s sum 1d,s mean 1d,s recency,s sum 1d / s sum 7d}')), '{1,0,NULL,0,NULL}'::float8[], 'a source need not have values');
SELECT is((SELECT count(*) FROM iaros.feature_compute('public.t_row', 'SELECT 1 AS customer_id, now() AS as_of WHERE false', '{a count 1d}')), 0::bigint, 'no requests, no rows');
-- Exact to the digit: 0.1 added ten times, and 2^63 passed.
SELECT is((SELECT "values" FROM iaros.feature_compute('SELECT 1 AS customer_id, now() AS at, ''s''::text AS series, 0.1::float8 AS value FROM generate_series(1, 10)',
    'SELECT 1 AS customer_id, now() AS as_of', '{s sum 1d,s mean 1d}')), '{1,0.1}'::float8[], 'sums of decimals are exact');
SELECT is((SELECT "values" FROM iaros.feature_compute('SELECT 1 AS customer_id, now() AS at, ''s''::text AS series, 9223372036854775807 AS value FROM generate_series(1, 4)',
    'SELECT 1 AS customer_id, now() AS as_of', '{s sum 1d}')), '{36893488147419103232}'::float8[], 'sums beyond 64 bits go on');

-- A rescan begins anew.
SELECT results_eq(
    $$SELECT g, c.customer_id, c."values"[1] FROM generate_series(1, 2) g CROSS JOIN iaros.feature_compute('SELECT 1 AS customer_id, now() AS at, ''s''::text AS series UNION ALL SELECT 2, now(), ''s''',
        'SELECT 1 AS customer_id, now() AS as_of UNION ALL SELECT 2, now() UNION ALL SELECT 3, now()', '{s count 1d}') c ORDER BY 1, 2$$,
    $$VALUES (1, 1::bigint, 1::float8), (1, 2, 1), (1, 3, 0), (2, 1, 1), (2, 2, 1), (2, 3, 0)$$, 'rows can be read twice');

-- Memory.
SET LOCAL iaros.group_memory = '64kB';
SELECT throws_ok($$SELECT * FROM iaros.feature_compute('public.t_row', 'public.t_request', '{a count 1d}')$$, '53200', NULL, 'too many rows for the memory are an error');
RESET iaros.group_memory;

-- The registry over tables of iaros: two customers, one with an alias.
INSERT INTO iaros.customer (customer_id) VALUES (1), (2), (3);
SELECT iaros.customer_recognise(3, 1);
SELECT iaros.event_record(1, 'search', '2025-06-01Z', '{"origin": "JFK", "destination": "LHR"}', session_id => 's1');
SELECT iaros.event_record(3, 'search', '2025-06-02Z', '{"origin": "JFK", "destination": "LHR"}', session_id => 's1');
SELECT iaros.event_record(3, 'nps_response', '2025-06-03Z', '{"score": 9}', session_id => 's2');
SELECT iaros.booking_record(1, 100, 'USD', '2025-06-02Z');
SELECT iaros.booking_record(3, 50.5, 'USD', '2025-06-04Z');
INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, source, cost_base) VALUES
    (1, '2025-06-01Z', 'email', 'click', 'manual', NULL), (3, '2025-06-02Z', 'email', 'open', 'manual', NULL), (3, '2025-06-02Z', 'display', 'impression', 'manual', 0.25);
SELECT cmp_ok((SELECT count(*) FROM iaros.feature_list()), '>=', 500::bigint, 'the standard set has more than 500 features');
SELECT is((SELECT count(DISTINCT l.feature) FROM iaros.feature_list() l), (SELECT count(*) FROM iaros.feature_list()), 'each with a name of its own');
SELECT is((SELECT jsonb_object_agg(v.key, v.value) FROM jsonb_each(iaros.feature_vector(3, '2025-06-05Z')) v WHERE v.key = ANY (ARRAY[
        'search_count_7d', 'search_recency', 'session_count_30d', 'booking_amount_sum_365d', 'booking_amount_mean_1d', 'nps_mean_lifetime',
        'touch_email_count_90d', 'touch_sum_7d', 'channel_affinity_email_90d', 'channel_affinity_sms_90d'])),
    '{"search_count_7d": 2, "search_recency": 3, "session_count_30d": 2, "booking_amount_sum_365d": 150.5, "booking_amount_mean_1d": null,
      "nps_mean_lifetime": 9, "touch_email_count_90d": 2, "touch_sum_7d": 0.25, "channel_affinity_email_90d": 0.6666666666666666, "channel_affinity_sms_90d": 0}'::jsonb,
    'a vector is that of the person, aliases folded in');
SELECT is(iaros.feature_vector(1, '2025-06-05Z'), iaros.feature_vector(3, '2025-06-05Z'), 'whichever id is given');
SELECT is(iaros.feature_vector(1, '2025-06-01Z') -> 'search_count_7d', '1'::jsonb, 'as of the past it is what was known then');
SELECT results_eq(
    $$SELECT m.customer_id, m."values" FROM iaros.feature_matrix(
        'SELECT * FROM (VALUES (3, timestamptz ''2025-06-05Z''), (1, ''2025-06-01Z''), (2, ''2025-06-05Z'')) v(customer_id, as_of)',
        'standard', '{booking_count_7d,search_recency}') m ORDER BY 1$$,
    $$VALUES (1::bigint, '{0,0}'::float8[]), (2, '{0,NULL}'), (3, '{2,3}')$$, 'a matrix has a row a request, and the features named');
SELECT iaros.feature_matrix_sql('SELECT 3 AS customer_id, timestamptz ''2025-06-05Z'' AS as_of') AS statement \gset
CREATE TEMP TABLE t_wide AS :statement;
SELECT is((SELECT to_jsonb(w) - 'customer_id' - 'as_of' FROM t_wide w), iaros.feature_vector(3, '2025-06-05Z'), 'the statement of a matrix has a column for each feature');
CREATE TEMP VIEW t_view AS :statement;
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('standard', 'more', 'event.login', 'more', '{count}', '{3}', 'x');
SELECT is((SELECT count(*) FROM t_view), 1::bigint, 'a view of it lives on when features are added');
SELECT is((SELECT l.feature FROM iaros.feature_list() l ORDER BY l.position DESC LIMIT 1), 'more_count_3d', 'which come last');
CREATE TEMP TABLE t_set AS SELECT iaros.feature_source() AS source;
SELECT is_empty($$SELECT s.series FROM iaros.feature_series s, t_set t WHERE position(s.query IN t.source) = 0$$, 'the standard set uses each series');
SELECT ok(iaros.feature_source('standard', '{search_count_7d}') !~ 'iaros\.booking', 'a few features need a few tables');
SELECT * FROM finish();
ROLLBACK;
