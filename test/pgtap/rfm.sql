-- rfm: schemes, their thresholds, maps and terms; scores on both sides of
-- every bound; rfm_compute() against a plain reference; migration; picture.
BEGIN;
SELECT plan(109);

-- What rfm_compute() means, in plain SQL.
CREATE FUNCTION pg_temp.rfm_reference(
    source text,
    scheme text DEFAULT NULL,
    as_of timestamptz DEFAULT now(),
    period interval DEFAULT NULL,
    currency text DEFAULT NULL,
    columns text[] DEFAULT NULL,
    changed_only boolean DEFAULT false)
    RETURNS TABLE (customer_id bigint, recency_days integer, frequency bigint, monetary numeric, score iaros.rfm, segment text)
    LANGUAGE plpgsql STABLE
    AS $fn$
#variable_conflict use_column
DECLARE
    -- No SET clause, since the source is read in the caller's path.
    terms record;
    query text;
    alias text := 'q';
    names text[] := coalesce(columns, '{customer_id,at,amount}');
    purchases text := '1';
    held text := 'NULL';
BEGIN
    SELECT * INTO terms FROM iaros.rfm_terms(scheme, as_of, period, currency) AS t;
    query := iaros.source_query(source);
    -- Columns: as named, else by name, else three by position.
    BEGIN
        EXECUTE format('SELECT q.%I, q.%I, q.%I FROM (%s) AS q LIMIT 0', names[1], names[2], names[3], query);
    EXCEPTION WHEN undefined_column THEN
        IF columns IS NOT NULL THEN RAISE; END IF;
        alias := 'q(customer_id, at, amount)';
    END;
    BEGIN
        EXECUTE format('SELECT q.purchases::int8 FROM (%s) AS %s LIMIT 0', query, alias);
        purchases := 'coalesce(q.purchases::int8, 1)';
    EXCEPTION WHEN undefined_column THEN
    END;
    BEGIN
        EXECUTE format('SELECT q.score::iaros.rfm FROM (%s) AS %s LIMIT 0', query, alias);
        held := 'q.score';
    EXCEPTION WHEN undefined_column THEN
    END;
    RETURN QUERY EXECUTE format($q$
        WITH purchase AS (
            SELECT q.%I::int8 AS customer_id, q.%I::timestamptz AS at, q.%I::numeric AS amount,
                %s AS purchases, (%s)::iaros.rfm AS held
            FROM (%s) AS %s
        ), stat AS (
            SELECT b.customer_id,
                ($2 AT TIME ZONE $3)::date - (max(b.at) AT TIME ZONE $3)::date AS recency_days,
                coalesce(sum(b.purchases) FILTER (WHERE b.at > $1), 0)::int8 AS frequency,
                coalesce(sum(b.amount) FILTER (WHERE b.at > $1), 0) AS monetary,
                -- The score that is held now, from any of the rows that tell it.
                (array_agg(b.held) FILTER (WHERE b.held IS NOT NULL))[1] AS held
            FROM purchase AS b
            WHERE b.at <= $2
            GROUP BY b.customer_id
        ), place AS (
            SELECT s.customer_id, s.recency_days, s.frequency::numeric, s.monetary,
                ntile($4) OVER (ORDER BY s.recency_days DESC, s.customer_id) AS r,
                ntile($4) OVER (ORDER BY s.frequency, s.customer_id) AS f,
                ntile($4) OVER (ORDER BY s.monetary, s.customer_id) AS m
            FROM stat AS s
            WHERE s.customer_id IS NOT NULL AND ($5 OR s.frequency > 0)
        ), cut AS (
            -- Worst first: fewer days are better, so they count down.
            SELECT 'r' AS dimension, p.r AS bucket, min(-p.recency_days)::numeric AS first_value, max(-p.recency_days)::numeric AS last_value FROM place AS p GROUP BY p.r
            UNION ALL SELECT 'f', p.f, min(p.frequency), max(p.frequency) FROM place AS p GROUP BY p.f
            UNION ALL SELECT 'm', p.m, min(p.monetary), max(p.monetary) FROM place AS p GROUP BY p.m
        ), level AS (
            SELECT p.customer_id, v.dimension,
                CASE WHEN v.bounds IS NOT NULL AND v.dimension = 'r'
                    THEN $4 - (SELECT count(*) FROM unnest(v.bounds) AS b WHERE b <= -v.value)
                WHEN v.bounds IS NOT NULL
                    THEN 1 + (SELECT count(*) FROM unnest(v.bounds) AS b WHERE b <= v.value)
                WHEN $6 = 'ntile' THEN v.bucket
                WHEN $7 = 'low' THEN 1 + (SELECT count(*) FROM cut AS c WHERE c.dimension = v.dimension AND c.bucket < $4 AND c.last_value < v.value)
                ELSE 1 + (SELECT count(*) FROM cut AS c WHERE c.dimension = v.dimension AND c.bucket > 1 AND c.first_value <= v.value)
                END::int4 AS score
            FROM place AS p
            CROSS JOIN LATERAL (VALUES
                ('r', -p.recency_days::numeric, p.r, $8::numeric[]),
                ('f', p.frequency, p.f, $9),
                ('m', p.monetary, p.m, $10)) AS v(dimension, value, bucket, bounds)
        ), scored AS (
            SELECT l.customer_id,
                max(l.score) FILTER (WHERE l.dimension = 'r') AS r,
                max(l.score) FILTER (WHERE l.dimension = 'f') AS f,
                max(l.score) FILTER (WHERE l.dimension = 'm') AS m
            FROM level AS l GROUP BY l.customer_id
        )
        SELECT s.customer_id, s.recency_days, s.frequency, s.monetary,
            iaros.rfm_make(c.r, c.f, c.m), ($11::text[])[((c.r - 1) * $4 + c.f - 1) * $4 + c.m]
        FROM stat AS s
        LEFT JOIN scored AS c ON c.customer_id = s.customer_id
        WHERE NOT $12
           OR s.customer_id IS NOT NULL AND iaros.rfm_make(c.r, c.f, c.m)::text IS DISTINCT FROM s.held::text$q$,
        names[1], names[2], names[3], purchases, held, query, alias)
    USING terms.since, terms.until, terms.zone, terms.levels, terms.lapsed, terms.kind, terms.ties,
        terms.recency_bounds, terms.frequency_bounds, terms.monetary_bounds, terms.segments, changed_only;
