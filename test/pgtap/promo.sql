-- promo: limits, keys, aliases, the ledger and who may write it.
BEGIN;
SELECT plan(35);
INSERT INTO iaros.customer (customer_id, kind, source)
SELECT i, 'known', 'manual' FROM generate_series(900001, 900020) AS i;
SELECT iaros.promo_create('test5', 'Five uses', 'percentage', 10, max_uses => 5, max_uses_per_customer => 2);
SELECT iaros.promo_create('test_free', 'No limit', 'fixed', 5, 'USD');

SELECT is((SELECT discount FROM iaros.promo_redeem('TEST5', 900001, 99.99, 'USD', 'a')), 10.00, 'a redemption gives the discount');
SELECT is((SELECT count(*) FROM iaros.promo_redeem('test5', 900001, 99.99, 'USD', 'a') r
    JOIN iaros.promo_redemption d USING (redemption_id) WHERE r.redeemed AND d.customer_id = 900001), 1::bigint,
    'the same key returns the same redemption');
SELECT is((SELECT uses FROM iaros.promo_list() WHERE code = 'TEST5'), 1::bigint, 'and is counted once');
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST5', 900001, 10, 'USD', 'b')), true, 'a second use within the limit');
SELECT is((SELECT reasons FROM iaros.promo_redeem('TEST5', 900001, 10, 'USD', 'c')),
    ARRAY['customer_limit: the customer has used it 2 of 2 times'], 'the third is refused with its reason');
SELECT is((SELECT uses FROM iaros.promo_customer_use WHERE customer_id = 900001), 2, 'and is not counted');
SELECT is((SELECT count(*) FROM generate_series(900002, 900010) AS c
    CROSS JOIN LATERAL iaros.promo_redeem('TEST5', c, 10, 'USD', 'a') r WHERE r.redeemed), 3::bigint,
    'of nine more customers three get the uses that are left');
SELECT is((SELECT uses FROM iaros.promo_list() WHERE code = 'TEST5'), 5::bigint, 'all five uses are counted');
SELECT is((SELECT count(*) FROM iaros.promo_redemption d JOIN iaros.promo p USING (promo_id) WHERE p.code = 'TEST5'), 5::bigint, 'five rows are in the ledger');
SELECT is((SELECT sum(u.uses) FROM iaros.promo_customer_use u JOIN iaros.promo p USING (promo_id) WHERE p.code = 'TEST5'), 5::bigint,
    'and the counters of the customers agree');
SELECT is((SELECT valid FROM iaros.promo_validate('TEST5', 900015, 10, 'USD')), false, 'promo_validate says so beforehand');
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST5', 900001, 10, 'USD', 'b')), true, 'a key of before still returns its redemption');

-- A transaction that rolls back gives its use back.
SELECT iaros.promo_create('test1', 'One use', 'percentage', 10, max_uses => 1);
SAVEPOINT a;
SELECT iaros.promo_redeem('TEST1', 900001, 10, 'USD', 'x1');
ROLLBACK TO a;
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST1', 900002, 10, 'USD', 'x2')), true, 'a use that was rolled back is free again');

-- Aliases are one person.
SELECT iaros.promo_create('test_once', 'Once each', 'percentage', 10, max_uses_per_customer => 1);
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST_ONCE', 900011, 10, 'USD', 'k')), true, 'a visitor redeems');
SELECT iaros.customer_recognise(900011, 900012);
SELECT is((SELECT reasons FROM iaros.promo_redeem('TEST_ONCE', 900012, 10, 'USD', 'm')),
    ARRAY['customer_limit: the customer has used it 1 of 1 times'], 'the customer that it was recognised as cannot again');
SELECT is((SELECT reasons FROM iaros.promo_redeem('TEST_ONCE', 900011, 10, 'USD', 'n')),
    ARRAY['customer_limit: the customer has used it 1 of 1 times'], 'nor can the alias');
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST_ONCE', 900012, 10, 'USD', 'k')), true, 'the key is known under both ids');
SELECT is((SELECT customers FROM iaros.promo_usage('test_once')), 1::bigint, 'the usage counts one customer');

-- A redemption is of now: a code of before is not redeemed under its date.
SELECT iaros.promo_create('test_old', 'Expired', 'percentage', 10, valid_to => now() - interval '3 days');
SELECT is((SELECT valid FROM iaros.promo_validate('TEST_OLD', 900016, 10, 'USD', now() - interval '4 days')), true, 'a promotion that was valid');
SELECT throws_ok($$SELECT iaros.promo_redeem('TEST_OLD', 900016, 10, 'USD', 't', as_of => now() - interval '4 days')$$, '22023', NULL,
    'is not redeemed with a time of then');
