-- The main job end to end, told step by step. Run by test/demo in a fresh
-- database with iaros installed; customers: how many to generate.
\if :{?customers}
\else
\set customers 20000
\endif
\set db :DBNAME
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset linestyle unicode
\pset border 1
\pset null ''
SET client_min_messages TO notice;
SET timezone TO 'UTC';

\echo '== 1. An airline is generated: customers, bookings, events, seeded, so the same every time.'
\o /dev/null
SELECT iaros.setting_set('brand_time_zone', 'Europe/Berlin');
SELECT * FROM iaros.demo_generate(:customers, 42);
\o
SELECT 'customers' AS "what was loaded", to_char(count(*), '999,999,999') AS rows,
       count(DISTINCT country) || ' countries, ' || count(*) FILTER (WHERE kind = 'anonymous') || ' anonymous' AS detail
FROM iaros.customer
UNION ALL
SELECT 'bookings', to_char(count(*), '999,999,999'),
       count(DISTINCT (origin, destination)) || ' routes, ' || count(DISTINCT currency) || ' currencies, '
       || to_char(sum(amount_base) FILTER (WHERE iaros.booking_counts(status)), 'FM999,999,999,999') || ' USD'
FROM iaros.booking
UNION ALL
SELECT 'booking items', to_char(count(*), '999,999,999'), count(DISTINCT kind) || ' kinds' FROM iaros.booking_item
UNION ALL
SELECT 'events', to_char(count(*), '999,999,999'), count(DISTINCT kind) || ' kinds' FROM iaros.event
UNION ALL
SELECT 'touchpoints', to_char(count(*), '999,999,999'), count(DISTINCT channel) || ' channels' FROM iaros.touchpoint
UNION ALL
SELECT 'consents', to_char(count(*), '999,999,999'), count(*) FILTER (WHERE NOT given) || ' withdrawn or refused' FROM iaros.consent;

\echo '== 2. Profiles, RFM scores and segments are computed.'
\o /dev/null
SELECT iaros.rfm_refresh();
SELECT iaros.segment_refresh();
\o
SELECT s.name AS segment, s.customers, s.suggested_action AS "what to do"
FROM iaros.segment_list() s ORDER BY s.customers DESC;
SELECT g.segment AS "RFM segment", count(*) AS customers,
       to_char(sum(g.monetary), '999,999,999') AS "spend, 12 months",
       round(100 * sum(g.monetary) / sum(sum(g.monetary)) OVER (), 1) AS "% of spend"
FROM iaros.customer_rfm g GROUP BY 1 ORDER BY sum(g.monetary) DESC NULLS LAST;

\echo '== 3. Three customers, their next best offer, and why.'
CREATE TEMP TABLE chosen AS
    SELECT DISTINCT ON (s.segment) s.segment, s.customer_id
    FROM (SELECT 'Frequent Business Travelers' AS segment, c.customer_id FROM iaros.segment_customers('Frequent Business Travelers') c
          UNION ALL
          SELECT 'Family Travelers', c.customer_id FROM iaros.segment_customers('Family Travelers') c
          UNION ALL
          SELECT 'Lapsed Customers', c.customer_id FROM iaros.segment_customers('Lapsed Customers') c) s
    JOIN iaros.profile p USING (customer_id)
    WHERE p.booking_count >= 3 AND p.spend_12m < 4000
    ORDER BY s.segment, p.booking_count DESC, s.customer_id;
SELECT c.first_name || ' ' || c.last_name AS customer, chosen.segment, o.name AS offer, o.score,
       array_to_string(o.reasons, '; ') AS why
FROM chosen
JOIN iaros.customer c USING (customer_id)
CROSS JOIN LATERAL iaros.next_best_offer(chosen.customer_id, 1) o
ORDER BY chosen.segment;

\echo '== 4. Three models are trained in SQL and imported as PMML. Scores on customers held out (AUC: area under the ROC curve), and of the three customers.'
SELECT model, judged_by AS "judged by", trained AS "trained on", round(score::numeric, 3) AS score,
       round(rule::numeric, 3) AS "rule of thumb", round(truth::numeric, 3) AS "planted truth"
FROM iaros.demo_models(42);
SELECT c.first_name || ' ' || c.last_name AS customer, chosen.segment, round(churn.score::numeric, 3) AS churn,
       round(books.score::numeric, 3) AS "books in 90 days", o.name AS "offer of the model", round(offer.score::numeric, 3) AS chance
FROM chosen
JOIN iaros.customer c USING (customer_id)
JOIN iaros.model_scan(iaros.model_get('churn'), 'iaros.profile') churn ON churn.id = chosen.customer_id
JOIN iaros.model_scan(iaros.model_get('propensity'), 'iaros.profile') books ON books.id = chosen.customer_id
JOIN iaros.model_scan(iaros.model_get('next_best_offer'), 'iaros.profile') offer ON offer.id = chosen.customer_id
JOIN iaros.offer o ON o.model_class = offer.predicted::integer
ORDER BY chosen.segment;

