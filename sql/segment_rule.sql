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
