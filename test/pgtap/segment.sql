-- segment: who is in a segment, who entered and left, what stays.
BEGIN;
SELECT plan(89);

-- First, before expressions are cached: a backslash escapes in strings.
SET LOCAL escape_string_warning = off;
SET LOCAL standard_conforming_strings = off;
SELECT lives_ok($$SELECT iaros.segment_create('Test Strings', '{"field": "booking.lastBookedAt", "operator": ">", "value": "2026-01-31T12:00:00+02:00"}')$$,
    'a segment is made with standard_conforming_strings off');
SELECT throws_ok($$SELECT iaros.segment_create(' Test Strings')$$, '23514', NULL, 'and its name is checked');
SET LOCAL standard_conforming_strings = on;
DELETE FROM iaros.segment WHERE name = 'Test Strings';
SELECT set_eq('SELECT finding FROM iaros.segment_doctor()', ARRAY['it was never refreshed'], 'doctor() tells of segments that were never refreshed');

INSERT INTO iaros.customer (customer_id, kind, source, country, city, birth_date) VALUES
    (900001, 'known', 'manual', 'US', 'New York', '1980-03-01'),
    (900002, 'known', 'manual', 'GB', 'york', NULL),
    (900003, 'known', 'manual', NULL, NULL, NULL),
    (900004, 'known', 'manual', 'US', $$O'Fallon \ "x"$$, NULL),
    (900005, 'anonymous', 'manual', NULL, NULL, NULL);
-- 900001: 12 bookings in business class; 900002: one, long ago; others none.
SELECT iaros.booking_record(900001, 800, 'USD', timestamptz '2026-06-28Z' - i * interval '20 days', 'JFK', 'LHR', 'business',
    departure_at => '2026-07-01Z') FROM generate_series(0, 11) AS i;
SELECT iaros.booking_record(900002, 100, 'USD', '2025-12-01Z', 'JFK', 'LHR', 'economy', departure_at => '2026-01-03Z');
SELECT iaros.rfm_refresh('2026-07-01Z');

CREATE FUNCTION pg_temp.who(rule jsonb) RETURNS bigint[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(i.id), '{}')
    FROM iaros.audience_ids(iaros.audience_build(ARRAY[rule::text], as_of => '2026-07-01Z')) AS i(id)
    WHERE i.id BETWEEN 900001 AND 900005
$$;
CREATE FUNCTION pg_temp.who(field text, operator text, value jsonb) RETURNS bigint[] LANGUAGE sql AS
$$ SELECT pg_temp.who(jsonb_build_object('field', field, 'operator', operator, 'value', value)) $$;

-- Rules.
SELECT is(pg_temp.who('{"logic": "AND", "rules": [
    {"field": "customer.totalSpend", "operator": ">=", "value": 5000},
    {"field": "booking.frequency", "operator": ">=", "value": 10},
    {"field": "booking.cabinClass", "operator": "IN", "value": ["BUSINESS", "FIRST"]},
    {"field": "customer.rfmSegment", "operator": "IN", "value": ["Champions", "Loyal"]}]}'), '{900001}',
    'high-value frequent business travellers: the one who is');
SELECT is(pg_temp.who('customer.country', '=', '"us"'), '{900001,900004}', '= on a list of values');
SELECT is(pg_temp.who('customer.country', '!=', '"US"'), '{900002}', '!= does not hold for what is not known');
SELECT is(pg_temp.who('customer.country', '=', 'null'), '{900003,900005}', '= null asks for what is not known');
SELECT is(pg_temp.who('customer.country', '!=', 'null'), '{900001,900002,900004}', '!= null asks for what is known');
SELECT is(pg_temp.who('{"logic": "OR", "rules": [{"field": "customer.country", "operator": "=", "value": "GB"},
    {"field": "booking.count", "operator": "=", "value": 0}]}'), '{900002,900003,900004,900005}',
    'OR holds when one side is not known and the other is true');
