-- recommend: one computation for one and for many, eligibility, order.
BEGIN;
SELECT plan(37);
INSERT INTO iaros.customer (customer_id, kind, source, country)
SELECT i, 'known', 'manual', 'US' FROM generate_series(900001, 900200) AS i;
SELECT count(iaros.booking_record(c, 50 + iaros.chance_int(c, 7, k, 3000), 'USD',
    timestamptz '2026-07-01Z' - make_interval(days => 1 + iaros.chance_int(c, 8, k, 500)), 'JFK', 'LHR',
    (enum_range(NULL::iaros.cabin))[1 + iaros.chance_int(c, 9, k, 4)], departure_at => '2026-07-01Z',
    party_size => 1 + iaros.chance_int(c, 10, 0, 5),
    items => CASE WHEN iaros.chance(c, 11, k) < 0.3 THEN '[{"kind": "legroom", "amount": 5}, {"kind": "upgrade", "amount": 9}]' ELSE '[]' END::jsonb))
FROM generate_series(900001, 900180) AS c CROSS JOIN generate_series(1, 12) AS k
WHERE iaros.chance(c, 12, 0) * 12 >= k;
SELECT iaros.customer_recognise(900199, 900001);
SELECT iaros.event_record(900002, 'cart_abandoned', '2026-06-30Z');
SELECT iaros.consent_record(c, 'email', 'marketing', true, 'web', recorded_at => '2026-06-01Z') FROM generate_series(900001, 900050) AS c;
SELECT iaros.rfm_refresh('2026-07-01Z');
SELECT iaros.segment_refresh('2026-07-01Z');

SELECT set_eq(
    $$SELECT customer_id, offer_id, code, name, score, reasons
      FROM iaros.recommend_offers('SELECT generate_series(900000, 900201)', 4, '2026-07-01Z')$$,
    $$SELECT c, o.* FROM generate_series(900000::bigint, 900201) AS c
      CROSS JOIN LATERAL (SELECT offer_id, code, name, score, reasons FROM iaros.next_best_offer(c, 4, '2026-07-01Z')) o$$,
    'the set form gives what the single form gives');
SELECT set_eq(
    $$SELECT customer_id, offer_id, score FROM iaros.recommend_offers('SELECT generate_series(900000, 900201)', 8, '2026-07-01Z', 'email')$$,
    $$SELECT c, o.offer_id, o.score FROM generate_series(900000::bigint, 900201) AS c
      CROSS JOIN LATERAL iaros.next_best_offer(c, 8, '2026-07-01Z', 'email') o$$,
    'also over a channel');
SELECT set_eq(
    $$SELECT customer_id, offer_id, score, reasons, code FROM iaros.recommend_offers('SELECT generate_series(900000, 900201)', 8, '2026-07-01Z')$$,
    $$SELECT c, o.offer_id, e.score, e.reasons, e.code FROM generate_series(900000::bigint, 900201) AS c
      CROSS JOIN LATERAL iaros.recommend_explain(c, '2026-07-01Z') e JOIN iaros.offer o ON o.code = e.code WHERE e.eligible$$,
    'and recommend_explain agrees');
SELECT is((SELECT count(*) FROM generate_series(900001, 900200) AS c CROSS JOIN LATERAL iaros.recommend_explain(c, '2026-07-01Z')),
    200 * (SELECT count(*) FROM iaros.offer), 'recommend_explain names every offer');
SELECT is_empty($$SELECT * FROM iaros.recommend_offers('SELECT generate_series(900001, 900200)', 8, '2026-07-01Z') WHERE reasons = '{}'$$,
    'every recommendation has a reason');
SELECT is_empty($$SELECT c FROM generate_series(900001, 900200) AS c CROSS JOIN LATERAL iaros.recommend_explain(c, '2026-07-01Z') e
    WHERE NOT e.eligible AND e.reasons = '{}'$$, 'every refusal too');
SELECT is_empty($$SELECT * FROM iaros.recommend_offers('SELECT generate_series(900001, 900200)', 8, '2026-07-01Z') WHERE score NOT BETWEEN 0 AND 1$$,
    'with weight 1 a score is between 0 and 1');
SELECT is_empty(
    $$SELECT r.customer_id FROM iaros.recommend_offers('SELECT generate_series(900001, 900200)', 8, '2026-07-01Z') r
      JOIN iaros.offer o USING (offer_id)
      LEFT JOIN iaros.customer_alias a ON a.customer_id = r.customer_id
      JOIN iaros.profile_at('2026-07-01Z') p ON p.customer_id = coalesce(a.master_id, r.customer_id)
      WHERE p.spend_12m < o.min_customer_value
         OR (o.members_only AND NOT p.is_member)
         OR (o.target_segment IS NOT NULL AND o.target_segment NOT IN (SELECT s.name FROM iaros.customer_segments(r.customer_id, '2026-07-01Z') s))$$,
    'no offer goes to a customer whom its conditions leave out');
