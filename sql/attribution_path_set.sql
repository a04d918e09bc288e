-- attribution: sets of paths, and what models that learn from data say of
-- them: Markov chains, Shapley values, how sure both are.

-- Kernel: type path_set ---------------------------------------------------

CREATE TYPE @extschema@.path_set;

CREATE FUNCTION @extschema@.path_set_in(text_form cstring) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_in(cstring) IS
'Input function of type path_set: the hexadecimal form of its bytes, beginning with \x. Errors: 22P02 for any other text, 22P03 for bytes that are no path_set. Linear in the size.';

CREATE FUNCTION @extschema@.path_set_out(paths @extschema@.path_set) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_out(@extschema@.path_set) IS
'Output function of type path_set: its bytes in hexadecimal form. Error: 54000 when that is larger than 1 GB.';

CREATE FUNCTION @extschema@.path_set_recv(message internal) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_recv(internal) IS
'Binary input function of type path_set, see path_set_send(). Error: 22P03 for bytes that are no path_set, also when they could be shorter or in another order. Linear in the size.';

CREATE FUNCTION @extschema@.path_set_send(paths @extschema@.path_set) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_send(@extschema@.path_set) IS
'Binary output function of type path_set: version, decimals of values, names of channels in the order of their bytes, then the paths in the order of their channels, each with its touches, conversions, nulls and value. Equal sets have equal bytes, on every machine.';

CREATE TYPE @extschema@.path_set (
    INPUT = @extschema@.path_set_in,
    OUTPUT = @extschema@.path_set_out,
    RECEIVE = @extschema@.path_set_recv,
    SEND = @extschema@.path_set_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.path_set IS
'How often each sequence of channels was seen: how often it ended in a conversion, how often not (nulls), and the exact value of the conversions. Times, campaigns, stages and weights of touches are not kept. Made by path_agg(), merged by path_merge(), up to 1 GB: about 10 bytes a distinct path of four touches.';

CREATE FUNCTION @extschema@.path_set_eq(left_set @extschema@.path_set, right_set @extschema@.path_set) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_eq(@extschema@.path_set, @extschema@.path_set) IS
'Returns whether two sets hold the same paths with the same counts and values: operator =. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.path_set_ne(left_set @extschema@.path_set, right_set @extschema@.path_set) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_ne(@extschema@.path_set, @extschema@.path_set) IS
'Returns whether two sets differ: operator <>. NULL for a NULL argument. Linear in the size.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.path_set, RIGHTARG = @extschema@.path_set,
    FUNCTION = @extschema@.path_set_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.path_set, @extschema@.path_set) IS
'same paths, counts and values';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.path_set, RIGHTARG = @extschema@.path_set,
    FUNCTION = @extschema@.path_set_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.path_set, @extschema@.path_set) IS
'other paths, counts or values';

CREATE FUNCTION @extschema@.path_set_merge(left_set @extschema@.path_set, right_set @extschema@.path_set) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_set_merge(@extschema@.path_set, @extschema@.path_set) IS
'Returns the paths of both sets, counts and values added up: transition and combine function of the aggregates. NULL stands for no paths: the other argument comes back. Errors: 22003 when a sum is out of range, 54000 when the result is larger than 1 GB. Linear in the size.';

CREATE FUNCTION @extschema@.path_agg_transition(state @extschema@.path_set, path @extschema@.touch_path) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'path_agg_transition';
COMMENT ON FUNCTION @extschema@.path_agg_transition(@extschema@.path_set, @extschema@.touch_path) IS
'Returns state with a path more that did not convert: transition function of path_agg(touch_path). state NULL: no paths yet; path NULL: the path without touches. Linear in the touches.';

CREATE FUNCTION @extschema@.path_agg_transition(state @extschema@.path_set, path @extschema@.touch_path, conversions bigint, value numeric, nulls bigint) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'path_agg_transition';
COMMENT ON FUNCTION @extschema@.path_agg_transition(@extschema@.path_set, @extschema@.touch_path, bigint, numeric, bigint) IS
'Returns state with a path more: transition function of path_agg(touch_path, bigint, numeric, bigint), see there. state NULL: no paths yet. Linear in the touches.';

