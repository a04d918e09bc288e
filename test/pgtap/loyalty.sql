-- loyalty: enrolment, numbers, accounts of a person.
BEGIN;
SELECT plan(23);
SELECT iaros.customer_create() AS ada, iaros.customer_create() AS bob, iaros.customer_create(kind => 'anonymous') AS visitor \gset

SELECT matches(iaros.loyalty_enrol(:ada, enrolled_on => '2024-06-01'), '^FF[0-9]{9}$', 'a number is made');
SELECT is(iaros.loyalty_enrol(:ada), (SELECT member_no FROM iaros.loyalty_account WHERE customer_id = :ada), 'a second call returns it');
SELECT is((SELECT count(*) FROM iaros.loyalty_account WHERE customer_id = :ada), 1::bigint, 'and makes no other account');
SELECT is((SELECT tier FROM iaros.loyalty_account WHERE customer_id = :ada), 'member', 'members start in the lowest tier');
SELECT is((SELECT customer_id FROM iaros.loyalty_key WHERE programme = 'frequent_flyer' AND member_no = iaros.loyalty_enrol(:ada)), :ada::bigint, 'the number leads to the customer');
SELECT is((SELECT value FROM iaros.customer_identifier WHERE customer_id = :ada AND kind = 'frequent_flyer'), iaros.loyalty_enrol(:ada), 'and is an identifier');
SELECT is(iaros.loyalty_enrol(:bob, member_no => ' 4711 ', tier => 'gold', enrolled_on => '2020-05-01', points => 1200), '4711', 'a number of one''s own');
SELECT results_eq(format('SELECT programme, member_no, tier_name, points, enrolled_on, active, stored_as FROM iaros.loyalty_account_get(%s)', :bob),
    format($$VALUES ('frequent_flyer', '4711', 'Gold', 1200::bigint, '2020-05-01'::date, true, %s::bigint)$$, :bob), 'the account');
SELECT is((SELECT active FROM iaros.loyalty_account_get(:bob, '2020-04-30')), false, 'not active before enrolment');
SELECT is_empty(format('SELECT * FROM iaros.loyalty_account_get(%s)', :visitor), 'who has none has none');
SELECT throws_ok(format('SELECT iaros.loyalty_enrol(%s, member_no => ''4711'')', :visitor), '23505', 'member number "4711" of programme "frequent_flyer" belongs to another customer', 'a number belongs to one customer');
SELECT is_empty(format('SELECT * FROM iaros.loyalty_account_get(%s)', :visitor), 'and the refusal leaves no account');

-- People with several ids.
SELECT iaros.customer_recognise(:visitor, :bob) AS recognised \gset
SELECT is(iaros.loyalty_enrol(:visitor), '4711', 'an alias has the account of its master');
SELECT is((SELECT member_no FROM iaros.loyalty_account_get(:visitor)), '4711', 'and reads it');
SELECT iaros.customer_recognise(:bob, :ada) AS recognised \gset
SELECT is((SELECT array_agg(tier) FROM iaros.loyalty_account_get(:ada)), '{gold,member}', 'two people that turn out to be one have both, the better first');
UPDATE iaros.loyalty_account SET cancelled_on = '2024-01-01' WHERE customer_id = :bob;
SELECT is((SELECT array_agg(tier) FROM iaros.loyalty_account_get(:ada, '2024-02-01')), '{gold,member}', 'of accounts that are not active the better comes first');
SELECT is((SELECT array_agg(tier) FROM iaros.loyalty_account_get(:ada, '2024-06-01')), '{member,gold}', 'active ones come first');

-- Who may read numbers.
CREATE ROLE regress_loyalty_read;
SELECT iaros.access_grant('regress_loyalty_read', 'read') AS granted \gset
SET LOCAL ROLE regress_loyalty_read;
SELECT coalesce(member_no, 'none') AS number, count(*) OVER () AS accounts FROM iaros.loyalty_account_get(:ada) LIMIT 1 \gset seen_
RESET ROLE;
SELECT is(:'seen_number' || ' ' || :'seen_accounts', 'none 2', 'a role that reads sees accounts without numbers');

-- Errors.
SELECT throws_ok($$SELECT iaros.loyalty_enrol(999999999)$$, '23503', 'customer 999999999 does not exist', 'an unknown customer');
SELECT throws_ok(format('SELECT iaros.loyalty_enrol(%s, ''no_such'')', :ada), '23503', 'loyalty programme "no_such" does not exist', 'an unknown programme');
SELECT iaros.customer_create() AS cho \gset
SELECT throws_ok(format('SELECT iaros.loyalty_enrol(%s, tier => ''tin'')', :cho), '23503', NULL, 'an unknown tier');
SELECT throws_ok(format('SELECT iaros.loyalty_enrol(%s, points => -1)', :cho), '23514', NULL, 'points below zero');
INSERT INTO iaros.loyalty_account (customer_id, programme, member_no, tier) VALUES (:cho, 'frequent_flyer', 'X1', 'member');
SELECT is((SELECT count(*) FROM iaros.loyalty_doctor()), 1::bigint, 'doctor() finds a number that is not kept unique');
SELECT * FROM finish();
ROLLBACK;
