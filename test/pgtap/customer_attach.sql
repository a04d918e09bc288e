-- Attached sources: whatever is written into tables of the user's own, our
-- rows are those of the tables, and the writer is never stopped.
BEGIN;
SELECT plan(112);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = warning;
INSERT INTO iaros.data_source (source, description) VALUES ('shop', 'Shop'), ('other', 'Other');
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2020-01-01', 1.1);
SELECT iaros.setting_set('fx_max_age_days', '9999') \g /dev/null

CREATE SCHEMA own;
CREATE TYPE own.state AS ENUM ('OK', 'FLOWN', 'X');
CREATE TABLE own.person (id integer PRIMARY KEY, name text, mail text, land text, tier text);
CREATE TABLE own.sale (branch char(4), no integer, person integer, day timestamp, price text, state own.state, "From" text, "To" text, UNIQUE (branch, no));
CREATE TABLE own.click (id uuid PRIMARY KEY, person text, at timestamptz, what text, info text);
CREATE SEQUENCE own.fresh START 1000;
CREATE VIEW own.person_view AS SELECT * FROM own.person;
CREATE TABLE own.parted (id integer PRIMARY KEY) PARTITION BY RANGE (id);

CREATE TEMP TABLE map AS SELECT
    '{"external_id": "id", "first_name": "name", "email": "mail", "country": "land", "traits": {"fields": {"tier": "tier"}}}'::jsonb AS person,
    '{"external_id": ["branch", "no"], "customer_external_id": "person", "booked_at": "day", "amount": "price", "currency": {"value": "EUR"},
      "status": {"column": "state", "values": {"OK": "ticketed", "X": "cancelled", "FLOWN": "flown"}},
      "origin": "From", "destination": {"expression": "upper(\"To\")"}}'::jsonb AS sale,
    '{"external_id": "id", "customer_external_id": "person", "occurred_at": "at", "kind": "what", "properties": {"fields": {"info": "info"}}}'::jsonb AS click;
GRANT SELECT ON map TO PUBLIC;

-- What cannot be attached.
SELECT throws_ok($$SELECT iaros.source_attach('person', 'own.person', person, 'shop') FROM map$$, '22023', NULL, 'an unknown kind is refused');
SELECT throws_ok($$SELECT iaros.source_attach('booking_item', 'own.person', person, 'shop') FROM map$$, '22023', NULL, 'items cannot be attached');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person_view', person, 'shop') FROM map$$, '42809', NULL, 'a view cannot be attached');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.parted', person, 'shop') FROM map$$, '42809', NULL, 'a partitioned table cannot be attached');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'iaros.customer', person, 'shop') FROM map$$, '42809', NULL, 'a table of iaros cannot be attached');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person || '{"external_id": "name"}', 'shop') FROM map$$, '42P10', NULL, 'a key that is not unique is refused');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person || '{"external_id": {"expression": "id"}}', 'shop') FROM map$$, '42P10', NULL, 'nor is an expression a key');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person || '{"city": "town"}', 'shop') FROM map$$, '42703', NULL, 'a column that does not exist is refused');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person || '{"town": "name"}', 'shop') FROM map$$, '42703', NULL, 'so is an unknown field');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person - 'external_id', 'shop') FROM map$$, '42703', NULL, 'so is a map without a required one');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person || '{"city": 5}', 'shop') FROM map$$, '22023', NULL, 'so is a number for a column');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person, 'nowhere') FROM map$$, '23503', NULL, 'so is an unknown source');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', '[]', 'shop') FROM map$$, '22023', NULL, 'so is a map that is no object');
SELECT throws_ok($$SELECT iaros.source_refresh('shop', 'customer')$$, '42704', NULL, 'nothing to refresh');
SELECT throws_ok($$SELECT iaros.source_detach('shop', 'customer')$$, '42704', NULL, 'nothing to detach');
SELECT iaros.customer_create('shop', 'stray') AS stray \gset
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person, 'shop') FROM map$$, '55000', NULL, 'the source has a row that the table has not');
DELETE FROM iaros.customer WHERE customer_id = :stray;

-- First load.
INSERT INTO own.person VALUES (1, 'Ada', 'ada@example.com', 'GB', 'gold'), (2, 'Bob', 'bob at', 'US', NULL), (3, 'Eve', NULL, NULL, NULL);
INSERT INTO own.sale VALUES ('A/', 1, 1, '2026-01-01 10:00', '100', 'OK', 'JFK', 'lhr'), ('A/', 2, 9, '2026-01-01', '5', 'OK', NULL, NULL), ('B', 3, 3, '2026-01-02', '7.5', 'FLOWN', NULL, NULL);
SELECT results_eq($$SELECT a.rows, a.accepted, a.duplicates, a.refused FROM map, iaros.source_attach('customer', 'own.person', person, 'shop') a$$,
    $$VALUES (3::bigint, 2::bigint, 0::bigint, 1::bigint)$$, 'customers are attached');
