-- campaign: who may do what; whatever ticks come, in whatever order and with
-- whatever batches, each customer gets one message for each trigger.
BEGIN;
SELECT plan(62);
SELECT iaros.customer_create('crm', 'q' || i, first_name => 'Q' || i, email => 'q' || i || '@example.org') FROM generate_series(1, 200) AS i;
CREATE TEMP TABLE who AS
SELECT k.customer_id, substr(k.external_id, 2)::integer AS n FROM iaros.customer_key k WHERE k.external_id ~ '^q[0-9]+$';
-- One in five never agreed, one in ten is an alias of the one before.
SELECT count(iaros.consent_record(customer_id, 'email', 'marketing', true, 'form', recorded_at => '2025-01-01')) FROM who WHERE n % 5 > 0;
SELECT count(iaros.customer_recognise(a.customer_id, m.customer_id)) FROM who a JOIN who m ON m.n = a.n - 1 WHERE a.n % 10 = 2;
SELECT iaros.segment_create('pgtap');
INSERT INTO iaros.segment_membership (customer_id, segment_ids) SELECT customer_id, ARRAY[iaros.segment_find('pgtap')] FROM who;
CREATE TEMP TABLE camp AS SELECT iaros.campaign_create('PGTAP', 'Test', 'email', 'promotional', segment => 'pgtap',
    schedule_at => '2025-03-01 09:00Z', every => '1 day') AS id;
SELECT iaros.campaign_launch(id) FROM camp;
CREATE TEMP VIEW person AS
SELECT DISTINCT iaros.customer_resolve(customer_id) AS customer_id FROM who;

SELECT is((SELECT sum(iaros.campaign_tick('2025-03-01 09:00Z', 1 + (i * 7) % 31)) FROM generate_series(1, 60) AS i), 200::numeric,
    'ticks of all sizes take up every member once');
SELECT is((SELECT count(*) FROM iaros.campaign_send), (SELECT count(*) FROM person), 'each person has one row in the ledger');
SELECT set_eq($$SELECT customer_id FROM iaros.campaign_send$$, $$SELECT customer_id FROM person$$, 'under the id of the master');
SELECT set_eq(
    $$SELECT customer_id FROM iaros.campaign_send WHERE outcome = 'sent'$$,
    $$SELECT f.customer_id FROM iaros.consent_filter_ids(ARRAY(SELECT customer_id FROM person), 'marketing', 'email', NULL, '2025-03-01 09:00Z') f WHERE f.allowed$$,
    'sent to those whom consent_filter allows');
SELECT is_empty($$SELECT customer_id FROM iaros.campaign_send WHERE outcome = 'suppressed' AND NOT reasons[1] ~ '^no_consent: '$$,
    'and suppressed for the others with the reason');
SELECT results_eq(
    $$SELECT s.message_id, s.customer_id FROM iaros.campaign_send s WHERE s.outcome = 'sent' ORDER BY 1$$,
    $$SELECT o.message_id, o.customer_id FROM iaros.outbox o ORDER BY 1$$, 'the ledger and the outbox agree');
SELECT is((SELECT campaign_run.sent + campaign_run.suppressed FROM iaros.campaign_run), (SELECT count(*) FROM person), 'the run counts them');
SELECT is((SELECT count(*) FROM iaros.audit_log WHERE action = 'campaign.send'), (SELECT count(*) FROM iaros.audit_list('campaign.send', max_rows => 1000)),
    'batches are audited');
SELECT is((SELECT sum((detail ->> 'sent')::bigint) FROM iaros.audit_list('campaign.send', max_rows => 1000)), (SELECT count(*)::numeric FROM iaros.outbox), 'with what they sent');
SELECT is(iaros.campaign_tick('2025-03-01 09:00Z'), 0::bigint, 'a tick that runs again changes nothing');
-- The ledger alone holds: the run is forgotten, everything is due again.
DELETE FROM iaros.campaign_run;
SELECT is(iaros.campaign_tick('2025-03-01 10:00Z', 1000), 200::bigint, 'a run that was lost starts over');
SELECT is((SELECT count(*) FROM iaros.outbox), (SELECT count(*) FROM iaros.campaign_send WHERE outcome = 'sent'), 'and sends nothing twice');
SELECT is((SELECT sum(sent + suppressed) FROM iaros.campaign_run), 0::numeric, 'nor counts it');
-- The next day.
SELECT is(iaros.campaign_tick('2025-03-02 09:00Z'), 200::bigint, 'the next occurrence is another trigger');

