-- rfm: recency, frequency and monetary value of customers. Here the kernel:
-- cells, scores, the shipped map, and what is known of purchases.

-- Kernel: type rfm --------------------------------------------------------

CREATE TYPE @extschema@.rfm;

CREATE FUNCTION @extschema@.rfm_in(text_form cstring) RETURNS @extschema@.rfm
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_in(cstring) IS
'Input function of type rfm: three digits from 1 to 9. Error: 22P02 for any other text.';

CREATE FUNCTION @extschema@.rfm_out(cell @extschema@.rfm) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_out(@extschema@.rfm) IS
'Output function of type rfm: three digits.';

CREATE FUNCTION @extschema@.rfm_recv(message internal) RETURNS @extschema@.rfm
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_recv(internal) IS
'Binary input function of type rfm: a signed integer of two bytes, r * 100 + f * 10 + m. Error: 22P03 for any that is no cell.';

CREATE FUNCTION @extschema@.rfm_send(cell @extschema@.rfm) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_send(@extschema@.rfm) IS
'Binary output function of type rfm: a signed integer of two bytes.';

CREATE TYPE @extschema@.rfm (
    INPUT = @extschema@.rfm_in,
    OUTPUT = @extschema@.rfm_out,
    RECEIVE = @extschema@.rfm_recv,
    SEND = @extschema@.rfm_send,
    LIKE = smallint
);
COMMENT ON TYPE @extschema@.rfm IS
'A cell: the scores of recency, frequency and monetary value, each from 1 to 9 and more is better, as text three digits, 543. Two bytes, passed by value; ordered by r, then f, then m.';

CREATE FUNCTION @extschema@.rfm_make(r integer, f integer, m integer) RETURNS @extschema@.rfm
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_make(integer, integer, integer) IS
'Returns the cell of three scores from 1 to 9: recency, frequency, monetary value. NULL for a NULL argument. Error: 22003 for a score out of range. Constant time.';

CREATE FUNCTION @extschema@.rfm_r(cell @extschema@.rfm) RETURNS smallint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_r(@extschema@.rfm) IS
'Returns the score of recency of a cell, 1 to 9. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_f(cell @extschema@.rfm) RETURNS smallint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_f(@extschema@.rfm) IS
'Returns the score of frequency of a cell, 1 to 9. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_m(cell @extschema@.rfm) RETURNS smallint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_m(@extschema@.rfm) IS
'Returns the score of monetary value of a cell, 1 to 9. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_from_integer(number integer) RETURNS @extschema@.rfm
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_from_integer(integer) IS
'Returns the cell that a number of three digits stands for, 543: the cast from integer. NULL for NULL. Error: 22003 for a number that is no cell. Constant time.';

CREATE FUNCTION @extschema@.rfm_to_integer(cell @extschema@.rfm) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_to_integer(@extschema@.rfm) IS
'Returns a cell as a number of three digits: the cast to integer. NULL for NULL. Constant time.';

-- Text has the casts that every type has: to text in assignments, from text
-- explicitly.
CREATE CAST (integer AS @extschema@.rfm)
    WITH FUNCTION @extschema@.rfm_from_integer(integer) AS ASSIGNMENT;
CREATE CAST (@extschema@.rfm AS integer)
    WITH FUNCTION @extschema@.rfm_to_integer(@extschema@.rfm) AS ASSIGNMENT;
-- The same bytes. Implicit, since the operators of rfm are found only where
-- iaros is in the path, which IS DISTINCT FROM and JOIN USING depend on, too:
-- elsewhere cells compare as smallint, which gives the same answers.
CREATE CAST (@extschema@.rfm AS smallint) WITHOUT FUNCTION AS IMPLICIT;

-- A cell is stored as a smallint is, so the server's functions compare it.

