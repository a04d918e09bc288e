-- cdnow_master and online_retail as tables of the user's own: scores equal to
-- plain SQL on every customer.
\ir check.psql

-- The scores of plain SQL: NTILE, ties in the order of customers.
CREATE FUNCTION pg_temp.plain(source text, as_of date) RETURNS TABLE (customer_id bigint, recency_days integer,
    frequency bigint, monetary numeric, r integer, f integer, m integer)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('
        WITH g AS (SELECT customer_id::bigint AS customer_id, $1 - max(at)::date AS d, count(DISTINCT purchase) AS f, sum(amount) AS m
                   FROM %s GROUP BY 1)
        SELECT customer_id, d, f, m, ntile(5) OVER (ORDER BY d DESC, customer_id), ntile(5) OVER (ORDER BY f, customer_id),
            ntile(5) OVER (ORDER BY m, customer_id)
        FROM g', source) USING as_of;
END $$;

-- Compares a source with plain SQL: ntile on every customer, quantile where
-- no customers of equal value are in two buckets.
CREATE FUNCTION pg_temp.compare(what text, relation text, as_of date) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    differ bigint;
    untied bigint;
    agreed bigint;
    split bigint;
BEGIN
    CREATE TEMP TABLE plain ON COMMIT DROP AS SELECT * FROM pg_temp.plain(relation, as_of);
    CREATE TEMP TABLE ours ON COMMIT DROP AS
        SELECT c.customer_id, c.recency_days, c.frequency, c.monetary,
            iaros.rfm_r(c.score)::integer AS r, iaros.rfm_f(c.score)::integer AS f, iaros.rfm_m(c.score)::integer AS m
        FROM iaros.rfm_compute(relation, 'ntile', as_of) c;
    SELECT count(*) INTO differ FROM plain p FULL JOIN ours o USING (customer_id)
    WHERE (p.recency_days, p.frequency, p.monetary, p.r, p.f, p.m) IS DISTINCT FROM (o.recency_days, o.frequency, o.monetary, o.r, o.f, o.m);
    PERFORM pg_temp.check_equal(what || ': customers that differ from NTILE', differ, 0::bigint);

    EXECUTE format('SELECT count(*) FROM (SELECT * FROM iaros.rfm_compute(%1$L, ''ntile'', $1) EXCEPT
        SELECT * FROM iaros.rfm_rows((SELECT iaros.rfm_agg(customer_id, at, amount) FROM %1$I), ''ntile'', $1)) e', relation)
        INTO differ USING as_of::timestamptz;
    PERFORM pg_temp.check_equal(what || ': customers that differ from the aggregate', differ, 0::bigint);

    CREATE TEMP TABLE bins ON COMMIT DROP AS
        SELECT p.*, iaros.rfm_r(c.score)::integer AS qr, iaros.rfm_f(c.score)::integer AS qf, iaros.rfm_m(c.score)::integer AS qm,
            p.recency_days IN (SELECT x.recency_days FROM plain x GROUP BY 1 HAVING count(DISTINCT x.r) = 1) AS r_whole,
            p.frequency IN (SELECT x.frequency FROM plain x GROUP BY 1 HAVING count(DISTINCT x.f) = 1) AS f_whole,
            p.monetary IN (SELECT x.monetary FROM plain x GROUP BY 1 HAVING count(DISTINCT x.m) = 1) AS m_whole
        FROM plain p
        JOIN iaros.rfm_compute(relation, 'quantile', as_of) c USING (customer_id);
    SELECT count(*) FILTER (WHERE r_whole AND qr = r), count(*) FILTER (WHERE r_whole) INTO agreed, untied FROM bins;
    PERFORM pg_temp.check_equal(what || ': recency in the bin of NTILE', agreed, untied);
    SELECT count(*) FILTER (WHERE m_whole AND qm = m), count(*) FILTER (WHERE m_whole) INTO agreed, untied FROM bins;
    PERFORM pg_temp.check_equal(what || ': monetary value in the bin of NTILE', agreed, untied);
    SELECT count(*) FILTER (WHERE f_whole AND qf = f), count(*) FILTER (WHERE f_whole) INTO agreed, untied FROM bins;
    SELECT count(*) INTO split FROM (SELECT frequency FROM bins GROUP BY frequency HAVING count(DISTINCT qf) > 1
        UNION ALL SELECT recency_days FROM bins GROUP BY recency_days HAVING count(DISTINCT qr) > 1
        UNION ALL SELECT monetary FROM bins GROUP BY monetary HAVING count(DISTINCT qm) > 1) s;
    PERFORM pg_temp.check_equal(what || ': frequency in the bin of NTILE', agreed, untied);
    PERFORM pg_temp.check_equal(what || ': equal values in two bins', split, 0::bigint);
    DROP TABLE plain, ours, bins;
END $$;

CREATE TEMP TABLE cdnow (customer_id text, at date, quantity integer, amount numeric);
\copy cdnow from program 'gzip -dc "$IAROS_DATA/cdnow_master.csv.gz"' csv header
CREATE TEMP TABLE cdnow_purchase AS
SELECT row_number() OVER () AS purchase, customer_id::integer AS customer_id, at, amount FROM cdnow;
ANALYZE cdnow_purchase;
SELECT pg_temp.compare('cdnow', 'cdnow_purchase', '1998-07-01') \g /dev/null
SELECT pg_temp.check_equal('cdnow: customers', count(*), 23570::bigint),
    pg_temp.check_equal('cdnow: dollars', sum(monetary), 2500315.63)
FROM iaros.rfm_compute('cdnow_purchase', 'quantile', '1998-07-01') \g /dev/null

CREATE TEMP TABLE line (invoice_no text, stock_code text, description text, quantity integer, invoice_date timestamptz,
    unit_price numeric, customer_id bigint, country text);
\copy line from program 'gzip -dc "$IAROS_DATA/online_retail.csv.gz"' csv header
CREATE TEMP TABLE retail AS
SELECT invoice_no AS purchase, customer_id, min(invoice_date) AS at, sum(quantity * unit_price) AS amount
FROM line
WHERE customer_id IS NOT NULL AND invoice_no NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
GROUP BY invoice_no, customer_id;
ANALYZE retail;
SELECT pg_temp.compare('online_retail', 'retail', '2011-12-10') \g /dev/null
SELECT pg_temp.check_equal('online_retail: customers', count(*), 4338::bigint),
    pg_temp.check_equal('online_retail: invoices', sum(frequency), 18532::numeric),
    pg_temp.check_equal('online_retail: pounds', round(sum(monetary), 2), 8911407.90)
FROM iaros.rfm_compute('retail', 'ntile', '2011-12-10') \g /dev/null
-- Refunds are negative amounts, lines without customer one row.
SELECT pg_temp.check_equal('online_retail: all lines', round(sum(monetary), 3), 9747747.934),
    pg_temp.check_equal('online_retail: lines', sum(frequency), 541909::numeric),
    pg_temp.check_equal('online_retail: lines without customer', max(frequency) FILTER (WHERE customer_id IS NULL), 135080::bigint),
    pg_temp.check_equal('online_retail: rows', count(*), 4373::bigint)
FROM iaros.rfm_compute('SELECT customer_id, invoice_date, quantity * unit_price FROM line', 'quantile', '2011-12-10') \g /dev/null
