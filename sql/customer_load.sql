-- Kernel: reading dirty text ----------------------------------------------

CREATE FUNCTION @extschema@.load_number(value text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value ~ '^[[:space:]]*[+-]?([0-9]{1,30}([.][0-9]{0,30})?|[.][0-9]{1,30})([eE][+-]?[0-9]{1,2})?[[:space:]]*$'
        THEN value::numeric END;
COMMENT ON FUNCTION @extschema@.load_number(text) IS
'Reads a text as a decimal number; NULL for NULL and for any other text (also NaN and Infinity), never an error. Inlined.';

CREATE FUNCTION @extschema@.load_integer(value text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value ~ '^[[:space:]]*[+-]?[0-9]{1,18}([.]0{0,30})?[[:space:]]*$' THEN value::numeric::bigint END;
COMMENT ON FUNCTION @extschema@.load_integer(text) IS
'Reads a text as a whole number of up to 18 digits (3 and 3.0); NULL for NULL and for any other text, never an error. Inlined.';

CREATE FUNCTION @extschema@.load_date(value text) RETURNS date
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.load_date(text) IS
'Reads a text as a day of the years 1000 to 2999 in ISO 8601 form (2026-01-31, also with a time of midnight); NULL for NULL and for any other text, never an error.';

CREATE FUNCTION @extschema@.load_time(value text) RETURNS timestamptz
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.load_time(text) IS
'Reads a text in ISO 8601 form as a time of the years 1000 to 2999: a day, or day and time, with an offset from UTC or in UTC; NULL for NULL and for any other text (30 February, seconds finer than a microsecond), never an error.';

CREATE FUNCTION @extschema@.load_time_zone_valid(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN value ~ '^(UTC|GMT|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+)+)$'
        AND (timestamp '2000-01-01' AT TIME ZONE value) IS NOT NULL;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION @extschema@.load_time_zone_valid(text) IS
'Tells whether a text is the name of a time zone in the IANA data of the server (Area/City, UTC, GMT). NULL gives NULL.';

CREATE FUNCTION @extschema@.load_refusal(ok boolean, field text, payload jsonb, required boolean, show boolean)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN ok THEN NULL
        WHEN coalesce(payload ->> field, '') = '' THEN CASE WHEN required THEN field || '_missing' END
        WHEN show THEN field || '_invalid: "' || left(payload ->> field, 60) || '"'
        ELSE field || '_invalid'
    END;
COMMENT ON FUNCTION @extschema@.load_refusal(boolean, text, jsonb, boolean, boolean) IS
'Reason to refuse a row for one of its fields: NULL when ok is true, <field>_missing when it is empty and required, else <field>_invalid with its value if show says so (not for personal data). Inlined.';

CREATE FUNCTION @extschema@.load_refusal_customer(
    payload jsonb,
    customer_id bigint,
    customer_external_id text,
    key_customer bigint,
    found_customer bigint)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN customer_id IS NULL AND payload ->> 'customer_id' <> ''
            THEN 'customer_id_invalid: "' || left(payload ->> 'customer_id', 60) || '"'
        WHEN customer_id IS NULL AND customer_external_id IS NULL THEN 'customer_missing'
        WHEN customer_external_id IS NOT NULL AND key_customer IS NULL
            THEN 'customer_unknown: "' || left(customer_external_id, 60) || '"'
        WHEN customer_id <> key_customer THEN 'customer_mismatch: customer_id and customer_external_id are two customers'
        WHEN found_customer IS NULL THEN 'customer_unknown: "' || coalesce(customer_id, key_customer)::text || '"'
    END;
COMMENT ON FUNCTION @extschema@.load_refusal_customer(jsonb, bigint, text, bigint, bigint) IS
'Reason to refuse a row for the customer that it names by customer_id or by its natural key, given whom the key leads to and the customer that exists; NULL when all is well. Inlined.';

CREATE FUNCTION @extschema@.load_refusal_given(payload jsonb, fields text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN fields IS NOT NULL THEN ARRAY(
            SELECT 'field_unknown: "' || left(k, 60) || '"' FROM jsonb_object_keys(payload) k
            WHERE k <> ALL (fields || 'refuse'::text)) ELSE '{}' END
        || CASE jsonb_typeof(payload -> 'refuse')
            WHEN 'string' THEN array_remove(ARRAY[payload ->> 'refuse'], '')
            WHEN 'array' THEN ARRAY(SELECT r FROM jsonb_array_elements_text(payload -> 'refuse') r WHERE r <> '')
            ELSE '{}' END;
COMMENT ON FUNCTION @extschema@.load_refusal_given(jsonb, text[]) IS
'Reasons to refuse a row that any kind of load has: it has a field that is not in fields (NULL: do not look), or it brings reasons of its own in its field refuse (a text or an array of texts).';

-- What each kind of load is made of. The checks are one SELECT over src
-- (row_no, payload); $1 is the source, $2 the payload of an inbox. The frame
-- in load_rows() adds what all kinds share.

CREATE FUNCTION @extschema@.load_customer_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{external_id,kind,first_name,last_name,email,phone,device,cookie,frequent_flyer,birth_date,gender,country,nationality,city,street,postal_code,language,time_zone,home_airport,traits,observed_at}'::text[],
    '{external_id}'::text[],
$checks$
SELECT t.*, old.*, CASE WHEN old.says IS NULL THEN t.external_id ELSE concat(t.observed_at, ' ', t.external_id) END AS natural_key,
    CASE WHEN old.old_known THEN '{}' ELSE jsonb_strip_nulls(to_jsonb(t) - '{row_no,payload,external_id,traits,observed_at}'::text[]) || coalesce(
        (SELECT jsonb_object_agg('trait ' || e.key, e.value::text) FROM jsonb_each(t.traits) e), '{}') END AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.external_id IS NOT NULL, 'external_id', t.payload, true, true),
        iaros.load_refusal(t.kind = ANY ((SELECT enum_range(NULL::iaros.customer_kind)::text[])::text[]), 'kind', t.payload, false, true),
        iaros.load_refusal(t.email ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$', 'email', t.payload, false, false),
        iaros.load_refusal(t.phone ~ '^[+]?[0-9]{4,15}$', 'phone', t.payload, false, false),
        iaros.load_refusal(t.device <> '', 'device', t.payload, false, false),
        iaros.load_refusal(t.cookie <> '', 'cookie', t.payload, false, false),
        iaros.load_refusal(t.frequent_flyer <> '', 'frequent_flyer', t.payload, false, false),
        iaros.load_refusal(t.birth_date > '1880-01-01', 'birth_date', t.payload, false, false),
        iaros.load_refusal(t.gender IN ('female', 'male', 'other'), 'gender', t.payload, false, true),
        CASE WHEN t.country NOT IN (SELECT n.country::text FROM iaros.country n) THEN format('country_unknown: "%s"', left(t.country, 60)) END,
        CASE WHEN t.nationality NOT IN (SELECT n.country::text FROM iaros.country n) THEN format('nationality_unknown: "%s"', left(t.nationality, 60)) END,
        CASE WHEN t.home_airport NOT IN (SELECT n.airport::text FROM iaros.airport n) THEN format('airport_unknown: "%s"', left(t.home_airport, 60)) END,
        iaros.load_refusal(t.language ~ '^[a-z]{2,3}(-[A-Z]{2})?$', 'language', t.payload, false, true),
        iaros.load_refusal(iaros.load_time_zone_valid(t.time_zone), 'time_zone', t.payload, false, true),
        iaros.load_refusal(iaros.time_valid(t.observed_at) AND t.observed_at <= now() + interval '1 day', 'observed_at', t.payload, false, true),
        CASE WHEN t.payload -> 'traits' <> 'null' AND t.traits IS NULL THEN 'traits_invalid: not a JSON object' END,
        CASE WHEN EXISTS (SELECT FROM jsonb_object_keys(t.traits) u WHERE u !~ '^[a-z][a-z0-9_.]{0,62}$')
            THEN 'traits_invalid: a name is not in lower case' END,
        CASE WHEN k.customer_id IS NOT NULL AND old.old_found IS NOT TRUE THEN 'customer_unknown: its key leads to no customer' END
    ], NULL) AS reasons
FROM (
    SELECT s.row_no, s.payload, nullif(x.external_id, '') AS external_id, nullif(x.kind, '') AS kind,
        nullif(x.first_name, '') AS first_name, nullif(x.last_name, '') AS last_name,
        iaros.identifier_normal('email', nullif(x.email, '')) AS email,
        iaros.identifier_normal('phone', nullif(x.phone, '')) AS phone,
        iaros.identifier_normal('device', nullif(x.device, '')) AS device,
        iaros.identifier_normal('cookie', nullif(x.cookie, '')) AS cookie,
        iaros.identifier_normal('frequent_flyer', nullif(x.frequent_flyer, '')) AS frequent_flyer,
        iaros.load_date(x.birth_date) AS birth_date, nullif(x.gender, '') AS gender,
        nullif(x.country, '') AS country, nullif(x.nationality, '') AS nationality,
        nullif(x.city, '') AS city, nullif(x.street, '') AS street, nullif(x.postal_code, '') AS postal_code,
        nullif(x.language, '') AS language, nullif(x.time_zone, '') AS time_zone,
        nullif(x.home_airport, '') AS home_airport,
        CASE WHEN jsonb_typeof(x.traits) = 'object' THEN x.traits END AS traits,
        iaros.load_time(x.observed_at) AS observed_at
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(external_id text, kind text, first_name text, last_name text, email text, phone text, device text,
             cookie text, frequent_flyer text, birth_date text, gender text, country text, nationality text,
             city text, street text, postal_code text, language text, time_zone text, home_airport text, traits jsonb, observed_at text)
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = $1 AND k.external_id = t.external_id
$checks$,
$stored$
LEFT JOIN LATERAL (
    SELECT to_jsonb(c)
        || coalesce((SELECT jsonb_object_agg(i.kind, i.value) FROM iaros.customer_identifier i
            WHERE i.customer_id = c.customer_id AND i.value = CASE i.kind WHEN 'email' THEN t.email
                WHEN 'phone' THEN t.phone WHEN 'device' THEN t.device WHEN 'cookie' THEN t.cookie
                WHEN 'frequent_flyer' THEN t.frequent_flyer END), '{}')
        || coalesce((SELECT jsonb_object_agg('trait ' || r.trait, r.value::text) FROM iaros.customer_trait r
            WHERE r.customer_id = c.customer_id), '{}') AS content,
        iaros.customer_said_at(coalesce(c.observed_at, c.created_at)) AS said_at
    FROM iaros.customer c WHERE c.customer_id = k.customer_id) here ON true
-- With a time, a row about a customer who is known claims what it says.
LEFT JOIN LATERAL (
    SELECT n.says, CASE WHEN n.says IS NOT NULL THEN NOT EXISTS (
        SELECT FROM jsonb_each_text(n.says) e
        LEFT JOIN iaros.customer_claim w ON w.customer_id = k.customer_id AND w.attribute = e.key AND w.source = $1
        LEFT JOIN iaros.customer_trait r ON r.customer_id = k.customer_id AND e.key = 'trait.' || r.trait
        WHERE (CASE
            WHEN w.source IS NOT NULL THEN w.observed_at > t.observed_at
                OR w.observed_at = t.observed_at AND w.value IS NOT DISTINCT FROM e.value
            WHEN EXISTS (SELECT FROM iaros.customer_claim x WHERE x.customer_id = k.customer_id AND x.attribute = e.key) THEN false
            WHEN r.source IS NOT NULL THEN r.source = $1 AND (r.updated_at > t.observed_at
                OR r.updated_at = t.observed_at AND r.value::text = e.value)
            ELSE here.content ->> 'source' = $1 AND here.content ->> e.key IS NOT NULL AND (here.said_at > t.observed_at
                OR here.said_at = t.observed_at AND here.content ->> e.key = e.value) END) IS NOT TRUE) END AS known
    FROM (
        SELECT CASE WHEN t.observed_at IS NOT NULL AND here.content @> jsonb_strip_nulls(jsonb_build_object(
                'kind', t.kind, 'email', t.email, 'phone', t.phone, 'device', t.device, 'cookie', t.cookie, 'frequent_flyer', t.frequent_flyer))
            THEN jsonb_strip_nulls(to_jsonb(t) - '{row_no,payload,external_id,traits,observed_at,kind,email,phone,device,cookie,frequent_flyer}'::text[])
                || coalesce((SELECT jsonb_object_agg('trait.' || e.key, nullif(e.value, 'null')::text) FROM jsonb_each(t.traits) e), '{}') END
        OFFSET 0) AS n(says)
    OFFSET 0) claim ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN claim.known THEN '{}' WHEN claim.says IS NULL THEN here.content END AS old_content,
        here.content IS NOT NULL AS old_found, claim.known AS old_known, claim.says,
        CASE WHEN claim.says IS NOT NULL THEN k.customer_id END AS owner_id) old
$stored$,
'external_id, kind, first_name, last_name, email, phone, device, cookie, frequent_flyer, birth_date, gender, country, nationality, city, street, postal_code, language, time_zone, home_airport, traits, observed_at, owner_id, says',
$writes$
fresh AS MATERIALIZED (
    SELECT nextval('iaros.customer_id_seq') AS customer_id, q.*
    FROM (SELECT * FROM checked WHERE verdict = 'new' AND owner_id IS NULL ORDER BY natural_key COLLATE "C") q),
new_key AS (
    INSERT INTO iaros.customer_key (source, external_id, customer_id)
    SELECT $1, f.external_id, f.customer_id FROM fresh f),
new_customer AS (
    INSERT INTO iaros.customer (customer_id, kind, source, first_name, last_name, birth_date, gender,
        country, nationality, city, street, postal_code, language, time_zone, home_airport, observed_at)
    SELECT f.customer_id, coalesce(f.kind, 'known')::iaros.customer_kind, $1, f.first_name, f.last_name, f.birth_date,
        f.gender, f.country, f.nationality, f.city, f.street, f.postal_code, f.language, f.time_zone, f.home_airport, f.observed_at
    FROM fresh f),
new_identifier AS (
    INSERT INTO iaros.customer_identifier (customer_id, kind, value, is_primary, source)
    SELECT f.customer_id, i.kind, i.value, true, $1
    FROM fresh f
    CROSS JOIN LATERAL (VALUES ('email', f.email), ('phone', f.phone), ('device', f.device),
        ('cookie', f.cookie), ('frequent_flyer', f.frequent_flyer)) AS i(kind, value)
    WHERE i.value IS NOT NULL),
new_trait AS (
    INSERT INTO iaros.customer_trait (customer_id, trait, value, source, updated_at)
    SELECT f.customer_id, e.key, e.value, $1, coalesce(f.observed_at, now())
    FROM fresh f CROSS JOIN LATERAL jsonb_each(f.traits) e),
claimed AS MATERIALIZED (
    SELECT iaros.customer_claim_apply(array_agg(b.owner_id), array_agg(b.key), array_agg($1), array_agg(b.value), array_agg(b.observed_at))
    FROM (SELECT c.owner_id, e.key, e.value, c.observed_at, (dense_rank() OVER (ORDER BY c.owner_id) - 1) / 10000 AS batch
          FROM checked c CROSS JOIN LATERAL jsonb_each_text(c.says) e
          WHERE c.verdict = 'new' ORDER BY c.owner_id, c.row_no) b
    -- Customers are locked in order of their ids, batch after batch.
    GROUP BY b.batch ORDER BY b.batch)
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_customer_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of customer_load(), as SQL for load_rows().';

CREATE FUNCTION @extschema@.load_booking_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{external_id,customer_id,customer_external_id,customer_source,booked_at,status,origin,destination,cabin,fare_class,sales_channel,party_size,departure_at,return_at,amount,currency}'::text[],
    '{external_id,booked_at,amount,currency}'::text[],
$checks$
SELECT t.*, old.*, c.customer_id AS owner_id, t.external_id AS natural_key, fx.rate,
    CASE WHEN old.old_same THEN '{}' ELSE jsonb_strip_nulls(jsonb_build_object('customer_id', c.customer_id,
        'booked_at', t.booked_at, 'status', t.status, 'origin', t.origin, 'destination', t.destination, 'cabin', t.cabin,
        'fare_class', t.fare_class, 'sales_channel', t.sales_channel, 'party_size', t.party_size, 'departure_at', t.departure_at,
        'return_at', t.return_at, 'amount', t.amount, 'currency', t.currency)) END AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.external_id IS NOT NULL, 'external_id', t.payload, true, true),
        iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, k.customer_id, c.customer_id),
        iaros.load_refusal(t.booked_at IS NOT NULL, 'booked_at', t.payload, true, true),
        iaros.load_refusal(t.status = ANY ((SELECT enum_range(NULL::iaros.booking_status)::text[])::text[]), 'status', t.payload, false, true),
        CASE WHEN t.origin NOT IN (SELECT n.airport::text FROM iaros.airport n) THEN format('airport_unknown: "%s"', left(t.origin, 60)) END,
        CASE WHEN t.destination NOT IN (SELECT n.airport::text FROM iaros.airport n) THEN format('airport_unknown: "%s"', left(t.destination, 60)) END,
        CASE WHEN (t.origin IS NULL) <> (t.destination IS NULL) THEN 'route_invalid: origin or destination is missing'
             WHEN t.origin = t.destination THEN 'route_invalid: origin and destination are the same' END,
        iaros.load_refusal(t.cabin = ANY ((SELECT enum_range(NULL::iaros.cabin)::text[])::text[]), 'cabin', t.payload, false, true),
        iaros.load_refusal(t.fare_class ~ '^[A-Z]$', 'fare_class', t.payload, false, true),
        CASE WHEN t.sales_channel NOT IN (SELECT n.sales_channel FROM iaros.sales_channel n) THEN format('sales_channel_unknown: "%s"', left(t.sales_channel, 60)) END,
        iaros.load_refusal(t.party_size BETWEEN 1 AND 999, 'party_size', t.payload, false, true),
        iaros.load_refusal(t.departure_at IS NOT NULL, 'departure_at', t.payload, false, true),
        iaros.load_refusal(t.return_at IS NOT NULL, 'return_at', t.payload, false, true),
        CASE WHEN t.return_at < t.departure_at THEN 'return_at_invalid: before the departure' END,
        iaros.load_refusal(t.amount IS NOT NULL, 'amount', t.payload, true, true),
        iaros.load_refusal(t.currency IS NOT NULL, 'currency', t.payload, true, true),
        CASE WHEN t.currency IS NOT NULL AND m.currency IS NULL THEN format('currency_unknown: "%s"', left(t.currency, 60)) END,
        CASE WHEN t.amount < 0 THEN format('amount_negative: %s', t.amount)
             WHEN t.amount >= 1e12 THEN format('amount_range: %s', t.amount) END,
        CASE WHEN NOT iaros.money_valid(t.amount, m.currency::text) THEN format('amount_decimals: %s %s', t.amount, t.currency) END,
        CASE WHEN m.currency IS NOT NULL AND t.booked_at IS NOT NULL AND fx.rate IS NULL
             THEN format('rate_missing: %s on %s', t.currency, (t.booked_at AT TIME ZONE 'UTC')::date)
             WHEN t.amount < 1e12 AND t.amount * fx.rate >= 1e12 THEN format('amount_range: %s %s in the base currency', t.amount, t.currency) END
    ], NULL) AS reasons
