-- Campaigns: what is refused, who gets what and why not, ticks that are
-- early, late, repeated or broken.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on

-- Occurrences of a schedule
SELECT iaros.campaign_occurrence('2025-01-31 09:00Z', '1 month', d) FROM unnest(ARRAY['2025-01-31 08:59Z', '2025-01-31 09:00Z', '2025-02-28 09:00Z', '2025-03-31 08:59Z', '2025-03-31 09:00Z', '2126-07-31 10:00Z']::timestamptz[]) AS d;
SELECT iaros.campaign_occurrence('2025-03-29 08:00Z', '1 day', '2025-03-30 12:00Z', 'Europe/Berlin') AS nine_in_berlin;
SELECT iaros.campaign_occurrence('2025-01-01', NULL, '2025-05-05'), iaros.campaign_occurrence(NULL, '1 day', '2025-05-05') IS NULL AS null_of_null;
SELECT iaros.campaign_occurrence('2025-01-01', '10 seconds', '2025-05-05');
SELECT bool_and(o <= t AND o + interval '37 hours' > t) AS last_before
FROM (SELECT timestamptz '2025-01-01' + i * interval '101 minutes' AS t FROM generate_series(0, 5000) AS i) g,
    iaros.campaign_occurrence('2025-01-01', '37 hours', t) AS o;

BEGIN;
SELECT count(iaros.customer_create('crm', 'k' || i, first_name => name, email => lower(name) || '@example.org', language => language)) AS made
FROM (VALUES (1, 'Ada', 'en'), (2, 'Bob', 'de-AT'), (3, 'Cem', NULL), (4, 'Dee', 'fr'), (5, 'Eva', 'en'), (6, 'Ada2', 'en')) AS v(i, name, language);
CREATE TEMP VIEW who AS
SELECT external_id AS who, customer_id FROM iaros.customer_key WHERE external_id ~ '^k[0-9]$';
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', who) $$;
CREATE TEMP VIEW ledger AS
SELECT c.code, w.who, s.outcome, s.reasons, s.at
FROM iaros.campaign_send s JOIN iaros.campaign c USING (campaign_id) JOIN who w USING (customer_id);
-- k6 is k1 seen from another browser; k3 never agreed
SELECT count(iaros.consent_record(customer_id, 'email', 'marketing', true, 'form', recorded_at => '2025-01-01')) FROM who WHERE who <> 'k3';
SELECT iaros.customer_recognise(pg_temp.id('k6'), pg_temp.id('k1'));
SELECT iaros.segment_create('camp everyone') IS NOT NULL AS made;
SELECT iaros.segment_member_add('camp everyone', ARRAY(SELECT customer_id FROM who));
SELECT iaros.message_template_set('camp-news', 'email', '<p>Hello {{customer.firstName}}: {{offer.code}} {{offer.discount}}</p>', subject => '{{campaign.name}}', html => true) IS NOT NULL AS en,
    iaros.message_template_set('camp-news', 'email', '<p>Hallo {{customer.firstName}}</p>', subject => '{{campaign.name}}', language => 'de', html => true) IS NOT NULL AS de;

-- What campaign_create refuses
\set VERBOSITY sqlstate
SELECT iaros.campaign_create('X1', 'x', 'pigeon', 'camp-news');
SELECT iaros.campaign_create('X1', 'x', 'display', 'camp-news');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', segment => 'no such segment');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', offer => 'NO-SUCH');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', promo => 'NO-SUCH');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', purpose => 'mischief');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', topic => 'gossip');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', type => 'gossip');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', trigger_kind => 'event', event_kind => 'gossip');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', trigger_kind => 'event');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', trigger_kind => 'segment');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', trigger_kind => 'segment', segment => 'camp everyone', event_kind => 'search');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', trigger_kind => 'segment', segment => 'camp everyone', every => '1 day');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', every => '1 second');
SELECT iaros.campaign_create('x one', 'x', 'email', 'camp-news');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', budget_base => -1);
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', backlog => '0');
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', goal_kind => 'fame', goal_value => 1);
\set VERBOSITY default
SELECT iaros.campaign_create('X1', 'x', 'email', 'camp-news', topic => 'gossip');
SELECT count(*) AS half_made FROM iaros.campaign;