SELECT results_eq($$SELECT a.rows, a.accepted, a.duplicates, a.refused FROM map, iaros.source_attach('booking', 'own.sale', sale, 'shop') a$$,
    $$VALUES (3::bigint, 2::bigint, 0::bigint, 1::bigint)$$, 'bookings are attached');
SELECT results_eq($$SELECT a.rows FROM map, iaros.source_attach('event', 'own.click', click, 'shop') a$$, $$VALUES (0::bigint)$$, 'events are attached');
SELECT throws_ok($$SELECT iaros.source_attach('booking', 'own.sale', sale, 'shop') FROM map$$, '23505', NULL, 'but not twice');
SELECT results_eq($$SELECT kind, external_id, difference, detail FROM iaros.source_check('shop')$$,
    $$VALUES ('booking', 'A%2F/2', 'refused', '{"customer_unknown: \"9\""}'::text[]), ('customer', '2', 'refused', '{email_invalid}')$$,
    'what was refused is told, the rest is in step');
SELECT results_eq($$SELECT external_id, amount, amount_base, status::text, origin::text, destination::text FROM iaros.booking WHERE source = 'shop' ORDER BY 1$$,
    $$VALUES ('A%2F/1', 100.0000, 110.0000, 'ticketed', 'JFK', 'LHR'), ('B/3', 7.5, 8.25, 'flown', NULL, NULL)$$, 'the map is applied');

-- One row at a time.
INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency)
SELECT customer_id, booking_id, 1, 'bag', 10, 'EUR' FROM iaros.booking WHERE external_id = 'A%2F/1';
UPDATE own.sale SET price = 200, state = 'X' WHERE no = 1;
SELECT results_eq($$SELECT amount, amount_base, status::text FROM iaros.booking WHERE external_id = 'A%2F/1'$$, $$VALUES (200.0000, 220.0000, 'cancelled')$$, 'an update is taken over');
-- What hangs on the booking: a redemption, a column and a table of the user's.
ALTER TABLE iaros.booking ADD COLUMN own_note text;
UPDATE iaros.booking SET own_note = 'kept' WHERE external_id = 'A%2F/1';
CREATE UNIQUE INDEX own_booking ON iaros.booking (booking_id, customer_id);
CREATE TABLE own.receipt (customer bigint, booking bigint, no integer, FOREIGN KEY (booking, customer) REFERENCES iaros.booking (booking_id, customer_id));
INSERT INTO own.receipt SELECT b.customer_id, b.booking_id, 7 FROM iaros.booking b WHERE b.external_id = 'A%2F/1';
SELECT iaros.promo_create('OWN5', 'Five', '{"discount": {"kind": "fixed_amount", "value": 5}, "currency": "EUR",
    "limits": [{"scope": "total", "maximum": 10}, {"scope": "customer", "maximum": 1}, {"scope": "booking", "maximum": 1}]}') \g /dev/null
SELECT b.customer_id AS ada, (SELECT k.customer_id FROM iaros.customer_key k WHERE k.source = 'shop' AND k.external_id = '3') AS eve,
    b.booking_id FROM iaros.booking b WHERE b.external_id = 'A%2F/1' \gset
SELECT redeemed FROM iaros.promo_redeem(format('{"customer": %s, "booking": %s, "currency": "EUR", "lines": [{"id": 1, "price": 100}]}', :ada, :booking_id)::jsonb,
    '{OWN5}', 'basket') \g /dev/null
UPDATE own.sale SET person = 3, price = 150 WHERE no = 1;
SELECT results_eq($$SELECT k.external_id, i.kind FROM iaros.booking b JOIN iaros.booking_item i USING (customer_id, booking_id) JOIN iaros.customer_key k USING (customer_id) WHERE b.external_id = 'A%2F/1'$$,
    $$VALUES ('3', 'bag')$$, 'a booking changes hands with its items');
SELECT results_eq($$SELECT amount, own_note FROM iaros.booking WHERE external_id = 'A%2F/1'$$, $$VALUES (150.0000, 'kept')$$, 'and with all its columns');
SELECT results_eq($$SELECT r.no, r.booking FROM own.receipt r$$, format('VALUES (7, %s::bigint)', :booking_id), 'a table of the user''s follows');
SELECT results_eq($$SELECT r.customer_id, r.booking_id FROM iaros.promo_redemption r WHERE r.idempotency_key = 'basket'$$,
    format('VALUES (%s::bigint, %s::bigint)', :eve, :booking_id), 'so does the redemption');
