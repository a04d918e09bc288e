-- promo: what a purchase gets, each reason with its text, each error.
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_ROLLBACK on
\set SHOW_CONTEXT never
SET search_path TO iaros, public;
BEGIN;
SELECT code, name, applied, discount, discount_text, currency, valid, limits, uses, offer_code, is_active FROM promo_list() ORDER BY promo_id;

-- Discounts in words.
SELECT d, promo_discount_text(d::jsonb, 'EUR'), promo_discount_text(d::jsonb)
FROM (VALUES
    ('{"kind": "percentage", "value": 7.50}'), ('{"kind": "fixed_amount", "value": 20}'), ('{"kind": "fixed_price", "value": 99}'),
    ('{"kind": "per_unit", "value": 2.5}'), ('{"kind": "free"}'), ('{"kind": "free", "units": 2}'), ('{"kind": "cheapest"}'),
    ('{"kind": "dearest", "percentage": 50, "units": 2}'), ('{"kind": "buy_x_get_y", "buy": 2, "get": 1}'),
    ('{"kind": "buy_x_get_y", "buy": 2, "get": 1, "percentage": 50}'), ('{"kind": "points", "points": 5, "per": 10}'),
    ('{"kind": "points", "points": 500}'), ('{"kind": "tiered", "bands": [{"from": 100, "percentage": 5}]}'), ('{"kind": "gift"}'), ('{}')) AS t(d);
SELECT promo_discount_text(NULL) IS NULL, promo_reason_text(NULL) IS NULL, promo_reason_text('{"reason": "moon"}'), promo_reason_text('{}') IS NULL;
SELECT promo_discount_text('{"kind": "fixed_amount", "value": 20}', 'XXQ');
SELECT r, promo_reason_text(r::jsonb)
FROM (VALUES
    ('{"reason": "limit"}'), ('{"reason": "limit", "scope": "total", "measure": "uses", "period": "day", "maximum": 1, "used": 0}'),
    ('{"reason": "limit", "scope": "code", "measure": "uses", "period": "ever", "maximum": 3, "used": 3}'),
    ('{"reason": "limit", "scope": "booking", "measure": "discount", "period": "ever", "maximum": 50, "used": 45.5}'),
    ('{"reason": "limit", "scope": "customer", "measure": "revenue", "period": "month", "maximum": 1000, "used": 900}'),
    ('{"reason": "party", "party": {"min": 2}}'), ('{"reason": "party", "party": {"max": 2}}'), ('{"reason": "party", "party": {"min": 2, "max": 2}}'),
    ('{"reason": "travel", "travel": {"from": "2026-07-01"}}'), ('{"reason": "travel", "travel": {"to": "2026-07-01"}}'),
    ('{"reason": "min_purchase", "missing": 12.00}'), ('{"reason": "min_quantity", "missing": 1}'), ('{"reason": "units", "missing": 2}'),
    ('{"reason": "route", "routes": ["JFK-LHR", "leg *>US"]}'), ('{"reason": "fare_class", "fare_classes": ["Y"]}')) AS t(r);

-- Customers, segments, tiers, promotions.
INSERT INTO customer (customer_id, kind, source) VALUES (900001, 'known', 'manual'), (900002, 'known', 'manual'), (900003, 'anonymous', 'manual');
INSERT INTO fx_rate (currency, day, rate) VALUES ('EUR', '2020-01-01', 1.10), ('JPY', '2020-01-01', 0.01), ('KWD', '2020-01-01', 3);
SELECT setting_set('fx_max_age_days', '99999') \g /dev/null
INSERT INTO loyalty_account (programme, member_no, customer_id, tier, enrolled_on) VALUES ('frequent_flyer', 'P1', 900001, 'gold', '2020-01-01');
INSERT INTO segment_membership (customer_id, segment_ids) SELECT 900001, ARRAY[segment_id] FROM segment WHERE name = 'Champions';
INSERT INTO promo_zone VALUES ('Coasts', 'JFK'), ('Coasts', 'LAX');
INSERT INTO promo_category VALUES ('SALE', 1, 'exclusive', 2);
SELECT promo_create('summer20', 'Summer', '{"discount": {"kind": "percentage", "value": 20, "cap": 60}, "currency": "EUR", "min_purchase": 100,
    "valid": {"from": "2026-06-01", "to": "2026-09-01"}, "limits": [{"scope": "total", "maximum": 2}, {"scope": "customer", "maximum": 1}],
    "offer": "welcome_discount", "description": "From June to August"}') > 0;
