-- segment_scan(), segment_match() and segment_matches(): on a table of many
-- rows and types they say what plain SQL says, in one process and in several,
-- whatever the order of the ids; the answers change on no day that was not
-- announced as due. test/pgtap/segment_random.sql draws rules at random.
BEGIN;
SELECT plan(57);
SET LOCAL client_min_messages TO error;
SET LOCAL search_path = public, iaros;
SELECT setseed(0.5) \g /dev/null

-- Rows ----------------------------------------------------------------------

CREATE TYPE public.t_mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN public.t_points AS integer CHECK (VALUE > -1000000);
CREATE TABLE public.t_profile (gone text, id bigint, spread bigint, shuffled integer, small smallint, age integer, points t_points,
    huge bigint, amount numeric, score real, ratio double precision, gone_too integer, country text, cabin varchar(10), code char(5),
    nick name, mood t_mood, token uuid, ok boolean, born date, seen timestamptz, local timestamp, tags text[]);
ALTER TABLE public.t_profile DROP COLUMN gone, DROP COLUMN gone_too;
INSERT INTO public.t_profile
SELECT n, n * 1000003::bigint, (n * 7919) % 20011, n % 300, CASE WHEN r[1] > 0.1 THEN r[2] * 90 END, r[3] * 1000, (r[4] - 0.5) * 1.8e19,
    CASE WHEN r[5] < 0.9 THEN round((r[6] * 2000 - 1000)::numeric, (r[7] * 6)::integer) WHEN r[5] < 0.92 THEN 'NaN' WHEN r[5] < 0.94 THEN 'Infinity'
         WHEN r[5] < 0.96 THEN '-Infinity' WHEN r[5] < 0.98 THEN (r[6] - 0.5)::numeric * 1e40 END,
    CASE WHEN r[8] > 0.1 THEN r[9] * 10 END, CASE WHEN r[8] < 0.05 THEN 'NaN' WHEN r[8] < 0.1 THEN '-0' ELSE round(r[10] * 100) / 10 END::float8,
    (ARRAY['US', 'DE', 'FR', 'GB', 'us', '', NULL])[1 + (r[11] * 6.99)::integer % 7],
    (ARRAY['economy', 'business', 'first', 'premium'])[1 + (r[12] * 3.99)::integer % 4], (ARRAY['a', 'ab', 'abc', NULL])[1 + n % 4],
    ('n' || n % 500)::name, (enum_range(NULL::t_mood))[1 + n % 4], ('00000000-0000-0000-0000-' || lpad((n % 9)::text, 12, '0'))::uuid,
    CASE WHEN r[13] > 0.2 THEN r[14] > 0.5 END, date '1940-01-01' + (r[15] * 25000)::integer,
    CASE WHEN r[16] > 0.1 THEN timestamptz '2026-06-01 12:00Z' + (r[17] - 0.8) * interval '600 days' WHEN r[16] > 0.05 THEN 'infinity' END,
    timestamp '2026-06-01 12:00' + (r[18] - 0.8) * interval '600 days', CASE WHEN n % 3 = 0 THEN '{a}'::text[] END
FROM generate_series(1, 20000) AS n,
    LATERAL (SELECT array_agg(random()) AS r FROM generate_series(1, 18 + n % 1)) AS x;
ALTER TABLE public.t_profile SET (parallel_workers = 2);
ANALYZE public.t_profile;

