-- Type audience against sorted arrays of bigint: sets of all shapes, each
-- function and operator, aggregates in every plan, stored values of every
-- size.
BEGIN;
SELECT setseed(0.5);
SET LOCAL client_min_messages TO error;
SET LOCAL search_path TO iaros, public, pg_catalog;
SELECT no_plan();

-- Sets of all shapes: none, one id, dense, runs, random, both ends of ids,
-- borders of chunks, and sizes around those at which containers change.
CREATE TEMP TABLE shape AS
SELECT row_number() OVER (ORDER BY s.name, s.k)::integer AS n, s.name, ARRAY(SELECT DISTINCT i FROM unnest(s.ids) AS i ORDER BY i) AS ids
FROM (
    SELECT 'none' AS name, 1 AS k, '{}'::bigint[] AS ids
    UNION ALL SELECT 'one', k, ARRAY[i] FROM unnest('{0,1,65535,65536,4294967296,9223372036854775806,9223372036854775807}'::bigint[]) WITH ORDINALITY AS u(i, k)
    UNION ALL SELECT 'both ends', 1, '{0,9223372036854775807}'
    UNION ALL SELECT 'dense', k, ARRAY(SELECT generate_series(from_, from_ + n)) FROM (VALUES (1, 0::bigint, 65535), (2, 1, 65535), (3, 65530, 10), (4, 100000, 200000), (5, 9223372036854710271, 65536)) AS v(k, from_, n)
    UNION ALL SELECT 'all but some', k, ARRAY(SELECT i FROM generate_series(0, 65536 * 2) AS i WHERE i % (k * 97) <> 5) FROM generate_series(1, 4) AS k
    UNION ALL SELECT 'runs', k, ARRAY(SELECT i FROM generate_series(60000, 60000 + 400 * k) AS i WHERE i % (7 + k) < 5) FROM generate_series(1, 12) AS k
    -- 4,095 to 4,097 members; 2,047 to 2,049 runs of 2 and of 16.
    UNION ALL SELECT 'every 16th', k, ARRAY(SELECT 65536 * 3 + i * 15 FROM generate_series(1, 4093 + k) AS i) FROM generate_series(1, 5) AS k
    UNION ALL SELECT 'pairs', k, ARRAY(SELECT 65536 * 3 + i * 20 + j FROM generate_series(1, 2046 + k) AS i, generate_series(0, 1) AS j) FROM generate_series(0, 4) AS k
    UNION ALL SELECT 'runs of 16', k, ARRAY(SELECT 65536 * 3 + i * 31 + j FROM generate_series(0, 2045 + k) AS i, generate_series(0, 15) AS j) FROM generate_series(0, 4) AS k
    UNION ALL SELECT 'random', k, ARRAY(SELECT (random() * 100 * 3 ^ k)::bigint FROM generate_series(1, (10 * 2 ^ k)::integer)) FROM generate_series(1, 11) AS k
    UNION ALL SELECT 'scattered', k, ARRAY(SELECT (random() * 9223372036854774784)::bigint FROM generate_series(1, (4 ^ k)::integer)) FROM generate_series(1, 4) AS k
    UNION ALL SELECT 'borders', k, ARRAY(SELECT 65536::bigint * (random() * 5 * k)::integer + (random() * 4 - 2)::integer + 65536 FROM generate_series(1, 20 * k)) FROM generate_series(1, 4) AS k
    UNION ALL SELECT 'half', k, ARRAY(SELECT 65536 * k + (random() * 65535 * 2)::bigint FROM generate_series(1, 90000)) FROM generate_series(2, 3) AS k
) AS s;
CREATE TEMP TABLE made (n integer, name text, ids bigint[], members audience);
-- To compress and to decompress them again would take longest of all.
ALTER TABLE made ALTER ids SET STORAGE external;
INSERT INTO made SELECT n, name, ids, ids::audience FROM shape;

