-- Many rules on a table of profiles with 26 columns of mixed types:
-- segment_scan() against a statement a rule that keeps its members, against
-- one statement that counts the members of all rules, and against reading
-- the columns; segment_matches() on one profile. Variable: rows (profiles).
BEGIN;
-- Below x, the same for the same numbers.
CREATE FUNCTION pg_temp.h(i bigint, salt integer, x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$SELECT (hashint8extended(i, salt) & 9223372036854775807) % x$$;
CREATE UNLOGGED TABLE public.bench_profile AS
SELECT i AS customer_id,
    CASE WHEN pg_temp.h(i, 1, 20) > 0 THEN 16 + pg_temp.h(i, 2, 75)::integer END AS age,
    pg_temp.h(i, 3, 60)::integer AS bookings, pg_temp.h(i, 4, 15)::integer AS bookings_12m, pg_temp.h(i, 5, 500)::integer AS sessions,
    pg_temp.h(i, 6, 400000) AS points, pg_temp.h(i, 7, 7)::smallint AS family,
    (pg_temp.h(i, 8, 3000000) / 100.0)::numeric(12, 2) AS spend, (pg_temp.h(i, 9, 100000000) / 10000.0)::numeric(16, 4) AS spend_12m,
    CASE WHEN pg_temp.h(i, 10, 10) > 0 THEN (pg_temp.h(i, 11, 150000) / 100.0)::numeric(10, 2) END AS fare, pg_temp.h(i, 12, 50000)::numeric AS balance,
    (ARRAY['US', 'GB', 'DE', 'FR', 'ES', 'IT', 'NL', 'SE', 'NO', 'DK', 'PL', 'PT', 'IE', 'CH', 'AT', 'BE', 'CA', 'MX', 'BR', NULL])[1 + pg_temp.h(i, 13, 20)] AS country,
    (ARRAY['basic', 'silver', 'gold', 'platinum', NULL])[1 + pg_temp.h(i, 14, 5)] AS tier,
    (ARRAY['economy', 'premium', 'business', 'first'])[1 + pg_temp.h(i, 15, 4)] AS cabin,
    'city ' || pg_temp.h(i, 16, 1000) AS city, 'user' || i || (ARRAY['@gmail.com', '@yahoo.com', '@example.org'])[1 + pg_temp.h(i, 17, 3)] AS email,
    pg_temp.h(i, 18, 3) > 0 AS newsletter, pg_temp.h(i, 19, 2) = 0 AS app, CASE WHEN pg_temp.h(i, 20, 10) > 0 THEN pg_temp.h(i, 21, 10) = 0 END AS churned,
    date '1940-01-01' + pg_temp.h(i, 22, 25000)::integer AS birth_date, date '2010-01-01' + pg_temp.h(i, 23, 5900)::integer AS joined_on,
    timestamptz '2026-06-01Z' - pg_temp.h(i, 24, 63072000) * interval '1 second' AS booked_at,
    CASE WHEN pg_temp.h(i, 25, 8) > 0 THEN timestamptz '2026-06-01Z' - pg_temp.h(i, 26, 31536000) * interval '1 second' END AS seen_at,
    CASE WHEN pg_temp.h(i, 27, 3) = 0 THEN timestamptz '2026-06-01Z' + pg_temp.h(i, 28, 15552000) * interval '1 second' END AS trip_at,
    pg_temp.h(i, 29, 1000000) / 1e6::float8 AS churn, pg_temp.h(i, 30, 100000000) / 1e4::float8 AS clv
FROM generate_series(1, :rows::bigint) AS i;
ANALYZE public.bench_profile;

-- One of the conditions that rules are made of, as JSON and in SQL.
CREATE FUNCTION pg_temp.condition(i bigint, OUT rule text, OUT condition text) LANGUAGE plpgsql AS $$
DECLARE
    a integer := pg_temp.h(i, 1, 50);
    b integer := pg_temp.h(i, 2, 50);
    w text[];
    kind integer := pg_temp.h(i, 3, 24);
BEGIN
    CASE
    WHEN kind < 5 THEN
        w := (ARRAY['{age,16,75}', '{bookings,0,60}', '{bookings_12m,0,15}', '{sessions,0,500}', '{points,0,400000}'])[1 + kind]::text[];
        a := w[2]::integer + w[3]::integer * a / 50;
        rule := format('{"field":"%s","operator":">=","value":%s}', w[1], a);
        condition := format('%s >= %s', w[1], a);
    WHEN kind < 9 THEN
        w := (ARRAY['{spend,300}', '{spend_12m,100}', '{fare,15}', '{balance,500}'])[kind - 4]::text[];
        rule := format('{"field":"%s","operator":"BETWEEN","value":[%s,%s]}', w[1], a * w[2]::numeric, (a + b) * w[2]::numeric + 0.5);
        condition := format('%s BETWEEN %s AND %s', w[1], a * w[2]::numeric, (a + b) * w[2]::numeric + 0.5);
    WHEN kind < 12 THEN
        w := (ARRAY['{country,US,GB,DE,FR,ES,IT,NL,SE,NO,DK}', '{tier,silver,gold,platinum}', '{cabin,premium,business,first}'])[kind - 8]::text[];
        rule := format('{"field":"%s","operator":"IN","value":["%s","%s"]}', w[1], w[2 + a % (cardinality(w) - 1)], w[2 + b % (cardinality(w) - 1)]);
        condition := format('%s IN (''%s'', ''%s'')', w[1], w[2 + a % (cardinality(w) - 1)], w[2 + b % (cardinality(w) - 1)]);
    WHEN kind = 12 THEN
        rule := format('{"field":"city","operator":"STARTS WITH","value":"city %s"}', 1 + a % 9);
        condition := format('city LIKE ''city %s%%''', 1 + a % 9);
    WHEN kind = 13 THEN
        rule := format('{"field":"email","operator":"CONTAINS","value":"%s"}', (ARRAY['@gmail.', '@yahoo.', '.org'])[1 + a % 3]);
        condition := format('email LIKE ''%%%s%%''', (ARRAY['@gmail.', '@yahoo.', '.org'])[1 + a % 3]);
    WHEN kind < 17 THEN
        w := '{newsletter,app,churned}';
        rule := format('{"field":"%s","operator":"=","value":true}', w[kind - 13]);
        condition := w[kind - 13];
    WHEN kind = 17 THEN
        rule := format('{"field":"birth_date","operator":">=","value":"%s years"}', 18 + a);
        condition := format('birth_date <= timestamp ''2026-06-01'' - interval ''%s years''', 18 + a);
    WHEN kind = 18 THEN
        rule := format('{"field":"joined_on","operator":"<","value":"%s"}', date '2011-01-01' + a * 100);
        condition := format('joined_on < ''%s''', date '2011-01-01' + a * 100);
    WHEN kind = 19 THEN
        rule := format('{"field":"booked_at","within":"%s days"}', 10 * (1 + a));
        condition := format('booked_at > timestamptz ''2026-06-01Z'' - interval ''%s hours'' AND booked_at <= timestamptz ''2026-06-01Z''', 240 * (1 + a));
    WHEN kind = 20 THEN
        rule := format('{"field":"seen_at","before":"%s days"}', 5 * (1 + a));
        condition := format('seen_at <= timestamptz ''2026-06-01Z'' - interval ''%s hours''', 120 * (1 + a));
    WHEN kind = 21 THEN
        rule := format('{"field":"trip_at","next":"%s days"}', 3 * (1 + a));
        condition := format('trip_at >= timestamptz ''2026-06-01Z'' AND trip_at < timestamptz ''2026-06-01Z'' + interval ''%s hours''', 72 * (1 + a));
    WHEN kind = 22 THEN
        rule := format('{"field":"churn","operator":">","value":0.%s}', 10 + a);
        condition := format('churn > 0.%s::float8', 10 + a);
    ELSE
        rule := format('{"field":"clv","operator":">","value":%s}', 100 * a);
        condition := format('clv > %s::float8', 100 * a);
    END CASE;
END $$;

-- Rules of two to four conditions each, some of them in groups or negated.
CREATE TEMP TABLE bench_rule AS
SELECT i AS rule,
    CASE WHEN i % 5 = 0 THEN format('{"logic":"AND","rules":[%s,{"logic":"NOT","rules":[{"logic":"OR","rules":[%s,%s]}]}]}', a.rule, b.rule, c.rule)
         WHEN i % 5 = 1 THEN format('{"logic":"AND","rules":[{"logic":"OR","rules":[%s,%s]},%s,%s]}', a.rule, b.rule, c.rule, d.rule)
         WHEN i % 5 = 2 THEN format('{"logic":"AND","rules":[%s,%s]}', a.rule, b.rule)
         ELSE format('{"logic":"AND","rules":[%s,%s,%s]}', a.rule, b.rule, c.rule) END::iaros.segment_rule AS json,
    CASE WHEN i % 5 = 0 THEN format('(%s) AND NOT ((%s) OR (%s))', a.condition, b.condition, c.condition)
         WHEN i % 5 = 1 THEN format('((%s) OR (%s)) AND (%s) AND (%s)', a.condition, b.condition, c.condition, d.condition)
         WHEN i % 5 = 2 THEN format('(%s) AND (%s)', a.condition, b.condition)
         ELSE format('(%s) AND (%s) AND (%s)', a.condition, b.condition, c.condition) END AS condition
FROM generate_series(1, 500) AS i, pg_temp.condition(i * 10) AS a, pg_temp.condition(i * 10 + 1) AS b, pg_temp.condition(i * 10 + 2) AS c,
    pg_temp.condition(i * 10 + 3) AS d;
CREATE FUNCTION pg_temp.rules(n integer) RETURNS iaros.segment_rule[] LANGUAGE sql STABLE AS
$$SELECT array_agg(json ORDER BY rule) FROM bench_rule WHERE rule <= n$$;

-- The members of each rule in a table of its own.
CREATE FUNCTION pg_temp.tables(n integer) RETURNS TABLE (rule integer, members bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        EXECUTE (SELECT format('CREATE TEMP TABLE bench_members AS SELECT customer_id FROM public.bench_profile WHERE %s', r.condition)
                 FROM bench_rule r WHERE r.rule = i);
        SELECT i, count(*) INTO rule, members FROM bench_members;
        DROP TABLE bench_members;
        RETURN NEXT;
    END LOOP;
END $$;
-- How many members each rule has, by one statement.
CREATE FUNCTION pg_temp.counts(n integer) RETURNS TABLE (rule integer, members bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE (
        SELECT format('SELECT u.ordinality::integer, u.n FROM (SELECT ARRAY[%s] AS ns FROM public.bench_profile) t, unnest(t.ns) WITH ORDINALITY AS u(n)',
            string_agg(format('count(*) FILTER (WHERE %s)', r.condition), ', ' ORDER BY r.rule))
        FROM bench_rule r WHERE r.rule <= n);
END $$;

SELECT pg_temp.bench('segment_scan, 50 rules; a table each',
    $$SELECT rule, iaros.audience_count(members)::bigint AS members
      FROM iaros.segment_scan(pg_temp.rules(50), 'public.bench_profile', 'customer_id', '2026-06-01Z')$$,
    'SELECT * FROM pg_temp.tables(50)', :rows);
SELECT pg_temp.bench('segment_scan, 500 rules; count FILTER',
    $$SELECT rule, iaros.audience_count(members)::bigint AS members
      FROM iaros.segment_scan(pg_temp.rules(500), 'public.bench_profile', 'customer_id', '2026-06-01Z')$$,
    'SELECT * FROM pg_temp.counts(500)', :rows);
-- The cost of reading: the plain query computes no rule.
SELECT pg_temp.bench('segment_scan, 50 rules; count columns',
    $$SELECT sum(n) > 0 AS done FROM (SELECT iaros.audience_count(members) AS n
      FROM iaros.segment_scan(pg_temp.rules(50), 'public.bench_profile', 'customer_id', '2026-06-01Z')) s$$,
    (SELECT format('SELECT %s > 0 AS done FROM public.bench_profile', string_agg(format('count(%I)', attname), ' + '))
     FROM pg_attribute WHERE attrelid = 'public.bench_profile'::regclass AND attnum > 0), :rows);
-- 500 rules on each of 1,000 profiles.
CREATE TEMP TABLE bench_page AS SELECT * FROM public.bench_profile WHERE customer_id <= 1000;
SELECT pg_temp.bench('segment_matches, 500 rules; 1,000 profiles',
    $$SELECT p.customer_id, cardinality(iaros.segment_matches((SELECT pg_temp.rules(500)), p, '2026-06-01Z')) AS n
      FROM bench_page p$$,
    (SELECT format('SELECT p.customer_id, %s AS n FROM bench_page p',
        string_agg(format('coalesce((%s)::integer, 0)', condition), ' + ')) FROM bench_rule), least(:rows, 1000));
ROLLBACK;
