-- segment_rule: the type of rules, which are conditions on records.

CREATE TYPE @extschema@.segment_rule;

CREATE FUNCTION @extschema@.segment_rule_in(json cstring) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_in(cstring) IS
'Input function of type segment_rule: JSON, see the type. Errors: 22P02 no JSON, 22P05 a character that a text cannot hold, 22023 an object, operator or value that rules do not have, 54000 more than 65,536 bytes, 20 groups in groups, 1,000 values of a list or 1,000 bytes of a text. The detail says where.';

CREATE FUNCTION @extschema@.segment_rule_out(rule @extschema@.segment_rule) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_out(@extschema@.segment_rule) IS
'Output function of type segment_rule: JSON in canonical form.';

CREATE FUNCTION @extschema@.segment_rule_recv(message internal) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_recv(internal) IS
'Binary input function of type segment_rule: a byte 1, the version, and JSON. Errors: 22P03 another version, and those of segment_rule_in().';

CREATE FUNCTION @extschema@.segment_rule_send(rule @extschema@.segment_rule) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_send(@extschema@.segment_rule) IS
'Binary output function of type segment_rule: a byte 1, the version, and JSON in canonical form.';

CREATE TYPE @extschema@.segment_rule (
    INPUT = @extschema@.segment_rule_in,
    OUTPUT = @extschema@.segment_rule_out,
    RECEIVE = @extschema@.segment_rule_recv,
    SEND = @extschema@.segment_rule_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.segment_rule IS
'A condition on records, written as JSON: a group, {"logic": "AND", "rules": [...]} (OR, NOT), a field, {"field": ..., "operator": ..., "value": ...}, events, {"event": ..., "at_least": ...}, or another segment, {"segment": ...}. Kept and printed in a canonical form, so that rules are equal which differ only in order, repeats, nesting and spelling.';

CREATE FUNCTION @extschema@.segment_rule_eq(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_eq(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether two rules are the same in canonical form. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_ne(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_ne(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether two rules differ in canonical form. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_lt(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_lt(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether the first rule comes before the second. The order is that of the stored bytes and means nothing. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_le(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_le(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether the first rule comes before the second or is the same. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_gt(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_gt(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether the first rule comes after the second. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_ge(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_ge(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns whether the first rule comes after the second or is the same. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_cmp(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_cmp(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns a number less than, equal to or greater than 0 as the first rule comes before the second, is the same or comes after it. NULL for a NULL argument. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_hash(rule @extschema@.segment_rule) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_hash(@extschema@.segment_rule) IS
'Returns the hash of a rule for hash indexes, joins and groups: equal rules have the same. NULL for NULL. Linear in the size.';

CREATE FUNCTION @extschema@.segment_rule_hash_extended(rule @extschema@.segment_rule, seed bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_hash_extended(@extschema@.segment_rule, bigint) IS
'Returns the hash of a rule of 64 bits for a seed. NULL for a NULL argument. Linear in the size.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.segment_rule, @extschema@.segment_rule) IS
'same rule';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.segment_rule, @extschema@.segment_rule) IS
'another rule';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.segment_rule, @extschema@.segment_rule) IS
'rule before';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.segment_rule, @extschema@.segment_rule) IS
'rule before or same';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.segment_rule, @extschema@.segment_rule) IS
'rule after';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.segment_rule, RIGHTARG = @extschema@.segment_rule,
    FUNCTION = @extschema@.segment_rule_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.segment_rule, @extschema@.segment_rule) IS
'rule after or same';

CREATE OPERATOR CLASS @extschema@.segment_rule_btree_ops
    DEFAULT FOR TYPE @extschema@.segment_rule USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 @extschema@.segment_rule_cmp(@extschema@.segment_rule, @extschema@.segment_rule),
    FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.segment_rule_btree_ops USING btree IS
'Order of the stored bytes of rules, for DISTINCT and unique indexes.';

CREATE OPERATOR CLASS @extschema@.segment_rule_hash_ops
    DEFAULT FOR TYPE @extschema@.segment_rule USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 @extschema@.segment_rule_hash(@extschema@.segment_rule),
    FUNCTION 2 @extschema@.segment_rule_hash_extended(@extschema@.segment_rule, bigint);
COMMENT ON OPERATOR CLASS @extschema@.segment_rule_hash_ops USING hash IS
'Equality of rules in canonical form.';

CREATE FUNCTION @extschema@.segment_rule_from_jsonb(json jsonb) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_from_jsonb(jsonb) IS
'Returns the rule that JSON stands for: the cast from jsonb. NULL for NULL. Errors: those of segment_rule_in(); of keys that are repeated, jsonb has kept only the last.';

CREATE FUNCTION @extschema@.segment_rule_to_jsonb(rule @extschema@.segment_rule) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_to_jsonb(@extschema@.segment_rule) IS
'Returns a rule as JSON: the cast to jsonb. NULL for NULL. Linear in the size.';

-- Text has the casts that every type has: to text in assignments, from text
-- explicitly; a literal without a type needs none.
CREATE CAST (jsonb AS @extschema@.segment_rule)
    WITH FUNCTION @extschema@.segment_rule_from_jsonb(jsonb) AS ASSIGNMENT;
CREATE CAST (@extschema@.segment_rule AS jsonb)
    WITH FUNCTION @extschema@.segment_rule_to_jsonb(@extschema@.segment_rule) AS ASSIGNMENT;

CREATE FUNCTION @extschema@.segment_rule_facts(rule @extschema@.segment_rule)
    RETURNS TABLE (fact text, kind text, definition jsonb)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_facts(@extschema@.segment_rule) IS
'Returns the facts that a rule reads, each once, in the order of their bytes. fact: the name of the column in which a record holds it. kind: field, a column of that name; event, the number of events of a kind, event: and 16 hex digits of a hash; segment, whether the record is in another segment, segment: and its name; top or bottom, whether a field is among so many percent, top:1:field. definition: what it is about, as the condition says it, without the bounds of a number of events. NULL gives no row. O(n log n) in the number of conditions.';

CREATE FUNCTION @extschema@.segment_rule_and(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_and(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns the rule that holds where both rules hold. The result is canonical. NULL for a NULL argument. Error: 54000 more than 10,000 conditions and groups, 100 groups in groups or 1,048,576 bytes. O(n log n) in the number of conditions.';

CREATE FUNCTION @extschema@.segment_rule_or(left_rule @extschema@.segment_rule, right_rule @extschema@.segment_rule) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_or(@extschema@.segment_rule, @extschema@.segment_rule) IS
'Returns the rule that holds where one of two rules holds. The result is canonical. NULL for a NULL argument. Error: 54000 more than 10,000 conditions and groups, 100 groups in groups or 1,048,576 bytes. O(n log n) in the number of conditions.';

CREATE FUNCTION @extschema@.segment_rule_not(rule @extschema@.segment_rule) RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_not(@extschema@.segment_rule) IS
'Returns the rule that holds where a rule is false; where it is unknown, so is the result. The result is canonical. NULL for a NULL argument. Error: 54000 more than 10,000 conditions and groups, 100 groups in groups or 1,048,576 bytes. O(n log n) in the number of conditions.';

CREATE FUNCTION @extschema@.segment_rule_replace(rule @extschema@.segment_rule, facts text[], rules @extschema@.segment_rule[])
    RETURNS @extschema@.segment_rule
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION @extschema@.segment_rule_replace(@extschema@.segment_rule, text[], @extschema@.segment_rule[]) IS
'Returns a rule in which the conditions that read a fact, named as by segment_rule_facts(), are replaced by the rule at the same place of rules; a replacement is not replaced again, and facts that the rule does not read change nothing. It puts in the rules of other segments and the cut points of percentages. A result of more than 20 groups in groups or 65,536 bytes can be evaluated, but not read back from its text. The result is canonical. NULL for a NULL argument. Errors: 22004 NULL among facts or rules, 22023 as many rules as facts are not given, or a fact twice, 54000 more than 10,000 conditions and groups, 100 groups in groups or 1,048,576 bytes. O(n log n) in the number of conditions.';
