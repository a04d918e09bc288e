-- rfm_compute() and rfm_state: columns, sources, plans, errors.
\set VERBOSITY default
SET timezone = 'UTC';
CREATE TABLE shop (client integer, paid_on date, total numeric(10,2));
INSERT INTO shop VALUES (1, '2025-12-30', 120), (1, '2025-11-02', 80), (2, '2025-06-01', 40), (3, '2025-12-20', -40), (NULL, '2025-12-24', 15);
CREATE TABLE wide (id bigint, customer_id bigint, at timestamptz, note text, amount numeric);
INSERT INTO wide SELECT i, i % 3, '2025-01-01'::timestamptz + i * interval '1 day', 'x', i / 8.0 FROM generate_series(1, 12) AS i;
ALTER TABLE wide DROP COLUMN note;

-- Columns: by position, by name, by names given; other types.
SELECT * FROM iaros.rfm_compute('shop', 'quantile', '2026-01-01') ORDER BY customer_id;
SELECT * FROM iaros.rfm_compute('wide', 'quantile', '2026-01-01') ORDER BY customer_id;
SELECT * FROM iaros.rfm_compute('wide', 'quantile', '2026-01-01', columns => '{customer_id, at, id}') ORDER BY customer_id;
SELECT customer_id, recency_days, monetary FROM iaros.rfm_compute('SELECT 7::smallint, ''2025-12-31 23:59:59.9''::timestamp, 0.1::float8 UNION ALL SELECT 7::smallint, NULL, 1 UNION ALL SELECT 7::smallint, ''2025-12-30'', 0.2', 'ntile', '2026-01-01');
SELECT monetary FROM iaros.rfm_compute('SELECT 1, date ''2025-12-31'', 16777217::real', 'ntile', '2026-01-01');
SELECT monetary FROM iaros.rfm_compute('SELECT 1, date ''2025-12-31'', 9223372036854775807', 'ntile', '2026-01-01');
SELECT monetary FROM iaros.rfm_compute('SELECT 1, date ''2025-12-31'', x FROM (VALUES (1e40), (-1e40), (0.00000001), (922337203685477.5807), (922337203685477.5807)) AS v(x)', 'ntile', '2026-01-01');

-- Rows that stand for several purchases, and only what changed.
SELECT customer_id, frequency, monetary, score
FROM iaros.rfm_compute('SELECT 1 AS customer_id, date ''2025-12-31'' AS at, 12 AS purchases, 100 AS amount', 'threshold', '2026-01-01');
SELECT customer_id, score
FROM iaros.rfm_compute('SELECT x AS customer_id, date ''2025-12-31'' AS at, 10 * x AS amount, ''511''::iaros.rfm AS score FROM generate_series(1, 3) AS x', 'quantile', '2026-01-01', changed_only => true) ORDER BY 1;

-- As of a time in the past, with a period, with ends.
SELECT * FROM iaros.rfm_compute('shop', 'quantile', '2025-12-30 00:00:00') ORDER BY customer_id;
SELECT * FROM iaros.rfm_compute('shop', 'quantile', '2025-12-29 23:59:59', '1 month') ORDER BY customer_id;
SELECT * FROM iaros.rfm_compute('shop', 'quantile', '2020-01-01');

-- The node in a plan, and where it cannot stand.
EXPLAIN (COSTS OFF, VERBOSE) SELECT customer_id, upper(segment) FROM iaros.rfm_compute('shop', 'quantile', '2026-01-01') WHERE monetary > 0;
EXPLAIN (COSTS OFF) SELECT c FROM iaros.rfm_compute('shop', 'quantile', '2026-01-01') AS c;
EXPLAIN (COSTS OFF) SELECT * FROM iaros.rfm_compute('shop', 'quantile', '2026-01-01') WITH ORDINALITY;
SELECT c FROM iaros.rfm_compute('shop', 'quantile', '2026-01-01') AS c WHERE customer_id = 1;
SELECT s.name, (SELECT count(*) FROM iaros.rfm_compute(s.name, 'quantile', '2026-01-01')) FROM (VALUES ('shop'), ('wide')) AS s(name);
SELECT s.name, c.customer_id FROM (VALUES ('shop'), ('wide')) AS s(name), LATERAL iaros.rfm_compute(s.name, 'quantile', '2026-01-01') AS c ORDER BY 1, 2;
BEGIN;
DECLARE ahead SCROLL CURSOR FOR SELECT recency_days FROM iaros.rfm_compute('SELECT * FROM wide ORDER BY at', 'quantile', '2026-01-01') WHERE customer_id = 0;
FETCH 2 FROM ahead;
FETCH BACKWARD 1 FROM ahead;
COMMIT;
SELECT count(*) FROM iaros.rfm_compute('SELECT customer_id, now() - recency_days * interval ''1 day'', monetary FROM iaros.rfm_compute(''shop'', ''ntile'', ''2026-01-01'')', 'ntile');

