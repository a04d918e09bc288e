-- profile: what is counted and what is not, aliases, flags, and the doors.
BEGIN;
SELECT plan(85);
SELECT iaros.customer_create() AS ada, iaros.customer_create() AS bob, iaros.customer_create(kind => 'anonymous') AS visitor \gset
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2025-01-01', 1.5);

-- The year ends at as_of 2026-01-01 00:00: 2025-01-01 00:00 is out, a microsecond later is in.
SELECT iaros.booking_record(:ada, 100, 'USD', '2024-12-31 12:00+00', 'JFK', 'LAX', 'economy', 'Y', 'web', 1, '2025-01-10 12:00+00') AS b1 \gset
SELECT iaros.booking_record(:ada, 200, 'EUR', '2025-01-02 00:00+00', 'JFK', 'LHR', 'business', 'J', 'mobile', 3, '2025-01-04 04:00+00',
    items => '[{"kind": "seat", "amount": 10}, {"kind": "bag", "amount": 20}, {"kind": "hotel", "amount": 30}, {"kind": "bundle", "amount": 40}]') AS b2 \gset
SELECT iaros.booking_record(:ada, 50, 'USD', '2026-01-01 00:00+00', 'LHR', 'JFK', 'business', 'J', 'mobile', 2) AS b3 \gset
SELECT iaros.booking_record(:ada, 9999, 'USD', '2025-06-01', 'JFK', 'LAX', 'first', 'F', 'agent', status => 'cancelled', items => '[{"kind": "seat", "amount": 10}]') AS b4 \gset
SELECT iaros.booking_record(:ada, 9999, 'USD', '2025-06-01', 'JFK', 'LAX', 'first', 'F', 'agent', status => 'refunded') AS b5 \gset
SELECT iaros.booking_record(:ada, 9999, 'USD', '2026-01-01 00:00:01+00', 'JFK', 'LAX', 'first', 'F', 'agent') AS b6 \gset
SELECT iaros.event_record(:ada, k.kind, k.at::timestamptz, k.properties::jsonb) FROM (VALUES
    ('email_open', '2025-10-03 00:00+00', '{}'), ('email_open', '2025-10-03 00:00:01+00', '{}'), ('email_open', '2026-01-01 00:00+00', '{}'),
    ('email_open', '2026-01-02', '{}'), ('email_click', '2025-12-31', '{}'),
    ('search', '2025-12-02 00:00+00', '{"origin": "JFK", "destination": "LHR"}'), ('search', '2025-12-03', '{"origin": "JFK", "destination": "LHR"}'),
    ('cart_abandoned', '2025-12-25 00:00+00', '{}'), ('cart_abandoned', '2025-12-25 00:00:01+00', '{}'),
    ('complaint', '2025-03-01', '{}'), ('nps_response', '2025-04-01', '{"score": 9}'), ('nps_response', '2025-03-01', '{"score": 3}'),
    ('nps_response', '2026-02-01', '{"score": 0}')) AS k(kind, at, properties) \g /dev/null
INSERT INTO iaros.customer_trait (customer_id, trait, value) VALUES (:ada, 'corporate_account', 'true'), (:ada, 'social_follower', 'false');
SELECT iaros.loyalty_enrol(:bob, tier => 'silver', enrolled_on => '2025-06-01') AS number \gset

