-- profile: the compact history of a person, its columns as of any time, and
-- the table that triggers keep current.

-- Type --------------------------------------------------------------------

CREATE TYPE @extschema@.profile_state;

CREATE FUNCTION @extschema@.profile_state_in(cstring) RETURNS @extschema@.profile_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_in(cstring) IS
'Input of type profile_state: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no profile_state. O(entries log entries).';

CREATE FUNCTION @extschema@.profile_state_out(@extschema@.profile_state) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_out(@extschema@.profile_state) IS
'Output of type profile_state. Error: 54000 above 512 MB. O(entries).';

CREATE FUNCTION @extschema@.profile_state_recv(internal) RETURNS @extschema@.profile_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_recv(internal) IS
'Binary input of type profile_state; every byte is checked. Error: 22P03 bytes that are no profile_state. O(entries log entries).';

CREATE FUNCTION @extschema@.profile_state_send(@extschema@.profile_state) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_send(@extschema@.profile_state) IS
'Binary output of type profile_state, the same on every machine. O(entries).';

CREATE TYPE @extschema@.profile_state (
    INPUT = @extschema@.profile_state_in,
    OUTPUT = @extschema@.profile_state_out,
    RECEIVE = @extschema@.profile_state_recv,
    SEND = @extschema@.profile_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.profile_state IS
'The history of one person in few bytes: bookings with what columns of a profile ask of them, and the times of events, contacts and consents. Made by profile_booking_agg() and profile_event_agg(), merged by profile_merge(), changed by profile_change(), read as of any time by profile_read(). About 20 bytes a booking and 4 an event.';

CREATE FUNCTION @extschema@.profile_state_eq(@extschema@.profile_state, @extschema@.profile_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_eq(@extschema@.profile_state, @extschema@.profile_state) IS
'Tells whether two states hold the same history. O(entries).';

CREATE FUNCTION @extschema@.profile_state_ne(@extschema@.profile_state, @extschema@.profile_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_ne(@extschema@.profile_state, @extschema@.profile_state) IS
'Tells whether two states hold different histories. O(entries).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.profile_state, RIGHTARG = @extschema@.profile_state, FUNCTION = @extschema@.profile_state_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.profile_state, @extschema@.profile_state) IS 'the same history';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.profile_state, RIGHTARG = @extschema@.profile_state, FUNCTION = @extschema@.profile_state_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.profile_state, @extschema@.profile_state) IS 'another history';

-- Kernel: histories -------------------------------------------------------

CREATE FUNCTION @extschema@.profile_state_merge(@extschema@.profile_state, @extschema@.profile_state)
    RETURNS @extschema@.profile_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_state_merge(@extschema@.profile_state, @extschema@.profile_state) IS
'Returns two histories as one. A booking of the second replaces that of the same key in the first; entries are all kept. NULL counts as empty; both NULL give NULL. O(entries).';

CREATE FUNCTION @extschema@.profile_booking_transition(
    state @extschema@.profile_state,
    customer_id bigint,
    booking_id bigint,
    booked_at timestamptz,
    status @extschema@.booking_status,
    amount numeric,
    cabin @extschema@.cabin,
    sales_channel text,
    origin bpchar,
    destination bpchar,
    party_size integer,
    departure_at timestamptz,
    items integer[])
    RETURNS @extschema@.profile_state
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_booking_transition(@extschema@.profile_state, bigint, bigint, timestamptz, @extschema@.booking_status, numeric, @extschema@.cabin, text, bpchar, bpchar, integer, timestamptz, integer[]) IS
'Transition function of profile_booking_agg(), which tells the arguments; state NULL is an empty history.';

CREATE AGGREGATE @extschema@.profile_booking_agg(
    customer_id bigint,
    booking_id bigint,
    booked_at timestamptz,
    status @extschema@.booking_status,
    amount numeric,
    cabin @extschema@.cabin,
    sales_channel text,
    origin bpchar,
    destination bpchar,
    party_size integer,
    departure_at timestamptz,
    items integer[]) (
    SFUNC = @extschema@.profile_booking_transition,
    STYPE = @extschema@.profile_state,
    COMBINEFUNC = @extschema@.profile_state_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.profile_booking_agg(bigint, bigint, timestamptz, @extschema@.booking_status, numeric, @extschema@.cabin, text, bpchar, bpchar, integer, timestamptz, integer[]) IS
'Makes the history of a person out of bookings. (customer_id, booking_id) is the key of a booking in the history; held bookings are left out, cancelled and refunded ones are kept as such. amount in the base currency (NULL: 0); party_size NULL is 1; items: how many of its lines are ancillaries, seats, bags, meals, upgrades and bundles (NULL: none); the other arguments may be NULL: not known. Facts of route and departure are those of table airport now. NULL for no rows. Errors: 22004 key, booked_at or status NULL, 22008 a time that is not finite, 22003 amount, 22023 items, party_size or a code of an airport. O(bookings).';

CREATE FUNCTION @extschema@.profile_event_transition(
    state @extschema@.profile_state,
    kind text,
    at timestamptz,
    visit boolean,
    id bigint,
    value bigint)
    RETURNS @extschema@.profile_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_event_transition(@extschema@.profile_state, text, timestamptz, boolean, bigint, bigint) IS
'Transition function of profile_event_agg(), which tells the arguments; state NULL is an empty history.';

CREATE AGGREGATE @extschema@.profile_event_agg(
    kind text,
    at timestamptz,
    visit boolean,
    id bigint,
    value bigint) (
    SFUNC = @extschema@.profile_event_transition,
    STYPE = @extschema@.profile_state,
    COMBINEFUNC = @extschema@.profile_state_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.profile_event_agg(text, timestamptz, boolean, bigint, bigint) IS
'Makes the history of a person out of what was done or said. kind: the kind of an event, touch:CHANNEL:KIND for a contact, consent:PURPOSE:CHANNEL for a consent. visit: made on our site or in our application, so that it is part of a session (NULL: no). id and value are kept when neither is NULL: for nps_response the event and the score, for a consent its id and 1 or 0. NULL for no rows. Errors: 22004 kind or at NULL, 22008 at not finite, 22001 kind longer than 255 bytes, 54000 more than 4096 kinds. O(rows).';

CREATE AGGREGATE @extschema@.profile_merge(@extschema@.profile_state) (
    SFUNC = @extschema@.profile_state_merge,
    STYPE = @extschema@.profile_state,
    COMBINEFUNC = @extschema@.profile_state_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.profile_merge(@extschema@.profile_state) IS
'Merges histories into one, as profile_state_merge(). NULL for no rows. O(entries).';

-- Kernel: columns ---------------------------------------------------------

CREATE FUNCTION @extschema@.profile_read(
    state @extschema@.profile_state,
    as_of timestamptz,
    OUT due_at timestamptz,
    OUT booking_count integer, OUT booking_count_30d integer, OUT booking_count_90d integer,
    OUT booking_count_180d integer, OUT booking_count_12m integer, OUT spend_total numeric,
    OUT spend_90d numeric, OUT spend_12m numeric, OUT first_booked_at timestamptz,
    OUT last_booked_at timestamptz, OUT prev_booked_at timestamptz, OUT next_departure_at timestamptz,
    OUT cancelled_count integer, OUT refunded_count integer, OUT cabin_top text, OUT premium_share numeric,
    OUT sales_channel_top text, OUT route_top text, OUT route_count integer, OUT haul_top text,
    OUT region_top text, OUT international_share numeric, OUT intercontinental_share numeric,
    OUT weekend_share numeric, OUT season_top text, OUT party_size_avg numeric, OUT group_count integer,
    OUT solo_share numeric, OUT lead_days_avg numeric, OUT last_minute_share numeric, OUT early_share numeric,
    OUT ancillary_count integer, OUT seat_count integer, OUT bag_count integer, OUT meal_count integer,
    OUT upgrade_count integer, OUT bundle_count integer, OUT email_open_30d integer,
    OUT email_open_90d integer, OUT email_click_90d integer, OUT session_30d integer,
    OUT app_open_30d integer, OUT search_7d integer, OUT search_30d integer, OUT cart_abandoned_7d integer,
    OUT cart_abandoned_30d integer, OUT complaint_90d integer, OUT touch_30d integer, OUT touch_90d integer,
    OUT last_event_at timestamptz, OUT last_search_at timestamptz, OUT last_complaint_at timestamptz,
    OUT last_touch_at timestamptz, OUT nps_score integer, OUT nps_at timestamptz, OUT app_opened boolean,
    OUT referred boolean, OUT email_opt_in boolean, OUT sms_opt_in boolean, OUT push_opt_in boolean)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_read(@extschema@.profile_state, timestamptz) IS
'Returns the columns of a history as of a time, as docs/profile.md describes them, and due_at, the time until which, excluded, they stay what they are if nothing is added (infinity: for good). What is after as_of is not counted. NULL for NULL. Error: 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_change(
    state @extschema@.profile_state,
    removed @extschema@.profile_state,
    added @extschema@.profile_state,
    as_of timestamptz,
    OUT changed @extschema@.profile_state,
    OUT due_at timestamptz,
    OUT booking_count integer, OUT booking_count_30d integer, OUT booking_count_90d integer,
    OUT booking_count_180d integer, OUT booking_count_12m integer, OUT spend_total numeric,
    OUT spend_90d numeric, OUT spend_12m numeric, OUT first_booked_at timestamptz,
    OUT last_booked_at timestamptz, OUT prev_booked_at timestamptz, OUT next_departure_at timestamptz,
    OUT cancelled_count integer, OUT refunded_count integer, OUT cabin_top text, OUT premium_share numeric,
    OUT sales_channel_top text, OUT route_top text, OUT route_count integer, OUT haul_top text,
    OUT region_top text, OUT international_share numeric, OUT intercontinental_share numeric,
    OUT weekend_share numeric, OUT season_top text, OUT party_size_avg numeric, OUT group_count integer,
    OUT solo_share numeric, OUT lead_days_avg numeric, OUT last_minute_share numeric, OUT early_share numeric,
    OUT ancillary_count integer, OUT seat_count integer, OUT bag_count integer, OUT meal_count integer,
    OUT upgrade_count integer, OUT bundle_count integer, OUT email_open_30d integer,
    OUT email_open_90d integer, OUT email_click_90d integer, OUT session_30d integer,
    OUT app_open_30d integer, OUT search_7d integer, OUT search_30d integer, OUT cart_abandoned_7d integer,
    OUT cart_abandoned_30d integer, OUT complaint_90d integer, OUT touch_30d integer, OUT touch_90d integer,
    OUT last_event_at timestamptz, OUT last_search_at timestamptz, OUT last_complaint_at timestamptz,
    OUT last_touch_at timestamptz, OUT nps_score integer, OUT nps_at timestamptz, OUT app_opened boolean,
    OUT referred boolean, OUT email_opt_in boolean, OUT sms_opt_in boolean, OUT push_opt_in boolean)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_change(@extschema@.profile_state, @extschema@.profile_state, @extschema@.profile_state, timestamptz) IS
'Returns a history from which one was removed (bookings by key, entries one for one; what is not there is passed over) and to which then another was added (as profile_state_merge()), with its columns as profile_read() returns them. NULL histories are empty. Errors: 22004 as_of NULL, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_integer(
    state @extschema@.profile_state,
    name text,
    as_of timestamptz)
    RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_integer(@extschema@.profile_state, text, timestamptz) IS
'Returns one column of profile_read() that is of type integer, such as booking_count. NULL for NULL. Errors: 42703 no such column of this type, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_number(
    state @extschema@.profile_state,
    name text,
    as_of timestamptz)
    RETURNS numeric
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_number(@extschema@.profile_state, text, timestamptz) IS
'Returns one column of profile_read() that is of type numeric, such as spend_total. NULL for NULL. Errors: 42703 no such column of this type, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_time(
    state @extschema@.profile_state,
    name text,
    as_of timestamptz)
    RETURNS timestamptz
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_time(@extschema@.profile_state, text, timestamptz) IS
'Returns one column of profile_read() that is of type timestamptz, such as first_booked_at. NULL for NULL. Errors: 42703 no such column of this type, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_text(
    state @extschema@.profile_state,
    name text,
    as_of timestamptz)
    RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_text(@extschema@.profile_state, text, timestamptz) IS
'Returns one column of profile_read() that is of type text, such as cabin_top. NULL for NULL. Errors: 42703 no such column of this type, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_boolean(
    state @extschema@.profile_state,
    name text,
    as_of timestamptz)
    RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.profile_boolean(@extschema@.profile_state, text, timestamptz) IS