END $fn$;

-- Purchases of 400 customers, with many equal values, some long ago, some
-- after the time of the question, some of nobody, refunds among them.
CREATE TEMP TABLE purchase AS
SELECT CASE WHEN i % 97 = 0 THEN NULL ELSE 1 + i * 7919 % 400 END::bigint AS customer_id,
    '2026-01-20'::timestamptz - (i * i % 1201) * interval '23 hours' AS at,
    CASE WHEN i % 41 = 0 THEN NULL WHEN i % 13 = 0 THEN -50 ELSE (i % 7) * 125.25 END::numeric AS amount
FROM generate_series(1, 2500) AS i;
CREATE TEMP TABLE distinct_purchase AS
SELECT i AS customer_id, '2026-01-01'::timestamptz - (i * 37 % 211) * interval '1 day' AS at, i * 53 % 211 AS amount, 1 + i * 101 % 211 AS purchases
FROM generate_series(1, 210) AS i;

-- The contradictions of the field, each decided (CTR-01 to CTR-05).
CREATE FUNCTION pg_temp.score_of(days integer, purchases integer, total numeric, scheme text DEFAULT 'threshold') RETURNS text
    LANGUAGE sql AS $$
    SELECT c.score::text FROM iaros.rfm_compute(format(
        'SELECT 1::bigint AS customer_id, timestamptz ''2026-01-01 12:00+00'' - interval ''%s days'' AS at, %s::numeric AS amount, %s::bigint AS purchases',
        days, total, purchases), scheme, '2026-01-01 12:00+00', '10 years') c $$;
SELECT is(pg_temp.score_of(364, 1, 0), '211', 'CTR-01: day 364 scores 2');
SELECT is(pg_temp.score_of(365, 1, 0), '111', 'and day 365, which is in two bins, 1');
SELECT is(pg_temp.score_of(0, 1, 4999.99), '514', '4999.99 scores 4');
SELECT is(pg_temp.score_of(0, 1, 5000), '515', 'and 5000, which is in two bins, 5');
SELECT is(pg_temp.score_of(0, 1, 500.50), '511', '500.50, which is in none, scores 1');
SELECT results_eq(
    $$SELECT recency_days, frequency, monetary, score::text, segment
      FROM iaros.rfm_compute('SELECT 1::bigint AS customer_id, timestamptz ''2024-11-27'' AS at, 9000 AS amount', 'threshold', '2026-01-01')$$,
    $$VALUES (400, 0::bigint, 0::numeric, '111', 'Lost')$$,
    'CTR-02: R = 1 comes out: recency reads the last purchase ever, the rest 12 months');
SELECT is(count(DISTINCT c.score), 4::bigint, 'CTR-03: the scheme is chosen by name')
FROM (SELECT 'threshold' UNION ALL SELECT 'quantile' UNION ALL SELECT 'ntile' UNION ALL SELECT 'ntile_12_months') AS s(scheme),
    LATERAL (SELECT x.score FROM iaros.rfm_compute('purchase', s.scheme, '2026-01-01') x WHERE x.customer_id = 26) AS c;
SELECT is((SELECT count(*) FROM (SELECT recency_days FROM iaros.rfm_compute('purchase', 'quantile', '2026-01-01')
    WHERE customer_id IS NOT NULL GROUP BY 1 HAVING count(DISTINCT iaros.rfm_r(score)) > 1) AS split), 0::bigint, 'quantile keeps equal values together');
SELECT cmp_ok((SELECT count(*) FROM (SELECT recency_days FROM iaros.rfm_compute('purchase', 'ntile', '2026-01-01')
    WHERE customer_id IS NOT NULL GROUP BY 1 HAVING count(DISTINCT iaros.rfm_r(score)) > 1) AS split), '>', 0::bigint, 'ntile splits them');
SELECT is((SELECT string_agg(DISTINCT c.segment, ', ') FROM iaros.rfm_map_cells('standard') c WHERE c.score = '511'), 'Recent Customers', 'CTR-04: 511, which is listed twice, is of the first');
SELECT results_eq('SELECT count(*), count(segment), count(DISTINCT segment) FROM iaros.rfm_map_cells(''standard'')', 'VALUES (125::bigint, 125::bigint, 11::bigint)', 'each of the 125 cells has one of the 11 segments');
SELECT is((SELECT recency_days FROM iaros.rfm_compute('SELECT 1 AS customer_id, timestamptz ''2025-12-31 23:59+00'' AS at, 1 AS amount', 'threshold', '2026-01-01 00:01+00')), 1, 'CTR-05: days are calendar days, by subtraction of dates');
SELECT iaros.setting_set('brand_time_zone', 'America/New_York') AS z \gset
SELECT is((SELECT recency_days FROM iaros.rfm_compute('SELECT 1 AS customer_id, timestamptz ''2025-12-31 23:59+00'' AS at, 1 AS amount', 'threshold', '2026-01-01 00:01+00')), 0, 'of the brand''s time zone');
SELECT iaros.setting_set('brand_time_zone', NULL) AS z \gset