SELECT results_eq($$SELECT u.customer_id, u.counted FROM iaros.promo_use u JOIN iaros.promo p USING (promo_id) WHERE p.code::text = 'OWN5'$$,
    format('VALUES (%s::bigint, true)', :eve), 'and its use');
SELECT results_eq($$SELECT c.customer_id, l.scope::text, c.booking_id, c.value FROM iaros.promo_customer_counter c JOIN iaros.promo_limit l USING (promo_limit_id) ORDER BY 2$$,
    format('VALUES (%1$s::bigint, ''booking'', %2$s::bigint, 1::numeric), (%1$s, ''customer'', 0, 1)', :eve, :booking_id), 'which is counted there, and no longer here');
SELECT is((SELECT answers #>> '{0,reasons,0,text}' FROM iaros.promo_validate(format('{"customer": %s, "currency": "EUR", "lines": [{"id": 1, "price": 100}]}', :eve)::jsonb, '{OWN5}')),
    'it can be used once by one customer, and was used once', 'and keeps the new customer from another');
SELECT is((SELECT valid FROM iaros.promo_validate(format('{"customer": %s, "currency": "EUR", "lines": [{"id": 1, "price": 100}]}', :ada)::jsonb, '{OWN5}')), true,
    'but not the old one');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');
SELECT throws_ok($$UPDATE iaros.promo_redemption SET amount = 101$$, '55000', NULL, 'the ledger still takes no other update');
SELECT throws_ok(format('UPDATE iaros.promo_redemption SET customer_id = %s, booking_id = NULL', :ada), '55000', NULL, 'nor a redemption that moves without its booking');
DELETE FROM own.receipt;
UPDATE own.sale SET no = 11 WHERE no = 1;
SELECT results_eq($$SELECT external_id FROM iaros.booking WHERE source = 'shop' ORDER BY 1$$, $$VALUES ('A%2F/11'), ('B/3')$$, 'a changed key is a delete and an insert');
SELECT results_eq($$SELECT r.customer_id, r.booking_id FROM iaros.promo_redemption r WHERE r.idempotency_key = 'basket'$$,
    format('VALUES (%s::bigint, NULL::bigint)', :eve), 'a redemption stays when its booking is gone');
SELECT results_eq($$SELECT action, detail ->> 'booking_id' FROM iaros.audit_log WHERE object = 'promo' AND action IN ('promo.move', 'promo.unlink') ORDER BY audit_id$$,
    format($$VALUES ('promo.move', '%1$s'), ('promo.unlink', '%1$s')$$, :booking_id), 'which booking it was is audited');
SELECT lives_ok($$UPDATE own.sale SET price = 'much' WHERE no = 3$$, 'a row that is refused does not stop the writer');
SELECT is((SELECT amount FROM iaros.booking WHERE external_id = 'B/3'), 7.5, 'the booking stays as it was');
SELECT is((SELECT detail FROM iaros.source_check('shop') WHERE external_id = 'B/3'), '{"amount_invalid: \"much\""}', 'and source_check() tells');
SELECT ok(EXISTS (SELECT FROM iaros.load_reject WHERE external_id = 'B/3' AND reasons = '{"amount_invalid: \"much\""}' AND payload ->> 'amount' = 'much'), 'it is kept as refused');
INSERT INTO own.person VALUES (9, 'Zoe');
UPDATE own.person SET mail = 'bob@example.com' WHERE id = 2;
UPDATE own.sale SET price = '8' WHERE no = 3;
SELECT is((SELECT r.accepted FROM iaros.source_refresh('shop', 'booking') r), 1::bigint, 'a refresh takes rows that are right now');
SELECT is_empty($$SELECT * FROM iaros.source_check('shop')$$, 'all in step');
DELETE FROM own.person WHERE id = 3;
SELECT ok(EXISTS (SELECT FROM iaros.customer_trait t JOIN iaros.customer_key k USING (customer_id) WHERE t.trait = 'source_deleted' AND k.external_id = '3'), 'a deleted customer stays, marked');
INSERT INTO own.person VALUES (3, 'Eva');
SELECT ok(NOT EXISTS (SELECT FROM iaros.customer_trait t WHERE t.trait = 'source_deleted'), 'until it comes back');

-- Anything in any order.
SELECT setseed(0.4) \g /dev/null
CREATE FUNCTION pg_temp.pick(VARIADIC bag text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT bag[1 + floor(random() * cardinality(bag))::integer] $$;
CREATE TEMP TABLE wrong (round integer, what text);
DO $$
DECLARE
    round integer;
BEGIN
    FOR round IN 1 .. 150 LOOP
        CASE floor(random() * 9)
        WHEN 0 THEN
            INSERT INTO own.person SELECT n, pg_temp.pick('Ada', 'Bob', NULL, ''), pg_temp.pick('a@example.com', 'B@Example.com', NULL), pg_temp.pick('GB', 'US', NULL), pg_temp.pick('gold', NULL)
            FROM generate_series(10, 40) n WHERE random() < 0.3 ON CONFLICT (id) DO UPDATE SET name = excluded.name, land = excluded.land;
        WHEN 1 THEN
            UPDATE own.person SET name = pg_temp.pick('Eve', NULL), mail = pg_temp.pick('e@example.com', NULL, 'f@example.com'), tier = pg_temp.pick('gold', 'red', NULL) WHERE random() < 0.3;
        WHEN 2, 3 THEN
            INSERT INTO own.sale SELECT pg_temp.pick('A', 'A/', '%', 'B'), n, (SELECT id FROM own.person ORDER BY random() + n LIMIT 1), timestamp '2025-01-01' + random() * interval '400 days',
                (floor(random() * 1000) / 4)::text, pg_temp.pick('OK', 'X', 'FLOWN', NULL)::own.state
            FROM generate_series(20, 80) n WHERE random() < 0.3 ON CONFLICT DO NOTHING;
        WHEN 4 THEN
            UPDATE own.sale SET price = (floor(random() * 1000) / 4)::text, "From" = pg_temp.pick('JFK', 'CDG'), "To" = 'lhr',
                person = CASE WHEN random() < 0.3 THEN (SELECT id FROM own.person ORDER BY random() + no LIMIT 1) ELSE person END WHERE random() < 0.3;
        WHEN 5 THEN
            UPDATE own.sale SET no = nextval('own.fresh') WHERE random() < 0.1;
        WHEN 6 THEN
            DELETE FROM own.sale WHERE random() < 0.2;
        WHEN 7 THEN
            INSERT INTO own.click SELECT gen_random_uuid(), id, timestamptz '2025-01-01' + random() * interval '400 days', pg_temp.pick('login', 'complaint'), pg_temp.pick('x', NULL)
            FROM own.person WHERE random() < 0.5;
            UPDATE own.click SET at = at + interval '40 days', info = pg_temp.pick('y', 'z') WHERE random() < 0.3;
            UPDATE own.click SET person = (SELECT id FROM own.person ORDER BY id LIMIT 1), what = pg_temp.pick('login', 'nothing') WHERE random() < 0.2;
            UPDATE own.click SET what = pg_temp.pick('login', 'nothing') WHERE random() < 0.5;
            DELETE FROM own.click WHERE random() < 0.2;
        ELSE
            IF random() < 0.2 THEN
                TRUNCATE own.sale;
            ELSIF random() < 0.3 THEN
                DELETE FROM own.click;
            END IF;
        END CASE;
        INSERT INTO wrong SELECT round, concat_ws(' ', c.kind, c.external_id, c.difference, c.detail) FROM iaros.source_check('shop') c
        WHERE c.difference <> 'refused' OR c.detail::text !~ 'kind_unknown';
        INSERT INTO wrong SELECT round, 'booking ' || s::text FROM (
            (SELECT replace(replace(btrim(branch::text), '%', '%25'), '/', '%2F') || '/' || no AS key, person::text, day AT TIME ZONE 'UTC' AS at, price::numeric,
                CASE state WHEN 'X' THEN 'cancelled' WHEN 'FLOWN' THEN 'flown' WHEN 'OK' THEN 'ticketed' ELSE 'confirmed' END, "From", upper("To") FROM own.sale)
            EXCEPT
            SELECT b.external_id, k.external_id, b.booked_at, b.amount, b.status::text, b.origin, b.destination
            FROM iaros.booking b JOIN iaros.customer_key k USING (customer_id) WHERE b.source = 'shop') s;
        INSERT INTO wrong SELECT round, 'number of bookings' WHERE (SELECT count(*) FROM own.sale) <> (SELECT count(*) FROM iaros.booking WHERE source = 'shop');
        INSERT INTO wrong SELECT round, 'event ' || s::text FROM (
            (SELECT id::text, person, at, what, jsonb_build_object('info', info) FROM own.click WHERE what <> 'nothing')
            EXCEPT
            SELECT w.external_id, k.external_id, e.occurred_at, e.kind, e.properties
            FROM iaros.event_key w JOIN iaros.event e USING (customer_id, event_id, occurred_at) JOIN iaros.customer_key k USING (customer_id) WHERE w.source = 'shop') s;
        INSERT INTO wrong SELECT round, 'number of events' WHERE (SELECT count(*) FROM own.click WHERE what <> 'nothing') <> (SELECT count(*) FROM iaros.event WHERE source = 'shop');
        INSERT INTO wrong SELECT round, 'person ' || s::text FROM (
            (SELECT id::text, nullif(name, ''), lower(mail), land FROM own.person)
            EXCEPT
            SELECT k.external_id, c.first_name, (SELECT i.value FROM iaros.customer_identifier i WHERE i.customer_id = c.customer_id AND i.kind = 'email'), c.country
            FROM iaros.customer_key k JOIN iaros.customer c USING (customer_id) WHERE k.source = 'shop') s;
    END LOOP;
END $$;
SELECT is_empty($$SELECT * FROM wrong$$, 'after any statement our rows are those of the tables');
SELECT cmp_ok((SELECT count(*) FROM own.sale) + (SELECT count(*) FROM own.person) + (SELECT count(*) FROM own.click), '>', 20::bigint, 'and there are some');
SELECT is_empty($$SELECT reasons FROM iaros.load_reject WHERE source = 'shop' AND reasons[1] LIKE 'error%'$$, 'no statement was left out');

-- As if they were attached now. Events of a kind that does not exist are not
-- there either way.
CREATE TABLE own.person2 AS TABLE own.person;
CREATE TABLE own.sale2 AS TABLE own.sale;
CREATE TABLE own.click2 AS TABLE own.click;
ALTER TABLE own.person2 ADD PRIMARY KEY (id);
ALTER TABLE own.sale2 ADD PRIMARY KEY (branch, no);
ALTER TABLE own.click2 ADD PRIMARY KEY (id);
SELECT a.accepted FROM map, iaros.source_attach('customer', 'own.person2', person, 'other') a \g /dev/null
SELECT a.accepted FROM map, iaros.source_attach('booking', 'own.sale2', sale, 'other') a \g /dev/null
SELECT a.accepted FROM map, iaros.source_attach('event', 'own.click2', click, 'other') a \g /dev/null
CREATE FUNCTION pg_temp.all_of(source text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws('|', 'customer', k.external_id, c.kind, c.first_name, c.country,
        (SELECT string_agg(i.kind || i.value, ',') FROM iaros.customer_identifier i WHERE i.customer_id = c.customer_id),
        (SELECT jsonb_object_agg(t.trait, t.value) FROM iaros.customer_trait t WHERE t.customer_id = c.customer_id))
    FROM iaros.customer_key k JOIN iaros.customer c USING (customer_id)
    WHERE k.source = $1 AND k.external_id IN (SELECT id::text FROM own.person)
    UNION ALL
    SELECT concat_ws('|', 'booking', k.external_id, (to_jsonb(b) - '{customer_id,booking_id,source}'::text[])::text)
    FROM iaros.booking b JOIN iaros.customer_key k ON k.customer_id = b.customer_id WHERE b.source = $1
    UNION ALL
    SELECT concat_ws('|', 'event', k.external_id, w.external_id, e.kind, e.occurred_at, e.properties)
    FROM iaros.event_key w JOIN iaros.event e USING (customer_id, event_id, occurred_at) JOIN iaros.customer_key k USING (customer_id) WHERE w.source = $1
$$;
SELECT set_eq($$SELECT pg_temp.all_of('shop')$$, $$SELECT pg_temp.all_of('other')$$, 'and those of a fresh attach');
SELECT sum(iaros.source_detach('other', k, true)) FROM unnest('{event,booking,customer}'::text[]) k \g /dev/null

-- With other sources that claim: the best is kept, the table is what its
-- source says.
UPDATE iaros.source_priority SET priority = 1 WHERE source = 'support' AND attribute = '*';
INSERT INTO iaros.source_priority (attribute, source, priority) VALUES ('first_name', 'shop', 50), ('*', 'shop', 0);
INSERT INTO own.person VALUES (80, 'Kim', 'kim@example.com', 'GB', 'gold');
SELECT customer_id AS kim FROM iaros.customer_key WHERE source = 'shop' AND external_id = '80' \gset
CREATE FUNCTION pg_temp.kim() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws('|', c.first_name, coalesce(c.country, '-'), (SELECT string_agg(t.trait || '=' || t.value, ',') FROM iaros.customer_trait t WHERE t.customer_id = c.customer_id))
    FROM iaros.customer c JOIN iaros.customer_key k USING (customer_id) WHERE k.source = 'shop' AND k.external_id = '80' $$;
SELECT is((SELECT count(*) FROM iaros.customer_claim WHERE customer_id = :kim), 0::bigint, 'who is taken over needs no claim');
SELECT iaros.customer_claim_record(:kim, 'support', '{"first_name": "Kimberly", "country": "US", "trait.tier": "red", "trait.vip": 1, "city": "Rome"}') \g /dev/null
SELECT is(pg_temp.kim(), 'Kim|US|tier="red",vip=1', 'another source outranks it or not');
SELECT is_empty($$SELECT * FROM iaros.source_check('shop') WHERE external_id = '80'$$, 'which is no difference from the table');
UPDATE own.person SET name = 'Kym', land = 'FR', tier = 'blue' WHERE id = 80;
SELECT is(pg_temp.kim(), 'Kym|US|tier="red",vip=1', 'a changed row changes what is believed of it');
SELECT is_empty($$SELECT * FROM iaros.source_check('shop') WHERE external_id = '80'$$, 'again without difference');
SELECT is((SELECT r.accepted FROM iaros.source_refresh('shop', 'customer') r), 0::bigint, 'and nothing to refresh');
SELECT results_eq(format('SELECT attribute, value FROM iaros.customer_claim WHERE customer_id = %s AND source = %L ORDER BY 1', :kim, 'shop'),
    $$VALUES ('country', 'FR'), ('first_name', 'Kym'), ('trait.tier', '"blue"')$$, 'the claims are those of the attached source');
SELECT is_empty(format($$SELECT * FROM iaros.customer_claim WHERE customer_id = %s AND source = 'manual'$$, :kim), 'nobody did it by hand');
UPDATE own.person SET land = 'US' WHERE id = 80;
SELECT iaros.customer_claim_withdraw(:kim, 'support') \g /dev/null
SELECT is(pg_temp.kim(), 'Kym|US|tier="blue"', 'what it says stays when the other goes');
UPDATE own.person SET land = NULL, tier = NULL WHERE id = 80;
SELECT is(pg_temp.kim(), 'Kym|-|tier=null', 'NULL empties');
UPDATE iaros.customer SET first_name = 'Hand' WHERE customer_id = :kim;
SELECT is_empty($$SELECT * FROM iaros.source_check('shop') WHERE external_id = '80'$$, 'a change by hand is another claim');
UPDATE own.person SET name = 'Kem' WHERE id = 80;
SELECT is(pg_temp.kim(), 'Hand|-|tier=null', 'that outranks the table');
SELECT is_empty($$SELECT * FROM iaros.customer_provenance_check()$$, 'what is kept is what wins');
SELECT is_empty($$SELECT reasons FROM iaros.load_reject WHERE source = 'shop' AND reasons[1] LIKE 'error%'$$, 'no statement was left out here');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person2', person || '{"observed_at": "name"}', 'other') FROM map$$, '42703',
    'field "observed_at" cannot be mapped', 'a time of observation cannot be mapped');
SELECT throws_ok($$SELECT iaros.source_attach('claim', 'own.person2', person, 'other') FROM map$$, '22023', 'claims cannot be attached', 'nor can claims be attached');

-- The writer needs no right here and cannot be stopped.
DELETE FROM own.sale;
CREATE ROLE regress_attach_shop;
GRANT USAGE ON SCHEMA own TO regress_attach_shop;
GRANT ALL ON ALL TABLES IN SCHEMA own TO regress_attach_shop;
SET LOCAL ROLE regress_attach_shop;
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own.person', person, 'other') FROM map$$, '42501', NULL, 'who writes does not attach');
SELECT lives_ok($$INSERT INTO own.sale VALUES ('N', 1, 9, '2026-03-01', '10', 'OK')$$, 'but writes');
RESET ROLE;
SELECT is((SELECT amount FROM iaros.booking WHERE source = 'shop' AND external_id = 'N/1'), 10.0000, 'and it is taken over');
-- A cast of a type of the writer's own would run as the owner.
CREATE FUNCTION own.spy(own.state) RETURNS json LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''ran''; END';
CREATE CAST (own.state AS json) WITH FUNCTION own.spy(own.state);
ALTER TABLE own.click ALTER COLUMN what TYPE own.state USING NULL;
UPDATE own.click SET what = 'OK';
INSERT INTO own.sale VALUES ('N', 2, 9, '2026-03-01', '10', 'FLOWN');
SELECT is_empty($$SELECT reasons FROM iaros.load_reject WHERE source = 'shop' AND reasons[1] LIKE 'error%'$$, 'no cast of a type of the user''s runs');

-- Strange tables and maps.
INSERT INTO iaros.data_source (source, description) VALUES ('odd', 'Odd'), ('third', 'Third'), ('fourth', 'Fourth');
CREATE TABLE own."Odd ""Name""" ("Key " bytea PRIMARY KEY, "select" text, "%s" float8, opt text UNIQUE);
INSERT INTO own."Odd ""Name""" VALUES ('\x00ff', 'Ann''; --', 0.1, NULL), ('\x01', '\', 'NaN', 'o');
CREATE TEMP TABLE odd_temp (id integer PRIMARY KEY);
CREATE UNLOGGED TABLE own.odd_unlogged (id integer PRIMARY KEY);
CREATE TABLE own.odd_heir (PRIMARY KEY (id)) INHERITS (own.person2);
CREATE TABLE own.odd_part PARTITION OF own.parted DEFAULT;
CREATE FOREIGN DATA WRAPPER own_none;
CREATE SERVER own_server FOREIGN DATA WRAPPER own_none;
CREATE FOREIGN TABLE own.odd_foreign (id integer) SERVER own_server;
CREATE MATERIALIZED VIEW own.odd_view AS SELECT 1 AS id;
SELECT throws_ok(format($$SELECT iaros.source_attach('customer', %L, '{"external_id": "id"}', 'odd')$$, t), '42809', NULL, t || ' is refused')
FROM unnest('{odd_temp,own.odd_unlogged,own.odd_heir,own.person2,own.odd_part,own.odd_foreign,own.odd_view}'::text[]) t;
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "key "}', 'odd')$$, '42703',
    '"own."Odd ""Name"""" has no column "key "', 'a name in the wrong case is refused');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "Key ", "traits": {"fields": {"x": "y"}}}', 'odd')$$, '42703',
    NULL, 'so is a column that does not exist inside fields');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "Key ", "city": {"expression": "nothing(1)"}}', 'odd')$$, '42883',
    NULL, 'so is an expression that does not work');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "Key ", "city": {"expression": "1) FROM r; DROP TABLE own.sale; --"}}', 'odd')$$, '42601',
    NULL, 'or is more than one');
