-- recommend: which offer is the next best one for a customer, and why.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.recommend_stage(
    first_booked_at timestamptz,
    last_booked_at timestamptz,
    as_of timestamptz)
    RETURNS @extschema@.offer_stage
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN as_of - last_booked_at >= interval '4320 hours' THEN 'win_back'::@extschema@.offer_stage
        WHEN as_of - last_booked_at >= interval '2160 hours' THEN 'retention'::@extschema@.offer_stage
        WHEN last_booked_at IS NULL OR as_of - first_booked_at < interval '720 hours'
            THEN 'acquisition'::@extschema@.offer_stage
        ELSE 'growth'::@extschema@.offer_stage
    END;
COMMENT ON FUNCTION @extschema@.recommend_stage(timestamptz, timestamptz, timestamptz) IS
'Returns the stage of a customer by the times of the first and the last booking: win_back when the last is 180 days or longer ago, else retention from 90 days on, else acquisition without a booking (NULL) or with the first one less than 30 days ago, else growth. Days have 24 hours. Error: 22008 infinite times. Inlined.';

CREATE FUNCTION @extschema@.recommend_times(n bigint) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE n WHEN 1 THEN 'once' WHEN 2 THEN 'twice' ELSE n || ' times' END;
COMMENT ON FUNCTION @extschema@.recommend_times(bigint) IS
'Returns a count in words for reasons: once, twice, 3 times. NULL gives NULL.';

