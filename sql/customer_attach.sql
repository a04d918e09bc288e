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
    -- Attributes of customers are compared with what this source says, be it
    -- as a claim or as what the row holds of it alone.
    parts := ARRAY(SELECT format(CASE WHEN kind = 'customer' AND t.field <> 'kind'
                THEN $$CASE WHEN CASE WHEN c.own ? %3$L THEN c.own ->> %3$L IS DISTINCT FROM (%2$s)::text
                    WHEN (c.stored).source = $1 AND (%3$L = ANY (c.claimed)) IS NOT TRUE THEN (c.stored).%1$I IS DISTINCT FROM (%2$s)
                    ELSE (%2$s) IS NOT NULL END THEN %3$L END$$
                ELSE 'CASE WHEN (c.stored).%I IS DISTINCT FROM (%s) THEN %L END' END, t.stored, t.value, t.field)
                   FROM iaros.source_targets(kind) t WHERE t.field = ANY (fields));
    IF kind = 'booking' THEN
        parts := parts || 'CASE WHEN c.stored_customer <> c.owner_id THEN ''customer'' END'::text;
    ELSIF kind = 'customer' THEN
        FOREACH i IN ARRAY '{email,phone,device,cookie,frequent_flyer}'::text[] LOOP
            IF i = ANY (fields) THEN
                parts := parts || format($$CASE WHEN (c.%1$I IS NOT NULL AND NOT EXISTS (
                    SELECT FROM iaros.customer_identifier i WHERE i.customer_id = c.stored_id AND i.kind = %1$L AND i.value = c.%1$I))
                  OR EXISTS (SELECT FROM iaros.customer_identifier i WHERE i.customer_id = c.stored_id AND i.kind = %1$L
                    AND i.source = $1 AND i.value IS DISTINCT FROM c.%1$I) THEN %1$L END$$, i);
            END IF;
        END LOOP;
        IF 'traits' = ANY (fields) THEN
            parts := parts || $$CASE WHEN c.own_traits IS DISTINCT FROM coalesce(c.traits, '{}') THEN 'traits' END$$::text;
        END IF;
        parts := parts || $$CASE WHEN EXISTS (SELECT FROM iaros.customer_trait r
            WHERE r.customer_id = c.stored_id AND r.source = $1 AND r.trait = 'source_deleted') THEN 'source_deleted' END$$::text;
    END IF;
    RETURN format('array_remove(ARRAY[%s]::text[], NULL)', array_to_string(parts, ', '));
END $body$;
COMMENT ON FUNCTION @extschema@.source_differs(text, text[]) IS
'Returns SQL that gives the fields in which a checked row c of an attached source differs from the row that is stored, or, of attributes of customers, from what the source claims. $1 is the source.';

CREATE FUNCTION @extschema@.source_stored(kind text, only_keys boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN kind = 'customer' THEN format('LEFT JOIN LATERAL (
            SELECT ''{}''::jsonb AS old_content, true AS old_found, false AS old_known, NULL::jsonb AS says, NULL::bigint AS owner_id,
                x AS stored, x.customer_id AS stored_id, x.customer_id AS stored_customer, NULL::timestamptz AS stored_at, %s
            WHERE x.customer_id = k.customer_id OFFSET 0) old ON true', CASE
            WHEN only_keys THEN 'NULL::jsonb AS own, NULL::text[] AS claimed, NULL::jsonb AS own_traits FROM iaros.customer x'
            ELSE 'w.own, w.claimed, coalesce(w.traits, ''{}'') || coalesce((
                    SELECT jsonb_object_agg(r.trait, r.value) FROM iaros.customer_trait r
                    WHERE r.customer_id = x.customer_id AND r.source = $1 AND r.trait <> ''source_deleted''
                      AND (''trait.'' || r.trait = ANY (w.claimed)) IS NOT TRUE), ''{}'') AS own_traits
                FROM iaros.customer x
                CROSS JOIN LATERAL (
                    SELECT jsonb_object_agg(m.attribute, m.value) FILTER (WHERE m.source = $1) AS own, array_agg(m.attribute) AS claimed,
                        jsonb_object_agg(substr(m.attribute, 7), m.value::jsonb) FILTER (
                            WHERE m.source = $1 AND starts_with(m.attribute, ''trait.'') AND m.value IS NOT NULL
                              AND m.attribute <> ''trait.source_deleted'') AS traits
                    FROM iaros.customer_claim m WHERE m.customer_id = x.customer_id) w' END)
        WHEN kind = 'booking' THEN 'LEFT JOIN LATERAL (
            SELECT true AS old_same, x AS stored, x.booking_id AS stored_id, x.customer_id AS stored_customer, NULL::timestamptz AS stored_at
            FROM iaros.booking x WHERE x.source = $1 AND x.external_id = t.external_id
            ORDER BY (x.customer_id = c.customer_id) DESC NULLS LAST, x.customer_id LIMIT 1) old ON true'
        WHEN only_keys THEN 'LEFT JOIN LATERAL (
            SELECT true AS old_same, false AS old_gone, NULL::iaros.event AS stored,
                w.event_id AS stored_id, w.customer_id AS stored_customer, w.occurred_at AS stored_at
            FROM iaros.event_key w
            WHERE w.customer_id = c.customer_id AND w.source = $1 AND w.external_id = t.external_id OFFSET 0) old ON true'
        ELSE 'LEFT JOIN LATERAL (
            SELECT true AS old_same, false AS old_gone, e.stored,
                w.event_id AS stored_id, w.customer_id AS stored_customer, w.occurred_at AS stored_at
            FROM iaros.event_key w
            LEFT JOIN LATERAL (
                SELECT x AS stored FROM iaros.event x
                WHERE x.customer_id = w.customer_id AND x.occurred_at = w.occurred_at AND x.event_id = w.event_id OFFSET 0) e ON true
            WHERE w.customer_id = c.customer_id AND w.source = $1 AND w.external_id = t.external_id OFFSET 0) old ON true' END;