-- Occurrences are counted without drift.
SELECT is_empty(
    $$SELECT d FROM generate_series(timestamptz '2025-01-01', '2028-01-01', '13 hours') AS d,
        iaros.campaign_occurrence('2025-01-01 00:30Z', '1 month 3 days', d, 'Europe/London') AS o,
        iaros.campaign_occurrence('2025-01-01 00:30Z', '1 month 3 days', o, 'Europe/London') AS again
      WHERE o > d OR again <> o$$, 'an occurrence is its own last occurrence, and never in the future');

-- The grain of a schedule.
SELECT is((SELECT array_agg(iaros.campaign_every_valid(e::interval)) FROM unnest(ARRAY['1 minute', '1 month', '59 seconds', '1 month -29 days', '2 days -1 hour', '-1 year 14 months -1 day', NULL]) AS e),
    '{t,t,f,f,f,f,NULL}', 'an interval of a schedule has no part below zero');
SELECT throws_ok($$SELECT iaros.campaign_occurrence('2025-01-01', '1 month -29 days', '2025-05-05')$$, '22023',
    'interval "1 mon -29 days" has a part below zero', 'the kernel refuses one that has');
SELECT throws_ok($$SELECT iaros.campaign_create('MIXED', 'x', 'email', 'promotional', every => '1 month -29 days')$$, '23514', NULL, 'and so does the table');
SELECT is(iaros.campaign_occurrence('2025-01-31 09:00Z', '1 month', '5026-02-28 09:00Z'), '5026-02-28 09:00Z', 'three thousand years on the month still counts');

-- The table itself takes no short cut past campaign_launch().
SELECT throws_ok($$INSERT INTO iaros.campaign (code, name, channel, template, trigger_kind, status) VALUES ('SHORT', 'x', 'email', 'promotional', 'schedule', 'running')$$,
    '55000', 'campaign "SHORT" cannot be made as running', 'a campaign begins as a draft');
CREATE TEMP TABLE draft AS SELECT iaros.campaign_create('DRAFT', 'x', 'email', 'promotional') AS id;
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'running' FROM draft WHERE campaign_id = id$$,
    '55000', 'campaign "DRAFT" has no audience', 'it is checked when it starts to run');
UPDATE iaros.campaign SET segment_id = iaros.segment_find('pgtap'), template = 'no-such' FROM draft WHERE campaign_id = id;
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'approved' FROM draft WHERE campaign_id = id$$, '42704', NULL, 'and when it is approved');
UPDATE iaros.campaign SET template = 'promotional' FROM draft WHERE campaign_id = id;
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'completed' FROM draft WHERE campaign_id = id$$,
    '55000', 'campaign "DRAFT" is draft and cannot become completed', 'its states follow each other');
SELECT iaros.setting_set('campaign_approval', 'true');
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'running' FROM draft WHERE campaign_id = id$$,
    '55000', 'campaign "DRAFT" is draft and cannot become running', 'nothing runs without the approval that is asked for');
