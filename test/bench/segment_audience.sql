-- Type audience: set algebra on two sets, each of one id in ten, looks into a
-- stored set, and making sets; against tables of ids with a primary key.
-- Variable: rows (members of a set); the stored set has ten times as many.
-- BENCH_ROWS=1000000 gives sets of a million out of ten million. One process
-- does all, so that times are those of one processor.
BEGIN;
SET LOCAL max_parallel_workers_per_gather TO 0;
SET LOCAL work_mem TO '512MB';
CREATE FUNCTION pg_temp.h(i bigint, salt integer, x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$SELECT (hashint8extended(i, salt) & 9223372036854775807) % x$$;
CREATE TABLE public.bench_audience (name text PRIMARY KEY, members iaros.audience);
INSERT INTO public.bench_audience
SELECT 'set ' || k, iaros.audience_agg(i) FROM generate_series(1, 2) AS k, generate_series(1, 10 * :rows::bigint) AS i WHERE pg_temp.h(i, k, 10) = 0 GROUP BY k;
INSERT INTO public.bench_audience
SELECT 'thin ' || k, iaros.audience_agg(i * 10 + pg_temp.h(i, k, 10)) FROM generate_series(3, 4) AS k, generate_series(1, 10 * :rows::bigint) AS i
WHERE pg_temp.h(i, k, 10) = 0 GROUP BY k;
INSERT INTO public.bench_audience
SELECT 'stored', iaros.audience_agg(i * 2 + pg_temp.h(i, 5, 2)) FROM generate_series(1, 10 * :rows::bigint) AS i;
INSERT INTO public.bench_audience SELECT 'dense', iaros.audience_agg(i) FROM generate_series(1, :rows::bigint) AS i;
SELECT format('%s: %s ids, %s bytes', name, iaros.audience_count(members), pg_column_size(members)) FROM public.bench_audience ORDER BY name;

-- The same as tables.
CREATE FUNCTION pg_temp.as_table(set text, relation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE UNLOGGED TABLE public.%I AS SELECT iaros.audience_ids(members) AS id FROM public.bench_audience WHERE name = %L', relation, set);
    EXECUTE format('ALTER TABLE public.%I ADD PRIMARY KEY (id)', relation);
    EXECUTE format('ANALYZE public.%I', relation);
END $$;
SELECT FROM (VALUES ('set 1', 'bench_a'), ('set 2', 'bench_b'), ('thin 3', 'bench_c'), ('thin 4', 'bench_d'), ('stored', 'bench_e')) AS v(name, relation),
    pg_temp.as_table(name, relation);

-- As pg_temp.bench(); ours is done times times, the time is that of one.
CREATE FUNCTION pg_temp.bench_one(name text, ours text, times integer, plain text, rows bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours_ms float8;
    plain_ms float8;
BEGIN
    PERFORM pg_temp.bench_same(name, ours, plain);
    FOR i IN 1 .. 9 LOOP
        ours_ms := least(ours_ms, pg_temp.bench_ms(ours) / times);
    END LOOP;
    FOR i IN 1 .. 3 LOOP
        plain_ms := least(plain_ms, pg_temp.bench_ms(plain));
    END LOOP;
    RETURN format('bench|%s|%s|%s|%s|%s', name, round(ours_ms::numeric, 4), round(plain_ms::numeric, 1),
        round((plain_ms / ours_ms)::numeric), round((rows / ours_ms * 1000)::numeric));
END $$;
-- Something done a hundred times with two sets, in memory or as they are stored.
CREATE FUNCTION pg_temp.of_two(expression text, a text, b text, stored boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('SELECT max(%s) AS n FROM (SELECT %s AS a, %s AS b FROM public.bench_audience x, public.bench_audience y WHERE x.name = %L AND y.name = %L
                   OFFSET 0) s, generate_series(1, 100) AS k', expression,
        CASE WHEN stored THEN 'x.members' ELSE 'iaros.audience_or(x.members, ''{}'')' END,
        CASE WHEN stored THEN 'y.members' ELSE 'iaros.audience_or(y.members, ''{}'')' END, a, b) $$;

SET LOCAL search_path TO iaros, pg_catalog;
SELECT pg_temp.bench_one(u.name || w.name, pg_temp.of_two(u.ours, w.a, w.b, w.stored), 100, format(u.plain, w.c, w.d), 2 * :rows)
FROM (VALUES (1, '', 'set 1', 'set 2', 'bench_a', 'bench_b', false), (2, ', stored', 'set 1', 'set 2', 'bench_a', 'bench_b', true),
        (3, ', thin', 'thin 3', 'thin 4', 'bench_c', 'bench_d', false)) AS w(n, name, a, b, c, d, stored),
    (VALUES (1, 'or', 'audience_count(a | b)', 'SELECT count(*) AS n FROM (SELECT id FROM public.%I UNION SELECT id FROM public.%I) s'),
        (2, 'and', 'audience_count(a & b)', 'SELECT count(*) AS n FROM public.%I JOIN public.%I USING (id)'),
        (3, 'minus', 'audience_count(a - b)', 'SELECT count(*) AS n FROM public.%I c WHERE NOT EXISTS (SELECT FROM public.%I d WHERE d.id = c.id)'),
        (4, 'xor', 'audience_count(a # b)',
            'SELECT count(*) AS n FROM public.%I c FULL JOIN public.%I d USING (id) WHERE c.id IS NULL OR d.id IS NULL'),
        (5, 'audience_overlap_count', 'audience_overlap_count(a, b)', 'SELECT count(*) AS n FROM public.%I JOIN public.%I USING (id)')) AS u(n, name, ours, plain)
ORDER BY w.n, u.n;

-- Looks, each a statement of its own, in a loop that itself takes some time.
CREATE FUNCTION pg_temp.looks_ours(n integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found_ boolean;
    looks bigint := 0;
BEGIN
    FOR i IN 1 .. n LOOP
        SELECT iaros.audience_contains(members, i * 97::bigint) INTO found_ FROM public.bench_audience WHERE name = 'stored';
        looks := looks + found_::integer;
    END LOOP;
    RETURN looks;
END $$;
CREATE FUNCTION pg_temp.looks_plain(n integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found_ boolean;
    looks bigint := 0;
BEGIN
    FOR i IN 1 .. n LOOP
        SELECT EXISTS (SELECT FROM public.bench_e WHERE id = i * 97::bigint) INTO found_;
        looks := looks + found_::integer;
    END LOOP;
    RETURN looks;
END $$;
SELECT pg_temp.bench('audience_contains, 10,000 statements', 'SELECT * FROM pg_temp.looks_ours(10000) AS n', 'SELECT * FROM pg_temp.looks_plain(10000) AS n', 10000);
SELECT pg_temp.bench('audience_contains, one statement',
    format($$SELECT count(*) AS n FROM public.bench_audience, generate_series(1, %s::bigint) AS i WHERE name = 'stored' AND audience_contains(members, i * 17)$$, :rows),
    format($$SELECT count(*) AS n FROM generate_series(1, %s::bigint) AS i WHERE EXISTS (SELECT FROM public.bench_e WHERE id = i * 17)$$, :rows), :rows);

-- Sets made of ids: as they ascend, and in any order.
CREATE UNLOGGED TABLE public.bench_id AS SELECT id FROM public.bench_a ORDER BY pg_temp.h(id, 6, 9223372036854775807);
ANALYZE public.bench_id;
SELECT pg_temp.bench('audience_agg, ascending; count DISTINCT', 'SELECT audience_count(audience_agg(id)) AS n FROM public.bench_a',
    'SELECT count(DISTINCT id) AS n FROM public.bench_a', :rows);
SELECT pg_temp.bench('audience_agg, any order; count DISTINCT', 'SELECT audience_count(audience_agg(id)) AS n FROM public.bench_id',
    'SELECT count(DISTINCT id) AS n FROM public.bench_id', :rows);
SELECT pg_temp.bench('audience_agg, any order; array_agg', 'SELECT audience_count(audience_agg(id)) AS n FROM public.bench_id',
    'SELECT cardinality(array_agg(id))::bigint AS n FROM public.bench_id', :rows);
SELECT pg_temp.bench('audience_agg, 1000 groups; array_agg', 'SELECT id % 1000 AS k, audience_count(audience_agg(id)) AS n FROM public.bench_id GROUP BY 1',
    'SELECT id % 1000 AS k, cardinality(array_agg(id))::bigint AS n FROM public.bench_id GROUP BY 1', :rows);
SELECT pg_temp.bench('audience_merge; count DISTINCT', 'SELECT audience_count(audience_merge(members)) AS n FROM public.bench_audience WHERE name IN (''set 1'', ''set 2'')',
    'SELECT count(DISTINCT id) AS n FROM (TABLE public.bench_a UNION ALL TABLE public.bench_b) s', 2 * :rows);
ROLLBACK;
