-- profile: the columns, one profile by all its doors.
\set SHOW_CONTEXT never
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO iaros.customer (customer_id, country, language) VALUES (1001, 'US', 'en'), (1002, NULL, NULL);
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, status, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency) VALUES
    (1001, 'pss', 'A', '2025-03-01', 'flown', 'JFK', 'LHR', 'business', 'web', 1, '2025-03-15', 640, 'USD'),
    (1001, 'pss', 'B', '2025-09-01', 'confirmed', 'JFK', 'LHR', 'economy', 'mobile', 2, '2025-09-21', 200.50, 'USD'),
    (1001, 'pss', 'C', '2025-09-02', 'cancelled', 'JFK', 'LHR', 'first', 'agent', 9, '2025-09-21', 9000, 'USD');
INSERT INTO iaros.event (customer_id, kind, occurred_at, source) VALUES (1001, 'email_open', '2025-12-24', 'message');
\x on
SELECT * FROM iaros.customer_profile(1001);
SELECT iaros.profile_refresh('2026-01-01') >= 2 AS refreshed;
SELECT * FROM iaros.customer_profile(1001);
SELECT * FROM iaros.customer_profile(1002);
\x off
-- The three doors agree.
SELECT iaros.profile_apply('{1001}', '2026-01-01');
SELECT count(*) FROM (SELECT customer_id, booking_count, spend_total, weekend_share FROM iaros.profile_compute(NULL, '2026-01-01')
    EXCEPT SELECT customer_id, booking_count, spend_total, weekend_share FROM iaros.profile) AS d;
SELECT customer_id, booking_count, booking_count_12m, spend_12m, email_open_90d FROM iaros.profile_compute('{1001, 1002, 4711}', '2026-03-01 00:00:01') ORDER BY 1;
SELECT customer_id, booking_count, spend_total FROM iaros.profile_compute('{1001}', '2025-08-31');
SELECT * FROM iaros.customer_profile(NULL);
SELECT job, schedule, function_name, repeats FROM iaros.job WHERE job = 'profile';
ROLLBACK;
