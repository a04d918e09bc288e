-- segment: fields and rules of segments, static and dynamic segments, who is
-- in them, and who came and went.

CREATE TYPE @extschema@.segment_kind AS ENUM ('static', 'dynamic');
COMMENT ON TYPE @extschema@.segment_kind IS
'How a segment gets its customers: static, by segment_member_add() and segment_member_remove(); dynamic, by its rule at each segment_refresh() and segment_apply().';

CREATE TYPE @extschema@.segment_field_kind AS ENUM ('number', 'text', 'boolean', 'time');
COMMENT ON TYPE @extschema@.segment_field_kind IS
'What a field of a rule holds; decides which operators and values fit.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_similarity(a text, b text)
    RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (
        WITH word AS (
            SELECT '  ' || lower(left(a, 64)) || ' ' AS a, '  ' || lower(left(b, 64)) || ' ' AS b),
        one AS (
            SELECT DISTINCT substr(w.a, i, 3) AS gram
            FROM word w CROSS JOIN generate_series(1, length(w.a) - 2) AS i),
        other AS (
            SELECT DISTINCT substr(w.b, i, 3) AS gram
            FROM word w CROSS JOIN generate_series(1, length(w.b) - 2) AS i)
        SELECT 2.0::double precision * count(o.gram)
               / (count(*) + (SELECT count(*) FROM other))
        FROM one LEFT JOIN other o ON o.gram = one.gram);
COMMENT ON FUNCTION @extschema@.segment_similarity(text, text) IS
'Returns how alike two names are, from 0 to 1: the share of three-letter pieces that they have in common (Dice coefficient), upper and lower case taken as one, the first 64 characters only. NULL gives NULL. For hints in errors.';

CREATE FUNCTION @extschema@.segment_ids_merge(
    current_ids bigint[],
    managed_ids bigint[],
    computed_ids bigint[])
    RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(
        SELECT i FROM unnest(current_ids) AS i WHERE i <> ALL (managed_ids)
        UNION
        SELECT i FROM unnest(computed_ids) AS i WHERE i = ANY (managed_ids)
        ORDER BY 1);
COMMENT ON FUNCTION @extschema@.segment_ids_merge(bigint[], bigint[], bigint[]) IS
'Returns the sorted segments of a customer after a refresh: of those the customer is in, the ones that the refresh does not manage; of those it manages, the computed ones. Applied to the newest row, so that no member added meanwhile is lost. NULL gives NULL.';

CREATE FUNCTION @extschema@.segment_operators(kind @extschema@.segment_field_kind)
    RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE kind
        WHEN 'number' THEN ARRAY['=', '!=', '>', '<', '>=', '<=', 'IN', 'BETWEEN']
        WHEN 'time' THEN ARRAY['=', '!=', '>', '<', '>=', '<=', 'BETWEEN']
        WHEN 'text' THEN ARRAY['=', '!=', 'IN', 'CONTAINS']
        ELSE ARRAY['=', '!=']
    END;
COMMENT ON FUNCTION @extschema@.segment_operators(@extschema@.segment_field_kind) IS
'Returns the operators that fit a kind of field. NULL gives NULL.';

-- Engine: rules -----------------------------------------------------------

