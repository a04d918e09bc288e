-- Type audience: a compressed set of ids, with set algebra, aggregates and
-- functions to read it.

CREATE TYPE @extschema@.audience;

CREATE FUNCTION @extschema@.audience_in(text_form cstring) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_in(cstring) IS
'Input function of type audience: ids and ranges of ids in braces, {1,2,5-9}, in any order, an id as often as one likes; blanks are left out. Errors: 22P02 for any other text, 22003 for an id outside 0 to 9223372036854775807, 54000 for a set of more than 1 GB. O(n log n) in the items, O(n) when they ascend.';

CREATE FUNCTION @extschema@.audience_out(audience @extschema@.audience) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_out(@extschema@.audience) IS
'Output function of type audience: ids and ranges of three ids or more in braces, ascending, {1,2,5-9}. Error: 54000 for more than 1 GB of text.';

CREATE FUNCTION @extschema@.audience_recv(message internal) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_recv(internal) IS
'Binary input function of type audience: the bytes that audience_send() gives, each of which is checked. Errors: 22P03 for bytes that are no audience in its one form, saying what is wrong.';

CREATE FUNCTION @extschema@.audience_send(audience @extschema@.audience) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_send(@extschema@.audience) IS
'Binary output function of type audience: version (4 bytes, 1), number of ids and largest id (8 bytes each), number of containers (4 bytes), 4 bytes 0, directory and containers, little-endian.';

CREATE TYPE @extschema@.audience (
    INPUT = @extschema@.audience_in,
    OUTPUT = @extschema@.audience_out,
    RECEIVE = @extschema@.audience_recv,
    SEND = @extschema@.audience_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.audience IS
'A set of ids, such as customers, from 0 to 9223372036854775807, compressed: the ids of each 65,536 in a row are kept as an array, as bits or as runs, whichever is smallest. At most 1 GB. Text form: {1,2,5-9}. Equal sets have equal bytes; stored uncompressed, so that audience_contains() and audience_count() read only a part.';

-- Comparison --------------------------------------------------------------

CREATE FUNCTION @extschema@.audience_eq(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_eq(@extschema@.audience, @extschema@.audience) IS
'Returns whether two sets are the same. NULL for a NULL argument. One comparison of their bytes.';

CREATE FUNCTION @extschema@.audience_ne(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_ne(@extschema@.audience, @extschema@.audience) IS
'Returns whether two sets differ. NULL for a NULL argument. One comparison of their bytes.';

CREATE FUNCTION @extschema@.audience_lt(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_lt(@extschema@.audience, @extschema@.audience) IS
'Returns whether the first set comes before the second, in the order of their sorted arrays of ids: the first id that differs decides. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_le(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_le(@extschema@.audience, @extschema@.audience) IS
'Returns whether the first set comes before the second or is the same, in the order of their sorted arrays of ids: the first id that differs decides. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_gt(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_gt(@extschema@.audience, @extschema@.audience) IS
'Returns whether the first set comes after the second, in the order of their sorted arrays of ids: the first id that differs decides. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_ge(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_ge(@extschema@.audience, @extschema@.audience) IS
'Returns whether the first set comes after the second or is the same, in the order of their sorted arrays of ids: the first id that differs decides. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_cmp(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_cmp(@extschema@.audience, @extschema@.audience) IS
'Returns a number less than, equal to or greater than 0 as the first set comes before the second, is the same or comes after it, in the order of their sorted arrays of ids. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_hash(audience @extschema@.audience) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_hash(@extschema@.audience) IS
'Returns the hash of a set for hash indexes, joins and partitions. NULL for NULL. O(n) in its bytes.';

CREATE FUNCTION @extschema@.audience_hash_extended(audience @extschema@.audience, seed bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_hash_extended(@extschema@.audience, bigint) IS
'Returns the hash of a set of 64 bits for a seed. NULL for a NULL argument. O(n) in its bytes.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.audience, @extschema@.audience) IS
'The sets are the same.';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.audience, @extschema@.audience) IS
'The sets differ.';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.audience, @extschema@.audience) IS
'The first set comes before, by the first id that differs.';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.audience, @extschema@.audience) IS
'The first set comes before, or is the same, by the first id that differs.';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.audience, @extschema@.audience) IS
'The first set comes after, by the first id that differs.';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.audience, @extschema@.audience) IS
'The first set comes after, or is the same, by the first id that differs.';

