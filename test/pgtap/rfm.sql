-- rfm: refresh over bookings, aliases, windows, schemes; cells and rules.
BEGIN;
SELECT plan(34);
SELECT iaros.customer_create() AS ada, iaros.customer_create() AS bob, iaros.customer_create() AS cho, iaros.customer_create(kind => 'anonymous') AS visitor \gset
INSERT INTO iaros.fx_rate (currency, day, rate) VALUES ('EUR', '2025-12-31', 2);

-- ada: 10 bookings in the last 12 months, the last one 30 days ago.
INSERT INTO iaros.booking (customer_id, source, external_id, booked_at, amount, currency)
SELECT :ada, 'pss', 'a' || i, '2025-12-02 23:59+00'::timestamptz - i * interval '10 days', 500, 'USD' FROM generate_series(0, 9) AS i;
SELECT iaros.booking_record(:ada, 99999, 'USD', '2025-12-30', status => 'cancelled') AS b \gset
SELECT iaros.booking_record(:ada, 99999, 'USD', '2026-01-01 00:00:01+00') AS b \gset
-- bob: last booking 365 days ago, just outside the 12 months; cho: within.
SELECT iaros.booking_record(:bob, 6000, 'USD', '2025-01-01 00:00+00') AS b \gset
SELECT iaros.booking_record(:cho, 6000, 'USD', '2025-01-01 00:00:01+00') AS b \gset

SELECT is(iaros.rfm_refresh('2026-01-01'), 3::bigint, 'those who booked');
SELECT results_eq(format('SELECT recency_days, frequency, monetary, r, f, m, segment, scheme FROM iaros.customer_rfm WHERE customer_id = %s', :ada),
    $$VALUES (30, 10, 5000.0000::numeric(16,4), 5::smallint, 5::smallint, 5::smallint, 'Champions', 'threshold')$$, 'cancelled and later bookings do not count');
SELECT results_eq(format('SELECT recency_days, frequency, monetary, r, f, m, segment FROM iaros.customer_rfm WHERE customer_id = %s', :bob),
    $$VALUES (365, 0, 0.0000::numeric(16,4), 1::smallint, 1::smallint, 1::smallint, 'Lost')$$, 'R = 1 comes out: recency reads the last booking ever, the rest 12 months');
SELECT results_eq(format('SELECT recency_days, frequency, monetary, r, f, m, segment FROM iaros.customer_rfm WHERE customer_id = %s', :cho),
    $$VALUES (365, 1, 6000.0000::numeric(16,4), 1::smallint, 1::smallint, 5::smallint, 'Hibernating')$$, 'the window is (as_of - 12 months, as_of]');
SELECT is((SELECT count(*) FROM iaros.customer_rfm WHERE customer_id = :visitor), 0::bigint, 'who never booked has no row');

-- Calendar days, in the zone of the brand.
SELECT is((SELECT recency_days FROM iaros.rfm_compute('SELECT 1 AS customer_id, ''2025-12-31 23:59+00''::timestamptz AS at, 1 AS amount', '2026-01-01 00:01+00')), 1, 'two minutes over midnight are a day');
SELECT iaros.setting_set('brand_time_zone', 'America/New_York') AS z \gset
SELECT is((SELECT recency_days FROM iaros.rfm_compute('SELECT 1 AS customer_id, ''2025-12-31 23:59+00''::timestamptz AS at, 1 AS amount', '2026-01-01 00:01+00')), 0, 'but not in New York');
SELECT iaros.setting_set('brand_time_zone', NULL) AS z \gset
SET timezone = 'Asia/Tokyo';
SELECT is((SELECT recency_days FROM iaros.rfm_compute('SELECT 1 AS customer_id, ''2025-12-31 23:59+00''::timestamptz AS at, 1 AS amount', '2026-01-01 00:01+00')), 1, 'nor does the zone of the session matter');
RESET timezone;

-- Aliases.
SELECT iaros.booking_record(:visitor, 100, 'EUR', '2025-12-31') AS b \gset
SELECT iaros.rfm_refresh('2026-01-01') AS n \gset
SELECT is(monetary, 200.0000, 'amounts are in the base currency') FROM iaros.customer_rfm WHERE customer_id = :visitor;
SELECT iaros.customer_recognise(:visitor, :bob) AS recognised \gset
SELECT is(iaros.rfm_refresh('2026-01-01'), 3::bigint, 'an alias counts for its master');
SELECT is(recency_days || ' ' || frequency || ' ' || monetary, '1 1 200.0000', 'whose bookings are joined') FROM iaros.customer_rfm WHERE customer_id = :bob;
SELECT is((SELECT count(*) FROM iaros.customer_rfm WHERE customer_id = :visitor), 0::bigint, 'and the row of the alias goes');
SELECT is(iaros.rfm_refresh('2025-06-01'), 2::bigint, 'an earlier as_of');
SELECT is((SELECT count(*) FROM iaros.customer_rfm WHERE as_of <> '2025-06-01'), 0::bigint, 'leaves no row of another time');

