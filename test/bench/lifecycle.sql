-- Stages of all customers, two schemes: a run of lifecycle_refresh() with the
-- stages kept, a day after the last one, against the plain SQL that computes
-- the six stages of one scheme from the same profiles and compares them with
-- a table of stages, without history; and the values likewise. Two bookings a customer. Variable: rows (customers).
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO iaros.customer (customer_id) SELECT 900000000 + i FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.booking (customer_id, booking_id, source, external_id, booked_at, status, amount, currency, amount_base)
SELECT 900000001 + i * 7919::bigint % :rows, 900000000 + i, 'demo', 'bench' || i,
    '2023-01-01'::timestamptz + 94608000.0 * i / (2 * :rows) * interval '1 second', 'flown',
    i * 31::bigint % 200000 / 100.0, 'USD', i * 31::bigint % 200000 / 100.0
FROM generate_series(1, 2 * :rows) AS i;
SET LOCAL session_replication_role = origin;
ANALYZE iaros.customer;
ANALYZE iaros.booking;
SELECT to_regprocedure('iaros.profile_rebuild()') IS NOT NULL AS kept \gset
\if :kept
SELECT iaros.profile_rebuild() IS NOT NULL AS rebuilt \gset
\endif
\set day1 '\'2025-12-01\'::timestamptz'
\set day2 '\'2025-12-02\'::timestamptz'

-- Milliseconds that a statement takes.
CREATE FUNCTION pg_temp.took(statement text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END $$;
-- The six stages as one would write them.
CREATE FUNCTION pg_temp.plain(at text) RETURNS text LANGUAGE sql AS $$
    SELECT format($q$SELECT p.customer_id, CASE
        WHEN p.booking_count = 0 THEN 'prospect'
        WHEN %1$L < p.first_booked_at + interval '30 days' THEN 'new'
        WHEN %1$L >= p.last_booked_at + interval '180 days' THEN 'churned'
        WHEN %1$L >= p.last_booked_at + interval '90 days' THEN 'at_risk'
        WHEN p.booking_count_180d >= 5 THEN 'engaged'
        WHEN p.booking_count_90d >= 2 THEN 'active'
        WHEN p.last_booked_at - p.prev_booked_at >= interval '180 days' THEN 'reactivated'
        ELSE 'occasional' END AS stage FROM iaros.profile_at(%1$L) p$q$, at)
$$;
CREATE TEMP TABLE plain_stage (customer_id bigint PRIMARY KEY, stage text, entered_at timestamptz);
CREATE TEMP TABLE took (what text, ms float8);
INSERT INTO took SELECT 'plain first', pg_temp.took(format('INSERT INTO plain_stage SELECT c.*, %L FROM (%s) c', :day1, pg_temp.plain(:day1::text)));
INSERT INTO took SELECT 'first', pg_temp.took(format('SELECT iaros.lifecycle_refresh(%L)', :day1));
ANALYZE plain_stage;
ANALYZE iaros.customer_lifecycle_stage;
INSERT INTO took SELECT 'plain again', pg_temp.took(format(
    'INSERT INTO plain_stage AS s SELECT c.customer_id, c.stage, %L FROM (%s) c LEFT JOIN plain_stage o USING (customer_id)
     WHERE c.stage IS DISTINCT FROM o.stage ON CONFLICT (customer_id) DO UPDATE SET stage = excluded.stage, entered_at = excluded.entered_at', :day2, pg_temp.plain(:day2::text)));
INSERT INTO took SELECT 'again', pg_temp.took(format('SELECT iaros.lifecycle_refresh(%L)', :day2));
INSERT INTO took SELECT 'plain values', pg_temp.took(format(
    'CREATE TEMP TABLE plain_value AS SELECT v.*, CASE WHEN v.score >= 70 THEN ''high_value'' WHEN v.score >= 40 THEN ''medium_value'' ELSE ''low_value'' END AS segment
     FROM (SELECT q.*, round(0.4 * 25 * (q.m - 1) + 60 * least(q.ltv / 10000, 1), 2) AS score
         FROM (SELECT p.customer_id, p.spend_total, coalesce(r.m, 1) AS m, round(p.spend_12m * power(
                 (15552000 + date_part(''epoch'', p.last_booked_at - p.first_booked_at)) / (15552000 + date_part(''epoch'', %1$L - p.first_booked_at)),
                 p.booking_count)::numeric * 0.75 / 0.35, 4) AS ltv
             FROM iaros.profile_at(%1$L) p LEFT JOIN iaros.customer_rfm r USING (customer_id) WHERE p.booking_count > 0) q) v', :day2));
INSERT INTO took SELECT 'values', pg_temp.took(format('SELECT iaros.value_refresh(%L)', :day2));
DO $$ BEGIN
    IF EXISTS (SELECT FROM plain_stage s FULL JOIN (
            SELECT * FROM iaros.customer_lifecycle_stage c WHERE c.scheme = 'standard' AND c.exited_at IS NULL) c USING (customer_id)
        WHERE c.stage IS DISTINCT FROM s.stage AND customer_id > 900000000) THEN
        RAISE EXCEPTION 'the stages differ';
    ELSIF EXISTS (SELECT FROM plain_value s FULL JOIN iaros.customer_value_segment v USING (customer_id)
        WHERE (v.value_segment IS DISTINCT FROM s.segment OR abs(v.value_score - s.score) > 0.01) AND customer_id > 900000000) THEN
        RAISE EXCEPTION 'the values differ';
    END IF;
END $$;
SELECT format('bench|%s|%s|%s|%s|%s', b.name, round(o.ms::numeric, 1), round(p.ms::numeric, 1), round((p.ms / o.ms)::numeric, 2), round(:rows / o.ms * 1000))
FROM (VALUES ('lifecycle_refresh, first', 'first', 'plain first'), ('lifecycle_refresh, a day later', 'again', 'plain again'),
    ('value_refresh, first', 'values', 'plain values')) AS b(name, ours, plain)
JOIN took o ON o.what = b.ours
JOIN took p ON p.what = b.plain;
ROLLBACK;
