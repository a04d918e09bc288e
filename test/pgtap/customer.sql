-- customer: natural keys, aliases, bookings, events, the timeline.
BEGIN;
SELECT plan(50);
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.10), ('KWD', '2026-01-01', 3.25), ('JPY', '2026-01-01', 0.0065);

-- Customers and identifiers.
SELECT iaros.customer_create('crm', 'A1', first_name => 'Ada', email => ' Ada@Example.COM ') AS ada \gset
SELECT is(iaros.customer_create('crm', 'A1', first_name => 'Other'), :ada::bigint, 'a natural key makes one customer');
SELECT is((SELECT first_name FROM iaros.customer WHERE customer_id = :ada), 'Ada', 'the second call changes nothing');
SELECT is(iaros.customer_find('crm', 'A1'), :ada::bigint, 'and it is found by its key');
SELECT is(iaros.customer_find('crm', 'A2'), NULL, 'an unknown key finds nothing');
SELECT is((SELECT value FROM iaros.customer_identifier WHERE customer_id = :ada), 'ada@example.com', 'e-mail addresses are normalised');
SELECT throws_ok($$SELECT iaros.customer_create(email => 'not an address')$$, '23514', NULL, 'a malformed e-mail address is refused');
SELECT throws_ok($$SELECT iaros.customer_create('no_such', 'x')$$, '23503', NULL, 'an unknown source is refused');
SELECT throws_ok($$SELECT iaros.customer_create(country => 'QQ')$$, '23503', NULL, 'an unknown country is refused');
SELECT throws_ok(format('INSERT INTO iaros.customer_identifier VALUES (%s, %L, %L)', :ada, 'email', 'Upper@x.org'), '23514', NULL,
    'an identifier that is not normalised is refused');

-- Aliases.
SELECT iaros.customer_create(kind => 'anonymous') AS anon \gset
SELECT iaros.customer_create(kind => 'anonymous') AS anon2 \gset
SELECT ok(iaros.customer_recognise(:anon, :ada), 'a visitor is recognised');
SELECT ok(NOT iaros.customer_recognise(:anon, :ada), 'a second time changes nothing');
SELECT is(iaros.customer_resolve(:anon), :ada::bigint, 'the alias resolves to its master');
SELECT is(iaros.customer_resolve(:ada), :ada::bigint, 'a master resolves to itself');
SELECT ok(iaros.customer_recognise(:anon2, :anon), 'an alias of an alias');
SELECT is(iaros.customer_resolve(:anon2), :ada::bigint, 'leads to the master at once');
SELECT throws_ok(format('SELECT iaros.customer_recognise(%s, %s)', :ada, :anon), '22023', NULL, 'no circles');
SELECT throws_ok(format('SELECT iaros.customer_recognise(%s, %s)', :ada, :ada), '22023', NULL, 'not of itself');
SELECT throws_ok(format('SELECT iaros.customer_recognise(%s, 999999999)', :ada), '23503', NULL, 'both must exist');
SELECT iaros.customer_create(first_name => 'Master') AS master \gset
SELECT ok(iaros.customer_recognise(:ada, :master), 'a master becomes an alias');
SELECT results_eq(format('SELECT * FROM iaros.customer_ids(%s)', :anon2),
    format('VALUES (%s::bigint), (%s), (%s), (%s)', :master, :ada, :anon, :anon2), 'and its aliases follow');
SELECT ok(iaros.customer_separate(:ada), 'it is undone');
SELECT is(iaros.customer_resolve(:ada), :ada::bigint, 'and stands for itself again');
SELECT is(iaros.customer_resolve(:anon2), :ada::bigint, 'with those that were recognised as it');

-- Bookings.
SELECT iaros.booking_record(:ada, 100, 'EUR', '2026-01-02', 'JFK', 'LHR', 'business', 'J', 'web', 2,
    '2026-02-01', '2026-02-08', items => '[{"kind": "bag", "amount": 20}, {"kind": "seat", "amount": 15, "quantity": 2}]',
    source => 'pss', external_id => 'PNR1') AS pnr1 \gset