SELECT set_eq($$SELECT offer_id, score, reasons FROM iaros.next_best_offer(900199, 8, '2026-07-01Z')$$,
    $$SELECT offer_id, score, reasons FROM iaros.next_best_offer(900001, 8, '2026-07-01Z')$$, 'an alias gets the offers of its master');
SELECT is((SELECT code FROM iaros.next_best_offer(900002, 8, '2026-07-01Z') WHERE 'segment Abandoned Cart' = ANY (reasons)), 'CART_SAVER',
    'who left a cart gets the offer for it');
SELECT set_eq($$SELECT DISTINCT customer_id FROM iaros.recommend_offers('SELECT generate_series(900001, 900100)', 8, '2026-07-01Z', 'email')$$,
    $$SELECT generate_series(900001::bigint, 900050) UNION SELECT customer_id FROM iaros.consent_filter('SELECT generate_series(900051, 900100)', 'marketing', 'email') WHERE allowed$$,
    'over a channel only those are left whom marketing may contact');

-- Weight and settings move the order.
UPDATE iaros.offer SET weight = 10 WHERE code = 'EXTRA_LEGROOM';
SELECT is((SELECT score FROM iaros.next_best_offer(900003, 8, '2026-07-01Z') WHERE code = 'EXTRA_LEGROOM') / 10,
    (SELECT round(avg(l.score), 5) FROM (SELECT (SELECT round(10 * 0.3 * count(DISTINCT b.booking_id) FILTER (WHERE i.kind = 'legroom') / (count(DISTINCT b.booking_id) + 1), 4) / 10
        FROM iaros.booking b LEFT JOIN iaros.booking_item i USING (customer_id, booking_id)
        WHERE b.customer_id = 900003 AND b.booked_at > timestamptz '2025-07-01Z' AND b.booked_at <= '2026-07-01Z') AS score) l),
    'affinity is the share of the bookings of 12 months, times its weights');
SELECT iaros.setting_set('recommend_weight_segment', '0'), iaros.setting_set('recommend_weight_stage', '0'), iaros.setting_set('recommend_weight_value', '0');
SELECT is_empty($$SELECT customer_id FROM iaros.recommend_offers('SELECT generate_series(900181, 900190)', 8, '2026-07-01Z') WHERE score <> 0$$,
    'without weight for conditions, who never booked scores 0 everywhere');
SELECT is((SELECT array_agg(DISTINCT code) FROM iaros.recommend_offers('SELECT generate_series(900181, 900190)', 1, '2026-07-01Z')), '{WELCOME_DISCOUNT}',
    'equal scores: the older offer first');

-- An event: all that is kept about the person, in one call.
INSERT INTO iaros.customer (customer_id, kind, source, country)
SELECT i, 'known', 'manual', 'US' FROM generate_series(900301, 900303) AS i;
SELECT iaros.customer_recognise(900303, 900301);
SELECT iaros.booking_record(900301, 400, 'USD', now() - i * interval '10 days', 'JFK', 'LHR', 'economy') FROM generate_series(1, 2) AS i;
SELECT iaros.setting_set(name, NULL) FROM iaros.setting WHERE name ~ '^recommend_weight_';
CREATE TEMP TABLE told AS SELECT * FROM iaros.event_apply(900301, 'cart_abandoned', external_id => 'cart-1');
CREATE VIEW pg_temp.kept AS
    SELECT 'segment' AS what, i.id::text AS which FROM iaros.segment_membership m CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
    WHERE m.customer_id IN (900301, 900303)
    UNION ALL SELECT l.scheme, l.stage || ' ' || l.entered_at FROM iaros.customer_lifecycle_stage l WHERE l.customer_id = 900301
    UNION ALL SELECT v.scheme, v.value_segment || v.value_score FROM iaros.customer_value_segment v WHERE v.customer_id = 900301
    UNION ALL SELECT 'events', count(*)::text FROM iaros.event e WHERE e.customer_id IN (900301, 900303)
    UNION ALL SELECT 'moves', count(*)::text FROM iaros.segment_event e WHERE e.customer_id IN (900301, 900303);
CREATE TEMP TABLE kept_1 AS SELECT * FROM pg_temp.kept;
SELECT is((SELECT kind FROM iaros.event e WHERE e.customer_id = 900301 AND e.event_id = (SELECT event_id FROM told)), 'cart_abandoned',
    'event_apply records the event');
