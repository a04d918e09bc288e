-- promo: promotions, what restricts them, and their limits.

CREATE TYPE @extschema@.promo_limit_scope AS ENUM ('total', 'code', 'customer', 'booking');
COMMENT ON TYPE @extschema@.promo_limit_scope IS
'What a limit of a promotion counts together: all its uses, those of one coupon (code), of one customer, or of one booking.';

CREATE TYPE @extschema@.promo_limit_measure AS ENUM ('uses', 'discount', 'revenue');
COMMENT ON TYPE @extschema@.promo_limit_measure IS
'What a limit of a promotion counts: how often it is used, what it takes off, or the amounts before discount of the purchases it is used in, both in the base currency.';

CREATE TYPE @extschema@.promo_period AS ENUM ('ever', 'day', 'week', 'month', 'year');
COMMENT ON TYPE @extschema@.promo_period IS
'Period of a limit of a promotion: ever, or each day, week (from Monday), month or year of the calendar in brand_time_zone.';

CREATE TYPE @extschema@.promo_state AS ENUM ('reserved', 'released', 'redeemed', 'returned');
COMMENT ON TYPE @extschema@.promo_state IS
'State of a redemption of promotions: reserved before the payment; released, or timed out, without one; redeemed; returned, all of it.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_period_start(period @extschema@.promo_period, at timestamptz, zone text)
    RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE period
        WHEN 'day' THEN (at AT TIME ZONE zone)::date
        WHEN 'week' THEN date_trunc('week', at AT TIME ZONE zone)::date
        WHEN 'month' THEN date_trunc('month', at AT TIME ZONE zone)::date
        WHEN 'year' THEN date_trunc('year', at AT TIME ZONE zone)::date
        ELSE '-infinity'::date END;
COMMENT ON FUNCTION @extschema@.promo_period_start(@extschema@.promo_period, timestamptz, text) IS
'Returns the first day of the period that a time lies in, in a time zone; -infinity for ever. NULL gives NULL. Error: 22023 time zone that does not exist. Constant time; inlined.';

