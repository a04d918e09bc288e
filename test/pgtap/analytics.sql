-- analytics: the dashboard of a campaign that really ran; segments and cohorts
-- against what their words say, counted one by one.
BEGIN;
SELECT plan(21);
CREATE FUNCTION pg_temp.id(i integer) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', 'd' || i) $$;
SELECT iaros.customer_create('crm', 'd' || i, email => 'd' || i || '@example.org') FROM generate_series(1, 20) AS i;
SELECT count(iaros.consent_record(pg_temp.id(i), 'email', 'marketing', true, 'form', recorded_at => '2026-01-01')) FROM generate_series(1, 20) AS i;
SELECT iaros.segment_create('dash');
SELECT iaros.segment_member_add('dash', ARRAY(SELECT pg_temp.id(i) FROM generate_series(1, 20) AS i));
SELECT iaros.campaign_launch(iaros.campaign_create('DASH', 'Dash', 'email', 'promotional', segment => 'dash',
    schedule_at => '2026-03-01 09:00Z', message_cost_base => 0.05));
SELECT iaros.campaign_tick('2026-03-01 09:00Z');
SELECT is_empty('SELECT * FROM iaros.analytics_dashboard()', 'what only waits was not sent');
SELECT count(iaros.outbox_ack(message_id, token, '2026-03-01 09:05Z')) FROM iaros.outbox_claim('email', as_of => '2026-03-01 09:01Z');
CREATE TEMP VIEW message AS
SELECT message_id, row_number() OVER (ORDER BY message_id)::integer AS n, customer_id FROM iaros.outbox;
SELECT count(iaros.message_event_record(message_id, 'delivered', '2026-03-01 09:06Z')) FROM message WHERE n <= 18;
SELECT count(iaros.message_event_record(message_id, 'bounced_hard', '2026-03-01 09:06Z')) FROM message WHERE n > 18;
SELECT count(iaros.message_event_record(message_id, 'opened', '2026-03-01 10:00Z')) FROM message WHERE n <= 9;
SELECT count(iaros.message_event_record(message_id, 'clicked', '2026-03-01 10:01Z')) FROM message WHERE n <= 4;
SELECT count(iaros.conversion_record(customer_id, 99.99, '2026-03-03')) FROM message WHERE n <= 2;
SELECT iaros.touchpoint_record(customer_id, 'paid_search', '2026-03-02') FROM message WHERE n = 2;

SELECT is(sent, 20::bigint, 'sent') FROM iaros.analytics_dashboard();
SELECT is(delivered, 18::bigint, 'delivered') FROM iaros.analytics_dashboard();
SELECT is(opened, 9::bigint, 'opened') FROM iaros.analytics_dashboard();
SELECT is(clicked, 4::bigint, 'clicked') FROM iaros.analytics_dashboard();
SELECT is(bounced, 2::bigint, 'bounced') FROM iaros.analytics_dashboard();
SELECT is(converted, 1::bigint, 'a conversion that another channel touched last is not its own') FROM iaros.analytics_dashboard();
SELECT is(revenue, 99.99, 'revenue') FROM iaros.analytics_dashboard();
SELECT is(cost, 1.00, 'cost is that of all messages sent') FROM iaros.analytics_dashboard();
SELECT is(roas - roi, 1.0000, 'roas and roi differ by one') FROM iaros.analytics_dashboard();
SELECT is(revenue, (SELECT credit FROM iaros.attribution_last(by => 'campaign') WHERE key = 'DASH'), 'attribution says the same') FROM iaros.analytics_dashboard();
SELECT is_empty($$SELECT * FROM iaros.analytics_dashboard('2026-03-02')$$, 'only messages sent in the time asked for');

-- 80 visitors by chance: entries, departures and bookings of half a year, one
-- in four recognised as another.
SELECT iaros.setting_set('brand_time_zone', 'Asia/Tokyo');
SELECT iaros.customer_create('crm', 'v' || i) FROM generate_series(1, 80) AS i;
CREATE TEMP TABLE visitor AS
SELECT k.customer_id, substr(k.external_id, 2)::integer AS n FROM iaros.customer_key k WHERE k.external_id ~ '^v[0-9]+$';
CREATE FUNCTION pg_temp.chance(n integer, salt integer, below integer) RETURNS bigint LANGUAGE sql AS
$$ SELECT (hashint8extended(n, salt) & 1048575) % below $$;
SELECT iaros.segment_create('crowd');
SELECT CASE WHEN i % 2 = 1
    THEN iaros.segment_member_add('crowd', ARRAY(SELECT customer_id FROM visitor WHERE pg_temp.chance(n, i, 9) = 0), timestamptz '2026-01-01' + i * interval '73 hours')
    ELSE iaros.segment_member_remove('crowd', ARRAY(SELECT customer_id FROM visitor WHERE pg_temp.chance(n, i, 5) = 0), timestamptz '2026-01-01' + i * interval '73 hours') END
FROM generate_series(1, 60) AS i;
SELECT count(iaros.booking_record(customer_id, 1 + pg_temp.chance(n, i, 500), 'USD', timestamptz '2026-01-01' + (pg_temp.chance(n, -i, 190 * 24) || ' hours')::interval,
    status => (ARRAY['flown', 'confirmed', 'cancelled', 'held'])[1 + pg_temp.chance(n, i, 4)]::iaros.booking_status))