FROM (
    SELECT s.row_no, s.payload, nullif(x.external_id, '') AS external_id,
        iaros.load_integer(x.customer_id) AS customer_id, nullif(x.customer_external_id, '') AS customer_external_id,
        coalesce(nullif(x.customer_source, ''), $1) AS customer_source,
        iaros.load_time(x.booked_at) AS booked_at, nullif(x.status, '') AS status,
        nullif(x.origin, '') AS origin, nullif(x.destination, '') AS destination, nullif(x.cabin, '') AS cabin,
        nullif(x.fare_class, '') AS fare_class, nullif(x.sales_channel, '') AS sales_channel,
        iaros.load_integer(x.party_size) AS party_size, iaros.load_time(x.departure_at) AS departure_at,
        iaros.load_time(x.return_at) AS return_at, iaros.load_number(x.amount) AS amount, nullif(x.currency, '') AS currency
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(external_id text, customer_id text, customer_external_id text, customer_source text, booked_at text,
             status text, origin text, destination text, cabin text, fare_class text, sales_channel text,
             party_size text, departure_at text, return_at text, amount text, currency text)
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
LEFT JOIN iaros.customer c ON c.customer_id = coalesce(t.customer_id, k.customer_id)
LEFT JOIN iaros.currency m ON m.currency::text = t.currency AND m.minor_unit IS NOT NULL
LEFT JOIN LATERAL (
    SELECT CASE WHEN t.currency = iaros.setting_get('base_currency') THEN 1 ELSE (
        SELECT r.rate FROM iaros.fx_rate r
        WHERE r.currency = t.currency AND r.day <= (t.booked_at AT TIME ZONE 'UTC')::date
          AND r.day >= (t.booked_at AT TIME ZONE 'UTC')::date - iaros.setting_get('fx_max_age_days')::integer
        ORDER BY r.day DESC LIMIT 1) END AS rate
    OFFSET 0) fx ON true
$checks$,
$stored$
LEFT JOIN LATERAL (
    SELECT q.same AS old_same, CASE WHEN q.same THEN '{}' ELSE to_jsonb(q) END AS old_content
    FROM (
        SELECT b.*, b.customer_id = c.customer_id AND b.booked_at = t.booked_at AND b.amount = t.amount AND b.currency = t.currency
            AND coalesce(b.status::text = t.status, t.status IS NULL) AND coalesce(b.origin = t.origin, t.origin IS NULL)
            AND coalesce(b.destination = t.destination, t.destination IS NULL) AND coalesce(b.cabin::text = t.cabin, t.cabin IS NULL)
            AND coalesce(b.fare_class = t.fare_class, t.fare_class IS NULL) AND coalesce(b.sales_channel = t.sales_channel, t.sales_channel IS NULL)
            AND coalesce(b.party_size = t.party_size, t.party_size IS NULL) AND coalesce(b.departure_at = t.departure_at, t.departure_at IS NULL)
            AND coalesce(b.return_at = t.return_at, t.return_at IS NULL) AS same
        FROM iaros.booking b
        WHERE b.source = $1 AND b.external_id = t.external_id
        ORDER BY (b.customer_id = c.customer_id) DESC NULLS LAST, b.customer_id LIMIT 1) q) old ON true
$stored$,
'external_id, owner_id, booked_at, status, origin, destination, cabin, fare_class, sales_channel, party_size, departure_at, return_at, amount, currency, rate',
$writes$
new_booking AS (
    INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, status, origin, destination, cabin,
        fare_class, sales_channel, party_size, departure_at, return_at, amount, currency, amount_base)
    SELECT f.owner_id, $1, f.external_id, f.booked_at, coalesce(f.status, 'confirmed')::iaros.booking_status,
        f.origin, f.destination, f.cabin::iaros.cabin, f.fare_class, f.sales_channel, coalesce(f.party_size, 1),
        f.departure_at, f.return_at, f.amount, f.currency,
        iaros.money_round(f.amount * f.rate, iaros.setting_get('base_currency'))
    FROM checked f WHERE f.verdict = 'new' ORDER BY f.natural_key COLLATE "C")
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_booking_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of booking_load(), as SQL for load_rows().';

