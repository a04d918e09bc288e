-- What the benchmarks of models share, in a schema of its own: rows, trees as
-- tables, and the PMML and the plain SQL that are made of them.
-- Variable: rows.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;

-- From 0 to below 1, the same for the same numbers; 32 bits hold it.
CREATE FUNCTION bench.unit(i bigint, salt integer) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (hashint8extended(i, salt) & 16777215) / 16777216.0::float8;

-- n expressions with % for 0 to n - 1, with text between them.
CREATE FUNCTION bench.each(expression text, n integer, between_them text DEFAULT ', ') RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(replace(expression, '%', i::text), between_them ORDER BY i) FROM generate_series(0, n - 1) AS i);

-- The customers: 33 numbers, also as real, and with one in twenty missing.
SELECT format('CREATE UNLOGGED TABLE bench.customer AS SELECT i AS id, %s FROM generate_series(1, %s::bigint) AS i',
    bench.each('bench.unit(i, 1 + %) AS f%', 33), :'rows') \gexec
SELECT format('CREATE UNLOGGED TABLE bench.customer_real AS SELECT id, %s FROM bench.customer', bench.each('f%::real', 33)) \gexec
SELECT format('CREATE UNLOGGED TABLE bench.customer_gaps AS SELECT id, %s FROM bench.customer',
    bench.each('CASE WHEN bench.unit(id, 101 + %) >= 0.05 THEN f% END AS f%', 33)) \gexec
-- What trees are trained to predict.
CREATE VIEW bench.training AS
SELECT (3 * sin(6 * c.f0) + 4 * c.f1 * c.f2 + CASE WHEN c.f3 > 0.4 THEN 2 * c.f4 ELSE c.f5 END + 2 * (c.f6 - 0.5) ^ 2 + c.f7 * c.f8 * c.f9
    + 0.4 * (c.f10 + c.f12 + c.f14 + c.f16 + c.f18 + c.f20 + c.f22 + c.f24 + c.f26 + c.f28 + c.f30 + c.f32) + 0.5 * bench.unit(c.id, 99))::real AS y, g.*
FROM bench.customer c JOIN bench.customer_gaps g USING (id);

-- The nodes of trees as libxgboost tells them: below is where rows go whose
-- feature is less than the threshold, missing where those without it go.
CREATE UNLOGGED TABLE bench.node (
    tree integer, node integer, feature integer, threshold real, below integer, other integer, missing integer, score real,
    PRIMARY KEY (tree, node)
);

-- Full trees of depth 6 where no library trains them.
CREATE FUNCTION bench.random_trees(n integer) RETURNS void LANGUAGE sql
AS $$
    INSERT INTO bench.node
    SELECT t, i, floor(33 * bench.unit(t * 127 + i, 201)), bench.unit(t * 127 + i, 202), 2 * i + 1, 2 * i + 2,
        2 * i + 1 + (bench.unit(t * 127 + i, 203) < 0.5)::integer, NULL
    FROM generate_series(0, n - 1) AS t, generate_series(0, 62) AS i
    UNION ALL
    SELECT t, i, NULL, NULL, NULL, NULL, NULL, bench.unit(t * 127 + i, 204) - 0.5
    FROM generate_series(0, n - 1) AS t, generate_series(63, 126) AS i
$$;

