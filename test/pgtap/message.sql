-- message: who may do what, recipients and tokens of aliases, leases, events.
BEGIN;
SELECT plan(61);
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', who) $$;
SELECT iaros.customer_create('crm', 'p' || i, first_name => 'P' || i) FROM generate_series(1, 3) AS i;

-- Recipients.
INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary, created_at) VALUES
    (pg_temp.id('p1'), 'email', 'old@example.org', false, '2020-01-01'),
    (pg_temp.id('p1'), 'email', 'main@example.org', true, '2025-01-01'),
    (pg_temp.id('p2'), 'phone', '+49301', false, '2025-01-01'),
    (pg_temp.id('p3'), 'email', 'alias@example.org', true, '2025-01-01');
SELECT iaros.customer_recognise(pg_temp.id('p3'), pg_temp.id('p2'));
SELECT results_eq(
    $$SELECT recipient FROM iaros.message_recipients(ARRAY[pg_temp.id('p1')], 'email')$$,
    $$VALUES ('main@example.org')$$, 'the primary address comes first');
SELECT results_eq(
    $$SELECT recipient FROM iaros.message_recipients(ARRAY[pg_temp.id('p2')], 'email')$$,
    $$VALUES ('alias@example.org')$$, 'the address of an alias serves where the customer has none');
SELECT results_eq(
    $$SELECT recipient FROM iaros.message_recipients(ARRAY[pg_temp.id('p2')], 'sms')$$,
    $$VALUES ('+49301')$$, 'the channel says which identifier is the address');
SELECT is_empty($$SELECT * FROM iaros.message_recipients(ARRAY[pg_temp.id('p1')], 'push')$$, 'no device, no recipient');
SELECT is_empty($$SELECT * FROM iaros.message_recipients(ARRAY[pg_temp.id('p1')], 'post')$$, 'no street, no letter');
UPDATE iaros.customer SET street = '1 High St', postal_code = 'X1', city = 'Town', country = 'GB' WHERE customer_id = pg_temp.id('p1');
SELECT results_eq(
    $$SELECT recipient FROM iaros.message_recipients(ARRAY[pg_temp.id('p1')], 'post')$$,
    $$VALUES ('1 High St, X1, Town, GB')$$, 'a letter goes to the postal address');
SELECT is_empty($$SELECT * FROM iaros.message_recipients('{}', 'email')$$, 'nobody asked for, nobody found');
SELECT is_empty($$SELECT * FROM iaros.message_recipients(NULL, 'email')$$, 'NULL finds nobody');

