-- promo: limits, kept by counters.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.promo_share(amount numeric, part integer, parts integer, decimals integer) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN trunc(amount * (part + 1) / parts, decimals) - trunc(amount * part / parts, decimals);
COMMENT ON FUNCTION @extschema@.promo_share(numeric, integer, integer, integer) IS
'Returns the share of a part, from 0, when an amount of so many decimals is parted: shares differ by one unit at most and sum to the amount. NULL gives NULL. Error: 22012 no parts. Inlined.';

CREATE FUNCTION @extschema@.promo_counter_open(promo_limit_id bigint, code text, period_start date, used numeric DEFAULT 0)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    l record;
    slots integer;
    decimals integer;
BEGIN
    SELECT t.scope, t.measure, t.maximum INTO STRICT l FROM iaros.promo_limit t
    WHERE t.promo_limit_id = promo_counter_open.promo_limit_id;
    decimals := CASE l.measure WHEN 'uses' THEN 0 ELSE 4 END;
    slots := CASE WHEN l.scope = 'code' THEN 1
        ELSE least(greatest(iaros.setting_get('promo_slots')::integer, 1), 1000, CASE l.measure WHEN 'uses' THEN l.maximum ELSE 1000 END) END;
    -- What was used is in the first slot, which may be above the limit then;
    -- what is left is shared, so that the capacities sum to the limit. Who
    -- makes the first slot makes all: another may have read another number.
    FOR s IN 0 .. slots - 1 LOOP
        INSERT INTO iaros.promo_counter (promo_limit_id, code, period_start, slot, value, capacity)
        VALUES (promo_counter_open.promo_limit_id, promo_counter_open.code, promo_counter_open.period_start, s,
            CASE s WHEN 0 THEN used ELSE 0 END,
            CASE WHEN used > l.maximum THEN CASE s WHEN 0 THEN l.maximum ELSE 0 END
                ELSE CASE s WHEN 0 THEN used ELSE 0 END + iaros.promo_share(l.maximum - used, s, slots, decimals) END)
        ON CONFLICT ON CONSTRAINT promo_counter_pkey DO NOTHING;
        EXIT WHEN NOT FOUND;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.promo_counter_open(bigint, text, date, numeric) IS
'Makes the counter of a limit for a code (empty: all) and a period: one row for a limit of code, else setting promo_slots of them, over which the maximum is shared. Sessions that open the same one wait for each other, and the first one makes it. For promo_counter_take().';