FROM visitor, generate_series(1, 6) AS i;
SELECT count(iaros.customer_recognise(a.customer_id, m.customer_id)) FROM visitor a JOIN visitor m ON m.n = a.n - 1 WHERE a.n % 4 = 2;
CREATE TEMP VIEW crowd AS
SELECT iaros.customer_resolve(e.customer_id) AS person, e.customer_id, e.at, e.entered, e.segment_event_id
FROM iaros.segment_event e WHERE e.segment_id = iaros.segment_find('crowd');
CREATE TEMP TABLE as_of (at timestamptz);
INSERT INTO as_of VALUES ('2026-06-09 22:10Z');
CREATE FUNCTION pg_temp.cohorts(grain text) RETURNS TABLE (cohort date, customers bigint, period integer, starts_on date,
    complete boolean, active bigint, members bigint, revenue numeric) LANGUAGE sql AS $$
    WITH first AS (
        SELECT c.person, min(c.at) AS entered_at, date_trunc(grain, timezone('Asia/Tokyo', min(c.at))) AS cohort
        FROM crowd c, as_of WHERE c.entered AND c.at <= as_of.at GROUP BY c.person
    ), grid AS (
        SELECT f.cohort, g.nth, f.cohort + g.nth * ('1 ' || grain)::interval AS starts_on,
            timezone('Asia/Tokyo', f.cohort + g.nth * ('1 ' || grain)::interval) AS from_time,
            timezone('Asia/Tokyo', f.cohort + (g.nth + 1) * ('1 ' || grain)::interval) AS to_time
        FROM (SELECT DISTINCT cohort FROM first) f, generate_series(0, 3) AS g(nth)
    )
    SELECT g.cohort::date, (SELECT count(*) FROM first f WHERE f.cohort = g.cohort), g.nth, g.starts_on::date, g.to_time <= as_of.at,
        (SELECT count(*) FROM first f WHERE f.cohort = g.cohort AND EXISTS (
            SELECT FROM iaros.booking b WHERE iaros.customer_resolve(b.customer_id) = f.person AND b.status IN ('flown', 'confirmed')
              AND b.booked_at >= f.entered_at AND b.booked_at >= g.from_time AND b.booked_at < g.to_time AND b.booked_at <= as_of.at)),
        (SELECT count(*) FROM first f WHERE f.cohort = g.cohort AND EXISTS (
            SELECT FROM crowd c WHERE c.person = f.person AND c.entered AND c.at < g.to_time AND c.at <= as_of.at AND NOT EXISTS (
                SELECT FROM crowd d WHERE d.customer_id = c.customer_id AND d.at > c.at AND d.at < g.to_time AND d.at <= as_of.at))),
        (SELECT coalesce(sum(b.amount_base), 0) FROM first f JOIN iaros.booking b ON iaros.customer_resolve(b.customer_id) = f.person
         WHERE f.cohort = g.cohort AND b.status IN ('flown', 'confirmed')
           AND b.booked_at >= f.entered_at AND b.booked_at >= g.from_time AND b.booked_at < g.to_time AND b.booked_at <= as_of.at)
    FROM grid g, as_of WHERE g.from_time <= as_of.at ORDER BY 1, 3 $$;
SELECT cmp_ok((SELECT count(*) FROM crowd WHERE NOT entered), '>', 100::bigint, 'the crowd comes and goes');
SELECT results_eq(format('SELECT * FROM iaros.analytics_cohort(''crowd'', %L, 4, (SELECT at FROM as_of))', grain),
    format('SELECT * FROM pg_temp.cohorts(%L)', grain), 'cohorts by ' || grain)
FROM unnest('{day,week,month,year}'::text[]) AS grain;
SELECT is((SELECT sum(customers) FROM iaros.analytics_cohort('crowd', periods => 1)), (SELECT count(DISTINCT person)::numeric FROM crowd WHERE entered),
    'each person is in one cohort');
SELECT results_eq(
    $$SELECT customers, entered, departed, spend_12m, bookings_12m FROM iaros.analytics_segments('2026-02-01', '2026-04-01') WHERE segment = 'crowd'$$,
    $$SELECT (SELECT count(*) FROM iaros.segment_customers('crowd')),
        (SELECT count(*) FROM crowd WHERE entered AND at >= '2026-02-01' AND at < '2026-04-01'),
        (SELECT count(*) FROM crowd WHERE NOT entered AND at >= '2026-02-01' AND at < '2026-04-01'),
        sum(p.spend_12m), sum(p.booking_count_12m) FROM iaros.profile p WHERE p.customer_id IN (SELECT iaros.segment_customers('crowd'))$$,
    'segments are summed up');
CREATE ROLE analytics_read;
SELECT iaros.access_grant('analytics_read', 'read');
SET LOCAL ROLE analytics_read;
SELECT cmp_ok((SELECT count(*) FROM iaros.analytics_segments() WHERE customers > 0), '>=', 2::bigint, 'read sees segments');
SELECT cmp_ok((SELECT count(*) FROM iaros.analytics_cohort('crowd')), '>', 5::bigint, 'and cohorts');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
