-- lifecycle: rules as data and what they refuse, stages, actions, estimates,
-- values, scores.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
SET timezone = 'UTC';
BEGIN;
-- Pure functions.
SELECT round(iaros.churn_estimate(n, '2025-01-01', l::timestamptz, a::timestamptz)::numeric, 6) AS churn
FROM (VALUES (1, '2025-01-01', '2025-01-01'), (1, '2025-01-01', '2025-06-30'), (5, '2025-02-10', '2025-02-10'), (5, '2025-02-10', '2025-05-10'), (5, '2025-02-10', '2025-01-01')) AS t(n, l, a);
SELECT iaros.churn_estimate(0, NULL, NULL, now()), iaros.churn_estimate(1, '2025-01-01', '2025-01-01', NULL), round(iaros.churn_estimate(2, '2025-01-01', '2025-01-11', '2025-01-21', 0)::numeric, 4) AS dwyer;
SELECT iaros.churn_estimate(1, '2025-01-01', '2025-01-01', '2025-01-01', 0);
SELECT iaros.ltv_estimate(5000, 0), iaros.ltv_estimate(5000, 0.5), iaros.ltv_estimate(5000, 1), iaros.ltv_estimate(0, 0.2), iaros.ltv_estimate(NULL, 0.2), iaros.ltv_estimate(100, 0, 0.5, 0);
SELECT iaros.ltv_estimate(5000, 0, 1.1, 0.1);
SELECT m, iaros.value_score(m, 0), iaros.value_score(m, 5000), iaros.value_score(m, 10000), iaros.value_score(m, 1e9), iaros.value_score(m, 1250, 'raw') FROM generate_series(1, 5) AS m;
SELECT iaros.value_score(NULL, 1), iaros.value_score(1, NULL), iaros.value_score(3, 5000, levels => 3, ltv_full => 5000, m_weight => 0.5, ltv_weight => 0.5);

-- Rules.
SELECT measure, kind, lasts FROM iaros.lifecycle_measures() ORDER BY measure;
SELECT iaros.lifecycle_rule_sql('{"days_since_last_booking": {"min": 90, "below": 180}, "booking_count_90d": {"min": 2}, "churn_estimate": {"above": 0.7}, "spend_12m": {"below": 0.5}}', 180);
SELECT iaros.lifecycle_rule_sql('{}', 180), iaros.lifecycle_rule_sql('{"gap_days": {"min": 0.5}}', 180);
\set VERBOSITY terse
SELECT iaros.lifecycle_rule_sql('[]', 180);
SELECT iaros.lifecycle_rule_sql(NULL, 180);
\set VERBOSITY default
SELECT iaros.lifecycle_rule_sql('{"booking_count_60d": {"min": 1}}', 180);
SELECT iaros.lifecycle_rule_sql('{"p.spend_total > 0 OR true": {"min": 1}}', 180);
SELECT iaros.lifecycle_rule_sql('{"xyzzy": {"min": 1}}', 180);
CREATE FUNCTION pg_temp.range(range jsonb, measure text DEFAULT 'booking_count') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN iaros.lifecycle_rule_sql(jsonb_build_object(measure, range), 180);
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLERRM || ' - ' || detail;
END $$;
SELECT pg_temp.range(r) FROM unnest('{"1","{}","null","{\"max\": 1}","{\"min\": \"1\"}","{\"min\": -1}","{\"min\": 1e16}","{\"min\": 1, \"above\": 1}","{\"min\": 2, \"below\": 2}","{\"below\": 0}","{\"min\": 2, \"below\": 3}"}'::jsonb[]) AS r;
SELECT pg_temp.range('{"min": 1e6}', 'gap_days');
SELECT pg_temp.range('{"min": 1e6}', 'spend_total');
UPDATE iaros.lifecycle_rule SET conditions = '{"bookings": {"min": 1}}' WHERE scheme = 'clm' AND rank = 8;
INSERT INTO iaros.lifecycle_rule (scheme, rank, stage, conditions) VALUES ('clm', 9, 'loyal', '{}');
SELECT scheme, rank, stage, conditions FROM iaros.lifecycle_rule ORDER BY scheme, rank;

-- Schemes, stages, aliases, the map.
SELECT iaros.lifecycle_stage_find('churn_risk'), iaros.lifecycle_stage_find('churn_risk', 'clm'), iaros.lifecycle_stage_find('lead');
SELECT iaros.lifecycle_stage_find('loyal');
SELECT iaros.lifecycle_stage_find('growth', 'clmm');
SELECT iaros.value_scheme_find('clm');
SELECT d.scheme, d.stage, iaros.lifecycle_stage_translate(d.stage, d.scheme, o.scheme) AS other
FROM iaros.lifecycle_stage_def d JOIN iaros.lifecycle_scheme o ON o.scheme <> d.scheme ORDER BY d.scheme, d.position;

