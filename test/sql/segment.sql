-- segment: what rules become in terms of the engine, what they refuse and how
-- they say it.
\pset format unaligned
\pset tuples_only on
BEGIN;
-- What a rule becomes, or why it is refused: state, message, detail, hint.
CREATE FUNCTION pg_temp.rule(rule text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    RETURN iaros.segment_rule_resolve(rule::iaros.segment_rule);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n    ', state || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION pg_temp.one(field text, operator text, value jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT pg_temp.rule(jsonb_build_object('field', field, 'operator', operator, 'value', value)::text) $$;

-- The example of the field: high-value frequent business travellers.
SELECT pg_temp.rule('{"logic": "AND", "rules": [
    {"field": "customer.totalSpend", "operator": ">=", "value": 5000},
    {"field": "booking.frequency", "operator": ">=", "value": 10},
    {"field": "booking.cabinClass", "operator": "IN", "value": ["BUSINESS", "FIRST"]},
    {"field": "customer.rfmSegment", "operator": "IN", "value": ["Champions", "Loyal"]}]}');
-- A condition alone, groups in groups, words in lower case.
SELECT pg_temp.rule('{"field": "customer.isMember", "operator": "=", "value": true}');
SELECT pg_temp.rule('{"logic": "or", "rules": [
    {"field": "CUSTOMER.COUNTRY", "operator": "in", "value": ["us", "GB"]},
    {"logic": "AND", "rules": [
        {"field": "booking.count", "operator": "between", "value": [1, 2.5]},
        {"field": "customer.city", "operator": "contains", "value": "York"}]}]}');

-- Operators of each kind of field.
SELECT o, pg_temp.one('customer.totalSpend', o, '1') FROM unnest('{=,!=,>,<,>=,<=}'::text[]) AS o;
SELECT pg_temp.one('customer.totalSpend', 'IN', '[1, 2.50, -3e2]');
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '[1, 1]');
SELECT o, pg_temp.one('customer.city', o, '"New York"') FROM unnest('{=,!=,CONTAINS,STARTS WITH}'::text[]) AS o;
SELECT pg_temp.one('customer.city', 'IN', '["Oslo", "BERGEN"]');
SELECT o, pg_temp.one('customer.appUser', o, 'false') FROM unnest('{=,!=}'::text[]) AS o;
SELECT o, pg_temp.one('booking.lastBookedAt', o, '"2026-01-31"') FROM unnest('{=,!=,>,<,>=,<=}'::text[]) AS o;
SELECT pg_temp.one('booking.lastBookedAt', 'BETWEEN', '["2026-01-01", "2026-01-31"]');
SELECT o, pg_temp.one('booking.lastBookedAt', o, '"2026-01-31T12:00:00+02:00"') FROM unnest('{=,<=}'::text[]) AS o;
SELECT pg_temp.one('booking.lastBookedAt', 'BETWEEN', '["2026-01-01T00:00Z", "2026-01-31T00:00Z"]');
SELECT pg_temp.one('customer.birthMonth', '=', '3');
-- Known and not known.
SELECT pg_temp.one('customer.tier', '=', 'null');
SELECT pg_temp.one('customer.tier', '!=', 'null');
SELECT pg_temp.one('booking.lastBookedAt', '=', 'null');
SELECT pg_temp.one('customer.totalSpend', '>', 'null');
SELECT pg_temp.one('customer.totalSpend', 'IN', '[1, null]');
SELECT iaros.segment_rule_resolve(NULL) IS NULL;

-- Values of a fixed list.
SELECT v, pg_temp.one('customer.rfmSegment', '=', to_jsonb(v))
FROM unnest('{champions,At-Risk,can''t lose them,Cant Lose,Loyal,Los,Recent}'::text[]) AS v;
SELECT pg_temp.one('booking.cabinClass', '=', '"Premium Economy"');
SELECT pg_temp.one('booking.cabinClass', 'IN', '["business", "busines"]');

-- Fields that do not exist.
SELECT f, pg_temp.one(f, '=', '1')
FROM unnest('{customer.totalSpent,totalSpend,booking.frequncy,customer.rfmsegmnt,p.spend_total,"",xyzzy}'::text[]) AS f;