SELECT is((SELECT count(*) FROM iaros.profile), (SELECT count(*) FROM iaros.customer), 'every customer has a profile at once');
SELECT is(booking_count, 3, 'bookings, without cancelled, refunded and later ones') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(booking_count_12m, 2, 'bookings of the last 12 months') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(spend_total, 450.0000, 'spend, in the base currency') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(spend_12m, 350.0000, 'spend of the last 12 months') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(first_booked_at, '2024-12-31 12:00+00', 'first booking') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(last_booked_at, '2026-01-01 00:00+00', 'last booking, as_of included') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(cabin_top, 'business'::iaros.cabin, 'most frequent cabin') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(sales_channel_top, 'mobile', 'most frequent sales channel') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(route_top, 'LHR-JFK', 'of equally frequent routes the last') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(lead_days_avg, 6.08, 'days from booking to departure, where one is known') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(party_size_avg, 2.00, 'party size') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(weekend_share, 0.0000, 'Saturday 04:00 UTC is still Friday in New York') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(international_share, 0.6667, 'routes between two countries') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(ancillary_count, 2, 'ancillaries') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(bundle_count, 1, 'bundles') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(email_open_90d, 2, 'opens in (as_of - 90 days, as_of]') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(email_click_90d, 1, 'clicks') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(search_30d, 1, 'searches in (as_of - 30 days, as_of]') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(cart_abandoned_7d, 1, 'carts in (as_of - 7 days, as_of]') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(last_event_at, '2026-01-01 00:00+00', 'last event') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(last_complaint_at, '2025-03-01', 'last complaint') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is(nps_score, 9, 'last answer by time, not by arrival') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT ok(corporate AND NOT social_follower AND NOT app_user AND NOT is_member, 'traits') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT ok(is_member AND tier = 'silver' AND booking_count = 0 AND spend_total = 0 AND last_booked_at IS NULL, 'a member who never booked') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :bob;

-- Weekends in the zone of the airport, or of the brand.
SELECT iaros.booking_record(:bob, 1, 'USD', '2025-01-02', 'SIN', 'JFK', departure_at => '2025-01-03 20:00+00') AS b \gset
SELECT iaros.booking_record(:bob, 1, 'USD', '2025-01-02', departure_at => '2025-01-03 20:00+00') AS b \gset
SELECT is(weekend_share, 0.5000, 'Friday 20:00 UTC is Saturday in Singapore') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :bob;

-- Aliases.
SELECT iaros.event_record(:visitor, 'app_open', '2025-12-01') AS e, iaros.booking_record(:visitor, 1000, 'USD', '2025-02-01', 'JFK', 'LAX', 'economy') AS b \gset
SELECT iaros.customer_recognise(:visitor, :ada) AS recognised \gset
SELECT ok(app_user AND booking_count = 4 AND spend_total = 1450, 'whose profile now holds both') FROM iaros.profile_at('2026-01-01') WHERE customer_id = :ada;
SELECT is((SELECT count(*) FROM iaros.profile_at('2026-01-01') WHERE customer_id = :visitor), 0::bigint, 'the alias has none');
SELECT results_eq(format('SELECT * FROM iaros.customer_profile(%s)', :visitor), format('SELECT * FROM iaros.customer_profile(%s)', :ada), 'customer_profile() follows the alias');
SELECT is((SELECT master_id FROM iaros.customer_profile(:visitor)), :ada::bigint, 'and says whose it is');
SELECT iaros.customer_separate(:visitor) AS separated \gset
SELECT is((SELECT spend_total FROM iaros.profile_at('2026-01-01') WHERE customer_id = :visitor), 1000.0000, 'each has its own');

-- Edges.
SELECT is(iaros.profile_apply(NULL), 0::bigint, 'no ids, no profiles');
SELECT is(iaros.profile_apply('{}'), 0::bigint, 'empty ids neither');
SELECT is(iaros.profile_apply(ARRAY[999999999, NULL, :bob, :bob]::bigint[]), 1::bigint, 'ids of nobody and repeated ids');
SELECT is_empty('SELECT * FROM iaros.customer_profile(999999999)', 'nobody has no profile');
SELECT throws_ok(format('SELECT * FROM iaros.customer_profile(%s, ''infinity'')', :bob), '22023', 'a profile cannot be as of "infinity"', 'no profile of eternity');
SELECT is((SELECT booking_count FROM iaros.customer_profile(:ada, '2024-12-31 12:00+00')), 1, 'as of its time a booking counts');
SELECT is((SELECT booking_count FROM iaros.customer_profile(:ada, '2024-12-31 11:59:59+00')), 0, 'a second before it does not');
SELECT is((SELECT booking_count FROM iaros.customer_profile(:ada, NULL)), (SELECT booking_count FROM iaros.profile WHERE customer_id = :ada), 'NULL is now');

