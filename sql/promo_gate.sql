-- promo: redeeming, reserving, giving back.

-- Engine ------------------------------------------------------------------

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

CREATE FUNCTION @extschema@.promo_isolation_check(what text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('cannot %s under isolation level %s', what, current_setting('transaction_isolation')),
            DETAIL = 'Redemptions that were made since the transaction began are not seen there, so limits would not hold.',
            HINT = 'Do it in a transaction under READ COMMITTED.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.promo_isolation_check(text) IS
'Raises 0A000 unless the transaction is READ COMMITTED; what: that which cannot be done otherwise.';

CREATE FUNCTION @extschema@.promo_counts(customer_id bigint, redemption_id bigint) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM iaros.promo_count c
            WHERE c.customer_id = promo_counts.customer_id AND c.redemption_id = promo_counts.redemption_id);
END $$;
COMMENT ON FUNCTION @extschema@.promo_counts(bigint, bigint) IS
'Returns the rows of promo_count of a redemption, for promo_give_back().';

CREATE FUNCTION @extschema@.promo_give_back(before jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    -- In the order in which promo_commit() takes them.
    FOR c IN
        SELECT b.scope, b.promo_limit_id, b.code, b.period_start, b.customer_id, b.booking_id,
            sum(b.need - coalesce(a.need, 0)) AS amount
        FROM jsonb_to_recordset(before) AS b(customer_id bigint, redemption_id bigint, promo_limit_id bigint,
            scope iaros.promo_limit_scope, booking_id bigint, code text, period_start date, need numeric)
        LEFT JOIN iaros.promo_count a ON a.customer_id = b.customer_id AND a.redemption_id = b.redemption_id
            AND a.promo_limit_id = b.promo_limit_id
        GROUP BY b.scope, b.promo_limit_id, b.code, b.period_start,
            b.customer_id, b.booking_id
        HAVING sum(b.need - coalesce(a.need, 0)) > 0
        ORDER BY b.scope IN ('total', 'code'), b.promo_limit_id, b.code, b.period_start, b.customer_id
    LOOP
        IF c.scope IN ('total', 'code') THEN
            PERFORM iaros.promo_counter_give(c.promo_limit_id, c.code, c.period_start, c.amount);
        ELSE
            UPDATE iaros.promo_customer_counter t SET value = t.value - least(t.value, c.amount)
            WHERE t.customer_id = c.customer_id AND t.promo_limit_id = c.promo_limit_id
              AND t.booking_id = c.booking_id AND t.period_start = c.period_start;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.promo_give_back(jsonb) IS
'Takes back from the counters what redemptions counted before and do not count any more; before: rows of promo_counts() of them.';

CREATE FUNCTION @extschema@.promo_redeem(
    cart jsonb,
    codes text[],
    idempotency_key text,
    partial boolean DEFAULT false,
    as_of timestamptz DEFAULT now(),
    OUT redeemed boolean,
    OUT redemption_id bigint,
    OUT discount numeric,
    OUT to_pay numeric,
    OUT answers jsonb,
    OUT result jsonb)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    PERFORM iaros.install_check();
    c := iaros.promo_commit(cart, codes, idempotency_key, NULL, partial, as_of);
    redeemed := c.done;
    redemption_id := c.redemption_id;
    discount := c.discount;
    to_pay := c.to_pay;
    answers := c.answers;
    result := c.result;
END $$;
COMMENT ON FUNCTION @extschema@.promo_redeem(jsonb, text[], text, boolean, timestamptz) IS
'Redeems codes, and the automatic promotions, for a purchase in the caller''s transaction: what promo_validate() finds is what is redeemed. Unless partial, nothing is redeemed and nothing written when one of the codes does not apply; redeemed is false then, and answers tell why, as they do where no promotion is left. A second call with the same idempotency_key for the customer returns the first redemption and changes nothing; after promo_reserve() with the key it makes the reservation a redemption, at the price reserved (the cart may have its booking now). as_of is at most 1 day ago, and at most 5 minutes ahead. All limits hold exactly, however many sessions redeem at once: one waits where others that are not finished hold all that is left, until they commit or roll back. Redeem once in a transaction, and keep it short. Errors: those of promo_validate(), 22004 no idempotency_key or no customer in the cart, 22023 the key was used for another purchase, or as_of is too far from now, 55000 the redemption was returned, 23503 booking that is not the customer''s, P0002 no rate for the currency, 0A000 under another isolation level than READ COMMITTED.';

CREATE FUNCTION @extschema@.promo_reserve(
    cart jsonb,
    codes text[],
    idempotency_key text,
    hold interval DEFAULT NULL,
    partial boolean DEFAULT false,
    as_of timestamptz DEFAULT now(),
    OUT reserved boolean,
    OUT redemption_id bigint,
    OUT reserved_until timestamptz,
    OUT discount numeric,
    OUT to_pay numeric,
    OUT answers jsonb,
    OUT result jsonb)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    hold := coalesce(hold, make_interval(mins => iaros.setting_get('promo_reserve_minutes')::integer));
    SELECT c.done, c.redemption_id, c.held_until, c.discount, c.to_pay, c.answers, c.result
    INTO reserved, redemption_id, reserved_until, discount, to_pay, answers, result
    FROM iaros.promo_commit(cart, codes, idempotency_key, hold, partial, as_of) c;
END $$;
COMMENT ON FUNCTION @extschema@.promo_reserve(jsonb, text[], text, interval, boolean, timestamptz) IS
'Holds what promo_redeem() would redeem before it is paid: the uses count from now on, until promo_redeem() with the same key, cart and codes makes them a redemption, promo_release() gives them back, or hold has passed (NULL: setting promo_reserve_minutes; up to 30 days). A second call with the key returns the reservation, or redemption, that is there. Errors: those of promo_redeem(), 22023 hold out of its range.';

CREATE FUNCTION @extschema@.promo_run() RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.promo_expire() + iaros.promo_prune();
END $$;
COMMENT ON FUNCTION @extschema@.promo_run() IS
'Takes back reservations that timed out and deletes counters of periods that ended more than 3 days ago; returns how many. For job iaros-promotions.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.promo_install_gates()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE FUNCTION iaros.promo_commit(
        cart jsonb,
        codes text[],
        idempotency_key text,
        hold interval,
        partial boolean,
        as_of timestamptz,
        OUT done boolean,
        OUT redemption_id bigint,
        OUT held_until timestamptz,
        OUT discount numeric,
        OUT to_pay numeric,
        OUT answers jsonb,
        OUT result jsonb)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan
        AS $gate$
    #variable_conflict use_column
    DECLARE
        customer bigint;
        ids bigint[];
        asked_for bigint;
        old jsonb;
        d record;
        refused jsonb := '{}';
        limited bigint;
        late bigint[];
        tidied boolean := false;
        patient boolean := false;
    BEGIN
        IF promo_commit.idempotency_key IS NULL OR promo_commit.idempotency_key = '' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'null_value_not_allowed',
                MESSAGE = 'a redemption needs an idempotency key',
                HINT = 'Give a text that names the purchase, such as its booking reference.';
        END IF;
        customer := iaros.promo_customer(promo_commit.cart);
        IF customer IS NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'null_value_not_allowed',
                MESSAGE = 'a redemption needs a customer',
                HINT = 'Give the cart a customer; make a visitor one of kind anonymous.';
        END IF;
        IF promo_commit.hold <= interval '0' OR promo_commit.hold > interval '30 days' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('cannot reserve for %s', promo_commit.hold),
                HINT = 'Give a time up to 30 days.';
        END IF;
        -- The person may have another id by now, the booking may be known.
        asked_for := hashtextextended(concat(promo_commit.cart - '{booking,customer}'::text[], coalesce(promo_commit.codes, '{}')), 0);
        PERFORM iaros.promo_isolation_check('redeem');
        promo_commit.as_of := coalesce(promo_commit.as_of, now());
        -- Who adds a limit waits for what is not finished, and is waited for.
        LOCK TABLE iaros.promo_redemption IN ROW EXCLUSIVE MODE;
        ids := iaros.promo_person(customer);
        -- A reservation under the key that has timed out is none.
        late := ARRAY(
            SELECT r.redemption_id FROM iaros.promo_redemption r
            WHERE r.customer_id = ANY (ids) AND r.idempotency_key = promo_commit.idempotency_key
              AND r.state = 'reserved' AND r.reserved_until <= now() FOR UPDATE);
        -- Locked, as another session may be taking it back.
        SELECT to_jsonb(r.*) INTO old FROM iaros.promo_redemption r
        WHERE r.customer_id = ANY (ids) AND r.idempotency_key = promo_commit.idempotency_key
          AND r.state <> 'released' AND r.redemption_id <> ALL (late)
        ORDER BY r.customer_id = customer DESC, r.redemption_id LIMIT 1 FOR NO KEY UPDATE;
        IF FOUND THEN
            SELECT a.* INTO done, redemption_id, held_until, discount, to_pay, answers, result
            FROM iaros.promo_again(old, asked_for, promo_commit.cart, promo_commit.hold) a;
            RETURN;
        END IF;
        IF promo_commit.as_of <> now() THEN
            PERFORM iaros.promo_time_check(promo_commit.as_of);
        END IF;
        LOOP
            d := iaros.promo_decide(promo_commit.cart, promo_commit.codes, promo_commit.as_of, refused, ids);
            -- Reservations that have timed out may hold what is missing.
            IF NOT tidied AND (late <> '{}' OR jsonb_path_exists(d.result, '$.left_out[*].reasons[*] ? (@.reason == "limit")')) THEN
                tidied := true;
                IF iaros.promo_make_room(late, d.promotions, d.asked) THEN
                    refused := '{}';
                    CONTINUE;
                END IF;
            END IF;
            result := d.result;
            answers := iaros.promo_answers(d.asked, d.result);
            discount := result ->> 'discount';
            to_pay := result ->> 'to_pay';
            done := result -> 'promotions' <> '[]' AND (promo_commit.partial IS TRUE OR NOT answers @> '[{"applied": false}]');
            IF NOT done THEN
                RETURN;
            END IF;
            IF d.slotted IS NOT TRUE THEN
                redemption_id := iaros.promo_store(customer, promo_commit.idempotency_key, promo_commit.codes, asked_for,
                    promo_commit.as_of, now() + promo_commit.hold, d.full_cart, d.policy, d.promotions, d.asked, answers, d.result);
                IF NOT d.slotted THEN
                    limited := iaros.promo_count_uses(customer, redemption_id, patient);
                END IF;
                EXIT;
            END IF;
            BEGIN
                redemption_id := iaros.promo_store(customer, promo_commit.idempotency_key, promo_commit.codes, asked_for,
                    promo_commit.as_of, now() + promo_commit.hold, d.full_cart, d.policy, d.promotions, d.asked, answers, d.result);
                limited := iaros.promo_count_uses(customer, redemption_id, patient);
                EXIT WHEN limited IS NULL;
                RAISE EXCEPTION USING ERRCODE = 'UA001', MESSAGE = 'limit reached';
            EXCEPTION WHEN SQLSTATE 'UA001' THEN
                -- Others took the last: without this promotion, and without
                -- the locks held so far, once more.
                refused := refused || jsonb_build_object(limited::text, coalesce(
                    iaros.promo_limit_reasons(limited,
                        (SELECT a ->> 'coupon' FROM jsonb_array_elements(d.asked) AS a WHERE a -> 'promo_id' = to_jsonb(limited) AND a -> 'reasons' = '[]'),
                        '{}', NULL, promo_commit.as_of),
                    '[{"reason": "limit"}]'));
            WHEN SQLSTATE 'UA002' THEN
                -- Others hold all slots: once more, waiting for them in order.
                patient := true;
            END;
        END LOOP;
        held_until := now() + promo_commit.hold;
        PERFORM iaros.audit_append(CASE WHEN promo_commit.hold IS NULL THEN 'promo.redeem' ELSE 'promo.reserve' END, 'promo',
            translate(jsonb_path_query_array(result, '$.promotions[*].code')::text, '[]" ', ''),
            customer, jsonb_build_object('redemption_id', redemption_id, 'amount', result -> 'amount',
                'currency', result -> 'currency', 'discount', discount));
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_commit(jsonb, text[], text, interval, boolean, timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_commit(jsonb, text[], text, interval, boolean, timestamptz) IS
        'Gate behind promo_redeem() (hold NULL) and promo_reserve(). SECURITY DEFINER, so that roles which operate can redeem without the right to change counters and ledger. Locks, in this order: the customer, the customer''s counters, slots of other counters by promo_limit_id; where reservations that timed out make room, all slots that are given back or may be taken, in that order; so two calls do not deadlock.';

    CREATE FUNCTION iaros.promo_person(customer_id bigint) RETURNS bigint[]
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $body$
    #variable_conflict use_column
    DECLARE
        ids bigint[];
    BEGIN
        -- Who was recognised while this waited is somebody else's alias now.
        LOOP
            ids := iaros.customer_lock(ARRAY[promo_person.customer_id]);
            EXIT WHEN NOT EXISTS (SELECT FROM iaros.customer_alias a
                                  WHERE a.customer_id = promo_person.customer_id AND a.master_id <> ALL (ids));
        END LOOP;
        RETURN ARRAY(SELECT unnest(ids) UNION SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = ANY (ids));
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_person(bigint) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_person(bigint) IS
        'Locks the person whom a customer is, so that all that one redeems is one after the other, and returns all ids of the person. For promo_commit() and promo_held().';

    CREATE FUNCTION iaros.promo_held(
        INOUT customer_id bigint,
        idempotency_key text,
        OUT redemption_id bigint,
        OUT state iaros.promo_state)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $body$
    #variable_conflict use_column
    DECLARE
        named bigint := promo_held.customer_id;
        ids bigint[];
    BEGIN
        LOCK TABLE iaros.promo_redemption IN ROW EXCLUSIVE MODE;
        ids := iaros.promo_person(named);
        -- Two ids of a person may each have a purchase under the key.
        SELECT r.customer_id, r.redemption_id, r.state INTO customer_id, redemption_id, state
        FROM iaros.promo_redemption r
        WHERE r.customer_id = ANY (ids) AND r.idempotency_key = promo_held.idempotency_key AND r.state <> 'released'
        ORDER BY r.customer_id = named DESC, r.redemption_id LIMIT 1 FOR UPDATE;
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_held(bigint, text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_held(bigint, text) IS
        'Locks a customer and the redemption or reservation under a key and returns which that is, of which id of the person, and its state; redemption_id is NULL where there is none. For promo_release() and promo_rollback().';

    CREATE FUNCTION iaros.promo_take_back(due bigint[], promo_ids bigint[], codes text[]) RETURNS void
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $body$
    DECLARE
        before jsonb;
    BEGIN
        IF due = '{}' THEN
            RETURN;
        END IF;
        SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') INTO before FROM iaros.promo_count c WHERE c.redemption_id = ANY (due);
        -- Counters in the order of everybody, and slots that are taken later.
        PERFORM FROM iaros.promo_customer_counter t
        WHERE (t.customer_id, t.promo_limit_id, t.booking_id, t.period_start) IN (
            SELECT b.customer_id, b.promo_limit_id, b.booking_id, b.period_start
            FROM jsonb_to_recordset(before) AS b(customer_id bigint, promo_limit_id bigint, booking_id bigint, period_start date))
        ORDER BY t.promo_limit_id, t.period_start, t.customer_id FOR UPDATE;
        PERFORM FROM iaros.promo_counter s
        WHERE (s.promo_limit_id, s.code, s.period_start) IN (
                SELECT b.promo_limit_id, b.code, b.period_start
                FROM jsonb_to_recordset(before) AS b(promo_limit_id bigint, code text, period_start date))
           OR s.code = ANY (codes || ''::text) AND s.promo_limit_id IN (
                SELECT l.promo_limit_id FROM iaros.promo_limit l WHERE l.promo_id = ANY (promo_ids))
        ORDER BY s.promo_limit_id, s.code, s.period_start, s.slot FOR UPDATE;
        UPDATE iaros.promo_use u SET counted = false WHERE u.redemption_id = ANY (due);
        UPDATE iaros.promo_redemption r SET state = 'released' WHERE r.redemption_id = ANY (due) AND r.state = 'reserved';
        PERFORM iaros.promo_give_back(before);
        PERFORM iaros.audit_append('promo.expire', 'promo', NULL, NULL, jsonb_build_object('redemption_ids', due));
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_take_back(bigint[], bigint[], text[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_take_back(bigint[], bigint[], text[]) IS
        'Takes back reservations whose rows and customers are locked. promo_ids and codes: what the caller may count after that; the slots for it are locked too, so that all are in order. Writes an audit row. For promo_expire() and promo_commit().';

    CREATE FUNCTION iaros.promo_make_room(late bigint[], promotions jsonb, asked jsonb) RETURNS boolean
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $body$
    DECLARE
        wanted bigint[] := ARRAY(SELECT (p ->> 'id')::bigint FROM jsonb_array_elements(promotions) AS p);
        due bigint[] := late || ARRAY(
            SELECT r.redemption_id FROM iaros.promo_redemption r
            JOIN iaros.customer c ON c.customer_id = r.customer_id
            WHERE r.state = 'reserved' AND r.reserved_until <= now() AND r.redemption_id <> ALL (late)
              AND EXISTS (SELECT FROM iaros.promo_use u
                          WHERE u.customer_id = r.customer_id AND u.redemption_id = r.redemption_id AND u.promo_id = ANY (wanted))
            ORDER BY r.reserved_until LIMIT 100
            FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF c SKIP LOCKED);
    BEGIN
        PERFORM iaros.promo_take_back(due, wanted, ARRAY(
            SELECT iaros.promo_code_normal((a ->> 'coupon')::iaros.promo_code) FROM jsonb_array_elements(asked) AS a WHERE a ->> 'coupon' IS NOT NULL));
        RETURN due <> '{}';
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_make_room(bigint[], jsonb, jsonb) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_make_room(bigint[], jsonb, jsonb) IS
        'Takes back late, reservations of the caller''s customer, and at most 100 others of some promotions that timed out, and tells whether there were any. asked: the codes of promo_asked(). For promo_commit(), before it holds a slot.';

    CREATE FUNCTION iaros.promo_store(
        customer_id bigint,
        idempotency_key text,
        codes text[],
        request bigint,
        as_of timestamptz,
        held_until timestamptz,
        full_cart jsonb,
        policy jsonb,
        promotions jsonb,
        asked jsonb,
        answers jsonb,
        result jsonb)
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan
        AS $body$
    #variable_conflict use_column
    DECLARE
        id bigint := nextval('iaros.promo_redemption_id_seq');
        currency text := result ->> 'currency';
        day date := (promo_store.as_of AT TIME ZONE 'UTC')::date;
        in_base boolean := currency = iaros.setting_get('base_currency');
        full_amount numeric := result ->> 'amount';
        chosen jsonb := jsonb_build_object('ids', jsonb_path_query_array(result, '$.promotions[*].id'));
    BEGIN
        INSERT INTO iaros.promo_redemption (customer_id, redemption_id, idempotency_key, state, currency, amount, discount, booking_id,
            redeemed_at, reserved_until, codes, request, cart, promotions, policy, answers, result)
        VALUES (promo_store.customer_id, id, promo_store.idempotency_key,
            CASE WHEN held_until IS NULL THEN 'redeemed' ELSE 'reserved' END::iaros.promo_state, currency,
            full_amount, (result ->> 'discount')::numeric, (full_cart ->> 'booking')::numeric::bigint,
            promo_store.as_of, promo_store.held_until, ARRAY(SELECT left(u.c, 64) FROM unnest(promo_store.codes) WITH ORDINALITY AS u(c, n) ORDER BY n),
            promo_store.request, full_cart,
            to_jsonb(ARRAY(SELECT p - '{asked,refused}'::text[]
                FROM jsonb_path_query(promo_store.promotions, '$[*] ? (@.id == $ids[*])', chosen) AS p)),
            promo_store.policy, promo_store.answers, promo_store.result - 'left_out');
        INSERT INTO iaros.promo_use (customer_id, redemption_id, promo_id, code, discount, points, discount_base, amount_base)
        SELECT promo_store.customer_id, id, (x ->> 'id')::bigint,
            (jsonb_path_query_first(asked, '$[*] ? (@.promo_id == $id && @.reasons.size() == 0)', x) ->> 'coupon')::iaros.promo_code,
            (x ->> 'discount')::numeric, coalesce((x ->> 'points')::bigint, 0),
            CASE WHEN in_base THEN (x ->> 'discount')::numeric ELSE iaros.fx_convert((x ->> 'discount')::numeric, currency, day) END,
            CASE WHEN in_base THEN full_amount ELSE iaros.fx_convert(full_amount, currency, day) END
        FROM jsonb_array_elements(result -> 'promotions') AS x;
        RETURN id;
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_store(bigint, text, text[], bigint, timestamptz, timestamptz, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_store(bigint, text, text[], bigint, timestamptz, timestamptz, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb) IS
        'Writes a redemption and its uses and returns its redemption_id. For promo_commit().';

    CREATE FUNCTION iaros.promo_count_uses(customer_id bigint, redemption_id bigint, patient boolean) RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        SET plan_cache_mode = force_generic_plan
        AS $body$
    #variable_conflict use_column
    DECLARE
        c record;
    BEGIN
        FOR c IN
            SELECT t.* FROM iaros.promo_count t
            WHERE t.customer_id = promo_count_uses.customer_id AND t.redemption_id = promo_count_uses.redemption_id
            ORDER BY t.scope IN ('total', 'code'), t.promo_limit_id
        LOOP
            IF c.scope IN ('customer', 'booking') THEN
                INSERT INTO iaros.promo_customer_counter AS u (customer_id, promo_limit_id, booking_id, period_start, value)
                VALUES (c.customer_id, c.promo_limit_id, c.booking_id, c.period_start, c.need)
                ON CONFLICT ON CONSTRAINT promo_customer_counter_pkey DO UPDATE SET value = u.value + excluded.value;
            ELSIF NOT iaros.promo_counter_take(c.promo_limit_id, c.code, c.period_start, c.need, patient) THEN
                RETURN c.promo_id;
            END IF;
        END LOOP;
        RETURN NULL;
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_count_uses(bigint, bigint, boolean) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_count_uses(bigint, bigint, boolean) IS
        'Counts the uses of a new redemption for all limits, those of customers and bookings first, the others in the order of promo_limit_id; returns the promotion of the first limit that has not so much left, NULL when all is counted; patient: of promo_counter_take(). For promo_commit(), which has looked at the limits of customers and bookings.';

    CREATE FUNCTION iaros.promo_again(
        old jsonb,
        request bigint,
        cart jsonb,
        hold interval,
        OUT done boolean,
        OUT redemption_id bigint,
        OUT held_until timestamptz,
        OUT discount numeric,
        OUT to_pay numeric,
        OUT answers jsonb,
        OUT result jsonb)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
        SET search_path = pg_catalog, pg_temp
        AS $body$
    #variable_conflict use_column
    DECLARE
        customer bigint := old ->> 'customer_id';
        booking bigint := (cart ->> 'booking')::numeric;
        over jsonb;
    BEGIN
        redemption_id := old ->> 'redemption_id';
        IF old -> 'request' <> to_jsonb(promo_again.request) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('idempotency key "%s" was used for another purchase', old ->> 'idempotency_key'),
                DETAIL = format('It is that of redemption %s, of codes %s.', redemption_id, old ->> 'codes'),
                HINT = 'Give each purchase a key of its own.';
        ELSIF old ->> 'state' = 'returned' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('the redemption of idempotency key "%s" was returned', old ->> 'idempotency_key'),
                HINT = 'Give the new purchase a key of its own.';
        END IF;
        done := true;
        result := old -> 'result';
        discount := result ->> 'discount';
        to_pay := result ->> 'to_pay';
        answers := old -> 'answers';
        IF old ->> 'state' <> 'reserved' OR hold IS NOT NULL THEN
            held_until := CASE WHEN old ->> 'state' = 'reserved' THEN old ->> 'reserved_until' END;
            RETURN;
        END IF;
        -- A reservation becomes a redemption; its booking may be known now.
        SELECT jsonb_agg(r) INTO over
        FROM iaros.promo_use u
        CROSS JOIN LATERAL jsonb_array_elements(iaros.promo_limit_reasons(u.promo_id, NULL, ARRAY[customer], booking, (old ->> 'redeemed_at')::timestamptz,
            u.discount_base, u.amount_base)) AS r
        WHERE u.customer_id = customer AND u.redemption_id = promo_again.redemption_id
          AND booking IS NOT NULL AND old ->> 'booking_id' IS NULL AND r ->> 'scope' = 'booking';
        IF over IS NOT NULL THEN
            done := false;
            answers := (SELECT jsonb_agg(a || jsonb_build_object('applied', false, 'reasons', over)) FROM jsonb_array_elements(answers) AS a);
            RETURN;
        END IF;
        UPDATE iaros.promo_redemption r SET state = 'redeemed', booking_id = coalesce(r.booking_id, booking)
        WHERE r.customer_id = customer AND r.redemption_id = promo_again.redemption_id;
        IF booking IS NOT NULL AND old ->> 'booking_id' IS NULL THEN
            PERFORM iaros.promo_customer_recount(customer, redemption_id);
        END IF;
        PERFORM iaros.audit_append('promo.redeem', 'promo', old ->> 'codes', customer,
            jsonb_build_object('redemption_id', redemption_id, 'reserved_at', old -> 'redeemed_at', 'discount', discount));
    END $body$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_again(jsonb, bigint, jsonb, interval) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_again(jsonb, bigint, jsonb, interval) IS
        'Returns what is there under an idempotency key, and makes a reservation a redemption where hold is NULL. Errors: 22023 the key was used for another purchase, 55000 its redemption was returned. For promo_commit().';

    CREATE FUNCTION iaros.promo_release(customer_id bigint, idempotency_key text) RETURNS boolean
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        held record;
        codes text[];
        before jsonb;
    BEGIN
        held := iaros.promo_held(promo_release.customer_id, promo_release.idempotency_key);
        IF held.redemption_id IS NULL THEN
            RETURN false;
        ELSIF held.state <> 'reserved' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('redemption %s is %s, not reserved', held.redemption_id, held.state),
                HINT = 'Take back what was redeemed with promo_rollback().';
        END IF;
        before := iaros.promo_counts(held.customer_id, held.redemption_id);
        UPDATE iaros.promo_use u SET counted = false
        WHERE u.customer_id = held.customer_id AND u.redemption_id = held.redemption_id;
        UPDATE iaros.promo_redemption r SET state = 'released'
        WHERE r.customer_id = held.customer_id AND r.redemption_id = held.redemption_id
        RETURNING r.codes INTO codes;
        PERFORM iaros.promo_give_back(before);
        PERFORM iaros.audit_append('promo.release', 'promo', array_to_string(codes, ','), held.customer_id,
            jsonb_build_object('redemption_id', held.redemption_id));
        RETURN true;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_release(bigint, text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_release(bigint, text) IS
        'Gate: gives back what promo_reserve() holds for a customer under a key; returns false when nothing is held. SECURITY DEFINER as promo_commit(). Writes an audit row. Error: 55000 it was redeemed.';

    CREATE FUNCTION iaros.promo_expire(batch integer DEFAULT 1000) RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        due bigint[];
    BEGIN
        LOCK TABLE iaros.promo_redemption IN ROW EXCLUSIVE MODE;
        due := ARRAY(SELECT r.redemption_id FROM iaros.promo_redemption r
            JOIN iaros.customer c ON c.customer_id = r.customer_id
            WHERE r.state = 'reserved' AND r.reserved_until <= now()
            ORDER BY r.reserved_until LIMIT batch
            FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF c SKIP LOCKED);
        PERFORM iaros.promo_take_back(due, '{}', '{}');
        RETURN cardinality(due);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_expire(integer) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_expire(integer) IS
        'Gate: takes back at most batch reservations whose time has passed, the oldest first, and returns how many. Those that another session is about to redeem, and those of customers for whom another session redeems, are left for the next time. SECURITY DEFINER as promo_commit().';

    CREATE FUNCTION iaros.promo_prune() RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        zone text := iaros.setting_get('brand_time_zone');
        pruned bigint;
        more bigint;
    BEGIN
        -- What a return holds is left for the next time.
        DELETE FROM iaros.promo_counter c WHERE c.ctid = ANY (ARRAY(
            SELECT s.ctid FROM iaros.promo_counter s
            JOIN iaros.promo_limit l ON l.promo_limit_id = s.promo_limit_id AND l.period <> 'ever'
            WHERE s.period_start < iaros.promo_period_start(l.period, now() - interval '3 days', zone)
            FOR UPDATE OF s SKIP LOCKED));
        GET DIAGNOSTICS pruned = ROW_COUNT;
        DELETE FROM iaros.promo_customer_counter c WHERE c.ctid = ANY (ARRAY(
            SELECT s.ctid FROM iaros.promo_customer_counter s
            JOIN iaros.promo_limit l ON l.promo_limit_id = s.promo_limit_id AND l.period <> 'ever'
            WHERE s.period_start < iaros.promo_period_start(l.period, now() - interval '3 days', zone)
            FOR UPDATE OF s SKIP LOCKED));
        GET DIAGNOSTICS more = ROW_COUNT;
        RETURN pruned + more;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_prune() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_prune() IS
        'Gate: deletes counters of periods that ended more than 3 days ago and returns how many rows. SECURITY DEFINER as promo_commit(). For promo_run().';

    CREATE FUNCTION iaros.promo_rollback(
        customer_id bigint,
        idempotency_key text,
        lines jsonb DEFAULT NULL,
        return_key text DEFAULT NULL,
        keep_uses boolean DEFAULT false,
        reason text DEFAULT NULL,
        OUT refund numeric,
        OUT discount numeric,
        OUT to_pay numeric,
        OUT state text,
        OUT result jsonb)
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        held record;
        old record;
        given record;
        before jsonb;
        rest jsonb;
        base_currency text := iaros.setting_get('base_currency');
        paid numeric;
        rest_amount numeric;
    BEGIN
        held := iaros.promo_held(promo_rollback.customer_id, promo_rollback.idempotency_key);
        SELECT r.* INTO old FROM iaros.promo_redemption r
        WHERE r.customer_id = held.customer_id AND r.redemption_id = held.redemption_id;
        IF NOT FOUND OR old.state = 'reserved' THEN
            RAISE EXCEPTION USING
                ERRCODE = CASE WHEN old.state IS NULL THEN 'no_data_found' ELSE 'object_not_in_prerequisite_state' END,
                MESSAGE = format('nothing is redeemed under idempotency key "%s" for customer %s',
                    coalesce(left(promo_rollback.idempotency_key, 64), '(NULL)'), coalesce(promo_rollback.customer_id::text, '(NULL)')),
                HINT = 'A reservation is given back with promo_release().';
        END IF;
        promo_rollback.return_key := coalesce(promo_rollback.return_key,
            CASE WHEN promo_rollback.lines IS NULL THEN 'iaros:all' ELSE format('iaros:lines %s', md5(promo_rollback.lines::text)) END);
        SELECT t.* INTO given FROM iaros.promo_return t
        WHERE t.customer_id = old.customer_id AND t.redemption_id = old.redemption_id AND t.return_key = promo_rollback.return_key;
        state := old.state;
        paid := iaros.money_round(old.amount - old.discount, old.currency::text);
        IF given.return_key IS NOT NULL THEN
            refund := iaros.money_round(given.refund, old.currency::text);
            discount := iaros.money_round(old.discount, old.currency::text);
            to_pay := iaros.money_round(paid, old.currency::text);
            result := old.result;
            RETURN;
        ELSIF old.state = 'returned' THEN
            RAISE EXCEPTION USING
                ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('all of redemption %s was returned before', old.redemption_id);
        END IF;
        rest := CASE WHEN promo_rollback.lines IS NULL THEN jsonb_set(old.cart, '{lines}', '[]')
            ELSE iaros.promo_cart_without(old.cart, promo_rollback.lines) END;
        -- What is left gets those of its promotions that it still qualifies for.
        result := iaros.promo_best_set(CASE WHEN rest -> 'lines' = '[]' THEN '[]' ELSE old.promotions END, rest, 'customer', old.policy) - 'left_out';
        state := CASE WHEN rest -> 'lines' = '[]' THEN 'returned' ELSE 'redeemed' END;
        rest_amount := result ->> 'amount';
        refund := greatest(paid - (result ->> 'to_pay')::numeric, 0);
        to_pay := paid - refund;
        discount := rest_amount - to_pay;
        before := iaros.promo_counts(old.customer_id, old.redemption_id);
        UPDATE iaros.promo_use u
        -- A promotion may take more off what is left when another falls away;
        -- a return takes nothing more of its budget.
        SET discount = least(coalesce(x.discount, 0), v.discount), points = coalesce(x.points, 0),
            -- At the rate of then, whatever became of it since.
            discount_base = iaros.money_round(CASE WHEN coalesce(x.discount, 0) >= v.discount THEN v.discount_base
                ELSE v.discount_base * coalesce(x.discount, 0) / v.discount END, base_currency),
            amount_base = iaros.money_round(CASE WHEN rest_amount >= old.amount THEN v.amount_base
                ELSE v.amount_base * rest_amount / old.amount END, base_currency),
            counted = u.counted AND (x.id IS NOT NULL OR promo_rollback.keep_uses)
        FROM iaros.promo_use v
        LEFT JOIN (SELECT (p ->> 'id')::bigint AS id, (p ->> 'discount')::numeric AS discount, (p ->> 'points')::bigint AS points
                   FROM jsonb_array_elements(promo_rollback.result -> 'promotions') AS p) AS x ON x.id = v.promo_id
        WHERE v.customer_id = old.customer_id AND v.redemption_id = old.redemption_id
          AND u.customer_id = v.customer_id AND u.redemption_id = v.redemption_id AND u.promo_id = v.promo_id;
        UPDATE iaros.promo_redemption r
        SET state = promo_rollback.state::iaros.promo_state, amount = rest_amount,
            discount = promo_rollback.discount, cart = rest, result = promo_rollback.result
        WHERE r.customer_id = old.customer_id AND r.redemption_id = old.redemption_id;
        INSERT INTO iaros.promo_return (customer_id, redemption_id, return_key, lines, refund, kept, reason)
        VALUES (old.customer_id, old.redemption_id, promo_rollback.return_key,
            coalesce(promo_rollback.lines, old.cart -> 'lines'), promo_rollback.refund, promo_rollback.keep_uses, promo_rollback.reason);
        PERFORM iaros.promo_give_back(before);
        PERFORM iaros.audit_append('promo.return', 'promo', array_to_string(old.codes, ','), old.customer_id,
            jsonb_build_object('redemption_id', old.redemption_id, 'refund', refund, 'state', state, 'kept', keep_uses, 'reason', reason));
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_rollback(bigint, text, jsonb, text, boolean, text) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_rollback(bigint, text, jsonb, text, boolean, text) IS
        'Gate: takes back what a customer redeemed under a key: all of it, or lines, a list of id and quantity (left out: the whole line). What is left is priced anew with its promotions as they and the customer were then; promotions that it does not qualify for any more fall away, and their uses can be had again, unless keep_uses (as after fraud). Returns what is to be paid back, the discount and price of what is left, its state and what promo_best_set() says of it. refund is never below zero: who returns a part and would have to pay more for the rest keeps the rest at the old price. A second call with the same return_key (NULL: the lines themselves) returns the first one''s refund and changes nothing. SECURITY DEFINER as promo_commit(). Writes an audit row. Errors: P0002 nothing under that key, 55000 it is only reserved, or all was returned, 22023 lines that are not there or not so many.';

    CREATE FUNCTION iaros.promo_limit_recount() RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        since date;
    BEGIN
        -- No other session has used a promotion that was made in this one.
        IF TG_OP = 'INSERT' AND EXISTS (
            SELECT FROM iaros.promo p WHERE p.promo_id = NEW.promo_id AND p.created_at = now()
              AND p.xmin::text = pg_current_xact_id()::xid::text)
            AND NOT EXISTS (SELECT FROM iaros.promo_use u WHERE u.promo_id = NEW.promo_id AND u.counted) THEN
            RETURN NULL;
        END IF;
        LOCK TABLE iaros.promo_redemption IN SHARE ROW EXCLUSIVE MODE;
        PERFORM iaros.promo_isolation_check('count a limit');
        DELETE FROM iaros.promo_customer_counter c WHERE c.promo_limit_id = coalesce(OLD.promo_limit_id, NEW.promo_limit_id);
        IF TG_OP = 'DELETE' THEN
            RETURN NULL;
        END IF;
        DELETE FROM iaros.promo_counter c WHERE c.promo_limit_id = NEW.promo_limit_id;
        since := iaros.promo_period_start(NEW.period, now() - interval '1 day', iaros.setting_get('brand_time_zone'));
        PERFORM iaros.promo_counter_open(NEW.promo_limit_id, u.code, u.period_start, u.used)
        FROM (SELECT c.code, c.period_start, sum(c.need) AS used FROM iaros.promo_count c
              WHERE c.promo_limit_id = NEW.promo_limit_id AND c.scope IN ('total', 'code') AND c.period_start >= since
              GROUP BY 1, 2) AS u;
        INSERT INTO iaros.promo_customer_counter (customer_id, promo_limit_id, booking_id, period_start, value)
        SELECT c.customer_id, c.promo_limit_id, c.booking_id, c.period_start, sum(c.need)
        FROM iaros.promo_count c
        WHERE c.promo_limit_id = NEW.promo_limit_id AND c.scope IN ('customer', 'booking') AND c.period_start >= since
        GROUP BY 1, 2, 3, 4;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_limit_recount() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_limit_recount() IS
        'Trigger: a new or changed limit counts what was used before, and a deleted one takes its counters along. Redemptions wait for it, and it for those that are not finished. SECURITY DEFINER, so that who changes a limit needs no right on the counters. Error: 0A000 under another isolation level than READ COMMITTED. O(uses of the promotion).';
    CREATE TRIGGER promo_limit_recount
        AFTER INSERT OR UPDATE OR DELETE ON iaros.promo_limit
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_limit_recount();

    CREATE FUNCTION iaros.promo_keep() RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        kept text;
    BEGIN
        LOCK TABLE iaros.promo_redemption IN SHARE ROW EXCLUSIVE MODE;
        PERFORM iaros.promo_isolation_check('delete a promotion');
        IF TG_OP = 'TRUNCATE' THEN
            kept := (SELECT u.promo_id FROM iaros.promo_use u LIMIT 1);
        ELSIF EXISTS (SELECT FROM iaros.promo_use u WHERE u.promo_id = OLD.promo_id) THEN
            kept := OLD.promo_id;
        END IF;
        IF kept IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'foreign_key_violation',
                MESSAGE = format('promotion %s was redeemed', kept),
                HINT = 'Take it out of use by is_active.';
        END IF;
        RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_keep() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_keep() IS
        'Trigger: promotions that were redeemed are not deleted, and keep their promo_id. Redemptions wait for it, and it for those that are not finished. SECURITY DEFINER, so that who deletes a promotion needs no right on the ledger. Errors: 23503 it was redeemed, 0A000 under another isolation level than READ COMMITTED.';
    CREATE TRIGGER promo_keep_delete BEFORE DELETE ON iaros.promo
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_keep();
    CREATE TRIGGER promo_keep_id BEFORE UPDATE OF promo_id ON iaros.promo
        FOR EACH ROW WHEN (NEW.promo_id <> OLD.promo_id) EXECUTE FUNCTION iaros.promo_keep();
    CREATE TRIGGER promo_keep_truncate BEFORE TRUNCATE ON iaros.promo
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_keep();

    CREATE FUNCTION iaros.promo_redemption_past() RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        l record;
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            INSERT INTO iaros.promo_past (promo_id, code, used_at, discount_base, amount_base)
            SELECT u.promo_id, c.code, r.redeemed_at, u.discount_base, u.amount_base
            FROM iaros.promo_use u
            JOIN iaros.promo_redemption r ON r.customer_id = u.customer_id AND r.redemption_id = u.redemption_id
            LEFT JOIN iaros.promo_coupon c ON c.code OPERATOR(iaros.=) u.code AND c.customer_id IS NULL
            WHERE u.counted AND r.state <> 'reserved';
            RETURN NULL;
        END IF;
        -- A reservation was no use yet, a coupon of the person's own counts for
        -- nobody else: what is not kept is given back.
        FOR l IN
            SELECT t.promo_limit_id, t.code, t.period_start, t.need, t.scope FROM iaros.promo_count t
            LEFT JOIN iaros.promo_use u ON u.customer_id = t.customer_id AND u.redemption_id = t.redemption_id AND u.promo_id = t.promo_id
            LEFT JOIN iaros.promo_coupon c ON c.code OPERATOR(iaros.=) u.code AND c.customer_id IS NULL
            WHERE t.customer_id = OLD.customer_id AND t.redemption_id = OLD.redemption_id
              AND (t.scope IN ('total', 'code') AND OLD.state = 'reserved' OR t.scope = 'code' AND c.code IS NULL)
            ORDER BY t.promo_limit_id
        LOOP
            PERFORM iaros.promo_counter_give(l.promo_limit_id, l.code, l.period_start, l.need);
            -- It names the person, perhaps.
            DELETE FROM iaros.promo_counter s WHERE l.scope = 'code' AND s.promo_limit_id = l.promo_limit_id
              AND s.code = l.code AND s.period_start = l.period_start AND s.value = 0;
        END LOOP;
        INSERT INTO iaros.promo_past (promo_id, code, used_at, discount_base, amount_base)
        SELECT u.promo_id, c.code, OLD.redeemed_at, u.discount_base, u.amount_base
        FROM iaros.promo_use u
        LEFT JOIN iaros.promo_coupon c ON c.code OPERATOR(iaros.=) u.code AND c.customer_id IS NULL
        WHERE u.customer_id = OLD.customer_id AND u.redemption_id = OLD.redemption_id AND u.counted AND OLD.state <> 'reserved';
        RETURN OLD;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_redemption_past() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_redemption_past() IS
        'Trigger: the uses of a redemption that is deleted with its customer go on counting for limits, without the person; what was only reserved is given back, and what was counted for the coupon of that person alone. SECURITY DEFINER, so that who deletes a customer needs no right on that table.';
    CREATE TRIGGER promo_redemption_past BEFORE DELETE ON iaros.promo_redemption
        FOR EACH ROW EXECUTE FUNCTION iaros.promo_redemption_past();
    CREATE TRIGGER promo_redemption_truncate BEFORE TRUNCATE ON iaros.promo_redemption
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_redemption_past();

    CREATE FUNCTION iaros.promo_count_again() RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        PERFORM iaros.install_check();
        IF TG_OP = 'TRUNCATE' THEN
            UPDATE iaros.promo_limit l SET maximum = l.maximum;
        ELSIF EXISTS (SELECT FROM old_rows o JOIN new_rows n ON n.name = o.name
                      WHERE o.name = 'brand_time_zone' AND n.value <> o.value) THEN
            UPDATE iaros.promo_limit l SET maximum = l.maximum WHERE l.period <> 'ever';
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_count_again() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_count_again() IS
        'Trigger: limits count anew when all redemptions are gone, those of a period when brand_time_zone, and with it the days, are others. SECURITY DEFINER, so that who changes a setting needs no right on limits and counters.';
    CREATE TRIGGER promo_count_again AFTER TRUNCATE ON iaros.promo_redemption
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_count_again();
    -- After setting_invalidate, so that the new value is known.
    CREATE TRIGGER setting_promo_zone AFTER UPDATE ON iaros.setting
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_count_again();

    CREATE FUNCTION iaros.promo_customer_gone() RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        -- Who makes a coupon for a customer holds the customer.
        IF TG_OP = 'DELETE' THEN
            DELETE FROM iaros.promo_counter t USING iaros.promo_coupon c, old_rows o, iaros.promo_limit l
            WHERE c.customer_id = o.customer_id AND l.promo_id = c.promo_id AND l.scope = 'code'
              AND t.promo_limit_id = l.promo_limit_id AND t.code = iaros.promo_code_normal(c.code);
            DELETE FROM iaros.promo_coupon c USING old_rows o WHERE c.customer_id = o.customer_id;
        ELSE
            DELETE FROM iaros.promo_counter t USING iaros.promo_coupon c, iaros.promo_limit l
            WHERE c.customer_id IS NOT NULL AND l.promo_id = c.promo_id AND l.scope = 'code'
              AND t.promo_limit_id = l.promo_limit_id AND t.code = iaros.promo_code_normal(c.code);
            DELETE FROM iaros.promo_coupon c WHERE c.customer_id IS NOT NULL;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.promo_customer_gone() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.promo_customer_gone() IS
        'Statement trigger: deletes coupons of customers that are deleted, and what was counted of them. SECURITY DEFINER, so that who deletes a customer needs no right on these tables.';
    CREATE TRIGGER promo_customer_delete AFTER DELETE ON iaros.customer
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_customer_gone();
    CREATE TRIGGER promo_customer_truncate AFTER TRUNCATE ON iaros.customer
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.promo_customer_gone();
END $install$;
COMMENT ON PROCEDURE @extschema@.promo_install_gates() IS
'Makes the gates of redemptions and the triggers that count. Called by promo_install_redemption().';