SELECT promo_create(code, code, ('{"discount": {"kind": "percentage", "value": 10}}'::jsonb || d::jsonb)) > 0 FROM (VALUES
    ('WEEKEND', '{"booking_weekdays": [6, 7], "weekdays": [1, 2]}'),
    ('WEB', '{"channels": ["web", "mobile"]}'),
    ('DOLLAR', '{"currencies": ["USD", "JPY"]}'),
    ('CHAMPS', '{"segments": ["Champions"], "tiers": ["gold"]}'),
    ('ATRISK', '{"segments": ["New Customers"], "tiers": ["platinum"]}'),
    ('NOCHAMPS', '{"except_segments": ["Champions"]}'),
    ('FAMILY', '{"party": {"min": 3, "max": 6}}'),
    ('PAIRS', '{"party": {"max": 1}}'),
    ('FIRST', '{"first_booking": true}'),
    ('COAST', '{"routes": ["Coasts>LHR", "Spain<>North America"]}'),
    ('NOCOAST', '{"except_routes": ["Coasts<>GB"]}'),
    ('YCLASS', '{"fare_classes": ["Y", "B"], "cabins": ["business"]}'),
    ('NOYCLASS', '{"except_fare_classes": ["Y"]}'),
    ('NOECO', '{"except_cabins": ["economy"]}'),
    ('AUTUMN', '{"travel": {"from": "2026-09-01", "to": "2026-12-01"}}'),
    ('NOJULY', '{"blackout": [{"from": "2026-07-01", "to": "2026-08-01"}, {"from": "2026-12-20", "to": "2027-01-07"}]}'),
    ('BAGS', '{"applies_to": {"kind": "ancillary"}}'),
    ('FIVE', '{"min_quantity": 5}'),
    ('BUY3', '{"discount": {"kind": "buy_x_get_y", "buy": 3, "get": 1}}'),
    ('BANDS', '{"discount": {"kind": "tiered", "bands": [{"from": 500, "percentage": 5}, {"from": 1000, "percentage": 9}]}, "currency": "EUR"}'),
    ('SMALL', '{"discount": {"kind": "tiered", "by": "quantity", "bands": [{"from": 1, "to": 2, "percentage": 5}]}}'),
    ('ALONE', '{"stackable": false}'),
    ('SALE1', '{"categories": ["SALE"]}'), ('SALE2', '{"categories": ["SALE"]}'), ('SALE3', '{"categories": ["SALE"]}'),
    ('COUPON', '{"applied": "coupon", "discount": {"kind": "percentage", "value": 30}}'),
    ('SEATS', '{"products": ["seat"], "except_products": ["bag"]}'),
    ('OFF', '{}'), ('WAS', '{"valid": {"to": "2026-06-01T12:00:00Z"}}'), ('SOON', '{"valid": {"from": "2026-08-01T00:00:00+02:00"}}'),
    ('YEN', '{"discount": {"kind": "fixed_amount", "value": 500}, "currency": "JPY"}'), ('DINAR', '{"discount": {"kind": "percentage", "value": 7.5}}')) AS t(code, d);
UPDATE promo SET is_active = false WHERE code = 'OFF';
-- Windows without ends: of travel, any day; blacked out, each.
SELECT promo_create(c, c, '{"discount": {"kind": "percentage", "value": 10}}'::jsonb || d::jsonb) > 0 FROM (VALUES ('ANYDAY', '{"travel": {}}'), ('NODAY', '{"blackout": [{}]}')) AS t(c, d);
SELECT c, v.discount, v.result #> '{promotions,0,lines}'
FROM unnest('{ANYDAY,NODAY}'::text[]) AS c
CROSS JOIN LATERAL promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 10, "attributes": {"departure": "2026-07-04"}}, {"id": 2, "price": 20}]}', ARRAY[c]) AS v;
INSERT INTO promo_coupon (code, promo_id, customer_id, valid, is_active)
SELECT t.code::promo_code, p.promo_id, t.customer_id, t.valid::tstzrange, t.is_active
FROM promo p, (VALUES ('FREE1', NULL, NULL, true), ('MINE1', 900001, NULL, true), ('YOURS', 900002, NULL, true), ('GONE1', NULL, NULL, false),
    ('LATE1', NULL, '(,2026-06-01Z)', true), ('EARLY', NULL, '[2026-08-01Z,)', true), ('WORST', 900002, '(,2026-06-01Z)', false)) AS t(code, customer_id, valid, is_active)
