-- Sets of paths of four touches: collected, and read by models, each against
-- the same figures by SQL. For Markov chains that is the matrix of their
-- transitions; to solve it no SQL is usual, so that the others show only
-- what a whole statement from the table of paths takes, beside a bare scan
-- of it. Variable: rows, the number of paths.
BEGIN;
CREATE FUNCTION pg_temp.bench_channel(i bigint, touch integer, n integer) RETURNS text LANGUAGE sql AS
$$SELECT 'channel' || (hashint8(i * 8 + touch) & 2147483647) % n$$;
CREATE UNLOGGED TABLE public.bench_path AS
SELECT i, n AS channels, concat_ws(' > ', pg_temp.bench_channel(i, 1, n), pg_temp.bench_channel(i, 2, n), pg_temp.bench_channel(i, 3, n), pg_temp.bench_channel(i, 4, n)) AS path,
    ((hashint8(i + 5) & 2147483647) % 10 < 3)::integer::bigint AS conversions, ((hashint8(i + 7) & 2147483647) % 20000 / 100.0)::numeric(16,4) AS value, 1::bigint AS nulls
FROM generate_series(1::bigint, :rows) AS i, unnest('{12,16,100}'::integer[]) AS n;
CREATE UNLOGGED TABLE public.bench_path12 AS SELECT path, conversions, value, nulls FROM public.bench_path WHERE channels = 12;
CREATE UNLOGGED TABLE public.bench_path16 AS SELECT path, conversions, value, nulls FROM public.bench_path WHERE channels = 16;
CREATE UNLOGGED TABLE public.bench_path100 AS SELECT path, conversions, value, nulls FROM public.bench_path WHERE channels = 100;
DROP TABLE public.bench_path;
ANALYZE public.bench_path12, public.bench_path16, public.bench_path100;

SELECT pg_temp.bench('path_agg, 12 channels',
    $$SELECT count(*), sum(conversions) AS conversions, sum(value) AS value, sum(nulls) AS nulls
      FROM iaros.path_top((SELECT iaros.path_agg(path, conversions, value, nulls) FROM public.bench_path12), NULL)$$,
    $$SELECT count(*), sum(conversions) AS conversions, sum(value) AS value, sum(nulls) AS nulls
      FROM (SELECT path, sum(conversions) AS conversions, sum(value) AS value, sum(nulls) AS nulls FROM public.bench_path12 GROUP BY path) g$$,
    :rows);

SELECT pg_temp.bench('path_transitions, order 1, ' || n,
    format($$SELECT array_to_string("from", '') AS was, "to" AS next, sum(paths) AS paths FROM iaros.path_transitions((SELECT iaros.path_agg(path, conversions, value, nulls) FROM public.bench_path%s)) GROUP BY 1, 2$$, n),
    format($$SELECT coalesce(lag, '') AS was, channel AS next, sum(w) AS paths
      FROM (SELECT channel, w, lag(channel) OVER (PARTITION BY id ORDER BY place) AS lag
            FROM (SELECT row_number() OVER () AS id, path, conversions + nulls AS w FROM public.bench_path%s) p,
                LATERAL (SELECT channel, place FROM unnest(string_to_array(path, ' > ')) WITH ORDINALITY u(channel, place)
                         UNION ALL SELECT NULL, 5) t) x GROUP BY 1, 2$$, n),
    :rows)
FROM unnest('{12,100}'::integer[]) n;

SELECT pg_temp.bench('attribution_shapley, 16 channels',
    $$SELECT channel, round(conversions, 3) AS conversions FROM iaros.attribution_shapley((SELECT iaros.path_agg(path, conversions, value, nulls) FROM public.bench_path16))$$,
    $$SELECT channel, round(sum(conversions * 1.0 / n), 3) AS conversions
      FROM (SELECT conversions, names, cardinality(names) AS n FROM (SELECT conversions, ARRAY(SELECT DISTINCT unnest(string_to_array(path, ' > '))) AS names FROM public.bench_path16) r) d, unnest(names) channel GROUP BY channel$$,
    :rows);

CREATE TEMP TABLE bench_query (n integer, name text, query text, plain text);
INSERT INTO bench_query
SELECT row_number() OVER (), name, format('SELECT count(*) FROM iaros.%s', format(call, format('(SELECT iaros.path_agg(path, conversions, value, nulls) FROM public.bench_path%s)', channels))),
    format('SELECT count(path), sum(conversions), sum(value), sum(nulls) FROM public.bench_path%s', channels)
FROM (VALUES
    ('attribution_markov(1), 12 channels', 'attribution_markov(%s)', 12),
    ('attribution_markov(1), 100 channels', 'attribution_markov(%s)', 100),
    ('attribution_markov(3), 12 channels', 'attribution_markov(%s, 3)', 12),
    ('attribution_markov(3), 100 channels', 'attribution_markov(%s, 3)', 100),
    ('attribution_shapley rate, 16 channels', 'attribution_shapley(%s, ''rate'')', 16),
    ('attribution_markov_order, 12 channels', 'attribution_markov_order(%s)', 12)) v(name, call, channels);
SELECT format('bench|%s, bare scan|%s|%s|%s|%s', name, round(ours::numeric, 1), round(plain::numeric, 1), round((plain / ours)::numeric, 2), round((:rows / ours * 1000)::numeric))
FROM (SELECT n, name, min(pg_temp.bench_ms(query)) AS ours, min(pg_temp.bench_ms(plain)) AS plain FROM bench_query, generate_series(1, 2) run GROUP BY n, name) b ORDER BY n;
ROLLBACK;
