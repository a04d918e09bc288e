-- One customer at once, with 500 segments: in which of them a customer is, a
-- booking that real-time segments follow, and an estimate while somebody is
-- typing; on the demo airline, as of now. ours and sql are milliseconds a call,
-- rows/s is calls. Each side has been called before, so that it has what it
-- keeps for a session; the best run counts. Data are committed and vacuumed, in
-- a database of their own, since rows of one's own transaction read slower.
-- Variable: rows (bookings; a tenth as many customers).
SET client_min_messages = warning;
DROP DATABASE IF EXISTS iaros_bench_live WITH (FORCE);
CREATE DATABASE iaros_bench_live TEMPLATE template0;
\connect iaros_bench_live
\ir lib/bench.sql
SET client_min_messages = warning;
CREATE EXTENSION iaros;
CALL iaros.install();
SELECT iaros.demo_generate(:rows / 10, 42, current_date) \g /dev/null
ANALYZE;
-- Five kinds of rules in turn; of each kind one in ten follows at once.
SELECT iaros.segment_create('List ' || i) FROM generate_series(1, 5) AS i \g /dev/null
SELECT iaros.segment_member_add('List ' || i, ARRAY(SELECT c.customer_id FROM iaros.customer c WHERE c.customer_id % 10 = i), now()) FROM generate_series(1, 5) AS i \g /dev/null
SELECT iaros.segment_create(format('Live %s', i), (CASE i % 5
    WHEN 0 THEN format('{"logic": "AND", "rules": [{"field": "customer.totalSpend", "operator": "BETWEEN", "value": [%s, %s]}, {"field": "booking.cabinClass", "operator": "IN", "value": ["economy", "business"]}]}', i * 10, i * 25)
    WHEN 1 THEN format('{"logic": "OR", "rules": [{"field": "booking.daysSinceLast", "operator": "<", "value": %s}, {"event": "search", "at_least": %s, "within": "30 days"}]}', i, 1 + i % 9)
    WHEN 2 THEN format('{"logic": "NOT", "rules": [{"logic": "OR", "rules": [{"field": "customer.age", "operator": ">=", "value": %s}, {"field": "booking.partySize", "operator": ">", "value": 2}]}]}', 18 + i % 60)
    WHEN 3 THEN format('{"logic": "AND", "rules": [{"segment": "Repeat Customers"}, {"field": "customer.city", "operator": "STARTS WITH", "value": "%s"}]}', chr((97 + i % 26)::integer))
    ELSE format('{"field": "customer.annualSpend", "operator": "TOP", "value": %s}', 1 + i % 90) END)::iaros.segment_rule, realtime => i / 5 % 10 = 0)
FROM generate_series(1, 500 - (SELECT count(*) FROM iaros.segment)) AS i \g /dev/null
SELECT iaros.segment_refresh(now() - interval '1 minute') \g /dev/null
VACUUM ANALYZE;

BEGIN;
CREATE TEMP TABLE rule AS
SELECT c.segment_id, c.rule, s.realtime FROM iaros.segment_compile() c JOIN iaros.segment s USING (segment_id);
-- The customers that are asked for, and those who book, in runs of 200.
CREATE TEMP TABLE asked AS SELECT p.customer_id FROM iaros.profile_stored p ORDER BY hashint8extended(p.customer_id, 1) LIMIT 200;
CREATE TEMP TABLE booker AS
SELECT s.customer_id, s.n, s.n / 200 AS run
FROM (SELECT p.customer_id, row_number() OVER (ORDER BY hashint8extended(p.customer_id, 2)) - 1 AS n FROM iaros.profile_stored p) s WHERE s.n < 3600;
ANALYZE asked, booker;

-- The facts of one person as a query over variables until, person, persons.
CREATE FUNCTION pg_temp.facts(realtime boolean) RETURNS text LANGUAGE sql AS $$
    SELECT iaros.segment_source_text(array_agg(r.rule), 'until', 'ARRAY[person]', 'persons') FROM rule r WHERE r.realtime OR NOT facts.realtime $$;
-- The segments that hold for facts s as an array, conditions written out.
CREATE FUNCTION pg_temp.conditions(realtime boolean) RETURNS text LANGUAGE sql AS $$
    SELECT format('array_remove(ARRAY[%s]::bigint[], NULL)', string_agg(format('CASE WHEN %s THEN %s END',
        iaros.segment_rule_sql(r.rule, q.source, now(), iaros.setting_get('brand_time_zone')), r.segment_id), E',\n' ORDER BY r.segment_id))
    FROM rule r, (SELECT iaros.segment_source_sql(array_agg(x.rule), now()) AS source FROM rule x) q
    WHERE r.realtime OR NOT conditions.realtime $$;
