-- segment_rule: what rules become, what they refuse and how they say it.
\pset format unaligned
\pset tuples_only on
BEGIN;
SET LOCAL search_path TO iaros, public;
-- The canonical form of a rule, or why it is refused.
CREATE FUNCTION pg_temp.rule(json text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    RETURN json::iaros.segment_rule;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n    ', state || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
-- A condition on field x.
CREATE FUNCTION pg_temp.one(operator text, value text) RETURNS text LANGUAGE sql AS
$$ SELECT regexp_replace(pg_temp.rule(format('{"field": "x", "operator": "%s"%s}', operator, ', "value": ' || value)), '^{"field": "x", ', '{..., ') $$;

-- The example of the field: high-value frequent business travellers.
SELECT pg_temp.rule('{"logic":"AND","rules":[
    {"field":"customer.totalSpend","operator":">=","value":5000},
    {"field":"booking.frequency","operator":">=","value":10},
    {"field":"booking.cabinClass","operator":"IN","value":["BUSINESS","FIRST"]},
    {"field":"customer.rfmSegment","operator":"IN","value":["Champions","Loyal"]}]}');

-- Operators and values.
SELECT o, pg_temp.one(o, v) FROM (VALUES
    (1, '=', '5.0'), (2, '!=', '"Oslo"'), (3, '<>', 'true'), (4, '=', 'null'), (5, '!=', 'null'),
    (6, '<', '1e3'), (7, '<=', '-0.0'), (8, '>', '"2026-01-31"'), (9, '>=', '"18 years"'),
    (10, 'in', '[3, 1, 2, 1.0]'), (11, ' Not   In ', '["b", "a", "b"]'), (12, 'IN', '[7]'), (13, 'NOT IN', '["a", "a"]'), (14, 'IN', '[true, false]'),
    (15, 'between', '[1, 1e1]'), (16, 'BETWEEN', '["2026-01-01", "2026-01-31"]'), (17, 'BETWEEN', '["1 week", "2 weeks"]'),
    (18, 'contains', '"York"'), (19, 'starts with', '"New"'),
    (20, 'is null', NULL), (21, 'IS NOT NULL', 'null'),
    (22, 'within', '"30 days"'), (23, 'before', '"1 month"'), (24, 'before', '"2026-01-31"'), (25, 'next', '"2 Weeks"'),
    (26, 'month', '"This"'), (27, 'MONTH', '12'), (28, 'MONTH', '[12, 1, 2, 1]'), (29, 'month', '[3]'),
    (30, 'anniversary', '"0 days"'), (31, 'ANNIVERSARY', '"1 week"'),
    (32, 'top', '1'), (33, 'top', '"1 %"'), (34, 'bottom', '"12.50%"'), (35, 'BOTTOM', '1e2')) AS t(n, o, v) ORDER BY n;
SELECT pg_temp.rule(j) FROM unnest(ARRAY['{"field": "x", "within": "30 days"}', '{"before": "2026-01-31", "field": "x"}', '{"field": "x", "next": "1 hour"}']) AS j;

