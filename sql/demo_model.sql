-- demo, models: churn, propensity and next best offer, fitted in SQL to what
-- the generated customers did, and written as PMML.

-- Kernel: fitting ---------------------------------------------------------

CREATE FUNCTION @extschema@.demo_fit_solve(matrix float8[], rhs float8[]) RETURNS float8[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    n integer := cardinality(rhs);
    a float8[] := matrix;
    x float8[] := rhs;
    pivot integer;
    kept float8;
    part float8;
BEGIN
    IF cardinality(matrix) <> n * n OR array_ndims(matrix) <> 1 OR array_ndims(rhs) <> 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s numbers are no matrix for %s equations', cardinality(matrix), n),
            HINT = 'Give its rows one after the other in one array.';
    END IF;
    FOR k IN 1..n LOOP
        pivot := k;
        FOR i IN k + 1..n LOOP
            IF abs(a[(i - 1) * n + k]) > abs(a[(pivot - 1) * n + k]) THEN
                pivot := i;
            END IF;
        END LOOP;
        IF abs(a[(pivot - 1) * n + k]) < 1e-12 THEN
            RAISE EXCEPTION USING
                ERRCODE = 'data_exception',
                MESSAGE = 'the equations have no single solution',
                HINT = 'Some of the features are the same but for a factor; leave them out, or give a ridge.';
        END IF;
        IF pivot <> k THEN
            FOR j IN k..n LOOP
                kept := a[(k - 1) * n + j];
                a[(k - 1) * n + j] := a[(pivot - 1) * n + j];
                a[(pivot - 1) * n + j] := kept;
            END LOOP;
            kept := x[k];
            x[k] := x[pivot];
            x[pivot] := kept;
        END IF;
        FOR i IN k + 1..n LOOP
            part := a[(i - 1) * n + k] / a[(k - 1) * n + k];
            FOR j IN k + 1..n LOOP
                a[(i - 1) * n + j] := a[(i - 1) * n + j] - part * a[(k - 1) * n + j];
            END LOOP;
            x[i] := x[i] - part * x[k];
        END LOOP;
    END LOOP;
    FOR k IN REVERSE n..1 LOOP
        FOR j IN k + 1..n LOOP
            x[k] := x[k] - a[(k - 1) * n + j] * x[j];
        END LOOP;
        x[k] := x[k] / a[(k - 1) * n + k];
    END LOOP;
    RETURN x;
END $$;
COMMENT ON FUNCTION @extschema@.demo_fit_solve(float8[], float8[]) IS
'Returns the solution of a system of linear equations, by Gauss elimination with the largest pivot of the column; matrix: its rows one after the other. NULL for NULL. Errors: 22023 the matrix is not square, 22000 it is singular. O(n^3).';

CREATE FUNCTION @extschema@.demo_fit_round(value float8) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN value = 0 THEN 0
        ELSE round(value::numeric, 5 - floor(log(abs(value)))::integer)::float8 END;
COMMENT ON FUNCTION @extschema@.demo_fit_round(float8) IS
'Returns a number rounded to six significant digits. NULL for NULL. Error: 22003 it is not finite.';

CREATE FUNCTION @extschema@.demo_fit_auc(scores float8[], labels boolean[]) RETURNS float8
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
BEGIN ATOMIC
    SELECT (sum(r.place) FILTER (WHERE r.label) - count(*) FILTER (WHERE r.label) * (count(*) FILTER (WHERE r.label) + 1) / 2.0)
        / nullif(count(*) FILTER (WHERE r.label) * count(*) FILTER (WHERE NOT r.label), 0)
    FROM (SELECT u.label, rank() OVER (ORDER BY u.score) + (count(*) OVER (PARTITION BY u.score) - 1) / 2.0 AS place
          FROM unnest(scores, labels) AS u(score, label)) r;
END;
COMMENT ON FUNCTION @extschema@.demo_fit_auc(float8[], boolean[]) IS
'Returns the area under the ROC curve: the chance that a row whose label is true has a higher score than one whose label is false, where equal scores count as half (rank sums as by Mann and Whitney 1947). 0.5: the score tells nothing. NULL when all labels are the same or an argument is NULL. O(rows log(rows)).';

CREATE FUNCTION @extschema@.demo_fit_logistic(source text, ridge float8 DEFAULT 1) RETURNS float8[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET max_parallel_workers_per_gather = 0
    SET extra_float_digits = 1
    SET jit = off
    AS $$
DECLARE
    steps_max CONSTANT integer := 30;
    p integer;
    n bigint;
    ones bigint;
    wrong bigint;
    means float8[];
    spreads float8[];
    b float8[];
    sums float8[];
    matrix float8[];
    step float8[];
    score text;
    query text;
    at integer;
    steps integer := 0;
BEGIN
    IF source IS NULL OR ridge IS NULL OR NOT ridge BETWEEN 0 AND 1e9 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot fit a logistic regression with ridge %s', coalesce(ridge::text, 'NULL')),
            HINT = 'Give a query, and a ridge from 0 to 1e9.';
    END IF;
    EXECUTE format('CREATE TEMP TABLE demo_fit ON COMMIT DROP AS
        SELECT s.features::float8[] AS features, s.label::integer AS label FROM (%s) AS s(features, label)', source);
    SELECT max(cardinality(f.features)), count(*), count(*) FILTER (WHERE f.label = 1) INTO p, n, ones FROM demo_fit f;
    SELECT count(*) INTO wrong FROM demo_fit f
    WHERE (cardinality(f.features) = p AND array_ndims(f.features) = 1 AND array_position(f.features, NULL) IS NULL
           AND f.label IN (0, 1)) IS NOT TRUE;
    IF wrong > 0 OR ones = 0 OR ones = n THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot fit a logistic regression to %s rows, of which %s have label 1 and %s are wrong', n, ones, wrong),
            HINT = 'Give arrays of as many features each, without NULL, and labels 0 and 1, both of them.';
    END IF;
    -- Features of mean 0 and variance 1 make the ridge mean the same for all.
    EXECUTE format('SELECT ARRAY[%s]::float8[], ARRAY[%s]::float8[] FROM demo_fit f',
            (SELECT string_agg(format('avg(f.features[%s])', j), ', ' ORDER BY j) FROM generate_series(1, p) AS j),
            (SELECT string_agg(format('coalesce(nullif(stddev_pop(f.features[%s]), 0), 1)', j), ', ' ORDER BY j) FROM generate_series(1, p) AS j))
        INTO means, spreads;
    EXECUTE format('CREATE TEMP TABLE demo_fit_row ON COMMIT DROP AS SELECT f.label::float8 AS y, 1::float8 AS x0%s FROM demo_fit f',
        (SELECT string_agg(format(', (f.features[%s] - %L::float8) / %L::float8 AS x%s', j, means[j], spreads[j], j), '' ORDER BY j)
         FROM generate_series(1, p) AS j));
    -- One scan an iteration: the gradient, and the upper half of the matrix.
    SELECT string_agg(format('r.x%s * $1[%s]', j, j + 1), ' + ' ORDER BY j) INTO score FROM generate_series(0, p) AS j;
    SELECT format('SELECT ARRAY[%s, %s] FROM (SELECT r.*, r.y - r.chance AS rest, r.chance * (1 - r.chance) AS weight
            FROM (SELECT r.*, 1 / (1 + exp(-greatest(least(%s, 500), -500))) AS chance FROM demo_fit_row r OFFSET 0) r OFFSET 0) r',
            (SELECT string_agg(format('sum(r.x%s * r.rest)', j), ', ' ORDER BY j) FROM generate_series(0, p) AS j),
            (SELECT string_agg(format('sum(r.x%s * r.x%s * r.weight)', i, j), ', ' ORDER BY i, j)
             FROM generate_series(0, p) AS i CROSS JOIN LATERAL generate_series(i, p) AS j),
            score)
        INTO query;
    b := array_fill(0::float8, ARRAY[p + 1]);
    LOOP
        steps := steps + 1;
        EXECUTE query INTO sums USING b;
        matrix := array_fill(0::float8, ARRAY[(p + 1) * (p + 1)]);
        at := p + 1;
        FOR i IN 0..p LOOP
            FOR j IN i..p LOOP
                at := at + 1;
                matrix[i * (p + 1) + j + 1] := sums[at];
                matrix[j * (p + 1) + i + 1] := sums[at];
            END LOOP;
            IF i > 0 THEN
                matrix[i * (p + 1) + i + 1] := matrix[i * (p + 1) + i + 1] + ridge;
                sums[i + 1] := sums[i + 1] - ridge * b[i + 1];
            END IF;
        END LOOP;
        step := iaros.demo_fit_solve(matrix, sums[1:p + 1]);
        b := ARRAY(SELECT u.old + u.more FROM unnest(b, step) WITH ORDINALITY AS u(old, more, no) ORDER BY u.no);
        -- The error after a step is about the square of that step.
        EXIT WHEN (SELECT max(abs(s)) FROM unnest(step) AS s) < 1e-5;
        IF steps = steps_max THEN
            RAISE EXCEPTION USING
                ERRCODE = 'data_exception',
                MESSAGE = format('the logistic regression does not converge in %s steps', steps_max),
                HINT = 'Where features tell the labels without error, there is no best fit; give a ridge.';
        END IF;
    END LOOP;
    DROP TABLE demo_fit, demo_fit_row;
    -- Back to the features as they are.
    FOR j IN 1..p LOOP
        b[j + 1] := b[j + 1] / spreads[j];
        b[1] := b[1] - b[j + 1] * means[j];
    END LOOP;
    RETURN ARRAY(SELECT iaros.demo_fit_round(u.x) FROM unnest(b) WITH ORDINALITY AS u(x, no) ORDER BY u.no);
END $$;
COMMENT ON FUNCTION @extschema@.demo_fit_logistic(text, float8) IS
'Fits a logistic regression and returns its coefficients, the intercept first, with six significant digits. source: a query of features float8[] and label 0 or 1, names with their schema; the same rows in the same order give the same coefficients. ridge: penalty on half the squared coefficients of the features, as if each had variance 1; the intercept has none. Iteratively reweighted least squares (Nelder and Wedderburn 1972), one scan an iteration. Errors: 22023 rows that are no features and labels or labels that are all the same, 22000 it does not converge, as where features tell the labels without error and ridge is 0, or features that are the same. O(rows features^2) an iteration, of which there are about 6.';

-- Kernel: models ----------------------------------------------------------

CREATE FUNCTION @extschema@.demo_model_list()
    RETURNS TABLE (model text, target text, days integer, classes integer, base integer, description text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 3
BEGIN ATOMIC
    SELECT m.*
    FROM (VALUES
        ('churn', 'churned', 180, 2, 0, 'Books nothing in the next 180 days (1) or something (0).'),
        ('propensity', 'books', 90, 2, 0, 'Books in the next 90 days (1) or not (0).'),
        ('next_best_offer', 'offer', 180, 8, 7, 'The offer, by its model_class, that fits what happens in the next 180 days.')
    ) AS m(model, target, days, classes, base, description);
END;
COMMENT ON FUNCTION @extschema@.demo_model_list() IS
'Returns the models that demo_models() makes: target, the field that is predicted; days, how far it looks ahead; classes 0 to classes - 1; base, the class whose coefficients are 0. No table is read.';

CREATE FUNCTION @extschema@.demo_model_inputs(model text)
    RETURNS TABLE (no integer, input text, form text)
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 16
BEGIN ATOMIC
    SELECT (row_number() OVER (ORDER BY i.no))::integer, i.input, i.form
    FROM (VALUES
        (1, 'booking_count', 'log', 'cpo'), (2, 'booking_count_12m', 'log', 'cp'),
        (3, 'booking_count_180d', 'log', 'cpo'), (4, 'booking_count_90d', 'log', 'cpo'),
        (5, 'booking_count_30d', 'log', 'cp'), (6, 'spend_12m', 'log', 'o'),
        (7, 'session_30d', 'log', 'cp'), (8, 'search_30d', 'log', 'cp'),
        (9, 'cart_abandoned_30d', 'log', 'o'), (10, 'email_open_90d', 'log', 'cp'),
        (11, 'touch_90d', 'log', 'cp'), (12, 'nps_score', 'value', 'cp'),
        (13, 'lead_days_avg', 'value', 'cpo'), (14, 'solo_share', 'value', 'cpo'),
        (15, 'party_size_avg', 'value', 'o'), (16, 'premium_share', 'value', 'cpo'),
        (17, 'seat_count', 'log', 'o'), (18, 'upgrade_count', 'log', 'o'),
        (19, 'ancillary_count', 'log', 'o'), (20, 'is_member', 'flag', 'o'),
        (21, 'corporate', 'flag', 'o'), (22, 'app_user', 'flag', 'cp')
    ) AS i(no, input, form, used)
    WHERE i.used ~ CASE demo_model_inputs.model
        WHEN 'churn' THEN 'c' WHEN 'propensity' THEN 'p' WHEN 'next_best_offer' THEN 'o' ELSE '^$' END;
END;
COMMENT ON FUNCTION @extschema@.demo_model_inputs(text) IS
'Returns the inputs of a model of demo_model_list(), columns of view profile, and the form in which it takes each: the value, log: ln(1 + value), flag: 1 when true. NULL and other models give no row. No table is read.';

CREATE FUNCTION @extschema@.demo_model_probabilities(features float8[], coefficients float8[], classes integer)
    RETURNS float8[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000
BEGIN ATOMIC
    SELECT array_agg(e.odds / e.total ORDER BY e.class)
    FROM (
        SELECT s.class, exp(s.score - s.highest) AS odds, sum(exp(s.score - s.highest)) OVER () AS total
        FROM (
            SELECT c.class, c.score, max(c.score) OVER () AS highest
            FROM (
                SELECT k AS class, coefficients[k * (cardinality(features) + 1) + 1]
                    + sum(f.x * coefficients[k * (cardinality(features) + 1) + 1 + f.no]) AS score
                FROM generate_series(0, classes - 1) AS k
                CROSS JOIN unnest(features) WITH ORDINALITY AS f(x, no)
                GROUP BY k
            ) c
        ) s
    ) e;
END;
COMMENT ON FUNCTION @extschema@.demo_model_probabilities(float8[], float8[], integer) IS
'Returns the probability of each class in plain SQL, as exp(score) over the sum of exp(score) of all classes; coefficients: those of each class one after the other, the intercept first. What demo_models() writes into the ModelVerification of a model. NULL for NULL. O(features classes).';

CREATE FUNCTION @extschema@.demo_model_pmml(
    model text,
    replacements float8[],
    coefficients float8[],
    verification jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000
    SET search_path = pg_catalog, pg_temp
    SET extra_float_digits = 1
    AS $$
DECLARE
    m record;
    p integer;
    inputs text;
    schema text;
    derived text;
    outputs text;
    tables text;
    fields text;
    lines text;
BEGIN
    SELECT l.* INTO STRICT m FROM iaros.demo_model_list() l WHERE l.model = demo_model_pmml.model;
    SELECT count(*),
        string_agg(CASE i.form WHEN 'flag' THEN format(E'    <DataField name="%s" optype="categorical" dataType="boolean"/>\n', i.input)
            ELSE format(E'    <DataField name="%s" optype="continuous" dataType="double"/>\n', i.input) END, '' ORDER BY i.no),
        string_agg(format(E'      <MiningField name="%s" missingValueReplacement="%s" missingValueTreatment="%s"/>\n', i.input,
            CASE i.form WHEN 'flag' THEN 'false' ELSE replacements[i.no]::text END,
            CASE i.form WHEN 'value' THEN 'asMean' ELSE 'asValue' END), '' ORDER BY i.no),
        string_agg(format(E'      <DerivedField name="log_%s" optype="continuous" dataType="double">\n        <Apply function="ln1p"><FieldRef field="%s"/></Apply>\n      </DerivedField>\n',
            i.input, i.input), '' ORDER BY i.no) FILTER (WHERE i.form = 'log'),
        string_agg(format(E'        <VerificationField field="%s" column="%s"/>\n', i.input, i.input), '' ORDER BY i.no)
    INTO p, inputs, schema, derived, fields
    FROM iaros.demo_model_inputs(model) i;
    SELECT string_agg(format(E'    <Value value="%s"/>\n', k), '' ORDER BY k),
        string_agg(format(E'      <OutputField name="probability_%s" optype="continuous" dataType="double" feature="probability" value="%s"/>\n', k, k), '' ORDER BY k),
        string_agg(format(E'    <RegressionTable intercept="%s" targetCategory="%s">\n%s    </RegressionTable>\n',
            coefficients[k * (p + 1) + 1], k, c.predictors), '' ORDER BY k),
        fields || string_agg(format(E'        <VerificationField field="probability_%s" column="probability_%s" precision="1E-9" zeroThreshold="1E-12"/>\n', k, k), '' ORDER BY k)
    INTO lines, outputs, tables, fields
    FROM generate_series(0, m.classes - 1) AS k
    CROSS JOIN LATERAL (
        SELECT string_agg(CASE i.form
                WHEN 'flag' THEN format(E'      <CategoricalPredictor name="%s" value="true" coefficient="%s"/>\n', i.input, w.coefficient)
                WHEN 'log' THEN format(E'      <NumericPredictor name="log_%s" coefficient="%s"/>\n', i.input, w.coefficient)
                ELSE format(E'      <NumericPredictor name="%s" coefficient="%s"/>\n', i.input, w.coefficient) END,
            '' ORDER BY i.form = 'flag', i.no) AS predictors
        FROM iaros.demo_model_inputs(model) i
        CROSS JOIN LATERAL (VALUES (coefficients[k * (p + 1) + 1 + i.no])) AS w(coefficient)
        WHERE k <> m.base
    ) c;
    inputs := inputs || format(E'    <DataField name="%s" optype="categorical" dataType="integer">\n%s    </DataField>\n',
        m.target, replace(lines, '    <Value', '      <Value'));
    -- A value that is missing has no cell.
    SELECT string_agg(format(E'          <row>%s</row>\n', c.cells), '' ORDER BY r.no) INTO lines
    FROM jsonb_array_elements(verification) WITH ORDINALITY AS r(line, no)
    CROSS JOIN LATERAL (
        SELECT string_agg(format('<%s>%s</%s>', e.key, e.value, e.key), '' ORDER BY e.key COLLATE "C") AS cells
        FROM jsonb_each_text(r.line) AS e WHERE e.value IS NOT NULL
    ) c;
    RETURN concat(E'<?xml version="1.0" encoding="UTF-8"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">\n',
        format(E'  <Header description="%s">\n    <Application name="iaros demo"/>\n  </Header>\n', m.description),
        format(E'  <DataDictionary>\n%s  </DataDictionary>\n', inputs),
        format(E'  <RegressionModel modelName="%s" functionName="classification" normalizationMethod="softmax">\n', model),
        format(E'    <MiningSchema>\n%s      <MiningField name="%s" usageType="target"/>\n    </MiningSchema>\n', schema, m.target),
        format(E'    <Output>\n%s      <OutputField name="predicted" optype="categorical" dataType="integer" feature="predictedValue"/>\n    </Output>\n', outputs),
        format(E'    <LocalTransformations>\n%s    </LocalTransformations>\n', derived),
        tables,
        format(E'    <ModelVerification recordCount="%s" fieldCount="%s">\n      <VerificationFields>\n%s      </VerificationFields>\n      <InlineTable>\n%s      </InlineTable>\n    </ModelVerification>\n',
            jsonb_array_length(verification), p + m.classes, fields, replace(lines, '          <row>', '        <row>')),
        E'  </RegressionModel>\n</PMML>\n');
END $$;
COMMENT ON FUNCTION @extschema@.demo_model_pmml(text, float8[], float8[], jsonb) IS
'Writes a model of demo_model_list() as PMML 4.4: a RegressionModel with softmax and a table for each class. replacements: for each input what a missing value counts as; coefficients as for demo_model_probabilities(); verification: rows of inputs and of probability_0, probability_1 ... NULL for NULL. Error: P0002 there is no such model.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.demo_model_outcome(model text, seed bigint, as_of date) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    m record;
    done bigint;
BEGIN
    SELECT l.* INTO STRICT m FROM iaros.demo_model_list() l WHERE l.model = demo_model_outcome.model;
    -- What was known of each customer, and what followed. A person stored
    -- twice is on one side of the split.
    EXECUTE format($q$
        CREATE TEMP TABLE demo_outcome ON COMMIT DROP AS
        WITH bought AS (
            SELECT coalesce(a.master_id, b.customer_id) AS customer_id, bool_or('upgrade' = ANY (i.kinds)) AS upgrade,
                bool_or('lounge' = ANY (i.kinds)) AS lounge, bool_or('legroom' = ANY (i.kinds)) AS legroom,
                bool_or(b.party_size >= 3 AND i.kinds && '{seat,bag,meal}') AS together
            FROM iaros.booking b
            LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
            LEFT JOIN (SELECT x.customer_id, x.booking_id, array_agg(x.kind) AS kinds
                       FROM iaros.booking_item x GROUP BY x.customer_id, x.booking_id) i
                ON i.customer_id = b.customer_id AND i.booking_id = b.booking_id
            WHERE iaros.booking_counts(b.status) AND b.booked_at > %1$L AND b.booked_at <= %2$L
            GROUP BY 1
        ), cart AS (
            SELECT DISTINCT coalesce(a.master_id, e.customer_id) AS customer_id
            FROM iaros.event e
            LEFT JOIN iaros.customer_alias a ON a.customer_id = e.customer_id
            WHERE e.kind = 'cart_abandoned' AND e.occurred_at > %1$L AND e.occurred_at <= %2$L
        )
        SELECT o.* FROM (
            SELECT p.customer_id, %3$s, t.persona, coalesce(t.dropped_out_on <= %1$L, false) AS gone,
                iaros.chance_int(coalesce(t.duplicate_of, t.customer_id), %4$L, 900, 5) = 0 AS held,
                iaros.churn_estimate(p.booking_count, p.first_booked_at, p.last_booked_at, %1$L) AS estimate,
                CASE WHEN t.dropped_out_on <= %1$L THEN 0 ELSE 1 - exp(-t.purchase_rate * %5$s / 365.25) END AS chance,
                CASE %6$L
                    WHEN 'churn' THEN (b.customer_id IS NULL)::integer
                    WHEN 'propensity' THEN (b.customer_id IS NOT NULL)::integer
                    ELSE CASE
                        WHEN b.upgrade THEN 4 WHEN b.lounge THEN 3 WHEN b.legroom THEN 5 WHEN b.together THEN 6
                        WHEN c.customer_id IS NOT NULL THEN 7
                        WHEN b.customer_id IS NOT NULL AND p.is_member THEN 0
                        WHEN b.customer_id IS NOT NULL AND p.booking_count <= 2 THEN 1
                        WHEN b.customer_id IS NULL AND p.booking_count_180d = 0 THEN 2 END
                END AS label
            FROM iaros.profile_at(%1$L) p
            JOIN iaros.demo_truth t ON t.customer_id = p.customer_id
            LEFT JOIN bought b ON b.customer_id = p.customer_id
            LEFT JOIN cart c ON c.customer_id = p.customer_id
            WHERE p.booking_count > 0
            OFFSET 0
        ) o
        WHERE o.label IS NOT NULL
        ORDER BY o.customer_id$q$,
        (as_of - m.days)::timestamptz, as_of::timestamptz,
        (SELECT string_agg(format('p.%I', i.input), ', ' ORDER BY i.no) FROM iaros.demo_model_inputs(model) i),
        seed, m.days, model);
    GET DIAGNOSTICS done = ROW_COUNT;
    ANALYZE demo_outcome;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.demo_model_outcome(text, bigint, date) IS
'For demo_models(): makes a temporary table with the inputs of a model as they were so many days before as_of, of all who had booked by then; the label, what followed until as_of; whether the customer is held out (a fifth of the persons, by seed); and, to compare with, churn_estimate(), the planted group, and the chance of a booking that who knows the planted rate and dropout would state.';

CREATE FUNCTION @extschema@.demo_model_fit(model text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET extra_float_digits = 1
    AS $$
DECLARE
    m record;
    p integer;
    features text;
    replacements float8[];
    coefficients float8[] := '{}';
    verification jsonb;
BEGIN
    SELECT l.* INTO STRICT m FROM iaros.demo_model_list() l WHERE l.model = demo_model_fit.model;
    p := (SELECT count(*) FROM iaros.demo_model_inputs(model));
    EXECUTE format('SELECT ARRAY[%s] FROM demo_outcome o WHERE NOT o.held',
            (SELECT string_agg(CASE i.form WHEN 'value' THEN format('iaros.demo_fit_round(avg(o.%I)::float8)', i.input) ELSE '0' END, ', ' ORDER BY i.no)
             FROM iaros.demo_model_inputs(model) i))
        INTO replacements;
    SELECT format('ARRAY[%s]', string_agg(format(CASE i.form
            WHEN 'flag' THEN 'coalesce(o.%I, false)::integer' WHEN 'log' THEN 'ln(1 + coalesce(o.%I, %L)::float8)'
            ELSE 'coalesce(o.%I::float8, %L)' END, i.input, replacements[i.no]), ', ' ORDER BY i.no))
    INTO features FROM iaros.demo_model_inputs(model) i;
    -- Each class beside the base, on the rows of these two: together they
    -- are the coefficients of the multinomial model (Begg and Gray 1984).
    FOR class IN 0..m.classes - 1 LOOP
        coefficients := coefficients || CASE WHEN class = m.base THEN array_fill(0::float8, ARRAY[p + 1])
            ELSE iaros.demo_fit_logistic(format('SELECT %1$s, (o.label = %2$s)::integer FROM demo_outcome o
                WHERE NOT o.held AND o.label IN (%2$s, %3$s) ORDER BY o.customer_id', features, class, m.base)) END;
    END LOOP;
    EXECUTE format($q$
        SELECT jsonb_agg(to_jsonb(r) || r.expected ORDER BY r.customer_id)
        FROM (
            SELECT %s, o.customer_id, (
                SELECT jsonb_object_agg('probability_' || u.no - 1, u.chance)
                FROM unnest(iaros.demo_model_probabilities(%s, $1, $2)) WITH ORDINALITY AS u(chance, no)) AS expected
            FROM demo_outcome o WHERE o.held ORDER BY o.customer_id LIMIT 8) r$q$,
            (SELECT string_agg(format('o.%I', i.input), ', ' ORDER BY i.no) FROM iaros.demo_model_inputs(model) i), features)
        INTO verification USING coefficients, m.classes;
    SELECT jsonb_agg(v.line - 'customer_id' - 'expected' ORDER BY v.no) INTO verification
    FROM jsonb_array_elements(verification) WITH ORDINALITY AS v(line, no);
    RETURN iaros.demo_model_pmml(model, replacements, coefficients, verification);
END $$;
COMMENT ON FUNCTION @extschema@.demo_model_fit(text) IS
'For demo_models(): fits a model to the customers of demo_model_outcome() who are not held out, and returns it as PMML. Errors: those of demo_fit_logistic().';

CREATE FUNCTION @extschema@.demo_models(seed bigint DEFAULT 1, as_of date DEFAULT current_date)
    RETURNS TABLE (model text, version integer, judged_by text, trained bigint, held_out bigint,
        score float8, rule float8, truth float8)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET work_mem = '256MB'
    SET max_parallel_workers_per_gather = 0
    SET jit = off
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    IF demo_models.seed IS NULL OR demo_models.as_of IS NULL OR NOT isfinite(demo_models.as_of) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot make models with seed "%s" as of "%s"', demo_models.seed, demo_models.as_of),
            HINT = 'Give any seed, and the day for which demo_generate() was asked.';
    END IF;
    IF NOT EXISTS (SELECT FROM iaros.demo_truth) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'there is no demo to make models of',
            HINT = 'SELECT * FROM iaros.demo_generate();';
    END IF;
    FOR model IN SELECT l.model FROM iaros.demo_model_list() l LOOP
        PERFORM iaros.demo_model_outcome(model, demo_models.seed, demo_models.as_of);
        SELECT count(*) FILTER (WHERE NOT o.held), count(*) FILTER (WHERE o.held) INTO trained, held_out FROM demo_outcome o;
        IF least(trained, held_out) = 0 THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('cannot make model "%s" of %s customers and try it on %s', model, trained, held_out),
                HINT = 'Give the as_of of demo_generate(), or generate more customers: some hundreds are enough.';
        END IF;
        version := iaros.model_import(model, iaros.demo_model_fit(model));
        CREATE TEMP TABLE demo_scored ON COMMIT DROP AS
        SELECT s.score, s.predicted::integer AS predicted, o.label, o.persona, o.gone, o.estimate, o.chance
        FROM iaros.model_scan(iaros.model_get(model), 'SELECT * FROM pg_temp.demo_outcome WHERE held') s
        JOIN demo_outcome o ON o.customer_id = s.id;
        CASE model
            WHEN 'churn' THEN
                judged_by := 'AUC, no booking in 180 days';
                SELECT iaros.demo_fit_auc(array_agg(s.score), array_agg(s.label = 1)),
                    iaros.demo_fit_auc(array_agg(s.estimate), array_agg(s.label = 1)),
                    iaros.demo_fit_auc(array_agg(-s.chance), array_agg(s.label = 1))
                INTO score, rule, truth FROM demo_scored s;
                RETURN NEXT;
                judged_by := 'AUC, dropped out';
                SELECT iaros.demo_fit_auc(array_agg(s.score), array_agg(s.gone)),
                    iaros.demo_fit_auc(array_agg(s.estimate), array_agg(s.gone)),
                    iaros.demo_fit_auc(array_agg(-s.chance), array_agg(s.gone))
                INTO score, rule, truth FROM demo_scored s;
            WHEN 'propensity' THEN
                judged_by := 'AUC, books in 90 days';
                SELECT iaros.demo_fit_auc(array_agg(s.score), array_agg(s.label = 1)),
                    iaros.demo_fit_auc(array_agg(-s.estimate), array_agg(s.label = 1)),
                    iaros.demo_fit_auc(array_agg(s.chance), array_agg(s.label = 1))
                INTO score, rule, truth FROM demo_scored s;
            ELSE
                judged_by := 'share of offers that fit';
                SELECT avg((s.predicted = s.label)::integer), avg((s.label = u.label)::integer), avg((s.label = g.label)::integer)
                INTO score, rule, truth
                FROM demo_scored s
                CROSS JOIN (SELECT mode() WITHIN GROUP (ORDER BY o.label) AS label FROM demo_outcome o WHERE NOT o.held) u
                LEFT JOIN (SELECT o.persona, mode() WITHIN GROUP (ORDER BY o.label) AS label
                           FROM demo_outcome o WHERE NOT o.held GROUP BY o.persona) g ON g.persona = s.persona;
        END CASE;
        RETURN NEXT;
        DROP TABLE demo_outcome, demo_scored;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.demo_models(bigint, date) IS
'Makes three models of the customers of demo_generate() and imports them: churn, propensity and next_best_offer (demo_model_list()). Each is fitted to what was known of four fifths of the persons some days before as_of, and to what they did until then; inputs are columns of view profile. Returns for each the version, the customers it was fitted to and those held out, and on the latter the score of the model (area under the ROC curve, or share of right offers), of a rule without model (churn_estimate(), or the offer that fits most often), and of who knows the truth that was planted (rate and dropout, or what fits the group most often). The same rows and arguments give the same PMML, which is then no new version. Writes an audit row for each new version. For the owner of the tables. Errors: 22023 NULL argument, too few customers or none who had booked before as_of, 55000 there is no demo. Linear in customers.';
