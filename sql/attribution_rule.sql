-- Rule models over paths, and type attribution_state, what they credited.

-- Type --------------------------------------------------------------------

CREATE TYPE @extschema@.attribution_state;

CREATE FUNCTION @extschema@.attribution_state_in(cstring) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_in(cstring) IS
'Input of type attribution_state: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no attribution_state. O(channels * models).';

CREATE FUNCTION @extschema@.attribution_state_out(@extschema@.attribution_state) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_out(@extschema@.attribution_state) IS
'Output of type attribution_state. Error: 54000 above 512 MB. O(channels * models).';

CREATE FUNCTION @extschema@.attribution_state_recv(internal) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_recv(internal) IS
'Binary input of type attribution_state; every byte is checked. Error: 22P03 bytes that are no attribution_state. O(channels * models).';

CREATE FUNCTION @extschema@.attribution_state_send(@extschema@.attribution_state) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_send(@extschema@.attribution_state) IS
'Binary output of type attribution_state, the same on every machine. O(channels * models).';

CREATE TYPE @extschema@.attribution_state (
    INPUT = @extschema@.attribution_state_in,
    OUTPUT = @extschema@.attribution_state_out,
    RECEIVE = @extschema@.attribution_state_recv,
    SEND = @extschema@.attribution_state_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.attribution_state IS
'What models credited to each channel for a set of conversions: made by attribution_agg(), merged by attribution_merge(), read by attribution_rows(). The sums are exact. Some 20 bytes for each channel and model.';

CREATE FUNCTION @extschema@.attribution_state_eq(@extschema@.attribution_state, @extschema@.attribution_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_eq(@extschema@.attribution_state, @extschema@.attribution_state) IS
'Tells whether two states have the same models and sums. O(channels * models).';

CREATE FUNCTION @extschema@.attribution_state_ne(@extschema@.attribution_state, @extschema@.attribution_state) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_ne(@extschema@.attribution_state, @extschema@.attribution_state) IS
'Tells whether two states differ. O(channels * models).';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.attribution_state, RIGHTARG = @extschema@.attribution_state, FUNCTION = @extschema@.attribution_state_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.attribution_state, @extschema@.attribution_state) IS 'the same models and sums';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.attribution_state, RIGHTARG = @extschema@.attribution_state, FUNCTION = @extschema@.attribution_state_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.attribution_state, @extschema@.attribution_state) IS 'other models or sums';

-- Aggregates --------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_agg_transition(state @extschema@.attribution_state, path @extschema@.touch_path, value numeric, models text[]) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_agg_transition(@extschema@.attribution_state, @extschema@.touch_path, numeric, text[]) IS
'Divides the value of a conversion among the touches of its path by each model; the step of attribution_agg(). NULL state: an empty one. O(touches * models) inside the aggregate.';

CREATE FUNCTION @extschema@.attribution_agg_transition(state @extschema@.attribution_state, path @extschema@.touch_path, value numeric, models text[], conversions bigint) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_agg_transition(@extschema@.attribution_state, @extschema@.touch_path, numeric, text[], bigint) IS
'Divides the value of a conversion among the touches of its path by each model; the step of attribution_agg(). NULL state: an empty one. O(touches * models) inside the aggregate.';

CREATE FUNCTION @extschema@.attribution_agg_transition(state @extschema@.attribution_state, path @extschema@.touch_path, value numeric, models text[], conversions bigint, decimals integer) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_agg_transition(@extschema@.attribution_state, @extschema@.touch_path, numeric, text[], bigint, integer) IS
'Divides the value of a conversion among the touches of its path by each model; the step of attribution_agg(). NULL state: an empty one. O(touches * models) inside the aggregate.';

CREATE FUNCTION @extschema@.attribution_state_merge(a @extschema@.attribution_state, b @extschema@.attribution_state) RETURNS @extschema@.attribution_state
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.attribution_state_merge(@extschema@.attribution_state, @extschema@.attribution_state) IS
'Returns the sums of two states. NULL when both are NULL, the other when one is. Errors: 22023 states of different models or decimals, 22003 a sum that does not fit 26 digits. O(channels * models).';

