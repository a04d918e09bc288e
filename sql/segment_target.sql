-- segment, audiences to be addressed: built from segments and rules, counted,
-- estimated, exported.

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_prepare(rule @extschema@.segment_rule, as_of timestamptz DEFAULT now())
    RETURNS @extschema@.segment_rule
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one iaros.segment_rule := iaros.segment_rule_resolve(rule);
    facts text[];
    definitions jsonb[];
BEGIN
    SELECT coalesce(array_agg(f.fact ORDER BY f.fact), '{}'), coalesce(array_agg(f.definition ORDER BY f.fact), '{}')
    INTO facts, definitions
    FROM iaros.segment_rule_facts(one) f
    WHERE f.kind IN ('top', 'bottom') AND NOT EXISTS (SELECT FROM iaros.segment_cut u WHERE u.fact = f.fact);
    RETURN iaros.segment_inline(iaros.segment_rule_replace(one, facts, ARRAY(
        SELECT iaros.segment_cut_rule(c.definition, c.cut)
        FROM unnest(definitions, iaros.segment_cut_compute(definitions, as_of)) WITH ORDINALITY AS c(definition, cut, n)
        ORDER BY c.n)));
END $$;
COMMENT ON FUNCTION @extschema@.segment_prepare(@extschema@.segment_rule, timestamptz) IS
'Returns a rule as a marketer writes it as it is run: segment_rule_resolve(), then segment_inline(), with cut points of TOP and BOTTOM as frozen, or as of now where no segment has them. NULL gives NULL. Errors: theirs.';

CREATE FUNCTION @extschema@.audience_build(
    include text[],
    exclude text[] DEFAULT '{}',
    logic text DEFAULT 'OR',
    as_of timestamptz DEFAULT now())
    RETURNS @extschema@.audience
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    rules iaros.segment_rule[];
    found iaros.audience[] := '{}';
    parts iaros.audience[];
    part iaros.audience;
    built iaros.audience;
    until timestamptz := coalesce(as_of, now());
BEGIN
    PERFORM iaros.install_check();
    IF upper(logic) NOT IN ('AND', 'OR') OR logic IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('logic must be "AND" or "OR", not "%s"', left(logic, 64)),
            HINT = 'AND: who is in all that are included; OR: in at least one.';
    END IF;
    IF coalesce(cardinality(include), 0) = 0 OR EXISTS (SELECT FROM unnest(include) AS i(item) WHERE i.item IS NULL)
        OR EXISTS (SELECT FROM unnest(exclude) AS i(item) WHERE i.item IS NULL)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'an audience includes at least one segment or rule',
            HINT = 'Give names of segments, or rules as JSON; NULL is neither.';
    END IF;
    -- Whatever their bounds and dimensions.
    include := ARRAY(SELECT unnest(include));
    exclude := ARRAY(SELECT unnest(exclude));
    -- All rules in one scan.
    SELECT array_agg(iaros.segment_prepare(u.item::iaros.segment_rule, until) ORDER BY u.n) INTO rules
    FROM unnest(include || coalesce(exclude, '{}')) WITH ORDINALITY AS u(item, n) WHERE u.item ~ '^[[:space:]]*[{]';
    IF rules IS NOT NULL THEN
        SELECT array_agg(x.members ORDER BY x.rule) INTO found
        FROM iaros.segment_scan(rules, iaros.segment_source_sql(rules, until), 'customer_id', until, iaros.setting_get('brand_time_zone')) x;
    END IF;
    SELECT array_agg(coalesce(CASE WHEN u.item ~ '^[[:space:]]*[{]'
            THEN found[(SELECT count(*) FROM unnest((include || coalesce(exclude, '{}'))[1:u.n]) AS b(item) WHERE b.item ~ '^[[:space:]]*[{]')]
            ELSE iaros.segment_members(u.item) END, '{}') ORDER BY u.n)
    INTO parts
    FROM unnest(include || coalesce(exclude, '{}')) WITH ORDINALITY AS u(item, n);
    FOREACH part IN ARRAY parts[1:cardinality(include)] LOOP
        built := CASE WHEN built IS NULL THEN part
                      WHEN upper(logic) = 'AND' THEN built OPERATOR(iaros.&) part
                      ELSE built OPERATOR(iaros.|) part END;
    END LOOP;
    FOREACH part IN ARRAY parts[cardinality(include) + 1:] LOOP
        built := built OPERATOR(iaros.-) part;
    END LOOP;
    RETURN built;
