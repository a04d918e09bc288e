-- The benchmarks of models beside plain SQL. Variable: rows.
CREATE FUNCTION pg_temp.scan(model text, source text, label text DEFAULT NULL) RETURNS text LANGUAGE sql
RETURN format('SELECT id, score FROM iaros.model_scan((SELECT model FROM bench.model WHERE name = %L), %L, ''id'', %L)', model, source, label);
CREATE FUNCTION pg_temp.plain(trees integer, source text, type text) RETURNS text LANGUAGE sql
RETURN format('SELECT id, %s AS score FROM %s', bench.trees_expression(trees, type), source);

SELECT bench.compare('model_scan 50 trees, float8; CASE', pg_temp.scan('50 trees', 'bench.customer'), pg_temp.plain(50, 'bench.customer', 'float8'), :rows);
SELECT bench.compare('model_scan 50 trees, real; CASE', pg_temp.scan('50 trees', 'bench.customer_real'), pg_temp.plain(50, 'bench.customer_real', 'real'), :rows);
SELECT bench.compare('model_scan 50 trees, NULLs; CASE', pg_temp.scan('50 trees', 'bench.customer_gaps'), pg_temp.plain(50, 'bench.customer_gaps', 'float8'), :rows);
SELECT bench.compare('model_scan 50 trees, compact; CASE', pg_temp.scan('50 trees, compact', 'bench.customer_gaps'), pg_temp.plain(50, 'bench.customer_gaps', 'float8'), :rows);
-- One row in ten: plain SQL takes long.
CREATE VIEW bench.customer_tenth AS SELECT * FROM bench.customer WHERE id <= greatest(:rows / 10, 1);
SELECT bench.compare('model_scan 300 trees, a tenth; CASE', pg_temp.scan('300 trees', 'bench.customer_tenth'), pg_temp.plain(300, 'bench.customer_tenth', 'float8'),
    greatest(:rows / 10, 1));
-- The cost of reading.
SELECT bench.line('count() of column 33; model_scan 50 trees', bench.best('SELECT count(f32) FROM bench.customer'),
    bench.best(format('SELECT count(*) FROM (%s) AS s', pg_temp.scan('50 trees', 'bench.customer'))), :rows);

SELECT bench.compare('sum(model_score()) 50 trees; CASE',
    $$SELECT 1 AS id, sum(iaros.model_score((SELECT model FROM bench.model WHERE name = '50 trees'), c)) AS score FROM bench.customer c$$,
    format('SELECT 1 AS id, sum((%s)::float8) AS score FROM bench.customer', bench.trees_expression(50, 'float8')), :rows, 1e-3);
SELECT bench.compare('sum(model_score()) 50 trees, NULLs; CASE',
    $$SELECT 1 AS id, sum(iaros.model_score((SELECT model FROM bench.model WHERE name = '50 trees'), c)) AS score FROM bench.customer_gaps c$$,
    format('SELECT 1 AS id, sum((%s)::float8) AS score FROM bench.customer_gaps', bench.trees_expression(50, 'float8')), :rows, 1e-3);

-- One row, warm: 1,000 rows 100 times, and what is left of it without model.
CREATE TEMP TABLE page AS SELECT * FROM bench.customer WHERE id <= 1000;
CREATE TEMP TABLE page_json AS SELECT id, to_jsonb(p) - 'id' AS inputs FROM page p;
ANALYZE page, page_json;
CREATE FUNCTION pg_temp.microseconds(call text, source text) RETURNS float8 LANGUAGE sql
RETURN bench.best(format('SELECT sum(%s) FROM generate_series(1, 100) AS g, %s AS p', call, source)) * 1000 / (SELECT 100 * least(:rows, 1000));
SELECT format('one row in a query, %s: %s us by a record, %s us by jsonb; %s us without model', name, round(pg_temp.microseconds(
    format('iaros.model_score((SELECT model FROM bench.model WHERE name = %L), p)', name), 'page')::numeric, 2), round(pg_temp.microseconds(
    format('iaros.model_score((SELECT model FROM bench.model WHERE name = %L), p.inputs)', name), 'page_json')::numeric, 2), round(pg_temp.microseconds(
    'CASE WHEN p IS NOT DISTINCT FROM NULL THEN 0 ELSE p.f0 END', 'page')::numeric, 2))
