-- customer: exact texts of what is refused.
\set SHOW_CONTEXT never
\set VERBOSITY terse
BEGIN;
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1);
INSERT INTO iaros.customer (customer_id, first_name, last_name, birth_date) VALUES (1001, 'Ada', 'Lovelace', '1815-12-10');
ROLLBACK;
\set VERBOSITY default
BEGIN;
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1);
INSERT INTO iaros.customer (customer_id, first_name, last_name, birth_date) VALUES (1001, 'Ada', 'Lovelace', '1985-12-10'), (1002, 'Bob', NULL, NULL);
INSERT INTO iaros.customer_identifier (customer_id, kind, value) VALUES (1001, 'email', 'ada@example.com'), (1001, 'phone', '+441234567');
COMMIT;
SELECT customer_id, first_name, last_name, birth_year FROM iaros.customer_masked ORDER BY 1;
SELECT customer_id, kind, value FROM iaros.customer_identifier_masked ORDER BY 1, 2;

-- Amounts, currencies, airports.
SELECT iaros.booking_record(1001, -1, 'EUR', '2026-01-02');
SELECT iaros.booking_record(1001, 12.345, 'EUR', '2026-01-02');
SELECT iaros.booking_record(1001, 'NaN', 'EUR', '2026-01-02');
SELECT iaros.booking_record(1001, 12, 'XXQ', '2026-01-02');
SELECT iaros.booking_record(1001, 12, 'CHF', '2026-01-02');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', 'QQQ', 'LHR');
\set VERBOSITY terse
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', 'LHR', 'LHR');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', 'LHR');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', party_size => 0);
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency) VALUES (1001, 'pss', 'X', '2026-01-02', -1, 'EUR');
\set VERBOSITY default
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', items => '{}');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', items => '[{"kind": "unicorn", "amount": 1}]');
SELECT iaros.booking_record(9999, 12, 'EUR', '2026-01-02');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', source => 'pss', external_id => 'PNR1') > 0 AS recorded;
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', source => 'pss', external_id => 'PNR1');
SELECT iaros.booking_record(1001, 12, 'EUR', '2026-01-02', source => 'no_such', external_id => 'PNR1');
SELECT count(*) AS bookings, sum(amount_base) AS base FROM iaros.booking;

-- Events.
SELECT iaros.event_record(1001, 'search', '2026-01-02');
SELECT iaros.event_record(1001, 'levitation', '2026-01-02');
SELECT iaros.event_record(9999, 'login', '2026-01-02');
SELECT iaros.event_record(1001, 'login', '2026-01-02', '[]');

-- Recognition.
SELECT iaros.customer_recognise(1001, 1001);
SELECT iaros.customer_recognise(1001, 9999);
SELECT iaros.customer_recognise(1002, 1001);
SELECT iaros.customer_resolve(1002);
SELECT iaros.customer_lock('{9999,1002,NULL,1002}'), iaros.customer_lock('{1001}'), iaros.customer_lock(NULL), iaros.customer_lock('{NULL}');
SELECT iaros.customer_recognise(1001, 1002);
SELECT * FROM iaros.customer_ids(1002);
SELECT iaros.customer_separate(1002);
SELECT iaros.customer_separate(1002);

-- Answers to the recommendation question, complaints.
SELECT iaros.event_record(1001, 'nps_response', '2026-01-03', '{"score": 9}') > 0 AS recorded;
SELECT iaros.event_record(1001, 'nps_response', '2026-01-04', '{"score": "many"}') > 0 AS recorded;
SELECT iaros.event_record(1001, 'complaint', '2026-01-05', '{"topic": "baggage"}') > 0 AS recorded;
SELECT customer_id, score, category FROM iaros.nps_response;
SELECT customer_id, kind, topic FROM iaros.interaction;
SELECT at, kind, what FROM iaros.customer_timeline(1001, '2026-01-01', '2026-01-05');

-- Customers with bookings are not deleted by accident.
DELETE FROM iaros.customer WHERE customer_id = 1001;
DELETE FROM iaros.booking;
DELETE FROM iaros.customer;
DELETE FROM iaros.fx_rate;
SELECT (SELECT count(*) FROM iaros.event) AS events, (SELECT count(*) FROM iaros.customer_identifier) AS identifiers;