COMMENT ON FUNCTION @extschema@.source_stored(text, boolean) IS
'Returns the join to the stored row of a kind, in the place of the one of the loader: one look-up by index for each row, whatever the planner knows of the tables; of customers also what the source claims. only_keys: of events the key only, not the partitions, of customers no claims. $1 is the source.';

CREATE FUNCTION @extschema@.source_checked(kind text, fields text[], payloads text, only_keys boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    parts record := iaros.load_sql(kind);
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
    moved text := CASE kind WHEN 'booking' THEN 'WHEN v.differs @> ''{customer}'' THEN ''moved''' ELSE '' END;
BEGIN
    RETURN format($$
        SELECT v.row_no, v.external_id AS key, v.verdict, v.stored_id, v.stored_customer, v.stored_at, v.differs, v.refusals,
            CASE WHEN v.verdict = 'refused' THEN v.payload END AS payload, %5$s v.natural_key, %1$s
        FROM (
            SELECT v.*, CASE WHEN v.refusals <> '{}' THEN 'refused' WHEN v.stored_id IS NULL THEN 'new'
                WHEN v.differs = '{}' THEN 'same' %2$s ELSE 'changed' END AS verdict
            FROM (
                SELECT c.row_no, c.payload, c.natural_key, c.stored, c.stored_id, c.stored_customer, c.stored_at, %8$s %1$s,
                    CASE WHEN c.stored IS NULL THEN '{}' ELSE %3$s END AS differs,
                    c.reasons || array_remove(ARRAY[
                        CASE WHEN length(c.external_id) > 600 THEN 'external_id_invalid: longer than 600 characters' END, %4$s], NULL) AS refusals
                FROM (
                    WITH src AS (SELECT row_number() OVER () AS row_no, p.payload FROM (%6$s) p)
                    %7$s) c
                OFFSET 0) v
            OFFSET 0) v$$,
        parts.kept, moved, CASE WHEN only_keys AND kind = 'event' THEN '''{}''::text[]' ELSE iaros.source_differs(kind, fields) END,
        bounds, CASE kind WHEN 'booking' THEN 'CASE WHEN v.verdict = ''moved'' THEN v.stored END AS stored,'
            WHEN 'customer' THEN 'CASE WHEN v.verdict = ''changed'' THEN v.own_traits END AS own_traits,' ELSE '' END,
        payloads, parts.checks || iaros.source_stored(kind, only_keys), CASE kind WHEN 'customer' THEN 'c.own_traits,' ELSE '' END);
END $body$;
COMMENT ON FUNCTION @extschema@.source_checked(text, text[], text, boolean) IS
'Returns a query that checks the rows of an attached source, given as a query of payloads, as the loader of that kind does, compares the mapped fields with what is stored, and gives each row its verdict: refused, new, same, changed or moved (a booking, to another customer). only_keys: events are not compared. $1 is the source.';

CREATE FUNCTION @extschema@.source_writes(kind text, fields text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    sets text := (SELECT string_agg(format('%I = %s', t.stored, t.value), ', ')
                  FROM iaros.source_targets(kind) t WHERE t.field = ANY (fields) AND (kind <> 'customer' OR t.field = 'kind'));
    claims text := (SELECT string_agg(format('(%L, (%s)::text)', t.stored, t.value), ', ')
                    FROM iaros.source_targets(kind) t WHERE t.field = ANY (fields) AND kind = 'customer' AND t.field <> 'kind');
    identifiers text[] := ARRAY(SELECT f FROM unnest('{email,phone,device,cookie,frequent_flyer}'::text[]) f WHERE f = ANY (fields));
    writes text;
BEGIN
    PERFORM iaros.install_check();
    IF kind = 'booking' THEN
        RETURN format($$changed_booking AS (
            UPDATE iaros.booking b SET %s, amount_base = CASE
                WHEN (b.amount, b.currency::text, b.booked_at) IS DISTINCT FROM (c.amount, c.currency, c.booked_at)
                THEN iaros.money_round(c.amount * c.rate, iaros.setting_get('base_currency')) ELSE b.amount_base END
            FROM checked c WHERE c.verdict = 'changed' AND b.customer_id = c.stored_customer AND b.booking_id = c.stored_id), %s$$,
            sets, iaros.source_moves(fields));
    ELSIF kind = 'event' THEN
        RETURN format($$changed_key AS (
            UPDATE iaros.event_key w SET occurred_at = c.occurred_at FROM checked c
            WHERE c.verdict = 'changed' AND c.occurred_at <> c.stored_at
              AND w.customer_id = c.stored_customer AND w.source = $1 AND w.external_id = c.external_id),
        changed_event AS (
            UPDATE iaros.event e SET %s FROM checked c WHERE c.verdict = 'changed'
              AND e.customer_id = c.stored_customer AND e.occurred_at = c.stored_at AND e.event_id = c.stored_id),
        refused_key AS (
            DELETE FROM iaros.event_key w USING checked c WHERE c.verdict = 'refused'
              AND w.customer_id = c.stored_customer AND w.source = $1 AND w.external_id = c.external_id),
        refused_event AS (
            DELETE FROM iaros.event e USING checked c WHERE c.verdict = 'refused'
              AND e.customer_id = c.stored_customer AND e.occurred_at = c.stored_at AND e.event_id = c.stored_id)$$, sets);
    END IF;
    writes := format($$changed_customer AS (
            UPDATE iaros.customer u SET %supdated_at = now() FROM checked c
            WHERE c.verdict = 'changed' AND u.customer_id = c.stored_customer
            RETURNING u.customer_id),
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
    -- The gate reads what is written above, so it comes last; all that one
    -- statement says is of one time, and that is when its customers are locked.
    claims := concat_ws(' UNION ALL ',
        'SELECT s.attribute, s.value FROM (VALUES ' || claims || ') AS s(attribute, value) WHERE s.attribute = ANY (c.differs)',
        CASE WHEN 'traits' = ANY (fields) THEN $$SELECT 'trait.' || coalesce(n.key, o.key), n.value::text
            FROM jsonb_each(coalesce(c.traits, '{}')) n FULL JOIN jsonb_each(c.own_traits) o USING (key)
            WHERE n.value IS DISTINCT FROM o.value$$ END);
    RETURN writes || format($$, changed_claim AS MATERIALIZED (
        SELECT iaros.customer_claim_apply(array_agg(b.customer_id), array_agg(b.attribute), array_agg($1), array_agg(b.value),
            array_agg((SELECT clock_timestamp())))
        FROM (SELECT c.stored_customer AS customer_id, s.attribute, s.value, (dense_rank() OVER (ORDER BY c.stored_customer) - 1) / 10000 AS batch
              FROM checked c CROSS JOIN LATERAL (%s) AS s(attribute, value) WHERE c.verdict = 'changed') b
        CROSS JOIN (SELECT count(*) FROM changed_customer) u
        GROUP BY b.batch ORDER BY b.batch)$$, coalesce(nullif(claims, ''), 'SELECT NULL::text, NULL::text WHERE false'));
END $body$;
COMMENT ON FUNCTION @extschema@.source_writes(text, text[]) IS
'Returns the common table expressions that bring the mapped fields of rows with verdict changed or moved into the tables, and take events out whose row is refused now; attributes of customers are claimed, by changed_claim, which must be asked for. $1 is the source.';

CREATE FUNCTION @extschema@.source_moves(fields text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    columns text;
    vals text;
    followers text;
BEGIN
    PERFORM iaros.install_check();
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), string_agg(CASE
            WHEN a.attname = 'customer_id' THEN 'c.owner_id'
            WHEN a.attname = 'amount_base' THEN format('CASE
                WHEN ((c.stored).amount, (c.stored).currency::text, (c.stored).booked_at) IS DISTINCT FROM (c.amount, c.currency, c.booked_at)
                THEN iaros.money_round(c.amount * c.rate, iaros.setting_get(%L)) ELSE (c.stored).amount_base END', 'base_currency')
            WHEN t.value IS NOT NULL THEN t.value
            ELSE format('(c.stored).%I', a.attname) END, ', ' ORDER BY a.attnum)
    INTO columns, vals
    FROM pg_attribute a
    LEFT JOIN iaros.source_targets('booking') t ON t.stored = a.attname AND t.field = ANY (source_moves.fields)
    WHERE a.attrelid = 'iaros.booking'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    -- Whatever refers to a booking, tables of the user's own among it.
    SELECT string_agg(format('moved_%s AS (
            UPDATE %s f SET %I = c.owner_id FROM checked c WHERE c.verdict = ''moved''
              AND f.%3$I = c.stored_customer AND f.%I = c.stored_id)', row_number, relation, customer, booking), ', ')
    INTO followers
    FROM (
        SELECT row_number() OVER (ORDER BY k.conrelid::regclass::text, k.oid), k.conrelid::regclass AS relation,
            (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[array_position(k.confkey, s.customer)]) AS customer,
            (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[array_position(k.confkey, s.booking)]) AS booking
        FROM (SELECT max(a.attnum) FILTER (WHERE a.attname = 'customer_id') AS customer, max(a.attnum) FILTER (WHERE a.attname = 'booking_id') AS booking
              FROM pg_attribute a WHERE a.attrelid = 'iaros.booking'::regclass) s
        JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = 'iaros.booking'::regclass AND k.conparentid = 0
            AND k.confkey @> ARRAY[s.customer, s.booking] AND cardinality(k.confkey) = 2) f;
    RETURN format($$moved_booking AS (
            INSERT INTO iaros.booking (%s) SELECT %s FROM checked c WHERE c.verdict = 'moved'),
        %s,
        moved_away AS (
            DELETE FROM iaros.booking b USING checked c WHERE c.verdict = 'moved'
              AND b.customer_id = c.stored_customer AND b.booking_id = c.stored_id)$$, columns, vals, followers);
END $body$;
COMMENT ON FUNCTION @extschema@.source_moves(text[]) IS
'Returns the common table expressions that move a booking to another customer: customer_id is in its key, so it is a copy with the same booking_id and all columns, to which every row of a table with a foreign key to bookings follows before the first one goes.';

CREATE FUNCTION @extschema@.source_takeover(kind text, fields text[], payloads text, only_new boolean) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    writes text;
BEGIN
    PERFORM iaros.install_check();
    writes := (iaros.load_sql(kind)).writes;
    IF NOT only_new THEN
        writes := writes || ', ' || iaros.source_writes(kind, fields);
    END IF;
    RETURN format($sql$
        WITH found AS MATERIALIZED (%s),
        known AS MATERIALIZED (SELECT EXISTS (SELECT FROM found WHERE stored_id IS NOT NULL) AND %s AS stop),
        checked AS NOT MATERIALIZED (SELECT * FROM found WHERE NOT (SELECT k.stop FROM known k)), %s,
        run AS (
            INSERT INTO iaros.load_run AS r (load_id, source, kind, loaded_by, rows, accepted, duplicates, refused)
            SELECT coalesce($2, nextval('iaros.load_id_seq')), $1, %L, session_user, count(*),
                count(*) FILTER (WHERE c.verdict IN ('new', 'changed', 'moved')), count(*) FILTER (WHERE c.verdict = 'same'),
                count(*) FILTER (WHERE c.verdict = 'refused')
            FROM checked c HAVING $2 IS NOT NULL OR count(*) FILTER (WHERE c.verdict = 'refused') > 0
            RETURNING load_id),
        reject AS (
            INSERT INTO iaros.load_reject (load_id, row_no, kind, source, external_id, payload, reasons)
            SELECT r.load_id, c.row_no, %4$L, $1, c.key, c.payload, c.refusals
            FROM run r CROSS JOIN checked c WHERE c.verdict = 'refused')
        SELECT k.stop FROM known k%s$sql$,
        iaros.source_checked(kind, fields, payloads, only_new), only_new::text, writes, kind,
        CASE WHEN kind = 'customer' AND NOT only_new THEN ' WHERE (SELECT count(*) FROM changed_claim) >= 0' END);
END $body$;
COMMENT ON FUNCTION @extschema@.source_takeover(text, text[], text, boolean) IS
'Returns the one statement that takes rows of an attached source into iaros, given as a query of payloads: new rows are inserted, rows that differ in the mapped fields updated (attributes of customers as claims of the source), refused ones kept in load_reject. only_new: nothing is written, and true returned, when one of the rows is stored already; such a statement is smaller to plan. $1 is the source, $2 the load_id; NULL: a row of load_run only when something is refused.';

CREATE FUNCTION @extschema@.source_locks(kind text, keys text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN format('WITH key AS MATERIALIZED (%s SELECT u.external_id, u.owner_id FROM unnest($2::text[], $3::bigint[]) AS u(external_id, owner_id))
        SELECT FROM iaros.customer c WHERE c.customer_id IN (%s)
        ORDER BY c.customer_id FOR NO KEY UPDATE OF c', keys || ' UNION ALL',
        CASE kind WHEN 'customer' THEN 'SELECT x.customer_id FROM key k JOIN iaros.customer_key x ON x.source = $1 AND x.external_id = k.external_id'
            WHEN 'booking' THEN 'SELECT k.owner_id FROM key k UNION ALL
                SELECT x.customer_id FROM key k JOIN iaros.booking x ON x.source = $1 AND x.external_id = k.external_id'
            ELSE 'SELECT k.owner_id FROM key k' END);
COMMENT ON FUNCTION @extschema@.source_locks(text, text) IS
'Returns the statement that locks the customers of keys (a query, NULL: none), those of the keys in the arrays $2 and $3 (external_id and owner_id), and who has the bookings now, in one order. It comes first, on its own, so that the next one sees what others have committed meanwhile. $1 is the source.';

CREATE FUNCTION @extschema@.source_removal(kind text, everything boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN kind = 'booking' THEN 'DELETE FROM iaros.booking b ' || CASE WHEN everything THEN 'WHERE b.source = $1'
            ELSE 'USING unnest($2::text[], $3::bigint[]) AS k(external_id, owner_id)
                WHERE b.source = $1 AND b.external_id = k.external_id AND (k.owner_id IS NULL OR b.customer_id = k.owner_id)' END
        WHEN kind = 'event' THEN format('WITH gone AS (DELETE FROM iaros.event_key w %s RETURNING w.customer_id, w.occurred_at, w.event_id)
            DELETE FROM iaros.event e USING gone g
            WHERE e.customer_id = g.customer_id AND e.occurred_at = g.occurred_at AND e.event_id = g.event_id',
            CASE WHEN everything THEN 'WHERE w.source = $1'
                ELSE 'USING unnest($2::text[], $3::bigint[]) AS k(external_id, owner_id)
                    WHERE w.customer_id = k.owner_id AND w.source = $1 AND w.external_id = k.external_id' END)
        ELSE format('INSERT INTO iaros.customer_trait (customer_id, trait, value, source)
            SELECT DISTINCT x.customer_id, ''source_deleted'', ''true''::jsonb, $1
            FROM iaros.customer_key x JOIN iaros.customer c ON c.customer_id = x.customer_id
            WHERE x.source = $1 %s ORDER BY x.customer_id
            ON CONFLICT ON CONSTRAINT customer_trait_pkey DO NOTHING',
            CASE WHEN NOT everything THEN 'AND x.external_id = ANY ($2)' END) END;
COMMENT ON FUNCTION @extschema@.source_removal(text, boolean) IS
'Returns the statement that takes rows with the keys in the arrays $2 and $3 (external_id and owner_id; a booking without owner_id: whoever has it), or everything of source $1, out of our tables: bookings, with what hangs on them, and events are deleted; customers stay, since consents and bookings hang on them, and get the trait source_deleted.';

CREATE FUNCTION @extschema@.source_has(kind text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN format('SELECT EXISTS (SELECT FROM iaros.%I x WHERE x.source = $1)',
        CASE kind WHEN 'customer' THEN 'customer_key' WHEN 'booking' THEN 'booking' ELSE 'event_key' END);
COMMENT ON FUNCTION @extschema@.source_has(text) IS
'Returns the query whether there are rows of a kind of source $1 yet.';

CREATE FUNCTION @extschema@.source_extra(kind text, keys text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN format(CASE kind
        WHEN 'customer' THEN 'SELECT x.external_id, NULL::bigint AS owner_id
            FROM (SELECT k.external_id FROM iaros.customer_key k WHERE k.source = $1 EXCEPT SELECT k.external_id FROM (%s) k) x
            JOIN iaros.customer_key y ON y.source = $1 AND y.external_id = x.external_id
            JOIN iaros.customer c ON c.customer_id = y.customer_id
            WHERE NOT EXISTS (SELECT FROM iaros.customer_trait r
                WHERE r.customer_id = y.customer_id AND r.source = $1 AND r.trait = ''source_deleted'')'
        -- Of two bookings with one key, that of the customer in the table is it.
        WHEN 'booking' THEN 'WITH key AS MATERIALIZED (%s)
            SELECT b.external_id, b.customer_id AS owner_id FROM iaros.booking b
            LEFT JOIN key k ON k.external_id = b.external_id
            WHERE b.source = $1 AND (k.external_id IS NULL OR b.customer_id <> k.owner_id AND EXISTS (
                SELECT FROM iaros.booking o WHERE o.customer_id = k.owner_id AND o.source = $1 AND o.external_id = b.external_id))'
        ELSE 'SELECT w.external_id, w.customer_id AS owner_id FROM iaros.event_key w WHERE w.source = $1
            EXCEPT SELECT k.external_id, k.owner_id FROM (%s) k' END, keys);
COMMENT ON FUNCTION @extschema@.source_extra(text, text) IS
'Returns a query for the keys of our rows of a kind of source $1 that are not among the given ones, a query for the keys of the attached table.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.source_columns(relation regclass, rows_from text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- Types that are not the server's own go through their output function:
    -- a cast to text or json would run a function of the type's owner here.
    RETURN (SELECT format('(SELECT %s FROM %s s) r', string_agg(CASE
                WHEN a.atttypid = 'bpchar'::regtype THEN format('s.%1$I::pg_catalog.text AS %1$I', a.attname)
                WHEN a.atttypid < 16384 THEN format('s.%I', a.attname)
                ELSE format('CASE WHEN s.%1$I IS NOT NULL THEN pg_catalog.concat(s.%1$I) END AS %1$I', a.attname) END, ', ' ORDER BY a.attnum), rows_from)
            FROM pg_attribute a
            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
END $$;
COMMENT ON FUNCTION @extschema@.source_columns(regclass, text) IS
'Returns the FROM item r with the columns of an attached relation, in types of the server. rows_from: the relation, or a transition table of it. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_rows(relation regclass, column_map jsonb, rows_from text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (SELECT format('SELECT pg_catalog.jsonb_build_object(%s) AS payload FROM %s',
                string_agg(format('%L, %s', m.key, iaros.source_field(m.key, m.value)), ', ' ORDER BY m.key COLLATE "C"),
                iaros.source_columns(relation, rows_from))
            FROM jsonb_each(column_map) m);
END $$;
COMMENT ON FUNCTION @extschema@.source_rows(regclass, jsonb, text) IS
'Returns the query that makes the payload of each row of an attached relation out of its column map. rows_from: the relation, or a transition table of it. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_keys(kind text, relation regclass, column_map jsonb, rows_from text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    -- Each field as the text that a loader reads.
    texts jsonb := (SELECT jsonb_object_agg(m.key, format('(%s #>> ''{}'')', iaros.source_field(m.key, m.value))) FROM jsonb_each(column_map) m
                    WHERE m.key IN ('external_id', 'customer_id', 'customer_external_id', 'customer_source'));
    owner text := concat_ws(', ', 'iaros.load_integer(' || (texts ->> 'customer_id') || ')', CASE WHEN texts ? 'customer_external_id' THEN 'k.customer_id' END);
BEGIN
    PERFORM iaros.install_check();
    IF kind = 'customer' THEN
        RETURN format('SELECT %s AS external_id, NULL::bigint AS owner_id FROM %s', texts ->> 'external_id', iaros.source_columns(relation, rows_from));
    END IF;
    RETURN format('SELECT %s AS external_id, coalesce(%s) AS owner_id FROM %s %s', texts ->> 'external_id', coalesce(nullif(owner, ''), 'NULL::bigint'),
        iaros.source_columns(relation, rows_from),
        CASE WHEN texts ? 'customer_external_id' THEN format('LEFT JOIN iaros.customer_key k ON k.external_id = %s AND k.source = %s',
            texts ->> 'customer_external_id', CASE WHEN texts ? 'customer_source' THEN format('coalesce(nullif(%s, ''''), $1)', texts ->> 'customer_source') ELSE '$1' END) END);
