-- profile, keep: profiles stored, and kept current by triggers.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.profile_keep_lock(persons bigint[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    PERFORM FROM iaros.profile_stored p
    WHERE p.customer_id = ANY (persons)
    ORDER BY p.customer_id FOR NO KEY UPDATE;
END $$;
COMMENT ON FUNCTION @extschema@.profile_keep_lock(bigint[]) IS
'Locks the profiles of some persons in the order of customer_id, so that two that lock the same ones do not deadlock. For the gates of profiles only. O(persons).';

CREATE FUNCTION @extschema@.profile_booking_new() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.profile_booking_new() IS
'Statement trigger of table booking: adds new bookings to the profiles of their customers, whoever records them. Error: 39P01 unless it is called as that. O(bookings and histories).';

CREATE FUNCTION @extschema@.profile_event_new() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.profile_event_new() IS
'Statement trigger of table event: adds new events to the profiles of their customers, whoever records them. Error: 39P01 unless it is called as that. O(events and histories).';

CREATE FUNCTION @extschema@.profile_keep_put(
    persons bigint[],
    removed @extschema@.profile_state[],
    added @extschema@.profile_state[])
    RETURNS void
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.profile_keep_put(bigint[], @extschema@.profile_state[], @extschema@.profile_state[]) IS
'Takes histories out of those of some persons, adds others, and stores their columns as of now; an array may be NULL, or shorter: nothing. persons must be in ascending order; those without profile are passed over. For the gates of profiles only. Error: 42501 without the right to update profile_stored. O(histories).';

CREATE FUNCTION @extschema@.profile_keep_bookings(
    customer_ids bigint[],
    booking_ids bigint[])
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    AS $$
#variable_conflict use_column
DECLARE
    persons bigint[];
    removed iaros.profile_state[];
    added iaros.profile_state[];
BEGIN
    -- Locked before they are read: who else changes these bookings, or
    -- their lines, then reads what we wrote.
    SELECT array_agg(DISTINCT coalesce(a.master_id, u.id)) INTO persons
    FROM unnest(profile_keep_bookings.customer_ids) AS u(id)
    LEFT JOIN iaros.customer_alias a ON a.customer_id = u.id;
    PERFORM iaros.profile_keep_lock(persons);
    -- Index look-ups only: a plan for many rows would serve a single one badly.
    SELECT array_agg(d.person ORDER BY d.person), array_agg(d.removed ORDER BY d.person), array_agg(d.added ORDER BY d.person)
    INTO persons, removed, added
    FROM (
        SELECT coalesce(a.master_id, k.customer_id) AS person,
            iaros.profile_booking_agg(k.customer_id, k.booking_id, '2000-01-01Z', 'cancelled', NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL) AS removed,
            iaros.profile_booking_agg(b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base, b.cabin,
                b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at,
                (SELECT ARRAY[sum(m.mask & 1), sum(m.mask >> 1 & 1), sum(m.mask >> 2 & 1), sum(m.mask >> 3 & 1),
                     sum(m.mask >> 4 & 1), sum(m.mask >> 5 & 1)]::integer[]
                 FROM (SELECT iaros.profile_item_mask(i.kind, t.category) AS mask
                       FROM iaros.booking_item i
                       JOIN iaros.item_kind t ON t.kind = i.kind
                       WHERE i.customer_id = b.customer_id AND i.booking_id = b.booking_id) m
                 HAVING count(*) > 0)) FILTER (WHERE b.booking_id IS NOT NULL) AS added
        FROM (SELECT DISTINCT u.customer_id, u.booking_id
              FROM unnest(profile_keep_bookings.customer_ids, profile_keep_bookings.booking_ids) AS u(customer_id, booking_id)) k
        LEFT JOIN iaros.booking b ON b.customer_id = k.customer_id AND b.booking_id = k.booking_id
        LEFT JOIN iaros.customer_alias a ON a.customer_id = k.customer_id
        GROUP BY 1) d;
    PERFORM iaros.profile_keep_put(persons, removed, added);
END $$;
COMMENT ON FUNCTION @extschema@.profile_keep_bookings(bigint[], bigint[]) IS
'Brings some bookings, given by their keys, to what they are now in the histories of their customers; those that are gone, or held, are taken out. For the gates of profiles only. O(bookings and histories).';

CREATE FUNCTION @extschema@.profile_keep_entries(
    customer_ids bigint[],
    kinds text[],
    times timestamptz[],
    visits boolean[],
    ids bigint[],
    amounts bigint[],
    are_gone boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    AS $$
#variable_conflict use_column
DECLARE
    persons bigint[];
    states iaros.profile_state[];
BEGIN
    SELECT array_agg(d.person ORDER BY d.person), array_agg(d.state ORDER BY d.person) INTO persons, states
    FROM (
        SELECT coalesce(a.master_id, u.customer_id) AS person,
            iaros.profile_event_agg(u.kind, u.at, u.visit, u.id, u.amount) AS state
        FROM unnest(profile_keep_entries.customer_ids, kinds, times, visits, ids, amounts) AS u(customer_id, kind, at, visit, id, amount)
        LEFT JOIN iaros.customer_alias a ON a.customer_id = u.customer_id
        GROUP BY 1) d;
    IF persons IS NULL THEN
        RETURN;
    END IF;
    IF are_gone THEN
        PERFORM iaros.profile_keep_put(persons, states, NULL);
    ELSE
        PERFORM iaros.profile_keep_put(persons, NULL, states);
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.profile_keep_entries(bigint[], text[], timestamptz[], boolean[], bigint[], bigint[], boolean) IS
'Adds entries, as profile_event_agg() takes them, to the histories of their customers, or takes them out when they are gone. NULL arrays: none, or NULL each. For the gates of profiles only. O(entries and histories).';

CREATE FUNCTION @extschema@.profile_states(persons bigint[])
    RETURNS TABLE (customer_id bigint, state @extschema@.profile_state)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH stored AS MATERIALIZED (
            SELECT u.id AS person, u.id FROM unnest(persons) AS u(id)
            UNION ALL
            SELECT a.master_id, a.customer_id
            FROM iaros.customer_alias a
            WHERE a.master_id = ANY (persons)
        ), part AS (
            SELECT s.person, iaros.profile_booking_agg(b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base,
                b.cabin, b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at, i.items) AS state
            FROM stored s
            JOIN iaros.booking b ON b.customer_id = s.id
            LEFT JOIN (
                SELECT i.customer_id, i.booking_id,
                    ARRAY[sum(i.mask & 1), sum(i.mask >> 1 & 1), sum(i.mask >> 2 & 1), sum(i.mask >> 3 & 1),
                        sum(i.mask >> 4 & 1), sum(i.mask >> 5 & 1)]::integer[] AS items
                FROM (SELECT l.customer_id, l.booking_id, iaros.profile_item_mask(l.kind, t.category) AS mask
                      FROM stored s
                      JOIN iaros.booking_item l ON l.customer_id = s.id
                      JOIN iaros.item_kind t ON t.kind = l.kind) i
                GROUP BY i.customer_id, i.booking_id) i ON i.customer_id = b.customer_id AND i.booking_id = b.booking_id
            GROUP BY s.person
            UNION ALL
            SELECT s.person, iaros.profile_event_agg(e.kind, e.occurred_at, k.origin IN ('website', 'mobile'), e.event_id,
                iaros.profile_nps_value(e.kind, e.properties ->> 'score'))
            FROM stored s
            JOIN iaros.event e ON e.customer_id = s.id
            JOIN iaros.event_kind k ON k.kind = e.kind
            GROUP BY s.person
            UNION ALL
            SELECT s.person, iaros.profile_event_agg('touch:' || t.channel || ':' || t.kind, t.occurred_at, false, NULL, NULL)
            FROM stored s
            JOIN iaros.touchpoint t ON t.customer_id = s.id
            GROUP BY s.person
            UNION ALL
            SELECT s.person, iaros.profile_event_agg('consent:' || c.purpose || ':' || c.channel, c.recorded_at, false,
                c.consent_id, c.given::integer)
            FROM stored s
            JOIN iaros.consent c ON c.customer_id = s.id
            GROUP BY s.person
        )
        SELECT u.id, coalesce(iaros.profile_merge(p.state), E'\\x01000000')
        FROM (SELECT DISTINCT x.id FROM unnest(persons) AS x(id)) u
        LEFT JOIN part p ON p.person = u.id
        GROUP BY u.id;
END $$;
COMMENT ON FUNCTION @extschema@.profile_states(bigint[]) IS
'Returns the histories of some persons as their rows say, those of their aliases folded in; an empty one where there are no rows. For the gates of profiles and profile_check() only. O(rows of these persons).';

CREATE FUNCTION @extschema@.profile_member(person bigint, day date)
    RETURNS TABLE (is_member boolean, tier text, since_on date, due_on date)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT coalesce(bool_or(m.active), false),
            (array_agg(m.tier ORDER BY m.rank DESC, m.programme, m.customer_id) FILTER (WHERE m.active))[1],
            coalesce(max(m.turn) FILTER (WHERE m.turn <= day), '-infinity'),
            coalesce(min(m.turn) FILTER (WHERE m.turn > day), 'infinity')
        FROM (
            SELECT l.customer_id, l.programme, l.tier, t.rank, x.turn,
                iaros.loyalty_active(l.enrolled_on, l.cancelled_on, day) AS active
            FROM (SELECT person AS id
                  UNION ALL
                  SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = person) i
            JOIN iaros.loyalty_account l ON l.customer_id = i.id
            JOIN iaros.loyalty_tier t ON t.programme = l.programme AND t.tier = l.tier
            CROSS JOIN LATERAL (VALUES (l.enrolled_on), (l.cancelled_on)) AS x(turn)) m;
END $$;
COMMENT ON FUNCTION @extschema@.profile_member(bigint, date) IS
'Returns whether a person has an active loyalty account on a day, aliases included, the highest tier of these, the last day until then on which that may have changed (-infinity: none is known), and the next one (infinity). For profile_at() and the gates of profiles only. A few index look-ups.';

CREATE FUNCTION @extschema@.profile_keep_flags(persons bigint[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    AS $$
#variable_conflict use_column
DECLARE
    day date;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    day := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    UPDATE iaros.profile_stored p
    SET (corporate, social_follower, app_trait, referral_trait, is_member, tier, member_as_of, member_due_on) = ROW(
        n.corporate, n.social_follower, n.app_trait, n.referral_trait, n.is_member, n.tier, n.since_on, n.due_on)
    FROM (
        SELECT u.id, coalesce(t.corporate, false) AS corporate, coalesce(t.social_follower, false) AS social_follower,
            coalesce(t.app_trait, false) AS app_trait, coalesce(t.referral_trait, false) AS referral_trait,
            m.is_member, m.tier, m.since_on, m.due_on
        FROM unnest(persons) AS u(id)
        CROSS JOIN LATERAL iaros.profile_member(u.id, day) m
        CROSS JOIN LATERAL (
            SELECT bool_or(x.trait = 'corporate_account') AS corporate, bool_or(x.trait = 'social_follower') AS social_follower,
                bool_or(x.trait = 'app_user') AS app_trait, bool_or(x.trait = 'referral_participant') AS referral_trait
            FROM iaros.customer_trait x
            WHERE x.customer_id IN (SELECT u.id UNION ALL
                                    SELECT a.customer_id FROM iaros.customer_alias a WHERE a.master_id = u.id)
              AND x.value NOT IN ('false', 'null')) t) n
    WHERE p.customer_id = n.id
      AND (p.corporate, p.social_follower, p.app_trait, p.referral_trait, p.is_member, p.tier, p.member_as_of, p.member_due_on)
          IS DISTINCT FROM (n.corporate, n.social_follower, n.app_trait, n.referral_trait, n.is_member, n.tier, n.since_on, n.due_on);
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.profile_keep_flags(bigint[]) IS
'Brings what profiles store of traits and loyalty accounts to what these say now, and returns how many profiles that changed. For the gates of profiles only. O(persons).';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.profile_install_keep()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
    CREATE TABLE iaros.profile_stored (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        as_of timestamptz NOT NULL DEFAULT '-infinity',
        due_at timestamptz NOT NULL DEFAULT 'infinity',
        state iaros.profile_state NOT NULL DEFAULT E'\\x01000000',
        booking_count integer NOT NULL DEFAULT 0,
        booking_count_30d integer NOT NULL DEFAULT 0,
        booking_count_90d integer NOT NULL DEFAULT 0,
        booking_count_180d integer NOT NULL DEFAULT 0,
        booking_count_12m integer NOT NULL DEFAULT 0,
        spend_total numeric NOT NULL DEFAULT 0.0000,
        spend_90d numeric NOT NULL DEFAULT 0.0000,
        spend_12m numeric NOT NULL DEFAULT 0.0000,
        first_booked_at timestamptz,
        last_booked_at timestamptz,
        prev_booked_at timestamptz,
        next_departure_at timestamptz,
        cancelled_count integer NOT NULL DEFAULT 0,
        refunded_count integer NOT NULL DEFAULT 0,
        cabin_top iaros.cabin,
        premium_share numeric,
        sales_channel_top text,
        route_top text,
        route_count integer NOT NULL DEFAULT 0,
        haul_top text,
        region_top text,
        international_share numeric,
        intercontinental_share numeric,
        weekend_share numeric,
        season_top text,
        party_size_avg numeric,
        group_count integer NOT NULL DEFAULT 0,
        solo_share numeric,
        lead_days_avg numeric,
        last_minute_share numeric,
        early_share numeric,
        ancillary_count integer NOT NULL DEFAULT 0,
        seat_count integer NOT NULL DEFAULT 0,
        bag_count integer NOT NULL DEFAULT 0,
        meal_count integer NOT NULL DEFAULT 0,
        upgrade_count integer NOT NULL DEFAULT 0,
        bundle_count integer NOT NULL DEFAULT 0,
        email_open_30d integer NOT NULL DEFAULT 0,
        email_open_90d integer NOT NULL DEFAULT 0,
        email_click_90d integer NOT NULL DEFAULT 0,
        session_30d integer NOT NULL DEFAULT 0,
        app_open_30d integer NOT NULL DEFAULT 0,
        search_7d integer NOT NULL DEFAULT 0,
        search_30d integer NOT NULL DEFAULT 0,
        cart_abandoned_7d integer NOT NULL DEFAULT 0,
        cart_abandoned_30d integer NOT NULL DEFAULT 0,
        complaint_90d integer NOT NULL DEFAULT 0,
        touch_30d integer NOT NULL DEFAULT 0,
        touch_90d integer NOT NULL DEFAULT 0,
        last_event_at timestamptz,
        last_search_at timestamptz,
        last_complaint_at timestamptz,
        last_touch_at timestamptz,
        nps_score integer,
        nps_at timestamptz,
        app_opened boolean NOT NULL DEFAULT false,
        referred boolean NOT NULL DEFAULT false,
        email_opt_in boolean NOT NULL DEFAULT false,
        sms_opt_in boolean NOT NULL DEFAULT false,
        push_opt_in boolean NOT NULL DEFAULT false,
        corporate boolean NOT NULL DEFAULT false,
        social_follower boolean NOT NULL DEFAULT false,
        app_trait boolean NOT NULL DEFAULT false,
        referral_trait boolean NOT NULL DEFAULT false,
        is_member boolean NOT NULL DEFAULT false,
        tier text,
        member_as_of date NOT NULL DEFAULT '-infinity',
        member_due_on date NOT NULL DEFAULT 'infinity'
    -- Rows change in place: no index on what changes, room for two versions.
    ) WITH (fillfactor = 60);
    COMMENT ON TABLE iaros.profile_stored IS
        'What is known of each person, aliases folded in; one row for each customer that is no alias. Kept by triggers, never by hand; read it through view profile or profile_at(). Amounts are in the base currency.';
    COMMENT ON COLUMN iaros.profile_stored.state IS 'The history of which the columns up to push_opt_in are made.';
    COMMENT ON COLUMN iaros.profile_stored.as_of IS 'The columns up to push_opt_in are right from as_of until before due_at.';
    COMMENT ON COLUMN iaros.profile_stored.member_due_on IS 'is_member and tier are right from day member_as_of until before this day (UTC).';
    COMMENT ON COLUMN iaros.profile_stored.app_trait IS 'Trait app_user; referral_trait: trait referral_participant.';

    CREATE FUNCTION iaros.profile_at(as_of timestamptz)
        RETURNS TABLE (customer_id bigint,
            booking_count integer, booking_count_30d integer, booking_count_90d integer,
            booking_count_180d integer, booking_count_12m integer, spend_total numeric, spend_90d numeric,
            spend_12m numeric, first_booked_at timestamptz, last_booked_at timestamptz,
            prev_booked_at timestamptz, next_departure_at timestamptz, cancelled_count integer,
            refunded_count integer, cabin_top iaros.cabin, premium_share numeric, sales_channel_top text,
            route_top text, route_count integer, haul_top text, region_top text, international_share numeric,
            intercontinental_share numeric, weekend_share numeric, season_top text, party_size_avg numeric,
            group_count integer, solo_share numeric, lead_days_avg numeric, last_minute_share numeric,
            early_share numeric, ancillary_count integer, seat_count integer, bag_count integer,
            meal_count integer, upgrade_count integer, bundle_count integer, email_open_30d integer,
            email_open_90d integer, email_click_90d integer, session_30d integer, app_open_30d integer,
            search_7d integer, search_30d integer, cart_abandoned_7d integer, cart_abandoned_30d integer,
            complaint_90d integer, touch_30d integer, touch_90d integer, last_event_at timestamptz,
            last_search_at timestamptz, last_complaint_at timestamptz, last_touch_at timestamptz,
            nps_score integer, nps_at timestamptz, is_member boolean, tier text, app_user boolean,
            corporate boolean, social_follower boolean, referral_participant boolean, email_opt_in boolean,
            sms_opt_in boolean, push_opt_in boolean, due_at timestamptz)
        LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000
        AS $body$
        -- No SET clause, since it would keep the function from being inlined.
        SELECT p.customer_id,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.booking_count ELSE iaros.profile_integer(p.state, 'booking_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.booking_count_30d ELSE iaros.profile_integer(p.state, 'booking_count_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.booking_count_90d ELSE iaros.profile_integer(p.state, 'booking_count_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.booking_count_180d ELSE iaros.profile_integer(p.state, 'booking_count_180d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.booking_count_12m ELSE iaros.profile_integer(p.state, 'booking_count_12m', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.spend_total ELSE iaros.profile_number(p.state, 'spend_total', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.spend_90d ELSE iaros.profile_number(p.state, 'spend_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.spend_12m ELSE iaros.profile_number(p.state, 'spend_12m', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.first_booked_at ELSE iaros.profile_time(p.state, 'first_booked_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_booked_at ELSE iaros.profile_time(p.state, 'last_booked_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.prev_booked_at ELSE iaros.profile_time(p.state, 'prev_booked_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.next_departure_at ELSE iaros.profile_time(p.state, 'next_departure_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.cancelled_count ELSE iaros.profile_integer(p.state, 'cancelled_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.refunded_count ELSE iaros.profile_integer(p.state, 'refunded_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.cabin_top ELSE iaros.profile_text(p.state, 'cabin_top', n.as_of)::iaros.cabin END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.premium_share ELSE iaros.profile_number(p.state, 'premium_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.sales_channel_top ELSE iaros.profile_text(p.state, 'sales_channel_top', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.route_top ELSE iaros.profile_text(p.state, 'route_top', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.route_count ELSE iaros.profile_integer(p.state, 'route_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.haul_top ELSE iaros.profile_text(p.state, 'haul_top', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.region_top ELSE iaros.profile_text(p.state, 'region_top', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.international_share ELSE iaros.profile_number(p.state, 'international_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.intercontinental_share ELSE iaros.profile_number(p.state, 'intercontinental_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.weekend_share ELSE iaros.profile_number(p.state, 'weekend_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.season_top ELSE iaros.profile_text(p.state, 'season_top', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.party_size_avg ELSE iaros.profile_number(p.state, 'party_size_avg', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.group_count ELSE iaros.profile_integer(p.state, 'group_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.solo_share ELSE iaros.profile_number(p.state, 'solo_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.lead_days_avg ELSE iaros.profile_number(p.state, 'lead_days_avg', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_minute_share ELSE iaros.profile_number(p.state, 'last_minute_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.early_share ELSE iaros.profile_number(p.state, 'early_share', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.ancillary_count ELSE iaros.profile_integer(p.state, 'ancillary_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.seat_count ELSE iaros.profile_integer(p.state, 'seat_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.bag_count ELSE iaros.profile_integer(p.state, 'bag_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.meal_count ELSE iaros.profile_integer(p.state, 'meal_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.upgrade_count ELSE iaros.profile_integer(p.state, 'upgrade_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.bundle_count ELSE iaros.profile_integer(p.state, 'bundle_count', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.email_open_30d ELSE iaros.profile_integer(p.state, 'email_open_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.email_open_90d ELSE iaros.profile_integer(p.state, 'email_open_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.email_click_90d ELSE iaros.profile_integer(p.state, 'email_click_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.session_30d ELSE iaros.profile_integer(p.state, 'session_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.app_open_30d ELSE iaros.profile_integer(p.state, 'app_open_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.search_7d ELSE iaros.profile_integer(p.state, 'search_7d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.search_30d ELSE iaros.profile_integer(p.state, 'search_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.cart_abandoned_7d ELSE iaros.profile_integer(p.state, 'cart_abandoned_7d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.cart_abandoned_30d ELSE iaros.profile_integer(p.state, 'cart_abandoned_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.complaint_90d ELSE iaros.profile_integer(p.state, 'complaint_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.touch_30d ELSE iaros.profile_integer(p.state, 'touch_30d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.touch_90d ELSE iaros.profile_integer(p.state, 'touch_90d', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_event_at ELSE iaros.profile_time(p.state, 'last_event_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_search_at ELSE iaros.profile_time(p.state, 'last_search_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_complaint_at ELSE iaros.profile_time(p.state, 'last_complaint_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.last_touch_at ELSE iaros.profile_time(p.state, 'last_touch_at', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.nps_score ELSE iaros.profile_integer(p.state, 'nps_score', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.nps_at ELSE iaros.profile_time(p.state, 'nps_at', n.as_of) END,
            CASE WHEN n.day >= p.member_as_of AND n.day < p.member_due_on THEN p.is_member ELSE (SELECT m.is_member FROM iaros.profile_member(p.customer_id, n.day) m) END,
            CASE WHEN n.day >= p.member_as_of AND n.day < p.member_due_on THEN p.tier ELSE (SELECT m.tier FROM iaros.profile_member(p.customer_id, n.day) m) END,
            p.app_trait OR CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.app_opened ELSE iaros.profile_boolean(p.state, 'app_opened', n.as_of) END,
            p.corporate,
            p.social_follower,
            p.referral_trait OR CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.referred ELSE iaros.profile_boolean(p.state, 'referred', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.email_opt_in ELSE iaros.profile_boolean(p.state, 'email_opt_in', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.sms_opt_in ELSE iaros.profile_boolean(p.state, 'sms_opt_in', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at THEN p.push_opt_in ELSE iaros.profile_boolean(p.state, 'push_opt_in', n.as_of) END,
            CASE WHEN n.as_of >= p.as_of AND n.as_of < p.due_at AND n.day >= p.member_as_of AND n.day < p.member_due_on
                THEN least(p.due_at, p.member_due_on::timestamp AT TIME ZONE 'UTC') ELSE n.as_of END
        FROM iaros.profile_stored p
        CROSS JOIN (SELECT $1 AS as_of, ($1 AT TIME ZONE 'UTC')::date AS day) n
        $body$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_at(timestamptz) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_at(timestamptz) IS
        'Returns the profile of each person as it was, or will be if nothing happens, at a time. Inlined: conditions on customer_id use the index, and columns that are not asked for cost nothing. What is stored is taken where it is right at that time, else the column is made out of the history. Traits, tiers of loyalty accounts and aliases are those of now. due_at is when the next column changes though nothing happens, infinity for never; as_of itself where the row is not stored for that time. NULL: no values. Error: 22023 as_of not finite.';

    CREATE VIEW iaros.profile AS
        SELECT * FROM iaros.profile_at(now());
    COMMENT ON VIEW iaros.profile IS
        'What is known of each person now, aliases folded in; one row for each customer that is no alias. Right at every moment: see profile_at().';

    CREATE FUNCTION iaros.profile_gate_apply(customer_ids bigint[])
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    #variable_conflict use_column
    DECLARE
        ids bigint[];
        persons bigint[];
    BEGIN
        SELECT array_agg(x.id ORDER BY x.id) INTO ids
        FROM (SELECT u.id FROM unnest(profile_gate_apply.customer_ids) AS u(id) WHERE u.id IS NOT NULL
              UNION
              SELECT a.master_id FROM iaros.customer_alias a
              WHERE a.customer_id = ANY (profile_gate_apply.customer_ids)) x;
        -- Missing rows first, then all locks in one order; what follows then
        -- sees what others committed while we waited.
        INSERT INTO iaros.profile_stored (customer_id)
        SELECT c.customer_id FROM iaros.customer c
        WHERE c.customer_id = ANY (ids)
          AND NOT EXISTS (SELECT FROM iaros.profile_stored p WHERE p.customer_id = c.customer_id)
          AND NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id)
        ORDER BY c.customer_id
        ON CONFLICT ON CONSTRAINT profile_stored_pkey DO NOTHING;
        PERFORM iaros.profile_keep_lock(ids);
        DELETE FROM iaros.profile_stored p USING iaros.customer_alias a
        WHERE a.customer_id = p.customer_id AND p.customer_id = ANY (ids);
        SELECT array_agg(p.customer_id ORDER BY p.customer_id) INTO persons
        FROM iaros.profile_stored p WHERE p.customer_id = ANY (ids);
        UPDATE iaros.profile_stored p SET state = s.state
        FROM iaros.profile_states(persons) s
        WHERE p.customer_id = s.customer_id AND p.state OPERATOR(iaros.<>) s.state;
        PERFORM iaros.profile_keep_put(persons, NULL, NULL);
        PERFORM iaros.profile_keep_flags(persons);
        RETURN coalesce(cardinality(persons), 0);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_gate_apply(bigint[]) FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_gate_apply(bigint[]) IS
        'Gate: does the work of profile_apply(). SECURITY DEFINER, so that roles which operate can call it without the right to write profiles.';

    CREATE FUNCTION iaros.profile_gate_rebuild()
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        SET work_mem = '64MB'
        SET plan_cache_mode = force_custom_plan
        AS $gate$
    #variable_conflict use_column
    DECLARE
        at timestamptz;
        persons bigint[];
        done bigint;
        gone bigint;
    BEGIN
        -- Who writes bookings or events waits here for us, or we for them:
        -- what we then read is what their triggers have applied.
        LOCK TABLE iaros.profile_stored IN SHARE ROW EXCLUSIVE MODE;
        at := clock_timestamp();
        DELETE FROM iaros.profile_stored p USING iaros.customer_alias a WHERE a.customer_id = p.customer_id;
        GET DIAGNOSTICS gone = ROW_COUNT;
        INSERT INTO iaros.profile_stored AS o (customer_id, as_of, state, due_at,
            booking_count, booking_count_30d, booking_count_90d, booking_count_180d, booking_count_12m,
            spend_total, spend_90d, spend_12m, first_booked_at, last_booked_at, prev_booked_at,
            next_departure_at, cancelled_count, refunded_count, cabin_top, premium_share, sales_channel_top,
            route_top, route_count, haul_top, region_top, international_share, intercontinental_share,
            weekend_share, season_top, party_size_avg, group_count, solo_share, lead_days_avg,
            last_minute_share, early_share, ancillary_count, seat_count, bag_count, meal_count, upgrade_count,
            bundle_count, email_open_30d, email_open_90d, email_click_90d, session_30d, app_open_30d,
            search_7d, search_30d, cart_abandoned_7d, cart_abandoned_30d, complaint_90d, touch_30d, touch_90d,
            last_event_at, last_search_at, last_complaint_at, last_touch_at, nps_score, nps_at, app_opened,
            referred, email_opt_in, sms_opt_in, push_opt_in)
        SELECT c.customer_id, at, coalesce(b.state, E'\\x01000000'), coalesce(b.due_at, 'infinity'),
            coalesce(b.booking_count, 0), coalesce(b.booking_count_30d, 0), coalesce(b.booking_count_90d, 0),
            coalesce(b.booking_count_180d, 0), coalesce(b.booking_count_12m, 0),
            coalesce(b.spend_total, 0.0000), coalesce(b.spend_90d, 0.0000), coalesce(b.spend_12m, 0.0000),
            b.first_booked_at, b.last_booked_at, b.prev_booked_at, b.next_departure_at,
            coalesce(b.cancelled_count, 0), coalesce(b.refunded_count, 0), b.cabin_top::iaros.cabin,
            b.premium_share, b.sales_channel_top, b.route_top, coalesce(b.route_count, 0), b.haul_top,
            b.region_top, b.international_share, b.intercontinental_share, b.weekend_share, b.season_top,
            b.party_size_avg, coalesce(b.group_count, 0), b.solo_share, b.lead_days_avg, b.last_minute_share,
            b.early_share, coalesce(b.ancillary_count, 0), coalesce(b.seat_count, 0),
            coalesce(b.bag_count, 0), coalesce(b.meal_count, 0), coalesce(b.upgrade_count, 0),
            coalesce(b.bundle_count, 0), coalesce(b.email_open_30d, 0), coalesce(b.email_open_90d, 0),
            coalesce(b.email_click_90d, 0), coalesce(b.session_30d, 0), coalesce(b.app_open_30d, 0),
            coalesce(b.search_7d, 0), coalesce(b.search_30d, 0), coalesce(b.cart_abandoned_7d, 0),
            coalesce(b.cart_abandoned_30d, 0), coalesce(b.complaint_90d, 0), coalesce(b.touch_30d, 0),
            coalesce(b.touch_90d, 0), b.last_event_at, b.last_search_at, b.last_complaint_at, b.last_touch_at,
            b.nps_score, b.nps_at, coalesce(b.app_opened, false), coalesce(b.referred, false),
            coalesce(b.email_opt_in, false), coalesce(b.sms_opt_in, false), coalesce(b.push_opt_in, false)
        FROM iaros.customer c
        LEFT JOIN iaros.profile_build(
            'SELECT coalesce(a.master_id, b.customer_id), b.customer_id, b.booking_id, b.booked_at, b.status, b.amount_base,
                 b.cabin, b.sales_channel, b.origin, b.destination, b.party_size, b.departure_at
             FROM iaros.booking b
             LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id',
            'SELECT coalesce(a.master_id, i.customer_id), i.customer_id, i.booking_id, iaros.profile_item_mask(i.kind, k.category)
             FROM iaros.booking_item i
             JOIN iaros.item_kind k ON k.kind = i.kind
             LEFT JOIN iaros.customer_alias a ON a.customer_id = i.customer_id',
            'SELECT coalesce(a.master_id, e.customer_id), e.kind, e.at, e.visit, e.id, e.value
             FROM iaros.profile_entry e
             LEFT JOIN iaros.customer_alias a ON a.customer_id = e.customer_id',
            ARRAY(SELECT s.sales_channel FROM iaros.sales_channel s
                  UNION SELECT k.kind FROM iaros.event_kind k
                  UNION SELECT 'touch:' || c.channel || ':' || k.kind
                  FROM iaros.channel c, unnest(ARRAY['impression', 'open', 'click', 'visit']) AS k(kind)
                  UNION SELECT DISTINCT 'consent:' || c.purpose || ':' || c.channel FROM iaros.consent c),
            at) b ON b.customer_id = c.customer_id
        -- A row that is only looked at for a conflict is locked, and so
        -- written: not all of them.
        LEFT JOIN iaros.profile_stored p ON p.customer_id = c.customer_id
        WHERE NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id)
          AND (p.customer_id IS NULL OR p.state OPERATOR(iaros.<>) coalesce(b.state, E'\\x01000000'))
        ON CONFLICT ON CONSTRAINT profile_stored_pkey DO UPDATE SET (as_of, state, due_at,
            booking_count, booking_count_30d, booking_count_90d, booking_count_180d, booking_count_12m,
            spend_total, spend_90d, spend_12m, first_booked_at, last_booked_at, prev_booked_at,
            next_departure_at, cancelled_count, refunded_count, cabin_top, premium_share, sales_channel_top,
            route_top, route_count, haul_top, region_top, international_share, intercontinental_share,
            weekend_share, season_top, party_size_avg, group_count, solo_share, lead_days_avg,
            last_minute_share, early_share, ancillary_count, seat_count, bag_count, meal_count, upgrade_count,
            bundle_count, email_open_30d, email_open_90d, email_click_90d, session_30d, app_open_30d,
            search_7d, search_30d, cart_abandoned_7d, cart_abandoned_30d, complaint_90d, touch_30d, touch_90d,
            last_event_at, last_search_at, last_complaint_at, last_touch_at, nps_score, nps_at, app_opened,
            referred, email_opt_in, sms_opt_in, push_opt_in) = ROW(
            excluded.as_of, excluded.state, excluded.due_at,
            excluded.booking_count, excluded.booking_count_30d, excluded.booking_count_90d,
            excluded.booking_count_180d, excluded.booking_count_12m, excluded.spend_total, excluded.spend_90d,
            excluded.spend_12m, excluded.first_booked_at, excluded.last_booked_at, excluded.prev_booked_at,
            excluded.next_departure_at, excluded.cancelled_count, excluded.refunded_count, excluded.cabin_top,
            excluded.premium_share, excluded.sales_channel_top, excluded.route_top, excluded.route_count,
            excluded.haul_top, excluded.region_top, excluded.international_share,
            excluded.intercontinental_share, excluded.weekend_share, excluded.season_top,
            excluded.party_size_avg, excluded.group_count, excluded.solo_share, excluded.lead_days_avg,
            excluded.last_minute_share, excluded.early_share, excluded.ancillary_count, excluded.seat_count,
            excluded.bag_count, excluded.meal_count, excluded.upgrade_count, excluded.bundle_count,
            excluded.email_open_30d, excluded.email_open_90d, excluded.email_click_90d, excluded.session_30d,
            excluded.app_open_30d, excluded.search_7d, excluded.search_30d, excluded.cart_abandoned_7d,
            excluded.cart_abandoned_30d, excluded.complaint_90d, excluded.touch_30d, excluded.touch_90d,
            excluded.last_event_at, excluded.last_search_at, excluded.last_complaint_at,
            excluded.last_touch_at, excluded.nps_score, excluded.nps_at, excluded.app_opened,
            excluded.referred, excluded.email_opt_in, excluded.sms_opt_in, excluded.push_opt_in);
        GET DIAGNOSTICS done = ROW_COUNT;
        SELECT array_agg(p.customer_id) INTO persons
        FROM iaros.profile_stored p
        WHERE p.corporate OR p.social_follower OR p.app_trait OR p.referral_trait OR p.is_member
           OR isfinite(p.member_as_of) OR isfinite(p.member_due_on)
           OR EXISTS (SELECT FROM iaros.customer_trait t WHERE t.customer_id = p.customer_id)
           OR EXISTS (SELECT FROM iaros.loyalty_account l WHERE l.customer_id = p.customer_id)
           OR EXISTS (SELECT FROM iaros.customer_alias a WHERE a.master_id = p.customer_id);
        RETURN gone + done + iaros.profile_keep_flags(persons);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_gate_rebuild() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_gate_rebuild() IS
        'Gate: does the work of profile_rebuild(). SECURITY DEFINER for the reason of profile_gate_apply().';

    CREATE FUNCTION iaros.profile_gate_refresh()
        RETURNS bigint
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        persons bigint[];
        members bigint[];
    BEGIN
        persons := ARRAY(
            SELECT p.customer_id FROM iaros.profile_stored p
            WHERE p.due_at <= clock_timestamp()
            ORDER BY p.customer_id FOR NO KEY UPDATE SKIP LOCKED);
        PERFORM iaros.profile_keep_put(persons, NULL, NULL);
        members := ARRAY(
            SELECT p.customer_id FROM iaros.profile_stored p
            WHERE p.member_due_on <= (clock_timestamp() AT TIME ZONE 'UTC')::date
            ORDER BY p.customer_id FOR NO KEY UPDATE SKIP LOCKED);
        PERFORM iaros.profile_keep_flags(members);
        RETURN (SELECT count(*) FROM (SELECT unnest(persons) UNION SELECT unnest(members)) u);
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_gate_refresh() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_gate_refresh() IS
        'Gate: does the work of profile_refresh(). SECURITY DEFINER for the reason of profile_gate_apply().';

    CREATE VIEW iaros.profile_entry AS
        SELECT e.customer_id, e.kind, e.occurred_at AS at, k.origin IN ('website', 'mobile') AS visit, e.event_id AS id,
            iaros.profile_nps_value(e.kind, e.properties ->> 'score') AS value
        FROM iaros.event e
        JOIN iaros.event_kind k ON k.kind = e.kind
        UNION ALL
        SELECT t.customer_id, 'touch:' || t.channel || ':' || t.kind, t.occurred_at, false, NULL, NULL
        FROM iaros.touchpoint t
        UNION ALL
        SELECT c.customer_id, 'consent:' || c.purpose || ':' || c.channel, c.recorded_at, false, c.consent_id, c.given::integer
        FROM iaros.consent c;
    COMMENT ON VIEW iaros.profile_entry IS
        'Events, contacts and consents as profile_event_agg() takes them: what the histories of profiles are made of beside bookings.';

    CREATE FUNCTION iaros.profile_booking_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        customers bigint[];
        bookings bigint[];
    BEGIN
        IF TG_OP = 'DELETE' THEN
            SELECT array_agg(o.customer_id), array_agg(o.booking_id) INTO customers, bookings FROM old_rows o;
        ELSIF TG_OP = 'UPDATE' THEN
            -- Only what a history asks of a booking.
            WITH o AS (
                SELECT o.customer_id, o.booking_id, o.booked_at, o.status, o.amount_base, o.cabin, o.sales_channel, o.origin,
                    o.destination, o.party_size, o.departure_at
                FROM old_rows o
            ), n AS (
                SELECT n.customer_id, n.booking_id, n.booked_at, n.status, n.amount_base, n.cabin, n.sales_channel, n.origin,
                    n.destination, n.party_size, n.departure_at
                FROM new_rows n
            )
            SELECT array_agg(c.customer_id), array_agg(c.booking_id) INTO customers, bookings
            FROM (
                SELECT x.customer_id, x.booking_id FROM (TABLE o EXCEPT ALL TABLE n) x
                UNION
                SELECT y.customer_id, y.booking_id FROM (TABLE n EXCEPT ALL TABLE o) y) c;
        ELSE
            PERFORM iaros.profile_gate_rebuild();
        END IF;
        IF customers IS NOT NULL THEN
            PERFORM iaros.profile_keep_bookings(customers, bookings);
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_booking_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_booking_changed() IS
        'Statement trigger: brings bookings that were changed or deleted into the profiles of their customers. SECURITY DEFINER, so that who records bookings needs no right to write profiles.';

    CREATE FUNCTION iaros.profile_item_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    DECLARE
        customers bigint[];
        bookings bigint[];
    BEGIN
        IF TG_OP = 'INSERT' THEN
            SELECT array_agg(k.customer_id), array_agg(k.booking_id) INTO customers, bookings
            FROM (SELECT DISTINCT n.customer_id, n.booking_id FROM new_rows n) k;
        ELSIF TG_OP = 'DELETE' THEN
            SELECT array_agg(k.customer_id), array_agg(k.booking_id) INTO customers, bookings
            FROM (SELECT DISTINCT o.customer_id, o.booking_id FROM old_rows o) k;
        ELSIF TG_OP = 'UPDATE' THEN
            SELECT array_agg(k.customer_id), array_agg(k.booking_id) INTO customers, bookings
            FROM (SELECT o.customer_id, o.booking_id FROM old_rows o
                  UNION SELECT n.customer_id, n.booking_id FROM new_rows n) k;
        ELSE
            PERFORM iaros.profile_gate_rebuild();
        END IF;
        IF customers IS NOT NULL THEN
            PERFORM iaros.profile_keep_bookings(customers, bookings);
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_item_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_item_changed() IS
        'Statement trigger: brings changed lines of bookings into the profiles of their customers. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_event_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM iaros.profile_gate_rebuild();
        ELSE
            PERFORM iaros.profile_keep_entries(array_agg(r.customer_id), array_agg(r.kind), array_agg(r.occurred_at),
                array_agg(k.origin IN ('website', 'mobile')), array_agg(r.event_id),
                array_agg(iaros.profile_nps_value(r.kind, r.properties ->> 'score')), TG_ARGV[0] = 'gone')
            FROM rows r
            JOIN iaros.event_kind k ON k.kind = r.kind;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_event_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_event_changed() IS
        'Statement trigger: adds events to the profiles of their customers, or takes them out when its argument is gone. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_touch_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM iaros.profile_gate_rebuild();
        ELSE
            PERFORM iaros.profile_keep_entries(array_agg(r.customer_id), array_agg('touch:' || r.channel || ':' || r.kind),
                array_agg(r.occurred_at), NULL, NULL, NULL, TG_ARGV[0] = 'gone')
            FROM rows r;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_touch_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_touch_changed() IS
        'Statement trigger: adds contacts to the profiles of their customers, or takes them out when its argument is gone. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_consent_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM iaros.profile_gate_rebuild();
        ELSE
            PERFORM iaros.profile_keep_entries(array_agg(r.customer_id), array_agg('consent:' || r.purpose || ':' || r.channel),
                array_agg(r.recorded_at), NULL, array_agg(r.consent_id), array_agg(r.given::integer::bigint), TG_ARGV[0] = 'gone')
            FROM rows r;
        END IF;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_consent_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_consent_changed() IS
        'Statement trigger: adds consents to the profiles of their customers, or takes them out when its argument is gone. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_customer_new()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        INSERT INTO iaros.profile_stored (customer_id)
        SELECT r.customer_id FROM rows r
        ON CONFLICT ON CONSTRAINT profile_stored_pkey DO NOTHING;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_customer_new() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_customer_new() IS
        'Statement trigger: gives new customers an empty profile. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_alias_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM iaros.profile_gate_rebuild();
            RETURN NULL;
        END IF;
        -- Until we commit nobody writes a booking or an event for them who
        -- does not know the alias: their foreign keys wait for this lock.
        PERFORM FROM iaros.customer c
        WHERE c.customer_id IN (SELECT r.customer_id FROM rows r UNION ALL SELECT r.master_id FROM rows r)
        ORDER BY c.customer_id FOR UPDATE;
        PERFORM iaros.profile_gate_apply(array_agg(r.customer_id) || array_agg(r.master_id)) FROM rows r;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_alias_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_alias_changed() IS
        'Statement trigger: folds the profiles of customers that became the same person, or parts those that no longer are. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE FUNCTION iaros.profile_flag_changed()
        RETURNS trigger
        LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp
        AS $gate$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            PERFORM iaros.profile_gate_rebuild();
            RETURN NULL;
        END IF;
        PERFORM iaros.profile_keep_lock(p.persons), iaros.profile_keep_flags(p.persons)
        FROM (SELECT array_agg(DISTINCT coalesce(a.master_id, r.customer_id)) AS persons
              FROM rows r
              LEFT JOIN iaros.customer_alias a ON a.customer_id = r.customer_id) p;
        RETURN NULL;
    END $gate$;
    REVOKE EXECUTE ON FUNCTION iaros.profile_flag_changed() FROM PUBLIC;
    COMMENT ON FUNCTION iaros.profile_flag_changed() IS
        'Statement trigger: brings changed traits and loyalty accounts into the profiles of their customers. SECURITY DEFINER for the reason of profile_booking_changed().';

    CREATE TRIGGER profile_booking_insert AFTER INSERT ON iaros.booking
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_booking_new();
    CREATE TRIGGER profile_booking_update AFTER UPDATE ON iaros.booking
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_booking_changed();
    CREATE TRIGGER profile_booking_delete AFTER DELETE ON iaros.booking
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_booking_changed();
    CREATE TRIGGER profile_booking_truncate AFTER TRUNCATE ON iaros.booking
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_booking_changed();
    CREATE TRIGGER profile_item_insert AFTER INSERT ON iaros.booking_item
        REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_item_changed();
    CREATE TRIGGER profile_item_update AFTER UPDATE ON iaros.booking_item
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_item_changed();
    CREATE TRIGGER profile_item_delete AFTER DELETE ON iaros.booking_item
        REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_item_changed();
    CREATE TRIGGER profile_item_truncate AFTER TRUNCATE ON iaros.booking_item
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_item_changed();
    CREATE TRIGGER profile_event_insert AFTER INSERT ON iaros.event
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_event_new();
    CREATE TRIGGER profile_event_update_old AFTER UPDATE ON iaros.event
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_event_changed('gone');
    CREATE TRIGGER profile_event_update_new AFTER UPDATE ON iaros.event
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_event_changed('come');
    CREATE TRIGGER profile_event_delete AFTER DELETE ON iaros.event
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_event_changed('gone');
    CREATE TRIGGER profile_event_truncate AFTER TRUNCATE ON iaros.event
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_event_changed();
    CREATE TRIGGER profile_touch_insert AFTER INSERT ON iaros.touchpoint
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_touch_changed('come');
    CREATE TRIGGER profile_touch_update_old AFTER UPDATE ON iaros.touchpoint
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_touch_changed('gone');
    CREATE TRIGGER profile_touch_update_new AFTER UPDATE ON iaros.touchpoint
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_touch_changed('come');
    CREATE TRIGGER profile_touch_delete AFTER DELETE ON iaros.touchpoint
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_touch_changed('gone');
    CREATE TRIGGER profile_touch_truncate AFTER TRUNCATE ON iaros.touchpoint
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_touch_changed();
    CREATE TRIGGER profile_consent_insert AFTER INSERT ON iaros.consent
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_consent_changed('come');
    CREATE TRIGGER profile_consent_update_old AFTER UPDATE ON iaros.consent
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_consent_changed('gone');
    CREATE TRIGGER profile_consent_update_new AFTER UPDATE ON iaros.consent
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_consent_changed('come');
    CREATE TRIGGER profile_consent_delete AFTER DELETE ON iaros.consent
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_consent_changed('gone');
    CREATE TRIGGER profile_consent_truncate AFTER TRUNCATE ON iaros.consent
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_consent_changed();
    CREATE TRIGGER profile_alias_insert AFTER INSERT ON iaros.customer_alias
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_alias_changed();
    CREATE TRIGGER profile_alias_update_old AFTER UPDATE ON iaros.customer_alias
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_alias_changed();
    CREATE TRIGGER profile_alias_update_new AFTER UPDATE ON iaros.customer_alias
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_alias_changed();
    CREATE TRIGGER profile_alias_delete AFTER DELETE ON iaros.customer_alias
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_alias_changed();
    CREATE TRIGGER profile_alias_truncate AFTER TRUNCATE ON iaros.customer_alias
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_alias_changed();
    CREATE TRIGGER profile_trait_insert AFTER INSERT ON iaros.customer_trait
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_trait_update_old AFTER UPDATE ON iaros.customer_trait
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_trait_update_new AFTER UPDATE ON iaros.customer_trait
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_trait_delete AFTER DELETE ON iaros.customer_trait
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_trait_truncate AFTER TRUNCATE ON iaros.customer_trait
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_loyalty_insert AFTER INSERT ON iaros.loyalty_account
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_loyalty_update_old AFTER UPDATE ON iaros.loyalty_account
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_loyalty_update_new AFTER UPDATE ON iaros.loyalty_account
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_loyalty_delete AFTER DELETE ON iaros.loyalty_account
        REFERENCING OLD TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_loyalty_truncate AFTER TRUNCATE ON iaros.loyalty_account
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_flag_changed();
    CREATE TRIGGER profile_customer_insert AFTER INSERT ON iaros.customer
        REFERENCING NEW TABLE AS rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.profile_customer_new();

    PERFORM iaros.job_define('profile', '5 * * * *', 'profile_refresh', interval '3 hours', false,
        'Stores the columns of profiles anew that changed by the clock.');
END $install$;
COMMENT ON PROCEDURE @extschema@.profile_install_keep() IS
'Makes the tables, views and triggers of profiles that are kept current. Called by profile_install().';