SELECT is_empty($$SELECT * FROM iaros.attached_source WHERE source = 'odd'$$, 'nothing is half attached');
SELECT results_eq($$SELECT a.rows, a.accepted FROM iaros.source_attach('customer', 'own."Odd ""Name"""',
    '{"external_id": "Key ", "last_name": "select", "traits": {"fields": {"percent": "%s"}}}', 'odd') a$$, $$VALUES (2::bigint, 2::bigint)$$, 'strange names are no hindrance');
SET LOCAL bytea_output = 'escape';
SET LOCAL extra_float_digits = -10;
UPDATE own."Odd ""Name""" SET "%s" = 1.0 / 3;
SELECT is_empty($$SELECT * FROM iaros.source_check('odd')$$, 'nor are settings of the writer');
SELECT results_eq($$SELECT k.external_id, c.last_name, t.value FROM iaros.customer_key k JOIN iaros.customer c USING (customer_id) JOIN iaros.customer_trait t USING (customer_id)
    WHERE k.source = 'odd' ORDER BY 1$$,
    $$VALUES ('\x00ff', 'Ann''; --', '0.3333333333333333'::jsonb), ('\x01', '\', '0.3333333333333333')$$, 'they are as written');
SELECT iaros.source_detach('odd', 'customer') \g /dev/null
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "opt"}', 'odd')$$, '55000', NULL, 'another key is another source');
SELECT results_eq($$SELECT a.rows, a.refused FROM iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "opt"}', 'third') a$$,
    $$VALUES (2::bigint, 1::bigint)$$, 'a row without key is refused');
