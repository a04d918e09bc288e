-- consent: the ledger, do-not-contact, preferences, aliases; the filter
-- equals the check.
BEGIN;
SELECT plan(67);

SELECT iaros.customer_create() AS ada, iaros.customer_create() AS bob \gset
SELECT iaros.customer_create(kind => 'anonymous') AS visitor \gset

CREATE FUNCTION pg_temp.allowed(customer_id bigint, purpose text, channel text, topic text DEFAULT NULL, as_of timestamptz DEFAULT now())
    RETURNS boolean LANGUAGE sql AS 'SELECT k.allowed FROM iaros.consent_check($1, $2, $3, $4, $5) k';
CREATE FUNCTION pg_temp.codes(customer_id bigint, purpose text, channel text, topic text DEFAULT NULL, as_of timestamptz DEFAULT now())
    RETURNS text[] LANGUAGE sql AS
    'SELECT array_agg(split_part(r, '':'', 1) ORDER BY n) FROM iaros.consent_check($1, $2, $3, $4, $5) k, unnest(k.reasons) WITH ORDINALITY AS u(r, n)';

-- Consent.
SELECT is(pg_temp.codes(:ada, 'marketing', 'email'), '{no_consent}', 'who said nothing is not contacted');
SELECT ok(pg_temp.allowed(:ada, 'transactional', 'email'), 'but gets messages that a booking needs');
SELECT iaros.consent_record(:ada, 'email', 'marketing', true, 'form', '10.0.0.1') AS consent \gset
SELECT ok(pg_temp.allowed(:ada, 'marketing', 'email'), 'consent given in this very transaction counts');
SELECT ok(NOT pg_temp.allowed(:ada, 'marketing', 'sms'), 'for its channel only');
SELECT ok(NOT pg_temp.allowed(:ada, 'personalisation', 'email'), 'and its purpose only');
SELECT is((SELECT ip FROM iaros.consent WHERE consent_id = :consent), '10.0.0.1', 'the address is kept');
SELECT is((SELECT array_agg(action) FROM iaros.audit_list(only_customer => :ada)), '{consent.give}', 'it is audited');
SELECT iaros.consent_record(:ada, 'email', 'marketing', false, 'link', recorded_at => now() - interval '1 day') AS older \gset
SELECT ok(pg_temp.allowed(:ada, 'marketing', 'email'), 'an older withdrawal that comes late changes nothing');
SELECT iaros.consent_record(:ada, 'email', 'marketing', false, 'link') AS newer \gset
SELECT is(pg_temp.codes(:ada, 'marketing', 'email'), '{consent_withdrawn}', 'at the same time the later row holds');
SELECT ok(NOT pg_temp.allowed(:ada, 'marketing', 'email', as_of => now() - interval '1 hour'), 'before that the older withdrawal held');
SELECT is(pg_temp.codes(:ada, 'marketing', 'email', as_of => now() - interval '2 days'), '{no_consent}', 'and before that nothing');
SELECT is((SELECT count(*) FROM iaros.consent WHERE customer_id = :ada), 3::bigint, 'the ledger keeps all of them');
SELECT iaros.consent_record(:bob, 'all', 'marketing', true, 'form', recorded_at => '2025-01-01') AS c \gset
SELECT ok(pg_temp.allowed(:bob, 'marketing', 'push'), 'consent for all channels');
SELECT iaros.consent_record(:bob, 'push', 'marketing', false, 'app', recorded_at => '2025-01-02') AS c \gset
SELECT ok(NOT pg_temp.allowed(:bob, 'marketing', 'push'), 'less one withdrawn later');
SELECT ok(pg_temp.allowed(:bob, 'marketing', 'email'), 'leaves the others');
SELECT ok(pg_temp.allowed(:bob, 'marketing', 'all'), 'and what was said about all');
SELECT is((SELECT array_agg(channel || ' ' || given ORDER BY channel) FROM iaros.consent_state(:bob)), '{"all true","push false"}', 'the state shows both');
SELECT iaros.consent_record(:bob, 'sms', 'transactional', false, 'form', recorded_at => '2025-01-02') AS c \gset
SELECT is(pg_temp.codes(:bob, 'transactional', 'sms'), '{consent_withdrawn}', 'a purpose that needs no consent can be refused by name');
SELECT ok(pg_temp.allowed(:bob, 'transactional', 'email'), 'for a channel');

