-- promo: limits, keys, persons, reservations, returns, coupons, usage, prices,
-- and who may do what.
BEGIN;
SELECT plan(205);
SET client_min_messages TO warning;
SET LOCAL timezone = 'UTC';
INSERT INTO iaros.customer (customer_id, kind, source)
SELECT i, 'known', 'manual' FROM generate_series(900001, 900099) AS i;

-- A cart of one line, or of lines.
CREATE FUNCTION pg_temp.cart(customer bigint, price numeric, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customer', customer, 'currency', 'USD', 'lines', jsonb_build_array(jsonb_build_object('id', 'a', 'price', price))) || more $$;
CREATE FUNCTION pg_temp.promo(code text, definition jsonb) RETURNS bigint LANGUAGE sql AS $$
    SELECT iaros.promo_create(code, code, '{"discount": {"kind": "percentage", "value": 10}}'::jsonb || definition) $$;
-- The reasons against the first code of a redemption, with their texts.
CREATE FUNCTION pg_temp.texts(answers jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(r ->> 'text', '; ') FROM jsonb_path_query(answers, '$[0].reasons[*]') AS r $$;
CREATE FUNCTION pg_temp.uses(promo text) RETURNS bigint LANGUAGE sql AS $$
    SELECT uses FROM iaros.promo_list(false) WHERE code = iaros.promo_code_normal(promo::iaros.promo_code) $$;

-- Each scope, measure and period: two purchases of 100 with 10 off fit, the
-- third does not; what is counted apart has room; a period later there is.
CREATE TEMP TABLE tried (scope text, measure text, period text, what text, redeemed boolean, reason jsonb);
DO $$
DECLARE
    l record;
    c bigint;
    b bigint[];
    n integer := 0;
    code text;
    base text;
    r record;
    step text;
    promo bigint;
    cart jsonb;
BEGIN
    FOR l IN
        SELECT s.scope, m.measure, p.period, m.maximum FROM unnest(enum_range(NULL::iaros.promo_limit_scope)) AS s(scope)
        CROSS JOIN (VALUES ('uses'::iaros.promo_limit_measure, 2), ('discount', 25), ('revenue', 299)) AS m(measure, maximum)
        CROSS JOIN unnest(enum_range(NULL::iaros.promo_period)) AS p(period)
    LOOP
        n := n + 1;
        base := 'EACH' || translate(to_char(n, 'FM00'), '0123456789', 'ACDEFHJKMN');
        c := 900020 + n % 10;
        b := ARRAY[iaros.booking_record(c, 90, 'USD'), iaros.booking_record(c, 90, 'USD')];
        promo := pg_temp.promo(base, jsonb_build_object('currency', 'USD', 'discount', '{"kind": "fixed_amount", "value": 10}'::jsonb,
            'limits', jsonb_build_array(jsonb_build_object('scope', l.scope, 'measure', l.measure, 'period', l.period, 'maximum', l.maximum))));
        INSERT INTO iaros.promo_coupon (code, promo_id) VALUES ((base || 'X')::iaros.promo_code, promo), ((base || 'Y')::iaros.promo_code, promo);
        FOREACH step IN ARRAY '{first,second,third,customer,booking,code,later}'::text[] LOOP
            code := base || CASE step WHEN 'code' THEN 'Y' ELSE 'X' END;
            IF step = 'later' THEN
                UPDATE iaros.promo_redemption t SET redeemed_at = now() - interval '400 days'
                WHERE t.codes && ARRAY[base || 'X', base || 'Y'];
                UPDATE iaros.promo_limit t SET maximum = maximum WHERE t.promo_id = promo;
            END IF;
            cart := pg_temp.cart(CASE step WHEN 'customer' THEN 900030 ELSE c END, 100,
                CASE step WHEN 'booking' THEN jsonb_build_object('booking', b[2]) WHEN 'customer' THEN '{}' ELSE jsonb_build_object('booking', b[1]) END);
            SELECT p.* INTO r FROM iaros.promo_redeem(cart, ARRAY[code], base || step) p;
            INSERT INTO tried VALUES (l.scope, l.measure, l.period, step, r.redeemed, r.answers #> '{0,reasons,0}');
        END LOOP;
    END LOOP;
END $$;
SELECT is((SELECT count(*) FROM tried), 420::bigint, 'all limits were tried');
SELECT is_empty($$SELECT * FROM tried WHERE what IN ('first', 'second') AND NOT redeemed$$, 'what fits into a limit is redeemed');
SELECT is_empty($$SELECT * FROM tried WHERE what = 'third' AND (redeemed OR reason - '{text,used}'::text[]
    <> jsonb_build_object('reason', 'limit', 'scope', scope, 'measure', measure, 'period', period, 'maximum', CASE measure WHEN 'uses' THEN 2 WHEN 'discount' THEN 25 ELSE 299 END)
    OR (reason -> 'used')::numeric <> CASE measure WHEN 'uses' THEN 2 WHEN 'discount' THEN 20 ELSE 200 END)$$, 'what does not is refused, with what was used');
SELECT is_empty($$SELECT * FROM tried WHERE what IN ('customer', 'booking', 'code')
    AND redeemed <> CASE scope WHEN 'total' THEN false WHEN 'booking' THEN what <> 'code' ELSE what = scope END$$,
    'the same limit of another customer, booking or code has room');
SELECT is_empty($$SELECT * FROM tried WHERE what = 'later' AND redeemed = (period = 'ever')$$, 'and so has each in its next period');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');

-- Periods begin where the calendar of the brand says.
SELECT results_eq($$SELECT p::text, iaros.promo_period_start(p, '2026-11-01 03:30Z', 'America/New_York') FROM unnest(enum_range(NULL::iaros.promo_period)) WITH ORDINALITY AS u(p, n) ORDER BY n$$,
    $$VALUES ('ever', '-infinity'::date), ('day', '2026-10-31'), ('week', '2026-10-26'), ('month', '2026-10-01'), ('year', '2026-01-01')$$, 'periods begin in the time zone');
SELECT is(iaros.promo_period_start('day', NULL, 'UTC'), NULL, 'no time has no period');
SELECT pg_temp.promo('DAILY', '{"limits": [{"scope": "customer", "period": "day", "maximum": 1}, {"scope": "total", "period": "day", "maximum": 1}]}') \g /dev/null
SELECT results_eq($$SELECT r.redeemed FROM (VALUES (1, interval '0'), (2, interval '0'), (3, interval '-1 day'), (4, interval '-1 day')) AS t(n, d)
    CROSS JOIN LATERAL iaros.promo_redeem(pg_temp.cart(900001, 10), '{DAILY}', 'day ' || n, as_of => now() + d) AS r ORDER BY n$$,
    'VALUES (true), (false), (true), (false)', 'a use counts on its day');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'on both of them');
UPDATE iaros.promo_redemption SET redeemed_at = redeemed_at - interval '6 days' WHERE 'DAILY' = ANY (codes);
UPDATE iaros.promo_counter c SET period_start = c.period_start - 6 FROM iaros.promo_limit l JOIN iaros.promo p USING (promo_id)
WHERE l.promo_limit_id = c.promo_limit_id AND p.code::text = 'DAILY';
UPDATE iaros.promo_customer_counter c SET period_start = c.period_start - 6 FROM iaros.promo_limit l JOIN iaros.promo p USING (promo_id)
WHERE l.promo_limit_id = c.promo_limit_id AND p.code::text = 'DAILY';
SELECT is(iaros.promo_run(), 4::bigint, 'counters of days that are over are pruned');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'and not missed');

-- Several limits: all hold; an amount beyond what each slot has left is found in all of them.
SELECT pg_temp.promo('BUDGET', '{"currency": "USD", "discount": {"kind": "fixed_amount", "value": 30}, "limits": [{"scope": "total", "measure": "discount", "maximum": 100}, {"scope": "total", "maximum": 50}]}') \g /dev/null
SELECT results_eq($$SELECT r.redeemed, pg_temp.texts(r.answers) FROM generate_series(1, 5) AS n CROSS JOIN LATERAL iaros.promo_redeem(pg_temp.cart(900001, 30 + n % 2 * 70), '{BUDGET}', 'budget ' || n) AS r$$,
    $$VALUES (true, NULL), (true, NULL), (true, NULL), (false, 'its budget of 100 of discount is used up to 90'), (false, 'its budget of 100 of discount is used up to 90')$$, 'a budget is used up to what fits');
SELECT is((SELECT r.discount FROM iaros.promo_redeem(pg_temp.cart(900001, 10), '{BUDGET}', 'budget 6') AS r), 10.00, 'by smaller ones to the cent');
SELECT is((SELECT pg_temp.texts(r.answers) FROM iaros.promo_redeem(pg_temp.cart(900001, 1), '{BUDGET}', 'budget 7') AS r), 'its budget of 100 of discount is used up to 100', 'and not beyond');
SELECT is((SELECT sum(c.value) = 100 AND sum(c.capacity) = 100 FROM iaros.promo_counter c JOIN iaros.promo_limit l USING (promo_limit_id) JOIN iaros.promo p USING (promo_id)
    WHERE p.code::text = 'BUDGET' AND l.measure = 'discount'), true, 'the capacities of the slots still sum to the limit');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');
SELECT is_empty($$SELECT a, n FROM unnest('{0,1,7,100,0.0001,33.3333}'::numeric[]) AS a CROSS JOIN generate_series(1, 20) AS n
    WHERE (SELECT sum(iaros.promo_share(a, s, n, 4)) FROM generate_series(0, n - 1) AS s) <> a
       OR (SELECT max(iaros.promo_share(a, s, n, 4)) - min(iaros.promo_share(a, s, n, 4)) FROM generate_series(0, n - 1) AS s) > 0.0001$$, 'shares sum to the amount and differ by one unit');
-- In another currency: the limit counts the base currency.
INSERT INTO iaros.fx_rate (currency, day, rate) SELECT 'EUR', (now() AT TIME ZONE 'UTC')::date, 2;
SELECT pg_temp.promo('RATE', '{"limits": [{"scope": "total", "measure": "revenue", "maximum": 199.99}]}') \g /dev/null
SELECT is((SELECT valid FROM iaros.promo_validate(pg_temp.cart(900001, 100), '{RATE}')), true, 'a budget of 199.99 has room for 100 dollars');
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_validate(pg_temp.cart(900001, 100, '{"currency": "EUR"}'), '{RATE}')), 'its budget of 199.99 of revenue is used up to 0', 'but not for 100 euros at 2');

