-- demo, models: the fit against closed forms, models that know more than
-- chance, scores against plain SQL out of the PMML, the same PMML for the
-- same arguments.
BEGIN;
SELECT plan(51);
SET client_min_messages = warning;

-- Solving.
SELECT is(iaros.demo_fit_solve('{0,2,1,1}', '{4,3}'), '{1,2}'::float8[], 'rows are exchanged where a pivot is 0');
SELECT is((SELECT array_agg(round(x::numeric, 9)) FROM unnest(iaros.demo_fit_solve('{1e-9,1,1,1}', '{1,2}')) AS x),
    '{1.000000001,0.999999999}'::numeric[], 'and where it is small');
SELECT throws_ok($$SELECT iaros.demo_fit_solve('{1,2,2,4}', '{1,2}')$$, '22000', NULL, 'a singular matrix has no solution');
SELECT throws_ok($$SELECT iaros.demo_fit_solve('{1,2,3}', '{1,2}')$$, '22023', NULL, 'three numbers are no matrix');
SELECT throws_ok($$SELECT iaros.demo_fit_solve('{{1,2},{3,4}}', '{1,2}')$$, '22023', NULL, 'the matrix is a plain array');
SELECT is(iaros.demo_fit_solve(NULL, '{1}'), NULL, 'NULL gives NULL');
SELECT is(iaros.demo_fit_round(v), w, format('%s rounds to %s', v, w))
FROM (VALUES (1234567.0::float8, 1234570.0::float8), (-0.00012345678, -0.000123457), (0, 0), (999999.9, 1000000), (1e-300, 1e-300), (1e300, 1e300)) AS t(v, w);
SELECT throws_ok($$SELECT iaros.demo_fit_round('NaN')$$, '22003', NULL, 'what is no number cannot be rounded');

-- Area under the curve, against the definition: all pairs.
SELECT is(iaros.demo_fit_auc('{1,2,3,4}', '{f,f,t,t}'), 1::float8, 'all in order');
SELECT is(iaros.demo_fit_auc('{1,1,1}', '{f,t,t}'), 0.5::float8, 'equal scores tell nothing');
SELECT is(iaros.demo_fit_auc('{1,2}', '{t,t}'), NULL, 'one class has no area');
CREATE TEMP TABLE pair AS
SELECT iaros.chance_int(i, 7, 1, 20)::float8 AS score, iaros.chance(i, 7, 2) < 0.3 AS label FROM generate_series(1, 300) AS i;
SELECT is((SELECT round(iaros.demo_fit_auc(array_agg(p.score), array_agg(p.label))::numeric, 12) FROM pair p),
    (SELECT round(avg(CASE WHEN a.score > b.score THEN 1 WHEN a.score = b.score THEN 0.5 ELSE 0 END), 12)
     FROM pair a, pair b WHERE a.label AND NOT b.label), 'the share of pairs in order');

-- The fit of one flag is the odds and their ratio.
CREATE TEMP TABLE flag AS
SELECT ARRAY[x]::float8[] AS features, y FROM (VALUES (0, 0, 70), (0, 1, 30), (1, 0, 20), (1, 1, 40)) AS t(x, y, n), generate_series(1, n);
SELECT is(iaros.demo_fit_logistic('SELECT features, y FROM pg_temp.flag', 0),
    ARRAY[iaros.demo_fit_round(ln(30 / 70.0::float8)), iaros.demo_fit_round(ln((40 / 20.0::float8) / (30 / 70.0::float8)))],
    'log odds and log odds ratio');
SELECT ok((SELECT c[2] > 0 AND c[2] < (iaros.demo_fit_logistic('SELECT features, y FROM pg_temp.flag', 0))[2]
    FROM iaros.demo_fit_logistic('SELECT features, y FROM pg_temp.flag', 50) AS c), 'a ridge draws coefficients to 0');
-- Of several features: the residuals are orthogonal to each.
CREATE TEMP TABLE drawn AS
SELECT d.x, (iaros.chance(d.i, 3, 9) < 1 / (1 + exp(-(0.5 + 2 * d.x[1] - 0.03 * d.x[2] + 0 * d.x[3]))))::integer AS y
FROM (SELECT i, ARRAY[iaros.chance_normal(i, 3, 1), 40 + 30 * iaros.chance_normal(i, 3, 2), 1000 * iaros.chance(i, 3, 3)] AS x
      FROM generate_series(1, 4000) AS i) d;
SELECT iaros.demo_fit_logistic('SELECT x, y FROM pg_temp.drawn', 0) AS c \gset
SELECT ok(abs(s.a) < 0.01 AND abs(s.b) < 0.01 AND abs(s.c) < 0.5 AND abs(s.d) < 10, 'what is left has nothing to do with the features')
FROM (SELECT sum(e) AS a, sum(e * x[1]) AS b, sum(e * x[2]) AS c, sum(e * x[3]) AS d FROM (
    SELECT x, y - (iaros.demo_model_probabilities(x, array_fill(0::float8, '{4}') || :'c'::float8[], 2))[2] AS e FROM drawn) r) s;
