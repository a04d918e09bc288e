-- path_set and what is read from it: sets are the same from any order, split
-- and plan; Markov chains, Shapley values and their intervals are what slow
-- SQL says; no bytes but those of a set are one.
BEGIN;
SELECT plan(141);
SET LOCAL client_min_messages TO error;
SET LOCAL search_path TO public, iaros;

-- Random sets of paths: lengths from 0 to 7 of up to 5 channels, repeats,
-- zero counts, values that are NULL, negative, and with up to 12 decimals.
CREATE TABLE iaros.t_random AS
SELECT s AS set_id, n, (chance(n, s, 1) * 4)::integer AS split,
    CASE WHEN chance(n, s, 2) < 0.03 THEN NULL ELSE coalesce((SELECT string_agg(chr(97 + floor(chance(n * 100 + i, s, 3) * 5)::integer), ' > ' ORDER BY i) FROM generate_series(1, floor(chance(n, s, 4) * 8)::integer) i), '') END AS path,
    floor(chance(n, s, 5) * 3)::bigint AS conversions,
    CASE WHEN chance(n, s, 6) < 0.1 THEN NULL WHEN s % 3 = 0 THEN round((chance(n, s, 7) * 100)::numeric, 2) WHEN s % 3 = 1 THEN round((chance(n, s, 7) * 100 - 20)::numeric, 12) ELSE floor(chance(n, s, 7) * 9)::numeric END AS value,
    CASE WHEN chance(n, s, 8) < 0.1 THEN NULL ELSE floor(chance(n, s, 9) * 4)::bigint END AS nulls
FROM generate_series(1, 6) s, generate_series(1, 60) n;
ANALYZE iaros.t_random;
CREATE TEMP TABLE whole AS SELECT set_id, path_agg(path, conversions, value, nulls) AS paths FROM iaros.t_random GROUP BY set_id;
CREATE TEMP VIEW expected AS
SELECT set_id, string_to_array(coalesce(path, ''), ' > ') AS path, sum(conversions)::bigint AS conversions, coalesce(sum(nulls), 0)::bigint AS nulls, coalesce(sum(value), 0) AS value
FROM iaros.t_random GROUP BY set_id, 2 HAVING sum(conversions) <> 0 OR coalesce(sum(nulls), 0) <> 0 OR coalesce(sum(value), 0) <> 0;

-- What is in a set.
SELECT is((SELECT path_agg('a', 1, 1, 1) FROM generate_series(1, 0))::text, NULL, 'no rows give NULL');
SELECT is((SELECT path_agg('a', 1, 1, 1) FILTER (WHERE false))::text, NULL, 'so does a filter that passes none');
SELECT is((SELECT path_merge(s) FROM unnest('{NULL,NULL}'::path_set[]) s)::text, NULL, 'and so do sets that are NULL');
SELECT is_empty('SELECT * FROM ' || f, f || ' has no rows') FROM unnest('{path_top(NULL),path_steps(NULL),path_transitions(NULL),attribution_markov(NULL),attribution_markov_order(NULL),attribution_shapley(NULL),attribution_interval(NULL)}'::text[]) f;
SELECT is_empty(format('SELECT * FROM %s', replace(f, 'NULL', $$(SELECT path_agg('a', 0, 0, 0))$$)), 'nor has that of a set of nothing: ' || f) FROM unnest('{path_top(NULL),path_steps(NULL),path_transitions(NULL),attribution_markov(NULL),attribution_markov_order(NULL),attribution_shapley(NULL),attribution_interval(NULL)}'::text[]) f;
SELECT results_eq(
    'SELECT w.set_id, p.path, p.conversions, p.nulls, p.value FROM whole w, path_top(w.paths, NULL) p ORDER BY 1, 2',
    'SELECT set_id, path, conversions, nulls, value FROM expected ORDER BY 1, 2',
    'path_top() has every path with its sums');
