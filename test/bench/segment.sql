-- All dynamic segments in the one scan that segment_refresh() makes, against
-- one statement for each segment; 11 shipped segments and 39 more.
-- Variable: rows (profiles).
BEGIN;
INSERT INTO iaros.customer (customer_id, kind, source, country, birth_date)
SELECT i, 'known', 'manual', (ARRAY['US', 'GB', 'DE', 'FR'])[1 + i % 4], date '1950-01-01' + (i * 7919 % 20000)::integer
FROM generate_series(1, :rows) AS i;
UPDATE iaros.profile_stored p
SET (as_of, booking_count, booking_count_12m, spend_total, spend_12m, first_booked_at, last_booked_at, cabin_top, lead_days_avg,
    party_size_avg, weekend_share, email_open_90d, search_30d, cart_abandoned_7d) = ROW(
    '2026-06-01Z'::timestamptz, iaros.chance_int(i, 1, 1, 40), iaros.chance_int(i, 1, 2, 15),
    iaros.chance_int(i, 1, 3, 30000), iaros.chance_int(i, 1, 4, 10000),
    timestamptz '2026-07-01Z' - make_interval(days => 400 + iaros.chance_int(i, 1, 5, 600)),
    timestamptz '2026-07-01Z' - make_interval(days => iaros.chance_int(i, 1, 6, 400)),
    (enum_range(NULL::iaros.cabin))[1 + iaros.chance_int(i, 1, 7, 4)],
    iaros.chance_int(i, 1, 8, 60), 1 + iaros.chance_int(i, 1, 9, 4), iaros.chance(i, 1, 10),
    iaros.chance_int(i, 1, 11, 9), iaros.chance_int(i, 1, 12, 20), iaros.chance_int(i, 1, 13, 2))
FROM generate_series(1, :rows) AS i
WHERE p.customer_id = i;
DO $$ BEGIN PERFORM iaros.segment_create('Bench ' || i, jsonb_build_object('logic', 'AND', 'rules', jsonb_build_array(
    jsonb_build_object('field', 'customer.annualSpend', 'operator', 'BETWEEN', 'value', jsonb_build_array(i * 200, i * 200 + 400)),
    jsonb_build_object('field', 'booking.cabinClass', 'operator', 'IN', 'value', jsonb_build_array('business', 'economy')))))
FROM generate_series(1, 39) AS i; END $$;
ANALYZE iaros.customer;
ANALYZE iaros.profile_stored;

SELECT pg_temp.bench('segment_scan_sql',
    format('SELECT s.customer_id, i AS segment_id FROM (%s) s, unnest(s.segment_ids) AS i',
        iaros.segment_scan_sql('2026-07-01Z')),
    (SELECT string_agg(format('SELECT p.customer_id, %s::bigint AS segment_id %s WHERE %s', s.segment_id,
        iaros.segment_source_sql('2026-07-01Z'), s.condition), ' UNION ALL ' ORDER BY s.segment_id)
     FROM iaros.segment_compile() s),
    :rows);
ROLLBACK;