SELECT is_empty($$SELECT n, name FROM made WHERE members::bigint[] IS DISTINCT FROM ids$$, 'an array comes back, sorted, each id once');
SELECT is_empty($$SELECT n, name FROM made WHERE members::text::audience IS DISTINCT FROM members$$, 'so does the text form');
SELECT is_empty($$SELECT n, name FROM made WHERE audience_count(members) IS DISTINCT FROM cardinality(ids)$$, 'ids are counted');
SELECT is_empty($$SELECT n, name FROM made WHERE (SELECT array_agg(i) FROM audience_ids(members) AS i) IS DISTINCT FROM nullif(ids, '{}')$$, 'audience_ids() in FROM returns all, ascending');
SELECT is_empty($$SELECT n, name FROM made WHERE (SELECT array_agg(i) FROM (SELECT audience_ids(members) AS i) AS s) IS DISTINCT FROM nullif(ids, '{}')$$, 'and where a value stands');
SELECT is_empty($$SELECT n, name FROM made WHERE cardinality(ids) < 3000 AND (SELECT audience_agg(i ORDER BY random()) FROM unnest(ids || ids[1:10]) AS i) IS DISTINCT FROM members$$, 'the order of rows does not matter, nor do repeated ids');
SELECT is_empty($$SELECT n, name FROM made WHERE (SELECT audience_agg(i ORDER BY i DESC) FROM unnest(ids) AS i) IS DISTINCT FROM members$$, 'not even the worst order');
SELECT is_empty(
    $$SELECT n, name, p FROM made, unnest('{1,2,3,100,5000,65536,100000}'::bigint[]) AS p
      WHERE (SELECT audience_merge(s.part) FROM (SELECT audience_agg(i) AS part FROM unnest(ids) AS i GROUP BY i % p, i / p % 3) AS s) IS DISTINCT FROM members AND cardinality(ids) < 10000$$,
    'splits by residue are merged to the same');
SELECT is_empty(
    $$SELECT n, name, p FROM made, unnest('{10,1000,40000,65536,1000000}'::bigint[]) AS p
      WHERE (SELECT audience_merge(s.part ORDER BY random()) FROM (SELECT audience_agg(i) AS part FROM unnest(ids) AS i GROUP BY i / p) AS s) IS DISTINCT FROM members
        AND cardinality(ids) BETWEEN 1 AND 35000 AND name <> 'scattered'$$,
    'splits by range too');
SELECT is_empty(
    $$SELECT n, name FROM made WHERE audience_contains(members, ids[1]) IS FALSE OR audience_contains(members, -1)
      OR EXISTS (SELECT FROM (SELECT i FROM unnest(ids) AS i ORDER BY hashint8(i) LIMIT 40) AS s, generate_series(-1, 1) AS d
                 WHERE CASE WHEN i = 9223372036854775807 AND d = 1 THEN false
                            ELSE audience_contains(members, i + d) IS DISTINCT FROM (i + d = ANY (ids)) END)$$,
    'audience_contains() knows members and their neighbours');

-- Pairs: all of the small sets, some of the others.
CREATE TEMP TABLE expected (a_n integer, b_n integer, a audience, b audience, a_ids bigint[], b_ids bigint[], both_ids bigint[], only_a bigint[], any_ids bigint[], one_ids bigint[]);
ALTER TABLE expected ALTER a_ids SET STORAGE external, ALTER b_ids SET STORAGE external, ALTER both_ids SET STORAGE external,
    ALTER only_a SET STORAGE external, ALTER any_ids SET STORAGE external, ALTER one_ids SET STORAGE external;
INSERT INTO expected
SELECT a.n, b.n, a.members, b.members, a.ids, b.ids, s.*
FROM made a CROSS JOIN made b CROSS JOIN LATERAL (
    SELECT array_agg(id) FILTER (WHERE side = 3), array_agg(id) FILTER (WHERE side = 1), array_agg(id), array_agg(id) FILTER (WHERE side <> 3)
    FROM (SELECT id, sum(side) AS side FROM (SELECT unnest(a.ids) AS id, 1 AS side UNION ALL SELECT unnest(b.ids), 2) AS u GROUP BY id ORDER BY id) AS g) AS s
WHERE greatest(audience_count(a.members), audience_count(b.members)) < 1000
    OR hashint8(a.n * 1000 + b.n) % (CASE WHEN greatest(audience_count(a.members), audience_count(b.members)) < 10000 THEN 8 ELSE 120 END) = 0;
