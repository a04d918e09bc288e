-- segment, update: random changes of everything that rules ask for; after
-- each, what an incremental refresh leaves is what all rules say of all
-- customers at that time, whichever way it is computed, and the events tell
-- how it came to be so. More by hand:
--   psql -v seed=7 -v rounds=200 -f test/pgtap/segment_update.sql
\if :{?seed}
\else
\set seed 1
\endif
\if :{?rounds}
\else
\set rounds 25
\endif
BEGIN;
SELECT plan(9);
SET LOCAL timezone = 'UTC';
SELECT setseed(:seed / 1000.0) \g /dev/null
SELECT set_config('test.rounds', :'rounds', true) \g /dev/null
SELECT iaros.setting_set('segment_cut_hours', '48') \g /dev/null
UPDATE iaros.segment SET enabled = segment_id % 3 = 0 AND segment_id < 45;

INSERT INTO iaros.customer (customer_id, kind, source, country, city, birth_date)
SELECT 960000 + i, 'known', 'manual', (ARRAY['US', 'GB', NULL])[1 + i % 3], (ARRAY['York', 'Oslo', NULL])[1 + i % 3],
    date '1990-01-15' + i * 11
FROM generate_series(1, 150) AS i;
CREATE TABLE own (customer_id bigint UNIQUE, score integer);
SELECT iaros.segment_field_add('test.score', 'number', 'x.score', 'public.own') \g /dev/null
SELECT iaros.segment_create('T ' || n, rule::iaros.segment_rule, realtime => n % 4 = 0) FROM (VALUES
    (1, '{"field": "booking.lastBookedAt", "within": "9 days"}'),
    (2, '{"field": "booking.lastBookedAt", "before": "20 days"}'),
    (3, '{"field": "booking.daysSinceLast", "operator": "BETWEEN", "value": [3, 5]}'),
    (4, '{"event": "search", "at_least": 2, "within": "5 days"}'),
    (5, '{"event": "search", "at_most": 0, "within": "12 hours"}'),
    (6, '{"event": "page_view", "at_least": 1, "within": "1 month", "where": {"page": ["home", "offers"]}}'),
    (7, '{"field": "customer.birthDate", "operator": "MONTH", "value": "this"}'),
    (8, '{"field": "customer.birthDate", "operator": "ANNIVERSARY", "value": "7 days"}'),
    (9, '{"field": "customer.totalSpend", "operator": "TOP", "value": 20}'),
    (10, '{"logic": "AND", "rules": [{"segment": "T 1"}, {"logic": "NOT", "rules": [{"segment": "T 4"}]}]}'),
    (11, '{"logic": "OR", "rules": [{"segment": "T 10"}, {"field": "customer.country", "operator": "=", "value": "us"}]}'),
    (12, '{"field": "booking.nextDepartureAt", "next": "4 days"}'),
    (13, '{"field": "test.score", "operator": ">", "value": 5}'),
    (14, '{"field": "customer.emailOptIn", "operator": "=", "value": true}'),
    (15, '{"field": "booking.count30d", "operator": ">=", "value": 1}'),
    (16, '{"field": "customer.city", "operator": "STARTS WITH", "value": "YO"}'),
    (17, '{"field": "customer.age", "operator": ">=", "value": 36}')) AS r(n, rule) \g /dev/null
SELECT iaros.segment_create('T static') \g /dev/null
SELECT iaros.segment_create('T in static', '{"logic": "AND", "rules": [{"segment": "T static"}, {"field": "booking.count", "operator": ">", "value": 0}]}') \g /dev/null

