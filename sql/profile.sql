-- profile: one row a customer with what bookings, items, events, traits and
-- loyalty say about the person.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.profile_compute(
    customer_ids bigint[] DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customer_id bigint,
        booking_count integer, booking_count_12m integer, spend_total numeric, spend_12m numeric,
        first_booked_at timestamptz, last_booked_at timestamptz, cabin_top @extschema@.cabin,
        sales_channel_top text, route_top text, lead_days_avg numeric, party_size_avg numeric,
        weekend_share numeric, international_share numeric, ancillary_count integer,
        bundle_count integer, email_open_90d integer, email_click_90d integer, search_30d integer,
        cart_abandoned_7d integer, last_event_at timestamptz, last_complaint_at timestamptz,
        nps_score integer, is_member boolean, tier text, app_user boolean, corporate boolean,
        social_follower boolean, referral_participant boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100000
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    until timestamptz := coalesce(profile_compute.as_of, now());
    year_ago timestamptz := until - interval '12 months';
    zone text;
BEGIN
    PERFORM iaros.install_check();
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY
        -- Under which ids a person is stored: of all, or of the ones given.
        WITH stored AS MATERIALIZED (
            SELECT c.customer_id AS id, coalesce(a.master_id, c.customer_id) AS person
            FROM iaros.customer c
            LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
            WHERE profile_compute.customer_ids IS NULL
            UNION ALL
            SELECT c.customer_id, c.customer_id
            FROM (SELECT DISTINCT x.id FROM unnest(profile_compute.customer_ids) AS x(id)) u
            JOIN iaros.customer c ON c.customer_id = u.id
            WHERE profile_compute.customer_ids IS NOT NULL
              AND NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = u.id)
            UNION ALL
            SELECT a.customer_id, a.master_id
            FROM (SELECT DISTINCT x.id FROM unnest(profile_compute.customer_ids) AS x(id)) u
            JOIN iaros.customer_alias a ON a.master_id = u.id
            WHERE profile_compute.customer_ids IS NOT NULL
        ), bought AS MATERIALIZED (
            SELECT s.person, b.customer_id, b.booking_id, b.booked_at, b.departure_at, b.party_size,
                b.origin, b.destination, b.cabin, b.sales_channel, b.amount_base
            FROM stored s
            JOIN iaros.booking b ON b.customer_id = s.id
            WHERE iaros.booking_counts(b.status) AND b.booked_at <= until
        ), booked AS (
            SELECT b.person,
                count(*) AS booking_count,
                count(*) FILTER (WHERE b.booked_at > year_ago) AS booking_count_12m,
                sum(b.amount_base) AS spend_total,
                sum(b.amount_base) FILTER (WHERE b.booked_at > year_ago) AS spend_12m,
                min(b.booked_at) AS first_booked_at,
                max(b.booked_at) AS last_booked_at,
                -- Whole seconds, since averages of integers are exact.
                avg(date_part('epoch', b.departure_at - b.booked_at)::bigint)
                    FILTER (WHERE b.departure_at >= b.booked_at) / 86400 AS lead_days_avg,
                avg(b.party_size) AS party_size_avg,
                avg((date_part('isodow', b.departure_at AT TIME ZONE coalesce(o.time_zone, zone)) >= 6)::integer) AS weekend_share,
                avg((o.country <> d.country)::integer) AS international_share
            FROM bought b
            LEFT JOIN iaros.airport o ON o.airport = b.origin
            LEFT JOIN iaros.airport d ON d.airport = b.destination
            GROUP BY b.person
        ), cabin AS (
            SELECT DISTINCT ON (t.person) t.person, t.cabin
            FROM (SELECT b.person, b.cabin, count(*) AS times, max(b.booked_at) AS last_at
                  FROM bought b WHERE b.cabin IS NOT NULL GROUP BY b.person, b.cabin) t
            ORDER BY t.person, t.times DESC, t.last_at DESC, t.cabin
        ), sold AS (
            SELECT DISTINCT ON (t.person) t.person, t.sales_channel
            FROM (SELECT b.person, b.sales_channel, count(*) AS times, max(b.booked_at) AS last_at
                  FROM bought b WHERE b.sales_channel IS NOT NULL GROUP BY b.person, b.sales_channel) t
            ORDER BY t.person, t.times DESC, t.last_at DESC, t.sales_channel
        ), route AS (
            SELECT DISTINCT ON (t.person) t.person, t.origin || '-' || t.destination AS route
            FROM (SELECT b.person, b.origin, b.destination, count(*) AS times, max(b.booked_at) AS last_at
                  FROM bought b WHERE b.origin IS NOT NULL GROUP BY b.person, b.origin, b.destination) t
            ORDER BY t.person, t.times DESC, t.last_at DESC, t.origin, t.destination
        ), item AS (
            SELECT b.person,
                count(*) FILTER (WHERE k.category = 'ancillary') AS ancillary_count,
                count(*) FILTER (WHERE k.category = 'bundle') AS bundle_count
            FROM bought b
            JOIN iaros.booking_item i ON i.customer_id = b.customer_id AND i.booking_id = b.booking_id
            JOIN iaros.item_kind k ON k.kind = i.kind
            GROUP BY b.person
        ), did AS (
            SELECT s.person,
                count(*) FILTER (WHERE e.kind = 'email_open' AND e.occurred_at > until - interval '90 days') AS email_open_90d,
                count(*) FILTER (WHERE e.kind = 'email_click' AND e.occurred_at > until - interval '90 days') AS email_click_90d,
                count(*) FILTER (WHERE e.kind = 'search' AND e.occurred_at > until - interval '30 days') AS search_30d,
                count(*) FILTER (WHERE e.kind = 'cart_abandoned' AND e.occurred_at > until - interval '7 days') AS cart_abandoned_7d,
                max(e.occurred_at) AS last_event_at,
                max(e.occurred_at) FILTER (WHERE e.kind = 'complaint') AS last_complaint_at,
                bool_or(e.kind = 'app_open') AS app_user,
                bool_or(e.kind = 'referral') AS referral_participant
            FROM stored s
            JOIN iaros.event e ON e.customer_id = s.id
            WHERE e.occurred_at <= until
            GROUP BY s.person
        ), nps AS (
            SELECT DISTINCT ON (s.person) s.person, n.score
            FROM stored s
            JOIN iaros.nps_response n ON n.customer_id = s.id
            WHERE n.occurred_at <= until
            ORDER BY s.person, n.occurred_at DESC, n.event_id DESC
        ), trait AS (
            SELECT s.person,
                bool_or(t.trait = 'app_user') AS app_user,
                bool_or(t.trait = 'corporate_account') AS corporate,
                bool_or(t.trait = 'social_follower') AS social_follower,
                bool_or(t.trait = 'referral_participant') AS referral_participant
            FROM stored s
            JOIN iaros.customer_trait t ON t.customer_id = s.id
            WHERE t.value NOT IN ('false', 'null')
            GROUP BY s.person
        ), member AS (
            SELECT DISTINCT ON (s.person) s.person, l.tier
            FROM stored s
            JOIN iaros.loyalty_account l ON l.customer_id = s.id
            JOIN iaros.loyalty_tier t ON t.programme = l.programme AND t.tier = l.tier
            WHERE iaros.loyalty_active(l.enrolled_on, l.cancelled_on, until::date)
            ORDER BY s.person, t.rank DESC, l.programme, l.customer_id
        )
        SELECT p.person, coalesce(b.booking_count, 0)::integer, coalesce(b.booking_count_12m, 0)::integer,
            coalesce(b.spend_total, 0), coalesce(b.spend_12m, 0),
            b.first_booked_at, b.last_booked_at, c.cabin, h.sales_channel, r.route,
            round(b.lead_days_avg, 2), round(b.party_size_avg, 2),
            round(b.weekend_share, 4), round(b.international_share, 4),
            coalesce(i.ancillary_count, 0)::integer, coalesce(i.bundle_count, 0)::integer,
            coalesce(d.email_open_90d, 0)::integer, coalesce(d.email_click_90d, 0)::integer,
            coalesce(d.search_30d, 0)::integer, coalesce(d.cart_abandoned_7d, 0)::integer,
            d.last_event_at, d.last_complaint_at, n.score,
            m.person IS NOT NULL, m.tier,
            coalesce(t.app_user, false) OR coalesce(d.app_user, false),
            coalesce(t.corporate, false), coalesce(t.social_follower, false),
            coalesce(t.referral_participant, false) OR coalesce(d.referral_participant, false)
        FROM stored p
        LEFT JOIN booked b ON b.person = p.person
        LEFT JOIN cabin c ON c.person = p.person
        LEFT JOIN sold h ON h.person = p.person
        LEFT JOIN route r ON r.person = p.person
        LEFT JOIN item i ON i.person = p.person
        LEFT JOIN did d ON d.person = p.person
        LEFT JOIN nps n ON n.person = p.person
        LEFT JOIN trait t ON t.person = p.person
        LEFT JOIN member m ON m.person = p.person
        WHERE p.id = p.person;
