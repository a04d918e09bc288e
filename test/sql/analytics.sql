-- The dashboard, with the figures of the two tables of the requirements
-- loaded as data, a quarter and half of them: 50,000 mails sent in one; three
-- channels in the other. They do not agree with each other and are kept apart.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- Return on spend and return on investment are two things: 615 % and 515 %.
SELECT iaros.analytics_roas(123000, 20000) AS roas, iaros.analytics_roi(123000, 20000) AS roi;
SELECT iaros.analytics_cpa(20000, 800) AS cpa, iaros.analytics_cpa(0, 1) IS NULL AS no_cost, iaros.analytics_cpa(1, 0) IS NULL AS nobody, iaros.analytics_cpa(1, -1) IS NULL AS less, iaros.analytics_cpa(1, NULL) IS NULL AS no_answer;
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

-- Segments: members under whichever id, what they spent and booked, who came and went
BEGIN;
SELECT count(iaros.customer_create('crm', 'p' || i)) AS customers FROM generate_series(1, 6) AS i;
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', who) $$;
SELECT count(iaros.booking_record(pg_temp.id(who), amount, 'USD', now() - ago)) AS bookings
FROM (VALUES ('p1', 100, interval '10 days'), ('p1', 50, '100 days'), ('p1', 1000, '2 years'), ('p5', 25, '20 days'), ('p2', 40, '1 day'), ('p4', 7, '1 day')) AS v(who, amount, ago);
SELECT count(iaros.segment_create(name, suggested_action => 'Say ' || right(name, 1))) AS segments FROM unnest('{ana A,ana B,ana C}'::text[]) AS name;
SELECT sum(iaros.segment_member_add(segment, ARRAY[pg_temp.id(who)], at)) AS entered
FROM (VALUES ('ana A', 'p1', timestamptz '2026-01-01Z'), ('ana A', 'p2', '2026-02-01Z'), ('ana A', 'p6', '2026-03-01Z'), ('ana B', 'p5', '2026-02-01Z'), ('ana C', 'p3', '2026-02-10Z')) AS v(segment, who, at);
SELECT iaros.segment_member_remove('ana C', ARRAY[pg_temp.id('p3')], '2026-02-11Z') AS departed;
SELECT iaros.customer_recognise(pg_temp.id('p5'), pg_temp.id('p1')), iaros.customer_recognise(pg_temp.id('p6'), pg_temp.id('p2'));
SELECT * FROM iaros.analytics_segments() WHERE segment LIKE 'ana %';
-- only the moves are of the period
SELECT segment, customers, entered, departed FROM iaros.analytics_segments('2026-02-01Z', '2026-02-11Z') WHERE segment LIKE 'ana %';
-- segment_customers() counts the same
SELECT count(*) AS segments, bool_and(customers = (SELECT count(*) FROM iaros.segment_customers(segment))) AS agree FROM iaros.analytics_segments() WHERE customers > 0;
SELECT bool_and(customers = 0 AND share = 0 AND spend_12m = 0 AND spend_12m_avg IS NULL) AS others_empty FROM iaros.analytics_segments() WHERE segment NOT LIKE 'ana %';
ROLLBACK;
SELECT count(*) = (SELECT count(*) FROM iaros.segment) AS one_row_each, bool_and(customers = 0 AND share IS NULL) AS nobody FROM iaros.analytics_segments();

-- Cohorts, in the time zone of the brand
BEGIN;
SELECT iaros.setting_set('brand_time_zone', 'America/New_York');
SELECT count(iaros.customer_create('crm', who)) AS customers FROM unnest('{s1,s2,s3,s3b,s4,s5,s6}'::text[]) AS who;
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_find('crm', who) $$;
SELECT iaros.segment_create('coh') > 0 AS made;
-- s2 enters in the last hour of January, leaves and comes back; s3 is in
-- under s3b, then under both ids, then under its own; s4 comes and goes
SELECT sum(CASE WHEN enters THEN iaros.segment_member_add('coh', ARRAY[pg_temp.id(who)], at) ELSE iaros.segment_member_remove('coh', ARRAY[pg_temp.id(who)], at) END) AS moves
FROM (VALUES (1, 's1', true, timestamptz '2026-01-10 12:00Z'), (2, 's2', true, '2026-02-01 04:30Z'), (3, 's2', false, '2026-02-10 12:00Z'), (4, 's2', true, '2026-03-05 12:00Z'),
    (5, 's3b', true, '2026-01-15 12:00Z'), (6, 's3', true, '2026-02-20 12:00Z'), (7, 's3b', false, '2026-02-25 12:00Z'),
    (8, 's4', true, '2026-02-05 12:00Z'), (9, 's4', false, '2026-02-06 12:00Z'), (10, 's5', true, '2026-04-02 12:00Z')) AS v(n, who, enters, at);
