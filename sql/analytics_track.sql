-- Funnels and retention as aggregates: what customers did when is kept as a
-- value, of which any funnel and any table of retention can be asked.

-- Type funnel_state ------------------------------------------------------

CREATE TYPE @extschema@.funnel_state;

CREATE FUNCTION @extschema@.funnel_state_in(cstring) RETURNS @extschema@.funnel_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_in(cstring) IS
'Input of type funnel_state: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no funnel_state. O(events).';

CREATE FUNCTION @extschema@.funnel_state_out(@extschema@.funnel_state) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_out(@extschema@.funnel_state) IS
'Output of type funnel_state. Error: 54000 above 512 MB. O(events).';

CREATE FUNCTION @extschema@.funnel_state_recv(internal) RETURNS @extschema@.funnel_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_recv(internal) IS
'Binary input of type funnel_state; every byte is checked. Error: 22P03 bytes that are no funnel_state. O(events).';

CREATE FUNCTION @extschema@.funnel_state_send(@extschema@.funnel_state) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_send(@extschema@.funnel_state) IS
'Binary output of type funnel_state, the same on every machine. O(events).';

CREATE TYPE @extschema@.funnel_state (
    INPUT = @extschema@.funnel_state_in,
    OUTPUT = @extschema@.funnel_state_out,
    RECEIVE = @extschema@.funnel_state_recv,
    SEND = @extschema@.funnel_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.funnel_state IS
'The events of each customer, each a time and a step of a funnel: made by funnel_agg(), merged by funnel_merge(), read by funnel_rows(). An event takes 3 to 8 bytes as a value, fewer when times are round, and 16 bytes while it is aggregated.';

CREATE FUNCTION @extschema@.funnel_state_eq(@extschema@.funnel_state, @extschema@.funnel_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_eq(@extschema@.funnel_state, @extschema@.funnel_state) IS
'Tells whether two states say the same of the same customers. O(events).';

CREATE FUNCTION @extschema@.funnel_state_ne(@extschema@.funnel_state, @extschema@.funnel_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_ne(@extschema@.funnel_state, @extschema@.funnel_state) IS
'Tells whether two states differ. O(events).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.funnel_state, RIGHTARG = @extschema@.funnel_state, FUNCTION = @extschema@.funnel_state_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.funnel_state, @extschema@.funnel_state) IS 'the same customers with the same events';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.funnel_state, RIGHTARG = @extschema@.funnel_state, FUNCTION = @extschema@.funnel_state_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.funnel_state, @extschema@.funnel_state) IS 'other customers or other events';

CREATE FUNCTION @extschema@.funnel_state_merge(a @extschema@.funnel_state, b @extschema@.funnel_state)
    RETURNS @extschema@.funnel_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_state_merge(@extschema@.funnel_state, @extschema@.funnel_state) IS
'Returns the events of two states as one, those that both have once. NULL when both are NULL, the other when one is. O(events of b) inside an aggregate, of both outside.';

CREATE FUNCTION @extschema@.funnel_agg_transition(
    state @extschema@.funnel_state, customer_id bigint, at timestamptz, step integer)
    RETURNS @extschema@.funnel_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.funnel_agg_transition(@extschema@.funnel_state, bigint, timestamptz, integer) IS
'Adds an event to a state; the step of funnel_agg(). NULL state: an empty one. O(1) inside the aggregate, O(events) outside.';

CREATE AGGREGATE @extschema@.funnel_agg(customer_id bigint, at timestamptz, step integer) (
    SFUNC = @extschema@.funnel_agg_transition,
    STYPE = @extschema@.funnel_state,
    COMBINEFUNC = @extschema@.funnel_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.funnel_agg(bigint, timestamptz, integer) IS
'Returns the events of all customers as a state: customer_id, time, and the step of a funnel that the event is, 1 to 63; 0 or NULL for an event of no step, which only mode strict of funnel_rows() minds. The same event (customer, time and step) counts once, however often it is given. Rows without customer or time are passed over; NULL when there are no others. Errors: 22003 a step outside 0 to 63, 22008 a time before 2000 BC or after the year 6000, 54000 a state above 1 GB that has to become a value: group by something. O(rows).';

CREATE AGGREGATE @extschema@.funnel_merge(state @extschema@.funnel_state) (
    SFUNC = @extschema@.funnel_state_merge,
    STYPE = @extschema@.funnel_state,
    COMBINEFUNC = @extschema@.funnel_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.funnel_merge(@extschema@.funnel_state) IS
'Returns the events of all states as one state, say of days as those of a month; events that several states have count once, so states may overlap. NULL states are passed over; NULL for none. Error: 54000 a state above 1 GB that has to become a value. O(events of all states).';

CREATE FUNCTION @extschema@.funnel_rows(
    state @extschema@.funnel_state,
    steps integer DEFAULT NULL,
    names text[] DEFAULT NULL,
    "window" interval DEFAULT '7 days',
    mode text DEFAULT 'ordered')
    RETURNS TABLE (step integer, name text, customers bigint, from_previous numeric, from_first numeric,
        median_time interval, mean_time interval)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION @extschema@.funnel_rows(@extschema@.funnel_state, integer, text[], interval, text) IS
'Returns one row for each step of a funnel: the customers whose best attempt reached it, their shares of those of the step before and of the first step (0.25 is 25 %; NULL when there are none), and the median and the mean of the time that they took from the step before (rounded down to the microsecond; NULL for the first step and when there are none). steps: how many, 1 to 63; NULL for as many as there are names, or as the highest step of the state. names: of the steps, NULL for none. window: each step is at most this long after the first step of its attempt; a day has 24 hours. mode: ordered, the steps follow each other, whatever else happens in between; strict, each is the very next event of the customer, of whatever step or none; unordered, any steps in any order, of which row n counts who made n different ones. An attempt begins at any event of step 1 (unordered: of any step). The best attempt of a customer is the one that gets furthest, of these the one that does so first, of these the one that begins last; ordered takes the first event of each step that such an attempt can take, unordered the last. Events at the same moment follow each other in the order of their steps, 0 first, so that steps at one moment count. Rows come by step; a NULL state is one of no events. FROM (SELECT iaros.funnel_agg(...) AS state FROM ...) AS s, iaros.funnel_rows(s.state) hands a state over as it is in memory; a sub-select as the argument makes a value of it first, which takes about half as long again. Errors: 22023 steps, names of another number, a window that is NULL, negative or has months, mode; 2202E names of more than one dimension. O(events * steps).';

CREATE FUNCTION @extschema@.funnel_customers(
    state @extschema@.funnel_state,
    steps integer DEFAULT NULL,
    "window" interval DEFAULT '7 days',
    mode text DEFAULT 'ordered')
    RETURNS TABLE (customer_id bigint, step integer, started_at timestamptz, reached_at timestamptz)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100000;
COMMENT ON FUNCTION @extschema@.funnel_customers(@extschema@.funnel_state, integer, interval, text) IS
'Returns how far each customer got in the funnel of funnel_rows(), whose arguments these are: the furthest step, when the best attempt began and when it reached that step. Who made no step has no row. Rows come by customer_id, none for a NULL state. Errors: those of funnel_rows(). O(events * steps).';

-- Type retention_state ---------------------------------------------------

CREATE TYPE @extschema@.retention_state;

CREATE FUNCTION @extschema@.retention_state_in(cstring) RETURNS @extschema@.retention_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_in(cstring) IS
'Input of type retention_state: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no retention_state. O(periods).';

CREATE FUNCTION @extschema@.retention_state_out(@extschema@.retention_state) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_out(@extschema@.retention_state) IS
'Output of type retention_state. Error: 54000 above 512 MB. O(periods).';

CREATE FUNCTION @extschema@.retention_state_recv(internal) RETURNS @extschema@.retention_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_recv(internal) IS
'Binary input of type retention_state; every byte is checked. Error: 22P03 bytes that are no retention_state. O(periods).';

CREATE FUNCTION @extschema@.retention_state_send(@extschema@.retention_state) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_send(@extschema@.retention_state) IS
'Binary output of type retention_state, the same on every machine. O(periods).';

CREATE TYPE @extschema@.retention_state (
    INPUT = @extschema@.retention_state_in,
    OUTPUT = @extschema@.retention_state_out,
    RECEIVE = @extschema@.retention_state_recv,
    SEND = @extschema@.retention_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.retention_state IS
'The periods in which each customer was active, and which of these may start a cohort: made by retention_agg(), merged by retention_merge(), read by retention_rows(). A period takes about a byte as a value, a customer two more, and a period 16 bytes while it is aggregated.';

CREATE FUNCTION @extschema@.retention_state_eq(@extschema@.retention_state, @extschema@.retention_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_eq(@extschema@.retention_state, @extschema@.retention_state) IS
'Tells whether two states say the same of the same customers. O(periods).';

CREATE FUNCTION @extschema@.retention_state_ne(@extschema@.retention_state, @extschema@.retention_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_ne(@extschema@.retention_state, @extschema@.retention_state) IS
'Tells whether two states differ. O(periods).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.retention_state, RIGHTARG = @extschema@.retention_state, FUNCTION = @extschema@.retention_state_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.retention_state, @extschema@.retention_state) IS 'the same customers with the same periods';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.retention_state, RIGHTARG = @extschema@.retention_state, FUNCTION = @extschema@.retention_state_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.retention_state, @extschema@.retention_state) IS 'other customers or other periods';

CREATE FUNCTION @extschema@.retention_state_merge(a @extschema@.retention_state, b @extschema@.retention_state)
    RETURNS @extschema@.retention_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_state_merge(@extschema@.retention_state, @extschema@.retention_state) IS
'Returns the periods of two states as one, those that both have once. NULL when both are NULL, the other when one is. O(periods of b) inside an aggregate, of both outside.';

CREATE FUNCTION @extschema@.retention_agg_transition(
    state @extschema@.retention_state, customer_id bigint, period integer)
    RETURNS @extschema@.retention_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_agg_transition(@extschema@.retention_state, bigint, integer) IS
'Adds a period that may start a cohort to a state; the step of retention_agg(). NULL state: an empty one. O(1) inside the aggregate, O(periods) outside.';

CREATE FUNCTION @extschema@.retention_agg_transition(
    state @extschema@.retention_state, customer_id bigint, period integer, starts boolean)
    RETURNS @extschema@.retention_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.retention_agg_transition(@extschema@.retention_state, bigint, integer, boolean) IS
'Adds a period to a state; the step of retention_agg(). NULL state: an empty one. O(1) inside the aggregate, O(periods) outside.';

CREATE AGGREGATE @extschema@.retention_agg(customer_id bigint, period integer) (
    SFUNC = @extschema@.retention_agg_transition,
    STYPE = @extschema@.retention_state,
    COMBINEFUNC = @extschema@.retention_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.retention_agg(bigint, integer) IS
'Returns the periods in which customers were active as a state: customer_id and the number of a period, as analytics_period() counts. Their first activity starts their cohort. Rows without customer or period are passed over; NULL when there are no others. Error: 54000 a state above 1 GB that has to become a value: group by something. O(rows).';

CREATE AGGREGATE @extschema@.retention_agg(customer_id bigint, period integer, starts boolean) (
    SFUNC = @extschema@.retention_agg_transition,
    STYPE = @extschema@.retention_state,
    COMBINEFUNC = @extschema@.retention_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.retention_agg(bigint, integer, boolean) IS
'As retention_agg(customer_id, period), where only activity that starts (true; NULL is false) may start a cohort: of those who made a first flight, say, who was seen again.';

CREATE AGGREGATE @extschema@.retention_merge(state @extschema@.retention_state) (
    SFUNC = @extschema@.retention_state_merge,
    STYPE = @extschema@.retention_state,
    COMBINEFUNC = @extschema@.retention_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.retention_merge(@extschema@.retention_state) IS
'Returns the periods of all states as one state, say of months as those of a year; periods that several states have count once, so states may overlap. NULL states are passed over; NULL for none. Error: 54000 a state above 1 GB that has to become a value. O(periods of all states).';

CREATE FUNCTION @extschema@.retention_rows(
    state @extschema@.retention_state,
    periods integer DEFAULT 12,
    mode text DEFAULT 'on',
    until integer DEFAULT NULL)
    RETURNS TABLE (cohort integer, period integer, customers bigint, retained bigint, rate numeric)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION @extschema@.retention_rows(@extschema@.retention_state, integer, text, integer) IS
'Follows cohorts: the customers whose first activity that may start one was in the same period (cohort, its number; analytics_period_start() tells its first day). One row for each cohort and each of its periods 0 (its own) to periods - 1, 1 to 1000 of them, up to the period until: how many customers the cohort has, how many of them were retained, and their share (0.25 is 25 %). mode: on, active in that very period; on_or_after, in that or a later one. until: the last period that is looked at, NULL for the last of the state. What a customer did in periods before the cohort does not count. Rows come by cohort and period; none for a NULL state. Errors: 22023 periods, mode. O(periods of all customers + rows).';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.analytics_kind_check(kinds text[]) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    wrong text;
BEGIN
    PERFORM iaros.install_check();
    IF kinds IS NULL OR coalesce(array_ndims(kinds), 0) <> 1 OR cardinality(kinds) > 63 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('cannot follow "%s" as steps', coalesce(left(kinds::text, 64), 'NULL')),
            HINT = 'Give an array of 1 to 63 kinds of events, such as ARRAY[''search'', ''cart_add'', ''booking''].';
    END IF;
    SELECT coalesce(k.kind, 'NULL') INTO wrong FROM unnest(kinds) WITH ORDINALITY AS k(kind, n)
    GROUP BY k.kind HAVING count(*) > 1 ORDER BY min(k.n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('step "%s" is given twice', left(wrong, 64)),
            DETAIL = 'One event would make both steps.';
    END IF;
    SELECT coalesce(k.kind, 'NULL') INTO wrong FROM unnest(kinds) WITH ORDINALITY AS k(kind, n)
    WHERE k.kind IS NULL OR k.kind <> 'booking' AND NOT EXISTS (SELECT FROM iaros.event_kind e WHERE e.kind = k.kind)
    ORDER BY k.n LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('event kind "%s" does not exist', left(wrong, 64)),
            HINT = 'Give kinds of table iaros.event_kind, or "booking" for bookings that count.';
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_kind_check(text[]) IS
'Refuses kinds of events that cannot be the steps of a report: 22023 no array of 1 to 63 of them, one given twice; 42704 one that is not in event_kind and not booking.';

CREATE FUNCTION @extschema@.analytics_funnel(
    steps text[],
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '7 days',
    mode text DEFAULT 'ordered',
    segment text DEFAULT NULL)
    RETURNS TABLE (step integer, name text, customers bigint, from_previous numeric, from_first numeric,
        median_time interval, mean_time interval)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.analytics_kind_check(steps);
    RETURN QUERY
        WITH act AS (
            SELECT e.customer_id, e.occurred_at AS at, array_position(steps, e.kind) AS step
            FROM iaros.event e
            WHERE e.occurred_at >= from_time AND e.occurred_at < to_time
              AND (mode = 'strict' OR e.kind = ANY (steps)) AND e.kind <> 'booking'
            UNION ALL
            SELECT b.customer_id, b.booked_at, array_position(steps, 'booking')
            FROM iaros.booking b
            WHERE b.booked_at >= from_time AND b.booked_at < to_time AND iaros.booking_counts(b.status)
              AND (mode = 'strict' OR 'booking' = ANY (steps))
        ), state AS (
            SELECT iaros.funnel_agg(coalesce(a.master_id, c.customer_id), c.at, c.step) AS value
            FROM act c
            LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
            WHERE segment IS NULL
               OR coalesce(a.master_id, c.customer_id) IN (SELECT m.customer_id FROM iaros.segment_customers(segment) m)
        )
        SELECT f.step, f.name, f.customers, f.from_previous, f.from_first, f.median_time, f.mean_time
        FROM state s
        CROSS JOIN LATERAL iaros.funnel_rows(s.value, cardinality(steps), steps, "window", mode) f
        ORDER BY f.step;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_funnel(text[], timestamptz, timestamptz, interval, text, text) IS
'Returns the funnel of our own events: steps are kinds of events in their order, each once, booking for bookings that count (see booking_counts()), of which those in [from_time, to_time) are looked at; of all customers, or of those who are in a segment now (name or segment_id); aliases as their master. In mode strict any other event and any booking that counts breaks an attempt. Rows, window and mode as in funnel_rows(). Errors: 22023 and 42704 steps (see analytics_kind_check()), 42704 no such segment, and those of funnel_rows(). One scan of the events of these kinds in that time; O(n log n).';

CREATE FUNCTION @extschema@.analytics_retention(
    grain text DEFAULT 'month',
    periods integer DEFAULT 12,
    mode text DEFAULT 'on',
    start_kind text DEFAULT 'booking',
    return_kind text DEFAULT 'booking',
    segment text DEFAULT NULL,
    from_time timestamptz DEFAULT '-infinity',
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (cohort date, customers bigint, period integer, starts_on date, complete boolean,
        retained bigint, rate numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    AS $$
#variable_conflict use_column
DECLARE
    zone text;
BEGIN
    PERFORM iaros.analytics_kind_check(ARRAY[start_kind]);
    PERFORM iaros.analytics_kind_check(ARRAY[return_kind]);
    PERFORM iaros.analytics_cohort_check(grain, periods, as_of);
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY
        WITH act AS (
            SELECT coalesce(a.master_id, c.customer_id) AS person, c.kind,
                iaros.analytics_period(timezone(zone, c.at)::date, grain) AS period
            FROM (SELECT e.customer_id, e.kind, e.occurred_at AS at FROM iaros.event e
                  WHERE e.kind IN (start_kind, return_kind) AND e.kind <> 'booking' AND e.occurred_at <= as_of
                  UNION ALL
                  SELECT b.customer_id, 'booking', b.booked_at FROM iaros.booking b
                  WHERE 'booking' IN (start_kind, return_kind) AND b.booked_at <= as_of
                    AND iaros.booking_counts(b.status)) c
            LEFT JOIN iaros.customer_alias a ON a.customer_id = c.customer_id
            WHERE segment IS NULL
               OR coalesce(a.master_id, c.customer_id) IN (SELECT m.customer_id FROM iaros.segment_customers(segment) m)
        ), mark AS (
            -- What starts counts as a start once, and is no return by itself.
            SELECT c.person, min(c.period) AS period, true AS starts FROM act c WHERE c.kind = start_kind GROUP BY c.person
            UNION ALL
            SELECT c.person, c.period, false FROM act c WHERE c.kind = return_kind
        ), state AS (
            SELECT iaros.retention_agg(m.person, m.period, m.starts) AS value FROM mark m
        )
        SELECT iaros.analytics_period_start(r.cohort, grain), r.customers, r.period,
            iaros.analytics_period_start(r.cohort + r.period, grain),
            timezone(zone, iaros.analytics_period_start(r.cohort + r.period + 1, grain)::timestamp) <= as_of,
            r.retained, r.rate
        FROM state s
        CROSS JOIN LATERAL iaros.retention_rows(s.value, periods, mode,
            iaros.analytics_period(timezone(zone, as_of)::date, grain)) r
        WHERE NOT isfinite(from_time)
           OR r.cohort >= iaros.analytics_period(timezone(zone, from_time)::date, grain)
        ORDER BY r.cohort, r.period;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_retention(text, integer, text, text, text, text, timestamptz, timestamptz) IS
'Follows those who did something for the first time. A cohort is the customers, aliases as their master, whose first event of start_kind was in one day, week, month, quarter or year (grain) of the calendar in brand_time_zone; cohort is its first day. One row for each cohort and each of its periods 0 (its own, in which all are retained) to periods - 1 that has begun by as_of: how many of them came back with an event of return_kind, in that very period (mode on) or in that or a later one by as_of (on_or_after), and their share of the cohort (0.25 is 25 %). Kinds are those of event_kind, booking for bookings that count. segment: only those who are in it now (name or segment_id). from_time: cohorts of earlier periods are left out, though what their customers did is looked at. complete: the period is over. Errors: 22023 grain, periods outside 1 to 1000, mode, as_of before 1900 or after 2199; 42704 no such kind or segment. One scan of the events of these kinds; O(n log n).';

CREATE FUNCTION @extschema@.analytics_engagement(
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity',
    "window" interval DEFAULT '30 days',
    campaign text DEFAULT NULL,
    channel text DEFAULT NULL)
    RETURNS TABLE (step integer, name text, messages bigint, of_sent numeric, of_delivered numeric, of_previous numeric)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM iaros.install_check();
    IF campaign IS NOT NULL AND NOT EXISTS (SELECT FROM iaros.campaign c WHERE c.code = analytics_engagement.campaign) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('campaign "%s" does not exist', left(campaign, 64));
    END IF;
    IF channel IS NOT NULL AND NOT EXISTS (SELECT FROM iaros.channel c WHERE c.channel = analytics_engagement.channel) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('channel "%s" does not exist', left(channel, 64));
    END IF;
    RETURN QUERY
        WITH total AS (
            SELECT coalesce(sum(d.sent), 0)::bigint AS sent, coalesce(sum(d.delivered), 0)::bigint AS delivered,
                coalesce(sum(d.opened), 0)::bigint AS opened, coalesce(sum(d.clicked), 0)::bigint AS clicked,
                coalesce(sum(d.converted), 0)::bigint AS converted
            FROM iaros.analytics_dashboard(from_time, to_time, "window") d
            WHERE (analytics_engagement.campaign IS NULL OR d.campaign = analytics_engagement.campaign)
              AND (analytics_engagement.channel IS NULL OR d.channel = analytics_engagement.channel)
        )
        SELECT s.step, s.name, s.messages, iaros.analytics_rate(s.messages, t.sent),
            CASE WHEN s.step >= 2 THEN iaros.analytics_rate(s.messages, t.delivered) END,
            iaros.analytics_rate(s.messages, lag(s.messages) OVER (ORDER BY s.step))
        FROM total t
        CROSS JOIN LATERAL (VALUES (1, 'sent', t.sent), (2, 'delivered', t.delivered), (3, 'opened', t.opened),
            (4, 'clicked', t.clicked), (5, 'converted', t.converted)) AS s(step, name, messages)
        ORDER BY s.step;
END $$;
COMMENT ON FUNCTION @extschema@.analytics_engagement(timestamptz, timestamptz, interval, text, text) IS
'Returns the engagement funnel of messages as five rows: sent in [from_time, to_time), and of these delivered, opened, clicked and followed by a conversion, counted as analytics_dashboard() counts, of all messages or of those of a campaign (code) or channel. Each row has its share of what was sent, of what was delivered (NULL for sent) and of the step before (NULL for sent), since both bases are in use: 12,300 opened of 50,000 sent and 49,200 delivered are 0.2460 of sent and 0.2500 of delivered. A conversion needs no click, so the last share may exceed 1. NULL shares where the base is 0. Errors: 22023 window, 42704 no such campaign or channel. O(message events + touchpoints since from_time).';
