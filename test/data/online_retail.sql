-- online_retail: a year of invoices of a retailer as bookings with items, and
-- the published figures of its usual cleaning.
\ir check.psql
SELECT iaros.setting_set('base_currency', 'GBP') \g /dev/null
INSERT INTO iaros.data_source (source, description) VALUES ('retail', 'Online retail invoices');

CREATE TEMP TABLE line (line_id bigserial, invoice_no text, stock_code text, description text, quantity text,
    invoice_date text, unit_price text, customer_id text, country text);
\copy line (invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country) from program 'gzip -dc "$IAROS_DATA/online_retail.csv.gz"' csv header
ANALYZE line;
SELECT pg_temp.check_equal('lines', count(*), 541909::bigint),
    pg_temp.check_equal('invoices', count(DISTINCT invoice_no), 25900::bigint),
    pg_temp.check_equal('customers', count(DISTINCT customer_id), 4372::bigint)
FROM line \g /dev/null

-- The shop's names of countries that ISO 3166 spells differently.
CREATE TEMP TABLE country_code AS
SELECT n.name, c.country FROM (SELECT DISTINCT country AS name FROM line) n
JOIN iaros.country c ON c.country = coalesce(
    (SELECT v.code FROM (VALUES ('EIRE', 'IE'), ('RSA', 'ZA'), ('USA', 'US'), ('United States', 'US'),
        ('United Kingdom', 'GB'), ('Czech Republic', 'CZ'), ('Hong Kong', 'HK')) AS v(name, code) WHERE v.name = n.name),
    (SELECT x.country FROM iaros.country x WHERE x.name = n.name));

-- Customers: each with the countries of its invoices, the first one first.
CREATE TEMP VIEW retail_customer AS
SELECT l.customer_id AS external_id, k.country, jsonb_build_object('country_name', l.country) AS traits
FROM (SELECT customer_id, country, min(line_id) AS first_line FROM line
      WHERE customer_id IS NOT NULL GROUP BY customer_id, country) l
LEFT JOIN country_code k ON k.name = l.country
ORDER BY l.first_line;

-- Lines: what the shop's own rules refuse, beside the loader's.
CREATE TEMP TABLE retail_line AS
SELECT l.line_id, l.invoice_no, row_number() OVER (PARTITION BY l.invoice_no ORDER BY l.line_id) AS line_no,
    l.stock_code, l.description, l.quantity, l.invoice_date, l.unit_price, l.customer_id,
    l.quantity::integer * l.unit_price::numeric AS amount,
    l.customer_id IS NOT NULL AND l.invoice_no NOT LIKE 'C%' AND l.quantity::integer > 0 AND l.unit_price::numeric > 0 AS clean,
    array_remove(ARRAY[
        CASE WHEN l.invoice_no LIKE 'C%' THEN 'cancellation: takes back an earlier invoice' END,
        CASE WHEN l.unit_price::numeric = 0 THEN 'price_zero: nothing was paid' END], NULL) AS refuse
FROM line l;
ANALYZE retail_line;

-- Invoices: their price is that of the lines that can be booked.
CREATE TEMP VIEW retail_invoice AS
SELECT invoice_no AS external_id, min(customer_id) AS customer_external_id, min(invoice_date) AS booked_at,
    coalesce(sum(amount) FILTER (WHERE clean AND iaros.money_valid(amount, 'GBP')),
             sum(amount) FILTER (WHERE clean), 0) AS amount,
    'GBP' AS currency, 'web' AS sales_channel,
    array_remove(ARRAY[
        CASE WHEN invoice_no LIKE 'C%' THEN 'cancellation: takes back an earlier invoice' END,
        CASE WHEN NOT bool_or(clean) THEN 'nothing_sold: no line with a quantity and a price' END], NULL) AS refuse
FROM retail_line GROUP BY invoice_no;

CREATE TEMP VIEW retail_item AS
SELECT invoice_no AS booking_external_id, line_no, customer_id AS customer_external_id, 'goods' AS kind,
    stock_code AS code, description, quantity, unit_price, refuse
FROM retail_line ORDER BY line_id;

SELECT pg_temp.check_load('customers', $$SELECT * FROM iaros.customer_load('retail', 'retail_customer')$$,
    '{4380,4372,0,8}') AS customers \gset
