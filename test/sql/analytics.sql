-- The dashboard, with the figures of the two tables of the requirements
-- loaded as data, a quarter and half of them: 50,000 mails sent in one; three
-- channels in the other. They do not agree with each other and are kept apart.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- Return on spend and return on investment are two things: 615 % and 515 %.
SELECT iaros.analytics_roas(123000, 20000) AS roas, iaros.analytics_roi(123000, 20000) AS roi;
SELECT iaros.analytics_roas(1, 0) IS NULL AS no_cost, iaros.analytics_roi(1, NULL) IS NULL AS no_answer;
-- 12,300 opens are 25 % of the 49,200 delivered, 24.6 % of the 50,000 sent.
SELECT iaros.analytics_rate(12300, 49200) AS of_delivered, iaros.analytics_rate(12300, 50000) AS of_sent, iaros.analytics_rate(1, 0) IS NULL AS of_nothing;

BEGIN;
-- The first n customers of each line did the thing.
CREATE FUNCTION pg_temp.load(campaign text, channel text, at timestamptz, sent integer, delivered integer,
    opened integer, clicked integer, converted integer, revenue numeric) RETURNS bigint LANGUAGE sql AS $$
    WITH c AS (
        SELECT iaros.campaign_create(campaign, campaign, load.channel, 'promotional', message_cost_base => 0.40) AS campaign_id
    ), customer AS (
        INSERT INTO iaros.customer (source) SELECT 'crm' FROM generate_series(1, sent) RETURNING customer_id
    ), m AS MATERIALIZED (
        SELECT customer_id, c.campaign_id, row_number() OVER (ORDER BY customer_id) AS n, nextval('iaros.message_id_seq') AS message_id
        FROM customer, c
    ), happened AS (
        INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id)
        SELECT m.customer_id, at + k.after, m.message_id, k.kind::iaros.message_event_kind, load.channel, m.campaign_id
        FROM m JOIN (VALUES ('sent', sent, interval '0'), ('delivered', delivered, '1 minute'),
            ('opened', opened, '1 hour'), ('clicked', clicked, '61 minutes')) AS k(kind, n, after) ON m.n <= k.n
    ), touched AS (
        INSERT INTO iaros.touchpoint (customer_id, occurred_at, channel, kind, campaign_id, message_id, source)
        SELECT m.customer_id, at + interval '61 minutes', load.channel, 'click', m.campaign_id, m.message_id, 'message'
        FROM m WHERE m.n <= clicked
    ), bought AS (
        INSERT INTO iaros.conversion (customer_id, occurred_at, value_base, source)
        SELECT m.customer_id, at + interval '1 day',
            CASE WHEN m.n = converted THEN revenue - (converted - 1) * round(revenue / converted, 2)
                 ELSE round(revenue / converted, 2) END, 'web'
        FROM m WHERE m.n <= converted
        RETURNING 1
    )
    SELECT count(*) FROM bought $$;
SELECT pg_temp.load('DASHBOARD', 'email', '2026-01-10', 12500, 12300, 3075, 615, 123, 30750) AS converted;
SELECT pg_temp.load('MAIL', 'email', '2026-02-10', 20000, 20000, 4800, 900, 180, 45000) AS mail,
    pg_temp.load('TEXT', 'sms', '2026-02-10', 4000, 4000, 3800, 480, 72, 14000) AS text,
    pg_temp.load('PUSH', 'push', '2026-02-10', 1000, 1000, 680, 80, 7, 2500) AS push;
ANALYZE;

SELECT campaign, channel, sent, delivered, opened, clicked, converted, revenue, cost FROM iaros.analytics_dashboard('2026-01-01', '2026-02-01');
SELECT delivery_rate, open_rate, open_rate_sent, click_rate, click_rate_sent, conversion_rate, conversion_rate_sent, roas, roi FROM iaros.analytics_dashboard('2026-01-01', '2026-02-01');
SELECT campaign, sent, opened, clicked, converted, revenue, open_rate, click_rate, conversion_rate FROM iaros.analytics_dashboard('2026-02-01', '2026-03-01');
SELECT sum(sent) AS sent, sum(opened) AS opens, sum(clicked) AS clicks, sum(converted) AS conversions, sum(revenue) AS revenue FROM iaros.analytics_dashboard('2026-02-01', '2026-03-01');
SELECT sum(revenue) = (SELECT sum(value_base) FROM iaros.conversion) AS exact FROM iaros.analytics_dashboard();
SELECT * FROM iaros.attribution_last(by => 'campaign');

-- What happens later counts for the day of sending; a second open counts once.
INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id)
SELECT e.customer_id, '2026-05-05', e.message_id, k.kind, e.channel, e.campaign_id
FROM (SELECT * FROM iaros.message_event WHERE kind = 'sent' AND channel = 'push' ORDER BY message_id DESC LIMIT 1) e,
    unnest('{bounced_soft,unsubscribed}'::iaros.message_event_kind[]) AS k(kind);
INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id)
SELECT customer_id, '2026-05-05', message_id, kind, channel, campaign_id FROM iaros.message_event WHERE kind = 'opened' AND channel = 'push';
SELECT channel, sent, opened, bounced, unsubscribed FROM iaros.analytics_dashboard('2026-02-01', '2026-03-01') WHERE channel = 'push';
SELECT count(*) FROM iaros.analytics_dashboard('2026-05-01');
-- Conversions after the window are nobody's.
SELECT campaign, converted, revenue FROM iaros.analytics_dashboard("window" => '1 hour') ORDER BY campaign;
SELECT * FROM iaros.analytics_dashboard("window" => '0');
ROLLBACK;
