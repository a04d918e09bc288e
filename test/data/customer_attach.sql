-- online_retail and airline_flight_activity attached as tables of the user's
-- own: the first load, then writes to the tables, always in step.
\ir check.psql
SELECT iaros.setting_set('base_currency', 'GBP') \g /dev/null
INSERT INTO iaros.data_source (source, description) VALUES ('retail', 'Online retail'), ('miles', 'Flight activity');
INSERT INTO iaros.event_kind (kind, origin, description, required_properties) VALUES
    ('flight_month', 'booking', 'Flights and points of a month', '{total_flights,distance}');
SELECT iaros.partition_ensure('2017-01-01', '2018-12-31') \g /dev/null
CREATE SCHEMA own;

-- A line of the file is a row; a booking is an invoice, so the shop's own
-- table of invoices is built from the lines.
CREATE TABLE own.line (line_id bigserial PRIMARY KEY, invoice_no text, stock_code text, description text, quantity text,
    invoice_date text, unit_price text, customer_id text, country text);
\copy own.line (invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country) from program 'gzip -dc "$IAROS_DATA/online_retail.csv.gz"' csv header
CREATE TABLE own.shopper AS SELECT DISTINCT customer_id AS no FROM own.line WHERE customer_id IS NOT NULL;
ALTER TABLE own.shopper ADD PRIMARY KEY (no);
CREATE TABLE own.invoice AS
SELECT invoice_no AS no, min(customer_id) AS shopper, min(invoice_date)::timestamp AS at,
    round(sum(quantity::integer * unit_price::numeric), 2)::float8 AS total, invoice_no LIKE 'C%' AS taken_back
FROM own.line GROUP BY invoice_no;
ALTER TABLE own.invoice ADD PRIMARY KEY (no);

SELECT pg_temp.check_load('shoppers', $$SELECT * FROM iaros.source_attach('customer', 'own.shopper', '{"external_id": "no"}', 'retail')$$,
    '{4372,4372,0,0}') AS shoppers \gset
CREATE TEMP TABLE attached AS
SELECT * FROM iaros.source_attach('booking', 'own.invoice', '{"external_id": "no", "customer_external_id": "shopper", "booked_at": "at",
    "amount": "total", "currency": {"value": "GBP"}, "status": {"column": "taken_back", "values": {"t": "refunded"}},
    "sales_channel": {"value": "web"}}', 'retail');
-- The map does not say what f is, so it is taken for a status, and is none.
SELECT pg_temp.check_equal('invoices refused for their status', pg_temp.refused(load_id, 'status_invalid'), 22064::bigint) FROM attached \g /dev/null
SELECT iaros.source_detach('retail', 'booking', true) \g /dev/null
SELECT pg_temp.check_load('invoices', $$SELECT * FROM iaros.source_attach('booking', 'own.invoice', '{"external_id": "no", "customer_external_id": "shopper",
    "booked_at": "at", "amount": {"expression": "round(abs(total)::numeric, 2)"}, "currency": {"value": "GBP"},
    "status": {"column": "taken_back", "values": {"t": "refunded", "f": "confirmed"}}, "sales_channel": {"value": "web"}}', 'retail')$$,
    '{25900,22190,0,3710}') AS invoices \gset
SELECT pg_temp.check_equal('invoices without a customer', pg_temp.refused(:invoices, 'customer_missing'), 3710::bigint) \g /dev/null
SELECT pg_temp.check_equal('out of step', count(*) FILTER (WHERE difference <> 'refused'), 0::bigint),
    pg_temp.check_equal('refused', count(*), 3710::bigint) FROM iaros.source_check('retail') \g /dev/null

-- Invoices change, some go, others come.
UPDATE own.invoice SET total = total + 1, taken_back = NOT taken_back WHERE right(no, 1) IN ('0', '3', '6', '9');
DELETE FROM own.invoice WHERE right(no, 1) = '7';
INSERT INTO own.invoice SELECT 'N' || no, shopper, at, total, false FROM own.invoice WHERE right(no, 2) = '11';
SELECT pg_temp.check_equal('out of step after writes', count(*) FILTER (WHERE difference <> 'refused'), 0::bigint),
    pg_temp.check_equal('refused after writes', count(*), (SELECT count(*) FROM own.invoice WHERE shopper IS NULL)) FROM iaros.source_check('retail') \g /dev/null
SELECT pg_temp.check_equal('value of both', sum(b.amount), (SELECT sum(round(abs(i.total)::numeric, 2)) FROM own.invoice i WHERE i.shopper IS NOT NULL))
FROM iaros.booking b WHERE b.source = 'retail' \g /dev/null