SELECT pg_temp.check_load('invoices', $$SELECT * FROM iaros.booking_load('retail', 'retail_invoice')$$,
    '{25900,18532,0,7368}') AS invoices \gset
SELECT pg_temp.check_load('lines', $$SELECT * FROM iaros.booking_item_load('retail', 'retail_item')$$,
    '{541909,397880,0,144029}') AS lines \gset

SELECT pg_temp.check_equal('second countries of a customer', pg_temp.refused(:customers, 'conflict_in_load'), 8::bigint),
    pg_temp.check_equal('lines without customer', pg_temp.refused(:lines, 'customer_missing'), 135080::bigint),
    pg_temp.check_equal('cancellation lines', pg_temp.refused(:lines, 'cancellation'), 9288::bigint),
    pg_temp.check_equal('negative quantities', pg_temp.refused(:lines, 'quantity_negative'), 10624::bigint),
    pg_temp.check_equal('prices <= 0', pg_temp.refused(:lines, 'price_zero') + pg_temp.refused(:lines, 'unit_price_negative'), 2517::bigint),
    pg_temp.check_equal('lines without description',
        (SELECT count(*) FROM iaros.load_reject r WHERE r.load_id = :lines AND r.payload ->> 'description' IS NULL), 1454::bigint)
\g /dev/null

-- 397,884 clean lines: 397,880 are stored, four cost a tenth of a penny.
SELECT pg_temp.check_equal('clean lines with a fraction of a penny',
        array_agg(r.external_id ORDER BY r.external_id) FILTER (WHERE r.payload ->> 'unit_price' = '0.001'),
        ARRAY(SELECT l.invoice_no || '#' || l.line_no FROM retail_line l WHERE l.clean AND l.amount = 0.001 ORDER BY 1)),
    pg_temp.check_equal('clean lines refused', count(*), 4::bigint)
FROM iaros.load_reject r
WHERE r.load_id = :lines AND r.reasons = '{"amount_decimals: 0.001 GBP"}' \g /dev/null
SELECT pg_temp.check_equal('clean lines', (SELECT count(*) FROM iaros.booking_item) + 4, 397884::bigint),
    pg_temp.check_equal('customers with a purchase', (SELECT count(DISTINCT customer_id) FROM iaros.booking), 4338::bigint),
    pg_temp.check_equal('invoices with a purchase', (SELECT count(*) FROM iaros.booking), 18532::bigint),
    pg_temp.check_equal('revenue to the tenth of a penny', (SELECT sum(amount) FROM iaros.booking_item) + 4 * 0.001, 8911407.904),
    pg_temp.check_equal('revenue', round((SELECT sum(amount) FROM iaros.booking_item) + 4 * 0.001, 2), 8911407.90),
    pg_temp.check_equal('revenue of the invoices', (SELECT sum(amount_base) FROM iaros.booking), 8911407.90),
    pg_temp.check_equal('invoices that differ from their lines', (
        SELECT count(*) FROM iaros.booking b
        JOIN (SELECT customer_id, booking_id, sum(amount) AS amount FROM iaros.booking_item GROUP BY 1, 2) i USING (customer_id, booking_id)
        WHERE b.amount <> i.amount), 0::bigint),
    pg_temp.check_equal('value of all lines, stored and refused', (SELECT sum(amount) FROM iaros.booking_item)
        + (SELECT sum((r.payload ->> 'quantity')::numeric * (r.payload ->> 'unit_price')::numeric)
           FROM iaros.load_reject r WHERE r.load_id = :lines), 9747747.934)
\g /dev/null

-- The same again: nothing changes.
SELECT pg_temp.fingerprint() AS before \gset
SELECT pg_temp.check_load('customers again', $$SELECT * FROM iaros.customer_load('retail', 'retail_customer')$$, '{4380,0,4372,8}'),
    pg_temp.check_load('invoices again', $$SELECT * FROM iaros.booking_load('retail', 'retail_invoice')$$, '{25900,0,18532,7368}'),
    pg_temp.check_load('lines again', $$SELECT * FROM iaros.booking_item_load('retail', 'retail_item')$$, '{541909,0,397880,144029}')
\g /dev/null
SELECT pg_temp.check_equal('rows of the domain after loading twice', pg_temp.fingerprint(), :'before') \g /dev/null
