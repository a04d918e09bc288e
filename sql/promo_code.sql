-- promo_code: the type of promotion codes, their check character, and how codes
-- are generated.

CREATE TYPE @extschema@.promo_code;

CREATE FUNCTION @extschema@.promo_code_in(code cstring) RETURNS @extschema@.promo_code
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_in(cstring) IS
'Input function of type promo_code: letters A to Z, upper or lower case, and digits, 1 to 64 of them; blanks, dashes (-), dots and underscores are left out. Errors: 22P02 another character, with its place, or none at all; 54000 more than 64 characters.';

CREATE FUNCTION @extschema@.promo_code_out(code @extschema@.promo_code) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_out(@extschema@.promo_code) IS
'Output function of type promo_code: its characters as they were given, in upper case and without separators.';

CREATE FUNCTION @extschema@.promo_code_recv(message internal) RETURNS @extschema@.promo_code
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_recv(internal) IS
'Binary input function of type promo_code: a text. Errors: those of promo_code_in().';

CREATE FUNCTION @extschema@.promo_code_send(code @extschema@.promo_code) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_send(@extschema@.promo_code) IS
'Binary output function of type promo_code: the text of promo_code_out().';

CREATE TYPE @extschema@.promo_code (
    INPUT = @extschema@.promo_code_in,
    OUTPUT = @extschema@.promo_code_out,
    RECEIVE = @extschema@.promo_code_recv,
    SEND = @extschema@.promo_code_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = main
);
COMMENT ON TYPE @extschema@.promo_code IS
'A promotion code: 1 to 64 letters A to Z and digits. Upper and lower case, blanks, dashes, dots and underscores make no difference, and neither do characters that are typed for each other: 0 and O are one, and 1, I and L are one, so summer-2O is SUMMER20. Each other character is of a class of its own, which makes 33 classes. Printed in upper case, as it was given.';

