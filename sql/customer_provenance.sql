-- customer, provenance: what each source says of the attributes of a
-- customer, and which of them is right by priority and time.

-- Engine: attributes ------------------------------------------------------

CREATE FUNCTION @extschema@.customer_attributes()
    RETURNS TABLE (attribute text, type text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 12
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = 'iaros.customer'::regclass AND a.attnum > 0
          AND NOT a.attisdropped AND a.attgenerated = '' AND t.typcategory NOT IN ('A', 'C')
          AND a.attname <> ALL ('{customer_id,kind,source,observed_at,created_at,updated_at}')
        ORDER BY a.attnum;
END $$;
COMMENT ON FUNCTION @extschema@.customer_attributes() IS
'Returns the columns of customer that sources may claim, with their types: all but the keys and times, columns that you added included (not arrays or composites). Beside them every trait is an attribute, trait.<name>.';

CREATE FUNCTION @extschema@.customer_attribute_hint(attribute text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN concat(
        iaros.name_hint(attribute, ARRAY(
            SELECT a.attribute FROM iaros.customer_attributes() a
            UNION ALL SELECT 'trait.' || r.trait
            FROM (SELECT DISTINCT t.trait FROM iaros.customer_trait t
                  WHERE position('trait' IN $1) > 0 LIMIT 100) r)) || ' ',
        'List the attributes with SELECT * FROM iaros.customer_attributes(); a trait is trait.<name>.');
END $$;
COMMENT ON FUNCTION @extschema@.customer_attribute_hint(text) IS
'Returns the hint of an error about an attribute that does not exist: the nearest ones as name_hint() says, and where all are listed.';

CREATE FUNCTION @extschema@.customer_attribute_read(attribute text, value text, OUT canonical text, OUT reason text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    col record;
    rule record;
    ok boolean;
BEGIN
    PERFORM iaros.install_check();
    SELECT a.attnum, a.attname, a.attnotnull, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod) AS type INTO col
    FROM pg_attribute a
    JOIN iaros.customer_attributes() c ON c.attribute = a.attname
    WHERE a.attrelid = 'iaros.customer'::regclass AND c.attribute = customer_attribute_read.attribute;
    IF NOT FOUND AND attribute ~ '^trait[.][a-z][a-z0-9_.]{0,62}$' THEN
        canonical := value::jsonb::text;
        RETURN;
    ELSIF NOT FOUND THEN
        reason := format('attribute_unknown: "%s"', left(attribute, 60));
        RETURN;
    END IF;
    reason := attribute || '_invalid';
    IF value IS NULL THEN
        reason := CASE WHEN col.attnotnull THEN reason END;
        RETURN;
    END IF;
    -- A cast would cut what is too long, and guess at days.
    IF col.atttypid IN ('bpchar'::regtype, 'varchar'::regtype) AND length(value) > col.atttypmod - 4 AND col.atttypmod > 4
       OR col.atttypid = 'date'::regtype AND iaros.load_date(value) IS NULL
       OR attribute = 'time_zone' AND NOT iaros.load_time_zone_valid(value) THEN
        canonical := NULL;
    ELSE
        EXECUTE format('SELECT to_jsonb($1::%s) #>> ''{}''', col.type) INTO canonical USING value;
    END IF;
    FOR rule IN
        SELECT k.contype, pg_get_expr(k.conbin, k.conrelid) AS expression, k.confrelid::regclass AS relation,
            (SELECT f.attname FROM pg_attribute f WHERE f.attrelid = k.confrelid AND f.attnum = k.confkey[1]) AS key
        FROM pg_constraint k
        WHERE k.conrelid = 'iaros.customer'::regclass AND k.contype IN ('c', 'f')
          AND k.conkey = ARRAY[col.attnum] AND canonical IS NOT NULL
    LOOP
        IF rule.contype = 'c' THEN
            EXECUTE format('SELECT %s FROM (SELECT $1::%s AS %I) customer', rule.expression, col.type, col.attname) INTO ok USING canonical;
        ELSE
            EXECUTE format('SELECT EXISTS (SELECT FROM %s r WHERE r.%I = $1::%s)', rule.relation, rule.key, col.type) INTO ok USING canonical;
            IF NOT ok THEN
                reason := format('%s_unknown: "%s"', attribute, left(canonical, 60));
            END IF;
        END IF;
        IF NOT ok THEN
            canonical := NULL;
        END IF;
    END LOOP;
    IF canonical IS NOT NULL THEN
        reason := NULL;
    END IF;
EXCEPTION WHEN data_exception OR check_violation OR not_null_violation THEN
    -- What the input function of a type, or a domain, does not take.
    canonical := NULL;
    reason := attribute || '_invalid';
END $$;
COMMENT ON FUNCTION @extschema@.customer_attribute_read(text, text) IS
'Reads a value that a source states for an attribute: canonical is its text as the column holds it, reason is NULL or why it cannot be (attribute_unknown, <attribute>_invalid, <attribute>_unknown: not in the table that it refers to). Asks the type, the checks and the foreign keys that the column has now; days in ISO 8601 only. value of a trait is JSON. NULL (known to be empty) stays NULL.';

CREATE FUNCTION @extschema@.customer_claim_read(attributes jsonb)
    RETURNS TABLE (attribute text, value text, reason text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT e.key, r.canonical, CASE WHEN jsonb_typeof(e.value) IN ('object', 'array') AND NOT starts_with(e.key, 'trait.')
            THEN coalesce(r.reason, e.key || '_invalid') ELSE r.reason END
        FROM jsonb_each(CASE WHEN jsonb_typeof(attributes) = 'object' THEN attributes ELSE '{}' END) e
        CROSS JOIN LATERAL iaros.customer_attribute_read(e.key, CASE WHEN e.value <> 'null' AND starts_with(e.key, 'trait.')
            THEN e.value::text ELSE e.value #>> '{}' END) r
        WHERE e.value <> '""';
END $$;
COMMENT ON FUNCTION @extschema@.customer_claim_read(jsonb) IS
'Returns what a JSON object of attributes states, one row each: the value as stored (NULL: known to be empty, from JSON null) and why it cannot be, if so. An empty text states nothing and gives no row.';

CREATE FUNCTION @extschema@.customer_said_at(at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN @extschema@.time_valid(at) AND at <= now() + interval '1 day' THEN at ELSE now() END;
COMMENT ON FUNCTION @extschema@.customer_said_at(timestamptz) IS
'Returns the time of a row as that of a claim: itself, or now where it is no time at which something was observed (NULL, before 1900, more than a day ahead). Inlined.';

-- Engine: what is said ----------------------------------------------------

CREATE FUNCTION @extschema@.customer_said_base(customer_ids bigint[])
    RETURNS TABLE (customer_id bigint, attribute text, source text, value text, observed_at timestamptz, received_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
DECLARE
    names text[];
BEGIN
    PERFORM iaros.install_check();
    names := ARRAY(SELECT a.attribute FROM iaros.customer_attributes() a);
    RETURN QUERY
        SELECT c.customer_id, e.key, c.source, e.value, iaros.customer_said_at(coalesce(c.observed_at, c.created_at)),
            greatest(c.observed_at, iaros.customer_said_at(c.created_at))
        FROM iaros.customer c
        CROSS JOIN LATERAL jsonb_each_text(to_jsonb(c)) e
        WHERE c.customer_id = ANY (customer_ids) AND e.value IS NOT NULL AND e.key = ANY (names)
          AND NOT EXISTS (SELECT FROM iaros.customer_claim s
                          WHERE s.customer_id = c.customer_id AND s.attribute = e.key)
        UNION ALL
        SELECT t.customer_id, 'trait.' || t.trait, t.source, t.value::text, u.at, u.at
        FROM iaros.customer_trait t
        CROSS JOIN LATERAL (SELECT iaros.customer_said_at(t.updated_at)) AS u(at)
        WHERE t.customer_id = ANY (customer_ids)
          AND NOT EXISTS (SELECT FROM iaros.customer_claim s
                          WHERE s.customer_id = t.customer_id AND s.attribute = 'trait.' || t.trait);
END $$;
COMMENT ON FUNCTION @extschema@.customer_said_base(bigint[]) IS
'Returns what the rows of customer and customer_trait say of attributes that have no row in customer_claim: the source is that of the row, the time customer.observed_at (created_at where it is NULL) or customer_trait.updated_at. This is what one source alone has said, kept without a claim.';

CREATE FUNCTION @extschema@.customer_said(customer_ids bigint[])
    RETURNS TABLE (customer_id bigint, attribute text, source text, value text, observed_at timestamptz, received_at timestamptz, priority integer)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT s.*, coalesce(o.priority, w.priority, 0)
        FROM (SELECT c.customer_id, c.attribute, c.source, c.value, c.observed_at, c.received_at
              FROM iaros.customer_claim c WHERE c.customer_id = ANY (customer_ids)
              UNION ALL
              SELECT b.* FROM iaros.customer_said_base(customer_ids) b) s
        LEFT JOIN iaros.source_priority o ON o.attribute = s.attribute AND o.source = s.source
        LEFT JOIN iaros.source_priority w ON w.attribute = '*' AND w.source = s.source;
END $$;
COMMENT ON FUNCTION @extschema@.customer_said(bigint[]) IS
'Returns what each source said last of each attribute of some customers, claimed or kept in their rows, with the priority of the source for the attribute. Reads by index.';

CREATE FUNCTION @extschema@.customer_provenance(customer_id bigint)
    RETURNS TABLE (attribute text, value text, source text, observed_at timestamptz, received_at timestamptz,
                   priority integer, wins boolean, reason text, stored_as bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT r.attribute, r.value, r.source, r.observed_at, r.received_at, r.priority, r.n = 1,
            CASE WHEN r.n = 1 AND r.rivals = 1 THEN 'only source'
                 WHEN r.priority > r.that_priority THEN 'higher priority'
                 WHEN r.priority < r.that_priority THEN 'lower priority'
                 WHEN r.observed_at > r.that_time THEN 'observed later'
                 WHEN r.observed_at < r.that_time THEN 'observed earlier'
                 WHEN r.n = 1 THEN 'first by name' ELSE 'later by name' END,
            r.customer_id
        FROM (
            -- The winner is compared with the next best, others with the winner.
            SELECT s.*, row_number() OVER w AS n, count(*) OVER (PARTITION BY s.attribute) AS rivals,
                CASE WHEN row_number() OVER w = 1 THEN lead(s.priority) OVER w ELSE first_value(s.priority) OVER w END AS that_priority,
                CASE WHEN row_number() OVER w = 1 THEN lead(s.observed_at) OVER w ELSE first_value(s.observed_at) OVER w END AS that_time
            FROM iaros.customer_said(ARRAY(SELECT iaros.customer_ids(customer_provenance.customer_id))) s
            WINDOW w AS (PARTITION BY s.attribute ORDER BY s.priority DESC, s.observed_at DESC, s.source COLLATE "C", s.customer_id)) r
        ORDER BY r.attribute COLLATE "C", r.n;
END $$;
COMMENT ON FUNCTION @extschema@.customer_provenance(bigint) IS
'Returns for every attribute of a person what each source said last, the one that wins first: value (NULL: known to be empty), source, when the source observed it and when it came here, priority, whether it wins, why, and under which id it is stored. The customer may be any id of the person; what was said of the master and of all aliases is weighed together. The order: priority of the source for the attribute, then the newer observed_at, then the name of the source, then the smaller id. Reads by index.';

CREATE FUNCTION @extschema@.customer_provenance_check(max_rows integer DEFAULT 100)
    RETURNS TABLE (customer_id bigint, attribute text, stored text, claimed text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT b.customer_id, b.attribute, v.stored, b.value
        FROM (
            SELECT DISTINCT ON (c.customer_id, c.attribute) c.customer_id, c.attribute, c.value
            FROM iaros.customer_claim c
            LEFT JOIN iaros.source_priority o ON o.attribute = c.attribute AND o.source = c.source
            LEFT JOIN iaros.source_priority w ON w.attribute = '*' AND w.source = c.source
            ORDER BY c.customer_id, c.attribute, coalesce(o.priority, w.priority, 0) DESC, c.observed_at DESC, c.source COLLATE "C") b
        JOIN iaros.customer c ON c.customer_id = b.customer_id
        LEFT JOIN iaros.customer_trait t ON t.customer_id = b.customer_id AND b.attribute = 'trait.' || t.trait
        CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(b.attribute, 'trait.') THEN t.value::text
                                        ELSE to_jsonb(c) ->> b.attribute END) AS v(stored)
        WHERE v.stored IS DISTINCT FROM b.value
        ORDER BY 1, 2
        LIMIT max_rows;
END $$;
COMMENT ON FUNCTION @extschema@.customer_provenance_check(integer) IS
'Compares the rows of customer and customer_trait with the claims that win now and returns the attributes that differ, at most max_rows (NULL: all). There are none but after a change of source_priority, until customer_provenance_refresh(). Reads all of customer_claim, linear.';

-- Engine: claims ----------------------------------------------------------

CREATE FUNCTION @extschema@.customer_claim_check(customer_id bigint, source text)
    RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.customer_require(customer_id);
    IF NOT EXISTS (SELECT FROM iaros.data_source d WHERE d.source = customer_claim_check.source) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('data source "%s" does not exist', coalesce(source, 'NULL')),
            HINT = 'List the sources with SELECT * FROM iaros.data_source; add your own there.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.customer_claim_check(bigint, text) IS
'Raises 23503 when the customer or the source of a claim does not exist.';

CREATE FUNCTION @extschema@.customer_claim_record(
    customer_id bigint,
    source text,
    attributes jsonb,
    observed_at timestamptz DEFAULT now())
    RETURNS TABLE (attribute text, value text, outcome text)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    names text[];
    vals text[];
    reasons text[];
BEGIN
    PERFORM iaros.customer_claim_check(customer_id, source);
    IF jsonb_typeof(attributes) = 'object' IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('attributes must be a JSON object, not %s', coalesce(jsonb_typeof(attributes), 'NULL')),
            HINT = 'Example: {"city": "Lyon", "trait.vip": true}.';
    END IF;
    IF (iaros.time_valid(observed_at) AND observed_at <= now() + interval '1 day') IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('observed_at "%s" is no time at which something was observed', coalesce(observed_at::text, 'NULL')),
            HINT = 'Give a time from 1900 on and not in the future.';
    END IF;
    SELECT array_agg(r.attribute ORDER BY r.attribute), array_agg(r.value ORDER BY r.attribute),
        array_agg(r.reason ORDER BY r.reason LIKE 'attribute_unknown%' DESC, r.attribute) FILTER (WHERE r.reason IS NOT NULL)
    INTO names, vals, reasons FROM iaros.customer_claim_read(attributes) r;
    IF reasons IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN reasons[1] LIKE 'attribute_unknown%' THEN 'undefined_column'
                WHEN reasons[1] LIKE '%_unknown: %' THEN 'foreign_key_violation' ELSE 'check_violation' END,
            MESSAGE = format('claim refused: %s', reasons[1]),
            DETAIL = format('All reasons: %s.', array_to_string(reasons, '; ')),
            HINT = CASE WHEN reasons[1] LIKE 'attribute_unknown%' THEN
                    iaros.customer_attribute_hint(substring(reasons[1] FROM '"(.*)"'))
                ELSE 'State what the column of iaros.customer can hold; null says that it is known to be empty.' END;
    END IF;
    IF names IS NULL THEN
        RETURN;
    END IF;
    PERFORM iaros.customer_claim_apply(array_fill(customer_id, ARRAY[cardinality(names)]), names,
        array_fill(source, ARRAY[cardinality(names)]), vals, array_fill(observed_at, ARRAY[cardinality(names)]));
    RETURN QUERY
        SELECT n.attribute, n.value, CASE
            WHEN s.observed_at > customer_claim_record.observed_at THEN 'superseded'
            WHEN EXISTS (SELECT FROM iaros.customer_said(ARRAY[customer_claim_record.customer_id]) b
                WHERE b.attribute = n.attribute AND (b.priority, b.observed_at) >= (s.priority, s.observed_at)
                  AND ((b.priority, b.observed_at) > (s.priority, s.observed_at) OR b.source COLLATE "C" < s.source))
                THEN 'outranked' ELSE 'wins' END
        FROM unnest(names, vals) AS n(attribute, value)
        -- A trait that is known to be empty leaves no row, but its claim.
        LEFT JOIN iaros.customer_said(ARRAY[customer_claim_record.customer_id]) s
            ON s.attribute = n.attribute AND s.source = customer_claim_record.source
        ORDER BY n.attribute;
END $$;
COMMENT ON FUNCTION @extschema@.customer_claim_record(bigint, text, jsonb, timestamptz) IS
'Records what a source says of a customer, as observed at a time: a JSON object of attributes (columns of customer, trait.<name>); null says that the attribute is known to be empty, an empty text states nothing. The best claim of each attribute is written into customer and customer_trait in the same transaction. Returns each attribute with its outcome: wins, outranked (another source wins) or superseded (the source itself said something later). All or nothing. Errors: 42703 an attribute that does not exist, with the nearest names; 23514 a value that the column does not take; 23503 unknown customer, source, or value of a catalogue; 22023 attributes no object, observed_at before 1900 or more than a day ahead.';

CREATE FUNCTION @extschema@.customer_claim_withdraw(
    customer_id bigint,
    source text,
    attributes text[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wrong text;
BEGIN
    PERFORM iaros.customer_claim_check(customer_id, source);
    SELECT n INTO wrong FROM unnest(attributes) AS n
    WHERE n IS NULL OR n !~ '^trait[.][a-z][a-z0-9_.]{0,62}$' AND n NOT IN (SELECT a.attribute FROM iaros.customer_attributes() a) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_column',
            MESSAGE = format('attribute "%s" does not exist', coalesce(wrong, 'NULL')),
            HINT = iaros.customer_attribute_hint(wrong);
    END IF;
    RETURN iaros.customer_claim_remove(ARRAY[customer_id], source, attributes);
END $$;
COMMENT ON FUNCTION @extschema@.customer_claim_withdraw(bigint, text, text[]) IS
'Takes back what a source said of a customer: of the attributes named, or of all (NULL). The next best claim wins; where there is none, the attribute becomes empty. Returns how many claims were withdrawn, also those that a row kept without a claim. Writes an audit row without values. Errors: 23503 unknown customer or source, 42703 unknown attribute.';

CREATE FUNCTION @extschema@.customer_provenance_refresh() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
    names text[];
BEGIN
    PERFORM iaros.install_check();
    SELECT array_agg(c.customer_id), array_agg(c.attribute) INTO ids, names
    FROM iaros.customer_provenance_check(NULL) c;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM iaros.customer_claim_lock(ids);
    PERFORM iaros.customer_claim_decide(ids, names);
    RETURN cardinality(ids);
END $$;
COMMENT ON FUNCTION @extschema@.customer_provenance_refresh() IS
'Decides anew which claim wins wherever customer or customer_trait differ from it, and returns how many attributes that were: to be called after a change of source_priority. Reads all of customer_claim, writes only what differs.';

CREATE FUNCTION @extschema@.customer_claim_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('claim', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.customer_claim_load(text, text) IS
'Records what a source says of many customers, from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: observed_at, attributes (a JSON object as in customer_claim_record), and the customer as customer_id or customer_external_id (with customer_source, when it is another source). Optional: refuse, reasons of your own to refuse a row. A row that says nothing new (its source said all of it at that time, or something later) is a duplicate. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.load_claim_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{customer_id,customer_external_id,customer_source,observed_at,attributes}'::text[],
    '{observed_at,attributes}'::text[],
$checks$
SELECT * FROM (
WITH typed AS (
    SELECT s.row_no, s.payload, iaros.load_integer(x.customer_id) AS customer_id,
        nullif(x.customer_external_id, '') AS customer_external_id,
        coalesce(nullif(x.customer_source, ''), $1) AS customer_source,
        iaros.load_time(x.observed_at) AS observed_at,
        CASE WHEN jsonb_typeof(x.attributes) = 'object' THEN x.attributes END AS attributes
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(customer_id text, customer_external_id text, customer_source text, observed_at text, attributes jsonb)),
owned AS MATERIALIZED (
    SELECT t.*, k.customer_id AS key_customer, c.customer_id AS owner_id,
        c.source AS row_source, iaros.customer_said_at(coalesce(c.observed_at, c.created_at)) AS said_at
    FROM typed t
    LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
    LEFT JOIN iaros.customer c ON c.customer_id = coalesce(t.customer_id, k.customer_id)),
item AS MATERIALIZED (
    SELECT t.row_no, t.owner_id, t.observed_at, e.key, e.value, CASE WHEN e.value <> 'null' AND starts_with(e.key, 'trait.')
        THEN e.value::text ELSE e.value #>> '{}' END AS said,
        jsonb_typeof(e.value) IN ('object', 'array') AND NOT starts_with(e.key, 'trait.') AS nested
    FROM owned t CROSS JOIN LATERAL jsonb_each(t.attributes) e
    WHERE e.value <> '""'),
-- Plain text needs no reading, and of the others each value is read once.
plain AS MATERIALIZED (
    SELECT a.attribute FROM iaros.customer_attributes() a
    WHERE a.type = 'text' AND a.attribute <> 'time_zone' AND NOT EXISTS (
        SELECT FROM pg_constraint k JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = ANY (k.conkey)
        WHERE k.conrelid = 'iaros.customer'::regclass AND c.attname = a.attribute)
      AND NOT EXISTS (SELECT FROM pg_attribute c
        WHERE c.attrelid = 'iaros.customer'::regclass AND c.attname = a.attribute AND c.attnotnull)),
distinct_value AS MATERIALIZED (
    SELECT DISTINCT i.key, i.said FROM item i WHERE i.key NOT IN (SELECT p.attribute FROM plain p)),
known AS MATERIALIZED (
    SELECT d.key, d.said, r.canonical, r.reason
    FROM distinct_value d CROSS JOIN LATERAL iaros.customer_attribute_read(d.key, d.said) r),
stated AS MATERIALIZED (
    SELECT i.row_no, array_agg(i.key ORDER BY i.key) AS names,
        array_agg(CASE WHEN k.key IS NULL THEN i.said ELSE k.canonical END ORDER BY i.key) AS vals,
        array_agg(coalesce(k.reason, CASE WHEN i.nested THEN i.key || '_invalid' END) ORDER BY i.key) AS reasons
    FROM item i LEFT JOIN known k ON k.key = i.key AND k.said IS NOT DISTINCT FROM i.said
    GROUP BY i.row_no),
-- The same attribute twice at one time: the first row stays.
clash AS MATERIALIZED (
    SELECT f.row_no, array_agg(format('conflict_in_load: row %s has another %s', f.first_row, f.key) ORDER BY f.key) AS reasons
    FROM (SELECT i.row_no, i.key, i.said, first_value(i.said) OVER w AS first_said, first_value(i.row_no) OVER w AS first_row
          FROM item i WHERE i.owner_id IS NOT NULL AND i.observed_at IS NOT NULL
          WINDOW w AS (PARTITION BY i.owner_id, i.observed_at, i.key ORDER BY i.row_no)) f
    WHERE f.said IS DISTINCT FROM f.first_said
    GROUP BY f.row_no)
SELECT t.row_no, t.payload, concat(t.owner_id, ' ', t.observed_at, ' ', s.names) AS natural_key,
    t.customer_external_id AS external_id, t.owner_id,
    t.observed_at, s.names, s.vals, '{}'::jsonb AS content, CASE WHEN old.known THEN '{}'::jsonb END AS old_content,
    array_remove(ARRAY[
        iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, t.key_customer, t.owner_id),
        iaros.load_refusal(iaros.time_valid(t.observed_at) AND t.observed_at <= now() + interval '1 day', 'observed_at', t.payload, true, true),
        CASE WHEN t.attributes IS NULL THEN 'attributes_invalid: not a JSON object'
            WHEN s.row_no IS NULL THEN 'attributes_missing' END] || s.reasons || x.reasons, NULL) AS reasons
FROM owned t
LEFT JOIN stated s USING (row_no)
LEFT JOIN clash x USING (row_no)
LEFT JOIN LATERAL (
    SELECT bool_and((CASE
        WHEN w.source IS NOT NULL THEN w.observed_at > t.observed_at
            OR w.observed_at = t.observed_at AND w.value IS NOT DISTINCT FROM n.value
        WHEN EXISTS (SELECT FROM iaros.customer_claim o WHERE o.customer_id = t.owner_id AND o.attribute = n.attribute) THEN false
        WHEN r.source IS NOT NULL THEN r.source = $1 AND (r.updated_at > t.observed_at
            OR r.updated_at = t.observed_at AND r.value::text = n.value)
        ELSE t.row_source = $1 AND to_jsonb(c) ->> n.attribute IS NOT NULL AND (t.said_at > t.observed_at
            OR t.said_at = t.observed_at AND to_jsonb(c) ->> n.attribute = n.value) END) IS TRUE) AS known
    FROM unnest(s.names, s.vals) AS n(attribute, value)
    LEFT JOIN iaros.customer_claim w ON w.customer_id = t.owner_id AND w.source = $1 AND w.attribute = n.attribute
    LEFT JOIN iaros.customer_trait r ON r.customer_id = t.owner_id AND n.attribute = 'trait.' || r.trait
    LEFT JOIN iaros.customer c ON c.customer_id = t.owner_id AND t.row_source = $1) old ON true
OFFSET 0) claim_row
$checks$,
'',
'external_id, owner_id, observed_at, names, vals',
$writes$
claimed AS MATERIALIZED (
    SELECT iaros.customer_claim_apply(array_agg(b.owner_id), array_agg(b.name), array_agg($1), array_agg(b.value), array_agg(b.observed_at))
    FROM (SELECT c.owner_id, n.name, n.value, c.observed_at, (dense_rank() OVER (ORDER BY c.owner_id) - 1) / 10000 AS batch
          FROM checked c CROSS JOIN LATERAL unnest(c.names, c.vals) AS n(name, value)
          WHERE c.verdict = 'new' ORDER BY c.owner_id, c.row_no) b
    -- Customers are locked in order of their ids, batch after batch.
    GROUP BY b.batch ORDER BY b.batch)
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_claim_sql() IS
'The fields, the required fields, the checks (with the joins to what is stored), the columns kept of them and the writes of customer_claim_load(), as SQL for load_rows().';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.customer_install_provenance()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.source_priority (
        attribute text NOT NULL CHECK (attribute = '*' OR attribute ~ '^[a-z_][a-z0-9_.]{0,69}$'),
        source text NOT NULL REFERENCES iaros.data_source,
        priority integer NOT NULL,
        shipped_hash text,
        PRIMARY KEY (attribute, source)
    );
    COMMENT ON TABLE iaros.source_priority IS
        'Which source is believed: the higher priority wins. A row for the attribute goes before the one for *; a source without either has 0. After a change call customer_provenance_refresh().';
    CREATE INDEX source_priority_source ON iaros.source_priority (source);
    INSERT INTO iaros.source_priority (attribute, source, priority, shipped_hash) VALUES
        ('*', 'manual', 100, 'new'),
        ('*', 'loyalty', 80, 'new'),
        ('*', 'crm', 70, 'new'),
        ('*', 'pss', 60, 'new'),
        ('*', 'support', 60, 'new'),
        ('*', 'mobile', 50, 'new'),
        ('*', 'web', 50, 'new'),
        ('*', 'message', 30, 'new'),
        ('*', 'external', 20, 'new'),
        ('*', 'demo', 10, 'new'),
        -- As in the travel document.
        ('first_name', 'pss', 90, 'new'),
        ('last_name', 'pss', 90, 'new'),
        ('birth_date', 'pss', 90, 'new'),
        ('nationality', 'pss', 90, 'new');
    PERFORM iaros.shipped_seal('iaros.source_priority');
    CREATE TRIGGER source_priority_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.source_priority
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('attribute', 'source');

    CREATE TABLE iaros.customer_claim (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        observed_at timestamptz NOT NULL CHECK (iaros.time_valid(observed_at)),
        received_at timestamptz NOT NULL DEFAULT now(),
        attribute text NOT NULL,
        source text NOT NULL REFERENCES iaros.data_source,
        value text,
        PRIMARY KEY (customer_id, attribute, source),
        CONSTRAINT customer_claim_not_ahead CHECK (observed_at - received_at <= interval '1 day')
    );
    COMMENT ON TABLE iaros.customer_claim IS
        'What each source said last of an attribute of a customer, where customer and customer_trait alone do not tell. The best claim is what those hold. Written by the gates of customer_claim_record(), customer_claim_load() and by changes of those tables.';
    COMMENT ON COLUMN iaros.customer_claim.attribute IS 'A column of customer, or trait.<name>.';
    COMMENT ON COLUMN iaros.customer_claim.value IS 'As text; JSON for traits. NULL: the source knows that it is empty.';
    CREATE VIEW iaros.customer_claim_masked AS
        SELECT c.customer_id, c.attribute, c.source,
            CASE WHEN c.attribute = 'birth_date' THEN left(c.value, 4)
                 WHEN EXISTS (SELECT FROM iaros.personal_columns() p WHERE p.relation = 'customer' AND p.attribute = c.attribute)
                     THEN iaros.mask_text(c.value)
                 ELSE c.value END AS value,
            c.observed_at, c.received_at
        FROM iaros.customer_claim c;
    COMMENT ON VIEW iaros.customer_claim_masked IS
        'Claims with personal values masked, the year of birth only: for roles with access level read.';

    CREATE FUNCTION iaros.customer_claim_lock(customer_ids bigint[])
        RETURNS void
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM FROM iaros.customer c WHERE c.customer_id = ANY (customer_ids)
        ORDER BY c.customer_id FOR NO KEY UPDATE;
        PERFORM FROM iaros.customer_trait t WHERE t.customer_id = ANY (customer_ids)
        ORDER BY t.customer_id, t.trait FOR NO KEY UPDATE;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_lock(bigint[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_lock(bigint[]) IS
        'Gate: locks customers and then their traits, each in order of keys: what claims are decided under. What depends on them is read by later statements.';

    CREATE FUNCTION iaros.customer_claim_decide(customer_ids bigint[], attributes text[])
        RETURNS void
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET timezone = 'UTC'
        SET datestyle = 'ISO, YMD'
        AS $gate$
    DECLARE
        names text[] := ARRAY(SELECT quote_ident(a.attribute) FROM iaros.customer_attributes() a);
        who text := coalesce(current_setting('iaros.claim_source', true), '');
    BEGIN
        -- The triggers of the tables must not take this for something said.
        -- (No SET clause: only a superuser could make such a function.)
        PERFORM set_config('iaros.claim_source', '-', true);
        EXECUTE format($sql$
            WITH best AS MATERIALIZED (
                SELECT p.customer_id, p.attribute, w.value, w.source, w.observed_at
                FROM (SELECT DISTINCT u.c, u.a FROM unnest($1, $2) AS u(c, a)) AS p(customer_id, attribute)
                LEFT JOIN LATERAL (
                    SELECT c.value, c.source, c.observed_at
                    FROM iaros.customer_claim c
                    LEFT JOIN iaros.source_priority o ON o.attribute = c.attribute AND o.source = c.source
                    LEFT JOIN iaros.source_priority w ON w.attribute = '*' AND w.source = c.source
                    WHERE c.customer_id = p.customer_id AND c.attribute = p.attribute
                    ORDER BY coalesce(o.priority, w.priority, 0) DESC, c.observed_at DESC, c.source COLLATE "C"
                    LIMIT 1) w ON true),
            columns AS MATERIALIZED (
                SELECT b.customer_id, jsonb_object_agg(b.attribute, b.value) AS said
                FROM best b WHERE NOT starts_with(b.attribute, 'trait.') GROUP BY b.customer_id),
            kept AS (
                UPDATE iaros.customer c SET (%1$s, updated_at) =
                    (SELECT %2$s, now() FROM jsonb_populate_record(c, g.said) r)
                FROM columns g
                WHERE c.customer_id = g.customer_id AND EXISTS (
                    SELECT FROM jsonb_each_text(g.said) e WHERE to_jsonb(c) ->> e.key IS DISTINCT FROM e.value)),
            gone AS (
                DELETE FROM iaros.customer_trait t USING best b
                WHERE t.customer_id = b.customer_id AND b.attribute = 'trait.' || t.trait AND b.value IS NULL)
            INSERT INTO iaros.customer_trait AS t (customer_id, trait, value, source, updated_at)
            SELECT b.customer_id, substr(b.attribute, 7), b.value::jsonb, b.source, b.observed_at
            FROM best b WHERE starts_with(b.attribute, 'trait.') AND b.value IS NOT NULL
            ON CONFLICT (customer_id, trait) DO UPDATE
                SET value = excluded.value, source = excluded.source, updated_at = excluded.updated_at
                WHERE (t.value, t.source, t.updated_at) IS DISTINCT FROM (excluded.value, excluded.source, excluded.updated_at)
            $sql$, array_to_string(names, ', '), 'r.' || array_to_string(names, ', r.'))
            USING customer_ids, attributes;
        PERFORM set_config('iaros.claim_source', who, true);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_decide(bigint[], text[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_decide(bigint[], text[]) IS
        'Gate: writes the claim that wins into customer and customer_trait, for pairs of customer and attribute (two arrays of one length) whose customers are locked; empty where no claim is left. SECURITY DEFINER for the reason of customer_claim_apply().';

    CREATE FUNCTION iaros.customer_claim_store(
        customer_ids bigint[], attributes text[], sources text[], vals text[],
        observed timestamptz[], received timestamptz[] DEFAULT NULL)
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        stored bigint;
    BEGIN
        INSERT INTO iaros.customer_claim AS c (customer_id, attribute, source, value, observed_at, received_at)
        SELECT DISTINCT ON (u.c, u.a, u.s) u.c, u.a, u.s, u.v, u.o, coalesce(u.r, now())
        FROM unnest(customer_ids, attributes, sources, vals, observed, received) WITH ORDINALITY AS u(c, a, s, v, o, r, n)
        WHERE u.c IS NOT NULL
        ORDER BY u.c, u.a, u.s, u.o DESC, u.n DESC
        ON CONFLICT (customer_id, attribute, source) DO UPDATE
            SET value = excluded.value, observed_at = excluded.observed_at, received_at = excluded.received_at
            -- What was observed earlier came late. A base never replaces.
            WHERE received IS NULL AND (excluded.observed_at > c.observed_at
                OR excluded.observed_at = c.observed_at AND excluded.value IS DISTINCT FROM c.value);
        GET DIAGNOSTICS stored = ROW_COUNT;
        -- Also where nothing is new: a row may have been changed by hand.
        IF received IS NULL THEN
            PERFORM iaros.customer_claim_decide(customer_ids, attributes);
        END IF;
        RETURN stored;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_store(bigint[], text[], text[], text[], timestamptz[], timestamptz[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_store(bigint[], text[], text[], text[], timestamptz[], timestamptz[]) IS
        'Gate: stores claims (arrays of one length) of customers that are locked, unless their source said something later, decides who wins, and returns how many were new. With times of receipt they are what rows said before there were claims, and change no winner.';

    CREATE FUNCTION iaros.customer_claim_keep(customer_ids bigint[], attributes text[])
        RETURNS void
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM iaros.customer_claim_store(array_agg(b.customer_id), array_agg(b.attribute), array_agg(b.source),
            array_agg(b.value), array_agg(b.observed_at), array_agg(b.received_at))
        FROM iaros.customer_said_base(customer_ids) b
        JOIN (SELECT DISTINCT u.c, u.a FROM unnest(customer_ids, attributes) AS u(c, a)) p
            ON p.c = b.customer_id AND p.a = b.attribute
        HAVING count(*) > 0;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_keep(bigint[], text[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_keep(bigint[], text[]) IS
        'Gate: makes claims of what the rows of locked customers say of these attributes (pairs), where there are none yet.';

    CREATE FUNCTION iaros.customer_claim_apply(
        customer_ids bigint[], attributes text[], sources text[], vals text[], observed timestamptz[])
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        who text := coalesce(current_setting('iaros.claim_source', true), '');
    BEGIN
        -- First the locks, in one order, then a look at what they guard.
        PERFORM iaros.customer_claim_lock(customer_ids);
        -- The source that a whole row is of says it again: no claim is needed.
        PERFORM set_config('iaros.claim_source', '-', true);
        UPDATE iaros.customer c SET observed_at = a.observed
        FROM (
            SELECT b.customer_id, min(u.o) FILTER (WHERE NOT starts_with(b.attribute, 'trait.')) AS observed
            FROM iaros.customer_said_base(customer_ids) b
            LEFT JOIN unnest(customer_ids, attributes, sources, vals, observed) AS u(c, a, s, v, o)
                ON u.c = b.customer_id AND u.a = b.attribute AND u.s = b.source AND u.o > b.observed_at
            -- Filters below would have the planner expect a row or two.
            GROUP BY b.customer_id
            HAVING count(*) FILTER (WHERE NOT starts_with(b.attribute, 'trait.')) > 0
                AND bool_and(u.c IS NOT NULL OR starts_with(b.attribute, 'trait.'))
                AND count(DISTINCT b.attribute) = count(*)
                AND min(u.o) FILTER (WHERE NOT starts_with(b.attribute, 'trait.'))
                    = max(u.o) FILTER (WHERE NOT starts_with(b.attribute, 'trait.'))) a
        WHERE c.customer_id = a.customer_id;
        UPDATE iaros.customer_trait t SET updated_at = a.observed
        FROM (
            SELECT b.customer_id, b.attribute, max(u.o) AS observed
            FROM iaros.customer_said_base(customer_ids) b
            JOIN unnest(customer_ids, attributes, sources, vals, observed) AS u(c, a, s, v, o)
                ON u.c = b.customer_id AND u.a = b.attribute AND u.s = b.source AND u.o > b.observed_at
            GROUP BY b.customer_id, b.attribute
            HAVING bool_and(u.v = b.value)) a
        WHERE t.customer_id = a.customer_id AND a.attribute = 'trait.' || t.trait;
        PERFORM set_config('iaros.claim_source', who, true);
        SELECT array_agg(u.c), array_agg(u.a), array_agg(u.s), array_agg(u.v), array_agg(u.o)
        INTO customer_ids, attributes, sources, vals, observed
        FROM unnest(customer_ids, attributes, sources, vals, observed) AS u(c, a, s, v, o)
        LEFT JOIN iaros.customer_said_base(customer_ids) b
            ON b.customer_id = u.c AND b.attribute = u.a AND b.source = u.s
        WHERE b.customer_id IS NULL OR u.o > b.observed_at OR u.o = b.observed_at AND u.v IS DISTINCT FROM b.value;
        IF customer_ids IS NULL THEN
            RETURN 0;
        END IF;
        PERFORM iaros.customer_claim_keep(customer_ids, attributes);
        RETURN iaros.customer_claim_store(customer_ids, attributes, sources, vals, observed);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_apply(bigint[], text[], text[], text[], timestamptz[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_apply(bigint[], text[], text[], text[], timestamptz[]) IS
        'Gate: records claims (arrays of one length; values as customer_attribute_read() gives them), writes the winners into customer and customer_trait, and returns how many claims were new. Locks the customers in order of their ids first. What the row of a customer says anew moves customer.observed_at when it is all of that row, and makes no claim. SECURITY DEFINER, so that claims are written only with their winners.';

    CREATE FUNCTION iaros.customer_claim_remove(customer_ids bigint[], source text, attributes text[])
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        gone_ids bigint[];
        gone_names text[];
    BEGIN
        PERFORM iaros.customer_claim_lock(customer_ids);
        -- What a row of the source says is withdrawn like a claim.
        PERFORM iaros.customer_claim_keep(array_agg(b.customer_id), array_agg(b.attribute))
        FROM iaros.customer_said_base(customer_ids) b
        WHERE b.source = customer_claim_remove.source
          AND (attributes IS NULL OR b.attribute = ANY (attributes));
        WITH gone AS (
            DELETE FROM iaros.customer_claim c
            WHERE c.customer_id = ANY (customer_ids) AND c.source = customer_claim_remove.source
              AND (attributes IS NULL OR c.attribute = ANY (attributes))
            RETURNING c.customer_id, c.attribute)
        SELECT array_agg(g.customer_id), array_agg(g.attribute) INTO gone_ids, gone_names FROM gone g;
        IF gone_ids IS NULL THEN
            RETURN 0;
        END IF;
        PERFORM iaros.customer_claim_decide(gone_ids, gone_names);
        PERFORM iaros.audit_append('customer_claim.withdraw', 'customer', g.c::text, g.c,
            jsonb_build_object('source', customer_claim_remove.source, 'attributes', g.names))
        FROM (SELECT u.c, array_agg(u.a ORDER BY u.a) AS names FROM unnest(gone_ids, gone_names) AS u(c, a) GROUP BY u.c) g;
        RETURN cardinality(gone_ids);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_remove(bigint[], text, text[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_remove(bigint[], text, text[]) IS
        'Gate of customer_claim_withdraw(), for a set of customers: deletes the claims of a source about these attributes (NULL: all), writes the next best, one audit row a customer, and returns how many claims were withdrawn.';

    CREATE FUNCTION iaros.customer_claim_change()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET timezone = 'UTC'
        SET datestyle = 'ISO, YMD'
        AS $gate$
    DECLARE
        who text := coalesce(nullif(current_setting('iaros.claim_source', true), ''), 'manual');
        names text[];
        changed record;
    BEGIN
        IF who = '-' THEN
            RETURN NULL;
        END IF;
        names := ARRAY(SELECT a.attribute FROM iaros.customer_attributes() a);
        -- Most updates change no attribute: columns are compared before rows
        -- are taken apart.
        EXECUTE format($sql$
            SELECT array_agg(d.customer_id) AS ids, array_agg(e.key) AS attributes, array_agg(e.value) AS vals,
                array_agg(d.source) AS base_sources, array_agg(p.was) AS was,
                array_agg(iaros.customer_said_at(coalesce(d.observed_at, d.created_at))) AS base_observed,
                array_agg(greatest(d.observed_at, iaros.customer_said_at(d.created_at))) AS base_received
            FROM (SELECT customer_id, o.source, o.observed_at, o.created_at, to_jsonb(o) AS before, to_jsonb(n) AS after
                  FROM old_rows o JOIN new_rows n USING (customer_id)
                  WHERE record_image_ne(ROW(%s), ROW(%s)) OFFSET 0) d
            CROSS JOIN LATERAL jsonb_each_text(d.after) e
            CROSS JOIN LATERAL (SELECT d.before ->> e.key) AS p(was)
            WHERE e.value IS DISTINCT FROM p.was AND e.key = ANY ($1)$sql$,
            (SELECT string_agg(format('n.%I', u), ', ') FROM unnest(names) AS u),
            (SELECT string_agg(format('o.%I', u), ', ') FROM unnest(names) AS u))
            INTO changed USING names;
        IF changed.ids IS NULL THEN
            RETURN NULL;
        END IF;
        -- What was said before is kept where it was not claimed yet.
        PERFORM iaros.customer_claim_store(array_agg(u.c), array_agg(u.a), array_agg(u.s), array_agg(u.v), array_agg(u.o), array_agg(u.r))
        FROM unnest(changed.ids, changed.attributes, changed.base_sources, changed.was,
            changed.base_observed, changed.base_received) AS u(c, a, s, v, o, r)
        WHERE u.v IS NOT NULL AND NOT EXISTS (
            SELECT FROM iaros.customer_claim k WHERE k.customer_id = u.c AND k.attribute = u.a)
        HAVING count(*) > 0;
        PERFORM iaros.customer_claim_store(changed.ids, changed.attributes, array_fill(who, ARRAY[cardinality(changed.ids)]),
            changed.vals, array_fill(now(), ARRAY[cardinality(changed.ids)]));
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_change() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_change() IS
        'Statement trigger: an UPDATE of attributes of customer counts as claims of the source manual, or of the one that iaros.claim_source names, observed now; what the row said before becomes a claim of its own source. SECURITY DEFINER, so that claims are written only so.';
    CREATE TRIGGER customer_claim_update
        AFTER UPDATE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.customer_claim_change();

    CREATE FUNCTION iaros.customer_claim_trait()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        who text := coalesce(nullif(current_setting('iaros.claim_source', true), ''), 'manual');
    BEGIN
        IF who = '-' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            -- What was said before is kept where it was not claimed yet. A
            -- source that only says it again needs no claim.
            PERFORM iaros.customer_claim_store(array_agg(o.customer_id), array_agg('trait.' || o.trait), array_agg(o.source),
                array_agg(o.value::text), array_agg(k.at), array_agg(k.at))
            FROM old_rows o
            JOIN new_rows n USING (customer_id, trait)
            CROSS JOIN LATERAL (SELECT iaros.customer_said_at(o.updated_at)) AS k(at)
            WHERE (o.value <> n.value AND (o.source, o.updated_at) = (n.source, n.updated_at) OR o.source <> n.source)
              AND NOT EXISTS (SELECT FROM iaros.customer_claim c WHERE c.customer_id = o.customer_id AND c.attribute = 'trait.' || o.trait)
            HAVING count(*) > 0;
            PERFORM iaros.customer_claim_store(array_agg(n.customer_id), array_agg('trait.' || n.trait),
                array_agg(CASE WHEN k.named THEN n.source ELSE who END), array_agg(n.value::text),
                array_agg(CASE WHEN k.named THEN iaros.customer_said_at(n.updated_at) ELSE now() END))
            FROM new_rows n
            JOIN old_rows o USING (customer_id, trait)
            CROSS JOIN LATERAL (SELECT (n.source, n.updated_at) IS DISTINCT FROM (o.source, o.updated_at)) AS k(named)
            WHERE (n.value <> o.value OR k.named)
              AND EXISTS (SELECT FROM iaros.customer_claim c WHERE c.customer_id = n.customer_id AND c.attribute = 'trait.' || n.trait)
            HAVING count(*) > 0;
        ELSIF TG_OP = 'INSERT' THEN
            -- Who claims the same trait just now is waited for.
            PERFORM FROM iaros.customer c WHERE c.customer_id = ANY (ARRAY(SELECT n.customer_id FROM new_rows n))
            ORDER BY c.customer_id FOR NO KEY UPDATE;
            PERFORM iaros.customer_claim_store(array_agg(n.customer_id), array_agg('trait.' || n.trait), array_agg(n.source),
                array_agg(n.value::text), array_agg(iaros.customer_said_at(n.updated_at)))
            FROM new_rows n
            WHERE EXISTS (SELECT FROM iaros.customer_claim c WHERE c.customer_id = n.customer_id AND c.attribute = 'trait.' || n.trait)
            HAVING count(*) > 0;
        ELSE
            -- Not for traits that go with their customer.
            PERFORM iaros.customer_claim_store(array_agg(o.customer_id), array_agg('trait.' || o.trait), array_agg(who),
                array_agg(NULL::text), array_agg(now()))
            FROM old_rows o
            JOIN iaros.customer m USING (customer_id)
            WHERE EXISTS (SELECT FROM iaros.customer_claim c WHERE c.customer_id = o.customer_id AND c.attribute = 'trait.' || o.trait)
            HAVING count(*) > 0;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.customer_claim_trait() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.customer_claim_trait() IS
        'Statement trigger: changes of customer_trait by hand count as claims: of the source and time in the row where those were changed or inserted, else of manual (or iaros.claim_source) now; a DELETE says that the trait is known to be empty. Where nothing was claimed and one source speaks, the row itself is enough. SECURITY DEFINER for the reason of customer_claim_change().';
    CREATE TRIGGER customer_claim_trait_insert
        AFTER INSERT ON iaros.customer_trait
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.customer_claim_trait();
    CREATE TRIGGER customer_claim_trait_update
        AFTER UPDATE ON iaros.customer_trait
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.customer_claim_trait();
    CREATE TRIGGER customer_claim_trait_delete
        AFTER DELETE ON iaros.customer_trait
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.customer_claim_trait();
END $install$;
COMMENT ON PROCEDURE @extschema@.customer_install_provenance() IS
'Makes the tables, gates and triggers of provenance. Called by customer_install().';