-- SMS: promotional false, transactional true; push: both true.
SELECT iaros.customer_create() AS cho \gset
SELECT iaros.consent_record(:cho, 'sms', 'marketing', false, 'preference_centre') AS c, iaros.consent_record(:cho, 'push', 'marketing', true, 'preference_centre') AS d \gset
SELECT ok(NOT pg_temp.allowed(:cho, 'marketing', 'sms') AND pg_temp.allowed(:cho, 'transactional', 'sms'), 'SMS for bookings only');
SELECT ok(pg_temp.allowed(:cho, 'marketing', 'push') AND pg_temp.allowed(:cho, 'transactional', 'push'), 'push for both');

-- Do-not-contact.
SELECT iaros.dnc_add(:bob, 'email', 'unsubscribe', '2025-02-01') AS entry \gset
SELECT is(pg_temp.codes(:bob, 'marketing', 'email'), '{do_not_contact}', 'a do-not-contact goes before consent');
SELECT ok(pg_temp.allowed(:bob, 'transactional', 'email'), 'but not before service');
SELECT is(iaros.dnc_add(:bob, 'email', 'unsubscribe', '2025-03-01'), :entry::bigint, 'the same again adds nothing');
SELECT is((SELECT added_at FROM iaros.dnc WHERE dnc_id = :entry), '2025-02-01', 'and keeps the earlier time');
SELECT iaros.dnc_add(:bob, 'email', 'unsubscribe', '2025-01-20') AS entry \gset
SELECT is((SELECT added_at FROM iaros.dnc WHERE dnc_id = :entry), '2025-01-20', 'an earlier time that comes late is taken');
SELECT ok(NOT pg_temp.allowed(:bob, 'marketing', 'email', as_of => '2025-01-20'), 'it holds from its moment on');
SELECT ok(pg_temp.allowed(:bob, 'marketing', 'email', as_of => '2025-01-19 23:59:59'), 'not before');
SELECT is(iaros.dnc_remove(:bob, 'email', 'unsubscribe', '2025-01-19'), 0::bigint, 'a removal from before the entry leaves it');
SELECT is(iaros.dnc_remove(:bob, 'email', 'stop'), 0::bigint, 'so does one for another reason');
SELECT is(iaros.dnc_remove(:bob, 'email', 'unsubscribe', '2025-04-01'), 1::bigint, 'it is removed');
SELECT ok(pg_temp.allowed(:bob, 'marketing', 'email', as_of => '2025-04-01'), 'and does not hold from that moment on');
SELECT ok(NOT pg_temp.allowed(:bob, 'marketing', 'email', as_of => '2025-03-31'), 'but did before');
SELECT isnt(iaros.dnc_add(:bob, 'email', 'unsubscribe', '2025-05-01'), :entry::bigint, 'it can be added again');
SELECT is((SELECT array_agg(action ORDER BY at, action) FROM iaros.audit_list(only_customer => :bob) WHERE object = 'dnc'), '{dnc.add,dnc.remove,dnc.add}', 'what changed is audited');

-- Preferences.
SELECT ok(iaros.preference_set(:cho, 'all', 'deals', true, '2025-01-01'), 'a topic is excluded');
SELECT is(pg_temp.codes(:cho, 'marketing', 'push', 'deals'), '{topic_excluded}', 'and not sent');
SELECT ok(pg_temp.allowed(:cho, 'marketing', 'push', 'new-routes'), 'others are');
SELECT ok(NOT iaros.preference_set(:cho, 'all', 'deals', false, '2024-01-01'), 'what is older changes nothing');
SELECT ok(iaros.preference_set(:cho, 'push', 'deals', false, '2025-01-02'), 'wanted again by one channel');
SELECT ok(pg_temp.allowed(:cho, 'marketing', 'push', 'deals'), 'the newer statement holds there');
SELECT is(pg_temp.codes(:cho, 'transactional', 'email', 'deals'), '{topic_excluded}', 'elsewhere the older one, whatever the purpose');

-- Aliases: what any id of the person said counts.
SELECT iaros.consent_record(:visitor, 'push', 'marketing', false, 'banner') AS c, iaros.dnc_add(:visitor, 'sms', 'stop') AS d \gset
SELECT iaros.customer_recognise(:visitor, :cho) AS recognised \gset
SELECT is(pg_temp.codes(:cho, 'marketing', 'push'), '{consent_withdrawn}', 'a withdrawal of the alias counts for the master');
SELECT is(pg_temp.codes(:cho, 'marketing', 'sms'), '{do_not_contact,consent_withdrawn}', 'and its do-not-contact');
SELECT is(pg_temp.codes(:visitor, 'marketing', 'email', 'deals'), '{no_consent,topic_excluded}', 'and what the master said for the alias');
SELECT is(iaros.dnc_remove(:cho, 'sms', 'stop'), 1::bigint, 'an entry of the alias is removed by the master');
SELECT iaros.customer_separate(:visitor) AS separated \gset
SELECT ok(pg_temp.allowed(:cho, 'marketing', 'push'), 'apart again, each has said its own');

