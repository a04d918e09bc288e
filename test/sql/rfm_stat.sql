-- rfm_stat: text and binary form, aggregates, merging, comparison.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;

-- Text, valid and not.
SELECT '2025-06-01T00:00:00Z/2025-12-31T23:59:59.999999Z 2 501.50'::iaros.rfm_stat;
SELECT t::iaros.rfm_stat FROM (VALUES
    ('2025-06-01T00:00:00Z/2025-06-01T00:00:00Z 1 0'), ('2024-02-29T12:30:00.25Z/2025-06-01T00:00:00Z 9223372036854775807 -0.00'),
    ('-infinity/infinity 2 -7'), ('infinity/infinity 1 0.1234'), ('- 3 007.500'), ('0001-01-01T00:00:00Z/0001-01-01T00:00:00Z 1 1'),
    ('0000-12-31T00:00:00Z/0000-12-31T00:00:00Z 1 1'), ('-0043-03-15T00:00:00Z/-0043-03-15T00:00:00Z 1 1'),
    ('-4713-11-24T00:00:00Z/294276-12-31T23:59:59.999999Z 1 1'),
    ('- 1 922337203685477.5807'), ('- 1 922337203685477.5808'), ('- 1 -922337203685477.5808'), ('- 1 -922337203685477.5809'), ('- 1 0.00001'),
    ('- 1 123456789012345678901234567890.123456789')) AS v(t);
SELECT ''::iaros.rfm_stat;
\set VERBOSITY terse
SELECT '-'::iaros.rfm_stat;
SELECT '- '::iaros.rfm_stat;
SELECT '- 1'::iaros.rfm_stat;
SELECT '- 1 '::iaros.rfm_stat;
SELECT '- x 1'::iaros.rfm_stat;
SELECT '- +1 1'::iaros.rfm_stat;
SELECT '- 1 +1'::iaros.rfm_stat;
SELECT '- 1 1 '::iaros.rfm_stat;
SELECT ' - 1 1'::iaros.rfm_stat;
SELECT '-  1 1'::iaros.rfm_stat;
SELECT '- 1 .5'::iaros.rfm_stat;
SELECT '- 1 5.'::iaros.rfm_stat;
SELECT '- 1 -'::iaros.rfm_stat;
SELECT '- 1 1e3'::iaros.rfm_stat;
SELECT '- 1 NaN'::iaros.rfm_stat;
SELECT '- 1 Infinity'::iaros.rfm_stat;
SELECT '- 0 1'::iaros.rfm_stat;
SELECT '- -1 1'::iaros.rfm_stat;
SELECT '- 9223372036854775808 1'::iaros.rfm_stat;
SELECT '- 18446744073709551617 1'::iaros.rfm_stat;
SELECT '-/- 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00Z 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00Z/ 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00Z/- 1 1'::iaros.rfm_stat;
SELECT '2025-06-01 00:00:00Z/2025-06-01T00:00:00Z 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00/2025-06-01T00:00:00 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00+02/2025-06-01T00:00:00+02 1 1'::iaros.rfm_stat;
SELECT 'now/now 1 1'::iaros.rfm_stat;
SELECT '2025-02-29T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-13-01T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-00-01T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-01-00T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-31T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T24:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:60:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:60Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00.Z/infinity 1 1'::iaros.rfm_stat;
SELECT '2025-06-01T00:00:00.1234567Z/infinity 1 1'::iaros.rfm_stat;
SELECT '294277-01-01T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT '-4713-11-23T23:59:59.999999Z/infinity 1 1'::iaros.rfm_stat;
SELECT '9999999-01-01T00:00:00Z/infinity 1 1'::iaros.rfm_stat;
SELECT repeat('2025', 100)::iaros.rfm_stat;
SELECT ('- 1 ' || repeat('9', 200000))::iaros.rfm_stat;
\set VERBOSITY default
SELECT '2025-06-02T00:00:00Z/2025-06-01T00:00:00Z 1 1'::iaros.rfm_stat;
SELECT 'infinity/-infinity 1 1'::iaros.rfm_stat;
\set VERBOSITY terse

