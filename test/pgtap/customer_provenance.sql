-- Provenance: whatever is claimed, withdrawn or changed by hand, in whatever
-- order, the attributes are what the best claim says, and nothing is lost.
BEGIN;
SELECT plan(40);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = warning;

-- A slow and obvious reference: all that was ever said, in order.
CREATE TEMP TABLE diary (n bigserial, customer_id bigint, attribute text, source text, value text, observed_at timestamptz, withdrawn boolean DEFAULT false);
CREATE FUNCTION pg_temp.last_said() RETURNS TABLE (customer_id bigint, attribute text, source text, value text, observed_at timestamptz, priority integer) LANGUAGE sql AS $$
    SELECT d.customer_id, d.attribute, d.source, d.value, d.observed_at,
        coalesce((SELECT p.priority FROM iaros.source_priority p WHERE p.attribute = d.attribute AND p.source = d.source),
                 (SELECT p.priority FROM iaros.source_priority p WHERE p.attribute = '*' AND p.source = d.source), 0)
    FROM diary d
    WHERE NOT d.withdrawn AND NOT EXISTS (SELECT FROM diary e
        WHERE (e.customer_id, e.attribute, e.source) = (d.customer_id, d.attribute, d.source) AND NOT e.withdrawn
          AND (e.observed_at, e.n) > (d.observed_at, d.n)) $$;
CREATE FUNCTION pg_temp.golden_by_diary() RETURNS TABLE (customer_id bigint, attribute text, value text) LANGUAGE sql AS $$
    WITH s AS MATERIALIZED (SELECT * FROM pg_temp.last_said())
    SELECT s.customer_id, s.attribute, s.value FROM s
    WHERE NOT EXISTS (SELECT FROM s b WHERE b.customer_id = s.customer_id AND b.attribute = s.attribute
        AND (b.priority > s.priority OR b.priority = s.priority AND b.observed_at > s.observed_at
             OR b.priority = s.priority AND b.observed_at = s.observed_at AND b.source COLLATE "C" < s.source COLLATE "C"))
      AND s.value IS NOT NULL $$;
CREATE FUNCTION pg_temp.golden_stored() RETURNS TABLE (customer_id bigint, attribute text, value text) LANGUAGE sql AS $$
    SELECT c.customer_id, e.key, e.value FROM iaros.customer c
    CROSS JOIN LATERAL jsonb_each_text(to_jsonb(c)) e
    WHERE c.customer_id BETWEEN 800001 AND 800012 AND e.key IN ('city', 'language', 'birth_date', 'country') AND e.value IS NOT NULL
    UNION ALL
    SELECT t.customer_id, 'trait.' || t.trait, t.value::text FROM iaros.customer_trait t
    WHERE t.customer_id BETWEEN 800001 AND 800012 $$;

INSERT INTO iaros.customer (customer_id, source, city, language, country, observed_at, created_at)
SELECT 800000 + i, CASE i % 3 WHEN 0 THEN 'crm' WHEN 1 THEN 'web' ELSE 'manual' END, 'Base' || i, CASE WHEN i % 2 = 0 THEN 'en' END, CASE WHEN i < 6 THEN 'GB' END,
    CASE WHEN i % 4 > 0 THEN now() - i * interval '20 days' END, now() - interval '100 days'
FROM generate_series(1, 12) AS i;
INSERT INTO iaros.customer_trait (customer_id, trait, value, source, updated_at)
SELECT 800000 + i, 'vip', to_jsonb(i), 'web', now() - i * interval '30 days' FROM generate_series(1, 12, 2) AS i;
INSERT INTO diary (customer_id, attribute, source, value, observed_at)
SELECT b.customer_id, b.attribute, b.source, b.value, b.observed_at FROM iaros.customer_said_base(ARRAY(SELECT generate_series(800001, 800012))) b;
INSERT INTO iaros.source_priority (attribute, source, priority) VALUES ('city', 'web', 75), ('trait.vip', 'external', 200), ('language', 'manual', 55);

CREATE FUNCTION pg_temp.pick(n integer, what text, choices text[]) RETURNS text LANGUAGE sql AS $$
    SELECT choices[1 + abs(hashtextextended(what, n)) % cardinality(choices)] $$;