CREATE FUNCTION @extschema@.promo_code_eq(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_eq(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether two codes mean the same. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_ne(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_ne(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether two codes mean different things. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_lt(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_lt(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether the first code comes before the second, in the order of promo_code_normal() by bytes. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_le(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_le(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether the first code comes before the second, in the order of promo_code_normal() by bytes, or means the same. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_gt(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_gt(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether the first code comes after the second, in the order of promo_code_normal() by bytes. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_ge(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_ge(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns whether the first code comes after the second, in the order of promo_code_normal() by bytes, or means the same. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_cmp(left_code @extschema@.promo_code, right_code @extschema@.promo_code) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_cmp(@extschema@.promo_code, @extschema@.promo_code) IS
'Returns a number less than, equal to or greater than 0 as the first code comes before the second, means the same or comes after it. NULL for a NULL argument.';

CREATE FUNCTION @extschema@.promo_code_sortsupport(internal) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_sortsupport(internal) IS
'Tells a sort of codes how to compare: by numbers made of the first 12 characters, then by all.';

CREATE FUNCTION @extschema@.promo_code_hash(code @extschema@.promo_code) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_hash(@extschema@.promo_code) IS
'Returns the hash of a code for hash indexes, joins and groups: codes of one meaning have the same. NULL for NULL.';

CREATE FUNCTION @extschema@.promo_code_hash_extended(code @extschema@.promo_code, seed bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_hash_extended(@extschema@.promo_code, bigint) IS
'Returns the hash of a code of 64 bits for a seed: codes of one meaning have the same. NULL for a NULL argument.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.promo_code, @extschema@.promo_code) IS
'same code';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.promo_code, @extschema@.promo_code) IS
'another code';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.promo_code, @extschema@.promo_code) IS
'code before';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.promo_code, @extschema@.promo_code) IS
'code before or same';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.promo_code, @extschema@.promo_code) IS
'code after';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.promo_code, RIGHTARG = @extschema@.promo_code,
    FUNCTION = @extschema@.promo_code_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.promo_code, @extschema@.promo_code) IS
'code after or same';

-- Codes that are equal may be printed differently: no support function 4.
CREATE OPERATOR CLASS @extschema@.promo_code_btree_ops
    DEFAULT FOR TYPE @extschema@.promo_code USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.promo_code_cmp(@extschema@.promo_code, @extschema@.promo_code),
    FUNCTION 2 @extschema@.promo_code_sortsupport(internal);
COMMENT ON OPERATOR CLASS @extschema@.promo_code_btree_ops USING btree IS
'Order of codes by meaning, for unique indexes and sorting.';

CREATE OPERATOR CLASS @extschema@.promo_code_hash_ops
    DEFAULT FOR TYPE @extschema@.promo_code USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.promo_code_hash(@extschema@.promo_code),
    FUNCTION 2 @extschema@.promo_code_hash_extended(@extschema@.promo_code, bigint);
COMMENT ON OPERATOR CLASS @extschema@.promo_code_hash_ops USING hash IS
'Equality of codes by meaning.';

CREATE FUNCTION @extschema@.promo_code_from_text(code text) RETURNS @extschema@.promo_code
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_from_text(text) IS
'Returns the code that a text stands for: the cast from text. NULL for NULL. Errors: those of promo_code_in().';

-- A text is taken where a code is stored. To text a cast is not implicit
-- either: otherwise code = some_text would compare as texts, by spelling.
CREATE CAST (text AS @extschema@.promo_code)
    WITH FUNCTION @extschema@.promo_code_from_text(text) AS ASSIGNMENT;
CREATE CAST (varchar AS @extschema@.promo_code)
    WITH FUNCTION @extschema@.promo_code_from_text(text) AS ASSIGNMENT;
CREATE CAST (@extschema@.promo_code AS text) WITHOUT FUNCTION AS ASSIGNMENT;

CREATE FUNCTION @extschema@.promo_code_normal(code @extschema@.promo_code) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_normal(@extschema@.promo_code) IS
'Returns what is compared of a code: each character replaced by the one that stands for its class, 0 for O, 1 for I and L. NULL for NULL.';

CREATE FUNCTION @extschema@.promo_code_check(code @extschema@.promo_code) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_check(@extschema@.promo_code) IS
'Returns the check character of a code, to be added at its end: the one with which promo_code_valid() is true. Classes count 0 to 32 in the order of 0123456789ABCDEFGHJKMNPQRSTUVWXYZ; from the right, beginning with the check character, they are multiplied by 1, 2, 1, 2 and so on, and the sum is to be a multiple of 33. NULL for NULL.';

CREATE FUNCTION @extschema@.promo_code_valid(code @extschema@.promo_code) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_valid(@extschema@.promo_code) IS
'Returns whether a code has a check character that fits, see promo_code_check(): false when one character of it was changed to one of another class, or two neighbours of different classes were swapped, the check character included, and false for a code of one character. A code that has no check character is valid by chance, once in 33. NULL for NULL.';

CREATE FUNCTION @extschema@.promo_code_generate_support(internal) RETURNS internal
    LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_generate_support(internal) IS
'Planner support function of promo_code_generate(): it returns as many rows as it is asked for.';

CREATE FUNCTION @extschema@.promo_code_generate(rule jsonb, n integer, seed bigint DEFAULT NULL) RETURNS SETOF @extschema@.promo_code
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    SUPPORT @extschema@.promo_code_generate_support
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_generate(jsonb, integer, bigint) IS
'Returns n codes, 0 to 10,000,000, no two of one meaning, each with the same chance. Keys of the rule: prefix, suffix; length, the number of random characters, without prefix, suffix and check character; pattern, ALPHANUMERIC (the default), ALPHABETIC, NUMERIC, or a mask such as "###-???" instead of a length: # a digit, ? a letter, * either, others stand for themselves; includeChecksum (false), a check character behind the random ones and before the suffix, of the same kind as they, with which promo_code_valid() is true; excludeAmbiguous (false), no 0 O 1 I L among random characters and as check character; caseInsensitive, which codes always are. Of look-alike characters one is used: 0 and 1, without digits O and I. Without a seed the codes cannot be guessed from each other: their random numbers are SHA-512 of a key of pg_strong_random() and a counter. The same seed, rule and n give the same codes in the same order everywhere. NULL for rule or n gives no row. Errors: 22023 a rule or n that is none, 22P02 a character that codes do not have, 54000 a rule with fewer than n codes, or codes longer than 64, 0A000 caseInsensitive false. O(n); 8 to 22 bytes a code, 134 MB for 10,000,000.';

CREATE FUNCTION @extschema@.promo_code_fill(pattern text, attributes jsonb) RETURNS @extschema@.promo_code
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.promo_code_fill(text, jsonb) IS
'Returns the code that a pattern gives for a customer or a day: each {{name}} is replaced by an attribute, a text or a whole number of 0 or more. A name is a key, or keys with dots between them: {{customer.id}} is 7 in {"customer.id": 7} and in {"customer": {"id": 7}}; upper and lower case differ. Of values, as of the rest of the pattern, blanks, dashes, dots and underscores are left out; a character that codes do not have is an error and not left out, since other values could give the same code then. Different values can give the same code only where a pattern has placeholders side by side, or values that look alike. NULL for a NULL argument. Errors: 42704 an attribute that is missing or null, 22023 one without characters, or neither text nor whole number, a placeholder without end or name, 22P02 a character that codes do not have, 54000 a code of more than 64 characters, a pattern of more than 10,000 bytes.';