-- Something happens to somebody.
CREATE FUNCTION pg_temp.happen(until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    who bigint := 960001 + floor(random() * 150);
    other bigint := 960001 + floor(random() * 150);
    past timestamptz := until - random() * random() * interval '40 days';
BEGIN
    CASE floor(random() * 13)::integer
    WHEN 0, 1 THEN
        PERFORM iaros.booking_record(who, (10 + floor(random() * 3000))::numeric, 'USD', past, 'JFK', 'LHR', 'economy', departure_at => past + random() * interval '20 days');
    WHEN 2 THEN
        UPDATE iaros.booking SET status = 'cancelled' WHERE (customer_id, booking_id) IN (SELECT customer_id, booking_id FROM iaros.booking WHERE customer_id > 960000 ORDER BY random() LIMIT 1);
    WHEN 3 THEN
        DELETE FROM iaros.booking WHERE (customer_id, booking_id) IN (SELECT customer_id, booking_id FROM iaros.booking WHERE customer_id > 960000 ORDER BY random() LIMIT 1);
    WHEN 4, 5 THEN
        PERFORM iaros.event_record(who, (ARRAY['search', 'page_view', 'email_open'])[1 + floor(random() * 3)::integer], past,
            jsonb_build_object('origin', 'JFK', 'destination', 'LHR', 'page', (ARRAY['home', 'offers', 'other'])[1 + floor(random() * 3)::integer]));
    WHEN 6 THEN
        DELETE FROM iaros.event WHERE event_id IN (SELECT event_id FROM iaros.event WHERE customer_id > 960000 ORDER BY random() LIMIT 2);
    WHEN 7 THEN
        UPDATE iaros.customer SET country = (ARRAY['US', 'GB', NULL])[1 + floor(random() * 3)::integer],
            city = (ARRAY['York', 'Oslo', NULL])[1 + floor(random() * 3)::integer] WHERE customer_id = who;
    WHEN 8 THEN
        IF NOT EXISTS (SELECT FROM iaros.customer_alias WHERE customer_id IN (who, other) OR master_id = who) AND who <> other THEN
            INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as) VALUES (who, other, other);
        ELSE
            DELETE FROM iaros.customer_alias WHERE customer_id = who OR master_id = who;
        END IF;
    WHEN 9 THEN
        INSERT INTO own VALUES (who, floor(random() * 10)) ON CONFLICT (customer_id) DO UPDATE SET score = excluded.score;
    WHEN 10 THEN
        IF random() < 0.5 THEN
            PERFORM iaros.segment_member_add('T static', ARRAY[who, other], until);
        ELSE
            PERFORM iaros.segment_member_remove('T static', ARRAY[who], until);
        END IF;
    WHEN 11 THEN
        PERFORM iaros.consent_record(who, 'email', 'marketing', random() < 0.5, 'web', recorded_at => past);
    ELSE
        UPDATE iaros.segment SET enabled = NOT enabled WHERE name = (ARRAY['T 2', 'T 7', 'T 15'])[1 + floor(random() * 3)::integer];
    END CASE;
END $$;

-- What each rule says of each person at a time, by plain conditions.
CREATE FUNCTION pg_temp.expected(until timestamptz) RETURNS TABLE (segment_id bigint, customer_id bigint) LANGUAGE plpgsql AS $$
DECLARE
    s record;
    source text;
BEGIN
    FOR s IN SELECT c.segment_id, c.rule FROM iaros.segment_compile() c LOOP
        source := iaros.segment_source_sql(ARRAY[s.rule], until);
        RETURN QUERY EXECUTE format('SELECT %s::bigint, s.customer_id FROM (%s) s WHERE %s', s.segment_id, source,
            iaros.segment_rule_sql(s.rule, source, until));
    END LOOP;
END $$;
CREATE TEMP TABLE wrong (round integer, what text, segment_id bigint, customer_id bigint);
CREATE TEMP TABLE run (round integer PRIMARY KEY, until timestamptz);

