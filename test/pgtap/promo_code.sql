-- promo_code: every wrong character and every swap is found, the order is
-- that of the meaning in every plan, generated codes are all different, as
-- many as the rule has, evenly spread, the same for a seed.
BEGIN;
SET LOCAL client_min_messages TO error;
SET LOCAL search_path TO iaros, public, pg_catalog;
SELECT no_plan();

CREATE TEMP TABLE letter AS
SELECT c, translate(c, 'OIL', '011') AS class FROM regexp_split_to_table('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') AS c;

-- Check character: codes of every length with one.
CREATE TEMP TABLE checked AS
SELECT length, c::text || promo_code_check(c) AS code
FROM generate_series(1, 63) AS length, promo_code_generate(jsonb_build_object('length', length), 2, 7 + length) AS c;
SELECT is((SELECT count(*) FROM checked WHERE promo_code_valid(code::promo_code)), 126::bigint, 'a code with its check character is valid');
SELECT is(
    (SELECT ARRAY[count(*), count(*) FILTER (WHERE promo_code_valid(overlay(code PLACING l.c FROM i)::promo_code))]
     FROM checked, generate_series(1, length + 1) AS i, letter AS l
     WHERE l.class <> translate(substr(code, i, 1), 'OIL', '011')),
    (SELECT ARRAY[count(*), 0] FROM checked, generate_series(1, length + 1) AS i, letter AS l
     WHERE l.class <> translate(substr(code, i, 1), 'OIL', '011')),
    'every single wrong character at every place is found');
SELECT cmp_ok((SELECT sum((length + 1) * 33) FROM checked), '>', 130000::bigint, 'of which there were many');
SELECT is_empty(
    $$SELECT code, i, l.c FROM checked, generate_series(1, length + 1) AS i, letter AS l
      WHERE l.class = translate(substr(code, i, 1), 'OIL', '011') AND NOT promo_code_valid(overlay(code PLACING l.c FROM i)::promo_code)$$,
    'a look-alike character is not wrong');
CREATE TEMP TABLE swapped AS
SELECT code, i, overlay(code PLACING substr(code, i + 1, 1) || substr(code, i, 1) FROM i FOR 2)::promo_code AS swap
FROM checked, generate_series(1, length) AS i;
SELECT is_empty($$SELECT code, i FROM swapped WHERE promo_code_valid(swap) <> (swap = code::promo_code)$$, 'every swap of neighbours of different classes is found');
SELECT cmp_ok((SELECT count(*) FROM swapped WHERE swap <> code::promo_code), '>', 3500::bigint, 'of which there were many');
-- The definition, written in SQL.
SELECT is_empty(
    $$SELECT code FROM checked
      WHERE (SELECT sum((strpos('0123456789ABCDEFGHJKMNPQRSTUVWXYZ', translate(substr(code, i, 1), 'OIL', '011')) - 1) * CASE WHEN (length + 1 - i) % 2 = 0 THEN 1 ELSE 2 END)
             FROM generate_series(1, length + 1) AS i) % 33 <> 0$$,
    'the weighted sum of classes is a multiple of 33');

-- Order, equality and hash by meaning: many codes that are equal, begin
-- alike, or do not.
CREATE TEMP TABLE code AS
SELECT c, promo_code_normal(c) COLLATE "C" AS normal FROM (
    SELECT promo_code_generate('{"length": 3}', 3000, 1) AS c
    UNION ALL SELECT translate(c::text, '01', 'OL')::promo_code FROM promo_code_generate('{"length": 3}', 3000, 1) AS c
    UNION ALL SELECT translate(c::text, '01', 'OI')::promo_code FROM promo_code_generate('{"length": 9}', 3000, 2) AS c
    UNION ALL SELECT promo_code_generate('{"length": 9}', 3000, 2)
    UNION ALL SELECT promo_code_generate('{"length": 4, "prefix": "SUMMERSUMMERSUMMER"}', 12000, 3)
    UNION ALL SELECT promo_code_generate('{"length": 40}', 3000, 4)) AS s;
