-- segment, property: random rules over rows of hard values have one meaning,
-- whichever way they are asked: segment_match(), segment_matches(),
-- segment_scan(), segment_agg(), the condition of segment_rule_sql(), read
-- and as a WHERE that indexes serve, and a slow reference in plain SQL that
-- is written from docs/segment.md. More by hand:
--   psql -v seed=7 -v rounds=50 -v rules=400 -f test/pgtap/segment_random.sql
\if :{?seed}
\else
\set seed 1
\endif
\if :{?rounds}
\else
\set rounds 6
\endif
\if :{?rules}
\else
\set rules 400
\endif
BEGIN;
SELECT plan(11);
SET LOCAL search_path = public, iaros;
SET LOCAL client_min_messages = warning;
SELECT setseed(:seed / 1000.0) \g /dev/null

-- Rows ----------------------------------------------------------------------

CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy', 'Ünïque', 'it''s');
CREATE DOMAIN points AS integer;
CREATE DOMAIN label AS varchar(30);
CREATE COLLATION same_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE field (field text, class text, pool text[]);
INSERT INTO field VALUES
    ('i2', 'number', '{-32768,-1,0,1,2,7,100,32767}'),
    ('i4', 'number', '{-2147483648,-5,-1,0,1,2,3,10,99,2147483647}'),
    ('i8', 'number', '{-9223372036854775808,-999999999999999,-1,0,1,3,999999999999999,9223372036854775807}'),
    ('nu', 'number', '{NaN,Infinity,-Infinity,0,-0.000000001,0.1,0.10000000000000000001,1,1.5,2.5,99.999999999,123456789012345.123456789,1e30,-1e-30}'),
    ('n2', 'number', '{NaN,-99.99,0,0.01,1,1.5,2.5,9999999999.99}'),
    ('f4', 'float', '{NaN,Infinity,-Infinity,-0,0,0.1,1.5,16777216,3e38,1e-40}'),
    ('f8', 'float', '{NaN,Infinity,-Infinity,-0,0,0.1,0.30000000000000004,1.5,999999999999999,1e300,4.9e-324}'),
    ('Po.ints', 'number', '{-1,0,1,2,1000000}'),
    ('bo', 'boolean', '{true,false}'),
    ('tx', 'text', '{"",a,A,ab,abc,"a  "," a",gold,"50%","a_b","back\\slash","it''s","quo\"te",straße,STRASSE,é,é,日本語,$1,"x''); --",30 days,2026-01-31,true}'),
    ('vc', 'text', '{"",a,ab,abc,abcd,gold,Gold,"50%","back\\slash"}'),
    ('ch', 'text', '{"",a,"a ",ab,abc,"  a",gold,12345678,é}'),
    ('nm', 'text', '{"",a,ab,pg_class,gold}'),
    ('ci', 'text', '{"",a,A,gold,GOLD,Gold,golden}'),
    ('la', 'text', '{a,ab,gold,"very happy"}'),
    ('en', 'text', '{sad,ok,"very happy",Ünïque,it''s}'),
    ('uu', 'text', '{00000000-0000-0000-0000-000000000000,6f9619ff-8b86-d011-b42d-00cf4fc964ff,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
    ('tz', 'moment', '{}'), ('ts', 'local', '{}'), ('da', 'day', '{}');
UPDATE field SET pool = ARRAY[
    'infinity', '-infinity', '4713-11-24 00:00:00+00 BC', '0044-03-15 12:00:00+00 BC', '1900-01-01 00:00:00+00', '1970-01-01 00:00:00+00',
    '2000-02-29 00:00:00+00', '2024-02-29 12:00:00+00', '2025-02-28 23:59:59.999999+00', '2025-03-01 00:00:00+00',
    '2025-03-09 06:59:59.999999+00', '2025-03-09 07:00:00+00', '2025-11-02 05:30:00+00', '2025-11-02 06:30:00+00', '2025-11-02 06:00:00+00',
    '2025-12-31 18:15:00+00', '2026-01-01 00:00:00+00', '2026-01-01 05:00:00+00', '2026-01-31 23:59:59.999999+00', '2026-02-01 00:00:00+00',
    '2026-01-30 18:15:00+00', '2026-01-31 18:14:59.999999+00', '2026-01-31 05:00:00+00', '2026-02-01 04:59:59.999999+00', '2026-01-31 12:00:00+00',
    '2026-03-01 12:00:00+00', '2026-02-22 12:00:00+00', '2026-02-22 12:00:00.000001+00', '2025-03-01 12:00:00+00', '2008-03-01 12:00:00+00', '2026-03-08 12:00:00+00',
    '2026-03-15 00:00:00+00', '2027-02-28 00:00:00+00', '9999-12-31 23:59:59+00', '12345-06-07 08:09:10+00', '294276-12-30 12:00:00+00']
    || CASE WHEN class = 'day' THEN ARRAY['5874897-12-31', '2026-02-28', '2026-03-02', '2026-02-27'] ELSE '{}' END
WHERE class IN ('moment', 'local', 'day');

-- A value out of a list; one of a column, or NULL, once in eight times.
CREATE FUNCTION pg_temp.choose(list text[]) RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT list[1 + floor(random() * cardinality(list))::integer]$$;
CREATE FUNCTION pg_temp.pick(name text) RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT CASE WHEN random() < 0.125 THEN NULL ELSE pg_temp.choose(f.pool) END FROM field f WHERE f.field = name$$;

CREATE TABLE hard (gone integer, id bigint PRIMARY KEY, i2 smallint, i4 integer, i8 bigint, nu numeric, n2 numeric(12, 2), f4 real,
    f8 double precision, gone_too text, "Po.ints" points, bo boolean, tx text, vc varchar(20), ch char(8), nm name,
    ci text COLLATE same_case, la label, en mood, uu uuid, tz timestamptz, ts timestamp, da date, pair mood[], "top:10:nu" boolean,
    "bottom:0.5:f8" boolean, "segment:gold" boolean, "segment:O'Brien \ "" Ä" boolean);
ALTER TABLE hard DROP COLUMN gone, DROP COLUMN gone_too;

-- Facts of behaviour have columns of their own.
CREATE TABLE behaviour (rule jsonb, fact text);
INSERT INTO behaviour (rule) VALUES ('{"event": "page_view"}'), ('{"event": "page_view", "within": "30 days"}'),
    ('{"event": "search", "where": {"route": ["JFK", "LHR"], "class": 3}}'), ('{"event": "it''s", "within": "2 months", "where": {"ok": true}}');
UPDATE behaviour b SET fact = (SELECT f.fact FROM segment_rule_facts(b.rule::text::segment_rule) f WHERE f.kind = 'event');
SELECT format('ALTER TABLE hard ADD COLUMN %I bigint', fact) FROM behaviour ORDER BY rule \gexec

CREATE FUNCTION pg_temp.row(id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hard
    SELECT id, pg_temp.pick('i2')::smallint, pg_temp.pick('i4')::integer, pg_temp.pick('i8')::bigint, pg_temp.pick('nu')::numeric,
        pg_temp.pick('n2')::numeric, pg_temp.pick('f4')::real, pg_temp.pick('f8')::double precision, pg_temp.pick('Po.ints')::points,
        pg_temp.pick('bo')::boolean, pg_temp.pick('tx'), pg_temp.pick('vc'), pg_temp.pick('ch'), pg_temp.pick('nm')::name,
        pg_temp.pick('ci'), pg_temp.pick('la')::label, pg_temp.pick('en')::mood, pg_temp.pick('uu')::uuid, pg_temp.pick('tz')::timestamptz,
        pg_temp.pick('ts')::timestamp, pg_temp.pick('da')::date,
        CASE WHEN random() < 0.5 THEN '{ok,NULL}'::mood[] END, pg_temp.pick('bo')::boolean, pg_temp.pick('bo')::boolean,
        pg_temp.pick('bo')::boolean, pg_temp.pick('bo')::boolean, floor(random() * 4), floor(random() * 4), NULLIF(floor(random() * 4), 1),
        floor(random() * 2e9);
END $$;
SELECT pg_temp.row((ARRAY[0, 70000, 1::bigint << 33, 1::bigint << 62])[1 + i % 4] + i) FROM generate_series(1, 150) AS i \g /dev/null
INSERT INTO hard (id) VALUES (9223372036854775807);
-- Each kind of index that a condition may use.
SELECT format('CREATE INDEX ON hard (%I)', field) FROM field ORDER BY field \gexec
CREATE INDEX ON hard (tx text_pattern_ops);
CREATE INDEX ON hard (vc varchar_pattern_ops);
CREATE INDEX ON hard (ch bpchar_pattern_ops);
CREATE INDEX ON hard USING spgist (tx);
CREATE INDEX ON hard USING brin (tz);
CREATE INDEX ON hard USING hash (uu);
ANALYZE hard;

-- Rules ---------------------------------------------------------------------

CREATE FUNCTION pg_temp.number() RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT pg_temp.choose('{-1,-0.5,0,1,2,3,1.5,2.5,0.1,7,10,99,100,99.99,99.999999999,0.3,0.000000001,-0.000000001,32767,32768,-32768,-32769,2147483647,2147483648,-2147483648,-2147483649,16777217,9999999999.99,999999999999999,-999999999999999,123456789012345.123456789}')$$;
CREATE FUNCTION pg_temp.text(name text) RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT coalesce(CASE WHEN random() < 0.4 THEN pg_temp.pick(name) END,
    pg_temp.choose(ARRAY['a', 'A', 'ab', 'abc', 'a ', 'a  ', ' ', 'gold', 'GOLD', 'go', '%', '50%', '_', 'a_', '\', 'back\', '''', 'it''s', '"', 'stra', 'ß', 'é',
        U&'e\0301', 'e', '日本', '日', '$1', '--', 'x'');', 'very', 'Ünïque', 'ok', 'sad', '0000', '6f9619ff-8b86-d011-b42d-00cf4fc964ff',
        '6F9619FF-8B86-D011-B42D-00CF4FC964FF', '30 days', '30 DAYS', '2026-01-31', 'pg_', 'true']))$$;
CREATE FUNCTION pg_temp.day() RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT pg_temp.choose('{1970-01-01,2000-02-29,2024-02-29,2025-02-28,2025-03-01,2025-03-09,2025-11-02,2025-12-31,2026-01-01,2026-01-30,2026-01-31,2026-02-01,2026-02-22,2026-03-01,9999-12-31,0001-01-01}')$$;
CREATE FUNCTION pg_temp.time() RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT pg_temp.choose('{2025-03-09T02:30,2025-03-09T06:59:59.999999Z,2025-03-09T07:00Z,2025-11-02T01:30,2025-11-02T05:30:00Z,2025-11-02T01:30:00-05:00,2026-01-31T00:00,2026-01-31T12:00,2026-01-31T23:59:59.999999,2026-01-31T05:45:00+05:45,2026-02-22T12:00:00.000001Z,2000-02-29T00:00:00Z,1999-12-31T23:59:59.5}')$$;
CREATE FUNCTION pg_temp.duration() RETURNS text LANGUAGE sql VOLATILE AS
$$SELECT pg_temp.choose('{0 days,1 day,5 days,7 days,14 days,30 days,90 days,365 days,1 week,2 weeks,0 months,1 month,6 months,12 months,1 year,2 years,18 years,200 years,1 hour,12 hours,36 hours,90 minutes,3600 seconds,1 second,0 seconds}')$$;

-- Texts as JSON.
CREATE FUNCTION pg_temp.quoted(list text[]) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_agg(to_jsonb(x)) FROM unnest(list) AS x$$;

-- Values of one kind to compare a time with.
CREATE FUNCTION pg_temp.moments(class text, n integer) RETURNS text[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kind integer := floor(random() * CASE WHEN class = 'day' THEN 2 ELSE 3 END);
    list text[] := '{}';
BEGIN
    FOR i IN 1 .. n LOOP
        list := list || CASE kind WHEN 0 THEN pg_temp.day() WHEN 1 THEN pg_temp.duration() ELSE pg_temp.time() END;
    END LOOP;
    RETURN list;
END $$;

-- The condition of a field that holds a time.
CREATE FUNCTION pg_temp.time_condition(name text, class text) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kind integer := floor(random() * 9);
    pair text[];
BEGIN
    CASE
    WHEN kind <= 2 THEN
        RETURN jsonb_build_object('field', name, 'operator', pg_temp.choose('{=,!=,<,<=,>,>=}'), 'value', (pg_temp.moments(class, 1))[1]);
    WHEN kind = 3 THEN
        RETURN jsonb_build_object('field', name, 'operator', pg_temp.choose('{IN,not in}'),
            'value', pg_temp.quoted(pg_temp.moments(class, 1 + floor(random() * 4)::integer)));
    WHEN kind = 4 THEN
        SELECT array_agg(x ORDER BY x) INTO pair FROM unnest(ARRAY[pg_temp.day(), pg_temp.day()]) AS x;
        IF random() < 0.3 THEN
            pair := pg_temp.choose('{"{5 days,30 days}","{0 days,0 days}","{1 month,1 year}","{18 years,200 years}","{30 days,1 year}","{12 hours,2 weeks}"}')::text[];
        ELSIF class <> 'day' AND random() < 0.4 THEN
            pair := pg_temp.choose('{"{2025-03-09T02:30,2025-11-02T01:30}","{2026-01-31,2026-02-22T12:00:00Z}","{1999-12-31T23:59:59.5,2026-01-01}"}')::text[];
        END IF;
        RETURN jsonb_build_object('field', name, 'operator', 'Between', 'value', pg_temp.quoted(pair));
    WHEN kind = 5 THEN
        RETURN jsonb_build_object('field', name, pg_temp.choose('{within,before,next}'), pg_temp.duration());
    WHEN kind = 6 THEN
        RETURN jsonb_build_object('field', name, 'operator', pg_temp.choose('{WITHIN,BEFORE,next}'), 'value', pg_temp.duration());
    WHEN kind = 7 THEN
        RETURN jsonb_build_object('field', name, 'operator', 'MONTH',
            'value', pg_temp.choose(ARRAY['"this"', '"last"', '"next"', '2', '3', '12', '[1,2,3]', '[11]', '[2,12,6,6]'])::jsonb);
    ELSE
        RETURN jsonb_build_object('field', name, 'operator', 'ANNIVERSARY', 'value',
            pg_temp.choose('{0 days,1 day,7 days,2 weeks,31 days,90 days,364 days,365 days,366 days}'));
    END CASE;
END $$;

-- The condition of a field that holds a number, a text or a truth value.
CREATE FUNCTION pg_temp.value_condition(name text, class text) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    operator text := pg_temp.choose(CASE class WHEN 'boolean' THEN '{=,!=,IN,NOT IN}' WHEN 'text' THEN '{=,!=,<>,IN,not in,CONTAINS,starts with,Contains}'
        ELSE '{=,!=,<>,<,<=,>,>=,IN,NOT IN,BETWEEN}' END::text[]);
    n integer := CASE WHEN operator = 'BETWEEN' THEN 2 ELSE 1 + floor(random() * random() * 6) END;
    list jsonb := '[]';
BEGIN
    FOR i IN 1 .. n LOOP
        list := list || CASE class WHEN 'boolean' THEN to_jsonb(random() < 0.5) WHEN 'text' THEN to_jsonb(pg_temp.text(name))
                        ELSE to_jsonb(pg_temp.number()::numeric) END;
    END LOOP;
    IF operator = 'BETWEEN' THEN
        SELECT jsonb_agg(x ORDER BY x::numeric) INTO list FROM jsonb_array_elements(list) AS x;
    ELSIF upper(operator) !~ 'IN$' THEN
        list := list -> 0;
        IF list = '""' AND upper(operator) ~ 'CONTAINS|STARTS' THEN
            list := '"a"';
        END IF;
    END IF;
    RETURN jsonb_build_object('field', name, 'operator', operator, 'value', list);
END $$;

-- Any single condition.
CREATE FUNCTION pg_temp.condition() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    name text := pg_temp.choose('{i2,i4,i8,nu,nu,n2,f4,f8,f8,Po.ints,bo,tx,tx,vc,ch,ch,nm,ci,la,en,uu,tz,tz,tz,ts,ts,da,da}');
    class text := (SELECT f.class FROM field f WHERE f.field = name);
    kind integer := floor(random() * 24);
BEGIN
    CASE kind
    WHEN 0 THEN
        RETURN jsonb_build_object('field', CASE WHEN random() < 0.3 THEN 'pair' ELSE name END, 'operator', pg_temp.choose('{IS NULL,is not  null}'));
    WHEN 1 THEN
        RETURN jsonb_build_object('field', name, 'operator', pg_temp.choose('{=,!=,<>}'), 'value', NULL);
    WHEN 2 THEN
        RETURN jsonb_build_object('segment', pg_temp.choose(ARRAY['gold', 'O''Brien \ " Ä']));
    WHEN 3 THEN
        RETURN pg_temp.choose(ARRAY['{"field": "nu", "operator": "TOP", "value": 10}', '{"field": "f8", "operator": "bottom", "value": "0.5 %"}'])::jsonb;
    WHEN 4, 5 THEN
        RETURN (SELECT b.rule FROM behaviour b ORDER BY b.rule OFFSET floor(random() * 4)::integer LIMIT 1)
            || pg_temp.choose(ARRAY['{}', '{"at_least": 0}', '{"at_least": 2}', '{"at_most": 0}', '{"at_most": 1}', '{"at_least": 1, "at_most": 2}'])::jsonb;
    ELSE
        -- A column is found in any case.
        RETURN CASE WHEN class IN ('moment', 'local', 'day') THEN pg_temp.time_condition(name, class) ELSE pg_temp.value_condition(name, class) END
            || CASE WHEN kind = 6 THEN jsonb_build_object('field', upper(name)) ELSE '{}' END;
    END CASE;
END $$;

-- A rule: groups in groups, at most so deep.
CREATE FUNCTION pg_temp.rule(depth integer) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    logic text := pg_temp.choose('{AND,and,OR,Or,NOT}');
    list jsonb := '[]';
BEGIN
    IF depth = 0 OR random() < 0.35 THEN
        RETURN pg_temp.condition();
    END IF;
    FOR i IN 1 .. CASE WHEN logic = 'NOT' THEN 1 ELSE 1 + floor(random() * 4)::integer END LOOP
        list := list || pg_temp.rule(depth - 1);
    END LOOP;
    RETURN jsonb_build_object('logic', logic, 'rules', list);
END $$;

-- The reference ---------------------------------------------------------------
-- A rule as an expression over row h, condition by condition, with a function
-- on the column wherever that is the plainest way to say it.

-- as_of less so many units and some more, as the type of a column.
CREATE FUNCTION pg_temp.ago(class text, duration text, more integer, sign integer, as_of timestamptz, zone text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE class
        WHEN 'moment' THEN format('%L::timestamptz', (as_of AT TIME ZONE 'UTC' - sign * i.length) AT TIME ZONE 'UTC')
        WHEN 'local' THEN format('%L::timestamp', (as_of AT TIME ZONE 'UTC' - sign * i.length) AT TIME ZONE 'UTC' AT TIME ZONE zone)
        ELSE format('%L::timestamp', (as_of AT TIME ZONE zone)::date::timestamp - sign * i.length) END
    FROM (SELECT (split_part(duration, ' ', 1)::integer + more) * ('1 ' || split_part(duration, ' ', 2))::interval AS length) i
$$;

-- A comparison of the time in a column with a day, a time or a duration.
CREATE FUNCTION pg_temp.compare_time(x text, class text, operator text, value text, as_of timestamptz, zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    whole text;
    one_more text;
BEGIN
    IF value ~ '^\d+ [a-z]+$' THEN
        whole := pg_temp.ago(class, value, 0, 1, as_of, zone);
        one_more := pg_temp.ago(class, value, 1, 1, as_of, zone);
        RETURN CASE operator WHEN '>=' THEN format('%s <= %s', x, whole) WHEN '<' THEN format('%s > %s', x, whole)
            WHEN '>' THEN format('%s <= %s', x, one_more) WHEN '<=' THEN format('%s > %s', x, one_more)
            WHEN '=' THEN format('(%1$s > %2$s AND %1$s <= %3$s)', x, one_more, whole)
            ELSE format('NOT (%1$s > %2$s AND %1$s <= %3$s)', x, one_more, whole) END;
    ELSIF value ~ '^\d+-\d+-\d+$' THEN
        RETURN CASE class WHEN 'moment' THEN format('(%s AT TIME ZONE %L)::date %s %L::date', x, zone, operator, value)
            ELSE format('%s::date %s %L::date', x, operator, value) END;
    ELSIF value ~ '(Z|[+-]\d\d:\d\d)$' THEN
        RETURN format(CASE class WHEN 'moment' THEN '%s %s %L::timestamptz' ELSE '%s %s (%L::timestamptz AT TIME ZONE %L)' END, x, operator, value, zone);
    END IF;
    RETURN format(CASE class WHEN 'moment' THEN '%s %s (%L::timestamp AT TIME ZONE %L)' ELSE '%s %s %L::timestamp' END, x, operator, value, zone);
END $$;

-- The day of the year comes again from a day on, within so many days; in a
-- year without 29 February its day is the 28th.
CREATE FUNCTION pg_temp.comes(month integer, day integer, today date, days integer) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE WHEN month IS NOT NULL THEN EXISTS (
        SELECT FROM generate_series(0, days) AS n
        WHERE (extract(month FROM today + n), extract(day FROM today + n)) = (month, day)
           OR (month, day) = (2, 29) AND (extract(month FROM today + n), extract(day FROM today + n)) = (2, 28)
              AND extract(day FROM today + n + 1) = 1) END
$$;

-- A comparison of a column that holds no time.
CREATE FUNCTION pg_temp.compare_value(x text, class text, operator text, value jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE class
        WHEN 'number' THEN format('%s::numeric %s %L::numeric', x, operator, value)
        WHEN 'float' THEN format('%s::float8 %s %L::float8', x, operator, value)
        WHEN 'boolean' THEN format('%s %s %L::boolean', x, operator, value)
        ELSE format('convert_to(%s::text, ''UTF8'') %s convert_to(%L, ''UTF8'')', x, operator, value #>> '{}') END
$$;

CREATE FUNCTION pg_temp.reference(node jsonb, as_of timestamptz, zone text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    operator text := upper(regexp_replace(node ->> 'operator', '\s+', ' ', 'g'));
    value jsonb := node -> 'value';
    x text;
    local text;
    class text;
    today date := (as_of AT TIME ZONE zone)::date;
BEGIN
    IF node ? 'logic' THEN
        RETURN CASE upper(node ->> 'logic') WHEN 'NOT' THEN '(NOT ' || pg_temp.reference(node #> '{rules,0}', as_of, zone) || ')'
            ELSE (SELECT '(' || string_agg(pg_temp.reference(r, as_of, zone), format(' %s ', upper(node ->> 'logic'))) || ')'
                  FROM jsonb_array_elements(node -> 'rules') AS r) END;
    ELSIF node ? 'segment' THEN
        RETURN format('h.%I', 'segment:' || (node ->> 'segment'));
    ELSIF node ? 'event' THEN
        RETURN (SELECT format('(h.%I BETWEEN %s AND %s)', b.fact, coalesce(node ->> 'at_least', CASE WHEN node ? 'at_most' THEN '0' ELSE '1' END),
                    coalesce(node ->> 'at_most', '9223372036854775807'))
                FROM behaviour b WHERE b.rule = node - 'at_least' - 'at_most');
    END IF;
    SELECT format('h.%I', f.field), f.class INTO x, class FROM field f WHERE lower(f.field) = lower(node ->> 'field');
    x := coalesce(x, 'h.pair');
    IF node ?| '{within,before,next}' THEN
        operator := (SELECT upper(k) FROM jsonb_object_keys(node) AS k WHERE k IN ('within', 'before', 'next'));
        value := node -> lower(operator);
    END IF;
    operator := CASE operator WHEN '<>' THEN '!=' ELSE operator END;
    local := CASE class WHEN 'moment' THEN format('(%s AT TIME ZONE %L)', x, zone) ELSE x END;
    RETURN '(' || CASE
        WHEN operator = 'IS NULL' OR operator = '=' AND value = 'null' THEN x || ' IS NULL'
        WHEN operator = 'IS NOT NULL' OR value = 'null' THEN x || ' IS NOT NULL'
        WHEN operator = 'TOP' THEN 'h."top:10:nu"'
        WHEN operator = 'BOTTOM' THEN 'h."bottom:0.5:f8"'
        WHEN operator IN ('IN', 'NOT IN') THEN
            (SELECT CASE operator WHEN 'NOT IN' THEN 'NOT ' ELSE '' END || '(' || string_agg(CASE WHEN class IN ('moment', 'local', 'day')
                 THEN pg_temp.compare_time(x, class, '=', v #>> '{}', as_of, zone) ELSE pg_temp.compare_value(x, class, '=', v) END, ' OR ') || ')'
             FROM jsonb_array_elements(value) AS v)
        WHEN operator = 'BETWEEN' THEN
            CASE WHEN class IN ('moment', 'local', 'day')
                 THEN pg_temp.compare_time(x, class, '>=', value ->> 0, as_of, zone) || ' AND ' || pg_temp.compare_time(x, class, '<=', value ->> 1, as_of, zone)
                 ELSE pg_temp.compare_value(x, class, '>=', value -> 0) || ' AND ' || pg_temp.compare_value(x, class, '<=', value -> 1) END
        WHEN operator = 'CONTAINS' THEN format('position(convert_to(%L, ''UTF8'') IN convert_to(%s::text, ''UTF8'')) > 0', value #>> '{}', x)
        WHEN operator = 'STARTS WITH' THEN format('substring(convert_to(%2$s::text, ''UTF8'') FOR octet_length(%1$L)) = convert_to(%1$L, ''UTF8'')', value #>> '{}', x)
        WHEN operator = 'WITHIN' THEN format('%1$s > %2$s AND %1$s <= %3$s', x, pg_temp.ago(class, value #>> '{}', 0, 1, as_of, zone), pg_temp.ago(class, '0 days', 0, 1, as_of, zone))
        WHEN operator = 'BEFORE' THEN format('%s <= %s', x, pg_temp.ago(class, value #>> '{}', 0, 1, as_of, zone))
        WHEN operator = 'NEXT' THEN format('%1$s >= %2$s AND %1$s < %3$s', x, pg_temp.ago(class, '0 days', 0, 1, as_of, zone), pg_temp.ago(class, value #>> '{}', 0, -1, as_of, zone))
        WHEN operator = 'MONTH' THEN format('extract(month FROM %s) IN (%s)', local,
            CASE value #>> '{}' WHEN 'this' THEN extract(month FROM today)::text WHEN 'last' THEN extract(month FROM today - interval '1 month')::text
                WHEN 'next' THEN extract(month FROM today + interval '1 month')::text ELSE btrim(value::text, '[]') END)
        WHEN operator = 'ANNIVERSARY' THEN format('pg_temp.comes(extract(month FROM %s)::integer, extract(day FROM %1$s)::integer, %L, %s)', local, today,
            split_part(value #>> '{}', ' ', 1)::integer * CASE WHEN value #>> '{}' ~ 'week' THEN 7 ELSE 1 END)
        WHEN class IN ('moment', 'local', 'day') THEN pg_temp.compare_time(x, class, operator, value #>> '{}', as_of, zone)
        ELSE pg_temp.compare_value(x, class, operator, value) END || ')';
END $$;

-- The comparison --------------------------------------------------------------

CREATE TABLE asked (round integer, as_of timestamptz, zone text, n integer, rule jsonb, compiled segment_rule, condition text, reference text);
-- What each way says of each rule and row; ways that return members have no NULL.
CREATE TABLE truth (round integer, way text, id bigint, answers boolean[]);
CREATE TABLE members (round integer, way text, n integer, members audience);

-- Asks so many rules as of a time in a zone in all ways.
CREATE FUNCTION pg_temp.round(r integer, n integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    as_of timestamptz := (ARRAY['2026-03-01 12:00+00', '2024-02-29 03:00+00', '2025-03-09 07:30+00', '2025-11-02 06:10+00', '2026-01-31 18:20+00',
        '2026-12-31 23:30+00', '1999-12-31 23:59:59.999999+00'])[1 + r % 7];
    zone text := (ARRAY['UTC', 'America/New_York', 'Asia/Kathmandu', 'America/New_York', 'Pacific/Apia', 'EST'])[1 + r % 6];
    rules segment_rule[];
BEGIN
    INSERT INTO asked
    SELECT r, as_of, zone, i, q.rule, q.rule::text::segment_rule, segment_rule_sql(q.rule::text::segment_rule, 'hard', as_of, zone),
        pg_temp.reference(q.rule, as_of, zone)
    FROM (SELECT i, pg_temp.rule(i % 4) AS rule FROM generate_series(1, n) AS i OFFSET 0) q;
    SELECT array_agg(a.compiled ORDER BY a.n) INTO rules FROM asked a WHERE a.round = r;
    EXECUTE (SELECT format('INSERT INTO truth SELECT %s, ''reference'', h.id, ARRAY[%s] FROM hard h', r, string_agg(a.reference, ', ' ORDER BY a.n))
             FROM asked a WHERE a.round = r);
    EXECUTE (SELECT format('INSERT INTO truth SELECT %s, ''segment_rule_sql'', id, ARRAY[%s] FROM hard', r, string_agg(a.condition, ', ' ORDER BY a.n))
             FROM asked a WHERE a.round = r);
    INSERT INTO truth SELECT r, 'segment_match', s.id, array_agg(s.answer ORDER BY u.n)
        FROM unnest(rules) WITH ORDINALITY AS u(rule, n)
        CROSS JOIN LATERAL (SELECT h.id, segment_match(u.rule, h, as_of, zone) AS answer FROM hard h OFFSET 0) s GROUP BY s.id;
    INSERT INTO members SELECT r, 'segment_scan', s.rule, s.members FROM segment_scan(rules, 'hard', 'id', as_of, zone) s;
    INSERT INTO members SELECT r, 'segment_agg', s.rule, s.members
        FROM audience_rows((SELECT segment_agg(rules, h.id, h, as_of, zone) FROM hard h)) s;
    INSERT INTO members SELECT r, 'segment_matches', u.n, audience_agg(s.id) FILTER (WHERE u.n = ANY (s.found))
        FROM (SELECT h.id, segment_matches(rules, h, as_of, zone) AS found FROM hard h OFFSET 0) s CROSS JOIN generate_series(1, n) AS u(n) GROUP BY u.n;
END $$;
SELECT pg_temp.round(:seed * 1000 + i, :rules) FROM generate_series(0, :rounds - 1) AS i \g /dev/null

-- Where the ways differ, with what is needed to see why.
CREATE VIEW difference AS
SELECT a.round, t.way, a.as_of, a.zone, t.id, a.n, t.answers[a.n] AS answer, f.answers[a.n] AS wanted, a.rule, a.condition, a.reference
FROM truth t
JOIN truth f ON f.round = t.round AND f.id = t.id AND f.way = 'reference'
JOIN asked a ON a.round = t.round
WHERE t.way <> 'reference' AND t.answers[a.n] IS DISTINCT FROM f.answers[a.n];
CREATE VIEW wrong_member AS
SELECT m.round, m.way, a.as_of, a.zone, m.n, w.members AS wanted, m.members, a.rule
FROM members m
JOIN asked a USING (round, n)
CROSS JOIN LATERAL (SELECT audience_agg(f.id) FILTER (WHERE f.answers[m.n]) AS members FROM truth f WHERE f.round = m.round AND f.way = 'reference') w
WHERE m.members IS DISTINCT FROM w.members;

-- The rules that are drawn ask something.
SELECT cmp_ok((SELECT count(*) FROM asked), '>=', 1000::bigint, 'thousands of rules are asked');
SELECT is_empty('SELECT rule FROM asked WHERE reference IS NULL OR condition IS NULL', 'each has a reference and a condition');
SELECT cmp_ok((SELECT count(*) FROM members m WHERE m.way = 'segment_scan' AND audience_count(m.members) NOT IN (0, (SELECT count(*) FROM hard))), '>',
    (SELECT count(*) / 2 FROM asked), 'most rules are true of some rows and not of others');
SELECT cmp_ok((SELECT count(*) FROM truth t, unnest(t.answers) AS u(answer) WHERE t.way = 'reference' AND u.answer IS NULL), '>',
    (SELECT count(*) * 5 FROM asked), 'and unknown for some');
SELECT cmp_ok((SELECT count(DISTINCT compiled) FROM asked), '>', (SELECT count(*) * 2 / 3 FROM asked), 'and they differ');

SELECT is_empty($$SELECT * FROM difference WHERE way = 'segment_match' LIMIT 3$$, 'segment_match() says what the reference says');
SELECT is_empty($$SELECT * FROM difference WHERE way = 'segment_rule_sql' LIMIT 3$$, 'the condition of segment_rule_sql() says it');
SELECT is_empty($$SELECT * FROM wrong_member WHERE way = 'segment_scan' LIMIT 3$$, 'segment_scan() finds those of whom it is true');
SELECT is_empty($$SELECT * FROM wrong_member WHERE way = 'segment_agg' LIMIT 3$$, 'segment_agg() finds them');
SELECT is_empty($$SELECT * FROM wrong_member WHERE way = 'segment_matches' LIMIT 3$$, 'segment_matches() finds them');

-- The conditions as WHERE: by indexes, and under other settings.
SET LOCAL enable_seqscan = off;
SET LOCAL datestyle = 'SQL, DMY';
SET LOCAL timezone = 'Australia/Lord_Howe';
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL standard_conforming_strings = off;
SET LOCAL backslash_quote = off;
SET LOCAL extra_float_digits = 0;
CREATE FUNCTION pg_temp.by_index() RETURNS TABLE (n integer, condition text) LANGUAGE plpgsql AS $$
DECLARE
    a record;
    found boolean;
BEGIN
    FOR a IN SELECT q.*, m.members FROM asked q JOIN members m USING (round, n)
             WHERE m.way = 'segment_scan' AND q.n % 4 = q.round % 2 LOOP
        EXECUTE format('SELECT coalesce(iaros.audience_agg(id), ''{}'') = $1 FROM hard WHERE %s', a.condition) INTO found USING a.members;
        IF NOT found THEN
            RETURN QUERY SELECT a.n, a.condition;
        END IF;
    END LOOP;
END $$;
SELECT is_empty('SELECT * FROM pg_temp.by_index()', 'the conditions find them by indexes, whatever the settings');
SELECT * FROM finish();
ROLLBACK;
