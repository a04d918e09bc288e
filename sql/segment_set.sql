-- Type audience_set, an audience a rule, and the aggregate that makes it.

CREATE TYPE @extschema@.audience_set;

CREATE FUNCTION @extschema@.audience_set_in(cstring) RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_in(cstring) IS
'Input of type audience_set: \x and the hexadecimal digits of its bytes. Errors: 22P02 no such form, 22P03 bytes that are no audience_set. Linear in the bytes.';

CREATE FUNCTION @extschema@.audience_set_out(@extschema@.audience_set) RETURNS cstring
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_out(@extschema@.audience_set) IS
'Output of type audience_set. Error: 54000 above 512 MB. Linear in the bytes.';

CREATE FUNCTION @extschema@.audience_set_recv(internal) RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_recv(internal) IS
'Binary input of type audience_set; every byte is checked. Error: 22P03 bytes that are no audience_set. Linear in the bytes.';

CREATE FUNCTION @extschema@.audience_set_send(@extschema@.audience_set) RETURNS bytea
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_send(@extschema@.audience_set) IS
'Binary output of type audience_set. Linear in the bytes.';

CREATE TYPE @extschema@.audience_set (
    INPUT = @extschema@.audience_set_in,
    OUTPUT = @extschema@.audience_set_out,
    RECEIVE = @extschema@.audience_set_recv,
    SEND = @extschema@.audience_set_send,
    ALIGNMENT = double,
    STORAGE = external
);
COMMENT ON TYPE @extschema@.audience_set IS
'The audiences of several rules, by their positions, and a hash of the rules: what segment_agg() returns. It can be stored, sent and merged with others of the same rules by segment_merge(), and is read by audience_rows(). Equal values have equal bytes.';

CREATE FUNCTION @extschema@.audience_set_eq(@extschema@.audience_set, @extschema@.audience_set) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_eq(@extschema@.audience_set, @extschema@.audience_set) IS
'Returns whether two values are of the same rules and have the same members. NULL for a NULL argument. Linear in the bytes.';

CREATE FUNCTION @extschema@.audience_set_ne(@extschema@.audience_set, @extschema@.audience_set) RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.audience_set_ne(@extschema@.audience_set, @extschema@.audience_set) IS
'Returns whether two values differ in their rules or members. NULL for a NULL argument. Linear in the bytes.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.audience_set, RIGHTARG = @extschema@.audience_set, FUNCTION = @extschema@.audience_set_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.audience_set, @extschema@.audience_set) IS 'the same rules and members';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.audience_set, RIGHTARG = @extschema@.audience_set, FUNCTION = @extschema@.audience_set_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.audience_set, @extschema@.audience_set) IS 'other rules or members';

-- The aggregates. An aggregate has no defaults, hence one of each length.

CREATE FUNCTION @extschema@.segment_agg_transition(
    state @extschema@.audience_set, rules @extschema@.segment_rule[], id bigint, record record)
    RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.segment_agg_transition(@extschema@.audience_set, @extschema@.segment_rule[], bigint, record) IS
'Transition function of segment_agg(rules, id, record).';

CREATE FUNCTION @extschema@.segment_agg_transition(
    state @extschema@.audience_set, rules @extschema@.segment_rule[], id bigint, record record, as_of timestamptz)
    RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.segment_agg_transition(@extschema@.audience_set, @extschema@.segment_rule[], bigint, record, timestamptz) IS
'Transition function of segment_agg(rules, id, record, as_of).';

CREATE FUNCTION @extschema@.segment_agg_transition(
    state @extschema@.audience_set, rules @extschema@.segment_rule[], id bigint, record record, as_of timestamptz, zone text)
    RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.segment_agg_transition(@extschema@.audience_set, @extschema@.segment_rule[], bigint, record, timestamptz, text) IS
'Transition function of segment_agg(rules, id, record, as_of, zone).';

CREATE FUNCTION @extschema@.audience_set_merge(a @extschema@.audience_set, b @extschema@.audience_set)
    RETURNS @extschema@.audience_set
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.audience_set_merge(@extschema@.audience_set, @extschema@.audience_set) IS
'Returns, for each rule, the ids that are in one of the two. NULL stands for none: the other argument. Error: 22023 the two are of different rules. Linear in the bytes.';

CREATE AGGREGATE @extschema@.segment_agg(rules @extschema@.segment_rule[], id bigint, record record) (
    SFUNC = @extschema@.segment_agg_transition,
    STYPE = @extschema@.audience_set,
    SSPACE = 65536,
    COMBINEFUNC = @extschema@.audience_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.segment_agg(@extschema@.segment_rule[], bigint, record) IS
'As segment_agg(rules, id, record, as_of, zone) as of now() with days in UTC.';

CREATE AGGREGATE @extschema@.segment_agg(rules @extschema@.segment_rule[], id bigint, record record, as_of timestamptz) (
    SFUNC = @extschema@.segment_agg_transition,
    STYPE = @extschema@.audience_set,
    SSPACE = 65536,
    COMBINEFUNC = @extschema@.audience_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.segment_agg(@extschema@.segment_rule[], bigint, record, timestamptz) IS
'As segment_agg(rules, id, record, as_of, zone) with days in UTC.';

CREATE AGGREGATE @extschema@.segment_agg(rules @extschema@.segment_rule[], id bigint, record record, as_of timestamptz, zone text) (
    SFUNC = @extschema@.segment_agg_transition,
    STYPE = @extschema@.audience_set,
    SSPACE = 65536,
    COMBINEFUNC = @extschema@.audience_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.segment_agg(@extschema@.segment_rule[], bigint, record, timestamptz, text) IS
'Returns, for each rule, the ids of the records of which it is true. Rules, record, as_of and zone as for segment_matches(); as_of and zone may differ from row to row, the rules may not. An id may come more than once: it is a member when the rule is true of one of its records. A row whose id or record is NULL is left out; NULL for no rows. Errors: 22004 rules, as_of or zone is NULL, 22003 an id below 0, 22023 other rules than in the rows before, 54000 more than 1 GB, and those of segment_matches(). Linear in the rows and the different conditions; segment_scan() is faster over a whole table.';

CREATE AGGREGATE @extschema@.segment_merge(audience_set @extschema@.audience_set) (
    SFUNC = @extschema@.audience_set_merge,
    STYPE = @extschema@.audience_set,
    SSPACE = 65536,
    COMBINEFUNC = @extschema@.audience_set_merge,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.segment_merge(@extschema@.audience_set) IS
'Returns, for each rule, the ids that are in one of the values: what segment_agg() had returned for all their rows. NULLs are left out; NULL when there is nothing else. Errors: 22023 values of different rules, 54000 more than 1 GB. Linear in the bytes.';

CREATE FUNCTION @extschema@.audience_rows(set @extschema@.audience_set)
    RETURNS TABLE (rule integer, members @extschema@.audience)
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION @extschema@.audience_rows(@extschema@.audience_set) IS
'Returns the audience of each rule, by the position of the rule, from 1; also where it is empty. No rows for NULL. Linear in the bytes that are read.';