CREATE AGGREGATE @extschema@.attribution_agg(path @extschema@.touch_path, value numeric, models text[]) (
    SFUNC = @extschema@.attribution_agg_transition,
    STYPE = @extschema@.attribution_state,
    COMBINEFUNC = @extschema@.attribution_state_merge,
    SSPACE = 16384,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.attribution_agg(@extschema@.touch_path, numeric, text[]) IS
'Returns what each model credits to each channel for all conversions, one a row. path: the touches before the conversion, NULL or empty for none; value: its value in one currency, negative for a refund, NULL when it is not known (the conversion counts and adds no value); models: 1 to 64 texts as attribution_credit() takes, the same in all rows. Each value is divided among touches in whole units of 2 decimals, or of as many as it has, 12 at most and 18 digits in all: shares are rounded down, and those that lose most get a unit more, the earlier first. So credits add up to the values exactly, whatever the order of rows and the plan. NULL for no rows. Errors: 22023 models, time_decay of a path without times; 22004 NULL models; 22003 a value that is not finite or too large for 18 digits. O(touches * models).';

CREATE AGGREGATE @extschema@.attribution_agg(path @extschema@.touch_path, value numeric, models text[], conversions bigint) (
    SFUNC = @extschema@.attribution_agg_transition,
    STYPE = @extschema@.attribution_state,
    COMBINEFUNC = @extschema@.attribution_state_merge,
    SSPACE = 16384,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.attribution_agg(@extschema@.touch_path, numeric, text[], bigint) IS
'Returns what each model credits to each channel for all conversions, one a row. path: the touches before the conversion, NULL or empty for none; value: its value in one currency, negative for a refund, NULL when it is not known (the conversion counts and adds no value); models: 1 to 64 texts as attribution_credit() takes, the same in all rows. conversions: how many conversions the row stands for, with value in all; 0 or NULL: none, the row adds nothing. Each value is divided among touches in whole units of 2 decimals, or of as many as it has, 12 at most and 18 digits in all: shares are rounded down, and those that lose most get a unit more, the earlier first. So credits add up to the values exactly, whatever the order of rows and the plan. NULL for no rows. Errors: 22023 models, conversions below 0, time_decay of a path without times; 22004 NULL models; 22003 a value that is not finite or too large for 18 digits. O(touches * models).';

CREATE AGGREGATE @extschema@.attribution_agg(path @extschema@.touch_path, value numeric, models text[], conversions bigint, decimals integer) (
    SFUNC = @extschema@.attribution_agg_transition,
    STYPE = @extschema@.attribution_state,
    COMBINEFUNC = @extschema@.attribution_state_merge,
    SSPACE = 16384,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.attribution_agg(@extschema@.touch_path, numeric, text[], bigint, integer) IS
'Returns what each model credits to each channel for all conversions, one a row. path: the touches before the conversion, NULL or empty for none; value: its value in one currency, negative for a refund, NULL when it is not known (the conversion counts and adds no value); models: 1 to 64 texts as attribution_credit() takes, the same in all rows. conversions: how many conversions the row stands for, with value in all; 0 or NULL: none, the row adds nothing. decimals: of the units in which values are divided, 0 to 12, NULL for 2. Each value is divided among touches in whole units of that many decimals, or of as many as it has, 12 at most and 18 digits in all: shares are rounded down, and those that lose most get a unit more, the earlier first. So credits add up to the values exactly, whatever the order of rows and the plan. NULL for no rows. Errors: 22023 models, decimals, conversions below 0, time_decay of a path without times; 22004 NULL models; 22003 a value that is not finite or too large for 18 digits. O(touches * models).';

CREATE AGGREGATE @extschema@.attribution_merge(state @extschema@.attribution_state) (
    SFUNC = @extschema@.attribution_state_merge,
    STYPE = @extschema@.attribution_state,
    COMBINEFUNC = @extschema@.attribution_state_merge,
    SSPACE = 16384,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.attribution_merge(@extschema@.attribution_state) IS
'Returns the sums of all states as one state, say of days as those of a year. NULL states are passed over; NULL for none. Errors: 22023 states of different models or decimals, 22003 a sum that does not fit. O(channels * models of all states).';

-- Rows --------------------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_rows(state @extschema@.attribution_state) RETURNS TABLE (model text, channel text, credit numeric, conversions numeric)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 50;
COMMENT ON FUNCTION @extschema@.attribution_rows(@extschema@.attribution_state) IS
'Returns what each model credited to each channel of a state: value and conversions, of which a channel may have a part. A channel of some path has a row for each model, with 0 where it got nothing; channel NULL: conversions without a touch. credit is exact; conversions are rounded to 6 decimals so that those of a model add up. Models as they were given, channels by credit, then conversions, then name. No rows for NULL. O(n log n) of channels, for each model.';

CREATE FUNCTION @extschema@.attribution_credit(
    path @extschema@.touch_path,
    value numeric,
    model text,
    decimals integer DEFAULT 2)
    RETURNS TABLE ("position" integer, at timestamptz, channel text, campaign text,
        share double precision, credit numeric)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION @extschema@.attribution_credit(@extschema@.touch_path, numeric, text, integer) IS
'Divides the value of one conversion among the touches of its path, a row each. model: first; last; last_non_direct (the last whose channel is not direct or (direct), in any case, else the last); linear (equal); time_decay(7 days) (half as much for each half-life before the last touch; seconds to weeks); u_shaped(0.4, 0.4) (first, last, the rest equally to those between; two touches share as 0.4 to 0.4); w_shaped(0.3, 0.3, 0.3) (first, middle, last, the rest equally to the others; of an even number the earlier middle; two touches have no middle); w_shaped_stage(0.3, 0.3, 0.3) (first, the first with stage lead, the first with stage opportunity, the rest equally to the others); custom(0.5, 0.3, 0.2) (by position, the last number for all that follow); weight (by the weights of touches, equal when all are 0). Numbers in parentheses may be left out but for custom. What a path lacks is shared in proportion by what it has. share: of the value, credit: in units of decimals (0 to 12), or of as many as value has, 12 at most and 18 digits in all, divided as by attribution_agg(); NULL for a NULL value. No rows for a NULL or empty path. Errors: 22023 model, decimals, time_decay of a path without times; 22004 a NULL model or decimals; 22003 a value that is not finite or too large for 18 digits. O(n log n).';