\echo '== 5. Two campaigns are launched. pg_cron fires them at the next full minute; nobody calls anything.'
\o /dev/null
SELECT iaros.campaign_create('WINBACK', 'Come back to the sky', 'email', 'winback-1', 'Lapsed Customers',
    schedule_at => now(), offer => 'WINBACK_DISCOUNT', promo => 'WINBACK20', type => 'winback',
    message_cost_base => 0.002) AS winback \gset
SELECT iaros.campaign_create('CART', 'Your trip is waiting', 'email', 'abandoned-cart-1',
    trigger_kind => 'event', event_kind => 'cart_abandoned', delay => '1 hour', backlog => '1 day',
    not_booked_since_trigger => true, promo => 'CART5', offer => 'CART_SAVER', type => 'abandoned_cart',
    message_cost_base => 0.002) AS cart \gset
SELECT iaros.campaign_launch(:winback);
SELECT iaros.campaign_launch(:cart);
-- Two hundred customers left a cart an hour ago.
SELECT count(iaros.event_record(c.customer_id, 'cart_abandoned', now() - interval '61 minutes',
    '{"origin": "JFK", "destination": "LHR"}', external_id => 'demo-cart'))
FROM (SELECT p.customer_id FROM iaros.profile p WHERE p.last_event_at > now() - interval '60 days'
      ORDER BY p.customer_id LIMIT 200) c;
SET client_min_messages TO warning;
SELECT string_agg(command, ' ') AS schedule_jobs FROM iaros.jobs_schedule() \gset
\o
\c cron
SET client_min_messages TO warning;
CREATE EXTENSION IF NOT EXISTS pg_cron;
\o /dev/null
:schedule_jobs
\o
\c :db
\set QUIET on
SET client_min_messages TO notice;
DO $$
DECLARE
    began timestamptz := clock_timestamp();
    told timestamptz := began;
BEGIN
    LOOP
        EXIT WHEN (SELECT count(DISTINCT r.campaign_id) = 2 FROM iaros.campaign_send r)
              AND NOT EXISTS (SELECT FROM iaros.job_run j WHERE j.job = 'campaigns' AND j.finished_at IS NULL);
        IF clock_timestamp() > began + interval '3 minutes' THEN
            RAISE EXCEPTION 'pg_cron did not fire the campaigns within three minutes'
                USING HINT = 'See cron.job_run_details in database cron.';
        END IF;
        IF clock_timestamp() > told + interval '10 s' THEN
            told := clock_timestamp();
            RAISE NOTICE 'waiting for pg_cron, % s', round(extract(epoch FROM told - began));
        END IF;
        PERFORM pg_sleep(0.5);
    END LOOP;
    RAISE NOTICE 'pg_cron fired the campaigns after % s', round(extract(epoch FROM clock_timestamp() - began));
END $$;
SELECT c.code AS campaign, c.trigger_kind AS "fired by", count(*) FILTER (WHERE s.outcome = 'sent') AS messages,
       count(*) FILTER (WHERE s.outcome <> 'sent') AS suppressed
FROM iaros.campaign_send s JOIN iaros.campaign c USING (campaign_id) GROUP BY 1, 2 ORDER BY 1;
SELECT split_part(r, ':', 1) AS "why suppressed", count(*) AS customers
FROM iaros.campaign_send s, unnest(s.reasons) r GROUP BY 1 ORDER BY 2 DESC;

\echo '== 6. The messages wait in the outbox, rendered for each customer.'
SELECT iaros.mask_text(o.recipient) AS recipient, o.subject, left(regexp_replace(o.body, '<[^>]+>|\s+', ' ', 'g'), 90) || '...' AS body
FROM iaros.outbox o JOIN iaros.campaign c USING (campaign_id)
WHERE c.code IN ('WINBACK', 'CART')
ORDER BY c.code, o.message_id LIMIT 4;

\echo '== 7. A provider is played: it claims and delivers the messages; customers open, click and book (by chance, seeded).'
\o /dev/null
CREATE TEMP TABLE delivered AS SELECT * FROM iaros.outbox_claim('email', 10000);
SELECT count(*) FROM delivered d WHERE iaros.outbox_ack(d.message_id, d.token);
SELECT count(*) FROM delivered d
WHERE iaros.message_event_record(d.message_id,
    CASE WHEN iaros.chance(d.customer_id, 'demo bounce') < 0.02 THEN 'bounced_hard' ELSE 'delivered' END::iaros.message_event_kind);
