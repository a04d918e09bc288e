-- campaign: the offer of a campaign as its wizard asks for it.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.campaign_offer_definition(offer jsonb, currency text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    known text[] := '{offerType,discountType,discountPercentage,discountAmount,points,currency,validFrom,validTo,minimumPurchase,applicableRoutes,excludedRoutes,fareClasses,blackoutDates,maxUsageTotal,maxUsagePerCustomer,promoCode,name}';
    wrong text;
    kind text := upper(coalesce(offer ->> 'discountType', CASE WHEN upper(offer ->> 'offerType') = 'POINTS' THEN 'POINTS' END));
    money text := coalesce(offer ->> 'currency', currency);
    discount jsonb;
BEGIN
    SELECT k INTO wrong FROM jsonb_object_keys(offer) AS k WHERE k <> ALL (known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('key "%s" of an offer of a campaign is not known', left(wrong, 64)),
            HINT = format('The keys are %s.', array_to_string(known, ', '));
    END IF;
    discount := CASE kind
        WHEN 'PERCENTAGE' THEN jsonb_build_object('kind', 'percentage', 'value', offer -> 'discountPercentage')
        WHEN 'FIXED' THEN jsonb_build_object('kind', 'fixed_amount', 'value', offer -> 'discountAmount')
        WHEN 'POINTS' THEN jsonb_build_object('kind', 'points', 'points', offer -> 'points') END;
    IF discount IS NULL OR jsonb_strip_nulls(discount) <> discount THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the offer has no discount: discountType is "%s"', coalesce(kind, '(NULL)')),
            HINT = 'Give discountType PERCENTAGE with discountPercentage, FIXED with discountAmount, or POINTS with points.';
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'discount', discount,
        'currency', CASE WHEN kind = 'FIXED' OR offer ? 'minimumPurchase' OR offer ? 'currency' THEN money END,
        'min_purchase', offer -> 'minimumPurchase',
        -- Last days of the wizard are in, ends of windows are not.
        'valid', nullif(jsonb_strip_nulls(jsonb_build_object('from', offer -> 'validFrom',
            'to', to_char((offer ->> 'validTo')::date + 1, 'YYYY-MM-DD'))), '{}'),
        'routes', nullif(offer -> 'applicableRoutes', '[]'), 'except_routes', nullif(offer -> 'excludedRoutes', '[]'),
        'fare_classes', nullif(offer -> 'fareClasses', '[]'),
        'blackout', (
            SELECT jsonb_agg(jsonb_build_object('from', to_char((b ->> 'start')::date, 'YYYY-MM-DD'),
                'to', to_char((b ->> 'end')::date + 1, 'YYYY-MM-DD')) ORDER BY n)
            FROM jsonb_array_elements(offer -> 'blackoutDates') WITH ORDINALITY AS u(d, n)
            CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(d) WHEN 'object' THEN d
                ELSE jsonb_build_object('start', d, 'end', d) END AS b) AS o),
        'limits', (
            SELECT jsonb_agg(l) FROM (
                SELECT jsonb_build_object('scope', 'total', 'maximum', offer -> 'maxUsageTotal') WHERE offer ->> 'maxUsageTotal' IS NOT NULL
                UNION ALL
                SELECT jsonb_build_object('scope', 'customer', 'maximum', offer -> 'maxUsagePerCustomer') WHERE offer ->> 'maxUsagePerCustomer' IS NOT NULL) AS q(l))));
END $$;
COMMENT ON FUNCTION @extschema@.campaign_offer_definition(jsonb, text) IS
'Returns the definition of promo_create() for an offer of campaign_set_offer(); currency: of its amounts where it does not name one. NULL gives NULL. Errors: 22023 a key that is not known, no discount, 22007 a text that is no day.';

CREATE FUNCTION @extschema@.campaign_set_offer(code text, offer jsonb) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    c record;
    promo_no bigint;
BEGIN
    PERFORM iaros.install_check();
    SELECT t.campaign_id, t.name, t.status INTO c FROM iaros.campaign t
    WHERE t.code = campaign_set_offer.code FOR UPDATE;
    IF NOT FOUND OR jsonb_typeof(campaign_set_offer.offer) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = CASE WHEN c.campaign_id IS NULL THEN 'undefined_object' ELSE 'invalid_parameter_value' END,
            MESSAGE = CASE WHEN c.campaign_id IS NULL THEN format('campaign "%s" does not exist', left(campaign_set_offer.code, 64))
                ELSE 'the offer of a campaign is a JSON object' END,
            HINT = 'List the campaigns with SELECT * FROM iaros.campaign_list(); an offer has keys such as discountType and discountPercentage.';
    ELSIF c.status <> 'draft' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('campaign "%s" is %s, not a draft', campaign_set_offer.code, c.status),
            HINT = 'What a campaign offers is settled before it is launched; change the promotion itself in iaros.promo.';
    END IF;
    -- A second thought takes the place of the first.
    UPDATE iaros.campaign t SET promo_id = NULL
    FROM iaros.promo p
    WHERE t.campaign_id = c.campaign_id AND p.promo_id = t.promo_id
      AND p.code OPERATOR(iaros.=) coalesce(offer ->> 'promoCode', campaign_set_offer.code)::iaros.promo_code
    RETURNING p.promo_id INTO promo_no;
    DELETE FROM iaros.promo p WHERE p.promo_id = promo_no;
    promo_no := iaros.promo_create(coalesce(offer ->> 'promoCode', campaign_set_offer.code), coalesce(offer ->> 'name', c.name),
        iaros.campaign_offer_definition(offer, iaros.setting_get('base_currency')));
    UPDATE iaros.campaign t SET promo_id = promo_no WHERE t.campaign_id = c.campaign_id;
    RETURN promo_no;
END $$;
COMMENT ON FUNCTION @extschema@.campaign_set_offer(text, jsonb) IS
'Makes the promotion that a campaign, still a draft, offers, and returns its promo_id: the third step of a wizard. The promotion is to be had from validFrom on, whether the campaign runs or not. Called again, it takes the place of the campaign''s promotion of the same code, unless that was used; one of another code stays. Keys of the offer: discountType (PERCENTAGE with discountPercentage, FIXED with discountAmount, POINTS with points); currency (the base currency); validFrom and validTo, days in brand_time_zone, the last one included; minimumPurchase; applicableRoutes and excludedRoutes (JFK-LAX, both directions); fareClasses; blackoutDates, days of departure: a list of days, or of start and end, both included; maxUsageTotal; maxUsagePerCustomer; promoCode (the campaign''s code) and name (the campaign''s); offerType is for the reader, but for POINTS. Errors: 42704 no such campaign, 55000 it is no draft, 22023 keys and values that do not fit, and those of promo_create(); 23503 the promotion was used, or another campaign has it.';
