-- segment: conditions on customers; who meets them, who came and went. The
-- parts: rule (the type), audience (sets of customers), scan, sql and set
-- (rules over rows), store (fields, segments, members), update (refresh),
-- target (audiences to be addressed), shipped, like.

CREATE TYPE @extschema@.segment_kind AS ENUM ('static', 'dynamic');
COMMENT ON TYPE @extschema@.segment_kind IS
'How a segment gets its customers: static, by segment_member_add() and segment_member_remove(); dynamic, by its rule at each segment_refresh() and segment_apply().';

CREATE TYPE @extschema@.segment_field_kind AS ENUM ('number', 'text', 'boolean', 'time');
COMMENT ON TYPE @extschema@.segment_field_kind IS
'What a field of a rule holds; decides which operators and values fit.';

CREATE TYPE @extschema@.segment_moving AS ENUM ('no', 'daily', 'always');
COMMENT ON TYPE @extschema@.segment_moving IS
'Whether the values of a field of rules change by themselves: no; daily, when a day (UTC) begins; always, at any time.';

CREATE TYPE @extschema@.segment_reason AS ENUM ('data', 'time', 'rule', 'member');
COMMENT ON TYPE @extschema@.segment_reason IS
'Why a customer entered or left a segment: data, something about the customer changed; time, it passed; rule, the rule of the segment changed, or its cut point was frozen anew; member, by hand.';

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_ids_merge(
    current_ids bigint[],
    managed_ids bigint[],
    computed_ids bigint[])
    RETURNS bigint[]
    AS 'MODULE_PATHNAME'
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.segment_ids_merge(bigint[], bigint[], bigint[]) IS
'Returns the sorted segments of a customer after a refresh: of those the customer is in, the ones that the refresh does not manage; of those it manages, the computed ones. All three ascend. NULL gives NULL. Error: 22023 an array that does not ascend or holds NULL. Linear.';

CREATE FUNCTION @extschema@.segment_operators(kind @extschema@.segment_field_kind)
    RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE kind
        WHEN 'number' THEN ARRAY['=', '!=', '>', '<', '>=', '<=', 'IN', 'NOT IN', 'BETWEEN', 'TOP', 'BOTTOM']
        WHEN 'time' THEN ARRAY['=', '!=', '>', '<', '>=', '<=', 'IN', 'NOT IN', 'BETWEEN', 'WITHIN', 'BEFORE', 'NEXT', 'MONTH', 'ANNIVERSARY', 'TOP', 'BOTTOM']
        WHEN 'text' THEN ARRAY['=', '!=', 'IN', 'NOT IN', 'CONTAINS', 'STARTS WITH']
        ELSE ARRAY['=', '!=']
    END || ARRAY['IS NULL', 'IS NOT NULL'];