SELECT count(*) FROM delivered d
WHERE iaros.chance(d.customer_id, 'demo bounce') >= 0.02 AND iaros.chance(d.customer_id, 'demo open') < 0.3
  AND iaros.message_event_record(d.message_id, 'opened', now() + interval '1 minute');
SELECT count(*) FROM delivered d
WHERE iaros.chance(d.customer_id, 'demo bounce') >= 0.02 AND iaros.chance(d.customer_id, 'demo open') < 0.06
  AND iaros.message_event_record(d.message_id, 'clicked', now() + interval '2 minutes');
CREATE TEMP TABLE buyer AS
SELECT d.customer_id,
    iaros.booking_record(d.customer_id, 200 + iaros.chance_int(d.customer_id, 42, 7, 600), 'USD', now() + interval '3 minutes',
        'JFK', 'LHR', 'economy', 'Y', 'web', source => 'web', external_id => 'demo-' || d.message_id) AS booking_id
FROM delivered d
WHERE iaros.chance(d.customer_id, 'demo bounce') >= 0.02 AND iaros.chance(d.customer_id, 'demo open') < 0.015;
SELECT count(iaros.conversion_record(b.customer_id, k.amount_base, k.booked_at, booking_id => b.booking_id))
FROM buyer b JOIN iaros.booking k USING (customer_id, booking_id);
\o

\echo '== 8. What the campaigns brought (analytics_dashboard).'
SELECT campaign, channel, sent, delivered, opened, clicked, converted,
       to_char(revenue, '999,990.00') AS "revenue, USD", to_char(cost, '990.00') AS "cost, USD",
       round(100 * open_rate, 1) AS "% opened", round(100 * click_rate, 1) AS "% clicked"
FROM iaros.analytics_dashboard(now() - interval '1 day', now() + interval '1 day')
WHERE campaign IN ('WINBACK', 'CART') ORDER BY 1;

\echo '== 9. What each channel earned in the last 90 days (last touch, 30-day window).'
SELECT key AS channel, conversions, to_char(credit, '999,999,990.00') AS "revenue, USD",
       to_char(cost, '999,999,990.00') AS "cost, USD", round(roas, 1) AS roas
FROM iaros.attribution_last(now() - interval '90 days', now() + interval '1 day') ORDER BY credit DESC;

\echo 'What the models say against the truth that was planted (share of bookings with a touch, percent).'
WITH judged AS MATERIALIZED (
    SELECT * FROM iaros.demo_attribution('{last,linear,time_decay(1 day),u_shaped,markov,shapley,shapley(rate)}')
), cell AS (
    SELECT channel, truth, split_part(model, '(', 1) || CASE WHEN model = 'shapley(rate)' THEN '(rate)' ELSE '' END AS model, share AS figure FROM judged
    UNION ALL
    SELECT 'mean error', NULL, split_part(model, '(', 1) || CASE WHEN model = 'shapley(rate)' THEN '(rate)' ELSE '' END, avg(abs(difference)) FROM judged GROUP BY model
)
SELECT channel, round(100 * max(truth), 1) AS truth,
       round(100 * max(figure) FILTER (WHERE model = 'last'), 1) AS last,
       round(100 * max(figure) FILTER (WHERE model = 'linear'), 1) AS linear,
       round(100 * max(figure) FILTER (WHERE model = 'time_decay'), 1) AS time_decay,
       round(100 * max(figure) FILTER (WHERE model = 'u_shaped'), 1) AS u_shaped,
       round(100 * max(figure) FILTER (WHERE model = 'markov'), 1) AS markov,
       round(100 * max(figure) FILTER (WHERE model = 'shapley'), 1) AS shapley,
       round(100 * max(figure) FILTER (WHERE model = 'shapley(rate)'), 1) AS "shapley(rate)"
FROM cell GROUP BY channel ORDER BY channel = 'mean error', max(truth) DESC, channel;

\echo '== 10. A code at the check-out, and why another is refused.'
SELECT v.code, r.valid, r.discount,
       (SELECT string_agg(x ->> 'text', '; ') FROM jsonb_path_query(r.answers, '$[*].reasons[*]') AS x) AS reasons
FROM (SELECT customer_id FROM iaros.customer_rfm ORDER BY monetary DESC NULLS LAST LIMIT 1) c,
     (VALUES ('WINBACK20'), ('WELCOME10'), ('NO_SUCH')) AS v(code)
CROSS JOIN LATERAL iaros.promo_validate(
    jsonb_build_object('customer', c.customer_id, 'currency', 'USD', 'lines', '[{"id": 1, "price": 400}]'::jsonb), ARRAY[v.code]) r;

\echo '== 11. Is all well? (doctor; nothing is listed when it is)'
SELECT severity, subject, finding FROM iaros.doctor() WHERE severity > 'info' ORDER BY severity DESC, subject;
