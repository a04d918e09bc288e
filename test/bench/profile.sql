-- Profiles: all of them computed in one pass against plain SQL over the same
-- tables; bookings recorded with the profile kept current against the same
-- without its triggers, one by one and a thousand at once; reading one. Ten
-- bookings, as many lines and five events a customer. Variable: rows
-- (bookings).
BEGIN;
\ir ../pgtap/profile_reference.inc
SET LOCAL timezone = 'UTC';
SET LOCAL session_replication_role = replica;
INSERT INTO iaros.customer (customer_id)
SELECT 900000000 + i FROM generate_series(1, greatest(:rows / 10, 1)) AS i;
INSERT INTO iaros.profile_stored (customer_id)
SELECT 900000000 + i FROM generate_series(1, greatest(:rows / 10, 1)) AS i;
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency, amount_base)
SELECT 900000001 + i * 7919::bigint % greatest(:rows / 10, 1), 900000000 + i, 'demo', 'bench' || i,
    '2024-01-01'::timestamptz + i * 37::bigint % 63072000 * interval '1 second',
    CASE WHEN i % 20 = 0 THEN 'cancelled' ELSE 'flown' END::iaros.booking_status,
    (ARRAY['JFK', 'LHR', 'FRA', 'CDG'])[1 + i % 4], (ARRAY['SIN', 'DXB', 'MAD', 'ATL', 'LAX'])[1 + i % 5],
    CASE WHEN i % 9 = 0 THEN 'business' ELSE 'economy' END::iaros.cabin, (ARRAY['web', 'mobile', 'agent'])[1 + i % 3], 1 + i % 4,
    '2024-01-01'::timestamptz + i * 37::bigint % 63072000 * interval '1 second' + i % 90 * interval '1 day',
    i * 31::bigint % 200000 / 100.0, 'USD', i * 31::bigint % 200000 / 100.0
FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency)
SELECT 900000001 + i * 7919::bigint % greatest(:rows / 10, 1), 900000000 + i, 1, (ARRAY['seat', 'bag', 'meal', 'bundle'])[1 + i % 4], 1, 'USD'
FROM generate_series(1, :rows, 10) AS i;
INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source)
SELECT 900000001 + i * 104729::bigint % greatest(:rows / 10, 1), 900000000 + i,
    (ARRAY['email_open', 'email_click', 'search', 'cart_abandoned', 'page_view', 'complaint'])[1 + i % 6],
    '2025-01-01'::timestamptz + i * 13::bigint % 31536000 * interval '1 second', 'demo'
FROM generate_series(1, :rows / 2) AS i;
SET LOCAL session_replication_role = origin;
ANALYZE iaros.customer, iaros.booking, iaros.booking_item, iaros.event;
SELECT iaros.profile_rebuild() > 0 AS filled \gset
ANALYZE iaros.profile_stored;

