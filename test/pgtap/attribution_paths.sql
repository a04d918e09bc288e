-- attribution_paths(): what a slow, obvious statement says for random rows
-- and rules, the same with parallel workers, many rows of one person.
BEGIN;
SELECT plan(26);
SET LOCAL client_min_messages TO error;
SET LOCAL timezone TO 'UTC';

-- Random ----------------------------------------------------------------------

-- Times are whole hours, so that ties and exact ends of windows are common.
CREATE TABLE public.t_touch (n bigint, customer_id integer, at timestamptz, channel varchar, campaign text, kind text, weight real, stage text);
CREATE TABLE public.t_conversion (n bigint, customer_id smallint, at timestamptz, value numeric, conversion_id bigint);
CREATE TABLE public.t_alias (customer_id bigint, master_id integer);
CREATE FUNCTION pg_temp.fill(seed bigint, touches bigint, conversions bigint, persons integer, hours integer) RETURNS void LANGUAGE sql AS $$
    TRUNCATE public.t_touch, public.t_conversion, public.t_alias;
    INSERT INTO public.t_touch
    SELECT i, CASE WHEN iaros.chance(i, seed, 1) < 0.98 THEN 1 + iaros.chance_int(i, seed, 2, persons) END,
        CASE WHEN iaros.chance(i, seed, 3) < 0.97 THEN timestamptz '2026-01-01' + iaros.chance_int(i, seed, 4, hours) * interval '1 hour'
             WHEN iaros.chance(i, seed, 3) < 0.98 THEN 'infinity' WHEN iaros.chance(i, seed, 3) < 0.99 THEN '-infinity' END,
        CASE WHEN iaros.chance(i, seed, 5) < 0.98 THEN (ARRAY['email', 'é', 'e', 'Direct', repeat('long', 100)])[1 + iaros.chance_int(i, seed, 6, 5)] END,
        (ARRAY['a', 'b', 'A'])[iaros.chance_int(i, seed, 7, 5)],
        (ARRAY['impression', 'open', 'click', 'VIEW', 'visit'])[iaros.chance_int(i, seed, 8, 7)],
        (ARRAY[0, 0.5, 2])[iaros.chance_int(i, seed, 9, 6)],
        CASE iaros.chance_int(i, seed, 10, 10) WHEN 0 THEN 'lead' WHEN 1 THEN 'opportunity' END
    FROM generate_series(1, touches) i;
    INSERT INTO public.t_conversion
    SELECT i, CASE WHEN iaros.chance(-i, seed, 1) < 0.98 THEN 1 + iaros.chance_int(-i, seed, 2, persons) END,
        CASE WHEN iaros.chance(-i, seed, 3) < 0.98 THEN timestamptz '2026-01-01' + iaros.chance_int(-i, seed, 4, hours) * interval '1 hour' END,
        CASE WHEN iaros.chance(-i, seed, 5) < 0.3 THEN NULL WHEN iaros.chance(-i, seed, 5) < 0.7 THEN iaros.chance_int(-i, seed, 6, 100000) / 100.0
             WHEN iaros.chance(-i, seed, 5) < 0.8 THEN -iaros.chance_int(-i, seed, 6, 1000)
             ELSE iaros.chance_int(-i, seed, 6, 1000000) * 1e70 + iaros.chance_int(-i, seed, 7, 1000000) * 1e-30 END,
        CASE WHEN iaros.chance(-i, seed, 8) < 0.8 THEN i END
    FROM generate_series(1, conversions) i;
    INSERT INTO public.t_alias
    SELECT i, i - 1 - iaros.chance_int(i, seed, 12, 2) FROM generate_series(3, persons, 3) i;
$$;

-- The touches of a path that remain, one after the other.
CREATE FUNCTION pg_temp.remaining(path jsonb, dedupe interval) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    kept jsonb[] := '{}';
    touch jsonb;
    place integer;