-- Windows end when they end: at exactly 30 days and 12 months.
SELECT iaros.customer_create() AS edge \gset
SELECT iaros.booking_record(:edge, 10, 'USD', '2024-02-29 10:00+00', cabin => 'first', party_size => 10, departure_at => '2024-03-31 10:00+00') AS b \gset
SELECT is((SELECT ARRAY[booking_count_30d, booking_count_12m] FROM iaros.customer_profile(:edge, '2024-03-30 09:59:59.999999+00')), '{1,1}', 'inside 30 days');
SELECT is((SELECT ARRAY[booking_count_30d, booking_count_12m] FROM iaros.customer_profile(:edge, '2024-03-30 10:00+00')), '{0,1}', 'at 30 days it is out');
SELECT is((SELECT spend_12m FROM iaros.customer_profile(:edge, '2025-02-28 09:59:59.999999+00')), 10.0000, 'a year after 29 February is 28 February');
SELECT is((SELECT spend_12m FROM iaros.customer_profile(:edge, '2025-02-28 10:00+00')), 0::numeric, 'and then it is out');
SELECT is((SELECT next_departure_at FROM iaros.customer_profile(:edge, '2024-03-31 09:59:59+00')), '2024-03-31 10:00+00', 'the next departure');
SELECT is((SELECT next_departure_at FROM iaros.customer_profile(:edge, '2024-03-31 10:00+00')), NULL, 'is none once it leaves');
SELECT is((SELECT season_top FROM iaros.customer_profile(:edge)), 'summer', '31 March 2024 is the last Sunday: summer');
SELECT results_eq(format('SELECT group_count, solo_share, premium_share, early_share FROM iaros.customer_profile(%s)', :edge), 'VALUES (1, 0.0000, 1.0000, 1.0000)', 'a group, early, in first');
UPDATE iaros.booking SET departure_at = '2024-10-27 10:00+00' WHERE customer_id = :edge;
SELECT is((SELECT season_top FROM iaros.customer_profile(:edge)), 'winter', 'from the last Sunday of October: winter');
UPDATE iaros.booking SET departure_at = '2024-10-26 10:00+00' WHERE customer_id = :edge;
SELECT is((SELECT season_top FROM iaros.customer_profile(:edge)), 'summer', 'the day before: summer');
UPDATE iaros.booking SET status = 'cancelled' WHERE customer_id = :edge;
SELECT results_eq(format('SELECT booking_count, spend_total, cancelled_count, refunded_count FROM iaros.customer_profile(%s)', :edge), 'VALUES (0, 0.0000, 1, 0)', 'a cancellation counts as one');
UPDATE iaros.booking SET status = 'refunded' WHERE customer_id = :edge;
SELECT results_eq(format('SELECT cancelled_count, refunded_count FROM iaros.customer_profile(%s)', :edge), 'VALUES (0, 1)', 'a refund too');
UPDATE iaros.booking SET status = 'held' WHERE customer_id = :edge;
SELECT results_eq(format('SELECT booking_count, cancelled_count, refunded_count FROM iaros.customer_profile(%s)', :edge), 'VALUES (0, 0, 0)', 'what is held counts as nothing');
DELETE FROM iaros.booking WHERE customer_id = :edge;

-- Consents: the last word for a channel or for all.
SELECT iaros.consent_record(:edge, 'sms', 'marketing', true, 'test') AS c \gset
SELECT ok(sms_opt_in AND NOT email_opt_in, 'consent for one channel') FROM iaros.customer_profile(:edge);
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at) VALUES (:edge, 'all', 'marketing', false, 'test', now() + interval '1 second');
SELECT ok(sms_opt_in, 'what will be said is not said') FROM iaros.customer_profile(:edge);
SELECT ok(NOT sms_opt_in, 'withdrawn for all') FROM iaros.customer_profile(:edge, now() + interval '1 second');

