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
SELECT * FROM iaros.customer_profile(1001, '2026-01-01');
SELECT * FROM iaros.customer_profile(1002, '2026-01-01');
\x off
SELECT customer_id, booking_count, booking_count_12m, spend_12m, email_open_90d FROM iaros.profile_at('2026-03-01 00:00:01') WHERE customer_id IN (1001, 1002, 4711) ORDER BY 1;
SELECT booking_count, spend_total FROM iaros.customer_profile(1001, '2025-08-31');
SELECT count(*) FROM iaros.customer_profile(NULL);
SELECT job, schedule, function_name, repeats FROM iaros.job WHERE job = 'profile';

-- The type: what it says, and what it refuses.
SELECT state FROM iaros.profile_stored WHERE customer_id = 1002;
SELECT iaros.profile_event_agg('email_open', t, false, NULL, NULL) FROM (VALUES ('2025-12-24Z'::timestamptz), ('2025-12-25Z')) AS v(t);
SELECT iaros.profile_event_agg(k, t, k = 'search', i, i * 2)
    OPERATOR(iaros.=) iaros.profile_state_merge(iaros.profile_event_agg(k, t, k = 'search', i, i * 2) FILTER (WHERE i < 3), iaros.profile_event_agg(k, t, k = 'search', i, i * 2) FILTER (WHERE i >= 3)) AS merged
FROM (SELECT i, (ARRAY['search', 'page_view'])[1 + i % 2] AS k, '2025-01-01Z'::timestamptz + i * interval '1 hour' AS t FROM generate_series(1, 5) i) x;
SELECT iaros.profile_merge(x) IS NULL AS none FROM (SELECT NULL::iaros.profile_state WHERE false) AS v(x);
SELECT changed, due_at, booking_count FROM iaros.profile_change(NULL, NULL, NULL, '2026-01-01Z');
SELECT iaros.profile_integer('\x01000000', 'booking_count', '2026-01-01Z'), iaros.profile_number('\x01000000', 'spend_total', '2026-01-01Z'),
    iaros.profile_time('\x01000000', 'last_booked_at', '2026-01-01Z'), iaros.profile_text('\x01000000', 'cabin_top', '2026-01-01Z'),
    iaros.profile_boolean('\x01000000', 'sms_opt_in', '2026-01-01Z');
SELECT iaros.profile_integer('\x01000000', 'spend_total', '2026-01-01Z');
SELECT iaros.profile_text('\x01000000', 'no such', '2026-01-01Z');
SELECT iaros.profile_read('\x01000000', 'infinity');
SELECT iaros.profile_change(NULL, NULL, NULL, NULL);
SELECT 'x'::iaros.profile_state;
SELECT '\x'::iaros.profile_state;
SELECT '\x02000000'::iaros.profile_state;
SELECT '\x0100000001'::iaros.profile_state;
SELECT '\x01ffffffffffffffffffff0000'::iaros.profile_state;
SELECT '\x010000ffffff7f'::iaros.profile_state;
SELECT iaros.profile_event_agg(NULL, now(), false, NULL, NULL);
SELECT iaros.profile_event_agg('search', NULL, false, NULL, NULL);
SELECT iaros.profile_event_agg('search', 'infinity', false, NULL, NULL);
SELECT iaros.profile_event_agg(repeat('x', 256), now(), false, NULL, NULL);
SELECT iaros.profile_event_agg('k' || i, now(), false, NULL, NULL) IS NULL FROM generate_series(1, 5000) i;
SELECT iaros.profile_booking_agg(1, 1, now(), 'confirmed', 1, NULL, NULL, 'xx', 'LHR', 1, NULL, NULL);
SELECT iaros.profile_booking_agg(1, 1, now(), 'confirmed', 'NaN', NULL, NULL, NULL, NULL, 1, NULL, NULL);
SELECT iaros.profile_booking_agg(1, 1, now(), 'confirmed', 1, NULL, NULL, NULL, NULL, 0, NULL, NULL);
SELECT iaros.profile_booking_agg(1, 1, now(), 'confirmed', 1, NULL, NULL, NULL, NULL, 1, NULL, '{1,2}');
SELECT iaros.profile_booking_agg(NULL, 1, now(), 'confirmed', 1, NULL, NULL, NULL, NULL, 1, NULL, NULL);
SELECT count(*) FROM iaros.profile_build('SELECT 1', 'SELECT 1', 'SELECT 1', '{}', now());
SELECT count(*) FROM iaros.profile_build(NULL, NULL, NULL, NULL, NULL);
SELECT customer_id, booking_count, last_event_at FROM iaros.profile_build(
    'SELECT b.customer_id, b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base, b.cabin, b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at
     FROM iaros.booking b WHERE b.customer_id = 1001',
    'SELECT 1::bigint, 1::bigint, 1::bigint, 1 WHERE false',
    'SELECT 5::bigint, ''search''::text, ''2025-01-01Z''::timestamptz, true, NULL::bigint, NULL::bigint',
    '{search, web, mobile, agent}', '2026-01-01Z') ORDER BY 1;
SELECT count(*) FROM iaros.profile_build(
    'SELECT b.customer_id, b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base, b.cabin, b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at
     FROM iaros.booking b WHERE b.customer_id = 1001',
    'SELECT 1::bigint, 1::bigint, 1::bigint, 1 WHERE false',
    'SELECT 5::bigint, ''search''::text, ''2025-01-01Z''::timestamptz, true, NULL::bigint, NULL::bigint',
    '{search}', '2026-01-01Z');
ROLLBACK;