-- Both sides of each of the twelve bounds.
SELECT is_empty(
    $$SELECT t.dimension, t.score, x.*
      FROM iaros.rfm_threshold t
      CROSS JOIN LATERAL (VALUES
          (pg_temp.score_of(CASE t.dimension WHEN 'recency' THEN t.lower_bound::integer ELSE 0 END,
              CASE t.dimension WHEN 'frequency' THEN t.lower_bound::integer ELSE 1 END,
              CASE t.dimension WHEN 'monetary' THEN t.lower_bound ELSE 0 END), t.score),
          (pg_temp.score_of(CASE t.dimension WHEN 'recency' THEN t.lower_bound::integer - 1 ELSE 0 END,
              CASE t.dimension WHEN 'frequency' THEN t.lower_bound::integer - 1 ELSE 1 END,
              CASE t.dimension WHEN 'monetary' THEN t.lower_bound - 0.0001 ELSE 0 END),
              (CASE t.dimension WHEN 'recency' THEN t.score + 1 ELSE t.score - 1 END)::smallint)) AS x(got, should)
      WHERE t.scheme = 'threshold' AND substr(x.got, CASE t.dimension WHEN 'recency' THEN 1 WHEN 'frequency' THEN 2 ELSE 3 END, 1)::integer <> x.should$$,
    'a threshold gets its score, what is just below it the next lower');
SELECT is(pg_temp.score_of(-0, 1, -12), '511', 'a negative total scores 1');
SELECT results_eq($$SELECT score::text FROM iaros.rfm_compute('SELECT 1::bigint AS customer_id, timestamptz ''2020-01-01'' AS at, 1e6 AS amount, 99::bigint AS purchases', 'threshold', '2026-01-01')$$,
    $$VALUES ('111')$$, 'what is before the period counts for nothing but recency');

-- Shipped segments.
SELECT is_empty(
    $$SELECT l.segment, k FROM (VALUES ('Champions', '{555,554,544}'::text[]), ('Loyal Customers', '{545,455,454}'), ('Potential Loyalists', '{543,444,435}'),
          ('Recent Customers', '{511,512,521}'), ('Promising', '{421,412}'), ('Needs Attention', '{433,343,334}'),
          ('About to Sleep', '{331,321,312}'), ('At Risk', '{233,234,244}'), ('Can''t Lose Them', '{155,154,144}'),
          ('Hibernating', '{221,222,223}'), ('Lost', '{111,112,121}')) AS l(segment, cells), unnest(l.cells) AS k
      JOIN iaros.rfm_map_cells('standard') c ON c.score::text = k
      WHERE c.segment <> l.segment$$, 'the listed cells are exact');
SELECT is_empty($$SELECT * FROM iaros.rfm_map_cells('standard') c WHERE c.segment IS DISTINCT FROM iaros.rfm_segment(c.score)$$, 'the rows of the map say what the kernel says');
SELECT is((SELECT count(*) FROM iaros.rfm_segment WHERE description <> '' AND strategy <> ''), 11::bigint, 'each segment has description and strategy');
SELECT is_empty($$SELECT c.* FROM iaros.rfm_map_cells('standard') c WHERE iaros.rfm_r(c.score) = 5 AND c.segment IN ('About to Sleep', 'At Risk', 'Can''t Lose Them', 'Hibernating', 'Lost', 'Needs Attention')$$, 'who just bought is in no segment of those who leave');
SELECT is_empty($$SELECT c.* FROM iaros.rfm_map_cells('standard') c WHERE iaros.rfm_r(c.score) <= 2 AND c.segment NOT IN ('At Risk', 'Can''t Lose Them', 'Hibernating', 'Lost')$$, 'who has not bought for long is in one of these');
SELECT is_empty('SELECT * FROM iaros.rfm_doctor()', 'nothing is wrong with what is shipped');
SELECT is_empty(
    $$SELECT 'scheme' FROM iaros.rfm_scheme t WHERE t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))
      UNION ALL SELECT 'threshold' FROM iaros.rfm_threshold t WHERE t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))
      UNION ALL SELECT 'segment' FROM iaros.rfm_segment t WHERE t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))
      UNION ALL SELECT 'map' FROM iaros.rfm_segment_map t WHERE t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))
      UNION ALL SELECT 'rule' FROM iaros.rfm_segment_rule t WHERE t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))$$,
    'shipped rows are sealed');

-- rfm_compute() against the reference, scheme by scheme.
INSERT INTO iaros.rfm_scheme (scheme, description, kind, levels, ties, lapsed, period) VALUES
    ('thirds', 'Three levels', 'quantile', 3, 'low', true, NULL),
    ('ninths', 'Nine levels, equal values high', 'quantile', 9, 'high', true, NULL),
    ('ninths_recent', 'Nine levels of those who bought in 90 days', 'quantile', 9, 'low', false, '90 days'),
    ('halves', 'Two levels', 'ntile', 2, 'low', true, NULL),
    ('mixed', 'Recency by thresholds, the rest by quantiles', 'quantile', 3, 'high', true, '6 months');
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mixed', 'recency', 2, 60), ('mixed', 'recency', 1, 300);
CREATE FUNCTION pg_temp.differs(source text, scheme text, as_of timestamptz DEFAULT '2026-01-01', period interval DEFAULT NULL, currency text DEFAULT NULL)
    RETURNS SETOF text LANGUAGE sql AS $$
    WITH a AS (SELECT c.customer_id, c.recency_days, c.frequency, c.monetary, c.score::text, c.segment FROM iaros.rfm_compute(source, scheme, as_of, period, currency) c),
         b AS (SELECT c.customer_id, c.recency_days, c.frequency, c.monetary, c.score::text, c.segment FROM pg_temp.rfm_reference(source, scheme, as_of, period, currency) c)
    SELECT 'only in rfm_compute: ' || x FROM (SELECT * FROM a EXCEPT ALL SELECT * FROM b) AS x
    UNION ALL SELECT 'only in the reference: ' || x FROM (SELECT * FROM b EXCEPT ALL SELECT * FROM a) AS x $$;
