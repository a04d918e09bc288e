-- All dynamic segments at once: in the one scan that segment_refresh() makes,
-- against one statement for each segment; a refresh after 1 % of the
-- customers booked, and one without a change, against a whole one.
-- Variable: rows (profiles).
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL session_replication_role = replica;
INSERT INTO iaros.customer (customer_id, kind, source, country, city, birth_date)
SELECT i, 'known', 'manual', (ARRAY['US', 'GB', 'DE', 'FR'])[1 + i % 4], (ARRAY['New York', 'York', 'Ulm', 'Nice'])[1 + i % 4],
    date '1950-01-01' + (i::bigint * 7919 % 20000)::integer
FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.profile_stored (customer_id, as_of, due_at, booking_count, booking_count_12m, spend_total, spend_12m, first_booked_at, last_booked_at,
    cabin_top, lead_days_avg, party_size_avg, weekend_share, email_open_90d, search_30d, cart_abandoned_7d)
SELECT i, '2026-06-01Z', timestamptz '2026-07-01Z' + iaros.chance_int(i, 1, 14, 8640000) * interval '1 second',
    iaros.chance_int(i, 1, 1, 40), iaros.chance_int(i, 1, 2, 15),
    iaros.chance_int(i, 1, 3, 30000), iaros.chance_int(i, 1, 4, 10000),
    timestamptz '2026-07-01Z' - make_interval(days => 400 + iaros.chance_int(i, 1, 5, 600)),
    timestamptz '2026-07-01Z' - make_interval(days => iaros.chance_int(i, 1, 6, 400)),
    (enum_range(NULL::iaros.cabin))[1 + iaros.chance_int(i, 1, 7, 4)],
    iaros.chance_int(i, 1, 8, 60), 1 + iaros.chance_int(i, 1, 9, 4), iaros.chance(i, 1, 10),
    iaros.chance_int(i, 1, 11, 9), iaros.chance_int(i, 1, 12, 20), iaros.chance_int(i, 1, 13, 2)
FROM generate_series(1, :rows) AS i;
SET LOCAL session_replication_role = origin;
SELECT iaros.setting_set('max_segments', '0') \g /dev/null
DO $$ BEGIN PERFORM iaros.segment_create('Bench ' || i, jsonb_build_object('logic', 'AND', 'rules', jsonb_build_array(
    jsonb_build_object('field', 'customer.annualSpend', 'operator', 'BETWEEN', 'value', jsonb_build_array(i * 200, i * 200 + 400)),
    jsonb_build_object('field', 'booking.cabinClass', 'operator', 'IN', 'value', jsonb_build_array('business', 'economy'))))::iaros.segment_rule)
FROM generate_series(1, 39) AS i; END $$;
ANALYZE iaros.customer;
ANALYZE iaros.profile_stored;

CREATE TEMP TABLE refreshed (what text, ms float8);
CREATE FUNCTION pg_temp.refresh(what text, as_of timestamptz, whole boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
BEGIN
    PERFORM iaros.segment_refresh(as_of, whole);
    INSERT INTO refreshed VALUES (what, extract(epoch FROM clock_timestamp() - started) * 1000);
END $$;
SELECT pg_temp.refresh('first', '2026-07-01Z', true) \g /dev/null
ANALYZE iaros.segment_membership;
SELECT pg_temp.refresh('whole', '2026-07-01 00:01Z', true) \g /dev/null
SELECT pg_temp.refresh('idle', '2026-07-01 00:02Z', false) \g /dev/null
-- One in a hundred books, as if the triggers of profiles had told.
CREATE FUNCTION pg_temp.book(slice integer) RETURNS void LANGUAGE sql AS $$
    UPDATE iaros.profile_stored SET booking_count = booking_count + 1, booking_count_12m = booking_count_12m + 1, spend_total = spend_total + 250,
        spend_12m = spend_12m + 250, last_booked_at = '2026-07-01Z' WHERE customer_id % 100 = slice;
    INSERT INTO iaros.segment_change SELECT customer_id FROM iaros.profile_stored WHERE customer_id % 100 = slice;
$$;
INSERT INTO iaros.segment_change SELECT customer_id FROM iaros.profile_stored WHERE customer_id % 100 = 5;
SELECT pg_temp.refresh('same', '2026-07-01 00:02:30Z', false) \g /dev/null
SELECT pg_temp.book(1) \g /dev/null
SELECT pg_temp.refresh('changed', '2026-07-01 00:03Z', false) \g /dev/null
SELECT pg_temp.book(2) \g /dev/null
SELECT pg_temp.refresh('changed', '2026-07-01 00:04Z', false) \g /dev/null
SELECT pg_temp.book(3) \g /dev/null
SELECT pg_temp.refresh('whole, changed', '2026-07-01 00:05Z', true) \g /dev/null
SELECT pg_temp.book(4) \g /dev/null
SELECT pg_temp.refresh('whole, changed', '2026-07-01 00:06Z', true) \g /dev/null
SELECT format('bench|segment_refresh, %s|%s|%s|%s|%s', s.what, round(r.ms::numeric, 1), round(w.ms::numeric, 1),
    round((w.ms / r.ms)::numeric, 2), round((:rows / r.ms * 1000)::numeric))
FROM (VALUES (1, 'first', 'whole', 'first against whole'), (2, 'idle', 'whole', 'nothing changed against whole'),
    (3, 'same', 'whole', '1 % changed, nobody moves, against whole'), (4, 'changed', 'whole, changed', '1 % changed and moves, against whole with such a change'),
    (5, 'changed', 'first', '1 % changed and moves, against the first')) AS s(n, run, other, what)
JOIN (SELECT what, min(ms) AS ms FROM refreshed GROUP BY 1) r ON r.what = s.run
JOIN (SELECT what, min(ms) AS ms FROM refreshed GROUP BY 1) w ON w.what = s.other ORDER BY s.n;
SELECT format('segment_refresh: %s segments, %s memberships, %s moves by one refresh', (SELECT count(*) FROM iaros.segment WHERE enabled),
    (SELECT sum(cardinality(segment_ids)) FROM iaros.segment_membership), (SELECT count(*) FROM iaros.segment_event WHERE at = '2026-07-01 00:03Z'));

SELECT pg_temp.bench('segment_scan, shipped segments against one statement each',
    format('SELECT x.rule, i.id FROM iaros.segment_scan((SELECT array_agg(c.rule ORDER BY c.segment_id) FROM iaros.segment_compile() c), %L, as_of => ''2026-07-01Z'') x, iaros.audience_ids(x.members) AS i(id)',
        (SELECT iaros.segment_source_sql(array_agg(c.rule), '2026-07-01Z') FROM iaros.segment_compile() c)),
    (SELECT string_agg(format('SELECT %s, s.customer_id FROM (%s) s WHERE %s', c.n,
        iaros.segment_source_sql(ARRAY[c.rule], '2026-07-01Z'),
        iaros.segment_rule_sql(c.rule, iaros.segment_source_sql(ARRAY[c.rule], '2026-07-01Z'), '2026-07-01Z')), ' UNION ALL ' ORDER BY c.n)
     FROM (SELECT c.rule, row_number() OVER (ORDER BY c.segment_id) AS n FROM iaros.segment_compile() c) c),
    :rows);
ROLLBACK;
