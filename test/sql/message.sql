-- Templates, the outbox, and what becomes of messages.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
BEGIN;
SELECT iaros.customer_create('crm', 'm' || i, first_name => name, last_name => 'O''Neil <Jr>',
    email => CASE WHEN i <= 3 THEN lower(name) || '@example.org' END, phone => '+49 30 555 0' || i) IS NOT NULL AS made
FROM (VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cem'), (4, 'Dee')) AS v(i, name);
CREATE TEMP VIEW who AS
SELECT external_id AS who, customer_id FROM iaros.customer_key WHERE external_id ~ '^m[0-9]$';
SELECT iaros.consent_record(customer_id, 'email', 'marketing', true, 'form', recorded_at => '2026-01-01') IS NOT NULL AS given
FROM who WHERE who <> 'm3';
SELECT iaros.booking_record((SELECT customer_id FROM who WHERE who = 'm1'), 120, 'USD', '2026-02-03 10:00Z',
    origin => 'FRA', destination => 'JFK') IS NOT NULL AS booked;

-- Tokens
SELECT token FROM iaros.message_token_list();
SELECT w.who, t.tokens #- '{customer,id}' AS tokens
FROM iaros.message_tokens(ARRAY(SELECT customer_id FROM who)) t JOIN who w USING (customer_id)
WHERE w.who IN ('m1', 'm4') ORDER BY 1;
SELECT iaros.message_render('Dear {{customer.lastName}}{{customer.tier}}', '{"customer": {"lastName": "O''Neil <Jr>"}}', true);
SELECT iaros.message_render('Dear {{customer.lastName}}{{customer.tier}}', '{"customer": {"lastName": "O''Neil <Jr>"}}', false);

-- Templates: what is refused, with its SQLSTATE
\set VERBOSITY sqlstate
\set ON_ERROR_ROLLBACK on
SELECT iaros.message_template_set('t-bad', 'email', 'Dear {{customer.firstName');
SELECT iaros.message_template_set('t-bad', 'email', 'Dear {{#customer}}x{{/customer}}');
SELECT iaros.message_template_set('t-bad', 'email', 'Dear {{customer.shoeSize}}');
SELECT iaros.message_template_set('t-bad', 'email', 'Dear', subject => '{{offer.kode}}');
SELECT iaros.message_template_set('t-bad', 'pigeon', 'Dear');
SELECT iaros.message_template_set('t-bad', 'paid_search', 'Dear');
SELECT iaros.message_template_set('Bad Name', 'email', 'Dear');
\set VERBOSITY default
SELECT iaros.message_template_set('t-bad', 'email', 'Dear {{customer.shoeSize}}');
SELECT iaros.message_template_set('t-bad', 'pigeon', 'Dear');
SELECT iaros.message_template_set('t-good', 'email', '<p>Dear {{customer.lastName}}, {{lastBooking.route}} of {{lastBooking.date}}</p>',
    subject => 'For {{customer.lastName}}', html => true) IS NOT NULL AS made;
SELECT iaros.message_template_set('t-good', 'email', '<p>Dear {{customer.lastName}}: {{lastBooking.route}} of {{lastBooking.date}}</p>',
    subject => 'To {{customer.lastName}}', html => true) IS NOT NULL AS changed;
SELECT p.* FROM who w, iaros.message_preview('t-good', 'email', w.customer_id) p WHERE w.who = 'm1';
SELECT p.* FROM who w, iaros.message_preview('t-good', 'email', w.customer_id) p WHERE w.who = 'm4';
SELECT count(*) FROM iaros.message_preview('no-such', 'email', 1);

-- Shipped templates use tokens that exist
SELECT count(iaros.message_template_check(concat(subject, ' ', body), name)) = count(*) AS all_good
FROM iaros.message_template WHERE shipped_hash IS NOT NULL;

-- Queueing: once for a key, refused with all reasons
SELECT who, q.message_id IS NOT NULL AS queued, q.reasons
FROM who, iaros.outbox_enqueue(customer_id, 'email', 'marketing', 'Hello', 'hello:' || who, subject => 'Hi',
    send_after => '2026-03-01 08:00Z') q ORDER BY who;
SELECT count(DISTINCT q.message_id) AS messages
FROM who, generate_series(1, 2), iaros.outbox_enqueue(customer_id, 'email', 'marketing', 'Hello', 'hello:' || who) q;
SELECT who, q.reasons
FROM who, iaros.outbox_enqueue(customer_id, 'email', 'transactional', 'Receipt', 'receipt:' || who,
    send_after => '2026-03-01 09:00Z') q ORDER BY who;
SELECT q.message_id, q.reasons FROM iaros.outbox_enqueue(-5, 'email', 'marketing', 'x', 'x') q;
\set VERBOSITY sqlstate
SELECT iaros.outbox_enqueue(1, 'pigeon', 'marketing', 'x', 'x');
SELECT iaros.outbox_enqueue(1, 'display', 'marketing', 'x', 'x');
SELECT iaros.outbox_enqueue(1, 'email', 'mischief', 'x', 'x');
SELECT * FROM iaros.outbox_claim('pigeon');
SELECT * FROM iaros.outbox_claim('email', 0);
SELECT * FROM iaros.outbox_claim('email', 10, '-1 minute');
\set VERBOSITY default

-- Claiming: oldest first, nothing before its time, nothing twice
SELECT count(*) FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-01 07:59Z');
SELECT c.message_id AS first_id, c.token AS first_token FROM iaros.outbox_claim('email', 1, '5 minutes', '2026-03-01 10:00Z') c \gset
SELECT w.who, o.idempotency_key, o.status, o.claimed_until, o.attempts
FROM iaros.outbox o JOIN who w USING (customer_id) WHERE o.message_id = :first_id;
SELECT count(*) AS others, bool_and(message_id <> :first_id) AS different
FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-01 10:00Z');
SELECT count(*) AS left_over FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-01 10:04Z');

-- The lease ran out: another worker gets the message, the first one is late
SELECT c.token AS second_token FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-01 10:06Z') c WHERE c.message_id = :first_id \gset
SELECT :second_token > :first_token AS newer;
SELECT iaros.outbox_ack(:first_id, :first_token, '2026-03-01 10:07Z') AS late_ack;
SELECT iaros.outbox_fail(:first_id, :first_token, 'late') IS NULL AS late_fail;
SELECT status, last_error FROM iaros.outbox WHERE message_id = :first_id;
SELECT iaros.outbox_ack(:first_id, :second_token, '2026-03-01 10:07Z') AS ack;
SELECT iaros.outbox_ack(:first_id, :second_token, '2026-03-01 10:08Z') AS ack_again;
SELECT status, sent_at, claimed_until FROM iaros.outbox WHERE message_id = :first_id;
SELECT kind, occurred_at FROM iaros.message_event WHERE message_id = :first_id;

-- Failure: waits twice as long each time, dead after five attempts
SELECT message_id AS bad FROM iaros.outbox WHERE idempotency_key = 'receipt:m3' \gset
CREATE FUNCTION pg_temp.fail_once(at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', iaros.outbox_fail(c.message_id, c.token, 'mailbox full', false, at))
    FROM iaros.outbox_claim('email', 10, '5 minutes', at) c
    JOIN iaros.outbox o ON o.message_id = c.message_id AND o.idempotency_key = 'receipt:m3' $$;
UPDATE iaros.outbox SET attempts = 0, status = 'queued', claimed_until = NULL WHERE message_id = :bad;
UPDATE iaros.outbox SET status = 'dead', claimed_until = NULL WHERE message_id <> :bad AND status <> 'sent';
SELECT pg_temp.fail_once('2026-03-02 10:00Z');
SELECT send_after, attempts, last_error FROM iaros.outbox WHERE message_id = :bad;
SELECT pg_temp.fail_once('2026-03-02 10:00:30Z') IS NULL AS too_early;
SELECT pg_temp.fail_once('2026-03-02 10:01Z');
SELECT pg_temp.fail_once('2026-03-02 10:03Z');
SELECT pg_temp.fail_once('2026-03-02 10:07Z');
SELECT send_after, attempts FROM iaros.outbox WHERE message_id = :bad;
SELECT pg_temp.fail_once('2026-03-02 10:15Z');
SELECT status, attempts FROM iaros.outbox WHERE message_id = :bad;
SELECT kind, severity, object FROM iaros.alert WHERE kind = 'outbox_dead';
SELECT iaros.outbox_retry(:bad) AS retried, iaros.outbox_retry(:first_id) AS sent_one;
SELECT status, attempts FROM iaros.outbox WHERE message_id = :bad;

-- A worker that dies every time: dead at last
UPDATE iaros.outbox SET attempts = 5, status = 'claimed', claimed_until = '2026-03-03 10:00Z', last_error = NULL WHERE message_id = :bad;
SELECT count(*) FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-03 10:01Z');
SELECT status, last_error FROM iaros.outbox WHERE message_id = :bad;

-- Consent withdrawn while the message waits
SELECT q.message_id AS waiting FROM who, iaros.outbox_enqueue(customer_id, 'email', 'marketing', 'News', 'news:m2', send_after => '2026-03-05 08:00Z') q WHERE who = 'm2' \gset
SELECT iaros.consent_record(customer_id, 'email', 'marketing', false, 'web', recorded_at => '2026-03-04') IS NOT NULL AS withdrawn FROM who WHERE who = 'm2';
SELECT count(*) FROM iaros.outbox_claim('email', 10, '5 minutes', '2026-03-05 09:00Z');
SELECT status, last_error FROM iaros.outbox WHERE message_id = :waiting;

-- What becomes of a message; the same twice is once
SELECT iaros.message_event_record(:first_id, 'delivered', '2026-03-01 10:08Z') AS first, iaros.message_event_record(:first_id, 'delivered', '2026-03-01 10:08Z') AS again;
SELECT iaros.message_event_record(:first_id, 'opened', '2026-03-01 11:00Z') AS first, iaros.message_event_record(:first_id, 'opened', '2026-03-01 11:00Z') AS again;
SELECT iaros.message_event_record(:first_id, 'clicked', '2026-03-01 11:01Z') AS first, iaros.message_event_record(:first_id, 'clicked', '2026-03-01 11:01Z') AS again;
SELECT kind, occurred_at, channel FROM iaros.message_event WHERE message_id = :first_id ORDER BY occurred_at;
SELECT w.who, e.kind, e.occurred_at, e.source FROM iaros.event e JOIN who w USING (customer_id) ORDER BY e.occurred_at;
SELECT w.who, t.kind, t.channel, t.occurred_at, t.message_id = :first_id AS of_message FROM iaros.touchpoint t JOIN who w USING (customer_id) ORDER BY t.occurred_at;
SELECT iaros.message_event_record(:first_id, 'bounced_hard', '2026-03-01 12:00Z') AS bounced;
SELECT iaros.message_event_record(:first_id, 'bounced_hard', '2026-03-01 12:00Z') AS again;
SELECT w.who, d.channel, d.reason, d.added_at FROM iaros.dnc d JOIN who w USING (customer_id);
SELECT who, q.message_id, q.reasons FROM who, iaros.outbox_enqueue(customer_id, 'email', 'marketing', 'More', 'more:' || who) q WHERE who = 'm1';
SELECT iaros.message_event_record(-1, 'opened');
ROLLBACK;