SELECT is_empty(format('SELECT pg_temp.differs(%L, %L)', 'purchase', s.scheme), format('scheme %s is as the reference says', s.scheme))
FROM iaros.rfm_scheme s ORDER BY s.scheme;
SELECT is_empty($$SELECT pg_temp.differs('purchase', 'quantile', period => '7 days')$$, 'also over a short period');
SELECT is_empty($$SELECT pg_temp.differs('purchase', 'ninths', '2023-06-01')$$, 'at an early time');
SELECT is_empty($$SELECT pg_temp.differs('distinct_purchase', 'ninths')$$, 'with rows that stand for several purchases');
SELECT is_empty($$SELECT pg_temp.differs('SELECT * FROM purchase WHERE false', 'quantile')$$, 'without rows');
SELECT is_empty(format($$SELECT pg_temp.differs('SELECT * FROM purchase WHERE customer_id <= %s', 'ninths')$$, n), format('with %s customers, fewer than levels', n))
FROM unnest('{1,2,8}'::integer[]) AS n;

-- The same said by window functions.
SELECT is_empty(
    $$SELECT s.levels, c.customer_id FROM (VALUES ('halves', 2), ('ntile', 5)) AS s(scheme, levels)
      CROSS JOIN LATERAL (SELECT x.customer_id, x.score, iaros.rfm_make(
              ntile(s.levels) OVER (ORDER BY x.recency_days DESC, x.customer_id),
              ntile(s.levels) OVER (ORDER BY x.frequency, x.customer_id),
              ntile(s.levels) OVER (ORDER BY x.monetary, x.customer_id)) AS tile
          FROM iaros.rfm_compute('purchase', s.scheme, '2026-01-01') x WHERE x.customer_id IS NOT NULL) AS c
      WHERE c.score <> c.tile$$, 'ntile is NTILE of SQL');
SELECT is_empty(
    $$WITH t AS (
          SELECT s.scheme, s.ties, x.*,
              ntile(s.levels) OVER (PARTITION BY s.scheme ORDER BY x.recency_days DESC, x.customer_id) AS r,
              ntile(s.levels) OVER (PARTITION BY s.scheme ORDER BY x.frequency, x.customer_id) AS f,
              ntile(s.levels) OVER (PARTITION BY s.scheme ORDER BY x.monetary, x.customer_id) AS m
          FROM iaros.rfm_scheme s CROSS JOIN LATERAL iaros.rfm_compute('purchase', s.scheme, '2026-01-01') x
          WHERE s.scheme IN ('thirds', 'quantile', 'ninths') AND x.customer_id IS NOT NULL
      ), tie AS (
          SELECT t.scheme, t.customer_id, t.score, iaros.rfm_make(
              CASE t.ties WHEN 'low' THEN min(t.r) OVER rs ELSE max(t.r) OVER rs END,
              CASE t.ties WHEN 'low' THEN min(t.f) OVER fs ELSE max(t.f) OVER fs END,
              CASE t.ties WHEN 'low' THEN min(t.m) OVER ms ELSE max(t.m) OVER ms END) AS tied
          FROM t WINDOW rs AS (PARTITION BY t.scheme, t.recency_days), fs AS (PARTITION BY t.scheme, t.frequency), ms AS (PARTITION BY t.scheme, t.monetary))
      SELECT * FROM tie WHERE score <> tied$$, 'equal values of a quantile scheme all get the lowest, or the highest, of their scores by NTILE');
SELECT is_empty(
    $$SELECT c.customer_id, c.score, n.score FROM iaros.rfm_compute('distinct_purchase', 'quantile', '2026-01-01') c
      JOIN iaros.rfm_compute('distinct_purchase', 'ntile', '2026-01-01') n USING (customer_id) WHERE c.score <> n.score$$,
    'where no values are equal, quantile is NTILE');

-- Terms.
SELECT results_eq($$SELECT scheme_name, kind, levels, ties, lapsed, since, until, zone, recency_bounds, frequency_bounds, monetary_bounds, segments[1], segments[125], cardinality(segments) FROM iaros.rfm_terms('threshold', '2026-01-01', NULL, NULL)$$,
    $$VALUES ('threshold', 'threshold', 5, 'low', true, '2025-01-01'::timestamptz, '2026-01-01'::timestamptz, 'UTC', '{31,91,181,365}'::integer[], '{2,3,5,10}'::numeric[], '{501,1001,2501,5000}'::numeric[], 'Lost', 'Champions', 125)$$, 'the terms of threshold');
SELECT results_eq($$SELECT scheme_name, kind, levels, since, recency_bounds, frequency_bounds, monetary_bounds FROM iaros.rfm_terms('quantile', '2026-01-01', NULL, NULL)$$,
    $$VALUES ('quantile', 'quantile', 5, '-infinity'::timestamptz, NULL::integer[], NULL::numeric[], NULL::numeric[])$$, 'of quantile');
