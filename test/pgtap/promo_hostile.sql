-- promo: what deletions, recognition, rates, time zones and odd calls do to
-- limits and refunds.
BEGIN;
SELECT plan(53);
SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages TO warning;
INSERT INTO iaros.customer (customer_id, kind, source) SELECT 980000 + i, 'known', 'manual' FROM generate_series(1, 30) AS i;
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', (now() AT TIME ZONE 'UTC')::date, 1.1) ON CONFLICT (currency, day) DO UPDATE SET rate = excluded.rate;
CREATE FUNCTION pg_temp.cart(customer bigint, price numeric DEFAULT 100, currency text DEFAULT 'USD', quantity integer DEFAULT 1) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customer', 980000 + customer, 'currency', currency, 'lines', jsonb_build_array(jsonb_build_object('id', 1, 'price', price, 'quantity', quantity))) $$;
CREATE FUNCTION pg_temp.make(code text, limits jsonb DEFAULT '[]', applied text DEFAULT 'code') RETURNS bigint LANGUAGE sql AS $$
    SELECT iaros.promo_create(code, 'Hostile', jsonb_build_object('discount', '{"kind": "percentage", "value": 10}'::jsonb, 'limits', limits, 'applied', applied)) $$;
CREATE FUNCTION pg_temp.redeem(customer bigint, code text, key text) RETURNS boolean LANGUAGE sql AS $$
    SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(customer), ARRAY[code], key) $$;

-- Customers who go away ---------------------------------------------------

SELECT pg_temp.make('HELD', '[{"scope": "total", "maximum": 1}]') \g /dev/null
SELECT ok(reserved, 'the last use is held') FROM iaros.promo_reserve(pg_temp.cart(1), '{HELD}', 'k');
DELETE FROM iaros.customer WHERE customer_id = 980001;
SELECT ok(pg_temp.redeem(2, 'HELD', 'k'), 'a reservation of somebody who was deleted counts no more');
SELECT is((SELECT count(*) FROM iaros.promo_past t WHERE t.promo_id = iaros.promo_find('HELD')), 0::bigint, 'and is no use of the past');
SELECT pg_temp.make('OWN', applied => 'coupon') \g /dev/null
SELECT iaros.promo_code_for('OWN', 980003, 'OWN{{customer.id}}'), iaros.promo_issue('OWN', '{"prefix": "ANY", "length": 6}', 2, seed => 1) \g /dev/null
CREATE TEMP TABLE paper AS SELECT code::text, row_number() OVER (ORDER BY code) AS n FROM iaros.promo_coupon WHERE customer_id IS NULL AND promo_id = iaros.promo_find('OWN');
SELECT ok(pg_temp.redeem(3, 'OWN980003', 'k'), 'a coupon of a person');
SELECT ok(pg_temp.redeem(4, code, 'k' || n), 'a coupon for anybody ' || n) FROM paper ORDER BY n;
DELETE FROM iaros.promo_coupon WHERE code::text = (SELECT code FROM paper WHERE n = 2);
DELETE FROM iaros.customer WHERE customer_id IN (980003, 980004);
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree when coupons are gone before their users, and with them');
SELECT is((SELECT array_agg(code ORDER BY code) FROM iaros.promo_counter WHERE promo_limit_id IN (SELECT l.promo_limit_id FROM iaros.promo_limit l WHERE l.promo_id = iaros.promo_find('OWN'))),
    (SELECT array_agg(iaros.promo_code_normal(code::iaros.promo_code)) FROM paper WHERE n = 1), 'the code of a person is in no counter');
SELECT ok(NOT pg_temp.redeem(5, (SELECT code FROM paper WHERE n = 1), 'k'), 'the coupon that is left was used once');

-- Several ids of a person -------------------------------------------------

