-- customer: loading, valid and dirty rows side by side.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Reading dirty text: what is no value is NULL, never an error.
SELECT t, iaros.load_number(t) FROM unnest(ARRAY['12', '-1.50', '+.5', ' 7 ', '1e3', '1e-2', '12.', '', '.', '-', '1e', '1e100', '12,5', '0x10', 'NaN', 'Infinity', '1 2', '١', NULL, repeat('9', 30), repeat('9', 31)]) AS t;
SELECT t, iaros.load_integer(t) FROM unnest(ARRAY['12', '-1', '3.0', '3.5', '1e3', '', '999999999999999999', '9999999999999999999']) AS t;
SELECT t, iaros.load_date(t) FROM unnest(ARRAY['2026-01-31', '2026-02-28', '2026-02-29', '2024-02-29', '1900-02-29', '2000-02-29', '2026-04-31', '2026-13-01', '2026-00-10', '2026-1-1', '31.01.2026', '01/02/2026', 'today', 'infinity', '0001-01-01', '2026-01-31T00:00:00', '2026-01-31T10:00:00', '']) AS t;
SELECT t, iaros.load_time(t) FROM unnest(ARRAY['2026-01-31', '2026-01-31 10:20', '2026-01-31T10:20:30', '2026-01-31T10:20:30.123456', '2026-01-31T10:20:30.1234567', '2026-01-31T10:20:30Z', '2026-01-31 10:20:30+02', '2026-01-31T10:20:30-05:30', '2026-01-31T10:20:30+0530', '2026-01-31T10-05', '2026-02-30T10:00:00Z', '2026-01-31T24:00:00', '2026-01-31T10:20:60', '2026-01-31T10:20:30+15:00', 'now', '-infinity', '2026-01-31 10:20:30 Europe/Berlin', '2026-01-31 ']) AS t;
SET datestyle = 'German, DMY';
SET timezone = 'Asia/Tokyo';
SELECT iaros.load_date('2026-02-01') = make_date(2026, 2, 1) AS same_day, iaros.load_time('2026-02-01T00:00:00') = make_timestamptz(2026, 2, 1, 0, 0, 0, 'UTC') AS same_time;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT t, iaros.load_time_zone_valid(t) FROM unnest(ARRAY['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires', 'Europe/Atlantis', 'CET5', '+02', 'Europe', NULL]) AS t;

INSERT INTO iaros.data_source (source, description) VALUES ('shop', 'Test');
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1), ('JPY', '2026-01-01', 0.0067);
CREATE VIEW last_reject AS
SELECT r.row_no, r.external_id, unnest(r.reasons) AS reason FROM iaros.load_reject r
WHERE r.load_id = (SELECT max(load_id) FROM iaros.load_run) ORDER BY r.row_no;
CREATE FUNCTION counts(OUT customers bigint, OUT identifiers bigint, OUT traits bigint, OUT bookings bigint, OUT items bigint, OUT events bigint)
    LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM iaros.customer), (SELECT count(*) FROM iaros.customer_identifier), (SELECT count(*) FROM iaros.customer_trait),
        (SELECT count(*) FROM iaros.booking), (SELECT count(*) FROM iaros.booking_item), (SELECT count(*) FROM iaros.event) $$;