CREATE FUNCTION @extschema@.promo_discount_text(discount jsonb, currency text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    kind text := discount ->> 'kind';
    percentage text := trim_scale((discount ->> 'percentage')::numeric);
    money text := concat_ws(' ', CASE WHEN currency IS NULL THEN trim_scale((discount ->> 'value')::numeric)
        ELSE iaros.money_round((discount ->> 'value')::numeric, currency) END, currency);
    units text := coalesce(discount ->> 'units', '1');
BEGIN
    RETURN CASE kind
        WHEN 'percentage' THEN trim_scale((discount ->> 'value')::numeric) || ' %'
        WHEN 'fixed_amount' THEN money
        WHEN 'fixed_price' THEN 'for ' || money
        WHEN 'per_unit' THEN money || ' each'
        WHEN 'free' THEN units || ' free'
        WHEN 'cheapest' THEN concat_ws(' ', coalesce(percentage, '100'), '% off the cheapest', nullif(units, '1'))
        WHEN 'dearest' THEN concat_ws(' ', coalesce(percentage, '100'), '% off the dearest', nullif(units, '1'))
        WHEN 'buy_x_get_y' THEN format('buy %s, get %s', discount ->> 'buy', discount ->> 'get')
            || CASE WHEN percentage <> '100' THEN format(' at %s %% off', percentage) ELSE '' END
        WHEN 'points' THEN concat_ws(' ', discount ->> 'points', 'points', 'for each ' || (discount ->> 'per')) END;
END $$;
COMMENT ON FUNCTION @extschema@.promo_discount_text(jsonb, text) IS
'Returns a discount in a few words: 20 %, 50.00 EUR, for 99.00 EUR, buy 2, get 1. NULL for a tiered one, which has no single figure, for another kind and for NULL. Errors: 22P02 values that are no numbers, 22023 currency not in ISO 4217.';

CREATE FUNCTION @extschema@.promo_reason_text(reason jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    what text := reason ->> 'reason';
    names text := (SELECT string_agg(x, ', ') FROM jsonb_path_query(reason, 'strict $.* ? (@.type() == "array")[*]') AS q(v), LATERAL (SELECT v #>> '{}') AS s(x)
                   WHERE jsonb_typeof(v) IN ('string', 'number'));
    within text := concat(
        CASE reason ->> 'scope' WHEN 'code' THEN ' with one coupon' WHEN 'customer' THEN ' by one customer' WHEN 'booking' THEN ' on one booking' END,
        ' a ' || nullif(reason ->> 'period', 'ever'));
    units text := concat(reason ->> 'missing', ' unit', CASE WHEN reason ->> 'missing' <> '1' THEN 's' END);
BEGIN
    RETURN CASE what
        WHEN 'unknown_code' THEN 'there is no promotion of this code'
        WHEN 'inactive' THEN 'it was taken out of use'
        WHEN 'other_customer' THEN 'the code was given to somebody else'
        WHEN 'same_promotion' THEN 'another of the codes is of the same promotion'
        WHEN 'not_started' THEN format('it is valid from %s', reason ->> 'from')
        WHEN 'expired' THEN format('it was valid until %s', reason ->> 'to')
        WHEN 'booking_weekday' THEN format('it is for purchases on days %s of the week (1 is Monday)', names)
        WHEN 'channel' THEN format('it is for purchases through %s', names)
        WHEN 'currency' THEN format('it is for purchases in %s', coalesce(reason ->> 'currency', names))
        WHEN 'segment' THEN format('it is for customers in %s', names)
        WHEN 'except_segment' THEN format('it is not for customers in %s', names)
        WHEN 'tier' THEN format('it is for members of tier %s', names)
        WHEN 'party' THEN format('it is for parties of %s', CASE
            WHEN reason #> '{party,max}' IS NULL THEN 'at least ' || (reason #>> '{party,min}')
            WHEN reason #> '{party,min}' IS NULL THEN 'at most ' || (reason #>> '{party,max}')
            WHEN reason #> '{party,min}' = reason #> '{party,max}' THEN reason #>> '{party,min}'
            ELSE concat(reason #>> '{party,min}', ' to ', reason #>> '{party,max}') END)
        WHEN 'first_booking' THEN 'it is for a first booking'
        WHEN 'limit' THEN CASE
            WHEN reason ->> 'measure' IS NULL THEN 'it is used up'
            WHEN reason ->> 'measure' = 'uses' THEN format('it can be used %s%s, and was used %s',
                CASE reason ->> 'maximum' WHEN '1' THEN 'once' ELSE reason ->> 'maximum' || ' times' END, within,
                CASE reason ->> 'used' WHEN '1' THEN 'once' ELSE reason ->> 'used' || ' times' END)
            ELSE format('its budget of %s of %s%s is used up to %s', reason ->> 'maximum', reason ->> 'measure', within, reason ->> 'used') END
        WHEN 'route' THEN format('it is for routes %s', names)
        WHEN 'except_route' THEN format('it is not for routes %s', names)
        WHEN 'fare_class' THEN format('it is for fare classes %s', names)
        WHEN 'except_fare_class' THEN format('it is not for fare classes %s', names)
        WHEN 'cabin' THEN format('it is for cabins %s', names)
        WHEN 'except_cabin' THEN format('it is not for cabins %s', names)
        WHEN 'travel' THEN 'it is for travel ' || concat_ws(' and ', 'from ' || (reason #>> '{travel,from}'), 'before ' || (reason #>> '{travel,to}'))
        WHEN 'blackout' THEN 'it is not for travel on the days that are blacked out'
        WHEN 'weekday' THEN format('it is for travel on days %s of the week (1 is Monday)', names)
        WHEN 'no_line' THEN 'it applies to nothing in the cart'
        WHEN 'min_purchase' THEN format('add %s', reason ->> 'missing')
        WHEN 'min_quantity' THEN format('add %s', units)
        WHEN 'units' THEN format('add %s', units)
        WHEN 'band' THEN format('add %s to reach its first band', reason ->> 'missing')
        WHEN 'beyond_bands' THEN 'the cart is beyond its last band'
        WHEN 'excluded_by' THEN format('it cannot be combined with promotions %s',
            (SELECT string_agg(v, ', ') FROM jsonb_array_elements_text(coalesce(nullif(reason -> 'codes', '[]'), reason -> 'promotions')) AS v))
        WHEN 'max_promotions' THEN format('at most %s promotions are combined', reason ->> 'limit')
        WHEN 'category' THEN format('at most %s of category %s are combined', reason ->> 'limit', reason ->> 'category')
        WHEN 'total_cap' THEN 'nothing more may be taken off the cart'
        WHEN 'too_many' THEN format('more than %s promotions apply, and it is not among the strongest', reason ->> 'limit')
        WHEN 'no_effect' THEN 'there is nothing left that it could take off'
        WHEN 'not_best' THEN format('with it, %s would be taken off', reason ->> 'with_it')
        ELSE what END;
END $$;
COMMENT ON FUNCTION @extschema@.promo_reason_text(jsonb) IS
'Returns an English sentence for a reason as promo_best_set() and promo_validate() give it; the name of a reason that is not known here. NULL gives NULL.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_find(promo text) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM iaros.install_check();
    SELECT p.promo_id INTO id FROM iaros.promo p WHERE p.code OPERATOR(iaros.=) promo::iaros.promo_code;
    IF id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('promotion "%s" does not exist', coalesce(left(promo, 64), '(NULL)')),
            HINT = 'List the promotions with SELECT * FROM iaros.promo_list(false).';
    END IF;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_find(text) IS
'Returns the promo_id of the promotion of a code. Errors: 42704 there is none, also for NULL, 22P02 a text that is no code.';

CREATE FUNCTION @extschema@.promo_moment(value text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN CASE WHEN value ~ 'T.*([Zz]|[+-][0-9][0-9]:[0-9][0-9])$' THEN value::timestamptz
        ELSE value::timestamp AT TIME ZONE iaros.setting_get('brand_time_zone') END;
END $$;
COMMENT ON FUNCTION @extschema@.promo_moment(text) IS
'Returns the time that a text of a definition names: as it says, or, where it has no offset, in brand_time_zone; a day is its midnight. NULL gives NULL. Errors: 22007, 22008 text that is no time.';

CREATE FUNCTION @extschema@.promo_create(code text, name text, definition jsonb)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    own text[] := '{applied,description,limits,offer,products,except_products}';
    kernel jsonb := definition - own;
    d jsonb := definition;
    id bigint;
    offer_number bigint;
BEGIN
    PERFORM iaros.install_check();
    -- Errors with their place, before the columns are made of it.
    IF jsonb_typeof(definition) IS DISTINCT FROM 'object' OR kernel ?| '{id,code,asked,refused}' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'the definition of a promotion is an object without id, code, asked and refused',
            HINT = 'Such as {"discount": {"kind": "percentage", "value": 20}}.';
    END IF;
    PERFORM iaros.promo_check(kernel || '{"id": 1}');
    IF coalesce(jsonb_typeof(d -> 'products'), 'array') <> 'array' OR coalesce(jsonb_typeof(d -> 'except_products'), 'array') <> 'array' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'products and except_products of a promotion are lists',
            HINT = 'Such as ["bag", "seat"].';
    ELSIF d -> 'products' ?| iaros.promo_texts(d -> 'except_products') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a product is both in products and in except_products of a promotion',
            HINT = 'Where products are listed, all others are left out anyway.';
    END IF;
    IF EXISTS (SELECT FROM iaros.promo p WHERE p.code OPERATOR(iaros.=) promo_create.code::iaros.promo_code) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'unique_violation',
            MESSAGE = format('code %s is that of promotion "%s" already', promo_create.code::iaros.promo_code,
                (SELECT p.code FROM iaros.promo p WHERE p.code OPERATOR(iaros.=) promo_create.code::iaros.promo_code)),
            HINT = 'Codes are one however they are typed: 0 and O, 1, I and L. Take another, or change that promotion by UPDATE.';
    ELSIF coalesce(d ->> 'applied', 'code') <> ALL ('{code,coupon,automatic}'::text[]) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('applied "%s" is not known', left(d ->> 'applied', 64)),
            HINT = 'It is one of code, coupon, automatic.';
    END IF;
    IF d ? 'offer' THEN
        SELECT g.offer_id INTO offer_number FROM iaros.offer_get(d ->> 'offer') g;
    END IF;
    INSERT INTO iaros.promo (code, name, description, applied, offer_id, priority, discount, level, base, currency,
        min_purchase, min_quantity, min_of, applies_to, except_lines, stackable, combine_with, excludes, categories,
        valid, booking_weekdays, channels, currencies, segments, except_segments, tiers, party, first_booking,
        routes, except_routes, fare_classes, except_fare_classes, cabins, except_cabins, travel, blackout, weekdays)
    VALUES (promo_create.code::iaros.promo_code, promo_create.name, d ->> 'description', coalesce(d ->> 'applied', 'code'),
        offer_number, coalesce((d ->> 'priority')::integer, 100), d -> 'discount', d ->> 'level', d ->> 'base', d ->> 'currency',
        (d ->> 'min_purchase')::numeric, (d ->> 'min_quantity')::bigint, d ->> 'min_of', d -> 'applies_to', d -> 'except',
        coalesce((d ->> 'stackable')::boolean, NOT d ? 'combine_with'),
        iaros.promo_texts(d -> 'combine_with')::iaros.promo_code[], iaros.promo_texts(d -> 'excludes')::iaros.promo_code[],
        iaros.promo_texts(d -> 'categories'),
        tstzrange(iaros.promo_moment(d #>> '{valid,from}'), iaros.promo_moment(d #>> '{valid,to}')),
        iaros.promo_texts(d -> 'booking_weekdays')::smallint[], iaros.promo_texts(d -> 'channels'),
        iaros.promo_texts(d -> 'currencies'), iaros.promo_texts(d -> 'segments'), iaros.promo_texts(d -> 'except_segments'),
        iaros.promo_texts(d -> 'tiers'),
        CASE WHEN d ? 'party' THEN int4range((d #>> '{party,min}')::integer, (d #>> '{party,max}')::integer, '[]') END,
        coalesce((d ->> 'first_booking')::boolean, false),
        iaros.promo_texts(d -> 'routes'), iaros.promo_texts(d -> 'except_routes'),
        iaros.promo_texts(d -> 'fare_classes'), iaros.promo_texts(d -> 'except_fare_classes'),
        iaros.promo_texts(d -> 'cabins')::iaros.cabin[], iaros.promo_texts(d -> 'except_cabins')::iaros.cabin[],
        CASE WHEN d ? 'travel' THEN daterange((d #>> '{travel,from}')::date, (d #>> '{travel,to}')::date) END,
        (SELECT range_agg(daterange((w ->> 'from')::date, (w ->> 'to')::date)) FROM jsonb_array_elements(d -> 'blackout') AS w),
        iaros.promo_texts(d -> 'weekdays')::smallint[])
    RETURNING promo_id INTO id;
    IF '[]' IN (d -> 'products', d -> 'except_products') THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('list "products" or "except_products" of promotion %s has no values', code),
            HINT = 'Leave it out for no restriction.';
    END IF;
    INSERT INTO iaros.promo_product (promo_id, product, excluded)
    SELECT DISTINCT id, p, false FROM unnest(iaros.promo_texts(d -> 'products')) AS p
    UNION ALL
    SELECT DISTINCT id, p, true FROM unnest(iaros.promo_texts(d -> 'except_products')) AS p;
    INSERT INTO iaros.promo_limit (promo_id, scope, measure, period, maximum)
    SELECT id, l.scope, l.measure, l.period, l.maximum FROM iaros.promo_limits(d -> 'limits') AS l;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_create(text, text, jsonb) IS
'Adds a promotion and returns its promo_id. definition: the keys of a promotion of promo_best_set() but id and code, codes of others in combine_with and excludes; applied (code, the default: by its code or one of its coupons; coupon: by coupons only; automatic: without code); limits, a list of scope, measure (uses), period (ever), maximum; products and except_products, lists of any length; offer, the code of the offer it belongs to; description. Times without offset are in brand_time_zone. Errors: 22023 and 22003 what promo_best_set() does not take, with its place; 23505 code is taken; 23514 value outside its range, list without values, amounts without currency; 23503 channel, segment, tier, cabin, place or currency that does not exist; 42704 offer that does not exist; 22P02 code that is none.';

CREATE FUNCTION @extschema@.promo_limits(limits jsonb)
    RETURNS TABLE (scope @extschema@.promo_limit_scope, measure @extschema@.promo_limit_measure,
        period @extschema@.promo_period, maximum numeric)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    l jsonb;
    wrong text;
BEGIN
    IF jsonb_typeof(limits) <> 'array' THEN
        wrong := 'limits are a list';
    ELSE
        FOR l IN SELECT e FROM jsonb_array_elements(limits) AS e LOOP
            wrong := CASE
                WHEN jsonb_typeof(l) <> 'object' THEN 'a limit is an object'
                WHEN l - '{scope,measure,period,maximum}'::text[] <> '{}' THEN format('a limit has no key "%s"',
                    left((SELECT k FROM jsonb_object_keys(l - '{scope,measure,period,maximum}'::text[]) AS k LIMIT 1), 64))
                WHEN NOT coalesce(l ->> 'scope', '') = ANY (enum_range(NULL::iaros.promo_limit_scope)::text[])
                    THEN format('scope "%s" of a limit is not known', coalesce(left(l ->> 'scope', 64), '(NULL)'))
                WHEN NOT coalesce(l ->> 'measure', 'uses') = ANY (enum_range(NULL::iaros.promo_limit_measure)::text[])
                    THEN format('measure "%s" of a limit is not known', left(l ->> 'measure', 64))
                WHEN NOT coalesce(l ->> 'period', 'ever') = ANY (enum_range(NULL::iaros.promo_period)::text[])
                    THEN format('period "%s" of a limit is not known', left(l ->> 'period', 64))
                WHEN jsonb_typeof(l -> 'maximum') IS DISTINCT FROM 'number' OR (l ->> 'maximum')::numeric <= 0 OR (l ->> 'maximum')::numeric >= 1e12
                    OR coalesce(l ->> 'measure', 'uses') = 'uses' AND (l ->> 'maximum')::numeric <> trunc((l ->> 'maximum')::numeric)
                    THEN format('maximum "%s" of a limit is not a number of uses, or an amount, from 1 to below 1,000,000,000,000',
                        coalesce(left(l ->> 'maximum', 64), '(NULL)'))
                WHEN (SELECT count(*) > 1 FROM jsonb_array_elements(limits) AS m
                      WHERE (m ->> 'scope', coalesce(m ->> 'measure', 'uses'), coalesce(m ->> 'period', 'ever'))
                          = (l ->> 'scope', coalesce(l ->> 'measure', 'uses'), coalesce(l ->> 'period', 'ever')))
                    THEN 'two limits are of the same scope, measure and period' END;
            EXIT WHEN wrong IS NOT NULL;
            scope := l ->> 'scope';
            measure := coalesce(l ->> 'measure', 'uses');
            period := coalesce(l ->> 'period', 'ever');
            maximum := l ->> 'maximum';
            RETURN NEXT;
        END LOOP;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = wrong,
            DETAIL = 'At promotion.limits.',
            HINT = 'Such as [{"scope": "total", "maximum": 10000}, {"scope": "customer", "period": "month", "maximum": 2}].';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.promo_limits(jsonb) IS
'Returns the limits of a definition of promo_create(), a row each. NULL gives no row. Error: 22023 what is no limit.';

CREATE FUNCTION @extschema@.promo_texts(list jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(array_agg(v ORDER BY n), '{}') FROM jsonb_array_elements_text(list) WITH ORDINALITY AS u(v, n) $$;
COMMENT ON FUNCTION @extschema@.promo_texts(jsonb) IS
'Returns the elements of a JSON list as texts. NULL gives NULL. Error: 22023 JSON that is no list.';

CREATE FUNCTION @extschema@.promo_list(
    only_valid boolean DEFAULT true,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (promo_id bigint, code text, name text, applied text, discount jsonb, discount_text text,
        currency text, valid tstzrange, limits jsonb, uses bigint, offer_code text, is_active boolean)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT p.promo_id, p.code::text, p.name, p.applied, p.discount,
            iaros.promo_discount_text(p.discount, p.currency::text), p.currency::text, p.valid,
            (SELECT jsonb_agg(jsonb_build_object('scope', l.scope, 'measure', l.measure, 'period', l.period,
                 'maximum', trim_scale(l.maximum)) ORDER BY l.promo_limit_id)
             FROM iaros.promo_limit l WHERE l.promo_id = p.promo_id),
            (SELECT count(*) FROM iaros.promo_use u WHERE u.promo_id = p.promo_id AND u.counted),
            o.code, p.is_active
        FROM iaros.promo p
        LEFT JOIN iaros.offer o ON o.offer_id = p.offer_id
        WHERE NOT only_valid OR (p.is_active AND p.valid @> as_of)
        ORDER BY p.promo_id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_list(boolean, timestamptz) IS
'Returns the promotions that are active and valid at a time, or all of them, with their limits and how often each is used by customers who are still there. NULL gives no row.';

CREATE FUNCTION @extschema@.promo_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'error'::iaros.alert_severity, format('limit %s of promotion %s', c.promo_limit_id, p.code),
            format('its counters say %s, its uses %s', trim_scale(c.counted), trim_scale(c.used)),
            'Count it again: UPDATE iaros.promo_limit SET maximum = maximum WHERE promo_limit_id = '
                || c.promo_limit_id || '.'
        FROM iaros.promo_limit_check() c
        JOIN iaros.promo_limit l ON l.promo_limit_id = c.promo_limit_id
        JOIN iaros.promo p ON p.promo_id = l.promo_id ORDER BY c.promo_limit_id;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, format('promotion %s', p.code),
            format('its category "%s" does not exist, so that it has no effect', c),
            'Add it to iaros.promo_category, or take it out of the promotion.'
        FROM iaros.promo p, unnest(p.categories) AS c
        WHERE p.is_active AND NOT EXISTS (SELECT FROM iaros.promo_category k WHERE k.category = c)
        UNION ALL
        SELECT 'warning', format('promotion %s', p.code),
            format('it names promotion %s, which does not exist', c),
            'Correct combine_with or excludes.'
        FROM iaros.promo p, unnest(p.combine_with || p.excludes) AS c
        WHERE p.is_active AND NOT EXISTS (SELECT FROM iaros.promo k WHERE k.code OPERATOR(iaros.=) c)
        ORDER BY 2, 3;
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'reservations of promotions',
            format('%s have timed out and still count, the first since %s', count(*), min(r.reserved_until)),
            'Look at job iaros-promotions, or run SELECT iaros.promo_expire().'
        FROM iaros.promo_redemption r
        WHERE r.state = 'reserved' AND r.reserved_until < now() - interval '1 hour'
        HAVING count(*) > 0;
END $$;
COMMENT ON FUNCTION @extschema@.promo_doctor() IS
'Findings of doctor() about promotions: categories and promotions that they name and that do not exist, counters that differ from the uses, reservations that timed out more than an hour ago and were not taken back.';

-- Schema ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_window(span tstzrange) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT nullif(jsonb_strip_nulls(jsonb_build_object(
        'from', CASE WHEN isfinite(lower(span)) THEN to_char(lower(span) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
        'to', CASE WHEN isfinite(upper(span)) THEN to_char(upper(span) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END)), '{}') $$;
COMMENT ON FUNCTION @extschema@.promo_window(tstzrange) IS
'Returns a window of time as promo_best_set() takes it: from and to in UTC. NULL for one without ends and for NULL.';

CREATE FUNCTION @extschema@.promo_window(span daterange) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT nullif(jsonb_strip_nulls(jsonb_build_object(
        'from', CASE WHEN isfinite(lower(span)) THEN to_char(lower(span), 'YYYY-MM-DD') END,
        'to', CASE WHEN isfinite(upper(span)) THEN to_char(upper(span), 'YYYY-MM-DD') END)), '{}') $$;
COMMENT ON FUNCTION @extschema@.promo_window(daterange) IS
'Returns a window of days as promo_best_set() takes it: from and to, which is not in it. NULL for one without ends and for NULL.';

CREATE FUNCTION @extschema@.promo_place_known(place text) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN EXISTS (SELECT FROM iaros.airport a WHERE a.airport = place OR a.city = place)
        OR EXISTS (SELECT FROM iaros.country c WHERE place IN (c.country, c.name, c.region, c.continent));
END $$;
COMMENT ON FUNCTION @extschema@.promo_place_known(text) IS
'Tells whether a text is an airport, a city, a country by code or name, a region or a continent. NULL gives NULL.';

CREATE FUNCTION @extschema@.promo_prepare() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wrong text;
    of_what text;
BEGIN
    SELECT l.name INTO of_what FROM (VALUES
        ('channels', NEW.channels), ('currencies', NEW.currencies), ('segments', NEW.segments), ('except_segments', NEW.except_segments),
        ('tiers', NEW.tiers), ('routes', NEW.routes), ('except_routes', NEW.except_routes), ('fare_classes', NEW.fare_classes),
        ('except_fare_classes', NEW.except_fare_classes), ('cabins', NEW.cabins::text[]), ('except_cabins', NEW.except_cabins::text[]),
        ('categories', NEW.categories), ('combine_with', NEW.combine_with::text[]), ('excludes', NEW.excludes::text[]),
        ('booking_weekdays', NEW.booking_weekdays::text[]), ('weekdays', NEW.weekdays::text[])) AS l(name, list)
    WHERE array_ndims(l.list) IS DISTINCT FROM 1 AND l.list IS NOT NULL AND l.name <> 'combine_with'
        OR array_position(l.list, NULL) IS NOT NULL OR array_ndims(l.list) > 1;
    IF of_what IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('list "%s" of promotion %s has no values, or NULL among them', of_what, NEW.code),
            HINT = 'Leave it NULL for no restriction.';
    END IF;
    SELECT x.kind, x.value INTO of_what, wrong FROM (
        SELECT 'sales channel' AS kind, v AS value FROM unnest(NEW.channels) AS v WHERE NOT EXISTS (SELECT FROM iaros.sales_channel t WHERE t.sales_channel = v)
        UNION ALL
        SELECT 'currency', v FROM unnest(NEW.currencies) AS v WHERE NOT EXISTS (SELECT FROM iaros.currency t WHERE t.currency = v)
        UNION ALL
        SELECT 'segment', v FROM unnest(NEW.segments || NEW.except_segments) AS v WHERE NOT EXISTS (SELECT FROM iaros.segment t WHERE t.name = v)
        UNION ALL
        SELECT 'tier', v FROM unnest(NEW.tiers) AS v WHERE NOT EXISTS (SELECT FROM iaros.loyalty_tier t WHERE t.tier = v)
        UNION ALL
        SELECT 'place', v FROM (
            SELECT DISTINCT unnest(iaros.promo_route_places(NEW.routes || NEW.except_routes))) AS q(v)
        WHERE v <> '*' AND NOT iaros.promo_place_known(v)
          AND NOT EXISTS (SELECT FROM iaros.promo_zone z WHERE z.zone = v)) AS x(kind, value)
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('%s "%s" of promotion %s does not exist', of_what, left(wrong, 64), NEW.code),
            HINT = CASE of_what
                WHEN 'place' THEN 'Places are airports, cities, countries by code or name, regions and continents of iaros.airport and iaros.country, and zones of iaros.promo_zone.'
                WHEN 'currency' THEN 'List the currencies with SELECT * FROM iaros.currency.'
                ELSE format('Look into iaros.%s.', CASE of_what WHEN 'tier' THEN 'loyalty_tier' ELSE replace(of_what, ' ', '_') END) END;
    END IF;
    IF NEW.currency IS NULL AND (NEW.min_purchase IS NOT NULL OR NEW.discount ? 'cap' OR NEW.discount ? 'per'
        OR NEW.discount ->> 'kind' IN ('fixed_amount', 'fixed_price', 'per_unit')
        OR NEW.discount ->> 'kind' = 'tiered' AND (NEW.discount ->> 'by' IS DISTINCT FROM 'quantity'
            OR jsonb_path_exists(NEW.discount, '$.bands[*].amount'))) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            MESSAGE = format('promotion %s has amounts of money and no currency', NEW.code),
            HINT = 'Give its currency, such as EUR; it is for purchases in that one then.';
    END IF;
    IF EXISTS (SELECT FROM iaros.promo_coupon c WHERE c.code OPERATOR(iaros.=) NEW.code) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'unique_violation',
            MESSAGE = format('code %s is a coupon already', NEW.code),
            HINT = 'Take another code.';
    END IF;
    NEW.definition := jsonb_strip_nulls(jsonb_build_object(
        'id', NEW.promo_id, 'code', NEW.code::text, 'priority', NEW.priority,
        'discount', NEW.discount, 'level', NEW.level, 'base', NEW.base, 'currency', NEW.currency,
        'min_purchase', trim_scale(NEW.min_purchase), 'min_quantity', NEW.min_quantity, 'min_of', NEW.min_of,
        'applies_to', NEW.applies_to, 'except', NEW.except_lines, 'categories', NEW.categories,
        'stackable', CASE WHEN NOT NEW.stackable THEN false END,
        'combine_with', to_jsonb(NEW.combine_with::text[]),
        'excludes', to_jsonb(NEW.excludes::text[]),
        'valid', iaros.promo_window(NEW.valid), 'booking_weekdays', NEW.booking_weekdays, 'channels', NEW.channels))
        || jsonb_strip_nulls(jsonb_build_object(
        'currencies', NEW.currencies, 'segments', NEW.segments, 'except_segments', NEW.except_segments, 'tiers', NEW.tiers,
        'party', CASE WHEN NEW.party IS NOT NULL THEN jsonb_build_object('min', lower(NEW.party), 'max', upper(NEW.party) - 1) END,
        'first_booking', nullif(NEW.first_booking, false), 'routes', NEW.routes, 'except_routes', NEW.except_routes,
        'fare_classes', NEW.fare_classes, 'except_fare_classes', NEW.except_fare_classes,
        'cabins', NEW.cabins, 'except_cabins', NEW.except_cabins,
        'travel', CASE WHEN NEW.travel IS NOT NULL THEN coalesce(iaros.promo_window(NEW.travel), '{}') END,
        'blackout', (SELECT jsonb_agg(coalesce(iaros.promo_window(w), '{}')) FROM unnest(NEW.blackout) AS w), 'weekdays', NEW.weekdays));
    NEW.route_keys := coalesce(iaros.promo_route_keys(NEW.routes), '{*}');
    -- The other end of each.
    NEW.route_ends := coalesce((
        SELECT array_agg(CASE WHEN k = places[2 * n - 1] THEN places[2 * n] ELSE places[2 * n - 1] END ORDER BY n)
        FROM unnest(NEW.route_keys) WITH ORDINALITY AS u(k, n), iaros.promo_route_places(NEW.routes) AS places
        WHERE places IS NOT NULL), '{*}');
    PERFORM iaros.promo_check(NEW.definition);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.promo_prepare() IS
'Trigger: refuses promotions that promo_best_set() would not take or that name what does not exist, and fills definition, route_keys and route_ends. Errors: those of promo_create().';

CREATE FUNCTION @extschema@.promo_segment_follow() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    UPDATE iaros.promo p
    SET segments = array_replace(p.segments, OLD.name, NEW.name),
        except_segments = array_replace(p.except_segments, OLD.name, NEW.name)
    WHERE OLD.name = ANY (p.segments || p.except_segments);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.promo_segment_follow() IS
'Trigger: promotions that name a segment follow when it is renamed.';

CREATE FUNCTION @extschema@.promo_gone() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    DELETE FROM iaros.promo_coupon c WHERE c.promo_id = OLD.promo_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.promo_gone() IS
'Trigger: the coupons of a promotion go with it. (One that was used cannot be deleted.)';

CREATE FUNCTION @extschema@.promo_zone_check() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT iaros.promo_place_known(NEW.place) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('place "%s" of zone "%s" does not exist', left(NEW.place, 64), left(NEW.zone, 64)),
            HINT = 'Places are airports, cities, countries by code or name, regions and continents of iaros.airport and iaros.country, one a row.';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION @extschema@.promo_zone_check() IS
'Trigger: refuses places of zones that are neither airport, city, country, region nor continent. Error: 23503.';

CREATE PROCEDURE @extschema@.promo_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('promo', 1) THEN
    PERFORM iaros.setting_define('promo_objective', 'text', 'customer',
        'What the best set of promotions is: customer, margin or priority, see promo_best_set().');
    PERFORM iaros.setting_define('promo_max_promotions', 'integer', '10',
        'Most promotions that are combined on one purchase.');
    PERFORM iaros.setting_define('promo_candidates', 'integer', '20',
        'Of the promotions that apply to a purchase only so many are looked at, 1 to 64: those whose code was given, then the strongest.');
    PERFORM iaros.setting_define('promo_total_cap_percentage', 'number', '100',
        'Most that all promotions together take off a purchase, in percent.');
    PERFORM iaros.setting_define('promo_point_value', 'number', '0',
        'What a point is worth when promotions are compared, in units of the currency of the purchase.');
    PERFORM iaros.setting_define('promo_reserve_minutes', 'integer', '15',
        'For how many minutes promo_reserve() holds a use where it is not told.');
    PERFORM iaros.setting_define('promo_slots', 'integer', '16',
        'Rows in which each limit of all uses of a promotion is counted, at most 1000; as many sessions can redeem at once without waiting.');

    CREATE TABLE iaros.promo_category (
        category text PRIMARY KEY CHECK (category <> '' AND octet_length(category) <= 1000),
        rank integer NOT NULL DEFAULT 0 CHECK (rank BETWEEN 0 AND 1000000),
        kind text NOT NULL DEFAULT 'plain' CHECK (kind IN ('plain', 'joint', 'exclusive')),
        maximum integer CHECK (maximum BETWEEN 1 AND 1000000)
    );
    COMMENT ON TABLE iaros.promo_category IS
        'Categories of promotions and how they combine, see promo_best_set(): promotions of an exclusive one combine with each other and with those of a joint one only; the lowest rank is applied first; at most so many of one are combined. At most 64.';
    CREATE TRIGGER promo_category_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.promo_category
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('category');

    CREATE TABLE iaros.promo_zone (
        zone text NOT NULL CHECK (zone <> '' AND octet_length(zone) <= 1000 AND zone !~ '[-<>*]|^leg |^ | $'),
        place text NOT NULL,
        PRIMARY KEY (zone, place)
    );
    COMMENT ON TABLE iaros.promo_zone IS
        'Zones of your own for routes of promotions: the airports, cities, countries (code or name), regions and continents that each is made of.';
    CREATE INDEX promo_zone_place ON iaros.promo_zone (place);
    CREATE TRIGGER promo_zone_check
        BEFORE INSERT OR UPDATE ON iaros.promo_zone
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_zone_check();

    CREATE SEQUENCE iaros.promo_id_seq;
    CREATE TABLE iaros.promo (
        promo_id bigint PRIMARY KEY DEFAULT nextval('iaros.promo_id_seq'),
        code iaros.promo_code NOT NULL UNIQUE,
        name text NOT NULL CHECK (name <> ''),
        description text,
        applied text NOT NULL DEFAULT 'code' CHECK (applied IN ('code', 'coupon', 'automatic')),
        offer_id bigint REFERENCES iaros.offer,
        is_active boolean NOT NULL DEFAULT true,
        priority integer NOT NULL DEFAULT 100,
        discount jsonb NOT NULL,
        level text,
        base text,
        currency char(3) REFERENCES iaros.currency,
        min_purchase numeric(16,4),
        min_quantity bigint,
        min_of text,
        applies_to jsonb,
        except_lines jsonb,
        stackable boolean NOT NULL DEFAULT true,
        combine_with iaros.promo_code[],
        excludes iaros.promo_code[],
        categories text[],
        valid tstzrange NOT NULL DEFAULT '(,)' CONSTRAINT promo_valid CHECK (NOT isempty(valid)),
        booking_weekdays smallint[],
        channels text[],
        currencies text[],
        segments text[],
        except_segments text[],
        tiers text[],
        party int4range CHECK (NOT isempty(party) AND lower(party) > 0),
        first_booking boolean NOT NULL DEFAULT false,
        routes text[],
        except_routes text[],
        fare_classes text[],
        except_fare_classes text[],
        cabins iaros.cabin[],
        except_cabins iaros.cabin[],
        travel daterange CHECK (NOT isempty(travel)),
        blackout datemultirange CHECK (NOT isempty(blackout)),
        weekdays smallint[],
        definition jsonb NOT NULL,
        route_keys text[] NOT NULL,
        route_ends text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text
    );
    COMMENT ON TABLE iaros.promo IS
        'Promotions. What restricts one is NULL where it does not; every change is audited. A promotion is taken out of use by is_active, not deleted.';
    COMMENT ON COLUMN iaros.promo.code IS 'Names the promotion; what is typed for it where applied is code.';
    COMMENT ON COLUMN iaros.promo.applied IS 'code: by its code or one of its coupons; coupon: by coupons only; automatic: without code.';
    COMMENT ON COLUMN iaros.promo.discount IS 'As promo_best_set() takes it.';
    COMMENT ON COLUMN iaros.promo.except_lines IS 'Key except of promo_best_set().';
    COMMENT ON COLUMN iaros.promo.valid IS 'When purchases are made.';
    COMMENT ON COLUMN iaros.promo.travel IS 'Days of departure, of each line.';
    COMMENT ON COLUMN iaros.promo.blackout IS 'Days of departure on which it is not given.';
    COMMENT ON COLUMN iaros.promo.weekdays IS 'Days of the week of departure, 1 Monday to 7 Sunday.';
    COMMENT ON COLUMN iaros.promo.definition IS 'The promotion as promo_best_set() takes it. Filled by a trigger.';
    COMMENT ON COLUMN iaros.promo.route_keys IS 'promo_route_keys() of routes, or *. Filled by a trigger.';
    COMMENT ON COLUMN iaros.promo.route_ends IS 'Of each route the place that route_keys does not have, or *. Filled by a trigger.';
    CREATE INDEX promo_offer ON iaros.promo (offer_id) WHERE offer_id IS NOT NULL;
    CREATE INDEX promo_currency ON iaros.promo (currency) WHERE currency IS NOT NULL;
    CREATE INDEX promo_valid ON iaros.promo USING gist (valid);
    -- What was changed last is found as quickly: every purchase reads this.
    CREATE INDEX promo_automatic ON iaros.promo USING gin (
        route_keys, route_ends, (coalesce(channels, '{*}')), (coalesce(segments, '{*}')), (coalesce(tiers, '{*}')))
        WITH (fastupdate = off)
        WHERE applied = 'automatic' AND is_active;

    CREATE TABLE iaros.promo_product (
        promo_id bigint NOT NULL REFERENCES iaros.promo ON DELETE CASCADE,
        product text NOT NULL CHECK (product <> ''),
        excluded boolean NOT NULL DEFAULT false,
        PRIMARY KEY (promo_id, product)
    );
    COMMENT ON TABLE iaros.promo_product IS
        'Products that a promotion is for, or not for, however many: lines of others are left out. A promotion without rows is for all.';
    CREATE INDEX promo_product_product ON iaros.promo_product (product, promo_id);

    -- No foreign keys: checking them takes longer than making the rows.
    CREATE TABLE iaros.promo_coupon (
        code iaros.promo_code PRIMARY KEY,
        promo_id bigint NOT NULL,
        customer_id bigint,
        valid tstzrange CHECK (NOT isempty(valid)),
        is_active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE iaros.promo_coupon IS
        'Codes of promotions beside their own, one row each, made by promo_issue() and promo_code_for().';
    COMMENT ON COLUMN iaros.promo_coupon.customer_id IS 'Who alone can use it; NULL: anybody.';
    COMMENT ON COLUMN iaros.promo_coupon.valid IS 'When it can be used, within the time of its promotion; NULL: all of that.';
    CREATE INDEX promo_coupon_customer ON iaros.promo_coupon (customer_id, promo_id) WHERE customer_id IS NOT NULL;

    CREATE SEQUENCE iaros.promo_limit_id_seq;
    CREATE TABLE iaros.promo_limit (
        promo_limit_id bigint PRIMARY KEY DEFAULT nextval('iaros.promo_limit_id_seq'),
        promo_id bigint NOT NULL REFERENCES iaros.promo ON DELETE CASCADE,
        scope iaros.promo_limit_scope NOT NULL,
        measure iaros.promo_limit_measure NOT NULL DEFAULT 'uses',
        period iaros.promo_period NOT NULL DEFAULT 'ever',
        maximum numeric(16,4) NOT NULL CHECK (maximum > 0 AND maximum < 1e12 AND (measure <> 'uses' OR maximum = trunc(maximum))),
        CONSTRAINT promo_limit_once UNIQUE (promo_id, scope, measure, period)
    );
    COMMENT ON TABLE iaros.promo_limit IS
        'Limits of promotions; all of one must hold. A new or changed limit counts what was used before.';
    COMMENT ON COLUMN iaros.promo_limit.maximum IS 'A number of uses, or an amount of the base currency.';
    CREATE TRIGGER promo_limit_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.promo_limit
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('promo_id', 'scope', 'measure', 'period');

    CREATE TRIGGER promo_prepare
        BEFORE INSERT OR UPDATE ON iaros.promo
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_prepare();
    CREATE TRIGGER promo_gone
        AFTER DELETE ON iaros.promo
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_gone();
    CREATE TRIGGER promo_segment_follow
        AFTER UPDATE OF name ON iaros.segment
        FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION iaros.promo_segment_follow();
    INSERT INTO iaros.promo (code, name, discount, offer_id, shipped_hash)
    SELECT t.code::iaros.promo_code, t.name, jsonb_build_object('kind', 'percentage', 'value', t.percent), o.offer_id, 'new'
    FROM (VALUES ('WELCOME10', 'Welcome: ten percent off', 10, 'WELCOME_DISCOUNT'),
                 ('WINBACK20', 'We miss you: twenty percent off', 20, 'WINBACK_DISCOUNT'),
                 ('CART5', 'Five percent off your cart', 5, 'CART_SAVER')) AS t(code, name, percent, offer_code)
    JOIN iaros.offer o ON o.code = t.offer_code
    ORDER BY o.offer_id;
    PERFORM iaros.shipped_seal('iaros.promo');
    CREATE TRIGGER promo_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.promo
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('code');

    CALL iaros.promo_install_redemption();
    INSERT INTO iaros.promo_limit (promo_id, scope, maximum)
    SELECT p.promo_id, 'customer', 1 FROM iaros.promo p ORDER BY p.promo_id;
    CALL iaros.promo_install_price();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.promo_install() IS
'Makes the tables and the gates of the domain promo. Called by install().';
