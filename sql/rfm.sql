-- rfm: recency, frequency and monetary value of customers: scores by
-- thresholds, cells, segments.

-- Kernel ------------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_score_value(value numeric, bounds numeric[])
    RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (1 + width_bucket(value, bounds))::smallint;
COMMENT ON FUNCTION @extschema@.rfm_score_value(numeric, numeric[]) IS
'Returns the score of a value where more is better (bookings, spend): 1 plus the number of bounds that it reaches. bounds: ascending, the lowest values of scores 2, 3, 4, 5; a score holds the range [its bound, next bound). Ascending order is not checked. NULL for a NULL argument. Errors: 22004 NULL among the bounds, 2202E bounds of several dimensions. O(log n).';

CREATE FUNCTION @extschema@.rfm_score_recency(days integer, bounds integer[])
    RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (1 + cardinality(bounds) - width_bucket(days, bounds))::smallint;
COMMENT ON FUNCTION @extschema@.rfm_score_recency(integer, integer[]) IS
'Returns the score of the days since the last booking, where fewer is better: the number of bounds plus 1, less the number of bounds that are reached. bounds: ascending, the fewest days of scores 4, 3, 2, 1; a score holds the range [its bound, next bound). Ascending order is not checked. NULL for a NULL argument. Errors: as rfm_score_value(). O(log n).';

CREATE FUNCTION @extschema@.rfm_cell_segment(r integer, f integer, m integer)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN NOT (r BETWEEN 1 AND 5 AND f BETWEEN 1 AND 5 AND m BETWEEN 1 AND 5) THEN NULL
        -- The cells that are listed.
        WHEN r * 100 + f * 10 + m IN (555, 554, 544) THEN 'Champions'
        WHEN r * 100 + f * 10 + m IN (545, 455, 454) THEN 'Loyal Customers'
        WHEN r * 100 + f * 10 + m IN (543, 444, 435) THEN 'Potential Loyalists'
        WHEN r * 100 + f * 10 + m IN (511, 512, 521) THEN 'Recent Customers'
        WHEN r * 100 + f * 10 + m IN (421, 412) THEN 'Promising'
        WHEN r * 100 + f * 10 + m IN (433, 343, 334) THEN 'Needs Attention'
        WHEN r * 100 + f * 10 + m IN (331, 321, 312) THEN 'About to Sleep'
        WHEN r * 100 + f * 10 + m IN (233, 234, 244) THEN 'At Risk'
        WHEN r * 100 + f * 10 + m IN (155, 154, 144) THEN 'Can''t Lose Them'
        WHEN r * 100 + f * 10 + m IN (221, 222, 223) THEN 'Hibernating'
        WHEN r * 100 + f * 10 + m IN (111, 112, 121) THEN 'Lost'
        -- The others, by the first rule that holds.
        WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'Loyal Customers'
        WHEN r >= 4 AND (f >= 3 OR m >= 4) THEN 'Potential Loyalists'
        WHEN r = 5 THEN 'Recent Customers'
        WHEN r = 4 THEN 'Promising'
        WHEN r = 3 AND (f >= 4 OR m >= 4 OR f = 3 AND m = 3) THEN 'Needs Attention'
        WHEN r = 3 THEN 'About to Sleep'
        WHEN r = 1 AND f >= 4 AND m >= 4 THEN 'Can''t Lose Them'
        WHEN f >= 3 AND m >= 3 THEN 'At Risk'
        WHEN r = 2 OR f >= 3 OR m >= 3 THEN 'Hibernating'
        ELSE 'Lost'
    END;
COMMENT ON FUNCTION @extschema@.rfm_cell_segment(integer, integer, integer) IS
'Returns the segment with which iaros ships the cell of three scores from 1 to 5: as listed for 32 cells (511 is listed for Recent Customers and for Promising; the first holds), by ordered rules for the other 93. NULL for a NULL argument or a score outside 1 to 5. rfm_cell is filled from it; change the rows there.';

-- Engine ------------------------------------------------------------------