CREATE FUNCTION @extschema@.recommend_ago(at timestamptz, as_of timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE floor(date_part('epoch', as_of - at) / 86400)
        WHEN 1 THEN 'one day ago'
        ELSE greatest(0, floor(date_part('epoch', as_of - at) / 86400)) || ' days ago' END;
COMMENT ON FUNCTION @extschema@.recommend_ago(timestamptz, timestamptz) IS
'Returns in words how many whole days of 24 hours ago something was: 213 days ago. A time after as_of is 0 days ago. NULL gives NULL.';

CREATE FUNCTION @extschema@.recommend_stage_text(
    first_booked_at timestamptz,
    last_booked_at timestamptz,
    as_of timestamptz)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN last_booked_at IS NULL THEN 'no booking yet'
        WHEN @extschema@.recommend_stage(first_booked_at, last_booked_at, as_of) = 'acquisition' THEN
            'first booking ' || @extschema@.recommend_ago(first_booked_at, as_of)
        ELSE 'last booking ' || @extschema@.recommend_ago(last_booked_at, as_of)
    END;
COMMENT ON FUNCTION @extschema@.recommend_stage_text(timestamptz, timestamptz, timestamptz) IS
'Returns why a customer is in the stage of recommend_stage(), in words: last booking 213 days ago.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.recommend_weights(
    OUT segment numeric,
    OUT stage numeric,
    OUT value numeric,
    OUT affinity numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    total numeric;
BEGIN
    PERFORM iaros.install_check();
    segment := iaros.setting_get('recommend_weight_segment')::numeric;
    stage := iaros.setting_get('recommend_weight_stage')::numeric;
    value := iaros.setting_get('recommend_weight_value')::numeric;
    affinity := iaros.setting_get('recommend_weight_affinity')::numeric;
    total := segment + stage + value + affinity;
    IF least(segment, stage, value, affinity) < 0 OR total = 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('weights %s, %s, %s and %s cannot make a score', segment, stage, value, affinity),
            DETAIL = 'A weight is at least 0, and one of them is above 0.',
            HINT = 'Change the settings recommend_weight_segment, _stage, _value and _affinity.';
    END IF;
    segment := segment / total;
    stage := stage / total;
    value := value / total;
    affinity := affinity / total;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_weights() IS
'Returns the weights of the four terms of a score out of the settings, divided by their sum. Error: 22023 a weight below 0, or all are 0.';

CREATE FUNCTION @extschema@.recommend_channel_sends(channel text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    sends boolean;
BEGIN
    PERFORM iaros.install_check();
    IF channel IS NULL THEN
        RETURN false;
    END IF;
    SELECT c.sends INTO sends FROM iaros.channel c WHERE c.channel = recommend_channel_sends.channel;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('channel "%s" does not exist', left(channel, 64)),
            HINT = 'List the channels with SELECT * FROM iaros.channel.';
    END IF;
    RETURN sends;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_channel_sends(text) IS
'Tells whether messages leave through a channel, so that consent is asked for; false for NULL. Error: 23503 no such channel.';

CREATE FUNCTION @extschema@.recommend_ids(
    customer_ids bigint[],
    max_offers integer,
    as_of timestamptz,
    channel text,
    refused_too boolean)
    RETURNS TABLE (customer_id bigint, offer_id bigint, score numeric, reasons text[],
        code text, name text, rank bigint, eligible boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    w record;
    sends boolean;
    base text;
    persons bigint[];
BEGIN
    PERFORM iaros.install_check();
    w := iaros.recommend_weights();
    sends := iaros.recommend_channel_sends(recommend_ids.channel);
    base := iaros.setting_get('base_currency');
    IF max_offers IS NULL OR max_offers NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s is not a number of offers from 1 to 1000', coalesce(max_offers::text, 'NULL')),
            HINT = 'Three is usual.';
    END IF;
    -- Apart from the statement below, whose planner so knows how many they are.
    SELECT array_agg(DISTINCT coalesce(a.master_id, c.customer_id)) INTO persons
    FROM iaros.customer c
    LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
    WHERE c.customer_id = ANY (customer_ids);
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT c.customer_id, coalesce(a.master_id, c.customer_id) AS person
        FROM iaros.customer c
        LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
        WHERE c.customer_id = ANY (customer_ids)
    ), stored AS MATERIALIZED (
        SELECT u.id AS person, u.id FROM unnest(persons) AS u(id)
        UNION ALL
        SELECT a.master_id, a.customer_id FROM iaros.customer_alias a
        WHERE a.master_id = ANY (persons)
    ), belongs AS (
        SELECT DISTINCT s.person, g.name AS segment
        FROM stored s
        JOIN iaros.segment_membership m ON m.customer_id = s.id
        JOIN iaros.segment g ON g.segment_id = ANY (m.segment_ids)
        WHERE g.name IN (SELECT o.target_segment FROM iaros.offer o)
    ), bought AS MATERIALIZED (
        SELECT s.person, b.customer_id, b.booking_id, b.cabin
        FROM stored s
        JOIN iaros.booking b ON b.customer_id = s.id
        WHERE iaros.booking_counts(b.status)
          AND b.booked_at > recommend_ids.as_of - interval '12 months' AND b.booked_at <= recommend_ids.as_of
    ), booked AS (
        SELECT b.person, count(*) AS bookings FROM bought b GROUP BY b.person
    ), liked AS (
        SELECT b.person, 'cabin' AS kind, b.cabin::text AS what, count(*) AS times
        FROM bought b
        WHERE b.cabin IN (SELECT o.cabin FROM iaros.offer o)
        GROUP BY b.person, b.cabin
        UNION ALL
        SELECT b.person, 'item', i.kind, count(DISTINCT (b.customer_id, b.booking_id))
        FROM bought b
        JOIN iaros.booking_item i ON i.customer_id = b.customer_id AND i.booking_id = b.booking_id
        WHERE i.kind IN (SELECT o.item_kind FROM iaros.offer o)
        GROUP BY b.person, i.kind
    ), consented AS (
        SELECT f.customer_id, f.reasons
        FROM iaros.consent_filter_ids(
            CASE WHEN sends THEN ARRAY(SELECT k.customer_id FROM asked k) END,
            'marketing', CASE WHEN sends THEN recommend_ids.channel ELSE 'all' END, NULL, recommend_ids.as_of) f
        WHERE NOT f.allowed
    ), pair AS (
        SELECT k.customer_id, o.*,
            coalesce(p.spend_12m, 0) AS spent, p.first_booked_at, p.last_booked_at, p.cabin_top,
            iaros.recommend_stage(p.first_booked_at, p.last_booked_at, recommend_ids.as_of) AS stage,
            coalesce(h.times, 0) AS cabin_times, coalesce(i.times, 0) AS item_times,
            coalesce(n.bookings, 0) AS bookings, f.reasons AS consent,
            o.is_active AS active_ok,
            o.valid @> recommend_ids.as_of AS valid_ok,
            recommend_ids.channel IS NULL OR NOT EXISTS (SELECT FROM iaros.offer_channel x WHERE x.offer_id = o.offer_id)
                OR EXISTS (SELECT FROM iaros.offer_channel x
                           WHERE x.offer_id = o.offer_id AND x.channel = recommend_ids.channel) AS channel_ok,
            o.target_segment IS NULL OR g.segment IS NOT NULL AS segment_ok,
            coalesce(p.is_member, false) OR NOT o.members_only AS member_ok,
            coalesce(o.item_kind <> 'upgrade' OR o.cabin > p.cabin_top, true) AS cabin_ok
        FROM asked k
        CROSS JOIN iaros.offer o
        LEFT JOIN iaros.profile_at(recommend_ids.as_of) p ON p.customer_id = k.person
        LEFT JOIN belongs g ON g.person = k.person AND g.segment = o.target_segment
        LEFT JOIN booked n ON n.person = k.person
        LEFT JOIN liked h ON h.person = k.person AND h.kind = 'cabin' AND h.what = o.cabin::text
        LEFT JOIN liked i ON i.person = k.person AND i.kind = 'item' AND i.what = o.item_kind
        LEFT JOIN consented f ON f.customer_id = k.customer_id
    ), judged AS (
        SELECT q.*,
            coalesce(q.stage = q.lifecycle_stage, true) AS stage_ok,
            coalesce(q.spent >= q.min_customer_value, true) AND coalesce(q.spent < q.max_customer_value, true) AS value_ok
        FROM pair q
    ), scored AS (
        SELECT j.*,
            j.active_ok AND j.valid_ok AND j.channel_ok AND j.segment_ok AND j.member_ok AND j.cabin_ok
                AND j.stage_ok AND j.value_ok AND j.consent IS NULL AS fits,
            round(j.weight * (
                w.segment * (j.target_segment IS NOT NULL)::integer
                + w.stage * (j.lifecycle_stage IS NOT NULL)::integer
                + w.value * (j.min_customer_value IS NOT NULL OR j.max_customer_value IS NOT NULL)::integer
                + w.affinity * greatest(j.cabin_times, j.item_times) / (j.bookings + 1)), 4) AS points
        FROM judged j
    ), ranked AS (
        SELECT s.*, row_number() OVER (PARTITION BY s.customer_id
            ORDER BY s.fits DESC, CASE WHEN s.fits THEN s.points END DESC, s.offer_id) AS place
        FROM scored s
        WHERE s.fits OR refused_too
    )
    SELECT r.customer_id, r.offer_id, CASE WHEN r.fits THEN r.points ELSE 0 END,
        CASE WHEN NOT r.fits THEN array_remove(ARRAY[
            CASE WHEN NOT r.active_ok THEN 'inactive: the offer was taken out of use' END,
            CASE WHEN NOT r.valid_ok THEN format('not_valid: the offer is valid%s%s',
                to_char(lower(r.valid) AT TIME ZONE 'UTC', '" from "YYYY-MM-DD HH24:MI" UTC"'),
                to_char(upper(r.valid) AT TIME ZONE 'UTC', '" until "YYYY-MM-DD HH24:MI" UTC"')) END,
            CASE WHEN NOT r.channel_ok THEN format('channel: %s does not carry the offer', recommend_ids.channel) END,
            CASE WHEN NOT r.segment_ok THEN format('segment: not in %s', r.target_segment) END,
            CASE WHEN NOT r.stage_ok THEN format('stage: %s, %s offer',
                iaros.recommend_stage_text(r.first_booked_at, r.last_booked_at, recommend_ids.as_of),
                replace(r.lifecycle_stage::text, '_', '-')) END,
            CASE WHEN NOT r.value_ok THEN format('value: spent %s %s in 12 months, the offer is for%s%s',
                iaros.money_round(r.spent, base), base,
                ' ' || iaros.money_round(r.min_customer_value, base) || ' or more',
                ' less than ' || iaros.money_round(r.max_customer_value, base)) END,
            CASE WHEN NOT r.member_ok THEN 'members: not a member of the loyalty programme' END,
            CASE WHEN NOT r.cabin_ok THEN format('cabin: books %s class already', replace(r.cabin_top::text, '_', ' ')) END]
            || ARRAY(SELECT 'consent: ' || x FROM unnest(r.consent) AS x), NULL)
        ELSE coalesce(nullif(array_remove(ARRAY[
            'segment ' || r.target_segment,
            CASE WHEN r.lifecycle_stage IS NOT NULL THEN format('%s, %s offer',
                iaros.recommend_stage_text(r.first_booked_at, r.last_booked_at, recommend_ids.as_of),
                replace(r.lifecycle_stage::text, '_', '-')) END,
            CASE WHEN r.min_customer_value IS NOT NULL OR r.max_customer_value IS NOT NULL THEN
                format('spent %s %s in 12 months', iaros.money_round(r.spent, base), base) END,
            CASE WHEN r.cabin_times > 0 THEN format('booked %s %s class in 12 months',
                iaros.recommend_times(r.cabin_times), replace(r.cabin::text, '_', ' ')) END,
            CASE WHEN r.item_times > 0 THEN format('bought %s in 12 months: %s',
                iaros.recommend_times(r.item_times), t.description) END,
            CASE WHEN r.members_only THEN 'member of the loyalty programme' END], NULL), '{}'),
            ARRAY['open to everybody']) END,
        r.code, r.name, r.place, r.fits
    FROM ranked r
    LEFT JOIN iaros.item_kind t ON t.kind = r.item_kind
    WHERE r.place <= max_offers
    ORDER BY r.customer_id, r.place;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_ids(bigint[], integer, timestamptz, text, boolean) IS
'The computation of next_best_offer(), recommend_offers() and recommend_explain(): the best max_offers offers of each customer of an array, those refused too if asked for, one statement for all. Customers that do not exist are left out. Errors: those of recommend_offers().';

CREATE FUNCTION @extschema@.recommend_offers(
    source text,
    max_offers integer DEFAULT 3,
    as_of timestamptz DEFAULT now(),
    channel text DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, offer_id bigint, score numeric, reasons text[],
        code text, name text, rank bigint)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    EXECUTE pg_catalog.format('SELECT pg_catalog.array_agg(DISTINCT q.id::pg_catalog.int8) FROM (%s) AS q(id)',
                              iaros.source_query(source))
    INTO ids;
    RETURN QUERY
        SELECT r.customer_id, r.offer_id, r.score, r.reasons, r.code, r.name, r.rank
        FROM iaros.recommend_ids(ids, max_offers, as_of, channel, false) r;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_offers(text, integer, timestamptz, text) IS
'Returns the next best offers of all customers of a source (the name of a relation or a query whose first column is the customer_id, run with the caller''s path and rights), at most max_offers each, best first by rank: score from 0 to 10 and the reasons in words. An offer is for a customer when all its conditions hold: active and valid, target segment, lifecycle stage, spend in 12 months within its bounds, membership, and for upgrades a lower cabin than the one offered. score = weight of the offer * (segment if the offer has one + stage if it has one + value if it has bounds + affinity), each term times its setting recommend_weight_*, divided by their sum; affinity is the share of the bookings of 12 months (plus one) in the cabin or with the item of the offer. Equal scores: the older offer first. With a channel only offers that it carries, and only for customers whom marketing may contact through it (consent_filter). Unknown customers give no row. Errors: 22023 max_offers outside 1 to 1000, weights that make no score, empty source; 23503 channel that does not exist; 42P01 no such relation; those of the query.';

CREATE FUNCTION @extschema@.next_best_offer(
    customer_id bigint,
    n integer DEFAULT 3,
    as_of timestamptz DEFAULT now(),
    channel text DEFAULT NULL)
    RETURNS TABLE (offer_id bigint, code text, name text, score numeric, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT r.offer_id, r.code, r.name, r.score, r.reasons
        FROM iaros.recommend_ids(ARRAY[next_best_offer.customer_id], n, as_of, channel, false) r
        ORDER BY r.rank;
END $$;
COMMENT ON FUNCTION @extschema@.next_best_offer(bigint, integer, timestamptz, text) IS
'Returns the n next best offers of a customer, best first, with score and reasons, as recommend_offers() does for many. No row for NULL or an unknown customer. Errors: those of recommend_offers(). Reads by index.';

CREATE FUNCTION @extschema@.recommend_explain(
    customer_id bigint,
    as_of timestamptz DEFAULT now(),
    channel text DEFAULT NULL)
    RETURNS TABLE (code text, eligible boolean, score numeric, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT r.code, r.eligible, r.score, r.reasons
        FROM iaros.recommend_ids(ARRAY[recommend_explain.customer_id], 1000, as_of, channel, true) r
        ORDER BY r.rank;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_explain(bigint, timestamptz, text) IS
'Returns every offer with whether it is for a customer, and all reasons: why it is, or why it is not (inactive, not_valid, channel, segment, stage, value, members, cabin, consent). No row for NULL or an unknown customer. Errors: those of recommend_offers().';

CREATE FUNCTION @extschema@.recommend_segments(ids bigint[]) RETURNS bigint[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN (
        SELECT coalesce(array_agg(DISTINCT i.id), '{}')
        FROM iaros.segment_membership m
        CROSS JOIN LATERAL unnest(m.segment_ids) AS i(id)
        JOIN iaros.segment s ON s.segment_id = i.id AND s.kind = 'dynamic'
        WHERE m.customer_id = ANY (ids));
END $$;
COMMENT ON FUNCTION @extschema@.recommend_segments(bigint[]) IS
'Returns the dynamic segments that any of these customers is in, sorted; none for NULL. For event_apply(), which compares before and after.';

CREATE FUNCTION @extschema@.recommend_time_left(started timestamptz, step text) RETURNS integer
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    allowed interval;
    remaining double precision;
BEGIN
    PERFORM iaros.install_check();
    allowed := iaros.setting_get('profile_timeout')::interval;
    IF allowed = interval '0' THEN
        RETURN 0;
    END IF;
    remaining := date_part('epoch', started + allowed - clock_timestamp()) * 1000;
    IF remaining <= 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'query_canceled',
            MESSAGE = format('an event takes longer than profile_timeout, which is "%s"', iaros.setting_get('profile_timeout')),
            DETAIL = format('Time was up at step "%s"; nothing was written.', step),
            HINT = 'Call again: a refresh or another session may have held the customer. Raise the setting profile_timeout, or 0 for no limit.';
    END IF;
    RETURN least(greatest(ceil(remaining), 1), 2147483647)::integer;
END $$;
COMMENT ON FUNCTION @extschema@.recommend_time_left(timestamptz, text) IS
'Returns how many milliseconds (rounded up) are left of setting profile_timeout for what started at a time; 0: no limit. Error: 57014 time is up, step says where. NULL gives NULL.';

CREATE FUNCTION @extschema@.recommend_lock_wait(started timestamptz, step text, usual text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    remaining integer := iaros.recommend_time_left(started, step);
    shorter integer := (date_part('epoch', usual::interval) * 1000)::integer;
BEGIN
    PERFORM set_config('lock_timeout', coalesce(least(nullif(remaining, 0), nullif(shorter, 0)), 0)::text, true);
END $$;
COMMENT ON FUNCTION @extschema@.recommend_lock_wait(timestamptz, text, text) IS
'Begins a step of event_apply(): sets lock_timeout in this transaction to what recommend_time_left() leaves, or to the usual one when that is shorter. NULL does nothing. Error: 57014 time is up.';

CREATE FUNCTION @extschema@.event_apply(
    customer_id bigint,
    kind text,
    occurred_at timestamptz DEFAULT now(),
    properties jsonb DEFAULT '{}',
    source text DEFAULT 'web',
    external_id text DEFAULT NULL,
    session_id text DEFAULT NULL,
    OUT event_id bigint,
    OUT stage text,
    OUT value_segment text,
    OUT entered text[],
    OUT left_segments text[],
    OUT offer text,
    OUT took interval)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    started timestamptz := clock_timestamp();
    usual text := current_setting('lock_timeout');
    ids bigint[];
    person bigint;
    until timestamptz;
    before_ids bigint[];
    after_ids bigint[];
BEGIN
    PERFORM iaros.install_check();
    BEGIN
        PERFORM iaros.recommend_lock_wait(started, 'lock', usual);
        -- Locks first and in one order, those of refreshes before all.
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('iaros.lifecycle_refresh', 0));
        PERFORM FROM iaros.customer c
        WHERE c.customer_id IN (event_apply.customer_id, iaros.customer_resolve(event_apply.customer_id))
        ORDER BY c.customer_id FOR NO KEY UPDATE;
        PERFORM iaros.recommend_lock_wait(started, 'record', usual);
        -- Before segments that are marked real-time follow the event.
        person := iaros.customer_resolve(event_apply.customer_id);
        ids := ARRAY(SELECT iaros.customer_ids(person));
        before_ids := iaros.recommend_segments(ids);
        event_id := iaros.event_record(event_apply.customer_id, event_apply.kind, event_apply.occurred_at,
            event_apply.properties, event_apply.source, event_apply.external_id, event_apply.session_id);
        until := clock_timestamp();
        -- An event recorded before has the event_id of then.
        IF event_id = currval('iaros.event_id_seq') THEN
            PERFORM iaros.recommend_lock_wait(started, 'stage', usual);
            IF iaros.setting_get('clm_enabled')::boolean THEN
                PERFORM iaros.lifecycle_apply(ids, until);
            END IF;
            PERFORM iaros.recommend_lock_wait(started, 'value', usual);
            IF iaros.setting_get('cvm_enabled')::boolean THEN
                PERFORM iaros.value_apply(ids, until);
            END IF;
            PERFORM iaros.recommend_lock_wait(started, 'segments', usual);
            PERFORM iaros.segment_apply(ids, until);
        END IF;
        PERFORM iaros.recommend_time_left(started, 'offer');
        SELECT n.code INTO offer FROM iaros.next_best_offer(person, 1, until) n;
        PERFORM iaros.recommend_time_left(started, 'end');
    EXCEPTION WHEN lock_not_available THEN
        PERFORM iaros.recommend_time_left(started, 'wait for a lock');
        RAISE;
    END;
    PERFORM set_config('lock_timeout', usual, true);
    after_ids := iaros.recommend_segments(ids);
    SELECT coalesce(array_agg(s.name ORDER BY s.segment_id) FILTER (WHERE s.segment_id <> ALL (before_ids)), '{}'),
        coalesce(array_agg(s.name ORDER BY s.segment_id) FILTER (WHERE s.segment_id <> ALL (after_ids)), '{}')
    INTO entered, left_segments
    FROM iaros.segment s WHERE s.segment_id = ANY (before_ids || after_ids);
    stage := (SELECT l.stage FROM iaros.customer_lifecycle_stage l
              WHERE l.customer_id = person AND l.scheme = iaros.setting_get('lifecycle_scheme') AND l.exited_at IS NULL);
    value_segment := (SELECT v.value_segment FROM iaros.customer_value_segment v
                      WHERE v.customer_id = person AND v.scheme = iaros.setting_get('value_scheme'));
    took := clock_timestamp() - started;
END $$;
COMMENT ON FUNCTION @extschema@.event_apply(bigint, text, timestamptz, jsonb, text, text, text) IS
'Records an event as event_record() does and brings up to date, in the same transaction, all that is kept about the person: profile and features (by triggers), stages and value (lifecycle_apply(), value_apply(), unless settings clm_enabled or cvm_enabled are false), dynamic segments (segment_apply()). Returns the event_id, the stage and the value segment as kept now in the schemes of settings lifecycle_scheme and value_scheme (NULL: none), the dynamic segments entered and left, the code of the next best offer now (NULL: none), and how long it took. An event that was recorded before (same customer_id, source and external_id) changes nothing; what holds now is returned. Events of different customers do not wait for each other; a refresh of all stages or values is waited for, one of segments only where it changes the same person. Setting profile_timeout bounds it: time is looked at between the steps, waits for locks end with it. Errors: those of event_record(), 57014 time is up, 55P03 the lock_timeout of the session; then nothing is written. One customer, read by index.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.recommend_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('recommend', 1) THEN
    PERFORM iaros.setting_define('recommend_weight_segment', 'number', '0.4',
        'How much it counts in the score of an offer that it is meant for a segment of the customer.');
    PERFORM iaros.setting_define('recommend_weight_stage', 'number', '0.2',
        'How much it counts in the score of an offer that it is meant for the stage of the customer.');
    PERFORM iaros.setting_define('recommend_weight_value', 'number', '0.1',
        'How much it counts in the score of an offer that it is meant for customers of such a value.');
    PERFORM iaros.setting_define('recommend_weight_affinity', 'number', '0.3',
        'How much it counts in the score of an offer how often the customer booked the like.');
    PERFORM iaros.setting_define('profile_timeout', 'interval', '1 s',
        'How long event_apply() may take; 0: no limit.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.recommend_install() IS
'Adds the settings of the domain recommend. Called by install().';