SELECT is((SELECT path_agg(touch_path_parse(path), conversions, value, nulls) FROM iaros.t_random WHERE set_id = 1)::text, (SELECT paths FROM whole WHERE set_id = 1)::text, 'touch_path and text give the same set');
SELECT is(path_agg(touch_path_parse(p))::text, path_agg(p, 0, 0, 1)::text, 'path_agg(path) counts a null') FROM unnest('{a > b, b, NULL}'::text[]) p;
SELECT is(path_agg(p, 1, 0, 0)::text, path_agg('a > b c > a', 1, NULL, NULL)::text, 'blanks around names are left out') FROM unnest('{" a >   b c  > a "}'::text[]) p;
SELECT is((SELECT path_agg(p, 1, 0, 0) FROM unnest('{a>b, a >b}'::text[]) p)::text, path_agg(touch_path_make('{a,b}'), 2, 0, 0)::text, 'blanks around > may be missing');
SELECT is(path_agg(p, 1, 2, 0)::text, path_agg(NULL::text, 1, 2, 0)::text, 'NULL and blanks are the path without touches') FROM unnest('{"  "}'::text[]) p;
SELECT is((SELECT path_agg('a', c, v, n) FROM (VALUES (0, 5.5, 0), (0, -5.5, 0)) x(c, v, n))::text, path_agg('b', 0, 0, 0)::text, 'paths that count nothing in the end are not in the set, nor are their channels');

-- Order of arrival, splits, plans, windows.
SELECT ok(bool_and(w.paths OPERATOR(iaros.=) r.paths AND NOT w.paths OPERATOR(iaros.<>) r.paths), 'the order of rows makes no difference')
FROM whole w JOIN (SELECT set_id, path_agg(path, conversions, value, nulls ORDER BY chance(n, 99, 1)) AS paths FROM iaros.t_random GROUP BY set_id) r USING (set_id);
SELECT is(path_set_send(path_merge(p.paths)), (SELECT path_set_send(paths) FROM whole WHERE set_id = p.set_id), 'nor does a split of set ' || p.set_id)
FROM (SELECT set_id, path_agg(path, conversions, value, nulls) AS paths FROM iaros.t_random GROUP BY set_id, split) p GROUP BY p.set_id ORDER BY p.set_id;
SELECT is((SELECT path_merge(paths) FROM whole)::text, (SELECT path_agg(path, conversions, value, nulls) FROM iaros.t_random)::text, 'all sets merged are the set of all');
SELECT is(path_set_merge(path_set_merge(NULL, w.paths), NULL)::text, w.paths::text, 'NULL merges as nothing') FROM whole w WHERE set_id = 2;
SELECT is(bool_and(w.running::text = (SELECT path_agg(path, conversions, value, nulls) FROM iaros.t_random r WHERE r.set_id = 3 AND r.n <= w.n)::text), true, 'as a window')
FROM (SELECT n, path_agg(path, conversions, value, nulls) OVER (ORDER BY n) AS running FROM iaros.t_random WHERE set_id = 3) w;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan;
END $$;
SELECT matches(pg_temp.plan_of('SELECT path_agg(path, conversions, value, nulls) FROM iaros.t_random'), 'Partial Aggregate', 'a parallel plan is made');
SELECT is(path_set_send(path_agg(path, conversions, value, nulls)), (SELECT path_set_send(path_merge(paths)) FROM whole), 'and gives the same set') FROM iaros.t_random;
RESET max_parallel_workers_per_gather;

-- Errors.
SELECT throws_ok($$SELECT path_agg('a', -1, 0, 0)$$, '22023', 'conversions must not be below 0, not "-1"', 'conversions below 0');
SELECT throws_ok($$SELECT path_agg('a', 0, 0, -1)$$, '22023', 'nulls must not be below 0, not "-1"', 'nulls below 0');
SELECT throws_ok(format('SELECT path_agg(%L, 1, %L, 0)', 'a', v), '22003', format('value "%s" is out of range', v), v || ' is no value') FROM unnest('{NaN,Infinity,-Infinity,10000000000000000000000000,-10000000000000000000000000}'::text[]) v;
SELECT is((SELECT value FROM path_top((SELECT path_agg('a', 1, 0.1234567890125, 0)))), 0.123456789013, 'values are rounded to 12 decimals');
SELECT throws_ok($$SELECT path_agg('a', 9223372036854775807, 0, n) FROM unnest('{0,1}'::bigint[]) n$$, '22003', NULL, 'counts beyond 64 bits');
SELECT throws_ok($$SELECT attribution_markov(path_agg('a > b > a > b', 5223372036854775807, 0, 0))$$, '22003', NULL, 'transitions beyond 64 bits');
SELECT throws_ok($$SELECT path_agg('a', 0, v, 0) FROM unnest('{9999999999999999999999999,1}'::numeric[]) v$$, '22003', NULL, 'a sum of values that is too large');
SELECT throws_ok($$SELECT path_agg('a >  > b', 1, 0, 0)$$, '22023', NULL, 'a channel without a name');
SELECT is((SELECT value FROM path_top((SELECT path_agg('a', 0, v, 0) FROM unnest('{9999999999999999999999999.000000000001,-0.000000000001}'::numeric[]) v))), 9999999999999999999999999::numeric, 'wide values stay exact');

