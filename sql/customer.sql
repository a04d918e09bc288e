-- customer: customers, their identifiers and aliases, bookings and items,
-- events, touchpoints, conversions; recording and loading them.

CREATE TYPE @extschema@.customer_kind AS ENUM ('known', 'anonymous');
COMMENT ON TYPE @extschema@.customer_kind IS
'known: a person we can name; anonymous: a visitor known only by a device or cookie.';

CREATE TYPE @extschema@.booking_status AS ENUM
    ('held', 'confirmed', 'ticketed', 'flown', 'no_show', 'cancelled', 'refunded');
COMMENT ON TYPE @extschema@.booking_status IS
'Where a booking stands. cancelled and refunded bookings do not count as purchases.';

CREATE TYPE @extschema@.cabin AS ENUM ('economy', 'premium_economy', 'business', 'first');
COMMENT ON TYPE @extschema@.cabin IS 'Cabin of a booking, lowest first.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.booking_counts(status @extschema@.booking_status)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN status IN ('confirmed', 'ticketed', 'flown', 'no_show');
COMMENT ON FUNCTION @extschema@.booking_counts(@extschema@.booking_status) IS
'Tells whether a booking of this status is a purchase: confirmed, ticketed, flown or no_show. NULL gives NULL. Inlined.';

CREATE FUNCTION @extschema@.identifier_normal(kind text, value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE kind
        WHEN 'email' THEN lower(btrim(value))
        WHEN 'phone' THEN regexp_replace(value, '[^0-9+]', '', 'g')
        ELSE btrim(value)
    END;
COMMENT ON FUNCTION @extschema@.identifier_normal(text, text) IS
'Returns an identifier in the form in which identifiers are compared: e-mail addresses trimmed and in lower case, phone numbers with digits and + only, others trimmed. NULL gives NULL.';

CREATE FUNCTION @extschema@.mask_text(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN position('@' IN value) > 1
        THEN left(value, 1) || '***' || substr(value, position('@' IN value))
        ELSE left(value, 1) || '***' END;
COMMENT ON FUNCTION @extschema@.mask_text(text) IS
'Returns a personal text with all but its first character (and the domain of an e-mail address) replaced by three stars, so that its length is hidden too. NULL gives NULL.';

-- Engine: customers -------------------------------------------------------

CREATE FUNCTION @extschema@.customer_create(
    source text DEFAULT 'manual',
    external_id text DEFAULT NULL,
    kind @extschema@.customer_kind DEFAULT 'known',
    first_name text DEFAULT NULL,
    last_name text DEFAULT NULL,
    email text DEFAULT NULL,
    phone text DEFAULT NULL,
    birth_date date DEFAULT NULL,
    gender text DEFAULT NULL,
    country text DEFAULT NULL,
    city text DEFAULT NULL,
    language text DEFAULT NULL,
    time_zone text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    fresh bigint;
BEGIN
    PERFORM iaros.install_check();
    IF external_id IS NULL THEN
        id := nextval('iaros.customer_id_seq');
    ELSE
        fresh := nextval('iaros.customer_id_seq');
        INSERT INTO iaros.customer_key AS k (source, external_id, customer_id)
        VALUES (customer_create.source, customer_create.external_id, fresh)
        ON CONFLICT (source, external_id) DO UPDATE SET customer_id = k.customer_id
        RETURNING k.customer_id INTO id;
        IF id <> fresh THEN
            RETURN id;
        END IF;
    END IF;
    INSERT INTO iaros.customer (customer_id, kind, source, first_name, last_name,
        birth_date, gender, country, city, language, time_zone)
    VALUES (id, kind, source, first_name, last_name, birth_date, gender, country,
        city, language, time_zone);
    INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary, source)
    SELECT id, i.kind, iaros.identifier_normal(i.kind, i.value), true, customer_create.source
    FROM (VALUES ('email', email), ('phone', phone)) AS i(kind, value)
    WHERE i.value IS NOT NULL;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.customer_create(text, text, @extschema@.customer_kind, text, text, text, text, date, text, text, text, text, text) IS
'Makes a customer with e-mail address and phone number as identifiers and returns the customer_id. With an external_id the pair (source, external_id) is the natural key: a second call returns the customer that is there, unchanged, also when two sessions do it at once. Errors: 23503 source or country that does not exist, 23514 value outside its range.';

CREATE FUNCTION @extschema@.customer_find(source text, external_id text) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (SELECT k.customer_id FROM iaros.customer_key k
            WHERE k.source = customer_find.source AND k.external_id = customer_find.external_id);
END $$;
COMMENT ON FUNCTION @extschema@.customer_find(text, text) IS
'Returns the customer of a natural key, NULL when there is none. One index look-up.';

CREATE FUNCTION @extschema@.customer_resolve(customer_id bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN coalesce(
        (SELECT a.master_id FROM iaros.customer_alias a
         WHERE a.customer_id = customer_resolve.customer_id), customer_id);
END $$;
COMMENT ON FUNCTION @extschema@.customer_resolve(bigint) IS
'Returns the customer that an alias stands for, or the argument itself. Aliases never chain, so this is one look-up.';

CREATE FUNCTION @extschema@.customer_lock(customer_ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    ids := ARRAY(
        SELECT u.id FROM unnest(customer_ids) AS u(id) WHERE u.id IS NOT NULL
        UNION
        SELECT a.master_id FROM iaros.customer_alias a WHERE a.customer_id = ANY (customer_ids)
        ORDER BY 1);
    PERFORM FROM iaros.customer c WHERE c.customer_id = ANY (ids)
    ORDER BY c.customer_id FOR NO KEY UPDATE;
    RETURN ids;
END $$;
COMMENT ON FUNCTION @extschema@.customer_lock(bigint[]) IS
'Locks the persons behind some customers against other changes of what is derived of them, until the transaction ends, and returns their ids in order: those given and the customers that aliases among them stand for. Rows of customer are locked in the order of customer_id, so that two that lock the same ones do not deadlock; read what depends on them in a later statement. Ids of nobody are returned but hold nothing; NULL elements are left out, NULL gives an empty array. O(customers).';

CREATE FUNCTION @extschema@.customer_lock_family(customer_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    masters bigint[];
    locked bigint;
BEGIN
    PERFORM iaros.install_check();
    masters := customer_ids || ARRAY(
        SELECT a.master_id FROM iaros.customer_alias a WHERE a.customer_id = ANY (customer_ids));
    PERFORM FROM iaros.customer c
    WHERE c.customer_id = ANY (masters || ARRAY(
        SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (masters)))
    ORDER BY c.customer_id FOR UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
    RETURN locked;
END $$;
COMMENT ON FUNCTION @extschema@.customer_lock_family(bigint[]) IS
'Locks some customers and all who are one person with one of them, in the order of customer_id, until the transaction ends, and returns how many rows that were. For what changes who is whose alias: nobody writes bookings or events for them meanwhile, and two such changes do not deadlock. NULL is nobody. O(customers).';

CREATE FUNCTION @extschema@.customer_recognise(
    alias_id bigint,
    master_id bigint,
    reason text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    target bigint;
    found_ids bigint;
BEGIN
    PERFORM iaros.install_check();
    IF alias_id = master_id THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('customer %s cannot be an alias of itself', alias_id),
            HINT = 'Give the visitor first and the customer that was recognised second.';
    END IF;
    -- All rows are locked in one order, so that opposite calls cannot
    -- deadlock and a chain cannot form behind our back.
    PERFORM iaros.customer_lock_family(ARRAY[alias_id, master_id]);
    SELECT count(*) INTO found_ids FROM iaros.customer c WHERE c.customer_id IN (alias_id, master_id);
    IF found_ids <> 2 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('customer %s or %s does not exist', alias_id, master_id),
            HINT = 'Make the customer first with customer_create().';
    END IF;
    target := iaros.customer_resolve(master_id);
    IF target = alias_id THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('customer %s is already an alias of customer %s', master_id, alias_id),
            HINT = format('Undo that first: SELECT iaros.customer_separate(%s).', master_id);
    END IF;
    IF target = (SELECT a.master_id FROM iaros.customer_alias a WHERE a.customer_id = alias_id) THEN
        RETURN false;
    END IF;
    PERFORM iaros.customer_separate(alias_id);
    INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as, reason)
    VALUES (alias_id, target, customer_recognise.master_id, reason);
    -- Aliases of the alias now stand for the same customer.
    UPDATE iaros.customer_alias a SET master_id = target
    WHERE a.master_id = alias_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.customer_recognise(bigint, bigint, text) IS
'Records that a visitor (alias) is the same person as a customer (master); everything that follows aliases then takes both as one. Returns false when that was recorded already. Undone by customer_separate(). Errors: 23503 a customer that does not exist, 22023 a customer as alias of itself or of its own alias.';

CREATE FUNCTION @extschema@.customer_separate(alias_id bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.customer_lock_family(ARRAY[alias_id]);
    DELETE FROM iaros.customer_alias a WHERE a.customer_id = alias_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Who was recognised as the alias, directly or not, goes with it.
    WITH RECURSIVE follower AS (
        SELECT a.customer_id FROM iaros.customer_alias a WHERE a.recognised_as = alias_id
        UNION
        SELECT a.customer_id FROM iaros.customer_alias a
        JOIN follower f ON a.recognised_as = f.customer_id)
    UPDATE iaros.customer_alias a SET master_id = alias_id
    FROM follower f WHERE a.customer_id = f.customer_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION @extschema@.customer_separate(bigint) IS
'Undoes customer_recognise(): the alias stands for itself again, and those that were recognised as it go with it. Returns false when it was no alias. No other row was moved, so none has to be moved back.';

CREATE FUNCTION @extschema@.customer_deleted() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- No foreign key can say this: a master may live on another node.
    DELETE FROM iaros.customer_alias a WHERE a.master_id = OLD.customer_id;
    DELETE FROM iaros.customer_key k WHERE k.customer_id = OLD.customer_id;
    PERFORM iaros.audit_append('customer.delete', 'customer', OLD.customer_id::text, OLD.customer_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.customer_deleted() IS
'Trigger: writes an audit row for a deleted customer, lets its aliases stand for themselves and gives up its natural keys.';

CREATE FUNCTION @extschema@.customer_ids(customer_id bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 2
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    master bigint := iaros.customer_resolve(customer_id);
BEGIN
    RETURN NEXT master;
    RETURN QUERY SELECT a.customer_id FROM iaros.customer_alias a
                 WHERE a.master_id = master ORDER BY 1;
END $$;
COMMENT ON FUNCTION @extschema@.customer_ids(bigint) IS
'Returns the ids under which one person is stored: the master first, then its aliases. The argument may be any of them.';

CREATE FUNCTION @extschema@.customer_timeline(
    customer_id bigint,
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    max_rows integer DEFAULT 1000)
    RETURNS TABLE (at timestamptz, kind text, what text, detail jsonb, stored_as bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT iaros.customer_ids(customer_timeline.customer_id));
BEGIN
    RETURN QUERY
        SELECT * FROM (
            SELECT b.booked_at, 'booking'::text,
                concat_ws(' ', b.origin || '-' || b.destination, b.cabin, b.status),
                jsonb_strip_nulls(jsonb_build_object(
                    'booking_id', b.booking_id, 'amount', b.amount, 'currency', b.currency,
                    'channel', b.sales_channel, 'departure', b.departure_at,
                    'items', (SELECT jsonb_agg(i.kind ORDER BY i.line_no) FROM iaros.booking_item i
                              WHERE i.customer_id = b.customer_id AND i.booking_id = b.booking_id))),
                b.customer_id
            FROM iaros.booking b WHERE b.customer_id = ANY (ids)
            UNION ALL
            SELECT e.occurred_at, 'event', e.kind, e.properties, e.customer_id
            FROM iaros.event e WHERE e.customer_id = ANY (ids)
            UNION ALL
            SELECT t.occurred_at, 'touchpoint', t.channel || ' ' || t.kind,
                jsonb_strip_nulls(jsonb_build_object('campaign_id', t.campaign_id, 'campaign', t.campaign, 'cost_base', trim_scale(t.cost_base))),
                t.customer_id
            FROM iaros.touchpoint t WHERE t.customer_id = ANY (ids)
            UNION ALL
            SELECT c.occurred_at, 'conversion', c.kind,
                jsonb_strip_nulls(jsonb_build_object('value_base', c.value_base, 'booking_id', c.booking_id)),
                c.customer_id
            FROM iaros.conversion c WHERE c.customer_id = ANY (ids)
        ) AS l(at, kind, what, detail, stored_as)
        WHERE l.at >= from_time AND l.at < to_time
        ORDER BY l.at DESC, l.kind, l.what
        LIMIT max_rows;
END $$;
COMMENT ON FUNCTION @extschema@.customer_timeline(bigint, timestamptz, timestamptz, integer) IS
'Returns what happened to and by a customer in [from_time, to_time), newest first, at most max_rows: bookings, events, touchpoints and conversions of the customer and of all aliases; stored_as tells under which id. No row for NULL or an unknown customer. Reads by index.';

CREATE FUNCTION @extschema@.customer_require(customer_id bigint) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = customer_require.customer_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('customer %s does not exist', coalesce(customer_id::text, 'NULL')),
            HINT = 'Make the customer first with customer_create(), or find it with customer_find().';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.customer_require(bigint) IS
'Raises 23503 with a hint when a customer does not exist (or is NULL). One index look-up.';

-- Engine: bookings --------------------------------------------------------

CREATE FUNCTION @extschema@.booking_base() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.money_check(NEW.amount, NEW.currency);
    NEW.amount_base := iaros.fx_convert(NEW.amount, NEW.currency, (NEW.booked_at AT TIME ZONE 'UTC')::date);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.booking_base() IS
'Trigger: fills amount_base with the amount in the base currency at the rate of the day of booking (UTC).';

CREATE FUNCTION @extschema@.booking_record(
    customer_id bigint,
    amount numeric,
    currency text,
    booked_at timestamptz DEFAULT now(),
    origin text DEFAULT NULL,
    destination text DEFAULT NULL,
    cabin @extschema@.cabin DEFAULT NULL,
    fare_class text DEFAULT NULL,
    sales_channel text DEFAULT NULL,
    party_size integer DEFAULT 1,
    departure_at timestamptz DEFAULT NULL,
    return_at timestamptz DEFAULT NULL,
    status @extschema@.booking_status DEFAULT 'confirmed',
    source text DEFAULT 'manual',
    external_id text DEFAULT NULL,
    items jsonb DEFAULT '[]')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    external text;
    airport_code text;
BEGIN
    PERFORM iaros.install_check();
    id := nextval('iaros.booking_id_seq');
    external := coalesce(external_id, 'booking-' || id);
    IF jsonb_typeof(items) <> 'array' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('items must be a JSON array, not %s', jsonb_typeof(items)),
            HINT = 'Example: [{"kind": "seat", "amount": 25}].';
    END IF;
    PERFORM iaros.customer_require(booking_record.customer_id);
    IF amount < 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('amount %s of a booking is negative', amount),
            HINT = 'Cancel or refund a booking by its status; amounts are never negative.';
    END IF;
    FOREACH airport_code IN ARRAY array_remove(ARRAY[origin, destination], NULL) LOOP
        IF NOT EXISTS (SELECT FROM iaros.airport a WHERE a.airport = airport_code) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'foreign_key_violation',
                MESSAGE = format('airport "%s" does not exist', airport_code),
                HINT = 'Airports are IATA codes in upper case; add yours to iaros.airport.';
        END IF;
    END LOOP;
    INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status,
        origin, destination, cabin, fare_class, sales_channel, party_size,
        departure_at, return_at, amount, currency)
    VALUES (customer_id, id, source, external, booked_at, status,
        origin, destination, cabin, fare_class, sales_channel, party_size,
        departure_at, return_at, amount, currency)
    ON CONFLICT ON CONSTRAINT booking_natural_key DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'unique_violation',
            MESSAGE = format('booking "%s" of source "%s" exists already for customer %s',
                external, source, booking_record.customer_id),
            HINT = 'Update that booking, or load with booking_load(), which takes the same booking twice.';
    END IF;
    INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, code, description, quantity, unit_price, amount, currency)
    SELECT booking_record.customer_id, id, i.n, i.item ->> 'kind', i.item ->> 'code', i.item ->> 'description',
        coalesce((i.item ->> 'quantity')::integer, 1), (i.item ->> 'unit_price')::numeric,
        (i.item ->> 'amount')::numeric, booking_record.currency
    FROM jsonb_array_elements(items) WITH ORDINALITY AS i(item, n);
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.booking_record(bigint, numeric, text, timestamptz, text, text, @extschema@.cabin, text, text, integer, timestamptz, timestamptz, @extschema@.booking_status, text, text, jsonb) IS
'Records one booking with its items (array of objects with kind, amount and optional code, description, quantity, unit_price) and returns the booking_id. amount is the whole price in the currency; amount_base is fixed at the rate of the day. Errors: 23505 (source, external_id) of this customer exists, 23503 unknown customer, airport, channel, source or item kind, 23514 negative amount, 22023 amount with more decimals than the currency has or currency not in ISO 4217, P0002 no rate.';

-- Engine: events ----------------------------------------------------------

CREATE FUNCTION @extschema@.event_record(
    customer_id bigint,
    kind text,
    occurred_at timestamptz DEFAULT now(),
    properties jsonb DEFAULT '{}',
    source text DEFAULT 'web',
    external_id text DEFAULT NULL,
    session_id text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    required text[];
    missing text[];
BEGIN
    PERFORM iaros.customer_require(event_record.customer_id);
    id := nextval('iaros.event_id_seq');
    SELECT k.required_properties INTO required
    FROM iaros.event_kind k WHERE k.kind = event_record.kind;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('event kind "%s" does not exist', event_record.kind),
            HINT = 'List the kinds with SELECT * FROM iaros.event_kind; add your own there.';
    END IF;
    IF jsonb_typeof(event_record.properties) <> 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('properties must be a JSON object, not %s', jsonb_typeof(event_record.properties)),
            HINT = 'Example: {"origin": "JFK", "destination": "LHR"}.';
    END IF;
    missing := ARRAY(SELECT r FROM unnest(required) AS r
                     WHERE NOT coalesce(event_record.properties, '{}') ? r);
    IF missing <> '{}' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('event of kind "%s" lacks property "%s"', event_record.kind, missing[1]),
            DETAIL = format('Required: %s.', array_to_string(required, ', ')),
            HINT = 'Give the properties as a JSON object.';
    END IF;
    IF external_id IS NOT NULL THEN
        INSERT INTO iaros.event_key (customer_id, source, external_id, event_id, occurred_at)
        VALUES (event_record.customer_id, event_record.source, event_record.external_id, id, event_record.occurred_at)
        ON CONFLICT (customer_id, source, external_id) DO NOTHING;
        IF NOT FOUND THEN
            RETURN (SELECT k.event_id FROM iaros.event_key k
                    WHERE k.customer_id = event_record.customer_id
                      AND k.source = event_record.source AND k.external_id = event_record.external_id);
        END IF;
    END IF;
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source, session_id, properties)
    VALUES (event_record.customer_id, id, event_record.kind, event_record.occurred_at,
            event_record.source, event_record.session_id, coalesce(event_record.properties, '{}'));
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.event_record(bigint, text, timestamptz, jsonb, text, text, text) IS
'Records an event of a customer and returns its event_id. With an external_id the triple (customer_id, source, external_id) is recorded once: a second call returns the first event and changes nothing. Errors: 23503 unknown customer, kind or source, 22023 a property that the kind requires is missing.';

CREATE FUNCTION @extschema@.touchpoint_record(
    customer_id bigint,
    channel text,
    occurred_at timestamptz DEFAULT now(),
    kind text DEFAULT 'click',
    campaign_id bigint DEFAULT NULL,
    message_id bigint DEFAULT NULL,
    cost_base numeric DEFAULT NULL,
    source text DEFAULT 'web',
    external_id text DEFAULT NULL,
    campaign text DEFAULT NULL,
    "position" smallint DEFAULT NULL,
    stage text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.customer_require(touchpoint_record.customer_id);
    id := nextval('iaros.touchpoint_id_seq');
    IF external_id IS NOT NULL THEN
        INSERT INTO iaros.touchpoint_key (customer_id, source, external_id, touchpoint_id, occurred_at)
        VALUES (touchpoint_record.customer_id, touchpoint_record.source, touchpoint_record.external_id, id, touchpoint_record.occurred_at)
        ON CONFLICT (customer_id, source, external_id) DO NOTHING;
        IF NOT FOUND THEN
            RETURN (SELECT k.touchpoint_id FROM iaros.touchpoint_key k
                    WHERE k.customer_id = touchpoint_record.customer_id
                      AND k.source = touchpoint_record.source AND k.external_id = touchpoint_record.external_id);
        END IF;
    END IF;
    INSERT INTO iaros.touchpoint (customer_id, touchpoint_id, occurred_at, channel, kind, campaign_id, campaign,
        message_id, "position", stage, cost_base, source)
    VALUES (touchpoint_record.customer_id, id, touchpoint_record.occurred_at, touchpoint_record.channel,
            touchpoint_record.kind, touchpoint_record.campaign_id, touchpoint_record.campaign,
            touchpoint_record.message_id, touchpoint_record."position", touchpoint_record.stage,
            touchpoint_record.cost_base, touchpoint_record.source);
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.touchpoint_record(bigint, text, timestamptz, text, bigint, bigint, numeric, text, text, text, smallint, text) IS
'Records one contact of a customer with a marketing channel (kind impression, open, click or visit; cost_base: what it cost in the base currency, rounded to 8 decimals; campaign: name of one that is not ours; position: place of the link or advertisement, from 1; stage: lead or opportunity, what the contact began) and returns its id. With an external_id the triple (customer_id, source, external_id) is recorded once: a second call returns the first touchpoint and changes nothing. Errors: 23503 unknown customer, channel or source, 23514 unknown kind or stage, negative cost, position below 1.';

CREATE FUNCTION @extschema@.conversion_record(
    customer_id bigint,
    value_base numeric,
    occurred_at timestamptz DEFAULT now(),
    kind text DEFAULT 'booking',
    booking_id bigint DEFAULT NULL,
    source text DEFAULT 'web',
    external_id text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.customer_require(conversion_record.customer_id);
    INSERT INTO iaros.conversion (customer_id, occurred_at, kind, booking_id, value_base, source, external_id)
    VALUES (conversion_record.customer_id, conversion_record.occurred_at, conversion_record.kind,
            conversion_record.booking_id, conversion_record.value_base, conversion_record.source,
            conversion_record.external_id)
    ON CONFLICT ON CONSTRAINT conversion_natural_key DO NOTHING
    RETURNING conversion_id INTO id;
    IF id IS NULL THEN
        SELECT c.conversion_id INTO id FROM iaros.conversion c
        WHERE c.customer_id = conversion_record.customer_id
          AND c.source = conversion_record.source AND c.external_id = conversion_record.external_id;
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.conversion_record(bigint, numeric, timestamptz, text, bigint, text, text) IS
'Records that a customer did what marketing is for, with its value in the base currency, and returns its id. With an external_id the triple (customer_id, source, external_id) is recorded once: a second call returns the first conversion and changes nothing. Errors: 23503 unknown customer, booking or source, 23505 a conversion of that kind exists for the booking, 23514 negative value.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.customer_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'alias ' || a.customer_id,
            format('its master %s does not exist or is an alias itself', a.master_id),
            format('SELECT iaros.customer_separate(%s).', a.customer_id)
        FROM iaros.customer_alias a
        WHERE NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = a.master_id)
           OR EXISTS (SELECT FROM iaros.customer_alias m WHERE m.customer_id = a.master_id)
        ORDER BY a.customer_id LIMIT 100;
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, 'customer_key',
            format('%s natural keys lead to no customer', count(*)),
            'Delete those rows of iaros.customer_key.'
        FROM iaros.customer_key k
        WHERE NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = k.customer_id)
        HAVING count(*) > 0;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'currency ' || b.currency,
            'bookings use it, but it has no rate for today',
            'Add a row to iaros.fx_rate.'
        FROM (SELECT DISTINCT x.currency FROM iaros.booking x
              WHERE x.booked_at >= now() - interval '30 days') b
        WHERE b.currency <> iaros.setting_get('base_currency')
          AND NOT EXISTS (
              SELECT FROM iaros.fx_rate r
              WHERE r.currency = b.currency AND r.day <= current_date
                AND r.day >= current_date - iaros.setting_get('fx_max_age_days')::integer);
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'customer_claim',
            format('%s attributes of customers are not what the claim that wins says', count(*)),
            'Run SELECT iaros.customer_provenance_refresh().'
        FROM iaros.customer_provenance_check(NULL)
        HAVING count(*) > 0;
    RETURN QUERY SELECT * FROM iaros.source_doctor();
END $$;
COMMENT ON FUNCTION @extschema@.customer_doctor() IS
'Findings of doctor() about customers: aliases and natural keys that lead nowhere, currencies in use without a rate, attributes that are not what the best claim says, and those of source_doctor().';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.customer_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('customer', 1) THEN
    CREATE TABLE iaros.data_source (
        source text PRIMARY KEY CHECK (source ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.data_source IS
        'Where rows come from; part of every natural key. Add your own.';
    INSERT INTO iaros.data_source (source, description, shipped_hash) VALUES
        ('pss', 'Passenger service system: bookings', 'new'),
        ('web', 'Web site: sessions, searches, carts', 'new'),
        ('mobile', 'Mobile application', 'new'),
        ('crm', 'Customer relations: contacts, complaints', 'new'),
        ('support', 'Contact centre', 'new'),
        ('loyalty', 'Loyalty programme', 'new'),
        ('message', 'Delivery events of our own messages', 'new'),
        ('external', 'Other external data', 'new'),
        ('manual', 'Entered by hand or by SQL', 'new'),
        ('demo', 'Made by demo_generate()', 'new');
    PERFORM iaros.shipped_seal('iaros.data_source');

    CREATE TABLE iaros.channel (
        channel text PRIMARY KEY CHECK (channel ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        sends boolean NOT NULL,
        paid boolean NOT NULL,
        identifier_kind text,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.channel IS
        'Marketing channels. sends: messages leave through it, so consent is asked for; paid: its touchpoints cost money; identifier_kind: the identifier that is its address.';
    INSERT INTO iaros.channel (channel, description, sends, paid, identifier_kind, shipped_hash) VALUES
        ('email', 'E-mail', true, false, 'email', 'new'),
        ('sms', 'Text message', true, false, 'phone', 'new'),
        ('push', 'Push message of the mobile application', true, false, 'device', 'new'),
        ('in_app', 'Message inside the mobile application', true, false, 'device', 'new'),
        ('post', 'Letter', true, true, NULL, 'new'),
        ('call', 'Telephone call', true, true, 'phone', 'new'),
        ('web_personal', 'Personal content on the web site', false, false, NULL, 'new'),
        ('paid_search', 'Paid search', false, true, NULL, 'new'),
        ('display', 'Display advertising', false, true, NULL, 'new'),
        ('paid_social', 'Paid social media', false, true, NULL, 'new'),
        ('affiliate', 'Affiliate partners', false, true, NULL, 'new'),
        ('metasearch', 'Price comparison', false, true, NULL, 'new'),
        ('organic_search', 'Unpaid search', false, false, NULL, 'new'),
        ('social', 'Unpaid social media', false, false, NULL, 'new'),
        ('referral', 'Links on other sites, recommendations', false, false, NULL, 'new'),
        ('direct', 'Direct visit', false, false, NULL, 'new');
    PERFORM iaros.shipped_seal('iaros.channel');

    CREATE TABLE iaros.sales_channel (
        sales_channel text PRIMARY KEY CHECK (sales_channel ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.sales_channel IS 'Where a booking was made. Add your own.';
    INSERT INTO iaros.sales_channel (sales_channel, description, shipped_hash) VALUES
        ('web', 'Web site', 'new'), ('mobile', 'Mobile application', 'new'),
        ('agent', 'Travel agent', 'new'), ('call_center', 'Contact centre', 'new'),
        ('airport', 'Airport counter or kiosk', 'new'), ('corporate', 'Corporate booking tool', 'new'),
        ('api', 'Partner over an interface', 'new');
    PERFORM iaros.shipped_seal('iaros.sales_channel');

    CREATE TABLE iaros.identifier_kind (
        kind text PRIMARY KEY CHECK (kind ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.identifier_kind IS 'Kinds of identifiers of customers. Add your own.';
    INSERT INTO iaros.identifier_kind (kind, description, shipped_hash) VALUES
        ('email', 'E-mail address', 'new'), ('phone', 'Phone number in international form', 'new'),
        ('device', 'Device that takes push messages', 'new'), ('cookie', 'Browser', 'new'),
        ('frequent_flyer', 'Frequent flyer number', 'new'), ('document', 'Hash of a travel document number', 'new'),
        ('social', 'Account on a social network', 'new');
    PERFORM iaros.shipped_seal('iaros.identifier_kind');

    CREATE TABLE iaros.item_kind (
        kind text PRIMARY KEY CHECK (kind ~ '^[a-z][a-z0-9_]{0,40}$'),
        category text NOT NULL CHECK (category IN ('fare', 'ancillary', 'hotel', 'car', 'insurance', 'bundle', 'goods')),
        description text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.item_kind IS 'Kinds of what is sold in a booking. Add your own.';
    INSERT INTO iaros.item_kind (kind, category, description, shipped_hash) VALUES
        ('fare', 'fare', 'Air fare', 'new'),
        ('seat', 'ancillary', 'Seat of choice', 'new'),
        ('legroom', 'ancillary', 'Seat with extra legroom', 'new'),
        ('bag', 'ancillary', 'Checked bag', 'new'),
        ('meal', 'ancillary', 'Meal', 'new'),
        ('upgrade', 'ancillary', 'Upgrade of the cabin', 'new'),
        ('lounge', 'ancillary', 'Lounge access', 'new'),
        ('wifi', 'ancillary', 'Internet on board', 'new'),
        ('priority', 'ancillary', 'Priority boarding', 'new'),
        ('fast_track', 'ancillary', 'Fast track at security', 'new'),
        ('hotel', 'hotel', 'Hotel night', 'new'),
        ('car', 'car', 'Rental car day', 'new'),
        ('insurance', 'insurance', 'Travel insurance', 'new'),
        ('bundle', 'bundle', 'Bundle of several', 'new'),
        ('goods', 'goods', 'Retail goods', 'new');
    PERFORM iaros.shipped_seal('iaros.item_kind');

    CREATE TABLE iaros.event_kind (
        kind text PRIMARY KEY CHECK (kind ~ '^[a-z][a-z0-9_]{0,40}$'),
        origin text NOT NULL CHECK (origin IN ('website', 'mobile', 'booking', 'support', 'message', 'other')),
        description text NOT NULL,
        required_properties text[] NOT NULL DEFAULT '{}',
        shipped_hash text
    );
    COMMENT ON TABLE iaros.event_kind IS
        'Kinds of events with the properties that each must have. Add your own.';
    INSERT INTO iaros.event_kind (kind, origin, description, required_properties, shipped_hash) VALUES
        ('page_view', 'website', 'A page was seen', '{}', 'new'),
        ('search', 'website', 'A flight was searched', '{origin,destination}', 'new'),
        ('cart_add', 'website', 'Something was put into the cart', '{}', 'new'),
        ('cart_abandoned', 'website', 'A cart was left', '{}', 'new'),
        ('app_open', 'mobile', 'The application was opened', '{}', 'new'),
        ('login', 'website', 'The customer logged in', '{}', 'new'),
        ('booking_completed', 'booking', 'A booking was completed', '{}', 'new'),
        ('booking_cancelled', 'booking', 'A booking was cancelled', '{}', 'new'),
        ('check_in', 'booking', 'The customer checked in', '{}', 'new'),
        ('email_open', 'message', 'An e-mail was opened', '{}', 'new'),
        ('email_click', 'message', 'A link in an e-mail was followed', '{}', 'new'),
        ('sms_click', 'message', 'A link in a text message was followed', '{}', 'new'),
        ('push_open', 'message', 'A push message was opened', '{}', 'new'),
        ('complaint', 'support', 'The customer complained', '{}', 'new'),
        ('support_contact', 'support', 'The customer contacted support', '{}', 'new'),
        ('nps_response', 'support', 'Answer to "would you recommend us", 0 to 10', '{score}', 'new'),
        ('feedback', 'support', 'Other feedback', '{}', 'new'),
        ('referral', 'other', 'The customer recommended us', '{}', 'new');
    PERFORM iaros.shipped_seal('iaros.event_kind');
    CREATE TRIGGER event_kind_invalidate
        AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON iaros.event_kind
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.cache_invalidate();

    CREATE SEQUENCE iaros.customer_id_seq;
    CREATE TABLE iaros.customer (
        customer_id bigint PRIMARY KEY DEFAULT nextval('iaros.customer_id_seq'),
        kind iaros.customer_kind NOT NULL DEFAULT 'known',
        source text NOT NULL DEFAULT 'manual' REFERENCES iaros.data_source,
        first_name text,
        last_name text,
        birth_date date CHECK (birth_date > '1880-01-01' AND birth_date < '2200-01-01'),
        gender text CHECK (gender IN ('female', 'male', 'other')),
        country char(2) REFERENCES iaros.country,
        nationality char(2) REFERENCES iaros.country,
        city text,
        street text,
        postal_code text,
        language text CHECK (language ~ '^[a-z]{2,3}(-[A-Z]{2})?$'),
        time_zone text,
        home_airport char(3) REFERENCES iaros.airport,
        observed_at timestamptz CHECK (iaros.time_valid(observed_at)),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CHECK (customer_id > 0)
    );
    COMMENT ON TABLE iaros.customer IS
        'Customers, known and anonymous. Everything about a customer carries its customer_id. Addresses to reach the customer are in customer_identifier.';
    COMMENT ON COLUMN iaros.customer.language IS 'ISO 639 language, with an ISO 3166-1 country where it matters: en, pt-BR.';
    COMMENT ON COLUMN iaros.customer.time_zone IS 'IANA name; calendar days of the customer are taken in it, brand_time_zone where it is NULL.';
    COMMENT ON COLUMN iaros.customer.observed_at IS 'When the source observed what the row says, where customer_claim does not tell; NULL: at created_at.';
    CREATE INDEX customer_source ON iaros.customer (source);
    CREATE INDEX customer_country ON iaros.customer (country);
    CREATE INDEX customer_nationality ON iaros.customer (nationality) WHERE nationality IS NOT NULL;
    CREATE INDEX customer_home_airport ON iaros.customer (home_airport) WHERE home_airport IS NOT NULL;

    CREATE TABLE iaros.customer_key (
        source text NOT NULL REFERENCES iaros.data_source,
        external_id text NOT NULL CHECK (external_id <> ''),
        customer_id bigint NOT NULL,
        PRIMARY KEY (source, external_id)
    );
    COMMENT ON TABLE iaros.customer_key IS
        'Ledger of natural keys: which customer_id the customer external_id of a source got. It is looked up by key, not by customer_id, so it stays on the coordinator and has no foreign key to customer.';
    CREATE INDEX customer_key_customer ON iaros.customer_key (customer_id);

    CREATE TABLE iaros.customer_identifier (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        kind text NOT NULL REFERENCES iaros.identifier_kind,
        value text NOT NULL CHECK (value <> ''),
        is_primary boolean NOT NULL DEFAULT false,
        verified_at timestamptz,
        source text NOT NULL DEFAULT 'manual' REFERENCES iaros.data_source,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, kind, value),
        CONSTRAINT customer_identifier_normal CHECK (value = iaros.identifier_normal(kind, value)),
        CONSTRAINT customer_identifier_email CHECK (kind <> 'email' OR value ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'),
        CONSTRAINT customer_identifier_phone CHECK (kind <> 'phone' OR value ~ '^[+]?[0-9]{4,15}$')
    );
    COMMENT ON TABLE iaros.customer_identifier IS
        'How a customer is recognised and reached: e-mail addresses, phone numbers, devices, frequent flyer numbers. Several customers may share one (families, agents).';
    CREATE UNIQUE INDEX customer_identifier_primary ON iaros.customer_identifier (customer_id, kind) WHERE is_primary;
    CREATE INDEX customer_identifier_value ON iaros.customer_identifier (kind, value);
    CREATE INDEX customer_identifier_source ON iaros.customer_identifier (source);

    CREATE TABLE iaros.customer_alias (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        master_id bigint NOT NULL,
        recognised_as bigint NOT NULL,
        reason text,
        created_at timestamptz NOT NULL DEFAULT now(),
        CHECK (customer_id <> master_id)
    );
    COMMENT ON TABLE iaros.customer_alias IS
        'An alias (customer_id) is the same person as its master. Written by customer_recognise(), which keeps aliases from chaining; undone by customer_separate().';
    COMMENT ON COLUMN iaros.customer_alias.recognised_as IS
        'The customer that was named when the alias was recognised; master_id is the one that this customer stands for in turn.';
    CREATE TRIGGER customer_deleted
        AFTER DELETE ON iaros.customer
        FOR EACH ROW EXECUTE FUNCTION iaros.customer_deleted();
    CREATE INDEX customer_alias_master ON iaros.customer_alias (master_id);
    CREATE INDEX customer_alias_recognised_as ON iaros.customer_alias (recognised_as);

    CREATE TABLE iaros.customer_trait (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        trait text NOT NULL CHECK (trait ~ '^[a-z][a-z0-9_.]{0,62}$'),
        value jsonb NOT NULL DEFAULT 'true',
        source text NOT NULL DEFAULT 'manual' REFERENCES iaros.data_source,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, trait)
    );
    COMMENT ON TABLE iaros.customer_trait IS
        'What else is known of a customer: referral_participant, social_follower, app_user, corporate_account, travel preferences, or traits of your own.';
    CREATE INDEX customer_trait_source ON iaros.customer_trait (source);
    CREATE INDEX customer_trait_trait ON iaros.customer_trait (trait);

    CREATE SEQUENCE iaros.booking_id_seq;
    CREATE TABLE iaros.booking (
        customer_id bigint NOT NULL REFERENCES iaros.customer,
        booking_id bigint NOT NULL DEFAULT nextval('iaros.booking_id_seq'),
        source text NOT NULL REFERENCES iaros.data_source,
        external_id text NOT NULL CHECK (external_id <> ''),
        booked_at timestamptz NOT NULL,
        status iaros.booking_status NOT NULL DEFAULT 'confirmed',
        origin char(3) REFERENCES iaros.airport,
        destination char(3) REFERENCES iaros.airport,
        cabin iaros.cabin,
        fare_class char(1) CHECK (fare_class ~ '^[A-Z]$'),
        sales_channel text REFERENCES iaros.sales_channel,
        party_size integer NOT NULL DEFAULT 1,
        departure_at timestamptz,
        return_at timestamptz,
        amount numeric(16,4) NOT NULL,
        currency char(3) NOT NULL REFERENCES iaros.currency,
        amount_base numeric(16,4) NOT NULL,
        PRIMARY KEY (customer_id, booking_id),
        CONSTRAINT booking_natural_key UNIQUE (customer_id, source, external_id),
        CONSTRAINT booking_amount_not_negative CHECK (amount >= 0),
        CONSTRAINT booking_amount_money CHECK (iaros.money_check(amount, currency)),
        CONSTRAINT booking_route CHECK ((origin IS NULL) = (destination IS NULL) AND origin <> destination),
        CONSTRAINT booking_party_size CHECK (party_size BETWEEN 1 AND 999),
        CONSTRAINT booking_return CHECK (return_at >= departure_at),
        CONSTRAINT booking_time CHECK (iaros.time_valid(booked_at) AND iaros.time_valid(departure_at) AND iaros.time_valid(return_at))
    );
    COMMENT ON TABLE iaros.booking IS
        'Bookings, or purchases where there is no flight (origin and destination NULL). Refunds and cancellations are a status, never a negative amount.';
    COMMENT ON COLUMN iaros.booking.amount IS 'Whole price in currency, items included.';
    COMMENT ON COLUMN iaros.booking.amount_base IS 'amount in the base currency at the rate of the day of booking; filled when NULL.';
    CREATE INDEX booking_booked_at ON iaros.booking (booked_at);
    CREATE INDEX booking_route ON iaros.booking (origin, destination) WHERE origin IS NOT NULL;
    CREATE INDEX booking_destination ON iaros.booking (destination) WHERE destination IS NOT NULL;
    CREATE INDEX booking_source ON iaros.booking (source, external_id);
    CREATE INDEX booking_currency ON iaros.booking (currency);
    CREATE INDEX booking_sales_channel ON iaros.booking (sales_channel);
    CREATE TRIGGER booking_base_insert
        BEFORE INSERT ON iaros.booking
        FOR EACH ROW WHEN (NEW.amount_base IS NULL)
        EXECUTE FUNCTION iaros.booking_base();
    CREATE TRIGGER booking_base_update
        BEFORE UPDATE ON iaros.booking
        FOR EACH ROW
        WHEN (NEW.amount_base IS NULL
              OR (NEW.amount_base = OLD.amount_base
                  AND (NEW.amount, NEW.currency, NEW.booked_at)
                      IS DISTINCT FROM (OLD.amount, OLD.currency, OLD.booked_at)))
        EXECUTE FUNCTION iaros.booking_base();

    CREATE TABLE iaros.booking_item (
        customer_id bigint NOT NULL,
        booking_id bigint NOT NULL,
        line_no integer NOT NULL CHECK (line_no > 0),
        kind text NOT NULL REFERENCES iaros.item_kind,
        code text,
        description text,
        quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
        unit_price numeric(16,4) CHECK (unit_price >= 0),
        amount numeric(16,4) NOT NULL,
        currency char(3) NOT NULL REFERENCES iaros.currency,
        PRIMARY KEY (customer_id, booking_id, line_no),
        FOREIGN KEY (customer_id, booking_id) REFERENCES iaros.booking ON DELETE CASCADE,
        CONSTRAINT booking_item_amount_not_negative CHECK (amount >= 0),
        CONSTRAINT booking_item_amount_money CHECK (iaros.money_check(amount, currency))
    );
    COMMENT ON TABLE iaros.booking_item IS
        'What a booking consists of beside the fare: ancillaries, hotel, car, insurance, bundles, goods. Amounts are part of the booking''s amount.';
    COMMENT ON COLUMN iaros.booking_item.unit_price IS 'Price of one, as the source states it; may have more decimals than the currency.';
    CREATE INDEX booking_item_kind ON iaros.booking_item (kind, code);
    CREATE INDEX booking_item_currency ON iaros.booking_item (currency);

    CREATE SEQUENCE iaros.event_id_seq;
    CREATE TABLE iaros.event (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        event_id bigint NOT NULL DEFAULT nextval('iaros.event_id_seq'),
        kind text NOT NULL REFERENCES iaros.event_kind,
        occurred_at timestamptz NOT NULL CHECK (iaros.time_valid(occurred_at)),
        received_at timestamptz NOT NULL DEFAULT now(),
        source text NOT NULL REFERENCES iaros.data_source,
        session_id text,
        properties jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(properties) = 'object'),
        PRIMARY KEY (customer_id, occurred_at, event_id)
    ) PARTITION BY RANGE (occurred_at);
    COMMENT ON TABLE iaros.event IS
        'What customers did, partitioned by month of occurred_at. Written by event_record() and event_load(), which keep event_key, so that the same event is stored once.';
    CREATE TABLE iaros.event_default PARTITION OF iaros.event DEFAULT;
    CREATE INDEX event_kind_time ON iaros.event (kind, occurred_at);
    CREATE INDEX event_source ON iaros.event USING brin (source);

    CREATE TABLE iaros.event_key (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        source text NOT NULL REFERENCES iaros.data_source,
        external_id text NOT NULL CHECK (external_id <> ''),
        event_id bigint NOT NULL,
        occurred_at timestamptz NOT NULL CHECK (iaros.time_valid(occurred_at)),
        PRIMARY KEY (customer_id, source, external_id)
    );
    COMMENT ON TABLE iaros.event_key IS
        'Ledger of natural keys of events, written in the transaction of the event: it makes recording twice harmless.';
    CREATE INDEX event_key_source ON iaros.event_key USING brin (source);

    CREATE SEQUENCE iaros.touchpoint_id_seq;
    CREATE TABLE iaros.touchpoint (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        touchpoint_id bigint NOT NULL DEFAULT nextval('iaros.touchpoint_id_seq'),
        occurred_at timestamptz NOT NULL CHECK (iaros.time_valid(occurred_at)),
        channel text NOT NULL REFERENCES iaros.channel,
        kind text NOT NULL CHECK (kind IN ('impression', 'open', 'click', 'visit')),
        campaign_id bigint,
        campaign text CHECK (length(campaign) BETWEEN 1 AND 200),
        message_id bigint,
        "position" smallint CHECK ("position" > 0),
        stage text CHECK (stage IN ('lead', 'opportunity')),
        cost_base numeric(20,8) CHECK (cost_base >= 0),
        source text NOT NULL REFERENCES iaros.data_source,
        received_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, occurred_at, touchpoint_id)
    ) PARTITION BY RANGE (occurred_at);
    COMMENT ON TABLE iaros.touchpoint IS
        'Contacts of customers with marketing channels, partitioned by month: what attribution gives credit to.';
    COMMENT ON COLUMN iaros.touchpoint.campaign_id IS 'Our campaign, a row of campaign.';
    COMMENT ON COLUMN iaros.touchpoint.campaign IS 'Name or code of the campaign as the source states it; of an advertising network, say. The code of campaign_id counts before it.';
    COMMENT ON COLUMN iaros.touchpoint."position" IS 'Place of the link or advertisement among others, from 1. For information.';
    COMMENT ON COLUMN iaros.touchpoint.cost_base IS 'What it cost, in the base currency. 8 decimals: one impression costs fractions of a cent.';
    COMMENT ON COLUMN iaros.touchpoint.stage IS 'What began with it, for attribution by stage: lead, opportunity.';
    CREATE TABLE iaros.touchpoint_default PARTITION OF iaros.touchpoint DEFAULT;
    CREATE INDEX touchpoint_channel ON iaros.touchpoint (channel, occurred_at);
    CREATE INDEX touchpoint_source ON iaros.touchpoint USING brin (source);

    CREATE TABLE iaros.touchpoint_key (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        source text NOT NULL REFERENCES iaros.data_source,
        external_id text NOT NULL CHECK (external_id <> ''),
        touchpoint_id bigint NOT NULL,
        occurred_at timestamptz NOT NULL CHECK (iaros.time_valid(occurred_at)),
        PRIMARY KEY (customer_id, source, external_id)
    );
    COMMENT ON TABLE iaros.touchpoint_key IS
        'Ledger of natural keys of touchpoints, written in the transaction of the touchpoint: it makes recording twice harmless.';
    CREATE INDEX touchpoint_key_source ON iaros.touchpoint_key USING brin (source);

    CREATE SEQUENCE iaros.conversion_id_seq;
    CREATE TABLE iaros.conversion (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        conversion_id bigint NOT NULL DEFAULT nextval('iaros.conversion_id_seq'),
        occurred_at timestamptz NOT NULL CHECK (iaros.time_valid(occurred_at)),
        kind text NOT NULL DEFAULT 'booking',
        booking_id bigint,
        value_base numeric(16,4) NOT NULL CHECK (value_base >= 0),
        source text NOT NULL REFERENCES iaros.data_source,
        external_id text CHECK (external_id <> ''),
        PRIMARY KEY (customer_id, conversion_id),
        CONSTRAINT conversion_booking_once UNIQUE (customer_id, booking_id, kind),
        CONSTRAINT conversion_natural_key UNIQUE (customer_id, source, external_id),
        FOREIGN KEY (customer_id, booking_id) REFERENCES iaros.booking ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.conversion IS
        'What marketing is for: bookings and other goals reached, with their value in the base currency.';
    CREATE INDEX conversion_time ON iaros.conversion (occurred_at);
    CREATE INDEX conversion_source ON iaros.conversion (source);

    CREATE SEQUENCE iaros.load_id_seq;
    CREATE TABLE iaros.load_run (
        load_id bigint PRIMARY KEY DEFAULT nextval('iaros.load_id_seq'),
        source text NOT NULL REFERENCES iaros.data_source,
        kind text NOT NULL CHECK (kind IN ('customer', 'claim', 'booking', 'booking_item', 'event', 'touchpoint', 'conversion')),
        loaded_at timestamptz NOT NULL DEFAULT now(),
        loaded_by text NOT NULL,
        rows bigint NOT NULL,
        accepted bigint NOT NULL,
        duplicates bigint NOT NULL,
        refused bigint NOT NULL,
        CONSTRAINT load_run_nothing_lost CHECK (rows = accepted + duplicates + refused)
    );
    COMMENT ON TABLE iaros.load_run IS
        'One row for each call of a loader or of inbox_ingest(): how many rows came, how many were new, known already, and refused. Old runs are deleted by load_prune().';
    CREATE INDEX load_run_source ON iaros.load_run (source, kind, loaded_at);

    CREATE TABLE iaros.load_reject (
        load_id bigint NOT NULL REFERENCES iaros.load_run ON DELETE CASCADE,
        row_no bigint NOT NULL,
        kind text NOT NULL,
        source text NOT NULL,
        external_id text,
        payload jsonb NOT NULL,
        reasons text[] NOT NULL CHECK (reasons <> '{}'),
        PRIMARY KEY (load_id, row_no)
    );
    COMMENT ON TABLE iaros.load_reject IS
        'The rows that a load refused, one by one, as they came, with all the reasons. To repair: correct the payload and give it to inbox_ingest().';
    COMMENT ON COLUMN iaros.load_reject.row_no IS 'Position in the load, from 1.';
    COMMENT ON COLUMN iaros.load_reject.reasons IS 'Each a code, then a colon and what it is about: amount_decimals: 12.345 EUR.';
    CREATE INDEX load_reject_key ON iaros.load_reject (source, kind, external_id);

    PERFORM iaros.setting_define('load_keep_days', 'integer', '90',
        'For how many days loads and the rows that they refused are kept.');
    PERFORM iaros.job_define('loads', '27 3 * * *', 'load_prune', interval '2 days', false,
        'Deletes old loads with the rows that they refused.');

    CALL iaros.customer_install_attach();
    CALL iaros.customer_install_provenance();
    CALL iaros.customer_install_touch();

    CREATE VIEW iaros.customer_masked AS
        SELECT c.customer_id, c.kind, c.source,
            iaros.mask_text(c.first_name) AS first_name,
            iaros.mask_text(c.last_name) AS last_name,
            date_part('year', c.birth_date)::integer AS birth_year,
            c.gender, c.country, c.nationality, c.city, c.language, c.time_zone,
            c.home_airport, c.created_at, c.updated_at
        FROM iaros.customer c;
    COMMENT ON VIEW iaros.customer_masked IS
        'Customers with names masked, the year of birth only, without street and postal code: for roles with access level read.';
    CREATE VIEW iaros.customer_identifier_masked AS
        SELECT i.customer_id, i.kind, iaros.mask_text(i.value) AS value, i.is_primary,
            i.verified_at, i.source, i.created_at
        FROM iaros.customer_identifier i;
    COMMENT ON VIEW iaros.customer_identifier_masked IS
        'Identifiers of customers with their values masked: for roles with access level read.';
    CREATE VIEW iaros.interaction AS
        SELECT e.customer_id, e.event_id, e.kind, e.occurred_at, e.source,
            e.properties ->> 'topic' AS topic, e.properties ->> 'channel' AS channel
        FROM iaros.event e
        WHERE e.kind IN ('complaint', 'support_contact', 'feedback');
    COMMENT ON VIEW iaros.interaction IS
        'Contacts with support and complaints, out of the events of those kinds.';
    CREATE VIEW iaros.nps_response AS
        SELECT e.customer_id, e.event_id, e.occurred_at, s.score,
            CASE WHEN s.score >= 9 THEN 'promoter' WHEN s.score >= 7 THEN 'passive' ELSE 'detractor' END AS category
        FROM iaros.event e
        CROSS JOIN LATERAL (
            SELECT CASE WHEN e.properties ->> 'score' ~ '^(10|[0-9])$' THEN (e.properties ->> 'score')::integer END) AS s(score)
        WHERE e.kind = 'nps_response' AND s.score IS NOT NULL;
    COMMENT ON VIEW iaros.nps_response IS
        'Answers to the recommendation question with their category (9-10 promoter, 7-8 passive, 0-6 detractor), out of the events of kind nps_response.';
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.customer_install() IS
'Makes the tables and views of the domain customer. Called by install().';