SELECT results_eq($$SELECT kind, levels, ties, recency_bounds, frequency_bounds, cardinality(segments), array_remove(segments, NULL) FROM iaros.rfm_terms('mixed', '2026-01-01', NULL, NULL)$$,
    $$VALUES ('quantile', 3, 'high', '{60,300}'::integer[], NULL::numeric[], 27, '{}'::text[])$$, 'of a scheme with thresholds of one dimension and without map');
SELECT is((SELECT scheme_name FROM iaros.rfm_terms(NULL, NULL, NULL, NULL)), 'threshold', 'without a name, that of the setting');
SELECT is((SELECT until FROM iaros.rfm_terms(NULL, NULL, NULL, NULL)), now(), 'without a time, now');
SELECT is((SELECT since FROM iaros.rfm_terms('threshold', '2026-03-31', '1 month', NULL)), '2026-02-28'::timestamptz, 'a period that is given goes before that of the scheme');
SELECT is((SELECT since FROM iaros.rfm_terms('quantile', '2026-03-31', '2 days', NULL)), '2026-03-29'::timestamptz, 'or stands in for it');
SET timezone = 'Asia/Tokyo';
SELECT is((SELECT since FROM iaros.rfm_terms('threshold', '2026-03-31 00:00+00', '1 month', NULL)), '2026-02-28 00:00+00'::timestamptz, 'whatever the zone of the session');
RESET timezone;
SELECT results_eq($$SELECT frequency, monetary FROM iaros.rfm_compute('SELECT 1::bigint AS customer_id, x::timestamptz AS at, 10 AS amount FROM unnest(''{2025-12-02 00:00+00,2025-12-02 00:00:01+00,2026-01-01 00:00+00,2026-01-01 00:00:01+00}''::text[]) x', 'quantile', '2026-01-01', '30 days')$$,
    'VALUES (2::bigint, 20::numeric)', 'a period is (as_of - period, as_of]');

-- Currencies: thresholds in US dollars, amounts in another.
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2025-12-31', 2), ('KWD', '2025-12-31', 4), ('KWD', '2026-06-01', 5);
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('threshold', '2026-01-01', NULL, 'EUR')), '{250.5,500.5,1250.5,2500}', 'thresholds are converted at the rate of the day');
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('threshold', '2026-06-01', NULL, 'KWD')), '{100.2,200.2,500.2,1000}', 'of as_of');
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('threshold', '2026-01-01', NULL, 'USD')), '{501,1001,2501,5000}', 'the same currency needs no rate');
SELECT is((SELECT string_agg(score::text, ' ' ORDER BY customer_id) FROM iaros.rfm_compute('SELECT n AS customer_id, timestamptz ''2026-01-01'' AS at, a AS amount FROM unnest(''{250.49,250.50,2500}''::numeric[]) WITH ORDINALITY x(a, n)', 'threshold', '2026-01-01', currency => 'EUR')),
    '511 512 515', 'amounts score as their worth');
INSERT INTO iaros.rfm_scheme (scheme, description, currency) VALUES ('euro', 'Thresholds in euro', 'EUR'), ('unstated', 'Thresholds of no currency', NULL);
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound)
SELECT s, t.dimension, t.score, t.lower_bound FROM iaros.rfm_threshold t, unnest('{euro,unstated}'::text[]) AS s WHERE t.scheme = 'threshold';
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('euro', '2026-01-01', NULL, 'KWD')), '{250.5,500.5,1250.5,2500}', 'between two currencies, neither of them the base');
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('euro', '2026-01-01', NULL, NULL)), '{501,1001,2501,5000}', 'amounts of no stated currency are taken as they are');
SELECT is((SELECT monetary_bounds FROM iaros.rfm_terms('unstated', '2026-01-01', NULL, 'EUR')), '{501,1001,2501,5000}', 'so are thresholds');
SELECT throws_ok($$SELECT iaros.rfm_terms('threshold', '2026-01-01', NULL, 'JPY')$$, 'P0002', 'no rate for currency "JPY" on 2026-01-01', 'a missing rate is an error');
SELECT lives_ok($$SELECT iaros.rfm_terms('quantile', '2026-01-01', NULL, 'JPY')$$, 'unless nothing is converted');
SELECT throws_ok($$SELECT iaros.rfm_terms('quantile', '2026-01-01', NULL, 'XQX')$$, '22023', NULL, 'a currency that does not exist is always one');

-- Levels and maps of one's own.
SELECT is((SELECT string_agg(DISTINCT iaros.rfm_f(score)::text, '' ORDER BY iaros.rfm_f(score)::text) FROM iaros.rfm_compute('distinct_purchase', 'ninths', '2026-01-01')), '123456789', 'nine levels');
INSERT INTO iaros.rfm_segment_map (map, levels, description) VALUES ('simple', 3, 'Three levels');
INSERT INTO iaros.rfm_segment (segment, rank, description, strategy) VALUES ('Good', 20, 'x', 'y'), ('Other', 21, 'x', 'y');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r, f, m) VALUES ('simple', 1, 'Good', '[3,)', '[2,4)', DEFAULT);
UPDATE iaros.rfm_scheme SET segment_map = 'simple' WHERE scheme = 'thirds';
SELECT results_eq($$SELECT array_agg(score::text ORDER BY score) FROM iaros.rfm_map_cells('simple') WHERE segment = 'Good'$$, $$VALUES ('{321,322,323,331,332,333}'::text[])$$, 'a map of one''s own');
SELECT is_empty($$SELECT * FROM iaros.rfm_compute('purchase', 'thirds', '2026-01-01') c WHERE c.customer_id IS NOT NULL AND c.segment IS DISTINCT FROM CASE WHEN iaros.rfm_r(c.score) = 3 AND iaros.rfm_f(c.score) >= 2 THEN 'Good' END$$, 'names the segments');
SELECT results_eq($$SELECT severity::text, subject, finding FROM iaros.doctor() WHERE subject LIKE 'RFM%'$$,
    $$VALUES ('warning', 'RFM segment map simple', '21 of its 27 cells have no segment, the first is 111')$$, 'doctor() tells of cells without rule');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment) VALUES ('simple', 9, 'Other');