-- Sessions: 30 minutes without a visit end one.
INSERT INTO iaros.event (customer_id, kind, occurred_at, source)
SELECT :edge, k.kind, '2025-05-01 10:00+00'::timestamptz + k.m * interval '1 minute', 'web'
FROM (VALUES ('page_view', 0), ('search', 29), ('email_open', 40), ('page_view', 58), ('app_open', 88)) AS k(kind, m);
SELECT is((SELECT session_30d FROM iaros.customer_profile(:edge, '2025-05-02')), 2, 'gaps of 29 are none, one of 30 is');
SELECT is((SELECT session_30d FROM iaros.customer_profile(:edge, '2025-05-31 10:00+00')), 1, 'a session leaves by its beginning');

-- What was written by one statement with its lines, and by two.
SELECT iaros.customer_create() AS liner \gset
WITH b AS (INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, amount, currency)
           VALUES (:liner, 88001, 'demo', 'L1', '2025-01-01', 10, 'USD'))
INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency) VALUES (:liner, 88001, 1, 'seat', 1, 'USD'), (:liner, 88001, 2, 'bag', 1, 'USD');
SELECT results_eq(format('SELECT booking_count, ancillary_count, seat_count, bag_count FROM iaros.customer_profile(%s)', :liner), 'VALUES (1, 2, 1, 1)', 'a booking and its lines in one statement');
INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, amount, currency) VALUES (:liner, 88001, 3, 'upgrade', 1, 'USD'), (:liner, 88001, 4, 'bundle', 1, 'USD');
UPDATE iaros.booking_item SET kind = 'meal' WHERE customer_id = :liner AND line_no = 1;
DELETE FROM iaros.booking_item WHERE customer_id = :liner AND line_no = 2;
SELECT results_eq(format('SELECT ancillary_count, seat_count, bag_count, meal_count, upgrade_count, bundle_count FROM iaros.customer_profile(%s)', :liner), 'VALUES (2, 0, 0, 1, 1, 1)', 'lines that come, change and go');

-- Flags, with the clock.
INSERT INTO iaros.customer_trait (customer_id, trait) VALUES (:liner, 'app_user'), (:liner, 'referral_participant');
SELECT ok(app_user AND referral_participant AND NOT corporate, 'traits that come') FROM iaros.customer_profile(:liner);
UPDATE iaros.customer_trait SET trait = 'corporate_account' WHERE customer_id = :liner AND trait = 'app_user';
DELETE FROM iaros.customer_trait WHERE customer_id = :liner AND trait = 'referral_participant';
SELECT ok(corporate AND NOT app_user AND NOT referral_participant, 'change and go') FROM iaros.customer_profile(:liner);
SELECT iaros.loyalty_enrol(:liner, tier => 'gold', enrolled_on => current_date - 10) AS number \gset
UPDATE iaros.loyalty_account SET cancelled_on = current_date + 5 WHERE customer_id = :liner;
SELECT is((SELECT tier FROM iaros.customer_profile(:liner)), 'gold', 'a member now');
SELECT is((SELECT tier FROM iaros.customer_profile(:liner, now() + interval '5 days')), NULL, 'who will have left');
SELECT ok(NOT is_member, 'and had not joined') FROM iaros.customer_profile(:liner, now() - interval '11 days');
UPDATE iaros.loyalty_account SET enrolled_on = '2020-01-01', cancelled_on = '2021-01-01' WHERE customer_id = :liner;
SELECT results_eq(format('SELECT d, (SELECT tier FROM iaros.profile_at(d) WHERE customer_id = %1$s), (SELECT tier FROM iaros.customer_profile(%1$s, d)) FROM unnest(ARRAY[''2019-12-31 23:59Z'', ''2020-01-01Z'', ''2020-12-31Z'', ''2021-01-01Z'', now()]) AS d', :liner),
    $$VALUES ('2019-12-31 23:59Z'::timestamptz, NULL, NULL), ('2020-01-01Z', 'gold', 'gold'), ('2020-12-31Z', 'gold', 'gold'), ('2021-01-01Z', NULL, NULL), (now(), NULL, NULL)$$, 'a membership of long ago');