CREATE FUNCTION @extschema@.load_booking_item_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{booking_external_id,line_no,customer_id,customer_external_id,customer_source,kind,code,description,quantity,unit_price,amount,currency}'::text[],
    '{booking_external_id,line_no,kind}'::text[],
$checks$
SELECT t.*, old.*, b.customer_id AS owner_id, b.booking_id, b.currency AS booking_currency,
    t.booking_external_id || '#' || t.line_no AS external_id,
    b.booking_id || '#' || t.line_no AS natural_key,
    CASE WHEN old.old_same THEN '{}' ELSE jsonb_strip_nulls(jsonb_build_object('kind', t.kind, 'code', t.code, 'description', t.description,
        'quantity', t.quantity, 'unit_price', t.unit_price, 'amount', t.amount, 'currency', t.currency)) END AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.booking_external_id IS NOT NULL, 'booking_external_id', t.payload, true, true),
        CASE WHEN t.customer_id IS NOT NULL OR t.payload ? 'customer_id' OR t.payload ? 'customer_external_id'
            THEN iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, k.customer_id, coalesce(t.customer_id, k.customer_id)) END,
        CASE WHEN t.booking_external_id IS NOT NULL AND b.booking_id IS NULL THEN format('booking_unknown: "%s"', left(t.booking_external_id, 60))
             WHEN b.customer_id <> coalesce(t.customer_id, k.customer_id) THEN 'customer_mismatch: the booking is of another customer'
             WHEN coalesce(t.customer_id, k.customer_id) IS NULL AND (
                SELECT count(*) FROM iaros.booking o WHERE o.source = $1 AND o.external_id = t.booking_external_id) > 1 THEN 'booking_ambiguous: several customers have it; name the customer' END,
        iaros.load_refusal(t.line_no BETWEEN 1 AND 2147483647, 'line_no', t.payload, true, true),
        iaros.load_refusal(t.kind IS NOT NULL, 'kind', t.payload, true, true),
        CASE WHEN t.kind NOT IN (SELECT n.kind FROM iaros.item_kind n) THEN format('kind_unknown: "%s"', left(t.kind, 60)) END,
        CASE WHEN t.quantity <= 0 THEN format('quantity_negative: %s', t.quantity)
             ELSE iaros.load_refusal(t.quantity <= 2147483647, 'quantity', t.payload, false, true) END,
        CASE WHEN t.unit_price < 0 THEN format('unit_price_negative: %s', t.unit_price)
             WHEN t.unit_price >= 1e12 THEN format('unit_price_range: %s', t.unit_price)
             WHEN scale(trim_scale(t.unit_price)) > 4 THEN format('unit_price_decimals: %s', t.unit_price)
             ELSE iaros.load_refusal(t.unit_price IS NOT NULL, 'unit_price', t.payload, false, true) END,
        iaros.load_refusal(t.amount IS NOT NULL, 'amount', t.payload, coalesce(t.payload ->> 'unit_price', '') = '', true),
        CASE WHEN t.currency <> b.currency::text THEN format('currency_mismatch: %s, the booking is in %s', left(t.currency, 60), b.currency) END,
        CASE WHEN t.currency IS NOT NULL AND m.currency IS NULL THEN format('currency_unknown: "%s"', left(t.currency, 60)) END,
        CASE WHEN t.amount < 0 THEN format('amount_negative: %s', t.amount)
             WHEN t.amount >= 1e12 THEN format('amount_range: %s', t.amount) END,
        CASE WHEN NOT iaros.money_valid(t.amount, m.currency::text) THEN format('amount_decimals: %s %s', t.amount, m.currency) END
    ], NULL) AS reasons