END $$;
COMMENT ON FUNCTION @extschema@.profile_compute(bigint[], timestamptz) IS
'Returns the profiles, as they were at as_of, of the customers given, or of all when the array is NULL; aliases are folded into their master, and only masters come out. The one computation behind profile_refresh() and profile_apply(). as_of itself is no column. Writes nothing. Linear in the bookings, items and events of these customers.';

CREATE FUNCTION @extschema@.profile_write(
    customer_ids bigint[],
    as_of timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    until timestamptz := profile_write.as_of;
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    -- Missing rows first, then all locks, each in one order; what follows
    -- then sees what others committed while we waited.
    INSERT INTO iaros.profile (customer_id)
    SELECT c.customer_id FROM iaros.customer c
    WHERE (profile_write.customer_ids IS NULL OR c.customer_id = ANY (profile_write.customer_ids))
      AND NOT EXISTS (SELECT FROM iaros.profile p WHERE p.customer_id = c.customer_id)
      AND NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id)
    ORDER BY c.customer_id
    ON CONFLICT ON CONSTRAINT profile_pkey DO NOTHING;
    PERFORM FROM iaros.profile p
    WHERE profile_write.customer_ids IS NULL OR p.customer_id = ANY (profile_write.customer_ids)
    ORDER BY p.customer_id FOR NO KEY UPDATE;
    -- The present is when the locks were got: what another transaction
    -- wrote while we waited is not of the future.
    IF until IS NULL OR until = now() THEN
        until := clock_timestamp();
    END IF;
    DELETE FROM iaros.profile p USING iaros.customer_alias a
    WHERE a.customer_id = p.customer_id
      AND (profile_write.customer_ids IS NULL OR p.customer_id = ANY (profile_write.customer_ids));
    UPDATE iaros.profile p
    SET (as_of, booking_count, booking_count_12m, spend_total, spend_12m, first_booked_at,
        last_booked_at, cabin_top, sales_channel_top, route_top, lead_days_avg, party_size_avg,
        weekend_share, international_share, ancillary_count, bundle_count, email_open_90d,
        email_click_90d, search_30d, cart_abandoned_7d, last_event_at, last_complaint_at, nps_score,
        is_member, tier, app_user, corporate, social_follower, referral_participant) = ROW(
        until,
        n.booking_count, n.booking_count_12m, n.spend_total, n.spend_12m, n.first_booked_at,
        n.last_booked_at, n.cabin_top, n.sales_channel_top, n.route_top, n.lead_days_avg,
        n.party_size_avg, n.weekend_share, n.international_share, n.ancillary_count, n.bundle_count,
        n.email_open_90d, n.email_click_90d, n.search_30d, n.cart_abandoned_7d, n.last_event_at,
        n.last_complaint_at, n.nps_score, n.is_member, n.tier, n.app_user, n.corporate,
        n.social_follower, n.referral_participant)
    FROM iaros.profile_compute(profile_write.customer_ids, until) n
    WHERE n.customer_id = p.customer_id;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.profile_write(bigint[], timestamptz) IS
