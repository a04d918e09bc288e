-- Rules on one record, and many rules on all rows of a source.

CREATE FUNCTION @extschema@.segment_match(
    rule @extschema@.segment_rule,
    record record,
    as_of timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC')
    RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.segment_match(@extschema@.segment_rule, record, timestamptz, text) IS
'Returns whether a rule is true of a record, as SQL would: NULL where it is neither true nor false since a column is NULL. record: a row of any type; the fields of the rule are its columns by name, as they are written or else in any case. as_of: the moment of conditions on time. zone: IANA name of the zone of calendar days and of timestamps without zone. NULL for a NULL argument. Errors: 42703 the record has no column that the rule reads, 42702 it has several, 42804 an operator or value that does not fit the type of the column, 22023 as_of is infinite or there is no such zone. Linear in the conditions; the rule is taken apart once for calls of one place in a query that follow each other with the same rule and the same type of record.';

CREATE FUNCTION @extschema@.segment_matches(
    rules @extschema@.segment_rule[],
    record record,
    as_of timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC')
    RETURNS integer[]
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION @extschema@.segment_matches(@extschema@.segment_rule[], record, timestamptz, text) IS
'Returns which rules are true of a record: their positions, counted from 1 over all elements, ascending; an empty array for none. Conditions that rules have in common are evaluated once. Arguments as for segment_match(). NULL for a NULL argument. Errors: 22004 a rule is NULL, and those of segment_match(). Linear in the different conditions.';

CREATE FUNCTION @extschema@.segment_scan(
    rules @extschema@.segment_rule[],
    source text,
    key text DEFAULT 'customer_id',
    as_of timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC',
    due boolean DEFAULT false)
    RETURNS TABLE (rule integer, due_at timestamptz, members @extschema@.audience)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 100;
COMMENT ON FUNCTION @extschema@.segment_scan(@extschema@.segment_rule[], text, text, timestamptz, text, boolean) IS
'Returns the members of many rules from one pass over a source. rules: one row a rule, in their order. source: the name of a relation or a query, run with the caller''s path and rights, one row a record; parallel where PostgreSQL can. key: the column of ids, smallint, integer or bigint; rows without id are left out, and an id that comes again is a member if one of its rows is. as_of: the moment of conditions on time, NULL for now. zone: IANA name of the zone of calendar days and of timestamps without zone, NULL for UTC. due: also return when the answers may change next while the records stay as they are. Result: rule, its position from 1; due_at, NULL; members. With due, after them: rule, NULL; due_at, when a quarter of an hour of the day of as_of or a later day (UTC) begins; members, the ids for which a condition on time may turn next in that time. due_at is never too late, and at most 366 days after as_of, so that what is due later comes up again then. A column due_at of the source, timestamptz, tells of further changes: at that time, in the quarter of as_of where it is not after as_of. Errors: those of the source and of segment_match(); 22004 rules is NULL or has a NULL; 42703 there is no column key, 42804 it is no integer, or due_at no timestamptz; 22003 an id below 0; 54000 too many different values of one column; 22023 a source that does more than read. Linear in the rows and in the different conditions; takes the memory of the audiences and up to 100 MB more in each process.';