SELECT is(pg_temp.who('customer.city', 'CONTAINS', '"YORK"'), '{900001,900002}', 'CONTAINS takes upper and lower case as one');
SELECT is(pg_temp.who('customer.city', 'CONTAINS', '"_ork"'), '{}', 'CONTAINS knows no wild cards');
SELECT is(pg_temp.who('customer.city', '=', to_jsonb($$o'fallon \ "X"$$::text)), '{900004}', 'quotes and backslashes are compared as they are');
SELECT is(pg_temp.who('customer.city', '=', to_jsonb($$x' OR 'a'='a$$::text)), '{}', 'a value cannot become SQL');
SELECT is(pg_temp.who('booking.lastBookedAt', '=', '"2026-06-28"'), '{900001}', 'a day is compared as a day');
SELECT is(pg_temp.who('booking.lastBookedAt', 'BETWEEN', '["2025-12-01", "2025-12-01"]'), '{900002}', 'BETWEEN includes its last day');
SELECT is(pg_temp.who('booking.lastBookedAt', '>', '"2026-06-28"'), '{}', '> a day begins with the next one');
SELECT is(pg_temp.who('booking.lastBookedAt', '<', '"2026-06-28"'), '{900002}', '< a day ends before it');
SELECT is(pg_temp.who('booking.daysSinceLast', 'BETWEEN', '[180, 365]'), '{900002}', 'days are counted up to as_of');
SELECT is(pg_temp.who('customer.age', '=', '46'), '{900001}', 'age in years as of the question');
SELECT is(pg_temp.who('customer.region', '=', '"Europe"'), '{900002}', 'region of the country');
SELECT is(pg_temp.who('customer.isMember', '!=', 'true'), '{900001,900002,900003,900004,900005}', 'booleans');

-- No text can make a rule that is not valid SQL, or one that holds for all.
SELECT is_empty(
    $$WITH text AS (
        SELECT i, (SELECT string_agg(substr($q$'"\;-$%_)( aB/*{}$q$, 1 + iaros.chance_int(i, 42, j, 17), 1), '')
                   FROM generate_series(1, 12) AS j) AS t
        FROM generate_series(1, 200) AS i)
      SELECT t FROM text WHERE pg_temp.who('customer.city', 'IN', to_jsonb(ARRAY[t, lower(t)])) <> '{}'$$,
    'values of quotes, dollars, comments and brackets match nobody');

-- Refresh.
SELECT iaros.segment_create('Test US', '{"field": "customer.country", "operator": "=", "value": "US"}');
SELECT iaros.segment_create('Test York', '{"field": "customer.city", "operator": "CONTAINS", "value": "york"}');
SELECT iaros.segment_create('Test Guests');
CREATE TEMP TABLE test_segment AS SELECT segment_id, name FROM iaros.segment WHERE name LIKE 'Test %';
CREATE TEMP VIEW moved AS
SELECT e.customer_id, s.name, e.entered, e.at FROM iaros.segment_event e JOIN test_segment s USING (segment_id);
SELECT cmp_ok(iaros.segment_refresh('2026-07-01Z'), '>=', 3::bigint, 'a refresh returns for how many customers something changed');
SELECT bag_eq('SELECT customer_id, name, entered, at FROM moved',
    $$VALUES (900001::bigint, 'Test US', true, timestamptz '2026-07-01Z'), (900004, 'Test US', true, '2026-07-01Z'),
        (900001, 'Test York', true, '2026-07-01Z'), (900002, 'Test York', true, '2026-07-01Z')$$,
    'those who entered are noted');
SELECT is(iaros.segment_refresh('2026-07-01Z'), 0::bigint, 'a second refresh changes nothing');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('test us')$$, '{900001,900004}'::bigint[], 'customers of a segment by name');
SELECT set_eq($$SELECT name FROM iaros.customer_segments(900001) WHERE name LIKE 'Test %'$$, ARRAY['Test US', 'Test York'], 'segments of a customer');
SELECT is((SELECT since FROM iaros.customer_segments(900002) WHERE name = 'Test York'), '2026-07-01Z'::timestamptz, 'since when');
SELECT is((SELECT customers FROM iaros.segment_list() WHERE name = 'Test US'), 2::bigint, 'segments are listed with their sizes');
UPDATE iaros.customer SET country = 'GB', city = 'London' WHERE customer_id = 900001;
UPDATE iaros.customer SET country = 'US' WHERE customer_id = 900003;
SELECT iaros.segment_refresh('2026-07-02Z');
SELECT bag_eq($$SELECT customer_id, name, entered FROM moved WHERE at = '2026-07-02Z'$$,
    $$VALUES (900001::bigint, 'Test US', false), (900001, 'Test York', false), (900003, 'Test US', true)$$,
    'who entered and left since the first refresh is noted');

-- Each audience is what its rule says alone.
SELECT is_empty(
    $$SELECT c.segment_id FROM iaros.segment_compile() c JOIN iaros.segment_audience a USING (segment_id)
      WHERE a.members OPERATOR(iaros.<>) iaros.audience_build(ARRAY[c.rule::text], as_of => '2026-07-02Z')$$,
    'one scan gives the same as one scan for each segment');
SELECT set_eq('SELECT a.segment_id, i.id FROM iaros.segment_audience a, iaros.audience_ids(a.members) AS i(id)',
    'SELECT i.id, m.customer_id FROM iaros.segment_membership m, unnest(m.segment_ids) AS i(id)',
    'the stored arrays are the audiences, the other way round');
SELECT is((SELECT customers FROM iaros.audience_preview('{"field": "customer.country", "operator": "=", "value": "US"}', 2)),
    (SELECT count(*) FROM iaros.segment_customers('Test US')), 'the preview counts what the refresh finds');

-- Static members, and aliases.
SELECT is(iaros.segment_member_add('Test Guests', '{900001,900005,900001}'), 2::bigint, 'members are added once');
SELECT is(iaros.segment_member_add('Test Guests', '{900001}'), 0::bigint, 'adding again changes nothing');
SELECT iaros.customer_recognise(900005, 900004);
SELECT iaros.segment_refresh('2026-07-03Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Guests')$$, '{900001,900004}'::bigint[],
    'a refresh leaves static members, an alias counts as its master');
SELECT set_eq($$SELECT name FROM iaros.customer_segments(900005) WHERE name LIKE 'Test %'$$, ARRAY['Test US', 'Test Guests'],
    'an alias is in the segments of its master');
SELECT is(iaros.segment_member_remove('Test Guests', '{900004,900002}'), 1::bigint, 'a person is removed under any id');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Guests')$$, '{900001}'::bigint[], 'and is gone');
SELECT bag_eq($$SELECT customer_id, entered FROM moved WHERE name = 'Test Guests'$$,
    $$VALUES (900001::bigint, true), (900005, true), (900005, false)$$, 'members leave their rows too');

-- A rule whose field was taken away, a segment that is switched off.
DELETE FROM iaros.segment_field WHERE field = 'customer.city';
UPDATE iaros.segment SET enabled = false WHERE name = 'Test US';
SELECT iaros.segment_refresh('2026-07-04Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test York')$$, '{900002}'::bigint[], 'customers of a broken rule stay');
SELECT is((SELECT count(*) FROM iaros.alert WHERE kind = 'segment_rule' AND object = 'Test York' AND resolved_at IS NULL), 1::bigint,
    'a broken rule raises an alert');
SELECT is((SELECT count(*) FROM iaros.segment_doctor() WHERE subject = 'segment Test York'), 1::bigint, 'doctor() finds it');
SELECT is_empty($$SELECT * FROM iaros.segment_customers('Test US')$$, 'a segment that is switched off has no customers');
SELECT throws_ok($$DELETE FROM iaros.segment WHERE name = 'Test US'$$, '23503', NULL, 'a segment with history is not deleted');

-- Fields that fail are errors of their own, when they are made or later.
SELECT throws_ok($$INSERT INTO iaros.segment_field (field, kind, expression, description) VALUES ('test.gone', 'number', 'p.no_such_column', 'Not there')$$,
    '42703', NULL, 'a field whose expression cannot be planned is refused');
CREATE TABLE test_own (customer_id bigint PRIMARY KEY, score integer);
INSERT INTO test_own VALUES (900001, 7);
SELECT iaros.segment_field_add('test.own', 'number', 'x.score', 'public.test_own');
SELECT throws_ok($$SELECT iaros.segment_field_add('test.twice', 'number', 'x.score', 'public.test_own', key => 'score')$$, '22023', NULL,
    'a relation needs one row for a customer');
INSERT INTO iaros.segment_field (field, kind, expression, description) VALUES
    ('test.kind', 'number', 'p.tier', 'A text that says it is a number'),
    ('test.zero', 'number', '1 / 0 + p.booking_count', 'An error in a constant');
SELECT throws_ok($$SELECT iaros.segment_create('Test kind', '{"field": "test.kind", "operator": ">", "value": 0}')$$, '42804', NULL,
    'a rule that does not fit the column of its field is refused');
SELECT iaros.segment_create('Test ' || f, jsonb_build_object('field', f, 'operator', '>', 'value', 0)::iaros.segment_rule) FROM unnest('{test.own,test.zero}'::text[]) AS f;
SELECT iaros.segment_create('Test Fine', '{"field": "booking.daysSinceLast", "operator": "<", "value": 9999}');
SELECT iaros.segment_create('Test Age', '{"field": "customer.age", "operator": ">", "value": 18}');
SELECT lives_ok($$SELECT iaros.segment_refresh('2026-07-04 12:00Z')$$, 'a refresh goes on without a rule that fails');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test test.own')$$, '{900001}'::bigint[], 'a field of another table');
UPDATE test_own SET customer_id = 900002;
SELECT iaros.segment_refresh('2026-07-04 13:00Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test test.own')$$, '{900002}'::bigint[], 'which is read anew at each refresh');
ALTER TABLE test_own DROP COLUMN score;
SELECT lives_ok($$SELECT iaros.segment_refresh('2026-07-05Z')$$, 'a refresh goes on without a field that is gone');
SELECT set_eq($$SELECT object FROM iaros.alert WHERE kind = 'segment_rule' AND object ~ '^Test test' AND resolved_at IS NULL$$,
    ARRAY['Test test.own', 'Test test.zero'], 'each raises its alert');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Fine')$$, '{900001,900002}'::bigint[], 'the others are computed');
SELECT throws_ok($$SELECT iaros.segment_create('Test Huge', '{"field": "booking.daysSinceLast", "operator": "<", "value": 99999999}')$$, '22023', NULL,
    'a number of days that is out of range is refused');
CREATE TEMP SEQUENCE asked;
INSERT INTO iaros.segment_field (field, kind, expression, choices, description) VALUES
    ('test.choice', 'text', 'p.tier', $$SELECT 'c' || nextval('pg_temp.asked')$$, 'Counts how often its list is read');
SELECT is(iaros.segment_rule_resolve('{"field": "TEST.CHOICE", "operator": "=", "value": "C1"}')::jsonb, '{"field": "test.choice", "operator": "=", "value": "c1"}',
    'a value is found in its list');
SELECT is(nextval('pg_temp.asked'), 2::bigint, 'which is read once for it');

-- Some customers at once, with the broken rules of before.
UPDATE iaros.customer SET birth_date = CASE customer_id WHEN 900001 THEN NULL ELSE date '1970-01-01' END WHERE customer_id IN (900001, 900002);
CREATE TEMP TABLE told AS SELECT count(*) AS n, sum(a.times) AS times FROM iaros.alert a WHERE a.kind = 'segment_rule';
SELECT is(iaros.segment_apply('{900002}', '2026-07-06Z'), 1::bigint, 'segment_apply changes one customer');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Age')$$, '{900001,900002}'::bigint[], 'who is in the segment at once, others stay');
SELECT results_eq($$SELECT e.entered, e.at FROM iaros.segment_event e JOIN iaros.segment s USING (segment_id)
    WHERE s.name = 'Test Age' AND e.customer_id = 900002$$, $$VALUES (true, timestamptz '2026-07-06Z')$$, 'and has a row for it');
SELECT results_eq($$SELECT count(*), sum(times) FROM iaros.alert WHERE kind = 'segment_rule'$$, 'SELECT n, times FROM told',
    'no alert is raised for broken rules');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test York')$$, '{900002}'::bigint[], 'and their customers stay');
SELECT is(iaros.segment_apply('{900002}', '2026-07-06Z'), 0::bigint, 'a second call finds nothing to do');
SELECT is((SELECT sum(iaros.segment_apply(i, '2026-07-06Z')) FROM (VALUES (NULL::bigint[]), ('{}'), ('{NULL,-1}')) AS v(i)), 0::numeric,
    'nobody is in NULL, an empty array or an id of nobody');
UPDATE iaros.customer SET birth_date = '1970-01-01' WHERE customer_id = 900004;
SELECT is(iaros.segment_apply('{900005}', '2026-07-06Z'), 1::bigint, 'an alias counts for its master');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Age')$$, '{900001,900002,900004}'::bigint[], 'who has entered');
SELECT is(iaros.segment_apply(ARRAY(SELECT customer_id FROM iaros.customer), '2026-07-06Z'), 1::bigint, 'all customers at once: the one that was left');
SELECT is(iaros.segment_refresh('2026-07-06Z'), 0::bigint, 'a refresh then finds nothing to do');

-- A call as of another time is put right by the next refresh.
SELECT iaros.segment_create('Test Soon', '{"field": "booking.daysSinceLast", "operator": "<", "value": 300}');
SELECT iaros.segment_refresh('2026-07-06Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Soon')$$, '{900001,900002}'::bigint[], 'two booked in the last 300 days');
SELECT is(iaros.segment_apply('{900001}', '2027-06-01Z'), 1::bigint, 'one is computed as of a time to come');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Soon')$$, '{900002}'::bigint[], 'and is not in it then');
SELECT is(iaros.segment_refresh('2026-07-06 00:15Z'), 1::bigint, 'the next refresh');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Soon')$$, '{900001,900002}'::bigint[], 'puts that right');