SELECT ok(abs((:'c'::float8[])[1] - 0.5) < 0.3 AND abs((:'c'::float8[])[2] - 2) < 0.2 AND abs((:'c'::float8[])[3] + 0.03) < 0.005
    AND abs((:'c'::float8[])[4]) < 0.0005, 'the planted coefficients are found');
SELECT throws_ok($$SELECT iaros.demo_fit_logistic('SELECT ARRAY[i]::float8[], (i > 5)::integer FROM generate_series(1, 10) AS i', 0)$$,
    '22000', NULL, 'labels that a feature tells without error do not converge');
SELECT ok((iaros.demo_fit_logistic('SELECT ARRAY[i]::float8[], (i > 5)::integer FROM generate_series(1, 10) AS i'))[2] > 0, 'with a ridge they do');
SELECT throws_ok($$SELECT iaros.demo_fit_logistic('SELECT ARRAY[i, 2 * i]::float8[], i % 2 FROM generate_series(1, 10) AS i', 0)$$,
    '22000', NULL, 'features that are the same have no single solution');
SELECT throws_ok(format('SELECT iaros.demo_fit_logistic(%L, %s)', q, r), '22023', NULL, w)
FROM (VALUES ('SELECT ARRAY[1::float8], 1 FROM generate_series(1, 9)', '1', 'labels that are all 1 are refused'),
    ('SELECT ARRAY[1::float8], 0', '1', 'or all 0'),
    ('SELECT ARRAY[1::float8], i FROM generate_series(0, 2) AS i', '1', 'or something else'),
    ('SELECT ARRAY[1::float8, NULL], i FROM generate_series(0, 1) AS i', '1', 'features without value are refused'),
    ('SELECT array_fill(1::float8, ARRAY[1 + i]), i FROM generate_series(0, 1) AS i', '1', 'or of different number'),
    ('SELECT ARRAY[1::float8], 1 WHERE false', '1', 'no rows are too few'),
    ('SELECT features, y FROM pg_temp.flag', '-1', 'a ridge is not negative'),
    ('SELECT features, y FROM pg_temp.flag', 'NULL', 'nor NULL')) AS t(q, r, w);

-- Models: what they need.
SELECT throws_ok($$SELECT * FROM iaros.demo_models()$$, '55000', NULL, 'without a demo there are no models');
SELECT throws_ok($$SELECT * FROM iaros.demo_models(NULL)$$, '22023', NULL, 'a seed is needed');
SELECT count(*) AS steps FROM iaros.demo_generate(2500, 42, '2026-01-01') \gset
SELECT throws_ok($$SELECT * FROM iaros.demo_models(42, '2020-01-01')$$, '22023', NULL, 'and a time when there are bookings');

CREATE TEMP TABLE judged AS SELECT * FROM iaros.demo_models(42, '2026-01-01');
SELECT bag_eq('SELECT DISTINCT model, version FROM judged', $$VALUES ('churn', 1), ('propensity', 1), ('next_best_offer', 1)$$, 'three models are made');
SELECT is_empty($$SELECT * FROM judged WHERE held_out NOT BETWEEN 0.15 * (trained + held_out) AND 0.25 * (trained + held_out)$$, 'a fifth is held out');
SELECT is_empty($$SELECT * FROM judged WHERE judged_by LIKE 'AUC%' AND score < 0.75$$, 'they know who will book, and who has gone');
SELECT is_empty($$SELECT * FROM judged WHERE score < rule + CASE WHEN judged_by LIKE '%dropped out' THEN -0.03 ELSE 0.03 END$$, 'better than the rules');
SELECT is_empty($$SELECT * FROM judged WHERE score > truth AND model <> 'next_best_offer'$$, 'but not better than the truth');
-- Labels dealt out anew: no model can know them.
SELECT iaros.demo_model_outcome('churn', 42, '2026-01-01') AS n \gset
SELECT iaros.demo_fit_logistic($$SELECT ARRAY[ln(1 + booking_count), ln(1 + booking_count_180d), ln(1 + session_30d)]::float8[],
    (iaros.chance(customer_id, 'dealt out') < 0.5)::integer FROM pg_temp.demo_outcome WHERE NOT held ORDER BY customer_id$$) AS c \gset
SELECT ok(iaros.demo_fit_auc(array_agg((iaros.demo_model_probabilities(ARRAY[ln(1 + booking_count), ln(1 + booking_count_180d), ln(1 + session_30d)]::float8[],
        array_fill(0::float8, '{4}') || :'c'::float8[], 2))[2]), array_agg(iaros.chance(customer_id, 'dealt out') < 0.5)) BETWEEN 0.4 AND 0.6,
    'a model of nothing stays near 0.5') FROM demo_outcome WHERE held;
DROP TABLE demo_outcome;