SELECT results_eq('SELECT normal FROM code ORDER BY c', 'SELECT normal FROM code ORDER BY normal', 'a sort is in the order of the meaning');
SELECT results_eq('SELECT normal FROM code ORDER BY c DESC', 'SELECT normal FROM code ORDER BY normal DESC', 'so is one that descends');
CREATE TEMP TABLE alike AS SELECT c, promo_code_normal(c) COLLATE "C" AS normal FROM promo_code_generate('{"length": 5, "prefix": "SUMMERSUMMERSUMMER"}', 40000, 5) AS c;
SELECT results_eq('SELECT normal FROM alike ORDER BY c', 'SELECT normal FROM alike ORDER BY normal', 'and one of codes that begin alike');
SELECT is((SELECT count(DISTINCT c) FROM code), (SELECT count(DISTINCT normal) FROM code), 'DISTINCT tells what differs in meaning');
SET LOCAL enable_sort TO off;
SELECT is((SELECT count(*) FROM (SELECT FROM code GROUP BY c) AS s), (SELECT count(DISTINCT normal) FROM code), 'so does a hash');
CREATE TEMP TABLE pairs AS SELECT count(*) AS n FROM code AS a JOIN code AS b ON a.normal = b.normal;
SET LOCAL enable_mergejoin TO off;
SELECT is((SELECT count(*) FROM code AS a JOIN code AS b USING (c)), (SELECT n FROM pairs), 'a hash join finds what is equal');
SET LOCAL enable_sort TO on;
SET LOCAL enable_mergejoin TO on;
SET LOCAL enable_hashjoin TO off;
SELECT is((SELECT count(*) FROM code AS a JOIN code AS b USING (c)), (SELECT n FROM pairs), 'so does a merge join');
CREATE INDEX ON code (c);
ANALYZE code;
SET LOCAL enable_seqscan TO off;
SET LOCAL enable_bitmapscan TO off;
SET LOCAL enable_mergejoin TO off;
SELECT is((SELECT count(*) FROM code AS a JOIN code AS b USING (c)), (SELECT n FROM pairs), 'and an index');
SELECT is((SELECT count(*) FROM code WHERE c > 'H' AND c <= 'sum-mer'), (SELECT count(*) FROM code WHERE normal > 'H' AND normal <= 'SUMMER'), 'ranges by index');
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_mergejoin;
RESET enable_hashjoin;
SELECT is_empty(
    $$SELECT a.c, b.c FROM (SELECT * FROM code ORDER BY hashtext(normal) LIMIT 150) AS a, (SELECT * FROM code ORDER BY hashtext(normal) LIMIT 150) AS b
      WHERE (a.c < b.c, a.c <= b.c, a.c = b.c, a.c <> b.c, a.c >= b.c, a.c > b.c, sign(promo_code_cmp(a.c, b.c)))
        IS DISTINCT FROM (a.normal < b.normal, a.normal <= b.normal, a.normal = b.normal, a.normal <> b.normal, a.normal >= b.normal, a.normal > b.normal,
            CASE WHEN a.normal < b.normal THEN -1 WHEN a.normal > b.normal THEN 1 ELSE 0 END)$$,
    'all operators agree');
SELECT is_empty($$SELECT c FROM code WHERE c::text::promo_code::text <> c::text OR normal::promo_code <> c OR promo_code_hash(c) <> promo_code_hash(normal::promo_code)$$, 'the printed and the normal form are read back as the same code');