BEGIN
    FOR touch IN SELECT * FROM jsonb_array_elements(path) LOOP
        -- The last one of the same label that is kept.
        SELECT max(i) INTO place FROM generate_subscripts(kept, 1) i
        WHERE kept[i] -> 'label' = touch -> 'label';
        IF dedupe IS NULL OR place IS NULL
            OR (touch ->> 'at')::timestamptz - (kept[place] ->> 'at')::timestamptz >= dedupe
            OR touch ->> 'stage' <> kept[place] ->> 'stage' THEN
            kept := kept || touch;
        ELSIF (touch ->> 'counts')::integer > (kept[place] ->> 'counts')::integer THEN
            kept := kept[:place - 1] || kept[place + 1:] || touch;
        END IF;
    END LOOP;
    RETURN to_jsonb(kept);
END $$;
-- A path of touches as attribution_paths() says it.
CREATE FUNCTION pg_temp.path(touches jsonb, dedupe interval) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(iaros.touch_path_agg((t ->> 'at')::timestamptz, t ->> 'channel', t ->> 'campaign', (t ->> 'weight')::float8, t ->> 'stage')::text, '[]')
    FROM jsonb_array_elements(pg_temp.remaining(touches, dedupe)) t
$$;
CREATE FUNCTION pg_temp.plain("window" interval, view_window interval, dedupe interval, click_over_view boolean, restart boolean, aliases boolean, nulls_until timestamptz)
    RETURNS TABLE (customer_id bigint, conversion_id bigint, converted_at timestamptz, value numeric, path text) LANGUAGE sql AS $$
    WITH touch AS MATERIALIZED (
        SELECT coalesce(a.master_id, t.customer_id) AS person, t.at, t.channel, t.campaign, t.weight, t.stage,
            coalesce(lower(t.kind) IN ('impression', 'view', 'open') AND t.stage IS NULL, false) AS view,
            jsonb_build_object('at', t.at, 'channel', t.channel, 'campaign', t.campaign, 'weight', coalesce(t.weight, 1), 'stage', t.stage, 'label', jsonb_build_array(t.channel, t.campaign),
                'counts', CASE WHEN t.stage IS NOT NULL THEN 2 WHEN lower(t.kind) IN ('impression', 'view', 'open') THEN 0 ELSE 1 END) AS touch
        FROM public.t_touch t LEFT JOIN public.t_alias a ON aliases AND a.customer_id = t.customer_id
        WHERE t.customer_id IS NOT NULL AND isfinite(t.at) AND t.channel IS NOT NULL
    ), goal AS MATERIALIZED (
        SELECT coalesce(a.master_id, c.customer_id) AS person, c.* FROM public.t_conversion c LEFT JOIN public.t_alias a ON aliases AND a.customer_id = c.customer_id
        WHERE c.customer_id IS NOT NULL AND c.at IS NOT NULL
    ), converted AS (
        SELECT g.customer_id, g.conversion_id, g.at, g.value, (
            SELECT jsonb_agg(t.touch ORDER BY t.at, t.channel COLLATE "C", t.campaign COLLATE "C" NULLS FIRST, t.stage DESC NULLS LAST, t.view, coalesce(t.weight, 1) DESC)
            FROM (
                SELECT t.*, bool_or(NOT t.view) OVER () AS clicked FROM touch t
                WHERE t.person = g.person AND t.at < g.at
                  AND t.at >= g.at - CASE WHEN t.view THEN coalesce(view_window, "window") ELSE "window" END
                  AND NOT (restart AND EXISTS (SELECT FROM goal p WHERE p.person = g.person AND p.at < g.at AND p.at > t.at))
            ) t
            WHERE NOT (click_over_view AND clicked AND t.view)) AS touches
        FROM goal g
    ), lost AS (
        SELECT t.*, lag(t.at) OVER (PARTITION BY t.person ORDER BY t.at) AS before FROM touch t
        WHERE nulls_until IS NOT NULL AND NOT EXISTS (SELECT FROM goal g WHERE g.person = t.person AND g.at > t.at AND g.at - "window" <= t.at)
    ), part AS (
        SELECT l.*, sum((before IS NULL OR l.at - before > "window")::integer) OVER (PARTITION BY l.person ORDER BY l.at) AS part FROM lost l
    ), journey AS (
        SELECT p.person, jsonb_agg(p.touch ORDER BY p.at, p.channel COLLATE "C", p.campaign COLLATE "C" NULLS FIRST, p.stage DESC NULLS LAST, p.view, coalesce(p.weight, 1) DESC)
                FILTER (WHERE NOT (click_over_view AND p.view AND p.clicked)) AS touches
        FROM (SELECT *, bool_or(NOT view) OVER (PARTITION BY person, part) AS clicked FROM part) p
        GROUP BY p.person, p.part
        HAVING max(p.at) + "window" <= nulls_until
    )
    SELECT c.customer_id, c.conversion_id, c.at, c.value, pg_temp.path(coalesce(c.touches, '[]'), dedupe) FROM converted c
    UNION ALL SELECT j.person, NULL, NULL, NULL, pg_temp.path(j.touches, dedupe) FROM journey j
