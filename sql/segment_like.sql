-- segment: who is like the customers of a segment, and clusters of customers
-- who are like each other.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_similar(
    source text,
    n integer,
    key text DEFAULT 'customer_id',
    seed text DEFAULT 'seed')
    RETURNS TABLE (customer_id bigint, similarity double precision, reasons text[])
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100000 ROWS 1000;
COMMENT ON FUNCTION @extschema@.segment_similar(text, integer, text, text) IS
'Returns the n rows of a source that are most like those of a seed and not of it, the most similar first. source: a relation or a query, run with the caller''s path and rights, one row a customer, with the columns key (an integer type), seed (boolean: true for the seed) and fields, which are all others: numbers, booleans, times, texts. Each field is cut into bins by its tenths among the seed and among the others (a text: its 30 most frequent values; not known is a bin), which get weights of evidence (ten customers as all are join the seed, so that a small one says less); a logistic regression on these weights (ridge penalty 1, learned from up to 20,000 of the seed and 50,000 others) gives a chance to be of the seed. similarity is that chance over its mean in the seed: 1 is as alike as the seed is on average. It orders; it is no probability of anything. reasons: up to three fields that speak most for the row, the strongest first, none that weighs less than a tenth of it. The same rows give the same digits. Sources: Siddiqi, Credit Risk Scorecards, 2006; Elkan and Noto, Learning classifiers from only positive and unlabeled data, 2008. NULL gives no row. Errors: 22023 nobody in the seed, no fields, n below zero, a source that does more than read; 42703 columns not found; 42804 a column of a type that does not fit; 22004 key NULL; 21000 a key twice; 54000 more than 200 fields; 53200 more than iaros.group_memory. Linear in rows and fields, and the square of the fields for the rows learned from; memory 4 bytes a value.';

CREATE FUNCTION @extschema@.segment_kmeans(
    source text,
    k integer,
    seed bigint DEFAULT 0,
    key text DEFAULT 'customer_id')
    RETURNS TABLE (customer_id bigint, cluster integer, distance double precision, confidence double precision)
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100000 ROWS 100000;
COMMENT ON FUNCTION @extschema@.segment_kmeans(text, integer, bigint, text) IS
'Parts the rows of a source into up to k clusters and returns the cluster of each, in no order. source: as for segment_similar(), without seed; fields are numbers, booleans and times. Fields are clipped at their first and last percentile (of 10,000 rows) and standardized; what is not known counts as the mean. Lloyd''s method from the best of five draws of k-means++ on 10,000 rows, until no more than one row of 10,000 moves, or for 100 steps; chance comes from seed alone, and the same rows give the same digits. cluster: from 1, the largest first; fewer than k when customers are that alike. distance: to the centroid, in standard deviations. confidence: the chance to belong to this cluster and not to another, if clusters were round, equally wide and equally likely. Sources: Lloyd, Least squares quantization in PCM, 1982; Arthur and Vassilvitskii, k-means++, 2007. NULL gives no row. Errors: 22023 k not between 1 and 256, and those of segment_similar(). O(rows * fields * k) a step; memory 4 bytes a value.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.segment_like_source(
    fields text[],
    without text[],
    as_of timestamptz,
    texts boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    wanted text[];
    wrong text;
    names text[];
    columns text;
BEGIN
    PERFORM iaros.install_check();
    SELECT array_agg((iaros.segment_field_find(jsonb_build_object('field', u.name))).field) INTO wanted
    FROM unnest(fields) AS u(name);
    SELECT min(f.field) INTO wrong FROM iaros.segment_field f
    WHERE f.kind = 'text' AND NOT texts AND f.field = ANY (wanted);
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'datatype_mismatch',
            MESSAGE = format('field "%s" is of kind text', wrong),
            HINT = 'Clusters are made of numbers, booleans and times.';
    END IF;
    -- Of fields that are the same one is enough.
    SELECT array_agg(q.field ORDER BY q.field),
        string_agg(format(CASE q.kind WHEN 'text' THEN 'q.%I::text' ELSE 'q.%I' END, q.field), ', ' ORDER BY q.field)
    INTO names, columns
    FROM (SELECT DISTINCT ON (f.relation, f.expression) f.field, f.kind
          FROM iaros.segment_field f
          WHERE CASE WHEN fields IS NULL
                THEN f.relation IS NULL AND f.expression ~ '(^|[^a-z_.])p[.]' AND f.expression !~ '(^|[^a-z_.])(c|r|ls|lc|v)[.]'
                    AND (texts OR f.kind <> 'text')
                    AND f.expression NOT IN (SELECT w.expression FROM iaros.segment_field w WHERE w.field = ANY (without))
                ELSE f.field = ANY (wanted) END
          ORDER BY f.relation, f.expression, f.field) q;
    IF names IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'there are no fields',
            HINT = 'List the fields with SELECT * FROM iaros.segment_field.';
    END IF;
    -- No field has a name with a space.
    RETURN format('SELECT q.customer_id AS "iaros customer", %s FROM (%s) q', columns, iaros.segment_source_sql(ARRAY(
        SELECT jsonb_build_object('field', u.name, 'operator', 'IS NULL')::iaros.segment_rule FROM unnest(names) AS u(name)), as_of));
END $$;
COMMENT ON FUNCTION @extschema@.segment_like_source(text[], text[], timestamptz, boolean) IS
'Returns the query of the customers with the fields that are given, as the source of segment_similar() and segment_kmeans(); fields NULL: all that are made of the profile alone (habits, not who somebody is) and are not the same as one of without. Of fields with the same expression one is taken. texts: fields may be texts. Errors: 42704 no such field, 42804 a text where there must be none, 22023 no field.';

