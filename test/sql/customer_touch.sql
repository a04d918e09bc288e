-- Touchpoints and conversions out of loads, web events and bookings.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT iaros.customer_create('crm', 'ada') AS ada \gset
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2026-01-01', 1.1);

-- Loads: each row is new, known already, or refused with all its reasons.
CREATE TEMP TABLE raw (external_id text, customer_external_id text, channel text, occurred_at text, kind text, campaign text, "position" text, stage text, cost text, currency text);
INSERT INTO raw VALUES
    ('t1', 'ada', 'display', '2026-01-05 10:00', 'impression', 'Brand', '2', 'lead', '1.50', 'EUR'),
    ('t2', 'ada', 'email', '2026-01-06', NULL, '', '', '', '', ''),
    ('t3', 'ada', 'pigeon', '2026-02-30', 'look', repeat('x', 201), '-2', 'leader', '-1.50', 'EUX'),
    ('t4', 'bob', 'email', '', 'open', NULL, '1.5', NULL, 'much', NULL),
    ('t5', 'ada', 'email', '2026-03-06', NULL, NULL, NULL, NULL, '0.1', 'EUR'),
    ('t1', 'ada', 'email', '2026-01-05 10:00', NULL, NULL, NULL, NULL, NULL, NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', $$SELECT *, 'crm' AS customer_source FROM raw$$);
SELECT row_no, unnest(reasons) AS reason FROM iaros.load_reject ORDER BY 1, 2;
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', $$SELECT *, 'crm' AS customer_source FROM raw WHERE external_id = 't2' OR channel = 'display'$$);
SELECT occurred_at, channel, kind, campaign, "position", stage, cost_base, source FROM iaros.touchpoint ORDER BY 1;
-- Micros of an advertising network.
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', format($$SELECT 'micros' AS external_id, %s AS customer_id, 'display' AS channel, '2026-01-07' AS occurred_at, 1370 / 1e6 AS cost$$, :ada));
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', format($$SELECT 'micros' AS external_id, %s AS customer_id, 'display' AS channel, '2026-01-07' AS occurred_at, 1370 / 1e6 AS cost$$, :ada));
SELECT cost_base FROM iaros.touchpoint WHERE occurred_at = '2026-01-07';
-- A touchpoint that is gone keeps its key.
DELETE FROM iaros.touchpoint WHERE channel = 'email';
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', $$SELECT *, 'crm' AS customer_source FROM raw WHERE external_id = 't2'$$);
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('mobile', $$SELECT *, 'crm' AS customer_source FROM raw WHERE external_id = 't2'$$);
SELECT rows, accepted, duplicates, refused FROM iaros.inbox_ingest('web', 'touchpoint', format('{"external_id": "j1", "customer_id": %s, "channel": "sms", "occurred_at": "2026-01-07T10:00:00Z", "clicks": 3}', :ada)::jsonb);
SELECT * FROM iaros.touchpoint_load('web', $$SELECT 1 AS external_id, 'email' AS channel$$);

CREATE TEMP TABLE goal (external_id text, customer_external_id text, occurred_at text, kind text, value numeric, currency text);
INSERT INTO goal VALUES ('c1', 'ada', '2026-01-08', NULL, 100, 'EUR'), ('c2', 'ada', '2026-01-09', 'signup', 0, NULL), ('c3', 'ada', '2026-01-09', 'Sign up', -1, NULL),
    ('c4', 'ada', '2026-01-09', 'x', 1.001, 'EUR'), ('c5', 'ada', '2025-01-09', 'x', 1, 'EUR'), ('c6', 'ada', '2026-01-09', 'x', 1e12, NULL), ('c1', 'ada', '2026-01-08', NULL, 100, 'EUR');
SELECT rows, accepted, duplicates, refused FROM iaros.conversion_load('web', $$SELECT *, 'crm' AS customer_source FROM goal$$);
SELECT row_no, unnest(reasons) AS reason FROM iaros.load_reject WHERE kind = 'conversion' ORDER BY 1, 2;
SELECT rows, accepted, duplicates, refused FROM iaros.conversion_load('web', $$SELECT *, 'crm' AS customer_source FROM goal WHERE external_id < 'c3'$$);
SELECT occurred_at, kind, value_base, source, external_id FROM iaros.conversion ORDER BY 1;
-- One at a time, with a key as often as you like.
SELECT iaros.touchpoint_record(:ada, 'call', '2026-01-01', external_id => 'k1') = iaros.touchpoint_record(:ada, 'post', '2026-01-02', external_id => 'k1') AS same;
SELECT iaros.conversion_record(:ada, 5, '2026-01-01', external_id => 'k1') = iaros.conversion_record(:ada, 6, '2026-01-02', external_id => 'k1') AS same;
SELECT channel FROM iaros.touchpoint WHERE channel IN ('call', 'post');
-- The code of a campaign of ours is that campaign.
SELECT iaros.campaign_create('LOADED', 'Loaded', 'email', 'promotional') > 0 AS made;
SELECT rows, accepted, duplicates, refused FROM iaros.touchpoint_load('web', format('SELECT x.k AS external_id, %s AS customer_id, ''email'' AS channel, timestamptz ''2026-01-01'' AS occurred_at, x.c AS campaign FROM (VALUES (''m1'', ''LOADED''), (''m2'', ''loaded'')) AS x(k, c)', :ada));
SELECT t.campaign, c.code FROM iaros.touchpoint t LEFT JOIN iaros.campaign c USING (campaign_id) WHERE lower(t.campaign) = 'loaded' ORDER BY 1;

-- Web events: where somebody came from, and the rule that tells the channel.
SELECT u, iaros.touchpoint_host(u) FROM unnest(ARRAY['https://www.Example.com/a?b', 'HTTP://user@shop.example.com:8080', 'android-app://com.google.gm', '', ' ', 'example.com', NULL]) AS u;
CREATE TEMP TABLE page (n integer, properties jsonb);
INSERT INTO page VALUES
    (1, '{"utm_source": "Google", "utm_medium": "CPC", "utm_campaign": " Brand 1 "}'),
    (2, '{"gclid": "x", "url": "https://air.example/"}'),
    (3, '{"referrer": "https://www.google.co.uk/", "url": "https://air.example/"}'),
    (4, '{"referrer": "https://www.air.example:443/a", "url": "https://air.example/b"}'),
    (5, '{"referrer": "", "url": "https://air.example/"}'),
    (6, '{"url": "https://air.example/"}'),
    (7, '{"referrer": "https://t.co/abc"}'),
    (8, '{"referrer": "https://blog.example/abc"}'),
    (9, '{"utm_source": "facebook", "utm_medium": "paid", "fbclid": "1"}'),
    (10, '{"utm_source": "newsletter", "utm_medium": "email"}'),
    (11, '{"referrer": "https://pay.air.example/done"}'),
    (12, '{"fbclid": "1"}'),
    (13, '{"utm_medium": "affiliate", "utm_source": "x"}'),
    (14, '{"referrer": "https://www.kayak.com/flights"}'),
    (15, '{"utm_campaign": "only"}'),
    (16, '{"referrer": 7, "utm_source": null}'),
    (17, '{}'),
    (18, '{"referrer": "https://accounts.google.com/signin"}'),
    (19, '{"referrer": "https://mail.google.com/"}'),
    (20, '{"referrer": "https://uk.search.yahoo.com/search"}'),
    (21, '{"referrer": "https://mail.yahoo.com/"}'),
    (22, '{"referrer": "android-app://com.google.android.googlequicksearchbox/"}'),
    (23, '{"referrer": "android-app://com.google.android.gm/"}'),
    (24, '{"referrer": "https://www.google.com.evil.example/"}');
SELECT iaros.setting_set('web_own_hosts', 'm.air.example, WWW.Pay.air.example:443');
SELECT n, iaros.touchpoint_entrance(properties, iaros.setting_get('web_own_hosts')) FROM page ORDER BY n;
SELECT count(iaros.event_record(:ada, 'page_view', timestamptz '2026-02-01' + n * interval '1 hour', properties, external_id => 'p' || n)) FROM page;
SELECT extract(hour FROM occurred_at) AS n, channel, kind, campaign FROM iaros.touchpoint WHERE occurred_at >= '2026-02-01' ORDER BY 1;
-- Once only, also by hand and when the event comes again.
SELECT count(iaros.event_record(:ada, 'page_view', timestamptz '2026-02-01' + n * interval '1 hour', properties, external_id => 'p' || n)) FROM page;
SELECT iaros.touchpoint_apply();
-- Another kind of event asks for a rule; then the past follows when told to.
SELECT iaros.event_record(:ada, 'app_open', '2026-02-03', '{"referrer": "android-app://com.google.gm"}') > 0 AS recorded;
INSERT INTO iaros.touchpoint_rule (rule, rank, event_kinds, host_pattern, channel, kind) VALUES ('mail_app', 1, '{app_open}', '^com[.]google[.]gm$', 'email', 'click');
SELECT iaros.touchpoint_apply('2026-02-03', '2026-02-04'), iaros.touchpoint_apply();
INSERT INTO iaros.touchpoint_rule (rule, rank, host_pattern) VALUES ('broken', 1, '(');
SELECT rule FROM iaros.touchpoint_rule WHERE shipped_hash = 'new';
-- Loaded events as well.
SELECT accepted FROM iaros.event_load('web', format('SELECT %s AS customer_id, ''l'' || n AS external_id, ''page_view'' AS kind, timestamptz ''2026-02-10'' + n * interval ''1 hour'' AS occurred_at, properties FROM page', :ada));
SELECT count(*) FROM iaros.touchpoint WHERE occurred_at >= '2026-02-10';

-- Bookings become conversions when the setting says so.
SELECT iaros.booking_record(:ada, 100, 'EUR', '2026-01-02') AS before \gset
SELECT count(*) FROM iaros.conversion WHERE booking_id IS NOT NULL;
SELECT iaros.setting_set('conversion_from_booking', 'true');
SELECT iaros.booking_record(:ada, 200, 'EUR', '2026-01-03', status => 'held') AS held \gset
SELECT iaros.conversion_apply(), iaros.conversion_apply();
UPDATE iaros.booking SET amount = 150 WHERE booking_id = :before;
UPDATE iaros.booking SET status = 'ticketed' WHERE booking_id = :held;
SELECT occurred_at, kind, value_base FROM iaros.conversion WHERE booking_id IS NOT NULL ORDER BY 1;
UPDATE iaros.booking SET status = 'refunded' WHERE booking_id = :before;
SELECT occurred_at, kind, value_base FROM iaros.conversion WHERE booking_id IS NOT NULL ORDER BY 1;
ROLLBACK;