-- What campaign_launch refuses
SELECT iaros.campaign_create('NOBODY', 'x', 'email', 'camp-news') AS c \gset
SELECT iaros.campaign_launch(:c);
SELECT iaros.campaign_create('NOTEXT', 'x', 'email', 'no-such-template', segment => 'camp everyone') AS c \gset
SELECT iaros.campaign_launch(:c);
SELECT iaros.campaign_create('NOTHERE', 'x', 'sms', 'camp-news', segment => 'camp everyone') AS c \gset
SELECT iaros.campaign_launch(:c);
INSERT INTO iaros.message_template (name, channel, body) VALUES
    ('camp-open', 'email', 'Dear {{customer.firstName'), ('camp-odd', 'email', 'Dear {{customer.shoeSize}}'), ('camp-loop', 'email', '{{#offer}}x{{/offer}}');
SELECT iaros.campaign_create('OPEN', 'x', 'email', 'camp-open', segment => 'camp everyone') AS c \gset
SELECT iaros.campaign_launch(:c);
SELECT iaros.campaign_create('ODD', 'x', 'email', 'camp-odd', segment => 'camp everyone') AS c \gset
SELECT iaros.campaign_launch(:c);
SELECT iaros.campaign_create('LOOP', 'x', 'email', 'camp-loop', segment => 'camp everyone') AS c \gset
SELECT iaros.campaign_launch(:c);
\set VERBOSITY sqlstate
SELECT iaros.campaign_launch(campaign_id) FROM iaros.campaign WHERE code = 'NOBODY';
SELECT iaros.campaign_launch(campaign_id) FROM iaros.campaign WHERE code = 'NOTEXT';
SELECT iaros.campaign_launch(campaign_id) FROM iaros.campaign WHERE code = 'OPEN';
SELECT iaros.campaign_launch(campaign_id) FROM iaros.campaign WHERE code = 'ODD';
SELECT iaros.campaign_launch(campaign_id) FROM iaros.campaign WHERE code = 'LOOP';
SELECT iaros.campaign_launch(-1);
SELECT iaros.campaign_pause(-1);
SELECT iaros.campaign_launch(NULL);
SELECT iaros.campaign_tick(NULL);
SELECT iaros.campaign_tick(now(), 0);
SELECT * FROM iaros.campaign_dispatch(-1, '{1}', '{x}', '{now}');
\set VERBOSITY default
SELECT DISTINCT status FROM iaros.campaign_list();
SELECT iaros.campaign_tick('2025-03-01 09:00Z') AS drafts_do_nothing;

-- A schedule: every customer once an occurrence, alias and master as one
SELECT iaros.campaign_create('NEWS', 'Spring news', 'email', 'camp-news', segment => 'camp everyone', promo => 'welcome10',
    schedule_at => '2025-03-01 09:00Z', every => '1 week', backlog => '2 days') AS news \gset
SELECT iaros.campaign_launch(:news);
SELECT iaros.campaign_tick('2025-03-01 08:59Z') AS too_early;
SELECT iaros.campaign_tick('2025-03-01 09:00Z', 4) AS first_batch, iaros.campaign_tick('2025-03-01 09:01Z', 4) AS second, iaros.campaign_tick('2025-03-01 09:02Z', 4) AS nothing_left;
SELECT who, outcome, reasons FROM ledger WHERE code = 'NEWS' ORDER BY who;
SELECT recipient, subject, body, status, send_after FROM iaros.outbox WHERE campaign_id = :news ORDER BY recipient;
SELECT iaros.campaign_tick('2025-03-02 09:00Z') AS same_occurrence;
-- ticks were missed for a day: late, but sent
SELECT iaros.consent_record(pg_temp.id('k4'), 'email', 'marketing', false, 'web', recorded_at => '2025-03-07') IS NOT NULL AS k4_withdraws;
SELECT iaros.campaign_tick('2025-03-09 09:00Z') AS a_day_late;
SELECT who, outcome, reasons FROM ledger WHERE code = 'NEWS' AND at = '2025-03-09 09:00Z' ORDER BY who;
-- later than the backlog: not sent any more
SELECT iaros.campaign_tick('2025-03-17 09:01Z') AS too_late;
SELECT sent, suppressed FROM iaros.campaign_list() WHERE code = 'NEWS';