WHERE p.code = 'COUPON';
SELECT definition - '{id}'::text[], route_keys FROM promo WHERE code IN ('SUMMER20', 'COAST', 'NOJULY', 'FAMILY', 'SALE1') ORDER BY promo_id;

-- Answers: every reason, and what it says.
\set cart '{"customer": 900001, "currency": "EUR", "channel": "call_center", "party": 2, "lines": [{"id": 1, "price": 120.00, "quantity": 2, "product": "fare", "attributes": {"route": "JFK-LHR", "departure": "2026-07-04", "fare_class": "Y", "cabin": "economy"}}]}'
SELECT c, v.valid, v.discount, a ->> 'applied', r - 'text', r ->> 'text'
FROM unnest('{summer20,WEEKEND,WEB,DOLLAR,CHAMPS,ATRISK,NOCHAMPS,FAMILY,PAIRS,FIRST,COAST,NOCOAST,YCLASS,NOYCLASS,NOECO,AUTUMN,NOJULY,BAGS,FIVE,BUY3,BANDS,SMALL,COUPON,FREE1,MINE1,YOURS,GONE1,LATE1,EARLY,WORST,SEATS,OFF,WAS,SOON,YEN,NO_SUCH,"no code!",""}'::text[]) WITH ORDINALITY AS u(c, n)
CROSS JOIN LATERAL promo_validate(:'cart', ARRAY[c], '2026-07-02 12:00Z') AS v
CROSS JOIN LATERAL jsonb_array_elements(v.answers) AS a
LEFT JOIN LATERAL jsonb_array_elements(a -> 'reasons') AS r ON true ORDER BY n;
-- All at once; nobody in particular; the bounds of a window.
SELECT v.* FROM promo_validate(:'cart'::jsonb || '{"currency": "USD", "lines": [{"id": 1, "price": 50}]}', '{SUMMER20}', '2026-09-01Z') AS v;
SELECT c, v.valid, v.answers #> '{0,reasons}' FROM unnest('{CHAMPS,NOCHAMPS,FIRST,MINE1}'::text[]) AS c CROSS JOIN LATERAL promo_validate(:'cart'::jsonb - 'customer', ARRAY[c], '2026-07-02 12:00Z') AS v;
SELECT t, v.valid FROM unnest('{2026-05-31 23:59:59.999999Z,2026-06-01Z,2026-08-31 23:59:59.999999Z,2026-09-01Z}'::text[]) AS t CROSS JOIN LATERAL promo_validate(:'cart', '{SUMMER20}', t::timestamptz) AS v;
-- What a cart says of its customer does not count.
SELECT v.valid FROM promo_validate(:'cart'::jsonb || '{"segments": ["New Customers"], "tiers": ["platinum"], "first_booking": false, "at": "2020-01-01T00:00:00Z", "places": {}}', '{FIRST,CHAMPS,COAST}', '2026-07-02Z') AS v;
SELECT promo_cart(:'cart'::jsonb || '{"at": 1, "segments": 2, "tiers": 3, "first_booking": 4, "places": 5}', '2026-07-02 12:00Z');
SELECT promo_cart(NULL) IS NULL, promo_facts(NULL, '{}', now()) IS NULL, promo_customer(NULL) IS NULL, promo_customer('{}') IS NULL;
-- Several codes: how they combine, and why not.
SELECT v.* FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{DINAR,alone," F R E E 1 ",FREE1,NULL,dinar}', '2026-07-02Z') AS v;
SELECT v.answers FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{SALE1,SALE2,SALE3,DINAR}', '2026-07-02Z') AS v;
SELECT setting_set('promo_max_promotions', '1') \g /dev/null
SELECT v.answers FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{SALE1,SALE2}', '2026-07-02Z') AS v;
SELECT setting_set('promo_max_promotions', '10'), setting_set('promo_total_cap_percentage', '5') \g /dev/null
SELECT v.discount, v.answers FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{DINAR,BANDS,FREE1}', '2026-07-02Z') AS v;
SELECT setting_set('promo_total_cap_percentage', '100'), setting_set('promo_candidates', '2') \g /dev/null
SELECT v.discount, v.answers FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{DINAR,WEEKEND,FREE1,SALE1,SALE2}', '2026-07-02Z') AS v;
SELECT setting_set('promo_candidates', '20') \g /dev/null
SELECT v.* FROM promo_validate('{"currency": "EUR", "lines": []}', '{DINAR}', '2026-07-02Z') AS v;
SELECT v.* FROM promo_validate('{"currency": "EUR", "lines": []}', '{}', '2026-07-02Z') AS v;
SELECT v.discount, v.to_pay FROM promo_validate('{"currency": "JPY", "lines": [{"id": 1, "price": 400}]}', '{YEN}', '2026-07-02Z') AS v;
SELECT v.discount, v.to_pay FROM promo_validate('{"currency": "KWD", "lines": [{"id": 1, "price": 10.333}]}', '{DINAR}', '2026-07-02Z') AS v;