CREATE FUNCTION @extschema@.segment_field_find(
    field text,
    place text,
    OUT kind @extschema@.segment_field_kind,
    OUT expression text,
    OUT choices text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    nearest text;
BEGIN
    PERFORM iaros.install_check();
    SELECT f.kind, f.expression, f.choices INTO kind, expression, choices
    FROM iaros.segment_field f
    WHERE lower(f.field) = lower(segment_field_find.field);
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT string_agg(format('"%s"', n.field), ', ' ORDER BY n.alike DESC, n.field) INTO nearest
    FROM (SELECT f.field, a.alike
          FROM iaros.segment_field f
          CROSS JOIN LATERAL (SELECT greatest(
              iaros.segment_similarity(f.field, segment_field_find.field),
              iaros.segment_similarity(split_part(f.field, '.', 2), segment_field_find.field)) AS alike) a
          WHERE a.alike >= 0.4
          ORDER BY a.alike DESC, f.field LIMIT 3) n;
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_object',
        MESSAGE = format('segment field "%s" does not exist', left(field, 64)),
        DETAIL = format('At %s.', place),
        HINT = coalesce('Nearest: ' || nearest || '.', 'List the fields with SELECT * FROM iaros.segment_field.');
END $$;
COMMENT ON FUNCTION @extschema@.segment_field_find(text, text) IS
'Returns kind, SQL expression and query of choices of a field of rules, upper and lower case taken as one. Error: 42704 no such field, with the nearest names as hint; place says where in the rule it stood.';

CREATE FUNCTION @extschema@.segment_choice(choices text, value text, place text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text := btrim(regexp_replace(lower(value), '[^[:alnum:]]+', ' ', 'g'));
    same text[];
    longer text[];
    nearest text;
    exact boolean;
BEGIN
    PERFORM iaros.install_check();
    EXECUTE format('SELECT EXISTS (SELECT FROM (%s) AS q(choice) WHERE q.choice::text = $1)', choices)
        INTO exact USING value;
    IF exact THEN
        RETURN value;
    END IF;
    EXECUTE format(
        'SELECT array_agg(DISTINCT c.choice) FILTER (WHERE w.words = $1),
                array_agg(DISTINCT c.choice) FILTER (WHERE starts_with(w.words, $1 || '' ''))
         FROM (SELECT q.choice::text FROM (%s) AS q(choice)) c
         CROSS JOIN LATERAL (SELECT btrim(regexp_replace(lower(c.choice), ''[^[:alnum:]]+'', '' '', ''g''))) w(words)',
        choices)
        INTO same, longer USING wanted;
    IF cardinality(coalesce(same, longer)) = 1 THEN
        RETURN (coalesce(same, longer))[1];
    END IF;
    EXECUTE format(
        'SELECT string_agg(quote_ident(n.choice), '', '' ORDER BY n.choice)
         FROM (SELECT l.choice::text AS choice FROM (%s) AS l(choice)
               ORDER BY iaros.segment_similarity(l.choice::text, $1) DESC, 1 LIMIT 3) n', choices)
        INTO nearest USING value;
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('"%s" is not a value of this field', left(value, 64)),
        DETAIL = format('At %s.', place),
        HINT = coalesce('Nearest: ' || nearest || '.', 'The field has no values yet.');
END $$;
COMMENT ON FUNCTION @extschema@.segment_choice(text, text, text) IS
'Returns the value of a field with a fixed list that a rule means: the one that is equal when case, spaces and punctuation are left out (BUSINESS is business), or the only one that begins with these words (Loyal is Loyal Customers). choices is the query of the field. Error: 22023 no such value, or several, with the nearest as hint.';

CREATE FUNCTION @extschema@.segment_value_sql(
    kind @extschema@.segment_field_kind,
    choices text,
    value jsonb,
    place text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    given text := value #>> '{}';
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(value) IS DISTINCT FROM (CASE kind
        WHEN 'number' THEN 'number' WHEN 'boolean' THEN 'boolean' ELSE 'string' END) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('field of kind %s cannot be compared with %s', kind,
                             left(coalesce(value::text, 'nothing'), 64)),
            DETAIL = format('At %s.', place),
            HINT = CASE kind
                WHEN 'number' THEN 'Give a number without quotes.'
                WHEN 'boolean' THEN 'Give true or false without quotes.'
                WHEN 'time' THEN 'Give a day or a time in quotes: "2026-01-31".'
                ELSE 'Give a text in quotes.' END;
    END IF;
    IF kind = 'number' THEN
        IF abs(given::numeric) >= 1e15 THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('number "%s" is too large', left(given, 64)),
                DETAIL = format('At %s.', place),
                HINT = 'Numbers of rules are between -1e15 and 1e15.';
        END IF;
        -- Whole numbers as such: integer columns are then compared fast.
        RETURN format('%L::%s', given, CASE WHEN given ~ '^-?[0-9]{1,9}$' THEN 'integer' ELSE 'numeric' END);
    ELSIF kind = 'boolean' THEN
        RETURN given;
    ELSIF choices IS NOT NULL THEN
        RETURN format('%L::text', iaros.segment_choice(choices, given, place));
    END IF;
    RETURN format('%L::text', lower(given));
END $$;
COMMENT ON FUNCTION @extschema@.segment_value_sql(@extschema@.segment_field_kind, text, jsonb, text) IS
'Returns a value of a rule as a quoted SQL literal with its type: texts in lower case, or as their list has them. Error: 22023 value whose JSON type does not fit the kind of the field, number of 1e15 or beyond.';

CREATE FUNCTION @extschema@.segment_time_bounds(
    value jsonb,
    place text,
    OUT from_time text,
    OUT to_time text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    given text := value #>> '{}';
    zone text;
    low timestamptz;
    high timestamptz;
    form text := 'YYYY-MM-DD HH24:MI:SS.US"+00"';
BEGIN
    PERFORM iaros.install_check();
    zone := iaros.setting_get('brand_time_zone');
    BEGIN
        IF jsonb_typeof(value) = 'string' AND given ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN
            low := given::timestamp AT TIME ZONE zone;
            high := (given::timestamp + interval '1 day') AT TIME ZONE zone;
        ELSIF jsonb_typeof(value) = 'string'
            AND given ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$' THEN
            low := CASE WHEN given ~ '(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' THEN given::timestamptz ELSE given::timestamp AT TIME ZONE zone END;
            high := low;
        END IF;
    EXCEPTION WHEN data_exception THEN
        low := NULL;
    END;
    IF low IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s is not a day or a time', left(coalesce(value::text, 'nothing'), 64)),
            DETAIL = format('At %s.', place),
            HINT = 'Give a day or a time of ISO 8601 in quotes: "2026-01-31", "2026-01-31T12:00:00Z".';
    END IF;
    from_time := format('%L::timestamptz', to_char(low AT TIME ZONE 'UTC', form));
    to_time := format('%L::timestamptz', to_char(high AT TIME ZONE 'UTC', form));
END $$;
COMMENT ON FUNCTION @extschema@.segment_time_bounds(jsonb, text) IS
'Returns a day of a rule as two SQL literals, its first moment and that of the next day in brand_time_zone; a time as twice the same. Times without an offset are taken in brand_time_zone. Error: 22023 text that is no day and no time.';

CREATE FUNCTION @extschema@.segment_time_sql(
    expression text,
    operator text,
    value jsonb,
    place text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    low record;
    high record;
BEGIN
    PERFORM iaros.install_check();
    low := iaros.segment_time_bounds(CASE WHEN operator = 'BETWEEN' THEN value -> 0 ELSE value END, place);
    high := CASE WHEN operator = 'BETWEEN' THEN iaros.segment_time_bounds(value -> 1, place) ELSE low END;
    -- A moment has no width: it is compared as it is.
    IF low.from_time = high.to_time THEN
        RETURN format('%s %s %s', expression, CASE operator WHEN 'BETWEEN' THEN '=' ELSE operator END, low.from_time);
    END IF;
    RETURN CASE operator
        WHEN '<' THEN format('%s < %s', expression, low.from_time)
        WHEN '>=' THEN format('%s >= %s', expression, low.from_time)
        WHEN '<=' THEN format('%s < %s', expression, high.to_time)
        WHEN '>' THEN format('%s >= %s', expression, high.to_time)
        WHEN '!=' THEN format('(%1$s < %2$s OR %1$s >= %3$s)', expression, low.from_time, high.to_time)
        ELSE format('(%1$s >= %2$s AND %1$s %4$s %3$s)', expression, low.from_time, high.to_time,
                    CASE WHEN high.from_time = high.to_time THEN '<=' ELSE '<' END)
    END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_time_sql(text, text, jsonb, text) IS
'Returns the SQL condition of a rule on a time. A day is compared as a whole: "<= 2026-01-31" holds until the end of that day. Errors: those of segment_time_bounds.';

CREATE FUNCTION @extschema@.segment_condition_sql(rule jsonb, place text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    operator text;
    value jsonb := rule -> 'value';
    literals text[];
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(rule -> 'field') IS DISTINCT FROM 'string'
        OR jsonb_typeof(rule -> 'operator') IS DISTINCT FROM 'string' OR value IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a condition needs "field" and "operator" as texts, and "value"',
            DETAIL = format('At %s: %s.', place, left(rule::text, 200)),
            HINT = 'Example: {"field": "customer.totalSpend", "operator": ">=", "value": 5000}.';
    END IF;
    f := iaros.segment_field_find(rule ->> 'field', place);
    operator := upper(rule ->> 'operator');
    IF operator <> ALL (iaros.segment_operators(f.kind)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN operator IN ('=', '!=', '>', '<', '>=', '<=', 'IN', 'BETWEEN', 'CONTAINS')
                THEN format('operator "%s" does not fit field "%s" of kind %s', operator, rule ->> 'field', f.kind)
                ELSE format('operator "%s" does not exist', left(operator, 64)) END,
            DETAIL = format('At %s.', place),
            HINT = format('It takes one of: %s.', array_to_string(iaros.segment_operators(f.kind), ' '));
    END IF;
    IF value = 'null' AND operator IN ('=', '!=') THEN
        RETURN format('%s IS %sNULL', f.expression, CASE operator WHEN '!=' THEN 'NOT ' END);
    END IF;
    IF (operator = 'BETWEEN' AND (jsonb_typeof(value) <> 'array' OR jsonb_array_length(value) <> 2))
        OR (operator = 'IN' AND (jsonb_typeof(value) <> 'array' OR jsonb_array_length(value) = 0)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('operator "%s" cannot take %s', operator, left(value::text, 64)),
            DETAIL = format('At %s.', place),
            HINT = CASE operator WHEN 'IN' THEN 'Give an array of at least one value.'
                ELSE 'Give an array of two values, the lower one first.' END;
    END IF;
    IF operator = 'IN' AND jsonb_array_length(value) > 1000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = format('list of %s values is longer than 1000', jsonb_array_length(value)),
            DETAIL = format('At %s.', place),
            HINT = 'Lists of customers belong into a static segment.';
    END IF;
    IF f.kind = 'time' THEN
        RETURN iaros.segment_time_sql(f.expression, operator, value, place);
    END IF;
    IF operator = 'CONTAINS' THEN
        RETURN format('strpos(lower(%s), %s) > 0', f.expression,
                      iaros.segment_value_sql(f.kind, NULL, value, place));
    END IF;
    IF operator IN ('IN', 'BETWEEN') THEN
        literals := ARRAY(SELECT iaros.segment_value_sql(f.kind, f.choices, v.value, place)
                          FROM jsonb_array_elements(value) WITH ORDINALITY AS v(value, n) ORDER BY v.n);
    ELSE
        literals := ARRAY[iaros.segment_value_sql(f.kind, f.choices, value, place)];
    END IF;
    IF operator = 'BETWEEN' AND (value ->> 0)::numeric > (value ->> 1)::numeric THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('nothing is between %s and %s', left(value ->> 0, 64), left(value ->> 1, 64)),
            DETAIL = format('At %s.', place),
            HINT = 'Give the lower value first.';
    END IF;
    RETURN format(CASE operator WHEN 'IN' THEN '%s IN (%s)' WHEN 'BETWEEN' THEN '%s BETWEEN %s'
                      ELSE '%s ' || operator || ' %s' END,
        CASE WHEN f.kind = 'text' AND f.choices IS NULL THEN format('lower(%s)', f.expression) ELSE f.expression END,
        array_to_string(literals, CASE operator WHEN 'BETWEEN' THEN ' AND ' ELSE ', ' END));
END $$;
COMMENT ON FUNCTION @extschema@.segment_condition_sql(jsonb, text) IS
'Returns the SQL of one condition of a rule, {field, operator, value}; every value becomes a quoted literal of a type. place names it in errors. Errors: 42704 field that does not exist, 22023 operator or value that does not fit it, 54000 list of more than 1000 values.';

CREATE FUNCTION @extschema@.segment_node_sql(rule jsonb, place text, depth integer)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    logic text;
    is_group boolean := rule ? 'rules' OR rule ? 'logic';
    stray text;
BEGIN
    PERFORM iaros.install_check();
    IF depth > 20 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = 'rule has more than 20 levels',
            DETAIL = format('At %s.', place),
            HINT = 'Groups of the same logic can be one group.';
    END IF;
    IF jsonb_typeof(rule) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a rule must be a JSON object, not %s', coalesce(jsonb_typeof(rule), 'nothing')),
            DETAIL = format('At %s.', place),
            HINT = 'Give {"logic": "AND", "rules": [...]} or {"field": ..., "operator": ..., "value": ...}.';
    END IF;
    SELECT min(k) INTO stray FROM jsonb_object_keys(rule) AS k
    WHERE k <> ALL (CASE WHEN is_group THEN ARRAY['logic', 'rules'] ELSE ARRAY['field', 'operator', 'value'] END);
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('key "%s" has no place in a %s', left(stray, 64),
                             CASE WHEN is_group THEN 'group' ELSE 'condition' END),
            DETAIL = format('At %s.', place),
            HINT = CASE WHEN is_group THEN 'A group has the keys logic and rules.'
                ELSE 'A condition has the keys field, operator and value.' END;
    END IF;
    IF NOT is_group THEN
        RETURN iaros.segment_condition_sql(rule, place);
    END IF;
    logic := upper(CASE WHEN jsonb_typeof(rule -> 'logic') = 'string' THEN rule ->> 'logic' END);
    IF logic IS NULL OR logic NOT IN ('AND', 'OR') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('logic must be "AND" or "OR", not %s', left(coalesce((rule -> 'logic')::text, 'nothing'), 64)),
            DETAIL = format('At %s.', place),
            HINT = 'Nest groups to combine both.';
    END IF;
    IF jsonb_typeof(rule -> 'rules') IS DISTINCT FROM 'array' OR rule -> 'rules' = '[]' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('rules must be an array of at least one rule, not %s',
                             left(coalesce((rule -> 'rules')::text, 'nothing'), 64)),
            DETAIL = format('At %s.', place),
            HINT = 'A group without rules would hold for everybody.';
    END IF;
    RETURN '(' || (
        SELECT string_agg(iaros.segment_node_sql(r.rule,
                   concat_ws('.', nullif(place, 'the top'), format('rules[%s]', r.n - 1)), depth + 1),
               format(' %s ', logic) ORDER BY r.n)
        FROM jsonb_array_elements(rule -> 'rules') WITH ORDINALITY AS r(rule, n)) || ')';
END $$;
COMMENT ON FUNCTION @extschema@.segment_node_sql(jsonb, text, integer) IS
'Returns the SQL of a group {logic, rules} or a condition of a rule, at a depth from 1. Errors: 54000 more than 20 levels, 22023 wrong shape, and those of segment_condition_sql.';

CREATE FUNCTION @extschema@.segment_rule_sql(rule jsonb) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF octet_length(rule::text) > 65536 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = format('rule of %s bytes is larger than 65536', octet_length(rule::text)),
            HINT = 'Lists of customers belong into a static segment.';
    END IF;
    RETURN iaros.segment_node_sql(rule, 'the top', 1);
END $$;
COMMENT ON FUNCTION @extschema@.segment_rule_sql(jsonb) IS
'Returns the condition of a rule as SQL text over the tables of segment_source_sql(). A rule is {"logic": "AND" or "OR", "rules": [rules ...]} or {"field": ..., "operator": ..., "value": ...}; see docs/segment.md. A condition on something that is not known of a customer does not hold, also not with !=; = null and != null ask for that. NULL gives NULL. Errors: 42704 field, 22023 shape, operator or value, 54000 more than 20 levels, 64 kB, or 1000 values in a list.';

CREATE FUNCTION @extschema@.segment_source_sql(as_of timestamptz DEFAULT now())
    RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- Left joins: the planner drops the tables that no rule asks for, but
    -- does not see that a partial index is unique: hence DISTINCT ON.
    RETURN format('FROM iaros.profile_at(%1$L) p
LEFT JOIN iaros.customer c ON c.customer_id = p.customer_id
LEFT JOIN iaros.customer_rfm r ON r.customer_id = p.customer_id
LEFT JOIN (SELECT DISTINCT ON (l.customer_id) l.customer_id, l.stage, l.entered_at FROM iaros.customer_lifecycle_stage l
    WHERE l.scheme = ''standard'' AND l.exited_at IS NULL) ls ON ls.customer_id = p.customer_id
LEFT JOIN (SELECT DISTINCT ON (l.customer_id) l.customer_id, l.stage, l.entered_at FROM iaros.customer_lifecycle_stage l
    WHERE l.scheme = ''clm'' AND l.exited_at IS NULL) lc ON lc.customer_id = p.customer_id
LEFT JOIN iaros.customer_value_segment v ON v.customer_id = p.customer_id AND v.scheme = ''scaled''
CROSS JOIN (VALUES (%1$L::timestamptz)) AS n(as_of)', to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"+00"'));
END $$;
COMMENT ON FUNCTION @extschema@.segment_source_sql(timestamptz) IS
'Returns the FROM clause that the conditions of segment_rule_sql() and the expressions of segment_field stand over: profile p, customer c, customer_rfm r, the stages ls (scheme standard) and lc (scheme clm) of customer_lifecycle_stage that still hold, customer_value_segment v (scheme scaled), and n.as_of, the time of the question. NULL gives NULL.';

CREATE FUNCTION @extschema@.segment_compile(planned boolean DEFAULT true)
    RETURNS TABLE (segment_id bigint, condition text, error text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    s record;
    source text := iaros.segment_source_sql();
BEGIN
    FOR s IN SELECT g.segment_id, g.rule, g.enabled FROM iaros.segment g
             WHERE g.kind = 'dynamic' ORDER BY g.segment_id LOOP
        segment_id := s.segment_id;
        condition := NULL;
        error := NULL;
        IF s.enabled THEN
            BEGIN
                condition := iaros.segment_rule_sql(s.rule);
                -- Planned alone, so that one bad field does not stop them all.
                IF planned THEN
                    EXECUTE format('SELECT %s WHERE %s LIMIT 0', source, condition);
                END IF;
            EXCEPTION
                WHEN insufficient_privilege THEN
                    -- The rights of the caller say nothing about the rule.
                    IF condition IS NULL THEN
                        RAISE;
                    END IF;
                WHEN OTHERS THEN
                    condition := NULL;
                    GET STACKED DIAGNOSTICS error = MESSAGE_TEXT;
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.segment_compile(boolean) IS
'Returns each dynamic segment with the SQL of its rule, or with the error that the rule has now (a field was taken away since, its expression cannot be planned); neither for a segment that is not enabled. planned false (or NULL): the rules are not planned, which takes a tenth of the time and finds only errors of the rules themselves.';

CREATE FUNCTION @extschema@.segment_scan_sql(as_of timestamptz DEFAULT now())
    RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN format('SELECT p.customer_id, array_remove(ARRAY[%s]::bigint[], NULL) AS segment_ids
%s',
        (SELECT string_agg(format('CASE WHEN %s THEN %s END', s.condition, s.segment_id), E',\n    ' ORDER BY s.segment_id)
         FROM iaros.segment_compile() s WHERE s.condition IS NOT NULL),
        iaros.segment_source_sql(as_of));
END $$;
COMMENT ON FUNCTION @extschema@.segment_scan_sql(timestamptz) IS
'Returns the one query that gives for each customer the sorted array of the enabled dynamic segments whose rule holds, in one scan of profile. NULL gives NULL.';

CREATE FUNCTION @extschema@.segment_rule_check() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.segment_rule_sql(NEW.rule);
    NEW.updated_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.segment_rule_check() IS
'Trigger of segment: refuses a rule that segment_rule_sql() refuses.';

-- Engine: segments --------------------------------------------------------

CREATE FUNCTION @extschema@.segment_find(segment text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
    nearest text;
BEGIN
    PERFORM iaros.install_check();
    SELECT s.segment_id INTO id FROM iaros.segment s
    WHERE lower(s.name) = lower(segment) OR s.segment_id::text = segment;
    IF FOUND THEN
        RETURN id;
    END IF;
    SELECT string_agg(format('"%s"', n.name), ', ' ORDER BY n.alike DESC, n.name) INTO nearest
    FROM (SELECT s.name, iaros.segment_similarity(s.name, segment) AS alike
          FROM iaros.segment s
          WHERE iaros.segment_similarity(s.name, segment) >= 0.3
          ORDER BY 2 DESC, 1 LIMIT 3) n;
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_object',
        MESSAGE = format('segment "%s" does not exist', left(segment, 64)),
        HINT = coalesce('Nearest: ' || nearest || '.', 'List the segments with SELECT * FROM iaros.segment_list().');
END $$;
COMMENT ON FUNCTION @extschema@.segment_find(text) IS
'Returns the segment_id of a segment given by its name (upper and lower case taken as one) or by its segment_id as text. Error: 42704 no such segment, with the nearest names as hint.';

CREATE FUNCTION @extschema@.segment_create(
    name text,
    rule jsonb DEFAULT NULL,
    description text DEFAULT NULL,
    suggested_action text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    IF segment_create.name !~ '^[^[:space:]](.{0,98}[^[:space:]])?$' OR segment_create.name ~ '^[0-9]+$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('"%s" cannot be the name of a segment', left(segment_create.name, 100)),
            DETAIL = 'A name has 1 to 100 characters, no space at its ends, and is not a number.',
            HINT = 'Say who is in it: Family Travelers.';
    END IF;
    INSERT INTO iaros.segment (name, kind, rule, description, suggested_action)
    VALUES (segment_create.name,
            CASE WHEN segment_create.rule IS NULL THEN 'static' ELSE 'dynamic' END::iaros.segment_kind,
            segment_create.rule, segment_create.description, segment_create.suggested_action)
    RETURNING segment_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_create(text, jsonb, text, text) IS
'Makes a segment and returns its segment_id: dynamic with a rule, static without. A dynamic segment has customers from the next segment_refresh() on. Errors: 23505 name is taken, 23514 name that is empty, longer than 100 characters or a number, and those of segment_rule_sql.';

CREATE FUNCTION @extschema@.segment_list()
    RETURNS TABLE (segment_id bigint, name text, kind @extschema@.segment_kind, enabled boolean, customers bigint, description text, suggested_action text, rule jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT s.segment_id, s.name, s.kind, s.enabled, coalesce(n.customers, 0),
            s.description, s.suggested_action, s.rule
        FROM iaros.segment s
        LEFT JOIN (
            SELECT i.id, count(DISTINCT coalesce(a.master_id, m.customer_id)) AS customers
            FROM iaros.segment_membership m
            LEFT JOIN iaros.customer_alias a ON a.customer_id = m.customer_id
            CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
            GROUP BY i.id) n ON n.id = s.segment_id
        ORDER BY s.segment_id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_list() IS
'Returns the segments with the number of customers in each (an alias and its master are one). One scan of segment_membership.';

CREATE FUNCTION @extschema@.segment_customers(segment text)
    RETURNS TABLE (customer_id bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    id := iaros.segment_find(segment);
    RETURN QUERY
        SELECT DISTINCT coalesce(a.master_id, m.customer_id)
        FROM iaros.segment_membership m
        LEFT JOIN iaros.customer_alias a ON a.customer_id = m.customer_id
        WHERE m.segment_ids @> ARRAY[id];
END $$;
COMMENT ON FUNCTION @extschema@.segment_customers(text) IS
'Returns the customers in a segment, given by name or segment_id, in no order; aliases as their master. Error: 42704 no such segment. Reads by index.';

CREATE FUNCTION @extschema@.customer_segments(customer_id bigint)
    RETURNS TABLE (segment_id bigint, name text, kind @extschema@.segment_kind, since timestamptz, suggested_action text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    ids := ARRAY(SELECT iaros.customer_ids(customer_segments.customer_id));
    RETURN QUERY
        SELECT s.segment_id, s.name, s.kind,
            (SELECT max(e.at) FROM iaros.segment_event e
             WHERE e.customer_id = ANY (ids) AND e.segment_id = s.segment_id AND e.entered),
            s.suggested_action
        FROM iaros.segment s
        WHERE s.segment_id IN (
            SELECT unnest(m.segment_ids) FROM iaros.segment_membership m WHERE m.customer_id = ANY (ids))
        ORDER BY s.segment_id;
END $$;
COMMENT ON FUNCTION @extschema@.customer_segments(bigint) IS
'Returns the segments that a customer, or a customer that is an alias of it, is in, and since when. No row for NULL or an unknown customer. Reads by index.';

CREATE FUNCTION @extschema@.segment_static(segment text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    id := iaros.segment_find(segment);
    IF EXISTS (SELECT FROM iaros.segment s WHERE s.segment_id = id AND s.kind <> 'static') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('segment "%s" is dynamic', segment),
            DETAIL = 'Its rule decides who is in it.',
            HINT = 'Change the rule, or make a static segment with segment_create().';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_static(text) IS
'Returns the segment_id of a static segment. Errors: 42704 no such segment, 22023 the segment is dynamic.';

CREATE FUNCTION @extschema@.segment_member_add(
    segment text,
    customer_ids bigint[],
    at timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
    missing bigint;
    added bigint;
BEGIN
    PERFORM iaros.install_check();
    id := iaros.segment_static(segment);
    SELECT min(i) INTO missing FROM unnest(customer_ids) AS i
    WHERE NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = i);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('customer %s does not exist', missing),
            HINT = 'Make the customer first with customer_create().';
    END IF;
    WITH wanted AS (
        SELECT DISTINCT coalesce(a.master_id, i) AS customer_id
        FROM unnest(customer_ids) AS i
        LEFT JOIN iaros.customer_alias a ON a.customer_id = i),
    written AS (
        INSERT INTO iaros.segment_membership AS m (customer_id, segment_ids)
        SELECT w.customer_id, ARRAY[id] FROM wanted w
        WHERE w.customer_id IS NOT NULL ORDER BY w.customer_id
        ON CONFLICT (customer_id) DO UPDATE
            SET segment_ids = iaros.segment_ids_merge(m.segment_ids, ARRAY[id], ARRAY[id]), updated_at = now()
            WHERE NOT m.segment_ids @> ARRAY[id]
        RETURNING m.customer_id),
    noted AS (
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered)
        SELECT w.customer_id, segment_member_add.at, id, true FROM written w)
    SELECT count(*) INTO added FROM written;
    RETURN added;
END $$;
COMMENT ON FUNCTION @extschema@.segment_member_add(text, bigint[], timestamptz) IS
'Puts customers into a static segment (aliases as their master) and returns how many were not in it before; each leaves a row in segment_event. NULL gives NULL. Errors: 42704 no such segment, 22023 the segment is dynamic, 23503 a customer that does not exist.';

CREATE FUNCTION @extschema@.segment_member_remove(
    segment text,
    customer_ids bigint[],
    at timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
    stored bigint[];
    removed bigint;
BEGIN
    PERFORM iaros.install_check();
    id := iaros.segment_static(segment);
    -- The person may be in the segment under any of its ids.
    stored := ARRAY(
        WITH master AS (
            SELECT DISTINCT coalesce(a.master_id, i) AS master_id
            FROM unnest(customer_ids) AS i
            LEFT JOIN iaros.customer_alias a ON a.customer_id = i)
        SELECT m.master_id FROM master m
        UNION
        SELECT a.customer_id FROM iaros.customer_alias a JOIN master m ON m.master_id = a.master_id);
    PERFORM FROM iaros.segment_membership m
    WHERE m.customer_id = ANY (stored)
    ORDER BY m.customer_id FOR UPDATE;
    WITH written AS (
        UPDATE iaros.segment_membership m
        SET segment_ids = iaros.segment_ids_merge(m.segment_ids, ARRAY[id], '{}'), updated_at = now()
        WHERE m.customer_id = ANY (stored) AND m.segment_ids @> ARRAY[id]
        RETURNING m.customer_id),
    noted AS (
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered)
        SELECT w.customer_id, segment_member_remove.at, id, false FROM written w)
    SELECT count(*) INTO removed FROM written;
    RETURN removed;
END $$;
COMMENT ON FUNCTION @extschema@.segment_member_remove(text, bigint[], timestamptz) IS
'Takes customers, under whichever id they are in it, out of a static segment and returns how many rows that changed; each leaves a row in segment_event. NULL gives NULL. Errors: 42704 no such segment, 22023 the segment is dynamic.';

CREATE FUNCTION @extschema@.segment_write(customer_ids bigint[], as_of timestamptz, planned boolean) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    managed bigint[];
    cases text;
    errors jsonb;
    stored_ids bigint[];
    changed bigint;
BEGIN
    PERFORM iaros.install_check();
    -- A segment whose rule is broken is not managed: its customers stay.
    SELECT coalesce(array_agg(k.segment_id) FILTER (WHERE k.error IS NULL), '{}'),
           string_agg(format('CASE WHEN %s THEN %s END', k.condition, k.segment_id), ', ' ORDER BY k.segment_id)
               FILTER (WHERE k.condition IS NOT NULL),
           coalesce(jsonb_object_agg(k.segment_id, k.error) FILTER (WHERE k.error IS NOT NULL), '{}')
    INTO managed, cases, errors
    FROM iaros.segment_compile(planned) k;
    IF customer_ids IS NULL THEN
        PERFORM iaros.alert_raise('segment_rule', 'error', s.name,
            format('the rule of segment "%s" cannot be computed: %s', s.name, errors ->> s.segment_id::text))
        FROM iaros.segment s WHERE errors ? s.segment_id::text ORDER BY s.segment_id;
    ELSE
        stored_ids := customer_ids || ARRAY(
            SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (customer_ids));
    END IF;
    EXECUTE format($q$
        WITH computed AS (
            SELECT p.customer_id, array_remove(ARRAY[%s]::bigint[], NULL) AS segment_ids %s %s),
        changed AS MATERIALIZED (
            SELECT customer_id, coalesce(m.segment_ids, '{}') AS before_ids,
                coalesce(x.segment_ids, '{}') AS computed_ids
            FROM computed x
            FULL JOIN (SELECT * FROM iaros.segment_membership p %s) m USING (customer_id)
            WHERE coalesce(m.segment_ids, '{}') <> coalesce(x.segment_ids, '{}')
              AND iaros.segment_ids_merge(coalesce(m.segment_ids, '{}'), $1, coalesce(x.segment_ids, '{}'))
                  <> coalesce(m.segment_ids, '{}')),
        written AS (
            INSERT INTO iaros.segment_membership AS m (customer_id, segment_ids)
            SELECT w.customer_id, iaros.segment_ids_merge(w.before_ids, $1, w.computed_ids)
            FROM changed w ORDER BY w.customer_id
            ON CONFLICT (customer_id) DO UPDATE
                SET segment_ids = iaros.segment_ids_merge(m.segment_ids, $1, excluded.segment_ids),
                    updated_at = now()),
        noted AS (
            INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered)
            SELECT w.customer_id, $2, i.id, true
            FROM changed w CROSS JOIN LATERAL unnest(w.computed_ids) AS i(id)
            WHERE i.id <> ALL (w.before_ids)
            UNION ALL
            SELECT w.customer_id, $2, i.id, false
            FROM changed w CROSS JOIN LATERAL unnest(w.before_ids) AS i(id)
            WHERE i.id = ANY ($1) AND i.id <> ALL (w.computed_ids))
        SELECT count(*) FROM changed$q$, cases, iaros.segment_source_sql(as_of),
        CASE WHEN customer_ids IS NOT NULL THEN 'WHERE p.customer_id = ANY ($3)' END,
        CASE WHEN customer_ids IS NOT NULL THEN 'WHERE p.customer_id = ANY ($3)' END)
        INTO changed USING managed, as_of, stored_ids;
    RETURN changed;
END $$;
COMMENT ON FUNCTION @extschema@.segment_write(bigint[], timestamptz, boolean) IS
'Brings segment_membership, of the customers given and their aliases or of all when the array is NULL, to what the rules of the enabled dynamic segments say as of a time, notes who entered or left in segment_event, and returns for how many customers something changed. planned as in segment_compile(); alerts about broken rules are raised only for all. For segment_refresh() and segment_apply(), which lock.';

CREATE FUNCTION @extschema@.segment_refresh(as_of timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- One refresh at a time: the next one starts from what this one wrote.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.segment_refresh', 0));
    RETURN iaros.segment_write(NULL, as_of, true);
END $$;
COMMENT ON FUNCTION @extschema@.segment_refresh(timestamptz) IS
'Computes all dynamic segments in one scan of profile, writes segment_membership and a row of segment_event for each customer that entered or left, and returns for how many customers something changed. Customers leave a segment that is no longer enabled; those of a segment whose rule has an error stay, and an alert (kind segment_rule) is raised. Static segments are not touched. A second refresh waits for the first, and for calls of segment_apply(). NULL gives NULL.';

CREATE FUNCTION @extschema@.segment_apply(customer_ids bigint[], as_of timestamptz DEFAULT now()) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    until timestamptz := as_of;
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    -- Beside other calls for other customers, but not beside a refresh.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.segment_refresh', 0));
    ids := ARRAY(
        SELECT u.id FROM unnest(customer_ids) AS u(id) WHERE u.id IS NOT NULL
        UNION
        SELECT a.master_id FROM iaros.customer_alias a
        WHERE a.customer_id IN (SELECT u.id FROM unnest(customer_ids) AS u(id)));
    PERFORM FROM iaros.customer c WHERE c.customer_id = ANY (ids) ORDER BY c.customer_id FOR NO KEY UPDATE;
    IF until IS NULL OR until = now() THEN
        until := clock_timestamp();
    END IF;
    BEGIN
        RETURN iaros.segment_write(ids, until, false);
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN
        -- A rule that cannot be planned: found and left out.
        RETURN iaros.segment_write(ids, until, true);
    END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_apply(bigint[], timestamptz) IS
'As segment_refresh(), for some customers: ids that are aliases count for their master, ids of nobody are passed over, a NULL array is none. NULL or now() as time: the moment at which no refresh and no other call for these customers runs any more. To be called after an event of theirs. Calls for different customers run beside each other; broken rules raise no alert here. A few profiles.';

CREATE FUNCTION @extschema@.segment_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.segment_refresh();
END $$;
COMMENT ON FUNCTION @extschema@.segment_run() IS
'Body of the job iaros-segments: segment_refresh() as of now; returns for how many customers something changed.';

CREATE FUNCTION @extschema@.audience_preview(
    rule jsonb,
    sample_size integer DEFAULT 5,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customers bigint, of_customers bigint, share numeric, sample_ids bigint[])
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    condition text;
BEGIN
    PERFORM iaros.install_check();
    condition := iaros.segment_rule_sql(rule);
    IF sample_size NOT BETWEEN 0 AND 1000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('sample size %s is not between 0 and 1000', sample_size),
            HINT = 'segment_customers() returns all customers of a segment.';
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT t.customers, t.of_customers, round(100.0 * t.customers / nullif(t.of_customers, 0), 2),
            ARRAY(SELECT p.customer_id %2$s WHERE %1$s ORDER BY hashint8extended(p.customer_id, 0) LIMIT $1)
         FROM (SELECT count(*) FILTER (WHERE %1$s) AS customers, count(*) AS of_customers %2$s) t',
        condition, iaros.segment_source_sql(as_of)) USING sample_size;
END $$;
COMMENT ON FUNCTION @extschema@.audience_preview(jsonb, integer, timestamptz) IS
'Returns for how many customers a rule holds now, of how many, the share in percent (NULL when there are none), and a sample of customer_ids, the same at each call. Nothing is stored. NULL gives no row. Errors: those of segment_rule_sql, 22023 sample size outside 0 to 1000. Two scans of profile.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, format('segment %s', s.name),
            format('its rule cannot be computed: %s', k.error),
            'Change the rule, or bring the field back; its customers stay as they are until then.'
        FROM iaros.segment_compile() k
        JOIN iaros.segment s ON s.segment_id = k.segment_id
        WHERE k.error IS NOT NULL ORDER BY s.segment_id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_doctor() IS
'Findings of doctor() about segments: rules that cannot be computed any more.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.segment_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('segment', 1) THEN
    CREATE TABLE iaros.segment_field (
        field text PRIMARY KEY CHECK (field ~ '^[A-Za-z][A-Za-z0-9_.]{0,62}$'),
        kind iaros.segment_field_kind NOT NULL,
        expression text NOT NULL,
        choices text,
        description text NOT NULL,
        shipped_hash text,
        CONSTRAINT segment_field_choices CHECK (choices IS NULL OR kind = 'text')
    );
    COMMENT ON TABLE iaros.segment_field IS
        'What rules can ask for. Expressions are SQL that runs with the rights of whoever refreshes, so only the owner of the tables adds fields.';
    COMMENT ON COLUMN iaros.segment_field.expression IS
        'SQL over profile p, customer c, customer_rfm r, stages ls and lc, values v and n.as_of (see segment_source_sql), of the type that kind says.';
    COMMENT ON COLUMN iaros.segment_field.choices IS
        'Query that returns the values that the field can have; NULL: any text, compared without regard to case.';
    CREATE UNIQUE INDEX segment_field_lower ON iaros.segment_field (lower(field));
    INSERT INTO iaros.segment_field (field, kind, expression, choices, description, shipped_hash) VALUES
        ('customer.kind', 'text', 'c.kind::text', 'SELECT unnest(enum_range(NULL::iaros.customer_kind))', 'known or anonymous', 'new'),
        ('customer.country', 'text', 'c.country::text', 'SELECT country FROM iaros.country', 'Country of residence, ISO 3166-1 code of two letters', 'new'),
        ('customer.region', 'text', '(SELECT l.region FROM iaros.country l WHERE l.country = c.country)', 'SELECT DISTINCT region FROM iaros.country', 'Region of the country of residence', 'new'),
        ('customer.nationality', 'text', 'c.nationality::text', 'SELECT country FROM iaros.country', 'Nationality, ISO 3166-1 code of two letters', 'new'),
        ('customer.city', 'text', 'c.city', NULL, 'City of residence', 'new'),
        ('customer.language', 'text', 'c.language', NULL, 'Language: en, pt-BR', 'new'),
        ('customer.gender', 'text', 'c.gender', 'VALUES (''female''), (''male''), (''other'')', 'female, male or other', 'new'),
        ('customer.age', 'number', 'date_part(''year'', age((n.as_of AT TIME ZONE ''UTC'')::date, c.birth_date))::integer', NULL, 'Age in years', 'new'),
        ('customer.birthMonth', 'number', 'date_part(''month'', c.birth_date)::integer', NULL, 'Month of birth, 1 to 12', 'new'),
        ('customer.createdAt', 'time', 'c.created_at', NULL, 'When the customer was first stored', 'new'),
        ('customer.totalSpend', 'number', 'p.spend_total', NULL, 'Spend ever, base currency', 'new'),
        ('customer.annualSpend', 'number', 'p.spend_12m', NULL, 'Spend in 12 months, base currency', 'new'),
        ('customer.rfmSegment', 'text', 'r.segment', 'SELECT segment FROM iaros.rfm_segment', 'RFM segment', 'new'),
        ('customer.rfmRecency', 'number', 'r.r', NULL, 'RFM recency score, 1 to 5', 'new'),
        ('customer.rfmFrequency', 'number', 'r.f', NULL, 'RFM frequency score, 1 to 5', 'new'),
        ('customer.rfmMonetary', 'number', 'r.m', NULL, 'RFM monetary score, 1 to 5', 'new'),
        ('customer.lifecycleStage', 'text', 'ls.stage', 'SELECT stage FROM iaros.lifecycle_stage_def WHERE scheme = ''standard''', 'Stage of scheme standard, as last kept', 'new'),
        ('customer.lifecycleDays', 'number', 'floor(date_part(''epoch'', n.as_of - ls.entered_at) / 86400)::integer', NULL, 'Whole days in the stage of scheme standard', 'new'),
        ('customer.clmStage', 'text', 'lc.stage', 'SELECT stage FROM iaros.lifecycle_stage_def WHERE scheme = ''clm''', 'Stage of scheme clm, as last kept', 'new'),
        ('customer.valueSegment', 'text', 'v.value_segment', 'SELECT segment FROM iaros.value_segment_def WHERE scheme = ''scaled''', 'Value segment of scheme scaled, as last kept', 'new'),
        ('customer.valueScore', 'number', 'v.value_score', NULL, 'Value score of scheme scaled, 0 to 100', 'new'),
        ('customer.predictedValue', 'number', 'v.predicted_ltv', NULL, 'Spend still to come, an estimate, base currency', 'new'),
        ('customer.isMember', 'boolean', 'p.is_member', NULL, 'Member of a loyalty programme', 'new'),
        ('customer.tier', 'text', 'p.tier', NULL, 'Tier in the loyalty programme', 'new'),
        ('customer.appUser', 'boolean', 'p.app_user', NULL, 'Uses the mobile application', 'new'),
        ('customer.corporate', 'boolean', 'p.corporate', NULL, 'Travels on a corporate account', 'new'),
        ('customer.socialFollower', 'boolean', 'p.social_follower', NULL, 'Follows us on a social network', 'new'),
        ('customer.referralParticipant', 'boolean', 'p.referral_participant', NULL, 'Takes part in the referral programme', 'new'),
        ('customer.npsScore', 'number', 'p.nps_score', NULL, 'Last answer to the recommendation question, 0 to 10', 'new'),
        ('customer.lastComplaintAt', 'time', 'p.last_complaint_at', NULL, 'Last complaint', 'new'),
        ('customer.lastEventAt', 'time', 'p.last_event_at', NULL, 'Last event of any kind', 'new'),
        ('booking.count', 'number', 'p.booking_count', NULL, 'Bookings ever', 'new'),
        ('booking.frequency', 'number', 'p.booking_count_12m', NULL, 'Bookings in 12 months', 'new'),
        ('booking.firstBookedAt', 'time', 'p.first_booked_at', NULL, 'First booking', 'new'),
        ('booking.lastBookedAt', 'time', 'p.last_booked_at', NULL, 'Last booking', 'new'),
        ('booking.daysSinceFirst', 'number', 'floor(date_part(''epoch'', n.as_of - p.first_booked_at) / 86400)::integer', NULL, 'Whole days since the first booking', 'new'),
        ('booking.daysSinceLast', 'number', 'floor(date_part(''epoch'', n.as_of - p.last_booked_at) / 86400)::integer', NULL, 'Whole days since the last booking', 'new'),
        ('booking.cabinClass', 'text', 'p.cabin_top::text', 'SELECT unnest(enum_range(NULL::iaros.cabin))', 'Cabin booked most often', 'new'),
        ('booking.channel', 'text', 'p.sales_channel_top', 'SELECT sales_channel FROM iaros.sales_channel', 'Sales channel booked through most often', 'new'),
        ('booking.route', 'text', 'p.route_top', NULL, 'Route booked most often: JFK-LHR', 'new'),
        ('booking.advanceDays', 'number', 'p.lead_days_avg', NULL, 'Days between booking and departure, on average', 'new'),
        ('booking.partySize', 'number', 'p.party_size_avg', NULL, 'Travellers in a booking, on average', 'new'),
        ('booking.weekendShare', 'number', 'p.weekend_share', NULL, 'Share of departures at a weekend, 0 to 1', 'new'),
        ('booking.internationalShare', 'number', 'p.international_share', NULL, 'Share of flights to another country, 0 to 1', 'new'),
        ('booking.ancillaryCount', 'number', 'p.ancillary_count', NULL, 'Ancillaries bought', 'new'),
        ('booking.bundleCount', 'number', 'p.bundle_count', NULL, 'Bundles bought', 'new'),
        ('engagement.emailOpens', 'number', 'p.email_open_90d', NULL, 'E-mails opened in 90 days', 'new'),
        ('engagement.emailClicks', 'number', 'p.email_click_90d', NULL, 'Links in e-mails followed in 90 days', 'new'),
        ('engagement.searches', 'number', 'p.search_30d', NULL, 'Flights searched in 30 days', 'new'),
        ('engagement.cartsAbandoned', 'number', 'p.cart_abandoned_7d', NULL, 'Carts left in 7 days', 'new'),
        ('customer.spend90d', 'number', 'p.spend_90d', NULL, 'Spend in 90 days, base currency', 'new'),
        ('customer.npsAt', 'time', 'p.nps_at', NULL, 'When the recommendation question was answered last', 'new'),
        ('customer.emailOptIn', 'boolean', 'p.email_opt_in', NULL, 'Consented to marketing by e-mail', 'new'),
        ('customer.smsOptIn', 'boolean', 'p.sms_opt_in', NULL, 'Consented to marketing by text message', 'new'),
        ('customer.pushOptIn', 'boolean', 'p.push_opt_in', NULL, 'Consented to marketing by push message', 'new'),
        ('booking.count30d', 'number', 'p.booking_count_30d', NULL, 'Bookings in 30 days', 'new'),
        ('booking.count90d', 'number', 'p.booking_count_90d', NULL, 'Bookings in 90 days', 'new'),
        ('booking.count180d', 'number', 'p.booking_count_180d', NULL, 'Bookings in 180 days', 'new'),
        ('booking.previousBookedAt', 'time', 'p.prev_booked_at', NULL, 'The booking before the last', 'new'),
        ('booking.nextDepartureAt', 'time', 'p.next_departure_at', NULL, 'Next departure', 'new'),
        ('booking.cancelledCount', 'number', 'p.cancelled_count', NULL, 'Bookings cancelled', 'new'),
        ('booking.refundedCount', 'number', 'p.refunded_count', NULL, 'Bookings refunded', 'new'),
        ('booking.premiumShare', 'number', 'p.premium_share', NULL, 'Share of business and first class, 0 to 1', 'new'),
        ('booking.routeCount', 'number', 'p.route_count', NULL, 'Different routes', 'new'),
        ('booking.haul', 'text', 'p.haul_top', 'VALUES (''short''), (''medium''), (''long'')', 'Length of flights most often: short, medium or long', 'new'),
        ('booking.region', 'text', 'p.region_top', 'SELECT DISTINCT region FROM iaros.country', 'Region of destinations most often', 'new'),
        ('booking.intercontinentalShare', 'number', 'p.intercontinental_share', NULL, 'Share of flights to another region, 0 to 1', 'new'),
        ('booking.season', 'text', 'p.season_top', 'VALUES (''summer''), (''winter'')', 'Season of departures most often: summer or winter', 'new'),
        ('booking.groupCount', 'number', 'p.group_count', NULL, 'Bookings for 10 or more', 'new'),
        ('booking.soloShare', 'number', 'p.solo_share', NULL, 'Share of bookings for one, 0 to 1', 'new'),
        ('booking.lastMinuteShare', 'number', 'p.last_minute_share', NULL, 'Share of bookings less than 7 days ahead, 0 to 1', 'new'),
        ('booking.earlyShare', 'number', 'p.early_share', NULL, 'Share of bookings 30 or more days ahead, 0 to 1', 'new'),
        ('booking.seatCount', 'number', 'p.seat_count', NULL, 'Seats bought', 'new'),
        ('booking.bagCount', 'number', 'p.bag_count', NULL, 'Bags bought', 'new'),
        ('booking.mealCount', 'number', 'p.meal_count', NULL, 'Meals bought', 'new'),
        ('booking.upgradeCount', 'number', 'p.upgrade_count', NULL, 'Upgrades bought', 'new'),
        ('engagement.emailOpens30d', 'number', 'p.email_open_30d', NULL, 'E-mails opened in 30 days', 'new'),
        ('engagement.sessions', 'number', 'p.session_30d', NULL, 'Sessions in 30 days', 'new'),
        ('engagement.appOpens', 'number', 'p.app_open_30d', NULL, 'Application opened in 30 days', 'new'),
        ('engagement.searches7d', 'number', 'p.search_7d', NULL, 'Flights searched in 7 days', 'new'),
        ('engagement.cartsAbandoned30d', 'number', 'p.cart_abandoned_30d', NULL, 'Carts left in 30 days', 'new'),
        ('engagement.complaints', 'number', 'p.complaint_90d', NULL, 'Complaints in 90 days', 'new'),
        ('engagement.touches30d', 'number', 'p.touch_30d', NULL, 'Contacts of any channel in 30 days', 'new'),
        ('engagement.touches90d', 'number', 'p.touch_90d', NULL, 'Contacts of any channel in 90 days', 'new'),
        ('engagement.lastSearchAt', 'time', 'p.last_search_at', NULL, 'Last search', 'new'),
        ('engagement.lastTouchAt', 'time', 'p.last_touch_at', NULL, 'Last contact of any channel', 'new');
    PERFORM iaros.shipped_seal('iaros.segment_field');

    CREATE SEQUENCE iaros.segment_id_seq;
    CREATE TABLE iaros.segment (
        segment_id bigint PRIMARY KEY DEFAULT nextval('iaros.segment_id_seq'),
        name text NOT NULL UNIQUE,
        kind iaros.segment_kind NOT NULL,
        rule jsonb,
        description text,
        suggested_action text,
        enabled boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text,
        CONSTRAINT segment_name CHECK (name ~ '^[^[:space:]](.{0,98}[^[:space:]])?$' AND name !~ '^[0-9]+$'),
        CONSTRAINT segment_rule CHECK ((kind = 'dynamic') = (rule IS NOT NULL))
    );
    COMMENT ON TABLE iaros.segment IS
        'Segments. A segment with history is switched off by enabled = false, not deleted.';
    COMMENT ON COLUMN iaros.segment.rule IS 'Rule of a dynamic segment, checked when it is written; see segment_rule_sql().';
    CREATE UNIQUE INDEX segment_name_lower ON iaros.segment (lower(name));
    CREATE TRIGGER segment_rule_check
        BEFORE INSERT OR UPDATE ON iaros.segment
        FOR EACH ROW EXECUTE FUNCTION iaros.segment_rule_check();
    INSERT INTO iaros.segment (name, kind, rule, description, suggested_action, shipped_hash) VALUES
        ('Champions', 'dynamic', '{"logic": "AND", "rules": [{"field": "customer.rfmSegment", "operator": "=", "value": "Champions"}]}',
            'Booked lately, often and for much (RFM).', 'Reward; offer premium products first.', 'new'),
        ('High-Value Customers', 'dynamic', '{"logic": "AND", "rules": [{"field": "customer.annualSpend", "operator": ">", "value": 5000}]}',
            'Spent more than 5,000 (base currency) in 12 months.', 'Personal service, upgrades, lounge access.', 'new'),
        ('Frequent Business Travelers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.frequency", "operator": ">=", "value": 10}, {"field": "booking.cabinClass", "operator": "IN", "value": ["business", "first"]}, {"field": "booking.weekendShare", "operator": "<", "value": 0.5}]}',
            'Ten or more bookings in 12 months, mostly in business or first class and on working days.', 'Flexible fares, fast track, tier benefits.', 'new'),
        ('Leisure Travelers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.frequency", "operator": "BETWEEN", "value": [1, 2]}, {"field": "booking.cabinClass", "operator": "=", "value": "economy"}, {"field": "booking.weekendShare", "operator": ">=", "value": 0.5}]}',
            'One or two bookings in 12 months, economy class, mostly at weekends.', 'Holiday bundles, seasonal sales.', 'new'),
        ('Family Travelers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.partySize", "operator": ">=", "value": 3}]}',
            'Three or more travellers in a booking, on average.', 'Family bundles, seats together, bags.', 'new'),
        ('Last-Minute Bookers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.advanceDays", "operator": "<", "value": 7}]}',
            'Book less than seven days before departure, on average.', 'Last-minute fares by push message.', 'new'),
        ('Lapsed Customers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.daysSinceLast", "operator": ">=", "value": 180}]}',
            'No booking for 180 days or more.', 'Win-back offer.', 'new'),
        ('At-Risk Customers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.daysSinceLast", "operator": ">=", "value": 90}, {"field": "booking.daysSinceLast", "operator": "<", "value": 180}]}',
            'No booking for 90 to 180 days.', 'Offer on the route flown most often.', 'new'),
        ('New Customers', 'dynamic', '{"logic": "AND", "rules": [{"field": "booking.daysSinceFirst", "operator": "<", "value": 30}]}',
            'First booking in the last 30 days.', 'Welcome; explain the loyalty programme.', 'new'),
        ('Abandoned Cart', 'dynamic', '{"logic": "AND", "rules": [{"field": "engagement.cartsAbandoned", "operator": ">=", "value": 1}]}',
            'Left a cart in the last seven days.', 'Reminder, then a small discount.', 'new'),
        ('Email Engaged', 'dynamic', '{"logic": "AND", "rules": [{"field": "engagement.emailOpens", "operator": ">=", "value": 3}]}',
            'Opened three or more e-mails in 90 days.', 'Newsletters and early access by e-mail.', 'new');
    PERFORM iaros.shipped_seal('iaros.segment');

    CREATE TABLE iaros.segment_membership (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        segment_ids bigint[] NOT NULL DEFAULT '{}',
        updated_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE iaros.segment_membership IS
        'The segments that each customer is in, as one sorted array. Written by segment_refresh(), segment_apply(), segment_member_add() and segment_member_remove().';
    CREATE INDEX segment_membership_ids ON iaros.segment_membership USING gin (segment_ids);

    CREATE SEQUENCE iaros.segment_event_id_seq;
    CREATE TABLE iaros.segment_event (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        at timestamptz NOT NULL,
        segment_event_id bigint NOT NULL DEFAULT nextval('iaros.segment_event_id_seq'),
        segment_id bigint NOT NULL REFERENCES iaros.segment,
        entered boolean NOT NULL,
        PRIMARY KEY (customer_id, at, segment_event_id)
    ) PARTITION BY RANGE (at);
    COMMENT ON TABLE iaros.segment_event IS
        'Who entered (entered) or left a segment and when, partitioned by month. at is the time as of which the segment was computed.';
    CREATE TABLE iaros.segment_event_default PARTITION OF iaros.segment_event DEFAULT;
    CREATE INDEX segment_event_segment ON iaros.segment_event (segment_id, at);

    PERFORM iaros.job_define('segments', '*/15 * * * *', 'segment_run', interval '2 hours', false,
        'Computes all dynamic segments and notes who entered and left.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.segment_install() IS
'Makes the tables of the domain segment. Called by install().';
