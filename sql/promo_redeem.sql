-- promo: what a purchase gets, and the ledger of redemptions.

-- Engine: the question ----------------------------------------------------

CREATE FUNCTION @extschema@.promo_policy() RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN jsonb_build_object(
        'max_promotions', iaros.setting_get('promo_max_promotions')::integer,
        'candidates', least(greatest(iaros.setting_get('promo_candidates')::integer, 1), 64),
        'total_cap_percentage', least(greatest(iaros.setting_get('promo_total_cap_percentage')::numeric, 0), 100),
        'point_value', iaros.setting_get('promo_point_value')::numeric,
        'categories', nullif(to_jsonb(ARRAY(
            SELECT jsonb_build_object('name', c.category, 'rank', c.rank, 'kind', c.kind, 'max', c.maximum)
            FROM iaros.promo_category c ORDER BY c.category)), '[]'));
END $$;
COMMENT ON FUNCTION @extschema@.promo_policy() IS
'Returns the policy of promo_best_set() that the settings promo_* and the categories of promotions make.';

CREATE FUNCTION @extschema@.promo_cart(cart jsonb, as_of timestamptz DEFAULT now()) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.promo_facts(cart, ARRAY(SELECT iaros.customer_ids(iaros.promo_customer(cart))), as_of);
END $$;
COMMENT ON FUNCTION @extschema@.promo_cart(jsonb, timestamptz) IS
'Returns a cart with what promotions ask about it as of a time: at in brand_time_zone, the customer''s segments (as last refreshed), tiers and whether it would be the first booking that counts, and the places that its airports lie in. What the cart says of these itself does not count. NULL gives NULL. Errors: 22023 a cart that is none, a time before 1900 or after 2199, 23503 customer that does not exist, and those of promo_best_set() for a cart. A few index look-ups.';

