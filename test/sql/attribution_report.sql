-- Reports of every model over the tables: 500 over four touches, spend,
-- costs of messages, campaigns that are not ours, comparison with lift.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
BEGIN;
CREATE FUNCTION pg_temp.id(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT iaros.customer_create('crm', who) $$;
SELECT iaros.campaign_create('SPRING', 'Spring', 'email', 'promotional', message_cost_base => 0.10) AS spring \gset
SELECT count(t) FROM (
    SELECT iaros.touchpoint_record(pg_temp.id('a'), 'display', '2026-01-01', kind => 'impression', cost_base => 2, campaign => 'Brand', stage => 'lead') AS t
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('a'), 'email', '2026-01-03', campaign_id => :spring)
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('a'), 'paid_search', '2026-01-08', cost_base => 1, stage => 'opportunity')
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('a'), 'direct', '2026-01-10', kind => 'visit')
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('b'), 'email', '2026-01-10', campaign_id => :spring)
    -- c never buys
    UNION ALL SELECT iaros.touchpoint_record(pg_temp.id('c'), 'display', '2026-01-05', kind => 'impression', campaign => 'Brand')) AS x;
SELECT count(c) FROM (
    SELECT iaros.conversion_record(pg_temp.id('a'), 500, '2026-01-11') AS c
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('b'), 0.05, '2026-01-12')
    UNION ALL SELECT iaros.conversion_record(pg_temp.id('d'), 0, '2026-01-12')) AS x;
SELECT key, conversions, credit FROM iaros.attribution_linear();
SELECT key, conversions, credit FROM iaros.attribution_first();
SELECT key, conversions, credit FROM iaros.attribution_time_decay('1 day');
SELECT key, conversions, credit FROM iaros.attribution_time_decay('36 hours', '2026-01-01', '2026-02-01', '5 days');
SELECT key, conversions, credit FROM iaros.attribution_u_shaped();
SELECT key, conversions, credit FROM iaros.attribution_w_shaped();
SELECT key, conversions, credit FROM iaros.attribution_w_shaped(stages => true);
SELECT key, conversions, credit FROM iaros.attribution_report('last_non_direct');
SELECT key, conversions, credit FROM iaros.attribution_report('custom(0.5, 0.5)', by => 'campaign');
SELECT key, revenue, share, conversions, value_per_conversion FROM iaros.attribution_revenue();
SELECT key, model, conversions, credit, share, cost, roas, roi, cpa FROM iaros.attribution_compare('{last,linear,shapley,markov}', '2026-01-01', '2026-02-01');
SELECT model, sum(credit), sum(conversions) FROM iaros.attribution_compare() GROUP BY model ORDER BY model COLLATE "C";
-- What it cost: touchpoints, bills, messages; the last of a bill counts.
SELECT iaros.attribution_spend_record('2026-01-05', 'display', 100, 'USD', 'Brand'), iaros.attribution_spend_record('2026-01-05', 'display', 80, 'USD', 'Brand'),
    iaros.attribution_spend_record('2026-02-05', 'post', 40);