-- Limits that are added, changed, or deleted.
SELECT pg_temp.promo('GROWS', '{}') \g /dev/null
SELECT iaros.promo_redeem(pg_temp.cart(900001, 10), '{GROWS}', 'g1'), iaros.promo_redeem(pg_temp.cart(900002, 10), '{GROWS}', 'g2') \g /dev/null
INSERT INTO iaros.promo_limit (promo_id, scope, maximum) SELECT promo_id, s::iaros.promo_limit_scope, m FROM iaros.promo, (VALUES ('total', 3), ('customer', 1)) AS l(s, m) WHERE code::text = 'GROWS';
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900001, 10), '{GROWS}', 'g3')), 'it can be used once by one customer, and was used once', 'a new limit counts earlier uses');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900003, 10), '{GROWS}', 'g4')), true, 'and leaves what is left');
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900004, 10), '{GROWS}', 'g5')), 'it can be used 3 times, and was used 3 times', 'and no more');
UPDATE iaros.promo_limit l SET maximum = 1 FROM iaros.promo p WHERE p.promo_id = l.promo_id AND p.code::text = 'GROWS' AND l.scope = 'total';
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900004, 10), '{GROWS}', 'g5')), 'it can be used once, and was used 3 times', 'one may be below what was used');
SELECT iaros.promo_rollback(900001, 'g1') \g /dev/null
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900004, 10), '{GROWS}', 'g5')), 'it can be used once, and was used 2 times', 'what is given back then is not to be had');
UPDATE iaros.promo_limit l SET maximum = 4 FROM iaros.promo p WHERE p.promo_id = l.promo_id AND p.code::text = 'GROWS' AND l.scope = 'total';
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900004, 10), '{GROWS}', 'g5')), true, 'a higher limit takes effect at once');
UPDATE iaros.promo_limit l SET period = 'day' FROM iaros.promo p WHERE p.promo_id = l.promo_id AND p.code::text = 'GROWS' AND l.scope = 'customer';
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 10), '{GROWS}', 'g6')), false, 'a limit that becomes one of a day counts today');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');
DELETE FROM iaros.promo_limit l USING iaros.promo p WHERE p.promo_id = l.promo_id AND p.code::text = 'GROWS';
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 10), '{GROWS}', 'g6')), true, 'without limits nothing is refused');

-- Keys.
SELECT pg_temp.promo('TEST5', '{"limits": [{"scope": "total", "maximum": 5}, {"scope": "customer", "maximum": 2}]}') \g /dev/null
SELECT is((SELECT discount FROM iaros.promo_redeem(pg_temp.cart(900001, 99.99), '{test5}', 'a')), 10.00, 'a redemption gives the discount');
SELECT is((SELECT count(*) FROM iaros.promo_redeem(pg_temp.cart(900001, 99.99), '{test5}', 'a') r
    JOIN iaros.promo_redemption d USING (redemption_id) WHERE r.redeemed AND d.customer_id = 900001), 1::bigint, 'the same key returns the same redemption');
SELECT is((SELECT count(*) FROM iaros.promo_redeem(pg_temp.cart(900001, 99.99, jsonb_build_object('booking', iaros.booking_record(900001, 90, 'USD'))), '{test5}', 'a') r WHERE r.redeemed), 1::bigint,
    'also when the booking is known by then');
SELECT is(pg_temp.uses('test5'), 1::bigint, 'and it is counted once');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(900001, 99.98), '{test5}', 'a')$$, '22023', NULL, 'not for another cart');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(900001, 99.99), '{test5,grows}', 'a')$$, '22023', NULL, 'nor other codes');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 99.98), '{test5}', 'a')), true, 'the key of one customer is not that of another');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900001, 10), '{TEST5}', 'b')), true, 'a second use within the limit');
SELECT is((SELECT count(*) FROM generate_series(900003, 900010) AS c
    CROSS JOIN LATERAL iaros.promo_redeem(pg_temp.cart(c, 10), '{TEST5}', 'a') r WHERE r.redeemed), 2::bigint, 'of eight more customers two get the uses that are left');
