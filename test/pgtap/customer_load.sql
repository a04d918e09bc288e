-- Loading: whatever comes in, nothing is lost, nothing is silently changed,
-- and loading twice changes nothing; with the rights of the caller.
BEGIN;
SELECT plan(43);
SET LOCAL timezone = 'UTC';

INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1);
SELECT iaros.customer_create('crm', 'C' || n) FROM generate_series(1, 9) AS n;

-- Every column filled from one bag of good, bad and hostile texts.
CREATE TEMP TABLE bag AS
SELECT t, row_number() OVER () AS n FROM unnest(ARRAY['C1', 'C2', 'C9', 'B1', 'B2', '1', '2', '3', '-1', '0', '12.34', '12.345', '1e3', '1e99', 'NaN', '',
    ' ', NULL, '2026-01-01', '2026-01-02T10:00:00Z', '2026-02-30', '9999-12-31', 'USD', 'EUR', 'JPY', 'XXQ', 'LHR', 'JFK', 'QQQ', 'economy', 'flown',
    'web', 'bag', 'search', 'login', 'known', 'GB', 'de', 'Europe/Berlin', 'ada@example.com', '+441234567', '''; DROP TABLE iaros.booking; --', '$1', '%s', '\',
    '{}', '{"a": 1}', 'ü€', repeat('x', 300), E'a\tb\nc', 'true', 'null', '99999999999999999999', '1000000000000', 'female', 'A', 'infinity']) AS t;
CREATE FUNCTION pg_temp.fuzz(kind text, good jsonb, rows integer) RETURNS jsonb LANGUAGE sql AS $$
    -- Each row starts good; about one field in six is replaced.
    SELECT jsonb_agg(o.payload ORDER BY o.n) FROM (
        SELECT g.n, jsonb_object_agg(f.field, CASE WHEN h.h % 6 = 0 THEN to_jsonb(b.t) ELSE coalesce(good -> f.field, 'null') END) AS payload
        FROM generate_series(1, rows) AS g(n)
        -- Claims, which a time makes of customers, have tests of their own.
        CROSS JOIN (SELECT unnest(array_remove(fields, CASE fuzz.kind WHEN 'customer' THEN 'observed_at' END)) AS field FROM iaros.load_sql(fuzz.kind)) f
        CROSS JOIN LATERAL (SELECT abs(hashtextextended(f.field, g.n)) AS h) h
        JOIN bag b ON b.n = 1 + (h.h / 6) % (SELECT count(*) FROM bag)
        GROUP BY g.n) o $$;
CREATE FUNCTION pg_temp.fingerprint() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.customer t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.customer_key t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.customer_identifier t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.customer_trait t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.booking t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.booking_item t),
        (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM iaros.event t)) $$;
CREATE TEMP TABLE try AS SELECT * FROM (VALUES
    ('customer', '{"external_id": "N1", "first_name": "Ada", "gender": "female", "country": "GB", "birth_date": "1985-12-10", "email": "ada@example.com", "traits": {"vip": true}}'::jsonb),
    ('claim', '{"customer_external_id": "C1", "observed_at": "2026-01-02", "attributes": {"city": "Bonn", "trait.vip": true}}'),
    ('booking', '{"external_id": "B1", "customer_external_id": "C1", "booked_at": "2026-01-02", "amount": "12.34", "currency": "EUR", "origin": "LHR", "destination": "JFK"}'),
    ('booking_item', '{"booking_external_id": "B1", "customer_external_id": "C1", "line_no": 1, "kind": "bag", "unit_price": 1.5, "quantity": 2}'),
    ('event', '{"external_id": "E1", "customer_external_id": "C1", "kind": "login", "occurred_at": "2026-01-02", "properties": {"a": 1}}')) AS v(kind, good);
-- A booking that the items can hang on.
SELECT * FROM iaros.inbox_ingest('crm', 'booking', '{"external_id": "B1", "customer_external_id": "C1", "booked_at": "2026-01-02", "amount": "12.34", "currency": "EUR", "origin": "LHR", "destination": "JFK"}');

CREATE TEMP TABLE outcome (kind text, round integer, load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint, state text);
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM try LOOP
        FOR outcome_round IN 1 .. 2 LOOP
            INSERT INTO outcome SELECT t.kind, outcome_round, i.*
            FROM iaros.inbox_ingest('crm', t.kind, pg_temp.fuzz(t.kind, t.good, 2000)) i;
            UPDATE outcome o SET state = pg_temp.fingerprint() WHERE o.kind = t.kind AND o.round = outcome_round;
        END LOOP;
    END LOOP;
END $$;
SELECT is(rows, 2000::bigint, kind || ': all rows counted, round ' || round) FROM outcome ORDER BY kind, round;
SELECT is(rows, accepted + duplicates + refused, kind || ': nothing lost, round ' || round) FROM outcome ORDER BY kind, round;
SELECT ok(accepted > 0 AND duplicates > 0 AND refused > 0, kind || ': some of each') FROM outcome WHERE round = 1 ORDER BY kind;
SELECT is(o.accepted, 0::bigint, o.kind || ': nothing new the second time') FROM outcome o WHERE o.round = 2 ORDER BY o.kind;
SELECT is(b.state, a.state, b.kind || ': no row changed the second time')
FROM outcome a JOIN outcome b USING (kind) WHERE a.round = 1 AND b.round = 2 ORDER BY b.kind;
SELECT is_empty(
    $$SELECT o.kind, o.round FROM outcome o
      WHERE o.refused <> (SELECT count(*) FROM iaros.load_reject r WHERE r.load_id = o.load_id)$$,
    'every refused row is kept');
SELECT is_empty(
    $$SELECT r.kind, r.row_no FROM iaros.load_reject r JOIN outcome o USING (load_id) JOIN try t ON t.kind = o.kind
      WHERE r.payload <> pg_temp.fuzz(t.kind, t.good, 2000) -> (r.row_no::integer - 1) AND r.row_no <= 20$$,
    'a refused row is kept as it came');

-- Rights.
CREATE ROLE regress_load_operate;
CREATE ROLE regress_load_read;
SELECT iaros.access_grant('regress_load_operate', 'operate');
SELECT iaros.access_grant('regress_load_read', 'read');
CREATE TABLE public.load_secret AS SELECT 'S1' AS external_id;
CREATE TABLE public.load_open AS SELECT 'O1' AS external_id;
GRANT SELECT ON public.load_open TO PUBLIC;
SET LOCAL ROLE regress_load_operate;
SELECT results_eq($$SELECT rows, accepted FROM iaros.customer_load('crm', 'public.load_open')$$, $$VALUES (1::bigint, 1::bigint)$$,
    'operate loads a table it may read');
SELECT throws_ok($$SELECT * FROM iaros.customer_load('crm', 'public.load_secret')$$, '42501', NULL, 'but none that it may not read');
SET LOCAL ROLE regress_load_read;
SELECT throws_ok($$SELECT * FROM iaros.customer_load('crm', 'public.load_open')$$, '42501', NULL, 'read does not load');
RESET ROLE;

-- Days and times: what is taken, and what it is read as.
CREATE FUNCTION pg_temp.reads(value text) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    IF value !~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?( ?(Z|UTC|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?))?)?$' THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN value ~ '[T ].*(Z|UTC|[+-][0-9:]+)$' THEN value::timestamptz ELSE value::timestamp AT TIME ZONE 'UTC' END;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END $$;
CREATE TEMP TABLE spelling AS
SELECT concat(y, d, t, z) AS value
FROM unnest('{2024-,1999-,0999-,3000-,2100-,1000-,2999-,24-,""}'::text[]) AS y,
    unnest('{02-28,02-29,02-30,04-30,04-31,12-31,13-01,00-10,06-00,1-02,12-,12-3a}'::text[]) AS d,
    unnest(ARRAY['', 'T00:00', 'T24:00', ' 23:59', 'T00:00:00', ' 00:00:60', 't00:00', 'T12:34:56.1', 'T12:34:56.123456', 'T12:34:56.1234567', 'T12:34:56.',
        ' 0:00', 'T00:00.5', ' 00:00:00.0', ' ', '  00:00', E'\n00:00', 'T23:59:59.999999', 'T00:0é']) AS t,
    unnest(ARRAY['', 'Z', ' Z', 'UTC', ' UTC', '  Z', '+05', '-14', '+15', '+0530', ' -05:30', '+05:60', '+5', '+05:', '+', ' ', 'UT', E'\n', '+05:300']) AS z;
SELECT ok(count(iaros.load_time(value)) > 1000 AND count(iaros.load_date(value)) > 10, 'spellings of times') FROM spelling;
SELECT is_empty($$SELECT value, iaros.load_time(value), pg_temp.reads(value) FROM spelling WHERE iaros.load_time(value) IS DISTINCT FROM pg_temp.reads(value)$$, 'are read as the server reads them');
SELECT is_empty($$SELECT value, iaros.load_date(value) FROM spelling WHERE iaros.load_date(value) IS DISTINCT FROM
    CASE WHEN value ~ '^[^T ]*([T ]00:00(:00)?)?$' THEN (pg_temp.reads(value) AT TIME ZONE 'UTC')::date END$$, 'and days');
SELECT * FROM finish();
ROLLBACK;