SELECT is((SELECT amount_base FROM iaros.booking WHERE booking_id = :pnr1), 110::numeric, 'amount_base is fixed at the day''s rate');
SELECT is((SELECT count(*) FROM iaros.booking_item WHERE booking_id = :pnr1), 2::bigint, 'items are stored');
UPDATE iaros.booking SET amount = 200 WHERE booking_id = :pnr1;
SELECT is((SELECT amount_base FROM iaros.booking WHERE booking_id = :pnr1), 220::numeric, 'amount_base follows a correction');
UPDATE iaros.fx_rate SET rate = 2 WHERE currency = 'EUR';
UPDATE iaros.booking SET status = 'flown' WHERE booking_id = :pnr1;
SELECT is((SELECT amount_base FROM iaros.booking WHERE booking_id = :pnr1), 220::numeric, 'but not a later rate');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 5, 'USD', source => 'pss', external_id => 'PNR1')$$, :ada), '23505', NULL, 'a duplicate booking is refused');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, -1, 'USD')$$, :ada), '23514', NULL, 'a negative amount is refused');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 12.345, 'EUR', '2026-01-02')$$, :ada), '22003', NULL, 'too many decimals are refused');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1.5, 'JPY', '2026-01-02')$$, :ada), '22003', NULL, 'yen have no decimals');
SELECT lives_ok(format($$SELECT iaros.booking_record(%s, 12.345, 'KWD', '2026-01-02')$$, :ada), 'dinars have three');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1, 'XXQ')$$, :ada), '22023', NULL, 'an unknown currency is refused');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1, 'CHF')$$, :ada), 'P0002', NULL, 'a currency without a rate is refused');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1, 'USD', origin => 'QQQ', destination => 'LHR')$$, :ada), '23503', NULL, 'an unknown airport is refused');
SELECT throws_ok($$SELECT iaros.booking_record(999999999, 1, 'USD')$$, '23503', NULL, 'a booking needs its customer');
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1, 'USD', items => '[{"kind": "unicorn", "amount": 1}]')$$, :ada), '23503', NULL, 'an unknown item is refused');
SELECT is((SELECT count(*) FROM iaros.booking WHERE customer_id = :ada), 2::bigint, 'nothing of the refused was written');

-- Events.
SELECT iaros.event_record(:anon, 'search', '2026-01-03', '{"origin": "JFK", "destination": "LHR"}', 'web', 'e1') AS e1 \gset
SELECT is(iaros.event_record(:anon, 'search', '2026-01-03', '{"origin": "JFK", "destination": "LHR"}', 'web', 'e1'), :e1::bigint, 'an event is recorded once');
SELECT is((SELECT count(*) FROM iaros.event WHERE customer_id = :anon), 1::bigint, 'and stored once');
SELECT throws_ok(format($$SELECT iaros.event_record(%s, 'search')$$, :ada), '22023', NULL, 'a required property is asked for');
SELECT throws_ok(format($$SELECT iaros.event_record(%s, 'levitation')$$, :ada), '23503', NULL, 'an unknown kind is refused');
SELECT throws_ok(format($$SELECT iaros.touchpoint_record(%s, 'pigeon')$$, :ada), '23503', NULL, 'an unknown channel is refused');

-- Absurd times, deleted customers.
SELECT throws_ok(format($$SELECT iaros.booking_record(%s, 1, 'USD', departure_at => 'infinity')$$, :ada), '23514', NULL, 'no departure at the end of time');
SELECT iaros.customer_create('crm', 'gone') AS gone \gset
SELECT iaros.customer_create(kind => 'anonymous') AS left_alone \gset
SELECT iaros.customer_recognise(:left_alone, :gone);
DELETE FROM iaros.customer WHERE customer_id = :gone;
SELECT is(iaros.customer_resolve(:left_alone), :left_alone::bigint, 'an alias whose master is deleted stands for itself');
SELECT is(iaros.customer_find('crm', 'gone'), NULL, 'the natural key is free again');
SELECT is((SELECT count(*) FROM iaros.audit_list('customer.delete')), 1::bigint, 'and the log tells');

-- The timeline.
SELECT iaros.touchpoint_record(:ada, 'email', '2026-01-01');
SELECT iaros.conversion_record(:ada, 220, '2026-01-02', booking_id => :pnr1);
SELECT throws_ok(format($$SELECT iaros.conversion_record(%s, 220, booking_id => %s)$$, :ada, :pnr1), '23505', NULL, 'a booking converts once');
SELECT results_eq(format($$SELECT kind, what FROM iaros.customer_timeline(%s) WHERE at > '2025-12-31' AND what !~ '^confirmed'$$, :anon),
    $$VALUES ('event', 'search'), ('booking', 'JFK-LHR business flown'), ('conversion', 'booking'), ('touchpoint', 'email click')$$,
    'the timeline of an alias is that of the person');
SELECT is_empty('SELECT * FROM iaros.customer_timeline(NULL)', 'no customer, no timeline');

SELECT * FROM finish();
ROLLBACK;