-- A customer who goes.
DELETE FROM iaros.booking WHERE customer_id = :liner;
SELECT iaros.customer_create() AS gone \gset
SELECT iaros.event_record(:gone, 'app_open', now()) AS e \gset
DELETE FROM iaros.customer WHERE customer_id = :gone;
SELECT is_empty(format('SELECT FROM iaros.profile_stored WHERE customer_id = %s', :gone), 'the profile goes with the customer');

-- doctor().
SELECT is_empty('SELECT * FROM iaros.profile_doctor()', 'nothing to say');
DELETE FROM iaros.profile_stored WHERE customer_id = :edge;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE iaros.booking DISABLE TRIGGER profile_booking_insert;
SELECT bag_eq('SELECT finding FROM iaros.profile_doctor()', $$VALUES ('1 customers have no profile'), ('trigger profile_booking_insert on booking is missing or disabled')$$, 'doctor() sees what is lost');
ALTER TABLE iaros.booking ENABLE TRIGGER profile_booking_insert;
SELECT is(iaros.profile_apply(ARRAY[:edge]::bigint[]), 1::bigint, 'profile_apply() makes it again');

-- Due: what the clock changes is stored anew by the job.
SELECT iaros.customer_create() AS due \gset
SELECT iaros.booking_record(:due, 10, 'USD', now() - interval '40 days') AS b \gset
SELECT is((SELECT due_at FROM iaros.profile_stored WHERE customer_id = :due), now() + interval '50 days', 'due when the booking leaves 90 days');
SELECT is((SELECT booking_count_90d FROM iaros.customer_profile(:due, now() + interval '50 days')), 0, 'and then it is out');
SELECT iaros.event_record(:due, 'search', now() - interval '3 days', '{"origin": "JFK", "destination": "LHR"}') AS e \gset
SELECT is((SELECT due_at FROM iaros.profile_stored WHERE customer_id = :due), now() + interval '4 days', 'a search is due when it leaves 7 days');
SELECT iaros.booking_record(:due, 10, 'USD', now() - interval '1 days', departure_at => now() + interval '1 day') AS b \gset
SELECT is((SELECT due_at FROM iaros.profile_stored WHERE customer_id = :due), now() + interval '1 day', 'a departure when it leaves');
SELECT iaros.event_record(:due, 'app_open', now() + interval '1 hour') AS e \gset
SELECT is((SELECT due_at FROM iaros.profile_stored WHERE customer_id = :due), now() + interval '1 hour', 'what is to come when it comes');
SELECT ok(NOT app_user, 'and not before') FROM iaros.customer_profile(:due);
SELECT ok(app_user, 'but then') FROM iaros.customer_profile(:due, now() + interval '1 hour');
DELETE FROM iaros.booking WHERE customer_id = :due;
UPDATE iaros.profile_stored SET as_of = now() - interval '1 hour', due_at = now() - interval '1 minute', search_7d = 99 WHERE customer_id = :edge;
SELECT is((SELECT search_7d FROM iaros.profile WHERE customer_id = :edge), 0, 'what is due is not taken from what is stored');
SELECT cmp_ok(iaros.profile_refresh(), '>=', 1::bigint, 'the job finds it');
SELECT is((SELECT search_7d FROM iaros.profile_stored WHERE customer_id = :edge), 0, 'and stores it anew');

-- Only as a trigger, only with the right.
CREATE TEMP TABLE other (a integer);
CREATE TRIGGER other AFTER INSERT ON other EXECUTE FUNCTION iaros.profile_booking_new();
SELECT throws_ok('INSERT INTO other VALUES (1)', '39P01', NULL, 'the trigger function is for one table');
SET LOCAL ROLE pg_monitor;
SELECT throws_ok($$SELECT iaros.profile_keep_put('{1}', NULL, NULL)$$, '42501', NULL, 'no right, no change');
RESET ROLE;