SELECT throws_ok($$SELECT iaros.campaign_launch(id) FROM draft$$, '55000', NULL, 'by whatever way');
SELECT iaros.setting_set('campaign_approval', 'false');
SELECT lives_ok($$UPDATE iaros.campaign SET status = 'running' FROM draft WHERE campaign_id = id$$, 'what campaign_launch() would do is done');
SELECT results_eq($$SELECT launched_at, schedule_at FROM iaros.campaign JOIN draft ON id = campaign_id$$, $$VALUES (now(), now())$$, 'with its times');
SELECT throws_ok($$UPDATE iaros.campaign SET template = 'no-such' FROM draft WHERE campaign_id = id$$, '42704', NULL, 'a running campaign keeps a template that exists');
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'draft' FROM draft WHERE campaign_id = id$$, '55000', NULL, 'and does not become a draft again');
SELECT throws_ok($$UPDATE iaros.campaign SET schedule_at = 'infinity' FROM draft WHERE campaign_id = id$$, '23514', NULL, 'no schedule at infinity');
SELECT iaros.campaign_stop(id) FROM draft;
SELECT throws_ok($$UPDATE iaros.campaign SET status = 'running' FROM draft WHERE campaign_id = id$$, '55000', NULL, 'what has ended stays so');

-- Times: consent is that of now, whatever as_of says.
SELECT throws_ok(format($$SELECT iaros.campaign_tick(%L)$$, at), '22023', NULL, 'no tick as of ' || label)
FROM (VALUES ('infinity', 'infinity'), ('-infinity', '-infinity'), ((now() + interval '6 minutes')::text, 'a time to come')) AS v(at, label);
SELECT throws_ok($$SELECT * FROM iaros.campaign_dispatch((SELECT id FROM camp), '{}', '{}', '{}', 'infinity')$$, '22023', NULL, 'no dispatch as of infinity');
CREATE TEMP TABLE quitter AS SELECT customer_id AS id FROM who WHERE n = 3;
SELECT iaros.consent_record(id, 'email', 'marketing', false, 'web', recorded_at => now()) FROM quitter;
SELECT * FROM iaros.campaign_dispatch((SELECT id FROM camp), ARRAY(SELECT id FROM quitter), '{past}', '{2025-03-01 09:00Z}', '2025-03-01 09:00Z');
SELECT is((SELECT outcome FROM iaros.campaign_send JOIN quitter ON id = customer_id WHERE trigger_key = 'past'), 'suppressed', 'a consent that was withdrawn since does not count');

-- A made-up customer does not make a run skip the rest.
SELECT * FROM iaros.campaign_dispatch((SELECT id FROM camp), '{9223372036854775807}', '{skip}', '{2025-03-01 09:00Z}', '2025-03-01 09:00Z', 'skip');
SELECT is((SELECT last_customer_id FROM iaros.campaign_run WHERE trigger_key = 'skip'), 0::bigint, 'a run comes as far as customers exist');

-- A key that is taken already holds up nobody.
INSERT INTO iaros.outbox (idempotency_key, customer_id, channel, purpose, recipient, body, status)
SELECT format('campaign:%s:%s:taken', camp.id, w.customer_id), w.customer_id, 'email', 'marketing', 'x', 'x', 'cancelled' FROM camp, who w WHERE w.n = 4;
SELECT results_eq(
    $$SELECT d.sent FROM iaros.campaign_dispatch((SELECT id FROM camp), ARRAY(SELECT customer_id FROM who WHERE n IN (4, 6)),
        '{taken,taken}', '{2025-03-01 09:00Z,2025-03-01 09:00Z}', '2025-03-01 09:00Z') d$$, $$VALUES (1::bigint)$$, 'the others get their message');

-- An alias whose master is gone: its events do not go round for ever.
CREATE TEMP TABLE cart AS SELECT iaros.campaign_create('CART', 'x', 'email', 'abandoned-cart-1', trigger_kind => 'event', event_kind => 'cart_abandoned') AS id;
SELECT iaros.campaign_launch(id) FROM cart;
SELECT iaros.event_record(customer_id, 'cart_abandoned', '2025-03-01 08:00Z') FROM who WHERE n IN (7, 12);
INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as)
SELECT customer_id, 9223372036854775807, 9223372036854775807 FROM who WHERE n = 7;
DELETE FROM iaros.campaign WHERE campaign_id = (SELECT id FROM draft);
SELECT iaros.campaign_pause(id) FROM camp;
SELECT is(iaros.campaign_tick('2025-03-01 09:00Z'), 1::bigint, 'the tick answers who is there');
SELECT is(iaros.campaign_tick('2025-03-01 09:00Z'), 0::bigint, 'and comes to an end');
SELECT iaros.campaign_stop(id) FROM cart;
DELETE FROM iaros.customer_alias WHERE master_id = 9223372036854775807;
SELECT iaros.campaign_launch(id) FROM camp;