FROM unnest('{50 trees,300 trees}'::text[]) AS name;

-- A logistic regression with 50 terms.
SELECT format('CREATE UNLOGGED TABLE bench.wide AS SELECT i AS id, %s FROM generate_series(1, %s::bigint) AS i', bench.each('bench.unit(i, 301 + %) AS x%', 50), :rows) \gexec
VACUUM ANALYZE bench.wide;
CREATE FUNCTION pg_temp.coefficient(i integer) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN bench.unit(i, 401) - 0.5;
INSERT INTO bench.model (name, model)
SELECT 'logit', iaros.model_compile('<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>'
    || '<DataField name="y" optype="categorical" dataType="integer"><Value value="0"/><Value value="1"/></DataField>'
    || bench.each('<DataField name="x%" optype="continuous" dataType="double"/>', 50, '') || '</DataDictionary>'
    || '<RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema><MiningField name="y" usageType="target"/>'
    || bench.each('<MiningField name="x%"/>', 50, '') || '</MiningSchema><RegressionTable intercept="0.25" targetCategory="1">'
    || (SELECT string_agg(format('<NumericPredictor name="x%s" coefficient="%s"/>', i, pg_temp.coefficient(i)), '' ORDER BY i) FROM generate_series(0, 49) AS i)
    || '</RegressionTable><RegressionTable intercept="0.0" targetCategory="0"/></RegressionModel></PMML>');
SELECT bench.compare('model_scan logistic regression, 50 terms', pg_temp.scan('logit', 'bench.wide', '1'),
    (SELECT format('SELECT id, 1 / (1 + exp(-(0.25::float8 %s))) AS score FROM bench.wide', string_agg(format('+ x%s * %L::float8', i, pg_temp.coefficient(i)), ' ' ORDER BY i))
     FROM generate_series(0, 49) AS i), :rows, 1e-14);
SELECT bench.compare('sum(model_score()) logistic, 50 terms',
    $$SELECT 1 AS id, sum(iaros.model_score((SELECT model FROM bench.model WHERE name = 'logit'), c, '1')) AS score FROM bench.wide c$$,
    (SELECT format('SELECT 1 AS id, sum(1 / (1 + exp(-(0.25::float8 %s)))) AS score FROM bench.wide', string_agg(format('+ x%s * %L::float8', i, pg_temp.coefficient(i)), ' ' ORDER BY i))
     FROM generate_series(0, 49) AS i), :rows, 1e-6);
SELECT bench.line('count() of column 50; model_scan logistic', bench.best('SELECT count(x49) FROM bench.wide'),
    bench.best(format('SELECT count(*) FROM (%s) AS s', pg_temp.scan('logit', 'bench.wide', '1'))), :rows);

-- 50 models of 50 trees each for one customer.
CREATE UNLOGGED TABLE bench.many AS SELECT i, iaros.model_compile(bench.trees_pmml(i * 5, 50)) AS model FROM generate_series(0, 49) AS i;
VACUUM ANALYZE bench.many;
CREATE INDEX ON bench.customer (id);
SELECT format('50 models of 50 trees, 1 customer: %s ms by a record, %s ms by jsonb', round(bench.best(
    'SELECT sum(iaros.model_score(m.model, c)) FROM bench.customer c, bench.many m WHERE c.id = 42', 50)::numeric, 3), round(bench.best(
    'SELECT sum(iaros.model_score(m.model, j.inputs)) FROM page_json j, bench.many m WHERE j.id = 42', 50)::numeric, 3));

-- Importing 3 MB.
CREATE TEMP TABLE document AS
SELECT bench.trees_pmml(0, (300 * 3e6 / length(pmml))::integer) AS pmml FROM bench.model WHERE name = '300 trees';
SELECT format('model_compile() of %s bytes: %s ms', (SELECT length(pmml) FROM document),
    round(bench.best('SELECT pg_column_size(iaros.model_compile(pmml)) FROM document')::numeric, 1));
