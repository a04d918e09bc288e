-- model: what all kinds of models give, worked out from the standard, and
-- what becomes of missing, invalid and odd values.
BEGIN;
SELECT plan(197);
SET LOCAL client_min_messages = warning;
\ir model_pmml.inc
CREATE TEMP TABLE compiled AS SELECT name, iaros.model_compile(document) AS m FROM pmml;

-- What model name gives for inputs.
CREATE FUNCTION pg_temp.predict(name text, inputs jsonb, output text) RETURNS text LANGUAGE sql AS $$
    SELECT iaros.model_predict(m, inputs) ->> output FROM compiled WHERE compiled.name = predict.name
$$;
-- A document with the fields and the model that are given.
CREATE FUNCTION pg_temp.make(fields text, body text) RETURNS iaros.model LANGUAGE sql AS $$
    SELECT iaros.model_compile(format('<PMML version="4.4"><Header/><DataDictionary>%s</DataDictionary>%s</PMML>', fields, body))
$$;
-- A regression with these mining fields, intercept 1, 2 for x and, of c, 10
-- for a and 20 for b.
CREATE FUNCTION pg_temp.line(x text DEFAULT '', c text DEFAULT '', x_values text DEFAULT '', c_values text DEFAULT '<Value value="a"/><Value value="b"/>') RETURNS iaros.model LANGUAGE sql AS $$
    SELECT pg_temp.make(format('<DataField name="x" optype="continuous" dataType="double">%s</DataField><DataField name="c" optype="categorical" dataType="string">%s</DataField>', x_values, c_values),
        format('<RegressionModel functionName="regression"><MiningSchema><MiningField name="x" %s/><MiningField name="c" %s/></MiningSchema><RegressionTable intercept="1"><NumericPredictor name="x" coefficient="2"/>
            <CategoricalPredictor name="c" value="a" coefficient="10"/><CategoricalPredictor name="c" value="b" coefficient="20"/></RegressionTable></RegressionModel>', x, c))
$$;

-- Each kind of model -------------------------------------------------------

CREATE FUNCTION pg_temp.check_number(name text, inputs jsonb, output text, want float8) RETURNS text LANGUAGE sql AS $$
    SELECT ok(abs(got - want) <= 1e-12 * greatest(1, abs(want)), format('%s of %s is %s (%s)', output, name, want, got)) FROM CAST(pg_temp.predict(name, inputs, output) AS float8) AS got
$$;
SELECT pg_temp.check_number(name, inputs::jsonb, output, want) FROM (VALUES
    ('regression', '{"x": 0, "y": 2, "c": "a"}', 'r', round(2 * exp(0.5::float8) + 0.5)),
    ('regression', '{"x": 20, "y": 2, "c": "b"}', 'r', round(2 * exp(0.25 + 1 - 0.25 - 0.5 + 0.02::float8) + 0.5)),
    ('regression', '{"x": 0, "y": 100, "c": "b"}', 'r', round(2 * exp(0.25 - 0.125 - 0.5::float8) + 0.5)),
    ('regression', '{"x": 10, "y": -99, "c": "a"}', 'r', 2001),
    ('regression', '{"y": 2}', 'r', 15),
    ('regression', '{"x": 0, "y": 2, "c": "a"}', 'twice', 8),
    ('softmax', '{"x": 1.5, "i": 3}', 'p', 1 / (1 + exp(4::float8))),
    ('softmax', '{"i": 3}', 'p', 0.75),
    ('tree', '{"x": 1.5, "c": "a", "i": 1}', 'p(yes)', 0.9),
    ('tree', '{"x": 2, "c": "a", "i": 1}', 'p(yes)', 5 / 30::float8),
    ('tree', '{"x": 0, "c": "n/a"}', 'p(yes)', 0.9),
    ('general', '{"x": 1.5, "c": "a", "z": 0.5}', 'r', exp(0.1 - 0.3 + 0.3 + 0.5::float8)),
    ('general', '{"x": 1.5, "c": "b", "z": 0}', 'r', exp(0.1 - 0.3 + 0.04 * 2.25::float8)),
    ('ordinal', '{"x": 1.5}', 'p', 1 / (1 + exp(-0.875::float8))),
    ('hazard', '{"x": 1.5, "i": 3}', 'r', 0.25 * exp(0.75::float8)),
    ('hazard', '{"x": 0.5, "i": 4}', 'r', 0.25),
    ('hazard', '{"x": 0.5, "i": 0}', 'r', 0),
    ('scorecard', '{"x": 1.5, "c": "a"}', 'score', 9.5),
    ('scorecard', '{"x": 0.5, "c": "b"}', 'score', 20),
    ('cluster', '{"x": 1.5, "z": 0.5}', 'distance', 0.375 ^ (1 / 3::float8)),
    ('cluster', '{"x": 1.5, "z": 0.5}', 'distance of B', 32.25 ^ (1 / 3::float8)),
    ('neighbors', '{"x": 1.5, "z": 0.5}', 'r', (10 / 0.501 - 30 / (sqrt(8.25::float8) + 0.001)) / (1 / 0.501 + 1 / (sqrt(8.25::float8) + 0.001))),
    ('forest', '{"x": -1, "z": 0.1}', 'r', (0.2::float4 + 1.25::float4 + 0.5::float4)::float4::float8),
    ('vote', '{"x": 1.5}', 'p', 0.75),
    ('chain', '{"x": 1.5, "y": -2}', 'p(yes)', 1 / (1 + exp(0.5625::float8))),
    ('chain', '{"y": 0}', 'p(yes)', 1 / (1 + exp(0.125::float8))),
    ('select', '{"x": 1.5, "c": "a"}', 'r', 2),
    ('select', '{"x": 1.5, "c": "b"}', 'r', 3.25),
    ('expressions', '{"x": 1.5, "i": 3, "c": "a", "s": "some words of a text", "b": true, "d": "2026-01-31"}', '_target',
        0.075 + 1 + 1 + 0.001 * ('2026-01-31'::date - '1960-01-01'::date) + (0.005625 - 1) + 10)) AS v(name, inputs, output, want);
SELECT is(pg_temp.predict(name, inputs::jsonb, output), want, format('%s of %s for %s', output, name, inputs)) FROM (VALUES
    ('regression', '{"x": 0, "y": 2, "c": "a"}', 'choice', 'high'),
    ('regression', '{"x": 0, "y": 2, "c": "b"}', 'choice', 'low'),
    ('tree', '{"x": 1.5, "c": "a"}', 't', 'yes'),
    ('tree', '{"x": 1.5, "c": "a"}', 'node', '3'),
    ('tree', '{"x": 2, "c": "a"}', 'label', 'no'),
    ('tree', '{"x": 2, "c": "a"}', 'node', '5'),
    ('tree', '{"x": 1, "c": "unseen"}', 'node', '3'),
    ('softmax', '{"x": 1.5, "i": 3}', 'first', 'yes'),
    ('softmax', '{"i": 3}', 't', 'no'),
    ('hazard', '{"x": 0.5, "i": 11}', 'r', NULL),
    ('scorecard', '{"x": 1.5, "c": "a"}', 'reason 1', 'C'),
    ('scorecard', '{"x": 1.5, "c": "a"}', 'reason 2', 'X'),
    ('scorecard', '{"x": 0.5, "c": "b"}', 'reason 1', 'X1'),
    ('cluster', '{"x": 1.5, "z": 0.5}', 'cluster', 'A'),
    ('cluster', '{"x": -0.5, "z": 5}', 'cluster', 'B'),
    ('vectors', '{"x": 1.5, "z": -0.5}', 't', 'no'),
    ('vectors', '{"x": 0, "z": 1}', 't', 'yes'),
    ('neighbors', '{"x": 1.5, "z": 0.5}', 't', 'no'),
    ('neighbors', '{"x": 1.5, "z": 0.5}', 'nearest', '1'),
    ('neighbors', '{"x": 1.5, "z": 0.5}', 'next', '3'),
    ('rules', '{"x": 1.5, "c": "a"}', 't', 'yes'),
    ('rules', '{"x": -20, "c": "a"}', 't', 'no'),
    ('rules', '{"x": -1, "c": "b"}', 't', 'no'),
    ('association', '{"s": ["beer"]}', 'advice', '["nuts"]'),
    ('association', '{"s": ["beer", "wine"]}', 'rule', '{beer,wine}->{nuts}'),
    ('association', '{"s": ["tea"]}', 'rule', NULL),
    ('forest', '{"x": 1.5, "z": 0}', 'r', NULL),
    ('vote', '{}', 't', NULL),
    ('expressions', '{"x": 1.5, "i": 3, "c": "a", "s": "some words of a text", "b": true, "d": "2026-01-31"}', 'text', 's-me w-rds of a text  3OME')) AS v(name, inputs, output, want);
CREATE FUNCTION pg_temp.check_scores(name text, inputs jsonb, want float8) RETURNS text LANGUAGE sql AS $$
    SELECT ok(count(*) = 2 AND min(label) = 'no' AND abs(sum(probability) - 1) < 1e-12 AND abs(max(probability) FILTER (WHERE label = 'yes') - want) < 1e-12, format('%s gives yes %s (%s)', compiled.name, want, max(probability) FILTER (WHERE label = 'yes')))
    FROM compiled, iaros.model_scores(m, inputs) WHERE compiled.name = check_scores.name GROUP BY compiled.name
$$;
SELECT pg_temp.check_scores('bayes', '{"x": 0, "c": "b"}', yes / (yes + no)) FROM (VALUES (20 * exp(-1 / 8::float8) / 2, 30 * exp(-0.5::float8))) AS v(yes, no);
SELECT pg_temp.check_scores('bayes', '{"c": "b"}', 0.4);
SELECT pg_temp.check_scores('bayes', '{"c": "a"}', 10 / (10 + 30 * 0.001));
SELECT pg_temp.check_scores('network', '{"x": 1.5, "c": "a"}', exp(yes) / (exp(yes) + exp(no))) FROM (VALUES (tanh(-0.0875), tanh(0.525))) AS n(a, b), LATERAL (VALUES (1 / (1 + exp(-2 * a - b)), 1 / (1 + exp(2 * a - 0.25)))) AS v(yes, no);
-- Of x missing nothing is known in node 1, and half of what follows.
SELECT pg_temp.check_scores('weighted tree', '{"x": -1, "z": 0}', 5 / 6::float8);
SELECT is(pg_temp.predict('weighted tree', '{"x": 1, "z": 0.1}', 't'), 'yes', 'a float is as large as the threshold it is written like');
SELECT is(pg_temp.predict('weighted tree', '{"x": 1, "z": 0.09999}', 't'), 'no', 'or less');

-- Missing, invalid and odd values ------------------------------------------

CREATE TEMP TABLE cell (x float8, c text);
SELECT is(iaros.model_score(pg_temp.line(), r), want, 'score of ' || coalesce(r::text, 'NULL')) FROM (VALUES
    (ROW(3, 'a')::cell, 17::float8), (ROW(3, 'b')::cell, 27), (ROW(3, NULL)::cell, 7), (ROW(NULL, 'a')::cell, NULL), (ROW('NaN', 'a')::cell, NULL),
    (ROW('Infinity', 'a')::cell, 'Infinity'), (ROW('-Infinity', 'a')::cell, '-Infinity'), (ROW(3, 'c')::cell, NULL), (ROW(3, 'A')::cell, NULL), (ROW(3, ' a')::cell, NULL),
    (ROW(1e308, 'a')::cell, 'Infinity'), (ROW(4.9e-324, 'a')::cell, 11), (NULL::cell, NULL)) AS v(r, want);
SELECT is(iaros.model_score(pg_temp.line(), j::jsonb), want, 'score of ' || coalesce(j, 'NULL')) FROM (VALUES
    ('{"x": 3, "c": "a"}', 17::float8), ('{"x": "3", "c": "a"}', 17), ('{"x": 3.0, "c": null, "other": [{}]}', 7), ('{"c": "a"}', NULL), ('{}', NULL), ('{"x": "three", "c": "a"}', NULL), ('{"x": "", "c": "a"}', NULL),
    ('{"x": {}, "c": "a"}', NULL), ('{"x": [], "c": "a"}', NULL), ('{"x": 1e400, "c": "a"}', 'Infinity'), ('{"x": 3, "c": 5}', NULL), (NULL, NULL)) AS v(j, want);
SELECT is(iaros.model_score(NULL::iaros.model, '{"x": 3}'::jsonb), NULL, 'no model');
SELECT throws_ok($$SELECT iaros.model_score(pg_temp.line(), '[3]'::jsonb)$$, '22023', NULL, 'a list is not a row');
SELECT throws_ok($$SELECT iaros.model_score(pg_temp.line(), r) FROM (VALUES (3)) AS r(x)$$, '42703', 'row has no column "c"', 'nor one without a column');

SELECT is(iaros.model_score(m, r), want, what) FROM (VALUES
    ('an unseen category as it is', pg_temp.line(c => 'invalidValueTreatment="asIs"'), ROW(3, 'z')::cell, 7::float8),
    ('as missing', pg_temp.line(c => 'invalidValueTreatment="asMissing"'), ROW(3, 'z')::cell, 7),
    ('as missing, which is replaced', pg_temp.line(c => 'invalidValueTreatment="asMissing" missingValueReplacement="b"'), ROW(3, 'z')::cell, 27),
    ('as another value', pg_temp.line(c => 'invalidValueTreatment="asValue" invalidValueReplacement="b"'), ROW(3, 'z')::cell, 27),
    ('where all are valid', pg_temp.line(c_values => ''), ROW(3, 'z')::cell, 7),
    ('a replaced number', pg_temp.line(x => 'missingValueReplacement="4"'), ROW(NULL, 'a')::cell, 19),
    ('replaced by its mean', pg_temp.line(x => 'missingValueTreatment="asMean" missingValueReplacement="4"'), ROW('NaN', 'a')::cell, 19),
    ('a number that must not be missing', pg_temp.line(x => 'missingValueTreatment="returnInvalid"'), ROW(NULL, 'a')::cell, NULL),
    ('a category that must not be missing', pg_temp.line(c => 'missingValueTreatment="returnInvalid"'), ROW(3, NULL)::cell, NULL),
    ('a value that stands for missing', pg_temp.line(c_values => '<Value value="a"/><Value value="-" property="missing"/>'), ROW(3, '-')::cell, 7),
    ('one that is invalid', pg_temp.line(c_values => '<Value value="b" property="invalid"/>'), ROW(3, 'b')::cell, NULL),
    ('others are not', pg_temp.line(c_values => '<Value value="b" property="invalid"/>'), ROW(3, 'a')::cell, 17),
    ('a number that stands for missing', pg_temp.line(x => 'missingValueReplacement="0"', x_values => '<Value value="-999" property="missing"/>'), ROW(-999, 'a')::cell, 11),
    ('outside of its interval', pg_temp.line(x_values => '<Interval closure="closedOpen" leftMargin="0" rightMargin="3"/>'), ROW(3, 'a')::cell, NULL),
    ('inside', pg_temp.line(x_values => '<Interval closure="closedClosed" leftMargin="0" rightMargin="3"/>'), ROW(3, 'a')::cell, 17),
    ('in the second', pg_temp.line(x_values => '<Interval closure="openOpen" leftMargin="0" rightMargin="3"/><Interval closure="closedOpen" leftMargin="3"/>'), ROW(3, 'a')::cell, 17),
    ('an extreme value', pg_temp.line(x => 'outliers="asExtremeValues" lowValue="-5" highValue="5"'), ROW(1000, 'a')::cell, 21),
    ('the other', pg_temp.line(x => 'outliers="asExtremeValues" lowValue="-5" highValue="5"'), ROW('-Infinity', 'a')::cell, 1),
    ('a missing one', pg_temp.line(x => 'outliers="asMissingValues" lowValue="-5" highValue="5" missingValueReplacement="1"'), ROW(6, 'a')::cell, 13)) AS v(what, m, r, want);
SELECT is(iaros.model_score(pg_temp.line(x => 'invalidValueTreatment="asMissing" missingValueReplacement="4"'), '{"x": "three", "c": "a"}'::jsonb), 19::float8, 'what is no number may be missing');

-- Columns of other types and names.
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'integer and varchar') FROM (SELECT 3 AS x, 'a'::varchar(5) AS c) AS r;
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'bigint and name') FROM (SELECT 3::bigint AS x, 'a'::name AS c, now() AS t) AS r;
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'numeric and text, capitals') FROM (SELECT 3.000 AS "X", 'a' AS "C") AS r;
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'exact names first') FROM (SELECT 4.0 AS "X", 3.0 AS x, 'a' AS c) AS r;
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'text and text') FROM (SELECT '3' AS x, 'a' AS c) AS r;
CREATE TYPE pg_temp.letter AS ENUM ('b', 'a');
SELECT is(iaros.model_score(pg_temp.line(), r), 17::float8, 'smallint and an enumeration') FROM (SELECT 3::smallint AS x, 'a'::pg_temp.letter AS c) AS r;

