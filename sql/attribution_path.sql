-- Type touch_path: the touches of one person in the order of time.

-- Type --------------------------------------------------------------------

CREATE TYPE @extschema@.touch_path;

CREATE FUNCTION @extschema@.touch_path_in(cstring) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_in(cstring) IS
'Input of type touch_path: a JSON array with an object for each touch, of which channel must be there, at (time in ISO 8601 form, without offset in UTC; all touches have one or none has), campaign, weight (a number, 1 unless given) and stage (lead or opportunity) may, or a string for a touch of which nothing but the channel is known. Touches with times come in any order. Errors: 22P02 no such text, 22023 an empty name, a negative weight, a stage that does not exist, 54000 a name above 1,000 bytes, more than 10,000,000 touches. O(n log n).';

CREATE FUNCTION @extschema@.touch_path_out(@extschema@.touch_path) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_out(@extschema@.touch_path) IS
'Output of type touch_path, with times in UTC; what touch_path_in() reads. O(touches).';

CREATE FUNCTION @extschema@.touch_path_recv(internal) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_recv(internal) IS
'Binary input of type touch_path; every byte is checked. Names are in the encoding of the database. Error: 22P03 bytes that are no touch_path. O(touches).';

CREATE FUNCTION @extschema@.touch_path_send(@extschema@.touch_path) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_send(@extschema@.touch_path) IS
'Binary output of type touch_path. O(touches).';