-- What a cart could get.
SELECT q.code, q.applied, q.qualifies, q.discount, q.missing, jsonb_path_query_array(q.reasons, '$[*].reason')
FROM promo_qualify(:'cart', '2026-07-02 12:00Z') AS q WHERE q.promo_id > 3;
SELECT count(*) FROM promo_qualify(:'cart', '2026-07-02 12:00Z', 2);
SELECT count(*) FROM promo_qualify(NULL);

-- Redemption, once for each key, of now.
UPDATE promo SET valid = '(,)' WHERE code = 'SUMMER20';
\set cart '{"customer": 900001, "currency": "EUR", "lines": [{"id": "1", "price": 250.55}]}'
SELECT redeemed, redemption_id > 0, discount, to_pay, answers -> 0 -> 'applied', result FROM promo_redeem(:'cart', '{summer20}', 'booking-1');
SELECT redeemed, redemption_id > 0, discount, to_pay, answers -> 0 -> 'applied', result FROM promo_redeem(:'cart', '{summer20}', 'booking-1', as_of => '2026-10-01Z');
SELECT redeemed, redemption_id, discount, to_pay, answers #> '{0,reasons}' FROM promo_redeem(:'cart', '{summer20}', 'booking-2');
SELECT redeemed, discount, answers -> 0 -> 'applied' FROM promo_redeem(:'cart'::jsonb || '{"customer": 900002}', '{SUMMER20}', 'booking-1');
SELECT redeemed, discount, answers #> '{0,reasons}' FROM promo_redeem(:'cart'::jsonb || '{"customer": 900003}', '{SUMMER20}', 'booking-1');
SELECT redeemed, discount, jsonb_path_query_array(answers, '$[*].applied') FROM promo_redeem(:'cart', '{SUMMER20,DINAR}', 'booking-3');
SELECT redeemed, discount, jsonb_path_query_array(answers, '$[*].applied') FROM promo_redeem(:'cart', '{SUMMER20,DINAR}', 'booking-3', partial => true);
SELECT redeemed, redemption_id, discount, to_pay, answers FROM promo_redeem(:'cart', '{}', 'booking-4');
SELECT redeemed, redemption_id, discount, to_pay, answers FROM promo_redeem(:'cart', NULL, 'booking-4', true);
SELECT reserved, reserved_until = now() + interval '15 minutes', discount FROM promo_reserve(:'cart', '{DINAR}', 'booking-5');
SELECT reserved, reserved_until IS NULL, discount, answers #> '{0,reasons,0,text}' FROM promo_reserve(:'cart', '{NO_SUCH}', 'booking-6');
SELECT code, currency, redemptions, reserved, customers, revenue, discount, average_discount, revenue_base, discount_base, points, uses_left FROM promo_usage();
SELECT code, uses FROM promo_list(false) WHERE uses > 0 ORDER BY 1;
SELECT action, object_key, detail - '{redemption_id}'::text[] FROM audit_log WHERE customer_id BETWEEN 900001 AND 900003 AND action LIKE 'promo.%' ORDER BY audit_id;
SELECT refund, discount, to_pay, state, result FROM promo_rollback(900001, 'booking-1', reason => 'not flown');
SELECT promo_release(900001, 'booking-5'), promo_release(900001, 'booking-5'), promo_release(900001, 'no-such-key'), promo_release(NULL, NULL);