-- Numbers.
SELECT v, pg_temp.one('=', v) FROM unnest('{0,-0,0e9,1.50,100,1e2,0.1e-2,1.5E+3,-12.000000001,999999999999999,1e14,999999999999999.999999999,0.0000000010,1000000000000000e-1,10e13,123e-9}'::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n;
SELECT v, pg_temp.one('=', v) FROM unnest('{1e15,-1e15,1000000000000000,0.0000000001,1e-10,1e400,1e-400,1e99999999999999999999,1e-99999999999999999999}'::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n;

-- Durations: of the same length alike where only the length counts, which is
-- after <, >=, WITHIN, BEFORE and NEXT; elsewhere the unit is that of an age.
SELECT d, pg_temp.one('WITHIN', format('"%s"', d)), pg_temp.one('>', format('"%s"', d)), pg_temp.one('=', format('"%s"', d))
FROM unnest('{1 day,1 days,01 day,"  7  DAYS ",1 week,4 weeks,24 hours,36 hours,1440 minutes,86400 seconds,90 seconds,60 minutes,12 months,18 months,24 month,1 year,0 years,0 seconds,200 years,2400 months,73050 days,2147483647 seconds}'::text[]) WITH ORDINALITY AS u(d, n) ORDER BY n;
SELECT d, pg_temp.one('WITHIN', format('"%s"', d))
FROM unnest('{201 years,2401 months,73051 days,10437 weeks,2147483648 seconds,99999999999999999999 days,-1 day,1.5 days,1day,days,1,"1 d",1 days ago,"1 fortnight","","1 dayss",1 month 2 days}'::text[]) WITH ORDINALITY AS u(d, n) ORDER BY n;

-- Days and times.
SELECT d, pg_temp.one('<', format('"%s"', d))
FROM unnest('{2026-01-31,2024-02-29,0001-01-01,9999-12-31,2026-01-31T12:00,2026-01-31T12:00Z,2026-01-31 12:00:00.500,2026-01-31t23:59:59.999999z,2026-01-31T00:30+02:00,2026-01-31T00:30:15.25-11:45,9999-12-31T23:59:59Z}'::text[]) WITH ORDINALITY AS u(d, n) ORDER BY n;
SELECT d, pg_temp.one('<', format('"%s"', d))
FROM unnest('{2026-02-29,2026-13-01,2026-00-01,2026-01-00,2026-01-32,0000-01-01,26-01-01,2026-1-1,2026-01-31T,2026-01-31T24:00,2026-01-31T12:60,2026-01-31T12:00:60,2026-01-31T12:00:00.,2026-01-31T12:00:00.1234567,2026-01-31T12,2026-01-31T12:00+2,2026-01-31T12:00+16:00,2026-01-31T12:00+01:60,2026-01-31T12:00Zx,0001-01-01T00:00+01:00,9999-12-31T23:59-01:00,tomorrow,infinity," 2026-01-31"}'::text[]) WITH ORDINALITY AS u(d, n) ORDER BY n;

-- Events and other segments.
SELECT pg_temp.rule(j) FROM unnest(ARRAY[
    '{"event": "search"}', '{"event": "search", "at_least": 3}', '{"event": "search", "at_most": 0}', '{"event": "search", "at_most": 5, "at_least": 2e0}',
    '{"where": {"to": ["LHR", "JFK", "LHR"], "cabin": ["first"], "seats": 2.0, "direct": true}, "within": "24 hours", "event": "search"}',
    '{"event": "search", "where": {}}', '{"event": "a\"b", "at_least": 0}', '{"segment": "At Risk"}']) WITH ORDINALITY AS u(j, n) ORDER BY n;

-- The laws of groups.
SELECT pg_temp.rule(replace(replace(replace(replace(j, 'A(', '{"logic": "and", "rules": ['), 'O(', '{"rules": [') , 'N(', '{"logic": "Not", "rules": ['), ')', ']}'))
FROM unnest(ARRAY[
    -- One part; repeated parts; parts in order; groups of one logic.
    'A({"segment": "a"})', 'A({"segment": "a"}, {"segment": "a"})', 'A({"segment": "b"}, {"segment": "a"}, {"segment": "c"})',
    'A({"segment": "c"}, A({"segment": "b"}, A({"segment": "a"})))', 'A({"segment": "b"}, N(A({"segment": "a"}, {"segment": "c"})))',
    -- NOT of NOT, of a group, of conditions with and without a complement.
    'N(N({"segment": "a"}))', 'N(N(N({"segment": "a"})))', 'N(A({"segment": "a"}))', 'A({"segment": "a"}, N(N(A({"segment": "b"}, {"segment": "a"}))))',
    'N({"field": "x", "operator": "=", "value": 1})', 'N({"field": "x", "operator": "!=", "value": 1})', 'N({"field": "x", "operator": "<", "value": "4 weeks"})',
    'N({"field": "x", "operator": ">=", "value": "2026-01-31"})', 'N({"field": "x", "operator": ">", "value": "4 weeks"})', 'N({"field": "x", "operator": "<=", "value": 1})',
    'N({"field": "x", "operator": "IN", "value": [2, 1]})', 'N({"field": "x", "operator": "IN", "value": [2, 2]})', 'N({"field": "x", "operator": "not in", "value": ["a", "b"]})',
    'N({"field": "x", "operator": "=", "value": null})', 'N({"field": "x", "operator": "is not null"})',
    'N({"field": "x", "operator": "BETWEEN", "value": [1, 2]})', 'N({"field": "x", "operator": "TOP", "value": 5})', 'N({"field": "x", "within": "1 day"})', 'N({"event": "e"})']) WITH ORDINALITY AS u(j, n) ORDER BY n;
SELECT pg_temp.rule('{"logic": " or ", "rules": [{"logic": "OR", "rules": [{"segment": "b"}, {"logic": "AND", "rules": [{"segment": "d"}, {"segment": "c"}]}]}, {"segment": "a"}]}');
-- Texts: escapes, characters of all sizes.
SELECT pg_temp.one('=', '"\u00e9\ud83d\ude00\t\"\\\/ x"');

-- What is no JSON.
SELECT pg_temp.rule(j) FROM unnest(ARRAY['', ' ', '{', '{"segment"', '{"segment": ', '{"segment": "a"', '{"segment": "a"} x', '{"segment": "a",}', '{segment: "a"}', '''a''', '{"segment": "a', '{"logic": "AND", "rules": [{"segment": "a"}, {"segment": b}]}',
    '{"field": "x", "operator": "IN", "value": [1, 2, 03]}', '{"field": "x", "operator": "=", "value": 1.}', '{"field": "x", "operator": "=", "value": NaN}', '{"field": "x", "operator": "=", "value": +1}', E'{"segment": "a\tb"}',
    '{"segment": "\u0000"}', '{"segment": "a\u0000b"}', '{"se\u0000gment": "a"}', '{"segment": "\ud83d"}', '{"segment": "\ude00"}', '{"segment": "\ud83d\u0041"}', '{"segment": "\ud83d\ud83d"}', '{"segment": "\u12"}', '{"segment": "\x"}',
    '{"segment": "a", "segment": "a"}', '{"logic": "AND", "rules": [{"field": "x", "operator": "=", "value": 1, "\u0066ield": "y"}]}', '{"event": "e", "where": {"a": 1, "a": 2}}']) WITH ORDINALITY AS u(j, n) ORDER BY n;

-- What has another shape.
SELECT pg_temp.rule(j) FROM unnest(ARRAY['null', 'true', '5', '"a"', '[]', '[{"segment": "a"}]', '{}', '{"value": 1}', '{"rules": []}', '{"logic": "AND"}', '{"logic": "AND", "rules": []}', '{"logic": "AND", "rules": {}}', '{"logic": "AND", "rules": null}',
    '{"logic": "XOR", "rules": [{"segment": "a"}]}', '{"logic": null, "rules": [{"segment": "a"}]}', '{"logic": "NOT", "rules": [{"segment": "a"}, {"segment": "b"}]}', '{"logic": "NOT", "rules": []}',
    '{"logic": "AND", "rules": [{"segment": "a"}], "field": "x"}', '{"logic": "AND", "rules": [{"segment": "a"}, [], {}]}', '{"logic": "AND", "rules": [{"logic": "OR", "rules": [{"segment": "a"}, {"Segment": "b"}]}]}',
    '{"segment": ""}', '{"segment": 5}', '{"segment": "a", "event": "b"}', '{"segment": "a", "value": "b"}',
    '{"field": "x"}', '{"field": "x", "operator": "="}', '{"field": "x", "value": 5}', '{"field": "", "operator": "=", "value": 5}', '{"field": null, "operator": "=", "value": 5}', '{"field": "x", "operator": "=", "value": 5, "unit": "USD"}',
    '{"field": "x", "operator": "=", "within": "1 day"}', '{"field": "x", "before": "1 day", "within": "1 day"}', '{"field": "segment:a", "operator": "=", "value": true}', '{"field": "TOP:1:x", "operator": "=", "value": true}',
    '{"event": ""}', '{"event": ["e"]}', '{"event": "e", "at_least": -1}', '{"event": "e", "at_least": 1.5}', '{"event": "e", "at_least": "3"}', '{"event": "e", "at_least": null}', '{"event": "e", "at_most": 2147483648}', '{"event": "e", "at_least": 3, "at_most": 2}',
    '{"event": "e", "within": 30}', '{"event": "e", "within": "2026-01-31"}', '{"event": "e", "where": []}', '{"event": "e", "where": {"a": null}}', '{"event": "e", "where": {"a": {"b": 1}}}', '{"event": "e", "where": {"a": []}}', '{"event": "e", "where": {"a": [1, "1"]}}', '{"event": "e", "where": {"": 1}}', '{"event": "e", "times": 3}']) WITH ORDINALITY AS u(j, n) ORDER BY n;

-- Operators and values that do not fit.
SELECT o, pg_temp.one(o, v) FROM (VALUES
    (1, '', '1'), (2, '==', '1'), (3, 'LIKE', '"a%"'), (4, 'IS  NOT', NULL), (5, '=', '[1]'), (6, '=', '{}'), (7, '<', 'null'), (8, '<', 'true'), (9, '<', '"abc"'), (10, '<', '[1]'),
    (11, 'IN', '1'), (12, 'IN', '[]'), (13, 'IN', '[1, null]'), (14, 'IN', '[null]'), (15, 'IN', '[1, "1"]'), (16, 'IN', '[true, 1]'), (17, 'IN', '[[1]]'), (18, 'IN', '{"a": 1}'),
    (19, 'BETWEEN', '[1]'), (20, 'BETWEEN', '[1, 2, 3]'), (21, 'BETWEEN', '[2, 1]'), (22, 'BETWEEN', '{"low": 1, "high": 2}'), (23, 'BETWEEN', '["a", "b"]'), (24, 'BETWEEN', '["2026-02-01", "2026-01-31"]'),
    (25, 'BETWEEN', '["2 days", "1 day"]'), (26, 'BETWEEN', '["1 day", "2026-01-31"]'), (27, 'BETWEEN', '[1, "2"]'), (28, 'BETWEEN', '[true, true]'), (29, 'BETWEEN', '["2026-02-01T00:00+01:00", "2026-01-31T22:00Z"]'),
    (30, 'CONTAINS', '""'), (31, 'CONTAINS', '5'), (32, 'STARTS WITH', '["a"]'), (33, 'IS NULL', 'true'), (34, 'IS NOT NULL', '0'),
    (35, 'WITHIN', '30'), (36, 'NEXT', '"2026-01-31"'), (37, 'BEFORE', '30'), (38, 'BEFORE', '"yesterday"'),
    (39, 'MONTH', '0'), (40, 'MONTH', '13'), (41, 'MONTH', '1.5'), (42, 'MONTH', '"May"'), (43, 'MONTH', '["this"]'), (44, 'MONTH', '[]'), (45, 'MONTH', '[1, 13]'), (46, 'MONTH', 'true'),
    (47, 'ANNIVERSARY', '"1 hour"'), (48, 'ANNIVERSARY', '"1 month"'), (49, 'ANNIVERSARY', '"367 days"'), (50, 'ANNIVERSARY', '7'),
    (51, 'TOP', '0'), (52, 'TOP', '-1'), (53, 'TOP', '100.1'), (54, 'TOP', '"1"'), (55, 'TOP', '"one %"'), (56, 'TOP', '"%"'), (57, 'TOP', '[1]'), (58, 'BOTTOM', '"101 %"')) AS t(n, o, v) ORDER BY n;

-- Limits: the last that is taken and the first that is not.
SELECT n, length(pg_temp.one('=', to_json(repeat('a', n))::text)), left(pg_temp.one('=', to_json(repeat('a', n))::text), 150) FROM unnest('{1000,1001}'::integer[]) AS n;
SELECT n, left(pg_temp.one('=', to_json(repeat('é', n))::text), 150) FROM unnest('{501}'::integer[]) AS n;
SELECT n, left(pg_temp.rule(format('{"field": "%s", "operator": "IS NULL"}', repeat('f', n))), 150) FROM unnest('{63,64}'::integer[]) AS n;
SELECT n, left(pg_temp.rule(format('{"segment": "%s"}', repeat('s', n))), 150) FROM unnest('{400,401}'::integer[]) AS n;
SELECT n, left(pg_temp.one('IN', (SELECT json_agg(i) FROM generate_series(1, n) AS i)::text), 150) FROM unnest('{1000,1001}'::integer[]) AS n;
SELECT n, left(pg_temp.rule(format('{"event": "e", "where": {%s}}', (SELECT string_agg(format('"k%s": 1', i), ', ') FROM generate_series(1, n) AS i))), 100) FROM unnest('{100,101}'::integer[]) AS n;
-- Groups in groups.
SELECT n, left(pg_temp.rule(repeat('{"logic": "OR", "rules": [{"segment": "o"}, {"logic": "AND", "rules": [{"segment": "a"}, ', n / 2) || repeat('{"logic": "OR", "rules": [{"segment": "o"}, ', n % 2) || '{"segment": "s"}' || repeat(']}', n)), 300) FROM unnest('{20,21}'::integer[]) AS n;
SELECT n, pg_temp.rule(repeat('{"logic": "NOT", "rules": [', n) || '{"segment": "s"}' || repeat(']}', n)) FROM unnest('{20,21,1000}'::integer[]) AS n;
SELECT pg_temp.rule(repeat('[', 30000)), pg_temp.rule(repeat('{"a":', 10000));
-- Bytes, as given and in canonical form.
SELECT n, left(pg_temp.rule('{"segment": "s"}' || repeat(' ', n - 16)), 150) FROM unnest('{65536,65537}'::integer[]) AS n;
SELECT n, left(pg_temp.rule(format('{"logic":"OR","rules":[%s]}', (SELECT string_agg(format('{"field":"f","next":"%s days"}', i), ',') FROM generate_series(1, n) AS i))), 150) FROM unnest('{900,1900}'::integer[]) AS n;
-- Inputs that are hostile by size.
SELECT left(pg_temp.rule(j), 150) FROM unnest(ARRAY[
    '{"field": "f", "operator": "=", "value": 1' || repeat('0', 65000) || 'e-65000}', '{"field": "f", "operator": "=", "value": 0.' || repeat('0', 65000) || '1}', '{"field": "f", "operator": "=", "value": 1e' || repeat('9', 65000) || '}',
    '{"field": "f", "operator": "=", "value": "' || repeat('\u0041', 10000) || '"}', '{"field": "f", "operator": "' || repeat('x', 65000) || '", "value": 1}', '{"field": "f", "within": "' || repeat('9', 65000) || ' days"}', '{"field": "f", "within": "1' || repeat(' ', 65000) || 'day"}',
    '{"' || repeat('k', 65000) || '": 1}', '{"logic": "AND", "rules": [{"' || repeat('é', 30000) || '": 1}]}', '{"logic": "AND", "rules": [{"' || repeat('é', 30000) || '": [', '{' || (SELECT string_agg(format('"k%s":1', i), ',') FROM generate_series(1, 6000) AS i) || '}',
    '{"field": "f", "operator": "IN", "value": [' || repeat('[', 5000), repeat(E'\n', 65000) || 'x', repeat('{"logic":"NOT","rules":[', 1000000)]) WITH ORDINALITY AS u(j, n) ORDER BY n;
SELECT left(pg_temp.rule(jsonb_build_object('field', 'f', 'operator', '=', 'value', 10::numeric ^ 100000)::text), 150);

-- Casts and assignments.
CREATE TEMP TABLE kept (rule segment_rule);
INSERT INTO kept VALUES ('{"segment": "a"}'), ('{"segment": "b"}'::jsonb), (jsonb_build_object('segment', 'c')), (NULL);
INSERT INTO kept SELECT jsonb '{"segment": "d"}';
UPDATE kept SET rule = '{"segment": "e"}'::text::segment_rule WHERE rule = '{"segment": "d"}';
SELECT rule, rule::text, rule::jsonb, pg_typeof(rule) FROM kept ORDER BY rule::text;
SELECT '{"field": "x", "operator": "BETWEEN", "value": [1.0, 2]}'::segment_rule::jsonb;
SAVEPOINT s;
INSERT INTO kept VALUES ('{"segment": "a"}'::text);
ROLLBACK TO s;
INSERT INTO kept VALUES ('{"segment": 1}'::jsonb);
ROLLBACK TO s;
SELECT segment_rule_send('{"segment":"a"}');

-- Equality, order, hash.
SELECT a = b, a <> b, a < b, a <= b, a > b, a >= b, segment_rule_cmp(a, b), segment_rule_hash(a) = segment_rule_hash(b), segment_rule_hash_extended(a, 7) = segment_rule_hash_extended(b, 7)
FROM (VALUES ('{"segment": "a"}'::segment_rule, '{"logic": "AND", "rules": [{"segment": "a"}]}'::segment_rule), ('{"segment": "a"}', '{"segment": "b"}'), ('{"segment": "b"}', '{"segment": "a"}'), (NULL, '{"segment": "a"}')) AS v(a, b);
SELECT count(DISTINCT rule), count(rule) FROM (SELECT rule FROM kept UNION ALL SELECT rule FROM kept) AS u;
CREATE UNIQUE INDEX kept_rule ON kept (rule);
CREATE INDEX kept_hash ON kept USING hash (rule);
INSERT INTO kept VALUES ('{"rules": [{"segment": "b"}], "logic": "and"}');
ROLLBACK TO s;

-- Facts.
SELECT fact, kind, definition FROM segment_rule_facts('{"logic": "AND", "rules": [
    {"field": "customer.totalSpend", "operator": ">=", "value": 1}, {"field": "customer.totalSpend", "operator": "TOP", "value": "5 %"}, {"field": "customer.totalSpend", "operator": "<", "value": 10},
    {"field": "customer.totalSpend", "operator": "bottom", "value": 0.50}, {"segment": "At Risk"}, {"logic": "NOT", "rules": [{"segment": "At Risk"}]},
    {"event": "search", "within": "1 week", "where": {"to": "JFK"}}, {"event": "search", "at_least": 9, "within": "7 days", "where": {"to": ["JFK"]}}, {"event": "search"}]}');
SELECT * FROM segment_rule_facts(NULL);

-- Rules of rules.
SELECT segment_rule_and('{"segment": "b"}', '{"logic": "AND", "rules": [{"segment": "c"}, {"segment": "a"}]}');
SELECT segment_rule_or('{"segment": "b"}', '{"logic": "AND", "rules": [{"segment": "c"}, {"segment": "a"}]}');
SELECT segment_rule_or('{"segment": "b"}', '{"segment": "b"}');
SELECT segment_rule_not('{"segment": "b"}'), segment_rule_not(segment_rule_not('{"segment": "b"}')), segment_rule_not('{"field": "x", "operator": "IS NULL"}');
SELECT segment_rule_and(NULL, '{"segment": "b"}') IS NULL, segment_rule_or('{"segment": "b"}', NULL) IS NULL, segment_rule_not(NULL) IS NULL, segment_rule_replace(NULL, '{}', '{}') IS NULL;
SELECT segment_rule_replace('{"logic": "OR", "rules": [{"segment": "a"}, {"field": "x", "operator": "TOP", "value": 1}, {"field": "y", "operator": "=", "value": 1}]}', facts, rules)
FROM (VALUES (1, '{}'::text[], '{}'::segment_rule[]),
    (2, '{segment:a}', ARRAY['{"logic": "OR", "rules": [{"segment": "a"}, {"segment": "b"}]}'::segment_rule]),
    (3, '{top:1:x,segment:a}', ARRAY['{"field": "x", "operator": ">=", "value": 99.5}', '{"field": "y", "operator": "=", "value": 1}']::segment_rule[]),
    (4, '{top:1:x,segment:a,y,other}', ARRAY['{"segment": "b"}', '{"segment": "b"}', '{"segment": "b"}', '{"segment": "c"}']::segment_rule[])) AS v(n, facts, rules) ORDER BY n;
SAVEPOINT s;
SELECT segment_rule_replace('{"segment": "a"}', '{a,NULL}', ARRAY['{"segment": "a"}', '{"segment": "a"}']::segment_rule[]);
ROLLBACK TO s;
SELECT segment_rule_replace('{"segment": "a"}', '{a}', ARRAY[NULL::segment_rule]);
ROLLBACK TO s;
SELECT segment_rule_replace('{"segment": "a"}', '{a}', '{}');
ROLLBACK TO s;
SELECT segment_rule_replace('{"segment": "a"}', '{a,b,a}', ARRAY['{"segment": "a"}', '{"segment": "b"}', '{"segment": "c"}']::segment_rule[]);
ROLLBACK TO s;
ROLLBACK;