SELECT throws_ok($$SELECT iaros.promo_redeem('TEST_FREE', 900016, 10, 'USD', 'u', as_of => now() + interval '6 minutes')$$, '22023', NULL,
    'nor any with a time to come');
SELECT is((SELECT count(*) FROM unnest(ARRAY[interval '-23 hours', '4 minutes', NULL]) AS d
    CROSS JOIN LATERAL iaros.promo_redeem('TEST_FREE', 900016, 10, 'USD', 't ' || coalesce(d::text, ''), as_of => now() + d) r WHERE r.redeemed),
    3::bigint, 'a day late, a clock ahead and no time are taken');
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST_FREE', 900016, 10, 'USD', 't ', as_of => '2020-01-01')), true,
    'a key of before returns its redemption at any time');

-- The booking is the customer's own.
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST_FREE', 900013, 50, 'USD', 'p',
    booking_id => iaros.booking_record(900013, 45, 'USD'))), true, 'a redemption names its booking');
SELECT throws_ok($$SELECT iaros.promo_redeem('TEST_FREE', 900014, 50, 'USD', 'p',
    booking_id => (SELECT booking_id FROM iaros.booking WHERE customer_id = 900013))$$, '23503', NULL, 'not the booking of another');

-- Discounts stay between nothing and the amount, for many amounts and kinds.
SELECT is_empty(
    $$SELECT i FROM generate_series(1, 3000) AS i
      CROSS JOIN LATERAL (SELECT (ARRAY['EUR', 'JPY', 'KWD'])[1 + i % 3] AS c) c
      CROSS JOIN LATERAL (SELECT iaros.money_round((iaros.chance(i, 1, 0) ^ 6 * 10000)::numeric, c) AS amount,
          CASE WHEN i % 2 = 0 THEN 'fixed' ELSE 'percentage' END::iaros.promo_discount_kind AS kind,
          iaros.money_round((iaros.chance(i, 1, 1) * 100)::numeric, c) AS value) a
      CROSS JOIN LATERAL iaros.promo_discount(kind, value, amount, c) AS d
      WHERE d IS NULL OR d < 0 OR d > amount OR NOT iaros.money_valid(d, c)
         OR (kind = 'percentage' AND abs(d - amount * value / 100) > 0.5 * 10 ^ -iaros.currency_minor_unit(c))$$,
    'a discount is valid money, not below 0, not above the amount, at most half a unit from the exact one');

-- Audit, guard, rights.
SELECT is((SELECT count(*) FROM iaros.audit_list('promo.redeem', 900001)), 2::bigint, 'each redemption is audited once');
UPDATE iaros.promo SET max_uses = 10 WHERE code = 'TEST5';
SELECT is((SELECT detail FROM iaros.audit_list('promo.update') LIMIT 1), '{"new": {"max_uses": 10}, "old": {"max_uses": 5}}', 'a change of a promotion is audited');
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST5', 900010, 10, 'USD', 'z')), true, 'a higher limit takes effect at once');
SELECT throws_ok($$UPDATE iaros.promo_redemption SET discount = 0$$, '55000', NULL, 'the ledger takes no update');
CREATE ROLE iaros_test_read;
CREATE ROLE iaros_test_operate;
SELECT iaros.access_grant('iaros_test_read', 'read');
SELECT iaros.access_grant('iaros_test_operate', 'operate');
SET ROLE iaros_test_operate;
SELECT is((SELECT redeemed FROM iaros.promo_redeem('TEST_FREE', 900015, 50, 'USD', 'q')), true, 'a role that operates redeems');
SELECT throws_ok($$DELETE FROM iaros.promo_redemption$$, '42501', NULL, 'but does not write the ledger');
SELECT throws_ok($$UPDATE iaros.promo_use SET uses = 0$$, '42501', NULL, 'nor the counters');
SET ROLE iaros_test_read;
SELECT is((SELECT valid FROM iaros.promo_validate('TEST_FREE', 900015, 50, 'USD')), true, 'a role that reads validates');
SELECT throws_ok($$SELECT iaros.promo_redeem('TEST_FREE', 900015, 50, 'USD', 'r')$$, '42501', NULL, 'and does not redeem');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