-- Refused as errors.
\set VERBOSITY default
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": -1}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 12.345}]}');
SELECT promo_validate('{"currency": "JPY", "lines": [{"id": 1, "price": 1.5}]}');
SELECT promo_validate('{"currency": "KWD", "lines": [{"id": 1, "price": 1.0005}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 1e12}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": "NaN"}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 5, "quantity": -2}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 5, "cost": -2}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 5}, {"id": 2, "price": 5, "currency": "USD"}]}');
SELECT promo_validate('{"currency": "XXQ", "lines": []}');
SELECT promo_validate('{"lines": []}');
SELECT promo_validate('{"currency": "EUR"}');
SELECT promo_validate('{"currency": "EUR", "lines": {}}');
SELECT promo_validate('{"currency": "EUR", "lines": 7}');
SELECT promo_validate('{"currency": "EUR", "lines": [7]}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 5}, {"id": "1", "price": 5}]}');
SELECT promo_validate('{"currency": "EUR", "lines": [], "colour": "red"}');
SELECT promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 5, "attributes": {"route": "jfk-lhr"}}]}');
SELECT promo_validate('[]');
SELECT promo_validate('7');
SELECT promo_validate('null');
SELECT promo_validate(NULL);
SELECT promo_validate('{"customer": 999999, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"customer": "Ada", "currency": "EUR", "lines": []}');
SELECT promo_validate('{"customer": 1.5, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"customer": 1e300, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"customer": {"id": 1}, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"booking": "X", "currency": "EUR", "lines": []}');
SELECT promo_validate('{"booking": 1e300, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"party": 0, "currency": "EUR", "lines": []}');
SELECT promo_validate('{"currency": "EUR", "lines": []}', array_fill('X'::text, '{101}'));
SELECT promo_validate('{"currency": "EUR", "lines": []}', '{X}', 'infinity');
SELECT promo_validate('{"currency": "EUR", "lines": []}', '{X}', '1800-01-01Z');
SELECT promo_qualify('{"currency": "EUR", "lines": [{"id": 1, "price": -1}]}');
SELECT promo_qualify('{"customer": 999999, "currency": "EUR", "lines": []}');
SELECT promo_redeem(:'cart', '{DINAR}', 'booking-3');
SELECT promo_redeem(:'cart', '{SUMMER20,DINAR}', 'booking-1');
SELECT promo_redeem(:'cart', '{summer20}', 'booking-1');
SELECT promo_redeem(:'cart', '{DINAR}', NULL);
SELECT promo_redeem(:'cart', '{DINAR}', '');
SELECT promo_redeem(:'cart'::jsonb - 'customer', '{DINAR}', 'booking-8');
SELECT promo_redeem(NULL, '{DINAR}', 'booking-8');
SELECT promo_redeem(:'cart', '{DINAR}', 'booking-8', as_of => '2020-01-01Z');
SELECT promo_redeem(:'cart', '{DINAR}', 'booking-8', as_of => '-infinity');
SELECT promo_redeem(:'cart', '{DINAR}', 'booking-8', as_of => 'infinity');
\set VERBOSITY sqlstate
SELECT promo_redeem(:'cart'::jsonb || '{"currency": "CHF"}', '{DINAR}', 'booking-8');
\set VERBOSITY default
SELECT promo_reserve(:'cart', '{DINAR}', 'booking-8', '0');
SELECT promo_reserve(:'cart', '{DINAR}', 'booking-8', '-1 day');
SELECT promo_reserve(:'cart', '{DINAR}', 'booking-8', '31 days');
SELECT promo_rollback(900001, 'no-such-key');
SELECT promo_rollback(NULL, NULL);
SELECT promo_rollback(900001, 'booking-3', '[{"id": "2"}]');
SELECT promo_rollback(900001, 'booking-3', '[{"id": "1", "quantity": 2}]');
SELECT promo_rollback(900001, 'booking-3', '[{"id": "1", "quantity": 0.5}]');
SELECT promo_rollback(900001, 'booking-3', '[{"id": "1"}, {"id": 1}]');
SELECT promo_rollback(900001, 'booking-3', '["1"]');
SELECT promo_rollback(900001, 'booking-3', '{}');
SELECT promo_rollback(900001, 'booking-1', '[{"id": "1"}]');
SELECT promo_release(900001, 'booking-3');
UPDATE promo_redemption SET codes = '{}';
UPDATE promo_redemption SET amount = amount + 1;
UPDATE promo_redemption SET state = 'reserved' WHERE state = 'returned';
UPDATE promo_return SET refund = 0;
SELECT promo_find('NO-SUCH');
SELECT promo_find(NULL);
SELECT promo_find('no code!');
SELECT promo_usage('NO-SUCH');
SELECT promo_usage_by('colour');
SELECT promo_usage_by(NULL);
SELECT promo_usage_by('route', 'NO-SUCH');
-- Definitions that are none.
SELECT promo_create('P1', 'P', NULL);
SELECT promo_create('P1', 'P', '[]');
SELECT promo_create('P1', 'P', '{}');
SELECT promo_create('P1', 'P', '{"id": 5, "discount": {"kind": "free"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "gift"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "percentage", "value": 100.5}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "percentage", "value": 0}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "fixed_amount", "value": -5}, "currency": "EUR"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "fixed_amount", "value": 5}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "percentage", "value": 5, "cap": 10}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "percentage", "value": 5}, "min_purchase": 10}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "tiered", "bands": [{"from": 10, "percentage": 5}]}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "tiered", "by": "quantity", "bands": [{"from": 2, "amount": 5}]}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "points", "points": 5, "per": 1}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "tiered", "bands": [{"from": 10, "to": 30, "percentage": 5}, {"from": 20, "percentage": 7}]}, "currency": "EUR"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "fixed_amount", "value": 10.005}, "currency": "EUR"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "fixed_amount", "value": 10.5}, "currency": "JPY"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "fixed_amount", "value": 10}, "currency": "XXQ"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "colour": "red"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "channels": ["moon"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "channels": []}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "channels": "web"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "currencies": ["XXQ"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "segments": ["No such"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "except_segments": ["No such"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "tiers": ["tin"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "cabins": ["cellar"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "routes": ["JFK-ATLANTIS"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "except_routes": ["jfk-LHR"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "routes": ["JFK"]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "valid": {"from": "2026-02-01", "to": "2026-01-01"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "valid": {"from": "2026-02-30"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "travel": {"from": "2026-02-01", "to": "2026-02-01"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "weekdays": [8]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "party": {"min": 5, "max": 2}}');
\set VERBOSITY terse
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "applied": "sometimes"}');
\set VERBOSITY default
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "priority": 1.5}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "offer": "xyzzy"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": {"scope": "total"}}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "planet", "maximum": 1}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"maximum": 1}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total"}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": 0}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": 1.5}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": -5}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": 1}, {"scope": "total", "maximum": 2}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": 1, "perod": "day"}]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "products": []}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "products": "a"}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "products": [""]}');
SELECT promo_create('P1', 'P', '{"discount": {"kind": "free"}, "products": ["a"], "except_products": ["a"]}');
SELECT promo_create('summer-20', 'P', '{"discount": {"kind": "free"}}');
SELECT promo_create('free1', 'P', '{"discount": {"kind": "free"}}');
SELECT promo_create('no code!', 'P', '{"discount": {"kind": "free"}}');
\set VERBOSITY terse
SELECT promo_create(NULL, 'P', '{"discount": {"kind": "free"}}');
SELECT promo_create('P1', '', '{"discount": {"kind": "free"}}');
SELECT promo_create('P1', NULL, '{"discount": {"kind": "free"}}');
\set VERBOSITY default
SELECT promo_create(repeat('X', 1000000), 'P', '{"discount": {"kind": "free"}}');
INSERT INTO promo_zone VALUES ('A-B', 'JFK');
SELECT promo_issue('COUPON', '{"length": 8}');
SELECT promo_issue('COUPON', '{"length": 8}', 5, '{900001}');
SELECT promo_issue('NO-SUCH', '{"length": 8}', 5);
SELECT promo_issue('COUPON', '{"pattern": "##"}', 200);
SELECT promo_code_for('COUPON', 999999, 'BDAY{{customer.id}}');
SELECT promo_code_for('COUPON', NULL, 'BDAY{{customer.id}}');
SELECT promo_code_for('COUPON', 900001, 'BDAY{{customer.colour}}');
SELECT promo_code_for('COUPON', 900001, 'YOURS');
SELECT promo_code_for('COUPON', 900001, 'SUMMER20');
SELECT promo_price_lowest('JFK-LHR', 'EUR', days => 0);
SELECT promo_price_lowest('JFK-LHR', 'EUR', days => NULL);
SELECT promo_price_lowest('JFK-LHR', 'XXQ');
SELECT promo_price_record('JFK-LHR', 1.001, 'EUR');
\set VERBOSITY terse
SELECT promo_price_record('JFK-LHR', 1, 'XXQ');
SELECT promo_price_record('JFK-LHR', -1, 'EUR');
SELECT promo_price_record(NULL, 1, 'EUR');
SELECT promo_price_record('', 1, 'EUR');
SELECT promo_price_record('JFK-LHR', 1, 'EUR', at => '1800-01-01Z');
SELECT promo_code_for('COUPON', 900001, 'DAY{{customer.id}}', 0);
SELECT promo_code_for('COUPON', 900001, 'DAY{{customer.id}}', -1);
-- Nothing of all that was written.
SELECT count(*) FROM promo WHERE code::text LIKE 'P1%' OR code IS NULL;
SELECT count(*) FROM promo_redemption WHERE idempotency_key IN ('booking-2', 'booking-4', 'booking-8');