-- Rules and the same in SQL, as of 2026-06-01 12:00 in UTC.
CREATE TEMP TABLE t_rule (rule integer GENERATED ALWAYS AS IDENTITY, json segment_rule, condition text);
INSERT INTO t_rule (json, condition) VALUES
    ('{"field":"age","operator":">=","value":18}', 'age >= 18'),
    ('{"field":"age","operator":">","value":17.5}', 'age > 17.5'),
    ('{"field":"age","operator":"=","value":17.5}', 'false'),
    ('{"field":"age","operator":"!=","value":17.5}', 'age IS NOT NULL'),
    ('{"logic":"NOT","rules":[{"field":"age","operator":"BETWEEN","value":[-3.5,60]}]}', 'NOT (age BETWEEN -3.5 AND 60)'),
    ('{"logic":"AND","rules":[{"field":"age","operator":">","value":20},{"field":"age","operator":"<","value":30},{"field":"ok","operator":"=","value":true}]}',
        'age > 20 AND age < 30 AND ok'),
    ('{"logic":"OR","rules":[{"field":"age","operator":"IS NULL"},{"field":"age","operator":"<","value":5},{"field":"ok","operator":"!=","value":true}]}',
        'age IS NULL OR age < 5 OR ok <> true'),
    ('{"logic":"NOT","rules":[{"logic":"OR","rules":[{"field":"country","operator":"IN","value":["US","DE"]},{"field":"amount","operator":">","value":0.05}]}]}',
        'NOT (country IN (''US'', ''DE'') OR amount > 0.05)'),
    ('{"field":"small","operator":"IN","value":[1,2,3,5,8,13,21,34,55,89,144,233,1.5,99999]}', 'small IN (1,2,3,5,8,13,21,34,55,89,144,233,1.5,99999)'),
    ('{"field":"small","operator":"NOT IN","value":[1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39]}',
        'small NOT IN (1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39)'),
    ('{"field":"points","operator":"<=","value":500}', 'points <= 500'),
    ('{"field":"huge","operator":">","value":999999999999999}', 'huge > 999999999999999'),
    ('{"field":"huge","operator":"<","value":-999999999999999}', 'huge < -999999999999999'),
    ('{"field":"amount","operator":"=","value":0}', 'amount = 0'),
    ('{"field":"amount","operator":">=","value":-0.001}', 'amount >= -0.001'),
    ('{"field":"amount","operator":"<","value":999999999999999}', 'amount < 999999999999999'),
    ('{"field":"amount","operator":"BETWEEN","value":[-99.99,99.99]}', 'amount BETWEEN -99.99 AND 99.99'),
    ('{"field":"score","operator":">","value":0.1}', 'score > 0.1::float8'),
    ('{"field":"score","operator":"<=","value":5}', 'score <= 5::float8'),
    ('{"field":"ratio","operator":"=","value":0}', 'ratio = 0'),
    ('{"field":"ratio","operator":">","value":9.9}', 'ratio > 9.9::float8'),
    ('{"field":"ratio","operator":"IN","value":[0.1,0.3,0.7,7]}', 'ratio IN (0.1::float8, 0.3::float8, 0.7::float8, 7)'),
    ('{"field":"country","operator":"=","value":""}', 'country = '''''),
    ('{"field":"country","operator":"!=","value":"US"}', 'country <> ''US'''),
    ('{"field":"country","operator":"STARTS WITH","value":"U"}', 'country LIKE ''U%'''),
    ('{"field":"cabin","operator":"CONTAINS","value":"e"}', 'cabin LIKE ''%e%'''),
    ('{"logic":"NOT","rules":[{"field":"cabin","operator":"CONTAINS","value":"mi"}]}', 'cabin NOT LIKE ''%mi%'''),
    ('{"field":"code","operator":"=","value":"ab"}', 'code = ''ab'''),
    ('{"field":"code","operator":"CONTAINS","value":" "}', 'false'),
    ('{"field":"nick","operator":"STARTS WITH","value":"n1"}', 'nick LIKE ''n1%'''),
    ('{"field":"mood","operator":"IN","value":["sad","happy","glad"]}', 'mood IN (''sad'', ''happy'')'),
    ('{"field":"mood","operator":"CONTAINS","value":"a"}', 'mood::text LIKE ''%a%'''),
    ('{"field":"token","operator":"=","value":"00000000-0000-0000-0000-000000000003"}', 'token = ''00000000-0000-0000-0000-000000000003'''),
    ('{"field":"token","operator":"CONTAINS","value":"-0000"}', 'token IS NOT NULL'),
    ('{"field":"born","operator":">=","value":"18 years"}', 'born <= date ''2008-06-01'''),
    ('{"field":"born","operator":"BETWEEN","value":["1980-01-01","1989-12-31"]}', 'born BETWEEN ''1980-01-01'' AND ''1989-12-31'''),
    ('{"field":"born","operator":"MONTH","value":"this"}', 'extract(month FROM born) = 6'),
    ('{"field":"born","operator":"MONTH","value":[1,2,12]}', 'extract(month FROM born) IN (1, 2, 12)'),
    ('{"field":"born","operator":"ANNIVERSARY","value":"7 days"}', 'to_char(born, ''MMDD'') BETWEEN ''0601'' AND ''0608'''),
    ('{"field":"seen","within":"30 days"}', 'seen > timestamptz ''2026-05-02 12:00Z'' AND seen <= timestamptz ''2026-06-01 12:00Z'''),
    ('{"field":"seen","before":"6 months"}', 'seen <= timestamptz ''2025-12-01 12:00Z'''),
    ('{"field":"seen","next":"1 week"}', 'seen >= timestamptz ''2026-06-01 12:00Z'' AND seen < timestamptz ''2026-06-08 12:00Z'''),
    ('{"field":"seen","operator":"<=","value":"2026-05-31"}', 'seen < timestamptz ''2026-06-01Z'''),
    ('{"field":"seen","operator":"=","value":"5 days"}', 'seen > timestamptz ''2026-05-26 12:00Z'' AND seen <= timestamptz ''2026-05-27 12:00Z'''),
    ('{"field":"local","operator":">","value":"2026-05-31T23:00:00-01:00"}', 'local > timestamp ''2026-06-01'''),
    ('{"field":"seen","operator":"MONTH","value":[6]}', 'extract(month FROM seen AT TIME ZONE ''UTC'') = 6'),
    ('{"field":"tags","operator":"IS NULL"}', 'tags IS NULL'),
    ('{"logic":"AND","rules":[{"field":"tags","operator":"IS NOT NULL"},{"field":"AGE","operator":"!=","value":null}]}', 'tags IS NOT NULL AND age IS NOT NULL');