END $$;
COMMENT ON FUNCTION @extschema@.audience_build(text[], text[], text, timestamptz) IS
'Returns who is in one of the included segments (logic OR) or in all of them (AND) and in none of the excluded ones. Each is the name or segment_id of a segment, as it was last refreshed (see segment_list()), or a rule as JSON, computed as of a time, NULL: now(). Errors: 42704 no such segment, 22023 nothing included, logic, and those of segment_prepare(). At most one scan of profile, none without rules.';

CREATE FUNCTION @extschema@.audience_build(definition jsonb)
    RETURNS @extschema@.audience
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    stray text;
BEGIN
    PERFORM iaros.install_check();
    IF jsonb_typeof(definition) = 'object' THEN
        SELECT min(k) INTO stray FROM jsonb_object_keys(definition) AS k WHERE k NOT IN ('include', 'exclude', 'logic');
    END IF;
    IF jsonb_typeof(definition) <> 'object' OR stray IS NOT NULL OR jsonb_typeof(definition -> 'include') IS DISTINCT FROM 'array'
        OR coalesce(jsonb_typeof(definition -> 'exclude'), 'array') <> 'array'
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s does not say who is in an audience', left(definition::text, 64)),
            HINT = 'Give {"include": [...], "exclude": [...], "logic": "OR"} with names of segments and rules.';
    END IF;
    RETURN iaros.audience_build(
        ARRAY(SELECT CASE jsonb_typeof(i.item) WHEN 'string' THEN i.item #>> '{}' ELSE i.item::text END
              FROM jsonb_array_elements(definition -> 'include') AS i(item)),
        ARRAY(SELECT CASE jsonb_typeof(i.item) WHEN 'string' THEN i.item #>> '{}' ELSE i.item::text END
              FROM jsonb_array_elements(coalesce(definition -> 'exclude', '[]')) AS i(item)),
        coalesce(definition ->> 'logic', 'OR'));
END $$;
COMMENT ON FUNCTION @extschema@.audience_build(jsonb) IS
'audience_build() as of now() of one JSON object {"include": [...], "exclude": [...], "logic": "AND" or "OR"}; its items are names of segments or rules. NULL gives NULL. Errors: 22023 another shape, and those of audience_build().';

CREATE FUNCTION @extschema@.audience_preview(
    rule @extschema@.segment_rule,
    sample_size integer DEFAULT 5,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customers bigint, of_customers bigint, share numeric, sample_ids bigint[])
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one iaros.segment_rule := iaros.segment_prepare(rule, as_of);
    found iaros.audience;
BEGIN
    IF sample_size NOT BETWEEN 0 AND 1000 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('sample size %s is not between 0 and 1000', sample_size),
            HINT = 'audience_build() returns all customers.';
    END IF;
    SELECT x.members INTO found
    FROM iaros.segment_scan(ARRAY[one], iaros.segment_source_sql(ARRAY[one], as_of), 'customer_id', as_of,
        iaros.setting_get('brand_time_zone')) x;
    customers := iaros.audience_count(found);
    SELECT count(*) INTO of_customers FROM iaros.profile_stored p;
    share := round(100.0 * customers / nullif(of_customers, 0), 2);
    sample_ids := iaros.audience_sample(found, sample_size, 0);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION @extschema@.audience_preview(@extschema@.segment_rule, integer, timestamptz) IS
