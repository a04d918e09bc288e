-- Properties of segment_rule: rules that are written in other ways are equal,
-- the canonical form keeps the meaning, replacing does what it says; and
-- hostile input. The same on every run.
BEGIN;
SELECT plan(26);
SELECT setseed(0.375);
SET LOCAL client_min_messages TO error;
SET LOCAL search_path TO iaros, public;

-- A number from 0 to below n; one of several.
CREATE FUNCTION pg_temp.pick(n bigint) RETURNS integer LANGUAGE sql AS $$
    SELECT floor(random() * n)::integer $$;
CREATE FUNCTION pg_temp.one(choices anyarray) RETURNS anyelement LANGUAGE sql AS $$
    SELECT choices[1 + pg_temp.pick(cardinality(choices))] $$;

-- Random rules -------------------------------------------------------------

-- Some values of a list, as JSON.
CREATE FUNCTION pg_temp.some(choices text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb := '[]';
BEGIN
    FOR i IN 0..pg_temp.pick(4) LOOP
        result := result || pg_temp.one(choices)::jsonb;
    END LOOP;
    RETURN result;
END $$;

-- A condition that pg_temp.holds() can tell of a record.
CREATE FUNCTION pg_temp.condition() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    field text := pg_temp.one('{n1,n2,t1,t2,b1,s1,s2,s3}'::text[]);
    numbers text[] := '{-2,-1,-0.5,0,0.5,1,2,10}';
    texts text[] := '{"\"a\"","\"b\"","\"ab\"","\"ba\"","\"éa\"","\"1 day\""}';
    pair numeric[];
    operator text;
BEGIN
    IF field ~ '^s' THEN
        RETURN jsonb_build_object('segment', field);
    END IF;
    IF pg_temp.pick(6) = 0 THEN
        RETURN pg_temp.one(ARRAY[jsonb_build_object('field', field, 'operator', 'IS NULL'), jsonb_build_object('field', field, 'operator', '!=', 'value', NULL)]);
    END IF;
    operator := pg_temp.one(CASE left(field, 1) WHEN 'n' THEN '{=,!=,<,<=,>,>=,IN,NOT IN,BETWEEN}' WHEN 't' THEN '{=,!=,IN,NOT IN,CONTAINS,STARTS WITH}' ELSE '{=,!=,IN}' END::text[]);
    IF operator = 'BETWEEN' THEN
        pair := ARRAY[pg_temp.one(numbers)::numeric, pg_temp.one(numbers)::numeric];
        RETURN jsonb_build_object('field', field, 'operator', operator, 'value', jsonb_build_array(least(pair[1], pair[2]), greatest(pair[1], pair[2])));
    END IF;
    IF field ~ '^b' THEN
        numbers := '{true,false}';
    ELSIF field ~ '^t' THEN
        numbers := texts;
    END IF;
    RETURN jsonb_build_object('field', field, 'operator', operator, 'value', CASE WHEN operator ~ 'IN$' THEN pg_temp.some(numbers) ELSE pg_temp.one(numbers)::jsonb END);
END $$;

-- A condition of the kinds that need more than a record.
CREATE FUNCTION pg_temp.other() RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.one(ARRAY[
        '{"field": "d1", "within": "30 days"}', '{"field": "d1", "before": "2026-01-31"}', '{"field": "d1", "operator": "NEXT", "value": "48 hours"}', '{"field": "d1", "operator": ">", "value": "2 weeks"}',
        '{"field": "d1", "operator": "BETWEEN", "value": ["2026-01-01T00:00+01:00", "2026-01-31"]}', '{"field": "d1", "operator": "MONTH", "value": [3, 1, 2]}', '{"field": "d1", "operator": "ANNIVERSARY", "value": "1 week"}',
        '{"field": "n1", "operator": "TOP", "value": "1 %"}', '{"field": "n1", "operator": "BOTTOM", "value": 12.5}', '{"event": "search"}',
        '{"event": "search", "at_least": 2, "at_most": 9, "within": "2 weeks", "where": {"to": ["JFK", "LHR"], "seats": 2}}', '{"event": "purchase", "at_most": 0}']::jsonb[]) $$;

-- A rule of at most so many groups in groups.
CREATE FUNCTION pg_temp.draw(depth integer, others boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    parts jsonb := '[]';
BEGIN
    IF depth = 0 OR pg_temp.pick(4) = 0 THEN
        RETURN CASE WHEN others AND pg_temp.pick(3) = 0 THEN pg_temp.other() ELSE pg_temp.condition() END;
    END IF;
    IF pg_temp.pick(4) = 0 THEN
        RETURN jsonb_build_object('logic', 'NOT', 'rules', jsonb_build_array(pg_temp.draw(depth - 1, others)));
    END IF;
    FOR i IN 0..pg_temp.pick(4) LOOP
        parts := parts || jsonb_build_array(pg_temp.draw(depth - 1, others));
    END LOOP;
    RETURN jsonb_build_object('logic', pg_temp.one('{AND,OR}'::text[]), 'rules', parts);
END $$;

-- Other words for the same rule ---------------------------------------------

-- A number or a text in another spelling.
CREATE FUNCTION pg_temp.spell(value jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN pg_temp.one(ARRAY[value::text, to_char(value::numeric, 'FM9990.00'), (value::numeric * 1000)::text || 'e-3', (value::numeric / 10)::text || 'E1'])
        WHEN 'array' THEN '[' || (SELECT string_agg(pg_temp.spell(v), ',' ORDER BY n) FROM jsonb_array_elements(value) WITH ORDINALITY AS e(v, n)) || ']'
        WHEN 'string' THEN replace(value::text, 'a', pg_temp.one('{a,\\u0061}'::text[]))
        ELSE value::text END $$;

-- An object with its keys in any order.
CREATE FUNCTION pg_temp.object(parts text[]) RETURNS text LANGUAGE sql AS $$
    SELECT '{' || string_agg(p, ' , ' ORDER BY random()) || '}' FROM unnest(parts) AS p $$;

-- A condition in other words, or by way of NOT.
CREATE FUNCTION pg_temp.reword(rule jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    operator text := rule ->> 'operator';
    value jsonb := rule -> 'value';
    opposite text;
    result text[];
BEGIN
    IF operator IS NULL OR rule ->> 'field' = 'd1' OR operator IN ('TOP', 'BOTTOM') THEN
        RETURN pg_temp.object(ARRAY(SELECT format('%s:%s', to_json(e.key), e.value) FROM jsonb_each(rule) AS e));
    END IF;
    IF operator IN ('=', '!=') AND value <> 'null' AND pg_temp.pick(2) = 0 THEN
        operator := CASE operator WHEN '=' THEN 'IN' ELSE 'NOT IN' END;
        value := jsonb_build_array(value);
    END IF;
    opposite := CASE operator WHEN '=' THEN '!=' WHEN '!=' THEN '=' WHEN '<' THEN '>=' WHEN '>=' THEN '<' WHEN '<=' THEN '>' WHEN '>' THEN '<='
        WHEN 'IN' THEN 'NOT IN' WHEN 'NOT IN' THEN 'IN' WHEN 'IS NULL' THEN 'IS NOT NULL' END;
    IF pg_temp.pick(2) = 0 THEN
        opposite := NULL;
    END IF;
    IF operator ~ 'IN$' THEN
        value := (SELECT jsonb_agg(u.v ORDER BY random()) FROM (SELECT v FROM jsonb_array_elements(value) AS v UNION ALL SELECT value -> 0) AS u);
    END IF;
    operator := coalesce(opposite, operator);
    operator := pg_temp.one(ARRAY[operator, lower(operator), ' ' || replace(operator, ' ', '\t ')]);
    IF btrim(operator) = '!=' THEN
        operator := pg_temp.one('{!=,<>}'::text[]);
    END IF;
    result := ARRAY[format('"field":%s', rule -> 'field'), format('"operator":"%s"', operator)];
    IF value IS NOT NULL THEN
        result := result || format('"value":%s', pg_temp.spell(value));
    END IF;
    RETURN format(CASE WHEN opposite IS NULL THEN '%s' ELSE '{"rules":[%s],"logic":"not"}' END, pg_temp.object(result));
END $$;

-- A rule with its parts in another order, repeated and nested.
CREATE FUNCTION pg_temp.scramble(rule jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    parts text[];
    logic text := rule ->> 'logic';
    result text;
    n integer;
BEGIN
    IF logic IS NULL THEN
        result := pg_temp.reword(rule);
    ELSE
        FOR i IN 0..jsonb_array_length(rule -> 'rules') - 1 LOOP
            parts := parts || pg_temp.scramble(rule -> 'rules' -> i);
        END LOOP;
        IF logic <> 'NOT' THEN
            IF pg_temp.pick(2) = 0 THEN
                parts := parts || pg_temp.scramble(rule -> 'rules' -> pg_temp.pick(cardinality(parts)));
            END IF;
            parts := ARRAY(SELECT p FROM unnest(parts) AS p ORDER BY random());
            n := 1 + pg_temp.pick(cardinality(parts));
            IF pg_temp.pick(3) = 0 THEN
                parts := parts[n + 1:] || format('{"logic":"%s","rules":[%s]}', logic, array_to_string(parts[1:n], ','));
            END IF;
        END IF;
        result := format('{"logic":"%s","rules":[%s]}', pg_temp.one(ARRAY[logic, lower(logic), initcap(logic) || ' ']), array_to_string(parts, ','));
    END IF;
    CASE pg_temp.pick(8)
        WHEN 0 THEN RETURN format('{"logic":"AND","rules":[%s]}', result);
        WHEN 1 THEN RETURN format('{"logic":"OR","rules":[%s]}', result);
        WHEN 2 THEN RETURN format('{"logic":"NOT","rules":[{"logic":"NOT","rules":[%s]}]}', result);
        ELSE RETURN result;
    END CASE;
END $$;

-- What a rule means ----------------------------------------------------------

-- Tells whether a rule holds for a record, given as JSON, by SQL's logic.
CREATE FUNCTION pg_temp.holds(rule jsonb, record jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known text := record ->> (rule ->> 'field');
    value text := rule ->> 'value';
    parts boolean[];
BEGIN
    IF rule ? 'logic' THEN
        parts := ARRAY(SELECT pg_temp.holds(r, record) FROM jsonb_array_elements(rule -> 'rules') AS r);
        RETURN CASE rule ->> 'logic' WHEN 'NOT' THEN NOT parts[1]
            WHEN 'AND' THEN (SELECT CASE WHEN bool_or(p IS FALSE) THEN false WHEN bool_or(p IS NULL) THEN NULL ELSE true END FROM unnest(parts) AS p)
            ELSE (SELECT CASE WHEN bool_or(p) THEN true WHEN bool_or(p IS NULL) THEN NULL ELSE false END FROM unnest(parts) AS p) END;
    ELSIF rule ? 'segment' THEN
        RETURN (record ->> ('segment:' || (rule ->> 'segment')))::boolean;
    ELSIF rule ->> 'operator' = 'IS NULL' OR (rule ->> 'operator' = '=' AND value IS NULL) THEN
        RETURN known IS NULL;
    ELSIF rule ->> 'operator' = 'IS NOT NULL' OR (rule ->> 'operator' = '!=' AND value IS NULL) THEN
        RETURN known IS NOT NULL;
    ELSIF known IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN CASE rule ->> 'operator'
        WHEN 'CONTAINS' THEN strpos(known, value) > 0
        WHEN 'STARTS WITH' THEN starts_with(known, value)
        WHEN 'BETWEEN' THEN known::numeric BETWEEN (rule -> 'value' ->> 0)::numeric AND (rule -> 'value' ->> 1)::numeric
        WHEN 'IN' THEN rule -> 'value' @> (record -> (rule ->> 'field'))
        WHEN 'NOT IN' THEN NOT rule -> 'value' @> (record -> (rule ->> 'field'))
        WHEN '=' THEN rule -> 'value' = record -> (rule ->> 'field')
        WHEN '!=' THEN rule -> 'value' <> record -> (rule ->> 'field')
        WHEN '<' THEN known::numeric < value::numeric
        WHEN '<=' THEN known::numeric <= value::numeric
        WHEN '>' THEN known::numeric > value::numeric
        WHEN '>=' THEN known::numeric >= value::numeric END;
END $$;

-- A record, with NULLs.
CREATE FUNCTION pg_temp.record() RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'n1', pg_temp.one('{-2,-1,-0.5,0,0.5,1,2,10,NULL,3}'::numeric[]), 'n2', pg_temp.one('{-2,-1,0,1,2,NULL}'::numeric[]),
        't1', pg_temp.one('{a,b,ab,ba,éa,1 day,"",NULL}'::text[]), 't2', pg_temp.one('{a,b,NULL}'::text[]), 'b1', pg_temp.one('{t,f,NULL}'::boolean[]),
        'segment:s1', pg_temp.one('{t,f,NULL}'::boolean[]), 'segment:s2', pg_temp.one('{t,f,NULL}'::boolean[]), 'segment:s3', pg_temp.one('{t,f}'::boolean[])) $$;

CREATE TEMP TABLE drawn (n integer PRIMARY KEY, source jsonb, rule segment_rule, again text);
DO $$
DECLARE
    source jsonb;
BEGIN
    FOR i IN 1..3000 LOOP
        source := pg_temp.draw(3, true);
        INSERT INTO drawn VALUES (i, source, source, pg_temp.scramble(source));
    END LOOP;
END $$;
SELECT cmp_ok((SELECT count(DISTINCT d.rule) FROM drawn d), '>', 1800::bigint, '3,000 random rules, most of them different');
SELECT cmp_ok((SELECT count(*) FROM drawn d WHERE d.again <> d.source::text), '>', 2900::bigint, 'written again in other words');
SELECT is_empty('SELECT n, source, again FROM drawn WHERE again::segment_rule <> rule OR again::segment_rule::text <> rule::text', 'these are equal');
SELECT is_empty('SELECT n FROM drawn WHERE segment_rule_hash(again::segment_rule) <> segment_rule_hash(rule) OR segment_rule_hash_extended(again::segment_rule, n) <> segment_rule_hash_extended(rule, n)', 'and have the same hash');
SELECT is_empty('SELECT n FROM drawn WHERE rule::text::segment_rule <> rule OR rule::text::segment_rule::text <> rule::text', 'rules read back from their text');
SELECT is_empty('SELECT n FROM drawn WHERE rule::jsonb::segment_rule <> rule OR rule::jsonb <> rule::text::jsonb', 'and from jsonb');
SELECT is_empty('SELECT a.n, b.n FROM drawn a JOIN drawn b ON (a.rule = b.rule) <> (a.rule::text = b.rule::text) WHERE a.n <= 300', 'rules are equal where their texts are');
SELECT is_empty('SELECT a.n, b.n FROM drawn a JOIN drawn b ON (a.rule < b.rule) <> (b.rule > a.rule) OR (a.rule <= b.rule) = (a.rule > b.rule) OR sign(segment_rule_cmp(a.rule, b.rule)) <> -sign(segment_rule_cmp(b.rule, a.rule)) WHERE a.n <= 300 AND b.n <= 300',
    'the order is one');
SELECT is_empty('SELECT n FROM drawn WHERE segment_rule_not(segment_rule_not(rule)) <> rule OR segment_rule_and(rule, rule) <> rule OR segment_rule_or(rule, rule) <> rule', 'NOT of NOT and parts that repeat go');
SELECT is_empty('SELECT a.n FROM drawn a JOIN drawn b ON b.n = a.n + 1 JOIN drawn c ON c.n = a.n + 2
    WHERE segment_rule_and(a.rule, segment_rule_and(b.rule, c.rule)) <> segment_rule_and(segment_rule_and(c.rule, a.rule), b.rule)
       OR segment_rule_or(a.rule, segment_rule_or(b.rule, c.rule)) <> segment_rule_or(segment_rule_or(c.rule, a.rule), b.rule)
       OR segment_rule_and(a.rule, b.rule) <> format(''{"logic": "AND", "rules": [%s, %s]}'', b.again, a.again)::segment_rule
       OR segment_rule_not(a.rule) <> format(''{"logic": "NOT", "rules": [%s]}'', a.again)::segment_rule', 'AND, OR and NOT are those of groups');
CREATE INDEX drawn_rule ON drawn (rule);
CREATE INDEX drawn_hash ON drawn USING hash (rule);
SET LOCAL enable_seqscan TO off;
SELECT is((SELECT sum((SELECT count(*) FROM drawn b WHERE b.rule = a.again::segment_rule)) FROM drawn a), (SELECT sum(g.n * g.n) FROM (SELECT count(*) AS n FROM drawn d GROUP BY d.rule::text) g), 'indexes find them');
RESET enable_seqscan;

-- Facts: each that the JSON names, once.
CREATE TEMP TABLE named AS
SELECT DISTINCT d.n, CASE WHEN o ? 'event' THEN o - '{at_least,at_most}'::text[] WHEN o ? 'segment' OR o ->> 'operator' IN ('TOP', 'BOTTOM') THEN o
    ELSE jsonb_build_object('field', o -> 'field') END AS definition
FROM drawn d CROSS JOIN LATERAL jsonb_path_query(d.rule::jsonb, 'strict $.** ? (exists(@.field) || exists(@.event) || exists(@.segment))') AS o;
SELECT bag_eq('SELECT n, definition FROM named', 'SELECT d.n, f.definition FROM drawn d CROSS JOIN LATERAL segment_rule_facts(d.rule) f', 'segment_rule_facts() lists all facts and nothing else');
SELECT is_empty('SELECT d.n, f.fact FROM drawn d CROSS JOIN LATERAL segment_rule_facts(d.rule) f GROUP BY d.n, f.fact HAVING count(*) > 1
    UNION ALL SELECT 0, f.fact FROM drawn d CROSS JOIN LATERAL segment_rule_facts(d.rule) f GROUP BY f.fact HAVING count(DISTINCT f.definition) > 1 OR count(DISTINCT f.kind) > 1
    UNION ALL SELECT 0, f.definition::text FROM drawn d CROSS JOIN LATERAL segment_rule_facts(d.rule) f GROUP BY f.definition HAVING count(DISTINCT f.fact) > 1', 'each once, by one name');
SELECT is_empty($$SELECT f.fact, f.kind FROM drawn d CROSS JOIN LATERAL segment_rule_facts(d.rule) f
    WHERE f.fact !~ CASE f.kind WHEN 'event' THEN '^event:[0-9a-f]{16}$' WHEN 'segment' THEN '^segment:s[123]$' WHEN 'top' THEN '^top:1:n1$' WHEN 'bottom' THEN '^bottom:12.5:n1$' ELSE '^[ntbd][12]$' END$$, 'names of facts say their kind');

-- Meaning.
CREATE TEMP TABLE meant (n integer PRIMARY KEY, source jsonb, rule segment_rule, inner_source jsonb, inlined segment_rule, record jsonb);
DO $$
DECLARE
    source jsonb;
    inside jsonb;
    fact text;
BEGIN
    FOR i IN 1..4000 LOOP
        source := pg_temp.draw(3, false);
        inside := pg_temp.draw(2, false);
        fact := pg_temp.one('{s1,s2}'::text[]);
        INSERT INTO meant VALUES (i, source, source, jsonb_build_object(fact, inside), segment_rule_replace(source::segment_rule, ARRAY['segment:' || fact, 'segment:other'], ARRAY[inside::segment_rule, '{"segment": "s3"}']), pg_temp.record());
    END LOOP;
END $$;
SELECT is((SELECT count(DISTINCT coalesce(pg_temp.holds(m.source, m.record)::text, 'unknown')) FROM meant m), 3::bigint, 'random rules hold, do not hold, or neither');
SELECT is_empty('SELECT m.n, m.source, m.rule, m.record FROM meant m WHERE pg_temp.holds(m.source, m.record) IS DISTINCT FROM pg_temp.holds(m.rule::jsonb, m.record)', 'the canonical form means the same, where it is unknown, too');
SELECT is_empty('SELECT m.n, m.source FROM meant m WHERE pg_temp.holds(segment_rule_not(m.rule)::jsonb, m.record) IS DISTINCT FROM NOT pg_temp.holds(m.source, m.record)', 'segment_rule_not() negates');
SELECT is_empty($$SELECT m.n, m.source, m.inner_source, m.inlined FROM meant m CROSS JOIN LATERAL jsonb_each(m.inner_source) AS e(segment, inside)
    WHERE pg_temp.holds(m.inlined::jsonb, m.record) IS DISTINCT FROM pg_temp.holds(m.source, m.record || jsonb_build_object('segment:' || e.segment, pg_temp.holds(e.inside, m.record)))$$,
    'segment_rule_replace() puts the meaning of a rule in the place of a fact');
SELECT is_empty('SELECT n FROM meant WHERE length(inlined::text) < 60000 AND inlined::text::segment_rule <> inlined', 'and its result is canonical');

-- Bounds of rules that are made of rules.
CREATE FUNCTION pg_temp.nested(levels integer) RETURNS segment_rule LANGUAGE plpgsql AS $$
DECLARE
    result segment_rule := '{"segment": "s"}';
BEGIN
    FOR i IN 1..levels LOOP
        result := CASE i % 2 WHEN 0 THEN segment_rule_or(result, '{"segment": "o"}') ELSE segment_rule_and(result, '{"segment": "a"}') END;
    END LOOP;
    RETURN result;
END $$;
SELECT is(length(pg_temp.nested(100)::text) > 4000, true, 'rules of rules may have 100 levels');
SELECT throws_ok('SELECT pg_temp.nested(101)', '54000', NULL, 'but not more');
CREATE TEMP TABLE wide AS
SELECT (SELECT format('{"logic": "OR", "rules": [%s]}', string_agg(format('{"segment": "%s"}', i), ',')) FROM generate_series(1, 2000) AS i)::segment_rule AS rule,
    (SELECT array_agg('segment:' || i ORDER BY i) FROM generate_series(1, 2000) AS i) AS facts,
    (SELECT array_agg(format('{"logic": "AND", "rules": [%s]}', (SELECT string_agg(format('{"segment": "%s.%s"}', i, j), ',') FROM generate_series(1, 3) AS j))::segment_rule ORDER BY i) FROM generate_series(1, 2000) AS i) AS rules,
    (SELECT array_agg(format('{"field": "f%s", "operator": "IN", "value": [%s]}', i, (SELECT string_agg(to_json(repeat(j::text, 200))::text, ',') FROM generate_series(1, 100) AS j))::segment_rule ORDER BY i) FROM generate_series(1, 2000) AS i) AS long_rules;
SELECT throws_ok('SELECT segment_rule_replace(rule, facts, rules) FROM wide', '54000', 'rule made of rules is too large', 'no more than 10,000 conditions and groups');
SELECT throws_ok('SELECT segment_rule_replace(rule, facts, long_rules) FROM wide', '54000', 'rule made of rules is too large', 'nor than a megabyte');
SELECT is((SELECT count(*) FROM wide CROSS JOIN LATERAL segment_rule_facts(segment_rule_replace(rule, facts[:1900], rules[:1900]))), 5800::bigint, 'a rule of 7,701 conditions and groups');

-- Hostile input -----------------------------------------------------------

CREATE TEMP TABLE fuzz_outcome (form text, round integer, input bytea, state text, message text);
CREATE TEMP TABLE fuzz_in (rule segment_rule);
\set directory `mktemp -d /tmp/iaros_fuzz.XXXXXXXX`
\set opened `chmod 777 :'directory'`
SELECT set_config('fuzz.file', :'directory' || '/input', true) \g /dev/null

-- Notes what COPY read, so that nothing need be stored.
CREATE FUNCTION pg_temp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('fuzz.value', NEW.rule::text, true);
    RETURN NULL;
END $$;
CREATE TRIGGER note BEFORE INSERT ON fuzz_in FOR EACH ROW EXECUTE FUNCTION pg_temp.note();

-- Takes an input in, as text or as the binary message of a client.
CREATE FUNCTION pg_temp.taken(form text, input bytea) RETURNS segment_rule LANGUAGE plpgsql AS $$
DECLARE
    object oid;
BEGIN
    IF form = 'text' THEN
        RETURN convert_from(input, 'UTF8')::segment_rule;
    END IF;
    object := lo_from_bytea(0, '\x5047434f50590aff0d0a00'::bytea || '\x0000000000000000'::bytea
        || int2send(1::smallint) || int4send(length(input)) || input || int2send((-1)::smallint));
    PERFORM lo_export(object, current_setting('fuzz.file')), lo_unlink(object);
    EXECUTE format('COPY fuzz_in FROM %L (FORMAT binary)', current_setting('fuzz.file'));
    RETURN current_setting('fuzz.value');
END $$;

-- Tries one input, and what comes back if it was taken.
CREATE FUNCTION pg_temp.try(form text, round integer, input bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    outcome text := 'taken';
    message text;
    detail text;
    value segment_rule;
BEGIN
    BEGIN
        value := pg_temp.taken(form, input);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS outcome = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        IF outcome IN ('22P02', '22023', '54000') AND detail !~ '^At (the top|[["[:alnum:]_].*)[.]' THEN
            outcome := 'nowhere ' || outcome;
        END IF;
    END;
    IF outcome = 'taken' THEN
        BEGIN
            IF value::text::segment_rule::text <> value::text OR value::jsonb::segment_rule <> value
                OR segment_rule_not(segment_rule_not(value)) <> value OR NOT EXISTS (SELECT FROM segment_rule_facts(value))
                OR (round % 8 = 0 AND pg_temp.taken('binary', segment_rule_send(value)) <> value) THEN
                outcome := 'changed';
                message := value;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS outcome = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            outcome := 'lost ' || outcome;
        END;
    END IF;
    INSERT INTO fuzz_outcome VALUES (form, round, input, outcome, message);
END $$;

-- One random change: a piece put in, taken out, repeated or exchanged, the
-- end cut off, or the rest of another rule.
CREATE FUNCTION pg_temp.mutate(data bytea, other bytea, pieces bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    at integer := pg_temp.pick(length(data) + 1);
    size integer := pg_temp.pick(1 + pg_temp.one('{1,2,8,40}'::integer[]));
    piece bytea := pg_temp.one(pieces);
BEGIN
    CASE pg_temp.pick(8)
        WHEN 0 THEN RETURN substr(data, 1, at) || piece || substr(data, at + 1);
        WHEN 1 THEN RETURN substr(data, 1, at) || piece || substr(data, at + 1 + length(piece));
        WHEN 2 THEN RETURN substr(data, 1, at) || substr(data, at + 1 + size);
        WHEN 3 THEN RETURN substr(data, 1, at);
        WHEN 4 THEN RETURN substr(data, 1, at) || substr(other, 1 + pg_temp.pick(length(other) + 1));
        WHEN 5 THEN RETURN substr(data, 1, at + size) || substr(data, at + 1);
        WHEN 6 THEN RETURN substr(data, 1, at) || substr(other, 1 + pg_temp.pick(length(other) + 1), size) || substr(data, at + 1);
        ELSE RETURN CASE WHEN length(data) > 0 THEN set_byte(data, pg_temp.pick(length(data)), pg_temp.pick(128)) ELSE piece END;
    END CASE;
END $$;

-- The same of tokens: what comes out is JSON more often.
CREATE FUNCTION pg_temp.shuffle(data text, pieces text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    tokens text[] := ARRAY(SELECT m[1] FROM regexp_matches(data, '"[^"]*"|[{}:,]|\[|\]|[^]"{}:,[:space:][]+', 'g') AS m);
    at integer := 1 + pg_temp.pick(cardinality(tokens));
BEGIN
    -- A key or a value, not what holds them together.
    FOR i IN 1..5 LOOP
        EXIT WHEN tokens[at] ~ '^["0-9a-z-]';
        at := 1 + pg_temp.pick(cardinality(tokens));
    END LOOP;
    CASE pg_temp.pick(10)
        WHEN 0 THEN tokens := tokens[:at] || ','::text || tokens[at:];
        WHEN 1 THEN tokens := tokens[:at - 1] || tokens[at + 2:];
        WHEN 2 THEN tokens[at] := format('[%s]', tokens[at]);
        ELSE tokens[at] := pg_temp.one(CASE tokens[at + 1] WHEN ':' THEN ARRAY(SELECT p FROM unnest(pieces) AS p WHERE p ~ '^"') ELSE pieces END);
    END CASE;
    RETURN array_to_string(tokens, ' ');
END $$;

DO $$
DECLARE
    seeds bytea[] := ARRAY(SELECT convert_to(d.again, 'UTF8') FROM drawn d WHERE length(d.again) < 1500 ORDER BY d.n)
        || ARRAY(SELECT convert_to(d.rule::text, 'UTF8') FROM drawn d WHERE length(d.rule::text) < 300 ORDER BY d.n);
    pieces bytea[] := ARRAY(SELECT convert_to(p, 'UTF8') FROM unnest(ARRAY['{', '}', '[', ']', '"', ',', ':', '\', ' ', E'\n', '0', '9', '-', '.', 'e', '1e999', '1e-999', '000000000000000', 'null', 'true', 'NaN', '\u0000', '\ud800', '\udc00', '\ud83d\ude00', 'é', '😀',
            '"field"', '"operator"', '"value"', '"logic"', '"rules"', '"event"', '"segment"', '"within"', '"where"', '"at_least"', '"at_most"', '"AND"', '"NOT"', '"IN"', '"BETWEEN"', '"TOP"', '"MONTH"', '"30 days"', '"2026-01-31"',
            '"field":"x",', '{"segment":"a"},', '{"logic":"NOT","rules":[', ']}', '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[', repeat('{"logic":"OR","rules":[', 21), repeat('x', 1001)]) AS p);
    -- Bytes that are no characters, in messages only.
    wild bytea[] := pieces || ARRAY['\x00', '\xff', '\xc3', '\xf09f98', '\xeda080', '\xc080', '\x01']::bytea[];
    tokens text[] := ARRAY['null', 'true', '0', '-1', '7', '1e15', '0.1234567891', '1e3', '""', '"x"', '"field"', '"operator"', '"value"', '"logic"', '"rules"', '"event"', '"segment"', '"within"', '"before"', '"where"', '"at_least"', '"at_most"',
        '"and"', '"NOT"', '"="', '"<"', '">"', '"IN"', '"BETWEEN"', '"CONTAINS"', '"TOP"', '"MONTH"', '"WITHIN"', '"ANNIVERSARY"', '"30 days"', '"1 week"', '"9999 years"', '"2026-01-31"', '"2026-01-31T12:00+02:00"', '"1 %"', '"this"', '[]', '{}', '[1, 2]', '["a", "b"]', '[null]',
        '{"segment": "a"}', '[{"event": "e"}]', '"\u0000"', '"\ud800"', '"é😀"', to_json(repeat('x', 1001))::text, array_to_json(array_fill(5, ARRAY[1001]))::text, repeat('{"logic":"OR","rules":[', 21)];
    input bytea;
    form text;
BEGIN
    FOREACH form IN ARRAY '{text,binary}'::text[] LOOP
        FOR round IN 1..20000 LOOP
            IF round % 2 = 0 THEN
                input := pg_temp.one(seeds);
                FOR i IN 0..pg_temp.pick(2) LOOP
                    input := convert_to(pg_temp.shuffle(convert_from(input, 'UTF8'), tokens), 'UTF8');
                END LOOP;
                PERFORM pg_temp.try(form, round, CASE form WHEN 'text' THEN '' ELSE '\x01'::bytea END || input);
                CONTINUE;
            END IF;
            input := CASE form WHEN 'text' THEN '' ELSE '\x01'::bytea END || pg_temp.one(seeds);
            FOR i IN 0..pg_temp.one('{0,0,0,1,2,5}'::integer[]) LOOP
                input := pg_temp.mutate(input, pg_temp.one(seeds), CASE form WHEN 'text' THEN pieces ELSE wild END);
            END LOOP;
            PERFORM pg_temp.try(form, round, input);
        END LOOP;
    END LOOP;
END $$;
\set gone `rm -rf :'directory'`
SELECT is_empty($$SELECT form, round, state, message, encode(input, 'escape') FROM fuzz_outcome
    WHERE state <> 'taken' AND state !~ '^(22P02|22023|54000|22021|22P05)$' AND NOT (form = 'binary' AND state = '22P03')$$, '40,000 inputs: each is refused as such, saying where, or a rule that comes back');
SELECT results_eq($$SELECT form, count(*) FILTER (WHERE state = 'taken') > 1000, count(*) FILTER (WHERE state = '22P02') > 2000, count(*) FILTER (WHERE state = '22023') > 1000,
    count(*) FILTER (WHERE state = '54000') > 50, count(*) FILTER (WHERE state = '22P05') > 20, count(*) FROM fuzz_outcome GROUP BY form ORDER BY form$$,
    $$VALUES ('binary', true, true, true, true, true, 20000::bigint), ('text', true, true, true, true, true, 20000)$$, 'some of each kind');
SELECT * FROM finish();
ROLLBACK;
