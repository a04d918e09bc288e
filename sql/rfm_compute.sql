-- Type rfm_state and the computation over whole tables.

-- Type --------------------------------------------------------------------

CREATE TYPE @extschema@.rfm_state;

CREATE FUNCTION @extschema@.rfm_state_in(cstring) RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_in(cstring) IS
'Input of type rfm_state: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no rfm_state. O(customers).';

CREATE FUNCTION @extschema@.rfm_state_out(@extschema@.rfm_state) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_out(@extschema@.rfm_state) IS
'Output of type rfm_state. Error: 54000 above 512 MB. O(customers).';

CREATE FUNCTION @extschema@.rfm_state_recv(internal) RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_recv(internal) IS
'Binary input of type rfm_state; every byte is checked. Error: 22P03 bytes that are no rfm_state. O(customers).';

CREATE FUNCTION @extschema@.rfm_state_send(@extschema@.rfm_state) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_send(@extschema@.rfm_state) IS
'Binary output of type rfm_state, the same on every machine. O(customers).';

CREATE TYPE @extschema@.rfm_state (
    INPUT = @extschema@.rfm_state_in,
    OUTPUT = @extschema@.rfm_state_out,
    RECEIVE = @extschema@.rfm_state_recv,
    SEND = @extschema@.rfm_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.rfm_state IS
'Last purchase, number of purchases and amount of each customer of an aggregate: made by rfm_agg(), merged by rfm_merge(), read by rfm_rows(). At most 24 bytes a customer as a value for usual purchases, less when times and amounts are round.';

CREATE FUNCTION @extschema@.rfm_state_eq(@extschema@.rfm_state, @extschema@.rfm_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_eq(@extschema@.rfm_state, @extschema@.rfm_state) IS
'Tells whether two states say the same of the same customers. O(customers).';

CREATE FUNCTION @extschema@.rfm_state_ne(@extschema@.rfm_state, @extschema@.rfm_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_ne(@extschema@.rfm_state, @extschema@.rfm_state) IS
'Tells whether two states differ. O(customers).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.rfm_state, RIGHTARG = @extschema@.rfm_state, FUNCTION = @extschema@.rfm_state_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.rfm_state, @extschema@.rfm_state) IS 'the same customers with the same purchases';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.rfm_state, RIGHTARG = @extschema@.rfm_state, FUNCTION = @extschema@.rfm_state_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.rfm_state, @extschema@.rfm_state) IS 'other customers or other purchases';

-- Aggregates --------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_agg_transition(
    state @extschema@.rfm_state, customer_id bigint, at timestamptz, amount numeric)
    RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_agg_transition(@extschema@.rfm_state, bigint, timestamptz, numeric) IS
'Adds a purchase to a state; the step of rfm_agg(). NULL state: an empty one. O(1) inside the aggregate, O(customers) outside.';

CREATE FUNCTION @extschema@.rfm_agg_transition(
    state @extschema@.rfm_state, customer_id bigint, at timestamptz, amount numeric, since timestamptz, until timestamptz)
    RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_agg_transition(@extschema@.rfm_state, bigint, timestamptz, numeric, timestamptz, timestamptz) IS
'Adds a purchase to a state with a window; the step of rfm_agg(). NULL state: an empty one. O(1) inside the aggregate, O(customers) outside.';

CREATE FUNCTION @extschema@.rfm_state_merge(a @extschema@.rfm_state, b @extschema@.rfm_state)
    RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_merge(@extschema@.rfm_state, @extschema@.rfm_state) IS
'Returns the purchases of two states as one: the later last purchase, the sum of purchases and amounts of each customer. NULL when both are NULL, the other when one is. Error: 22023 states of different windows. O(customers of b) inside an aggregate, O(customers of both) outside.';

CREATE FUNCTION @extschema@.rfm_state_since(state @extschema@.rfm_state, since timestamptz)
    RETURNS @extschema@.rfm_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_state_since(@extschema@.rfm_state, timestamptz) IS
'Returns a state whose window begins at since, excluded: customers whose last purchase is not after since keep that and nothing else, the others keep all. Exact for states of which all purchases lie on one side of since, say those of days when since is the end of a day; so rfm_merge(rfm_state_since(state, since)) makes of states of days what rfm_agg() makes of the purchases with that window. NULL for a NULL argument. Error: 22023 since is not within the window. O(customers).';

CREATE AGGREGATE @extschema@.rfm_agg(customer_id bigint, at timestamptz, amount numeric) (
    SFUNC = @extschema@.rfm_agg_transition,
    STYPE = @extschema@.rfm_state,
    COMBINEFUNC = @extschema@.rfm_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_agg(bigint, timestamptz, numeric) IS
'Returns the state of the customers of all purchases: customer_id, time, amount in one currency (negative for a refund). A NULL amount counts as a purchase and adds nothing; purchases without customer are kept apart as one; purchases without time are counted, no more. NULL for no rows. Errors: 22003 a time or an amount that is not finite, more than 2,147,483,647 purchases of one customer; 54000 a state above 1 GB that has to become a value. O(rows).';

CREATE AGGREGATE @extschema@.rfm_agg(customer_id bigint, at timestamptz, amount numeric, since timestamptz, until timestamptz) (
    SFUNC = @extschema@.rfm_agg_transition,
    STYPE = @extschema@.rfm_state,
    COMBINEFUNC = @extschema@.rfm_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_agg(bigint, timestamptz, numeric, timestamptz, timestamptz) IS
'As rfm_agg(customer_id, at, amount) for a window: purchases count in (since, until]; those before count for the last purchase only, those after not at all. NULL leaves that side open. Errors: those of rfm_agg(), and 22023 an empty window or one that changes from row to row.';

CREATE AGGREGATE @extschema@.rfm_merge(state @extschema@.rfm_state) (
    SFUNC = @extschema@.rfm_state_merge,
    STYPE = @extschema@.rfm_state,
    COMBINEFUNC = @extschema@.rfm_state_merge,
    SSPACE = 1048576,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_merge(@extschema@.rfm_state) IS
'Returns the purchases of all states as one state, say of days as those of a year. NULL states are passed over; NULL for none. Error: 22023 states of different windows. O(customers of all states).';

CREATE FUNCTION @extschema@.rfm_summary(
    state @extschema@.rfm_state,
    OUT customers bigint, OUT purchases bigint, OUT amount numeric, OUT last_at timestamptz,
    OUT since timestamptz, OUT until timestamptz, OUT without_customer bigint, OUT without_time bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.rfm_summary(@extschema@.rfm_state) IS
'Returns what a state holds: customers, purchases and their amount (those without customer included), the last of them, the window (since, until], purchases without customer, and purchases without time, which are in no other figure. NULL for NULL. O(customers).';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_rows(
    state @extschema@.rfm_state,
    scheme text DEFAULT NULL,
    as_of timestamptz DEFAULT now(),
    currency text DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric,
        score @extschema@.rfm, segment text)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100000;
COMMENT ON FUNCTION @extschema@.rfm_rows(@extschema@.rfm_state, text, timestamptz, text) IS
'Returns RFM of the customers of a state, as rfm_compute() does. scheme: its name, NULL for setting rfm_scheme; its period is not applied, since the state has its own window; a warning tells where they differ. as_of: recency is counted from here, NULL for now. currency: of the amounts, see rfm_terms(). No rows for a NULL state. Errors: 22023 the state holds purchases after as_of, and those of rfm_terms(). O(customers).';

CREATE FUNCTION @extschema@.rfm_compute(
    source text,
    scheme text DEFAULT NULL,
    as_of timestamptz DEFAULT now(),
    period interval DEFAULT NULL,
    currency text DEFAULT NULL,
    columns text[] DEFAULT NULL,
    changed_only boolean DEFAULT false)
    RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric,
        score @extschema@.rfm, segment text)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100000
    SUPPORT @extschema@.source_support;
COMMENT ON FUNCTION @extschema@.rfm_compute(text, text, timestamptz, interval, text, text[], boolean) IS
'Returns recency, frequency, monetary value, score and segment of each customer of a source, in no order. source: the name of a relation or a query, run with the caller''s path and rights, one row a purchase, with columns customer_id (an integer type), at (timestamptz; timestamp and date are taken in brand_time_zone), amount (numeric, integer, float); other names are given in columns, in this order; a source of exactly three columns needs no names. Three more columns are read where they exist and columns is NULL: purchases (the row stands for so many, with amount in all; negative to take some back, which is no sign of life), score (the one the customer has now) and changed (true: the row is news). scheme: its name, NULL for setting rfm_scheme. as_of: purchases after it do not count, NULL for now. period: purchases in (as_of - period, as_of] count for frequency and monetary value, NULL for that of the scheme; recency_days counts calendar days in brand_time_zone since the last purchase ever. currency: of the amounts, see rfm_terms(). changed_only: return only customers whose score differs from the source''s, or of whom there is news. score and segment are NULL for customers that the scheme does not score. Purchases without customer come back as one row with customer_id NULL; those without time are left out with a warning; a NULL amount adds nothing. Errors: those of rfm_terms() and of the source; 22023 a source that does more than read; 42703 columns not found; 42804 a column of a type that does not fit; 22003 a time or an amount that is not finite. Linear in the rows; memory is O(customers).';