'Returns for how many customers a rule holds as of a time, exactly, of how many, the share in percent (NULL when there are none), and a sample of customer_ids, the same at each call. Nothing is stored. NULL gives no row. Errors: those of segment_prepare(), 22023 sample size outside 0 to 1000. One scan of profile.';

CREATE FUNCTION @extschema@.audience_estimate(rule @extschema@.segment_rule)
    RETURNS TABLE (customers bigint, at_least bigint, at_most bigint, of_customers bigint, sampled integer, sampled_as_of timestamptz)
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    one iaros.segment_rule := iaros.segment_prepare(rule);
    source text;
    missing text;
    hits double precision;
    middle double precision;
    half double precision;
    z CONSTANT double precision := 1.959963984540054;
BEGIN
    SELECT min(f.fact) FILTER (WHERE s.field IS NULL),
        format('SELECT * FROM unnest(%s) WITH ORDINALITY AS u(%s, customer_id)',
            string_agg(format('(SELECT t.sample::%s FROM iaros.segment_sample t WHERE t.field = %L)', s.type::regtype, s.field), ', ' ORDER BY s.field),
            string_agg(quote_ident(s.field), ', ' ORDER BY s.field)),
        min(s.as_of), min(s.sampled), max(s.population)
    INTO missing, source, sampled_as_of, sampled, of_customers
    FROM iaros.segment_rule_facts(one) f
    LEFT JOIN iaros.segment_sample s ON f.kind = 'field' AND s.field = f.fact;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'feature_not_supported',
            MESSAGE = format('there is no sample of "%s"', missing),
            DETAIL = 'Fields are sampled by segment_refresh(); numbers of events and members of static segments are not.',
            HINT = 'audience_preview() counts exactly.';
    END IF;
    SELECT iaros.audience_count(x.members) INTO hits
    FROM iaros.segment_scan(ARRAY[one], source, 'customer_id', sampled_as_of, iaros.setting_get('brand_time_zone')) x;
    customers := round(hits / nullif(sampled, 0) * of_customers);
    -- Wilson, 1927: the score interval of a share.
    middle := (hits + z * z / 2) / (sampled + z * z);
    half := z / (sampled + z * z) * sqrt(hits * (sampled - hits) / nullif(sampled, 0) + z * z / 4);
    at_least := CASE WHEN sampled = of_customers THEN customers ELSE floor((middle - half) * of_customers) END;
    at_most := CASE WHEN sampled = of_customers THEN customers ELSE ceil((middle + half) * of_customers) END;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION @extschema@.audience_estimate(@extschema@.segment_rule) IS
'Returns for about how many customers a rule holds, from a sample of at most 2,000 customers that segment_refresh() takes: the estimate, and bounds within which the number is in 95 of 100 cases (score interval of Wilson, J. Am. Stat. Assoc. 22, 1927); how many customers there were, and were sampled, as of when. NULL gives no row. Errors: those of segment_prepare(), 0A000 the rule asks for events or a static segment, or no sample was taken yet. One to two milliseconds, however many customers there are.';

CREATE FUNCTION @extschema@.segment_sample_fields(fields text[], customer_ids bigint[], population bigint, as_of timestamptz)
    RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    done integer;
BEGIN
    PERFORM iaros.install_check();
    EXECUTE (
        SELECT format('INSERT INTO iaros.segment_sample (field, type, sample, sampled, population, as_of)
            SELECT v.field, v.type, v.sample, s.n, $1, $2
            FROM (SELECT count(*) AS n, %s FROM (%s) s) s
            CROSS JOIN LATERAL (VALUES %s) AS v(field, type, sample) WHERE s.n > 0',
            string_agg(format('array_agg(s.%I ORDER BY s.customer_id) AS f%s', f.field, f.n), ', '),
            iaros.segment_source_sql(array_agg(jsonb_build_object('field', f.field, 'operator', 'IS NULL')::iaros.segment_rule), as_of, customer_ids),
            string_agg(format('(%L, pg_typeof(s.f%s)::text, s.f%s::text)', f.field, f.n, f.n), ', '))
        FROM unnest(fields) WITH ORDINALITY AS f(field, n))
    USING population, as_of;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.segment_sample_fields(text[], bigint[], bigint, timestamptz) IS