FROM (
    SELECT r.*, coalesce(r.given_amount, coalesce(r.quantity, 1) * r.unit_price) AS amount
    FROM (
        SELECT s.row_no, s.payload, nullif(x.booking_external_id, '') AS booking_external_id,
            iaros.load_integer(x.line_no) AS line_no, iaros.load_integer(x.customer_id) AS customer_id,
            nullif(x.customer_external_id, '') AS customer_external_id,
            coalesce(nullif(x.customer_source, ''), $1) AS customer_source, nullif(x.kind, '') AS kind,
            nullif(x.code, '') AS code, nullif(x.description, '') AS description,
            iaros.load_integer(x.quantity) AS quantity, iaros.load_number(x.unit_price) AS unit_price,
            iaros.load_number(x.amount) AS given_amount, nullif(x.currency, '') AS currency
        FROM src s
        CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
            AS x(booking_external_id text, line_no text, customer_id text, customer_external_id text, customer_source text,
                 kind text, code text, description text, quantity text, unit_price text, amount text, currency text)
        OFFSET 0) r
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
LEFT JOIN LATERAL (
    SELECT o.customer_id, o.booking_id, o.currency FROM iaros.booking o
    WHERE o.source = $1 AND o.external_id = t.booking_external_id
    ORDER BY (o.customer_id = coalesce(t.customer_id, k.customer_id)) DESC NULLS LAST, o.customer_id LIMIT 1) b ON true
LEFT JOIN iaros.currency m ON m.currency::text = coalesce(t.currency, b.currency::text) AND m.minor_unit IS NOT NULL
$checks$,
$stored$
LEFT JOIN LATERAL (
    SELECT q.same AS old_same, CASE WHEN q.same THEN '{}' ELSE to_jsonb(q) END AS old_content
    FROM (
        SELECT i.*, i.kind = t.kind AND i.amount = t.amount AND coalesce(i.code = t.code, t.code IS NULL)
            AND coalesce(i.description = t.description, t.description IS NULL) AND coalesce(i.quantity = t.quantity, t.quantity IS NULL)
            AND coalesce(i.unit_price = t.unit_price, t.unit_price IS NULL) AND coalesce(i.currency = t.currency, t.currency IS NULL) AS same
        FROM iaros.booking_item i
        WHERE i.customer_id = b.customer_id AND i.booking_id = b.booking_id AND i.line_no = t.line_no
        OFFSET 0) q) old ON true
$stored$,
'external_id, owner_id, booking_id, booking_currency, line_no, kind, code, description, quantity, unit_price, amount, currency',
$writes$
new_item AS (
    INSERT INTO iaros.booking_item (customer_id, booking_id, line_no, kind, code, description, quantity, unit_price, amount, currency)
    SELECT f.owner_id, f.booking_id, f.line_no, f.kind, f.code, f.description, coalesce(f.quantity, 1),
        f.unit_price, f.amount, coalesce(f.currency, f.booking_currency)
    FROM checked f WHERE f.verdict = 'new' ORDER BY f.owner_id, f.booking_id, f.line_no)
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_booking_item_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of booking_item_load(), as SQL for load_rows().';

CREATE FUNCTION @extschema@.load_event_sql(
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT '{external_id,customer_id,customer_external_id,customer_source,kind,occurred_at,session_id,properties}'::text[],
    '{external_id,kind,occurred_at}'::text[],
$checks$
SELECT t.*, old.*, c.customer_id AS owner_id, c.customer_id || ' ' || t.external_id AS natural_key,
    CASE WHEN old.old_same THEN '{}' ELSE jsonb_strip_nulls(jsonb_build_object('occurred_at', t.occurred_at)
        || CASE WHEN old.old_gone THEN '{}' ELSE jsonb_build_object('kind', t.kind,
            'session_id', t.session_id, 'properties', t.properties::text) END) END AS content,
    array_remove(ARRAY[
        iaros.load_refusal(t.external_id IS NOT NULL, 'external_id', t.payload, true, true),
        iaros.load_refusal_customer(t.payload, t.customer_id, t.customer_external_id, k.customer_id, c.customer_id),
        iaros.load_refusal(t.kind IS NOT NULL, 'kind', t.payload, true, true),
        CASE WHEN t.kind IS NOT NULL AND n.kind IS NULL THEN format('kind_unknown: "%s"', left(t.kind, 60)) END,
        iaros.load_refusal(t.occurred_at IS NOT NULL, 'occurred_at', t.payload, true, true),
        CASE WHEN t.payload -> 'properties' <> 'null' AND t.properties IS NULL THEN 'properties_invalid: not a JSON object'
             WHEN NOT coalesce(t.properties, '{}') ?& n.required_properties THEN (
                SELECT 'property_missing: ' || string_agg(q, ', ') FROM unnest(n.required_properties) q
                WHERE NOT coalesce(t.properties, '{}') ? q) END
    ], NULL) AS reasons
FROM (
    SELECT s.row_no, s.payload, nullif(x.external_id, '') AS external_id,
        iaros.load_integer(x.customer_id) AS customer_id, nullif(x.customer_external_id, '') AS customer_external_id,
        coalesce(nullif(x.customer_source, ''), $1) AS customer_source, nullif(x.kind, '') AS kind,
        iaros.load_time(x.occurred_at) AS occurred_at, nullif(x.session_id, '') AS session_id,
        CASE WHEN jsonb_typeof(x.properties) = 'object' THEN x.properties END AS properties
    FROM src s
    CROSS JOIN LATERAL jsonb_to_record(CASE WHEN jsonb_typeof(s.payload) = 'object' THEN s.payload ELSE '{}' END)
        AS x(external_id text, customer_id text, customer_external_id text, customer_source text, kind text,
             occurred_at text, session_id text, properties jsonb)
    OFFSET 0) t
LEFT JOIN iaros.customer_key k ON k.source = t.customer_source AND k.external_id = t.customer_external_id
LEFT JOIN iaros.customer c ON c.customer_id = coalesce(t.customer_id, k.customer_id)
LEFT JOIN iaros.event_kind n ON n.kind = t.kind
$checks$,
$stored$
LEFT JOIN iaros.event_key w ON w.customer_id = c.customer_id AND w.source = $1 AND w.external_id = t.external_id
-- A key whose event is gone, say with its partition, still tells its time.
LEFT JOIN LATERAL (
    SELECT q.same AS old_same, q.event_id IS NULL AS old_gone, CASE WHEN q.same THEN '{}'
        WHEN q.event_id IS NULL THEN jsonb_build_object('occurred_at', w.occurred_at)
        ELSE to_jsonb(q) || jsonb_build_object('properties', q.properties::text) END AS old_content
    FROM (SELECT w.event_id OFFSET 0) l
    LEFT JOIN LATERAL (
        SELECT e.*, e.occurred_at = t.occurred_at AND e.kind = t.kind AND coalesce(e.session_id = t.session_id, t.session_id IS NULL)
            AND coalesce(e.properties::text = t.properties::text, t.properties IS NULL) AS same
        FROM iaros.event e
        WHERE e.customer_id = w.customer_id AND e.occurred_at = w.occurred_at AND e.event_id = w.event_id
        OFFSET 0) q ON true
    WHERE l.event_id IS NOT NULL) old ON true
$stored$,
'external_id, owner_id, kind, occurred_at, session_id, properties',
$writes$
fresh AS MATERIALIZED (
    SELECT nextval('iaros.event_id_seq') AS event_id, q.*
    FROM (SELECT * FROM checked WHERE verdict = 'new' ORDER BY owner_id, external_id COLLATE "C") q),
new_key AS (
    INSERT INTO iaros.event_key (customer_id, source, external_id, event_id, occurred_at)
    SELECT f.owner_id, $1, f.external_id, f.event_id, f.occurred_at FROM fresh f),
new_event AS (
    INSERT INTO iaros.event (customer_id, event_id, kind, occurred_at, source, session_id, properties)
    SELECT f.owner_id, f.event_id, f.kind, f.occurred_at, $1, f.session_id, coalesce(f.properties, '{}') FROM fresh f)
$writes$;
END;
COMMENT ON FUNCTION @extschema@.load_event_sql() IS
'The fields, the required fields, the checks, the join to what is stored, the columns kept and the writes of event_load(), as SQL for load_rows().';

-- Engine: the loaders -----------------------------------------------------

CREATE FUNCTION @extschema@.load_sql(
    kind text,
    OUT fields text[], OUT required text[], OUT checks text, OUT stored text, OUT kept text, OUT writes text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kinds text[] := '{customer,claim,booking,booking_item,event,touchpoint,conversion}';
BEGIN
    IF kind = ANY (kinds) IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('kind of load "%s" does not exist', kind),
            HINT = format('The kinds are: %s.', array_to_string(kinds, ', '));
    END IF;
    EXECUTE format('SELECT * FROM iaros.%I()', 'load_' || kind || '_sql')
        INTO fields, required, checks, stored, kept, writes;
END $$;
COMMENT ON FUNCTION @extschema@.load_sql(text) IS
'Returns what a kind of load (customer, claim, booking, booking_item, event, touchpoint, conversion) is made of: the fields it knows, the required ones, and as SQL its checks, the join that ends them, as old, to what is stored (another may take its place), the columns to keep of them and its writes. Error: 22023 for another kind.';

CREATE FUNCTION @extschema@.load_attach(query text, path text, fields text[], required text[])
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    columns text[];
    wrong text;
BEGIN
    PERFORM iaros.install_check();
    IF coalesce(btrim(query), '') = '' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'nothing to load from',
            HINT = 'Give the name of a relation, or a query.';
    END IF;
    IF to_regclass('pg_temp.iaros_load_source') IS NOT NULL THEN
        DROP VIEW pg_temp.iaros_load_source;
    END IF;
    -- Names in the query are the caller's: they are bound under his path.
    PERFORM pg_catalog.set_config('search_path', path, true);
    EXECUTE 'CREATE TEMPORARY VIEW iaros_load_source AS ' || iaros.source_query(query);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    columns := ARRAY(SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = 'pg_temp.iaros_load_source'::regclass AND a.attnum > 0 ORDER BY a.attnum);
    SELECT c INTO wrong FROM unnest(columns) AS c WHERE c <> ALL (fields || 'refuse'::text) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_column',
            MESSAGE = format('column "%s" is not known to this load', wrong),
            DETAIL = format('Known are: %s.', array_to_string(fields || 'refuse'::text, ', ')),
            HINT = 'Give a query that names its columns so and leaves others out.';
    END IF;
    SELECT r INTO wrong FROM unnest(required) AS r WHERE r <> ALL (columns) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_column',
            MESSAGE = format('column "%s" is missing', wrong),
            DETAIL = format('Required are: %s.', array_to_string(required, ', ')),
            HINT = 'Give a query that has the column; SELECT x AS name gives it that name.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.load_attach(text, text, text[], text[]) IS
'For the loaders: makes the temporary view iaros_load_source of a relation or query, whose names are looked up in the given search_path, and checks its columns. Errors: 42703 a column that is not known or a required one that is missing, and those of the query.';

CREATE FUNCTION @extschema@.load_statement(kind text, from_view boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $body$
DECLARE
    parts record;
    input text := CASE WHEN from_view
        THEN 'SELECT row_number() OVER () AS row_no, to_jsonb(s) AS payload FROM pg_temp.iaros_load_source s'
        ELSE 'SELECT e.n AS row_no, e.item AS payload FROM jsonb_array_elements($2) WITH ORDINALITY AS e(item, n)' END;
BEGIN
    parts := iaros.load_sql(kind);
    RETURN format($sql$
WITH src AS (%1$s),
-- Rows are wide and many: what is not needed later is dropped.
checked AS MATERIALIZED (
    SELECT v.row_no, v.natural_key, %5$s, v.verdict, v.refusals, v.first_row,
        CASE WHEN v.verdict = ANY ('{refused,conflict}') THEN v.payload END AS payload,
        CASE WHEN v.verdict = 'conflict' THEN v.content END AS content,
        CASE WHEN v.verdict = 'conflict' THEN v.old_content END AS old_content,
        CASE WHEN v.verdict = 'conflict' THEN v.first_content END AS first_content
    FROM (
        SELECT j.*, CASE
            WHEN j.refusals <> '{}' THEN 'refused'
            WHEN j.old_content IS NOT NULL THEN CASE WHEN j.old_content @> j.content THEN 'duplicate' ELSE 'conflict' END
            WHEN j.row_no = j.first_row THEN 'new'
            WHEN j.first_content @> j.content THEN 'duplicate' ELSE 'conflict' END AS verdict
        FROM (
            SELECT k.*, first_value(k.row_no) OVER w AS first_row, first_value(k.content) OVER w AS first_content
            FROM (
                SELECT l.*, CASE WHEN $3 IS NULL AND NOT l.payload ? 'refuse' THEN l.reasons
                    WHEN jsonb_typeof(l.payload) <> 'object' THEN ARRAY['payload_invalid: not a JSON object']
                    ELSE l.reasons || iaros.load_refusal_given(l.payload, $3) END AS refusals
                FROM (%2$s) l OFFSET 0) k
            WINDOW w AS (PARTITION BY k.natural_key COLLATE "C", k.refusals = '{}' ORDER BY k.row_no)) j
        OFFSET 0) v),
%3$s,
run AS (
    INSERT INTO iaros.load_run (load_id, source, kind, loaded_by, rows, accepted, duplicates, refused)
    SELECT $4, $1, %4$L, current_user, count(*), count(*) FILTER (WHERE c.verdict = 'new'),
        count(*) FILTER (WHERE c.verdict = 'duplicate'), count(*) FILTER (WHERE c.verdict IN ('refused', 'conflict'))
    FROM checked c
    RETURNING rows, accepted, duplicates, refused),
reject AS (
    INSERT INTO iaros.load_reject (load_id, row_no, kind, source, external_id, payload, reasons)
    SELECT $4, c.row_no, %4$L, $1, c.external_id, c.payload, c.refusals || CASE WHEN c.verdict = 'conflict' THEN ARRAY(
        SELECT CASE WHEN c.old_content IS NULL THEN format('conflict_in_load: row %%s has another ', c.first_row)
            ELSE 'conflict: stored with another ' END || string_agg(e.key, ', ' ORDER BY e.key COLLATE "C")
        FROM jsonb_each(c.content) e
        WHERE NOT coalesce(c.old_content, c.first_content) @> jsonb_build_object(e.key, e.value)) ELSE '{}' END
    FROM checked c WHERE c.verdict IN ('refused', 'conflict')
    ORDER BY c.row_no)
SELECT r.* FROM run r%6$s$sql$, input, parts.checks || parts.stored, parts.writes, kind, parts.kept,
        -- What is not asked for would not be done: no table is written by it.
        CASE WHEN kind IN ('customer', 'claim') THEN ' WHERE (SELECT count(*) FROM claimed) >= 0' END);
END $body$;
COMMENT ON FUNCTION @extschema@.load_statement(text, boolean) IS
'Returns the one statement of a load: $1 source, $2 payload of an inbox, $3 fields known (NULL: columns were checked), $4 load_id. It reads the rows (of the view iaros_load_source or of $2), checks them, compares them with what is stored and among themselves, and writes the new ones, the refused ones and the run.';

CREATE FUNCTION @extschema@.load_rows(
    kind text, source text, query text, path text, payload jsonb)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    parts record;
    tries integer := 0;
BEGIN
    PERFORM iaros.install_check();
    parts := iaros.load_sql(kind);
    IF NOT EXISTS (SELECT FROM iaros.data_source d WHERE d.source = load_rows.source) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('data source "%s" does not exist', source),
            HINT = 'List the sources with SELECT * FROM iaros.data_source; add your own there.';
    END IF;
    IF query IS NOT NULL THEN
        PERFORM iaros.load_attach(query, path, parts.fields, parts.required);
    END IF;
    load_id := nextval('iaros.load_id_seq');
    LOOP
        BEGIN
            EXECUTE iaros.load_statement(kind, query IS NOT NULL)
                INTO rows, accepted, duplicates, refused
                USING source, payload, CASE WHEN query IS NULL THEN parts.fields END, load_id;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            -- Another session has just stored one of the keys: look again.
            tries := tries + 1;
            IF tries = 3 OR current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    IF query IS NOT NULL THEN
        DROP VIEW pg_temp.iaros_load_source;
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION @extschema@.load_rows(text, text, text, text, jsonb) IS
'The one way of rows into iaros, under the loaders (query) and inbox_ingest() (payload, an array): one statement writes what is new and stores what is refused. Returns one row of counts; rows = accepted + duplicates + refused. Errors: 22023 kind, 23503 source, those of load_attach().';

CREATE FUNCTION @extschema@.customer_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('customer', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.customer_load(text, text) IS
'Loads customers of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: external_id. Others: kind (known or anonymous), first_name, last_name, email, phone, device, cookie, frequent_flyer, birth_date, gender, country, nationality, city, street, postal_code, language, time_zone, home_airport, traits (a JSON object, each key becomes a row of customer_trait), observed_at (when the source observed what the row says); and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. A row whose key is stored already is a duplicate when it states nothing else; when it does it is refused as conflict without observed_at, and with it is accepted as a claim of the source (see customer_claim_record), kind and identifiers excepted. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.booking_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('booking', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.booking_load(text, text) IS
'Loads bookings of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: external_id, booked_at, amount, currency, and the customer as customer_id or customer_external_id (with customer_source, when it is another source). Others: status, origin, destination, cabin, fare_class, sales_channel, party_size, departure_at, return_at; and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. A row whose key is stored already is a duplicate when it states nothing else, and refused as conflict when it does. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.booking_item_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('booking_item', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.booking_item_load(text, text) IS
'Loads booking items of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: booking_external_id (of the same source), line_no, kind, and amount or unit_price. Others: customer_id or customer_external_id (checked against the booking), code, description, quantity, unit_price, amount (quantity times unit_price by default), currency (that of the booking by default); and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. A row whose key is stored already is a duplicate when it states nothing else, and refused as conflict when it does. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.event_load(source text, query text)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    -- Not pinned: the query means what it means to the caller.
    SELECT * FROM @extschema@.load_rows('event', source, coalesce(query, ''), current_setting('search_path'), NULL);
END;
COMMENT ON FUNCTION @extschema@.event_load(text, text) IS
'Loads events of a source from a relation or query, with the caller''s rights, and returns one row of counts: rows = accepted + duplicates + refused. Required columns: external_id, kind, occurred_at, and the customer as customer_id or customer_external_id (with customer_source, when it is another source). Others: session_id, properties (a JSON object); and refuse, reasons of your own to refuse a row. Columns may be of any type; text is read, never guessed; NULL or empty states nothing. A row whose key is stored already is a duplicate when it states nothing else, and refused as conflict when it does. Refused rows go to load_reject with all their reasons. Loading twice changes nothing. Errors: 23503 unknown source, 42703 unknown or missing column.';

CREATE FUNCTION @extschema@.inbox_ingest(source text, kind text, payload jsonb)
    RETURNS TABLE (load_id bigint, rows bigint, accepted bigint, duplicates bigint, refused bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(payload) IN ('object', 'array') IS NOT TRUE THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('payload must be a JSON object or an array of objects, not %s', coalesce(jsonb_typeof(payload), 'NULL')),
            HINT = 'Example: {"external_id": "e1", "customer_external_id": "c1", "kind": "login", "occurred_at": "2026-01-31T10:00:00Z"}.';
    END IF;
    RETURN QUERY SELECT r.* FROM iaros.load_rows(kind, source, NULL, NULL,
        CASE WHEN jsonb_typeof(payload) = 'array' THEN payload ELSE jsonb_build_array(payload) END) r;
END $$;
COMMENT ON FUNCTION @extschema@.inbox_ingest(text, text, jsonb) IS
'Takes one message of a source (a JSON object, or an array of them) as customer, claim, booking, booking_item, event, touchpoint or conversion, with the fields of the loader of that kind, and returns its row of counts. Same path, same checks as the loaders; a field that is not known refuses the object. Errors: 22023 kind or payload, 23503 unknown source.';

CREATE FUNCTION @extschema@.load_prune() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM iaros.install_check();
    DELETE FROM iaros.load_run r
    WHERE r.loaded_at < now() - make_interval(days => iaros.setting_get('load_keep_days')::integer);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION @extschema@.load_prune() IS
'Body of the job iaros-loads: deletes loads older than load_keep_days with the rows that they refused, and returns how many loads.';