-- The same whatever the session says.
SET LOCAL TimeZone TO 'Asia/Kolkata';
SET LOCAL DateStyle TO 'SQL, DMY';
SET LOCAL extra_float_digits TO -15;
SELECT s, s::text::iaros.rfm_stat::text = s::text AS same, iaros.rfm_stat_first(s)
FROM (SELECT '2025-06-01T00:00:00Z/2025-12-31T23:59:59.999999Z 2 501.50'::iaros.rfm_stat) AS v(s);
RESET TimeZone;
RESET DateStyle;
RESET extra_float_digits;

SET LOCAL search_path TO iaros, public;
SELECT rfm_stat_make('2025-06-01Z', '2025-12-31Z', 2, 501.50), rfm_stat_make(NULL, NULL, 3, NULL), rfm_stat_make('2025-06-01Z', '2025-06-01Z', 0, 1), rfm_stat_make(NULL, NULL, NULL, 1);
SELECT rfm_stat_make('2025-06-01Z', NULL, 1, 1);
SELECT rfm_stat_make(NULL, '2025-06-01Z', 1, 1);
SELECT rfm_stat_make('2025-06-02Z', '2025-06-01Z', 1, 1);
SELECT rfm_stat_make('infinity', '-infinity', 1, 1);
SELECT rfm_stat_make(NULL, NULL, -1, 1);
SELECT rfm_stat_make(NULL, NULL, 1, 'NaN');
SELECT rfm_stat_make(NULL, NULL, 1, '-Infinity');

-- Aggregates.
CREATE TABLE purchase (customer_id integer, at timestamptz, amount numeric);
INSERT INTO purchase VALUES (1, '2025-06-01Z', 401), (1, '2025-12-31Z', 100.50), (1, '2025-07-01Z', -1.50), (2, '2025-01-01Z', NULL), (3, NULL, 7), (4, NULL, NULL),
    (5, NULL, 2), (5, '2025-03-03Z', NULL), (5, NULL, NULL), (6, 'infinity', 1), (6, '-infinity', 2), (7, '2025-01-01Z', 922337203685477.5807), (7, '2025-01-02Z', 0.0001),
    (8, '2025-01-01Z', 1e30), (8, '2025-01-01Z', -1e30), (8, '2025-01-01Z', 0.5), (9, '2025-01-01Z', 0.00001), (9, '2025-01-01Z', 0.00009);
SELECT customer_id, rfm_stat(at, amount) AS stat FROM purchase GROUP BY customer_id ORDER BY customer_id;
SELECT rfm_stat(at, amount) AS none FROM purchase WHERE false;
SELECT rfm_stat(at, amount), rfm_stat(at, amount::float8), rfm_stat(at, (100 * amount)::bigint) FROM purchase WHERE customer_id = 1;
SELECT rfm_stat(NULL::timestamptz, a) FROM (VALUES (0.1::float8), (0.2), (1e15), (-1e15), (1e-5), (123456.78), (NULL)) AS v(a);
SELECT rfm_stat(NULL::timestamptz, a) FROM (VALUES (9223372036854775807), (9223372036854775807), (-5)) AS v(a);
SELECT rfm_stat(NULL::timestamptz, 'NaN'::numeric);
SELECT rfm_stat(NULL::timestamptz, '-Infinity'::numeric);
SELECT rfm_stat(NULL::timestamptz, 'NaN'::float8);
SELECT rfm_stat(NULL::timestamptz, 'Infinity'::float8);
SELECT length(rfm_stat_monetary(rfm_stat(NULL::timestamptz, 1e308::float8))::text) AS digits;
-- A float8 counts as the cast to numeric reads it.
SELECT count(*) AS tried, count(*) FILTER (WHERE rfm_stat_monetary(rfm_stat_accum_float8(NULL, NULL, f)) <> f::numeric) AS wrong
FROM (SELECT hashint8extended(n, 7) / 9.3e18::float8 * 10::float8 ^ (n % 40 - 20) FROM generate_series(1, 4000) AS n
      UNION ALL SELECT n / 100.0::float8 FROM generate_series(-3000, 3000) AS n
      UNION ALL SELECT n / 10000.0::float8 FROM generate_series(-3000, 3000) AS n
      UNION ALL SELECT 99999999999.9999::float8 - n / 10000.0::float8 FROM generate_series(0, 3000) AS n
      UNION ALL SELECT 100000000000.0::float8 + n / 1000.0::float8 FROM generate_series(0, 3000) AS n) AS v(f);