-- Operators and values that do not fit.
SELECT pg_temp.one('customer.totalSpend', 'LIKE', '1');
SELECT pg_temp.one('customer.totalSpend', '', '1');
SELECT pg_temp.one('customer.totalSpend', 'CONTAINS', '1');
SELECT pg_temp.one('customer.totalSpend', '>', '"5000"');
SELECT pg_temp.one('customer.totalSpend', '>', 'true');
SELECT pg_temp.one('customer.totalSpend', '>', '[1]');
SELECT pg_temp.one('customer.totalSpend', 'IN', '1');
SELECT pg_temp.one('customer.totalSpend', 'IN', '[]');
SELECT pg_temp.one('customer.totalSpend', 'IN', '[1, "2"]');
SELECT pg_temp.one('customer.totalSpend', 'IN', '[[1], [2]]');
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '[1]');
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '[1, 2, 3]');
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '[2, 1]');
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '{"low": 1, "high": 2}');
SELECT pg_temp.one('customer.city', '>', '"a"');
SELECT pg_temp.one('customer.city', '=', '7');
SELECT pg_temp.one('customer.city', '=', '{}');
SELECT pg_temp.one('customer.appUser', '=', '"true"');
SELECT pg_temp.one('customer.appUser', '>', 'true');
SELECT v, pg_temp.one('booking.lastBookedAt', '>', to_jsonb(v))
FROM unnest('{2026-02-30,31.12.2026,now,infinity,2026-01-01T25:00,""}'::text[]) AS v;
SELECT pg_temp.one('booking.lastBookedAt', '>', '20260131');
SELECT pg_temp.one('booking.lastBookedAt', 'IN', '["2026-01-31"]');

-- Wrong shapes.
SELECT r, pg_temp.rule(r) FROM unnest(ARRAY[
    'null', '1', '"AND"', '[]', '{}', 'true',
    '{"logic": "AND"}',
    '{"rules": [{"field": "booking.count", "operator": "=", "value": 1}]}',
    '{"logic": "AND", "rules": []}',
    '{"logic": "AND", "rules": {}}',
    '{"logic": "AND", "rules": null}',
    '{"logic": "NOT", "rules": [{"field": "booking.count", "operator": "=", "value": 1}]}',
    '{"logic": ["AND"], "rules": [{"field": "booking.count", "operator": "=", "value": 1}]}',
    '{"logic": "AND", "rules": [1]}',
    '{"logic": "AND", "rules": [{"field": "booking.count", "operator": "=", "value": 1}, null]}',
    '{"logic": "AND", "rules": [{"logic": "OR", "rules": [{}]}]}',
    '{"logic": "AND", "rules": [{"field": "booking.count", "operator": "=", "value": 1}], "extra": 1}',
    '{"field": "booking.count", "operator": "=", "value": 1, "feild": 1}',
    '{"field": "booking.count", "operator": "="}',
    '{"field": "booking.count", "value": 1}',
    '{"operator": "=", "value": 1}',
    '{"field": 1, "operator": "=", "value": 1}',
    '{"field": "booking.count", "operator": null, "value": 1}',
    '{"field": "booking.count", "operator": ["="], "value": 1}']) AS r;

-- Of two equal keys neither can be meant.
SELECT pg_temp.rule('{"field": "xyzzy", "field": "booking.count", "operator": "=", "value": 1}');

-- Too deep, just deep enough, too large.
SELECT d, left(pg_temp.rule((repeat('{"logic": "AND", "rules": [', d)
    || '{"field": "booking.count", "operator": "=", "value": 1}' || repeat(']}', d))), 60)
FROM unnest('{19,20,500}'::integer[]) AS d;
SELECT n, left(pg_temp.one('customer.city', 'IN', (SELECT jsonb_agg('city ' || i) FROM generate_series(1, n) AS i)), 60)
FROM unnest('{1000,1001,8000}'::integer[]) AS n;
SELECT left(pg_temp.one('customer.totalSpend', '=', ('1' || repeat('0', 70000))::jsonb), 60);
SELECT n, pg_temp.one('booking.daysSinceLast', '>', n::jsonb) FROM unnest('{1e15,-1e400,999999999999999.9,1e-30}'::text[]) AS n;
SELECT pg_temp.one('customer.totalSpend', 'BETWEEN', '[0, 1e400]');
SELECT pg_temp.one(repeat('x', 5000), '=', '1');