-- The largest amounts and the longest times.
SELECT iaros.customer_create() AS big \gset
SELECT iaros.booking_record(:big, 999999999999, 'USD', '1900-01-02', departure_at => '2199-12-30', party_size => 999) AS b,
    iaros.booking_record(:big, 999999999999, 'USD', '2025-06-01', departure_at => '2199-12-30', party_size => 999) AS c,
    iaros.booking_record(:big, 999999999999, 'USD', '2025-06-02', departure_at => '2199-12-30', party_size => 999) AS d \gset
SELECT lives_ok($$SELECT * FROM iaros.profile_at('2026-01-01')$$, 'sums of the largest amounts stop nobody''s profile');
SELECT results_eq(format('SELECT spend_total, spend_12m, lead_days_avg > 60000, party_size_avg FROM iaros.customer_profile(%s, ''2026-01-01'')', :big),
    'VALUES (2999999999997.0000, 1999999999998.0000, true, 999.00)', 'and are exact');
DELETE FROM iaros.booking WHERE customer_id = :big;

-- Refresh and apply give the same rows, for a random crowd.
INSERT INTO iaros.customer (customer_id) SELECT 500000 + i FROM generate_series(1, 300) AS i;
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, status, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency)
SELECT 500001 + iaros.chance_int(i, 7, 1, 300), 'demo', i::text, '2024-01-01'::timestamptz + iaros.chance_int(i, 7, 2, 730) * interval '1 day',
    (enum_range(NULL::iaros.booking_status))[1 + iaros.chance_int(i, 7, 3, 7)], (ARRAY['JFK', 'LHR', 'FRA'])[1 + iaros.chance_int(i, 7, 4, 3)],
    (ARRAY['LAX', 'CDG', 'SIN'])[1 + iaros.chance_int(i, 7, 5, 3)], (enum_range(NULL::iaros.cabin))[1 + iaros.chance_int(i, 7, 6, 4)],
    (ARRAY['web', 'mobile', 'agent'])[1 + iaros.chance_int(i, 7, 7, 3)], 1 + iaros.chance_int(i, 7, 8, 5),
    '2024-01-01'::timestamptz + iaros.chance_int(i, 7, 9, 800) * interval '1 day', iaros.chance_int(i, 7, 10, 100000) / 100.0, 'USD'
FROM generate_series(1, 3000) AS i;
INSERT INTO iaros.event (customer_id, kind, occurred_at, source)
SELECT 500001 + iaros.chance_int(i, 8, 1, 300), (ARRAY['email_open', 'email_click', 'cart_abandoned', 'complaint', 'app_open', 'referral'])[1 + iaros.chance_int(i, 8, 2, 6)],
    '2025-06-01'::timestamptz + iaros.chance_int(i, 8, 3, 300) * interval '1 day', 'demo'
FROM generate_series(1, 1000) AS i;
SELECT count(iaros.customer_recognise(500000 + i * 3, 500000 + i)) AS aliases FROM generate_series(1, 100) AS i WHERE i % 3 <> 0 \gset
SELECT is_empty('SELECT * FROM iaros.profile_check()', 'profiles of a crowd are those of its rows');
SELECT results_eq($$SELECT count(*), sum(booking_count), sum(spend_total) FROM iaros.profile_at('2026-01-01') WHERE customer_id > 500000$$,
    $$SELECT count(DISTINCT coalesce(a.master_id, b.customer_id)) + (SELECT count(*) FROM iaros.customer c WHERE c.customer_id > 500000
              AND NOT EXISTS (SELECT FROM iaros.customer_alias x WHERE x.customer_id = c.customer_id)
              AND NOT EXISTS (SELECT FROM iaros.booking y LEFT JOIN iaros.customer_alias z ON z.customer_id = y.customer_id
                  WHERE coalesce(z.master_id, y.customer_id) = c.customer_id AND iaros.booking_counts(y.status) AND y.booked_at <= '2026-01-01')),
          count(*), sum(b.amount_base)
      FROM iaros.booking b LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
      WHERE b.customer_id > 500000 AND iaros.booking_counts(b.status) AND b.booked_at <= '2026-01-01'$$,
    'no booking is lost or counted twice');
SELECT * FROM finish();
ROLLBACK;
