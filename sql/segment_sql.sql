-- Rules as SQL.

CREATE FUNCTION @extschema@.segment_rule_sql(
    rule @extschema@.segment_rule,
    source text,
    as_of timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC')
    RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION @extschema@.segment_rule_sql(@extschema@.segment_rule, text, timestamptz, text) IS
'Returns a rule as the condition of a WHERE over the columns of a source, which means what segment_match() means, also where a column is NULL. source: the name of a relation, or a query; it is looked at, not run. as_of: the moment of conditions on time, zone: IANA name of the zone of calendar days, both become constants. Conditions compare a column as it is with constants of its own type, so that its indexes serve them; MONTH and ANNIVERSARY are the exceptions. Names are quoted, operators and types are written with schema pg_catalog and constants in forms that no setting changes, so that the text can be pasted into any query of these columns. NULL for a NULL argument. Errors: those of segment_match(); 0A000 MONTH or ANNIVERSARY of a timestamptz in a zone whose name AT TIME ZONE takes for an abbreviation, such as CET. Linear in the rule.';