-- The same in plain SQL, in functions that keep their plans.
CREATE FUNCTION pg_temp.function(name text, result text, body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE FUNCTION pg_temp.%s(person bigint, until timestamptz DEFAULT now()) RETURNS %s LANGUAGE plpgsql
        SET plan_cache_mode = force_generic_plan AS %L', name, result, format(E'#variable_conflict use_column\nDECLARE
        persons bigint[] := person || ARRAY(SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = person);\nBEGIN\n%s;\nEND', body));
END $$;
SELECT format('(SELECT %s FROM (%s OFFSET 0) s)', pg_temp.conditions(false), pg_temp.facts(false)) AS held,
    format('(SELECT %s FROM (%s OFFSET 0) s)', pg_temp.conditions(true), pg_temp.facts(true)) AS held_realtime \gset
SELECT format($$SELECT s.segment_id, s.name, s.kind, e.at AS since, f.confidence, s.suggested_action
    FROM (SELECT unnest(%s) AS segment_id
        UNION SELECT u.id FROM iaros.segment_membership m, unnest(m.segment_ids) AS u(id)
        JOIN iaros.segment x ON x.segment_id = u.id AND x.kind = 'static' WHERE m.customer_id = ANY (persons)) i
    JOIN iaros.segment s USING (segment_id)
    LEFT JOIN (SELECT e.segment_id, max(e.at) AS at FROM iaros.segment_event e
        WHERE e.customer_id = ANY (persons) AND e.entered AND e.at <= until GROUP BY 1) e USING (segment_id)
    LEFT JOIN (SELECT f.segment_id, max(f.confidence) AS confidence FROM iaros.segment_confidence f
        WHERE f.customer_id = ANY (persons) GROUP BY 1) f USING (segment_id)
    ORDER BY 1$$, :'held') AS segments \gset
\set columns 'TABLE (segment_id bigint, name text, kind iaros.segment_kind, since timestamptz, confidence float8, suggested_action text)'
SELECT pg_temp.function('plain_segments', :'columns', 'RETURN QUERY ' || :'segments'),
    pg_temp.function('typed_segments', :'columns', format('RETURN QUERY EXECUTE %L USING person, persons, until',
        regexp_replace(regexp_replace(regexp_replace(:'segments', '\mpersons\M', '$2', 'g'), '\mperson\M', '$1', 'g'), '\muntil\M', '$3', 'g'))),
    pg_temp.function('plain_held', 'bigint[]', format('RETURN %s', :'held')),
    pg_temp.function('plain_held_realtime', 'bigint[]', format('RETURN %s', :'held_realtime')),
    pg_temp.function('plain_facts', 'boolean', format('RETURN (SELECT s IS NULL FROM (%s OFFSET 0) s)', pg_temp.facts(false))),
    -- What a real-time segment does, after the booking.
    pg_temp.function('plain_apply', 'void', format($$
        PERFORM FROM iaros.segment_membership m WHERE m.customer_id = person FOR UPDATE;
        WITH target AS MATERIALIZED (
            SELECT m.customer_id, m.segment_ids AS before_ids,
                ARRAY(SELECT u.id FROM unnest(m.segment_ids) AS u(id) WHERE u.id <> ALL (%L::bigint[]) UNION ALL SELECT unnest(%s) ORDER BY 1) AS after_ids
            FROM iaros.segment_membership m WHERE m.customer_id = person),
        written AS (
            UPDATE iaros.segment_membership m SET segment_ids = t.after_ids, updated_at = now()
            FROM target t WHERE m.customer_id = t.customer_id AND t.after_ids <> t.before_ids RETURNING m.customer_id),
        logged AS (INSERT INTO iaros.segment_change (customer_id, moved) SELECT w.customer_id, true FROM written w)
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered, reason)
        SELECT t.customer_id, until, i.id, i.entered IS NOT NULL, 'data'
        FROM target t CROSS JOIN LATERAL (
            SELECT a.id AS entered, coalesce(a.id, b.id) AS id FROM unnest(t.after_ids) AS a(id) FULL JOIN unnest(t.before_ids) AS b(id) ON b.id = a.id
            WHERE a.id IS NULL OR b.id IS NULL) i$$,
        (SELECT array_agg(r.segment_id) FROM rule r WHERE r.realtime), :'held_realtime')) \g /dev/null

-- As pg_temp.bench(), in milliseconds a call.
CREATE FUNCTION pg_temp.bench_calls(name text, ours text, plain text, calls bigint, plain_runs integer DEFAULT 5) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ours_ms float8;
    plain_ms float8;