-- What a field means, and where days begin.
UPDATE iaros.segment_field SET expression = 'p.first_booked_at' WHERE field = 'booking.daysSinceLast';
SELECT iaros.segment_refresh('2026-07-06 00:30Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Soon')$$, '{900001,900002}'::bigint[], 'a field that means something else is computed anew');
UPDATE iaros.segment_field SET expression = 'p.last_booked_at - interval ''1 year''' WHERE field = 'booking.daysSinceLast';
SELECT iaros.segment_refresh('2026-07-06 00:45Z');
SELECT is_empty($$SELECT * FROM iaros.segment_customers('Test Soon')$$, 'and again');
SELECT is_empty($$SELECT l.name FROM iaros.customer_segments(900001, '2026-07-06 00:45Z') l WHERE l.name = 'Test Soon'$$, 'also asked live');
UPDATE iaros.segment_field SET expression = 'p.last_booked_at' WHERE field = 'booking.daysSinceLast';
SELECT iaros.segment_create('Test Day', '{"field": "booking.lastBookedAt", "operator": "=", "value": "2026-06-27"}');
SELECT iaros.segment_refresh('2026-07-06 01:00Z');
SELECT is_empty($$SELECT * FROM iaros.segment_customers('Test Day')$$, 'the last booking is of the next day');
SELECT iaros.setting_set('brand_time_zone', 'America/New_York');
SELECT iaros.segment_refresh('2026-07-06 01:15Z');
SELECT set_eq($$SELECT * FROM iaros.segment_customers('Test Day')$$, '{900001}'::bigint[], 'but not where days begin later');
SELECT iaros.setting_set('brand_time_zone', NULL);
SELECT is((SELECT count(*) FROM iaros.segment_audience a JOIN iaros.segment s USING (segment_id) WHERE s.name = 'Test test.zero' AND a.meaning IS NULL), 0::bigint,
    'what never could be computed has no audience');