-- Customers.
CREATE TABLE raw_customer (external_id text, first_name text, last_name text, email text, phone text, birth_date text, gender text, country text, language text, time_zone text, home_airport text, kind text, traits jsonb);
INSERT INTO raw_customer VALUES
    ('C1', 'Ada', 'Lovelace', ' Ada@Example.com ', '+44 (0) 123-4567', '1985-12-10', 'female', 'GB', 'en', 'Europe/London', 'LHR', NULL, '{"salary": 100, "vip": true}'),
    ('C2', 'Bob', '', '', NULL, '', '', '', '', '', '', 'anonymous', NULL),
    ('C3', 'Cy', NULL, 'no at sign', '12', '1815-12-10', 'F', 'XX', 'English', 'Mars/Olympus', 'QQQ', 'robot', '[1]'),
    (NULL, 'Dan', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('C5', 'Eve', NULL, NULL, NULL, '2026-02-30', NULL, NULL, NULL, NULL, NULL, NULL, '{"Bad Name": 1}'),
    ('C1', 'Ada', NULL, 'ada@example.com', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"vip": true}'),
    ('C1', 'Ida', NULL, 'ida@example.com', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"vip": false}');
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('shop', 'raw_customer');
TABLE last_reject;
SELECT k.external_id, c.kind, c.source, c.first_name, c.last_name, c.birth_date, c.gender, c.country, c.time_zone, c.home_airport
FROM iaros.customer_key k JOIN iaros.customer c USING (customer_id) ORDER BY 1;
SELECT k.external_id, i.kind, i.value, i.is_primary FROM iaros.customer_identifier i JOIN iaros.customer_key k USING (customer_id) ORDER BY 1, 2;
SELECT k.external_id, t.trait, t.value FROM iaros.customer_trait t JOIN iaros.customer_key k USING (customer_id) ORDER BY 1, 2;
SELECT * FROM counts();
-- The same again changes nothing; a row that states less is a duplicate, one that states something else is not.
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('shop', 'TABLE raw_customer');
SELECT * FROM last_reject WHERE row_no > 5;
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('shop', $$VALUES ('C1')$$);
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('shop', $$SELECT 'C1' AS external_id$$);
SELECT rows, accepted, duplicates, refused FROM iaros.customer_load('shop', $$SELECT 'C1' AS external_id, 'Ada' AS first_name, date '1985-12-11' AS birth_date, 'Rome' AS city$$);
TABLE last_reject;
SELECT * FROM counts();

-- Bookings.
CREATE TABLE raw_booking (external_id text, customer_external_id text, booked_at text, amount text, currency text, origin text, destination text, cabin text, fare_class text, party_size text, status text, departure_at text, return_at text, sales_channel text);
INSERT INTO raw_booking VALUES
    ('B1', 'C1', '2026-01-02T10:00:00Z', '640.00', 'USD', 'JFK', 'LHR', 'business', 'J', '2', 'ticketed', '2026-03-01', '2026-03-08', 'web'),
    ('B2', 'C2', '2026-01-02', '100', 'EUR', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B3', 'C2', '2026-01-03', '5000', 'JPY', '', '', '', '', '', '', '', '', ''),
    ('B4', 'C1', '2026-01-02', '-1', 'USD', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B5', 'C1', '2026-01-02', '12.345', 'EUR', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B6', 'C1', '2026-01-02', '12', 'XXQ', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B7', 'C1', '2026-01-02', '12', 'XAU', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B8', 'C1', '2026-01-02', '12', 'CHF', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B9', 'C1', '2026-01-09', '12', 'EUR', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B10', 'nobody', '02.01.2026', 'free', 'usd', 'XQX', 'LHR', 'balcony', 'j', '0', 'lost', '2026-03-01', '2026-02-01', 'pigeon'),
    (NULL, NULL, NULL, NULL, NULL, NULL, 'LHR', NULL, NULL, NULL, NULL, 'soon', NULL, NULL),
    ('B12', 'C1', '2026-01-02', '1.5', 'JPY', 'LHR', 'LHR', NULL, NULL, '1.5', NULL, NULL, NULL, NULL),
    ('B13', 'C1', '2026-01-02', '1000000000000', 'USD', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B14', 'C1', '2026-01-02', 'NaN', 'USD', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B2', 'C2', '2026-01-02T00:00:00+00', '100.00', 'EUR', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B2', 'C2', '2026-01-02', '101', 'EUR', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('B4', 'C1', '2026-01-02', '1', 'USD', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT rows, accepted, duplicates, refused FROM iaros.booking_load('shop', 'raw_booking');
TABLE last_reject;
SELECT external_id, booked_at, status, origin, destination, cabin, fare_class, party_size, amount, currency, amount_base FROM iaros.booking ORDER BY external_id;
SELECT * FROM counts();
SELECT rows, accepted, duplicates, refused FROM iaros.booking_load('shop', 'raw_booking');
SELECT * FROM last_reject WHERE external_id = 'B2';
SELECT * FROM counts();
-- A booking is named by its key whoever has it; the customer may come from another source, or by number.
SELECT rows, accepted, duplicates, refused FROM iaros.booking_load('shop', $$SELECT 'B1' AS external_id, 'C2' AS customer_external_id, '2026-01-02T10:00:00Z' AS booked_at, 640 AS amount, 'USD' AS currency$$);
TABLE last_reject;
BEGIN;
SELECT rows, accepted, duplicates, refused FROM iaros.booking_load('pss', $$
    SELECT 'P' || n AS external_id, c AS customer_external_id, 'shop' AS customer_source, i AS customer_id, timestamptz '2026-01-02' AS booked_at, 1 AS amount, 'USD' AS currency
    FROM (SELECT customer_id FROM iaros.customer_key WHERE external_id = 'C1') k,
        LATERAL (VALUES (1, 'C1', NULL), (2, NULL, k.customer_id::text), (3, 'C1', k.customer_id::text), (4, 'C2', k.customer_id::text), (5, NULL, '0'), (6, NULL, 'one')) AS v(n, c, i)$$);
SELECT row_no, regexp_replace(reason, '[0-9]+"', 'N"') AS reason FROM last_reject;
ROLLBACK;
-- Reasons of one's own.
BEGIN;
SELECT rows, accepted, duplicates, refused FROM iaros.booking_load('shop', $$
    SELECT 'R' || n AS external_id, 'C1' AS customer_external_id, '2026-01-02' AS booked_at, a AS amount, 'USD' AS currency, r AS refuse
    FROM (VALUES (1, 1, NULL), (2, -1, '{"cancellation: takes back another", "test"}'::text[]), (3, 1, '{}')) AS v(n, a, r)$$);
TABLE last_reject;
ROLLBACK;

-- Items.
CREATE TABLE raw_item (booking_external_id text, line_no int, kind text, code text, quantity float8, unit_price numeric, amount numeric, currency char(3), customer_external_id text);
INSERT INTO raw_item VALUES
    ('B1', 1, 'bag', 'BAG1', 2, 20, NULL, NULL, 'C1'),
    ('B1', 2, 'seat', NULL, NULL, NULL, 15, 'USD', 'C1'),
    ('B1', 3, 'goods', NULL, 3, 0.001, NULL, NULL, 'C1'),
    ('B1', 4, 'goods', NULL, 1000, 0.0015, NULL, NULL, 'C1'),
    ('B1', 5, 'goods', NULL, 10000, 0.00015, NULL, NULL, 'C1'),
    ('B1', 6, 'unicorn', NULL, -1, -2, NULL, 'EUR', 'C2'),
    ('B1', 0, NULL, NULL, 1.5, NULL, NULL, NULL, NULL),
    ('B99', 1, 'bag', NULL, 1, 1, NULL, NULL, 'nobody'),
    ('B1', 1, 'bag', 'BAG1', 2, 20, 40, NULL, 'C1'),
    ('B1', 1, 'bag', 'BAG2', 2, 20, 40, NULL, 'C1');
SELECT rows, accepted, duplicates, refused FROM iaros.booking_item_load('shop', 'raw_item');
TABLE last_reject;
SELECT line_no, kind, code, quantity, unit_price, amount, currency FROM iaros.booking_item ORDER BY line_no;
SELECT rows, accepted, duplicates, refused FROM iaros.booking_item_load('shop', 'raw_item');
SELECT * FROM counts();

-- Events.
CREATE TABLE raw_event (external_id text, customer_external_id text, kind text, occurred_at timestamptz, properties jsonb);
INSERT INTO raw_event VALUES
    ('E1', 'C1', 'search', '2026-01-02 10:00+00', '{"origin": "LHR", "destination": "CDG"}'),
    ('E2', 'C1', 'search', '2026-01-02 10:00+00', '{"origin": "LHR"}'),
    ('E3', 'C1', 'levitation', '2026-01-02 10:00+00', '"text"'),
    ('E4', 'C2', 'login', NULL, NULL),
    ('E5', 'C2', 'login', '2026-01-02 10:00+00', NULL),
    ('E1', 'C2', 'login', '2026-01-02 10:00+00', NULL),
    ('E1', 'C1', 'search', '2026-01-02 10:00+00', '{"destination": "CDG", "origin": "LHR"}'),
    ('E1', 'C1', 'search', '2026-01-02 10:00+00', '{"origin": "LHR", "destination": "JFK"}');
SELECT rows, accepted, duplicates, refused FROM iaros.event_load('shop', 'SELECT * FROM raw_event');
TABLE last_reject;
SELECT k.external_id, e.kind, e.occurred_at, e.properties FROM iaros.event e JOIN iaros.event_key k USING (customer_id, event_id) ORDER BY 1, 2;
SELECT rows, accepted, duplicates, refused FROM iaros.event_load('shop', 'SELECT * FROM raw_event');
SELECT * FROM counts();

-- Messages: the same path.
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('web', 'customer', '{"external_id": "V1", "kind": "anonymous", "cookie": "abc"}');
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('web', 'event', '[
    {"external_id": "W1", "customer_external_id": "V1", "kind": "page_view", "occurred_at": "2026-01-02T10:00:00Z"},
    {"external_id": "W1", "customer_external_id": "V1", "kind": "page_view", "occurred_at": "2026-01-02T10:00:00Z"},
    {"external_id": "W2", "customer_external_id": "V1", "kind": "page_view", "ocurred_at": "2026-01-02T10:00:00Z"},
    {"external_id": "W3", "customer_external_id": "V1", "kind": {"a": 1}, "occurred_at": true, "refuse": "by the sender"},
    "text", null, 7, []]');
TABLE last_reject;
-- A refused row is kept as it came; corrected, it goes in.
SELECT r.kind, r.source, r.payload FROM iaros.load_reject r WHERE r.external_id = 'W2';
SELECT i.rows, i.accepted, i.duplicates, i.refused FROM iaros.load_reject r,
    iaros.inbox_ingest(r.source, r.kind, r.payload - 'ocurred_at' || jsonb_build_object('occurred_at', r.payload -> 'ocurred_at')) i
WHERE r.external_id = 'W2';
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('pss', 'booking', '{"external_id": "PNR1", "customer_external_id": "C1", "customer_source": "shop", "booked_at": "2026-01-02", "amount": 99.90, "currency": "EUR", "origin": "CDG", "destination": "JFK"}');
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('pss', 'booking_item', '[{"booking_external_id": "PNR1", "line_no": 1, "kind": "bag", "amount": 9.90}]');
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('pss', 'event', '[]');
SELECT * FROM counts();

-- Every run is recorded, and adds up.
SELECT source, kind, rows, accepted, duplicates, refused FROM iaros.load_run ORDER BY load_id;
SELECT count(*) AS runs, sum(refused) = (SELECT count(*) FROM iaros.load_reject) AS every_refused_row_kept FROM iaros.load_run;

-- What cannot be loaded at all.
\set VERBOSITY default
SELECT * FROM iaros.booking_load('nowhere', 'raw_booking');
SELECT * FROM iaros.booking_load('shop', 'no_such_table');
SELECT * FROM iaros.booking_load('shop', 'no_such_schema.raw_booking');
SELECT * FROM iaros.booking_load('shop', 'SELECT *, 1 AS curency FROM raw_booking');
SELECT * FROM iaros.booking_load('shop', $$SELECT 'B1' AS external_id$$);
SELECT * FROM iaros.booking_load('shop', 'SELECT 1 AS external_id, 2 AS external_id');
SELECT * FROM iaros.booking_load('shop', 'nonsense query');
SELECT * FROM iaros.booking_load('shop', NULL);
SELECT * FROM iaros.booking_load(NULL, 'raw_booking');
SELECT * FROM iaros.inbox_ingest('web', 'weather', '{}');
SELECT * FROM iaros.inbox_ingest('web', 'event', '7');
SELECT * FROM iaros.inbox_ingest('web', 'event', NULL);
SELECT * FROM iaros.inbox_ingest('nowhere', 'event', '{}');
\set VERBOSITY terse

-- Names in the query are the caller's.
CREATE SCHEMA mine;
CREATE TABLE mine.fresh_customer AS SELECT 'M1' AS external_id;
SELECT rows, accepted FROM iaros.customer_load('shop', 'fresh_customer');
SET search_path = mine, public;
SELECT rows, accepted FROM iaros.customer_load('shop', 'fresh_customer');
SELECT rows, accepted, duplicates FROM iaros.customer_load('shop', '"mine"."fresh_customer"');
RESET search_path;

-- Old runs go with what they refused.
UPDATE iaros.load_run SET loaded_at = now() - interval '91 days' WHERE source = 'shop';
SELECT iaros.load_prune() = (SELECT count(*) FROM iaros.load_run WHERE source = 'shop') AS pruned;
SELECT source, count(*) FROM iaros.load_reject GROUP BY 1;

DROP VIEW last_reject;
DROP FUNCTION counts();
DROP TABLE raw_customer, raw_booking, raw_item, raw_event, mine.fresh_customer;
DROP SCHEMA mine;