SELECT iaros.customer_recognise(pg_temp.id('s3b'), pg_temp.id('s3'));
-- s1 books before it enters; what s2 books in February is cancelled; s6 never enters
SELECT count(iaros.booking_record(pg_temp.id(who), amount, 'USD', at, status => status::iaros.booking_status)) AS bookings
FROM (VALUES ('s1', 50, timestamptz '2026-01-05Z', 'flown'), ('s1', 100, '2026-01-20Z', 'flown'), ('s1', 200, '2026-03-02Z', 'confirmed'), ('s1', 1000, '2026-03-28Z', 'ticketed'),
    ('s2', 30, '2026-02-01 04:45Z', 'no_show'), ('s2', 999, '2026-02-15Z', 'cancelled'), ('s3b', 40, '2026-02-03Z', 'flown'), ('s3', 60, '2026-03-10Z', 'confirmed'), ('s3', 5, '2026-03-11Z', 'confirmed'),
    ('s4', 70, '2026-03-20Z', 'confirmed'), ('s6', 9999, '2026-02-20Z', 'flown')) AS v(who, amount, at, status);
SELECT * FROM iaros.analytics_cohort('coh', as_of => '2026-03-25Z');
SELECT * FROM iaros.analytics_cohort('coh', as_of => '2026-04-15Z', periods => 3) WHERE starts_on >= '2026-03-01';
SELECT * FROM iaros.analytics_cohort('coh', 'quarter', as_of => '2026-03-25Z');
SELECT cohort, customers, starts_on, active, members, revenue FROM iaros.analytics_cohort('coh', 'week', 4, '2026-01-27Z');
SELECT cohort, customers, complete, active, members FROM iaros.analytics_cohort('coh', 'day', 2, '2026-02-02 05:00Z');
SELECT cohort, customers, period, complete, active, members, revenue FROM iaros.analytics_cohort('coh', 'year', 12, '2027-01-01 04:59Z');
-- the last moment of the year in New York is over
SELECT cohort, period, complete FROM iaros.analytics_cohort('coh', 'year', 12, '2027-01-01 05:00Z');
SELECT count(*) AS nobody_yet FROM iaros.analytics_cohort('coh', as_of => '2026-01-01Z');
SELECT count(*) AS null FROM iaros.analytics_cohort(NULL);
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
SELECT * FROM iaros.analytics_cohort('no such segment');
SELECT * FROM iaros.analytics_cohort('coh', 'fortnight');
SELECT * FROM iaros.analytics_cohort('coh', periods => 0);
SELECT * FROM iaros.analytics_cohort('coh', as_of => 'infinity');
ROLLBACK;
-- Periods of all grains: their first days, and no gap between them
SELECT grain, bool_and(first = date_trunc(grain, day)::date) AS first_days, bool_and(n - iaros.analytics_period(day - 1, grain) = (first = day)::integer) AS no_gap
FROM unnest('{day,week,month,quarter,year}'::text[]) AS grain,
    (SELECT date '1899-12-25' + i FROM generate_series(0, 110000) AS i) AS d(day),
    LATERAL (SELECT iaros.analytics_period(day, grain)) AS p(n), LATERAL (SELECT iaros.analytics_period_start(n, grain)) AS f(first)
GROUP BY grain ORDER BY grain;
SELECT iaros.analytics_period('2026-01-01', 'fortnight') IS NULL AS no_such, iaros.analytics_period(NULL, 'day') IS NULL AS null, iaros.analytics_period_start(1, 'decade') IS NULL AS no_such;
