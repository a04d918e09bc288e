-- rfm: the kernel: type rfm, scores, the shipped map.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;

-- Text, valid and not.
SELECT '543'::iaros.rfm, '111'::iaros.rfm, '999'::iaros.rfm;
SELECT '540'::iaros.rfm;
\set VERBOSITY terse
SELECT ''::iaros.rfm;
SELECT '54'::iaros.rfm;
SELECT '5432'::iaros.rfm;
SELECT '054'::iaros.rfm;
SELECT '504'::iaros.rfm;
SELECT ' 543'::iaros.rfm;
SELECT '543 '::iaros.rfm;
SELECT '-43'::iaros.rfm;
SELECT '+43'::iaros.rfm;
SELECT '5.3'::iaros.rfm;
SELECT 'abc'::iaros.rfm;
SELECT '٥٤٣'::iaros.rfm;
SELECT repeat('5', 100)::iaros.rfm;
-- In a message characters are kept whole.
SELECT repeat('é', 40)::iaros.rfm;

-- Casts.
SELECT 543::iaros.rfm, '543'::iaros.rfm::integer, '543'::iaros.rfm::text, '543'::text::iaros.rfm, NULL::integer::iaros.rfm;
SELECT 1000::iaros.rfm;
SELECT 110::iaros.rfm;
SELECT 101::iaros.rfm;
SELECT 0::iaros.rfm;
SELECT (-543)::iaros.rfm;
SELECT (65536 + 543)::iaros.rfm;
SELECT 2147483647::iaros.rfm;
CREATE TABLE cell (score iaros.rfm, number integer, word text);
-- In an assignment, both ways.
INSERT INTO cell VALUES (543, '543'::iaros.rfm, '543'::iaros.rfm);
INSERT INTO cell VALUES (540, 0, '');
INSERT INTO cell VALUES ('540', 0, '');
SELECT * FROM cell;
-- Where iaros is not in the path, cells compare as smallint.
SELECT score = '543' AS eq, score IS DISTINCT FROM '543' AS "distinct", score < '600' AS lt, score IN ('111', '543') AS listed, score = 543 AS number, max(score) AS max,
    pg_typeof(iaros.max(score)) AS typed FROM cell GROUP BY score ORDER BY score;
SELECT a.word FROM cell a JOIN cell b USING (score);
-- No number becomes a cell unasked.
SELECT iaros.rfm_segment(543);

-- Parts.
SELECT iaros.rfm_make(5, 4, 3), iaros.rfm_make(1, 1, 1), iaros.rfm_make(9, 9, 9), iaros.rfm_make(5, NULL, 3);
\set VERBOSITY default
SELECT iaros.rfm_make(0, 4, 3);
\set VERBOSITY terse
SELECT iaros.rfm_make(5, 10, 3);
SELECT iaros.rfm_make(5, 4, -1);
SELECT iaros.rfm_make(5, 4, 2147483647);
SELECT iaros.rfm_r('543'), iaros.rfm_f('543'), iaros.rfm_m('543'), iaros.rfm_r(NULL);
SELECT count(*) AS cells, count(*) FILTER (WHERE iaros.rfm_r(c) <> r OR iaros.rfm_f(c) <> f OR iaros.rfm_m(c) <> m) AS wrong_parts,
    count(*) FILTER (WHERE c::text <> concat(r, f, m) OR c::text::iaros.rfm::integer <> r * 100 + f * 10 + m) AS wrong_forms
