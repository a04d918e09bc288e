-- demo: what is planted, a small airline, what is refused and in which words.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SELECT persona, share, rate_mean, dropout_rate, spend_mean, lead_mean, days, nps_mean FROM iaros.demo_truth_personas();
SELECT sum(share) FROM iaros.demo_truth_personas();
SELECT persona FROM iaros.demo_truth_personas() WHERE abs((SELECT avg(s) FROM unnest(season) AS s) - 1) > 0.001;
SELECT * FROM iaros.demo_truth_channels();
SELECT * FROM iaros.demo_truth_baskets();
SELECT country, currency, language, dial, weight, cardinality(female), cardinality(male), cardinality(family) FROM iaros.demo_countries();
SELECT round(sum(weight)::numeric, 6) FROM iaros.demo_countries();
SELECT count(*), count(DISTINCT airport), count(*) FILTER (WHERE home > 0) AS homes FROM iaros.demo_airports();
SELECT count(*), round(sum(max_share)::numeric, 6) FROM iaros.demo_items();
SELECT kind FROM iaros.demo_items() EXCEPT SELECT kind FROM iaros.item_kind;
SELECT c, round(iaros.demo_rate(c, '2026-01-01')::numeric, 6), round(iaros.demo_rate(c, '2026-01-31')::numeric, 6)
FROM unnest('{USD,EUR,JPY,KWD,AED,SEK}'::text[]) AS c;
SELECT iaros.demo_rate(NULL, '2026-01-01'), iaros.demo_rate('EUR', NULL);
SELECT key, iaros.demo_typo('Johnson', key, 1, 0) FROM generate_series(1, 8) AS key;
SELECT iaros.demo_typo('Lee', 1, 1, 0), iaros.demo_typo(NULL, 1, 1, 0);
SELECT count(*) FROM generate_series(1, 1000) AS key WHERE iaros.demo_typo('Hannah', key, 1, 0) = 'Hannah';
BEGIN;
SELECT step, rows FROM iaros.demo_generate(200, 1, '2026-01-01') WHERE step NOT IN ('partitions', 'constraints', 'statistics');
SELECT persona, count(*) FROM iaros.demo_truth_customers() GROUP BY persona ORDER BY persona;
SELECT first_name, last_name, birth_date, country, city, language, time_zone, home_airport, created_at FROM iaros.customer WHERE customer_id IN (1, 2, 3) ORDER BY customer_id;
SELECT t.persona, t.joined_on, t.dropped_out_on, a.first_name, a.last_name, b.first_name AS first_stored, b.last_name AS last_stored
FROM iaros.demo_truth_customers() t
JOIN iaros.customer a ON a.customer_id = t.customer_id
JOIN iaros.customer b ON b.customer_id = t.duplicate_of ORDER BY t.customer_id;
SELECT booking_id, booked_at, status, origin, destination, cabin, sales_channel, party_size, departure_at, amount, currency, amount_base
FROM iaros.booking WHERE customer_id = 2 ORDER BY booking_id LIMIT 5;
SELECT kind, count(*) > 0 AS some FROM iaros.event GROUP BY kind ORDER BY kind;
SELECT channel, count(*) > 0 AS some FROM iaros.touchpoint GROUP BY channel ORDER BY channel;
SELECT iaros.demo_generate(200);
SELECT iaros.customer_create(first_name => 'Ada') > 200 AS made;
SELECT iaros.demo_clear();
DELETE FROM iaros.customer WHERE source <> 'demo';
SELECT iaros.demo_clear();
SELECT (SELECT count(*) FROM iaros.customer) + (SELECT count(*) FROM iaros.booking) + (SELECT count(*) FROM iaros.event)
    + (SELECT count(*) FROM iaros.demo_truth) + (SELECT count(*) FROM iaros.fx_rate) AS left_over;
SELECT action, detail - 'as_of' FROM iaros.audit_list() WHERE action LIKE 'demo.%' ORDER BY action, detail;
SELECT iaros.demo_generate(-1, 1, '2026-01-01');
SELECT iaros.demo_generate(20, 1, '1800-01-01');
SELECT iaros.setting_set('base_currency', 'NOK');
SELECT iaros.demo_generate(20, 1, '2026-01-01');
SELECT iaros.setting_set('base_currency', 'EUR');
SELECT count(*) > 0 AS steps FROM iaros.demo_generate(20, 1, '2026-01-01');
SELECT count(*) FILTER (WHERE currency = 'EUR' AND amount_base <> amount) AS euro_off,
    count(*) FILTER (WHERE amount_base <> iaros.fx_convert(amount, currency, booked_at::date)) AS off FROM iaros.booking;
SELECT iaros.demo_clear();
ROLLBACK;