'Stores the values of some fields of the sampled customers in segment_sample and returns how many fields. For segment_sample_take().';

CREATE FUNCTION @extschema@.segment_sample_take(as_of timestamptz DEFAULT now())
    RETURNS integer
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    ids bigint[];
    everybody bigint;
    f record;
    taken integer := 0;
BEGIN
    PERFORM iaros.install_check();
    SELECT array_agg(s.customer_id) INTO ids
    FROM (SELECT p.customer_id FROM iaros.profile_stored p ORDER BY hashint8extended(p.customer_id, 0), p.customer_id LIMIT 2000) s;
    SELECT count(*) INTO everybody FROM iaros.profile_stored p;
    DELETE FROM iaros.segment_sample t;
    BEGIN
        taken := iaros.segment_sample_fields(ARRAY(SELECT d.field FROM iaros.segment_field d ORDER BY d.field), ids, everybody, as_of);
    EXCEPTION WHEN OTHERS THEN
        IF iaros.segment_error_stops(SQLSTATE) THEN
            RAISE;
        END IF;
        -- A field whose expression fails has no sample; the others do.
        FOR f IN SELECT d.field FROM iaros.segment_field d ORDER BY d.field LOOP
            BEGIN
                taken := taken + iaros.segment_sample_fields(ARRAY[f.field], ids, everybody, as_of);
            EXCEPTION WHEN OTHERS THEN
                IF iaros.segment_error_stops(SQLSTATE) THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
    END;
    RETURN taken;
END $$;
COMMENT ON FUNCTION @extschema@.segment_sample_take(timestamptz) IS
'Samples all fields of at most 2,000 customers, chosen by a hash of customer_id, as of a time for audience_estimate(), and returns how many fields. Called by segment_refresh() as often as cut points are frozen.';

CREATE FUNCTION @extschema@.audience_export(
    audience @extschema@.audience,
    purpose text,
    channel text,
    topic text DEFAULT NULL,
    as_of timestamptz DEFAULT now())
    RETURNS TABLE (customer_id bigint)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
#variable_conflict use_column
DECLARE
    allowed bigint[];
    refused bigint;
    why jsonb;
BEGIN
    PERFORM iaros.install_check();
    WITH checked AS MATERIALIZED (
        SELECT f.customer_id, f.allowed, f.reasons
        FROM iaros.consent_filter_ids(ARRAY(SELECT iaros.audience_ids(audience_export.audience)), purpose, channel, topic, as_of) f)
    SELECT coalesce(array_agg(c.customer_id ORDER BY c.customer_id) FILTER (WHERE c.allowed), '{}'),
        count(*) FILTER (WHERE NOT c.allowed),
        (SELECT coalesce(jsonb_object_agg(r.code, r.n), '{}')
         FROM (SELECT split_part(x.reason, ':', 1) AS code, count(*) AS n
               FROM checked d CROSS JOIN LATERAL unnest(d.reasons) AS x(reason)
               WHERE NOT d.allowed GROUP BY 1) r)
    INTO allowed, refused, why
    FROM checked c;
    PERFORM iaros.audit_append('audience_export', 'audience', NULL, NULL, jsonb_strip_nulls(jsonb_build_object(
        'purpose', purpose, 'channel', channel, 'topic', topic, 'as_of', as_of,
        'exported', cardinality(allowed), 'refused', refused, 'reasons', why)));
    RETURN QUERY SELECT u.id FROM unnest(allowed) AS u(id);
END $$;
COMMENT ON FUNCTION @extschema@.audience_export(@extschema@.audience, text, text, text, timestamptz) IS
'Returns the customers of an audience who may be addressed for a purpose by a channel, as consent_filter() decides, in ascending order; an audit row (action audience_export) notes who exported how many and how many were refused for which reasons. A NULL audience is empty. Errors: those of consent_filter().';