-- A tick that is rolled back loses nothing
SAVEPOINT before_tick;
SELECT iaros.campaign_tick('2025-03-22 09:00Z') AS crashed;
ROLLBACK TO before_tick;
SELECT count(*) FROM ledger WHERE at = '2025-03-22 09:00Z';
SELECT iaros.campaign_tick('2025-03-22 09:00Z') AS done, iaros.campaign_tick('2025-03-22 09:00Z') AS done_again;
SELECT count(*) AS messages, count(DISTINCT (customer_id, send_after)) AS different FROM iaros.outbox WHERE campaign_id = :news;

-- Pause, launch, stop
SELECT iaros.campaign_pause(:news);
SELECT iaros.campaign_tick('2025-03-29 09:00Z') AS paused;
SELECT iaros.campaign_launch(:news);
SELECT iaros.campaign_tick('2025-03-29 09:00Z') AS running_again;
SELECT iaros.campaign_stop(:news);
SELECT iaros.campaign_launch(:news);
SELECT iaros.campaign_stop(:news);
SELECT detail -> 'old' ->> 'status' AS from, detail -> 'new' ->> 'status' AS to
FROM iaros.audit_log WHERE action = 'campaign.update' AND object_key = :'news' ORDER BY audit_id;

-- Once: completed when everybody was taken up
SELECT iaros.campaign_create('ONCE', 'Once', 'email', 'camp-news', segment => 'camp everyone', schedule_at => '2025-04-01 09:00Z') AS once \gset
SELECT iaros.campaign_launch(:once);
SELECT iaros.campaign_tick('2025-04-01 09:00Z') AS taken_up, iaros.campaign_tick('2025-04-01 09:01Z') AS nothing;
SELECT status, sent, suppressed FROM iaros.campaign_list() WHERE code = 'ONCE';
SELECT status, detail ->> 'segment' AS segment FROM iaros.campaign_get('ONCE');
SELECT iaros.campaign_create('MISSED', 'Missed', 'email', 'camp-news', segment => 'camp everyone', schedule_at => '2025-04-01 09:00Z') AS missed \gset
SELECT iaros.campaign_launch(:missed);
SELECT iaros.campaign_tick('2025-04-03 09:00Z') AS missed;
SELECT status FROM iaros.campaign_list() WHERE code = 'MISSED';
SELECT message FROM iaros.alert WHERE kind = 'campaign_missed';

-- An event: after the delay, within the backlog, once a person, not to those who booked
SELECT iaros.campaign_create('CART', 'Cart', 'email', 'abandoned-cart-2', trigger_kind => 'event', event_kind => 'cart_abandoned',
    delay => '1 hour', backlog => '1 day', not_booked_since_trigger => true, promo => 'WINBACK20', type => 'abandoned_cart') AS cart \gset
