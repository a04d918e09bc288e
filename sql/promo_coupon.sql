-- promo: coupons, codes of a promotion beside its own.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_issue(
    promo text,
    rule jsonb,
    n integer DEFAULT NULL,
    customers bigint[] DEFAULT NULL,
    valid tstzrange DEFAULT NULL,
    max_uses integer DEFAULT 1,
    seed bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    promo_no bigint := iaros.promo_find(promo_issue.promo);
    holders bigint[];
    wanted bigint := promo_issue.n;
    made bigint := 0;
    more bigint;
    round bigint := 0;
BEGIN
    IF (wanted IS NULL) = (promo_issue.customers IS NULL) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'coupons need either how many, or for which customers',
            HINT = 'Give n, or customers for a code each.';
    END IF;
    PERFORM FROM iaros.promo p WHERE p.promo_id = promo_no AND p.applied <> 'automatic' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('promotion %s is automatic', promo_issue.promo),
            DETAIL = 'It needs no code, so its coupons would do nothing.';
    END IF;
    IF promo_issue.customers IS NOT NULL THEN
        -- Nobody of them goes away meanwhile.
        holders := ARRAY(SELECT c.customer_id FROM iaros.customer c WHERE c.customer_id = ANY (promo_issue.customers)
                         ORDER BY 1 FOR KEY SHARE);
        wanted := cardinality(holders);
    END IF;
    BEGIN
        INSERT INTO iaros.promo_coupon (code, promo_id, customer_id, valid)
        SELECT g.code, promo_no, CASE WHEN holders IS NOT NULL THEN holders[row_number() OVER ()] END, promo_issue.valid
        FROM (SELECT g.code FROM iaros.promo_code_generate(rule, wanted::integer, seed) AS g(code) ORDER BY g.code) AS g;
        IF EXISTS (SELECT FROM iaros.promo p JOIN iaros.promo_coupon c ON c.code OPERATOR(iaros.=) p.code) THEN
            RAISE unique_violation;
        END IF;
        made := wanted;
    EXCEPTION WHEN unique_violation THEN
        NULL;
    END;
    -- Some were taken: these are left out, and others made in their place.
    WHILE made < wanted LOOP
        INSERT INTO iaros.promo_coupon (code, promo_id, customer_id, valid)
        SELECT f.code, promo_no, holders[made + row_number() OVER ()], promo_issue.valid
        FROM (SELECT g.code
              FROM iaros.promo_code_generate(rule, (wanted - made)::integer, seed + round) AS g(code)
              WHERE NOT EXISTS (SELECT FROM iaros.promo_coupon c WHERE c.code OPERATOR(iaros.=) g.code)
                AND NOT EXISTS (SELECT FROM iaros.promo p WHERE p.code OPERATOR(iaros.=) g.code)
              ORDER BY g.code) AS f;
        GET DIAGNOSTICS more = ROW_COUNT;
        made := made + more;
        round := round + 1;
        IF round > 1000 THEN
            RAISE EXCEPTION USING
                ERRCODE = 'program_limit_exceeded',
                MESSAGE = 'almost all codes of the rule are taken',
                DETAIL = format('%s of %s codes could be made.', made, wanted),
                HINT = 'Give a rule with longer codes.';
        END IF;
    END LOOP;
    -- Last, as redemptions wait for a new limit.
    IF promo_issue.max_uses IS NOT NULL THEN
        INSERT INTO iaros.promo_limit (promo_id, scope, maximum) VALUES (promo_no, 'code', promo_issue.max_uses)
        ON CONFLICT ON CONSTRAINT promo_limit_once DO NOTHING;
    END IF;
    PERFORM iaros.audit_append('promo.issue', 'promo', (SELECT p.code::text FROM iaros.promo p WHERE p.promo_id = promo_no), NULL,
        jsonb_build_object('coupons', made, 'rule', rule));
    RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.promo_issue(text, jsonb, integer, bigint[], tstzrange, integer, bigint) IS
'Makes coupons of a promotion, by a rule of promo_code_generate(), and returns how many: n for anybody, or one for each of some customers, who alone can use it; those that do not exist are left out. valid: when they can be used, NULL: as the promotion. max_uses: how often each can be used; it becomes the limit of code for all coupons of the promotion unless there is one; NULL: no limit. seed is for tests. Codes that exist already are not made again. Writes an audit row. Errors: 42704 promotion that does not exist, 22023 neither or both of n and customers, a promotion that is automatic, and those of promo_code_generate(); 23505 another session made one of the codes meanwhile. O(n).';

CREATE FUNCTION @extschema@.promo_code_for(
    promo text,
    customer_id bigint,
    pattern text,
    valid_days integer DEFAULT NULL,
    attributes jsonb DEFAULT '{}',
    as_of timestamptz DEFAULT now())
    RETURNS @extschema@.promo_code
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    promo_no bigint := iaros.promo_find(promo_code_for.promo);
    zone text := iaros.setting_get('brand_time_zone');
    day date := (as_of AT TIME ZONE zone)::date;
    made iaros.promo_code;
    stored record;
BEGIN
    PERFORM FROM iaros.promo p WHERE p.promo_id = promo_no FOR KEY SHARE;
    IF NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = promo_code_for.customer_id FOR KEY SHARE) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('customer %s does not exist', coalesce(promo_code_for.customer_id::text, '(NULL)'));
    END IF;
    made := iaros.promo_code_fill(pattern, jsonb_build_object(
        'customer.id', promo_code_for.customer_id, 'DATE', to_char(day, 'YYYYMMDD'), 'YEAR', to_char(day, 'YYYY')) || attributes);
    INSERT INTO iaros.promo_limit (promo_id, scope, maximum) VALUES (promo_no, 'code', 1)
    ON CONFLICT ON CONSTRAINT promo_limit_once DO NOTHING;
    INSERT INTO iaros.promo_coupon (code, promo_id, customer_id, valid)
    VALUES (made, promo_no, promo_code_for.customer_id,
        tstzrange(day::timestamp AT TIME ZONE zone, (day + valid_days)::timestamp AT TIME ZONE zone))
    ON CONFLICT DO NOTHING;
    SELECT c.promo_id, c.customer_id INTO stored FROM iaros.promo_coupon c WHERE c.code OPERATOR(iaros.=) made;
    IF (stored.promo_id, stored.customer_id) IS DISTINCT FROM (promo_no, promo_code_for.customer_id)
        OR EXISTS (SELECT FROM iaros.promo p WHERE p.code OPERATOR(iaros.=) made) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'unique_violation',
            MESSAGE = format('code %s is of another promotion or customer', made),
            HINT = 'Let the pattern tell customers apart, such as BDAY{{customer.id}}.';
    END IF;
    PERFORM iaros.audit_append('promo.issue', 'promo', (SELECT p.code::text FROM iaros.promo p WHERE p.promo_id = promo_no),
        promo_code_for.customer_id, jsonb_build_object('pattern', pattern));
    RETURN made;
END $$;
COMMENT ON FUNCTION @extschema@.promo_code_for(text, bigint, text, integer, jsonb, timestamptz) IS
'Makes the coupon of a promotion that one customer alone can use, by a pattern of promo_code_fill() such as BDAY{{customer.id}} or BDAY{{customer.id}}{{YEAR}}, and returns its code. Known are customer.id, DATE (20260704) and YEAR of as_of in brand_time_zone, and the attributes. It can be used from that day on for valid_days days, NULL: as long as the promotion; once, unless the promotion has another limit of code. A second call with the same result makes no other. Writes an audit row. Errors: 42704 promotion that does not exist, 23503 customer that does not exist, 23505 the code is that of another promotion or customer, 22000 and 23514 valid_days of 0 or less, and those of promo_code_fill().';