BEGIN
    PERFORM pg_temp.bench_same(name, ours, plain);
    FOR i IN 1 .. 5 LOOP
        ours_ms := least(ours_ms, pg_temp.bench_ms(ours) / calls);
        IF i <= plain_runs THEN
            plain_ms := least(plain_ms, pg_temp.bench_ms(plain) / calls);
        END IF;
    END LOOP;
    RETURN pg_temp.bench_line(name, ours_ms, plain_ms);
END $$;
CREATE FUNCTION pg_temp.bench_line(name text, ours_ms float8, plain_ms float8) RETURNS text LANGUAGE sql AS $$
    SELECT format('bench|%s|%s|%s|%s|%s', name, round(ours_ms::numeric, 4), round(plain_ms::numeric, 4), round((plain_ms / ours_ms)::numeric, 2), round((1000 / ours_ms)::numeric)) $$;

SELECT format('%s segments, %s of them static, %s real-time, %s facts; %s persons', count(*), count(*) FILTER (WHERE s.kind = 'static'),
    count(*) FILTER (WHERE s.realtime), (SELECT count(DISTINCT f.fact) FROM rule r, iaros.segment_rule_facts(r.rule) f),
    (SELECT count(*) FROM iaros.profile_stored)) FROM iaros.segment s WHERE s.enabled;
SELECT pg_temp.bench_calls('customer_segments; the conditions, planned once',
    'SELECT a.customer_id, s.* FROM asked a, iaros.customer_segments(a.customer_id) s',
    'SELECT a.customer_id, s.* FROM asked a, pg_temp.plain_segments(a.customer_id) s', 200);
SELECT pg_temp.bench_calls('customer_segments; the conditions, planned by each call',
    'SELECT a.customer_id, s.* FROM asked a, iaros.customer_segments(a.customer_id) s',
    'SELECT a.customer_id, s.* FROM asked a, pg_temp.typed_segments(a.customer_id) s', 200, 2);
SELECT pg_temp.bench_calls('facts and rules; the conditions, planned once',
    'SELECT a.customer_id, l.held FROM asked a, iaros.segment_live(ARRAY[a.customer_id], now(), false, 0) l',
    'SELECT a.customer_id, pg_temp.plain_held(a.customer_id) AS held FROM asked a', 200);
-- Ours beside its own query of the facts, which knows no rule.
SELECT pg_temp.bench_calls('facts and rules; the facts only',
    'SELECT a.customer_id, l.held IS NULL AS n FROM asked a, iaros.segment_live(ARRAY[a.customer_id], now(), false, 0) l',
    'SELECT a.customer_id, pg_temp.plain_facts(a.customer_id) AS n FROM asked a', 200);
SELECT iaros.segment_source_sql(array_agg(r.rule), now()) AS source FROM rule r \gset
CREATE TEMP TABLE facts AS :source;
ANALYZE facts;
SELECT pg_temp.bench_calls('rules only, on facts at hand; the conditions',
    $$SELECT f.customer_id, cardinality(iaros.segment_matches((SELECT array_agg(r.rule) FROM rule r), f, now(), iaros.setting_get('brand_time_zone'))) AS n FROM facts f$$,
    format('SELECT s.customer_id, cardinality(%s) AS n FROM facts s', pg_temp.conditions(false)), (SELECT count(*) FROM facts));

-- Every eighth of the rules about fields, each estimated and counted.
CREATE TEMP TABLE draft AS
SELECT s.segment_id, s.rule, row_number() OVER (ORDER BY s.segment_id) AS n FROM iaros.segment s JOIN rule r USING (segment_id)
WHERE NOT EXISTS (SELECT FROM iaros.segment_rule_facts(r.rule) f WHERE f.kind <> 'field');
DELETE FROM draft WHERE n % 8 > 0;
CREATE TEMP TABLE typed (segment_id bigint, ours_ms float8, plain_ms float8, customers bigint, at_least bigint, at_most bigint, counted bigint);
DO $$
DECLARE
    d record;
    e record;
    started timestamptz;
    counted timestamptz;
    n bigint;
    source text;
BEGIN
    FOR i IN 0 .. 5 LOOP
        FOR d IN SELECT x.segment_id, x.rule, r.rule AS resolved FROM draft x JOIN rule r USING (segment_id) ORDER BY 1 LOOP
            source := iaros.segment_source_sql(ARRAY[d.resolved], now());
            source := format('SELECT count(*) FROM (%s) s WHERE %s', source, iaros.segment_rule_sql(d.resolved, source, now(), iaros.setting_get('brand_time_zone')));
            started := clock_timestamp();
            SELECT * INTO e FROM iaros.audience_estimate(d.rule);
            counted := clock_timestamp();
            EXECUTE source INTO n;
            INSERT INTO typed SELECT d.segment_id, extract(epoch FROM counted - started) * 1000, extract(epoch FROM clock_timestamp() - counted) * 1000,
                e.customers, e.at_least, e.at_most, n WHERE i > 0;
        END LOOP;
    END LOOP;
