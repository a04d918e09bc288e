-- consent: what is refused and in which words, reasons, sources.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO iaros.customer (customer_id) VALUES (1001), (1002), (1003), (1004);

-- The catalogue.
SELECT purpose, needs_consent, legal_basis FROM iaros.purpose ORDER BY 1;
SELECT reason, automatic, stops_all FROM iaros.dnc_reason ORDER BY 1;
SELECT topic FROM iaros.topic ORDER BY 1;

-- A consent by registration form and one by checkout.
SELECT iaros.consent_record(1001, 'email', 'marketing', true, 'registration_form', '192.168.1.1', '2024-01-15') > 0 AS recorded;
SELECT iaros.consent_record(1001, 'sms', 'marketing', true, 'checkout_optin', NULL, '2024-01-15', '{"box": "ticked"}') > 0 AS recorded;
SELECT purpose, channel, given, recorded_at, source, stored_as FROM iaros.consent_state(1001);
SELECT * FROM iaros.consent_check(1001, 'marketing', 'email', as_of => '2024-02-01');
SELECT * FROM iaros.consent_check(1001, 'marketing', 'email', as_of => '2024-01-14');
SELECT * FROM iaros.consent_check(1001, 'marketing', 'push', as_of => '2024-02-01');

-- Withdrawn, by this channel and by all.
SELECT iaros.consent_record(1001, 'all', 'marketing', false, 'preference_centre', NULL, '2024-03-01') > 0 AS recorded;
SELECT * FROM iaros.consent_check(1001, 'marketing', 'sms', as_of => '2024-03-02');
SELECT iaros.consent_record(1001, 'sms', 'marketing', true, 'checkout_optin', NULL, '2024-04-01') > 0 AS recorded;
SELECT * FROM iaros.consent_check(1001, 'marketing', 'sms', as_of => '2024-04-02');
SELECT * FROM iaros.consent_check(1001, 'marketing', 'email', as_of => '2024-04-02');
SELECT * FROM iaros.consent_check(1001, 'marketing', 'sms', as_of => '2024-03-31');

-- All reasons at once; a purpose of service heeds the legal one only.
SELECT iaros.dnc_add(1002, 'email', 'hard_bounce', '2025-01-01') > 0 AS added;
SELECT iaros.dnc_add(1002, 'all', 'spam_complaint', '2025-01-02', 'by telephone') > 0 AS added;
SELECT iaros.preference_set(1002, 'all', 'surveys', true, '2025-01-03');
SELECT unnest(reasons) AS reason FROM iaros.consent_check(1002, 'marketing', 'email', 'surveys', '2025-02-01');
SELECT * FROM iaros.consent_check(1002, 'transactional', 'email', as_of => '2025-02-01');
SELECT iaros.dnc_add(1002, 'all', 'legal', '2025-01-15') > 0 AS added;
SELECT * FROM iaros.consent_check(1002, 'transactional', 'email', as_of => '2025-02-01');
SELECT * FROM iaros.consent_check(1002, 'transactional', 'email', as_of => '2025-01-14');
SELECT iaros.dnc_remove(1002, 'all', 'legal', '2025-02-02') AS ended;
SELECT * FROM iaros.consent_check(1002, 'transactional', 'email', as_of => '2025-02-02');

-- Nobody.
SELECT * FROM iaros.consent_check(4711, 'transactional', 'email');
SELECT * FROM iaros.consent_check(NULL, 'transactional', 'email');