SELECT iaros.campaign_launch(:cart);
SELECT count(iaros.event_record(pg_temp.id(w), 'cart_abandoned', at))
FROM (VALUES ('k1', timestamptz '2025-05-01 10:00Z'), ('k6', '2025-05-01 10:30Z'), ('k2', '2025-05-01 10:00Z'), ('k3', '2025-05-01 10:00Z'), ('k5', '2025-05-01 10:00Z'), ('k4', '2025-04-29 10:00Z')) AS v(w, at);
SELECT iaros.booking_record(pg_temp.id('k2'), 99, 'USD', '2025-05-01 10:20Z') IS NOT NULL AS k2_booked;
SELECT iaros.event_record(pg_temp.id('k5'), 'search', '2025-05-01 10:00Z', '{"origin": "FRA", "destination": "JFK"}') IS NOT NULL AS other_kind;
SELECT iaros.campaign_tick('2025-05-01 10:59Z') AS within_delay;
SELECT iaros.campaign_tick('2025-05-01 11:00Z') AS due, iaros.campaign_tick('2025-05-01 11:00Z') AS done;
SELECT iaros.campaign_tick('2025-05-01 11:30Z') AS the_alias, iaros.campaign_tick('2025-05-01 23:30Z') AS done;
SELECT who, outcome, reasons, at FROM ledger WHERE code = 'CART' ORDER BY who, at;
SELECT recipient, subject, body FROM iaros.outbox WHERE campaign_id = :cart ORDER BY recipient;
-- a missed tick: the events of the last day are still answered
SELECT iaros.event_record(pg_temp.id('k5'), 'cart_abandoned', '2025-05-10 10:00Z') IS NOT NULL AS again;
SELECT iaros.campaign_tick('2025-05-11 10:59Z') AS a_day_late;
SELECT iaros.event_record(pg_temp.id('k1'), 'cart_abandoned', '2025-05-20 10:00Z') IS NOT NULL AS again;
SELECT iaros.campaign_tick('2025-05-21 11:00Z') AS later_than_backlog;
-- two at once: the booking speaks against the first, nothing against the second
SELECT count(iaros.event_record(pg_temp.id('k5'), 'cart_abandoned', at)) FROM unnest('{2025-05-25 10:00Z,2025-05-25 10:40Z,2025-05-25 10:41Z}'::timestamptz[]) AS at;
SELECT iaros.booking_record(pg_temp.id('k5'), 99, 'USD', '2025-05-25 10:20Z') IS NOT NULL AS k5_booked;
SELECT iaros.campaign_tick('2025-05-25 12:00Z') AS three;
SELECT s.trigger_at, s.outcome, s.reasons FROM iaros.campaign_send s WHERE s.at = '2025-05-25 12:00Z' ORDER BY s.trigger_at;
-- sent under an alias before the two were recognised as one
SELECT iaros.event_record(pg_temp.id('k5'), 'cart_abandoned', '2025-06-01 10:00Z') IS NOT NULL AS k5_leaves;
SELECT iaros.campaign_tick('2025-06-01 11:00Z') AS answered;
SELECT iaros.customer_recognise(pg_temp.id('k5'), pg_temp.id('k1'));
SELECT iaros.campaign_tick('2025-06-01 11:01Z') AS not_again;
SELECT iaros.customer_separate(pg_temp.id('k5'));

-- With a segment only its members are answered
SELECT iaros.campaign_pause(:cart);
SELECT iaros.segment_create('camp few') IS NOT NULL AS made, iaros.segment_member_add('camp few', ARRAY[pg_temp.id('k5')]);
SELECT iaros.campaign_create('FEW', 'Few', 'email', 'abandoned-cart-1', segment => 'camp few', trigger_kind => 'event', event_kind => 'search') AS few \gset
SELECT iaros.campaign_launch(:few);
SELECT count(iaros.event_record(pg_temp.id(w), 'search', '2025-06-05 10:00Z', '{"origin": "FRA", "destination": "JFK"}')) FROM unnest('{k1,k5}'::text[]) AS w;
SELECT iaros.campaign_tick('2025-06-05 10:01Z') AS members_only;
SELECT who, outcome FROM ledger WHERE code = 'FEW';
-- k2, a member, is seen to be k4
SELECT iaros.segment_member_add('camp few', ARRAY[pg_temp.id('k2')]) AS added, iaros.customer_recognise(pg_temp.id('k2'), pg_temp.id('k4'));
SELECT iaros.event_record(pg_temp.id('k4'), 'search', '2025-06-05 11:00Z', '{"origin": "FRA", "destination": "JFK"}') IS NOT NULL AS k4_searches;
SELECT iaros.campaign_tick('2025-06-05 11:01Z') AS member_under_an_alias;
SELECT iaros.customer_separate(pg_temp.id('k2')), iaros.segment_member_remove('camp few', ARRAY[pg_temp.id('k2')]) AS removed;
SELECT iaros.campaign_stop(:few);

