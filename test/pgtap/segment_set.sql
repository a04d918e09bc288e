-- segment: segment_agg() in every kind of plan, its state as a type, and what
-- it refuses.
BEGIN;
SELECT plan(44);
SET LOCAL search_path = public, iaros;
CREATE TABLE person AS
SELECT i::bigint AS id, i % 7 AS kind, (i % 100)::numeric / 4 AS score, CASE WHEN i % 5 > 0 THEN 'name ' || i % 13 END AS name,
    '2026-01-01'::timestamptz - i * interval '1 hour' AS seen
FROM generate_series(1, 20000) AS i;
ALTER TABLE person SET (parallel_workers = 2);
ANALYZE person;
CREATE FUNCTION pg_temp.rules() RETURNS segment_rule[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['{"field": "score", "operator": ">", "value": 20.1}', '{"field": "name", "operator": "STARTS WITH", "value": "name 1"}',
        '{"logic": "NOT", "rules": [{"field": "name", "operator": "=", "value": "name 3"}]}', '{"field": "seen", "within": "100 days"}',
        '{"field": "score", "operator": "<", "value": 0}']::segment_rule[]
$$;
CREATE FUNCTION pg_temp.wanted(source text) RETURNS TABLE (rule integer, members audience) LANGUAGE sql AS
$$SELECT s.rule, s.members FROM segment_scan(pg_temp.rules(), source, 'id', '2026-01-01') s ORDER BY 1$$;

SELECT results_eq(
    $$SELECT * FROM audience_rows((SELECT segment_agg(pg_temp.rules(), p.id, p, '2026-01-01') FROM person p))$$,
    $$SELECT * FROM pg_temp.wanted('person')$$, 'all rows: what segment_scan() finds');
SELECT is((SELECT count(*) FROM audience_rows((SELECT segment_agg(pg_temp.rules(), p.id, p, '2026-01-01') FROM person p)) WHERE audience_count(members) > 0),
    4::bigint, 'of the rules all but the last are true of someone');
SELECT results_eq(
    $$SELECT r.rule, audience_count(r.members) FROM audience_rows((SELECT segment_agg(ARRAY['{"field": "t", "within": "1 day"}', '{"field": "t", "next": "1 day"}']::segment_rule[],
        1, q) FROM (SELECT now() - interval '1 hour' AS t) q)) r$$, 'VALUES (1, 1::bigint), (2, 0)', 'the default moment is now()');
SELECT results_eq(
    $$SELECT r.rule, audience_ids(r.members) FROM audience_rows((SELECT segment_agg('{"{\"field\": \"t\", \"operator\": \"=\", \"value\": \"2026-01-31\"}"}',
        q.id, q, now(), q.zone) FROM (VALUES (1::bigint, '2026-01-31 20:00+00'::timestamptz, 'UTC'), (2, '2026-01-31 20:00+00', 'Asia/Kathmandu'),
        (3, '2026-01-30 20:00+00', 'Asia/Kathmandu'), (4, '2026-01-30 20:00+00', 'UTC')) q(id, t, zone))) r$$, 'VALUES (1, 1::bigint), (1, 3)',
    'each row may have a zone of its own');

-- Groups, hashed and sorted, small and many.
SELECT results_eq(
    $$SELECT p.kind, r.rule, r.members FROM (SELECT kind, segment_agg(pg_temp.rules(), id, person, '2026-01-01') AS set FROM person GROUP BY kind) p,
        audience_rows(p.set) r ORDER BY 1, 2$$,
    $$SELECT k, w.rule, w.members FROM generate_series(0, 6) AS k, pg_temp.wanted('SELECT * FROM person WHERE kind = ' || k) w ORDER BY 1, 2$$, 'GROUP BY');
CREATE TABLE grouped AS SELECT id / 2 AS half, segment_agg(pg_temp.rules(), id, person, '2026-01-01') AS set FROM person GROUP BY 1;
SELECT is((SELECT count(*) FROM grouped), 10001::bigint, 'ten thousand groups');
SELECT results_eq('SELECT * FROM audience_rows((SELECT segment_merge(set) FROM grouped))', $$SELECT * FROM pg_temp.wanted('person')$$,
    'merged from a table they are all rows');
SET LOCAL enable_hashagg = off;
SELECT results_eq(
    $$SELECT half, set::text FROM (SELECT id / 2 AS half, segment_agg(pg_temp.rules(), id, person, '2026-01-01') AS set FROM person GROUP BY 1) s WHERE half < 200 ORDER BY 1$$,
    'SELECT half, set::text FROM grouped WHERE half < 200 ORDER BY 1', 'groups that come sorted');
RESET enable_hashagg;
SELECT results_eq(
    $$SELECT kind, audience_count(r.members) FROM (SELECT kind, segment_agg(pg_temp.rules(), id, person, '2026-01-01') AS set FROM person GROUP BY ROLLUP (kind)) s,
        audience_rows(s.set) r WHERE r.rule = 3 ORDER BY 1 NULLS LAST$$,
    $$SELECT kind, count(*) FROM person WHERE name <> 'name 3' GROUP BY ROLLUP (kind) ORDER BY 1 NULLS LAST$$, 'GROUPING SETS');
SELECT is((SELECT segment_agg(pg_temp.rules(), id, person, '2026-01-01' ORDER BY id DESC) FROM person),
    (SELECT segment_agg(pg_temp.rules(), id, person, '2026-01-01') FROM person), 'the order of rows does not matter');

-- As a window.
SELECT results_eq(
    $$SELECT id, audience_count(r.members) FROM (SELECT id, segment_agg(pg_temp.rules(), id, person, '2026-01-01') OVER (ORDER BY id) AS set FROM person WHERE id <= 300) w,
        audience_rows(w.set) r WHERE r.rule = 3 ORDER BY id$$,
    $$SELECT id, count(*) FILTER (WHERE name <> 'name 3') OVER (ORDER BY id) FROM person WHERE id <= 300 ORDER BY id$$, 'a window that grows');
SELECT results_eq(
    $$SELECT id, r.members FROM (SELECT id, segment_agg(pg_temp.rules(), id, person, '2026-01-01') OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS set FROM person WHERE id <= 100) w,
        audience_rows(w.set) r WHERE r.rule = 3 ORDER BY id$$,
    $$SELECT id, audience_agg(id) FILTER (WHERE name <> 'name 3') OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM person WHERE id <= 100 ORDER BY id$$,
    'a window that moves');

-- In parallel workers.
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        lines := lines || line || E'\n';
    END LOOP;
    RETURN lines;
END $$;
-- Not by a function of pg_temp, which workers cannot see, and by one that is
-- called for each row: without a query, which would start workers of its own.
SELECT format('CREATE FUNCTION public.t_rules() RETURNS segment_rule[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS %L',
    format('BEGIN RETURN %L::iaros.segment_rule[]; END', pg_temp.rules())) \gexec
SELECT matches(pg_temp.plan($$SELECT segment_agg(t_rules(), id, person, '2026-01-01') FROM person$$), 'Finalize Aggregate.*Gather.*Partial Aggregate',
    'a parallel plan aggregates in the workers');
SELECT results_eq($$SELECT * FROM audience_rows((SELECT segment_agg(t_rules(), id, person, '2026-01-01') FROM person))$$,
    $$SELECT * FROM pg_temp.wanted('person')$$, 'and finds the same');
SELECT results_eq($$SELECT p.kind, r.rule, r.members FROM (SELECT kind, segment_agg(t_rules(), id, person, '2026-01-01') AS set FROM person GROUP BY kind) p,
        audience_rows(p.set) r ORDER BY 1, 2$$,
    $$SELECT k, w.rule, w.members FROM generate_series(0, 6) AS k, pg_temp.wanted('SELECT * FROM person WHERE kind = ' || k) w ORDER BY 1, 2$$, 'by groups, too');
SELECT results_eq($$SELECT * FROM audience_rows((SELECT segment_merge(set) FROM grouped))$$, $$SELECT * FROM pg_temp.wanted('person')$$, 'segment_merge() in parallel');
RESET max_parallel_workers_per_gather;

-- Nothing, and NULL.
SELECT is((SELECT segment_agg(pg_temp.rules(), id, person) FROM person WHERE false), NULL, 'no rows give NULL');
SELECT is((SELECT segment_merge(set) FROM grouped WHERE false), NULL, 'no sets give NULL');
SELECT is((SELECT segment_merge(NULL::audience_set) FROM person), NULL, 'only NULLs give NULL');
SELECT is_empty('SELECT * FROM audience_rows(NULL)', 'NULL has no rows');
SELECT results_eq($$SELECT rule, audience_count(members) FROM audience_rows((SELECT segment_agg(pg_temp.rules(), NULL, p, '2026-01-01') FROM person p))$$,
    'SELECT i, 0::bigint FROM generate_series(1, 5) AS i', 'rows without id are left out, the rules stay');
SELECT results_eq($$SELECT rule, audience_ids(members) FROM audience_rows((SELECT segment_agg('{"{\"field\": \"kind\", \"operator\": \"IS NULL\"}"}', q.id, p)
    FROM (VALUES (1::bigint), (-1)) q(id) LEFT JOIN person p ON p.id = q.id WHERE q.id > 0 OR p IS NOT NULL))$$, 'SELECT 1, 2::bigint WHERE false', 'a record that is NULL is left out');
SELECT results_eq($$SELECT count(*) FROM audience_rows((SELECT segment_agg('{}', id, p) FROM person p))$$, 'VALUES (0::bigint)', 'no rules, no audiences');
SELECT is(audience_set_merge(NULL, s.set), s.set, 'merging with NULL on the left') FROM grouped s WHERE half = 7;
SELECT is(audience_set_merge(s.set, NULL), s.set, 'and on the right') FROM grouped s WHERE half = 7;
SELECT is(audience_set_merge(NULL, NULL), NULL, 'two NULLs');
SELECT is(audience_set_merge(a.set, b.set), audience_set_merge(b.set, a.set), 'merging has no order') FROM grouped a, grouped b WHERE a.half = 7 AND b.half = 8;
SELECT ok(a.set <> b.set AND NOT a.set = b.set AND a.set = a.set, 'comparing') FROM grouped a, grouped b WHERE a.half = 7 AND b.half = 8;

-- What is refused.
SELECT throws_ok('SELECT segment_agg(NULL::segment_rule[], id, p) FROM person p', '22004', 'rules must not be NULL', 'rules that are NULL');
SELECT throws_ok($$SELECT segment_agg(ARRAY[NULL]::segment_rule[], id, p) FROM person p$$, '22004', 'rule 1 is NULL', 'a rule that is NULL');
SELECT throws_ok('SELECT segment_agg(t_rules(), id, p, NULL) FROM person p', '22004', 'as_of must not be NULL', 'as_of that is NULL');
SELECT throws_ok('SELECT segment_agg(t_rules(), id, p, now(), NULL) FROM person p', '22004', 'zone must not be NULL', 'zone that is NULL');
SELECT throws_ok('SELECT segment_agg(t_rules(), -id, p) FROM person p', '22003', NULL, 'an id below 0');
SELECT throws_ok($$SELECT segment_agg(t_rules(), id, p, 'infinity') FROM person p$$, '22023', NULL, 'as_of that is infinite');
SELECT throws_ok($$SELECT segment_agg(t_rules(), id, p, now(), 'Atlantis') FROM person p$$, '22023', NULL, 'a zone that does not exist');
SELECT throws_ok('SELECT segment_agg(t_rules(), id, ROW(id, name)) FROM person p', '42703', NULL, 'a record without a column');
SELECT throws_ok($$SELECT segment_agg(ARRAY[format('{"field": "id", "operator": "=", "value": %s}', id)]::segment_rule[], id, p) FROM person p$$, '22023',
    'rules must be the same for every row of a group', 'rules that change in a group');
SELECT lives_ok($$SELECT segment_agg(ARRAY[format('{"field": "id", "operator": "=", "value": %s}', id)]::segment_rule[], id, p) FROM person p WHERE id < 9 GROUP BY id$$,
    'but may change from group to group');
SELECT throws_ok($$SELECT audience_set_merge(a.set, (SELECT segment_agg('{"{\"field\": \"id\", \"operator\": \"=\", \"value\": 1}"}', 1, p) FROM person p LIMIT 1)) FROM grouped a$$, '22023',
    'audience_set values of different rules cannot be merged', 'sets of other rules');

-- As a value: text and bytes read back, and no bytes do harm.
SELECT is_empty('SELECT * FROM grouped WHERE set::text::audience_set <> set', 'text reads back');
CREATE FUNCTION pg_temp.copied() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    different bigint;
BEGIN
    CREATE TEMP TABLE copied (LIKE grouped);
    EXECUTE format('COPY grouped TO %L WITH (FORMAT binary)', current_setting('data_directory') || '/iaros_segment_set.bin');
    EXECUTE format('COPY copied FROM %L WITH (FORMAT binary)', current_setting('data_directory') || '/iaros_segment_set.bin');
    SELECT count(*) INTO different FROM grouped g FULL JOIN copied c USING (half) WHERE g.set = c.set IS NOT TRUE;
    RETURN different;
END $$;
SELECT is(pg_temp.copied(), 0::bigint, 'bytes read back');
CREATE FUNCTION pg_temp.states(value audience_set, n integer) RETURNS TABLE (state text, tries bigint) LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea := audience_set_send(value);
    changed bytea;
    at integer;
    again audience_set;
BEGIN
    CREATE TEMP TABLE outcome (state text);
    PERFORM setseed(0.5);
    FOR i IN 1 .. n LOOP
        changed := bytes;
        FOR k IN 0 .. i % 3 LOOP
            at := floor(random() * length(changed));
            changed := set_byte(changed, at, floor(random() * 256)::integer);
        END LOOP;
        IF i % 4 = 0 THEN
            changed := substr(changed, 1, floor(random() * length(changed))::integer);
        ELSIF i % 4 = 1 THEN
            changed := changed || substr(bytes, floor(random() * length(bytes))::integer, 8);
        END IF;
        BEGIN
            again := changed::text::audience_set;
            IF audience_set_send(again) <> changed OR (SELECT sum(audience_count(r.members)) FROM audience_rows(again) r) < 0 THEN
                RAISE EXCEPTION 'it does not read back';
            END IF;
            PERFORM audience_set_merge(again, again);
            INSERT INTO outcome VALUES ('read');
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO outcome VALUES (SQLSTATE);
        END;
    END LOOP;
    RETURN QUERY SELECT o.state, count(*) FROM outcome o GROUP BY 1;
END $$;
SELECT is_empty($$SELECT * FROM pg_temp.states((SELECT segment_merge(set) FROM grouped WHERE half < 500), 4000) s WHERE s.state NOT IN ('read', '22P03')$$,
    'changed bytes are read or refused, 22P03');
SELECT throws_ok($$SELECT 'x'::audience_set$$, '22P02', 'invalid input syntax for type audience_set', 'no hexadecimal');
SELECT throws_ok($$SELECT '\x'::audience_set$$, '22P03', 'invalid binary form of an audience_set', 'no bytes');
SELECT * FROM finish();
ROLLBACK;