CREATE FUNCTION pg_temp.differ(number integer, what text, one text, other text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO wrong SELECT %s, %L || '': missing'', * FROM (%s EXCEPT %s) x', number, what, other, one);
    EXECUTE format('INSERT INTO wrong SELECT %s, %L || '': too much'', * FROM (%s EXCEPT %s) x', number, what, one, other);
END $$;
CREATE FUNCTION pg_temp.check(number integer, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    due bigint;
BEGIN
    CREATE TEMP TABLE should AS SELECT * FROM pg_temp.expected(until);
    PERFORM pg_temp.differ(number, 'membership', 'SELECT i.id, m.customer_id FROM iaros.segment_membership m, unnest(m.segment_ids) AS i(id) JOIN iaros.segment s ON s.segment_id = i.id AND s.kind = ''dynamic''',
        'SELECT segment_id, customer_id FROM should');
    PERFORM pg_temp.differ(number, 'audience', 'SELECT a.segment_id, i.id FROM iaros.segment_audience a, iaros.audience_ids(a.members) AS i(id)',
        'SELECT DISTINCT i.id, coalesce(l.master_id, m.customer_id) FROM iaros.segment_membership m LEFT JOIN iaros.customer_alias l USING (customer_id), unnest(m.segment_ids) AS i(id)');
    PERFORM pg_temp.differ(number, 'events',
        'SELECT segment_id, customer_id FROM (SELECT DISTINCT ON (customer_id, segment_id) * FROM iaros.segment_event ORDER BY customer_id, segment_id, segment_event_id DESC) e WHERE entered',
        'SELECT i.id, m.customer_id FROM iaros.segment_membership m, unnest(m.segment_ids) AS i(id)');
    PERFORM pg_temp.differ(number, 'live',
        format('SELECT l.segment_id, c.customer_id FROM iaros.customer c, iaros.customer_segments(c.customer_id, %L) l
            WHERE c.customer_id %% 30 = %s AND c.customer_id > 960000 AND l.kind = ''dynamic''
              AND NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id)', until, (number + 30) % 30),
        format('SELECT segment_id, customer_id FROM should WHERE customer_id > 960000 AND customer_id %% 30 = %s', (number + 30) % 30));
    DROP TABLE should;
END $$;

DO $$
DECLARE
    until timestamptz := '2026-01-01Z';
    moved bigint;
BEGIN
    PERFORM pg_temp.happen(until) FROM generate_series(1, 500);
    PERFORM iaros.segment_refresh(until);
    PERFORM pg_temp.check(0, until);
    FOR n IN 1 .. current_setting('test.rounds')::integer LOOP
        until := until + random() ^ 6 * interval '9 days';
        PERFORM pg_temp.happen(until) FROM generate_series(1, floor(random() * 5)::integer);
        IF n % 7 = 0 THEN
            PERFORM iaros.segment_apply(ARRAY[960001, 960002, 960003], until);
        END IF;
        PERFORM iaros.segment_refresh(until);
        PERFORM pg_temp.check(n, until);
        INSERT INTO run VALUES (n, until);
    END LOOP;
END $$;
SELECT is((SELECT count(*) FROM run), :rounds::bigint, 'all rounds ran');
SELECT is_empty('SELECT * FROM wrong ORDER BY round LIMIT 10', 'an incremental refresh leaves what the rules say');
SELECT cmp_ok((SELECT count(DISTINCT e.segment_id) FROM iaros.segment_event e JOIN iaros.segment s USING (segment_id) WHERE s.name ~ '^T '), '>=', 17::bigint,
    'somebody entered nearly every segment');
SELECT cmp_ok((SELECT count(*) FROM iaros.segment_event WHERE reason = 'time'), '>', 20::bigint, 'time made customers come and go');
SELECT cmp_ok((SELECT count(*) FROM iaros.segment_event WHERE reason = 'data'), '>', 20::bigint, 'changes made customers come and go');
SELECT is(iaros.segment_refresh((SELECT max(until) FROM run)), 0::bigint, 'a further refresh finds nothing to do');
SELECT is((SELECT count(*) FROM iaros.segment_change), 0::bigint, 'nothing is left in the log');
SELECT lives_ok(format('SELECT iaros.segment_refresh(%L, true), pg_temp.check(-1, %1$L)', (SELECT max(until) FROM run)), 'a whole refresh runs');
SELECT is_empty('SELECT * FROM wrong ORDER BY round LIMIT 10', 'and leaves what the rules say');
SELECT * FROM finish();
ROLLBACK;