-- Entering a segment: after the delay, once an entry, to those who have stayed
SELECT iaros.segment_create('camp door') IS NOT NULL AS made;
SELECT iaros.campaign_create('DOOR', 'Door', 'email', 'camp-news', segment => 'camp door', trigger_kind => 'segment', delay => '1 hour', again_after => '2 days') AS door \gset
SELECT iaros.campaign_launch(:door);
SELECT trigger_kind, segment FROM iaros.campaign_list() WHERE code = 'DOOR';
SELECT iaros.segment_member_add('camp door', ARRAY(SELECT pg_temp.id(w) FROM unnest('{k1,k2,k3,k5}'::text[]) AS w), '2025-06-10 10:00Z') AS enter;
SELECT iaros.campaign_tick('2025-06-10 10:59Z') AS within_delay;
SELECT iaros.segment_member_remove('camp door', ARRAY[pg_temp.id('k2'), pg_temp.id('k5')], '2025-06-10 10:30Z') AS leave,
    iaros.segment_member_add('camp door', ARRAY[pg_temp.id('k5')], '2025-06-10 10:40Z') AS come_back;
SELECT w.who, d.trigger_at FROM iaros.campaign_due_events(:door, '2025-06-10 12:00Z') d JOIN who w USING (customer_id) ORDER BY d.trigger_at, w.who;
SELECT iaros.campaign_tick('2025-06-10 11:00Z') AS due, iaros.campaign_tick('2025-06-10 11:00Z') AS done;
SELECT iaros.campaign_tick('2025-06-10 11:40Z') AS the_second_entry, iaros.campaign_tick('2025-06-10 23:00Z') AS done;
SELECT who, outcome, reasons, at FROM ledger WHERE code = 'DOOR' ORDER BY who, at;
SELECT trigger_key, sent, suppressed FROM iaros.campaign_run WHERE campaign_id = :door;
-- an alias enters, and is seen to be k1 before the delay is over
SELECT iaros.customer_separate(pg_temp.id('k6')), iaros.segment_member_add('camp door', ARRAY[pg_temp.id('k6')], '2025-06-11 10:00Z') AS enters,
    iaros.customer_recognise(pg_temp.id('k6'), pg_temp.id('k1'));
SELECT iaros.campaign_tick('2025-06-11 11:00Z') AS the_alias;
SELECT who, outcome, reasons FROM ledger WHERE code = 'DOOR' AND at = '2025-06-11 11:00Z';
-- later than the backlog
SELECT iaros.segment_member_add('camp door', ARRAY[pg_temp.id('k4')], '2025-06-12 10:00Z') AS enters;
SELECT iaros.campaign_tick('2025-06-13 11:00Z') AS too_late, iaros.campaign_tick('2025-06-13 10:59Z') AS in_time;
SELECT iaros.campaign_stop(:door);
-- whoever came in, whether still there or not
SELECT iaros.campaign_create('GUEST', 'Guest', 'email', 'camp-news', segment => 'camp door', trigger_kind => 'segment', not_left_since_trigger => false, again_after => '0') AS guest \gset
SELECT iaros.campaign_launch(:guest);
SELECT iaros.campaign_tick('2025-06-10 11:00Z') AS all_entries;
SELECT who, outcome, count(*) FROM ledger WHERE code = 'GUEST' GROUP BY who, outcome ORDER BY who;
SELECT iaros.campaign_stop(:guest);
-- what a refresh notes
SELECT iaros.segment_create('camp north', '{"field": "customer.country", "operator": "=", "value": "NO"}') IS NOT NULL AS made;
SELECT iaros.campaign_create('NORTH', 'North', 'email', 'camp-news', segment => 'camp north', trigger_kind => 'segment', again_after => '0') AS north \gset
SELECT iaros.campaign_launch(:north);
UPDATE iaros.customer SET country = 'NO' WHERE customer_id = pg_temp.id('k5');
SELECT iaros.campaign_tick('2025-06-15 10:00Z') AS not_refreshed;
SELECT iaros.segment_refresh('2025-06-15 10:00Z') IS NOT NULL AS enters, iaros.campaign_tick('2025-06-15 10:00Z') AS due;
SELECT iaros.segment_refresh('2025-06-15 10:15Z') IS NOT NULL AS stays, iaros.campaign_tick('2025-06-15 10:15Z') AS nothing;
UPDATE iaros.customer SET country = 'SE' WHERE customer_id = pg_temp.id('k5');
SELECT iaros.segment_refresh('2025-06-15 10:30Z') IS NOT NULL AS leaves, iaros.campaign_tick('2025-06-15 10:30Z') AS nothing;
UPDATE iaros.customer SET country = 'NO' WHERE customer_id = pg_temp.id('k5');
SELECT iaros.segment_refresh('2025-06-15 10:45Z') IS NOT NULL AS enters, iaros.campaign_tick('2025-06-15 10:45Z') AS due;
SELECT who, outcome, reasons, at FROM ledger WHERE code = 'NORTH' ORDER BY at;
-- doctor() looks at the segment and at how long a refresh takes
SELECT subject, finding FROM iaros.campaign_doctor();
INSERT INTO iaros.job_run (job, started_at, finished_at) VALUES ('segments', now() - interval '26 hours', now());
UPDATE iaros.segment SET enabled = false WHERE name = 'camp north';
SELECT severity, subject, finding, hint FROM iaros.campaign_doctor();
SELECT iaros.campaign_stop(:north);