SELECT is((SELECT valid FROM iaros.promo_validate(pg_temp.cart(900015, 10), '{TEST5}')), false, 'promo_validate says so beforehand');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900001, 10), '{TEST5}', 'b')), true, 'a key of before still returns its redemption');
SELECT is_empty($$SELECT FROM iaros.promo_redemption WHERE idempotency_key = 'a' AND customer_id = 900010$$, 'nothing is written of what was refused');
-- A transaction that rolls back gives its use back.
SELECT pg_temp.promo('TEST1', '{"limits": [{"scope": "total", "maximum": 1}]}') \g /dev/null
SAVEPOINT a;
SELECT iaros.promo_redeem(pg_temp.cart(900001, 10), '{TEST1}', 'x1') \g /dev/null
ROLLBACK TO a;
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 10), '{TEST1}', 'x2')), true, 'a use that was rolled back is free again');
-- Several codes of which one is used up: all or, partial, the others.
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900003, 10), '{GROWS,TEST1}', 'x3')), false, 'nothing is redeemed unless all codes apply');
SELECT results_eq($$SELECT redeemed, discount, answers #>> '{0,applied}', answers #>> '{1,reasons,0,text}' FROM iaros.promo_redeem(pg_temp.cart(900003, 10), '{GROWS,TEST1}', 'x3', partial => true)$$,
    $$VALUES (true, 1.00, 'true', 'it can be used once, and was used once')$$, 'but partially');

-- Aliases are one person.
SELECT pg_temp.promo('ONCE1', '{"limits": [{"scope": "customer", "maximum": 1}]}') \g /dev/null
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900011, 10), '{ONCE1}', 'k')), true, 'a visitor redeems');
SELECT iaros.customer_recognise(900011, 900012) \g /dev/null
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900012, 10), '{ONCE1}', 'm')), 'it can be used once by one customer, and was used once', 'the customer that it was recognised as cannot again');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900011, 10), '{ONCE1}', 'n')), false, 'nor can the alias');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900011, 10), '{ONCE1}', 'k')), true, 'the key returns its redemption');
SELECT is((SELECT customers FROM iaros.promo_usage('ONCE1')), 1::bigint, 'the usage counts one customer');
SELECT results_eq($$SELECT refund, state FROM iaros.promo_rollback(900012, 'k')$$, $$VALUES (9.00, 'returned')$$, 'who returns it under the other id gets it back');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900012, 10), '{ONCE1}', 'm')), true, 'and can use it again');

-- A redemption is of now: a code of before is not redeemed under its date.
SELECT pg_temp.promo('EXPIRED1', jsonb_build_object('valid', jsonb_build_object('to', to_char(now() - interval '3 days', 'YYYY-MM-DD"T"HH24:MI:SSZ')))) \g /dev/null
SELECT is((SELECT valid FROM iaros.promo_validate(pg_temp.cart(900016, 10), '{EXPIRED1}', now() - interval '4 days')), true, 'a promotion that was valid');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(900016, 10), '{EXPIRED1}', 't', as_of => now() - interval '4 days')$$, '22023', NULL, 'is not redeemed with a time of then');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(900016, 10), '{GROWS}', 'u', as_of => now() + interval '6 minutes')$$, '22023', NULL, 'nor any with a time to come');
SELECT is((SELECT count(*) FROM unnest(ARRAY[interval '-23 hours', '4 minutes', NULL]) AS d
    CROSS JOIN LATERAL iaros.promo_redeem(pg_temp.cart(900016, 10), '{GROWS}', 't ' || coalesce(d::text, ''), as_of => now() + d) r WHERE r.redeemed),
    3::bigint, 'a day late, a clock ahead and no time are taken');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900016, 10), '{GROWS}', 't ', as_of => '2020-01-01')), true, 'a key of before returns its redemption at any time');

-- The booking is the customer's own.
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900013, 50, jsonb_build_object('booking', iaros.booking_record(900013, 45, 'USD'))), '{GROWS}', 'p')), true, 'a redemption names its booking');
SELECT throws_ok($$SELECT iaros.promo_redeem(pg_temp.cart(900014, 50, jsonb_build_object('booking', (SELECT booking_id FROM iaros.booking WHERE customer_id = 900013))), '{GROWS}', 'p')$$,
    '23503', NULL, 'not the booking of another');
SELECT is((SELECT iaros.promo_cart(pg_temp.cart(900013, 50)) ->> 'first_booking'), 'false', 'who has a booking has had the first');
SELECT is((SELECT iaros.promo_cart(pg_temp.cart(900013, 50, jsonb_build_object('booking', booking_id))) ->> 'first_booking' FROM iaros.booking WHERE customer_id = 900013), 'true', 'unless it is the one in question');
SELECT is((SELECT iaros.promo_cart(pg_temp.cart(900013, 50), now() - interval '1 hour') ->> 'first_booking'), 'true', 'or was made later');

-- Reserve, redeem, release.
SELECT pg_temp.promo('HOLD2', '{"limits": [{"scope": "total", "maximum": 2}, {"scope": "booking", "maximum": 1}]}') \g /dev/null
SELECT results_eq($$SELECT reserved, reserved_until = now() + interval '10 minutes', discount, to_pay FROM iaros.promo_reserve(pg_temp.cart(900001, 100), '{HOLD2}', 'h1', '10 minutes')$$,
    'VALUES (true, true, 10.00, 90.00)', 'a use is reserved');
SELECT is((SELECT reserved_until FROM iaros.promo_reserve(pg_temp.cart(900001, 100), '{HOLD2}', 'h1', '20 minutes')), now() + interval '10 minutes', 'once for its key');
SELECT is((SELECT reserved FROM iaros.promo_reserve(pg_temp.cart(900002, 100), '{HOLD2}', 'h2')), true, 'and another');
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900003, 100), '{HOLD2}', 'h3')), 'it can be used 2 times, and was used 2 times', 'they count for the limit');
SELECT results_eq($$SELECT redemptions, reserved FROM iaros.promo_usage('HOLD2')$$, 'VALUES (0::bigint, 2::bigint)', 'the usage knows them apart');
UPDATE iaros.promo SET discount = '{"kind": "percentage", "value": 50}', is_active = false WHERE code::text = 'HOLD2';
SELECT iaros.booking_record(900001, 90, 'USD') AS booking \gset
SELECT results_eq(format($$SELECT redeemed, discount, to_pay, answers FROM iaros.promo_redeem(pg_temp.cart(900001, 100, '{"booking": %s}'), '{HOLD2}', 'h1')$$, :booking),
    $$SELECT true, 10.00, 90.00, jsonb_build_array(jsonb_build_object('code', 'HOLD2', 'applied', true, 'promotion', promo_id)) FROM iaros.promo WHERE code::text = 'HOLD2'$$,
    'what is reserved is redeemed at its price, though the promotion has changed');
UPDATE iaros.promo SET is_active = true WHERE code::text = 'HOLD2';
SELECT results_eq($$SELECT state::text, booking_id, reserved_until FROM iaros.promo_redemption WHERE customer_id = 900001 AND idempotency_key = 'h1'$$,
    format('VALUES (''redeemed'', %s::bigint, now() + interval ''10 minutes'')', :booking), 'with its booking');
SELECT results_eq(format($$SELECT reserved, reserved_until, discount FROM iaros.promo_reserve(pg_temp.cart(900001, 100, '{"booking": %s}'), '{HOLD2}', 'h1')$$, :booking),
    'VALUES (true, NULL::timestamptz, 10.00)', 'to reserve it again returns the redemption');
SELECT is(iaros.promo_release(900002, 'h2'), true, 'a reservation is released');
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900001, 100, format('{"booking": %s}', :booking)::jsonb), '{HOLD2}', 'h4')),
    'it can be used once on one booking, and was used once', 'a booking that came with the redemption is counted');