-- The start tag of a node and its predicate, up to where children stand.
CREATE FUNCTION bench.node_start(n bench.node, attributes text, predicate text, indent text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN format(E'%s<Node%s%s>\n%s\t%s\n', indent, attributes, ' score="' || n.score || '"', indent, predicate);

-- A test of the feature of a node.
CREATE FUNCTION bench.node_test(n bench.node, below boolean) RETURNS text LANGUAGE sql IMMUTABLE
RETURN format('<SimplePredicate field="f%s" operator="%s" value="%s"/>', n.feature,
    CASE WHEN below THEN 'lessThan' ELSE 'greaterOrEqual' END, n.threshold);

-- A node and those below it, each with two children or none.
CREATE FUNCTION bench.node_split(tree integer, node integer, predicate text, indent text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    n bench.node := (SELECT r FROM bench.node r WHERE r.tree = node_split.tree AND r.node = node_split.node);
BEGIN
    RETURN bench.node_start(n, format(' id="%s"', n.node) || coalesce(format(' defaultChild="%s"', CASE WHEN n.score IS NULL THEN n.missing END), ''),
            predicate, indent)
        || CASE WHEN n.score IS NULL THEN
            bench.node_split(n.tree, n.below, bench.node_test(n, true), indent || E'\t')
            || bench.node_split(n.tree, n.other, bench.node_test(n, false), indent || E'\t') ELSE '' END
        || indent || E'</Node>\n';
END $$;

-- As node_split(), with the nodes that missing values go to merged into
-- their parents: the form without defaultChild.
CREATE FUNCTION bench.node_compact(tree integer, node integer, predicate text, indent text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    n bench.node := (SELECT r FROM bench.node r WHERE r.tree = node_compact.tree AND r.node = node_compact.node);
    children text := '';
    below boolean;
BEGIN
    WHILE n.score IS NULL LOOP
        below := n.missing <> n.below;
        children := children || bench.node_compact(n.tree, CASE WHEN below THEN n.below ELSE n.other END, bench.node_test(n, below), indent || E'\t');
        n := (SELECT r FROM bench.node r WHERE r.tree = n.tree AND r.node = n.missing);
    END LOOP;
    RETURN bench.node_start(n, '', predicate, indent) || children || indent || E'</Node>\n';
END $$;

-- Trees as PMML, and as an expression of plain SQL.
CREATE UNLOGGED TABLE bench.tree (tree integer PRIMARY KEY, nodes integer, split text, compact text, expression text);

-- A node and those below it as an expression.
CREATE FUNCTION bench.node_expression(tree integer, node integer) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    n bench.node := (SELECT r FROM bench.node r WHERE r.tree = node_expression.tree AND r.node = node_expression.node);
BEGIN
    IF n.score IS NOT NULL THEN
        RETURN format('%L::real', n.score);
    END IF;
    RETURN format(CASE WHEN n.missing = n.other THEN 'CASE WHEN f%s < %L::@ THEN %s ELSE %s END' ELSE 'CASE WHEN f%s >= %L::@ THEN %4$s ELSE %3$s END' END,
        n.feature, n.threshold::float8, bench.node_expression(n.tree, n.below), bench.node_expression(n.tree, n.other));
END $$;

-- Fills bench.tree.
CREATE FUNCTION bench.build_trees() RETURNS void LANGUAGE sql
AS $$
    INSERT INTO bench.tree
    SELECT t, n, bench.node_split(t, 0, '<True/>', E'\t\t\t\t\t'), bench.node_compact(t, 0, '<True/>', E'\t\t\t\t\t'), bench.node_expression(t, 0)
    FROM (SELECT tree AS t, count(*) AS n FROM bench.node GROUP BY tree) AS d
$$;

-- The lists of fields of a model of trees.
CREATE FUNCTION bench.pmml_fields(element text, attributes text, indent text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN bench.each(format(E'%s<%s name="f%%"%s/>\n', indent, element, attributes), 33, '');

-- n trees from one on, over and over, as an XGBoost model of JPMML.
CREATE FUNCTION bench.trees_pmml(first integer, n integer, compact boolean DEFAULT false) RETURNS text LANGUAGE sql STABLE
RETURN E'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">\n\t<Header/>\n\t<DataDictionary>\n'
    || E'\t\t<DataField name="_target" optype="continuous" dataType="float"/>\n'
    || bench.pmml_fields('DataField', ' optype="continuous" dataType="float"', E'\t\t')
    || E'\t</DataDictionary>\n\t<MiningModel functionName="regression" algorithmName="XGBoost (GBTree)" x-mathContext="float">\n\t\t<MiningSchema>\n'
    || E'\t\t\t<MiningField name="_target" usageType="target"/>\n' || bench.pmml_fields('MiningField', '', E'\t\t\t')
    || E'\t\t</MiningSchema>\n\t\t<Segmentation multipleModelMethod="sum" missingPredictionTreatment="returnMissing">\n'
    || (SELECT string_agg(format(E'\t\t\t<Segment id="%s">\n\t\t\t\t<True/>\n\t\t\t\t<TreeModel functionName="regression" %s x-mathContext="float">\n',
            i + 1, CASE WHEN trees_pmml.compact THEN 'noTrueChildStrategy="returnLastPrediction"'
                ELSE 'missingValueStrategy="defaultChild" splitCharacteristic="binarySplit"' END)
        || E'\t\t\t\t\t<MiningSchema>\n' || bench.pmml_fields('MiningField', '', E'\t\t\t\t\t\t') || E'\t\t\t\t\t</MiningSchema>\n'
        || CASE WHEN trees_pmml.compact THEN t.compact ELSE t.split END || E'\t\t\t\t</TreeModel>\n\t\t\t</Segment>\n', '' ORDER BY i)
        FROM generate_series(0, trees_pmml.n - 1) AS i, (SELECT count(*) AS n FROM bench.tree) AS have, bench.tree t
        WHERE t.tree = (trees_pmml.first + i) % have.n)
    || E'\t\t</Segmentation>\n\t</MiningModel>\n</PMML>\n';

-- The sum of the first n trees in plain SQL; type: of the columns.
CREATE FUNCTION bench.trees_expression(n integer, type text) RETURNS text LANGUAGE sql STABLE
RETURN '0::real' || (SELECT string_agg(' + ' || replace(expression, '@', type), E'\n' ORDER BY tree) FROM bench.tree WHERE tree < n);

CREATE UNLOGGED TABLE bench.model (name text PRIMARY KEY, model iaros.model, pmml text);

-- The largest difference of two queries that give id and score.
CREATE FUNCTION bench.difference(ours text, plain text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    largest float8;
    rows bigint;
BEGIN
    EXECUTE format('SELECT count(*), max(CASE WHEN o.score IS NULL AND p.score IS NULL AND o.id = p.id THEN 0
        ELSE coalesce(abs(o.score - p.score), ''Infinity'') END) FROM (%s) AS o FULL JOIN (%s) AS p USING (id)', ours, plain) INTO rows, largest;
    RETURN CASE WHEN rows > 0 THEN largest ELSE 'Infinity' END;
END $$;

-- As pg_temp.bench() for queries that give id and score, which may differ by
-- so much. plain_ms: the time of something that is no query.
CREATE FUNCTION bench.compare(name text, ours text, plain text, rows bigint, tolerance float8 DEFAULT 0, plain_ms float8 DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    difference float8 := bench.difference(ours, plain);
    ours_ms float8;
    other_ms float8 := plain_ms;
BEGIN
    IF difference > tolerance THEN
        RAISE EXCEPTION USING MESSAGE = format('the results of benchmark "%s" differ by %s', name, difference);
    END IF;
    FOR i IN 1 .. 5 LOOP
        ours_ms := least(ours_ms, pg_temp.bench_ms(ours));
        IF plain_ms IS NULL THEN
            other_ms := least(other_ms, pg_temp.bench_ms(plain));
        END IF;
    END LOOP;
    RETURN bench.line(name, ours_ms, other_ms, rows);
END $$;

-- A line of the results.
CREATE FUNCTION bench.line(name text, ours_ms float8, other_ms float8, rows float8) RETURNS text LANGUAGE sql IMMUTABLE
RETURN format('bench|%s|%s|%s|%s|%s', name, round(ours_ms::numeric, 2), round(other_ms::numeric, 2), round((other_ms / ours_ms)::numeric, 2),
    round((rows / ours_ms * 1000)::numeric));

-- The best milliseconds of some runs of a statement.
CREATE FUNCTION bench.best(query text, runs integer DEFAULT 5) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    best float8;
    start timestamptz;
BEGIN
    FOR i IN 1 .. runs LOOP
        start := clock_timestamp();
        EXECUTE query;
        best := least(best, extract(epoch FROM clock_timestamp() - start) * 1000);
    END LOOP;
    RETURN best;
END $$;