-- Clocks that are ahead: what comes later still holds.
SELECT iaros.customer_create() AS eve \gset
SELECT iaros.consent_record(:eve, 'email', 'marketing', true, 'form', recorded_at => now() + interval '4 minutes') AS c,
    iaros.consent_record(:eve, 'email', 'marketing', false, 'link') AS d \gset
SELECT is(pg_temp.codes(:eve, 'marketing', 'email', as_of => now() + interval '5 minutes'), '{consent_withdrawn}', 'a consent by a clock that is ahead does not outlast a withdrawal');
SELECT is((SELECT max(recorded_at) FROM iaros.consent WHERE customer_id = :eve), now(), 'it is stored as of now');
SELECT iaros.preference_set(:eve, 'all', 'deals', false, now() + interval '4 minutes') AS p,
    iaros.preference_set(:eve, 'all', 'deals', true) AS q \gset
SELECT is(pg_temp.codes(:eve, 'transactional', 'email', 'deals'), '{topic_excluded}', 'neither does a preference');
SELECT iaros.dnc_add(:eve, 'sms', 'legal', now() + interval '1 hour') AS entry \gset
SELECT is(pg_temp.codes(:eve, 'transactional', 'sms'), '{do_not_contact}', 'a do-not-contact by a clock that is ahead holds from now on');
SELECT throws_ok(format('SELECT iaros.dnc_remove(%s, ''sms'', ''legal'', %L)', :eve, t), '22023', NULL, 'no entry ends at ' || n)
FROM (VALUES ('infinity'::timestamptz, 'infinity'), (now() + interval '1 day', 'a time to come')) AS v(t, n);
SELECT is(iaros.dnc_remove(:eve, 'sms', 'legal', now() + interval '4 minutes'), 1::bigint, 'a clock that is ahead ends it');
SELECT ok(pg_temp.allowed(:eve, 'transactional', 'sms'), 'now');

-- Roles: the gates write what the roles cannot.
CREATE ROLE regress_consent_operate;
SELECT iaros.access_grant('regress_consent_operate', 'operate') AS granted \gset
CREATE ROLE regress_consent_read;
SELECT iaros.access_grant('regress_consent_read', 'read') AS granted \gset
CREATE FUNCTION pg_temp.state(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
REVOKE INSERT, UPDATE ON iaros.preference FROM regress_consent_operate;
SET LOCAL ROLE regress_consent_operate;
SELECT pg_temp.state(format('SELECT iaros.preference_set(%s, ''post'', ''deals'', true)', :cho)) AS preference,
    pg_temp.state(format('SELECT iaros.consent_record(%s, ''post'', ''marketing'', true, ''form'')', :cho)) AS gate,
    pg_temp.state(format('SELECT iaros.dnc_remove(%s, ''post'', ''stop'', now()), iaros.dnc_add(%1$s, ''post'', ''stop'')', :cho)) AS list,
    pg_temp.state(format('INSERT INTO iaros.consent (customer_id, channel, purpose, given, source) VALUES (%s, ''post'', ''marketing'', true, ''x'')', :cho)) AS insert,
    pg_temp.state('DELETE FROM iaros.dnc') AS delete \gset operate_
SET LOCAL ROLE regress_consent_read;
SELECT pg_temp.state(format('SELECT iaros.consent_record(%s, ''post'', ''marketing'', true, ''form'')', :cho)) AS gate,
    pg_temp.state(format('SELECT * FROM iaros.consent_check(%s, ''marketing'', ''post''), iaros.consent_filter(''iaros.customer_masked'', ''marketing'', ''post''), iaros.consent_state(%1$s)', :cho)) AS check,
    pg_temp.state('SELECT ip FROM iaros.consent') AS personal \gset read_
RESET ROLE;
SELECT is(:'operate_gate' || ' ' || :'operate_list', 'done done', 'a role that operates uses the gates');
SELECT is(:'operate_preference'::text, 'done', 'also the one of preferences');
SELECT is(:'operate_insert' || ' ' || :'operate_delete', '42501 42501', 'but does not write the ledgers');
SELECT is(:'read_check'::text, 'done', 'a role that reads may ask');
SELECT is(:'read_gate' || ' ' || :'read_personal', '42501 42501', 'but not record, nor see addresses');
SELECT is((SELECT actor FROM iaros.audit_list('dnc.add', :cho) LIMIT 1), 'regress_consent_operate', 'the audit names the role');

-- Setting.
SELECT iaros.setting_set('consent_required', 'false') AS s \gset
SELECT iaros.customer_create() AS dee \gset
SELECT ok(pg_temp.allowed(:dee, 'marketing', 'email'), 'without consent_required who said nothing is contacted');
SELECT ok(NOT pg_temp.allowed(:cho, 'marketing', 'sms'), 'who withdrew is not');
SELECT iaros.setting_set('consent_required', NULL) AS s \gset

-- The filter equals the check, for a random crowd with aliases.
SELECT setseed(0.42) AS seed \gset
INSERT INTO iaros.customer (customer_id) SELECT 500000 + i FROM generate_series(1, 600) AS i;
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at)
SELECT 500001 + floor(random() * 600), (ARRAY['email', 'sms', 'all'])[1 + floor(random() * 3)],
    (ARRAY['marketing', 'transactional', 'analytics'])[1 + floor(random() * 3)],
    random() < 0.7, 'test', '2025-01-01'::timestamptz + floor(random() * 20) * interval '1 day'