-- Stages and actions.
INSERT INTO iaros.customer (customer_id) VALUES (1001), (1002), (1003);
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency) VALUES
    (1001, 'pss', 'A', '2025-01-01', 700, 'USD'), (1001, 'pss', 'B', '2025-02-01', 6000, 'USD'),
    (1002, 'pss', 'C', '2025-03-20', 100, 'USD');
SELECT t::date, iaros.lifecycle_stage(1001, t), iaros.lifecycle_stage(1001, t, 'clm') FROM unnest('{2024-12-31,2025-01-15,2025-02-10,2025-04-15,2025-05-15,2025-08-15,2026-02-01}'::timestamptz[]) AS t;
SELECT * FROM iaros.lifecycle_actions(1001, '2025-05-15');
SELECT stage, kind, reference FROM iaros.lifecycle_actions(1001, '2025-08-15', 'clm');
SELECT iaros.lifecycle_stage(NULL), count(*) FROM iaros.lifecycle_actions(4711);
SELECT iaros.lifecycle_refresh('2025-04-01') >= 6 AS changed;
SELECT customer_id, scheme, stage, entered_at, exited_at FROM iaros.customer_lifecycle_stage WHERE customer_id IN (1001, 1002, 1003) ORDER BY 1, 2;
SELECT iaros.lifecycle_refresh('2025-03-01');
SELECT iaros.lifecycle_refresh('2199-01-01');
SELECT iaros.lifecycle_refresh('2025-06-01') >= 4 AS changed;
SELECT customer_id, scheme, stage, entered_at, exited_at, duration_days FROM iaros.customer_lifecycle_stage WHERE customer_id IN (1001, 1002, 1003) ORDER BY 1, 2, 4;
SELECT * FROM iaros.lifecycle_moves('2025-04-01', '2025-06-01') WHERE from_stage = 'occasional';
SELECT * FROM iaros.lifecycle_moves('2025-04-01', '2025-03-01');
SELECT * FROM iaros.lifecycle_migration WHERE scheme = 'standard' ORDER BY 2, 3;
SELECT stage, entered_30d, left_30d FROM iaros.lifecycle_dashboard WHERE scheme = 'standard' ORDER BY position;

-- Values and scores.
SELECT iaros.rfm_refresh('2025-06-01') >= 0 AS scored;
SELECT * FROM iaros.customer_value(1001, '2025-06-01');
SELECT * FROM iaros.customer_value(1001, '2025-06-01', 'raw');
SELECT * FROM iaros.customer_value(1003, '2025-06-01');
SELECT * FROM iaros.customer_scores(1001, as_of => '2025-06-01');
SELECT * FROM iaros.customer_scores(1001, '{churn}', '2025-06-01');
SELECT * FROM iaros.customer_scores(1003, '{ltv,churn}', '2025-06-01');
SELECT * FROM iaros.customer_scores(1001, '{churn,upsell}');
SELECT * FROM iaros.value_offers(1001, '2025-06-01');
SELECT iaros.value_refresh('2025-06-01') >= 2 AS changed;
SELECT customer_id, scheme, value_segment, lifetime_value, predicted_ltv, value_score, calculated_at FROM iaros.customer_value_segment WHERE customer_id IN (1001, 1002, 1003) ORDER BY 1;
SELECT iaros.value_refresh('2025-05-01');
SELECT from_segment, to_segment FROM iaros.value_moves('2025-05-01', '2025-06-01') ORDER BY 2;
SELECT * FROM iaros.value_moves(NULL, '2025-06-01');

-- Targeting: segments by stage and value.
SELECT to_regprocedure('iaros.profile_rebuild()') IS NULL AS by_hand \gset
\if :by_hand
INSERT INTO iaros.profile (customer_id) VALUES (1001), (1002), (1003);
\endif
SELECT customers FROM iaros.audience_preview('{"logic": "AND", "rules": [{"field": "customer.lifecycleStage", "operator": "=", "value": "at-risk"}, {"field": "customer.valueSegment", "operator": "=", "value": "high value"}, {"field": "customer.lifecycleDays", "operator": ">=", "value": 31}]}', 0, '2025-06-02');
SELECT customers FROM iaros.audience_preview('{"field": "customer.clmStage", "operator": "=", "value": "acquisition"}', 0, '2025-06-02');
SELECT iaros.segment_rule_resolve('{"field": "customer.lifecycleStage", "operator": "=", "value": "loyal"}');

SELECT job, function_name, repeats FROM iaros.job WHERE job IN ('lifecycle', 'lifecycle_history', 'value') ORDER BY 1;
SELECT name, kind, value FROM iaros.setting WHERE name ~ '^(clm|cvm|churn|ltv|lifecycle|value)_' ORDER BY 1;
SELECT * FROM iaros.lifecycle_doctor();
ROLLBACK;