CREATE FUNCTION @extschema@.path_agg_text_transition(state @extschema@.path_set, path text, conversions bigint, value numeric, nulls bigint) RETURNS @extschema@.path_set
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_agg_text_transition(@extschema@.path_set, text, bigint, numeric, bigint) IS
'Returns state with a path more: transition function of path_agg(text, bigint, numeric, bigint), see there. state NULL: no paths yet. Linear in the text.';

CREATE AGGREGATE @extschema@.path_agg(path @extschema@.touch_path) (
    SFUNC = @extschema@.path_agg_transition,
    STYPE = @extschema@.path_set,
    SSPACE = 100000,
    COMBINEFUNC = @extschema@.path_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.path_agg(@extschema@.touch_path) IS
'Returns the set of paths, each counted once without a conversion, for what is asked of paths whatever they led to: as path_agg(path, 0, 0, 1). NULL is the path without touches; NULL for no rows. Error: 54000 when the result is larger than 1 GB. Linear in the touches.';

CREATE AGGREGATE @extschema@.path_agg(path @extschema@.touch_path, conversions bigint, value numeric, nulls bigint) (
    SFUNC = @extschema@.path_agg_transition,
    STYPE = @extschema@.path_set,
    SSPACE = 100000,
    COMBINEFUNC = @extschema@.path_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.path_agg(@extschema@.touch_path, bigint, numeric, bigint) IS
'Returns the set of paths with their conversions (times a path ended in one), the value of these in all, in one currency, and nulls (times it ended without). NULL counts as 0, a NULL path is the one without touches; NULL for no rows. A path that counts nothing is not in the set. Values are exact to 12 decimals, to which those with more are rounded; they may be negative, and may come without conversions. Errors: 22023 for a count below 0, 22003 for a value that is not finite or is 10^25 or more, and for counts whose sum is 2^63 or more, 54000 when the result is larger than 1 GB. Linear in the touches.';

CREATE AGGREGATE @extschema@.path_agg(path text, conversions bigint, value numeric, nulls bigint) (
    SFUNC = @extschema@.path_agg_text_transition,
    STYPE = @extschema@.path_set,
    SSPACE = 100000,
    COMBINEFUNC = @extschema@.path_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.path_agg(text, bigint, numeric, bigint) IS
'Returns the set of paths that are written as text, a > b > c: channels with > between them, blanks around a name left out; for another separator give touch_path_parse(path, separator); text of blanks alone is the path without touches. All else as path_agg(touch_path, bigint, numeric, bigint). Errors: also 22023 for a name that is empty, 54000 for one longer than 1000 bytes. Linear in the text.';

CREATE AGGREGATE @extschema@.path_merge(paths @extschema@.path_set) (
    SFUNC = @extschema@.path_set_merge,
    STYPE = @extschema@.path_set,
    SSPACE = 100000,
    COMBINEFUNC = @extschema@.path_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.path_merge(@extschema@.path_set) IS
'Returns the paths of all sets, counts and values added up, as if path_agg() had seen their paths. NULLs are left out; NULL for no rows. Errors: 22003 when a sum is out of range, 54000 when the result is larger than 1 GB. Linear in the size.';

-- Kernel: Markov chains ---------------------------------------------------

CREATE FUNCTION @extschema@.attribution_markov(
    paths @extschema@.path_set,
    "order" integer DEFAULT 1,
    decimals integer DEFAULT 2)
    RETURNS TABLE (channel text, removal_effect float8, conversions numeric, credit numeric)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100000 ROWS 20
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.attribution_markov(@extschema@.path_set, integer, integer) IS
'Returns what each channel is worth by the Markov chain of the paths, solved and not simulated; channels in the order of their bytes. A state is the last 1 to 4 ("order") channels, fewer at the beginning; each path counts conversions + nulls times, and its last state leads to conversion and to null as often as it did. removal_effect: the part of the conversions that is lost when every state that ends in the channel leads to null (Anderl et al., 2016); repeats of a channel are kept. conversions: those of paths with touches, shared out by removal_effect, 6 decimals. credit: their value, shared out by the same effects on value, where each path pays its mean value; by removal_effect when some effect on value has another sign than the total value, or all are 0. credit has as many decimals as decimals (0 to 12) or as the total value, if that has more. Both columns add up exactly (largest remainder, ties to the first row). A row with channel NULL, last, has what no channel can get: paths without touches, and all when no effect is above 0. Effects are solved to 13 digits, and never fewer than 9, of the largest number in their part of the chain; order 1 has no such limit. NULL set: no rows. Errors: 22023 order, decimals, 22004 when they are NULL, 22003 counts that overflow, 54000 for a chain too large to be solved. Order 1 up to 768 channels: cube of the channels; else linear in transitions and channels, times the repeats that loops need.';

CREATE FUNCTION @extschema@.attribution_markov_order(
    paths @extschema@.path_set,
    max_order integer DEFAULT 4,
    folds integer DEFAULT 5,
    seed bigint DEFAULT 0)
    RETURNS TABLE ("order" integer, states bigint, log_likelihood float8, chosen boolean)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100000 ROWS 4
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.attribution_markov_order(@extschema@.path_set, integer, integer, bigint) IS
'Returns how well chains of order 1 to max_order (at most 4) predict paths that they have not seen: the occurrences of each path are dealt out to folds (2 to 20; as evenly as they can be, those left by a hash of path and seed), and each fold is predicted by the counts of the others, every touch and the end. log_likelihood: mean natural logarithm of the chance of a path; states: of the chain of all paths. chosen: the order with the highest, of equal ones the lowest. A chance is mixed with that of one order less by the rule of Witten and Bell (1991), so that none is 0. The same for the same set and seed. NULL set, and one without conversions and nulls: no rows. Errors: 22023 max_order, folds, 22004 NULL. O(touches * max_order * folds).';

-- Kernel: what paths look like --------------------------------------------

CREATE FUNCTION @extschema@.path_top(paths @extschema@.path_set, n integer DEFAULT 10)
    RETURNS TABLE (path text[], touches integer, conversions bigint, nulls bigint, value numeric, conversion_rate float8)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10000 ROWS 10
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_top(@extschema@.path_set, integer) IS
'Returns the n paths (NULL: all) with the most conversions, of equal ones with the most nulls, then by the bytes of their channels, in this order: channels, number of touches, conversions, nulls, exact value, conversion_rate = conversions / (conversions + nulls), NULL for the path without touches, of which only conversions are known, NULL without either. NULL set: no rows. Error: 22023 n below 1. O(paths log n).';

CREATE FUNCTION @extschema@.path_steps(paths @extschema@.path_set, depth integer DEFAULT 5)
    RETURNS TABLE (step integer, from_channel text, to_channel text, ending text, paths bigint)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10000 ROWS 100
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_steps(@extschema@.path_set, integer) IS
'Returns how many paths go from one channel to another at each of the first depth steps (1 to 1000; NULL is 1000), as the links of a Sankey picture: nodes are (step - 1, from_channel) and (step, to_channel). from_channel is NULL at step 1, the start. Where paths end, to_channel is NULL and ending is conversion or null; else ending is NULL. What goes into a node comes out of it, until depth. paths counts conversions + nulls. In the order of step, channels by bytes, the start and the ends last. NULL set: no rows. Error: 22023 depth. O(paths * depth).';

CREATE FUNCTION @extschema@.path_transitions(paths @extschema@.path_set, "order" integer DEFAULT 1)
    RETURNS TABLE ("from" text[], "to" text, ending text, paths bigint, probability float8)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10000 ROWS 1000
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.path_transitions(@extschema@.path_set, integer) IS
'Returns the transitions of the Markov chain of the paths, as attribution_markov() solves it: "from" the last 1 to 4 ("order") channels, the latest last, fewer at the beginning of a path and none at the start; "to" the next channel, or NULL when the path ends, and ending is conversion or null. paths: how often, by conversions + nulls; probability: of all that leave "from". States in the order in which the sorted paths come to them, channels by bytes, ends last. NULL set: no rows. Errors: 22023 order, 22004 NULL order, 22003 counts that overflow. Linear in the touches.';

-- Kernel: Shapley values --------------------------------------------------

CREATE FUNCTION @extschema@.shapley_values(worth float8[]) RETURNS float8[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10000
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.shapley_values(float8[]) IS
'Returns the Shapley value of each player of a game of up to 20 players: what the player adds to the worth of those before it, over all orders of the players (Shapley, 1953). worth: 2^n numbers, element 1 + b the worth of the coalition whose players are the bits of b, the first player the lowest; that of nobody is 0. The values add up to the worth of all. NULL for NULL; empty for no player. Errors: 22023 another number of elements, NULL or infinite ones, a first one other than 0, 22003 overflow. O(n 2^n).';

CREATE FUNCTION @extschema@.attribution_shapley(
    paths @extschema@.path_set,
    worth text DEFAULT 'conversions',
    samples integer DEFAULT 1000,
    seed bigint DEFAULT 0,
    decimals integer DEFAULT 2)
    RETURNS TABLE (channel text, share float8, conversions numeric, credit numeric, error_bound float8)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100000 ROWS 20
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.attribution_shapley(@extschema@.path_set, text, integer, bigint, integer) IS
'Returns the Shapley value of each channel, in the order of their bytes, in a game over the sets of channels that paths show; how often and in what order a path touches them makes no difference. worth conversions: a set of channels is worth the conversions of the paths with no other channels; the value is then exact for any number of channels, each path divided equally among its channels, conversions and value alike. worth rate: a set is worth the rate of conversion of these paths, 0 without any; exact up to 20 channels, beyond by so many orders of the channels (samples, 2 to 10000000) drawn by seed, the same for the same seed. A rate can fall as channels join, so that a share may be below 0. share: of all, adds up to 1. conversions: those of paths with touches, 6 decimals; credit: their value, by share for worth rate, with decimals (0 to 12), or as many as the total value has if these are more; both add up exactly (largest remainder, ties to the first row). error_bound: 0 when exact; else the error of conversions that is not exceeded with 95 %, for each channel by itself (Maurer and Pontil, 2009). A row with channel NULL, last, has paths without touches, and the value when there are no conversions to share it by. NULL set: no rows. Errors: 22003 conversions so rare that worth rate cannot be divided, 22023 worth, samples, decimals, 22004 NULL, 54000 too many coalitions. Linear in the touches; worth rate also O(n 2^n) for n channels, or samples * channels of all distinct sets.';

-- Kernel: intervals -------------------------------------------------------

CREATE FUNCTION @extschema@.attribution_interval(
    paths @extschema@.path_set,
    method text DEFAULT 'markov(1)',
    replicates integer DEFAULT 200,
    level float8 DEFAULT 0.95,
    seed bigint DEFAULT 0)
    RETURNS TABLE (channel text, conversions numeric, low numeric, high numeric)
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000000 ROWS 20
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.attribution_interval(@extschema@.path_set, text, integer, float8, bigint) IS
'Returns, for each channel in the order of their bytes, the conversions that attribution_markov() or attribution_shapley() gives it, and the interval that holds them with probability level (between 0 and 1) if the paths were seen again. method: markov(1) to markov(4), shapley, shapley(rate). By the Poisson bootstrap: in each of the replicates (2 to 10000) conversions and nulls of every distinct path are drawn from the Poisson distribution with their number as the mean, and low and high are the quantiles (1 - level) / 2 and (1 + level) / 2 of the results, between two of them in proportion. Each number is rounded to 6 decimals by itself. The same for the same set and seed, whatever the order of rows and the plan. NULL set: no rows. Errors: 22023 method, replicates, level, 22004 NULL, 54000 shapley(rate) of more than 20 channels or too many replicates of channels; those of attribution_markov(). Replicates times what the method needs; can be cancelled.';