COMMENT ON FUNCTION @extschema@.segment_operators(@extschema@.segment_field_kind) IS
'Returns the operators that fit a kind of field. NULL gives NULL.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.segment_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('segment', 1) THEN
    CREATE TABLE iaros.segment_field (
        field text PRIMARY KEY CHECK (field ~ '^[A-Za-z][A-Za-z0-9_.]{0,62}$' AND field <> 'customer_id' AND field <> 'due_at'),
        kind iaros.segment_field_kind NOT NULL,
        expression text NOT NULL,
        relation text,
        relation_key text,
        unit text CHECK (unit IN ('days', 'years')),
        choices text,
        folded boolean NOT NULL DEFAULT false,
        moving iaros.segment_moving NOT NULL DEFAULT 'no',
        description text NOT NULL,
        shipped_hash text,
        CONSTRAINT segment_field_choices CHECK (choices IS NULL OR kind = 'text' AND NOT folded),
        CONSTRAINT segment_field_folded CHECK (kind = 'text' OR NOT folded),
        CONSTRAINT segment_field_unit CHECK (unit IS NULL OR kind = 'number'),
        CONSTRAINT segment_field_relation CHECK ((relation IS NULL) = (relation_key IS NULL))
    );
    COMMENT ON TABLE iaros.segment_field IS
        'What rules can ask for. Expressions are SQL that runs with the rights of whoever refreshes, so only the owner of the tables adds fields.';
    COMMENT ON COLUMN iaros.segment_field.expression IS
        'SQL over profile_at() p, customer c, customer_rfm r, stages ls and lc, values v, n.as_of and n.day (see segment_source_sql), or over relation x, of the type that kind says.';
    COMMENT ON COLUMN iaros.segment_field.relation IS
        'Table or view with one row for each customer_id in its column relation_key, over whose columns the expression is; NULL: over those of iaros.';
    COMMENT ON COLUMN iaros.segment_field.unit IS
        'The expression is a time, and rules compare how many whole days (of 24 hours) or years ago it is.';
    COMMENT ON COLUMN iaros.segment_field.choices IS
        'Query that returns the values that the field can have; NULL: any text.';
    COMMENT ON COLUMN iaros.segment_field.folded IS
        'Texts are compared in lower case: the expression gives them so.';
    COMMENT ON COLUMN iaros.segment_field.moving IS
        'Whether values change though no trigger of iaros tells of it and no time is compared: segments with this field are computed for all customers once a day (UTC), or at each refresh.';
    CREATE UNIQUE INDEX segment_field_lower ON iaros.segment_field (lower(field));

    CREATE SEQUENCE iaros.segment_id_seq;
    CREATE TABLE iaros.segment (
        segment_id bigint PRIMARY KEY DEFAULT nextval('iaros.segment_id_seq'),
        name text NOT NULL UNIQUE,
        kind iaros.segment_kind NOT NULL,
        rule iaros.segment_rule,
        description text,
        suggested_action text,
        enabled boolean NOT NULL DEFAULT true,
        realtime boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        shipped_hash text,
        CONSTRAINT segment_name CHECK (name ~ '^[^[:space:]](.{0,98}[^[:space:]])?$' AND name !~ '^[0-9]+$'),
        CONSTRAINT segment_rule CHECK ((kind = 'dynamic') = (rule IS NOT NULL))
    );
    COMMENT ON TABLE iaros.segment IS
        'Segments. A segment with history is switched off by enabled = false, not deleted.';
    COMMENT ON COLUMN iaros.segment.rule IS
        'Rule of a dynamic segment, in terms of the engine: see segment_rule_resolve().';
    COMMENT ON COLUMN iaros.segment.realtime IS
        'Customers enter and leave in the transaction that changes something about them, not with the next refresh.';
    CREATE UNIQUE INDEX segment_name_lower ON iaros.segment (lower(name));

    CREATE TABLE iaros.segment_fact (
        segment_id bigint NOT NULL REFERENCES iaros.segment ON DELETE CASCADE,
        fact text NOT NULL,
        kind text NOT NULL,
        definition jsonb NOT NULL,
        PRIMARY KEY (segment_id, fact)
    );
    COMMENT ON TABLE iaros.segment_fact IS
        'What the rule of each segment asks for: fields, numbers of events, other segments, cut points; see segment_rule_facts(). Written by a trigger of segment.';
    CREATE INDEX segment_fact_fact ON iaros.segment_fact (fact);

    CREATE TABLE iaros.segment_membership (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        segment_ids bigint[] NOT NULL DEFAULT '{}' CONSTRAINT segment_membership_ascending CHECK (iaros.segment_ids_merge(segment_ids, '{}', '{}') IS NOT NULL),
        updated_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE iaros.segment_membership IS
        'The segments that each customer is in, as one sorted array. Written by segment_refresh(), segment_apply(), segment_member_add() and segment_member_remove().';
    CREATE INDEX segment_membership_ids ON iaros.segment_membership USING gin (segment_ids);

    CREATE TABLE iaros.segment_confidence (
        customer_id bigint NOT NULL REFERENCES iaros.customer ON DELETE CASCADE,
        segment_id bigint NOT NULL REFERENCES iaros.segment,
        confidence double precision NOT NULL CHECK (confidence >= 0 AND confidence <= 1),
        PRIMARY KEY (customer_id, segment_id)
    );
    COMMENT ON TABLE iaros.segment_confidence IS
        'How sure a model is that a customer belongs to a static segment, 0 to 1. Written by segment_member_add().';
    CREATE INDEX segment_confidence_segment ON iaros.segment_confidence (segment_id);

    CREATE SEQUENCE iaros.segment_event_id_seq;
    -- No foreign keys: they would take ten times as long as the rows.
    CREATE TABLE iaros.segment_event (
        customer_id bigint NOT NULL,
        at timestamptz NOT NULL,
        segment_event_id bigint NOT NULL DEFAULT nextval('iaros.segment_event_id_seq'),
        segment_id bigint NOT NULL,
        entered boolean NOT NULL,
        reason iaros.segment_reason NOT NULL,
        PRIMARY KEY (customer_id, at, segment_event_id)
    ) PARTITION BY RANGE (at);
    COMMENT ON TABLE iaros.segment_event IS
        'Who entered (entered) or left a segment, when and why, partitioned by month. at is the time as of which the segment was computed.';
    CREATE TABLE iaros.segment_event_default PARTITION OF iaros.segment_event DEFAULT;
    CREATE INDEX segment_event_segment ON iaros.segment_event (segment_id, at);

    PERFORM iaros.setting_define('max_segments', 'integer', '500',
        'How many segments may be enabled; 0: no bound.');
    CALL iaros.segment_install_refresh();
    CREATE TRIGGER segment_field_check
        AFTER INSERT OR UPDATE ON iaros.segment_field
        FOR EACH ROW EXECUTE FUNCTION iaros.segment_field_check();
    CREATE TRIGGER segment_rule_check
        BEFORE INSERT OR UPDATE ON iaros.segment
        FOR EACH ROW EXECUTE FUNCTION iaros.segment_rule_check();
    CREATE TRIGGER segment_rule_follow
        AFTER INSERT OR UPDATE ON iaros.segment
        FOR EACH ROW EXECUTE FUNCTION iaros.segment_rule_follow();
    CREATE TRIGGER segment_rename_follow
        AFTER UPDATE ON iaros.segment REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_rename_follow();
    CREATE TRIGGER segment_history_guard
        BEFORE DELETE ON iaros.segment
        FOR EACH ROW EXECUTE FUNCTION iaros.segment_history_guard();
    CREATE TRIGGER segment_used_guard
        AFTER DELETE ON iaros.segment REFERENCING OLD TABLE AS old_rows
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.segment_used_guard();
    CREATE TRIGGER segment_invalidate
        AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON iaros.segment
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.cache_invalidate();
    CREATE TRIGGER segment_field_invalidate
        AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON iaros.segment_field
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.cache_invalidate('segment');
    CREATE TRIGGER segment_cut_invalidate
        AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON iaros.segment_cut
        FOR EACH STATEMENT EXECUTE FUNCTION iaros.cache_invalidate('segment');
    CALL iaros.segment_install_shipped();
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.segment_install() IS
'Makes the tables of the domain segment. Called by install().';