SELECT throws_ok($$SELECT iaros.source_attach('customer', 'own."Odd ""Name"""', '{"external_id": "opt"}', 'fourth')$$, '42710', NULL, 'a table is of one source');
SELECT is((SELECT reasons FROM iaros.load_reject WHERE source = 'third'), '{external_id_missing}', 'and told');
UPDATE own."Odd ""Name""" SET opt = opt || 'x';
DELETE FROM own."Odd ""Name""" WHERE opt IS NULL;
SELECT is_empty($$SELECT * FROM iaros.source_check('third')$$, 'rows without key come and go');
CREATE ROLE regress_attach_poor;
SELECT iaros.access_grant('regress_attach_poor', 'operate') \g /dev/null
SET LOCAL ROLE regress_attach_poor;
SELECT throws_ok($$SELECT * FROM iaros.source_check('third')$$, '42501', NULL, 'a table is checked with the rights of the caller');
SELECT lives_ok($$SELECT * FROM iaros.doctor()$$, 'but doctored without');
RESET ROLE;

-- What doctor() finds.
CREATE FUNCTION pg_temp.found() RETURNS SETOF text LANGUAGE sql AS $$ SELECT subject || ': ' || finding FROM iaros.doctor() WHERE subject LIKE 'attached % of third' ORDER BY 1 $$;
SELECT is_empty($$SELECT pg_temp.found()$$, 'all is well');
ALTER TABLE own."Odd ""Name""" DISABLE TRIGGER iaros_customer_update;
UPDATE own."Odd ""Name""" SET opt = 'z';
SELECT results_eq($$SELECT pg_temp.found()$$, $$VALUES ('attached customer of third: triggers of own."Odd ""Name""" are disabled: update')$$, 'a disabled trigger');
SELECT results_eq($$SELECT difference FROM iaros.source_check('third') ORDER BY 1$$, $$VALUES ('extra'), ('missing')$$, 'by which something was missed');
ALTER TABLE own."Odd ""Name""" ENABLE TRIGGER iaros_customer_update;
SELECT iaros.source_refresh('third', 'customer') \g /dev/null
SELECT is_empty($$SELECT * FROM iaros.source_check('third')$$, 'until a refresh');
DROP TRIGGER iaros_customer_delete ON own."Odd ""Name""";
ALTER TABLE own."Odd ""Name""" RENAME opt TO option;
UPDATE own."Odd ""Name""" SET "select" = 'x';
SELECT results_eq($$SELECT pg_temp.found()$$, $$VALUES
    ('attached customer of third: 1 statements of the last day were not taken over, the last one: error: column r.opt does not exist'),
    ('attached customer of third: own."Odd ""Name""" has no column "opt" any more'),
    ('attached customer of third: triggers of own."Odd ""Name""" are gone: delete')$$, 'a lost trigger, a lost column and what came of it');