-- Entries into a segment: whatever comes and goes, each entry is answered
-- once, and with a message where the person has stayed.
SELECT throws_ok($$SELECT iaros.campaign_create('NODOOR', 'x', 'email', 'promotional', trigger_kind => 'segment')$$, '23514', NULL, 'a campaign on entries has a segment');
SELECT throws_ok($$SELECT iaros.campaign_create('NODOOR', 'x', 'email', 'promotional', segment => 'pgtap', trigger_kind => 'segment', event_kind => 'login')$$,
    '23514', NULL, 'and no kind of event');
SELECT iaros.segment_create('pgtap door');
CREATE TEMP TABLE door AS SELECT iaros.campaign_create('DOOR', 'x', 'email', 'promotional', segment => 'pgtap door', trigger_kind => 'segment',
    delay => '1 hour', backlog => '30 days', again_after => '0') AS id;
CREATE TEMP TABLE any_door AS SELECT iaros.campaign_create('ANYDOOR', 'x', 'email', 'promotional', segment => 'pgtap door', trigger_kind => 'segment',
    delay => '1 hour', backlog => '30 days', again_after => '300 days', not_left_since_trigger => false) AS id;
SELECT throws_ok($$UPDATE iaros.campaign SET segment_id = NULL FROM door WHERE campaign_id = id$$, '23514', NULL, 'which it cannot lose');
-- Ten rounds, in each of which some enter and some leave, by chance.
SELECT iaros.segment_member_add('pgtap door', ARRAY(SELECT customer_id FROM who WHERE hashint8extended(n, i) % 7 IN (0, 1)),
        timestamptz '2025-04-01' + i * interval '1 day'),
    iaros.segment_member_remove('pgtap door', ARRAY(SELECT customer_id FROM who WHERE hashint8extended(n, i) % 11 IN (0, 1)),
        timestamptz '2025-04-01 12:00Z' + i * interval '1 day')
FROM generate_series(1, 10) AS i;
-- One is found to be another after both entered.
SELECT iaros.customer_recognise(a.customer_id, m.customer_id) FROM who a JOIN who m ON m.n = a.n - 1 WHERE a.n = 19;
SELECT iaros.campaign_pause(id) FROM camp;
SELECT iaros.campaign_launch(id) FROM door;
SELECT cmp_ok((SELECT count(*) FROM iaros.campaign_due_events((SELECT id FROM door), '2025-04-12', 100000)), '>', 200::bigint, 'there are entries');
SELECT ok((SELECT count(*) FROM iaros.campaign_due_events((SELECT id FROM door), '2025-04-12', 100000))
        = (SELECT count(*) FROM iaros.segment_event WHERE entered AND segment_id = iaros.segment_find('pgtap door'))
    AND (SELECT count(*) FROM iaros.campaign_due_events((SELECT id FROM door), '2025-04-02 00:59Z', 100000)) = 0, 'each is due an hour later');
SELECT is((SELECT sum(iaros.campaign_tick('2025-04-12', 1 + (i * 7) % 31)) FROM generate_series(1, 60) AS i),
    (SELECT count(*)::numeric FROM iaros.segment_event WHERE entered AND segment_id = iaros.segment_find('pgtap door')), 'ticks of all sizes answer each');
CREATE TEMP VIEW entry AS
SELECT 'entry:' || e.segment_event_id AS key, iaros.customer_resolve(e.customer_id) AS person,
    NOT EXISTS (SELECT FROM iaros.segment_event l
                WHERE l.customer_id = e.customer_id AND l.segment_id = e.segment_id AND NOT l.entered AND l.at > e.at) AS stayed,
    w.n % 5 > 0 AND w.n <> 3 AS agreed