FROM generate_series(1, 2000);
INSERT INTO iaros.dnc (customer_id, channel, reason, added_at, removed_at)
SELECT DISTINCT ON (1, 2, 3) 500001 + floor(random() * 600), (ARRAY['email', 'sms', 'all'])[1 + floor(random() * 3)],
    (ARRAY['legal', 'stop', 'hard_bounce'])[1 + floor(random() * 3)], '2025-01-01'::timestamptz + floor(random() * 20) * interval '1 day',
    CASE WHEN random() < 0.3 THEN '2025-02-01'::timestamptz END
FROM generate_series(1, 300);
INSERT INTO iaros.preference (customer_id, channel, topic, excluded, updated_at)
SELECT DISTINCT ON (1, 2, 3) 500001 + floor(random() * 600), (ARRAY['email', 'sms', 'all'])[1 + floor(random() * 3)],
    (ARRAY['deals', 'surveys'])[1 + floor(random() * 2)], random() < 0.5, '2025-01-01'::timestamptz + floor(random() * 20) * interval '1 day'
FROM generate_series(1, 400);
SELECT count(iaros.customer_recognise(500000 + i * 5, 500000 + i)) AS aliases FROM generate_series(1, 119) AS i WHERE i % 5 <> 0 \gset
SELECT cmp_ok(:aliases, '>', 90, 'there are aliases among them');
SELECT is_empty($$
    WITH term AS (
        SELECT * FROM unnest(ARRAY['marketing', 'transactional', 'analytics']) AS purpose,
            unnest(ARRAY['email', 'sms', 'push', 'all']) AS channel, unnest(ARRAY[NULL, 'deals']) AS topic,
            unnest(ARRAY['2025-01-10', '2025-02-01']::timestamptz[]) AS as_of),
    whole AS (
        SELECT t.*, f.* FROM term t,
            iaros.consent_filter('SELECT i::bigint FROM generate_series(499990, 500600) AS i', t.purpose, t.channel, t.topic, t.as_of) f),
    single AS (
        SELECT t.*, i::bigint, k.* FROM term t, generate_series(499990, 500600) AS i,
            iaros.consent_check(i, t.purpose, t.channel, t.topic, t.as_of) k)
    (TABLE whole EXCEPT ALL TABLE single) UNION ALL (TABLE single EXCEPT ALL TABLE whole)$$,
    'consent_filter() equals consent_check() for each of 611 ids in 48 ways');
SELECT results_eq(
    $$SELECT count(*) FILTER (WHERE allowed) > 50, count(*) FILTER (WHERE NOT allowed) > 50, count(DISTINCT split_part(r, ':', 1))
      FROM iaros.consent_filter('SELECT customer_id FROM iaros.customer WHERE customer_id > 500000', 'marketing', 'email', 'deals', '2025-01-15')
      LEFT JOIN unnest(reasons) AS r ON true$$,
    'VALUES (true, true, 4::bigint)', 'and the crowd shows all reasons');
SELECT is((SELECT count(*) FROM iaros.consent_filter_ids('{500001, 500001, 500002}', 'marketing', 'email')), 2::bigint, 'each customer comes once');

SELECT * FROM finish();
ROLLBACK;
