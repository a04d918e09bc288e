-- attribution_paths(): what it returns, plans, and errors with their hints.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
BEGIN;
CREATE TABLE public.t_touch (customer_id integer, at timestamptz, channel text, campaign text, kind text, weight numeric, stage text);
INSERT INTO public.t_touch VALUES
    (1, '2026-01-02', 'display', 'winter', 'impression', NULL, NULL),
    (1, '2026-01-03', 'email', 'winter', 'open', 0.5, NULL),
    (1, '2026-01-03', 'display', NULL, 'impression', 1, NULL),
    (1, '2026-01-05', 'paid_search', NULL, 'click', NULL, 'lead'),
    (2, '2026-01-05', 'direct', NULL, 'visit', NULL, NULL),
    (3, '2025-11-05', 'social', NULL, 'click', NULL, NULL),
    (NULL, '2026-01-05', 'sms', NULL, NULL, NULL, NULL), (1, NULL, 'sms', NULL, NULL, NULL, NULL), (1, '2026-01-05', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE public.t_conversion (customer_id bigint, at timestamptz, value numeric(16,4), conversion_id integer);
INSERT INTO public.t_conversion VALUES (1, '2026-01-05', 120.5, 11), (1, '2026-01-06', 80, 12), (2, '2026-01-05', NULL, 13), (4, '2026-01-05', 0, NULL), (NULL, '2026-01-05', 1, 14), (1, NULL, 1, 15);
CREATE TABLE public.t_alias (customer_id bigint, master_id bigint);
INSERT INTO public.t_alias VALUES (2, 1), (2, 4), (NULL, 1), (4, NULL);
END;
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion') ORDER BY customer_id, converted_at;
SELECT conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_paths('t_touch', 't_conversion', '3 days', view_window => '36 hours') ORDER BY 1;
SELECT conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_paths('t_touch', 't_conversion', dedupe => '1 day', click_over_view => true, restart => true) ORDER BY 1;
SELECT customer_id, conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_paths('t_touch', 't_conversion', aliases => 't_alias', nulls_until => '2026-06-01') ORDER BY 1, 2;
SELECT customer_id, conversion_id, iaros.touch_path_text(path) FROM iaros.attribution_paths('t_touch', 'SELECT * FROM t_conversion WHERE false', '1 day', nulls_until => '2026-01-04') ORDER BY 1, 2, 3;
SELECT count(*) FROM iaros.attribution_paths('t_touch', 'SELECT * FROM t_conversion WHERE false');
SELECT count(*) FROM iaros.attribution_paths('SELECT * FROM t_touch WHERE false', 't_conversion', nulls_until => 'infinity');
-- Values as they are.
SELECT conversion_id, value FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, v AS value, row_number() OVER () AS conversion_id FROM unnest(ARRAY[0, -0.50, 1e40, 123456789012345678901234567890.123456789012345678901234567890, 9999.99990000]) v') ORDER BY 1;
SELECT value FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, 0.1::real AS value');
SELECT value FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, 9223372036854775807 AS value');
-- In FROM a node of ours, elsewhere a usual function.
EXPLAIN (COSTS OFF) SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion');
EXPLAIN (COSTS OFF) SELECT (iaros.attribution_paths('t_touch', 't_conversion')).*;
-- Arguments that do not fit.
SELECT * FROM iaros.attribution_paths(NULL, 't_conversion');
SELECT * FROM iaros.attribution_paths('t_touch', NULL);
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', NULL);
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', click_over_view => NULL);
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', restart => NULL);
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', '-1 day');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', '0');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', '1 month');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', '2147483647 days');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', view_window => '-7 days');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', view_window => '31 days');
SELECT * FROM iaros.attribution_paths('t_touch', 't_conversion', dedupe => '0');
-- Sources that do not fit.
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, now() AS at', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT ''1'' AS customer_id, now() AS at, ''a''::text AS channel', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, now()::timestamp AS at, ''a''::text AS channel', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, now() AS at, 7 AS channel', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, now() AS at, ''a''::text AS channel, ''1''::text AS weight', 't_conversion');
SELECT * FROM iaros.attribution_paths('t_touch', 't_touch', aliases => 't_conversion');
SELECT * FROM iaros.attribution_paths('t_touch', 'SELECT customer_id FROM t_conversion');
SELECT * FROM iaros.attribution_paths('t_touch', 'SELECT customer_id, at, channel AS value FROM t_touch');
SELECT * FROM iaros.attribution_paths('nothing', 't_conversion');
SELECT * FROM iaros.attribution_paths('t_touch', 'DELETE FROM t_conversion RETURNING *');
SELECT * FROM iaros.attribution_paths('t_touch) s; DROP TABLE t_touch; --', 't_conversion');
-- Rows that do not fit.
SELECT * FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, ''infinity''::timestamptz AS at');
SELECT * FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''NaN''::numeric AS value');
SELECT * FROM iaros.attribution_paths('t_touch', 'SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''-Infinity''::float8 AS value');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''''::text AS channel', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''a''::text AS channel, repeat(''x'', 1001) AS campaign', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''a''::text AS channel, -1 AS weight', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''a''::text AS channel, ''NaN''::float8 AS weight', 't_conversion');
SELECT * FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-05'' AS at, ''a''::text AS channel, ''won''::text AS stage', 't_conversion');
SELECT path FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''0999-12-31'' AS at, ''a''::text AS channel', 'SELECT 1 AS customer_id, timestamptz ''1000-01-02'' AS at');
SELECT customer_id, iaros.touch_path_text(path) FROM iaros.attribution_paths('SELECT 1 AS customer_id, t::timestamptz AS at, ''a''::text AS channel FROM unnest(ARRAY[''infinity'', ''-infinity'', ''2026-01-05'']) t', 'SELECT 1 AS customer_id, timestamptz ''2026-01-06'' AS at', '100000000 days', nulls_until => 'infinity');
-- All touches of a long life before each of many conversions: can be stopped.
SET statement_timeout = '500ms';
SELECT count(path) FROM iaros.attribution_paths('SELECT 1 AS customer_id, timestamptz ''2026-01-01'' + i * interval ''1 second'' AS at, ''a''::text AS channel FROM generate_series(1, 100000) i',
    'SELECT 1 AS customer_id, timestamptz ''2026-01-01'' + i * interval ''1 second'' AS at FROM generate_series(1, 100000) i');
RESET statement_timeout;
DROP TABLE public.t_touch, public.t_conversion, public.t_alias;