-- Texts of any ASCII characters are read as an expression in SQL reads them.
SELECT setseed(0.5);
CREATE FUNCTION pg_temp.read(typed text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN typed::promo_code::text;
EXCEPTION WHEN invalid_text_representation OR program_limit_exceeded THEN
    RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE typed AS
SELECT string_agg(CASE WHEN random() < p THEN chr(1 + (random() * 126)::integer) ELSE substr('abcXYZ0189OIl -._', 1 + (random() * 16)::integer, 1) END, '') AS typed
FROM unnest('{0,0,0.02,0.3}'::float8[]) WITH ORDINALITY AS u(p, k), generate_series(1, 1000) AS i, generate_series(1, 1 + i % 97) AS j GROUP BY k, i;
SELECT is_empty(
    $$SELECT typed FROM typed, LATERAL (SELECT upper(translate(typed, E' -._\t\n\r\x0b\x0c', '')) AS c) AS c
      WHERE pg_temp.read(typed) <> CASE WHEN c ~ '[^A-Z0-9]' AND length(substring(c FROM '^[A-Z0-9]*')) <= 64 OR c = '' THEN '22P02' WHEN length(c) > 64 THEN '54000' ELSE c END$$,
    'what is left out, refused and taken');
SELECT cmp_ok((SELECT count(DISTINCT left(pg_temp.read(typed), 5)) FROM typed), '>', 500::bigint, 'of which there were many kinds');

-- A million codes by the rule of the mission.
CREATE TEMP TABLE million AS
SELECT c FROM promo_code_generate('{"prefix": "SUMMER", "suffix": "2024", "length": 8, "includeChecksum": true, "pattern": "ALPHANUMERIC", "excludeAmbiguous": true, "caseInsensitive": true}', 1000000, 11) AS c;
SELECT is((SELECT ARRAY[count(*), count(DISTINCT promo_code_normal(c))] FROM million), ARRAY[1000000, 1000000]::bigint[], 'a million codes of different meaning');
SELECT is_empty($$SELECT c FROM million WHERE c::text !~ '^SUMMER[2-9A-HJKMNP-Z]{9}2024$' OR NOT promo_code_valid(c)$$, 'each as the rule says, with check character before the suffix');
-- Chi-square of each of the eight places and of the check character, 31
-- classes: above 71.8 once in 20,000.
SELECT is_empty(
    $$SELECT i, chi FROM (SELECT i, sum((n - 1e6 / 31) ^ 2 / (1e6 / 31)) AS chi
          FROM (SELECT i, substr(c::text, i, 1), count(*) AS n FROM million, generate_series(7, 15) AS i GROUP BY 1, 2) AS s GROUP BY i) AS s
      WHERE chi > 71.8$$, 'characters are spread evenly');
SELECT is_empty(
    $$SELECT i, chi FROM (SELECT i, sum((n - 1e6 / 961) ^ 2 / (1e6 / 961)) AS chi
          FROM (SELECT i, substr(c::text, i, 2), count(*) AS n FROM million, generate_series(7, 14) AS i GROUP BY 1, 2) AS s GROUP BY i) AS s
      WHERE chi > 1140 OR chi < 790$$, 'so are pairs of neighbours');

-- As many codes as there are: counted by trying all.
CREATE TEMP TABLE rule AS
SELECT row_number() OVER () AS id, mask, checksum, unambiguous, jsonb_build_object('pattern', mask, 'includeChecksum', checksum, 'excludeAmbiguous', unambiguous, 'prefix', prefix, 'suffix', suffix) AS rule, prefix, suffix
FROM unnest('{#,?,*,##,#?,?#,**,#*,###,??*,?1#}'::text[]) AS mask, unnest('{t,f}'::boolean[]) AS checksum, unnest('{t,f}'::boolean[]) AS unambiguous, (VALUES ('', ''), ('AB', '2'), ('O', '24')) AS v(prefix, suffix);
CREATE FUNCTION pg_temp.alphabet(mask text, unambiguous boolean) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT c FROM letter WHERE c = CASE WHEN mask = '?' AND class IN ('0', '1') THEN translate(class, '01', 'OI') ELSE class END
        AND (mask = '*' OR mask = '#' AND c ~ '[0-9]' OR mask = '?' AND c ~ '[A-Z]' OR mask = c)
        AND NOT (unambiguous AND mask ~ '[#?*]' AND class IN ('0', '1')) $$;
CREATE FUNCTION pg_temp.kind(mask text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN translate(mask, '1', '') ~ '^#+$' THEN '#' WHEN translate(mask, '1', '') ~ '^\?+$' THEN '?' ELSE '*' END $$;
CREATE TEMP TABLE every AS
SELECT r.id, (r.prefix || a || b || c || d || r.suffix)::promo_code AS code
FROM rule AS r, LATERAL (SELECT * FROM pg_temp.alphabet(substr(mask, 1, 1), unambiguous)) AS s1(a),
    LATERAL (SELECT * FROM pg_temp.alphabet(substr(mask, 2, 1), unambiguous) UNION ALL SELECT '' WHERE length(mask) < 2) AS s2(b),
    LATERAL (SELECT * FROM pg_temp.alphabet(substr(mask, 3, 1), unambiguous) UNION ALL SELECT '' WHERE length(mask) < 3) AS s3(c),
    LATERAL (SELECT * FROM pg_temp.alphabet(pg_temp.kind(mask), unambiguous) WHERE checksum UNION ALL SELECT '' WHERE NOT checksum) AS s4(d)
WHERE NOT checksum OR promo_code_valid((r.prefix || a || b || c || d || r.suffix)::promo_code);
CREATE INDEX ON every (id, code);
ANALYZE every;
CREATE TEMP TABLE size AS SELECT r.*, coalesce(n, 0)::integer AS n FROM rule AS r LEFT JOIN (SELECT id, count(*) AS n FROM every GROUP BY id) AS e USING (id);
SELECT is_empty(
    $$(SELECT id, code::text FROM every EXCEPT ALL SELECT id, c::text FROM size, LATERAL promo_code_generate(rule, n) AS c)
      UNION ALL (SELECT id, c::text FROM size, LATERAL promo_code_generate(rule, n) AS c EXCEPT ALL SELECT id, code::text FROM every)$$,
    'a rule gives all of its codes when asked for as many');
CREATE TEMP TABLE fewer AS SELECT s.id, share, m, c FROM size AS s, unnest('{0,0.1,0.49,0.5,0.51,0.9}'::numeric[]) AS share, LATERAL (SELECT (s.n * share)::integer AS m) AS m, LATERAL promo_code_generate(s.rule, m) AS c;
SELECT is_empty($$SELECT id, share FROM fewer GROUP BY id, share, m HAVING count(DISTINCT c) <> m OR count(*) <> m$$, 'fewer are different, too, some of them drawn, others shuffled');
SELECT is_empty($$SELECT id, c::text FROM fewer EXCEPT SELECT id, code::text FROM every$$, 'and are of them');
CREATE FUNCTION pg_temp.state(rule jsonb, n integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM promo_code_generate(rule, n);
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT is_empty($$SELECT rule, n FROM size WHERE pg_temp.state(rule, n + 1) <> '54000'$$, 'one more is refused');
SELECT cmp_ok((SELECT count(*) FROM size), '>', 120::bigint, 'many rules were tried');
-- Each code is first as often as others, whether drawn or shuffled.
SELECT is_empty(
    $$SELECT n, chi FROM (SELECT n, sum((k - 10000 / 33.0) ^ 2 / (10000 / 33.0)) AS chi
          FROM (SELECT n, c, count(*) AS k FROM unnest('{1,16,17,33}'::integer[]) AS n, generate_series(1, 10000) AS seed, LATERAL (SELECT c FROM promo_code_generate('{"length": 1}', n, seed) AS c LIMIT 1) AS s GROUP BY 1, 2) AS s
          GROUP BY n) AS s WHERE chi > 74$$, 'the first code is any of them');
SELECT is_empty(
    $$SELECT n, chi FROM (SELECT n, sum((k - 10000 / 33.0) ^ 2 / (10000 / 33.0)) AS chi
          FROM (SELECT n, c, count(*) AS k FROM unnest('{16,17,33}'::integer[]) AS n, generate_series(1, 10000) AS seed, LATERAL (SELECT c FROM promo_code_generate('{"length": 1}', n, seed) AS c OFFSET n - 1) AS s GROUP BY 1, 2) AS s
          GROUP BY n) AS s WHERE chi > 74$$, 'so is the last');

-- Seeds, and plans.
SELECT is((SELECT array_agg(c::text) FROM promo_code_generate('{"length": 8}', 5000, 3) AS c), (SELECT array_agg(c::text) FROM (SELECT promo_code_generate('{"length": 8}', 5000, 3) AS c) AS s),
    'in FROM and in the select list a seed gives the same codes in the same order');
SELECT is((SELECT array_agg(c::text) FROM (SELECT c FROM promo_code_generate('{"length": 8}', 5000, 3) AS c LIMIT 700) AS s), (SELECT array_agg(c::text) FROM promo_code_generate('{"length": 8}', 700, 3) AS c),
    'fewer are the first of more');
SELECT is((SELECT count(*) FROM promo_code_generate('{"length": 10}', 100000, 3) AS a JOIN promo_code_generate('{"length": 10}', 100000, 4) AS b ON a = b), 0::bigint, 'another seed gives other codes');
SELECT is((SELECT count(*) FROM promo_code_generate('{"length": 10}', 100000) AS a JOIN promo_code_generate('{"length": 10}', 100000) AS b ON a = b), 0::bigint, 'without a seed each call gives others');
SELECT is((SELECT count(DISTINCT s) FROM (SELECT array_agg(c::text) AS s FROM generate_series(-500, 500) AS seed, LATERAL promo_code_generate('{"length": 10}', 3, seed) AS c GROUP BY seed) AS t), 1001::bigint, 'every seed counts');
SET LOCAL enable_material TO off;
SET LOCAL enable_hashjoin TO off;
SET LOCAL enable_mergejoin TO off;
SELECT is((SELECT ARRAY[count(*), count(DISTINCT c)] FROM generate_series(1, 5) AS i, promo_code_generate('{"length": 10}', 1000) AS c), ARRAY[5000, 1000]::bigint[], 'a plan that reads the codes again reads the same, drawn');
SELECT is((SELECT ARRAY[count(*), count(DISTINCT c)] FROM generate_series(1, 5) AS i, promo_code_generate('{"length": 2}', 1000) AS c), ARRAY[5000, 1000]::bigint[], 'and shuffled');
SELECT is((SELECT count(*) FROM generate_series(1, 5) AS i, LATERAL promo_code_generate('{"length": 2}', i * 100) AS c), 1500::bigint, 'LATERAL');
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;
CREATE FUNCTION pg_temp.plan_rows(query text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT is(pg_temp.plan_rows($$SELECT * FROM promo_code_generate('{"length": 8}', 4711)$$), 4711, 'the planner knows how many rows come');
SELECT throws_ok($$SELECT count(*) FROM promo_code_generate('{"length": 8}', 10, NULL) AS c, promo_code_generate('{"length": 1, "pattern": "NUMERIC"}', 11) AS d$$, '54000', NULL, 'an error in a node is an error');

-- Patterns: what is filled in is what a code of the same characters is.
SELECT is_empty(
    $$SELECT id FROM generate_series(0, 3000, 7) AS id
      WHERE promo_code_fill('BDAY{{customer.id}}', jsonb_build_object('customer', jsonb_build_object('id', id))) <> ('BDAY' || id)::promo_code
         OR promo_code_fill('bday {{customer.id}}', jsonb_build_object('customer.id', id::text)) <> ('BDAY' || id)::promo_code$$,
    'numbers and texts are filled in');
SELECT * FROM finish();
ROLLBACK;
