-- online_retail attached as tables of the user's own: the first load, then
-- writes to the tables, always in step.
\ir check.psql
SELECT iaros.setting_set('base_currency', 'GBP') \g /dev/null
INSERT INTO iaros.data_source (source, description) VALUES ('retail', 'Online retail');
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