SELECT is((SELECT reserved FROM iaros.promo_reserve(pg_temp.cart(900001, 100), '{HOLD2}', 'h5')), true, 'without booking there is room');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900001, 100, format('{"booking": %s}', :booking)::jsonb), '{HOLD2}', 'h5')), false, 'but it cannot be redeemed on the same booking');
SELECT is((SELECT state::text FROM iaros.promo_redemption WHERE customer_id = 900001 AND idempotency_key = 'h5'), 'reserved', 'and stays reserved');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900003, 100), '{HOLD2}', 'h3')), false, 'for nobody else');
-- Time-out.
UPDATE iaros.promo_redemption SET reserved_until = now() - interval '2 hours' WHERE idempotency_key = 'h5';
SELECT results_eq($$SELECT severity::text, subject FROM iaros.promo_doctor()$$, $$VALUES ('warning', 'reservations of promotions')$$, 'the doctor sees reservations that are not taken back');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900003, 100), '{HOLD2}', 'h3')), true, 'what timed out is free for the next');
SELECT is((SELECT state::text FROM iaros.promo_redemption WHERE customer_id = 900001 AND idempotency_key = 'h5'), 'released', 'and was taken back');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900001, 100), '{HOLD2}', 'h5')), false, 'who comes too late is told');
SELECT is((SELECT reserved FROM iaros.promo_reserve(pg_temp.cart(900001, 100), '{GROWS}', 'h6')), true, 'reserved');
SELECT is((SELECT reserved FROM iaros.promo_reserve(pg_temp.cart(900001, 100), '{GROWS}', 'h7')), true, 'twice');
UPDATE iaros.promo_redemption SET reserved_until = now() WHERE idempotency_key IN ('h6', 'h7');
SELECT is(iaros.promo_expire(1), 1::bigint, 'time-outs are taken back in batches');
SELECT is(iaros.promo_run(), 1::bigint, 'by the job too');
SELECT is(iaros.promo_expire(), 0::bigint, 'once');
SELECT is_empty('SELECT * FROM iaros.promo_doctor()', 'the doctor finds nothing');

-- Returns.
SELECT pg_temp.promo('MIN100', '{"currency": "USD", "min_purchase": 100, "discount": {"kind": "fixed_amount", "value": 20}, "limits": [{"scope": "total", "maximum": 1}, {"scope": "total", "measure": "revenue", "maximum": 1000}]}') \g /dev/null
\set two '{"currency": "USD", "lines": [{"id": "a", "price": 80}, {"id": "b", "price": 20, "quantity": 2}]}'
SELECT is((SELECT to_pay FROM iaros.promo_redeem(:'two'::jsonb || '{"customer": 900001}', '{MIN100}', 'r1')), 100.00, '20 off 120');
SELECT results_eq($$SELECT refund, discount, to_pay, state FROM iaros.promo_rollback(900001, 'r1', '[{"id": "b", "quantity": 1}]', 'one')$$, $$VALUES (20.00, 20.00, 80.00, 'redeemed')$$,
    'of what is returned its price is refunded while the rest qualifies');
SELECT results_eq($$SELECT refund, discount, to_pay, state FROM iaros.promo_rollback(900001, 'r1', '[{"id": "b", "quantity": 1}]', 'one')$$, $$VALUES (20.00, 20.00, 80.00, 'redeemed')$$, 'once for its key');
SELECT is((SELECT sum(need) FROM iaros.promo_count c JOIN iaros.promo_limit l USING (promo_limit_id) JOIN iaros.promo p ON p.promo_id = l.promo_id WHERE p.code::text = 'MIN100' AND l.measure = 'revenue'), 100::numeric, 'the revenue is less');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 100), '{MIN100}', 'r2')), false, 'the use is still used');
SELECT results_eq($$SELECT refund, discount, to_pay, state FROM iaros.promo_rollback(900001, 'r1', '[{"id": "b", "quantity": 1}]', 'two')$$, $$VALUES (0.00, 0.00, 80.00, 'redeemed')$$,
    'what does not reach the minimum any more loses the promotion');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 100), '{MIN100}', 'r2')), true, 'whose use is free then');
SELECT results_eq($$SELECT refund, discount, to_pay, state FROM iaros.promo_rollback(900001, 'r1')$$, $$VALUES (80.00, 0.00, 0.00, 'returned')$$, 'the rest comes back in full');
SELECT is((SELECT sum(t.refund) FROM iaros.promo_return t JOIN iaros.promo_redemption r USING (customer_id, redemption_id) WHERE r.idempotency_key = 'r1'), 100.0000, 'what was refunded is what was paid');
SELECT throws_ok($$SELECT iaros.promo_rollback(900001, 'r1', '[{"id": "a"}]')$$, '55000', NULL, 'nothing is left to return');
SELECT results_eq($$SELECT refund, state FROM iaros.promo_rollback(900001, 'r1')$$, $$VALUES (80.00, 'returned')$$, 'the same return is the first one');
-- Who would have to pay more for the rest keeps it at the old price.
SELECT pg_temp.promo('BIG60', '{"currency": "USD", "min_purchase": 105, "discount": {"kind": "fixed_amount", "value": 60}, "limits": [{"scope": "customer", "maximum": 1}]}') \g /dev/null
SELECT is((SELECT to_pay FROM iaros.promo_redeem('{"customer": 900001, "currency": "USD", "lines": [{"id": "a", "price": 100}, {"id": "b", "price": 10}]}', '{BIG60}', 'r3')), 50.00, '60 off 110');
SELECT results_eq($$SELECT refund, discount, to_pay, state FROM iaros.promo_rollback(900001, 'r3', '[{"id": "b"}]', reason => 'too small')$$, $$VALUES (0.00, 50.00, 50.00, 'redeemed')$$, 'nothing is refunded, nothing more to pay');
SELECT results_eq($$SELECT refund, state FROM iaros.promo_rollback(900001, 'r3')$$, $$VALUES (50.00, 'returned')$$, 'and what was paid comes back with the rest');
-- Uses that are kept.
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 200), '{BIG60}', 'r4')), true, 'redeemed');
SELECT is((SELECT state FROM iaros.promo_rollback(900002, 'r4', keep_uses => true, reason => 'fraud')), 'returned', 'returned, but the use is kept');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 200), '{BIG60}', 'r5')), false, 'so it cannot be used again');
SELECT results_eq($$SELECT kept, reason FROM iaros.promo_return WHERE customer_id = 900002$$, $$VALUES (true, 'fraud')$$, 'which is on record');
-- Buy 2, get 1.
SELECT pg_temp.promo('B2G1', '{"discount": {"kind": "buy_x_get_y", "buy": 2, "get": 1}}') \g /dev/null
SELECT is((SELECT to_pay FROM iaros.promo_redeem('{"customer": 900001, "currency": "USD", "lines": [{"id": "a", "price": 30, "quantity": 3}]}', '{B2G1}', 'r6')), 60.00, 'three for two');
SELECT results_eq($$SELECT refund, discount, to_pay FROM iaros.promo_rollback(900001, 'r6', '[{"id": "a", "quantity": 1}]', '1')$$, 'VALUES (0.00, 0.00, 60.00)', 'the free one comes back for nothing');
SELECT results_eq($$SELECT refund, discount, to_pay FROM iaros.promo_rollback(900001, 'r6', '[{"id": "a", "quantity": 1}]', '2')$$, 'VALUES (30.00, 0.00, 30.00)', 'the next for its price');
-- Priced as it was then: later changes do not count.
SELECT is((SELECT discount FROM iaros.promo_redeem(:'two'::jsonb || '{"customer": 900005}', '{B2G1,RATE}', 'r7', partial => true)), 30.00, 'bought');
UPDATE iaros.promo SET is_active = false, discount = '{"kind": "percentage", "value": 1}' WHERE code::text IN ('B2G1', 'RATE');
SELECT results_eq($$SELECT refund, discount, to_pay FROM iaros.promo_rollback(900005, 'r7', '[{"id": "b", "quantity": 1}]', '1')$$, 'VALUES (0.00, 10.00, 90.00)', 'the rest is priced by the promotions of then');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');

