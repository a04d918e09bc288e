-- Features: what the registry expands to, and errors with their hints.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
BEGIN;
CREATE TABLE public.t_row AS SELECT 1 AS customer_id, timestamptz '2025-01-01' AS at, 'search'::text AS series, 2.5 AS value;
CREATE TABLE public.t_request AS SELECT 1 AS customer_id, timestamptz '2025-01-02' AS as_of;
END;
-- Names and expressions.
SELECT definition, count(*), min(feature) FROM iaros.feature_list() GROUP BY definition ORDER BY min(position);
SELECT * FROM iaros.feature_list() WHERE definition IN ('trip', 'product.affinity') ORDER BY position;
SELECT iaros.feature_expressions('standard', '{nps_mean_365d,search_recency}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 1d,search count 2d,search sum lifetime,search recency,x = search mean 7d,search max 7d / search count 7d,other mean 1d}');
SELECT * FROM iaros.feature_records('t_row', 't_request', '{search count 2d,other mean 1d}') AS t(customer_id bigint, as_of timestamptz, a float8, b float8);
-- In FROM a node of ours, elsewhere a usual function.
EXPLAIN (COSTS OFF) SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 2d}');
EXPLAIN (COSTS OFF) SELECT a FROM iaros.feature_records('t_row', 't_request', '{search count 2d}') AS t(customer_id bigint, as_of timestamptz, a float8);
EXPLAIN (COSTS OFF) SELECT "values" FROM iaros.feature_matrix('t_request', 'standard', '{search_count_7d}');
SELECT t.* FROM generate_series(1, 2) g CROSS JOIN LATERAL iaros.feature_records('t_row', 't_request', ARRAY['search count ' || g || 'd']) AS t(customer_id bigint, as_of timestamptz, a float8);
SELECT (iaros.feature_compute('t_row', 't_request', '{search count 2d}')).*;
-- Expressions that cannot be read.
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search median 3d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 0d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 36501d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search recency 3d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', ARRAY['"search count 3d']);
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 3d /}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', ARRAY['']);
SELECT * FROM iaros.feature_compute('t_row', 't_request', ARRAY[repeat('x', 1001)]);
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{search count 3d,search count 3d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{NULL}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', array_fill('a count 1d'::text, ARRAY[10001]));
SELECT * FROM iaros.feature_compute('t_row', 't_request', ARRAY(SELECT 's count ' || i || 'd' FROM generate_series(1, 65) i));
-- Sources and requests that do not fit.
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id', 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''2025-01-01''::date AS at, ''a''::text AS series', 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, now() AS at, ''a''::text AS series, true AS value', 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 'SELECT 1 AS customer_id', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 'SELECT 1 AS customer_id, now()::timestamp AS as_of', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 'SELECT 1 AS customer_id, NULL::timestamptz AS as_of', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 'SELECT NULL::bigint AS customer_id, now() AS as_of', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 'SELECT 1 AS customer_id, ''infinity''::timestamptz AS as_of', '{a count 1d}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''-infinity''::timestamptz AS at, ''a''::text AS series', 't_request', '{a count lifetime}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''2025-01-01''::timestamptz AS at, ''a''::text AS series, ''NaN''::numeric AS value', 't_request', '{a count lifetime}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''2025-01-01''::timestamptz AS at, ''a''::text AS series, ''Infinity''::float8 AS value', 't_request', '{a count lifetime}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''2025-01-01''::timestamptz AS at, ''a''::text AS series, 1e400 AS value', 't_request', '{a count lifetime}');
SELECT * FROM iaros.feature_compute('SELECT 1 AS customer_id, ''2025-01-01''::timestamptz AS at, ''a''::text AS series, 1e308::float8 AS value FROM generate_series(1, 2)', 't_request', '{a sum lifetime}');
SELECT * FROM iaros.feature_compute('DELETE FROM t_row RETURNING *', 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 't_row) s; DROP TABLE t_row; --', '{a count 1d}');
SELECT * FROM iaros.feature_compute('nothing', 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', '{a count 1d}', 't_request');
SELECT * FROM iaros.feature_compute(NULL, 't_request', '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', NULL, '{a count 1d}');
SELECT * FROM iaros.feature_compute('t_row', 't_request', NULL);
SELECT * FROM iaros.feature_records('t_row', 't_request', '{a count 1d}') AS t(customer_id bigint, as_of timestamptz, a integer);
SELECT * FROM iaros.feature_records('t_row', 't_request', '{a count 1d,b count 1d}') AS t(customer_id bigint, as_of timestamptz, a float8);
SELECT * FROM iaros.feature_records('t_row', 't_request', '{a count 1d}');
-- The registry.
SELECT * FROM iaros.feature_list('standart');
SELECT * FROM iaros.feature_matrix('t_request', 'standard', '{search_count_31d}');
SELECT * FROM iaros.feature_matrix('t_request', 'standard', '{NULL}');
SELECT * FROM iaros.feature_matrix('t_request', 'standard', '{}');
SELECT iaros.feature_matrix_sql('t_request', 'standard', '{search_count_7d,lead_mean_90d}');
SELECT iaros.feature_vector(1, NULL);
SELECT iaros.feature_vector(NULL) IS NULL AS is_null;
SELECT iaros.feature_vector(1, '2025-01-02', names => '{search_count_7d,nps_mean_lifetime,product_affinity_fare_365d}');
SELECT iaros.feature_words_valid('{a.b,c_1}'), iaros.feature_words_valid('{a.,b}'), iaros.feature_words_valid('{}');
INSERT INTO iaros.feature_set VALUES ('mine', 'My own');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('mine', 'x', 'lounge', 'lounge', '{count}', '{7}', 'Visits');
SELECT * FROM iaros.feature_matrix('t_request', 'mine');
INSERT INTO iaros.feature_series VALUES ('lounge', 'SELECT customer_id, at, ''lounge''::text AS series, NULL::numeric AS value, NULL::text AS item FROM public.t_row', 'Visits to lounges');
SELECT * FROM iaros.feature_matrix('t_request', 'mine');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('mine', 'y', 'lounge', 'lounge', '{count}', '{7}', 'The same name');
SELECT * FROM iaros.feature_matrix('t_request', 'mine');
INSERT INTO iaros.feature_definition (feature_set, definition, series, aggregates, windows, description) VALUES ('mine', 'z', 'lounge', '{count}', '{7}', 'No name');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('mine', 'z', 'lounge', 'z', '{count,median}', '{7}', 'No such aggregate');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('mine', 'z', 'lounge', 'z', '{count}', '{-7}', 'No such window');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, share_of, description) VALUES ('mine', 'z', 'lounge', 'z', '{count,sum}', '{7}', 'event', 'Two shares');
INSERT INTO iaros.feature_definition (feature_set, definition, series, prefix, aggregates, windows, description) VALUES ('mine', 'z', 'a = 1', 'z', '{count}', '{7}', 'No series');
DELETE FROM iaros.feature_set WHERE feature_set = 'mine';
DELETE FROM iaros.feature_series WHERE series = 'lounge';
DROP TABLE public.t_row, public.t_request;