SELECT results_eq($$SELECT difference, detail FROM iaros.source_check('third')$$, $$VALUES ('error', '{"column r.opt does not exist"}'::text[])$$, 'a table that cannot be read is told');
SELECT throws_ok($$SELECT iaros.source_refresh('third', 'customer')$$, '42703', NULL, 'and not refreshed');
DROP TRIGGER iaros_customer_insert ON own."Odd ""Name""";
SELECT ok('attached customer of third: its table own."Odd ""Name""" has lost its triggers' IN (SELECT pg_temp.found()), 'a table without triggers');
SELECT throws_ok($$SELECT iaros.source_refresh('third', 'customer')$$, '42704', 'nothing is attached as customer of source "third"', 'it is not refreshed');
DROP TABLE own."Odd ""Name""";
SELECT ok('attached customer of third: its table own."Odd ""Name""" is gone' IN (SELECT pg_temp.found()), 'a table that is gone');
SELECT is(iaros.source_detach('third', 'customer'), 0::bigint, 'it can be detached');
SELECT is_empty($$SELECT pg_temp.found()$$, 'all is well again');

-- Renamed and dropped.
ALTER TABLE own.sale RENAME TO invoice;
INSERT INTO own.invoice VALUES ('N', 3, 9, '2026-03-01', '10', 'OK');
SELECT is((SELECT count(*) FROM iaros.booking WHERE source = 'shop'), 3::bigint, 'a renamed table stays attached');
ALTER TABLE own.invoice RENAME price TO cost;
SELECT lives_ok($$INSERT INTO own.invoice VALUES ('N', 4, 9, '2026-03-01', '10', 'OK')$$, 'a renamed column does not stop the writer');
SELECT ok(EXISTS (SELECT FROM iaros.load_reject WHERE reasons[1] LIKE 'error: column%price%'), 'the statement is kept as refused');
ALTER TABLE own.invoice RENAME cost TO price;
SELECT results_eq($$SELECT external_id, difference FROM iaros.source_check('shop') WHERE kind = 'booking'$$, $$VALUES ('N/4', 'missing')$$, 'and found by source_check()');
SELECT * FROM iaros.source_refresh('shop', 'booking') \g /dev/null
SELECT is(iaros.source_detach('shop', 'booking'), 0::bigint, 'detached');
DELETE FROM own.invoice;
SELECT is((SELECT count(*) FROM iaros.booking WHERE source = 'shop'), 4::bigint, 'what was there stays');
DROP TABLE own.click;
SELECT is((SELECT difference FROM iaros.source_check('shop') WHERE kind = 'event'), 'relation', 'a dropped table is told');
SELECT is(iaros.source_detach('shop', 'event'), 0::bigint, 'and detached');
SELECT iaros.source_detach('shop', 'customer', true) AS marked \gset
SELECT is((SELECT count(*) FROM iaros.customer_trait WHERE trait = 'source_deleted' AND source = 'shop'), :marked::bigint, 'detached with its rows');
SELECT * FROM finish();
ROLLBACK;
