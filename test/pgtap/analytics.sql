-- analytics: the dashboard of a campaign that really ran.
BEGIN;
SELECT plan(12);
CREATE FUNCTION pg_temp.id(i integer) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', 'd' || i) $$;
SELECT iaros.customer_create('crm', 'd' || i, email => 'd' || i || '@example.org') FROM generate_series(1, 20) AS i;
SELECT count(iaros.consent_record(pg_temp.id(i), 'email', 'marketing', true, 'form', recorded_at => '2026-01-01')) FROM generate_series(1, 20) AS i;
SELECT iaros.segment_create('dash');
SELECT iaros.segment_member_add('dash', ARRAY(SELECT pg_temp.id(i) FROM generate_series(1, 20) AS i));
SELECT iaros.campaign_launch(iaros.campaign_create('DASH', 'Dash', 'email', 'promotional', segment => 'dash',
    schedule_at => '2026-03-01 09:00Z', message_cost_base => 0.05));
SELECT iaros.campaign_tick('2026-03-01 09:00Z');
SELECT is_empty('SELECT * FROM iaros.analytics_dashboard()', 'what only waits was not sent');
SELECT count(iaros.outbox_ack(message_id, token, '2026-03-01 09:05Z')) FROM iaros.outbox_claim('email', as_of => '2026-03-01 09:01Z');
CREATE TEMP VIEW message AS
SELECT message_id, row_number() OVER (ORDER BY message_id)::integer AS n, customer_id FROM iaros.outbox;
SELECT count(iaros.message_event_record(message_id, 'delivered', '2026-03-01 09:06Z')) FROM message WHERE n <= 18;
SELECT count(iaros.message_event_record(message_id, 'bounced_hard', '2026-03-01 09:06Z')) FROM message WHERE n > 18;
SELECT count(iaros.message_event_record(message_id, 'opened', '2026-03-01 10:00Z')) FROM message WHERE n <= 9;
SELECT count(iaros.message_event_record(message_id, 'clicked', '2026-03-01 10:01Z')) FROM message WHERE n <= 4;
SELECT count(iaros.conversion_record(customer_id, 99.99, '2026-03-03')) FROM message WHERE n <= 2;
SELECT iaros.touchpoint_record(customer_id, 'paid_search', '2026-03-02') FROM message WHERE n = 2;

SELECT is(sent, 20::bigint, 'sent') FROM iaros.analytics_dashboard();
SELECT is(delivered, 18::bigint, 'delivered') FROM iaros.analytics_dashboard();
SELECT is(opened, 9::bigint, 'opened') FROM iaros.analytics_dashboard();
SELECT is(clicked, 4::bigint, 'clicked') FROM iaros.analytics_dashboard();
SELECT is(bounced, 2::bigint, 'bounced') FROM iaros.analytics_dashboard();
SELECT is(converted, 1::bigint, 'a conversion that another channel touched last is not its own') FROM iaros.analytics_dashboard();
SELECT is(revenue, 99.99, 'revenue') FROM iaros.analytics_dashboard();
SELECT is(cost, 1.00, 'cost is that of all messages sent') FROM iaros.analytics_dashboard();
SELECT is(roas - roi, 1.0000, 'roas and roi differ by one') FROM iaros.analytics_dashboard();
SELECT is(revenue, (SELECT credit FROM iaros.attribution_last(by => 'campaign') WHERE key = 'DASH'), 'attribution says the same') FROM iaros.analytics_dashboard();
SELECT is_empty($$SELECT * FROM iaros.analytics_dashboard('2026-03-02')$$, 'only messages sent in the time asked for');
SELECT * FROM finish();
ROLLBACK;