-- Dry run equals real run; what is refunded piece by piece is what was paid.
CREATE TEMP TABLE game (n integer, cart jsonb, codes text[], dry jsonb, redeemed boolean, real jsonb, paid numeric, refunded numeric, least numeric);
SELECT pg_temp.promo('G' || n, d::jsonb) FROM (VALUES
    (1, '{"limits": [{"scope": "total", "measure": "discount", "maximum": 900}]}'),
    (2, '{"discount": {"kind": "fixed_amount", "value": 15}, "currency": "USD", "min_purchase": 60, "limits": [{"scope": "customer", "maximum": 20}]}'),
    (3, '{"discount": {"kind": "buy_x_get_y", "buy": 1, "get": 1}, "priority": 5}'),
    (4, '{"discount": {"kind": "cheapest", "percentage": 50}, "stackable": false, "combine_with": ["G1"]}'),
    (5, '{"discount": {"kind": "tiered", "bands": [{"from": 50, "percentage": 5}, {"from": 150, "percentage": 12}]}, "currency": "USD", "limits": [{"scope": "total", "measure": "revenue", "period": "month", "maximum": 9000}]}'),
    (6, '{"applied": "automatic", "min_quantity": 6}')) AS t(n, d) \g /dev/null
DO $$
DECLARE
    i integer;
    c bigint;
    v record;
    r record;
    b record;
    line jsonb;
    cart jsonb;
    codes text[];
    refunded numeric;
    least numeric;
BEGIN
    PERFORM setseed(0.5);
    FOR i IN 1..300 LOOP
        c := 900040 + i % 7;
        cart := jsonb_build_object('customer', c, 'currency', 'USD', 'lines', (
            SELECT jsonb_agg(jsonb_build_object('id', l, 'price', round((random() * 90)::numeric, 2), 'quantity', 1 + trunc(random() * 3))) FROM generate_series(1, 1 + trunc(random() * 4)::integer) AS l));
        codes := ARRAY(SELECT 'G' || g FROM generate_series(1, 5) AS g WHERE random() < 0.5);
        SELECT * INTO v FROM iaros.promo_validate(cart, codes);
        SELECT * INTO r FROM iaros.promo_redeem(cart, codes, 'game ' || i, partial => true);
        refunded := 0;
        least := 0;
        IF r.redeemed AND i % 3 <> 0 THEN
            FOR line IN SELECT l FROM jsonb_array_elements(cart -> 'lines') AS l ORDER BY random() LOOP
                FOR u IN 1..(line ->> 'quantity')::integer LOOP
                    SELECT * INTO b FROM iaros.promo_rollback(c, 'game ' || i, jsonb_build_array(jsonb_build_object('id', line -> 'id', 'quantity', 1)), format('%s %s', line -> 'id', u), keep_uses => i % 5 = 0);
                    refunded := refunded + b.refund;
                    least := LEAST(least, b.refund, b.discount, b.to_pay);
                END LOOP;
            END LOOP;
        END IF;
        INSERT INTO game VALUES (i, cart, codes, v.result, r.redeemed, r.result, r.to_pay, refunded, least);
    END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM game WHERE redeemed), '>', 150::bigint, 'many random purchases were made');
SELECT is_empty('SELECT n FROM game WHERE dry <> real', 'what promo_validate() says is what promo_redeem() does');
SELECT is_empty('SELECT n, paid, refunded FROM game WHERE redeemed AND n % 3 <> 0 AND paid <> refunded OR least < 0', 'all that was paid comes back, in whatever order');
SELECT is_empty($$SELECT r.customer_id, r.redemption_id FROM iaros.promo_redemption r
    WHERE r.idempotency_key LIKE 'game %' AND (SELECT sum(u.discount) FROM iaros.promo_use u WHERE u.customer_id = r.customer_id AND u.redemption_id = r.redemption_id) <> r.discount
      AND r.state = 'redeemed'$$, 'the discounts of the uses sum to that of the redemption');
SELECT is_empty('SELECT * FROM iaros.promo_limit_check()', 'the counters agree with the uses');
SELECT is_empty($$SELECT l.promo_limit_id FROM iaros.promo_limit l JOIN iaros.promo_count c USING (promo_limit_id) WHERE l.scope = 'total' GROUP BY l.promo_limit_id, c.period_start HAVING sum(c.need) > min(l.maximum)$$, 'and no limit was passed');

-- Coupons.
SELECT pg_temp.promo('COUPONS', '{"applied": "coupon"}') \g /dev/null
SELECT is((SELECT answers #>> '{0,reasons,0,reason}' FROM iaros.promo_validate(pg_temp.cart(900001, 10), '{COUPONS}')), 'unknown_code', 'the code of a promotion by coupons is none');
SELECT is(iaros.promo_issue('COUPONS', '{"prefix": "AB", "length": 8}', 50, seed => 1), 50::bigint, 'coupons for anybody');
SELECT is(iaros.promo_issue('COUPONS', '{"prefix": "AB", "length": 8}', 50, seed => 1), 50::bigint, 'codes that are taken are replaced');
SELECT results_eq($$SELECT count(*), count(DISTINCT c.code::text), count(c.customer_id), bool_and(c.code::text LIKE 'AB%') FROM iaros.promo_coupon c JOIN iaros.promo p USING (promo_id) WHERE p.code::text = 'COUPONS'$$,
    'VALUES (100::bigint, 100::bigint, 0::bigint, true)', 'all differ');
SELECT is(iaros.promo_issue('COUPONS', '{"prefix": "CU", "length": 8}', customers => '{900001,900002,900011,111,900002,NULL}'), 3::bigint, 'one for each customer that there is');
SELECT results_eq($$SELECT c.customer_id FROM iaros.promo_coupon c JOIN iaros.promo p USING (promo_id) WHERE p.code::text = 'COUPONS' AND c.customer_id IS NOT NULL ORDER BY 1$$, 'VALUES (900001::bigint), (900002), (900011)', 'not twice');
SELECT c.code::text AS his, (SELECT k.code::text FROM iaros.promo_coupon k WHERE k.customer_id = 900011) AS alias FROM iaros.promo_coupon c WHERE c.customer_id = 900002 \gset
SELECT min(c.code::text) AS free FROM iaros.promo_coupon c JOIN iaros.promo p USING (promo_id) WHERE p.code::text = 'COUPONS' AND c.customer_id IS NULL \gset
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900001, 10), ARRAY[:'his'], 'c1')), 'the code was given to somebody else', 'the coupon of another is refused');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900002, 10), ARRAY[:'his'], 'c1')), true, 'whose it is redeems it');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900012, 10), ARRAY[:'alias'], 'c1')), true, 'under each id of a person');
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900003, 10), ARRAY[lower(:'free')], 'c1')), true, 'one for anybody');
SELECT is((SELECT pg_temp.texts(answers) FROM iaros.promo_redeem(pg_temp.cart(900004, 10), ARRAY[:'free'], 'c1')), 'it can be used once with one coupon, and was used once', 'is used once');
SELECT iaros.promo_rollback(900003, 'c1') \g /dev/null
SELECT is((SELECT redeemed FROM iaros.promo_redeem(pg_temp.cart(900004, 10), ARRAY[:'free'], 'c1')), true, 'and again when it was returned');
UPDATE iaros.promo_coupon SET is_active = false, valid = tstzrange(NULL, now()) WHERE code::text = :'his';
SELECT is((SELECT jsonb_path_query_array(answers, '$[0].reasons[*].reason') FROM iaros.promo_validate(pg_temp.cart(900002, 10), ARRAY[:'his'])), '["inactive", "expired", "limit"]', 'inactive, expired and used up');
SELECT iaros.promo_create('BDAY', 'Birthday', '{"applied": "coupon", "discount": {"kind": "percentage", "value": 15}}') \g /dev/null
SELECT is(iaros.promo_code_for('BDAY', 900001, 'BDAY{{customer.id}}', 7, as_of => '2026-07-04 12:00Z')::text, 'BDAY900001', 'a code for a birthday');
SELECT is(iaros.promo_code_for('BDAY', 900001, 'BDAY{{customer.id}}', 9, as_of => '2026-07-05 12:00Z')::text, 'BDAY900001', 'is made once');
SELECT is(iaros.promo_code_for('BDAY', 900001, 'BDAY{{customer.id}}{{YEAR}}', as_of => '2026-07-04 12:00Z')::text, 'BDAY9000012026', 'or once a year');
SELECT results_eq($$SELECT valid FROM unnest('{2026-07-03 23:59:59Z,2026-07-04Z,2026-07-10 23:59:59Z,2026-07-11Z}'::timestamptz[]) AS t CROSS JOIN LATERAL iaros.promo_validate(pg_temp.cart(900001, 10), '{BDAY900001}', t) AS v$$,
    'VALUES (false), (true), (true), (false)', 'for its days');