-- Values stay values.
SELECT pg_temp.one('customer.city', '=', to_jsonb($q$'; DROP TABLE iaros.segment; --$q$::text));
SELECT pg_temp.one('customer.city', 'CONTAINS', to_jsonb($q$\'%_ OR true) --$q$::text));
SELECT pg_temp.one('customer.city', 'IN', to_jsonb(ARRAY[$q$a'b$q$, $q$c"d$q$, E'\\', '$$', '::text']));
SELECT pg_temp.one('booking.cabinClass', '=', to_jsonb($q$first' OR 'a' = 'a$q$::text));
SELECT pg_temp.one($q$booking.count = 1 OR true --$q$, '=', '1');
SELECT pg_temp.one('booking.count', '= 1 OR 1 =', '1');
SELECT pg_temp.one('booking.lastBookedAt', '>', to_jsonb($q$2026-01-01' OR true --$q$::text));
SELECT pg_temp.rule('{"logic": "AND 1=1) OR (", "rules": [{"field": "booking.count", "operator": "=", "value": 1}]}');

-- Relative time, ages, months, behaviour, segments, percentiles.
SELECT pg_temp.rule(r) FROM unnest(ARRAY[
    '{"field": "booking.lastBookedAt", "within": "30 days"}', '{"field": "booking.lastBookedAt", "before": "1 year"}',
    '{"field": "booking.nextDepartureAt", "next": "72 hours"}', '{"field": "booking.lastBookedAt", "within": 30}',
    '{"field": "customer.birthDate", "operator": "MONTH", "value": "this"}', '{"field": "customer.birthDate", "operator": "ANNIVERSARY", "value": "7 days"}',
    '{"field": "customer.city", "within": "30 days"}', '{"field": "customer.city", "operator": "MONTH", "value": 13}',
    '{"field": "customer.age", "operator": "BETWEEN", "value": [18, 25]}', '{"field": "customer.age", "operator": ">=", "value": 1000}',
    '{"event": "search", "at_least": 3, "within": "7 days", "where": {"origin": "JFK"}}', '{"event": "serach"}', '{"event": "search", "at_least": 2, "at_most": 1}',
    '{"logic": "NOT", "rules": [{"segment": "champions"}]}', '{"segment": "Champion"}', '{"segment": "xyzzy"}',
    '{"field": "customer.totalSpend", "operator": "TOP", "value": "1 %"}', '{"field": "customer.totalSpend", "operator": "TOP", "value": 0}',
    '{"field": "customer.city", "operator": "TOP", "value": 5}']) AS r;

-- Each shipped field is SQL that runs.
SELECT count(*) > 40 FROM iaros.segment_field;
DO $$
DECLARE
    f record;
    rule iaros.segment_rule;
BEGIN
    FOR f IN SELECT * FROM iaros.segment_field LOOP
        rule := jsonb_build_object('field', f.field, 'operator', 'IS NOT NULL')::iaros.segment_rule;
        EXECUTE format('SELECT count(*) FROM (%s) s WHERE %s', iaros.segment_source_sql(ARRAY[rule]),
            iaros.segment_rule_sql(rule, iaros.segment_source_sql(ARRAY[rule])));
        IF f.choices IS NOT NULL THEN
            EXECUTE format('SELECT FROM (%s) AS c(v) LIMIT 1', f.choices);
        END IF;
    END LOOP;
END $$;

-- Segments.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT name, kind, enabled, customers, suggested_action FROM iaros.segment_list() ORDER BY segment_id LIMIT 11;
SELECT iaros.segment_create('Big Spenders', '{"field": "customer.totalSpend", "operator": ">", "value": 1000}') > 0;
SELECT iaros.segment_create('big spenders');
SELECT iaros.segment_create('  ');
SELECT iaros.segment_create(repeat('x', 101));
SELECT iaros.segment_create('42');
SELECT iaros.segment_create('Broken', '{"field": "customer.totalSpent", "operator": ">", "value": 1000}');
UPDATE iaros.segment SET rule = '{"logic": "AND", "rules": []}' WHERE name = 'Big Spenders';
\set VERBOSITY terse
UPDATE iaros.segment SET rule = NULL WHERE name = 'Big Spenders';
\set VERBOSITY default
SELECT * FROM iaros.segment_customers('Big Spender');
SELECT * FROM iaros.segment_customers('xyzzy');
SELECT iaros.segment_member_add('Big Spenders', '{1}');
SELECT iaros.segment_create('Guests') > 0;
SELECT iaros.segment_member_add('guests', '{-1}');
SELECT iaros.segment_create('Ring 1', '{"segment": "Big Spenders"}') > 0;
UPDATE iaros.segment SET rule = '{"logic": "NOT", "rules": [{"segment": "Ring 1"}]}' WHERE name = 'Big Spenders';
DELETE FROM iaros.segment WHERE name = 'Big Spenders';
DELETE FROM iaros.segment WHERE name IN ('Big Spenders', 'Ring 1') RETURNING name;
SELECT iaros.segment_create('Big Spenders', '{"field": "customer.totalSpend", "operator": ">", "value": 1000}') > 0;
SELECT iaros.setting_set('max_segments', '57');
SELECT iaros.segment_create('One More', '{"segment": "Champions"}');
UPDATE iaros.segment SET enabled = false WHERE name = 'Group Bookers';
SELECT iaros.segment_create('One More', '{"segment": "Group Bookers"}');
SELECT iaros.segment_create('One More', '{"segment": "Champions"}') > 0;
UPDATE iaros.segment SET enabled = true WHERE name = 'Group Bookers';
SELECT * FROM iaros.audience_preview('{"field": "booking.count", "operator": ">", "value": 0}', -1);
SELECT * FROM iaros.customer_segments(NULL);
SELECT iaros.segment_ids_merge('{1,2,9}', '{2,3}', '{3,4}');
SELECT iaros.segment_operators('text');
ROLLBACK;