$$;

-- How many rows are other than they should be, over many rules.
CREATE TABLE public.t_rules AS
SELECT i, (1 + iaros.chance_int(i, 9, 1, 60)) * interval '1 hour' AS "window",
    CASE WHEN iaros.chance(i, 9, 2) < 0.5 THEN 0.5 END AS share,
    CASE WHEN iaros.chance(i, 9, 3) < 0.7 THEN (1 + iaros.chance_int(i, 9, 4, 10)) * interval '1 hour' END AS dedupe,
    iaros.chance(i, 9, 5) < 0.5 AS click_over_view, iaros.chance(i, 9, 6) < 0.5 AS restart, iaros.chance(i, 9, 7) < 0.5 AS aliases,
    CASE WHEN iaros.chance(i, 9, 8) < 0.6 THEN timestamptz '2026-01-01' + iaros.chance_int(i, 9, 9, 150) * interval '1 hour' END AS nulls_until
FROM generate_series(1, 60) i;
CREATE FUNCTION pg_temp.differ(r public.t_rules, OUT ours bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
    views interval := r.share * r."window";
BEGIN
    PERFORM pg_temp.fill(r.i, 150, 30, 12, 150);
    CREATE TEMP TABLE t_ours AS
    SELECT p.customer_id, p.conversion_id, p.converted_at, p.value, p.path::text FROM iaros.attribution_paths('public.t_touch', 'public.t_conversion',
        r."window", views, r.dedupe, r.click_over_view, r.restart, CASE WHEN r.aliases THEN 'public.t_alias' END, r.nulls_until) p;
    CREATE TEMP TABLE t_plain AS SELECT * FROM pg_temp.plain(r."window", views, r.dedupe, r.click_over_view, r.restart, r.aliases, r.nulls_until);
    SELECT count(*) INTO ours FROM t_ours;
    SELECT count(*) INTO wrong FROM ((TABLE t_ours EXCEPT ALL TABLE t_plain) UNION ALL (TABLE t_plain EXCEPT ALL TABLE t_ours)) d;
    DROP TABLE t_ours, t_plain;
END $$;
CREATE TEMP TABLE t_result AS SELECT r.*, d.ours, d.wrong FROM public.t_rules r CROSS JOIN LATERAL pg_temp.differ(r) d;
SELECT is_empty('SELECT * FROM t_result WHERE wrong > 0', 'random rows and rules give what plain SQL says');
SELECT cmp_ok((SELECT sum(ours) FROM t_result), '>', 2000::numeric, 'for many rows');
SELECT cmp_ok((SELECT count(*) FROM t_result WHERE click_over_view AND restart AND dedupe IS NOT NULL AND aliases), '>=', 1::bigint, 'and for all rules together');

-- Parallel --------------------------------------------------------------------

SELECT pg_temp.fill(77, 30000, 8000, 3000, 2000);
INSERT INTO public.t_touch SELECT n, customer_id, at, channel, 'campaign ' || n % 997, kind, weight, stage FROM public.t_touch;
-- Told apart by long values alone.
INSERT INTO public.t_conversion SELECT -i, 1 + i % 2, timestamptz '2026-02-01', 1e70 + i % 150, NULL FROM generate_series(1, 300) i;
ALTER TABLE public.t_touch SET (parallel_workers = 2);
ALTER TABLE public.t_conversion SET (parallel_workers = 2);
ALTER TABLE public.t_alias SET (parallel_workers = 0);
ANALYZE public.t_touch, public.t_conversion, public.t_alias;
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
CREATE TEMP TABLE t_call (call text, statement text);
INSERT INTO t_call SELECT c, 'SELECT row_number() OVER () AS place, p.customer_id, p.conversion_id, p.converted_at, p.value, p.path FROM iaros.attribution_paths(' || c || ') p'
FROM unnest(ARRAY[
    $$'public.t_touch', 'public.t_conversion'$$,
    $$'public.t_touch', 'public.t_conversion', '50 hours', '20 hours', '3 hours', true, true, 'public.t_alias', '2026-06-01'$$,
    $$'SELECT customer_id, at, channel FROM public.t_touch WHERE n % 3 > 0', 'SELECT customer_id, at, value::float8 AS value, n AS conversion_id FROM public.t_conversion', dedupe => '1 hour', aliases => 'TABLE public.t_alias'$$]) c;
CREATE FUNCTION pg_temp.run(into_table text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    EXECUTE format('CREATE TEMP TABLE %I (call text, place bigint, customer_id bigint, conversion_id bigint, converted_at timestamptz, value numeric, path iaros.touch_path)', into_table);
    FOR c IN SELECT * FROM t_call LOOP
        EXECUTE format('INSERT INTO %I SELECT %L, s.* FROM (%s) s', into_table, c.call, c.statement);
    END LOOP;
END $$;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT pg_temp.run('t_serial');
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT pg_temp.run('t_parallel');
SELECT is_empty('(TABLE t_serial EXCEPT ALL TABLE t_parallel) UNION ALL (TABLE t_parallel EXCEPT ALL TABLE t_serial)',
    'workers change nothing, not even the order');
SELECT cmp_ok((SELECT min(n) FROM (SELECT count(*) AS n FROM t_serial GROUP BY call) c), '>', 5000::bigint, 'of many rows');
SELECT cmp_ok((SELECT min(pg_temp.workers(statement)) FROM t_call), '>=', 1, 'though there were some');
SET LOCAL parallel_leader_participation = off;
SELECT pg_temp.run('t_workers');
SELECT is_empty('(TABLE t_serial EXCEPT ALL TABLE t_workers) UNION ALL (TABLE t_workers EXCEPT ALL TABLE t_serial)',
    'nor when they read everything');
SET LOCAL parallel_leader_participation = on;
-- Thousands of persons, of whom no list is made, and a few, of whom one is.
SELECT is_empty($$
    (SELECT p.customer_id, p.conversion_id, p.converted_at, p.value, p.path FROM iaros.attribution_paths('public.t_touch', 'SELECT * FROM public.t_conversion WHERE n <= 30', aliases => 'public.t_alias') p
     EXCEPT ALL SELECT p.customer_id, p.conversion_id, p.converted_at, p.value, p.path FROM iaros.attribution_paths('public.t_touch', 'public.t_conversion', aliases => 'public.t_alias') p)$$,
    'the paths of a few are those among all');
-- The order of the rows in the source.
SELECT is_empty($$
    (SELECT row_number() OVER (), p.* FROM iaros.attribution_paths('public.t_touch', 'public.t_conversion', dedupe => '5 hours') p
     EXCEPT ALL SELECT row_number() OVER (), p.* FROM iaros.attribution_paths('SELECT * FROM public.t_touch ORDER BY hashint8(n)', 'SELECT * FROM public.t_conversion ORDER BY n', dedupe => '5 hours') p)$$,
    'nor does the order of the sources');

-- Called elsewhere than in FROM, and again --------------------------------------

SELECT is((SELECT count(*) FROM (SELECT (iaros.attribution_paths('public.t_touch', 'public.t_conversion')).*) s),
    (SELECT count(*) FROM t_serial WHERE call = $$'public.t_touch', 'public.t_conversion'$$), 'the same in a select list');
SELECT results_eq($$SELECT h, count(*), sum(iaros.touch_path_length(p.path)) FROM generate_series(10, 30, 10) h
    CROSS JOIN LATERAL iaros.attribution_paths('public.t_touch', 'public.t_conversion', h * interval '1 hour') p GROUP BY h ORDER BY h$$,
    $$SELECT h, (SELECT count(*) FROM iaros.attribution_paths('public.t_touch', 'public.t_conversion', h * interval '1 hour')),
        (SELECT sum(iaros.touch_path_length(p.path)) FROM iaros.attribution_paths('public.t_touch', 'public.t_conversion', h * interval '1 hour') p) FROM generate_series(10, 30, 10) h$$,
    'and once for each row of another table');
PREPARE t_again AS SELECT s.i, p.path FROM generate_series(1, 2) s(i) LEFT JOIN iaros.attribution_paths('public.t_touch', 'SELECT * FROM public.t_conversion WHERE n = 5', nulls_until => 'infinity') p ON s.i = p.customer_id;
SELECT lives_ok('EXECUTE t_again', 'a second look at the rows begins anew');

-- Rules, one by one -------------------------------------------------------------

CREATE TABLE public.t_one (customer_id bigint, at timestamptz, channel text, kind text, stage text);
CREATE TABLE public.t_goal (customer_id bigint, at timestamptz);
INSERT INTO public.t_goal VALUES (1, '2026-01-31 12:00');
CREATE FUNCTION pg_temp.channels(touches text, "window" interval DEFAULT '30 days', view_window interval DEFAULT NULL, dedupe interval DEFAULT NULL, click_over_view boolean DEFAULT false, restart boolean DEFAULT false)
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE public.t_one;
    EXECUTE format('INSERT INTO public.t_one SELECT 1, v.at::timestamptz, v.channel, v.kind, v.stage FROM (VALUES %s) v(at, channel, kind, stage)', touches);
    RETURN (SELECT string_agg(iaros.touch_path_text(p.path), ' | ' ORDER BY p.converted_at) FROM iaros.attribution_paths('public.t_one', 'public.t_goal', $2, $3, $4, $5, $6) p);
END $$;
SELECT is(pg_temp.channels($$('2026-01-01 12:00', 'a', NULL, NULL), ('2026-01-01 11:59:59.999999', 'b', NULL, NULL), ('2026-01-31 12:00', 'c', NULL, NULL), ('2026-01-31 11:59:59.999999', 'd', NULL, NULL)$$),
    'a > d', 'the window begins at its first moment and ends before the conversion');
SELECT is(pg_temp.channels($$('2026-01-24 12:00', 'a', 'impression', NULL), ('2026-01-24 11:59', 'b', 'open', NULL), ('2026-01-24 11:59', 'c', 'visit', NULL), ('2026-01-24 11:58', 'd', 'open', 'lead')$$, view_window => '7 days'),
    'd > c > a', 'views have a window of their own');
SELECT is(pg_temp.channels($$('2026-01-24', 'a', 'impression', NULL), ('2026-01-25', 'b', 'open', NULL)$$, click_over_view => true), 'a > b', 'a path of views alone keeps them');
SELECT is(pg_temp.channels($$('2026-01-24', 'a', 'impression', NULL), ('2026-01-25', 'b', NULL, NULL), ('2026-01-26', 'c', 'open', NULL)$$, click_over_view => true), 'b', 'a click takes them out');
SELECT is((SELECT pg_temp.channels($$('2026-01-24 00:00', 'a', NULL, NULL), ('2026-01-24 00:59', 'a', NULL, NULL), ('2026-01-24 01:00', 'a', NULL, NULL), ('2026-01-24 01:30', 'b', NULL, NULL)$$, dedupe => '1 hour')),
    'a > a > b', 'a repetition is one of what is kept, less than the interval later');
SELECT is(pg_temp.channels($$('2026-01-24 00:00', 'a', 'open', NULL), ('2026-01-24 00:10', 'b', NULL, NULL), ('2026-01-24 00:20', 'a', 'click', NULL), ('2026-01-24 00:30', 'a', 'open', NULL)$$, dedupe => '1 hour'),
    'b > a', 'a click takes the place of a view, at its own time');
SELECT is(pg_temp.channels($$('2026-01-24 00:00', 'a', 'open', 'lead'), ('2026-01-24 00:20', 'a', 'click', 'opportunity'), ('2026-01-24 00:30', 'a', 'click', NULL), ('2026-01-24 00:40', 'a', NULL, 'opportunity')$$, dedupe => '1 hour'),
    'a > a', 'another stage is no repetition');
INSERT INTO public.t_goal VALUES (1, '2026-01-15'), (1, '2026-01-15'), (1, '2026-01-20');
SELECT is(pg_temp.channels($$('2026-01-14', 'a', NULL, NULL), ('2026-01-15', 'b', NULL, NULL), ('2026-01-19', 'c', NULL, NULL), ('2026-01-20', 'd', NULL, NULL)$$, restart => true),
    'a | a | b > c | d', 'a path begins anew with the conversion before');

-- Many rows of one person ---------------------------------------------------------

TRUNCATE public.t_one, public.t_goal;
INSERT INTO public.t_one SELECT 1, timestamptz '2026-01-01' + i * interval '1 second', 'channel ' || i % 7, NULL FROM generate_series(0, 99999) i;
INSERT INTO public.t_goal SELECT 1, timestamptz '2026-01-01' + i * interval '1 second' FROM generate_series(0, 99999) i;
SELECT is((SELECT array[count(*), min(iaros.touch_path_length(path)), max(iaros.touch_path_length(path)), sum(iaros.touch_path_length(path))]::bigint[]
    FROM iaros.attribution_paths('public.t_one', 'public.t_goal', '5 seconds')), ARRAY[100000, 0, 5, 499985]::bigint[], 'a short window over many touches and conversions of one person');
SELECT is((SELECT array[count(*), max(iaros.touch_path_length(path))]::bigint[] FROM iaros.attribution_paths('public.t_one', 'SELECT 1 AS customer_id, max(at) AS at FROM public.t_goal')), ARRAY[1, 99999]::bigint[], 'one path of 99,999 touches');
SELECT is((SELECT array[count(*), max(iaros.touch_path_length(path))]::bigint[] FROM iaros.attribution_paths('public.t_one', 'SELECT * FROM public.t_goal WHERE false', '1 second', nulls_until => 'infinity')), ARRAY[1, 100000]::bigint[], 'one journey of all');
SELECT is((SELECT count(*) FROM iaros.attribution_paths('public.t_one', 'SELECT * FROM public.t_goal WHERE at < ''2026-01-01 12:00''', '0.5 seconds', nulls_until => '2026-01-02')), 43200 + 86400::bigint, 'many journeys beside many conversions');
SET LOCAL iaros.group_memory = '1MB';
SELECT throws_ok($$SELECT count(path) FROM iaros.attribution_paths('public.t_one', 'public.t_goal')$$, '53200', NULL, 'memory has a limit');
SET LOCAL iaros.group_memory = '2GB';
SELECT is((SELECT count(*) FROM iaros.attribution_paths('SELECT * FROM public.t_one WHERE false', 'SELECT * FROM public.t_goal WHERE false')), 0::bigint, 'nothing of nothing');

SELECT * FROM finish();
ROLLBACK;