SELECT pg_temp.bench('profile_build',
    $$SELECT b.customer_id, b.booking_count, b.booking_count_30d, b.booking_count_90d, b.booking_count_180d, b.booking_count_12m,
        b.spend_total, b.spend_90d, b.spend_12m, b.first_booked_at, b.last_booked_at, b.prev_booked_at, b.next_departure_at,
        b.cancelled_count, b.refunded_count, b.cabin_top::iaros.cabin, b.premium_share, b.sales_channel_top, b.route_top, b.route_count,
        b.haul_top, b.region_top, b.international_share, b.intercontinental_share, b.weekend_share, b.season_top, b.party_size_avg,
        b.group_count, b.solo_share, b.lead_days_avg, b.last_minute_share, b.early_share, b.ancillary_count, b.seat_count, b.bag_count,
        b.meal_count, b.upgrade_count, b.bundle_count, b.email_open_30d, b.email_open_90d, b.email_click_90d, b.session_30d,
        b.app_open_30d, b.search_7d, b.search_30d, b.cart_abandoned_7d, b.cart_abandoned_30d, b.complaint_90d, b.touch_30d, b.touch_90d,
        b.last_event_at, b.last_search_at, b.last_complaint_at, b.last_touch_at, b.nps_score, b.nps_at, b.app_opened, b.referred,
        b.email_opt_in, b.sms_opt_in, b.push_opt_in
    FROM iaros.profile_build(
        'SELECT coalesce(a.master_id, b.customer_id), b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base, b.cabin,
             b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at
         FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id',
        'SELECT coalesce(a.master_id, i.customer_id), i.customer_id, i.booking_id, iaros.profile_item_mask(i.kind, k.category)
         FROM iaros.booking_item i JOIN iaros.item_kind k ON k.kind = i.kind
         LEFT JOIN iaros.customer_alias a ON a.customer_id = i.customer_id',
        'SELECT coalesce(a.master_id, e.customer_id), e.kind, e.at, e.visit, e.id, e.value
         FROM iaros.profile_entry e LEFT JOIN iaros.customer_alias a ON a.customer_id = e.customer_id',
        ARRAY(SELECT s.sales_channel FROM iaros.sales_channel s UNION SELECT k.kind FROM iaros.event_kind k),
        '2026-01-01Z') b$$,
    -- The query of the reference, not in a function, so that it runs in parallel.
    (SELECT format('SELECT * FROM (%s) AS r(%s)',
        regexp_replace(regexp_replace(substring(p.prosrc FROM 'WITH bought.*(?=;)'), '\muntil\M', '''2026-01-01Z''::timestamptz', 'g'),
            '\mzone\M', '''UTC''', 'g'),
        (SELECT string_agg(a.name, ', ' ORDER BY a.place) FROM unnest(p.proargnames) WITH ORDINALITY AS a(name, place) WHERE a.place > 1))
     FROM pg_proc p WHERE p.oid = 'pg_temp.profile_reference'::regproc),
    :rows * 3 / 2, CASE WHEN :rows > 1000000 THEN 1 ELSE 3 END);

-- Milliseconds of so many statements of so many bookings each; kept: with the triggers of profiles.
CREATE FUNCTION pg_temp.bench_insert(statements integer, size integer, kept boolean) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    customers integer := (SELECT count(*) FROM iaros.customer c WHERE c.customer_id > 900000000);
    start timestamptz;
    ms float8;
    t record;
BEGIN
    IF NOT kept THEN
        FOR t IN SELECT r.relation, r.trigger FROM iaros.trigger_roles() r WHERE r.relation = 'booking' AND r.purpose = 'keep' LOOP
            EXECUTE format('ALTER TABLE iaros.%I DISABLE TRIGGER %I', t.relation, t.trigger);
        END LOOP;
    END IF;
    start := clock_timestamp();
    FOR s IN 1 .. statements LOOP
        INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency)
        SELECT 900000001 + iaros.chance_int(i, s, 1, customers), 'demo', 'insert' || nextval('iaros.load_id_seq'), now(), 'JFK', 'LHR', 'economy', 'web', 1,
            now() + interval '20 days', 100, 'USD'
        FROM generate_series(1, size) AS i;
    END LOOP;
    ms := extract(epoch FROM clock_timestamp() - start) * 1000;
    IF NOT kept THEN
        FOR t IN SELECT r.relation, r.trigger FROM iaros.trigger_roles() r WHERE r.relation = 'booking' AND r.purpose = 'keep' LOOP
            EXECUTE format('ALTER TABLE iaros.%I ENABLE TRIGGER %I', t.relation, t.trigger);
        END LOOP;
    END IF;
    RETURN ms;
END $$;

-- The best of five alternating rounds.
CREATE FUNCTION pg_temp.bench_inserts(name text, statements integer, size integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kept float8;
    bare float8;
BEGIN
    FOR i IN 1 .. 5 LOOP
        bare := least(bare, pg_temp.bench_insert(statements, size, false));
        kept := least(kept, pg_temp.bench_insert(statements, size, true));
    END LOOP;
    RETURN format('bench|%s|%s|%s|%s|%s', name, round(kept::numeric, 1), round(bare::numeric, 1), round((bare / kept)::numeric, 2),
        round((statements * size / kept * 1000)::numeric));
END $$;
SELECT pg_temp.bench_inserts('booking one by one, kept / bare', 2000, 1);
SELECT pg_temp.bench_inserts('booking by 1,000, kept / bare', 10, 1000);

-- Nothing is lost of what the triggers saw.
SELECT iaros.profile_rebuild() > 0 AS mended \gset
SELECT pg_temp.bench_insert(5, 1000, true) > 0 AS inserted \gset
SELECT 'FAILED: ' || count(*) || ' profiles differ' FROM iaros.profile_check() HAVING count(*) > 0;

-- Updates of profiles alone, and reading one.
CREATE FUNCTION pg_temp.bench_reads(reads integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    customers integer := (SELECT count(*) FROM iaros.customer c WHERE c.customer_id > 900000000);
    start timestamptz := clock_timestamp();
    ms float8;
BEGIN
    FOR i IN 1 .. reads LOOP
        PERFORM * FROM iaros.customer_profile(900000001 + iaros.chance_int(i, 5, 5, customers));
    END LOOP;
    ms := extract(epoch FROM clock_timestamp() - start) * 1000;
    RETURN format('bench|customer_profile, one read|%s|-|-|%s', round((ms / reads)::numeric, 3), round((reads / ms * 1000)::numeric));
END $$;
SELECT pg_temp.bench_reads(5000);
ROLLBACK;
