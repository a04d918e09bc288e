-- promo: promotion codes, their limits, and the ledger of redemptions.

CREATE TYPE @extschema@.promo_discount_kind AS ENUM ('percentage', 'fixed');
COMMENT ON TYPE @extschema@.promo_discount_kind IS
'How the discount of a promotion follows from an amount: percentage of it, or a fixed amount of money.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_discount(
    kind @extschema@.promo_discount_kind,
    value numeric,
    amount numeric,
    currency text)
    RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN least(amount, @extschema@.money_round(
        CASE kind WHEN 'percentage' THEN amount * value / 100 ELSE value END, currency));
COMMENT ON FUNCTION @extschema@.promo_discount(@extschema@.promo_discount_kind, numeric, numeric, text) IS
'Returns the discount on an amount of a currency: value percent of it, or value itself, rounded half away from zero to the minor unit, and never more than the amount. NULL gives NULL. Errors: those of money_round.';

CREATE FUNCTION @extschema@.promo_code_normal(code text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN upper(btrim(code));
COMMENT ON FUNCTION @extschema@.promo_code_normal(text) IS
'Returns a promotion code as codes are compared: trimmed and in upper case. NULL gives NULL.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_create(
    code text,
    name text,
    discount_kind @extschema@.promo_discount_kind,
    discount_value numeric,
    currency text DEFAULT NULL,
    valid_from timestamptz DEFAULT NULL,
    valid_to timestamptz DEFAULT NULL,
    min_purchase numeric DEFAULT NULL,
    max_uses bigint DEFAULT NULL,
    max_uses_per_customer integer DEFAULT NULL,
    offer text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    offer_number bigint;
BEGIN
    PERFORM iaros.install_check();
    IF promo_create.offer IS NOT NULL THEN
        SELECT g.offer_id INTO offer_number FROM iaros.offer_get(promo_create.offer) g;
    END IF;
    INSERT INTO iaros.promo (code, name, discount_kind, discount_value, currency, valid,
        min_purchase, max_uses, max_uses_per_customer, offer_id)
    VALUES (iaros.promo_code_normal(promo_create.code), promo_create.name,
        promo_create.discount_kind, promo_create.discount_value, promo_create.currency,
        tstzrange(promo_create.valid_from, promo_create.valid_to), promo_create.min_purchase, promo_create.max_uses,
        promo_create.max_uses_per_customer, offer_number)
    RETURNING promo_id INTO id;
    RETURN id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_create(text, text, @extschema@.promo_discount_kind, numeric, text, timestamptz, timestamptz, numeric, bigint, integer, text) IS
'Adds a promotion and returns its promo_id. discount_value is percent (up to 100) or an amount of currency; min_purchase is an amount of currency as well, so each of the two needs a currency; it is valid in [valid_from, valid_to), NULL: without end; max_uses counts all redemptions, max_uses_per_customer those of one person, NULL: no limit; offer is the code of the offer it belongs to. Errors: 23505 code is taken, 23514 value outside its range, 22023 currency not in ISO 4217, 22003 amount with more decimals than the currency has, 42704 offer that does not exist, 22000 valid_to before valid_from.';

CREATE FUNCTION @extschema@.promo_list(
    only_valid boolean DEFAULT true,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (promo_id bigint, code text, name text, discount_kind @extschema@.promo_discount_kind,
        discount_value numeric, currency text, valid tstzrange, min_purchase numeric,
        max_uses bigint, max_uses_per_customer integer, uses bigint, offer_code text, is_active boolean)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT p.promo_id, p.code, p.name, p.discount_kind, p.discount_value, p.currency::text,
            p.valid, p.min_purchase, p.max_uses, p.max_uses_per_customer,
            coalesce(u.uses, 0), o.code, p.is_active
        FROM iaros.promo p
        LEFT JOIN iaros.promo_use u ON u.promo_id = p.promo_id
        LEFT JOIN iaros.offer o ON o.offer_id = p.offer_id
        WHERE NOT only_valid OR (p.is_active AND p.valid @> as_of)
        ORDER BY p.promo_id;
END $$;
COMMENT ON FUNCTION @extschema@.promo_list(boolean, timestamptz) IS
'Returns the promotions that are active and valid at a time, or all of them, with how often each was redeemed. NULL gives no row.';

CREATE FUNCTION @extschema@.promo_amount_check(amount numeric, currency text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF amount IS NULL OR currency IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'a purchase needs an amount and a currency',
            HINT = 'Give the price before the discount and its currency, such as 120.50 and EUR.';
    END IF;
    PERFORM iaros.money_check(amount, currency);
    IF amount < 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'numeric_value_out_of_range',
            MESSAGE = format('amount %s is less than zero', amount),
            HINT = 'Give the price before the discount.';
    ELSIF amount >= 1e12 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'numeric_value_out_of_range',
            MESSAGE = format('amount "%s" is too large', left(amount::text, 64)),
            DETAIL = 'Amounts are below 1,000,000,000,000.',
            HINT = 'Give the price before the discount.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.promo_amount_check(numeric, text) IS
'Raises an error unless the amount is a price in the currency: 22004 NULL, 22023 currency not in ISO 4217, 22003 negative, not finite, 1,000,000,000,000 or more, or with more decimals than the currency has.';

CREATE FUNCTION @extschema@.promo_time_check(as_of timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF as_of < now() - interval '1 day' OR as_of > now() + interval '5 minutes' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot redeem a promotion at "%s"', as_of),
            DETAIL = 'A redemption is of now, at most a day late.',
            HINT = 'Leave out as_of. To ask about another time, use promo_validate().';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.promo_time_check(timestamptz) IS
'Raises 22023 unless a time is at most 1 day before and at most 5 minutes after now(); NULL passes. For promo_redeem(): a code that has expired, or was not valid yet, cannot be redeemed under another date.';

CREATE FUNCTION @extschema@.promo_validate(
    code text,
    customer_id bigint,
    amount numeric,
    currency text,
    as_of timestamptz DEFAULT now(),
    OUT valid boolean,
    OUT discount numeric,
    OUT reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    p record;
    ids bigint[];
    used bigint;
BEGIN
    PERFORM iaros.install_check();
    PERFORM iaros.promo_amount_check(amount, currency);
    as_of := coalesce(as_of, now());
    ids := ARRAY(SELECT iaros.customer_ids(promo_validate.customer_id));
    valid := false;
    discount := 0;
    reasons := '{}';
    IF NOT EXISTS (SELECT FROM iaros.customer c WHERE c.customer_id = promo_validate.customer_id) THEN
        reasons := reasons || format('unknown_customer: there is no customer %s', coalesce(promo_validate.customer_id::text, '(NULL)'));
    END IF;
    SELECT t.*, coalesce(u.uses, 0) AS uses INTO p
    FROM iaros.promo t LEFT JOIN iaros.promo_use u ON u.promo_id = t.promo_id
    WHERE t.code = iaros.promo_code_normal(promo_validate.code);
    IF NOT FOUND THEN
        reasons := reasons || format('unknown_code: there is no promotion %s', coalesce(left(promo_validate.code, 64), '(NULL)'));
        RETURN;
    END IF;
    used := (SELECT coalesce(sum(u.uses), 0) FROM iaros.promo_customer_use u
             WHERE u.customer_id = ANY (ids) AND u.promo_id = p.promo_id);
    reasons := reasons || array_remove(ARRAY[
        CASE WHEN NOT p.is_active THEN 'inactive: the promotion was taken out of use' END,
        CASE WHEN as_of < lower(p.valid) THEN
            format('not_started: it is valid from %s UTC', to_char(lower(p.valid) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END,
        CASE WHEN NOT p.valid @> as_of AND NOT coalesce(as_of < lower(p.valid), false) THEN
            format('expired: it was valid until %s UTC', to_char(upper(p.valid) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END,
        CASE WHEN p.currency <> promo_validate.currency AND (p.discount_kind = 'fixed' OR p.min_purchase IS NOT NULL) THEN
            format('currency_mismatch: it is in %s, the purchase in %s', p.currency, promo_validate.currency) END,
        CASE WHEN p.currency = promo_validate.currency AND amount < p.min_purchase THEN
            format('below_min_purchase: it needs %s %s, the purchase is %s',
                   trim_scale(p.min_purchase), p.currency, trim_scale(amount)) END,
        CASE WHEN p.uses >= p.max_uses THEN
            format('used_up: all %s uses are taken', p.max_uses) END,
        CASE WHEN used >= p.max_uses_per_customer THEN
            format('customer_limit: the customer has used it %s of %s times', used, p.max_uses_per_customer) END
        ], NULL);
    IF reasons = '{}' THEN
        valid := true;
        discount := iaros.money_round(iaros.promo_discount(p.discount_kind, p.discount_value, amount, currency), currency);
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.promo_validate(text, bigint, numeric, text, timestamptz) IS
'Tells whether a customer may use a promotion code on a purchase of an amount now, what the discount is (0 when not), and all reasons why not: unknown_customer, unknown_code, inactive, not_started, expired, currency_mismatch, below_min_purchase, used_up, customer_limit, each with a text. Upper and lower case of the code are one; uses of all ids of a person count together. Changes nothing and promises nothing: promo_redeem() decides. Errors: 22004 amount or currency NULL, 22023 currency not in ISO 4217, 22003 amount that is no price in it.';

CREATE FUNCTION @extschema@.promo_redeemed(
    customer_ids bigint[],
    code text,
    amount numeric,
    currency text,
    idempotency_key text)
    RETURNS TABLE (redemption_id bigint, discount numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    r record;
BEGIN
    PERFORM iaros.install_check();
    SELECT d.redemption_id, d.discount, d.amount, d.currency, p.code INTO r
    FROM iaros.promo_redemption d
    JOIN iaros.promo p ON p.promo_id = d.promo_id
    WHERE d.customer_id = ANY (customer_ids) AND d.idempotency_key = promo_redeemed.idempotency_key
    ORDER BY d.redemption_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF (r.code, r.amount, r.currency::text)
        IS DISTINCT FROM (iaros.promo_code_normal(promo_redeemed.code), promo_redeemed.amount, promo_redeemed.currency) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('idempotency key "%s" was used for another purchase', promo_redeemed.idempotency_key),
            DETAIL = format('It redeemed %s on %s %s.', r.code, iaros.money_round(r.amount, r.currency::text), r.currency),
            HINT = 'Give each purchase a key of its own.';
    END IF;
    redemption_id := r.redemption_id;
    discount := iaros.money_round(r.discount, r.currency::text);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION @extschema@.promo_redeemed(bigint[], text, numeric, text, text) IS
'Returns the redemption that one of the ids of a person made with an idempotency key, no row when there is none. Error: 22023 the key was used for another code, amount or currency. For promo_redeem().';

CREATE FUNCTION @extschema@.promo_follow() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    code text := (SELECT p.code FROM iaros.promo p WHERE p.promo_id = NEW.promo_id);
BEGIN
    PERFORM iaros.install_check();
    IF NEW.customer_id = OLD.customer_id THEN
        PERFORM iaros.audit_append('promo.unlink', 'promo', code, NEW.customer_id,
            jsonb_build_object('redemption_id', NEW.redemption_id, 'booking_id', OLD.booking_id));
        RETURN NULL;
    END IF;
    -- The use is counted where it is now, beyond a limit if need be: it has
    -- been made. A person may have counters under several ids.
    UPDATE iaros.promo_customer_use u SET uses = u.uses - 1
    WHERE u.promo_id = NEW.promo_id AND u.customer_id = (
        SELECT x.customer_id FROM iaros.promo_customer_use x
        WHERE x.promo_id = NEW.promo_id AND x.uses > 0
          AND x.customer_id IN (SELECT iaros.customer_ids(OLD.customer_id))
        ORDER BY x.customer_id = iaros.customer_resolve(OLD.customer_id) DESC, x.customer_id LIMIT 1);
    INSERT INTO iaros.promo_customer_use AS u (customer_id, promo_id, uses)
    VALUES (iaros.customer_resolve(NEW.customer_id), NEW.promo_id, 1)
    ON CONFLICT ON CONSTRAINT promo_customer_use_pkey DO UPDATE SET uses = u.uses + 1;
    PERFORM iaros.audit_append('promo.move', 'promo', code, NEW.customer_id,
        jsonb_build_object('redemption_id', NEW.redemption_id, 'booking_id', NEW.booking_id, 'from_customer', OLD.customer_id));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.promo_follow() IS
'Trigger: when a redemption follows its booking to another customer, its use is counted there and no longer with the first; when its booking was deleted, the redemption and its use stay. Both are audited.';

CREATE FUNCTION @extschema@.promo_usage(promo text DEFAULT NULL)
    RETURNS TABLE (code text, currency text, redemptions bigint, customers bigint,
        amount numeric, discount numeric, average_discount numeric, uses_left bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT p.code, r.currency::text, count(*), count(DISTINCT coalesce(a.master_id, r.customer_id)),
            iaros.money_round(sum(r.amount), r.currency::text), iaros.money_round(sum(r.discount), r.currency::text),
            iaros.money_round(avg(r.discount), r.currency::text),
            p.max_uses - max(u.uses)
        FROM iaros.promo_redemption r
        JOIN iaros.promo p ON p.promo_id = r.promo_id
        JOIN iaros.promo_use u ON u.promo_id = r.promo_id
        LEFT JOIN iaros.customer_alias a ON a.customer_id = r.customer_id
        WHERE promo_usage.promo IS NULL OR p.code = iaros.promo_code_normal(promo_usage.promo)
        GROUP BY p.promo_id, p.code, p.max_uses, r.currency
        ORDER BY p.code, r.currency;
END $$;
COMMENT ON FUNCTION @extschema@.promo_usage(text) IS
'Returns what redemptions of a promotion (NULL: of each) came to, a row for each currency: how many, of how many customers, the amounts before discount, the discounts, their average, and how many uses are left of the promotion (NULL: no limit).';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.promo_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('promo', 1) THEN
    CREATE SEQUENCE iaros.promo_id_seq;
    CREATE TABLE iaros.promo (
        promo_id bigint PRIMARY KEY DEFAULT nextval('iaros.promo_id_seq'),
        code text NOT NULL UNIQUE,
        name text NOT NULL CHECK (name <> ''),
        discount_kind iaros.promo_discount_kind NOT NULL,
        discount_value numeric(16,4) NOT NULL,
        currency char(3) REFERENCES iaros.currency,
        valid tstzrange NOT NULL DEFAULT '(,)',
        min_purchase numeric(16,4),
        max_uses bigint,
        max_uses_per_customer integer,
        offer_id bigint REFERENCES iaros.offer,
        is_active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text,
        CONSTRAINT promo_code CHECK (code ~ '^[A-Z0-9][A-Z0-9_-]{1,39}$'),
        CONSTRAINT promo_discount_value CHECK (discount_value > 0 AND (discount_kind = 'fixed' OR discount_value <= 100)),
        CONSTRAINT promo_discount_money CHECK (discount_kind = 'percentage' OR iaros.money_check(discount_value, currency)),
        CONSTRAINT promo_currency CHECK (currency IS NOT NULL OR (discount_kind = 'percentage' AND min_purchase IS NULL)),
        CONSTRAINT promo_min_purchase CHECK (min_purchase >= 0 AND iaros.money_check(min_purchase, currency)),
        CONSTRAINT promo_valid CHECK (NOT isempty(valid)),
        CONSTRAINT promo_max_uses CHECK (max_uses > 0),
        CONSTRAINT promo_max_uses_per_customer CHECK (max_uses_per_customer > 0)
    );
    COMMENT ON TABLE iaros.promo IS
        'Promotions by code. Every change is audited. A promotion is taken out of use by is_active, not deleted.';
    COMMENT ON COLUMN iaros.promo.discount_value IS 'Percent, or an amount of currency.';
    COMMENT ON COLUMN iaros.promo.min_purchase IS 'Smallest amount before discount, in currency.';
    CREATE INDEX promo_offer ON iaros.promo (offer_id) WHERE offer_id IS NOT NULL;
    CREATE INDEX promo_currency ON iaros.promo (currency) WHERE currency IS NOT NULL;
    INSERT INTO iaros.promo (code, name, discount_kind, discount_value, max_uses_per_customer, offer_id, shipped_hash)
    SELECT t.code, t.name, 'percentage', t.percent, 1, o.offer_id, 'new'
    FROM (VALUES ('WELCOME10', 'Welcome: ten percent off', 10, 'WELCOME_DISCOUNT'),
                 ('WINBACK20', 'We miss you: twenty percent off', 20, 'WINBACK_DISCOUNT'),
                 ('CART5', 'Five percent off your cart', 5, 'CART_SAVER')) AS t(code, name, percent, offer_code)
    JOIN iaros.offer o ON o.code = t.offer_code
    ORDER BY o.offer_id;
    PERFORM iaros.shipped_seal('iaros.promo');
    CREATE TRIGGER promo_audit
        AFTER INSERT OR UPDATE OR DELETE ON iaros.promo
        FOR EACH ROW EXECUTE FUNCTION iaros.audit_row('code');

    CREATE TABLE iaros.promo_use (
        promo_id bigint PRIMARY KEY REFERENCES iaros.promo,
        uses bigint NOT NULL CHECK (uses >= 0)
    );
    COMMENT ON TABLE iaros.promo_use IS
        'How often each promotion was redeemed: the counter that keeps max_uses exact. Written by promo_redeem().';

    CREATE TABLE iaros.promo_customer_use (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        promo_id bigint NOT NULL REFERENCES iaros.promo,
        uses integer NOT NULL CHECK (uses >= 0),
        PRIMARY KEY (customer_id, promo_id)
    );
    COMMENT ON TABLE iaros.promo_customer_use IS
        'How often each customer redeemed a promotion: the counter that keeps max_uses_per_customer exact. Written by promo_redeem().';
    CREATE INDEX promo_customer_use_promo ON iaros.promo_customer_use (promo_id);

    CREATE SEQUENCE iaros.promo_redemption_id_seq;
    CREATE TABLE iaros.promo_redemption (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        redemption_id bigint NOT NULL DEFAULT nextval('iaros.promo_redemption_id_seq'),
        promo_id bigint NOT NULL REFERENCES iaros.promo,
        idempotency_key text NOT NULL CHECK (idempotency_key <> '' AND length(idempotency_key) <= 200),
        amount numeric(16,4) NOT NULL CHECK (amount >= 0),
        currency char(3) NOT NULL REFERENCES iaros.currency,
        discount numeric(16,4) NOT NULL,
        booking_id bigint,
        redeemed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, redemption_id),
        CONSTRAINT promo_redemption_once UNIQUE (customer_id, idempotency_key),
        FOREIGN KEY (customer_id, booking_id) REFERENCES iaros.booking ON DELETE SET NULL (booking_id),
        CONSTRAINT promo_redemption_discount CHECK (discount BETWEEN 0 AND amount),
        CONSTRAINT promo_redemption_money CHECK (iaros.money_check(amount, currency) AND iaros.money_check(discount, currency))
    );
    COMMENT ON TABLE iaros.promo_redemption IS
        'Ledger of redemptions, written by promo_redeem(). Takes new rows only; they go with their customer. A redemption follows its booking to another customer, and stays, without booking_id, when the booking is deleted.';
    CREATE INDEX promo_redemption_promo ON iaros.promo_redemption (promo_id, redeemed_at);
    CREATE INDEX promo_redemption_booking ON iaros.promo_redemption (customer_id, booking_id) WHERE booking_id IS NOT NULL;
    CREATE TRIGGER promo_redemption_guard
        BEFORE UPDATE ON iaros.promo_redemption
        -- But for what becomes of its booking.
        FOR EACH ROW WHEN ((NEW.redemption_id, NEW.promo_id, NEW.idempotency_key, NEW.amount, NEW.currency, NEW.discount, NEW.redeemed_at)
                IS DISTINCT FROM (OLD.redemption_id, OLD.promo_id, OLD.idempotency_key, OLD.amount, OLD.currency, OLD.discount, OLD.redeemed_at)
            OR NEW.booking_id <> OLD.booking_id
            OR (OLD.booking_id IS NULL AND NEW.booking_id IS NOT NULL)
            OR (NEW.customer_id <> OLD.customer_id AND (NEW.booking_id IS NULL OR OLD.booking_id IS NULL)))
        EXECUTE FUNCTION iaros.ledger_guard();
    CREATE TRIGGER promo_redemption_follow
        AFTER UPDATE ON iaros.promo_redemption
        FOR EACH ROW WHEN (NEW.customer_id <> OLD.customer_id OR NEW.booking_id IS DISTINCT FROM OLD.booking_id)
        EXECUTE FUNCTION iaros.promo_follow();

    CREATE FUNCTION iaros.promo_redeem(
        code text,
        customer_id bigint,
        amount numeric,
        currency text,
        idempotency_key text,
        booking_id bigint DEFAULT NULL,
        as_of timestamptz DEFAULT now(),
        OUT redeemed boolean,
        OUT redemption_id bigint,
        OUT discount numeric,
        OUT reasons text[])
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        p record;
        ids bigint[];
        elsewhere bigint;
        counted boolean;
    BEGIN
        IF promo_redeem.idempotency_key IS NULL OR promo_redeem.idempotency_key = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'null_value_not_allowed',
                MESSAGE = 'a redemption needs an idempotency key',
                HINT = 'Give a text that names the purchase, such as its booking reference.';
        END IF;
        -- Nobody recognises this customer as another one meanwhile.
        PERFORM FROM iaros.customer c WHERE c.customer_id = promo_redeem.customer_id FOR KEY SHARE;
        PERFORM FROM iaros.customer c WHERE c.customer_id = iaros.customer_resolve(promo_redeem.customer_id) FOR KEY SHARE;
        ids := ARRAY(SELECT iaros.customer_ids(promo_redeem.customer_id));
        SELECT r.redemption_id, r.discount INTO redemption_id, discount
        FROM iaros.promo_redeemed(ids, code, amount, currency, promo_redeem.idempotency_key) r;
        IF FOUND THEN
            redeemed := true;
            reasons := '{}';
            RETURN;
        END IF;
        PERFORM iaros.promo_time_check(as_of);
        SELECT v.valid, v.discount, v.reasons INTO redeemed, discount, reasons
        FROM iaros.promo_validate(code, promo_redeem.customer_id, amount, currency, as_of) v;
        IF NOT redeemed THEN
            RETURN;
        END IF;
        SELECT t.promo_id, t.max_uses, t.max_uses_per_customer INTO p
        FROM iaros.promo t WHERE t.code = iaros.promo_code_normal(promo_redeem.code);
        elsewhere := (SELECT coalesce(sum(u.uses), 0) FROM iaros.promo_customer_use u
                      WHERE u.customer_id = ANY (ids[2:]) AND u.promo_id = p.promo_id);
        -- The first counter belongs to the customer alone: whoever holds it
        -- has all redemptions of this promotion by this customer to himself.
        INSERT INTO iaros.promo_customer_use AS u (customer_id, promo_id, uses)
        VALUES (ids[1], p.promo_id, 1)
        ON CONFLICT ON CONSTRAINT promo_customer_use_pkey DO UPDATE SET uses = u.uses + 1
            WHERE p.max_uses_per_customer IS NULL OR u.uses + elsewhere < p.max_uses_per_customer;
        counted := FOUND;
        SELECT r.redemption_id, r.discount INTO redemption_id, discount
        FROM iaros.promo_redeemed(ids, code, amount, currency, promo_redeem.idempotency_key) r;
        IF FOUND THEN
            -- The same call in another session was first.
            UPDATE iaros.promo_customer_use u SET uses = u.uses - 1
            WHERE counted AND u.customer_id = ids[1] AND u.promo_id = p.promo_id;
            RETURN;
        END IF;
        IF counted THEN
            INSERT INTO iaros.promo_use AS u (promo_id, uses) VALUES (p.promo_id, 1)
            ON CONFLICT ON CONSTRAINT promo_use_pkey DO UPDATE SET uses = u.uses + 1
                WHERE p.max_uses IS NULL OR u.uses < p.max_uses;
            IF NOT FOUND THEN
                UPDATE iaros.promo_customer_use u SET uses = u.uses - 1
                WHERE u.customer_id = ids[1] AND u.promo_id = p.promo_id;
                counted := false;
            END IF;
        END IF;
        IF NOT counted THEN
            SELECT false, 0, CASE v.reasons WHEN '{}' THEN ARRAY['used_up: the last use was taken, and limits changed, meanwhile'] ELSE v.reasons END
            INTO redeemed, discount, reasons
            FROM iaros.promo_validate(code, promo_redeem.customer_id, amount, currency, as_of) v;
            RETURN;
        END IF;
        discount := (SELECT iaros.money_round(iaros.promo_discount(t.discount_kind, t.discount_value,
                         promo_redeem.amount, promo_redeem.currency), promo_redeem.currency)
                     FROM iaros.promo t WHERE t.promo_id = p.promo_id);
        INSERT INTO iaros.promo_redemption AS r (customer_id, promo_id, idempotency_key, amount, currency, discount, booking_id, redeemed_at)
        VALUES (promo_redeem.customer_id, p.promo_id, promo_redeem.idempotency_key, promo_redeem.amount,
                promo_redeem.currency, promo_redeem.discount, promo_redeem.booking_id, coalesce(promo_redeem.as_of, now()))
        RETURNING r.redemption_id INTO redemption_id;
        PERFORM iaros.audit_append('promo.redeem', 'promo', iaros.promo_code_normal(code), promo_redeem.customer_id,
            jsonb_build_object('redemption_id', redemption_id, 'amount', amount, 'currency', currency, 'discount', discount));
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_redeem(text, bigint, numeric, text, text, bigint, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_redeem(text, bigint, numeric, text, text, bigint, timestamptz) IS
        'Gate: redeems a promotion code for a purchase in the caller''s transaction and returns redeemed, redemption_id, discount and, when it was refused, the reasons of promo_validate(); nothing is written then. A second call with the same idempotency_key for the customer returns the first redemption and changes nothing. as_of is at most 1 day ago, and at most 5 minutes ahead. max_uses and max_uses_per_customer hold exactly, however many sessions redeem at once: a session waits for the one that has the last use until that one commits or rolls back. SECURITY DEFINER, so that roles which operate can redeem without the right to change counters and ledger. Errors: those of promo_validate(), 22004 no idempotency_key, 22023 the key was used for another purchase, or as_of is too far from now, 23503 booking that is not the customer''s, 40001 under REPEATABLE READ when another session redeemed meanwhile.';
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.promo_install() IS
'Makes the tables and the gate of the domain promo. Called by install().';
