-- campaign: who may do what; whatever ticks come, in whatever order and with
-- whatever batches, each customer gets one message for each trigger.
BEGIN;
SELECT plan(22);
SELECT iaros.customer_create('crm', 'q' || i, first_name => 'Q' || i, email => 'q' || i || '@example.org') FROM generate_series(1, 200) AS i;
CREATE TEMP TABLE who AS
SELECT k.customer_id, substr(k.external_id, 2)::integer AS n FROM iaros.customer_key k WHERE k.external_id ~ '^q[0-9]+$';
-- One in five never agreed, one in ten is an alias of the one before.
SELECT count(iaros.consent_record(customer_id, 'email', 'marketing', true, 'form', recorded_at => '2026-01-01')) FROM who WHERE n % 5 > 0;
SELECT count(iaros.customer_recognise(a.customer_id, m.customer_id)) FROM who a JOIN who m ON m.n = a.n - 1 WHERE a.n % 10 = 2;
SELECT iaros.segment_create('pgtap');
INSERT INTO iaros.segment_membership (customer_id, segment_ids) SELECT customer_id, ARRAY[iaros.segment_find('pgtap')] FROM who;
CREATE TEMP TABLE camp AS SELECT iaros.campaign_create('PGTAP', 'Test', 'email', 'promotional', segment => 'pgtap',
    schedule_at => '2026-03-01 09:00Z', every => '1 day') AS id;
SELECT iaros.campaign_launch(id) FROM camp;
CREATE TEMP VIEW person AS
SELECT DISTINCT iaros.customer_resolve(customer_id) AS customer_id FROM who;

SELECT is((SELECT sum(iaros.campaign_tick('2026-03-01 09:00Z', 1 + (i * 7) % 31)) FROM generate_series(1, 60) AS i), 200::numeric,
    'ticks of all sizes take up every member once');
SELECT is((SELECT count(*) FROM iaros.campaign_send), (SELECT count(*) FROM person), 'each person has one row in the ledger');
SELECT set_eq($$SELECT customer_id FROM iaros.campaign_send$$, $$SELECT customer_id FROM person$$, 'under the id of the master');
SELECT set_eq(
    $$SELECT customer_id FROM iaros.campaign_send WHERE outcome = 'sent'$$,
    $$SELECT f.customer_id FROM iaros.consent_filter_ids(ARRAY(SELECT customer_id FROM person), 'marketing', 'email', NULL, '2026-03-01 09:00Z') f WHERE f.allowed$$,
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
SELECT is(iaros.campaign_tick('2026-03-01 09:00Z'), 0::bigint, 'a tick that runs again changes nothing');
-- The ledger alone holds: the run is forgotten, everything is due again.
DELETE FROM iaros.campaign_run;
SELECT is(iaros.campaign_tick('2026-03-01 10:00Z', 1000), 200::bigint, 'a run that was lost starts over');
SELECT is((SELECT count(*) FROM iaros.outbox), (SELECT count(*) FROM iaros.campaign_send WHERE outcome = 'sent'), 'and sends nothing twice');
SELECT is((SELECT sum(sent + suppressed) FROM iaros.campaign_run), 0::numeric, 'nor counts it');
-- The next day.
SELECT is(iaros.campaign_tick('2026-03-02 09:00Z'), 200::bigint, 'the next occurrence is another trigger');

-- Occurrences are counted without drift.
SELECT is_empty(
    $$SELECT d FROM generate_series(timestamptz '2026-01-01', '2028-01-01', '13 hours') AS d,
        iaros.campaign_occurrence('2026-01-01 00:30Z', '1 month 3 days', d, 'Europe/London') AS o,
        iaros.campaign_occurrence('2026-01-01 00:30Z', '1 month 3 days', o, 'Europe/London') AS again
      WHERE o > d OR again <> o$$, 'an occurrence is its own last occurrence, and never in the future');

-- The three levels of access.
CREATE ROLE campaign_read;
CREATE ROLE campaign_operate;
SELECT iaros.access_grant('campaign_read', 'read'), iaros.access_grant('campaign_operate', 'operate');
GRANT SELECT ON camp TO campaign_operate, campaign_read;
SET LOCAL ROLE campaign_read;
SELECT is((SELECT count(*) FROM iaros.campaign_list('running')), 1::bigint, 'read lists campaigns');
SELECT throws_ok('SELECT iaros.campaign_tick()', '42501', NULL, 'read cannot tick');
SELECT throws_ok('SELECT iaros.campaign_stop(id) FROM camp', '42501', NULL, 'nor stop');
SET LOCAL ROLE campaign_operate;
SELECT throws_ok($$INSERT INTO iaros.campaign_send (customer_id, campaign_id, trigger_key, trigger_at, outcome, reasons, at)
    VALUES (1, 1, 'x', now(), 'suppressed', '{x}', now())$$, '42501', NULL, 'operate has no direct write on the ledger');
SELECT throws_ok('DELETE FROM iaros.campaign_run', '42501', NULL, 'nor on the runs');
SELECT is(iaros.campaign_tick('2026-03-03 09:00Z'), 200::bigint, 'operate ticks');
SELECT lives_ok('SELECT iaros.campaign_pause(id) FROM camp', 'and pauses');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