CREATE FUNCTION @extschema@.promo_counter_take(
    promo_limit_id bigint,
    code text,
    period_start date,
    need numeric,
    patient boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    turn integer := pg_backend_pid();
BEGIN
    IF patient THEN
        PERFORM iaros.promo_counter_open(promo_limit_id, code, period_start);
        RETURN iaros.promo_counter_wait(promo_limit_id, code, period_start, need);
    END IF;
    FOR try IN 1 .. 2 LOOP
        -- A slot that nobody holds and that has room: sessions begin their
        -- search at different ones.
        UPDATE iaros.promo_counter c SET value = c.value + need
        WHERE c.promo_limit_id = promo_counter_take.promo_limit_id AND c.code = promo_counter_take.code
          AND c.period_start = promo_counter_take.period_start AND c.slot = (
            SELECT s.slot FROM iaros.promo_counter s
            WHERE s.promo_limit_id = promo_counter_take.promo_limit_id AND s.code = promo_counter_take.code
              AND s.period_start = promo_counter_take.period_start AND s.value + need <= s.capacity
            ORDER BY hashint4extended(s.slot, turn) LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF FOUND THEN
            RETURN true;
        END IF;
        EXIT WHEN EXISTS (
            SELECT FROM iaros.promo_counter s
            WHERE s.promo_limit_id = promo_counter_take.promo_limit_id AND s.code = promo_counter_take.code
              AND s.period_start = promo_counter_take.period_start);
        PERFORM iaros.promo_counter_open(promo_limit_id, code, period_start);
    END LOOP;
    -- A slot that had room when it was sought and has none when it is locked
    -- stays locked. Who waits for others has to let go of it.
    RAISE EXCEPTION USING ERRCODE = 'UA002', MESSAGE = 'no slot is free';
END $$;
COMMENT ON FUNCTION @extschema@.promo_counter_take(bigint, text, date, numeric, boolean) IS
'Counts so much for a limit and returns true: in a slot of the counter that no other session holds. Where there is none, raises UA002; called again with patient, after a rollback to before the first call, it waits for those that hold slots, see promo_counter_wait(), and returns false where there is not so much left. Exact: the slots'' capacities sum to the limit, and only who holds a slot changes it. For promo_commit().';

CREATE FUNCTION @extschema@.promo_counter_wait(promo_limit_id bigint, code text, period_start date, need numeric)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    found_slot integer;
    missing numeric;
BEGIN
    IF (SELECT l.measure = 'uses' FROM iaros.promo_limit l WHERE l.promo_limit_id = promo_counter_wait.promo_limit_id) THEN
        SELECT s.slot INTO found_slot FROM iaros.promo_counter s
        WHERE s.promo_limit_id = promo_counter_wait.promo_limit_id AND s.code = promo_counter_wait.code
          AND s.period_start = promo_counter_wait.period_start AND s.value + need <= s.capacity
        ORDER BY s.slot LIMIT 1 FOR UPDATE;
    ELSE
        -- Each may have less than is needed where together they have enough.
        SELECT need - sum(greatest(h.capacity - h.value, 0)),
            (array_agg(h.slot ORDER BY h.capacity - h.value DESC, h.slot))[1]
        INTO missing, found_slot
        FROM (SELECT s.slot, s.value, s.capacity FROM iaros.promo_counter s
              WHERE s.promo_limit_id = promo_counter_wait.promo_limit_id AND s.code = promo_counter_wait.code
                AND s.period_start = promo_counter_wait.period_start
              ORDER BY s.slot FOR UPDATE) AS h;
        IF missing > 0 THEN
            RETURN false;
        END IF;
        UPDATE iaros.promo_counter c
        SET capacity = CASE WHEN c.slot = found_slot THEN c.capacity + m.others ELSE least(c.capacity, c.value) END
        FROM (SELECT sum(greatest(s.capacity - s.value, 0)) FILTER (WHERE s.slot <> found_slot) AS others,
                  max(s.capacity - s.value) AS most
              FROM iaros.promo_counter s
              WHERE s.promo_limit_id = promo_counter_wait.promo_limit_id AND s.code = promo_counter_wait.code
                AND s.period_start = promo_counter_wait.period_start) AS m
        WHERE c.promo_limit_id = promo_counter_wait.promo_limit_id AND c.code = promo_counter_wait.code
          AND c.period_start = promo_counter_wait.period_start AND m.others > 0 AND m.most < need;
    END IF;
    UPDATE iaros.promo_counter c SET value = c.value + need
    WHERE c.promo_limit_id = promo_counter_wait.promo_limit_id AND c.code = promo_counter_wait.code
      AND c.period_start = promo_counter_wait.period_start AND c.slot = found_slot;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION @extschema@.promo_counter_wait(bigint, text, date, numeric) IS
'Counts so much for a limit and returns true, or false where there is not so much left. Waits for slots in their order: of uses one after the other until one has room, of an amount all of them, and brings together what is left where no slot has enough. Two that wait do not deadlock, as neither holds a slot of the counter before. For promo_counter_take().';

CREATE FUNCTION @extschema@.promo_counter_give(promo_limit_id bigint, code text, period_start date, amount numeric)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    -- Slots above their capacity first: what they give back is not to be had.
    WITH held AS MATERIALIZED (
        SELECT s.slot, s.value, s.capacity FROM iaros.promo_counter s
        WHERE s.promo_limit_id = promo_counter_give.promo_limit_id AND s.code = promo_counter_give.code
          AND s.period_start = promo_counter_give.period_start
        ORDER BY s.slot FOR UPDATE),
    given AS (
        SELECT h.slot, h.value, least(h.value, greatest(promo_counter_give.amount - coalesce(sum(h.value) OVER (
            ORDER BY greatest(h.value - h.capacity, 0) DESC, h.value DESC, h.slot
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0), 0)) AS part
        FROM held h)
    -- c may be older than what is held: the constraint would see that first.
    UPDATE iaros.promo_counter c SET value = g.value - g.part
    FROM given g
    WHERE c.promo_limit_id = promo_counter_give.promo_limit_id AND c.code = promo_counter_give.code
      AND c.period_start = promo_counter_give.period_start AND c.slot = g.slot AND g.part > 0;
END $$;
COMMENT ON FUNCTION @extschema@.promo_counter_give(bigint, text, date, numeric) IS
'Takes back so much of what was counted for a limit; a counter that is not there any more has nothing to give. Waits for sessions that hold a slot. For promo_commit(), promo_rollback() and promo_expire().';

CREATE FUNCTION @extschema@.promo_limit_check()
    RETURNS TABLE (promo_limit_id bigint, counted numeric, used numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH counted AS (
            SELECT c.promo_limit_id, c.period_start, c.code, 0::bigint AS customer_id, 0::bigint AS booking_id, sum(c.value) AS value
            FROM iaros.promo_counter c GROUP BY 1, 2, 3
            UNION ALL
            SELECT c.promo_limit_id, c.period_start, '', c.customer_id, c.booking_id, c.value FROM iaros.promo_customer_counter c),
        used AS (
            SELECT c.promo_limit_id, c.period_start, c.code,
                CASE WHEN c.scope IN ('customer', 'booking') THEN c.customer_id ELSE 0 END AS customer_id, c.booking_id, sum(c.need) AS value
            FROM iaros.promo_count c GROUP BY 1, 2, 3, 4, 5)
        SELECT coalesce(a.promo_limit_id, b.promo_limit_id), sum(coalesce(a.value, 0)), sum(coalesce(b.value, 0))
        FROM counted a
        FULL JOIN used b ON b.promo_limit_id = a.promo_limit_id AND b.period_start = a.period_start AND b.code = a.code
            AND b.customer_id = a.customer_id AND b.booking_id = a.booking_id
        JOIN iaros.promo_limit l ON l.promo_limit_id = coalesce(a.promo_limit_id, b.promo_limit_id)
        -- Counters of periods that are over are not kept.
        WHERE a.promo_limit_id IS NOT NULL
           OR b.period_start >= iaros.promo_period_start(l.period, now() - interval '1 day', iaros.setting_get('brand_time_zone'))
        GROUP BY 1
        HAVING bool_or(coalesce(a.value, 0) <> coalesce(b.value, 0));
END $$;
COMMENT ON FUNCTION @extschema@.promo_limit_check() IS
'Returns the limits of which a counter, of a period, code, customer or booking, differs from the uses that it counts, with what all of its counters and uses come to; none should. O(counters + uses).';

CREATE FUNCTION @extschema@.promo_customer_recount(customer_id bigint, redemption_id bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    limits bigint[] := ARRAY(
        SELECT l.promo_limit_id FROM iaros.promo_use u
        JOIN iaros.promo_limit l ON l.promo_id = u.promo_id AND l.scope IN ('customer', 'booking')
        WHERE u.redemption_id = promo_customer_recount.redemption_id);
BEGIN
    DELETE FROM iaros.promo_customer_counter c
    WHERE c.customer_id = promo_customer_recount.customer_id AND c.promo_limit_id = ANY (limits);
    INSERT INTO iaros.promo_customer_counter (customer_id, promo_limit_id, booking_id, period_start, value)
    SELECT c.customer_id, c.promo_limit_id, c.booking_id, c.period_start, sum(c.need)
    FROM iaros.promo_count c
    WHERE c.customer_id = promo_customer_recount.customer_id AND c.promo_limit_id = ANY (limits)
    GROUP BY 1, 2, 3, 4;
END $$;
COMMENT ON FUNCTION @extschema@.promo_customer_recount(bigint, bigint) IS
'Counts anew what a customer used of the promotions of a redemption, for limits of customer and of booking; the redemption may be another customer''s. For promo_follow().';

CREATE FUNCTION @extschema@.promo_follow() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    codes text := (SELECT string_agg(p.code::text, ',' ORDER BY p.promo_id) FROM iaros.promo_use u
                   JOIN iaros.promo p ON p.promo_id = u.promo_id WHERE u.redemption_id = NEW.redemption_id);
BEGIN
    PERFORM iaros.install_check();
    -- Uses are counted where they are now, beyond a limit if need be: they
    -- have been made.
    PERFORM iaros.promo_customer_recount(OLD.customer_id, NEW.redemption_id);
    IF NEW.customer_id = OLD.customer_id THEN
        PERFORM iaros.audit_append('promo.unlink', 'promo', codes, NEW.customer_id,
            jsonb_build_object('redemption_id', NEW.redemption_id, 'booking_id', OLD.booking_id));
        RETURN NULL;
    END IF;
    PERFORM iaros.promo_customer_recount(NEW.customer_id, NEW.redemption_id);
    PERFORM iaros.audit_append('promo.move', 'promo', codes, NEW.customer_id,
        jsonb_build_object('redemption_id', NEW.redemption_id, 'booking_id', NEW.booking_id, 'from_customer', OLD.customer_id));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION @extschema@.promo_follow() IS
'Trigger: when a redemption follows its booking to another customer, its uses are counted there and no longer with the first; when its booking was deleted, the redemption and its uses stay. Both are audited.';