INSERT INTO iaros.message_event (customer_id, occurred_at, message_id, kind, channel, campaign_id)
SELECT pg_temp.id('a'), '2026-01-02', n, 'sent', 'email', :spring FROM generate_series(1, 30) n;
SELECT * FROM iaros.attribution_cost() ORDER BY key;
SELECT * FROM iaros.attribution_cost('2026-01-01', '2026-02-01', 'campaign') ORDER BY key;
SELECT * FROM iaros.attribution_cost(daily => true) ORDER BY day, key;
SELECT key, conversions, cost, roas FROM iaros.attribution_linear(by => 'campaign');
-- Measured lift beside it.
SELECT * FROM iaros.attribution_lift_compare($$VALUES ('email', 1.5, 1.0, 2.0), ('post', 0, NULL, NULL), ('display', 0.1, 0.0, 0.2)$$);
SELECT * FROM iaros.attribution_lift_compare($$SELECT 'email' AS key, 1.5 AS incremental, 1.0 AS low$$);
SELECT * FROM iaros.attribution_lift_compare($$SELECT * FROM (VALUES ('email', 1.5, 1.0, 2.0), ('Email', 0, NULL, NULL)) AS v(key, incremental, low, high)$$);
SELECT * FROM iaros.attribution_lift_compare($$SELECT NULL AS key, 1 AS incremental, 0 AS low, 2 AS high$$, by => 'campaign');
SELECT * FROM iaros.attribution_lift_compare($$SELECT 'Brand' AS key, 0.5 AS incremental, 0 AS low, 1 AS high$$, '{linear}', by => 'campaign');
SELECT * FROM iaros.attribution_lift_compare($$SELECT 'email' AS key, 1.5 AS incremental, 1.0 AS low, 2.0 AS high UNION ALL SELECT 'post', 0, NULL, NULL$$, '{linear,first}');
-- New customers.
SELECT count(iaros.booking_record(pg_temp.id(w), 100, 'USD', at)) FROM (VALUES ('a', timestamptz '2026-01-11'), ('a', '2026-01-20'), ('b', '2026-01-12'), ('d', '2026-01-12')) AS v(w, at);
SELECT * FROM iaros.analytics_cac('2026-01-01', '2026-02-01', model => 'linear');
SELECT * FROM iaros.analytics_cac('2026-02-01', '2026-03-01');
-- Days that are kept.
SELECT * FROM iaros.analytics_attribution('linear');
SELECT * FROM iaros.analytics_returns();
SELECT * FROM iaros.analytics_journey();
SELECT * FROM iaros.analytics_journey_steps();
SELECT * FROM iaros.analytics_journey(scheme => 'none');
SELECT subject, finding, hint FROM iaros.attribution_doctor() WHERE subject ~ 'scheme';
SELECT iaros.attribution_refresh('2026-03-01');
SELECT * FROM iaros.analytics_attribution('linear');
SELECT subject FROM iaros.attribution_doctor() WHERE subject ~ 'scheme';
SELECT * FROM iaros.analytics_attribution('linear', '2026-01-11', '2026-01-12', grain => 'day');
SELECT period, key, conversions, credit, share, cost FROM iaros.analytics_attribution('linear', by => 'campaign', grain => 'week');
SELECT period, key, credit, cost FROM iaros.analytics_attribution('markov', grain => 'month');
SELECT * FROM iaros.analytics_attribution('shapley(rate)', by => 'campaign');
SELECT * FROM iaros.analytics_returns();
SELECT period, key, spend, revenue, conversions, cpa FROM iaros.analytics_returns('last', by => 'campaign', grain => 'month');
SELECT * FROM iaros.analytics_journey();
SELECT * FROM iaros.analytics_journey(customer_id => pg_temp.id('a'), by => 'campaign');
SELECT * FROM iaros.analytics_journey_steps(depth => 2);
-- Fractions of a cent.
SELECT count(iaros.touchpoint_record(pg_temp.id('e'), 'metasearch', timestamptz '2026-04-01' + n * interval '1 minute', kind => 'impression', cost_base => 0.00137)) FROM generate_series(1, 1000) n;
SELECT key, cost FROM iaros.attribution_linear('2026-04-01', '2026-05-01');
SELECT * FROM iaros.attribution_cost('2026-04-01', '2026-04-01 00:02');
SELECT key, spend FROM iaros.analytics_returns(from_day => '2026-04-01', to_day => '2026-05-01');
-- What is refused.
SELECT * FROM iaros.attribution_report(from_time => '2026-02-01', to_time => '2026-01-01');
SELECT * FROM iaros.attribution_report(from_time => NULL);
SELECT * FROM iaros.attribution_report('time_decay(7 moons)');
SELECT * FROM iaros.attribution_compare('{linear,best}');
SELECT * FROM iaros.analytics_attribution('best');
SELECT * FROM iaros.analytics_attribution(by => 'day');
SELECT * FROM iaros.analytics_attribution(grain => 'hour');
SELECT * FROM iaros.analytics_attribution('last', '2026-02-01', '2026-01-01');
-- Where, in short.
\set SHOW_CONTEXT always
SELECT * FROM iaros.attribution_report('best');
SELECT * FROM iaros.analytics_attribution('best');
\set SHOW_CONTEXT never
SELECT * FROM iaros.attribution_report('best');
SELECT * FROM iaros.attribution_report(NULL);
SELECT * FROM iaros.attribution_report('markov(9)');
SELECT * FROM iaros.attribution_report('shapley(worth)');
SELECT * FROM iaros.attribution_report(by => 'day');
SELECT * FROM iaros.attribution_report("window" => '-1 day');
SELECT * FROM iaros.attribution_report("window" => '1 month');
SELECT * FROM iaros.attribution_compare('{}');
SELECT * FROM iaros.attribution_compare('{markov,linear,markov}');
SELECT * FROM iaros.attribution_compare('{linear, "linear "}');
SELECT * FROM iaros.attribution_compare('{last,markov}', NULL);
SELECT * FROM iaros.attribution_report(to_time => NULL);
SELECT * FROM iaros.attribution_last_touch(to_time => NULL);
SELECT * FROM iaros.attribution_cost(NULL);
SELECT * FROM iaros.attribution_time_decay(NULL);
SELECT * FROM iaros.attribution_data_driven(NULL, 'linear');
SELECT * FROM iaros.attribution_data_driven(NULL, 'markov');
SELECT * FROM iaros.attribution_lift_compare('');
SELECT iaros.attribution_spend_record('2026-01-05', 'display', -1);
SELECT iaros.attribution_spend_record('2026-01-05', 'pigeon', 1);
SELECT * FROM iaros.analytics_journey(segment => 'No such segment');
INSERT INTO iaros.attribution_scheme (scheme, description, "window", models) VALUES ('months', 'x', '1 month', '{last}');
ROLLBACK;