CREATE FUNCTION pg_temp.rules() RETURNS segment_rule[] LANGUAGE sql AS 'SELECT array_agg(json ORDER BY rule) FROM t_rule';

-- The members by SQL, of a key.
CREATE FUNCTION pg_temp.wanted(key text) RETURNS TABLE (rule integer, members audience) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE (SELECT string_agg(format(
        'SELECT %s, coalesce(audience_agg(%I) FILTER (WHERE %s), ''{}'') FROM public.t_profile', r.rule, key, r.condition), ' UNION ALL ') FROM t_rule r);
END $$;
CREATE TEMP TABLE t_wanted AS SELECT k.key, w.* FROM unnest('{id,spread,shuffled,small,points}'::text[]) AS k(key), pg_temp.wanted(k.key) w;
CREATE FUNCTION pg_temp.scanned(key text, source text DEFAULT 'public.t_profile') RETURNS TABLE (rule integer, members audience) LANGUAGE sql AS
$$SELECT rule, members FROM segment_scan(pg_temp.rules(), source, key, '2026-06-01 12:00Z')$$;
CREATE FUNCTION pg_temp.wrong(key text, source text DEFAULT 'public.t_profile') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s: wanted %s, got %s', r.condition, audience_count(w.members), audience_count(s.members))
    FROM t_rule r JOIN t_wanted w USING (rule) LEFT JOIN pg_temp.scanned(wrong.key, wrong.source) s USING (rule)
    WHERE w.key = wrong.key AND w.members IS DISTINCT FROM s.members
$$;

-- Scans -----------------------------------------------------------------------

SELECT cmp_ok((SELECT count(*) FROM t_wanted WHERE key = 'id' AND audience_count(members) BETWEEN 1 AND 19999), '>', 40::bigint, 'most rules split the table');
SELECT is_empty($$SELECT pg_temp.wrong('id')$$, 'ids that follow each other');
SELECT is_empty($$SELECT pg_temp.wrong('spread')$$, 'ids far from each other');
SELECT is_empty($$SELECT pg_temp.wrong('shuffled')$$, 'ids in no order');
SELECT is_empty($$SELECT pg_temp.wrong('small')$$, 'ids that come again and again');
SELECT is_empty($$SELECT pg_temp.wrong('points')$$, 'ids of a domain');
SELECT is_empty($$SELECT pg_temp.wrong('id', 'SELECT * FROM public.t_profile ORDER BY id DESC')$$, 'ids that descend');
SELECT is_empty($$SELECT pg_temp.wrong('spread', 'SELECT * FROM public.t_profile ORDER BY ratio, shuffled')$$, 'ids far from each other in no order');
CREATE FUNCTION pg_temp.workers(statement text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
        IF line ~ 'Workers Launched' THEN
            RETURN substring(line FROM '[0-9]+$')::integer;
        END IF;
    END LOOP;
END $$;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT cmp_ok(pg_temp.workers($$SELECT * FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'id', '2026-06-01 12:00Z')$$), '>', 0, 'workers help');
SELECT is_empty($$SELECT pg_temp.wrong('id')$$, 'in parallel, too: ids that follow each other');
SELECT is_empty($$SELECT pg_temp.wrong('spread')$$, 'far from each other');
SELECT is_empty($$SELECT pg_temp.wrong('shuffled')$$, 'and in no order');
SELECT ok((SELECT bool_and(s.members = u.members) FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'id', '2026-06-01 12:00Z', due => true) s
           JOIN segment_scan(pg_temp.rules(), 'SELECT * FROM public.t_profile OFFSET 0', 'id', '2026-06-01 12:00Z', due => true) u
             ON s.rule IS NOT DISTINCT FROM u.rule AND s.due_at IS NOT DISTINCT FROM u.due_at), 'what is due is the same in parallel');
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is_empty($$SELECT pg_temp.wrong('id', 'public.t_profile')$$, 'and in one process');
SELECT results_eq($$SELECT rule, audience_count(members)::integer FROM segment_scan((pg_temp.rules())[1:2], 'SELECT NULL::bigint AS customer_id, 5 AS age')$$,
    'VALUES (1, 0), (2, 0)', 'rows without id are left out');
SELECT results_eq($$SELECT rule, members::text FROM segment_scan((pg_temp.rules())[1:1] || (pg_temp.rules())[1:1],
        'SELECT * FROM (VALUES (9223372036854775807, 20), (0, 17), (7, NULL), (0, 18)) AS v(customer_id, age)')$$,
    $$VALUES (1, '{0,9223372036854775807}'), (2, '{0,9223372036854775807}')$$, 'ids at both ends; a rule that comes twice');