-- The lines as they are, as events of their shoppers.
INSERT INTO iaros.event_kind (kind, origin, description) VALUES ('line', 'booking', 'A line of an invoice');
SELECT iaros.partition_ensure('2010-12-01', '2011-12-31') \g /dev/null
SELECT pg_temp.check_load('lines', $$SELECT * FROM iaros.source_attach('event', 'own.line', '{"external_id": "line_id", "customer_external_id": "customer_id",
    "kind": {"value": "line"}, "occurred_at": "invoice_date", "session_id": "invoice_no",
    "properties": {"fields": {"stock_code": "stock_code", "quantity": "quantity", "unit_price": "unit_price"}}}', 'retail')$$,
    '{541909,406829,0,135080}') AS lines \gset
SELECT pg_temp.check_equal('lines without a customer', pg_temp.refused(:lines, 'customer_missing'), 135080::bigint) \g /dev/null
SELECT pg_temp.check_equal('usual cleaning: lines', count(*), 397884::bigint),
    pg_temp.check_equal('usual cleaning: customers', count(DISTINCT e.customer_id), 4338::bigint),
    pg_temp.check_equal('usual cleaning: invoices', count(DISTINCT e.session_id), 18532::bigint),
    pg_temp.check_equal('usual cleaning: revenue', round(sum((e.properties ->> 'quantity')::numeric * (e.properties ->> 'unit_price')::numeric), 2), 8911407.90)
FROM iaros.event e
WHERE e.source = 'retail' AND e.session_id NOT LIKE 'C%' AND (e.properties ->> 'quantity')::integer > 0 AND (e.properties ->> 'unit_price')::numeric > 0 \g /dev/null
UPDATE own.line SET quantity = '1', customer_id = coalesce(customer_id, '17850') WHERE line_id % 50 = 0;
DELETE FROM own.line WHERE line_id % 50 = 1;
SELECT pg_temp.check_equal('lines of both', count(*), (SELECT count(*) FROM own.line WHERE customer_id IS NOT NULL)),
    pg_temp.check_equal('quantities of both', sum((e.properties ->> 'quantity')::integer), (SELECT sum(quantity::integer) FROM own.line WHERE customer_id IS NOT NULL))
FROM iaros.event e WHERE e.source = 'retail' \g /dev/null

-- A month of a member comes more than once, so the line is the key. One
-- member in ten will do: airline_loyalty loads all.
CREATE TABLE own.activity (line_id bigserial PRIMARY KEY, loyalty_number text, year integer, month integer, flights_booked text,
    flights_with_companions text, total_flights integer, distance text, points_accumulated text, points_redeemed text,
    dollar_cost_points_redeemed text);
\copy own.activity (loyalty_number, year, month, flights_booked, flights_with_companions, total_flights, distance, points_accumulated, points_redeemed, dollar_cost_points_redeemed) from program 'gzip -dc "$IAROS_DATA/airline_flight_activity.csv.gz"' csv header where loyalty_number like '%7'
CREATE TABLE own.member AS SELECT DISTINCT loyalty_number AS no FROM own.activity;
ALTER TABLE own.member ADD PRIMARY KEY (no);
SELECT pg_temp.check_load('members', $$SELECT * FROM iaros.source_attach('customer', 'own.member', '{"external_id": "no", "frequent_flyer": "no"}', 'miles')$$,
    '{1668,1668,0,0}') \g /dev/null
SELECT pg_temp.check_load('activity', $$SELECT * FROM iaros.source_attach('event', 'own.activity', '{"external_id": "line_id",
    "customer_external_id": "loyalty_number", "kind": {"value": "flight_month"}, "occurred_at": {"expression": "make_date(year, month, 1)"},
    "properties": {"fields": {"total_flights": "total_flights", "distance": "distance", "points": "points_accumulated"}}}', 'miles')$$,
    '{40296,40296,0,0}') \g /dev/null
SELECT pg_temp.check_equal('member and month', count(DISTINCT (e.customer_id, e.occurred_at)), 40032::bigint),
    pg_temp.check_equal('months without a flight', count(*) FILTER (WHERE e.properties ->> 'total_flights' = '0'), 19974::bigint)
FROM iaros.event e WHERE e.source = 'miles' \g /dev/null
UPDATE own.activity SET total_flights = total_flights + 1, month = 13 - month WHERE line_id % 10 = 0;
DELETE FROM own.activity WHERE line_id % 11 = 0;
SELECT pg_temp.check_equal('activity out of step', count(*), 0::bigint) FROM iaros.source_check('miles') \g /dev/null
SELECT pg_temp.check_equal('flights of both', sum((e.properties ->> 'total_flights')::integer), (SELECT sum(a.total_flights) FROM own.activity a))
FROM iaros.event e WHERE e.source = 'miles' \g /dev/null
TRUNCATE own.activity;
SELECT pg_temp.check_equal('events after a truncate', count(*), 0::bigint) FROM iaros.event WHERE source = 'miles' \g /dev/null
