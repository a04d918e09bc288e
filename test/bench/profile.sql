-- Profiles of one customer in a hundred brought up to date after a change:
-- profile_apply() against the whole profile_refresh(). Ten bookings and ten
-- events a customer. Variable: rows (bookings).
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO iaros.customer (customer_id)
SELECT 900000000 + i FROM generate_series(1, greatest(:rows / 10, 1)) AS i;
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, origin, destination, cabin, sales_channel, departure_at, amount, currency, amount_base)
SELECT 900000001 + i * 7919::bigint % greatest(:rows / 10, 1), 900000000 + i, 'demo', 'bench' || i,
    '2024-01-01'::timestamptz + i * 37::bigint % 63072000 * interval '1 second',
    CASE WHEN i % 20 = 0 THEN 'cancelled' ELSE 'flown' END::iaros.booking_status,
    (ARRAY['JFK', 'LHR', 'FRA', 'CDG'])[1 + i % 4], (ARRAY['SIN', 'DXB', 'MAD', 'ATL', 'LAX'])[1 + i % 5],
    CASE WHEN i % 9 = 0 THEN 'business' ELSE 'economy' END::iaros.cabin, (ARRAY['web', 'mobile', 'agent'])[1 + i % 3],
    '2024-01-01'::timestamptz + i * 37::bigint % 63072000 * interval '1 second' + i % 90 * interval '1 day',
    i * 31::bigint % 200000 / 100.0, 'USD', i * 31::bigint % 200000 / 100.0
FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source)
SELECT 900000001 + i * 104729::bigint % greatest(:rows / 10, 1), 900000000 + i,
    (ARRAY['email_open', 'email_click', 'search', 'cart_abandoned', 'login', 'complaint'])[1 + i % 6],
    '2025-01-01'::timestamptz + i * 13::bigint % 31536000 * interval '1 second', 'demo'
FROM generate_series(1, :rows) AS i;
SET LOCAL session_replication_role = origin;
ANALYZE iaros.customer, iaros.booking, iaros.event;
SELECT iaros.profile_refresh('2026-01-01') > 0 AS filled \gset

CREATE FUNCTION pg_temp.bench_apply() RETURNS SETOF iaros.profile LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iaros.profile_apply(ARRAY(SELECT c.customer_id FROM iaros.customer c WHERE c.customer_id % 100 = 1), '2026-01-01');
    RETURN QUERY SELECT * FROM iaros.profile p WHERE p.customer_id % 100 = 1;
END $$;
CREATE FUNCTION pg_temp.bench_refresh() RETURNS SETOF iaros.profile LANGUAGE plpgsql AS $$
BEGIN
    PERFORM iaros.profile_refresh('2026-01-01');
    RETURN QUERY SELECT * FROM iaros.profile p WHERE p.customer_id % 100 = 1;
END $$;
SELECT pg_temp.bench('profile_apply',
    'SELECT * FROM pg_temp.bench_apply()',
    'SELECT * FROM pg_temp.bench_refresh()',
    greatest(:rows / 1000, 1));
DROP FUNCTION pg_temp.bench_apply(), pg_temp.bench_refresh();
ROLLBACK;