CREATE FUNCTION @extschema@.promo_facts(cart jsonb, ids bigint[], as_of timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    -- All of it is by key; a session keeps the plans it made of empty tables.
    SET enable_seqscan = off
    AS $$
DECLARE
    zone text := iaros.setting_get('brand_time_zone');
    ahead interval;
    own numeric := CASE WHEN jsonb_typeof(cart -> 'booking') = 'number' THEN cart ->> 'booking' END;
    day date := (as_of AT TIME ZONE 'UTC')::date;
    airports text[];
    facts jsonb;
BEGIN
    IF NOT iaros.time_valid(as_of) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('as_of "%s" is not between 1900 and 2200', as_of);
    END IF;
    ahead := (as_of AT TIME ZONE zone) - (as_of AT TIME ZONE 'UTC');
    IF coalesce(jsonb_typeof(cart -> 'booking'), 'null') NOT IN ('number', 'null') OR own <> trunc(own) OR abs(own) >= 9e18 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('booking "%s" of the cart is no booking_id', left(cart ->> 'booking', 64)),
            HINT = 'A booking_id is a whole number, that of a booking of the customer.';
    END IF;
    cart := (cart - '{at,segments,tiers,first_booking,places}'::text[]) || jsonb_build_object('at',
        to_char(as_of AT TIME ZONE zone, 'YYYY-MM-DD"T"HH24:MI:SS.US')
        || CASE WHEN ahead < interval '0' THEN '-' ELSE '+' END || to_char(greatest(ahead, -ahead), 'HH24:MI'));
    IF ids <> '{}' THEN
        SELECT promo_facts.cart || jsonb_build_object(
            'segments', ARRAY(SELECT DISTINCT s.name FROM iaros.segment_membership m
                JOIN iaros.segment s ON s.segment_id = ANY (m.segment_ids) WHERE m.customer_id = ANY (ids) ORDER BY 1),
            'tiers', ARRAY(SELECT DISTINCT a.tier FROM iaros.loyalty_account a
                WHERE a.customer_id = ANY (ids) AND a.enrolled_on <= day AND (a.cancelled_on IS NULL OR a.cancelled_on > day) ORDER BY 1),
            'first_booking', NOT EXISTS (SELECT FROM iaros.booking b
                WHERE b.customer_id = ANY (ids) AND iaros.booking_counts(b.status) AND b.booked_at <= as_of
                  AND b.booking_id IS DISTINCT FROM own))
        INTO cart;
    END IF;
    airports := iaros.promo_cart_places(cart);
    IF airports <> '{}' THEN
        SELECT jsonb_object_agg(a.airport, jsonb_build_array(a.city, c.country, c.name, c.region, c.continent)
            || coalesce((SELECT jsonb_agg(z.zone) FROM iaros.promo_zone z
                         WHERE z.place = ANY (ARRAY[a.airport, a.city, c.country, c.name, c.region, c.continent])), '[]'))
        INTO facts
        FROM iaros.airport a
        JOIN iaros.country c ON c.country = a.country
        WHERE a.airport = ANY (airports::bpchar[]);
        cart := cart || jsonb_build_object('places', facts);
    END IF;
    RETURN cart;
END $$;
COMMENT ON FUNCTION @extschema@.promo_facts(jsonb, bigint[], timestamptz) IS
'Returns a cart, an object, as promo_cart() does for a customer whose ids are given, empty for nobody. NULL gives NULL.';

CREATE FUNCTION @extschema@.promo_customer(cart jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    customer jsonb := cart -> 'customer';
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(cart) <> 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('a cart is an object, not %s', jsonb_typeof(cart)),
            HINT = 'Such as {"customer": 4711, "currency": "EUR", "lines": [{"id": 1, "price": 120.00}]}.';
    ELSIF customer IS NULL OR customer = 'null' THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(customer) <> 'number' OR customer::numeric <> trunc(customer::numeric) OR abs(customer::numeric) >= 9e18 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('customer "%s" of the cart is no customer_id', left(customer #>> '{}', 64)),
            HINT = 'A customer_id is a whole number; look one up with customer_find().';
    END IF;
    SELECT c.customer_id INTO id FROM iaros.customer c WHERE c.customer_id = customer::bigint;
    IF id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('customer %s of the cart does not exist', customer),
            HINT = 'Make a visitor a customer of kind anonymous, or leave customer out.';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_customer(jsonb) IS
'Returns the customer_id of a cart, NULL where it has none. Errors: 22023 a cart that is no object, customer that is no whole number, 23503 customer that does not exist.';

CREATE FUNCTION @extschema@.promo_asked(codes text[], customer_ids bigint[], as_of timestamptz) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one text;
    typed iaros.promo_code;
    seen bigint[] := '{}';
    p record;
    reasons jsonb;
    result jsonb := '[]';
BEGIN
    PERFORM iaros.install_check();
    IF cardinality(codes) > 100 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'program_limit_exceeded',
            MESSAGE = format('%s codes are too many for one purchase', cardinality(codes)),
            HINT = 'Give at most 100.';
    END IF;
    FOREACH one IN ARRAY coalesce(codes, '{}') LOOP
        CONTINUE WHEN one IS NULL;
        reasons := '[]';
        -- Texts that cannot be codes are unknown ones, not errors.
        typed := NULL;
        IF length(one) <= 200 AND translate(one, E' \t\n\r\f\v-._', '') ~ '^[A-Za-z0-9]{1,64}$' THEN
            typed := one::iaros.promo_code;
            SELECT t.promo_id, NULL::bigint AS holder, NULL::tstzrange AS valid, true AS is_active, false AS is_coupon INTO p
            FROM iaros.promo t WHERE t.code OPERATOR(iaros.=) typed AND t.applied <> 'coupon';
            IF NOT FOUND THEN
                SELECT c.promo_id, c.customer_id AS holder, c.valid, c.is_active, t.applied <> 'automatic' AS is_coupon INTO p
                FROM iaros.promo_coupon c JOIN iaros.promo t ON t.promo_id = c.promo_id
                WHERE c.code OPERATOR(iaros.=) typed;
            END IF;
        ELSE
            SELECT NULL::bigint AS promo_id, NULL::bigint AS holder, NULL::tstzrange AS valid, true AS is_active, false AS is_coupon INTO p;
        END IF;
        IF p.promo_id IS NULL THEN
            reasons := '[{"reason": "unknown_code"}]';
        ELSIF p.promo_id = ANY (seen) THEN
            reasons := '[{"reason": "same_promotion"}]';
        ELSE
            IF NOT p.is_active THEN
                reasons := reasons || '{"reason": "inactive"}';
            END IF;
            IF p.holder IS NOT NULL AND (p.holder = ANY (customer_ids)) IS NOT TRUE THEN
                reasons := reasons || '{"reason": "other_customer"}';
            END IF;
            IF lower(p.valid) > as_of THEN
                reasons := reasons || jsonb_build_object('reason', 'not_started', 'from', iaros.promo_window(p.valid) -> 'from');
            ELSIF upper(p.valid) <= as_of THEN
                reasons := reasons || jsonb_build_object('reason', 'expired', 'to', iaros.promo_window(p.valid) -> 'to');
            END IF;
            -- A code that cannot be used does not keep out another.
            IF reasons = '[]' THEN
                seen := seen || p.promo_id;
            END IF;
        END IF;
        result := result || jsonb_build_object('given', left(one, 64), 'promo_id', p.promo_id, 'reasons', reasons,
            'coupon', CASE WHEN p.is_coupon THEN typed::text END);
    END LOOP;
    RETURN result;
END $$;
COMMENT ON FUNCTION @extschema@.promo_asked(text[], bigint[], timestamptz) IS
'Returns the codes that were typed, as a list of given, promo_id, coupon (its code, where it is one) and the reasons that already speak against it for one of the ids of a customer: unknown_code, same_promotion (as a code before it that can be used), inactive, other_customer, not_started, expired. A coupon of an automatic promotion is none: that promotion needs no code, and none keeps it out. NULL elements are left out. Error: 54000 more than 100 codes. Two index look-ups a code.';

CREATE FUNCTION @extschema@.promo_limit_reasons(
    promo_id bigint,
    coupon text,
    customer_ids bigint[],
    booking_id bigint,
    as_of timestamptz,
    discount_base numeric DEFAULT 0.0001,
    amount_base numeric DEFAULT 0.0001)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    AS $$
#variable_conflict use_column
DECLARE
    zone text := iaros.setting_get('brand_time_zone');
BEGIN
    RETURN (
        SELECT jsonb_agg(jsonb_build_object('reason', 'limit', 'scope', l.scope, 'measure', l.measure, 'period', l.period,
            'maximum', trim_scale(l.maximum), 'used', trim_scale(c.used)) ORDER BY l.promo_limit_id)
        FROM iaros.promo_limit l
        CROSS JOIN LATERAL (SELECT iaros.promo_period_start(l.period, as_of, zone) AS period_start) AS s
        CROSS JOIN LATERAL (
            SELECT coalesce(CASE WHEN l.scope IN ('total', 'code') THEN (
                SELECT sum(c.value) FROM iaros.promo_counter c
                WHERE c.promo_limit_id = l.promo_limit_id AND c.period_start = s.period_start
                  AND c.code = CASE l.scope WHEN 'code' THEN iaros.promo_code_normal(promo_limit_reasons.coupon::iaros.promo_code) ELSE '' END)
            ELSE (
                -- One row of the primary key for each id.
                SELECT sum((SELECT c.value FROM iaros.promo_customer_counter c
                    WHERE c.customer_id = i AND c.promo_limit_id = l.promo_limit_id AND c.period_start = s.period_start
                      AND c.booking_id = CASE l.scope WHEN 'booking' THEN promo_limit_reasons.booking_id ELSE 0 END))
                FROM unnest(customer_ids) AS i) END, 0) AS used
            -- Not worked out a second time where it is shown.
            OFFSET 0) AS c
        WHERE l.promo_id = promo_limit_reasons.promo_id
          AND c.used + CASE l.measure WHEN 'uses' THEN 1 WHEN 'discount' THEN discount_base ELSE amount_base END > l.maximum);
END $$;
COMMENT ON FUNCTION @extschema@.promo_limit_reasons(bigint, text, bigint[], bigint, timestamptz, numeric, numeric) IS
'Returns the limits of a promotion that have no room for one more use of so much discount and purchase, in the base currency, as reasons; NULL: none. coupon: its code, NULL for none. For promo_decide().';

CREATE FUNCTION @extschema@.promo_automatic(cart jsonb, as_of timestamptz) RETURNS bigint[]
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    -- By index: a session keeps the plan it made when there were few.
    SET enable_seqscan = off
    AS $$
DECLARE
    cart_places text[];
    cart_channels text[] := ARRAY[cart ->> 'channel', '*'];
    cart_segments text[] := '{*}';
    cart_tiers text[] := '{*}';
    cart_classes text[] := ARRAY(SELECT jsonb_path_query(cart, '$.lines[*].attributes.fare_class') #>> '{}');
    cart_currency text := cart ->> 'currency';
    cart_party integer := coalesce((cart ->> 'party')::integer, 1);
    is_first boolean := coalesce((cart ->> 'first_booking')::boolean, false);
    days daterange[];
BEGIN
    PERFORM iaros.install_check();
    cart_places := iaros.promo_cart_places(cart) || '*'::text;
    IF cart -> 'segments' <> '[]' THEN
        cart_segments := iaros.promo_texts(cart -> 'segments') || cart_segments;
    END IF;
    IF cart -> 'tiers' <> '[]' THEN
        cart_tiers := iaros.promo_texts(cart -> 'tiers') || cart_tiers;
    END IF;
    days := ARRAY(SELECT daterange(d, d, '[]') FROM (
        SELECT left(jsonb_path_query(cart, '$.lines[*].attributes.departure') #>> '{}', 10)::date) AS q(d));
    -- What is cheap to tell comes before the promotion itself is asked.
    RETURN ARRAY(
        SELECT p.promo_id
        FROM (SELECT t.* FROM iaros.promo t
              WHERE t.applied = 'automatic' AND t.is_active
                AND t.route_keys && cart_places AND t.route_ends && cart_places
                AND coalesce(t.channels, '{*}') && cart_channels
                AND coalesce(t.segments, '{*}') && cart_segments
                AND coalesce(t.tiers, '{*}') && cart_tiers
              -- By this index, not by that on valid, which most of them are.
              OFFSET 0) AS p
        WHERE p.valid @> as_of
          AND (p.currency IS NULL OR p.currency = cart_currency)
          AND (p.travel IS NULL OR p.travel && ANY (days))
          AND (p.fare_classes IS NULL OR p.fare_classes && cart_classes)
          AND (p.party IS NULL OR p.party @> cart_party)
          AND (is_first OR NOT p.first_booking)
          AND iaros.promo_applies(p.definition, cart)
        ORDER BY p.priority, p.promo_id LIMIT 200);
END $$;
COMMENT ON FUNCTION @extschema@.promo_automatic(jsonb, timestamptz) IS
'Returns the automatic promotions that apply to a cart of promo_cart(), but for limits and products; the strongest 200. Found by index on routes, channels, segments and tiers; each that is found is asked by promo_applies(). NULL gives NULL.';

CREATE FUNCTION @extschema@.promo_lines(promo_id bigint, applies_to jsonb, cart jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    only_these boolean;
    fitting jsonb;
BEGIN
    PERFORM iaros.install_check();
    IF NOT EXISTS (SELECT FROM iaros.promo_product t WHERE t.promo_id = promo_lines.promo_id) THEN
        RETURN '{}';
    END IF;
    only_these := EXISTS (SELECT FROM iaros.promo_product t WHERE t.promo_id = promo_lines.promo_id AND NOT t.excluded);
    SELECT CASE WHEN NOT bool_and(fits) THEN coalesce(jsonb_agg(l ->> 'id') FILTER (WHERE fits), '[]') END INTO fitting
    FROM jsonb_array_elements(cart -> 'lines') AS l
    LEFT JOIN iaros.promo_product t ON t.promo_id = promo_lines.promo_id AND t.product = l ->> 'product'
    CROSS JOIN LATERAL (SELECT CASE WHEN t.product IS NULL THEN NOT only_these ELSE NOT t.excluded END AS fits) AS f;
    RETURN CASE WHEN fitting IS NULL THEN '{}'
        ELSE jsonb_build_object('applies_to', coalesce(applies_to, '{}') || jsonb_build_object('id', fitting)) END;
END $$;
COMMENT ON FUNCTION @extschema@.promo_lines(bigint, jsonb, jsonb) IS
'Returns what the products of a promotion make of its definition for a cart: applies_to with the lines that they fit, empty where that is all lines. applies_to: that of the promotion, NULL for none.';

CREATE FUNCTION @extschema@.promo_decide(
    cart jsonb,
    codes text[],
    as_of timestamptz,
    refused jsonb,
    ids bigint[],
    OUT full_cart jsonb,
    OUT policy jsonb,
    OUT promotions jsonb,
    OUT asked jsonb,
    OUT result jsonb,
    OUT slotted boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    AS $$
#variable_conflict use_column
DECLARE
    asked_ids bigint[];
    usable_ids bigint[];
    ids_looked_at bigint[];
    booking bigint;
    by_amount boolean;
    worth numeric;
    over jsonb;
BEGIN
    IF cart IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'a purchase needs a cart',
            HINT = 'Such as {"customer": 4711, "currency": "EUR", "lines": [{"id": 1, "price": 120.00}]}.';
    END IF;
    full_cart := iaros.promo_facts(cart, ids, as_of);
    policy := iaros.promo_policy();
    booking := (cart ->> 'booking')::numeric;
    asked := iaros.promo_asked(codes, ids, as_of);
    asked_ids := translate(jsonb_path_query_array(asked, '$[*].promo_id')::text, '[]', '{}');
    usable_ids := ARRAY(SELECT CASE WHEN a -> 'reasons' = '[]' THEN (a ->> 'promo_id')::bigint END
                        FROM jsonb_array_elements(asked) WITH ORDINALITY AS u(a, n) ORDER BY n);
    ids_looked_at := asked_ids || iaros.promo_automatic(full_cart, as_of);
    SELECT coalesce(jsonb_agg(p.definition || jsonb_build_object('asked', a IS NOT NULL, 'refused',
                CASE WHEN p.is_active THEN '[]' ELSE '[{"reason": "inactive"}]' END::jsonb || coalesce(a -> 'reasons', '[]')
                || CASE WHEN p.limits <> '{}'
                    -- Of one that was refused when it was counted, what is said now.
                    THEN coalesce(iaros.promo_limit_reasons(p.promo_id, a ->> 'coupon', ids, booking, as_of),
                        refused -> p.promo_id::text, '[]') ELSE '[]' END)
            || p.lines
            ORDER BY p.promo_id), '[]'),
        bool_or(p.limits && '{total,code}') FILTER (WHERE p.limits <> '{}'), bool_or(p.limits && '{discount,revenue}')
    INTO promotions, slotted, by_amount
    FROM (SELECT t.promo_id, t.definition, t.is_active,
              CASE WHEN t.applied <> 'automatic' THEN promo_decide.asked -> (coalesce(array_position(usable_ids, t.promo_id), array_position(asked_ids, t.promo_id)) - 1) END AS a,
              ARRAY(SELECT ARRAY[l.scope::text, l.measure::text] FROM iaros.promo_limit l WHERE l.promo_id = t.promo_id) AS limits,
              CASE WHEN EXISTS (SELECT FROM iaros.promo_product q WHERE q.promo_id = t.promo_id)
                  THEN iaros.promo_lines(t.promo_id, t.applies_to, cart) ELSE '{}' END AS lines
          FROM iaros.promo t
          WHERE t.promo_id = ANY (ids_looked_at)
          OFFSET 0) AS p;
    LOOP
        result := iaros.promo_best_set(promotions, full_cart, iaros.setting_get('promo_objective'), policy);
        -- Limits of amounts are known only now.
        EXIT WHEN by_amount IS NOT TRUE;
        worth := coalesce(worth, (SELECT coalesce(sum((l ->> 'price')::numeric * coalesce((l ->> 'quantity')::numeric, 1)), 0)
                                  FROM jsonb_array_elements(cart -> 'lines') AS l));
        SELECT jsonb_object_agg(r ->> 'id', q.reasons) FILTER (WHERE q.reasons IS NOT NULL) INTO over
        FROM jsonb_array_elements(result -> 'promotions') AS r
        -- A rate is asked for only where an amount is limited.
        CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (
            SELECT FROM iaros.promo_limit l WHERE l.promo_id = (r ->> 'id')::bigint AND l.measure <> 'uses') THEN iaros.promo_limit_reasons((r ->> 'id')::bigint,
            (SELECT a ->> 'coupon' FROM jsonb_array_elements(promo_decide.asked) AS a WHERE a -> 'promo_id' = r -> 'id' AND a -> 'reasons' = '[]'),
            ids, booking, as_of,
            iaros.fx_convert((r ->> 'discount')::numeric, cart ->> 'currency', (as_of AT TIME ZONE 'UTC')::date),
            iaros.fx_convert(worth, cart ->> 'currency', (as_of AT TIME ZONE 'UTC')::date)) END AS reasons) AS q;
        EXIT WHEN over IS NULL;
        promotions := (SELECT jsonb_agg(CASE WHEN over ? (p ->> 'id')
                THEN p || jsonb_build_object('refused', p -> 'refused' || (over -> (p ->> 'id'))) ELSE p END ORDER BY n)
            FROM jsonb_array_elements(promotions) WITH ORDINALITY AS u(p, n));
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.promo_decide(jsonb, text[], timestamptz, jsonb, bigint[]) IS
'Returns the arguments of promo_best_set() for a cart, codes and time (full_cart, policy, promotions with what speaks against each), the codes as promo_asked() read them, the result, and whether promotions have limits of scope total or code: NULL where they have none at all. refused: further reasons by promo_id; ids: those of the customer. For promo_validate() and promo_commit(). Errors: those of promo_validate().';

CREATE FUNCTION @extschema@.promo_answers(asked jsonb, result jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    -- Mostly one code was asked for, and it applied.
    IF jsonb_array_length(asked) = 1 AND asked #> '{0,reasons}' = '[]'
        AND result @> jsonb_build_object('promotions', jsonb_build_array(jsonb_build_object('id', asked #> '{0,promo_id}'))) THEN
        RETURN jsonb_build_array(jsonb_build_object('code', asked #> '{0,given}', 'promotion', asked #> '{0,promo_id}', 'applied', true));
    END IF;
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_object('code', a -> 'given', 'promotion', a -> 'promo_id', 'applied', o.applied)
            || CASE WHEN o.applied THEN '{}' ELSE jsonb_build_object('reasons', (
                SELECT jsonb_agg(r || jsonb_build_object('text', iaros.promo_reason_text(r)))
                FROM jsonb_array_elements(CASE WHEN l.reasons @> (a -> 'reasons') THEN l.reasons
                    ELSE a -> 'reasons' || coalesce(l.reasons, '[]') END) AS r)) END ORDER BY n), '[]')
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS u(a, n)
        CROSS JOIN LATERAL (SELECT a -> 'reasons' = '[]' AND EXISTS (
            SELECT FROM jsonb_array_elements(result -> 'promotions') AS p WHERE p -> 'id' = a -> 'promo_id') AS applied) AS o
        LEFT JOIN LATERAL (
            SELECT x -> 'reasons' AS reasons FROM jsonb_array_elements(result -> 'left_out') AS x
            WHERE x -> 'id' = a -> 'promo_id' AND NOT o.applied
              AND NOT a -> 'reasons' @> '[{"reason": "same_promotion"}]') AS l ON true);
END $$;
COMMENT ON FUNCTION @extschema@.promo_answers(jsonb, jsonb) IS
'Returns what became of each code that was asked for: code, promotion (its promo_id, null: unknown), applied, and where not all reasons, each with a text. NULL for NULL.';

CREATE FUNCTION @extschema@.promo_validate(
    cart jsonb,
    codes text[] DEFAULT '{}',
    as_of timestamptz DEFAULT now(),
    OUT valid boolean,
    OUT discount numeric,
    OUT to_pay numeric,
    OUT answers jsonb,
    OUT result jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    asked jsonb;
BEGIN
    PERFORM iaros.install_check();
    SELECT d.asked, d.result INTO asked, result
    FROM iaros.promo_decide(cart, codes, coalesce(as_of, now()), '{}', ARRAY(SELECT iaros.customer_ids(iaros.promo_customer(cart)))) d;
    answers := iaros.promo_answers(asked, result);
    valid := NOT answers @> '[{"applied": false}]';
    discount := result ->> 'discount';
    to_pay := result ->> 'to_pay';
END $$;
COMMENT ON FUNCTION @extschema@.promo_validate(jsonb, text[], timestamptz) IS
'Tells what a cart costs with some codes and the automatic promotions, by the best set of them that may be combined: whether all codes apply (valid), the discount, what is to pay, what became of each code with all reasons and what is missing (answers: see promo_answers()), and all that promo_best_set() says (result). cart: that of promo_best_set(), with customer (a customer_id; needed for what depends on the customer), channel, party, booking (a booking_id); lines with the attributes route, departure, fare_class, cabin. What it knows of the customer itself, at, segments, tiers, first_booking and places, is filled in, see promo_cart(). Codes that nobody could have meant are unknown ones, not errors. Changes nothing and holds nothing: promo_reserve() does. Uses of all ids of a person count together; a reservation that timed out counts until it is taken back. Errors: 22004 cart NULL, 23503 customer that does not exist, 22023 a time before 1900 or after 2199, 54000 more than 100 codes, those of promo_best_set() for a cart, P0002 no rate where a limit is an amount.';

CREATE FUNCTION @extschema@.promo_qualify(
    cart jsonb,
    as_of timestamptz DEFAULT now(),
    max_rows integer DEFAULT 100)
    RETURNS TABLE (promo_id bigint, code text, name text, applied text, qualifies boolean, discount numeric,
        points bigint, missing jsonb, reasons jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    ids bigint[] := ARRAY(SELECT iaros.customer_ids(iaros.promo_customer(cart)));
    full_cart jsonb := iaros.promo_facts(cart, ids, promo_qualify.as_of);
    policy jsonb := iaros.promo_policy();
    booking bigint := (cart ->> 'booking')::numeric;
BEGIN
    PERFORM iaros.install_check();
    IF full_cart IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT p.promo_id, CASE WHEN p.applied = 'code' THEN p.code::text ELSE c.code::text END, p.name, p.applied,
            r.result -> 'promotions' <> '[]', (r.result ->> 'discount')::numeric, (r.result ->> 'points')::bigint,
            (SELECT jsonb_object_agg(q.reason ->> 'reason', q.reason -> 'missing')
             FROM jsonb_array_elements(r.result #> '{left_out,0,reasons}') AS q(reason) WHERE q.reason ? 'missing'),
            (SELECT jsonb_agg(q.reason || jsonb_build_object('text', iaros.promo_reason_text(q.reason)))
             FROM jsonb_array_elements(r.result #> '{left_out,0,reasons}') AS q(reason))
        FROM iaros.promo p
        LEFT JOIN LATERAL (
            SELECT k.code FROM iaros.promo_coupon k
            WHERE k.promo_id = p.promo_id AND k.customer_id = ANY (ids) AND k.is_active
              AND (k.valid IS NULL OR k.valid @> promo_qualify.as_of)
            ORDER BY k.code LIMIT 1) AS c ON p.applied <> 'automatic'
        -- Each is worked out once, not wherever it is named.
        CROSS JOIN LATERAL (
            SELECT iaros.promo_best_set(jsonb_build_array(p.definition
                || CASE WHEN EXISTS (SELECT FROM iaros.promo_limit l WHERE l.promo_id = p.promo_id)
                    THEN jsonb_build_object('refused', iaros.promo_limit_reasons(p.promo_id, c.code::text, ids, booking, promo_qualify.as_of))
                    ELSE '{}' END
                || CASE WHEN EXISTS (SELECT FROM iaros.promo_product t WHERE t.promo_id = p.promo_id)
                    THEN iaros.promo_lines(p.promo_id, p.applies_to, cart) ELSE '{}' END),
                full_cart, 'customer', policy) AS result OFFSET 0) AS r
        WHERE p.is_active AND (upper(p.valid) > promo_qualify.as_of OR upper_inf(p.valid))
          AND (p.applied <> 'coupon' OR c.code IS NOT NULL)
        ORDER BY 5 DESC, 6 DESC, jsonb_array_length(r.result #> '{left_out,0,reasons}'), p.priority, p.promo_id
        LIMIT promo_qualify.max_rows;
END $$;
COMMENT ON FUNCTION @extschema@.promo_qualify(jsonb, timestamptz, integer) IS
'Returns the promotions that a cart could get, each by itself: those that it qualifies for by the discount (and points) that each would give alone, then the others by how few reasons speak against them, with what is missing of a minimum (such as {"min_purchase": 12.00}) and all reasons. Active promotions that have not ended: automatic ones, those with a code of their own, and those of which the customer has a coupon (code is that one). cart: that of promo_validate(). NULL cart gives no row. Errors: those of promo_validate(). O(promotions).';

-- Engine: returns ---------------------------------------------------------

CREATE FUNCTION @extschema@.promo_cart_without(cart jsonb, returned jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(returned) <> 'array' OR jsonb_path_exists(returned, '$[*] ? (@.type() != "object" || !exists(@.id))') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'returned lines are a list of objects with id and quantity',
            HINT = 'Such as [{"id": "1", "quantity": 1}]; without quantity the whole line.';
    END IF;
    SELECT r ->> 'id' INTO wrong
    FROM jsonb_array_elements(returned) AS r
    LEFT JOIN jsonb_array_elements(cart -> 'lines') AS l ON l ->> 'id' = r ->> 'id'
    WHERE l IS NULL OR jsonb_typeof(r -> 'quantity') NOT IN ('number', 'null')
       OR CASE WHEN jsonb_typeof(r -> 'quantity') = 'number' THEN (r ->> 'quantity')::numeric <= 0
            OR (r ->> 'quantity')::numeric <> trunc((r ->> 'quantity')::numeric)
            OR (r ->> 'quantity')::numeric > coalesce((l ->> 'quantity')::numeric, 1) END
    LIMIT 1;
    IF FOUND OR (SELECT count(*) <> count(DISTINCT r ->> 'id') FROM jsonb_array_elements(returned) AS r) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN wrong IS NULL THEN 'a line is returned twice in one call'
                ELSE format('line "%s" has not so much left to return', left(wrong, 64)) END,
            HINT = 'Give each line once, with at most the units that were not returned yet.';
    END IF;
    RETURN jsonb_set(cart, '{lines}', (
        SELECT coalesce(jsonb_agg(CASE WHEN r IS NULL THEN l
                ELSE l || jsonb_build_object('quantity', coalesce((l ->> 'quantity')::numeric, 1)::bigint - (r ->> 'quantity')::numeric::bigint) END ORDER BY n), '[]')
        FROM jsonb_array_elements(cart -> 'lines') WITH ORDINALITY AS u(l, n)
        LEFT JOIN jsonb_array_elements(returned) AS r ON r ->> 'id' = l ->> 'id'
        WHERE r IS NULL OR (r ->> 'quantity')::numeric < coalesce((l ->> 'quantity')::numeric, 1)));
END $$;
COMMENT ON FUNCTION @extschema@.promo_cart_without(jsonb, jsonb) IS
'Returns what is left of a cart when lines are returned: a list of id and quantity, without one the whole line. NULL gives NULL. Errors: 22023 lines that the cart does not have, more units than are left, a line given twice.';

-- Engine: usage -----------------------------------------------------------

CREATE FUNCTION @extschema@.promo_usage(promo text DEFAULT NULL)
    RETURNS TABLE (code text, currency text, redemptions bigint, reserved bigint, customers bigint,
        revenue numeric, discount numeric, average_discount numeric, revenue_base numeric, discount_base numeric,
        points bigint, uses_left numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted bigint := CASE WHEN promo IS NOT NULL THEN iaros.promo_find(promo) END;
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT p.code::text, r.currency::text, count(*) FILTER (WHERE r.state <> 'reserved'), count(*) FILTER (WHERE r.state = 'reserved'),
            count(DISTINCT coalesce(a.master_id, r.customer_id)),
            iaros.money_round(sum(r.amount), r.currency::text), iaros.money_round(sum(u.discount), r.currency::text),
            iaros.money_round(avg(u.discount), r.currency::text),
            iaros.money_round(sum(u.amount_base), iaros.setting_get('base_currency')),
            iaros.money_round(sum(u.discount_base), iaros.setting_get('base_currency')), sum(u.points)::bigint,
            (SELECT trim_scale(l.maximum - coalesce(sum(c.value), 0)) FROM iaros.promo_limit l
             LEFT JOIN iaros.promo_counter c ON c.promo_limit_id = l.promo_limit_id
             WHERE l.promo_id = p.promo_id AND (l.scope, l.measure, l.period) = ('total', 'uses', 'ever') GROUP BY l.maximum)
        FROM iaros.promo_use u
        JOIN iaros.promo_redemption r ON r.customer_id = u.customer_id AND r.redemption_id = u.redemption_id
        JOIN iaros.promo p ON p.promo_id = u.promo_id
        LEFT JOIN iaros.customer_alias a ON a.customer_id = r.customer_id
        WHERE u.counted AND (wanted IS NULL OR u.promo_id = wanted)
        GROUP BY p.promo_id, p.code, r.currency
        ORDER BY p.promo_id, r.currency;
END $$;
COMMENT ON FUNCTION @extschema@.promo_usage(text) IS
'Returns what the uses of a promotion (NULL: of each) come to at this moment, a row for each currency: how many redemptions and reservations, of how many customers, the amounts before discount of the purchases (revenue), the discounts, their average, both in the base currency too, the points, and how many uses are left of the promotion (NULL: no limit). What was returned does not count, nor what customers used who were deleted, but for uses_left. The revenue of a purchase stands with each of its promotions. Errors: 42704 promotion that does not exist. O(uses).';

CREATE FUNCTION @extschema@.promo_usage_by(
    dimension text,
    promo text DEFAULT NULL,
    max_rows integer DEFAULT 10)
    RETURNS TABLE (value text, uses bigint, lines bigint, discount_base numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted bigint := CASE WHEN promo IS NOT NULL THEN iaros.promo_find(promo) END;
BEGIN
    PERFORM iaros.install_check();
    IF dimension IS NULL OR dimension NOT IN ('route', 'departure', 'booking_day', 'fare_class', 'cabin', 'product') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('dimension "%s" is not known', coalesce(dimension, '(NULL)')),
            HINT = 'It is one of route, departure, booking_day, fare_class, cabin, product.';
    END IF;
    RETURN QUERY
        SELECT v.value, count(DISTINCT (u.redemption_id, u.promo_id)), count(*),
            iaros.money_round(sum((d ->> 'discount')::numeric * u.discount_base / nullif(u.discount, 0)), iaros.setting_get('base_currency'))
        FROM iaros.promo_use u
        JOIN iaros.promo_redemption r ON r.customer_id = u.customer_id AND r.redemption_id = u.redemption_id
        CROSS JOIN LATERAL jsonb_array_elements(r.result -> 'promotions') AS x
        CROSS JOIN LATERAL jsonb_array_elements(x -> 'lines') AS d
        CROSS JOIN LATERAL (SELECT l FROM jsonb_array_elements(r.cart -> 'lines') AS l WHERE l ->> 'id' = d ->> 'id') AS c
        CROSS JOIN LATERAL (SELECT CASE dimension
            WHEN 'product' THEN l ->> 'product'
            WHEN 'booking_day' THEN (r.redeemed_at AT TIME ZONE iaros.setting_get('brand_time_zone'))::date::text
            WHEN 'departure' THEN left(l #>> '{attributes,departure}', 10)
            ELSE l #>> ARRAY['attributes', dimension] END AS value) AS v
        WHERE u.counted AND (x ->> 'id')::bigint = u.promo_id
          AND (wanted IS NULL OR u.promo_id = wanted)
        GROUP BY v.value
        ORDER BY 2 DESC, 4 DESC NULLS LAST, v.value LIMIT max_rows;
END $$;
COMMENT ON FUNCTION @extschema@.promo_usage_by(text, text, integer) IS
'Returns on what a promotion (NULL: all) is used most: by route, departure (day), booking_day (in brand_time_zone), fare_class, cabin or product of the lines that it took something off, with how many uses and lines that are and the discount on them in the base currency. value NULL: lines without one. Errors: 22023 another dimension, 42704 promotion that does not exist. O(uses).';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.promo_install_redemption()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.promo_counter (
        promo_limit_id bigint NOT NULL REFERENCES iaros.promo_limit ON DELETE CASCADE,
        code text NOT NULL,
        period_start date NOT NULL,
        slot integer NOT NULL,
        value numeric(20,4) NOT NULL CHECK (value >= 0),
        capacity numeric(20,4) NOT NULL,
        CONSTRAINT promo_counter_pkey PRIMARY KEY (promo_limit_id, code, period_start, slot)
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE iaros.promo_counter IS
        'What was counted for limits of all uses (code empty) and of codes. Each counter is parted into slots with a share of the maximum, so that sessions need not wait for each other. Written by promo_commit(), promo_rollback(), promo_expire() and when a limit changes.';

    CREATE TABLE iaros.promo_customer_counter (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        promo_limit_id bigint NOT NULL,
        booking_id bigint NOT NULL,
        period_start date NOT NULL,
        value numeric(20,4) NOT NULL CHECK (value >= 0),
        PRIMARY KEY (customer_id, promo_limit_id, booking_id, period_start)
    );
    COMMENT ON TABLE iaros.promo_customer_counter IS
        'What was counted for limits of customers (booking_id 0) and of bookings. Written by promo_commit(), promo_rollback(), promo_expire() and when a limit changes; rows go with their limit.';
    CREATE INDEX promo_customer_counter_limit ON iaros.promo_customer_counter (promo_limit_id);

    CREATE SEQUENCE iaros.promo_redemption_id_seq;
    CREATE TABLE iaros.promo_redemption (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        redemption_id bigint NOT NULL DEFAULT nextval('iaros.promo_redemption_id_seq'),
        idempotency_key text NOT NULL CHECK (idempotency_key <> '' AND length(idempotency_key) <= 200),
        state iaros.promo_state NOT NULL,
        currency char(3) NOT NULL,
        amount numeric(16,4) NOT NULL,
        discount numeric(16,4) NOT NULL,
        booking_id bigint,
        redeemed_at timestamptz NOT NULL,
        reserved_until timestamptz,
        codes text[] NOT NULL,
        request bigint NOT NULL,
        cart jsonb NOT NULL,
        promotions jsonb NOT NULL,
        policy jsonb NOT NULL,
        answers jsonb NOT NULL,
        result jsonb NOT NULL,
        PRIMARY KEY (customer_id, redemption_id),
        FOREIGN KEY (customer_id, booking_id) REFERENCES iaros.booking ON DELETE SET NULL (booking_id),
        CONSTRAINT promo_redemption_reserved CHECK ((state = 'reserved') <= (reserved_until IS NOT NULL)),
        CONSTRAINT promo_redemption_discount CHECK (discount BETWEEN 0 AND amount),
        CONSTRAINT promo_redemption_money CHECK (iaros.money_check(amount, currency) AND iaros.money_check(discount, currency))
    );
    COMMENT ON TABLE iaros.promo_redemption IS
        'Ledger of purchases that promotions were used on, written by promo_redeem(), promo_reserve(), promo_release() and promo_rollback(). Rows go with their customer. A redemption follows its booking to another customer, and stays, without booking_id, when the booking is deleted.';
    COMMENT ON COLUMN iaros.promo_redemption.amount IS 'Before discount; as the discount, of what has not been returned.';
    COMMENT ON COLUMN iaros.promo_redemption.request IS 'Hash of what was asked for, so that another question with the same key is noticed.';
    COMMENT ON COLUMN iaros.promo_redemption.cart IS 'What was bought and has not been returned.';
    COMMENT ON COLUMN iaros.promo_redemption.promotions IS 'The promotions that were used, as they were then.';
    COMMENT ON COLUMN iaros.promo_redemption.answers IS 'What became of the codes.';
    COMMENT ON COLUMN iaros.promo_redemption.result IS 'What each line cost and each promotion took off.';
    CREATE UNIQUE INDEX promo_redemption_once ON iaros.promo_redemption (customer_id, idempotency_key) WHERE state <> 'released';
    CREATE INDEX promo_redemption_booking ON iaros.promo_redemption (customer_id, booking_id) WHERE booking_id IS NOT NULL;
    CREATE INDEX promo_redemption_due ON iaros.promo_redemption (reserved_until) WHERE state = 'reserved';
    CREATE TRIGGER promo_redemption_guard
        BEFORE UPDATE ON iaros.promo_redemption
        -- But for what becomes of it, and of its booking.
        FOR EACH ROW WHEN ((NEW.redemption_id, NEW.idempotency_key, NEW.currency, NEW.codes, NEW.request, NEW.promotions, NEW.policy)
                IS DISTINCT FROM (OLD.redemption_id, OLD.idempotency_key, OLD.currency, OLD.codes, OLD.request, OLD.promotions, OLD.policy)
            OR NEW.amount > OLD.amount
            OR (NEW.state, OLD.state) IN (('reserved', 'redeemed'), ('reserved', 'returned'), ('reserved', 'released'),
                ('redeemed', 'returned'), ('redeemed', 'released'), ('released', 'redeemed'), ('released', 'returned'),
                ('returned', 'reserved'), ('returned', 'released'))
            OR (NEW.state = OLD.state AND OLD.state IN ('released', 'returned') AND (NEW.amount, NEW.discount, NEW.result) IS DISTINCT FROM (OLD.amount, OLD.discount, OLD.result))
            OR NEW.booking_id <> OLD.booking_id
            OR (OLD.booking_id IS NULL AND NEW.booking_id IS NOT NULL AND OLD.state <> 'reserved')
            OR (NEW.customer_id <> OLD.customer_id AND (NEW.booking_id IS NULL OR OLD.booking_id IS NULL)))
        EXECUTE FUNCTION iaros.ledger_guard();

    CREATE TABLE iaros.promo_use (
        customer_id bigint NOT NULL,
        redemption_id bigint NOT NULL,
        promo_id bigint NOT NULL,
        code iaros.promo_code,
        discount numeric(16,4) NOT NULL,
        points bigint NOT NULL,
        discount_base numeric(16,4) NOT NULL,
        amount_base numeric(16,4) NOT NULL,
        counted boolean NOT NULL DEFAULT true,
        PRIMARY KEY (customer_id, redemption_id, promo_id),
        FOREIGN KEY (customer_id, redemption_id) REFERENCES iaros.promo_redemption ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.promo_use IS
        'The promotions of each redemption. Written with it. promo_keep() keeps the promotions: a foreign key would write to the row of a promotion with every use of it.';
    COMMENT ON COLUMN iaros.promo_use.code IS 'The coupon that was given; NULL for the promotion''s own code and for an automatic promotion.';
    COMMENT ON COLUMN iaros.promo_use.amount_base IS 'What was bought, before discount, in the base currency.';
    COMMENT ON COLUMN iaros.promo_use.counted IS 'Counts for limits and usage; false once released or returned, unless the use was kept.';
    CREATE INDEX promo_use_promo ON iaros.promo_use (promo_id);
    CREATE INDEX promo_use_redemption ON iaros.promo_use (redemption_id);

    CREATE TABLE iaros.promo_return (
        customer_id bigint NOT NULL,
        redemption_id bigint NOT NULL,
        return_key text NOT NULL CHECK (return_key <> '' AND length(return_key) <= 200),
        lines jsonb NOT NULL,
        refund numeric(16,4) NOT NULL CHECK (refund >= 0),
        kept boolean NOT NULL,
        reason text,
        returned_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, redemption_id, return_key),
        FOREIGN KEY (customer_id, redemption_id) REFERENCES iaros.promo_redemption ON UPDATE CASCADE ON DELETE CASCADE
    );
    COMMENT ON TABLE iaros.promo_return IS
        'Ledger of what was returned of redemptions, written by promo_rollback(). Takes new rows only.';
    COMMENT ON COLUMN iaros.promo_return.kept IS 'The uses were not given back.';
    CREATE TRIGGER promo_return_guard
        BEFORE UPDATE ON iaros.promo_return
        FOR EACH ROW WHEN ((NEW.redemption_id, NEW.return_key, NEW.lines, NEW.refund, NEW.kept, NEW.returned_at)
            IS DISTINCT FROM (OLD.redemption_id, OLD.return_key, OLD.lines, OLD.refund, OLD.kept, OLD.returned_at))
        EXECUTE FUNCTION iaros.ledger_guard();

    CREATE SEQUENCE iaros.promo_past_id_seq;
    CREATE TABLE iaros.promo_past (
        promo_past_id bigint PRIMARY KEY DEFAULT nextval('iaros.promo_past_id_seq'),
        promo_id bigint NOT NULL,
        code iaros.promo_code,
        used_at timestamptz NOT NULL,
        discount_base numeric(16,4) NOT NULL,
        amount_base numeric(16,4) NOT NULL
    );
    COMMENT ON TABLE iaros.promo_past IS
        'Uses of promotions by customers who were deleted since, without the person, so that limits still count them. Written by a trigger.';
    COMMENT ON COLUMN iaros.promo_past.code IS 'The coupon, unless it was for one customer.';
    CREATE INDEX promo_past_promo ON iaros.promo_past (promo_id);

    CREATE VIEW iaros.promo_count AS
    SELECT u.customer_id, u.redemption_id, u.promo_id, l.promo_limit_id, l.scope,
        CASE WHEN l.scope = 'booking' THEN r.booking_id ELSE 0 END AS booking_id,
        CASE WHEN l.scope = 'code' THEN iaros.promo_code_normal(u.code) ELSE '' END AS code,
        iaros.promo_period_start(l.period, r.redeemed_at, iaros.setting_get('brand_time_zone')) AS period_start,
        CASE l.measure WHEN 'uses' THEN 1 WHEN 'discount' THEN u.discount_base ELSE u.amount_base END AS need
    FROM iaros.promo_use u
    JOIN iaros.promo_redemption r ON r.customer_id = u.customer_id AND r.redemption_id = u.redemption_id
    JOIN iaros.promo_limit l ON l.promo_id = u.promo_id
    WHERE u.counted AND (l.scope <> 'booking' OR r.booking_id IS NOT NULL) AND (l.scope <> 'code' OR u.code IS NOT NULL)
    UNION ALL
    SELECT NULL, NULL, p.promo_id, l.promo_limit_id, l.scope, 0,
        CASE WHEN l.scope = 'code' THEN iaros.promo_code_normal(p.code) ELSE '' END,
        iaros.promo_period_start(l.period, p.used_at, iaros.setting_get('brand_time_zone')),
        CASE l.measure WHEN 'uses' THEN 1 WHEN 'discount' THEN p.discount_base ELSE p.amount_base END
    FROM iaros.promo_past p
    JOIN iaros.promo_limit l ON l.promo_id = p.promo_id
    WHERE l.scope = 'total' OR (l.scope = 'code' AND p.code IS NOT NULL);
    COMMENT ON VIEW iaros.promo_count IS
        'What each use counts for which limit: the one definition behind all counters.';

    CREATE TRIGGER promo_redemption_follow
        AFTER UPDATE ON iaros.promo_redemption
        FOR EACH ROW WHEN (NEW.customer_id <> OLD.customer_id OR (OLD.booking_id IS NOT NULL AND NEW.booking_id IS NULL))
        EXECUTE FUNCTION iaros.promo_follow();
    CALL iaros.promo_install_gates();
    PERFORM iaros.job_define('promotions', '* * * * *', 'promo_run', interval '10 minutes', true,
        'Takes back reservations of promotions that timed out, and counters of periods that are over.');
END $install$;
COMMENT ON PROCEDURE @extschema@.promo_install_redemption() IS
'Makes counters, ledger and gates of redemptions. Called by promo_install().';