-- Merging.
SELECT rfm_stat_merge(s) FROM (SELECT rfm_stat(at, amount) FROM purchase GROUP BY customer_id) AS v(s);
SELECT rfm_stat(at, amount) FROM purchase;
SELECT rfm_stat_merge(s) FROM (VALUES (NULL::rfm_stat)) AS v(s);
SELECT '2025-06-01T00:00:00Z/2025-12-31T00:00:00Z 2 501.5'::rfm_stat + '2025-01-01T00:00:00Z/2025-07-01T00:00:00Z 3 -1.5' AS both,
    NULL + '- 1 2'::rfm_stat AS "right", '- 1 2'::rfm_stat + NULL AS "left", NULL::rfm_stat + NULL AS neither;
SELECT '- 9223372036854775806 0'::rfm_stat + '- 1 0';
SELECT '- 9223372036854775807 0'::rfm_stat + '- 1 0';
SELECT rfm_stat_merge(s) FROM (VALUES ('- 9223372036854775807 0'::rfm_stat), ('- 1 0')) AS v(s);
SELECT rfm_stat_accum_numeric('- 9223372036854775807 0', now(), 1);
-- An argument is not changed.
SELECT s + s AS twice, s AS once, rfm_stat_accum_bigint(s, NULL, 1) AS more, s AS still FROM (SELECT rfm_stat(at, amount) FROM purchase WHERE customer_id = 1) AS v(s);

-- Parts.
SELECT s, rfm_stat_first(s), rfm_stat_last(s), rfm_stat_frequency(s), rfm_stat_monetary(s)
FROM (VALUES ('2025-06-01T00:00:00Z/2025-12-31T00:00:00Z 2 501.5'::rfm_stat), ('-infinity/infinity 1 0.000001'), ('- 1 -100'), (NULL)) AS v(s);
SELECT rfm_stat_recency(s, '2026-01-01 00:00Z'), rfm_stat_recency(s, '2026-01-01 00:00Z', 'Asia/Tokyo'), rfm_stat_recency(s, '2025-12-30Z'), rfm_stat_recency(s, NULL), rfm_stat_recency(s, now(), NULL),
    rfm_stat_recency(NULL, now()), rfm_stat_recency('- 1 1'), rfm_stat_recency(s) = (now() AT TIME ZONE 'UTC')::date - '2025-12-31' AS to_now
FROM (VALUES ('2025-06-01T00:00:00Z/2025-12-31T23:30:00Z 2 501.5'::rfm_stat)) AS v(s);
SELECT rfm_stat_recency('2025-06-01T00:00:00Z/infinity 1 1');
SELECT rfm_stat_recency('2025-06-01T00:00:00Z/2025-06-01T00:00:00Z 1 1', now(), 'Nowhere/Land');

-- Comparison: 1.0 and 1.00 are equal, however they came about.
SELECT '- 1 1.0'::rfm_stat = '- 1 1.00' AS eq, '- 1 1'::rfm_stat <> '- 1 1.0001' AS ne, '- 1 2'::rfm_stat < '- 2 1' AS lt, '- 1 1'::rfm_stat <= '- 1 1' AS le,
    '2025-06-01T00:00:00Z/2025-12-31T23:30:00Z 1 1'::rfm_stat > '- 9 9' AS gt, '- 1 1'::rfm_stat >= '- 1 1.1' AS ge;
