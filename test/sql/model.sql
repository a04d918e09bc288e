-- model: what documents are refused and how that is said, the type, and what
-- small models of each kind give.
\pset format unaligned
\pset tuples_only on
BEGIN;
SET LOCAL search_path TO iaros, public;
-- What a model is, or why a document is refused.
CREATE FUNCTION pg_temp.compile(document text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    RETURN model_summary(model_compile(document)) - '{hash,bytes,layout,slots,tree_nodes}'::text[];
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    -- What the parser says depends on its version.
    IF message = 'PMML is not well-formed XML' THEN
        detail := split_part(detail, ': ', 1);
    END IF;
    RETURN concat_ws(E'\n    ', state || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
-- A document with x, i, c and the target y: the model is in line 8.
CREATE FUNCTION pg_temp.document(model text, before text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(E'\n', '<PMML version="4.4"><DataDictionary>', '<DataField name="x" optype="continuous" dataType="double"/>', '<DataField name="i" optype="continuous" dataType="integer"/>',
        '<DataField name="c" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/></DataField>', '<DataField name="y" optype="continuous" dataType="double"/>', '</DataDictionary>', before, model, '</PMML>') $$;
-- A regression of x with something before its table.
CREATE FUNCTION pg_temp.line(inside text DEFAULT '', attributes text DEFAULT '', terms text DEFAULT '<NumericPredictor name="x" coefficient="2"/>', before text DEFAULT '', fields text DEFAULT '<MiningField name="x"/>') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.document(concat_ws(E'\n', format('<RegressionModel functionName="regression" %s>', attributes), format('<MiningSchema><MiningField name="y" usageType="target"/>%s</MiningSchema>', fields),
        nullif(inside, ''), format('<RegressionTable intercept="1">%s</RegressionTable>', terms), '</RegressionModel>'), before) $$;
-- A tree with something below its root.
CREATE FUNCTION pg_temp.tree(below text DEFAULT '', attributes text DEFAULT '', predicate text DEFAULT '<True/>') RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.document(concat_ws(E'\n', format('<TreeModel functionName="regression" %s><MiningSchema><MiningField name="x"/><MiningField name="c"/></MiningSchema>', attributes), format('<Node score="1">%s', predicate), nullif(below, ''), '</Node></TreeModel>')) $$;

-- Models and versions.
SELECT pg_temp.compile(pg_temp.line());
SELECT pg_temp.compile(pg_temp.tree('<Node score="2"><SimplePredicate field="x" operator="lessThan" value="0"/></Node>'));
SELECT v, pg_temp.compile(replace(pg_temp.line(), 'version="4.4"', format('version="%s"', v))) ~ '^{' FROM unnest('{3.0,3.1,3.2,4.0,4.1,4.2,4.3,4.4,4.4.1}'::text[]) AS v;
SELECT pg_temp.compile(replace(pg_temp.line(), 'version="4.4"', format('version="%s"', v))) FROM unnest('{2.1,4.5,5.0,4,-4.4,"",x,99999999999.1}'::text[]) AS v;
SELECT pg_temp.compile(replace(pg_temp.line(), 'version="4.4"', ''));
SELECT pg_temp.compile(replace(replace(pg_temp.line(), '<PMML ', '<p:PMML xmlns:p="http://www.dmg.org/PMML-4_4" '), '</PMML>', '</p:PMML>')) ~ '^{';
SELECT pg_temp.compile('<?xml version="1.0" encoding="ISO-8859-1"?>' || pg_temp.line(attributes => 'modelName="é"')) ~ 'é';
SELECT pg_temp.compile(NULL);

-- No PMML.
SELECT pg_temp.compile(d) FROM (VALUES (1, ''), (2, ' '), (3, 'x = 1'), (4, '{"PMML": 1}'), (5, '<PMML>'), (6, '<html/>'), (7, '<PMML version="4.4"/>'), (8, '<PMML version="4.4"><DataDictionary/></PMML>'),
    (9, '<PMML version="4.4" version="4.3"/>'), (10, E'<PMML version="4.4">\n<a></b>\n</PMML>'), (11, '<PMML version="4.4">&nothing;</PMML>'), (12, '<PMML version="&#0;"/>'), (13, '<PMML version="4.4"/><PMML/>'),
    (14, E'<PMML version="4.4">\n\n<DataDictionary>\x01</DataDictionary></PMML>')) AS v(n, d) ORDER BY n;
SELECT pg_temp.compile(left(pg_temp.line(), 200));

-- Hostile XML.
SELECT pg_temp.compile(E'<?xml version="1.0"?>\n<!DOCTYPE lolz [\n<!ENTITY lol "lol">\n<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">\n<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">\n]>\n<PMML version="4.4">&lol3;</PMML>');
SELECT pg_temp.compile('<!DOCTYPE PMML [<!ENTITY file SYSTEM "file:///etc/passwd">]><PMML version="4.4"><Header description="x"/>&file;</PMML>');
SELECT pg_temp.compile('<!DOCTYPE PMML SYSTEM "http://127.0.0.1:1/pmml.dtd"><PMML version="4.4"/>');
SELECT pg_temp.compile('<!DOCTYPE PMML [<!ENTITY % remote SYSTEM "http://127.0.0.1:1/x"> %remote;]><PMML version="4.4"/>');
SELECT pg_temp.compile(repeat('<a>', 512) || repeat('</a>', 512));
SELECT pg_temp.compile(repeat('<a>', 100000));
SELECT pg_temp.compile('<PMML version="4.4" ' || (SELECT string_agg(format('a%s="1"', i), ' ') FROM generate_series(1, 1000) AS i) || '/>');
SELECT pg_temp.compile('<PMML version="4.4" ' || (SELECT string_agg(format('a%s="1"', i), ' ') FROM generate_series(1, 20001) AS i) || '/>');

-- What is not supported is refused with its place.
SELECT pg_temp.compile(d) FROM (VALUES
    (1, pg_temp.document('<TimeSeriesModel functionName="timeSeries"/>')),
    (2, pg_temp.document('<GaussianProcessModel functionName="regression"/>')),
    (3, pg_temp.line(attributes => 'isScorable="false"')),
    (4, pg_temp.line(attributes => 'surprise="1"')),
    (5, pg_temp.line('<Surprise/>')),
    (6, pg_temp.line(attributes => 'normalizationMethod="guess"')),
    (7, pg_temp.line('<Output><OutputField name="o" feature="guess"/></Output>')),
    (8, pg_temp.line(fields => '<MiningField name="x" usageType="guess"/>')),
    (9, pg_temp.line(fields => '<MiningField name="x" outliers="guess"/>')),
    (10, pg_temp.line('<LocalTransformations><DerivedField name="d" optype="continuous" dataType="double"><Apply function="guess"><FieldRef field="x"/></Apply></DerivedField></LocalTransformations>', terms => '<NumericPredictor name="d" coefficient="1"/>')),
    (11, pg_temp.line('<LocalTransformations><DerivedField name="d" optype="continuous" dataType="double"><Lag field="x"/></DerivedField></LocalTransformations>', terms => '<NumericPredictor name="d" coefficient="1"/>')),
    (12, pg_temp.tree('<Node score="1"><SimplePredicate field="x" operator="like" value="1"/></Node>')),
    (13, pg_temp.tree(attributes => 'missingValueStrategy="guess"')),
    (14, replace(pg_temp.line(), 'dataType="integer"', 'dataType="complex"')),
    (15, replace(pg_temp.line(), 'functionName="regression"', 'functionName="guess"'))) AS v(n, d) ORDER BY n;

-- What is wrong.
SELECT pg_temp.compile(d) FROM (VALUES
    (1, replace(pg_temp.line(), 'functionName="regression"', '')),
    (2, replace(pg_temp.line(), ' optype="continuous" dataType="double"/>', '/>')),
    (3, pg_temp.line(terms => '<NumericPredictor name="x"/>')),
    (4, pg_temp.line(terms => '<NumericPredictor name="x" coefficient="two"/>')),
    (5, pg_temp.line(terms => '<NumericPredictor name="x" coefficient=""/>')),
    (6, pg_temp.line(terms => '<NumericPredictor name="x" coefficient="1,5"/>')),
    (7, pg_temp.line(terms => '<NumericPredictor name="x" coefficient="0x10"/>')),
    (8, pg_temp.line(terms => '<NumericPredictor name="z" coefficient="1"/>')),
    (9, pg_temp.line(fields => '<MiningField name="z"/>')),
    (10, pg_temp.line(fields => '<MiningField/>')),
    (11, pg_temp.line(fields => '<MiningField name="x"/><MiningField name="x"/>')),
    (12, replace(pg_temp.line(), '"i"', '"x"')),
    (13, pg_temp.tree(predicate => '')),
    (14, pg_temp.tree('<Node score="2"/>')),
    (15, pg_temp.tree('<Node score="2"><SimplePredicate field="x" operator="lessThan"/></Node>')),
    (16, pg_temp.tree('<Node score="2"><SimplePredicate field="x" operator="lessThan" value="a"/></Node>')),
    (17, pg_temp.tree('<Node score="two"><True/></Node>')),
    (18, pg_temp.tree('<Node score="2"><CompoundPredicate booleanOperator="and"/></Node>')),
    (19, pg_temp.tree('<Node score="2"><SimpleSetPredicate field="c" booleanOperator="isIn"/></Node>')),
    (20, pg_temp.tree(attributes => 'missingValueStrategy="defaultChild"', below => '<Node id="1" score="2" defaultChild="9"><True/><Node id="2"><True/></Node></Node>')),
    (21, pg_temp.document('<MiningModel functionName="regression"><MiningSchema/><Segmentation multipleModelMethod="sum"/></MiningModel>')),
    (22, pg_temp.document('<MiningModel functionName="regression"><MiningSchema/><Segmentation multipleModelMethod="sum"><Segment/></Segmentation></MiningModel>')),
    (23, pg_temp.document('<MiningModel functionName="regression"><MiningSchema/><Segmentation multipleModelMethod="sum"><Segment><True/></Segment></Segmentation></MiningModel>')),
    (24, pg_temp.document('<RegressionModel functionName="regression"/>')),
    (25, pg_temp.line(fields => '<MiningField name="x" outliers="asExtremeValues"/>')),
    (26, pg_temp.line('<Targets><Target field="y" rescaleFactor="a lot"/></Targets>')),
    (27, pg_temp.line('<Output><OutputField name="o" feature="transformedValue"/></Output>')),
    (28, pg_temp.line('<Output><OutputField feature="predictedValue"/></Output>'))) AS v(n, d) ORDER BY n;

-- Fields and functions in circles, and too deep.
SELECT pg_temp.compile(pg_temp.line('<LocalTransformations><DerivedField name="d1" optype="continuous" dataType="double"><FieldRef field="d1"/></DerivedField></LocalTransformations>', terms => '<NumericPredictor name="d1" coefficient="1"/>'));
SELECT pg_temp.compile(pg_temp.line($xml$<LocalTransformations><DerivedField name="d1" optype="continuous" dataType="double">
<FieldRef field="d2"/></DerivedField>
<DerivedField name="d2" optype="continuous" dataType="double">
<Apply function="+"><FieldRef field="x"/><FieldRef field="d1"/></Apply></DerivedField>
</LocalTransformations>$xml$, terms => '<NumericPredictor name="d1" coefficient="1"/>'));
CREATE FUNCTION pg_temp.functions(definitions text, call text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_temp.line(format('<LocalTransformations><DerivedField name="d1" optype="continuous" dataType="double"><Apply function="%s"><FieldRef field="x"/></Apply></DerivedField></LocalTransformations>', call), terms => '<NumericPredictor name="d1" coefficient="1"/>', before => format('<TransformationDictionary>%s</TransformationDictionary>', definitions)) $$;
CREATE FUNCTION pg_temp.define(name text, body text) RETURNS text LANGUAGE sql AS $$ SELECT format('<DefineFunction name="%s" optype="continuous"><ParameterField name="p"/>%s</DefineFunction>', name, body) $$;
SELECT pg_temp.compile(pg_temp.functions(pg_temp.define('f', '<Apply function="f"><FieldRef field="p"/></Apply>'), 'f'));
SELECT pg_temp.compile(pg_temp.functions(pg_temp.define('f', '<Apply function="g"><FieldRef field="p"/></Apply>') || pg_temp.define('g', '<Apply function="f"><FieldRef field="p"/></Apply>'), 'f'));
-- Each function calls the next twice: 2 to the power of 40 calls.
SELECT pg_temp.compile(pg_temp.functions(string_agg(pg_temp.define('f' || i, format('<Apply function="+"><Apply function="f%1$s"><FieldRef field="p"/></Apply><Apply function="f%1$s"><FieldRef field="p"/></Apply></Apply>', i + 1)), '') || pg_temp.define('f41', '<FieldRef field="p"/>'), 'f1')) FROM generate_series(1, 40) AS i;
SELECT pg_temp.compile(pg_temp.functions('', 'f'));
-- Expressions, predicates and nodes inside each other.
SELECT n, split_part(pg_temp.compile(pg_temp.line(format('<LocalTransformations><DerivedField name="d1" optype="continuous" dataType="double">%s<FieldRef field="x"/>%s</DerivedField></LocalTransformations>', repeat('<Apply function="abs">', n), repeat('</Apply>', n)),
    terms => '<NumericPredictor name="d1" coefficient="1"/>')), E'\n', 1) FROM unnest('{100,400,600}'::integer[]) AS n;
SELECT n, split_part(pg_temp.compile(pg_temp.tree(repeat('<Node score="2"><True/>', n) || repeat('</Node>', n))), E'\n', 1) FROM unnest('{100,400,600}'::integer[]) AS n;

-- The type.
SELECT model_hash(m) = substr(sha256(substr(model_send(m), 25)), 1, 16), encode(model_hash(m), 'hex') = model_summary(m) ->> 'hash', model_send(m::text::model) = model_send(m), length(model_send(m)) = (model_summary(m) ->> 'bytes')::integer,
    model_hash(m) = model_hash(model_compile(pg_temp.line())), model_hash(m) <> model_hash(model_compile(pg_temp.tree()))
FROM model_compile(pg_temp.line()) AS m;
CREATE TEMP TABLE kept AS SELECT 1 AS n, model_compile(pg_temp.line()) AS m UNION ALL SELECT 2, NULL;
-- Binary output is binary input.
\set file `mktemp`
\setenv FILE :file
\copy kept to program 'cat >"$FILE"' with (format binary)
CREATE TEMP TABLE back (n integer, m model);
\copy back from program 'cat "$FILE"; rm "$FILE"' with (format binary)
SELECT n, model_hash(back.m) IS NOT DISTINCT FROM model_hash(kept.m) FROM back JOIN kept USING (n) ORDER BY n;
SELECT n, model_score(m, '{"x": 3}'::jsonb), model_summary(m) ->> 'element', model_hash(m) IS NULL FROM kept ORDER BY n;
-- Bytes as a model, or why not.
CREATE FUNCTION pg_temp.input(form text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    RETURN model_summary(form::model) ->> 'element';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n    ', state || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION pg_temp.input(form bytea) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.input(replace(encode(form, 'base64'), E'\n', '')) $$;
SELECT pg_temp.input(t) FROM unnest('{"","x","%","AAAA","not a model","<PMML/>"}'::text[]) AS t;
SELECT pg_temp.input(m::text), pg_temp.input(' ' || m::text || E'\n') FROM kept WHERE n = 1;
SELECT pg_temp.input(f) FROM kept, LATERAL (VALUES (1, substr(model_send(m), 1, 100)), (2, substr(model_send(m), 1, 7)), (3, model_send(m) || '\x00'), (4, set_byte(model_send(m), 4, 99)), (5, set_byte(model_send(m), 60, 255)),
    (6, set_byte(model_send(m), 0, 255)), (7, set_byte(model_send(m), 10, get_byte(model_send(m), 10) # 1))) AS v(k, f) WHERE n = 1 ORDER BY k;

-- Rows.
CREATE FUNCTION pg_temp.try(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    RETURN QUERY EXECUTE query;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT concat_ws(E'\n    ', SQLSTATE || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE TEMP TABLE person (id integer, x float8, c text);
INSERT INTO person VALUES (1, 3, 'a'), (2, NULL, 'b'), (3, -1, 'z'), (4, 'NaN', NULL), (5, 'Infinity', 'a');
-- A classification with probabilities, a tree, and the line.
INSERT INTO kept VALUES (3, model_compile(pg_temp.document($xml$<RegressionModel functionName="classification" normalizationMethod="softmax"><MiningSchema><MiningField name="x"/></MiningSchema>
<Output><OutputField name="best" optype="categorical" dataType="string" feature="predictedValue"/><OutputField name="p" optype="continuous" dataType="double" feature="probability" value="high"/></Output>
<RegressionTable intercept="0" targetCategory="low"/><RegressionTable intercept="0" targetCategory="middle"/><RegressionTable intercept="0" targetCategory="high"><NumericPredictor name="x" coefficient="0"/></RegressionTable></RegressionModel>$xml$))),
    (4, model_compile(pg_temp.tree($xml$<Node score="10"><SimplePredicate field="x" operator="greaterOrEqual" value="3"/></Node><Node score="20"><SimpleSetPredicate field="c" booleanOperator="isIn"><Array type="string">b z</Array></SimpleSetPredicate></Node>$xml$, attributes => 'noTrueChildStrategy="returnLastPrediction"')));
SELECT n, id, model_score(m, person, CASE WHEN n = 3 THEN 'low' END), model_predict(m, person) FROM kept, person ORDER BY n, id;
SELECT id, label, round(probability::numeric, 12) FROM kept, person, model_scores(m, person) WHERE n = 3 AND id < 3 ORDER BY id, probability, label;
SELECT label, round(probability::numeric, 12) FROM kept, model_scores(m, '{"x": 1}'::jsonb) WHERE n = 3;
SELECT pg_temp.try(q) FROM unnest(ARRAY[
    'SELECT model_score(m, ROW(3))::text FROM kept WHERE n = 1',
    'SELECT model_score(m, r)::text FROM kept, (SELECT 3 AS x) AS r WHERE n = 1',
    'SELECT model_score(m, r)::text FROM kept, (SELECT 3 AS y) AS r WHERE n = 1',
    'SELECT model_predict(m, r)::text FROM kept, (SELECT 3 AS y) AS r WHERE n = 1',
    'SELECT label FROM kept, (SELECT 3 AS y) AS r, model_scores(m, r) WHERE n = 3',
    'SELECT model_score(m, ''3''::jsonb)::text FROM kept WHERE n = 1',
    'SELECT model_score(m, ''[{"x": 3}]''::jsonb)::text FROM kept WHERE n = 1',
    'SELECT model_score(m, ''{"x": 3}''::jsonb)::text FROM kept WHERE n = 3',
    'SELECT model_score(m, ''{"x": 3}''::jsonb, ''huge'')::text FROM kept WHERE n = 3',
    'SELECT model_score(m, ''{"x": 3}''::jsonb, ''low'')::text FROM kept WHERE n = 1',
    'SELECT label FROM kept, model_scores(m, ''{"x": 3}''::jsonb) WHERE n = 1']) AS q;
ROLLBACK;
