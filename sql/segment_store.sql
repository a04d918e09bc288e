-- segment, store: fields, rules that are ready to run, segments and their
-- members.

-- Engine: fields ----------------------------------------------------------

CREATE FUNCTION @extschema@.segment_field_find(
    node jsonb,
    OUT field text,
    OUT kind @extschema@.segment_field_kind,
    OUT unit text,
    OUT choices text,
    OUT folded boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text := node ->> 'field';
    nearest text[];
BEGIN
    PERFORM iaros.install_check();
    SELECT f.field, f.kind, f.unit, f.choices, f.folded INTO field, kind, unit, choices, folded
    FROM iaros.segment_field f
    WHERE lower(f.field) = lower(wanted);
    IF FOUND THEN
        RETURN;
    END IF;
    nearest := iaros.name_nearest(wanted, ARRAY(SELECT f.field FROM iaros.segment_field f ORDER BY f.field));
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_object',
        MESSAGE = format('segment field "%s" does not exist', left(wanted, 64)),
        DETAIL = format('In %s.', left(node::text, 200)),
        HINT = CASE WHEN nearest <> '{}' THEN format('Nearest: "%s".', array_to_string(nearest, '", "'))
                    ELSE 'List the fields with SELECT * FROM iaros.segment_field.' END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_field_find(jsonb) IS
'Returns name, kind, unit, query of choices and folding of the field that a condition names, upper and lower case taken as one. Error: 42704 no such field, with the nearest names as hint.';

CREATE FUNCTION @extschema@.segment_choice(choices text, value text, node jsonb)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text := btrim(regexp_replace(lower(value), '[^[:alnum:]]+', ' ', 'g'));
    known text[];
    same text[];
    longer text[];
    nearest text[];
BEGIN
    PERFORM iaros.install_check();
    EXECUTE format('SELECT array_agg(DISTINCT q.choice::text) FROM (%s) AS q(choice)', choices) INTO known;
    IF value = ANY (known) THEN
        RETURN value;
    END IF;
    SELECT array_agg(c.choice) FILTER (WHERE w.words = wanted),
        array_agg(c.choice) FILTER (WHERE starts_with(w.words, wanted || ' '))
    INTO same, longer
    FROM unnest(known) AS c(choice)
    CROSS JOIN LATERAL (SELECT btrim(regexp_replace(lower(c.choice), '[^[:alnum:]]+', ' ', 'g'))) w(words);
    IF cardinality(coalesce(same, longer)) = 1 THEN
        RETURN (coalesce(same, longer))[1];
    END IF;
    nearest := iaros.name_nearest(value, known);
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('"%s" is not a value of this field', left(value, 64)),
        DETAIL = format('In %s.', left(node::text, 200)),
        HINT = CASE WHEN known IS NULL THEN 'The field has no values yet.'
                    WHEN nearest <> '{}' THEN format('Nearest: "%s".', array_to_string(nearest, '", "'))
                    ELSE format('Values: "%s".', left(array_to_string(known, '", "'), 200)) END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_choice(text, text, jsonb) IS
'Returns the value of a field with a fixed list that a condition means: the one that is equal when case, spaces and punctuation are left out (BUSINESS is business), or the only one that begins with these words (Loyal is Loyal Customers). choices is the query of the field. Error: 22023 no such value, or several, with the nearest as hint.';

CREATE FUNCTION @extschema@.segment_value_resolve(
    kind @extschema@.segment_field_kind,
    unit text,
    choices text,
    folded boolean,
    value jsonb,
    node jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(value) = 'array' THEN
        RETURN (SELECT jsonb_agg(iaros.segment_value_resolve(kind, unit, choices, folded, v.value, node) ORDER BY v.n)
                FROM jsonb_array_elements(value) WITH ORDINALITY AS v(value, n));
    END IF;
    IF unit IS NOT NULL THEN
        IF jsonb_typeof(value) = 'string' THEN
            RETURN value;
        END IF;
        IF jsonb_typeof(value) = 'number' AND (value::text !~ '^[0-9]{1,5}$' OR value::integer > CASE unit WHEN 'years' THEN 200 ELSE 73000 END) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('%s is not a number of %s', left(value::text, 64), unit),
                DETAIL = format('In %s.', left(node::text, 200)),
                HINT = format('Give a whole number from 0 to %s.', CASE unit WHEN 'years' THEN 200 ELSE 73000 END);
        END IF;
    END IF;
    IF kind <> 'time' AND jsonb_typeof(value) IS DISTINCT FROM (CASE kind
        WHEN 'number' THEN 'number' WHEN 'boolean' THEN 'boolean' ELSE 'string' END)
        OR kind = 'time' AND jsonb_typeof(value) IS DISTINCT FROM 'string'
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('field of kind %s cannot be compared with %s', kind,
                             left(coalesce(value::text, 'nothing'), 64)),
            DETAIL = format('In %s.', left(node::text, 200)),
            HINT = CASE kind
                WHEN 'number' THEN 'Give a number without quotes.'
                WHEN 'boolean' THEN 'Give true or false without quotes.'
                WHEN 'time' THEN 'Give a day, a time or an age in quotes: "2026-01-31", "30 days".'
                ELSE 'Give a text in quotes.' END;
    END IF;
    IF unit IS NOT NULL THEN
        RETURN to_jsonb(format('%s %s', value, unit));
    ELSIF choices IS NOT NULL THEN
        RETURN to_jsonb(iaros.segment_choice(choices, value #>> '{}', node));
    ELSIF folded THEN
        RETURN to_jsonb(lower(value #>> '{}'));
    END IF;
    RETURN value;
END $$;
COMMENT ON FUNCTION @extschema@.segment_value_resolve(@extschema@.segment_field_kind, text, text, boolean, jsonb, jsonb) IS
'Returns a value of a condition, or an array of them, as the kernel compares it with the field: a number of days or years as an age, a text as its list has it or in lower case. Errors: 22023 value whose JSON type does not fit the kind of the field, that is not in its list, or no whole number of the unit.';

CREATE FUNCTION @extschema@.segment_node_resolve(node jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    operator text := node ->> 'operator';
BEGIN
    PERFORM iaros.install_check();
    IF node ? 'rules' THEN
        RETURN jsonb_build_object('logic', node -> 'logic', 'rules', (
            SELECT jsonb_agg(iaros.segment_node_resolve(r.rule) ORDER BY r.n)
            FROM jsonb_array_elements(node -> 'rules') WITH ORDINALITY AS r(rule, n)));
    ELSIF node ? 'segment' THEN
        RETURN (SELECT jsonb_build_object('segment', s.name) FROM iaros.segment s
                WHERE s.segment_id = iaros.segment_find(node ->> 'segment'));
    ELSIF node ? 'event' THEN
        IF NOT EXISTS (SELECT FROM iaros.event_kind k WHERE k.kind = node ->> 'event') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'undefined_object',
                MESSAGE = format('event kind "%s" does not exist', left(node ->> 'event', 64)),
                DETAIL = format('In %s.', left(node::text, 200)),
                HINT = format('Nearest: "%s". Add your own to iaros.event_kind.', array_to_string(
                    iaros.name_nearest(node ->> 'event', ARRAY(SELECT k.kind FROM iaros.event_kind k ORDER BY k.kind)), '", "'));
        END IF;
        RETURN node;
    END IF;
    f := iaros.segment_field_find(node);
    IF operator <> ALL (iaros.segment_operators(f.kind)
        || CASE WHEN f.unit IS NOT NULL THEN ARRAY['WITHIN', 'BEFORE', 'NEXT'] ELSE '{}' END)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('operator %s does not fit a field of kind %s', operator, f.kind),
            DETAIL = format('In %s.', left(node::text, 200)),
            HINT = format('Operators of such a field: %s.', array_to_string(iaros.segment_operators(f.kind), ', '));
    END IF;
    node := node || jsonb_build_object('field', f.field);
    IF operator IN ('TOP', 'BOTTOM') AND f.unit IS NOT NULL THEN
        -- The most days are those since the earliest time.
        RETURN node || jsonb_build_object('operator', CASE operator WHEN 'TOP' THEN 'BOTTOM' ELSE 'TOP' END);
    ELSIF NOT node ? 'value' OR operator IN ('TOP', 'BOTTOM', 'WITHIN', 'BEFORE', 'NEXT', 'MONTH', 'ANNIVERSARY') THEN
        RETURN node;
    END IF;
    RETURN node || jsonb_build_object('value', iaros.segment_value_resolve(f.kind, f.unit,
        -- A part of a value is not in the list.
        CASE WHEN operator NOT IN ('CONTAINS', 'STARTS WITH') THEN f.choices END, f.folded, node -> 'value', node));
END $$;
COMMENT ON FUNCTION @extschema@.segment_node_resolve(jsonb) IS
'Returns a group or condition of a rule in terms of the engine: fields and segments by their exact names, values as segment_value_resolve() makes them. Errors: 42704 field, segment or event kind that does not exist, 22023 operator or value that does not fit the field.';

CREATE FUNCTION @extschema@.segment_rule_resolve(rule @extschema@.segment_rule)
    RETURNS @extschema@.segment_rule
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.segment_node_resolve(rule::jsonb)::iaros.segment_rule;
END $$;
COMMENT ON FUNCTION @extschema@.segment_rule_resolve(@extschema@.segment_rule) IS
'Returns a rule as a marketer writes it in terms of the engine, which is how segments keep it: names of fields and segments as they are written in their tables, numbers of days and years as ages ("180 days"), texts as the list of the field has them. What is so already stays. NULL gives NULL. Errors: those of segment_node_resolve().';

CREATE FUNCTION @extschema@.segment_key_unique(relation text, key text)
    RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = to_regclass(relation) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND i.indnkeyatts = 1 AND a.attname = key);
END $$;
COMMENT ON FUNCTION @extschema@.segment_key_unique(text, text) IS
'Tells whether a column of a relation has a unique index of its own, so that it has one row for each value.';

CREATE FUNCTION @extschema@.segment_field_add(
    field text,
    kind @extschema@.segment_field_kind,
    expression text,
    relation text DEFAULT NULL,
    key text DEFAULT 'customer_id',
    description text DEFAULT NULL,
    unit text DEFAULT NULL,
    choices text DEFAULT NULL,
    folded boolean DEFAULT false,
    moving @extschema@.segment_moving DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    table_oid regclass;
    key_type regtype;
BEGIN
    PERFORM iaros.install_check();
    IF segment_field_add.relation IS NOT NULL THEN
        table_oid := segment_field_add.relation::regclass;
        SELECT a.atttypid::regtype INTO key_type FROM pg_attribute a
        WHERE a.attrelid = table_oid AND a.attname = segment_field_add.key AND a.attnum > 0 AND NOT a.attisdropped;
        IF key_type IS NULL OR key_type NOT IN ('bigint', 'integer', 'smallint') THEN
            RAISE EXCEPTION USING
                ERRCODE = 'undefined_column',
                MESSAGE = format('table %s has no whole-number column "%s"', table_oid, segment_field_add.key),
                HINT = 'Name in key the column that holds the customer_id.';
        END IF;
        IF (SELECT c.relkind FROM pg_class c WHERE c.oid = table_oid) IN ('r', 'p')
            AND NOT iaros.segment_key_unique(segment_field_add.relation, segment_field_add.key)
        THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('column "%s" of table %s has no unique index', segment_field_add.key, table_oid),
                DETAIL = 'A field has one value for a customer.',
                HINT = 'Make the index, or give a view, of which one row for a customer is taken.';
        END IF;
    END IF;
    INSERT INTO iaros.segment_field (field, kind, expression, relation, relation_key, unit, choices, folded, moving, description)
    VALUES (segment_field_add.field, segment_field_add.kind, segment_field_add.expression,
        CASE WHEN table_oid IS NOT NULL THEN format('%I.%I',
            (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = table_oid),
            (SELECT c.relname FROM pg_class c WHERE c.oid = table_oid)) END,
        CASE WHEN table_oid IS NOT NULL THEN segment_field_add.key END, segment_field_add.unit, segment_field_add.choices,
        segment_field_add.folded, coalesce(segment_field_add.moving, CASE WHEN segment_field_add.relation IS NULL THEN 'no' ELSE 'always' END::iaros.segment_moving),
        coalesce(segment_field_add.description, segment_field_add.expression));
END $$;
COMMENT ON FUNCTION @extschema@.segment_field_add(text, @extschema@.segment_field_kind, text, text, text, text, text, text, boolean, @extschema@.segment_moving) IS
'Adds a field of rules. expression: SQL over the aliases of segment_source_sql(), or with relation, a table or view of yours (with its schema) that has one row for a customer_id in column key, over its alias x. unit days or years: expression gives a time, and rules compare how many whole days or years ago it is. choices: a query of the values that there are. folded: texts are compared in lower case; the expression gives them so. moving (NULL: always with relation, else no): values change without triggers of iaros seeing it, so segments with this field are computed for all customers at each refresh, or, if daily, at the first of each day (UTC). Errors: 23505 field is there, 23514 name, 42P01 relation, 42703 key, 22023 key without unique index, 42703 or 42601 expression.';

CREATE FUNCTION @extschema@.segment_field_check() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.shipped_hash IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT FROM (%s) s LIMIT 0', iaros.segment_source_sql(ARRAY[
        jsonb_build_object('field', NEW.field, 'operator', 'IS NULL')::iaros.segment_rule]));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.segment_field_check() IS
'Trigger of segment_field: refuses an expression that PostgreSQL cannot plan.';

-- Engine: rules that are ready to run -------------------------------------

CREATE FUNCTION @extschema@.segment_event_sql(definition jsonb, as_of text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN format('e.kind = %L', definition ->> 'event')
        || coalesce(format(' AND e.occurred_at > (%s AT TIME ZONE ''UTC'' - %L::interval) AT TIME ZONE ''UTC''', as_of, definition ->> 'within'), '')
        || coalesce((
            SELECT string_agg(format(' AND e.properties -> %L = ANY (ARRAY[%s]::jsonb[])', w.key, (
                SELECT string_agg(quote_literal(v.value::text), ', ')
                FROM jsonb_array_elements(CASE jsonb_typeof(w.value) WHEN 'array' THEN w.value ELSE jsonb_build_array(w.value) END) AS v(value))), ''
                ORDER BY w.key)
            FROM jsonb_each(definition -> 'where') AS w(key, value)), '');
END $$;
COMMENT ON FUNCTION @extschema@.segment_event_sql(jsonb, text) IS
'Returns the SQL condition over event e of what a rule asks of events: kind, time within and properties. as_of is an SQL expression.';

CREATE FUNCTION @extschema@.segment_events_sql(facts jsonb[], as_of text, customer_ids text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- Of an event that is not yet, or falls out of its time, due_at tells.
    RETURN (
        SELECT format('(SELECT coalesce(a.master_id, e.customer_id) AS customer_id, least(%s) AS due_at, %s
    FROM iaros.event e LEFT JOIN iaros.customer_alias a ON a.customer_id = e.customer_id
    WHERE e.kind IN (%s)%s GROUP BY 1)',
            string_agg(format('min(e.occurred_at) FILTER (WHERE e.occurred_at > %s)', as_of)
                || coalesce(format(', (min(e.occurred_at) FILTER (WHERE %s AND e.occurred_at <= %s) AT TIME ZONE ''UTC'' + %L::interval) AT TIME ZONE ''UTC''',
                    c.condition, as_of, f.fact -> 'definition' ->> 'within'), ''), ', '),
            string_agg(format('count(*) FILTER (WHERE %s AND e.occurred_at <= %s) AS %I', c.condition, as_of, f.fact ->> 'fact'), ', '),
            string_agg(DISTINCT quote_literal(f.fact -> 'definition' ->> 'event'), ', '),
            coalesce(CASE WHEN bool_and(f.fact -> 'definition' ? 'within') THEN
                format(' AND e.occurred_at > (%s AT TIME ZONE ''UTC'' - greatest(%s)) AT TIME ZONE ''UTC''', as_of,
                    string_agg(DISTINCT format('%L::interval', f.fact -> 'definition' ->> 'within'), ', ')) END, '')
            || coalesce(' AND e.customer_id = ANY (' || customer_ids || ')', ''))
        FROM unnest(facts) AS f(fact)
        CROSS JOIN LATERAL iaros.segment_event_sql(f.fact -> 'definition', as_of) AS c(condition));
END $$;
COMMENT ON FUNCTION @extschema@.segment_events_sql(jsonb[], text, text) IS
'Returns a sub-select with one row a person, aliases folded in: for each of the facts {fact, definition} about events how many there are as of a time, an SQL expression, and when next one of these numbers changes though nothing happens. customer_ids: SQL expression of an array, of these and no others, aliases among them; NULL: of all.';

CREATE FUNCTION @extschema@.segment_source_text(
    rules @extschema@.segment_rule[],
    as_of text,
    customer_ids text,
    event_ids text)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    facts jsonb[];
    columns text;
    own text;
    events text;
BEGIN
    PERFORM iaros.install_check();
    facts := ARRAY(
        SELECT DISTINCT jsonb_build_object('fact', x.fact, 'kind', x.kind, 'definition', x.definition)
        FROM unnest(rules) AS r(rule) CROSS JOIN LATERAL iaros.segment_rule_facts(r.rule) x
        WHERE x.kind IN ('field', 'event', 'segment'));
    SELECT string_agg(CASE f.fact ->> 'kind'
            -- An expression may end in a comment.
            WHEN 'field' THEN format('%s AS %I', CASE WHEN d.relation IS NOT NULL THEN format('x%s.%I', d.relation_no, d.field)
                WHEN d.expression ~ '--' THEN format(E'(%s\n)', d.expression) ELSE d.expression END, d.field)
            WHEN 'event' THEN format('coalesce(ev.%1$I, 0) AS %1$I', f.fact ->> 'fact')
            -- The person may be in it under an alias.
            ELSE format('(coalesce(m.segment_ids @> ARRAY[%1$s::bigint], false) OR EXISTS (SELECT FROM iaros.customer_alias sa
                JOIN iaros.segment_membership sm ON sm.customer_id = sa.customer_id
                WHERE sa.master_id = p.customer_id AND sm.segment_ids @> ARRAY[%1$s::bigint])) AS %2$I', s.segment_id, f.fact ->> 'fact') END,
            E',\n    ' ORDER BY f.fact ->> 'fact'),
        string_agg(DISTINCT format(E'\nLEFT JOIN (SELECT %5$s x.%1$I AS customer_id, %2$s FROM %3$s x) x%4$s ON x%4$s.customer_id = p.customer_id',
            d.relation_key, d.expressions, d.relation, d.relation_no,
            CASE WHEN NOT d.once THEN format('DISTINCT ON (x.%I)', d.relation_key) END), '') FILTER (WHERE d.relation IS NOT NULL)
    INTO columns, own
    FROM unnest(facts) AS f(fact)
    LEFT JOIN (
        SELECT x.*, dense_rank() OVER (ORDER BY x.relation, x.relation_key) AS relation_no,
            string_agg(format(E'(%s\n) AS %I', x.expression, x.field), ', ') OVER (PARTITION BY x.relation, x.relation_key) AS expressions,
            iaros.segment_key_unique(x.relation, x.relation_key) AS once
        FROM iaros.segment_field x
        WHERE x.field IN (SELECT u.fact ->> 'fact' FROM unnest(facts) AS u(fact) WHERE u.fact ->> 'kind' = 'field')) d
        ON f.fact ->> 'kind' = 'field' AND d.field = f.fact ->> 'fact'
    LEFT JOIN iaros.segment s ON f.fact ->> 'kind' = 'segment' AND s.name = f.fact -> 'definition' ->> 'segment'
    WHERE f.fact ->> 'kind' = 'event' OR d.field IS NOT NULL OR s.segment_id IS NOT NULL;
    IF EXISTS (SELECT FROM unnest(facts) AS f(fact) WHERE f.fact ->> 'kind' = 'event') THEN
        events := iaros.segment_events_sql(ARRAY(SELECT f.fact FROM unnest(facts) AS f(fact)
            WHERE f.fact ->> 'kind' = 'event' ORDER BY f.fact ->> 'fact'), as_of, event_ids);
    END IF;
    -- Only the tables that some field asks for.
    RETURN concat('SELECT p.customer_id, ', CASE WHEN events IS NULL THEN 'p.due_at' ELSE 'least(p.due_at, ev.due_at) AS due_at' END,
        E',\n    ' || columns, E'\nFROM iaros.profile_at(', as_of, ') p',
        CASE WHEN columns ~ E'\\mc\\.' THEN E'\nLEFT JOIN iaros.customer c ON c.customer_id = p.customer_id' END,
        CASE WHEN columns ~ E'\\mr\\.' THEN E'\nLEFT JOIN iaros.customer_rfm r ON r.customer_id = p.customer_id' END,
        CASE WHEN columns ~ E'\\mls\\.' THEN E'\nLEFT JOIN iaros.customer_lifecycle_stage ls ON ls.customer_id = p.customer_id AND ls.scheme = ''standard'' AND ls.exited_at IS NULL' END,
        CASE WHEN columns ~ E'\\mlc\\.' THEN E'\nLEFT JOIN iaros.customer_lifecycle_stage lc ON lc.customer_id = p.customer_id AND lc.scheme = ''clm'' AND lc.exited_at IS NULL' END,
        CASE WHEN columns ~ E'\\mv\\.' THEN E'\nLEFT JOIN iaros.customer_value_segment v ON v.customer_id = p.customer_id AND v.scheme = ''scaled''' END,
        CASE WHEN columns ~ E'\\mm\\.' THEN E'\nLEFT JOIN iaros.segment_membership m ON m.customer_id = p.customer_id' END,
        own, E'\nLEFT JOIN ' || events || ' ev ON ev.customer_id = p.customer_id',
        CASE WHEN columns ~ E'\\mn\\.' THEN format(E'\nCROSS JOIN (VALUES (%1$s, date_trunc(''day'', %1$s AT TIME ZONE ''UTC'') AT TIME ZONE ''UTC'')) AS n(as_of, day)', as_of) END,
        E'\nWHERE p.customer_id = ANY (' || customer_ids || ')');
END $$;
COMMENT ON FUNCTION @extschema@.segment_source_text(@extschema@.segment_rule[], text, text, text) IS
'Returns the query that gives one row a person, of those in customer_ids or of all when it is NULL, with customer_id, due_at (see profile_at()) and a column for each fact that the rules ask for and the engine knows: fields, numbers of events, members of static segments. Fields are expressions over profile_at() p, customer c, customer_rfm r, the stages ls (scheme standard) and lc (scheme clm) of customer_lifecycle_stage that still hold, customer_value_segment v (scheme scaled), n.as_of, the time of the question, and n.day, when its day (UTC) began. Arguments: rules; SQL expressions of the time, of the array of persons, and of the array of them and their aliases.';

CREATE FUNCTION @extschema@.segment_source_sql(
    rules @extschema@.segment_rule[],
    as_of timestamptz DEFAULT now(),
    customer_ids bigint[] DEFAULT NULL)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.segment_time_check(as_of);
    RETURN iaros.segment_source_text(rules,
        format('%L::timestamptz', to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"+00"')),
        CASE WHEN customer_ids IS NOT NULL THEN format('%L::bigint[]', customer_ids) END,
        CASE WHEN customer_ids IS NOT NULL THEN format('%L::bigint[]', customer_ids || ARRAY(
            SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (customer_ids))) END);
END $$;
COMMENT ON FUNCTION @extschema@.segment_source_sql(@extschema@.segment_rule[], timestamptz, bigint[]) IS
'Returns the query of segment_source_text() as of a time, for the persons in customer_ids, or for all when it is NULL.';

CREATE FUNCTION @extschema@.segment_cut_rule(definition jsonb, cut jsonb)
    RETURNS @extschema@.segment_rule
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    field text := definition ->> 'field';
BEGIN
    PERFORM iaros.install_check();
    IF cut IS NULL OR cut = 'null' THEN
        -- Nobody is above a point that there is not.
        RETURN jsonb_build_object('logic', 'AND', 'rules', jsonb_build_array(
            jsonb_build_object('field', field, 'operator', 'IS NULL'),
            jsonb_build_object('field', field, 'operator', 'IS NOT NULL')))::iaros.segment_rule;
    END IF;
    RETURN jsonb_build_object('field', field, 'operator',
        CASE definition ->> 'operator' WHEN 'TOP' THEN '>=' ELSE '<=' END, 'value', cut)::iaros.segment_rule;
END $$;
COMMENT ON FUNCTION @extschema@.segment_cut_rule(jsonb, jsonb) IS
'Returns the condition that stands for a TOP or BOTTOM condition once its cut point is known; JSON null, or NULL: no customer has a value, so it holds for nobody.';

CREATE FUNCTION @extschema@.segment_cut_compute(definitions jsonb[], as_of timestamptz DEFAULT now())
    RETURNS jsonb[]
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    cuts jsonb[];
BEGIN
    PERFORM iaros.install_check();
    IF cardinality(definitions) = 0 THEN
        RETURN '{}';
    END IF;
    -- The last value within the share, counted from the end that is asked for.
    EXECUTE (
        SELECT format('SELECT ARRAY[%s] FROM (%s) s',
            string_agg(format('coalesce(' || CASE
                -- Numbers that a rule can hold, rounded so that the last one is in.
                WHEN f.kind = 'number' AND f.unit IS NULL THEN 'to_jsonb(%4$s(1e9 * percentile_disc(%2$s) WITHIN GROUP (ORDER BY s.%1$I::numeric %3$s)
                    FILTER (WHERE s.%1$I::numeric > -999999999999999 AND s.%1$I::numeric < 999999999999999)) / 1e9)'
                -- A time is a day where the field holds days.
                ELSE 'CASE WHEN pg_typeof(min(s.%1$I)) = ''date''::regtype
                    THEN to_jsonb(to_char(percentile_disc(%2$s) WITHIN GROUP (ORDER BY s.%1$I %3$s)
                        FILTER (WHERE s.%1$I BETWEEN ''1900-01-01'' AND ''2199-12-31''), ''YYYY-MM-DD''))
                    ELSE to_jsonb(to_char(percentile_disc(%2$s) WITHIN GROUP (ORDER BY s.%1$I %3$s)
                        FILTER (WHERE s.%1$I BETWEEN ''1900-01-01'' AND ''2199-12-31'')::timestamptz AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')) END' END || ', ''null'')',
                d.definition ->> 'field', (d.definition ->> 'value')::numeric / 100,
                CASE d.definition ->> 'operator' WHEN 'TOP' THEN 'DESC' END,
                CASE d.definition ->> 'operator' WHEN 'TOP' THEN 'floor' ELSE 'ceil' END), ', ' ORDER BY d.n),
            iaros.segment_source_sql(array_agg(
                jsonb_build_object('field', d.definition -> 'field', 'operator', 'IS NULL')::iaros.segment_rule), as_of))
        FROM unnest(definitions) WITH ORDINALITY AS d(definition, n)
        JOIN iaros.segment_field f ON f.field = d.definition ->> 'field')
    INTO cuts;
    RETURN cuts;
END $$;
COMMENT ON FUNCTION @extschema@.segment_cut_compute(jsonb[], timestamptz) IS
'Returns the cut points of TOP and BOTTOM conditions as of a time: the value of the last customer within the share, customers with the same value being in together; JSON null where no customer has a value. Numbers beyond 1e15 and times before 1900 or after 2199 are left out, numbers are rounded outwards to 9 decimals. One scan and a sort a field.';

CREATE FUNCTION @extschema@.segment_inline(
    rule @extschema@.segment_rule,
    path bigint[] DEFAULT '{}')
    RETURNS @extschema@.segment_rule
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    x record;
    facts text[] := '{}';
    rules iaros.segment_rule[] := '{}';
BEGIN
    PERFORM iaros.install_check();
    IF cardinality(path) <= 1 AND (
        WITH RECURSIVE asked AS (
            SELECT f.definition ->> 'segment' AS name FROM iaros.segment_rule_facts(rule) f WHERE f.kind = 'segment'
            UNION ALL
            SELECT f.definition ->> 'segment' FROM asked a
            JOIN iaros.segment s ON s.name = a.name
            JOIN iaros.segment_fact f ON f.segment_id = s.segment_id AND f.kind = 'segment')
        SELECT count(*) > 1000 FROM (SELECT FROM asked LIMIT 1001) x)
        -- One that asks for itself does so for ever: that is told below.
        AND NOT EXISTS (
            WITH RECURSIVE asked AS (
                SELECT f.definition ->> 'segment' AS name FROM iaros.segment_rule_facts(rule) f WHERE f.kind = 'segment'
                UNION
                SELECT f.definition ->> 'segment' FROM asked a
                JOIN iaros.segment s ON s.name = a.name
                JOIN iaros.segment_fact f ON f.segment_id = s.segment_id AND f.kind = 'segment')
            SELECT FROM asked a JOIN iaros.segment s ON s.name = a.name
            WHERE s.segment_id = ANY (path))
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = 'rule asks for more than 1000 other segments',
            DETAIL = 'Segments that they ask for count each time.',
            HINT = 'Write some of the rules out.';
    END IF;
    FOR x IN
        SELECT f.fact, f.kind AS fact_kind, f.definition, s.segment_id, s.kind, s.rule, s.enabled, u.cut
        FROM iaros.segment_rule_facts(rule) f
        LEFT JOIN iaros.segment s ON f.kind = 'segment' AND s.name = f.definition ->> 'segment'
        LEFT JOIN iaros.segment_cut u ON u.fact = f.fact
        WHERE f.kind IN ('segment', 'top', 'bottom')
    LOOP
        IF x.fact_kind <> 'segment' THEN
            facts := facts || x.fact;
            rules := rules || iaros.segment_cut_rule(x.definition, x.cut);
        ELSIF x.segment_id IS NULL OR NOT x.enabled OR x.segment_id = ANY (path) THEN
            RAISE EXCEPTION USING
                ERRCODE = CASE WHEN x.segment_id = ANY (path) THEN 'invalid_parameter_value' ELSE 'undefined_object' END,
                MESSAGE = format(CASE WHEN x.segment_id IS NULL THEN 'segment "%s" does not exist'
                    WHEN NOT x.enabled THEN 'segment "%s" is not enabled'
                    ELSE 'segment "%s" depends on itself' END, x.definition ->> 'segment'),
                DETAIL = coalesce((
                    SELECT format('Asked for by: %s.', string_agg(format('"%s"', s.name), ', ' ORDER BY p.n))
                    FROM unnest(path) WITH ORDINALITY AS p(id, n) JOIN iaros.segment s ON s.segment_id = p.id
                    HAVING count(*) > 0), 'The rule asks for it.'),
                HINT = CASE WHEN x.segment_id IS NULL THEN 'List the segments with SELECT * FROM iaros.segment_list().'
                    WHEN NOT x.enabled THEN 'Enable it again, or ask for another segment.'
                    ELSE 'Let one of these rules ask for something else.' END;
        ELSIF x.kind = 'dynamic' THEN
            facts := facts || x.fact;
            rules := rules || iaros.segment_inline(x.rule, path || x.segment_id);
        END IF;
    END LOOP;
    RETURN iaros.segment_rule_replace(rule, facts, rules);
END $$;
COMMENT ON FUNCTION @extschema@.segment_inline(@extschema@.segment_rule, bigint[]) IS
'Returns a rule as it is run: dynamic segments that it names are replaced by their rules, TOP and BOTTOM by the cut points that segment_refresh() froze. path: the segments on the way here. Errors: 42704 a segment that does not exist or is not enabled, 22023 a segment that depends on itself, 54000 more than 10,000 conditions or 1,000 segments.';

CREATE FUNCTION @extschema@.segment_error_stops(state text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN left(state, 2) IN ('40', '53', '57', '58', 'XX') OR state IN ('42501', '55P03');
COMMENT ON FUNCTION @extschema@.segment_error_stops(text) IS
'Tells whether an error, by its SQLSTATE, says nothing about the expression of a field: rights, locks, resources, the server. NULL gives NULL.';

CREATE FUNCTION @extschema@.segment_compile(checked boolean DEFAULT false, as_of timestamptz DEFAULT now(), customer_ids bigint[] DEFAULT NULL)
    RETURNS TABLE (segment_id bigint, rule @extschema@.segment_rule, meaning text, moving @extschema@.segment_moving, error text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    s record;
    one iaros.segment_rule;
    failure text;
    zone text := iaros.setting_get('brand_time_zone');
    broken jsonb := CASE WHEN checked THEN iaros.segment_fields_broken(as_of, customer_ids) ELSE '{}' END;
BEGIN
    PERFORM iaros.install_check();
    FOR s IN
        SELECT g.segment_id, g.rule, bool_or(f.kind <> 'field' AND f.kind <> 'event') AS nested,
            max(d.moving) AS moving, string_agg(concat_ws(' ', d.expression, d.relation, d.relation_key), ' ' ORDER BY d.field) AS fields,
            min(format('segment field "%s" does not exist', f.fact)) FILTER (WHERE f.kind = 'field' AND d.field IS NULL) AS missing,
            min(broken ->> f.fact) AS broken
        FROM iaros.segment g
        JOIN iaros.segment_fact f ON f.segment_id = g.segment_id
        LEFT JOIN iaros.segment_field d ON d.field = CASE WHEN f.kind IN ('top', 'bottom') THEN f.definition ->> 'field' ELSE f.fact END
        WHERE g.kind = 'dynamic' AND g.enabled
        GROUP BY g.segment_id ORDER BY g.segment_id
    LOOP
        failure := coalesce(s.missing, s.broken);
        one := s.rule;
        IF failure IS NULL AND s.nested THEN
            BEGIN
                one := iaros.segment_inline(s.rule, ARRAY[s.segment_id]);
                SELECT coalesce(min(format('segment field "%s" does not exist', f.fact)) FILTER (WHERE d.field IS NULL), min(broken ->> f.fact)),
                    max(d.moving), string_agg(concat_ws(' ', d.expression, d.relation, d.relation_key), ' ' ORDER BY d.field)
                INTO failure, s.moving, s.fields
                FROM iaros.segment_rule_facts(one) f
                LEFT JOIN iaros.segment_field d ON d.field = f.fact
                WHERE f.kind = 'field';
            EXCEPTION WHEN undefined_object OR invalid_parameter_value OR program_limit_exceeded THEN
                GET STACKED DIAGNOSTICS failure = MESSAGE_TEXT;
            END;
        END IF;
        IF failure IS NULL AND checked THEN
            BEGIN
                -- Bound to the columns as they are now.
                PERFORM iaros.segment_rule_sql(one, iaros.segment_source_sql(ARRAY[one]));
            EXCEPTION
                WHEN insufficient_privilege THEN
                    NULL;
                WHEN OTHERS THEN
                    IF iaros.segment_error_stops(SQLSTATE) THEN
                        RAISE;
                    END IF;
                    GET STACKED DIAGNOSTICS failure = MESSAGE_TEXT;
            END;
        END IF;
        RETURN QUERY SELECT s.segment_id, CASE WHEN failure IS NULL THEN one END,
            CASE WHEN failure IS NULL THEN md5(concat_ws(' ', one, s.fields, zone)) END, coalesce(s.moving, 'no'), failure;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.segment_compile(boolean, timestamptz, bigint[]) IS
'Returns each enabled dynamic segment with its rule as it is run, see segment_inline(), meaning, a hash of that rule, its fields and the time zone of days, and whether it asks for a field that is moving; or with the error that it has now (a field was taken away since, segments name each other). checked: the expressions of all fields are run as of a time over customer_ids, or over all when that is NULL, so that those that fail are found too.';

CREATE FUNCTION @extschema@.segment_fields_broken(as_of timestamptz DEFAULT now(), customer_ids bigint[] DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    f record;
    failure text;
    broken jsonb := '{}';
    test iaros.segment_rule;
BEGIN
    PERFORM iaros.install_check();
    FOR f IN
        SELECT DISTINCT d.field, d.kind FROM iaros.segment_field d
        JOIN iaros.segment_fact u ON d.field IN (u.fact, u.definition ->> 'field')
        ORDER BY d.field
    LOOP
        BEGIN
            test := jsonb_build_object('field', f.field, 'operator', 'IS NULL')::iaros.segment_rule;
            EXECUTE format('SELECT count(s.%I) FROM (%s) s', f.field, iaros.segment_source_sql(ARRAY[test], as_of, customer_ids));
        EXCEPTION
            -- The rights of the caller say nothing about the field.
            WHEN insufficient_privilege THEN
                NULL;
            WHEN OTHERS THEN
                IF iaros.segment_error_stops(SQLSTATE) THEN
                    RAISE;
                END IF;
                GET STACKED DIAGNOSTICS failure = MESSAGE_TEXT;
                broken := broken || jsonb_build_object(f.field, failure);
        END;
    END LOOP;
    RETURN broken;
END $$;
COMMENT ON FUNCTION @extschema@.segment_fields_broken(timestamptz, bigint[]) IS
'Returns the fields that segments ask for and whose expression fails as of a time for one of customer_ids, or of all when that is NULL, with the error of each. One scan of profile a field, or some profiles.';

CREATE FUNCTION @extschema@.segment_rule_check() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    allowed integer := iaros.setting_get('max_segments')::integer;
    one iaros.segment_rule;
BEGIN
    NEW.updated_at := now();
    IF NEW.enabled AND (TG_OP = 'INSERT' OR NOT OLD.enabled) AND allowed > 0
        AND (SELECT count(*) FROM iaros.segment s WHERE s.enabled) >= allowed
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = format('there are %s segments already', allowed),
            DETAIL = 'Setting max_segments bounds how many are enabled.',
            HINT = 'Disable segments that nobody uses, or raise the setting; 0 is no bound.';
    END IF;
    IF NEW.rule IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.rule::text IS DISTINCT FROM OLD.rule::text) THEN
        NEW.rule := iaros.segment_rule_resolve(NEW.rule);
        IF pg_trigger_depth() > 1 AND TG_OP = 'UPDATE' THEN
            -- Another segment was renamed, perhaps one that is switched off.
            RETURN NEW;
        END IF;
        one := iaros.segment_inline(NEW.rule, ARRAY[NEW.segment_id]);
        -- Bound to the columns, so that what does not fit is refused now.
        PERFORM iaros.segment_rule_sql(one, iaros.segment_source_sql(ARRAY[one]), now(), iaros.setting_get('brand_time_zone'));
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.segment_rule_check() IS
'Trigger of segment: puts the rule in terms of the engine, refuses one that cannot be run, and more segments than setting max_segments allows.';

CREATE FUNCTION @extschema@.segment_rule_follow() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.enabled <= OLD.enabled AND NEW.rule::text IS NOT DISTINCT FROM OLD.rule::text THEN
        RETURN NULL;
    END IF;
    DELETE FROM iaros.segment_fact f WHERE f.segment_id = NEW.segment_id;
    INSERT INTO iaros.segment_fact (segment_id, fact, kind, definition)
    SELECT NEW.segment_id, f.fact, f.kind, f.definition FROM iaros.segment_rule_facts(NEW.rule) f;
    IF (SELECT count(DISTINCT f.fact) FROM iaros.segment_fact f JOIN iaros.segment s ON s.segment_id = f.segment_id AND s.enabled) > 1500 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = 'segments ask for more than 1500 different things',
            DETAIL = 'Fields, numbers of events, cut points and other segments, of all segments that are enabled, are the columns of one query.',
            HINT = 'Let segments ask for the same numbers of events, or switch some off.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.segment_rule_follow() IS
'Trigger of segment: notes in segment_fact what the rule asks for. Error: 54000 more than 1,500 different facts of all enabled segments.';

CREATE FUNCTION @extschema@.segment_rename_follow() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM old_rows o JOIN new_rows n ON n.segment_id = o.segment_id AND n.name <> o.name) THEN
        RETURN NULL;
    END IF;
    UPDATE iaros.segment s
    SET rule = iaros.segment_rule_replace(s.rule, r.facts, r.rules)
    FROM (
        SELECT u.segment_id, array_agg(f.fact) AS facts, array_agg(jsonb_build_object('segment', n.name)::iaros.segment_rule) AS rules
        FROM old_rows o
        JOIN new_rows n ON n.segment_id = o.segment_id AND n.name <> o.name
        CROSS JOIN LATERAL iaros.segment_rule_facts(jsonb_build_object('segment', o.name)::iaros.segment_rule) f
        JOIN iaros.segment_fact u ON u.fact = f.fact
        GROUP BY u.segment_id) r
    WHERE s.segment_id = r.segment_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.segment_rename_follow() IS
'Statement trigger of segment: lets rules that name a segment follow when it is renamed.';

CREATE FUNCTION @extschema@.segment_history_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Who writes members now has done so after this, and is seen below.
    LOCK TABLE iaros.segment_membership IN SHARE MODE;
    IF EXISTS (SELECT FROM iaros.segment_event e WHERE e.segment_id = OLD.segment_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('segment "%s" has history', OLD.name),
            DETAIL = 'Rows of segment_event tell who entered and left it.',
            HINT = 'Switch it off instead: UPDATE iaros.segment SET enabled = false.';
    END IF;
    RETURN OLD;
END $$;
COMMENT ON FUNCTION @extschema@.segment_history_guard() IS
'Trigger of segment: keeps a segment that customers have entered.';

CREATE FUNCTION @extschema@.segment_used_guard() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    used record;
BEGIN
    SELECT o.name, string_agg(DISTINCT format('"%s"', s.name), ', ') AS users INTO used
    FROM old_rows o
    CROSS JOIN LATERAL iaros.segment_rule_facts(jsonb_build_object('segment', o.name)::iaros.segment_rule) n
    JOIN iaros.segment_fact f ON f.fact = n.fact
    JOIN iaros.segment s ON s.segment_id = f.segment_id
    GROUP BY o.name ORDER BY o.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('segment "%s" is used by other segments', used.name),
            DETAIL = format('Rules that ask for it: %s.', used.users),
            HINT = 'Change those rules first.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.segment_used_guard() IS
'Statement trigger of segment: keeps a segment that the rule of another one asks for.';

-- Engine: segments --------------------------------------------------------

CREATE FUNCTION @extschema@.segment_find(segment text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
    nearest text[];
BEGIN
    PERFORM iaros.install_check();
    SELECT s.segment_id INTO id FROM iaros.segment s
    WHERE lower(s.name) = lower(segment) OR s.segment_id::text = segment;
    IF FOUND THEN
        RETURN id;
    END IF;
    nearest := iaros.name_nearest(segment, ARRAY(SELECT s.name FROM iaros.segment s ORDER BY s.name));
    RAISE EXCEPTION USING
        ERRCODE = 'undefined_object',
        MESSAGE = format('segment "%s" does not exist', left(segment, 64)),
        HINT = CASE WHEN nearest <> '{}' THEN format('Nearest: "%s".', array_to_string(nearest, '", "'))
                    ELSE 'List the segments with SELECT * FROM iaros.segment_list().' END;
END $$;
COMMENT ON FUNCTION @extschema@.segment_find(text) IS
'Returns the segment_id of a segment given by its name (upper and lower case taken as one) or by its segment_id as text. Error: 42704 no such segment, with the nearest names as hint.';

CREATE FUNCTION @extschema@.segment_create(
    name text,
    rule @extschema@.segment_rule DEFAULT NULL,
    description text DEFAULT NULL,
    suggested_action text DEFAULT NULL,
    realtime boolean DEFAULT false)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    IF segment_create.name IS NULL OR segment_create.name !~ '^[^[:space:]](.{0,98}[^[:space:]])?$' OR segment_create.name ~ '^[0-9]+$' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('%s cannot be the name of a segment', coalesce('"' || left(segment_create.name, 100) || '"', 'NULL')),
            DETAIL = 'A name has 1 to 100 characters, no space at its ends, and is not a number.',
            HINT = 'Say who is in it: Family Travelers.';
    END IF;
    INSERT INTO iaros.segment (name, kind, rule, description, suggested_action, realtime)
    VALUES (segment_create.name,
            CASE WHEN segment_create.rule IS NULL THEN 'static' ELSE 'dynamic' END::iaros.segment_kind,
            segment_create.rule, segment_create.description, segment_create.suggested_action, segment_create.realtime)
    RETURNING segment_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_create(text, @extschema@.segment_rule, text, text, boolean) IS
'Makes a segment and returns its segment_id: dynamic with a rule, static without. A dynamic segment has customers from the next segment_refresh() on. realtime: customers enter and leave in the transaction that changes something about them; else with the next refresh. Errors: 23505 name is taken, 23514 name that is empty, longer than 100 characters or a number, 54000 more than max_segments, those of segment_rule_resolve() and segment_rule_sql().';

CREATE FUNCTION @extschema@.segment_list()
    RETURNS TABLE (segment_id bigint, name text, kind @extschema@.segment_kind, enabled boolean, realtime boolean, customers bigint,
        correct_as_of timestamptz, description text, suggested_action text, rule jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT s.segment_id, s.name, s.kind, s.enabled, s.realtime, coalesce(a.customers, 0), a.as_of,
            s.description, s.suggested_action, s.rule::jsonb
        FROM iaros.segment s
        LEFT JOIN iaros.segment_audience a ON a.segment_id = s.segment_id
        ORDER BY s.segment_id;
END $$;
COMMENT ON FUNCTION @extschema@.segment_list() IS
'Returns the segments with the number of customers that were in each at correct_as_of, when it was last refreshed (NULL: never). Reads no customer.';

CREATE FUNCTION @extschema@.segment_customers(segment text)
    RETURNS TABLE (customer_id bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint := iaros.segment_find(segment);
BEGIN
    RETURN QUERY
        SELECT DISTINCT coalesce(a.master_id, m.customer_id)
        FROM iaros.segment_membership m
        LEFT JOIN iaros.customer_alias a ON a.customer_id = m.customer_id
        WHERE m.segment_ids @> ARRAY[id];
END $$;
COMMENT ON FUNCTION @extschema@.segment_customers(text) IS
'Returns the customers who are in a segment now, given by name or segment_id, in no order; aliases as their master. Error: 42704 no such segment. Reads by index.';

CREATE FUNCTION @extschema@.segment_members(segment text, as_of timestamptz DEFAULT NULL)
    RETURNS @extschema@.audience
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint := iaros.segment_find(segment);
BEGIN
    IF as_of IS NULL THEN
        RETURN (SELECT a.members FROM iaros.segment_audience a WHERE a.segment_id = id);
    END IF;
    RETURN (
        SELECT iaros.audience_agg(l.customer_id)
        FROM (SELECT DISTINCT ON (e.customer_id) e.customer_id, e.entered
              FROM iaros.segment_event e
              WHERE e.segment_id = id AND e.at <= as_of
              ORDER BY e.customer_id, e.at DESC, e.segment_event_id DESC) l
        WHERE l.entered);
END $$;
COMMENT ON FUNCTION @extschema@.segment_members(text, timestamptz) IS
'Returns the audience of a segment as it was last refreshed, see segment_audience (NULL: never was); or with as_of who had entered and not left at that time, by segment_event. Error: 42704 no such segment.';

CREATE FUNCTION @extschema@.segment_live(
    customer_ids bigint[],
    as_of timestamptz,
    realtime boolean,
    attempt integer)
    RETURNS TABLE (customer_id bigint, asked bigint[], held bigint[])
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_live(bigint[], timestamptz, boolean, integer) IS
'Returns for each of some persons in which dynamic segments each is as of a time: asked, the enabled ones whose rule is no error, only those marked real-time if realtime; held, those of them whose rule holds, none for the id of nobody. Both ascend. attempt: 0, all; 1, after an error, without segments that ask for fields that fail, as they were last found; 2, as they are found anew. Rules and query are kept by the backend until a segment, a field or a cut point changes. No rows for NULL, nor where no segment is asked. Errors: those of the fields; 55006 a field asks for segments itself. One profile each.';

CREATE FUNCTION @extschema@.customer_segments(customer_id bigint, as_of timestamptz DEFAULT now())
    RETURNS TABLE (segment_id bigint, name text, kind @extschema@.segment_kind, since timestamptz, confidence double precision, suggested_action text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    AS $$
#variable_conflict use_column
DECLARE
    person bigint := iaros.customer_resolve(customer_segments.customer_id);
    until timestamptz := coalesce(customer_segments.as_of, now());
    persons bigint[];
    found bigint[];
BEGIN
    PERFORM iaros.segment_time_check(until);
    persons := ARRAY(SELECT iaros.customer_ids(person));
    FOR attempt IN 0 .. 2 LOOP
        BEGIN
            SELECT l.held INTO found FROM iaros.segment_live(ARRAY[person], until, false, attempt) l;
            EXIT;
        EXCEPTION WHEN OTHERS THEN
            -- A field whose expression fails is left out by the next attempt.
            IF attempt = 2 OR iaros.segment_error_stops(SQLSTATE) THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN QUERY
        SELECT s.segment_id, s.name, s.kind, e.at, f.confidence, s.suggested_action
        FROM (
            SELECT unnest(found)
            UNION
            SELECT u.id FROM iaros.segment_membership m
            CROSS JOIN LATERAL unnest(m.segment_ids) AS u(id)
            JOIN iaros.segment s ON s.segment_id = u.id AND s.kind = 'static'
            WHERE m.customer_id = ANY (persons)) AS i(id)
        JOIN iaros.segment s ON s.segment_id = i.id
        LEFT JOIN (
            SELECT e.segment_id, max(e.at) FROM iaros.segment_event e
            WHERE e.customer_id = ANY (persons) AND e.entered AND e.at <= until GROUP BY 1) AS e(id, at) ON e.id = i.id
        LEFT JOIN (
            SELECT f.segment_id, max(f.confidence) FROM iaros.segment_confidence f
            WHERE f.customer_id = ANY (persons) GROUP BY 1) AS f(id, confidence) ON f.id = i.id
        ORDER BY 1;
END $$;
COMMENT ON FUNCTION @extschema@.customer_segments(bigint, timestamptz) IS
'Returns the segments that a person, given any of the ids, is in as of a time (NULL: now()): dynamic ones by their rules, computed now from the profile as of then, static ones as they are. since: when the person last entered, as far as segment_event knows it by then. confidence: of members of static segments that a model made, 0 to 1. No row for NULL or an unknown customer. One profile.';

CREATE FUNCTION @extschema@.segment_time_check(at timestamptz)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF iaros.time_valid(at) IS FALSE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'datetime_field_overflow',
            MESSAGE = format('segments cannot change as of "%s"', at),
            HINT = 'Give a time from 1900 to 2199.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.segment_time_check(timestamptz) IS
'Refuses a time before 1900 or after 2199, 22008, as one at which somebody enters or leaves a segment. NULL is no error.';

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
'Returns the segment_id of a static segment. Errors: 42704 no such segment, 22023 the segment is dynamic, 22008 a time before 1900 or after 2199.';

CREATE FUNCTION @extschema@.segment_member_add(
    segment text,
    customer_ids bigint[],
    at timestamptz DEFAULT now(),
    confidences double precision[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    target bigint;
    missing bigint;
    added bigint;
BEGIN
    PERFORM iaros.install_check();
    IF segment IS NULL OR customer_ids IS NULL OR at IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM iaros.segment_time_check(at);
    target := iaros.segment_static(segment);
    -- Nobody deletes the segment meanwhile.
    PERFORM FROM iaros.segment s WHERE s.segment_id = target FOR KEY SHARE;
    IF NOT FOUND THEN
        PERFORM iaros.segment_find(segment);
    END IF;
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
        SELECT w.customer_id, ARRAY[target] FROM wanted w
        WHERE w.customer_id IS NOT NULL ORDER BY w.customer_id
        ON CONFLICT (customer_id) DO UPDATE
            SET segment_ids = iaros.segment_ids_merge(m.segment_ids, ARRAY[target], ARRAY[target]), updated_at = now()
            WHERE NOT m.segment_ids @> ARRAY[target]
        RETURNING m.customer_id),
    noted AS (
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered, reason)
        SELECT w.customer_id, segment_member_add.at, target, true, 'member' FROM written w),
    logged AS (
        INSERT INTO iaros.segment_change (customer_id, moved) SELECT w.customer_id, true FROM written w)
    SELECT count(*) INTO added FROM written;
    INSERT INTO iaros.segment_confidence AS f (customer_id, segment_id, confidence)
    SELECT DISTINCT ON (1) coalesce(a.master_id, i.id), target, i.confidence
    FROM unnest(customer_ids, confidences) AS i(id, confidence)
    LEFT JOIN iaros.customer_alias a ON a.customer_id = i.id
    WHERE i.id IS NOT NULL AND i.confidence IS NOT NULL
    ORDER BY 1, i.confidence DESC
    ON CONFLICT (customer_id, segment_id) DO UPDATE SET confidence = excluded.confidence;
    RETURN added;
END $$;
COMMENT ON FUNCTION @extschema@.segment_member_add(text, bigint[], timestamptz, double precision[]) IS
'Puts customers into a static segment (aliases as their master) and returns how many were not in it before; each leaves a row in segment_event. confidences: how sure it is of each customer, 0 to 1, where a model says so; NULL: nothing is said. NULL as segment, customers or time gives NULL. Errors: 42704 no such segment, 22023 the segment is dynamic, 23503 a customer that does not exist, 23514 confidence, 22008 a time before 1900 or after 2199.';

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
    PERFORM iaros.segment_time_check(at);
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
    DELETE FROM iaros.segment_confidence f WHERE f.customer_id = ANY (stored) AND f.segment_id = id;
    WITH written AS (
        UPDATE iaros.segment_membership m
        SET segment_ids = iaros.segment_ids_merge(m.segment_ids, ARRAY[id], '{}'), updated_at = now()
        WHERE m.customer_id = ANY (stored) AND m.segment_ids @> ARRAY[id]
        RETURNING m.customer_id),
    noted AS (
        INSERT INTO iaros.segment_event (customer_id, at, segment_id, entered, reason)
        SELECT w.customer_id, segment_member_remove.at, id, false, 'member' FROM written w),
    logged AS (
        INSERT INTO iaros.segment_change (customer_id, moved) SELECT w.customer_id, true FROM written w)
    SELECT count(*) INTO removed FROM written;
    RETURN removed;
END $$;
COMMENT ON FUNCTION @extschema@.segment_member_remove(text, bigint[], timestamptz) IS
'Takes customers, under whichever id they are in it, out of a static segment and returns how many rows that changed; each leaves a row in segment_event. NULL gives NULL. Errors: 42704 no such segment, 22023 the segment is dynamic, 22008 a time before 1900 or after 2199.';