-- Splits in 32 bits --------------------------------------------------------

-- One tree: 1 where x is less than, or less than or equal to, a tenth.
CREATE FUNCTION pg_temp.split(type text, operator text, attributes text DEFAULT '') RETURNS iaros.model LANGUAGE sql AS $$
    SELECT pg_temp.make(format('<DataField name="x" optype="continuous" dataType="%s"/>', type), format('<TreeModel functionName="regression" splitCharacteristic="multiSplit" %s><MiningSchema><MiningField name="x"/></MiningSchema>
        <Node><True/><Node score="1"><SimplePredicate field="x" operator="%s" value="0.1"/></Node><Node score="0"><True/></Node></Node></TreeModel>', attributes, operator))
$$;
SELECT is(ARRAY[iaros.model_score(m, f8), iaros.model_score(m, f4), iaros.model_score(m, '{"x": 0.1}'::jsonb), iaros.model_score(m, '{"x": "0.1"}'::jsonb)], want, 'a tenth: ' || what)
FROM (VALUES ('double, less', pg_temp.split('double', 'lessThan'), '{0,0,0,0}'::float8[]), ('double, less or equal', pg_temp.split('double', 'lessOrEqual'), '{1,0,1,1}'),
    ('float, less', pg_temp.split('float', 'lessThan'), '{0,0,0,0}'), ('float, less or equal', pg_temp.split('float', 'lessOrEqual'), '{1,1,1,1}'),
    ('float, equal', pg_temp.split('float', 'equal'), '{1,1,1,1}'), ('float in float arithmetic', pg_temp.split('float', 'lessThan', 'x-mathContext="float"'), '{0,0,0,0}'),
    ('float, greater or equal', pg_temp.split('float', 'greaterOrEqual', 'x-mathContext="float"'), '{1,1,1,1}')) AS v(what, m, want),
    (SELECT 0.1::float8 AS x) AS f8, (SELECT 0.1::float4 AS x) AS f4;
-- The next numbers below and above in 64 bits are the same in 32.
SELECT is(iaros.model_score(pg_temp.split('float', 'equal'), jsonb_build_object('x', x)), 1::float8, 'rounded: ' || x) FROM unnest('{0.09999999999999999,0.10000000000000002,0.1000000001}'::numeric[]) AS x;
SELECT is(iaros.model_score(pg_temp.split('double', 'equal'), jsonb_build_object('x', x)), 0::float8, 'not rounded: ' || x) FROM unnest('{0.09999999999999999,0.10000000000000002,0.1000000001}'::numeric[]) AS x;

-- The sum of trees that are leaves.
CREATE FUNCTION pg_temp.sum_of(scores text[], attributes text, method text DEFAULT 'sum') RETURNS iaros.model LANGUAGE sql AS $$
    SELECT pg_temp.make('<DataField name="x" optype="continuous" dataType="double"/>', format('<MiningModel functionName="regression" %s><MiningSchema><MiningField name="x"/></MiningSchema><Segmentation multipleModelMethod="%s">%s</Segmentation></MiningModel>',
        attributes, method, string_agg(format('<Segment><True/><TreeModel functionName="regression" %s><MiningSchema><MiningField name="x"/></MiningSchema><Node score="%s"><True/></Node></TreeModel></Segment>', attributes, s), '')))
    FROM unnest(scores) AS s
$$;
SELECT is(iaros.model_score(pg_temp.sum_of('{16777216,1,1}', ''), '{"x": 1}'::jsonb), 16777218::float8, 'a sum in 64 bits');
SELECT is(iaros.model_score(pg_temp.sum_of('{16777216,1,1}', 'x-mathContext="float"'), '{"x": 1}'::jsonb), 16777216::float8, 'the same in 32 bits');
SELECT is(iaros.model_score(pg_temp.sum_of('{1,1,16777216}', 'x-mathContext="float"'), '{"x": 1}'::jsonb), 16777218::float8, 'where the order matters');
SELECT is(iaros.model_score(pg_temp.sum_of('{1,2,6}', '', method), '{"x": 1}'::jsonb), want, method) FROM (VALUES ('average', 3::float8), ('median', 2)) AS v(method, want);

-- Targets and the type of the target ---------------------------------------

CREATE FUNCTION pg_temp.target(attributes text, inside text DEFAULT '') RETURNS iaros.model LANGUAGE sql AS $$
    SELECT pg_temp.make('<DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/>', format('<RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
        <Targets><Target field="y" %s>%s</Target></Targets><RegressionTable intercept="0"><NumericPredictor name="x" coefficient="1"/></RegressionTable></RegressionModel>', attributes, inside))
$$;
SELECT is(iaros.model_score(m, jsonb_build_object('x', x)), want, format('%s: %s', what, x)) FROM (VALUES
    ('as it is', pg_temp.target(''), 2.5, 2.5::float8), ('smallest', pg_temp.target('min="3"'), 2.5, 3), ('largest', pg_temp.target('max="2"'), 2.5, 2),
    ('limited, then scaled', pg_temp.target('max="2" rescaleFactor="10" rescaleConstant="1"'), 2.5, 21), ('scaled, then cut', pg_temp.target('rescaleFactor="1.5" castInteger="floor"'), 2.5, 3),
    ('rounded', pg_temp.target('castInteger="round"'), 2.5, 3), ('rounded', pg_temp.target('castInteger="round"'), -2.5, -2), ('rounded', pg_temp.target('castInteger="round"'), 2.4999, 2),
    ('ceiling', pg_temp.target('castInteger="ceiling"'), -2.5, -2), ('floor', pg_temp.target('castInteger="floor"'), -2.5, -3),
    ('without value', pg_temp.target('rescaleConstant="1"'), NULL, NULL), ('by default', pg_temp.target('', '<TargetValue defaultValue="7"/>'), NULL, 7)) AS v(what, m, x, want);

-- Large models and rows ----------------------------------------------------

CREATE TEMP TABLE large AS
SELECT 'wide' AS name, pg_temp.make(string_agg(format('<DataField name="x%s" optype="continuous" dataType="double"/>', i), ''),
    format('<RegressionModel functionName="regression"><MiningSchema>%s</MiningSchema><RegressionTable intercept="0">%s</RegressionTable></RegressionModel>',
        string_agg(format('<MiningField name="x%s"/>', i), ''), string_agg(format('<NumericPredictor name="x%1$s" coefficient="%1$s"/>', i), ''))) AS m
FROM generate_series(1, 10000) AS i
UNION ALL
SELECT 'forest', pg_temp.make('<DataField name="x" optype="continuous" dataType="double"/>', format('<MiningModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema><Segmentation multipleModelMethod="sum">%s</Segmentation></MiningModel>',
    string_agg(format('<Segment id="%1$s"><True/><TreeModel functionName="regression" splitCharacteristic="binarySplit" missingValueStrategy="defaultChild"><MiningSchema><MiningField name="x"/></MiningSchema><Node id="1" defaultChild="3"><True/>
        <Node id="2" score="1"><SimplePredicate field="x" operator="lessThan" value="%1$s"/></Node><Node id="3" score="0"><SimplePredicate field="x" operator="greaterOrEqual" value="%1$s"/></Node></Node></TreeModel></Segment>', i), '')))
FROM generate_series(1, 1000) AS i;
SELECT is(iaros.model_score(m, (SELECT jsonb_object_agg('x' || i, 1) FROM generate_series(1, 10000) AS i)), 50005000::float8, '10,000 columns') FROM large WHERE name = 'wide';
SELECT is(iaros.model_score(m, (SELECT jsonb_object_agg('x' || i, 1) FROM generate_series(1, 9999) AS i)), NULL, 'one is missing') FROM large WHERE name = 'wide';
SELECT is(iaros.model_score(m, jsonb_build_object('x', x)), want, '1,000 trees: ' || coalesce(x::text, 'missing')) FROM large, (VALUES (250.5, 750::float8), (250, 750), (0, 1000), (1, 999), (1000, 0), (-1e300, 1000), (NULL, 0)) AS v(x, want) WHERE name = 'forest';
SELECT is((iaros.model_summary(m) ->> 'tree_nodes')::integer >= 1000, true, 'has all of them') FROM large WHERE name = 'forest';

-- Several models in one query, changing from row to row.
CREATE TEMP TABLE several AS SELECT k, pg_temp.target(format('rescaleConstant="%s"', 1000 * k)) AS m FROM generate_series(1, 5) AS k;
SELECT results_eq('SELECT x, k, iaros.model_score(m, r) FROM several, (SELECT x::float8 FROM generate_series(1, 4) AS x) AS r ORDER BY x, k', 'SELECT x::float8, k, 1000 * k + x::float8 FROM generate_series(1, 4) AS x, generate_series(1, 5) AS k ORDER BY x, k', 'models change from row to row');
SELECT results_eq('SELECT iaros.model_score(a.m, r), iaros.model_score(b.m, r), iaros.model_score(large.m, r) FROM several AS a, several AS b, large, (SELECT 10 AS x) AS r WHERE a.k = 1 AND b.k = 2 AND name = ''forest''', 'VALUES (1010::float8, 2010::float8, 990::float8)', 'several at once');
SELECT is(iaros.model_score(CASE WHEN x > 1 THEN m END, r), CASE WHEN x > 1 THEN 1000 * k + x END, 'a model that comes and goes') FROM several, (SELECT x::float8 FROM generate_series(1, 2) AS x) AS r WHERE k = 1;
SELECT is_empty('SELECT name FROM compiled WHERE iaros.model_hash(m::text::iaros.model) <> iaros.model_hash(m) OR iaros.model_send(m::text::iaros.model) <> iaros.model_send(m)', 'output of the type is input of the same model');
SELECT is((SELECT count(DISTINCT iaros.model_hash(m)) FROM compiled), (SELECT count(*) FROM compiled), 'each has a hash of its own');

-- Plans and people ---------------------------------------------------------

SELECT is_empty($$SELECT oid::regprocedure, provolatile, proparallel FROM pg_proc WHERE pronamespace = 'iaros'::regnamespace AND proname ~ '^model_(in|out|recv|send|compile|summary|hash|score|scores|predict)$'
    AND (proparallel <> 's' OR provolatile = 'v')$$, 'compiling and scoring may be done in parallel');
CREATE TABLE model_row AS SELECT i AS n, (i % 1500)::float8 AS x FROM generate_series(1, 20000) AS i;
CREATE TABLE model_kept AS SELECT * FROM large;
ANALYZE model_row;
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS false) ' || query; END $$;
\set query 'SELECT sum(iaros.model_score((SELECT m FROM model_kept WHERE name = ''forest''), r)) FROM model_row AS r'
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT sum(greatest(0, 1000 - x)) AS want FROM model_row \gset
SELECT results_eq(:'query', ARRAY[:want::float8], 'a sum of scores');
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT ok(bool_or(p ~ 'Gather'), 'a parallel plan') FROM pg_temp.plan_of(:'query') AS p;
SELECT results_eq(:'query', ARRAY[:want::float8], 'gives the same sum');
DROP TABLE model_row, model_kept;

CREATE ROLE regress_model_nobody;
GRANT SELECT ON large, pmml, compiled TO regress_model_nobody;
SET LOCAL ROLE regress_model_nobody;
SELECT lives_ok($$SELECT iaros.model_compile(document), iaros.model_summary(m), iaros.model_hash(m), m::text::iaros.model FROM pmml JOIN compiled USING (name)$$, 'anybody may compile');
SELECT is(iaros.model_score(m, '{"x": 1}'::jsonb), 999::float8, 'and score') FROM large WHERE name = 'forest';
SELECT is(iaros.model_score(m, r), 999::float8, 'rows, too') FROM large, (SELECT 1 AS x) AS r WHERE name = 'forest';
RESET ROLE;

-- Models that do not do what they promise ----------------------------------

SELECT throws_ok(format('SELECT iaros.model_compile(%L)', replace(document, '<r>4</r>', '<r>5</r>')), '22000', 'model gives 4.0 for "r", not 5 as it should', 'a model that fails its verification') FROM pmml WHERE name = 'regression';
SELECT lives_ok(format('SELECT iaros.model_compile(%L)', replace(document, '<r>4</r>', '<r>4.000003</r>')), 'but for what is allowed') FROM pmml WHERE name = 'regression';
SELECT throws_ok(format('SELECT iaros.model_score(m, ''{}''::jsonb) FROM compiled WHERE name = %L', name), '22023', NULL, name || ' gives no number') FROM unnest('{cluster,association}'::text[]) AS name;
SELECT throws_ok($$SELECT iaros.model_score(m, '{"x": 1}'::jsonb, 'maybe') FROM compiled WHERE name = 'softmax'$$, '22023', NULL, 'a class that there is not');
SELECT is(iaros.model_score(m, '{"x": 1.5, "i": 3}'::jsonb, label), (iaros.model_predict(m, '{"x": 1.5, "i": 3}'::jsonb) ->> 'p')::float8, 'the class that is asked for') FROM compiled, (VALUES ('no'), (NULL)) AS v(label) WHERE name = 'softmax';
-- Which class the score is of; tables of a regression in either order.
CREATE FUNCTION pg_temp.two(type text, classes text[], tables text[]) RETURNS iaros.model LANGUAGE sql AS $$
    SELECT iaros.model_compile(format('<PMML version="4.4"><DataDictionary><DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="categorical" dataType="%s">%s</DataField></DataDictionary>
<RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
<RegressionTable intercept="0" targetCategory="%s"><NumericPredictor name="x" coefficient="1"/></RegressionTable><RegressionTable intercept="0" targetCategory="%s"/></RegressionModel></PMML>',
        type, (SELECT string_agg(format('<Value value="%s"/>', c), '') FROM unnest(classes) AS c), tables[1], tables[2]))
$$;
SELECT is(round(iaros.model_score(pg_temp.two(type, classes, tables), '{"x": 2}'::jsonb)::numeric, 6), round(want::numeric, 6), what)
FROM (VALUES ('integer', '{0,1}'::text[], '{1,0}'::text[], 1 / (1 + exp(-2)), 'the class 1, first in the model'),
    ('integer', '{1,0}', '{0,1}', 1 / (1 + exp(2)), 'the class 1, last in the model'),
    ('string', '{no,yes}', '{yes,no}', 1 / (1 + exp(-2)), 'the later of the values of the target'),
    ('string', '{yes,no}', '{yes,no}', 1 / (1 + exp(2)), 'whatever it is called'),
    ('boolean', '{true,false}', '{true,false}', 1 / (1 + exp(-2)), 'true')) AS v(type, classes, tables, want, what);
SELECT matches(pg_temp.two('string', '{no,yes}', '{yes,no}')::text, '^RegressionModel, classification, inputs 1, outputs 1, tree nodes 0: [A-Za-z0-9+/]+=*$', 'the text of a model begins with a summary');
-- A regression that gives back its input.
CREATE FUNCTION pg_temp.same(type text, treatment text DEFAULT '', name text DEFAULT 'x') RETURNS iaros.model LANGUAGE sql AS $$
    SELECT iaros.model_compile(format('<PMML version="4.4"><DataDictionary><DataField name="%3$s" optype="continuous" dataType="%1$s"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<RegressionModel functionName="regression"><MiningSchema><MiningField name="%3$s" %2$s/><MiningField name="y" usageType="target"/></MiningSchema>
<RegressionTable intercept="0"><NumericPredictor name="%3$s" coefficient="1"/></RegressionTable></RegressionModel></PMML>', type, treatment, name))
$$;
SELECT is(iaros.model_score(pg_temp.same('double', 'invalidValueTreatment="asIs" invalidValueReplacement="5"'), '{"x": "none"}'::jsonb), 5::float8, 'asIs with a replacement replaces what is no number');
SELECT is(iaros.model_score(pg_temp.same('dateTimeSecondsSince[1970]'), jsonb_build_object('x', x)), want, 'time ' || x) FROM (VALUES
    ('1970-01-01T00:00:10Z', 10::float8), ('1970-01-01 01:00:10+01', 10), ('1970-01-01T05:30:10.5+05:30', 10), ('1969-12-31T19:00:10-0500', 10), ('1970-01-01T00:00:10+', NULL)) AS v(x, want);
SELECT is(iaros.model_score(pg_temp.same('dateDaysSince[1970]'), to_jsonb(r)), 3::float8, 'a timestamp of a row that became JSON is a date, too') FROM (SELECT timestamp '1970-01-04 10:00' AS x) AS r;
SELECT is(iaros.model_score(pg_temp.same('double'), r), 7::float8, 'blanks at the end of character(n) do not count') FROM (SELECT '7'::character(10) AS x) AS r;
SELECT throws_ok($$SELECT iaros.model_score(pg_temp.same('double', '', 'Xy'), r) FROM (SELECT 1 AS "XY", 2 AS xy) AS r$$, '42702', 'row has several columns for input "Xy"');
SELECT is(iaros.model_score(pg_temp.same('double', '', 'Xy'), r), 2::float8, 'unless one has the very name') FROM (SELECT 1 AS "XY", 2 AS "Xy") AS r;
SELECT is(iaros.model_score(pg_temp.same('double', '', repeat('n', 80)), to_jsonb(r)), 4::float8, 'names are cut as those of columns are') FROM (SELECT 4 AS nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn) AS r;
-- A cancel while a document is read ends in an error, not in a crash.
CREATE TEMP TABLE long AS
SELECT '<PMML version="4.4"><DataDictionary>' || string_agg(format('<DataField name="f%s" optype="continuous" dataType="double"/>', i), E'\n') || '</DataDictionary></PMML>' AS document
FROM generate_series(1, 150000) AS i;
\set ON_ERROR_STOP 0
SAVEPOINT uncanceled;
SET LOCAL statement_timeout = '15ms';
SELECT 'compiled' FROM long WHERE iaros.model_compile(document) IS NULL;
ROLLBACK TO uncanceled;
SET LOCAL statement_timeout = '40ms';
SELECT 'compiled' FROM long WHERE iaros.model_compile(document) IS NULL;
ROLLBACK TO uncanceled;
SET LOCAL statement_timeout = '80ms';
SELECT 'compiled' FROM long WHERE iaros.model_compile(document) IS NULL;
ROLLBACK TO uncanceled;
SET LOCAL statement_timeout = '120ms';
SELECT 'compiled' FROM long WHERE iaros.model_compile(document) IS NULL;
ROLLBACK TO uncanceled;
\set ON_ERROR_STOP 1
SELECT throws_ok('SELECT iaros.model_compile(document) FROM long', '0A000', 'document has no model that can be scored', 'the session lives on after cancels');
SELECT * FROM finish();
ROLLBACK;