SELECT is((SELECT cart_abandoned_7d FROM iaros.customer_profile(900301)), 1, 'the profile has it');
SELECT is((SELECT entered FROM told), ARRAY['Repeat Customers', 'Price-Sensitive', 'International Travelers', 'Transcontinental Travelers', 'New Customers', 'Active Customers', 'No Ancillary Buyers', 'Abandoned Cart'], 'the segments entered are named');
SELECT is((SELECT left_segments FROM told), '{}', 'and none left');
SELECT is((SELECT stage FROM told), (SELECT iaros.lifecycle_stage(900301)), 'the stage is the one that is computed');
SELECT is((SELECT value_segment FROM told), (SELECT value_segment FROM iaros.customer_value(900301)), 'so is the value segment');
SELECT is((SELECT offer FROM told), (SELECT code FROM iaros.next_best_offer(900301, 1)), 'the offer is the next best one');
SELECT is((SELECT offer FROM told), 'CART_SAVER', 'which is the one for the cart');
SELECT cmp_ok((SELECT took FROM told), '<', interval '1 s', 'it takes less than a second');
SELECT is((SELECT (e.event_id, e.entered, e.offer) FROM iaros.event_apply(900301, 'cart_abandoned', external_id => 'cart-1') e),
    (SELECT (event_id, '{}'::text[], offer) FROM told), 'the same event again gives what holds now');
SELECT bag_eq('SELECT * FROM pg_temp.kept', 'SELECT * FROM kept_1', 'and changes nothing');
SELECT iaros.lifecycle_refresh(clock_timestamp()), iaros.value_refresh(clock_timestamp()), iaros.segment_refresh();
SELECT bag_eq('SELECT * FROM pg_temp.kept', 'SELECT * FROM kept_1', 'refreshes of all find nothing to change');
SELECT results_eq($$SELECT e.entered, e.stage FROM iaros.event_apply(900303, 'cart_abandoned') e$$, $$SELECT '{}'::text[], stage FROM told$$,
    'an event of an alias is one of its master');
SELECT is((SELECT cart_abandoned_7d FROM iaros.customer_profile(900301)), 2, 'whose profile has both');
DELETE FROM iaros.event WHERE customer_id IN (900301, 900303);
SELECT is((SELECT left_segments FROM iaros.event_apply(900301, 'login')), ARRAY['Abandoned Cart'], 'segments left are named');
SELECT is(current_setting('lock_timeout'), '0', 'lock_timeout is as before');
SELECT iaros.setting_set('profile_timeout', '1 microsecond');
-- throws_ok() lets a query_canceled pass.
CREATE FUNCTION pg_temp.cancelled() RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    PERFORM iaros.event_apply(900302, 'login');
    RETURN 'done';
EXCEPTION WHEN query_canceled THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN hint;
END $$;
SELECT matches(pg_temp.cancelled(), 'profile_timeout', 'an event that takes too long is refused, with a hint');
SELECT is_empty('SELECT FROM iaros.event WHERE customer_id = 900302', 'and leaves nothing behind');
SELECT iaros.setting_set('profile_timeout', '0'), iaros.setting_set('clm_enabled', 'false'), iaros.setting_set('cvm_enabled', 'false');
INSERT INTO iaros.customer (customer_id) VALUES (900304);
SELECT is((SELECT (e.stage, e.value_segment)::text FROM iaros.event_apply(900304, 'login') e), '(,)',
    'without limit it goes on; stages and values that are switched off are not kept');
SELECT throws_ok($$SELECT iaros.event_apply(900302, 'no such kind')$$, '23503', NULL, 'what event_record() refuses is refused');

-- The source is read in the caller's path and with the caller's rights.
CREATE TEMP TABLE audience AS SELECT 900003::bigint AS customer_id, 'x' AS other;
SELECT cmp_ok((SELECT count(*) FROM iaros.recommend_offers('audience')), '>', 0::bigint, 'a relation is found in the path of the caller');
CREATE ROLE iaros_test_read;
SELECT iaros.access_grant('iaros_test_read', 'read');
SET ROLE iaros_test_read;
SELECT lives_ok($$SELECT * FROM iaros.next_best_offer(900003, 3, '2026-07-01Z', 'email'), iaros.recommend_explain(900003)$$, 'a role that reads gets recommendations');
SELECT throws_ok($$SELECT * FROM iaros.recommend_offers('SELECT 1 FROM audience')$$, '42501', NULL, 'the source runs with the rights of the caller');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