END $body$;
COMMENT ON FUNCTION @extschema@.source_keys(text, regclass, jsonb, text) IS
'Returns the query for the key (external_id, owner_id) of each row of an attached relation, the customer as the row names it. rows_from: the relation, or a transition table of it. $1 is the source. For the functions of attached sources.';

CREATE FUNCTION @extschema@.source_relation(source text, kind text) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- By what depends on the function, of which there is an index.
    RETURN (SELECT t.tgrelid FROM pg_depend d
            JOIN pg_trigger t ON t.oid = d.objid AND t.tgname = 'iaros_' || source_relation.kind || '_insert'
            WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = 'iaros.source_changed()'::regprocedure AND d.classid = 'pg_trigger'::regclass
              AND t.tgargs = convert_to(source, 'UTF8') || decode('00', 'hex') || convert_to(kind, 'UTF8') || decode('00', 'hex')
            LIMIT 1);
END $$;
COMMENT ON FUNCTION @extschema@.source_relation(text, text) IS
'Returns the relation that is attached as the rows of a kind of a source, found by the triggers on it, so that it may have been renamed; NULL when there is none.';

CREATE FUNCTION @extschema@.source_refresh(source text, kind text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint, removed bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres'
    SET bytea_output = 'hex'
    SET extra_float_digits = 1
    AS $body$
#variable_conflict use_column
DECLARE
    map jsonb;
    relation regclass := iaros.source_relation(source_refresh.source, source_refresh.kind);
    run bigint := nextval('iaros.load_id_seq');
    has boolean;
    keys text;
    extra record;
BEGIN
    PERFORM iaros.install_check();
    map := (SELECT a.column_map FROM iaros.attached_source a WHERE a.source = source_refresh.source AND a.kind = source_refresh.kind);
    IF map IS NULL OR relation IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('nothing is attached as %s of source "%s"', coalesce(source_refresh.kind, 'NULL'), coalesce(source_refresh.source, 'NULL')),
            HINT = CASE WHEN map IS NULL THEN 'List what is attached with SELECT * FROM iaros.attached_source.'
                ELSE 'The table is gone, or has lost its triggers: detach it with source_detach() and attach it again.' END;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_transaction_state',
            MESSAGE = format('a source cannot be read at isolation level %s', current_setting('transaction_isolation')),
            HINT = 'Use READ COMMITTED, so that what is committed by the time the table is locked is seen.';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    removed := 0;
    EXECUTE iaros.source_has(source_refresh.kind) INTO has USING source_refresh.source;
    IF has THEN
        keys := iaros.source_keys(source_refresh.kind, relation, map, relation::text);
        EXECUTE format('SELECT array_agg(x.external_id) AS ids, array_agg(x.owner_id) AS owners FROM (%s) x',
            iaros.source_extra(source_refresh.kind, keys)) INTO extra USING source_refresh.source;
        EXECUTE iaros.source_locks(source_refresh.kind, keys) USING source_refresh.source, extra.ids, extra.owners;
        IF extra.ids IS NOT NULL THEN
            EXECUTE iaros.source_removal(source_refresh.kind, false) USING source_refresh.source, extra.ids, extra.owners;
            GET DIAGNOSTICS removed = ROW_COUNT;
        END IF;
    END IF;
    EXECUTE iaros.source_takeover(source_refresh.kind, ARRAY(SELECT jsonb_object_keys(map)), iaros.source_rows(relation, map, relation::text), NOT has)
        USING source_refresh.source, run;
    PERFORM iaros.audit_append('source.refresh', source_refresh.kind, source_refresh.source,
        detail => jsonb_build_object('relation', relation::text, 'load_id', run, 'removed', removed));
    RETURN QUERY SELECT r.load_id, r.rows, r.accepted, r.duplicates, r.refused, removed
        FROM iaros.load_run r WHERE r.load_id = run;
END $body$;
COMMENT ON FUNCTION @extschema@.source_refresh(text, text) IS
'Brings our rows of a kind of an attached source in step with its whole table, which is locked against writes meanwhile: after triggers were off, and for rows that were refused and are right now. Returns one row of counts: rows = accepted + duplicates + refused, and how many of ours were removed because the table does not have them. For the owner. Errors: 42704 nothing attached, 25000 not READ COMMITTED.';

CREATE FUNCTION @extschema@.source_attach(kind text, relation regclass, column_map jsonb, source text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres'
    SET bytea_output = 'hex'
    SET extra_float_digits = 1
    AS $body$
#variable_conflict use_variable
DECLARE
    has boolean;
    extra record;
    event text;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.source_map_check(kind, relation, column_map, source);
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    EXECUTE iaros.source_has(kind) INTO has USING source;
    EXECUTE format('SELECT count(*) AS rows, min(x.external_id COLLATE "C") AS sample FROM (%s) x WHERE $2', iaros.source_extra(kind,
        iaros.source_keys(kind, relation, column_map, relation::text))) INTO extra USING source, has;
    IF extra.rows > 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('source "%s" has %s rows of kind %s that %s does not have', source, extra.rows, kind, relation),
            DETAIL = format('One of them is "%s".', extra.sample),
            HINT = 'An attached table is all there is of its source: add a source of its own to iaros.data_source.';
    END IF;
    INSERT INTO iaros.attached_source (source, kind, relation, column_map, attached_by)
    VALUES (source, kind, (SELECT format('%I.%I', c.relnamespace::regnamespace::name, c.relname) FROM pg_class c WHERE c.oid = relation),
        column_map, session_user);
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND starts_with(t.tgname, 'iaros_' || kind || '_')) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = format('"%s" is attached already as %s of another source', relation, kind),
            HINT = format('Detach it first with source_detach(), or, when it was restored from elsewhere, drop its triggers iaros_%s_insert, _update, _delete and _truncate.', kind);
    END IF;
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
'Attaches a table of your own as the customers, bookings or events (kind customer, booking, event) of a source of its own: takes over all its rows, then, by statement triggers, every insert, update, delete and truncate in the transaction that writes. column_map says, for each field of the loader of that kind, where it comes from. external_id must be mapped to the columns of a unique index. Rows that a loader would refuse are kept in load_reject and never stop the writer. Returns one row of counts: rows = accepted + duplicates + refused. For the owner of the tables. Errors: 22023 kind or map, 42703 column or field that does not exist, 42809 not a plain table, 42P10 key without a unique index, 23503 source that does not exist, 23505 attached already, 42710 the table is attached to another source, 42501 no SELECT or TRIGGER on the table, 55000 the source has other rows, 25000 not READ COMMITTED, and those of expressions.';

CREATE FUNCTION @extschema@.source_lost(relation regclass, column_map jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN ARRAY(
        SELECT DISTINCT n.name COLLATE "C"
        FROM jsonb_each(column_map) m
        CROSS JOIN LATERAL (
            SELECT m.value #>> '{}' WHERE jsonb_typeof(m.value) = 'string'
            UNION ALL
            SELECT e FROM jsonb_array_elements_text(CASE jsonb_typeof(m.value) WHEN 'array' THEN m.value ELSE '[]' END) e
            UNION ALL
            SELECT m.value ->> 'column' WHERE m.value ? 'column'
            UNION ALL
            SELECT f.value FROM jsonb_each_text(CASE jsonb_typeof(m.value -> 'fields') WHEN 'object' THEN m.value -> 'fields' ELSE '{}' END) f
        ) AS n(name)
        WHERE NOT EXISTS (SELECT FROM pg_attribute a
            WHERE a.attrelid = relation AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped)
        ORDER BY 1);
END $$;
COMMENT ON FUNCTION @extschema@.source_lost(regclass, jsonb) IS
'Returns the columns that a column map names and a relation does not have. Expressions are not looked into.';

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
    IF kind IN ('booking_item', 'claim') OR jsonb_typeof(column_map) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE kind WHEN 'booking_item' THEN 'items cannot be attached' WHEN 'claim' THEN 'claims cannot be attached'
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
            DETAIL = 'Only a plain table has triggers that see every write: no view, foreign, temporary, unlogged or partitioned table, no partition, none with inheritance, none of iaros.',
            HINT = 'Load its rows with customer_load(), booking_load() or event_load(), as often as you like.';
    END IF;
    parts.fields := array_remove(parts.fields, 'observed_at');
    SELECT m INTO wrong FROM jsonb_object_keys(column_map) m WHERE m <> ALL (parts.fields) LIMIT 1;
    IF wrong = 'observed_at' THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = 'field "observed_at" cannot be mapped',
            DETAIL = 'What an attached table says is observed when it is written.',
            HINT = 'Load the table with customer_load(), as often as you like, to give other times.';
    ELSIF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('field "%s" is not known to this kind', wrong),
            DETAIL = format('Known are: %s.', array_to_string(parts.fields, ', '));
    END IF;
    SELECT m INTO wrong FROM unnest(parts.required) m WHERE NOT column_map ? m LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('field "%s" is not mapped', wrong),
            DETAIL = format('Required are: %s.', array_to_string(parts.required, ', '));
    END IF;
    -- Raises an error for an entry of no known form.
    PERFORM iaros.source_field(m.key, m.value) FROM jsonb_each(column_map) m;
    wrong := (iaros.source_lost(relation, column_map))[1];
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = format('"%s" has no column "%s"', relation, wrong),
            DETAIL = 'The column map names it.',
            HINT = 'Names of columns are case-sensitive here, and without quotes.';
    END IF;
    IF NOT has_table_privilege(relation, 'SELECT') OR NOT has_table_privilege(relation, 'TRIGGER') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('permission denied for table %s', relation),
            DETAIL = 'To attach a table needs SELECT and TRIGGER on it.',
            HINT = format('Let its owner run: GRANT SELECT, TRIGGER ON %s TO %I.', relation, current_user);
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
        EXECUTE iaros.source_removal(source_detach.kind, true) USING source_detach.source;
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
    PERFORM iaros.audit_append('source.detach', kind, source, detail => jsonb_build_object('relation', relation::text, 'removed', removed));
    RETURN removed;
END $$;
COMMENT ON FUNCTION @extschema@.source_detach(text, text, boolean) IS
'Takes the triggers off an attached table, also one that was renamed or dropped meanwhile. Our rows stay, unless remove is true: then bookings and events of the source are deleted, and customers get the trait source_deleted. Returns how many rows that were. For the owner of the tables. Error: 42704 nothing attached.';

CREATE FUNCTION @extschema@.source_check(source text)
    RETURNS TABLE (kind text, external_id text, difference text, detail text[])
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET intervalstyle = 'postgres'
    SET bytea_output = 'hex'
    SET extra_float_digits = 1
    AS $body$
#variable_conflict use_column
DECLARE
    a record;
    relation regclass;
BEGIN
    PERFORM iaros.install_check();
    FOR a IN SELECT x.kind, x.relation, x.column_map FROM iaros.attached_source x
             WHERE x.source = source_check.source ORDER BY x.kind LOOP
        relation := iaros.source_relation(source_check.source, a.kind);
        IF relation IS NULL THEN
            RETURN QUERY SELECT a.kind, NULL::text, 'relation'::text, ARRAY[a.relation || ' is gone, or has lost its triggers'];
            CONTINUE;
        END IF;
        BEGIN
            RETURN QUERY EXECUTE format($sql$
                SELECT %1$L, c.key, CASE c.verdict WHEN 'refused' THEN 'refused' WHEN 'new' THEN 'missing' ELSE 'different' END,
                    CASE c.verdict WHEN 'refused' THEN c.refusals WHEN 'new' THEN '{}' ELSE c.differs END
                FROM (%2$s) c WHERE c.verdict <> 'same'
                UNION ALL
                SELECT %1$L, x.external_id, 'extra', '{}' FROM (%3$s) x
                ORDER BY 2$sql$, a.kind,
                iaros.source_checked(a.kind, ARRAY(SELECT jsonb_object_keys(a.column_map)), iaros.source_rows(relation, a.column_map, relation::text), false),
                iaros.source_extra(a.kind, iaros.source_keys(a.kind, relation, a.column_map, relation::text)))
                USING source_check.source;
        EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
            IF SQLSTATE = '42501' THEN
                RAISE;
            END IF;
            RETURN QUERY SELECT a.kind, NULL::text, 'error'::text, ARRAY[SQLERRM];
        END;
    END LOOP;
END $body$;
COMMENT ON FUNCTION @extschema@.source_check(text) IS
'Returns how our rows of a source differ from the tables attached to it, no row when they are in step: missing (not here), extra (only here), different (detail: the fields), refused (detail: the reasons; what is here is the last state that was not), relation (the table or its triggers are gone), error (the table cannot be read by its map: detail). Reads the whole tables, with the caller''s rights on them.';

CREATE FUNCTION @extschema@.source_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH attached AS (
            SELECT a.source, a.kind, a.relation, a.column_map, iaros.source_relation(a.source, a.kind) AS table_id,
                format('attached %s of %s', a.kind, a.source) AS subject
            FROM iaros.attached_source a),
        trigger AS (
            SELECT a.source, a.kind, e.event, t.tgenabled
            FROM attached a
            CROSS JOIN unnest('{insert,update,delete,truncate}'::text[]) AS e(event)
            LEFT JOIN pg_trigger t ON t.tgrelid = a.table_id AND t.tgname = 'iaros_' || a.kind || '_' || e.event
                AND t.tgfoid = 'iaros.source_changed()'::regprocedure)
        SELECT 'error'::iaros.alert_severity, a.subject,
            format(CASE WHEN to_regclass(a.relation) IS NULL THEN 'its table %s is gone' ELSE 'its table %s has lost its triggers' END, a.relation),
            format('SELECT iaros.source_detach(%L, %L)%s.', a.source, a.kind,
                CASE WHEN to_regclass(a.relation) IS NULL THEN '' ELSE ', then attach it again with source_attach()' END)
        FROM attached a WHERE a.table_id IS NULL
        UNION ALL
        SELECT 'error', a.subject, format('triggers of %s are %s: %s', a.table_id, CASE WHEN t.off THEN 'disabled' ELSE 'gone' END, t.events),
            CASE WHEN t.off THEN format('ALTER TABLE %s ENABLE TRIGGER USER, then SELECT * FROM iaros.source_refresh(%L, %L).', a.table_id, a.source, a.kind)
                ELSE format('SELECT iaros.source_detach(%L, %L), then attach it again with source_attach().', a.source, a.kind) END
        FROM attached a
        JOIN (SELECT x.source, x.kind, x.tgenabled IS NOT NULL AS off, string_agg(x.event, ', ') AS events
              FROM trigger x WHERE x.tgenabled IS NULL OR x.tgenabled IN ('D', 'R')
              GROUP BY 1, 2, 3) t ON t.source = a.source AND t.kind = a.kind
        WHERE a.table_id IS NOT NULL
        UNION ALL
        SELECT 'error', a.subject, format('%s has no column "%s" any more', a.table_id, c.name),
            format('Name it so again and SELECT * FROM iaros.source_refresh(%L, %L), or detach the table and attach it with another map.', a.source, a.kind)
        FROM attached a CROSS JOIN unnest(iaros.source_lost(a.table_id, a.column_map)) AS c(name)
        WHERE a.table_id IS NOT NULL
        UNION ALL
        SELECT 'error', a.subject, format('%s statements of the last day were not taken over, the last one: %s', l.rows, l.last),
            format('Mend what it says, then SELECT * FROM iaros.source_refresh(%L, %L).', a.source, a.kind)
        FROM attached a
        JOIN (SELECT r.source, r.kind, count(*) AS rows, (array_agg(j.reasons[1] ORDER BY r.load_id DESC))[1] AS last
              FROM iaros.load_run r JOIN iaros.load_reject j ON j.load_id = r.load_id
              WHERE r.loaded_at > now() - interval '1 day' AND j.payload ? 'statement' AND starts_with(j.reasons[1], 'error: ')
                -- A refresh since then has repaired it.
                AND NOT EXISTS (SELECT FROM iaros.audit_log g WHERE g.at >= r.loaded_at - interval '1 day' AND g.action = 'source.refresh'
                    AND g.object = r.kind AND g.object_key = r.source AND (g.detail ->> 'load_id')::bigint > r.load_id)
              GROUP BY 1, 2) l ON l.source = a.source AND l.kind = a.kind
        ORDER BY 2, 3;
END $$;
COMMENT ON FUNCTION @extschema@.source_doctor() IS
'Findings of doctor() about attached tables: gone, triggers lost or disabled, mapped columns gone, and statements of the last day that could not be taken over.';

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
        SET intervalstyle = 'postgres'
        SET bytea_output = 'hex'
        SET extra_float_digits = 1
        AS $gate$
    DECLARE
        source text := TG_ARGV[0];
        kind text := TG_ARGV[1];
        map jsonb := (SELECT a.column_map FROM iaros.attached_source a WHERE a.source = TG_ARGV[0] AND a.kind = TG_ARGV[1]);
        fields text[] := ARRAY(SELECT jsonb_object_keys(map));
        old_keys text;
        new_keys text;
        gone text[];
        owners bigint[];
        stop boolean;
        message text;
    BEGIN
        -- An attached table that was restored without its source.
        IF map IS NULL OR TG_RELID IS DISTINCT FROM iaros.source_relation(source, kind) THEN
            RETURN NULL;
        END IF;
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                EXECUTE iaros.source_removal(kind, true) USING source;
                RETURN NULL;
            ELSIF TG_OP = 'INSERT' THEN
                EXECUTE iaros.source_takeover(kind, fields, iaros.source_rows(TG_RELID, map, 'iaros_new'), true) INTO stop USING source, NULL::bigint;
                IF NOT stop THEN
                    RETURN NULL;
                END IF;
            ELSE
                old_keys := iaros.source_keys(kind, TG_RELID, map, 'iaros_old');
            END IF;
            IF TG_OP <> 'DELETE' THEN
                new_keys := iaros.source_keys(kind, TG_RELID, map, 'iaros_new');
            END IF;
            IF TG_OP <> 'INSERT' THEN
                -- Of a booking the key alone counts: it may change hands.
                IF kind = 'booking' THEN
                    old_keys := format('SELECT o.external_id, NULL::bigint AS owner_id FROM (%s) o', old_keys);
                END IF;
                EXECUTE format('SELECT array_agg(x.external_id), array_agg(x.owner_id) FROM (%s %s) x', old_keys,
                    CASE WHEN TG_OP = 'DELETE' THEN '' WHEN kind = 'booking' THEN format('EXCEPT SELECT n.external_id, NULL FROM (%s) n', new_keys)
                        ELSE 'EXCEPT ' || new_keys END)
                    INTO gone, owners USING source;
            END IF;
            EXECUTE iaros.source_locks(kind, new_keys) USING source, gone, owners;
            IF gone IS NOT NULL THEN
                EXECUTE iaros.source_removal(kind, false) USING source, gone, owners;
            END IF;
            IF TG_OP <> 'DELETE' THEN
                EXECUTE iaros.source_takeover(kind, fields, iaros.source_rows(TG_RELID, map, 'iaros_new'), false) USING source, NULL::bigint;
            END IF;
        EXCEPTION WHEN others THEN
            -- Whoever writes the table is not stopped by what is wrong here;
            -- what may work when it is tried again is not hidden from him.
            IF left(SQLSTATE, 2) = ANY ('{25,40,53,57,58,XX}') OR SQLSTATE = '55P03' THEN
                RAISE;
            END IF;
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
            WITH run AS (
                INSERT INTO iaros.load_run (source, kind, loaded_by, rows, accepted, duplicates, refused)
                VALUES (source, kind, session_user, 1, 0, 0, 1) RETURNING load_id)
            INSERT INTO iaros.load_reject (load_id, row_no, kind, source, payload, reasons)
            SELECT r.load_id, 1, kind, source, jsonb_build_object('statement', TG_OP, 'relation', TG_RELID::regclass::text),
                ARRAY['error: ' || message]
            FROM run r;
        END;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.source_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.source_changed() IS
        'Statement trigger of attached tables: takes over what a statement wrote. SECURITY DEFINER, so that who writes a table of his own needs no right on ours. What it cannot take over is kept in load_reject and does not stop the writer.';
END $install$;
COMMENT ON PROCEDURE @extschema@.customer_install_attach() IS
'Makes the table and the trigger function of attached sources. Called by customer_install().';