CREATE FUNCTION @extschema@.rfm_bounds(scheme text, dimension text)
    RETURNS numeric[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bounds numeric[];
BEGIN
    PERFORM iaros.install_check();
    -- In the order of scores: best first for recency, worst first else.
    bounds := ARRAY(
        SELECT t.lower_bound FROM iaros.rfm_threshold t
        WHERE t.scheme = rfm_bounds.scheme AND t.dimension = rfm_bounds.dimension
        ORDER BY CASE t.dimension WHEN 'recency' THEN -t.score ELSE t.score END);
    IF cardinality(bounds) <> 4 OR bounds[1] >= bounds[2] OR bounds[2] >= bounds[3] OR bounds[3] >= bounds[4] THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('thresholds of scheme "%s" for %s do not ascend', scheme, dimension),
            DETAIL = format('There are %s: %s.', cardinality(bounds), array_to_string(bounds, ', ')),
            HINT = 'Each dimension needs four rows in iaros.rfm_threshold; the days of recency ascend from score 4 to score 1, the others from score 2 to score 5.';
    END IF;
    RETURN bounds;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_bounds(text, text) IS
'Returns the four thresholds of a scheme for a dimension (recency, frequency, monetary), ascending. Error: 22023 when there are not four of them that ascend with the scores.';

CREATE FUNCTION @extschema@.rfm_terms(scheme text, as_of timestamptz, OUT since timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    PERFORM iaros.install_check();
    SELECT coalesce((as_of AT TIME ZONE 'UTC' - s.period) AT TIME ZONE 'UTC', '-infinity') INTO since
    FROM iaros.rfm_scheme s WHERE s.scheme = rfm_terms.scheme;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('RFM scheme "%s" does not exist', coalesce(scheme, 'NULL')),
            HINT = format('Schemes: %s.', (SELECT string_agg(s.scheme, ', ' ORDER BY s.scheme) FROM iaros.rfm_scheme s));
    END IF;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_terms(text, timestamptz) IS
'Returns since when, excluded, purchases count for frequency and monetary value in a scheme: as_of less its period, -infinity when it has none. Error: 23503 when the scheme does not exist.';

CREATE FUNCTION @extschema@.rfm_compute(
    source text,
    as_of timestamptz DEFAULT now(),
    scheme text DEFAULT 'threshold')
    RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric,
        r smallint, f smallint, m smallint, segment text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
DECLARE
    -- No SET clause, since the source is read in the caller's path: every
    -- name here is qualified.
    until timestamptz := coalesce(as_of, pg_catalog.now());
    since timestamptz;
    zone text;
BEGIN
    SELECT t.since INTO since FROM iaros.rfm_terms(scheme, until) t;
    zone := iaros.setting_get('brand_time_zone');
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT s.customer_id, s.recency_days, s.frequency, s.monetary, s.r, s.f, s.m, c.segment
        FROM (
            SELECT g.customer_id, d.recency_days, g.frequency, g.monetary,
                iaros.rfm_score_recency(d.recency_days, $4) AS r,
                iaros.rfm_score_value(g.frequency::pg_catalog.numeric, $5) AS f,
                iaros.rfm_score_value(g.monetary, $6) AS m
            FROM (
                SELECT b.customer_id,
                    pg_catalog.max(b.at) AS last_at,
                    pg_catalog.count(*) FILTER (WHERE b.at OPERATOR(pg_catalog.>) $2) AS frequency,
                    coalesce(pg_catalog.sum(b.amount) FILTER (WHERE b.at OPERATOR(pg_catalog.>) $2), 0) AS monetary
                FROM (SELECT q.customer_id::pg_catalog.int8 AS customer_id, q.at::pg_catalog.timestamptz AS at,
                          q.amount::pg_catalog.numeric AS amount
                      FROM (%s) AS q) AS b
                WHERE b.at OPERATOR(pg_catalog.<=) $1 AND b.customer_id IS NOT NULL
                GROUP BY b.customer_id) AS g
            CROSS JOIN LATERAL (SELECT ($1 AT TIME ZONE $3)::pg_catalog.date
                OPERATOR(pg_catalog.-) (g.last_at AT TIME ZONE $3)::pg_catalog.date AS recency_days) AS d) AS s
        LEFT JOIN iaros.rfm_cell AS c
            ON c.r OPERATOR(pg_catalog.=) s.r AND c.f OPERATOR(pg_catalog.=) s.f AND c.m OPERATOR(pg_catalog.=) s.m',
        iaros.source_query(source))
    USING until, since, zone,
        iaros.rfm_bounds(scheme, 'recency')::integer[], iaros.rfm_bounds(scheme, 'frequency'), iaros.rfm_bounds(scheme, 'monetary');
END $$;
COMMENT ON FUNCTION @extschema@.rfm_compute(text, timestamptz, text) IS
'Returns recency, frequency and monetary value of each customer of a source, with scores from 1 to 5 (5 best) and segment. source: the name of a relation or a query, run with the caller''s path and rights, with columns customer_id, at and amount, one row a purchase. Purchases after as_of are left out; recency_days counts calendar days in brand_time_zone since the last purchase ever; frequency and monetary count purchases in (as_of - period of the scheme, as_of], which may be none. Rows without customer_id or at are left out, a NULL amount adds nothing. Errors: 23503 no such scheme, 22023 thresholds that do not ascend or an empty source, 42P01, 42703 and others of the source. Linear in the rows of the source.';

CREATE FUNCTION @extschema@.rfm_refresh(as_of timestamptz DEFAULT now())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    scheme text;
    until timestamptz := coalesce(as_of, now());
    done bigint;
BEGIN
    PERFORM iaros.install_check();
    -- One refresh at a time: the last one leaves the rows of its as_of.
    PERFORM pg_advisory_xact_lock(hashtextextended('iaros.rfm_refresh', 0));
    scheme := iaros.setting_get('rfm_scheme');
    WITH fresh AS MATERIALIZED (
        SELECT n.* FROM iaros.rfm_compute(
            'SELECT coalesce(a.master_id, b.customer_id) AS customer_id, b.booked_at AS at, b.amount_base AS amount
             FROM iaros.booking b
             LEFT JOIN iaros.customer_alias a ON a.customer_id = b.customer_id
             WHERE iaros.booking_counts(b.status)', until, scheme) n
        JOIN iaros.customer c ON c.customer_id = n.customer_id
    ), gone AS (
        DELETE FROM iaros.customer_rfm t
        WHERE NOT EXISTS (SELECT FROM fresh n WHERE n.customer_id = t.customer_id)
    )
    INSERT INTO iaros.customer_rfm (customer_id, recency_days, frequency, monetary, r, f, m, segment, scheme, as_of)
    SELECT n.customer_id, n.recency_days, n.frequency, n.monetary, n.r, n.f, n.m, n.segment, scheme, until
    FROM fresh n
    ORDER BY n.customer_id
    ON CONFLICT ON CONSTRAINT customer_rfm_pkey DO UPDATE SET
        recency_days = excluded.recency_days, frequency = excluded.frequency, monetary = excluded.monetary,
        r = excluded.r, f = excluded.f, m = excluded.m, segment = excluded.segment,
        scheme = excluded.scheme, as_of = excluded.as_of;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END $$;
COMMENT ON FUNCTION @extschema@.rfm_refresh(timestamptz) IS
'Computes RFM of every customer who ever booked up to as_of, aliases folded in, over amount_base by the scheme that setting rfm_scheme names, and returns how many there are; rows of others go. Body of the job iaros-rfm. Errors: those of rfm_compute(). Linear in the bookings.';

-- Schema ------------------------------------------------------------------

CREATE PROCEDURE @extschema@.rfm_install()
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $install$
BEGIN
IF iaros.schema_step('rfm', 1) THEN
    CREATE TABLE iaros.rfm_scheme (
        scheme text PRIMARY KEY CHECK (scheme ~ '^[a-z][a-z0-9_]{0,40}$'),
        description text NOT NULL,
        period interval CHECK (period > interval '0'),
        shipped_hash text
    );
    COMMENT ON TABLE iaros.rfm_scheme IS
        'Ways to score RFM by thresholds. period: how far back purchases count for frequency and monetary value (NULL: all); recency always reads the last purchase ever. Add your own.';
    INSERT INTO iaros.rfm_scheme (scheme, description, period, shipped_hash) VALUES
        ('threshold', 'Fixed thresholds in days, bookings and US dollars', interval '12 months', 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_scheme');

    CREATE TABLE iaros.rfm_threshold (
        scheme text NOT NULL REFERENCES iaros.rfm_scheme ON DELETE CASCADE,
        dimension text NOT NULL CHECK (dimension IN ('recency', 'frequency', 'monetary')),
        score smallint NOT NULL,
        lower_bound numeric NOT NULL CHECK (lower_bound NOT IN ('NaN', 'Infinity', '-Infinity')),
        shipped_hash text,
        PRIMARY KEY (scheme, dimension, score),
        CONSTRAINT rfm_threshold_score CHECK (score BETWEEN 2 AND 5 AND dimension <> 'recency' OR score BETWEEN 1 AND 4 AND dimension = 'recency'),
        CONSTRAINT rfm_threshold_days CHECK (dimension <> 'recency' OR lower_bound = trunc(lower_bound) AND abs(lower_bound) <= 100000)
    );
    COMMENT ON TABLE iaros.rfm_threshold IS
        'Lowest value (days, bookings, base currency) of each score of a scheme; the range ends before the threshold that follows. Score 5 of recency and score 1 of the others need none.';
    INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound, shipped_hash) VALUES
        ('threshold', 'recency', 4, 31, 'new'),
        ('threshold', 'recency', 3, 91, 'new'),
        ('threshold', 'recency', 2, 181, 'new'),
        ('threshold', 'recency', 1, 365, 'new'),
        ('threshold', 'frequency', 2, 2, 'new'),
        ('threshold', 'frequency', 3, 3, 'new'),
        ('threshold', 'frequency', 4, 5, 'new'),
        ('threshold', 'frequency', 5, 10, 'new'),
        ('threshold', 'monetary', 2, 501, 'new'),
        ('threshold', 'monetary', 3, 1001, 'new'),
        ('threshold', 'monetary', 4, 2501, 'new'),
        ('threshold', 'monetary', 5, 5000, 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_threshold');

    CREATE TABLE iaros.rfm_segment (
        segment text PRIMARY KEY CHECK (segment <> ''),
        rank integer NOT NULL,
        description text NOT NULL,
        strategy text NOT NULL,
        shipped_hash text
    );
    COMMENT ON TABLE iaros.rfm_segment IS
        'Segments of RFM cells, best first by rank, with what they are and what to do about them.';
    INSERT INTO iaros.rfm_segment (segment, rank, description, strategy, shipped_hash) VALUES
        ('Champions', 1, 'Booked very recently, book often and spend the most', 'Reward them, upsell premium', 'new'),
        ('Loyal Customers', 2, 'Book often and spend much', 'Cross-sell, loyalty programme', 'new'),
        ('Potential Loyalists', 3, 'Booked recently, several times or for much', 'Nurture, engage regularly', 'new'),
        ('Recent Customers', 4, 'Booked very recently, but seldom so far', 'Onboard', 'new'),
        ('Promising', 5, 'Booked recently, seldom and for little so far', 'Encourage a repeat booking', 'new'),
        ('Needs Attention', 6, 'Above average, but it has been a while', 'Reactivate, special offers', 'new'),
        ('About to Sleep', 7, 'Below average, and it has been a while', 'Win-back campaigns', 'new'),
        ('At Risk', 8, 'Booked often and spent much, but long ago', 'Aggressive retention', 'new'),
        ('Can''t Lose Them', 9, 'Were among the best, but have not booked for very long', 'Win-back, premium offers', 'new'),
        ('Hibernating', 10, 'Last booked long ago, seldom or for little', 'Low-cost re-engagement', 'new'),
        ('Lost', 11, 'Lowest in all three', 'Minimal spend, surveys', 'new');
    PERFORM iaros.shipped_seal('iaros.rfm_segment');

    CREATE TABLE iaros.rfm_cell (
        r smallint NOT NULL CHECK (r BETWEEN 1 AND 5),
        f smallint NOT NULL CHECK (f BETWEEN 1 AND 5),
        m smallint NOT NULL CHECK (m BETWEEN 1 AND 5),
        segment text NOT NULL REFERENCES iaros.rfm_segment ON UPDATE CASCADE,
        shipped_hash text,
        PRIMARY KEY (r, f, m)
    );
    COMMENT ON TABLE iaros.rfm_cell IS
        'The segment of each of the 125 cells of scores for recency, frequency and monetary value. Shipped as rfm_cell_segment() says.';
    CREATE INDEX rfm_cell_by_segment ON iaros.rfm_cell (segment);
    INSERT INTO iaros.rfm_cell (r, f, m, segment, shipped_hash)
    SELECT r, f, m, iaros.rfm_cell_segment(r, f, m), 'new'
    FROM generate_series(1, 5) AS r, generate_series(1, 5) AS f, generate_series(1, 5) AS m;
    PERFORM iaros.shipped_seal('iaros.rfm_cell');

    CREATE TABLE iaros.customer_rfm (
        customer_id bigint PRIMARY KEY REFERENCES iaros.customer ON DELETE CASCADE,
        recency_days integer NOT NULL CHECK (recency_days >= 0),
        frequency integer NOT NULL CHECK (frequency >= 0),
        -- Wider than an amount: sums of many of the largest must fit.
        monetary numeric(24,4) NOT NULL,
        r smallint NOT NULL CHECK (r BETWEEN 1 AND 5),
        f smallint NOT NULL CHECK (f BETWEEN 1 AND 5),
        m smallint NOT NULL CHECK (m BETWEEN 1 AND 5),
        segment text REFERENCES iaros.rfm_segment ON UPDATE CASCADE,
        scheme text NOT NULL REFERENCES iaros.rfm_scheme,
        as_of timestamptz NOT NULL
    );
    COMMENT ON TABLE iaros.customer_rfm IS
        'RFM of each person who ever booked, aliases folded in, as of a time. Made by rfm_refresh(), never by hand. monetary is in the base currency.';
    CREATE INDEX customer_rfm_segment ON iaros.customer_rfm (segment);
    CREATE INDEX customer_rfm_scheme ON iaros.customer_rfm USING brin (scheme);

    PERFORM iaros.setting_define('rfm_scheme', 'text', 'threshold',
        'The scheme of rfm_scheme by which rfm_refresh() scores.');
    PERFORM iaros.job_define('rfm', '15 * * * *', 'rfm_refresh', interval '3 hours', false,
        'Computes RFM of every customer who booked.');
END IF;
END $install$;
COMMENT ON PROCEDURE @extschema@.rfm_install() IS
'Makes the tables of the domain rfm. Called by install().';
