-- customer, attached sources: customers, bookings and events that live in
-- tables of the user's own and are taken over in the transaction that writes.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.source_field(field text, mapped jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind text := jsonb_typeof(mapped);
    one text;
    named text[];
BEGIN
    IF kind = 'object' AND (SELECT count(*) FROM jsonb_object_keys(mapped)) = 1 THEN
        IF mapped ? 'value' THEN
            RETURN format('%L::pg_catalog.jsonb', mapped -> 'value');
        ELSIF jsonb_typeof(mapped -> 'expression') = 'string' THEN
            RETURN format('pg_catalog.to_jsonb((%s))', mapped ->> 'expression');
        ELSIF jsonb_typeof(mapped -> 'fields') = 'object' THEN
            RETURN (SELECT format('pg_catalog.jsonb_build_object(%s)',
                        string_agg(format('%L, r.%I', f.key, f.value), ', ' ORDER BY f.key COLLATE "C"))
                    FROM jsonb_each_text(mapped -> 'fields') f);
        END IF;
    ELSIF kind = 'object' AND jsonb_typeof(mapped -> 'column') = 'string' AND jsonb_typeof(mapped -> 'values') = 'object' THEN
        one := format('pg_catalog.concat(r.%I)', mapped ->> 'column');
        RETURN format('coalesce(%L::pg_catalog.jsonb OPERATOR(pg_catalog.->) %s, CASE WHEN r.%I IS NOT NULL THEN pg_catalog.to_jsonb(%s) END)',
            mapped -> 'values', one, mapped ->> 'column', one);
    ELSIF kind = 'string' AND field LIKE '%external_id' THEN
        RETURN format('pg_catalog.to_jsonb(CASE WHEN r.%1$I IS NOT NULL THEN pg_catalog.concat(r.%1$I) END)', mapped #>> '{}');
    ELSIF kind = 'string' THEN
        RETURN format('pg_catalog.to_jsonb(r.%I)', mapped #>> '{}');
    ELSIF kind = 'array' AND jsonb_array_length(mapped) > 0 THEN
        named := ARRAY(SELECT jsonb_array_elements_text(mapped));
        RETURN format('CASE WHEN pg_catalog.num_nulls(%s) = 0 THEN pg_catalog.to_jsonb(pg_catalog.concat_ws(''/'', %s)) END',
            (SELECT string_agg(format('r.%I', n.name), ', ' ORDER BY n.i) FROM unnest(named) WITH ORDINALITY AS n(name, i)),
            (SELECT string_agg(format('pg_catalog.replace(pg_catalog.replace(pg_catalog.concat(r.%I), ''%%'', ''%%25''), ''/'', ''%%2F'')', n.name),
                    ', ' ORDER BY n.i) FROM unnest(named) WITH ORDINALITY AS n(name, i)));
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'invalid_parameter_value',
        MESSAGE = format('field "%s" is mapped to %s', field, coalesce(mapped::text, 'NULL')),
        DETAIL = 'A field is mapped to a column ("name"), several that are joined (["a", "b"]), or an object: {"value": constant}, {"column": "name", "values": {"from": "to"}}, {"fields": {"key": "column"}}, {"expression": "SQL"}.';
END $$;
COMMENT ON FUNCTION @extschema@.source_field(text, jsonb) IS
'Returns one entry of a column map of source_attach() as SQL over the columns of r. Error: 22023 an entry that is none of the forms.';

CREATE FUNCTION @extschema@.source_targets(kind text)
    RETURNS TABLE (field text, stored text, value text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT t.field, t.stored, t.value FROM (VALUES
        ('customer', 'kind', 'kind', 'coalesce(c.kind, ''known'')::iaros.customer_kind'),
        ('customer', 'first_name', 'first_name', 'c.first_name'),
        ('customer', 'last_name', 'last_name', 'c.last_name'),
        ('customer', 'birth_date', 'birth_date', 'c.birth_date'),
        ('customer', 'gender', 'gender', 'c.gender'),
        ('customer', 'country', 'country', 'c.country'),
        ('customer', 'nationality', 'nationality', 'c.nationality'),
        ('customer', 'city', 'city', 'c.city'),
        ('customer', 'street', 'street', 'c.street'),
        ('customer', 'postal_code', 'postal_code', 'c.postal_code'),
        ('customer', 'language', 'language', 'c.language'),
        ('customer', 'time_zone', 'time_zone', 'c.time_zone'),
        ('customer', 'home_airport', 'home_airport', 'c.home_airport'),
        ('booking', 'booked_at', 'booked_at', 'c.booked_at'),
        ('booking', 'status', 'status', 'coalesce(c.status, ''confirmed'')::iaros.booking_status'),
        ('booking', 'origin', 'origin', 'c.origin'),
        ('booking', 'destination', 'destination', 'c.destination'),
        ('booking', 'cabin', 'cabin', 'c.cabin::iaros.cabin'),
        ('booking', 'fare_class', 'fare_class', 'c.fare_class'),
        ('booking', 'sales_channel', 'sales_channel', 'c.sales_channel'),
        ('booking', 'party_size', 'party_size', 'coalesce(c.party_size, 1)'),
        ('booking', 'departure_at', 'departure_at', 'c.departure_at'),
        ('booking', 'return_at', 'return_at', 'c.return_at'),
        ('booking', 'amount', 'amount', 'c.amount'),
        ('booking', 'currency', 'currency', 'c.currency'),
        ('event', 'kind', 'kind', 'c.kind'),
        ('event', 'occurred_at', 'occurred_at', 'c.occurred_at'),
        ('event', 'session_id', 'session_id', 'c.session_id'),
        ('event', 'properties', 'properties', 'coalesce(c.properties, ''{}'')')) AS t(of_kind, field, stored, value)
    WHERE t.of_kind = source_targets.kind;
END;
COMMENT ON FUNCTION @extschema@.source_targets(text) IS
'Returns which field of a kind of attached source goes into which column of the table of that kind, and the SQL of its value over the checked row c.';

CREATE FUNCTION @extschema@.source_differs(kind text, fields text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    parts text[];
    i text;
BEGIN
    parts := ARRAY(SELECT format('CASE WHEN o.%I IS DISTINCT FROM (%s) THEN %L END', t.stored, t.value, t.field)
                   FROM iaros.source_targets(kind) t WHERE t.field = ANY (fields));
    IF kind = 'booking' THEN
        parts := parts || 'CASE WHEN o.customer_id <> c.owner_id THEN ''customer'' END'::text;
    ELSIF kind = 'customer' THEN
        FOREACH i IN ARRAY '{email,phone,device,cookie,frequent_flyer}'::text[] LOOP
            IF i = ANY (fields) THEN
                parts := parts || format($$CASE WHEN (c.%1$I IS NOT NULL AND NOT EXISTS (
                    SELECT FROM iaros.customer_identifier i WHERE i.customer_id = o.customer_id AND i.kind = %1$L AND i.value = c.%1$I))
                  OR EXISTS (SELECT FROM iaros.customer_identifier i WHERE i.customer_id = o.customer_id AND i.kind = %1$L
                    AND i.source = $1 AND i.value IS DISTINCT FROM c.%1$I) THEN %1$L END$$, i);
            END IF;
        END LOOP;
        IF 'traits' = ANY (fields) THEN
            parts := parts || $$CASE WHEN coalesce((SELECT jsonb_object_agg(r.trait, r.value) FROM iaros.customer_trait r
                WHERE r.customer_id = o.customer_id AND r.source = $1 AND r.trait <> 'source_deleted'), '{}')
                IS DISTINCT FROM coalesce(c.traits, '{}') THEN 'traits' END$$::text;
        END IF;
        parts := parts || $$CASE WHEN EXISTS (SELECT FROM iaros.customer_trait r
            WHERE r.customer_id = o.customer_id AND r.source = $1 AND r.trait = 'source_deleted') THEN 'source_deleted' END$$::text;
    END IF;
    RETURN format('array_remove(ARRAY[%s]::text[], NULL)', array_to_string(parts, ', '));
END $body$;
COMMENT ON FUNCTION @extschema@.source_differs(text, text[]) IS
'Returns SQL that gives the fields in which a checked row c of an attached source differs from what is stored, o. $1 is the source.';

CREATE FUNCTION @extschema@.source_checked(kind text, fields text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    stored text := CASE kind
        WHEN 'customer' THEN 'SELECT x.*, x.customer_id AS row_id FROM iaros.customer_key k JOIN iaros.customer x ON x.customer_id = k.customer_id
            WHERE k.source = $1 AND k.external_id = c.external_id'
        WHEN 'booking' THEN 'SELECT x.*, x.booking_id AS row_id FROM iaros.booking x WHERE x.source = $1 AND x.external_id = c.external_id
            ORDER BY (x.customer_id = c.owner_id) DESC NULLS LAST, x.customer_id LIMIT 1'
        ELSE 'SELECT x.*, x.event_id AS row_id FROM iaros.event_key w JOIN iaros.event x
            ON x.customer_id = w.customer_id AND x.occurred_at = w.occurred_at AND x.event_id = w.event_id
            WHERE w.customer_id = c.owner_id AND w.source = $1 AND w.external_id = c.external_id' END;
    -- What the tables refuse and the checks of a load let through.
    bounds text := CASE kind
        WHEN 'customer' THEN $$CASE WHEN c.birth_date >= '2200-01-01' THEN 'birth_date_invalid' END,
            CASE WHEN length(c.email) > 600 THEN 'email_invalid' END, CASE WHEN length(c.device) > 600 THEN 'device_invalid' END,
            CASE WHEN length(c.cookie) > 600 THEN 'cookie_invalid' END,
            CASE WHEN length(c.frequent_flyer) > 600 THEN 'frequent_flyer_invalid' END,
            CASE WHEN c.traits ? 'source_deleted' THEN 'traits_invalid: source_deleted is not for the source' END$$
        WHEN 'booking' THEN $$CASE WHEN NOT iaros.time_valid(c.booked_at) THEN 'booked_at_invalid: not of 1900 to 2199' END,
            CASE WHEN NOT iaros.time_valid(c.departure_at) THEN 'departure_at_invalid: not of 1900 to 2199' END,
            CASE WHEN NOT iaros.time_valid(c.return_at) THEN 'return_at_invalid: not of 1900 to 2199' END$$
        ELSE $$CASE WHEN NOT iaros.time_valid(c.occurred_at) THEN 'occurred_at_invalid: not of 1900 to 2199' END$$ END;
BEGIN
    RETURN format($$
        SELECT v.*, CASE WHEN v.refusals <> '{}' THEN 'refused' WHEN v.stored_id IS NULL THEN 'new'
            WHEN v.differs = '{}' THEN 'same' WHEN v.differs @> '{customer}' THEN 'moved' ELSE 'changed' END AS verdict
        FROM (
            SELECT c.*, o.row_id AS stored_id, o.customer_id AS stored_customer, %s AS stored_at,
                CASE WHEN o.row_id IS NULL THEN '{}' ELSE %s END AS differs,
                c.reasons || array_remove(ARRAY[
                    CASE WHEN length(c.external_id) > 600 THEN 'external_id_invalid: longer than 600 characters' END, %s], NULL) AS refusals
            FROM (%s) c
            LEFT JOIN LATERAL (%s) o ON true
            OFFSET 0) v$$,
        CASE kind WHEN 'event' THEN 'o.occurred_at' ELSE 'NULL::timestamptz' END,
        iaros.source_differs(kind, fields), bounds, (iaros.load_sql(kind)).checks, stored);
END $body$;
COMMENT ON FUNCTION @extschema@.source_checked(text, text[]) IS
'Returns a query over src (row_no, payload) that checks rows of an attached source as the loader of that kind does, compares the mapped fields with what is stored, and gives each row its verdict: refused, new, same, changed or moved (to another customer). $1 is the source.';

CREATE FUNCTION @extschema@.source_writes(kind text, fields text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    sets text := (SELECT string_agg(format('%I = %s', t.stored, t.value), ', ')
                  FROM iaros.source_targets(kind) t WHERE t.field = ANY (fields));
    identifiers text[] := ARRAY(SELECT f FROM unnest('{email,phone,device,cookie,frequent_flyer}'::text[]) f WHERE f = ANY (fields));
    writes text;
BEGIN
    IF kind = 'booking' THEN
        RETURN format($$changed_booking AS (
            UPDATE iaros.booking b SET %s, amount_base = CASE
                WHEN (b.amount, b.currency::text, b.booked_at) IS DISTINCT FROM (c.amount, c.currency, c.booked_at)
                THEN iaros.money_round(c.amount * c.rate, iaros.setting_get('base_currency')) ELSE b.amount_base END
            FROM checked c WHERE c.verdict = 'changed' AND b.customer_id = c.stored_customer AND b.booking_id = c.stored_id)$$, sets);
    ELSIF kind = 'event' THEN
        RETURN format($$changed_key AS (
            UPDATE iaros.event_key w SET occurred_at = c.occurred_at FROM checked c
            WHERE c.verdict = 'changed' AND c.occurred_at <> c.stored_at
              AND w.customer_id = c.stored_customer AND w.source = $1 AND w.external_id = c.external_id),
        changed_event AS (
            UPDATE iaros.event e SET %s FROM checked c WHERE c.verdict = 'changed'
              AND e.customer_id = c.stored_customer AND e.occurred_at = c.stored_at AND e.event_id = c.stored_id)$$, sets);
    END IF;
    writes := format($$changed_customer AS (
            UPDATE iaros.customer u SET %supdated_at = now() FROM checked c
            WHERE c.verdict = 'changed' AND u.customer_id = c.stored_customer),
        back AS (
            DELETE FROM iaros.customer_trait r USING checked c WHERE c.verdict = 'changed'
              AND r.customer_id = c.stored_customer AND r.source = $1 AND r.trait = 'source_deleted')$$, sets || ', ');
    IF identifiers <> '{}' THEN
        writes := writes || format($$, stated AS MATERIALIZED (
            SELECT c.stored_customer AS customer_id, s.kind, s.value FROM checked c
            CROSS JOIN LATERAL (VALUES %s) AS s(kind, value) WHERE c.verdict = 'changed'),
        old_identifier AS (
            DELETE FROM iaros.customer_identifier i USING stated s
            WHERE i.customer_id = s.customer_id AND i.kind = s.kind AND i.source = $1 AND i.value IS DISTINCT FROM s.value),
        changed_identifier AS (
            INSERT INTO iaros.customer_identifier (customer_id, kind, value, source, is_primary)
            SELECT s.customer_id, s.kind, s.value, $1, NOT EXISTS (
                SELECT FROM iaros.customer_identifier i WHERE i.customer_id = s.customer_id AND i.kind = s.kind AND i.is_primary)
            FROM stated s WHERE s.value IS NOT NULL
            ON CONFLICT ON CONSTRAINT customer_identifier_pkey DO NOTHING)$$,
            (SELECT string_agg(format('(%L, c.%I)', f, f), ', ') FROM unnest(identifiers) f));
    END IF;
    IF 'traits' = ANY (fields) THEN
        writes := writes || $$, old_trait AS (
            DELETE FROM iaros.customer_trait r USING checked c WHERE c.verdict = 'changed' AND r.customer_id = c.stored_customer
              AND r.source = $1 AND r.trait <> 'source_deleted' AND NOT coalesce(c.traits, '{}') ? r.trait),
        changed_trait AS (
            INSERT INTO iaros.customer_trait AS r (customer_id, trait, value, source)
            SELECT c.stored_customer, e.key, e.value, $1 FROM checked c CROSS JOIN LATERAL jsonb_each(c.traits) e
            WHERE c.verdict = 'changed'
            ON CONFLICT ON CONSTRAINT customer_trait_pkey DO UPDATE SET value = excluded.value, source = excluded.source, updated_at = now()
            WHERE (r.value, r.source) IS DISTINCT FROM (excluded.value, excluded.source))$$;
    END IF;
    RETURN writes;
END $body$;
COMMENT ON FUNCTION @extschema@.source_writes(text, text[]) IS
'Returns the common table expressions that bring the mapped fields of rows with verdict changed into the tables. $1 is the source.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.source_rows(relation regclass, column_map jsonb, rows_from text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    columns text;
BEGIN
    PERFORM iaros.install_check();
    -- Types that are not the server's own go through their output function:
    -- a cast to text or json would run a function of the type's owner here.
    SELECT string_agg(CASE
        WHEN a.atttypid = 'bpchar'::regtype THEN format('s.%1$I::pg_catalog.text AS %1$I', a.attname)
        WHEN a.atttypid < 16384 THEN format('s.%I', a.attname)
        ELSE format('CASE WHEN s.%1$I IS NOT NULL THEN pg_catalog.concat(s.%1$I) END AS %1$I', a.attname) END, ', ' ORDER BY a.attnum)
    INTO columns
    FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped;
    RETURN (SELECT format('SELECT pg_catalog.jsonb_build_object(%s) AS payload FROM (SELECT %s FROM %s s) r',
                string_agg(format('%L, %s', m.key, iaros.source_field(m.key, m.value)), ', ' ORDER BY m.key COLLATE "C"),
                columns, rows_from)
            FROM jsonb_each(column_map) m);
END $$;
COMMENT ON FUNCTION @extschema@.source_rows(regclass, jsonb, text) IS
'Returns the query that makes the payload of each row of an attached relation out of its column map. rows_from: the relation, or a transition table of it. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_relation(source text, kind text) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (SELECT t.tgrelid FROM pg_trigger t
            WHERE t.tgfoid = 'iaros.source_changed()'::regprocedure AND t.tgname = 'iaros_' || source_relation.kind || '_insert'
              AND t.tgargs = convert_to(source, 'UTF8') || decode('00', 'hex') || convert_to(kind, 'UTF8') || decode('00', 'hex')
            LIMIT 1);
END $$;
COMMENT ON FUNCTION @extschema@.source_relation(text, text) IS
'Returns the relation that is attached as the rows of a kind of a source, found by the triggers on it, so that it may have been renamed; NULL when there is none.';

CREATE FUNCTION @extschema@.source_remove(source text, kind text, payload jsonb[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    keys text[] := ARRAY(SELECT p ->> 'external_id' FROM unnest(payload) p);
    removed bigint;
BEGIN
    PERFORM iaros.install_check();
    IF kind = 'booking' THEN
        PERFORM FROM iaros.booking b
        WHERE b.source = source_remove.source AND (payload IS NULL OR b.external_id = ANY (keys))
        ORDER BY b.external_id COLLATE "C", b.customer_id FOR UPDATE;
        DELETE FROM iaros.booking b
        WHERE b.source = source_remove.source AND (payload IS NULL OR b.external_id = ANY (keys));
    ELSIF kind = 'event' THEN
        WITH gone AS (
            DELETE FROM iaros.event_key w
            WHERE w.source = source_remove.source AND (payload IS NULL OR (w.customer_id, w.external_id) IN (
                SELECT coalesce(iaros.load_integer(p ->> 'customer_id'), k.customer_id), p ->> 'external_id'
                FROM unnest(payload) p
                LEFT JOIN iaros.customer_key k ON k.external_id = p ->> 'customer_external_id'
                    AND k.source = coalesce(nullif(p ->> 'customer_source', ''), source_remove.source)))
            RETURNING w.customer_id, w.occurred_at, w.event_id)
        DELETE FROM iaros.event e USING gone g
        WHERE e.customer_id = g.customer_id AND e.occurred_at = g.occurred_at AND e.event_id = g.event_id;
    ELSE
        PERFORM FROM iaros.customer c JOIN iaros.customer_key k ON k.customer_id = c.customer_id
        WHERE k.source = source_remove.source AND (payload IS NULL OR k.external_id = ANY (keys))
        ORDER BY c.customer_id FOR NO KEY UPDATE OF c;
        INSERT INTO iaros.customer_trait (customer_id, trait, value, source)
        SELECT DISTINCT k.customer_id, 'source_deleted', 'true'::jsonb, source_remove.source
        FROM iaros.customer_key k JOIN iaros.customer c ON c.customer_id = k.customer_id
        WHERE k.source = source_remove.source AND (payload IS NULL OR k.external_id = ANY (keys))
        ORDER BY k.customer_id
        ON CONFLICT ON CONSTRAINT customer_trait_pkey DO NOTHING;
    END IF;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;
COMMENT ON FUNCTION @extschema@.source_remove(text, text, jsonb[]) IS
'Takes rows of an attached source that were deleted there out of our tables, NULL all of them, in the order of their keys; returns how many. Bookings (with items) and events are deleted; customers stay, since consents and bookings hang on them, and get the trait source_deleted. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_move(source text, payload jsonb[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    m record;
BEGIN
    PERFORM iaros.install_check();
    -- Rare: a booking that changes hands is a copy under the other customer,
    -- to which what hangs on it follows before the first one goes.
    FOR m IN
        SELECT b.customer_id AS from_id, b.booking_id,
            coalesce(iaros.load_integer(p ->> 'customer_id'), k.customer_id) AS to_id
        FROM unnest(payload) p
        JOIN iaros.booking b ON b.source = source_move.source AND b.external_id = p ->> 'external_id'
        LEFT JOIN iaros.customer_key k ON k.external_id = p ->> 'customer_external_id'
            AND k.source = coalesce(nullif(p ->> 'customer_source', ''), source_move.source)
        ORDER BY b.external_id COLLATE "C", b.customer_id
    LOOP
        INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, origin, destination,
            cabin, fare_class, sales_channel, party_size, departure_at, return_at, amount, currency, amount_base)
        SELECT m.to_id, b.booking_id, b.source, b.external_id, b.booked_at, b.status, b.origin, b.destination,
            b.cabin, b.fare_class, b.sales_channel, b.party_size, b.departure_at, b.return_at, b.amount, b.currency, b.amount_base
        FROM iaros.booking b WHERE b.customer_id = m.from_id AND b.booking_id = m.booking_id;
        UPDATE iaros.booking_item i SET customer_id = m.to_id
        WHERE i.customer_id = m.from_id AND i.booking_id = m.booking_id;
        UPDATE iaros.conversion v SET customer_id = m.to_id
        WHERE v.customer_id = m.from_id AND v.booking_id = m.booking_id;
        DELETE FROM iaros.booking b WHERE b.customer_id = m.from_id AND b.booking_id = m.booking_id;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.source_move(text, jsonb[]) IS
'Moves bookings of an attached source to the customer that their row now names, with the same booking_id, items and conversions. For source_apply().';

CREATE FUNCTION @extschema@.source_apply(
    source text, kind text, fields text[], payload jsonb[], load_id bigint, first_row bigint, recorded boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    done record;
BEGIN
    PERFORM iaros.install_check();
    -- What is written is locked first, in one order, in a statement of its
    -- own: the next one then sees what others have committed meanwhile.
    IF kind = 'customer' THEN
        PERFORM FROM iaros.customer c JOIN iaros.customer_key k ON k.customer_id = c.customer_id
        WHERE k.source = source_apply.source AND k.external_id IN (SELECT p ->> 'external_id' FROM unnest(payload) p)
        ORDER BY c.customer_id FOR NO KEY UPDATE OF c;
    ELSE
        PERFORM FROM iaros.customer c
        WHERE c.customer_id IN (
            SELECT coalesce(iaros.load_integer(p ->> 'customer_id'), k.customer_id)
            FROM unnest(payload) p
            LEFT JOIN iaros.customer_key k ON k.external_id = p ->> 'customer_external_id'
                AND k.source = coalesce(nullif(p ->> 'customer_source', ''), source_apply.source))
        ORDER BY c.customer_id FOR KEY SHARE;
        PERFORM FROM iaros.booking b
        WHERE kind = 'booking' AND b.source = source_apply.source
          AND b.external_id IN (SELECT p ->> 'external_id' FROM unnest(payload) p)
        ORDER BY b.external_id COLLATE "C", b.customer_id FOR UPDATE;
    END IF;
    EXECUTE format($sql$
        WITH src AS (SELECT u.n AS row_no, u.p AS payload FROM unnest($2::jsonb[]) WITH ORDINALITY AS u(p, n)),
        checked AS MATERIALIZED (%s), %s, %s
        SELECT count(*) AS rows, count(*) FILTER (WHERE c.verdict IN ('new', 'changed')) AS accepted,
            count(*) FILTER (WHERE c.verdict = 'same') AS same,
            array_agg(c.payload ORDER BY c.row_no) FILTER (WHERE c.verdict = 'moved') AS moved,
            array_agg(c.payload ORDER BY c.row_no) FILTER (WHERE c.verdict = 'refused') AS refused,
            jsonb_agg(jsonb_build_array(c.row_no, c.external_id, c.payload, c.refusals)) FILTER (WHERE c.verdict = 'refused') AS rejects
        FROM checked c$sql$, iaros.source_checked(kind, fields), (iaros.load_sql(kind)).writes, iaros.source_writes(kind, fields))
        INTO done USING source, payload;
    IF recorded OR done.refused IS NOT NULL THEN
        INSERT INTO iaros.load_run AS r (load_id, source, kind, loaded_by, rows, accepted, duplicates, refused)
        VALUES (source_apply.load_id, source_apply.source, source_apply.kind, session_user,
            done.rows - coalesce(cardinality(done.moved), 0), done.accepted, done.same, coalesce(cardinality(done.refused), 0))
        ON CONFLICT ON CONSTRAINT load_run_pkey DO UPDATE SET rows = r.rows + excluded.rows,
            accepted = r.accepted + excluded.accepted, duplicates = r.duplicates + excluded.duplicates, refused = r.refused + excluded.refused;
        INSERT INTO iaros.load_reject (load_id, row_no, kind, source, external_id, payload, reasons)
        SELECT source_apply.load_id, first_row + (e ->> 0)::bigint, source_apply.kind, source_apply.source, e ->> 1, e -> 2,
            ARRAY(SELECT jsonb_array_elements_text(e -> 3))
        FROM jsonb_array_elements(done.rejects) e;
    END IF;
    IF kind = 'event' AND done.refused IS NOT NULL THEN
        PERFORM iaros.source_remove(source, kind, done.refused);
    END IF;
    IF done.moved IS NOT NULL THEN
        PERFORM iaros.source_move(source, done.moved);
        PERFORM iaros.source_apply(source, kind, fields, done.moved, load_id, first_row, recorded);
    END IF;
END $body$;
COMMENT ON FUNCTION @extschema@.source_apply(text, text, text[], jsonb[], bigint, bigint, boolean) IS
'The one way of rows of an attached source into iaros, under the triggers, source_attach() and source_refresh(): new rows are inserted, rows that differ in the mapped fields are updated, refused ones are kept in load_reject under load_id, numbered from first_row + 1. recorded: a row of load_run also when nothing is refused. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_refresh(source text, kind text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint, removed bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $body$
#variable_conflict use_column
DECLARE
    map jsonb;
    relation regclass := iaros.source_relation(source_refresh.source, source_refresh.kind);
    run bigint := nextval('iaros.load_id_seq');
    chunk record;
    extra jsonb[];
BEGIN
    map := (SELECT a.column_map FROM iaros.attached_source a WHERE a.source = source_refresh.source AND a.kind = source_refresh.kind);
    IF map IS NULL OR relation IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('nothing is attached as %s of source "%s"', source_refresh.kind, source_refresh.source),
            HINT = 'List what is attached with SELECT * FROM iaros.attached_source.';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_transaction_state',
            MESSAGE = format('a source cannot be read at isolation level %s', current_setting('transaction_isolation')),
            HINT = 'Use READ COMMITTED, so that what is committed by the time the table is locked is seen.';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    INSERT INTO iaros.load_run (load_id, source, kind, loaded_by, rows, accepted, duplicates, refused)
    VALUES (run, source_refresh.source, source_refresh.kind, session_user, 0, 0, 0, 0);
    EXECUTE format(iaros.source_extra(source_refresh.kind), iaros.source_rows(relation, map, relation::text))
        INTO extra USING source_refresh.source;
    IF extra IS NOT NULL THEN
        removed := iaros.source_remove(source_refresh.source, source_refresh.kind, extra);
    END IF;
    FOR chunk IN EXECUTE iaros.source_chunks(iaros.source_rows(relation, map, relation::text)) LOOP
        PERFORM iaros.source_apply(source_refresh.source, source_refresh.kind, ARRAY(SELECT jsonb_object_keys(map)),
            chunk.payload, run, chunk.first_row, true);
    END LOOP;
    RETURN QUERY SELECT r.load_id, r.rows, r.accepted, r.duplicates, r.refused, coalesce(removed, 0)
        FROM iaros.load_run r WHERE r.load_id = run;
END $body$;
COMMENT ON FUNCTION @extschema@.source_refresh(text, text) IS
'Brings our rows of a kind of an attached source in step with its whole table, which is locked against writes meanwhile: after triggers were off, and for rows that were refused and are right now. Returns one row of counts: rows = accepted + duplicates + refused, and how many of ours were removed because the table does not have them. For the owner. Errors: 42704 nothing attached, 25000 not READ COMMITTED.';

CREATE FUNCTION @extschema@.source_chunks(query text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN format('SELECT pg_catalog.array_agg(q.payload ORDER BY q.n) AS payload, pg_catalog.min(q.n) - 1 AS first_row
        FROM (SELECT p.payload, pg_catalog.row_number() OVER (ORDER BY (p.payload ->> ''external_id'') COLLATE "C") AS n FROM (%s) p) q
        GROUP BY (q.n - 1) / 20000 ORDER BY 2', query);
COMMENT ON FUNCTION @extschema@.source_chunks(text) IS
'Returns a query that gives the payloads of another in arrays of at most 20,000, in the order of their keys.';

CREATE FUNCTION @extschema@.source_extra(kind text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'WITH src AS MATERIALIZED (%s) ' || CASE kind
        WHEN 'customer' THEN 'SELECT array_agg(jsonb_build_object(''external_id'', k.external_id)) FROM iaros.customer_key k
            JOIN iaros.customer c ON c.customer_id = k.customer_id
            WHERE k.source = $1 AND NOT EXISTS (SELECT FROM src WHERE src.payload ->> ''external_id'' = k.external_id)
              AND NOT EXISTS (SELECT FROM iaros.customer_trait r WHERE r.customer_id = k.customer_id AND r.source = $1 AND r.trait = ''source_deleted'')'
        WHEN 'booking' THEN 'SELECT array_agg(jsonb_build_object(''external_id'', b.external_id)) FROM iaros.booking b
            WHERE b.source = $1 AND NOT EXISTS (SELECT FROM src WHERE src.payload ->> ''external_id'' = b.external_id)'
        ELSE 'SELECT array_agg(jsonb_build_object(''external_id'', w.external_id, ''customer_id'', w.customer_id)) FROM iaros.event_key w
            WHERE w.source = $1 AND NOT EXISTS (
                SELECT FROM src LEFT JOIN iaros.customer_key k ON k.external_id = src.payload ->> ''customer_external_id''
                    AND k.source = coalesce(nullif(src.payload ->> ''customer_source'', ''''), $1)
                WHERE src.payload ->> ''external_id'' = w.external_id
                  AND coalesce(iaros.load_integer(src.payload ->> ''customer_id''), k.customer_id) = w.customer_id)' END;
COMMENT ON FUNCTION @extschema@.source_extra(text) IS
'Returns a template of a query: our rows of a kind of source $1 that are not among the rows of the query put into it, as payloads with their key.';

CREATE FUNCTION @extschema@.source_attach(kind text, relation regclass, column_map jsonb, source text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $body$
#variable_conflict use_variable
DECLARE
    extra jsonb[];
    event text;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.source_map_check(kind, relation, column_map, source);
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    EXECUTE format(iaros.source_extra(kind), iaros.source_rows(relation, column_map, relation::text)) INTO extra USING source;
    IF extra IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('source "%s" has %s rows of kind %s that %s does not have', source, cardinality(extra), kind, relation),
            DETAIL = format('One of them is "%s".', extra[1] ->> 'external_id'),
            HINT = 'An attached table is all there is of its source: add a source of its own to iaros.data_source.';
    END IF;
    INSERT INTO iaros.attached_source (source, kind, relation, column_map, attached_by)
    VALUES (source, kind, (SELECT format('%I.%I', c.relnamespace::regnamespace::name, c.relname) FROM pg_class c WHERE c.oid = relation),
        column_map, session_user);
    FOREACH event IN ARRAY '{insert,update,delete,truncate}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION iaros.source_changed(%L, %L)',
            'iaros_' || kind || '_' || event, event, relation,
            CASE event WHEN 'insert' THEN 'REFERENCING NEW TABLE AS iaros_new'
                WHEN 'update' THEN 'REFERENCING OLD TABLE AS iaros_old NEW TABLE AS iaros_new'
                WHEN 'delete' THEN 'REFERENCING OLD TABLE AS iaros_old' ELSE '' END, source, kind);
    END LOOP;
    PERFORM iaros.audit_append('source.attach', kind, source, detail => jsonb_build_object('relation', relation::text, 'column_map', column_map));
    RETURN QUERY SELECT r.load_id, r.rows, r.accepted, r.duplicates, r.refused FROM iaros.source_refresh(source, kind) r;
END $body$;
COMMENT ON FUNCTION @extschema@.source_attach(text, regclass, jsonb, text) IS
'Attaches a table of your own as the customers, bookings or events (kind customer, booking, event) of a source of its own: takes over all its rows, then, by statement triggers, every insert, update, delete and truncate in the transaction that writes. column_map says, for each field of the loader of that kind, where it comes from. external_id must be mapped to the columns of a unique index. Rows that a loader would refuse are kept in load_reject and never stop the writer. Returns one row of counts: rows = accepted + duplicates + refused. For the owner of the tables. Errors: 22023 kind or map, 42703 column or field that does not exist, 42809 not a plain table, 42P10 key without a unique index, 23503 source that does not exist, 23505 attached already, 55000 the source has other rows, 25000 not READ COMMITTED.';

CREATE FUNCTION @extschema@.source_map_check(kind text, relation regclass, column_map jsonb, source text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
#variable_conflict use_variable
DECLARE
    parts record;
    wrong text;
    keys text[];
BEGIN
    PERFORM iaros.install_check();
    parts := iaros.load_sql(kind);
    IF kind = 'booking_item' OR jsonb_typeof(column_map) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN kind = 'booking_item' THEN 'items cannot be attached'
                ELSE format('column map must be a JSON object, not %s', coalesce(jsonb_typeof(column_map), 'NULL')) END,
            HINT = 'The kinds are customer, booking and event; a map is like {"external_id": "id"}.';
    END IF;
    IF NOT EXISTS (SELECT FROM iaros.data_source d WHERE d.source = source_map_check.source) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('data source "%s" does not exist', source),
            HINT = 'Add it to iaros.data_source.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind = 'r' AND c.relpersistence = 'p'
                     AND NOT c.relispartition AND c.relnamespace <> 'iaros'::regnamespace)
       OR EXISTS (SELECT FROM pg_inherits i WHERE relation IN (i.inhrelid, i.inhparent)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'wrong_object_type',
            MESSAGE = format('"%s" cannot be attached', relation),
            DETAIL = 'Only a plain table has triggers that see every write: no view, foreign, temporary, unlogged or partitioned table, no partition, none with inheritance, none of iaros.';
    END IF;
    SELECT m INTO wrong FROM jsonb_object_keys(column_map) m WHERE m <> ALL (parts.fields) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('field "%s" is not known to this kind', wrong),
            DETAIL = format('Known are: %s.', array_to_string(parts.fields, ', '));
    END IF;
    SELECT m INTO wrong FROM unnest(parts.required) m WHERE NOT column_map ? m LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('field "%s" is not mapped', wrong),
            DETAIL = format('Required are: %s.', array_to_string(parts.required, ', '));
    END IF;
    keys := CASE jsonb_typeof(column_map -> 'external_id') WHEN 'string' THEN ARRAY[column_map ->> 'external_id']
        WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(column_map -> 'external_id')) END;
    IF NOT EXISTS (
        SELECT FROM pg_index i
        WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          AND (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = relation
               AND a.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])) <@ keys) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_column_reference',
            MESSAGE = format('external_id of "%s" is mapped to no unique key', relation),
            HINT = 'Map it to the column, or an array of the columns, of a primary key or unique index.';
    END IF;
END $body$;
COMMENT ON FUNCTION @extschema@.source_map_check(text, regclass, jsonb, text) IS
'Checks the arguments of source_attach() but for the columns, which the first load finds. Errors: those of source_attach().';

CREATE FUNCTION @extschema@.source_detach(source text, kind text, remove boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_variable
DECLARE
    relation regclass;
    event text;
    removed bigint := 0;
BEGIN
    PERFORM iaros.install_check();
    relation := iaros.source_relation(source, kind);
    IF relation IS NOT NULL THEN
        FOREACH event IN ARRAY '{insert,update,delete,truncate}'::text[] LOOP
            EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', 'iaros_' || kind || '_' || event, relation);
        END LOOP;
    END IF;
    DELETE FROM iaros.attached_source a WHERE a.source = source_detach.source AND a.kind = source_detach.kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('nothing is attached as %s of source "%s"', kind, source),
            HINT = 'List what is attached with SELECT * FROM iaros.attached_source.';
    END IF;
    IF remove THEN
        removed := iaros.source_remove(source, kind, NULL);
    END IF;
    PERFORM iaros.audit_append('source.detach', kind, source, detail => jsonb_build_object('relation', relation::text, 'removed', removed));
    RETURN removed;
END $$;
COMMENT ON FUNCTION @extschema@.source_detach(text, text, boolean) IS
'Takes the triggers off an attached table, also one that was renamed or dropped meanwhile. Our rows stay, unless remove is true: then bookings and events of the source are deleted, and customers get the trait source_deleted. Returns how many rows that were. For the owner of the tables. Error: 42704 nothing attached.';

CREATE FUNCTION @extschema@.source_check(source text)
    RETURNS TABLE (kind text, external_id text, difference text, detail text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $body$
#variable_conflict use_column
DECLARE
    a record;
    relation regclass;
    payloads text;
    extra jsonb[];
BEGIN
    PERFORM iaros.install_check();
    FOR a IN SELECT x.kind, x.relation, x.column_map FROM iaros.attached_source x
             WHERE x.source = source_check.source ORDER BY x.kind LOOP
        relation := iaros.source_relation(source_check.source, a.kind);
        IF relation IS NULL THEN
            RETURN QUERY SELECT a.kind, NULL::text, 'relation'::text, ARRAY[a.relation || ' is gone, or has lost its triggers'];
            CONTINUE;
        END IF;
        payloads := iaros.source_rows(relation, a.column_map, relation::text);
        RETURN QUERY EXECUTE format($sql$
            WITH src AS (SELECT row_number() OVER () AS row_no, p.payload FROM (%s) p)
            SELECT %L, coalesce(c.external_id, c.payload ->> 'external_id'),
                CASE c.verdict WHEN 'refused' THEN 'refused' WHEN 'new' THEN 'missing' ELSE 'different' END,
                CASE c.verdict WHEN 'refused' THEN c.refusals WHEN 'new' THEN '{}' ELSE c.differs END
            FROM (%s) c WHERE c.verdict <> 'same' ORDER BY 2$sql$,
            payloads, a.kind, iaros.source_checked(a.kind, ARRAY(SELECT jsonb_object_keys(a.column_map))))
            USING source_check.source;
        EXECUTE format(iaros.source_extra(a.kind), payloads) INTO extra USING source_check.source;
        RETURN QUERY SELECT a.kind, e ->> 'external_id', 'extra'::text, '{}'::text[] FROM unnest(extra) e ORDER BY 2;
    END LOOP;
END $body$;
COMMENT ON FUNCTION @extschema@.source_check(text) IS
'Returns how our rows of a source differ from the tables attached to it, no row when they are in step: missing (not here), extra (only here), different (detail: the fields), refused (detail: the reasons; what is here is the last state that was not), relation (the table or its triggers are gone). Reads the whole tables, with the caller''s rights on them.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.customer_install_attach()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.attached_source (
        source text NOT NULL REFERENCES iaros.data_source,
        kind text NOT NULL CHECK (kind IN ('customer', 'booking', 'event')),
        relation text NOT NULL,
        column_map jsonb NOT NULL CHECK (jsonb_typeof(column_map) = 'object'),
        attached_at timestamptz NOT NULL DEFAULT now(),
        attached_by text NOT NULL,
        PRIMARY KEY (source, kind)
    );
    COMMENT ON TABLE iaros.attached_source IS
        'Tables of the user''s own that are attached as a kind of rows of a source. Written by source_attach() and source_detach() only: expressions in column_map run with the rights of the owner.';
    COMMENT ON COLUMN iaros.attached_source.relation IS 'Name of the table when it was attached; it is found by its triggers.';

    CREATE FUNCTION iaros.source_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET timezone = 'UTC'
        SET datestyle = 'ISO, YMD'
        AS $gate$
    DECLARE
        source text := TG_ARGV[0];
        kind text := TG_ARGV[1];
        map jsonb := (SELECT a.column_map FROM iaros.attached_source a WHERE a.source = TG_ARGV[0] AND a.kind = TG_ARGV[1]);
        run bigint;
        gone jsonb[];
        chunk record;
        message text;
    BEGIN
        -- An attached table that was restored without its source.
        IF map IS NULL OR TG_RELID IS DISTINCT FROM iaros.source_relation(source, kind) THEN
            RETURN NULL;
        END IF;
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                PERFORM iaros.source_remove(source, kind, NULL);
                RETURN NULL;
            END IF;
            IF TG_OP = 'DELETE' THEN
                EXECUTE format('SELECT array_agg(o.payload) FROM (%s) o', iaros.source_rows(TG_RELID, map, 'iaros_old')) INTO gone;
            ELSIF TG_OP = 'UPDATE' THEN
                EXECUTE format('SELECT array_agg(o.payload) FROM (%s) o WHERE NOT EXISTS (SELECT FROM (%s) n
                    WHERE n.payload ->> ''external_id'' = o.payload ->> ''external_id'' %s)',
                    iaros.source_rows(TG_RELID, map, 'iaros_old'), iaros.source_rows(TG_RELID, map, 'iaros_new'),
                    CASE kind WHEN 'event' THEN 'AND jsonb_build_array(n.payload -> ''customer_id'', n.payload -> ''customer_external_id'', n.payload -> ''customer_source'')
                        = jsonb_build_array(o.payload -> ''customer_id'', o.payload -> ''customer_external_id'', o.payload -> ''customer_source'')' ELSE '' END)
                    INTO gone;
            END IF;
            IF gone IS NOT NULL THEN
                PERFORM iaros.source_remove(source, kind, gone);
            END IF;
            IF TG_OP <> 'DELETE' THEN
                run := nextval('iaros.load_id_seq');
                FOR chunk IN EXECUTE iaros.source_chunks(iaros.source_rows(TG_RELID, map, 'iaros_new')) LOOP
                    PERFORM iaros.source_apply(source, kind, ARRAY(SELECT jsonb_object_keys(map)), chunk.payload, run, chunk.first_row, false);
                END LOOP;
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation OR no_data_found THEN
            -- Whoever writes the table is not stopped by what is wrong here.
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
            run := nextval('iaros.load_id_seq');
            INSERT INTO iaros.load_run (load_id, source, kind, loaded_by, rows, accepted, duplicates, refused)
            VALUES (run, source, kind, session_user, 1, 0, 0, 1);
            INSERT INTO iaros.load_reject (load_id, row_no, kind, source, payload, reasons)
            VALUES (run, 1, kind, source, jsonb_build_object('statement', TG_OP, 'relation', TG_RELID::regclass::text),
                ARRAY['error: ' || message]);
        END;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.source_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.source_changed() IS
        'Statement trigger of attached tables: takes over what a statement wrote. SECURITY DEFINER, so that who writes a table of his own needs no right on ours. What it cannot take over is kept in load_reject and does not stop the writer.';
END $install$;
COMMENT ON PROCEDURE @extschema@.customer_install_attach() IS
'Makes the table and the trigger function of attached sources. Called by customer_install().';
