-- customer_rfm brought up to date after 1 % new bookings, a day later: an
-- increment of rfm_refresh() against a whole run of it. Ten bookings a
-- customer. Committed, since dead rows of one transaction would pile up;
-- removed at the end. Variable: rows (bookings).
SET synchronous_commit = off;
SET session_replication_role = replica;
INSERT INTO iaros.customer (customer_id)
SELECT 900000000 + i FROM generate_series(1, greatest(:rows / 10, 1)) AS i;
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, origin, destination, cabin, sales_channel, departure_at, amount, currency, amount_base)
SELECT 900000001 + i * 7919::bigint % greatest(:rows / 10, 1), 900000000 + i, 'demo', 'bench' || i,
    '2023-01-01'::timestamptz + 94608000.0 * i / :rows * interval '1 second',
    CASE WHEN i % 20 = 0 THEN 'cancelled' ELSE 'flown' END::iaros.booking_status,
    (ARRAY['JFK', 'LHR', 'FRA', 'CDG'])[1 + i % 4], (ARRAY['SIN', 'DXB', 'MAD', 'ATL', 'LAX'])[1 + i % 5],
    CASE WHEN i % 9 = 0 THEN 'business' ELSE 'economy' END::iaros.cabin, (ARRAY['web', 'mobile', 'agent'])[1 + i % 3],
    '2023-02-01'::timestamptz + 94608000.0 * i / :rows * interval '1 second',
    i * 31::bigint % 200000 / 100.0, 'USD', i * 31::bigint % 200000 / 100.0
FROM generate_series(1, :rows) AS i;
SET session_replication_role = origin;
VACUUM ANALYZE iaros.customer;
VACUUM ANALYZE iaros.booking;
SELECT iaros.rfm_refresh('2026-01-01', whole => true) > 0 AS filled \gset
VACUUM ANALYZE iaros.rfm_stored;
VACUUM ANALYZE iaros.rfm_history;

CREATE TEMP TABLE bench_run (whole boolean, ms float8);

-- Adds the bookings of a day.
CREATE PROCEDURE pg_temp.bench_day(day integer, rows bigint) LANGUAGE sql AS $$
    INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, amount, currency, amount_base)
    SELECT 900000001 + iaros.chance_int(i, day, 1, greatest(rows / 10, 1)::integer), 1900000000 + day * rows + i, 'demo',
        'day' || day || '-' || i, '2026-01-01'::timestamptz + (day + iaros.chance(i, day, 2)) * interval '1 day', 'confirmed',
        iaros.chance_int(i, day, 3, 200000) / 100.0, 'USD', iaros.chance_int(i, day, 3, 200000) / 100.0
    FROM generate_series(1, rows / 100) AS i
$$;

-- Refreshes as of the end of that day and notes how long it took. After an
-- increment a whole run must find nothing to change.
CREATE PROCEDURE pg_temp.bench_refresh(day integer, whole boolean) LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
    at timestamptz := '2026-01-01'::timestamptz + (day + 1) * interval '1 day';
    ms float8;
    before text;
    after text;
BEGIN
    PERFORM iaros.rfm_refresh(at, whole);
    COMMIT;
    ms := extract(epoch FROM clock_timestamp() - start) * 1000;
    INSERT INTO bench_run VALUES (whole, ms);
    IF NOT whole THEN
        SELECT md5(string_agg(s::text, ' ' ORDER BY s.customer_id)) INTO before FROM iaros.rfm_stored s;
        PERFORM iaros.rfm_refresh(at, true);
        SELECT md5(string_agg(s::text, ' ' ORDER BY s.customer_id)) INTO after FROM iaros.rfm_stored s;
        IF before <> after THEN
            RAISE EXCEPTION 'an increment and a whole run differ';
        END IF;
    END IF;
END $$;

CALL pg_temp.bench_day(0, :rows);
CALL pg_temp.bench_refresh(0, false);
VACUUM iaros.rfm_stored;
CALL pg_temp.bench_day(1, :rows);
CALL pg_temp.bench_refresh(1, true);
VACUUM iaros.rfm_stored;
CALL pg_temp.bench_day(2, :rows);
CALL pg_temp.bench_refresh(2, false);
VACUUM iaros.rfm_stored;
CALL pg_temp.bench_day(3, :rows);
CALL pg_temp.bench_refresh(3, true);

SELECT format('bench|%s|%s|%s|%s|%s', 'rfm_refresh', round(ours::numeric, 1), round(plain::numeric, 1),
    round((plain / ours)::numeric, 2), round(:rows / 100 / ours * 1000))
FROM (SELECT min(ms) FILTER (WHERE NOT whole) AS ours, min(ms) FILTER (WHERE whole) AS plain FROM bench_run) r;

SET client_min_messages = warning;
TRUNCATE iaros.customer CASCADE;
DELETE FROM iaros.rfm_run;
DELETE FROM iaros.rfm_change;
DROP PROCEDURE pg_temp.bench_day(integer, bigint), pg_temp.bench_refresh(integer, boolean);