-- A hard bounce keeps the next campaign away
SELECT iaros.message_event_record(message_id, 'bounced_hard', '2025-06-06 10:00Z') FROM iaros.outbox WHERE campaign_id = :few;
SELECT iaros.campaign_create('NEXT', 'Next', 'email', 'camp-news', segment => 'camp few', schedule_at => '2025-06-07 09:00Z') AS next \gset
SELECT iaros.campaign_launch(:next);
SELECT iaros.campaign_tick('2025-06-07 09:00Z');
SELECT who, outcome, reasons FROM ledger WHERE code = 'NEXT';

-- The budget is not overdrawn
SELECT iaros.campaign_create('CHEAP', 'Cheap', 'email', 'camp-news', segment => 'camp everyone', schedule_at => '2025-07-01 09:00Z',
    budget_base => 0.25, message_cost_base => 0.10) AS cheap \gset
SELECT iaros.campaign_launch(:cheap);
SELECT iaros.campaign_tick('2025-07-01 09:00Z', 1), iaros.campaign_tick('2025-07-01 09:01Z', 10), iaros.campaign_tick('2025-07-01 09:02Z', 10);
SELECT status, sent FROM iaros.campaign_list() WHERE code = 'CHEAP';
SELECT message FROM iaros.alert WHERE kind = 'campaign_budget';

-- A campaign whose template was broken since does not hold up the others
SELECT iaros.campaign_create('BROKEN', 'Broken', 'email', 'camp-odd2', segment => 'camp everyone', schedule_at => '2025-08-01 09:00Z') AS broken,
    iaros.message_template_set('camp-odd2', 'email', 'Dear {{customer.firstName}}') IS NOT NULL AS made \gset
SELECT iaros.campaign_create('SOUND', 'Sound', 'email', 'camp-news', segment => 'camp everyone', schedule_at => '2025-08-01 09:00Z') AS sound \gset
SELECT iaros.campaign_launch(:broken), iaros.campaign_launch(:sound);
UPDATE iaros.message_template SET body = 'Dear {{customer.firstName' WHERE name = 'camp-odd2';
SELECT iaros.campaign_tick('2025-08-01 09:00Z') AS sound_only;
SELECT code, count(*) FROM ledger WHERE code IN ('BROKEN', 'SOUND') GROUP BY code;
SELECT object, severity FROM iaros.alert WHERE kind = 'campaign_failed';
UPDATE iaros.message_template SET body = 'Dear {{customer.firstName}}' WHERE name = 'camp-odd2';
SELECT iaros.campaign_tick('2025-08-01 09:05Z') AS mended;

-- Approval, where it is asked for
SELECT iaros.setting_set('campaign_approval', 'true');
SELECT iaros.campaign_create('SERIOUS', 'Serious', 'email', 'camp-news', segment => 'camp everyone', schedule_at => '2025-09-01 09:00Z', valid => '[2025-09-01,2025-09-08)') AS serious \gset
SELECT iaros.campaign_launch(:serious);
SELECT iaros.campaign_approve(:serious);
SELECT iaros.campaign_approve(:serious);
SELECT iaros.campaign_launch(:serious);
SELECT iaros.campaign_tick('2025-09-08 00:00Z') AS over;
SELECT status FROM iaros.campaign_list() WHERE code = 'SERIOUS';

-- The ledger takes no change
UPDATE iaros.campaign_send SET outcome = 'sent';
ROLLBACK;