FROM generate_series(1, 9) AS r, generate_series(1, 9) AS f, generate_series(1, 9) AS m, iaros.rfm_make(r, f, m) AS c;
-- Of all numbers the 729 cells are taken.
CREATE FUNCTION pg_temp.taken(number integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM number::iaros.rfm;
    RETURN true;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN false;
END $$;
SELECT count(*), min(n), max(n), count(*) FILTER (WHERE n::text ~ '^[1-9]{3}$') AS cells
FROM generate_series(-2000, 2000) AS n WHERE pg_temp.taken(n);

-- Comparison.
SET LOCAL search_path TO iaros, public;
SELECT '543'::rfm = '543' AS eq, '543'::rfm <> '543' AS ne, '543'::rfm < '544' AS lt, '543'::rfm <= '543' AS le, '543'::rfm > '399' AS gt, '543'::rfm >= '544' AS ge, '543'::rfm = NULL AS unknown;
SELECT rfm_cmp('543', '551') < 0 AS less, rfm_cmp('543', '543') = 0 AS same, rfm_cmp('911', '899') > 0 AS more;
SELECT rfm_smaller('543', '399'), rfm_larger('543', '399'), min(c), max(c), min(c) FILTER (WHERE false) FROM (VALUES ('543'::rfm), ('399'), (NULL), ('611')) AS v(c);
-- Every pair is in the order of its numbers, and equal cells hash equally.
SELECT count(*) AS pairs, count(*) FILTER (WHERE
    (a < b) <> (a::integer < b::integer) OR (a <= b) <> (a::integer <= b::integer) OR (a = b) <> (a::integer = b::integer)
    OR (a <> b) <> (a::integer <> b::integer) OR (a > b) <> (a::integer > b::integer) OR (a >= b) <> (a::integer >= b::integer)
    OR sign(rfm_cmp(a, b)) <> sign(a::integer - b::integer)
    OR (a = b AND (rfm_hash(a) <> rfm_hash(b) OR rfm_hash_extended(a, 7) <> rfm_hash_extended(b, 7)))) AS wrong
FROM (SELECT n::rfm FROM generate_series(111, 999) AS n WHERE n::text !~ '0') AS l(a),
    (SELECT n::rfm FROM generate_series(111, 999) AS n WHERE n::text !~ '0') AS r(b);
SELECT count(DISTINCT rfm_hash(n::rfm)) AS hashes, count(DISTINCT rfm_hash_extended(n::rfm, 0)) AS long_hashes
FROM generate_series(111, 999) AS n WHERE n::text !~ '0';

-- By index as by scan: order, ranges, equality; as a key of all kinds.
CREATE TABLE scored AS
SELECT n AS customer_id, rfm_make(1 + n * 7 % 9, 1 + n * 11 % 9, 1 + n / 9 % 9) AS score FROM generate_series(1, 5000) AS n;
CREATE INDEX scored_btree ON scored (score);
CREATE INDEX scored_hash ON scored USING hash (score);
ANALYZE scored;
CREATE FUNCTION pg_temp.answers() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SELECT md5(string_agg(s.score::text, ' ' ORDER BY s.score)) INTO answer FROM iaros.scored s;
    RETURN concat_ws(' ', answer,
        (SELECT count(*) FROM iaros.scored s WHERE s.score >= '321' AND s.score < '512'),
        (SELECT count(*) FROM iaros.scored s WHERE s.score = (SELECT t.score FROM iaros.scored t WHERE t.customer_id = 77)),
        (SELECT min(s.score) FROM iaros.scored s), (SELECT max(s.score) FROM iaros.scored s));
END $$;
SET LOCAL enable_seqscan TO off;
SET LOCAL enable_sort TO off;
SELECT pg_temp.answers() AS by_index \gset
RESET enable_seqscan;
RESET enable_sort;
SET LOCAL enable_indexscan TO off;
SET LOCAL enable_indexonlyscan TO off;
SET LOCAL enable_bitmapscan TO off;
SELECT pg_temp.answers() AS by_scan \gset
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;
SELECT :'by_index' = :'by_scan' AS same, split_part(:'by_scan', ' ', 2)::integer BETWEEN 1 AND 4999 AS some, split_part(:'by_scan', ' ', 3)::integer > 1 AS several;
SELECT count(DISTINCT score) = (SELECT count(DISTINCT score::text) FROM scored) AS distinct_ok FROM scored;
SET LOCAL enable_nestloop TO off;
SET LOCAL enable_mergejoin TO off;
SELECT count(*) = (SELECT sum(n * n) FROM (SELECT count(*) AS n FROM scored GROUP BY score::text) AS g) AS hash_ok FROM scored a JOIN scored b USING (score);
RESET enable_mergejoin;
SET LOCAL enable_hashjoin TO off;
SELECT count(*) = (SELECT sum(n * n) FROM (SELECT count(*) AS n FROM scored GROUP BY score::text) AS g) AS merge_ok FROM scored a JOIN scored b USING (score);
RESET enable_nestloop;
RESET enable_hashjoin;
CREATE TABLE part (score rfm NOT NULL) PARTITION BY HASH (score);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT score FROM scored;
SELECT count(DISTINCT tableoid) AS partitions, count(*) FROM part;
CREATE TABLE span (score rfm NOT NULL) PARTITION BY RANGE (score);
CREATE TABLE span_low PARTITION OF span FOR VALUES FROM (MINVALUE) TO ('511');
CREATE TABLE span_high PARTITION OF span FOR VALUES FROM ('511') TO (MAXVALUE);
INSERT INTO span SELECT score FROM scored;
SELECT tableoid::regclass, min(score), max(score) FROM span GROUP BY tableoid ORDER BY 2;

-- Binary.
SELECT rfm_send('543');
\set file `mktemp -u /tmp/iaros_rfm.XXXXXXXX`
COPY (SELECT customer_id, score FROM scored UNION ALL SELECT NULL, NULL) TO :'file' (FORMAT binary);
CREATE TABLE received (customer_id integer, score rfm);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) AS rows, (SELECT count(*) FROM (TABLE received EXCEPT TABLE scored) AS d) AS others FROM received;
-- What is no cell is refused.
COPY (SELECT 540::smallint) TO :'file' (FORMAT binary);
COPY received (score) FROM :'file' (FORMAT binary);
COPY (SELECT (-543)::smallint) TO :'file' (FORMAT binary);
COPY received (score) FROM :'file' (FORMAT binary);
-- 543 and two bytes more, then one byte less.
COPY (SELECT 543 << 16) TO :'file' (FORMAT binary);
COPY received (score) FROM :'file' (FORMAT binary);
COPY (SELECT '5'::"char") TO :'file' (FORMAT binary);
COPY received (score) FROM :'file' (FORMAT binary);
\set gone `rm -f :'file'`