SELECT is_empty('SELECT * FROM iaros.rfm_doctor()', 'and is content with a rule for the rest');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r) VALUES ('simple', 0, 'Good', '[4,9]');
SELECT results_eq('SELECT finding FROM iaros.rfm_doctor()', $$VALUES ('its rule 0 (Good) holds no cell of 3 levels')$$, 'it tells of rules that hold nothing');
DELETE FROM iaros.rfm_segment_rule WHERE map = 'simple' AND rank = 0;
UPDATE iaros.rfm_segment SET segment = 'Fine' WHERE segment = 'Good';
SELECT is((SELECT segment FROM iaros.rfm_map_cells('simple') WHERE score = '333'), 'Fine', 'a segment that is renamed is renamed in its rules');
SELECT throws_ok($$UPDATE iaros.rfm_scheme SET segment_map = 'standard' WHERE scheme = 'thirds'$$, '23503', NULL, 'a map of other levels than the scheme''s is refused');
SELECT throws_ok($$UPDATE iaros.rfm_segment_map SET levels = 4 WHERE map = 'simple'$$, '23503', NULL, 'also from the side of the map');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r, f, m) VALUES ('standard', -1, 'Champions', '[1,1]', '[1,1]', '[5,5]');
SELECT is((SELECT score::text || ' ' || segment FROM iaros.rfm_compute('SELECT 1::bigint, timestamptz ''2024-01-01'', 5000', 'threshold', '2026-01-01', '5 years')), '115 Champions', 'a rule of one''s own goes before those that are shipped');
SELECT ok(NOT EXISTS (SELECT FROM iaros.rfm_segment_rule t WHERE t.rank > 0 AND t.map = 'standard' AND t.shipped_hash IS DISTINCT FROM iaros.row_hash(to_jsonb(t))), 'which stay as they are');
DELETE FROM iaros.rfm_segment_rule WHERE map = 'standard' AND rank = -1;

-- Thresholds that cannot be used.
UPDATE iaros.rfm_threshold SET lower_bound = 90 WHERE scheme = 'euro' AND dimension = 'recency' AND score = 2;
DELETE FROM iaros.rfm_threshold WHERE scheme = 'mixed' AND score = 1;
SELECT results_eq($$SELECT severity::text, subject, finding FROM iaros.rfm_doctor()$$,
    $$VALUES ('warning', 'RFM scheme euro', 'its thresholds for recency cannot be used'), ('warning', 'RFM scheme mixed', 'its thresholds for recency cannot be used')$$, 'doctor() tells of thresholds that do not ascend or are not complete');
SELECT throws_ok($$SELECT iaros.rfm_compute('purchase', 'euro')$$, '22023', 'invalid thresholds of RFM scheme "euro" for recency', 'which are errors');
SELECT throws_ok($$SELECT iaros.rfm_compute('purchase', 'mixed')$$, '22023', 'invalid thresholds of RFM scheme "mixed" for recency', 'both');
SELECT iaros.setting_set('rfm_scheme', 'euro') AS s \gset
SELECT is((SELECT severity::text FROM iaros.rfm_doctor() WHERE subject = 'RFM scheme euro' AND finding LIKE 'its thresholds%'), 'error', 'more so in the scheme that is in use');
SELECT iaros.setting_set('rfm_scheme', 'no_such') AS s \gset
SELECT is((SELECT finding FROM iaros.rfm_doctor() WHERE subject = 'setting rfm_scheme'), 'the scheme "no_such" does not exist', 'as is a scheme in use that does not exist');
SELECT throws_ok($$SELECT iaros.rfm_compute('purchase')$$, '23503', 'RFM scheme "no_such" does not exist', 'for rfm_compute() too');
SELECT iaros.setting_set('rfm_scheme', NULL) AS s \gset

-- Lapsed customers, and purchases of nobody.
SELECT is_empty($$SELECT * FROM iaros.rfm_compute('purchase', 'ntile_12_months', '2026-01-01', '30 days') c WHERE (c.frequency = 0 OR c.customer_id IS NULL) <> (c.score IS NULL) OR c.frequency = 0 AND c.segment IS NOT NULL$$, 'who bought nothing in the period has no score in a scheme that says so');
SELECT cmp_ok((SELECT count(*) FROM iaros.rfm_compute('purchase', 'ntile_12_months', '2026-01-01', '30 days') c WHERE c.frequency = 0), '>', 10::bigint, 'but comes back');
SELECT is_empty(
    $$SELECT c.* FROM (SELECT x.*, iaros.rfm_make(ntile(5) OVER (ORDER BY x.recency_days DESC, x.customer_id),
              ntile(5) OVER (ORDER BY x.frequency, x.customer_id), ntile(5) OVER (ORDER BY x.monetary, x.customer_id)) AS tile
          FROM iaros.rfm_compute('purchase', 'ntile_12_months', '2026-01-01', '30 days') x WHERE x.frequency > 0 AND x.customer_id IS NOT NULL) AS c
      WHERE c.score <> c.tile$$, 'and is no part of the quantiles');