SELECT cmp_ok((SELECT count(*) FROM expected), '>', 1000::bigint, 'more than a thousand pairs');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE (a | b) IS DISTINCT FROM coalesce(any_ids, '{}')::audience$$, 'a | b');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE (a & b) IS DISTINCT FROM coalesce(both_ids, '{}')::audience$$, 'a & b');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE (a - b) IS DISTINCT FROM coalesce(only_a, '{}')::audience$$, 'a - b');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE (a # b) IS DISTINCT FROM coalesce(one_ids, '{}')::audience$$, 'a # b');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE audience_accumulate(a, b) IS DISTINCT FROM a | b$$, 'audience_accumulate() is a | b');
SELECT is_empty($$SELECT a_n, b_n FROM expected WHERE audience_overlap_count(a, b) IS DISTINCT FROM coalesce(cardinality(both_ids), 0)$$, 'audience_overlap_count()');
SELECT is_empty(
    $$SELECT a_n, b_n FROM expected WHERE audience_jaccard(a, b) IS DISTINCT FROM
        coalesce(coalesce(cardinality(both_ids), 0)::float8 / cardinality(any_ids), 1)$$, 'audience_jaccard()');
SELECT is_empty(
    $$SELECT a_n, b_n FROM expected WHERE audience_cmp(a, b) IS DISTINCT FROM btarraycmp(a_ids, b_ids)
        OR ROW(a = b, a <> b, a < b, a <= b, a > b, a >= b) IS DISTINCT FROM
           ROW(a_ids = b_ids, a_ids <> b_ids, a_ids < b_ids, a_ids <= b_ids, a_ids > b_ids, a_ids >= b_ids)$$,
    'sets are ordered as their arrays');
SELECT is_empty(
    $$SELECT a_n, b_n FROM expected WHERE (audience_send(a) = audience_send(b)) IS DISTINCT FROM (a_ids = b_ids)
        OR a_ids = b_ids AND (audience_hash(a), audience_hash_extended(a, 7)) <> (audience_hash(b), audience_hash_extended(b, 7))$$,
    'equal sets have equal bytes and hashes');

-- Operator classes: the same by index, sort and hash as in one row after the
-- other.
CREATE TABLE public.t_sorted AS SELECT n, members FROM made WHERE pg_column_size(members) < 1000;
CREATE INDEX ON public.t_sorted (members);
CREATE INDEX ON public.t_sorted USING hash (members);
SET LOCAL enable_seqscan TO off;
SELECT is_empty(
    $$SELECT s.n FROM public.t_sorted s WHERE (SELECT count(*) FROM public.t_sorted o WHERE o.members <= s.members)
        <> (SELECT count(*) FROM made o WHERE o.ids <= s.members::bigint[] AND o.n IN (SELECT n FROM public.t_sorted))$$, 'ranges by btree');
SELECT is_empty(
    $$SELECT s.n FROM public.t_sorted s WHERE NOT EXISTS (SELECT FROM public.t_sorted o WHERE o.members = s.members AND o.n = s.n)$$, 'equality by index');
RESET enable_seqscan;
SELECT is((SELECT count(*) FROM made a JOIN made b USING (members)), (SELECT count(*) FROM made a JOIN made b USING (ids)), 'a hash join');
SELECT results_eq('SELECT members FROM made ORDER BY members', 'SELECT members FROM made ORDER BY ids', 'a sort');

-- Aggregates.
SELECT is((SELECT audience_agg(i) FROM generate_series(1, 0) AS i), '{}'::audience, 'audience_agg() of no rows is the empty set');
SELECT is((SELECT audience_agg(NULL) FROM generate_series(1, 3)), '{}'::audience, 'of NULLs too');
SELECT is((SELECT audience_agg(nullif(i, 2)) FROM generate_series(1, 3) AS i), '{1,3}'::audience, 'NULLs are left out');
SELECT is((SELECT audience_merge(members) FROM made WHERE false), '{}'::audience, 'audience_merge() of no rows is the empty set');
SELECT is((SELECT audience_merge(NULL) FROM generate_series(1, 3)), '{}'::audience, 'of NULLs too');
SELECT is((SELECT audience_merge(m) FROM unnest('{"{1}",NULL,"{3}"}'::audience[]) AS m), '{1,3}'::audience, 'NULLs are left out');
SELECT throws_ok('SELECT audience_agg(i) FROM unnest(''{1,-5}''::bigint[]) AS i', '22003', 'id -5 is out of range for an audience', 'an id below 0 is refused');
SELECT results_eq(
    'SELECT i, audience_agg(i) OVER (ORDER BY i)::text FROM generate_series(1, 4) AS i',
    $$VALUES (1, '{1}'), (2, '{1,2}'), (3, '{1-3}'), (4, '{1-4}')$$, 'in a window that grows, each row has its own set');
SELECT results_eq(
    'SELECT i, audience_merge(ARRAY[i]::audience) OVER (ORDER BY i ROWS 1 PRECEDING)::text FROM generate_series(1, 4::bigint) AS i',
    $$VALUES (1::bigint, '{1}'), (2, '{1,2}'), (3, '{2,3}'), (4, '{3,4}')$$, 'in a window that moves too');
SELECT results_eq(
    'SELECT g, a::text, audience_count(a), audience_add(a, 9)::text, a::text FROM (SELECT i % 2 AS g, audience_agg(i) AS a FROM generate_series(1, 4) AS i GROUP BY 1) AS s ORDER BY 1',
    $$VALUES (0, '{2,4}', 2::bigint, '{2,4,9}', '{2,4}'), (1, '{1,3}', 2, '{1,3,9}', '{1,3}')$$, 'a result in memory is not changed by who uses it');
SELECT is((SELECT audience_merge(a)::text FROM (SELECT audience_agg(i) AS a FROM generate_series(1, 9) AS i GROUP BY i % 3) AS s), '{1-9}', 'results in memory are merged');

CREATE TABLE public.t_many AS SELECT n, (n * 7919::bigint) % 3000000 AS id, n % 50 AS part FROM generate_series(1, 200000) AS n;
ALTER TABLE public.t_many SET (parallel_workers = 2);
ANALYZE public.t_many;
SET LOCAL max_parallel_workers_per_gather TO 0;
CREATE TEMP TABLE serial AS SELECT audience_agg(id) AS members FROM public.t_many;
CREATE TEMP TABLE serial_part AS SELECT part, audience_agg(id) AS members FROM public.t_many GROUP BY part;
SELECT is((SELECT members FROM serial), ARRAY(SELECT id FROM public.t_many)::audience, 'in one process: as the cast');
SET LOCAL max_parallel_workers_per_gather TO 2;
SET LOCAL parallel_setup_cost TO 0;
SET LOCAL parallel_tuple_cost TO 0;
SET LOCAL min_parallel_table_scan_size TO 0;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        result := result || line || E'\n';
    END LOOP;
    RETURN result;
END $$;
SELECT alike(pg_temp.plan_of('SELECT audience_agg(id) FROM public.t_many'), '%Partial Aggregate%', 'the plan is parallel');
SELECT is((SELECT audience_agg(id) FROM public.t_many), (SELECT members FROM serial), 'and gives the same');
SELECT results_eq('SELECT part, audience_agg(id) FROM public.t_many GROUP BY part ORDER BY part', 'SELECT part, members FROM serial_part ORDER BY part', 'by groups too');
SELECT is((SELECT audience_merge(ARRAY[id]::audience) FROM public.t_many), (SELECT members FROM serial), 'audience_merge() in a parallel plan');
-- What follows has many small statements, for which no worker should start.
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- Stored values: in line, in the toast table, compressed; short and long
-- directories.
CREATE TABLE public.t_stored (n integer, form text, members audience);
CREATE TABLE public.t_compressed (n integer, members audience);
ALTER TABLE public.t_compressed ALTER members SET STORAGE extended;
INSERT INTO public.t_stored SELECT n, name, members FROM made;
INSERT INTO public.t_stored VALUES
    (1001, '2000 chunks', (SELECT audience_agg(i * 65537) FROM generate_series(0, 2000::bigint) AS i)),
    (1002, 'chunks that thin out', (SELECT audience_agg(i * i * i * 1000 + d) FROM generate_series(1, 20000::bigint) AS i, generate_series(0, 60, 20) AS d)),
    (1003, 'chunks in two lumps', (SELECT audience_agg(i * 65536 + d * 4611686018427387904) FROM generate_series(1, 6000::bigint) AS i, generate_series(0, 1) AS d)),
    (1004, 'random', (SELECT audience_agg(hashint8extended(i, 5) & 9223372036854775807) FROM generate_series(1, 30000::bigint) AS i)),
    (1005, 'chunks with arrays', (SELECT audience_agg(i * 313) FROM generate_series(1, 100000::bigint) AS i)),
    (1006, 'one full chunk, then far away', (SELECT audience_agg(i) FROM generate_series(1, 65535::bigint) AS i) | '{9223372036854775807}');
INSERT INTO public.t_compressed SELECT n, members FROM public.t_stored;
SELECT is((SELECT count(*) FROM public.t_stored WHERE pg_column_compression(members) IS NOT NULL), 0::bigint, 'stored sets are not compressed');
SELECT cmp_ok((SELECT count(*) FROM public.t_compressed WHERE pg_column_compression(members) IS NOT NULL), '>', 5::bigint, 'unless one wants it');
CREATE TEMP TABLE probe AS
SELECT s.n, s.form, v.id + d AS id, bool_or(d = 0) OVER (PARTITION BY s.n, v.id + d) AS is_member
FROM public.t_stored s
CROSS JOIN LATERAL (SELECT i AS id FROM audience_ids(s.members) AS i
    WHERE i < 9223372036854775807 ORDER BY hashint8(i) LIMIT 40) AS v, generate_series(-1, 1) AS d
WHERE v.id + d >= 0;
UPDATE probe p SET is_member = p.id = ANY (s.members::bigint[]) FROM public.t_stored s WHERE s.n = p.n AND NOT p.is_member;
-- Each look is a statement of its own, so that none uses a copy.
CREATE FUNCTION pg_temp.look(source regclass, probe record) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE format('SELECT iaros.audience_contains(members, %s) FROM %s WHERE n = %s', probe.id, source, probe.n) INTO result;
    RETURN result;
END $$;
SELECT cmp_ok((SELECT count(*) FROM probe WHERE NOT is_member), '>', 1000::bigint, 'thousands of looks');
SELECT is_empty($$SELECT * FROM probe p WHERE pg_temp.look('public.t_stored', p) IS DISTINCT FROM is_member$$, 'a look into a stored set');
SELECT is_empty($$SELECT * FROM probe p WHERE pg_temp.look('public.t_compressed', p) IS DISTINCT FROM is_member$$, 'a look into a compressed set');
SELECT is_empty($$SELECT p.* FROM public.t_stored s JOIN probe p USING (n) WHERE audience_contains(s.members, p.id) IS DISTINCT FROM is_member$$, 'looks of one statement, which copies what it asks often');
SELECT is_empty($$SELECT p.* FROM probe p JOIN public.t_stored s USING (n) WHERE audience_contains(s.members, p.id) IS DISTINCT FROM is_member ORDER BY p.id$$, 'and by turns');
SELECT is_empty($$SELECT s.n FROM public.t_stored s JOIN public.t_compressed c USING (n) WHERE audience_count(s.members) <> audience_count(c.members)
    OR audience_count(s.members) <> cardinality(s.members::bigint[]) OR s.members <> c.members$$, 'counts of stored sets');
SELECT cmp_ok((SELECT pg_column_size(audience_agg(i)) FROM generate_series(1, 1000000) AS i), '<', 200000, 'a million dense ids take less than 200 kB');
SELECT cmp_ok((SELECT pg_column_size(audience_agg(i)) FROM generate_series(1, 1000000) AS i WHERE i % 3 > 0), '<', 200000, 'two of three of a million too');

-- Samples: the first by chance().
SELECT is_empty(
    $$SELECT n, name, k FROM made, unnest('{0,1,2,10,100,1000,70000,2147483647}'::integer[]) AS k
      WHERE (cardinality(ids) < 5000 OR n % 4 = k % 4) AND audience_sample(members, k, n) IS DISTINCT FROM
        ARRAY(SELECT i FROM (SELECT i FROM unnest(ids) AS i ORDER BY chance(i, n, 0) LIMIT k) AS s ORDER BY i)$$, 'a sample');
SELECT throws_ok($$SELECT audience_sample('{1}', -1, 0)$$, '22023', 'size -1 of a sample is below 0', 'a sample of fewer than none');
SELECT ok((SELECT abs(avg(i) - 50000) < 2000 FROM unnest(audience_sample('{1-100000}', 5000, 3)) AS i), 'a sample is spread over the set');

-- Transposition.
CREATE FUNCTION pg_temp.transposed(ids bigint[], sets audience[]) RETURNS TABLE (customer_id bigint, segment_ids bigint[]) LANGUAGE sql AS $$
    SELECT i, array_agg(u.id ORDER BY u.id) FROM unnest(ids, sets) AS u(id, members) CROSS JOIN LATERAL iaros.audience_ids(u.members) AS i GROUP BY i ORDER BY i $$;
CREATE TEMP TABLE batch AS
SELECT k, array_agg(n::bigint * (CASE WHEN n % 2 = 0 THEN -1 ELSE 1 END) ORDER BY random()) AS ids
FROM made, generate_series(1, 9) AS k WHERE k % 3 = 0 AND cardinality(made.ids) < 3000 OR random() < 0.04 * (k % 3) GROUP BY k;
ALTER TABLE batch ADD sets audience[];
UPDATE batch b SET sets = (SELECT array_agg(m.members ORDER BY u.o) FROM unnest(b.ids) WITH ORDINALITY AS u(id, o) JOIN made m ON m.n = abs(u.id));
SELECT results_eq(
    format('SELECT t.* FROM batch b, audience_transpose(b.ids, b.sets) AS t WHERE k = %s', k),
    format('SELECT t.* FROM batch b, pg_temp.transposed(b.ids, b.sets) AS t WHERE k = %s', k), format('transposition %s of %s sets', k, cardinality(ids)))
FROM batch ORDER BY k;
SELECT results_eq(
    format('SELECT * FROM audience_transpose(%L, %L)', ids, sets),
    format('SELECT * FROM pg_temp.transposed(%L, %L)', ids, sets), 'a transposition as a node of the plan')
FROM batch WHERE k = 3;
SELECT is((SELECT count(*) FROM audience_transpose('{}', '{}')), 0::bigint, 'of no sets');
SELECT is((SELECT count(*) FROM audience_transpose(NULL, '{}')), 0::bigint, 'of NULL');
SELECT is((SELECT count(*) FROM audience_ids(NULL)), 0::bigint, 'no ids of NULL');
SELECT alike(pg_temp.plan_of('SELECT i FROM audience_ids(''{1-5}'') AS i'), '%Custom Scan (iaros rows)%', 'audience_ids() alone in FROM streams');
SELECT results_eq(
    'SELECT k, i FROM generate_series(1, 3) AS k LEFT JOIN audience_ids(''{1-5}'') AS i ON i >= k + 2 ORDER BY 1, 2',
    'SELECT k, i FROM generate_series(1, 3) AS k, generate_series(k + 2, 5::bigint) AS i ORDER BY 1, 2', 'and begins again in a join');
SET LOCAL enable_hashjoin TO off;
SET LOCAL enable_mergejoin TO off;
SET LOCAL enable_material TO off;
SELECT results_eq(
    'SELECT k, t.customer_id, t.segment_ids FROM generate_series(1, 3) AS k JOIN audience_transpose(''{1,2}'', ''{"{1,2}","{2,3}"}'') AS t ON t.customer_id <= k ORDER BY 1, 2',
    $$VALUES (1, 1::bigint, '{1}'::bigint[]), (2, 1, '{1}'), (2, 2, '{1,2}'), (3, 1, '{1}'), (3, 2, '{1,2}'), (3, 3, '{2}')$$, 'a transposition too');

SELECT * FROM finish();
ROLLBACK;
