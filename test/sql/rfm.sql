-- rfm: boundaries of the scores, the 125 cells, the segments.
\set SHOW_CONTEXT never
\set VERBOSITY default
\set ON_ERROR_ROLLBACK on
BEGIN;

-- A score holds [its threshold, the next threshold): day 365 is 1, 5000 is 5.
SELECT d.days, iaros.rfm_score_recency(d.days, iaros.rfm_bounds('threshold', 'recency')::integer[]) AS r
FROM unnest('{0,30,31,90,91,180,181,364,365,366,4000}'::integer[]) WITH ORDINALITY AS d(days, n) ORDER BY n;
SELECT d.bookings, iaros.rfm_score_value(d.bookings, iaros.rfm_bounds('threshold', 'frequency')) AS f
FROM unnest('{0,1,2,3,4,5,9,10,1000}'::numeric[]) WITH ORDINALITY AS d(bookings, n) ORDER BY n;
-- 500.50 lies between the bins as they are written, and belongs to the lower one.
SELECT d.spend, iaros.rfm_score_value(d.spend, iaros.rfm_bounds('threshold', 'monetary')) AS m
FROM unnest('{0,500,500.50,500.99,501,1000,1000.99,1001,2500,2500.99,2501,4999.99,5000,5000.01,1e12}'::numeric[]) WITH ORDINALITY AS d(spend, n) ORDER BY n;

-- Edges of the kernels.
SELECT iaros.rfm_score_recency(-5, '{31,91}'), iaros.rfm_score_recency(NULL, '{31}'), iaros.rfm_score_recency(5, NULL), iaros.rfm_score_recency(5, '{}');
SELECT iaros.rfm_score_value(-0.01, '{0,1}'), iaros.rfm_score_value('NaN', '{0,1}'), iaros.rfm_score_value(NULL, '{1}');
SELECT iaros.rfm_score_value(1, '{1,NULL}');
SELECT iaros.rfm_score_value(1, '{{1,2},{3,4}}');

-- Segments with what they are and what to do.
SELECT rank, segment, description, strategy FROM iaros.rfm_segment ORDER BY rank;
-- The 33 cells as they are listed: 511 is listed twice and goes to the first.
SELECT l.listed, l.cells, (SELECT string_agg(DISTINCT c.segment, ', ')
    FROM unnest(l.cells) AS k JOIN iaros.rfm_cell c ON c.r * 100 + c.f * 10 + c.m = k) AS shipped
FROM (VALUES ('Champions', '{555,554,544}'::integer[]), ('Loyal Customers', '{545,455,454}'), ('Potential Loyalists', '{543,444,435}'),
    ('Recent Customers', '{511,512,521}'), ('Promising', '{511,421,412}'), ('Needs Attention', '{433,343,334}'),
    ('About to Sleep', '{331,321,312}'), ('At Risk', '{233,234,244}'), ('Can''t Lose Them', '{155,154,144}'),
    ('Hibernating', '{221,222,223}'), ('Lost', '{111,112,121}')) AS l(listed, cells);
SELECT segment FROM iaros.rfm_cell WHERE (r, f, m) = (5, 1, 1);
-- All 125.
SELECT s.rank, s.segment, count(*) AS cells, string_agg(concat(c.r, c.f, c.m), ' ' ORDER BY c.r DESC, c.f DESC, c.m DESC) AS which
FROM iaros.rfm_segment s JOIN iaros.rfm_cell c ON c.segment = s.segment GROUP BY s.rank, s.segment ORDER BY s.rank;
SELECT count(*) AS cells, count(c.segment) AS with_segment FROM iaros.rfm_cell c;
SELECT iaros.rfm_cell_segment(0, 1, 1), iaros.rfm_cell_segment(6, 5, 5), iaros.rfm_cell_segment(NULL, 1, 1);

-- Any source of purchases.
CREATE TEMP TABLE purchase (customer_id integer, at date, amount real);
INSERT INTO purchase VALUES (1, '2025-12-31', 100), (1, '2025-06-01', 401), (2, '2025-12-01', 500.5), (3, '2025-01-01', 9000), (4, '2025-01-02', 9000),
    (5, '2026-01-02', 1), (6, '2023-01-01', 70), (7, NULL, 5), (NULL, '2025-12-31', 5), (8, '2025-12-31', NULL);
SELECT * FROM iaros.rfm_compute('purchase', '2026-01-01') ORDER BY 1;
SELECT customer_id, frequency, monetary, r, f, m FROM iaros.rfm_compute('SELECT amount, at, customer_id FROM purchase WHERE customer_id < 3', '2026-01-01') ORDER BY 1;
SELECT * FROM iaros.rfm_compute('SELECT customer_id, at, amount FROM purchase WHERE false', '2026-01-01');
\set VERBOSITY sqlstate
SELECT iaros.rfm_compute('SELECT customer_id, at FROM purchase', '2026-01-01');
\set VERBOSITY default
SELECT iaros.rfm_compute('no_purchase', '2026-01-01');
SELECT iaros.rfm_compute('purchase', '2026-01-01', 'quintile');
SELECT iaros.rfm_compute('purchase', '2026-01-01', NULL);
-- A scheme of one's own without period.
INSERT INTO iaros.rfm_scheme (scheme, description) VALUES ('mine', 'All time');
SELECT iaros.rfm_compute('purchase', '2026-01-01', 'mine');
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound)
SELECT 'mine', t.dimension, t.score, t.lower_bound FROM iaros.rfm_threshold t WHERE t.scheme = 'threshold';
SELECT customer_id, recency_days, frequency, monetary, r, f, m FROM iaros.rfm_compute('purchase', '2026-01-01', 'mine') ORDER BY 1;
UPDATE iaros.rfm_threshold SET lower_bound = 90 WHERE scheme = 'mine' AND dimension = 'recency' AND score = 2;
SELECT iaros.rfm_compute('purchase', '2026-01-01', 'mine');
\set VERBOSITY terse
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'recency', 5, 0);
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound) VALUES ('mine', 'charm', 4, 0);
UPDATE iaros.rfm_threshold SET lower_bound = 'NaN' WHERE scheme = 'mine';
UPDATE iaros.rfm_threshold SET lower_bound = 30.5 WHERE scheme = 'mine' AND dimension = 'recency' AND score = 4;
ROLLBACK;