-- Bytes that are no set: every prefix and every change of every byte.
CREATE FUNCTION pg_temp.try_set(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN path_set_send(bytes::text::path_set) = bytes THEN 'same' ELSE 'other' END;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE form AS
SELECT path_set_send(path_agg(p, c, v, n)) AS bytes FROM (VALUES ('ab > c > ab', 3, 1.25, 200), ('c', 0, 1e20, 1), ('', 1, -7, 0)) x(p, c, v, n)
UNION ALL SELECT path_set_send(paths) FROM (SELECT path_agg(path, conversions, value, nulls) AS paths FROM iaros.t_random WHERE set_id = 1 AND n <= 8) x;
SELECT is((SELECT array_agg(DISTINCT pg_temp.try_set(substr(bytes, 1, n))) FROM form, generate_series(0, length(bytes) - 1) n), '{22P03}', 'no prefix of a set is one');
SELECT is((SELECT array_agg(DISTINCT t ORDER BY t) FROM (SELECT pg_temp.try_set(set_byte(bytes, n, (get_byte(bytes, n) + d) % 256)) AS t FROM form, generate_series(0, length(bytes) - 1) n, generate_series(1, 255, 2) d) x), '{22P03,same}', 'a changed byte makes an error, or another set that is its own form');
SELECT is(pg_temp.try_set(bytes || '\x00'), '22P03', 'a byte too many') FROM form LIMIT 1;
SELECT throws_ok($$SELECT '0100'::path_set$$, '22P02', 'invalid input syntax for type path_set', 'text that is no hexadecimal form');

-- Markov chains against slow SQL: repeated multiplication until nothing moves.
CREATE TEMP TABLE edge (f text, t text, c text, w float8);
CREATE FUNCTION pg_temp.slow_chain(chosen integer, k integer) RETURNS void LANGUAGE sql AS $$
    TRUNCATE edge;
    INSERT INTO edge
    SELECT f::text, t, c, sum(w) FROM (
        SELECT path[greatest(1, i - k):i - 1] AS f, path[greatest(1, i - k + 1):i]::text AS t, path[i] AS c, conversions + nulls AS w FROM expected, generate_series(1, cardinality(path)) i WHERE set_id = chosen
        UNION ALL SELECT path[greatest(1, cardinality(path) - k + 1):], '+', NULL, conversions FROM expected WHERE set_id = chosen
        UNION ALL SELECT path[greatest(1, cardinality(path) - k + 1):], '-', NULL, nulls FROM expected WHERE set_id = chosen
        UNION ALL SELECT path[greatest(1, cardinality(path) - k + 1):], '=', NULL, value FROM expected WHERE set_id = chosen AND conversions + nulls > 0) x
    WHERE w <> 0 GROUP BY 1, 2, 3;
$$;
CREATE FUNCTION pg_temp.slow_worth(removed text, goal text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    states text[] := ARRAY(SELECT DISTINCT f FROM edge ORDER BY f);
    f integer[];
    t integer[];
    w float8[];
    own float8[];
    x float8[] := array_fill(0::float8, ARRAY[cardinality(states)]);
    y float8[];
    moved float8 := 1;
BEGIN
    SELECT array_agg(array_position(states, e.f)), array_agg(array_position(states, e.t)), array_agg(e.w / (SELECT sum(o.w) FROM edge o WHERE o.f = e.f AND o.t <> '='))
    INTO f, t, w FROM edge e WHERE e.c IS NOT NULL AND e.c IS DISTINCT FROM removed;
    SELECT array_agg(coalesce((SELECT sum(e.w) FROM edge e WHERE e.f = s AND e.t = goal) / (SELECT sum(o.w) FROM edge o WHERE o.f = s AND o.t <> '='), 0) ORDER BY s) INTO own FROM unnest(states) s;
    WHILE moved > 1e-15 LOOP
        y := own;
        FOR i IN 1..cardinality(f) LOOP
            y[f[i]] := y[f[i]] + w[i] * x[t[i]];
        END LOOP;
        moved := 0;
        FOR i IN 1..cardinality(x) LOOP
            moved := moved + abs(y[i] - x[i]);
        END LOOP;
        x := y;
    END LOOP;
    RETURN x[array_position(states, '{}')];
END $$;
CREATE TEMP TABLE slow (set_id integer, k integer, channel text, effect float8, value_effect float8);
DO $$
BEGIN
    FOR s IN 2..3 LOOP
        FOR k IN 1..4 LOOP
            PERFORM pg_temp.slow_chain(s, k);
            INSERT INTO slow
            SELECT s, k, c, 1 - pg_temp.slow_worth(c, '+') / pg_temp.slow_worth(NULL, '+'), 1 - pg_temp.slow_worth(c, '=') / pg_temp.slow_worth(NULL, '=') FROM (SELECT DISTINCT unnest(path) AS c FROM expected WHERE set_id = s) x;
        END LOOP;
    END LOOP;
END $$;
SELECT ok(bool_and(m.channel IS NOT NULL AND abs(m.removal_effect - s.effect) < 1e-11) AND count(*) = 5, format('effects of order %s of set %s', s.k, s.set_id))
FROM slow s JOIN whole w USING (set_id) LEFT JOIN LATERAL attribution_markov(w.paths, s.k) m ON m.channel = s.channel GROUP BY s.set_id, s.k ORDER BY s.set_id, s.k;
SELECT ok(bool_and(abs(m.credit - t.value * s.value_effect / s.total) < 0.01 + 1e-9 * abs(t.value)), format('values of order %s of set %s', s.k, s.set_id))
FROM (SELECT *, sum(value_effect) OVER (PARTITION BY set_id, k) AS total FROM slow WHERE set_id = 3) s JOIN whole w USING (set_id)
JOIN (SELECT set_id, sum(value) AS value FROM expected WHERE path <> '{}' GROUP BY set_id) t USING (set_id)
CROSS JOIN LATERAL attribution_markov(w.paths, s.k) m WHERE m.channel = s.channel GROUP BY s.set_id, s.k ORDER BY s.set_id, s.k;
SELECT is((SELECT array_agg(ROW(set_id, f, k, c, v)::text) FROM (
        SELECT w.set_id, 'markov' AS f, k, sum(m.conversions) AS c, sum(m.credit) AS v FROM whole w, generate_series(1, 4) k, attribution_markov(w.paths, k) m GROUP BY w.set_id, k
        UNION ALL SELECT w.set_id, worth, 0, sum(m.conversions), sum(m.credit) FROM whole w, unnest('{conversions,rate}'::text[]) worth, attribution_shapley(w.paths, worth) m GROUP BY w.set_id, worth) x
    JOIN (SELECT set_id, sum(conversions) AS conversions, sum(value) AS value FROM expected GROUP BY set_id) e USING (set_id) WHERE x.c IS DISTINCT FROM e.conversions OR x.v IS DISTINCT FROM e.value), NULL, 'conversions and credits add up exactly, however many decimals');
SELECT is((SELECT sum(conversions) FROM whole w, attribution_markov(w.paths) m WHERE m.channel IS NULL), (SELECT sum(conversions)::numeric FROM expected WHERE path = '{}'), 'paths without touches are credited to no channel');
SELECT results_eq($$SELECT channel, removal_effect, conversions, credit FROM attribution_markov((SELECT path_agg(p, c, v, n) FROM (VALUES ('a > b', 1, 10, 0), ('z', 0, 0, 5)) x(p, c, v, n)))$$,
    $$VALUES ('a', 1::float8, 0.5, 5::numeric), ('b', 1, 0.5, 5), ('z', 0, 0, 0)$$, 'a channel of nulls alone gets nothing');
SELECT results_eq($$SELECT channel, conversions, credit FROM attribution_markov((SELECT path_agg(p, 0, 7, 1) FROM unnest('{a,b > a}'::text[]) p))$$,
    $$VALUES ('a', 0::numeric, 9.33), ('b', 0, 4.67)$$, 'values without conversions are shared by effects on value');
SELECT results_eq($$SELECT channel, conversions, credit FROM attribution_markov((SELECT path_agg(p, c, v, 0) FROM (VALUES ('a', 1, 10), ('b', 1, -4)) x(p, c, v)))$$,
    $$VALUES ('a', 1::numeric, 3::numeric), ('b', 1, 3)$$, 'effects of both signs give way to those on conversions');
SELECT results_eq($$SELECT channel, conversions, credit FROM attribution_markov((SELECT path_agg(p, c, v, 0) FROM (VALUES ('a > b', 1, -4)) x(p, c, v)))$$,
    $$VALUES ('a', 0.5, -2::numeric), ('b', 0.5, -2)$$, 'a negative value is shared as a positive one');
SELECT results_eq($$SELECT channel, conversions, credit FROM attribution_markov((SELECT path_agg('a > b > c', 1, 0.01, 0)))$$,
    $$VALUES ('a', 0.333334, 0.01), ('b', 0.333333, 0), ('c', 0.333333, 0)$$, 'ties go to the first row');

-- Chains of odd structure.
SELECT results_eq(format($$SELECT channel, round(removal_effect::numeric, 9) FROM attribution_markov((SELECT path_agg(repeat('a > b > ', 50000) || 'a', 1, 1, 1)), %s)$$, k),
    format($$VALUES ('a', 1::numeric), ('b', round(1 - %s / 50001.0, 9))$$, (k = 1)::integer), 'a path of 100,001 touches, order ' || k) FROM generate_series(1, 4) k;
CREATE TEMP TABLE ring AS SELECT path_agg(p, c, 1, n) AS paths FROM (VALUES ((SELECT string_agg('c' || i % 40, ' > ' ORDER BY i) FROM generate_series(0, 39999) i), 1, 1), ('x', 1, 0), ('c7', 0, 1)) x(p, c, n);
SELECT ok(bool_and(abs(removal_effect - 0.5) < 1e-9) AND count(*) = 41, 'a ring of 40 channels that is left once in 1,000 rounds, order ' || k)
FROM ring, generate_series(2, 4) k, attribution_markov(ring.paths, k) r GROUP BY k ORDER BY k;
CREATE TEMP TABLE wide AS SELECT path_agg(array_to_string(ARRAY(SELECT 'c' || floor(chance(n * 20 + i, 5, 0) * 900)::integer FROM generate_series(1, 8) i), ' > '), n % 3, 0, 1) AS paths FROM generate_series(1, 3000) n;
SELECT ok((SELECT count(*) > 850 AND sum(conversions) = 3000 AND min(removal_effect) >= 0 FROM wide, attribution_markov(paths)), 'more channels than order 1 inverts');
SELECT ok(bool_and(abs(a.removal_effect - b.removal_effect) < 1e-12) AND count(*) = 30, 'and repeats instead, with the same effects')
FROM whole w, LATERAL attribution_markov(w.paths) a JOIN LATERAL attribution_markov(path_set_merge(w.paths, (SELECT path_agg('z' || i, 0, 0, 1) FROM generate_series(1, 800) i))) b USING (channel);

-- Transitions, steps, top.
SELECT is((SELECT array_agg(p."from"::text || p.total) FROM (SELECT w.set_id, k, t."from", round(sum(t.probability)::numeric, 12) AS total FROM whole w, generate_series(1, 4) k, path_transitions(w.paths, k) t GROUP BY 1, 2, 3) p WHERE p.total <> 1), NULL, 'probabilities of each state add up to 1');
SELECT is((SELECT count(*) FROM (
        (SELECT t."from"::text, t."to", t.ending, t.paths FROM whole w, path_transitions(w.paths, 2) t WHERE w.set_id = 2
         EXCEPT SELECT path[greatest(1, i - 2):i - 1]::text, path[i], NULL, sum(conversions + nulls) FROM expected, generate_series(1, cardinality(path)) i WHERE set_id = 2 GROUP BY 1, 2)
        EXCEPT SELECT path[greatest(1, cardinality(path) - 1):]::text, NULL, e.ending, sum(e.n) FROM expected, LATERAL (VALUES ('conversion', conversions), ('null', nulls)) e(ending, n) WHERE set_id = 2 GROUP BY 1, 3) x), 0::bigint, 'transitions are counts of windows of paths');
SELECT is((SELECT array_agg(t.*::text) FROM (
        SELECT coalesce(o.step, i.step) AS step, coalesce(o.channel, i.channel) AS channel, o.n AS out, i.n AS in FROM
            (SELECT step - 1 AS step, from_channel AS channel, sum(t.paths) AS n FROM whole w, path_steps(w.paths, 5) t WHERE set_id = 4 AND from_channel IS NOT NULL GROUP BY 1, 2) o
            FULL JOIN (SELECT step, to_channel AS channel, sum(t.paths) AS n FROM whole w, path_steps(w.paths, 4) t WHERE set_id = 4 AND to_channel IS NOT NULL GROUP BY 1, 2) i USING (step, channel)) t WHERE t.out IS DISTINCT FROM t.in), NULL, 'what goes into a node of path_steps() comes out');
SELECT is((SELECT array_agg(path::text) FROM whole w, path_top(w.paths, 3) WHERE set_id = 5), (SELECT array_agg(path::text) FROM (SELECT path FROM expected WHERE set_id = 5 ORDER BY conversions DESC, nulls DESC, path COLLATE "C" LIMIT 3) x), 'path_top() of few');

-- Order of a chain.
SELECT is((SELECT array_agg(m."order" ORDER BY m."order") FROM whole w, attribution_markov_order(w.paths) m WHERE w.set_id = 1 AND m.chosen)::text, (SELECT array_agg(m."order")::text FROM (SELECT m."order" FROM whole w, attribution_markov_order(w.paths) m WHERE w.set_id = 1 ORDER BY log_likelihood DESC, 1 LIMIT 1) m), 'the order with the highest likelihood is chosen');
CREATE TEMP TABLE second AS
WITH RECURSIVE walk AS (
    SELECT n, 1 AS i, floor(chance(n, 70, 0) * 4)::integer AS before, floor(chance(n, 71, 0) * 4)::integer AS last, ARRAY[]::integer[] AS path FROM generate_series(1, 3000) n
    UNION ALL SELECT n, i + 1, last, CASE WHEN chance(n, 72, i) < 0.7 THEN (2 * last + before + 1) % 4 ELSE floor(chance(n, 73, i) * 4)::integer END, path || last FROM walk WHERE chance(n, 74, i) < 0.8)
SELECT path_agg(array_to_string(path, ' > '), n % 2, 0, 1 - n % 2) AS paths FROM (SELECT DISTINCT ON (n) n, path FROM walk ORDER BY n, i DESC) x;
SELECT results_eq('SELECT m."order" FROM second, attribution_markov_order(paths) m WHERE chosen', 'VALUES (2)', 'order 2 is found where the two channels before decide');
SELECT is((SELECT round(log_likelihood::numeric, 12) FROM attribution_markov_order((SELECT path_agg('a', 2, 0, 0)), 1, 2)), round(2 * ln(17 / 24.0), 12), 'a likelihood by hand: 5/12 by order 0, 17/24 by order 1, touch and end alike');
SELECT isnt((SELECT log_likelihood FROM whole w, attribution_markov_order(w.paths, seed => 1) WHERE set_id = 1 AND "order" = 1), (SELECT log_likelihood FROM whole w, attribution_markov_order(w.paths, seed => 2) WHERE set_id = 1 AND "order" = 1), 'the seed deals the paths');

-- Shapley values: the axioms, and slow SQL over all orders.
CREATE TEMP TABLE game AS SELECT g, n, array_agg(CASE WHEN s = 0 THEN 0 ELSE round((chance(s, g, 1) * 20 - 5)::numeric, 3) END::float8 ORDER BY s) AS worth FROM generate_series(1, 8) g, LATERAL (SELECT 1 + g % 5 AS n) x, generate_series(0, (1 << n) - 1) s GROUP BY g, n;
CREATE FUNCTION pg_temp.slow_shapley(n integer, worth float8[]) RETURNS float8[] LANGUAGE sql AS $$
    WITH RECURSIVE o AS (SELECT ARRAY[]::integer[] AS joined, 0 AS bits
        UNION ALL SELECT joined || p, bits | (1 << p) FROM o, generate_series(0, n - 1) p WHERE bits & (1 << p) = 0)
    SELECT array_agg(v ORDER BY p) FROM (
        SELECT p, avg((SELECT worth[1 + (bits | (1 << p))] - worth[1 + bits] FROM (SELECT coalesce(bit_or(1 << joined[i]), 0) AS bits FROM generate_series(1, array_position(joined, p) - 1) i) b)) AS v
        FROM o, generate_series(0, n - 1) p WHERE cardinality(joined) = n GROUP BY p) x
$$;
SELECT ok(bool_and(abs(a.v - b.v) < 1e-12), 'shapley_values() is the mean over all orders, game of ' || n) FROM game, unnest(shapley_values(worth), pg_temp.slow_shapley(n, worth)) AS a(v, w), LATERAL (SELECT a.w AS v) b GROUP BY n ORDER BY n;
SELECT ok(bool_and(abs(t.v - worth[array_upper(worth, 1)]) < 1e-12), 'efficiency') FROM game, LATERAL (SELECT sum(v) AS v FROM unnest(shapley_values(worth)) v) t;
SELECT ok(bool_and(abs(s.a - s.b) < 1e-12), 'additivity') FROM (SELECT unnest(shapley_values(a.worth)) + unnest(shapley_values(b.worth)) AS a, unnest(shapley_values(ARRAY(SELECT x + y FROM unnest(a.worth, b.worth) u(x, y)))) AS b FROM game a JOIN game b ON a.n = b.n) s;
SELECT ok(bool_and(v[n + 1] = 0 AND v[1:n] = u), 'a player who adds nothing gets nothing, and changes nothing') FROM (SELECT n, ARRAY(SELECT round(x::numeric, 9) FROM unnest(shapley_values(worth || worth)) x) AS v, ARRAY(SELECT round(x::numeric, 9) FROM unnest(shapley_values(worth)) x) AS u FROM game) s;
SELECT ok(bool_and(abs(v[1] - v[2]) < 1e-12), 'players who add the same get the same') FROM (SELECT shapley_values(ARRAY(SELECT worth[1 + (s & ~3) + ((s & 1) | ((s >> 1) & 1)) + (s & 1 & (s >> 1))] FROM generate_series(0, (1 << n) - 1) s)) AS v FROM game WHERE n >= 3) s;
SELECT is(shapley_values('{0}')::text, '{}', 'a game without players');
SELECT throws_ok(format('SELECT shapley_values(%L)', w), '22023', 'worth is no game', w || ' is no game') FROM unnest(ARRAY['{}', '{0,1,2}', '{0,NULL}', '{0,NaN}', '{0,Infinity}', '{1,2}', '{{0,1},{2,3}}']) w;
SELECT is(array_length(shapley_values(array_fill(0::float8, ARRAY[1 << 20])), 1), 20, 'a game of 20 players');
CREATE FUNCTION pg_temp.slow_worths(chosen integer, rate boolean) RETURNS float8[] LANGUAGE sql AS $$
    SELECT array_agg(coalesce((SELECT CASE WHEN rate THEN sum(conversions)::float8 / nullif(sum(conversions + nulls), 0) ELSE sum(conversions) END FROM expected e WHERE set_id = chosen AND path <> '{}' AND path <@ ARRAY(SELECT chr(97 + i) FROM generate_series(0, 4) i WHERE s & (1 << i) <> 0)), 0)::float8 ORDER BY s) FROM generate_series(0, 31) s
$$;
SELECT ok(bool_and(abs(m.conversions - v.v) < 0.00001 AND error_bound = 0), 'attribution_shapley() is the value of the game of conversions, set ' || set_id)
FROM whole w, LATERAL (SELECT chr(96 + o::integer) AS channel, v FROM unnest(shapley_values(pg_temp.slow_worths(set_id, false))) WITH ORDINALITY u(v, o)) v, attribution_shapley(w.paths) m WHERE m.channel = v.channel AND set_id <= 3 GROUP BY set_id ORDER BY set_id;
SELECT ok(bool_and(abs(m.share - v.v / v.total) < 1e-12 AND error_bound = 0), 'and of rates, set ' || set_id)
FROM whole w, LATERAL (SELECT chr(96 + o::integer) AS channel, v, sum(v) OVER () AS total FROM unnest(shapley_values(pg_temp.slow_worths(set_id, true))) WITH ORDINALITY u(v, o)) v, attribution_shapley(w.paths, 'rate') m WHERE m.channel = v.channel AND set_id <= 3 GROUP BY set_id ORDER BY set_id;
CREATE TEMP TABLE many AS SELECT path_agg(array_to_string(ARRAY(SELECT chr(97 + floor(chance(n * 20 + i, 6, 0) * channels)::integer) FROM generate_series(1, 3) i), ' > '), n % 3, 1, n % 2) AS paths, channels FROM generate_series(1, 2000) n, unnest('{20,21}'::integer[]) channels GROUP BY channels;
SELECT ok(bool_and(error_bound = 0) AND count(*) = 20, 'rates of 20 channels are exact') FROM many, attribution_shapley(paths, 'rate') WHERE channels = 20;
SELECT ok(bool_and(error_bound > 0) AND count(*) = 21 AND abs(sum(share) - 1) < 1e-9, 'those of 21 have a bound') FROM many, attribution_shapley(paths, 'rate') WHERE channels = 21;
SELECT ok(bool_and(abs(a.conversions - b.conversions) <= a.error_bound + b.error_bound) AND bool_or(a.conversions <> b.conversions) AND avg(b.error_bound) < avg(a.error_bound) / 4, 'which holds between samples, and falls with their number')
FROM many, attribution_shapley(paths, 'rate', 1000, 1) a, attribution_shapley(paths, 'rate', 30000, 2) b WHERE channels = 21 AND a.channel = b.channel;

-- Intervals.
SELECT ok(bool_and(abs(i.conversions - m.conversions) < 0.000002 AND i.low <= i.high), 'intervals are around ' || method)
FROM whole w, unnest('{markov,markov(1),markov(3)}'::text[]) method, LATERAL attribution_interval(w.paths, method, 20) i JOIN LATERAL attribution_markov(w.paths, CASE method WHEN 'markov(3)' THEN 3 ELSE 1 END) m USING (channel) GROUP BY method ORDER BY method;
SELECT ok(bool_and(abs(i.conversions - m.conversions) < 0.000002 AND i.low <= i.high), 'intervals are around ' || method)
FROM whole w, unnest('{shapley,shapley(rate)}'::text[]) method, LATERAL attribution_interval(w.paths, method, 20) i JOIN LATERAL attribution_shapley(w.paths, CASE method WHEN 'shapley' THEN 'conversions' ELSE 'rate' END) m USING (channel) GROUP BY method ORDER BY method;
SELECT ok(abs(low - (400 - 1.96 * 20)) < 6 AND abs(high - (400 + 1.96 * 20)) < 6, 'the interval of 400 conversions of one path is that of Poisson: ' || low || ' to ' || high) FROM attribution_interval((SELECT path_agg('a', 400, 0, 600)), 'shapley', 2000);
SELECT results_ne($$SELECT low FROM whole w, attribution_interval(w.paths, 'shapley', 20, 0.9, 1) WHERE set_id = 1$$, $$SELECT low FROM whole w, attribution_interval(w.paths, 'shapley', 20, 0.9, 2) WHERE set_id = 1$$, 'seeds differ');

-- Arguments.
SELECT throws_ok(format('SELECT * FROM %s', c), s, NULL, c) FROM (VALUES
    ($$attribution_markov(NULL, 0)$$, '22023'), ($$attribution_markov(NULL, 5)$$, '22023'), ($$attribution_markov(NULL, NULL)$$, '22004'), ($$attribution_markov(NULL, 1, 13)$$, '22023'),
    ($$attribution_markov_order(NULL, 5)$$, '22023'), ($$attribution_markov_order(NULL, 2, 1)$$, '22023'), ($$attribution_markov_order(NULL, 2, 5, NULL)$$, '22004'),
    ($$attribution_shapley(NULL, 'luck')$$, '22023'), ($$attribution_shapley(NULL, 'rate', 1)$$, '22023'), ($$attribution_shapley(NULL, NULL)$$, '22004'),
    ($$attribution_interval(NULL, 'markov(5)')$$, '22023'), ($$attribution_interval(NULL, 'markov(1)', 10001)$$, '22023'), ($$attribution_interval(NULL, 'markov(1)', 10, 1)$$, '22023'), ($$attribution_interval(NULL, 'markov(1)', 10, 'NaN')$$, '22023'),
    ($$path_top(NULL, 0)$$, '22023'), ($$path_steps(NULL, 1001)$$, '22023'), ($$path_transitions(NULL, 0)$$, '22023'),
    ($$attribution_interval((SELECT paths FROM many WHERE channels = 21), 'shapley(rate)')$$, '54000')) v(c, s);

SELECT * FROM finish();
ROLLBACK;
