-- rfm, schemes: what is shipped, and the words of outputs and errors.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;

-- What is shipped.
SELECT scheme, kind, levels, period, lapsed, ties, currency, segment_map, description FROM iaros.rfm_scheme ORDER BY kind, scheme;
SELECT scheme, dimension, bounds, problem FROM iaros.rfm_bounds_list() ORDER BY scheme, dimension;
SELECT rank, segment, description, strategy FROM iaros.rfm_segment ORDER BY rank;
-- The 33 cells as they are listed: 511 is listed twice and goes to the first.
SELECT l.listed, l.cells, (SELECT string_agg(DISTINCT c.segment, ', ')
    FROM unnest(l.cells) AS k JOIN iaros.rfm_map_cells('standard') c ON c.score::text = k) AS shipped
FROM (VALUES ('Champions', '{555,554,544}'::text[]), ('Loyal Customers', '{545,455,454}'), ('Potential Loyalists', '{543,444,435}'),
    ('Recent Customers', '{511,512,521}'), ('Promising', '{511,421,412}'), ('Needs Attention', '{433,343,334}'),
    ('About to Sleep', '{331,321,312}'), ('At Risk', '{233,234,244}'), ('Can''t Lose Them', '{155,154,144}'),
    ('Hibernating', '{221,222,223}'), ('Lost', '{111,112,121}')) AS l(listed, cells);
-- All 125.
SELECT s.rank, s.segment, count(*) AS cells, string_agg(c.score::text, ' ' ORDER BY c.score DESC) AS which
FROM iaros.rfm_segment s JOIN iaros.rfm_map_cells('standard') c ON c.segment = s.segment GROUP BY s.rank, s.segment ORDER BY s.rank;
-- The rules that follow the listed cells.
SELECT rank, segment, r, f, m FROM iaros.rfm_segment_rule WHERE map = 'standard' AND rank > 320 ORDER BY rank;

-- Scores on both sides of the bounds.
SELECT d.days, iaros.rfm_score_recency(d.days, iaros.rfm_bounds('threshold', 'recency')::integer[]) AS r
FROM unnest('{0,30,31,90,91,180,181,364,365,366,4000}'::integer[]) WITH ORDINALITY AS d(days, n) ORDER BY n;
SELECT d.bookings, iaros.rfm_score_value(d.bookings, iaros.rfm_bounds('threshold', 'frequency')) AS f
FROM unnest('{0,1,2,3,4,5,9,10,1000}'::numeric[]) WITH ORDINALITY AS d(bookings, n) ORDER BY n;
-- 500.50 lies between the bins as they are written, and belongs to the lower one.
SELECT d.spend, iaros.rfm_score_value(d.spend, iaros.rfm_bounds('threshold', 'monetary')) AS m
FROM unnest('{0,500,500.50,500.99,501,1000,1000.99,1001,2500,2500.99,2501,4999.99,5000,5000.01,1e12}'::numeric[]) WITH ORDINALITY AS d(spend, n) ORDER BY n;

-- A scheme of one's own, from its first row to its last.
INSERT INTO iaros.rfm_scheme (scheme, description, levels) VALUES ('mine', 'Three levels, all time', 3);
SELECT iaros.rfm_bounds('mine', 'recency');
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'recency', 1, 100), ('mine', 'recency', 3, 30);
SELECT iaros.rfm_bounds('mine', 'recency');
UPDATE iaros.rfm_threshold SET score = 2 WHERE scheme = 'mine' AND score = 3;
SELECT iaros.rfm_bounds('mine', 'recency'), iaros.rfm_bounds('quantile', 'recency');
UPDATE iaros.rfm_threshold SET lower_bound = 100 WHERE scheme = 'mine' AND score = 2;
SELECT iaros.rfm_bounds('mine', 'recency');
SELECT * FROM iaros.rfm_doctor();
SELECT iaros.rfm_bounds('mine', 'charm');
SELECT iaros.rfm_bounds('mine', NULL);
SELECT iaros.rfm_bounds('quintile', 'recency');
DELETE FROM iaros.rfm_threshold WHERE scheme = 'mine';
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES
    ('mine', 'recency', 2, 30), ('mine', 'recency', 1, 100), ('mine', 'frequency', 2, 3), ('mine', 'frequency', 3, 9), ('mine', 'monetary', 2, -5), ('mine', 'monetary', 3, 0.5);
SELECT iaros.rfm_bounds('mine', 'recency'), iaros.rfm_bounds('mine', 'frequency'), iaros.rfm_bounds('mine', 'monetary');

