-- cdnow_master: 18 months of purchases of the customers of one quarter, as
-- bookings with one item, and the published figures.
\ir check.psql
INSERT INTO iaros.data_source (source, description) VALUES ('cdnow', 'Purchases of music'), ('cdnow_content', 'The same, keyed by content');

CREATE TEMP TABLE purchase (line_no bigserial, customer_id text, date text, quantity text, amount text);
\copy purchase (customer_id, date, quantity, amount) from program 'gzip -dc "$IAROS_DATA/cdnow_master.csv.gz"' csv header
ANALYZE purchase;
SELECT pg_temp.check_equal('rows', count(*), 69659::bigint),
    pg_temp.check_equal('exact repeats', count(*) - count(DISTINCT (customer_id, date, quantity, amount)), 255::bigint)
FROM purchase \g /dev/null

-- Several purchases a day are separate rows, some of them alike: the key is
-- the line of the file.
CREATE TEMP VIEW cdnow_customer AS
SELECT customer_id AS external_id FROM purchase GROUP BY customer_id ORDER BY customer_id;
CREATE TEMP VIEW cdnow_booking AS
SELECT line_no AS external_id, customer_id AS customer_external_id, date AS booked_at, amount, 'USD' AS currency FROM purchase;
CREATE TEMP VIEW cdnow_item AS
SELECT line_no AS booking_external_id, 1 AS line_no, 'goods' AS kind, quantity, amount FROM purchase;

SELECT pg_temp.check_load('customers', $$SELECT * FROM iaros.customer_load('cdnow', 'cdnow_customer')$$, '{23570,23570,0,0}'),
    pg_temp.check_load('purchases', $$SELECT * FROM iaros.booking_load('cdnow', 'cdnow_booking')$$, '{69659,69659,0,0}'),
    pg_temp.check_load('items', $$SELECT * FROM iaros.booking_item_load('cdnow', 'cdnow_item')$$, '{69659,69659,0,0}')
\g /dev/null

SELECT pg_temp.check_equal('customers', count(DISTINCT customer_id), 23570::bigint),
    pg_temp.check_equal('customer-days', count(DISTINCT (customer_id, booked_at)), 67591::bigint),
    pg_temp.check_equal('dollars', sum(amount), 2500315.63),
    pg_temp.check_equal('dollars in the base currency', sum(amount_base), 2500315.63),
    pg_temp.check_equal('amounts of 0', count(*) FILTER (WHERE amount = 0), 80::bigint),
    pg_temp.check_equal('first day', min(booked_at), timestamptz '1997-01-01'),
    pg_temp.check_equal('last day', max(booked_at), timestamptz '1998-06-30')
FROM iaros.booking \g /dev/null
SELECT pg_temp.check_equal('CDs', sum(quantity), 167881::bigint) FROM iaros.booking_item \g /dev/null

-- Keyed by what they say, repeats are duplicates.
BEGIN;
SELECT pg_temp.check_load('purchases by content', $$SELECT * FROM iaros.booking_load('cdnow_content',
    'SELECT concat_ws(''|'', customer_id, date, quantity, amount) AS external_id, customer_id AS customer_external_id,
         ''cdnow'' AS customer_source, date AS booked_at, amount, ''USD'' AS currency
     FROM purchase ORDER BY line_no')$$, '{69659,69404,255,0}') \g /dev/null
ROLLBACK;

-- The same again: nothing changes.
SELECT pg_temp.fingerprint() AS before \gset
SELECT pg_temp.check_load('customers again', $$SELECT * FROM iaros.customer_load('cdnow', 'cdnow_customer')$$, '{23570,0,23570,0}'),
    pg_temp.check_load('purchases again', $$SELECT * FROM iaros.booking_load('cdnow', 'cdnow_booking')$$, '{69659,0,69659,0}'),
    pg_temp.check_load('items again', $$SELECT * FROM iaros.booking_item_load('cdnow', 'cdnow_item')$$, '{69659,0,69659,0}')
\g /dev/null
SELECT pg_temp.check_equal('rows of the domain after loading twice', pg_temp.fingerprint(), :'before') \g /dev/null

-- One changed amount is refused and reported, not taken over.
UPDATE purchase SET amount = amount::numeric + 1 WHERE line_no = 1;
SELECT pg_temp.check_load('one changed', $$SELECT * FROM iaros.booking_load('cdnow', 'cdnow_booking')$$, '{69659,0,69658,1}') AS changed \gset
SELECT pg_temp.check_equal('its reason', reasons, ARRAY['conflict: stored with another amount'])
FROM iaros.load_reject WHERE load_id = :changed \g /dev/null
SELECT pg_temp.check_equal('rows of the domain after a conflict', pg_temp.fingerprint(), :'before') \g /dev/null