-- Parts of a value that is in a list, times, names.
SELECT set_eq($$SELECT i.id FROM iaros.audience_ids(iaros.audience_build(ARRAY['{"field": "customer.country", "operator": "STARTS WITH", "value": "U"}'], as_of => NULL)) AS i(id) WHERE i.id > 900000$$,
    '{900003,900004}'::bigint[], 'a part of a value is not looked up in the list; no time is now');
SELECT throws_ok($$SELECT iaros.segment_refresh('0001-01-01Z')$$, '22008', 'segments cannot change as of "0001-01-01 00:00:00+00"', 'a time too long ago');
SELECT throws_ok($$SELECT iaros.segment_apply('{900001}', 'infinity')$$, '22008', 'segments cannot change as of "infinity"', 'a time that never comes');
SELECT throws_ok($$SELECT iaros.segment_member_add('Test Guests', '{900001}', '2200-01-01Z')$$, '22008', NULL, 'nor are members added then');
SELECT throws_ok('SELECT iaros.segment_create(NULL)', '23514', 'NULL cannot be the name of a segment', 'no name');

-- A role that operates can do all this; one that reads cannot write.
CREATE ROLE iaros_test_read;
CREATE ROLE iaros_test_operate;
SELECT iaros.access_grant('iaros_test_read', 'read');
SELECT iaros.access_grant('iaros_test_operate', 'operate');
SET ROLE iaros_test_operate;
SELECT lives_ok($$SELECT iaros.segment_create('Test Role', '{"field": "booking.count", "operator": ">", "value": 0}'),
    iaros.segment_refresh('2026-07-05Z'), iaros.segment_create('Test Role Static'),
    iaros.segment_member_add('Test Role Static', '{900001}'), (SELECT count(*) FROM iaros.customer_segments(900001))$$, 'a role that operates makes and refreshes segments');
SELECT throws_ok($$UPDATE iaros.segment_field SET expression = 'pg_sleep(9) IS NULL'$$, '42501', NULL,
    'a role that operates cannot put SQL into fields');
SET ROLE iaros_test_read;
SELECT lives_ok($$SELECT * FROM iaros.segment_list(), iaros.segment_membership$$, 'a role that reads sees segments');
SELECT is_empty($$SELECT c.error FROM iaros.segment_compile(true) c JOIN iaros.segment s USING (segment_id) WHERE s.name = 'Test Age' AND c.error IS NOT NULL$$,
    'a column that the role may not read is no error of the rule');
SELECT throws_ok($$SELECT iaros.segment_refresh()$$, '42501', NULL, 'a role that reads does not refresh');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