-- Terms.
\x on
SELECT scheme_name, kind, levels, ties, lapsed, since, until, zone, recency_bounds, frequency_bounds, monetary_bounds, segments FROM iaros.rfm_terms('mine', '2026-01-01', NULL, NULL);
SELECT scheme_name, kind, since, until, recency_bounds, segments[1:5] FROM iaros.rfm_terms('ntile_12_months', '2026-01-01', '3 months', 'EUR');
\x off
SELECT iaros.rfm_terms('quintile', '2026-01-01', NULL, NULL);
SELECT iaros.rfm_terms('threshold', 'infinity', NULL, NULL);
SELECT iaros.rfm_terms('threshold', '-infinity', NULL, NULL);
SELECT iaros.rfm_terms('threshold', '2026-01-01', '0', NULL);
SELECT iaros.rfm_terms('threshold', '2026-01-01', '-1 day', NULL);
-- Positive as an interval, but not in March.
SELECT iaros.rfm_terms('threshold', '2026-03-01', '1 month -29 days', NULL);
SELECT iaros.rfm_terms('threshold', '2026-01-01', '100000 years', NULL);
SELECT iaros.rfm_terms('threshold', '2026-01-01', NULL, 'EUR');
SELECT iaros.rfm_terms('threshold', '2026-01-01', NULL, 'XQX');
SELECT iaros.rfm_terms('quantile', '2026-01-01', NULL, 'eur');
SELECT iaros.rfm_convert('{1,2.50}', 'EUR', 'EUR', '2026-01-01'), iaros.rfm_convert('{1}', NULL, 'EUR', '2026-01-01'), iaros.rfm_convert('{1}', 'EUR', NULL, '2026-01-01'), iaros.rfm_convert(NULL, 'EUR', 'JPY', '2026-01-01');
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('GBP', '2025-12-31', 3), ('KWD', '2025-12-30', 2);
SELECT iaros.rfm_convert('{1,501,1002}', 'KWD', 'GBP', '2026-01-01'), iaros.rfm_convert('{1,501}', 'USD', 'GBP', '2026-01-01');
SELECT iaros.rfm_convert('{1}', 'KWD', 'GBP', '2026-01-07');
SELECT iaros.rfm_since('2024-03-31', '1 month'), iaros.rfm_since('2024-03-31', NULL), iaros.rfm_since(NULL, '1 month');
SELECT iaros.setting_set('rfm_scheme', 'gone');
SELECT iaros.rfm_terms(NULL, '2026-01-01', NULL, NULL);
SELECT * FROM iaros.rfm_doctor();
SELECT iaros.setting_set('rfm_scheme', NULL);

-- Maps.
SELECT iaros.rfm_map_cells('none');
SELECT iaros.rfm_map_cells(NULL);
INSERT INTO iaros.rfm_segment_map (map, levels, description) VALUES ('two', 2, 'Two levels');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r) VALUES ('two', 10, 'Lost', '[1,1]'), ('two', 5, 'At Risk', '[5,9]');
SELECT * FROM iaros.rfm_map_cells('two');
SELECT * FROM iaros.rfm_doctor();
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r, m) VALUES ('two', 1, 'Champions', DEFAULT, '[2,)');
SELECT * FROM iaros.rfm_map_cells('two');

-- What tables refuse.
INSERT INTO iaros.rfm_scheme (scheme, description, levels, segment_map) VALUES ('bad', 'Another map', 3, 'standard');
UPDATE iaros.rfm_segment_map SET levels = 4 WHERE map = 'standard';
\set VERBOSITY terse
INSERT INTO iaros.rfm_scheme (scheme, description, levels) VALUES ('bad', 'One level', 1);
INSERT INTO iaros.rfm_scheme (scheme, description, levels) VALUES ('bad', 'Ten levels', 10);
INSERT INTO iaros.rfm_scheme (scheme, description, period) VALUES ('bad', 'No period', '0');
INSERT INTO iaros.rfm_scheme (scheme, description, kind) VALUES ('bad', 'No kind', 'quintile');
INSERT INTO iaros.rfm_scheme (scheme, description, currency) VALUES ('bad', 'No currency', 'ABC');
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'recency', 9, 0);
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'monetary', 1, 0);
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'charm', 4, 0);
UPDATE iaros.rfm_threshold SET lower_bound = 'NaN' WHERE scheme = 'mine';
UPDATE iaros.rfm_threshold SET lower_bound = 30.5 WHERE scheme = 'mine' AND dimension = 'recency' AND score = 2;
INSERT INTO iaros.rfm_segment_rule (map, rank, segment, r) VALUES ('two', 2, 'Lost', '[3,3)');
INSERT INTO iaros.rfm_segment_rule (map, rank, segment) VALUES ('two', 2, 'Nowhere');
\set VERBOSITY default