CREATE FUNCTION pg_temp.value_of(n integer, attribute text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE WHEN n % 9 = 0 THEN 'null' WHEN attribute = 'language' THEN to_jsonb(pg_temp.pick(n, 'l', '{en,de,fr}'))
        WHEN attribute = 'birth_date' THEN to_jsonb(date '1980-01-01' + n % 5)
        WHEN attribute = 'city' THEN to_jsonb(pg_temp.pick(n, 'c', '{Bonn,Lyon,Oslo,Rome}')) ELSE to_jsonb(n % 4) END $$;

CREATE TEMP TABLE mismatch (round integer, line text);
CREATE TEMP TABLE done (what text);
CREATE FUNCTION pg_temp.one(n integer) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    who bigint := 800000 + pg_temp.pick(n, 'who', '{1,2,3,4,5,6,7,8,9,10,11,12}')::integer;
    src text := pg_temp.pick(n, 'src', '{crm,web,external,mobile,pss,manual,message}');
    att text := pg_temp.pick(n, 'att', '{city,language,birth_date,trait.vip,trait.seat}');
    att2 text := pg_temp.pick(n, 'att2', '{city,language,birth_date,trait.vip,trait.seat}');
    act text := pg_temp.pick(n, 'act', '{claim,claim,claim,row,load,load,withdraw,hand,hand,trait,trait,alias}');
    at timestamptz := now() - pg_temp.pick(n, 'at', '{0,1,5,5,20,90,200,400}')::integer * interval '1 day';
    val jsonb := pg_temp.value_of(n, att);
    txt text;
    old jsonb;
BEGIN
    txt := CASE WHEN val <> 'null' THEN val #>> '{}' END;
    IF act = 'claim' THEN
        PERFORM iaros.customer_claim_record(who, src, jsonb_build_object(att, val), at);
        INSERT INTO diary (customer_id, attribute, source, value, observed_at) VALUES (who, att, src, txt, at);
    ELSIF act = 'row' THEN
        -- The source of the row says all of it again, perhaps with a change.
        SELECT jsonb_strip_nulls(jsonb_build_object('city', c.city, 'language', c.language, 'birth_date', c.birth_date))
            || CASE WHEN n % 2 = 0 AND att = 'city' THEN jsonb_build_object(att, val) ELSE '{}' END, c.source
        INTO old, src FROM iaros.customer c WHERE c.customer_id = who;
        PERFORM iaros.customer_claim_record(who, src, old, at);
        INSERT INTO diary (customer_id, attribute, source, value, observed_at) SELECT who, e.key, src, e.value, at FROM jsonb_each_text(old) e;
    ELSIF act = 'load' THEN
        CREATE TEMP TABLE feed AS
        SELECT 800001 + (who - 800001 + i * 5) % 12 AS customer_id, at + i % 2 * interval '3 hours' - interval '4 hours' AS observed_at,
            jsonb_build_object(CASE i % 2 WHEN 0 THEN att ELSE att2 END, pg_temp.value_of(n + i, CASE i % 2 WHEN 0 THEN att ELSE att2 END)) AS attributes
        FROM generate_series(0, 5) AS i;
        PERFORM iaros.customer_claim_load(src, 'SELECT * FROM feed');
        INSERT INTO diary (customer_id, attribute, source, value, observed_at)
        SELECT f.customer_id, e.key, src, e.value, f.observed_at FROM feed f CROSS JOIN LATERAL jsonb_each_text(f.attributes) e;
        DROP TABLE feed;
    ELSIF act = 'withdraw' THEN
        PERFORM iaros.customer_claim_withdraw(who, src, CASE WHEN n % 3 > 0 THEN ARRAY[att] END);
        UPDATE diary d SET withdrawn = true WHERE d.customer_id = who AND d.source = src AND (n % 3 = 0 OR d.attribute = att);
    ELSIF act = 'hand' AND att IN ('city', 'language', 'birth_date') THEN
        SELECT to_jsonb(c) INTO old FROM iaros.customer c WHERE c.customer_id = who;
        EXECUTE format('UPDATE iaros.customer SET %I = %L WHERE customer_id IN (%s, 800003)', att, txt, who);
        INSERT INTO diary (customer_id, attribute, source, value, observed_at)
        SELECT who, att, 'manual', txt, now() WHERE old ->> att IS DISTINCT FROM txt;
        IF who <> 800003 THEN
            INSERT INTO diary (customer_id, attribute, source, value, observed_at)
            SELECT 800003, att, 'manual', txt, now()
            WHERE (SELECT g.value FROM pg_temp.golden_by_diary() g WHERE g.customer_id = 800003 AND g.attribute = att) IS DISTINCT FROM txt;
        END IF;
    ELSIF act = 'trait' THEN
        SELECT to_jsonb(t) INTO old FROM iaros.customer_trait t WHERE t.customer_id = who AND t.trait = 'seat';
        IF old IS NULL THEN
            INSERT INTO iaros.customer_trait (customer_id, trait, value, source, updated_at) VALUES (who, 'seat', to_jsonb(n % 4), src, at);
            INSERT INTO diary (customer_id, attribute, source, value, observed_at) VALUES (who, 'trait.seat', src, (n % 4)::text, at);
        ELSIF n % 3 = 0 AND (SELECT count(*) > 1 FROM pg_temp.last_said() l WHERE l.customer_id = who AND l.attribute = 'trait.seat') THEN
            DELETE FROM iaros.customer_trait t WHERE t.customer_id = who AND t.trait = 'seat';
            INSERT INTO diary (customer_id, attribute, source, value, observed_at) VALUES (who, 'trait.seat', 'manual', NULL, now());
        ELSIF n % 3 = 1 AND (old ->> 'updated_at')::timestamptz < now() THEN
            UPDATE iaros.customer_trait t SET value = to_jsonb(n % 4), source = src, updated_at = now() WHERE t.customer_id = who AND t.trait = 'seat';
            INSERT INTO diary (customer_id, attribute, source, value, observed_at) VALUES (who, 'trait.seat', src, (n % 4)::text, now());
        ELSIF old -> 'value' <> to_jsonb(n % 4) THEN
            UPDATE iaros.customer_trait t SET value = to_jsonb(n % 4) WHERE t.customer_id = who AND t.trait = 'seat';
            INSERT INTO diary (customer_id, attribute, source, value, observed_at) VALUES (who, 'trait.seat', 'manual', (n % 4)::text, now());
        END IF;
    ELSIF act = 'alias' AND n % 2 = 0 AND iaros.customer_resolve(who) = who THEN
        PERFORM iaros.customer_recognise(who, 800001 + (who - 800001 + 1 + n % 11) % 12)
        WHERE iaros.customer_resolve(800001 + (who - 800001 + 1 + n % 11) % 12) <> who;
    ELSIF act = 'alias' THEN
        PERFORM iaros.customer_separate(who);
    END IF;
    INSERT INTO done VALUES (act);
END $$;
CREATE FUNCTION pg_temp.compare(n integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mismatch
    (SELECT n, 'stored ' || g FROM pg_temp.golden_stored() g EXCEPT ALL SELECT n, 'stored ' || g FROM pg_temp.golden_by_diary() g)
    UNION ALL
    (SELECT n, 'diary ' || g FROM pg_temp.golden_by_diary() g EXCEPT ALL SELECT n, 'diary ' || g FROM pg_temp.golden_stored() g);
    -- What every source said last is all there, and nothing else.
    INSERT INTO mismatch
    (SELECT n, concat('said ', s.customer_id, s.attribute, s.source, s.value, s.observed_at, s.priority)
     FROM iaros.customer_said(ARRAY(SELECT generate_series(800001, 800012))) s
     EXCEPT ALL SELECT n, concat('said ', s.customer_id, s.attribute, s.source, s.value, s.observed_at, s.priority) FROM pg_temp.last_said() s)
    UNION ALL
    (SELECT n, concat('unsaid ', s.customer_id, s.attribute, s.source, s.value, s.observed_at, s.priority) FROM pg_temp.last_said() s
     EXCEPT ALL SELECT n, concat('unsaid ', s.customer_id, s.attribute, s.source, s.value, s.observed_at, s.priority)
     FROM iaros.customer_said(ARRAY(SELECT generate_series(800001, 800012))) s);
    -- Of a person, the claims under all ids are weighed together.
    INSERT INTO mismatch
    SELECT n, concat('person ', p.*) FROM iaros.customer c CROSS JOIN LATERAL iaros.customer_provenance(c.customer_id) p
    WHERE c.customer_id BETWEEN 800001 AND 800012 AND p.wins <> NOT EXISTS (
        SELECT FROM pg_temp.last_said() s WHERE s.attribute = p.attribute
          AND s.customer_id IN (SELECT iaros.customer_ids(c.customer_id)) AND (s.source, s.customer_id) <> (p.source, p.stored_as)
          AND (-s.priority, now() - s.observed_at, s.source COLLATE "C", s.customer_id)
              < (-p.priority, now() - p.observed_at, p.source COLLATE "C", p.stored_as)) $$;
DO $$
BEGIN
    FOR n IN 1 .. 1200 LOOP
        PERFORM pg_temp.one(n);
        IF n % 100 = 0 OR n < 30 THEN
            PERFORM pg_temp.compare(n);
        END IF;
    END LOOP;
END $$;
SELECT is_empty('SELECT * FROM mismatch ORDER BY round LIMIT 10', 'attributes and claims are what the diary says');
SELECT is((SELECT count(DISTINCT what) FROM done), 7::bigint, 'every kind of act was done');
SELECT is_empty('SELECT * FROM iaros.customer_provenance_check()', 'no attribute differs from its claim');
SELECT ok((SELECT count(*) > 0 FROM iaros.customer_said_base(ARRAY(SELECT generate_series(800001, 800012)))), 'some attributes still need no claim');

-- A change of priorities.
UPDATE iaros.source_priority SET priority = CASE source WHEN 'message' THEN 500 ELSE 1 END WHERE attribute = '*';
SELECT isnt_empty('SELECT * FROM iaros.customer_provenance_check()', 'another priority decides otherwise');
SELECT isnt_empty($$SELECT * FROM iaros.doctor() WHERE subject = 'customer_claim'$$, 'doctor tells');
SELECT cmp_ok(iaros.customer_provenance_refresh(), '>', 0::bigint, 'a refresh decides anew');
DO $$ BEGIN DELETE FROM mismatch; PERFORM pg_temp.compare(9999); END $$;
SELECT is_empty('SELECT * FROM mismatch LIMIT 10', 'and then all is as the diary says');
SELECT is(iaros.customer_provenance_refresh(), 0::bigint, 'a second refresh finds nothing');
SELECT is((SELECT count(*) FROM iaros.audit_log WHERE action = 'source_priority.update'), 10::bigint, 'priorities are audited');
UPDATE iaros.source_priority p SET priority = v.priority
FROM (VALUES ('manual', 100), ('crm', 70), ('web', 50), ('pss', 60), ('loyalty', 80), ('external', 20)) AS v(source, priority)
WHERE p.attribute = '*' AND p.source = v.source;
DELETE FROM iaros.source_priority WHERE attribute IN ('city', 'trait.vip', 'language');

-- Bytes: a source alone needs no claims.
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('crm', $$SELECT 'P' || i AS external_id, 'Ann' AS first_name, 'Bonn' AS city, 'de' AS language, '2026-01-01' AS observed_at, '{"vip": 1}'::jsonb AS traits FROM generate_series(1, 50) i$$) \gset first_
SELECT is(:first_accepted, 50, 'customers with a time are loaded');
SELECT is((SELECT count(*) FROM iaros.customer_claim c JOIN iaros.customer_key k USING (customer_id) WHERE k.external_id ~ '^P'), 0::bigint, 'without a claim');
SELECT is((SELECT l.accepted FROM iaros.customer_load('crm', $$SELECT 'P' || i AS external_id, 'Ann' AS first_name, 'Bonn' AS city, 'de' AS language, '2026-02-01' AS observed_at, '{"vip": 1}'::jsonb AS traits FROM generate_series(1, 50) i$$) l), 50::bigint, 'said again later');
SELECT is((SELECT count(*) FROM iaros.customer_claim c JOIN iaros.customer_key k USING (customer_id) WHERE k.external_id ~ '^P'), 0::bigint, 'still without a claim');
SELECT is((SELECT min(c.observed_at) FROM iaros.customer c JOIN iaros.customer_key k USING (customer_id) WHERE k.external_id ~ '^P'), '2026-02-01', 'the time is that of the last time');
SELECT is((SELECT l.duplicates FROM iaros.customer_load('crm', $$SELECT 'P' || i AS external_id, 'Ann' AS first_name, 'Bonn' AS city, 'de' AS language, '2026-02-01' AS observed_at, '{"vip": 1}'::jsonb AS traits FROM generate_series(1, 50) i$$) l), 50::bigint, 'the same again is a duplicate');

-- A lower source does not overwrite, a higher one does.
SELECT iaros.customer_find('crm', 'P1') AS p1 \gset
SELECT is((SELECT l.accepted FROM iaros.customer_claim_load('web', format($$SELECT %s AS customer_id, '2026-06-01' AS observed_at, '{"city": "Lyon"}'::jsonb AS attributes$$, :p1)) l), 1::bigint, 'a lower source is heard');
SELECT is((SELECT city FROM iaros.customer WHERE customer_id = :p1), 'Bonn', 'but does not overwrite');
SELECT results_eq(format($$SELECT value, outcome FROM iaros.customer_claim_record(%s, 'loyalty', '{"city": "Oslo"}', '2020-01-01')$$, :p1), $$VALUES ('Oslo', 'wins')$$, 'a higher one does, however old');
SELECT results_eq(format($$SELECT outcome FROM iaros.customer_claim_record(%s, 'loyalty', '{"city": "Rome"}', '2019-01-01')$$, :p1), $$VALUES ('superseded')$$, 'what comes late is superseded');
SELECT results_eq(format($$SELECT value, source, reason FROM iaros.customer_provenance(%s) WHERE attribute = 'city'$$, :p1),
    $$VALUES ('Oslo', 'loyalty', 'higher priority'), ('Bonn', 'crm', 'lower priority'), ('Lyon', 'web', 'lower priority')$$, 'why the city is what it is');
SELECT is(iaros.customer_claim_withdraw(:p1, 'loyalty'), 1::bigint, 'the claim is withdrawn');
SELECT is((SELECT city FROM iaros.customer WHERE customer_id = :p1), 'Bonn', 'the next best wins');
SELECT is(iaros.customer_claim_withdraw(:p1, 'loyalty'), 0::bigint, 'there is nothing left to withdraw');
SELECT is((SELECT detail ->> 'source' FROM iaros.audit_log WHERE action = 'customer_claim.withdraw' AND customer_id = :p1), 'loyalty', 'a withdrawal is audited');
SELECT is(iaros.customer_claim_withdraw(:p1, 'crm', '{language}'), 1::bigint, 'what only the row said is withdrawn too');
SELECT is((SELECT language FROM iaros.customer WHERE customer_id = :p1), NULL, 'and is gone');

-- By hand, and in the name of a source.
UPDATE iaros.customer SET city = 'Turin' WHERE customer_id = :p1;
SELECT is((SELECT source FROM iaros.customer_provenance(:p1) WHERE attribute = 'city' AND wins), 'manual', 'an UPDATE counts as manual');
SET LOCAL iaros.claim_source = 'external';
UPDATE iaros.customer SET city = 'Nice' WHERE customer_id = :p1;
SET LOCAL iaros.claim_source = '';
SELECT is((SELECT city FROM iaros.customer WHERE customer_id = :p1), 'Turin', 'or as the source that it names, which may lose');

-- Columns of the user.
ALTER TABLE iaros.customer ADD COLUMN shoe_size numeric CHECK (shoe_size BETWEEN 10 AND 60), ADD COLUMN tags text[];
SELECT results_eq(format($$SELECT attribute, value, outcome FROM iaros.customer_claim_record(%s, 'web', '{"shoe_size": 42.5}')$$, :p1), $$VALUES ('shoe_size', '42.5', 'wins')$$, 'a column that was added can be claimed');
SELECT throws_ok(format($$SELECT * FROM iaros.customer_claim_record(%s, 'web', '{"shoe_size": 99}')$$, :p1), '23514', 'claim refused: shoe_size_invalid', 'by its own checks');
SELECT throws_ok(format($$SELECT * FROM iaros.customer_claim_record(%s, 'web', '{"shoe_size": "big"}')$$, :p1), '23514', 'claim refused: shoe_size_invalid', 'and type');
SELECT throws_ok(format($$SELECT * FROM iaros.customer_claim_record(%s, 'web', '{"tags": "a"}')$$, :p1), '42703', 'claim refused: attribute_unknown: "tags"', 'but not an array');
SELECT is((SELECT shoe_size FROM iaros.customer WHERE customer_id = :p1), 42.5, 'nothing of a refused claim was written');

-- Erasure and masks.
SELECT is((SELECT value FROM iaros.customer_claim_masked WHERE customer_id = 800001 AND attribute = 'birth_date' AND value IS NOT NULL LIMIT 1), '1980', 'the view shows the year of birth only');
SELECT lives_ok(format($$SELECT * FROM iaros.customer_claim_record(%s, 'web', '{"last_name": "Smith"}')$$, :p1), 'a name is claimed');
SELECT is((SELECT value FROM iaros.customer_claim_masked WHERE customer_id = :p1 AND attribute = 'last_name'), 'S***', 'names are masked');
DELETE FROM iaros.customer WHERE customer_id = :p1;
SELECT is((SELECT count(*) FROM iaros.customer_claim WHERE customer_id = :p1), 0::bigint, 'claims go with their customer');
SELECT lives_ok($$DELETE FROM iaros.customer_trait WHERE customer_id BETWEEN 800001 AND 800012$$, 'all traits are deleted');
SELECT is((SELECT count(*) FROM iaros.customer_trait WHERE customer_id BETWEEN 800001 AND 800012 AND source <> 'manual'
           AND NOT EXISTS (SELECT FROM iaros.source_priority p WHERE p.attribute = '*' AND p.source = customer_trait.source AND p.priority > 100)), 0::bigint, 'but those that a higher source claims');
SELECT * FROM finish();
ROLLBACK;
