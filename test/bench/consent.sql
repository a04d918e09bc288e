-- Who of an audience may be e-mailed, with reasons: consent_filter() against
-- the same by hand, and against consent_check() row by row. One customer in
-- fifty is an alias. Variable: rows.
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO iaros.customer (customer_id)
SELECT 900000000 + i FROM generate_series(1, :rows) AS i;
INSERT INTO iaros.customer_alias (customer_id, master_id, recognised_as)
SELECT 900000000 + i, 900000000 + i - 1, 900000000 + i - 1 FROM generate_series(50, :rows, 50) AS i;
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at)
SELECT 900000000 + i, c.channel, 'marketing', (i * 7 + c.n) % 5 > 0, 'form', '2025-01-01'::timestamptz + i % 400 * interval '1 day'
FROM generate_series(1, :rows) AS i, (VALUES ('email', 1), ('sms', 2), ('push', 3)) AS c(channel, n)
WHERE i % 10 > 1;
INSERT INTO iaros.consent (customer_id, channel, purpose, given, source, recorded_at)
SELECT 900000000 + i, 'all', 'marketing', false, 'link', '2025-06-01'::timestamptz + i % 100 * interval '1 day'
FROM generate_series(1, :rows, 13) AS i;
INSERT INTO iaros.dnc (customer_id, channel, reason, added_at)
SELECT 900000000 + i, 'email', 'hard_bounce', '2025-05-01' FROM generate_series(1, :rows, 17) AS i;
INSERT INTO iaros.preference (customer_id, channel, topic, excluded, updated_at)
SELECT 900000000 + i, 'email', 'deals', i % 2 = 0, '2025-05-01' FROM generate_series(1, :rows, 7) AS i;
SET LOCAL session_replication_role = origin;
CREATE TEMP TABLE bench_consent ON COMMIT DROP AS
SELECT customer_id FROM iaros.customer WHERE customer_id > 900000000;
ANALYZE bench_consent, iaros.customer, iaros.customer_alias, iaros.consent, iaros.dnc, iaros.preference;

SELECT pg_temp.bench('consent_filter',
    $$SELECT customer_id, allowed, reasons
      FROM iaros.consent_filter('bench_consent', 'marketing', 'email', 'deals', '2026-01-01')$$,
    $$WITH said AS (
          SELECT DISTINCT ON (person) coalesce(a.master_id, c.customer_id) AS person, c.given, c.recorded_at
          FROM iaros.consent c
          LEFT JOIN iaros.customer_alias a USING (customer_id)
          WHERE c.purpose = 'marketing' AND c.channel IN ('email', 'all') AND c.recorded_at <= '2026-01-01'
          ORDER BY person, c.recorded_at DESC, c.consent_id DESC
      ), stop AS (
          SELECT person, array_agg('do_not_contact: ' || replace(reason, '_', ' ') || ' since ' || to_char(since, 'YYYY-MM-DD') ORDER BY reason) AS stops
          FROM (SELECT coalesce(a.master_id, d.customer_id) AS person, d.reason, min(d.added_at) AT TIME ZONE 'UTC' AS since
                FROM iaros.dnc d
                LEFT JOIN iaros.customer_alias a USING (customer_id)
                WHERE d.channel IN ('email', 'all') AND d.added_at <= '2026-01-01'
                  AND coalesce(d.removed_at, 'infinity') > '2026-01-01'
                GROUP BY 1, 2) d
          GROUP BY person
      ), preferred AS (
          SELECT DISTINCT ON (person) coalesce(a.master_id, p.customer_id) AS person, p.excluded
          FROM iaros.preference p
          LEFT JOIN iaros.customer_alias a USING (customer_id)
          WHERE p.topic = 'deals' AND p.channel IN ('email', 'all')
          ORDER BY person, p.updated_at DESC, p.excluded DESC
      ), judged AS MATERIALIZED (
          SELECT b.customer_id, coalesce(t.stops, '{}')
              || CASE WHEN s.given IS NULL THEN '{"no_consent: none recorded for marketing by email"}'::text[]
                      WHEN NOT s.given THEN ARRAY['consent_withdrawn: marketing by email since ' || to_char(s.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')]
                      ELSE '{}' END
              || CASE WHEN p.excluded THEN '{topic_excluded: deals}'::text[] ELSE '{}' END AS reasons
          FROM bench_consent b
          LEFT JOIN iaros.customer_alias a USING (customer_id)
          LEFT JOIN said s ON s.person = coalesce(a.master_id, b.customer_id)
          LEFT JOIN stop t ON t.person = coalesce(a.master_id, b.customer_id)
          LEFT JOIN preferred p ON p.person = coalesce(a.master_id, b.customer_id))
      SELECT customer_id, reasons = '{}' AS allowed, reasons FROM judged$$,
    :rows);

SELECT pg_temp.bench('consent_filter_some',
    $$SELECT customer_id, allowed, reasons
      FROM iaros.consent_filter('SELECT customer_id FROM bench_consent WHERE customer_id % 20 = 0', 'marketing', 'email', 'deals', '2026-01-01')$$,
    $$SELECT b.customer_id, k.allowed, k.reasons
      FROM bench_consent b, iaros.consent_check(b.customer_id, 'marketing', 'email', 'deals', '2026-01-01') k
      WHERE b.customer_id % 20 = 0$$,
    :rows / 20);
ROLLBACK;