CREATE FUNCTION @extschema@.rfm_eq(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2eq';
COMMENT ON FUNCTION @extschema@.rfm_eq(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether two cells are the same. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_ne(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2ne';
COMMENT ON FUNCTION @extschema@.rfm_ne(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether two cells differ. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_lt(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2lt';
COMMENT ON FUNCTION @extschema@.rfm_lt(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether the first cell comes before the second, by recency, then frequency, then monetary value. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_le(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2le';
COMMENT ON FUNCTION @extschema@.rfm_le(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether the first cell comes before the second or is the same. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_gt(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2gt';
COMMENT ON FUNCTION @extschema@.rfm_gt(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether the first cell comes after the second, by recency, then frequency, then monetary value. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_ge(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'int2ge';
COMMENT ON FUNCTION @extschema@.rfm_ge(@extschema@.rfm, @extschema@.rfm) IS
'Returns whether the first cell comes after the second or is the same. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_cmp(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'btint2cmp';
COMMENT ON FUNCTION @extschema@.rfm_cmp(@extschema@.rfm, @extschema@.rfm) IS
'Returns a number less than, equal to or greater than 0 as the first cell comes before the second, is the same or comes after it. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_hash(cell @extschema@.rfm) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'hashint2';
COMMENT ON FUNCTION @extschema@.rfm_hash(@extschema@.rfm) IS
'Returns the hash of a cell for hash indexes, joins and partitions. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_hash_extended(cell @extschema@.rfm, seed bigint) RETURNS bigint
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    AS 'hashint2extended';
COMMENT ON FUNCTION @extschema@.rfm_hash_extended(@extschema@.rfm, bigint) IS
'Returns the hash of a cell of 64 bits for a seed. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_smaller(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS @extschema@.rfm
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
    AS 'int2smaller';
COMMENT ON FUNCTION @extschema@.rfm_smaller(@extschema@.rfm, @extschema@.rfm) IS
'Returns the cell that comes first. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_larger(left_cell @extschema@.rfm, right_cell @extschema@.rfm) RETURNS @extschema@.rfm
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE
    AS 'int2larger';
COMMENT ON FUNCTION @extschema@.rfm_larger(@extschema@.rfm, @extschema@.rfm) IS
'Returns the cell that comes last. NULL for a NULL argument. Constant time.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.rfm, @extschema@.rfm) IS
'same cell';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.rfm, @extschema@.rfm) IS
'another cell';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.rfm, @extschema@.rfm) IS
'cell before';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.rfm, @extschema@.rfm) IS
'cell before or same';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.rfm, @extschema@.rfm) IS
'cell after';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.rfm, RIGHTARG = @extschema@.rfm,
    FUNCTION = @extschema@.rfm_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.rfm, @extschema@.rfm) IS
'cell after or same';

CREATE OPERATOR CLASS @extschema@.rfm_btree_ops
    DEFAULT FOR TYPE @extschema@.rfm USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.rfm_cmp(@extschema@.rfm, @extschema@.rfm),
    FUNCTION 2 btint2sortsupport(internal),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.rfm_btree_ops USING btree IS
'Order of cells: r, then f, then m.';

CREATE OPERATOR CLASS @extschema@.rfm_hash_ops
    DEFAULT FOR TYPE @extschema@.rfm USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.rfm_hash(@extschema@.rfm),
    FUNCTION 2 @extschema@.rfm_hash_extended(@extschema@.rfm, bigint);
COMMENT ON OPERATOR CLASS @extschema@.rfm_hash_ops USING hash IS
'Equality of cells.';

CREATE AGGREGATE @extschema@.min(@extschema@.rfm) (
    SFUNC = @extschema@.rfm_smaller,
    STYPE = @extschema@.rfm,
    COMBINEFUNC = @extschema@.rfm_smaller,
    SORTOP = OPERATOR(@extschema@.<),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.min(@extschema@.rfm) IS
'Returns the cell that comes first by recency, then frequency, then monetary value. NULLs are left out; NULL for no rows. An index on the column answers it.';

CREATE AGGREGATE @extschema@.max(@extschema@.rfm) (
    SFUNC = @extschema@.rfm_larger,
    STYPE = @extschema@.rfm,
    COMBINEFUNC = @extschema@.rfm_larger,
    SORTOP = OPERATOR(@extschema@.>),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.max(@extschema@.rfm) IS
'Returns the cell that comes last by recency, then frequency, then monetary value. NULLs are left out; NULL for no rows. An index on the column answers it.';

-- Kernel: the shipped map -----------------------------------------------

CREATE FUNCTION @extschema@.rfm_segment(cell @extschema@.rfm) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_segment(@extschema@.rfm) IS
'Returns the segment with which iaros ships a cell of scores from 1 to 5, by rfm_shipped_rules(). NULL for NULL and for a cell with a higher score. A user''s own map is in rfm_segment_rule, see rfm_map_cells(). At most one look at each rule.';

CREATE FUNCTION @extschema@.rfm_shipped_rules()
    RETURNS TABLE (rank integer, segment text, r int4range, f int4range, m int4range)
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 47
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_shipped_rules() IS
'Returns the rules by which iaros ships the segments of the 125 cells of scores from 1 to 5: the first rule by rank whose ranges hold the three scores names the segment. First come the 32 listed cells (511 is listed for Recent Customers and for Promising; the first holds), then ranges for the other 93. Ranks are multiples of 10, so that rules fit in between.';

-- Kernel: scores ---------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_score_value(value numeric, bounds numeric[])
    RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (1 + width_bucket(value, bounds))::smallint;
COMMENT ON FUNCTION @extschema@.rfm_score_value(numeric, numeric[]) IS
'Returns the score of a value where more is better (bookings, spend): 1 plus the number of bounds that it reaches. bounds: ascending, the lowest values of scores 2, 3, 4, 5; a score holds the range [its bound, next bound). Ascending order is not checked. NULL for a NULL argument. Errors: 22004 NULL among the bounds, 2202E bounds of several dimensions. O(log n).';

CREATE FUNCTION @extschema@.rfm_score_recency(days integer, bounds integer[])
    RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (1 + cardinality(bounds) - width_bucket(days, bounds))::smallint;
COMMENT ON FUNCTION @extschema@.rfm_score_recency(integer, integer[]) IS
'Returns the score of the days since the last booking, where fewer is better: the number of bounds plus 1, less the number of bounds that are reached. bounds: ascending, the fewest days of scores 4, 3, 2, 1; a score holds the range [its bound, next bound). Ascending order is not checked. NULL for a NULL argument. Errors: as rfm_score_value(). O(log n).';

-- Kernel: type rfm_stat ---------------------------------------------------

CREATE TYPE @extschema@.rfm_stat;

CREATE FUNCTION @extschema@.rfm_stat_in(text_form cstring) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_in(cstring) IS
'Input function of type rfm_stat: first/last purchases sum, as in 2025-06-01T00:00:00Z/2025-12-31T00:00:00Z 2 501.5. Times are in UTC or infinite; a single - stands for both where none is known. The same whatever DateStyle and TimeZone are. Error: 22P02 for any other text, no purchase, or a first time after the last.';

CREATE FUNCTION @extschema@.rfm_stat_out(stat @extschema@.rfm_stat) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_out(@extschema@.rfm_stat) IS
'Output function of type rfm_stat: first/last purchases sum, exact, times in UTC, whatever DateStyle and TimeZone are.';

CREATE FUNCTION @extschema@.rfm_stat_recv(message internal) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_recv(internal) IS
'Binary input function of type rfm_stat: version (one byte, 1), purchases, first and last time (bigint each, microseconds since 2000), sum as numeric. Errors: 22P03 for an unknown version, no purchase, times that are out of range or in the wrong order, a sum that is not finite; 08P01 for a message of another length; those of numeric.';

CREATE FUNCTION @extschema@.rfm_stat_send(stat @extschema@.rfm_stat) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_send(@extschema@.rfm_stat) IS
'Binary output function of type rfm_stat, see rfm_stat_recv().';

CREATE TYPE @extschema@.rfm_stat (
    INPUT = @extschema@.rfm_stat_in,
    OUTPUT = @extschema@.rfm_stat_out,
    RECEIVE = @extschema@.rfm_stat_recv,
    SEND = @extschema@.rfm_stat_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = main
);
COMMENT ON TYPE @extschema@.rfm_stat IS
'What RFM needs to know of a set of purchases: first and last time, number of purchases, exact sum of their amounts. Made by rfm_stat(), merged by + and rfm_stat_merge(). 40 bytes; more only when the sum has more than 4 decimals or is beyond 922 trillion. No purchases are NULL.';

CREATE FUNCTION @extschema@.rfm_stat_make(first timestamptz, last timestamptz, frequency bigint, monetary numeric) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_make(timestamptz, timestamptz, bigint, numeric) IS
'Returns what is known of purchases that were counted elsewhere: their first and last time (both NULL when not known), number and sum (NULL adds nothing). NULL when frequency is NULL or 0. Errors: 22023 for a negative frequency, a first time after the last or only one of them, 22003 for a sum that is not finite. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_accum_numeric(stat @extschema@.rfm_stat, at timestamptz, amount numeric) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_accum_numeric(@extschema@.rfm_stat, timestamptz, numeric) IS
'Returns stat with one purchase more: transition function of rfm_stat(timestamptz, numeric). stat NULL: no purchases yet. at NULL: the purchase counts and its amount is added, but first and last stay. amount NULL adds nothing. With both NULL there is no purchase, and stat comes back. Any numeric that is finite, of any size; the sum stays exact. Errors: 22003 for an amount that is not finite and when the number of purchases is beyond bigint. Constant time while the sum is at most 922 trillion with 4 decimals, else linear in its digits.';

CREATE FUNCTION @extschema@.rfm_stat_accum_float8(stat @extschema@.rfm_stat, at timestamptz, amount float8) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_accum_float8(@extschema@.rfm_stat, timestamptz, float8) IS
'Returns stat with one purchase more: transition function of rfm_stat(timestamptz, float8). stat NULL: no purchases yet. at NULL: the purchase counts and its amount is added, but first and last stay. amount NULL adds nothing. With both NULL there is no purchase, and stat comes back. It counts as the cast to numeric reads it, with 15 significant digits. Errors: 22003 for an amount that is not finite and when the number of purchases is beyond bigint. Constant time while the sum is at most 922 trillion with 4 decimals, else linear in its digits.';

CREATE FUNCTION @extschema@.rfm_stat_accum_bigint(stat @extschema@.rfm_stat, at timestamptz, amount bigint) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_accum_bigint(@extschema@.rfm_stat, timestamptz, bigint) IS
'Returns stat with one purchase more: transition function of rfm_stat(timestamptz, bigint). stat NULL: no purchases yet. at NULL: the purchase counts and its amount is added, but first and last stay. amount NULL adds nothing. With both NULL there is no purchase, and stat comes back. An integer, for example an amount in minor units. Errors: 22003 for an amount that is not finite and when the number of purchases is beyond bigint. Constant time while the sum is at most 922 trillion with 4 decimals, else linear in its digits.';

CREATE FUNCTION @extschema@.rfm_stat_add(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS @extschema@.rfm_stat
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_add(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns what is known of the purchases of both: operator +, and transition and combine function of the aggregates. NULL stands for no purchases: the other argument comes back. Error: 22003 when the number of purchases is beyond bigint. Constant time, as rfm_stat_accum_numeric().';

CREATE FUNCTION @extschema@.rfm_stat_first(stat @extschema@.rfm_stat) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_first(@extschema@.rfm_stat) IS
'Returns the time of the first purchase. NULL for NULL and when no time is known. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_last(stat @extschema@.rfm_stat) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_last(@extschema@.rfm_stat) IS
'Returns the time of the last purchase. NULL for NULL and when no time is known. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_frequency(stat @extschema@.rfm_stat) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_frequency(@extschema@.rfm_stat) IS
'Returns the number of purchases, at least 1. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_monetary(stat @extschema@.rfm_stat) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_monetary(@extschema@.rfm_stat) IS
'Returns the exact sum of the amounts, without trailing zeros. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_recency(
    stat @extschema@.rfm_stat,
    as_of timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC')
    RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (as_of AT TIME ZONE zone)::date - (@extschema@.rfm_stat_last(stat) AT TIME ZONE zone)::date;
COMMENT ON FUNCTION @extschema@.rfm_stat_recency(@extschema@.rfm_stat, timestamptz, text) IS
'Returns the days since the last purchase, by subtraction of calendar days in a time zone; negative when it is after as_of. NULL for a NULL argument and when no time is known. Errors: 22023 no such time zone, 22008 an infinite time. Constant time, inlined.';

CREATE FUNCTION @extschema@.rfm_stat_eq(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_eq(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether first and last time, number and sum are equal; 1.0 and 1.00 are. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_ne(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_ne(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether two values differ in first or last time, number or sum. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_lt(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_lt(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether the first value comes before the second: by last time, then number, then sum, then first time. A value without times counts as one at -infinity. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_le(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_le(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether the first value comes before the second or is equal. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_gt(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_gt(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether the first value comes after the second. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_ge(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_ge(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns whether the first value comes after the second or is equal. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_cmp(left_stat @extschema@.rfm_stat, right_stat @extschema@.rfm_stat) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_cmp(@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'Returns a number less than, equal to or greater than 0 as the first value comes before the second, is equal or comes after it. NULL for a NULL argument. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_hash(stat @extschema@.rfm_stat) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_hash(@extschema@.rfm_stat) IS
'Returns the hash of a value for hash indexes, joins and partitions. NULL for NULL. Constant time.';

CREATE FUNCTION @extschema@.rfm_stat_hash_extended(stat @extschema@.rfm_stat, seed bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.rfm_stat_hash_extended(@extschema@.rfm_stat, bigint) IS
'Returns the hash of a value of 64 bits for a seed. NULL for a NULL argument. Constant time.';

CREATE AGGREGATE @extschema@.rfm_stat(at timestamptz, amount numeric) (
    SFUNC = @extschema@.rfm_stat_accum_numeric,
    STYPE = @extschema@.rfm_stat,
    SSPACE = 48,
    COMBINEFUNC = @extschema@.rfm_stat_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_stat(timestamptz, numeric) IS
'Returns what is known of the purchases of a group, one row a purchase: first and last time, number, exact sum. Any numeric that is finite, of any size; the sum stays exact. A negative amount, a refund, just adds. at NULL: the purchase counts and adds, but first and last stay; amount NULL adds nothing; a row with both NULL, as an outer join makes it, is no purchase. NULL when there is none. Errors: 22003 for an amount that is not finite. Linear in the rows.';

CREATE AGGREGATE @extschema@.rfm_stat(at timestamptz, amount float8) (
    SFUNC = @extschema@.rfm_stat_accum_float8,
    STYPE = @extschema@.rfm_stat,
    SSPACE = 48,
    COMBINEFUNC = @extschema@.rfm_stat_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_stat(timestamptz, float8) IS
'Returns what is known of the purchases of a group, one row a purchase: first and last time, number, exact sum. It counts as the cast to numeric reads it, with 15 significant digits. A negative amount, a refund, just adds. at NULL: the purchase counts and adds, but first and last stay; amount NULL adds nothing; a row with both NULL, as an outer join makes it, is no purchase. NULL when there is none. Errors: 22003 for an amount that is not finite. Linear in the rows.';

CREATE AGGREGATE @extschema@.rfm_stat(at timestamptz, amount bigint) (
    SFUNC = @extschema@.rfm_stat_accum_bigint,
    STYPE = @extschema@.rfm_stat,
    SSPACE = 48,
    COMBINEFUNC = @extschema@.rfm_stat_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_stat(timestamptz, bigint) IS
'Returns what is known of the purchases of a group, one row a purchase: first and last time, number, exact sum. An integer, for example an amount in minor units. A negative amount, a refund, just adds. at NULL: the purchase counts and adds, but first and last stay; amount NULL adds nothing; a row with both NULL, as an outer join makes it, is no purchase. NULL when there is none. Errors: 22003 for an amount that is not finite. Linear in the rows.';

CREATE AGGREGATE @extschema@.rfm_stat_merge(@extschema@.rfm_stat) (
    SFUNC = @extschema@.rfm_stat_add,
    STYPE = @extschema@.rfm_stat,
    SSPACE = 48,
    COMBINEFUNC = @extschema@.rfm_stat_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.rfm_stat_merge(@extschema@.rfm_stat) IS
'Returns what is known of the purchases of all values of a group together, as if rfm_stat() had seen them all. NULLs are left out; NULL when there is none. Error: 22003 when the number of purchases is beyond bigint. Linear in the rows.';

CREATE OPERATOR @extschema@.+ (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_add,
    COMMUTATOR = OPERATOR(@extschema@.+)
);
COMMENT ON OPERATOR @extschema@.+ (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'purchases of both; NULL stands for none';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'equal';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'not equal';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'comes before';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'comes before or is equal';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'comes after';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.rfm_stat, RIGHTARG = @extschema@.rfm_stat,
    FUNCTION = @extschema@.rfm_stat_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.rfm_stat, @extschema@.rfm_stat) IS
'comes after or is equal';

CREATE OPERATOR CLASS @extschema@.rfm_stat_btree_ops
    DEFAULT FOR TYPE @extschema@.rfm_stat USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.rfm_stat_cmp(@extschema@.rfm_stat, @extschema@.rfm_stat),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.rfm_stat_btree_ops USING btree IS
'Order: last time, number of purchases, sum, first time.';

CREATE OPERATOR CLASS @extschema@.rfm_stat_hash_ops
    DEFAULT FOR TYPE @extschema@.rfm_stat USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.rfm_stat_hash(@extschema@.rfm_stat),
    FUNCTION 2 @extschema@.rfm_stat_hash_extended(@extschema@.rfm_stat, bigint);
COMMENT ON OPERATOR CLASS @extschema@.rfm_stat_hash_ops USING hash IS
'Equality.';