SELECT is_empty($$SELECT * FROM segment_scan('{}', 'public.t_profile', 'id')$$, 'no rows for no rules');
SELECT results_eq($$SELECT rule, members::text FROM segment_scan((pg_temp.rules())[1:1], 'SELECT * FROM public.t_profile WHERE false', 'id')$$,
    $$VALUES (1, '{}')$$, 'nobody in an empty source');
SELECT is((SELECT count(*) FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'id') a, segment_scan(pg_temp.rules(), 'public.t_profile', 'spread') b
           WHERE a.rule = b.rule AND audience_count(a.members) = audience_count(b.members)), (SELECT count(*) FROM t_rule), 'two scans in one query');

-- So many rules that their bits fill a block, and so many values that a
-- column has codes of two bytes, and more than one set of them.
CREATE TEMP TABLE t_wide AS
SELECT n AS rule, format('{"logic":"OR","rules":[{"field":"huge","operator":"BETWEEN","value":[%s,%s]},{"field":"shuffled","operator":"IN","value":[%s]}]}',
        -900000000000000 + n * 1000000000::bigint, n * 1000000000::bigint, (SELECT string_agg((n * 37 + 2 * k)::text, ',') FROM generate_series(1, 50) AS k))::segment_rule AS json,
    format('huge BETWEEN %s AND %s OR shuffled = ANY (''{%s}'')', -900000000000000 + n * 1000000000::bigint, n * 1000000000::bigint,
        (SELECT string_agg((n * 37 + 2 * k)::text, ',') FROM generate_series(1, 50) AS k)) AS condition
FROM generate_series(1, 2000) AS n;
SELECT is_empty($$
    SELECT s.rule, audience_count(s.members) FROM segment_scan((SELECT array_agg(json ORDER BY rule) FROM t_wide), 'public.t_profile', 'id') s
    JOIN t_wide w USING (rule)
    WHERE s.rule % 100 = 0 AND audience_count(s.members) <>
        (SELECT count(*) FROM public.t_profile p WHERE p.huge BETWEEN -900000000000000 + s.rule * 1000000000::bigint AND s.rule * 1000000000::bigint
            OR p.shuffled % 2 = (s.rule * 37) % 2 AND p.shuffled BETWEEN s.rule * 37 + 2 AND s.rule * 37 + 100)$$, 'two thousand rules with 104,000 values');
SELECT is_empty($$
    WITH r AS (SELECT array_agg(format('{"field":"nick","operator":"IN","value":["n%s","x%s"]}', n, n)::segment_rule ORDER BY n) AS rules FROM generate_series(0, 999) AS n)
    SELECT s.rule FROM r, segment_scan(r.rules, 'public.t_profile', 'id') s
    LEFT JOIN (SELECT nick, count(*) AS n FROM public.t_profile GROUP BY nick) c ON c.nick = 'n' || (s.rule - 1)
    WHERE audience_count(s.members) <> coalesce(c.n, 0)$$, 'a thousand texts');
SELECT is_empty($$
    SELECT s.rule FROM segment_scan((SELECT array_agg(r.json ORDER BY n, r.rule) FROM t_rule r, generate_series(1, 350) AS n), 'public.t_profile', 'id', '2026-06-01 12:00Z') s
    JOIN t_wanted w ON w.key = 'id' AND w.rule = 1 + (s.rule - 1) % (SELECT count(*)::integer FROM t_rule) WHERE s.members <> w.members$$,
    'so many rules that few rows make a block');
-- Constants whose keys at one scale are no 64-bit integers.
SELECT is_empty($$
    WITH r AS (SELECT ARRAY['{"field":"amount","operator":">","value":0.000000001}', '{"field":"amount","operator":"<=","value":999999999999999}',
        '{"field":"amount","operator":"=","value":0}', '{"field":"amount","operator":"BETWEEN","value":[-10.5,10.123456789]}',
        '{"field":"amount","operator":"!=","value":-0.000000001}']::segment_rule[] AS rules), c AS (SELECT ARRAY[
        count(*) FILTER (WHERE amount > 0.000000001), count(*) FILTER (WHERE amount <= 999999999999999), count(*) FILTER (WHERE amount = 0),
        count(*) FILTER (WHERE amount BETWEEN -10.5 AND 10.123456789), count(*) FILTER (WHERE amount <> -0.000000001)] AS n FROM public.t_profile)
    SELECT s.rule, audience_count(s.members), c.n FROM r, c, segment_scan(r.rules, 'public.t_profile', 'id') s WHERE audience_count(s.members) <> c.n[s.rule]$$,
    'numbers that differ much in size');

-- One record ------------------------------------------------------------------