-- Sources of the filter.
CREATE TEMP TABLE audience AS SELECT id AS person FROM unnest('{1001, 1002, 1002, 4711, NULL}'::bigint[]) AS id;
SELECT * FROM iaros.consent_filter('audience', 'marketing', 'sms', as_of => '2025-02-01') ORDER BY 1;
SELECT * FROM iaros.consent_filter(' "audience" ', 'transactional', 'sms', as_of => '2025-02-01') ORDER BY 1;
SELECT * FROM iaros.consent_filter('SELECT customer_id, ''x'' FROM iaros.customer WHERE customer_id = 1001;', 'marketing', 'sms', as_of => '2025-02-01');
SELECT * FROM iaros.consent_filter('SELECT 1 WHERE false -- nobody', 'marketing', 'sms');
SELECT * FROM iaros.consent_filter_ids(NULL, 'marketing', 'sms');
SELECT iaros.source_query('audience'), iaros.source_query('iaros.customer'), btrim(iaros.source_query('SELECT 1 ; '), E'\n');
SELECT iaros.source_query('no_such.relation');
SELECT iaros.source_query('nothing');
SELECT iaros.source_query('  ');
SELECT iaros.source_query(NULL);
SELECT * FROM iaros.consent_filter('SELECT 1; SELECT 2', 'marketing', 'sms');
SELECT * FROM iaros.consent_filter('SELECT ''x''', 'marketing', 'sms');

-- Names that do not exist.
SELECT iaros.consent_record(1001, 'pigeon', 'marketing', true, 'web');
SELECT iaros.consent_record(1001, 'display', 'marketing', true, 'web');
SELECT iaros.consent_record(1001, NULL, 'marketing', true, 'web');
SELECT iaros.consent_record(1001, 'email', 'fun', true, 'web');
SELECT iaros.consent_record(4711, 'email', 'marketing', true, 'web');
SELECT iaros.consent_record(1001, 'email', 'marketing', true, 'web', NULL, '2999-01-01');
SELECT iaros.consent_record(1001, 'email', 'marketing', true, 'web', NULL, '-infinity');
SELECT iaros.consent_check(1001, 'fun', 'email');
SELECT iaros.consent_check(1001, 'marketing', 'web_personal');
SELECT iaros.consent_check(1001, 'marketing', 'email', 'gossip');
SELECT * FROM iaros.consent_filter('audience', NULL, 'email');
SELECT iaros.dnc_add(1001, 'email', 'mood');
SELECT iaros.dnc_add(4711, 'email', 'legal');
SELECT iaros.preference_set(1001, 'email', 'gossip', true);
SELECT iaros.preference_set(1001, 'email', 'deals', true, 'infinity');
SELECT iaros.dnc_remove(1002, 'email', 'hard_bounce', 'infinity');
SELECT iaros.dnc_remove(1002, 'email', 'hard_bounce', '2999-01-01');
\set VERBOSITY terse
SELECT iaros.consent_record(1001, 'email', 'marketing', NULL, 'web');
SELECT iaros.consent_record(1001, 'email', 'marketing', true, '');
SELECT iaros.consent_record(1001, 'email', 'marketing', true, 'web', NULL, now(), '[]');
SELECT iaros.dnc_add(1001, 'email', 'legal', '-infinity');
UPDATE iaros.dnc SET removed_at = 'infinity' WHERE customer_id = 1002;
UPDATE iaros.preference SET updated_at = 'infinity' WHERE customer_id = 1002;
INSERT INTO iaros.purpose (purpose, description, needs_consent, legal_basis) VALUES ('x', 'x', false, 'consent');

-- The ledger.
\set VERBOSITY default
UPDATE iaros.consent SET given = true;
SELECT action, object, customer_id, detail FROM iaros.audit_list(only_customer => 1002) ORDER BY action, detail::text;

-- Consent is not asked for, yet a withdrawal holds.
SELECT iaros.setting_set('consent_required', 'false');
SELECT * FROM iaros.consent_check(1003, 'marketing', 'email');
SELECT iaros.consent_record(1003, 'email', 'marketing', false, 'unsubscribe', NULL, '2025-01-01') > 0 AS recorded;
SELECT * FROM iaros.consent_check(1003, 'marketing', 'email');
SELECT * FROM iaros.consent_doctor();
ROLLBACK;