-- Any source of purchases.
CREATE TEMP TABLE purchase (customer_id integer, at date, amount real);
INSERT INTO purchase VALUES (1, '2025-12-31', 100), (1, '2025-06-01', 401), (2, '2025-12-01', 500.5), (3, '2025-01-01', 9000), (4, '2025-01-02', 9000),
    (5, '2026-01-02', 1), (6, '2023-01-01', 70), (7, NULL, 5), (NULL, '2025-12-31', 5), (8, '2025-12-31', NULL);
SELECT customer_id, recency_days, frequency, round(monetary, 2) AS monetary, score, segment FROM iaros.rfm_compute('purchase', 'threshold', '2026-01-01') ORDER BY 1;
SELECT customer_id, recency_days, frequency, round(monetary, 2) AS monetary, score, segment FROM iaros.rfm_compute('purchase', 'mine', '2026-01-01') ORDER BY 1;
SELECT customer_id, recency_days, frequency, round(monetary, 2) AS monetary, score, segment FROM iaros.rfm_compute('purchase', 'quantile', '2026-01-01') ORDER BY 1;
SELECT customer_id, recency_days, frequency, round(monetary, 2) AS monetary, score, segment FROM iaros.rfm_compute('purchase', 'ntile', '2026-01-01') ORDER BY 1;
SELECT customer_id, recency_days, frequency, round(monetary, 2) AS monetary, score, segment FROM iaros.rfm_compute('purchase', 'ntile_12_months', '2026-01-01') ORDER BY 1;
SELECT iaros.rfm_compute('purchase', 'quintile', '2026-01-01');

-- Migration.
SELECT * FROM iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase');
SELECT * FROM iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase', 'ntile_12_months', '60 days');
SELECT * FROM iaros.rfm_migration('2025-06-01', '2026-01-01');
SELECT iaros.rfm_migration('2026-01-02', '2026-01-01');
SELECT iaros.rfm_migration('2026-01-02', NULL);
SELECT iaros.rfm_migration('-infinity', '2026-01-01', 'purchase');
SELECT iaros.rfm_migration('2025-06-01', '2026-01-01', scheme => 'threshold');
SELECT iaros.rfm_migration('2025-06-01', '2026-01-01', period => '1 day');
SELECT iaros.rfm_migration('2025-06-01', '2026-01-01', 'no_purchase');
SELECT iaros.rfm_migration('2025-06-01', '2026-01-01', 'purchase', 'quintile');

-- Cells.
CREATE TEMP TABLE scored (score iaros.rfm, monetary numeric);
INSERT INTO scored VALUES ('333', 60), ('331', -10), ('132', 0.02), ('113', 150), ('333', NULL), (NULL, 77), (NULL, 1);
SELECT * FROM iaros.rfm_grid('scored', 3);
SELECT * FROM iaros.rfm_grid('SELECT score, -monetary AS monetary FROM scored', 2) WHERE customers > 0;
SELECT count(*), sum(customers), sum(customers_share) FROM iaros.rfm_grid('SELECT score, monetary FROM scored WHERE false');
SELECT iaros.rfm_grid('scored', 1);
SELECT iaros.rfm_grid('scored', NULL);
SELECT iaros.rfm_grid(' ');
SELECT iaros.rfm_grid('SELECT ''34''::text AS score, 1 AS monetary');

-- The picture, whole.
\t on
\pset format unaligned
SELECT iaros.rfm_heatmap('SELECT * FROM scored UNION ALL SELECT ''222'', 300', 'A & B <2026>', 3);
\pset format aligned
\t off
SELECT iaros.rfm_heatmap('scored', 'Loss', 2, 'monetary');
SELECT iaros.rfm_heatmap('scored', shade => NULL) = iaros.rfm_heatmap('scored', 'Customers by recency and frequency') AS defaults;
SELECT s, iaros.rfm_heatmap_share(s) FROM unnest('{NULL,0,0.00001,0.00049,0.0005,0.12345,1,-0.2,12.5}'::numeric[]) WITH ORDINALITY AS x(s, n) ORDER BY n;
SELECT v, iaros.rfm_heatmap_number(v, 0), iaros.rfm_heatmap_number(v, 2) FROM unnest('{0,0.005,-1,999.999,1234567.8,-1234567.8,999999999999999,1e15,1e40,NaN,Infinity}'::numeric[]) AS v;
SELECT iaros.rfm_heatmap_escape(E'<a href="x">&\t\x01\x1f' || 'é'), iaros.rfm_heatmap_escape(NULL);
SELECT i / 8.0 AS level, c.* FROM generate_series(0, 8) AS i, iaros.rfm_heatmap_colour(i / 8.0::double precision) AS c;
ROLLBACK;