-- Schemes.
INSERT INTO iaros.rfm_scheme (scheme, description, period) VALUES ('long', 'Two years', '24 months');
INSERT INTO iaros.rfm_threshold (scheme, dimension, score, lower_bound)
SELECT 'long', t.dimension, t.score, t.lower_bound FROM iaros.rfm_threshold t WHERE t.scheme = 'threshold';
SELECT iaros.setting_set('rfm_scheme', 'long') AS s \gset
SELECT iaros.customer_separate(:visitor) AS separated \gset
SELECT iaros.rfm_refresh('2026-01-01') AS n \gset
SELECT is(r || ' ' || f || ' ' || m || ' ' || scheme, '1 1 5 long', 'the period belongs to the scheme') FROM iaros.customer_rfm WHERE customer_id = :bob;
SELECT iaros.setting_set('rfm_scheme', 'no_such') AS s \gset
SELECT throws_ok('SELECT iaros.rfm_refresh()', '23503', 'RFM scheme "no_such" does not exist', 'a scheme that does not exist');
SELECT iaros.setting_set('rfm_scheme', NULL) AS s \gset

-- The largest amounts.
SELECT iaros.customer_create() AS big \gset
SELECT iaros.booking_record(:big, 999999999999, 'USD', '2025-06-01') AS b, iaros.booking_record(:big, 999999999999, 'USD', '2025-06-02') AS c \gset
SELECT lives_ok($$SELECT iaros.rfm_refresh('2026-01-01')$$, 'a sum of the largest amounts stops nobody''s scores');
SELECT is(monetary, 1999999999998.0000, 'and is exact') FROM iaros.customer_rfm WHERE customer_id = :big;

-- Cells.
SELECT is((SELECT count(*) FROM iaros.rfm_cell), 125::bigint, '125 cells');
SELECT is((SELECT count(DISTINCT segment) FROM iaros.rfm_cell), 11::bigint, 'in 11 segments');
SELECT is_empty('SELECT * FROM iaros.rfm_cell WHERE segment IS DISTINCT FROM iaros.rfm_cell_segment(r, f, m)', 'shipped as the rules say');
SELECT is(iaros.rfm_cell_segment(5, 1, 1), 'Recent Customers', '511 is listed twice: the first holds');
SELECT is((SELECT count(*) FROM iaros.rfm_segment WHERE description <> '' AND strategy <> ''), 11::bigint, 'each with description and strategy');
SELECT is_empty($$SELECT a.* FROM iaros.rfm_cell a WHERE a.r = 5 AND a.segment IN ('About to Sleep', 'At Risk', 'Can''t Lose Them', 'Hibernating', 'Lost', 'Needs Attention')$$, 'who just booked is in no segment of those who leave');
SELECT is_empty($$SELECT a.* FROM iaros.rfm_cell a WHERE a.r <= 2 AND a.segment NOT IN ('At Risk', 'Can''t Lose Them', 'Hibernating', 'Lost')$$, 'who has not booked for long is in one of these');
UPDATE iaros.rfm_cell SET segment = 'Champions' WHERE (r, f, m) = (1, 1, 5);
SELECT iaros.rfm_refresh('2026-01-01') AS n \gset
SELECT is(segment, 'Champions', 'a changed cell holds') FROM iaros.customer_rfm WHERE customer_id = :cho;
SELECT is((SELECT shipped_hash <> iaros.row_hash(to_jsonb(c)) FROM iaros.rfm_cell c WHERE (r, f, m) = (1, 1, 5)), true, 'and shows as changed');

-- Scores are monotone and equal to the bins as they are written.
SELECT is_empty($$SELECT d FROM generate_series(0, 1000) AS d
    WHERE iaros.rfm_score_recency(d, '{31,91,181,365}') <> CASE WHEN d >= 365 THEN 1 WHEN d >= 181 THEN 2 WHEN d >= 91 THEN 3 WHEN d >= 31 THEN 4 ELSE 5 END$$, 'recency equals CASE');
SELECT is_empty($$SELECT v FROM generate_series(0, 6000, 0.5) AS v
    WHERE iaros.rfm_score_value(v, '{501,1001,2501,5000}') <> CASE WHEN v >= 5000 THEN 5 WHEN v >= 2501 THEN 4 WHEN v >= 1001 THEN 3 WHEN v >= 501 THEN 2 ELSE 1 END$$, 'monetary value equals CASE');
SELECT is(pg_typeof(iaros.rfm_score_value(1, '{1}')), 'smallint'::regtype, 'scores are smallint');

-- A path set by the caller does not matter to us, but finds the source.
CREATE SCHEMA rfm_test;
CREATE FUNCTION rfm_test.sum_wrong(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 0::numeric';
CREATE AGGREGATE rfm_test.sum(numeric) (SFUNC = rfm_test.sum_wrong, STYPE = numeric);
CREATE FUNCTION rfm_test.less(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR rfm_test.> (FUNCTION = rfm_test.less, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR rfm_test.<= (FUNCTION = rfm_test.less, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE TABLE rfm_test.sale AS SELECT 1 AS customer_id, '2025-12-01'::timestamptz AS at, 700 AS amount;
SELECT set_config('search_path', 'rfm_test, pg_catalog, ' || current_setting('search_path'), true) AS path \gset
SELECT is(monetary || ' ' || segment, '700 Promising', 'the source is found in the caller''s path, operators in ours') FROM iaros.rfm_compute('sale', '2026-01-10'::timestamptz);
SELECT is((SELECT count(*) FROM iaros.consent_filter('SELECT customer_id FROM sale', 'transactional', 'email')), 1::bigint, 'likewise in consent_filter()');
SELECT throws_ok($$SELECT iaros.rfm_compute('nowhere')$$, '42P01', 'relation "nowhere" does not exist', 'and names the one that is missing');
SELECT throws_ok($$SELECT iaros.rfm_compute('SELECT customer_id FROM sale')$$, '42703', NULL, 'or its column');

SELECT * FROM finish();
ROLLBACK;