-- Scores against plain SQL: terms are read out of the PMML.
CREATE TEMP TABLE term AS
SELECT v.name AS model, t[1] AS class, t[2]::float8 AS intercept, m[1] AS term, m[2]::float8 AS coefficient,
    regexp_replace(m[1], '^log_', '') AS input,
    (regexp_match(v.pmml, '<MiningField name="' || regexp_replace(m[1], '^log_', '') || '" missingValueReplacement="([^"]*)"'))[1] AS missing
FROM iaros.model_version v
CROSS JOIN LATERAL (SELECT ARRAY[x[2], x[1], x[3]] FROM regexp_matches(v.pmml, '<RegressionTable intercept="([^"]*?)" targetCategory="([^"]*?)">(.*?)</RegressionTable>', 'g') AS x) AS r(t)
LEFT JOIN LATERAL regexp_matches(t[3], 'Predictor name="([^"]*)" (?:value="true" )?coefficient="([^"]*)"', 'g') AS m ON true;
CREATE TEMP TABLE expected AS
SELECT s.model, s.customer_id, s.class, exp(s.score) / sum(exp(s.score)) OVER (PARTITION BY s.model, s.customer_id) AS chance
FROM (
    SELECT t.model, p.customer_id, t.class, t.intercept + coalesce(sum(t.coefficient * CASE
            WHEN w.value IN ('true', 'false') THEN w.value::boolean::integer
            WHEN t.term LIKE 'log\_%' THEN ln(1 + w.value::float8) ELSE w.value::float8 END), 0) AS score
    FROM (SELECT * FROM iaros.profile ORDER BY customer_id LIMIT 400) p
    CROSS JOIN to_jsonb(p) AS j
    CROSS JOIN term t
    CROSS JOIN LATERAL (SELECT coalesce(j ->> t.input, t.missing) AS value) w
    GROUP BY t.model, p.customer_id, t.class, t.intercept) s;
CREATE TEMP TABLE got AS
SELECT c.model, c.class, s.id, s.score, s.predicted
FROM (SELECT DISTINCT t.model, t.class FROM term t) c
CROSS JOIN LATERAL iaros.model_scan(iaros.model_get(c.model), 'SELECT * FROM iaros.profile ORDER BY customer_id LIMIT 400', label => c.class) s;
SELECT is((SELECT count(*) FROM expected), 4800::bigint, 'two, two and eight chances of 400 customers');
SELECT is_empty($$SELECT * FROM expected e FULL JOIN got g ON g.model = e.model AND g.class = e.class AND g.id = e.customer_id
    WHERE (abs(e.chance - g.score) < 1e-12) IS NOT TRUE$$, 'model_scan() gives what plain SQL gives');
SELECT is_empty($$SELECT * FROM (SELECT DISTINCT ON (model, customer_id) * FROM expected ORDER BY model, customer_id, chance DESC) e
    JOIN got g ON g.model = e.model AND g.id = e.customer_id WHERE g.predicted <> e.class$$, 'and predicts the likeliest class');
SELECT ok((SELECT count(*) > 50 FROM (SELECT * FROM iaros.profile ORDER BY customer_id LIMIT 400) p WHERE p.nps_score IS NULL), 'values are missing among them');
SELECT is((SELECT iaros.model_score((SELECT iaros.model_get('churn')), p) FROM iaros.profile p WHERE p.customer_id = 5),
    (SELECT g.score FROM got g WHERE g.model = 'churn' AND g.class = '1' AND g.id = 5), 'of churn and propensity the usual class is 1');
SELECT throws_ok($$SELECT iaros.model_compile(regexp_replace(v.pmml, 'intercept="-?[1-9]', 'intercept="4')) FROM iaros.model_version v WHERE v.name = 'next_best_offer'$$,
    '22000', NULL, 'a model with another coefficient fails its verification');

-- The same arguments, the same PMML.
CREATE TEMP TABLE before_it AS SELECT v.name, v.pmml FROM iaros.model_version v;
SELECT iaros.model_import('churn', regexp_replace((SELECT b.pmml FROM before_it b WHERE b.name = 'churn'), 'iaros demo', 'mine')) AS mine \gset
SELECT iaros.demo_clear() AS n \gset
SELECT results_eq('SELECT name, version FROM iaros.model_version', $$VALUES ('churn', 2)$$, 'clearing takes the models along, but not mine');
DELETE FROM iaros.model_version;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'SQL, DMY';
SET extra_float_digits = 0;
SELECT count(*) AS steps FROM iaros.demo_generate(2500, 42, '2026-01-01') \gset
SELECT count(*) AS models FROM iaros.demo_models(42, '2026-01-01') \gset
SELECT results_eq('SELECT name, pmml FROM iaros.model_version ORDER BY name', 'SELECT name, pmml FROM before_it ORDER BY name',
    'the same arguments give the same models, whatever the session is set to');
SELECT is((SELECT max(version) FROM iaros.demo_models(42, '2026-01-01')), 1, 'which are no new versions');
SELECT is((SELECT min(version) FROM iaros.demo_models(43, '2026-01-01')), 2, 'another seed gives others');
SELECT * FROM finish();
ROLLBACK;