SELECT is_empty($$
    SELECT s.rule FROM pg_temp.scanned('id') s, LATERAL (SELECT coalesce(audience_agg(p.id) FILTER (WHERE s.rule = ANY (m.rules)), '{}') AS members
        FROM (SELECT p.id, segment_matches(pg_temp.rules(), p, '2026-06-01 12:00Z') AS rules FROM public.t_profile p WHERE p.id <= 3000) m(id, rules)
        JOIN public.t_profile p USING (id)) m
    WHERE m.members <> (s.members & (SELECT audience_agg(i) FROM generate_series(1, 3000) AS i))$$, 'segment_matches() says the same');
CREATE FUNCTION pg_temp.match_wrong() RETURNS TABLE (rule integer, n bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE (SELECT string_agg(format('SELECT %s, count(*) FROM public.t_profile p
        WHERE id <= 2000 AND segment_match(%L, p, ''2026-06-01 12:00Z'') IS DISTINCT FROM (%s) HAVING count(*) > 0', r.rule, r.json, r.condition), ' UNION ALL ')
        FROM t_rule r WHERE r.condition <> 'false' AND r.condition !~ 'IS NOT NULL');
END $$;
SELECT is_empty('SELECT * FROM pg_temp.match_wrong()', 'so does segment_match(), and tells false from unknown');
SELECT is((SELECT array_agg(segment_match('{"field":"age","operator":"=","value":17.5}', v) ORDER BY v.age) FROM (VALUES (17), (NULL)) AS v(age)), '{f,NULL}',
    'a number that cannot be is false, but unknown of NULL');
SELECT is((SELECT array_agg(segment_match(r.rule, p) ORDER BY p.id, r.n) FROM public.t_profile p,
        (VALUES (1, '{"field":"id","operator":"<","value":3}'::segment_rule), (2, '{"field":"id","operator":">","value":2}')) AS r(n, rule) WHERE p.id <= 3),
    '{t,f,t,f,f,t}', 'rules that change from row to row');
SELECT is((SELECT array_agg(segment_match('{"field":"seen","within":"1 day"}', v, v.seen + v.after) ORDER BY v.after)
           FROM (VALUES (timestamptz '2026-01-01Z', interval '0'), ('2026-02-01Z', '23 hours'), ('2026-03-01Z', '24 hours')) AS v(seen, after)),
    '{t,t,f}', 'moments that change from row to row');
SELECT is((SELECT array_agg(segment_match('{"field":"seen","operator":"=","value":"2026-01-01"}', v, now(), v.zone) ORDER BY v.zone COLLATE "C")
           FROM (VALUES (timestamptz '2026-01-01 03:00Z', 'America/New_York'), ('2026-01-01 03:00Z', 'UTC'), ('2026-01-01 03:00Z', 'america/new_york')) AS v(seen, zone)),
    '{f,t,f}', 'zones too');
SELECT is(segment_matches('{}', ROW(1)), '{}', 'no rules, no matches');
SELECT is(segment_matches(NULL, ROW(1)), NULL, 'unknown rules');
SELECT is(segment_matches(ARRAY['{"field":"f2","operator":"=","value":"x"}', '{"field":"f1","operator":"<","value":0}',
    '{"field":"F1","operator":"IS NOT NULL"}']::segment_rule[], ROW(1, 'x'::text)), '{1,3}', 'a record without a type of its own');
CREATE FUNCTION pg_temp.by_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    p public.t_profile;
    any_type record;
    rule segment_rule;
    found text := '';
BEGIN
    FOR i IN 1 .. 4 LOOP
        rule := format('{"field":"age","operator":">=","value":%s}', 10 * i);
        p.age := 25;
        found := found || segment_match(rule, p);
        SELECT 25 AS x, (10 * i)::numeric AS age INTO any_type;
        found := found || segment_match(rule, any_type);
    END LOOP;
    RETURN found;
END $$;
SELECT is(pg_temp.by_loop(), 'truetruetruetruefalsetruefalsetrue', 'variables of a function, of changing types');
CREATE TABLE public.t_changes (a integer);
INSERT INTO public.t_changes VALUES (1);
CREATE FUNCTION pg_temp.match_changes() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT segment_match('{"field":"b","operator":"=","value":2}', t) FROM public.t_changes t);
END $$;
SELECT throws_ok('SELECT pg_temp.match_changes()', '42703', 'the record has no column "b"', 'a column is missing');
ALTER TABLE public.t_changes ADD COLUMN b integer DEFAULT 2;
SELECT ok(pg_temp.match_changes(), 'until it is added');
ALTER TABLE public.t_changes DROP COLUMN b;
ALTER TABLE public.t_changes ADD COLUMN b text DEFAULT 'x';
SELECT throws_ok('SELECT pg_temp.match_changes()', '42804', 'value "2" does not fit "b" of type text', 'and of another type then');

-- What is due -------------------------------------------------------------------

CREATE TABLE public.t_due (customer_id bigint, moment timestamptz, local timestamp, day date);
INSERT INTO public.t_due
SELECT n, CASE WHEN n % 50 = 0 THEN NULL WHEN n % 51 = 0 THEN 'infinity' WHEN n % 52 = 0 THEN '-infinity' WHEN n % 53 = 0 THEN '294276-12-31Z'
            WHEN n % 54 = 0 THEN '4713-12-01Z BC' ELSE t.at END,
    CASE WHEN n % 49 = 0 THEN 'infinity' WHEN n % 48 = 0 THEN '294276-12-31' ELSE date_trunc(t.unit, t.at AT TIME ZONE 'UTC') END,
    CASE WHEN n % 47 = 0 THEN '-infinity' WHEN n % 46 = 0 THEN '5874897-12-31' ELSE t.at::date END
FROM (SELECT n, date_trunc(u.unit, timestamptz '2026-03-01Z' + (random() - 0.5) * 3 * u.reach) + (n % 3 - 1) * interval '1 microsecond' AS at, u.unit
      FROM generate_series(1, 4000) AS n, LATERAL (SELECT (ARRAY['day', 'hour', 'minute'])[1 + n % 3] AS unit,
          (ARRAY['3 days', '40 days', '2 years', '20 years'])[1 + n % 4]::interval AS reach) u) t
UNION ALL
-- The ends of months and the turns of the clock.
SELECT 10000 + row_number() OVER (), t AT TIME ZONE 'America/New_York', t, t::date
FROM unnest('{2026-01-28 12:00,2026-01-29 12:00,2026-01-30 12:00,2026-01-31 00:00,2026-01-31 12:00,2026-02-28 12:00,2026-03-31 12:00,2025-11-02 01:30,2025-11-02 02:30,
    2026-03-08 01:59:59,2026-03-08 02:30,2026-03-08 03:00,2024-02-29 00:00,2024-02-29 12:00,2025-02-28 23:59:59.999999,2025-03-01 00:00,
    2011-12-29 12:00,2011-12-29 23:30,2011-12-30 00:00,2011-12-30 12:00,2011-12-31 00:00,2011-12-31 00:30,2011-12-31 12:00}'::timestamp[]) AS t;
CREATE FUNCTION pg_temp.due_rules() RETURNS segment_rule[] LANGUAGE sql AS $$
    SELECT array_agg(replace(c.condition, '*', f.field)::segment_rule ORDER BY f.field, c.condition)
    FROM (VALUES ('moment'), ('local'), ('day')) AS f(field), unnest(ARRAY[
        '{"field":"*","within":"0 days"}', '{"field":"*","within":"1 day"}', '{"field":"*","within":"30 days"}', '{"field":"*","within":"1 month"}',
        '{"field":"*","before":"0 days"}', '{"field":"*","before":"36 hours"}', '{"field":"*","before":"18 years"}', '{"field":"*","before":"1 month"}',
        '{"field":"*","next":"1 day"}', '{"field":"*","next":"2 weeks"}', '{"field":"*","next":"1 month"}', '{"field":"*","next":"13 months"}',
        '{"field":"*","operator":"=","value":"5 days"}', '{"field":"*","operator":"IN","value":["1 month","7 months","3 weeks"]}',
        '{"field":"*","operator":"BETWEEN","value":["10 days","20 days"]}', '{"field":"*","operator":">","value":"1 year"}',
        '{"field":"*","operator":"<=","value":"2 years"}', '{"field":"*","operator":"MONTH","value":"this"}', '{"field":"*","operator":"MONTH","value":"last"}',
        '{"field":"*","operator":"MONTH","value":"next"}', '{"field":"*","operator":"MONTH","value":[2,3]}', '{"field":"*","operator":"ANNIVERSARY","value":"0 days"}',
        '{"field":"*","operator":"ANNIVERSARY","value":"10 days"}', '{"field":"*","operator":"ANNIVERSARY","value":"365 days"}',
        '{"logic":"NOT","rules":[{"logic":"AND","rules":[{"field":"*","next":"3 hours"},{"field":"*","operator":"IS NOT NULL"}]}]}',
        '{"field":"*","operator":"<","value":"2026-03-01"}']) AS c(condition)
$$;
-- Whose answers change between two moments, but not on a day on which they are
-- due. Each rule is asked on its own, so that the next turn of another one
-- does not hide a mistake; all of them together, as well.
CREATE FUNCTION pg_temp.late(at timestamptz, later interval[], zone text, rules segment_rule[]) RETURNS TABLE (rule integer, reached timestamptz, id bigint) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE t_first ON COMMIT DROP AS SELECT * FROM segment_scan(rules, 'public.t_due', as_of => at, zone => late.zone, due => true);
    FOREACH reached IN ARRAY (SELECT array_agg(at + l) FROM unnest(later) AS l) LOOP
        RETURN QUERY SELECT s.rule, late.reached, i
            FROM segment_scan(rules, 'public.t_due', as_of => reached, zone => late.zone) s JOIN t_first f USING (rule),
                audience_ids((s.members # f.members) - coalesce((SELECT audience_merge(d.members) FROM t_first d
                    WHERE d.due_at <= late.reached), '{}')) AS i LIMIT 10;
    END LOOP;
    DROP TABLE t_first;
END $$;
CREATE TEMP TABLE t_moments AS
SELECT m.at, z.zone FROM unnest('{2026-03-01 00:00Z,2026-01-31 12:00Z,2026-03-08 06:30Z,2025-11-02 05:45Z,2024-02-28 23:59:59.999999Z,2026-12-31 20:00Z}'::timestamptz[]) AS m(at),
    (VALUES ('UTC'), ('America/New_York'), ('Asia/Kathmandu')) AS z(zone)
-- A day that Samoa left out.
UNION ALL VALUES (timestamptz '2011-12-28 12:00Z', 'Pacific/Apia'), ('2011-12-29 12:00Z', 'Pacific/Apia'), ('2011-12-30 09:30Z', 'Pacific/Apia');
SELECT is_empty(format($$SELECT m.at, m.zone, (pg_temp.due_rules())[r.n], l.* FROM t_moments m, generate_series(1, cardinality(pg_temp.due_rules())) AS r(n),
        pg_temp.late(m.at, '{1 microsecond,1 hour,1 day,29 days 12 hours,40 days,366 days,3 years}', m.zone, ARRAY[(pg_temp.due_rules())[r.n]]) AS l
        WHERE (r.n + extract(day FROM m.at)::integer) %% 4 = 0$$), 'no answer changes before it is due');
SELECT is_empty($$SELECT m.at, m.zone, l.* FROM t_moments m,
        pg_temp.late(m.at, '{1 microsecond,10 minutes,5 hours,1 day,2 days,3 days 1 hour,35 days,366 days,367 days,5 years}', m.zone, pg_temp.due_rules()) AS l$$,
    'nor does one of many');
SELECT is((SELECT string_agg(to_char(d.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI ') || d.members, '; ' ORDER BY d.due_at) FROM segment_scan('{"{\"field\":\"t\",\"within\":\"30 days\"}"}',
        $$SELECT * FROM (VALUES (1, timestamptz '2026-06-10 12:00Z'), (2, '2026-05-20 23:59Z'), (3, '2026-01-01Z'), (4, NULL), (5, 'infinity'), (6, '2026-05-21Z'),
          (7, '2029-01-01Z')) AS v(customer_id, t)$$, as_of => '2026-06-01Z', due => true) d WHERE d.rule IS NULL),
    '2026-06-10 00:00 {1}; 2026-06-19 00:00 {2}; 2026-06-20 00:00 {6}; 2027-06-02 00:00 {7}', 'who is due, at the latest in a year');
SELECT is((SELECT string_agg(to_char(d.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI ') || d.members, '; ' ORDER BY d.due_at) FROM segment_scan('{"{\"field\":\"t\",\"within\":\"30 days\"}"}',
        $$SELECT v.* FROM (VALUES (1, timestamptz '2026-06-10Z', timestamptz '2026-06-05Z'), (2, '2026-05-03Z', '2026-06-05Z'), (3, NULL, '2026-06-05Z'), (4, NULL, NULL),
          (5, NULL, 'infinity'), (6, '2026-05-03Z', '2026-06-01Z'), (7, NULL, '2020-01-01Z'), (8, NULL, '-infinity')) AS v(customer_id, t, due_at)$$,
        as_of => '2026-06-01Z', due => true) d WHERE d.rule IS NULL), '2026-06-01 00:00 {6-8}; 2026-06-02 00:00 {2}; 2026-06-05 00:00 {1,3}', 'the source may know of more');
SELECT is((SELECT string_agg(to_char(d.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI ') || d.members, '; ' ORDER BY d.due_at) FROM segment_scan('{}',
        $$SELECT * FROM (VALUES (1, timestamptz '2026-06-01 20:59:59.999999Z'), (2, '2026-06-01 21:00Z'), (3, '2026-06-01 10:00Z'), (4, '2026-06-01 23:59Z'), (5, '2026-06-02Z'),
          (6, '2026-06-01 13:20Z')) AS v(customer_id, due_at)$$, as_of => '2026-06-01 13:16Z', due => true) d),
    '2026-06-01 13:15 {3,6}; 2026-06-01 20:45 {1}; 2026-06-01 21:00 {2}; 2026-06-01 23:45 {4}; 2026-06-02 00:00 {5}', 'on the day of the question by quarters of an hour');

-- Errors ------------------------------------------------------------------------

-- Texts of all lengths, of few letters, so that much of a pattern is often there.
CREATE TABLE public.t_text AS SELECT n AS customer_id, array_to_string(ARRAY(SELECT chr(97 + floor(random() * 2 + n * 0)::integer) FROM generate_series(1, n % 130)), '') AS t
    FROM generate_series(1, 1300) n;
CREATE TABLE public.t_pattern AS SELECT row_number() OVER (ORDER BY p) AS n, p
    FROM (SELECT DISTINCT substr(x.t, 1 + (x.customer_id * 7 + len) % (130 - len), len) AS p
          FROM generate_series(1, 100) AS len, public.t_text AS x WHERE x.customer_id % 130 = 129 AND (len < 20 OR x.customer_id < 500)) AS q WHERE p <> '';
CREATE FUNCTION pg_temp.text_wrong(operator text, plain text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT p.p FROM segment_scan((SELECT array_agg(jsonb_build_object(''field'', ''t'', ''operator'', %L, ''value'', p)::segment_rule ORDER BY n) FROM t_pattern),
        ''public.t_text'') s JOIN t_pattern p ON p.n = s.rule
        WHERE s.members IS DISTINCT FROM (SELECT audience_agg(x.customer_id) FILTER (WHERE %s) FROM t_text x) AND (audience_count(s.members) > 0 OR EXISTS (SELECT FROM t_text x WHERE %2$s))', operator, plain);
END $$;
SELECT cmp_ok((SELECT count(*) FROM t_pattern), '>', 300::bigint, 'many patterns');
SELECT is_empty($$SELECT pg_temp.text_wrong('CONTAINS', 'strpos(x.t, p.p) > 0')$$, 'patterns of all lengths in texts of all lengths');
SELECT is_empty($$SELECT pg_temp.text_wrong('STARTS WITH', 'starts_with(x.t, p.p)')$$, 'starts of all lengths');
SELECT is_empty($$SELECT pg_temp.text_wrong('=', 'x.t = p.p')$$, 'texts of all lengths');

-- What is made of rules outlives a query, but not a change of the types.
CREATE TABLE public.t_kept (mood t_mood, n integer);
INSERT INTO public.t_kept VALUES ('happy', 1);
CREATE FUNCTION pg_temp.kept() RETURNS boolean LANGUAGE plpgsql AS
$$BEGIN RETURN (SELECT segment_match('{"logic":"AND","rules":[{"field":"mood","operator":"CONTAINS","value":"py"},{"field":"n","operator":"=","value":1}]}', k) FROM public.t_kept k); END$$;
SELECT is(pg_temp.kept() AND pg_temp.kept(), true, 'the same rule again');
ALTER TYPE public.t_mood RENAME VALUE 'happy' TO 'merry';
SELECT is(pg_temp.kept(), false, 'with another label');
ALTER TYPE public.t_mood RENAME VALUE 'merry' TO 'happy';
ALTER TABLE public.t_kept ALTER n TYPE numeric USING 1.5;
SELECT is(pg_temp.kept(), false, 'with another type of column');

SELECT throws_ok($$SELECT * FROM segment_scan(pg_temp.rules(), 'public.t_profile')$$, '42703', 'column "customer_id" of the source does not exist', 'no column of ids');
SELECT throws_ok($$SELECT * FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'country')$$, '42804', 'column "country" of the source is of type text', 'ids that are no numbers');
SELECT throws_ok($$SELECT * FROM segment_scan((pg_temp.rules())[1:1], 'SELECT -1 AS customer_id, 5 AS age')$$, '22003', NULL, 'an id below 0');
SELECT throws_ok($$SELECT * FROM segment_scan(NULL, 'public.t_profile', 'id')$$, '22004', 'rules must not be NULL', 'no rules');
SELECT throws_ok($$SELECT * FROM segment_scan(ARRAY[NULL]::segment_rule[], 'public.t_profile', 'id')$$, '22004', 'rule 1 is NULL', 'a rule that is NULL');
SELECT throws_ok($$SELECT * FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'id', 'infinity')$$, '22023', 'as_of is "infinity"', 'no moment');
SELECT throws_ok($$SELECT * FROM segment_scan(pg_temp.rules(), 'public.t_profile', 'id', now(), 'Moon')$$, '22023', 'time zone "Moon" does not exist', 'no zone');
SELECT throws_ok($$SELECT * FROM segment_scan((pg_temp.rules())[1:1], 'SELECT 1 AS customer_id, 2 AS age, 3 AS due_at', due => true)$$, '42804',
    'column "due_at" of the source is of type integer', 'a due_at that is no time');
SELECT throws_ok($$SELECT segment_match('{"field":"Age","operator":"=","value":1}', v) FROM (VALUES (1, 2)) AS v(age, "AGE")$$, '42702',
    'the record has several columns "Age"', 'a name in two cases');

SELECT * FROM finish();
ROLLBACK;
