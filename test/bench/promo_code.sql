-- Type promo_code: unique codes made and stored, sorted, indexed, looked up,
-- checked; against texts. The texts of plain are normalised beforehand (upper
-- case, 0 for O, 1 for I and L) and in collation C. Variable: rows.
-- BENCH_ROWS=1000000 gives a million codes. One process does all.
BEGIN;
SET LOCAL max_parallel_workers_per_gather TO 0;
SET LOCAL max_parallel_maintenance_workers TO 0;
SET LOCAL client_min_messages TO warning;
SET LOCAL search_path TO iaros, pg_catalog;

-- The check character of a text.
CREATE FUNCTION pg_temp.check_char(code text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT substr('0123456789ABCDEFGHJKMNPQRSTUVWXYZ', 1 + (33 - (sum((strpos('0123456789ABCDEFGHJKMNPQRSTUVWXYZ', c) - 1) * (2 - (length(code) - i) % 2)) % 33)::integer) % 33, 1)
    FROM regexp_split_to_table(code, '') WITH ORDINALITY AS t(c, i) $$;

CREATE FUNCTION pg_temp.check_added(code text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT code || pg_temp.check_char(code) $$;

-- Ways to make n codes and store them; each returns how many there are.
CREATE FUNCTION pg_temp.stored() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := (SELECT count(*) FROM public.bench_code);
BEGIN
    DROP TABLE public.bench_code;
    RETURN n;
END $$;
-- A table that gets its key afterwards.
CREATE FUNCTION pg_temp.load_ours(rule jsonb, n integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE public.bench_code AS SELECT c FROM iaros.promo_code_generate(rule, n) AS c;
    ALTER TABLE public.bench_code ADD PRIMARY KEY (c);
    RETURN pg_temp.stored();
END $$;
-- A table that has one, in the order of codes.
CREATE FUNCTION pg_temp.insert_ours(rule jsonb, n integer) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE public.bench_code (c iaros.promo_code PRIMARY KEY);
    INSERT INTO public.bench_code SELECT c FROM iaros.promo_code_generate(rule, n) AS c ORDER BY c;
    RETURN pg_temp.stored();
END $$;
-- Texts: as many tries as it takes. Hexadecimal digits, so the codes are
-- longer by two, or letters and digits.
CREATE FUNCTION pg_temp.load_plain(expression text, n integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    missing integer := n;
    added integer;
BEGIN
    CREATE TABLE public.bench_code (c text COLLATE "C" PRIMARY KEY);
    WHILE missing > 0 LOOP
        EXECUTE format('INSERT INTO public.bench_code SELECT %s FROM generate_series(1, %s) AS i ON CONFLICT DO NOTHING', expression, missing);
        GET DIAGNOSTICS added = ROW_COUNT;
        missing := missing - added;
    END LOOP;
    RETURN pg_temp.stored();
END $$;
\set rule '{"prefix": "SUMMER", "suffix": "2024", "length": 8, "excludeAmbiguous": true}'
\set checked '{"prefix": "SUMMER", "suffix": "2024", "length": 8, "includeChecksum": true, "excludeAmbiguous": true}'
\set md5 'upper(''SUMMER'' || substr(md5(random()::text || i), 1, 10) || ''2024'')'
SELECT pg_temp.bench('generate; md5', format('SELECT count(*) AS n FROM promo_code_generate(%L, %s)', :'rule', :rows),
    format('SELECT count(c) AS n FROM (SELECT %s AS c FROM generate_series(1, %s) AS i OFFSET 0) AS s', :'md5', :rows), :rows);
SELECT pg_temp.bench('generate, check; md5, no check', format('SELECT count(*) AS n FROM promo_code_generate(%L, %s)', :'checked', :rows),
    format('SELECT count(c) AS n FROM (SELECT %s AS c FROM generate_series(1, %s) AS i OFFSET 0) AS s', :'md5', :rows), :rows);
SELECT pg_temp.bench('store, then key; md5, no check', format('SELECT * FROM pg_temp.load_ours(%L, %s) AS n', :'checked', :rows),
    format('SELECT * FROM pg_temp.load_plain(%L, %s) AS n', :'md5', :rows), :rows);
SELECT pg_temp.bench('store into key; md5, no check', format('SELECT * FROM pg_temp.insert_ours(%L, %s) AS n', :'checked', :rows),
    format('SELECT * FROM pg_temp.load_plain(%L, %s) AS n', :'md5', :rows), :rows);
SELECT pg_temp.bench('store, then key; md5, check in SQL', format('SELECT * FROM pg_temp.load_ours(%L, %s) AS n', :'checked', :rows),
    format('SELECT * FROM pg_temp.load_plain(%L, %s) AS n', 'pg_temp.check_added(' || :'md5' || ')', :rows), :rows, 1);

-- The same codes as codes and as texts.
CREATE TABLE public.bench_ours AS SELECT c FROM promo_code_generate(:'checked', :rows, 1) AS c;
CREATE TABLE public.bench_plain AS SELECT promo_code_normal(c) COLLATE "C" AS c FROM public.bench_ours;
CREATE FUNCTION pg_temp.index_one(relation text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP INDEX IF EXISTS public.%I', relation || '_c');
    EXECUTE format('CREATE UNIQUE INDEX %I ON public.%I (c)', relation || '_c', relation);
    RETURN 1;
END $$;
SET LOCAL work_mem TO '256MB';
SELECT pg_temp.bench('sort', 'SELECT count(*) AS n FROM (SELECT c FROM public.bench_ours ORDER BY c OFFSET 0) AS s', 'SELECT count(*) AS n FROM (SELECT c FROM public.bench_plain ORDER BY c OFFSET 0) AS s', :rows);
SELECT pg_temp.bench('distinct', 'SELECT count(*) AS n FROM (SELECT c FROM public.bench_ours GROUP BY c OFFSET 0) AS s', 'SELECT count(*) AS n FROM (SELECT c FROM public.bench_plain GROUP BY c OFFSET 0) AS s', :rows);
SELECT pg_temp.bench('index', 'SELECT pg_temp.index_one(''bench_ours'') AS n', 'SELECT pg_temp.index_one(''bench_plain'') AS n', :rows);
ANALYZE public.bench_ours;
ANALYZE public.bench_plain;
-- What people type, looked up: plain has to normalise it.
CREATE TABLE public.bench_typed AS
SELECT lower(overlay(c::text PLACING '-' FROM 7 FOR 0)) AS typed FROM public.bench_ours ORDER BY promo_code_hash(c) LIMIT 20000;
ANALYZE public.bench_typed;
SET LOCAL enable_hashjoin TO off;
SET LOCAL enable_mergejoin TO off;
SELECT pg_temp.bench('look up 20,000 as typed', 'SELECT count(*) AS n FROM public.bench_typed JOIN public.bench_ours ON c = typed::promo_code',
    $$SELECT count(*) AS n FROM public.bench_typed JOIN public.bench_plain ON c = translate(upper(typed), 'OIL -._', '011') COLLATE "C"$$, 20000);
SELECT pg_temp.bench('check characters of 20,000', 'SELECT count(*) AS n FROM (SELECT typed::promo_code AS c FROM public.bench_typed) AS s WHERE promo_code_valid(c)',
    $$SELECT count(*) AS n FROM (SELECT translate(upper(typed), 'OIL -._', '011') AS c FROM public.bench_typed) AS s WHERE pg_temp.check_char(left(c, -1)) = right(c, 1)$$, 20000);
ROLLBACK;