-- A score holds [its bound, the next bound): day 365 is 1, 5000 is 5.
SELECT d AS days, rfm_score_recency(d, '{31,91,181,365}') AS r FROM unnest('{0,30,31,90,91,180,181,364,365,366,4000}'::integer[]) WITH ORDINALITY AS u(d, n) ORDER BY n;
SELECT b AS bookings, rfm_score_value(b, '{2,3,5,10}') AS f FROM unnest('{0,1,2,3,4,5,9,10,1000}'::numeric[]) WITH ORDINALITY AS u(b, n) ORDER BY n;
-- 500.50 lies between the bins as they are written, and belongs to the lower one.
SELECT s AS spend, rfm_score_value(s, '{501,1001,2501,5000}') AS m
FROM unnest('{0,500,500.50,500.99,501,1000,1000.99,1001,2500,2500.99,2501,4999.99,5000,5000.01,1e12}'::numeric[]) WITH ORDINALITY AS u(s, n) ORDER BY n;
SELECT rfm_score_recency(-5, '{31,91}'), rfm_score_recency(NULL, '{31}'), rfm_score_recency(5, NULL), rfm_score_recency(5, '{}');
SELECT rfm_score_value(-0.01, '{0,1}'), rfm_score_value('NaN', '{0,1}'), rfm_score_value(NULL, '{1}');
SELECT rfm_score_value(1, '{1,NULL}');
SELECT rfm_score_value(1, '{{1,2},{3,4}}');

-- The shipped map. The cells as they are listed: 511 is listed twice and goes to the first.
SELECT l.listed, l.cells, (SELECT string_agg(DISTINCT rfm_segment(k::rfm), ', ') FROM unnest(l.cells) AS k) AS shipped
FROM (VALUES ('Champions', '{555,554,544}'::integer[]), ('Loyal Customers', '{545,455,454}'), ('Potential Loyalists', '{543,444,435}'),
    ('Recent Customers', '{511,512,521}'), ('Promising', '{511,421,412}'), ('Needs Attention', '{433,343,334}'),
    ('About to Sleep', '{331,321,312}'), ('At Risk', '{233,234,244}'), ('Can''t Lose Them', '{155,154,144}'),
    ('Hibernating', '{221,222,223}'), ('Lost', '{111,112,121}')) AS l(listed, cells);
SELECT rfm_segment('511'), rfm_segment('611'), rfm_segment('161'), rfm_segment('116'), rfm_segment(NULL);
-- All 125.
SELECT rfm_segment(c) AS segment, count(*) AS cells, string_agg(c::text, ' ' ORDER BY c DESC) AS which
FROM generate_series(1, 5) AS r, generate_series(1, 5) AS f, generate_series(1, 5) AS m, rfm_make(r, f, m) AS c GROUP BY 1 ORDER BY max(c) DESC, 1;
SELECT * FROM rfm_shipped_rules();
-- The rules say the same as rfm_segment() in every cell.
SELECT count(*) AS cells, count(s) AS with_segment, count(*) FILTER (WHERE s IS DISTINCT FROM rule) AS wrong
FROM generate_series(1, 9) AS a, generate_series(1, 9) AS b, generate_series(1, 9) AS c, rfm_segment(rfm_make(a, b, c)) AS s,
    LATERAL (SELECT (SELECT x.segment FROM rfm_shipped_rules() AS x WHERE a <@ x.r AND b <@ x.f AND c <@ x.m ORDER BY x.rank LIMIT 1) AS rule) AS l;
ROLLBACK;