SELECT pg_temp.make('FREELY'), pg_temp.make('ONEEACH', '[{"scope": "customer", "maximum": 1}]') \g /dev/null
SELECT ok(redeemed, 'a purchase of 100') FROM iaros.promo_redeem(pg_temp.cart(6, 100), '{FREELY}', 'basket');
SELECT ok(redeemed, 'a purchase of 70 of another id under the same key') FROM iaros.promo_redeem(pg_temp.cart(7, 70), '{FREELY}', 'basket');
SELECT ok(reserved, 'a visitor reserves') FROM iaros.promo_reserve(pg_temp.cart(8), '{ONEEACH}', 'visit');
SELECT iaros.customer_recognise(980006, 980007), iaros.customer_recognise(980008, 980009) \g /dev/null
SELECT is(refund, 63.00, 'the purchase of the id that is named') FROM iaros.promo_rollback(980007, 'basket');
SELECT is(refund, 90.00, 'and that of the other') FROM iaros.promo_rollback(980006, 'basket');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(7, 70), '{FREELY}', 'basket')$$, '55000', NULL, 'neither is had again');
SELECT ok(redeemed, 'who was recognised redeems what the visitor reserved') FROM iaros.promo_redeem(pg_temp.cart(9), '{ONEEACH}', 'visit');
SELECT is((SELECT array_agg(state::text) FROM iaros.promo_redemption WHERE customer_id IN (980008, 980009)), '{redeemed}', 'once');
SELECT ok(NOT pg_temp.redeem(8, 'ONEEACH', 'more') AND NOT pg_temp.redeem(9, 'ONEEACH', 'more'), 'and no more');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(9, 50), '{ONEEACH}', 'visit')$$, '22023', NULL, 'another cart under the key is another purchase');
SELECT is((SELECT count(*) FROM iaros.promo_redeem(pg_temp.cart(10), NULL, 'none') a, iaros.promo_redeem(pg_temp.cart(10), '{}', 'none') b
           WHERE a.redemption_id IS NOT DISTINCT FROM b.redemption_id), 1::bigint, 'no codes are no codes');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree');

-- Rates that change after the purchase ------------------------------------

SELECT pg_temp.make('BUDGET', '[{"scope": "total", "measure": "discount", "maximum": 100}, {"scope": "total", "measure": "revenue", "maximum": 10000}]') \g /dev/null
SELECT ok(redeemed, 'a purchase in another currency') FROM iaros.promo_redeem(pg_temp.cart(13, 100, 'EUR', 2), '{BUDGET}', 'k');
UPDATE iaros.fx_rate SET rate = 2.5 WHERE currency = 'EUR';
SELECT is(refund, 90.00, 'half of it comes back') FROM iaros.promo_rollback(980013, 'k', '[{"id": 1, "quantity": 1.0}]');
SELECT results_eq($$SELECT discount_base, amount_base FROM iaros.promo_use WHERE customer_id = 980013$$, $$VALUES (11.0000, 110.0000)$$, 'at the rate of then');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree');
DELETE FROM iaros.fx_rate WHERE currency = 'EUR';
SELECT is(refund, 90.00, 'the rest comes back without a rate') FROM iaros.promo_rollback(980013, 'k');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree then, too');

-- Days that become others -------------------------------------------------

SELECT pg_temp.make('DAILY', '[{"scope": "total", "period": "day", "maximum": 1}, {"scope": "customer", "period": "day", "maximum": 1}]') \g /dev/null
SELECT iaros.setting_set('brand_time_zone', 'UTC') \g /dev/null
SELECT ok(pg_temp.redeem(14, 'DAILY', 'k'), 'one a day');
-- One of them is in another day than UTC, always.
SELECT iaros.setting_set('brand_time_zone', 'Pacific/Kiritimati') \g /dev/null
SELECT ok(NOT pg_temp.redeem(14, 'DAILY', 'k2'), 'the purchase is of today in every time zone, to the east');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree');
SELECT iaros.setting_set('brand_time_zone', 'Etc/GMT+12') \g /dev/null
SELECT ok(NOT pg_temp.redeem(15, 'DAILY', 'k2'), 'and to the west');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree');
UPDATE iaros.promo_counter SET period_start = period_start - 1 WHERE value > 0 AND promo_limit_id IN (SELECT promo_limit_id FROM iaros.promo_limit WHERE period = 'day');
SELECT is((SELECT count(*) FROM iaros.promo_limit_check()), 1::bigint, 'a use that is counted on another day is noticed');
UPDATE iaros.promo_limit SET maximum = maximum WHERE period = 'day';

-- Calls past the front door -----------------------------------------------