-- Allow lists in a circle are allowed: all three know each other, or two.
SELECT promo_create(c, c, jsonb_build_object('discount', '{"kind": "percentage", "value": 10}'::jsonb, 'combine_with', w)) > 0
FROM (VALUES ('RING1', '["RING2"]'::jsonb), ('RING2', '["RING3"]'), ('RING3', '["RING1"]'), ('LOOP1', '["LOOP2"]'), ('LOOP2', '["LOOP1"]'), ('SELF1', '["SELF1"]')) AS t(c, w);
SELECT discount, jsonb_path_query_array(answers, '$[*].applied') FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{RING1,RING2,RING3}');
SELECT discount, jsonb_path_query_array(answers, '$[*].applied') FROM promo_validate('{"currency": "EUR", "lines": [{"id": 1, "price": 100}]}', '{LOOP1,LOOP2,SELF1}');
-- Long carts, long codes, long texts.
\set VERBOSITY terse
SELECT discount, to_pay, jsonb_array_length(result -> 'lines') FROM promo_validate(jsonb_build_object('currency', 'EUR', 'lines',
    (SELECT jsonb_agg(jsonb_build_object('id', i, 'price', 10)) FROM generate_series(1, 10000) AS i)), '{DINAR}');
SELECT promo_validate(jsonb_build_object('currency', 'EUR', 'lines', (SELECT jsonb_agg(jsonb_build_object('id', i, 'price', 10)) FROM generate_series(1, 10001) AS i)), '{DINAR}');
SELECT redeemed, discount FROM promo_redeem(jsonb_build_object('customer', 900002, 'currency', 'USD', 'lines',
    (SELECT jsonb_agg(jsonb_build_object('id', i, 'price', 10)) FROM generate_series(1, 10000) AS i)), '{DINAR}', 'long');
SELECT left(answers #>> '{0,code}', 20), length(answers #>> '{0,code}'), answers #> '{0,reasons}' FROM promo_validate('{"currency": "EUR", "lines": []}', ARRAY[repeat('X', 1048576)]);
SELECT redeemed, answers #> '{0,reasons}' FROM promo_redeem(:'cart', ARRAY[repeat('-', 1048576) || 'DINAR'], 'long code');
SELECT promo_redeem(:'cart', '{DINAR}', repeat('x', 201));
SELECT promo_rollback(900001, 'booking-3', return_key => repeat('x', 201));
SELECT promo_redeem(:'cart'::jsonb || '{"booking": -1}', '{DINAR}', 'booking-9');
ROLLBACK;