'Brings the rows of profile of the customers given, or of all when the array is NULL, to what profile_compute() says, and returns how many there are. Locks them in the order of customer_id in a statement of its own before it computes, so that two calls neither deadlock nor lose an update. as_of = now() means the moment at which the locks were got. For profile_refresh() and profile_apply().';

CREATE FUNCTION @extschema@.profile_refresh(as_of timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    RETURN iaros.profile_write(NULL, as_of);
END $$;
COMMENT ON FUNCTION @extschema@.profile_refresh(timestamptz) IS
'Computes the profile of every customer that is no alias as of a time (NULL or now(): the present) and returns how many there are; profiles of aliases go. Body of the job iaros-profile. Linear in bookings, items and events.';

CREATE FUNCTION @extschema@.profile_apply(
    customer_ids bigint[],
    as_of timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    -- The ids given and, where they are aliases, the ids they stand for.
    RETURN iaros.profile_write(ARRAY(
        SELECT u.id FROM unnest(customer_ids) AS u(id) WHERE u.id IS NOT NULL
        UNION
        SELECT a.master_id FROM iaros.customer_alias a
        WHERE a.customer_id IN (SELECT u.id FROM unnest(customer_ids) AS u(id))), as_of);
END $$;
COMMENT ON FUNCTION @extschema@.profile_apply(bigint[], timestamptz) IS
'Computes the profiles of some customers anew, as profile_refresh() would, and returns how many that were; ids that are aliases count for their master, ids of nobody are passed over. NULL array: none. Call it after changes to the bookings, items, events, traits or accounts of these customers. Linear in their rows.';

CREATE FUNCTION @extschema@.customer_profile(customer_id bigint)
    RETURNS TABLE (master_id bigint, kind @extschema@.customer_kind, gender text, country text, nationality text,
        city text, language text, home_airport text,
        as_of timestamptz, booking_count integer, booking_count_12m integer, spend_total numeric,
        spend_12m numeric, first_booked_at timestamptz, last_booked_at timestamptz,
        cabin_top @extschema@.cabin, sales_channel_top text, route_top text, lead_days_avg numeric,
        party_size_avg numeric, weekend_share numeric, international_share numeric,
        ancillary_count integer, bundle_count integer, email_open_90d integer,
        email_click_90d integer, search_30d integer, cart_abandoned_7d integer,
        last_event_at timestamptz, last_complaint_at timestamptz, nps_score integer,
        is_member boolean, tier text, app_user boolean, corporate boolean, social_follower boolean,
        referral_participant boolean)
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    master bigint := iaros.customer_resolve(customer_profile.customer_id);
BEGIN
    RETURN QUERY
        SELECT c.customer_id, c.kind, c.gender, c.country::text, c.nationality::text, c.city, c.language, c.home_airport::text,
            p.as_of, p.booking_count, p.booking_count_12m, p.spend_total, p.spend_12m,
            p.first_booked_at, p.last_booked_at, p.cabin_top, p.sales_channel_top, p.route_top,
            p.lead_days_avg, p.party_size_avg, p.weekend_share, p.international_share,
            p.ancillary_count, p.bundle_count, p.email_open_90d, p.email_click_90d, p.search_30d,
            p.cart_abandoned_7d, p.last_event_at, p.last_complaint_at, p.nps_score, p.is_member,
            p.tier, p.app_user, p.corporate, p.social_follower, p.referral_participant
        FROM iaros.customer c
        JOIN iaros.profile p ON p.customer_id = c.customer_id
        WHERE c.customer_id = master;
END $$;
COMMENT ON FUNCTION @extschema@.customer_profile(bigint) IS
'Returns the stored profile of a person, given any of the ids, beside the attributes of the customer that are not masked. No row for NULL, an unknown customer, or one whose profile was never computed; as_of tells how old it is. A few index look-ups.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.profile_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'profile', format('%s profiles belong to an alias', count(*)),
            'SELECT iaros.profile_refresh().'
        FROM iaros.profile p
        JOIN iaros.customer_alias a ON a.customer_id = p.customer_id
        HAVING count(*) > 0;
END $$;
COMMENT ON FUNCTION @extschema@.profile_doctor() IS
'Findings of doctor() about profiles: those of customers that have become aliases since the last refresh.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.profile_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('profile', 1) THEN
    CREATE TABLE iaros.profile (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        as_of timestamptz NOT NULL DEFAULT '-infinity',
        booking_count integer NOT NULL DEFAULT 0,
        booking_count_12m integer NOT NULL DEFAULT 0,
        -- Wider than an amount: sums of many of the largest must fit.
        spend_total numeric(24,4) NOT NULL DEFAULT 0,
        spend_12m numeric(24,4) NOT NULL DEFAULT 0,
        first_booked_at timestamptz,
        last_booked_at timestamptz,
        cabin_top iaros.cabin,
        sales_channel_top text,
        route_top text,
        lead_days_avg numeric(8,2),
        party_size_avg numeric(6,2),
        weekend_share numeric(5,4),
        international_share numeric(5,4),
        ancillary_count integer NOT NULL DEFAULT 0,
        bundle_count integer NOT NULL DEFAULT 0,
        email_open_90d integer NOT NULL DEFAULT 0,
        email_click_90d integer NOT NULL DEFAULT 0,
        search_30d integer NOT NULL DEFAULT 0,
        cart_abandoned_7d integer NOT NULL DEFAULT 0,
        last_event_at timestamptz,
        last_complaint_at timestamptz,
        nps_score integer,
        is_member boolean NOT NULL DEFAULT false,
        tier text,
        app_user boolean NOT NULL DEFAULT false,
        corporate boolean NOT NULL DEFAULT false,
        social_follower boolean NOT NULL DEFAULT false,
        referral_participant boolean NOT NULL DEFAULT false
    );
    COMMENT ON TABLE iaros.profile IS
        'What is known of each person as of a time, aliases folded in; one row for each customer that is no alias. Made by profile_refresh() and profile_apply(), never by hand. Bookings that were cancelled or refunded do not count; amounts are in the base currency.';
    COMMENT ON COLUMN iaros.profile.as_of IS 'The time up to which, included, bookings and events were counted; -infinity: not computed yet.';
    COMMENT ON COLUMN iaros.profile.booking_count_12m IS 'Bookings after as_of less 12 months; spend_12m likewise.';
    COMMENT ON COLUMN iaros.profile.cabin_top IS 'The most frequent cabin, of equally frequent ones the last used; sales_channel_top and route_top (as FRA-JFK) likewise.';
    COMMENT ON COLUMN iaros.profile.lead_days_avg IS 'Average days from booking to departure.';
    COMMENT ON COLUMN iaros.profile.weekend_share IS 'Share, 0 to 1, of departures on Saturday or Sunday at the airport of origin, in brand_time_zone where there is none.';
    COMMENT ON COLUMN iaros.profile.international_share IS 'Share, 0 to 1, of routes between two countries.';
    COMMENT ON COLUMN iaros.profile.ancillary_count IS 'Lines of bookings of a kind in category ancillary; bundle_count of category bundle.';
    COMMENT ON COLUMN iaros.profile.nps_score IS 'The last answer, 0 to 10.';
    COMMENT ON COLUMN iaros.profile.tier IS 'The highest tier of the active loyalty accounts.';
    COMMENT ON COLUMN iaros.profile.app_user IS 'Trait app_user, or the application was opened at least once.';
    COMMENT ON COLUMN iaros.profile.corporate IS 'Trait corporate_account.';
    COMMENT ON COLUMN iaros.profile.referral_participant IS 'Trait referral_participant, or an event of kind referral.';
    PERFORM iaros.job_define('profile', '5 * * * *', 'profile_refresh', interval '3 hours', false,
        'Computes the profile of every customer.');
    CALL iaros.profile_install_feature();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.profile_install() IS
'Makes the table of the domain profile. Called by install().';