SELECT throws_ok($$SELECT iaros.promo_code_for('BDAY', 900002, 'BDAY900001')$$, '23505', NULL, 'not for another customer');
SELECT throws_ok($$SELECT iaros.promo_code_for('COUPONS', 900001, 'BDAY900001')$$, '23505', NULL, 'nor another promotion');
SELECT throws_ok($$SELECT iaros.promo_create('BDAY900001', 'x', '{"discount": {"kind": "free"}}')$$, '23505', NULL, 'nor a promotion of that code');
SELECT is((SELECT code FROM iaros.promo_qualify(pg_temp.cart(900001, 10)) WHERE name = 'Birthday'), 'BDAY9000012026', 'promo_qualify names the coupon that one has');
SELECT is((SELECT count(*) FROM iaros.promo_qualify(pg_temp.cart(900002, 10)) WHERE name = 'Birthday'), 0::bigint, 'and says nothing to others');

-- Automatic promotions and lists of products.
SELECT pg_temp.promo('AUTO', '{"applied": "automatic", "routes": ["JFK<>United Kingdom"], "channels": ["web"], "except_products": ["bag", "seat"]}') \g /dev/null
SELECT pg_temp.promo('ONLY', '{"products": ["bag"], "discount": {"kind": "percentage", "value": 50}}') \g /dev/null
\set trip '{"currency": "USD", "channel": "web", "lines": [{"id": 1, "price": 100, "product": "fare", "attributes": {"route": "LHR-JFK"}}, {"id": 2, "price": 20, "product": "bag", "attributes": {"route": "LHR-JFK"}}]}'
SELECT results_eq(format($$SELECT valid, discount, result #> '{promotions,0,lines}' FROM iaros.promo_validate('%s')$$, :'trip'), $$VALUES (true, 10.00, '[{"id": "1", "discount": 10.00}]'::jsonb)$$, 'an automatic promotion applies without code');
SELECT results_eq(format($$SELECT discount FROM iaros.promo_validate('%s', '{ONLY}')$$, :'trip'), 'VALUES (20.00)', 'along with a code for products');
SELECT results_eq($$SELECT discount FROM unnest(ARRAY['{"channel": "agent"}', '{"channel": null}', '{"lines": [{"id": 1, "price": 100, "attributes": {"route": "LHR-CDG"}}]}', '{"lines": [{"id": 2, "price": 20, "product": "bag", "attributes": {"route": "LHR-JFK"}}]}']::jsonb[]) AS m
    CROSS JOIN LATERAL iaros.promo_validate('{"currency": "USD", "channel": "web", "lines": [{"id": 1, "price": 100, "attributes": {"route": "LHR-JFK"}}]}'::jsonb || m) AS v$$, 'VALUES (0.00), (0.00), (0.00), (0.00)', 'but not through others, elsewhere, or on what is left out');
SELECT results_eq(format($$SELECT redeemed, discount, answers FROM iaros.promo_redeem('%s'::jsonb || '{"customer": 900060}', '{}', 'auto')$$, :'trip'), $$VALUES (true, 10.00, '[]'::jsonb)$$, 'and is redeemed without code');
SELECT is((SELECT code::text FROM iaros.promo_use WHERE customer_id = 900060), NULL, 'which the ledger says');
UPDATE iaros.promo SET is_active = false WHERE code::text = 'AUTO';
SELECT results_eq(format($$SELECT discount FROM iaros.promo_validate('%s')$$, :'trip'), 'VALUES (0.00)', 'until it is taken out of use');

-- A segment that is renamed.
SELECT iaros.segment_create('pgtap promo') \g /dev/null
SELECT pg_temp.promo('SEGMENT1', '{"segments": ["pgtap promo"]}'), pg_temp.promo('SEGMENT2', '{"except_segments": ["pgtap promo", "Champions"]}') \g /dev/null
UPDATE iaros.segment SET name = 'pgtap other' WHERE name = 'pgtap promo';
SELECT results_eq($$SELECT definition -> 'segments', definition -> 'except_segments' FROM iaros.promo WHERE code::text LIKE 'SEGMENT_' ORDER BY code::text$$,
    $$VALUES ('["pgtap other"]'::jsonb, NULL::jsonb), (NULL, '["pgtap other", "Champions"]')$$, 'promotions follow a segment that is renamed');

-- Usage.
SELECT pg_temp.promo('USAGE', '{"limits": [{"scope": "total", "maximum": 10}]}') \g /dev/null
SELECT iaros.promo_redeem(jsonb_build_object('customer', 900070 + n, 'currency', c, 'lines', jsonb_build_array(
    jsonb_build_object('id', 1, 'price', 100, 'product', 'fare', 'attributes', jsonb_build_object('route', r, 'departure', '2026-07-0' || n, 'cabin', 'economy', 'fare_class', 'Y')),
    jsonb_build_object('id', 2, 'price', 10, 'product', 'bag'))), '{USAGE}', 'usage')
FROM (VALUES (1, 'USD', 'JFK-LHR'), (2, 'EUR', 'JFK-LHR'), (3, 'USD', 'CDG-JFK')) AS t(n, c, r) \g /dev/null
SELECT iaros.promo_reserve(pg_temp.cart(900071, 50), '{USAGE}', 'usage 2') \g /dev/null
SELECT results_eq($$SELECT currency, redemptions, reserved, customers, revenue, discount, average_discount, revenue_base, discount_base, points, uses_left FROM iaros.promo_usage('usage')$$,
    $$VALUES ('EUR', 1::bigint, 0::bigint, 1::bigint, 110.00, 11.00, 11.00, 220.00, 22.00, 0::bigint, 6::numeric), ('USD', 2, 1, 2, 270.00, 27.00, 9.00, 270.00, 27.00, 0, 6)$$, 'what a promotion comes to, by currency');
SELECT results_eq($$SELECT value, uses, lines, discount_base FROM iaros.promo_usage_by('route', 'USAGE')$$,
    $$VALUES (NULL, 4::bigint, 4::bigint, 9.00), ('JFK-LHR', 2, 2, 30.00), ('CDG-JFK', 1, 1, 10.00)$$, 'where it is used');
SELECT results_eq($$SELECT value, uses, discount_base FROM iaros.promo_usage_by('product', 'USAGE')$$, $$VALUES ('fare', 3::bigint, 40.00), ('bag', 3, 4.00), (NULL, 1, 5.00)$$, 'on what');
SELECT results_eq($$SELECT value, uses FROM iaros.promo_usage_by('departure', 'USAGE', 2)$$, $$VALUES (NULL, 4::bigint), ('2026-07-02', 1)$$, 'for which days');
SELECT results_eq($$SELECT value, uses FROM iaros.promo_usage_by('booking_day', 'USAGE')$$, $$SELECT to_char(now() AT TIME ZONE iaros.setting_get('brand_time_zone'), 'YYYY-MM-DD'), 4::bigint$$, 'bought when');
SELECT results_eq($$SELECT d, (SELECT string_agg(value, ',') FROM iaros.promo_usage_by(d, 'USAGE')) FROM unnest('{cabin,fare_class}'::text[]) AS d$$, $$VALUES ('cabin', 'economy'), ('fare_class', 'Y')$$, 'and in which class');
SELECT iaros.promo_rollback(900073, 'usage') \g /dev/null
SELECT results_eq($$SELECT redemptions, revenue, uses_left FROM iaros.promo_usage('USAGE') WHERE currency = 'USD'$$, 'VALUES (1::bigint, 160.00, 7::numeric)', 'what was returned does not count');
SELECT is((SELECT count(*) FROM iaros.promo_usage()), (SELECT count(*) FROM (SELECT DISTINCT u.promo_id, r.currency FROM iaros.promo_use u JOIN iaros.promo_redemption r USING (customer_id, redemption_id) WHERE u.counted) AS x), 'a row for each promotion and currency');

-- A customer that is deleted.
SELECT iaros.promo_issue('USAGE', '{"prefix": "ER", "length": 8}', customers => '{900072}', max_uses => NULL) \g /dev/null
SAVEPOINT a;
DELETE FROM iaros.customer WHERE customer_id = 900072;
SELECT is_empty('SELECT FROM iaros.promo_coupon WHERE customer_id = 900072', 'the coupons of a customer go with the customer');
SELECT is_empty('SELECT FROM iaros.promo_redemption WHERE customer_id = 900072 UNION ALL SELECT FROM iaros.promo_use WHERE customer_id = 900072', 'and so do redemptions');
SELECT is((SELECT uses_left FROM iaros.promo_usage('USAGE')), 7::numeric, 'whose uses have been had');
ROLLBACK TO a;
SAVEPOINT a;
TRUNCATE iaros.customer CASCADE;
SELECT is_empty('SELECT FROM iaros.promo_coupon WHERE customer_id IS NOT NULL', 'as they do when all are truncated');
SELECT isnt_empty('SELECT FROM iaros.promo_coupon', 'but for coupons for anybody');
ROLLBACK TO a;

-- Prices.
SELECT is((SELECT count(*) FROM (VALUES ('2026-01-01Z', 120, false), ('2026-03-01Z', 100, false), ('2026-05-10Z', 130, false), ('2026-06-01Z', 90, true), ('2026-06-10Z', 80, true), ('2026-06-20Z', 70, true)) AS p(at, price, reduced)
    CROSS JOIN LATERAL iaros.promo_price_record('JFK-LHR', p.price, 'EUR', 'DE', p.reduced, p.at::timestamptz) AS written WHERE written), 6::bigint, 'prices are recorded');
SELECT is(iaros.promo_price_record('JFK-LHR', 70, 'EUR', 'DE', true, '2026-06-25Z'), false, 'not again while they stay');
SELECT results_eq($$SELECT lowest, lowest_at, window_from, known_from FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-06-01Z')$$,
    $$VALUES (100.00, '2026-03-01Z'::timestamptz, '2026-05-02Z'::timestamptz, '2026-01-01Z'::timestamptz)$$, 'the lowest price was in force when the 30 days began');
SELECT results_eq($$SELECT lowest, lowest_at FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-06-01Z', 20)$$, $$VALUES (130.00, '2026-05-10Z'::timestamptz)$$, 'or was not, of 20 days');
SELECT results_eq($$SELECT lowest FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-06-20Z')$$, 'VALUES (80.00)', 'before the third reduction it is the second');
SELECT results_eq($$SELECT lowest, window_from FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-06-20Z', progressive => true)$$, $$VALUES (100.00, '2026-05-02Z'::timestamptz)$$, 'of progressive ones that before the first');
SELECT iaros.promo_price_record('JFK-LHR', 110, 'EUR', 'DE', false, '2026-06-15Z') \g /dev/null
SELECT results_eq($$SELECT lowest, window_from FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-06-20Z', progressive => true)$$, $$VALUES (80.00, '2026-05-21Z'::timestamptz)$$, 'unless they are broken off');
SELECT results_eq($$SELECT lowest, known_from FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'FR') UNION ALL SELECT lowest, known_from FROM iaros.promo_price_lowest('JFK-LHR', 'USD', 'DE')$$,
    'VALUES (NULL::numeric, NULL::timestamptz), (NULL, NULL)', 'in each market and currency by itself');
SELECT iaros.promo_price_record('JFK-LHR', NULL, 'EUR', 'DE', false, '2026-07-01Z') \g /dev/null
SELECT results_eq($$SELECT lowest, known_from FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-09-01Z')$$, $$VALUES (NULL::numeric, '2026-01-01Z'::timestamptz)$$, 'what is not for sale has no price');
SELECT is(iaros.promo_price_record('JFK-LHR', 60, 'EUR', 'DE', false, '2026-07-01Z'), true, 'a price is put right');
SELECT is((SELECT lowest FROM iaros.promo_price_lowest('JFK-LHR', 'EUR', 'DE', '2026-09-01Z')), 60.00, 'at its time');

-- Audit, guards, rights.
SELECT results_eq($$SELECT action, count(*) FROM iaros.audit_log WHERE customer_id = 900002 AND action LIKE 'promo.%' GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('promo.redeem', 7::bigint), ('promo.release', 1), ('promo.reserve', 1), ('promo.return', 1)$$, 'what was done for a customer is audited');
SELECT results_eq($$SELECT detail -> 'kept', detail -> 'reason', detail -> 'refund' FROM iaros.audit_log WHERE customer_id = 900002 AND action = 'promo.return'$$, $$VALUES ('true'::jsonb, '"fraud"'::jsonb, '140.00'::jsonb)$$, 'with why');
SELECT results_eq($$SELECT object_key, detail ->> 'coupons' FROM iaros.audit_log WHERE action = 'promo.issue' AND object_key = 'COUPONS' ORDER BY audit_id$$, $$VALUES ('COUPONS', '50'), ('COUPONS', '50'), ('COUPONS', '3')$$, 'so are coupons');
UPDATE iaros.promo SET name = 'Other' WHERE code::text = 'TEST5';
SELECT is((SELECT detail #>> '{new,name}' FROM iaros.audit_log WHERE action = 'promo.update' ORDER BY audit_id DESC LIMIT 1), 'Other', 'a change of a promotion is audited');
UPDATE iaros.promo_limit l SET maximum = 10 FROM iaros.promo p WHERE p.promo_id = l.promo_id AND p.code::text = 'TEST5' AND l.scope = 'total';
SELECT is((SELECT detail FROM iaros.audit_log WHERE action = 'promo_limit.update' ORDER BY audit_id DESC LIMIT 1), '{"new": {"maximum": 10}, "old": {"maximum": 5.0000}}', 'and of a limit');
SELECT throws_ok($$UPDATE iaros.promo_redemption SET amount = amount + 1$$, '55000', NULL, 'the ledger takes no other amount');
SELECT throws_ok($$UPDATE iaros.promo_redemption SET promotions = '[]'$$, '55000', NULL, 'no other promotions');
SELECT throws_ok($$UPDATE iaros.promo_redemption SET state = 'redeemed' WHERE state = 'returned'$$, '55000', NULL, 'and brings nothing back');
SELECT throws_ok($$UPDATE iaros.promo_return SET refund = 0$$, '55000', NULL, 'nor do returns');
CREATE ROLE iaros_test_read;
CREATE ROLE iaros_test_operate;
SELECT iaros.access_grant('iaros_test_read', 'read') \g /dev/null
SELECT iaros.access_grant('iaros_test_operate', 'operate') \g /dev/null
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;
SET ROLE iaros_test_operate;
SELECT lives_ok($$SELECT iaros.promo_create('OPERATE', 'x', '{"discount": {"kind": "percentage", "value": 10}, "products": ["fare"], "limits": [{"scope": "total", "maximum": 2}, {"scope": "customer", "maximum": 1}]}')$$, 'a role that operates makes a promotion');
SELECT lives_ok($$SELECT iaros.promo_issue('COUPONS', '{"prefix": "OP", "length": 8}', 3), iaros.promo_code_for('BDAY', 900080, 'OP{{customer.id}}')$$, 'coupons');
SELECT results_eq($$SELECT redeemed FROM iaros.promo_redeem('{"customer": 900080, "currency": "USD", "lines": [{"id": 1, "product": "fare", "price": 50}]}', '{OPERATE}', 'q')$$, 'VALUES (true)', 'redeems');
SELECT results_eq($$SELECT reserved FROM iaros.promo_reserve('{"customer": 900081, "currency": "USD", "lines": [{"id": 1, "product": "fare", "price": 50}]}', '{OPERATE}', 'q')$$, 'VALUES (true)', 'reserves');
SELECT is(iaros.promo_release(900081, 'q'), true, 'releases');
SELECT is((SELECT refund FROM iaros.promo_rollback(900080, 'q')), 45.00, 'takes back');
SELECT lives_ok('SELECT iaros.promo_run(), iaros.promo_price_record(''x'', 1, ''USD'')', 'cleans up, and records prices');
SELECT lives_ok($$UPDATE iaros.promo_limit SET maximum = 9 WHERE scope = 'total' AND promo_id = iaros.promo_find('OPERATE')$$, 'changes a limit');
SELECT throws_ok($$DELETE FROM iaros.promo_redemption$$, '42501', NULL, 'but does not write the ledger');
SELECT throws_ok($$UPDATE iaros.promo_use SET counted = false$$, '42501', NULL, 'nor the uses');
SELECT throws_ok($$UPDATE iaros.promo_counter SET value = 0$$, '42501', NULL, 'nor the counters');
SELECT throws_ok($$UPDATE iaros.promo_customer_counter SET value = 0$$, '42501', NULL, 'of customers neither');
SELECT throws_ok($$SELECT iaros.promo_counter_give(1, '', '-infinity', 1)$$, '42501', NULL, 'nor by the functions behind the gates');
SELECT throws_ok($$SELECT iaros.promo_again('{}', 1, '{}', NULL)$$, '42501', NULL, 'any of them');
SET ROLE iaros_test_read;
SELECT is((SELECT valid FROM iaros.promo_validate('{"customer": 900080, "currency": "USD", "lines": [{"id": 1, "product": "fare", "price": 50}]}', '{OPERATE}')), true, 'a role that reads validates');
SELECT lives_ok($$SELECT count(*) FROM iaros.promo_qualify('{"customer": 900080, "currency": "USD", "lines": []}'), iaros.promo_usage(), iaros.promo_usage_by('route'), iaros.promo_list(), iaros.promo_price_lowest('x', 'USD')$$, 'asks what there is');
SELECT throws_ok($$SELECT iaros.promo_redeem('{"customer": 900080, "currency": "USD", "lines": []}', '{OPERATE}', 'r')$$, '42501', NULL, 'and does not redeem');
SELECT throws_ok($$SELECT iaros.promo_commit('{}', '{}', 'r', NULL, false, now())$$, '42501', NULL, 'behind it neither');
SELECT throws_ok($$SELECT iaros.promo_rollback(900080, 'q')$$, '42501', NULL, 'nor takes back');
RESET ROLE;
SELECT is_empty('SELECT * FROM iaros.promo_doctor()', 'the doctor finds nothing');
-- Found by trying it.
SELECT lives_ok($$SELECT iaros.promo_price_record('DAY2', p, 'EUR', 'ES', r, t) FROM (VALUES
    (timestamptz '2026-01-01Z', 420.00, false), ('2026-03-01Z', 390.00, false), ('2026-03-10Z', 410.00, false), ('2026-03-20Z', 299.00, true)) AS v(t, p, r)$$,
    'prices with a reduction');
SELECT is((SELECT lowest FROM iaros.promo_price_lowest('DAY2', 'EUR', 'ES', '2026-03-22Z')), 390.00, 'who asks within a reduction gets the price before it');
SELECT throws_ok($$SELECT iaros.promo_price_record('DAY2', 1, 'EURO', 'ES')$$, '22023', NULL, 'a currency that is none');
SELECT throws_ok($$INSERT INTO iaros.promo_zone VALUES ('Iberia', '{MAD,LIS}')$$, '23503', NULL, 'a place of a zone that is none');
SELECT throws_ok($$SELECT iaros.promo_create('WE1COME1O', 'x', '{"discount": {"kind": "free"}}')$$, '23505', 'code WE1COME1O is that of promotion "WELCOME10" already', 'a code that looks like another one');
SELECT throws_ok($$SELECT iaros.promo_create('TWICE', 'x', '{"discount": {"kind": "free"}, "limits": [{"scope": "total", "maximum": 1}, {"scope": "total", "measure": "uses", "maximum": 2}]}')$$,
    '22023', 'two limits are of the same scope, measure and period', 'one limit given twice');
SELECT iaros.promo_create('AUTOISSUE', 'x', '{"discount": {"kind": "free"}, "applied": "automatic", "categories": ["nosuch"], "excludes": ["NOBODY"]}') > 0;
SELECT throws_ok($$SELECT iaros.promo_issue('AUTOISSUE', '{"length": 8}', 1)$$, '22023', NULL, 'coupons of an automatic promotion would do nothing');
SELECT is((SELECT count(*) FROM iaros.promo_doctor() WHERE subject = 'promotion AUTOISSUE'), 2::bigint, 'doctor() names a category and a promotion that do not exist');
SELECT * FROM finish();
ROLLBACK;