'Returns one column of profile_read() that is of type boolean, such as app_opened. NULL for NULL. Errors: 42703 no such column of this type, 22023 as_of not finite. O(entries).';

CREATE FUNCTION @extschema@.profile_item_mask(kind text, category text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (category = 'ancillary')::integer
        + CASE WHEN kind IN ('seat', 'legroom') THEN 2
            WHEN kind = 'bag' THEN 4
            WHEN kind = 'meal' THEN 8
            WHEN kind = 'upgrade' THEN 16
            ELSE 0 END
        + CASE WHEN category = 'bundle' THEN 32 ELSE 0 END;
COMMENT ON FUNCTION @extschema@.profile_item_mask(text, text) IS
'Tells as what a line of a booking counts, by its kind and the category of that: the sum of 1 ancillary, 2 seat, 4 bag, 8 meal, 16 upgrade, 32 bundle; 0: none. NULL category gives NULL. Inlined.';

CREATE FUNCTION @extschema@.profile_nps_value(kind text, score text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN kind = 'nps_response' THEN
        CASE WHEN score ~ '^(10|[0-9])$' THEN score::bigint ELSE -1 END END;
COMMENT ON FUNCTION @extschema@.profile_nps_value(text, text) IS
'Returns what the history keeps of an event of this kind beside its time: of nps_response the score, 0 to 10, or -1 when it has none; NULL for other kinds. Inlined.';

-- Kernel: all persons -----------------------------------------------------

CREATE FUNCTION @extschema@.profile_build(
    bookings text,
    items text,
    entries text,
    names text[],
    as_of timestamptz)
    RETURNS TABLE (customer_id bigint, state @extschema@.profile_state, due_at timestamptz,
        booking_count integer, booking_count_30d integer, booking_count_90d integer,
        booking_count_180d integer, booking_count_12m integer, spend_total numeric, spend_90d numeric,
        spend_12m numeric, first_booked_at timestamptz, last_booked_at timestamptz,
        prev_booked_at timestamptz, next_departure_at timestamptz, cancelled_count integer,
        refunded_count integer, cabin_top text, premium_share numeric, sales_channel_top text, route_top text,
        route_count integer, haul_top text, region_top text, international_share numeric,
        intercontinental_share numeric, weekend_share numeric, season_top text, party_size_avg numeric,
        group_count integer, solo_share numeric, lead_days_avg numeric, last_minute_share numeric,
        early_share numeric, ancillary_count integer, seat_count integer, bag_count integer,
        meal_count integer, upgrade_count integer, bundle_count integer, email_open_30d integer,
        email_open_90d integer, email_click_90d integer, session_30d integer, app_open_30d integer,
        search_7d integer, search_30d integer, cart_abandoned_7d integer, cart_abandoned_30d integer,
        complaint_90d integer, touch_30d integer, touch_90d integer, last_event_at timestamptz,
        last_search_at timestamptz, last_complaint_at timestamptz, last_touch_at timestamptz,
        nps_score integer, nps_at timestamptz, app_opened boolean, referred boolean, email_opt_in boolean,
        sms_opt_in boolean, push_opt_in boolean)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100000 SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.profile_build(text, text, text, text[], timestamptz) IS
'Returns the history of every person in three sources, and its columns as profile_read() returns them. Columns of the sources by position: bookings (person bigint, and the arguments of profile_booking_agg() without items), items (person, customer_id, booking_id bigint, profile_item_mask() integer), entries (person bigint, and the arguments of profile_event_agg()). names: all sales channels and kinds that occur. The sources run with the rights of the caller, in parallel where they can. For profile_rebuild(). Errors: 22004 NULL argument or key, 42804 column of another type, 22023 name that was not given, as_of not finite, 53200 more than iaros.group_memory, and those of profile_booking_agg(). Linear in rows; 72 bytes a booking, 32 a line, 40 an entry.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.profile_apply(customer_ids bigint[])
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.profile_gate_apply(customer_ids);
END $$;
COMMENT ON FUNCTION @extschema@.profile_apply(bigint[]) IS
'Makes the profiles of some customers anew from their rows and returns of how many persons that were; ids that are aliases count for their master, ids of nobody are passed over. NULL: none. Triggers keep profiles; this is for rows that were written past them. O(rows of these customers).';

CREATE FUNCTION @extschema@.profile_rebuild()
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.profile_gate_rebuild();
END $$;
COMMENT ON FUNCTION @extschema@.profile_rebuild() IS
'Makes all profiles anew from the tables in one pass and returns how many were not what they should be: 0 unless rows were written past the triggers, airports or kinds of events changed, or partitions were dropped. Writers of bookings, events, contacts and consents wait meanwhile, readers do not. Linear in rows.';

CREATE FUNCTION @extschema@.profile_refresh()
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN iaros.profile_gate_refresh();
END $$;
COMMENT ON FUNCTION @extschema@.profile_refresh() IS
'Body of the job iaros-profile: stores the columns anew of profiles whose due_at or member_due_on has come, and returns how many. profile and profile_at() are right without it, only slower where many are due. Rows that others have locked are left for the next run. O(customers), mostly a scan.';

CREATE FUNCTION @extschema@.profile_check(
    customer_ids bigint[] DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, finding text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        WITH asked AS MATERIALIZED (
            SELECT c.customer_id, a.master_id
            FROM iaros.customer c
            LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
            WHERE profile_check.customer_ids IS NULL OR c.customer_id = ANY (profile_check.customer_ids)
        ), right_now AS (
            SELECT s.customer_id, s.state
            FROM iaros.profile_states(ARRAY(SELECT q.customer_id FROM asked q WHERE q.master_id IS NULL)) s
        )
        SELECT q.customer_id,
            CASE WHEN p.customer_id IS NULL THEN 'has no profile'
                WHEN p.state OPERATOR(iaros.<>) n.state THEN 'the history is not that of the tables'
                ELSE 'the columns are not those of the history' END
        FROM asked q
        JOIN right_now n ON n.customer_id = q.customer_id
        LEFT JOIN iaros.profile_stored p ON p.customer_id = q.customer_id
        WHERE q.master_id IS NULL
          AND (p.customer_id IS NULL OR p.state OPERATOR(iaros.<>) n.state
               OR isfinite(p.as_of) AND NOT EXISTS (
                   SELECT FROM iaros.profile_read(p.state, p.as_of) r
                   WHERE (r.due_at,
                       r.booking_count, r.booking_count_30d, r.booking_count_90d, r.booking_count_180d,
                       r.booking_count_12m, r.spend_total, r.spend_90d, r.spend_12m, r.first_booked_at,
                       r.last_booked_at, r.prev_booked_at, r.next_departure_at, r.cancelled_count,
                       r.refunded_count, r.cabin_top::iaros.cabin, r.premium_share, r.sales_channel_top,
                       r.route_top, r.route_count, r.haul_top, r.region_top, r.international_share,
                       r.intercontinental_share, r.weekend_share, r.season_top, r.party_size_avg,
                       r.group_count, r.solo_share, r.lead_days_avg, r.last_minute_share, r.early_share,
                       r.ancillary_count, r.seat_count, r.bag_count, r.meal_count, r.upgrade_count,
                       r.bundle_count, r.email_open_30d, r.email_open_90d, r.email_click_90d, r.session_30d,
                       r.app_open_30d, r.search_7d, r.search_30d, r.cart_abandoned_7d, r.cart_abandoned_30d,
                       r.complaint_90d, r.touch_30d, r.touch_90d, r.last_event_at, r.last_search_at,
                       r.last_complaint_at, r.last_touch_at, r.nps_score, r.nps_at, r.app_opened, r.referred,
                       r.email_opt_in, r.sms_opt_in, r.push_opt_in) IS NOT DISTINCT FROM (p.due_at,
                       p.booking_count, p.booking_count_30d, p.booking_count_90d, p.booking_count_180d,
                       p.booking_count_12m, p.spend_total, p.spend_90d, p.spend_12m, p.first_booked_at,
                       p.last_booked_at, p.prev_booked_at, p.next_departure_at, p.cancelled_count,
                       p.refunded_count, p.cabin_top, p.premium_share, p.sales_channel_top, p.route_top,
                       p.route_count, p.haul_top, p.region_top, p.international_share,
                       p.intercontinental_share, p.weekend_share, p.season_top, p.party_size_avg,
                       p.group_count, p.solo_share, p.lead_days_avg, p.last_minute_share, p.early_share,
                       p.ancillary_count, p.seat_count, p.bag_count, p.meal_count, p.upgrade_count,
                       p.bundle_count, p.email_open_30d, p.email_open_90d, p.email_click_90d, p.session_30d,
                       p.app_open_30d, p.search_7d, p.search_30d, p.cart_abandoned_7d, p.cart_abandoned_30d,
                       p.complaint_90d, p.touch_30d, p.touch_90d, p.last_event_at, p.last_search_at,
                       p.last_complaint_at, p.last_touch_at, p.nps_score, p.nps_at, p.app_opened, p.referred,
                       p.email_opt_in, p.sms_opt_in, p.push_opt_in)))
        UNION ALL
        SELECT q.customer_id, 'is an alias and has a profile'
        FROM asked q
        JOIN iaros.profile_stored p ON p.customer_id = q.customer_id
        WHERE q.master_id IS NOT NULL
        ORDER BY 1;
END $$;
COMMENT ON FUNCTION @extschema@.profile_check(bigint[]) IS
'Returns the customers, of those given or of all when the array is NULL, whose profile is not what their rows say, and what is wrong; no row: all is well. Writes nothing; profile_apply() mends. O(rows of these customers).';

CREATE FUNCTION @extschema@.customer_profile(
    customer_id bigint,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (master_id bigint, kind @extschema@.customer_kind, gender text, country text, nationality text,
        city text, language text, home_airport text,
        booking_count integer, booking_count_30d integer, booking_count_90d integer,
        booking_count_180d integer, booking_count_12m integer, spend_total numeric, spend_90d numeric,
        spend_12m numeric, first_booked_at timestamptz, last_booked_at timestamptz,
        prev_booked_at timestamptz, next_departure_at timestamptz, cancelled_count integer,
        refunded_count integer, cabin_top @extschema@.cabin, premium_share numeric, sales_channel_top text,
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
        sms_opt_in boolean, push_opt_in boolean)
    LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    master bigint := iaros.customer_resolve(customer_profile.customer_id);
    until timestamptz := coalesce(customer_profile.as_of, now());
    day date := (until AT TIME ZONE 'UTC')::date;
BEGIN
    PERFORM iaros.install_check();
    -- Of one person, reading the whole history costs less than the choices of
    -- profile_at().
    RETURN QUERY
        SELECT c.customer_id, c.kind, c.gender, c.country::text, c.nationality::text, c.city, c.language, c.home_airport::text,
            r.booking_count, r.booking_count_30d, r.booking_count_90d, r.booking_count_180d, r.booking_count_12m,
            r.spend_total, r.spend_90d, r.spend_12m, r.first_booked_at, r.last_booked_at, r.prev_booked_at,
            r.next_departure_at, r.cancelled_count, r.refunded_count, r.cabin_top::iaros.cabin, r.premium_share,
            r.sales_channel_top, r.route_top, r.route_count, r.haul_top, r.region_top, r.international_share,
            r.intercontinental_share, r.weekend_share, r.season_top, r.party_size_avg, r.group_count, r.solo_share,
            r.lead_days_avg, r.last_minute_share, r.early_share, r.ancillary_count, r.seat_count, r.bag_count,
            r.meal_count, r.upgrade_count, r.bundle_count, r.email_open_30d, r.email_open_90d, r.email_click_90d,
            r.session_30d, r.app_open_30d, r.search_7d, r.search_30d, r.cart_abandoned_7d, r.cart_abandoned_30d,
            r.complaint_90d, r.touch_30d, r.touch_90d, r.last_event_at, r.last_search_at, r.last_complaint_at,
            r.last_touch_at, r.nps_score, r.nps_at, m.is_member, m.tier, p.app_trait OR r.app_opened, p.corporate,
            p.social_follower, p.referral_trait OR r.referred, r.email_opt_in, r.sms_opt_in, r.push_opt_in
        FROM iaros.customer c
        JOIN iaros.profile_stored p ON p.customer_id = c.customer_id
        CROSS JOIN LATERAL iaros.profile_read(p.state, until) r
        CROSS JOIN LATERAL (
            SELECT p.is_member, p.tier WHERE day >= p.member_as_of AND day < p.member_due_on
            UNION ALL
            SELECT x.is_member, x.tier FROM iaros.profile_member(p.customer_id, day) x
            WHERE NOT (day >= p.member_as_of AND day < p.member_due_on)) m
        WHERE c.customer_id = master;
END $$;
COMMENT ON FUNCTION @extschema@.customer_profile(bigint, timestamptz) IS
'Returns the profile of a person as of a time (NULL: now()), given any of the ids, beside the attributes of the customer that are not masked, which are those of now. No row for NULL or an unknown customer. Error: 22023 as_of not finite. A few index look-ups.';

-- Doctor ------------------------------------------------------------------

CREATE FUNCTION @extschema@.profile_doctor()
    RETURNS TABLE (severity @extschema@.alert_severity, subject text, finding text, hint text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    RETURN QUERY
        SELECT 'warning'::iaros.alert_severity, 'profile', format('%s customers have no profile', count(*)),
            'SELECT iaros.profile_rebuild().'
        FROM iaros.customer c
        WHERE NOT EXISTS (SELECT FROM iaros.profile_stored p WHERE p.customer_id = c.customer_id)
          AND NOT EXISTS (SELECT FROM iaros.customer_alias a WHERE a.customer_id = c.customer_id)
        HAVING count(*) > 0
        UNION ALL
        SELECT 'warning', 'profile', format('%s profiles belong to an alias', count(*)),
            'SELECT iaros.profile_rebuild().'
        FROM iaros.profile_stored p
        JOIN iaros.customer_alias a ON a.customer_id = p.customer_id
        HAVING count(*) > 0
        UNION ALL
        SELECT 'warning', 'profile', format('trigger %s on %s is missing or disabled', r.trigger, r.relation),
            'ALTER TABLE ... ENABLE TRIGGER, then SELECT iaros.profile_rebuild().'
        FROM iaros.trigger_roles() r
        WHERE starts_with(r.trigger, 'profile_')
          AND NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = to_regclass('iaros.' || r.relation) AND t.tgname = r.trigger AND t.tgenabled <> 'D');
END $$;
COMMENT ON FUNCTION @extschema@.profile_doctor() IS
'Findings of doctor() about profiles: customers without, aliases with one, triggers that are missing or disabled. profile_check() looks at each profile.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.profile_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('profile', 1) THEN
    CALL iaros.profile_install_keep();
    CALL iaros.profile_install_feature();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.profile_install() IS
'Makes the tables, views and triggers of the domain profile. Called by install().';