CREATE OPERATOR CLASS @extschema@.audience_ops DEFAULT FOR TYPE @extschema@.audience USING btree AS
    OPERATOR 1 @extschema@.<, OPERATOR 2 @extschema@.<=, OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=, OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.audience_cmp(@extschema@.audience, @extschema@.audience);
COMMENT ON OPERATOR CLASS @extschema@.audience_ops USING btree IS
'Sets in the order of their sorted arrays of ids.';

CREATE OPERATOR CLASS @extschema@.audience_ops DEFAULT FOR TYPE @extschema@.audience USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.audience_hash(@extschema@.audience),
    FUNCTION 2 @extschema@.audience_hash_extended(@extschema@.audience, bigint);
COMMENT ON OPERATOR CLASS @extschema@.audience_ops USING hash IS
'Sets by hash, for joins, grouping and partitions.';

-- Set algebra -------------------------------------------------------------

CREATE FUNCTION @extschema@.audience_or(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_or(@extschema@.audience, @extschema@.audience) IS
'Returns the ids that are in either set. NULL for a NULL argument. Error: 54000 for a result of more than 1 GB. O(n) in their bytes.';

CREATE OPERATOR @extschema@.| (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_or,
    COMMUTATOR = OPERATOR(@extschema@.|)
);
COMMENT ON OPERATOR @extschema@.| (@extschema@.audience, @extschema@.audience) IS
'The ids that are in either set.';

CREATE FUNCTION @extschema@.audience_and(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_and(@extschema@.audience, @extschema@.audience) IS
'Returns the ids that are in both sets. NULL for a NULL argument. O(n) in their bytes.';

CREATE OPERATOR @extschema@.& (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_and,
    COMMUTATOR = OPERATOR(@extschema@.&)
);
COMMENT ON OPERATOR @extschema@.& (@extschema@.audience, @extschema@.audience) IS
'The ids that are in both sets.';

CREATE FUNCTION @extschema@.audience_minus(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_minus(@extschema@.audience, @extschema@.audience) IS
'Returns the ids of the first set that are not in the second. NULL for a NULL argument. Error: 54000 for a result of more than 1 GB. O(n) in their bytes.';

CREATE OPERATOR @extschema@.- (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_minus
);
COMMENT ON OPERATOR @extschema@.- (@extschema@.audience, @extschema@.audience) IS
'The ids of the first set that are not in the second.';

CREATE FUNCTION @extschema@.audience_xor(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_xor(@extschema@.audience, @extschema@.audience) IS
'Returns the ids that are in one of the sets and not in the other. NULL for a NULL argument. Error: 54000 for a result of more than 1 GB. O(n) in their bytes.';

CREATE OPERATOR @extschema@.# (
    LEFTARG = @extschema@.audience, RIGHTARG = @extschema@.audience, FUNCTION = @extschema@.audience_xor,
    COMMUTATOR = OPERATOR(@extschema@.#)
);
COMMENT ON OPERATOR @extschema@.# (@extschema@.audience, @extschema@.audience) IS
'The ids that are in one of the sets and not in the other.';

CREATE FUNCTION @extschema@.audience_overlap_count(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_overlap_count(@extschema@.audience, @extschema@.audience) IS
'Returns the number of ids that are in both sets, without making the set of them. NULL for a NULL argument. O(n) in their bytes.';

CREATE FUNCTION @extschema@.audience_jaccard(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_jaccard(@extschema@.audience, @extschema@.audience) IS
'Returns how alike two sets are, from 0 to 1: ids in both, divided by ids in either (Jaccard index); 1 for two empty sets. NULL for a NULL argument. O(n) in their bytes.';

-- Reading -----------------------------------------------------------------

CREATE FUNCTION @extschema@.audience_count(audience @extschema@.audience) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_count(@extschema@.audience) IS
'Returns the number of ids of a set. NULL for NULL. Constant time: only the head is read.';

CREATE FUNCTION @extschema@.audience_contains(audience @extschema@.audience, id bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_contains(@extschema@.audience, bigint) IS
'Returns whether an id is in a set; false for an id below 0. NULL for a NULL argument. O(log n): of a stored value only the head, a part of the directory and one container are read; a statement that asks the same value often keeps a copy of it, up to 64 MB.';

CREATE FUNCTION @extschema@.audience_ids(audience @extschema@.audience) RETURNS SETOF bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100000
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_ids(@extschema@.audience) IS
'Returns the ids of a set, ascending, one row each, each when it is asked for. No rows for NULL. O(n).';

CREATE FUNCTION @extschema@.audience_sample(audience @extschema@.audience, n integer, seed bigint) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_sample(@extschema@.audience, integer, bigint) IS
'Returns n ids of a set at random, ascending; all when it has no more. The same for the same set and seed: the n ids that come first by chance(id, seed), so that nearly the same ids are chosen of nearly the same set, and the choice of fewer is part of that of more. NULL for a NULL argument. Error: 22023 for n below 0. O(size of the set).';

CREATE FUNCTION @extschema@.audience_transpose(ids bigint[], audiences @extschema@.audience[])
    RETURNS TABLE (customer_id bigint, segment_ids bigint[])
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 100000
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_transpose(bigint[], @extschema@.audience[]) IS
'Returns each id that is in one of the sets, ascending, with the ids of the sets that it is in, ascending; each row when it is asked for. ids: one for each set, such as ids of segments. No rows when an argument is NULL. Errors: 22004 a NULL element, 22023 an id that is given twice, or arrays of different length. O(n log m) in n members of m sets.';

CREATE FUNCTION @extschema@.audience_from_array(ids bigint[]) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_from_array(bigint[]) IS
'Returns the set of the elements of an array, in any order, repeated or not: the cast from bigint[]. NULL for NULL. Errors: 22003 for an id below 0, 22004 for a NULL element. O(n).';

CREATE FUNCTION @extschema@.audience_to_array(audience @extschema@.audience) RETURNS bigint[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_to_array(@extschema@.audience) IS
'Returns the ids of a set as an array, ascending: the cast to bigint[]. NULL for NULL. Error: 54000 for more ids than an array holds (134 million). O(n).';

CREATE CAST (bigint[] AS @extschema@.audience)
    WITH FUNCTION @extschema@.audience_from_array(bigint[]) AS ASSIGNMENT;
CREATE CAST (@extschema@.audience AS bigint[])
    WITH FUNCTION @extschema@.audience_to_array(@extschema@.audience) AS ASSIGNMENT;

-- Aggregates --------------------------------------------------------------

CREATE FUNCTION @extschema@.audience_add(audience @extschema@.audience, id bigint) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_add(@extschema@.audience, bigint) IS
'Returns a set with one id more: the transition function of audience_agg(). NULL for a NULL argument. Error: 22003 for an id below 0. Constant time in an aggregate, else O(n).';

CREATE FUNCTION @extschema@.audience_accumulate(left_audience @extschema@.audience, right_audience @extschema@.audience) RETURNS @extschema@.audience
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.audience_accumulate(@extschema@.audience, @extschema@.audience) IS
'Returns the ids that are in either set, as | does, in place in an aggregate: the transition function of audience_merge(). NULL for a NULL argument. O(n) in the bytes of the second set in an aggregate, else of both.';

CREATE AGGREGATE @extschema@.audience_agg(id bigint) (
    SFUNC = @extschema@.audience_add,
    STYPE = @extschema@.audience,
    INITCOND = '{}',
    COMBINEFUNC = @extschema@.audience_accumulate,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.audience_agg(bigint) IS
'Returns the set of ids, in any order, repeated or not. NULLs are left out; the empty set for no rows. Errors: 22003 for an id below 0, 54000 for a set of more than 1 GB. O(n); fastest when ids ascend.';

CREATE AGGREGATE @extschema@.audience_merge(audience @extschema@.audience) (
    SFUNC = @extschema@.audience_accumulate,
    STYPE = @extschema@.audience,
    INITCOND = '{}',
    COMBINEFUNC = @extschema@.audience_accumulate,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.audience_merge(@extschema@.audience) IS
'Returns the ids that are in any of the sets. NULLs are left out; the empty set for no rows. Error: 54000 for a set of more than 1 GB. O(n) in their bytes.';