-- Tokens.
SELECT iaros.booking_record(pg_temp.id('p2'), 10, 'USD', '2026-01-01', 'FRA', 'LHR');
SELECT iaros.booking_record(pg_temp.id('p3'), 10, 'USD', '2026-01-02', 'LHR', 'JFK');
SELECT iaros.booking_record(pg_temp.id('p2'), 10, 'USD', '2026-01-03', 'JFK', 'LAX', status => 'cancelled');
SELECT is((SELECT tokens #>> '{lastBooking,route}' FROM iaros.message_tokens(ARRAY[pg_temp.id('p2')])), 'LHR-JFK',
    'the last booking is that of the person, cancelled ones do not count');
SELECT is((SELECT tokens #>> '{lastBooking,route}' FROM iaros.message_tokens(ARRAY[pg_temp.id('p2')], '{customer.firstName}')), NULL,
    'what no template asks for is not looked up');
SELECT is((SELECT tokens #>> '{customer,firstName}' FROM iaros.message_tokens(ARRAY[pg_temp.id('p2')], '{}')), 'P2',
    'the name is always there');
SELECT is_empty(
    $$SELECT l.token FROM iaros.message_token_list() l
      WHERE l.token ~ '^(customer|lastBooking)\.' AND NOT EXISTS (
          SELECT FROM iaros.message_tokens(ARRAY[pg_temp.id('p2')]) t
          WHERE t.tokens -> split_part(l.token, '.', 1) ? split_part(l.token, '.', 2))$$,
    'every token of the list has its place');

-- The queue.
SELECT is((SELECT count(*) FROM generate_series(1, 3) AS i,
    iaros.outbox_enqueue(pg_temp.id('p3'), 'email', 'transactional', 'Hello', 'pgtap:' || i, send_after => now() - i * interval '1 minute') q
    WHERE q.message_id IS NOT NULL), 3::bigint, 'messages are queued');
SELECT is((SELECT DISTINCT customer_id FROM iaros.outbox WHERE idempotency_key LIKE 'pgtap:%'), pg_temp.id('p2'), 'for the master of an alias');
SELECT results_eq(
    $$SELECT o.idempotency_key FROM iaros.outbox_claim('email', 2) c JOIN iaros.outbox o USING (message_id) ORDER BY o.send_after$$,
    $$VALUES ('pgtap:3'), ('pgtap:2')$$, 'the oldest come first');
SELECT is((SELECT count(DISTINCT claim_token) FROM iaros.outbox WHERE status = 'claimed'), 1::bigint, 'one claim, one token');
SELECT ok(iaros.outbox_ack(message_id, claim_token), 'acknowledged: ' || idempotency_key) FROM iaros.outbox WHERE idempotency_key = 'pgtap:3';
SELECT ok(NOT iaros.outbox_ack(message_id, claim_token - 1), 'an older token is refused') FROM iaros.outbox WHERE idempotency_key = 'pgtap:2';
SELECT is(iaros.outbox_fail(message_id, claim_token, 'no such mailbox', true), 'dead', 'a permanent failure is not tried again') FROM iaros.outbox WHERE idempotency_key = 'pgtap:2';
SELECT is((SELECT count(*) FROM iaros.message_doctor() WHERE finding LIKE '1 messages were given up'), 1::bigint, 'doctor names messages given up');
UPDATE iaros.outbox SET created_at = now() - interval '91 days' WHERE idempotency_key IN ('pgtap:1', 'pgtap:3');
SELECT is(iaros.outbox_prune(), 1::bigint, 'old messages are pruned, waiting ones are not');
SELECT is((SELECT count(*) FROM iaros.message_event WHERE kind = 'sent' AND customer_id = pg_temp.id('p2')), 1::bigint, 'what became of them stays');

-- Unsubscribing and complaining.
SELECT iaros.message_event_record(message_id, 'unsubscribed') FROM iaros.outbox WHERE idempotency_key = 'pgtap:2';
SELECT iaros.message_event_record(message_id, 'complained') FROM iaros.outbox WHERE idempotency_key = 'pgtap:2';
SELECT results_eq(
    $$SELECT reason FROM iaros.dnc WHERE customer_id = pg_temp.id('p2') AND channel = 'email' ORDER BY 1$$,
    $$VALUES ('spam_complaint'), ('unsubscribe')$$, 'both are on the do-not-contact list');
SELECT throws_ok($$SELECT iaros.message_event_record(-1, 'opened')$$, 'P0002', NULL, 'unknown message: P0002');

-- Times out of range, keys of others, what errors must not say, clocks ahead.
SELECT iaros.consent_record(pg_temp.id('p1'), 'email', 'marketing', true, 'form', recorded_at => now() - interval '10 days');
CREATE TEMP TABLE late AS SELECT q.message_id AS id
FROM iaros.outbox_enqueue(pg_temp.id('p1'), 'email', 'marketing', 'Secret', 'pgtap:late', send_after => now() - interval '9 days') q;
SELECT iaros.consent_record(pg_temp.id('p1'), 'email', 'marketing', false, 'web', recorded_at => now() - interval '1 day');
SELECT is_empty($$SELECT * FROM iaros.outbox_claim('email', 100, '5 minutes', now() - interval '5 days') c JOIN late ON id = c.message_id$$,
    'an as_of before the withdrawal does not bring the consent back');
SELECT is((SELECT status FROM iaros.outbox JOIN late ON id = message_id), 'cancelled', 'the message is cancelled');
SELECT throws_ok(format($$SELECT * FROM iaros.outbox_claim('email', as_of => %L)$$, at), '22023', NULL, 'no claim as of ' || label)
FROM (VALUES ('infinity', 'infinity'), ('-infinity', '-infinity'), ((now() + interval '6 minutes')::text, 'a time to come')) AS v(at, label);
SELECT throws_ok($$SELECT * FROM iaros.outbox_claim('email', as_of => NULL)$$, '22023', NULL, 'no claim as of NULL');
SELECT throws_ok($$SELECT * FROM iaros.outbox_claim('email', lease => '25 hours')$$, '22023', NULL, 'no lease above a day');
SELECT throws_ok($$SELECT iaros.outbox_ack(1, 1, 'infinity')$$, '22023', NULL, 'nothing is sent at infinity');
SELECT throws_ok($$SELECT iaros.outbox_fail(1, 1, 'x', at => 'infinity')$$, '22023', NULL, 'nor fails at infinity');
SELECT throws_ok($$SELECT iaros.message_event_record(id, 'opened', at) FROM late, (VALUES (timestamptz 'infinity')) v(at)$$, '22023', NULL, 'no event at infinity');
SELECT throws_ok($$SELECT iaros.message_event_record(id, 'opened', now() + interval '25 hours') FROM late$$, '22023', NULL, 'nor in the far future');
SELECT throws_ok($$INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel)
    VALUES (pg_temp.id('p1'), '2200-01-01 00:00Z', 1, 'opened', 'email')$$, '23514', NULL, 'the table takes no such time either');
SELECT throws_ok($$INSERT INTO iaros.outbox (idempotency_key, customer_id, channel, purpose, recipient, body, send_after)
    VALUES ('pgtap:never', 1, 'email', 'marketing', 'x', 'x', 'infinity')$$, '23514', NULL, 'nor does the queue');
SELECT throws_ok(format($$SELECT * FROM iaros.outbox_enqueue(pg_temp.id('p2'), 'email', 'transactional', 'Hello', 'pgtap:time', send_after => %L)$$, at),
    '22023', NULL, 'no message goes out at ' || at) FROM unnest('{infinity,-infinity}'::text[]) AS at;
SELECT lives_ok($$SELECT * FROM iaros.outbox_enqueue(pg_temp.id('p2'), 'email', 'transactional', 'Hello', 'pgtap:key')$$, 'a key is taken');
SELECT results_eq(
    $$SELECT q.message_id, q.reasons FROM iaros.outbox_enqueue(pg_temp.id('p3'), 'email', 'transactional', 'Hello', 'pgtap:key') q$$,
    $$SELECT message_id, '{}'::text[] FROM iaros.outbox WHERE idempotency_key = 'pgtap:key'$$, 'the same call under an alias returns the first message');
SELECT throws_ok(format($$SELECT * FROM iaros.outbox_enqueue(pg_temp.id(%L), %L, %L, %L, 'pgtap:key')$$, who, channel, purpose, body), '22023',
    'idempotency key "pgtap:key" belongs to another message', 'not for another ' || differs)
FROM (VALUES ('p1', 'email', 'transactional', 'Hello', 'customer'), ('p2', 'sms', 'transactional', 'Hello', 'channel'),
    ('p2', 'email', 'marketing', 'Hello', 'purpose'), ('p2', 'email', 'transactional', 'Goodbye', 'body')) AS v(who, channel, purpose, body, differs);
SELECT throws_ok($$SELECT * FROM iaros.outbox_enqueue(pg_temp.id('p2'), 'email', 'transactional', 'Hello', 'campaign:1:2:x')$$, '22023', NULL,
    'the keys of campaigns are not for others');
SELECT throws_ok($$SELECT * FROM iaros.outbox_enqueue(pg_temp.id('p2'), 'email', 'transactional', 'Hello', '')$$, '22023', NULL, 'no empty key');
CREATE FUNCTION pg_temp.complaint(body text, key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    main text;
    more text;
BEGIN
    PERFORM iaros.outbox_enqueue(pg_temp.id('p1'), 'email', 'transactional', body, key, recipient => 'secret@example.org');
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS main = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || main || more;
END $$;
SELECT is(pg_temp.complaint('Secret', NULL), '22004 idempotency key of a message is NULL', 'a missing key is refused without address and body');
SELECT is(pg_temp.complaint(NULL, 'pgtap:null'), '22004 body of a message is NULL', 'and a missing body');
-- p1 unsubscribes; the clock of the provider is an hour ahead.
SELECT iaros.message_event_record(id, 'unsubscribed', now() + interval '1 hour') FROM late;
SELECT is((SELECT added_at FROM iaros.dnc WHERE customer_id = pg_temp.id('p1') AND reason = 'unsubscribe'), now(), 'who unsubscribes is off the list at once');
SELECT ok(k.reasons::text ~ 'do_not_contact: unsubscribe', 'and gets nothing from now on')
FROM iaros.consent_check(pg_temp.id('p1'), 'marketing', 'email') k;
-- What a provider says of an address does not reach the alerts.
CREATE TEMP TABLE dying AS
SELECT q.message_id AS id FROM iaros.outbox_enqueue(pg_temp.id('p2'), 'email', 'transactional', 'Hello', 'pgtap:dying', send_after => now() - interval '1 minute') q;
SELECT is(iaros.outbox_fail(c.message_id, c.token, 'no mailbox alias@example.org', true), 'dead', 'given up')
FROM iaros.outbox_claim('email', 100) c JOIN dying ON id = c.message_id;
SELECT is((SELECT last_error FROM iaros.outbox JOIN dying ON id = message_id), 'no mailbox alias@example.org', 'the queue keeps what the provider said');
SELECT is_empty($$SELECT message FROM iaros.alert WHERE message ~ '@|mailbox'$$, 'the alert does not');
DELETE FROM iaros.outbox o USING dying WHERE o.message_id = dying.id;
UPDATE iaros.outbox SET status = 'cancelled', claimed_until = NULL WHERE idempotency_key IN ('pgtap:key', 'pgtap:late');
UPDATE iaros.outbox SET status = 'queued', claimed_until = NULL WHERE idempotency_key = 'pgtap:1';

-- The three levels of access.
CREATE ROLE message_read;
CREATE ROLE message_operate;
SELECT iaros.access_grant('message_read', 'read'), iaros.access_grant('message_operate', 'operate');
SET LOCAL ROLE message_read;
SELECT throws_ok('SELECT body FROM iaros.outbox', '42501', NULL, 'read does not see what messages say');
SELECT lives_ok('SELECT status, channel FROM iaros.outbox', 'read sees the queue');
SELECT throws_ok($$SELECT * FROM iaros.outbox_claim('email')$$, '42501', NULL, 'read cannot claim');
SET LOCAL ROLE message_operate;
SELECT throws_ok($$UPDATE iaros.outbox SET status = 'queued'$$, '42501', NULL, 'operate has no direct write on the queue');
SELECT throws_ok($$INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel) VALUES (1, now(), 1, 'opened', 'email')$$,
    '42501', NULL, 'nor on the events of messages');
SELECT is((SELECT count(*) FROM iaros.outbox_claim('email')), 1::bigint, 'operate claims through the gate');
SELECT is((SELECT count(*) FROM iaros.outbox o WHERE o.status = 'claimed' AND iaros.outbox_ack(o.message_id, o.claim_token)), 1::bigint, 'and acknowledges');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