CREATE TABLE kept (n integer, stat rfm_stat);
INSERT INTO kept SELECT n, t::rfm_stat FROM unnest('{- 1 1,- 1 2,- 2 -99999999999999999999,- 2 -5,- 2 0.00001,- 2 99999999999999999999,-infinity/-infinity 1 0,2025-01-01T00:00:00Z/2025-01-01T00:00:00Z 1 0,2024-01-01T00:00:00Z/2025-01-01T00:00:00Z 2 0,2025-01-01T00:00:00Z/2025-01-01T00:00:00Z 2 0,infinity/infinity 1 1}'::text[]) WITH ORDINALITY AS u(t, n);
INSERT INTO kept SELECT n, rfm_stat_add(stat, '- 1 99999999999999999999.00') FROM kept WHERE n IN (1, 4, 6);
INSERT INTO kept VALUES (20, NULL), (21, NULL);
INSERT INTO kept SELECT n, rfm_stat_make(rfm_stat_first(stat), rfm_stat_last(stat), rfm_stat_frequency(stat), rfm_stat_monetary(stat) + 0.000000000) FROM kept WHERE stat IS NOT NULL;
SELECT count(*) AS rows, count(DISTINCT stat) AS stats, count(DISTINCT stat::text) AS texts FROM kept;
SELECT stat, count(*), array_agg(n ORDER BY n) FROM kept GROUP BY stat ORDER BY stat;
SELECT count(*) AS pairs, count(*) FILTER (WHERE (a < b) <> (c < 0) OR (a <= b) <> (c <= 0) OR (a = b) <> (c = 0) OR (a <> b) <> (c <> 0) OR (a > b) <> (c > 0) OR (a >= b) <> (c >= 0)
    OR sign(rfm_stat_cmp(b, a)) <> -sign(c) OR (a::text = b::text) <> (c = 0)
    OR (c = 0) <> (rfm_stat_hash(a) = rfm_stat_hash(b)) OR (c = 0) <> (rfm_stat_hash_extended(a, 5) = rfm_stat_hash_extended(b, 5))) AS wrong
FROM kept x(i, a), kept y(j, b), rfm_stat_cmp(a, b) AS c WHERE a IS NOT NULL AND b IS NOT NULL;
CREATE INDEX kept_btree ON kept (stat);
CREATE INDEX kept_hash ON kept USING hash (stat);
SET LOCAL enable_seqscan TO off;
SET LOCAL enable_sort TO off;
SELECT string_agg(stat::text, ',') = (SELECT string_agg(stat::text, ',' ORDER BY stat) FROM kept) AS in_order FROM (SELECT stat FROM kept ORDER BY stat) AS o;
SELECT count(*) FROM kept WHERE stat >= '- 2 -5' AND stat < 'infinity/infinity 1 1';
SELECT array_agg(n) FROM kept WHERE stat = '- 2 0.0000100';
RESET enable_seqscan;
RESET enable_sort;

-- Stored, the header is shorter.
SELECT pg_column_size(rfm_stat_make(now(), now(), 1, 1)) AS in_memory, (SELECT max(pg_column_size(stat)) FROM kept WHERE stat::text LIKE '% 1 1') AS stored;
-- A sum of any size is stored, compressed or out of line.
INSERT INTO kept SELECT 30, rfm_stat_make(now(), now(), 1, a) FROM (VALUES (('1' || repeat('0', 100000))::numeric + 0.5), ((repeat('31415926535', 10000) || '.' || repeat('7', 10000))::numeric)) AS v(a);
SELECT length(rfm_stat_monetary(stat)::text), md5(rfm_stat_monetary(stat)::text) = md5(stat.a::text) AS same
FROM kept, LATERAL (SELECT split_part(kept.stat::text, ' ', 3)) AS stat(a) WHERE n = 30 ORDER BY 1;
SELECT length(rfm_stat_monetary(rfm_stat_merge(stat))::text) FROM kept WHERE n = 30;

-- Binary.
SELECT rfm_stat_send('2025-06-01T00:00:00Z/2025-12-31T00:00:00Z 2 501.5');
\set file `mktemp -u /tmp/iaros_rfm_stat.XXXXXXXX`
COPY kept TO :'file' (FORMAT binary);
CREATE TABLE received (LIKE kept);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) AS rows, (SELECT count(*) FROM (TABLE kept EXCEPT ALL TABLE received) AS d) AS lost, (SELECT count(*) FROM (TABLE received EXCEPT ALL TABLE kept) AS d) AS others FROM received;
\set gone `rm -f :'file'`
ROLLBACK;
