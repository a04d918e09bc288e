-- Loaded before each benchmark. A difference between the two results is an
-- error; the times are the best of some alternating runs in this session.

-- Runs queries ours and plain over rows rows, prints what test/bench/run reads.
-- EXPLAIN ANALYZE computes every column and sends nothing.
CREATE FUNCTION pg_temp.bench(name text, ours text, plain text, rows bigint, runs int DEFAULT 3)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours_ms float8;
    plain_ms float8;
BEGIN
    PERFORM pg_temp.bench_same(name, ours, plain);
    FOR i IN 1 .. runs LOOP
        ours_ms := least(ours_ms, pg_temp.bench_ms(ours));
        plain_ms := least(plain_ms, pg_temp.bench_ms(plain));
    END LOOP;
    RETURN format('bench|%s|%s|%s|%s|%s', name, round(ours_ms::numeric, 1), round(plain_ms::numeric, 1),
        round((plain_ms / ours_ms)::numeric, 2), round((rows / ours_ms * 1000)::numeric));
END $$;

-- Milliseconds that one run of the query takes.
CREATE FUNCTION pg_temp.bench_ms(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) ' || query;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END $$;

-- Raises an error unless both queries give the same rows, each as often.
CREATE FUNCTION pg_temp.bench_same(name text, ours text, plain text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    sample text;
BEGIN
    SET LOCAL client_min_messages = warning;
    DROP TABLE IF EXISTS pg_temp.bench_ours, pg_temp.bench_plain;
    EXECUTE 'CREATE TEMP TABLE bench_ours AS ' || ours;
    EXECUTE 'CREATE TEMP TABLE bench_plain AS ' || plain;
    SELECT string_agg(d.side || d.line, E'\n') INTO sample
    FROM (
        (SELECT 'only ours:  ' AS side, o::text AS line
         FROM (TABLE pg_temp.bench_ours EXCEPT ALL TABLE pg_temp.bench_plain) AS o LIMIT 3)
        UNION ALL
        (SELECT 'only plain: ', p::text
         FROM (TABLE pg_temp.bench_plain EXCEPT ALL TABLE pg_temp.bench_ours) AS p LIMIT 3)
    ) AS d;
    IF sample IS NOT NULL THEN
        RAISE EXCEPTION USING MESSAGE = format('the results of benchmark "%s" differ', name), DETAIL = sample;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_temp.bench_ours) THEN
        RAISE EXCEPTION USING MESSAGE = format('benchmark "%s" has no result', name);
    END IF;
    DROP TABLE pg_temp.bench_ours, pg_temp.bench_plain;
END $$;