END $$;
CREATE TEMP TABLE best AS
SELECT t.segment_id, min(t.ours_ms) AS ours_ms, min(t.plain_ms) AS plain_ms, bool_and(t.counted BETWEEN t.at_least AND t.at_most) AS within,
    max(abs(t.customers - t.counted)) AS off FROM typed t GROUP BY 1;
SELECT pg_temp.bench_line('audience_estimate; count(*) of all', avg(ours_ms), avg(plain_ms)) FROM best;
SELECT format('audience_estimate: %s rules, %s to %s ms, median %s, against %s to %s; %s with the number counted within the bounds, off by at most %s %% of all',
    count(*), round(min(ours_ms)::numeric, 2), round(max(ours_ms)::numeric, 2), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ours_ms)::numeric, 2),
    round(min(plain_ms)::numeric, 2), round(max(plain_ms)::numeric, 2), count(*) FILTER (WHERE within),
    round(100.0 * max(off) / (SELECT count(*) FROM iaros.profile_stored), 1)) FROM best;
DO $$
BEGIN
    IF (SELECT count(*) FILTER (WHERE within) < 0.8 * count(*) FROM best) THEN
        RAISE EXCEPTION 'too many of the numbers counted are beyond the bounds of their estimates';
    END IF;
END $$;

-- The same bookings, with and without real-time segments, and with plain_apply()
-- in their place. Each run books for other customers, 200 times. Time is that
-- of the statements, without commit; one call before it warms up.
CREATE TEMP TABLE booked (what text, person bigint, ms float8);
CREATE FUNCTION pg_temp.book(what text, run integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b record;
    started timestamptz;
BEGIN
    UPDATE iaros.segment s SET realtime = book.what = 'real-time' WHERE s.segment_id IN (SELECT r.segment_id FROM rule r WHERE r.realtime)
        AND s.realtime <> (book.what = 'real-time');
    FOR b IN SELECT x.customer_id, x.n % 200 > 0 AS counts FROM booker x WHERE x.run = book.run ORDER BY x.n LOOP
        started := clock_timestamp();
        PERFORM iaros.booking_record(b.customer_id, 1234, 'USD', now() - interval '1 hour', 'JFK', 'LHR', 'business');
        IF what = 'plain' THEN
            PERFORM pg_temp.plain_apply(b.customer_id);
        END IF;
        INSERT INTO booked SELECT book.what, b.customer_id, extract(epoch FROM clock_timestamp() - started) * 1000 WHERE b.counts;
    END LOOP;
END $$;
SELECT pg_temp.book(w.what, i * 3 + w.n) FROM generate_series(0, 5) AS i, (VALUES (0, 'without'), (1, 'plain'), (2, 'real-time')) AS w(n, what)
ORDER BY i, w.n \g /dev/null
-- Each person is in the real-time segments whose conditions hold.
SELECT pg_temp.bench_same('booking, ' || w.what, format($$
    SELECT b.person, ARRAY(SELECT u.id FROM unnest(m.segment_ids) AS u(id) JOIN rule r ON r.segment_id = u.id AND r.realtime ORDER BY 1) AS held
    FROM booked b JOIN iaros.segment_membership m ON m.customer_id = b.person WHERE b.what = %L$$, w.what),
    format('SELECT b.person, pg_temp.plain_held_realtime(b.person) AS held FROM booked b WHERE b.what = %L', w.what))
FROM (VALUES ('plain'), ('real-time')) AS w(what) \g /dev/null
CREATE TEMP TABLE run AS
SELECT b.what, min(b.ms) AS ms FROM (
    SELECT b.what, k.run, avg(b.ms) AS ms FROM booked b JOIN booker k ON k.customer_id = b.person GROUP BY 1, 2) b GROUP BY 1;
SELECT pg_temp.bench_line(format('booking_record, %s real-time segments; %s', (SELECT count(*) FROM rule r WHERE r.realtime), w.name), o.ms, p.ms)
FROM (VALUES (1, 'none', 'without'), (2, 'kept in plain SQL', 'plain')) AS w(n, name, what)
JOIN run p ON p.what = w.what JOIN run o ON o.what = 'real-time' ORDER BY w.n;
SELECT format('moves by a booking: %s', string_agg(format('%s %s', round(m.moves, 2), m.what), ', ' ORDER BY m.what DESC)) FROM (
    SELECT b.what, sum((SELECT count(*) FROM iaros.segment_event e WHERE e.customer_id = b.person AND e.reason = 'data' AND e.at >= now())) / count(*) AS moves
    FROM booked b WHERE b.what <> 'without' GROUP BY 1) m;
ROLLBACK;
\connect iaros_bench
DROP DATABASE iaros_bench_live;