SELECT results_eq($$SELECT frequency, monetary, score::text, segment FROM iaros.rfm_compute('purchase', 'threshold', '2026-01-01', '100 years') WHERE customer_id IS NULL$$,
    $$SELECT count(*), sum(amount), NULL, NULL FROM purchase WHERE customer_id IS NULL AND at <= '2026-01-01'$$, 'purchases of nobody come as one row without score');

-- Migration.
SELECT is_empty(
    $$SELECT from_segment, to_segment, customers FROM iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase', 'quantile')
      EXCEPT ALL
      SELECT a.segment, b.segment, count(*)
      FROM (SELECT * FROM iaros.rfm_compute('purchase', 'quantile', '2025-06-01') WHERE customer_id IS NOT NULL) a
      FULL JOIN (SELECT * FROM iaros.rfm_compute('purchase', 'quantile', '2026-01-01') WHERE customer_id IS NOT NULL) b USING (customer_id)
      GROUP BY 1, 2$$, 'migration joins the segments of two times');
SELECT is((SELECT sum(customers) FROM iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase', 'quantile')), (SELECT count(DISTINCT customer_id)::numeric FROM purchase WHERE at <= '2026-01-01'), 'of every customer');
SELECT is_empty($$SELECT from_segment FROM iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase', 'quantile') GROUP BY 1 HAVING abs(sum(share) - 1) > 0.002$$, 'shares are of the segment that they left');
SELECT is_empty($$SELECT * FROM iaros.rfm_migration('2025-06-01', '2025-06-01', 'purchase') WHERE from_segment IS DISTINCT FROM to_segment$$, 'nobody moves in no time');
SELECT is_empty($$SELECT * FROM iaros.rfm_migration('1990-01-01', '2026-01-01', 'purchase') WHERE from_segment IS NOT NULL$$, 'before the first purchase nobody was in a segment');
INSERT INTO iaros.customer (customer_id) VALUES (9000001), (9000002), (9000003), (9000004);
INSERT INTO iaros.rfm_history (customer_id, since, score, segment) VALUES
    (9000001, '2025-01-01', '555', 'Champions'), (9000001, '2025-08-01', '155', 'Can''t Lose Them'),
    (9000002, '2025-01-01', '555', 'Champions'), (9000003, '2025-07-01', '511', 'Recent Customers'),
    (9000004, '2025-01-01', '111', 'Lost'), (9000004, '2025-02-01', NULL, NULL), (9000004, '2025-12-01', '111', 'Lost');
SELECT results_eq($$SELECT * FROM iaros.rfm_migration('2025-06-01', '2025-08-01')$$,
    $$VALUES ('Champions', 'Can''t Lose Them', 1::bigint, 0.5000), ('Champions', 'Champions', 1, 0.5000), (NULL, 'Recent Customers', 1, 1.0000)$$, 'without a source the history is asked');
SELECT results_eq($$SELECT * FROM iaros.rfm_migration('2025-01-01', '2025-07-31 23:59+00')$$,
    $$VALUES ('Champions', 'Champions', 2::bigint, 1.0000), ('Lost', NULL, 1, 1.0000), (NULL, 'Recent Customers', 1, 1.0000)$$, 'the last row of each customer up to each time');

-- The picture.
CREATE TEMP TABLE scored AS SELECT * FROM iaros.rfm_compute('purchase', 'quantile', '2026-01-01');
SELECT is((SELECT count(*) FROM iaros.rfm_grid('scored') WHERE r IS NOT NULL), 25::bigint, '25 cells');
SELECT results_eq('SELECT sum(customers), sum(monetary) FROM iaros.rfm_grid(''scored'')', 'SELECT count(*)::numeric, sum(monetary) FROM scored', 'hold every row');
SELECT is((SELECT abs(sum(customers_share) - 1) < 0.0001 AND abs(sum(monetary_share) - 1) < 0.0001 FROM iaros.rfm_grid('scored')), true, 'shares sum to one');
CREATE TEMP TABLE picture AS
SELECT n, iaros.rfm_heatmap(source, title, levels, shade)::xml AS svg FROM (VALUES
    (1, 'scored', 'a < b & "c" > ' || E'd\x01', 5, 'customers'),
    (2, 'SELECT score, monetary FROM scored WHERE false', NULL, 5, 'customers'),
    (3, 'SELECT NULL::iaros.rfm AS score, NULL::numeric AS monetary', NULL, 5, 'revenue'),
    (4, 'SELECT ''333''::iaros.rfm AS score, -7 AS monetary', NULL, 3, 'revenue'),
    (5, 'SELECT ''333''::iaros.rfm AS score, 0 AS monetary', NULL, 2, 'customers'),
    (6, 'SELECT ''999''::iaros.rfm AS score, x::numeric AS monetary FROM unnest(''{NaN,1e30,Infinity}''::text[]) x', repeat('wide ', 200), 9, 'revenue'),
    (7, 'SELECT x::iaros.rfm AS score, 5 AS monetary FROM unnest(''{555,754}''::text[]) x; ', '', 5, 'revenue'),
    (8, 'iaros.customer_rfm', NULL, 5, 'customers')) AS t(n, source, title, levels, shade);
SELECT is(bool_and(xml_is_well_formed_document(svg::text)), true, 'every picture is well-formed') FROM picture;
SELECT is((SELECT array_agg(cardinality(xpath('//s:rect[@width="92"]', svg, '{{s,http://www.w3.org/2000/svg}}')) ORDER BY n) FROM picture), '{25,25,25,9,9,81,49,25}', 'with a rectangle a cell, as many as the scores need');
SELECT is((SELECT xpath('/s:svg/s:title/text()', svg, '{{s,http://www.w3.org/2000/svg}}')::text FROM picture WHERE n = 1), '{"a &lt; b &amp; \"c\" &gt; d?"}', 'the title is escaped');
SELECT is((SELECT bool_and(xpath('/s:svg/@role', svg, '{{s,http://www.w3.org/2000/svg}}')::text = '{img}' AND cardinality(xpath('/s:svg/s:desc', svg, '{{s,http://www.w3.org/2000/svg}}')) = 1) FROM picture), true, 'screen readers find role and description');
SELECT is((SELECT count(*) FROM picture WHERE svg::text ~* '<(script|style|image|use|foreignObject)|href|url\(|javascript'), 0::bigint, 'nothing runs and nothing is loaded');
SELECT is((SELECT count(*) FROM picture p, LATERAL unnest(xpath('//s:rect[@width="92"]/@fill', p.svg, '{{s,http://www.w3.org/2000/svg}}')) AS x WHERE p.n = 2 AND x::text <> '#f0f0f0'), 0::bigint, 'cells without customers have no colour');
SELECT is((SELECT xpath('//s:g[s:title[starts-with(., "R 5, F 5")]]/s:rect/@fill', svg, '{{s,http://www.w3.org/2000/svg}}')::text FROM picture WHERE n = 7), '{#2e3a55}', 'the largest share has the darkest');
SELECT is((SELECT xpath('//s:g[s:title[starts-with(., "R 5, F 5")]]/s:rect/@x | //s:g[s:title[starts-with(., "R 5, F 5")]]/s:rect/@y', svg, '{{s,http://www.w3.org/2000/svg}}')::text FROM picture WHERE n = 2), '{452,100}', 'the best are at the right top');
-- Contrast as WCAG 2 defines it, from the colours as they are written.
CREATE TEMP TABLE colour AS
SELECT i, c.fill, c.ink, (SELECT sum(w * CASE WHEN v <= 0.04045 THEN v / 12.92 ELSE ((v + 0.055) / 1.055) ^ 2.4 END)
    FROM (VALUES (2, 0.2126), (4, 0.7152), (6, 0.0722)) AS p(place, w),
        LATERAL (SELECT get_byte(decode(substr(c.fill, p.place, 2), 'hex'), 0) / 255.0::float8 AS v) AS b) AS light
FROM generate_series(0, 200) AS i, iaros.rfm_heatmap_colour(i / 200.0::float8) AS c;
SELECT is_empty($$SELECT * FROM colour WHERE CASE ink WHEN '#000000' THEN (light + 0.05) / 0.05 WHEN '#ffffff' THEN 1.05 / (light + 0.05) ELSE 0 END < 4.5$$, 'every colour can be read upon');
SELECT is_empty($$SELECT * FROM (SELECT i, light, lag(light) OVER (ORDER BY i) AS before FROM colour) c WHERE light >= before$$, 'more is always darker');
SELECT results_eq('SELECT (iaros.rfm_heatmap_colour(-1)).fill, (iaros.rfm_heatmap_colour(9)).fill', 'SELECT (iaros.rfm_heatmap_colour(0)).fill, (iaros.rfm_heatmap_colour(1)).fill', 'levels outside are the ends');

-- A path set by the caller does not matter to us, but finds the source.
CREATE SCHEMA rfm_test;
CREATE FUNCTION rfm_test.sum_wrong(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0::numeric';
CREATE AGGREGATE rfm_test.sum(numeric) (SFUNC = rfm_test.sum_wrong, STYPE = numeric);
CREATE FUNCTION rfm_test.less(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR rfm_test.> (FUNCTION = rfm_test.less, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR rfm_test.<= (FUNCTION = rfm_test.less, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE FUNCTION rfm_test.quotient(bigint, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 7::numeric';
CREATE OPERATOR rfm_test./ (FUNCTION = rfm_test.quotient, LEFTARG = bigint, RIGHTARG = numeric);
CREATE TABLE rfm_test.sale AS SELECT 1 AS customer_id, '2025-12-01'::timestamptz AS at, 700 AS amount, '555'::iaros.rfm AS score, 700 AS monetary;
SELECT set_config('search_path', 'rfm_test, pg_catalog, ' || current_setting('search_path'), true) AS path \gset
SELECT is((SELECT trim_scale(monetary) || ' ' || segment FROM iaros.rfm_compute('sale', 'threshold', '2026-01-10')), '700 Promising', 'the source is found in the caller''s path, operators in ours');
SELECT is((SELECT customers_share || ' ' || monetary_share FROM iaros.rfm_grid('sale') WHERE r = 5 AND f = 5), '1.000000 1.000000', 'likewise in rfm_grid()');
SELECT is((SELECT to_segment || ' ' || share FROM iaros.rfm_migration('2020-01-01', '2026-01-10', 'sale', 'threshold')), 'Promising 1.0000', 'in rfm_migration()');
SELECT is((SELECT count(*) FROM iaros.consent_filter('SELECT customer_id FROM sale', 'transactional', 'email')), 1::bigint, 'and in consent_filter()');
SELECT throws_ok($$SELECT iaros.rfm_compute('nowhere')$$, '42P01', 'relation "nowhere" does not exist', 'a relation that is missing is named');

UPDATE iaros.rfm_scheme SET segment_map = NULL WHERE scheme = 'quantile';
SELECT iaros.setting_set('rfm_scheme', 'quantile');
SELECT is((SELECT count(*) FROM iaros.rfm_doctor() d WHERE d.subject = 'RFM scheme quantile' AND d.severity = 'info' AND d.finding LIKE '%names no map'), 1::bigint, 'a scheme in use without a map is found');

SELECT * FROM finish();
ROLLBACK;