-- States.
SELECT iaros.rfm_agg(client, paid_on, total) FROM shop;
SELECT iaros.rfm_agg(client, paid_on, total) FROM shop WHERE false;
SELECT iaros.rfm_agg(client, paid_on, total) OPERATOR(iaros.=) iaros.rfm_agg(client, paid_on, total ORDER BY total DESC) AS same FROM shop;
SELECT * FROM iaros.rfm_summary((SELECT iaros.rfm_agg(client, paid_on, total, '2025-07-01', '2025-12-29') FROM shop));
SELECT * FROM iaros.rfm_rows((SELECT iaros.rfm_agg(client, paid_on, total, '2025-07-01', '2025-12-29') FROM shop), 'quantile', '2026-01-01') ORDER BY customer_id;
SELECT * FROM iaros.rfm_rows(NULL);
SELECT iaros.rfm_state_merge(NULL, NULL);

-- Errors.
\set SHOW_CONTEXT never
SELECT * FROM iaros.rfm_compute('');
SELECT * FROM iaros.rfm_compute(NULL);
SELECT * FROM iaros.rfm_compute('nobody');
SELECT * FROM iaros.rfm_compute('a.b.c.d');
SELECT * FROM iaros.rfm_compute('iaros.country');
SELECT * FROM iaros.rfm_compute('shop', 'nobody');
SELECT * FROM iaros.rfm_compute('shop', columns => '{client}');
SELECT * FROM iaros.rfm_compute('shop', columns => '{client, paid_on, nobody}');
SELECT * FROM iaros.rfm_compute('shop', columns => '{paid_on, client, total}');
SELECT * FROM iaros.rfm_compute('SELECT ''a'', now(), 1');
SELECT * FROM iaros.rfm_compute('SELECT 1, now(), ''a''');
SELECT * FROM iaros.rfm_compute('SELECT 1, 2');
SELECT * FROM iaros.rfm_compute('SELECT nobody FROM shop');
SELECT * FROM iaros.rfm_compute('SELECT 1 / 0, now(), 1');
SELECT * FROM iaros.rfm_compute('DELETE FROM shop RETURNING *');
SELECT * FROM iaros.rfm_compute('WITH d AS (DELETE FROM shop RETURNING *) SELECT * FROM d');
SELECT * FROM iaros.rfm_compute('SELECT * FROM shop FOR UPDATE');
SELECT * FROM iaros.rfm_compute('SELECT * FROM (SELECT * FROM shop FOR UPDATE) s');
SELECT * FROM iaros.rfm_compute('SELECT 1; SELECT 2');
SELECT * FROM iaros.rfm_compute('SELECT $1, $2, $3');
SELECT * FROM iaros.rfm_compute('TRUNCATE shop');
SELECT * FROM iaros.rfm_compute('SELECT 1, now(), ''NaN''::numeric');
SELECT * FROM iaros.rfm_compute('SELECT 1, now(), ''-Infinity''::float8');
SELECT * FROM iaros.rfm_compute('SELECT 1, timestamptz ''-infinity'', 1');
SELECT * FROM iaros.rfm_compute('SELECT 1 AS customer_id, now() AS at, 1 AS amount, -1 AS purchases');
SELECT * FROM iaros.rfm_compute('SELECT 1 AS customer_id, now() AS at, 1 AS amount, 2147483647 AS purchases FROM generate_series(1, 2)');
SELECT * FROM iaros.rfm_compute('SELECT 1 AS customer_id, now() AS at, 1 AS amount, 555 AS score', changed_only => true);
SELECT * FROM iaros.rfm_compute('shop', as_of => 'infinity');
SELECT * FROM iaros.rfm_compute('shop', period => '-1 day');
SELECT iaros.rfm_agg(1, 'infinity', 1);
SELECT iaros.rfm_agg(1, now(), 'NaN');
SELECT iaros.rfm_agg(x, now(), 1, '2025-01-01', timestamptz '2025-01-01' + x * interval '1 day') FROM generate_series(1, 2) AS x;
SELECT iaros.rfm_agg(1, now(), 1, '2025-01-02', '2025-01-01');
SELECT iaros.rfm_state_merge(iaros.rfm_agg(1, '2025-01-01', 1), iaros.rfm_agg(1, '2025-01-01', 1, '2024-01-01', NULL));
SELECT count(*) FROM iaros.rfm_rows((SELECT iaros.rfm_agg(1, '2025-01-02', 1)), 'ntile', '2025-01-01');
SELECT 'x'::iaros.rfm_state;
SELECT '\x'::iaros.rfm_state;
SELECT '\x0'::iaros.rfm_state;
SELECT '\x02'::iaros.rfm_state;
DROP TABLE shop, wide;