FROM iaros.segment_event e JOIN who w ON w.customer_id = iaros.customer_resolve(e.customer_id)
WHERE e.entered AND e.segment_id = iaros.segment_find('pgtap door');
SELECT set_eq($$SELECT customer_id, trigger_key FROM iaros.campaign_send JOIN door ON id = campaign_id$$,
    $$SELECT person, key FROM entry$$, 'one row of the ledger for each, under the master');
SELECT set_eq($$SELECT trigger_key FROM iaros.campaign_send JOIN door ON id = campaign_id WHERE outcome = 'sent'$$,
    $$SELECT key FROM entry WHERE stayed AND agreed$$, 'a message where the person has stayed and agreed');
SELECT set_eq($$SELECT trigger_key FROM iaros.campaign_send JOIN door ON id = campaign_id WHERE reasons::text ~ 'left_segment: '$$,
    $$SELECT key FROM entry WHERE NOT stayed$$, 'and the reason where not');
SELECT is(iaros.campaign_tick('2025-04-12'), 0::bigint, 'nothing is left');
SELECT iaros.campaign_stop(id) FROM door;
SELECT iaros.campaign_launch(id) FROM any_door;
SELECT is(iaros.campaign_tick('2025-04-12', 50), 50::bigint, 'entries are answered whoever has left');
SELECT is((SELECT sum(iaros.campaign_tick('2025-04-12', 50)) FROM generate_series(1, 20)), (SELECT count(*) - 50 FROM entry)::numeric, 'all of them');
SELECT results_eq($$SELECT customer_id, count(*) FROM iaros.campaign_send JOIN any_door ON id = campaign_id WHERE outcome = 'sent' GROUP BY 1 ORDER BY 1$$,
    $$SELECT DISTINCT person, 1::bigint FROM entry WHERE agreed ORDER BY 1$$, 'with one message to a person within again_after');
-- An alias whose master is gone.
SELECT iaros.segment_member_remove('pgtap door', ARRAY(SELECT customer_id FROM who WHERE n IN (26, 27))),
    iaros.segment_member_add('pgtap door', ARRAY(SELECT customer_id FROM who WHERE n IN (26, 27)), '2025-05-01');
INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as)
SELECT customer_id, 9223372036854775807, 9223372036854775807 FROM who WHERE n = 26;
SELECT is(iaros.campaign_tick('2025-05-01 01:00Z'), 1::bigint, 'nobody is there to be answered for an alias without master');
DELETE FROM iaros.customer_alias WHERE master_id = 9223372036854775807;
SELECT iaros.campaign_launch(id) FROM camp;

-- The three levels of access.
CREATE ROLE campaign_read;
CREATE ROLE campaign_operate;
SELECT iaros.access_grant('campaign_read', 'read'), iaros.access_grant('campaign_operate', 'operate');
GRANT SELECT ON camp TO campaign_operate, campaign_read;
SET LOCAL ROLE campaign_read;
SELECT is((SELECT count(*) FROM iaros.campaign_list('running')), 2::bigint, 'read lists campaigns');
SELECT throws_ok('SELECT iaros.campaign_tick()', '42501', NULL, 'read cannot tick');
SELECT throws_ok('SELECT iaros.campaign_stop(id) FROM camp', '42501', NULL, 'nor stop');
SET LOCAL ROLE campaign_operate;
SELECT throws_ok($$INSERT INTO iaros.campaign_send (customer_id, campaign_id, trigger_key, trigger_at, outcome, reasons, at)
    VALUES (1, 1, 'x', now(), 'suppressed', '{x}', now())$$, '42501', NULL, 'operate has no direct write on the ledger');
SELECT throws_ok('DELETE FROM iaros.campaign_run', '42501', NULL, 'nor on the runs');
SELECT is(iaros.campaign_tick('2025-03-03 09:00Z'), 200::bigint, 'operate ticks');
SELECT lives_ok('SELECT iaros.campaign_pause(id) FROM camp', 'and pauses');
SELECT is(iaros.campaign_tick('2025-05-01 01:00Z'), 1::bigint, 'and answers entries');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