CREATE TYPE @extschema@.touch_path (
    INPUT = @extschema@.touch_path_in,
    OUTPUT = @extschema@.touch_path_out,
    RECEIVE = @extschema@.touch_path_recv,
    SEND = @extschema@.touch_path_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.touch_path IS
'Touches of one person in the order of time, each with channel and perhaps campaign, weight and stage; without times, in the order given. Touches of one moment are in the order of channel, then campaign, byte by byte. Made by touch_path_agg(), attribution_paths(), touch_path_make() and touch_path_parse(). A usual touch takes 4 to 8 bytes and each channel its name once.';

CREATE FUNCTION @extschema@.touch_path_eq(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_eq(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: the same touches. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_ne(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_ne(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: other touches. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_lt(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_lt(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: before in the order of bytes. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_le(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_le(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: before in the order of bytes, or the same. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_gt(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_gt(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: after in the order of bytes. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_ge(@extschema@.touch_path, @extschema@.touch_path) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_ge(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths: after in the order of bytes, or the same. That order has no meaning, it serves GROUP BY and indexes. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_cmp(@extschema@.touch_path, @extschema@.touch_path) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_cmp(@extschema@.touch_path, @extschema@.touch_path) IS
'Compares two paths by their bytes: -1, 0 or 1. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_hash(@extschema@.touch_path) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_hash(@extschema@.touch_path) IS
'Hash of a path. O(bytes).';

CREATE FUNCTION @extschema@.touch_path_hash_extended(@extschema@.touch_path, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_hash_extended(@extschema@.touch_path, bigint) IS
'Hash of a path with a seed. O(bytes).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.touch_path, @extschema@.touch_path) IS 'the same touches';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.touch_path, @extschema@.touch_path) IS 'other touches';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.touch_path, @extschema@.touch_path) IS 'before in the order of bytes';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.touch_path, @extschema@.touch_path) IS 'before in the order of bytes, or the same';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.touch_path, @extschema@.touch_path) IS 'after in the order of bytes';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.touch_path, RIGHTARG = @extschema@.touch_path, FUNCTION = @extschema@.touch_path_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<), RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.touch_path, @extschema@.touch_path) IS 'after in the order of bytes, or the same';

CREATE OPERATOR CLASS @extschema@.touch_path_ops DEFAULT FOR TYPE @extschema@.touch_path USING btree AS
    OPERATOR 1 @extschema@.<, OPERATOR 2 @extschema@.<=, OPERATOR 3 @extschema@.=, OPERATOR 4 @extschema@.>=, OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.touch_path_cmp(@extschema@.touch_path, @extschema@.touch_path);
COMMENT ON OPERATOR CLASS @extschema@.touch_path_ops USING btree IS 'order of bytes';

CREATE OPERATOR CLASS @extschema@.touch_path_hash_ops DEFAULT FOR TYPE @extschema@.touch_path USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.touch_path_hash(@extschema@.touch_path), FUNCTION 2 @extschema@.touch_path_hash_extended(@extschema@.touch_path, bigint);
COMMENT ON OPERATOR CLASS @extschema@.touch_path_hash_ops USING hash IS 'equality';

-- Aggregates --------------------------------------------------------------

CREATE FUNCTION @extschema@.touch_path_agg_transition(state @extschema@.touch_path, at timestamptz, channel text) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_agg_transition(@extschema@.touch_path, timestamptz, text) IS
'Adds a touch to a path; the step of touch_path_agg(). NULL state: an empty path; at or channel NULL: no touch. O(1) inside the aggregate, O(touches) outside.';

CREATE FUNCTION @extschema@.touch_path_agg_transition(state @extschema@.touch_path, at timestamptz, channel text, campaign text) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_agg_transition(@extschema@.touch_path, timestamptz, text, text) IS
'Adds a touch to a path; the step of touch_path_agg(). NULL state: an empty path; at or channel NULL: no touch. O(1) inside the aggregate, O(touches) outside.';

CREATE FUNCTION @extschema@.touch_path_agg_transition(state @extschema@.touch_path, at timestamptz, channel text, campaign text, weight double precision) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_agg_transition(@extschema@.touch_path, timestamptz, text, text, double precision) IS
'Adds a touch to a path; the step of touch_path_agg(). NULL state: an empty path; at or channel NULL: no touch. O(1) inside the aggregate, O(touches) outside.';

CREATE FUNCTION @extschema@.touch_path_agg_transition(state @extschema@.touch_path, at timestamptz, channel text, campaign text, weight double precision, stage text) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_agg_transition(@extschema@.touch_path, timestamptz, text, text, double precision, text) IS
'Adds a touch to a path; the step of touch_path_agg(). NULL state: an empty path; at or channel NULL: no touch. O(1) inside the aggregate, O(touches) outside.';

CREATE FUNCTION @extschema@.touch_path_combine(a @extschema@.touch_path, b @extschema@.touch_path) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_combine(@extschema@.touch_path, @extschema@.touch_path) IS
'Returns the touches of two paths as one path. NULL when both are NULL, the other when one is. Errors: 22023 a path without times, 54000 too many touches. O(touches of b) inside an aggregate, O(n log n) outside.';

CREATE FUNCTION @extschema@.touch_path_agg_final(@extschema@.touch_path) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_agg_final(@extschema@.touch_path) IS
'Puts the touches that an aggregate collected in order; the last step of touch_path_agg(). O(n log n).';

CREATE AGGREGATE @extschema@.touch_path_agg(at timestamptz, channel text) (
    SFUNC = @extschema@.touch_path_agg_transition,
    STYPE = @extschema@.touch_path,
    FINALFUNC = @extschema@.touch_path_agg_final,
    COMBINEFUNC = @extschema@.touch_path_combine,
    SSPACE = 256,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.touch_path_agg(timestamptz, text) IS
'Returns the touches of a group as a path. at: time of the touch; channel: its channel, at most 1,000 bytes; rows in which either is NULL are no touches, so that an outer join without touches gives NULL, which stands for the empty path everywhere. The order of rows and the plan do not matter. Errors: 22008 a time outside the years 1000 to 2999, 22023 an empty name, 54000 a name above 1,000 bytes, more than 10,000,000 touches. O(n log n), 24 bytes a touch while it runs.';

CREATE AGGREGATE @extschema@.touch_path_agg(at timestamptz, channel text, campaign text) (
    SFUNC = @extschema@.touch_path_agg_transition,
    STYPE = @extschema@.touch_path,
    FINALFUNC = @extschema@.touch_path_agg_final,
    COMBINEFUNC = @extschema@.touch_path_combine,
    SSPACE = 256,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.touch_path_agg(timestamptz, text, text) IS
'Returns the touches of a group as a path. at: time of the touch; channel: its channel, at most 1,000 bytes; rows in which either is NULL are no touches, so that an outer join without touches gives NULL, which stands for the empty path everywhere. campaign: NULL or empty for none. The order of rows and the plan do not matter. Errors: 22008 a time outside the years 1000 to 2999, 22023 an empty name, 54000 a name above 1,000 bytes, more than 10,000,000 touches. O(n log n), 24 bytes a touch while it runs.';

CREATE AGGREGATE @extschema@.touch_path_agg(at timestamptz, channel text, campaign text, weight double precision) (
    SFUNC = @extschema@.touch_path_agg_transition,
    STYPE = @extschema@.touch_path,
    FINALFUNC = @extschema@.touch_path_agg_final,
    COMBINEFUNC = @extschema@.touch_path_combine,
    SSPACE = 256,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.touch_path_agg(timestamptz, text, text, double precision) IS
'Returns the touches of a group as a path. at: time of the touch; channel: its channel, at most 1,000 bytes; rows in which either is NULL are no touches, so that an outer join without touches gives NULL, which stands for the empty path everywhere. campaign: NULL or empty for none; weight: finite and not below 0, for model weight; NULL is 1. The order of rows and the plan do not matter. Errors: 22008 a time outside the years 1000 to 2999, 22023 an empty name, a weight, 54000 a name above 1,000 bytes, more than 10,000,000 touches. O(n log n), 24 bytes a touch while it runs.';

CREATE AGGREGATE @extschema@.touch_path_agg(at timestamptz, channel text, campaign text, weight double precision, stage text) (
    SFUNC = @extschema@.touch_path_agg_transition,
    STYPE = @extschema@.touch_path,
    FINALFUNC = @extschema@.touch_path_agg_final,
    COMBINEFUNC = @extschema@.touch_path_combine,
    SSPACE = 256,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.touch_path_agg(timestamptz, text, text, double precision, text) IS
'Returns the touches of a group as a path. at: time of the touch; channel: its channel, at most 1,000 bytes; rows in which either is NULL are no touches, so that an outer join without touches gives NULL, which stands for the empty path everywhere. campaign: NULL or empty for none; weight: finite and not below 0, for model weight, NULL is 1; stage: what the touch began, lead or opportunity, for model w_shaped_stage, NULL is neither. The order of rows and the plan do not matter. Errors: 22008 a time outside the years 1000 to 2999, 22023 an empty name, a weight, a stage, 54000 a name above 1,000 bytes, more than 10,000,000 touches. O(n log n), 24 bytes a touch while it runs.';

CREATE AGGREGATE @extschema@.touch_path_merge(path @extschema@.touch_path) (
    SFUNC = @extschema@.touch_path_combine,
    STYPE = @extschema@.touch_path,
    FINALFUNC = @extschema@.touch_path_agg_final,
    COMBINEFUNC = @extschema@.touch_path_combine,
    SSPACE = 256,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.touch_path_merge(@extschema@.touch_path) IS
'Returns the touches of all paths as one path, say of several periods, or of several identifiers of one person. NULL paths are passed over; NULL for none. Errors: 22023 a path without times, 54000 too many touches. O(n log n).';

-- Paths of other things ---------------------------------------------------

CREATE FUNCTION @extschema@.touch_path_make(channels text[], at timestamptz[] DEFAULT NULL) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_make(text[], timestamptz[]) IS
'Returns a path of channels and their times; without times in the order given. NULL channels give NULL. Errors: 22004 a NULL element, 2202E other than one dimension or not as many times as channels, 22008, 22023, 54000 as touch_path_agg(). O(n log n).';

CREATE FUNCTION @extschema@.touch_path_parse(path text, separator text DEFAULT '>') RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_parse(text, text) IS
'Returns the path, without times, of channels in a text such as email > direct > email. Blanks around channels do not count; an empty text is the empty path. NULL for a NULL argument. Errors: 22P02 an empty channel, 22023 an empty separator, 54000 as touch_path_agg(). O(n log n).';

-- Paths of paths ----------------------------------------------------------

CREATE FUNCTION @extschema@.touch_path_unique(path @extschema@.touch_path, keep text DEFAULT 'first') RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_unique(@extschema@.touch_path, text) IS
'Returns a path with one touch of each channel: the first or last (keep). NULL for a NULL argument. Error: 22023 keep. O(touches).';

CREATE FUNCTION @extschema@.touch_path_exposure(path @extschema@.touch_path, keep text DEFAULT 'first') RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_exposure(@extschema@.touch_path, text) IS
'Returns a path in which each run of touches of one channel is one touch: its first or last (keep). email, email, direct, email becomes email, direct, email. NULL for a NULL argument. Error: 22023 keep. O(touches).';

CREATE FUNCTION @extschema@.touch_path_drop(path @extschema@.touch_path, channels text[] DEFAULT '{direct}', unless_all boolean DEFAULT true) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_drop(@extschema@.touch_path, text[], boolean) IS
'Returns a path without the touches of some channels; with unless_all, a path that has no others stays as it is. NULL elements of channels are passed over. NULL for a NULL argument. O((touches + channels) log channels).';

CREATE FUNCTION @extschema@.touch_path_last(path @extschema@.touch_path, n integer) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_last(@extschema@.touch_path, integer) IS
'Returns the last n touches of a path. NULL for a NULL argument. Error: 22023 n below 0. O(touches).';

CREATE FUNCTION @extschema@.touch_path_within(path @extschema@.touch_path, "window" interval, until timestamptz) RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_within(@extschema@.touch_path, interval, timestamptz) IS
'Returns the touches of a path in [until - window, until); a day of the window has 24 hours. NULL for a NULL argument. Errors: 22023 a path without times, a window that has months or is not positive. O(touches).';

CREATE FUNCTION @extschema@.touch_path_by_campaign(path @extschema@.touch_path, missing text DEFAULT 'no_campaign') RETURNS @extschema@.touch_path
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_by_campaign(@extschema@.touch_path, text) IS
'Returns a path whose channels are the campaigns of the touches; missing stands for touches without one. So every model and aggregate over channels is one over campaigns. NULL for a NULL argument. Errors: 22023 an empty missing. O(n log n).';

-- What is in a path -------------------------------------------------------

CREATE FUNCTION @extschema@.touch_path_length(path @extschema@.touch_path) RETURNS integer
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_length(@extschema@.touch_path) IS
'Returns the number of touches of a path; NULL for NULL. O(labels).';

CREATE FUNCTION @extschema@.touch_path_text(path @extschema@.touch_path, separator text DEFAULT ' > ') RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_text(@extschema@.touch_path, text) IS
'Returns the channels of a path in their order, with a separator between them; the empty text for the empty path. NULL for a NULL argument. O(touches).';

CREATE FUNCTION @extschema@.touch_path_channels(path @extschema@.touch_path) RETURNS text[]
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.touch_path_channels(@extschema@.touch_path) IS
'Returns the channels of the touches of a path in their order; NULL for NULL. O(touches).';

CREATE FUNCTION @extschema@.touch_path_touches(path @extschema@.touch_path) RETURNS TABLE ("position" integer, at timestamptz, channel text, campaign text,
    weight double precision, stage text)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION @extschema@.touch_path_touches(@extschema@.touch_path) IS
'Returns the touches of a path, a row each, position counted from 1; at NULL in a path without times, campaign and stage NULL for none. No rows for NULL. O(touches).';

CREATE CAST (@extschema@.touch_path AS text[]) WITH FUNCTION @extschema@.touch_path_channels(@extschema@.touch_path);
COMMENT ON CAST (@extschema@.touch_path AS text[]) IS 'the channels in their order';