SELECT throws_ok(format('SELECT iaros.promo_commit(pg_temp.cart(16), ''{FREELY}'', ''k'', %L, false, now())', hold), '22023', NULL, 'the gate does not hold for ' || hold)
FROM unnest('{100 years,-1 day,0}'::interval[]) AS hold;
SELECT throws_ok($$SELECT iaros.promo_redeem('[]', '{FREELY}', 'k')$$, '22023', 'a cart is an object, not array', 'a cart that is a list');
SELECT ok(redeemed, 'a text that is too long for a code') FROM iaros.promo_redeem(pg_temp.cart(17), ARRAY['FREELY', repeat('x', 100000)], 'k', partial => true);
SELECT is((SELECT max(length(c)) FROM iaros.promo_redemption r, unnest(r.codes) AS c WHERE r.customer_id = 980017), 64, 'is not kept in full');

-- Values that are no numbers, names that cannot be read.
SELECT throws_ok(format('INSERT INTO iaros.promo_limit (promo_id, scope, measure, maximum) SELECT iaros.promo_find(''FREELY''), ''total'', %L, ''NaN''', measure), '23514', NULL, 'no limit of NaN ' || measure)
FROM unnest('{uses,discount}'::text[]) AS measure;
SELECT throws_ok($$INSERT INTO iaros.fx_rate VALUES ('CHF', '2026-01-01', 'NaN')$$, '23514', NULL, 'no rate of NaN');
SELECT throws_ok($$INSERT INTO iaros.promo_zone VALUES (repeat('z', 1001), 'JFK')$$, '23514', NULL, 'no zone that a cart cannot hold');
SELECT throws_ok($$INSERT INTO iaros.promo_category VALUES (repeat('z', 1001))$$, '23514', NULL, 'no such category');
SELECT iaros.setting_set('promo_total_cap_percentage', '-5') \g /dev/null
SELECT is(discount, 0.00, 'a cap below zero') FROM iaros.promo_validate(pg_temp.cart(18), '{FREELY}');
SELECT iaros.setting_set('promo_total_cap_percentage', '1e300') \g /dev/null
SELECT is(discount, 10.00, 'and one above all') FROM iaros.promo_validate(pg_temp.cart(18), '{FREELY}');

-- A coupon that cannot be used beside one that can.
SELECT pg_temp.make('PAPER', '[{"scope": "code", "maximum": 1}]', 'coupon') \g /dev/null
INSERT INTO iaros.promo_coupon (code, promo_id, valid) SELECT v.code::iaros.promo_code, iaros.promo_find('PAPER'), v.valid
FROM (VALUES ('OLDPAPER', tstzrange(NULL, '2020-01-01')), ('NEWPAPER', NULL)) AS v(code, valid);
SELECT results_eq(format($$SELECT discount, answers #> '{0,applied}', answers #>> '{0,reasons,0,reason}', answers #> '{1,applied}' FROM iaros.promo_validate(pg_temp.cart(19), %L)$$, codes), expected, 'coupons ' || codes::text)
FROM (VALUES ('{OLDPAPER,NEWPAPER}'::text[], $$VALUES (10.00, 'false'::jsonb, 'expired', 'true'::jsonb)$$),
             ('{NEWPAPER,OLDPAPER}', $$VALUES (10.00, 'true'::jsonb, NULL::text, 'false'::jsonb)$$)) AS v(codes, expected);
SELECT ok(redeemed, 'it is redeemed') FROM iaros.promo_redeem(pg_temp.cart(19), '{OLDPAPER,NEWPAPER}', 'k', partial => true);
SELECT is((SELECT code::text FROM iaros.promo_use WHERE customer_id = 980019), 'NEWPAPER', 'by the one that can be used');
SELECT ok(NOT redeemed, 'once') FROM iaros.promo_redeem(pg_temp.cart(20), '{OLDPAPER,NEWPAPER}', 'k', partial => true);

-- All customers at once.
TRUNCATE iaros.customer CASCADE;
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'counters agree when all customers are gone');
INSERT INTO iaros.customer (customer_id) VALUES (980099);
SELECT ok(NOT pg_temp.redeem(99, 'HELD', 'k'), 'and what they used is used');
SELECT * FROM finish();
ROLLBACK;
