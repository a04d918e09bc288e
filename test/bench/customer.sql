-- Loading rows / 4 bookings out of a table of text, one in fifty of them dirty,
-- and loading them again, against plain statements with the same checks that
-- keep the refused rows without telling why, as INSERT ... SELECT into a
-- table with the same constraints. Variable: rows.
BEGIN;
INSERT INTO iaros.customer (customer_id, source) SELECT i, 'crm' FROM generate_series(1, :rows / 20) AS i;
INSERT INTO iaros.customer_key (source, external_id, customer_id) SELECT 'crm', 'C' || i, i FROM generate_series(1, :rows / 20) AS i;
CREATE TABLE bench_raw AS
SELECT 'B' || i AS external_id, 'C' || 1 + iaros.chance_int(i, 1, 1, :rows / 20) AS customer_external_id, 'crm' AS customer_source,
    (timestamp '2026-01-01' + i % 10000 * interval '1 minute')::text AS booked_at,
    CASE i % 150 WHEN 0 THEN '-1' WHEN 50 THEN '12.345' WHEN 100 THEN 'free' ELSE (i % 100000 / 100.0)::text END AS amount,
    'USD' AS currency, 'JFK' AS origin, CASE i % 2 WHEN 0 THEN 'LHR' ELSE 'CDG' END AS destination, 'web' AS sales_channel
FROM generate_series(1, :rows / 4) AS i;
CREATE TABLE bench_booking (LIKE iaros.booking INCLUDING ALL);
ALTER TABLE bench_booking
    ADD FOREIGN KEY (customer_id) REFERENCES iaros.customer, ADD FOREIGN KEY (source) REFERENCES iaros.data_source,
    ADD FOREIGN KEY (origin) REFERENCES iaros.airport, ADD FOREIGN KEY (destination) REFERENCES iaros.airport,
    ADD FOREIGN KEY (sales_channel) REFERENCES iaros.sales_channel, ADD FOREIGN KEY (currency) REFERENCES iaros.currency;
CREATE TABLE bench_reject (payload jsonb);
ANALYZE;

CREATE FUNCTION pg_temp.plain_load() RETURNS TABLE (accepted bigint, duplicates bigint, refused bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH typed AS (
        SELECT r.*, c.customer_id,
            CASE WHEN r.amount ~ '^-?\d+(\.\d+)?$' THEN r.amount::numeric END AS amount_number,
            CASE WHEN r.booked_at ~ '^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$' THEN r.booked_at::timestamp AT TIME ZONE 'UTC' END AS booked_time
        FROM bench_raw r
        LEFT JOIN iaros.customer_key k ON k.source = r.customer_source AND k.external_id = r.customer_external_id
        LEFT JOIN iaros.customer c ON c.customer_id = k.customer_id
    ), checked AS MATERIALIZED (
        SELECT t.*, row_number() OVER (PARTITION BY t.external_id) AS n, b.booking_id IS NOT NULL AS known,
            (b.customer_id, b.booked_at, b.amount, b.currency, b.origin, b.destination, b.sales_channel)
                IS NOT DISTINCT FROM (t.customer_id, t.booked_time, t.amount_number, t.currency, t.origin, t.destination, t.sales_channel) AS same,
            t.customer_id IS NOT NULL AND t.booked_time IS NOT NULL AND t.amount_number >= 0 AND scale(trim_scale(t.amount_number)) <= 2
                AND EXISTS (SELECT FROM iaros.currency m WHERE m.currency = t.currency)
                AND EXISTS (SELECT FROM iaros.airport a WHERE a.airport = t.origin)
                AND EXISTS (SELECT FROM iaros.airport a WHERE a.airport = t.destination)
                AND EXISTS (SELECT FROM iaros.sales_channel s WHERE s.sales_channel = t.sales_channel) IS TRUE AS good
        FROM typed t
        LEFT JOIN bench_booking b ON b.source = 'pss' AND b.external_id = t.external_id
    ), stored AS (
        INSERT INTO bench_booking (customer_id, source, external_id, booked_at, origin, destination, sales_channel, amount, currency, amount_base)
        SELECT c.customer_id, 'pss', c.external_id, c.booked_time, c.origin, c.destination, c.sales_channel, c.amount_number, c.currency, c.amount_number
        FROM checked c WHERE c.good AND NOT c.known AND c.n = 1
    ), kept AS (
        INSERT INTO bench_reject SELECT to_jsonb(c) FROM checked c WHERE c.good IS NOT TRUE OR (c.known AND NOT c.same)
    )
    SELECT count(*) FILTER (WHERE c.good AND NOT c.known), count(*) FILTER (WHERE c.good AND c.known AND c.same),
        count(*) FILTER (WHERE c.good IS NOT TRUE OR (c.known AND NOT c.same))
    FROM checked c;
END $$;
-- Every run loads into empty tables.
CREATE FUNCTION pg_temp.ours_first() RETURNS TABLE (accepted bigint, duplicates bigint, refused bigint) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE iaros.booking, iaros.load_reject CASCADE;
    RETURN QUERY SELECT l.accepted, l.duplicates, l.refused FROM iaros.booking_load('pss', 'bench_raw') l;
END $$;
CREATE FUNCTION pg_temp.plain_first() RETURNS TABLE (accepted bigint, duplicates bigint, refused bigint) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bench_booking, bench_reject;
    RETURN QUERY SELECT * FROM pg_temp.plain_load();
END $$;

SELECT pg_temp.bench('booking_load, new', 'SELECT * FROM pg_temp.ours_first()', 'SELECT * FROM pg_temp.plain_first()', :rows / 4, 1);
SELECT pg_temp.bench('booking_load, again',
    $$SELECT accepted, duplicates, refused FROM iaros.booking_load('pss', 'bench_raw')$$,
    'SELECT * FROM pg_temp.plain_load()', :rows / 4, 1);
ROLLBACK;