CREATE FUNCTION @extschema@.segment_lookalike(
    segment text,
    n integer,
    as_of timestamptz DEFAULT now(),
    fields text[] DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, similarity double precision, reasons text[])
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    id bigint;
    named text[];
BEGIN
    PERFORM iaros.install_check();
    id := iaros.segment_find(segment);
    IF NOT EXISTS (SELECT FROM iaros.segment_customers(id::text)) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('segment "%s" has no customers', segment),
            HINT = 'Give a segment of some hundred customers; a dynamic one has them after segment_refresh().';
    END IF;
    -- Who has what the rule asks for is in the segment: that tells nothing.
    SELECT array_agg(r.field #>> '{}') INTO named
    FROM iaros.segment s
    CROSS JOIN LATERAL jsonb_path_query(s.rule::text::jsonb, 'strict $.**.field') AS r(field)
    WHERE s.segment_id = id AND jsonb_typeof(r.field) = 'string';
    RETURN QUERY
        SELECT q.customer_id, q.similarity, q.reasons
        FROM iaros.segment_similar(
            format('SELECT m.customer_id IS NOT NULL AS "iaros seed", q.* FROM (%s) q
                    LEFT JOIN iaros.segment_customers(%L) m ON m.customer_id = q."iaros customer"',
                iaros.segment_like_source(fields, coalesce(named, '{}'), coalesce(as_of, now()), true), id),
            n, 'iaros customer', 'iaros seed') q;
END $$;
COMMENT ON FUNCTION @extschema@.segment_lookalike(text, integer, timestamptz, text[]) IS
'Returns the n customers that are most like those of a segment and are not in it, the most similar first, and why: see segment_similar(). They are compared by the fields given, or by all that are made of the profile alone (habits, not sex, age or nationality), without those that the rule of the segment names. Fields are as of as_of (NULL: now), members those of now. Aliases count as their master. Errors: 42704 no such segment or field, 22023 the segment has no customers, and those of segment_similar(). One scan of the profiles.';

CREATE FUNCTION @extschema@.segment_cluster(
    fields text[],
    k integer,
    seed bigint DEFAULT 0,
    as_of timestamptz DEFAULT now(),
    segment text DEFAULT NULL)
    RETURNS TABLE (customer_id bigint, cluster integer, distance double precision, confidence double precision)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    source text;
BEGIN
    PERFORM iaros.install_check();
    source := iaros.segment_like_source(fields, '{}', coalesce(as_of, now()), false);
    IF segment IS NOT NULL THEN
        source := format('SELECT q.* FROM (%s) q JOIN iaros.segment_customers(%L) m ON m.customer_id = q."iaros customer"',
            source, iaros.segment_find(segment));
    END IF;
    RETURN QUERY
        SELECT q.customer_id, q.cluster, q.distance, q.confidence
        FROM iaros.segment_kmeans(source, k, coalesce(seed, 0), 'iaros customer') q;
END $$;
COMMENT ON FUNCTION @extschema@.segment_cluster(text[], integer, bigint, timestamptz, text) IS
'Parts customers, all or those of a segment, into up to k clusters by fields as of a time (NULL: now), and returns the cluster of each in no order: see segment_kmeans(). fields NULL: all numbers, booleans and times that are made of the profile alone; clusters that say something come from few. Errors: 42704 no such field or segment, 42804 a field of kind text, 22023 k not between 1 and 256. One scan of the profiles.';

CREATE FUNCTION @extschema@.segment_from_cluster(
    name text,
    fields text[],
    k integer,
    seed bigint DEFAULT 0,
    as_of timestamptz DEFAULT now(),
    segment text DEFAULT NULL,
    min_confidence double precision DEFAULT 0)
    RETURNS TABLE (cluster integer, segment_id bigint, segment_name text, customers bigint, confidence double precision)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    c record;
BEGIN
    PERFORM iaros.install_check();
    FOR c IN
        SELECT q.cluster, coalesce(array_agg(q.customer_id ORDER BY q.customer_id) FILTER (WHERE q.confidence >= coalesce(min_confidence, 0)), '{}') AS ids,
            array_agg(q.confidence ORDER BY q.customer_id) FILTER (WHERE q.confidence >= coalesce(min_confidence, 0)) AS confidences,
            avg(q.confidence ORDER BY q.customer_id) FILTER (WHERE q.confidence >= coalesce(min_confidence, 0)) AS mean
        FROM iaros.segment_cluster(fields, k, seed, as_of, segment) q
        GROUP BY q.cluster ORDER BY q.cluster
    LOOP
        cluster := c.cluster;
        segment_name := format('%s %s', name, c.cluster);
        segment_id := iaros.segment_create(segment_name, description => format(
            'Cluster %s of %s by %s, as of %s, seed %s, confidence from %s on.', c.cluster, k,
            coalesce(array_to_string(fields, ', '), 'all fields of the profile'), coalesce(as_of, now()), coalesce(seed, 0), coalesce(min_confidence, 0)));
        customers := iaros.segment_member_add(segment_id::text, c.ids, confidences => c.confidences);
        confidence := c.mean;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION @extschema@.segment_from_cluster(text, text[], integer, bigint, timestamptz, text, double precision) IS
'Makes a static segment of each cluster of segment_cluster(), named name and the number of the cluster, with the customers whose confidence is min_confidence or more, and keeps how sure it is of each (see customer_segments()); returns them with how many customers are in each and their mean confidence. Errors: 23505 a name is taken, 23514 a name that cannot be one, and those of segment_cluster().';
